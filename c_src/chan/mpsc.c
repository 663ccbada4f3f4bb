/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mpsc.c: channels from senders on any threads to one receiver: claiming and publishing places,
 * waiting on both sides, closing.
 *
 * What it keeps true: no value is lost, seen before it is whole or overwritten before it is taken;
 * each sender's values arrive in its order; no wake-up is lost; no place is stuck.
 *
 * The algorithm. `sent` counts the places that are claimed and carries three flags; `taken` counts the
 * values taken out; every place has a turn word, the number of the last value in it.
 *  1. A sender that sees room (claimed - taken, from a number that it keeps: `seen`) claims the next
 *     place by one compare-and-swap of `sent`, copies, and publishes by storing the turn.
 *  2. The receiver takes the next value when its turn is there, and then stores `taken`. It writes to
 *     no place, so a claim needs to look at nothing but `taken`.
 *  3. A receiver that finds nothing leaves its waker and sets PARKED by compare-and-swap on `sent` as
 *     it stands when everything claimed has been taken. The next claim clears PARKED, with the same
 *     compare-and-swap that claims, and wakes after publishing. So a send to a receiver that is awake
 *     is one locked instruction. If more is claimed than taken, the receiver does not sleep but asks to
 *     be polled again: a sender is between its two steps. The loop goes on meanwhile.
 *  4. A sender that finds no room takes the lock, sets QUEUED in `sent`, which sends everybody else to
 *     the lock, too, and queues. While QUEUED is set, places are claimed under the lock only.
 *  5. A place that becomes free is granted to the first in the queue: claimed + reserved <= taken +
 *     capacity. So one that holds a grant always finds a place, and whoever comes later goes behind.
 *     A grant that is withdrawn passes to the next. QUEUED is cleared when nobody is queued and no
 *     grant is out.
 *  6. The receiver hears of the queue by one word, tx_notify: who leaves the queue non-empty exchanges
 *     1 into it and looks at `taken` once more; the receiver stores `taken`, exchanges 0 into it once
 *     per tick, and grants if it found 1. Whichever exchange is the later one sees the other side.
 *  7. Wakes are made after the lock is left, from words that were copied under it.
 *  8. The last sender to close sets GONE in `sent` and clears PARKED by one compare-and-swap. All that
 *     was claimed is published by then: a receiver that sees GONE looks at the ring a last time.
 *  9. SPINNING: PARKED is never set; the receiver's loop looks at the ring and tx_notify in each tick.
 * 10. A receiver that shuts sets SHUT in `sent`: from then on no claim succeeds, so the number of values
 *     is final, and the receiver that has taken them all has reached the end. One that closes drops
 *     them; it waits for those that are claimed and not yet published.
 *
 * A grant is a number and not a place of its own: if it were, a sender that was woken and has not come
 * yet would hold back all that others have sent after it.
 *
 * Bounds: one locked instruction per send, two more when it wakes. A take is plain but for two stores.
 * The lock is held for a constant number of steps, and no wake is made under it.
 *
 * Not handled: a sender whose thread is stopped for ever between claim and publish holds back what
 * comes after it, its receiver polls, and a close of the receiver does not return. A poll that takes values and then blocks its thread until a
 * sender does something: see spsc.c. */
#include "../sys.h"
#include "chan.h"
#include "waker_slot.h"

#define PARKED NART__MPSC_PARKED
#define QUEUED NART__MPSC_QUEUED
#define GONE NART__MPSC_GONE
#define SHUT NART__MPSC_SHUT
#define PLACE NART__MPSC_PLACE

/* Wakes that are made at once. */
enum { WAKES = 16 };

static nart_tx *tx_of(nart__wait *w)
{
    return (nart_tx *)(void *)w; /* the wait is the first member */
}

/* ---- places ---- */

void nart__mpsc_init(nart__chan *c)
{
    nart__ring *r = &c->ring;
    size_t elem = NART__RING_ELEM(r->type);

    /* Relaxed: it is nobody else's yet. */
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

/* Values not taken, places claimed for them included. */
static uint64_t used(uint64_t sent, uint64_t taken)
{
    return sent / PLACE - taken;
}

/* ---- the lock ---- */

/* False in a child of fork: another thread of the parent's may have held the lock. */
static bool enter(nart__chan *c)
{
    if (NART_UNLIKELY(c->fork_epoch != nart__fork_epoch()))
        return false;
    nart__lock_enter(&c->lock);
    return true;
}

/* Places are claimed under the lock from here on. Only its holder changes the flag. Relaxed: a claim
 * that this one overtakes comes after it in the order of `sent`, and fails. */
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

/* Serves the queue, as far as there are places and room in `woken`: how many. */
static unsigned serve(nart__chan *c, uintptr_t woken[WAKES])
{
    nart__ring *r = &c->ring;
    nart__waitq *q = &c->senders_waiting;
    unsigned n = 0;

    do {
        /* Relaxed: whoever is granted a place reads it again, see claim_locked(). */
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
        /* Acquire: what the receiver had taken before its last exchange is seen by another look; if
         * 1 is still there, its next exchange is to come. */
    } while (n < WAKES && q->first && !NART__EXCHANGE(&r->tx_notify, (uintptr_t)1, NART__ACQUIRE));
    if (!q->first && c->reserved == 0)
        end_queue(r);
    return n;
}

/* Leaves the lock, with nothing left to grant. Whoever was granted a place may be gone already when
 * it is woken: so words are copied under the lock. */
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

/* Grants the places that were taken out since. Release: `taken` is stored before, see serve(). */
void nart__mpsc_settle(nart__rx_binding *h)
{
    nart__chan *c = nart__chan_at(h);

    if (NART__EXCHANGE(&c->ring.tx_notify, (uintptr_t)0, NART__RELEASE) && enter(c))
        leave(c);
}

/* ---- claiming and publishing ---- */

/* Claims up to n contiguous slots, and clears PARKED; *was: `sent` before. Their number; -EAGAIN: none is
 * free without the lock, QUEUED in *was says that one may be free for the holder of the lock;
 * NART_ECLOSED. The orders are those of nart__mpsc_push(), which is its plain case. */
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
            /* Acquire: the places up to there are free; and `sent` is not read older than that. */
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

/* The same under the lock, where no place is free that was reserved to others. */
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

/* Puts values into the places that were claimed. */
static inline void publish(nart__ring *r, uint64_t was, const void *values, uint64_t n)
{
    const unsigned char *value = (const unsigned char *)values;
    size_t elem = NART__RING_ELEM(r->type);

    for (uint64_t pos = was / PLACE, end = pos + n; pos < end; pos++, value += elem)
        nart__mpsc_put(r, nart__mpsc_place(r, pos, elem), pos, value, elem);
    if (NART_UNLIKELY(was & PARKED))
        nart__waker_slot_wake(&r->rx_notify);
}

/* Others wait, or did a moment ago. */
static NART__COLD nart_res claim_behind(nart_tx *tx, uint64_t n, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r;

    if (!enter(c))
        return NART_EFORK;
    r = c->senders_waiting.first ? -EAGAIN : claim_locked(tx, n, was);
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

/* ---- senders that wait ---- */

/* There was no place, so the sender queues. NART_PENDING; 0: there is one now, and it is claimed;
 * NART_ECLOSED, NART_EFORK. */
static nart_res queue_up(nart_tx *tx, nart_waker waker, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r;

    if (!enter(c))
        return NART_EFORK;
    begin_queue(tx->ring);
    r = c->senders_waiting.first ? -EAGAIN : claim_locked(tx, 1, was);
    if (r == -EAGAIN) { /* leave() looks again for SHUT */
        tx->waker = waker.w;
        tx->wait.state = NART__QUEUED;
        nart__q_push(&c->senders_waiting, &tx->wait);
        r = NART_PENDING;
    }
    leave(c);
    return r > 0 ? 0 : r;
}

/* Has the turn come? Answers as queue_up(); the wait is over unless NART_PENDING. */
static nart_res take_turn(nart_tx *tx, nart_waker waker, uint64_t *was)
{
    nart__chan *c = nart__chan_of(tx->ring);
    nart_res r = NART_PENDING;

    if (!enter(c))
        return NART_EFORK;
    if (tx->wait.state == NART__GRANTED) {
        c->reserved--;
        r = claim_locked(tx, 1, was) > 0 ? 0 : NART_ECLOSED; /* there is a place, unless SHUT */
    } else if (tx->wait.state == NART__CLOSED) {
        r = NART_ECLOSED;
    }
    tx->waker = waker.w; /* another driver's may change from poll to poll */
    leave(c);
    return r;
}

/* It waits no more, in the queue or with a grant. */
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

const struct nart__wait_ops nart__mpsc_tx_ops = { "send", tx_withdraw };

/* Begins to wait, or goes on. */
static nart_res wait_for_turn(nart_cx *cx, nart_tx *tx, const void *value)
{
    nart__wait *w = &tx->wait;
    uint64_t was = 0;
    bool begun;
    nart_res r;

    if (w->task) {
        r = take_turn(tx, nart_cx_waker(cx), &was);
        if (r == NART_PENDING) {
            r = nart__park_in(cx, w, &begun);
            return r == NART_PENDING ? nart__pending_outside(cx) : r;
        }
    } else {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        r = queue_up(tx, nart_cx_waker(cx), &was);
        if (r == NART_PENDING)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
        if (!w->task)
            return r;
    }
    nart__unwait(w);
    if (r == 0)
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
    r = w->task ? -EAGAIN : nart__mpsc_try_send(tx, value);
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

    nart__lock_enter(&c->lock); /* the thread is the one that has queued: no fork in between */
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

/* Up to n; how many. */
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
    nart_res r = nart__mpsc_try_recv(rx, values); /* the end, or a value that came just now */
    return r == 0 ? 1 : r;
}

nart_res nart__mpsc_try_recv(nart_rx *rx, void *value)
{
    nart__ring *r = rx->ring;
    size_t elem = NART__RING_ELEM(r->type);

    if (nart__mpsc_pop(rx, value, elem))
        return 0;
    /* Acquire: all that was published before GONE, and done: the end is an answer, too. */
    uint64_t sent = NART__LOAD(&r->sent, NART__ACQUIRE);
    if (NART_UNLIKELY(sent & (GONE | SHUT))) {
        if (sent / PLACE == rx->pos)
            return NART_ECLOSED; /* no place is claimed any more */
        return nart__mpsc_pop(rx, value, elem) ? 0 : -EAGAIN;
    }
    return -EAGAIN;
}

/* Both this side, which has just left its waker, and a sender's nart__waker_slot_wake() exchange. If the sender's
 * exchange is the earlier one, its claim is seen here; else it finds this waker, be it late with an
 * earlier wake or not. */
bool nart__mpsc_park(nart_rx *rx)
{
    nart__ring *r = rx->ring;

    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);
    do {
        if (sent / PLACE != rx->pos || sent & (GONE | SHUT))
            return false;
        /* Relaxed: it decides by the order of `sent` alone. */
    } while (!NART__CAS(&r->sent, &sent, sent | PARKED, NART__RELAXED, NART__RELAXED));
    return true;
}

static void rx_withdraw(nart__wait *w)
{
    nart__ring *r = ((nart_rx *)(void *)w)->ring;

    nart__chan_of(r)->binding.waits = NULL;
    nart__waker_slot_unregister(
        &r->rx_notify); /* PARKED may stay: the next claim then wakes nobody */
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
            return NART_EWRONGTHREAD; /* nobody would look */
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

/* Relaxed: the task's own look, later on this thread, sees no less. */
static bool receiver_has_cause(nart__ring *r)
{
    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);

    return sent & GONE || sent / PLACE != NART__LOAD(&r->taken, NART__RELAXED);
}

/* Once per look of the receiver's loop, while it is watched. Relaxed: see nart__rx_binding_look(). */
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

/* Relaxed: whoever clones holds a sender, so this is not the last one's business. */
void nart__mpsc_tx_cloned(nart__chan *c)
{
    (void)NART__FETCH_ADD(&c->open, 1u, NART__RELAXED);
}

bool nart__mpsc_tx_closed(nart__chan *c)
{
    nart__ring *r = &c->ring;

    /* Release: what this sender has published. Acquire, by the last one: what all have. */
    if (NART__FETCH_ADD(&c->open, UINT32_MAX, NART__ACQ_REL) != 1)
        return false;
    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED);
    /* Release: all that was published. */
    while (!NART__CAS(&r->sent, &sent, (sent & ~PARKED) | GONE, NART__RELEASE, NART__RELAXED))
        continue;
    if (sent & PARKED)
        nart__waker_slot_wake(&r->rx_notify);
    return true;
}

/* Relaxed: it decides by the order of `sent` alone. A sender that queues without having seen SHUT had the
 * lock before, and is found in the queue here. */
void nart__mpsc_shut(nart__chan *c, bool closed)
{
    (void)closed;
    (void)NART__FETCH_OR(&c->ring.sent, SHUT, NART__RELAXED);
    if (enter(c))
        leave(c);
}

/* A sender is between its two steps. One that has lost its processor to this thread gets it back. */
static void await_turn(nart__mpsc_turn *turn, uint64_t number)
{
    /* Acquire: all of the value. */
    for (unsigned n = 1; NART__LOAD(turn, NART__ACQUIRE) != number; n++) {
        nart__relax();
        if (n % 64 == 0)
            nart__sys_nap();
    }
}

/* In a child of fork the senders between their steps are not there; nobody owns their values. */
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
        NART__STORE(&r->taken, pos + 1, NART__RELAXED); /* for those who ask for the length */
        c->drop_value(place);
    }
    NART__STORE(&r->taken, end, NART__RELAXED);
}

/* ---- looking ---- */

/* Acquire: what was sent is not read older than what was taken. It may be newer: then the sum is
 * more than ever was. */
size_t nart__mpsc_len(nart__ring *r)
{
    uint64_t taken = NART__LOAD(&r->taken, NART__ACQUIRE);
    uint64_t n = used(NART__LOAD(&r->sent, NART__RELAXED), taken);

    return n <= r->mask ? n : r->mask + 1;
}

/* Relaxed, here and below: a moment's truth. What is looked at afterwards, a length or a value, reads the
 * same word, and not an older state of it. */
bool nart__mpsc_tx_gone(nart__ring *r)
{
    return (NART__LOAD(&r->sent, NART__RELAXED) & GONE) != 0;
}

bool nart__mpsc_is_shut(const nart__ring *r)
{
    return (NART__LOAD(&r->sent, NART__RELAXED) & SHUT) != 0;
}
