/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bcast.c: one sender and many receivers.
 *
 * What it keeps true
 *  1. A value overwrites the oldest and is counted; a receiver is a position. Which values are available,
 *     lost or new follows from the two counters: sending visits no receiver.
 *  2. Each value, and the close of the sender, wakes the whole queue. No turn has to be passed on,
 *     because every receiver gets every value.
 *  3. Closing the last handle frees the block. */
#include "bcast.h"

/* ---- opening ---- */

static nart_res check(const nart_rt *rt, size_t elem, size_t capacity)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    if (elem == 0 || capacity == 0)
        return -EINVAL;
    if (elem > NART_BROADCAST_MAX_ELEM || capacity > NART_BROADCAST_MAX_CAPACITY)
        return -EOVERFLOW;
    return 0;
}

static nart__bcast *bcast_new(const nart_alloc *a, size_t elem, size_t capacity)
{
    uint64_t places = 1;
    while (places < capacity)
        places <<= 1;
    uint64_t bytes = sizeof(nart__bcast) + places * elem; /* below 2^47: no overflow */
    nart__bcast *c = bytes <= PTRDIFF_MAX ? nart__alloc(a, (size_t)bytes, NART__LINE) : NULL;

    if (c)
        *c = (nart__bcast){ .mask = places - 1, .elem = elem, .bytes = (size_t)bytes, .alloc = *a };
    return c;
}

nart_res nart__bcast_open(nart_rt *rt, size_t elem, size_t capacity, nart__bcast **tx,
                          nart__bcast_rx *rx)
{
    nart_res r = check(rt, elem, capacity);
    if (r)
        return r;
    nart__bcast *c = bcast_new(&rt->alloc, elem, capacity);
    if (!c)
        return -ENOMEM;
    *tx = c;
    return nart__bcast_subscribe(c, 0, rx);
}

nart_res nart__bcast_subscribe(nart__bcast *c, uint64_t pos, nart__bcast_rx *out)
{
    if (!c)
        return NART_ECLOSED;
    c->receivers++;
    *out = (nart__bcast_rx){ .bcast = c, .pos = pos };
    return 0;
}

/* ---- sending and waiting ---- */

nart_res nart__bcast_send(nart__bcast *c, const void *value)
{
    if (!c)
        return NART_ECLOSED;
    memcpy(nart__bcast_at(c, c->sent), value, c->elem);
    c->sent++;
    nart__q_answer_all(&c->queue, NART__DONE);
    return c->receivers;
}

static void bcast_withdraw(nart__wait *w)
{
    nart__bcast_rx *rx = (nart__bcast_rx *)(void *)w; /* the wait is the first member */

    if (w->state == NART__QUEUED)
        nart__q_remove(&rx->bcast->queue, w);
}

static const struct nart__wait_ops bcast_ops = { "broadcast", bcast_withdraw };

nart_res nart__bcast_enter(nart_cx *cx, nart__bcast_rx *rx)
{
    nart__wait *w = &rx->wait;

    nart_res r = nart__enter(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    return NART_UNLIKELY(w->task && w->task != cx->self) ? -EBUSY : 0;
}

nart_res nart__bcast_park(nart_cx *cx, nart__bcast_rx *rx)
{
    nart__waitq *q = &rx->bcast->queue;
    nart__wait *w = &rx->wait;
    bool begun;

    nart_res r = nart__sync_check(cx, q);
    if (NART_UNLIKELY(r))
        return r;
    r = nart__park_in(cx, w, &begun);
    if (r != NART_PENDING)
        return r;
    w->ops = &bcast_ops;
    if (begun || w->state != NART__QUEUED) { /* a value woke it, and it has read that value since */
        w->state = NART__QUEUED;
        nart__q_push(q, w);
    }
    return r;
}

/* ---- closing and moving ---- */

static void release(nart__bcast *c)
{
    if (!c->closed || c->receivers > 0)
        return;
    nart_alloc a = c->alloc;
    nart__free(&a, c, c->bytes, NART__LINE);
}

void nart__bcast_tx_close(nart__bcast **tx)
{
    nart__bcast *c = *tx;

    if (!c)
        return;
    *tx = NULL;
    c->closed = true;
    nart__q_answer_all(&c->queue, NART__DONE);
    release(c);
}

void nart__bcast_rx_close(nart__bcast_rx *rx)
{
    nart__bcast *c = rx->bcast;

    if (!c)
        return;
    nart__interrupt(&rx->wait);
    memset(rx, 0, sizeof *rx);
    c->receivers--;
    release(c);
}

void nart__bcast_tx_move(nart__bcast **dst, nart__bcast **src)
{
    if (dst == src)
        return;
    *dst = *src;
    *src = NULL;
}

void nart__bcast_rx_move(nart__bcast_rx *dst, nart__bcast_rx *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}
