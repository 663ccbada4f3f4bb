/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/task.h
 * Tasks: types, wakers, spawning, joining and cancelling; and how to write an operation.
 *
 * A **task** is a type and a frame. The runtime calls the type's function `poll(cx, frame)` until it answers;
 * that ends the task. An **operation** is a function that takes `cx` and a handle. It answers at once; or it
 * registers the task and returns NART_PENDING, which is not an answer, and is called again when the task is
 * polled again. A **body** is a function in sequential form that a poll or another body calls (nart/co.h): a
 * body is *below* the one that awaits it. A **scope** is a deadline for all operations that are called within
 * it (NART_AWAIT_FOR, nart_scope). An error code without an explanation has the meaning that nart/base.h gives
 * it. Rules for every operation:
 *
 *  1. A poll may be spurious: tasks and operations must tolerate a poll without a cause.
 *  2. Cancellation takes precedence over an available value; a deadline does not. Operations of a cancelled
 *     task answer `-ECANCELED` and consume nothing: the body unwinds and returns. In an expired scope, an
 *     operation that would wait answers `-ETIMEDOUT` to the body that opened the scope, `-ECANCELED` to
 *     bodies below it. If several scopes have expired, the outermost counts. Deadlines also end a task whose
 *     operations are always ready: in the poll after one that spent its budget (rule 3), the first operation
 *     in an expired scope answers as above, even if a value is available. A cancelled task that continues
 *     regardless (65,536 answers of -ECANCELED in one poll) is dropped and reported.
 *  3. A poll has a budget of NART_BUDGET answers that are given without waiting. When it is spent, the next
 *     operation queues the task again and returns NART_PENDING. A shield does not renew the budget. Nor does
 *     a race, but each arm after the one that spent it may give a few more answers. An error that an await gets
 *     costs an answer even if its operation had found nothing to do: a closed handle, a bad argument; and one more in
 *     each body that passes it on. So a task that awaits in a loop, whatever fails there, lets others run.
 *  4. After a poll a task waits for exactly the operations that returned NART_PENDING in that poll. Older
 *     waits are withdrawn. What was reserved for a withdrawn wait (its turn: a value, a slot, a permit)
 *     passes to the next waiter.
 *  5. A task waits in a handle from NART_PENDING until the operation answers, the race around it is decided,
 *     or a poll of the task ends without a call of the operation. During this time do not copy, move or free
 *     the handle, nor the frame of a body that returned NART_PENDING. To close the handle wakes the task, whose
 *     operation looks at it once more: it stays where it is until that task has run. After the answer
 *     the handle may be closed and freed at once, and moved by its move function. Its bytes may be copied
 *     (into the frame of a task or a value) from the next poll on: see NART_TASK_TYPED in nart/rt.h.
 *  6. An operation that is called outside of a poll answers -EPERM.
 */
#ifndef NART_TASK_H
#define NART_TASK_H

#include "base.h"
#include "detail/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A runtime: see nart/rt.h. */
typedef struct nart_rt nart_rt;

/** The context of a poll. Opaque: pass it to operations, and do not store it. */
typedef struct nart_cx nart_cx;

/** The state of a body: see nart/co.h. */
typedef struct nart_co nart_co;
struct nart__task;
struct nart__hub;

/** The number of answers that the operations of one poll may give without waiting. */
#define NART_BUDGET 128

/* ---- task types ---------------------------------------------------------------------------- */

/** A poll function. `frame` is the task's memory. Returns NART_PENDING or answers the task's result. */
typedef nart_res (*nart_poll_fn)(nart_cx *cx, void *frame);

enum {
    NART_TASK_SEND = 1,   /**< tokio may run it: the frame shares no plain memory with other tasks,
                          *   except those that it spawns */
    NART_TASK_URGENT = 2, /**< polled before other tasks, at most 16 per tick */
    NART_TASK_BACKGROUND = 4 /**< begins in the background: see nart_task_set_background() */
};

#define NART_TASK_ABI 1u /**< version of the layout of a nart_task_type */

/**
 * A type of tasks. Constant; must live as long as its tasks. Initialise it with NART_TASK_TYPE, or with
 * NART_TASK_TYPED (nart/rt.h), which also defines typed functions that spawn.
 *
 * A task may end long before its frame is dropped. A detached task, or a task of a nursery, is dropped when it
 * ends. A task that is held by a join handle or a task set is dropped when that is released. Until then its
 * frame stays, and every open handle in it stays open. So close or release in the body, before it ends, what
 * other tasks wait for (a channel end, a permit, a token). `drop` covers a task that ends while it waits.
 * A parent that holds a child's join handle and receives until NART_ECLOSED waits for ever if only the
 * child's drop closes the sender.
 */
typedef struct nart_task_type {
    uint32_t abi;              /**< NART_TASK_ABI */
    uint32_t flags;            /**< NART_TASK_* */
    const char *name;          /**< shown by nart_rt_dump() and in reports */
    uint32_t size, align;      /**< of the frame, in bytes; `align` is a power of two, at most 64 */
    nart_poll_fn poll;         /**< called for each poll */
    void (*drop)(void *frame); /**< the frame's destructor, or NULL. Called exactly once, before
                                *   the frame is freed: at the task's end, or, if it is held, at
                                *   the release of its join handle. Must not await. Drops of one
                                *   runtime do not nest: a frame that a drop releases is dropped
                                *   right after it. */
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

/** The id of a task. Ids are never reused within a runtime. Zero: no task. */
typedef struct nart_task {
    /* private */
    uint32_t slot, gen;
} nart_task;

/* ---- wakers -------------------------------------------------------------------------------- */

/**
 * Wakes one task. A waker is one machine word: it may be copied and needs no release. It is valid on any
 * thread and in signal handlers, also after the task and its runtime are freed. A stale waker causes at most
 * one spurious poll of another task. Zero wakes no task.
 */
typedef struct nart_waker {
    /* private */
    uintptr_t w;
} nart_waker;

/** An object of your own that a waker can wake: see nart_waker_of(). `wake` runs on the waking thread. It
 *  must only signal, and must not take a lock. */
typedef struct nart_wakeable {
    void (*wake)(struct nart_wakeable *self); /**< signals the object */
} nart_wakeable;

/** The waker of the task that is being polled; outside of a poll, one that wakes no task.
 *  **Thread**: the poller's. **Cost**: a few loads, and one locked instruction when the task ends. */
NART_API nart_waker nart_cx_waker(nart_cx *cx);

/** Wakes the task. Several wakes before its next poll cause one poll, which sees what was written before
 *  each of them. **Thread**: any, signal handlers included. **Cost**: one or two locked instructions; a
 *  write to an eventfd if the runtime is parked. */
NART_API void nart_waker_wake(nart_waker w);

/** Makes a waker that calls `w->wake`. **Ownership**: `w` is the caller's and must outlive every copy. */
static inline nart_waker nart_waker_of(nart_wakeable *w);

/** Requests another poll of the running task, after the tasks that are ready now. */
static inline void nart_wake_self(nart_cx *cx);

/** Is the running task cancelled, or stopped by NART_STOP? A shield hides both. */
static inline bool nart_cx_cancelled(const nart_cx *cx);

/* ---- joining ------------------------------------------------------------------------------- */

/**
 * A handle of a task, to await its end. Zeroed = empty. Do not copy it; move it with nart_join_move().
 *
 * How to await children:
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
 * Waits for the end of the task. A cancelled task that answers anything but -ECANCELED has ended by itself:
 * that is its answer.
 * @return 0 and `*result` (may be NULL) = the task's answer; NART_EABORTED: the task was cancelled and answered
 *   -ECANCELED, or was dropped while it was pending, or answered NART_EABORTED itself, and `*result` is
 *   unchanged; NART_EUSED: the answer was taken before; NART_ESTALE: empty handle, or the runtime was freed;
 *   NART_EDRIVER: a task of another runtime;
 *   -EBUSY: another task awaits this handle; -EDEADLK: its own task; -ECANCELED, -ETIMEDOUT: about
 *   the caller, the handle can be awaited again.
 * **Thread**: the runtime's own, inside a poll; `cx` is never NULL.
 */
NART_API NART_MUST_USE nart_res nart_join_await(nart_cx *cx, nart_join *j, nart_res *result);

/** The frame of a task that has ended, valid until its drop. NULL before the end, or if the handle is
 *  empty. */
NART_API void *nart_join_frame(nart_join *j);

/** Has the task ended? False for an empty handle. */
NART_API bool nart_join_done(const nart_join *j);

/**
 * Reads the answer of a task that has ended, also outside of polls: after nart_rt_run(), for example. It can be read
 * again, and awaited.
 * @return 0 and `*result` = the task's answer; NART_EABORTED as nart_join_await(); -EAGAIN it has not ended;
 *   NART_ESTALE empty handle, or the runtime was freed; -EINVAL no `result`.
 * **Thread**: the runtime's own.
 */
NART_API NART_MUST_USE nart_res nart_join_result(const nart_join *j, nart_res *result);

/** The id of the task, for nart_task_cancel() and nart_task_abort(). Zero if the handle is empty. */
NART_API nart_task nart_join_task(const nart_join *j);

/** Releases the handle and empties `*j`. If the task has ended, its frame is dropped now; if not, the task is
 *  detached. Inside a drop function of the same runtime the frame is dropped after that function returns:
 *  memory that both use must stay until then. NULL and empty handles are fine, and so is a handle that
 *  outlives its runtime. **Cost**: constant stack, even if the dropped frame holds the handle of another
 *  task, and so on. */
NART_API void nart_join_release(nart_join *j);

/** Moves a handle in which no task waits; `*src` becomes empty. */
NART_API void nart_join_move(nart_join *dst, nart_join *src);

/* ---- spawning ------------------------------------------------------------------------------ */

/**
 * Begins to spawn a task. Fill in its frame, then call nart_spawn_commit().
 * @return the frame, zeroed; or NULL and `*err` (`err` may be NULL): NART_ESLOTS nart_rt_opts.slots tasks
 *   of this size exist; -ENOMEM no memory for more slots; NART_EFRAME the frame is larger than the largest
 *   slot (see nart_spawn_boxed_begin()); -EINVAL an invalid type or alignment;
 *   NART_EABI; NART_ESHUTDOWN; NART_EDRIVER the driver's tasks do not spawn.
 * **Ownership**: the frame must be committed or abandoned before the poll returns.
 * **Cost**: no allocation while a slot is free; otherwise more are mapped, see nart_rt_reserve(). On tokio the
 * first spawn of a task makes a runtime for what it spawns, see nart_tokio_spawn_task().
 */
NART_API NART_MUST_USE void *nart_spawn_begin(nart_cx *cx, const nart_task_type *type,
                                              nart_res *err);

/** The same with a frame of any size from the runtime's allocator: -ENOMEM also if that fails. The task also
 *  takes a slot of the smallest size. **Cost**: one allocation, of the frame. */
NART_API NART_MUST_USE void *nart_spawn_boxed_begin(nart_cx *cx, const nart_task_type *type,
                                                    nart_res *err);

/**
 * Makes the task ready. It is polled later, never inside this call.
 * @param out receives the join handle; empty or zeroed before. NULL detaches the task.
 * @return 0; -EINVAL `frame` was not begun here, or was committed or abandoned before; NART_EDRIVER.
 * **Cost**: O(log n) for n begun frames.
 */
NART_API nart_res nart_spawn_commit(nart_cx *cx, void *frame, nart_join *out);

/** Cancels a spawn that was begun. The drop does not run: what was filled in is the caller's again. */
NART_API void nart_spawn_abandon(nart_cx *cx, void *frame);

/** Spawns a task whose frame is a copy of `*init` (NULL: zeros). See nart_spawn_commit() for `out`.
 *  @return 0 or the errors of nart_spawn_begin(). **Ownership**: what `*init` refers to passes to the task
 *  on success and stays the caller's otherwise. */
NART_API NART_MUST_USE nart_res nart_spawn(nart_cx *cx, const nart_task_type *type,
                                           const void *init, nart_join *out);

/** nart_spawn() with a frame of any size from the runtime's allocator. */
NART_API NART_MUST_USE nart_res nart_spawn_boxed(nart_cx *cx, const nart_task_type *type,
                                                 const void *init, nart_join *out);

/* ---- cancelling -------------------------------------------------------------------------- */

/** Cancels a task: its operations answer -ECANCELED from its next poll on, those of the running task
 *  itself at once.
 *  @return 0; NART_ESTALE the task has ended; -EINVAL no runtime; NART_EWRONGTHREAD, NART_EFORK. */
NART_API nart_res nart_task_cancel(nart_rt *rt, nart_task t);

/** Cancels a task and polls it once more, never inside this call. If that poll answers NART_PENDING, the task
 *  ends. Its frame is dropped after the poll, or at the release of its join handle. A join answers
 *  NART_EABORTED, unless the task ended by itself.
 *  @return as nart_task_cancel(). */
NART_API nart_res nart_task_abort(nart_rt *rt, nart_task t);

/**
 * Moves a task into the background, or back. A run does not wait for tasks in the background: nart_rt_run()
 * returns when only such tasks are left. They keep their state and continue in the next run. Otherwise they are
 * tasks like all others: they are polled as long as a run lasts, are counted by nart_rt_task_count(), and can be
 * joined. Whether a task is in the background does not concern the tasks that it spawns: each begins as its own
 * type says.
 *
 * A type with NART_TASK_BACKGROUND is for tasks that serve the others:
 *
 *     static const nart_task_type sweeper_type =
 *         NART_TASK_TYPE_FLAGS(struct sweeper, sweeper_run, NULL, NART_TASK_BACKGROUND);
 *
 *     r = nart_rt_spawn(rt, &sweeper_type, NULL, NULL);
 *     if (r == 0)
 *         r = nart_rt_run(rt); // until the other tasks have ended
 *
 * This function is for a task of which some waits do not count, such as a connection that is idle:
 * `nart_task_set_background(nart_cx_rt(cx), nart_cx_task(cx), true)` before, and `false` after such a wait.
 *
 * How tasks in the background end:
 *
 * |                                | waits for them | ends them                                           |
 * |--------------------------------|----------------|-----------------------------------------------------|
 * | nart_rt_run(), nart_block_on() | no             | no                                                  |
 * | nart_rt_quiesce()              | no             | no                                                  |
 * | nart_rt_shutdown_within()      | no             | cancels them when the others have ended, and waits  |
 * |                                |                | for at most `unwind_ns`                             |
 * | nart_rt_free()                 | no             | as all others                                       |
 * | C tasks on tokio               | no             | cancels them when the task and its other tasks have |
 * |                                |                | ended: one more poll, as by nart_rt_free()          |
 *
 * @return 0; NART_ESTALE the task has ended, or is a driver's own (see nart/driver.h); -EINVAL no runtime;
 *   NART_EWRONGTHREAD, NART_EFORK.
 */
NART_API nart_res nart_task_set_background(nart_rt *rt, nart_task t, bool background);

/** The id of the task that is being polled; zero outside of a poll. */
NART_API nart_task nart_cx_task(const nart_cx *cx);

/* ---- deadline scopes for hand-written polls ------------------------------------------------- */

/** A scope of a hand-written poll. It lies on the C stack: enter it in each poll, with the absolute deadline
 *  that is kept in the frame, and leave it before the poll returns. */
typedef struct nart_scope {
    /* private */
    struct nart_scope *up;
    const nart_co *co;
    int64_t deadline, outer;
} nart_scope;

/** Opens a scope: `deadline` holds for the operations that are called before nart_scope_leave(). */
static inline void nart_scope_enter(nart_cx *cx, nart_scope *s, int64_t deadline);

/** Closes the scope. @return `r`, the operation's answer, or -ETIMEDOUT if the scope's deadline caused it. */
static inline nart_res nart_scope_leave(nart_cx *cx, const nart_scope *s, nart_res r);

/* ---- writing an operation ------------------------------------------ */

/**
 * Begins an operation: the first call in every operation. An operation that waits for a flag:
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
 * @return 0: continue; otherwise the answer to return at once: -ECANCELED, -ETIMEDOUT, NART_PENDING when the
 *   budget is spent (the task was queued again), or -EPERM.
 */
static inline nart_res nart_op_enter(nart_cx *cx);

/**
 * Parks the task: the last call in an operation that is not ready and has stored a waker, or called
 * nart_wake_self().
 * @return NART_PENDING; -ETIMEDOUT or -ECANCELED when a scope has expired: the operation has ended, do not
 *   call it again; -EPERM.
 */
NART_API nart_res nart_op_park(nart_cx *cx);

/** The same with a deadline of the operation's own: the task is polled again at `at` at the latest.
 *  @return as nart_op_park(). */
NART_API nart_res nart_op_park_until(nart_cx *cx, int64_t at);

#ifdef __cplusplus
}
#endif

#include "detail/task.h"

#endif
