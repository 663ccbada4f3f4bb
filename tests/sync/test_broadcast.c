/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Watches and broadcasts: what each receiver sees, what a slow one loses, the end, the handles. */
#include "../core/core.h"
#include "../core/virtual.h"

#include <nart/broadcast.h>

static nart_rt *rt;
static nart_broadcast_tx tx;
static nart_watch_tx wtx;

/* One receive in a task of its own, of either kind. `res` is NART_PENDING until it has answered. */
struct op {
    nart_broadcast_rx *rx;
    nart_watch_rx *watch;
    int64_t limit;
    uint64_t value, lost;
    nart_res res;
    unsigned polls;
    nart_task id;
    nart_waker waker;
};

struct op_frame {
    nart_co co;
    struct op *op;
};

static nart_res op_do(nart_cx *cx, struct op *op)
{
    return op->rx ? nart_broadcast_recv(cx, op->rx, &op->value, &op->lost)
                  : nart_watch_changed(cx, op->watch, &op->value);
}

static nart_res op_run(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    f->op->polls++;
    f->op->waker = nart_cx_waker(cx);
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(r, f->op->limit, op_do(cx, f->op));
    f->op->res = r;
    NART_END(r);
}

static const nart_task_type op_type = NART_TASK_TYPE(struct op_frame, op_run, NULL);

static void op_start(nart_rt *where, struct op *op)
{
    struct op_frame f = { .op = op };
    nart_join join = { .hub = NULL };

    op->res = NART_PENDING;
    op->limit = op->limit ? op->limit : NART_NEVER;
    CHECK_RES(nart_rt_spawn(where, &op_type, &f, &join), 0);
    op->id = nart_join_task(&join);
    nart_join_release(&join);
    settle(where);
}

static void recv_start(struct op *op, nart_broadcast_rx *rx)
{
    *op = (struct op){ .rx = rx };
    op_start(rt, op);
}

static void changed_start(struct op *op, nart_watch_rx *rx)
{
    *op = (struct op){ .watch = rx };
    op_start(rt, op);
}

static void begin(size_t capacity, nart_broadcast_rx *rx)
{
    rt = new_rt();
    CHECK_RES(nart_broadcast_open(rt, sizeof(uint64_t), capacity, &tx, rx), 0);
}

static void end(void)
{
    nart_broadcast_tx_close(&tx);
    nart_watch_tx_close(&wtx);
    CHECK_RES(nart_rt_free(rt), 0);
}

static nart_res emit(uint64_t value)
{
    return nart_broadcast_send(&tx, &value);
}

static void check_next(nart_broadcast_rx *rx, uint64_t expected)
{
    uint64_t value = UINT64_MAX;
    CHECK_RES(nart_broadcast_try_recv(rx, &value, NULL), 0);
    CHECK_EQ(value, expected);
}

static void check_none(nart_broadcast_rx *rx, nart_res why)
{
    uint64_t value = 0;
    CHECK_RES(nart_broadcast_try_recv(rx, &value, NULL), why);
}

static void check_lost(nart_broadcast_rx *rx, uint64_t expected)
{
    uint64_t value = 0, lost = 0;
    CHECK_RES(nart_broadcast_try_recv(rx, &value, &lost), NART_ELAGGED);
    CHECK_EQ(lost, expected);
}

/* ---- broadcast ---- */

TEST(each_receives_each)
{
    nart_broadcast_rx a, b, c;
    begin(4, &a);
    CHECK_RES(emit(1), 1);
    CHECK_RES(nart_broadcast_subscribe(&tx, &b), 0); /* from the next one on */
    CHECK_RES(emit(2), 2);
    CHECK_RES(nart_broadcast_clone(&a, &c), 0); /* what a has not received */
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
    CHECK_RES(emit(5), 0); /* nobody is there */
    end();
}

TEST(all_that_wait_are_woken)
{
    nart_broadcast_rx rx[5];
    struct op op[5];
    begin(2, &rx[0]);
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
    end();
}

TEST(a_slow_one_is_told_what_it_lost)
{
    nart_broadcast_rx slow, fast;
    begin(3, &slow); /* four places */
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
    end();
}

/* Woken in time, polled too late. */
TEST(who_waits_may_be_overtaken)
{
    nart_broadcast_rx rx;
    struct op op;
    begin(2, &rx);
    recv_start(&op, &rx);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_RES(emit(i), 1);
    settle(rt);
    CHECK_RES(op.res, NART_ELAGGED);
    CHECK_EQ(op.lost, 3);
    check_next(&rx, 3);
    nart_broadcast_rx_close(&rx);
    end();
}

TEST(the_end_comes_last)
{
    nart_broadcast_rx a, b, c;
    struct op op, none;
    begin(2, &a);
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
    end();
}

TEST(who_waits_hears_of_the_end)
{
    nart_broadcast_rx rx, other;
    struct op op, another;
    begin(2, &rx);
    CHECK_RES(nart_broadcast_subscribe(&tx, &other), 0);
    recv_start(&op, &rx);
    recv_start(&another, &other);
    nart_broadcast_rx_close(&rx); /* of this handle, under the task that waits in it */
    settle(rt);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_RES(another.res, NART_PENDING);
    nart_broadcast_tx_close(&tx);
    settle(rt);
    CHECK_RES(another.res, NART_ECLOSED);
    nart_broadcast_rx_close(&other);
    end();
}

TEST(handles_move)
{
    nart_broadcast_rx rx, there = { .in = { .pos = 0 } };
    nart_broadcast_tx t = { .cast = NULL };
    struct op op;
    begin(2, &rx);
    recv_start(&op, &rx);
    nart_broadcast_tx_move(&t, &tx);
    nart_broadcast_rx_move(&there, &rx);
    nart_broadcast_rx_move(&there, &there);
    settle(rt);
    CHECK_RES(op.res, NART_ECLOSED); /* it stands at the old place */
    CHECK_RES(emit(1), NART_ECLOSED);
    nart_broadcast_tx_move(&tx, &t);
    CHECK_RES(emit(2), 1);
    check_next(&there, 2);
    nart_broadcast_rx_close(&there);
    end();
}

/* Nobody who goes away keeps anything from the others. */
TEST(going_away_disturbs_nobody)
{
    nart_broadcast_rx rx[3];
    struct op op[3];
    begin(2, &rx[0]);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            CHECK_RES(nart_broadcast_subscribe(&tx, &rx[i]), 0);
        op[i] = (struct op){ .rx = &rx[i], .limit = i == 1 ? 5 * NART_MS : 0 };
        op_start(rt, &op[i]);
    }
    run_until(rt, at_ms(6));
    CHECK_RES(op[1].res, -ETIMEDOUT);
    CHECK_RES(nart_task_cancel(rt, op[0].id), 0);
    CHECK_RES(emit(1), 3);
    settle(rt);
    CHECK_RES(op[0].res, -ECANCELED);
    CHECK_RES(op[2].res, 0);
    check_next(&rx[0], 1); /* not lost for the others that use the handle */
    check_next(&rx[1], 1);
    for (int i = 0; i < 3; i++)
        nart_broadcast_rx_close(&rx[i]);
    end();
}

TEST(misuse_is_told)
{
    nart_broadcast_rx rx, bad;
    nart_broadcast_tx t;
    struct op a, b;
    begin(2, &rx);
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
    CHECK(!t.cast && !bad.in.cast);
    recv_start(&a, &rx);
    recv_start(&b, &rx);
    CHECK_RES(b.res, -EBUSY);
    CHECK_RES(a.res, NART_PENDING);
    nart_rt *second = new_rt();
    CHECK_RES(nart_broadcast_subscribe(&tx, &bad), 0);
    b = (struct op){ .rx = &bad };
    op_start(second, &b);
    CHECK_RES(b.res, NART_EDRIVER);
    nart_broadcast_rx_close(&bad);
    CHECK_RES(nart_rt_free(second), 0);
    nart_broadcast_rx_close(&rx);
    end();
}

/* In any order, before and after the runtime, with values and without, waited for or not. */
TEST(the_last_one_frees)
{
    for (unsigned program = 0; program < 6 * 4 * 2; program++) {
        static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                          { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
        unsigned rest = program / 6, freed_after = rest % 4;
        nart_broadcast_rx a, b;
        struct op op;
        begin(2, &a);
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

/* ---- watch ---- */

static void watch_begin(uint64_t initial, nart_watch_rx *rx)
{
    rt = new_rt();
    CHECK_RES(nart_watch_open(rt, sizeof initial, &initial, &wtx, rx), 0);
}

static nart_res set(uint64_t value)
{
    return nart_watch_send(&wtx, &value);
}

static void check_get(nart_watch_rx *rx, uint64_t expected)
{
    uint64_t value = UINT64_MAX;
    CHECK_RES(nart_watch_get(rx, &value), 0);
    CHECK_EQ(value, expected);
    CHECK(!nart_watch_has_changed(rx));
}

TEST(the_newest_value_is_seen)
{
    nart_watch_rx rx;
    struct op op;
    watch_begin(10, &rx);
    CHECK(!nart_watch_has_changed(&rx));
    check_get(&rx, 10);
    changed_start(&op, &rx);
    CHECK_RES(op.res, NART_PENDING); /* the first has been seen */
    CHECK_RES(set(11), 1);
    CHECK_RES(set(12), 1);
    settle(rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 12);
    CHECK_EQ(op.polls, 2);
    changed_start(&op, &rx);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(set(12), 1); /* the same is new, too */
    settle(rt);
    CHECK_RES(op.res, 0);
    CHECK_RES(set(13), 1);
    changed_start(&op, &rx);
    CHECK_RES(op.res, 0); /* at once */
    CHECK_EQ(op.value, 13);
    nart_watch_rx_close(&rx);
    end();
}

TEST(each_has_its_own_view)
{
    nart_watch_rx a, b, c;
    watch_begin(1, &a);
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
    end();
}

TEST(the_last_value_comes_before_the_end)
{
    nart_watch_rx a, b;
    struct op seen, unseen;
    watch_begin(1, &a);
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
    end();
}

/* Woken for a value that somebody else reads through the handle: it waits for the next. */
TEST(a_value_that_was_seen_meanwhile_is_not_answered)
{
    nart_watch_rx rx;
    struct op op;
    watch_begin(1, &rx);
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
    end();
}

TEST(watch_misuse_is_told)
{
    nart_watch_rx rx, bad, there = { .in = { .pos = 0 } };
    nart_watch_tx t = { .cast = NULL };
    uint64_t v = 0;
    struct op a, b;
    watch_begin(1, &rx);
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
    end();
}

/* ---- both ---- */

TEST(polls_for_no_reason_change_nothing)
{
    nart_broadcast_rx rx;
    nart_watch_rx watch;
    struct op a, b;
    uint64_t v = 1;
    begin(2, &rx);
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
    end();
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

TEST(a_race_loses_nothing)
{
    nart_join join;
    nart_broadcast_rx rx;
    uint64_t v = 1;
    begin(8, &rx);
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
    end();
}

/* ---- random: senders, receivers of any speed, against two counters each ---- */

enum { RECEIVERS = 6, CAPACITY = 4 };

static uint32_t rnd(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

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
        uint32_t seed = program * 2654435761u | 1;
        int count = 1;
        begin(CAPACITY, &rx[0]);
        for (int i = 0; i < 300; i++) {
            uint32_t r = rnd(&seed), k = (r >> 8) % RECEIVERS;
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
        end();
    }
}
