/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runtime.c: making, binding, freeing and querying a runtime. The loop itself is loop.c.
 *
 * Freeing
 *  1. every task is cancelled and aborted: one poll, in which its operations answer -ECANCELED; a task that
 *     still waits after it is reported and dropped. No task can be spawned meanwhile.
 *  2. frames that join handles keep are dropped; begun tasks are taken back.
 *     Both are done from the last spawned task to the first, whatever their slots and queues: a task may use
 *     the memory of the one that spawned it, and is freed before that.
 *  3. exit hooks (of channels) are called; descriptors are closed; the hub returns to its pool.
 * Handles that outlive this find another incarnation in the hub, or another serial in the reactor.
 *
 * Fork: a child changes the epoch, and every entry point compares it. The child only closes its copies of
 * descriptors, the eventfd among them: the kernel's queue behind them belongs to the parent. Tasks and posts
 * are the parent's, too: none is polled, dropped or answered. Tasks are only removed from what they wait in,
 * which may be closed later than the runtime. Their memory is freed as late as the slots: what waits or exit
 * hooks refer to in a boxed frame exists as long as in any other one. */
#include "runtime.h"
#include "../wait/short_name.h"
#include "fork.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

/* ---- fork ---- */

unsigned nart__forks; /* changed in the child only, while it has one thread */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void in_child(void)
{
    nart__forks++;
    nart__hub_fork_child();
}

bool nart__hub_is_forked(const nart__hub *hub)
{
    return hub->fork_epoch != nart__forks;
}

static void watch_forks(void)
{
    (void)pthread_atfork(nart__hub_fork_begins, nart__hub_fork_parent, in_child);
}

unsigned nart__fork_epoch(void)
{
    return nart__forks;
}

/* ---- lists ---- */

void nart__tick_hook_add(nart_rt *rt, nart__tick_hook *w)
{
    w->next = &rt->tick_hooks;
    w->prev = rt->tick_hooks.prev;
    w->prev->next = w;
    rt->tick_hooks.prev = w;
}

void nart__tick_hook_remove(nart__tick_hook *w)
{
    w->next->prev = w->prev;
    w->prev->next = w->next;
    w->next = w->prev = NULL;
}

void nart__exit_hook_add(nart_rt *rt, nart__exit_hook *g)
{
    g->next = &rt->exit_hooks;
    g->prev = rt->exit_hooks.prev;
    g->prev->next = g;
    rt->exit_hooks.prev = g;
}

void nart__exit_hook_remove(nart__exit_hook *g)
{
    g->next->prev = g->prev;
    g->prev->next = g->next;
    g->next = g->prev = NULL;
}

/* ---- whose thread ---- */

nart_res nart__rt_check(const nart_rt *rt)
{
    if (!rt)
        return -EINVAL;
    if (NART_UNLIKELY(rt->fork_epoch != nart__forks))
        return NART_EFORK;
    uintptr_t bound = NART__LOAD(&rt->thread, NART__RELAXED);
    return NART_UNLIKELY(bound && bound != nart__self_thread()) ? NART_EWRONGTHREAD : 0;
}

nart_res nart_rt_bind(nart_rt *rt)
{
    if (!rt)
        return -EINVAL;
    if (rt->fork_epoch != nart__forks)
        return NART_EFORK;
    if (rt->running)
        return -EDEADLK;
    nart__rt_bind(rt);
    if (rt->moved)
        rt->moved();
    return 0;
}

/* ---- refusing new tasks ---- */

void nart__rt_shutdown(nart_rt *rt)
{
    if (rt->refusing)
        return;
    rt->refusing = true;
    (void)nart__post_end(rt->hub, rt->incarnation, 0);
    nart__q_answer_all(&rt->awaiting_shutdown, NART__DONE);
}

/* ---- queries ---- */

uint32_t nart_rt_task_count(const nart_rt *rt)
{
    return rt->live;
}

uint32_t nart_rt_background_count(const nart_rt *rt)
{
    return rt->background;
}

void nart_rt_stats_get(const nart_rt *rt, nart_rt_stats *out)
{
    size_t size = out->size < sizeof rt->stats ? out->size : sizeof rt->stats;
    nart_rt_stats copy = rt->stats;
    copy.size = out->size;
    copy.ended = copy.spawned - rt->live;
    copy.eventfd_writes = NART__LOAD(&rt->hub->rung, NART__RELAXED) - rt->rung_before;
    memcpy(out, &copy, size);
}

/* A slot that was never used is taken only when all others are in use: so the number of slots ever used is
 * the maximum number of tasks at one time. */
static void count_chunk(const nart__chunk *chunk, nart_slot_use *use)
{
    uint32_t n = nart__chunk_used(chunk);

    use->peak += n;
    for (uint32_t i = 0; i < n; i++) {
        const nart__task *t = (const void *)(chunk->mem + (size_t)i * chunk->of->stride);
        use->used += (t->state & (NART__T_LIVE | NART__T_BEGUN)) != 0;
    }
}

void nart_rt_slots_get(const nart_rt *rt, nart_slot_use out[NART_SLOT_CLASSES])
{
    for (int c = 0; c < NART_SLOT_CLASSES; c++) {
        const nart__class *k = &rt->slab.classes[c];
        out[c] = (nart_slot_use){ .bytes = (uint32_t)NART__CLASS_MIN << c,
                                  .limit = rt->opts.slots[c],
                                  .mapped = k->made };
        for (const nart__chunk *chunk = k->chunks; chunk; chunk = chunk->next)
            count_chunk(chunk, &out[c]);
    }
}

nart_res nart_rt_reserve_io(nart_rt *rt, uint32_t descriptors)
{
    nart_res r = nart__rt_check(rt);
    if (r == 0 && rt->first)
        r = NART_EDRIVER;
    return r ? r : nart__reactor_reserve(&rt->reactor, descriptors);
}

void nart__rt_report(nart_rt *rt, const char *fmt, ...)
{
    char line[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (rt->opts.report)
        rt->opts.report(rt->opts.report_arg, line);
    else
        fprintf(stderr, "%s\n", line);
}

void nart__rt_report_task(nart_rt *rt, const nart__task *t, const char *what)
{
    const nart_co *leaf = nart__task_body(t);

    if (leaf && leaf->site)
        nart__rt_report(rt, "%s: task %s %s (%s:%u)", rt->name, nart__short_name(t->type->name),
                        what, leaf->site->file, leaf->at & NART__CO_LINE);
    else /* a yield, or no body at all */
        nart__rt_report(rt, "%s: task %s %s", rt->name, nart__short_name(t->type->name), what);
}

/* ---- making and freeing ---- */

/* Slots at the start if there is no limit. */
static const uint32_t first_slots[NART_SLOT_CLASSES] = { 4096, 4096, 2048, 1024, 1024, 512, 256 };

/* The same in a group. */
static const uint32_t group_slots[NART_SLOT_CLASSES] = { 512, 512, 256, 128, 128, 64, 32 };

static const nart_rt_opts defaults = {
    .polls_per_tick = 64,
    .inbox_per_tick = 256,
    .timers_per_tick = 128,
    .events_per_tick = 256,
};

/* A limit per tick: 0 is the default. False: it is below the default. */
static bool at_least(uint32_t *value, uint32_t least)
{
    if (*value == 0)
        *value = least;
    return *value >= least;
}

/* The caller's options with every default filled in. */
static nart_res fill_in(nart_rt_opts *o, const nart_rt_opts *given)
{
    *o = (nart_rt_opts){ .size = sizeof *o };
    nart_res r = nart__sized_in(o, sizeof *o, given, offsetof(nart_rt_opts, reserved));
    if (r)
        return r;
    if (o->spin_ns < 0 || o->flags & ~(uint32_t)NART_RT_SPINNING)
        return -EINVAL;
    bool valid = at_least(&o->polls_per_tick, defaults.polls_per_tick) &&
                 at_least(&o->inbox_per_tick, defaults.inbox_per_tick) &&
                 at_least(&o->timers_per_tick, defaults.timers_per_tick) &&
                 at_least(&o->events_per_tick, defaults.events_per_tick);
    return valid ? 0 : -EINVAL;
}

/* Maps the first slots, and assigns the number of the mailbox. */
static nart_res make_slots(nart_rt *rt)
{
    uint32_t count[NART_SLOT_CLASSES], limit[NART_SLOT_CLASSES];

    for (int c = 0; c < NART_SLOT_CLASSES; c++) {
        uint32_t asked = rt->opts.slots[c];
        count[c] = asked ? asked : rt->first ? group_slots[c] : first_slots[c];
        limit[c] = asked ? asked : NART__SLOTS_MAX;
    }
    nart_res r = nart__slab_init(&rt->slab, sizeof(nart__task), count, limit);
    return r ? r : nart__slab_number(&rt->slab, &rt->mailbox);
}

/* With the options `o`, filled in; `first` as in nart_rt. */
static nart_res make(const nart_rt_opts *o, nart__task *first, nart_rt **out)
{
    int err = 0;
    nart_res r;

    (void)pthread_once(&fork_once, watch_forks);
    const nart_alloc *a = o->alloc ? o->alloc : &nart__alloc_std;
    nart_rt *rt = nart__alloc(a, sizeof *rt, 64);
    if (!rt)
        return -ENOMEM;
    memset(rt, 0, sizeof *rt);
    rt->alloc = *a;
    rt->opts = *o;
    rt->first = first;
    rt->fork_epoch = nart__forks;
    snprintf(rt->name, sizeof rt->name, "%s", o->name ? o->name : "nart");
    rt->ready.tail = &rt->ready.head;
    rt->urgent.tail = &rt->urgent.head;
    rt->tick_hooks.next = rt->tick_hooks.prev = &rt->tick_hooks;
    rt->exit_hooks.next = rt->exit_hooks.prev = &rt->exit_hooks;
    r = make_slots(rt);
    if (r)
        goto no_slab;
    rt->hub = nart__hub_open(rt->slab.total, &err);
    r = err;
    if (!rt->hub)
        goto no_hub;
    rt->reactor.fd = -1;
    if (!first) /* else descriptors are the driver's */
        r = nart__reactor_init(&rt->reactor, o->max_io, o->events_per_tick, rt->hub->efd,
                               &rt->hub->io_serial);
    if (r)
        goto no_reactor;
    rt->hub->rt = rt;
    rt->rung_before = NART__LOAD(&rt->hub->rung, NART__RELAXED); /* a count */
    nart__rt_set_observer(rt, NULL);
    if (nart__hub_is_forked(
            rt->hub)) /* a new hub; other threads may be reading those of the pool */
        rt->hub->fork_epoch = nart__forks;
    nart__post_open(rt->hub);
    rt->incarnation = nart__hub_incarnation(rt->hub);
    nart_driver_cx_init(&rt->cx, &nart__loop, rt->hub);
    rt->cx.now = nart__rt_now(rt);
    nart__wheel_init(&rt->wheel, rt->cx.now);
    *out = rt;
    return 0;

no_reactor:
    nart__hub_close(rt->hub);
no_hub:
    nart__slab_finish(&rt->slab);
no_slab:
    nart__free(a, rt, sizeof *rt, 64);
    return r;
}

nart_res nart_rt_new(const nart_rt_opts *opts, nart_rt **out)
{
    nart_rt_opts o;

    if (!out)
        return -EINVAL;
    *out = NULL;
    nart_res r = fill_in(&o, opts);
    return r ? r : make(&o, NULL, out);
}

nart_res nart__rt_new_group(nart__task *first, nart_rt **out)
{
    const nart_rt_opts given = { .size = sizeof given,
                                 .name = nart__short_name(first->type->name) };
    nart_rt_opts o;

    nart_res r = fill_in(&o, &given);
    return r ? r : make(&o, first, out);
}

/* ---- the order in which tasks end ---- */

/* Merges two lists, each from the last spawned task to the first. */
static nart__task *merge(nart__task *a, nart__task *b)
{
    nart__task *first, **end = &first;

    while (a && b) {
        nart__task **from = a->seq > b->seq ? &a : &b, *t = *from;
        *from = t->next;
        *end = t;
        end = &t->next;
    }
    *end = a ? a : b;
    return first;
}

/* The tasks whose state bits in `mask` equal `bits`, linked by `next`, from the last spawned to the first. A
 * merge sort without memory: lists[i] is empty, or has 2^i tasks. */
static nart__task *by_age(nart_rt *rt, uint32_t mask, uint32_t bits)
{
    nart__task *lists[32] = { NULL }, *all = NULL;
    uint32_t slot = 0;

    for (nart__task *t; (t = nart__rt_next(rt, &slot));) {
        int i = 0;
        if ((t->state & mask) != bits)
            continue;
        for (t->next = NULL; lists[i]; lists[i++] = NULL)
            t = merge(lists[i], t);
        lists[i] = t;
    }
    for (int i = 0; i < 32; i++)
        all = merge(all, lists[i]);
    return all;
}

/* Calls f for every slot that holds a task. */
static void each_task(nart_rt *rt, void (*f)(nart_rt *, nart__task *))
{
    uint32_t slot = 0;

    for (nart__task *t; (t = nart__rt_next(rt, &slot));)
        f(rt, t);
}

/* Takes a task that ended while it was on a ready list off that list. */
static void unlist_ended(nart_rt *rt, nart__task *t)
{
    if (!(t->state & NART__T_DONE) || !(t->state & NART__T_READY))
        return;
    t->state &= ~(uint32_t)NART__T_READY;
    nart__task_unlisted(rt, t);
}

/* Cancels and aborts all tasks, and queues them in order of age: the ready lists are rebuilt. */
static void ask_all(nart_rt *rt)
{
    each_task(rt, unlist_ended);
    nart__task *t = by_age(rt, NART__T_DONE, 0);
    rt->ready = (nart__run_queue){ NULL, &rt->ready.head };
    rt->urgent = (nart__run_queue){ NULL, &rt->urgent.head };
    if (rt->first) /* ends after the others: see end_first() */
        rt->first->state &= ~(uint32_t)NART__T_READY;
    for (nart__task *next; t; t = next) {
        bool was_ready = t->state & NART__T_READY;
        next = t->next;
        t->state |= NART__T_READY | NART__T_CANCELLED | NART__T_ABORTED;
        nart__run_queue_push(&rt->ready, t);
        if (rt->observer && !was_ready)
            rt->observer->woken(rt->observer, t, NART__BY_CALL);
    }
}

/* In a child of fork. No task to which this passes a turn is polled. */
static void leave_waits(nart_rt *rt, nart__task *t)
{
    (void)rt;
    nart__withdraw_all(t);
}

/* In a child of fork: frees what was allocated for the tasks. */
static void forget_all(nart_rt *rt)
{
    while (rt->begun)
        nart__task_abandon(rt, rt->begun->frame);
    each_task(rt, nart__task_forget);
}

/* A handle of a task that has ended outlives the runtime: counts it. */
static void count_held(nart_rt *rt, nart__task *t)
{
    rt->end.held++;
    nart__task_free(rt, t);
}

/* The driver's own task of a group, which was there before the others. */
static void end_first(nart_rt *rt)
{
    if (!rt->first || rt->first->state & NART__T_DONE)
        return;
    rt->first->state |= NART__T_CANCELLED | NART__T_ABORTED;
    nart__rt_ready(rt, rt->first);
    while (nart__any_ready(rt))
        rt->run(rt);
}

/* Ends every task. A drop function may commit tasks begun before: those have to end, too. */
static void end_all(nart_rt *rt)
{
    rt->end.cancelled = rt->live;
    do {
        ask_all(rt);
        while (nart__any_ready(rt)) /* ends: each poll ends its task, and none is begun */
            rt->run(rt);
        end_first(rt);
        nart__tasks_drop(rt, by_age(rt, NART__T_DONE | NART__T_DROPPED, NART__T_DONE));
    } while (nart__any_ready(rt));
    while (rt->begun)
        nart__task_abandon(rt, rt->begun->frame);
    each_task(rt, count_held);
    rt->end.cancelled -= rt->end.dropped;
}

/* Copies the counts that the caller's version knows. */
static void count_out(const nart_rt_end *end, nart_rt_end *out)
{
    if (!out)
        return;
    size_t size = out->size < sizeof *end ? out->size : sizeof *end;
    nart_rt_end copy = *end;
    copy.size = out->size;
    memcpy(out, &copy, size);
}

static uint32_t refuse(nart__post *list)
{
    uint32_t n = 0;

    for (nart__post *p = list, *next; p; p = next, n++) {
        next = nart__post_next(p);
        p->run(NULL, p);
    }
    return n;
}

/* Posts and wakes from other threads that no poll has seen: posts are refused, wakes ignored. Returns how
 * many. */
static uint32_t undelivered(nart_rt *rt)
{
    bool busy;
    uint32_t n = 0;

    for (uint32_t most = rt->hub->slots; most > 0; most--) {
        nart__rec *rec = nart__hub_pop(rt->hub, &busy);
        if (!rec)
            break;
        n += rec->slot != nart__rt_mailbox(rt);
    }
    n += refuse(rt->posted);
    n += refuse(nart__post_close(rt->hub));
    nart__hub_retire(rt->hub, nart__rt_mailbox(rt));
    return n;
}

nart_res nart_rt_free(nart_rt *rt)
{
    return nart_rt_free_counted(rt, NULL);
}

/* Ends what a runtime consists of, and frees it. */
static void finish(nart_rt *rt, bool forked, nart_rt_end *out)
{
    rt->running = true;
    nart__rt_set_idle(rt, false);
    rt->closing = rt->refusing = true;
    if (forked) {
        each_task(rt, leave_waits);
    } else {
        end_all(rt);
        rt->end.undelivered = undelivered(rt);
    }
    while (rt->exit_hooks.next != &rt->exit_hooks) {
        nart__exit_hook *g = rt->exit_hooks.next;
        nart__exit_hook_remove(g);
        g->rt_gone(g);
    }
    if (forked)
        forget_all(rt);
    nart__nursery_finish(rt);
    if (!rt->first)
        nart__reactor_finish(&rt->reactor, forked);
    if (forked)
        nart__hub_close_forked(rt->hub);
    else
        nart__hub_close(rt->hub);
    nart__slab_finish(&rt->slab);
    count_out(&rt->end, out);
    nart_alloc a = rt->alloc;
    nart__free(&a, rt, sizeof *rt, 64);
}

nart_res nart_rt_free_counted(nart_rt *rt, nart_rt_end *out)
{
    if (out && out->size < sizeof out->size)
        return NART_EABI;
    if (!rt) {
        count_out(&(nart_rt_end){ 0 }, out);
        return 0;
    }
    bool forked = rt->fork_epoch != nart__forks;
    nart_res r = forked ? 0 : nart__rt_check(rt);
    if (r)
        return r;
    if (rt->running || rt->dropping) /* also in a child: its task returns into this runtime */
        return -EDEADLK;
    finish(rt, forked, out);
    return 0;
}

void nart__rt_free_group(nart_rt *rt)
{
    nart__hub_unpark(rt->hub);
    finish(rt, rt->fork_epoch != nart__forks, NULL);
}

size_t nart_lib_trim(void)
{
    return nart__hub_trim();
}
