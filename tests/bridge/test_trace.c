/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bridge's part of a runtime's trace. What check_trace.py looks at goes to standard output; here is what
 * lives how long, and what is refused. */
#include "bridge.h"
#include "threads.h"

#include <nart/clock.h>
#include <nart/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns what is printed, as a string that the caller frees. */
static char *printed(nart_rt *rt, nart_res lost)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    CHECK(out != NULL);
    CHECK_RES(nart_trace_print(rt, out), lost);
    CHECK_EQ(fclose(out), 0);
    return text;
}

static int occurrences(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

/* How often the trace of the loop has such a text. */
static int traced(const char *what)
{
    char *text = printed(loop, 0);
    int n = occurrences(text, what);

    free(text);
    return n;
}

#define SLICES "\"ph\":\"X\""

static void start(uint32_t events)
{
    CHECK_RES(nart_trace_start(loop, 1000000), 0);
    CHECK_RES(nart_tokio_trace_start(bridge, loop, events), 0);
}

static nart_res job(void *arg, const nart_tokio_stop *stop)
{
    (void)stop;
    return (nart_res)(uintptr_t)arg;
}

static void run_job(const char *name)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_blocking(bridge, name, job, NULL, NULL, &op), 0);
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- for check_trace.py ---- */

/* A C task on tokio that submits a future and awaits it, twice. */
struct nested {
    nart_co co;
    nart_tokio_op op;
    int64_t value;
    nart_res r;
    int i;
};

static nart_res nested_run(nart_cx *cx, void *frame)
{
    struct nested *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 2; f->i++) {
        CHECK_RES(test_yield(bridge, 2, &f->op), 0);
        NART_AWAIT(f->r, nart_tokio_op_await(cx, &f->op, &f->value));
        CHECK_RES(f->r, 0);
        nart_tokio_op_close(&f->op);
    }
    NART_END(7);
}

static const nart_task_type nested_type =
    NART_TASK_TYPE_FLAGS(struct nested, nested_run, NULL, NART_TASK_SEND);

struct stormy {
    nart_co co;
    nart_tokio_op op;
    int64_t value;
    nart_res r;
    int i;
    uint32_t kind;
};

static nart_res begin(struct stormy *f)
{
    switch (f->kind++ % 4) {
    case 0:
        return test_yield(bridge, 3, &f->op);
    case 1:
        return nart_tokio_blocking(bridge, "a \"job\"", job, NULL, NULL, &f->op);
    case 2:
        return nart_tokio_spawn_task(bridge, &nested_type, NULL, &f->op);
    default:
        return test_value(bridge, 1, &f->op);
    }
}

static nart_res storm_run(nart_cx *cx, void *frame)
{
    struct stormy *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 20; f->i++) {
        CHECK_RES(begin(f), 0);
        NART_AWAIT(f->r, nart_tokio_op_await(cx, &f->op, &f->value));
        CHECK_RES(f->r, 0);
        nart_tokio_op_close(&f->op);
    }
    NART_END(0);
}

static const nart_task_type storm_type = NART_TASK_TYPE(struct stormy, storm_run, NULL);

static void storm(uint32_t of_loop, uint32_t of_bridge)
{
    open_with_workers(2);
    CHECK_RES(nart_trace_start(loop, of_loop), 0);
    CHECK_RES(nart_tokio_trace_start(bridge, loop, of_bridge), 0);
    for (uint32_t i = 0; i < 20; i++)
        CHECK_RES(nart_rt_spawn(loop, &storm_type, &(struct stormy){ .kind = i }, NULL), 0);
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK_LE(0, nart_trace_stop(loop, stdout));
}

/* 400 operations of the loop, 100 of each kind; each nested task submits two more. */
TEST(a_storm_of_operations)
{
    storm(1000000, 1000000);
}

TEST(a_storm_of_which_the_bridge_loses_most)
{
    storm(1000000, 100);
}

TEST(a_storm_of_which_the_loop_loses_most)
{
    storm(100, 1000000);
}

TEST(a_storm_of_which_both_lose_nearly_all)
{
    storm(1, 1);
}

/* ---- what is shown ---- */

TEST_WITH(slices_have_the_names_of_functions_task_types_and_futures, both)
{
    nart_tokio_op ops[2] = { 0 };

    start(1000);
    run_job("compress");
    CHECK_RES(nart_tokio_spawn_task(bridge, &nested_type, NULL, &ops[0]), 0);
    CHECK_RES(await_op(&ops[0], NULL), 0);
    CHECK_RES(test_value(bridge, 1, &ops[1]), 0);
    CHECK_RES(await_op(&ops[1], NULL), 0);
    CHECK_EQ(traced("\"name\":\"compress\""), 1);
    CHECK_LE(2, traced("nested\""));
    CHECK_EQ(traced("test_value"), 1);
    CHECK_EQ(traced("{\"name\":\"tokio: nart-tokio\"}"), 1);
    CHECK_EQ(traced("{\"name\":\"worker "), 1);
    CHECK_LE(1, traced("{\"name\":\"blocking "));
    for (int i = 0; i < 2; i++)
        nart_tokio_op_close(&ops[i]);
}

TEST_WITH(what_was_submitted_before_or_after_the_trace_is_not_shown, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(test_never(bridge, &op), 0);
    start(1000);
    nart_tokio_op_cancel(&op);
    CHECK_RES(await_op(&op, NULL), NART_EABORTED);
    CHECK_EQ(traced(SLICES), 0);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_trace_stop(loop, NULL), 0);
    run_job("x");
    CHECK_RES(nart_trace_start(loop, 1000), 0);
    CHECK_EQ(traced(SLICES), 0);
}

/* An operation that is cancelled has the slices that it had, and an arrow from the one that dropped it. */
TEST_WITH(a_cancelled_operation_has_its_slices, both)
{
    nart_tokio_op op = { 0 };

    start(1000);
    CHECK_RES(test_never(bridge, &op), 0);
    while (traced(SLICES) == 0)
        let_others_run();
    nart_tokio_op_cancel(&op);
    CHECK_RES(await_op(&op, NULL), NART_EABORTED);
    CHECK_EQ(traced(SLICES), 2);
    CHECK_EQ(traced("\"name\":\"answer\""), 2);
    nart_tokio_op_close(&op);
}

/* How many polls a request takes is hyper's business. */
TEST_WITH(an_http_request_has_slices_and_both_arrows, both)
{
#if NART_HTTP
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };

    start(1000);
    get.url = "http://127.0.0.1:1/refused"; /* no server */
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_RES(await_op(&op, NULL), NART_EHTTP_CONNECT);
    CHECK_LE(1, traced("\"name\":\"HTTP request\""));
    CHECK_EQ(traced("\"cat\":\"tokio\",\"name\":\"submit\""), 2);
    CHECK_EQ(traced("\"cat\":\"tokio\",\"name\":\"answer\""), 2);
    nart_tokio_op_close(&op);
#else
    SKIP("this build has no HTTP");
#endif
}

/* Outside of polls there is no slice to begin in: the loop's track "program" has one of length zero. */
TEST_WITH(the_program_submits_and_reads, both)
{
    nart_tokio_op op = { 0 };

    start(1000);
    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    CHECK_RES(nart_tokio_op_try(&op, NULL), 0); /* the second time is not shown */
    CHECK_EQ(traced("\"cat\":\"tokio\",\"name\":\"submit\""), 2);
    CHECK_EQ(traced("\"cat\":\"tokio\",\"name\":\"answer\""), 2);
    CHECK_EQ(traced("\"tid\":4,"), 7); /* its name, and twice B, an end of an arrow, E */
    nart_tokio_op_close(&op);
}

static void *start_elsewhere(void *arg)
{
    (void)arg;
    CHECK_RES(nart_tokio_trace_start(bridge, loop, 1), NART_EWRONGTHREAD);
    return NULL;
}

static void *use_elsewhere(void *arg)
{
    nart_tokio_op op = { 0 };

    (void)arg;
    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    return NULL;
}

TEST_WITH(operations_of_other_threads_have_slices_and_no_arrows, both)
{
    CHECK_RES(nart_rt_bind(loop), 0);
    start(1000);
    thread_run(use_elsewhere, NULL);
    CHECK_EQ(traced(SLICES), 1);
    CHECK_EQ(traced("\"ph\":\"f\""), 0);
}

/* ---- lives ---- */

TEST_WITH(the_trace_outlives_the_bridge, both)
{
    nart_tokio_op op = { 0 };

    start(1000);
    run_job("x");
    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, NART_NEVER, NULL), 0);
    nart_tokio_free(bridge);
    bridge = NULL;
    CHECK_EQ(traced("\"name\":\"x\""), 1);
    (void)wait_for_answer(&op, NULL); /* 0, or NART_ESHUTDOWN */
    nart_tokio_op_close(&op);
    CHECK_EQ(traced("\"name\":\"x\""), 1);
}

TEST_WITH(the_bridge_outlives_the_runtime, both)
{
    nart_tokio_op ops[2] = { 0 };

    start(1000);
    for (int i = 0; i < 2; i++)
        CHECK_RES(test_yield(bridge, 1000, &ops[i]), 0);
    CHECK_RES(nart_rt_free(loop), 0); /* while they run */
    loop = NULL;
    for (int i = 0; i < 2; i++) {
        CHECK_RES(wait_for_answer(&ops[i], NULL), 0);
        nart_tokio_op_close(&ops[i]);
    }
}

TEST_WITH(a_trace_can_be_started_again, both)
{
    for (int i = 0; i < 3; i++) {
        start(1000);
        CHECK_RES(nart_tokio_trace_start(bridge, loop, 1), -EALREADY);
        run_job("x");
        CHECK_EQ(traced(SLICES), 1);
        CHECK_EQ(traced("\"cat\":\"tokio\",\"name\":\"submit\""), 2);
        CHECK_RES(nart_trace_stop(loop, NULL), 0);
        run_job("y");
    }
}

TEST_WITH(a_trace_has_several_bridges_and_a_bridge_one_trace, both)
{
    nart_rt *second_loop = NULL;
    nart_tokio *first = bridge, *second = NULL;

    CHECK_RES(nart_tokio_new(NULL, &second), 0);
    CHECK_RES(nart_rt_new(NULL, &second_loop), 0);
    start(1000);
    CHECK_RES(nart_tokio_trace_start(second, loop, 1000), 0);
    CHECK_RES(nart_trace_start(second_loop, 1000), 0);
    CHECK_RES(nart_tokio_trace_start(second, second_loop, 1000), -EALREADY);
    run_job("first");
    bridge = second;
    run_job("second");
    bridge = first;
    CHECK_EQ(traced("\"X\",\"pid\":2"), 1);
    CHECK_EQ(traced("\"X\",\"pid\":3"), 1);
    CHECK_EQ(traced("\"cat\":\"tokio\""), 8);
    CHECK_RES(nart_trace_stop(loop, NULL), 0);
    CHECK_RES(nart_tokio_trace_start(second, second_loop, 1000), 0);
    CHECK_RES(nart_rt_free(second_loop), 0);
    CHECK_RES(nart_tokio_shutdown(second, NART_NEVER, NULL), 0);
    nart_tokio_free(second);
}

TEST_WITH(misuse_is_answered, both)
{
    CHECK_RES(nart_tokio_trace_start(bridge, loop, 1), -EPERM);
    CHECK_RES(nart_trace_start(loop, 1), 0);
    CHECK_RES(nart_tokio_trace_start(NULL, loop, 1), -EINVAL);
    CHECK_RES(nart_tokio_trace_start(bridge, NULL, 1), -EINVAL);
    CHECK_RES(nart_tokio_trace_start(bridge, loop, 0), -EINVAL);
    CHECK_RES(nart_rt_bind(loop), 0);
    thread_run(start_elsewhere, NULL);
    CHECK_RES(nart_rt_clock_pause(loop), 0);
    CHECK_RES(nart_tokio_trace_start(bridge, loop, 1), -EINVAL);
    CHECK_RES(nart_rt_clock_resume(loop), 0);
    CHECK_RES(nart_tokio_trace_start(bridge, loop, 1), -EINVAL); /* it is behind */
    CHECK_RES(nart_trace_stop(loop, NULL), 0);
}

TEST(a_child_of_fork_leaves_the_trace_alone)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    both_open();
    start(1000);
    run_job("x");
    CHECK_RES(test_value(bridge, 9, &op), 0);
    while (nart_tokio_op_status(&op) == NART_TOKIO_STATUS_RUNNING)
        let_others_run();
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_RES(nart_tokio_trace_start(bridge, loop, 1), NART_EFORK);
        CHECK_RES(nart_tokio_op_try(&op, &value), 0);
        CHECK_EQ(value, 9);
        nart_tokio_op_close(&op);
        nart_tokio_free(bridge);
        CHECK_RES(nart_rt_free(loop), 0);
        end_leaking_child();
    }
    check_child(pid);
    nart_tokio_op_close(&op);
    run_job("y");
    CHECK_EQ(traced("\"name\":\"y\""), 1);
}
