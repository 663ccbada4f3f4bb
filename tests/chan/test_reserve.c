/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Slots that a sender reserves for its next value. */
#include "chan_test.h"
#include "threads.h"

#include <sys/wait.h>
#include <unistd.h>

NART_CHAN_TYPED(u32, uint32_t);

/* Another sender of a channel that can have one. */
static bool clone_of(struct chan *c, uint32_t kind, nart_tx *out)
{
    *out = (nart_tx){ .ring = NULL };
    if (kind == SPSC)
        return false;
    CHECK_RES(nart_tx_clone(&c->tx, out), 0);
    return true;
}

/* One slot, which is reserved, and another sender of the value 2, which waits. */
static void queue_behind(struct chan *c, uint32_t kind, nart_tx *other, struct op *queued)
{
    chan_open(c, kind, 1);
    (void)clone_of(c, kind, other);
    CHECK_RES(u64_try_reserve(&c->tx), 0);
    send_start(c->rt, queued, other, 2);
    CHECK_RES(queued->res, NART_PENDING);
}

TEST_EACH(a_reserved_slot_is_for_the_next_value, LOCAL, SPSC, MPSC)
{
    nart_tx other;
    OPEN(chan, c, kind, 1);
    bool more = clone_of(&c, kind, &other);
    CHECK_RES(u64_try_reserve(&c.tx), 0);
    CHECK_RES(u64_try_reserve(&c.tx), 0); /* it is the same one */
    CHECK_EQ(nart_rx_len(&c.rx), 0);
    if (more) {
        CHECK_RES(u64_try_send(&other, 666), -EAGAIN);
        CHECK_RES(u64_try_reserve(&other), -EAGAIN);
    }
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), -EAGAIN);
    CHECK_RES(u64_try_reserve(&c.tx), -EAGAIN);
    CHECK_NEXT(&c.rx, 1);
    if (more)
        CHECK_RES(u64_try_send(&other, 3), 0); /* nothing stays reserved */
    nart_tx_close(&other);
}

/* It is a slot, not a place in the order. */
TEST_EACH(others_use_the_other_slots, LOCAL, MPSC)
{
    nart_tx other;
    OPEN(chan, c, kind, 2);
    (void)clone_of(&c, kind, &other);
    CHECK_RES(u64_try_reserve(&c.tx), 0);
    CHECK_RES(u64_try_send(&other, 1), 0);
    CHECK_RES(u64_try_send(&other, 666), -EAGAIN);
    CHECK_NEXT(&c.rx, 1);
    CHECK_RES(u64_try_send(&other, 2), 0);
    CHECK_RES(u64_try_send(&c.tx, 3), 0);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NEXT(&c.rx, 3);
    nart_tx_close(&other);
}

TEST_EACH(a_reservation_waits_for_a_slot, LOCAL, SPSC, MPSC)
{
    struct op op, again;
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    reserve_start(c.rt, &op, &c.tx);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_NEXT(&c.rx, 1);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    reserve_start(c.rt, &again, &c.tx);
    CHECK_RES(again.res, 0);
    send_start(c.rt, &op, &c.tx, 2);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.polls, 1);
    CHECK_NEXT(&c.rx, 2);
}

/* Senders that are queued do not get it, and the send does not queue behind them. */
TEST_EACH(a_reservation_is_before_the_queue, LOCAL, MPSC)
{
    struct chan c;
    nart_tx other;
    struct op queued;
    queue_behind(&c, kind, &other, &queued);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_reserve(&c.tx), -EAGAIN);
    settle(c.rt);
    CHECK_RES(queued.res, NART_PENDING);
    CHECK_NEXT(&c.rx, 1);
    settle(c.rt);
    CHECK_RES(queued.res, 0);
    CHECK_NEXT(&c.rx, 2);
    nart_tx_close(&other);
    chan_finish(&c);
}

/* ---- slots that are returned ---- */

static void unreserve(struct chan *c)
{
    nart_tx_unreserve(&c->tx);
    nart_tx_unreserve(&c->tx);
}

static void close_it(struct chan *c)
{
    nart_tx_close(&c->tx);
}

static void move_and_close(struct chan *c)
{
    nart_tx moved = { .ring = NULL };

    nart_tx_move(&moved, &c->tx);
    nart_tx_unreserve(&c->tx); /* closed: nothing */
    settle(c->rt);
    CHECK_RES(u64_try_reserve(&moved), 0);
    CHECK_EQ(nart_rx_len(&c->rx), 0);
    nart_tx_close(&moved);
}

static void passes_on(uint32_t kind, void (*end)(struct chan *c))
{
    struct chan c;
    nart_tx other;
    struct op queued;
    queue_behind(&c, kind, &other, &queued);
    end(&c);
    settle(c.rt);
    CHECK_RES(queued.res, 0);
    CHECK_NEXT(&c.rx, 2);
    CHECK_RES(u64_try_send(&other, 3), 0);
    nart_tx_close(&other);
    chan_finish(&c);
}

TEST_EACH(a_slot_that_is_returned_passes_on, LOCAL, MPSC)
{
    passes_on(kind, unreserve);
    passes_on(kind, close_it);
    passes_on(kind, move_and_close);
}

/* A wait for a slot that ends otherwise reserves nothing. */
TEST_EACH(a_wait_that_ends_reserves_nothing, LOCAL, MPSC)
{
    for (int way = 0; way < 4; way++) {
        nart_tx other, waits;
        struct op op = { .reserves = true, .limit = way == 3 ? 0 : NART_NEVER }, next;
        OPEN(chan, c, kind, 1);
        (void)clone_of(&c, kind, &other);
        (void)clone_of(&c, kind, &waits);
        CHECK_RES(u64_try_send(&c.tx, 1), 0);
        op.tx = &waits;
        op_start(c.rt, &op);
        send_start(c.rt, &next, &other, 2);
        if (way != 3)
            CHECK_NEXT(&c.rx, 1); /* granted, and not polled yet */
        if (way == 0)
            CHECK_RES(nart_task_cancel(c.rt, op.id), 0);
        else if (way == 1)
            CHECK_RES(nart_task_abort(c.rt, op.id), 0);
        else if (way == 2)
            nart_tx_close(&waits);
        else
            CHECK_NEXT(&c.rx, 1);
        settle(c.rt);
        CHECK_RES(op.res, way == 3 ? -ETIMEDOUT : way == 2 ? NART_ECLOSED : -ECANCELED);
        CHECK_RES(next.res, 0);
        CHECK_NEXT(&c.rx, 2);
        CHECK_RES(u64_try_send(&other, 3), 0);
        nart_tx_close(&other);
        nart_tx_close(&waits);
    }
}

/* ---- the receiver closes ---- */

TEST_EACH(a_reservation_ends_with_the_receiver, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_reserve(&c.tx), 0);
    nart_rx_shut(&c.rx);
    CHECK_RES(u64_try_reserve(&c.tx), kind == SPSC ? NART_ECLOSED : 0); /* it has one */
    CHECK_RES(u64_try_send(&c.tx, 1), NART_ECLOSED);
    nart_tx_unreserve(&c.tx);
    CHECK_RES(u64_try_reserve(&c.tx), NART_ECLOSED);
    reserve_start(c.rt, &op, &c.tx);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
}

TEST_EACH(a_wait_for_a_slot_ends_with_the_receiver, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    reserve_start(c.rt, &op, &c.tx);
    nart_rx_close(&c.rx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

/* ---- other sends use it, too ---- */

TEST_EACH(several_values_use_it_for_the_first, LOCAL, SPSC, MPSC)
{
    const uint64_t values[2] = { 1, 2 };
    OPEN(chan, c, kind, 2);
    CHECK_RES(u64_try_reserve(&c.tx), 0);
    CHECK_RES(nart_try_send_many(&c.tx, values, 2), kind == SPSC ? 2 : 1);
    if (kind != SPSC)
        CHECK_RES(nart_try_send_many(&c.tx, values + 1, 1), 1);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NEXT(&c.rx, 2);
}

TEST_EACH(a_blocking_send_uses_it, SPSC, MPSC)
{
    const uint64_t value = 7;
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_reserve(&c.tx), 0);
    CHECK_RES(nart_send_blocking(&c.tx, &value, 0), 0);
    CHECK_NEXT(&c.rx, 7);
    CHECK_RES(u64_try_send(&c.tx, 8), 0);
}

/* ---- misuse ---- */

TEST_EACH(a_reservation_that_cannot_be_is_refused, LOCAL, SPSC, MPSC)
{
    nart_tx closed = { .ring = NULL }, tx;
    nart_rx rx;
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_reserve(&closed), NART_ECLOSED);
    CHECK_RES(nart_tx_try_reserve(&closed), NART_ECLOSED);
    CHECK_RES(u32_try_reserve(&c.tx), -EINVAL);
    CHECK_RES(nart_tx_try_reserve(&c.tx), 0);
    nart_tx_unreserve(&closed);
    CHECK_RES(u64_open(c.rt, LOCAL, 0, &tx, &rx), 0);
    CHECK_RES(u64_try_reserve(&tx), -EINVAL);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
}

TEST(a_child_of_fork_reserves_nothing)
{
    int status = -1;
    OPEN(chan, c, MPSC, 1);
    pid_t child = fork();
    if (child == 0)
        _exit(u64_try_reserve(&c.tx) == NART_EFORK ? 0 : 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* ---- threads: a slot that was reserved is there, whoever else sends ---- */

static void *flood(void *tx)
{
    uint64_t value = 1;

    while (nart_send_blocking(tx, &value, NART_NEVER) == 0)
        continue;
    return NULL;
}

TEST(a_reserved_slot_is_kept_from_other_threads)
{
    nart_tx other;
    uint64_t value = 0, sum = 0, sent = 0;
    OPEN(chan, c, MPSC, 2);
    (void)clone_of(&c, MPSC, &other);
    pthread_t thread = thread_start(flood, &other);
    for (uint64_t i = test_repeat(2000); i > 0;) {
        if (u64_try_reserve(&c.tx) == 0) {
            CHECK_RES(u64_try_send(&c.tx, UINT64_C(1) << 32), 0);
            sent++;
            i--;
        }
        while (u64_try_recv(&c.rx, &value) == 0)
            sum += value;
    }
    nart_rx_shut(&c.rx);
    thread_join(thread);
    while (u64_try_recv(&c.rx, &value) == 0)
        sum += value;
    CHECK_EQ(sum >> 32, sent);
    nart_tx_close(&other);
}
