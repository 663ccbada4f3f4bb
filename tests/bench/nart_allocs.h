/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The program whose malloc counts, and its rows. */
#ifndef NART_BENCH_ALLOCS_H
#define NART_BENCH_ALLOCS_H

#include <stdint.h>

/* Allocations of the calling thread until now. */
uint64_t allocs_of_thread(void);

double http_hot(uint64_t n); /* if NART_HTTP */

#endif
