/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* co.c: bodies that end or are lost, races, NART_STOP and shields. The macros of co.h expand to calls of
 * these. */
#include "short_name.h"
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>

/* Answers that an arm of a race may give after another arm has spent the budget. */
#define RACE_SHARE 16

/* ---- bodies that end, and races ---- */

/* Does the chain of callers that begins at c contain `co`? */
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
    for (nart__wait *w = t->waits, *more; nart__wait_of(t, w); w = more) {
        more = w->more;
        if (is_under(w->co, co))
            w->co = co->up;
        if (nart__is_nursery(w))
            nart__nursery_left(w, co);
    }
    if (is_under(t->leaf, co))
        t->leaf = co->up;
}

/* A race in body co is decided: withdraws the waits that were registered inside it. */
void nart__withdraw_under(nart_cx *cx, nart_co *co)
{
    nart__task *t = cx->self;

    if (!t)
        return;
    if (!(cx->flags & NART__CX_OUT))
        t->state &= ~(uint32_t)NART__T_OUT;
    if (nart__shield_holds(cx, t))
        nart__cx_until(cx, t->shield); /* a loser has opened it: its end must still wake the task */
    if (is_under(t->leaf, co))
        t->leaf = NULL;
    for (nart__wait *w = t->waits, *more; nart__wait_of(t, w); w = more) {
        more = w->more;
        if (nart__is_nursery(w))
            nart__nursery_lost(w, co);
        if (!is_under(w->co, co))
            continue;
        if (nart__is_nursery(w))
            w->co = co; /* the bodies below may be freed */
        else
            nart__withdraw(w);
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
            cx->self ? nart__short_name(cx->self->type->name) : "(none)", NART__RACES);
    abort();
}

void nart__co_lost(const nart__site *site, const nart_co *co)
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

/* ---- NART_STOP and shields ----
 * A task has one shield. It holds until t->shield and belongs to the body whose co->shield has the same
 * value. A body that lost a race and is never awaited again does not close its shield: that expires, and
 * then another body can open one. While a shield holds, the task's cancellation and a NART_STOP around
 * the body are deferred. */

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
    if (!(co->at & NART__CO_SHIELD)) /* else the previous one has expired and is still open */
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
    co->at &= ~(NART__CO_SHIELD | NART__CO_STOPPED);
    cx->scope = *above;
    if (co->shield == t->shield)
        t->state &= ~(uint32_t)NART__T_SHIELD;
    if (t->state & NART__T_CANCELLED && !nart__shield_holds(cx, t)) {
        nart__stop_add(cx, NART__STOP_CANCEL);
        nart_wake_self(
            cx); /* arms of a NART_ALL that this poll has evaluated before do not know it */
    }
    if (stopped)
        nart__stop_add(cx, NART__STOP_HERE);
}

/* Resumes a body that has opened a shield: while it holds, the scopes above are hidden. @return the line
 * where the body resumes. */
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

/* The body parks at a line; or it ends (0), and its shield with it. */
void nart__shield_out(nart_cx *cx, nart_co *co, nart_scope **above, uint32_t at)
{
    if (at == 0)
        nart__shield_end(cx, co, above);
    else
        cx->scope = *above;
    co->at = at | (co->at & ~NART__CO_LINE);
}
