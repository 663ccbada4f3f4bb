/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "nart_uv_guest.h"

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    ((nart_uv_guest *)handle->data)->ready = true; /* the wait has ended: after_wait() polls */
}

static void on_time(uv_timer_t *timer)
{
    (void)timer; /* likewise */
}

static bool ended(const nart_uv_guest *g)
{
    return nart_rt_is_shutdown(g->rt) && nart_rt_task_count(g->rt) == 0;
}

/* Nanoseconds until the runtime has something to do without an event; NART_NEVER. */
static int64_t left(const nart_uv_guest *g)
{
    int64_t at = ended(g) ? 0 : nart_rt_next_deadline(g->rt);

    if (at == 0 || at == NART_NEVER)
        return at;
    int64_t now = nart_rt_now(g->rt);
    return at > now ? at - now : 0;
}

/* Right before libuv waits: it must not wait longer than the runtime allows. */
static void before_wait(uv_prepare_t *prepare)
{
    nart_uv_guest *g = prepare->data;
    int64_t ns = left(g);

    uv_timer_stop(&g->timer);
    if (ns == NART_NEVER)
        return;
    uv_update_time(prepare->loop); /* a timer counts from the loop's own reading of the clock */
    uv_timer_start(&g->timer, on_time, (uint64_t)((ns + NART_MS - 1) / NART_MS), 0);
}

static void after_wait(uv_check_t *check)
{
    nart_uv_guest *g = check->data;

    if (!g->ready && left(g) > 0)
        return;
    g->ready = false;
    nart_res r = nart_rt_poll(g->rt, 0);
    if (r < 0)
        g->why = r;
    if (r < 0 || ended(g))
        nart_uv_guest_stop(g);
}

int nart_uv_guest_start(nart_uv_guest *g, uv_loop_t *loop, nart_rt *rt)
{
    *g = (nart_uv_guest){ .rt = rt };
    int r = uv_poll_init(loop, &g->poll, nart_rt_backend_fd(rt));
    if (r < 0)
        return r;
    g->poll.data = g->prepare.data = g->check.data = g;
    (void)uv_timer_init(loop, &g->timer);
    (void)uv_prepare_init(loop, &g->prepare);
    (void)uv_check_init(loop, &g->check);
    (void)uv_prepare_start(&g->prepare, before_wait);
    (void)uv_check_start(&g->check, after_wait);
    return uv_poll_start(&g->poll, UV_READABLE, on_ready); /* 0 */
}

void nart_uv_guest_stop(nart_uv_guest *g)
{
    if (uv_is_closing((uv_handle_t *)&g->poll))
        return;
    uv_close((uv_handle_t *)&g->poll, NULL);
    uv_close((uv_handle_t *)&g->timer, NULL);
    uv_close((uv_handle_t *)&g->prepare, NULL);
    uv_close((uv_handle_t *)&g->check, NULL);
}
