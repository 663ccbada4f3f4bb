/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* histogram.h: a histogram of latencies, to about 3 %: 32 buckets for each power of two. */
#ifndef FEEDGATE_HISTOGRAM_H
#define FEEDGATE_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HISTOGRAM_BUCKETS = 60 * 32 };

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    int64_t max;
};

/* The bucket of a value; negative ones (clocks of two processes) count as 0. */
static inline unsigned histogram_bucket(int64_t ns)
{
    uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    if (v < 32)
        return (unsigned)v;
    unsigned power = 63u - (unsigned)__builtin_clzll(v); /* 5 and more */
    return (power - 4) * 32 + (unsigned)(v >> (power - 5)) % 32;
}

static inline void histogram_add(struct histogram *h, int64_t ns)
{
    h->buckets[histogram_bucket(ns)]++;
    h->count++;
    if (ns > h->max)
        h->max = ns;
}

/* The value that the given part (0 .. 1) of all do not exceed, as the upper end of its bucket. */
int64_t histogram_at(const struct histogram *h, double part);

/* A line with a bar for each power of two in use. */
void histogram_print(const struct histogram *h, FILE *out);

#endif
