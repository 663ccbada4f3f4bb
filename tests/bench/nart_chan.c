/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Channels between tasks of one thread, through the typed inline forms. */
#include "nart_rows.h"

#include <nart/chan.h>

NART_CHAN_TYPED(u64, uint64_t);

enum { PLACES = 64 };

struct ends {
    nart_tx tx;
    nart_rx rx;
};

/* ---- try_send and try_recv in one task ------------------------------------------------------ */

struct pair {
    struct work w;
    struct ends *ends;
};

static nart_res pair_run(nart_cx *cx, void *frame)
{
    struct pair *p = frame;
    struct ends *e = p->ends;
    uint64_t value = 0;
    (void)cx;

    for (uint64_t i = 0; i < p->w.n; i++) {
        bench_must(u64_try_send(&e->tx, i), "send");
        bench_must(u64_try_recv(&e->rx, &value), "recv");
        BENCH_KEEP(value);
    }
    return 0;
}

static double pair(nart_rt *rt, bench_how how, uint64_t n, uint32_t kind, uint32_t flags)
{
    static const nart_task_type type = NART_TASK_TYPE(struct pair, pair_run, NULL);
    struct ends ends = { 0 };
    nart_chan_opts o = { sizeof o, kind, flags, sizeof(uint64_t), PLACES, NULL };

    bench_must(nart_chan_open(rt, &o, &ends.tx, &ends.rx), "open");
    double per_op = how(rt, &type, &(struct pair){ .ends = &ends }, n);
    nart_tx_close(&ends.tx);
    nart_rx_close(&ends.rx);
    return per_op;
}

double local_pair(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_CHAN_LOCAL, 0);
}

double spsc_pair(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_CHAN_SPSC, NART_CHAN_SPINNING);
}

double spsc_pair_park(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_CHAN_SPSC, 0);
}

double mpsc_pair(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_CHAN_MPSC, 0);
}

/* ---- n values from a task to another, capacity 64 ------------------------------------------- */

struct producer {
    struct work w;
    nart_tx tx;
};

static nart_res producer_run(nart_cx *cx, void *frame)
{
    struct producer *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->w.co);
    for (p->w.i = 0; p->w.i < p->w.n && r == 0; p->w.i++)
        NART_AWAIT(r, u64_send(cx, &p->tx, p->w.i));
    nart_tx_close(&p->tx);
    NART_END(r);
}

struct stream {
    struct work w;
    nart_rx rx;
    nart_join producer;
    uint64_t value;
};

static void spawn_producer(nart_cx *cx, struct stream *s)
{
    static const nart_task_type type = NART_TASK_TYPE(struct producer, producer_run, NULL);
    struct producer *p = nart_spawn_begin(cx, &type, NULL);

    if (!p)
        bench_fail("spawn");
    p->w.n = s->w.n;
    bench_must(u64_open(nart_cx_rt(cx), NART_CHAN_LOCAL, PLACES, &p->tx, &s->rx), "open");
    nart_spawn_commit(cx, p, &s->producer);
}

static nart_res stream_run(nart_cx *cx, void *frame)
{
    struct stream *s = frame;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &s->w.co);
    spawn_producer(cx, s);
    for (s->w.i = 0; s->w.i < s->w.n && r == 0; s->w.i++) {
        NART_AWAIT(r, u64_recv(cx, &s->rx, &s->value));
        BENCH_KEEP(s->value);
    }
    bench_must(r, "recv");
    NART_AWAIT(r, nart_join_await(cx, &s->producer, &result));
    bench_must(r, "join");
    nart_join_release(&s->producer);
    nart_rx_close(&s->rx);
    NART_END(result);
}

double local_stream(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct stream, stream_run, NULL);

    return how(rt, &type, &(struct stream){ 0 }, n);
}

/* ---- n values to another task and back ------------------------------------------------------ */

/* One side: sends on tx and receives on rx, or vice versa. */
struct player {
    struct work w;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct player *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->w.co);
    for (;;) {
        NART_AWAIT(r, u64_recv(cx, &p->rx, &p->value));
        if (r < 0)
            break;
        NART_AWAIT(r, u64_send(cx, &p->tx, p->value));
        bench_must(r, "send");
    }
    nart_rx_close(&p->rx);
    nart_tx_close(&p->tx);
    NART_END(r == NART_ECLOSED ? 0 : r);
}

static nart_res echo_in_time_run(nart_cx *cx, void *frame)
{
    struct player *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->w.co);
    for (;;) {
        NART_AWAIT_FOR(r, 3600 * NART_SEC, u64_recv(cx, &p->rx, &p->value));
        if (r < 0)
            break;
        NART_AWAIT(r, u64_send(cx, &p->tx, p->value));
        bench_must(r, "send");
    }
    nart_rx_close(&p->rx);
    nart_tx_close(&p->tx);
    NART_END(r == NART_ECLOSED ? 0 : r);
}

struct game {
    struct player p;
    nart_join echo;
};

static void spawn_echo(nart_cx *cx, struct game *g, const nart_task_type *type)
{
    struct player *e = nart_spawn_begin(cx, type, NULL);

    if (!e)
        bench_fail("spawn");
    bench_must(u64_open(nart_cx_rt(cx), NART_CHAN_LOCAL, 1, &g->p.tx, &e->rx), "open");
    bench_must(u64_open(nart_cx_rt(cx), NART_CHAN_LOCAL, 1, &e->tx, &g->p.rx), "open");
    nart_spawn_commit(cx, e, &g->echo);
}

static nart_res pingpong_run(nart_cx *cx, void *frame)
{
    static const nart_task_type echo_type = NART_TASK_TYPE(struct player, echo_run, NULL);
    struct game *g = frame;
    struct player *p = &g->p;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &p->w.co);
    spawn_echo(cx, g, &echo_type);
    for (p->w.i = 0; p->w.i < p->w.n; p->w.i++) {
        NART_AWAIT(r, u64_send(cx, &p->tx, p->w.i));
        bench_must(r, "send");
        NART_AWAIT(r, u64_recv(cx, &p->rx, &p->value));
        bench_must(r, "recv");
        BENCH_KEEP(p->value);
    }
    nart_tx_close(&p->tx);
    NART_AWAIT(r, nart_join_await(cx, &g->echo, &result));
    nart_join_release(&g->echo);
    nart_rx_close(&p->rx);
    NART_END(r < 0 ? r : result);
}

double local_pingpong(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct game, pingpong_run, NULL);

    return how(rt, &type, &(struct game){ 0 }, n);
}

static nart_res deadline_pingpong_run(nart_cx *cx, void *frame)
{
    static const nart_task_type echo_type = NART_TASK_TYPE(struct player, echo_in_time_run, NULL);
    struct game *g = frame;
    struct player *p = &g->p;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &p->w.co);
    spawn_echo(cx, g, &echo_type);
    for (p->w.i = 0; p->w.i < p->w.n; p->w.i++) {
        NART_AWAIT(r, u64_send(cx, &p->tx, p->w.i));
        bench_must(r, "send");
        NART_AWAIT_FOR(r, 3600 * NART_SEC, u64_recv(cx, &p->rx, &p->value));
        bench_must(r, "recv");
        BENCH_KEEP(p->value);
    }
    nart_tx_close(&p->tx);
    NART_AWAIT(r, nart_join_await(cx, &g->echo, &result));
    nart_join_release(&g->echo);
    nart_rx_close(&p->rx);
    NART_END(r < 0 ? r : result);
}

double deadline_pingpong(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct game, deadline_pingpong_run, NULL);

    return how(rt, &type, &(struct game){ 0 }, n);
}
