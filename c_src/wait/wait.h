/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.h: how an operation registers a task in a wait, parks it and grants it a turn.
 *
 * Invariants
 *  1. A wait is part of the handle in which a task waits, and the task's header lists its waits. So every
 *     wait can be withdrawn before the frame is dropped, whatever the body did.
 *  2. A wait that the current poll did not request again (seen != polls) is withdrawn at the end of that
 *     poll.
 *  3. A wake carries no value. It grants a turn; the withdraw function of the wait passes an unused
 *     turn on to the next waiter.
 * Everything here belongs to the owner's thread.
 *
 * This room is below the reactor and the loop. What they define for it is at the end of this list:
 *  wait.c    waits of a task, queues of waits
 *  op.c      what an operation may do in a poll
 *  co.c      bodies that end, races, NART_STOP, shields
 *  all.c     several operations until all have answered
 *  driver.c  tasks under other drivers than the loop
 *  core/     nart__ready_slow(), nurseries
 *  sync/     locks that a task holds */
#ifndef NART_WAIT_WAIT_H
#define NART_WAIT_WAIT_H

#include <nart/co.h>
#include <nart/driver.h>

/* ---- core and sync: what they define for this room ---- */

void nart__ready_slow(nart__task *t);

/* Makes a waiting task ready, under any driver. */
static inline void nart__ready(nart__task *t)
{
    if (t->state & (NART__T_READY | NART__T_DONE))
        return;
    nart__ready_slow(t);
}

/* One poll of a task that has a group, and of the group's other tasks; the end of the poll that has made the
 * group, with what the task's function returned. Both return the task's answer, once, or NART_PENDING. */
NART__COLD nart_res nart__group_poll(nart_rt *rt);
NART__COLD nart_res nart__group_begin(nart_cx *cx, nart_res r);

/* `w` is the wait of an open nursery. Body `co` ends, which may have opened it; or body `co` has decided a
 * race, which the nursery's body may have lost; or a poll ends that has not joined it. */
NART__COLD void nart__nursery_left(nart__wait *w, const nart_co *co);
NART__COLD void nart__nursery_lost(nart__wait *w, const nart_co *co);
NART__COLD void nart__nursery_not_joined(nart__wait *w);

extern const struct nart__wait_ops nart__nursery_ops, nart__held_ops;

/* Are tasks of this owner polled in turn with the running one, by the same loop or in the same group? */
static inline bool nart__cx_owns(const nart_cx *cx, const nart_cx *owner)
{
    return NART_LIKELY(owner == cx) ||
           (cx->group && (const void *)cx->group == (const void *)owner);
}

/* Does the driver poll the running task on one thread after another, and no other task with it? */
static inline bool nart__cx_moves_alone(const nart_cx *cx)
{
    return NART_UNLIKELY(cx->drv->kind & NART_DRIVER_MOVES) && !cx->group;
}

/* ---- wait.c: waits of a task ---- */

/* Granted: a turn is reserved for the waiter. Closed, done: the answer is known, and the wait no longer
 * refers to the object, which may have been freed. */
enum { NART__IDLE, NART__QUEUED, NART__GRANTED, NART__CLOSED, NART__DONE };

struct nart__wait_ops {
    const char *name;                      /* shown in dumps */
    void (*withdraw)(struct nart__wait *); /* leaves the queue; passes a granted turn on */
};

/* An open nursery is a wait that lasts until it is joined. Decided by `ops`, which never changes while a
 * task waits: another thread may write `state`. */
static inline bool nart__is_nursery(const nart__wait *w)
{
    return w->ops == &nart__nursery_ops;
}

/* A lock that its task holds: it lasts until it is released. */
static inline bool nart__is_held(const nart__wait *w)
{
    return w->task && w->ops == &nart__held_ops;
}

NART__COLD void nart__unlink(nart__wait *w);

/* A handle was copied or moved while the task waited in it: aborts, naming the task. */
NART__NORETURN NART__COLD void nart__wait_misused(const nart__task *t, const nart__wait *w);

/* The body of an arm of a NART_ALL; any other body as it is. */
static inline nart_co *nart__co_body(nart_co *co)
{
    while (co && co->at & NART__CO_ARM)
        co = co->up;
    return co;
}

/* A wait from the task's list; NULL: the end of the list. Its handle is where it was, or this aborts. */
static inline nart__wait *nart__wait_of(const nart__task *t, nart__wait *w)
{
    if (NART_UNLIKELY(w && w->task != t))
        nart__wait_misused(t, w);
    return w;
}

/* The task begins to wait in w, which is idle. */
static inline void nart__wait_begin(nart__task *t, nart__wait *w)
{
    w->task = t;
    w->state = NART__QUEUED;
    w->more = t->waits;
    t->waits = w;
}

/* The wait has ended: removes it from the task's list. */
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

/* Does a task wait in here? The running task may have left this wait in its current poll: then it is only
 * out of date. */
static inline bool nart__wait_in_use(const nart__wait *w)
{
    return w->task && w->seen == w->task->polls;
}

/* Must the operation that waits in here learn that its handle was closed? Also where its task runs and has
 * not called it again yet: it may be a later arm of a race. Not where the task's poll awaits in no body
 * (co.h): there is no race, so the poll has abandoned its own operation. */
static inline bool nart__wait_expected(const nart__wait *w)
{
    return w->task && (w->seen == w->task->polls || w->co || w->task->owner->co);
}

/* The handle that contains this wait is closed or moved. */
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

/* Withdraws the waits that the poll which ends did not request again. */
NART__COLD void nart__sweep(nart__task *t);

/* The running task moves these bytes, handles included, into another frame: aborts if it waits in one of
 * the handles. */
NART__COLD void nart__leave_range(nart__task *t, const void *from, size_t size);

/* Before the frame is dropped: no wait may refer to it. */
void nart__withdraw_all(nart__task *t);

/* ---- wait.c: queues of waits ---- */

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

static inline void nart__q_push_first(nart__waitq *q, nart__wait *w)
{
    w->prev = NULL;
    w->next = q->first;
    if (q->first)
        q->first->prev = w;
    else
        q->last = w;
    q->first = w;
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

/* Gives every wait of the queue the answer that `state` stands for: removes it and wakes its task. */
static inline void nart__q_answer_all(nart__waitq *q, uint32_t state)
{
    while (q->first) {
        nart__wait *w = q->first;
        nart__q_remove(q, w);
        w->state = state;
        nart__ready(w->task);
    }
}

/* ---- op.c: what an operation may do in a poll ---- */

/* -ECANCELED answers in one poll after which a body counts as deaf. */
#define NART__PATIENCE 65536

/* First line of an operation that waits in w. */
static inline nart_res nart__enter(nart_cx *cx, nart__wait *w)
{
    return NART_LIKELY(--cx->go >= 0) ? 0 : nart__halt(cx, w);
}

/* The same where the inline half in the public header has already counted the answer. */
static inline nart_res nart__entered(nart_cx *cx, nart__wait *w)
{
    return NART_LIKELY(cx->go >= 0) ? 0 : nart__halt(cx, w);
}

/* Adds a reason why operations of the running task call nart__halt(); removes one. */
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

/* Has an enclosing scope expired? 0; -ETIMEDOUT: the scope of the running await; -ECANCELED: a scope
 * above it, whether or not the await's own has expired too. Records the earliest remaining deadline. */
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

/* Parks without a wait: the operation has registered a waker or a deadline. A waiting operation has not
 * answered, so the budget that nart__enter() took is returned. */
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

/* The running body requests w in this poll: see rule 2. */
static inline void nart__wait_request(const nart_cx *cx, nart__wait *w)
{
    w->co = cx->co;
    w->seen = cx->self->polls;
}

/* Keeps the task waiting in w after this poll. Returns the budget, as nart__park() does. */
static inline nart_res nart__wait_on(nart_cx *cx, nart__wait *w)
{
    cx->go++;
    nart__wait_request(cx, w);
    return NART_PENDING;
}

/* The budget of the poll is spent. The wait, if the running task has it, keeps its place in the queue, or
 * its turn. */
static inline void nart__wait_stay(const nart_cx *cx, nart__wait *w)
{
    if (w->task == cx->self)
        nart__wait_request(cx, w);
}

/* Is w taken for the running task? Another task waits in it, or another arm of this task's race. */
static inline bool nart__wait_taken(const nart_cx *cx, const nart__wait *w)
{
    const nart__task *t = cx->self;
    return w->task && (w->task != t || (w->seen == t->polls && w->co != cx->co));
}

/* The operation parked, checked again and answers after all: charges the answer again. */
static inline void nart__answers_after_all(nart_cx *cx)
{
    cx->go--;
}

/* Parks in w, which is idle or this task's own. `*begun`: it was idle, and the caller queues it. */
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

/* Last line of an operation that another thread may complete: a clock in auto-advance mode does not
 * advance while the task waits. */
static inline nart_res nart__pending_outside(nart_cx *cx)
{
    cx->flags |= NART__CX_OUT;
    cx->self->state |= NART__T_OUT;
    return NART_PENDING;
}

/* Does a shield protect the task from cancellation? Not once it is aborted: it has no other poll. */
static inline bool nart__shield_holds(const nart_cx *cx, const nart__task *t)
{
    return t->state & NART__T_SHIELD && !(t->state & NART__T_ABORTED) && t->shield > cx->now;
}

/* ---- op.c: one poll, the same under every driver ---- */

NART__COLD void nart__poll_begin_slow(nart_cx *cx, nart__task *t);

/* State bits that make a poll other than the plain case. */
#define NART__T_ODD (NART__T_DONE | NART__T_CANCELLED | NART__T_SHIELD | NART__T_SPENT)

/* `odd` is a constant: false if the caller has tested NART__T_ODD. cx->park is NART_NEVER before; the
 * caller acts on it and resets it. */
static inline nart_res nart__poll(nart_cx *cx, nart__task *t, bool odd)
{
    t->state &= ~(uint32_t)(NART__T_READY | NART__T_OUT | NART__T_ASLEEP);
    t->leaf = NULL;
    t->polls++;
    cx->self = t;
    cx->co = NULL;
    cx->scope = NULL;
    cx->go = NART_BUDGET;
    cx->failed_at = NART_BUDGET; /* no operation has been charged yet */
    cx->stop = 0;
    cx->flags = 0;
    cx->refused = 0;
    cx->locals = NULL; /* a poll that left one open harms itself only */
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

#endif
