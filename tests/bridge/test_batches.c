/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Futures that are submitted while tokio's workers are busy: they reach them as one batch. */
#include "bridge.h"

enum { BATCH = 1000 };

static nart_tokio_op ops[BATCH];

static void submit_values(void)
{
    for (int i = 0; i < BATCH; i++)
        CHECK_RES(test_value(bridge, i, &ops[i]), 0);
}

static void check_values(void)
{
    for (int i = 0; i < BATCH; i++) {
        int64_t value = -1;
        CHECK_RES(wait_for_answer(&ops[i], &value), 0);
        CHECK_EQ(value, i);
    }
}

static void close_ops(void)
{
    for (int i = 0; i < BATCH; i++)
        nart_tokio_op_close(&ops[i]);
}

TEST_WITH(each_future_of_a_batch_has_its_answer, both)
{
    nart_tokio_op worker = { 0 };

    occupy_worker(&worker);
    submit_values();
    release_worker(&worker);
    check_values();
    close_ops();
}

TEST_WITH(a_part_of_a_batch_is_cancelled_before_it_starts, both)
{
    nart_tokio_op worker = { 0 };

    occupy_worker(&worker);
    for (int i = 0; i < BATCH; i++)
        CHECK_RES(test_never(bridge, &ops[i]), 0);
    for (int i = 0; i < BATCH; i += 2)
        nart_tokio_op_cancel(&ops[i]);
    for (int i = 1; i < BATCH; i += 2)
        nart_tokio_op_close(&ops[i]); /* cancels it, too */
    release_worker(&worker);
    for (int i = 0; i < BATCH; i += 2)
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_EABORTED);
    close_ops();
    wait_until_all_work_has_ended();
    CHECK_EQ(report().cancelled, BATCH);
    CHECK_EQ(test_drops(), 0); /* never polled */
}

TEST_WITH(a_shutdown_ends_a_batch_that_has_not_started, both)
{
    nart_tokio_op worker = { 0 }, end = { 0 };

    occupy_worker(&worker);
    for (int i = 0; i < BATCH; i++)
        CHECK_RES(test_never(bridge, &ops[i]), 0);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, 30 * NART_SEC, &end), 0);
    let_worker_go();
    CHECK_RES(wait_for_answer(&end, NULL), 0);
    for (int i = 0; i < BATCH; i++)
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_ESHUTDOWN);
    CHECK_EQ(test_drops(), 0); /* never polled */
    close_ops();
    nart_tokio_op_close(&worker);
    nart_tokio_op_close(&end);
}

/* The runtime drops the batch: its worker never returns to it. */
TEST_WITH(a_batch_is_dropped_with_its_runtime, both)
{
    nart_tokio_op worker = { 0 };

    occupy_worker(&worker);
    for (int i = 0; i < BATCH; i++)
        CHECK_RES(test_never(bridge, &ops[i]), 0);
    nart_tokio_free(bridge);
    bridge = NULL;
    let_worker_go();
    for (int i = 0; i < BATCH; i++)
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_ESHUTDOWN);
    CHECK_EQ(test_drops(), 0); /* never polled */
    close_ops();
    nart_tokio_op_close(&worker);
}

/* Of two workers the first one to run a batch does not return from the first future of it. */
TEST(a_future_that_blocks_a_worker_holds_up_no_batch)
{
    static uint64_t first, second, blocked;
    nart_tokio_op workers[3] = { { 0 } };

    open_with_workers(2);
    CHECK_RES(test_block_worker(bridge, &first, &workers[0]), 0);
    wait_for(&first, 1);
    CHECK_RES(test_block_worker(bridge, &second, &workers[1]), 0);
    wait_for(&second, 1);

    CHECK_RES(test_block_worker(bridge, &blocked, &workers[2]), 0);
    submit_values();
    set_word(&first, 2);
    wait_for(&blocked, 1);
    set_word(&second, 2);
    check_values();
    set_word(&blocked, 2);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(wait_for_answer(&workers[i], NULL), 0);
        nart_tokio_op_close(&workers[i]);
    }
    close_ops();
    both_close();
}

TEST_WITH(a_future_may_be_large_and_aligned, both)
{
    nart_tokio_op op = { 0 };

    for (size_t n = 0; n < 4; n++) {
        int64_t value = 0;
        CHECK_RES(test_large(bridge, (uint32_t)n, &op), 0);
        CHECK_RES(await_op(&op, &value), 0);
        CHECK_EQ(value, 7);
        nart_tokio_op_close(&op);
    }
}
