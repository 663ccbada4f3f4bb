/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kv_fibers.c: kv.c as a fiber. */
#include "server.h"
#include "store.h"

#include <string.h>

struct input {
    size_t begin, end;
    char buf[STORE_REQUEST];
};

/* Receives a line. Answers 1 and `*line`, 0 at the end, or an error. */
static nart_res next_line(nart_cx *cx, nart_tcp *sock, struct input *in, char **line)
{
    char *newline;

    while ((newline = memchr(in->buf + in->begin, '\n', in->end - in->begin)) == NULL) {
        nart_res n;

        in->end -= in->begin;
        memmove(in->buf, in->buf + in->begin, in->end);
        in->begin = 0;
        if (in->end == sizeof in->buf)
            return -EMSGSIZE;
        n = nart_await_for(cx, server_timeout,
                           nart_tcp_recv(cx, sock, in->buf + in->end, sizeof in->buf - in->end));
        if (n <= 0)
            return n;
        in->end += (size_t)n;
    }
    *newline = '\0';
    *line = in->buf + in->begin;
    in->begin = (size_t)(newline + 1 - in->buf);
    return 1;
}

static nart_res kv(nart_cx *cx, void *arg)
{
    nart_tcp *sock = arg;
    struct input in = { .begin = 0 };
    char *line, reply[STORE_REPLY];
    nart_res n;

    while ((n = next_line(cx, sock, &in, &line)) > 0) {
        size_t len = store_obey(line, reply), done = 0;

        n = nart_await_for(cx, server_timeout, nart_tcp_send_all(cx, sock, reply, len, &done));
        if (n < 0)
            break;
    }
    nart_tcp_close(sock);
    return n;
}

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .fiber = kv, .close = store_free }, argc, argv);
}
