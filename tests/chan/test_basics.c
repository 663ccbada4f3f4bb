/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Behaviour common to all kinds of channels, on one thread: order, capacity, closing, and waiting
 * on either side. */
#include "chan_test.h"

/* ---- order and capacity ---- */

TEST_EACH(values_are_received_in_order, LOCAL, SPSC, MPSC)
{
    OPEN(chan, c, kind, 4);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_RES(u64_try_send(&c.tx, i), 0);
    CHECK_EQ(nart_tx_len(&c.tx), 3);
    CHECK_EQ(nart_rx_len(&c.rx), 3);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_NEXT(&c.rx, i);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
    CHECK_EQ(nart_rx_len(&c.rx), 0);
}

/* A full channel refuses a value, accepts one for each received, and loses none. */
TEST_EACH(a_full_channel_refuses, LOCAL, SPSC, MPSC)
{
    OPEN(chan, c, kind, 2);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    CHECK_RES(u64_try_send(&c.tx, 3), -EAGAIN);
    CHECK_NEXT(&c.rx, 1);
    CHECK_RES(u64_try_send(&c.tx, 3), 0);
    CHECK_RES(u64_try_send(&c.tx, 4), -EAGAIN);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NEXT(&c.rx, 3);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
}

/* A capacity is rounded up to a power of two, and exactly that many values fit. */
TEST_EACH(capacities_round_up, LOCAL, SPSC, MPSC)
{
    static const size_t asked[] = { 1, 2, 3, 5, 8, 100, 1000 };
    static const size_t given[] = { 1, 2, 4, 8, 8, 128, 1024 };

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        OPEN(chan, c, kind, asked[i]);
        CHECK_EQ(nart_tx_capacity(&c.tx), given[i]);
        for (size_t n = 0; n < given[i]; n++)
            CHECK_RES(u64_try_send(&c.tx, n), 0);
        CHECK_RES(u64_try_send(&c.tx, 0), -EAGAIN);
        for (size_t n = 0; n < given[i]; n++)
            CHECK_NEXT(&c.rx, n);
    }
}

/* Fills and empties the channel repeatedly, so that the ring wraps at every offset. */
TEST_EACH(wraps_at_every_offset, LOCAL, SPSC, MPSC)
{
    OPEN(chan, c, kind, 64);
    for (uint64_t round = 0; round < 1000; round++) {
        for (uint64_t i = 0; i < 64; i++)
            CHECK_RES(u64_try_send(&c.tx, round + i), 0);
        CHECK_RES(u64_try_send(&c.tx, 0), -EAGAIN);
        for (uint64_t i = 0; i < 64; i++)
            CHECK_NEXT(&c.rx, round + i);
        CHECK_NO_NEXT(&c.rx, -EAGAIN);
        CHECK_RES(u64_try_send(&c.tx, 7), 0); /* start the next round one slot further */
        CHECK_NEXT(&c.rx, 7);
    }
}

TEST_EACH(capacity_one, LOCAL, SPSC, MPSC)
{
    OPEN(chan, c, kind, 1);
    for (uint64_t i = 0; i < 100000; i++) {
        CHECK_RES(u64_try_send(&c.tx, i), 0);
        CHECK_RES(u64_try_send(&c.tx, i), -EAGAIN);
        CHECK_NEXT(&c.rx, i);
    }
}

/* Values of any size, up to the largest, arrive whole. */
TEST_EACH(values_of_any_size, LOCAL, SPSC, MPSC)
{
    static const size_t sizes[] = { 1, 3, 8, 24, 100, 4096, NART_CHAN_MAX_ELEM };
    static unsigned char in[NART_CHAN_MAX_ELEM], out[NART_CHAN_MAX_ELEM];
    nart_rt *rt = new_rt();
    uint64_t seed = 1;

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        nart_chan_opts o = { sizeof o, kind, 0, sizes[s], 4, NULL };
        nart_tx tx;
        nart_rx rx;
        CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
        for (int n = 0; n < 20; n++) {
            for (size_t i = 0; i < sizes[s]; i++)
                in[i] = (unsigned char)random_next(&seed);
            CHECK_RES(nart_try_send(&tx, in), 0);
            memset(out, 0, sizeof out);
            CHECK_RES(nart_try_recv(&rx, out), 0);
            CHECK(memcmp(in, out, sizes[s]) == 0);
        }
        nart_tx_close(&tx);
        nart_rx_close(&rx);
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- closing ---- */

/* Values sent before the sender closed are received before NART_ECLOSED. */
TEST_EACH(sender_closes, LOCAL, SPSC, MPSC)
{
    OPEN(chan, c, kind, 4);
    CHECK(!nart_rx_is_closed(&c.rx));
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    nart_tx_close(&c.tx);
    CHECK(nart_rx_is_closed(&c.rx));
    CHECK_EQ(nart_rx_len(&c.rx), 2);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
}

/* Sending to a closed receiver fails, whether or not there is free space. */
TEST_EACH(receiver_closes, LOCAL, SPSC, MPSC)
{
    for (uint64_t before = 0; before <= 2; before++) {
        struct op op;
        OPEN(chan, c, kind, 2);
        for (uint64_t i = 0; i < before; i++)
            CHECK_RES(u64_try_send(&c.tx, i), 0);
        CHECK(!nart_tx_is_closed(&c.tx));
        nart_rx_close(&c.rx);
        CHECK(nart_tx_is_closed(&c.tx));
        CHECK_RES(u64_try_send(&c.tx, 9), NART_ECLOSED);
        send_start(c.rt, &op, &c.tx, 9);
        CHECK_RES(op.res, NART_ECLOSED);
        CHECK_EQ(op.polls, 1);
    }
}

/* A value or the sender's close wakes a waiting receive. */
TEST_EACH(receive_waits, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 2);
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(u64_try_send(&c.tx, 99), 0);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 99);
    CHECK_EQ(op.polls, 2);

    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(op.res, NART_PENDING);
    nart_tx_close(&c.tx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

/* Free space or the receiver's close wakes a waiting send; its value is last in order. */
TEST_EACH(send_waits, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 2);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    send_start(c.rt, &op, &c.tx, 3);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_NEXT(&c.rx, 1);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.polls, 2);
    CHECK_EQ(nart_rx_len(&c.rx), 2);

    send_start(c.rt, &op, &c.tx, 4);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NEXT(&c.rx, 3);
    settle(c.rt);
    CHECK_NEXT(&c.rx, 4);

    CHECK_RES(u64_try_send(&c.tx, 5), 0);
    CHECK_RES(u64_try_send(&c.tx, 6), 0);
    send_start(c.rt, &op, &c.tx, 7);
    nart_rx_close(&c.rx);
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

/* A send that was cancelled or timed out leaves nothing behind. */
TEST_EACH(cancelled_send_leaves_nothing, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 2);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    send_start(c.rt, &op, &c.tx, 666);
    CHECK_RES(nart_task_cancel(c.rt, op.id), 0);
    settle(c.rt);
    CHECK_RES(op.res, -ECANCELED);

    op = (struct op){ .tx = &c.tx, .value = 667, .limit = 0 };
    op_start(c.rt, &op);
    CHECK_RES(op.res, -ETIMEDOUT);

    CHECK_NEXT(&c.rx, 1);
    CHECK_RES(u64_try_send(&c.tx, 3), 0);
    settle(c.rt);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NEXT(&c.rx, 3);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
}

/* A receive that was cancelled, timed out or dropped takes no value. The waiting task is aborted at
 * once; a later send wakes no task and loses no value. */
TEST_EACH(cancelled_receive_takes_nothing, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 4);

    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(nart_task_cancel(c.rt, op.id), 0);
    CHECK_RES(u64_try_send(&c.tx, 1), 0); /* both at once: the cancellation wins, the value stays */
    settle(c.rt);
    CHECK_RES(op.res, -ECANCELED);

    CHECK_NEXT(&c.rx, 1);
    op = (struct op){ .rx = &c.rx, .limit = 0 };
    op_start(c.rt, &op);
    CHECK_RES(op.res, -ETIMEDOUT);

    recv_start(c.rt, &op, &c.rx);
    CHECK_EQ(nart_rt_task_count(c.rt), 1);
    CHECK_RES(nart_task_abort(c.rt, op.id), 0);
    settle(c.rt);
    CHECK_EQ(nart_rt_task_count(c.rt), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    settle(c.rt);
    CHECK_NEXT(&c.rx, 2);
}

/* An available value takes precedence over an expired scope. */
TEST_EACH(value_beats_deadline, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 1);
    CHECK_RES(u64_try_send(&c.tx, 5), 0);
    op = (struct op){ .rx = &c.rx, .limit = 0 };
    op_start(c.rt, &op);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 5);
}

/* A task woken spuriously a thousand times keeps waiting and then receives its value. */
TEST_EACH(spurious_polls, LOCAL, SPSC, MPSC)
{
    struct op op;
    OPEN(chan, c, kind, 1);
    recv_start(c.rt, &op, &c.rx);
    for (unsigned i = 0; i < 1000; i++) {
        nart_waker_wake(op.waker);
        settle(c.rt);
        CHECK_EQ(op.polls, i + 2);
        CHECK_RES(op.res, NART_PENDING);
    }
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    settle(c.rt);
    CHECK_RES(op.res, 0);

    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    send_start(c.rt, &op, &c.tx, 3);
    for (unsigned i = 0; i < 1000; i++) {
        nart_waker_wake(op.waker);
        settle(c.rt);
        CHECK_EQ(op.polls, i + 2);
        CHECK_RES(op.res, NART_PENDING);
    }
    CHECK_NEXT(&c.rx, 2);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    CHECK_NEXT(&c.rx, 3);
}
