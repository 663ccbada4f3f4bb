/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bytes.c: opens, closes and moves the ends of channels of bytes.
 *
 * A channel is one block: its state, its words, the ring and the ring's margin. The last side that closes
 * frees it. */
#include "bytes.h"
#include "../sys.h"

#include <string.h>

#define CAPACITY_MIN 64u

/* The inlines that programs were compiled with know this layout; see NART__RING_ABI. */
_Static_assert(offsetof(nart__bytes_ring, tail) == NART__RING_LINE, "layout of channels is ABI");
_Static_assert(offsetof(nart__bytes_ring, taken) == 2 * (size_t)NART__RING_LINE,
               "layout of channels is ABI");
_Static_assert(sizeof(nart__bytes_ring) == 3 * (size_t)NART__RING_LINE,
               "layout of channels is ABI");
_Static_assert(sizeof(void *) != 8 ||
                   (sizeof(nart_bytes_tx) == 104 && sizeof(nart_bytes_rx) == 104),
               "layout of channel ends is ABI");
_Static_assert(sizeof(nart__bytes) % NART__RING_LINE == 0, "the words begin on a line");

/* ---- opening ---- */

static nart_res check(const nart_rt *rt, const nart_bytes_opts *o)
{
    if (o->size != sizeof *o)
        return NART_EABI;
    if (o->kind != NART_BYTES_SPSC && o->kind != NART_BYTES_MPSC)
        return -EINVAL;
    if (o->flags & ~(uint32_t)NART_BYTES_SPINNING || (o->flags && !nart__rx_binding_may_spin(rt)))
        return -EINVAL;
    if (o->capacity == 0)
        return -EINVAL;
    return o->capacity > NART_BYTES_MAX_CAPACITY ? -EOVERFLOW : 0;
}

static uint64_t round_up(uint64_t n)
{
    uint64_t p = CAPACITY_MIN;
    while (p < n)
        p <<= 1;
    return p;
}

static nart__bytes *bytes_new(nart_rt *rt, const nart_bytes_opts *o, uint64_t capacity,
                              uint64_t max_len)
{
    size_t words = (size_t)(capacity / NART__BYTES_UNIT) * sizeof(nart__bytes_word);
    size_t bytes = (size_t)(sizeof(nart__bytes) + words + capacity + max_len); /* below 2^32 */
    nart__bytes *c = nart__alloc(&rt->alloc, bytes, NART__RING_LINE);

    if (!c)
        return NULL;
    memset(c, 0, sizeof *c + words);
    c->alloc = rt->alloc;
    c->bytes = bytes;
    c->ring.words = (nart__bytes_word *)(void *)(c + 1);
    c->ring.data = (unsigned char *)(c + 1) + words;
    c->ring.mask = capacity - 1;
    c->ring.max_len = (uint32_t)max_len;
    c->clones = o->kind == NART_BYTES_MPSC;
    c->ring.mpsc = c->clones || nart__sys_barrier_register() < 0; /* see nart__bytes_shut() */
    c->ring.spinning = o->flags & NART_BYTES_SPINNING;
    NART__STORE(&c->ring.room, capacity, NART__RELAXED);
    NART__STORE(&c->senders, 1u, NART__RELAXED);
    NART__STORE(&c->refs, 2u, NART__RELAXED);
    nart__lock_init(&c->lock);
    c->fork_epoch = nart__fork_epoch();
    nart__rx_binding_init(&c->binding, &c->ring.rx_dirty, c->ring.spinning, nart__bytes_look,
                          nart__bytes_settle);
    nart__rx_binding_enter(&c->binding, rt);
    return c;
}

nart_res nart__bytes_open(nart_rt *rt, const nart_bytes_opts *opts, uint32_t abi, nart_bytes_tx *tx,
                          nart_bytes_rx *rx)
{
    if (!tx || !rx)
        return -EINVAL;
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    if (abi != NART__BYTES_ABI)
        return NART_EABI;
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        r = opts ? check(rt, opts) : -EINVAL;
    if (r)
        return r;
    uint64_t capacity = round_up(opts->capacity);
    if (opts->max_len > capacity)
        return -EINVAL;
    nart__bytes *c = bytes_new(rt, opts, capacity, opts->max_len ? opts->max_len : capacity);
    if (!c)
        return -ENOMEM;
    tx->ring = rx->ring = &c->ring;
    tx->wait.ops = &nart__bytes_tx_ops;
    rx->wait.ops = &nart__bytes_rx_ops;
    return 0;
}

nart_res nart_bytes_tx_clone(const nart_bytes_tx *tx, nart_bytes_tx *out)
{
    nart__bytes_ring *r = tx->ring;

    if (!r)
        return NART_ECLOSED;
    if (!nart__bytes_of(r)->clones)
        return -EINVAL;
    (void)NART__FETCH_ADD(&nart__bytes_of(r)->senders, 1u,
                          NART__RELAXED); /* it is not 0 while tx is open */
    *out = (nart_bytes_tx){ .wait.ops = &nart__bytes_tx_ops, .ring = r, .seen = tx->seen };
    return 0;
}

/* ---- closing ---- */

/* A side has closed: the last one frees the channel. */
static void release(nart__bytes *c)
{
    if (!nart__bytes_last(c))
        return;
    if (c->fork_epoch == nart__fork_epoch())
        nart__lock_finish(&c->lock);
    nart_alloc a = c->alloc;
    nart__free(&a, c, c->bytes, NART__RING_LINE);
}

void nart_bytes_tx_close(nart_bytes_tx *tx)
{
    if (!tx || !tx->ring)
        return;
    nart__bytes *c = nart__bytes_of(tx->ring);
    nart__interrupt(&tx->wait);
    if (nart__bytes_tx_closed(tx))
        release(c);
    memset(tx, 0, sizeof *tx);
}

void nart_bytes_rx_shut(nart_bytes_rx *rx)
{
    if (!rx || !rx->ring)
        return;
    nart__interrupt(&rx->wait);
    nart__bytes_shut(rx->ring);
}

void nart_bytes_rx_close(nart_bytes_rx *rx)
{
    if (!rx || !rx->ring)
        return;
    nart__bytes *c = nart__bytes_of(rx->ring);
    nart__interrupt(&rx->wait);
    memset(rx, 0, sizeof *rx);
    nart__bytes_rx_closed(&c->ring);
    nart__rx_binding_leave(&c->binding);
    release(c);
}

/* ---- moving ---- */

void nart_bytes_tx_move(nart_bytes_tx *dst, nart_bytes_tx *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

void nart_bytes_rx_move(nart_bytes_rx *dst, nart_bytes_rx *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

nart_res nart_bytes_rx_bind(nart_bytes_rx *rx, nart_rt *rt)
{
    if (!rx->ring)
        return NART_ECLOSED;
    return nart__rx_binding_bind(&nart__bytes_of(rx->ring)->binding, &rx->wait, rt);
}

/* ---- state ---- */

size_t nart_bytes_max_len(const nart_bytes_tx *tx)
{
    return tx->ring ? tx->ring->max_len : 0;
}

size_t nart_bytes_tx_len(const nart_bytes_tx *tx)
{
    return tx->ring ? nart__bytes_len(tx->ring) : 0;
}

size_t nart_bytes_rx_len(const nart_bytes_rx *rx)
{
    return rx->ring ? nart__bytes_len(rx->ring) : 0;
}

size_t nart_bytes_tx_capacity(const nart_bytes_tx *tx)
{
    return tx->ring ? (size_t)(tx->ring->mask + 1) : 0;
}

size_t nart_bytes_rx_capacity(const nart_bytes_rx *rx)
{
    return rx->ring ? (size_t)(rx->ring->mask + 1) : 0;
}

bool nart_bytes_tx_is_closed(const nart_bytes_tx *tx)
{
    return !tx->ring || nart__bytes_rx_gone(tx->ring);
}

bool nart_bytes_rx_is_closed(const nart_bytes_rx *rx)
{
    return !rx->ring || nart__bytes_tx_gone(rx->ring);
}
