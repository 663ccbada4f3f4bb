/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/chan.h
 * Bounded channels of fixed-size values.
 *
 * | kind            | senders                  | receiver | threads                           |
 * |-----------------|--------------------------|----------|-----------------------------------|
 * | NART_CHAN_LOCAL | many, by nart_tx_clone() | one      | the runtime's own                 |
 * | NART_CHAN_SPSC  | one                      | one      | one per end (see nart_rx_bind())  |
 *
 * Values are copied in and out, first in, first out; a value that could not be sent stays the
 * caller's. What was sent before the sender closed arrives before NART_ECLOSED, under any
 * interleaving. Waiting senders are served in the order they came: each is granted a place, and a
 * place not taken (a race lost, a task cancelled) passes on. A channel lives until both its sides
 * are closed, also after its runtime; what is left in it is then given to `drop_value`.
 *
 * For hot paths NART_CHAN_TYPED(name, T) makes inline functions that copy a T.
 */
#ifndef NART_CHAN_H
#define NART_CHAN_H

#include "atomic.h"
#include "task.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NART_CHAN_LOCAL = 1,
    NART_CHAN_SPSC = 2
};

enum {
    /** SPSC, opened on a runtime with NART_RT_BUSY: the receiver's loop never parks and looks at the
     *  ring at each tick, so sends carry no locked instruction. */
    NART_CHAN_SPINNING = 1
};

#define NART_CHAN_MAX_ELEM 65536u               /**< bytes per value at most */
#define NART_CHAN_MAX_CAPACITY (UINT32_C(1) << 30) /**< values at most */

/** Options of nart_chan_open(). */
typedef struct nart_chan_opts {
    size_t size;     /**< sizeof(nart_chan_opts) */
    uint32_t kind;   /**< NART_CHAN_LOCAL or NART_CHAN_SPSC */
    uint32_t flags;  /**< NART_CHAN_SPINNING */
    size_t elem;     /**< bytes per value */
    size_t capacity; /**< values at least; rounded up to a power of two */
    void (*drop_value)(void *value); /**< destructor of values that are never received, or NULL.
                                      *   **Thread**: that of the last close. */
} nart_chan_opts;

/* The one transparent struct of nart: what the inlines below touch. Frozen; checked by
 * NART__RING_ABI at open and by offset asserts in c_src/chan/. */
#define NART__RING_ABI 1u
#define NART__RING_LINE 128 /* two cache lines: the next one is fetched as well */

typedef struct nart__ring {
    /* written once */
    uint32_t abi, kind;
    uint32_t elem, flags;
    uint64_t mask;
    unsigned char *buf;
    /* local */
    uint64_t head;   /* taken so far */
    uint64_t tail;   /* sent so far */
    uint64_t room;   /* values that may be in flight before a sender must look: capacity, or 0 while
                      * senders wait or the receiver has closed */
    uint32_t waiting; /* NART__RX_WAITS | NART__TX_WAIT: who must be told */
    uint32_t promised; /* places granted to senders that have not come yet */
    unsigned char pad0[NART__RING_LINE - 64];
    /* spsc, the sender's line */
    NART__ATOMIC(uint64_t) sent;       /* values published */
    NART__ATOMIC(uintptr_t) rx_notify; /* 0, or the waker word of the receiver that parked */
    NART__ATOMIC(uint32_t) rx_gone;    /* the receiver has closed */
    unsigned char pad1[NART__RING_LINE - 20];
    /* spsc, the receiver's line */
    NART__ATOMIC(uint64_t) taken;      /* values taken out */
    NART__ATOMIC(uintptr_t) tx_notify; /* 0, or the waker word of the sender that parked */
    NART__ATOMIC(uint32_t) tx_gone;    /* the sender has closed */
    uint32_t rx_dirty; /* receiver's own: the sender will be looked at when the tick ends */
    unsigned char pad2[NART__RING_LINE - 24];
} nart__ring;

enum { NART__RX_WAITS = 1, NART__TX_WAIT = 2 };

/** The sending end. Zeroed = closed. Not copied; moved with nart_tx_move() while nobody waits. */
typedef struct nart_tx {
    nart__wait wait;
    nart__ring *ring;
    uint64_t pos;  /* spsc: values sent */
    uint64_t seen; /* spsc: values known to be taken */
    uint64_t reserved[2];
} nart_tx;

/** The receiving end. Zeroed = closed. Not copied; moved with nart_rx_move() while nobody waits. */
typedef struct nart_rx {
    nart__wait wait;
    nart__ring *ring;
    uint64_t pos;  /* spsc: values taken */
    uint64_t seen; /* spsc: values known to be sent */
    uint64_t reserved[2];
} nart_rx;

/**
 * Opens a channel whose receiver belongs to `rt`.
 * @return 0; -EINVAL an unknown kind or flag, an elem of 0, a capacity of 0, SPINNING on a runtime
 *   that parks or on a local channel; -EOVERFLOW an elem or capacity beyond the limits above;
 *   -ENOMEM; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: both ends are the caller's to close. **Cost**: one allocation.
 */
NART_API NART_MUST_USE nart_res nart_chan_open(nart_rt *rt, const nart_chan_opts *opts, nart_tx *tx,
                                               nart_rx *rx);

/** Another sender of a local channel, into a closed or zeroed handle.
 *  @return 0; -EINVAL not a local channel; NART_ECLOSED `tx` is closed. */
NART_API NART_MUST_USE nart_res nart_tx_clone(const nart_tx *tx, nart_tx *out);

/** Closes an end; a task that waits on the other one is woken. Idempotent; NULL and zeroed handles
 *  are fine. **Thread**: the end's own. */
NART_API void nart_tx_close(nart_tx *tx);
NART_API void nart_rx_close(nart_rx *rx);

/** Moves an end that nobody waits in; `*src` becomes closed. */
NART_API void nart_tx_move(nart_tx *dst, nart_tx *src);
NART_API void nart_rx_move(nart_rx *dst, nart_rx *src);

/** Hands an SPSC receiver to another runtime, or to a plain thread (`rt` NULL), which may use it
 *  once this has returned. @return 0; -EBUSY a task waits in it; -EINVAL a local channel, or a
 *  spinning one and a runtime that parks; NART_ECLOSED. **Thread**: the receiver's until now. */
NART_API NART_MUST_USE nart_res nart_rx_bind(nart_rx *rx, nart_rt *rt);

/** Values in the channel; exact on the thread of a local channel, a moment's truth otherwise. */
NART_API size_t nart_tx_len(const nart_tx *tx);
NART_API size_t nart_rx_len(const nart_rx *rx);
/** Values that fit. 0 when closed. */
NART_API size_t nart_tx_capacity(const nart_tx *tx);
/** Has the other side closed? (A receiver may still find values.) True for a closed handle. */
NART_API bool nart_tx_is_closed(const nart_tx *tx);
NART_API bool nart_rx_is_closed(const nart_rx *rx);

/* Cold halves of the inlines. */
NART_API nart_res nart__send_slow(nart_cx *cx, nart_tx *tx, const void *value);
NART_API nart_res nart__try_send_slow(nart_tx *tx, const void *value);
NART_API nart_res nart__recv_slow(nart_cx *cx, nart_rx *rx, void *value);
NART_API nart_res nart__try_recv_slow(nart_rx *rx, void *value);
NART_API void nart__local_sent(nart__ring *r);
NART_API void nart__local_taken(nart__ring *r);
NART_API void nart__spsc_sent(nart__ring *r);
NART_API void nart__spsc_taken(nart__ring *r);

/* 1: the value is in the channel. 0: look at the slow side. */
static inline int nart__push(nart_tx *tx, const void *value, size_t elem)
{
    nart__ring *r = tx->ring;

    if (NART_UNLIKELY(!r))
        return 0;
    if (r->kind == NART_CHAN_LOCAL) {
        uint64_t tail = r->tail;
        if (NART_UNLIKELY(tail - r->head >= r->room))
            return 0;
        memcpy(r->buf + (tail & r->mask) * elem, value, elem);
        r->tail = tail + 1;
        if (r->waiting)
            nart__local_sent(r);
        return 1;
    }
    uint64_t pos = tx->pos;
    /* relaxed: only says that sending has no point any more */
    if (NART_UNLIKELY(pos - tx->seen > r->mask || NART__LOAD(&r->rx_gone, NART__RELAXED)))
        return 0;
    memcpy(r->buf + (pos & r->mask) * elem, value, elem);
    tx->pos = pos + 1;
    NART__STORE(&r->sent, pos + 1, NART__RELEASE); /* publishes the value */
    if (!(r->flags & NART_CHAN_SPINNING))
        nart__spsc_sent(r);
    return 1;
}

/* 1: a value has been taken out. 0: look at the slow side. */
static inline int nart__pop(nart_rx *rx, void *value, size_t elem)
{
    nart__ring *r = rx->ring;

    if (NART_UNLIKELY(!r))
        return 0;
    if (r->kind == NART_CHAN_LOCAL) {
        uint64_t head = r->head;
        if (NART_UNLIKELY(head == r->tail))
            return 0;
        memcpy(value, r->buf + (head & r->mask) * elem, elem);
        r->head = head + 1;
        if (r->waiting)
            nart__local_taken(r);
        return 1;
    }
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
        nart__spsc_taken(r);
    return 1;
}

/**
 * Sends without waiting.
 * @return 0; -EAGAIN full (or others wait before you); NART_ECLOSED the receiver, or this end, has
 *   closed. On an error the value stays the caller's.
 * **Thread**: the end's own.
 */
static inline nart_res nart_try_send(nart_tx *tx, const void *value)
{
    return NART_LIKELY(tx->ring && nart__push(tx, value, tx->ring->elem))
               ? 0
               : nart__try_send_slow(tx, value);
}

/** Receives without waiting. @return 0; -EAGAIN empty; NART_ECLOSED empty, and the sending side or
 *  this end has closed. **Thread**: the end's own. */
static inline nart_res nart_try_recv(nart_rx *rx, void *value)
{
    return NART_LIKELY(rx->ring && nart__pop(rx, value, rx->ring->elem))
               ? 0
               : nart__try_recv_slow(rx, value);
}

/**
 * Sends, waiting for a place.
 * @return 0; NART_ECLOSED; -EBUSY another task waits in this end; -ECANCELED, -ETIMEDOUT: not sent;
 *   NART_EDRIVER a local channel, under another driver than its loop's. On an error the value stays
 *   the caller's.
 */
static inline NART_MUST_USE nart_res nart_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    if (NART_LIKELY(cx->go > 0 && tx->ring && nart__push(tx, value, tx->ring->elem))) {
        cx->go--;
        return 0;
    }
    return nart__send_slow(cx, tx, value);
}

/** Receives, waiting for a value. @return 0; NART_ECLOSED; -EBUSY, -ECANCELED, -ETIMEDOUT,
 *  NART_EDRIVER as nart_send(); NART_EWRONGTHREAD an SPSC receiver bound to another runtime. No
 *  error takes a value out. */
static inline NART_MUST_USE nart_res nart_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    if (NART_LIKELY(cx->go > 0 && rx->ring && nart__pop(rx, value, rx->ring->elem))) {
        cx->go--;
        return 0;
    }
    return nart__recv_slow(cx, rx, value);
}

/**
 * Typed forms: `name_open(rt, kind, capacity, &tx, &rx)`, `name_send(cx, &tx, value)`,
 * `name_recv(cx, &rx, &value)`, `name_try_send(&tx, value)`, `name_try_recv(&rx, &value)`, with the
 * answers of the functions above. The ends must be of a channel whose elem is sizeof(T).
 */
#define NART_CHAN_TYPED(name, T)                                                                   \
    static inline NART_MUST_USE nart_res name##_open(nart_rt *rt, uint32_t kind, size_t capacity,  \
                                                     nart_tx *tx, nart_rx *rx)                     \
    {                                                                                              \
        nart_chan_opts o = { sizeof(nart_chan_opts), kind, 0, sizeof(T), capacity, NULL };         \
        return nart_chan_open(rt, &o, tx, rx);                                                     \
    }                                                                                              \
    static inline NART_MUST_USE nart_res name##_try_send(nart_tx *tx, T value)                     \
    {                                                                                              \
        return NART_LIKELY(nart__push(tx, &value, sizeof(T))) ? 0                                  \
                                                              : nart__try_send_slow(tx, &value);   \
    }                                                                                              \
    static inline NART_MUST_USE nart_res name##_try_recv(nart_rx *rx, T *value)                    \
    {                                                                                              \
        return NART_LIKELY(nart__pop(rx, value, sizeof(T))) ? 0 : nart__try_recv_slow(rx, value);  \
    }                                                                                              \
    static inline NART_MUST_USE nart_res name##_send(nart_cx *cx, nart_tx *tx, T value)            \
    {                                                                                              \
        if (NART_LIKELY(cx->go > 0 && nart__push(tx, &value, sizeof(T)))) {                        \
            cx->go--;                                                                              \
            return 0;                                                                              \
        }                                                                                          \
        return nart__send_slow(cx, tx, &value);                                                    \
    }                                                                                              \
    static inline NART_MUST_USE nart_res name##_recv(nart_cx *cx, nart_rx *rx, T *value)           \
    {                                                                                              \
        if (NART_LIKELY(cx->go > 0 && nart__pop(rx, value, sizeof(T)))) {                          \
            cx->go--;                                                                              \
            return 0;                                                                              \
        }                                                                                          \
        return nart__recv_slow(cx, rx, value);                                                     \
    }                                                                                              \
    struct name##_chan_typed

#ifdef __cplusplus
}
#endif
#endif
