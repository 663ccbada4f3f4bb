/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* histogram.c: a log-linear histogram of times.
 *
 * 1. Below 16 each value has a bucket of its own. From there on each power of two is divided into 16
 *    buckets of equal width, so the relative error is at most 1/16.
 * 2. A percentile is the upper bound of the bucket that holds the value of that rank, or the maximum if
 *    that is smaller.
 *
 * Bounds: 8 kB for any values; adding a value is O(1). */
#include "histogram.h"

#define EACH (1u << NART__TIMES_BITS)

static unsigned bucket_of(uint64_t v)
{
    if (v < EACH)
        return (unsigned)v;
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) - NART__TIMES_BITS;
    return (shift << NART__TIMES_BITS) + (unsigned)(v >> shift);
}

/* The largest value of the bucket. */
static uint64_t bound_of(unsigned bucket)
{
    if (bucket < EACH)
        return bucket;
    unsigned shift = (bucket >> NART__TIMES_BITS) - 1;
    return (((uint64_t)(bucket % EACH + EACH) + 1) << shift) - 1;
}

void nart__histogram_add(nart__histogram *t, int64_t ns)
{
    t->count++;
    t->bucket[bucket_of((uint64_t)ns)]++;
    if (ns > t->longest)
        t->longest = ns;
}

int64_t nart__histogram_percentile(const nart__histogram *t, double percent)
{
    double rank = percent / 100 * (double)t->count;
    uint64_t seen = 0;

    for (unsigned b = 0; b < NART__TIMES_BUCKETS; b++) {
        seen += t->bucket[b];
        if (seen > 0 && (double)seen >= rank)
            return bound_of(b) < (uint64_t)t->longest ? (int64_t)bound_of(b) : t->longest;
    }
    return t->longest;
}

uint64_t nart__histogram_within(const nart__histogram *t, int64_t ns)
{
    uint64_t n = 0;

    for (unsigned b = 0; ns >= 0 && b <= bucket_of((uint64_t)ns); b++)
        n += t->bucket[b];
    return n;
}
