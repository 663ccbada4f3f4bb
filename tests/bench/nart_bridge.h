/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Batches of work for tokio: starts n operations, then awaits each. */
#ifndef NART_BENCH_BRIDGE_H
#define NART_BENCH_BRIDGE_H

#include "nart_rows.h"

#include <nart/tokio.h>

/* Starts operation i of a batch. */
typedef nart_res (*batch_begin)(nart_tokio *bridge, uint64_t i, nart_tokio_op *op);

nart_res begin_future(nart_tokio *bridge, uint64_t i, nart_tokio_op *op); /* in Rust */
nart_res begin_task(nart_tokio *bridge, uint64_t i, nart_tokio_op *op);   /* in C, on tokio */
nart_res begin_blocking(nart_tokio *bridge, uint64_t i,
                        nart_tokio_op *op); /* a blocking C function */

/* A bridge with one worker and four threads for blocking functions, and memory for n concurrent
 * operations. */
nart_tokio *open_bridge(uint64_t n);
void close_bridge(nart_tokio *bridge);

/* Runs batches of n on rt, as bench_how says; returns nanoseconds per operation. */
double run_batch(nart_rt *rt, bench_how how, nart_tokio *bridge, batch_begin begin, uint64_t n);

/* Rows with a file of their own. */
double blocking_lone(uint64_t n);
double bridge_hop(uint64_t n);
double tokio_tcp_echo(uint64_t n);
double guest_spawn(uint64_t n);
double guest_pingpong(uint64_t n);
double http_get(uint64_t n); /* if NART_HTTP */

#endif
