/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* interval.c: ticks at equal distances.
 *
 * A tick is a sleep until `next`, which advances only when the tick is taken: an abandoned tick is
 * repeated. Times that overflow become NART_NEVER. */
#include "sleep.h"

nart_res nart_interval_init_at(nart_interval *i, int64_t first, int64_t period)
{
    if (period <= 0)
        return -EINVAL;
    *i = (nart_interval){ .missed = NART_MISSED_BURST, .next = first, .period = period };
    return 0;
}

nart_res nart_interval_init(nart_cx *cx, nart_interval *i, int64_t period)
{
    return nart_interval_init_at(i, nart_time_add(nart__now_read(cx), period), period);
}

void nart_interval_reset_at(nart_interval *i, int64_t next)
{
    i->next = next;
    nart_timer_cancel(&i->timer);
}

void nart_interval_reset(nart_cx *cx, nart_interval *i)
{
    nart_interval_reset_at(i, nart_time_add(nart__now_read(cx), i->period));
}

/* `n` periods after `at`. */
static int64_t after(int64_t at, uint64_t n, int64_t period)
{
    /* Unsigned, because the distance between two times does not fit otherwise. */
    uint64_t room = (uint64_t)NART_NEVER - (uint64_t)at;

    return n > room / (uint64_t)period ? NART_NEVER
                                       : (int64_t)((uint64_t)at + n * (uint64_t)period);
}

nart_res nart_interval_tick(nart_cx *cx, nart_interval *i)
{
    if (i->period <= 0)
        return nart__timer_refuse(cx, -EINVAL);
    nart_res r = nart_sleep_until(cx, &i->timer, i->next);
    if (r)
        return r;
    if (i->missed == NART_MISSED_BURST) {
        i->next = nart_time_add(i->next, i->period);
        return 0;
    }
    int64_t now = nart__now_read(cx); /* at or after i->next, which has passed */
    uint64_t missed = ((uint64_t)now - (uint64_t)i->next) / (uint64_t)i->period;
    i->next = i->missed == NART_MISSED_SKIP ? after(i->next, missed + 1, i->period)
                                            : nart_time_add(now, i->period);
    return missed < (uint64_t)INT64_MAX ? (nart_res)missed : INT64_MAX;
}
