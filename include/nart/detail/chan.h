/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/chan.h: the memory of a channel, and the fast halves of sending and receiving.
 *
 * The private fields of the ends:
 *
 * | nart_tx | is                                    | nart_rx | is                                  |
 * |---------|---------------------------------------|---------|-------------------------------------|
 * | type    | that of the ring; 0: closed           | type    | that of the ring; 0: closed         |
 * | pos     | spsc: values sent                     | pos     | spsc, mpsc: values taken            |
 * | seen    | spsc, mpsc: values known to be taken  | seen    | spsc: values known to be sent       |
 * | waker   | mpsc: of the task that waits in here  |         |                                     |
 */
#ifndef NART_DETAIL_CHAN_H
#define NART_DETAIL_CHAN_H

#include "../chan.h"
#include "ring.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The one transparent struct of nart: what the inlines below touch. Frozen; checked by
 * NART__RING_ABI at open and by offset asserts in c_src/chan/. */
#define NART__RING_ABI 1u

/* Kind, flags and size of a value in one word, so that the typed inlines compare them at once. Each
 * end has a copy, which is 0 when it is closed: that is compared with it. */
#define NART__RING_TYPE(kind, flags, elem)                                                         \
    ((uint64_t)(elem) << 8 | (uint64_t)(flags) << 4 | (uint64_t)(kind))
#define NART__RING_ELEM(type) ((size_t)((type) >> 8))

typedef struct nart__ring {
    /* written once */
    uint64_t type; /* NART__RING_TYPE */
    uint64_t mask; /* capacity - 1 */
    unsigned char *buf;
    /* Values in flight from which on a sender must look: the capacity. 0 in an SPSC channel whose
     * receiver has shut, and in a local one also while senders wait. */
    NART__ATOMIC(uint64_t) room;
    /* local */
    uint64_t head;     /* taken so far */
    uint64_t tail;     /* sent so far */
    uint32_t rx_waits; /* the receiver must be told of a value, or the end */
    uint32_t reserved; /* places granted to senders that have not come yet */
    uint32_t tx_waits; /* senders are queued: the first must be told of a place */
    uint32_t stride;   /* bytes from one place in buf to the next */
    unsigned char pad0[NART__RING_LINE - 64];
    /* spsc and mpsc, the senders' line */
    NART__ATOMIC(uint64_t) sent; /* values published; mpsc: see c_src/chan/mpsc.c */
    nart__waker_slot rx_notify;  /* the receiver's */
    unsigned char pad1[NART__RING_LINE - 16];
    /* spsc and mpsc, the receiver's line */
    NART__ATOMIC(uint64_t) taken;   /* values taken out */
    nart__waker_slot tx_notify;     /* the sender's; mpsc: 1 while senders are queued */
    NART__ATOMIC(uint32_t) tx_gone; /* spsc: the sender has closed */
    uint32_t rx_dirty;              /* receiver's own: its loop is going to look at tx_notify */
    unsigned char pad2[NART__RING_LINE - 24];
} nart__ring;

/* nart_chan_open() with the number of the ring that the caller's inlines know. */
NART_API NART_MUST_USE nart_res nart__chan_open(nart_rt *rt, const nart_chan_opts *opts,
                                                uint32_t abi, nart_tx *tx, nart_rx *rx);

static inline nart_res nart_chan_open(nart_rt *rt, const nart_chan_opts *opts, nart_tx *tx,
                                      nart_rx *rx)
{
    return nart__chan_open(rt, opts, NART__RING_ABI, tx, rx);
}

/* Cold halves; send and recv have been counted in cx->go by their inlines. They answer -EINVAL when
 * the ring's values are not of `elem` bytes. */
NART_API nart_res nart__send_slow(nart_cx *cx, nart_tx *tx, const void *value, size_t elem);
NART_API nart_res nart__try_send_slow(nart_tx *tx, const void *value, size_t elem);
NART_API nart_res nart__recv_slow(nart_cx *cx, nart_rx *rx, void *value, size_t elem);
NART_API nart_res nart__try_recv_slow(nart_rx *rx, void *value, size_t elem);
NART_API void nart__local_sent(nart__ring *r);
NART_API void nart__local_taken(nart__ring *r);
NART_API void nart__ring_taken(nart__ring *r);
NART_API int nart__spsc_notified(nart_tx *tx, uintptr_t found);

/* mpsc: flags of `sent`; the number of places claimed is above them. */
#define NART__MPSC_PARKED UINT64_C(1) /* the next claim wakes the receiver */
#define NART__MPSC_QUEUED UINT64_C(2) /* senders wait: places are claimed under the lock only */
#define NART__MPSC_GONE UINT64_C(4)   /* all senders have closed */
#define NART__MPSC_SHUT UINT64_C(8)   /* the receiver refuses: no place is claimed any more */
#define NART__MPSC_PLACE UINT64_C(16)

/* mpsc: at the end of a place, behind the value: its number + 1. */
typedef NART__ATOMIC(uint64_t) nart__mpsc_turn;

/* Bytes from one place to the next: the value, aligned as its size asks, and the turn. */
static inline size_t nart__mpsc_stride(size_t elem)
{
    /* the alignment of a type divides its size */
    size_t align = elem & (~elem + 1);
    if (align < sizeof(nart__mpsc_turn))
        align = sizeof(nart__mpsc_turn);
    if (align > NART__RING_LINE)
        align = NART__RING_LINE;
    return (elem + sizeof(nart__mpsc_turn) + align - 1) & ~(align - 1);
}

/* Typed forms know it beforehand, and need not multiply. */
static inline size_t nart__mpsc_stride_of(const nart__ring *r, size_t elem)
{
    return __builtin_constant_p(elem) ? nart__mpsc_stride(elem) : r->stride;
}

static inline unsigned char *nart__mpsc_place(const nart__ring *r, uint64_t pos, size_t elem)
{
    return r->buf + (pos & r->mask) * nart__mpsc_stride_of(r, elem);
}

static inline nart__mpsc_turn *nart__mpsc_turn_of(const nart__ring *r, unsigned char *place,
                                                  size_t elem)
{
    return (nart__mpsc_turn *)(void *)(place + nart__mpsc_stride_of(r, elem) -
                                       sizeof(nart__mpsc_turn));
}

/* Into the place that was claimed for it. */
static inline void nart__mpsc_put(const nart__ring *r, unsigned char *place, uint64_t pos,
                                  const void *value, size_t elem)
{
    nart__mpsc_turn *turn = nart__mpsc_turn_of(r, place, elem);

    memcpy(place, value, elem);
    NART__STORE(turn, pos + 1, NART__RELEASE); /* publishes the value */
}

/* Takes the value out of its place, if it is there. */
static inline int nart__mpsc_get(const nart__ring *r, uint64_t pos, void *value, size_t elem)
{
    unsigned char *place = nart__mpsc_place(r, pos, elem);

    /* Acquire: all of the value. */
    if (NART__LOAD(nart__mpsc_turn_of(r, place, elem), NART__ACQUIRE) != pos + 1)
        return 0;
    memcpy(value, place, elem);
    return 1;
}

/* The plain case: room that this sender knows of, nobody queued, no other claim at the same time.
 * What can be done before the claim is done there: the receiver waits for what comes after it. */
static inline int nart__mpsc_push(nart_tx *tx, const void *value, size_t elem)
{
    nart__ring *r = tx->ring;

    if (NART_UNLIKELY((tx->type | NART__RING_TYPE(0, NART_CHAN_SPINNING, 0)) !=
                      NART__RING_TYPE(NART_CHAN_MPSC, NART_CHAN_SPINNING, elem)))
        return 0;
    uint64_t sent = NART__LOAD(&r->sent, NART__RELAXED), pos = sent / NART__MPSC_PLACE;
    if (NART_UNLIKELY(pos - tx->seen >= NART__LOAD(&r->room, NART__RELAXED) ||
                      sent & (NART__MPSC_QUEUED | NART__MPSC_SHUT)))
        return 0;
    unsigned char *place = nart__mpsc_place(r, pos, elem);
    /* Relaxed: no data goes by it; for the waker that PARKED stands for see nart__mpsc_park(). */
    if (NART_UNLIKELY(!NART__CAS(&r->sent, &sent, (sent & ~NART__MPSC_PARKED) + NART__MPSC_PLACE,
                                 NART__RELAXED, NART__RELAXED)))
        return 0;
    nart__mpsc_put(r, place, pos, value, elem);
    if (NART_UNLIKELY(sent & NART__MPSC_PARKED))
        nart__waker_slot_wake(&r->rx_notify);
    return 1;
}

static inline int nart__mpsc_pop(nart_rx *rx, void *value, size_t elem)
{
    nart__ring *r = rx->ring;

    if (NART_UNLIKELY((rx->type | NART__RING_TYPE(0, NART_CHAN_SPINNING, 0)) !=
                      NART__RING_TYPE(NART_CHAN_MPSC, NART_CHAN_SPINNING, elem)))
        return 0;
    uint64_t pos = rx->pos;
    if (NART_UNLIKELY(!nart__mpsc_get(r, pos, value, elem)))
        return 0;
    rx->pos = pos + 1;
    NART__STORE(&r->taken, pos + 1, NART__RELEASE); /* the copy is done before the place is free */
    if (NART_UNLIKELY(!r->rx_dirty))
        nart__ring_taken(r);
    return 1;
}

/* The inline halves of what awaits (`awaits` is 1). A wait that the running task still has in the end is
 * over with the answer; the slow side ends it. In a local channel it may stay until the poll ends: a sender
 * that waits finds no room here, and a receiver is withdrawn by whatever closes, moves or spawns its
 * handle away (see nart__leave_range() in c_src/wait/wait.c). */

/* 1: the value is in the channel. 0: look at the slow side. */
static inline int nart__push(nart_tx *tx, const void *value, size_t elem, int awaits)
{
    nart__ring *r = tx->ring;

    if (tx->type == NART__RING_TYPE(NART_CHAN_LOCAL, 0, elem)) {
        uint64_t tail = r->tail;
        if (NART_UNLIKELY(tail - r->head >= NART__LOAD(&r->room, NART__RELAXED)))
            return 0;
        memcpy(r->buf + (tail & r->mask) * elem, value, elem);
        r->tail = tail + 1;
        if (r->rx_waits)
            nart__local_sent(r);
        return 1;
    }
    if (awaits && NART_UNLIKELY(tx->wait.task != NULL))
        return 0;
    bool spinning = tx->type == NART__RING_TYPE(NART_CHAN_SPSC, NART_CHAN_SPINNING, elem);
    if (!spinning && tx->type != NART__RING_TYPE(NART_CHAN_SPSC, 0, elem))
        return nart__mpsc_push(tx, value, elem);
    uint64_t pos = tx->pos;
    /* Relaxed: it changes only to say that sending has no point any more. */
    if (NART_UNLIKELY(pos - tx->seen >= NART__LOAD(&r->room, NART__RELAXED)))
        return 0;
    memcpy(r->buf + (pos & r->mask) * elem, value, elem);
    tx->pos = pos + 1;
    NART__STORE(&r->sent, pos + 1, NART__RELEASE); /* publishes the value */
    if (spinning) {
        /* A receiver that shuts has not seen the value, or is seen here: see c_src/chan/spsc.c. */
        NART__BARRIER_LIGHT();
        if (NART_LIKELY(NART__LOAD(&r->room, NART__RELAXED) != 0))
            return 1;
    }
    /* The orders are those of nart__waker_slot_wake(). */
    uintptr_t found = NART__EXCHANGE(&r->rx_notify, (uintptr_t)0, NART__ACQ_REL);
    return NART_LIKELY(found == 0) ? 1 : nart__spsc_notified(tx, found);
}

/* 1: a value has been taken out. 0: look at the slow side. */
static inline int nart__pop(nart_rx *rx, void *value, size_t elem, int awaits)
{
    nart__ring *r = rx->ring;

    if (rx->type == NART__RING_TYPE(NART_CHAN_LOCAL, 0, elem)) {
        uint64_t head = r->head;
        if (NART_UNLIKELY(head == r->tail))
            return 0;
        memcpy(value, r->buf + (head & r->mask) * elem, elem);
        r->head = head + 1;
        if (NART_UNLIKELY(r->tx_waits))
            nart__local_taken(r);
        return 1;
    }
    if (awaits && NART_UNLIKELY(rx->wait.task != NULL))
        return 0;
    if ((rx->type | NART__RING_TYPE(0, NART_CHAN_SPINNING, 0)) !=
        NART__RING_TYPE(NART_CHAN_SPSC, NART_CHAN_SPINNING, elem))
        return nart__mpsc_pop(rx, value, elem);
    uint64_t pos = rx->pos;
    if (NART_UNLIKELY(pos == rx->seen)) {
        rx->seen = NART__LOAD(&r->sent, NART__ACQUIRE); /* the values up to there */
        if (pos == rx->seen)
            return 0;
    }
    memcpy(value, r->buf + (pos & r->mask) * elem, elem);
    rx->pos = pos + 1;
    NART__STORE(&r->taken, pos + 1, NART__RELEASE); /* the copy is done before the place is free */
    if (NART_UNLIKELY(!r->rx_dirty))
        nart__ring_taken(r);
    return 1;
}

static inline nart_res nart_try_send(nart_tx *tx, const void *value)
{
    size_t elem = NART__RING_ELEM(tx->type);

    return NART_LIKELY(nart__push(tx, value, elem, 0)) ? 0 : nart__try_send_slow(tx, value, elem);
}

static inline nart_res nart_try_recv(nart_rx *rx, void *value)
{
    size_t elem = NART__RING_ELEM(rx->type);

    return NART_LIKELY(nart__pop(rx, value, elem, 0)) ? 0 : nart__try_recv_slow(rx, value, elem);
}

static inline nart_res nart_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    size_t elem = NART__RING_ELEM(tx->type);

    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__push(tx, value, elem, 1)))
        return 0;
    return nart__send_slow(cx, tx, value, elem);
}

static inline nart_res nart_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    size_t elem = NART__RING_ELEM(rx->type);

    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__pop(rx, value, elem, 1)))
        return 0;
    return nart__recv_slow(cx, rx, value, elem);
}

/* The functions of NART_CHAN_TYPED(). */
#define NART__CHAN_OPEN(fn, T)                                                                     \
    NART__MACRO_FN fn(nart_rt *rt, uint32_t kind, size_t capacity, nart_tx *tx, nart_rx *rx)       \
    {                                                                                              \
        nart_chan_opts o = { sizeof(nart_chan_opts), kind, 0, sizeof(T), capacity, NULL };         \
        return nart_chan_open(rt, &o, tx, rx);                                                     \
    }
#define NART__CHAN_TRY_SEND(fn, T)                                                                 \
    NART__MACRO_FN fn(nart_tx *tx, T value)                                                        \
    {                                                                                              \
        if (NART_LIKELY(nart__push(tx, &value, sizeof(T), 0)))                                     \
            return 0;                                                                              \
        T kept = value; /* so that value itself needs no memory */                                 \
        return nart__try_send_slow(tx, &kept, sizeof(T));                                          \
    }
#define NART__CHAN_TRY_RECV(fn, T)                                                                 \
    NART__MACRO_FN fn(nart_rx *rx, T *value)                                                       \
    {                                                                                              \
        if (NART_LIKELY(nart__pop(rx, value, sizeof(T), 0)))                                       \
            return 0;                                                                              \
        return nart__try_recv_slow(rx, value, sizeof(T));                                          \
    }
#define NART__CHAN_SEND(fn, T)                                                                     \
    NART__MACRO_FN fn(nart_cx *cx, nart_tx *tx, T value)                                           \
    {                                                                                              \
        if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__push(tx, &value, sizeof(T), 1)))       \
            return 0;                                                                              \
        T kept = value;                                                                            \
        return nart__send_slow(cx, tx, &kept, sizeof(T));                                          \
    }
#define NART__CHAN_RECV(fn, T)                                                                     \
    NART__MACRO_FN fn(nart_cx *cx, nart_rx *rx, T *value)                                          \
    {                                                                                              \
        if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__pop(rx, value, sizeof(T), 1)))         \
            return 0;                                                                              \
        return nart__recv_slow(cx, rx, value, sizeof(T));                                          \
    }

#ifdef __cplusplus
}
#endif
#endif
