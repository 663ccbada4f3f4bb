/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* blocking.c: sending and receiving values by ordinary threads, which sleep while they wait: see thread_parker.h.
 *
 * A sender of an MPSC channel queues, as a task does: whoever takes it out of the queue calls.
 *
 * Not handled: a thread that is in a poll of its own runtime and sends: that loop stands still until
 * somebody else makes room. */
#include "chan.h"
#include "thread_parker.h"

#include <sched.h>

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

static nart_res try_recv(nart_rx *rx, void *value)
{
    return nart__ring_kind(rx->ring) == NART_CHAN_SPSC ? nart__spsc_try_recv(rx, value)
                                                       : nart__mpsc_try_recv(rx, value);
}

/* Leaves the waker. False: there is something already, or will be at once. */
static bool arm(nart_rx *rx, thread_parker *s)
{
    thread_parker_register(&rx->ring->rx_notify, s);
    return nart__ring_kind(rx->ring) == NART_CHAN_SPSC || nart__mpsc_park(rx);
}

static nart_res receive(nart_rx *rx, void *value, thread_parker *s)
{
    nart_res r;

    for (;;) {
        bool over = thread_parker_expired(s), armed = arm(rx, s);
        r = try_recv(rx, value);
        if (r == -EAGAIN && armed && !over)
            thread_parker_park(s);
        thread_parker_unregister(&rx->ring->rx_notify, s);
        if (r != -EAGAIN)
            return r;
        if (over)
            return -ETIMEDOUT;
        if (!armed)
            sched_yield(); /* a sender is between its two steps */
    }
}

/* ---- a place in a queue ---- */

static nart_res mpsc_send(nart_tx *tx, const void *value, thread_parker *s)
{
    nart_res r = nart__mpsc_queue(tx, value, nart_waker_of(&s->wakeable));
    if (r != NART_PENDING)
        return r;
    thread_parker_park(s);
    r = nart__mpsc_unqueue(tx, value);
    if (r != -ETIMEDOUT) /* somebody else has taken it out of the queue */
        thread_parker_await_call(s);
    return r;
}

/* ---- the doors ---- */

nart_res nart_send_blocking(nart_tx *tx, const void *value, int64_t timeout_ns)
{
    thread_parker s;

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
    thread_parker_init(&s, timeout_ns);
    return kind == NART_CHAN_SPSC ? spsc_send(tx, value, &s) : mpsc_send(tx, value, &s);
}

nart_res nart_recv_blocking(nart_rx *rx, void *value, int64_t timeout_ns)
{
    thread_parker s;

    if (!rx->ring)
        return NART_ECLOSED;
    if (nart__ring_kind(rx->ring) == NART_CHAN_LOCAL)
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
    return receive(rx, value, &s);
}
