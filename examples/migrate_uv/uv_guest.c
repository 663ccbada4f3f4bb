/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "uv_guest.h"

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)handle, (void)status, (void)events; /* it has ended the wait: after_wait() polls */
}

static void on_time(uv_timer_t *timer)
{
    (void)timer; /* likewise */
}

/* Right before libuv waits: it must not wait longer than the runtime allows. */
static void before_wait(uv_prepare_t *prepare)
{
    struct uv_guest *g = prepare->data;
    int64_t at = nart_rt_next_deadline(g->rt);

    uv_timer_stop(&g->timer);
    if (at == NART_NEVER)
        return;
    uv_update_time(prepare->loop); /* a timer counts from the loop's own reading of the clock */
    int64_t ns = at - (int64_t)uv_hrtime();
    uv_timer_start(&g->timer, on_time, ns > 0 ? (uint64_t)((ns + NART_MS - 1) / NART_MS) : 0, 0);
}

static void after_wait(uv_check_t *check)
{
    struct uv_guest *g = check->data;

    if (nart_rt_poll(g->rt, 0) >= 0 && (!nart_rt_is_shutdown(g->rt) || nart_rt_task_count(g->rt)))
        return;
    uv_close((uv_handle_t *)&g->poll, NULL);
    uv_close((uv_handle_t *)&g->timer, NULL);
    uv_close((uv_handle_t *)&g->prepare, NULL);
    uv_close((uv_handle_t *)&g->check, NULL);
}

int uv_guest_start(struct uv_guest *g, uv_loop_t *loop, nart_rt *rt)
{
    int r = uv_poll_init(loop, &g->poll, nart_rt_backend_fd(rt));

    if (r < 0)
        return r;
    g->rt = rt;
    g->poll.data = g->prepare.data = g->check.data = g;
    uv_timer_init(loop, &g->timer);
    uv_prepare_init(loop, &g->prepare);
    uv_check_init(loop, &g->check);
    uv_prepare_start(&g->prepare, before_wait);
    uv_check_start(&g->check, after_wait);
    return uv_poll_start(&g->poll, UV_READABLE, on_ready);
}
