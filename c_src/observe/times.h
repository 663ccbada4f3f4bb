/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* times.h: how often something took how long, in fixed memory. See times.c. */
#ifndef NART_OBSERVE_TIMES_H
#define NART_OBSERVE_TIMES_H

#include <stdint.h>

#define NART__TIMES_BITS 4u /* a power of two is divided into 2^4 buckets */
#define NART__TIMES_BUCKETS ((64u - NART__TIMES_BITS) << NART__TIMES_BITS)

typedef struct nart__times {
    uint64_t count;
    uint64_t bucket[NART__TIMES_BUCKETS];
    int64_t longest;
} nart__times;

/* `ns` is not negative. */
void nart__times_add(nart__times *t, int64_t ns);

/* The least bound of a bucket within which so many per cent lie. 0 when there is none. */
int64_t nart__times_percentile(const nart__times *t, double percent);

/* How many took at most so long; those in the same bucket count, too. */
uint64_t nart__times_within(const nart__times *t, int64_t ns);

#endif
