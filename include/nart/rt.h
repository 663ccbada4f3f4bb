/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/rt.h
 * The runtime: making, running, embedding, ending and inspecting it.
 *
 * A runtime belongs to one thread: the one that first runs it, or that called nart_rt_bind().
 * Several runtimes per thread are fine. Nothing is global but a pool of hubs. A hub holds the records
 * through which other threads wake the tasks of one runtime; after the runtime's end it serves another
 * one (see nart_lib_trim()).
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

/** A task has a slot of one of these classes, by the size of its frame: 64, 128, 256, 512, 1024, 2048
 *  and 4096 bytes. */
#define NART_SLOT_CLASSES 7

enum {
    NART_RT_SPINNING = 1 /**< nart_rt_run() and nart_block_on() never park: they spin */
};

/** Options of a runtime; begin with NART_RT_OPTS_INIT. Zero means the default everywhere; the number in
 *  a comment is the default. */
typedef struct nart_rt_opts {
    size_t size;                       /**< sizeof(nart_rt_opts) */
    const char *name;                  /**< shown in dumps and reports; copied; "nart" */
    uint32_t slots[NART_SLOT_CLASSES]; /**< tasks at most, per class; 0: no limit */
    uint32_t max_io;                   /**< descriptors at most; 0: no limit but 1,048,575 */
    uint32_t flags;                    /**< NART_RT_* */
    /* Limits of one tick. The default is the minimum: a smaller value is refused. */
    uint32_t polls_per_tick;  /**< polls; 64, of which urgent tasks take 16 at most */
    uint32_t inbox_per_tick;  /**< wakes from other threads; 256 */
    uint32_t timers_per_tick; /**< timers touched, fired or moved; 128 */
    uint32_t events_per_tick; /**< events of descriptors; 256 */
    int64_t spin_ns;          /**< before it parks, the loop spins for so long; 0 */
    const nart_alloc *alloc;  /**< copied; malloc and free */
    /** Called once per line for errors that no function can answer (a body that ignored
     *  cancellation, for example). Each line begins with the runtime's name. Default: standard
     *  error. **Thread**: the runtime's own. */
    void (*report)(void *arg, const char *line);
    void *report_arg;
    uint64_t reserved[8];
} nart_rt_opts;

#define NART_RT_OPTS_INIT NART__SIZED(nart_rt_opts)

/**
 * Makes a runtime. `opts` may be NULL.
 * @return 0 and `*out`; -EINVAL, also for a limit per tick below its default; -ENOMEM; -EMFILE, -ENFILE
 *   no descriptor for its epoll or eventfd; -ENOSPC the user watches as many descriptors as the system
 *   allows; NART_EABI options of another version.
 * **Thread**: any; it binds later. **Cost**: two descriptors; memory is mapped and touched on use.
 */
NART_API NART_MUST_USE nart_res nart_rt_new(const nart_rt_opts *opts, nart_rt **out);

/**
 * Maps slots in advance. Afterwards `tasks` tasks with frames of `frame_size` bytes can exist at the same
 * time, those that exist now included, and none of their spawns maps memory. For boxed tasks
 * `frame_size` is 0. Memory is touched when a slot is first used.
 *
 * A runtime grows with its tasks. It begins with 4,096 slots for frames of up to 64 bytes, 4,096 of 128,
 * 2,048 of 256, 1,024 of 512 and of 1,024, 512 of 2,048, 256 of 4,096. A class with a limit in
 * nart_rt_opts.slots begins with that number and does not grow. In any other class a spawn that finds
 * no free slot maps as many again as the class has. Slots never move; they are unmapped when the runtime
 * is freed.
 * @return 0; NART_EFRAME above 4,096 bytes; NART_ESLOTS more than nart_rt_opts.slots, or than ids can
 *   name (2^31 slots in all); -ENOMEM; -EINVAL no `rt`; NART_EWRONGTHREAD; NART_EFORK.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API NART_MUST_USE nart_res nart_rt_reserve(nart_rt *rt, size_t frame_size, uint32_t tasks);

/** The same for descriptors: a runtime without nart_rt_opts.max_io has records for 1,024 of them, and
 *  doubles that when they are used up.
 *  @return 0; NART_EFDS more than nart_rt_opts.max_io, or than 1,048,575; -ENOMEM; -EINVAL no `rt`;
 *  NART_EWRONGTHREAD; NART_EFORK. **Thread**: as nart_rt_reserve(). */
NART_API NART_MUST_USE nart_res nart_rt_reserve_io(nart_rt *rt, uint32_t descriptors);

/**
 * Ends every task and frees the runtime. Each task is polled once as cancelled; one that waits even then
 * is reported by name and line, and dropped. Shields are refused. This does not wait for anything.
 * Handles (joins, sockets, channel ends, wakers) may outlive the runtime. NULL is fine.
 *
 * The last spawned task ends first, whatever the sizes of their frames: a task may use memory of the
 * task that spawned it. Frames of ended tasks that handles keep are dropped after that, in the same
 * order.
 *
 * In a child process that the runtime's thread has forked, no task is polled or dropped. This closes the
 * child's copies of the descriptors and frees the runtime with all frames; what the frames refer to stays
 * allocated. Handles outside of frames can be closed before or after it, but a linked oneshot whose
 * other end is in a frame only before. In a child process that another thread has forked it must not be
 * called.
 * @return 0; -EDEADLK inside a poll or a drop of its own; NART_EWRONGTHREAD.
 */
NART_API nart_res nart_rt_free(nart_rt *rt);

/** What nart_rt_free_counted() found. Later versions add fields at the end. */
typedef struct nart_rt_end {
    size_t size;          /**< sizeof(nart_rt_end), set by the caller */
    uint64_t cancelled;   /**< tasks that ended when they were asked to */
    uint64_t dropped;     /**< tasks that waited even then, and were dropped */
    uint64_t held;        /**< join handles of ended tasks, which outlive the runtime */
    uint64_t undelivered; /**< wakes and spawns by other threads that were too late for a poll */
} nart_rt_end;

#define NART_RT_END_INIT NART__SIZED(nart_rt_end)

/** nart_rt_free() that counts what it found; after an orderly shutdown all counts are 0. `out` may be
 *  NULL. @return as nart_rt_free(), and NART_EABI; `*out` is filled in when the answer is 0. */
NART_API nart_res nart_rt_free_counted(nart_rt *rt, nart_rt_end *out);

/** Binds to the calling thread now. Only between runs, with no other thread inside.
 *  @return 0; -EINVAL; -EDEADLK inside a poll; NART_EFORK. **Thread**: the one that will run it. */
NART_API nart_res nart_rt_bind(nart_rt *rt);

/**
 * Runs until no task is left, tasks that other threads have spawned included, or until nart_rt_stop()
 * is called.
 * @return 0; -EINVAL; -EDEADLK inside a poll or a drop of its own; NART_EWRONGTHREAD; NART_EFORK; -errno of
 *   a wait that failed.
 */
NART_API NART_MUST_USE nart_res nart_rt_run(nart_rt *rt);

/** Makes nart_rt_run() return after its current tick; tasks stay. Has no effect in nart_block_on() and
 *  nart_rt_poll(). **Thread**: the runtime's own. */
NART_API void nart_rt_stop(nart_rt *rt);

/**
 * Spawns a task and runs until it has ended; others stay and go on at the next run.
 * @return 0 and `*result` (may be NULL); NART_EFRAME the frame is larger than the largest slot: use
 *   nart_rt_spawn_boxed(), nart_rt_run(), and then nart_join_frame(), where the body has put its answer;
 *   the errors of nart_spawn() and nart_rt_run().
 * **Ownership**: as nart_spawn(). After -errno of a wait that failed, the task exists: `*init` is the
 *   task's, and it goes on at the next run. After all other errors `*init` is the caller's. The typed form
 *   below shows which: it zeroes what is the task's.
 */
NART_API NART_MUST_USE nart_res nart_block_on(nart_rt *rt, const nart_task_type *type,
                                              const void *init, nart_res *result);

/**
 * One tick, for a host with a loop of its own: polls the tasks that are ready, due or woken, within the
 * limits per tick. When there is none, waits for one, but for at most `timeout_ns` nanoseconds (0: not at
 * all, NART_NEVER: no limit). The wait may end earlier with the answer 0.
 * @return the number of polls made; errors as nart_rt_run().
 */
NART_API NART_MUST_USE nart_res nart_rt_poll(nart_rt *rt, int64_t timeout_ns);

/**
 * A descriptor for a host to wait on, between calls of nart_rt_poll(rt, 0). It becomes readable when a
 * descriptor of the runtime is ready or another thread wakes a task. Tasks that the last call left ready
 * need not make it readable, but then nart_rt_next_deadline() answers 0. So a host waits like this:
 *
 *     int64_t at = nart_rt_next_deadline(rt); // last, right before the wait
 *     wait_readable(nart_rt_backend_fd(rt), at); // not at all if that time has passed
 *     r = nart_rt_poll(rt, 0);
 *
 * **Ownership**: the runtime's; only wait on it.
 */
NART_API int nart_rt_backend_fd(nart_rt *rt);

/** The latest time at which nart_rt_poll() must be called: an absolute time; 0: now; NART_NEVER: there
 *  is none. Valid until the runtime is next used. **Cost**: O(1); with a clock that advances by itself
 *  (nart_rt_clock_auto()) it looks at every slot that was ever used. */
NART_API int64_t nart_rt_next_deadline(nart_rt *rt);

/** Spawning from outside polls. @return as nart_spawn_begin() but for NART_EDRIVER, and
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
 * Defines the task type `name_type` with frames of type T, and spawn functions that take only a `T *`:
 *
 * | function                           | is                    |
 * |------------------------------------|-----------------------|
 * | name_spawn(cx, init, out)          | nart_spawn()          |
 * | name_spawn_boxed(cx, init, out)    | nart_spawn_boxed()    |
 * | name_rt_spawn(rt, init, out)       | nart_rt_spawn()       |
 * | name_rt_spawn_boxed(rt, init, out) | nart_rt_spawn_boxed() |
 * | name_block_on(rt, init, result)    | nart_block_on()       |
 *
 * It also takes the names `name_type`, `name_frame` and `struct name_task_typed`.
 *
 * They move `*init`. When the task has it, `*init` is zeroed: a handle in it that the caller closes
 * afterwards is a closed one. When the task does not have it, because of an error, `*init` is unchanged
 * and stays the caller's. `init` may be NULL: the frame is zeroed then.
 *
 * Moving by a copy of the bytes, in `*init`, or in a value that is sent through a channel or oneshot:
 *
 * | moves so while no task waits in it                                | does not move                   |
 * |-------------------------------------------------------------------|---------------------------------|
 * | nart_tcp, nart_tcp_listener, nart_udp                             | nart_fd                         |
 * | nart_tx, nart_rx, nart_bytes_tx, nart_bytes_rx                    | nart_nursery that is open       |
 * | ends of nart_oneshot_open()                                       | nart_task_set and its nodes     |
 * | ends of a watch or a broadcast                                    | ends of nart_oneshot_link():    |
 * | nart_token, nart_join, nart_tokio_op                              | by their move functions only    |
 * | nart_timer, nart_waiter                                           | nart_handler                    |
 * | nart_remote, nart_waker, nart_task, nart_addr: also copied freely | nart_notify, nart_semaphore,    |
 * |                                                                   | nart_wait_group: others point   |
 * |                                                                   | at them                         |
 *
 * After the copy only one of the two is the handle: zero the other one, and do not close it. A handle keeps
 * its thread and its runtime: see its header. What other tasks wait for, the new task's body closes before
 * it ends: see nart_task_type.
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
 * The same for any other function that spawns: `call` is a call of it, which spawns a task of a type that
 * NART_TASK_TYPED() defined from `*init`. Zeroes `*init` unless `call` answers an error.
 * @return what `call` answers.
 *
 *     struct conn c = { .id = 2 };
 *     r = NART_MOVE(conn, &c, nart_task_set_spawn(cx, &f->conns, &conn_type, &c));
 */
#define NART_MOVE(name, init, call)                                                                \
    nart__moved((call), name##_frame(init), sizeof *name##_frame(init))

/** The runtime of the running poll, or NULL under another driver. */
NART_API nart_rt *nart_cx_rt(const nart_cx *cx);

/** Tasks that have not ended. */
NART_API uint32_t nart_rt_task_count(const nart_rt *rt);

/** Prints the tasks with their chains of awaits, one line per wait, for people to read:
 *  `conn#3 parked: conn > read_frame  echo.c:31 > frame.c:12  readable  deadline in 4.2 s`. */
NART_API void nart_rt_dump(nart_rt *rt, FILE *out);

/** What a runtime counts. Later versions add fields at the end. */
typedef struct nart_rt_stats {
    size_t size; /**< sizeof(nart_rt_stats), set by the caller */
    uint64_t ticks, polls, parks, timers_fired, wakes_foreign, io_events, spawned, ended;
    uint64_t wakes_coalesced; /**< of wakes_foreign, those that found the task ready already; a wake
                               *   of a task that is in the inbox already is counted in neither */
    uint64_t eventfd_writes;  /**< by other threads, and for an idle host */
    uint64_t timers_late;     /**< fired more than 1 ms after they were due */
    uint64_t budgets_spent;   /**< polls that ended because NART_BUDGET was used up */
    /* Only while the runtime is observed, nart/observe.h; they stay when that ends: */
    uint64_t wakes_local;  /**< by tasks of this runtime, of themselves included */
    int64_t longest_ns;    /**< the longest poll */
    nart_task longest;     /**< and whose it was */
    char longest_name[32]; /**< the name of its type, cut off there */
} nart_rt_stats;

/** Copies the counters that the caller's version knows. **Thread**: the runtime's own. */
NART_API void nart_rt_stats_get(const nart_rt *rt, nart_rt_stats *out);

/** How the slots of one class are used. */
typedef struct nart_slot_use {
    uint32_t bytes;  /**< frames of up to so many */
    uint32_t limit;  /**< nart_rt_opts.slots; 0: none */
    uint32_t mapped; /**< slots that exist: more are mapped when these are in use */
    uint32_t peak;   /**< slots that were ever in use at the same time */
    uint32_t used;   /**< slots in use now; a task that has ended uses one until its handle is
                      *   released */
} nart_slot_use;

/** Fills in `out`, one element per class. **Thread**: the runtime's own. **Cost**: looks at every slot
 *  that was ever used. */
NART_API void nart_rt_slots_get(const nart_rt *rt, nart_slot_use out[NART_SLOT_CLASSES]);

/** Gives memory and descriptors of hubs that no runtime uses back to the system. Allowed at any time:
 *  wakers and handles (join, socket, remote, token) of runtimes that are gone stay valid, also in
 *  other threads and signal handlers. A hub that one of those is in the middle of using is left for a
 *  later call. The addresses stay reserved, for later runtimes.
 *  @return the number of hubs. **Thread**: any. **Cost**: looks at every slot that ever had a waker. */
NART_API size_t nart_lib_trim(void);

#ifdef __cplusplus
}
#endif

#include "detail/rt.h"

#endif
