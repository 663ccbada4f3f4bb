/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Channels of bytes between tasks of a loop and Rust futures: nothing is lost, nobody is left waiting, and
 * each side learns of the other's end. A lost wake-up shows as a hang, which the test's timeout ends. */
#include "bridge.h"

#include <nart/bytes.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { SPSC = NART_BYTES_SPSC, MPSC = NART_BYTES_MPSC };

/* ---- a channel to Rust, a channel back, and the tasks at both ends ---- */

static nart_bytes_tx to_rust, from_rust_tx;
static nart_bytes_rx to_rust_rx, from_rust;

static void open_one(uint32_t kind, size_t capacity, size_t max_len, nart_bytes_tx *tx,
                     nart_bytes_rx *rx)
{
    nart_bytes_opts opts = NART_BYTES_OPTS_INIT;

    opts.kind = kind;
    opts.capacity = capacity;
    opts.max_len = max_len;
    CHECK_RES(nart_bytes_open(loop, &opts, tx, rx), 0);
}

static void open_both_ways(uint32_t kind, size_t capacity)
{
    open_one(kind, capacity, 32, &to_rust, &to_rust_rx);
    open_one(kind, capacity, 32, &from_rust_tx, &from_rust);
}

/* A message is its number, as many times as fits the number. */
static size_t length_of(uint64_t number)
{
    return (size_t)(1 + number % 4) * sizeof number;
}

struct sends {
    nart_co co;
    uint64_t i, n, message[4];
};

static nart_res sends_run(nart_cx *cx, void *frame)
{
    struct sends *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < s->n; s->i++) {
        for (size_t k = 0; k < 4; k++)
            s->message[k] = s->i;
        NART_AWAIT(r, nart_bytes_send(cx, &to_rust, s->message, length_of(s->i)));
        if (r < 0)
            break;
    }
    nart_bytes_tx_close(&to_rust);
    NART_END(r < 0 ? r : (nart_res)s->i);
}

struct receives {
    nart_co co;
    nart_bytes_msg msg;
    uint64_t i, bytes;
};

static void check_message(uint64_t number, const nart_bytes_msg *msg)
{
    const uint64_t *words = msg->ptr;

    CHECK_EQ(msg->len, length_of(number));
    for (size_t k = 0; k < msg->len / sizeof *words; k++)
        CHECK_EQ(words[k], number);
}

/* The number of messages. */
static nart_res receives_run(nart_cx *cx, void *frame)
{
    struct receives *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0;; f->i++) {
        NART_AWAIT(r, nart_bytes_recv(cx, &from_rust, &f->msg));
        if (r < 0)
            break;
        check_message(f->i, &f->msg);
        CHECK_RES(nart_bytes_release(&from_rust, &f->msg), 0);
    }
    CHECK_RES(r, NART_ECLOSED);
    nart_bytes_rx_close(&from_rust);
    NART_END((nart_res)f->i);
}

/* The number of bytes, which are 0, 1, 2 and so on. */
static nart_res receives_bytes_run(nart_cx *cx, void *frame)
{
    struct receives *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_bytes_recv(cx, &from_rust, &f->msg));
        if (r < 0)
            break;
        CHECK_LE(1, f->msg.len);
        for (size_t k = 0; k < f->msg.len; k++)
            CHECK_EQ(((const unsigned char *)f->msg.ptr)[k], (unsigned char)f->bytes++);
        CHECK_RES(nart_bytes_release(&from_rust, &f->msg), 0);
    }
    CHECK_RES(r, NART_ECLOSED);
    nart_bytes_rx_close(&from_rust);
    NART_END((nart_res)f->bytes);
}

static const nart_task_type sends_type = NART_TASK_TYPE(struct sends, sends_run, NULL);
static const nart_task_type receives_type = NART_TASK_TYPE(struct receives, receives_run, NULL);
static const nart_task_type receives_bytes_type =
    NART_TASK_TYPE(struct receives, receives_bytes_run, NULL);

static void relay(uint32_t kind, size_t capacity, uint32_t how, uint64_t n)
{
    nart_tokio_op op = { 0 };

    open_with_workers(2);
    open_both_ways(kind, capacity);
    CHECK_RES(test_bytes_relay(bridge, &to_rust_rx, &from_rust_tx, how, &op), 0);
    pass_through_rust(&sends_type, &(struct sends){ .n = n }, &receives_type, &op, n);
}

TEST_EACH(a_million_messages_go_to_rust_and_back_through_full_channels, SPSC, MPSC)
{
    relay(kind, 1024, 0, test_repeat(10000000));
}

TEST_EACH(as_a_stream, SPSC, MPSC)
{
    relay(kind, 64, 1, test_repeat(100000));
}

TEST_EACH(dropped_futures_lose_no_message_and_no_wake_up, SPSC, MPSC)
{
    relay(kind, 64, 2, test_repeat(100000));
}

TEST_EACH(each_poll_may_be_on_another_thread, SPSC, MPSC)
{
    relay(kind, 64, 10, test_repeat(5000));
}

/* ---- as streams of bytes ---- */

struct sends_bytes {
    nart_co co;
    uint64_t i, at, n;
    unsigned char message[32];
};

/* Messages of 0 to 32 bytes. */
static size_t part_of(const struct sends_bytes *s)
{
    return (size_t)(s->i % 33 < s->n - s->at ? s->i % 33 : s->n - s->at);
}

static nart_res sends_bytes_run(nart_cx *cx, void *frame)
{
    struct sends_bytes *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->at < s->n; s->i++) {
        for (size_t k = 0; k < part_of(s); k++)
            s->message[k] = (unsigned char)(s->at + k);
        NART_AWAIT(r, nart_bytes_send(cx, &to_rust, s->message, part_of(s)));
        CHECK_RES(r, 0);
        s->at += part_of(s);
    }
    nart_bytes_tx_close(&to_rust);
    NART_END(0);
}

static const nart_task_type sends_bytes_type =
    NART_TASK_TYPE(struct sends_bytes, sends_bytes_run, NULL);

static void read_as(uint32_t how)
{
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    open_with_workers(2);
    open_both_ways(SPSC, 128);
    CHECK_RES(test_bytes_relay(bridge, &to_rust_rx, &from_rust_tx, how, &op), 0);
    CHECK_RES(nart_rt_spawn(loop, &sends_bytes_type, &(struct sends_bytes){ .n = 50000 }, NULL), 0);
    CHECK_RES(nart_block_on(loop, &receives_bytes_type, NULL, &r), 0);
    CHECK_EQ(r, 50000);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

TEST(read_one_byte_at_a_time)
{
    read_as(3);
}

TEST(read_in_place)
{
    read_as(4);
}

TEST_WITH(a_write_longer_than_a_message_is_several_messages, both)
{
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    open_one(SPSC, 64, 20, &from_rust_tx, &from_rust);
    CHECK_RES(test_bytes_write(bridge, &from_rust_tx, 1000, &op), 0);
    CHECK_RES(nart_block_on(loop, &receives_bytes_type, NULL, &r), 0);
    CHECK_EQ(r, 1000);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- the end of a side ---- */

TEST_EACH(c_closes_the_sender, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    both_open();
    open_one(kind, 1024, 0, &to_rust, &to_rust_rx);
    CHECK_RES(test_bytes_count(bridge, &to_rust_rx, false, &op), 0);
    CHECK_RES(nart_bytes_try_send(&to_rust, "12345", 5), 0);
    CHECK_RES(nart_bytes_try_send(&to_rust, "678", 3), 0);
    nart_bytes_tx_close(&to_rust);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 8);
    nart_tokio_op_close(&op);
}

/* Rust waits for room. */
TEST_EACH(c_closes_the_receiver, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };

    both_open();
    open_both_ways(kind, 64);
    CHECK_RES(test_bytes_relay(bridge, &to_rust_rx, &from_rust_tx, 0, &op), 0);
    while (nart_bytes_rx_len(&from_rust) < 64) {
        (void)!nart_bytes_try_send(&to_rust, "123456789", 9);
        let_others_run();
    }
    CHECK_RES(nart_bytes_try_send(&to_rust, "123456789", 9), 0);
    nart_bytes_rx_close(&from_rust);
    CHECK_RES(wait_for_answer(&op, NULL), NART_ECLOSED);
    CHECK(nart_bytes_tx_is_closed(&to_rust));
    nart_bytes_tx_close(&to_rust);
    nart_tokio_op_close(&op);
}

TEST_EACH(rust_closes_and_receives_the_rest, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    both_open();
    open_one(kind, 1024, 0, &to_rust, &to_rust_rx);
    CHECK_RES(nart_bytes_try_send(&to_rust, "12345", 5), 0);
    CHECK_RES(test_bytes_count(bridge, &to_rust_rx, true, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 5);
    CHECK_RES(nart_bytes_try_send(&to_rust, "1", 1), NART_ECLOSED);
    nart_bytes_tx_close(&to_rust);
    nart_tokio_op_close(&op);
}

/* Cancelling the operation drops the future while it waits. */
TEST_EACH(a_receiver_is_dropped_while_it_waits, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };
    nart_res r = 0;

    both_open();
    open_one(kind, 64, 32, &to_rust, &to_rust_rx);
    CHECK_RES(test_bytes_count(bridge, &to_rust_rx, false, &op), 0);
    for (int i = 0; i < 100; i++)
        let_others_run();
    nart_tokio_op_cancel(&op);
    CHECK_RES(nart_block_on(loop, &sends_type, &(struct sends){ .n = UINT64_MAX }, &r), 0);
    CHECK_RES(r, NART_ECLOSED);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    nart_tokio_op_close(&op);
}

/* It is the first in the queue of senders; then the next one is, a task of the loop. */
TEST_WITH(a_sender_is_dropped_while_others_wait_behind_it, both)
{
    static nart_bytes_tx second;
    nart_tokio_op op = { 0 };
    nart_bytes_msg msg;
    nart_join join = { 0 };

    open_one(MPSC, 64, 64, &from_rust_tx, &from_rust);
    CHECK_RES(nart_bytes_tx_clone(&from_rust_tx, &to_rust), 0);
    CHECK_RES(nart_bytes_tx_clone(&from_rust_tx, &second), 0);
    CHECK_RES(nart_bytes_try_send(&second, "x", 1), 0);
    CHECK_RES(test_bytes_write(bridge, &from_rust_tx, 64, &op), 0);
    while (nart_bytes_try_claim(&second, 1, &(nart_bytes_buf){ 0 }) != -EAGAIN) {
        nart_bytes_tx_close(&second); /* an open claim is aborted */
        CHECK_RES(nart_bytes_tx_clone(&to_rust, &second), 0);
        let_others_run();
    }
    CHECK_RES(nart_rt_spawn(loop, &sends_type, &(struct sends){ .n = 1 }, &join), 0);
    CHECK_LE(0, nart_rt_poll(loop, 0));
    nart_tokio_op_cancel(&op);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    CHECK_RES(nart_bytes_try_recv(&from_rust, &msg), 0);
    CHECK_RES(nart_bytes_release(&from_rust, &msg), 0);
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    nart_bytes_tx_close(&second);
    nart_bytes_rx_close(&from_rust);
    nart_tokio_op_close(&op);
}

TEST_EACH(a_shutdown_of_the_bridge_closes_the_ends_of_its_futures, SPSC, MPSC)
{
    nart_tokio_op op = { 0 };
    nart_bytes_msg msg;

    both_open();
    open_both_ways(kind, 64);
    CHECK_RES(test_bytes_relay(bridge, &to_rust_rx, &from_rust_tx, 0, &op), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(nart_bytes_try_send(&to_rust, "x", 1), NART_ECLOSED);
    CHECK_RES(nart_bytes_try_recv(&from_rust, &msg), NART_ECLOSED);
    nart_bytes_tx_close(&to_rust);
    nart_bytes_rx_close(&from_rust);
    nart_tokio_op_close(&op);
}

/* ---- to Rust, and back to C ---- */

TEST_EACH(ends_go_to_rust_and_back, SPSC, MPSC)
{
    nart_bytes_tx tx;
    nart_bytes_rx rx;
    nart_bytes_msg msg;
    nart_res error = 0;

    both_open();
    open_one(kind, 256, 0, &tx, &rx);
    CHECK_RES(nart_bytes_try_send(&tx, "one", 3), 0);
    void *rust_rx = test_bytes_rx_new(&rx, &error), *rust_tx = test_bytes_tx_new(&tx, &error);
    CHECK(rust_rx && rust_tx);
    CHECK_RES(nart_bytes_try_send(&tx, "x", 1), NART_ECLOSED);
    CHECK_RES(nart_bytes_try_recv(&rx, &msg), NART_ECLOSED);
    CHECK_RES(test_bytes_rx_try(rust_rx), 3);
    CHECK_RES(test_bytes_rx_try(rust_rx), -EAGAIN);
    CHECK_RES(test_bytes_tx_try(rust_tx, "four", 4), 0);
    test_bytes_rx_end(rust_rx, &rx);
    test_bytes_tx_end(rust_tx, &tx);
    CHECK_RES(nart_bytes_rx_bind(&rx, loop), 0);
    CHECK_RES(nart_bytes_try_recv(&rx, &msg), 0);
    CHECK_EQ(msg.len, 4);
    CHECK_RES(nart_bytes_release(&rx, &msg), 0);
    nart_bytes_tx_close(&tx);
    nart_bytes_rx_close(&rx);
}

/* ---- what is refused ---- */

static nart_res waits_run(nart_cx *cx, void *frame)
{
    return nart_bytes_recv(cx, &from_rust, frame);
}

static const nart_task_type waits_type = NART_TASK_TYPE(nart_bytes_msg, waits_run, NULL);

static void *on_other_thread(void *arg)
{
    nart_res error = 0;

    CHECK(!test_bytes_rx_new(arg, &error));
    CHECK_RES(error, NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(ends_that_cannot_cross, both)
{
    nart_bytes_opts opts = NART_BYTES_OPTS_INIT;
    nart_rt_opts spinning = NART_RT_OPTS_INIT;
    nart_bytes_tx tx = { 0 };
    nart_bytes_rx rx = { 0 };
    nart_bytes_msg msg;
    nart_rt *other;
    nart_res error = 0;
    pthread_t thread;

    CHECK(!test_bytes_rx_new(NULL, &error));
    CHECK_RES(error, -EINVAL);
    CHECK(!test_bytes_tx_new(NULL, &error));
    CHECK_RES(error, -EINVAL);
    CHECK(!test_bytes_rx_new(&rx, &error));
    CHECK_RES(error, NART_ECLOSED);
    CHECK(!test_bytes_tx_new(&tx, &error));
    CHECK_RES(error, NART_ECLOSED);

    open_one(SPSC, 64, 0, &tx, &from_rust);
    CHECK_RES(nart_rt_spawn(loop, &waits_type, NULL, NULL), 0);
    CHECK_LE(0, nart_rt_poll(loop, 0));
    CHECK(!test_bytes_rx_new(&from_rust, &error));
    CHECK_RES(error, -EBUSY);
    CHECK_EQ(pthread_create(&thread, NULL, on_other_thread, &from_rust), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_RES(nart_bytes_try_send(&tx, "x", 1), 0);
    CHECK_RES(nart_rt_run(loop),
              0); /* nothing was done: the task has its message, and still holds it */
    CHECK(!test_bytes_rx_new(&from_rust, &error));
    CHECK_RES(error, -EBUSY);
    nart_bytes_rx_close(&from_rust);
    nart_bytes_tx_close(&tx);

    spinning.flags = NART_RT_SPINNING;
    spinning.alloc = &test_alloc;
    CHECK_RES(nart_rt_new(&spinning, &other), 0);
    opts.kind = SPSC;
    opts.flags = NART_BYTES_SPINNING;
    opts.capacity = 64;
    CHECK_RES(nart_bytes_open(other, &opts, &tx, &rx), 0);
    CHECK(!test_bytes_rx_new(&rx, &error));
    CHECK_RES(error, -EINVAL);
    void *sender = test_bytes_tx_new(&tx, &error);
    CHECK_RES(test_bytes_tx_try(sender, "x", 1), 0);
    test_bytes_tx_drop(sender);
    CHECK_RES(nart_bytes_try_recv(&rx, &msg), 0);
    nart_bytes_rx_close(&rx);
    CHECK_RES(nart_rt_free(other), 0);
}

/* ---- a child of fork ---- */

TEST_WITH(in_a_child_of_fork_the_ends_are_refused_and_closed, both)
{
    nart_res error = 0;

    open_both_ways(MPSC, 64);
    CHECK_RES(nart_bytes_try_send(&to_rust, "abc", 3), 0);
    void *rx = test_bytes_rx_new(&to_rust_rx, &error);
    void *tx = test_bytes_tx_new(&from_rust_tx, &error);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_RES(test_bytes_rx_try(rx), NART_EFORK);
        CHECK_RES(test_bytes_tx_try(tx, "x", 1), NART_EFORK);
        test_bytes_rx_drop(rx);
        test_bytes_tx_drop(tx);
        CHECK(nart_bytes_tx_is_closed(&to_rust));
        CHECK(nart_bytes_rx_is_closed(&from_rust));
        end_leaking_child();
    }
    check_child(pid);
    CHECK_RES(test_bytes_rx_try(rx), 3);
    CHECK_RES(test_bytes_tx_try(tx, "x", 1), 0);
    test_bytes_rx_drop(rx);
    test_bytes_tx_drop(tx);
    nart_bytes_tx_close(&to_rust);
    nart_bytes_rx_close(&from_rust);
}
