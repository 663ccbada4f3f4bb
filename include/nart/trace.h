/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/trace.h
 * A trace of what a runtime did, for the viewers of Chrome (about:tracing) and Perfetto
 * (ui.perfetto.dev): a track per task with a slice for each poll, marks where tasks begin and end,
 * and arrows from what woke a task to the poll that followed.
 *
 *     nart_res r = nart_trace_start(rt, 100000);
 *     if (r == 0)
 *         r = nart_rt_run(rt);
 *     FILE *out = fopen("trace.json", "w");
 *     nart_trace_stop(rt, out);  // NULL: it ends all the same
 *     if (out)
 *         fclose(out);
 *
 * An arrow begins in the poll of the task that woke or spawned, or on one of four tracks: `inbox` (a
 * waker, from any thread), `timers`, `events` (descriptors, and rings that the loop looks at),
 * `program` (calls from outside of polls). Times are those of the runtime's clock, from the start of
 * the trace.
 *
 * The memory for events is fixed: when it is full, each event replaces the oldest one. Names are not
 * copied, so task types must live until the trace ends.
 *
 * **Thread**: the runtime's own, inside or outside of its polls; NART_EWRONGTHREAD on others,
 * NART_EFORK in a forked child, -EINVAL without a runtime.
 */
#ifndef NART_TRACE_H
#define NART_TRACE_H

#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Traces from the loop's next tick on, until nart_trace_stop() or the runtime's end.
 * @param events kept; a poll is two of them, a wake is one, a spawn two.
 * @return 0; -EINVAL none; -EALREADY it does; -ENOMEM.
 * **Cost**: one allocation of 40 bytes per event, one of 24 bytes per slot of the runtime, and a
 *   small one unless the runtime is observed. The second one is replaced by a larger one when a task has
 *   a slot that was mapped later; without memory for that, such tasks may share a track.
 *   Each poll costs two clock reads, each wake one.
 */
NART_API NART_MUST_USE nart_res nart_trace_start(nart_rt *rt, uint32_t events);

/** Writes what there is as JSON; the trace goes on.
 *  @return how many events have been lost for want of room; -EPERM there is no trace; -EIO. */
NART_API nart_res nart_trace_print(nart_rt *rt, FILE *out);

/** Writes what there is, unless `out` is NULL, and ends the trace, also if that fails.
 *  @return as nart_trace_print(). */
NART_API nart_res nart_trace_stop(nart_rt *rt, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
