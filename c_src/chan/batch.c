/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* batch.c: several values by one call. As many as fit are copied together, published by one store (MPSC:
 * one claim, and a store for each) and announced by one wake.
 *
 * One answer moves a limited number of values, so that a poll of NART_BUDGET answers does not hold the
 * loop for long. A larger send takes several answers, and yields when the budget is spent.
 *
 * A batch waits as a single value does: a send that finds no room waits to send its next value, a receive
 * that finds no value waits for the first; then the rest follows without waiting. So the queues, turns
 * and wakes are those of the single forms. */
#include "chan.h"

/* 0, or why this call is refused. */
static nart_res usable(const nart__ring *r, const void *values, size_t n)
{
    if (!r)
        return NART_ECLOSED;
    return !values && n > 0 ? -EINVAL : 0;
}

/* How many of n values one answer may move. */
static size_t limited(size_t n, size_t elem)
{
    size_t max = NART_CHAN_MAX_ELEM / elem; /* no more bytes than the largest single value */

    if (max > NART_CHAN_MANY)
        max = NART_CHAN_MANY;
    return n < max ? n : max;
}

static nart_res some_in(nart_tx *tx, const void *values, size_t n)
{
    if (nart__tx_reserved(tx)) { /* the slot is for one value */
        nart_res r = nart_try_send(tx, values);
        return r == 0 ? 1 : r;
    }
    n = limited(n, NART__RING_ELEM(tx->ring->type));
    return nart__chan_kind_of(tx->ring)->try_send_many(tx, values, n);
}

static nart_res some_out(nart_rx *rx, void *values, size_t n)
{
    n = limited(n, NART__RING_ELEM(rx->ring->type));
    return nart__chan_kind_of(rx->ring)->try_recv_many(rx, values, n);
}

nart_res nart_try_send_many(nart_tx *tx, const void *values, size_t n)
{
    nart_res r = usable(tx->ring, values, n);
    return r || n == 0 ? r : some_in(tx, values, n);
}

nart_res nart_try_recv_many(nart_rx *rx, void *values, size_t max)
{
    nart_res r = usable(rx->ring, values, max);
    return r || max == 0 ? r : some_out(rx, values, max);
}

nart_res nart_send_many(nart_cx *cx, nart_tx *tx, const void *values, size_t n, size_t *done)
{
    const unsigned char *from = values;
    size_t elem = NART__RING_ELEM(tx->type);

    nart_res r = nart__enter(cx, &tx->wait);
    if (r)
        return r;
    r = !done || (*done > 0 && *done >= n) ? -EINVAL : usable(tx->ring, values, n);
    if (r)
        return nart__chan_answer(cx, &tx->wait, r);
    while (*done < n) {
        r = tx->wait.task ? -EAGAIN : some_in(tx, from + *done * elem, n - *done);
        if (r == -EAGAIN) { /* or the task waits already: a turn is for one value */
            r = nart__send_slow(cx, tx, from + *done * elem, elem);
            if (r == 0)
                r = 1;
        }
        if (r < 0)
            return r;
        *done += (size_t)r;
        if (*done < n && (r = nart__enter(cx, &tx->wait)) != 0)
            return r;
    }
    *done = 0;
    return nart__chan_answer(cx, &tx->wait, (nart_res)n);
}

nart_res nart_recv_many(nart_cx *cx, nart_rx *rx, void *values, size_t max)
{
    size_t elem = NART__RING_ELEM(rx->type);

    nart_res r = nart__enter(cx, &rx->wait);
    if (r)
        return r;
    r = usable(rx->ring, values, max);
    if (r || max == 0)
        return nart__chan_answer(cx, &rx->wait, r);
    r = nart__recv_slow(cx, rx, values, elem);
    if (r)
        return r;
    max = limited(max, elem);
    r = max > 1 ? some_out(rx, (unsigned char *)values + elem, max - 1) : 0;
    return r > 0 ? r + 1 : 1;
}
