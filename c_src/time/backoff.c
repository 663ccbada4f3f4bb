/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* backoff.c: waits that grow from one retry to the next.
 *
 * The length of a wait is fixed when it begins. It counts only on completion: a wait that was cancelled is
 * repeated, one that lost a race continues. Jitter is SplitMix64 (Steele, Lea, Flood: Fast Splittable
 * Pseudorandom Number Generators, 2014), seeded with the clock and an address: two backoffs of one process
 * differ by the address, those of two processes by both. */
#include "sleep.h"

static bool is_valid(const nart_backoff *b)
{
    return b->initial >= 0 && b->max >= b->initial && b->jitter <= 100;
}

int64_t nart_backoff_delay(const nart_backoff *b)
{
    if (!is_valid(b))
        return 0;
    /* From 63 doublings on, and earlier if the shift would overflow, it is the maximum. */
    bool fits = b->doubled < 63 && b->initial <= b->max >> b->doubled;
    return fits ? b->initial << b->doubled : b->max;
}

void nart_backoff_reset(nart_backoff *b)
{
    b->waited = 0;
    b->doubled = 0;
    nart_timer_cancel(&b->timer);
}

static uint64_t draw(nart_cx *cx, nart_backoff *b)
{
    if (b->random == 0)
        b->random = (uint64_t)nart_now(cx) * UINT64_C(0xff51afd7ed558ccd) ^ (uint64_t)(uintptr_t)b;
    uint64_t z = b->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Between (100 - jitter) and (100 + jitter) per cent of the delay. */
static int64_t with_jitter(nart_cx *cx, nart_backoff *b, int64_t delay)
{
    if (b->jitter == 0)
        return delay;
    int64_t most = delay / 100 * b->jitter + delay % 100 * b->jitter / 100;
    int64_t by = (int64_t)(draw(cx, b) % ((uint64_t)most + 1));
    return draw(cx, b) >> 63 ? nart_time_add(delay, by) : delay - by;
}

nart_res nart_backoff_wait(nart_cx *cx, nart_backoff *b)
{
    if (!is_valid(b))
        return nart__timer_refuse(cx, -EINVAL);
    if (!b->timer.busy) {
        int64_t now = nart__now_read(cx);
        bool had_all = b->retries != UINT32_MAX && b->waited >= b->retries;
        if (had_all || now >= b->deadline)
            return nart__timer_refuse(cx, NART_EEXHAUSTED);
        int64_t end = nart_time_add(now, with_jitter(cx, b, nart_backoff_delay(b)));
        nart__timer_begin(cx, &b->timer, end < b->deadline ? end : b->deadline);
    }
    nart_res r = nart__timer_wait(cx, &b->timer);
    if (r)
        return r;
    b->waited += b->waited < UINT32_MAX;
    b->doubled += b->doubled < 63;
    return 0;
}
