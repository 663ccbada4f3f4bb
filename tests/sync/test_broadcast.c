/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Broadcasts: what each receiver gets, what a lagging one loses, closing, the handles. */
#include "cast_test.h"

TEST_WITH(each_receives_each, senders)
{
    nart_broadcast_rx a, b, c;
    broadcast_open(4, &a);
    CHECK_RES(emit(1), 1);
    CHECK_RES(nart_broadcast_subscribe(&tx, &b), 0); /* receives from the next value on */
    CHECK_RES(emit(2), 2);
    CHECK_RES(nart_broadcast_clone(&a, &c), 0); /* receives what a has not received */
    CHECK_RES(emit(3), 3);
    CHECK_EQ(nart_broadcast_len(&a), 3);
    for (uint64_t i = 1; i <= 3; i++) {
        check_next(&a, i);
        check_next(&c, i);
        if (i > 1)
            check_next(&b, i);
    }
    check_none(&a, -EAGAIN);
    check_none(&b, -EAGAIN);
    check_none(&c, -EAGAIN);
    nart_broadcast_rx_close(&b);
    CHECK_RES(emit(4), 2);
    nart_broadcast_rx_close(&a);
    nart_broadcast_rx_close(&c);
    CHECK_RES(emit(5), 0); /* no receiver is left */
}

TEST_WITH(all_that_wait_are_woken, senders)
{
    nart_broadcast_rx rx[5];
    struct op op[5];
    broadcast_open(2, &rx[0]);
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            CHECK_RES(nart_broadcast_subscribe(&tx, &rx[i]), 0);
        recv_start(&op[i], &rx[i]);
        CHECK_RES(op[i].res, NART_PENDING);
    }
    CHECK_RES(emit(7), 5);
    CHECK_RES(emit(8), 5); /* before they are polled */
    settle(rt);
    for (int i = 0; i < 5; i++) {
        CHECK_RES(op[i].res, 0);
        CHECK_EQ(op[i].value, 7);
        CHECK_EQ(op[i].polls, 2);
        check_next(&rx[i], 8);
        nart_broadcast_rx_close(&rx[i]);
    }
}

TEST_WITH(a_slow_receiver_learns_how_much_it_lost, senders)
{
    nart_broadcast_rx slow, fast;
    broadcast_open(3, &slow); /* four slots */
    CHECK_RES(nart_broadcast_subscribe(&tx, &fast), 0);
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_RES(emit(i), 2);
        check_next(&fast, i);
    }
    CHECK_EQ(nart_broadcast_len(&slow), 10);
    check_lost(&slow, 6);
    for (uint64_t i = 6; i < 10; i++)
        check_next(&slow, i);
    check_none(&slow, -EAGAIN);
    for (uint64_t i = 10; i < 14; i++)
        CHECK_RES(emit(i), 2);
    check_next(&slow, 10); /* exactly full: nothing is lost */
    CHECK_RES(emit(14), 2);
    CHECK_RES(emit(15), 2);
    check_lost(&slow, 1);
    check_next(&slow, 12);
    check_lost(&fast, 2);
    nart_broadcast_rx_close(&slow);
    nart_broadcast_rx_close(&fast);
}

/* It is woken in time and polled too late. */
TEST_WITH(a_waiting_receiver_may_lag, senders)
{
    nart_broadcast_rx rx;
    struct op op;
    broadcast_open(2, &rx);
    recv_start(&op, &rx);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_RES(emit(i), 1);
    settle(rt);
    CHECK_RES(op.res, NART_ELAGGED);
    CHECK_EQ(op.lost, 3);
    check_next(&rx, 3);
    nart_broadcast_rx_close(&rx);
}

TEST_WITH(the_end_is_received_last, senders)
{
    nart_broadcast_rx a, b, c;
    struct op op, none;
    broadcast_open(2, &a);
    CHECK_RES(nart_broadcast_subscribe(&tx, &b), 0);
    CHECK_RES(nart_broadcast_subscribe(&tx, &c), 0);
    recv_start(&op, &b);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_RES(emit(i), 3);
    nart_broadcast_tx_close(&tx);
    nart_broadcast_tx_close(&tx);
    nart_broadcast_tx_close(NULL);
    CHECK_RES(emit(9), NART_ECLOSED);
    settle(rt);
    CHECK_RES(op.res, NART_ELAGGED);
    check_lost(&a, 1);
    check_next(&a, 1);
    check_next(&a, 2);
    check_none(&a, NART_ECLOSED);
    recv_start(&none, &a);
    CHECK_RES(none.res, NART_ECLOSED);
    nart_broadcast_rx d;
    CHECK_RES(nart_broadcast_clone(&a, &d), 0);
    CHECK_RES(nart_broadcast_subscribe(&tx, &d), NART_ECLOSED);
    nart_broadcast_rx_close(&d);
    nart_broadcast_rx_close(&a);
    nart_broadcast_rx_close(&a);
    nart_broadcast_rx_close(NULL);
    check_none(&a, NART_ECLOSED);
    CHECK_RES(nart_broadcast_clone(&a, &d), NART_ECLOSED);
    nart_broadcast_rx_close(&b);
    nart_broadcast_rx_close(&c);
}

TEST_WITH(a_waiting_receiver_is_woken_by_the_end, senders)
{
    nart_broadcast_rx rx, other;
    struct op op, another;
    broadcast_open(2, &rx);
    CHECK_RES(nart_broadcast_subscribe(&tx, &other), 0);
    recv_start(&op, &rx);
    recv_start(&another, &other);
    nart_broadcast_rx_close(&rx); /* closes the handle that the task waits on */
    settle(rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_RES(another.res, NART_PENDING);
    nart_broadcast_tx_close(&tx);
    settle(rt);
    CHECK_RES(another.res, NART_ECLOSED);
    nart_broadcast_rx_close(&other);
}

TEST_WITH(handles_move, senders)
{
    nart_broadcast_rx rx, there = { .in = { .pos = 0 } };
    nart_broadcast_tx t = { .bcast = NULL };
    struct op op;
    broadcast_open(2, &rx);
    recv_start(&op, &rx);
    nart_broadcast_tx_move(&t, &tx);
    nart_broadcast_rx_move(&there, &rx);
    nart_broadcast_rx_move(&there, &there);
    settle(rt);
    CHECK_RES(op.res, NART_ECLOSED); /* it waited on the old handle */
    CHECK_RES(emit(1), NART_ECLOSED);
    nart_broadcast_tx_move(&tx, &t);
    CHECK_RES(emit(2), 1);
    check_next(&there, 2);
    nart_broadcast_rx_close(&there);
}

/* A receiver that closes takes no value from the others. */
TEST_WITH(a_receiver_that_closes_does_not_disturb_the_others, senders)
{
    nart_broadcast_rx rx[3];
    struct op op[3];
    broadcast_open(2, &rx[0]);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            CHECK_RES(nart_broadcast_subscribe(&tx, &rx[i]), 0);
        op[i] = (struct op){ .rx = &rx[i], .limit = i == 1 ? 5 * NART_MS : NART_NEVER };
        op_start(rt, &op[i]);
    }
    run_until(rt, at_ms(6));
    CHECK_RES(op[1].res, -ETIMEDOUT);
    CHECK_RES(nart_task_cancel(rt, op[0].id), 0);
    CHECK_RES(emit(1), 3);
    settle(rt);
    CHECK_RES(op[0].res, -ECANCELED);
    CHECK_RES(op[2].res, 0);
    check_next(&rx[0], 1); /* still available to other users of the handle */
    check_next(&rx[1], 1);
    for (int i = 0; i < 3; i++)
        nart_broadcast_rx_close(&rx[i]);
}

TEST(misuse_is_an_error)
{
    nart_broadcast_rx rx, bad;
    nart_broadcast_tx t;
    struct op a, b;
    senders_open();
    broadcast_open(2, &rx);
    CHECK_RES(nart_broadcast_open(NULL, 8, 1, &t, &bad), -EINVAL);
    CHECK_RES(nart_broadcast_open(rt, 8, 1, NULL, &bad), -EINVAL);
    CHECK_RES(nart_broadcast_open(rt, 8, 1, &t, NULL), -EINVAL);
    CHECK_RES(nart_broadcast_open(rt, 0, 1, &t, &bad), -EINVAL);
    CHECK_RES(nart_broadcast_open(rt, 8, 0, &t, &bad), -EINVAL);
    CHECK_RES(nart_broadcast_open(rt, NART_BROADCAST_MAX_ELEM + 1, 1, &t, &bad), -EOVERFLOW);
    CHECK_RES(nart_broadcast_open(rt, 8, (size_t)NART_BROADCAST_MAX_CAPACITY + 1, &t, &bad),
              -EOVERFLOW);
    test_alloc_fail(1, false);
    CHECK_RES(nart_broadcast_open(rt, 8, 1, &t, &bad), -ENOMEM);
    CHECK(!t.bcast && !bad.in.bcast);
    recv_start(&a, &rx);
    recv_start(&b, &rx);
    CHECK_RES(b.res, -EBUSY);
    CHECK_RES(a.res, NART_PENDING);
    nart_rt *second = new_rt();
    CHECK_RES(nart_broadcast_subscribe(&tx, &bad), 0);
    b = (struct op){ .rx = &bad, .limit = NART_NEVER };
    op_start(second, &b);
    CHECK_RES(b.res, NART_EDRIVER);
    nart_broadcast_rx_close(&bad);
    CHECK_RES(nart_rt_free(second), 0);
    nart_broadcast_rx_close(&rx);
    senders_close();
}

/* In any order, before and after the runtime, with and without values, with and without a
 * waiter. */
TEST(the_last_one_frees)
{
    for (unsigned program = 0; program < 6 * 4 * 2; program++) {
        static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                          { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
        unsigned rest = program / 6, freed_after = rest % 4;
        nart_broadcast_rx a, b;
        struct op op;
        senders_open();
        broadcast_open(2, &a);
        CHECK_RES(nart_broadcast_subscribe(&tx, &b), 0);
        if (rest / 4)
            CHECK_RES(emit(1), 2);
        else
            recv_start(&op, &b);
        for (unsigned i = 0; i <= 3; i++) {
            if (i == freed_after)
                CHECK_RES(nart_rt_free(rt), 0);
            if (i == 3)
                break;
            int which = orders[program % 6][i];
            if (which == 0)
                nart_broadcast_tx_close(&tx);
            else
                nart_broadcast_rx_close(which == 1 ? &a : &b);
        }
        CHECK_EQ(test_alloc_live(), 0);
    }
}

/* ---- random senders and receivers, checked against two counters each ---- */

enum { RECEIVERS = 6, CAPACITY = 4 };

static void receive(nart_broadcast_rx *rx, uint64_t *next, uint64_t sent, bool closed)
{
    uint64_t value = 0, lost = 0;
    nart_res r = nart_broadcast_try_recv(rx, &value, &lost);

    if (sent - *next > CAPACITY) {
        CHECK_RES(r, NART_ELAGGED);
        CHECK_EQ(lost, sent - *next - CAPACITY);
        *next += lost;
    } else if (sent == *next) {
        CHECK_RES(r, closed ? NART_ECLOSED : -EAGAIN);
    } else {
        CHECK_RES(r, 0);
        CHECK_EQ(value, (*next)++);
    }
}

TEST(random_programs)
{
    for (uint32_t program = 1; program <= 300; program++) {
        nart_broadcast_rx rx[RECEIVERS];
        uint64_t next[RECEIVERS] = { 0 }, sent = 0;
        bool open[RECEIVERS] = { true };
        uint64_t seed = program;
        int count = 1;
        senders_open();
        broadcast_open(CAPACITY, &rx[0]);
        for (int i = 0; i < 300; i++) {
            uint32_t r = (uint32_t)random_next(&seed), k = (r >> 8) % RECEIVERS;
            if (r % 8 < 3 && i < 250) {
                CHECK_RES(emit(sent++), count);
            } else if (r % 8 < 6 && open[k]) {
                receive(&rx[k], &next[k], sent, i > 250);
            } else if (r % 8 == 6 && !open[k] && i < 250) {
                CHECK_RES(nart_broadcast_subscribe(&tx, &rx[k]), 0);
                next[k] = sent;
                open[k] = true;
                count++;
            } else if (r % 32 == 7 && open[k]) {
                nart_broadcast_rx_close(&rx[k]);
                open[k] = false;
                count--;
            }
            if (i == 250)
                nart_broadcast_tx_close(&tx);
        }
        for (int k = 0; k < RECEIVERS; k++)
            if (open[k])
                nart_broadcast_rx_close(&rx[k]);
        senders_close();
    }
}
