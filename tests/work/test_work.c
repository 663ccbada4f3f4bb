/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Jobs and their handles: results, data, every way to leave a job. */
#include "work_test.h"

#include "by_hand.h"

static nart_rt *rt;
static nart_workers *pool; /* one thread */
static nart_work w;
static struct op op;

static void work_open(void)
{
    CHECK_EQ(sem_init(&begun, 0, 0), 0);
    CHECK_EQ(sem_init(&go, 0, 0), 0);
    rt = new_rt();
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    pool = NEW_POOL(.threads = 1, .queue = 2);
    op = (struct op){ .w = &w, .pool = pool };
}

/* Everything that was dropped was begun or withdrawn, and nothing is left. */
static void work_close(void)
{
    nart_work_close(&w);
    nart_work_close(&w);
    if (rt)
        CHECK_RES(nart_rt_free(rt), 0);
    pool_close(pool);
}

/* Occupies the pool's thread until `go` is posted. */
static void occupy(nart_work *with)
{
    CHECK_RES(nart_work_start(with, pool, &gated_type, &(struct gated){ .order = -1 }), 0);
    sem_await(&begun);
}

static void release(void)
{
    CHECK_EQ(sem_post(&go), 0);
}

/* ---- results ---- */

TEST_EACH(a_job_runs_and_answers, BODY, FIBER)
{
    work_open();
    op.init.answer = 41;
    op_start(rt, kind, &op);
    CHECK_RES(op.res, NART_PENDING);
    CHECK(nart_work_data(&w) == NULL);
    release();
    op_finish(rt, &op);
    CHECK_RES(op.res, 41);
    struct gated *data = nart_work_data(&w);
    CHECK(data && data != &op.init);
    CHECK_EQ(data->written, 42);
    CHECK_EQ(op.init.written, 0);
    CHECK_EQ(drops, 0);
    nart_work_close(&w);
    CHECK_EQ(drops, 1);
    work_close();
}

static pthread_t ran_on;

static nart_res here_do(void *data, const nart_job *job)
{
    (void)data, (void)job;
    ran_on = pthread_self();
    return 0;
}

static const nart_work_type here_type = {
    .abi = NART_WORK_ABI, .align = 1, .name = "here", .run = here_do
};

TEST(the_default_pool_needs_no_other_line)
{
    rt = new_rt();
    CHECK_RES(nart_work_start(&w, NULL, &here_type, NULL), 0);
    op = (struct op){ .w = &w, .await = true };
    op_start(rt, BODY, &op);
    op_finish(rt, &op);
    CHECK_RES(op.res, 0);
    CHECK(!pthread_equal(ran_on, pthread_self()));
    nart_work_close(&w);
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
    CHECK_EQ(pool_stats(NULL).threads, 0);
    CHECK_RES(nart_work_start(&w, NULL, &here_type, NULL), 0); /* it begins again */
    nart_work_close(&w);
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

static void answers(nart_res returned, nart_res expected)
{
    op.init = (struct gated){ .answer = returned, .open = true };
    op_start(rt, BODY, &op);
    op_finish(rt, &op);
    CHECK_RES(op.res, expected);
}

TEST_WITH(a_result_is_a_value_or_an_error, work)
{
    answers(0, 0);
    answers(INT64_MAX, INT64_MAX);
    answers(-ENOENT, -ENOENT);
    answers(-ETIMEDOUT, -ETIMEDOUT);
    answers(-ECANCELED, NART_EABORTED);
    answers(-8191, -8191);
    answers(-8192, -EINVAL);
    answers(NART_PENDING, -EINVAL);
    answers(INT64_MIN, -EINVAL);
    CHECK_EQ(drops, 8); /* each job drops the one before it */
}

TEST_WITH(a_handle_keeps_the_memory_for_its_next_job, work)
{
    answers(1, 1);
    test_alloc_fail(1, true);
    answers(2, 2);
    test_alloc_fail(0, false);
}

struct large {
    _Alignas(64) char bytes[1000];
};

static nart_res large_do(void *data, const nart_job *job)
{
    struct large *l = data;

    (void)job;
    CHECK_EQ((uintptr_t)l % 64, 0);
    for (size_t i = 0; i < sizeof l->bytes; i++)
        CHECK_EQ(l->bytes[i], 0);
    return 0;
}

static const nart_work_type large_type = NART_WORK_TYPE(struct large, large_do, NULL);

TEST_WITH(a_larger_job_gets_other_memory_and_zeros, work)
{
    answers(1, 1);
    CHECK_RES(nart_work_start(&w, pool, &large_type, NULL), 0);
    op.await = true;
    op_start(rt, BODY, &op);
    op_finish(rt, &op);
    CHECK_RES(op.res, 0);
    CHECK_EQ(drops, 1);
}

TEST_WITH(an_answer_can_be_awaited_again, work)
{
    answers(5, 5);
    op.await = true;
    for (int i = 0; i < 2; i++) {
        op_start(rt, BODY, &op);
        CHECK_RES(op.res, 5);
    }
    CHECK(nart_work_done(&w));
}

TEST_WITH(a_handle_without_a_job_is_stale, work)
{
    op.await = true;
    op_start(rt, BODY, &op);
    CHECK_RES(op.res, NART_ESTALE);
    CHECK(!nart_work_done(&w));
    CHECK(nart_work_data(&w) == NULL);
    nart_work_cancel(&w);
    nart_work_detach(&w);
    nart_work_close(NULL);
}

/* ---- leaving ---- */

static void leaver_open(struct op *o, enum way way)
{
    static nart_notify instead;

    instead = (nart_notify){ 0 };
    o->limit = way == TIMED_OUT ? 10 * NART_MS : 0;
    o->instead = way == RACE_LOST ? &instead : NULL;
}

static void leave_as(struct op *o, enum way way)
{
    leave(rt, o, way);
    if (way == FREED)
        rt = new_rt();
    if (way == FREED)
        CHECK_RES(nart_rt_clock_pause(rt), 0);
}

TEST_EACH(a_job_whose_task_leaves_before_it_begins_does_not_run, BODY, FIBER)
{
    nart_work blocker = { 0 };

    work_open();
    occupy(&blocker);
    for (enum way way = 0; way < WAYS; way++) {
        leaver_open(&op, way);
        op_start(rt, kind, &op);
        CHECK_EQ(pool_stats(pool).queued, 1);
        leave_as(&op, way);
        CHECK_EQ(pool_stats(pool).queued, 0);
        CHECK_EQ(count_of(&drops), (int)way + 1);
    }
    release();
    nart_work_close(&blocker);
    work_close();
    CHECK_EQ(runs, 1);
}

TEST_EACH(a_job_whose_task_leaves_while_it_runs_sees_it_and_is_dropped_when_it_returns, BODY, FIBER)
{
    work_open();
    for (enum way way = 0; way < WAYS; way++) {
        leaver_open(&op, way);
        op_start(rt, kind, &op);
        sem_await(&begun);
        CHECK_EQ(count_of(&drops), (int)way);
        leave_as(&op, way);
        CHECK(!nart_work_done(&w));
        CHECK_EQ(count_of(&drops), (int)way); /* it still uses its data */
        release();
        await_count(&drops, (int)way + 1);
        CHECK_EQ(saw_cancel, (int)way + 1);
    }
    work_close();
    CHECK_EQ(runs, WAYS);
}

TEST_EACH(a_task_that_leaves_a_started_job_changes_nothing, BODY, FIBER)
{
    work_open();
    op.await = true;
    CHECK_RES(nart_work_start(&w, pool, &gated_type, &(struct gated){ .answer = 9 }), 0);
    sem_await(&begun);
    for (enum way way = 0; way < WAYS; way++) {
        leaver_open(&op, way);
        op_start(rt, kind, &op);
        leave_as(&op, way);
    }
    release();
    leaver_open(&op, CANCELLED);
    op_start(rt, kind, &op);
    op_finish(rt, &op);
    CHECK_RES(op.res, 9);
    CHECK_EQ(saw_cancel, 0);
    work_close();
}

static nart_res late_run(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(r, 1, op_wait(cx, f->op));
    NART_END(r);
}

static const nart_task_type late_type = NART_TASK_TYPE(struct op_frame, late_run, NULL);

TEST_WITH(an_expired_deadline_starts_nothing, work)
{
    nart_res answer = 0;

    CHECK_RES(nart_block_on(rt, &late_type, &(struct op_frame){ .op = &op }, &answer), 0);
    CHECK_RES(answer, -ETIMEDOUT);
    CHECK_EQ(pool_stats(pool).threads, 0);
}

TEST_WITH(an_answer_precedes_a_deadline_but_not_a_cancellation, work)
{
    op.init.open = true;
    op.limit = 10 * NART_MS;
    op_start(rt, BODY, &op);
    while (!nart_work_done(&w))
        sched_yield();
    CHECK_RES(nart_rt_clock_advance(rt, 11 * NART_MS), 0);
    op_finish(rt, &op);
    CHECK_RES(op.res, 0);
    op.await = true;
    op_spawn(rt, BODY, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    CHECK(nart_work_done(&w));
}

TEST_EACH(a_closed_handle_wakes_its_task, BODY, FIBER)
{
    nart_work blocker = { 0 };

    work_open();
    occupy(&blocker);
    for (int await = 0; await < 2; await++) {
        op.await = await;
        if (await)
            CHECK_RES(nart_work_start(&w, pool, &gated_type, &op.init), 0);
        op_start(rt, kind, &op);
        nart_work_close(&w);
        CHECK_EQ(pool_stats(pool).queued, 0);
        CHECK_EQ(drops, await + 1);
        settle(rt);
        CHECK_RES(op.res, NART_EABORTED);
    }
    release();
    nart_work_close(&blocker);
    work_close();
    CHECK_EQ(runs, 1);
}

/* The handle is closed, and the task leaves by a race that it has lost instead of learning of it. */
struct again {
    nart_co co;
    nart_notify *n;
    nart_waiter waiter;
    int which;
    bool early; /* it uses the handle in the poll in which it would learn that it was closed */
};

static nart_res again_run(nart_cx *cx, void *frame)
{
    struct again *a = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &a->co);
    NART_AWAIT_ANY(a->which, r, nart_notify_await(cx, a->n, &a->waiter),
                   nart_work_run(cx, &w, pool, &gated_type, &op.init));
    CHECK_EQ(a->which, 0);
    op.init.open = true;
    if (a->early) {
        NART_AWAIT(r, nart_work_run(cx, &w, pool, &gated_type, &op.init));
        CHECK_RES(r, NART_EABORTED);
        CHECK_EQ(drops, 1); /* of the job that was closed: none was made */
    } else {
        NART_AWAIT(r, nart_notify_await(cx, a->n, &a->waiter));
    }
    NART_AWAIT(r, nart_work_run(cx, &w, pool, &gated_type, &op.init));
    op.res = r;
    NART_END(r);
}

static const nart_task_type again_type = NART_TASK_TYPE(struct again, again_run, NULL);

static void closed_and_used_again(bool early)
{
    nart_work blocker = { 0 };
    nart_notify n = { 0 };

    occupy(&blocker);
    op.res = NART_PENDING;
    CHECK_RES(nart_rt_spawn(rt, &again_type, &(struct again){ .n = &n, .early = early }, NULL), 0);
    settle(rt);
    nart_notify_one(&n);
    nart_work_close(&w);
    settle(rt);
    if (!early)
        nart_notify_one(&n);
    release();
    op_finish(rt, &op);
    CHECK_RES(op.res, op.init.answer);
    CHECK_EQ(runs, 2);
    nart_work_close(&blocker);
}

TEST_WITH(a_handle_that_was_closed_during_a_lost_race_is_used_again, work)
{
    closed_and_used_again(false);
}

TEST_WITH(a_job_in_the_poll_after_a_close_is_aborted_once_and_does_not_begin, work)
{
    closed_and_used_again(true);
}

TEST_WITH(a_detached_job_continues, work)
{
    op_start(rt, BODY, &op);
    sem_await(&begun);
    nart_work_detach(&w);
    settle(rt);
    CHECK_RES(op.res, NART_EABORTED);
    CHECK(w.job == NULL);
    release();
    await_count(&drops, 1);
    CHECK_EQ(saw_cancel, 0);
}

TEST_WITH(a_detached_job_that_is_queued_runs, work)
{
    nart_work blocker = { 0 };

    occupy(&blocker);
    CHECK_RES(nart_work_start(&w, pool, &gated_type, &(struct gated){ .open = true }), 0);
    nart_work_detach(&w);
    release();
    await_count(&drops, 1);
    nart_work_close(&blocker);
    CHECK_EQ(runs, 2);
}

TEST_WITH(a_cancelled_job_ends_if_it_is_queued_and_sees_it_if_it_runs, work)
{
    nart_work blocker = { 0 };

    CHECK_RES(nart_work_start(&blocker, pool, &gated_type,
                              &(struct gated){ .until_cancelled = true, .open = true }),
              0);
    sem_await(&begun);
    op_start(rt, BODY, &op);
    nart_work_cancel(&w);
    settle(rt);
    CHECK_RES(op.res, NART_EABORTED);
    CHECK_EQ(drops, 0);
    nart_work_cancel(&blocker);
    op = (struct op){ .w = &blocker, .await = true };
    op_start(rt, BODY, &op);
    op_finish(rt, &op);
    CHECK_RES(op.res, 0);
    CHECK_EQ(saw_cancel, 1);
    nart_work_close(&blocker);
    CHECK_EQ(runs, 1);
}

TEST_WITH(a_handle_moves_by_assignment, work)
{
    CHECK_RES(nart_work_start(&w, pool, &gated_type, &(struct gated){ .answer = 3 }), 0);
    nart_work other = w;
    w = (nart_work){ 0 };
    op = (struct op){ .w = &other, .await = true };
    op_start(rt, BODY, &op);
    release();
    op_finish(rt, &op);
    CHECK_RES(op.res, 3);
    nart_work_close(&other);
}

/* In a child process. */
static void move_while_waiting(void *arg)
{
    (void)arg;
    work_open();
    op_start(rt, BODY, &op);
    memset(&w, 0, sizeof w);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
}

TEST(a_handle_that_is_moved_while_a_task_waits_in_it_aborts)
{
    CHECK_DIES(move_while_waiting, NULL, "copied or moved while task op_frame waited");
}

/* ---- refusals ---- */

TEST_WITH(a_second_task_is_refused, work)
{
    struct op second = { .w = &w, .pool = pool };

    op_start(rt, BODY, &op);
    for (int await = 0; await < 2; await++) {
        second.await = await;
        op_start(rt, BODY, &second);
        CHECK_RES(second.res, -EBUSY);
    }
    CHECK_RES(nart_work_start(&w, pool, &gated_type, NULL), -EBUSY);
    release();
    op_finish(rt, &op);
    CHECK_RES(op.res, 0);
    CHECK_EQ(runs, 1);
}

TEST_WITH(a_job_that_has_not_ended_keeps_its_handle_busy, work)
{
    occupy(&w);
    CHECK_RES(nart_work_start(&w, pool, &gated_type, NULL), -EBUSY);
    op_start(rt, BODY, &op);
    CHECK_RES(op.res, -EBUSY);
    release();
}

TEST_WITH(an_invalid_type_is_refused, work)
{
    const nart_work_type old = { .abi = 9, .align = 1, .run = here_do };
    const nart_work_type types[] = { { .abi = NART_WORK_ABI, .align = 1 },
                                     { .abi = NART_WORK_ABI, .align = 0, .run = here_do },
                                     { .abi = NART_WORK_ABI, .align = 3, .run = here_do },
                                     { .abi = NART_WORK_ABI, .align = 128, .run = here_do } };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        CHECK_RES(nart_work_start(&w, pool, &types[i], NULL), -EINVAL);
    CHECK_RES(nart_work_start(&w, pool, NULL, NULL), -EINVAL);
    CHECK_RES(nart_work_start(NULL, pool, &gated_type, NULL), -EINVAL);
    CHECK_RES(nart_work_start(&w, pool, &old, NULL), NART_EABI);
    CHECK(w.job == NULL);
}

static nart_res bad_type_run(nart_cx *cx, void *frame)
{
    (void)frame;
    return nart_work_run(cx, &w, pool, NULL, NULL);
}

static const nart_task_type bad_type = NART_TASK_TYPE(int, bad_type_run, NULL);

static nart_res without_handle(nart_cx *cx, void *frame)
{
    (void)frame;
    CHECK_RES(nart_work_await(cx, NULL), -EINVAL);
    return nart_work_run(cx, NULL, pool, &gated_type, &op.init);
}

static const nart_task_type without_handle_type =
    NART_TASK_TYPE(struct again, without_handle, NULL);

TEST_WITH(no_handle_is_refused_in_a_poll, work)
{
    nart_res r;

    CHECK_RES(nart_block_on(rt, &without_handle_type, NULL, &r), 0);
    CHECK_RES(r, -EINVAL);
}

TEST_WITH(an_invalid_type_is_refused_in_a_poll, work)
{
    nart_res answer = 1;

    CHECK_RES(nart_block_on(rt, &bad_type, NULL, &answer), 0);
    CHECK_RES(answer, -EINVAL);
}

TEST_WITH(a_job_without_memory_is_refused, work)
{
    test_alloc_fail(1, true);
    CHECK_RES(nart_work_start(&w, pool, &gated_type, NULL), -ENOMEM);
    op_start(rt, BODY, &op);
    CHECK_RES(op.res, -ENOMEM);
    test_alloc_fail(0, false);
    CHECK_EQ(drops, 0);
    answers(1, 1);
}

TEST(operations_outside_of_a_poll_are_refused)
{
    struct by_hand host;

    by_hand_open(&host, 0);
    CHECK_RES(nart_work_run(&host.cx, &w, NULL, &here_type, NULL), -EPERM);
    CHECK_RES(nart_work_await(&host.cx, &w), -EPERM);
}

/* ---- under another driver ---- */

static nart_res run_here(nart_cx *cx, void *frame)
{
    return nart_work_run(cx, frame, pool, &gated_type, &(struct gated){ .answer = 4 });
}

static const nart_task_type run_here_type = NART_TASK_TYPE(nart_work, run_here, NULL);

TEST_WITH(a_task_that_moves_between_threads_awaits_a_job, work)
{
    static struct by_hand host;
    static nart__task t;

    by_hand_open(&host, NART_DRIVER_MOVES);
    nart_driver_task_init(&t, &run_here_type, &w, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &t), NART_PENDING);
    CHECK_RES(nart_driver_poll(&host.cx, &t), NART_PENDING);
    release();
    while (!nart_work_done(&w))
        sched_yield();
    CHECK_RES(nart_driver_poll(&host.cx, &t), 4);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_EQ(host.woken, 1);
}

/* ---- time ---- */

TEST_WITH(a_clock_that_advances_by_itself_waits_for_a_job, work)
{
    op.limit = NART_SEC;
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    op_start(rt, BODY, &op);
    sem_await(&begun);
    CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_RES(op.res, NART_PENDING);
    release();
    op_finish(rt, &op);
    CHECK_RES(op.res, 0);
}
