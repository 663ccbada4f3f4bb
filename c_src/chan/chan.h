/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan.h: what stands behind the ends of a channel. It compiles as C++, too: see tests/models. */
#ifndef NART_CHAN_CHAN_H
#define NART_CHAN_CHAN_H

#include "../base/atomic.h"
#include "../base/lock.h"
#include "rx_binding.h"

#include <nart/chan.h>

/* One block per channel, from the allocator of the runtime that opened it: this, then the values.
 * The ring is what the inlines see; the rest is cold. Values begin on a line of their own, so they
 * are aligned for any type, and the receiver's cold fields are not in the senders' way. */
typedef struct nart__chan {
    NART__ALIGNAS(NART__RING_LINE) nart__ring ring;
    nart__rx_binding binding;    /* the receiver's */
    nart__lock lock;             /* mpsc: over the next three */
    nart__waitq senders_waiting; /* local, mpsc */
    uint32_t reserved;           /* mpsc: places granted to senders that have not come yet */
    bool shut;                   /* local: the receiver refuses */
    uint32_t senders;            /* local: sending ends that are open */
    NART__ATOMIC(uint32_t) open; /* mpsc: the same */
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

/* A side has closed. True for the last one, which frees: it sees all that the other has done. */
static inline bool nart__chan_last(nart__chan *c)
{
    /* Release: for the other side. Acquire: of the other side. */
    return NART__FETCH_ADD(&c->refs, UINT32_MAX, NART__ACQ_REL) == 1;
}

/* Values of a word, the most frequent ones, are copied without a call. */
static inline void nart__value_copy(void *to, const void *from, size_t elem)
{
    if (elem == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else
        memcpy(to, from, elem);
}

/* Values that are contiguous outside, and in the ring but for its end. Not in an MPSC ring. */
static inline void nart__values_in(nart__ring *r, uint64_t pos, const void *values, size_t n)
{
    size_t elem = NART__RING_ELEM(r->type), at = pos & r->mask, first = r->mask + 1 - at;

    if (first > n)
        first = n;
    memcpy(r->buf + at * elem, values, first * elem);
    memcpy(r->buf, (const unsigned char *)values + first * elem, (n - first) * elem);
}

static inline void nart__values_out(nart__ring *r, uint64_t pos, void *values, size_t n)
{
    size_t elem = NART__RING_ELEM(r->type), at = pos & r->mask, first = r->mask + 1 - at;

    if (first > n)
        first = n;
    memcpy(values, r->buf + at * elem, first * elem);
    memcpy((unsigned char *)values + first * elem, r->buf, (n - first) * elem);
}

/* The value at this position will not be received. Not in an MPSC ring of which senders claim. */
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

/* An answer that does not depend on the channel's state. It ends the wait, like any other. */
static inline nart_res nart__chan_answer(nart_cx *cx, nart__wait *w, nart_res answer)
{
    if (w->task && w->task == cx->self)
        nart__withdraw(w);
    return answer;
}

/* SPSC: the receiver has shut and found the last value. Its handle is of no kind then, so that no inline
 * form looks at the ring, where the sender may be taking a value back. */
static inline bool nart__rx_drained(const nart_rx *rx)
{
    return rx->ring && (rx->type & 0xf) == 0;
}

static inline void nart__rx_set_drained(nart_rx *rx)
{
    rx->type = NART__RING_TYPE(0, 0, NART__RING_ELEM(rx->type));
}

/* local.c */
nart_res nart__local_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__local_try_send(nart_tx *tx, const void *value);
nart_res nart__local_try_recv(nart_rx *rx, void *value);
nart_res nart__local_try_send_many(nart_tx *tx, const void *values, size_t n);
nart_res nart__local_try_recv_many(nart_rx *rx, void *values, size_t n);
nart_res nart__local_recv(nart_cx *cx, nart_rx *rx, void *value);
/* True: it was the last one, and the receiver has been told. */
bool nart__local_tx_closed(nart__chan *c);
void nart__local_shut(nart__chan *c);
void nart__local_drop(nart__chan *c);
extern const struct nart__wait_ops nart__local_tx_ops, nart__local_rx_ops;

/* spsc.c */
nart_res nart__spsc_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__spsc_try_send(nart_tx *tx, const void *value);
nart_res nart__spsc_recv(nart_cx *cx, nart_rx *rx, void *value);
nart_res nart__spsc_try_recv(nart_rx *rx, void *value);
nart_res nart__spsc_try_send_many(nart_tx *tx, const void *values, size_t n);
nart_res nart__spsc_try_recv_many(nart_rx *rx, void *values, size_t n);
void nart__spsc_tx_closed(nart__ring *r);
/* The receiver refuses. A closed one does not look again: nart__spsc_drop() is to come. */
void nart__spsc_shut(nart__chan *c, bool closed);
/* Drops what is left from `pos` on, the receiver's, and is not the sender's again. */
void nart__spsc_drop(nart__chan *c, uint64_t pos);
bool nart__spsc_is_shut(const nart__ring *r);
void nart__spsc_look(nart__tick_hook *w);
void nart__spsc_settle(nart__rx_binding *h);
size_t nart__spsc_len(nart__ring *r);
bool nart__spsc_tx_gone(nart__ring *r);
extern const struct nart__wait_ops nart__spsc_tx_ops, nart__spsc_rx_ops;

/* mpsc.c */
nart_res nart__mpsc_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__mpsc_try_send(nart_tx *tx, const void *value);
nart_res nart__mpsc_recv(nart_cx *cx, nart_rx *rx, void *value);
nart_res nart__mpsc_try_recv(nart_rx *rx, void *value);
nart_res nart__mpsc_try_send_many(nart_tx *tx, const void *values, size_t n);
nart_res nart__mpsc_try_recv_many(nart_rx *rx, void *values, size_t n);
/* A thread that is no task: a place at once (0), in the queue (NART_PENDING: `waker` is called when it is
 * taken out of it by others), or NART_ECLOSED, NART_EFORK. */
nart_res nart__mpsc_queue(nart_tx *tx, const void *value, nart_waker waker);
/* Ends that: 0 its turn had come, and the value is sent; NART_ECLOSED; -ETIMEDOUT: it was still in the
 * queue, and nobody calls. */
nart_res nart__mpsc_unqueue(nart_tx *tx, const void *value);
/* The receiver has left its waker. True: the next claim, or the end, wakes. False: it has been. */
bool nart__mpsc_park(nart_rx *rx);
/* One sender more. */
void nart__mpsc_cloned(nart__chan *c);
/* True: it was the last one, and the receiver has been told. */
bool nart__mpsc_tx_closed(nart__chan *c);
void nart__mpsc_shut(nart__chan *c);
/* Drops what is left, and what is being sent. */
void nart__mpsc_drop(nart__chan *c);
bool nart__mpsc_is_shut(const nart__ring *r);
void nart__mpsc_look(nart__tick_hook *w);
void nart__mpsc_settle(nart__rx_binding *h);
size_t nart__mpsc_len(nart__ring *r);
bool nart__mpsc_tx_gone(nart__ring *r);
/* A new channel, with ring.stride set. */
void nart__mpsc_init(nart__chan *c);
void nart__mpsc_finish(nart__chan *c);
extern const struct nart__wait_ops nart__mpsc_tx_ops, nart__mpsc_rx_ops;

#endif
