/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chat.c: sends what a client says to all others, and drops a client that does not read. See room.h. */
#include "room.h"
#include "server.h"

#include <string.h>

struct chat {
    nart_tcp sock;
    nart_co co, below;
    struct guest guest;
    struct line line;
    size_t in_len, out_len, done;
    char in[ROOM_TEXT], out[ROOM_BATCH];
};

/* Obeys the lines that are complete, one a turn: so nobody talks faster than the others read. Answers 1, 0 if the
 * guest has quit, or an error. */
static nart_res obey(nart_cx *cx, struct chat *c)
{
    char *end;

    NART_BEGIN(cx, &c->below);
    while ((end = memchr(c->in, '\n', c->in_len)) != NULL) {
        *end++ = '\0';
        if (room_obey(&c->guest, c->in))
            NART_RETURN(0);
        c->in_len -= (size_t)(end - c->in);
        memmove(c->in, end, c->in_len);
        NART_YIELD();
    }
    NART_END(c->in_len < sizeof c->in ? 1 : -EMSGSIZE);
}

/* Until the client has closed, too: closing while it still sends would lose what it has not read. */
static nart_res drain(nart_cx *cx, struct chat *c)
{
    nart_res n;

    NART_BEGIN(cx, &c->below);
    nart_tcp_shutdown(&c->sock, NART_WRITE);
    do
        NART_AWAIT(n, nart_tcp_recv(cx, &c->sock, c->in, sizeof c->in));
    while (n > 0);
    NART_END(n);
}

static nart_res chat_run(nart_cx *cx, void *frame)
{
    struct chat *c = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &c->co);
    r = room_join(&c->guest);
    while (r >= 0) {
        NART_AWAIT_ANY(which, r, nart_broadcast_recv(cx, &c->guest.lines, &c->line, NULL),
                       nart_tcp_recv(cx, &c->sock, c->in + c->in_len, sizeof c->in - c->in_len));
        if (r < 0)
            break;
        if (which == 0) {
            c->out_len = room_collect(&c->guest, &c->line, c->out);
            NART_AWAIT_FOR(r, server_timeout,
                           nart_tcp_send_all(cx, &c->sock, c->out, c->out_len, &c->done));
            continue;
        }
        c->in_len += (size_t)r;
        if (r > 0)
            NART_AWAIT(r, obey(cx, c));
        if (r == 0)
            break;
    }
    room_leave(&c->guest, r);
    if (r == 0 || r == NART_ECLOSED)
        NART_AWAIT_FOR(r, NART_SEC, drain(cx, c));
    nart_tcp_close(&c->sock);
    NART_END(r);
}

static void chat_drop(void *frame)
{
    struct chat *c = frame;

    nart_broadcast_rx_close(&c->guest.lines);
    nart_tcp_close(&c->sock);
}

static const nart_task_type chat_type = NART_TASK_TYPE(struct chat, chat_run, chat_drop);

int main(int argc, char **argv)
{
    return server_main(
        &(struct server){
            .type = &chat_type, .grace = 5 * NART_SEC, .open = room_open, .close = room_close },
        argc, argv);
}
