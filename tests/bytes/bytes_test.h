/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of byte channels: a channel and its runtime, messages whose contents encode
 * their number, and operations as separate tasks. */
#ifndef BYTES_TEST_H
#define BYTES_TEST_H

#include "op.h"
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

/* ---- one send or receive in its own task ---- */

struct op {
    OP_FIELDS;
    nart_bytes_tx *tx;
    nart_bytes_rx *rx;
    size_t len;
    uint64_t number;    /* of the message */
    nart_bytes_buf buf; /* claimed, not yet committed */
    nart_bytes_msg msg; /* received, not yet released */
};

static inline nart_res op_do(nart_cx *cx, struct op *op)
{
    if (op->rx)
        return nart_bytes_recv(cx, op->rx, &op->msg);
    nart_res r = nart_bytes_claim(cx, op->tx, op->len, &op->buf);
    if (r == 0) {
        message_write(op->buf.ptr, op->len, op->number);
        r = nart_bytes_commit(op->tx, &op->buf);
    }
    return r;
}

OP_TASK(op_do);

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
