/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/observe.h
 * How long polls take: percentiles, a histogram, a report of each that takes too long, and a watchdog
 * for one that never ends. Off at first, when it costs nothing; while it is on, a poll costs two clock
 * reads.
 *
 * A poll is measured by the clock of its runtime (nart/clock.h), from before its task runs until what
 * it caused is done: its frame's drop, if it has ended.
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

#include "atomic.h"
#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What one runtime tells other threads of its running poll. In the caller's storage: zeroed before,
 *  and there until it is observed no more and no thread looks at it. For one runtime at a time. */
typedef struct nart_watchdog {
    NART__ATOMIC(int64_t) since;     /* when the running poll began; 0: none runs */
    NART__ATOMIC(const char *) name; /* of its task's type */
    uint64_t reserved[6];
} nart_watchdog;

/** Options of nart_rt_observe(); zero means off. */
typedef struct nart_observe_opts {
    size_t size;     /**< sizeof(nart_observe_opts) */
    int64_t slow_ns; /**< a poll that took longer is reported at its end, with the name of its
                              *   task and the line where that waits now: see nart_rt_opts.report */
    nart_watchdog *watchdog; /**< is notified of each poll; or NULL */
} nart_observe_opts;

#define NART_OBSERVE_OPTS_INIT NART__SIZED(nart_observe_opts)

/**
 * Measures polls from the loop's next tick on, and counts wakes (nart_rt_stats). `opts` may be NULL. When it
 * does so already, only the options change. Ends with the runtime, or nart_rt_observe_stop().
 * @return 0; -EINVAL; -ENOMEM: nothing has changed; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Thread**: the runtime's own, inside or outside of its polls.
 * **Cost**: 8 kB in one allocation, and a small one unless the runtime is traced.
 */
NART_API NART_MUST_USE nart_res nart_rt_observe(nart_rt *rt, const nart_observe_opts *opts);

/** Measures no more; the percentiles are gone. @return 0, also when it was off;
 *  -EINVAL, NART_EWRONGTHREAD, NART_EFORK. */
NART_API nart_res nart_rt_observe_stop(nart_rt *rt);

/**
 * The time, in nanoseconds, within which so many per cent of all polls have ended since measuring
 * began: at most 6.25 % too long, never too short. 50 is the median, 100 the longest.
 * @return that time; 0 before the first poll; -EINVAL not within 0 .. 100; -EPERM not observed;
 *   NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API nart_res nart_rt_poll_percentile(const nart_rt *rt, double percent);

/**
 * How many polls have ended within `ns` nanoseconds since measuring began: a histogram, by asking for one
 * bound after another. Polls that took up to 6.25 % longer may be among them; a bound of a power of two,
 * less one, is exact.
 * @return how many; -EPERM not observed; -EINVAL without a runtime; NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API nart_res nart_rt_polls_within(const nart_rt *rt, int64_t ns);

/**
 * For how long the poll that runs now has been running, by CLOCK_MONOTONIC: a monitoring thread asks
 * again and again, and knows by it of a poll that does not end.
 * @param name the name of its task's type; may be NULL. NULL is stored when the poll has just ended.
 * @return nanoseconds, at least 1; 0: none runs; -EINVAL no watchdog.
 * **Thread**: any; the runtime's thread is not disturbed.
 */
NART_API nart_res nart_watchdog_look(const nart_watchdog *w, const char **name);

#ifdef __cplusplus
}
#endif
#endif
