/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/task_set.h
 * A set of tasks: spawn many, await them as they end, cancel the rest. A pool: many tasks, a few at a time.
 *
 * The set and its nodes are in the caller's storage, usually in the frame of the task that owns them, whose
 * drop closes the set. Each task of the set uses one node.
 *
 * ```c
 * struct crawl {
 *     nart_co co;
 *     nart_task_set set;
 *     nart_task_set_node nodes[8];
 *     struct fetch next; // the frame of the next task, until that is spawned
 *     bool more;
 *     nart_res result;
 * };
 *
 *     nart_task_set_init(&c->set, c->nodes, 8);
 *     c->more = next_page(&c->next);
 *     for (;;) {
 *         while (c->more && nart_task_set_spawn(cx, &c->set, &fetch_type, &c->next) >= 0)
 *             c->more = next_page(&c->next);           // on an error, such as -ENOSPC, it is kept
 *         NART_AWAIT(r, nart_task_set_next(cx, &c->set, &c->result));
 *         if (r < 0)
 *             break;                                   // -ECHILD: no task is left
 *     }
 *     nart_task_set_close(&c->set);
 * ```
 *
 * For tasks that are fibers see nart_task_set_fiber_spawn() and nart_pool_fiber_spawn() in nart/fiber.h.
 *
 * **Thread** of all functions: the runtime's own.
 */
#ifndef NART_TASK_SET_H
#define NART_TASK_SET_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart_task_set;

/** A node: what a set needs for one task. Need not be initialised. The set's own from nart_task_set_init() to
 *  nart_task_set_close(). */
typedef struct nart_task_set_node {
    /* private */
    nart_join join;
    struct nart_task_set *set;
    struct nart_task_set_node *next, *prev;
    nart_res result;
} nart_task_set_node;

/** A set. Zeroed = closed. Do not copy or move it. */
typedef struct nart_task_set {
    /* private */
    nart__wait wait;
    nart_task_set_node *nodes, *free;
    nart_task_set_node *running, *newest;
    nart_task_set_node *ended, *last_ended, *answered;
    nart_cx *owner;
    uint32_t count, used, len, run;
    uint32_t for_all, reserved;
} nart_task_set;

/** Sets up an empty set with an array of `count` nodes, which must stay until nart_task_set_close() has
 *  returned. */
NART_API void nart_task_set_init(nart_task_set *s, nart_task_set_node *nodes, uint32_t count);

/**
 * Spawns a task into the set, as nart_spawn() does.
 * @return >= 0: the number of its node, from 0 to `count` - 1, by which the set names the task; -ENOSPC no node is free;
 *   NART_ECLOSED; NART_EDRIVER the set has tasks of another runtime; the errors of nart_spawn().
 * **Cost**: that of a spawn; no allocation.
 */
NART_API NART_MUST_USE nart_res nart_task_set_spawn(nart_cx *cx, nart_task_set *s,
                                                    const nart_task_type *type, const void *init);

/**
 * Adds a task that was spawned in another way; it may have ended. `*j` becomes empty; on an error it is
 * unchanged.
 * @return as nart_task_set_spawn(); NART_ESTALE, NART_EUSED about the handle; -EBUSY it is awaited;
 *   -EDEADLK the running task itself; NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API NART_MUST_USE nart_res nart_task_set_add(nart_task_set *s, nart_join *j);

/**
 * Waits until any task has ended; if several have, takes the one that ended first. The task leaves the set.
 * Its frame stays, for nart_task_set_frame(), until the next call of this function or the next task is added.
 * The frame of a task that has ended and was not taken stays, too, and so do open handles in it: a body must
 * close its channel ends before it ends, see nart_task_type.
 * @return >= 0: the number of its node, and `*result` (may be NULL) = its answer, NART_EABORTED
 *   in the cases of nart_join_await(); -ECHILD no task is left; NART_ECLOSED; -EBUSY another task
 *   waits in the set; NART_EDRIVER; -ECANCELED, -ETIMEDOUT: no answer was taken.
 * **Cost**: O(1), whatever the number of tasks.
 */
NART_API NART_MUST_USE nart_res nart_task_set_next(nart_cx *cx, nart_task_set *s, nart_res *result);

/** Waits until all tasks have ended, and takes no answer: nart_task_set_next() then answers once per task,
 *  without waiting. @return 0; NART_ECLOSED, -EBUSY, NART_EDRIVER, -ECANCELED, -ETIMEDOUT.
 *  **Cost**: one poll, whatever the number of tasks. */
NART_API NART_MUST_USE nart_res nart_task_set_wait_all(nart_cx *cx, nart_task_set *s);

/** Cancels or aborts all tasks of the set: see nart_task_cancel() and nart_task_abort(). They stay in the set.
 *  @return 0; NART_EWRONGTHREAD, NART_EFORK. **Cost**: O(running tasks). */
NART_API nart_res nart_task_set_cancel(nart_task_set *s);
NART_API nart_res nart_task_set_abort(nart_task_set *s);

/** The number of tasks whose answer has not been taken. */
static inline uint32_t nart_task_set_len(const nart_task_set *s)
{
    return s->len;
}

/** The id of the task of node `i`; zero if the node has none, or it has been dropped. */
NART_API nart_task nart_task_set_task(const nart_task_set *s, uint32_t i);

/** The frame of the task of node `i`, if it has ended; NULL before its end, and after its drop. */
NART_API void *nart_task_set_frame(nart_task_set *s, uint32_t i);

/** Closes the set. Running tasks are cancelled and detached: they end after this function has returned, so they must not
 *  use its caller's frame. To wait for them, call nart_task_set_cancel() and await nart_task_set_wait_all() before, in a
 *  shield if the caller may be cancelled. Frames of ended tasks are dropped. A task that
 *  waits in the set is woken and finds NART_ECLOSED. Call it before the storage of the set or of its nodes is
 *  freed, unless the runtime has been freed. Idempotent; NULL and zeroed sets are fine.
 *  **Cost**: O(tasks). */
NART_API void nart_task_set_close(nart_task_set *s);

/** Closes the set, but does not cancel its tasks: they are detached. */
NART_API void nart_task_set_detach(nart_task_set *s);

/* ---- pools --------------------------------------------------------------------------------- */

/**
 * A pool: any number of tasks (jobs), of which at most as many run at a time as there are nodes.
 *
 * ```c
 * struct crawl {
 *     nart_co co;
 *     nart_pool pool;
 *     nart_task_set_node nodes[16];
 *     struct fetch job;
 *     nart_res r;
 * };
 *
 *     nart_pool_init(&c->pool, c->nodes, 16, NART_POOL_CANCEL_ON_ERROR);
 *     nart_pool_on_answer(&c->pool, keep_page, NULL);
 *     for (c->job.page = 0; c->job.page < 1000; c->job.page++) {
 *         NART_AWAIT(c->r, nart_pool_spawn(cx, &c->pool, &fetch_type, &c->job));
 *         if (c->r < 0)
 *             break;
 *     }
 *     NART_AWAIT(c->r, nart_pool_join(cx, &c->pool));
 *     nart_pool_close(&c->pool);
 * ```
 *
 * The first error is kept. Each answer is passed, with the frame of its job, to a function, if there is one. Answers are taken by spawns into the pool and by nart_pool_join(): while neither is awaited, nothing is
 * taken and an error cancels nothing.
 */
enum {
    NART_POOL_CANCEL_ON_ERROR =
        1 /**< the first answer below 0 cancels the jobs that run, and ends spawning */
};

/** Takes the answer of a job: as the answers of nart_task_set_next(). `frame` is dropped later; NULL: it has been
 *  dropped, because the job was aborted, or is a fiber (see nart_fiber). It must not call functions of the pool,
 *  other than nart_pool_cancel(). */
typedef void (*nart_pool_fn)(void *arg, void *frame, nart_res answer);

/** A pool. Zeroed = closed. Do not copy or move it. */
typedef struct nart_pool {
    /** The first answer below 0 that was taken, or error of a spawn; -ECANCELED if nart_pool_cancel() was called
     *  before there was one; 0: none. */
    nart_res error;
    uint64_t taken; /**< how many answers were taken */
    /* private */
    nart_pool_fn on_answer;
    void *arg;
    uint32_t flags;
    nart_task_set set;
} nart_pool;

/** Sets up a pool of at most `max` jobs at a time, with an array of as many nodes, which must stay until
 *  nart_pool_close() has returned. `flags`: 0 or NART_POOL_CANCEL_ON_ERROR. */
NART_API void nart_pool_init(nart_pool *p, nart_task_set_node *nodes, uint32_t max, uint32_t flags);

/** From now on, calls fn(arg, frame, answer) for each answer. NULL: no function. */
static inline void nart_pool_on_answer(nart_pool *p, nart_pool_fn fn, void *arg)
{
    p->on_answer = fn;
    p->arg = arg;
}

/**
 * Waits until fewer than `max` jobs run, then spawns one, as nart_spawn() does. An error of the spawn becomes `p->error`
 * as that of a job does, but it is no answer: it is not passed to the function, nor counted. It does not wait for slots:
 * see nart_spawn().
 * @return 0; -ECANCELED, -ETIMEDOUT nothing was spawned; NART_ECLOSED; -EBUSY another task waits in the pool;
 *   NART_EDRIVER; -ENOSPC `max` is 0; the errors of nart_spawn(); -EPERM outside of a poll. With NART_POOL_CANCEL_ON_ERROR, and after
 *   nart_pool_cancel(): the first error, nothing was spawned.
 * **Ownership**: as nart_spawn(). **Cost**: that of a spawn, and O(1) for each answer that it takes.
 */
NART_API NART_MUST_USE nart_res nart_pool_spawn(nart_cx *cx, nart_pool *p,
                                                const nart_task_type *type, const void *init);

/**
 * Waits until all jobs have ended, those that it cancels included.
 * @return 0; the first error, `p->error`: all have ended; -ECANCELED, -ETIMEDOUT also if the caller was
 *   cancelled, or a deadline around the call has passed: then jobs may run, so call it again or close the pool. Those
 *   may be the error of a job, too: nart_pool_len() is 0 if all have ended; NART_ECLOSED; -EBUSY, NART_EDRIVER, -EPERM as nart_pool_spawn().
 */
NART_API NART_MUST_USE nart_res nart_pool_join(nart_cx *cx, nart_pool *p);

/** Cancels the jobs that run. No more are spawned: nart_pool_spawn() and nart_pool_join() answer -ECANCELED,
 *  unless there was an error before. **Cost**: O(running jobs). */
NART_API void nart_pool_cancel(nart_pool *p);

/** The number of jobs whose answer has not been taken. */
static inline uint32_t nart_pool_len(const nart_pool *p)
{
    return p->set.len;
}

/** Closes the pool, as nart_task_set_close(): jobs that run are cancelled and detached, answers that were not
 *  taken are lost. `error` and `taken` stay. Idempotent; NULL and zeroed pools are fine. */
NART_API void nart_pool_close(nart_pool *p);

#ifdef __cplusplus
}
#endif
#endif
