/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* block.c: sending and receiving by ordinary threads, which sleep while they wait.
 *
 * What it keeps true: the thread's waker lies on its stack, so no call to it is left when it returns.
 *
 * The algorithm
 *  1. A thread leaves a waker where a task would leave its own, looks once more, and sleeps until the
 *     waker has been called or its time is over.
 *  2. Then it takes the waker back. If it is not there any more, somebody has taken it and is going to
 *     call: the thread waits for that, which is the time from an exchange to a call.
 *  3. A call adds one to a count, and then ends the sleep at the count's address: the thread may be
 *     gone by then, so the count is not touched any more. The kernel at most ends a wait of somebody
 *     else's there for no reason.
 *  4. A sender of an MPSC channel queues, as a task does: whoever takes it out of the queue calls.
 *
 * Not handled: a thread that is in a poll of its own runtime and sends: that loop stands still until
 * somebody else makes room. */
#include "cell.h"
#include "chan.h"

#include "../sys.h"

#include <sched.h>

typedef struct sleeper {
    nart_wakeable wakeable;
    NART__ATOMIC(uint32_t) calls;
    uint32_t due; /* calls that have come, or are known to come */
    int64_t until;
} sleeper;

static void called(nart_wakeable *w)
{
    sleeper *s = (sleeper *)(void *)w; /* its first member */
    const NART__ATOMIC(uint32_t) *word = &s->calls;

    /* Release: what was done before is seen when the call is. The sleeper may end from here on. */
    (void)NART__FETCH_ADD(&s->calls, 1u, NART__RELEASE);
    nart__sys_futex_wake(word);
}

static void sleeper_init(sleeper *s, int64_t timeout_ns)
{
    s->wakeable.wake = called;
    NART__STORE(&s->calls, 0u, NART__RELAXED); /* nobody else's yet */
    s->due = 0;
    s->until = INT64_MAX;
    if (timeout_ns != NART_NEVER)
        s->until = nart_time_add(nart__sys_now(), timeout_ns);
}

static bool late(const sleeper *s)
{
    return s->until != INT64_MAX && nart__sys_now() >= s->until;
}

/* Until there are more calls than are due, or it is late. */
static void sleep_for_call(sleeper *s)
{
    /* Relaxed: a call that has come is awaited afterwards, and acquired there. */
    while (NART__LOAD(&s->calls, NART__RELAXED) == s->due && !late(s))
        nart__sys_futex_wait(&s->calls, s->due, s->until);
}

/* Somebody has taken the waker: its call must come before this may end. */
static void await_call(sleeper *s)
{
    s->due++;
    while (NART__LOAD(&s->calls, NART__ACQUIRE) != s->due) /* acquire: its caller is done here */
        nart__sys_futex_wait(&s->calls, s->due - 1, INT64_MAX);
}

/* ---- a waker in a cell ---- */

static void leave(nart__waker_cell *cell, sleeper *s)
{
    nart__cell_put(cell, nart_waker_of(&s->wakeable));
}

/* Relaxed: as nart__cell_take_back(). */
static void take_back(nart__waker_cell *cell, sleeper *s)
{
    if (NART__EXCHANGE(cell, (uintptr_t)0, NART__RELAXED) == 0)
        await_call(s);
}

static nart_res spsc_send(nart_tx *tx, const void *value, sleeper *s)
{
    nart__waker_cell *cell = &tx->ring->tx_notify;
    nart_res r;

    for (;;) {
        bool over = late(s);
        leave(cell, s);
        r = nart__spsc_try_send(tx, value);
        if (r == -EAGAIN && !over)
            sleep_for_call(s);
        take_back(cell, s);
        if (r != -EAGAIN)
            return r;
        if (over)
            return -ETIMEDOUT;
    }
}

static nart_res try_recv(nart_rx *rx, void *value)
{
    return nart__ring_kind(rx->ring) == NART_CHAN_SPSC ? nart__spsc_try_recv(rx, value)
                                                       : nart__mpsc_try_recv(rx, value);
}

/* Leaves the waker. False: there is something already, or will be at once. */
static bool arm(nart_rx *rx, sleeper *s)
{
    leave(&rx->ring->rx_notify, s);
    return nart__ring_kind(rx->ring) == NART_CHAN_SPSC || nart__mpsc_park(rx);
}

static nart_res receive(nart_rx *rx, void *value, sleeper *s)
{
    nart_res r;

    for (;;) {
        bool over = late(s), armed = arm(rx, s);
        r = try_recv(rx, value);
        if (r == -EAGAIN && armed && !over)
            sleep_for_call(s);
        take_back(&rx->ring->rx_notify, s);
        if (r != -EAGAIN)
            return r;
        if (over)
            return -ETIMEDOUT;
        if (!armed)
            sched_yield(); /* a sender is between its two steps */
    }
}

/* ---- a place in a queue ---- */

static nart_res mpsc_send(nart_tx *tx, const void *value, sleeper *s)
{
    nart_res r = nart__mpsc_queue(tx, value, nart_waker_of(&s->wakeable));
    if (r != NART_PENDING)
        return r;
    sleep_for_call(s);
    r = nart__mpsc_unqueue(tx, value);
    if (r != -ETIMEDOUT) /* somebody else has taken it out of the queue */
        await_call(s);
    return r;
}

/* ---- the doors ---- */

nart_res nart_send_blocking(nart_tx *tx, const void *value, int64_t timeout_ns)
{
    sleeper s;

    if (!tx->ring)
        return NART_ECLOSED;
    unsigned kind = nart__ring_kind(tx->ring);
    if (kind == NART_CHAN_LOCAL)
        return -EINVAL;
    if (tx->wait.task)
        return -EBUSY;
    nart_res r = nart_try_send(tx, value);
    if (r != -EAGAIN)
        return r;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    sleeper_init(&s, timeout_ns);
    return kind == NART_CHAN_SPSC ? spsc_send(tx, value, &s) : mpsc_send(tx, value, &s);
}

/* 0, or why this thread cannot wait in the receiver. */
static nart_res may_wait(const nart_rx *rx)
{
    const nart_rt *rt = nart__chan_of(rx->ring)->home.rt;

    if (nart__ring_kind(rx->ring) == NART_CHAN_LOCAL || nart__ring_spinning(rx->ring))
        return -EINVAL;
    nart_res r = rt ? nart__rt_check(rt) : 0;
    if (r)
        return r;
    if (rt && rt->cx.self)
        return -EDEADLK;
    return rx->wait.task ? -EBUSY : 0;
}

nart_res nart_recv_blocking(nart_rx *rx, void *value, int64_t timeout_ns)
{
    sleeper s;

    if (!rx->ring)
        return NART_ECLOSED;
    nart_res r = may_wait(rx);
    if (r)
        return r;
    r = nart_try_recv(rx, value);
    if (r != -EAGAIN)
        return r;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    sleeper_init(&s, timeout_ns);
    return receive(rx, value, &s);
}
