/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.h: how operations register a task, park it and give it its turn.
 *
 * What it keeps true
 *  1. A wait lives in the handle that waits; the task's header lists its waits. So every wait can be
 *     withdrawn before the frame is dropped, whatever the body did.
 *  2. A wait that a poll did not ask for again (seen != polls) is withdrawn at the end of that poll.
 *  3. A wake never carries a value. It grants a turn; a turn that is not taken passes on, in the
 *     withdraw function of what is waited for.
 * All of it belongs to the owner's thread. */
#ifndef NART_WAIT_WAIT_H
#define NART_WAIT_WAIT_H

#include <nart/co.h>
#include <nart/driver.h>

/* Granted: what is waited for has reserved something. Closed, done: the answer is there, and the wait
 * has nothing more to do with what was waited for, which may be gone. */
enum { NART__IDLE, NART__QUEUED, NART__GRANTED, NART__CLOSED, NART__DONE };

/* -ECANCELED answers in one poll after which a body counts as deaf. */
#define NART__PATIENCE 65536

struct nart__wait_ops {
    const char *name;                      /* shown in dumps */
    void (*withdraw)(struct nart__wait *); /* leave the queue; pass a granted turn on */
};

void nart__ready_slow(nart__task *t);

/* Makes a task ready that waits under any driver. */
static inline void nart__ready(nart__task *t)
{
    if (t->state & (NART__T_READY | NART__T_DONE))
        return;
    nart__ready_slow(t);
}

/* First line of an operation that waits in w. */
static inline nart_res nart__enter(nart_cx *cx, nart__wait *w)
{
    return NART_LIKELY(--cx->go >= 0) ? 0 : nart__halt(cx, w);
}

/* The same where the caller's inline half has counted the answer already. */
static inline nart_res nart__entered(nart_cx *cx, nart__wait *w)
{
    return NART_LIKELY(cx->go >= 0) ? 0 : nart__halt(cx, w);
}

/* Operations of the running task do not go on for this reason as well; and no more. */
static inline void nart__stop_add(nart_cx *cx, uint32_t why)
{
    if (cx->stop == 0) {
        cx->kept = cx->go;
        cx->go = 0;
    }
    cx->stop |= why;
}

static inline void nart__stop_remove(nart_cx *cx, uint32_t why)
{
    if ((cx->stop & why) && !(cx->stop &= ~why))
        cx->go = cx->kept;
}

/* An open nursery, of which `w` is the wait: the body that opened it ends; or it has lost the race of
 * another body, co. */
NART__COLD void nart__nursery_left(nart__wait *w, const nart_co *co);
NART__COLD void nart__nursery_lost(nart__wait *w, nart_co *co);

extern const struct nart__wait_ops nart__nursery_ops;

/* An open nursery is a wait that lasts until it is joined. Told by what never changes while somebody waits:
 * the state may be another thread's to write. */
static inline bool nart__is_nursery(const nart__wait *w)
{
    return w->ops == &nart__nursery_ops;
}

/* A sleep of its own: begins, and waits. For operations that count their time themselves. */
void nart__timer_begin(nart_cx *cx, nart_timer *t, int64_t at);
nart_res nart__timer_wait(nart_cx *cx, nart_timer *t);

NART__COLD void nart__unlink(nart__wait *w);

/* A handle was copied or moved while a task waited in it: aborts, naming the task. */
NART__NORETURN NART__COLD void nart__wait_misused(const nart__wait *w);

/* The wait is over: out of the task's list. */
static inline void nart__unwait(nart__wait *w)
{
    if (NART_LIKELY(w->task->waits == w))
        w->task->waits = w->more;
    else
        nart__unlink(w);
    w->task = NULL;
    w->state = NART__IDLE;
}

static inline void nart__withdraw(nart__wait *w)
{
    w->ops->withdraw(w);
    nart__unwait(w);
}

/* Does a task wait in here? Else the wait may be one that its task, which runs now, has left since:
 * then it is only out of date. */
static inline bool nart__wait_in_use(const nart__wait *w)
{
    return w->task && w->seen == w->task->polls;
}

/* The handle in which this wait lives goes away. */
static inline void nart__interrupt(nart__wait *w)
{
    nart__task *t = w->task;
    if (!t)
        return;
    bool waits = nart__wait_in_use(w);
    nart__withdraw(w);
    if (waits)
        nart__ready(t); /* finds the handle closed */
}

/* Has an enclosing scope expired? 0; -ETIMEDOUT: the one of the running await; -ECANCELED: one
 * above, whether that has expired as well or not. Counts the deadlines that remain. */
static inline nart_res nart__look(nart_cx *cx)
{
    const nart_scope *s = cx->scope;
    if (NART_LIKELY(!s))
        return 0;
    int64_t m = nart__scope_earliest(s);
    if (m <= cx->now)
        return s->co == cx->co && s->outer > cx->now ? -ETIMEDOUT : -ECANCELED;
    nart__cx_until(cx, m);
    return 0;
}

/* Parks without a wait: the operation has left a waker somewhere, or a deadline. A waiting operation has
 * not answered: the budget that nart__enter() took is returned. */
static inline nart_res nart__park(nart_cx *cx)
{
    nart_res r = nart__look(cx);
    if (r == 0) {
        cx->go++;
        cx->self->leaf = cx->co;
        r = NART_PENDING;
    }
    return r;
}

/* The task begins to wait in w, which is idle. */
static inline void nart__wait_begin(nart__task *t, nart__wait *w)
{
    w->task = t;
    w->state = NART__QUEUED;
    w->more = t->waits;
    t->waits = w;
}

/* It waits in w after this poll, too. The budget is returned, as in nart__park(). */
static inline nart_res nart__wait_on(nart_cx *cx, nart__wait *w)
{
    cx->go++;
    w->co = cx->co;
    w->seen = cx->self->polls;
    return NART_PENDING;
}

/* May the running task not wait in w? It is another task's, or it waits in it twice in one race. */
static inline bool nart__wait_taken(const nart_cx *cx, const nart__wait *w)
{
    const nart__task *t = cx->self;
    return w->task && (w->task != t || (w->seen == t->polls && w->co != cx->co));
}

/* The operation parked, looked once more and answers after all: the answer is charged again. */
static inline void nart__answers_after_all(nart_cx *cx)
{
    cx->go--;
}

/* Parks in w, which is idle (begins to wait: `*begun`, the caller queues it) or this task's own. */
static inline nart_res nart__park_in(nart_cx *cx, nart__wait *w, bool *begun)
{
    nart__task *t = cx->self;
    *begun = false;
    if (nart__wait_taken(cx, w))
        return -EBUSY;
    nart_res r = nart__look(cx);
    if (NART_UNLIKELY(r)) {
        if (w->task)
            nart__withdraw(w);
        return r;
    }
    if (!w->task) {
        nart__wait_begin(t, w);
        *begun = true;
    }
    return nart__wait_on(cx, w);
}

/* ---- queues of waits ---- */

static inline void nart__q_push(nart__waitq *q, nart__wait *w)
{
    w->next = NULL;
    w->prev = q->last;
    if (q->last)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
}

static inline void nart__q_remove(nart__waitq *q, nart__wait *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        q->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
}

/* All of the queue have their answer, which `state` stands for: out of it, and woken. */
static inline void nart__q_answer_all(nart__waitq *q, uint32_t state)
{
    while (q->first) {
        nart__wait *w = q->first;
        nart__q_remove(q, w);
        w->state = state;
        nart__ready(w->task);
    }
}

/* Last line of an operation that waits for what may come from another thread: a clock that advances by
 * itself stands still meanwhile. */
static inline nart_res nart__pending_outside(nart_cx *cx)
{
    cx->flags |= NART__CX_OUT;
    cx->self->state |= NART__T_OUT;
    return NART_PENDING;
}

/* ---- one poll, the same under every driver ---- */

NART__COLD void nart__poll_begin_slow(nart_cx *cx, nart__task *t);
NART__COLD void nart__sweep(nart__task *t);

/* Is the task out of reach of cancellation? Not once it was aborted: it has no other poll. */
static inline bool nart__shield_holds(const nart_cx *cx, const nart__task *t)
{
    return t->state & NART__T_SHIELD && !(t->state & NART__T_ABORTED) && t->shield > cx->now;
}

/* What makes a poll other than the plain case. */
#define NART__T_ODD (NART__T_DONE | NART__T_CANCELLED | NART__T_SHIELD | NART__T_SPENT)

/* `odd` is a constant: the caller has looked. cx->park is NART_NEVER before, and again when the caller
 * has acted on it. */
static inline nart_res nart__poll(nart_cx *cx, nart__task *t, bool odd)
{
    t->state &= ~(uint32_t)(NART__T_READY | NART__T_OUT);
    t->leaf = NULL;
    t->polls++;
    cx->self = t;
    cx->co = NULL;
    cx->scope = NULL;
    cx->go = NART_BUDGET;
    cx->stop = 0;
    cx->flags = 0;
    cx->refused = 0;
    cx->locals = NULL; /* a poll that has left one open harms itself only */
    if (odd)
        nart__poll_begin_slow(cx, t);
    nart_res r = t->poll(cx, t->frame);
    if (NART_LIKELY(r == NART_PENDING)) {
        nart__wait *w = t->waits;
        if (w && (w->seen != t->polls || w->more))
            nart__sweep(t);
    }
    return r;
}

/* No task is polled: operations answer -EPERM. */
static inline void nart__poll_over(nart_cx *cx)
{
    cx->self = NULL;
    cx->go = 0;
    cx->locals = NULL;
}

/* The running task copies these bytes into another frame, handles included: it waits in none of them. */
NART__COLD void nart__leave_range(nart__task *t, const void *from, size_t size);

/* Before the frame goes: nothing may refer to it. */
void nart__withdraw_all(nart__task *t);

#endif
