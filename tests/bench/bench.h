/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the C programs of the benchmark: the command line, the line printed for each figure,
 * and the clock. A program takes `row=count` arguments and prints one JSON object per line for
 * each figure; `--list` prints its rows. The driver gives every program the same counts. */
#ifndef NART_BENCH_H
#define NART_BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_row {
    const char *name, *unit, *peer;
    double (*task)(uint64_t n); /* the work in a spawned task, or without a runtime */
    double (*root)(uint64_t n); /* in the runtime's root task; NULL: the row has no such form */
};

/* Runs the rows named in argv. Returns main's exit status. */
int bench_main(int argc, char **argv, const struct bench_row *rows, size_t count);

/* Prints one figure. A measurement that gives two prints more figures than its row's. */
void bench_print(const char *row, const char *peer, double value, const char *unit);

int64_t bench_now(void);         /* CLOCK_MONOTONIC, ns */
int64_t bench_thread_time(void); /* processor time of this thread, ns */
uint64_t bench_resident_bytes(void);
/* A descriptor of an unnamed file of BENCH_FILE bytes, the same file each time, in the page cache. */
enum { BENCH_PIECE = 4096, BENCH_FILE = 1 << 20 };
int bench_open_file(void);
void bench_pin_to(int n); /* pins the calling thread to the program's nth processor */

#ifdef __cplusplus
[[noreturn]] void bench_fail(const char *what); /* with errno's text */
}
#else
_Noreturn void bench_fail(const char *what); /* with errno's text */
#endif

/* Forces the compiler to compute the value, and is a compiler barrier for memory. */
#define BENCH_KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

#endif
