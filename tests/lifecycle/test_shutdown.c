/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shutdown: requesting, awaiting, refusing, running until no task is left. Exact times on the
 * virtual clock, which does not drive waits inside a run: those have nothing to wait for here. */
#include "../core/core.h"
#include "../core/virtual.h"
#include "reports.h"
#include "threads.h"

#include <nart/shutdown.h>

#include <stdio.h>

FIXTURE_RT(.report = keep_report, .name = "life");

/* ---- tasks that serve until the shutdown, or that sleep ---- */

enum mode { SERVES, SLEEPS, STUBBORN, RACES, YIELDS };

struct task {
    nart_co co;
    nart_waiter waiter, *shared;
    nart_timer timer;
    enum mode mode;
    int which, turns;
    nart_res r;
};

static nart_res task_run(nart_cx *cx, void *frame)
{
    struct task *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->mode == SERVES)
        NART_AWAIT(f->r, nart_shutdown_await(cx, f->shared ? f->shared : &f->waiter));
    if (f->mode == SLEEPS)
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 3 * NART_SEC));
    while (f->mode == STUBBORN) {
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
        if (f->r == -ECANCELED)
            NART_YIELD();
    }
    if (f->mode == RACES)
        NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timer, NART_SEC),
                       nart_shutdown_await(cx, &f->waiter));
    while (f->mode == YIELDS && !nart_rt_is_shutdown(nart_cx_rt(cx)) && f->turns-- > 0)
        NART_YIELD();
    NART_END(f->r);
}

static const nart_task_type task_type = NART_TASK_TYPE(struct task, task_run, NULL);

static struct task *start(enum mode mode, nart_join *join)
{
    struct task *f = spawn(rt, &task_type, join);
    f->mode = mode;
    return f;
}

/* ---- requesting and awaiting ---- */

TEST_WITH(every_waiter_is_woken, rt)
{
    nart_join joins[5];

    for (int i = 0; i < 5; i++)
        start(SERVES, &joins[i]);
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), 5);
    CHECK(!nart_rt_is_shutdown(rt));
    CHECK_RES(nart_rt_shutdown(rt), 0);
    CHECK(nart_rt_is_shutdown(rt));
    settle(rt);
    for (int i = 0; i < 5; i++) {
        CHECK_RES(((struct task *)nart_join_frame(&joins[i]))->r, 0);
        nart_join_release(&joins[i]);
    }
}

TEST_WITH(a_later_waiter_is_answered_at_once, rt)
{
    nart_join join;

    struct task *f = start(SERVES, &join);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    CHECK_EQ(settle(rt), 1);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}

TEST(no_task_is_spawned_from_then_on)
{
    nart_res err = 0, answer;
    nart_join join;

    rt_open();
    nart_remote remote = nart_rt_remote(rt);
    void *begun = nart_rt_spawn_begin(rt, &task_type, &err);
    CHECK(begun != NULL);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    CHECK_RES(nart_rt_spawn(rt, &task_type, NULL, NULL), NART_ESHUTDOWN);
    CHECK_RES(nart_rt_spawn_boxed(rt, &task_type, NULL, NULL), NART_ESHUTDOWN);
    CHECK(!nart_rt_spawn_begin(rt, &task_type, &err));
    CHECK_RES(err, NART_ESHUTDOWN);
    CHECK_RES(nart_block_on(rt, &task_type, NULL, &answer), NART_ESHUTDOWN);
    CHECK_RES(nart_remote_spawn(remote, &task_type, NULL), NART_ESHUTDOWN);
    CHECK_RES(nart_rt_spawn_commit(rt, begun, &join), 0); /* begun before */
    settle(rt);
    nart_join_release(&join);
    rt_close();
    CHECK_EQ(reports, 0);
}

TEST_WITH(a_race_is_won_by_the_shutdown_or_by_the_clock, rt)
{
    nart_join first, second;

    struct task *f = start(RACES, &first);
    run_until(rt, at_ms(1000));
    CHECK(nart_join_done(&first));
    CHECK_EQ(f->which, 0);
    CHECK(!f->waiter.wait.task); /* it has left the queue */
    f = start(RACES, &second);
    settle(rt);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    settle(rt);
    CHECK_EQ(f->which, 1);
    CHECK_EQ(elapsed_ms(), 1000);
    nart_join_release(&first);
    nart_join_release(&second);
}

TEST_WITH(a_second_task_on_one_handle_is_busy, rt)
{
    nart_join first, second;

    struct task *f = start(SERVES, &first), *g = start(SERVES, &second);
    g->shared = &f->waiter;
    settle(rt);
    CHECK_RES(g->r, -EBUSY);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    settle(rt);
    CHECK_RES(f->r, 0);
    nart_join_release(&first);
    nart_join_release(&second);
}

TEST_WITH(a_cancelled_waiter_leaves, rt)
{
    nart_join join;

    struct task *f = start(SERVES, &join);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_RES(nart_rt_shutdown(rt), 0); /* without a waiter */
    nart_join_release(&join);
}

TEST(waiters_are_left_when_the_runtime_is_freed)
{
    rt_open();
    for (int i = 0; i < 3; i++)
        start(SERVES, NULL);
    settle(rt);
    rt_close();
    CHECK_EQ(reports, 0);
}

/* ---- from other threads and runtimes ---- */

static void *ask(void *arg)
{
    const nart_remote *remote = arg;
    CHECK_RES(nart_remote_shutdown(*remote), 0);
    CHECK_RES(nart_remote_shutdown(*remote), 0);
    return NULL;
}

TEST_WITH(another_thread_asks_a_parked_loop, rt)
{
    nart_join join;

    nart_remote remote = nart_rt_remote(rt);
    struct task *f = start(SERVES, &join);
    pthread_t thread = thread_start(ask, &remote);
    CHECK_RES(nart_rt_run(rt), 0); /* parks: only the shutdown ends it */
    thread_join(thread);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}

TEST(a_late_request_does_not_reach_the_next_runtime)
{
    rt_open();
    nart_remote old = nart_rt_remote(rt);
    CHECK_RES(nart_remote_shutdown(old), 0); /* the runtime is freed before it sees this */
    rt_close();
    rt_open();
    CHECK(nart_rt_remote(rt).hub == old.hub);
    CHECK_RES(nart_remote_shutdown(old), NART_ESTALE);
    CHECK_RES(nart_remote_shutdown((nart_remote){ 0 }), NART_ESTALE);
    settle(rt);
    CHECK(!nart_rt_is_shutdown(rt));
    CHECK_RES(nart_rt_spawn(rt, &task_type, NULL, NULL), 0);
    rt_close();
}

/* ---- quiesce ---- */

TEST_WITH(quiesce_on_nothing, rt)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    CHECK_RES(nart_rt_quiesce(rt, 0, &left), 0);
    CHECK_EQ(left.tasks + left.held + left.cancelled, 0);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
}

TEST_WITH(quiesce_runs_what_is_ready_in_no_time, rt)
{
    start(YIELDS, NULL);
    CHECK_RES(nart_rt_quiesce(rt, 0, NULL), 0);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

TEST_WITH(quiesce_names_the_remaining_tasks, rt)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    start(SLEEPS, NULL);
    start(SERVES, NULL);
    CHECK_RES(nart_rt_quiesce(rt, 0, &left), -ETIMEDOUT);
    CHECK_EQ(left.tasks, 2);
    CHECK_EQ(left.held, 0);
    CHECK_EQ(reports, 2);
    CHECK(strstr(reported, "life: task task has not ended ("));
    CHECK(strstr(reported, "test_shutdown.c:"));
}

/* Timers run meanwhile: a sleeping task ends. */
TEST_WITH(quiesce_runs_timers, rt)
{
    start(SLEEPS, NULL);
    settle(rt);
    virtual_now += 3 * NART_SEC;
    CHECK_RES(nart_rt_quiesce(rt, NART_MS, NULL), 0);
}

TEST(quiesce_reports_what_handles_keep)
{
    nart_rt_left left = NART_RT_LEFT_INIT;
    nart_rt_end end = NART_RT_END_INIT;
    nart_join join;

    rt_open();
    start(YIELDS, &join);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, &left), -EBUSY);
    CHECK_EQ(left.tasks, 0);
    CHECK_EQ(left.held, 1);
    CHECK_EQ(reports, 0);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.held, 1);
    nart_join_release(&join);
}

static nart_res quiesces_run(nart_cx *cx, void *frame)
{
    (void)frame;
    CHECK_RES(nart_rt_quiesce(nart_cx_rt(cx), 0, NULL), -EDEADLK);
    CHECK_RES(nart_rt_shutdown_within(nart_cx_rt(cx), 0, 0, NULL), -EDEADLK);
    return 0;
}

static const nart_task_type quiesces_type = NART_TASK_TYPE(int, quiesces_run, NULL);

TEST_WITH(misuse, rt)
{
    nart_rt_left other = { .size = 1 };
    nart_rt_end end = { .size = 0 };

    CHECK_RES(nart_rt_quiesce(NULL, 0, NULL), -EINVAL);
    CHECK_RES(nart_rt_shutdown(NULL), -EINVAL);
    CHECK_RES(nart_rt_quiesce(rt, 0, &other), NART_EABI);
    CHECK_RES(nart_rt_shutdown_within(rt, 0, 0, &other), NART_EABI);
    CHECK(!nart_rt_is_shutdown(rt));
    CHECK_RES(nart_rt_free_counted(rt, &end), NART_EABI);
    CHECK_RES(nart_block_on(rt, &quiesces_type, NULL, NULL), 0);
}

/* ---- a complete shutdown ---- */

TEST(a_shutdown_in_good_order)
{
    nart_rt_left left = NART_RT_LEFT_INIT;
    nart_rt_end end = NART_RT_END_INIT;

    rt_open();
    for (int i = 0; i < 3; i++)
        start(SERVES, NULL);
    settle(rt);
    CHECK_RES(nart_rt_shutdown_within(rt, NART_NEVER, 0, &left), 0);
    CHECK_EQ(left.tasks + left.held + left.cancelled, 0);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.cancelled + end.dropped + end.held + end.undelivered, 0);
    CHECK_EQ(end.size, sizeof end);
    CHECK_EQ(reports, 0);
}

TEST_WITH(a_task_that_does_not_listen_is_cancelled, rt)
{
    nart_rt_left left = NART_RT_LEFT_INIT;
    nart_join join;

    struct task *f = start(SLEEPS, &join);
    start(SERVES, NULL);
    CHECK_RES(nart_rt_shutdown_within(rt, 0, NART_NEVER, &left), -EBUSY);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(left.cancelled, 1);
    CHECK_EQ(left.held, 1);
    nart_join_release(&join);
}

TEST(a_task_that_ignores_it_is_named_and_dropped)
{
    nart_rt_left left = NART_RT_LEFT_INIT;
    nart_rt_end end = NART_RT_END_INIT;

    rt_open();
    start(STUBBORN, NULL);
    start(SLEEPS, NULL);
    CHECK_RES(nart_rt_shutdown_within(rt, 0, 0, &left), -ETIMEDOUT);
    CHECK_EQ(left.tasks, 1);
    CHECK_EQ(left.cancelled, 1);
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "life: task task has not ended"));
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.dropped, 1);
    CHECK_EQ(end.cancelled, 0);
    CHECK_EQ(reports, 2);
}

TEST(free_counts_what_it_cancels)
{
    nart_rt_end end = NART_RT_END_INIT;

    rt_open();
    start(SLEEPS, NULL);
    start(SLEEPS, NULL);
    settle(rt);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.cancelled, 2);
    CHECK_EQ(end.dropped, 0);
    CHECK_RES(nart_rt_free_counted(NULL, &end), 0);
    CHECK_EQ(end.cancelled, 0);
}
