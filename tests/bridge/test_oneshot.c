/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Oneshots between tasks of a loop and Rust futures. */
#include "bridge.h"

#include <nart/oneshot.h>

struct asks {
    nart_oneshot_rx rx;
    uint64_t answer;
};

static nart_res asks_run(nart_cx *cx, void *frame)
{
    struct asks *f = frame;
    nart_res r = nart_oneshot_recv(cx, &f->rx, &f->answer);
    return r == 0 ? (nart_res)f->answer : r;
}

static void asks_drop(void *frame)
{
    nart_oneshot_rx_close(&((struct asks *)frame)->rx);
}

static const nart_task_type asks_type = NART_TASK_TYPE(struct asks, asks_run, asks_drop);

TEST_WITH(a_future_answers_a_task, both)
{
    struct asks f = { 0 };
    nart_oneshot_tx tx;
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    CHECK_RES(nart_oneshot_open(loop, sizeof f.answer, NULL, &tx, &f.rx), 0);
    CHECK_RES(test_oneshot_answer(bridge, &tx, true, &op), 0);
    CHECK(nart_oneshot_tx_is_closed(&tx));
    CHECK_RES(nart_block_on(loop, &asks_type, &f, &r), 0);
    CHECK_EQ(r, 42);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_future_that_is_dropped_answers_closed, both)
{
    struct asks f = { 0 };
    nart_oneshot_tx tx;
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    CHECK_RES(nart_oneshot_open(loop, sizeof f.answer, NULL, &tx, &f.rx), 0);
    CHECK_RES(test_oneshot_answer(bridge, &tx, false, &op), 0);
    nart_tokio_op_cancel(&op);
    CHECK_RES(nart_block_on(loop, &asks_type, &f, &r), 0);
    CHECK_RES(r, NART_ECLOSED);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_task_that_is_gone_refuses_the_answer, both)
{
    nart_oneshot_tx tx;
    nart_oneshot_rx rx;
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_oneshot_open(loop, sizeof(uint64_t), NULL, &tx, &rx), 0);
    nart_oneshot_rx_close(&rx);
    CHECK_RES(test_oneshot_answer(bridge, &tx, true, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_ECLOSED);
    nart_tokio_op_close(&op);
}

TEST_WITH(c_answers_a_future, both)
{
    for (int64_t sent = 0; sent < 100; sent++) {
        nart_oneshot_tx tx;
        nart_oneshot_rx rx;
        nart_tokio_op op = { 0 };
        int64_t value = -1;

        CHECK_RES(nart_oneshot_open(loop, sizeof sent, NULL, &tx, &rx), 0);
        CHECK_RES(test_oneshot_value(bridge, &rx, &op), 0);
        random_pause(3000);
        CHECK_RES(nart_oneshot_send(&tx, &sent), 0);
        CHECK_RES(wait_for_answer(&op, &value), 0);
        CHECK_EQ(value, sent);
        nart_tokio_op_close(&op);
    }
}

TEST_WITH(c_closes_and_a_future_learns_of_it, both)
{
    nart_oneshot_tx tx;
    nart_oneshot_rx rx;
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_oneshot_open(loop, sizeof(int64_t), NULL, &tx, &rx), 0);
    CHECK_RES(test_oneshot_value(bridge, &rx, &op), 0);
    let_others_run();
    nart_oneshot_tx_close(&tx);
    CHECK_RES(wait_for_answer(&op, NULL), NART_ECLOSED);
    nart_tokio_op_close(&op);
}

TEST_WITH(ends_that_cannot_cross, both)
{
    nart_oneshot_tx tx = { 0 };
    nart_oneshot_rx rx = { 0 };
    nart_tokio_op op = { 0 };
    int64_t slot = 0;

    CHECK_RES(test_oneshot_answer(bridge, NULL, true, &op), -EINVAL);
    CHECK_RES(test_oneshot_value(bridge, NULL, &op), -EINVAL);
    CHECK_RES(test_oneshot_answer(bridge, &tx, true, &op), NART_ECLOSED);
    CHECK_RES(test_oneshot_value(bridge, &rx, &op), NART_ECLOSED);
    CHECK_RES(nart_oneshot_link(&slot, sizeof slot, NULL, &tx, &rx), 0);
    CHECK_RES(test_oneshot_answer(bridge, &tx, true, &op), NART_EDRIVER);
    CHECK_RES(test_oneshot_value(bridge, &rx, &op), NART_EDRIVER);
    CHECK_RES(nart_oneshot_send(&tx, &(int64_t){ 5 }), 0);
    CHECK_RES(test_oneshot_value(bridge, &rx, &op), NART_EDRIVER);
    CHECK_RES(nart_oneshot_try_recv(&rx, &slot), 0);
    CHECK_EQ(slot, 5);
    nart_oneshot_rx_close(&rx);
}
