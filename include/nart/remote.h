/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/remote.h
 * Handles of a runtime for other threads: to spawn tasks on it and to shut it down.
 *
 *     remote = nart_rt_remote(rt);                    // on the runtime's thread
 *
 *     r = nart_remote_spawn(remote, &job_type, &job); // on any thread: the task's frame is a copy
 *
 * A thread without a loop that has a task run and waits for its answer:
 *
 *     nart_remote_join join;
 *
 *     r = nart_remote_spawn_join(remote, &job_type, &job, &join);
 *     if (r == 0) {
 *         r = nart_remote_join_blocking(&join, &answer, 5 * NART_SEC);
 *         if (r == -ETIMEDOUT)
 *             r = nart_remote_join_cancel(&join); // it unwinds; its answer can still be awaited
 *         nart_remote_join_release(&join);
 *     }
 */
#ifndef NART_REMOTE_H
#define NART_REMOTE_H

#include "oneshot.h"
#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A handle of a runtime, for any thread. It may be copied and needs no release. It stays valid after the
 * runtime is freed: then its functions answer NART_ESTALE. Zeroed = empty.
 */
typedef struct nart_remote {
    /* private */
    struct nart__hub *hub;
    uint64_t incarnation;
    nart_waker waker;
} nart_remote;

/** The handle of a runtime; in a task, `nart_rt_remote(nart_cx_rt(cx))`.
 *  @return a zeroed handle for NULL. **Thread**: the runtime's own, or any before it is bound. */
NART_API nart_remote nart_rt_remote(nart_rt *rt);

/** The most spawns that may be pending for one runtime. */
#define NART_REMOTE_SPAWNS 4096

/**
 * Spawns a task from any thread. `*init` is copied (NULL: zeros); the copy becomes the task's frame in the
 * loop's next tick. A parked loop is woken. Spawns of one thread begin in order.
 * @return 0; -EAGAIN NART_REMOTE_SPAWNS are pending, try later; -EINVAL an invalid type; NART_EFRAME the
 *   frame is larger than the largest slot; -ENOMEM; NART_ESHUTDOWN; NART_ESTALE the runtime was freed, or
 *   an empty handle; NART_EABI; NART_EFORK.
 * **Ownership**: what `*init` refers to passes to the task on success and stays the caller's otherwise.
 *   The ends of a local channel cannot be passed in this way. If after a success the loop has no free slot,
 *   has begun to shut down, or is freed, the type's drop runs on the copy instead, on the loop's thread;
 *   the lack of a slot is also reported (see nart_rt_opts). To learn of the task's end, use
 *   nart_remote_spawn_join().
 * **Thread**: any, but not in signal handlers. **Cost**: one malloc, five or six locked instructions; a
 *   write to an eventfd if the runtime is parked.
 */
NART_API NART_MUST_USE nart_res nart_remote_spawn(nart_remote remote, const nart_task_type *type,
                                                  const void *init);

/* ---- joining ---- */

struct nart__remote_task;

/**
 * A handle of a task that was spawned on another runtime, to await its end, from a thread without a loop or from a
 * task of any runtime or of tokio. Zeroed = empty. It may outlive the task, its runtime, and the runtime of the task
 * that awaits it. Do not copy it; move it with nart_remote_join_move(), or inside a frame that is spawned or a value
 * that is sent: see NART_TASK_TYPED in nart/rt.h.
 *
 * **Thread**: one at a time uses it.
 */
typedef struct nart_remote_join {
    /* private */
    nart_oneshot_rx answer;
    struct nart__remote_task *task;
    uint32_t used, asked;
} nart_remote_join;

/**
 * nart_remote_spawn() with a handle of the task. The task's frame is dropped when it ends, as that of a detached task,
 * before the answer can be received.
 * @param out receives the handle; it need not be initialised. Empty after an error.
 * @return as nart_remote_spawn(), and -EINVAL no `out`.
 * **Ownership**: `*init` as nart_remote_spawn(); a frame that does not become a task is not reported: the handle
 *   answers why. `*out` is the caller's to release. **Thread**: any, but not in signal handlers.
 * **Cost**: three mallocs; the end of the task costs three locked instructions more.
 */
NART_API NART_MUST_USE nart_res nart_remote_spawn_join(nart_remote remote,
                                                       const nart_task_type *type, const void *init,
                                                       nart_remote_join *out);

/**
 * Waits for the end of the task.
 * @return 0 and `*result` (may be NULL) = the task's answer; NART_EABORTED as nart_join_await(): also a task that
 *   nart_rt_free() has ended. The task was not spawned, and its frame was dropped: NART_ESLOTS, -ENOMEM no slot;
 *   NART_ESHUTDOWN its runtime had begun to shut down; NART_ESTALE its runtime was freed. About the handle: NART_ESTALE
 *   it is empty; NART_EUSED the answer was taken before; -EBUSY another task awaits it; NART_EFORK it is of the
 *   parent process. About the caller: -ECANCELED, -ETIMEDOUT; the handle can be awaited again.
 * **Thread**: the handle's, inside a poll of any driver.
 */
NART_API NART_MUST_USE nart_res nart_remote_join_await(nart_cx *cx, nart_remote_join *j,
                                                       nart_res *result);

/**
 * Waits in an ordinary thread and blocks it for at most `timeout_ns` (NART_NEVER: no timeout; 0: does not block). Do
 * not call it on the thread of the task's runtime, which could not run the task, nor in a poll of any other.
 * @return as nart_remote_join_await(), except -ECANCELED; -ETIMEDOUT the handle can be awaited again.
 * **Thread**: the handle's. **Cost**: as nart_oneshot_recv_blocking().
 */
NART_API NART_MUST_USE nart_res nart_remote_join_blocking(nart_remote_join *j, nart_res *result,
                                                          int64_t timeout_ns);

/** Cancels the task, as nart_task_cancel(), in the loop's next tick: also before its first poll. No effect if it has
 *  ended, nor the second time. The handle stays: the task's answer can be awaited.
 *  @return 0; NART_ESTALE an empty handle, or the task's runtime was freed; NART_EFORK.
 *  **Thread**: the handle's, but not in signal handlers. **Cost**: as nart_waker_wake(). */
NART_API nart_res nart_remote_join_cancel(nart_remote_join *j);

/** Releases the handle and empties `*j`. A task that has not ended continues: it is detached. A task that awaits the
 *  handle is woken and finds it empty. NULL and empty handles are fine. **Thread**: the handle's. */
NART_API void nart_remote_join_release(nart_remote_join *j);

/** Moves a handle into an empty one; `*src` becomes empty. A task that awaits `*src` is woken and finds it empty.
 *  **Thread**: the handle's. */
NART_API void nart_remote_join_move(nart_remote_join *dst, nart_remote_join *src);

#ifdef __cplusplus
}
#endif
#endif
