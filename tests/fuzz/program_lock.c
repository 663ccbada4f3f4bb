/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Read-write locks of random programs. Each lock that a task has taken is in memory of its own, and is kept
 * over other awaits, until any task or the program releases it, or the end of its task. */
#include "program.h"

/* A lock that a task waits for, holds, or has held. */
struct held {
    nart_lock lock;
    struct task *task;
    struct held *next;
    bool write;
};

struct locks {
    nart_rwlock rw;
    struct held *held; /* those that have been taken */
};

static const struct nart__wait_ops *held_ops; /* of a lock that is held */

bool lock_is_held(const nart__wait *w)
{
    return held_ops && w->ops == held_ops;
}

static bool holder_is_gone(const struct task *t)
{
    return task_over(t) || (t->header && t->header->state & NART__T_ENDING);
}

/* Forgets the locks of tasks that have ended. */
static struct held *held_of(struct thing *l)
{
    for (struct held **p = &l->u.locks->held, *h; (h = *p);) {
        const nart__task *waits = h->lock.waiter.wait.task;
        EXPECT(!waits == holder_is_gone(h->task), "task %u %s a lock", h->task->id,
               waits ? "has ended and holds" : "has lost");
        if (waits) {
            p = &h->next;
            continue;
        }
        *p = h->next;
        page_free(h, sizeof *h);
    }
    return l->u.locks->held;
}

/* Is it admitted beside those that hold the lock? */
static bool lock_admits(struct thing *l, bool write)
{
    for (const struct held *h = held_of(l); h; h = h->next)
        if (write || h->write)
            return false;
    return true;
}

static bool lock_held_by(struct thing *l, const struct task *t)
{
    for (const struct held *h = held_of(l); h; h = h->next)
        if (h->task == t)
            return true;
    return false;
}

static void lock_taken(struct thing *l, struct held *h, struct task *t, bool write)
{
    EXPECT(!l->closed && lock_admits(l, write), "task %u got a lock", t->id);
    h->task = t;
    h->write = write;
    h->next = l->u.locks->held;
    l->u.locks->held = h;
    held_ops = h->lock.waiter.wait.ops;
}

/* ---- deeds ---- */

static void lock_release(struct thing *l, const nart_cx *cx, struct held *h)
{
    struct held **p = &l->u.locks->held;
    bool may = !cx || cx->self == h->task->header;
    nart_res r = nart_lock_release(&h->lock);

    EXPECT(r == (may ? 0 : -EPERM), "%s", nart_err_name(r));
    if (r)
        return;
    while (*p != h)
        p = &(*p)->next;
    *p = h->next;
    page_free(h, sizeof *h);
}

static void lock_downgrade(const nart_cx *cx, struct held *h)
{
    bool may = !cx || cx->self == h->task->header;
    nart_res r = nart_lock_downgrade(&h->lock);

    EXPECT(r == (!may ? -EPERM : h->write ? 0 : -EINVAL), "%s", nart_err_name(r));
    if (r == 0)
        h->write = false;
}

static void lock_close(struct thing *l)
{
    nart_rwlock_close(&l->u.locks->rw);
    l->closed = true;
}

static void lock_deed(struct thing *l, nart_cx *cx)
{
    struct held *h = held_of(l);
    uint32_t what = pick(32);

    for (uint32_t n = pick(4); h && h->next && n > 0; n--)
        h = h->next;
    if (what == 31)
        lock_close(l);
    else if (h && what < 24)
        lock_release(l, cx, h);
    else if (h)
        lock_downgrade(cx, h);
}

/* Without a holder the first waiter is served, and a reader is not left behind readers. */
static void lock_rest(struct thing *l)
{
    const nart_rwlock *rw = &l->u.locks->rw;

    EXPECT(held_of(l) || !rw->queue.first, "tasks wait for a free lock");
    EXPECT(held_of(l) || !rw->holders.first, "a lock is held by nobody");
}

static bool lock_open(struct thing *l)
{
    l->u.locks = page_new(sizeof *l->u.locks);
    return true;
}

const struct sort lock_sort = { lock_open, lock_deed, lock_rest, lock_close };

/* ---- the operation ---- */

bool lock_begin(struct arm *a)
{
    a->thing = thing_of(&lock_sort);
    if (!a->thing)
        return false;
    a->thing->users++;
    a->n = pick(3) == 0; /* a writer? */
    a->u.held = page_new(sizeof *a->u.held);
    return true;
}

void lock_end(struct arm *a)
{
    a->thing->users--;
    page_free(a->u.held, sizeof *a->u.held);
}

nart_res lock_call(nart_cx *cx, struct arm *a)
{
    nart_rwlock *rw = &a->thing->u.locks->rw;
    nart_lock *l = &a->u.held->lock;
    bool tried = !a->called && pick(4) == 0;
    nart_res r = -EAGAIN;

    if (tried)
        r = a->n ? nart_rwlock_try_write(cx, rw, l) : nart_rwlock_try_read(cx, rw, l);
    if (r == -EAGAIN)
        r = a->n ? nart_rwlock_write(cx, rw, l) : nart_rwlock_read(cx, rw, l);
    a->turn = r == -EDEADLK;
    EXPECT(!a->turn || lock_held_by(a->thing, a->task), "task %u holds nothing", a->task->id);
    if (r == 0) {
        lock_taken(a->thing, a->u.held, a->task, a->n);
        a->u.held = page_new(sizeof *a->u.held);
    }
    return r;
}

/* Others may be queued ahead; a single one need not wait. */
bool lock_ready(const struct arm *a)
{
    return a->thing->closed || lock_held_by(a->thing, a->task) ||
           (a->thing->users == 1 && lock_admits(a->thing, a->n));
}

void lock_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || r == -EDEADLK || (r == NART_ECLOSED && a->thing->closed), "%s",
           nart_err_name(r));
}
