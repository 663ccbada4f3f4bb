/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Deadlines and shields of fibers, beyond the tables of core/test_scope.c and core/test_cancel.c: deadlines
 * that begin with the first wait, around functions that await; shields within deadlines and around them. */
#include "fiber.h"

FIXTURE_RT(.report = keep_report);

#define T (-ETIMEDOUT)
#define C (-ECANCELED)

/* ---- relative deadlines begin with the first wait ---- */

/* Works for 20 ms without waiting, then sleeps for 100 ms in steps of 10. */
static nart_res works(nart_cx *cx, int *steps)
{
    nart_res r = 0;

    virtual_now += 20 * NART_MS;
    for (int i = 0; i < 10 && r == 0; i++) {
        r = await_sleep(cx, 10 * NART_MS);
        *steps += r == 0;
    }
    return r;
}

static nart_res works_for_45(nart_cx *cx, void *steps)
{
    return nart_await_for(cx, 45 * NART_MS, works(cx, steps));
}

TEST_WITH(a_relative_deadline_around_a_function_begins_with_its_first_wait, rt)
{
    int steps = 0;

    CHECK_RES(RUN(works_for_45, &steps), T);
    CHECK_EQ(elapsed_ms(), 65);
    CHECK_EQ(steps, 4);
}

static nart_res works_until_45(nart_cx *cx, void *steps)
{
    return nart_await_until(cx, at_ms(45), works(cx, steps));
}

TEST_WITH(an_absolute_deadline_around_a_function_does_not, rt)
{
    int steps = 0;

    CHECK_RES(RUN(works_until_45, &steps), T);
    CHECK_EQ(elapsed_ms(), 45);
    CHECK_EQ(steps, 2);
}

struct nested {
    int64_t outer, middle, inner;
    nart_res r[3];
    int64_t ended[3];
};

static nart_res nested_2(nart_cx *cx, struct nested *n)
{
    nart_timer t = { 0 };

    virtual_now += NART_MS;
    n->r[2] = nart_await_for(cx, n->inner, nart_sleep(cx, &t, 100 * NART_MS));
    n->ended[2] = elapsed_ms();
    if (n->r[2] == T)
        n->r[2] = await_sleep(cx, 100 * NART_MS); /* after its own */
    return n->r[2];
}

static nart_res nested_1(nart_cx *cx, struct nested *n)
{
    virtual_now += NART_MS;
    n->r[1] = nart_await_for(cx, n->middle, nested_2(cx, n));
    n->ended[1] = elapsed_ms();
    return n->r[1];
}

static nart_res nested_main(nart_cx *cx, void *arg)
{
    struct nested *n = arg;

    n->r[0] = nart_await_for(cx, n->outer, nested_1(cx, n));
    n->ended[0] = elapsed_ms();
    return nart_await(cx, nart_op_enter(cx)); /* outside of them all is well */
}

static void check_nested(int64_t outer, int64_t middle, int64_t inner, nart_res r0, nart_res r1,
                         nart_res r2, int64_t at)
{
    struct nested n = { .outer = outer, .middle = middle, .inner = inner };

    rt_open();
    virtual_restart();
    CHECK_RES(RUN(nested_main, &n), 0);
    CHECK_RES(n.r[0], r0);
    CHECK_RES(n.r[1], r1);
    CHECK_RES(n.r[2], r2);
    CHECK_EQ(n.ended[0], at + 2); /* all three begin together, when the innermost first waits */
    rt_close();
}

TEST(nested_relative_deadlines_begin_together)
{
    check_nested(50 * NART_MS, 60 * NART_MS, 70 * NART_MS, T, C, C, 50);
    check_nested(60 * NART_MS, 50 * NART_MS, 70 * NART_MS, T, T, C, 50);
    check_nested(60 * NART_MS, 70 * NART_MS, 50 * NART_MS, T, C, C, 60);
    check_nested(50 * NART_MS, 50 * NART_MS, 50 * NART_MS, T, C, C, 50);
    check_nested(NART_NEVER, NART_NEVER, NART_NEVER, 0, 0, 0, 100);
    check_nested(NART_NEVER, 50 * NART_MS, NART_NEVER, T, T, C, 50);
    check_nested(0, NART_NEVER, NART_NEVER, T, C, C, 0);
    check_nested(-5, 10, NART_NEVER, T, C, C, 0);
    check_nested(NART_NEVER, INT64_MIN, NART_NEVER, T, T, C, 0);
    check_nested(INT64_MAX - 1, INT64_MAX - 2, NART_SEC, 0, 0, 0, 100);
}

/* An await that began and ended without a wait leaves nothing behind for the next one. */
static nart_res in_turn(nart_cx *cx, void *arg)
{
    int none = 0;
    nart_timer t = { 0 };

    (void)arg;
    for (int i = 0; i < 3; i++) {
        unsigned long reads = virtual_reads;
        CHECK_RES(nart_await_for(cx, NART_MS, after(cx, &none)), 5);
        CHECK_EQ(virtual_reads, reads); /* an answer without a wait reads no clock */
        CHECK_RES(nart_await_for(cx, 10 * NART_MS, nart_sleep(cx, &t, NART_SEC)), T);
        CHECK_RES(nart_await_for(cx, 20 * NART_MS, nart_sleep(cx, &t, 10 * NART_MS)), 0);
        CHECK_RES(await_sleep(cx, 30 * NART_MS), 0); /* no deadline of those before */
    }
    return elapsed_ms();
}

TEST_WITH(deadlines_in_turn_know_nothing_of_each_other, rt)
{
    CHECK_EQ(RUN(in_turn, NULL), 150);
}

/* A hundred deadlines around each other. */
static nart_res tower(nart_cx *cx, int left)
{
    return left == 0 ? await_sleep(cx, NART_SEC)
                     : nart_await_for(cx, (100 + left) * NART_MS, tower(cx, left - 1));
}

static nart_res tower_main(nart_cx *cx, void *arg)
{
    (void)arg;
    return tower(cx, 100);
}

TEST_WITH(a_tower_of_deadlines_ends_at_the_earliest, rt)
{
    CHECK_RES(RUN(tower_main, NULL), T);
    CHECK_EQ(elapsed_ms(), 101);
}

/* ---- a value and a deadline ---- */

struct taker {
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res first, second;
};

static nart_res take(nart_cx *cx, void *arg)
{
    struct taker *f = arg;

    f->first = nart_await_for(cx, 10 * NART_MS, nart_recv(cx, &f->rx, &f->value));
    f->second = nart_await(cx, nart_recv(cx, &f->rx, &f->value));
    return 0;
}

TEST_WITH(a_value_that_has_arrived_beats_a_deadline_but_not_cancellation, rt)
{
    nart_join join;
    struct taker f = { .value = 0 };
    uint64_t v = 7;

    new_chan(rt, 1, &f.tx, &f.rx);
    START(take, &f, &join);
    settle(rt);
    virtual_now = at_ms(10);
    CHECK_RES(nart_try_send(&f.tx, &v), 0);
    settle(rt);
    CHECK_RES(f.first, 0);
    CHECK_EQ(f.value, 7);
    CHECK_RES(nart_try_send(&f.tx, &v), 0);
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
    CHECK_RES(f.second, C);
    CHECK_RES(nart_try_recv(&f.rx, &v), 0);
    nart_tx_close(&f.tx);
    nart_rx_close(&f.rx);
}

/* It is its own sender and receiver, so it is always ready; the deadline is around the function. */
static nart_res busy_function(nart_cx *cx, struct taker *f)
{
    nart_res r;

    for (f->second = 0;; f->second++) {
        if ((r = nart_await(cx, nart_send(cx, &f->tx, &f->value))) < 0 ||
            (r = nart_await(cx, nart_recv(cx, &f->rx, &f->value))) < 0)
            return r;
        virtual_now += NART_US; /* simulates work */
    }
}

static nart_res busy(nart_cx *cx, void *arg)
{
    return nart_await_until(cx, at_ms(5), busy_function(cx, arg));
}

TEST_WITH(a_function_that_is_always_ready_still_meets_its_deadline, rt)
{
    nart_join join;
    struct taker f = { .value = 0 };

    new_chan(rt, 1, &f.tx, &f.rx);
    START(busy, &f, &join);
    while (!nart_join_done(&join) && f.second < 100000)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_RES(fiber_verdict(rt, &join), T);
    CHECK_LE(5000, f.second);
    CHECK_LE(f.second, 5000 + 2 * 64 * NART_BUDGET);
    nart_join_release(&join);
    nart_tx_close(&f.tx);
    nart_rx_close(&f.rx);
}

/* ---- shields and deadlines ---- */

/* Opens a shield of 30 ms, does not end it, and sleeps until 20 ms. */
static nart_res opens_shield(nart_cx *cx, int64_t *slept)
{
    nart_timer t = { 0 };

    nart_shield(cx, 30 * NART_MS);
    nart_res r = nart_await(cx, nart_sleep_until(cx, &t, at_ms(20)));
    *slept = elapsed_ms();
    return r;
}

static nart_res until_10(nart_cx *cx, int64_t *slept)
{
    return nart_await_until(cx, at_ms(10), opens_shield(cx, slept));
}

static nart_res for_15(nart_cx *cx, int64_t *slept)
{
    return nart_await_for(cx, 15 * NART_MS, opens_shield(cx, slept));
}

static nart_res left_open(nart_cx *cx, void *arg)
{
    int64_t slept = 0;

    (void)arg;
    CHECK_RES(nart_await_until(cx, at_ms(90), until_10(cx, &slept)), 0);
    CHECK_EQ(slept, 20); /* the deadline was hidden */
    CHECK_EQ(elapsed_ms(), 20);
    CHECK_RES(nart_await_for(cx, 5 * NART_MS, await_sleep(cx, 10 * NART_MS)), T);
    CHECK_RES(nart_await_until(cx, at_ms(30), await_sleep(cx, NART_SEC)),
              T); /* the shield is over */
    return 0;
}

TEST_WITH(a_shield_that_is_left_open_ends_with_its_await, rt)
{
    CHECK_RES(RUN(left_open, NULL), 0);
}

static nart_res plain_await(nart_cx *cx, void *arg)
{
    nart_res *after_it = arg;
    int64_t slept = 0;

    CHECK_RES(nart_await(cx, opens_shield(cx, &slept)), 0);
    *after_it = await_sleep(cx, NART_SEC);
    return 0;
}

/* Cancelled at 5 ms: the shield lasts until the end of the await, at 20. */
TEST_WITH(a_shield_ends_with_an_await_without_a_deadline, rt)
{
    nart_join join;
    nart_res after_it = 1;

    START(plain_await, &after_it, &join);
    run_until(rt, at_ms(5));
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
    CHECK_RES(after_it, C);
    CHECK_EQ(elapsed_ms(), 20);
}

static nart_res cancelled_around(nart_cx *cx, void *arg)
{
    nart_res *r = arg;
    int64_t slept = 0;

    *r = nart_await_for(cx, 15 * NART_MS, opens_shield(cx, &slept));
    return 0;
}

static nart_res relative_outside(nart_cx *cx, void *arg)
{
    int64_t slept = 0;

    (void)arg;
    CHECK_RES(nart_await_for(cx, 90 * NART_MS, for_15(cx, &slept)), 0);
    CHECK_EQ(slept, 20);
    CHECK_RES(await_sleep(cx, NART_SEC), 0);
    return 0;
}

TEST_WITH(relative_deadlines_that_begin_under_a_shield_are_hidden_by_it, rt)
{
    CHECK_RES(RUN(relative_outside, NULL), 0);
    CHECK_EQ(elapsed_ms(), 1020);
}

TEST_WITH(a_shield_hides_a_relative_deadline_and_a_cancellation, rt)
{
    nart_join join;
    nart_res r = 1;

    START(cancelled_around, &r, &join);
    run_until(rt, at_ms(5));
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
    CHECK_RES(r, 0);
    CHECK_EQ(elapsed_ms(), 20);
}

/* A shield that expires while the fiber is parked, within deadlines that were opened inside of it. */
struct inside {
    nart_res inner, middle, outer;
    int64_t shield, inner_limit, outer_limit;
    int64_t inner_at, outer_at;
};

static nart_res inside_2(nart_cx *cx, struct inside *f)
{
    nart_timer t = { 0 };
    f->inner = nart_await_for(cx, f->inner_limit, nart_sleep(cx, &t, NART_SEC));
    f->inner_at = elapsed_ms();
    return f->inner;
}

static nart_res inside_1(nart_cx *cx, struct inside *f)
{
    nart_shield(cx, f->shield);
    f->middle = nart_await_for(cx, NART_NEVER, inside_2(cx, f));
    nart_unshield(cx);
    return f->middle;
}

static nart_res inside_main(nart_cx *cx, void *arg)
{
    struct inside *f = arg;
    f->outer = nart_await_until(cx, f->outer_limit, inside_1(cx, f));
    f->outer_at = elapsed_ms();
    return 0;
}

static void check_inside(int64_t shield, int64_t inner, int64_t outer, int64_t cancel_at,
                         nart_res inner_r, nart_res outer_r, int64_t at)
{
    nart_join join;
    rt_open();
    virtual_restart();
    struct inside f = { .shield = shield * NART_MS,
                        .inner_limit = inner * NART_MS,
                        .outer_limit = at_ms(outer) };

    START(inside_main, &f, &join);
    if (cancel_at) {
        run_until(rt, at_ms(cancel_at));
        CHECK_RES(cancel(rt, &join), 0);
    }
    run_to_the_end(rt, &join);
    CHECK_RES(f.inner, inner_r);
    CHECK_RES(f.outer, outer_r);
    CHECK_EQ(f.inner_at, at);
    CHECK_EQ(f.outer_at, at);
    rt_close();
}

TEST(deadlines_inside_a_shield_count_and_those_around_it_do_once_it_has_expired)
{
    check_inside(50, 20, 10, 0, T, T, 20); /* inner first: its answer is returned */
    check_inside(50, 80, 10, 0, C, T, 50); /* the shield expires while it is parked */
    check_inside(50, 80, 60, 0, C, T, 60); /* ... and the outer deadline is still to come */
    check_inside(50, 80, 900, 0, T, T, 80);
    check_inside(50, 80, 900, 30, C, C, 50); /* cancelled under the shield */
    check_inside(50, 20, 900, 10, T, T, 20);
    check_inside(50, 80, 900, 60, C, C, 60); /* after it */
    check_inside(0, 80, 10, 0, C, T, 10);    /* no shield at all */
    check_inside(-5, 80, 10, 0, C, T, 10);
}

/* Shields one after another, the first expired without being ended. */
static nart_res expired_then_next(nart_cx *cx, void *arg)
{
    nart_res *r = arg;

    nart_shield(cx, 10 * NART_MS);
    virtual_now += 20 * NART_MS; /* works too long */
    (void)nart_yield(cx);
    nart_shield(cx, 30 * NART_MS);
    r[0] = await_sleep(cx, 10 * NART_MS);
    nart_unshield(cx);
    nart_unshield(cx); /* no effect */
    r[1] = await_sleep(cx, 10 * NART_MS);
    nart_shield(cx, 30 * NART_MS);
    r[2] = await_sleep(cx, 10 * NART_MS);
    return 0; /* ends with the function */
}

TEST_WITH(a_fiber_opens_one_shield_after_another, rt)
{
    nart_join join;
    nart_res r[3] = { 1, 1, 1 };

    START(expired_then_next, r, &join);
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
    CHECK_RES(r[0], 0);
    CHECK_RES(r[1], C);
    CHECK_RES(r[2], 0);
}

/* The same within deadlines that were opened under the first shield. */
static nart_res second_shield(nart_cx *cx, nart_res *r)
{
    virtual_now += 20 * NART_MS;
    (void)nart_yield(cx);
    nart_shield(cx, 50 * NART_MS); /* until 70: the first has expired at 10 */
    *r = await_sleep(cx, 30 * NART_MS);
    nart_unshield(cx);
    return await_sleep(cx, NART_SEC);
}

static nart_res first_shield(nart_cx *cx, nart_res *r)
{
    nart_shield(cx, 10 * NART_MS);
    return nart_await_until(cx, at_ms(40), second_shield(cx, r));
}

static nart_res two_shields(nart_cx *cx, void *arg)
{
    return nart_await_until(cx, at_ms(45), first_shield(cx, arg));
}

TEST_WITH(a_second_shield_hides_what_was_opened_under_the_first, rt)
{
    nart_res r = 1;

    CHECK_RES(RUN(two_shields, &r), T);
    CHECK_RES(r, 0);
    CHECK_EQ(elapsed_ms(), 50);
}

/* ---- shields of bodies in a fiber ---- */

struct body {
    nart_co co;
    nart_timer t;
    nart_res r;
};

static nart_res shielded_body(nart_cx *cx, struct body *f)
{
    NART_BEGIN(cx, &f->co);
    NART_SHIELD(30 * NART_MS);
    NART_AWAIT(f->r, nart_sleep(cx, &f->t, 20 * NART_MS));
    NART_UNSHIELD();
    NART_AWAIT(f->r, nart_sleep(cx, &f->t, 20 * NART_MS));
    NART_END(f->r);
}

static nart_res awaits_shielded_body(nart_cx *cx, void *arg)
{
    struct body f = { .r = 0 };
    (void)arg;
    return nart_await_for(cx, 10 * NART_MS, shielded_body(cx, &f));
}

TEST_WITH(a_body_shields_the_fiber_that_awaits_it, rt)
{
    CHECK_RES(RUN(awaits_shielded_body, NULL), T);
    CHECK_EQ(elapsed_ms(), 20);
}

/* nart_shield() is for functions. */
static nart_res body_calls_shield(nart_cx *cx, struct body *f)
{
    NART_BEGIN(cx, &f->co);
    nart_shield(cx, 30 * NART_MS);
    NART_AWAIT(f->r, nart_sleep(cx, &f->t, 20 * NART_MS));
    NART_END(f->r);
}

static nart_res awaits_body_calls_shield(nart_cx *cx, void *arg)
{
    struct body f = { .r = 0 };

    (void)arg;
    return nart_await_for(cx, 10 * NART_MS, body_calls_shield(cx, &f));
}

TEST_WITH(a_shield_of_a_fiber_has_no_effect_in_a_body, rt)
{
    CHECK_RES(RUN(awaits_body_calls_shield, NULL), T);
    CHECK_EQ(elapsed_ms(), 10);
}

/* Outside of a fiber it has no effect. */
static nart_res no_fiber_poll(nart_cx *cx, void *frame)
{
    struct body *f = frame;

    nart_shield(cx, NART_SEC);
    CHECK(nart_cx_cancelled(cx));
    nart_unshield(cx);
    return nart_sleep(cx, &f->t, NART_SEC);
}

TEST_WITH(a_shield_of_a_fiber_has_no_effect_outside, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct body, no_fiber_poll, NULL);
    nart_join join;

    CHECK_RES(nart_rt_spawn(rt, &type, NULL, &join), 0);
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
    CHECK_EQ(elapsed_ms(), 0);
}
