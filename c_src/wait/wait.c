/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.c: the cold half of wait.h, the operation kit, sleeping, shields, races.
 *
 * What one poll may do. An operation counts `go` down and goes on while that is not below zero; else
 * nart__halt() decides. The budget is in `go` while `stop` is 0, in `kept` while it is not, so it belongs
 * to the poll: nothing renews it.
 *
 * | event                           | stop          | budget       | operations then answer           |
 * |---------------------------------|---------------|--------------|----------------------------------|
 * | poll begins                     | 0             | NART_BUDGET  | what they find                   |
 * | ... of a cancelled task         | CANCEL        | NART_BUDGET  | -ECANCELED, PATIENCE of them     |
 * | task cancels itself             | + CANCEL      | stays        | -ECANCELED                       |
 * | NART_STOP begins, ends          | + HERE, - HERE| stays        | -ECANCELED, as before            |
 * | shield begins                   | - CANCEL, HERE| stays        | what they find                   |
 * | shield ends                     | + the same    | stays        | -ECANCELED                       |
 * | scope opened that has expired,  | + LOOK        | stays        | the next one looks at deadlines  |
 * |   in a BUSY poll                |               |              |   and removes LOOK               |
 * | answer without waiting          |               | - 1          |                                  |
 * | budget is 0                     |               | 0            | PENDING; the task is queued again|
 * | next arm of a race that spent it|               | RACE_SHARE   | what they find                   |
 * | race ends after shares          |               | 0            | PENDING                          |
 *
 * Deadlines. The scopes that are open are a list on the C stack, cx->scope the innermost, each with
 * the earliest deadline above it. They are compared with cx->now, the last reading of the clock: that
 * is never ahead of the clock, so nothing is early. The loop reads the clock before it fires timers,
 * so the poll that a timer causes sees its deadline expired; and a poll after one that spent its
 * budget (BUSY) begins with a reading, so a task that is always ready sees it, too.
 *
 * Who owns a wait. A wait names the body that waits (`co`), bodies name their callers (`up`). Every body
 * in such a chain is alive: a body that ends moves the waits whose chain it is in to its caller, a race
 * that is decided withdraws those of the losers. A wait that has been answered, or that this poll does not
 * ask for again, is gone before its handle can be: closing, moving and spawning the handle away withdraw it,
 * and so does the end of the poll. `leaf` likewise. */
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>

/* Answers that an arm of a race may give after another one has spent the budget. */
#define RACE_SHARE 16

static void withdraw_own(const nart_cx *cx, nart__wait *w)
{
    if (w && w->task == cx->self)
        nart__withdraw(w);
}

/* The wait, if there is one, keeps its place in the queue, or its turn. */
static nart_res spent(nart_cx *cx, nart__wait *w)
{
    nart__task *t = cx->self;

    if (w && w->task == t) {
        w->co = cx->co;
        w->seen = t->polls;
    }
    t->state |= NART__T_SPENT;
    t->leaf = cx->co;
    cx->flags |= NART__CX_SPENT;
    nart_wake_self(cx);
    return NART_PENDING;
}

static NART__COLD nart_res refuse(nart_cx *cx, nart__wait *w)
{
    withdraw_own(cx, w);
    if (cx->refused < NART__PATIENCE) {
        cx->refused++;
        return -ECANCELED;
    }
    if (!(cx->stop & NART__STOP_CANCEL)) /* a NART_STOP: goes on in the next poll */
        return spent(cx, w);
    cx->self->state |= NART__T_DEAF;
    cx->self->leaf = cx->co;
    cx->flags |= NART__CX_END;
    return NART_PENDING;
}

nart_res nart__halt(nart_cx *cx, nart__wait *w)
{
    cx->go = 0;
    if (!cx->self)
        return -EPERM;
    nart_res expired = 0;
    if (cx->stop & NART__STOP_LOOK) {
        nart__stop_remove(cx, NART__STOP_LOOK);
        expired = nart__look(cx);
    }
    if (cx->stop)
        return refuse(cx, w);
    if (cx->go <= 0)
        return spent(cx, w);
    cx->go--;
    if (expired)
        withdraw_own(cx, w);
    return expired;
}

/* A poll that is not the plain case: cancelled, shielded, or after one that spent its budget. */
void nart__poll_begin_slow(nart_cx *cx, nart__task *t)
{
    if (t->state & NART__T_SPENT) {
        t->state &= ~(uint32_t)NART__T_SPENT;
        cx->flags |= NART__CX_BUSY;
        (void)nart__now_read(cx);
    }
    if (nart__shield_holds(cx, t))
        nart__cx_until(cx, t->shield); /* to be told of its end */
    else if (t->state & NART__T_CANCELLED)
        nart__stop_add(cx, NART__STOP_CANCEL);
}

void nart__scope_look(nart_cx *cx, const nart_scope *s)
{
    if (nart__scope_earliest(s) <= cx->now)
        nart__stop_add(cx, NART__STOP_LOOK);
}

void nart__sweep(nart__task *t)
{
    for (nart__wait *w = t->waits, *more; w; w = more) {
        more = w->more;
        if (w->seen != t->polls && !nart__is_nursery(w))
            nart__withdraw(w);
    }
}

void nart__leave_range(nart__task *t, const void *from, size_t size)
{
    for (nart__wait *w = t->waits, *more; w; w = more) {
        more = w->more;
        if ((uintptr_t)w - (uintptr_t)from >= size)
            continue;
        if (w->seen == t->polls || nart__is_nursery(w))
            nart__wait_misused(w);
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

/* ---- bodies that end, and races ---- */

/* Is `co` in the chain of callers that begins at c? */
static bool is_under(const nart_co *c, const nart_co *co)
{
    while (c && c != co)
        c = c->up;
    return c != NULL;
}

void nart__co_ended(nart_cx *cx, const nart_co *co)
{
    nart__task *t = cx->self;

    if (!t) /* called outside of a poll */
        return;
    for (nart__wait *w = t->waits, *more; w; w = more) {
        more = w->more;
        if (!is_under(w->co, co))
            continue;
        bool its_nursery = nart__is_nursery(w) && w->co == co;
        w->co = co->up;
        if (its_nursery)
            nart__nursery_left(w, co);
    }
    if (is_under(t->leaf, co))
        t->leaf = co->up;
}

/* A race in body co is decided: withdraw whatever was registered inside it. */
void nart__withdraw_under(nart_cx *cx, nart_co *co)
{
    nart__task *t = cx->self;

    if (!t)
        return;
    if (!(cx->flags & NART__CX_OUT))
        t->state &= ~(uint32_t)NART__T_OUT;
    if (nart__shield_holds(cx, t))
        nart__cx_until(cx, t->shield); /* a loser has opened it: its end still has to be told */
    if (is_under(t->leaf, co))
        t->leaf = NULL;
    for (nart__wait *w = t->waits, *more; w; w = more) {
        more = w->more;
        if (!is_under(w->co, co))
            continue;
        if (!nart__is_nursery(w))
            nart__withdraw(w);
        else if (w->co != co)
            nart__nursery_lost(w, co);
    }
}

void nart__race_share(nart_cx *cx, nart__race *r)
{
    r->shared = true;
    cx->flags &= ~(uint32_t)NART__CX_SPENT; /* so that a race within this arm shares again */
    *(cx->stop ? &cx->kept : &cx->go) = RACE_SHARE;
}

void nart__race_too_deep(const nart_cx *cx)
{
    fprintf(stderr, "nart: task %s: more than %d races within each other in one await\n",
            cx->self ? cx->self->type->name : "(none)", NART__RACES);
    abort();
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

/* Which body, and how many races it has decided. */
static uint32_t decided(const nart_cx *cx)
{
    const nart_co *co = cx->co;
    return co ? (co->decided & ~NART__CO_HOT) ^ (uint32_t)((uintptr_t)co >> 3) : 0;
}

/* Begun, and not in a race of the body that is over. */
static bool goes_on(const nart_cx *cx, const nart_timer *t)
{
    return t->busy && t->decided == decided(cx);
}

nart_res nart__timer_wait(nart_cx *cx, nart_timer *t)
{
    nart_res r = nart__enter(cx, NULL);
    if (r == 0)
        r = t->at <= cx->now ? 0 : nart_op_park_until(cx, t->at);
    if (r != NART_PENDING)
        t->busy = 0;
    return r;
}

void nart__timer_begin(nart_cx *cx, nart_timer *t, int64_t at)
{
    t->busy = 1;
    t->at = at;
    t->decided = decided(cx);
}

static int64_t from_now(nart_cx *cx, int64_t ns)
{
    return ns > 0 ? nart_time_add(nart__now_read(cx), ns) : INT64_MIN;
}

nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at)
{
    if (!goes_on(cx, t))
        nart__timer_begin(cx, t, at);
    return nart__timer_wait(cx, t);
}

nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns)
{
    if (!goes_on(cx, t))
        nart__timer_begin(cx, t, from_now(cx, ns));
    return nart__timer_wait(cx, t);
}

nart_res nart_sleep_resume(nart_cx *cx, nart_timer *t, int64_t ns)
{
    if (!t->busy)
        nart__timer_begin(cx, t, from_now(cx, ns));
    return nart__timer_wait(cx, t);
}

/* ---- stopping a body, and shields ----
 * One shield per task: until t->shield, for the body whose co->shield says the same. A body that lost a
 * race and is never awaited again leaves its shield behind; that ends by itself, and another body can
 * open one then. Under a shield a task's cancellation and a NART_STOP around the body wait. */

uint32_t nart__stop_in(nart_cx *cx)
{
    uint32_t before = cx->stop & NART__STOP_HERE;
    nart__stop_add(cx, NART__STOP_HERE);
    return before;
}

void nart__stop_out(nart_cx *cx, uint32_t before)
{
    if (!before)
        nart__stop_remove(cx, NART__STOP_HERE);
}

static void lift_stop(nart_cx *cx, nart_co *co)
{
    if (cx->stop & NART__STOP_HERE)
        co->at |= NART__CO_STOPPED;
    nart__stop_remove(cx, NART__STOP_CANCEL | NART__STOP_HERE);
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
    if (t->state & NART__T_CANCELLED && !nart__shield_holds(cx, t))
        nart__stop_add(cx, NART__STOP_CANCEL);
    if (stopped)
        nart__stop_add(cx, NART__STOP_HERE);
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

void nart_driver_task_init(nart__task *t, const nart_task_type *type, void *frame, nart_cx *owner)
{
    *t = (nart__task){ .poll = type->poll,
                       .frame = frame,
                       .wake_at = NART_NEVER,
                       .owner = owner,
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
