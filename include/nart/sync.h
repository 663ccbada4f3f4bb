/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/sync.h
 * What the tasks of one runtime wait for each other with: notifications, semaphores, wait groups.
 * Plain memory of one thread; what crosses threads are channels, nart/oneshot.h and wakers.
 *
 * A task waits in a nart_waiter in its frame, and the object lies where both sides see it. Rules
 * that hold for all of them, beside those of nart/task.h:
 *
 *  1. First come, first served. A turn that was granted to a task which goes away before it takes
 *     it (a race lost, cancelled, a deadline, dropped) passes to the next one.
 *  2. Closing wakes all who wait, and they find NART_ECLOSED: they do not look at the object again,
 *     so its memory may go then. An object that nobody waits for needs no closing.
 *  3. What waits also answers -ECANCELED and -ETIMEDOUT: nothing was taken; -EBUSY: another task,
 *     or another operation, waits in this nart_waiter; NART_EDRIVER: tasks of another runtime wait
 *     for the object, or the task's driver moves it between threads; -EPERM outside of a poll.
 *
 * At most so many tasks do it at a time, as the semaphore has permits:
 *
 *     NART_AWAIT(r, nart_semaphore_acquire(cx, f->permits, &f->waiter, 1));
 *     if (r == 0) {
 *         NART_AWAIT(r, work(cx, f));
 *         nart_semaphore_release(f->permits, 1);
 *     }
 *
 * **Thread**, everything here: the runtime's own.
 */
#ifndef NART_SYNC_H
#define NART_SYNC_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where one task waits for one thing at a time. Zeroed = idle; nothing to release. Not copied or
 *  moved while a task waits in it. */
typedef struct nart_waiter {
    nart__wait wait;
    void *at;      /* the object */
    uint64_t want; /* permits */
} nart_waiter;

/* ---- notifications ---- */

/** Wakes tasks that wait for something to happen. Zeroed = ready for use. */
typedef struct nart_notify {
    nart__waitq queue;
    nart__waitq notified; /* one at a time, and not polled since */
    uint32_t permit;      /* a notification that nobody waited for */
    uint32_t closed;
} nart_notify;

/** Notifies the task that has waited longest. If none waits, the next one that would is answered at
 *  once; several such notifications are one. **Cost**: O(1). */
NART_API void nart_notify_one(nart_notify *n);

/** Notifies every task that waits now; whoever waits later is not. **Cost**: O(tasks that wait). */
NART_API void nart_notify_all(nart_notify *n);

/** Waits for a notification. @return 0; NART_ECLOSED; see rule 3. */
NART_API NART_MUST_USE nart_res nart_notify_await(nart_cx *cx, nart_notify *n, nart_waiter *w);

/** From now on waiting answers NART_ECLOSED; tasks that have been notified are answered 0.
 *  Idempotent; NULL is fine. */
NART_API void nart_notify_close(nart_notify *n);

/* ---- semaphores ---- */

#define NART_SEMAPHORE_MAX UINT32_MAX /**< permits at most */

/** A number of permits. Zeroed = none yet. */
typedef struct nart_semaphore {
    nart__waitq queue;
    nart__waitq granted; /* permits are reserved for them */
    uint64_t permits;    /* that are nobody's */
    uint64_t reserved;   /* of those granted */
    uint32_t closed;
    uint32_t reserved0;
} nart_semaphore;

static inline void nart_semaphore_init(nart_semaphore *s, uint32_t permits)
{
    nart_semaphore none = { { NULL, NULL }, { NULL, NULL }, 0, 0, 0, 0 };
    *s = none;
    s->permits = permits;
}

/**
 * Takes `n` permits, waiting for them. A request at the front of the queue is not overtaken by
 * those behind it, however small they are. One for more permits than there will ever be waits until
 * it is cancelled or the semaphore is closed.
 * @return 0: they are the caller's to release; NART_ECLOSED; see rule 3.
 */
NART_API NART_MUST_USE nart_res nart_semaphore_acquire(nart_cx *cx, nart_semaphore *s,
                                                       nart_waiter *w, uint32_t n);

/** Takes `n` permits without waiting. @return 0; -EAGAIN too few, or others wait before you;
 *  NART_ECLOSED. */
NART_API NART_MUST_USE nart_res nart_semaphore_try_acquire(nart_semaphore *s, uint32_t n);

/** Adds `n` permits, taken before or not. @return 0; -EOVERFLOW there would be more than
 *  NART_SEMAPHORE_MAX that nobody has taken: nothing was added. **Cost**: O(tasks served). */
NART_API nart_res nart_semaphore_release(nart_semaphore *s, uint32_t n);

/** Permits that are available, if no task waits for more. */
static inline uint32_t nart_semaphore_permits(const nart_semaphore *s)
{
    return (uint32_t)s->permits;
}

/** From now on taking permits answers NART_ECLOSED, also to tasks that have been granted theirs and
 *  have not been polled since. Idempotent; NULL is fine. */
NART_API void nart_semaphore_close(nart_semaphore *s);

/* ---- wait groups ---- */

/** Counts what is under way; tasks wait for all of it. Zeroed = nothing is. */
typedef struct nart_wait_group {
    nart__waitq queue;
    uint32_t count;
    uint32_t closed;
} nart_wait_group;

/** `n` more are under way. @return 0; -EOVERFLOW more than UINT32_MAX: nothing was added. */
NART_API NART_MUST_USE nart_res nart_wait_group_add(nart_wait_group *g, uint32_t n);

/** One of them is done. At the last one all who wait are answered, whatever is added afterwards.
 *  @return 0; -EINVAL none was under way. */
NART_API nart_res nart_wait_group_done(nart_wait_group *g);

/** Waits until nothing is under way. @return 0; NART_ECLOSED; see rule 3. */
NART_API NART_MUST_USE nart_res nart_wait_group_await(nart_cx *cx, nart_wait_group *g,
                                                      nart_waiter *w);

/** From now on waiting answers NART_ECLOSED. Idempotent; NULL is fine. */
NART_API void nart_wait_group_close(nart_wait_group *g);

#ifdef __cplusplus
}
#endif
#endif
