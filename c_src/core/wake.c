/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wake.c: how a task becomes ready.
 *
 * | source                                        | calls                                            |
 * |-----------------------------------------------|--------------------------------------------------|
 * | an operation, under any driver                | nart__ready(), wait.h; nart__ready_slow()        |
 * | the loop: spawns, timers, the inbox           | nart__rt_ready_by(), runtime.h                   |
 * | the task itself                               | nart_wake_self(); the loop requeues it           |
 * | other threads, signal handlers                | nart_waker_wake(); nart__wake(), hub.c, pushes   |
 * |                                               | to the inbox                                     |
 *
 * The caller that sets NART__T_READY pushes the task onto a ready queue, by nart__rt_enqueue(). Only an
 * urgent task, an idle host or an observer needs more than that.
 *
 * nart__ready_slow() is declared in the room below. It compares the driver with the loop's, so that
 * waking a task of the loop is no indirect call. */
#include "runtime.h"

void nart__ready_slow(nart__task *t)
{
    nart_cx *cx = t->owner;

    t->state |= NART__T_READY;
    if (NART_LIKELY(cx->drv == &nart__loop))
        nart__rt_enqueue(nart__rt_of(t), t, NART__BY_CALL);
    else if (cx->group)
        nart__rt_enqueue_slow(cx->group, t, NART__BY_CALL);
    else
        cx->drv->ready(cx->host, t);
}

/* The host may sleep in its own loop: makes the backend descriptor readable. */
static void wake_host(nart_rt *rt)
{
    nart__rt_set_idle(rt, false);
    nart__hub_unpark(rt->hub);
    nart__hub_ring(rt->hub);
}

void nart__rt_enqueue_slow(nart_rt *rt, nart__task *t, nart__cause cause)
{
    nart__run_queue_push(t->state & NART__T_URGENT ? &rt->urgent : &rt->ready, t);
    if (rt->observer)
        rt->observer->woken(rt->observer, t, cause);
    if (rt->idle)
        wake_host(rt);
}

/* ---- wakers ---- */

nart_waker nart_cx_waker(nart_cx *cx)
{
    nart_waker w = { cx->self ? cx->drv->waker(cx->host, cx->self) : 0 };
    return w;
}

void nart_waker_wake(nart_waker w)
{
    if (w.w & 1) {
        nart_wakeable *other = (nart_wakeable *)(w.w - 1);
        other->wake(other);
    } else {
        nart__wake(w.w);
    }
}
