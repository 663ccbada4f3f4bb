/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/time.h
 * The clock, sleeps, intervals, and backoff between retries. Deadlines of other operations are scopes:
 * NART_AWAIT_FOR and NART_AWAIT_UNTIL of nart/co.h, nart_scope of nart/task.h. NART_AFTER of nart/co.h
 * sleeps before an operation.
 *
 * A task has one timer. After each poll it is set to the earliest deadline of the operations that the poll
 * left pending. So sleeps and deadlines that do not expire cost no timer work.
 *
 * Nothing expires early: a relative time counts from the call (that of NART_AWAIT_FOR: from the first
 * evaluation that has to wait), however long the poll has run before. What is due expires at the first
 * reading of the clock after its time. For a task that is always ready the clock is read before the poll
 * that follows one that spent its budget.
 */
#ifndef NART_TIME_H
#define NART_TIME_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The time in nanoseconds on CLOCK_MONOTONIC. It is read once per poll and does not change until the poll
 *  ends. **Cost**: a clock read at the first call in a poll, then a load. */
static inline int64_t nart_now(nart_cx *cx);

/** The last reading of the clock. The loop reads the clock when it begins to run, after each wait for events,
 *  and in each tick while a timer is set; nart_now() reads it, too. So this approximates when the event that
 *  woke the task was observed. **Cost**: a load. */
static inline int64_t nart_event_time(const nart_cx *cx);

/* ---- sleeps ---- */

/** A sleep. Keep it in the frame. Zeroed = not begun. It needs no release. */
typedef struct nart_timer {
    /* private */
    int64_t at;
    uint32_t busy, decided;
} nart_timer;

/**
 * Sleeps until the absolute time `at`. Answers at once if that had passed at the last reading of the clock.
 * The first call sets the time; later calls of the same sleep ignore `at`. After the answer `*t` can begin
 * another sleep.
 * @return 0; -ECANCELED, -ETIMEDOUT: the sleep has ended, too. **Cost**: reads no clock.
 */
NART_API NART_MUST_USE nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at);

/**
 * Sleeps for `ns` nanoseconds from the first call; answers at once for 0 or less. A sleep that lost a race of
 * its body restarts when it is awaited again, with the `ns` of that call.
 * @return as nart_sleep_until(). **Cost**: a clock read when it begins.
 */
NART_API NART_MUST_USE nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns);

/** Like nart_sleep(), but a sleep that lost a race continues: its time counts from the first call. So it can
 *  limit a loop of races. nart_timer_cancel() makes it restart. @return as nart_sleep().
 *  **Cost**: as nart_sleep(). */
NART_API NART_MUST_USE nart_res nart_sleep_resume(nart_cx *cx, nart_timer *t, int64_t ns);

/** Cancels a sleep that is not awaited, so that `*t` can begin another. */
static inline void nart_timer_cancel(nart_timer *t);

/* ---- intervals ---- */

/** What happens to missed ticks: those not awaited before the next one was due. */
typedef enum nart_missed {
    NART_MISSED_BURST, /**< each is answered at once, until none is missing */
    NART_MISSED_SKIP,  /**< they are skipped; the schedule stays */
    NART_MISSED_DELAY  /**< they are skipped; the schedule restarts from this tick */
} nart_missed;

/** An interval: periodic ticks. Keep it in the frame. It needs no release. */
typedef struct nart_interval {
    nart_missed missed; /**< may be set at any time; NART_MISSED_BURST at first */
    int64_t next;       /**< when the next tick is due; read only */
    int64_t period;     /**< nanoseconds; may be set at any time, applies from the next tick on */
    /* private */
    nart_timer timer;
} nart_interval;

/** Sets up an interval whose first tick is one period from now. @return 0; -EINVAL `period` is not above 0. */
NART_API NART_MUST_USE nart_res nart_interval_init(nart_cx *cx, nart_interval *i, int64_t period);

/** The same with the first tick at the time `first`, at once if that has passed. */
NART_API NART_MUST_USE nart_res nart_interval_init_at(nart_interval *i, int64_t first,
                                                      int64_t period);

/**
 * Waits for the next tick.
 * @return the number of ticks that were skipped after it, 0 with NART_MISSED_BURST; -ECANCELED,
 *   -ETIMEDOUT: the tick was not consumed, its time stays; -EINVAL a period that is not above 0.
 * **Cost**: that of a sleep; no clock read with NART_MISSED_BURST.
 */
NART_API NART_MUST_USE nart_res nart_interval_tick(nart_cx *cx, nart_interval *i);

/** Sets the next tick to one period from now. */
NART_API void nart_interval_reset(nart_cx *cx, nart_interval *i);

/** Sets the next tick to the time `next`. */
NART_API void nart_interval_reset_at(nart_interval *i, int64_t next);

/* ---- retrying ---- */

/**
 * Backoff: waits between retries that begin at `initial` and double each time, up to `max`. Keep it in the
 * frame; set the first fields before its first use. It needs no release.
 *
 *     NART_AWAIT(f->r, try_it(cx, f));
 *     while (f->r < 0) {
 *         NART_AWAIT(r, nart_backoff_wait(cx, &f->backoff));
 *         if (r < 0)
 *             break;                                  // no more retries: f->r is the last error
 *         NART_AWAIT(f->r, try_it(cx, f));
 *     }
 */
typedef struct nart_backoff {
    int64_t initial;  /**< nanoseconds, not below 0 */
    int64_t max;      /**< nanoseconds, not below `initial` */
    int64_t deadline; /**< absolute; no wait begins or ends after it; NART_NEVER: none */
    uint32_t retries; /**< the most waits; UINT32_MAX: no limit */
    /** Per cent, at most 100: each wait is longer or shorter by up to this much, uniformly distributed, so
     *  that tasks that fail together do not retry together. */
    uint32_t jitter;
    uint32_t waited; /**< waits that have ended, since the last reset; read only */
    /* private */
    uint32_t doubled;
    uint64_t random;
    nart_timer timer;
} nart_backoff;

/** 100 ms, doubling up to 30 s, without limit and without jitter. */
#define NART_BACKOFF_INIT                                                                          \
    {                                                                                              \
        100 * NART_MS, 30 * NART_SEC, NART_NEVER, UINT32_MAX, 0, 0, 0, 0,                          \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }

/**
 * Waits before the next retry. A wait that lost a race continues when it is awaited again, as
 * nart_sleep_resume() does.
 * @return 0; NART_EEXHAUSTED, without a wait: retries exhausted, or the deadline has passed;
 *   -ECANCELED, -ETIMEDOUT: this wait does not count; -EINVAL fields out of range.
 */
NART_API NART_MUST_USE nart_res nart_backoff_wait(nart_cx *cx, nart_backoff *b);

/** The length of the next wait in nanoseconds, before jitter and deadline; 0 if a field is out of range. */
NART_API int64_t nart_backoff_delay(const nart_backoff *b);

/** Resets the backoff after a success: the next wait lasts `initial`, the count of waits is 0, the deadline stays. A
 *  peer that has accepted may still close at once: call this when it has answered. */
NART_API void nart_backoff_reset(nart_backoff *b);

#ifdef __cplusplus
}
#endif

#include "detail/time.h"

#endif
