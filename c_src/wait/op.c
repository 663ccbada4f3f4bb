/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* op.c: what an operation may do in a poll: the budget, cancellation, deadlines; and the kit for operations
 * outside of the library.
 *
 * An operation decrements `go` and proceeds while that is not negative; else nart__halt() decides. The
 * budget is in `go` while `stop` is 0, in `kept` while it is not. So it belongs to the poll: nothing
 * renews it.
 *
 * | event                           | stop          | budget       | operations then answer           |
 * |---------------------------------|---------------|--------------|----------------------------------|
 * | poll begins                     | 0             | NART_BUDGET  | what they find                   |
 * | ... of a cancelled task         | CANCEL        | NART_BUDGET  | -ECANCELED, at most PATIENCE     |
 * | task cancels itself             | + CANCEL      | unchanged    | -ECANCELED                       |
 * | NART_STOP begins, ends          | + HERE, - HERE| unchanged    | -ECANCELED, as before            |
 * | shield begins                   | - CANCEL, HERE| unchanged    | what they find                   |
 * | shield ends                     | + the same    | unchanged    | -ECANCELED                       |
 * | an expired scope is opened in a | + LOOK        | unchanged    | the next one checks the          |
 * |   BUSY poll                     |               |              |   deadlines and removes LOOK     |
 * | answer without waiting          |               | - 1          |                                  |
 * | error that charged nothing      |               | - 1          | at -1 the next await parks       |
 * | budget is 0                     |               | 0            | PENDING; the task is queued again|
 * | next arm of a race that spent it|               | RACE_SHARE   | what they find                   |
 * | race ends after shares          |               | 0            | PENDING                          |
 *
 * Deadlines. The open scopes are a list on the C stack: cx->scope is the innermost, and each holds the
 * earliest deadline above it. They are compared with cx->now, the last reading of the clock. That is never
 * ahead of the clock, so nothing expires early. The loop reads the clock before it fires timers, so the
 * poll that a timer causes finds its deadline expired. A poll after one that spent its budget (BUSY)
 * begins with a reading, so a task that is always ready finds it, too. */
#include "wait.h"

static void withdraw_own(const nart_cx *cx, nart__wait *w)
{
    if (w && w->task == cx->self)
        nart__withdraw(w);
}

/* The budget is spent. The wait, if any, keeps its position in the queue, or its turn. */
static nart_res spent(nart_cx *cx, nart__wait *w)
{
    nart__task *t = cx->self;

    if (w)
        nart__wait_stay(cx, w);
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
    if (!(cx->stop & NART__STOP_CANCEL)) /* a NART_STOP: continues in the next poll */
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

/* Has an operation been charged since the last error? Then this error is, or another one in its place: a loop of
 * errors for which none was charged comes here each time with the budget unchanged. So does one that a body passes on, in the
 * await of that body. */
void nart__await_error(nart_cx *cx, nart_res r)
{
    int32_t *budget = cx->stop ? &cx->kept : &cx->go;

    if (!cx->self)
        return;
    if (cx->stop & ~(uint32_t)NART__STOP_LOOK) {
        if (r != -ECANCELED && cx->refused < NART__PATIENCE && ++cx->refused == NART__PATIENCE)
            cx->go = -1;
        return;
    }
    if (*budget == cx->failed_at && --*budget < 0)
        cx->go = -1;
    cx->failed_at = *budget;
}

/* Begins a poll that is not the plain case: cancelled, shielded, or after one that spent its budget. */
void nart__poll_begin_slow(nart_cx *cx, nart__task *t)
{
    if (t->state & NART__T_SPENT) {
        t->state &= ~(uint32_t)NART__T_SPENT;
        cx->flags |= NART__CX_BUSY;
        (void)nart__now_read(cx);
    }
    if (nart__shield_holds(cx, t))
        nart__cx_until(cx, t->shield); /* wakes the task when the shield ends */
    else if (t->state & NART__T_CANCELLED)
        nart__stop_add(cx, NART__STOP_CANCEL);
}

void nart__scope_look(nart_cx *cx, const nart_scope *s)
{
    if (nart__scope_earliest(s) <= cx->now)
        nart__stop_add(cx, NART__STOP_LOOK);
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
