/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* branch.c: functions on stacks of their own, within the task that runs them.
 *
 * A branch may be run by another body, and under other deadlines, in each poll. So its outermost scope and its
 * outermost local value are in the nart__fiber, and get what holds for the caller whenever it runs. Its root
 * body is below the caller's: a race that is decided withdraws the waits of a branch like those of a body. */
#include "fiber.h"

static const nart_local_key no_key = { "" };

/* What of the context belongs to the caller. */
typedef struct caller {
    nart__fiber *fiber;
    nart_co *co;
    nart_scope *scope;
    nart_local *locals;
    uint32_t race;
} caller;

static void leave(nart_cx *cx, const caller *c)
{
    cx->fiber = c->fiber;
    cx->co = c->co;
    cx->scope = c->scope;
    cx->locals = c->locals;
    cx->flags |= c->race;
}

static caller enter(nart_cx *cx, nart__fiber *f)
{
    caller c = { cx->fiber, cx->co, cx->scope, cx->locals, cx->flags & NART__CX_RACE };
    int64_t outside = c.scope ? nart__scope_earliest(c.scope) : NART_NEVER;

    f->root.up = c.co;
    f->bindings.up = c.locals;
    if (outside != f->outside.deadline) {
        f->outside.deadline = outside;
        nart__scopes_changed(f->scope);
        nart__scopes_changed(f->above); /* hidden by a shield */
    }
    cx->flags &= ~(uint32_t)NART__CX_RACE; /* of the caller: the branch may park */
    return c;
}

/* 0, or why it cannot begin. */
static nart_res begin(nart_cx *cx, nart_branch *b, nart_fiber_fn fn, void *arg)
{
    size_t size = nart__fiber_stack_size(b->stack);

    if (!fn || size == 0)
        return -EINVAL;
    if (cx->drv != &nart__loop)
        return NART_EDRIVER;
    nart_res r = nart__fiber_platform();
    if (r)
        return r;
    nart__fiber *f = nart__fiber_begin(cx, size, fn, arg);
    if (!f)
        return -ENOMEM;
    f->outside = (nart_scope){ .deadline = NART_NEVER, .outer = NART_NEVER };
    f->bindings = (nart_local){ .key = &no_key };
    f->scope = &f->outside;
    f->locals = &f->bindings;
    b->on = f;
    return 0;
}

nart_res nart_branch_run(nart_cx *cx, nart_branch *b, nart_fiber_fn fn, void *arg)
{
    nart_res r = cx->self ? 0 : -EPERM;

    if (r == 0 && !b->on)
        r = begin(cx, b, fn, arg);
    if (r)
        return r;
    nart__fiber *f = b->on;
    if (f->running)
        return -EDEADLK;
    caller c = enter(cx, f);
    f->running = true;
    nart__fiber_run(cx, f);
    f->running = false;
    r = f->ended ? nart__fiber_end(cx, f) : NART_PENDING;
    leave(cx, &c);
    if (f->ended) {
        b->on = NULL;
        nart__fiber_give(nart__cx_rt(cx), f);
    }
    return r;
}

nart_res nart_branch_stop(nart_cx *cx, nart_branch *b)
{
    if (!b->on)
        return 0;
    uint32_t before = nart__stop_in(cx);
    nart_res r = nart_branch_run(cx, b, NULL, NULL);
    nart__stop_out(cx, before);
    return r;
}
