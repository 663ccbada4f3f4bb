/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/nursery.h
 * Tasks that may use the frame of the task that spawned them (structured concurrency).
 *
 * A task's frame is freed when the task ends, so a pointer into it that another task keeps becomes
 * dangling. A nursery makes such pointers safe: the frame of the task that opened it (the owner) is kept
 * until the last task of the nursery has ended and its drop has run. This holds for a return,
 * cancellation, an abort, a shutdown and nart_rt_free().
 *
 * ```c
 * struct pair {
 *     nart_co co;
 *     nart_nursery both;
 *     int sum;
 *     nart_res r, joined, error;
 * };
 *
 * static nart_res pair_run(nart_cx *cx, void *frame)
 * {
 *     struct pair *f = frame;
 *
 *     NART_BEGIN(cx, &f->co);
 *     f->r = nart_nursery_open(cx, &f->both, NART_NURSERY_CANCEL_ON_ERROR);
 *     if (f->r < 0)
 *         NART_RETURN(f->r);
 *     for (int i = 0; i < 2 && f->r == 0; i++)
 *         f->r = nart_nursery_spawn(cx, &f->both, &part_type, &(struct part){ .sum = &f->sum });
 *     if (f->r < 0)
 *         nart_nursery_cancel(&f->both);  // one part alone is of no use
 *     NART_AWAIT(f->joined, nart_nursery_join(cx, &f->both, &f->error));
 *     if (f->r == 0)                      // the first error counts
 *         f->r = f->joined;
 *     if (f->r == 0)
 *         f->r = f->error;
 *     NART_END(f->r);
 * }
 * ```
 *
 * For children that are fibers see nart_nursery_fiber_spawn() in nart/fiber.h.
 *
 * A child's frame is a copy of `*init`. What a child writes there is lost: let it write results through
 * pointers, such as `sum`. To limit the number of children that run at a time, use a nart_pool (nart/task_set.h), or put
 * a nart_semaphore into the owner's frame: acquire a permit before each spawn; release it in the child's drop, which
 * is called when the child ends, or after a spawn that failed. A fiber releases it before it returns, and in
 * nart_fiber_opts.drop, which is called only if its function never is.
 *
 * Keep the nursery, and what its tasks use, in the owner's frame, or in the frame of a body of the owner
 * that joins the nursery before it ends. A body that ends without joining aborts the process, which prints
 * its name. There are two exceptions: the body that is the owner's poll itself (the owner's end then cancels
 * the tasks and waits for them; its answer stays, whether it is cancelled or aborted meanwhile), and a nursery
 * without tasks (the end of the body that opened it closes it). In a fiber, functions are such bodies: the
 * nursery lies on its stack. Bodies that a hand-written poll calls directly are not checked: the nursery then
 * has to be joined, by a later poll at the latest, before its memory ends. If the poll stops calling such a
 * body, it has to join the nurseries that this body and the ones below it have
 * opened, before their frames are freed.
 *
 * If the body that opened a nursery loses a race, the nursery's tasks are cancelled. Join by NART_STOP before
 * you free the body's frame. If a body below it that joins the nursery loses a race, the tasks continue.
 *
 * **Thread** of all functions: the runtime's own.
 */
#ifndef NART_NURSERY_H
#define NART_NURSERY_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NART_NURSERY_CANCEL_ON_ERROR = 1 /**< the first answer below 0 of a task cancels the others */
};

struct nart__ward;

/** A nursery. Zeroed = closed. Do not copy or move it while it is open. */
typedef struct nart_nursery {
    /* private */
    nart__wait wait;
    struct nart__ward *children;
    nart_res error, answer;
    uint32_t len, flags;
    nart_co *opener;
} nart_nursery;

/** Opens a nursery for the running task, in the running body.
 *  @return 0; -EINVAL an unknown flag; -EBUSY it is open; -ENOMEM, NART_EDRIVER as nart_spawn(); -EPERM outside
 *  of a poll. */
NART_API NART_MUST_USE nart_res nart_nursery_open(nart_cx *cx, nart_nursery *n, uint32_t flags);

/**
 * Spawns a task into the nursery, as nart_spawn() does. Any task of the runtime may call it, tasks of the
 * nursery included.
 * @return 0; NART_ECLOSED not open, or cancelled; -ENOMEM; the errors of nart_spawn().
 * **Ownership**: as nart_spawn(). **Cost**: that of a spawn, and one allocation if more tasks are in
 *   nurseries of the runtime than ever before.
 */
NART_API NART_MUST_USE nart_res nart_nursery_spawn(nart_cx *cx, nart_nursery *n,
                                                   const nart_task_type *type, const void *init);

/** The same with a frame of any size, as nart_spawn_boxed(). */
NART_API NART_MUST_USE nart_res nart_nursery_spawn_boxed(nart_cx *cx, nart_nursery *n,
                                                         const nart_task_type *type,
                                                         const void *init);

/**
 * Waits until all tasks of the nursery have ended, and closes it. If the caller is cancelled or a deadline
 * around the call passes, the tasks are cancelled; the call still answers only when they have ended.
 * @param error the first answer below 0 of a task, in the order in which they ended (NART_EABORTED in the
 *   cases of nart_join_await()); 0 if there was none; may be NULL.
 * @return 0; -ECANCELED, -ETIMEDOUT: see above, all tasks have ended; NART_ECLOSED not open; -EBUSY another
 *   task has opened it; -EPERM outside of a poll. After -EBUSY and -EPERM it is unchanged, after all
 *   other answers it is closed.
 */
NART_API NART_MUST_USE nart_res nart_nursery_join(nart_cx *cx, nart_nursery *n, nart_res *error);

/** Cancels all tasks, as nart_task_cancel(), and refuses further spawns. A task of the nursery may call it, and is
 *  cancelled with the others; the owner is not, and joins. No effect if the nursery is closed.
 *  **Cost**: O(tasks). */
NART_API void nart_nursery_cancel(nart_nursery *n);

/** The number of tasks that have not ended. */
static inline uint32_t nart_nursery_len(const nart_nursery *n)
{
    return n->len;
}

#ifdef __cplusplus
}
#endif
#endif
