/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * virtual.h: a clock that moves only when the test says so, so that every time in a test is exact.
 * virtual.c stands in for clock_gettime() in the whole program; the loop is driven as a host does,
 * with nart_rt_poll(rt, 0) and nart_rt_next_deadline(), so it never sleeps.
 */
#ifndef NART_TEST_VIRTUAL_H
#define NART_TEST_VIRTUAL_H

#include <nart/rt.h>
#include <nart/task.h>

/* CLOCK_MONOTONIC in nanoseconds. */
extern int64_t virtual_now;

/* How often it was read. */
extern unsigned long virtual_reads;

/* The time `ms` milliseconds after the beginning of the test. */
int64_t at_ms(int64_t ms);

/* Milliseconds since the beginning of the test. */
int64_t elapsed_ms(void);

/* One tick; when it had nothing to poll, on to the next deadline. False: there is none. */
bool step(nart_rt *rt);

/* Until nothing is ready and nothing ever due. */
void run_all(nart_rt *rt);

/* The same, and then the task of `join` has ended, and the runtime is freed. */
void run_to_the_end(nart_rt *rt, nart_join *join);

/* Until the clock stands at `at`, and what is due then is done. */
void run_until(nart_rt *rt, int64_t at);

#endif
