/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/observe.h
 * How long polls take: percentiles, a histogram, a report of each poll that takes too long, and a watchdog
 * for polls that do not end. It is off at first and then costs nothing; while it is on, a poll costs two
 * clock reads.
 *
 * A poll is measured by the clock of its runtime (nart/clock.h), from the call of the poll function until
 * the loop has handled its result, the drop of the frame included.
 *
 *     nart_observe_opts opts = NART_OBSERVE_OPTS_INIT;
 *     opts.slow_ns = 2 * NART_MS;                        // longer polls are reported
 *     nart_res r = nart_rt_observe(rt, &opts);
 *     if (r == 0)
 *         r = nart_rt_run(rt);
 *     if (r == 0)
 *         printf("99 %% of the polls took at most %d ns\n", (int)nart_rt_poll_percentile(rt, 99));
 */
#ifndef NART_OBSERVE_H
#define NART_OBSERVE_H

#include "detail/atomic.h"
#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Shows the running poll of one runtime to other threads. In the caller's storage: zero it first; keep it
 *  alive until observation stops and no thread reads it. One runtime at a time. */
typedef struct nart_watchdog {
    /* private */
    NART__ALIGNAS(8)
    NART__ATOMIC(int64_t) since;
    NART__ATOMIC(const char *) name;
    uint64_t reserved[6];
} nart_watchdog;

/** Options of nart_rt_observe(); zero means off. */
typedef struct nart_observe_opts {
    size_t size;     /**< sizeof(nart_observe_opts) */
    int64_t slow_ns; /**< longer polls are reported when they end, with the task's name and the
                              *   line at which it waits now: see nart_rt_opts.report */
    nart_watchdog *watchdog; /**< updated at each poll; or NULL */
} nart_observe_opts;

#define NART_OBSERVE_OPTS_INIT NART__SIZED(nart_observe_opts)

/**
 * Measures polls from the loop's next tick on, and counts wakes (nart_rt_stats), until
 * nart_rt_observe_stop() or nart_rt_free(). `opts` may be NULL. A second call changes the options only.
 * @return 0; -EINVAL; -ENOMEM: nothing has changed; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Thread**: the runtime's own, inside or outside of its polls.
 * **Cost**: 8 kB in one allocation, and a small one unless the runtime is traced.
 */
NART_API NART_MUST_USE nart_res nart_rt_observe(nart_rt *rt, const nart_observe_opts *opts);

/** Stops measuring and discards the figures. @return 0, also if it was off; -EINVAL, NART_EWRONGTHREAD,
 *  NART_EFORK. */
NART_API nart_res nart_rt_observe_stop(nart_rt *rt);

/**
 * A percentile of the durations of all polls since measuring began, in nanoseconds: 50 is the median, 100
 * the maximum. It is up to 6.25 % too high, never too low.
 * @return the duration; 0 before the first poll; -EINVAL not within 0 .. 100; -EPERM not observed;
 *   NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API nart_res nart_rt_poll_percentile(const nart_rt *rt, double percent);

/**
 * The number of polls that took at most `ns` nanoseconds since measuring began. Calls with ascending bounds
 * make a histogram. Polls that took up to 6.25 % longer may be included; 2^n - 1 is exact.
 * @return the number; -EPERM not observed; -EINVAL without a runtime; NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API nart_res nart_rt_polls_within(const nart_rt *rt, int64_t ns);

/**
 * How long the present poll has been running, by CLOCK_MONOTONIC. A monitoring thread calls this
 * periodically to find a poll that does not end.
 * @param name receives the name of the task's type, or NULL if the poll has just ended; may be NULL.
 * @return nanoseconds, at least 1; 0: no poll is running; -EINVAL no watchdog.
 * **Thread**: any. It costs the runtime's thread nothing.
 */
NART_API nart_res nart_watchdog_look(const nart_watchdog *w, const char **name);

#ifdef __cplusplus
}
#endif
#endif
