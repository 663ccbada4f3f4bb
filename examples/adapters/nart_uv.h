/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_uv.h: a loop of libuv inside a runtime of nart, for a program that moves from libuv to nart step by step. Copy
 * nart_uv.h and nart_uv.c into your project. The other way round, a runtime inside a loop of libuv, is
 * nart_uv_guest.h.
 *
 * All handles and requests of the loop work: a watch waits for the loop's backend descriptor, its alarm is the loop's
 * next timer. What a task does with the loop (uv_timer_start(), uv_write() ...) takes effect when the task calls
 * nart_uv_look() afterwards.
 * Thread: all functions are called on the runtime's own. */
#ifndef NART_UV_H
#define NART_UV_H

#include <nart/nart.h>

#include <uv.h>

/* Must stay where it is until it is stopped. Zeroed = stopped. */
typedef struct nart_uv {
    uv_loop_t *loop; /* NULL: stopped */
    nart_watch watch;
    nart_notify ended;
    nart_waiter waiter;
    bool running;
} nart_uv;

/* Lets the runtime run the loop. 0; errors of nart_watch_start() and nart_watch_set(). The loop stays the caller's. */
NART_MUST_USE nart_res nart_uv_start(nart_rt *rt, nart_uv *uv, uv_loop_t *loop);

/* The loop was changed outside of its callbacks: looks when it has to run next. No effect inside of them. */
void nart_uv_look(nart_uv *uv);

/* nart_uv_look(), and waits until the loop has no active handle or request left, as uv_run() does. 0; -EBADF it is stopped; as
 * nart_notify_await(). The loop by itself keeps nart_rt_run() not waiting. */
NART_MUST_USE nart_res nart_uv_await(nart_cx *cx, nart_uv *uv);

/* Stops. Not in a callback of the loop. */
void nart_uv_stop(nart_uv *uv);

#endif
