/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan.h: what stands behind the ends of a channel. It compiles as C++, too: see tests/models. */
#ifndef NART_CHAN_CHAN_H
#define NART_CHAN_CHAN_H

#include "../base/atomic.h"
#include "../core/runtime.h"

#include <nart/chan.h>

/* One block per channel, from the allocator of the runtime that opened it: this, then the values.
 * The ring is what the inlines see; the rest is cold. Values begin on a line of their own, so they
 * are aligned for any type, and the receiver's cold fields are not in the sender's way. */
typedef struct nart__chan {
    NART__ALIGNAS(NART__RING_LINE) nart__ring ring;
    nart_rt *rt;                 /* the receiver's; NULL: it belongs to none, or that has gone */
    nart__wait *rx_wait;         /* where the receiver waits */
    nart__waitq senders_waiting; /* local */
    uint32_t senders;            /* local: sending ends that are open */
    bool rx_closed;              /* local */
    NART__ATOMIC(uint32_t) refs; /* sides that are open */
    nart__guest guest;           /* in rt's list while rt is set */
    nart__watch watch;           /* spsc: in rt's list while the sender must be looked at */
    size_t bytes;                /* of the whole block */
    void (*drop_value)(void *value);
    nart_alloc alloc;
} nart__chan;

static inline nart__chan *nart__chan_of(nart__ring *r)
{
    return (nart__chan *)(void *)r; /* the ring is the first member */
}

static inline bool nart__ring_spsc(const nart__ring *r)
{
    return (r->type & 0xf) == NART_CHAN_SPSC;
}

/* SPSC. Relaxed: see nart__push(). */
static inline bool nart__ring_rx_gone(const nart__ring *r)
{
    return NART__LOAD(&r->room, NART__RELAXED) == 0;
}

static inline bool nart__ring_spinning(const nart__ring *r)
{
    return r->type & NART__RING_TYPE(0, NART_CHAN_SPINNING, 0);
}

/* Is this the context of the loop that the receiver belongs to? */
static inline bool nart__chan_on(const nart__chan *c, const nart_cx *cx)
{
    return (const void *)c->rt == (const void *)cx; /* a runtime's first member is its context */
}

/* local.c */
nart_res nart__local_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__local_try_send(nart_tx *tx, const void *value);
nart_res nart__local_try_recv(nart_rx *rx, void *value);
nart_res nart__local_recv(nart_cx *cx, nart_rx *rx, void *value);
void nart__local_tx_closed(nart__chan *c);
void nart__local_rx_closed(nart__chan *c);
extern const struct nart__wait_ops nart__local_tx_ops, nart__local_rx_ops;

/* spsc.c, where all is that two threads do to a channel */
nart_res nart__spsc_send(nart_cx *cx, nart_tx *tx, const void *value);
nart_res nart__spsc_try_send(nart_tx *tx, const void *value);
nart_res nart__spsc_recv(nart_cx *cx, nart_rx *rx, void *value);
nart_res nart__spsc_try_recv(nart_rx *rx, void *value);
void nart__spsc_tx_closed(nart__ring *r);
void nart__spsc_rx_closed(nart__ring *r);
void nart__spsc_look(nart__watch *w);
size_t nart__spsc_len(nart__ring *r);
bool nart__spsc_tx_gone(nart__ring *r);
bool nart__chan_last(nart__chan *c);
extern const struct nart__wait_ops nart__spsc_tx_ops, nart__spsc_rx_ops;

#endif
