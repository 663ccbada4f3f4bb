/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/signal.h
 * Signals of the system as events that tasks await.
 *
 * A task that reads its configuration again on SIGHUP:
 *
 * ```c
 * struct reloader { nart_co co; nart_signal hup; };
 *
 * static nart_res reloader_run(nart_cx *cx, void *frame)
 * {
 *     struct reloader *f = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &f->co);
 *     n = nart_signal_open(SIGHUP, &f->hup);
 *     while (n >= 0) {
 *         NART_AWAIT(n, nart_signal_recv(cx, &f->hup));
 *         if (n > 0)
 *             reload();
 *     }
 *     NART_END(n);
 * }
 *
 * static void reloader_drop(void *frame)
 * {
 *     nart_signal_close(&((struct reloader *)frame)->hup);
 * }
 *
 * static const nart_task_type reloader_type = NART_TASK_TYPE(struct reloader, reloader_run, reloader_drop);
 * ```
 *
 * Rules:
 *  1. Any number of handles may be open for a signal, in any runtimes and threads; each receives every delivery
 *     after it was opened. nart_rt_shutdown_on() can have the same signal.
 *  2. Deliveries are counted, and several may be one answer. The kernel merges standard signals that are pending,
 *     so several kill() may be one delivery.
 *  3. The first handle of a signal installs nart's handler for the process (SA_RESTART, SA_ONSTACK); the last one
 *     to be closed restores the former disposition. Do not change it in between. The former handler is not called
 *     meanwhile. A thread that blocks the signal does not get it; if all block it, none is delivered.
 *  4. A handle belongs to no runtime. It may be opened, moved and closed on any thread, but not while it is in
 *     use on another one, and on that of its task while that waits. A runtime that is freed does not close it: do
 *     that in the task's drop.
 *  5. A forked child has copies of the handles. Deliveries to the child count in the child. Closing all of them
 *     there restores the disposition of the child; exec sets it to the default action.
 *  6. Zeroed = closed. Do not copy a handle; move it with nart_signal_move(), or in a frame that is spawned.
 */
#ifndef NART_SIGNAL_H
#define NART_SIGNAL_H

#include "task.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A signal whose deliveries are received. */
typedef struct nart_signal {
    /* private */
    nart__wait wait;
    struct nart__signal_watch *watch;
} nart_signal;

/**
 * Opens a handle. Deliveries from now on count, also before the first nart_signal_recv().
 * @param out overwritten; closed when this fails.
 * @return 0; -EINVAL no `out`; or a signal that cannot be received: an unknown number, SIGKILL, SIGSTOP, those that
 *   the C library keeps, and SIGSEGV, SIGBUS, SIGFPE, SIGILL, because the thread that causes one would repeat its
 *   instruction for ever; -ENOMEM.
 * **Thread**: any. **Cost**: a system call if it is the first of its signal. 32 bytes for each handle that is open
 *   at the same time are kept for later ones.
 */
NART_API NART_MUST_USE nart_res nart_signal_open(int signo, nart_signal *out);

/**
 * Waits until the signal is delivered.
 * @return how many deliveries were counted since the last answer, or since the handle was opened: 1 or more;
 *   -EBUSY another task, or another operation, waits in it; -EBADF the handle is closed; -ECANCELED, -ETIMEDOUT:
 *   nothing was taken.
 * **Thread**: inside a poll, under any driver. **Cost**: no system call. A delivery wakes the task as
 *   nart_waker_wake() on the thread that got it: one system call if the loop is parked; and each handle of the
 *   signal adds that. A delivery while no task waits may poll the last one that did.
 */
NART_API NART_MUST_USE nart_res nart_signal_recv(nart_cx *cx, nart_signal *s);

/** Moves a handle into a closed or zeroed one. A task that waits in `*src` is woken, and finds it closed. */
NART_API void nart_signal_move(nart_signal *dst, nart_signal *src);

/** Closes. A task that waits in it is woken: its operation answers -EBADF. Deliveries that were not received are
 *  lost. A closed handle and NULL are fine. **Cost**: a system call if it is the last of its signal. */
NART_API void nart_signal_close(nart_signal *s);

#ifdef __cplusplus
}
#endif
#endif
