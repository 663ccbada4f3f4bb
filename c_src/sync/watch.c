/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* watch.c: the newest value. A broadcast of one place, the last one sent; a receiver's position is
 * how many there were when it looked last. See cast.c. */
#include "cast.h"

nart_res nart_watch_open(nart_rt *rt, size_t size, const void *initial, nart_watch_tx *tx,
                         nart_watch_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    if (!initial)
        return -EINVAL;
    nart_res r = nart__cast_open(rt, size, 1, &tx->cast, &rx->in);
    if (r)
        return r;
    (void)nart__cast_send(tx->cast, initial);
    rx->in.pos = tx->cast->sent;
    return 0;
}

nart_res nart_watch_send(nart_watch_tx *tx, const void *value)
{
    return nart__cast_send(tx->cast, value);
}

nart_res nart_watch_subscribe(const nart_watch_tx *tx, nart_watch_rx *out)
{
    return nart__cast_subscribe(tx->cast, tx->cast ? tx->cast->sent : 0, &out->in);
}

nart_res nart_watch_clone(const nart_watch_rx *rx, nart_watch_rx *out)
{
    return nart__cast_subscribe(rx->in.cast, rx->in.pos, &out->in);
}

nart_res nart_watch_get(nart_watch_rx *rx, void *value)
{
    const nart__cast *c = rx->in.cast;

    if (!c)
        return NART_ECLOSED;
    memcpy(value, nart__cast_at(c, 0), c->elem);
    rx->in.pos = c->sent;
    return 0;
}

bool nart_watch_has_changed(const nart_watch_rx *rx)
{
    return rx->in.cast && rx->in.cast->sent != rx->in.pos;
}

nart_res nart_watch_changed(nart_cx *cx, nart_watch_rx *rx, void *value)
{
    nart__wait *w = &rx->in.wait;

    nart_res r = nart__cast_enter(cx, &rx->in);
    if (NART_UNLIKELY(r))
        return r;
    bool changed = nart_watch_has_changed(rx);
    if (!changed && rx->in.cast && !rx->in.cast->closed)
        return nart__cast_park(cx, &rx->in);
    if (w->task)
        nart__withdraw(w);
    return changed ? nart_watch_get(rx, value) : NART_ECLOSED;
}

void nart_watch_tx_close(nart_watch_tx *tx)
{
    if (tx)
        nart__cast_tx_close(&tx->cast);
}

void nart_watch_rx_close(nart_watch_rx *rx)
{
    if (rx)
        nart__cast_rx_close(&rx->in);
}

void nart_watch_tx_move(nart_watch_tx *dst, nart_watch_tx *src)
{
    nart__cast_tx_move(&dst->cast, &src->cast);
}

void nart_watch_rx_move(nart_watch_rx *dst, nart_watch_rx *src)
{
    nart__cast_rx_move(&dst->in, &src->in);
}
