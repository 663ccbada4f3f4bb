/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* histogram.c: percentiles and the printed form of a histogram. */
#include "histogram.h"

#include <inttypes.h>

/* The largest value of a bucket. */
static int64_t upper_end(unsigned bucket)
{
    if (bucket < 32)
        return bucket;
    unsigned power = bucket / 32 + 4;
    return (int64_t)((UINT64_C(32) + bucket % 32 + 1) << (power - 5)) - 1;
}

int64_t histogram_at(const struct histogram *h, double part)
{
    uint64_t rank = (uint64_t)((double)h->count * part), seen = 0;

    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += h->buckets[b];
        if (seen > rank || (seen == h->count && seen > 0))
            return upper_end(b) < h->max ? upper_end(b) : h->max;
    }
    return 0;
}

void histogram_print(const struct histogram *h, FILE *out)
{
    uint64_t rows[60] = { 0 }, most = 1;

    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++)
        rows[b / 32] += h->buckets[b];
    for (int i = 0; i < 60; i++)
        most = rows[i] > most ? rows[i] : most;
    for (unsigned i = 0; i < 60; i++) {
        if (!rows[i])
            continue;
        int bar = (int)(rows[i] * 50 / most);
        fprintf(out, "  <= %10.1f us %10" PRIu64 "  %.*s\n", (double)upper_end(i * 32 + 31) / 1e3,
                rows[i], bar ? bar : 1, "##################################################");
    }
}
