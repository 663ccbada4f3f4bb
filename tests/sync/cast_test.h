/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of nart/broadcast.h: each receive, of either kind, is a separate task.
 * Virtual time. */
#ifndef CAST_TEST_H
#define CAST_TEST_H

#include "../core/core.h"
#include "../core/virtual.h"

#include <nart/broadcast.h>

static nart_rt *rt;
static nart_broadcast_tx tx;
static nart_watch_tx wtx;

/* One receive in its own task, of either kind. `res` is NART_PENDING until it completes. */
struct op {
    nart_broadcast_rx *rx;
    nart_watch_rx *watch;
    int64_t limit;
    uint64_t value, lost;
    nart_res res;
    unsigned polls;
    nart_task id;
    nart_waker waker;
};

struct op_frame {
    nart_co co;
    struct op *op;
};

static inline nart_res op_do(nart_cx *cx, struct op *op)
{
    return op->rx ? nart_broadcast_recv(cx, op->rx, &op->value, &op->lost)
                  : nart_watch_changed(cx, op->watch, &op->value);
}

static inline nart_res op_run(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    f->op->polls++;
    f->op->waker = nart_cx_waker(cx);
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(r, f->op->limit, op_do(cx, f->op));
    f->op->res = r;
    NART_END(r);
}

static const nart_task_type op_type = NART_TASK_TYPE(struct op_frame, op_run, NULL);

static inline void op_start(nart_rt *where, struct op *op)
{
    struct op_frame f = { .op = op };
    nart_join join = { .hub = NULL };

    op->res = NART_PENDING;
    op->limit = op->limit ? op->limit : NART_NEVER;
    CHECK_RES(nart_rt_spawn(where, &op_type, &f, &join), 0);
    op->id = nart_join_task(&join);
    nart_join_release(&join);
    settle(where);
}

static inline void recv_start(struct op *op, nart_broadcast_rx *rx)
{
    *op = (struct op){ .rx = rx };
    op_start(rt, op);
}

static inline void changed_start(struct op *op, nart_watch_rx *rx)
{
    *op = (struct op){ .watch = rx };
    op_start(rt, op);
}

static inline void begin(size_t capacity, nart_broadcast_rx *rx)
{
    rt = new_rt();
    CHECK_RES(nart_broadcast_open(rt, sizeof(uint64_t), capacity, &tx, rx), 0);
}

static inline void end(void)
{
    nart_broadcast_tx_close(&tx);
    nart_watch_tx_close(&wtx);
    CHECK_RES(nart_rt_free(rt), 0);
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

static inline void watch_begin(uint64_t initial, nart_watch_rx *rx)
{
    rt = new_rt();
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
