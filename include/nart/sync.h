/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/sync.h
 * Synchronization of tasks of one runtime: notifications, semaphores, locks, wait groups. They are plain
 * memory of one thread; between threads use channels, nart/oneshot.h and wakers.
 *
 * A task waits in a nart_waiter in its frame; the object lies in memory that all tasks involved can reach.
 * Rules that hold for all objects, beside those of nart/task.h:
 *
 *  1. First come, first served. If a task abandons its wait after it was granted a turn, and before it took
 *     it (it lost a race, was cancelled or dropped, or its deadline passed), the turn passes to the next one.
 *  2. Closing wakes all waiting tasks; they find NART_ECLOSED. They do not read the object again, so its
 *     memory may be freed then. An object for which no task waits need not be closed.
 *  3. Operations that wait also answer -ECANCELED and -ETIMEDOUT (nothing was taken); -EBUSY another task, or
 *     another operation, waits in this nart_waiter; NART_EDRIVER tasks of another runtime wait for the object,
 *     or the task runs on tokio and has spawned none that could wake it; -EPERM outside of a poll.
 *
 * A semaphore limits the number of tasks that do something at a time:
 *
 *     NART_AWAIT(r, nart_semaphore_acquire(cx, f->permits, &f->waiter, 1));
 *     if (r == 0) {
 *         NART_AWAIT(r, work(cx, f));
 *         nart_semaphore_release(f->permits, 1);
 *     }
 *
 * Do not leave the release to the drop of a task that is joined: that is called when its handle is closed
 * (nart_join_await()), which may be much later than its end.
 *
 * Between two awaits no other task of the runtime runs. A mutex is for what must not change during an await:
 *
 *     NART_AWAIT(r, nart_mutex_lock(cx, f->mutex, &f->lock));
 *     if (r < 0)
 *         NART_RETURN(r);
 *     NART_AWAIT(r, write_record(cx, f));
 *     nart_lock_release(&f->lock);
 *
 * **Thread** of all functions: the runtime's own; for tasks on tokio, the poll of any task of their group
 * (nart_tokio_spawn_task()).
 */
#ifndef NART_SYNC_H
#define NART_SYNC_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The wait of one task for one object. Zeroed = idle. It needs no release. Do not copy or move it while a
 *  task waits in it. */
typedef struct nart_waiter {
    /* private */
    nart__wait wait;
    void *at;
    uint64_t want;
} nart_waiter;

/* ---- notifications ---- */

/** A notification: tasks wait until another one notifies them. Zeroed = ready for use. */
typedef struct nart_notify {
    /* private */
    nart__waitq queue, notified;
    uint32_t permit, closed;
} nart_notify;

/** Notifies the task that has waited longest. If none waits, the next wait is answered at once; several
 *  such notifications count as one. **Cost**: O(1). */
NART_API void nart_notify_one(nart_notify *n);

/** Notifies every task that waits now, but none that waits later. **Cost**: O(tasks that wait). */
NART_API void nart_notify_all(nart_notify *n);

/** Waits for a notification. @return 0; NART_ECLOSED; see rule 3. */
NART_API NART_MUST_USE nart_res nart_notify_await(nart_cx *cx, nart_notify *n, nart_waiter *w);

/** Closes: waiting answers NART_ECLOSED from now on. Tasks that were notified before are answered 0.
 *  Idempotent; NULL is fine. */
NART_API void nart_notify_close(nart_notify *n);

/* ---- semaphores ---- */

#define NART_SEMAPHORE_MAX UINT32_MAX /**< permits at most */

/** A counting semaphore. Zeroed = no permits. */
typedef struct nart_semaphore {
    /* private */
    nart__waitq queue, granted;
    uint64_t permits, reserved;
    uint32_t closed, reserved0;
} nart_semaphore;

/** Sets up a semaphore with `permits` permits that no task waits for. */
static inline void nart_semaphore_init(nart_semaphore *s, uint32_t permits);

/**
 * Waits for `n` permits and takes them. A request is not overtaken by smaller ones behind it. A request for
 * more permits than there will ever be waits until it is cancelled or the semaphore is closed.
 * @return 0: the caller has to release them; NART_ECLOSED; see rule 3.
 */
NART_API NART_MUST_USE nart_res nart_semaphore_acquire(nart_cx *cx, nart_semaphore *s,
                                                       nart_waiter *w, uint32_t n);

/** Takes `n` permits without waiting. @return 0; -EAGAIN too few, or other tasks are queued; NART_ECLOSED. */
NART_API NART_MUST_USE nart_res nart_semaphore_try_acquire(nart_semaphore *s, uint32_t n);

/** Adds `n` permits, whether or not they were taken before. @return 0; -EOVERFLOW more than
 *  NART_SEMAPHORE_MAX would be available: nothing was added. **Cost**: O(tasks served). */
NART_API nart_res nart_semaphore_release(nart_semaphore *s, uint32_t n);

/** The number of available permits. While tasks wait they are kept for the first of them. */
static inline uint32_t nart_semaphore_permits(const nart_semaphore *s);

/** Closes: taking permits answers NART_ECLOSED from now on, also for tasks that were granted theirs and have
 *  not been polled since. Idempotent; NULL is fine. */
NART_API void nart_semaphore_close(nart_semaphore *s);

/* ---- locks ---- */

/**
 * A task's lock of a mutex or a read-write lock. Zeroed = not locked. Keep it in the frame, and do not copy, move
 * or free it while it is locked.
 *
 * A lock belongs to the task, not to the body that took it. A race that the body loses does not release it:
 * release it, or unwind the body by NART_STOP, before the body's frame is freed. The end of the task releases it
 * (a return, an abort, nart_rt_free()), before the task's drop is called; what it protects may be half changed
 * then. A task that returns without a release is reported (nart_rt_opts.report).
 *
 * In a fiber a lock is usually on the stack. There a return without a release, also after -ECANCELED, aborts the
 * process: rule 8 of nart/fiber.h.
 */
typedef struct nart_lock {
    /* private */
    nart_waiter waiter;
} nart_lock;

/** A read-write lock: many readers or one writer. Fair: a reader that arrives behind a waiting writer waits
 *  behind it. Zeroed = unlocked. */
typedef struct nart_rwlock {
    /* private */
    nart__waitq queue, holders;
    uint32_t closed, reserved0;
} nart_rwlock;

/** A mutex: one task at a time. Zeroed = unlocked. */
typedef struct nart_mutex {
    /* private */
    nart_rwlock lock;
} nart_mutex;

/** Locks for reading; waits for the writers that hold the lock or are queued.
 *  @return 0; -EDEADLK the task holds this lock already, by any nart_lock, for reading or writing, `l` included;
 *  NART_ECLOSED; see rule 3, -EBUSY also if `l` locks another one. **Cost**: O(operations and locks of the task);
 *  while it holds a lock, each of its polls checks its waits. */
NART_API NART_MUST_USE nart_res nart_rwlock_read(nart_cx *cx, nart_rwlock *rw, nart_lock *l);

/** Locks for writing; waits for all that hold the lock or are queued. @return and otherwise as
 *  nart_rwlock_read(). */
NART_API NART_MUST_USE nart_res nart_rwlock_write(nart_cx *cx, nart_rwlock *rw, nart_lock *l);

/** Locks without waiting, also in a task that is cancelled. @return 0; -EAGAIN other tasks hold the lock or are
 *  queued; -EDEADLK the task holds it already, `l` included; -EBUSY `l` locks another one, or a task waits in it;
 *  NART_ECLOSED; -EPERM outside of a poll. */
NART_API NART_MUST_USE nart_res nart_rwlock_try_read(nart_cx *cx, nart_rwlock *rw, nart_lock *l);
NART_API NART_MUST_USE nart_res nart_rwlock_try_write(nart_cx *cx, nart_rwlock *rw, nart_lock *l);

/** Closes: locking answers NART_ECLOSED from now on, also for tasks that were granted the lock and have not been
 *  polled since. Tasks that hold it keep it: their release answers 0 and does not read `*rw` again. Idempotent;
 *  NULL is fine. */
NART_API void nart_rwlock_close(nart_rwlock *rw);

/** Locks the mutex; waits for its turn. @return and otherwise as nart_rwlock_write(). */
static inline NART_MUST_USE nart_res nart_mutex_lock(nart_cx *cx, nart_mutex *m, nart_lock *l);

/** Locks without waiting. @return as nart_rwlock_try_write(). */
static inline NART_MUST_USE nart_res nart_mutex_try_lock(nart_cx *cx, nart_mutex *m, nart_lock *l);

/** Closes the mutex, as nart_rwlock_close(). */
static inline void nart_mutex_close(nart_mutex *m);

/** Releases the lock: by the task that holds it, or outside of polls. The lock passes to the next task in the
 *  queue, so a task that locks again right away waits behind it.
 *  @return 0; -EPERM `l` is not locked, or another task is running (that is reported, too): nothing was
 *  released. **Cost**: O(readers that are next, operations and locks of the task). */
NART_API nart_res nart_lock_release(nart_lock *l);

/** Continues as a reader, without a moment in which another task could write. Readers that are next in the queue
 *  join. @return 0; -EINVAL it is locked for reading; -EPERM as nart_lock_release(). **Cost**: O(readers that
 *  are next). */
NART_API nart_res nart_lock_downgrade(nart_lock *l);

/* ---- wait groups ---- */

/** Counts pending work; tasks wait until none is left. Zeroed = no pending work. */
typedef struct nart_wait_group {
    /* private */
    nart__waitq queue;
    uint32_t count, closed;
} nart_wait_group;

/** Adds `n` to the count. @return 0; -EOVERFLOW more than UINT32_MAX: nothing was added. */
NART_API NART_MUST_USE nart_res nart_wait_group_add(nart_wait_group *g, uint32_t n);

/** Subtracts 1 from the count. At zero all waiting tasks are answered, whatever is added afterwards.
 *  @return 0; -EINVAL the count is zero. */
NART_API nart_res nart_wait_group_done(nart_wait_group *g);

/** Waits until the count is zero. @return 0; NART_ECLOSED; see rule 3. */
NART_API NART_MUST_USE nart_res nart_wait_group_await(nart_cx *cx, nart_wait_group *g,
                                                      nart_waiter *w);

/** Closes: waiting answers NART_ECLOSED from now on. Idempotent; NULL is fine. */
NART_API void nart_wait_group_close(nart_wait_group *g);

#ifdef __cplusplus
}
#endif

#include "detail/sync.h"

#endif
