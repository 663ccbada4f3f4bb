/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/task.h
 * Tasks, wakers, spawning, joining, and the kit from which operations are made.
 *
 * A **task** is a type and a frame. The runtime calls `poll(cx, frame)`, the type's function, until that
 * answers something other than NART_PENDING, which ends the task. An **operation** is a plain function
 * that takes `cx` and a handle. It answers at once; or it registers the task, answers NART_PENDING, and
 * is called again when the task is polled again. A **body** is a function in sequential form that a poll
 * or another body calls (nart/co.h). A **scope** is a deadline for all operations that are called within
 * it (NART_AWAIT_FOR, nart_scope). Rules that hold for every operation:
 *
 *  1. A poll may be spurious: it may have no reason. Tasks and operations allow for that.
 *  2. Cancellation takes precedence over a value that is available; a deadline does not. Operations of a
 *     cancelled task answer `-ECANCELED` and take nothing: the body unwinds and returns. In a scope
 *     that has expired, an operation that would wait answers `-ETIMEDOUT` to the body that opened
 *     the scope, `-ECANCELED` to bodies below it. If several scopes have expired, the outermost
 *     counts. A task whose operations are always ready meets its deadlines, too: in the poll after one
 *     that spent its budget (rule 3), the first operation in an expired scope answers like that, even
 *     if a value is available. After 65,536 answers of -ECANCELED in one poll a cancelled task is
 *     dropped, and reported: it does not unwind.
 *  3. A poll has a budget of NART_BUDGET answers that are given without waiting. When it is spent, the
 *     next operation queues the task again and answers NART_PENDING. A shield does not renew the budget.
 *     Nor does a race, but arms after the one that spent it may give a few more answers each.
 *  4. After a poll a task waits exactly for the operations that answered NART_PENDING in that poll.
 *     Waits that the poll did not ask for again are withdrawn. What was reserved for such a wait (its
 *     turn: a value, a place, a permit) passes on to the next one.
 *  5. A task waits in a handle from the NART_PENDING answer until the operation answers something
 *     else, the race around it is decided, the handle is closed, or a poll of the task ends that did
 *     not call the operation. During this time the handle is not copied, moved or freed. The frame of
 *     a body that answered NART_PENDING stays in place for as long.
 *  6. An operation that is called outside of a poll answers -EPERM.
 *
 * Bodies in sequential form are written with nart/co.h on top of this.
 */
#ifndef NART_TASK_H
#define NART_TASK_H

#include "base.h"
#include "detail/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nart_rt nart_rt;

/** What a poll knows of its runtime. Opaque: pass it on to operations, and keep it nowhere. */
typedef struct nart_cx nart_cx;

typedef struct nart_co nart_co;
struct nart__task;
struct nart__hub;

/** Answers that the operations of one poll may give without waiting. */
#define NART_BUDGET 128

/* ---- task types ---------------------------------------------------------------------------- */

/** Polls a task. `frame` is the task's own memory. Answers NART_PENDING or the task's result. */
typedef nart_res (*nart_poll_fn)(nart_cx *cx, void *frame);

enum {
    NART_TASK_SEND = 1,  /**< the frame shares no plain memory with other tasks: tokio may run it */
    NART_TASK_URGENT = 2 /**< polled before the others, at most 16 per tick */
};

#define NART_TASK_ABI 1u

/**
 * A kind of task; constant, lives as long as its tasks. Made by NART_TASK_TYPE.
 *
 * The end of a task is not always its drop. A detached task, or one of a nursery, is dropped at its end.
 * One that is held by a join handle, or by a task set, is dropped when that is released. Until then its
 * frame stays, and so does every handle in it that is open.
 * So a body closes what other tasks wait for (a channel end, a permit, a token) before it ends. `drop`
 * is the safety net, for a task that ends while it waits. A parent that holds a child's join handle and
 * receives until NART_ECLOSED waits for ever if only the child's drop closes the sender.
 */
typedef struct nart_task_type {
    uint32_t abi;         /**< NART_TASK_ABI */
    uint32_t flags;       /**< NART_TASK_* */
    const char *name;     /**< shown by nart_rt_dump() and in reports */
    uint32_t size, align; /**< of the frame, in bytes; with an alignment above 64 the type is
                           *   refused: -EINVAL */
    nart_poll_fn poll;
    void (*drop)(void *frame); /**< the frame's destructor, or NULL. Runs exactly once, when the
                                *   frame's storage ends: at the task's end, or, if it is held,
                                *   at the release of its join handle. Must not await. Never
                                *   inside another drop of its runtime: what a drop releases is
                                *   dropped right after it. */
    const void *reserved[2];
} nart_task_type;

/** Initialiser of a nart_task_type for frames of type T. */
#define NART_TASK_TYPE(T, poll, drop) NART_TASK_TYPE_FLAGS(T, poll, drop, 0)
/** The same with NART_TASK_* flags. */
#define NART_TASK_TYPE_FLAGS(T, poll, drop, flags)                                                 \
    {                                                                                              \
        NART_TASK_ABI, (flags), #T, (uint32_t)sizeof(T), (uint32_t)NART__ALIGNOF(T), (poll),       \
            (drop),                                                                                \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/** Names a task for ever: ids never repeat within a runtime. Zero names none. */
typedef struct nart_task {
    uint32_t slot, gen;
} nart_task;

/* ---- wakers -------------------------------------------------------------------------------- */

/**
 * One machine word that wakes one task. Copied freely: no clone, no drop. Valid from any thread and
 * from signal handlers, also after the task and its runtime are gone; a stale waker costs at most
 * one spurious poll of another task. Zero wakes nobody.
 */
typedef struct nart_waker {
    uintptr_t w;
} nart_waker;

/** Anything else that can be woken: a waker made of one calls `wake` (see nart_waker_of()). The
 *  function runs on the waking thread, must only signal, and may take no lock. */
typedef struct nart_wakeable {
    void (*wake)(struct nart_wakeable *self);
} nart_wakeable;

/** The waker of the task that is being polled; outside of a poll, one that wakes nobody.
 *  **Thread**: the poller's. **Cost**: some loads; the task's later end is one locked instruction
 *  dearer. */
NART_API nart_waker nart_cx_waker(nart_cx *cx);

/** Wakes. Several wakes before the next poll cause one poll, which sees what was written before each.
 *  **Thread**: any, signal handlers included. **Cost**: one or two locked instructions; a write to
 *  an eventfd when the runtime is parked. */
NART_API void nart_waker_wake(nart_waker w);

/** A waker that calls `w->wake`. **Ownership**: `w` is the caller's and outlives every copy. */
static inline nart_waker nart_waker_of(nart_wakeable *w);

/** Asks for another poll of the running task after this one, behind the tasks that are ready now. */
static inline void nart_wake_self(nart_cx *cx);

/** Has the running task been asked to end? A shield hides it. */
static inline bool nart_cx_cancelled(const nart_cx *cx);

/* ---- joining ------------------------------------------------------------------------------- */

/**
 * A handle on a task's end. Zeroed = empty. Not copied; moved with nart_join_move().
 *
 * Which one awaits children?
 *
 * |                                 | for                   | a child's answer                         |
 * |---------------------------------|-----------------------|------------------------------------------|
 * | nart_join                       | one child             | nart_join_await(); more is in its frame, |
 * |                                 |                       | nart_join_frame()                        |
 * | nart_task_set (nart/task_set.h) | many, as they end     | nart_task_set_next(), and                |
 * |                                 |                       | nart_task_set_frame()                    |
 * | nart_nursery (nart/nursery.h)   | children that use the | only the first error; the rest through   |
 * |                                 | frame of their parent | pointers into the parent's frame         |
 */
typedef struct nart_join {
    /* private */
    nart__wait wait;
    struct nart__hub *hub;
    struct nart__task *task;
    uint64_t incarnation;
    uint32_t gen, used;
} nart_join;

/**
 * Awaits the end of a task.
 * A cancelled task that answers anything but -ECANCELED has ended by itself: that is its answer.
 * @return 0 and `*result` = the task's answer; NART_EABORTED: the task was cancelled and answered
 *   -ECANCELED, or was dropped while it was pending, or answered NART_EABORTED itself, and `*result` is
 *   unchanged; NART_EUSED: the answer has been taken; NART_ESTALE: empty handle, or the runtime is gone;
 *   NART_EDRIVER: a task of another runtime, or the caller's driver moves it between threads;
 *   -EBUSY: another task awaits this handle; -EDEADLK: its own task; -ECANCELED, -ETIMEDOUT: about
 *   the caller, the handle can be awaited again.
 * **Thread**: the runtime's own, inside a poll.
 */
NART_API NART_MUST_USE nart_res nart_join_await(nart_cx *cx, nart_join *j, nart_res *result);

/** The frame of a task that has ended, until its drop; NULL before the end or when empty. */
NART_API void *nart_join_frame(nart_join *j);

/** Has the task ended? False for an empty handle. */
NART_API bool nart_join_done(const nart_join *j);

/** The id of the task, for cancel and abort. Zero when empty. */
NART_API nart_task nart_join_task(const nart_join *j);

/** Releases the handle and empties `*j`. The frame of a task that has ended is dropped now; a task that
 *  runs is detached. Inside a drop function of the same runtime the frame is dropped after that
 *  function has returned: memory that both use must stay until then. NULL, empty and released handles
 *  are fine, and so is a handle that outlives its runtime. **Cost**: constant stack, however many tasks
 *  this ends, one by the drop of the other. */
NART_API void nart_join_release(nart_join *j);

/** Moves a handle that nobody waits in; `*src` becomes empty. */
NART_API void nart_join_move(nart_join *dst, nart_join *src);

/* ---- spawning ------------------------------------------------------------------------------ */

/**
 * Begins a task whose frame the caller fills in before nart_spawn_commit().
 * @return the frame, zeroed; or NULL and `*err` (`err` may be NULL): NART_ESLOTS as many tasks of this
 *   size exist as nart_rt_opts.slots allows; -ENOMEM no memory for more slots; NART_EFRAME the frame is
 *   larger than the largest slot (see nart_spawn_boxed_begin()); -EINVAL no valid type, or one aligned to
 *   more than 64 bytes; NART_EABI; NART_ESHUTDOWN; NART_EDRIVER.
 * **Ownership**: the frame must be committed or abandoned before the poll returns.
 * **Cost**: no allocation while slots are left; else it maps more, see nart_rt_reserve().
 */
NART_API NART_MUST_USE void *nart_spawn_begin(nart_cx *cx, const nart_task_type *type,
                                              nart_res *err);

/** The same with a frame of any size from the runtime's allocator: -ENOMEM also when that has no memory.
 *  Besides, the task takes a slot of the smallest size. **Cost**: one allocation, the frame's. */
NART_API NART_MUST_USE void *nart_spawn_boxed_begin(nart_cx *cx, const nart_task_type *type,
                                                    nart_res *err);

/**
 * Makes the task ready. It is polled later, never inside this call.
 * @param out its join handle, empty or zeroed before; NULL detaches the task.
 * @return 0; -EINVAL `frame` is not one that was begun here and is neither committed nor abandoned;
 *   NART_EDRIVER. For the task's id see nart_join_task().
 * **Cost**: O(log n) of the frames that are begun, in whatever order they are committed.
 */
NART_API nart_res nart_spawn_commit(nart_cx *cx, void *frame, nart_join *out);

/** Takes back a task that was begun. Its drop does not run: what was filled in is the caller's again. */
NART_API void nart_spawn_abandon(nart_cx *cx, void *frame);

/** Begin, copy `init` (NULL: zeros), commit. @return 0 or the errors of nart_spawn_begin().
 *  **Ownership**: what `*init` refers to passes to the task on success, stays the caller's
 *  otherwise. */
NART_API NART_MUST_USE nart_res nart_spawn(nart_cx *cx, const nart_task_type *type,
                                           const void *init, nart_join *out);

/** nart_spawn() with a frame of any size from the runtime's allocator. */
NART_API NART_MUST_USE nart_res nart_spawn_boxed(nart_cx *cx, const nart_task_type *type,
                                                 const void *init, nart_join *out);

/* ---- ending others -------------------------------------------------------------------------- */

/** Asks a task to end: its operations answer -ECANCELED from its next poll on, those of the running
 *  task itself at once.
 *  @return 0; NART_ESTALE when it has ended; -EINVAL no runtime; NART_EWRONGTHREAD, NART_EFORK. */
NART_API nart_res nart_task_cancel(nart_rt *rt, nart_task t);

/** As nart_task_cancel(), but the task has one more poll only: it is dropped if that answers NART_PENDING.
 *  That poll is never inside this call. The frame is dropped after it, or at the release of the task's join
 *  handle. A join answers NART_EABORTED then, unless the task ended by itself.
 *  @return as nart_task_cancel(). */
NART_API nart_res nart_task_abort(nart_rt *rt, nart_task t);

/** The id of the task that is being polled; zero outside of a poll. */
NART_API nart_task nart_cx_task(const nart_cx *cx);

/* ---- deadline scopes for hand-written polls ------------------------------------------------- */

/** A scope around operations of a hand-written poll. It is on the C stack: each poll enters it again, with
 *  the absolute deadline that is kept in the frame, and leaves it before it returns. */
typedef struct nart_scope {
    /* private */
    struct nart_scope *up;
    const nart_co *co;
    int64_t deadline, outer;
} nart_scope;

/** Opens a scope around the operations that are called before nart_scope_leave(). */
static inline void nart_scope_enter(nart_cx *cx, nart_scope *s, int64_t deadline);

/** Closes the scope. @return `r`, the answer of the operation, or -ETIMEDOUT if the scope's deadline cut
 *  that short. */
static inline nart_res nart_scope_leave(nart_cx *cx, const nart_scope *s, nart_res r);

/* ---- the kit: how an operation of your own is made ------------------------------------------ */

/**
 * First line of every operation. An operation that waits for a flag that another task sets:
 *
 *     static nart_res flag_await(nart_cx *cx, struct flag *f)
 *     {
 *         nart_res r = nart_op_enter(cx);
 *         if (r != 0 || f->set)
 *             return r;
 *         f->waker = nart_cx_waker(cx);       // the task that sets the flag wakes this one
 *         return nart_op_park(cx);
 *     }
 *
 * @return 0: go on; else the answer to return at once: -ECANCELED,
 * -ETIMEDOUT, NART_PENDING when the budget is spent (the task has been queued again), or -EPERM.
 */
static inline nart_res nart_op_enter(nart_cx *cx);

/**
 * Last line of an operation that found nothing ready and has stored a waker, or called
 * nart_wake_self(). @return NART_PENDING; -ETIMEDOUT or -ECANCELED when a scope has expired: then
 * the operation has ended, and may not be called again; -EPERM.
 */
NART_API nart_res nart_op_park(nart_cx *cx);

/** The same with a deadline of the operation's own: the task is polled again at `at` at the latest.
 *  Used by sleeps. @return as nart_op_park(). */
NART_API nart_res nart_op_park_until(nart_cx *cx, int64_t at);

#ifdef __cplusplus
}
#endif

#include "detail/task.h"

#endif
