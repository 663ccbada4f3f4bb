/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_uv_guest.h: a runtime of nart inside a loop of libuv (1.34 or later): the first step of a program that moves
 * from libuv to nart. Copy nart_uv_guest.h and nart_uv_guest.c into your project. The other way round: nart_uv.h.
 *
 * Tasks run between callbacks, on the same thread, so both may use the same data without a lock. Timers of nart have a
 * resolution of a millisecond, as libuv's.
 * Thread: that of the loop and of the runtime. */
#ifndef NART_UV_GUEST_H
#define NART_UV_GUEST_H

#include <nart/nart.h>
#include <uv.h>

/* Keep it, and the runtime, until the loop has ended. */
typedef struct nart_uv_guest {
    nart_rt *rt;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
    bool ready;   /* the runtime's descriptor is readable */
    nart_res why; /* it ended by a failure: an error of nart_rt_poll() */
} nart_uv_guest;

/* Lets `loop` run the tasks of `rt`, until it was asked to shut down (nart_rt_shutdown()) and has no task left. So
 * long the guest keeps uv_run() waiting, with or without tasks. Free the runtime after the loop has ended. 0 or an
 * error of libuv: nothing was started.
 * Cost: one system call per iteration in which the runtime has something to do; else none. */
int nart_uv_guest_start(nart_uv_guest *g, uv_loop_t *loop, nart_rt *rt);

/* Ends it, in a callback, in a task or outside of both: the loop runs no task any more. Those that are left end with
 * the runtime. The loop closes the guest's handles: it needs an iteration for that. A second call has no effect. */
void nart_uv_guest_stop(nart_uv_guest *g);

#endif
