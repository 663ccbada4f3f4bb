/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.c: the cold half of wait.h, the operation kit, sleeping, shields.
 *
 * Deadlines. The scopes that are open are a list on the C stack, cx->scope the innermost, each with
 * the earliest deadline above it; what a body evaluates itself and what bodies below it do differ by
 * the body that the scope names. They are compared with cx->now, the last reading of the clock: that is never ahead of the clock, so
 * nothing is early; and the loop reads the clock before it fires timers, so the poll that a timer
 * causes sees its deadline expired.
 *
 * Budget. The operation that finds the budget spent queues the task again and answers NART_PENDING,
 * even in an expired scope, so no body can hold the loop; the first operation of the next poll then
 * looks at the deadlines, so a body whose operations are always ready still meets them. */
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>

nart_res nart__halt(nart_cx *cx, nart__wait *w)
{
    nart__task *t = cx->self;

    if (!t) {
        cx->go = 0;
        return -EPERM;
    }
    if (cx->stop == NART__STOP_LOOK) {
        cx->stop = NART__STOP_NOT;
        cx->go = NART_BUDGET - 1;
        nart_res r = nart__look(cx);
        if (r && w && w->task == t)
            nart__withdraw(w);
        return r;
    }
    if (cx->stop == NART__STOP_NOT) {
        cx->go = 0;
        if (w && w->task == t) { /* keeps its place in the queue, or its turn */
            w->co = cx->co;
            w->seen = t->polls;
        }
        t->state |= NART__T_SPENT;
        t->leaf = cx->co;
        nart_wake_self(cx);
        return NART_PENDING;
    }
    if (w && w->task == t)
        nart__withdraw(w);
    if (cx->go < -NART__PATIENCE) {
        cx->go = -NART__PATIENCE;
        t->state |= NART__T_DEAF;
        cx->flags |= NART__CX_END;
        t->leaf = cx->co;
        return NART_PENDING;
    }
    return -ECANCELED;
}

/* A poll that is not the plain case: cancelled, shielded, or after one that spent its budget. */
void nart__poll_begin_odd(nart_cx *cx, nart__task *t)
{
    if (t->state & NART__T_SPENT) {
        t->state &= ~(uint32_t)NART__T_SPENT;
        cx->stop = NART__STOP_LOOK;
        cx->go = 0;
    }
    if (nart__shield_holds(cx, t)) {
        nart__cx_until(cx, t->shield); /* to be told of its end */
    } else if (t->state & NART__T_CANCELLED) {
        cx->stop = NART__STOP_CANCEL;
        cx->go = 0;
    }
}

void nart__sweep(nart__task *t)
{
    for (nart__wait *w = t->waits, *more; w; w = more) {
        more = w->more;
        if (w->seen != t->polls)
            nart__withdraw(w);
    }
}

void nart__withdraw_all(nart__task *t)
{
    while (t->waits)
        nart__withdraw(t->waits);
}

void nart__wait_misused(const nart__wait *w)
{
    fprintf(stderr, "nart: a handle was copied or moved while task %s waited in it (%s)\n",
            w->task->type->name, w->ops->name);
    abort();
}

/* Out of the middle of the list. */
void nart__unlink(nart__wait *w)
{
    nart__wait **p = &w->task->waits;
    while (*p && *p != w)
        p = &(*p)->more;
    if (!*p)
        nart__wait_misused(w); /* not in it */
    *p = w->more;
}

/* A race in body co is decided: withdraw whatever was registered inside it. */
void nart__withdraw_under(nart_cx *cx, nart_co *co)
{
    nart__task *t = cx->self;

    if (!(cx->flags & NART__CX_OUT))
        t->state &= ~(uint32_t)NART__T_OUT;
    if (nart__shield_holds(cx, t))
        nart__cx_until(cx, t->shield); /* a loser has opened it: its end still has to be told */
    for (nart__wait *w = t->waits, *more; w; w = more) {
        more = w->more;
        nart_co *c = w->co;
        while (c && c != co)
            c = c->up;
        if (c)
            nart__withdraw(w);
    }
}

void nart__co_lost(const nart_site *site, const nart_co *co)
{
    if ((co->at & NART__CO_LINE) == NART__CO_RUNNING)
        fprintf(stderr,
                "nart: %s (%s): called while it runs, or left with a plain return: use "
                "NART_RETURN\n",
                site->func, site->file);
    else
        fprintf(stderr,
                "nart: %s (%s): cannot resume at line %u: its nart_co was not zeroed, or belongs "
                "to another body\n",
                site->func, site->file, co->at & NART__CO_LINE);
    abort();
}

/* ---- the public kit ---- */

nart_res nart_op_park(nart_cx *cx)
{
    nart_res r = cx->self ? nart__park(cx) : -EPERM;
    return r == NART_PENDING ? nart__pending_outside(cx) : r;
}

nart_res nart_op_park_until(nart_cx *cx, int64_t at)
{
    nart_res r = cx->self ? nart__park(cx) : -EPERM;
    if (r == NART_PENDING)
        nart__cx_until(cx, at);
    return r;
}

int64_t nart__now_read(nart_cx *cx)
{
    int64_t now = cx->drv->now(cx->host);
    cx->flags |= NART__CX_FRESH;
    if (now > cx->now)
        cx->now = now;
    return cx->now;
}

/* ---- sleeping: each poll states the deadline anew, so there is nothing to withdraw ---- */

static nart_res sleep_poll(nart_cx *cx, nart_timer *t)
{
    nart_res r = nart__enter(cx, NULL);
    if (r == 0)
        r = t->at <= cx->now ? 0 : nart_op_park_until(cx, t->at);
    if (r != NART_PENDING)
        t->busy = 0;
    return r;
}

nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at)
{
    if (!t->busy) {
        t->busy = 1;
        t->at = at;
    }
    return sleep_poll(cx, t);
}

nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns)
{
    if (!t->busy) {
        t->busy = 1;
        t->at = ns > 0 ? nart_time_add(nart_now(cx), ns) : INT64_MIN;
    }
    return sleep_poll(cx, t);
}

/* ---- shields ----
 * One per task: until t->shield, for the body whose co->shield says the same. A body that lost a race
 * and is never awaited again leaves its shield behind; that ends by itself, and another body can
 * open one then. */

/* Under a shield a task's cancellation and a NART_STOP around the body wait. */
static void lift_stop(nart_cx *cx, nart_co *co)
{
    if (cx->stop != NART__STOP_CANCEL)
        return;
    co->at |= NART__CO_STOPPED;
    cx->stop = NART__STOP_NOT;
    cx->go = NART_BUDGET;
}

void nart__shield_begin(nart_cx *cx, nart_co *co, nart_scope **above, int64_t ns)
{
    nart__task *t = cx->self;
    int64_t until = nart_time_add(nart_now(cx), ns);

    if (until <= cx->now || nart__shield_holds(cx, t) || t->state & NART__T_ABORTED)
        return;
    t->shield = co->shield = until;
    t->state |= NART__T_SHIELD;
    if (!(co->at & NART__CO_SHIELD)) /* else the one before has run out, still open */
        *above = cx->scope;
    co->at |= NART__CO_SHIELD;
    cx->flags &= ~(uint32_t)NART__CX_TOLD;
    cx->scope = NULL;
    nart__cx_until(cx, until);
    lift_stop(cx, co);
}

void nart__shield_end(nart_cx *cx, nart_co *co, nart_scope **above)
{
    nart__task *t = cx->self;
    bool stopped = co->at & NART__CO_STOPPED;

    if (!(co->at & NART__CO_SHIELD))
        return;
    co->at &= NART__CO_LINE;
    cx->scope = *above;
    if (co->shield == t->shield)
        t->state &= ~(uint32_t)NART__T_SHIELD;
    bool cancelled = t->state & NART__T_CANCELLED && !nart__shield_holds(cx, t);
    if (cancelled)
        cx->flags |= NART__CX_TOLD;
    if (cancelled || stopped) {
        cx->stop = NART__STOP_CANCEL;
        cx->go = 0;
    }
}

/* A body that has opened a shield goes on: while it holds, nothing above it is seen. Its line. */
uint32_t nart__shield_in(nart_cx *cx, nart_co *co, nart_scope **above, uint32_t at)
{
    co->at |= NART__CO_SHIELD;
    *above = cx->scope;
    if (nart__shield_holds(cx, cx->self) && co->shield == cx->self->shield) {
        lift_stop(cx, co);
        cx->scope = NULL;
    }
    return at & NART__CO_LINE;
}

/* It parks at a line, or ends (0), and so does its shield. */
void nart__shield_out(nart_cx *cx, nart_co *co, nart_scope **above, uint32_t at)
{
    if (at == 0)
        nart__shield_end(cx, co, above);
    else
        cx->scope = *above;
    co->at = at | (co->at & ~NART__CO_LINE);
}

/* ---- for other drivers ---- */

void nart_driver_cx_init(nart_cx *cx, const nart_driver *drv, void *host)
{
    *cx = (nart_cx){ .drv = drv, .host = host, .park = NART_NEVER };
}

void nart_driver_task_init(nart__task *t, const nart_task_type *type, void *frame, nart_cx *home)
{
    *t = (nart__task){ .poll = type->poll,
                       .frame = frame,
                       .wake_at = NART_NEVER,
                       .home = home,
                       .type = type,
                       .state = NART__T_LIVE };
}

nart_res nart_driver_poll(nart_cx *cx, nart__task *t)
{
    int64_t now = cx->drv->now(cx->host);
    if (now > cx->now)
        cx->now = now;
    nart_res r = nart__poll(cx, t, true);
    if (r == NART_PENDING && t->state & NART__T_DEAF)
        r = -ECANCELED;
    if (r != NART_PENDING) {
        t->state |= NART__T_DONE; /* first: what is withdrawn may try to wake it */
        nart__withdraw_all(t);
        t->res = r;
        cx->park = NART_NEVER;
    } else {
        int64_t until = cx->park;
        cx->park = NART_NEVER;
        cx->drv->park(cx->host, t, until);
        if (cx->flags & NART__CX_AGAIN)
            nart__ready(t);
    }
    nart__poll_over(cx);
    return r;
}

void nart_driver_task_cancel(nart__task *t)
{
    t->state |= NART__T_CANCELLED;
    nart__ready(t);
}
