/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* virtual.h: a clock that advances only on request, so that every time in a test is exact.
 * virtual.c replaces clock_gettime() in the whole program; the loop is driven as by a host, with
 * nart_rt_poll(rt, 0) and nart_rt_next_deadline(), so it never sleeps. */
#ifndef NART_TEST_VIRTUAL_H
#define NART_TEST_VIRTUAL_H

#include <nart/rt.h>
#include <nart/task.h>

/* CLOCK_MONOTONIC in nanoseconds. */
extern int64_t virtual_now;

/* Number of reads of the clock. */
extern unsigned long virtual_reads;

/* The time `ms` milliseconds after the start of the test. */
int64_t at_ms(int64_t ms);

/* Milliseconds since the start of the test. */
int64_t elapsed_ms(void);

/* The test starts now: for a case that repeats itself, as the clock never goes back. */
void virtual_restart(void);

/* Runs one tick; if it polled nothing, advances to the next deadline. Returns false if there is
 * none. */
bool step(nart_rt *rt);

/* Runs until nothing is ready and no timer is set. */
void run_all(nart_rt *rt);

/* The same; then checks that the task of `join` has ended, and releases it. */
void run_to_the_end(nart_rt *rt, nart_join *join);

/* Runs until the clock is at `at` and all work due then is done. */
void run_until(nart_rt *rt, int64_t at);

#endif
