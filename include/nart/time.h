/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/time.h
 * The clock and sleeping. Deadlines of other operations are scopes: NART_AWAIT_FOR and
 * NART_AWAIT_UNTIL of nart/co.h, nart_scope of nart/task.h.
 *
 * A task has one timer, set after each poll to the earliest deadline among what that poll left
 * pending; so creating and dropping sleeps and deadlines that do not expire costs no timer work.
 * Nothing fires early; nothing fires later than the next look at the clock after its time.
 */
#ifndef NART_TIME_H
#define NART_TIME_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

NART_API NART__COLD int64_t nart__now_read(nart_cx *cx);

/** Nanoseconds on CLOCK_MONOTONIC, read once per poll and then the same until the poll ends.
 *  **Cost**: a clock read at the first call in a poll, then a load. */
static inline int64_t nart_now(nart_cx *cx)
{
    return NART_LIKELY(cx->flags & NART__CX_FRESH) ? cx->now : nart__now_read(cx);
}

/** A sleep in progress; lives in the frame. Zeroed = not begun. Nothing to release. */
typedef struct nart_timer {
    int64_t at;    /* when it ends */
    uint64_t busy; /* 1 = begun */
} nart_timer;

/**
 * Sleeps until the absolute time `at`; one that had passed when the loop last read the clock answers
 * at once. The first call fixes the time, later calls of the same sleep ignore `at`; the answer
 * leaves `*t` fit for another one.
 * @return 0; -ECANCELED, -ETIMEDOUT (the sleep is over then, too). **Cost**: reads no clock.
 */
NART_API NART_MUST_USE nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at);

/** The same, `ns` nanoseconds from the first call; zero and less answer at once. */
NART_API NART_MUST_USE nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns);

/** Forgets a sleep that nobody awaits any more, so that `*t` can begin another. */
static inline void nart_timer_cancel(nart_timer *t)
{
    t->busy = 0;
}

#ifdef __cplusplus
}
#endif
#endif
