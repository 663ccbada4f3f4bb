/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rwlock.c: read-write locks. A mutex is one without readers.
 *
 * What it keeps true
 *  1. `holders` contains one writer, or readers only: the tasks that hold the lock, and those to which it was
 *     granted and that have not been polled since.
 *  2. The first waiter in `queue` is not admitted beside the holders. A task that finds a queue joins its end,
 *     so nobody is overtaken.
 *  3. A lock that is held is a wait of its task with nart__held_ops, which no sweep and no race withdraws. So
 *     the end of the task finds it and releases it.
 *  4. CLOSED: the wait is in no list, and its task does not read the lock again.
 *
 * Not handled: a reader that becomes a writer without releasing. Two of them would wait for each other.
 *
 * The nart_waiter in a nart_lock: `at` is the read-write lock, `want` READ or WRITE. */
#include "../core/runtime.h"
#include "sync.h"

enum { READ = 1, WRITE = 2 };

/* ---- who is admitted ---- */

static bool admits(const nart_rwlock *rw, uint64_t want)
{
    nart__wait *holder = rw->holders.first;
    return !holder || (want == READ && nart__waiter_of(holder)->want == READ);
}

static void grant(nart_rwlock *rw)
{
    while (rw->queue.first && admits(rw, nart__waiter_of(rw->queue.first)->want)) {
        nart__wait *w = nart__sync_pop(&rw->queue, NART__GRANTED);
        nart__q_push(&rw->holders, w);
        nart__ready(w->task);
    }
}

/* Waits no longer, or holds the lock no longer. */
static void lock_withdraw(nart__wait *w)
{
    nart_rwlock *rw = nart__waiter_of(w)->at;

    if (w->state != NART__QUEUED && w->state != NART__GRANTED)
        return;
    nart__q_remove(w->state == NART__QUEUED ? &rw->queue : &rw->holders, w);
    grant(rw);
}

static const struct nart__wait_ops read_ops = { "read lock", lock_withdraw };
static const struct nart__wait_ops write_ops = { "lock", lock_withdraw };

/* ---- holding ---- */

/* The task ends. One that is aborted need not release its locks, nor one whose runtime is freed, also in a child of
 * fork, where it only leaves them. */
static void held_withdraw(nart__wait *w)
{
    const nart__task *t = w->task;
    nart_rt *rt = nart__cx_rt(t->owner);

    if (rt && !rt->closing && !(t->state & (NART__T_ABORTED | NART__T_DEAF)))
        nart__rt_report_task(rt, t, "has ended and not released a lock");
    lock_withdraw(w);
}

const struct nart__wait_ops nart__held_ops = { "holds a lock", held_withdraw };

/* The wait has been granted. It belongs to no body from here on. Another arm of the task, which is queued for
 * the same lock, would wait for itself: it is evaluated again, and answers -EDEADLK. */
static void hold(nart_cx *cx, nart__wait *w)
{
    w->ops = &nart__held_ops;
    w->co = NULL;
    for (const nart__wait *o = cx->self->waits; o; o = o->more)
        if ((o->ops == &read_ops || o->ops == &write_ops) &&
            ((const nart_waiter *)(const void *)o)->at == nart__waiter_of(w)->at)
            nart_wake_self(cx);
}

static bool holds(const nart__task *t, const nart_rwlock *rw)
{
    for (nart__wait *w = t->waits; w; w = w->more)
        if (nart__is_held(w) && w->state == NART__GRANTED && nart__waiter_of(w)->at == rw)
            return true;
    return false;
}

/* Locks by a nart_lock that is not in use. */
static nart_res take(nart_cx *cx, nart_rwlock *rw, nart_waiter *w, uint64_t want)
{
    if (NART_UNLIKELY(rw->closed))
        return NART_ECLOSED;
    if (NART_UNLIKELY(holds(cx->self, rw)))
        return -EDEADLK;
    if (rw->queue.first || !admits(rw, want))
        return -EAGAIN;
    nart__wait_begin(cx->self, &w->wait);
    w->wait.state = NART__GRANTED;
    w->at = rw;
    w->want = want;
    hold(cx, &w->wait);
    nart__q_push(&rw->holders, &w->wait);
    return 0;
}

/* ---- locking ---- */

static nart_res try_lock(nart_cx *cx, nart_rwlock *rw, nart_lock *l, uint64_t want)
{
    if (!cx->self)
        return -EPERM;
    if (l->waiter.wait.task)
        return holds(cx->self, rw) ? -EDEADLK : -EBUSY;
    return take(cx, rw, &l->waiter, want);
}

static nart_res lock(nart_cx *cx, nart_rwlock *rw, nart_lock *l, uint64_t want)
{
    nart_waiter *w = &l->waiter;
    nart__wait *h = &w->wait;
    bool held = nart__is_held(h); /* then neither cancellation nor another use may withdraw it */

    nart_res r = held ? nart__enter(cx, NULL) : nart__sync_enter(cx, w, rw, want);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(held))
        return holds(cx->self, rw) ? -EDEADLK : -EBUSY;
    if (!h->task) {
        r = take(cx, rw, w, want);
        if (r != -EAGAIN)
            return r;
    } else if (h->state == NART__GRANTED) {
        hold(cx, h);
        return 0;
    } else if (h->state == NART__CLOSED) {
        nart__unwait(h);
        return NART_ECLOSED;
    } else if (NART_UNLIKELY(holds(cx->self, rw))) { /* since it was queued, by another arm */
        nart__withdraw(h);
        return -EDEADLK;
    }
    r = nart__sync_check(cx, &rw->holders);
    if (NART_UNLIKELY(r))
        return r;
    return nart__sync_park(cx, w, rw, want, &rw->queue, want == READ ? &read_ops : &write_ops);
}

nart_res nart_rwlock_read(nart_cx *cx, nart_rwlock *rw, nart_lock *l)
{
    return lock(cx, rw, l, READ);
}

nart_res nart_rwlock_write(nart_cx *cx, nart_rwlock *rw, nart_lock *l)
{
    return lock(cx, rw, l, WRITE);
}

nart_res nart_rwlock_try_read(nart_cx *cx, nart_rwlock *rw, nart_lock *l)
{
    return try_lock(cx, rw, l, READ);
}

nart_res nart_rwlock_try_write(nart_cx *cx, nart_rwlock *rw, nart_lock *l)
{
    return try_lock(cx, rw, l, WRITE);
}

/* ---- releasing ---- */

/* May what runs now release it? 0 or -EPERM. */
static nart_res check_holder(const nart__wait *w)
{
    if (!nart__is_held(w))
        return -EPERM;
    const nart_cx *cx = w->task->owner;
    if (NART_LIKELY(!cx->self || cx->self == w->task))
        return 0;
    nart_rt *rt = nart__cx_rt(cx);
    if (rt)
        nart__rt_report_task(rt, cx->self, "tried to release a lock of another task");
    return -EPERM;
}

nart_res nart_lock_release(nart_lock *l)
{
    nart__wait *w = &l->waiter.wait;

    nart_res r = check_holder(w);
    if (r)
        return r;
    lock_withdraw(w);
    nart__unwait(w);
    return 0;
}

nart_res nart_lock_downgrade(nart_lock *l)
{
    nart_waiter *w = &l->waiter;

    nart_res r = check_holder(&w->wait);
    if (r)
        return r;
    if (w->want == READ)
        return -EINVAL;
    w->want = READ;
    if (w->wait.state == NART__GRANTED)
        grant(w->at);
    return 0;
}

void nart_rwlock_close(nart_rwlock *rw)
{
    if (!rw)
        return;
    rw->closed = 1;
    nart__q_answer_all(&rw->queue, NART__CLOSED);
    nart__q_answer_all(&rw->holders, NART__CLOSED);
}
