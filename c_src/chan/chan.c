/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan.c: opening, closing and moving the ends of channels; the table of the kinds; which kind a single
 * send or receive is for.
 *
 * A channel is one block, ring and values together, freed by the last side that closes. */
#include "chan.h"
#include "../sys.h"

#include <string.h>

/* The inlines that programs were compiled with know this layout; see NART__RING_ABI. */
_Static_assert(offsetof(nart__ring, room) == 24, "layout of channels is ABI");
_Static_assert(offsetof(nart__ring, stride) == 60, "layout of channels is ABI");
_Static_assert(offsetof(nart__ring, sent) == NART__RING_LINE, "layout of channels is ABI");
_Static_assert(offsetof(nart__ring, taken) == 2 * (size_t)NART__RING_LINE,
               "layout of channels is ABI");
_Static_assert(sizeof(nart__ring) == 3 * (size_t)NART__RING_LINE, "layout of channels is ABI");
_Static_assert(sizeof(void *) != 8 || (sizeof(nart_tx) == 96 && sizeof(nart_rx) == 96),
               "layout of channel ends is ABI");

/* ---- the kinds ---- */

static size_t stride_is_elem(size_t elem)
{
    return elem;
}

static size_t mpsc_stride(size_t elem)
{
    return nart__mpsc_stride(elem);
}

const nart__chan_kind nart__chan_kinds[] = {
    [NART_CHAN_LOCAL] = {
        .tx_ops = &nart__local_tx_ops,
        .rx_ops = &nart__local_rx_ops,
        .awaited_send = nart__local_send,
        .try_reserve = nart__local_try_reserve,
        .unreserve = nart__local_unreserve,
        .stride = stride_is_elem,
        .try_send_many = nart__local_try_send_many,
        .try_recv_many = nart__local_try_recv_many,
        .tx_cloned = nart__local_tx_cloned,
        .tx_closed = nart__local_tx_closed,
        .shut = nart__local_shut,
        .drop = nart__local_drop,
        .len = nart__local_len,
        .is_shut = nart__local_is_shut,
        .tx_gone = nart__local_tx_gone,
    },
    [NART_CHAN_SPSC] = {
        .tx_ops = &nart__spsc_tx_ops,
        .rx_ops = &nart__spsc_rx_ops,
        .awaited_send = nart__spsc_send,
        .try_reserve = nart__spsc_try_reserve,
        .stride = stride_is_elem,
        .look = nart__spsc_look,
        .settle = nart__spsc_settle,
        .try_send_many = nart__spsc_try_send_many,
        .try_recv_many = nart__spsc_try_recv_many,
        .tx_closed = nart__spsc_tx_closed,
        .shut = nart__spsc_shut,
        .drop = nart__spsc_drop,
        .len = nart__spsc_len,
        .is_shut = nart__spsc_is_shut,
        .tx_gone = nart__spsc_tx_gone,
    },
    [NART_CHAN_MPSC] = {
        .tx_ops = &nart__mpsc_tx_ops,
        .rx_ops = &nart__mpsc_rx_ops,
        .awaited_send = nart__mpsc_send,
        .try_reserve = nart__mpsc_try_reserve,
        .unreserve = nart__mpsc_unreserve,
        .stride = mpsc_stride,
        .init = nart__mpsc_init,
        .finish = nart__mpsc_finish,
        .look = nart__mpsc_look,
        .settle = nart__mpsc_settle,
        .try_send_many = nart__mpsc_try_send_many,
        .try_recv_many = nart__mpsc_try_recv_many,
        .tx_cloned = nart__mpsc_tx_cloned,
        .tx_closed = nart__mpsc_tx_closed,
        .shut = nart__mpsc_shut,
        .drop = nart__mpsc_drop,
        .len = nart__mpsc_len,
        .is_shut = nart__mpsc_is_shut,
        .tx_gone = nart__mpsc_tx_gone,
    },
};

static const nart__chan_kind *kind_of(const nart__chan *c)
{
    return nart__chan_kind_of(&c->ring);
}

/* ---- opening ---- */

static nart_res check(const nart_rt *rt, const nart_chan_opts *o)
{
    if (o->size != sizeof *o)
        return NART_EABI;
    if (o->kind < NART_CHAN_LOCAL || o->kind > NART_CHAN_MPSC)
        return -EINVAL;
    if (o->flags & ~(uint32_t)NART_CHAN_SPINNING)
        return -EINVAL;
    if (o->flags && (o->kind == NART_CHAN_LOCAL || !nart__rx_binding_may_spin(rt)))
        return -EINVAL;
    if (o->elem == 0 || (o->capacity == 0 && o->kind != NART_CHAN_LOCAL))
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

/* Without the barrier an SPSC sender exchanges a word for each value, as for a receiver that parks. */
static uint32_t sender_flags(const nart_chan_opts *o)
{
    if (o->kind == NART_CHAN_SPSC && o->flags && nart__sys_barrier_register() < 0)
        return 0;
    return o->flags;
}

static nart__chan *chan_new(nart_rt *rt, const nart_chan_opts *o)
{
    uint64_t capacity = round_up(o->capacity); /* of 0: one slot, see local.c */
    const nart__chan_kind *kind = &nart__chan_kinds[o->kind];
    uint32_t stride = (uint32_t)kind->stride(o->elem);
    uint64_t bytes = sizeof(nart__chan) + capacity * stride; /* below 2^47: no overflow */
    nart__chan *c =
        bytes <= PTRDIFF_MAX ? nart__alloc(&rt->alloc, (size_t)bytes, NART__RING_LINE) : NULL;

    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    c->alloc = rt->alloc;
    c->drop_value = o->drop_value;
    c->bytes = (size_t)bytes;
    NART__STORE(&c->refs, 2u, NART__RELAXED);
    c->senders = 1;
    c->ring.type = NART__RING_TYPE(o->kind, sender_flags(o), o->elem);
    c->ring.mask = capacity - 1;
    c->ring.stride = stride;
    c->ring.buf = (unsigned char *)(c + 1);
    c->rendezvous = o->capacity == 0;
    NART__STORE(&c->ring.room, c->rendezvous ? 0 : capacity, NART__RELAXED);
    if (kind->init)
        kind->init(c);
    nart__rx_binding_init(&c->binding, &c->ring.rx_dirty, o->flags & NART_CHAN_SPINNING, kind->look,
                          kind->settle);
    nart__rx_binding_enter(&c->binding, rt);
    return c;
}

nart_res nart__chan_open(nart_rt *rt, const nart_chan_opts *opts, uint32_t abi, nart_tx *tx,
                         nart_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    if (abi != NART__RING_ABI)
        return NART_EABI;
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        r = opts ? check(rt, opts) : -EINVAL;
    if (r)
        return r;
    nart__chan *c = chan_new(rt, opts);
    if (!c)
        return -ENOMEM;
    tx->ring = rx->ring = &c->ring;
    tx->type = rx->type = c->ring.type;
    tx->wait.ops = nart__chan_kinds[opts->kind].tx_ops;
    rx->wait.ops = nart__chan_kinds[opts->kind].rx_ops;
    return 0;
}

nart_res nart_tx_clone(const nart_tx *tx, nart_tx *out)
{
    if (!tx->ring)
        return NART_ECLOSED;
    nart__chan *c = nart__chan_of(tx->ring);
    if (!kind_of(c)->tx_cloned)
        return -EINVAL;
    kind_of(c)->tx_cloned(c);
    *out =
        (nart_tx){ .wait.ops = tx->wait.ops, .ring = tx->ring, .type = tx->type, .seen = tx->seen };
    return 0;
}

/* ---- closing ---- */

/* A side has closed: the last one frees the channel. */
static void release(nart__chan *c)
{
    if (!nart__chan_last(c))
        return;
    if (kind_of(c)->finish)
        kind_of(c)->finish(c);
    nart_alloc a = c->alloc;
    nart__free(&a, c, c->bytes, NART__RING_LINE);
}

void nart_tx_close(nart_tx *tx)
{
    if (!tx || !tx->ring)
        return;
    nart__chan *c = nart__chan_of(tx->ring);
    nart_tx_unreserve(tx);
    nart__interrupt(&tx->wait);
    memset(tx, 0, sizeof *tx);
    if (kind_of(c)->tx_closed(c))
        release(c);
}

void nart_rx_shut(nart_rx *rx)
{
    if (!rx || !rx->ring)
        return;
    nart__interrupt(&rx->wait);
    nart__chan *c = nart__chan_of(rx->ring);
    kind_of(c)->shut(c, false);
}

void nart_rx_close(nart_rx *rx)
{
    if (!rx || !rx->ring)
        return;
    nart__chan *c = nart__chan_of(rx->ring);
    uint64_t pos = rx->pos;
    bool drained = nart__rx_drained(rx); /* then no value belongs to this side any more */
    nart__interrupt(&rx->wait);
    memset(rx, 0, sizeof *rx);
    kind_of(c)->shut(c, true);
    nart__rx_binding_leave(&c->binding);
    if (!drained) /* before the release: a value may hold the channel's other end */
        kind_of(c)->drop(c, pos);
    release(c);
}

/* ---- moving ---- */

void nart_tx_move(nart_tx *dst, nart_tx *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

void nart_rx_move(nart_rx *dst, nart_rx *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

nart_res nart_rx_bind(nart_rx *rx, nart_rt *rt)
{
    if (!rx->ring)
        return NART_ECLOSED;
    if (nart__ring_kind(rx->ring) == NART_CHAN_LOCAL)
        return -EINVAL;
    return nart__rx_binding_bind(&nart__chan_of(rx->ring)->binding, &rx->wait, rt);
}

/* ---- state ---- */

static size_t len(nart__ring *r)
{
    return r ? nart__chan_kind_of(r)->len(r) : 0;
}

size_t nart_tx_len(const nart_tx *tx)
{
    return len(tx->ring);
}

size_t nart_rx_len(const nart_rx *rx)
{
    return nart__rx_drained(rx) ? 0 : len(rx->ring);
}

size_t nart_tx_capacity(const nart_tx *tx)
{
    if (!tx->ring || nart__chan_of(tx->ring)->rendezvous)
        return 0;
    return (size_t)(tx->ring->mask + 1);
}

bool nart_tx_is_closed(const nart_tx *tx)
{
    return !tx->ring || nart__chan_kind_of(tx->ring)->is_shut(tx->ring);
}

bool nart_rx_is_closed(const nart_rx *rx)
{
    return !rx->ring || nart__chan_kind_of(rx->ring)->tx_gone(rx->ring);
}

/* ---- the slow side of the inline functions ---- */

void nart__ring_taken(nart__ring *r)
{
    nart__rx_binding_owe(&nart__chan_of(r)->binding);
}

/* `type` is that of an end: 0 when it is closed. */
static inline bool is_local(uint64_t type, size_t elem)
{
    return type == NART__RING_TYPE(NART_CHAN_LOCAL, 0, elem);
}

static inline bool is_mpsc(uint64_t type, size_t elem)
{
    return (type | NART__RING_TYPE(0, NART_CHAN_SPINNING, 0)) ==
           NART__RING_TYPE(NART_CHAN_MPSC, NART_CHAN_SPINNING, elem);
}

/* 0, or why this ring cannot be used. */
static inline nart_res usable(const nart__ring *r, size_t elem)
{
    if (!r)
        return NART_ECLOSED;
    return NART__RING_ELEM(r->type) == elem ? 0 : -EINVAL;
}

static nart_res refuse(nart_cx *cx, nart__wait *w, nart_res answer)
{
    nart_res r = nart__entered(cx, w);
    return r ? r : nart__chan_answer(cx, w, answer);
}

nart_res nart__send_slow(nart_cx *cx, nart_tx *tx, const void *value, size_t elem)
{
    if (NART_LIKELY(is_local(tx->type, elem)))
        return nart__local_send(cx, tx, value);
    if (is_mpsc(tx->type, elem))
        return nart__mpsc_send(cx, tx, value);
    nart_res r = usable(tx->ring, elem);
    return r ? refuse(cx, &tx->wait, r) : nart__spsc_send(cx, tx, value);
}

nart_res nart__try_send_slow(nart_tx *tx, const void *value, size_t elem)
{
    if (is_mpsc(tx->type, elem))
        return nart__mpsc_try_send(tx, value);
    if (is_local(tx->type, elem))
        return nart__local_try_send(tx, value);
    nart_res r = usable(tx->ring, elem);
    return r ? r : nart__spsc_try_send(tx, value);
}

/* The plain case of a receiver that has received the value it was woken for and waits again. A shortcut
 * for what nart__local_recv() does then. The size of values was checked when it began to wait. */
static inline bool still_waits(const nart_cx *cx, const nart_rx *rx)
{
    const nart__wait *w = &rx->wait;
    const nart__ring *r = rx->ring;

    return cx->go >= 0 && w->task == cx->self && w->seen != w->task->polls && !cx->scope &&
           w->ops == &nart__local_rx_ops && r->head == r->tail && !r->tx_waits &&
           nart__chan_of(rx->ring)->senders > 0 && !nart__chan_of(rx->ring)->shut;
}

/* 0, or why no slot of this channel can be reserved. */
static nart_res reservable(const nart_tx *tx, size_t elem)
{
    nart_res r = usable(tx->ring, elem);
    return r == 0 && nart__chan_of(tx->ring)->rendezvous ? -EINVAL : r;
}

nart_res nart__tx_reserve(nart_cx *cx, nart_tx *tx, size_t elem)
{
    nart_res r = reservable(tx, elem);

    cx->go--; /* as the inline functions do */
    return r ? refuse(cx, &tx->wait, r) : nart__chan_kind_of(tx->ring)->awaited_send(cx, tx, NULL);
}

nart_res nart__tx_try_reserve(nart_tx *tx, size_t elem)
{
    nart_res r = reservable(tx, elem);
    if (r || nart__tx_reserved(tx))
        return r;
    return nart__chan_kind_of(tx->ring)->try_reserve(tx);
}

void nart_tx_unreserve(nart_tx *tx)
{
    if (tx->ring && nart__tx_reserved(tx))
        nart__chan_kind_of(tx->ring)->unreserve(tx);
}

nart_res nart__recv_slow(nart_cx *cx, nart_rx *rx, void *value, size_t elem)
{
    if (NART_LIKELY(still_waits(cx, rx))) {
        rx->ring->rx_waits = 1;
        return nart__wait_on(cx, &rx->wait);
    }
    if (NART_LIKELY(is_local(rx->type, elem)))
        return nart__local_recv(cx, rx, value);
    if (is_mpsc(rx->type, elem))
        return nart__mpsc_recv(cx, rx, value);
    nart_res r = usable(rx->ring, elem);
    return r ? refuse(cx, &rx->wait, r) : nart__spsc_recv(cx, rx, value);
}

nart_res nart__try_recv_slow(nart_rx *rx, void *value, size_t elem)
{
    if (is_mpsc(rx->type, elem))
        return nart__mpsc_try_recv(rx, value);
    if (is_local(rx->type, elem))
        return nart__local_try_recv(rx, value);
    nart_res r = usable(rx->ring, elem);
    return r ? r : nart__spsc_try_recv(rx, value);
}
