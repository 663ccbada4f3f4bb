/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes_queue.c: the senders of an MPSC channel of bytes that wait for room, of whatever thread.
 *
 * What it keeps true: they get their room in the order they came, and none waits while it could go
 * on.
 *
 * The algorithm
 *  1. A sender without room joins the queue. The first one sets QUEUED in the channel's tail, so a
 *     claim that others have prepared fails, and from then on they do not try. So the first in the
 *     queue is the only one that claims, and waits for the receiver like the sender of an SPSC
 *     channel: the receiver knows of it alone and takes no lock.
 *  2. Who leaves the queue, with its room or without, wakes the one that is first then; that looks
 *     for itself. The last one to leave clears QUEUED.
 *
 * Bounds: one wake-up for each sender that leaves. The lock is held for a few instructions, and only
 * senders that wait take it.
 *
 * Not handled: a fork while another thread holds the lock. A child must not close ends in which its
 * tasks wait then. */
#include "bytes.h"

/* Relaxed, here and below: tail decides by its value alone. */
void nart__bytes_queue_join(nart_bytes_tx *tx, uintptr_t waker)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    tx->waker = waker;
    (void)pthread_mutex_lock(&c->lock);
    if (!c->waiting.first)
        (void)NART__FETCH_ADD(&c->ring.tail, NART__BYTES_QUEUED, NART__RELAXED);
    nart__q_push(&c->waiting, &tx->wait);
    (void)pthread_mutex_unlock(&c->lock);
}

/* Is it this one's turn? It stays so until it leaves. */
bool nart__bytes_queue_first(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    (void)pthread_mutex_lock(&c->lock);
    bool first = c->waiting.first == &tx->wait;
    (void)pthread_mutex_unlock(&c->lock);
    return first;
}

void nart__bytes_queue_leave(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);
    nart_waker next = { 0 };

    (void)pthread_mutex_lock(&c->lock);
    bool first = c->waiting.first == &tx->wait;
    if (first)
        nart__cell_take_back(
            &c->ring.tx_notify); /* before another one is first and leaves its own */
    nart__q_remove(&c->waiting, &tx->wait);
    if (!c->waiting.first)
        (void)NART__FETCH_ADD(&c->ring.tail, -NART__BYTES_QUEUED, NART__RELAXED);
    else if (first)
        next.w = ((nart_bytes_tx *)(void *)c->waiting.first)->waker;
    (void)pthread_mutex_unlock(&c->lock);
    nart_waker_wake(next);
}
