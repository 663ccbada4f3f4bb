/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* loop.c: the loop.
 *
 * One tick
 *  1. look inside: rings of spinning receivers, the inbox of foreign wakes (at most 256), posts (at most
 *     as many as the tick polls tasks), the clock and expired timers (at most 128 moves);
 *  2. look outside: descriptors (at most 256 events). When no task is ready the loop parks here, until
 *     an event, a foreign wake or the next deadline; so a tick makes one system call;
 *  3. poll at most 64 ready tasks, first in, first out, the urgent queue first (at most 16 of it). A task
 *     that they wake is queued behind those that are ready already.
 *
 * Parking. The hub's word has a bit PARKED. Setting it fails when the inbox is not empty, and a thread
 * that pushes onto a parked inbox writes the eventfd: no wake-up is lost in between. PARKED is cleared on
 * every return from the wait.
 *
 * How a task becomes ready is in wake.c. All data here except for the hub belong to the owner's thread
 * and are plain memory. */
#include "fork.h"
#include "runtime.h"

#include <string.h>

#define URGENT_PER_TICK 16

/* ---- the loop as a driver ---- */

static nart_rt *rt_of(void *host)
{
    return ((nart__hub *)host)->rt;
}

nart_rt *nart__loop_io_rt(void *host, uint64_t id)
{
    return nart__hub_io_rt(host, id >> NART__INDEX_BITS);
}

static int64_t loop_now(void *host)
{
    return nart__rt_now(rt_of(host));
}

/* A task or a callback has forked, and this is the child: the tasks are the parent's, and so are the events. */
static inline bool is_child(const nart_rt *rt)
{
    return NART_UNLIKELY(rt->fork_epoch != nart__forks) && !rt->closing;
}

static void rt_park(nart_rt *rt, nart__task *t, int64_t deadline)
{
    t->wake_at = deadline;
    if (deadline == NART_NEVER) {
        t->state &= ~(uint32_t)NART__T_TIMED;
        return;
    }
    t->state |= NART__T_TIMED;
    if (t->timer.next) {
        if (t->timer.at <= deadline)
            return; /* it is set to an earlier time: set again when it fires */
        nart__wheel_remove(&rt->wheel, &t->timer);
    }
    nart__wheel_add(&rt->wheel, &t->timer, deadline);
}

static void loop_park(void *host, nart__task *t, int64_t deadline)
{
    rt_park(rt_of(host), t, deadline);
}

static void loop_ready(void *host, nart__task *t)
{
    nart__rt_enqueue(rt_of(host), t, NART__BY_CALL);
}

static uintptr_t loop_waker(void *host, nart__task *t)
{
    t->state |= NART__T_ESCAPED;
    return nart__hub_waker(host, t->slot);
}

nart_res nart__loop_io_add(void *host, int fd, uint32_t dirs, uint64_t *id)
{
    nart_rt *rt = rt_of(host);
    if (!rt)
        return NART_ESTALE;
    return is_child(rt) ? NART_EFORK : nart__reactor_add(&rt->reactor, fd, dirs, id);
}

static nart_res loop_io_add(void *host, int fd, uint64_t *id)
{
    return nart__loop_io_add(host, fd, 0, id);
}

static nart_res loop_io_want(void *host, uint64_t id, uint32_t dirs, nart_cx *cx)
{
    if (NART_UNLIKELY(cx->host != host))
        return NART_EDRIVER;
    return nart__reactor_want(&rt_of(host)->reactor, id, dirs, cx);
}

static void loop_io_clear(void *host, uint64_t id, uint32_t dirs)
{
    nart_rt *rt = nart__loop_io_rt(host, id);
    if (rt)
        nart__reactor_clear(&rt->reactor, id, dirs);
}

/* Calls by handle that need no poll can be made anywhere, also in a child of fork. That shares the
 * kernel's queue with its parent and must only close. */
nart_res nart__loop_io_leave(void *host, uint64_t id, const void *handle, int *fd)
{
    nart_rt *rt = nart__loop_io_rt(host, id);
    if (!rt)
        return NART_ESTALE;
    nart_res r = nart__rt_check(rt);
    if (r && r != NART_EFORK)
        return r;
    return nart__reactor_leave(&rt->reactor, id, r == NART_EFORK, handle, fd);
}

static nart_res loop_io_del(void *host, uint64_t id, int *fd)
{
    return nart__loop_io_leave(host, id, NULL, fd);
}

bool nart__loop_io_awaited(void *host, uint64_t id)
{
    nart_rt *rt = nart__loop_io_rt(host, id);
    return rt && nart__rt_check(rt) == 0 && nart__reactor_awaited(&rt->reactor, id);
}

void nart__loop_io_keep(void *host, uint64_t id, int fd_plus_one)
{
    nart_rt *rt = nart__loop_io_rt(host, id);
    if (rt)
        nart__reactor_keep(&rt->reactor, id, fd_plus_one);
}

static nart_res loop_io_fd(void *host, uint64_t id)
{
    nart_rt *rt = nart__loop_io_rt(host, id);
    if (!rt)
        return NART_ESTALE;
    nart_res r = nart__rt_check(rt);
    return r ? r : nart__reactor_fd(&rt->reactor, id);
}

static nart_res loop_io_wake(void *host, uint64_t id)
{
    nart_rt *rt = nart__loop_io_rt(host, id);
    if (!rt)
        return NART_ESTALE;
    nart_res r = nart__rt_check(rt);
    return r ? r : nart__reactor_wake(&rt->reactor, id);
}

const nart_driver nart__loop = {
    .abi = NART_DRIVER_ABI,
    .name = "loop",
    .now = loop_now,
    .park = loop_park,
    .ready = loop_ready,
    .waker = loop_waker,
    .io_add = loop_io_add,
    .io_want = loop_io_want,
    .io_clear = loop_io_clear,
    .io_del = loop_io_del,
    .sys = &nart__sys_real,
    .io_fd = loop_io_fd,
    .io_wake = loop_io_wake,
};

nart_rt *nart_cx_rt(nart_cx *cx)
{
    nart_rt *rt;
    return nart__cx_rt_made(cx, &rt) == 0 ? rt : NULL;
}

/* ---- one tick ---- */

/* Ends a task although its poll answered NART_PENDING. */
static NART__COLD void end_pending(nart_rt *rt, nart__task *t)
{
    rt->end.dropped += rt->closing;
    if (t->state & NART__T_DEAF)
        nart__rt_report_task(rt, t, "was dropped: it ignores cancellation");
    else if (rt->closing)
        nart__rt_report_task(rt, t, "was dropped: it still waited when the runtime was freed");
    nart__task_finish(rt, t, NART_EABORTED);
}

/* The task parked with a deadline, or had one before, or has to end. */
static void after_poll_slow(nart_rt *rt, nart__task *t)
{
    int64_t until = rt->cx.park;

    rt->cx.park = NART_NEVER;
    if (until != t->wake_at)
        rt_park(rt, t, until);
    if (NART_UNLIKELY(rt->cx.flags & NART__CX_END))
        end_pending(rt, t);
    else if (rt->cx.flags & NART__CX_AGAIN)
        nart__rt_ready(rt, t);
}

static inline void after_poll(nart_rt *rt, nart__task *t, nart_res r)
{
    if (NART_UNLIKELY(r != NART_PENDING)) {
        rt->cx.park = NART_NEVER;
        nart__task_finish(rt, t, r);
        return;
    }
    const uint32_t looked_at = NART__CX_TIMED | NART__CX_END | NART__CX_AGAIN | NART__T_READY |
                               NART__T_URGENT | NART__T_TIMED;
    uint32_t state = t->state, seen = (state | rt->cx.flags) & looked_at;

    if (seen == NART__CX_AGAIN) { /* and nothing else */
        t->state = state | NART__T_READY;
        nart__run_queue_push(&rt->ready, t);
    } else if (NART_UNLIKELY(seen != 0)) {
        after_poll_slow(rt, t);
    }
}

void nart__rt_after_poll(nart_rt *rt, nart__task *t, nart_res r)
{
    after_poll(rt, t, r);
}

/* Polls a task that is cancelled, shielded, or spent its budget; or one that ended while it was ready. */
static NART__COLD void poll_slow(nart_rt *rt, nart__task *t)
{
    if (t->state & NART__T_DONE) {
        t->state &= ~(uint32_t)NART__T_READY;
        nart__task_unlisted(rt, t);
        return;
    }
    if (t->state & NART__T_SPENT)
        rt->stats.budgets_spent++;
    bool is_last = (t->state & (NART__T_ABORTED | NART__T_ENDING)) == NART__T_ABORTED;
    nart_res r = nart__poll(&rt->cx, t, true);
    if (is_last)
        rt->cx.flags |= NART__CX_END;
    after_poll(rt, t, r);
}

static inline void poll_one(nart_rt *rt, nart__run_queue *queue)
{
    nart__task *t = nart__run_queue_pop(queue);

    if (NART_UNLIKELY(t->state & NART__T_ODD))
        poll_slow(rt, t);
    else
        after_poll(rt, t, nart__poll(&rt->cx, t, false));
}

/* The same, and notifies the observer. */
static NART__NOINLINE void poll_observed(nart_rt *rt, nart__run_queue *queue)
{
    nart__task *t = queue->head;

    if (rt->observer && !(t->state & NART__T_DONE))
        rt->observer->begins(rt->observer, t);
    poll_one(rt, queue);
    if (rt->observer)
        rt->observer->ends(rt->observer, t);
}

typedef void poll_fn(nart_rt *rt, nart__run_queue *queue);

static NART__COLD uint32_t run_urgent(nart_rt *rt, uint32_t limit, poll_fn *poll)
{
    uint32_t n = 0;
    for (; n < limit && rt->urgent.head && !is_child(rt); n++)
        poll(rt, &rt->urgent);
    return n;
}

/* Polls ready tasks, each by `poll`, a constant. @return the number of polls. */
static NART__INLINE uint32_t run_with(nart_rt *rt, poll_fn *poll)
{
    uint32_t n = 0, urgent = URGENT_PER_TICK, limit = rt->opts.polls_per_tick;

    for (;;) {
        if (NART_UNLIKELY(rt->urgent.head != NULL) && urgent > 0) {
            uint32_t done = run_urgent(rt, urgent < limit - n ? urgent : limit - n, poll);
            urgent -= done;
            n += done;
        }
        if (n >= limit || !rt->ready.head || is_child(rt))
            break;
        poll(rt, &rt->ready);
        n++;
    }
    nart__poll_over(&rt->cx);
    rt->unlooked += n;
    rt->stats.polls += n;
    return n;
}

uint32_t nart__run_ready(nart_rt *rt)
{
    return run_with(rt, poll_one);
}

static NART__COLD uint32_t run_observed(nart_rt *rt)
{
    return run_with(rt, poll_observed);
}

void nart__rt_set_observer(nart_rt *rt, nart__observer *o)
{
    rt->observer = o;
    rt->run = o ? run_observed : nart__run_ready;
    nart__rt_set_idle(rt, rt->idle);
}

/* Runs posts of other threads, at most as many as a tick polls tasks: else tasks could be spawned faster
 * than they end. False: the rest is left for the next tick. */
static NART__COLD bool run_posts(nart_rt *rt)
{
    bool all = !rt->posted;

    if (all)
        rt->posted = nart__post_take(rt->hub);
    if (nart__hub_ended(rt->hub, rt->incarnation))
        nart__rt_shutdown(rt);
    if (rt->mailed)
        rt->mailed(rt);
    if (rt->post_tick != rt->stats.ticks)
        rt->posts = 0;
    rt->post_tick = rt->stats.ticks;
    for (; rt->posts < rt->opts.polls_per_tick && rt->posted && !is_child(rt); rt->posts++) {
        nart__post *p = rt->posted;
        rt->posted = nart__post_next(p);
        p->run(rt, p);
    }
    if (!rt->posted && all)
        return true;
    nart__wake(nart__hub_waker(rt->hub, nart__rt_mailbox(rt)));
    return false;
}

/* Takes foreign wakes, and posts. Does not wait for a producer that is between its two steps: parking
 * fails then. */
static void drain_inbox(nart_rt *rt)
{
    bool busy;

    for (uint32_t n = rt->opts.inbox_per_tick; n > 0 && nart__hub_maybe(rt->hub); n--) {
        nart__rec *rec = nart__hub_pop(rt->hub, &busy);
        if (!rec)
            return;
        rt->stats.wakes_foreign++;
        nart__task *t = nart__rt_slot(rt, rec->slot);
        if (t)
            rt->stats.wakes_coalesced += !nart__rt_ready_by(rt, t, NART__BY_INBOX);
        else if (rec->slot == nart__rt_mailbox(rt) && !run_posts(rt))
            return;
    }
}

static void look_at_clock(nart_rt *rt)
{
    int64_t now = nart__rt_now(rt);

    if (now > rt->cx.now)
        rt->cx.now = now;
}

/* Reads the clock and makes the tasks ready whose deadline has passed. */
static void fire_timers(nart_rt *rt)
{
    look_at_clock(rt);
    unsigned budget = rt->opts.timers_per_tick; /* moves between levels count as well */
    for (;;) {
        nart__tnode *node = nart__wheel_expire(&rt->wheel, rt->cx.now, &budget);
        if (!node)
            return;
        nart__task *t = (nart__task *)(void *)((char *)node - offsetof(nart__task, timer));
        if (t->wake_at <= rt->cx.now) {
            int64_t due = t->wake_at > node->at ? t->wake_at : node->at;
            rt->stats.timers_late += rt->cx.now - due > NART_MS;
            t->wake_at = NART_NEVER; /* else the same deadline would count as unchanged */
            t->state &= ~(uint32_t)NART__T_TIMED;
            rt->stats.timers_fired++;
            (void)nart__rt_ready_by(rt, t, NART__BY_TIMER);
        } else if (t->wake_at != NART_NEVER) {
            nart__wheel_add(&rt->wheel, node, t->wake_at); /* its deadline is later by now */
        }
    }
}

static void run_tick_hooks(nart_rt *rt)
{
    for (nart__tick_hook *w = rt->tick_hooks.next, *next; w != &rt->tick_hooks; w = next) {
        next = w->next;
        w->look(w);
    }
}

/* Everything that makes tasks ready without a system call. */
static void look_inside(nart_rt *rt)
{
    if (is_child(rt)) /* a callback of this look outside has forked */
        return;
    if (NART_UNLIKELY(rt->tick_hooks.next != &rt->tick_hooks))
        run_tick_hooks(rt);
    drain_inbox(rt);
    if (!nart__wheel_empty(&rt->wheel))
        fire_timers(rt);
    if (NART_UNLIKELY(rt->watches != NULL) && !nart__wheel_empty(&rt->watches->alarms)) {
        look_at_clock(rt);
        nart__alarms_fire(rt);
    }
}

void nart__rt_turn(nart_rt *rt)
{
    look_at_clock(rt);
    look_inside(rt);
    rt->stats.ticks++;
    rt->run(rt);
    run_tick_hooks(rt); /* wakes the senders of rings from which values were taken */
}

/* Checks descriptors. @return the number of events, or -errno. */
static int look_outside(nart_rt *rt, int64_t timeout)
{
    rt->unlooked = 0;
    int n = nart__reactor_wait(&rt->reactor, timeout);
    if (n > 0)
        rt->stats.io_events += (uint64_t)n;
    return n;
}

/* Calls the watches that the last look outside has found ready. */
static inline void call_watches(nart_rt *rt)
{
    if (NART_LIKELY(rt->reactor.calls == 0))
        return;
    rt->watches->called = rt->stats.ticks + 1;
    nart__reactor_call(&rt->reactor, nart__watch_call);
}

/* Has a callback of a watch been called in this tick? Then the tick does not wait. */
static inline bool called(const nart_rt *rt)
{
    return NART_UNLIKELY(rt->watches != NULL) && rt->watches->called > rt->stats.ticks;
}

/* Looks inside and outside, without waiting. 0 or -errno. */
static int look(nart_rt *rt)
{
    look_inside(rt);
    if (is_child(rt)) /* an alarm or a post has forked */
        return 0;
    if (rt->reactor.used == 0 && !rt->embedded) /* the backend descriptor must become unreadable */
        return 0;
    int n = look_outside(rt, 0);
    call_watches(rt);
    return n < 0 ? n : 0;
}

/* No task is ready: sleeps until one may be, `until` at the latest. 0 or -errno. */
static int park(nart_rt *rt, int64_t until)
{
    int64_t timer = nart__rt_next_timer(rt);
    int64_t timeout = NART_NEVER;

    if (NART_UNLIKELY(rt->clock.mode != NART__CLOCK_RUNS) && timer > rt->cx.now)
        timer = NART_NEVER; /* waiting does not advance the clock */
    int64_t at = until < timer ? until : timer;
    if (at != NART_NEVER) {
        /* a wheel with timers: the clock was read just before; an older reading only makes this late */
        int64_t now = nart__wheel_empty(&rt->wheel) ? nart__rt_now(rt) : rt->cx.now;
        timeout = at > now ? at - now : 0;
    }
    if (!nart__hub_park(rt->hub)) {
        nart__relax(); /* another thread is pushing a wake */
        return 0;
    }
    rt->stats.parks++;
    int n = look_outside(rt, timeout);
    nart__hub_unpark(rt->hub);
    if (nart__wheel_empty(&rt->wheel))
        look_at_clock(rt); /* else look_inside() reads it */
    call_watches(rt);
    look_inside(rt);
    return n < 0 ? n : 0;
}

/* Looks repeatedly instead of parking: for spin_ns, or until `until` when the runtime always spins.
 * 0 or -errno; `*enough`: a task is ready, or the time `until` has passed. */
static int spin(nart_rt *rt, int64_t until, bool *enough)
{
    bool busy = rt->opts.flags & NART_RT_SPINNING;
    int64_t left = until == NART_NEVER ? NART_NEVER : until - nart__rt_now(rt);
    int64_t span = busy || left < rt->opts.spin_ns ? left : rt->opts.spin_ns;
    /* by the system's clock: the runtime's own may be stopped */
    int64_t end = span == NART_NEVER ? NART_NEVER : nart_time_add(nart__sys_now(), span);

    *enough = true;
    for (;;) {
        int err = look(rt);
        if (err || nart__any_ready(rt) || rt->stopped || called(rt) || is_child(rt))
            return err;
        if (end != NART_NEVER && nart__sys_now() >= end)
            break;
        nart__relax();
    }
    *enough = busy;
    return 0;
}

/* No task is ready: waits until one is, `until` at the latest. 0 or -errno. */
static int wait_ready(nart_rt *rt, int64_t until)
{
    bool enough;

    look_inside(rt);
    if (is_child(rt) || (nart__any_ready(rt) && rt->unlooked < rt->opts.polls_per_tick))
        return 0;
    if (NART_UNLIKELY(rt->clock.mode == NART__CLOCK_AUTO) && !nart__any_ready(rt) && !called(rt) &&
        nart__clock_jump(rt)) {
        look_inside(rt);
        return 0;
    }
    /* after so many polls, and callbacks, descriptors are checked, too */
    if (nart__any_ready(rt) || until == 0 || called(rt))
        return look(rt);
    if (NART_UNLIKELY(rt->opts.flags & NART_RT_SPINNING || rt->opts.spin_ns > 0)) {
        int err = spin(rt, until, &enough);
        if (err || enough)
            return err;
    }
    return park(rt, until);
}

/* @return the number of polls, or NART_EFORK. */
static nart_res run_tasks(nart_rt *rt)
{
    nart_res n = (nart_res)rt->run(rt);
    return is_child(rt) ? NART_EFORK : n;
}

/* One tick: looks, or waits until `until` at the latest when no task is ready, and polls. @return the
 * number of polls, -errno, or NART_EFORK. */
static nart_res tick(nart_rt *rt, int64_t until)
{
    int err = nart__any_ready(rt) ? look(rt) : wait_ready(rt, until);

    rt->stats.ticks++;
    return err ? err : run_tasks(rt);
}

/* ---- running ---- */

/* From here on nothing makes the backend descriptor readable: the host does not wait. */
static void host_awake(nart_rt *rt)
{
    if (rt->idle) {
        nart__rt_set_idle(rt, false);
        nart__hub_unpark(rt->hub);
    }
}

/* Enters the loop: binds on first use. */
static nart_res enter(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    if (rt->running || rt->dropping)
        return -EDEADLK;
    nart__rt_bind(rt);
    rt->running = true;
    rt->stopped = false;
    host_awake(rt);
    look_at_clock(rt);
    return 0;
}

/* Leaves the loop: from here on foreign wakes make the backend descriptor readable. */
static void leave(nart_rt *rt)
{
    rt->running = false;
    if (is_child(rt))
        return;
    run_tick_hooks(rt); /* wakes the senders of rings from which the last tick took values */
    if (rt->embedded && nart__hub_park(rt->hub))
        nart__rt_set_idle(rt, true);
}

nart_res nart_rt_run(nart_rt *rt)
{
    nart_res r = enter(rt);
    if (r)
        return r;
    for (;;) {
        while (r >= 0 && nart__rt_has_tasks(rt) && !rt->stopped)
            r = tick(rt, NART_NEVER);
        if (r < 0 || rt->stopped || !nart__rt_has_posts(rt))
            break;
        r = tick(rt, 0);
        if (r == 0)
            nart__relax(); /* its sender has not woken the loop yet */
    }
    leave(rt);
    return r < 0 ? r : 0;
}

void nart_rt_stop(nart_rt *rt)
{
    rt->stopped = true;
}

/* `moved` is zeroed once the task owns the contents; or NULL. */
static nart_res block_on(nart_rt *rt, const nart_task_type *type, const void *init, void *moved,
                         nart_res *result)
{
    nart_join join;
    nart_res r = enter(rt);
    if (r)
        return r;
    r = nart_rt_spawn(rt, type, init, &join);
    if (r == 0) {
        if (moved)
            memset(moved, 0, type->size);
        while (r >= 0 && !nart_join_done(&join)) {
            rt->stopped =
                false; /* ignored until the task ends: a loop that is stopped never parks */
            r = tick(rt, NART_NEVER);
        }
        if (r >= 0 && result)
            *result = join.task->res;
        nart_join_release(&join);
    }
    leave(rt);
    return r < 0 ? r : 0;
}

nart_res nart_block_on(nart_rt *rt, const nart_task_type *type, const void *init, nart_res *result)
{
    return block_on(rt, type, init, NULL, result);
}

nart_res nart__block_on_moved(nart_rt *rt, const nart_task_type *type, void *init, nart_res *result)
{
    return block_on(rt, type, init, init, result);
}

nart_res nart_rt_poll(nart_rt *rt, int64_t timeout_ns)
{
    nart_res r = enter(rt);
    if (r)
        return r;
    int64_t until = timeout_ns <= 0 ? 0 : timeout_ns;
    if (timeout_ns > 0 && timeout_ns != NART_NEVER)
        until = nart_time_add(nart__rt_now(rt), timeout_ns);
    r = tick(rt, until);
    leave(rt);
    return r;
}

nart_res nart_rt_poll_edge(nart_rt *rt, bool *readable)
{
    nart_res r = readable ? enter(rt) : -EINVAL;
    if (r)
        return r;
    if (*readable) {
        r = look_outside(rt, 0);
        /* a watch that stays ready causes no other edge */
        *readable = r < 0 || r == (nart_res)rt->reactor.max_events || rt->reactor.calls > 0;
        call_watches(rt);
    }
    if (r >= 0) {
        look_inside(rt);
        if (NART_UNLIKELY(rt->clock.mode == NART__CLOCK_AUTO) && !nart__any_ready(rt) &&
            nart__clock_jump(rt))
            look_inside(rt);
        rt->stats.ticks++;
        r = run_tasks(rt);
    }
    leave(rt);
    return r;
}

nart_res nart_rt_poll_soon(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        host_awake(rt);
    return r;
}

int nart_rt_backend_fd(nart_rt *rt)
{
    rt->embedded = true;
    return rt->reactor.fd;
}

int64_t nart_rt_next_deadline(nart_rt *rt)
{
    bool notified = rt->idle || !rt->embedded; /* else a wake may have written no eventfd */
    if (!notified || nart__any_ready(rt) || nart__hub_maybe(rt->hub) ||
        rt->tick_hooks.next != &rt->tick_hooks)
        return 0;
    return nart__clock_next(rt);
}
