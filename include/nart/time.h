/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/time.h
 * The clock, sleeping, ticks at intervals, and waits that grow from one retry to the next. Deadlines of
 * other operations are scopes: NART_AWAIT_FOR and NART_AWAIT_UNTIL of nart/co.h, nart_scope of
 * nart/task.h. NART_AFTER of nart/co.h sleeps before an operation.
 *
 * A task has one timer. After each poll it is set to the earliest deadline of the operations that the
 * poll left pending. So sleeps and deadlines that do not expire cost no timer work.
 *
 * Nothing fires early: a relative time counts from the call (that of NART_AWAIT_FOR: from the moment when
 * it has to wait), however long the poll has run before. Nothing fires later than the first reading of
 * the clock after its time. For a task that is always ready the clock is read before the poll that
 * follows one that spent its budget.
 */
#ifndef NART_TIME_H
#define NART_TIME_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Nanoseconds on CLOCK_MONOTONIC, read once per poll and then the same until the poll ends.
 *  **Cost**: a clock read at the first call in a poll, then a load. */
static inline int64_t nart_now(nart_cx *cx);

/** The last reading of the clock, without a new one. The loop reads the clock when it begins to run,
 *  after each wait for events, and at each tick while a timer is set; nart_now() reads it, too. So this
 *  approximates when the event that woke the task was observed. **Cost**: a load. */
static inline int64_t nart_event_time(const nart_cx *cx);

/** A sleep in progress. It lives in the frame. Zeroed = not begun. Nothing to release. */
typedef struct nart_timer {
    /* private */
    int64_t at;
    uint32_t busy, decided;
} nart_timer;

/**
 * Sleeps until the absolute time `at`. If that had passed at the last reading of the clock, answers at
 * once. The first call fixes the time, and later calls of the same sleep ignore `at`. After the answer
 * `*t` can begin another sleep.
 * @return 0; -ECANCELED, -ETIMEDOUT (the sleep has ended then, too). **Cost**: reads no clock.
 */
NART_API NART_MUST_USE nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at);

/**
 * Sleeps for `ns` nanoseconds from the first call; with 0 or less it answers at once. A sleep that lost a
 * race of its body restarts when it is awaited again, with the `ns` of that call.
 * @return as nart_sleep_until(). **Cost**: a clock read when it begins.
 */
NART_API NART_MUST_USE nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns);

/** Like nart_sleep(), but a sleep that lost a race continues: its time counts from the first call. So it
 *  can limit a whole loop of races. nart_timer_cancel() makes it restart. @return as nart_sleep().
 *  **Cost**: as nart_sleep(). */
NART_API NART_MUST_USE nart_res nart_sleep_resume(nart_cx *cx, nart_timer *t, int64_t ns);

/** Forgets a sleep that nobody awaits any more, so that `*t` can begin another. */
static inline void nart_timer_cancel(nart_timer *t);

/* ---- intervals ---- */

/** What happens to ticks that were missed: nobody awaited them before the next one was due. */
typedef enum nart_missed {
    NART_MISSED_BURST, /**< each of them is answered at once, until the schedule is caught up with */
    NART_MISSED_SKIP,  /**< they are left out; the schedule stays */
    NART_MISSED_DELAY  /**< they are left out; the schedule restarts with this tick */
} nart_missed;

/** Ticks at equal distances. It lives in the frame. Nothing to release. */
typedef struct nart_interval {
    nart_missed missed; /**< may be set at any time; NART_MISSED_BURST to begin with */
    int64_t next;       /**< when the next tick is due; read only */
    int64_t period;     /**< nanoseconds; may be set at any time, applies from the next tick on */
    nart_timer timer;   /* private */
} nart_interval;

/** An interval whose first tick is a period from now. @return 0; -EINVAL `period` is not above 0. */
NART_API NART_MUST_USE nart_res nart_interval_init(nart_cx *cx, nart_interval *i, int64_t period);

/** The same, with the first tick at the time `first`, at once if that has passed. */
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
    int64_t max;      /**< nanoseconds, not below `initial` */
    int64_t deadline; /**< absolute; no wait ends or begins after it; NART_NEVER: none */
    uint32_t retries; /**< at most so many waits; UINT32_MAX: no limit */
    uint32_t jitter;  /**< per cent, at most 100: each wait is longer or shorter by up to this much,
                           evenly distributed, so that many who fail at once do not retry at once */
    uint32_t waited;  /**< waits that have ended, since the last reset; read only */
    /* private */
    uint32_t doubled;
    uint64_t random;
    nart_timer timer;
} nart_backoff;

/** 100 ms, then twice as long each time up to 30 s, without limit and without jitter. */
#define NART_BACKOFF_INIT                                                                          \
    {                                                                                              \
        100 * NART_MS, 30 * NART_SEC, NART_NEVER, UINT32_MAX, 0, 0, 0, 0,                          \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }

/**
 * Waits before the next retry.
 * @return 0; NART_EEXHAUSTED, without a wait: all retries are used up, or the deadline has passed;
 *   -ECANCELED, -ETIMEDOUT: this wait does not count; -EINVAL fields out of range.
 */
NART_API NART_MUST_USE nart_res nart_backoff_wait(nart_cx *cx, nart_backoff *b);

/** Nanoseconds that the next wait lasts, before jitter and deadline; 0 when a field is out of range. */
NART_API int64_t nart_backoff_delay(const nart_backoff *b);

/** For use after a success: the next wait lasts `initial` again, and no wait is counted. The deadline
 *  stays. */
NART_API void nart_backoff_reset(nart_backoff *b);

#ifdef __cplusplus
}
#endif

#include "detail/time.h"

#endif
