/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spsc.c: the slow side of channels between two threads: waking, waiting, closing.
 *
 * What it keeps true: no wake-up is lost. Each side has a word for the waker of the other:
 *  1. A receiver that finds the ring empty exchanges its waker into rx_notify and looks again; a
 *     sender publishes its value and exchanges 0 into rx_notify. The two exchanges are ordered on
 *     one word: either the sender's comes later and finds the waker, or the receiver's comes later,
 *     acquires what the sender had released, and its second look finds the value.
 *  2. A sender that finds the ring full does the same in tx_notify. The receiver's part of it, one
 *     exchange, is put off to the end of the tick in which it took values (it cannot wait for
 *     anything before that), so taking carries no locked instruction; without a runtime it is done
 *     at once.
 *  3. Closing sets a flag and then exchanges, like publishing. The flag is looked at before the
 *     ring is looked at for the last time, so values sent before the close are found first.
 *  4. SPINNING: the receiver's loop looks at `sent` and tx_notify at each tick and never parks, so
 *     the sender's exchange in 1 is not needed.
 *
 * A stale waker costs a spurious poll; so a word that still holds one after its wait has been
 * withdrawn does no harm, and nothing has to be taken back. */
#include "chan.h"

/* Wakes whoever left a waker in this word. acq_rel: releases what was published before, acquires
 * nothing that is needed but keeps the exchange a link in the other side's release sequence. */
static void wake_word(NART__ATOMIC(uintptr_t) *word)
{
    uintptr_t w = NART__EXCHANGE(word, 0, NART__ACQ_REL);
    if (w)
        nart_waker_wake((nart_waker){ w });
}

void nart__spsc_sent(nart__ring *r)
{
    wake_word(&r->rx_notify);
}

/* The receiver has taken values since the last tick: lets a waiting sender know. */
void nart__spsc_flush(nart__ring *r)
{
    wake_word(&r->tx_notify);
}

void nart__spsc_taken(nart__ring *r)
{
    nart__chan *c = nart__chan_of(r);

    if (!c->rt) {
        nart__spsc_flush(r);
        return;
    }
    r->rx_dirty = 1;
    if (!c->watch.next)
        nart__watch_add(c->rt, &c->watch);
}

/* Once per tick of the receiver's loop, while it is on the list. */
void nart__spsc_look(nart__watch *watch)
{
    nart__chan *c = (nart__chan *)(void *)((char *)watch - offsetof(nart__chan, watch));
    nart__ring *r = &c->ring;

    if (r->flags & NART_CHAN_SPINNING) {
        nart__wait *w = c->rx_wait;
        /* acquire: what a waiting task is woken for is there when it looks */
        if (w && (NART__LOAD(&r->sent, NART__ACQUIRE) != r->taken ||
                  NART__LOAD(&r->tx_gone, NART__ACQUIRE)))
            nart__ready(w->task);
        /* relaxed: only a hint; a waker that is not seen yet is seen at the next tick */
        if (NART__LOAD(&r->tx_notify, NART__RELAXED))
            nart__spsc_flush(r);
        return;
    }
    nart__watch_remove(watch);
    r->rx_dirty = 0;
    nart__spsc_flush(r);
}

/* ---- waiting ---- */

static void tx_withdraw(nart__wait *w)
{
    (void)w; /* the waker that stays in tx_notify is stale then */
}

static void rx_withdraw(nart__wait *w)
{
    nart__chan_of(((nart_rx *)(void *)w)->ring)->rx_wait = NULL;
}

const struct nart__wait_ops nart__spsc_tx_ops = { "send", tx_withdraw };
const struct nart__wait_ops nart__spsc_rx_ops = { "recv", rx_withdraw };

/* Leaves this task's waker in the word. True when it was there already: then nothing has been
 * published since the last look, for publishing takes it out. */
static bool leave_waker(NART__ATOMIC(uintptr_t) *word, nart_cx *cx)
{
    uintptr_t me = nart_cx_waker(cx).w;

    if (NART__LOAD(word, NART__RELAXED) == me)
        return true;
    (void)NART__EXCHANGE(word, me, NART__ACQ_REL); /* see 1: acquires what the other side released */
    return false;
}

nart_res nart__spsc_try_send(nart_tx *tx, const void *value)
{
    nart__ring *r = tx->ring;

    if (NART__LOAD(&r->rx_gone, NART__RELAXED))
        return NART_ECLOSED;
    tx->seen = NART__LOAD(&r->taken, NART__ACQUIRE); /* the places up to there are free */
    return nart__push(tx, value, r->elem) ? 0 : -EAGAIN;
}

nart_res nart__spsc_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    nart__wait *w = &tx->wait;
    bool begun;

    nart_res r = nart__enter(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    r = nart__spsc_try_send(tx, value);
    if (r == -EAGAIN && !leave_waker(&tx->ring->tx_notify, cx))
        r = nart__spsc_try_send(tx, value);
    if (r == -EAGAIN)
        return nart__park_in(cx, w, &begun);
    if (w->task)
        nart__withdraw(w);
    return r;
}

nart_res nart__spsc_try_recv(nart_rx *rx, void *value)
{
    nart__ring *r = rx->ring;

    if (nart__pop(rx, value, r->elem))
        return 0;
    if (!NART__LOAD(&r->tx_gone, NART__ACQUIRE)) /* acquire: what was sent before the close */
        return -EAGAIN;
    return nart__pop(rx, value, r->elem) ? 0 : NART_ECLOSED;
}

nart_res nart__spsc_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    nart__chan *c = nart__chan_of(rx->ring);
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__enter(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (NART_UNLIKELY(!c->rt || cx != &c->rt->cx))
        return NART_EWRONGTHREAD;
    r = nart__spsc_try_recv(rx, value);
    if (r == -EAGAIN && !(c->ring.flags & NART_CHAN_SPINNING) &&
        !leave_waker(&c->ring.rx_notify, cx))
        r = nart__spsc_try_recv(rx, value);
    if (r == -EAGAIN) {
        r = nart__park_in(cx, w, &begun);
        if (begun)
            c->rx_wait = w;
        return r;
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

/* ---- closing ---- */

void nart__spsc_tx_closed(nart__ring *r)
{
    NART__STORE(&r->tx_gone, 1, NART__RELEASE); /* everything sent is published before */
    wake_word(&r->rx_notify);
}

void nart__spsc_rx_closed(nart__chan *c)
{
    NART__STORE(&c->ring.rx_gone, 1, NART__RELEASE);
    if (c->watch.next)
        nart__watch_remove(&c->watch);
    wake_word(&c->ring.tx_notify);
}
