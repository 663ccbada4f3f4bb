/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan.c: opening, closing and moving the ends of channels; the doors to local.c and spsc.c.
 *
 * A channel is one block, ring and values together, freed by the last end that closes. It is a guest
 * of the receiver's runtime, which tells it of its own end: from then on nobody waits, and what is
 * left can still be taken with nart_try_recv(). */
#include "chan.h"

#include <string.h>

_Static_assert(offsetof(nart__ring, head) == 32, "frozen");
_Static_assert(offsetof(nart__ring, sent) == NART__RING_LINE, "frozen");
_Static_assert(offsetof(nart__ring, taken) == 2 * NART__RING_LINE, "frozen");
_Static_assert(sizeof(nart__ring) == 3 * NART__RING_LINE, "frozen");
_Static_assert(sizeof(nart_tx) == 96 && sizeof(nart_rx) == 96, "frozen");

static bool spsc(const nart__ring *r)
{
    return r->kind == NART_CHAN_SPSC;
}

static bool spinning(const nart__ring *r)
{
    return r->flags & NART_CHAN_SPINNING;
}

/* ---- the runtime behind the receiver ---- */

static void rt_gone(nart__guest *g)
{
    nart__chan *c = (nart__chan *)(void *)((char *)g - offsetof(nart__chan, guest));

    c->rt = NULL;
    c->watch.next = NULL; /* the list goes with the runtime */
    c->ring.rx_dirty = 0;
    if (spsc(&c->ring))
        nart__spsc_flush(&c->ring);
}

static void attach(nart__chan *c, nart_rt *rt)
{
    c->rt = rt;
    if (!rt)
        return;
    c->guest.rt_gone = rt_gone;
    nart__guest_add(rt, &c->guest);
    if (spinning(&c->ring)) {
        c->ring.rx_dirty = 1; /* stays: the watch is permanent */
        nart__watch_add(rt, &c->watch);
    }
}

static void detach(nart__chan *c)
{
    if (!c->rt)
        return;
    nart__guest_remove(&c->guest);
    if (c->watch.next)
        nart__watch_remove(&c->watch);
    c->ring.rx_dirty = 0;
    c->rt = NULL;
}

/* ---- opening ---- */

static nart_res check(const nart_rt *rt, const nart_chan_opts *o)
{
    if (!o || o->elem == 0 || o->capacity == 0)
        return -EINVAL;
    if (o->size != sizeof *o)
        return NART_EABI;
    if (o->kind != NART_CHAN_LOCAL && o->kind != NART_CHAN_SPSC)
        return -EINVAL;
    if (o->flags & ~(uint32_t)NART_CHAN_SPINNING)
        return -EINVAL;
    if (o->flags & NART_CHAN_SPINNING &&
        (o->kind != NART_CHAN_SPSC || !(rt->opts.flags & NART_RT_BUSY)))
        return -EINVAL;
    if (o->elem > NART_CHAN_MAX_ELEM || o->capacity > NART_CHAN_MAX_CAPACITY)
        return -EOVERFLOW;
    return 0;
}

static uint64_t round_up(uint64_t n)
{
    uint64_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

nart_res nart_chan_open(nart_rt *rt, const nart_chan_opts *opts, nart_tx *tx, nart_rx *rx)
{
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        r = check(rt, opts);
    if (r)
        return r;
    uint64_t capacity = round_up(opts->capacity);
    size_t bytes = sizeof(nart__chan) + capacity * opts->elem; /* below 2^47: no overflow */
    nart__chan *c = nart__alloc(&rt->alloc, bytes, NART__RING_LINE);
    if (!c)
        return -ENOMEM;
    memset(c, 0, sizeof *c);
    c->alloc = rt->alloc;
    c->drop_value = opts->drop_value;
    c->bytes = bytes;
    c->refs = 2;
    c->senders = 1;
    c->ring.abi = NART__RING_ABI;
    c->ring.kind = opts->kind;
    c->ring.elem = (uint32_t)opts->elem;
    c->ring.flags = opts->flags;
    c->ring.mask = capacity - 1;
    c->ring.buf = (unsigned char *)(c + 1);
    c->ring.room = capacity;
    c->watch.look = nart__spsc_look;
    attach(c, rt);
    bool local = opts->kind == NART_CHAN_LOCAL;
    *tx = (nart_tx){ .ring = &c->ring };
    tx->wait.ops = local ? &nart__local_tx_ops : &nart__spsc_tx_ops;
    *rx = (nart_rx){ .ring = &c->ring };
    rx->wait.ops = local ? &nart__local_rx_ops : &nart__spsc_rx_ops;
    return 0;
}

nart_res nart_tx_clone(const nart_tx *tx, nart_tx *out)
{
    if (!tx->ring)
        return NART_ECLOSED;
    if (spsc(tx->ring))
        return -EINVAL;
    nart__chan *c = nart__chan_of(tx->ring);
    c->senders++;
    *out = (nart_tx){ .ring = tx->ring };
    out->wait.ops = &nart__local_tx_ops;
    return 0;
}

/* ---- closing ---- */

void nart__chan_drop_values(nart__chan *c, uint64_t head, uint64_t tail)
{
    for (; c->drop_value && head != tail; head++)
        c->drop_value(nart__ring_place(&c->ring, head));
}

static void release(nart__chan *c)
{
    nart__ring *r = &c->ring;

    /* acq_rel: the last end sees everything the other one did, and frees */
    if (NART__FETCH_ADD(&c->refs, UINT32_MAX, NART__ACQ_REL) != 1)
        return;
    if (spsc(r))
        nart__chan_drop_values(c, r->taken, r->sent);
    else
        nart__chan_drop_values(c, r->head, r->tail);
    nart_alloc a = c->alloc;
    nart__free(&a, c, c->bytes, NART__RING_LINE);
}

void nart_tx_close(nart_tx *tx)
{
    if (!tx || !tx->ring)
        return;
    nart__chan *c = nart__chan_of(tx->ring);
    bool last = true;
    if (spsc(tx->ring)) {
        if (tx->wait.task)
            nart__withdraw(&tx->wait);
        nart__spsc_tx_closed(tx->ring);
    } else {
        nart__local_tx_closed(c, tx);
        last = c->senders == 0;
    }
    memset(tx, 0, sizeof *tx);
    if (last)
        release(c);
}

void nart_rx_close(nart_rx *rx)
{
    if (!rx || !rx->ring)
        return;
    nart__chan *c = nart__chan_of(rx->ring);
    if (rx->wait.task)
        nart__withdraw(&rx->wait);
    if (spsc(rx->ring))
        nart__spsc_rx_closed(c);
    else
        nart__local_rx_closed(c);
    detach(c);
    memset(rx, 0, sizeof *rx);
    release(c);
}

/* ---- moving ---- */

void nart_tx_move(nart_tx *dst, nart_tx *src)
{
    if (src->wait.task)
        nart__withdraw(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

void nart_rx_move(nart_rx *dst, nart_rx *src)
{
    if (src->wait.task)
        nart__withdraw(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

nart_res nart_rx_bind(nart_rx *rx, nart_rt *rt)
{
    if (!rx->ring)
        return NART_ECLOSED;
    nart__chan *c = nart__chan_of(rx->ring);
    if (!spsc(rx->ring) || (spinning(rx->ring) && !(rt && rt->opts.flags & NART_RT_BUSY)))
        return -EINVAL;
    if (rx->wait.task)
        return -EBUSY;
    detach(c);
    nart__spsc_flush(&c->ring); /* what this side still owes the sender */
    attach(c, rt);
    return 0;
}

/* ---- looking ---- */

static size_t len(nart__ring *r)
{
    if (!r)
        return 0;
    if (!spsc(r))
        return r->tail - r->head;
    /* taken first: it never passes what is read of sent afterwards */
    uint64_t taken = NART__LOAD(&r->taken, NART__ACQUIRE);
    return NART__LOAD(&r->sent, NART__ACQUIRE) - taken;
}

size_t nart_tx_len(const nart_tx *tx)
{
    return len(tx->ring);
}

size_t nart_rx_len(const nart_rx *rx)
{
    return len(rx->ring);
}

size_t nart_tx_capacity(const nart_tx *tx)
{
    return tx->ring ? tx->ring->mask + 1 : 0;
}

bool nart_tx_is_closed(const nart_tx *tx)
{
    return !tx->ring || NART__LOAD(&tx->ring->rx_gone, NART__RELAXED) != 0;
}

bool nart_rx_is_closed(const nart_rx *rx)
{
    if (!rx->ring)
        return true;
    if (!spsc(rx->ring))
        return nart__chan_of(rx->ring)->senders == 0;
    return NART__LOAD(&rx->ring->tx_gone, NART__ACQUIRE) != 0;
}

/* ---- the slow side of the inlines ---- */

nart_res nart__send_slow(nart_cx *cx, nart_tx *tx, const void *value)
{
    if (!tx->ring)
        return NART_ECLOSED;
    return spsc(tx->ring) ? nart__spsc_send(cx, tx, value) : nart__local_send(cx, tx, value);
}

nart_res nart__try_send_slow(nart_tx *tx, const void *value)
{
    if (!tx->ring)
        return NART_ECLOSED;
    return spsc(tx->ring) ? nart__spsc_try_send(tx, value) : nart__local_try_send(tx, value);
}

nart_res nart__recv_slow(nart_cx *cx, nart_rx *rx, void *value)
{
    if (!rx->ring)
        return NART_ECLOSED;
    return spsc(rx->ring) ? nart__spsc_recv(cx, rx, value) : nart__local_recv(cx, rx, value);
}

nart_res nart__try_recv_slow(nart_rx *rx, void *value)
{
    if (!rx->ring)
        return NART_ECLOSED;
    if (spsc(rx->ring))
        return nart__spsc_try_recv(rx, value);
    return nart__chan_of(rx->ring)->senders == 0 ? NART_ECLOSED : -EAGAIN;
}
