/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the C programs of the benchmark share: the command line, the line printed for each figure,
 * and the clock. A program is called with `row=count` arguments and prints one JSON object on a
 * line for each figure; with `--list` it names its rows. The driver gives every program the same
 * counts. */
#ifndef NART_BENCH_H
#define NART_BENCH_H

#include <stddef.h>
#include <stdint.h>

struct bench_row {
    const char *name, *unit, *peer;
    double (*task)(uint64_t n); /* the work inside a spawned task, or on no runtime at all */
    double (*root)(uint64_t n); /* in the runtime's root; NULL: the row has no such form */
};

/* Runs the rows named in argv. Returns what main returns. */
int bench_main(int argc, char **argv, const struct bench_row *rows, size_t count);

/* One figure. A program prints more than its rows say where one measurement gives two. */
void bench_print(const char *row, const char *peer, double value, const char *unit);

int64_t bench_now(void);         /* CLOCK_MONOTONIC, ns */
int64_t bench_thread_time(void); /* processor time of this thread, ns */
uint64_t bench_resident_bytes(void);
void bench_pin_to(int n); /* the calling thread, to the nth processor of the program's */

_Noreturn void bench_fail(const char *what); /* with errno's text */

/* The compiler must have made the value, and may assume nothing about memory after it. */
#define BENCH_KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

#endif
