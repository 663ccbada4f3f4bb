/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pools: at most so many jobs at a time, each answer taken once, and what the first error ends. */
#include "core.h"
#include "virtual.h"

#include <nart/task_set.h>

enum { MAX = 16, MANY = 1000 };

FIXTURE_RT();
static int running, most, begun, dropped, cancelled, failed, answers[MANY];

/* ---- jobs ---- */

struct job {
    nart_co co;
    nart_timer timer;
    int i;
    int64_t ms;
    nart_res r, answer;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    struct job *j = frame;

    NART_BEGIN(cx, &j->co);
    begun++;
    most = ++running > most ? running : most;
    NART_AWAIT(j->r, nart_sleep(cx, &j->timer, j->ms * NART_MS));
    running--;
    NART_END(j->r ? j->r : j->answer);
}

static void job_drop(void *frame)
{
    (void)frame;
    dropped++;
}

static const nart_task_type job_type = NART_TASK_TYPE(struct job, job_run, job_drop);

static const nart_task_type wrong_type = { .abi = NART_TASK_ABI }; /* -EINVAL */

/* ---- their owner ---- */

struct owner {
    nart_co co;
    nart_pool pool;
    nart_task_set_node nodes[MAX];
    struct job job;
    nart_timer tick;
    nart_res r, joined;
    int n, bad, wrong, which,
        ticks; /* job `bad` answers -EIO, `wrong` cannot be spawned; -1: none */
    int64_t ms, limit;
    bool race;
};

static void count(void *arg, void *frame, nart_res answer)
{
    const struct job *j = frame;

    CHECK(arg == answers);
    cancelled += answer == NART_EABORTED;
    failed += answer == -EIO;
    if (j)
        answers[j->i]++;
}

static nart_res spawn_next(nart_cx *cx, struct owner *o)
{
    const nart_task_type *type = o->job.i == o->wrong ? &wrong_type : &job_type;
    return nart_pool_spawn(cx, &o->pool, type, &o->job);
}

static nart_res owner_run(nart_cx *cx, void *frame)
{
    struct owner *o = frame;

    NART_BEGIN(cx, &o->co);
    for (; o->job.i < o->n; o->job.i++) {
        o->job.answer = o->job.i == o->bad ? -EIO : o->job.i;
        o->job.ms = o->ms - (o->job.i == o->bad); /* it ends before those beside it */
        NART_AWAIT_UNTIL(o->r, o->limit, spawn_next(cx, o));
        if (o->r < 0)
            break;
    }
    for (o->which = 1; o->race && o->which == 1; o->ticks += o->which)
        NART_AWAIT_ANY(o->which, o->joined, nart_pool_join(cx, &o->pool),
                       nart_sleep(cx, &o->tick, NART_MS));
    if (!o->race)
        NART_AWAIT_UNTIL(o->joined, o->limit, nart_pool_join(cx, &o->pool));
    NART_END(o->joined);
}

static void owner_drop(void *frame)
{
    nart_pool_close(&((struct owner *)frame)->pool);
}

static const nart_task_type owner_type = NART_TASK_TYPE(struct owner, owner_run, owner_drop);

static struct owner *new_owner(nart_join *join, int n, int64_t ms, uint32_t flags)
{
    struct owner *o = spawn(rt, &owner_type, join);

    running = most = begun = dropped = cancelled = failed = 0;
    nart_pool_init(&o->pool, o->nodes, MAX, flags);
    nart_pool_on_answer(&o->pool, count, answers);
    o->n = n;
    o->bad = o->wrong = -1;
    o->ms = ms;
    o->limit = NART_NEVER;
    return o;
}

/* The owner has ended, with these answers. */
static void check_over(struct owner *o, nart_join *join, nart_res r, nart_res joined)
{
    CHECK(nart_join_done(join));
    CHECK_RES(o->r, r);
    CHECK_RES(o->joined, joined);
    nart_join_release(join);
    settle(rt);
    CHECK_EQ(dropped, begun);
}

/* ---- all of them ---- */

TEST_WITH(a_thousand_jobs_sixteen_at_a_time, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, MANY, 1, 0);
    run_all(rt);
    CHECK_EQ(most, MAX);
    CHECK_EQ(o->pool.taken, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(answers[i], 1);
    CHECK_EQ(elapsed_ms(), (MANY + MAX - 1) / MAX);
    CHECK_EQ(nart_pool_len(&o->pool), 0);
    check_over(o, &join, 0, 0);
}

TEST_WITH(jobs_that_need_no_time, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, MANY, 0, 0);
    settle(rt);
    CHECK_EQ(o->pool.taken, MANY);
    check_over(o, &join, 0, 0);
}

TEST_WITH(no_job_at_all, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, 0, 0, 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    check_over(o, &join, 0, 0);
}

/* ---- errors ---- */

TEST_WITH(an_error_cancels_the_rest_if_asked, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, MANY, 2, NART_POOL_CANCEL_ON_ERROR);
    o->bad = 20; /* in the second turn */
    run_all(rt);
    CHECK_EQ(begun, 2 * MAX);
    CHECK_EQ(failed, 1);
    CHECK_EQ(cancelled, MAX - 1);
    CHECK_EQ(o->pool.taken, 2 * MAX);
    CHECK_RES(o->pool.error, -EIO);
    CHECK_EQ(elapsed_ms(), 3);
    check_over(o, &join, -EIO, -EIO);
}

TEST_WITH(an_error_during_the_join_cancels_the_rest, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, 3, 2, NART_POOL_CANCEL_ON_ERROR);
    o->bad = 0;
    settle(rt);
    run_until(rt, at_ms(2));
    check_over(o, &join, 0, -EIO);
}

TEST_WITH(without_the_flag_an_error_is_only_kept, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, 100, 1, 0);
    o->bad = 20;
    run_all(rt);
    CHECK_EQ(o->pool.taken, 100);
    CHECK_EQ(cancelled, 0);
    check_over(o, &join, 0, -EIO);
}

TEST_WITH(a_spawn_that_fails_is_an_error_of_the_pool, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, 20, 1, NART_POOL_CANCEL_ON_ERROR);
    o->wrong = 17;
    run_all(rt);
    CHECK_EQ(begun, 17);
    CHECK_EQ(o->pool.taken, 17);
    check_over(o, &join, -EINVAL, -EINVAL);
}

/* ---- the owner is interrupted ---- */

static void check_cancelled(int jobs, nart_res r)
{
    nart_join join;
    rt_open();
    struct owner *o = new_owner(&join, jobs, 10, 0);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    check_over(o, &join, r, -ECANCELED); /* its drop has closed the pool */
    CHECK_EQ(running, 0);
    CHECK_EQ(elapsed_ms(), 0);
    rt_close();
}

TEST(a_cancelled_spawn_spawns_nothing)
{
    check_cancelled(MANY, -ECANCELED);
}

TEST(a_cancelled_join_leaves_jobs_to_the_close)
{
    check_cancelled(3, 0);
}

TEST_WITH(an_aborted_owner_cancels_its_jobs, rt)
{
    nart_join join;
    (void)new_owner(&join, MANY, 10, 0);
    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    nart_join_release(&join);
    settle(rt);
    CHECK_EQ(begun, MAX);
    CHECK_EQ(dropped, MAX);
}

TEST_WITH(a_deadline_ends_the_wait_and_no_job, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, MANY, 10, 0);
    o->limit = at_ms(5);
    run_until(rt, at_ms(5));
    CHECK_EQ(begun, MAX);
    check_over(o, &join, -ETIMEDOUT, -ETIMEDOUT);
}

TEST_WITH(a_join_that_loses_a_race_continues, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, 40, 4, 0);
    o->race = true;
    run_all(rt);
    CHECK_LE(3, o->ticks);
    CHECK_EQ(o->pool.taken, 40);
    check_over(o, &join, 0, 0);
}

TEST_WITH(closing_it_ends_the_wait, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, MANY, 10, 0);
    settle(rt);
    nart_pool_close(&o->pool);
    nart_pool_close(&o->pool);
    settle(rt);
    check_over(o, &join, NART_ECLOSED, NART_ECLOSED);
}

TEST_WITH(cancelling_it_ends_the_spawning, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join, MANY, 10, 0);
    settle(rt);
    nart_pool_cancel(&o->pool);
    settle(rt);
    CHECK_EQ(o->pool.taken, MAX);
    CHECK_EQ(cancelled, MAX);
    check_over(o, &join, -ECANCELED, -ECANCELED);
}

/* ---- an error is seen before the next job begins ---- */

struct pauses {
    nart_co co;
    nart_pool pool;
    nart_task_set_node nodes[2];
    nart_timer timer;
    struct job job;
    nart_res r;
};

static nart_res pauses_run(nart_cx *cx, void *frame)
{
    struct pauses *f = frame;

    NART_BEGIN(cx, &f->co);
    nart_pool_init(&f->pool, f->nodes, 2, NART_POOL_CANCEL_ON_ERROR);
    f->job.answer = -EIO;
    NART_AWAIT(f->r, nart_pool_spawn(cx, &f->pool, &job_type, &f->job));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_MS));
    NART_AWAIT(f->r, nart_pool_spawn(cx, &f->pool, &job_type, &f->job));
    nart_pool_close(&f->pool);
    NART_END(f->r);
}

static const nart_task_type pauses_type = NART_TASK_TYPE(struct pauses, pauses_run, NULL);

TEST_WITH(an_error_prevents_the_next_spawn, rt)
{
    nart_join join;
    struct pauses *f = spawn(rt, &pauses_type, &join);
    run_all(rt);
    CHECK_RES(f->r, -EIO);
    CHECK_EQ(begun, 1);
    nart_join_release(&join);
}

/* ---- wrong use ---- */

struct other {
    nart_co co;
    nart_pool *pool;
    nart_res spawned, joined;
};

static nart_res other_run(nart_cx *cx, void *frame)
{
    struct other *f = frame;
    struct job job = { .ms = 1 };

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->spawned, nart_pool_spawn(cx, f->pool, &job_type, &job));
    NART_AWAIT(f->joined, nart_pool_join(cx, f->pool));
    NART_END(0);
}

static const nart_task_type other_type = NART_TASK_TYPE(struct other, other_run, NULL);

TEST_WITH(a_second_task_is_busy, rt)
{
    nart_join join, second;
    struct owner *o = new_owner(&join, MANY, 1, 0);
    settle(rt);
    struct other *f = spawn(rt, &other_type, &second);
    f->pool = &o->pool;
    settle(rt);
    CHECK_RES(f->spawned, -EBUSY);
    CHECK_RES(f->joined, -EBUSY);
    nart_join_release(&second);
    run_all(rt);
    CHECK_EQ(o->pool.taken, MANY);
    check_over(o, &join, 0, 0);
}

TEST_WITH(a_zeroed_pool_is_closed, rt)
{
    nart_join join;
    nart_pool pool = { 0 };
    struct other *f = spawn(rt, &other_type, &join);
    f->pool = &pool;
    settle(rt);
    CHECK_RES(f->spawned, NART_ECLOSED);
    CHECK_RES(f->joined, NART_ECLOSED);
    nart_pool_close(&pool);
    nart_pool_close(NULL);
    nart_join_release(&join);
}

TEST_WITH(a_pool_without_nodes_has_no_room, rt)
{
    nart_join join;
    nart_pool pool;
    nart_task_set_node node;
    struct other *f = spawn(rt, &other_type, &join);
    nart_pool_init(&pool, &node, 0, 0);
    f->pool = &pool;
    settle(rt);
    CHECK_RES(f->spawned, -ENOSPC);
    CHECK_RES(f->joined, -ENOSPC);
    nart_pool_close(&pool);
    nart_join_release(&join);
}
