/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* trace.c: recording what a runtime does.
 *
 * What it keeps true
 *  - Events are recorded in order of time. A runtime polls one task at a time, so between the BEGIN of a
 *    poll and its end there are only wakes and spawns.
 *  - Arrows are numbered in ascending order where they begin. So arrows whose beginning was overwritten
 *    have smaller numbers than all others.
 *
 * The algorithm
 *  1. Each task gets a track of its own at its first event; the generation of a slot shows whether it
 *     still holds the same task.
 *  2. A wake begins an arrow; the lane of the task's slot stores its number until the poll.
 *  3. The ring overwrites the oldest event.
 *  4. Guests keep events of other threads (detail/trace.h). The ring has only the ends of their arrows that lie
 *     in polls of the runtime.
 *
 * Bounds: the ring is allocated once, at the start. The lanes are copied to a larger block when an event
 * names a slot without one; if there is no memory, all such slots share one lane. 2^32 tracks.
 * Not handled: wakes of tasks that are ready already; they have no effect. */
#include "trace.h"

#include "observe.h"

#include <nart/trace.h>
#include <string.h>

/* Makes lanes for all present slots. Without memory it is tried again at the next event. */
static bool make_lanes(nart__trace *tr)
{
    uint32_t count = tr->rt->slab.total;
    size_t bytes = (size_t)count * sizeof(nart__trace_lane),
           before = tr->lane_count * sizeof(nart__trace_lane);

    nart__trace_lane *lanes = nart__alloc(&tr->rt->alloc, bytes, _Alignof(nart__trace_lane));
    if (!lanes)
        return false;
    memset(lanes, 0, bytes);
    if (tr->lanes) {
        memcpy(lanes, tr->lanes, before);
        nart__free(&tr->rt->alloc, tr->lanes, before, _Alignof(nart__trace_lane));
    }
    tr->lanes = lanes;
    tr->lane_count = count;
    return true;
}

static nart__trace_lane *lane_of(nart__trace *tr, uint32_t slot, uint32_t gen)
{
    if (slot >= tr->lane_count)
        (void)make_lanes(tr);
    nart__trace_lane *lane = nart__trace_lane_at(tr, slot);

    if (lane->gen != gen)
        *lane = (nart__trace_lane){ .gen = gen, .track = tr->tracks++ };
    return lane;
}

static nart__trace_event *record(nart__trace *tr, nart__trace_kind kind, const nart__task *t,
                                 uint32_t gen, int64_t at)
{
    nart__trace_event *ev = &tr->events[tr->count++ % tr->capacity];

    *ev = (nart__trace_event){ .at = at,
                               .name = t->type->name,
                               .task = { t->slot, gen },
                               .kind = kind,
                               .track = lane_of(tr, t->slot, gen)->track };
    return ev;
}

void nart__trace_begins(nart__trace *tr, const nart__task *t, int64_t at)
{
    record(tr, NART__TRACE_BEGIN, t, t->gen, at)->flow = lane_of(tr, t->slot, t->gen)->flow;
}

void nart__trace_ends(nart__trace *tr, const nart__task *t, uint32_t gen, bool ended, int64_t at)
{
    nart__trace_kind kind = ended ? NART__TRACE_END : NART__TRACE_PARK;

    record(tr, kind, t, gen, at)->result = ended ? t->res : NART_PENDING;
}

/* Records where the arrow begins. */
static uint32_t track_of(nart__trace *tr, nart__cause cause)
{
    const nart__task *by = tr->rt->cx.self;

    if (cause == NART__BY_INBOX)
        return NART__TRACK_INBOX;
    if (cause == NART__BY_TIMER)
        return NART__TRACK_TIMERS;
    if (by)
        return lane_of(tr, by->slot, by->gen)->track;
    return tr->rt->running && cause == NART__BY_CALL ? NART__TRACK_EVENTS : NART__TRACK_PROGRAM;
}

void nart__trace_woken(nart__trace *tr, const nart__task *t, nart__cause cause, int64_t at)
{
    if (cause == NART__BY_SPAWN)
        record(tr, NART__TRACE_SPAWN, t, t->gen, at);
    nart__trace_event *ev = record(tr, NART__TRACE_WAKE, t, t->gen, at);
    ev->track = track_of(tr, cause);
    ev->flow = nart__trace_lane_at(tr, t->slot)->flow = ++tr->flows;
}

/* ---- guests ---- */

static nart__trace *trace_of(const nart_rt *rt)
{
    const nart__observer_state *e = nart__observer_state_of(rt);
    return e ? e->trace : NULL;
}

/* The trace of a runtime, for a call on its thread. */
static nart_res find(nart_rt *rt, nart__trace **out)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    *out = trace_of(rt);
    return *out ? 0 : -EPERM;
}

nart_res nart__trace_join(nart_rt *rt, nart__trace_guest *g)
{
    nart__trace *tr;
    nart_res r = find(rt, &tr);
    if (r)
        return r;
    if (rt->clock.mode != NART__CLOCK_RUNS || rt->clock.skew != 0)
        return -EINVAL;
    nart__trace_guest **last = &tr->guests;
    while (*last)
        last = &(*last)->next;
    *last = g;
    g->next = NULL;
    g->trace = tr;
    return 0;
}

void nart__trace_arrow(nart__trace_guest *g, uint32_t arrow, bool begins, uint64_t flow)
{
    nart__trace *tr = g->trace;
    nart__trace_event *ev = &tr->events[tr->count++ % tr->capacity];

    *ev = (nart__trace_event){ .at = nart__rt_now(tr->rt),
                               .guest = g,
                               .arrow = arrow,
                               .kind = begins ? NART__TRACE_OUT : NART__TRACE_IN,
                               .track = track_of(tr, NART__BY_CALL),
                               .flow = flow };
}

/* ---- switching ---- */

void nart__trace_free(nart__trace *tr)
{
    if (!tr)
        return;
    while (tr->guests) {
        nart__trace_guest *g = tr->guests;
        tr->guests = g->next;
        g->trace = NULL;
        g->leave(g);
    }
    nart__free(&tr->rt->alloc, tr->lanes, tr->lane_count * sizeof *tr->lanes,
               _Alignof(nart__trace_lane));
    nart__free(&tr->rt->alloc, tr, tr->bytes, _Alignof(nart__trace));
}

static nart__trace *trace_new(nart_rt *rt, uint32_t events)
{
    size_t kept = sizeof(nart__trace_event);

    if (events > (SIZE_MAX - sizeof(nart__trace)) / kept)
        return NULL;
    size_t bytes = sizeof(nart__trace) + events * kept;
    nart__trace *tr = nart__alloc(&rt->alloc, bytes, _Alignof(nart__trace));
    if (!tr)
        return NULL;
    memset(tr, 0, sizeof *tr);
    tr->rt = rt;
    tr->bytes = bytes;
    tr->begun = nart__rt_now(rt);
    tr->capacity = events;
    tr->tracks = NART__TRACK_TASKS;
    tr->events = (nart__trace_event *)(void *)(tr + 1);
    if (make_lanes(tr))
        return tr;
    nart__trace_free(tr);
    return NULL;
}

nart_res nart_trace_start(nart_rt *rt, uint32_t events)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    if (events == 0)
        return -EINVAL;
    nart__observer_state *e = nart__observer_state_open(rt);
    if (!e)
        return -ENOMEM;
    if (e->trace)
        return -EALREADY;
    e->trace = trace_new(rt, events);
    if (!e->trace) {
        nart__observer_state_close(e);
        return -ENOMEM;
    }
    return 0;
}

nart_res nart_trace_print(nart_rt *rt, FILE *out)
{
    nart__trace *tr;
    nart_res r = find(rt, &tr);
    if (r)
        return r;
    if (out)
        return nart__trace_print(tr, out);
    return tr->count > tr->capacity ? (nart_res)(tr->count - tr->capacity) : 0;
}

nart_res nart_trace_stop(nart_rt *rt, FILE *out)
{
    nart_res r = nart_trace_print(rt, out);
    if (r < 0 && r != -EIO)
        return r;
    nart__observer_state *e = nart__observer_state_of(rt);
    nart__trace_free(e->trace);
    e->trace = NULL;
    nart__observer_state_close(e);
    return r;
}
