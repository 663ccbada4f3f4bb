/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Backoffs on a virtual clock: the length of the waits, when they are exhausted, the effect of
 * jitter. */
#include "../core/core.h"
#include "../core/virtual.h"

enum { WAITS = 64 };

FIXTURE_RT();

struct retrier {
    nart_co co;
    nart_backoff backoff;
    nart_timer timer;
    int waits;         /* requested */
    int reset_after;   /* 0: never */
    int64_t ns[WAITS]; /* duration of each */
    int64_t begun;
    nart_res r;
    int n;
};

static nart_res retrier_run(nart_cx *cx, void *frame)
{
    struct retrier *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->n = 0; f->n < f->waits; f->n++) {
        if (f->reset_after > 0 && f->n == f->reset_after)
            nart_backoff_reset(&f->backoff);
        f->begun = nart_now(cx);
        NART_AWAIT(f->r, nart_backoff_wait(cx, &f->backoff));
        if (f->r < 0)
            NART_RETURN(f->r);
        f->ns[f->n] = nart_now(cx) - f->begun;
    }
    NART_END(0);
}

static const nart_task_type retrier_type = NART_TASK_TYPE(struct retrier, retrier_run, NULL);

static struct retrier *start(int waits, nart_join *join)
{
    struct retrier *f = spawn(rt, &retrier_type, join);

    f->backoff = (nart_backoff)NART_BACKOFF_INIT;
    f->backoff.initial = 10 * NART_MS;
    f->waits = waits;
    return f;
}

TEST_WITH(each_wait_is_twice_the_one_before, rt)
{
    nart_join join;
    struct retrier *f = start(4, &join);

    run_all(rt);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(f->ns[i], (10 * NART_MS) << i);
    CHECK_EQ(f->backoff.waited, 4);
    CHECK_EQ(nart_backoff_delay(&f->backoff), 160 * NART_MS);
    run_to_the_end(rt, &join);
}

TEST_WITH(there_is_a_longest_wait, rt)
{
    nart_join join;
    struct retrier *f = start(6, &join);

    f->backoff.initial = NART_SEC;
    f->backoff.max = 5 * NART_SEC;
    run_all(rt);
    static const int64_t seconds[] = { 1, 2, 4, 5, 5, 5 };
    for (int i = 0; i < 6; i++)
        CHECK_EQ(f->ns[i], seconds[i] * NART_SEC);
    run_to_the_end(rt, &join);
}

TEST(the_defaults_are_these)
{
    nart_backoff b = NART_BACKOFF_INIT;

    CHECK_EQ(nart_backoff_delay(&b), 100 * NART_MS);
    b.doubled = 8;
    CHECK_EQ(nart_backoff_delay(&b), 25600 * NART_MS);
    b.doubled = 9;
    CHECK_EQ(nart_backoff_delay(&b), 30 * NART_SEC);
    CHECK_EQ(b.retries, UINT32_MAX);
    CHECK_EQ(b.jitter, 0);
    CHECK_EQ(b.deadline, NART_NEVER);
}

TEST_WITH(retries_are_exhausted, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->backoff.retries = 3;
    run_all(rt);
    CHECK_EQ(f->n, 3);
    CHECK_RES(f->r, NART_EEXHAUSTED);
    CHECK_EQ(elapsed_ms(), 10 + 20 + 40);
    run_to_the_end(rt, &join);
}

TEST_WITH(without_a_limit_they_do_not, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->backoff.initial = 1;
    f->backoff.waited = UINT32_MAX - 5; /* as after years */
    run_all(rt);
    CHECK_EQ(f->n, WAITS);
    CHECK_EQ(f->backoff.waited, UINT32_MAX);
    CHECK_EQ(f->ns[WAITS - 1], 30 * NART_SEC);
    run_to_the_end(rt, &join);
}

TEST_WITH(no_wait_exceeds_the_deadline, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->backoff.deadline = at_ms(55);
    run_all(rt);
    CHECK_EQ(f->n, 3);
    CHECK_EQ(f->ns[2], 25 * NART_MS);
    CHECK_RES(f->r, NART_EEXHAUSTED);
    CHECK_EQ(elapsed_ms(), 55);
    run_to_the_end(rt, &join);
}

TEST_WITH(a_deadline_that_has_passed_allows_none, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->backoff.deadline = at_ms(0);
    run_all(rt);
    CHECK_EQ(f->n, 0);
    CHECK_RES(f->r, NART_EEXHAUSTED);
    run_to_the_end(rt, &join);
}

TEST_WITH(a_reset_restarts_and_keeps_the_deadline, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->reset_after = 2;
    f->backoff.retries = 3;
    f->backoff.deadline = at_ms(65);
    run_all(rt);
    CHECK_EQ(f->n, 5);
    CHECK_EQ(f->ns[1], 20 * NART_MS);
    CHECK_EQ(f->ns[2], 10 * NART_MS);
    CHECK_EQ(f->ns[3], 20 * NART_MS);
    CHECK_EQ(f->ns[4], 5 * NART_MS);
    CHECK_RES(f->r, NART_EEXHAUSTED);
    run_to_the_end(rt, &join);
}

TEST_WITH(jitter_stays_within_its_bounds_and_uses_them, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);
    int64_t delay = 100 * NART_MS;
    int longer = 0, far_off = 0;

    f->backoff.initial = f->backoff.max = delay;
    f->backoff.jitter = 50;
    run_all(rt);
    for (int i = 0; i < WAITS; i++) {
        CHECK_LE(delay / 2, f->ns[i]);
        CHECK_LE(f->ns[i], delay + delay / 2);
        longer += f->ns[i] > delay;
        far_off += f->ns[i] < delay * 3 / 4 || f->ns[i] > delay * 5 / 4;
    }
    /* 64 draws with probability 1/2: fewer than 8 or more than 56 occur with probability below
     * 1e-9. */
    CHECK_LE(8, longer);
    CHECK_LE(longer, 56);
    CHECK_LE(8, far_off);
    CHECK_LE(far_off, 56);
    run_to_the_end(rt, &join);
}

TEST_WITH(two_that_begin_together_do_not_wait_alike, rt)
{
    nart_join a, b;
    struct retrier *f = start(WAITS, &a), *g = start(WAITS, &b);
    int alike = 0;

    f->backoff.jitter = g->backoff.jitter = 100;
    run_all(rt);
    for (int i = 0; i < WAITS; i++)
        alike += f->ns[i] == g->ns[i];
    CHECK_LE(alike, 1);
    nart_join_release(&b);
    run_to_the_end(rt, &a);
}

TEST_WITH(an_abandoned_wait_does_not_count, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    run_until(rt, at_ms(15)); /* 5 ms into the second wait */
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    run_all(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(f->backoff.waited, 1);
    CHECK_EQ(nart_backoff_delay(&f->backoff), 20 * NART_MS);
    run_to_the_end(rt, &join);
}

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct retrier *f = frame;
    nart_timer *timer = &f->timer;

    NART_BEGIN(cx, &f->co);
    f->begun = nart_now(cx);
    NART_AWAIT_ANY(f->n, f->r, nart_backoff_wait(cx, &f->backoff), nart_sleep(cx, timer, NART_MS));
    CHECK_EQ(f->n, 1);
    NART_AWAIT(f->r, nart_backoff_wait(cx, &f->backoff));
    f->ns[0] = nart_now(cx) - f->begun;
    NART_END(f->r);
}

TEST_WITH(a_wait_that_lost_a_race_continues, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct retrier, racer_run, NULL);
    nart_join join;
    struct retrier *f = spawn(rt, &type, &join);

    f->backoff = (nart_backoff)NART_BACKOFF_INIT;
    run_all(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->ns[0], 100 * NART_MS);
    CHECK_EQ(f->backoff.waited, 1);
    run_to_the_end(rt, &join);
}

TEST_WITH(large_delays_do_not_overflow, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->backoff.initial = INT64_MAX / 4;
    f->backoff.max = INT64_MAX;
    f->backoff.jitter = 100;
    f->backoff.doubled = 2;
    CHECK_EQ(nart_backoff_delay(&f->backoff), INT64_MAX / 4 * 4);
    f->backoff.doubled = 3;
    CHECK_EQ(nart_backoff_delay(&f->backoff), INT64_MAX);
    f->backoff.doubled = 63;
    CHECK_EQ(nart_backoff_delay(&f->backoff), INT64_MAX);
    settle(rt);
    CHECK_EQ(f->n, 0);
    CHECK_RES(nart_task_abort(rt, nart_join_task(&join)), 0);
    run_to_the_end(rt, &join);
}

TEST_WITH(fields_out_of_range_are_refused, rt)
{
    static const struct {
        int64_t initial, max;
        uint32_t jitter;
    } cases[] = { { -1, 5, 0 }, { 60, 5, 0 }, { 1, 5, 101 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nart_join join;
        struct retrier *f = start(1, &join);
        f->backoff.initial = cases[i].initial;
        f->backoff.max = cases[i].max;
        f->backoff.jitter = cases[i].jitter;
        CHECK_EQ(nart_backoff_delay(&f->backoff), 0);
        run_all(rt);
        CHECK_RES(f->r, -EINVAL);
        nart_join_release(&join);
    }
}

TEST_WITH(zero_delays_do_not_hold_the_loop, rt)
{
    nart_join join;
    struct retrier *f = start(WAITS, &join);

    f->backoff.initial = f->backoff.max = 0;
    run_all(rt);
    CHECK_EQ(f->n, WAITS);
    CHECK_EQ(elapsed_ms(), 0);
    run_to_the_end(rt, &join);
}
