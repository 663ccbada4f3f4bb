/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A child of fork has the memory of the bridge and none of its threads: it is refused, and ends. */
#include "bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t started;

static nart_res wait_to_stop(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    count(&started);
    while (!nart_tokio_stopped(stop))
        let_others_run();
    return -ECANCELED;
}

static void on_done(nart_tokio_op *op, void *arg)
{
    (void)op;
    (void)arg;
    count(&args_dropped);
}

struct held {
    nart_tokio_op never, sleep, job, ready, fresh;
    nart_tokio_local local;
};

static nart_res returns(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static const nart_task_type returns_type = NART_TASK_TYPE_FLAGS(int, returns, NULL, NART_TASK_SEND);

static void submissions_fail(nart_tokio_op *op)
{
    CHECK_RES(test_value(bridge, 1, op), NART_EFORK);
    CHECK_RES(nart_tokio_blocking(bridge, "x", wait_to_stop, NULL, drop_arg, op), NART_EFORK);
    CHECK_RES(nart_tokio_spawn_task(bridge, &returns_type, NULL, op), NART_EFORK);
    CHECK_RES(nart_tokio_sleep(bridge, 1, op), NART_EFORK);
    CHECK_RES(nart_tokio_resolve(bridge, "localhost", op), NART_EFORK);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, 0, op), NART_EFORK);
    CHECK(op->op == NULL);
}

static void queries_fail(void)
{
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;
    nart_tokio_stats stats = NART_TOKIO_STATS_INIT;

    CHECK_RES(nart_tokio_shutdown(bridge, 0, &r), NART_EFORK);
    CHECK_RES(nart_tokio_report_get(bridge, &r), NART_EFORK);
    CHECK_RES(nart_tokio_stats_get(bridge, &stats), NART_EFORK);
    CHECK_RES(nart_tokio_observe(bridge, true), NART_EFORK);
    CHECK_RES(nart_tokio_percentile(bridge, 0, 50), NART_EFORK);
    CHECK_RES(nart_tokio_within(bridge, 0, 1), NART_EFORK);
}

static void child(struct held *h)
{
    int64_t value = 0;

    submissions_fail(&h->fresh);
    queries_fail();
    CHECK_RES(nart_tokio_op_try(&h->never, NULL), NART_EFORK);
    CHECK_RES(nart_tokio_op_poll(&h->never, (nart_waker){ 0 }, NULL), NART_EFORK);
    CHECK_RES(nart_tokio_op_try(&h->ready, &value), 0); /* what is there can be read */
    CHECK_EQ(value, 9);
    CHECK_RES(nart_tokio_op_on_done(loop, &h->never, on_done, NULL), NART_EFORK);
    nart_tokio_op_cancel(&h->never);
    nart_tokio_op_cancel(&h->job);
    nart_tokio_op_close(&h->never);
    nart_tokio_op_detach(&h->sleep);
    nart_tokio_op_close(&h->job);
    nart_tokio_op_close(&h->ready);
    CHECK_RES(nart_tokio_local_close(&h->local), 0);
    CHECK_EQ(read_word(&args_dropped), 0);
    nart_tokio_free(bridge);
    CHECK_RES(nart_rt_free(loop), 0);
}

static void open_held(struct held *h)
{
    both_open();
    CHECK_RES(test_never(bridge, &h->never), 0);
    CHECK_RES(test_sleep(bridge, 3600000, &h->sleep), 0);
    CHECK_RES(test_value(bridge, 9, &h->ready), 0);
    CHECK_RES(nart_tokio_blocking(bridge, "job", wait_to_stop, NULL, drop_arg, &h->job), 0);
    CHECK_RES(test_local_sleep(bridge, 1, &h->local), 0);
    wait_for(&started, 1);
    (void)wait_for_answer(&h->ready, NULL);
}

/* The parent has not noticed. */
static void close_held(struct held *h)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(test_value(bridge, 4, &op), 0);
    (void)wait_for_answer(&op, NULL);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_op_try(&h->never, NULL), NART_PENDING);
    nart_tokio_op_close(&h->never);
    nart_tokio_op_close(&h->sleep);
    nart_tokio_op_close(&h->job);
    nart_tokio_op_close(&h->ready);
    CHECK_RES(nart_tokio_local_close(&h->local), 0);
    both_close();
    CHECK_EQ(read_word(&args_dropped), 1);
}

/* Ends a child as programs do, with handlers and destructors; but a leak checker would count what the
 * parent's threads hold, and runs then: it is left by running another program. */
static void end_child(void)
{
#ifndef TEST_SANITIZED
    if (!test_under_valgrind())
        exit(0);
#endif
    end_leaking_child();
}

TEST(functions_fail_in_the_child_and_it_exits)
{
    struct held h = { 0 };
    open_held(&h);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child(&h);
        end_child();
    }
    check_child(pid);
    close_held(&h);
}

TEST(the_child_exits_without_closing_anything)
{
    struct held h = { 0 };
    open_held(&h);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        end_child();
    check_child(pid);
    close_held(&h);
}

TEST(the_child_runs_another_program)
{
    struct held h = { 0 };
    open_held(&h);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    check_child(pid);
    close_held(&h);
}

/* tokio does not support a runtime that is made in a child of a program that has used it; a bridge
 * that the child makes itself works as far as tokio does, which the parent's answers depend on not. */
TEST_WITH(the_child_of_an_idle_bridge, both)
{
    for (int how = 0; how < 3; how++) {
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            nart_tokio_op op = { 0 };
            if (how == 0) {
                submissions_fail(&op);
                queries_fail();
                nart_tokio_free(bridge);
            } else if (how == 1) {
                execl("/bin/true", "true", (char *)NULL);
                _exit(1);
            }
            end_child();
        }
        check_child(pid);
    }
    nart_tokio_op op = { 0 };
    CHECK_RES(test_value(bridge, 1, &op), 0);
    nart_tokio_op_close(&op);
}
