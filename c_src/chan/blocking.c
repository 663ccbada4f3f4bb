/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* blocking.c: sending and receiving values by ordinary threads, which sleep while they wait: see
 * base/thread_parker.h.
 *
 * A sender of an MPSC channel queues, as a task does: the thread that removes it from the queue calls its
 * waker.
 *
 * Not handled: a thread that sends inside a poll of its own runtime: that loop is blocked until another
 * thread makes room. */
#include "chan.h"
#include "parked_slot.h"

#include <sched.h>

/* What threads do by the kind of a channel. */
typedef struct thread_ops {
    nart_res (*send_waiting)(nart_tx *tx, const void *value, thread_parker *s);
    nart_res (*try_recv)(nart_rx *rx, void *value);
    bool (*park)(nart_rx *rx); /* as nart__mpsc_park() */
} thread_ops;

/* ---- SPSC ---- */

static nart_res spsc_send(nart_tx *tx, const void *value, thread_parker *s)
{
    nart__waker_slot *slot = &tx->ring->tx_notify;
    nart_res r;

    for (;;) {
        bool over = thread_parker_expired(s);
        thread_parker_register(slot, s);
        r = nart__spsc_try_send(tx, value);
        if (r == -EAGAIN && !over)
            thread_parker_park(s);
        thread_parker_unregister(slot, s);
        if (r != -EAGAIN)
            return r;
        if (over)
            return -ETIMEDOUT;
    }
}

/* The registered waker is all that its sender needs. */
static bool spsc_park(nart_rx *rx)
{
    (void)rx;
    return true;
}

static const thread_ops spsc_ops = {
    .send_waiting = spsc_send,
    .try_recv = nart__spsc_try_recv,
    .park = spsc_park,
};

/* ---- MPSC: a sender queues ---- */

static nart_res mpsc_send(nart_tx *tx, const void *value, thread_parker *s)
{
    nart_res r = nart__mpsc_queue(tx, value, nart_waker_of(&s->wakeable));
    if (r != NART_PENDING)
        return r;
    thread_parker_park(s);
    r = nart__mpsc_unqueue(tx, value);
    if (r != -ETIMEDOUT) /* another thread has removed it from the queue */
        thread_parker_await_call(s);
    return r;
}

static const thread_ops mpsc_ops = {
    .send_waiting = mpsc_send,
    .try_recv = nart__mpsc_try_recv,
    .park = nart__mpsc_park,
};

/* ---- the public functions ---- */

/* NULL: a local channel, which threads cannot use. */
static const thread_ops *ops_of(const nart__ring *r)
{
    unsigned kind = nart__ring_kind(r);
    return kind == NART_CHAN_SPSC ? &spsc_ops : kind == NART_CHAN_MPSC ? &mpsc_ops : NULL;
}

nart_res nart_send_blocking(nart_tx *tx, const void *value, int64_t timeout_ns)
{
    thread_parker s;

    if (!tx->ring)
        return NART_ECLOSED;
    const thread_ops *ops = ops_of(tx->ring);
    if (!ops)
        return -EINVAL;
    if (tx->wait.task)
        return -EBUSY;
    nart_res r = nart_try_send(tx, value);
    if (r != -EAGAIN)
        return r;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    thread_parker_init(&s, timeout_ns);
    return ops->send_waiting(tx, value, &s);
}

/* Registers the waker. False: there is a value, or a sender is about to publish one. */
static bool arm(const thread_ops *ops, nart_rx *rx, thread_parker *s)
{
    thread_parker_register(&rx->ring->rx_notify, s);
    return ops->park(rx);
}

static nart_res receive(const thread_ops *ops, nart_rx *rx, void *value, thread_parker *s)
{
    nart_res r;

    for (;;) {
        bool over = thread_parker_expired(s), armed = arm(ops, rx, s);
        r = ops->try_recv(rx, value);
        if (r == -EAGAIN && armed && !over)
            thread_parker_park(s);
        thread_parker_unregister(&rx->ring->rx_notify, s);
        if (r != -EAGAIN)
            return r;
        if (over)
            return -ETIMEDOUT;
        if (!armed)
            sched_yield(); /* a sender is between claim and publish */
    }
}

nart_res nart_recv_blocking(nart_rx *rx, void *value, int64_t timeout_ns)
{
    thread_parker s;

    if (!rx->ring)
        return NART_ECLOSED;
    const thread_ops *ops = ops_of(rx->ring);
    if (!ops)
        return -EINVAL;
    nart_res r = nart__rx_binding_may_sleep(&nart__chan_of(rx->ring)->binding, &rx->wait);
    if (r)
        return r;
    r = nart_try_recv(rx, value);
    if (r != -EAGAIN)
        return r;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    thread_parker_init(&s, timeout_ns);
    return receive(ops, rx, value, &s);
}
