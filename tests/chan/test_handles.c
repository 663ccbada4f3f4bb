/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Channel ends as handles: shared by mistake, raced, closed and moved while a task waits on them,
 * left in the middle of a poll. */
#include "chan_test.h"

#include <stdlib.h>

/* ---- one waiter per end ---- */

TEST_EACH(second_task_is_refused, LOCAL, SPSC, MPSC)
{
    struct op first, second;
    OPEN(chan, c, kind, 1);
    recv_start(c.rt, &first, &c.rx);
    recv_start(c.rt, &second, &c.rx);
    CHECK_RES(second.res, -EBUSY);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    settle(c.rt);
    CHECK_RES(first.res, 0);

    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    send_start(c.rt, &first, &c.tx, 3);
    send_start(c.rt, &second, &c.tx, 4);
    CHECK_RES(second.res, -EBUSY);
    CHECK_NEXT(&c.rx, 2);
    settle(c.rt);
    CHECK_RES(first.res, 0);
    CHECK_NEXT(&c.rx, 3);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
}

struct twice {
    nart_co co, a, b;
    nart_rx *rx;
    uint64_t value, other;
    int which;
    bool bodies;
};

static nart_res one_recv(nart_cx *cx, nart_co *co, nart_rx *rx, uint64_t *value)
{
    nart_res r = 0;

    NART_BEGIN(cx, co);
    NART_AWAIT(r, u64_recv(cx, rx, value));
    NART_END(r);
}

static nart_res twice_run(nart_cx *cx, void *frame)
{
    struct twice *t = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &t->co);
    if (t->bodies) {
        NART_AWAIT_ANY(t->which, r, one_recv(cx, &t->a, t->rx, &t->value),
                       one_recv(cx, &t->b, t->rx, &t->other));
    } else {
        NART_AWAIT_ANY(t->which, r, u64_recv(cx, t->rx, &t->value), u64_recv(cx, t->rx, &t->other));
    }
    NART_END(r == 0 ? (nart_res)(t->value * 10 + (uint64_t)t->which) : r);
}

static const nart_task_type twice_type = NART_TASK_TYPE(struct twice, twice_run, NULL);

/* Two receives from one end in one race: in one body they are one wait, and the value is received
 * once; in two bodies the second one fails. */
TEST_EACH(end_in_one_race_twice, LOCAL, SPSC, MPSC)
{
    nart_join join = { 0 };
    nart_res res = 0;
    OPEN(chan, c, kind, 4);
    struct twice t = { .rx = &c.rx };
    CHECK_RES(nart_rt_spawn(c.rt, &twice_type, &t, &join), 0);
    settle(c.rt);
    CHECK_RES(u64_try_send(&c.tx, 4), 0);
    CHECK_RES(u64_try_send(&c.tx, 5), 0);
    settle(c.rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(((struct twice *)nart_join_frame(&join))->value, 4);
    nart_join_release(&join);
    CHECK_NEXT(&c.rx, 5);

    t.bodies = true;
    CHECK_RES(nart_block_on(c.rt, &twice_type, &t, &res), 0);
    CHECK_RES(res, -EBUSY);
    CHECK_RES(u64_try_send(&c.tx, 6), 0);
    CHECK_NEXT(&c.rx, 6);
}

struct merge {
    nart_co co;
    nart_rx *a, *b;
    uint64_t value, sum, count;
    int which;
};

static nart_res merge_run(nart_cx *cx, void *frame)
{
    struct merge *m = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &m->co);
    for (; m->count > 0; m->count--) {
        NART_AWAIT_ANY(m->which, r, u64_recv(cx, m->a, &m->value), u64_recv(cx, m->b, &m->value));
        CHECK_RES(r, 0);
        CHECK_EQ(m->value & 1, m->which);
        m->sum += m->value;
    }
    NART_END((nart_res)m->sum);
}

static const nart_task_type merge_type = NART_TASK_TYPE(struct merge, merge_run, NULL);

/* A receive that repeatedly loses races loses no value. */
TEST_EACH(losers_lose_nothing, LOCAL, SPSC, MPSC)
{
    struct chan a, b;
    nart_join join = { 0 };
    uint64_t seed = 5, sum = 0;
    chan_open(&a, kind, 4);
    b.rt = a.rt;
    CHECK_RES(u64_open(b.rt, kind, 4, &b.tx, &b.rx), 0);
    struct merge m = { .a = &a.rx, .b = &b.rx, .count = 10000 };
    CHECK_RES(nart_rt_spawn(a.rt, &merge_type, &m, &join), 0);
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t value = random_next(&seed);
        CHECK_RES(u64_try_send(value & 1 ? &b.tx : &a.tx, value), 0);
        sum += value;
        if (random_below(&seed, 4) == 0 || i % 4 == 3)
            settle(a.rt);
    }
    settle(a.rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(((struct merge *)nart_join_frame(&join))->sum, sum);
    nart_join_release(&join);
    nart_tx_close(&b.tx);
    nart_rx_close(&b.rx);
    chan_finish(&a);
}

struct stages {
    nart_co co;
    nart_rx *a, *b;
    uint64_t value;
    unsigned *polls;
    int *stage;
};

static nart_res stages_run(nart_cx *cx, void *frame)
{
    struct stages *s = frame;
    nart_res r = 0;

    ++*s->polls;
    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, u64_recv(cx, s->a, &s->value));
    CHECK_RES(r, 0);
    *s->stage = 1;
    NART_AWAIT(r, u64_recv(cx, s->b, &s->value));
    CHECK_RES(r, 0);
    *s->stage = 2;
    NART_END(0);
}

static const nart_task_type stages_type = NART_TASK_TYPE(struct stages, stages_run, NULL);

/* A task that has received and now waits for something else is no longer woken by the first
 * channel, neither at once nor through a waker left there. */
TEST_EACH(old_waits_are_forgotten, LOCAL, SPSC, MPSC)
{
    struct chan a, b;
    unsigned polls = 0;
    int stage = 0;
    chan_open(&a, kind, 8);
    b.rt = a.rt;
    CHECK_RES(u64_open(b.rt, kind, 8, &b.tx, &b.rx), 0);
    struct stages s = { .a = &a.rx, .b = &b.rx, .polls = &polls, .stage = &stage };
    CHECK_RES(nart_rt_spawn(a.rt, &stages_type, &s, NULL), 0);
    settle(a.rt);
    CHECK_RES(u64_try_send(&a.tx, 1), 0);
    settle(a.rt);
    CHECK_EQ(stage, 1);
    CHECK_EQ(polls, 2);
    for (uint64_t i = 0; i < 4; i++) {
        CHECK_RES(u64_try_send(&a.tx, i), 0);
        settle(a.rt);
    }
    CHECK_EQ(polls, 2);
    CHECK_RES(u64_try_send(&b.tx, 1), 0);
    settle(a.rt);
    CHECK_EQ(stage, 2);
    CHECK_EQ(polls, 3);
    nart_tx_close(&b.tx);
    nart_rx_close(&b.rx);
    chan_finish(&a);
}

/* ---- closing and moving ---- */

/* Closing an end wakes the task that waits on it. */
TEST_EACH(closed_under_the_waiter, LOCAL, SPSC, MPSC)
{
    struct chan c;
    struct op op;
    chan_open(&c, kind, 1);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    send_start(c.rt, &op, &c.tx, 2);
    nart_tx_close(&c.tx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
    chan_finish(&c);

    chan_open(&c, kind, 1);
    recv_start(c.rt, &op, &c.rx);
    nart_rx_close(&c.rx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    chan_finish(&c);
}

/* A moved end is the same end: position, values and peer are kept. A task waiting on the old handle
 * finds it closed, even if it was already woken; no value is lost. */
TEST_EACH(ends_move, LOCAL, SPSC, MPSC)
{
    struct op op;
    nart_tx tx;
    nart_rx rx;
    OPEN(chan, c, kind, 2);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    nart_tx_move(&tx, &c.tx);
    nart_rx_move(&rx, &c.rx);
    nart_tx_move(&tx, &tx);
    nart_rx_move(&rx, &rx);
    CHECK_RES(u64_try_send(&c.tx, 2), NART_ECLOSED);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
    CHECK_RES(u64_try_send(&tx, 2), 0);
    CHECK_NEXT(&rx, 1);
    CHECK_NEXT(&rx, 2);

    recv_start(c.rt, &op, &rx);
    nart_rx_move(&c.rx, &rx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);

    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(u64_try_send(&tx, 3), 0); /* woken, not yet polled */
    nart_rx_move(&rx, &c.rx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_NEXT(&rx, 3);

    CHECK_RES(u64_try_send(&tx, 4), 0);
    CHECK_RES(u64_try_send(&tx, 5), 0);
    send_start(c.rt, &op, &tx, 6);
    CHECK_NEXT(&rx, 4);
    nart_tx_move(&c.tx, &tx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_RES(u64_try_send(&c.tx, 7), 0);
    CHECK_NEXT(&rx, 5);
    CHECK_NEXT(&rx, 7);

    recv_start(c.rt, &op, &rx); /* waiting works on the new handle */
    CHECK_RES(u64_try_send(&c.tx, 8), 0);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    nart_rx_close(&rx);
}

struct closer {
    nart_co co;
    nart_rx rx, other;
    uint64_t value;
    unsigned *polls;
};

static nart_res closer_run(nart_cx *cx, void *frame)
{
    struct closer *k = frame;
    nart_res r = 0;

    ++*k->polls;
    NART_BEGIN(cx, &k->co);
    NART_AWAIT(r, u64_recv(cx, &k->rx, &k->value));
    CHECK_RES(r, 0);
    nart_rx_close(&k->rx);
    NART_AWAIT(r, u64_recv(cx, &k->other, &k->value));
    nart_rx_close(&k->other);
    NART_END(r);
}

static const nart_task_type closer_type = NART_TASK_TYPE(struct closer, closer_run, NULL);

/* Closing the ends it has used does not wake the body that closes them. */
TEST_EACH(closing_does_not_wake_the_closing_task, LOCAL, SPSC, MPSC)
{
    unsigned polls = 0;
    nart_tx other;
    struct closer k = { .polls = &polls };
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_open(c.rt, kind, 1, &other, &k.other), 0);
    nart_rx_move(&k.rx, &c.rx);
    CHECK_RES(nart_rt_spawn(c.rt, &closer_type, &k, NULL), 0);
    settle(c.rt);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    settle(c.rt);
    CHECK_EQ(polls, 2);
    nart_tx_close(&other);
    settle(c.rt);
    CHECK_EQ(polls, 3);
}

/* ---- completion ends the wait ---- */

enum { WAY_RECV, WAY_TYPED, WAY_MANY, WAYS };

struct guest {
    nart_co co;
    nart_rx rx;
    uint64_t value;
};

struct host {
    nart_co co;
    nart_rx first, other;
    struct guest *guest; /* on the heap */
    uint64_t value;
    int way;
};

static nart_res guest_recv(nart_cx *cx, struct guest *g, int way)
{
    nart_res r;

    switch (way) {
    case WAY_RECV:
        return nart_recv(cx, &g->rx, &g->value);
    case WAY_TYPED:
        return u64_recv(cx, &g->rx, &g->value);
    default:
        r = nart_recv_many(cx, &g->rx, &g->value, 1);
        return r == 1 ? 0 : r;
    }
}

static nart_res guest_run(nart_cx *cx, struct guest *g, int way)
{
    nart_res r = 0;

    NART_BEGIN(cx, &g->co);
    NART_AWAIT(r, guest_recv(cx, g, way));
    NART_END(r);
}

/* Runs a guest, takes over its end and frees its memory; then waits on another end. */
static nart_res host_run(nart_cx *cx, void *frame)
{
    struct host *h = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &h->co);
    h->guest = calloc(1, sizeof *h->guest);
    CHECK(h->guest);
    nart_rx_move(&h->guest->rx, &h->first);
    NART_AWAIT(r, guest_run(cx, h->guest, h->way));
    CHECK_RES(r, 0);
    CHECK_EQ(h->guest->value, 1);
    nart_rx_move(&h->first, &h->guest->rx);
    memset(h->guest, 0xee, sizeof *h->guest);
    free(h->guest);
    NART_AWAIT(r, u64_recv(cx, &h->other, &h->value));
    CHECK_RES(r, 0);
    CHECK_EQ(h->value, 2);
    NART_AWAIT(r, u64_recv(cx, &h->first, &h->value));
    nart_rx_close(&h->first);
    nart_rx_close(&h->other);
    NART_END(r == 0 ? (nart_res)h->value : r);
}

static const nart_task_type host_type = NART_TASK_TYPE(struct host, host_run, NULL);

/* Once a receive has completed, its end may be moved and its memory freed while the task waits on
 * something else. */
TEST_EACH(answer_ends_the_wait, LOCAL, SPSC, MPSC)
{
    for (int way = 0; way < WAYS; way++) {
        struct host h = { .way = way };
        nart_tx other;
        nart_join join = { 0 };
        OPEN(chan, c, kind, 4);
        CHECK_RES(u64_open(c.rt, LOCAL, 4, &other, &h.other), 0);
        nart_rx_move(&h.first, &c.rx);
        CHECK_RES(nart_rt_spawn(c.rt, &host_type, &h, &join), 0);
        settle(c.rt); /* the guest waits */
        CHECK_RES(u64_try_send(&c.tx, 1), 0);
        settle(c.rt);
        CHECK_RES(u64_try_send(&other, 2), 0);
        settle(c.rt);
        CHECK_RES(u64_try_send(&c.tx, 3), 0);
        settle(c.rt);
        CHECK(nart_join_done(&join));
        nart_join_release(&join);
        nart_tx_close(&other);
    }
}

struct leaver {
    nart_tx *tx; /* on the heap; moved to `kept` once sent */
    nart_rx *idle;
    nart_tx kept;
    uint64_t value;
    unsigned polls;
};

/* A hand-written poll function: a send waits; then a try-send takes the free slot, and the waiting
 * send completes after it. */
static nart_res leaver_poll(nart_cx *cx, void *frame)
{
    struct leaver *l = *(struct leaver **)frame;

    if (l->polls++ == 0)
        return u64_send(cx, l->tx, 5);
    if (!l->tx)
        return u64_recv(cx, l->idle, &l->value);
    CHECK_RES(u64_try_send(l->tx, 4), 0);
    CHECK_RES(u64_send(cx, l->tx, 5), 0);
    memcpy(&l->kept, l->tx, sizeof l->kept);
    memset(l->tx, 0xee, sizeof *l->tx);
    free(l->tx);
    l->tx = NULL;
    return u64_recv(cx, l->idle, &l->value);
}

static const nart_task_type leaver_type = NART_TASK_TYPE(struct leaver *, leaver_poll, NULL);

TEST_EACH(sent_ends_the_wait, LOCAL, SPSC, MPSC)
{
    struct chan c, idle;
    struct leaver l = { .tx = calloc(1, sizeof(nart_tx)), .idle = &idle.rx }, *frame = &l;
    chan_open(&c, kind, 2);
    idle.rt = c.rt;
    CHECK_RES(u64_open(c.rt, LOCAL, 1, &idle.tx, &idle.rx), 0);
    CHECK(l.tx);
    nart_tx_move(l.tx, &c.tx);
    CHECK_RES(u64_try_send(l.tx, 1), 0);
    CHECK_RES(u64_try_send(l.tx, 2), 0);
    CHECK_RES(nart_rt_spawn(c.rt, &leaver_type, &frame, NULL), 0);
    settle(c.rt);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NEXT(&c.rx, 2);
    settle(c.rt);
    CHECK_EQ(l.polls, 2);
    CHECK_NEXT(&c.rx, 4);
    CHECK_NEXT(&c.rx, 5);
    CHECK_RES(u64_try_send(&idle.tx, 6), 0);
    settle(c.rt);
    CHECK_EQ(l.value, 6);
    nart_tx_move(&c.tx, &l.kept);
    nart_tx_close(&idle.tx);
    nart_rx_close(&idle.rx);
    chan_finish(&c);
}
