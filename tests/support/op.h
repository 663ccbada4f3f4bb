/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* op.h: one operation in a task of its own, so that a test reads as a sequence: start a receive, settle,
 * check, send, settle, check. */
#ifndef NART_TEST_OP_H
#define NART_TEST_OP_H

#include "runtime.h"

#include <nart/co.h>

/* The first fields of a struct op; `limit` in nanoseconds or NART_NEVER, `res` is NART_PENDING until the
 * operation completes. */
#define OP_FIELDS                                                                                  \
    int64_t limit;                                                                                 \
    nart_res res;                                                                                  \
    unsigned polls;                                                                                \
    nart_waker waker;                                                                              \
    nart_task id

/* The task of a struct op: op_do(cx, op) is one poll of the operation. op_start() spawns it and runs what
 * is ready; after op_spawn() it is not yet polled. */
#define OP_TASK(op_do)                                                                             \
    struct op_frame {                                                                              \
        nart_co co;                                                                                \
        struct op *op;                                                                             \
    };                                                                                             \
    static inline nart_res op_run(nart_cx *cx, void *frame)                                        \
    {                                                                                              \
        struct op_frame *f = frame;                                                                \
        nart_res r = 0;                                                                            \
                                                                                                   \
        f->op->polls++;                                                                            \
        f->op->waker = nart_cx_waker(cx);                                                          \
        NART_BEGIN(cx, &f->co);                                                                    \
        NART_AWAIT_FOR(r, f->op->limit, op_do(cx, f->op));                                         \
        f->op->res = r;                                                                            \
        NART_END(r);                                                                               \
    }                                                                                              \
    static const nart_task_type op_type = NART_TASK_TYPE(struct op_frame, op_run, NULL);           \
    static inline void op_spawn(nart_rt *on, struct op *op)                                        \
    {                                                                                              \
        struct op_frame f = { .op = op };                                                          \
        nart_join join = { 0 };                                                                    \
                                                                                                   \
        op->res = NART_PENDING;                                                                    \
        CHECK_RES(nart_rt_spawn(on, &op_type, &f, &join), 0);                                      \
        op->id = nart_join_task(&join);                                                            \
        nart_join_release(&join);                                                                  \
    }                                                                                              \
    static inline void op_start(nart_rt *on, struct op *op)                                        \
    {                                                                                              \
        op_spawn(on, op);                                                                          \
        settle(on);                                                                                \
    }                                                                                              \
    struct op

#endif
