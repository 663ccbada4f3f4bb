/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of nart/broadcast.h: each receive, of either kind, is a separate task.
 * Virtual time. */
#ifndef CAST_TEST_H
#define CAST_TEST_H

#include "../core/core.h"
#include "../core/virtual.h"
#include "op.h"

#include <nart/broadcast.h>

FIXTURE_RT();
static nart_broadcast_tx tx;
static nart_watch_tx wtx;

/* One receive in its own task, of either kind. */
struct op {
    OP_FIELDS;
    nart_broadcast_rx *rx;
    nart_watch_rx *watch;
    uint64_t value, lost;
};

static inline nart_res op_do(nart_cx *cx, struct op *op)
{
    return op->rx ? nart_broadcast_recv(cx, op->rx, &op->value, &op->lost)
                  : nart_watch_changed(cx, op->watch, &op->value);
}

OP_TASK(op_do);

static inline void recv_start(struct op *op, nart_broadcast_rx *rx)
{
    *op = (struct op){ .rx = rx, .limit = NART_NEVER };
    op_start(rt, op);
}

static inline void changed_start(struct op *op, nart_watch_rx *rx)
{
    *op = (struct op){ .watch = rx, .limit = NART_NEVER };
    op_start(rt, op);
}

/* The fixture `senders`: a runtime, whose senders are closed before it is freed. */
static inline void senders_open(void)
{
    rt_open();
}

static inline void senders_close(void)
{
    nart_broadcast_tx_close(&tx);
    nart_watch_tx_close(&wtx);
    rt_close();
}

static inline void broadcast_open(size_t capacity, nart_broadcast_rx *rx)
{
    CHECK_RES(nart_broadcast_open(rt, sizeof(uint64_t), capacity, &tx, rx), 0);
}

static inline nart_res emit(uint64_t value)
{
    return nart_broadcast_send(&tx, &value);
}

static inline void check_next(nart_broadcast_rx *rx, uint64_t expected)
{
    uint64_t value = UINT64_MAX;
    CHECK_RES(nart_broadcast_try_recv(rx, &value, NULL), 0);
    CHECK_EQ(value, expected);
}

static inline void check_none(nart_broadcast_rx *rx, nart_res why)
{
    uint64_t value = 0;
    CHECK_RES(nart_broadcast_try_recv(rx, &value, NULL), why);
}

static inline void check_lost(nart_broadcast_rx *rx, uint64_t expected)
{
    uint64_t value = 0, lost = 0;
    CHECK_RES(nart_broadcast_try_recv(rx, &value, &lost), NART_ELAGGED);
    CHECK_EQ(lost, expected);
}

/* ---- watch ---- */

static inline void watch_open(uint64_t initial, nart_watch_rx *rx)
{
    CHECK_RES(nart_watch_open(rt, sizeof initial, &initial, &wtx, rx), 0);
}

static inline nart_res set(uint64_t value)
{
    return nart_watch_send(&wtx, &value);
}

static inline void check_get(nart_watch_rx *rx, uint64_t expected)
{
    uint64_t value = UINT64_MAX;
    CHECK_RES(nart_watch_get(rx, &value), 0);
    CHECK_EQ(value, expected);
    CHECK(!nart_watch_has_changed(rx));
}

#endif
