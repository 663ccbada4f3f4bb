/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tasks that wait on byte channels: for messages, for space, and in the senders' queue;
 * cancellation, timeouts, closes and moves during the wait. */
#include "bytes_test.h"

static uint64_t wakes(nart_rt *rt)
{
    return stats_of(rt).wakes_foreign;
}

/* ---- a receiver waits ---- */

static void received(struct op *op, nart_bytes_rx *rx, size_t len, uint64_t number)
{
    CHECK_RES(op->res, 0);
    message_check(&op->msg, len, number);
    CHECK_RES(nart_bytes_release(rx, &op->msg), 0);
}

TEST_EACH(receiver_is_woken_by_a_commit, SPSC, MPSC)
{
    struct op op;
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 128);
    for (uint64_t n = 0; n < 20; n++) {
        recv_start(b.rt, &op, &b.rx);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(nart_bytes_try_claim(&b.tx, 10, &buf), 0);
        message_write(buf.ptr, 10, n);
        settle(b.rt);
        CHECK_EQ(op.polls, 1); /* an open claim wakes no task */
        CHECK_RES(nart_bytes_commit(&b.tx, &buf), 0);
        settle(b.rt);
        CHECK_EQ(op.polls, 2);
        received(&op, &b.rx, 10, n);
    }
}

/* A receiver blocked by an open claim parks: it is not polled until the claim is committed. */
TEST_EACH(open_claim_does_not_keep_the_receiver_busy, SPSC, MPSC)
{
    struct op op;
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 128);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 10, &buf), 0);
    recv_start(b.rt, &op, &b.rx);
    for (int i = 0; i < 100; i++)
        CHECK_RES(nart_rt_poll(b.rt, 0), 0);
    CHECK_EQ(op.polls, 1);
    message_write(buf.ptr, 10, 3);
    CHECK_RES(nart_bytes_commit(&b.tx, &buf), 0);
    settle(b.rt);
    received(&op, &b.rx, 10, 3);
}

/* The space of an aborted claim goes to a waiting sender, and a waiting receiver keeps waiting for
 * the next message. */
TEST_EACH(aborted_claims_and_waiting_sides, SPSC, MPSC)
{
    for (int spinning = 0; spinning < 2; spinning++) {
        struct bytes b;
        struct op recv, send;
        nart_bytes_buf buf;
        if (spinning)
            bytes_open_spinning(&b, kind, 64);
        else
            bytes_open(&b, kind, 64);
        recv_start(b.rt, &recv, &b.rx);
        for (int i = 0; i < 10; i++) {
            CHECK_RES(nart_bytes_try_claim(&b.tx, i % 2 ? 64 : 20, &buf), 0);
            CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
            settle(b.rt);
            CHECK_RES(recv.res, NART_PENDING);
        }
        CHECK_RES(nart_bytes_try_claim(&b.tx, 64, &buf), 0);
        CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
        send_start(b.rt, &send, &b.tx, 64, 8);
        settle(b.rt);
        CHECK_RES(send.res, 0);
        received(&recv, &b.rx, 64, 8);
        bytes_finish(&b);
    }
}

TEST_EACH(a_receiver_is_woken_by_the_end, SPSC, MPSC)
{
    struct op op;
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 128);
    recv_start(b.rt, &op, &b.rx);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 10, &buf), 0);
    nart_bytes_tx_close(&b.tx);
    settle(b.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

TEST(last_clone_tells_the_end)
{
    struct op op;
    nart_bytes_tx other;
    OPEN(bytes, b, MPSC, 128);
    CHECK_RES(nart_bytes_tx_clone(&b.tx, &other), 0);
    recv_start(b.rt, &op, &b.rx);
    nart_bytes_tx_close(&b.tx);
    settle(b.rt);
    CHECK_EQ(op.polls, 1);
    nart_bytes_tx_close(&other);
    settle(b.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

/* An abandoned receive takes no message, and its waker is no longer used. */
TEST_EACH(an_abandoned_receive_loses_nothing, SPSC, MPSC)
{
    struct op op;
    OPEN(bytes, b, kind, 128);
    for (uint64_t n = 0; n < 4; n++) {
        if (n < 3) {
            recv_start(b.rt, &op, &b.rx);
            if (n == 0)
                CHECK_RES(nart_task_cancel(b.rt, op.id), 0);
            else if (n == 1)
                CHECK_RES(nart_task_abort(b.rt, op.id), 0);
            else {
                CHECK_RES(put(&b.tx, 9, 77), 0); /* arrives in the same tick as the cancel */
                CHECK_RES(nart_task_cancel(b.rt, op.id), 0);
            }
            settle(b.rt);
            CHECK_RES(op.res, -ECANCELED);
            if (n == 2)
                get(&b.rx, 9, 77);
        } else {
            op = (struct op){ .rx = &b.rx, .limit = 0 };
            op_start(b.rt, &op);
            CHECK_RES(op.res, -ETIMEDOUT);
        }
        uint64_t before = wakes(b.rt);
        CHECK_RES(put(&b.tx, 10, n), 0);
        settle(b.rt);
        CHECK_EQ(wakes(b.rt), before);
        get(&b.rx, 10, n);
    }
}

TEST_EACH(one_task_waits_in_an_end, SPSC, MPSC)
{
    struct op first, second;
    OPEN(bytes, b, kind, 64);
    recv_start(b.rt, &first, &b.rx);
    recv_start(b.rt, &second, &b.rx);
    CHECK_RES(second.res, -EBUSY);
    CHECK_RES(put(&b.tx, 64, 1), 0);
    settle(b.rt);
    received(&first, &b.rx, 64, 1);

    CHECK_RES(put(&b.tx, 64, 2), 0);
    send_start(b.rt, &first, &b.tx, 1, 3);
    send_start(b.rt, &second, &b.tx, 1, 4);
    CHECK_RES(first.res, NART_PENDING);
    CHECK_RES(second.res, -EBUSY);
    get(&b.rx, 64, 2);
    settle(b.rt);
    CHECK_RES(first.res, 0);
    get(&b.rx, 1, 3);
}

/* ---- a sender waits ---- */

/* It continues when its message fits, not before, however the receiver frees the space: inside its
 * loop, outside it, without one. */
TEST_EACH(a_sender_waits_for_enough_space, SPSC, MPSC)
{
    for (int how = 0; how < 2; how++) {
        struct bytes b;
        struct op op;
        nart_rt *from = new_rt();
        bytes_open(&b, kind, 128);
        if (how == 1)
            CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), 0);
        for (uint64_t n = 0; n < 8; n++)
            CHECK_RES(put(&b.tx, 16, n), 0);
        send_start(from, &op, &b.tx, 40, 100);
        for (uint64_t n = 0; n < 3; n++) {
            CHECK_RES(op.res, NART_PENDING);
            get(&b.rx, 16, n);
            settle(from);
        }
        CHECK_RES(op.res, 0);
        for (uint64_t n = 3; n < 8; n++)
            get(&b.rx, 16, n);
        get(&b.rx, 40, 100);
        bytes_finish(&b);
        CHECK_RES(nart_rt_free(from), 0);
    }
}

TEST_EACH(a_sender_is_woken_by_a_closed_receiver, SPSC, MPSC)
{
    struct op op;
    OPEN(bytes, b, kind, 64);
    CHECK_RES(put(&b.tx, 64, 1), 0);
    send_start(b.rt, &op, &b.tx, 1, 2);
    CHECK_RES(op.res, NART_PENDING);
    nart_bytes_rx_close(&b.rx);
    settle(b.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

/* A message that can never fit, or one claim too many, is refused in a poll as it is outside. */
TEST_EACH(claims_that_are_refused_do_not_wait, SPSC, MPSC)
{
    struct op op;
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 64);
    CHECK_RES(put(&b.tx, 64, 1), 0);
    send_start(b.rt, &op, &b.tx, 65, 2);
    CHECK_RES(op.res, -EMSGSIZE);
    get(&b.rx, 64, 1);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 1, &buf), 0);
    send_start(b.rt, &op, &b.tx, 1, 2);
    CHECK_RES(op.res, -EBUSY);
}

TEST_EACH(an_abandoned_send_sends_nothing, SPSC, MPSC)
{
    struct op op;
    OPEN(bytes, b, kind, 64);
    for (int how = 0; how < 3; how++) {
        CHECK_RES(put(&b.tx, 64, 1), 0);
        if (how == 2) {
            op = (struct op){ .tx = &b.tx, .len = 1, .limit = 0 };
            op_start(b.rt, &op);
            CHECK_RES(op.res, -ETIMEDOUT);
        } else {
            send_start(b.rt, &op, &b.tx, 1, 2);
            if (how == 0)
                CHECK_RES(nart_task_cancel(b.rt, op.id), 0);
            else
                CHECK_RES(nart_task_abort(b.rt, op.id), 0);
            settle(b.rt);
            CHECK_RES(op.res, -ECANCELED);
        }
        uint64_t before = wakes(b.rt);
        get(&b.rx, 64, 1);
        settle(b.rt);
        CHECK_EQ(wakes(b.rt), before);
        get_none(&b.rx, -EAGAIN);
    }
}

/* ---- several senders wait ---- */

enum { WAITERS = 5 };

struct crowd {
    struct bytes b;
    nart_bytes_tx tx[WAITERS];
    struct op op[WAITERS];
};

/* A full channel of 64 bytes, and senders of these lengths waiting in this order. */
static void crowd_open(struct crowd *c, const size_t len[WAITERS])
{
    bytes_open(&c->b, MPSC, 64);
    CHECK_RES(put(&c->b.tx, 64, 99), 0);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_RES(nart_bytes_tx_clone(&c->b.tx, &c->tx[i]), 0);
        send_start(c->b.rt, &c->op[i], &c->tx[i], len[i], (uint64_t)i);
        CHECK_RES(c->op[i].res, NART_PENDING);
    }
}

static void crowd_finish(struct crowd *c)
{
    for (int i = 0; i < WAITERS; i++)
        nart_bytes_tx_close(&c->tx[i]);
    bytes_finish(&c->b);
}

/* First come, first served, whatever their lengths; no sender barges in. */
TEST(waiting_senders_are_served_in_order)
{
    const size_t len[WAITERS] = { 10, 64, 1, 33, 64 };
    OPEN(crowd, c, len);
    get(&c.b.rx, 64, 99);
    CHECK_RES(put(&c.b.tx, 1, 0), -EAGAIN);
    for (int i = 0; i < WAITERS; i++) {
        settle(c.b.rt);
        if (i == 0)
            CHECK_RES(put(&c.b.tx, 1, 0), -EAGAIN); /* it would fit, but others are queued ahead */
        CHECK_RES(c.op[i].res, 0);
        if (i == 2) { /* 1 and 33 bytes fit together */
            CHECK_RES(c.op[3].res, 0);
            CHECK_RES(c.op[4].res, NART_PENDING);
        } else if (i + 1 < WAITERS && i != 3) {
            CHECK_RES(c.op[i + 1].res, NART_PENDING);
        }
        get(&c.b.rx, len[i], (uint64_t)i);
    }
    settle(c.b.rt);
    CHECK_RES(put(&c.b.tx, 64, 7), 0); /* the queue is empty */
    get(&c.b.rx, 64, 7);
}

/* An abandoned sender passes its turn on, whatever its position: with the space free, and before
 * that. */
TEST(the_turn_of_an_abandoned_sender_passes_on)
{
    const size_t len[WAITERS] = { 64, 64, 64, 64, 64 };
    for (int gone = 0; gone < WAITERS; gone++) {
        for (int late = 0; late < 4; late++) {
            OPEN(crowd, c, len);
            if (late & 1)
                get(&c.b.rx, 64, 99);
            if (late & 2)
                nart_bytes_tx_close(&c.tx[gone]);
            else
                CHECK_RES(nart_task_cancel(c.b.rt, c.op[gone].id), 0);
            if (!(late & 1))
                settle(c.b.rt);
            if (!(late & 1))
                get(&c.b.rx, 64, 99);
            for (int i = 0; i < WAITERS; i++) {
                settle(c.b.rt);
                if (i == gone) {
                    CHECK_RES(c.op[i].res, late & 2 ? NART_ECLOSED : -ECANCELED);
                    continue;
                }
                CHECK_RES(c.op[i].res, 0);
                get(&c.b.rx, 64, (uint64_t)i);
            }
            get_none(&c.b.rx, -EAGAIN);
            CHECK_RES(put(&c.b.tx, 64, 7), 0);
        }
    }
}

/* A small message that would fit does not overtake a large one that waits. */
TEST(small_messages_do_not_overtake_large_ones)
{
    struct op large;
    nart_bytes_tx other;
    OPEN(bytes, b, MPSC, 64);
    CHECK_RES(put(&b.tx, 16, 1), 0);
    CHECK_RES(nart_bytes_tx_clone(&b.tx, &other), 0);
    send_start(b.rt, &large, &other, 64, 2);
    CHECK_RES(large.res, NART_PENDING);
    CHECK_RES(put(&b.tx, 16, 3), -EAGAIN);
    get(&b.rx, 16, 1);
    settle(b.rt);
    CHECK_RES(large.res, 0);
    get(&b.rx, 64, 2);
    CHECK_RES(put(&b.tx, 16, 3), 0);
    nart_bytes_tx_close(&other);
}

TEST(all_waiting_senders_are_woken_by_a_closed_receiver)
{
    const size_t len[WAITERS] = { 1, 64, 1, 64, 1 };
    OPEN(crowd, c, len);
    nart_bytes_rx_close(&c.b.rx);
    settle(c.b.rt);
    for (int i = 0; i < WAITERS; i++)
        CHECK_RES(c.op[i].res, NART_ECLOSED);
}

/* A spurious poll does not cost a sender its position. */
TEST(spurious_polls_keep_the_order)
{
    const size_t len[WAITERS] = { 64, 64, 64, 64, 64 };
    OPEN(crowd, c, len);
    for (int round = 0; round < 10; round++) {
        for (int i = WAITERS; i-- > 0;)
            nart_waker_wake(c.op[i].waker);
        settle(c.b.rt);
    }
    get(&c.b.rx, 64, 99);
    for (int i = 0; i < WAITERS; i++) {
        settle(c.b.rt);
        CHECK_RES(c.op[i].res, 0);
        get(&c.b.rx, 64, (uint64_t)i);
    }
}

/* ---- ends closed or moved while a task waits on them ---- */

TEST_EACH(closing_or_moving_an_end_wakes_its_waiter, SPSC, MPSC)
{
    for (int moves = 0; moves < 2; moves++) {
        struct op send, recv;
        nart_bytes_tx tx = { 0 };
        nart_bytes_rx rx = { 0 };
        OPEN(bytes, b, kind, 64);
        recv_start(b.rt, &recv, &b.rx);
        if (moves)
            nart_bytes_rx_move(&rx, &b.rx);
        else
            nart_bytes_rx_close(&b.rx);
        settle(b.rt);
        CHECK_RES(recv.res, NART_ECLOSED);
        if (moves) {
            CHECK_RES(put(&b.tx, 64, 1), 0);
            send_start(b.rt, &send, &b.tx, 1, 2);
            CHECK_RES(send.res, NART_PENDING);
            nart_bytes_tx_move(&tx, &b.tx);
            settle(b.rt);
            CHECK_RES(send.res, NART_ECLOSED);
            get(&rx, 64, 1);
            CHECK_RES(put(&tx, 64, 3), 0);
            get(&rx, 64, 3);
        }
        nart_bytes_tx_close(&tx);
        nart_bytes_rx_close(&rx);
    }
}

/* A task dropped while it waits leaves nothing behind. */
TEST_EACH(the_runtime_is_freed_while_tasks_wait, SPSC, MPSC)
{
    struct op send, recv;
    nart_rt *from = new_rt();
    OPEN(bytes, b, kind, 64);
    recv_start(b.rt, &recv, &b.rx);
    CHECK_RES(nart_rt_free(b.rt), 0);
    CHECK_RES(recv.res, -ECANCELED);
    b.rt = NULL;
    CHECK_RES(put(&b.tx, 64, 1), 0);
    send_start(from, &send, &b.tx, 1, 2);
    get(&b.rx, 64, 1);
    settle(from);
    CHECK_RES(send.res, 0);
    CHECK_RES(put(&b.tx, 64, 1), -EAGAIN);
    send_start(from, &send, &b.tx, 64, 2);
    CHECK_RES(nart_rt_free(from), 0);
    CHECK_RES(send.res, -ECANCELED);
    get(&b.rx, 1, 2);
    CHECK_RES(put(&b.tx, 64, 1), 0);
}

/* Freeing the receiver's runtime delivers the pending wake of a sender. */
TEST_EACH(freeing_the_runtime_wakes_waiting_senders, SPSC, MPSC)
{
    struct bytes b;
    struct op send;
    nart_rt *from = new_rt();
    bytes_open(&b, kind, 64);
    CHECK_RES(put(&b.tx, 64, 1), 0);
    send_start(from, &send, &b.tx, 1, 2);
    get(&b.rx, 64, 1);
    CHECK_RES(nart_rt_free(b.rt), 0);
    b.rt = NULL;
    settle(from);
    CHECK_RES(send.res, 0);
    get(&b.rx, 1, 2);
    bytes_finish(&b);
    CHECK_RES(nart_rt_free(from), 0);
}
