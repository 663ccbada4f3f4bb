/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Channels of values between tasks of a loop and Rust futures or threads: nothing is lost, nobody is left
 * waiting, and each side learns of the other's end. A lost wake-up shows as a hang, which the test's timeout
 * ends. Much that is the same for bytes is tested in test_bytes.c only. */
#include "bridge.h"

#include <nart/chan.h>

#include <pthread.h>
#include <unistd.h>

enum { LOCAL = NART_CHAN_LOCAL, SPSC = NART_CHAN_SPSC, MPSC = NART_CHAN_MPSC };

static nart_tx to_rust, from_rust_tx;
static nart_rx to_rust_rx, from_rust;

static void open_one(uint32_t kind, size_t elem, size_t capacity, nart_tx *tx, nart_rx *rx)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;

    opts.kind = kind;
    opts.elem = elem;
    opts.capacity = capacity;
    CHECK_RES(nart_chan_open(loop, &opts, tx, rx), 0);
}

static void open_both_ways(uint32_t kind, size_t capacity)
{
    open_one(kind, sizeof(uint64_t), capacity, &to_rust, &to_rust_rx);
    open_one(kind, sizeof(uint64_t), capacity, &from_rust_tx, &from_rust);
}

struct counts {
    nart_co co;
    uint64_t i, n, value;
};

static nart_res sends_run(nart_cx *cx, void *frame)
{
    struct counts *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < f->n; f->i++) {
        NART_AWAIT(r, nart_send(cx, &to_rust, &f->i));
        if (r < 0)
            break;
    }
    nart_tx_close(&to_rust);
    NART_END(r < 0 ? r : (nart_res)f->i);
}

/* The number of values, which are 0, 1, 2 and so on. */
static nart_res receives_run(nart_cx *cx, void *frame)
{
    struct counts *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0;; f->i++) {
        NART_AWAIT(r, nart_recv(cx, &from_rust, &f->value));
        if (r < 0)
            break;
        CHECK_EQ(f->value, f->i);
    }
    CHECK_RES(r, NART_ECLOSED);
    nart_rx_close(&from_rust);
    NART_END((nart_res)f->i);
}

static const nart_task_type sends_type = NART_TASK_TYPE(struct counts, sends_run, NULL);
static const nart_task_type receives_type = NART_TASK_TYPE(struct counts, receives_run, NULL);

static void relay(uint32_t kind, size_t capacity, uint32_t how, uint64_t n)
{
    nart_tokio_op op = { 0 };

    open_with_workers(2);
    open_both_ways(kind, capacity);
    CHECK_RES(test_chan_relay(bridge, &to_rust_rx, &from_rust_tx, how, &op), 0);
    pass_through_rust(&sends_type, &(struct counts){ .n = n }, &receives_type, &op, n);
}

TEST_EACH(a_million_values_go_to_rust_and_back_through_full_channels, SPSC, MPSC)
{
    relay(kind, 64, 0, test_repeat(10000000));
}

TEST_EACH(as_a_stream_and_a_sink, SPSC, MPSC)
{
    relay(kind, 4, 1, test_repeat(100000));
}

TEST_EACH(dropped_futures_lose_no_value_and_no_wake_up, SPSC, MPSC)
{
    relay(kind, 4, 2, test_repeat(100000));
}

TEST_EACH(a_thread_that_blocks, SPSC, MPSC)
{
    relay(kind, 4, 3, test_repeat(100000));
}

TEST_EACH(each_poll_may_be_on_another_thread, SPSC, MPSC)
{
    relay(kind, 4, 10, test_repeat(5000));
}

/* ---- many senders ---- */

enum { TASKS = 4 }; /* in Rust; task 0 is one of the loop */

struct counts_each {
    nart_co co;
    uint64_t value, next[TASKS + 1];
};

/* The number of values: those of each sender are 0, 1, 2 and so on. */
static nart_res receives_each_run(nart_cx *cx, void *frame)
{
    struct counts_each *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_recv(cx, &from_rust, &f->value));
        if (r < 0)
            break;
        CHECK_LE(f->value >> 32, TASKS);
        CHECK_EQ(f->value & UINT32_MAX, f->next[f->value >> 32]++);
    }
    CHECK_RES(r, NART_ECLOSED);
    nart_rx_close(&from_rust);
    for (int i = 1; i <= TASKS; i++)
        CHECK_EQ(f->next[i], f->next[0]);
    NART_END((nart_res)f->next[0]);
}

static const nart_task_type receives_each_type =
    NART_TASK_TYPE(struct counts_each, receives_each_run, NULL);

TEST(senders_of_c_and_rust_share_a_full_channel)
{
    uint64_t n = test_repeat(100000);
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    open_with_workers(2);
    open_one(MPSC, sizeof(uint64_t), 2, &from_rust_tx, &from_rust);
    CHECK_RES(nart_tx_clone(&from_rust_tx, &to_rust), 0); /* the task of the loop sends there */
    CHECK_RES(test_chan_senders(bridge, &from_rust_tx, TASKS, n, &op), 0);
    CHECK_RES(nart_rt_spawn(loop, &sends_type, &(struct counts){ .n = n }, NULL), 0);
    CHECK_RES(nart_block_on(loop, &receives_each_type, NULL, &r), 0);
    CHECK_EQ(r, n);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- the end of a side ---- */

TEST_EACH(rust_is_dropped_while_it_receives, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    both_open();
    open_both_ways(kind, 1);
    CHECK_RES(test_chan_relay(bridge, &to_rust_rx, &from_rust_tx, 0, &op), 0);
    for (int i = 0; i < 100; i++)
        let_others_run();
    nart_tokio_op_cancel(&op);
    CHECK_RES(nart_block_on(loop, &receives_type, NULL, &r), 0);
    CHECK_RES(r, 0);
    CHECK_RES(nart_block_on(loop, &sends_type, &(struct counts){ .n = UINT64_MAX }, &r), 0);
    CHECK_RES(r, NART_ECLOSED);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    nart_tokio_op_close(&op);
}

TEST_EACH(c_closes_while_rust_sends, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };

    both_open();
    open_both_ways(kind, 1);
    CHECK_RES(test_chan_relay(bridge, &to_rust_rx, &from_rust_tx, 0, &op), 0);
    for (uint64_t i = 0; i < 2; i++) { /* the second one waits in Rust */
        while (nart_try_send(&to_rust, &i) == -EAGAIN)
            let_others_run();
    }
    while (nart_tx_len(&to_rust) > 0)
        let_others_run();
    nart_rx_close(&from_rust);
    CHECK_RES(wait_for_answer(&op, NULL), NART_ECLOSED);
    CHECK(nart_tx_is_closed(&to_rust));
    nart_tx_close(&to_rust);
    nart_tokio_op_close(&op);
}

TEST_EACH(a_shutdown_of_the_bridge_closes_the_ends_of_its_futures, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };
    uint64_t value = 0;

    both_open();
    open_both_ways(kind, 1);
    CHECK_RES(test_chan_relay(bridge, &to_rust_rx, &from_rust_tx, 0, &op), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(nart_try_send(&to_rust, &value), NART_ECLOSED);
    CHECK_RES(nart_try_recv(&from_rust, &value), NART_ECLOSED);
    nart_tx_close(&to_rust);
    nart_rx_close(&from_rust);
    nart_tokio_op_close(&op);
}

/* ---- what crosses ---- */

TEST_EACH(ends_go_to_rust_and_back, SPSC, MPSC)
{
    nart_tx tx;
    nart_rx rx;
    uint64_t value = 0;

    both_open();
    open_one(kind, sizeof value, 4, &tx, &rx);
    CHECK_RES(test_chan_tx_cross(&tx, 1), 0);
    CHECK_RES(test_chan_tx_cross(&tx, 2), 0);
    CHECK_RES(test_chan_rx_cross(&rx, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_RES(nart_rx_bind(&rx, loop), 0);
    CHECK_RES(nart_try_recv(&rx, &value), 0);
    CHECK_EQ(value, 2);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
}

static nart_res waits_run(nart_cx *cx, void *frame)
{
    return nart_recv(cx, &from_rust, frame);
}

static const nart_task_type waits_type = NART_TASK_TYPE(uint64_t, waits_run, NULL);

static void *on_other_thread(void *arg)
{
    uint64_t value;

    CHECK_RES(test_chan_rx_cross(arg, &value), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(ends_that_cannot_cross, both)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_rt_opts spinning = NART_RT_OPTS_INIT;
    nart_tx tx = { 0 };
    nart_rx rx = { 0 };
    nart_rt *other;
    uint64_t value = 0;
    pthread_t thread;

    CHECK_RES(test_chan_rx_cross(NULL, &value), -EINVAL);
    CHECK_RES(test_chan_tx_cross(NULL, value), -EINVAL);
    CHECK_RES(test_chan_rx_cross(&rx, &value), NART_ECLOSED);
    CHECK_RES(test_chan_tx_cross(&tx, value), NART_ECLOSED);

    open_one(LOCAL, sizeof value, 1, &tx, &rx);
    CHECK_RES(test_chan_rx_cross(&rx, &value), -EINVAL);
    CHECK_RES(test_chan_tx_cross(&tx, value), -EINVAL);
    nart_tx_close(&tx);
    nart_rx_close(&rx);

    open_one(MPSC, sizeof(uint32_t), 1, &tx, &rx);
    CHECK_RES(test_chan_rx_cross(&rx, &value), -EINVAL);
    CHECK_RES(test_chan_tx_cross(&tx, value), -EINVAL);
    nart_tx_close(&tx);
    nart_rx_close(&rx);

    open_one(MPSC, sizeof value, 1, &tx, &from_rust);
    CHECK_RES(nart_rt_spawn(loop, &waits_type, NULL, NULL), 0);
    CHECK_LE(0, nart_rt_poll(loop, 0));
    CHECK_RES(test_chan_rx_cross(&from_rust, &value), -EBUSY);
    CHECK_EQ(pthread_create(&thread, NULL, on_other_thread, &from_rust), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_RES(nart_try_send(&tx, &value), 0);
    CHECK_RES(nart_rt_run(loop), 0); /* nothing was done: the task receives its value */
    nart_rx_close(&from_rust);
    nart_tx_close(&tx);

    spinning.flags = NART_RT_SPINNING;
    spinning.alloc = &test_alloc;
    CHECK_RES(nart_rt_new(&spinning, &other), 0);
    opts.kind = SPSC;
    opts.flags = NART_CHAN_SPINNING;
    opts.elem = sizeof value;
    opts.capacity = 1;
    CHECK_RES(nart_chan_open(other, &opts, &tx, &rx), 0);
    CHECK_RES(test_chan_rx_cross(&rx, &value), -EINVAL);
    CHECK_RES(test_chan_tx_cross(&tx, 5), 0);
    CHECK_RES(nart_try_recv(&rx, &value), 0);
    CHECK_EQ(value, 5);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    CHECK_RES(nart_rt_free(other), 0);
}

/* ---- a child of fork ---- */

TEST_WITH(in_a_child_of_fork_an_end_is_refused_and_closed, both)
{
    uint64_t value = 7;

    open_one(MPSC, sizeof value, 4, &to_rust, &to_rust_rx);
    CHECK_RES(nart_try_send(&to_rust, &value), 0);
    void *rx = test_chan_rx_new(&to_rust_rx);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_RES(test_chan_rx_try(rx), NART_EFORK);
        test_chan_rx_drop(rx);
        CHECK(nart_tx_is_closed(&to_rust));
        end_leaking_child();
    }
    check_child(pid);
    CHECK_RES(test_chan_rx_try(rx), 7);
    test_chan_rx_drop(rx);
    nart_tx_close(&to_rust);
}
