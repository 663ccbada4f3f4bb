/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spsc.c: channels between two threads, the slow paths: waiting, waking, closing, freeing.
 *
 * Invariants: no value is lost, none is read before it is complete, and no wake-up is lost.
 *
 * The algorithm. Each side has a waker slot, in which it registers its waker.
 *  1. A receiver that finds the ring empty exchanges its waker into rx_notify and checks once more. A sender
 *     publishes its value and exchanges 0 into rx_notify. The two exchanges of one word are ordered: if the
 *     sender's is later, it finds the waker and wakes it; if the receiver's is later, it acquires what the
 *     sender has released, and its second check finds the value.
 *  2. A sender that finds the ring full does the same with tx_notify and the slots that the receiver frees.
 *     The receiver's exchange is deferred until its loop checks the channel: at the next tick, before it
 *     parks, or when the loop is left. So taking a value needs no locked instruction. A receiver outside its
 *     loop, or without one, exchanges at once.
 *  3. Closing sets a flag and then exchanges, as publishing does. A receiver reads the flag and then the
 *     ring a last time, so values sent before the close are found first.
 *  4. A wait that ends takes its waker back, to avoid needless wakes. If the other side has just taken the
 *     waker, its wake causes one spurious poll.
 *  5. A receiver that shuts sets room to 0 and exchanges SHUT into rx_notify in place of a waker. A send that
 *     has not seen room 0 finds SHUT by the exchange of step 1; there is at most one such send, because its
 *     sender then knows. A receiver that finds the ring empty exchanges DRAINED into rx_notify. If SHUT is
 *     no longer there, such a send has happened: the receiver checks again. If it is, there is nothing more:
 *     a send that finds DRAINED takes its value back.
 *  6. A receiver that closes leaves DRAINED at once and drops the remaining values. It and a send that finds
 *     DRAINED decide by one compare-and-swap of `taken` which of them owns these values.
 *  7. SPINNING: the receiver's loop never parks and checks the ring and tx_notify in each tick. So a sender
 *     need not notify, and what one check misses the next one sees. The sender reads room again after it has
 *     published, and exchanges only if room is 0. A receiver that shuts executes a heavy barrier between
 *     room and rx_notify, the sender a light one between the value and room: if a sender does not see that
 *     room is 0, it has published before, and its value is seen.
 *
 * Bounds: a send to a parking receiver is one locked instruction, a wait two or three on each side.
 *
 * Not handled: a poll that takes values and then blocks its thread until the sender does something. The
 * sender may be waiting for free slots of which it has not been notified. */
#include "../sys.h"
#include "chan.h"
#include "waker_slot.h"

/* Values of rx_notify in place of a waker. */
#define SHUT ((uintptr_t)1)
#define DRAINED ((uintptr_t)3)

/* In taken: the receiver has closed, and drops the values before that position. A sender that has not seen
 * the close finds the ring full, so it overwrites none of them. */
#define DROPPED (UINT64_C(1) << 63)

bool nart__spsc_is_shut(const nart__ring *r)
{
    return NART__LOAD(&r->room, NART__RELAXED) == 0; /* relaxed: see nart__push() */
}

void nart__spsc_settle(nart__rx_binding *h)
{
    nart__waker_slot_wake(&nart__chan_at(h)->ring.tx_notify);
}

/* Relaxed: the task's own check, later on this thread, sees at least as much. */
static bool receiver_has_cause(nart__ring *r)
{
    return NART__LOAD(&r->sent, NART__RELAXED) != NART__LOAD(&r->taken, NART__RELAXED) ||
           NART__LOAD(&r->tx_gone, NART__RELAXED);
}

/* Called once per tick of the receiver's loop while it is watched. Relaxed: see nart__rx_binding_look(). */
void nart__spsc_look(nart__tick_hook *w)
{
    nart__rx_binding *h = nart__rx_binding_hooked(w);
    nart__ring *r = &nart__chan_at(h)->ring;

    if (!h->spinning) {
        nart__rx_binding_pay(h);
        return;
    }
    if (h->waits && receiver_has_cause(r))
        nart__ready(h->waits->task);
    nart__rx_binding_look(h, NART__LOAD(&r->taken, NART__RELAXED),
                          NART__LOAD(&r->tx_notify, NART__RELAXED) != 0);
}

/* ---- waiting ---- */

static void tx_withdraw(nart__wait *w)
{
    nart__waker_slot_unregister(&((nart_tx *)(void *)w)->ring->tx_notify);
}

static void rx_withdraw(nart__wait *w)
{
    nart__ring *r = ((nart_rx *)(void *)w)->ring;
    nart__chan_of(r)->binding.waits = NULL;
    nart__waker_slot_unregister(&r->rx_notify);
}

const struct nart__wait_ops nart__spsc_tx_ops = { "send", tx_withdraw };
const struct nart__wait_ops nart__spsc_rx_ops = { "recv", rx_withdraw };

/* The receiver has drained the ring, or is closing: the sender takes back those of its last n values that
 * were not taken. Returns how many were. Relaxed: only the value decides, and this side wrote the values. */
static uint64_t take_back(nart_tx *tx, uint64_t n)
{
    nart__ring *r = tx->ring;
    uint64_t end = tx->pos, first = end - n, taken = NART__LOAD(&r->taken, NART__RELAXED);

    while (taken != end && !(taken & DROPPED) &&
           !NART__CAS(&r->taken, &taken, end, NART__RELAXED, NART__RELAXED))
        continue;
    uint64_t left = taken & ~DROPPED; /* from here on the values are this side's */
    if (left != end)
        NART__STORE(&r->taken, end | DROPPED, NART__RELAXED); /* read by nart__spsc_len() */
    for (; left < first; left++)
        nart__value_drop(nart__chan_of(r), left); /* sent before, and left over by a close */
    return left - first;
}

/* n values have been published, and `found` was in rx_notify. Returns how many of them stay sent. */
static uint64_t notified(nart_tx *tx, uintptr_t found, uint64_t n)
{
    if (found == DRAINED)
        return take_back(tx, n);
    if (found != SHUT) /* with SHUT, the receiver's next exchange detects this one */
        nart_waker_wake((nart_waker){ found });
    return n;
}

int nart__spsc_notified(nart_tx *tx, uintptr_t found)
{
    return notified(tx, found, 1) == 1;
}

static void look_for_slots(nart_tx *tx)
{
    tx->seen = NART__LOAD(&tx->ring->taken, NART__ACQUIRE); /* the slots before it are free */
}

nart_res nart__spsc_try_send(nart_tx *tx, const void *value)
{
    nart__ring *r = tx->ring;

    look_for_slots(tx);
    if (nart__push(tx, value, NART__RING_ELEM(r->type), 0))
        return 0;
    return nart__spsc_is_shut(r) ? NART_ECLOSED : -EAGAIN;
}

/* A slot that is free stays free: there is no other sender. */
nart_res nart__spsc_try_reserve(nart_tx *tx)
{
    if (nart__spsc_is_shut(tx->ring))
        return NART_ECLOSED;
    look_for_slots(tx);
    return tx->pos - tx->seen <= tx->ring->mask ? 0 : -EAGAIN;
}

static nart_res try_either(nart_tx *tx, const void *value)
{
    return value ? nart__spsc_try_send(tx, value) : nart__spsc_try_reserve(tx);
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
    r = try_either(tx, value);
    if (r == -EAGAIN) {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        nart__waker_slot_register(&tx->ring->tx_notify, cx);
        r = try_either(tx, value);
        if (r == -EAGAIN)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

/* The receiver has shut and found no value. Acquire: the value of a send that has found SHUT. A send that
 * finds DRAINED acquires what was released with SHUT, because this exchange continues its release sequence. */
static nart_res drain(nart_rx *rx, void *value)
{
    while (NART__EXCHANGE(&rx->ring->rx_notify, DRAINED, NART__ACQUIRE) == 0)
        if (nart__pop(rx, value, NART__RING_ELEM(rx->type), 0))
            return 0;
    nart__rx_set_drained(rx);
    return NART_ECLOSED;
}

nart_res nart__spsc_try_recv(nart_rx *rx, void *value)
{
    nart__ring *r = rx->ring;
    size_t elem = NART__RING_ELEM(r->type);

    if (nart__pop(rx, value, elem, 0))
        return 0;
    if (nart__rx_drained(rx))
        return NART_ECLOSED;
    if (nart__spsc_tx_gone(r))
        return nart__pop(rx, value, elem, 0) ? 0 : NART_ECLOSED;
    if (nart__spsc_is_shut(r))
        return drain(rx, value);
    return -EAGAIN;
}

nart_res nart__spsc_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    nart__rx_binding *h = &nart__chan_of(rx->ring)->binding;
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (NART_UNLIKELY(h->rt ? !nart__rx_bound_to(h, cx) : h->spinning))
        return NART_EWRONGTHREAD;
    r = nart__spsc_try_recv(rx, value);
    if (r == -EAGAIN) {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        h->waits = w;
        if (h->spinning)
            return NART_PENDING;
        nart__waker_slot_register(&rx->ring->rx_notify, cx);
        r = nart__spsc_try_recv(rx, value);
        if (r == -EAGAIN)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

/* ---- batches: one store publishes or frees all values, and the other side is notified once ---- */

nart_res nart__spsc_try_send_many(nart_tx *tx, const void *values, size_t n)
{
    nart__ring *r = tx->ring;
    uint64_t room = NART__LOAD(&r->room, NART__RELAXED); /* as in nart__push() */

    if (room == 0)
        return NART_ECLOSED;
    look_for_slots(tx);
    uint64_t count = room - (tx->pos - tx->seen);
    if (count > n)
        count = n;
    if (count == 0)
        return -EAGAIN;
    nart__values_in(r, tx->pos, values, (size_t)count);
    tx->pos += count;
    NART__STORE(&r->sent, tx->pos, NART__RELEASE); /* publishes the values */
    if (nart__ring_spinning(r)) {                  /* as in nart__push() */
        NART__BARRIER_LIGHT();
        if (!nart__spsc_is_shut(r))
            return (nart_res)count;
    }
    uintptr_t found = NART__EXCHANGE(&r->rx_notify, (uintptr_t)0, NART__ACQ_REL);
    if (found)
        count = notified(tx, found, count);
    return count ? (nart_res)count : NART_ECLOSED;
}

nart_res nart__spsc_try_recv_many(nart_rx *rx, void *values, size_t n)
{
    nart__ring *r = rx->ring;

    if (nart__rx_drained(rx))
        return NART_ECLOSED;
    bool gone = nart__spsc_tx_gone(r);              /* first: then everything sent is seen */
    rx->seen = NART__LOAD(&r->sent, NART__ACQUIRE); /* the values before it are visible */
    uint64_t count = rx->seen - rx->pos;
    if (count > n)
        count = n;
    if (count == 0) {
        if (!gone && nart__spsc_is_shut(r)) {
            nart_res last = drain(rx, values);
            return last == 0 ? 1 : last;
        }
        return gone ? NART_ECLOSED : -EAGAIN;
    }
    nart__values_out(r, rx->pos, values, (size_t)count);
    rx->pos += count;
    NART__STORE(&r->taken, rx->pos, NART__RELEASE); /* the copy is done before the slots are free */
    if (!r->rx_dirty)
        nart__ring_taken(r);
    return (nart_res)count;
}

/* ---- closing ---- */

bool nart__spsc_tx_closed(nart__chan *c)
{
    nart__ring *r = &c->ring;

    NART__STORE(&r->tx_gone, 1u, NART__RELEASE); /* everything sent is published before */
    uintptr_t found =
        NART__EXCHANGE(&r->rx_notify, (uintptr_t)0, NART__ACQ_REL); /* as nart__waker_slot_wake() */
    if (found && found != SHUT && found != DRAINED)
        nart_waker_wake((nart_waker){ found });
    return true;
}

void nart__spsc_shut(nart__chan *c, bool closed)
{
    nart__ring *r = &c->ring;
    bool first = !nart__spsc_is_shut(r);

    if (!first && !closed)
        return;
    if (first) {
        /* Relaxed: senders find it by an exchange, of this slot or theirs, or through the barriers. */
        NART__STORE(&r->room, (uint64_t)0, NART__RELAXED);
        if (nart__ring_spinning(r))
            nart__sys_barrier();
    }
    /* Release: room. Acquire: values sent before an exchange of the sender's. */
    (void)NART__EXCHANGE(&r->rx_notify, closed ? DRAINED : SHUT, NART__ACQ_REL);
    nart__waker_slot_wake(&r->tx_notify);
}

void nart__spsc_drop(nart__chan *c, uint64_t pos)
{
    nart__ring *r = &c->ring;
    uint64_t end = NART__LOAD(&r->sent, NART__ACQUIRE); /* the values before it are visible */

    /* Relaxed: see take_back(). */
    if (!NART__CAS(&r->taken, &pos, end | DROPPED, NART__RELAXED, NART__RELAXED))
        return; /* the sender has taken them all back */
    for (; pos != end; pos++)
        nart__value_drop(c, pos);
}

/* ---- state ---- */

/* Relaxed: one of the two counters is the caller's own, and the other is not read older than what the caller
 * has seen of it before; so the difference is between 0 and the capacity. */
size_t nart__spsc_len(nart__ring *r)
{
    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);

    return (size_t)(sent - (NART__LOAD(&r->taken, NART__RELAXED) & ~DROPPED));
}

/* Acquire: nart__spsc_len() then counts everything sent, and nart__pop() finds it. */
bool nart__spsc_tx_gone(nart__ring *r)
{
    return NART__LOAD(&r->tx_gone, NART__ACQUIRE) != 0;
}
