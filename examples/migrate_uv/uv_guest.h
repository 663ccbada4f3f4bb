/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* uv_guest.h: a runtime of nart inside a loop of libuv. Copy it into your program. */
#ifndef UV_GUEST_H
#define UV_GUEST_H

#include <nart/nart.h>
#include <uv.h>

/* Zero it, and keep it until the loop has ended. */
struct uv_guest {
    nart_rt *rt;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
};

/* Lets `loop` run the tasks of `rt`, until it was asked to shut down (nart_rt_shutdown()) and has no task
 * left. Free the runtime after the loop has ended. Returns 0 or an error of libuv. */
int uv_guest_start(struct uv_guest *g, uv_loop_t *loop, nart_rt *rt);

#endif
