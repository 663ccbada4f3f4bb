/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A bridge on a tokio runtime of the program. */
#include "bridge.h"

static void *runtime;
static uint64_t started;

static nart_res polite(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    count(&started);
    while (!nart_tokio_stopped(stop))
        let_others_run();
    return -ECANCELED;
}

TEST(it_works_and_leaves_the_runtime_alone)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    CHECK_RES(test_adopt(&runtime, &bridge), 0);
    CHECK_RES(test_sleep(bridge, 2, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 2);
    nart_tokio_op_close(&op);

    CHECK_RES(nart_tokio_blocking(bridge, "job", polite, NULL, drop_arg, &op), 0);
    wait_for(&started, 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(wait_for_answer(&op, &value), NART_EABORTED);
    CHECK_EQ(read_word(&args_dropped), 1);
    nart_tokio_op_close(&op);
    both_close();
    test_adopt_end(runtime);
}

/* The runtime continues, and the bridge's futures end. */
TEST(futures_are_dropped)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(test_adopt(&runtime, &bridge), 0);
    CHECK_RES(test_never(bridge, &op), 0);
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, &r), 0);
    CHECK_EQ(r.shutdown, 1);
    CHECK_RES(nart_tokio_op_try(&op, NULL), NART_ESHUTDOWN);
    nart_tokio_op_close(&op);
    both_close();
    test_adopt_end(runtime);
}

TEST(freeing_the_bridge_drops_its_futures)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(test_adopt(&runtime, &bridge), 0);
    CHECK_RES(test_never(bridge, &op), 0);
    nart_tokio_free(bridge);
    bridge = NULL;
    CHECK_RES(wait_for_answer(&op, NULL), NART_ESHUTDOWN);
    nart_tokio_op_close(&op);
    test_adopt_end(runtime);
}

/* A future that does not return from its poll is reported, and its operation ends. */
TEST(futures_that_do_not_end_are_reported)
{
    static uint64_t gate;
    nart_tokio_op op = { 0 };
    CHECK_RES(test_adopt(&runtime, &bridge), 0);
    CHECK_RES(test_block_worker(bridge, &gate, &op), 0);
    wait_for(&gate, 1);
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;
    CHECK_RES(nart_tokio_shutdown(bridge, NART_MS, &r), -ETIMEDOUT);
    CHECK_EQ(r.leaked_tasks, 1);
    CHECK_RES(nart_tokio_op_try(&op, NULL), NART_ESHUTDOWN);
    count(&gate);
    test_adopt_end(runtime);
    CHECK_RES(nart_tokio_op_try(&op, NULL), NART_ESHUTDOWN);
    nart_tokio_op_close(&op);
    both_close();
}

/* The runtime ends under the bridge: work is answered or refused, nothing hangs. */
TEST(the_runtime_ends_first)
{
    nart_tokio_op never = { 0 }, late = { 0 };
    CHECK_RES(test_adopt(&runtime, &bridge), 0);
    CHECK_RES(test_never(bridge, &never), 0);
    test_adopt_end(runtime);
    CHECK_RES(wait_for_answer(&never, NULL), NART_ESHUTDOWN);
    CHECK_RES(test_value(bridge, 1, &late), 0); /* accepted, and dropped at once */
    CHECK_RES(wait_for_answer(&late, NULL), NART_ESHUTDOWN);
    nart_tokio_op_close(&never);
    nart_tokio_op_close(&late);
    CHECK_RES(nart_tokio_blocking(bridge, "job", polite, NULL, drop_arg, &late), 0); /* not on it */
    wait_for(&started, 1);
    nart_tokio_op_cancel(&late);
    CHECK_RES(wait_for_answer(&late, NULL), NART_EABORTED);
    nart_tokio_op_close(&late);
    both_close();
}
