/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Watches: the newest value, the end, the handles; and watches beside broadcasts. */
#include "cast_test.h"

TEST_WITH(the_newest_value_is_seen, senders)
{
    nart_watch_rx rx;
    struct op op;
    watch_open(10, &rx);
    CHECK(!nart_watch_has_changed(&rx));
    check_get(&rx, 10);
    changed_start(&op, &rx);
    CHECK_RES(op.res, NART_PENDING); /* the initial value is already seen */
    CHECK_RES(set(11), 1);
    CHECK_RES(set(12), 1);
    settle(rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 12);
    CHECK_EQ(op.polls, 2);
    changed_start(&op, &rx);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(set(12), 1); /* an equal value counts as new */
    settle(rt);
    CHECK_RES(op.res, 0);
    CHECK_RES(set(13), 1);
    changed_start(&op, &rx);
    CHECK_RES(op.res, 0); /* without waiting */
    CHECK_EQ(op.value, 13);
    nart_watch_rx_close(&rx);
}

TEST_WITH(each_has_its_own_view, senders)
{
    nart_watch_rx a, b, c;
    watch_open(1, &a);
    CHECK_RES(set(2), 1);
    CHECK_RES(nart_watch_subscribe(&wtx, &b), 0);
    CHECK_RES(nart_watch_clone(&a, &c), 0);
    CHECK(nart_watch_has_changed(&a) && !nart_watch_has_changed(&b) && nart_watch_has_changed(&c));
    check_get(&a, 2);
    CHECK(nart_watch_has_changed(&c));
    check_get(&c, 2);
    check_get(&b, 2);
    CHECK_RES(set(3), 3);
    CHECK(nart_watch_has_changed(&a) && nart_watch_has_changed(&b) && nart_watch_has_changed(&c));
    nart_watch_rx_close(&a);
    nart_watch_rx_close(&b);
    nart_watch_rx_close(&c);
    CHECK_RES(set(4), 0);
    CHECK_RES(nart_watch_subscribe(&wtx, &a), 0);
    check_get(&a, 4);
    nart_watch_rx_close(&a);
}

TEST_WITH(the_last_value_is_received_before_the_end, senders)
{
    nart_watch_rx a, b;
    struct op seen, unseen;
    watch_open(1, &a);
    CHECK_RES(nart_watch_subscribe(&wtx, &b), 0);
    changed_start(&seen, &a);
    CHECK_RES(set(2), 2);
    nart_watch_tx_close(&wtx);
    nart_watch_tx_close(NULL);
    CHECK_RES(set(3), NART_ECLOSED);
    settle(rt);
    CHECK_RES(seen.res, 0);
    CHECK_EQ(seen.value, 2);
    changed_start(&seen, &a);
    CHECK_RES(seen.res, NART_ECLOSED);
    changed_start(&unseen, &b);
    CHECK_RES(unseen.res, 0);
    changed_start(&unseen, &b);
    CHECK_RES(unseen.res, NART_ECLOSED);
    check_get(&b, 2);
    nart_watch_rx_close(&a);
    nart_watch_rx_close(&b);
    nart_watch_rx_close(NULL);
    uint64_t value;
    CHECK_RES(nart_watch_get(&b, &value), NART_ECLOSED);
    changed_start(&unseen, &b);
    CHECK_RES(unseen.res, NART_ECLOSED);
}

/* Woken for a value that another reader of the handle takes: it waits for the next. */
TEST_WITH(a_value_that_was_seen_meanwhile_is_not_answered, senders)
{
    nart_watch_rx rx;
    struct op op;
    watch_open(1, &rx);
    changed_start(&op, &rx);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(set(2), 1);
        check_get(&rx, 2);
        settle(rt);
        CHECK_RES(op.res, NART_PENDING);
    }
    CHECK_RES(set(3), 1);
    settle(rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 3);
    changed_start(&op, &rx);
    nart_watch_rx_close(&rx);
    settle(rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

TEST_WITH(watch_misuse_is_an_error, senders)
{
    nart_watch_rx rx, bad, there = { .in = { .pos = 0 } };
    nart_watch_tx t = { .bcast = NULL };
    uint64_t v = 0;
    struct op a, b;
    watch_open(1, &rx);
    CHECK_RES(nart_watch_open(rt, 8, NULL, &t, &bad), -EINVAL);
    CHECK_RES(nart_watch_open(rt, 8, &v, NULL, &bad), -EINVAL);
    CHECK_RES(nart_watch_open(rt, 0, &v, &t, &bad), -EINVAL);
    CHECK_RES(nart_watch_open(NULL, 8, &v, &t, &bad), -EINVAL);
    CHECK_RES(nart_watch_open(rt, NART_BROADCAST_MAX_ELEM + 1, &v, &t, &bad), -EOVERFLOW);
    test_alloc_fail(1, false);
    CHECK_RES(nart_watch_open(rt, 8, &v, &t, &bad), -ENOMEM);
    CHECK_RES(nart_watch_subscribe(&t, &bad), NART_ECLOSED);
    CHECK_RES(nart_watch_clone(&bad, &bad), NART_ECLOSED);
    changed_start(&a, &rx);
    changed_start(&b, &rx);
    CHECK_RES(b.res, -EBUSY);
    nart_watch_tx_move(&t, &wtx);
    nart_watch_tx_move(&wtx, &t);
    nart_watch_rx_move(&there, &rx);
    settle(rt);
    CHECK_RES(a.res, NART_ECLOSED);
    CHECK_RES(set(5), 1);
    check_get(&there, 5);
    nart_watch_rx_close(&there);
}

/* ---- watch and broadcast together ---- */

TEST_WITH(polls_for_no_reason_change_nothing, senders)
{
    nart_broadcast_rx rx;
    nart_watch_rx watch;
    struct op a, b;
    uint64_t v = 1;
    broadcast_open(2, &rx);
    CHECK_RES(nart_watch_open(rt, sizeof v, &v, &wtx, &watch), 0);
    recv_start(&a, &rx);
    changed_start(&b, &watch);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(a.waker);
        nart_waker_wake(b.waker);
        settle(rt);
    }
    CHECK_LE(1000, a.polls);
    CHECK_LE(1000, b.polls);
    CHECK_RES(emit(3), 1);
    CHECK_RES(set(4), 1);
    settle(rt);
    CHECK_EQ(a.value, 3);
    CHECK_EQ(b.value, 4);
    nart_broadcast_rx_close(&rx);
    nart_watch_rx_close(&watch);
}

struct racer {
    nart_co co;
    nart_broadcast_rx rx;
    nart_watch_rx watch;
    nart_res r;
    uint64_t a, b;
    int which, won[2];
};

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT_ANY(f->which, f->r, nart_broadcast_recv(cx, &f->rx, &f->a, NULL),
                       nart_watch_changed(cx, &f->watch, &f->b));
        CHECK(!f->rx.in.wait.task && !f->watch.in.wait.task);
        if (f->r < 0)
            break;
        f->won[f->which]++;
    }
    NART_END(f->r);
}

static void racer_drop(void *frame)
{
    struct racer *f = frame;
    nart_broadcast_rx_close(&f->rx);
    nart_watch_rx_close(&f->watch);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, racer_drop);

TEST_WITH(a_race_loses_nothing, senders)
{
    nart_join join;
    nart_broadcast_rx rx;
    uint64_t v = 1;
    broadcast_open(8, &rx);
    struct racer *f = spawn(rt, &racer_type, &join);
    nart_broadcast_rx_move(&f->rx, &rx);
    CHECK_RES(nart_watch_open(rt, sizeof v, &v, &wtx, &f->watch), 0);
    settle(rt);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_RES(emit(i), 1);
    CHECK_RES(set(7), 1);
    settle(rt);
    CHECK_EQ(f->won[0], 4);
    CHECK_EQ(f->won[1], 1);
    CHECK_EQ(f->b, 7);
    nart_watch_tx_close(&wtx);
    settle(rt);
    CHECK_RES(f->r, NART_ECLOSED);
    nart_join_release(&join);
}
