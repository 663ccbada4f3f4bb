/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A panic of Rust code is a result with a text, and the process continues. */
#include "bridge.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

static void panic_says(uint32_t kind, const char *text)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(test_panic(bridge, kind, &op), 0);
    CHECK_RES(await_op(&op, NULL), NART_EPANIC);
    CHECK_STR(nart_tokio_op_message(&op, NULL), text);
    CHECK_EQ(nart_tokio_op_status(&op), NART_TOKIO_STATUS_PANICKED);
    nart_tokio_op_close(&op);
}

TEST_WITH(its_text_is_the_message, both)
{
    panic_says(0, "plain");
    panic_says(1, "number 1");
    panic_says(2, "a panic whose payload is not text");
    CHECK_EQ(report().panicked, 3);
    nart_tokio_op op = { 0 };
    CHECK_RES(test_value(bridge, 3, &op), 0); /* the worker still runs */
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_payload_that_panics_when_dropped, both)
{
    panic_says(3, "a panic whose payload is not text");
}

TEST_WITH(a_panic_in_the_drop_of_a_cancelled_future, both)
{
    nart_tokio_op op = { 0 }, behind = { 0 };
    CHECK_RES(test_panic(bridge, 4, &op), 0);
    CHECK_RES(test_sleep(bridge, 1, &behind), 0); /* then the other one was polled */
    CHECK_RES(await_op(&behind, NULL), 0);
    nart_tokio_op_cancel(&op);
    CHECK_RES(await_op(&op, NULL), NART_EPANIC);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "in drop");
    nart_tokio_op_close(&op);
    nart_tokio_op_close(&behind);
}

TEST_WITH(a_panic_in_the_last_drop_of_a_future, both)
{
    panic_says(5, "in drop");
}

TEST_WITH(a_panic_before_the_future_is_made, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(test_panic_early(bridge, &op), NART_EPANIC);
    CHECK(op.op == NULL);
    CHECK_EQ(report().submitted, 0);
}

TEST_WITH(a_panic_of_a_detached_future, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(test_panic(bridge, 0, &op), 0);
    nart_tokio_op_detach(&op);
    while (report().panicked == 0)
        let_others_run();
    CHECK_EQ(report().submitted, 1);
}

TEST_WITH(a_panic_of_a_local_future, both)
{
    static const char *const texts[] = { "plain", "number 1", "a panic whose payload is not text" };
    for (uint32_t kind = 0; kind < 3; kind++) {
        nart_tokio_local local = { 0 };
        CHECK_RES(test_local_panic(bridge, kind, &local), 0);
        CHECK_RES(await_local(&local, NULL), NART_EPANIC);
        CHECK_STR(nart_tokio_local_message(&local, NULL), texts[kind]);
        CHECK_RES(await_local(&local, NULL), NART_EPANIC); /* the result does not change */
        CHECK_RES(nart_tokio_local_close(&local), 0);
    }
}

TEST_WITH(a_panic_in_the_drop_of_a_local_future, both)
{
    static nart_tokio_local local; /* the task has it until the end */
    CHECK_RES(test_local_panic(bridge, 5, &local), 0);
    CHECK_RES(await_local(&local, NULL), NART_EPANIC);
    CHECK_RES(nart_tokio_local_close(&local), 0);

    CHECK_RES(test_local_panic(bridge, 4, &local), 0);
    CHECK_RES(nart_rt_spawn(loop, &local_waiter_type, &(struct local_waiter){ &local, NULL }, NULL),
              0);
    CHECK(nart_rt_poll(loop, 0) >= 0);
    CHECK_RES(nart_tokio_local_close(&local), 0); /* ignored: no task awaits it */
}

/* ---- functions that C hands over, written in Rust ---- */

TEST_WITH(a_panic_of_a_blocking_function, both)
{
    for (int i = 0; i < 3; i++) {
        nart_tokio_op op = { 0 };
        uint64_t dropped = test_drops();
        CHECK_RES(nart_tokio_blocking(bridge, "panics", test_panicking_job, NULL,
                                      test_panicking_drop, &op),
                  0);
        CHECK_RES(await_op(&op, NULL), NART_EPANIC);
        CHECK_STR(nart_tokio_op_message(&op, NULL), "in the job");
        CHECK_EQ(test_drops(),
                 dropped + 1); /* the argument is dropped once, although its drop panics */
        nart_tokio_op_close(&op);
    }
    CHECK_EQ(report().panicked, 3);
}

static const nart_task_type panicking_type =
    NART_TASK_TYPE_FLAGS(int, test_panicking_poll, test_panicking_drop, NART_TASK_SEND);

TEST_WITH(a_panic_of_a_task_on_tokio, both)
{
    nart_tokio_op op = { 0 };
    uint64_t dropped = test_drops();
    CHECK_RES(nart_tokio_spawn_task(bridge, &panicking_type, NULL, &op), 0);
    CHECK_RES(await_op(&op, NULL), NART_EPANIC);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "in the poll");
    CHECK_EQ(test_drops(), dropped + 1);
    nart_tokio_op_close(&op);
    CHECK_RES(test_value(bridge, 3, &op), 0); /* the worker still runs */
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* It ends the tasks that were spawned together: their memory may be in any state. */
struct family {
    nart_co co;
    nart_join children[2];
    nart_res r;
};

static nart_res family_run(nart_cx *cx, void *frame)
{
    struct family *f = frame;

    NART_BEGIN(cx, &f->co);
    for (int i = 0; i < 2; i++)
        CHECK_RES(nart_spawn(cx, &panicking_type, NULL, &f->children[i]), 0);
    NART_AWAIT(f->r, nart_join_await(cx, &f->children[1], NULL));
    NART_END(f->r);
}

static void family_drop(void *frame)
{
    struct family *f = frame;
    for (int i = 0; i < 2; i++)
        nart_join_release(&f->children[i]);
}

static const nart_task_type family_type =
    NART_TASK_TYPE_FLAGS(struct family, family_run, family_drop, NART_TASK_SEND);

TEST_WITH(a_panic_of_a_spawned_task_ends_its_group, both)
{
    nart_tokio_op op = { 0 };
    uint64_t dropped = test_drops();
    CHECK_RES(nart_tokio_spawn_task(bridge, &family_type, NULL, &op), 0);
    CHECK_RES(await_op(&op, NULL), NART_EPANIC);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "in the poll");
    CHECK_EQ(test_drops(), dropped + 2);
    nart_tokio_op_close(&op);
    CHECK_RES(test_value(bridge, 3, &op), 0); /* the worker still runs */
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- exceptions of other languages ---- */

/* As a throw of C++ does. */
static void throw_one(void)
{
    static struct _Unwind_Exception exception = { .exception_class = 0x6e617274 };
    _Unwind_RaiseException(&exception);
}

static nart_res throwing_job(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    throw_one();
    return 0;
}

static void throwing_drop(void *arg)
{
    (void)arg;
    throw_one();
}

static nart_res returning_job(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    return 0;
}

static nart_res throwing_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    throw_one();
    return 0;
}

static nart_res returning_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static const nart_task_type throws_in_poll =
    NART_TASK_TYPE_FLAGS(int, throwing_poll, NULL, NART_TASK_SEND);
static const nart_task_type throws_in_drop =
    NART_TASK_TYPE_FLAGS(int, returning_poll, throwing_drop, NART_TASK_SEND);

static nart_res submit_thrower(int which, nart_tokio_op *op)
{
    switch (which) {
    case 0:
        return nart_tokio_blocking(bridge, "thrower", throwing_job, NULL, NULL, op);
    case 1:
        return nart_tokio_blocking(bridge, "thrower", returning_job, NULL, throwing_drop, op);
    case 2:
        return nart_tokio_spawn_task(bridge, &throws_in_poll, NULL, op);
    default:
        return nart_tokio_spawn_task(bridge, &throws_in_drop, NULL, op);
    }
}

/* It cannot be an answer: Rust ends the process. The line before says which function it was. */
TEST(an_exception_ends_the_process_with_a_name)
{
    static const char *const names[] = { "the blocking function \"thrower\"",
                                         "the drop_arg of the blocking function \"thrower\"",
                                         "a poll of the task int", "the drop of the task int" };

    for (int which = 0; which < 4; which++) {
        char text[4096] = "";
        int out[2], status = 0;
        size_t len = 0;
        CHECK_EQ(pipe(out), 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            nart_tokio_op op = { 0 };
            dup2(out[1], STDERR_FILENO);
            both_open();
            CHECK_RES(submit_thrower(which, &op), 0);
            (void)await_op(&op, NULL);
            _exit(0);
        }
        close(out[1]);
        for (ssize_t n; (n = read(out[0], text + len, sizeof text - 1 - len)) > 0;)
            len += (size_t)n;
        close(out[0]);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        CHECK(strstr(text, names[which]) != NULL);
    }
}
