/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kv.c: a store of keys and values. store.h has its requests. */
#include "server.h"
#include "store.h"

#include <string.h>

struct input {
    nart_co co;
    size_t begin, end;
    char buf[STORE_REQUEST];
};

/* Receives a line. Answers 1 and `*line`, 0 at the end, or an error. */
static nart_res next_line(nart_cx *cx, nart_tcp *sock, struct input *in, char **line)
{
    char *newline;
    nart_res n;

    NART_BEGIN(cx, &in->co);
    while ((newline = memchr(in->buf + in->begin, '\n', in->end - in->begin)) == NULL) {
        in->end -= in->begin;
        memmove(in->buf, in->buf + in->begin, in->end);
        in->begin = 0;
        if (in->end == sizeof in->buf)
            NART_RETURN(-EMSGSIZE);
        NART_AWAIT_FOR(n, server_timeout,
                       nart_tcp_recv(cx, sock, in->buf + in->end, sizeof in->buf - in->end));
        if (n <= 0)
            NART_RETURN(n);
        in->end += (size_t)n;
    }
    *newline = '\0';
    *line = in->buf + in->begin;
    in->begin = (size_t)(newline + 1 - in->buf);
    NART_END(1);
}

struct kv {
    nart_tcp sock;
    nart_co co;
    struct input in;
    size_t len, done;
    char reply[STORE_REPLY];
};

static nart_res kv_run(nart_cx *cx, void *frame)
{
    struct kv *k = frame;
    char *line;
    nart_res n;

    NART_BEGIN(cx, &k->co);
    for (;;) {
        NART_AWAIT(n, next_line(cx, &k->sock, &k->in, &line));
        if (n <= 0)
            break;
        k->len = store_obey(line, k->reply);
        NART_AWAIT_FOR(n, server_timeout,
                       nart_tcp_send_all(cx, &k->sock, k->reply, k->len, &k->done));
        if (n < 0)
            break;
    }
    nart_tcp_close(&k->sock);
    NART_END(n);
}

static const nart_task_type kv_type = NART_TASK_TYPE(struct kv, kv_run, server_drop_sock);

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .type = &kv_type, .close = store_free }, argc, argv);
}
