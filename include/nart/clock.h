/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/clock.h
 * Control of a runtime's clock, for tests and simulations: pause it, advance it by hand, or let it advance
 * by itself, so that a day of timeouts passes in no time and every time is exact.
 *
 *     nart_rt_clock_pause(rt);
 *     nart_rt_clock_auto(rt);
 *     r = nart_rt_run(rt);       // sleeps take no time, and end at their time to the nanosecond
 *
 * nart_now(), sleeps, deadlines, intervals and backoff follow this clock. Other runtimes, tokio, the tries of a
 * resolver (nart/resolve.h), and the time arguments of nart_rt_poll(), nart_rt_quiesce() and
 * nart_rt_shutdown_within() do not: they use real time.
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

/** Pauses the clock, also one that advances by itself. A loop in which no task is ready then waits for
 *  descriptors and wakes only. @return 0; NART_EDRIVER a runtime of tokio's, whose clock is the system's. */
NART_API nart_res nart_rt_clock_pause(nart_rt *rt);

/**
 * Advances a paused clock by `ns` nanoseconds. What falls due becomes ready in the next tick, in the order of
 * deadlines, and sees the new time. The clock saturates 146 years after boot.
 * @return 0; -EINVAL `ns` is negative; -EPERM the clock is not paused.
 */
NART_API nart_res nart_rt_clock_advance(nart_rt *rt, int64_t ns);

/**
 * Lets a paused clock advance by itself: it jumps to the next deadline when there is nothing else to wait for.
 * That is: no task is ready; no descriptor is registered with the kernel; no spinning receiver is open; and no
 * task waits for something outside of the runtime, which is a tokio operation, the other end of a cross-thread
 * channel, a oneshot or anything else that another thread may send, or an operation that parked by
 * nart_op_park(). Otherwise the clock stands still and the loop waits. Tasks that await a token or the
 * shutdown do not hold the clock, though another thread may cancel the token or request the shutdown.
 * @return 0; -EPERM the clock is not paused. **Cost**: a jump reads every slot that was ever used, and so does
 *   nart_rt_next_deadline().
 */
NART_API nart_res nart_rt_clock_auto(nart_rt *rt);

/** Resumes a paused clock from its present time. @return 0; -EPERM it is not paused. */
NART_API nart_res nart_rt_clock_resume(nart_rt *rt);

/** The time of the runtime's clock, also outside of polls. **Cost**: a clock read. */
NART_API int64_t nart_rt_now(const nart_rt *rt);

#ifdef __cplusplus
}
#endif
#endif
