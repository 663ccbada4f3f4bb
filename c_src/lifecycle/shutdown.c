/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shutdown.c: requests to shut down, awaiting them, and running until no task is left.
 *
 * Other threads and signal handlers ask through the mailbox: see core/post.c. */
#include "../sync/sync.h"
#include "remote.h"

#include <nart/shutdown.h>

#include <string.h>

nart_res nart_remote_shutdown(nart_remote remote)
{
    nart_res r = nart__remote_check(remote);

    if (r)
        return r == NART_ESHUTDOWN ? 0 : r;
    return nart__post_end(remote.hub, remote.incarnation, remote.waker.w) ? 0 : NART_ESTALE;
}

nart_res nart_rt_shutdown(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        nart__rt_shutdown(rt);
    return r;
}

bool nart_rt_is_shutdown(const nart_rt *rt)
{
    return rt->refusing;
}

/* ---- awaiting ---- */

static void withdraw(nart__wait *w)
{
    nart_rt *rt = nart__waiter_of(w)->at; /* on tokio not the owner of the group's first task */

    if (w->state == NART__QUEUED)
        nart__q_remove(&rt->awaiting_shutdown, w);
}

static const struct nart__wait_ops shutdown_ops = { "shutdown", withdraw };

nart_res nart_shutdown_await(nart_cx *cx, nart_waiter *w)
{
    nart_rt *rt;

    if (!cx->self)
        return -EPERM;
    nart_res r = nart__cx_rt_made(cx, &rt);
    if (r == 0)
        r = nart__sync_enter(cx, w, rt, 0);
    if (r)
        return r;
    if (rt->refusing) {
        if (w->wait.task)
            nart__withdraw(&w->wait);
        return 0;
    }
    return nart__sync_park(cx, w, rt, 0, &rt->awaiting_shutdown, &shutdown_ops);
}

/* ---- running until no task is left ---- */

/* How many tasks have not ended; `all`: those in the background count. */
static uint32_t count_tasks(const nart_rt *rt, bool all)
{
    return all ? rt->live : rt->live - rt->background;
}

/* Runs until no task is left or `ns` have passed, at least one tick. The time is the system's: the
 * runtime's own clock may be stopped. Answers 0 or the error of a run. */
static nart_res run_for(nart_rt *rt, int64_t ns, bool all)
{
    int64_t until = nart_time_add(nart__sys_now(), ns > 0 ? ns : 0), left;
    nart_res r;

    do {
        left = until == NART_NEVER ? NART_NEVER : until - nart__sys_now();
        /* without tasks there are only posts that have arrived: do not park */
        r = nart_rt_poll(rt, count_tasks(rt, all) > 0 && left > 0 ? left : 0);
    } while (r >= 0 && left > 0 && (count_tasks(rt, all) > 0 || nart__rt_has_posts(rt)));
    return r < 0 ? r : 0;
}

static void count_left(nart_rt *rt, bool all, nart_rt_left *left)
{
    uint32_t slot = 0, tasks = count_tasks(rt, all); /* the report's callback may spawn more */

    for (const nart__task *t; (t = nart__rt_next(rt, &slot));) {
        if (t->state & NART__T_DONE) {
            left->held++;
        } else if (left->tasks < tasks && (all || !(t->state & NART__T_BACKGROUND))) {
            left->tasks++;
            nart__rt_report_task(rt, t, "has not ended");
        }
    }
}

/* Counts what is left after a run, and answers for it. */
static nart_res settle(nart_rt *rt, bool all, uint32_t cancelled, nart_rt_left *out)
{
    nart_rt_left left = { .size = sizeof left, .cancelled = cancelled };

    rt->running = true; /* so that the report's callback cannot free the runtime or run it */
    count_left(rt, all, &left);
    rt->running = false;
    left.cancelled -= left.tasks < cancelled ? left.tasks : cancelled;
    if (out) {
        size_t size = out->size;
        memcpy(out, &left, size < sizeof left ? size : sizeof left);
        out->size = size;
    }
    return left.tasks ? -ETIMEDOUT : left.held ? -EBUSY : 0;
}

static nart_res check(const nart_rt *rt, const nart_rt_left *out)
{
    if (out && out->size < sizeof out->size)
        return NART_EABI;
    return nart__rt_check(rt);
}

nart_res nart_rt_quiesce(nart_rt *rt, int64_t ns, nart_rt_left *left)
{
    nart_res r = check(rt, left);

    if (r == 0)
        r = run_for(rt, ns, false);
    return r ? r : settle(rt, false, 0, left);
}

static void cancel_all(nart_rt *rt)
{
    uint32_t slot = 0;

    for (const nart__task *t; (t = nart__rt_next(rt, &slot));)
        if (!(t->state & NART__T_DONE))
            (void)nart_task_cancel(rt, (nart_task){ t->slot, t->gen });
}

nart_res nart_rt_shutdown_within(nart_rt *rt, int64_t grace_ns, int64_t unwind_ns,
                                 nart_rt_left *left)
{
    uint32_t cancelled = 0;
    nart_res r = check(rt, left);

    if (r)
        return r;
    nart__rt_shutdown(rt);
    r = run_for(rt, grace_ns, false);
    if (r == 0 && rt->live > 0) {
        cancelled = rt->live;
        cancel_all(rt);
        r = run_for(rt, unwind_ns, true);
    }
    return r ? r : settle(rt, true, cancelled, left);
}
