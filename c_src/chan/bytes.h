/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes.h: the shared state of a channel of bytes. It compiles as C++, too: see tests/models. */
#ifndef NART_CHAN_BYTES_H
#define NART_CHAN_BYTES_H

#include "../base/atomic.h"
#include "../base/lock.h"
#include "rx_binding.h"
#include "waker_slot.h"

#include <nart/bytes.h>

/* One block per channel, from the allocator of the runtime that opened it: this struct, then the words, the
 * ring, and its margin. The inlines access the first part; the rest is cold, and the receiver's fields do
 * not share a line with the senders'. */
typedef struct nart__bytes {
    NART__ALIGNAS(NART__RING_LINE) nart__bytes_ring ring;
    nart__rx_binding binding;                                      /* the receiver's */
    NART__ALIGNAS(NART__RING_LINE) NART__ATOMIC(uint32_t) senders; /* ends that are open */
    NART__ATOMIC(uint32_t) tx_gone;                                /* the last of them has closed */
    NART__ATOMIC(uint32_t) refs;                                   /* sides that are open */
    nart__lock lock;                                               /* protects `waiting` */
    nart__waitq waiting; /* mpsc: senders, in order of arrival */
    unsigned fork_epoch; /* of the process that opened it */
    bool clones;         /* senders may be cloned */
    size_t bytes;        /* of the whole block */
    nart_alloc alloc;
} nart__bytes;

static inline nart__bytes *nart__bytes_of(nart__bytes_ring *r)
{
    return (nart__bytes *)(void *)r; /* the ring is the first member */
}

static inline nart__bytes *nart__bytes_at(nart__rx_binding *h)
{
    return (nart__bytes *)(void *)((char *)h - offsetof(nart__bytes, binding));
}

/* Relaxed: it changes once, and a change only means that sending has become pointless. */
static inline bool nart__bytes_rx_gone(nart__bytes_ring *r)
{
    return NART__LOAD(&r->room, NART__RELAXED) == 0;
}

/* bytes_ring.c: everything that two threads do to a channel */
bool nart__bytes_tx_closed(nart_bytes_tx *tx);
void nart__bytes_rx_closed(nart__bytes_ring *r);
void nart__bytes_shut(nart__bytes_ring *r);
void nart__bytes_look(nart__tick_hook *w);
void nart__bytes_settle(nart__rx_binding *h);
/* For the sender whose waker is in tx_notify: the only one, or the first of those that wait. */
nart_res nart__bytes_claim_alone(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf);
/* Registers the waker, and checks once more. NART_PENDING: call it again, now or soon. */
nart_res nart__bytes_recv_armed(nart_bytes_rx *rx, nart_waker waker, nart_bytes_msg *msg);
size_t nart__bytes_len(nart__bytes_ring *r);
bool nart__bytes_tx_gone(nart__bytes_ring *r);
bool nart__bytes_last(nart__bytes *c);
extern const struct nart__wait_ops nart__bytes_tx_ops, nart__bytes_rx_ops;

/* bytes_queue.c: waiting senders of an MPSC channel */
bool nart__bytes_queue_join(nart_bytes_tx *tx);
bool nart__bytes_queue_first(nart_bytes_tx *tx, nart_waker waker);
void nart__bytes_queue_leave(nart_bytes_tx *tx);
bool nart__bytes_queue_give_up(nart_bytes_tx *tx);

#endif
