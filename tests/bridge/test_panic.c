/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A panic of Rust code is a result with a text, and the process continues. */
#include "bridge.h"

#include <string.h>

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
