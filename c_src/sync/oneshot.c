/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oneshot.c: one value from one sender to one receiver.
 *
 * What it keeps true: the value is received, dropped, or still the sender's, exactly one of them; the
 * last end frees the block, once; no wake-up is lost.
 *
 * Ends that share a block: one word, EMPTY at first.
 *  1. The sender acts once: it writes the value and exchanges SENT into the word, or it exchanges
 *     DROPPED. If the old word is a waker, it wakes it. If the old word is GONE, the block is the
 *     sender's alone: it frees it, and the value that was not sent stays its caller's. In all other
 *     cases it does not touch the block again.
 *  2. A receiver that waits exchanges its waker into the word; one that closes exchanges GONE. If it
 *     finds SENT or DROPPED, the block is the receiver's alone, and it frees it.
 *  The waker of a wait that has ended stays in the word: it costs at most one spurious poll.
 *  3. A thread that waits does the same with the waker of its thread_parker, which has to be called or taken
 *     back: it compares-and-swaps EMPTY for it. If the word is not the waker any more, the sender calls that.
 *
 * Linked ends hold each other's address and belong to one thread: plain memory. Only they use the fields
 * `rx` and `tx` (the other end, while it is open), `slot` (receives the value) and `sent` (it has).
 *
 * This file compiles as C++, too: see tests/models. */
#include "oneshot.h"
#include "../base/thread_parker.h"
#include "../core/runtime.h"

#include <string.h>

/* Values of the word that are not wakers. */
enum { EMPTY, SENT, DROPPED, GONE };

/* The value follows. */
typedef struct nart__oneshot {
    NART__ALIGNAS(NART__LINE) NART__ATOMIC(uintptr_t) word;
    size_t size;
    void (*drop_value)(void *value);
    nart_alloc alloc;
} nart__oneshot;

static void *value_of(nart__oneshot *o)
{
    return o + 1;
}

static void copy(void *to, const void *from, size_t size)
{
    if (size > 0 && to != from)
        memcpy(to, from, size);
}

/* ---- ends that share a block ---- */

static void block_free(nart__oneshot *o)
{
    nart_alloc a = o->alloc;
    nart__free(&a, o, sizeof *o + o->size, NART__LINE);
}

/* The sender's one act. False: the receiver has closed, and the block is the caller's. */
static bool finish(nart__oneshot *o, uintptr_t how)
{
    nart_waker w;

    /* Release: the value. Acquire: the memory behind the waker, and what a receiver did before it
     * closed. */
    w.w = NART__EXCHANGE(&o->word, how, NART__ACQ_REL);
    if (w.w == GONE)
        return false;
    if (w.w != EMPTY)
        nart_waker_wake(w);
    return true;
}

/* The receiver's answer to the word it found. An answer frees the block. */
static nart_res look_at(nart_oneshot_rx *rx, uintptr_t word, void *value)
{
    nart__oneshot *o = rx->shared;

    if (word != SENT && word != DROPPED)
        return -EAGAIN;
    rx->shared = NULL;
    if (word == SENT)
        copy(value, value_of(o), o->size);
    block_free(o);
    return word == SENT ? 0 : NART_ECLOSED;
}

static nart_res leave_waker(nart_cx *cx, nart_oneshot_rx *rx, void *value)
{
    nart__oneshot *o = rx->shared;
    uintptr_t waker = nart_cx_waker(cx).w;

    if (NART__LOAD(&o->word, NART__RELAXED) == waker) /* registered by an earlier poll */
        return -EAGAIN;
    /* Release: the memory behind the waker. Acquire: the value, and what else the sender did. */
    return look_at(rx, NART__EXCHANGE(&o->word, waker, NART__ACQ_REL), value);
}

static void leave_block(nart__oneshot *o)
{
    /* Release: what this side did happens before a sender frees the block. Acquire: as above. */
    uintptr_t word = NART__EXCHANGE(&o->word, (uintptr_t)GONE, NART__ACQ_REL);

    if (word != SENT && word != DROPPED)
        return;
    if (word == SENT && o->drop_value)
        o->drop_value(value_of(o));
    block_free(o);
}

/* ---- opening ---- */

static nart_res open_begin(nart_oneshot_tx *tx, nart_oneshot_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    return 0;
}

nart_res nart__oneshot_open(const nart_alloc *a, size_t size, void (*drop_value)(void *value),
                            nart_oneshot_tx *tx, nart_oneshot_rx *rx)
{
    nart__oneshot *o = (nart__oneshot *)nart__alloc(a, sizeof(nart__oneshot) + size, NART__LINE);
    (void)open_begin(tx, rx);
    if (!o)
        return -ENOMEM;
    NART__STORE(&o->word, (uintptr_t)EMPTY, NART__RELAXED); /* nobody else has it yet */
    o->size = size;
    o->drop_value = drop_value;
    o->alloc = *a;
    tx->shared = rx->shared = o;
    return 0;
}

nart_res nart_oneshot_open(nart_rt *rt, size_t size, void (*drop_value)(void *value),
                           nart_oneshot_tx *tx, nart_oneshot_rx *rx)
{
    nart_res r = open_begin(tx, rx);
    if (r == 0)
        r = nart__rt_check(rt);
    if (r)
        return r;
    if (size > NART_ONESHOT_MAX_SIZE)
        return -EOVERFLOW;
    return nart__oneshot_open(&rt->alloc, size, drop_value, tx, rx);
}

nart_res nart_oneshot_link(void *slot, size_t size, void (*drop_value)(void *value),
                           nart_oneshot_tx *tx, nart_oneshot_rx *rx)
{
    nart_res r = open_begin(tx, rx);
    if (r || (!slot && size > 0))
        return -EINVAL;
    tx->rx = rx;
    rx->tx = tx;
    rx->slot = slot;
    rx->size = size;
    rx->drop_value = drop_value;
    return 0;
}

/* ---- sending ---- */

/* The sender of linked ends has sent or closed. */
static void unlink_tx(nart_oneshot_tx *tx)
{
    nart_oneshot_rx *rx = tx->rx;

    tx->rx = NULL;
    rx->tx = NULL;
    if (rx->wait.task)
        nart__ready(rx->wait.task);
}

nart_res nart_oneshot_send(nart_oneshot_tx *tx, const void *value)
{
    nart__oneshot *o = tx->shared;

    if (tx->rx) {
        copy(tx->rx->slot, value, tx->rx->size);
        tx->rx->sent = 1;
        unlink_tx(tx);
        return 0;
    }
    if (!o)
        return NART_ECLOSED;
    tx->shared = NULL;
    copy(value_of(o), value, o->size);
    if (finish(o, SENT))
        return 0;
    block_free(o);
    return NART_ECLOSED;
}

bool nart_oneshot_tx_is_closed(const nart_oneshot_tx *tx)
{
    if (!tx->shared)
        return !tx->rx;
    return NART__LOAD(&tx->shared->word, NART__RELAXED) == GONE; /* relaxed: only a hint */
}

/* ---- receiving ---- */

static nart_res look(nart_oneshot_rx *rx, void *value)
{
    if (rx->shared) /* Acquire: the value. */
        return look_at(rx, NART__LOAD(&rx->shared->word, NART__ACQUIRE), value);
    if (rx->tx)
        return -EAGAIN;
    if (!rx->sent)
        return NART_ECLOSED;
    rx->sent = 0;
    copy(value, rx->slot, rx->size);
    return 0;
}

static void recv_withdraw(nart__wait *w)
{
    (void)w; /* the waker stays in the word, and linked ends read the wait itself */
}

static const struct nart__wait_ops recv_ops = { "oneshot", recv_withdraw };

nart_res nart_oneshot_recv(nart_cx *cx, nart_oneshot_rx *rx, void *value)
{
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__enter(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(w->task && w->task != cx->self))
        return -EBUSY;
    r = look(rx, value);
    if (r == -EAGAIN) {
        if (NART_UNLIKELY(!rx->shared && nart__cx_moves_alone(cx)))
            return NART_EDRIVER;
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        w->ops = &recv_ops;
        r = rx->shared ? leave_waker(cx, rx, value) : -EAGAIN;
        if (r == -EAGAIN)
            return rx->shared ? nart__pending_outside(cx) : NART_PENDING;
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__unwait(w);
    return r;
}

nart_res nart_oneshot_try_recv(nart_oneshot_rx *rx, void *value)
{
    nart_res r = look(rx, value);
    if (r != -EAGAIN)
        nart__interrupt(&rx->wait); /* a task that waits here finds it closed */
    return r;
}

/* The thread has found nothing: waits until the sender has finished, or the deadline has passed. */
static nart_res recv_parked(nart_oneshot_rx *rx, void *value, thread_parker *s)
{
    nart__oneshot *o = rx->shared;
    const uintptr_t waker = nart_waker_of(&s->wakeable).w;

    /* Release: *s. Acquire: the value, and what else the sender did. */
    uintptr_t word = NART__EXCHANGE(&o->word, waker, NART__ACQ_REL);
    nart_res r = look_at(rx, word, value);
    if (r != -EAGAIN)
        return r;
    thread_parker_park(s);
    word = waker;
    /* Both relaxed: what the sender did is acquired from its call. */
    if (NART__CAS(&o->word, &word, (uintptr_t)EMPTY, NART__RELAXED, NART__RELAXED))
        return -ETIMEDOUT;
    thread_parker_await_call(s);
    return look_at(rx, word, value);
}

nart_res nart_oneshot_recv_blocking(nart_oneshot_rx *rx, void *value, int64_t timeout_ns)
{
    thread_parker s;

    if (rx->wait.task)
        return -EBUSY;
    nart_res r = look(rx, value);
    if (r != -EAGAIN)
        return r;
    if (!rx->shared)
        return -EINVAL;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    thread_parker_init(&s, timeout_ns);
    return recv_parked(rx, value, &s);
}

/* ---- closing and moving ---- */

void nart_oneshot_tx_close(nart_oneshot_tx *tx)
{
    if (!tx)
        return;
    nart__oneshot *o = tx->shared;
    tx->shared = NULL;
    if (tx->rx)
        unlink_tx(tx);
    else if (o && !finish(o, DROPPED))
        block_free(o);
}

void nart_oneshot_rx_close(nart_oneshot_rx *rx)
{
    if (!rx)
        return;
    nart__interrupt(&rx->wait);
    nart_oneshot_rx old = *rx;
    memset(rx, 0, sizeof *rx);
    if (old.shared)
        leave_block(old.shared);
    else if (old.tx)
        old.tx->rx = NULL;
    else if (old.sent && old.drop_value)
        old.drop_value(old.slot);
}

void nart_oneshot_tx_move(nart_oneshot_tx *dst, nart_oneshot_tx *src)
{
    if (dst == src)
        return;
    *dst = *src;
    memset(src, 0, sizeof *src);
    if (dst->rx)
        dst->rx->tx = dst;
}

void nart_oneshot_rx_move(nart_oneshot_rx *dst, nart_oneshot_rx *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
    if (dst->tx)
        dst->tx->rx = dst;
}
