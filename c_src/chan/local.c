/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* local.c: local channels, the slow paths: waiting, granting, closing. One thread, plain memory.
 *
 * Invariants
 *  1. room == capacity exactly while no sender waits, none holds a grant and the receiver has not shut;
 *     else, and for a capacity of 0, it is 0, so every send calls a function here. tx_waits is set exactly while senders are queued, so
 *     that a receive grants them the free slot.
 *  2. Values in the ring + reserved <= capacity, and while a sender is queued the two are equal. So a
 *     sender that holds a grant always finds its slot, and a later one is queued.
 *  3. A slot that becomes free is granted to the first sender in the queue; a withdrawn grant passes to
 *     the next. So a sender that lost a race or was cancelled blocks no other.
 *  4. rx_waits is set when the receiver has found no value, and cleared when it is woken, once, for a
 *     value or the end.
 *  5. A capacity of 0 is one slot that is free only while rx_waits is set. So a sender puts its value there, or
 *     is granted the slot, only while the receiver waits. If the receiver has left before the sender with the
 *     grant is polled, that sender returns to the front of the queue; a value that was put stays.
 *
 * With a capacity of 0 a send has to be decided in the sender's poll: if the receiver took the value out of a
 * sender that waits, that sender might lose its race, or be cancelled, before it learns that it has sent. */
#include "chan.h"

static uint64_t used(const nart__ring *r)
{
    return r->tail - r->head;
}

static void set_room(nart__chan *c)
{
    nart__ring *r = &c->ring;
    bool queued = c->senders_waiting.first != NULL;

    r->tx_waits = queued;
    bool open = !queued && r->reserved == 0 && !c->shut && !c->rendezvous;
    NART__STORE(&r->room, open ? r->mask + 1 : 0, NART__RELAXED);
}

/* Only tasks of its own loop wait in a local channel. */
static void wake(nart__chan *c, nart__wait *w)
{
    nart__rt_ready(c->binding.rt, w->task);
}

/* Is there a slot that contains no value and is granted to no sender? */
static bool has_slot(const nart__chan *c)
{
    const nart__ring *r = &c->ring;
    return used(r) + r->reserved <= r->mask && (r->rx_waits || !c->rendezvous);
}

/* Grants free slots to the first senders in the queue. */
static void grant(nart__chan *c)
{
    nart__ring *r = &c->ring;

    while (c->senders_waiting.first && has_slot(c)) {
        nart__wait *w = c->senders_waiting.first;
        nart__q_remove(&c->senders_waiting, w);
        r->reserved++;
        w->state = NART__GRANTED;
        wake(c, w);
    }
    set_room(c);
}

/* Wakes the receiver, which waits: there is a value, or the end. */
void nart__local_sent(nart__ring *r)
{
    nart__chan *c = nart__chan_of(r);

    r->rx_waits = 0;
    wake(c, c->binding.waits);
}

/* A slot is free, and senders wait for one. */
void nart__local_taken(nart__ring *r)
{
    grant(nart__chan_of(r));
}

static void wake_receiver(nart__ring *r)
{
    if (r->rx_waits)
        nart__local_sent(r);
}

static void tx_withdraw(nart__wait *w)
{
    nart__chan *c = nart__chan_of(((nart_tx *)(void *)w)->ring);

    if (w->state == NART__QUEUED)
        nart__q_remove(&c->senders_waiting, w);
    else if (w->state == NART__GRANTED)
        c->ring.reserved--;
    grant(c);
}

static void rx_withdraw(nart__wait *w)
{
    nart__chan *c = nart__chan_of(((nart_rx *)(void *)w)->ring);
    c->ring.rx_waits = 0;
    c->binding.waits = NULL;
}

const struct nart__wait_ops nart__local_tx_ops = { "send", tx_withdraw };
const struct nart__wait_ops nart__local_rx_ops = { "recv", rx_withdraw };

static void put(nart__chan *c, const void *value)
{
    nart__ring *r = &c->ring;
    size_t elem = NART__RING_ELEM(r->type);

    nart__value_copy(r->buf + (r->tail & r->mask) * elem, value, elem);
    r->tail++;
    wake_receiver(r);
}

/* False: there is no value. */
static bool take(nart__chan *c, void *value)
{
    nart__ring *r = &c->ring;
    size_t elem = NART__RING_ELEM(r->type);

    if (r->head == r->tail)
        return false;
    nart__value_copy(value, r->buf + (r->head & r->mask) * elem, elem);
    r->head++;
    if (r->tx_waits)
        grant(c);
    return true;
}

/* May a sender that is not queued use a slot? */
static bool slot_free(const nart__chan *c)
{
    return !c->senders_waiting.first && has_slot(c);
}

nart_res nart__local_try_send(nart_tx *tx, const void *value)
{
    nart__chan *c = nart__chan_of(tx->ring);
    bool reserved = nart__tx_reserved(tx);

    if (c->shut)
        return NART_ECLOSED;
    if (!reserved && !slot_free(c))
        return -EAGAIN;
    put(c, value);
    if (reserved)
        nart__local_unreserve(tx);
    return 0;
}

nart_res nart__local_try_reserve(nart_tx *tx)
{
    nart__chan *c = nart__chan_of(tx->ring);

    if (c->shut)
        return NART_ECLOSED;
    if (!slot_free(c))
        return -EAGAIN;
    c->ring.reserved++;
    tx->wait.state = NART__GRANTED;
    set_room(c);
    return 0;
}

/* The slot is free, or contains this end's value. */
void nart__local_unreserve(nart_tx *tx)
{
    nart__chan *c = nart__chan_of(tx->ring);

    c->ring.reserved--;
    tx->wait.state = NART__IDLE;
    grant(c);
}

nart_res nart__local_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart__wait *w = &tx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (NART_UNLIKELY(c->shut)) {
        if (w->task)
            nart__withdraw(w);
        return NART_ECLOSED;
    }
    if (!w->task) {
        if (nart__tx_reserved(tx) && !value)
            return 0;
        r = value ? nart__local_try_send(tx, value) : nart__local_try_reserve(tx);
        if (r != -EAGAIN)
            return r;
    } else if (w->state == NART__GRANTED && !value) {
        return nart__tx_unwait(tx, NULL, 0);
    } else if (w->state == NART__GRANTED) {
        c->ring.reserved--;
        if (has_slot(c)) {
            nart__unwait(w);
            put(c, value);
            set_room(c);
            return 0;
        }
        w->state = NART__QUEUED; /* the receiver has left */
        nart__q_push_first(&c->senders_waiting, w);
        set_room(c);
    }
    if (NART_UNLIKELY(!nart__rx_bound_to(&c->binding, cx)))
        return NART_EDRIVER;
    r = nart__park_in(cx, w, &begun);
    if (begun) {
        nart__q_push(&c->senders_waiting, w);
        set_room(c);
    }
    return r;
}

/* No more values will be sent. */
static bool ended(const nart__chan *c)
{
    return c->senders == 0 || c->shut;
}

nart_res nart__local_try_recv(nart_rx *rx, void *value)
{
    nart__chan *c = nart__chan_of(rx->ring);

    if (take(c, value))
        return 0;
    return ended(c) ? NART_ECLOSED : -EAGAIN;
}

nart_res nart__local_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    nart__chan *c = nart__chan_of(rx->ring);
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (used(&c->ring) > 0 || ended(c)) {
        if (w->task) {
            rx_withdraw(w);
            nart__unwait(w);
        }
        return take(c, value) ? 0 : NART_ECLOSED;
    }
    if (NART_UNLIKELY(!nart__rx_bound_to(&c->binding, cx)))
        return NART_EDRIVER;
    r = nart__park_in(cx, w, &begun);
    if (NART_LIKELY(r == NART_PENDING)) {
        c->binding.waits = w;
        c->ring.rx_waits = 1; /* again, after a turn that found the value already taken */
        if (c->ring.tx_waits)
            grant(c);
    }
    return r;
}

nart_res nart__local_try_send_many(nart_tx *tx, const void *values, size_t n)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart__ring *r = tx->ring;

    if (c->shut)
        return NART_ECLOSED;
    if (!slot_free(c))
        return -EAGAIN;
    uint64_t count = r->mask + 1 - used(r) - r->reserved;
    if (count > n)
        count = n;
    nart__values_in(r, r->tail, values, (size_t)count);
    r->tail += count;
    wake_receiver(r);
    return (nart_res)count;
}

nart_res nart__local_try_recv_many(nart_rx *rx, void *values, size_t n)
{
    nart__chan *c = nart__chan_of(rx->ring);
    nart__ring *r = rx->ring;

    uint64_t count = used(r);
    if (count > n)
        count = n;
    if (count == 0)
        return ended(c) ? NART_ECLOSED : -EAGAIN;
    nart__values_out(r, r->head, values, (size_t)count);
    r->head += count;
    if (r->tx_waits)
        grant(c);
    return (nart_res)count;
}

void nart__local_tx_cloned(nart__chan *c)
{
    c->senders++;
}

bool nart__local_tx_closed(nart__chan *c)
{
    if (--c->senders > 0)
        return false;
    wake_receiver(&c->ring); /* it finds the end */
    return true;
}

void nart__local_shut(nart__chan *c, bool closed)
{
    (void)closed;
    c->shut = true;
    while (c->senders_waiting.first) {
        nart__wait *w = c->senders_waiting.first;
        nart__q_remove(&c->senders_waiting, w);
        w->state = NART__CLOSED;
        wake(c, w);
    }
    set_room(c);
}

/* A value may hold an end of the channel: it is removed from the ring before it is dropped. */
void nart__local_drop(nart__chan *c, uint64_t pos)
{
    nart__ring *r = &c->ring;

    (void)pos; /* it is not used: the ring has the position */
    while (r->head != r->tail)
        nart__value_drop(c, r->head++);
}

size_t nart__local_len(nart__ring *r)
{
    return used(r);
}

bool nart__local_is_shut(const nart__ring *r)
{
    return ((const nart__chan *)(const void *)r)->shut;
}

bool nart__local_tx_gone(nart__ring *r)
{
    return nart__chan_of(r)->senders == 0;
}
