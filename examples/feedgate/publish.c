/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* publish.c: tops to subscribers. The publisher keeps the last top of each instrument and tells the
 * connections by a token that there is news; a connection sends what is newer than what it has sent.
 * So a slow subscriber gets fewer tops, each the newest, and delays nobody. */
#include "gate.h"

/* ---- a connection ---- */

struct connection {
    nart_co co;
    struct gate *g;
    nart_tcp sock;
    nart_rx wake;
    uint8_t token;
    bool last_round;
    size_t len, done;
    uint32_t sent[GATE_TABLE]; /* versions */
    struct feed_top out[GATE_TABLE];
};

/* What is newer than what was sent, into out; its bytes. */
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

    NART_BEGIN(cx, &c->co);
    while (!c->last_round) {
        NART_AWAIT(r, token_recv(cx, &c->wake, &c->token));
        if (r == NART_ECLOSED) /* the publisher has ended: what is left, and goodbye */
            c->last_round = true;
        else if (r < 0)
            break;
        c->len = collect(c);
        if (c->len == 0)
            continue;
        NART_AWAIT_FOR(r, 5 * NART_SEC,
                       nart_tcp_send_all(cx, &c->sock, c->out, c->len, &c->done));
        if (r < 0)
            break;
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

/* ---- accepting ---- */

static nart_res acceptor_run(nart_cx *cx, void *frame)
{
    struct acceptor *a = frame;
    struct gate *g = a->g;
    struct connection *c;
    nart_tcp sock = { 0 };
    nart_res r = 0, answer;

    NART_BEGIN(cx, &a->co);
    while (g->connected < g->opts.subscribers) {
        NART_AWAIT(r, nart_tcp_accept(cx, &g->listener, &sock, NULL));
        if (r < 0)
            NART_RETURN(r);
        c = nart_spawn_begin(cx, &connection_type, &r);
        if (!c) {
            nart_tcp_close(&sock);
            NART_RETURN(r);
        }
        c->g = g;
        nart_tcp_move(&c->sock, &sock);
        r = token_open(g->rt, NART_CHAN_LOCAL, 1, &g->wake[g->connected], &c->wake);
        if (r < 0) {
            nart_tcp_close(&c->sock);
            nart_spawn_abandon(cx, c);
            NART_RETURN(r);
        }
        nart_spawn_commit(cx, c, &a->connections[g->connected]);
        g->connected++;
    }
    nart_tcp_listener_close(&g->listener);
    for (a->i = 0; a->i < g->connected; a->i++)
        NART_AWAIT(r, nart_join_await(cx, &a->connections[a->i], &answer));
    NART_END(r);
}

static void acceptor_drop(void *frame)
{
    struct acceptor *a = frame;
    for (int i = 0; i < GATE_SUBSCRIBERS; i++)
        nart_join_release(&a->connections[i]);
}

const nart_task_type acceptor_type = NART_TASK_TYPE(struct acceptor, acceptor_run, acceptor_drop);

/* ---- the publisher ---- */

static void publish(struct gate *g, const struct feed_top *t)
{
    g->table[t->instrument] = *t;
    g->version[t->instrument]++;
    for (int i = 0; i < g->connected; i++) {
        nart_res r = token_try_send(&g->wake[i], 0);
        (void)r; /* full: it has been told; closed: the subscriber has gone */
    }
}

static nart_res publisher_run(nart_cx *cx, void *frame)
{
    struct publisher *p = frame;
    nart_res r;

    NART_BEGIN(cx, &p->co);
    for (;;) {
        NART_AWAIT(r, top_recv(cx, &p->tops, &p->top));
        if (r < 0)
            break;
        publish(p->g, &p->top);
    }
    NART_END(r == NART_ECLOSED ? 0 : r);
}

static void publisher_drop(void *frame)
{
    struct publisher *p = frame;
    nart_rx_close(&p->tops);
    for (int i = 0; i < GATE_SUBSCRIBERS; i++)
        nart_tx_close(&p->g->wake[i]);
}

const nart_task_type publisher_type =
    NART_TASK_TYPE(struct publisher, publisher_run, publisher_drop);
