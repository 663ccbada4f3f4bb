/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/rt.h
 * The runtime: create, run, embed, free and inspect it.
 *
 * A runtime belongs to one thread: the one that first runs it, or that called nart_rt_bind(). A thread may
 * have several runtimes. The only global state is a pool of hubs. A hub holds the records by which other
 * threads wake the tasks of one runtime; when that is freed, another runtime uses the hub (see
 * nart_lib_trim()).
 *
 * If a program hangs, call nart_rt_dump(): it prints what each task waits for, and where in the source.
 */
#ifndef NART_RT_H
#define NART_RT_H

#include "task.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The number of slot classes. The size of a task's frame selects its class: 64, 128, 256, 512, 1024, 2048
 *  or 4096 bytes. */
#define NART_SLOT_CLASSES 7

enum {
    NART_RT_SPINNING = 1 /**< nart_rt_run() and nart_block_on() spin and never park */
};

/** Options of a runtime; begin with NART_RT_OPTS_INIT. A zero means the default; the number in a comment is
 *  the default. */
typedef struct nart_rt_opts {
    size_t size;                       /**< sizeof(nart_rt_opts) */
    const char *name;                  /**< shown in dumps and reports; copied; "nart" */
    uint32_t slots[NART_SLOT_CLASSES]; /**< maximum number of tasks per class; no limit */
    uint32_t max_io;                   /**< maximum number of descriptors; 1,048,575 */
    uint32_t flags;                    /**< NART_RT_* */
    /* Limits of one tick, which may be raised: -EINVAL below the default. */
    uint32_t polls_per_tick;  /**< polls; 64, at most 16 of them of urgent tasks */
    uint32_t inbox_per_tick;  /**< wakes from other threads; 256 */
    uint32_t timers_per_tick; /**< timers fired or moved; 128 */
    uint32_t events_per_tick; /**< events of descriptors; 256 */
    int64_t spin_ns;          /**< time that the loop spins before it parks; 0 */
    const nart_alloc *alloc;  /**< copied; malloc and free */
    /** Called once per line for errors that have no return path (a body that ignored cancellation, for
     *  example). Each line begins with the runtime's name. Default: prints to standard error.
     *  **Thread**: the runtime's own. */
    void (*report)(void *arg, const char *line);
    void *report_arg; /**< passed to `report` */
    uint64_t reserved[8];
} nart_rt_opts;

#define NART_RT_OPTS_INIT NART__SIZED(nart_rt_opts)

/**
 * Creates a runtime. `opts` may be NULL.
 * @return 0 and `*out`; -EINVAL, also for a limit per tick below its default; -ENOMEM; -EMFILE, -ENFILE
 *   no descriptor for its epoll or eventfd; -ENOSPC the user watches as many descriptors as the system
 *   allows; NART_EABI options of another version.
 * **Thread**: any; it is bound later. **Cost**: two descriptors; memory is mapped, and touched on use.
 */
NART_API NART_MUST_USE nart_res nart_rt_new(const nart_rt_opts *opts, nart_rt **out);

/**
 * Maps slots in advance: afterwards `tasks` tasks with frames of `frame_size` bytes, existing ones included,
 * can exist at the same time without mapping more. For boxed tasks `frame_size` is 0. The memory of a slot is
 * touched when it is first used.
 *
 * A runtime begins with 4,096 slots for frames of up to 64 bytes, 4,096 of 128, 2,048 of 256, 1,024 of 512
 * and of 1,024, 512 of 2,048, 256 of 4,096. A class with a limit in nart_rt_opts.slots begins with that
 * number and does not grow. Any other class doubles when a spawn finds no free slot. Slots never move; they
 * are unmapped when the runtime is freed.
 * @return 0; NART_EFRAME above 4,096 bytes; NART_ESLOTS more than nart_rt_opts.slots, or more than ids can
 *   name (2^31 slots in all); -ENOMEM; -EINVAL no `rt`; NART_EWRONGTHREAD; NART_EFORK.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API NART_MUST_USE nart_res nart_rt_reserve(nart_rt *rt, size_t frame_size, uint32_t tasks);

/** The same for descriptors. A runtime without nart_rt_opts.max_io begins with records for 1,024 of them, and
 *  doubles that number when they are used up.
 *  @return 0; NART_EFDS more than nart_rt_opts.max_io, or than 1,048,575; -ENOMEM; -EINVAL no `rt`;
 *  NART_EWRONGTHREAD; NART_EFORK; NART_EDRIVER a runtime of tokio's. **Thread**: as nart_rt_reserve(). */
NART_API NART_MUST_USE nart_res nart_rt_reserve_io(nart_rt *rt, uint32_t descriptors);

/**
 * Ends all tasks and frees the runtime. Each task is polled once as cancelled; one that still waits is
 * reported by name and line, and dropped. Shields have no effect. This function does not wait. Handles
 * (joins, sockets, channel ends, wakers) may outlive the runtime. NULL is fine.
 *
 * The last spawned task ends first, whatever the sizes of the frames: a task may use memory of the task that
 * spawned it. Frames of ended tasks that handles keep are dropped after that, in the same order.
 *
 * In a child process that the runtime's thread has forked, no task is polled or dropped: this function closes
 * the child's copies of the descriptors and frees the runtime with all frames; what the frames refer to stays
 * allocated. Close a linked oneshot whose other end is in a frame before this call; all other handles outside
 * of frames before or after it. Do not call it in a child process that another thread has forked. If a task has
 * forked, leave it first, by an await or its end: then the run answers NART_EFORK. No task may fork while this runs.
 * @return 0; -EDEADLK inside a poll or a drop of its own; NART_EWRONGTHREAD.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API nart_res nart_rt_free(nart_rt *rt);

/** The result of nart_rt_free_counted(). Later versions add fields at the end. */
typedef struct nart_rt_end {
    size_t size;          /**< sizeof(nart_rt_end), set by the caller */
    uint64_t cancelled;   /**< tasks that ended when cancelled */
    uint64_t dropped;     /**< tasks that still waited, and were dropped */
    uint64_t held;        /**< join handles of ended tasks that outlive the runtime */
    uint64_t undelivered; /**< wakes and spawns by other threads that came too late for a poll */
} nart_rt_end;

#define NART_RT_END_INIT NART__SIZED(nart_rt_end)

/** nart_rt_free() with counts; after a graceful shutdown they are all 0. `out` may be NULL.
 *  @return as nart_rt_free(), and NART_EABI; `*out` is filled in if the answer is 0. */
NART_API nart_res nart_rt_free_counted(nart_rt *rt, nart_rt_end *out);

/** Binds the runtime to the calling thread. Call it between runs only, while no other thread uses the runtime.
 *  @return 0; -EINVAL; -EDEADLK inside a poll; NART_EFORK. **Thread**: the one that will run it. */
NART_API nart_res nart_rt_bind(nart_rt *rt);

/**
 * Runs until no task is left except in the background (nart_task_set_background()), those spawned by other
 * threads included, or until nart_rt_stop() is called. The tasks in the background continue in the next run.
 * @return 0; -EINVAL; -EDEADLK inside a poll or a drop of its own; NART_EWRONGTHREAD; NART_EFORK, also in the child
 *   that a task has forked, when that task waits or ends, or a callback, when it returns: no other task is polled
 *   and no other callback called there; -errno of a wait that failed.
 */
NART_API NART_MUST_USE nart_res nart_rt_run(nart_rt *rt);

/** Makes nart_rt_run() return after the current tick; the tasks stay. No effect in nart_block_on() and
 *  nart_rt_poll(). **Thread**: the runtime's own. */
NART_API void nart_rt_stop(nart_rt *rt);

/**
 * Spawns a task and runs until it has ended; other tasks stay and continue in the next run.
 * @return 0 and `*result` (may be NULL); NART_EFRAME the frame is larger than the largest slot: use
 *   nart_rt_spawn_boxed(), nart_rt_run(), and then nart_join_frame(), where the body has stored its answer;
 *   the errors of nart_spawn() and nart_rt_run().
 * **Ownership**: as nart_spawn(). If the loop's own wait for descriptors failed (-errno), the task exists: `*init` is the
 *   task's, and it continues in the next run. `*init` is also the task's in the child that a task has forked
 *   (NART_EFORK). After all other errors it is the caller's. The typed form below shows which: it zeroes what is the
 *   task's.
 */
NART_API NART_MUST_USE nart_res nart_block_on(nart_rt *rt, const nart_task_type *type,
                                              const void *init, nart_res *result);

/**
 * Runs one tick, for a host with a loop of its own: polls the tasks that are ready, due or woken, within the
 * limits per tick. If there is none, waits for one, for at most `timeout_ns` nanoseconds (0: no wait,
 * NART_NEVER: no limit).
 * @return the number of polls made; 0: none, and the time need not have passed; errors as nart_rt_run().
 */
NART_API NART_MUST_USE nart_res nart_rt_poll(nart_rt *rt, int64_t timeout_ns);

/**
 * A descriptor for a host to wait on between calls of nart_rt_poll(rt, 0). It becomes readable when a
 * descriptor of the runtime is ready or another thread wakes a task. Tasks that the last call left ready need
 * not make it readable; nart_rt_next_deadline() answers 0 then. So a host waits like this:
 *
 *     int64_t at = nart_rt_next_deadline(rt); // last, right before the wait
 *     wait_readable(nart_rt_backend_fd(rt), at); // not at all if that time has passed
 *     r = nart_rt_poll(rt, 0);
 *
 * **Ownership**: the runtime's; only wait on it.
 */
NART_API int nart_rt_backend_fd(nart_rt *rt);

/**
 * nart_rt_poll(rt, 0) for a host that watches the backend descriptor by edges (EPOLLET), and so knows whether
 * there is anything to read. Descriptors are checked only if `*readable`: set it to true before the first call,
 * and after each edge. It is set to false, or stays true if more may be pending: do not wait then.
 * @return as nart_rt_poll(), and -EINVAL no `readable`. **Cost**: a system call if `*readable`.
 */
NART_API NART_MUST_USE nart_res nart_rt_poll_edge(nart_rt *rt, bool *readable);

/** The latest time at which nart_rt_poll() must be called: an absolute time; 0: now; NART_NEVER: no limit.
 *  Valid until the runtime is next used. **Cost**: O(1); with a clock that advances by itself
 *  (nart_rt_clock_auto()) it reads every slot that was ever used. */
NART_API int64_t nart_rt_next_deadline(nart_rt *rt);

/**
 * Announces that the host calls nart_rt_poll() soon, whatever the backend descriptor says. Until then tasks
 * that become ready do not make it readable, which saves system calls: for a host that wakes tasks, or spawns
 * them, on the runtime's thread, and learns of that by itself. nart_rt_next_deadline() answers 0 until then.
 * No effect inside a poll.
 * @return 0; -EINVAL no `rt`; NART_EWRONGTHREAD; NART_EFORK. **Cost**: at most one locked instruction.
 */
NART_API nart_res nart_rt_poll_soon(nart_rt *rt);

/** Spawning outside of polls. @return as nart_spawn_begin() but for NART_EDRIVER; also
 *  NART_EWRONGTHREAD, NART_EFORK; nart_rt_spawn_commit() as nart_spawn_commit(). **Thread**: the
 *  runtime's own, or any before it is bound. */
NART_API NART_MUST_USE void *nart_rt_spawn_begin(nart_rt *rt, const nart_task_type *type,
                                                 nart_res *err);
NART_API NART_MUST_USE void *nart_rt_spawn_boxed_begin(nart_rt *rt, const nart_task_type *type,
                                                       nart_res *err);
NART_API nart_res nart_rt_spawn_commit(nart_rt *rt, void *frame, nart_join *out);
NART_API void nart_rt_spawn_abandon(nart_rt *rt, void *frame);
NART_API NART_MUST_USE nart_res nart_rt_spawn(nart_rt *rt, const nart_task_type *type,
                                              const void *init, nart_join *out);
NART_API NART_MUST_USE nart_res nart_rt_spawn_boxed(nart_rt *rt, const nart_task_type *type,
                                                    const void *init, nart_join *out);

/* ---- typed forms --------------------------------------------------------------------------------- */

/**
 * Defines the task type `name_type` with frames of type T, and spawn functions that take a `T *` only:
 *
 * | function                           | is                    |
 * |------------------------------------|-----------------------|
 * | name_spawn(cx, init, out)          | nart_spawn()          |
 * | name_spawn_boxed(cx, init, out)    | nart_spawn_boxed()    |
 * | name_rt_spawn(rt, init, out)       | nart_rt_spawn()       |
 * | name_rt_spawn_boxed(rt, init, out) | nart_rt_spawn_boxed() |
 * | name_block_on(rt, init, result)    | nart_block_on()       |
 *
 * It also uses the names `name_frame` and `struct name_task_typed`.
 *
 * These functions move `*init`. If the task owns it afterwards, `*init` is zeroed: closing a handle in it has
 * no effect. If not, because of an error, `*init` is unchanged and the caller's. `init` may be NULL: the frame
 * is zeroed then.
 *
 * What a copy of the bytes moves, in `*init` or in a value that is sent through a channel or oneshot:
 *
 * | moves while no task waits in it                                   | does not move                   |
 * |-------------------------------------------------------------------|---------------------------------|
 * | nart_tcp, nart_tcp_listener, nart_udp                             | nart_fd                         |
 * | nart_unix, nart_unix_listener, nart_unix_dgram                    |                                 |
 * | nart_tcp_half, nart_unix_half                                     |                                 |
 * | nart_tx, nart_rx, nart_bytes_tx, nart_bytes_rx                    | nart_nursery that is open       |
 * | ends of nart_oneshot_open()                                       | nart_task_set and its nodes     |
 * | ends of a watch or a broadcast                                    | ends of nart_oneshot_link():    |
 * | nart_token, nart_join, nart_remote_join, nart_tokio_op            | by their move functions only    |
 * | nart_timer, nart_waiter, nart_tls                                 | nart_handler                    |
 * | nart_signal, nart_work, nart_socket, nart_file, nart_stream       | nart_process, nart_watch        |
 * | nart_remote, nart_waker, nart_task, nart_addr: also copied freely | nart_notify, nart_semaphore,    |
 * |                                                                   | nart_wait_group: others point   |
 * |                                                                   | at them                         |
 *
 * After the copy only one of the two is the handle: zero the other, and do not close it. In the poll in which
 * an operation on a handle was called, its task may still be registered in it: then move it into `init` or
 * into the value with its move function. (What was awaited within `init` itself is safe if the task is spawned
 * on the runtime that polls: that spawn ends such registrations.) A handle keeps its thread and its runtime: see
 * its header. Close in the new task's body, before it ends, what other tasks wait for: see nart_task_type.
 *
 *     NART_TASK_TYPED(conn, struct conn, conn_run, conn_drop);
 *
 *     struct conn c = { .id = 1 };
 *     nart_tcp_move(&c.socket, &f->accepted);
 *     if (conn_spawn(cx, &c, NULL) < 0)
 *         nart_tcp_close(&c.socket); // still the caller's
 */
#define NART_TASK_TYPED(name, T, poll, drop) NART_TASK_TYPED_FLAGS(name, T, poll, drop, 0)

/** The same with NART_TASK_* flags. */
#define NART_TASK_TYPED_FLAGS(name, T, poll, drop, flags)                                          \
    NART__UNUSED static const nart_task_type name##_type =                                         \
        NART_TASK_TYPE_FLAGS(T, poll, drop, flags);                                                \
    NART__TASK_FRAME(name##_frame, T)                                                              \
    NART__TASK_SPAWN(name##_spawn, nart_spawn, nart_cx *, name##_type, T)                          \
    NART__TASK_SPAWN(name##_spawn_boxed, nart_spawn_boxed, nart_cx *, name##_type, T)              \
    NART__TASK_SPAWN(name##_rt_spawn, nart_rt_spawn, nart_rt *, name##_type, T)                    \
    NART__TASK_SPAWN(name##_rt_spawn_boxed, nart_rt_spawn_boxed, nart_rt *, name##_type, T)        \
    NART__TASK_BLOCK_ON(name##_block_on, name##_type, T)                                           \
    struct name##_task_typed

/**
 * The same for any other function that spawns. `call` is a call that spawns a task, of a type that
 * NART_TASK_TYPED() defined, from `*init`. Zeroes `*init` unless `call` answers an error.
 * @return what `call` answers.
 *
 *     struct conn c = { .id = 2 };
 *     r = NART_MOVE(conn, &c, nart_task_set_spawn(cx, &f->conns, &conn_type, &c));
 */
#define NART_MOVE(name, init, call)                                                                \
    nart__moved((call), name##_frame(init), sizeof *name##_frame(init))

/* ---- inspecting -------------------------------------------------------------------------------- */

/** The runtime that runs this poll. For a C task on tokio it is that of the task and of those that it spawns
 *  (see nart_tokio_spawn_task()), made by the first call: it can be shut down, observed and given tokens, but not
 *  run, bound, embedded or freed (-EDEADLK). NULL: there is no memory for it, or the driver has none. */
NART_API nart_rt *nart_cx_rt(nart_cx *cx);

/** The number of tasks that have not ended. */
NART_API uint32_t nart_rt_task_count(const nart_rt *rt);

/** The number of these that are in the background: see nart_task_set_background(). A host that polls the runtime
 *  has no task to wait for when the two are equal. */
NART_API uint32_t nart_rt_background_count(const nart_rt *rt);

/** Prints the tasks with their chains of awaits, one line per wait, to be read by people:
 *  `conn#3 parked: conn > read_frame  echo.c:31 > frame.c:12  readable  deadline in 4.2 s`. For a fiber also how
 *  much of its stack was ever used: `stack 1.4 of 64 KiB`. In gdb nart-gdb.py prints the same, also of a core dump. */
NART_API void nart_rt_dump(nart_rt *rt, FILE *out);

/** Counters of a runtime. Later versions add fields at the end. */
typedef struct nart_rt_stats {
    size_t size;                      /**< sizeof(nart_rt_stats), set by the caller */
    uint64_t ticks, polls, parks;     /**< turns of the loop, polls of tasks, waits in the kernel */
    uint64_t timers_fired, io_events; /**< timers, and events of descriptors */
    uint64_t wakes_foreign;           /**< wakes by other threads */
    uint64_t spawned, ended;          /**< tasks */
    uint64_t wakes_coalesced; /**< those of wakes_foreign that found the task ready; a wake of a
                               *   task that is in the inbox is not counted at all */
    uint64_t eventfd_writes;  /**< by other threads, and for an idle host */
    uint64_t timers_late;     /**< timers fired more than 1 ms late */
    uint64_t budgets_spent;   /**< polls that spent NART_BUDGET */
    /* Counted while the runtime is observed (nart/observe.h), and kept after that: */
    uint64_t wakes_local;  /**< by tasks of this runtime, wakes of themselves included */
    int64_t longest_ns;    /**< the longest poll */
    nart_task longest;     /**< its task */
    char longest_name[32]; /**< the name of the task's type, truncated */
} nart_rt_stats;

/** Copies the counters that the caller's version knows. **Thread**: the runtime's own. */
NART_API void nart_rt_stats_get(const nart_rt *rt, nart_rt_stats *out);

/** Use of the slots of one class. */
typedef struct nart_slot_use {
    uint32_t bytes;  /**< the largest frame */
    uint32_t limit;  /**< nart_rt_opts.slots; 0: none */
    uint32_t mapped; /**< slots that exist */
    uint32_t peak;   /**< the most slots that were in use at the same time */
    uint32_t used;   /**< slots in use; a task that has ended uses one until its handle is
                      *   released */
} nart_slot_use;

/** Fills in `out`, one element per class. **Thread**: the runtime's own. **Cost**: reads every slot that
 *  was ever used. */
NART_API void nart_rt_slots_get(const nart_rt *rt, nart_slot_use out[NART_SLOT_CLASSES]);

/** Returns memory and descriptors of unused hubs to the system. Allowed at any time: wakers and handles (join,
 *  socket, remote, token) of freed runtimes stay valid, also in other threads and signal handlers. A hub that
 *  one of them is using at the moment is left for a later call. The addresses stay reserved, for later
 *  runtimes.
 *  @return the number of hubs. **Thread**: any. **Cost**: reads every slot that ever had a waker. */
NART_API size_t nart_lib_trim(void);

#ifdef __cplusplus
}
#endif

#include "detail/rt.h"

#endif
