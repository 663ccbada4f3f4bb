/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/remote.h
 * Handles of a runtime for other threads: to spawn tasks on it and to shut it down.
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
 *  @return a zeroed handle for NULL. **Thread**: the runtime's own. */
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
 *   the lack of a slot is also reported (see nart_rt_opts). To learn of the task's end, pass it the sending
 *   end of a channel, which it closes.
 * **Thread**: any, but not in signal handlers. **Cost**: one malloc, five or six locked instructions; a
 *   write to an eventfd if the runtime is parked.
 */
NART_API NART_MUST_USE nart_res nart_remote_spawn(nart_remote remote, const nart_task_type *type,
                                                  const void *init);

#ifdef __cplusplus
}
#endif
#endif
