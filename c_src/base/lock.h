/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lock.h: a lock for slow paths. It is held for a few instructions, never across a call of other code, a
 * wake or a system call. The model checkers have locks of their own. */
#ifndef NART_BASE_LOCK_H
#define NART_BASE_LOCK_H

#include "atomic.h"

#ifdef NART__MODEL

#include <stdint.h>

typedef NART__ATOMIC(uint32_t) nart__lock;

/* The lock of the model checker. */
void nart__lock_enter(nart__lock *l);
void nart__lock_leave(nart__lock *l);

static inline void nart__lock_init(nart__lock *l)
{
    NART__STORE(l, 0u, NART__RELAXED);
}

static inline void nart__lock_finish(nart__lock *l)
{
    (void)l;
}

#else

#include <pthread.h>

/* The kind of mutex whose operations cannot fail: not recursive, not robust, never destroyed while held. */
typedef pthread_mutex_t nart__lock;

static inline void nart__lock_init(nart__lock *l)
{
    (void)pthread_mutex_init(l, NULL);
}

static inline void nart__lock_finish(nart__lock *l)
{
    (void)pthread_mutex_destroy(l);
}

static inline void nart__lock_enter(nart__lock *l)
{
    (void)pthread_mutex_lock(l);
}

static inline void nart__lock_leave(nart__lock *l)
{
    (void)pthread_mutex_unlock(l);
}

#endif
#endif
