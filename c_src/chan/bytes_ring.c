/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes_ring.c: messages of variable length between threads: claiming, committing, receiving, waiting on
 * both sides, closing.
 *
 * Invariants: no message is lost, none is read before it is complete, none is overwritten before it is
 * released, and no wake-up is lost.
 *
 * The ring. A message is contiguous. The last message of a lap may extend past the end of the ring, into a
 * margin as long as the longest message; as many bytes stay unused at the beginning of the next lap. So no
 * message is ever moved or split, the next one begins where the last one ends, and whatever fits into the
 * capacity fits into an empty ring. There is one word for each unit of the ring.
 *
 * The algorithm
 *  1. A sender claims [tail, tail + size) if the end is within one capacity of `taken`; if there are several
 *     senders, by compare-and-swap. It writes the message and then exchanges its entry into the word of the
 *     message's first unit, which publishes it.
 *  2. The receiver reads the word at which the next message will begin. It takes the entry, stores 0 there,
 *     and when the message is released publishes its end as `taken`.
 *  3. A receiver that finds no entry registers its waker in rx_notify, and then swaps WAITING into that
 *     word. The word decides: either the swap finds the entry, or the exchange of step 1 finds WAITING, and
 *     that sender wakes the receiver. Other senders need not notify anybody, and a claim that stays open for
 *     long costs the receiver nothing.
 *  4. A sender that finds no room registers its waker in tx_notify and reads `taken` once more. The
 *     receiver's half, an exchange, is deferred until its loop checks the channel: at the next tick, before
 *     it parks, or when the loop is left. A receiver outside its loop exchanges at once. Of several senders
 *     only the first in the queue does this; see bytes_queue.c.
 *  5. An aborted claim becomes an entry that the receiver skips.
 *  6. Closing sets a flag and then exchanges the other side's waker slot. A receiver reads the flag and then
 *     the ring a last time, so messages committed before the close are found first.
 *  7. A receiver that shuts sets room to 0. With several senders, it decides by SHUT in `tail`, the word by
 *     which they claim. A single sender stores tail, executes a light barrier, and reads room again; the
 *     receiver executes a heavy barrier: if the sender does not see that room is 0, its claim is seen, else
 *     it aborts the claim. Then a receiver whose position equals `tail` has received everything.
 *  8. SPINNING: the receiver's loop never parks and checks the word and tx_notify in each tick. So a sender
 *     need not notify, and publishes by a store.
 *
 * Bounds: a claim is a locked instruction if there are several senders, a commit is one if the receiver
 * parks. The receiver executes none while messages are available.
 *
 * Not handled: a poll that releases messages and then blocks its thread until a sender does something. The
 * sender may be waiting for room of which it has not been notified. */
#include "../sys.h"
#include "bytes.h"

/* ---- claiming ---- */

/* Does a message of `len` bytes fit at `tail`? If `tail` is out of date, the answer may be wrong. */
static bool fits(nart_bytes_tx *tx, uint64_t tail, size_t len)
{
    nart__bytes_ring *r = tx->ring;
    uint64_t end = tail + nart__bytes_place(len);

    tx->seen = NART__LOAD(&r->taken, NART__ACQUIRE); /* the receiver has read what was there */
    return end - tx->seen <= NART__LOAD(&r->room, NART__RELAXED);
}

/* For a sender without competitors: the only one, or the first of those that wait. Relaxed: see
 * nart__bytes_reserve(). */
static bool reserve_alone(nart_bytes_tx *tx, size_t len)
{
    nart__bytes_ring *r = tx->ring;
    uint64_t tail = NART__LOAD(&r->tail, NART__RELAXED);
    uint32_t size = nart__bytes_place(len);

    tx->at = tail & ~NART__BYTES_FLAGS;
    if (tail & NART__BYTES_SHUT || !fits(tx, tx->at, len))
        return false;
    if (!r->mpsc)
        return nart__bytes_reserve(tx, len);
    if (!NART__CAS(&r->tail, &tail, tail + size, NART__RELAXED, NART__RELAXED))
        return false; /* SHUT was set: nothing else changes tail meanwhile */
    tx->size = size;
    tx->len = (uint32_t)len;
    return true;
}

/* The receiver has shut: the sender aborts the claim that it has just made. */
void nart__bytes_refused(nart_bytes_tx *tx)
{
    nart__bytes_publish(tx, NART__BYTES_ABORTED, 0);
}

/* For one of several senders. If tail was the same before and after a read of `taken`, it is not out of date
 * with respect to it, because what is released was claimed before: then there is no room. */
static bool reserve_among(nart_bytes_tx *tx, size_t len)
{
    nart__bytes_ring *r = tx->ring;
    uint64_t tail = NART__LOAD(&r->tail, NART__RELAXED), before;

    do {
        if (tail & NART__BYTES_FLAGS)
            return false;
        before = tail;
        if (fits(tx, tail, len) && nart__bytes_reserve(tx, len))
            return true;
        tail = NART__LOAD(&r->tail, NART__RELAXED);
    } while (tail != before);
    return false;
}

/* 0: a claim may be made now, if there is room. */
static nart_res may_claim(const nart_bytes_tx *tx, size_t len)
{
    if (!tx->ring)
        return NART_ECLOSED;
    if (len > tx->ring->max_len)
        return -EMSGSIZE;
    return tx->size ? -EBUSY : 0;
}

/* Answers with the reserved room, or with the reason why none was reserved. */
static nart_res claimed(nart_bytes_tx *tx, bool reserved, nart_bytes_buf *buf)
{
    if (!reserved)
        return nart__bytes_rx_gone(tx->ring) ? NART_ECLOSED : -EAGAIN;
    buf->ptr = nart__bytes_data_at(tx->ring, tx->at);
    buf->len = tx->len;
    return 0;
}

nart_res nart__bytes_try_claim_slow(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf)
{
    nart_res r = may_claim(tx, len);
    if (r)
        return r;
    return claimed(tx, tx->ring->mpsc ? reserve_among(tx, len) : reserve_alone(tx, len), buf);
}

/* ---- waiting for room ---- */

static void tx_withdraw(nart__wait *w)
{
    nart_bytes_tx *tx = (nart_bytes_tx *)(void *)w;

    if (tx->ring->mpsc)
        nart__bytes_queue_leave(tx);
    else
        nart__waker_slot_unregister(&tx->ring->tx_notify);
}

nart_res nart__bytes_claim_alone(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf)
{
    return claimed(tx, reserve_alone(tx, len), buf);
}

/* A waiting sender tries again only when it is first in the queue. The first one registers its waker in the
 * channel before it checks, the others theirs in the queue. */
static nart_res claim_waiting(nart_cx *cx, nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf)
{
    nart_res r = may_claim(tx, len);
    if (r)
        return r;
    if (tx->ring->mpsc && !nart__bytes_queue_first(tx, nart_cx_waker(cx)))
        return claimed(tx, false, buf);
    nart__waker_slot_register(&tx->ring->tx_notify, cx);
    return nart__bytes_claim_alone(tx, len, buf);
}

nart_res nart__bytes_claim_slow(nart_cx *cx, nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf)
{
    nart__wait *w = &tx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    r = w->task ? claim_waiting(cx, tx, len, buf) : nart__bytes_try_claim_slow(tx, len, buf);
    if (r == -EAGAIN) {
        r = nart__park_in(cx, w, &begun);
        if (!begun)
            return r == NART_PENDING ? nart__pending_outside(cx) : r;
        if (tx->ring->mpsc && !nart__bytes_queue_join(tx)) {
            nart__answers_after_all(cx);
            nart__unwait(w);
            return NART_EFORK;
        }
        r = claim_waiting(cx, tx, len, buf);
        if (r == -EAGAIN)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

/* ---- releasing ---- */

/* Room has been freed for the first time in this tick. */
void nart__bytes_freed(nart__bytes_ring *r)
{
    nart__rx_binding_owe(&nart__bytes_of(r)->binding);
}

void nart__bytes_settle(nart__rx_binding *h)
{
    nart__waker_slot_wake(&nart__bytes_at(h)->ring.tx_notify);
}

/* ---- receiving ---- */

/* Takes the next message and skips aborted claims. 0; -EAGAIN: none; NART_PENDING: many were skipped, and
 * the rest is left for another poll. Relaxed: a published word belongs to the receiver. */
static nart_res take(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    uint64_t kind;

    for (int n = 0; (kind = nart__bytes_take(rx, msg)) == NART__BYTES_ABORTED; n++) {
        if (n == NART_BUDGET)
            return NART_PENDING;
        nart__bytes_word *word = nart__bytes_word_at(rx->ring, rx->pos);
        rx->pos += NART__BYTES_SIZE(NART__LOAD(word, NART__RELAXED));
        NART__STORE(word, NART__BYTES_NONE, NART__RELAXED);
        nart__bytes_free(rx);
    }
    return kind == NART__BYTES_MESSAGE ? 0 : -EAGAIN;
}

/* The receiver has shut: is every claim ended, and every message received? Relaxed: see nart__bytes_shut(). */
static bool all_received(const nart_bytes_rx *rx)
{
    return (NART__LOAD(&rx->ring->tail, NART__RELAXED) & ~NART__BYTES_FLAGS) == rx->pos;
}

/* As nart_bytes_try_recv(), or NART_PENDING as take(). */
static nart_res try_recv(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    if (!rx->ring)
        return NART_ECLOSED;
    if (rx->held)
        return -EBUSY;
    nart_res r = take(rx, msg);
    if (r != -EAGAIN)
        return r;
    if (nart__bytes_tx_gone(rx->ring)) {
        r = take(rx, msg);
        return r == -EAGAIN ? NART_ECLOSED : r;
    }
    if (nart__bytes_rx_gone(rx->ring) && all_received(rx))
        return NART_ECLOSED;
    return -EAGAIN;
}

nart_res nart__bytes_try_recv_slow(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    nart_res r = try_recv(rx, msg);
    return r == NART_PENDING ? -EAGAIN : r;
}

/* ---- waiting for a message ---- */

static void rx_withdraw(nart__wait *w)
{
    nart__bytes_ring *r = ((nart_bytes_rx *)(void *)w)->ring;
    nart__bytes_of(r)->binding.waits = NULL;
    nart__waker_slot_unregister(&r->rx_notify);
}

const struct nart__wait_ops nart__bytes_tx_ops = { "claim", tx_withdraw };
const struct nart__wait_ops nart__bytes_rx_ops = { "recv", rx_withdraw };

/* Marks the word: the sender whose entry replaces the mark wakes the receiver, unless the entry is there
 * already. A mark from an earlier wait is set again, since an entry may have replaced it. Relaxed: a sender
 * that finds the mark finds the waker, too. Otherwise its exchange of the slot would have been earlier than
 * the one that registered the waker; then the latter would have acquired the entry, and this swap would have
 * found it. */
static void mark(nart__bytes_word *word)
{
    uint64_t entry = NART__LOAD(word, NART__RELAXED);

    while (entry <= NART__BYTES_WAITING) {
        if (NART__CAS(word, &entry, NART__BYTES_WAITING, NART__RELAXED, NART__RELAXED))
            return;
    }
}

nart_res nart__bytes_recv_armed(nart_bytes_rx *rx, nart_waker waker, nart_bytes_msg *msg)
{
    uint64_t pos;
    nart_res r;

    nart__waker_slot_set(&rx->ring->rx_notify, waker);
    for (int n = 0; n < NART_BUDGET; n++) {
        pos = rx->pos;
        mark(nart__bytes_word_at(rx->ring, pos));
        r = try_recv(rx, msg);
        if (r != -EAGAIN ||
            rx->pos == pos) /* after an aborted claim the next word must be marked */
            return r;
    }
    return NART_PENDING;
}

static nart_res recv_wait(nart_cx *cx, nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    nart__bytes *c = nart__bytes_of(rx->ring);
    bool begun;

    nart_res r = nart__park_in(cx, &rx->wait, &begun);
    if (r != NART_PENDING)
        return r;
    c->binding.waits = &rx->wait;
    if (c->ring.spinning)
        return NART_PENDING;
    r = nart__bytes_recv_armed(rx, nart_cx_waker(cx), msg);
    if (r == -EAGAIN)
        return nart__pending_outside(cx);
    if (r == NART_PENDING)
        nart_wake_self(cx); /* more aborted claims may follow */
    else
        nart__answers_after_all(cx);
    return r;
}

/* Can it be awaited here? On the loop of its runtime; without a runtime, anywhere. */
static bool is_bound_to(nart__bytes_ring *r, const nart_cx *cx)
{
    const nart__rx_binding *h = &nart__bytes_of(r)->binding;
    return h->rt ? nart__rx_bound_to(h, cx) : !h->spinning;
}

nart_res nart__bytes_recv_slow(nart_cx *cx, nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    nart__wait *w = &rx->wait;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (NART_UNLIKELY(rx->ring && !is_bound_to(rx->ring, cx)))
        return NART_EWRONGTHREAD;
    r = try_recv(rx, msg);
    if (r == -EAGAIN || r == NART_PENDING)
        r = recv_wait(cx, rx, msg);
    if (w->task && r != NART_PENDING)
        nart__withdraw(w);
    return r;
}

/* Relaxed: the task's own check, later on this thread, sees at least as much. */
static bool receiver_has_cause(nart__bytes *c)
{
    const nart_bytes_rx *rx = (const nart_bytes_rx *)(const void *)c->binding.waits;

    return NART__LOAD(nart__bytes_word_at(&c->ring, rx->pos), NART__RELAXED) != NART__BYTES_NONE ||
           NART__LOAD(&c->tx_gone, NART__RELAXED);
}

/* Called once per tick of the receiver's loop while it is watched. Relaxed: see nart__rx_binding_look(). */
void nart__bytes_look(nart__tick_hook *w)
{
    nart__rx_binding *h = nart__rx_binding_hooked(w);
    nart__bytes *c = nart__bytes_at(h);

    if (!h->spinning) {
        nart__rx_binding_pay(h);
        return;
    }
    if (h->waits && receiver_has_cause(c))
        nart__ready(h->waits->task);
    nart__rx_binding_look(h, NART__LOAD(&c->ring.taken, NART__RELAXED),
                          NART__LOAD(&c->ring.tx_notify, NART__RELAXED) != 0);
}

/* ---- closing ---- */

/* A sender has closed. True for the last one, which notifies the receiver. */
bool nart__bytes_tx_closed(nart_bytes_tx *tx)
{
    nart__bytes *c = nart__bytes_of(tx->ring);

    if (tx->size)
        nart__bytes_publish(tx, NART__BYTES_ABORTED, 0);
    /* Release: what this sender has committed. Acquire: what the others have. */
    if (NART__FETCH_ADD(&c->senders, UINT32_MAX, NART__ACQ_REL) != 1)
        return false;
    NART__STORE(&c->tx_gone, 1u, NART__RELEASE); /* everything committed is published before */
    nart__waker_slot_wake(&c->ring.rx_notify);
    return true;
}

void nart__bytes_rx_closed(nart__bytes_ring *r)
{
    /* Relaxed: a waiting sender sees it through the exchange, the others eventually. */
    NART__STORE(&r->room, (uint64_t)0, NART__RELAXED);
    nart__waker_slot_wake(&r->tx_notify);
}

void nart__bytes_shut(nart__bytes_ring *r)
{
    NART__STORE(&r->room, (uint64_t)0, NART__RELAXED); /* as above, and through the barrier */
    if (r->mpsc)
        (void)NART__FETCH_OR(&r->tail, NART__BYTES_SHUT,
                             NART__RELAXED); /* only the value decides */
    else
        (void)nart__sys_barrier();
    nart__waker_slot_wake(&r->tx_notify);
}

/* A side has closed. True for the last one, which frees the channel: it sees all writes of the other. */
bool nart__bytes_last(nart__bytes *c)
{
    /* Release: publishes this side's writes. Acquire: sees the other side's. */
    return NART__FETCH_ADD(&c->refs, UINT32_MAX, NART__ACQ_REL) == 1;
}

/* ---- state ---- */

/* Acquire: what has been released was claimed before, so the difference is not negative. Between the two
 * loads other senders may claim what was released then. */
size_t nart__bytes_len(nart__bytes_ring *r)
{
    uint64_t taken = NART__LOAD(&r->taken, NART__ACQUIRE);
    uint64_t len = (NART__LOAD(&r->tail, NART__RELAXED) & ~NART__BYTES_FLAGS) - taken;

    return (size_t)(len <= r->mask ? len : r->mask + 1);
}

/* Acquire: nart__bytes_len() then counts everything claimed, and take() finds what was committed. */
bool nart__bytes_tx_gone(nart__bytes_ring *r)
{
    return NART__LOAD(&nart__bytes_of(r)->tx_gone, NART__ACQUIRE) != 0;
}
