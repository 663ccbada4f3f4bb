/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of byte channels: a channel and its runtime, messages whose contents encode
 * their number, and operations as separate tasks. */
#ifndef BYTES_TEST_H
#define BYTES_TEST_H

#include "runtime.h"
#include "test.h"

#include <nart/bytes.h>
#include <nart/co.h>
#include <nart/rt.h>

#include <string.h>

enum { SPSC = NART_BYTES_SPSC, MPSC = NART_BYTES_MPSC };

/* Both ends of a channel, and the runtime of its receiver. */
struct bytes {
    nart_rt *rt;
    nart_bytes_tx tx;
    nart_bytes_rx rx;
};

static inline void bytes_open(struct bytes *b, uint32_t kind, size_t capacity)
{
    nart_bytes_opts o = { sizeof o, kind, 0, capacity, 0 };
    b->rt = new_rt();
    CHECK_RES(nart_bytes_open(b->rt, &o, &b->tx, &b->rx), 0);
}

/* For a receiver whose loop never parks. */
static inline void bytes_open_spinning(struct bytes *b, uint32_t kind, size_t capacity)
{
    nart_bytes_opts o = { sizeof o, kind, NART_BYTES_SPINNING, capacity, 0 };
    b->rt = NEW_RT(.flags = NART_RT_SPINNING);
    CHECK_RES(nart_bytes_open(b->rt, &o, &b->tx, &b->rx), 0);
}

static inline void bytes_finish(struct bytes *b)
{
    nart_bytes_tx_close(&b->tx);
    nart_bytes_rx_close(&b->rx);
    CHECK_RES(nart_rt_free(b->rt), 0);
}

/* ---- messages that encode their number in every byte ---- */

static inline void message_write(void *to, size_t len, uint64_t number)
{
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)to)[i] = (unsigned char)(number * 31 + i * 7 + (number >> 8));
}

static inline void message_check(const nart_bytes_msg *m, size_t len, uint64_t number)
{
    CHECK(m->ptr && (uintptr_t)m->ptr % 16 == 0);
    CHECK_EQ(m->len, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char expected = (unsigned char)(number * 31 + i * 7 + (number >> 8));
        if (((const unsigned char *)m->ptr)[i] != expected)
            test_fail(__FILE__, __LINE__, "message %ju differs at %zu", (uintmax_t)number, i);
    }
}

/* Writes the message in place. */
static inline nart_res put(nart_bytes_tx *tx, size_t len, uint64_t number)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_try_claim(tx, len, &buf);
    if (r)
        return r;
    CHECK(buf.ptr && (uintptr_t)buf.ptr % 16 == 0);
    CHECK_EQ(buf.len, len);
    message_write(buf.ptr, len, number);
    CHECK_RES(nart_bytes_commit(tx, &buf), 0);
    CHECK(!buf.ptr && buf.len == 0);
    return 0;
}

/* Checks that a message is available and has this length and number. */
static inline void get(nart_bytes_rx *rx, size_t len, uint64_t number)
{
    nart_bytes_msg msg;
    CHECK_RES(nart_bytes_try_recv(rx, &msg), 0);
    message_check(&msg, len, number);
    CHECK_RES(nart_bytes_release(rx, &msg), 0);
    CHECK(!msg.ptr && msg.len == 0);
}

/* Checks that no message is available and that the error is `expected`. */
static inline void get_none(nart_bytes_rx *rx, nart_res expected)
{
    nart_bytes_msg msg;
    CHECK_RES(nart_bytes_try_recv(rx, &msg), expected);
}

/* ---- one send or receive in its own task; `res` is NART_PENDING until it completes ---- */

struct op {
    nart_bytes_tx *tx;
    nart_bytes_rx *rx;
    size_t len;
    uint64_t number; /* of the message */
    int64_t limit;   /* nanoseconds, or NART_NEVER */
    nart_res res;
    nart_bytes_msg msg; /* received, not yet released */
    unsigned polls;
    nart_waker waker;
    nart_task id;
};

struct op_frame {
    nart_co co;
    struct op *op;
    nart_bytes_buf buf;
};

static inline nart_res op_do(nart_cx *cx, struct op_frame *f)
{
    struct op *op = f->op;
    if (op->rx)
        return nart_bytes_recv(cx, op->rx, &op->msg);
    nart_res r = nart_bytes_claim(cx, op->tx, op->len, &f->buf);
    if (r == 0) {
        message_write(f->buf.ptr, op->len, op->number);
        r = nart_bytes_commit(op->tx, &f->buf);
    }
    return r;
}

static inline nart_res op_run(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    f->op->polls++;
    f->op->waker = nart_cx_waker(cx);
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(r, f->op->limit, op_do(cx, f));
    f->op->res = r;
    NART_END(r);
}

static const nart_task_type op_type = NART_TASK_TYPE(struct op_frame, op_run, NULL);

static inline void op_start(nart_rt *rt, struct op *op)
{
    struct op_frame f = { .op = op };
    nart_join join = { 0 };

    op->res = NART_PENDING;
    CHECK_RES(nart_rt_spawn(rt, &op_type, &f, &join), 0);
    op->id = nart_join_task(&join);
    nart_join_release(&join);
    settle(rt);
}

static inline void send_start(nart_rt *rt, struct op *op, nart_bytes_tx *tx, size_t len,
                              uint64_t number)
{
    *op = (struct op){ .tx = tx, .len = len, .number = number, .limit = NART_NEVER };
    op_start(rt, op);
}

static inline void recv_start(nart_rt *rt, struct op *op, nart_bytes_rx *rx)
{
    *op = (struct op){ .rx = rx, .limit = NART_NEVER };
    op_start(rt, op);
}

#endif
