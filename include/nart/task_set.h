/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/task_set.h
 * A set of tasks: spawn many, await them as they end, cancel the rest.
 *
 * The set and its nodes, one for each task that it has at a time, lie in the caller's storage,
 * usually in the frame of the task that owns them, whose drop closes the set.
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
 *             c->more = next_page(&c->next);           // an error, -ENOSPC say, leaves it for later
 *         NART_AWAIT(r, nart_task_set_next(cx, &c->set, &c->result));
 *         if (r < 0)
 *             break;                                   // -ECHILD: no task is left
 *     }
 *     nart_task_set_close(&c->set);
 * ```
 *
 * **Thread**, everything here: the runtime's own.
 */
#ifndef NART_TASK_SET_H
#define NART_TASK_SET_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart_task_set;

/** What a set needs for a task. Any content before the set's init; the set's own from then on. */
typedef struct nart_task_set_node {
    /* private */
    nart_join join;
    struct nart_task_set *set;
    struct nart_task_set_node *next, *prev;
    nart_res result;
} nart_task_set_node;

/** Zeroed = closed. Not copied or moved. */
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

/** An empty set. `nodes` are `count` nodes that the set has until nart_task_set_close() has returned. */
NART_API void nart_task_set_init(nart_task_set *s, nart_task_set_node *nodes, uint32_t count);

/**
 * Spawns a task into the set, as nart_spawn() does.
 * @return >= 0: the number of its node, which is its name in the set; -ENOSPC all nodes are taken;
 *   NART_ECLOSED; NART_EDRIVER the set has tasks of another runtime; the errors of nart_spawn().
 * **Cost**: that of a spawn; no allocation.
 */
NART_API NART_MUST_USE nart_res nart_task_set_spawn(nart_cx *cx, nart_task_set *s,
                                                    const nart_task_type *type, const void *init);

/**
 * Puts a task into the set that was spawned in another way; it may have ended. `*j` becomes empty,
 * on an error it stays as it was.
 * @return as nart_task_set_spawn(); NART_ESTALE, NART_EUSED about the handle; -EBUSY it is awaited;
 *   -EDEADLK the running task itself; NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API NART_MUST_USE nart_res nart_task_set_add(nart_task_set *s, nart_join *j);

/**
 * Awaits the end of any task: of those that have ended, the first. The task leaves the set; its
 * frame stays, for nart_task_set_frame(), until the next task is awaited or put into the set.
 * The frame of a task that has ended and was not awaited stays, too. So do handles in it that are open: a
 * body closes its channel ends before it ends, see nart_task_type.
 * @return >= 0: the number of its node, and `*result` (may be NULL) = its answer, NART_EABORTED
 *   in the cases of nart_join_await(); -ECHILD no task is left; NART_ECLOSED; -EBUSY another task
 *   waits in the set; NART_EDRIVER; -ECANCELED, -ETIMEDOUT: no answer was taken.
 * **Cost**: O(1), however many there are.
 */
NART_API NART_MUST_USE nart_res nart_task_set_next(nart_cx *cx, nart_task_set *s, nart_res *result);

/** Waits until all tasks have ended, and takes no answer: nart_task_set_next() then gives one after
 *  the other at once. @return 0; NART_ECLOSED, -EBUSY, NART_EDRIVER, -ECANCELED, -ETIMEDOUT.
 *  **Cost**: one poll, however many there are. */
NART_API NART_MUST_USE nart_res nart_task_set_wait_all(nart_cx *cx, nart_task_set *s);

/** Asks all tasks of the set to end, or aborts them: see nart_task_cancel() and nart_task_abort().
 *  They stay in the set. @return 0; NART_EWRONGTHREAD, NART_EFORK. **Cost**: O(those that run). */
NART_API nart_res nart_task_set_cancel(nart_task_set *s);
NART_API nart_res nart_task_set_abort(nart_task_set *s);

/** Tasks whose answer has not been taken. */
static inline uint32_t nart_task_set_len(const nart_task_set *s)
{
    return s->len;
}

/** The id of a task of the set; zero when there is none of this number, or it has been dropped. */
NART_API nart_task nart_task_set_task(const nart_task_set *s, uint32_t i);

/** The frame of a task that has ended; NULL before its end, and when it has been dropped. */
NART_API void *nart_task_set_frame(nart_task_set *s, uint32_t i);

/** Cancels what runs, and gives all tasks up: those that run unwind detached, frames of those that
 *  have ended are dropped. A task that waits in the set is woken and finds NART_ECLOSED. Must come
 *  before the storage of the set or of its nodes ends, unless the runtime has been freed.
 *  Idempotent; NULL and zeroed sets are fine. **Cost**: O(tasks). */
NART_API void nart_task_set_close(nart_task_set *s);

/** Closes the set, but lets its tasks run on. */
NART_API void nart_task_set_detach(nart_task_set *s);

#ifdef __cplusplus
}
#endif
#endif
