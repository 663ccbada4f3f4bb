/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/clock.h
 * The clock of a runtime, for tests and simulations: it can be stopped, moved by hand, and left to
 * advance by itself, so that a day of timeouts passes in no time and every time is exact.
 *
 *     nart_rt_clock_pause(rt);
 *     nart_rt_clock_auto(rt);
 *     r = nart_rt_run(rt);       // sleeps take no time, and end at their time to the nanosecond
 *
 * Everything that knows time follows it: nart_now(), sleeps, deadlines, intervals, backoff. What does
 * not: other runtimes, tokio, and the times that nart_rt_poll(), nart_rt_quiesce() and
 * nart_rt_shutdown_within() are given, which stay ones of real time.
 *
 * **Thread**: the runtime's own, inside or outside of its polls. All of these but nart_rt_now() answer
 * NART_EWRONGTHREAD on others, NART_EFORK in a forked child and -EINVAL without a runtime.
 */
#ifndef NART_CLOCK_H
#define NART_CLOCK_H

#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The clock stands still; one that advances by itself does so no more. A loop in which nothing is
 *  ready waits for descriptors and wakes only. @return 0. */
NART_API nart_res nart_rt_clock_pause(nart_rt *rt);

/**
 * Moves a clock that is paused. What falls due becomes ready at the next tick, in the order of
 * deadlines, and all of it sees the new time. 146 years after the system's start time ends: it goes
 * no further.
 * @return 0; -EINVAL `ns` is negative; -EPERM the clock is not paused.
 */
NART_API nart_res nart_rt_clock_advance(nart_rt *rt, int64_t ns);

/**
 * From now on a clock that is paused jumps to the next deadline when only time is left to wait for:
 * nothing is ready, no descriptor is registered with the kernel, no spinning receiver is open, and
 * no task waits for something outside of the runtime: a tokio operation, the other end of a
 * cross-thread channel, a oneshot or anything else that another thread may send, any operation that
 * parked by nart_op_park(). Otherwise it stands still and the loop waits. Tasks that await a token or
 * the shutdown do not hold it, though another thread may cancel or ask.
 * @return 0; -EPERM the clock is not paused. **Cost**: a jump looks at every slot that
 * was ever used, and so does nart_rt_next_deadline().
 */
NART_API nart_res nart_rt_clock_auto(nart_rt *rt);

/** The clock runs again, from where it stands. @return 0; -EPERM it is not paused. */
NART_API nart_res nart_rt_clock_resume(nart_rt *rt);

/** The time of the runtime, also outside of polls. **Cost**: a clock read. */
NART_API int64_t nart_rt_now(const nart_rt *rt);

#ifdef __cplusplus
}
#endif
#endif
