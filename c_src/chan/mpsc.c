/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mpsc.c: channels from senders on any threads to one receiver: claiming and publishing slots, waiting on
 * both sides, closing. A slot of the ring is a "place" in identifiers; its sequence number is its "turn".
 *
 * Invariants: no value is lost, read before it is complete, or overwritten before it is taken; each sender's
 * values arrive in its order; no wake-up is lost; no slot stays granted to a sender that has left.
 *
 * The algorithm. `sent` counts the claimed slots and carries four flags; `taken` counts the values taken
 * out; every slot has a turn word, the position of the last value in it plus one.
 *  1. A sender that knows of a free slot (claimed - `seen` < capacity, where `seen` is the last value of
 *     `taken` it read) claims the next slot by one compare-and-swap of `sent`, copies the value, and
 *     publishes it by storing the turn.
 *  2. The receiver takes the next value when its turn is stored, and then stores `taken`. It writes to no
 *     slot, so a claim has to read nothing but `taken`.
 *  3. A receiver that finds no value registers its waker and sets PARKED by a compare-and-swap that expects
 *     `sent` as it is when everything claimed has been taken. The next claim clears PARKED by the same
 *     compare-and-swap that claims, and wakes the receiver after publishing. So a send to a receiver that is
 *     awake is one locked instruction. If more is claimed than taken, a sender is between claim and publish:
 *     the receiver does not sleep but asks to be polled again. The loop continues meanwhile.
 *  4. A sender that finds no free slot takes the lock, sets QUEUED in `sent`, which makes all other senders
 *     take the lock, too, and queues. While QUEUED is set, slots are claimed under the lock only.
 *  5. A slot that becomes free is granted to the first sender in the queue: claimed + reserved <= taken +
 *     capacity. So a sender with a grant always finds a slot, and later senders queue behind. A grant that
 *     is withdrawn passes to the next sender. QUEUED is cleared when no sender is queued and no grant is
 *     outstanding.
 *  6. The word tx_notify notifies the receiver of the queue. A sender that leaves the lock while the queue
 *     is not empty exchanges 1 into it and reads `taken` once more. The receiver stores `taken`, exchanges 0
 *     into it once per tick, and grants slots if it found 1. Whichever exchange is later sees what the other
 *     side did before its own.
 *  7. Wakes are made after the lock is released, with waker words copied under it.
 *  8. The last sender to close sets GONE in `sent` and clears PARKED by one compare-and-swap. Everything
 *     claimed has been published by then: a receiver that sees GONE reads the ring a last time.
 *  9. SPINNING: PARKED is never set; the receiver's loop checks the ring and tx_notify in each tick.
 * 10. A receiver that shuts sets SHUT in `sent`: from then on no claim succeeds, so the number of values is
 *     final, and a receiver that has taken them all has reached the end. A receiver that closes drops them;
 *     it waits for those that are claimed and not yet published.
 *
 * A grant is a number, not a particular slot: otherwise a sender that was woken and has not been polled yet
 * would hold back everything that others have sent after it.
 *
 * Bounds: one locked instruction per send, two more when it wakes. Taking a value needs plain accesses and
 * two stores. The lock is held for a constant number of steps, and no wake is made under it.
 *
 * Not handled: if a sender's thread is stopped forever between claim and publish, later values are held
 * back, the receiver polls, and a close of the receiver does not return. Nor a poll that takes values and
 * then blocks its thread until a sender does something: see spsc.c. */
#include "../sys.h"
#include "chan.h"
#include "waker_slot.h"

#define PARKED NART__MPSC_PARKED
#define QUEUED NART__MPSC_QUEUED
#define GONE NART__MPSC_GONE
#define SHUT NART__MPSC_SHUT
#define PLACE NART__MPSC_PLACE

/* Wakes made per pass of the lock. */
enum { WAKES = 16 };

static nart_tx *tx_of(nart__wait *w)
{
    return (nart_tx *)(void *)w; /* the wait is the first member */
}

/* ---- slots ---- */

void nart__mpsc_init(nart__chan *c)
{
    nart__ring *r = &c->ring;
    size_t elem = NART__RING_ELEM(r->type);

    /* Relaxed: no other thread knows the channel yet. */
    for (uint64_t pos = 0; pos <= r->mask; pos++)
        NART__STORE(nart__mpsc_turn_of(r, nart__mpsc_place(r, pos, elem), elem), (uint64_t)0,
                    NART__RELAXED);
    nart__lock_init(&c->lock);
    NART__STORE(&c->open, 1u, NART__RELAXED);
    c->fork_epoch = nart__fork_epoch();
}

void nart__mpsc_finish(nart__chan *c)
{
    if (c->fork_epoch == nart__fork_epoch())
        nart__lock_finish(&c->lock);
}

/* Claimed slots whose values have not been taken. */
static uint64_t used(uint64_t sent, uint64_t taken)
{
    return sent / PLACE - taken;
}

/* ---- the lock ---- */

/* False in a child of fork: another thread of the parent may have held the lock. */
static bool enter(nart__chan *c)
{
    if (NART_UNLIKELY(c->fork_epoch != nart__fork_epoch()))
        return false;
    nart__lock_enter(&c->lock);
    return true;
}

/* From here on slots are claimed under the lock. Only its holder changes the flag. Relaxed: a claim that
 * read `sent` before this and swaps after it fails. */
static void begin_queue(nart__ring *r)
{
    if (!(NART__LOAD(&r->sent, NART__RELAXED) & QUEUED))
        (void)NART__FETCH_ADD(&r->sent, QUEUED, NART__RELAXED);
}

static void end_queue(nart__ring *r)
{
    if (NART__LOAD(&r->sent, NART__RELAXED) & QUEUED)
        (void)NART__FETCH_AND(&r->sent, ~QUEUED, NART__RELAXED);
}

/* Serves the queue while slots are free and `woken` has space. Returns how many were served. */
static unsigned serve(nart__chan *c, uintptr_t woken[WAKES])
{
    nart__ring *r = &c->ring;
    nart__waitq *q = &c->senders_waiting;
    unsigned n = 0;

    do {
        /* Relaxed: a sender with a grant reads it again, see claim_locked(). */
        uint64_t taken = NART__LOAD(&r->taken, NART__RELAXED);
        uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);
        uint64_t in_use = used(sent, taken) + c->reserved;
        bool over = sent & SHUT;
        for (; n < WAKES && q->first && (over || in_use <= r->mask); in_use++) {
            nart__wait *w = q->first;
            nart__q_remove(q, w);
            w->state = over ? NART__CLOSED : NART__GRANTED;
            c->reserved += !over;
            woken[n++] = (uintptr_t)tx_of(w)->waker;
        }
        /* Acquire: the next pass sees what the receiver had taken before its last exchange. If 1 was still
         * there, the receiver's next exchange is yet to happen. */
    } while (n < WAKES && q->first && !NART__EXCHANGE(&r->tx_notify, (uintptr_t)1, NART__ACQUIRE));
    if (!q->first && c->reserved == 0)
        end_queue(r);
    return n;
}

/* Leaves the lock when nothing is left to grant. A sender's handle may be gone before it is woken: so
 * waker words are copied under the lock. */
static void leave(nart__chan *c)
{
    uintptr_t woken[WAKES];

    for (;;) {
        unsigned n = serve(c, woken);
        nart__lock_leave(&c->lock);
        for (unsigned i = 0; i < n; i++)
            nart_waker_wake((nart_waker){ woken[i] });
        if (n < WAKES)
            return;
        nart__lock_enter(&c->lock);
    }
}

/* Grants the slots that were freed since the last time. Release: publishes `taken`, see serve(). */
void nart__mpsc_settle(nart__rx_binding *h)
{
    nart__chan *c = nart__chan_at(h);

    if (NART__EXCHANGE(&c->ring.tx_notify, (uintptr_t)0, NART__RELEASE) && enter(c))
        leave(c);
}

/* ---- claiming and publishing ---- */

/* Claims up to n contiguous slots, and clears PARKED; *was: `sent` before. Returns their number; -EAGAIN: none
 * is free without the lock; if QUEUED is in *was, the holder of the lock may still find one; NART_ECLOSED.
 * The memory orders are those of nart__mpsc_push(), the common case of this. */
static inline nart_res claim(nart_tx *tx, uint64_t n, uint64_t *was)
{
    nart__ring *r = tx->ring;
    uint64_t room = r->mask + 1;

    *was = NART__LOAD(&r->sent, NART__RELAXED);
    for (;;) {
        uint64_t in_use = used(*was, tx->seen), count = n;
        if (NART_UNLIKELY(*was & (QUEUED | SHUT)))
            return *was & SHUT ? NART_ECLOSED : -EAGAIN;
        if (NART_UNLIKELY(in_use >= room)) {
            /* Acquire: the slots before it are free, and the `sent` read below is not older than it. */
            uint64_t seen = NART__LOAD(&r->taken, NART__ACQUIRE);
            if (seen == tx->seen)
                return -EAGAIN;
            tx->seen = seen;
            *was = NART__LOAD(&r->sent, NART__RELAXED);
            continue;
        }
        if (n > 1 && count > room - in_use)
            count = room - in_use;
        if (NART_LIKELY(NART__CAS(&r->sent, was, (*was & ~PARKED) + count * PLACE, NART__RELAXED,
                                  NART__RELAXED)))
            return (nart_res)count;
    }
}

/* Claims under the lock, not counting slots that are reserved for other senders. */
static nart_res claim_locked(nart_tx *tx, uint64_t n, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart__ring *r = tx->ring;
    uint64_t count;

    do {
        tx->seen = NART__LOAD(&r->taken, NART__ACQUIRE); /* as in claim() */
        *was = NART__LOAD(&r->sent, NART__RELAXED);
        uint64_t in_use = used(*was, tx->seen) + c->reserved;
        if (*was & SHUT)
            return NART_ECLOSED;
        if (in_use > r->mask)
            return -EAGAIN;
        count = n <= r->mask + 1 - in_use ? n : r->mask + 1 - in_use;
    } while (
        !NART__CAS(&r->sent, was, (*was & ~PARKED) + count * PLACE, NART__RELAXED, NART__RELAXED));
    return (nart_res)count;
}

/* Reserves a slot under the lock, with QUEUED set: so no slot is claimed without the lock until it is used or
 * returned. Relaxed: the claim that uses it reads the positions again. */
static nart_res reserve_locked(nart_tx *tx)
{
    nart__chan *c = nart__chan_of(tx->ring);
    uint64_t taken = NART__LOAD(&tx->ring->taken, NART__RELAXED);
    uint64_t sent = NART__LOAD(&tx->ring->sent, NART__RELAXED);

    if (sent & SHUT)
        return NART_ECLOSED;
    if (used(sent, taken) + c->reserved > tx->ring->mask)
        return -EAGAIN;
    c->reserved++;
    tx->wait.state = NART__GRANTED;
    return 0;
}

/* Writes values into the claimed slots. */
static inline void publish(nart__ring *r, uint64_t was, const void *values, uint64_t n)
{
    const unsigned char *value = (const unsigned char *)values;
    size_t elem = NART__RING_ELEM(r->type);

    for (uint64_t pos = was / PLACE, end = pos + n; pos < end; pos++, value += elem)
        nart__mpsc_put(r, nart__mpsc_place(r, pos, elem), pos, value, elem);
    if (NART_UNLIKELY(was & PARKED))
        nart__waker_slot_wake(&r->rx_notify);
}

/* Senders are queued or have a reservation, or did a moment ago. This one's own is used. */
static NART__COLD nart_res claim_behind(nart_tx *tx, uint64_t n, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r;

    if (!enter(c))
        return NART_EFORK;
    bool reserved = nart__tx_reserved(tx);
    if (reserved) {
        c->reserved--;
        tx->wait.state = NART__IDLE;
    }
    r = c->senders_waiting.first && !reserved ? -EAGAIN : claim_locked(tx, n, was);
    leave(c);
    return r;
}

nart_res nart__mpsc_try_send(nart_tx *tx, const void *value)
{
    uint64_t was;

    nart_res r = claim(tx, 1, &was);
    if (NART_UNLIKELY(r == -EAGAIN && was & QUEUED))
        r = claim_behind(tx, 1, &was);
    if (NART_UNLIKELY(r < 0))
        return r;
    publish(tx->ring, was, value, 1);
    return 0;
}

nart_res nart__mpsc_try_send_many(nart_tx *tx, const void *values, size_t n)
{
    uint64_t was;

    nart_res r = claim(tx, n, &was);
    if (r == -EAGAIN && was & QUEUED)
        r = claim_behind(tx, n, &was);
    if (r > 0)
        publish(tx->ring, was, values, (uint64_t)r);
    return r;
}

nart_res nart__mpsc_try_reserve(nart_tx *tx)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r;

    if (!enter(c))
        return NART_EFORK;
    begin_queue(tx->ring);
    r = c->senders_waiting.first ? -EAGAIN : reserve_locked(tx);
    leave(c);
    return r;
}

/* ---- waiting senders ---- */

/* No slot was free, so the sender queues. NART_PENDING it is queued; 0: one is free now, and claimed, or
 * reserved (`was` is NULL); NART_ECLOSED, NART_EFORK. */
static nart_res queue_up(nart_tx *tx, nart_waker waker, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r;

    if (!enter(c))
        return NART_EFORK;
    begin_queue(tx->ring);
    r = c->senders_waiting.first ? -EAGAIN : was ? claim_locked(tx, 1, was) : reserve_locked(tx);
    if (r == -EAGAIN) { /* leave() checks for SHUT again */
        tx->waker = waker.w;
        tx->wait.state = NART__QUEUED;
        nart__q_push(&c->senders_waiting, &tx->wait);
        r = NART_PENDING;
    }
    leave(c);
    return r > 0 ? 0 : r;
}

/* Claims the slot if one was granted, or keeps it (`was` is NULL). Answers as queue_up(); the wait is over unless NART_PENDING. */
static nart_res take_turn(nart_tx *tx, nart_waker waker, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r = NART_PENDING;

    if (!enter(c))
        return NART_EFORK;
    if (tx->wait.state == NART__GRANTED && !was) {
        r = 0;
    } else if (tx->wait.state == NART__GRANTED) {
        c->reserved--;
        r = claim_locked(tx, 1, was) > 0 ? 0 : NART_ECLOSED; /* a slot is free, unless SHUT */
    } else if (tx->wait.state == NART__CLOSED) {
        r = NART_ECLOSED;
    }
    tx->waker = waker.w; /* another driver may change it from poll to poll */
    leave(c);
    return r;
}

/* Withdraws a wait, queued or granted. */
static void give_up(nart_tx *tx)
{
    nart__chan *c = nart__chan_of(tx->ring);

    if (!enter(c))
        return;
    if (tx->wait.state == NART__QUEUED)
        nart__q_remove(&c->senders_waiting, &tx->wait);
    else if (tx->wait.state == NART__GRANTED)
        c->reserved--;
    leave(c);
}

static void tx_withdraw(nart__wait *w)
{
    give_up(tx_of(w));
}

void nart__mpsc_unreserve(nart_tx *tx)
{
    give_up(tx);
    tx->wait.state = NART__IDLE;
}

const struct nart__wait_ops nart__mpsc_tx_ops = { "send", tx_withdraw };

/* Begins or continues to wait. */
static nart_res wait_for_turn(nart_cx *cx, nart_tx *tx, const void *value)
{
    nart__wait *w = &tx->wait;
    uint64_t was = 0, *claimed = value ? &was : NULL;
    bool begun;
    nart_res r;

    if (w->task) {
        r = take_turn(tx, nart_cx_waker(cx), claimed);
        if (r == NART_PENDING) {
            r = nart__park_in(cx, w, &begun);
            return r == NART_PENDING ? nart__pending_outside(cx) : r;
        }
    } else {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        r = queue_up(tx, nart_cx_waker(cx), claimed);
        if (r == NART_PENDING)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
        if (!w->task)
            return r;
    }
    (void)nart__tx_unwait(tx, value, r);
    if (r == 0 && value)
        publish(tx->ring, was, value, 1);
    return r;
}

nart_res nart__mpsc_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    nart__wait *w = &tx->wait;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (nart__tx_reserved(tx) && !value)
        return 0;
    r = w->task ? -EAGAIN : value ? nart__mpsc_try_send(tx, value) : nart__mpsc_try_reserve(tx);
    return NART_LIKELY(r != -EAGAIN) ? r : wait_for_turn(cx, tx, value);
}

/* ---- threads that wait: see blocking.c ---- */

nart_res nart__mpsc_queue(nart_tx *tx, const void *value, nart_waker waker)
{
    uint64_t was = 0;

    nart_res r = queue_up(tx, waker, &was);
    if (r == 0)
        publish(tx->ring, was, value, 1);
    return r;
}

nart_res nart__mpsc_unqueue(nart_tx *tx, const void *value)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r = -ETIMEDOUT;
    uint64_t was = 0;

    nart__lock_enter(&c->lock); /* this thread has queued itself: no fork since */
    bool granted = tx->wait.state == NART__GRANTED;
    if (granted)
        c->reserved--;
    if (tx->wait.state == NART__QUEUED)
        nart__q_remove(&c->senders_waiting, &tx->wait);
    else
        r = granted && claim_locked(tx, 1, &was) > 0 ? 0 : NART_ECLOSED;
    leave(c);
    tx->wait.state = NART__IDLE;
    if (r == 0)
        publish(tx->ring, was, value, 1);
    return r;
}

/* ---- receiving ---- */

/* Takes up to n values; returns how many. */
static size_t take_many(nart_rx *rx, void *values, size_t n)
{
    nart__ring *r = rx->ring;
    unsigned char *value = (unsigned char *)values;
    size_t elem = NART__RING_ELEM(r->type), count = 0;

    for (; count < n && nart__mpsc_get(r, rx->pos, value, elem); count++, value += elem)
        rx->pos++;
    if (count == 0)
        return 0;
    NART__STORE(&r->taken, rx->pos, NART__RELEASE); /* as in nart__mpsc_pop() */
    if (!r->rx_dirty)
        nart__ring_taken(r);
    return count;
}

nart_res nart__mpsc_try_recv_many(nart_rx *rx, void *values, size_t n)
{
    size_t count = take_many(rx, values, n);
    if (count > 0)
        return (nart_res)count;
    nart_res r = nart__mpsc_try_recv(rx, values); /* the end, or a value published just now */
    return r == 0 ? 1 : r;
}

nart_res nart__mpsc_try_recv(nart_rx *rx, void *value)
{
    nart__ring *r = rx->ring;
    size_t elem = NART__RING_ELEM(r->type);

    if (nart__mpsc_pop(rx, value, elem))
        return 0;
    /* Acquire: everything published before GONE is visible, and so is what its senders did before. */
    uint64_t sent = NART__LOAD(&r->sent, NART__ACQUIRE);
    if (NART_UNLIKELY(sent & (GONE | SHUT))) {
        if (sent / PLACE == rx->pos)
            return NART_ECLOSED; /* no slot can be claimed any more */
        return nart__mpsc_pop(rx, value, elem) ? 0 : -EAGAIN;
    }
    return -EAGAIN;
}

/* This side, which has just registered its waker, and a sender's nart__waker_slot_wake() both exchange the
 * slot. If the sender's exchange is earlier, its claim is seen here. Otherwise it finds this waker, even
 * if it wakes late for an earlier claim. */
bool nart__mpsc_park(nart_rx *rx)
{
    nart__ring *r = rx->ring;

    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);
    do {
        if (sent / PLACE != rx->pos || sent & (GONE | SHUT))
            return false;
        /* Relaxed: only the modification order of `sent` decides. */
    } while (!NART__CAS(&r->sent, &sent, sent | PARKED, NART__RELAXED, NART__RELAXED));
    return true;
}

static void rx_withdraw(nart__wait *w)
{
    nart__ring *r = ((nart_rx *)(void *)w)->ring;

    nart__chan_of(r)->binding.waits = NULL;
    nart__waker_slot_unregister(
        &r->rx_notify); /* PARKED may stay set: the next claim then finds no waker */
}

const struct nart__wait_ops nart__mpsc_rx_ops = { "recv", rx_withdraw };

nart_res nart__mpsc_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    nart__rx_binding *h = &nart__chan_of(rx->ring)->binding;
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__entered(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    if (NART_UNLIKELY(h->rt && !nart__rx_bound_to(h, cx)))
        return NART_EWRONGTHREAD;
    r = nart__mpsc_try_recv(rx, value);
    if (r == -EAGAIN) {
        if (h->spinning && !h->rt)
            return NART_EWRONGTHREAD; /* no loop would check the channel */
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        h->waits = w;
        if (h->spinning)
            return NART_PENDING;
        nart__waker_slot_register(&rx->ring->rx_notify, cx);
        if (nart__mpsc_park(rx))
            return nart__pending_outside(cx);
        r = nart__mpsc_try_recv(rx, value);
        if (r == -EAGAIN) {
            nart_wake_self(cx); /* claimed, and not yet published */
            return NART_PENDING;
        }
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__withdraw(w);
    return r;
}

/* Relaxed: the task's own check, later on this thread, sees at least as much. */
static bool receiver_has_cause(nart__ring *r)
{
    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);

    return sent & GONE || sent / PLACE != NART__LOAD(&r->taken, NART__RELAXED);
}

/* Called once per tick of the receiver's loop while it is watched. Relaxed: see nart__rx_binding_look(). */
void nart__mpsc_look(nart__tick_hook *w)
{
    nart__rx_binding *h = nart__rx_binding_hooked(w);
    nart__chan *c = nart__chan_at(h);

    if (!h->spinning) {
        nart__rx_binding_pay(h);
        return;
    }
    if (h->waits && receiver_has_cause(&c->ring))
        nart__ready(h->waits->task);
    nart__rx_binding_look(h, NART__LOAD(&c->ring.taken, NART__RELAXED),
                          NART__LOAD(&c->ring.tx_notify, NART__RELAXED) != 0);
}

/* ---- closing ---- */

/* Relaxed: the cloning thread holds a sender, so the last close cannot happen at the same time. */
void nart__mpsc_tx_cloned(nart__chan *c)
{
    (void)NART__FETCH_ADD(&c->open, 1u, NART__RELAXED);
}

bool nart__mpsc_tx_closed(nart__chan *c)
{
    nart__ring *r = &c->ring;

    /* Release: what this sender has published. Acquire, for the last one: what all others have. */
    if (NART__FETCH_ADD(&c->open, UINT32_MAX, NART__ACQ_REL) != 1)
        return false;
    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);
    /* Release: everything that was published. */
    while (!NART__CAS(&r->sent, &sent, (sent & ~PARKED) | GONE, NART__RELEASE, NART__RELAXED))
        continue;
    if (sent & PARKED)
        nart__waker_slot_wake(&r->rx_notify);
    return true;
}

/* Relaxed: only the modification order of `sent` decides. A sender that queues without seeing SHUT held the
 * lock before, and is found in the queue here. */
void nart__mpsc_shut(nart__chan *c, bool closed)
{
    (void)closed;
    (void)NART__FETCH_OR(&c->ring.sent, SHUT, NART__RELAXED);
    if (enter(c))
        leave(c);
}

/* A sender is between claim and publish. If this thread has taken its processor, a nap lets it run. */
static void await_turn(nart__mpsc_turn *turn, uint64_t number)
{
    /* Acquire: the whole value is visible. */
    for (unsigned n = 1; NART__LOAD(turn, NART__ACQUIRE) != number; n++) {
        nart__relax();
        if (n % 64 == 0)
            nart__sys_nap();
    }
}

/* In a child of fork the senders between claim and publish do not exist, and nobody owns their values. */
void nart__mpsc_drop(nart__chan *c, uint64_t pos)
{
    nart__ring *r = &c->ring;
    size_t elem = NART__RING_ELEM(r->type);
    bool child = c->fork_epoch != nart__fork_epoch();
    /* Relaxed: it does not change any more. */
    uint64_t end = NART__LOAD(&r->sent, NART__RELAXED) / PLACE;

    for (; c->drop_value && pos != end; pos++) {
        unsigned char *place = nart__mpsc_place(r, pos, elem);
        nart__mpsc_turn *turn = nart__mpsc_turn_of(r, place, elem);
        if (child && NART__LOAD(turn, NART__RELAXED) != pos + 1)
            continue;
        await_turn(turn, pos + 1);
        NART__STORE(&r->taken, pos + 1, NART__RELAXED); /* for calls that read the length */
        c->drop_value(place);
    }
    NART__STORE(&r->taken, end, NART__RELAXED);
}

/* ---- state ---- */

/* Acquire: the `sent` read next is not older than `taken`. It may be newer: then the difference may exceed
 * the number of values at any moment. */
size_t nart__mpsc_len(nart__ring *r)
{
    uint64_t taken = NART__LOAD(&r->taken, NART__ACQUIRE);
    uint64_t n = used(NART__LOAD(&r->sent, NART__RELAXED), taken);

    return (size_t)(n <= r->mask ? n : r->mask + 1);
}

/* Relaxed, here and below: a snapshot. A later read of a length or a value reads the same word, and never
 * an older state of it. */
bool nart__mpsc_tx_gone(nart__ring *r)
{
    return (NART__LOAD(&r->sent, NART__RELAXED) & GONE) != 0;
}

bool nart__mpsc_is_shut(const nart__ring *r)
{
    return (NART__LOAD(&r->sent, NART__RELAXED) & SHUT) != 0;
}
