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
 *     for itself. Its waker is taken out under the lock: a thread that sleeps, whose waker ends with
 *     its wait, finds out there whether a call is to come. The last one to leave clears QUEUED.
 *
 * Bounds: one wake-up for each sender that leaves. The lock is held for a few instructions, and only
 * senders that wait take it.
 *
 * In a child of fork nobody waits here: another thread of the parent's may have held the lock. */
#include "bytes.h"

/* False in a child of fork. */
static bool enter(nart__bytes *c)
{
    if (NART_UNLIKELY(c->fork_epoch != nart__fork_epoch()))
        return false;
    nart__lock_enter(&c->lock);
    return true;
}

/* False: it cannot wait here. Relaxed, here and below: tail decides by its value alone. */
bool nart__bytes_queue_join(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    if (!enter(c))
        return false;
    if (!c->waiting.first)
        (void)NART__FETCH_ADD(&c->ring.tail, NART__BYTES_QUEUED, NART__RELAXED);
    tx->waker = 0;
    nart__q_push(&c->waiting, &tx->wait);
    nart__lock_leave(&c->lock);
    return true;
}

/* Is it this one's turn? It stays so until it leaves. Else `waker` is called when its turn comes, once. */
bool nart__bytes_queue_first(nart_bytes_tx *tx, nart_waker waker)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    if (!enter(c))
        return false;
    bool first = c->waiting.first == &tx->wait;
    tx->waker = waker.w;
    nart__lock_leave(&c->lock);
    return first;
}

/* True: the turn of this one, which it has not had, will not come: nobody calls its waker any more. */
bool nart__bytes_queue_give_up(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    nart__lock_enter(&c->lock); /* the thread is the one that has joined: no fork in between */
    bool waits = tx->waker != 0;
    if (waits)
        nart__q_remove(&c->waiting, &tx->wait); /* another one is first, so it is not the last */
    nart__lock_leave(&c->lock);
    return waits;
}

/* Who is called is out of reach from then on: it may have gone. */
static uintptr_t take_waker(nart_bytes_tx *tx)
{
    uintptr_t w = tx->waker;

    tx->waker = 0;
    return w;
}

void nart__bytes_queue_leave(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);
    nart_waker next = { 0 };

    if (!enter(c))
        return;
    bool first = c->waiting.first == &tx->wait;
    if (first)
        nart__waker_slot_unregister(
            &c->ring.tx_notify); /* before another one is first and leaves its own */
    nart__q_remove(&c->waiting, &tx->wait);
    if (!c->waiting.first)
        (void)NART__FETCH_ADD(&c->ring.tail, -NART__BYTES_QUEUED, NART__RELAXED);
    else if (first)
        next.w = take_waker((nart_bytes_tx *)(void *)c->waiting.first);
    nart__lock_leave(&c->lock);
    if (next.w)
        nart_waker_wake(next);
}
