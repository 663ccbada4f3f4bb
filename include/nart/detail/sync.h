/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/sync.h: the inline functions of sync.h. */
#ifndef NART_DETAIL_SYNC_H
#define NART_DETAIL_SYNC_H

#include "../sync.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline void nart_semaphore_init(nart_semaphore *s, uint32_t permits)
{
    nart_semaphore none = { { NULL, NULL }, { NULL, NULL }, 0, 0, 0, 0 };
    *s = none;
    s->permits = permits;
}

static inline uint32_t nart_semaphore_permits(const nart_semaphore *s)
{
    return (uint32_t)s->permits;
}

/* A mutex is a read-write lock without readers. */

static inline nart_res nart_mutex_lock(nart_cx *cx, nart_mutex *m, nart_lock *l)
{
    return nart_rwlock_write(cx, &m->lock, l);
}

static inline nart_res nart_mutex_try_lock(nart_cx *cx, nart_mutex *m, nart_lock *l)
{
    return nart_rwlock_try_write(cx, &m->lock, l);
}

static inline void nart_mutex_close(nart_mutex *m)
{
    nart_rwlock_close(m ? &m->lock : NULL);
}

#ifdef __cplusplus
}
#endif
#endif
