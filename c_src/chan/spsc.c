/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spsc.c: the slow side of channels between two threads: waiting, waking, closing, the last close.
 *
 * What it keeps true: no value is lost, none is seen before it is whole, and no wake-up is lost.
 *
 * The algorithm. For each side there is a cell in which it leaves its waker.
 *  1. A receiver that finds the ring empty exchanges its waker into rx_notify and looks once more.
 *     A sender publishes its value and exchanges 0 into rx_notify. The two exchanges on one word are
 *     in some order: if the sender's is the later one, it finds the waker and wakes; if the
 *     receiver's is, it acquires what the sender has released, and its second look finds the value.
 *  2. A sender that finds the ring full does the same with tx_notify and the places that the
 *     receiver frees. The receiver's exchange is put off until its loop looks again: with the next
 *     tick, before it parks, when it is left. So taking a value carries no locked instruction. A
 *     receiver outside its loop, or without one, does it at once.
 *  3. Closing raises a flag and then exchanges, as publishing does. A receiver looks at the flag and
 *     then at the ring for a last time, so what was sent before the close is found first.
 *  4. A wait that is over takes its waker back, so that nobody is woken for nothing. When the other
 *     side has just taken it, its wake is one spurious poll.
 *  5. SPINNING: the receiver's loop never parks and looks at the ring and at tx_notify in each tick.
 *     So a sender has nobody to tell, and what one look misses the next one sees.
 *
 * Bounds: a send to a parking receiver is one locked instruction, a wait two or three on each side.
 *
 * Not handled: a poll that takes values and then blocks its thread until the sender does something.
 * The sender may wait for room of which it has not been told. */
#include "cell.h"
#include "chan.h"

void nart__spsc_settle(nart__home *h)
{
    nart__tell(&nart__chan_at(h)->ring.tx_notify);
}

/* Relaxed: a waker that is not seen yet is seen by the next look. */
static void tell_if_left(nart__ring *r)
{
    if (NART__LOAD(&r->tx_notify, NART__RELAXED))
        nart__tell(&r->tx_notify);
}

/* Relaxed: the task's own look, later on this thread, sees no less. */
static bool receiver_has_cause(nart__ring *r)
{
    return NART__LOAD(&r->sent, NART__RELAXED) != NART__LOAD(&r->taken, NART__RELAXED) ||
           NART__LOAD(&r->tx_gone, NART__RELAXED);
}

/* Once per look of the receiver's loop, while it is watched. */
void nart__spsc_look(nart__watch *watch)
{
    nart__home *h = nart__home_watched(watch);
    nart__ring *r = &nart__chan_at(h)->ring;

    if (!h->spinning) {
        nart__home_pay(h);
        return;
    }
    if (h->waits && receiver_has_cause(r))
        nart__ready(h->waits->task);
    tell_if_left(r);
}

/* ---- waiting ---- */

static void tx_withdraw(nart__wait *w)
{
    nart__cell_take_back(&((nart_tx *)(void *)w)->ring->tx_notify);
}

static void rx_withdraw(nart__wait *w)
{
    nart__ring *r = ((nart_rx *)(void *)w)->ring;
    nart__chan_of(r)->home.waits = NULL;
    nart__cell_take_back(&r->rx_notify);
}

const struct nart__wait_ops nart__spsc_tx_ops = { "send", tx_withdraw };
const struct nart__wait_ops nart__spsc_rx_ops = { "recv", rx_withdraw };

nart_res nart__spsc_try_send(nart_tx *tx, const void *value)
{
    nart__ring *r = tx->ring;

    if (nart__ring_rx_gone(r))
        return NART_ECLOSED;
    tx->seen = NART__LOAD(&r->taken, NART__ACQUIRE); /* the places up to there are free */
    return nart__push(tx, value, NART__RING_ELEM(r->type)) ? 0 : -EAGAIN;
}

nart_res nart__spsc_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    nart__wait *w = &tx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    r = nart__spsc_try_send(tx, value);
    if (r == -EAGAIN) {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        nart__cell_leave(&tx->ring->tx_notify, cx);
        r = nart__spsc_try_send(tx, value);
        if (r == -EAGAIN)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

nart_res nart__spsc_try_recv(nart_rx *rx, void *value)
{
    nart__ring *r = rx->ring;
    size_t elem = NART__RING_ELEM(r->type);

    if (nart__pop(rx, value, elem))
        return 0;
    if (nart__spsc_tx_gone(r))
        return nart__pop(rx, value, elem) ? 0 : NART_ECLOSED;
    if (nart__ring_spinning(r))
        tell_if_left(r); /* the loop may not be running */
    return -EAGAIN;
}

nart_res nart__spsc_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    nart__home *h = &nart__chan_of(rx->ring)->home;
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (NART_UNLIKELY(h->rt ? !nart__at_home(h, cx) : h->spinning))
        return NART_EWRONGTHREAD;
    r = nart__spsc_try_recv(rx, value);
    if (r == -EAGAIN) {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        h->waits = w;
        if (h->spinning)
            return NART_PENDING;
        nart__cell_leave(&rx->ring->rx_notify, cx);
        r = nart__spsc_try_recv(rx, value);
        if (r == -EAGAIN)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

/* ---- several at once: one store publishes or frees them all, and the other side is told once ---- */

nart_res nart__spsc_try_send_many(nart_tx *tx, const void *values, size_t n)
{
    nart__ring *r = tx->ring;
    uint64_t room = NART__LOAD(&r->room, NART__RELAXED); /* as in nart__push() */

    if (room == 0)
        return NART_ECLOSED;
    tx->seen = NART__LOAD(&r->taken, NART__ACQUIRE); /* the places up to there are free */
    uint64_t count = room - (tx->pos - tx->seen);
    if (count > n)
        count = n;
    if (count == 0)
        return -EAGAIN;
    nart__values_in(r, tx->pos, values, count);
    tx->pos += count;
    NART__STORE(&r->sent, tx->pos, NART__RELEASE); /* publishes the values */
    if (!nart__ring_spinning(r))
        nart__tell(&r->rx_notify);
    return (nart_res)count;
}

nart_res nart__spsc_try_recv_many(nart_rx *rx, void *values, size_t n)
{
    nart__ring *r = rx->ring;

    bool gone = nart__spsc_tx_gone(r);              /* first: then all that was sent is seen */
    rx->seen = NART__LOAD(&r->sent, NART__ACQUIRE); /* the values up to there */
    uint64_t count = rx->seen - rx->pos;
    if (count > n)
        count = n;
    if (count == 0) {
        if (nart__ring_spinning(r))
            tell_if_left(r);
        return gone ? NART_ECLOSED : -EAGAIN;
    }
    nart__values_out(r, rx->pos, values, count);
    rx->pos += count;
    NART__STORE(&r->taken, rx->pos, NART__RELEASE); /* the copy is done before */
    if (!r->rx_dirty)
        nart__ring_taken(r);
    return (nart_res)count;
}

/* ---- closing ---- */

void nart__spsc_tx_closed(nart__ring *r)
{
    NART__STORE(&r->tx_gone, 1u, NART__RELEASE); /* everything sent is published before */
    nart__tell(&r->rx_notify);
}

void nart__spsc_rx_closed(nart__ring *r)
{
    /* Relaxed: a waiting sender sees it by the exchange, and for the others see nart__push(). */
    NART__STORE(&r->room, (uint64_t)0, NART__RELAXED);
    nart__tell(&r->tx_notify);
}

void nart__spsc_finish(nart__ring *r)
{
    /* Relaxed: nobody else is left. */
    r->head = NART__LOAD(&r->taken, NART__RELAXED);
    r->tail = NART__LOAD(&r->sent, NART__RELAXED);
}

/* ---- looking ---- */

/* Relaxed: one of the two is the caller's own, and the other is not read older than what the caller
 * has seen of it before; so the difference is between 0 and the capacity. */
size_t nart__spsc_len(nart__ring *r)
{
    return NART__LOAD(&r->sent, NART__RELAXED) - NART__LOAD(&r->taken, NART__RELAXED);
}

/* Acquire: nart__spsc_len() then sees all that was sent, and nart__pop() finds it. */
bool nart__spsc_tx_gone(nart__ring *r)
{
    return NART__LOAD(&r->tx_gone, NART__ACQUIRE) != 0;
}
