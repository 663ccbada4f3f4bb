/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chat_fibers.c: chat.c as a fiber. */
#include "room.h"
#include "server.h"

#include <string.h>

struct input {
    size_t len;
    char buf[ROOM_TEXT];
};

/* Obeys the lines that are complete, one a turn: so nobody talks faster than the others read. Answers 1, 0 if the
 * guest has quit, or an error. */
static nart_res obey(nart_cx *cx, struct guest *guest, struct input *in)
{
    char *end;

    while ((end = memchr(in->buf, '\n', in->len)) != NULL) {
        *end++ = '\0';
        if (room_obey(guest, in->buf))
            return 0;
        in->len -= (size_t)(end - in->buf);
        memmove(in->buf, end, in->len);
        nart_yield(cx);
    }
    return in->len < sizeof in->buf ? 1 : -EMSGSIZE;
}

/* Sends a line, and others that are there. */
static nart_res tell(nart_cx *cx, nart_tcp *sock, struct guest *guest, struct line *line)
{
    char out[ROOM_BATCH];
    size_t len = room_collect(guest, line, out), done = 0;

    return nart_await_for(cx, server_timeout, nart_tcp_send_all(cx, sock, out, len, &done));
}

/* Until the client has closed, too: closing while it still sends would lose what it has not read. */
static nart_res drain(nart_cx *cx, nart_tcp *sock)
{
    char buf[ROOM_TEXT];
    nart_res n;

    nart_tcp_shutdown(sock, NART_WRITE);
    do
        n = nart_await(cx, nart_tcp_recv(cx, sock, buf, sizeof buf));
    while (n > 0);
    return n;
}

static nart_res chat(nart_cx *cx, void *arg)
{
    nart_tcp *sock = arg;
    struct guest guest = { .id = 0 };
    struct input in = { .len = 0 };
    struct line line;
    int which;
    nart_res r = room_join(&guest);

    while (r >= 0) {
        r = nart_await_any(cx, which, nart_broadcast_recv(cx, &guest.lines, &line, NULL),
                           nart_tcp_recv(cx, sock, in.buf + in.len, sizeof in.buf - in.len));
        if (r < 0)
            break;
        if (which == 0) {
            r = tell(cx, sock, &guest, &line);
            continue;
        }
        in.len += (size_t)r;
        if (r > 0)
            r = obey(cx, &guest, &in);
        if (r == 0)
            break;
    }
    room_leave(&guest, r);
    if (r == 0 || r == NART_ECLOSED)
        r = nart_await_for(cx, NART_SEC, drain(cx, sock));
    nart_tcp_close(sock);
    return r;
}

int main(int argc, char **argv)
{
    return server_main(
        &(struct server){
            .fiber = chat, .grace = 5 * NART_SEC, .open = room_open, .close = room_close },
        argc, argv);
}
