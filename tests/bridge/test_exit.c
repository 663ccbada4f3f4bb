/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The process ends while a bridge works: it exits as the program says, and what runs is abandoned. */
#include "bridge.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs f in a child whose bridge is busy. */
static void busy_child_exits(nart_blocking_fn job, void (*f)(void), int with)
{
    fflush(NULL);
    pid_t child = fork();
    int status = 0;
    CHECK(child >= 0);
    if (child == 0) {
        static nart_tokio_op never, jobs[20];
        CHECK_RES(nart_rt_new(NULL, &loop), 0);
        CHECK_RES(nart_tokio_new(NULL, &bridge), 0);
        CHECK_RES(test_never(bridge, &never), 0);
        CHECK_RES(nart_rt_spawn(loop, &op_waiter_type, &(struct op_waiter){ .op = &never }, NULL),
                  0);
        CHECK(nart_rt_poll(loop, 0) >= 0);
        for (int i = 0; i < 20; i++) /* some are queued */
            CHECK_RES(nart_tokio_blocking(bridge, "job", job, NULL, drop_arg, &jobs[i]), 0);
        wait_for(&jobs_held, 1);
        f();
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), with);
}

static void busy_child(nart_blocking_fn job, void (*f)(void))
{
    busy_child_exits(job, f, 0);
}

static void exit_with_7(void)
{
    exit(7);
}

TEST(exit_while_operations_run)
{
    busy_child_exits(held_job, exit_with_7, 7);
}

static void exit_after_a_shutdown(void)
{
    CHECK_RES(nart_tokio_shutdown(bridge, NART_MS, NULL), -ETIMEDOUT);
    CHECK_LE(1, report().leaked_blocking);
    exit(7);
}

static void free_and_exit(void)
{
    CHECK_RES(nart_tokio_shutdown(bridge, NART_MS, NULL), -ETIMEDOUT);
    nart_tokio_free(bridge);
    exit(7);
}

/* A function that never returns does not keep the program from ending, nor change how. */
TEST(exit_after_a_shutdown_that_leaves_a_function)
{
    busy_child_exits(held_job, exit_after_a_shutdown, 7);
    busy_child_exits(held_job, free_and_exit, 7);
}

static nart_res exit_there(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    count(&jobs_held);
    wait_for(&job_gate, 1);
    exit(0);
}

static void wait_for_exit(void)
{
    set_word(&job_gate, 1);
    for (;;)
        pause();
}

TEST(exit_from_a_blocking_function)
{
    busy_child(exit_there, wait_for_exit);
}

static nart_res exit_in_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    exit(7);
}

static const nart_task_type exits_type =
    NART_TASK_TYPE_FLAGS(int, exit_in_poll, NULL, NART_TASK_SEND);

static void spawn_exit(void)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_spawn_task(bridge, &exits_type, NULL, &op), 0);
    for (;;)
        pause();
}

TEST(exit_from_a_task_on_tokio)
{
    busy_child_exits(held_job, spawn_exit, 7);
}

/* The threads still run in a handler of exit(). The loop's own thread-local state, tokio's too, has ended. */
static void work_at_exit(void)
{
    nart_tokio_op op = { 0 };
    nart_tokio_local local = { 0 };
    int64_t value = 0;

    if (test_value(bridge, 3, &op) != 0 || wait_for_answer(&op, &value) != 0 || value != 3)
        _exit(1);
    nart_tokio_op_close(&op);
    if (test_never(bridge, &op) != 0)
        _exit(2);
    nart_tokio_op_cancel(&op);
    if (await_op(&op, NULL) != NART_EABORTED)
        _exit(3);
    nart_tokio_op_close(&op);
    if (nart_tokio_sleep(bridge, NART_MS, &op) != 0 || await_op(&op, NULL) != 0)
        _exit(4);
    nart_tokio_op_close(&op);
    if (test_local_sleep(bridge, 1, &local) != 0)
        _exit(5);
    if (await_local(&local, &value) != NART_ESHUTDOWN) /* the one thing that needs them */
        _exit(6);
    if (nart_tokio_local_close(&local) != 0 || report().panicked != 0)
        _exit(8);
    end_leaking_child();
}

static void exit_that_works(void)
{
    CHECK_EQ(atexit(work_at_exit), 0);
    exit(10);
}

TEST(operations_in_an_exit_handler)
{
    busy_child(held_job, exit_that_works);
}

static void end_at_exit(void)
{
    nart_res r = nart_tokio_shutdown(bridge, 50 * NART_MS, NULL);
    if (r != 0 && r != -ETIMEDOUT)
        _exit(2);
    nart_tokio_free(bridge);
}

static void exit_that_ends_it(void)
{
    CHECK_EQ(atexit(end_at_exit), 0);
    exit(0);
}

TEST(shutdown_in_an_exit_handler)
{
    busy_child(held_job, exit_that_ends_it);
}

static void refused_at_exit(void)
{
    if (nart_tokio_shutdown(bridge, NART_NEVER, NULL) != -EDEADLK)
        _exit(3);
}

static void wait_for_exit_that_ends_it(void)
{
    CHECK_EQ(atexit(refused_at_exit), 0);
    wait_for_exit();
}

/* The handler runs on a thread of the bridge. */
TEST(shutdown_in_an_exit_handler_of_a_blocking_function)
{
    busy_child(exit_there, wait_for_exit_that_ends_it);
}
