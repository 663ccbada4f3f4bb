/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How fibers end: cancelled, aborted, deaf, with their runtime; and what is left of them. */
#include "fiber.h"

FIXTURE_RT(.report = keep_report);

enum mode { UNWIND, DEAF, DEAF_YIELDING, SHIELDED, YIELDING, VALUE, CANCEL_ITSELF, ABORT_ITSELF };

struct work {
    nart_tx tx;
    nart_rx rx;
    enum mode mode;
    nart_res r, inner, last;
    long answers;
    int begun, ended, drops;
};

static nart_res work_receives(nart_cx *cx, struct work *w)
{
    uint64_t v;
    nart_res r;

    do {
        r = nart_await(cx, nart_recv(cx, &w->rx, &v));
        w->answers++;
        if (w->mode == DEAF_YIELDING && w->answers % 1000 == 0)
            (void)nart_yield(cx);
    } while (w->mode == DEAF || w->mode == DEAF_YIELDING || r == 0);
    return r;
}

static nart_res work(nart_cx *cx, void *arg)
{
    struct work *w = arg;

    w->begun++;
    if (w->mode == CANCEL_ITSELF)
        CHECK_RES(nart_task_cancel(rt, nart_cx_task(cx)), 0);
    if (w->mode == ABORT_ITSELF)
        CHECK_RES(nart_task_abort(rt, nart_cx_task(cx)), 0);
    while (w->mode == YIELDING)
        (void)nart_yield(cx);
    w->inner = work_receives(cx, w);
    if (w->mode == SHIELDED) {
        nart_shield(cx, NART_SEC);
        w->r = await_sleep(cx, NART_SEC / 2);
        nart_unshield(cx);
    }
    w->last = await_sleep(cx, NART_SEC); /* sticky: fails as before */
    w->ended++;
    return w->mode == VALUE ? 7 : w->last;
}

static struct work the_work;

static struct work *start_work(nart_join *join, enum mode mode)
{
    struct work *w = &the_work;

    *w = (struct work){ .mode = mode, .r = NART_PENDING, .inner = NART_PENDING };
    new_chan(rt, 2, &w->tx, &w->rx);
    START(work, w, join);
    return w;
}

static void close_work(nart_join *join)
{
    nart_join_release(join);
    CHECK(the_work.rx.wait.task == NULL);
    nart_tx_close(&the_work.tx);
    nart_rx_close(&the_work.rx);
}

/* ---- cancel ---- */

TEST_WITH(a_parked_fiber_unwinds_through_its_own_code, rt)
{
    nart_join join;
    uint64_t v = 3;
    struct work *w = start_work(&join, UNWIND);

    settle(rt);
    CHECK_RES(nart_try_send(&w->tx, &v), 0);
    CHECK_RES(cancel(rt, &join), 0);
    CHECK_EQ(w->answers, 0); /* cancel runs no task code */
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(w->answers, 1);
    CHECK_RES(w->inner, -ECANCELED);
    CHECK_RES(w->last, -ECANCELED);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    CHECK_RES(nart_try_recv(&w->rx, &v), 0); /* it took nothing */
    close_work(&join);
    CHECK_EQ(reports, 0);
}

TEST_WITH(a_fiber_that_is_cancelled_before_it_begins_is_run, rt)
{
    nart_join join;
    struct work *w = start_work(&join, UNWIND);

    CHECK_RES(cancel(rt, &join), 0);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_EQ(w->begun, 1);
    CHECK_EQ(w->ended, 1);
    CHECK_RES(w->inner, -ECANCELED);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    close_work(&join);
}

TEST_WITH(a_cancelled_fiber_that_answers_a_value_has_answered_it, rt)
{
    nart_join join;

    start_work(&join, VALUE);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(fiber_verdict(rt, &join), 7);
    close_work(&join);
}

TEST_WITH(a_fiber_cancels_itself, rt)
{
    nart_join join;
    struct work *w = start_work(&join, CANCEL_ITSELF);

    settle(rt);
    CHECK_EQ(w->ended, 1);
    CHECK_RES(w->inner, -ECANCELED);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    close_work(&join);
}

/* ---- abort ---- */

TEST_WITH(an_aborted_fiber_has_one_poll_to_unwind, rt)
{
    nart_join join;
    struct work *w = start_work(&join, UNWIND);

    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    CHECK_EQ(w->ended, 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    CHECK_EQ(w->ended, 1);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    close_work(&join);
    CHECK_EQ(reports, 0);
}

TEST_WITH(an_aborted_fiber_that_has_not_begun_unwinds, rt)
{
    nart_join join;
    struct work *w = start_work(&join, UNWIND);

    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK_EQ(w->begun, 1);
    CHECK_EQ(w->ended, 1);
    close_work(&join);
}

TEST_WITH(abort_breaks_the_shield_of_a_fiber, rt)
{
    nart_join join;
    struct work *w = start_work(&join, SHIELDED);

    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join)); /* in its shield */
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(w->r, -ECANCELED);
    CHECK_EQ(elapsed_ms(), 0);
    close_work(&join);
}

TEST_WITH(an_aborted_fiber_that_wants_a_shield_gets_none, rt)
{
    nart_join join;
    struct work *w = start_work(&join, SHIELDED);

    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK_RES(w->r, -ECANCELED);
    CHECK_EQ(w->ended, 1);
    close_work(&join);
}

TEST_WITH(an_aborted_fiber_that_only_yields_is_abandoned_and_reported, rt)
{
    nart_join join;
    struct work *w = start_work(&join, YIELDING);

    CHECK_LE(1, nart_rt_poll(rt, 0));
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(w->ended, 0);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    close_work(&join);
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "task work: the fiber was abandoned in work (")); /* function and line */
    CHECK(strstr(reported, "test_end.c:"));
}

TEST_WITH(a_fiber_that_aborts_itself_has_one_more_poll, rt)
{
    nart_join join;
    struct work *w = start_work(&join, ABORT_ITSELF);

    settle(rt);
    CHECK_EQ(w->ended, 1);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    close_work(&join);
    CHECK_EQ(reports, 0);
}

/* ---- fibers that ignore cancellation ---- */

TEST_WITH(a_deaf_fiber_is_abandoned_and_reported_by_function_and_line, rt)
{
    nart_join join;
    struct work *w = start_work(&join, DEAF);

    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(w->answers, 65536);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    close_work(&join); /* nothing waits in its handles any more */
    CHECK(strstr(reported, "task work ignores cancellation (") ||
          strstr(reported, "ignores cancellation"));
    CHECK(strstr(reported, "test_end.c:"));
    CHECK(strstr(reported, "abandoned in work_receives ("));
    CHECK_EQ(reports, 2);
}

/* Answers are counted per poll, as for a body: who yields in between is polled for ever, but harms no other. */
TEST_WITH(a_deaf_fiber_that_yields_blocks_no_other_until_it_is_aborted, rt)
{
    nart_join join, other;
    static struct work idle;
    struct work *w = start_work(&join, DEAF_YIELDING);

    idle = (struct work){ .mode = UNWIND };
    new_chan(rt, 1, &idle.tx, &idle.rx);
    START(work, &idle, &other);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    CHECK_RES(cancel(rt, &other), 0);
    while (w->answers < 200000)
        CHECK_LE(1, nart_rt_poll(rt, 0));
    CHECK_EQ(idle.ended, 1);
    CHECK(!nart_join_done(&join));
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&other);
    nart_tx_close(&idle.tx);
    nart_rx_close(&idle.rx);
    close_work(&join);
}

/* ---- the end of the runtime ---- */

TEST(a_runtime_that_is_freed_runs_its_fibers_to_their_end)
{
    nart_join joins[2];

    rt_open();
    static struct work idle;
    struct work *w = start_work(&joins[0], UNWIND);
    settle(rt);
    idle = (struct work){ .mode = UNWIND };
    new_chan(rt, 1, &idle.tx, &idle.rx);
    START(work, &idle, &joins[1]); /* has not begun */
    rt_close();
    CHECK_EQ(w->ended, 1);
    CHECK_RES(w->inner, -ECANCELED);
    CHECK_EQ(idle.begun, 1);
    CHECK_EQ(idle.ended, 1);
    nart_join_release(&joins[0]);
    nart_join_release(&joins[1]);
    nart_tx_close(&idle.tx);
    nart_rx_close(&idle.rx);
    nart_tx_close(&w->tx);
    nart_rx_close(&w->rx);
    CHECK_EQ(reports, 0);
}

TEST_EACH(a_runtime_that_is_freed_abandons_what_still_waits, DEAF, DEAF_YIELDING, YIELDING)
{
    nart_join join;

    rt_open();
    struct work *w = start_work(&join, kind);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    rt_close();
    CHECK_EQ(w->ended, 0);
    CHECK(strstr(reported, "the fiber was abandoned in work"));
    nart_join_release(&join);
    nart_tx_close(&w->tx);
    nart_rx_close(&w->rx);
}

static int cleaned;

static nart_res cleans_up(nart_cx *cx, void *arg)
{
    (void)arg;
    CHECK_RES(await_sleep(cx, NART_SEC), -ECANCELED);
    nart_shield(cx, NART_SEC); /* has no effect in nart_rt_free() */
    CHECK_RES(await_sleep(cx, NART_MS), -ECANCELED);
    cleaned++;
    return 0;
}

TEST(a_shield_has_no_effect_when_the_runtime_is_freed)
{
    rt_open();
    START(cleans_up, NULL, NULL);
    settle(rt);
    rt_close();
    CHECK_EQ(cleaned, 1);
    CHECK_EQ(elapsed_ms(), 0);
}

static nart_res frees(nart_cx *cx, void *arg)
{
    (void)arg;
    CHECK_RES(nart_rt_free(nart_cx_rt(cx)), -EDEADLK);
    CHECK_RES(nart_rt_run(nart_cx_rt(cx)), -EDEADLK);
    CHECK_LE(nart_rt_poll(nart_cx_rt(cx), 0), -1);
    return await_sleep(cx, NART_MS);
}

TEST_WITH(a_fiber_cannot_free_or_run_its_own_runtime, rt)
{
    CHECK_RES(RUN(frees, NULL), 0);
}

/* ---- drop: only if the function is never called ---- */

static nart_res never(nart_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    CHECK(false);
    return 0;
}

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

static nart_res once(nart_cx *cx, void *arg)
{
    (void)cx;
    return *(int *)arg;
}

TEST_WITH(drop_is_not_called_for_a_fiber_that_has_begun, rt)
{
    int drops = 0;
    nart_join join;
    const nart_fiber_opts opts = { .size = sizeof opts, .drop = count_drop };

    CHECK_RES(nart_rt_fiber_spawn(rt, once, &drops, &opts, &join), 0);
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
    CHECK_EQ(drops, 0);
}

TEST(drop_is_called_for_a_remote_spawn_that_came_too_late)
{
    int drops = 0;
    const nart_fiber_opts opts = { .size = sizeof opts, .drop = count_drop };

    rt_open();
    nart_remote remote = nart_rt_remote(rt);
    CHECK_RES(nart_remote_fiber_spawn(remote, never, &drops, &opts), 0);
    rt_close();
    CHECK_EQ(drops, 1);
    CHECK_RES(nart_remote_fiber_spawn(remote, never, &drops, &opts), NART_ESTALE);
    CHECK_EQ(drops, 1);
}
