/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Intervals on a virtual clock: when ticks occur, and what happens to missed ones. */
#include "../core/core.h"
#include "../core/virtual.h"

enum { TICKS = 8 };

FIXTURE_RT();

struct clockwork {
    nart_co co;
    nart_interval every;
    nart_timer pause;
    int64_t busy_ms[TICKS]; /* how long the task works after each tick */
    int64_t at[TICKS];      /* ms */
    nart_res missed[TICKS];
    nart_res r;
    int n;
};

/* Simulates work in a poll. */
static void be_busy(int64_t ms)
{
    virtual_now += ms * NART_MS;
}

static nart_res clockwork_run(nart_cx *cx, void *frame)
{
    struct clockwork *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->every.period == 0)
        f->r = nart_interval_init(cx, &f->every, 10 * NART_MS);
    for (f->n = 0; f->n < TICKS; f->n++) {
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->every));
        if (f->r < 0)
            NART_RETURN(f->r);
        f->missed[f->n] = f->r;
        f->at[f->n] = elapsed_ms();
        be_busy(f->busy_ms[f->n]);
    }
    NART_END(0);
}

static const nart_task_type clockwork_type = NART_TASK_TYPE(struct clockwork, clockwork_run, NULL);

static struct clockwork *start(nart_join *join)
{
    return spawn(rt, &clockwork_type, join);
}

static void check_ticks(const struct clockwork *f, const int64_t at[TICKS],
                        const nart_res missed[TICKS])
{
    for (int i = 0; i < TICKS; i++) {
        CHECK_EQ(f->at[i], at[i]);
        CHECK_RES(f->missed[i], missed[i]);
    }
}

TEST_WITH(ticks_are_equally_spaced, rt)
{
    nart_join join;
    struct clockwork *f = start(&join);

    run_all(rt);
    check_ticks(f, (int64_t[]){ 10, 20, 30, 40, 50, 60, 70, 80 }, (nart_res[TICKS]){ 0 });
    run_to_the_end(rt, &join);
}

TEST_WITH(the_first_tick_may_have_a_time_of_its_own, rt)
{
    nart_join join;
    struct clockwork *f = start(&join);

    CHECK_RES(nart_interval_init_at(&f->every, at_ms(3), 5 * NART_MS), 0);
    run_all(rt);
    check_ticks(f, (int64_t[]){ 3, 8, 13, 18, 23, 28, 33, 38 }, (nart_res[TICKS]){ 0 });
    run_to_the_end(rt, &join);
}

TEST_WITH(a_time_that_has_passed_ticks_at_once, rt)
{
    nart_join join;
    struct clockwork *f = start(&join);

    CHECK_RES(nart_interval_init_at(&f->every, at_ms(-12), 10 * NART_MS), 0);
    run_all(rt);
    check_ticks(f, (int64_t[]){ 0, 0, 8, 18, 28, 38, 48, 58 }, (nart_res[TICKS]){ 0 });
    run_to_the_end(rt, &join);
}

/* 25 ms of work after the first tick, at 10 ms: those at 20 and 30 are late. */
static struct clockwork *late(nart_missed missed, nart_join *join)
{
    struct clockwork *f = start(join);

    CHECK_RES(nart_interval_init_at(&f->every, at_ms(10), 10 * NART_MS), 0);
    f->every.missed = missed;
    f->busy_ms[0] = 25;
    run_all(rt);
    return f;
}

TEST_WITH(burst_takes_each_missed_tick, rt)
{
    nart_join join;
    struct clockwork *f = late(NART_MISSED_BURST, &join);

    check_ticks(f, (int64_t[]){ 10, 35, 35, 40, 50, 60, 70, 80 }, (nart_res[TICKS]){ 0 });
    run_to_the_end(rt, &join);
}

TEST_WITH(skip_leaves_missed_ticks_out_and_keeps_the_schedule, rt)
{
    nart_join join;
    struct clockwork *f = late(NART_MISSED_SKIP, &join);

    check_ticks(f, (int64_t[]){ 10, 35, 40, 50, 60, 70, 80, 90 }, (nart_res[TICKS]){ [1] = 1 });
    run_to_the_end(rt, &join);
}

TEST_WITH(delay_begins_a_new_schedule, rt)
{
    nart_join join;
    struct clockwork *f = late(NART_MISSED_DELAY, &join);

    check_ticks(f, (int64_t[]){ 10, 35, 45, 55, 65, 75, 85, 95 }, (nart_res[TICKS]){ [1] = 1 });
    run_to_the_end(rt, &join);
}

TEST_WITH(an_abandoned_tick_keeps_its_time, rt)
{
    nart_join join;
    struct clockwork *f = start(&join);

    CHECK_RES(nart_interval_init_at(&f->every, at_ms(10), 10 * NART_MS), 0);
    run_until(rt, at_ms(15));
    CHECK_EQ(f->n, 1);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    run_all(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(f->every.next, at_ms(20));
    run_to_the_end(rt, &join);
}

struct resetter {
    nart_co co;
    nart_interval every;
    nart_timer timer;
    nart_res r;
    int which;
    int64_t at[3];
};

static nart_res resetter_run(nart_cx *cx, void *frame)
{
    struct resetter *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_interval_init(cx, &f->every, 10 * NART_MS), 0);
    /* A tick that lost a race is still the next one, */
    NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timer, 4 * NART_MS),
                   nart_interval_tick(cx, &f->every));
    CHECK_EQ(f->which, 0);
    NART_AWAIT(f->r, nart_interval_tick(cx, &f->every));
    f->at[0] = elapsed_ms();
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 7 * NART_MS));
    /* and a reset discards it, started or not. */
    NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timer, NART_MS),
                   nart_interval_tick(cx, &f->every));
    nart_interval_reset(cx, &f->every);
    NART_AWAIT(f->r, nart_interval_tick(cx, &f->every));
    f->at[1] = elapsed_ms();
    nart_interval_reset_at(&f->every, at_ms(100));
    NART_AWAIT(f->r, nart_interval_tick(cx, &f->every));
    f->at[2] = elapsed_ms();
    NART_END(0);
}

static const nart_task_type resetter_type = NART_TASK_TYPE(struct resetter, resetter_run, NULL);

TEST_WITH(a_reset_restarts, rt)
{
    nart_join join;
    struct resetter *f = spawn(rt, &resetter_type, &join);

    run_all(rt);
    CHECK_EQ(f->at[0], 10);
    CHECK_EQ(f->at[1], 28);
    CHECK_EQ(f->at[2], 100);
    run_to_the_end(rt, &join);
}

TEST(the_ends_of_time_are_no_trouble)
{
    static const nart_missed ways[] = { NART_MISSED_BURST, NART_MISSED_SKIP, NART_MISSED_DELAY };
    rt_open();

    for (int i = 0; i < 3; i++) {
        nart_join join;
        struct clockwork *f = start(&join);
        CHECK_RES(nart_interval_init_at(&f->every, INT64_MIN, INT64_MAX), 0);
        f->every.missed = ways[i];
        settle(rt);
        CHECK_LE(1, f->n);
        CHECK_LE(f->n, 3);
        CHECK(f->every.next > virtual_now);
        CHECK_RES(nart_task_abort(rt, nart_join_task(&join)), 0);
        settle(rt);
        nart_join_release(&join);
    }
    rt_close();
}

TEST_WITH(a_period_has_to_be_above_zero, rt)
{
    nart_join join;
    struct clockwork *f = start(&join);

    CHECK_RES(nart_interval_init_at(&f->every, 0, 0), -EINVAL);
    CHECK_RES(nart_interval_init_at(&f->every, 0, -1), -EINVAL);
    f->every.period = -5;
    run_all(rt);
    CHECK_RES(f->r, -EINVAL);
    run_to_the_end(rt, &join);
}
