/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SPSC and MPSC channels where they differ from local ones, as far as one thread shows it: which
 * side is woken and when, spinning receivers, receivers bound to another runtime, other drivers,
 * fork. */
#include "by_hand.h"
#include "chan_test.h"
#include "threads.h"

#include <nart/driver.h>

#include <sys/wait.h>
#include <unistd.h>

static uint64_t wakes(nart_rt *rt)
{
    return stats_of(rt).wakes_foreign;
}

/* ---- which side is woken, and when ---- */

/* A sender on one runtime and the receiver's task on another, both driven by this thread. */
struct pair {
    struct chan c;
    nart_rt *from;
};

static void pair_open(struct pair *p, uint32_t kind, size_t capacity)
{
    chan_open(&p->c, kind, capacity);
    p->from = new_rt();
}

static void pair_finish(struct pair *p)
{
    chan_finish(&p->c);
    CHECK_RES(nart_rt_free(p->from), 0);
}

struct looker {
    nart_co co;
    nart_rx *rx;
    nart_rt *from;
    uint64_t value;
    uint64_t told_in_tick;
};

/* Receives two values in one poll, and checks whether the sender has been woken by then. */
static nart_res looker_run(nart_cx *cx, void *frame)
{
    struct looker *l = frame;
    uint64_t before = wakes(l->from);

    (void)cx;
    CHECK_NEXT(l->rx, 1);
    CHECK_NEXT(l->rx, 2);
    settle(l->from);
    CHECK_EQ(wakes(l->from), before);
    return 0;
}

static const nart_task_type looker_type = NART_TASK_TYPE(struct looker, looker_run, NULL);

/* Receives of one tick wake the sender once, when that tick ends. */
TEST_EACH(a_sender_is_woken_once_per_tick, SPSC, MPSC)
{
    struct op op;
    OPEN(pair, p, kind, 2);
    CHECK_RES(u64_try_send(&p.c.tx, 1), 0);
    CHECK_RES(u64_try_send(&p.c.tx, 2), 0);
    send_start(p.from, &op, &p.c.tx, 3);
    CHECK_RES(op.res, NART_PENDING);
    struct looker l = { .rx = &p.c.rx, .from = p.from };
    CHECK_RES(nart_rt_spawn(p.c.rt, &looker_type, &l, NULL), 0);
    CHECK_RES(nart_rt_poll(p.c.rt, 0), 1);
    settle(p.from);
    CHECK_RES(op.res, 0);
    CHECK_EQ(wakes(p.from), 1);
    CHECK_NEXT(&p.c.rx, 3);
}

/* Outside its loop, or without one, a receiver wakes the sender at once. */
TEST_EACH(a_sender_is_woken_at_once_outside_the_loop, SPSC, MPSC)
{
    struct op op;
    OPEN(pair, p, kind, 1);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_RES(u64_try_send(&p.c.tx, i), 0);
        send_start(p.from, &op, &p.c.tx, 9);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_NEXT(&p.c.rx, i);
        settle(p.from);
        CHECK_RES(op.res, 0);
        CHECK_NEXT(&p.c.rx, 9);
        if (i == 0)
            CHECK_RES(nart_rx_bind(&p.c.rx, NULL), 0);
        if (i == 1)
            CHECK_RES(nart_rx_bind(&p.c.rx, p.c.rt), 0);
    }
}

/* A tick's pending wake is delivered even if its loop is not run again: when the runtime is freed,
 * and when the receiver closes or is bound elsewhere. */
TEST_EACH(a_sender_is_woken_at_the_end, SPSC, MPSC)
{
    for (int how = 0; how < 3; how++) {
        struct op op;
        OPEN(pair, p, kind, 1);
        CHECK_RES(u64_try_send(&p.c.tx, 1), 0);
        send_start(p.from, &op, &p.c.tx, 2);
        switch (how) {
        case 0:
            CHECK_RES(nart_rt_free(p.c.rt), 0);
            CHECK_NEXT(&p.c.rx, 1);
            p.c.rt = NULL;
            break;
        case 1:
            CHECK_NEXT(&p.c.rx, 1);
            CHECK_RES(nart_rx_bind(&p.c.rx, NULL), 0);
            break;
        default:
            nart_rx_close(&p.c.rx);
        }
        settle(p.from);
        CHECK_RES(op.res, how < 2 ? 0 : NART_ECLOSED);
    }
}

/* A receive that was cancelled or timed out is not woken by later values, nor such a send by later
 * free slots. */
TEST_EACH(unused_wakers_are_released, SPSC, MPSC)
{
    struct op op;
    OPEN(pair, p, kind, 4);
    for (int i = 0; i < 2; i++) {
        recv_start(p.c.rt, &op, &p.c.rx);
        if (i == 0)
            CHECK_RES(nart_task_cancel(p.c.rt, op.id), 0);
        else
            CHECK_RES(nart_task_abort(p.c.rt, op.id), 0);
        settle(p.c.rt);
        CHECK_RES(op.res, -ECANCELED);
    }
    op = (struct op){ .rx = &p.c.rx, .limit = 0 };
    op_start(p.c.rt, &op);
    CHECK_RES(op.res, -ETIMEDOUT);
    uint64_t before = wakes(p.c.rt);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_RES(u64_try_send(&p.c.tx, i), 0);
    settle(p.c.rt);
    CHECK_EQ(wakes(p.c.rt), before);

    send_start(p.from, &op, &p.c.tx, 4);
    CHECK_RES(nart_task_cancel(p.from, op.id), 0);
    settle(p.from);
    before = wakes(p.from);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_NEXT(&p.c.rx, i);
    settle(p.from);
    CHECK_EQ(wakes(p.from), before);
}

/* ---- spinning ---- */

static void spinning_open(struct chan *c, uint32_t kind, size_t capacity)
{
    nart_chan_opts o = { sizeof o, kind, NART_CHAN_SPINNING, sizeof(uint64_t), capacity, NULL };
    c->rt = NEW_RT(.flags = NART_RT_SPINNING);
    CHECK_RES(nart_chan_open(c->rt, &o, &c->tx, &c->rx), 0);
}

/* A spinning receiver finds values and the close by polling, without a wake. */
TEST_EACH(a_spinning_receiver_needs_no_wake, SPSC, MPSC)
{
    struct chan c;
    struct op op;
    spinning_open(&c, kind, 2);
    for (uint64_t i = 0; i < 10; i++) {
        recv_start(c.rt, &op, &c.rx);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(u64_try_send(&c.tx, i), 0);
        settle(c.rt);
        CHECK_RES(op.res, 0);
        CHECK_EQ(op.value, i);
    }
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(nart_task_cancel(c.rt, op.id), 0);
    settle(c.rt);
    CHECK_RES(op.res, -ECANCELED);
    recv_start(c.rt, &op, &c.rx);
    nart_tx_close(&c.tx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_EQ(wakes(c.rt), 0);
    chan_finish(&c);
}

/* The sender of a spinning receiver parks and is woken without another call: by a receive before
 * the loop first runs and after it has returned, by a receive in a task, by the close. */
TEST_EACH(a_spinning_receiver_wakes_its_sender, SPSC, MPSC)
{
    for (int how = 0; how < 5; how++) {
        struct chan c;
        struct op op, receive;
        uint64_t value;
        nart_rt *from = new_rt();
        spinning_open(&c, kind, 1);
        CHECK_RES(u64_try_send(&c.tx, 1), 0);
        send_start(from, &op, &c.tx, 2);
        CHECK_RES(op.res, NART_PENDING);
        if (how == 1 || how == 2) {
            settle(c.rt);
            settle(from);
            CHECK_EQ(op.polls, 1); /* nothing was received */
        }
        if (how < 2)
            CHECK_NEXT(&c.rx, 1);
        if (how == 2)
            CHECK_RES(nart_try_recv_many(&c.rx, &value, 1), 1);
        if (how == 3)
            recv_start(c.rt, &receive, &c.rx);
        if (how == 4)
            nart_rx_close(&c.rx);
        settle(from);
        CHECK_RES(op.res, how < 4 ? 0 : NART_ECLOSED);
        CHECK_EQ(op.polls, 2);
        chan_finish(&c);
        CHECK_RES(nart_rt_free(from), 0);
    }
}

/* ---- a receiver and its runtime ---- */

/* A receiver is awaited on the loop that it belongs to, or on any loop if it belongs to none. */
TEST_EACH(receiver_belongs_to_one_loop, SPSC, MPSC)
{
    struct op op;
    nart_rt *other = new_rt();
    OPEN(chan, c, kind, 4);
    recv_start(other, &op, &c.rx);
    CHECK_RES(op.res, NART_EWRONGTHREAD);
    CHECK_RES(nart_rx_bind(&c.rx, other), 0);
    for (int i = 0; i < 2; i++) {
        recv_start(other, &op, &c.rx);
        CHECK_RES(nart_rx_bind(&c.rx, NULL), -EBUSY);
        CHECK_RES(u64_try_send(&c.tx, 7), 0);
        settle(other);
        CHECK_RES(op.res, 0);
        CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
    }
    CHECK_RES(nart_rt_free(other), 0); /* no longer its own */
    recv_start(c.rt, &op, &c.rx);
    nart_tx_close(&c.tx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

struct handing {
    nart_co co;
    nart_rx *rx;
    nart_rt *to;
    uint64_t value;
};

static nart_res handing_run(nart_cx *cx, void *frame)
{
    struct handing *h = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &h->co);
    NART_AWAIT(r, u64_recv(cx, h->rx, &h->value));
    CHECK_RES(r, 0);
    NART_END(nart_rx_bind(h->rx, h->to)); /* in the poll that has just received: no task waits */
}

static const nart_task_type handing_type = NART_TASK_TYPE(struct handing, handing_run, NULL);

TEST_EACH(receiver_is_bound_by_its_own_task, SPSC, MPSC)
{
    struct op op;
    nart_join join = { 0 };
    nart_rt *other = new_rt();
    OPEN(chan, c, kind, 4);
    struct handing h = { .rx = &c.rx, .to = other };
    CHECK_RES(nart_rt_spawn(c.rt, &handing_type, &h, &join), 0);
    settle(c.rt);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    settle(c.rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    recv_start(other, &op, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    settle(other);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 2);
    CHECK_RES(nart_rt_free(other), 0);
}

struct elsewhere {
    nart_rx *rx;
    nart_rt *rt;
};

static void *bind_elsewhere(void *arg)
{
    struct elsewhere *e = arg;
    CHECK_RES(nart_rx_bind(e->rx, e->rt), NART_EWRONGTHREAD);
    return NULL;
}

/* A receiver can be neither bound to nor taken from a runtime of another thread. */
TEST_EACH(bind_touches_no_other_thread, SPSC, MPSC)
{
    nart_rt *mine = new_rt();
    OPEN(chan, c, kind, 4);
    CHECK_RES(nart_rt_bind(c.rt), 0);
    CHECK_RES(nart_rt_bind(mine), 0);
    struct elsewhere e[] = { { &c.rx, NULL }, { &c.rx, mine } };
    for (int i = 0; i < 3; i++) {
        thread_run(bind_elsewhere, &e[i != 0]);
        if (i == 1)
            CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
    }
    CHECK_RES(nart_rt_free(mine), 0);
}

TEST_EACH(bind_refuses, SPSC, MPSC)
{
    struct chan c;
    nart_rt *busy = NEW_RT(.flags = NART_RT_SPINNING);
    struct op op;
    chan_open(&c, LOCAL, 4);
    CHECK_RES(nart_rx_bind(&c.rx, busy), -EINVAL);
    CHECK_RES(nart_rx_bind(&c.rx, NULL), -EINVAL);
    chan_finish(&c);

    spinning_open(&c, kind, 4);
    nart_rt *parks = new_rt();
    CHECK_RES(nart_rx_bind(&c.rx, parks), -EINVAL);
    CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
    recv_start(parks, &op, &c.rx); /* it would never be woken */
    CHECK_RES(op.res, NART_EWRONGTHREAD);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_NEXT(&c.rx, 1);
    CHECK_RES(nart_rx_bind(&c.rx, busy), 0);
    recv_start(busy, &op, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    settle(busy);
    CHECK_RES(op.res, 0);
    CHECK_RES(nart_rt_free(parks), 0);
    CHECK_RES(nart_rt_free(busy), 0);
    chan_finish(&c);
}

/* A spinning receiver whose runtime was freed can be bound to another. */
TEST_EACH(spinning_receiver_outlives_its_runtime, SPSC, MPSC)
{
    struct chan c;
    struct op op;
    spinning_open(&c, kind, 4);
    CHECK_RES(nart_rt_free(c.rt), 0);
    c.rt = NEW_RT(.flags = NART_RT_SPINNING);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(op.res, 0); /* available values are received */
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(op.res, NART_EWRONGTHREAD);
    CHECK_RES(nart_rx_bind(&c.rx, c.rt), 0);
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    chan_finish(&c);
}

/* ---- another driver ---- */

/* Tasks of any driver may wait on such ends: on a sender always, on a receiver that belongs to no
 * loop. */
TEST_EACH(ends_under_another_driver, SPSC, MPSC)
{
    struct by_hand host;
    struct op op;
    struct op_frame frame;
    struct nart__task task;

    by_hand_open(&host, 0);
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    op = (struct op){ .tx = &c.tx, .value = 2, .limit = NART_NEVER, .res = NART_PENDING };
    frame = (struct op_frame){ .op = &op };
    nart_driver_task_init(&task, &op_type, &frame, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &task), NART_PENDING);
    CHECK_EQ(host.deadline, NART_NEVER);
    CHECK_NEXT(&c.rx, 1);
    CHECK_EQ(host.woken, 1);
    CHECK_RES(nart_driver_poll(&host.cx, &task), 0);
    CHECK_NEXT(&c.rx, 2);

    CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
    op = (struct op){ .rx = &c.rx, .limit = NART_NEVER, .res = NART_PENDING };
    frame = (struct op_frame){ .op = &op };
    nart_driver_task_init(&task, &op_type, &frame, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &task), NART_PENDING);
    CHECK_EQ(host.deadline, NART_NEVER);
    CHECK_RES(u64_try_send(&c.tx, 3), 0);
    CHECK_EQ(host.woken, 2);
    CHECK_RES(nart_driver_poll(&host.cx, &task), 0);
    CHECK_EQ(op.value, 3);
    CHECK_EQ(host.readied, 0);
}

/* ---- fork ---- */

/* A forked child that frees its inherited copy wakes no task of the parent, and exits cleanly. */
TEST_EACH(child_of_fork_frees_its_copy, SPSC, MPSC)
{
    struct op op;
    OPEN(pair, p, kind, 1);
    CHECK_RES(u64_try_send(&p.c.tx, 1), 0);
    send_start(p.from, &op, &p.c.tx, 2);
    (void)nart_rt_backend_fd(p.from); /* as an embedding host: a wake would write to its eventfd */
    settle(p.from);
    pid_t child = fork();
    if (child == 0) {
        nart_tx tx;
        nart_rx rx;
        CHECK_RES(u64_open(p.c.rt, kind, 1, &tx, &rx), NART_EFORK);
        CHECK_RES(nart_rx_bind(&p.c.rx, NULL), NART_EFORK);
        CHECK_RES(nart_rt_free(p.c.rt), 0);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    settle(p.from);
    CHECK_EQ(op.polls, 1);
    CHECK_NEXT(&p.c.rx, 1);
    settle(p.from);
    CHECK_RES(op.res, 0);
}
