/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/time.h
 * The clock, sleeping, ticks at intervals, and waits that grow from one retry to the next. Deadlines of
 * other operations are scopes: NART_AWAIT_FOR and NART_AWAIT_UNTIL of nart/co.h, nart_scope of
 * nart/task.h. NART_AFTER of nart/co.h sleeps before an operation.
 *
 * A task has one timer, set after each poll to the earliest deadline among what that poll left
 * pending; so creating and dropping sleeps and deadlines that do not expire costs no timer work.
 * Nothing fires early: a time that is given as a number of nanoseconds counts from the call, however
 * long the poll has worked before. Nothing fires later than the next look at the clock after its time;
 * a task that is always ready looks at it after each poll that spent its budget.
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

/** When the clock was last looked at, which is never ahead of it: by the loop, when it began to run,
 *  after each wait for events, and at each tick while a timer is set; or by nart_now(). So it is about
 *  when what woke this task was seen, where nart_now() is the time of this poll. **Cost**: a load. */
static inline int64_t nart_event_time(const nart_cx *cx)
{
    return cx->now;
}

#define NART__TIMER_OVER 2

/** A sleep in progress; lives in the frame. Zeroed = not begun. Nothing to release. */
typedef struct nart_timer {
    int64_t at;       /* when it ends */
    uint32_t busy;    /* 1 = begun; 2 = over, what comes after it has begun */
    uint32_t decided; /* races that the body had decided when it was begun */
} nart_timer;

/**
 * Sleeps until the absolute time `at`; one that had passed when the loop last read the clock answers
 * at once. The first call fixes the time, later calls of the same sleep ignore `at`; the answer
 * leaves `*t` fit for another one.
 * @return 0; -ECANCELED, -ETIMEDOUT (the sleep is over then, too). **Cost**: reads no clock.
 */
NART_API NART_MUST_USE nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at);

/**
 * Sleeps for `ns` nanoseconds from the first call; zero and less answer at once. A sleep that lost a race
 * of its body restarts when it is awaited again, with the `ns` of that call.
 * @return as nart_sleep_until(). **Cost**: a clock read when it begins.
 */
NART_API NART_MUST_USE nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns);

/** nart_sleep(), but one that lost a race goes on: the time counts from the first call of all, as a
 *  limit on a whole loop of races does. nart_timer_cancel() makes it restart. @return, **Cost** as
 *  nart_sleep(). */
NART_API NART_MUST_USE nart_res nart_sleep_resume(nart_cx *cx, nart_timer *t, int64_t ns);

/** Forgets a sleep that nobody awaits any more, so that `*t` can begin another. */
static inline void nart_timer_cancel(nart_timer *t)
{
    t->busy = 0;
}

/* ---- intervals ---- */

/** What becomes of the ticks of an interval that nobody has awaited in time. */
typedef enum nart_missed {
    NART_MISSED_BURST, /**< each of them is taken at once, until the schedule is caught up with */
    NART_MISSED_SKIP,  /**< they are left out; the schedule stays */
    NART_MISSED_DELAY  /**< they are left out, and the schedule begins anew with this tick */
} nart_missed;

/** Ticks at equal distances; lives in the frame. Nothing to release. */
typedef struct nart_interval {
    nart_missed missed; /**< may be set at any time; NART_MISSED_BURST to begin with */
    int64_t next;       /**< when the next tick is due; read only */
    int64_t period;     /**< nanoseconds; may be set at any time, counts from the next tick on */
    nart_timer timer;
} nart_interval;

/** An interval whose first tick is a period from now. @return 0; -EINVAL `period` is not above 0. */
NART_API NART_MUST_USE nart_res nart_interval_init(nart_cx *cx, nart_interval *i, int64_t period);

/** The same, with the first tick at the time `first`; when that has passed, at once. */
NART_API NART_MUST_USE nart_res nart_interval_init_at(nart_interval *i, int64_t first,
                                                      int64_t period);

/**
 * Awaits the next tick.
 * @return how many ticks have been left out after it, 0 with NART_MISSED_BURST; -ECANCELED,
 *   -ETIMEDOUT: the tick has not been taken, and its time stays; -EINVAL a period that is not above 0.
 * **Cost**: that of a sleep; no clock read with NART_MISSED_BURST.
 */
NART_API NART_MUST_USE nart_res nart_interval_tick(nart_cx *cx, nart_interval *i);

/** The next tick is a period from now. */
NART_API void nart_interval_reset(nart_cx *cx, nart_interval *i);

/** The next tick is at the time `next`. */
NART_API void nart_interval_reset_at(nart_interval *i, int64_t next);

/* ---- retrying ---- */

/**
 * How long to wait before the next retry: `initial`, and twice as long each time up to `most`. Lives
 * in the frame; the first fields are set before its first use. Nothing to release.
 *
 *     NART_AWAIT(f->r, try_it(cx, f));
 *     while (f->r < 0) {
 *         NART_AWAIT(r, nart_backoff_wait(cx, &f->backoff));
 *         if (r < 0)
 *             break;                                  // given up: f->r is the last error
 *         NART_AWAIT(f->r, try_it(cx, f));
 *     }
 */
typedef struct nart_backoff {
    int64_t initial;  /**< nanoseconds, not below 0 */
    int64_t most;     /**< nanoseconds, not below `initial` */
    int64_t deadline; /**< no wait goes beyond it and none begins after it; NART_NEVER: none */
    uint32_t retries; /**< so many waits at most; UINT32_MAX: no limit */
    uint32_t jitter;  /**< per cent, at most 100: each wait is longer or shorter by up to this much,
                           evenly distributed, so that many who fail at once do not retry at once */
    uint32_t waited;  /**< waits that have ended, since the last reset; read only */
    uint32_t doubled; /* times, of the next wait */
    uint64_t random;  /* 0: to be seeded */
    nart_timer timer;
} nart_backoff;

/** 100 ms, then twice as long each time up to 30 s, for ever, without jitter. */
#define NART_BACKOFF_INIT                                                                          \
    {                                                                                              \
        100 * NART_MS, 30 * NART_SEC, NART_NEVER, UINT32_MAX, 0, 0, 0, 0,                          \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }

/**
 * Waits before the next retry.
 * @return 0; NART_EEXHAUSTED all retries have been had, or the deadline has passed: at once, also a
 *   second time; -ECANCELED, -ETIMEDOUT: this wait does not count; -EINVAL fields out of range.
 */
NART_API NART_MUST_USE nart_res nart_backoff_wait(nart_cx *cx, nart_backoff *b);

/** Nanoseconds that the next wait lasts, before jitter and deadline; 0 when a field is out of range. */
NART_API int64_t nart_backoff_delay(const nart_backoff *b);

/** After a success: begins with `initial` again and with no wait counted. The deadline stays. */
NART_API void nart_backoff_reset(nart_backoff *b);

#ifdef __cplusplus
}
#endif
#endif
