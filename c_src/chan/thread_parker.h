/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread_parker.h: an ordinary thread that waits on a side of a channel.
 *
 * What it keeps true: the thread's waker lies on its stack, so no call to it is left when it returns.
 *
 * The algorithm
 *  1. A thread leaves a waker where a task would leave its own, looks once more, and sleeps until the
 *     waker has been called or its time is over.
 *  2. Then it takes the waker back. If it is not there any more, somebody has taken it and is going to
 *     call: the thread waits for that, which is the time from an exchange to a call.
 *  3. A call adds one to a count, and then ends the sleep at the count's address: the thread may be
 *     gone by then, so the count is not touched any more. The kernel at most ends a wait of somebody
 *     else's there for no reason. */
#ifndef NART_CHAN_THREAD_PARKER_H
#define NART_CHAN_THREAD_PARKER_H

#include "../sys.h"
#include "waker_slot.h"

typedef struct thread_parker {
    nart_wakeable wakeable;
    NART__ATOMIC(uint32_t) calls;
    uint32_t due; /* calls that have come, or are known to come */
    int64_t until;
} thread_parker;

static inline void thread_parker_called(nart_wakeable *w)
{
    thread_parker *s = (thread_parker *)(void *)w; /* its first member */
    const NART__ATOMIC(uint32_t) *word = &s->calls;

    /* Release: what was done before is seen when the call is. The thread_parker may end from here on. */
    (void)NART__FETCH_ADD(&s->calls, 1u, NART__RELEASE);
    nart__sys_futex_wake(word);
}

static inline void thread_parker_init(thread_parker *s, int64_t timeout_ns)
{
    s->wakeable.wake = thread_parker_called;
    NART__STORE(&s->calls, 0u, NART__RELAXED); /* nobody else's yet */
    s->due = 0;
    s->until = INT64_MAX;
    if (timeout_ns != NART_NEVER)
        s->until = nart_time_add(nart__sys_now(), timeout_ns);
}

static inline bool thread_parker_expired(const thread_parker *s)
{
    return s->until != INT64_MAX && nart__sys_now() >= s->until;
}

/* Until there are more calls than are due, or it is late. */
static inline void thread_parker_park(thread_parker *s)
{
    /* Relaxed: a call that has come is awaited afterwards, and acquired there. */
    while (NART__LOAD(&s->calls, NART__RELAXED) == s->due && !thread_parker_expired(s))
        nart__sys_futex_wait(&s->calls, s->due, s->until);
}

/* Somebody has taken the waker: its call must come before this may end. */
static inline void thread_parker_await_call(thread_parker *s)
{
    s->due++;
    while (NART__LOAD(&s->calls, NART__ACQUIRE) != s->due) /* acquire: its caller is done here */
        nart__sys_futex_wait(&s->calls, s->due - 1, INT64_MAX);
}

/* ---- its waker in a slot ---- */

static inline void thread_parker_register(nart__waker_slot *slot, thread_parker *s)
{
    nart__waker_slot_set(slot, nart_waker_of(&s->wakeable));
}

/* Relaxed: as nart__waker_slot_unregister(). */
static inline void thread_parker_unregister(nart__waker_slot *slot, thread_parker *s)
{
    if (NART__EXCHANGE(slot, (uintptr_t)0, NART__RELAXED) == 0)
        thread_parker_await_call(s);
}

#endif
