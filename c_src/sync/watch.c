/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* watch.c: the newest value. A broadcast with a ring of one slot; a receiver's position is the number
 * of values sent when it last read. See bcast.c. */
#include "bcast.h"

nart_res nart_watch_open(nart_rt *rt, size_t size, const void *initial, nart_watch_tx *tx,
                         nart_watch_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    if (!initial)
        return -EINVAL;
    nart_res r = nart__bcast_open(rt, size, 1, &tx->bcast, &rx->in);
    if (r)
        return r;
    (void)nart__bcast_send(tx->bcast, initial);
    rx->in.pos = tx->bcast->sent;
    return 0;
}

nart_res nart_watch_send(nart_watch_tx *tx, const void *value)
{
    return nart__bcast_send(tx->bcast, value);
}

nart_res nart_watch_subscribe(const nart_watch_tx *tx, nart_watch_rx *out)
{
    return nart__bcast_subscribe(tx->bcast, tx->bcast ? tx->bcast->sent : 0, &out->in);
}

nart_res nart_watch_clone(const nart_watch_rx *rx, nart_watch_rx *out)
{
    return nart__bcast_subscribe(rx->in.bcast, rx->in.pos, &out->in);
}

nart_res nart_watch_get(nart_watch_rx *rx, void *value)
{
    const nart__bcast *c = rx->in.bcast;

    if (!c)
        return NART_ECLOSED;
    memcpy(value, nart__bcast_at(c, 0), c->elem);
    rx->in.pos = c->sent;
    return 0;
}

bool nart_watch_has_changed(const nart_watch_rx *rx)
{
    return rx->in.bcast && rx->in.bcast->sent != rx->in.pos;
}

nart_res nart_watch_changed(nart_cx *cx, nart_watch_rx *rx, void *value)
{
    nart__wait *w = &rx->in.wait;

    nart_res r = nart__bcast_enter(cx, &rx->in);
    if (NART_UNLIKELY(r))
        return r;
    bool changed = nart_watch_has_changed(rx);
    if (!changed && rx->in.bcast && !rx->in.bcast->closed)
        return nart__bcast_park(cx, &rx->in);
    if (w->task)
        nart__withdraw(w);
    return changed ? nart_watch_get(rx, value) : NART_ECLOSED;
}

void nart_watch_tx_close(nart_watch_tx *tx)
{
    if (tx)
        nart__bcast_tx_close(&tx->bcast);
}

void nart_watch_rx_close(nart_watch_rx *rx)
{
    if (rx)
        nart__bcast_rx_close(&rx->in);
}

void nart_watch_tx_move(nart_watch_tx *dst, nart_watch_tx *src)
{
    nart__bcast_tx_move(&dst->bcast, &src->bcast);
}

void nart_watch_rx_move(nart_watch_rx *dst, nart_watch_rx *src)
{
    nart__bcast_rx_move(&dst->in, &src->in);
}
