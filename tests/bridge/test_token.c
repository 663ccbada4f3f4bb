/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cancellation tokens between a loop and Rust futures: each side cancels the other. */
#include "bridge.h"

#include <nart/cancel.h>
#include <nart/time.h>

#include <pthread.h>
#include <unistd.h>

static nart_token token;

struct awaits {
    nart_waiter waiter;
};

static nart_res awaits_run(nart_cx *cx, void *frame)
{
    return nart_token_await(cx, &token, &((struct awaits *)frame)->waiter);
}

static const nart_task_type awaits_type = NART_TASK_TYPE(struct awaits, awaits_run, NULL);

/* Runs the loop until the operation has ended. */
static nart_res answer_of(nart_tokio_op *op, int64_t *value)
{
    nart_res r = await_op(op, value);
    nart_tokio_op_close(op);
    return r;
}

TEST_WITH(c_cancels_a_future, both)
{
    nart_tokio_op op = { 0 }, second = { 0 };

    CHECK_RES(nart_token_new(loop, &token), 0);
    CHECK_RES(test_token_wait(bridge, loop, &token, &op), 0);
    CHECK_RES(test_token_wait(bridge, loop, &token, &second), 0);
    CHECK_LE(0, nart_rt_poll(loop, 0));
    CHECK_RES(nart_tokio_op_try(&op, NULL), NART_PENDING);
    nart_token_cancel_release(&token);
    CHECK_RES(answer_of(&op, NULL), 0);
    CHECK_RES(answer_of(&second, NULL), 0);
    CHECK_EQ(nart_rt_task_count(loop), 0);
}

TEST_WITH(a_token_of_rust_cancels_a_task, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    nart_res r = 1;

    CHECK_RES(nart_token_new(loop, &token), 0);
    CHECK_RES(test_token_join(bridge, loop, &token, true, &op), 0);
    CHECK_RES(nart_block_on(loop, &awaits_type, NULL, &r), 0);
    CHECK_RES(r, 0);
    CHECK_RES(answer_of(&op, &value), 0);
    CHECK_EQ(value, 1);
    nart_token_release(&token);
}

TEST_WITH(a_token_of_c_cancels_one_of_rust, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    CHECK_RES(nart_token_new(loop, &token), 0);
    CHECK_RES(test_token_join(bridge, loop, &token, false, &op), 0);
    nart_token_cancel(&token);
    CHECK_RES(answer_of(&op, &value), 0);
    CHECK_EQ(value, 1);
    nart_token_release(&token);
}

/* The loop ends when nobody listens any more. */
TEST_WITH(a_future_that_is_dropped_ends_its_task, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_token_new(loop, &token), 0);
    CHECK_RES(test_token_wait(bridge, loop, &token, &op), 0);
    CHECK_EQ(nart_rt_task_count(loop), 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    nart_tokio_op_close(&op);
    nart_token_release(&token);
}

TEST_WITH(the_end_of_the_loop_is_an_error, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_token_new(loop, &token), 0);
    CHECK_RES(test_token_wait(bridge, loop, &token, &op), 0);
    CHECK_RES(nart_rt_free(loop), 0);
    loop = NULL;
    CHECK_RES(wait_for_answer(&op, NULL), NART_ESTALE);
    nart_tokio_op_close(&op);
    nart_token_release(&token);
}

static void *on_other_thread(void *arg)
{
    nart_tokio_op op = { 0 };

    (void)arg;
    CHECK_RES(test_token_wait(bridge, loop, &token, &op), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(who_cannot_listen, both)
{
    nart_tokio_op op = { 0 };
    pthread_t thread;

    CHECK_RES(test_token_wait(bridge, loop, NULL, &op), -EINVAL);
    CHECK_RES(test_token_wait(bridge, loop, &token, &op), -EINVAL);
    CHECK_RES(nart_token_new(loop, &token), 0);
    CHECK_RES(test_token_wait(bridge, NULL, &token, &op), -EINVAL);
    CHECK_LE(0, nart_rt_poll(loop, 0)); /* binds the loop to this thread */
    CHECK_EQ(pthread_create(&thread, NULL, on_other_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_RES(test_token_wait(bridge, loop, &token, &op), NART_EFORK);
        end_leaking_child();
    }
    check_child(pid);
    nart_token_release(&token);
}
