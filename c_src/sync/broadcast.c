/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* broadcast.c: every value to every receiver, unless the ring has overwritten it. See bcast.c. */
#include "bcast.h"

nart_res nart_broadcast_open(nart_rt *rt, size_t elem, size_t capacity, nart_broadcast_tx *tx,
                             nart_broadcast_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    return nart__bcast_open(rt, elem, capacity, &tx->bcast, &rx->in);
}

nart_res nart_broadcast_send(nart_broadcast_tx *tx, const void *value)
{
    return nart__bcast_send(tx->bcast, value);
}

nart_res nart_broadcast_subscribe(const nart_broadcast_tx *tx, nart_broadcast_rx *out)
{
    return nart__bcast_subscribe(tx->bcast, tx->bcast ? tx->bcast->sent : 0, &out->in);
}

nart_res nart_broadcast_clone(const nart_broadcast_rx *rx, nart_broadcast_rx *out)
{
    return nart__bcast_subscribe(rx->in.bcast, rx->in.pos, &out->in);
}

uint64_t nart_broadcast_len(const nart_broadcast_rx *rx)
{
    return rx->in.bcast ? rx->in.bcast->sent - rx->in.pos : 0;
}

nart_res nart_broadcast_try_recv(nart_broadcast_rx *rx, void *value, uint64_t *lost)
{
    const nart__bcast *c = rx->in.bcast;

    if (!c)
        return NART_ECLOSED;
    uint64_t behind = c->sent - rx->in.pos;
    if (behind == 0)
        return c->closed ? NART_ECLOSED : -EAGAIN;
    if (NART_UNLIKELY(behind > c->mask + 1)) {
        rx->in.pos = c->sent - (c->mask + 1);
        if (lost)
            *lost = behind - (c->mask + 1);
        return NART_ELAGGED;
    }
    memcpy(value, nart__bcast_at(c, rx->in.pos), c->elem);
    rx->in.pos++;
    return 0;
}

nart_res nart_broadcast_recv(nart_cx *cx, nart_broadcast_rx *rx, void *value, uint64_t *lost)
{
    nart_res r = nart__bcast_enter(cx, &rx->in);
    if (NART_UNLIKELY(r))
        return r;
    r = nart_broadcast_try_recv(rx, value, lost);
    if (r == -EAGAIN)
        return nart__bcast_park(cx, &rx->in);
    if (rx->in.wait.task)
        nart__withdraw(&rx->in.wait);
    return r;
}

void nart_broadcast_tx_close(nart_broadcast_tx *tx)
{
    if (tx)
        nart__bcast_tx_close(&tx->bcast);
}

void nart_broadcast_rx_close(nart_broadcast_rx *rx)
{
    if (rx)
        nart__bcast_rx_close(&rx->in);
}

void nart_broadcast_tx_move(nart_broadcast_tx *dst, nart_broadcast_tx *src)
{
    nart__bcast_tx_move(&dst->bcast, &src->bcast);
}

void nart_broadcast_rx_move(nart_broadcast_rx *dst, nart_broadcast_rx *src)
{
    nart__bcast_rx_move(&dst->in, &src->in);
}
