/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Deadlines as scopes: which level returns which error when they nest, expire together, or coincide
 * with a value. The clock is virtual, so every expectation is exact. */
#include "core.h"
#include "virtual.h"

#include <nart/fiber.h>

FIXTURE_RT();

/* ---- a loop that retries on -ETIMEDOUT, inside a scope of its caller ---- */

struct tries {
    nart_co co;
    int count;
    nart_res last;
};

struct asker {
    nart_co co;
    struct tries tries;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res got, again;
    int64_t got_at;
};

static nart_res try_again(nart_cx *cx, struct asker *a)
{
    struct tries *t = &a->tries;
    nart_res r = 0;

    NART_BEGIN(cx, &t->co);
    do {
        NART_AWAIT_FOR(r, 10 * NART_MS, nart_recv(cx, &a->rx, &a->value));
        t->count += r == -ETIMEDOUT;
    } while (r == -ETIMEDOUT);
    t->last = r;
    NART_END(r);
}

static nart_res asker_run(nart_cx *cx, void *frame)
{
    struct asker *a = frame;

    NART_BEGIN(cx, &a->co);
    NART_AWAIT_FOR(a->got, 35 * NART_MS, try_again(cx, a));
    a->got_at = nart_now(cx);
    NART_AWAIT_FOR(a->again, 5 * NART_MS, nart_recv(cx, &a->rx, &a->value));
    NART_END(0);
}

static void asker_drop(void *frame)
{
    struct asker *a = frame;
    nart_tx_close(&a->tx);
    nart_rx_close(&a->rx);
}

static const nart_task_type asker_type = NART_TASK_TYPE(struct asker, asker_run, asker_drop);

static struct asker *new_asker(nart_join *join)
{
    struct asker *a = spawn(rt, &asker_type, join);
    new_chan(rt, 1, &a->tx, &a->rx);
    return a;
}

TEST_WITH(an_outer_scope_ends_an_inner_loop_that_retries_on_timeout, rt)
{
    nart_join join;
    struct asker *a = new_asker(&join);

    run_all(rt);
    CHECK_EQ(a->tries.count, 3);
    CHECK_RES(a->tries.last, -ECANCELED); /* it does not see the outer scope's timeout */
    CHECK_RES(a->got, -ETIMEDOUT);
    CHECK_EQ(a->got_at, at_ms(35));
    CHECK_RES(a->again, -ETIMEDOUT); /* outside the scope operations work again */
    CHECK_EQ(elapsed_ms(), 40);
    nart_join_release(&join);
}

TEST_WITH(cancellation_ends_an_inner_loop_that_retries_on_timeout, rt)
{
    nart_join join;
    struct asker *a = new_asker(&join);

    run_until(rt, at_ms(20));
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK_EQ(a->tries.count, 2);
    CHECK_RES(a->tries.last, -ECANCELED);
    CHECK_RES(a->got, -ECANCELED);
    CHECK_RES(a->again, -ECANCELED); /* sticky */
    nart_join_release(&join);
}

/* ---- three levels, every order of expiry ---- */

struct level {
    nart_co co;
    nart_timer timer;
    nart_res a, b;
};

struct three {
    nart_co co;
    struct level l1, l2;
    int64_t d0, d1, d2;
    nart_res r0, shielded;
    int64_t ended_at;
    bool shield;
};

static nart_res level2(nart_cx *cx, struct three *f)
{
    struct level *l = &f->l2;

    NART_BEGIN(cx, &l->co);
    NART_AWAIT_UNTIL(l->a, f->d2, nart_sleep_until(cx, &l->timer, at_ms(900)));
    NART_AWAIT(l->b, nart_sleep_until(cx, &l->timer, at_ms(900))); /* continues after the error */
    if (f->shield) {
        NART_SHIELD(7 * NART_MS);
        NART_AWAIT(f->shielded, nart_sleep_until(cx, &l->timer, at_ms(900)));
        NART_UNSHIELD();
    }
    NART_END(l->b);
}

static nart_res level1(nart_cx *cx, struct three *f)
{
    NART_BEGIN(cx, &f->l1.co);
    NART_AWAIT_UNTIL(f->l1.a, f->d1, level2(cx, f));
    NART_END(f->l1.a);
}

static nart_res three_run(nart_cx *cx, void *frame)
{
    struct three *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(f->r0, f->d0, level1(cx, f));
    f->ended_at = nart_now(cx);
    NART_END(0);
}

static const nart_task_type three_type = NART_TASK_TYPE(struct three, three_run, NULL);

/* The same as functions of a fiber. */
static nart_res fiber_level2(nart_cx *cx, struct three *f)
{
    struct level *l = &f->l2;

    l->a = nart_await_until(cx, f->d2, nart_sleep_until(cx, &l->timer, at_ms(900)));
    l->b = nart_await(cx, nart_sleep_until(cx, &l->timer, at_ms(900)));
    if (f->shield) {
        nart_shield(cx, 7 * NART_MS);
        f->shielded = nart_await(cx, nart_sleep_until(cx, &l->timer, at_ms(900)));
        nart_unshield(cx);
    }
    return l->b;
}

static nart_res fiber_level1(nart_cx *cx, struct three *f)
{
    return f->l1.a = nart_await_until(cx, f->d1, fiber_level2(cx, f));
}

static nart_res three_fiber(nart_cx *cx, void *arg)
{
    struct three *f = arg;

    f->r0 = nart_await_until(cx, f->d0, fiber_level1(cx, f));
    f->ended_at = nart_now(cx);
    return 0;
}

/* Two levels are bodies. */
static nart_res three_mixed(nart_cx *cx, void *arg)
{
    struct three *f = arg;

    f->r0 = nart_await_until(cx, f->d0, level1(cx, f));
    f->ended_at = nart_now(cx);
    return 0;
}

struct order {
    int64_t d0, d1, d2, cancel_at; /* ms */
    bool shield;
    nart_res r0, r1, a2, b2;
    int64_t ended_at;
};

enum form { BODY, FIBER, MIXED };

static void check_order_of(const struct order *o, enum form form)
{
    rt_open();
    nart_join join;
    struct three *f, own = { .d0 = 0 };

    virtual_restart();
    if (form == BODY)
        f = spawn(rt, &three_type, &join);
    else
        CHECK_RES(nart_rt_fiber_spawn(rt, form == FIBER ? three_fiber : three_mixed, f = &own, NULL,
                                      &join),
                  0);
    f->d0 = at_ms(o->d0);
    f->d1 = at_ms(o->d1);
    f->d2 = at_ms(o->d2);
    f->shield = o->shield;
    if (o->cancel_at) {
        settle(rt);
        virtual_now = at_ms(o->cancel_at);
        CHECK_RES(cancel(rt, &join), 0);
    }
    run_all(rt);
    CHECK_RES(f->r0, o->r0);
    CHECK_RES(f->l1.a, o->r1);
    CHECK_RES(f->l2.a, o->a2);
    CHECK_RES(f->l2.b, o->b2);
    CHECK_EQ(f->ended_at, at_ms(o->ended_at));
    if (o->shield)
        CHECK_RES(f->shielded, -ECANCELED);
    nart_join_release(&join);
    rt_close();
}

static void check_order(const struct order *o)
{
    for (int form = BODY; form <= MIXED; form++)
        check_order_of(o, (enum form)form);
}

#define T (-ETIMEDOUT)
#define C (-ECANCELED)
#define ORDER(...) check_order(&(struct order){ __VA_ARGS__ })

TEST(the_outermost_scope_expires_first_and_stops_all_inside)
{
    ORDER(100, 200, 300, 0, false, T, C, C, C, 100);
}

TEST(the_middle_scope_expires_first_and_its_body_alone_sees_a_timeout)
{
    ORDER(200, 100, 300, 0, false, T, T, C, C, 100); /* r0: the result of the middle body */
}

TEST(the_innermost_scope_expires_first_and_its_body_continues)
{
    ORDER(300, 200, 100, 0, false, T, T, T, C, 200);
}

TEST(scopes_that_expire_together_belong_to_the_outermost)
{
    ORDER(100, 100, 100, 0, false, T, C, C, C, 100);
}

TEST(the_two_inner_scopes_expire_together)
{
    ORDER(200, 100, 100, 0, false, T, T, C, C, 100);
}

TEST(the_two_outer_scopes_expire_together)
{
    ORDER(200, 200, 100, 0, false, T, C, T, C, 200);
}

TEST(a_cancelled_task_sees_no_timeout_at_any_level)
{
    ORDER(100, 200, 300, 50, false, C, C, C, C, 50);
}

TEST(cancellation_wins_over_a_timeout_at_the_same_time)
{
    ORDER(100, 100, 100, 100, false, C, C, C, C, 100);
}

TEST(a_shield_delays_an_outer_timeout_by_its_bound)
{
    ORDER(100, 200, 300, 0, true, T, C, C, C, 107);
}

TEST(a_shield_delays_cancellation_by_its_bound)
{
    ORDER(100, 200, 300, 50, true, C, C, C, C, 57);
}

/* ---- a value and a deadline at the same moment ---- */

struct taker {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res first, second;
};

static nart_res taker_run(nart_cx *cx, void *frame)
{
    struct taker *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->first, 10 * NART_MS, nart_recv(cx, &f->rx, &f->value));
    NART_AWAIT(f->second, nart_recv(cx, &f->rx, &f->value));
    NART_END(0);
}

static void taker_drop(void *frame)
{
    struct taker *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type taker_type = NART_TASK_TYPE(struct taker, taker_run, taker_drop);

TEST_WITH(a_value_that_has_arrived_beats_a_deadline_that_has_passed, rt)
{
    nart_join join;
    struct taker *f = spawn(rt, &taker_type, &join);
    uint64_t v = 7;

    new_chan(rt, 1, &f->tx, &f->rx);
    settle(rt);
    virtual_now = at_ms(10);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    settle(rt);
    CHECK_RES(f->first, 0);
    CHECK_EQ(f->value, 7);
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    nart_join_release(&join);
}

TEST_WITH(a_value_that_arrives_with_a_cancellation_is_not_lost, rt)
{
    nart_join join;
    struct taker *f = spawn(rt, &taker_type, &join);
    uint64_t v = 7;

    new_chan(rt, 1, &f->tx, &f->rx);
    settle(rt);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK_RES(f->first, -ECANCELED);
    CHECK_RES(f->second, -ECANCELED);
    v = 0;
    CHECK_RES(nart_try_recv(&f->rx, &v), 0);
    CHECK_EQ(v, 7);
    nart_join_release(&join);
}

TEST_WITH(a_ready_path_reads_no_clock, rt)
{
    nart_join join;
    struct taker *f = spawn(rt, &taker_type, &join);
    uint64_t v = 7;

    new_chan(rt, 2, &f->tx, &f->rx);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    unsigned long before = virtual_reads;
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    CHECK_EQ(virtual_reads, before + 1); /* by the loop, at the start of the tick */
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

/* ---- budget and deadlines ---- */

struct spinner {
    nart_co co, loop;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res r;
    int64_t deadline;
    long rounds, most;
};

static nart_res spinner_run(nart_cx *cx, void *frame)
{
    struct spinner *f = frame;

    NART_BEGIN(cx, &f->co);
    do
        NART_AWAIT_UNTIL(f->r, at_ms(-1), nart_recv(cx, &f->rx, &f->value));
    while (++f->rounds < f->most);
    NART_END(f->r);
}

static void spinner_drop(void *frame)
{
    struct spinner *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type spinner_type =
    NART_TASK_TYPE(struct spinner, spinner_run, spinner_drop);

TEST_WITH(a_loop_on_an_expired_deadline_does_not_hold_the_runtime, rt)
{
    nart_join join;
    struct spinner *f = spawn(rt, &spinner_type, &join);

    new_chan(rt, 1, &f->tx, &f->rx);
    f->most = 1000;
    nart_res polls = settle(rt);
    CHECK_EQ(f->rounds, 1000);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_LE(1000 / NART_BUDGET, polls);
    nart_join_release(&join);
}

/* It is its own sender and receiver, so it is always ready. */
static nart_res busy_loop(nart_cx *cx, struct spinner *f)
{
    NART_BEGIN(cx, &f->loop);
    for (;;) {
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
        if (f->r < 0)
            break;
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
        if (f->r < 0)
            break;
        f->rounds++;
        virtual_now += NART_US; /* simulates work */
    }
    NART_END(f->r);
}

static nart_res busy_run(nart_cx *cx, void *frame)
{
    struct spinner *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(f->r, f->deadline, busy_loop(cx, f));
    NART_END(f->r);
}

static const nart_task_type busy_type = NART_TASK_TYPE(struct spinner, busy_run, spinner_drop);

TEST_WITH(a_body_whose_operations_are_always_ready_still_meets_its_deadline, rt)
{
    nart_join join;
    struct spinner *f = spawn(rt, &busy_type, &join);

    new_chan(rt, 1, &f->tx, &f->rx);
    f->deadline = at_ms(5);
    while (!nart_join_done(&join) && f->rounds < 100000)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_LE(5000, f->rounds);                        /* not early */
    CHECK_LE(f->rounds, 5000 + 2 * 64 * NART_BUDGET); /* at the end of a tick after it */
    nart_join_release(&join);
}

/* ---- scopes in a hand-written poll function ---- */

struct by_hand {
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    int64_t outer, inner;
    nart_res a, b;
    int state;
};

static nart_res inner_scope(nart_cx *cx, struct by_hand *f)
{
    nart_scope s;

    nart_scope_enter(cx, &s, f->inner);
    return nart_scope_leave(cx, &s, nart_recv(cx, &f->rx, &f->value));
}

static nart_res by_hand_poll(nart_cx *cx, void *frame)
{
    struct by_hand *f = frame;
    nart_scope s;
    nart_res r = NART_PENDING;

    nart_scope_enter(cx, &s, f->outer);
    if (f->state == 0 && (f->a = inner_scope(cx, f)) != NART_PENDING)
        f->state = 1;
    if (f->state == 1)
        r = nart_recv(cx, &f->rx, &f->value);
    r = nart_scope_leave(cx, &s, r);
    if (r == NART_PENDING)
        return r;
    f->b = r;
    return 0;
}

static void by_hand_drop(void *frame)
{
    struct by_hand *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type by_hand_type =
    NART_TASK_TYPE(struct by_hand, by_hand_poll, by_hand_drop);

static void check_by_hand(int64_t outer, int64_t inner, nart_res a, nart_res b, int64_t ended_at)
{
    rt_open();
    nart_join join;
    struct by_hand *f = spawn(rt, &by_hand_type, &join);

    new_chan(rt, 1, &f->tx, &f->rx);
    f->outer = at_ms(outer);
    f->inner = at_ms(inner);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->a, a);
    CHECK_RES(f->b, b);
    CHECK_EQ(elapsed_ms(), ended_at);
    nart_join_release(&join);
    rt_close();
}

TEST(a_hand_written_inner_scope_expires_first)
{
    check_by_hand(30, 10, T, T, 30);
}

TEST(a_hand_written_outer_scope_expires_first)
{
    check_by_hand(10, 30, C, T, 10);
}

TEST(hand_written_scopes_that_expire_together_belong_to_the_outer_one)
{
    check_by_hand(10, 10, C, T, 10);
}

TEST_WITH(a_scope_of_no_time_still_lets_a_ready_operation_answer, rt)
{
    nart_join join;
    struct by_hand *f = spawn(rt, &by_hand_type, &join);
    uint64_t v = 3;

    new_chan(rt, 2, &f->tx, &f->rx);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    f->outer = f->inner = INT64_MIN;
    run_all(rt);
    CHECK_RES(f->a, 0);
    CHECK_RES(f->b, 0);
    nart_join_release(&join);
}

/* ---- relative scopes ---- */

struct relative {
    nart_co co;
    nart_timer timer;
    int64_t ns;
    nart_res r;
};

static nart_res relative_run(nart_cx *cx, void *frame)
{
    struct relative *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->r, f->ns, nart_sleep(cx, &f->timer, NART_SEC));
    NART_END(f->r);
}

static const nart_task_type relative_type = NART_TASK_TYPE(struct relative, relative_run, NULL);

static nart_res relative_fiber(nart_cx *cx, void *arg)
{
    struct relative *f = arg;

    return f->r = nart_await_for(cx, f->ns, nart_sleep(cx, &f->timer, NART_SEC));
}

static void check_relative_of(int64_t ns, nart_res r, int64_t ms, enum form form)
{
    rt_open();
    nart_join join;
    struct relative *f, own = { .ns = 0 };
    int64_t before = elapsed_ms();

    if (form == BODY)
        f = spawn(rt, &relative_type, &join);
    else
        CHECK_RES(nart_rt_fiber_spawn(rt, relative_fiber, f = &own, NULL, &join), 0);

    f->ns = ns;
    run_all(rt);
    CHECK_RES(f->r, r);
    CHECK_EQ(elapsed_ms() - before, ms);
    nart_join_release(&join);
    rt_close();
}

static void check_relative(int64_t ns, nart_res r, int64_t ms)
{
    check_relative_of(ns, r, ms, BODY);
    check_relative_of(ns, r, ms, FIBER);
}

TEST(relative_scopes_of_zero_and_less_expire_at_once_and_huge_ones_never)
{
    check_relative(0, -ETIMEDOUT, 0);
    check_relative(-5, -ETIMEDOUT, 0);
    check_relative(INT64_MIN, -ETIMEDOUT, 0);
    check_relative(INT64_MAX, 0, 1000);
    check_relative(NART_SEC / 2, -ETIMEDOUT, 500);
}

/* ---- how often a deadline is evaluated ---- */

struct counted {
    nart_co co, inner;
    nart_timer timer;
    int i, evaluated;
    nart_res r;
};

static int64_t counted_ns(struct counted *f)
{
    f->evaluated++;
    return NART_SEC;
}

static nart_res sleeps_often(nart_cx *cx, struct counted *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner);
    for (f->i = 0; f->i < 3 && r == 0; f->i++)
        NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS));
    NART_END(r);
}

static nart_res counted_run(nart_cx *cx, void *frame)
{
    struct counted *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->r, counted_ns(f), nart_sleep(cx, &f->timer, 0));
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->evaluated, 0); /* it did not wait */
    NART_AWAIT_FOR(f->r, counted_ns(f), sleeps_often(cx, f));
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->evaluated, 1);
    NART_AWAIT_UNTIL(f->r, nart_now(cx) + counted_ns(f), sleeps_often(cx, f));
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->evaluated, 2);
    NART_END(0);
}

TEST_WITH(a_deadline_is_evaluated_once, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct counted, counted_run, NULL);
    nart_join join;
    const struct counted *f = spawn(rt, &type, &join);

    run_all(rt);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}
