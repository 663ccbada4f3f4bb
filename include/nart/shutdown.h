/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/shutdown.h
 * Graceful shutdown of a runtime: request it from any thread or by a signal, await the request in tasks,
 * run until no task is left, with a deadline for all of it.
 *
 * A runtime that was asked to shut down accepts no new tasks: spawns, those into nurseries and task sets
 * included, answer NART_ESHUTDOWN. A loop that retries failed spawns must stop at this error. Existing
 * tasks continue; a task that serves for ever awaits the shutdown beside its work, and ends:
 *
 *     NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &c->waiter),
 *                    nart_tcp_accept(cx, &c->listener, &c->peer, NULL));
 *
 * Closing a listener makes the system reset the connections in its backlog.
 *
 * A program that serves until SIGTERM; `server_type` is a task that ends as above:
 *
 * ```c
 * #include <nart/nart.h>
 *
 * #include <signal.h>
 * #include <stdio.h>
 *
 * static nart_res until_run(nart_cx *cx, void *frame)
 * {
 *     return nart_shutdown_await(cx, frame);
 * }
 *
 * static const nart_task_type until_type = NART_TASK_TYPE(nart_waiter, until_run, NULL);
 *
 * int main(void)
 * {
 *     nart_rt *rt = NULL;
 *     nart_res r = nart_rt_new(NULL, &rt);
 *
 *     if (r == 0)
 *         r = nart_rt_shutdown_on(rt, SIGTERM);
 *     if (r == 0)
 *         r = nart_rt_spawn(rt, &server_type, NULL, NULL);
 *     if (r == 0)
 *         r = nart_block_on(rt, &until_type, NULL, NULL); // serves until the signal
 *     if (r == 0)
 *         r = nart_rt_shutdown_within(rt, 5 * NART_SEC, NART_SEC, NULL);
 *     if (r < 0)
 *         fprintf(stderr, "%s\n", nart_strerror(r));
 *     nart_rt_free(rt);
 *     return r < 0;
 * }
 * ```
 */
#ifndef NART_SHUTDOWN_H
#define NART_SHUTDOWN_H

#include "remote.h"
#include "sync.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Asks the runtime to shut down. A second request has no effect.
 *  @return 0; -EINVAL, NART_EWRONGTHREAD, NART_EFORK. **Thread**: the runtime's own. */
NART_API nart_res nart_rt_shutdown(nart_rt *rt);

/** Was the runtime asked to shut down? **Thread**: the runtime's own. */
NART_API bool nart_rt_is_shutdown(const nart_rt *rt);

/** Asks the runtime to shut down, from any thread. A parked loop is woken. A second request has no effect.
 *  @return 0; NART_ESTALE the runtime was freed, or an empty handle; NART_EFORK.
 *  **Thread**: any, signal handlers included. **Cost**: as nart_waker_wake(). */
NART_API nart_res nart_remote_shutdown(nart_remote remote);

/** Waits until the runtime is asked to shut down. Any number of tasks may wait, each in a nart_waiter of its
 *  own.
 *  @return 0 it was asked (from then on at once); -ECANCELED, -ETIMEDOUT; -EBUSY another task, or another
 *    operation, waits in `w`; -ENOMEM, NART_EDRIVER as nart_spawn(). */
NART_API NART_MUST_USE nart_res nart_shutdown_await(nart_cx *cx, nart_waiter *w);

/** What was left at the end of nart_rt_quiesce() or nart_rt_shutdown_within(). */
typedef struct nart_rt_left {
    size_t size;    /**< sizeof(nart_rt_left), set by the caller */
    uint32_t tasks; /**< tasks that have not ended */
    uint32_t held;  /**< tasks that have ended, but are kept by a join handle */
    uint32_t
        cancelled; /**< tasks that ended after being cancelled (nart_rt_shutdown_within() only) */
} nart_rt_left;

#define NART_RT_LEFT_INIT NART__SIZED(nart_rt_left)

/**
 * Runs the loop until no task is left except in the background, for at most `ns` nanoseconds (0 or less: one
 * tick). Tasks spawned by other threads until then are included. Cancels no task. Tasks in the background
 * (nart_task_set_background()) are neither counted nor reported.
 * @param left may be NULL.
 * @return 0; -ETIMEDOUT tasks are left, and each was reported by name and source line (see
 *   nart_rt_opts); -EBUSY all have ended, but some are kept by join handles; the errors of
 *   nart_rt_run(); NART_EABI.
 * **Thread**: the runtime's own.
 */
NART_API nart_res nart_rt_quiesce(nart_rt *rt, int64_t ns, nart_rt_left *left);

/**
 * The whole shutdown: calls nart_rt_shutdown() and runs for at most `grace_ns`, until all tasks have ended
 * except those in the background; cancels all that are left, and runs until they have ended, for at most
 * `unwind_ns` more.
 * @return as nart_rt_quiesce(), tasks in the background included. nart_rt_free() then drops the tasks that are
 *   left.
 * **Thread**: the runtime's own.
 */
NART_API nart_res nart_rt_shutdown_within(nart_rt *rt, int64_t grace_ns, int64_t unwind_ns,
                                          nart_rt_left *left);

/**
 * Makes a signal ask the runtime to shut down, whichever thread it is delivered to. nart_rt_shutdown_off()
 * or nart_rt_free() restores the former disposition; in a forked child, only nart_rt_free() does. A program
 * started by exec finds the signal at its default action, also if it was ignored before.
 * Handles of nart/signal.h can have the same signal; the last user restores.
 * @return 0; -EINVAL not a signal that can be received, as nart_signal_open(); -EBUSY a runtime owns it already;
 *   -ENOMEM; NART_EWRONGTHREAD, NART_EFORK.
 * **Thread**: the runtime's own.
 */
NART_API NART_MUST_USE nart_res nart_rt_shutdown_on(nart_rt *rt, int signo);

/** Restores the former disposition. A signal delivered before still asks for the shutdown.
 *  @return 0; NART_ESTALE the signal is not owned by this runtime; -EINVAL, NART_EWRONGTHREAD,
 *  NART_EFORK. **Thread**: the runtime's own. */
NART_API nart_res nart_rt_shutdown_off(nart_rt *rt, int signo);

#ifdef __cplusplus
}
#endif
#endif
