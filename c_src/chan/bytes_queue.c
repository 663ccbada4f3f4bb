/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes_queue.c: senders, on any thread, that wait for room in an MPSC channel of bytes.
 *
 * Invariants: they get their room in order of arrival, and none waits while it could proceed.
 *
 * The algorithm
 *  1. A sender without room joins the queue. The first one sets QUEUED in the channel's tail. So the
 *     compare-and-swap of a claim that another sender has prepared fails, and further ones are not tried.
 *     Only the first sender in the queue claims. It waits for the receiver like the sender of an SPSC
 *     channel: the receiver sees its waker only and takes no lock.
 *  2. A sender that leaves the queue, with or without its room, wakes the new first one, which checks
 *     for itself. The waker is taken under the lock. A thread's waker exists only as long as its wait: so
 *     there the thread learns whether a call of it is to be awaited. The last sender to leave clears QUEUED.
 *
 * Bounds: one wake-up for each sender that leaves. The lock is held for a few instructions, and only
 * waiting senders take it.
 *
 * In a child of fork no sender waits here: another thread of the parent may have held the lock. */
#include "bytes.h"

/* False in a child of fork. */
static bool enter(nart__bytes *c)
{
    if (NART_UNLIKELY(c->fork_epoch != nart__fork_epoch()))
        return false;
    nart__lock_enter(&c->lock);
    return true;
}

/* False: it cannot wait here. Relaxed, here and below: only the value of tail decides. */
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

/* Is this sender first in the queue? If so, it stays first until it leaves. If not, `waker` is called once,
 * when it becomes first. */
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

/* True: the sender has left the queue before it became first, and its waker will not be called. False: it has
 * become first. */
bool nart__bytes_queue_give_up(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    nart__lock_enter(&c->lock); /* this thread has joined itself: no fork since */
    bool waits = tx->waker != 0;
    if (waits)
        nart__q_remove(&c->waiting,
                       &tx->wait); /* another sender is first, so this is not the last */
    nart__lock_leave(&c->lock);
    return waits;
}

/* Once its waker is called, the sender must not be accessed: its handle may be gone. */
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
            &c->ring.tx_notify); /* before another one becomes first and registers its own */
    nart__q_remove(&c->waiting, &tx->wait);
    if (!c->waiting.first)
        (void)NART__FETCH_ADD(&c->ring.tail, -NART__BYTES_QUEUED, NART__RELAXED);
    else if (first)
        next.w = take_waker((nart_bytes_tx *)(void *)c->waiting.first);
    nart__lock_leave(&c->lock);
    if (next.w)
        nart_waker_wake(next);
}
