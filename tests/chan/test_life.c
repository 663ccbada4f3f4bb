/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Channels from opening to freeing, on one thread: values never received, streams between tasks,
 * the budget of a poll, memory, and runtimes freed before their channels. */
#include "chan_test.h"

#include <nart/oneshot.h>

/* ---- values never received ---- */

static int alive;

struct token {
    _Alignas(32) int value;
};

static void token_drop(void *value)
{
    struct token *t = value;
    CHECK_EQ((uintptr_t)value % _Alignof(struct token), 0);
    CHECK_EQ(t->value, 77);
    t->value = 0;
    alive--;
}

/* Each value is dropped once: by its receiver, or by the close of the receiving end, whether or not
 * the sender closed first. */
static void leftovers_are_dropped_once(uint32_t kind, bool sender_first)
{
    nart_rt *rt = new_rt();
    nart_chan_opts o = { sizeof o, kind, 0, sizeof(struct token), 4, token_drop };
    nart_tx tx;
    nart_rx rx;
    struct token t = { 77 };

    alive = 0;
    CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
    for (int i = 0; i < 11; i++) { /* so that the leftovers wrap around the end of the ring */
        CHECK_RES(nart_try_send(&tx, &t), 0);
        if (i < 8)
            CHECK_RES(nart_try_recv(&rx, &t), 0);
        else
            alive++;
    }
    CHECK_EQ(alive, 3);
    if (sender_first)
        nart_tx_close(&tx);
    else
        nart_rx_close(&rx);
    CHECK_EQ(alive, sender_first ? 3 : 0);
    nart_rx_close(&rx);
    CHECK_EQ(alive, 0);
    nart_tx_close(&tx);
    CHECK_EQ(alive, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_EACH(leftovers_are_dropped_once, LOCAL, SPSC, MPSC)
{
    leftovers_are_dropped_once(kind, true);
    leftovers_are_dropped_once(kind, false);
}

/* The receiver's close answers a pending request while its sender is open. */
static void request_drop(void *value)
{
    nart_oneshot_tx_close(value);
}

TEST_EACH(pending_requests_are_answered, LOCAL, SPSC, MPSC)
{
    nart_rt *rt = new_rt();
    nart_chan_opts o = { sizeof o, kind, 0, sizeof(nart_oneshot_tx), 4, request_drop };
    nart_tx tx;
    nart_rx rx;
    nart_oneshot_tx request;
    nart_oneshot_rx answer[2];
    int value;

    CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_oneshot_open(rt, sizeof value, NULL, &request, &answer[i]), 0);
        CHECK_RES(nart_try_send(&tx, &request), 0);
        CHECK_RES(nart_oneshot_try_recv(&answer[i], &value), -EAGAIN);
    }
    nart_rx_close(&rx);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_oneshot_try_recv(&answer[i], &value), NART_ECLOSED);
        nart_oneshot_rx_close(&answer[i]);
    }
    nart_tx_close(&tx);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* A value may hold the only sender of the channel that it is in. */
static void sender_drop(void *value)
{
    nart_tx_close(value);
}

TEST_EACH(sender_in_its_own_channel, LOCAL, MPSC)
{
    nart_rt *rt = new_rt();
    nart_chan_opts o = { sizeof o, kind, 0, sizeof(nart_tx), 4, sender_drop };
    nart_tx tx, moved = { .type = 0 };
    nart_rx rx;

    CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
    CHECK_RES(nart_try_send(&tx, &moved), 0);
    CHECK_RES(nart_try_send(&tx, &moved), 0);
    nart_tx_move(&moved, &tx);
    CHECK_RES(nart_try_send(&moved, &moved), 0); /* sends the handle as it was before the call */
    nart_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- a receiver that shuts down ---- */

/* No further send succeeds; values already sent are received, then NART_ECLOSED. */
static void check_shut_drains(uint32_t kind, uint32_t flags)
{
    nart_rt *rt = NEW_RT(.flags = flags ? NART_RT_SPINNING : 0);
    nart_chan_opts o = { sizeof o, kind, flags, sizeof(uint64_t), 4, NULL };
    struct chan c = { .rt = rt };
    struct op op;
    uint64_t v[3] = { 7, 8, 9 };

    CHECK_RES(nart_chan_open(rt, &o, &c.tx, &c.rx), 0);
    CHECK_RES(nart_try_send_many(&c.tx, v, 3), 3);
    CHECK(!nart_tx_is_closed(&c.tx));
    nart_rx_shut(&c.rx);
    nart_rx_shut(&c.rx);
    CHECK(nart_tx_is_closed(&c.tx));
    CHECK(!nart_rx_is_closed(&c.rx));
    CHECK_RES(u64_try_send(&c.tx, 1), NART_ECLOSED);
    CHECK_RES(nart_try_send_many(&c.tx, v, 3), NART_ECLOSED);
    send_start(rt, &op, &c.tx, 1);
    CHECK_RES(op.res, NART_ECLOSED);
    if (kind != LOCAL)
        CHECK_RES(nart_send_blocking(&c.tx, v, NART_NEVER), NART_ECLOSED);
    CHECK_NEXT(&c.rx, 7);
    CHECK_EQ(nart_rx_len(&c.rx), 2);
    recv_start(rt, &op, &c.rx);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 8);
    CHECK_RES(nart_try_recv_many(&c.rx, v, 3), 1);
    CHECK_EQ(v[0], 9);
    for (int i = 0; i < 2; i++) {
        CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
        CHECK_RES(nart_try_recv(&c.rx, v), NART_ECLOSED);
        CHECK_RES(nart_try_recv_many(&c.rx, v, 3), NART_ECLOSED);
        recv_start(rt, &op, &c.rx);
        CHECK_RES(op.res, NART_ECLOSED);
        nart_rx_shut(&c.rx);
        if (kind != LOCAL && !flags)
            CHECK_RES(nart_recv_blocking(&c.rx, v, NART_NEVER), NART_ECLOSED);
        CHECK_EQ(nart_rx_len(&c.rx), 0);
        CHECK_RES(u64_try_send(&c.tx, 1), NART_ECLOSED);
    }
    chan_finish(&c);
}

TEST_EACH(a_shut_receiver_drains, LOCAL, SPSC, MPSC)
{
    check_shut_drains(kind, 0);
    if (kind != LOCAL)
        check_shut_drains(kind, NART_CHAN_SPINNING);
}

/* Shutting the receiver wakes every waiter: senders, with a granted slot or queued, and a
 * receiver. */
TEST_EACH(a_shut_wakes_the_waiters, LOCAL, SPSC, MPSC)
{
    struct chan c;
    struct op op[3];
    nart_tx tx[3] = { { .type = 0 } };
    int senders = kind == SPSC ? 1 : 3;

    chan_open(&c, kind, 1);
    recv_start(c.rt, &op[0], &c.rx);
    nart_rx_shut(&c.rx);
    settle(c.rt);
    CHECK_RES(op[0].res, NART_ECLOSED);
    chan_finish(&c);

    chan_open(&c, kind, 1);
    CHECK_RES(u64_try_send(&c.tx, 5), 0);
    nart_tx_move(&tx[0], &c.tx);
    for (int i = 1; i < senders; i++)
        CHECK_RES(nart_tx_clone(&tx[0], &tx[i]), 0);
    for (int i = 0; i < senders; i++) {
        send_start(c.rt, &op[i], &tx[i], 6);
        CHECK_RES(op[i].res, NART_PENDING);
    }
    CHECK_NEXT(&c.rx, 5); /* grants a slot to the first, which is not yet polled */
    nart_rx_shut(&c.rx);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
    settle(c.rt);
    for (int i = 0; i < senders; i++) {
        CHECK_RES(op[i].res, NART_ECLOSED);
        nart_tx_close(&tx[i]);
    }
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
    chan_finish(&c);
}

/* ---- through tasks ---- */

struct flow {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    uint64_t count, next, sum, value;
};

static nart_res produce(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (; f->next < f->count; f->next++) {
        NART_AWAIT(r, u64_send(cx, &f->tx, f->next));
        CHECK_RES(r, 0);
    }
    nart_tx_close(&f->tx);
    NART_END(0);
}

/* Returns the number of values received, checking their order. */
static nart_res consume(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;; f->next++) {
        NART_AWAIT(r, u64_recv(cx, &f->rx, &f->value));
        if (r == NART_ECLOSED)
            break;
        CHECK_RES(r, 0);
        CHECK_EQ(f->value, f->next);
    }
    nart_rx_close(&f->rx);
    NART_END((nart_res)f->next);
}

static const nart_task_type produce_type = NART_TASK_TYPE(struct flow, produce, NULL);
static const nart_task_type consume_type = NART_TASK_TYPE(struct flow, consume, NULL);

/* Sends every value from one task to another, in order, through channels down to capacity 1. */
static void stream(uint32_t kind, size_t capacity, uint64_t count)
{
    nart_res got = 0;
    OPEN(chan, c, kind, capacity);
    struct flow from = { .count = count }, to = { 0 };
    nart_tx_move(&from.tx, &c.tx);
    nart_rx_move(&to.rx, &c.rx);
    CHECK_RES(nart_rt_spawn(c.rt, &produce_type, &from, NULL), 0);
    CHECK_RES(nart_block_on(c.rt, &consume_type, &to, &got), 0);
    CHECK_EQ(got, count);
}

TEST_EACH(streams, LOCAL, SPSC, MPSC)
{
    stream(kind, 64, 10);
    stream(kind, 1, 10000);
    stream(kind, 2, 50000);
    stream(kind, 256, 100000);
}

/* ---- budget ---- */

struct hog {
    nart_co co;
    struct chan *c;
    uint64_t value, answers;
    nart_res want;
};

static nart_res hog_run(nart_cx *cx, void *frame)
{
    struct hog *h = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &h->co);
    for (; h->answers < 100000;) {
        NART_AWAIT(r, u64_send(cx, &h->c->tx, 1));
        CHECK_RES(r, h->want);
        NART_AWAIT(r, u64_recv(cx, &h->c->rx, &h->value));
        CHECK_RES(r, h->want);
        h->answers += 2;
    }
    NART_END(0);
}

static const nart_task_type hog_type = NART_TASK_TYPE(struct hog, hog_run, NULL);

/* A body whose channel is always ready still yields: NART_BUDGET answers per poll, whether values
 * or errors. */
static void budget(uint32_t kind, bool closed)
{
    OPEN(chan, c, kind, 4);
    if (closed) {
        nart_tx_close(&c.tx);
        nart_rx_close(&c.rx);
    }
    struct hog h = { .c = &c, .want = closed ? NART_ECLOSED : 0 };
    uint64_t polls = stats_of(c.rt).polls;
    CHECK_RES(nart_block_on(c.rt, &hog_type, &h, NULL), 0);
    CHECK_LE(100000 / NART_BUDGET, stats_of(c.rt).polls - polls);
}

TEST_EACH(budget, LOCAL, SPSC, MPSC)
{
    budget(kind, false);
    budget(kind, true);
}

/* ---- memory ---- */

static long asked;

static void *counting_alloc(void *arg, size_t size, size_t align)
{
    asked++;
    return test_alloc.alloc(arg, size, align);
}

/* Opening allocates once; sending, waiting and receiving do not allocate. */
TEST_EACH(allocates_at_open_only, LOCAL, SPSC, MPSC)
{
    nart_alloc counting = { counting_alloc, test_alloc.free, NULL };
    nart_rt *rt = new_rt_of(&(nart_rt_opts){ .size = sizeof(nart_rt_opts), .alloc = &counting });
    nart_tx tx;
    nart_rx rx;
    struct op op;

    long before = asked;
    CHECK_RES(u64_open(rt, kind, 2, &tx, &rx), 0);
    CHECK_EQ(asked, before + 1);
    for (uint64_t i = 0; i < 1000; i++) {
        recv_start(rt, &op, &rx);
        CHECK_RES(u64_try_send(&tx, i), 0);
        settle(rt);
        CHECK_RES(op.res, 0);
        CHECK_RES(u64_try_send(&tx, i), 0);
        CHECK_RES(u64_try_send(&tx, i), 0);
        send_start(rt, &op, &tx, i);
        for (int n = 0; n < 2; n++)
            CHECK_NEXT(&rx, i);
        settle(rt);
        CHECK_NEXT(&rx, i);
    }
    CHECK_EQ(asked, before + 1);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- the runtime is freed first ---- */

static nart_res wait_for_ever(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, u64_recv(cx, &f->rx, &f->value));
    NART_END(r);
}

static void ends_drop(void *frame)
{
    struct flow *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type wait_type = NART_TASK_TYPE(struct flow, wait_for_ever, ends_drop);

/* Ends outlive the runtime: afterwards values can be received, sent, and the ends closed. Tasks
 * linked by channels end with the runtime, in whichever order they were spawned. */
TEST_EACH(the_runtime_is_freed_first, LOCAL, SPSC, MPSC)
{
    struct chan c;
    nart_tx tx[2];
    nart_rx rx[2];
    chan_open(&c, kind, 4);
    for (int i = 0; i < 2; i++)
        CHECK_RES(u64_open(c.rt, kind, 4, &tx[i], &rx[i]), 0);
    for (int i = 0; i < 2; i++) { /* each waits for the other */
        struct flow f = { 0 };
        nart_tx_move(&f.tx, &tx[i]);
        nart_rx_move(&f.rx, &rx[1 - i]);
        CHECK_RES(nart_rt_spawn(c.rt, &wait_type, &f, NULL), 0);
    }
    settle(c.rt);
    CHECK_EQ(nart_rt_task_count(c.rt), 2);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(nart_rt_free(c.rt), 0);

    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
    nart_tx_close(&c.tx);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
    nart_rx_close(&c.rx);
}
