/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/fiber.h
 * Fibers: tasks with a stack of their own, written as blocking code is.
 *
 * ```c
 * static nart_res echo(nart_cx *cx, void *arg)
 * {
 *     nart_tcp sock;
 *     char buf[1024];
 *     nart_res n;
 *     size_t done = 0;
 *
 *     nart_tcp_move(&sock, arg);
 *     while ((n = nart_await_for(cx, 5 * NART_SEC, nart_tcp_recv(cx, &sock, buf, sizeof buf))) > 0)
 *         if (nart_await(cx, nart_tcp_send_all(cx, &sock, buf, (size_t)n, &done)) < 0)
 *             break;
 *     nart_tcp_close(&sock);
 *     return n;
 * }
 * ```
 *
 * A fiber is a task. Every operation of nart works in it, and so does a body of nart/co.h. Await in any
 * function, at any depth, in loops and switches, also in a function that a library calls back. Local
 * variables survive. nart/task.h says what holds for all tasks; the table of deadlines in nart/co.h holds
 * for fibers, too: a function that awaits is what is called a body there.
 *
 * When to use which: a fiber takes about 4.3 KiB of memory, a task with a body of nart/co.h 0.2 KiB; a switch
 * to a fiber and back costs a few nanoseconds more than a call of a body. Tasks of both forms await each other
 * and share channels.
 *
 * Rules, and what happens when one is broken:
 *  1. Await in a fiber, outside of bodies of nart/co.h. Elsewhere an await answers -EPERM once it would have to
 *     wait, and this is reported; its operation is withdrawn.
 *  2. The awaited expression is evaluated repeatedly until it answers. Its arguments must have no side effects
 *     (no `i++`), and it must not contain another await as an argument.
 *  3. Call an operation that may wait by an await only. What is left waiting otherwise is withdrawn at the next
 *     await, in a body or a branch at the end of the next poll, and its handle must be alive until then.
 *  4. The arms of a race are operations, bodies or branches (nart_branch). An await in a function that an arm
 *     calls answers -EDEADLK once it would have to wait, and this is reported.
 *  5. When a fiber is cancelled, its operations answer -ECANCELED: close what is open and return. A fiber that
 *     has not begun is run for that. One that ignores 65,536 of these answers in one poll, or that still waits
 *     when it is aborted or its runtime freed, is abandoned: its waits are withdrawn, it is reported by function
 *     and line, and its stack is neither used again nor unmapped, since others may point into it.
 *  6. An operation of a fiber may answer at once: rule 3 of nart/task.h limits how often in one poll.
 *  7. Exceptions of C++ may be thrown and caught within a fiber. One that leaves the fiber's function aborts the
 *     process. So does pthread_exit(). Do not longjmp() out of an await, nor to another stack: the next await
 *     aborts the process if it notices.
 *  8. Before a function returns, whether it is the fiber's own or one that it calls, join the nurseries and
 *     release the locks in its frame, and await what was called with a handle in it, also after -ECANCELED: else the
 *     process is aborted, with a line. The end of the fiber waits for a nursery that is elsewhere (nart/nursery.h).
 *     Close the task sets and pools in its frame, too: if you do not, nobody notices it until memory is corrupted.
 *  9. The mode of floating-point arithmetic belongs to the thread: restore it before an await.
 *
 * Signal handlers run on the stack of the fiber that they interrupt, unless they are installed with SA_ONSTACK.
 *
 * A stack is reserved address space, of which pages are touched on use, above a guard page. A fiber that
 * overflows it is reported by name, and the process then gets SIGSEGV. A frame larger than a page may skip the
 * guard: compile with -fstack-clash-protection if you have such frames. The handler of that signal, which nart
 * installs when the first fiber begins, calls the one that was installed before for every other fault.
 *
 * Platforms: Linux on x86-64 without shadow stacks, and on AArch64. Elsewhere a fiber ends at once with
 * -ENOSYS. Under tokio it ends with NART_EDRIVER, because tasks move between threads there and what a stack
 * refers to does not.
 */
#ifndef NART_FIBER_H
#define NART_FIBER_H

#include "co.h"
#include "local.h"
#include "nursery.h"
#include "remote.h"
#include "rt.h"
#include "task_set.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- spawning ------------------------------------------------------------------------------ */

/** The function of a fiber. Its answer is the task's. NART_PENDING is none: it is reported, and the task
 *  answers -EINVAL. */
typedef nart_res (*nart_fiber_fn)(nart_cx *cx, void *arg);

#define NART_FIBER_STACK 65536u          /**< default size of a stack, in bytes */
#define NART_FIBER_STACK_MIN 16384u      /**< the smallest */
#define NART_FIBER_STACK_MAX 1073741824u /**< the largest */
#define NART_FIBER_VALUE 208u            /**< the largest argument that is copied, in bytes */

/** Options of a fiber; begin with NART_FIBER_OPTS_INIT. Zero means the default. */
typedef struct nart_fiber_opts {
    size_t size;  /**< sizeof(nart_fiber_opts) */
    size_t stack; /**< bytes; rounded up to a power of two */
    /** 0: `arg` is passed to the function. Else so many bytes of `*arg` are copied, and the function gets a
     *  pointer to the copy, which is aligned to 16 bytes and valid until the task is dropped. */
    size_t value;
    /** Called with the function's argument, if the function is never called: there was no memory for a stack,
     *  or a spawn by another thread did not become a task (nart_remote_spawn()). NULL: nothing. */
    void (*drop)(void *arg);
    /** NART_TASK_URGENT, NART_TASK_BACKGROUND; without effect where NART_FIBER_TYPE() is spawned. */
    uint32_t flags;
} nart_fiber_opts;

#define NART_FIBER_OPTS_INIT NART__SIZED(nart_fiber_opts)

/** The frame of a fiber: what nart_spawn(), task sets, nurseries and nart_remote_spawn() take as `init`. It is for
 *  them only: do not read it by nart_join_frame() and the like, which may answer NULL once the function has
 *  returned. A fiber stores results through its `arg`. */
typedef struct nart_fiber {
    /* private */
    struct nart__fiber *on;
    nart_fiber_fn fn;
    void *arg;
    void (*drop)(void *arg);
    uint32_t stack, flags, bytes, reserved;
    uint64_t value[NART_FIBER_VALUE / 8];
} nart_fiber;

/** The type of a fiber that calls `fn`, named after it: a `const nart_task_type *` that stays valid. Usable within
 *  functions only. */
#define NART_FIBER_TYPE(fn) NART__FIBER_TYPE(fn)

/**
 * Fills in a frame, for spawning by other functions than those below:
 *
 *     nart_fiber f;
 *
 *     r = nart_fiber_init(&f, serve, conn, NULL);
 *     if (r == 0)
 *         r = nart_remote_spawn_join(remote, NART_FIBER_TYPE(serve), &f, &join);
 *
 * @return 0; -EINVAL no function, an unknown flag, a stack below NART_FIBER_STACK_MIN or above
 *   NART_FIBER_STACK_MAX, or a value above NART_FIBER_VALUE or of NULL; NART_EABI; -ENOSYS no fibers on this processor, or
 *   the thread has a shadow stack (GLIBC_TUNABLES=glibc.cpu.x86_shstk=off). Each but NART_EABI also
 *   prints a line.
 * **Thread**: any.
 */
NART_API NART_MUST_USE nart_res nart_fiber_init(nart_fiber *f, nart_fiber_fn fn, void *arg,
                                                const nart_fiber_opts *opts);

/**
 * Spawns a fiber. `opts` may be NULL; for `out` see nart_spawn_commit().
 * @return 0; the errors of nart_fiber_init() and nart_spawn(); NART_EDRIVER the poll is not that of a loop.
 *   The task answers -ENOMEM if there is no memory for its stack, or too many mappings (a kernel before 6.13:
 *   about 32,000 fibers, see vm.max_map_count).
 * **Ownership**: `arg`, and what a copied value refers to, passes to the fiber on success.
 * **Cost**: no allocation while a slot and a stack are free. The stack is taken at the first poll.
 */
#define nart_fiber_spawn(cx, fn, arg, opts, out)                                                   \
    nart__fiber_spawn((cx), NART__FIBER_TYPES(fn), (fn), (arg), (opts), (out))

/** The same with a copy of `*value`, a variable of up to NART_FIBER_VALUE bytes, which is zeroed on success. Pass
 *  `&name`, also of an array, and a compound literal in parentheses.
 *  `fn` gets a pointer to the copy: it may use handles in it where they are, and closes them. If there are any,
 *  set `drop`, too. NART_TASK_TYPED() lists what can be moved so: a socket that this poll has accepted can.
 *
 *     nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
 *
 *     opts.drop = close_sock;                    // void close_sock(void *sock) { nart_tcp_close(sock); }
 *     if (nart_fiber_spawn_value(cx, serve, &sock, &opts, NULL) < 0)
 *         nart_tcp_close(&sock);                 // still the caller's
 */
#define nart_fiber_spawn_value(cx, fn, value, opts, out)                                           \
    nart__fiber_spawn_value((cx), NART__FIBER_TYPES(fn), (fn), (value), NART__FIBER_BYTES(value),  \
                            (opts), (out))

/**
 * Spawns a fiber into a nursery: nart_fiber_spawn() and nart_nursery_spawn() in one.
 *
 *     r = nart_nursery_open(cx, &n, NART_NURSERY_CANCEL_ON_ERROR);
 *     if (r == 0)
 *         r = nart_nursery_fiber_spawn(cx, &n, serve, conn, NULL); // serve() may use what is on this stack
 *
 * @return 0; the errors of nart_fiber_init() and nart_nursery_spawn(); NART_EDRIVER the poll is not that of a loop.
 *   The task answers as that of nart_fiber_spawn().
 * **Ownership**: as nart_fiber_spawn(). **Cost**: that of nart_nursery_spawn().
 */
#define nart_nursery_fiber_spawn(cx, n, fn, arg, opts)                                             \
    nart__fiber_spawn_into((cx), NART__FIBER_NURSERY, nart__of_nursery(n), NART__FIBER_TYPES(fn),  \
                           (fn), (arg), 0, (opts))

/** The same with a copy of `*value`, which is zeroed on success, as by nart_fiber_spawn_value(): set `drop` if there are
 *  handles in it. After an error it is unchanged, and still the caller's. */
#define nart_nursery_fiber_spawn_value(cx, n, fn, value, opts)                                     \
    nart__fiber_spawn_into((cx), NART__FIBER_NURSERY, nart__of_nursery(n), NART__FIBER_TYPES(fn),  \
                           (fn), (value), NART__FIBER_BYTES(value), (opts))

/**
 * Spawns a fiber into a task set: nart_fiber_spawn() and nart_task_set_spawn() in one.
 * @return >= 0: the number of its node; the errors of nart_fiber_init() and nart_task_set_spawn();
 *   NART_EDRIVER the poll is not that of a loop. The task answers as that of nart_fiber_spawn().
 * **Ownership**: as nart_fiber_spawn(). **Cost**: that of nart_task_set_spawn().
 */
#define nart_task_set_fiber_spawn(cx, s, fn, arg, opts)                                            \
    nart__fiber_spawn_into((cx), NART__FIBER_TASK_SET, nart__of_task_set(s),                       \
                           NART__FIBER_TYPES(fn), (fn), (arg), 0, (opts))

/** The same with a copy of `*value`, as nart_nursery_fiber_spawn_value(). */
#define nart_task_set_fiber_spawn_value(cx, s, fn, value, opts)                                    \
    nart__fiber_spawn_into((cx), NART__FIBER_TASK_SET, nart__of_task_set(s),                       \
                           NART__FIBER_TYPES(fn), (fn), (value), NART__FIBER_BYTES(value), (opts))

/**
 * Waits until fewer than `max` jobs of the pool run, then spawns a fiber as one: nart_fiber_spawn() and
 * nart_pool_spawn() in one. An operation: await it.
 *
 *     for (int i = 0; i < 1000 && r == 0; i++)
 *         r = nart_await(cx, nart_pool_fiber_spawn(cx, &pool, serve, conn, NULL));
 *
 * @return 0; -ECANCELED, -ETIMEDOUT nothing was spawned; the errors of nart_fiber_init(), which do not count as the
 *   answer of a job, and of nart_pool_spawn(), which count as there; NART_EDRIVER the poll is not that of a loop.
 * **Ownership**: as nart_fiber_spawn(). **Cost**: that of nart_pool_spawn().
 */
#define nart_pool_fiber_spawn(cx, p, fn, arg, opts)                                                \
    nart__fiber_spawn_into((cx), NART__FIBER_POOL, nart__of_pool(p), NART__FIBER_TYPES(fn), (fn),  \
                           (arg), 0, (opts))

/** The same with a copy of `*value`, as nart_nursery_fiber_spawn_value(). It is copied when the job is spawned; while
 *  the operation waits, and if it loses a race, the value is unchanged. */
#define nart_pool_fiber_spawn_value(cx, p, fn, value, opts)                                        \
    nart__fiber_spawn_into((cx), NART__FIBER_POOL, nart__of_pool(p), NART__FIBER_TYPES(fn), (fn),  \
                           (value), NART__FIBER_BYTES(value), (opts))

/** Spawning outside of polls. @return as nart_fiber_spawn(); also NART_EWRONGTHREAD, NART_EFORK, -EINVAL. **Thread**: the
 *  runtime's own, or any before it is bound. */
#define nart_rt_fiber_spawn(rt, fn, arg, opts, out)                                                \
    nart__rt_fiber_spawn((rt), NART__FIBER_TYPES(fn), (fn), (arg), (opts), (out))

/** Spawning from other threads. @return the errors of nart_fiber_init() and nart_remote_spawn(). **Thread**: any. */
#define nart_remote_fiber_spawn(remote, fn, arg, opts)                                             \
    nart__remote_fiber_spawn((remote), NART__FIBER_TYPES(fn), (fn), (arg), (opts))

/** Spawns a fiber and runs until it has ended: nart_block_on(). @return as that, and the errors of
 *  nart_fiber_init(). */
#define nart_fiber_block_on(rt, fn, arg, opts, result)                                             \
    nart__fiber_block_on((rt), NART__FIBER_TYPES(fn), (fn), (arg), (opts), (result))

/* ---- awaiting ------------------------------------------------------------------------------ */

/**
 * Awaits an operation, a body or a function that awaits: an expression whose value is the answer. It is
 * evaluated until it answers something else than NART_PENDING.
 *
 *     n = nart_await(cx, nart_tcp_recv(cx, &sock, buf, sizeof buf));
 *
 * A function that only awaits within needs no await around it; one around it shows its line in a dump.
 * A compiler warns if the answer of an await is not used, as it does for operations.
 * @return the answer; -EPERM, -EDEADLK: see rules 1 and 4.
 */
#define nart_await(cx, ...) NART__FIBER_AWAIT(cx, __VA_ARGS__)

/** The same with an absolute deadline: -ETIMEDOUT once it has passed, also for a function that awaits within. `abs`
 *  is evaluated once. */
#define nart_await_until(cx, abs, ...) NART__FIBER_AWAIT_UNTIL(cx, abs, __VA_ARGS__)

/** The same with a deadline `ns` nanoseconds after the first wait. An answer without waiting reads no
 *  clock. */
#define nart_await_for(cx, ns, ...) NART__FIBER_AWAIT_FOR(cx, ns, __VA_ARGS__)

/**
 * A race, as NART_AWAIT_ANY: the answer of the arm that answered first, whose index is stored in the variable
 * `which`.
 *
 *     n = nart_await_any(cx, which, nart_tcp_recv(cx, &sock, buf, sizeof buf), nart_recv(cx, &rx, &line));
 *
 * NART_ANY(), NART_ANY_FAIR(), NART_ANY_BIASED(), NART_ALL(), NART_ALL_OK() and NART_AFTER() are expressions for
 * all awaits of this page, too. Initialise the `which` of those: compilers do not see that an answer sets it, and
 * warn.
 */
#define nart_await_any(cx, which, ...) ((which) = 0, nart_await(cx, NART_ANY(which, __VA_ARGS__)))

/** The same, beginning with a random arm: NART_ANY_FAIR. */
#define nart_await_any_fair(cx, which, ...)                                                        \
    ((which) = 0, nart_await(cx, NART_ANY_FAIR(which, __VA_ARGS__)))

/** The same, in the order written: NART_ANY_BIASED. */
#define nart_await_any_biased(cx, which, ...)                                                      \
    ((which) = 0, nart_await(cx, NART_ANY_BIASED(which, __VA_ARGS__)))

/**
 * Several at once, as NART_AWAIT_ALL: until all have answered. `arms` is an array of nart_arm with an element for
 * each, zeroed; afterwards `arms[i].res` is the answer of arm i. An arm is what an arm of a race is.
 *
 *     nart_arm both[2] = { 0 };
 *     nart_branch b = { 0 };
 *
 *     r = nart_await_all(cx, both, nart_recv(cx, &rx, &line), nart_branch_run(cx, &b, talk, &conn));
 *
 * @return 0; the first error in the order written; about the caller: -ECANCELED, -ETIMEDOUT; -EPERM, -EDEADLK.
 */
#define nart_await_all(cx, arms, ...) nart_await(cx, NART_ALL(arms, __VA_ARGS__))

/** The same, but ends at the first error: NART_AWAIT_ALL_OK. */
#define nart_await_all_ok(cx, arms, ...) nart_await(cx, NART_ALL_OK(arms, __VA_ARGS__))

/** Awaits a body of nart/co.h that lost a race, and unwinds it: NART_STOP. For a function see
 *  nart_branch_stop(). @return the body's answer; -EPERM, -EDEADLK. */
#define nart_await_stop(cx, ...) NART__FIBER_AWAIT_STOP(cx, __VA_ARGS__)

/** Continues after the tasks that are ready now have been polled. Answers 0 also when the task is cancelled or a
 *  deadline has passed: if a loop of yields has to end then, await a nart_sleep() of 0 in it instead.
 *  @return 0; -EPERM, -EDEADLK. */
#define nart_yield(cx) NART__FIBER_YIELD(cx)

/**
 * A function that awaits, on a stack of its own within the task that runs it: what a body of nart/co.h is for
 * functions. So it can be an arm of a race, and be awaited by a body.
 *
 *     nart_branch b = { 0 };
 *
 *     r = nart_await_any(cx, which, nart_recv(cx, &rx, &line), nart_branch_run(cx, &b, talk, &conn));
 *     if (which == 0)
 *         r = nart_await(cx, nart_branch_stop(cx, &b));
 *
 * Zeroed = not begun, and again after the function's answer. It may be moved while it is not running. One that
 * has begun must be run or stopped until it answers, by the task that began it: otherwise its stack is lost, as that
 * of an abandoned fiber.
 */
typedef struct nart_branch {
    size_t stack; /**< as nart_fiber_opts.stack, set before the first run */
    /* private */
    struct nart__fiber *on;
} nart_branch;

/**
 * Runs the function until it waits or answers: an expression for awaits, like a body. A loser of a race that is
 * awaited again continues where it was; `fn` and `arg` are used by the first run only.
 * @return the function's answer, NART_PENDING; -EPERM outside of a poll; -EDEADLK by itself; -EINVAL no
 *   function, or the size of its stack; -ENOMEM no memory for it; -ENOSYS; NART_EDRIVER.
 */
NART_API nart_res nart_branch_run(nart_cx *cx, nart_branch *b, nart_fiber_fn fn, void *arg);

/** Runs a branch that has begun while its operations answer -ECANCELED: NART_STOP for functions. 0 if it has not
 *  begun. @return as nart_branch_run(). */
NART_API nart_res nart_branch_stop(nart_cx *cx, nart_branch *b);

/**
 * Shields the fiber: until nart_unshield(), or the end of the await in which this was called, and for at most
 * `ns` nanoseconds, cancellation and the deadlines of awaits that are open now have no effect. For clean-up
 * that must wait. See NART_SHIELD(), which is for bodies: in them, and outside of a fiber, this has no effect.
 * **Cost**: reads the clock.
 */
NART_API void nart_shield(nart_cx *cx, int64_t ns);
NART_API void nart_unshield(nart_cx *cx);

#ifdef __cplusplus
}
#endif

#include "detail/fiber.h"

#endif
