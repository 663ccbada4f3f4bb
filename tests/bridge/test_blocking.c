/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocking functions: the queue is bounded, and every accepted argument is dropped exactly once. */
#include "bridge.h"

#include <nart/work.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t started, finished, stopped, gate;

/* Returns what its argument points to. */
static nart_res answer(void *arg, const nart_tokio_stop *stop)
{
    CHECK(!nart_tokio_stopped(stop));
    return *(nart_res *)arg;
}

/* Runs until the gate opens or its stop flag is set. */
static nart_res patient(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    count(&started);
    while (read_word(&gate) == 0) {
        if (nart_tokio_stopped(stop)) {
            count(&stopped);
            count(&finished);
            return -ECANCELED;
        }
        let_others_run();
    }
    count(&finished);
    return 7;
}

static nart_res submit(nart_tokio_op *op)
{
    return nart_tokio_blocking(bridge, "patient", patient, NULL, drop_arg, op);
}

static void open_small(void)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.max_blocking = 2;
    opts.queue_cap = 8;
    both_open_with(&opts);
}

/* Two jobs that run, and 8 in the queue. */
static void fill(nart_tokio_op ops[10])
{
    for (int i = 0; i < 2; i++)
        CHECK_RES(submit(&ops[i]), 0);
    wait_for(&started, 2);
    for (int i = 2; i < 10; i++)
        CHECK_RES(submit(&ops[i]), 0);
}

TEST_WITH(its_result_is_the_operations_result, both)
{
    static const struct {
        nart_res returned, expected;
        int64_t value;
    } cases[] = {
        { 0, 0, 0 },
        { INT64_MAX, 0, INT64_MAX },
        { -EIO, -EIO, 0 },
        { -ETIMEDOUT, -ETIMEDOUT, 0 },
        { NART_ECLOSED, NART_ECLOSED, 0 },
        { -ECANCELED, NART_EABORTED, 0 },
        { NART_PENDING, -EINVAL, 0 },
        { INT64_MIN, -EINVAL, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nart_tokio_op op = { 0 };
        nart_res returned = cases[i].returned;
        int64_t value = 0;
        CHECK_RES(nart_tokio_blocking(bridge, "answer", answer, &returned, drop_arg, &op), 0);
        CHECK_RES(await_op(&op, &value), cases[i].expected);
        CHECK_EQ(value, cases[i].value);
        CHECK_EQ(read_word(&args_dropped), i + 1);
        nart_tokio_op_close(&op);
    }
}

TEST_WITH(bad_submissions_are_refused, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_blocking(NULL, "x", patient, NULL, drop_arg, &op), -EINVAL);
    CHECK_RES(nart_tokio_blocking(bridge, "x", NULL, NULL, drop_arg, &op), -EINVAL);
    CHECK_RES(nart_tokio_blocking(bridge, "x", patient, NULL, drop_arg, NULL), -EINVAL);
    CHECK_EQ(read_word(&args_dropped), 0);
    CHECK_EQ(report().submitted, 0);
}

TEST(a_full_queue_refuses)
{
    open_small();
    nart_tokio_op ops[10] = { 0 }, more = { 0 };
    fill(ops);
    for (int i = 0; i < 100; i++)
        CHECK_RES(submit(&more), -EAGAIN);
    CHECK(more.op == NULL);
    CHECK_EQ(read_word(&args_dropped), 0); /* the argument is still the caller's */
    CHECK_EQ(report().submitted, 10);
    set_word(&gate, 1);
    for (int i = 0; i < 10; i++) {
        int64_t value = 0;
        CHECK_RES(await_op(&ops[i], &value), 0);
        CHECK_EQ(value, 7);
        nart_tokio_op_close(&ops[i]);
    }
    CHECK_EQ(read_word(&args_dropped), 10);
    CHECK_EQ(read_word(&started), 10);
}

TEST(cancelling_a_queued_job_ends_it_at_once)
{
    open_small();
    nart_tokio_op ops[10] = { 0 }, more = { 0 };
    fill(ops);
    nart_tokio_op_cancel(&ops[5]); /* from the middle */
    CHECK_RES(nart_tokio_op_try(&ops[5], NULL), NART_EABORTED);
    CHECK_EQ(read_word(&args_dropped), 1); /* on this thread */
    nart_tokio_op_cancel(&ops[5]);
    nart_tokio_op_cancel(&ops[2]); /* the first */
    nart_tokio_op_cancel(&ops[9]); /* the last */
    CHECK_EQ(read_word(&args_dropped), 3);
    for (int i = 0; i < 3; i++) { /* their places are free */
        CHECK_RES(submit(&more), 0);
        nart_tokio_op_detach(&more);
    }
    CHECK_RES(submit(&more), -EAGAIN);
    set_word(&gate, 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_EQ(read_word(&args_dropped), 13);
    for (int i = 0; i < 10; i++)
        nart_tokio_op_close(&ops[i]);
}

/* Places between jobs that stay: more of them than the queue has memory for. */
TEST(cancelled_jobs_do_not_fill_the_queue)
{
    enum { TIMES = 1000 };
    open_small();
    nart_tokio_op ops[10] = { 0 }, last = { 0 }, newer = { 0 };
    fill(ops);
    nart_tokio_op_close(&ops[8]);
    nart_tokio_op_close(&ops[9]);
    CHECK_RES(submit(&last), 0);
    for (int i = 0; i < TIMES; i++) {
        CHECK_RES(submit(&newer), 0);
        CHECK_RES(submit(&ops[8]), -EAGAIN);
        nart_tokio_op_close(&last);
        CHECK_EQ(read_word(&args_dropped), i + 3);
        last = newer;
        newer = (nart_tokio_op){ 0 };
    }
    set_word(&gate, 1);
    int64_t value = 0;
    CHECK_RES(await_op(&last, &value), 0);
    CHECK_EQ(value, 7);
    nart_tokio_op_close(&last);
    for (int i = 0; i < 8; i++) {
        CHECK_RES(await_op(&ops[i], &value), 0);
        nart_tokio_op_close(&ops[i]);
    }
    CHECK_EQ(read_word(&started), 9);
    CHECK_EQ(read_word(&args_dropped), 11 + TIMES);
}

TEST_WITH(cancelling_sets_the_stop_flag_of_a_running_function, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    CHECK_RES(submit(&op), 0);
    wait_for(&started, 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(await_op(&op, &value), NART_EABORTED);
    CHECK_EQ(read_word(&stopped), 1);
    CHECK_EQ(nart_tokio_op_status(&op), NART_TOKIO_STATUS_CANCELLED);
    nart_tokio_op_close(&op);
}

static nart_res stubborn(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    count(&started);
    while (!nart_tokio_stopped(stop))
        let_others_run();
    return 11; /* it never checks its stop flag */
}

TEST_WITH(a_function_that_ignores_its_stop_flag_returns_its_value, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    CHECK_RES(nart_tokio_blocking(bridge, NULL, stubborn, NULL, NULL, &op), 0);
    wait_for(&started, 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(await_op(&op, &value), 0);
    CHECK_EQ(value, 11);
    nart_tokio_op_close(&op);
}

/* The stop flag of a job is clear, even if that of the previous job on the thread was set. */
TEST(a_stop_flag_belongs_to_one_job)
{
    open_small();
    for (int i = 0; i < 100; i++) {
        nart_tokio_op op = { 0 };
        nart_res returned = i;
        int64_t value = 0;
        set_word(&started, 0);
        CHECK_RES(submit(&op), 0);
        wait_for(&started, 1);
        nart_tokio_op_close(&op);
        CHECK_RES(nart_tokio_blocking(bridge, "answer", answer, &returned, NULL, &op), 0);
        CHECK_RES(await_op(&op, &value), 0);
        CHECK_EQ(value, i);
        nart_tokio_op_close(&op);
    }
}

/* A drainer takes all that is queued and runs the first of it: the others can still be cancelled, give
 * their places back, and end with the bridge. */
TEST(jobs_behind_a_running_one_are_queued)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[6] = { 0 };
    opts.max_blocking = 1;
    opts.queue_cap = 4;
    both_open_with(&opts);
    CHECK_RES(submit(&ops[0]), 0);
    wait_for(&started, 1);
    for (int i = 1; i < 5; i++)
        CHECK_RES(submit(&ops[i]), 0);
    CHECK_RES(submit(&ops[5]), -EAGAIN);
    nart_tokio_op_cancel(&ops[0]);
    wait_for(&started, 2);
    nart_tokio_op_cancel(&ops[3]);
    CHECK_RES(nart_tokio_op_try(&ops[3], NULL), NART_EABORTED);
    CHECK_EQ(read_word(&args_dropped), 2);
    for (int i = 0; i < 2; i++) { /* of the one that runs, and of the one that was cancelled */
        CHECK_RES(submit(&ops[5]), 0);
        nart_tokio_op_detach(&ops[5]);
    }
    CHECK_RES(submit(&ops[5]), -EAGAIN);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(nart_tokio_op_try(&ops[1], NULL), NART_EABORTED); /* its stop flag was set */
    CHECK_RES(nart_tokio_op_try(&ops[2], NULL), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_op_try(&ops[4], NULL), NART_ESHUTDOWN);
    CHECK_EQ(read_word(&started), 2);
    CHECK_EQ(read_word(&args_dropped), 7);
    for (int i = 0; i < 5; i++)
        nart_tokio_op_close(&ops[i]);
}

static nart_res which_thread(void *arg, const nart_tokio_stop *stop)
{
    (void)stop;
    *(pthread_t *)arg = pthread_self();
    return 0;
}

/* A drainer lingers: jobs that come one at a time do not start a thread each. Another thread runs one
 * only where a second has passed since the one before, as when this process was stopped. */
TEST_WITH(successive_jobs_reuse_a_thread, both)
{
    pthread_t last = { 0 }, now = { 0 };
    int64_t before = 0;
    for (int i = 0; i < 200; i++) {
        nart_tokio_op op = { 0 };
        int64_t value = 0, begun = clock_now();
        CHECK_RES(nart_tokio_blocking(bridge, "who", which_thread, &now, NULL, &op), 0);
        int64_t submitted = clock_now();
        CHECK_RES(await_op(&op, &value), 0);
        nart_tokio_op_close(&op);
        if (i > 0 && !pthread_equal(last, now))
            CHECK_LE(NART_SEC, submitted - before);
        last = now;
        before = begun;
    }
}

/* As many run at once as are allowed. */
static uint64_t meeting;

static nart_res meet(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    count(&meeting);
    wait_for(&meeting, 4);
    return 0;
}

TEST(jobs_run_concurrently)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.max_blocking = 4;
    both_open_with(&opts);
    for (int round = 0; round < 50; round++) {
        nart_tokio_op ops[4] = { 0 };
        int64_t value = 0;
        set_word(&meeting, 0);
        for (int i = 0; i < 4; i++)
            CHECK_RES(nart_tokio_blocking(bridge, "meet", meet, NULL, NULL, &ops[i]), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_RES(await_op(&ops[i], &value), 0);
            nart_tokio_op_close(&ops[i]);
        }
    }
}

/* Both have one thread: a closure and a function run, and another closure is queued. */
TEST(functions_and_closures_of_rust_do_not_delay_each_other)
{
    static uint64_t first, second; /* 1: begun, 2: may end */
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op op = { 0 }, job = { 0 };
    opts.max_blocking = 1;
    opts.max_spawn_blocking = 1;
    both_open_with(&opts);
    CHECK_RES(test_closure(bridge, &first, &op), 0);
    nart_tokio_op_detach(&op);
    wait_for(&first, 1);
    CHECK_RES(test_closure(bridge, &second, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0); /* it is queued now */
    nart_tokio_op_close(&op);
    CHECK_RES(submit(&job), 0);
    wait_for(&started, 1);
    CHECK_EQ(read_word(&second), 0);
    set_word(&first, 2);
    wait_for(&second, 1);
    CHECK_EQ(read_word(&finished), 0);
    set_word(&second, 2);
    set_word(&gate, 1);
    CHECK_RES(wait_for_answer(&job, NULL), 0);
    nart_tokio_op_close(&job);
    both_close();
}

/* ---- a pool of the program ---- */

static nart_workers *lent;

static void open_with_pool(void)
{
    nart_workers_opts pool = NART_WORKERS_OPTS_INIT;
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;

    pool.name = "lent";
    pool.threads = 1;
    pool.queue = 2;
    CHECK_RES(nart_workers_new(&pool, &lent), 0);
    opts.pool = lent;
    both_open_with(&opts);
}

static nart_res name_of_the_thread(void *arg, const nart_tokio_stop *stop)
{
    (void)stop;
    CHECK_EQ(prctl(PR_GET_NAME, arg), 0);
    return nart_tokio_shutdown(bridge, 0, NULL); /* it would wait for this function */
}

TEST(functions_run_on_a_pool_of_the_program)
{
    char name[16] = "";
    nart_tokio_op op = { 0 };

    open_with_pool();
    CHECK_RES(nart_tokio_blocking(bridge, "name", name_of_the_thread, name, drop_arg, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), -EDEADLK);
    CHECK_STR(name, "lent");
    CHECK_EQ(read_word(&args_dropped), 1);
    nart_tokio_op_close(&op);
    both_close();
    CHECK_RES(nart_workers_shutdown(lent, NART_NEVER), 0);
    nart_workers_free(lent);
}

static nart_res plain_do(void *data, const nart_job *job)
{
    (void)data;
    count(&started);
    while (read_word(&gate) == 0)
        let_others_run();
    return nart_work_cancelled(job);
}

static const nart_work_type plain_type = NART_WORK_TYPE(int, plain_do, NULL);

/* Its limits apply, and a shutdown of the bridge ends the bridge's jobs only. */
TEST(a_bridge_leaves_the_other_jobs_of_a_pool_alone)
{
    nart_tokio_op ops[3] = { 0 };
    nart_work other = { 0 };
    nart_tokio_report end = NART_TOKIO_REPORT_INIT;

    open_with_pool();
    CHECK_RES(nart_work_start(&other, lent, &plain_type, NULL), 0);
    wait_for(&started, 1);
    for (int i = 0; i < 3; i++)
        CHECK_RES(submit(&ops[i]), i < 2 ? 0 : -EAGAIN);
    CHECK_EQ(report().submitted, 2);
    nart_tokio_op_cancel(&ops[0]);
    CHECK_RES(nart_tokio_op_try(&ops[0], NULL), NART_EABORTED);
    CHECK_EQ(read_word(&args_dropped), 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, &end), 0);
    CHECK_RES(nart_tokio_op_try(&ops[1], NULL), NART_ESHUTDOWN);
    CHECK_EQ(read_word(&args_dropped), 2);
    CHECK_EQ(end.leaked_threads, 0);
    CHECK_RES(submit(&ops[2]), NART_ESHUTDOWN);
    CHECK(!nart_work_done(&other));
    set_word(&gate, 1);
    while (!nart_work_done(&other))
        let_others_run();
    for (int i = 0; i < 3; i++)
        nart_tokio_op_close(&ops[i]);
    nart_work_close(&other);
    both_close();
    CHECK_RES(nart_workers_shutdown(lent, NART_NEVER), 0);
    nart_workers_free(lent);
}

/* ---- when the system has no threads ---- */

TEST(jobs_are_refused_if_no_thread_can_be_started)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    open_with_two_blocking_threads();
    allow_threads(0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(submit(&op), -EAGAIN);
    CHECK_EQ(read_word(&args_dropped), 0);
    allow_threads(INT64_MAX);
    set_word(&gate, 1);
    CHECK_RES(submit(&op), 0);
    CHECK_RES(await_op(&op, &value), 0);
    CHECK_EQ(value, 7);
    nart_tokio_op_close(&op);
    CHECK_EQ(report().submitted, 1);
    CHECK_EQ(read_word(&args_dropped), 1);
}

/* One thread is there and busy, so the job is accepted and waits for a thread. */
TEST(starting_a_thread_is_retried)
{
    nart_tokio_op ops[2] = { 0 }, more = { 0 };
    int64_t value = 0;
    open_with_two_blocking_threads();
    CHECK_RES(submit(&ops[0]), 0);
    wait_for(&started, 1);
    allow_threads(0);
    CHECK_RES(submit(&ops[1]), 0);
    allow_threads(INT64_MAX);
    while (read_word(&started) < 2) {
        CHECK_RES(submit(&more), 0);
        nart_tokio_op_close(&more);
    }
    set_word(&gate, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(await_op(&ops[i], &value), 0);
        nart_tokio_op_close(&ops[i]);
    }
}

/* ---- everything at once ---- */

struct storm {
    nart_co co;
    nart_tokio_op op;
    int64_t value;
    int i, accepted;
};

static nart_res quick(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    count(&finished);
    return 3;
}

static nart_res storm_run(nart_cx *cx, void *frame)
{
    struct storm *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < 20000; s->i++) {
        r = nart_tokio_blocking(bridge, "quick", quick, NULL, drop_arg, &s->op);
        CHECK(r == 0 || r == -EAGAIN);
        if (r != 0)
            continue;
        s->accepted++;
        random_pause(3000);
        switch (random_number() & 3) {
        case 0:
            nart_tokio_op_close(&s->op);
            break;
        case 1:
            nart_tokio_op_detach(&s->op);
            break;
        case 2:
            nart_tokio_op_cancel(&s->op);
            break;
        }
        if (!s->op.op)
            continue;
        NART_AWAIT(r, nart_tokio_op_await(cx, &s->op, &s->value));
        CHECK(r == NART_EABORTED || (r == 0 && s->value == 3));
        nart_tokio_op_close(&s->op);
    }
    NART_END(s->accepted);
}

static const nart_task_type storm_type = NART_TASK_TYPE(struct storm, storm_run, NULL);

TEST(every_argument_is_dropped_once)
{
    open_small();
    nart_res accepted = run(&storm_type, NULL);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_EQ(read_word(&args_dropped), accepted);
    CHECK_LE(read_word(&finished), accepted);
    CHECK_EQ(report().submitted, accepted);
}
