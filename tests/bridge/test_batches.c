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

/* ---- tasks of C ---- */

/* Answers its number at once, or waits until it is cancelled. */
struct member {
    int64_t number;
    bool waits;
};

static _Atomic int polled, dropped;

static nart_res member_run(nart_cx *cx, void *frame)
{
    const struct member *m = frame;

    polled++;
    if (!m->waits)
        return (nart_res)m->number;
    nart_res r = nart_op_enter(cx);
    return r != 0 ? r : nart_op_park(cx);
}

static void member_drop(void *frame)
{
    (void)frame;
    dropped++;
}

static const nart_task_type member_type =
    NART_TASK_TYPE_FLAGS(struct member, member_run, member_drop, NART_TASK_SEND);

/* Its frame does not fit into the block of its operation. */
struct large {
    _Alignas(64) struct member member;
    char more[1000];
};

static const nart_task_type large_type =
    NART_TASK_TYPE_FLAGS(struct large, member_run, member_drop, NART_TASK_SEND);

static void submit_task(int i, bool waits)
{
    struct large init = { .member = { .number = i, .waits = waits } };

    CHECK_RES(nart_tokio_spawn_task(bridge, i % 2 ? &large_type : &member_type, &init, &ops[i]), 0);
}

static void submit_tasks(bool wait)
{
    polled = dropped = 0;
    for (int i = 0; i < BATCH; i++)
        submit_task(i, wait);
}

/* Each was polled and dropped once, and has this answer. */
static void check_tasks(nart_res answer, nart_res other)
{
    for (int i = 0; i < BATCH; i++) {
        nart_res r = wait_for_answer(&ops[i], NULL);
        CHECK_RES(r, r == other ? other : answer);
    }
    CHECK_EQ(polled, BATCH);
    CHECK_EQ(dropped, BATCH);
    close_ops();
}

TEST_WITH(a_batch_may_mix_futures_and_tasks, both)
{
    nart_tokio_op worker = { 0 };

    polled = dropped = 0;
    occupy_worker(&worker);
    for (int i = 0; i < BATCH; i++) {
        if (i % 3)
            submit_task(i, false);
        else
            CHECK_RES(test_value(bridge, i, &ops[i]), 0);
    }
    release_worker(&worker);
    check_values();
    CHECK_EQ(dropped, polled);
    close_ops();
}

TEST_WITH(tasks_of_a_batch_are_cancelled_before_they_start, both)
{
    nart_tokio_op worker = { 0 };

    occupy_worker(&worker);
    submit_tasks(true);
    for (int i = 0; i < BATCH; i++)
        nart_tokio_op_cancel(&ops[i]);
    release_worker(&worker);
    check_tasks(NART_EABORTED, NART_EABORTED);
}

TEST_WITH(a_shutdown_polls_each_task_of_a_batch_once, both)
{
    nart_tokio_op worker = { 0 }, end = { 0 };

    occupy_worker(&worker);
    submit_tasks(true);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, 30 * NART_SEC, &end), 0);
    let_worker_go();
    CHECK_RES(wait_for_answer(&end, NULL), 0);
    check_tasks(NART_EABORTED, NART_EABORTED);
    nart_tokio_op_close(&worker);
    nart_tokio_op_close(&end);
}

TEST_WITH(tasks_of_a_batch_are_dropped_with_its_runtime, both)
{
    nart_tokio_op worker = { 0 };

    occupy_worker(&worker);
    submit_tasks(true);
    nart_tokio_free(bridge);
    bridge = NULL;
    let_worker_go();
    check_tasks(NART_ESHUTDOWN, NART_EABORTED); /* dropped, or polled before */
    nart_tokio_op_close(&worker);
}

/* Whoever cancels meets tasks that are queued, that run, and that wait. */
TEST_WITH(a_cancel_reaches_a_task_at_any_time, both)
{
    for (int round = 0; round < 20; round++) {
        submit_tasks(true);
        for (int i = 0; i < BATCH; i++)
            nart_tokio_op_cancel(&ops[i]);
        for (int i = 0; i < BATCH; i++)
            CHECK_RES(wait_for_answer(&ops[i], NULL), NART_EABORTED);
        CHECK_EQ(dropped, BATCH);
        close_ops();
    }
}
