/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reactor.h: readiness of descriptors, independent of the kernel interface that reports it.
 *
 * Invariants
 *  1. Readiness first: an operation is tried while its direction may be ready, and waits only after the
 *     kernel answered EAGAIN. A new descriptor counts as ready.
 *  2. Separate waiters for reading and writing: each direction has a wait of its own.
 *  3. An id is (serial, index) and never repeats; an event for a descriptor that was removed finds another
 *     serial and is dropped.
 *  4. If a handle is closed while its connect is awaited, the wait is left behind: it stays in the record
 *     until the waiting task has requested it again or stopped waiting. Only that tells the operation that
 *     waited from a new one. */
#ifndef NART_REACTOR_H
#define NART_REACTOR_H

#include "../wait/wait.h"

#include <nart/watch.h>

#define NART__INDEX_BITS                                                                           \
    20 /* of an id; as many as the descriptors that Linux permits per process */
#define NART__INDEX_MASK ((UINT64_C(1) << NART__INDEX_BITS) - 1)

/* The kernel does not watch it (a regular file): both directions stay ready. */
#define NART__IO_ALWAYS (UINT32_C(1) << 30)

/* The record of a watch. */
#define NART__IO_WATCH (UINT32_C(1) << 29)

/* The kernel reports its write direction. */
#define NART__IO_WRITES (UINT32_C(1) << 28)

/* States of a descriptor that begin and end: each event reports which of them hold. */
#define NART__IO_STATES (uint32_t)(NART_ERROR | NART_HANGUP | NART_RDHUP)

/* Two cache lines. */
typedef struct nart__io {
    uint64_t id; /* NART__IO_FREE, or what the handle holds */
    union {
        int fd;
        uint32_t next_free;
    };
    uint32_t ready; /* NART_READ ... */
    union {
        nart__wait dir[2]; /* reader, writer */
        struct {           /* of a record whose wait was left behind: over the reader's wait */
            const void *handle;
            struct nart__reactor *reactor;
            uint32_t index;
        } left;
        nart_watch *watch; /* of a watch: in which no task waits */
        struct {           /* of a listener, which has no writer: over the writer's queue link */
            nart__wait reader;
            uintptr_t fd; /* to be closed with the reactor, plus one; 0: none */
        } kept;
    };
} nart__io;

#define NART__IO_FREE UINT64_MAX /* an id that is never assigned */

typedef struct nart__reactor {
    int fd;          /* the kernel's queue, for hosts to wait on */
    uint32_t max_io; /* the limit of `made` */
    uint32_t made;   /* number of records */
    uint32_t first;  /* of them those in `io`; the others from 2^k to 2^(k+1) are in more[k] */
    uint32_t fresh, free, used;
    uint32_t left; /* records that were left behind */
    int calls;     /* events of the last wait in which watches are to be called; 0: none is */
    uint32_t *
        watched; /* per number of a descriptor: the record of the watch registered under it, plus one. NULL:
                        * there was no watch */
    nart__io *io;
    nart__io *more[NART__INDEX_BITS];
    void *events;
    uint32_t max_events;
    uint64_t *serial; /* of the last id; outlives the reactor, as handles can */
} nart__reactor;

/* 0, -EINVAL, -ENOMEM, -EMFILE, -ENFILE. max_io: 0 is no limit. wake_fd: an eventfd whose only effect is to
 * end a wait. */
int nart__reactor_init(nart__reactor *r, uint32_t max_io, uint32_t max_events, int wake_fd,
                       uint64_t *serial);
void nart__reactor_finish(nart__reactor *r, bool forked);

/* Reserves records for so many descriptors: 0, NART_EFDS or -ENOMEM. Existing records do not move. */
int nart__reactor_reserve(nart__reactor *r, uint32_t count);

/* Waits for at most timeout_ns (NART_NEVER: no timeout) and makes tasks ready.
 * Returns the number of events, or -errno; an interruption by a signal counts as no event. */
int nart__reactor_wait(nart__reactor *r, int64_t timeout_ns);

/* ---- watches ---- */

/* Before the first watch: 0 or -ENOMEM. */
nart_res nart__reactor_watches(nart__reactor *r);
/* Registers a watch for these directions, and sets w->dirs and w->id. Errors as
 * nart_watch_set(): then it is not registered. */
nart_res nart__reactor_watch(nart__reactor *r, nart_watch *w, uint32_t dirs);
/* Removes the registration of an id, if it still exists. */
void nart__reactor_unwatch(nart__reactor *r, uint64_t id, bool forked);
/* After nart__reactor_wait(): calls the watches that it found ready, each by `call`, after which it may have been
 * freed. */
NART__COLD void nart__reactor_call(nart__reactor *r, void (*call)(nart_watch *w, uint32_t events));

/* ---- handles ---- */

/* See nart_driver. `dirs`: NART_WRITE if a task is to wait for it at once, which saves a system call; else 0. */
nart_res nart__reactor_add(nart__reactor *r, int fd, uint32_t dirs, uint64_t *id);
nart_res nart__reactor_del(nart__reactor *r, uint64_t id, bool forked, int *fd);
/* Removes as nart__reactor_del(), for the handle at this address, in which no task reads: the wait in its
 * write direction is left behind, and the operation learns of it by nart__reactor_left(). */
nart_res nart__reactor_leave(nart__reactor *r, uint64_t id, bool forked, const void *handle,
                             int *fd);
/* The wait of the running body that this handle has left behind, or NULL. */
NART__COLD nart__wait *nart__reactor_left(const nart_cx *cx, const void *handle);
/* Does a task wait in it, or has a task that has not requested it again yet? */
bool nart__reactor_awaited(const nart__reactor *r, uint64_t id);
/* Sets a descriptor, plus one, to be closed with the reactor if the record still exists then; 0: none. */
void nart__reactor_keep(const nart__reactor *r, uint64_t id, int fd_plus_one);
nart_res nart__reactor_fd(const nart__reactor *r, uint64_t id);
nart_res nart__reactor_wake(nart__reactor *r, uint64_t id);

/* ---- one record: also of drivers other than the loop (record.c) ---- */

/* Sets up a record in which no task waits. */
void nart__io_init(nart__io *io, uint64_t id, int fd, uint32_t ready);

/* Ends all waits of the record. Returns whether it was in use: not if its task merely has not requested it
 * again yet in the running poll. */
bool nart__io_part(nart__io *io);

/* Slow path of nart__io_await(): the directions are not ready. */
nart_res nart__io_park(nart__io *io, uint32_t dirs, nart_cx *cx);

/* The record of an index below `made`. */
static inline nart__io *nart__io_at(const nart__reactor *r, uint32_t i)
{
    if (NART_LIKELY(i < r->first))
        return &r->io[i];
    int k = 31 - __builtin_clz(i);
    return &r->more[k][i - (UINT32_C(1) << k)];
}

static inline nart__io *nart__io_of(const nart__reactor *r, uint64_t id)
{
    uint32_t i = (uint32_t)(id & NART__INDEX_MASK);
    nart__io *io = NART_LIKELY(i < r->fresh) ? nart__io_at(r, i) : NULL;
    return NART_LIKELY(io && io->id == id) ? io : NULL;
}

/* The direction is ready: ends the operation's wait. Nothing was consumed, so nothing is passed on.
 * -EBUSY: the wait belongs to another task, or to another arm of this task's race. */
static inline nart_res nart__io_settle(nart__wait *w, const nart_cx *cx)
{
    if (w->task) {
        if (NART_UNLIKELY(nart__wait_taken(cx, w)))
            return -EBUSY;
        nart__unwait(w);
    }
    return 0;
}

/* Ends the running operation's waits in these directions. */
static inline void nart__io_unwait_in(nart__io *io, uint32_t dirs, const nart_cx *cx)
{
    if (dirs & NART_READ)
        (void)nart__io_settle(&io->dir[0], cx);
    if (dirs & NART_WRITE)
        (void)nart__io_settle(&io->dir[1], cx);
}

/* The budget is spent, and the next poll calls the running operation again: it continues to wait. */
static inline void nart__io_stay_in(nart__io *io, uint32_t dirs, const nart_cx *cx)
{
    if (dirs & NART_READ)
        nart__wait_stay(cx, &io->dir[0]);
    if (dirs & NART_WRITE)
        nart__wait_stay(cx, &io->dir[1]);
}

/* See nart_driver.io_want. */
static inline nart_res nart__io_await(nart__io *io, uint32_t dirs, nart_cx *cx)
{
    nart_res busy = 0;

    if (!(io->ready & dirs))
        return nart__io_park(io, dirs, cx);
    if (dirs & NART_READ)
        busy = nart__io_settle(&io->dir[0], cx);
    if (dirs & NART_WRITE && busy == 0)
        busy = nart__io_settle(&io->dir[1], cx);
    return NART_UNLIKELY(busy) ? busy : io->ready;
}

/* Clears these bits. A reader that found no data is not at the end, and no mark precedes it. */
static inline void nart__io_clear_in(nart__io *io, uint32_t bits)
{
    if (bits & NART_READ)
        bits |= NART_HANGUP | NART_RDHUP | NART_PRI;
    if (NART_LIKELY(!(io->ready & NART__IO_ALWAYS)))
        io->ready &= ~(bits | NART_ERROR);
}

/* ---- the same by id ---- */

static inline void nart__reactor_unwait(const nart__reactor *r, uint64_t id, uint32_t dirs,
                                        const nart_cx *cx)
{
    nart__io *io = nart__io_of(r, id);
    if (io)
        nart__io_unwait_in(io, dirs, cx);
}

static inline void nart__reactor_stay(const nart__reactor *r, uint64_t id, uint32_t dirs,
                                      const nart_cx *cx)
{
    nart__io *io = nart__io_of(r, id);
    if (io)
        nart__io_stay_in(io, dirs, cx);
}

/* A task begins to wait for the write direction, which the kernel does not report yet: 0 or -EBADF. */
NART__COLD nart_res nart__reactor_add_writes(const nart__reactor *r, nart__io *io);

static inline nart_res nart__reactor_want(const nart__reactor *r, uint64_t id, uint32_t dirs,
                                          nart_cx *cx)
{
    nart__io *io = nart__io_of(r, id);
    if (NART_UNLIKELY(!io))
        return NART_ESTALE;
    if (dirs & NART_WRITE && NART_UNLIKELY(!(io->ready & (dirs | NART__IO_WRITES)))) {
        nart_res err = nart__reactor_add_writes(r, io);
        if (err)
            return err;
    }
    return nart__io_await(io, dirs, cx);
}

static inline void nart__reactor_clear(const nart__reactor *r, uint64_t id, uint32_t bits)
{
    nart__io *io = nart__io_of(r, id);
    if (NART_LIKELY(io))
        nart__io_clear_in(io, bits);
}

#endif
