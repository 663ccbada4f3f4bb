/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sleep.c: sleeping. Each poll states the deadline again, so there is nothing to withdraw. */
#include "sleep.h"

/* Identifies the body, and the number of races that it has decided. The address is hashed: bodies that lie
 * side by side differ in few bits of it, and counts differ in the same ones. */
static uint32_t decided(const nart_cx *cx)
{
    const nart_co *co = cx->co;
    uint64_t hash = (uint64_t)(uintptr_t)co * UINT64_C(0x9E3779B97F4A7C15);

    return co ? (co->decided & ~NART__CO_LOW) ^ (uint32_t)(hash >> 32) : 0;
}

/* Has it begun, outside of any race that the body has decided since? */
static bool continues(const nart_cx *cx, const nart_timer *t)
{
    return t->busy && t->decided == decided(cx);
}

nart_res nart__timer_wait(nart_cx *cx, nart_timer *t)
{
    nart_res r = nart__enter(cx, NULL);
    if (r == 0)
        r = t->at <= cx->now ? 0 : nart_op_park_until(cx, t->at);
    if (r != NART_PENDING)
        t->busy = 0;
    else if (NART_UNLIKELY(t->at == NART_NEVER))
        cx->self->state |= NART__T_ASLEEP; /* it has no deadline that shows it */
    return r;
}

nart_res nart__timer_refuse(nart_cx *cx, nart_res r)
{
    nart_res halted = nart__enter(cx, NULL);
    return halted ? halted : r;
}

void nart__timer_begin(nart_cx *cx, nart_timer *t, int64_t at)
{
    t->busy = 1;
    t->at = at;
    t->decided = decided(cx);
}

static int64_t from_now(nart_cx *cx, int64_t ns)
{
    return ns > 0 ? nart_time_add(nart__now_read(cx), ns) : INT64_MIN;
}

nart_res nart_sleep_until(nart_cx *cx, nart_timer *t, int64_t at)
{
    if (!continues(cx, t))
        nart__timer_begin(cx, t, at);
    return nart__timer_wait(cx, t);
}

nart_res nart_sleep(nart_cx *cx, nart_timer *t, int64_t ns)
{
    if (!continues(cx, t))
        nart__timer_begin(cx, t, from_now(cx, ns));
    return nart__timer_wait(cx, t);
}

nart_res nart_sleep_resume(nart_cx *cx, nart_timer *t, int64_t ns)
{
    if (!t->busy)
        nart__timer_begin(cx, t, from_now(cx, ns));
    return nart__timer_wait(cx, t);
}
