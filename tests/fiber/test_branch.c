/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Branches: functions as arms of races, of fibers and of bodies. */
#include "fiber.h"

#include <nart/local.h>

FIXTURE_RT(.report = keep_report);

static const nart_local_key key = { "key" };

/* A function, a value that it may receive, and a fiber or a body that runs it. */
struct both {
    nart_tx ta, tb;
    nart_rx a, b;
    nart_branch branch;
    nart_co co;
    nart_timer timer;
    uint64_t va, vb;
    nart_res in, r;
    int which;
};

static void open_both(struct both *f)
{
    memset(f, 0, sizeof *f);
    new_chan(rt, 1, &f->ta, &f->a);
    new_chan(rt, 1, &f->tb, &f->b);
}

static void close_both(struct both *f)
{
    nart_tx_close(&f->ta);
    nart_tx_close(&f->tb);
    nart_rx_close(&f->a);
    nart_rx_close(&f->b);
}

static void put(nart_tx *tx, uint64_t v)
{
    CHECK_RES(nart_try_send(tx, &v), 0);
}

/* Receives from b, in a function below. */
static nart_res receive(nart_cx *cx, struct both *f)
{
    return nart_await(cx, nart_recv(cx, &f->b, &f->vb));
}

static nart_res receives(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    f->in = receive(cx, f);
    return f->in ? f->in : 7;
}

static nart_res in_a_fiber(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    f->r = nart_await_any(cx, f->which, nart_recv(cx, &f->a, &f->va),
                          nart_branch_run(cx, &f->branch, receives, f));
    return nart_await(cx, nart_branch_stop(cx, &f->branch));
}

static nart_res in_a_body(nart_cx *cx, void *frame)
{
    struct both *f = *(struct both **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->a, &f->va),
                   nart_branch_run(cx, &f->branch, receives, f));
    NART_STOP(r, nart_branch_run(cx, &f->branch, NULL, NULL));
    NART_END(r);
}

static void start(struct both *f, bool body, nart_join *join)
{
    static const nart_task_type type = NART_TASK_TYPE(struct both *, in_a_body, NULL);

    if (body)
        CHECK_RES(nart_rt_spawn(rt, &type, &f, join), 0);
    else
        START(in_a_fiber, f, join);
    run_all(rt);
    CHECK(!nart_join_done(join));
}

static void either_arm_wins(bool body)
{
    struct both f;
    nart_join join;

    open_both(&f); /* the arm before the branch, which waits when that runs */
    start(&f, body, &join);
    put(&f.ta, 1);
    run_to_the_end(rt, &join);
    CHECK_EQ(f.r, 0);
    CHECK_EQ(f.which, 0);
    CHECK_EQ(f.va, 1);
    CHECK_RES(f.in, -ECANCELED);
    CHECK(f.branch.on == NULL);
    close_both(&f);

    open_both(&f); /* the branch */
    start(&f, body, &join);
    put(&f.tb, 2);
    run_to_the_end(rt, &join);
    CHECK_EQ(f.r, 7);
    CHECK_EQ(f.which, 1);
    CHECK_EQ(f.vb, 2);
    CHECK(f.a.wait.task == NULL);
    close_both(&f);
}

TEST_WITH(either_arm_of_a_race_with_a_branch_wins, rt)
{
    either_arm_wins(false);
    either_arm_wins(true);
}

/* ---- ends ---- */

static void cancelled(bool body)
{
    struct both f;
    nart_join join;

    open_both(&f);
    start(&f, body, &join);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    run_to_the_end(rt, &join);
    CHECK_RES(f.r, -ECANCELED);
    CHECK_RES(f.in, -ECANCELED);
    close_both(&f);
}

TEST_WITH(a_cancelled_task_unwinds_its_branch, rt)
{
    cancelled(false);
    cancelled(true);
}

/* A value in flight for a loser stays in the channel. */
static nart_res loses(nart_cx *cx, void *arg)
{
    struct both *f = arg;
    nart_res r = nart_await_any(cx, f->which, nart_recv(cx, &f->a, &f->va),
                                nart_branch_run(cx, &f->branch, receives, f));

    CHECK_RES(r, 0);
    CHECK(f->b.wait.task == NULL);
    CHECK_RES(nart_await(cx, nart_recv(cx, &f->b, &f->va)), 0);
    CHECK_EQ(f->va, 2);
    put(&f->tb, 3);
    return nart_await(cx, nart_branch_run(cx, &f->branch, NULL, NULL)); /* it continues */
}

TEST_WITH(a_branch_that_lost_waits_no_more_and_continues_when_it_is_run, rt)
{
    struct both f;
    nart_join join;

    open_both(&f);
    START(loses, &f, &join);
    run_all(rt);
    put(&f.ta, 1);
    put(&f.tb, 2);
    run_all(rt);
    CHECK_RES(fiber_verdict(rt, &join), 7);
    CHECK_EQ(f.vb, 3);
    nart_join_release(&join);
    close_both(&f);
}

/* ---- what holds for the caller holds for the branch ---- */

static nart_res sleeps_within(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    f->va = (uint64_t)(uintptr_t)nart_local_get(cx, &key);
    f->in = await_sleep(cx, 10 * NART_MS);
    f->vb = (uint64_t)(uintptr_t)nart_local_get(cx, &key);
    return f->in;
}

static nart_res changes_deadlines(nart_cx *cx, void *arg)
{
    struct both *f = arg;
    nart_local l;

    nart_local_enter(cx, &l, &key, &f->va);
    f->r = nart_await_for(cx, 3 * NART_MS, nart_branch_run(cx, &f->branch, sleeps_within, f));
    nart_local_leave(cx, &l);
    CHECK_RES(f->in, -ECANCELED);
    CHECK(f->va == (uint64_t)(uintptr_t)&f->va && f->vb == f->va);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(elapsed_ms(), 3);

    /* begins under one deadline, continues under another */
    f->r = nart_await_any(cx, f->which, nart_sleep(cx, &f->timer, 2 * NART_MS),
                          nart_branch_run(cx, &f->branch, sleeps_within, f));
    CHECK_EQ(f->which, 0);
    nart_local_enter(cx, &l, &key, &f->timer);
    f->r = nart_await_for(cx, 4 * NART_MS, nart_branch_run(cx, &f->branch, sleeps_within, f));
    nart_local_leave(cx, &l);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(elapsed_ms(), 9);
    CHECK(f->va == 0 && f->vb == (uint64_t)(uintptr_t)&f->timer);
    return 0;
}

TEST_WITH(a_branch_has_the_deadlines_and_values_of_whoever_runs_it, rt)
{
    struct both f = { .in = 0 };

    CHECK_RES(RUN(changes_deadlines, &f), 0);
}

static nart_res cleans_up(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    f->in = await_sleep(cx, NART_SEC);
    nart_shield(cx, 50 * NART_MS);
    f->r = await_sleep(cx, 20 * NART_MS);
    nart_unshield(cx);
    CHECK_RES(await_sleep(cx, NART_MS), -ECANCELED);
    return 5;
}

static nart_res stops(nart_cx *cx, void *arg)
{
    struct both *f = arg;
    nart_res r = nart_await_any(cx, f->which, nart_sleep(cx, &f->timer, NART_MS),
                                nart_branch_run(cx, &f->branch, cleans_up, f));

    CHECK_RES(r, 0);
    r = nart_await(cx, nart_branch_stop(cx, &f->branch));
    CHECK_RES(nart_await(cx, nart_branch_stop(cx, &f->branch)), 0); /* it is not begun any more */
    return r;
}

TEST_WITH(a_stopped_branch_cleans_up_behind_a_shield, rt)
{
    struct both f = { .in = 0 };

    CHECK_RES(RUN(stops, &f), 5);
    CHECK_RES(f.in, -ECANCELED);
    CHECK_RES(f.r, 0);
    CHECK_EQ(elapsed_ms(), 21);
}

/* The stop loses a race while a shield defers it. */
static nart_res ends_its_shield(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    f->in = await_sleep(cx, NART_SEC);
    nart_shield(cx, NART_SEC);
    CHECK_RES(await_sleep(cx, 20 * NART_MS), 0);
    nart_unshield(cx);
    return await_sleep(cx, NART_MS);
}

static nart_res stops_and_runs(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    CHECK_RES(nart_await_any(cx, f->which, nart_sleep(cx, &f->timer, NART_MS),
                             nart_branch_run(cx, &f->branch, ends_its_shield, f)),
              0);
    CHECK_RES(nart_await_any(cx, f->which, nart_sleep(cx, &f->timer, NART_MS),
                             nart_branch_stop(cx, &f->branch)),
              0);
    CHECK_EQ(f->which, 0);
    CHECK_RES(f->in, -ECANCELED);
    f->r = nart_await(cx, nart_branch_run(cx, &f->branch, NULL, NULL));
    return await_sleep(cx, NART_MS);
}

TEST_WITH(a_branch_that_is_run_again_after_a_stop_is_not_stopped, rt)
{
    struct both f = { .in = 0 };

    CHECK_RES(RUN(stops_and_runs, &f), 0);
    CHECK_RES(f.r, 0);
}

/* ---- nesting ---- */

static nart_res recurses(nart_cx *cx, void *arg)
{
    int depth = *(int *)arg - 1, which = 0;
    nart_branch b = { .stack = NART_FIBER_STACK_MIN };
    nart_timer t = { 0 };

    if (depth == 0)
        return await_sleep(cx, NART_MS);
    nart_res r = nart_await_any(cx, which, nart_sleep(cx, &t, NART_SEC),
                                nart_branch_run(cx, &b, recurses, &depth));
    return which == 1 ? r : -EIO;
}

TEST_WITH(branches_nest, rt)
{
    int depth = 30;

    CHECK_RES(RUN(recurses, &depth), 0);
    CHECK_EQ(elapsed_ms(), 1);
}

/* ---- misuse ---- */

static nart_res runs_itself(nart_cx *cx, void *arg)
{
    struct both *f = arg;
    return nart_await(cx, nart_branch_run(cx, &f->branch, runs_itself, f));
}

static nart_res misuses(nart_cx *cx, void *arg)
{
    struct both *f = arg;

    CHECK_RES(nart_await(cx, nart_branch_run(cx, &f->branch, NULL, f)), -EINVAL);
    f->branch.stack = 1;
    CHECK_RES(nart_await(cx, nart_branch_run(cx, &f->branch, receives, f)), -EINVAL);
    f->branch.stack = 0;
    CHECK_RES(nart_await(cx, nart_branch_run(cx, &f->branch, runs_itself, f)), -EDEADLK);
    CHECK_RES(nart_await(cx, nart_branch_stop(cx, &f->branch)), 0);
    return 0;
}

TEST_WITH(misuse_of_a_branch_is_answered, rt)
{
    struct both f = { .in = 0 };

    CHECK_RES(RUN(misuses, &f), 0);
}

/* Its frame is gone; its waits, too. */
static nart_res leaves_one(nart_cx *cx, void *arg)
{
    struct both *f = arg;
    return nart_await_any(cx, f->which, nart_sleep(cx, &f->timer, NART_MS),
                          nart_branch_run(cx, &f->branch, receives, f));
}

TEST_WITH(a_branch_that_is_left_waits_no_more, rt)
{
    struct both f;

    open_both(&f);
    CHECK_RES(RUN(leaves_one, &f), 0);
    CHECK(f.branch.on != NULL);
    CHECK(f.b.wait.task == NULL);
    close_both(&f);
}
