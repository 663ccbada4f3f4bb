/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows of nart alone, without the bridge. */
#include "nart_rows.h"

static double on_runtime(double (*row)(nart_rt *, bench_how, uint64_t), const nart_rt_opts *opts,
                         bench_how how, uint64_t n)
{
    nart_rt *rt = bench_runtime(opts);
    double value = row(rt, how, n);

    bench_must(nart_rt_free(rt), "nart_rt_free");
    return value;
}

/* The options of their runtimes. */
static const nart_rt_opts parks = NART_RT_OPTS_INIT;
static const nart_rt_opts spins = { .size = sizeof(nart_rt_opts), .flags = NART_RT_SPINNING };

/* Rows that have both forms. */
#define BOTH_FORMS(X)                                                                              \
    X(self_wake_1, parks)                                                                          \
    X(self_wake_1000, parks)                                                                       \
    X(await_ready, parks)                                                                          \
    X(spawn_join, parks)                                                                           \
    X(spawn_join_1000, parks)                                                                      \
    X(local_pair, parks)                                                                           \
    X(local_stream, parks)                                                                         \
    X(local_pingpong, parks)                                                                       \
    X(deadline_pingpong, parks)                                                                    \
    X(spsc_pair, spins)                                                                            \
    X(spsc_pair_park, parks)                                                                       \
    X(mpsc_pair, parks)                                                                            \
    X(spsc_bytes_64, parks)                                                                        \
    X(spsc_bytes_64_spin, spins)                                                                   \
    X(mpsc_bytes_64, parks)                                                                        \
    X(timer_cancel, parks)                                                                         \
    X(timer_cancel_rel, parks)                                                                     \
    X(tcp_echo, parks)                                                                             \
    X(udp_echo, parks)                                                                             \
    X(udp_batch, parks)                                                                            \
    X(world_1, parks)                                                                              \
    X(world_4, parks)

/* Rows with tasks only: other threads, events that are measured one by one, or fibers. */
#define TASK_FORM(X)                                                                               \
    X(spsc_stream, parks)                                                                          \
    X(spsc_stream_spin, spins)                                                                     \
    X(mpsc_stream, parks)                                                                          \
    X(cancel_check, parks)                                                                         \
    X(cancel_100, parks)                                                                           \
    X(cancel_1000, parks)                                                                          \
    X(tcp_echo_64, parks)                                                                          \
    X(tcp_echo_1000, parks)                                                                        \
    X(connect_addr, parks)                                                                         \
    X(connect_name, parks)                                                                         \
    X(fiber_yield, parks)                                                                          \
    X(fiber_spawn_join, parks)                                                                     \
    X(fiber_pingpong, parks)                                                                       \
    X(file_read_1, parks)                                                                          \
    X(file_read_1_cpu, parks)                                                                      \
    X(file_read_64, parks)

#define AS_TASK(row, opts)                                                                         \
    static double row##_task(uint64_t n)                                                           \
    {                                                                                              \
        return on_runtime(row, &opts, bench_as_task, n);                                           \
    }

#define AS_ROOT(row, opts)                                                                         \
    static double row##_root(uint64_t n)                                                           \
    {                                                                                              \
        return on_runtime(row, &opts, bench_as_root, n);                                           \
    }
BOTH_FORMS(AS_TASK)
BOTH_FORMS(AS_ROOT)
TASK_FORM(AS_TASK)

#define BOTH(row, opts) { #row, "ns", "nart", row##_task, row##_root },
#define TASK(row, opts) { #row, "ns", "nart", row##_task, NULL },

/* clang-format off: a list of entries, most of them from the lists above */
static const struct bench_row rows[] = {
    BOTH_FORMS(BOTH) TASK_FORM(TASK){ "loop_1m_timers", "x", "nart", loop_1m_timers, NULL },
    { "longest_iteration_us", "us", "nart", longest_iteration_us, NULL },
    { "task_bytes", "B", "nart", task_bytes, NULL },
    { "fiber_switch", "ns", "nart", fiber_switch, NULL },
    { "fiber_memory", "B", "nart", fiber_memory, NULL },
};
/* clang-format on */

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
