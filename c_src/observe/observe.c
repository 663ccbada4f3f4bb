/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* observe.c: measuring polls.
 *
 * What it keeps true
 *  - A loop that is not observed executes no extra instruction: the loop polls through a function
 *    pointer of the runtime, and wakes are reported behind a test that every enqueueing makes anyway.
 *  - Observing can begin and end anywhere, also inside a poll. A poll that was not observed from its
 *    beginning is not measured.
 *
 * The algorithm
 *  1. begins() stores the task and the time, ends() does the rest. In between the task may have ended and
 *     its slot may be free: the generation shows that. Slots stay mapped until the runtime is freed.
 *  2. Memory is allocated when a part is switched on, never later.
 *
 * Not handled: polls by another driver. */
#include "observe.h"
#include "../wait/short_name.h"

#include <stdio.h>
#include <string.h>

/* ---- polls ---- */

static bool has_ended(const nart__observer_state *e)
{
    return e->task->gen != e->gen || e->task->state & NART__T_DONE;
}

/* The body that waits. NULL: there is none, or the task has ended. */
static const nart_co *waiting_body(const nart__observer_state *e)
{
    return has_ended(e) ? NULL : nart__task_body(e->task);
}

/* After a poll; `co` is the body that waits now, or NULL. */
static void report_slow(nart_rt *rt, const nart_task_type *type, uint32_t slot, const nart_co *co,
                        int64_t took)
{
    const char *name = nart__short_name(type->name);
    double ms = (double)took / 1e6;

    if (co)
        nart__rt_report(rt, "%s: a poll of task %s#%u took %.3f ms (%s:%u)", rt->name, name, slot,
                        ms, co->site->file, co->at & NART__CO_LINE);
    else
        nart__rt_report(rt, "%s: a poll of task %s#%u took %.3f ms", rt->name, name, slot, ms);
}

static void count_poll(nart__observer_state *e, int64_t took)
{
    nart_rt_stats *stats = &e->rt->stats;

    nart__histogram_add(&e->polls->times, took);
    if (took > stats->longest_ns) {
        stats->longest_ns = took;
        stats->longest = (nart_task){ e->task->slot, e->gen };
        snprintf(stats->longest_name, sizeof stats->longest_name, "%s",
                 nart__short_name(e->type->name));
    }
}

static void begins(nart__observer *o, nart__task *t)
{
    nart__observer_state *e = (nart__observer_state *)(void *)o;

    e->task = t;
    e->type = t->type;
    e->gen = t->gen;
    e->woke_itself = false;
    e->begun = nart__rt_now(e->rt);
    if (e->polls && e->polls->dog)
        nart__watchdog_note(e->polls->dog, nart__sys_now(), nart__short_name(t->type->name));
    if (e->trace)
        nart__trace_begins(e->trace, t, e->begun);
}

static void ends(nart__observer *o, nart__task *t)
{
    nart__observer_state *e = (nart__observer_state *)(void *)o;
    const nart_cx *cx = &e->rt->cx;

    if (e->task != t)
        return;
    if (e->polls && e->polls->dog)
        nart__watchdog_note(e->polls->dog, 0, NULL);
    if (cx->flags & NART__CX_AGAIN && !e->woke_itself && !has_ended(e))
        o->woken(o, t, NART__BY_ITSELF);
    int64_t now = nart__rt_now(e->rt), took = now - e->begun;
    if (e->trace)
        nart__trace_ends(e->trace, t, e->gen, has_ended(e), now);
    if (e->polls)
        count_poll(e, took);
    const nart_co *co = waiting_body(e);
    e->task = NULL;
    if (e->polls && took > e->polls->slow_ns) /* last: the callback may switch everything off */
        report_slow(e->rt, e->type, t->slot, co, took);
}

static void woken(nart__observer *o, const nart__task *t, nart__cause cause)
{
    nart__observer_state *e = (nart__observer_state *)(void *)o;
    const nart__task *by = e->rt->cx.self;

    e->woke_itself |= t == by;
    e->rt->stats.wakes_local += cause == NART__BY_ITSELF || (cause == NART__BY_CALL && by);
    if (e->trace)
        nart__trace_woken(e->trace, t, cause, nart__rt_now(e->rt));
}

/* ---- switching ---- */

static void rt_gone(nart__exit_hook *g)
{
    nart__observer_state *e =
        (nart__observer_state *)(void *)((char *)g - offsetof(nart__observer_state, exit_hook));
    nart_rt *rt = e->rt;

    if (e->polls && e->polls->dog)
        nart__watchdog_note(e->polls->dog, 0, NULL);
    nart__free(&rt->alloc, e->polls, sizeof *e->polls, _Alignof(nart__poll_watch));
    nart__trace_free(e->trace);
    nart__rt_set_observer(rt, NULL);
    nart__free(&rt->alloc, e, sizeof *e, _Alignof(nart__observer_state));
}

nart__observer_state *nart__observer_state_of(const nart_rt *rt)
{
    return (nart__observer_state *)(void *)rt->observer;
}

nart__observer_state *nart__observer_state_open(nart_rt *rt)
{
    nart__observer_state *e = nart__observer_state_of(rt);

    if (e)
        return e;
    e = nart__alloc(&rt->alloc, sizeof *e, _Alignof(nart__observer_state));
    if (!e)
        return NULL;
    *e = (nart__observer_state){ .observer = { begins, ends, woken },
                                 .exit_hook = { .rt_gone = rt_gone } };
    e->rt = rt;
    nart__exit_hook_add(rt, &e->exit_hook);
    nart__rt_set_observer(rt, &e->observer);
    return e;
}

void nart__observer_state_close(nart__observer_state *e)
{
    if (e->polls || e->trace)
        return;
    nart__exit_hook_remove(&e->exit_hook);
    rt_gone(&e->exit_hook);
}

static nart_res fill_in(nart_observe_opts *o, const nart_observe_opts *given)
{
    *o = (nart_observe_opts)NART_OBSERVE_OPTS_INIT;
    nart_res r = nart__sized_in(o, sizeof *o, given, sizeof o->size);
    return r ? r : o->slow_ns < 0 ? -EINVAL : 0;
}

nart_res nart_rt_observe(nart_rt *rt, const nart_observe_opts *opts)
{
    nart_observe_opts o;
    nart_res r = nart__rt_check(rt);

    if (r == 0)
        r = fill_in(&o, opts);
    if (r)
        return r;
    nart__observer_state *e = nart__observer_state_open(rt);
    if (!e)
        return -ENOMEM;
    if (!e->polls) {
        e->polls = nart__alloc(&rt->alloc, sizeof *e->polls, _Alignof(nart__poll_watch));
        if (!e->polls) {
            nart__observer_state_close(e);
            return -ENOMEM;
        }
        memset(e->polls, 0, sizeof *e->polls);
    }
    if (e->polls->dog && e->polls->dog != o.watchdog)
        nart__watchdog_note(e->polls->dog, 0, NULL);
    e->polls->slow_ns = o.slow_ns ? o.slow_ns : NART_NEVER;
    e->polls->dog = o.watchdog;
    return 0;
}

nart_res nart_rt_observe_stop(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    nart__observer_state *e = nart__observer_state_of(rt);
    if (!e || !e->polls)
        return 0;
    if (e->polls->dog)
        nart__watchdog_note(e->polls->dog, 0, NULL);
    nart__free(&rt->alloc, e->polls, sizeof *e->polls, _Alignof(nart__poll_watch));
    e->polls = NULL;
    nart__observer_state_close(e);
    return 0;
}

/* 0, or why there are no figures about polls. */
static nart_res check_measured(const nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    const nart__observer_state *e = nart__observer_state_of(rt);
    return e && e->polls ? 0 : -EPERM;
}

nart_res nart_rt_poll_percentile(const nart_rt *rt, double percent)
{
    nart_res r = check_measured(rt);
    if (r)
        return r;
    if (!(percent >= 0 && percent <= 100))
        return -EINVAL;
    return nart__histogram_percentile(&nart__observer_state_of(rt)->polls->times, percent);
}

nart_res nart_rt_polls_within(const nart_rt *rt, int64_t ns)
{
    nart_res r = check_measured(rt);
    return r ? r : (nart_res)nart__histogram_within(&nart__observer_state_of(rt)->polls->times, ns);
}
