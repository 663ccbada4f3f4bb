/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection moves into the task that serves it. */
#include "example.h"

struct conn {
    int id;
    nart_tcp socket;
};

static int ran, dropped;

/* Sends its number to the peer. */
static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    char id = (char)('0' + c->id);

    ran++;
    return nart_tcp_send(cx, &c->socket, &id, 1);
}

static void conn_drop(void *frame)
{
    struct conn *c = frame;

    nart_tcp_close(&c->socket);
    dropped++;
}

struct accepting {
    nart_tcp accepted;
};

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct accepting *f = frame;

    /* STATEMENTS */
    return nart_tcp_fd(&c.socket) == -EBADF ? 0 : -EIO; /* the task owns it */
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct accepting f = { 0 };
    char got;
    int one, other;

    example_tcp(&one, &other);
    if (nart_tcp_adopt(rt, one, &f.accepted) != 0)
        return 1;
    return example_run(rt, run, sizeof f, &f) || dropped != 1 || ran != 1 ||
           recv(other, &got, 1, 0) != 1 || got != '1';
}
