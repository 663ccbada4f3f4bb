/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* publish.c: tops to subscribers. The publisher keeps the last top of each instrument and wakes the
 * connections by a token; a connection sends the tops that have changed since its last send, once a
 * millisecond at most. So a slow subscriber gets fewer tops, each the newest; it delays neither the
 * other subscribers nor the hot task. */
#include "gate.h"

#define SEND_EVERY NART_MS
#define SEND_TIMEOUT (10 * NART_SEC)

/* ---- a connection ---- */

struct connection {
    nart_co co;
    struct gate *g;
    nart_tcp sock;
    nart_rx wake;
    nart_timer timer;
    bool last_round;
    size_t len, done;
    uint32_t sent[GATE_TABLE]; /* versions */
    struct feed_top out[GATE_TABLE];
};

/* Copies the tops that have changed since the last send to `out`; answers the bytes. */
static size_t collect(struct connection *c)
{
    size_t n = 0;

    for (unsigned i = 0; i < GATE_TABLE; i++) {
        if (c->sent[i] == c->g->version[i])
            continue;
        c->sent[i] = c->g->version[i];
        c->out[n++] = c->g->table[i];
    }
    return n * sizeof *c->out;
}

static nart_res connection_run(nart_cx *cx, void *frame)
{
    struct connection *c = frame;
    nart_res r = 0;
    uint8_t token;

    NART_BEGIN(cx, &c->co);
    while (!c->last_round && r >= 0) {
        NART_AWAIT(r, token_recv(cx, &c->wake, &token));
        c->last_round = r == NART_ECLOSED; /* the publisher has ended: send the rest and close */
        if (r < 0 && !c->last_round)
            break;
        c->len = collect(c);
        r = 0;
        if (c->len > 0)
            NART_AWAIT_FOR(r, SEND_TIMEOUT,
                           nart_tcp_send_all(cx, &c->sock, c->out, c->len, &c->done));
        if (r >= 0 && !c->last_round)
            NART_AWAIT(r, nart_sleep(cx, &c->timer, SEND_EVERY));
    }
    nart_tcp_close(&c->sock);
    NART_END(r);
}

static void connection_drop(void *frame)
{
    struct connection *c = frame;
    nart_tcp_close(&c->sock);
    nart_rx_close(&c->wake);
}

static const nart_task_type connection_type =
    NART_TASK_TYPE(struct connection, connection_run, connection_drop);

static nart_res spawn_connection(nart_cx *cx, struct acceptor *a, nart_tcp *sock)
{
    struct gate *g = a->g;
    nart_res r = 0;

    struct connection *c = nart_spawn_begin(cx, &connection_type, &r);
    if (!c)
        return r;
    r = token_open(g->rt, NART_CHAN_LOCAL, 1, &g->wake[g->connected], &c->wake);
    if (r < 0) {
        nart_spawn_abandon(cx, c);
        return r;
    }
    c->g = g;
    nart_tcp_move(&c->sock, sock);
    nart_spawn_commit(cx, c, &a->joins[g->connected]);
    g->connected++;
    return 0;
}

nart_res acceptor_run(nart_cx *cx, struct acceptor *a)
{
    struct gate *g = a->g;
    nart_tcp sock = { 0 };
    nart_res r = 0;

    NART_BEGIN(cx, &a->co);
    while (g->connected < g->opts.subscribers && r == 0) {
        NART_AWAIT(r, nart_tcp_accept(cx, &g->listener, &sock, NULL));
        if (r == 0)
            r = spawn_connection(cx, a, &sock);
        nart_tcp_close(&sock);
    }
    nart_tcp_listener_close(&g->listener);
    NART_END(r);
}

/* ---- the publisher ---- */

static void publish(struct gate *g, const struct feed_top *t)
{
    g->table[t->instrument] = *t;
    g->version[t->instrument]++;
    for (int i = 0; i < g->connected; i++) {
        nart_res r = token_try_send(&g->wake[i], 0);
        (void)r; /* full: a token is pending; closed: the subscriber has disconnected */
    }
}

static void publisher_close(struct publisher *p)
{
    nart_rx_close(&p->tops);
    for (int i = 0; i < GATE_SUBSCRIBERS; i++)
        nart_tx_close(&p->g->wake[i]);
}

static nart_res publisher_run(nart_cx *cx, void *frame)
{
    struct publisher *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    for (;;) {
        NART_AWAIT(r, top_recv(cx, &p->tops, &p->top));
        if (r < 0)
            break;
        publish(p->g, &p->top);
    }
    publisher_close(p);
    NART_END(r == NART_ECLOSED ? 0 : r);
}

static void publisher_drop(void *frame)
{
    publisher_close(frame);
}

const nart_task_type publisher_type =
    NART_TASK_TYPE(struct publisher, publisher_run, publisher_drop);
