/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of nart/sync.h: each operation is a separate task, so that a test reads as a
 * sequence: start a wait, settle, check, notify, settle, check. Virtual time. */
#ifndef SYNC_TEST_H
#define SYNC_TEST_H

#include "../core/core.h"
#include "../core/virtual.h"

#include <nart/sync.h>

enum kind { NOTIFY, SEMAPHORE, WAIT_GROUP, READ_LOCK, WRITE_LOCK };

/* One wait. `res` is NART_PENDING until it completes. A lock is held until `done` is notified or the task is
 * cancelled. */
struct op {
    enum kind kind;
    void *at;
    uint32_t n;           /* permits */
    int64_t limit;        /* nanoseconds, 0: none */
    nart_notify *instead; /* races against this one, which wins if both are ready; NULL: none */
    nart_waiter *waiter;  /* replaces its own waiter */
    nart_lock *lock;      /* replaces its own lock */
    nart_notify done;
    nart_res res, released;
    int which;
    unsigned polls;
    nart_task id;
    nart_waker waker;
};

struct op_frame {
    nart_co co;
    struct op *op;
    nart_waiter waiter, other;
    nart_lock lock;
};

static inline nart_res op_wait(nart_cx *cx, struct op_frame *f)
{
    struct op *op = f->op;
    nart_waiter *w = op->waiter ? op->waiter : &f->waiter;

    if (op->kind == NOTIFY)
        return nart_notify_await(cx, op->at, w);
    if (op->kind == SEMAPHORE)
        return nart_semaphore_acquire(cx, op->at, w, op->n);
    if (op->kind == READ_LOCK)
        return nart_rwlock_read(cx, op->at, op->lock);
    if (op->kind == WRITE_LOCK)
        return nart_rwlock_write(cx, op->at, op->lock);
    return nart_wait_group_await(cx, op->at, w);
}

static inline nart_res op_run(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    f->op->polls++;
    if (!f->op->lock)
        f->op->lock = &f->lock;
    f->op->waker = nart_cx_waker(cx);
    NART_BEGIN(cx, &f->co);
    if (f->op->instead)
        NART_AWAIT_ANY(f->op->which, r, nart_notify_await(cx, f->op->instead, &f->other),
                       op_wait(cx, f));
    else if (f->op->limit)
        NART_AWAIT_FOR(r, f->op->limit, op_wait(cx, f));
    else
        NART_AWAIT(r, op_wait(cx, f));
    f->op->res = r;
    if (r == 0 && f->op->kind >= READ_LOCK && !(f->op->instead && f->op->which == 0)) {
        NART_AWAIT(r, nart_notify_await(cx, &f->op->done, &f->other));
        f->op->released = nart_lock_release(f->op->lock);
    }
    NART_END(r);
}

static const nart_task_type op_type = NART_TASK_TYPE(struct op_frame, op_run, NULL);

/* The task is ready but not yet polled. */
static inline void op_spawn(nart_rt *rt, struct op *op)
{
    struct op_frame f = { .op = op };
    nart_join join = { .hub = NULL };

    op->res = NART_PENDING;
    op->polls = 0;
    CHECK_RES(nart_rt_spawn(rt, &op_type, &f, &join), 0);
    op->id = nart_join_task(&join);
    nart_join_release(&join);
}

static inline void op_start(nart_rt *rt, struct op *op, enum kind kind, void *at)
{
    op->kind = kind;
    op->at = at;
    op_spawn(rt, op);
    settle(rt);
}

static inline void notify_start(nart_rt *rt, struct op *op, nart_notify *n)
{
    *op = (struct op){ .n = 0 };
    op_start(rt, op, NOTIFY, n);
}

static inline void acquire_start(nart_rt *rt, struct op *op, nart_semaphore *s, uint32_t n)
{
    *op = (struct op){ .n = n };
    op_start(rt, op, SEMAPHORE, s);
}

static inline void lock_start(nart_rt *rt, struct op *op, enum kind kind, nart_rwlock *rw)
{
    *op = (struct op){ .n = 0 };
    op_start(rt, op, kind, rw);
}

/* Lets the task of this lock release it and end. */
static inline void unlock(nart_rt *rt, struct op *op)
{
    op->released = NART_PENDING;
    nart_notify_one(&op->done);
    settle(rt);
    CHECK_RES(op->released, 0);
}

/* ---- every way in which a waiting task leaves ----
 * The deadline is last: it passes before the turn or has no effect, as a granted turn takes
 * precedence. */

enum way { CANCELLED, ABORTED, RACE_LOST, TIMED_OUT, WAYS };

/* Starts a wait that can leave in this way. */
static inline void leaver_start(nart_rt *rt, struct op *op, enum kind kind, void *at, uint32_t n,
                                enum way way, nart_notify *instead)
{
    *op = (struct op){ .n = n,
                       .limit = way == TIMED_OUT ? 10 * NART_MS : 0,
                       .instead = way == RACE_LOST ? instead : NULL };
    op_start(rt, op, kind, at);
    CHECK_RES(op->res, NART_PENDING);
}

/* Makes it leave at its next poll. */
static inline void leave(nart_rt *rt, struct op *op, enum way way)
{
    if (way == CANCELLED)
        CHECK_RES(nart_task_cancel(rt, op->id), 0);
    else if (way == ABORTED)
        CHECK_RES(nart_task_abort(rt, op->id), 0);
    else if (way == RACE_LOST)
        nart_notify_one(op->instead);
    else
        virtual_now += 11 * NART_MS;
}

static inline void check_left(const struct op *op, enum way way)
{
    CHECK_RES(op->res, way == TIMED_OUT ? -ETIMEDOUT : way == RACE_LOST ? 0 : -ECANCELED);
    CHECK_EQ(op->which, 0);
}

#endif
