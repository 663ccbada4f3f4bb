/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes_blocking.c: sending and receiving messages from ordinary threads, which block while they wait: see
 * base/thread_parker.h.
 *
 * A sender of an MPSC channel queues, as a task does. It waits for its turn first, for which the sender
 * ahead of it wakes it, and then for room, for which the receiver does.
 *
 * Not handled: a thread that sends inside a poll of its own runtime. That loop is blocked until some other
 * thread frees room. */
#include "bytes.h"
#include "parked_slot.h"

/* ---- sending ---- */

/* Called by the only sender, or by the first of those that wait. */
static nart_res claim(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf, thread_parker *s)
{
    nart__waker_slot *slot = &tx->ring->tx_notify;
    nart_res r;

    for (;;) {
        bool over = thread_parker_expired(s);
        thread_parker_register(slot, s);
        r = nart__bytes_claim_alone(tx, len, buf);
        if (r == -EAGAIN && !over)
            thread_parker_park(s);
        thread_parker_unregister(slot, s);
        if (r != -EAGAIN)
            return r;
        if (over)
            return -ETIMEDOUT;
    }
}

/* 0: this sender is the first in the queue. */
static nart_res await_turn(nart_bytes_tx *tx, thread_parker *s)
{
    if (!nart__bytes_queue_join(tx))
        return NART_EFORK;
    if (nart__bytes_queue_first(tx, nart_waker_of(&s->wakeable)))
        return 0;
    thread_parker_park(s);
    if (nart__bytes_queue_give_up(tx))
        return -ETIMEDOUT;
    thread_parker_await_call(s);
    return 0;
}

static nart_res claim_in_turn(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf, thread_parker *s)
{
    nart_res r = await_turn(tx, s);
    if (r)
        return r;
    r = claim(tx, len, buf, s);
    nart__bytes_queue_leave(tx);
    return r;
}

nart_res nart_bytes_claim_blocking(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf,
                                   int64_t timeout_ns)
{
    thread_parker s;

    if (tx->wait.task)
        return -EBUSY;
    nart_res r = nart_bytes_try_claim(tx, len, buf);
    if (r != -EAGAIN)
        return r;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    thread_parker_init(&s, timeout_ns);
    return tx->ring->mpsc ? claim_in_turn(tx, len, buf, &s) : claim(tx, len, buf, &s);
}

/* ---- receiving ---- */

static nart_res receive(nart_bytes_rx *rx, nart_bytes_msg *msg, thread_parker *s)
{
    nart_res r;

    for (;;) {
        bool over = thread_parker_expired(s);
        r = nart__bytes_recv_armed(rx, nart_waker_of(&s->wakeable), msg);
        if (r == -EAGAIN && !over)
            thread_parker_park(s);
        thread_parker_unregister(&rx->ring->rx_notify, s);
        if (r != -EAGAIN && r != NART_PENDING)
            return r;
        if (over)
            return -ETIMEDOUT;
    }
}

nart_res nart_bytes_recv_blocking(nart_bytes_rx *rx, nart_bytes_msg *msg, int64_t timeout_ns)
{
    thread_parker s;

    if (!rx->ring)
        return NART_ECLOSED;
    nart_res r = nart__rx_binding_may_sleep(&nart__bytes_of(rx->ring)->binding, &rx->wait);
    if (r)
        return r;
    r = nart_bytes_try_recv(rx, msg);
    if (r != -EAGAIN)
        return r;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    thread_parker_init(&s, timeout_ns);
    return receive(rx, msg, &s);
}
