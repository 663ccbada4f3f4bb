/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Byte channels from opening to freeing: streams through narrow rings, the budget of a poll,
 * receivers that spin or are bound to another runtime, other drivers, fork, and runtimes freed
 * before their channels. */
#include "by_hand.h"
#include "bytes_test.h"

#include <nart/driver.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- streams between tasks of one loop: neither side may block for ever ---- */

enum { PRODUCERS_MAX = 4 };

struct flow {
    nart_co co;
    nart_bytes_tx tx;
    nart_bytes_rx *rx;
    size_t len;
    uint64_t count, next, first;
    nart_bytes_msg msg;
    nart_bytes_buf buf;
};

static nart_res produce(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (; f->next < f->count; f->next++) {
        NART_AWAIT(r, nart_bytes_claim(cx, &f->tx, f->len, &f->buf));
        CHECK_RES(r, 0);
        message_write(f->buf.ptr, f->len, f->first + f->next);
        CHECK_RES(nart_bytes_commit(&f->tx, &f->buf), 0);
    }
    nart_bytes_tx_close(&f->tx);
    NART_END(0);
}

/* Returns the number of messages received; checks the order per producer. */
static nart_res consume(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_bytes_recv(cx, f->rx, &f->msg));
        if (r)
            break;
        if (f->first == 0) /* one producer: the contents are predictable */
            message_check(&f->msg, f->len, f->next);
        CHECK_RES(nart_bytes_release(f->rx, &f->msg), 0);
        f->next++;
    }
    CHECK_RES(r, NART_ECLOSED);
    NART_END((nart_res)f->next);
}

static const nart_task_type produce_type = NART_TASK_TYPE(struct flow, produce, NULL);
static const nart_task_type consume_type = NART_TASK_TYPE(struct flow, consume, NULL);

static void stream(struct bytes *b, unsigned producers, uint64_t count, size_t len)
{
    nart_res got = 0;

    for (unsigned i = 0; i < producers; i++) {
        struct flow from = { .count = count, .len = len, .first = i };
        if (i + 1 < producers)
            CHECK_RES(nart_bytes_tx_clone(&b->tx, &from.tx), 0);
        else
            nart_bytes_tx_move(&from.tx, &b->tx);
        CHECK_RES(nart_rt_spawn(b->rt, &produce_type, &from, NULL), 0);
    }
    struct flow to = { .rx = &b->rx, .len = len, .first = producers - 1 };
    CHECK_RES(nart_block_on(b->rt, &consume_type, &to, &got), 0);
    CHECK_EQ(got, count * producers);
    bytes_finish(b);
}

TEST_EACH(streams_through_narrow_rings, SPSC, MPSC)
{
    struct bytes b;
    bytes_open(&b, kind, 256);
    stream(&b, 1, 10000, 32);
    bytes_open(&b, kind, 128);
    stream(&b, 1, 5000, 8);
    bytes_open(&b, kind, 64);
    stream(&b, 1, 5000, 64);
    bytes_open_spinning(&b, kind, 256);
    stream(&b, 1, 10000, 32);
    bytes_open_spinning(&b, kind, 128);
    stream(&b, 1, 5000, 8);
}

TEST(streams_of_four_tasks)
{
    struct bytes b;
    bytes_open(&b, MPSC, 512);
    stream(&b, PRODUCERS_MAX, 500, 32);
    bytes_open(&b, MPSC, 64);
    stream(&b, PRODUCERS_MAX, 500, 64);
    bytes_open_spinning(&b, MPSC, 512);
    stream(&b, PRODUCERS_MAX, 500, 32);
}

/* ---- budget ---- */

struct hog {
    struct bytes *b;
    uint64_t answers, *polls;
};

static nart_res hog_run(nart_cx *cx, void *frame)
{
    struct hog *h = frame;
    nart_bytes_msg msg;

    for (++*h->polls; h->answers < 10 * (uint64_t)NART_BUDGET; h->answers += 2) {
        if (nart_bytes_tx_len(&h->b->tx) == 0 &&
            nart_bytes_send(cx, &h->b->tx, "abc", 3) == NART_PENDING)
            return NART_PENDING;
        if (nart_bytes_recv(cx, &h->b->rx, &msg) == NART_PENDING)
            return NART_PENDING;
        CHECK_EQ(memcmp(msg.ptr, "abc", 3), 0);
        CHECK_RES(nart_bytes_release(&h->b->rx, &msg), 0);
    }
    return 0;
}

static const nart_task_type hog_type = NART_TASK_TYPE(struct hog, hog_run, NULL);

/* A task whose operations always complete at once does not monopolize the loop. */
TEST_EACH(operations_spend_the_budget, SPSC, MPSC)
{
    uint64_t polls = 0;
    OPEN(bytes, b, kind, 64);
    struct hog hog = { .b = &b, .polls = &polls };
    CHECK_RES(nart_rt_spawn(b.rt, &hog_type, &hog, NULL), 0);
    settle(b.rt);
    CHECK_LE(10, polls);
    CHECK_LE(polls, 11);
}

/* Aborted claims count too: a receiver skips at most NART_BUDGET of them per poll. */
TEST_EACH(aborted_claims_spend_the_budget, SPSC, MPSC)
{
    for (int spinning = 0; spinning < 2; spinning++) {
        struct bytes b;
        struct op op;
        nart_bytes_buf buf;
        nart_bytes_msg msg;
        if (spinning)
            bytes_open_spinning(&b, kind, 65536);
        else
            bytes_open(&b, kind, 65536);
        for (int how = 0; how < 3; how++) {
            for (int i = 0; i < 10 * NART_BUDGET; i++) {
                CHECK_RES(nart_bytes_try_claim(&b.tx, 8, &buf), 0);
                CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
            }
            CHECK_RES(put(&b.tx, 20, 1), 0);
            if (how == 0) {
                recv_start(b.rt, &op, &b.rx);
                CHECK_LE(4, op.polls);
                CHECK_LE(op.polls, 12);
                CHECK_RES(op.res, 0);
                CHECK_RES(nart_bytes_release(&b.rx, &op.msg), 0);
            } else if (how == 1) {
                int tries = 0;
                while (nart_bytes_try_recv(&b.rx, &msg) == -EAGAIN)
                    tries++;
                CHECK_EQ(tries, 9);
                CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
            } else if (!spinning) {
                CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, NART_NEVER), 0);
                CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
            }
        }
        bytes_finish(&b);
    }
}

/* ---- a receiver that shuts down ---- */

static void open_either(struct bytes *b, uint32_t kind, size_t capacity, bool spinning)
{
    if (spinning)
        bytes_open_spinning(b, kind, capacity);
    else
        bytes_open(b, kind, capacity);
}

/* No further claim succeeds; an open claim is received if it is committed, then NART_ECLOSED. */
TEST_EACH(a_shut_receiver_drains, SPSC, MPSC)
{
    for (int spinning = 0; spinning < 2; spinning++) {
        for (int aborts = 0; aborts < 2; aborts++) {
            struct bytes b;
            struct op op, late;
            nart_bytes_buf buf, none;
            open_either(&b, kind, 256, spinning);
            CHECK_RES(put(&b.tx, 20, 1), 0);
            CHECK_RES(nart_bytes_try_claim(&b.tx, 10, &buf), 0);
            CHECK(!nart_bytes_tx_is_closed(&b.tx));
            nart_bytes_rx_shut(&b.rx);
            nart_bytes_rx_shut(&b.rx);
            CHECK(nart_bytes_tx_is_closed(&b.tx));
            CHECK(!nart_bytes_rx_is_closed(&b.rx));
            get(&b.rx, 20, 1);
            get_none(&b.rx, -EAGAIN); /* a claim is open */
            recv_start(b.rt, &op, &b.rx);
            CHECK_RES(op.res, NART_PENDING);
            message_write(buf.ptr, 10, 2);
            CHECK_RES(aborts ? nart_bytes_abort(&b.tx, &buf) : nart_bytes_commit(&b.tx, &buf), 0);
            settle(b.rt);
            CHECK_RES(op.res, aborts ? NART_ECLOSED : 0);
            if (!aborts) {
                message_check(&op.msg, 10, 2);
                CHECK_RES(nart_bytes_release(&b.rx, &op.msg), 0);
            }
            CHECK_RES(nart_bytes_try_claim(&b.tx, 10, &none), NART_ECLOSED);
            CHECK_RES(nart_bytes_try_send(&b.tx, "abc", 3), NART_ECLOSED);
            CHECK_RES(nart_bytes_send_blocking(&b.tx, "abc", 3, NART_NEVER), NART_ECLOSED);
            send_start(b.rt, &late, &b.tx, 3, 3);
            CHECK_RES(late.res, NART_ECLOSED);
            for (int i = 0; i < 2; i++) {
                get_none(&b.rx, NART_ECLOSED);
                recv_start(b.rt, &op, &b.rx);
                CHECK_RES(op.res, NART_ECLOSED);
                CHECK_EQ(nart_bytes_rx_len(&b.rx), 0);
            }
            bytes_finish(&b);
        }
    }
}

/* Shutting the receiver wakes every waiter: senders and a receiver. */
TEST_EACH(a_shut_wakes_the_waiters, SPSC, MPSC)
{
    for (int spinning = 0; spinning < 2; spinning++) {
        struct bytes b;
        struct op op[3];
        nart_bytes_tx tx[3] = { { .size = 0 } };
        int senders = kind == SPSC ? 1 : 3;

        open_either(&b, kind, 64, spinning);
        recv_start(b.rt, &op[0], &b.rx);
        nart_bytes_rx_shut(&b.rx);
        settle(b.rt);
        CHECK_RES(op[0].res, NART_ECLOSED);
        bytes_finish(&b);

        open_either(&b, kind, 64, spinning);
        CHECK_RES(put(&b.tx, 64, 1), 0);
        nart_bytes_tx_move(&tx[0], &b.tx);
        for (int i = 1; i < senders; i++)
            CHECK_RES(nart_bytes_tx_clone(&tx[0], &tx[i]), 0);
        for (int i = 0; i < senders; i++) {
            send_start(b.rt, &op[i], &tx[i], 10, 2);
            CHECK_RES(op[i].res, NART_PENDING);
        }
        get(&b.rx, 64, 1); /* space for the first, which is not yet polled */
        nart_bytes_rx_shut(&b.rx);
        get_none(&b.rx, NART_ECLOSED);
        settle(b.rt);
        for (int i = 0; i < senders; i++) {
            CHECK_RES(op[i].res, NART_ECLOSED);
            nart_bytes_tx_close(&tx[i]);
        }
        bytes_finish(&b);
    }
}

/* ---- a receiver that spins ---- */

TEST_EACH(a_spinning_receiver_needs_no_wake, SPSC, MPSC)
{
    struct bytes b;
    struct op op;
    bytes_open_spinning(&b, kind, 64);
    for (uint64_t n = 0; n < 10; n++) {
        recv_start(b.rt, &op, &b.rx);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(put(&b.tx, 20, n), 0);
        settle(b.rt);
        CHECK_RES(op.res, 0);
        message_check(&op.msg, 20, n);
        CHECK_RES(nart_bytes_release(&b.rx, &op.msg), 0);
    }
    recv_start(b.rt, &op, &b.rx);
    nart_bytes_tx_close(&b.tx);
    settle(b.rt);
    CHECK_RES(op.res, NART_ECLOSED);
    bytes_finish(&b);
}

/* Its senders park and are woken without another call: by a release before its loop first runs and
 * after it has returned, by one after a task has received, by the close. */
TEST_EACH(a_spinning_receiver_wakes_its_senders, SPSC, MPSC)
{
    for (int how = 0; how < 4; how++) {
        struct bytes b;
        struct op op, receive;
        nart_rt *from = new_rt();
        bytes_open_spinning(&b, kind, 64);
        CHECK_RES(put(&b.tx, 64, 1), 0);
        send_start(from, &op, &b.tx, 1, 2);
        CHECK_RES(op.res, NART_PENDING);
        if (how == 1)
            settle(b.rt);
        if (how < 2)
            get(&b.rx, 64, 1);
        if (how == 2) {
            recv_start(b.rt, &receive, &b.rx);
            CHECK_RES(receive.res, 0);
            CHECK_RES(nart_bytes_release(&b.rx, &receive.msg), 0);
        }
        if (how == 3)
            nart_bytes_rx_close(&b.rx);
        settle(from);
        CHECK_RES(op.res, how < 3 ? 0 : NART_ECLOSED);
        bytes_finish(&b);
        CHECK_RES(nart_rt_free(from), 0);
    }
}

/* ---- a receiver and its runtime ---- */

TEST_EACH(receiver_belongs_to_one_loop, SPSC, MPSC)
{
    struct op op;
    nart_rt *other = new_rt();
    OPEN(bytes, b, kind, 64);
    recv_start(other, &op, &b.rx);
    CHECK_RES(op.res, NART_EWRONGTHREAD);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, other), 0);
    recv_start(other, &op, &b.rx);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), -EBUSY);
    CHECK_RES(put(&b.tx, 3, 7), 0);
    settle(other);
    CHECK_RES(op.res, 0);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, b.rt), 0); /* with the message it holds */
    message_check(&op.msg, 3, 7);
    CHECK_RES(nart_bytes_release(&b.rx, &op.msg), 0);
    CHECK_RES(nart_rt_free(other), 0);
    recv_start(b.rt, &op, &b.rx);
    nart_bytes_tx_close(&b.tx);
    settle(b.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

TEST(a_spinning_receiver_requires_a_spinning_loop)
{
    struct bytes b;
    struct op op;
    nart_rt *parks = new_rt();
    bytes_open_spinning(&b, SPSC, 64);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, parks), -EINVAL);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), 0);
    recv_start(parks, &op, &b.rx); /* it would never be woken */
    CHECK_RES(op.res, NART_EWRONGTHREAD);
    CHECK_RES(put(&b.tx, 1, 1), 0);
    get(&b.rx, 1, 1);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, b.rt), 0);
    recv_start(b.rt, &op, &b.rx);
    CHECK_RES(put(&b.tx, 1, 2), 0);
    settle(b.rt);
    CHECK_RES(op.res, 0);
    CHECK_RES(nart_rt_free(parks), 0);
    bytes_finish(&b);
}

/* ---- another driver ---- */

/* Tasks of any driver may wait on the ends: on a sender always, on a receiver that belongs to no
 * loop. */
TEST_EACH(ends_under_another_driver, SPSC, MPSC)
{
    struct by_hand host;
    struct op op;
    struct op_frame frame;
    struct nart__task task;

    by_hand_open(&host, 0);
    OPEN(bytes, b, kind, 64);
    CHECK_RES(put(&b.tx, 64, 1), 0);
    op = (struct op){ .tx = &b.tx, .len = 5, .number = 2, .limit = NART_NEVER };
    frame = (struct op_frame){ .op = &op };
    nart_driver_task_init(&task, &op_type, &frame, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &task), NART_PENDING);
    CHECK_EQ(host.deadline, NART_NEVER);
    get(&b.rx, 64, 1);
    CHECK_EQ(host.woken, 1);
    CHECK_RES(nart_driver_poll(&host.cx, &task), 0);
    get(&b.rx, 5, 2);

    CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), 0);
    op = (struct op){ .rx = &b.rx, .limit = NART_NEVER };
    frame = (struct op_frame){ .op = &op };
    nart_driver_task_init(&task, &op_type, &frame, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &task), NART_PENDING);
    CHECK_EQ(host.deadline, NART_NEVER);
    CHECK_RES(put(&b.tx, 6, 3), 0);
    CHECK_EQ(host.woken, 2);
    CHECK_RES(nart_driver_poll(&host.cx, &task), 0);
    message_check(&op.msg, 6, 3);
}

/* ---- fork ---- */

/* A forked child that frees its inherited copy wakes no task of the parent and exits cleanly; and
 * it cannot wait in an inherited queue. */
TEST_EACH(child_of_fork_frees_its_copy, SPSC, MPSC)
{
    struct bytes b;
    struct op op, in_child;
    nart_rt *from = new_rt();
    bytes_open(&b, kind, 64);
    CHECK_RES(put(&b.tx, 64, 1), 0);
    send_start(from, &op, &b.tx, 1, 2);
    (void)nart_rt_backend_fd(from); /* as an embedding host: a wake would write to its eventfd */
    settle(from);
    pid_t child = fork();
    if (child == 0) {
        nart_bytes_tx tx = { 0 };
        CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), NART_EFORK);
        CHECK_RES(nart_rt_free(b.rt), 0);
        CHECK_RES(nart_rt_free(from), 0);
        if (nart_bytes_tx_clone(&b.tx, &tx) == 0) {
            nart_rt *mine = new_rt();
            send_start(mine, &in_child, &tx, 1, 2);
            CHECK_RES(in_child.res, NART_EFORK);
            CHECK_RES(nart_rt_free(mine), 0);
        }
        nart_bytes_tx_close(&tx);
        nart_bytes_rx_close(&b.rx);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    settle(from);
    CHECK_EQ(op.polls, 1);
    get(&b.rx, 64, 1);
    settle(from);
    CHECK_RES(op.res, 0);
    bytes_finish(&b);
    CHECK_RES(nart_rt_free(from), 0);
}
