/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_uv.c: uv_run(UV_RUN_NOWAIT) whenever the loop's descriptor is readable or its timer is due.
 *
 * libuv registers what its handles wait for at the beginning of the poll in uv_run(). What the callbacks of that poll
 * start is registered by the next run only: so after an event the loop runs once more, by an alarm that is due at once,
 * and so it does after nart_uv_look(). */
#include "nart_uv.h"

static void plan(nart_uv *uv, bool at_once)
{
    uv_update_time(uv->loop);                            /* the callbacks may have taken long */
    int ms = at_once ? 0 : uv_backend_timeout(uv->loop); /* -1: no timer */
    int64_t now = nart_rt_now(uv->watch.rt);

    if (!uv_loop_alive(uv->loop))
        nart_notify_one(&uv->ended);
    if (nart_watch_set(&uv->watch, NART_READ,
                       ms < 0 ? NART_NEVER : nart_time_add(now, ms * NART_MS)) != 0)
        nart_watch_stop(&uv->watch);
}

static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    nart_uv *uv = arg;

    (void)w;
    uv->running = true;
    (void)uv_run(uv->loop, UV_RUN_NOWAIT);
    uv->running = false;
    plan(uv, events & NART_READ);
}

nart_res nart_uv_start(nart_rt *rt, nart_uv *uv, uv_loop_t *loop)
{
    *uv = (nart_uv){ .loop = loop };
    nart_res r = nart_watch_start(rt, &uv->watch, uv_backend_fd(loop), on_event, uv);
    if (r == 0)
        r = nart_watch_set(&uv->watch, NART_READ, 0);
    if (r)
        nart_uv_stop(uv);
    return r;
}

void nart_uv_look(nart_uv *uv)
{
    if (uv->loop && !uv->running && nart_watch_set(&uv->watch, NART_READ, 0) != 0)
        nart_watch_stop(&uv->watch);
}

nart_res nart_uv_await(nart_cx *cx, nart_uv *uv)
{
    nart_res r = uv->loop ? 0 : -EBADF;

    nart_uv_look(uv);
    while (r == 0) {
        r = nart_notify_await(cx, &uv->ended, &uv->waiter);
        if (r == 0 && !uv_loop_alive(uv->loop)) /* else it was notified before it was used again */
            break;
    }
    return r;
}

void nart_uv_stop(nart_uv *uv)
{
    nart_watch_stop(&uv->watch);
    nart_notify_close(&uv->ended);
    uv->loop = NULL;
}
