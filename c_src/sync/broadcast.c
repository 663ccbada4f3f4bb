/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* broadcast.c: each value to each receiver, as far as the ring reaches back. See cast.c. */
#include "cast.h"

nart_res nart_broadcast_open(nart_rt *rt, size_t elem, size_t capacity, nart_broadcast_tx *tx,
                             nart_broadcast_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    return nart__cast_open(rt, elem, capacity, &tx->cast, &rx->in);
}

nart_res nart_broadcast_send(nart_broadcast_tx *tx, const void *value)
{
    return nart__cast_send(tx->cast, value);
}

nart_res nart_broadcast_subscribe(const nart_broadcast_tx *tx, nart_broadcast_rx *out)
{
    return nart__cast_subscribe(tx->cast, tx->cast ? tx->cast->sent : 0, &out->in);
}

nart_res nart_broadcast_clone(const nart_broadcast_rx *rx, nart_broadcast_rx *out)
{
    return nart__cast_subscribe(rx->in.cast, rx->in.pos, &out->in);
}

uint64_t nart_broadcast_len(const nart_broadcast_rx *rx)
{
    return rx->in.cast ? rx->in.cast->sent - rx->in.pos : 0;
}

nart_res nart_broadcast_try_recv(nart_broadcast_rx *rx, void *value, uint64_t *lost)
{
    const nart__cast *c = rx->in.cast;

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
    memcpy(value, nart__cast_at(c, rx->in.pos), c->elem);
    rx->in.pos++;
    return 0;
}

nart_res nart_broadcast_recv(nart_cx *cx, nart_broadcast_rx *rx, void *value, uint64_t *lost)
{
    nart_res r = nart__cast_enter(cx, &rx->in);
    if (NART_UNLIKELY(r))
        return r;
    r = nart_broadcast_try_recv(rx, value, lost);
    if (r == -EAGAIN)
        return nart__cast_park(cx, &rx->in);
    if (rx->in.wait.task)
        nart__withdraw(&rx->in.wait);
    return r;
}

void nart_broadcast_tx_close(nart_broadcast_tx *tx)
{
    if (tx)
        nart__cast_tx_close(&tx->cast);
}

void nart_broadcast_rx_close(nart_broadcast_rx *rx)
{
    if (rx)
        nart__cast_rx_close(&rx->in);
}

void nart_broadcast_tx_move(nart_broadcast_tx *dst, nart_broadcast_tx *src)
{
    nart__cast_tx_move(&dst->cast, &src->cast);
}

void nart_broadcast_rx_move(nart_broadcast_rx *dst, nart_broadcast_rx *src)
{
    nart__cast_rx_move(&dst->in, &src->in);
}
