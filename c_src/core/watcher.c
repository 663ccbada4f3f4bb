/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* watcher.c: callbacks for the descriptors and timers of foreign libraries.
 *
 * What it keeps true
 *  - A callback runs outside of polls and outside of the kernel's wait. After it nothing of the watch is
 *    accessed: it may have been stopped and freed.
 *  - An event or alarm reaches only the watch that was set for it.
 *
 * The algorithm
 *  1. A watch with a direction has a record of the reactor, under an id that never repeats (epoll.c). The loop
 *     looks up the record of each event when it calls: after a stop there is none.
 *  2. Alarms are in a wheel of their own, so the timers of tasks need no test of what they belong to. It is made
 *     with the first watch of a runtime.
 *  3. The runtime keeps a list of its watches, for dumps and for its end.
 *
 *  4. A tick in which a callback was called does not wait: the callback may have stopped the loop, or have left
 *     something to look at. Alarms ring in one look of a tick.
 *
 * Bounds: all O(1); an alarm as a timer of a task. At most timers_per_tick alarms per look. */
#include "fork.h"
#include "runtime.h"

#include <nart/watch.h>

static nart_watch *watch_of(nart__tnode *node)
{
    return (nart_watch *)(void *)((char *)node - offsetof(nart_watch, alarm));
}

void nart__watch_call(nart_watch *w, uint32_t events)
{
    if (NART_LIKELY(w->rt->fork_epoch == nart__forks))
        w->fn(w, events, w->arg);
}

/* All that are due leave the wheel before the first call: an alarm that a callback sets is none of them. They are
 * between two nodes, so that one which is removed is never taken for the last of a slot. In the child that a callback
 * has forked the rest is not called. */
void nart__alarms_fire(nart_rt *rt)
{
    nart__watches *all = rt->watches;
    unsigned budget = rt->opts.timers_per_tick;
    nart__tnode first = { 0 }, last = { .prev = &first, .next = &first }, *node;

    if (all->rang > rt->stats.ticks)
        return;
    first.next = first.prev = &last;
    while ((node = nart__wheel_expire(&all->alarms, rt->cx.now, &budget))) {
        node->prev = last.prev;
        node->next = &last;
        last.prev->next = node;
        last.prev = node;
    }
    if (first.next != &last)
        all->called = all->rang = rt->stats.ticks + 1;
    while ((node = first.next) != &last) {
        nart__wheel_remove(&all->alarms, node);
        nart__watch_call(watch_of(node), NART_ALARM);
    }
}

int64_t nart__alarms_first(const nart_rt *rt)
{
    int64_t first = NART_NEVER;

    for (const nart_watch *w = rt->watches ? rt->watches->first : NULL; w; w = w->next)
        if (w->alarm.next && w->alarm.at < first)
            first = w->alarm.at;
    return first;
}

/* ---- starting and stopping ---- */

static void stop(nart_watch *w, bool forked)
{
    nart__reactor_unwatch(&w->rt->reactor, w->id, forked);
    nart__wheel_remove(&w->rt->watches->alarms, &w->alarm);
    if (w->next)
        w->next->prev = w->prev;
    *w->prev = w->next;
    *w = (nart_watch){ 0 };
}

static void rt_gone(nart__exit_hook *g)
{
    nart__watches *all = (nart__watches *)(void *)g; /* its first member */
    nart_rt *rt = all->rt;

    while (all->first)
        stop(all->first, nart__rt_check(rt) == NART_EFORK);
    rt->watches = NULL;
    nart__sys_unmap(all, sizeof *all);
}

/* Makes what the watches of a runtime share. */
static NART__COLD nart_res make(nart_rt *rt)
{
    nart_res r = nart__reactor_watches(&rt->reactor);
    nart__watches *all = r ? NULL : nart__sys_map(sizeof *all);

    if (!all)
        return -ENOMEM;
    all->rt = rt;
    all->exit_hook.rt_gone = rt_gone;
    nart__exit_hook_add(rt, &all->exit_hook);
    nart__wheel_init(&all->alarms, nart__rt_now(rt));
    rt->watches = all;
    return 0;
}

nart_res nart_watch_start(nart_rt *rt, nart_watch *w, int fd, nart_watch_fn *fn, void *arg)
{
    nart_res r = w && fn && fd >= -1 ? nart__rt_check(rt) : -EINVAL;

    if (r == 0 && rt->first)
        r = NART_EDRIVER;
    if (r == 0 && !rt->watches)
        r = make(rt);
    if (r == 0)
        r = nart_watch_stop(w);
    if (r)
        return r;
    *w = (nart_watch){ .rt = rt, .fn = fn, .arg = arg, .fd = fd };
    w->next = rt->watches->first;
    w->prev = &rt->watches->first;
    if (w->next)
        w->next->prev = &w->next;
    rt->watches->first = w;
    return 0;
}

nart_res nart_watch_stop(nart_watch *w)
{
    if (!w || !w->rt)
        return 0;
    nart_res r = nart__rt_check(w->rt);
    if (r == NART_EWRONGTHREAD)
        return r;
    stop(w, r == NART_EFORK);
    return 0;
}

nart_res nart_watch_set(nart_watch *w, uint32_t dirs, int64_t at)
{
    if (!w || dirs & ~(uint32_t)(NART_READ | NART_WRITE))
        return -EINVAL;
    if (!w->rt)
        return -EBADF;
    nart_res r = nart__rt_check(w->rt);
    if (r)
        return r;
    /* with the same directions only if another registration has taken the number */
    if (dirs != w->dirs || (dirs && !nart__io_of(&w->rt->reactor, w->id))) {
        r = nart__reactor_watch(&w->rt->reactor, w, dirs);
        if (r)
            return r;
    }
    nart__wheel *alarms = &w->rt->watches->alarms;
    if (w->alarm.next && w->alarm.at == at)
        return 0;
    nart__wheel_remove(alarms, &w->alarm);
    if (at != NART_NEVER)
        nart__wheel_add(alarms, &w->alarm, at);
    return 0;
}
