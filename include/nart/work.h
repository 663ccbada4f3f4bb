/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/work.h
 * Pools of threads for functions that block.
 *
 * A **job** is a type and its data, as a task is a type and its frame. The pool owns the data: a copy of what
 * the caller passes. A thread of a pool calls the type's function with it, once. So a job that continues after
 * its task was cancelled, after its frame was dropped, or after its runtime was freed, uses nothing of theirs.
 *
 * ```c
 * struct lookup { char name[64]; struct addrinfo *found; };
 *
 * static nart_res lookup_do(void *data, const nart_job *job)
 * {
 *     struct lookup *l = data;
 *
 *     (void)job; // getaddrinfo() cannot be stopped
 *     return getaddrinfo(l->name, NULL, NULL, &l->found) == 0 ? 0 : NART_EDNS;
 * }
 *
 * static void lookup_drop(void *data)
 * {
 *     struct lookup *l = data;
 *
 *     if (l->found)
 *         freeaddrinfo(l->found);
 * }
 *
 * static const nart_work_type lookup_type = NART_WORK_TYPE(struct lookup, lookup_do, lookup_drop);
 *
 * struct conn { nart_co co; nart_work work; struct lookup lookup; };
 *
 * static nart_res conn_run(nart_cx *cx, void *frame)
 * {
 *     struct conn *c = frame;
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &c->co);
 *     strcpy(c->lookup.name, "localhost");
 *     NART_AWAIT_FOR(r, 5 * NART_SEC, nart_work_run(cx, &c->work, NULL, &lookup_type, &c->lookup));
 *     if (r == 0) {
 *         struct lookup *l = nart_work_data(&c->work);
 *         printf("%s is of family %d\n", l->name, l->found->ai_family);
 *     }
 *     nart_work_close(&c->work);
 *     NART_END(r);
 * }
 * ```
 *
 * Rules
 *  1. The data is dropped exactly once, by the type's `drop`: when the handle is closed or used for the next job;
 *     or, if the handle has let a running job go, when that has returned. The latter runs on a thread of the pool.
 *     If a call that starts a job fails, nothing is dropped: what `*init` refers to is still the caller's.
 *  2. A job's result is what its function returns: `>= 0` a value, `< 0` an error (-ECANCELED becomes
 *     NART_EABORTED; a number that is not a nart_res becomes -EINVAL). A job that did not run ends with
 *     NART_EABORTED (it was cancelled while it was queued), NART_ESHUTDOWN (its pool was shut down) or -EAGAIN (it
 *     was queued, and then the pool's last thread could not be started).
 *  3. Jobs start in the order in which they were queued, and end in any order.
 *  4. A function may end its thread by pthread_exit(): its job then ends with NART_EABORTED, and the pool starts
 *     another thread. It must not be left by longjmp() or by a C++ exception, which ends the process.
 *  5. Threads of a pool block all signals but faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP). A program that a job starts inherits that: see posix_spawnattr_setsigmask(). They
 *     inherit scheduling policy and CPU affinity of the thread that starts them, which is one that starts a job.
 *  6. In a child of fork() the default pool is a new one. Jobs and other pools of the parent answer NART_EFORK;
 *     closing and freeing them leaks their memory. A function that forks should not return in the child, but exec
 *     or _exit(): if it does return, its thread ends, and the child with its last thread, with status 0.
 *  7. Tasks on tokio use pools as tasks on the loop do.
 */
#ifndef NART_WORK_H
#define NART_WORK_H

#include "task.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pools ---- */

/** A pool of threads. NULL stands for the default pool of the process, which has the default options and starts
 *  its threads when they are needed. */
typedef struct nart_workers nart_workers;

/** Options of a pool; begin with NART_WORKERS_OPTS_INIT. A zero means the default, the last number of a comment. */
typedef struct nart_workers_opts {
    size_t size;             /**< sizeof(nart_workers_opts) */
    const char *name;        /**< of the threads, as ps shows it (15 bytes); copied; "nart-work" */
    uint32_t threads;        /**< at most, 1 to 4,096; 8 */
    uint32_t queue;          /**< jobs that nart_work_start() may queue, 1 to 2^20; 256 */
    int64_t idle_ns;         /**< an idle thread ends after this time; NART_SEC */
    size_t stack;            /**< stack of a thread in bytes, at least 64 KiB; 2 MiB */
    const nart_alloc *alloc; /**< copied; called on any thread; malloc and free */
    /** called first on each thread, for its policy, its CPUs, or its thread-local state; NULL */
    void (*on_start)(void *arg);
    void *arg; /**< of on_start and on_end; NULL */
    /** called once, when the pool is freed and no thread is left; NULL */
    void (*on_end)(void *arg);
    uint64_t reserved[4];
} nart_workers_opts;

#define NART_WORKERS_OPTS_INIT NART__SIZED(nart_workers_opts)

/** Makes a pool without threads. `opts` may be NULL.
 *  @return 0 and `*out`; -EINVAL no `out`, or an option out of its range; -ENOMEM; NART_EABI options of another
 *    version.
 *  **Thread**: any. **Ownership**: the caller's, until nart_workers_free(). */
NART_API NART_MUST_USE nart_res nart_workers_new(const nart_workers_opts *opts, nart_workers **out);

/**
 * Shuts a pool down: it accepts no more jobs, those that are queued end with NART_ESHUTDOWN, those that run see
 * nart_work_cancelled(). Blocks for at most `timeout_ns` (NART_NEVER: no timeout; 0: does not block) until its
 * threads have ended. The default pool (NULL) accepts jobs again when this returns; if several threads shut it down,
 * when the last of them returns.
 * @return 0 no thread of the pool is left; -ETIMEDOUT a job has not returned; -EDEADLK called by a job of the pool,
 *   with a timeout; NART_EFORK.
 * **Thread**: any; it blocks: not in a poll.
 */
NART_API nart_res nart_workers_shutdown(nart_workers *pool, int64_t timeout_ns);

/** Frees a pool, without blocking: its jobs end as in nart_workers_shutdown(), and the last thread frees the rest.
 *  Handles of its jobs may outlive it. No other thread may start a job in it at the same time. NULL is fine: it
 *  frees nothing. **Thread**: any, jobs of the pool included. */
NART_API void nart_workers_free(nart_workers *pool);

/** A pool at one moment. */
typedef struct nart_workers_stats {
    size_t size;      /**< sizeof(nart_workers_stats), set by the caller */
    uint32_t threads; /**< that exist or are being started */
    uint32_t idle;    /**< of those, the ones that wait for a job */
    uint32_t running; /**< jobs that run */
    uint32_t queued;  /**< jobs that are queued */
    uint64_t started; /**< jobs that were started, ever */
} nart_workers_stats;

#define NART_WORKERS_STATS_INIT NART__SIZED(nart_workers_stats)

/** Fills in `*out`. @return 0; -EINVAL no `out`; NART_EABI; NART_EFORK. **Thread**: any. */
NART_API nart_res nart_workers_stats_get(nart_workers *pool, nart_workers_stats *out);

/** Prints a line for the pool and one for each job that runs or is queued, at most 64 of each, by the names of their
 *  types. **Thread**: any. */
NART_API void nart_workers_dump(nart_workers *pool, FILE *out);

/* ---- jobs ---- */

/** A job, as its function sees it. */
typedef struct nart_job nart_job;

#define NART_WORK_ABI 1u /**< version of the layout of a nart_work_type */

/** A type of jobs. Constant; must live as long as its jobs. Initialise it with NART_WORK_TYPE. */
typedef struct nart_work_type {
    uint32_t abi;         /**< NART_WORK_ABI */
    uint32_t size, align; /**< of the data, in bytes; `align` is a power of two, at most 64 */
    const char *name;     /**< shown by nart_workers_dump() */
    /** Called once, on a thread of the pool, unless the job is cancelled before. It may block. `data` is its own
     *  until it returns. */
    nart_res (*run)(void *data, const nart_job *job);
    void (*drop)(void *data); /**< destroys the data, on any thread; or NULL */
    const void *reserved[2];
} nart_work_type;

/** Initialiser of a nart_work_type for data of type T. */
#define NART_WORK_TYPE(T, run, drop)                                                               \
    {                                                                                              \
        NART_WORK_ABI, (uint32_t)sizeof(T), (uint32_t)NART__ALIGNOF(T), #T, (run), (drop),         \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/** Is nobody interested in the job any more? It was cancelled or its handle closed, its task has left
 *  nart_work_run(), or its pool is being shut down. **Thread**: the job's. **Cost**: a load. */
NART_API bool nart_work_cancelled(const nart_job *job);

/**
 * A handle of a job. Zeroed = empty. It may be used for one job after another, keeps their memory for the next, and
 * must be closed. It may outlive the pool, and be moved by assignment while no task waits in it. After it was closed or
 * detached while a task waits in it, do not use it for another job before that task has run. If that task has lost a race
 * with it and uses it in the same poll, it cannot be told from the operation that was closed: it answers NART_EABORTED,
 * no job begins, and `*init` stays the caller's; from the next poll on it is as new.
 * **Thread**: one at a time uses it.
 */
typedef struct nart_work {
    /* private */
    nart__wait wait;
    nart_job *job;
    const struct nart__task *closed_for;
} nart_work;

/**
 * Runs a job and waits for its end: the operation for most purposes. `*init` is copied by the first call (NULL: zeros).
 * If the queue is full, the job waits its turn like all others.
 *
 * A task that leaves this operation (it is cancelled, its deadline passes, it loses a race, it is dropped) withdraws
 * the job: one that is queued does not run, one that runs sees nart_work_cancelled() and continues without it. In
 * a loop of races, use nart_work_start() and nart_work_await() instead.
 * @return the job's result, see rule 2; nart_work_data() is its data; the errors of nart_work_start(), except a
 *   full queue; -EBUSY also another task waits in `w`; NART_EABORTED also `w` was closed
 *   meanwhile; -ECANCELED, -ETIMEDOUT: the job was withdrawn.
 * **Ownership**: what `*init` refers to passes to the job, unless this answers an error before it returned
 *   NART_PENDING. **Thread**: a poll of any driver. **Cost**: no allocation if `w` had a job of that size
 *   before and no thread is started; two system calls to wake a thread and the task.
 */
NART_API NART_MUST_USE nart_res nart_work_run(nart_cx *cx, nart_work *w, nart_workers *pool,
                                              const nart_work_type *type, const void *init);

/**
 * Starts a job. Never waits.
 * @return 0 it was queued; -EAGAIN the queue is full, or the pool has no thread and none could be started; -EBUSY the last job of `w` has not ended, or a task waits in it; -EINVAL no `w`, or an invalid type; -ENOMEM; NART_EABI a type of another version; NART_ESHUTDOWN;
 *   NART_EFORK.
 * **Ownership**: what `*init` refers to passes to the job if this returns 0.
 * **Thread**: any. **Cost**: that of nart_work_run().
 */
NART_API NART_MUST_USE nart_res nart_work_start(nart_work *w, nart_workers *pool,
                                                const nart_work_type *type, const void *init);

/** Waits for the end of the job that was started. Leaving it changes nothing: it can be called again, also after the
 *  answer.
 *  @return the job's result, see rule 2; -EINVAL no `w`; NART_ESTALE an empty handle; NART_EABORTED also `w` was closed
 *    meanwhile; -EBUSY another task waits in `w`; -ECANCELED, -ETIMEDOUT; NART_EFORK. **Thread**: a poll of any driver. */
NART_API NART_MUST_USE nart_res nart_work_await(nart_cx *cx, nart_work *w);

/** Has the job ended? False for an empty handle. */
NART_API bool nart_work_done(const nart_work *w);

/** The data of a job that has ended, until the handle is closed or starts another job. NULL before the end, or if the
 *  handle is empty. */
NART_API void *nart_work_data(const nart_work *w);

/** Cancels the job: one that is queued ends with NART_EABORTED, one that runs sees nart_work_cancelled() and ends when
 *  it returns. No effect if it has ended. **Cost**: a lock. */
NART_API void nart_work_cancel(nart_work *w);

/** Lets the job continue without the handle, which becomes empty: its data is dropped when it has ended. A task that
 *  waits in `w` is woken and gets NART_EABORTED. */
NART_API void nart_work_detach(nart_work *w);

/** Cancels the job, lets it go, and empties the handle. Never blocks. A task that waits in `w` is woken and gets
 *  NART_EABORTED. NULL and empty handles are fine. */
NART_API void nart_work_close(nart_work *w);

/* ---- jobs of other runtimes ---- */

/** A job in memory of its owner, for runtimes and languages without nart's tasks: nart/tokio.h runs its blocking
 *  functions so. Zeroed before its first use; it may be used again after each end. */
typedef struct nart_job_block {
    /* private */
    uint64_t private_[16];
} nart_job_block;

/**
 * Starts a job in `b`. When it has ended, `ended` is called once with `data` and its result (rule 2), without a lock:
 * by a thread of the pool, or within the call that cancels it or shuts the pool down. From then on `b` is the owner's again.
 *
 * @param pool must live until the job has ended.
 * @param type its `run` is called with `data`; size, align and drop are not used.
 * @param name shown by nart_workers_dump(), must live until the job has ended; NULL: that of the type.
 * @param owner identifies the jobs of one owner in the next functions; any pointer.
 * @return 0 it was queued; -EAGAIN the queue is full, or the pool has no thread and none could be started; -EINVAL;
 *   NART_EABI; NART_ESHUTDOWN; NART_EFORK. If not 0, `ended` is not called.
 * **Thread**: any. **Cost**: no allocation unless a thread is started.
 */
NART_API NART_MUST_USE nart_res nart_job_start(nart_job_block *b, nart_workers *pool,
                                               const nart_work_type *type, const char *name,
                                               void *data, void (*ended)(void *data, nart_res res),
                                               const void *owner);

/** Cancels the job, as nart_work_cancel(). `b` must have been started, and may have ended. **Thread**: any. */
NART_API void nart_job_cancel(nart_job_block *b);

/** Ends the jobs of an owner that are queued with NART_ESHUTDOWN; those that run see nart_work_cancelled(). In a child of
 *  fork() no effect. **Thread**: any. */
NART_API void nart_jobs_end(nart_workers *pool, const void *owner);

/** Calls `see` for each job of an owner that runs or is queued, within the lock of the pool: it must not use the pool or
 *  block. In a child of fork() no effect. **Thread**: any. */
NART_API void nart_jobs_each(nart_workers *pool, const void *owner,
                             void (*see)(void *arg, const char *name, bool runs), void *arg);

#ifdef __cplusplus
}
#endif
#endif
