/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.c: the clock of a runtime, which can be stopped and moved by hand.
 *
 * What it keeps true
 *  - Time never goes backward: a clock that is stopped stands where it was, and goes on from where it
 *    was moved to.
 *  - A clock that advances by itself never passes a deadline, and does not move while something that
 *    is no deadline can happen.
 *
 * The algorithm
 *  1. Every look at the clock is nart__rt_now(): the system's clock plus a skew, or, stopped, a time
 *     that is stored. A loop whose clock is stopped has no timeout from its timers.
 *  2. With auto-advance the loop, when it finds nothing ready, moves the clock to the earliest
 *     deadline of a task. What can happen otherwise is: a wake that has come in, a descriptor that the
 *     kernel watches, a spinning receiver, a task that waits for something outside of the runtime.
 *  3. A task waits for something outside when an operation of its last poll ended by nart_op_park()
 *     or nart__pending_outside(), or when that poll left neither a wait nor a deadline.
 *
 * Bounds: a jump looks at every slot that was ever used, as many as there were tasks at one time. */
#include "runtime.h"

#include <nart/clock.h>

/* Half of all time, so that the clock can run on from there for as long again. */
#define LAST (NART_NEVER / 2)

static bool waits_outside(const nart__task *t)
{
    return t->state & NART__T_OUT || (!t->waits && !(t->state & NART__T_TIMED));
}

/* The next deadline, when nothing but that can happen and nothing is ready; else NART_NEVER. A timer of
 * the wheel may be one that nobody waits for any more, so the tasks are asked. */
static int64_t next_alone(const nart_rt *rt)
{
    bool held =
        rt->reactor.used > 0 || rt->tick_hooks.next != &rt->tick_hooks || nart__hub_maybe(rt->hub);
    int64_t next = NART_NEVER;
    uint32_t slot = 0;

    for (const nart__task *t; !held && (t = nart__rt_next(rt, &slot));) {
        if (t->state & NART__T_DONE)
            continue;
        held = waits_outside(t);
        if (t->wake_at < next)
            next = t->wake_at;
    }
    return held || next > LAST ? NART_NEVER : next;
}

bool nart__clock_jump(nart_rt *rt)
{
    int64_t next = next_alone(rt);

    if (next == NART_NEVER)
        return false;
    if (next > rt->clock.at)
        rt->clock.at = next;
    return true;
}

int64_t nart__clock_next(const nart_rt *rt)
{
    int64_t next = nart__wheel_next(&rt->wheel);

    if (next == NART_NEVER)
        return NART_NEVER;
    if (rt->clock.mode == NART__CLOCK_RUNS)
        return next - rt->clock.skew;
    if (next <= rt->clock.at)
        return 0;
    return rt->clock.mode == NART__CLOCK_AUTO && next_alone(rt) != NART_NEVER ? 0 : NART_NEVER;
}

/* 0, or why this call cannot be had now. */
static nart_res check_paused(const nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    return rt->clock.mode == NART__CLOCK_RUNS ? -EPERM : 0;
}

nart_res nart_rt_clock_pause(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    rt->clock.at = nart__rt_now(rt);
    rt->clock.mode = NART__CLOCK_PAUSED;
    return 0;
}

nart_res nart_rt_clock_advance(nart_rt *rt, int64_t ns)
{
    nart_res r = check_paused(rt);
    if (r)
        return r;
    if (ns < 0)
        return -EINVAL;
    rt->clock.at = ns < LAST - rt->clock.at ? rt->clock.at + ns : LAST;
    rt->cx.flags &= ~(uint32_t)NART__CX_FRESH; /* for the poll that does this */
    return 0;
}

nart_res nart_rt_clock_auto(nart_rt *rt)
{
    nart_res r = check_paused(rt);
    if (r == 0)
        rt->clock.mode = NART__CLOCK_AUTO;
    return r;
}

nart_res nart_rt_clock_resume(nart_rt *rt)
{
    nart_res r = check_paused(rt);
    if (r)
        return r;
    rt->clock.mode = NART__CLOCK_RUNS;
    rt->clock.skew = rt->clock.at - nart__sys_now();
    return 0;
}

int64_t nart_rt_now(const nart_rt *rt)
{
    return nart__rt_now(rt);
}
