/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/trace.h
 * A trace of a runtime for the viewers of Chrome (about:tracing) and Perfetto (ui.perfetto.dev): a track per
 * task with a slice for each poll, marks where tasks begin and end, and arrows from each wake to the poll
 * that follows it.
 *
 *     nart_res r = nart_trace_start(rt, 100000);
 *     if (r == 0)
 *         r = nart_rt_run(rt);
 *     FILE *out = fopen("trace.json", "w");
 *     nart_trace_stop(rt, out);  // with NULL it ends the trace and writes nothing
 *     if (out)
 *         fclose(out);
 *
 * An arrow begins in the poll of the task that woke or spawned the other, or on one of four tracks: `inbox`
 * (a waker, from any thread), `timers`, `events` (descriptors, and channels that the loop polls), `program`
 * (calls from outside of polls). Times are those of the runtime's clock, from the start of the trace.
 *
 * nart_tokio_trace_start() adds a bridge to tokio: its threads with what they run, and arrows both ways.
 *
 * The memory for events is fixed: when it is full, each event overwrites the oldest. Names are not copied:
 * keep task types alive until the trace ends.
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
 * Traces from the loop's next tick on, until nart_trace_stop() or nart_rt_free().
 * @param events the number of events that are kept; a poll is two, a wake one, a spawn two.
 * @return 0; -EINVAL `events` is 0; -EALREADY it is being traced; -ENOMEM.
 * **Cost**: one allocation of 40 bytes per event, one of 24 bytes per slot of the runtime, and a small one
 *   unless the runtime is observed. When the runtime grows, the second one is replaced by a larger one; if
 *   there is no memory for that, tasks in new slots share a track. Each poll costs two clock reads, each
 *   wake one.
 */
NART_API NART_MUST_USE nart_res nart_trace_start(nart_rt *rt, uint32_t events);

/** Writes the events as JSON; the trace continues.
 *  @return the number of events that were overwritten, those of bridges included; -EPERM there is no trace;
 *   -EIO. */
NART_API nart_res nart_trace_print(nart_rt *rt, FILE *out);

/** Writes the events, unless `out` is NULL, and ends the trace, also if writing fails.
 *  @return as nart_trace_print(); if `out` is NULL, without those of bridges. */
NART_API nart_res nart_trace_stop(nart_rt *rt, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
