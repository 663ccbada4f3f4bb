/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/time.h: the inline functions of time.h.
 *
 * nart_timer: `at`: the expiry; `busy`: 0: not started, 1: started, or NART__TIMER_OVER; `decided`: races that
 * the body had decided when it started. nart_backoff: `doubled`: how often the next wait is doubled; `random`:
 * 0: not seeded yet.
 */
#ifndef NART_DETAIL_TIME_H
#define NART_DETAIL_TIME_H

#include "../time.h"

#ifdef __cplusplus
extern "C" {
#endif

NART_API NART__COLD int64_t nart__now_read(nart_cx *cx);

static inline int64_t nart_now(nart_cx *cx)
{
    return NART_LIKELY(cx->flags & NART__CX_FRESH) ? cx->now : nart__now_read(cx);
}

static inline int64_t nart_event_time(const nart_cx *cx)
{
    return cx->now;
}

#define NART__TIMER_OVER 2 /* the sleep of a NART_AFTER has ended, its operation has begun */

static inline void nart_timer_cancel(nart_timer *t)
{
    t->busy = 0;
}

#ifdef __cplusplus
}
#endif
#endif
