/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the channel tests: channels of numbers, and operations as separate tasks. */
#ifndef CHAN_TEST_H
#define CHAN_TEST_H

#include "op.h"
#include "runtime.h"
#include "test.h"

#include <nart/chan.h>
#include <nart/co.h>
#include <nart/rt.h>

#include <string.h>

NART_CHAN_TYPED(u64, uint64_t);

enum { LOCAL = NART_CHAN_LOCAL, SPSC = NART_CHAN_SPSC, MPSC = NART_CHAN_MPSC };

/* Both ends of a channel, and the runtime of its receiver. */
struct chan {
    nart_rt *rt;
    nart_tx tx;
    nart_rx rx;
};

static inline void chan_open(struct chan *c, uint32_t kind, size_t capacity)
{
    c->rt = new_rt();
    CHECK_RES(u64_open(c->rt, kind, capacity, &c->tx, &c->rx), 0);
}

static inline void chan_finish(struct chan *c)
{
    nart_tx_close(&c->tx);
    nart_rx_close(&c->rx);
    CHECK_RES(nart_rt_free(c->rt), 0);
}

/* One send, reservation or receive in its own task. */
struct op {
    OP_FIELDS;
    nart_tx *tx;
    nart_rx *rx;
    uint64_t value;
    bool reserves;
};

static inline nart_res op_do(nart_cx *cx, struct op *op)
{
    if (op->reserves)
        return u64_reserve(cx, op->tx);
    return op->tx ? u64_send(cx, op->tx, op->value) : u64_recv(cx, op->rx, &op->value);
}

OP_TASK(op_do);

static inline void send_start(nart_rt *rt, struct op *op, nart_tx *tx, uint64_t value)
{
    *op = (struct op){ .tx = tx, .value = value, .limit = NART_NEVER };
    op_start(rt, op);
}

static inline void reserve_start(nart_rt *rt, struct op *op, nart_tx *tx)
{
    *op = (struct op){ .tx = tx, .reserves = true, .limit = NART_NEVER };
    op_start(rt, op);
}

static inline void recv_start(nart_rt *rt, struct op *op, nart_rx *rx)
{
    *op = (struct op){ .rx = rx, .limit = NART_NEVER };
    op_start(rt, op);
}

/* Checks that a value is available and equals `expected`. */
#define CHECK_NEXT(rx, expected)                                                                   \
    do {                                                                                           \
        uint64_t got_ = 0;                                                                         \
        CHECK_RES(u64_try_recv((rx), &got_), 0);                                                   \
        CHECK_EQ(got_, (expected));                                                                \
    } while (0)

/* Checks that no value is available and that the error is `expected`. */
#define CHECK_NO_NEXT(rx, expected)                                                                \
    do {                                                                                           \
        uint64_t got_ = 0;                                                                         \
        CHECK_RES(u64_try_recv((rx), &got_), (expected));                                          \
    } while (0)

#endif
