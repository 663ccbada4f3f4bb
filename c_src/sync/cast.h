/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cast.h: one sender and many receivers: what a watch and a broadcast share. See cast.c. */
#ifndef NART_SYNC_CAST_H
#define NART_SYNC_CAST_H

#include "../core/runtime.h"
#include "sync.h"

#include <nart/broadcast.h>
#include <string.h>

/* One block, from the allocator of the runtime that opened it: this, then the values. */
typedef struct nart__cast {
    NART__ALIGNAS(NART__LINE) uint64_t sent; /* values, ever; value i is at i & mask */
    uint64_t mask;
    size_t elem;
    nart__waitq queue; /* receivers that have seen all */
    uint32_t receivers;
    bool closed; /* the sender */
    size_t bytes;
    nart_alloc alloc;
} nart__cast;

static inline unsigned char *nart__cast_at(const nart__cast *c, uint64_t i)
{
    return (unsigned char *)(uintptr_t)(c + 1) + (i & c->mask) * c->elem;
}

/* A new block with a sender and a receiver. */
nart_res nart__cast_open(nart_rt *rt, size_t elem, size_t capacity, nart__cast **tx,
                         nart__cast_rx *rx);

nart_res nart__cast_send(nart__cast *c, const void *value);
nart_res nart__cast_subscribe(nart__cast *c, uint64_t pos, nart__cast_rx *out);

/* First line of an operation that waits. */
nart_res nart__cast_enter(nart_cx *cx, nart__cast_rx *rx);

/* Nothing is there: waits for the next value, or the sender's end. */
nart_res nart__cast_park(nart_cx *cx, nart__cast_rx *rx);

void nart__cast_tx_close(nart__cast **tx);
void nart__cast_rx_close(nart__cast_rx *rx);
void nart__cast_tx_move(nart__cast **dst, nart__cast **src);
void nart__cast_rx_move(nart__cast_rx *dst, nart__cast_rx *src);

#endif
