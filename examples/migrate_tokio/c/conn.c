/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn.c: the task of a client. tokio may run it, or a loop. */
#include "meter.h"

#include <nart/nart.h>
#include <string.h>
#include <unistd.h>

struct conn {
    nart_co co;
    int fd; /* before it is adopted; -1: none */
    nart_tcp sock;
    nart_tx journal;
    struct meter meter;
    bool ended;
    size_t len, done;
    char in[64], line[64], reply[METER_REPLY];
};

_Static_assert(sizeof(struct conn) <= 1024, "Frame in Rust has room for it");

/* Moves the next line of the input to `line`. */
static bool take_line(struct conn *c)
{
    char *end = memchr(c->in, '\n', c->len);

    if (!end)
        return false;
    size_t n = (size_t)(end - c->in);
    memcpy(c->line, c->in, n);
    c->line[n > 0 && end[-1] == '\r' ? n - 1 : n] = '\0';
    c->len -= n + 1;
    memmove(c->in, end + 1, c->len);
    return true;
}

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    r = nart_tcp_adopt_here(cx, c->fd, &c->sock);
    if (r == 0)
        c->fd = -1; /* the handle's */
    while (r >= 0) {
        if (take_line(c)) {
            if (meter_line(&c->meter, c->line, c->reply))
                NART_AWAIT(r, nart_send(cx, &c->journal, &c->meter));
            if (r >= 0)
                NART_AWAIT(r,
                           nart_tcp_send_all(cx, &c->sock, c->reply, strlen(c->reply), &c->done));
        } else if (c->ended) {
            break;
        } else {
            NART_AWAIT(r, nart_tcp_recv(cx, &c->sock, c->in + c->len, sizeof c->in - c->len));
            c->ended = r == 0;
            if (r > 0)
                c->len += (size_t)r;
            else if (r == 0 && c->len > 0)
                c->in[c->len++] = '\n'; /* the last line needs no end */
        }
    }
    NART_END(r);
}

void conn_init(struct conn *c, int fd, nart_tx *journal)
{
    memset(c, 0, sizeof *c);
    c->fd = fd;
    nart_tx_move(&c->journal, journal);
}

void conn_drop(void *frame)
{
    struct conn *c = frame;

    nart_tcp_close(&c->sock);
    nart_tx_close(&c->journal);
    if (c->fd >= 0)
        close(c->fd);
}

const nart_task_type conn_type =
    NART_TASK_TYPE_FLAGS(struct conn, conn_run, conn_drop, NART_TASK_SEND);
