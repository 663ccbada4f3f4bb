/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/remote.h
 * A runtime as other threads see it: a handle to spawn tasks on it, and to have it shut down.
 *
 *     remote = nart_rt_remote(rt);                    // on the runtime's thread
 *
 *     r = nart_remote_spawn(remote, &job_type, &job); // on any thread: the task's frame is a copy
 */
#ifndef NART_REMOTE_H
#define NART_REMOTE_H

#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Names a runtime on any thread. Copied freely: no clone, no drop. Valid after the runtime is gone:
 * then it answers NART_ESTALE. Zeroed = names none.
 */
typedef struct nart_remote {
    struct nart__hub *hub;
    uint64_t incarnation;
    nart_waker waker;
} nart_remote;

/** The handle of a runtime; of the running task's by `nart_rt_remote(nart_cx_rt(cx))`.
 *  @return a zeroed handle for NULL. **Thread**: the runtime's own. */
NART_API nart_remote nart_rt_remote(nart_rt *rt);

/** Spawns under way to one runtime at most. */
#define NART_REMOTE_SPAWNS 4096

/**
 * Spawns a task from any thread: a copy of `init` (NULL: zeros) becomes its frame when the loop next
 * looks, and wakes it if it is parked. Spawns of one thread begin in the order they were made.
 * @return 0; -EAGAIN NART_REMOTE_SPAWNS are under way, try later; -EINVAL a type that is none;
 *   NART_EFRAME a frame larger than the largest slot; -ENOMEM; NART_ESHUTDOWN; NART_ESTALE the runtime
 *   is gone, or an empty handle; NART_EABI; NART_EFORK.
 * **Ownership**: what `*init` refers to passes to the task on success and stays the caller's
 *   otherwise. An end of a local channel cannot be given away like this. When after a success the loop has
 *   no free slot, begins to shut down or is freed, then the type's drop runs on the copy instead, on the
 *   loop's thread, and the former is reported (see nart_rt_opts). To be notified of the task's end give it
 *   the sending end of a channel, which it closes.
 * **Thread**: any, signal handlers excepted. **Cost**: one malloc, five or six locked instructions;
 *   a write to an eventfd when the runtime is parked.
 */
NART_API NART_MUST_USE nart_res nart_remote_spawn(nart_remote remote, const nart_task_type *type,
                                                  const void *init);

#ifdef __cplusplus
}
#endif
#endif
