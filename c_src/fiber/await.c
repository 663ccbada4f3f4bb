/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* await.c: awaits of fibers: deadlines, shields, and all that is not the plain case. The macros of fiber.h expand
 * to calls of these.
 *
 * Scopes and local values lie on the fiber's stack and stay open while it is parked. A deadline of
 * nart_await_for() begins with the first park within it, so it is set then, and the scopes inside are corrected.
 * A shield takes the scopes around it off the list; the await that opened it puts them back. */
#include "../wait/short_name.h"
#include "fiber.h"
#include "sanitizer.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- scopes ---- */

void nart__scopes_changed(nart_scope *s)
{
    if (!s)
        return;
    nart__scopes_changed(s->up);
    s->outer = s->up ? nart__scope_earliest(s->up) : INT64_MAX;
}

/* The first park within deadlines of nart_await_for(): they begin. */
static NART__COLD void start_relative(nart_cx *cx, nart__fiber *f)
{
    int64_t now = nart__now_read(cx);

    for (nart__await_for *s = f->relative; s; s = s->outer)
        s->scope.deadline = nart_time_add(now, s->ns);
    f->relative = NULL;
    nart__scopes_changed(f->above); /* some may be hidden by a shield */
    nart__scopes_changed(cx->scope);
    if (cx->scope)
        nart__cx_until(cx, nart__scope_earliest(cx->scope));
}

void nart__fiber_unhide(nart_cx *cx, nart__fiber *f)
{
    nart_scope *s = cx->scope, *above = f->above;
    nart_co *owner = f->shielded;

    f->above = NULL;
    f->shielded = NULL;
    if (s) {
        while (s->up)
            s = s->up;
        s->up = above;
        nart__scopes_changed(cx->scope);
        above = cx->scope;
    }
    nart__shield_end(cx, owner, &above);
}

void nart_shield(nart_cx *cx, int64_t ns)
{
    nart__fiber *f = cx->fiber;

    if (!f || !(cx->co->at & NART__CO_FIBER))
        return;
    (void)nart_now(cx); /* has the previous one expired? */
    if (f->shielded && !nart__shield_holds(cx, cx->self))
        nart__fiber_unhide(cx, f);
    if (f->shielded)
        return;
    nart__shield_begin(cx, cx->co, &f->above, ns);
    if (cx->co->at & NART__CO_SHIELD)
        f->shielded = cx->co;
}

void nart_unshield(nart_cx *cx)
{
    if (cx->fiber && cx->fiber->shielded)
        nart__fiber_unhide(cx, cx->fiber);
}

/* A fiber with open scopes or a shield continues. */
static void resume_scopes(nart_cx *cx, nart__fiber *f)
{
    nart_scope *ignored;

    if (f->shielded)
        f->shielded->at &= ~NART__CO_STOPPED; /* by an earlier run; this one may be no stop */
    if (f->shielded && !nart__shield_holds(cx, cx->self))
        nart__fiber_unhide(cx, f);
    else if (f->shielded) {
        (void)nart__shield_in(cx, f->shielded, &ignored, 0); /* a NART_STOP is deferred, too */
        cx->scope = f->scope;
    }
    if (cx->scope && cx->flags & NART__CX_BUSY)
        nart__scope_look(cx, cx->scope);
}

/* ---- awaits ---- */

static NART__COLD nart_res refuse(const nart__await *w, nart_res r, const char *why)
{
    nart_cx *cx = w->cx;
    nart_rt *rt = nart__cx_rt(cx);

    nart__withdraw_under(cx, (nart_co *)(uintptr_t)&w->co);
    if (rt)
        nart__rt_report(rt, "%s: task %s: await at %s:%u %s", rt->name,
                        cx->self ? nart__short_name(cx->self->type->name) : "(none)",
                        w->co.site->file, w->co.at & NART__CO_LINE, why);
    return r;
}

static NART__NORETURN NART__COLD void frame_left(const nart_cx *cx)
{
    fprintf(
        stderr,
        "nart: task %s: a function has returned while a handle in its frame waits, a lock is held "
        "or a nursery is open\n",
        nart__short_name(cx->self->type->name));
    abort();
}

void nart__fiber_jumped(const nart_cx *cx)
{
    fprintf(stderr, "nart: task %s: longjmp() has left an await: set the jump within it\n",
            cx->self ? nart__short_name(cx->self->type->name) : "(none)");
    abort();
}

/* By the address of each wait alone, before it is read: what was left may be overwritten. Not noticed if another
 * frame is there by now. */
void nart__fiber_check_frames(const nart_cx *cx, const nart__fiber *f, uintptr_t top)
{
    for (const nart__wait *w = cx->self->waits; w; w = w->more)
        if ((uintptr_t)w - f->low < top - f->low)
            frame_left(cx);
}

/* The task waits while an await begins. An operation has answered NART_PENDING to code that does not await it:
 * its wait ends. */
void nart__fiber_stray(nart_cx *cx)
{
    if (!cx->fiber)
        return;
    nart__fiber_check_frames(cx, cx->fiber, (uintptr_t)__builtin_frame_address(0));
    for (nart__wait *w = cx->self->waits, *more; nart__wait_of(cx->self, w); w = more) {
        more = w->more;
        bool here =
            w->co == cx->co && w->seen == cx->self->polls; /* not of an arm beside a branch */
        if (here && !nart__is_nursery(w) && !nart__is_held(w) && !(cx->flags & NART__CX_RACE))
            nart__withdraw(w);
    }
}

/* An await ends while its task waits. In the common case in one operation, which answered this await. */
void nart__fiber_await_left(nart_cx *cx, const nart_co *co)
{
    nart__task *t = cx->self;

    if (cx->fiber)
        nart__fiber_check_frames(cx, cx->fiber, (uintptr_t)__builtin_frame_address(0));
    nart__wait *w = nart__wait_of(t, t->waits);
    if (t->leaf || w->co != co || w->more || nart__is_nursery(w))
        nart__co_ended(cx, co);
    else
        w->co = co->up;
}

/* Leaves the fiber's stack, and returns in its next poll with the context as it is. */
static void leave(nart_cx *cx, nart__fiber *f)
{
    if (f->relative)
        start_relative(cx, f);
    f->scope = cx->scope;
    f->locals = cx->locals;
    if (f->hooked) {
        nart__hook_leave(f, &f->fake);
        nart__hook_left(f);
    }
    nart__fiber_leave(cx, cx->co);
    if (f->hooked)
        nart__hook_arrive(f, f->fake);
    cx->co = f->co;
    cx->scope = f->scope;
    cx->locals = f->locals;
    if (f->scope || f->shielded)
        resume_scopes(cx, f);
}

bool nart__fiber_park_slow(nart__await *w, nart_res *r)
{
    nart_cx *cx = w->cx;
    nart__fiber *f = cx->fiber;

    /* Not the address of `w`: a sanitizer may have moved that off the stack. */
    if (!f || (uintptr_t)__builtin_frame_address(0) - f->low >= f->size)
        *r = refuse(w, -EPERM, "outside of a fiber");
    else if (cx->flags & NART__CX_RACE)
        *r = refuse(w, -EDEADLK, "within an arm of a race: use nart_branch_run()");
    else if (!(w->co.up->at & NART__CO_FIBER))
        *r = refuse(w, -EPERM, "within a body of co.h: use NART_AWAIT");
    else {
        leave(cx, f);
        return true;
    }
    return false;
}

nart_res nart__fiber_yield_slow(nart_cx *cx, const nart__site *site, uint32_t line)
{
    nart__await w;
    nart_res r = 0;

    nart__await_begin(&w, cx, site, line);
    nart_wake_self(cx);
    (void)nart__fiber_park_slow(&w, &r);
    nart__await_end(&w);
    return r;
}
