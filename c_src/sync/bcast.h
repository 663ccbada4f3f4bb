/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bcast.h: one sender, many receivers: shared by watch.c and broadcast.c. See bcast.c. */
#ifndef NART_SYNC_BCAST_H
#define NART_SYNC_BCAST_H

#include "../core/runtime.h"
#include "sync.h"

#include <nart/broadcast.h>
#include <string.h>

/* The header of a block from the runtime's allocator; the values follow it. */
typedef struct nart__bcast {
    NART__ALIGNAS(NART__LINE) uint64_t sent; /* values sent so far; value i is at i & mask */
    uint64_t mask;
    size_t elem;
    nart__waitq queue; /* receivers that have read everything */
    uint32_t receivers;
    bool closed; /* by the sender */
    size_t bytes;
    nart_alloc alloc;
} nart__bcast;

static inline unsigned char *nart__bcast_at(const nart__bcast *c, uint64_t i)
{
    return (unsigned char *)(uintptr_t)(c + 1) + (i & c->mask) * c->elem;
}

/* A new block with a sender and a receiver. */
nart_res nart__bcast_open(nart_rt *rt, size_t elem, size_t capacity, nart__bcast **tx,
                          nart__bcast_rx *rx);

nart_res nart__bcast_send(nart__bcast *c, const void *value);
nart_res nart__bcast_subscribe(nart__bcast *c, uint64_t pos, nart__bcast_rx *out);

/* Begins an operation that may wait. */
nart_res nart__bcast_enter(nart_cx *cx, nart__bcast_rx *rx);

/* Parks until the next value, or until the sender closes. */
nart_res nart__bcast_park(nart_cx *cx, nart__bcast_rx *rx);

void nart__bcast_tx_close(nart__bcast **tx);
void nart__bcast_rx_close(nart__bcast_rx *rx);
void nart__bcast_tx_move(nart__bcast **dst, nart__bcast **src);
void nart__bcast_rx_move(nart__bcast_rx *dst, nart__bcast_rx *src);

#endif
