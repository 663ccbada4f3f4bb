/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/chan.h: the memory layout of a channel, and the fast paths of sending and receiving.
 *
 * The private fields of the ends:
 *
 * | nart_tx | meaning                               | nart_rx | meaning                             |
 * |---------|---------------------------------------|---------|-------------------------------------|
 * | type    | the ring's type; 0: closed            | type    | the ring's type; 0: closed          |
 * | pos     | spsc: values sent                     | pos     | spsc, mpsc: values taken            |
 * | seen    | spsc, mpsc: values known to be taken  | seen    | spsc: values known to be sent       |
 * | waker   | mpsc: of the task waiting in this end |         |                                     |
 */
#ifndef NART_DETAIL_CHAN_H
#define NART_DETAIL_CHAN_H

#include "../chan.h"
#include "ring.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The only transparent struct of nart: the inlines below access it. Its layout is frozen; NART__RING_ABI is
 * checked at open, the offsets by asserts in c_src/chan/. */
#define NART__RING_ABI 1u

/* Kind, flags and size of a value in one word, so that the typed inlines check all three by one comparison.
 * Each end has a copy, which is 0 when the end is closed; the inlines compare that copy. */
#define NART__RING_TYPE(kind, flags, elem)                                                         \
    ((uint64_t)(elem) << 8 | (uint64_t)(flags) << 4 | (uint64_t)(kind))
#define NART__RING_ELEM(type) ((size_t)((type) >> 8))

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): each side has a line of its own */
typedef struct nart__ring {
    /* written once */
    uint64_t type; /* NART__RING_TYPE */
    uint64_t mask; /* capacity - 1 */
    unsigned char *buf;
    /* A sender takes the fast path while fewer values than this are in flight: the capacity. 0 in an SPSC
     * channel whose receiver has shut, and in a local one also while senders wait. */
    NART__ALIGNAS(8) NART__ATOMIC(uint64_t) room;
    /* local */
    uint64_t head;     /* values taken */
    uint64_t tail;     /* values sent */
    uint32_t rx_waits; /* the receiver must be woken for a value, or the end */
    uint32_t reserved; /* slots granted to senders that have not used them yet */
    uint32_t tx_waits; /* senders are queued: the first must be granted a free slot */
    uint32_t stride;   /* bytes from one slot in buf to the next */
    /* spsc and mpsc, written by the senders */
    NART__ALIGNAS(NART__RING_LINE)
    NART__ATOMIC(uint64_t) sent; /* values published; mpsc: see c_src/chan/mpsc.c */
    nart__waker_slot rx_notify;  /* of the receiver */
    /* spsc and mpsc, written by the receiver */
    NART__ALIGNAS(NART__RING_LINE)
    NART__ATOMIC(uint64_t) taken;   /* values received */
    nart__waker_slot tx_notify;     /* of the sender; mpsc: 1 while senders are queued */
    NART__ATOMIC(uint32_t) tx_gone; /* spsc: the sender has closed */
    uint32_t rx_dirty;              /* receiver only: its loop will check tx_notify */
} nart__ring;

/* nart_chan_open() with the layout version that the caller's inlines were compiled with. */
NART_API NART_MUST_USE nart_res nart__chan_open(nart_rt *rt, const nart_chan_opts *opts,
                                                uint32_t abi, nart_tx *tx, nart_rx *rx);

static inline nart_res nart_chan_open(nart_rt *rt, const nart_chan_opts *opts, nart_tx *tx,
                                      nart_rx *rx)
{
    return nart__chan_open(rt, opts, NART__RING_ABI, tx, rx);
}

/* Slow paths; the inlines of send and recv have counted them in cx->go already. They return -EINVAL if
 * the ring's values do not have `elem` bytes. */
NART_API nart_res nart__send_slow(nart_cx *cx, nart_tx *tx, const void *value, size_t elem);
NART_API nart_res nart__try_send_slow(nart_tx *tx, const void *value, size_t elem);
NART_API nart_res nart__recv_slow(nart_cx *cx, nart_rx *rx, void *value, size_t elem);
NART_API nart_res nart__try_recv_slow(nart_rx *rx, void *value, size_t elem);
NART_API nart_res nart__tx_reserve(nart_cx *cx, nart_tx *tx, size_t elem);
NART_API nart_res nart__tx_try_reserve(nart_tx *tx, size_t elem);
NART_API void nart__local_sent(nart__ring *r);
NART_API void nart__local_taken(nart__ring *r);
NART_API void nart__ring_taken(nart__ring *r);
NART_API int nart__spsc_notified(nart_tx *tx, uintptr_t found);

/* mpsc: flags of `sent`; the number of claimed slots is in the bits above them. */
#define NART__MPSC_PARKED UINT64_C(1) /* the next claim wakes the receiver */
#define NART__MPSC_QUEUED UINT64_C(2) /* senders wait: slots are claimed under the lock only */
#define NART__MPSC_GONE UINT64_C(4)   /* all senders have closed */
#define NART__MPSC_SHUT UINT64_C(8)   /* the receiver has shut: claims are refused */
#define NART__MPSC_PLACE UINT64_C(16)

/* mpsc: the sequence number at the end of a slot, behind the value: the value's position + 1. */
typedef NART__ATOMIC(uint64_t) nart__mpsc_turn;

/* Bytes from one slot to the next: the value, aligned for any type of its size, and the sequence
 * number. */
static inline size_t nart__mpsc_stride(size_t elem)
{
    /* a type's alignment divides its size, so the largest power of two in the size is enough */
    size_t align = elem & (~elem + 1);
    if (align < sizeof(nart__mpsc_turn))
        align = sizeof(nart__mpsc_turn);
    if (align > NART__RING_LINE)
        align = NART__RING_LINE;
    return (elem + sizeof(nart__mpsc_turn) + align - 1) & ~(align - 1);
}

/* In typed forms the stride is a compile-time constant. */
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

/* Writes the value into the slot claimed for it. */
static inline void nart__mpsc_put(const nart__ring *r, unsigned char *place, uint64_t pos,
                                  const void *value, size_t elem)
{
    nart__mpsc_turn *turn = nart__mpsc_turn_of(r, place, elem);

    memcpy(place, value, elem);
    NART__STORE(turn, pos + 1, NART__RELEASE); /* publishes the value */
}

/* Takes the value out of its slot, if it has been published. */
static inline int nart__mpsc_get(const nart__ring *r, uint64_t pos, void *value, size_t elem)
{
    unsigned char *place = nart__mpsc_place(r, pos, elem);

    /* Acquire: the whole value is visible. */
    if (NART__LOAD(nart__mpsc_turn_of(r, place, elem), NART__ACQUIRE) != pos + 1)
        return 0;
    memcpy(value, place, elem);
    return 1;
}

/* The common case: this sender knows of a free slot, no sender is queued, and no other claims at the same
 * time. Work that can be done before the claim is done before it: the receiver may be waiting for what
 * follows the claim. */
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
    /* Relaxed: it publishes no data; for the waker that PARKED stands for, see nart__mpsc_park(). */
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
    NART__STORE(&r->taken, pos + 1, NART__RELEASE); /* the copy is done before the slot is free */
    if (NART_UNLIKELY(!r->rx_dirty))
        nart__ring_taken(r);
    return 1;
}

/* The inline halves of operations that wait (`awaits` is 1). When an operation completes, the running task's
 * wait in that end has ended; the slow path ends it. In a local channel a wait may remain until the end of the
 * poll: while a sender waits, the fast path finds no room, and a receiver's wait is withdrawn by whatever
 * closes or moves its handle, or spawns a task with it (see nart__leave_range() in c_src/wait/wait.c). */

/* 1: the value is in the channel. 0: take the slow path. */
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
    /* Relaxed: a change only means that sending has become pointless. */
    if (NART_UNLIKELY(pos - tx->seen >= NART__LOAD(&r->room, NART__RELAXED)))
        return 0;
    memcpy(r->buf + (pos & r->mask) * elem, value, elem);
    tx->pos = pos + 1;
    NART__STORE(&r->sent, pos + 1, NART__RELEASE); /* publishes the value */
    if (spinning) {
        /* Either a receiver that shuts sees the value, or its shut is seen here: see c_src/chan/spsc.c. */
        NART__BARRIER_LIGHT();
        if (NART_LIKELY(NART__LOAD(&r->room, NART__RELAXED) != 0))
            return 1;
    }
    /* The memory orders are those of nart__waker_slot_wake(). */
    uintptr_t found = NART__EXCHANGE(&r->rx_notify, (uintptr_t)0, NART__ACQ_REL);
    return NART_LIKELY(found == 0) ? 1 : nart__spsc_notified(tx, found);
}

/* 1: a value has been taken out. 0: take the slow path. */
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
        rx->seen = NART__LOAD(&r->sent, NART__ACQUIRE); /* the values before it are visible */
        if (pos == rx->seen)
            return 0;
    }
    memcpy(value, r->buf + (pos & r->mask) * elem, elem);
    rx->pos = pos + 1;
    NART__STORE(&r->taken, pos + 1, NART__RELEASE); /* the copy is done before the slot is free */
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

static inline nart_res nart_tx_reserve(nart_cx *cx, nart_tx *tx)
{
    return nart__tx_reserve(cx, tx, NART__RING_ELEM(tx->type));
}

static inline nart_res nart_tx_try_reserve(nart_tx *tx)
{
    return nart__tx_try_reserve(tx, NART__RING_ELEM(tx->type));
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
        T kept = value; /* so that `value` itself can stay in registers */                         \
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
#define NART__CHAN_RESERVE(fn, T)                                                                  \
    NART__MACRO_FN fn(nart_cx *cx, nart_tx *tx)                                                    \
    {                                                                                              \
        return nart__tx_reserve(cx, tx, sizeof(T));                                                \
    }
#define NART__CHAN_TRY_RESERVE(fn, T)                                                              \
    NART__MACRO_FN fn(nart_tx *tx)                                                                 \
    {                                                                                              \
        return nart__tx_try_reserve(tx, sizeof(T));                                                \
    }

#ifdef __cplusplus
}
#endif
#endif
