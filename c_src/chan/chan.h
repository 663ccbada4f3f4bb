/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan.h: the inside of a channel of values. It compiles as C++, too: see tests/models.
 *
 * There are three kinds: local.c, spsc.c, mpsc.c. Sends and receives of one value choose the kind by
 * comparisons that the compiler sees (chan.c and the inline functions of the public header). Every other
 * operation is called by the kind's table, nart__chan_kinds[]. */
#ifndef NART_CHAN_CHAN_H
#define NART_CHAN_CHAN_H

#include "../base/atomic.h"
#include "../base/lock.h"
#include "rx_binding.h"

#include <nart/chan.h>

/* One block per channel, from the allocator of the runtime that opened it: this, then the values.
 * The inline functions see only the ring; the rest is cold. Values begin on a cache line of their own, so
 * they are aligned for any type and share no line with the receiver's cold fields. */
typedef struct nart__chan {
    NART__ALIGNAS(NART__RING_LINE) nart__ring ring;
    nart__rx_binding binding;    /* the receiver's */
    nart__lock lock;             /* mpsc: guards the next two */
    nart__waitq senders_waiting; /* local, mpsc */
    uint32_t reserved;           /* mpsc: slots granted to senders that have not used them yet */
    bool shut;                   /* local: the receiver accepts no more values */
    bool rendezvous;             /* local: its capacity is 0 */
    uint32_t senders;            /* local: sending ends that are open */
    NART__ATOMIC(uint32_t) open; /* mpsc: likewise */
    NART__ATOMIC(uint32_t) refs; /* sides that are open */
    unsigned fork_epoch;         /* mpsc: of the process that may take the lock */
    size_t bytes;                /* of the whole block */
    void (*drop_value)(void *value);
    nart_alloc alloc;
} nart__chan;

static inline nart__chan *nart__chan_of(nart__ring *r)
{
    return (nart__chan *)(void *)r; /* the ring is the first member */
}

static inline unsigned nart__ring_kind(const nart__ring *r)
{
    return (unsigned)(r->type & 0xf);
}

static inline bool nart__ring_spinning(const nart__ring *r)
{
    return r->type & NART__RING_TYPE(0, NART_CHAN_SPINNING, 0);
}

/* A side has closed. True for the last one: it sees all accesses of the other side, and frees. */
static inline bool nart__chan_last(nart__chan *c)
{
    /* Release: this side's accesses. Acquire: the other side's. */
    return NART__FETCH_ADD(&c->refs, UINT32_MAX, NART__ACQ_REL) == 1;
}

/* Values of one word, the most frequent size, are copied without a call. */
static inline void nart__value_copy(void *to, const void *from, size_t elem)
{
    if (elem == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else
        memcpy(to, from, elem);
}

/* Copies values between the ring and an array. They are contiguous in the ring except at its end. Not for
 * an MPSC ring. */
static inline void nart__values_in(nart__ring *r, uint64_t pos, const void *values, size_t n)
{
    size_t elem = NART__RING_ELEM(r->type), at = (size_t)(pos & r->mask);
    size_t first = (size_t)(r->mask + 1) - at;

    if (first > n)
        first = n;
    memcpy(r->buf + at * elem, values, first * elem);
    memcpy(r->buf, (const unsigned char *)values + first * elem, (n - first) * elem);
}

static inline void nart__values_out(nart__ring *r, uint64_t pos, void *values, size_t n)
{
    size_t elem = NART__RING_ELEM(r->type), at = (size_t)(pos & r->mask);
    size_t first = (size_t)(r->mask + 1) - at;

    if (first > n)
        first = n;
    memcpy(values, r->buf + at * elem, first * elem);
    memcpy((unsigned char *)values + first * elem, r->buf, (n - first) * elem);
}

/* Drops the value at this position, which nobody receives. Not for an MPSC ring: senders may claim it. */
static inline void nart__value_drop(nart__chan *c, uint64_t pos)
{
    const nart__ring *r = &c->ring;

    if (c->drop_value)
        c->drop_value(r->buf + (pos & r->mask) * r->stride);
}

static inline nart__chan *nart__chan_at(nart__rx_binding *h)
{
    return (nart__chan *)(void *)((char *)h - offsetof(nart__chan, binding));
}

/* Gives an answer that does not depend on the channel's state. Like any answer it ends the wait. */
static inline nart_res nart__chan_answer(nart_cx *cx, nart__wait *w, nart_res answer)
{
    if (w->task && w->task == cx->self)
        nart__withdraw(w);
    return answer;
}

/* SPSC: the receiver has shut and received the last value. Then its handle has no kind, so that no inline
 * function reads the ring, from which the sender may be taking a value back. */
static inline bool nart__rx_drained(const nart_rx *rx)
{
    return rx->ring && (rx->type & 0xf) == 0;
}

static inline void nart__rx_set_drained(nart_rx *rx)
{
    rx->type = NART__RING_TYPE(0, 0, NART__RING_ELEM(rx->type));
}

/* Has this end a slot that it has reserved? Then its wait is idle, and GRANTED. SPSC: never, see
 * nart__spsc_try_reserve(). */
static inline bool nart__tx_reserved(const nart_tx *tx)
{
    return !tx->wait.task && tx->wait.state == NART__GRANTED;
}

/* The wait of a sender has ended: 0, it was for a slot (`value` is NULL), which it keeps. */
static inline nart_res nart__tx_unwait(nart_tx *tx, const void *value, nart_res r)
{
    nart__unwait(&tx->wait);
    if (r == 0 && !value)
        tx->wait.state = NART__GRANTED;
    return r;
}

/* The operations of a kind that are not hot. */
typedef struct nart__chan_kind {
    const struct nart__wait_ops *tx_ops, *rx_ops;
    /* `value` is NULL: waits for a slot and keeps it. */
    nart_res (*awaited_send)(nart_cx *cx, nart_tx *tx, const void *value);
    nart_res (*try_reserve)(nart_tx *tx);
    void (*unreserve)(nart_tx *tx); /* NULL: nothing was reserved */
    /* Opening: bytes between values in the ring; the kind's own part of a new channel, or NULL. */
    size_t (*stride)(size_t elem);
    void (*init)(nart__chan *c);
    void (*finish)(nart__chan *c); /* before the block is freed, or NULL */
    /* The receiver's loop, see rx_binding.h. NULL: all ends belong to one loop. */
    void (*look)(nart__tick_hook *w);
    void (*settle)(nart__rx_binding *h);
    /* Up to n values, n > 0: how many, -EAGAIN or NART_ECLOSED. */
    nart_res (*try_send_many)(nart_tx *tx, const void *values, size_t n);
    nart_res (*try_recv_many)(nart_rx *rx, void *values, size_t n);
    void (*tx_cloned)(nart__chan *c); /* NULL: there is one sender */
    bool (*tx_closed)(nart__chan *c); /* true: it was the last one, and the receiver was woken */
    /* The receiver accepts no more values. `closed`: it does not receive either, and drop() follows. */
    void (*shut)(nart__chan *c, bool closed);
    /* Drops the values that were sent and not received. `pos`: the receiver's. */
    void (*drop)(nart__chan *c, uint64_t pos);
    size_t (*len)(nart__ring *r);
    bool (*is_shut)(const nart__ring *r); /* the receiver has shut or closed */
    bool (*tx_gone)(nart__ring *r);       /* every sender has closed */
} nart__chan_kind;

extern const nart__chan_kind nart__chan_kinds[];

static inline const nart__chan_kind *nart__chan_kind_of(const nart__ring *r)
{
    return &nart__chan_kinds[nart__ring_kind(r)];
}

/* ---- local.c ---- */

nart_res nart__local_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__local_try_send(nart_tx *tx, const void *value);
nart_res nart__local_recv(nart_cx *cx, nart_rx *rx, void *value);
nart_res nart__local_try_recv(nart_rx *rx, void *value);
nart_res nart__local_try_reserve(nart_tx *tx);
void nart__local_unreserve(nart_tx *tx);
nart_res nart__local_try_send_many(nart_tx *tx, const void *values, size_t n);
nart_res nart__local_try_recv_many(nart_rx *rx, void *values, size_t n);
void nart__local_tx_cloned(nart__chan *c);
bool nart__local_tx_closed(nart__chan *c);
void nart__local_shut(nart__chan *c, bool closed);
void nart__local_drop(nart__chan *c, uint64_t pos);
size_t nart__local_len(nart__ring *r);
bool nart__local_is_shut(const nart__ring *r);
bool nart__local_tx_gone(nart__ring *r);
extern const struct nart__wait_ops nart__local_tx_ops, nart__local_rx_ops;

/* ---- spsc.c ---- */

nart_res nart__spsc_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__spsc_try_send(nart_tx *tx, const void *value);
nart_res nart__spsc_recv(nart_cx *cx, nart_rx *rx, void *value);
nart_res nart__spsc_try_recv(nart_rx *rx, void *value);
nart_res nart__spsc_try_reserve(nart_tx *tx);
nart_res nart__spsc_try_send_many(nart_tx *tx, const void *values, size_t n);
nart_res nart__spsc_try_recv_many(nart_rx *rx, void *values, size_t n);
bool nart__spsc_tx_closed(nart__chan *c);
void nart__spsc_shut(nart__chan *c, bool closed);
void nart__spsc_drop(nart__chan *c, uint64_t pos);
void nart__spsc_look(nart__tick_hook *w);
void nart__spsc_settle(nart__rx_binding *h);
size_t nart__spsc_len(nart__ring *r);
bool nart__spsc_is_shut(const nart__ring *r);
bool nart__spsc_tx_gone(nart__ring *r);
extern const struct nart__wait_ops nart__spsc_tx_ops, nart__spsc_rx_ops;

/* ---- mpsc.c ---- */

nart_res nart__mpsc_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__mpsc_try_send(nart_tx *tx, const void *value);
nart_res nart__mpsc_recv(nart_cx *cx, nart_rx *rx, void *value);
nart_res nart__mpsc_try_recv(nart_rx *rx, void *value);
nart_res nart__mpsc_try_reserve(nart_tx *tx);
void nart__mpsc_unreserve(nart_tx *tx);
nart_res nart__mpsc_try_send_many(nart_tx *tx, const void *values, size_t n);
nart_res nart__mpsc_try_recv_many(nart_rx *rx, void *values, size_t n);
/* For a thread: sends at once (0), or queues (NART_PENDING: `waker` is called when another thread removes
 * it from the queue), or NART_ECLOSED, NART_EFORK. */
nart_res nart__mpsc_queue(nart_tx *tx, const void *value, nart_waker waker);
/* Ends that. 0: it was granted a slot, and the value is sent; NART_ECLOSED; -ETIMEDOUT: it was still
 * queued, and `waker` is not called. */
nart_res nart__mpsc_unqueue(nart_tx *tx, const void *value);
/* The receiver has registered its waker. True: the next claim, or the end, wakes it. False: a value was
 * claimed, or the end is there, already. */
bool nart__mpsc_park(nart_rx *rx);
void nart__mpsc_init(nart__chan *c); /* ring.stride is set */
void nart__mpsc_finish(nart__chan *c);
void nart__mpsc_tx_cloned(nart__chan *c);
bool nart__mpsc_tx_closed(nart__chan *c);
void nart__mpsc_shut(nart__chan *c, bool closed);
void nart__mpsc_drop(nart__chan *c, uint64_t pos);
void nart__mpsc_look(nart__tick_hook *w);
void nart__mpsc_settle(nart__rx_binding *h);
size_t nart__mpsc_len(nart__ring *r);
bool nart__mpsc_is_shut(const nart__ring *r);
bool nart__mpsc_tx_gone(nart__ring *r);
extern const struct nart__wait_ops nart__mpsc_tx_ops, nart__mpsc_rx_ops;

#endif
