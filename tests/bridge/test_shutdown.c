/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* All orders of closing: nothing hangs or is lost, and a shutdown reports what it cannot end. */
#include "bridge.h"

#include <string.h>

static uint64_t started, gate;

static nart_res polite(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    count(&jobs_held);
    while (!nart_tokio_stopped(stop))
        let_others_run();
    return -ECANCELED;
}

/* ---- many operations in flight, and a task that awaits them all ---- */

enum { EACH = 8 };

struct crowd {
    nart_co co;
    nart_tokio_op ops[3 * EACH];
    nart_blocking_fn job; /* NULL: futures only */
    int n, i;
    int answers[3]; /* ended by the shutdown, cancelled, otherwise */
};

static nart_res crowd_run(nart_cx *cx, void *frame)
{
    struct crowd *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    for (int i = 0; i < EACH; i++) {
        CHECK_RES(test_never(bridge, &c->ops[c->n++]), 0);
        CHECK_RES(test_sleep(bridge, 3600000, &c->ops[c->n++]), 0);
        if (c->job)
            CHECK_RES(nart_tokio_blocking(bridge, i ? "rest" : "first", c->job, NULL, drop_arg,
                                          &c->ops[c->n++]),
                      0);
    }
    for (c->i = 0; c->i < c->n; c->i++) {
        NART_AWAIT(r, nart_tokio_op_await(cx, &c->ops[c->i], NULL));
        c->answers[r == NART_ESHUTDOWN ? 0 : r == NART_EABORTED ? 1 : 2]++;
    }
    NART_END(c->answers[0] * 10000 + c->answers[1] * 100 + c->answers[2]);
}

static void crowd_drop(void *frame)
{
    struct crowd *c = frame;
    for (int i = 0; i < c->n; i++)
        nart_tokio_op_close(&c->ops[i]);
}

static const nart_task_type crowd_type = NART_TASK_TYPE(struct crowd, crowd_run, crowd_drop);

/* Ends the bridge from a task. */
struct ender {
    nart_co co;
    nart_tokio_op op;
    int64_t timeout;
    uint64_t jobs; /* wait until so many run */
};

static nart_res ender_run(nart_cx *cx, void *frame)
{
    struct ender *e = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &e->co);
    NART_YIELD();
    wait_for(&jobs_held, e->jobs);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, e->timeout, &e->op), 0);
    NART_AWAIT(r, nart_tokio_op_await(cx, &e->op, NULL));
    nart_tokio_op_close(&e->op);
    NART_END(r);
}

static const nart_task_type ender_type = NART_TASK_TYPE(struct ender, ender_run, NULL);

static nart_res crowd_and_ender(nart_blocking_fn job, int64_t timeout, nart_res *ended)
{
    nart_join crowd;
    nart_res answer;

    CHECK_RES(nart_rt_spawn(loop, &crowd_type, &(struct crowd){ .job = job }, &crowd), 0);
    *ended = run(&ender_type, &(struct ender){ .timeout = timeout, .jobs = job ? 2 : 0 });
    CHECK_RES(nart_rt_run(loop), 0);
    const struct crowd *c = nart_join_frame(&crowd);
    answer = c->answers[0] * 10000 + c->answers[1] * 100 + c->answers[2];
    nart_join_release(&crowd);
    return answer;
}

static void open_two_threads(void)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.workers = 2;
    opts.max_blocking = 2;
    both_open_with(&opts);
}

TEST(futures_in_flight_are_ended)
{
    nart_res ended;
    open_two_threads();
    CHECK_EQ(crowd_and_ender(NULL, NART_NEVER, &ended), 2 * EACH * 10000);
    CHECK_RES(ended, 0);
    CHECK_EQ(report().shutdown, 2 * EACH);
}

/* 2 functions run, and stop when their flag is set; 6 are queued and end without running. */
TEST(running_functions_see_their_stop_flag)
{
    nart_res ended;
    open_two_threads();
    nart_res answers = crowd_and_ender(polite, 30 * NART_SEC, &ended);
    CHECK_EQ(answers, (2 * EACH + 6) * 10000 + 2 * 100);
    CHECK_RES(ended, 0);
    CHECK_EQ(read_word(&jobs_held), 2);
    CHECK_EQ(read_word(&args_dropped), EACH);
    CHECK_EQ(report().leaked_blocking, 0);
    CHECK_EQ(report().leaked_threads, 0);
}

TEST(a_stuck_function_is_reported_by_name)
{
    nart_res ended;
    open_two_threads();
    nart_res answers = crowd_and_ender(held_job, 50 * NART_MS, &ended);
    CHECK_EQ(answers, 3 * EACH * 10000); /* the operations of stuck functions end, too */
    CHECK_RES(ended, -ETIMEDOUT);
    nart_tokio_report r = report();
    CHECK_EQ(r.leaked_blocking, 2);
    CHECK_LE(2, r.leaked_threads);
    CHECK_STR(r.leaked_name[0], "first");
    CHECK_STR(r.leaked_name[1], "rest");
    CHECK_EQ(read_word(&args_dropped), EACH - 2);
    both_close();           /* loop and bridge are freed, the functions still run */
    set_word(&job_gate, 1); /* they end later: only their arguments are dropped */
    wait_for(&args_dropped, EACH);
}

/* One future does not return from its poll and has the only worker, so the other one cannot end. */
static void begin_two_that_do_not_end(nart_tokio_op *stuck_one, nart_tokio_op *behind)
{
    occupy_worker(stuck_one);
    CHECK_RES(test_sleep(bridge, 10, behind), 0);
}

TEST_WITH(every_operation_ends_at_the_deadline, both)
{
    nart_tokio_op a = { 0 }, b = { 0 };
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;

    begin_two_that_do_not_end(&a, &b);
    CHECK_RES(nart_rt_spawn(loop, &op_waiter_type, &(struct op_waiter){ .op = &b }, NULL), 0);
    CHECK(nart_rt_poll(loop, 0) >= 0);
    CHECK_RES(nart_tokio_shutdown(bridge, NART_MS, &r), -ETIMEDOUT);
    CHECK_EQ(r.leaked_tasks, 2);
    CHECK_RES(nart_rt_run(loop), 0); /* the waiter is woken, and ends */
    CHECK_RES(nart_tokio_op_try(&b, NULL), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_op_try(&a, NULL), NART_ESHUTDOWN);
    CHECK_EQ(nart_tokio_op_status(&a), NART_TOKIO_STATUS_SHUTDOWN);
    CHECK_STR(nart_tokio_op_message(&a, NULL), "");
    nart_tokio_op_close(&b); /* before its promise ends; the other one after it */
    let_worker_go();
    wait_until_all_work_has_ended();
    CHECK_RES(nart_tokio_op_try(&a, NULL), NART_ESHUTDOWN); /* whatever it has answered since */
    nart_tokio_op_close(&a);
}

/* One is detached, so nobody can be answered; what it returns later is not counted again. */
TEST_WITH(the_report_of_a_shutdown_counts_every_operation, both)
{
    nart_tokio_op a = { 0 }, b = { 0 };
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;

    begin_two_that_do_not_end(&a, &b);
    nart_tokio_op_detach(&b);
    CHECK_RES(nart_tokio_shutdown(bridge, NART_MS, &r), -ETIMEDOUT);
    CHECK_EQ(r.submitted, 2);
    CHECK_EQ(r.shutdown, 2);
    CHECK_EQ(r.leaked_tasks, 2);
    let_worker_go();
    wait_until_all_work_has_ended();
    r = report();
    CHECK_EQ(r.shutdown, 2);
    CHECK_EQ(r.ok, 0);
    nart_tokio_op_close(&a);
}

struct unwinds {
    nart_co co;
};

static nart_res unwinds_run(nart_cx *cx, void *frame)
{
    struct unwinds *u = frame;
    NART_BEGIN(cx, &u->co);
    NART_SHIELD(NART_NEVER);
    count(&started);
    while (read_word(&gate) == 0)
        NART_YIELD();
    NART_END(0);
}

static const nart_task_type unwinds_type =
    NART_TASK_TYPE_FLAGS(struct unwinds, unwinds_run, NULL, NART_TASK_SEND);

TEST_WITH(futures_end_while_a_task_unwinds, both)
{
    nart_tokio_op task = { 0 }, future = { 0 }, end = { 0 };

    CHECK_RES(nart_tokio_spawn_task(bridge, &unwinds_type, NULL, &task), 0);
    CHECK_RES(test_sleep(bridge, 3600000, &future), 0);
    wait_for(&started, 1);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, NART_NEVER, &end), 0);
    CHECK_RES(await_op(&future, NULL), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_op_try(&task, NULL), NART_PENDING);
    set_word(&gate, 1);
    CHECK_RES(await_op(&end, NULL), 0);
    CHECK_RES(nart_tokio_op_try(&task, NULL), 0);
    nart_tokio_op_close(&task);
    nart_tokio_op_close(&future);
    nart_tokio_op_close(&end);
}

static void shut_down(void *arg)
{
    (void)arg;
    CHECK_RES(nart_tokio_shutdown(bridge, NART_NEVER, NULL), -EDEADLK);
    count(&args_dropped);
}

/* A shutdown would wait for the operation of the drop_arg that calls it. */
TEST_WITH(a_drop_arg_cannot_wait_for_a_shutdown, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_blocking(bridge, "polite", polite, NULL, shut_down, &op), 0);
    nart_tokio_op_cancel(&op); /* queued: dropped here; running: on its thread */
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    CHECK_EQ(read_word(&args_dropped), 1);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
}

TEST_WITH(the_operation_of_a_shutdown_ends_by_itself, both)
{
    nart_tokio_op a = { 0 }, b = { 0 }, end = { 0 };

    begin_two_that_do_not_end(&a, &b);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, NART_MS, &end), 0);
    CHECK_RES(await_op(&end, NULL), -ETIMEDOUT);
    CHECK_RES(nart_tokio_op_try(&a, NULL), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_op_try(&b, NULL), NART_ESHUTDOWN);
    nart_tokio_op_close(&end);
    nart_tokio_op_close(&a);
    nart_tokio_op_close(&b);
    let_worker_go();
    wait_until_all_work_has_ended();
}

/* A closure that a Rust future gave to tokio's pool before it ended. */
TEST(a_stuck_closure_is_counted)
{
    nart_tokio_op op = { 0 };
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;
    open_two_threads();
    CHECK_RES(test_closure(bridge, &gate, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    wait_for(&gate, 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 50 * NART_MS, &r), -ETIMEDOUT);
    CHECK_LE(1, r.leaked_threads); /* tokio's may be late, too */
    CHECK_EQ(r.leaked_blocking, 0);
    CHECK_EQ(r.leaked_tasks, 0);
    set_word(&gate, 2);
}

TEST(a_long_name_is_truncated)
{
    nart_tokio_op op = { 0 };
    open_two_threads();
    CHECK_RES(nart_tokio_blocking(bridge, "0123456789012345678901234567890123456789", held_job,
                                  NULL, drop_arg, &op),
              0);
    wait_for(&jobs_held, 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 0, NULL), -ETIMEDOUT);
    CHECK_STR(report().leaked_name[0], "0123456789012345678901234567890");
    nart_tokio_op_close(&op);
    set_word(&job_gate, 1);
    wait_for(&args_dropped, 1);
}

TEST(the_loop_is_freed_first)
{
    open_two_threads();
    CHECK_RES(nart_rt_spawn(loop, &crowd_type, &(struct crowd){ .job = polite }, NULL), 0);
    CHECK(nart_rt_poll(loop, 0) >= 0);
    CHECK_RES(nart_rt_free(loop), 0); /* drops the frame, which closes 24 operations */
    loop = NULL;
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    nart_tokio_report r = report();
    CHECK_EQ(r.submitted, 3 * EACH);
    CHECK_EQ(r.cancelled, 3 * EACH);
    CHECK_EQ(read_word(&args_dropped), EACH);
}

/* Freed without a shutdown: in the background, and every operation still gets its answer. */
TEST(freed_without_a_shutdown)
{
    nart_join crowd;
    open_two_threads();
    CHECK_RES(nart_rt_spawn(loop, &crowd_type, &(struct crowd){ .job = polite }, &crowd), 0);
    CHECK(nart_rt_poll(loop, 0) >= 0);
    nart_tokio_free(bridge);
    bridge = NULL;
    CHECK_RES(nart_rt_run(loop), 0);
    const struct crowd *c = nart_join_frame(&crowd);
    CHECK_EQ(c->answers[0] + c->answers[1], 3 * EACH);
    nart_join_release(&crowd);
    CHECK_EQ(read_word(&args_dropped), EACH);
}

/* The operation is the program's: it ends when the loop whose task has awaited it does not exist any more, and
 * a task of the next one reads its answer. */
TEST(an_operation_ends_after_its_loop)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    for (int i = 0; i < 100; i++) {
        both_open();
        gate = 0;
        CHECK_RES(test_block_worker(bridge, &gate, &op), 0);
        CHECK_RES(nart_rt_spawn(loop, &op_waiter_type, &(struct op_waiter){ .op = &op }, NULL), 0);
        CHECK(nart_rt_poll(loop, 0) >= 0);
        wait_for(&gate, 1);
        if (i & 1)
            set_word(&gate, 2); /* the wake and the end of the loop race */
        CHECK_RES(nart_rt_free(loop), 0);
        set_word(&gate, 2);
        CHECK_RES(nart_rt_new(NULL, &loop), 0);
        CHECK_RES(await_op(&op, &value), 0);
        nart_tokio_op_close(&op);
        both_close();
    }
}

/* ---- bad calls ---- */

TEST_WITH(a_second_shutdown_is_ealready, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), -EALREADY);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, 30 * NART_SEC, &op), -EALREADY);
    CHECK(op.op == NULL);
}

TEST_WITH(bad_arguments, both)
{
    nart_tokio_op op = { 0 };
    nart_tokio_report r = { .size = 8 };
    CHECK_RES(nart_tokio_shutdown(NULL, 0, NULL), -EINVAL);
    CHECK_RES(nart_tokio_shutdown(bridge, -1, NULL), -EINVAL);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, -1, &op), -EINVAL);
    CHECK_RES(nart_tokio_shutdown(bridge, 0, &r), NART_EABI);
    CHECK_RES(nart_tokio_report_get(bridge, &r), NART_EABI);
    CHECK_RES(nart_tokio_report_get(bridge, NULL), -EINVAL);
    CHECK_RES(nart_tokio_report_get(NULL, &r), -EINVAL);
    CHECK_RES(test_value(bridge, 1, &op), 0); /* nothing has been closed */
    nart_tokio_op_close(&op);
    nart_tokio_free(NULL);
}

TEST(options_out_of_range)
{
    static const uint32_t no_cpu = 1000000;
    nart_tokio *rt = NULL;
    nart_tokio_opts good = NART_TOKIO_OPTS_INIT, bad[10];
    for (int i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].workers = UINT32_MAX;
    bad[1].max_blocking = UINT32_MAX;
    bad[2].queue_cap = UINT32_MAX;
    bad[3].keep_ops = UINT32_MAX;
    bad[4].stack = (256 << 10) - 1;
    bad[5].stack = (1 << 30) + 1;
    bad[6].flags = 1u << 31;
    bad[7].n_cpus = 1; /* and no numbers */
    bad[8].cpus = &no_cpu;
    bad[8].n_cpus = 1;
    bad[9].max_http = UINT32_MAX;
    for (int i = 0; i < 10; i++)
        CHECK_RES(nart_tokio_new(&bad[i], &rt), -EINVAL);
    bad[0] = good;
    bad[0].size = 3;
    CHECK_RES(nart_tokio_new(&bad[0], &rt), NART_EABI);
    bad[0].size = sizeof good + 64;
    CHECK_RES(nart_tokio_new(&bad[0], &rt), NART_EABI);
    CHECK_RES(nart_tokio_new(&good, NULL), -EINVAL);
    CHECK(rt == NULL);
}

TEST_WITH(on_a_thread_of_tokio_it_is_edeadlk, both)
{
    CHECK_RES(test_shutdown_inside(bridge), -EDEADLK);
    nart_tokio_op op = { 0 };
    CHECK_RES(test_value(bridge, 1, &op), 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(submissions_after_a_shutdown_are_refused, both)
{
    nart_tokio_op op = { 0 };
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, &r), 0);
    CHECK_EQ(r.submitted, 0);
    CHECK_RES(test_value(bridge, 1, &op), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_blocking(bridge, "x", polite, NULL, drop_arg, &op), NART_ESHUTDOWN);
    CHECK(op.op == NULL);
    CHECK_EQ(read_word(&args_dropped), 0);
    CHECK_EQ(report().submitted, 0);
}

/* An old program with a shorter report gets what it knows, and nothing behind it is written. */
TEST_WITH(a_shorter_report_is_filled_up_to_its_size, both)
{
    struct {
        nart_tokio_report r;
    } buf;
    memset(&buf, 0x77, sizeof buf);
    buf.r.size = offsetof(nart_tokio_report, leaked_name);
    CHECK_RES(nart_tokio_report_get(bridge, &buf.r), 0);
    CHECK_EQ(buf.r.submitted, 0);
    CHECK_EQ(buf.r.leaked_name[0][0], 0x77);
}

/* ---- the last answer, and then the end, in one poll ---- */

static nart_res finisher_run(nart_cx *cx, void *frame)
{
    struct ender *e = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &e->co);
    CHECK_RES(test_yield(bridge, 3, &e->op), 0);
    NART_AWAIT(r, nart_tokio_op_await(cx, &e->op, NULL));
    CHECK_RES(r, 0);
    if (e->timeout == 0)
        nart_tokio_op_close(&e->op);
    nart_tokio_free(bridge);
    bridge = NULL;
    nart_tokio_op_close(&e->op);
    NART_END(r);
}

static const nart_task_type finisher_type = NART_TASK_TYPE(struct ender, finisher_run, NULL);

TEST(freed_right_after_the_last_operation)
{
    for (int i = 0; i < 200; i++) {
        both_open();
        CHECK_RES(run(&finisher_type, &(struct ender){ .timeout = i & 1 }), 0);
        both_close();
    }
}

/* ---- submissions that race with the end ---- */

struct late {
    nart_co co;
    nart_tokio_op op;
    int accepted, answered;
};

static nart_res late_run(nart_cx *cx, void *frame)
{
    struct late *l = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &l->co);
    for (;;) {
        r = l->accepted & 1 ? nart_tokio_blocking(bridge, "late", polite, NULL, drop_arg, &l->op)
                            : test_yield(bridge, 2, &l->op);
        if (r == NART_ESHUTDOWN)
            break;
        CHECK_RES(r, 0);
        l->accepted++;
        if (l->accepted & 2)
            nart_tokio_op_cancel(&l->op);
        else
            nart_tokio_op_detach(&l->op);
        if (!l->op.op)
            continue;
        NART_AWAIT(r, nart_tokio_op_await(cx, &l->op, NULL));
        CHECK(r == 0 || r == NART_EABORTED || r == NART_ESHUTDOWN);
        nart_tokio_op_close(&l->op);
        NART_YIELD();
    }
    NART_END(l->accepted);
}

static const nart_task_type late_type = NART_TASK_TYPE(struct late, late_run, NULL);

TEST(submissions_that_race_with_the_end)
{
    for (int i = 0; i < 30; i++) {
        nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
        nart_join late;
        opts.queue_cap = 100000;
        both_open_with(&opts);
        CHECK_RES(nart_rt_spawn(loop, &late_type, NULL, &late), 0);
        for (uint32_t n = random_number() % 200; n > 0; n--)
            CHECK(nart_rt_poll(loop, 0) >= 0);
        CHECK_RES(run(&ender_type, &(struct ender){ .timeout = 30 * NART_SEC }), 0);
        CHECK_RES(nart_rt_run(loop), 0);
        const struct late *l = nart_join_frame(&late);
        CHECK_EQ(report().submitted, l->accepted);
        nart_join_release(&late);
        both_close();
    }
}
