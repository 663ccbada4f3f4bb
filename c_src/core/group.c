/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* group.c: the tasks that a task of another driver spawns.
 *
 * A driver such as tokio polls each of its tasks on any thread, but never two polls of one task at the same
 * time. A task that spawns, or opens a nursery, becomes the first task of a group: a runtime without a loop and
 * without a reactor, which the driver runs for one turn whenever it polls the first task. So the tasks of a
 * group are polled in turn, like those of a loop, and what they share is plain memory: joins, nurseries, task
 * sets, local channels and nart/sync.h need nothing else. Descriptors and the clock are the driver's.
 *
 * Invariants
 *  1. The first task lies in the driver's memory, not in a slot: it is HELD until it ends, so its end frees
 *     nothing. Its frame is dropped by the driver.
 *  2. The poll that makes the group has begun with the driver's own context. That one finds the group by
 *     cx->group until the poll ends; from then on the group's context is used for all tasks.
 *  3. The first task is polled in every turn, because its driver's waker does not say who was woken. The other
 *     tasks have wakers of the group's hub, which the driver watches by the hub's eventfd.
 *  4. The clock is the driver's, read once per turn: for rt->clock it stands still in between.
 *  5. rt->running is always set: the calls that run, bind or free a runtime answer -EDEADLK. */
#include "runtime.h"

/* ---- making ---- */

nart_res nart__group_make(nart_cx *cx, nart_rt **out)
{
    nart__task *first = cx->self;
    nart_rt *rt;

    if (!(cx->drv->kind & NART_DRIVER_SPAWNS) || !first)
        return NART_EDRIVER;
    if (nart__rt_new_group(first, &rt) != 0)
        return -ENOMEM;
    nart_driver_cx_init(&rt->cx, cx->drv, cx->host);
    rt->cx.now = rt->clock.at = cx->now;
    rt->clock.mode = NART__CLOCK_PAUSED;
    nart__wheel_init(&rt->wheel, cx->now);
    rt->cx.group = rt;
    rt->cx.self = first;
    rt->running = true;
    rt->live = 1;
    first->state |= NART__T_HELD;
    if (first->state & NART__T_READY) /* it is in no queue: its driver keeps none */
        nart__run_queue_push(&rt->ready, first);
    *out = cx->group = rt;
    return 0;
}

/* ---- polling ---- */

/* Tells the driver when to poll again. @return the answer of the first task if it ended in this poll. */
static nart_res report(nart_rt *rt, bool had_ended)
{
    nart__task *first = rt->first;
    const nart_driver *drv = rt->cx.drv;

    drv->park(rt->cx.host, first, nart__wheel_next(&rt->wheel));
    if (nart__any_ready(rt) || nart__hub_maybe(rt->hub))
        drv->ready(rt->cx.host, first);
    if (had_ended || !(first->state & NART__T_DONE))
        return NART_PENDING;
    return first->res == NART_EABORTED ? -ECANCELED : first->res;
}

nart_res nart__group_begin(nart_cx *cx, nart_res r)
{
    nart_rt *rt = cx->group;

    rt->first->owner = &rt->cx;
    rt->cx.park = cx->park;
    rt->cx.flags = cx->flags;
    if (cx->now > rt->cx.now)
        rt->cx.now = cx->now;
    cx->park = NART_NEVER;
    nart__poll_over(cx);
    nart__poll_over(&rt->cx);
    nart__rt_after_poll(rt, rt->first, r);
    return report(rt, false);
}

nart_res nart__group_poll(nart_rt *rt)
{
    bool ended = rt->first->state & NART__T_DONE;

    rt->clock.at = rt->cx.drv->now(rt->cx.host);
    nart__hub_unpark(rt->hub);
    nart__rt_ready(rt, rt->first);
    nart__rt_turn(rt);
    return report(rt, ended);
}

/* ---- for drivers ---- */

void nart_driver_task_drop(nart__task *t)
{
    nart__frame_drop(t->owner->group, t->type, t->frame);
}

uint32_t nart_driver_group_tasks(const nart_cx *cx)
{
    const nart_rt *rt = cx->group;
    return rt ? rt->live - rt->background - !(rt->first->state & NART__T_DONE) : 0;
}

int nart_driver_group_fd(const nart_cx *cx)
{
    return cx->group ? cx->group->hub->efd : -1;
}

bool nart_driver_group_park(nart_cx *cx)
{
    return !cx->group || nart__hub_park(cx->group->hub);
}

void nart_driver_group_cancel(nart_cx *cx)
{
    nart_rt *rt = cx->group;
    uint32_t slot = 0;

    if (!rt)
        return;
    nart__rt_shutdown(rt);
    for (nart__task *t; (t = nart__rt_next(rt, &slot));)
        if (!(t->state & NART__T_DONE))
            nart__task_cancel(rt, t);
}

void nart_driver_group_end(nart_cx *cx)
{
    nart_rt *rt = cx->group;

    if (!rt)
        return;
    nart__task *left = rt->cx.self; /* its poll was left by an exception */
    nart__poll_over(&rt->cx);
    if (rt->dropping && rt->drops) /* so was this drop, which is not repeated */
        rt->drops = rt->drops->right;
    rt->dropping = false;
    if (left)
        nart__task_finish(rt, left, NART_EPANIC);
    nart__task *first = rt->first;
    first->owner = &rt->cx;
    nart__rt_free_group(rt);
    first->owner = cx;
    cx->group = NULL;
}

nart__task *nart_driver_group_first(const nart_cx *cx)
{
    return cx->group ? cx->group->first : cx->self;
}

uintptr_t nart_driver_group_waker(nart__task *t)
{
    nart_rt *rt = t->owner->group;

    if (!rt || t == rt->first)
        return 0;
    t->state |= NART__T_ESCAPED;
    return nart__hub_waker(rt->hub, t->slot);
}

bool nart_driver_group_polls(const nart_cx *cx)
{
    return cx->group && cx->self != cx->group->first;
}
