/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/watch.h
 * Descriptors and timers of libraries that do their own I/O (hiredis, libcurl, libpq, c-ares): a callback, as
 * uv_poll, ev_io and event_new have. The library says what it waits for, the loop calls back, and the callback
 * lets the library read and write.
 *
 *     static void on_socket(nart_watch *w, uint32_t events, void *arg)
 *     {
 *         struct client *c = arg;
 *         if (events & NART_READ)
 *             client_read(c);    // may read a part only: it is called again
 *         if (events & NART_ALARM)
 *             nart_watch_stop(w);
 *     }
 *
 *     r = nart_watch_start(rt, &c->watch, c->fd, on_socket, c);
 *     if (r == 0)
 *         r = nart_watch_set(&c->watch, NART_READ, nart_time_add(nart_rt_now(rt), NART_SEC));
 *
 * How a watch differs from a nart_fd:
 *  1. It is level-triggered: its callback is called in every tick in which a direction is ready, whether the
 *     library has tried the descriptor or not. A socket that connects is writable when it is connected.
 *  2. It is no task and has no slot. It keeps neither nart_rt_run() nor a shutdown waiting, and works while the
 *     runtime shuts down; a program that consists of watches needs a task that waits for its end.
 *  3. The descriptor stays the caller's.
 *
 * **Callbacks** run in the loop, between the polls of tasks. They may start, set and stop any watch, their own
 * included, and free the memory of a stopped one; spawn by nart_rt_spawn(); wake, cancel, notify, and do all
 * that needs no `cx`: send by the try-forms, nart_rt_stop(), nart_rt_shutdown(). What runs or frees the
 * runtime answers `-EDEADLK`. A callback that blocks, blocks the loop, and is not seen by the watchdog of
 * nart/observe.h, which measures polls. nart_rt_dump() lists the watches.
 *
 * **Order**: a callback is called at most once per tick for the descriptor. After nart_watch_stop() it is not
 * called any more, also if an event has been received already; nor is it called for a direction that has been
 * switched off. A watch that is always ready delays the tasks of a tick by its callback only, and tasks that are
 * always ready delay watches by the polls of one tick (nart_rt_opts.polls_per_tick).
 *
 * **Descriptors**: tell nart before the library closes one: nart_watch_set() without directions, or
 * nart_watch_stop(). Otherwise a copy of it, by dup() or in another process, keeps reporting, and keeps the loop
 * awake. If a library may have replaced its socket, which then can have the same number (PQconnectPoll() does this),
 * call nart_watch_start() again: it registers whatever the number names now. A watch whose descriptor was closed,
 * and all copies of it, gets no events from the next tick on, and never those of a handle or watch that got its
 * number.
 *
 * **Ownership**: the struct is the caller's. It must stay where it is until it is stopped or the runtime is freed,
 * which stops it without a call. Zeroed = stopped.
 * **Thread**: the runtime's own, or any before it is bound.
 */
#ifndef NART_WATCH_H
#define NART_WATCH_H

#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An event of a watch, beside NART_READ, NART_WRITE, NART_ERROR and NART_HANGUP. */
enum {
    NART_ALARM = 256 /**< the time of nart_watch_set() has passed */
};

struct nart_watch;

/**
 * The callback of a watch. `events` is NART_ALARM alone; or those of its directions that are ready, with NART_ERROR
 * and NART_HANGUP if they hold: then all its directions count as ready.
 */
typedef void nart_watch_fn(struct nart_watch *w, uint32_t events, void *arg);

/** A watch. */
typedef struct nart_watch {
    /* private */
    nart_rt *rt; /* NULL: it is stopped */
    struct nart_watch *next, **prev;
    nart_watch_fn *fn;
    void *arg;
    uint64_t id; /* 0: no direction is watched */
    nart__tnode alarm;
    int fd;
    uint32_t dirs;
    uint64_t reserved[2];
} nart_watch;

/**
 * Starts a watch, without directions and without an alarm: see nart_watch_set(). A watch that is started already
 * is stopped first.
 * @param fd need not be non-blocking. -1: the watch is an alarm only.
 * @return 0; -EINVAL no `rt`, `w` or `fn`, or `fd` < -1; -ENOMEM; NART_EDRIVER a runtime of tokio's;
 *   NART_EWRONGTHREAD; NART_EFORK. After an error `*w` is unchanged.
 * **Cost**: no system call for a stopped watch, but for the first of a runtime, which maps memory: 4 MiB, touched
 *   on use.
 */
NART_API NART_MUST_USE nart_res nart_watch_start(nart_rt *rt, nart_watch *w, int fd,
                                                 nart_watch_fn *fn, void *arg);

/**
 * Sets what a watch waits for, in place of what was set before.
 * @param dirs NART_READ, NART_WRITE, both or 0. @param at the time of the alarm, on the runtime's clock
 *   (nart_rt_now()), or NART_NEVER. It rings once: pass NART_NEVER when only the directions change after that. A time
 *   that has passed is due in the next tick, and before it only for a call in the callback of a descriptor.
 * @return 0; -EINVAL no `w`, or unknown bits; -EBADF the watch is stopped, or its descriptor is not open; -EPERM
 *   the kernel does not watch such descriptors (regular files): they are always ready; -EEXIST the descriptor is
 *   watched already, by another watch or a handle (watch a duplicate); NART_EFDS more than nart_rt_opts.max_io, or a
 *   descriptor above 1,048,575; -ENOSPC, -ENOMEM the kernel's limits; NART_EWRONGTHREAD; NART_EFORK. After
 *   -EINVAL and the last two nothing has changed. After another error of a watch that is started no direction is
 *   watched, and the alarm is unchanged.
 * **Cost**: a system call if the directions change, none if not.
 */
NART_API NART_MUST_USE nart_res nart_watch_set(nart_watch *w, uint32_t dirs, int64_t at);

/** Stops a watch; its memory is the caller's again. @return 0, also for NULL, for a stopped watch, after the
 *  runtime was freed, and in a forked child; NART_EWRONGTHREAD: nothing was done. **Cost**: a system call if a
 *  direction is watched. */
NART_API nart_res nart_watch_stop(nart_watch *w);

#ifdef __cplusplus
}
#endif
#endif
