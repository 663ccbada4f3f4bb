/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/work.c: a pool of threads: jobs that are submitted, awaited, cancelled and left while its threads start,
 * fall asleep and end, and while it shuts down or is freed. loom only: relacy compiles C++, which converts no void *. */
#include "jobs.h"

/* ---- pools ---- */

static void make_one(void)
{
    make(1, 2, 1, 1);
}

/* The block is no job of a handle. */
static void make_block(void)
{
    make(1, 2, 1, 0);
    s->in_block.in = 10;
    s->filled[0] = 1;
    for (unsigned k = 0; k < sizeof s->block / sizeof(uint32_t); k++)
        ((volatile uint32_t *)&s->block)[k] = 0;
    NART__STORE(&((nart_job *)(void *)&s->block)->state, 0u, NART__RELAXED);
    NART__STORE(&((nart_job *)(void *)&s->block)->cancelled, 0u, NART__RELAXED);
}

static void make_unstartable(void)
{
    make_one();
    os->startable = 0;
}

/* A thread is being started for a job. */
static void make_started(void)
{
    make(1, 2, 1, 2);
    MODEL_CHECK(submit(0, &plain) == 0);
}

static void make_two_jobs(void)
{
    make(1, 2, 1, 2);
}

static void make_two_threads(void)
{
    make(1, 3, 2, 2);
}

static void make_two_users(void)
{
    make(2, 3, 1, 2);
}

/* The call that starts a thread returns after the shutdown. */
static void make_held(void)
{
    make_two_users();
    os->holds = true;
}

static void make_two_unstartable(void)
{
    make_two_users();
    os->startable = 0;
}

/* A thread is being started for two jobs. */
static void make_queued(uint32_t threads, const nart_work_type *first, const nart_work_type *second)
{
    make(1, 3, threads, 2);
    MODEL_CHECK(submit(0, first) == 0);
    MODEL_CHECK(submit(1, second) == 0);
}

static void make_meeting(void)
{
    make_queued(2, &meeting, &meeting);
}

static void make_exiting(void)
{
    make_queued(1, &exiting, &plain);
}

/* No second thread can be started. */
static void make_only(void)
{
    make(1, 2, 2, 3);
    os->startable = 1;
}

static void make_only_started(void)
{
    make_only();
    MODEL_CHECK(submit(0, &plain) == 0);
}

/* Two threads, which become idle. */
static void make_neighbours(void)
{
    make(1, 3, 2, 3);
    MODEL_CHECK(submit(0, &meeting) == 0);
    MODEL_CHECK(submit(1, &meeting) == 0);
}

/* ---- scenarios ---- */

/* A pool starts its first thread; the waker of the job's task is called, or its answer seen. */
static void one_job(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == 0);
    await_and_close(0);
    free_pool();
}

/* A handle looks without the lock. */
static void look(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == 0);
    while (!nart__job_has_ended(s->jobs[0]))
        nart__relax();
    await_and_close(0);
    free_pool();
}

/* The first thread cannot be started: the job is refused. */
static void unstartable(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == -EAGAIN);
    MODEL_CHECK(s->ran[0] == 0);
    let_go(0, true);
    free_pool();
}

/* The thread of the pool is falling asleep when the second job is submitted. */
static void idle(unsigned i)
{
    if (serves(i))
        return;
    await_and_close(0);
    MODEL_CHECK(submit(1, &plain) == 0);
    await_and_close(1);
    free_pool();
}

/* It has been idle for long when the second job is submitted: it takes the job, or another thread does. */
static void late(unsigned i)
{
    if (serves(i))
        return;
    await_and_close(0);
    time_passes(0, os->all);
    MODEL_CHECK(submit(1, &plain) == 0);
    await_and_close(1);
    free_pool();
}

/* Two threads submit; the pool has one. */
static void two_users(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(i, &plain) == 0);
    await_and_close(i);
    end_user();
}

/* The first thread cannot be started. A job that was queued meanwhile ends. */
static void two_unstartable(unsigned i)
{
    nart_res r = submit(i, &plain);

    MODEL_CHECK(r == 0 || r == -EAGAIN);
    if (r == 0)
        check(i, await(i), -EAGAIN);
    let_go(i, true);
    end_user();
}

/* One thread submits while another one shuts the pool down, and so waits for the thread that is being started, whether
 * that succeeds or not. */
static void one_shuts(unsigned i)
{
    if (serves(i))
        return;
    if (i == 0) {
        nart_res r = submit(0, &plain);
        MODEL_CHECK(r == 0 || r == NART_ESHUTDOWN || (r == -EAGAIN && os->startable == 0));
        if (r == 0)
            check(0, await(0), NART_ESHUTDOWN);
        let_go(0, true);
        let_go(1, true);
    } else {
        shut_down();
        release_starts();
    }
    end_user();
}

/* The first job returns when the second one has run: a second thread is called or started. */
static void meet(unsigned i)
{
    if (serves(i))
        return;
    await_and_close(0);
    let_go(1, false);
    free_pool();
}

/* Two jobs request one thread, until it takes one of them and requests the next. */
static void batch(unsigned i)
{
    if (serves(i))
        return;
    if (s->filled[0])
        (void)await(0);
    let_go(0, true);
    MODEL_CHECK(submit(1, &plain) == 0);
    MODEL_CHECK(submit(2, &plain) == 0);
    nart__lock_enter(&s->pool->lock);
    if (s->pool->queued == 2)
        MODEL_CHECK(os->starts == 1);
    nart__lock_leave(&s->pool->lock);
    await_and_close(1);
    await_and_close(2);
    free_pool();
}

/* One of two idle threads expires, which has become idle first: it has waited for no other job. */
static void neighbours(unsigned i)
{
    if (serves(i))
        return;
    await_and_close(0);
    await_and_close(1);
    time_passes(2, 3);
    nart__relax();
    MODEL_CHECK(submit(2, &plain) == 0);
    await_and_close(2);
    free_pool();
}

/* A job ends its thread while another one is queued. */
static void exits(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(await(0) == NART_EABORTED);
    let_go(0, true);
    await_and_close(1);
    free_pool();
}

/* A job is cancelled: before it runs, or while. */
static void cancel(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &patient) == 0);
    nart__job_cancel(s->jobs[0]);
    check(0, await(0), NART_EABORTED);
    let_go(0, false);
    free_pool();
}

/* Its handle is closed, while it is queued, runs and ends. */
static void close_one(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == 0);
    let_go(0, true);
    free_pool();
}

/* The job ends because of that. */
static void close_running(unsigned i)
{
    if (serves(i))
        return;
    s->waker = own_waker();
    MODEL_CHECK(submit(0, &patient) == 0);
    let_go(0, true);
    await_own_waker();
    free_pool();
}

/* Its handle is detached, and it runs before another one. */
static void detach(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == 0);
    let_go(0, false);
    MODEL_CHECK(submit(1, &plain) == 0);
    await_and_close(1);
    MODEL_CHECK(s->ran[0] == 1);
    free_pool();
}

/* The pool shuts down while its thread falls asleep, or ends because it was idle for long. */
static void shut_idle(unsigned i)
{
    if (serves(i))
        return;
    await_and_close(0);
    time_passes(0, os->all);
    shut_down();
    let_go(1, true);
    free_pool();
}

/* It does while a job runs, and another one is queued. */
static void shut(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &patient) == 0);
    MODEL_CHECK(submit(1, &patient) == 0);
    shut_down();
    for (unsigned k = 0; k < 2; k++) {
        check(k, await(k), NART_ESHUTDOWN);
        let_go(k, true);
    }
    free_pool();
}

/* Two threads shut it down, and one submits before. */
static void two_shut(unsigned i)
{
    if (serves(i))
        return;
    nart_res r = submit(i, &plain);
    MODEL_CHECK(r == 0 || r == NART_ESHUTDOWN);
    shut_down();
    if (r == 0)
        check(i, await(i), NART_ESHUTDOWN);
    let_go(i, true);
    end_user();
}

/* Two threads run when it shuts down. */
static void chain(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == 0);
    MODEL_CHECK(submit(1, &plain) == 0);
    shut_down();
    for (unsigned k = 0; k < 2; k++) {
        check(k, await(k), NART_ESHUTDOWN);
        let_go(k, true);
    }
    free_pool();
}

/* Its owner frees the pool while a job runs, which its handle leaves before or after. */
static void free_running(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &patient) == 0);
    nart_workers_free(s->pool);
    check(0, await(0), NART_ESHUTDOWN);
    let_go(0, true);
    over();
}

static void free_detached(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &patient) == 0);
    let_go(0, false);
    free_pool();
}

/* A job is in a block of its owner, which uses it for something else when it hears of the end. Meanwhile it ends its
 * jobs. */
static void block_ended(void *arg, nart_res res)
{
    const data *d = arg;

    s->res = res;
    s->dropped[d->k]++;
    nart_waker_wake(s->waker);
}

static void end_block(unsigned i)
{
    if (serves(i))
        return;
    s->waker = own_waker();
    MODEL_CHECK(nart_job_start(&s->block, s->pool, &plain, NULL, &s->in_block, block_ended, s) ==
                0);
    nart_jobs_end(s->pool, s);
    await_own_waker();
    MODEL_CHECK(s->res == (s->ran[0] ? 0 : NART_ESHUTDOWN));
    for (unsigned k = 0; k < sizeof s->block.private_ / sizeof *s->block.private_; k++)
        s->block.private_[k] = 0;
    free_pool();
}

/* It cancels the job. */
static void cancel_block(unsigned i)
{
    if (serves(i))
        return;
    s->waker = own_waker();
    MODEL_CHECK(nart_job_start(&s->block, s->pool, &patient, NULL, &s->in_block, block_ended, s) ==
                0);
    nart_job_cancel(&s->block);
    await_own_waker();
    MODEL_CHECK(s->res == (s->ran[0] ? 0 : NART_EABORTED));
    free_pool();
}

/* A shutdown has a deadline. */
static void shut_late(unsigned i)
{
    if (serves(i))
        return;
    MODEL_CHECK(submit(0, &plain) == 0);
    nart_res r = nart_workers_shutdown(s->pool, 0);
    MODEL_CHECK(r == 0 || r == -ETIMEDOUT);
    check(0, await(0), NART_ESHUTDOWN);
    let_go(0, true);
    free_pool();
}

const model_scenario model_scenarios[] = {
    { "unstartable", 1, make_unstartable, unstartable, after, MODEL_EVERY, 0 },
    { "free_running", 2, make_one, free_running, after, 2, 0 },
    { "free_detached", 2, make_one, free_detached, after, 2, 0 },
    { "close", 2, make_one, close_one, after, 2, 0 },
    { "close_running", 2, make_one, close_running, after, 2, 0 },
    { "cancel", 2, make_one, cancel, after, 2, 0 },
    { "end_block", 2, make_block, end_block, after, 2, 0 },
    { "cancel_block", 2, make_block, cancel_block, after, 2, 0 },
    { "shut_late", 2, make_one, shut_late, after, 2, 0 },
    { "two_unstartable", 2, make_two_unstartable, two_unstartable, after, 3, 0 },
    { "unstartable_shut", 2, make_two_unstartable, one_shuts, after, 2, 0 },
    { "neighbours", 3, make_neighbours, neighbours, after, 0, 0 },
    { "one_job", 2, make_one, one_job, after, 2, 0 },
    { "look", 2, make_one, look, after, 2, 0 },
    { "shut", 2, make_two_jobs, shut, after, 2, 0 },
    { "chain", 3, make_two_threads, chain, after, 1, 0 },
    { "one_shuts", 3, make_held, one_shuts, after, 1, 0 },
    { "two_shut", 3, make_two_users, two_shut, after, 1, 0 },
    { "shut_idle", 2, make_started, shut_idle, after, 2, 0 },
    { "detach", 2, make_two_jobs, detach, after, 2, 0 },
    { "idle", 2, make_started, idle, after, 2, 0 },
    { "late", 2, make_started, late, after, 2, 0 },
    { "first_batch", 2, make_only, batch, after, 2, 0 },
    { "two_users", 3, make_two_users, two_users, after, 1, 0 },
    { "exits", 3, make_exiting, exits, after, 1, 0 },
    { "meet", 3, make_meeting, meet, after, 1, 0 },
    { "batch", 2, make_only_started, batch, after, 2, 0 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
