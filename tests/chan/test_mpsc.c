/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many senders of an MPSC channel, each on its own runtime, all driven by one thread: closing, the
 * order in which they are served, and turns not taken. */
#include "chan_test.h"

#include <nart/clock.h>

#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 40 }; /* more than are woken in one batch */

/* Waiting senders, each on its own runtime. */
struct crowd {
    struct chan c;
    nart_rt *rt[MANY];
    nart_tx tx[MANY];
    struct op op[MANY];
    int count;
};

static void crowd_open(struct crowd *w, int count, size_t capacity)
{
    chan_open(&w->c, MPSC, capacity);
    w->count = count;
    for (int i = 0; i < count; i++) {
        w->rt[i] = new_rt();
        CHECK_RES(nart_tx_clone(&w->c.tx, &w->tx[i]), 0);
    }
}

/* All senders wait to send their numbers. */
static void crowd_waits(struct crowd *w)
{
    for (int i = 0; i < w->count; i++) {
        send_start(w->rt[i], &w->op[i], &w->tx[i], (uint64_t)i);
        CHECK_RES(w->op[i].res, NART_PENDING);
    }
}

static void crowd_settles(struct crowd *w)
{
    for (int i = 0; i < w->count; i++)
        if (w->rt[i])
            settle(w->rt[i]);
}

static void crowd_finish(struct crowd *w)
{
    for (int i = 0; i < w->count; i++) {
        nart_tx_close(&w->tx[i]);
        if (w->rt[i])
            CHECK_RES(nart_rt_free(w->rt[i]), 0);
    }
    chan_finish(&w->c);
}

static void fill(struct crowd *w, size_t capacity)
{
    for (size_t i = 0; i < capacity; i++)
        CHECK_RES(u64_try_send(&w->c.tx, 1000 + i), 0);
    CHECK_RES(u64_try_send(&w->c.tx, 0), -EAGAIN);
}

/* ---- closing ---- */

/* The channel closes when its last sender has closed and it is empty; that wakes a waiting
 * receiver. */
TEST(last_sender_closes)
{
    struct op op;
    OPEN(crowd, w, 3, 4);
    recv_start(w.c.rt, &op, &w.c.rx);
    nart_tx_close(&w.c.tx);
    for (int i = 0; i < 3; i++) {
        settle(w.c.rt);
        CHECK_RES(op.res, NART_PENDING);
        CHECK(!nart_rx_is_closed(&w.c.rx));
        nart_tx_close(&w.tx[i]);
    }
    settle(w.c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK(nart_rx_is_closed(&w.c.rx));
}

TEST(values_of_all_senders_precede_the_end)
{
    OPEN(crowd, w, 3, 4);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_RES(u64_try_send(&w.tx[i], i), 0);
        nart_tx_close(&w.tx[i]);
    }
    CHECK_RES(u64_try_send(&w.c.tx, 3), 0);
    nart_tx_close(&w.c.tx);
    CHECK(nart_rx_is_closed(&w.c.rx));
    CHECK_EQ(nart_rx_len(&w.c.rx), 4);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_NEXT(&w.c.rx, i);
    CHECK_NO_NEXT(&w.c.rx, NART_ECLOSED);
}

/* A clone has the rights of its original, even after that has closed; a closed sender cannot be
 * cloned. */
TEST(clones_stand_alone)
{
    nart_tx a, b;
    OPEN(chan, c, MPSC, 4);
    CHECK_RES(nart_tx_clone(&c.tx, &a), 0);
    nart_tx_close(&c.tx);
    CHECK_RES(nart_tx_clone(&a, &b), 0);
    nart_tx_close(&a);
    CHECK_RES(nart_tx_clone(&a, &c.tx), NART_ECLOSED);
    CHECK_EQ(nart_tx_capacity(&b), 4);
    CHECK_RES(u64_try_send(&b, 1), 0);
    CHECK_EQ(nart_tx_len(&b), 1);
    CHECK_NEXT(&c.rx, 1);
    nart_rx_close(&c.rx);
    CHECK_RES(u64_try_send(&b, 2), NART_ECLOSED);
    CHECK(nart_tx_is_closed(&b));
    CHECK_RES(nart_tx_clone(&b, &a), 0); /* as closed as its original */
    CHECK_RES(u64_try_send(&a, 2), NART_ECLOSED);
    nart_tx_close(&a);
    nart_tx_close(&b);
}

/* The receiver's close wakes the waiters of every runtime. */
TEST(receiver_closes_on_a_crowd)
{
    OPEN(crowd, w, MANY, 2);
    fill(&w, 2);
    crowd_waits(&w);
    nart_rx_close(&w.c.rx);
    crowd_settles(&w);
    for (int i = 0; i < MANY; i++)
        CHECK_RES(w.op[i].res, NART_ECLOSED);
}

/* A sender with a granted slot that was not polled before the receiver closed gets NART_ECLOSED
 * too. */
TEST(the_receiver_closes_while_a_slot_is_granted)
{
    OPEN(crowd, w, 2, 1);
    fill(&w, 1);
    crowd_waits(&w);
    CHECK_NEXT(&w.c.rx, 1000);
    nart_rx_close(&w.c.rx);
    crowd_settles(&w);
    CHECK_RES(w.op[0].res, NART_ECLOSED);
    CHECK_RES(w.op[1].res, NART_ECLOSED);
}

/* ---- order of service ---- */

/* First come, first served, whatever their threads; one slot admits one sender. */
TEST(senders_are_served_in_order)
{
    OPEN(crowd, w, MANY, 1);
    fill(&w, 1);
    crowd_waits(&w);
    CHECK_NEXT(&w.c.rx, 1000);
    for (int i = 0; i < MANY; i++) {
        for (int k = MANY - 1; k >= 0; k--) /* the last one is run first */
            settle(w.rt[k]);
        for (int k = 0; k < MANY; k++)
            CHECK_RES(w.op[k].res, k <= i ? 0 : NART_PENDING);
        CHECK_NEXT(&w.c.rx, (uint64_t)i);
    }
    CHECK_NO_NEXT(&w.c.rx, -EAGAIN);
}

/* Several slots freed at once admit as many senders. */
TEST(many_are_served_at_once)
{
    bool came[MANY] = { false };
    OPEN(crowd, w, MANY, 64);
    fill(&w, 64);
    crowd_waits(&w);
    for (uint64_t i = 0; i < 64; i++)
        CHECK_NEXT(&w.c.rx, 1000 + i);
    crowd_settles(&w);
    for (int i = 0; i < MANY; i++) {
        uint64_t value = 0;
        CHECK_RES(w.op[i].res, 0);
        CHECK_RES(u64_try_recv(&w.c.rx, &value), 0);
        CHECK(value < MANY && !came[value]);
        came[value] = true;
    }
    for (uint64_t i = 0; i < 64; i++) /* the capacity is unchanged */
        CHECK_RES(u64_try_send(&w.c.tx, i), 0);
    CHECK_RES(u64_try_send(&w.c.tx, 64), -EAGAIN);
}

/* Neither a try nor a send takes the slot of a sender that was woken but not yet polled. */
TEST(a_new_sender_does_not_barge)
{
    struct op late;
    nart_rt *rt = new_rt();
    OPEN(crowd, w, 2, 2);
    fill(&w, 2);
    crowd_waits(&w);
    CHECK_NEXT(&w.c.rx, 1000);
    CHECK_RES(u64_try_send(&w.c.tx, 77), -EAGAIN); /* one slot granted, one sender ahead */
    CHECK_NEXT(&w.c.rx, 1001);
    CHECK_RES(u64_try_send(&w.c.tx, 77), -EAGAIN); /* both are granted */
    send_start(rt, &late, &w.c.tx, 78);
    CHECK_RES(late.res, NART_PENDING);
    crowd_settles(&w);
    CHECK_NEXT(&w.c.rx, 0);
    CHECK_NEXT(&w.c.rx, 1);
    settle(rt);
    CHECK_RES(late.res, 0);
    CHECK_NEXT(&w.c.rx, 78);
    CHECK_RES(u64_try_send(&w.c.tx, 79), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* A slot that no sender waits for is available even while another is granted. */
TEST(ungranted_slots_are_free)
{
    OPEN(crowd, w, 1, 2);
    fill(&w, 2);
    crowd_waits(&w);
    CHECK_NEXT(&w.c.rx, 1000);
    CHECK_NEXT(&w.c.rx, 1001);
    CHECK_RES(u64_try_send(&w.c.tx, 77), 0);
    CHECK_RES(u64_try_send(&w.c.tx, 78), -EAGAIN);
    crowd_settles(&w);
    CHECK_NEXT(&w.c.rx, 77);
    CHECK_NEXT(&w.c.rx, 0);
}

/* ---- turns not taken ---- */

/* The first sender does not use its granted slot: the second one gets it. */
static void turn_passes_on(void (*leave)(struct crowd *w))
{
    OPEN(crowd, w, 3, 1);
    fill(&w, 1);
    crowd_waits(&w);
    CHECK_NEXT(&w.c.rx, 1000);
    leave(&w);
    crowd_settles(&w);
    CHECK_RES(w.op[1].res, 0);
    CHECK_RES(w.op[2].res, NART_PENDING);
    CHECK_NEXT(&w.c.rx, 1);
    crowd_settles(&w);
    CHECK_NEXT(&w.c.rx, 2);
    CHECK_RES(u64_try_send(&w.c.tx, 3), 0);
}

static void cancel_first(struct crowd *w)
{
    CHECK_RES(nart_task_cancel(w->rt[0], w->op[0].id), 0);
    settle(w->rt[0]);
    CHECK_RES(w->op[0].res, -ECANCELED);
}

static void abort_first(struct crowd *w)
{
    CHECK_RES(nart_task_abort(w->rt[0], w->op[0].id), 0);
}

static void free_first(struct crowd *w)
{
    CHECK_RES(nart_rt_free(w->rt[0]), 0);
    w->rt[0] = NULL;
}

static void close_first(struct crowd *w)
{
    nart_tx_close(&w->tx[0]);
}

static void move_first(struct crowd *w)
{
    nart_tx other = { 0 };
    nart_tx_move(&other, &w->tx[0]);
    nart_tx_close(&other);
}

TEST(cancelled_sender_passes_its_turn_on)
{
    turn_passes_on(cancel_first);
}

TEST(aborted_sender_passes_its_turn_on)
{
    turn_passes_on(abort_first);
}

TEST(freed_runtime_passes_its_turn_on)
{
    turn_passes_on(free_first);
}

TEST(closed_sender_passes_its_turn_on)
{
    turn_passes_on(close_first);
}

TEST(moved_sender_passes_its_turn_on)
{
    turn_passes_on(move_first);
}

/* Leaving the queue, at its head, middle or end, leaves no gap. */
TEST(queue_closes_up)
{
    static const int leaving[] = { 0, 3, 5 };
    OPEN(crowd, w, 6, 1);
    fill(&w, 1);
    crowd_waits(&w);
    for (size_t i = 0; i < 3; i++)
        CHECK_RES(nart_task_cancel(w.rt[leaving[i]], w.op[leaving[i]].id), 0);
    crowd_settles(&w);
    CHECK_NEXT(&w.c.rx, 1000);
    for (uint64_t i = 1; i < 5; i++) {
        if (i == 3)
            continue;
        crowd_settles(&w);
        CHECK_NEXT(&w.c.rx, i);
    }
    CHECK_RES(u64_try_send(&w.c.tx, 9), 0); /* no sender is queued ahead */
}

/* A deadline that passes in the queue; a slot granted in time takes precedence over it. */
TEST(deadlines_in_the_queue)
{
    OPEN(crowd, w, 2, 1);
    fill(&w, 1);
    w.op[0] = (struct op){ .tx = &w.tx[0], .value = 5, .limit = NART_MS };
    op_start(w.rt[0], &w.op[0]);
    while (w.op[0].res == NART_PENDING)
        CHECK(nart_rt_poll(w.rt[0], NART_NEVER) >= 0);
    CHECK_RES(w.op[0].res, -ETIMEDOUT);
    CHECK_RES(nart_rt_clock_pause(w.rt[1]),
              0); /* so that it is in time, however slow the machine */
    w.op[1] = (struct op){ .tx = &w.tx[1], .value = 6, .limit = NART_MS };
    op_start(w.rt[1], &w.op[1]);
    CHECK_NEXT(&w.c.rx, 1000);
    CHECK_RES(nart_rt_clock_advance(w.rt[1], 2 * NART_MS), 0);
    settle(w.rt[1]);
    CHECK_RES(w.op[1].res, 0);
    CHECK_NEXT(&w.c.rx, 6);
}

/* ---- fork ---- */

/* A forked child does not touch the queue, which another thread of the parent may have been
 * modifying. */
TEST(child_of_fork_does_not_queue)
{
    OPEN(crowd, w, 2, 1);
    fill(&w, 1);
    crowd_waits(&w);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RES(u64_try_send(&w.c.tx, 9), NART_EFORK);
        for (int i = 0; i < 2; i++) {
            nart_tx_close(&w.tx[i]);
            CHECK_RES(nart_rt_free(w.rt[i]), 0);
        }
        nart_rx_close(&w.c.rx);
        nart_tx_close(&w.c.tx);
        CHECK_RES(nart_rt_free(w.c.rt), 0);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_NEXT(&w.c.rx, 1000);
    crowd_settles(&w);
    CHECK_NEXT(&w.c.rx, 0);
    crowd_settles(&w);
    CHECK_NEXT(&w.c.rx, 1);
}

/* Sends until it was refused a thousand times, in each poll at most as often as the budget
 * allows. */
struct refused {
    nart_tx *tx;
    int left;
};

static nart_res refused_poll(nart_cx *cx, void *frame)
{
    struct refused *f = frame;

    for (int answers = 0; f->left > 0; answers++, f->left--) {
        nart_res r = nart_send(cx, f->tx, &(uint64_t){ 1 });
        if (r != NART_EFORK)
            return r;
        CHECK_LE(answers + 1, NART_BUDGET);
    }
    return 0;
}

static const nart_task_type refused_type = NART_TASK_TYPE(struct refused, refused_poll, NULL);

/* A send that parks, and finds on its recheck that it cannot wait, counts as an answer. */
TEST(an_answer_after_all_costs_budget)
{
    OPEN(crowd, w, 1, 1);
    fill(&w, 1);
    pid_t child = fork();
    if (child == 0) {
        nart_rt *rt = new_rt();
        struct refused f = { &w.tx[0], 1000 };
        CHECK_RES(nart_block_on(rt, &refused_type, &f, NULL), 0);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_NEXT(&w.c.rx, 1000);
}
