/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.c: the clock of a runtime, which can be stopped and moved by hand.
 *
 * Invariants
 *  - Time never goes backward: a stopped clock keeps its time, and continues from where it was moved to.
 *  - An auto-advancing clock never passes a deadline, and does not move while anything but a deadline can
 *    make a task ready.
 *
 * The algorithm
 *  1. Every reading of the clock is nart__rt_now(): the system's clock plus a skew, or, when stopped, a
 *     stored time. A loop whose clock is stopped gets no timeout from its timers.
 *  2. With auto-advance, a loop that finds no task ready moves the clock to the earliest deadline of a task
 *     or alarm of a watch.
 *     It does not, while something else can make one ready: a wake that has arrived, a descriptor that the
 *     kernel watches, a spinning receiver, a task that waits for something outside of the runtime.
 *  3. A task waits for something outside when an operation of its last poll ended by nart_op_park()
 *     or nart__pending_outside(), or when that poll left neither a wait nor a sleep.
 *
 * Bounds: a jump visits every slot that was ever used: as many as there were tasks at one time. */
#include "runtime.h"

#include <nart/clock.h>

/* Half of the range of time, so that the clock can continue from there for as long again. */
#define LAST (NART_NEVER / 2)

static bool waits_outside(const nart__task *t)
{
    return t->state & NART__T_OUT || (!t->waits && !(t->state & (NART__T_TIMED | NART__T_ASLEEP)));
}

/* The next deadline, if no task is ready and only a deadline can make one ready; else NART_NEVER. The wheel
 * may contain timers whose tasks no longer wait for them, so the tasks themselves are examined. */
static int64_t next_alone(const nart_rt *rt)
{
    bool held =
        rt->reactor.used > 0 || rt->tick_hooks.next != &rt->tick_hooks || nart__hub_maybe(rt->hub);
    int64_t next = nart__alarms_first(rt);
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
    int64_t next = nart__rt_next_timer(rt);

    if (next == NART_NEVER)
        return NART_NEVER;
    if (rt->clock.mode == NART__CLOCK_RUNS)
        return next - rt->clock.skew;
    if (next <= rt->clock.at)
        return 0;
    return rt->clock.mode == NART__CLOCK_AUTO && next_alone(rt) != NART_NEVER ? 0 : NART_NEVER;
}

/* 0, or the error of a call that is not allowed now. */
static nart_res check_paused(const nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    return rt->clock.mode == NART__CLOCK_RUNS || rt->first ? -EPERM : 0;
}

nart_res nart_rt_clock_pause(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    if (rt->first) /* of a group: the driver's clock */
        return NART_EDRIVER;
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
    rt->cx.flags &= ~(uint32_t)NART__CX_FRESH; /* for the poll that makes this call */
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
    return rt->first ? rt->cx.drv->now(rt->cx.host) : nart__rt_now(rt);
}
