/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runtime.h: what a runtime consists of. For core and the rooms above it. After the types, a section per
 * .c file of this room. */
#ifndef NART_CORE_RUNTIME_H
#define NART_CORE_RUNTIME_H

#include "../base/alloc.h"
#include "../base/sized.h"
#include "../base/slab.h"
#include "../base/thread.h"
#include "../reactor/reactor.h"
#include "../sys.h"
#include "../wait/wait.h"
#include "hub.h"
#include "post.h"
#include "timer_wheel.h"

#include <nart/rt.h>

/* ---- types ---- */

/* Ready tasks, first in, first out. */
typedef struct nart__run_queue {
    nart__task *head, **tail;
} nart__run_queue;

/* A check that runs once per tick: of the ring of a spinning receiver, or of a ring from which values
 * were taken since. It stays until it removes itself. */
typedef struct nart__tick_hook {
    struct nart__tick_hook *next, *prev;
    void (*look)(struct nart__tick_hook *w);
} nart__tick_hook;

/* An object that can outlive the runtime: called when the runtime is freed. */
typedef struct nart__exit_hook {
    struct nart__exit_hook *next, *prev;
    void (*rt_gone)(struct nart__exit_hook *g);
} nart__exit_hook;

enum { NART__CLOCK_RUNS, NART__CLOCK_PAUSED, NART__CLOCK_AUTO };

/* The clock of a runtime; see clock.c. */
typedef struct nart__clock {
    uint32_t mode;
    int64_t skew; /* while it runs: how far it is ahead of the system's clock */
    int64_t at;   /* while it is stopped: its time */
} nart__clock;

/* Why a task becomes ready. */
typedef enum nart__cause {
    NART__BY_CALL, /* by the running task; by an event or the program when no task runs */
    NART__BY_SPAWN,
    NART__BY_INBOX,
    NART__BY_TIMER,
    NART__BY_ITSELF
} nart__cause;

/* Notified of each poll and of each task that becomes ready; see observe/. It can be added and removed
 * inside a poll. */
typedef struct nart__observer {
    void (*begins)(struct nart__observer *o, nart__task *t);
    void (*ends)(struct nart__observer *o, nart__task *t); /* `t` may be freed by then */
    void (*woken)(struct nart__observer *o, const nart__task *t, nart__cause cause);
} nart__observer;

/* Holds a task instead of a join handle: for a nursery, or for another thread. */
typedef struct nart__keeper {
    nart__wait wait; /* the task's joiner; no task waits in it */
    const struct nart__keeper_ops *ops;
} nart__keeper;

struct nart__keeper_ops {
    void (*ended)(nart_rt *rt, nart__keeper *k,
                  nart_res r);                    /* the task has answered r and was freed */
    void (*forget)(nart_rt *rt, nart__keeper *k); /* in a child of fork, instead */
};

/* What the watches of a runtime share; see watcher.c. */
typedef struct nart__watches {
    nart__exit_hook exit_hook; /* first */
    nart_rt *rt;
    struct nart_watch *first;
    uint64_t called; /* the tick of the last callback, plus one */
    uint64_t rang;   /* of the last for an alarm */
    nart__wheel alarms;
} nart__watches;

struct nart_rt {
    nart_cx cx; /* first: a task's owner is the address of its runtime */
    nart__run_queue ready, urgent;
    nart__hub *hub;
    uint32_t live;       /* tasks that have not ended */
    uint32_t background; /* of these, in the background */
    uint32_t unlooked;   /* polls since descriptors were checked */
    bool closing, stopped, running;
    bool refusing;     /* accepts no new tasks: shutting down, or closing */
    bool embedded;     /* a host waits on the backend descriptor */
    bool idle;         /* embedded, and the host may be waiting now */
    bool has_listener; /* idle or observed: a task that becomes ready has to be reported */
    uint32_t (*run)(nart_rt *rt); /* polls ready tasks, within the limits of a tick: how many */
    nart__observer *observer;     /* or NULL */
    nart__clock clock;
    nart__wheel wheel;
    nart__slab slab;
    uint32_t mailbox;
    nart__reactor reactor;
    nart__tick_hook tick_hooks;    /* list head */
    nart__exit_hook exit_hooks;    /* list head */
    struct nart__watches *watches; /* NULL: it had none */
    struct nart__ward *wards;      /* for tasks in nurseries; see nursery.c */
    nart__task *drops; /* whose drop has to run, in this order, by `right`; see task.c */
    nart__task *last_drop;
    bool dropping;      /* a drop function runs */
    nart__task *begun;  /* begun and not yet committed: a tree, see task.c */
    nart__post *posted; /* taken from the mailbox and not run yet, oldest first */
    uint64_t post_tick; /* in which `posts` have been run: a tick checks more than once */
    uint32_t posts;
    nart__waitq awaiting_shutdown;
    void (*mailed)(nart_rt *rt); /* called whenever the mailbox is woken; or NULL */
    nart_rt_opts opts;           /* with every default filled in */
    nart_alloc alloc;
    nart_rt_stats stats;
    uint64_t rung_before; /* of the hub, when this runtime took it */
    nart_rt_end end;
    NART__ATOMIC(uintptr_t) thread; /* that it is bound to; 0: none yet */
    unsigned fork_epoch;
    nart__task *first;    /* of a group: the driver's own task; NULL: a runtime with a loop */
    uint64_t incarnation; /* of the hub, when this runtime took it */
    struct nart__stacks *stacks; /* of its fibers; NULL: it had none */
    /* How much of its stack, of `*size` bytes, a task has ever used; false: it has none. NULL as above. */
    bool (*stack_used)(const nart__task *t, size_t *used, size_t *size);
    struct nart_resolver *resolver; /* its own; NULL: not made yet. See names/ */
    void (*moved)(void);            /* called on the thread to which it was bound; NULL as above */
    char name[32];
};

/* ---- loop.c: the loop as a driver ---- */

extern const nart_driver nart__loop;

static inline nart_rt *nart__rt_of(nart__task *t)
{
    return (nart_rt *)(void *)t->owner;
}

/* The runtime that polls; under another driver that of the task's group, or NULL. */
static inline nart_rt *nart__cx_rt(const nart_cx *cx)
{
    return NART_LIKELY(cx->drv == &nart__loop) ? (nart_rt *)(uintptr_t)cx : cx->group;
}

/* The runtime of a handle's id. A handle can outlive its runtime. Then its hub may belong to another runtime, on another
 * thread: NULL. */
nart_rt *nart__loop_io_rt(void *host, uint64_t id);

/* nart_driver.io_add of the loop: see nart__reactor_add(). */
nart_res nart__loop_io_add(void *host, int fd, uint32_t dirs, uint64_t *id);
/* nart_driver.io_del of the loop, for a connect: see nart__reactor_leave(). `handle` may be NULL. */
nart_res nart__loop_io_leave(void *host, uint64_t id, const void *handle, int *fd);
/* See nart__reactor_awaited(), nart__reactor_keep(). */
bool nart__loop_io_awaited(void *host, uint64_t id);
void nart__loop_io_keep(void *host, uint64_t id, int fd_plus_one);

/* ---- loop.c: ticks ---- */

/* Polls ready tasks, within the limits of a tick. @return the number of polls. */
uint32_t nart__run_ready(nart_rt *rt);

/* One tick of a group: what was woken, timers, polls. The driver waits for it. */
void nart__rt_turn(nart_rt *rt);

/* What the loop does after a poll that returned r. */
void nart__rt_after_poll(nart_rt *rt, nart__task *t, nart_res r);

/* Are there tasks for which a run continues? */
static inline bool nart__rt_has_tasks(const nart_rt *rt)
{
    return rt->live != rt->background;
}

/* Has another thread sent what no tick has taken? It may become a task. Wakes of existing tasks do not count:
 * those of background tasks may never end. */
static inline bool nart__rt_has_posts(const nart_rt *rt)
{
    return rt->posted || nart__post_any(rt->hub) ||
           (!rt->refusing && nart__hub_ended(rt->hub, rt->incarnation));
}

/* NULL: none any more. */
void nart__rt_set_observer(nart_rt *rt, nart__observer *o);

/* The slot number that wakes the mailbox; no task has it. */
static inline uint32_t nart__rt_mailbox(const nart_rt *rt)
{
    return rt->mailbox;
}

/* ---- wake.c: every way in which a task of the loop becomes ready ---- */

static inline void nart__run_queue_push(nart__run_queue *l, nart__task *t)
{
    t->next = NULL;
    *l->tail = t;
    l->tail = &t->next;
}

static inline nart__task *nart__run_queue_pop(nart__run_queue *l)
{
    nart__task *t = l->head;
    l->head = t->next;
    if (!l->head)
        l->tail = &l->head;
    return t;
}

static inline bool nart__any_ready(const nart_rt *rt)
{
    return rt->ready.head || rt->urgent.head;
}

/* Pushes an urgent task onto its own queue; notifies an idle host and the observer of any task. */
NART__COLD void nart__rt_enqueue_slow(nart_rt *rt, nart__task *t, nart__cause cause);

/* Pushes a task onto a ready queue. The caller has set NART__T_READY. */
static inline void nart__rt_enqueue(nart_rt *rt, nart__task *t, nart__cause cause)
{
    if (NART_UNLIKELY(t->state & NART__T_URGENT || rt->has_listener))
        nart__rt_enqueue_slow(rt, t, cause);
    else
        nart__run_queue_push(&rt->ready, t);
}

/* Makes a task of this loop ready. False: it was ready, or has ended. */
static inline bool nart__rt_ready_by(nart_rt *rt, nart__task *t, nart__cause cause)
{
    if (t->state & (NART__T_READY | NART__T_DONE))
        return false;
    t->state |= NART__T_READY;
    nart__rt_enqueue(rt, t, cause);
    return true;
}

static inline void nart__rt_ready(nart_rt *rt, nart__task *t)
{
    (void)nart__rt_ready_by(rt, t, NART__BY_CALL);
}

static inline void nart__rt_set_idle(nart_rt *rt, bool idle)
{
    rt->idle = idle;
    rt->has_listener = idle || rt->observer;
}

/* ---- group.c ---- */

/* Makes the group of the running task of another driver: 0 and *rt; NART_EDRIVER the driver serves none;
 * -ENOMEM no memory or no descriptor. */
NART__COLD nart_res nart__group_make(nart_cx *cx, nart_rt **rt);

/* The runtime that polls, which is made if need be. 0 or the errors of nart__group_make(). */
static inline nart_res nart__cx_rt_made(nart_cx *cx, nart_rt **rt)
{
    *rt = nart__cx_rt(cx);
    return NART_LIKELY(*rt != NULL) ? 0 : nart__group_make(cx, rt);
}

/* ---- watcher.c ---- */

/* Calls a watch; not in the child that a callback of the same look has forked. Afterwards the watch may have been
 * freed. */
void nart__watch_call(nart_watch *w, uint32_t events);

/* Calls the watches whose alarms are due at rt->cx.now, once per tick. The runtime has had a watch. */
NART__COLD void nart__alarms_fire(nart_rt *rt);

/* The time of the first alarm, or NART_NEVER. Visits all watches. */
int64_t nart__alarms_first(const nart_rt *rt);

/* When timers and alarms must be looked at again; NART_NEVER: there are none. */
static inline int64_t nart__rt_next_timer(const nart_rt *rt)
{
    int64_t timer = nart__wheel_next(&rt->wheel);

    if (NART_LIKELY(!rt->watches))
        return timer;
    int64_t alarm = nart__wheel_next(&rt->watches->alarms);
    return alarm < timer ? alarm : timer;
}

/* ---- clock.c ---- */

static inline int64_t nart__rt_now(const nart_rt *rt)
{
    return NART_LIKELY(rt->clock.mode == NART__CLOCK_RUNS) ? nart__sys_now() + rt->clock.skew
                                                           : rt->clock.at;
}

/* No task is ready: advances the clock to the next deadline, if nothing but time can make one ready.
 * False: the clock cannot advance by itself. */
bool nart__clock_jump(nart_rt *rt);

/* The next deadline by the system's clock, as nart_rt_next_deadline(). */
int64_t nart__clock_next(const nart_rt *rt);

/* ---- runtime.c: threads and forks ---- */

/* 0, or the reason why this call is not allowed on this thread now. */
nart_res nart__rt_check(const nart_rt *rt);

/* Binds the runtime to the calling thread. Relaxed: any thread may ask whether the runtime is its own;
 * the answer can be yes only on the thread that wrote it. */
static inline void nart__rt_bind(nart_rt *rt)
{
    if (NART__LOAD(&rt->thread, NART__RELAXED) != nart__self_thread())
        NART__STORE(&rt->thread, nart__self_thread(), NART__RELAXED);
}

/* Is the caller in a child of the process that opened this hub? Any thread. */
bool nart__hub_is_forked(const nart__hub *hub);

/* A different number in a child of fork. */
unsigned nart__fork_epoch(void);

/* ---- runtime.c: groups ---- */

/* A runtime without a loop, for the group of this task; and its end: every task is ended as by
 * nart_rt_free(), `first` last. */
nart_res nart__rt_new_group(nart__task *first, nart_rt **out);
void nart__rt_free_group(nart_rt *rt);

/* ---- runtime.c: hooks, shutdown, reports ---- */

void nart__tick_hook_add(nart_rt *rt, nart__tick_hook *w);
void nart__tick_hook_remove(nart__tick_hook *w);
void nart__exit_hook_add(nart_rt *rt, nart__exit_hook *g);
void nart__exit_hook_remove(nart__exit_hook *g);

/* Accepts no new tasks from here on, and wakes the tasks that await the shutdown. */
void nart__rt_shutdown(nart_rt *rt);

/* Passes a line to opts.report, or to standard error. `fmt` begins with the runtime's name. */
void nart__rt_report(nart_rt *rt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same about a task: its name, `what`, and the line at which its body waits. */
void nart__rt_report_task(nart_rt *rt, const nart__task *t, const char *what);

/* ---- task.c: slots ---- */

/* The task of an id, or NULL when it has ended. */
nart__task *nart__rt_task(const nart_rt *rt, nart_task id);

/* From now on the keeper is the task's only holder. The task was spawned with a join handle. */
static inline void nart__task_keep(nart__task *t, nart__keeper *k)
{
    t->joiner = &k->wait;
    t->state = (t->state & ~(uint32_t)NART__T_HELD) | NART__T_KEPT;
}

/* The task in a slot, or NULL when it is free. */
nart__task *nart__rt_slot(const nart_rt *rt, uint32_t slot);

/* The first task in a slot from `*slot` on, or NULL; sets `*slot` to the slot after it. Visits only slots
 * that were used before: the others cost nothing. */
nart__task *nart__rt_next(const nart_rt *rt, uint32_t *slot);

/* ---- task.c: a task whose frame the caller writes ---- */

/* A slot for a task of this type; or NULL and *err. The caller writes the frame, and starts the task. */
nart__task *nart__task_take(nart_rt *rt, const nart_task_type *type, uint32_t *state,
                            nart_res *err);
void nart__task_start(nart_rt *rt, nart__task *t, uint32_t state, nart_join *out);

/* ---- task.c: the end of a task ---- */

/* Can a task of this type be made? 0, -EINVAL or NART_EABI. Any thread. */
nart_res nart__task_type_check(const nart_task_type *type);

/* Takes a begun task back. */
void nart__task_abandon(nart_rt *rt, void *frame);

/* Cancels a task of this runtime, which may be the running one. */
void nart__task_cancel(nart_rt *rt, nart__task *t);

/* Ends a task with its answer, or with NART_EABORTED if it is dropped: its waits, its join, its frame. */
void nart__task_finish(nart_rt *rt, nart__task *t, nart_res r);

/* A task that has ended was removed from the ready queue: frees its slot if nothing holds it. */
void nart__task_unlisted(nart_rt *rt, nart__task *t);

/* Runs the drops of tasks that have ended, in this order, by `next`. Holders can still ask for the
 * answers. */
void nart__tasks_drop(nart_rt *rt, nart__task *first);

/* Frees the slot of a task that was dropped, or never begun. */
void nart__task_free(nart_rt *rt, nart__task *t);

/* In a forked child: frees what was allocated for a task beside its slot. The task is not used again. */
void nart__task_forget(nart_rt *rt, nart__task *t);

/* Drops the frame of a task that was never spawned; `rt` is NULL when its runtime was freed. */
void nart__frame_drop(nart_rt *rt, const nart_task_type *type, void *frame);

/* The allocated size of a boxed frame: never 0. */
static inline size_t nart__box_size(const nart_task_type *type)
{
    return type->size ? type->size : 1;
}

/* A body in which a task waits, the last one that parked; NULL: none. */
static inline const nart_co *nart__task_body(const nart__task *t)
{
    return nart__co_body(t->leaf ? t->leaf : t->waits ? t->waits->co : NULL);
}

/* The task of a handle. NULL when the handle is empty, or its runtime or the task was freed: a held task
 * is not freed, but another copy of the handle may have been released. */
static inline nart__task *nart__join_task(const nart_join *j)
{
    return j->hub && nart__hub_incarnation(j->hub) == j->incarnation && j->task->gen == j->gen
               ? j->task
               : NULL;
}

/* ---- nursery.c; see also wait.h ---- */

/* A task has answered r. True: it has nurseries with running tasks, and is polled until those have
 * ended. */
bool nart__nursery_holds(nart__task *t, nart_res r);

/* The runtime is freed. */
void nart__nursery_finish(nart_rt *rt);

/* ---- task_set.c ---- */

/* A task of a set has ended: t->res. */
void nart__task_set_ended(nart__task *t);

#endif
