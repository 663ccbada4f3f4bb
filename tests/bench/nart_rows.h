/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows of nart. A row prepares its work and passes a task type to `how`, which runs it in a
 * spawned task or as the task of nart_block_on(), and returns nanoseconds for each of n. */
#ifndef NART_BENCH_ROWS_H
#define NART_BENCH_ROWS_H

#include "bench.h"

#include <nart/co.h>
#include <nart/rt.h>

/* The first member of every measured frame: repeat something n times. */
struct work {
    nart_co co;
    uint64_t n, i;
};

/* Warms up untimed with a tenth of n, then measures n. `init` begins with a struct work. */
typedef double (*bench_how)(nart_rt *rt, const nart_task_type *type, void *init, uint64_t n);

double bench_as_task(nart_rt *rt, const nart_task_type *type, void *init, uint64_t n);
double bench_as_root(nart_rt *rt, const nart_task_type *type, void *init, uint64_t n);

/* A new runtime; exits on failure. */
nart_rt *bench_runtime(const nart_rt_opts *opts);

/* Nothing in a benchmark may fail: an error ends the program with its text. */
_Noreturn void bench_failed(nart_res r, const char *what);

static inline nart_res bench_must(nart_res r, const char *what)
{
    if (NART_UNLIKELY(r < 0))
        bench_failed(r, what);
    return r;
}

double self_wake_1(nart_rt *rt, bench_how how, uint64_t n);
double self_wake_1000(nart_rt *rt, bench_how how, uint64_t n);
double await_ready(nart_rt *rt, bench_how how, uint64_t n);
double spawn_join(nart_rt *rt, bench_how how, uint64_t n);
double spawn_join_1000(nart_rt *rt, bench_how how, uint64_t n);
double local_pair(nart_rt *rt, bench_how how, uint64_t n);
double local_stream(nart_rt *rt, bench_how how, uint64_t n);
double local_pingpong(nart_rt *rt, bench_how how, uint64_t n);
double deadline_pingpong(nart_rt *rt, bench_how how, uint64_t n);
double spsc_pair(nart_rt *rt, bench_how how, uint64_t n);
double spsc_pair_park(nart_rt *rt, bench_how how, uint64_t n);
double mpsc_pair(nart_rt *rt, bench_how how, uint64_t n);
double spsc_bytes_64(nart_rt *rt, bench_how how, uint64_t n);
double spsc_bytes_64_spin(nart_rt *rt, bench_how how, uint64_t n);
double mpsc_bytes_64(nart_rt *rt, bench_how how, uint64_t n);
double spsc_stream(nart_rt *rt, bench_how how, uint64_t n);
double spsc_stream_spin(nart_rt *rt, bench_how how, uint64_t n);
double mpsc_stream(nart_rt *rt, bench_how how, uint64_t n);
double cancel_check(nart_rt *rt, bench_how how, uint64_t n);
double cancel_100(nart_rt *rt, bench_how how, uint64_t n);
double cancel_1000(nart_rt *rt, bench_how how, uint64_t n);
double world_1(nart_rt *rt, bench_how how, uint64_t n);
double world_4(nart_rt *rt, bench_how how, uint64_t n);
double tcp_echo(nart_rt *rt, bench_how how, uint64_t n);
double tcp_echo_64(nart_rt *rt, bench_how how, uint64_t n);
double tcp_echo_1000(nart_rt *rt, bench_how how, uint64_t n);
double udp_echo(nart_rt *rt, bench_how how, uint64_t n);
double udp_batch(nart_rt *rt, bench_how how, uint64_t n);
double connect_addr(nart_rt *rt, bench_how how, uint64_t n);
double connect_name(nart_rt *rt, bench_how how, uint64_t n);
double timer_cancel(nart_rt *rt, bench_how how, uint64_t n);
double timer_cancel_rel(nart_rt *rt, bench_how how, uint64_t n);
double fiber_yield(nart_rt *rt, bench_how how, uint64_t n);
double fiber_spawn_join(nart_rt *rt, bench_how how, uint64_t n);
double fiber_pingpong(nart_rt *rt, bench_how how, uint64_t n);
double file_read_1(nart_rt *rt, bench_how how, uint64_t n);
double file_read_1_cpu(nart_rt *rt, bench_how how, uint64_t n);
double file_read_64(nart_rt *rt, bench_how how, uint64_t n);

/* Rows that create their own runtimes, or need none. */
double loop_1m_timers(uint64_t polls);
double longest_iteration_us(uint64_t seconds);
double task_bytes(uint64_t tasks);
double fiber_switch(uint64_t n);
double fiber_memory(uint64_t fibers);

#endif
