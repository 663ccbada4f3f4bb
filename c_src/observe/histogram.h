/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* histogram.h: a histogram of durations in fixed memory. See histogram.c. */
#ifndef NART_OBSERVE_HISTOGRAM_H
#define NART_OBSERVE_HISTOGRAM_H

#include <stdint.h>

#define NART__TIMES_BITS 4u /* a power of two is divided into 2^4 buckets */
#define NART__TIMES_BUCKETS ((64u - NART__TIMES_BITS) << NART__TIMES_BITS)

typedef struct nart__histogram {
    uint64_t count;
    uint64_t bucket[NART__TIMES_BUCKETS];
    int64_t longest;
} nart__histogram;

/* `ns` is not negative. */
void nart__histogram_add(nart__histogram *t, int64_t ns);

/* The upper bound of the bucket that holds this percentile; 0 if the histogram is empty. */
int64_t nart__histogram_percentile(const nart__histogram *t, double percent);

/* The number of values up to `ns`, with those in the same bucket. */
uint64_t nart__histogram_within(const nart__histogram *t, int64_t ns);

#endif
