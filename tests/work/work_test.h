/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of nart/work.h: jobs that wait at a gate, and tasks that wait for them, as bodies and as
 * fibers. */
#ifndef WORK_TEST_H
#define WORK_TEST_H

#include "../core/core.h"
#include "threads.h"

#include <nart/fiber.h>
#include <nart/sync.h>
#include <nart/work.h>

#include <semaphore.h>

enum form { BODY, FIBER };

static inline nart_workers *new_pool_of(const nart_workers_opts *opts)
{
    nart_workers *pool;
    CHECK_RES(nart_workers_new(opts, &pool), 0);
    return pool;
}

/* A pool with these options whose memory is counted. */
#define NEW_POOL(...)                                                                              \
    new_pool_of(&(const nart_workers_opts){                                                        \
        .size = sizeof(nart_workers_opts), .alloc = &test_alloc, __VA_ARGS__ })

/* No thread is left, and the pool is freed. */
static inline void pool_close(nart_workers *pool)
{
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    nart_workers_free(pool);
}

static inline nart_workers_stats pool_stats(nart_workers *pool)
{
    nart_workers_stats s = NART_WORKERS_STATS_INIT;
    CHECK_RES(nart_workers_stats_get(pool, &s), 0);
    return s;
}

/* ---- jobs ---- */

/* `begun` is posted when a job begins, `go` lets one return. */
static sem_t begun, go;
static int runs, drops, saw_cancel;

static inline int count_of(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

static inline void sem_await(sem_t *s)
{
    while (sem_wait(s) != 0)
        CHECK_EQ(errno, EINTR);
}

struct gated {
    nart_res answer;
    int order;
    bool open; /* it does not wait */
    bool until_cancelled;
    uint64_t written;
};

static int order[64]; /* of the jobs that have begun */

static inline nart_res gated_do(void *data, const nart_job *job)
{
    struct gated *g = data;

    order[__atomic_fetch_add(&runs, 1, __ATOMIC_SEQ_CST) % 64] = g->order;
    CHECK_EQ(sem_post(&begun), 0);
    if (!g->open)
        sem_await(&go);
    while (g->until_cancelled && !nart_work_cancelled(job))
        sched_yield();
    if (nart_work_cancelled(job))
        __atomic_fetch_add(&saw_cancel, 1, __ATOMIC_SEQ_CST);
    g->written = (uint64_t)g->answer + 1;
    return g->answer;
}

static inline void gated_drop(void *data)
{
    (void)data;
    __atomic_fetch_add(&drops, 1, __ATOMIC_SEQ_CST);
}

static const nart_work_type gated_type = NART_WORK_TYPE(struct gated, gated_do, gated_drop);

static inline void await_count(const int *n, int wanted)
{
    while (count_of(n) < wanted)
        sched_yield();
    CHECK_EQ(count_of(n), wanted);
}

/* ---- tasks ---- */

/* A wait for a job, nart_work_run() or, if `await`, nart_work_await(). */
struct op {
    nart_work *w;
    nart_workers *pool;
    struct gated init;
    bool await;
    int64_t limit;        /* 0: none */
    nart_notify *instead; /* races against this one */
    nart_res res;         /* NART_PENDING: not yet */
    int which;
    nart_task id;
    nart_waiter other;
};

static inline nart_res op_wait(nart_cx *cx, struct op *op)
{
    return op->await ? nart_work_await(cx, op->w)
                     : nart_work_run(cx, op->w, op->pool, &gated_type, &op->init);
}

struct op_frame {
    nart_co co;
    struct op *op;
};

static inline nart_res op_body(nart_cx *cx, void *frame)
{
    struct op_frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (f->op->instead)
        NART_AWAIT_ANY(f->op->which, r, nart_notify_await(cx, f->op->instead, &f->op->other),
                       op_wait(cx, f->op));
    else
        NART_AWAIT_FOR(r, f->op->limit ? f->op->limit : NART_NEVER, op_wait(cx, f->op));
    f->op->res = r;
    NART_END(r);
}

static const nart_task_type op_type = NART_TASK_TYPE(struct op_frame, op_body, NULL);

static inline nart_res op_fiber(nart_cx *cx, void *arg)
{
    struct op *op = arg;
    nart_res r;

    if (op->instead)
        r = nart_await_any(cx, op->which, nart_notify_await(cx, op->instead, &op->other),
                           op_wait(cx, op));
    else
        r = nart_await_for(cx, op->limit ? op->limit : NART_NEVER, op_wait(cx, op));
    op->res = r;
    return r;
}

/* Spawns the task, which is not polled yet. */
static inline void op_spawn(nart_rt *on, enum form form, struct op *op)
{
    nart_join join = { 0 };

    op->res = NART_PENDING;
    if (form == BODY)
        CHECK_RES(nart_rt_spawn(on, &op_type, &(struct op_frame){ .op = op }, &join), 0);
    else
        CHECK_RES(nart_rt_fiber_spawn(on, op_fiber, op, NULL, &join), 0);
    op->id = nart_join_task(&join);
    nart_join_release(&join);
}

/* Spawns the task and lets it begin. */
static inline void op_start(nart_rt *on, enum form form, struct op *op)
{
    op_spawn(on, form, op);
    settle(on);
}

static inline void op_finish(nart_rt *on, const struct op *op)
{
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(on, NART_SEC));
}

/* ---- every way in which a waiting task leaves ---- */

enum way { CANCELLED, ABORTED, RACE_LOST, TIMED_OUT, FREED, WAYS };

static inline void leave(nart_rt *on, struct op *op, enum way way)
{
    if (way == CANCELLED)
        CHECK_RES(nart_task_cancel(on, op->id), 0);
    else if (way == ABORTED)
        CHECK_RES(nart_task_abort(on, op->id), 0);
    else if (way == RACE_LOST)
        nart_notify_one(op->instead);
    else if (way == TIMED_OUT)
        CHECK_RES(nart_rt_clock_advance(on, 11 * NART_MS), 0);
    if (way == FREED)
        CHECK_RES(nart_rt_free(on), 0);
    else
        settle(on);
    CHECK_RES(op->res, way == TIMED_OUT ? -ETIMEDOUT : way == RACE_LOST ? 0 : -ECANCELED);
}

#endif
