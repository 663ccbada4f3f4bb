/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread_parker.h: an ordinary thread that waits for a call of its waker.
 *
 * Invariant: the thread's waker is on its stack, so no call of it is outstanding when the function returns.
 *
 * The algorithm
 *  1. A thread registers its waker where a task would, checks once more, and sleeps until the waker has been
 *     called or its deadline has passed.
 *  2. Then it takes the waker back. If the waker is not there, another thread has taken it and will call it:
 *     this thread waits for that call, which takes the time from an exchange to a call.
 *  3. A call increments a count and then wakes the futex at the count's address. The thread may have returned
 *     by then, so the count is not accessed any more. At worst the kernel wakes an unrelated futex wait at
 *     that address, spuriously. */
#ifndef NART_BASE_THREAD_PARKER_H
#define NART_BASE_THREAD_PARKER_H

#include "../sys.h"
#include "atomic.h"

#include <nart/task.h>

typedef struct thread_parker {
    nart_wakeable wakeable;
    NART__ATOMIC(uint32_t) calls;
    uint32_t due; /* calls that were made, or are known to follow */
    int64_t until;
} thread_parker;

static inline void thread_parker_called(nart_wakeable *w)
{
    thread_parker *s = (thread_parker *)(void *)w; /* its first member */
    const NART__ATOMIC(uint32_t) *word = &s->calls;

    /* Release: whoever sees the call sees what was done before. *s may cease to exist from here on. */
    (void)NART__FETCH_ADD(&s->calls, 1u, NART__RELEASE);
    nart__sys_futex_wake(word);
}

static inline void thread_parker_init(thread_parker *s, int64_t timeout_ns)
{
    s->wakeable.wake = thread_parker_called;
    NART__STORE(&s->calls, 0u, NART__RELAXED); /* not shared yet */
    s->due = 0;
    s->until = INT64_MAX;
    if (timeout_ns != NART_NEVER)
        s->until = nart_time_add(nart__sys_now(), timeout_ns);
}

static inline bool thread_parker_expired(const thread_parker *s)
{
    return s->until != INT64_MAX && nart__sys_now() >= s->until;
}

/* Sleeps until more calls were made than are due, or the deadline has passed. */
static inline void thread_parker_park(thread_parker *s)
{
    /* Relaxed: a call is awaited afterwards in any case, and acquired there. */
    while (NART__LOAD(&s->calls, NART__RELAXED) == s->due && !thread_parker_expired(s))
        nart__sys_futex_wait(&s->calls, s->due, s->until);
}

/* Another thread has taken the waker: waits for its call, before which *s must not cease to exist. */
static inline void thread_parker_await_call(thread_parker *s)
{
    s->due++;
    while (NART__LOAD(&s->calls, NART__ACQUIRE) != s->due) /* acquire: the caller is done with *s */
        nart__sys_futex_wait(&s->calls, s->due - 1, INT64_MAX);
}

#endif
