/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/chan.h
 * Bounded channels of fixed-size values.
 *
 * | kind            | senders                  | receiver | threads                           |
 * |-----------------|--------------------------|----------|-----------------------------------|
 * | NART_CHAN_LOCAL | many, by nart_tx_clone() | one      | the runtime's own                 |
 * | NART_CHAN_SPSC  | one                      | one      | one per end (see nart_rx_bind())  |
 * | NART_CHAN_MPSC  | many, by nart_tx_clone() | one      | one per end (see nart_rx_bind())  |
 *
 * Values are copied in and out, first in, first out. A value may have handles in it, or pointers: after a
 * send that answered 0 the receiver owns what it refers to, so zero your copy and close nothing in it
 * (NART_TASK_TYPED in nart/rt.h lists the handles that move so). A value that could not be sent stays the
 * caller's. What was sent before the sender closed arrives before NART_ECLOSED, under any
 * interleaving. Waiting senders are served in the order they came, across threads, too: each is
 * granted a place, and a place not taken (a race lost, a task cancelled) passes on. A channel lives
 * until both its sides are closed, also after its runtime. What is left in it when the receiver closes
 * is given to `drop_value` then and there; to receive it, call nart_rx_shut() first.
 *
 * A receiver finds NART_ECLOSED when the last sender is closed. A sender in the frame of a task that has
 * ended is open until that frame is dropped, which waits for the release of the task's join handle. So a
 * body closes its ends before it ends: see nart_task_type.
 *
 * After an answer other than NART_PENDING the end may be moved (nart_rx_move(), or in the frame of a task
 * that is spawned) or closed, and its memory freed, at once.
 *
 * For hot paths NART_CHAN_TYPED(name, T) makes inline functions that copy a T:
 *
 *     NART_CHAN_TYPED(quotes, struct quote);
 *
 *     for (;;) {
 *         NART_AWAIT(r, quotes_recv(cx, &f->rx, &f->quote));
 *         if (r < 0)
 *             break;               // NART_ECLOSED: all senders have closed, all was received
 *         f->count++;
 *     }
 *     nart_rx_close(&f->rx);
 */
#ifndef NART_CHAN_H
#define NART_CHAN_H

#include "atomic.h"
#include "task.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NART_CHAN_LOCAL = 1, NART_CHAN_SPSC = 2, NART_CHAN_MPSC = 3 };

enum {
    /** SPSC and MPSC, opened on a runtime with NART_RT_SPINNING: the receiver's loop never parks and looks
     *  at the ring at each tick, so senders wake nobody; SPSC sends carry no locked instruction. A
     *  receiver that is used while its loop does not run wakes a waiting sender with each value. */
    NART_CHAN_SPINNING = 1
};

#define NART_CHAN_MAX_ELEM 65536u                  /**< bytes per value at most */
#define NART_CHAN_MAX_CAPACITY (UINT32_C(1) << 30) /**< values at most */
#define NART_CHAN_MANY 256u                        /**< values that one answer moves at most */

/** Options of nart_chan_open(); begin with NART_CHAN_OPTS_INIT. */
typedef struct nart_chan_opts {
    size_t size;                     /**< sizeof(nart_chan_opts) */
    uint32_t kind;                   /**< NART_CHAN_LOCAL, _SPSC or _MPSC */
    uint32_t flags;                  /**< NART_CHAN_SPINNING */
    size_t elem;                     /**< bytes per value */
    size_t capacity;                 /**< values at least; rounded up to a power of two */
    void (*drop_value)(void *value); /**< destructor of values that are sent and never received, or
                                      *   NULL; see nart_rx_close(). **Thread**: the receiver's; SPSC:
                                      *   or the sender's, in a send that the close overtakes. */
} nart_chan_opts;

#define NART_CHAN_OPTS_INIT NART__SIZED(nart_chan_opts)

/* The one transparent struct of nart: what the inlines below touch. Frozen; checked by
 * NART__RING_ABI at open and by offset asserts in c_src/chan/. */
#define NART__RING_ABI 1u
#define NART__RING_LINE 128 /* two cache lines: the next one is fetched as well */

/* Kind, flags and size of a value in one word, so that the typed inlines compare them at once. Each
 * end has a copy, which is 0 when it is closed: that is compared with it. */
#define NART__RING_TYPE(kind, flags, elem)                                                         \
    ((uint64_t)(elem) << 8 | (uint64_t)(flags) << 4 | (uint64_t)(kind))
#define NART__RING_ELEM(type) ((size_t)((type) >> 8))

/* 0, or the waker word of a task that has parked. */
typedef NART__ATOMIC(uintptr_t) nart__waker_slot;

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

/** The sending end. Zeroed = closed. Not copied; moved with nart_tx_move(). */
typedef struct nart_tx {
    nart__wait wait;
    nart__ring *ring;
    uint64_t type;  /* the ring's */
    uint64_t pos;   /* spsc: values sent */
    uint64_t seen;  /* spsc, mpsc: values known to be taken */
    uint64_t waker; /* mpsc: of who waits in here */
} nart_tx;

/** The receiving end. Zeroed = closed. Not copied; moved with nart_rx_move(). */
typedef struct nart_rx {
    nart__wait wait;
    nart__ring *ring;
    uint64_t type; /* the ring's */
    uint64_t pos;  /* spsc, mpsc: values taken */
    uint64_t seen; /* spsc: values known to be sent */
    uint64_t reserved;
} nart_rx;

/* nart_chan_open() with the number of the ring that the caller's inlines know. */
NART_API NART_MUST_USE nart_res nart__chan_open(nart_rt *rt, const nart_chan_opts *opts,
                                                uint32_t abi, nart_tx *tx, nart_rx *rx);

/**
 * Opens a channel whose receiver belongs to `rt`. The ends may be uninitialised before. On an error both
 * are closed handles.
 * @return 0; -EINVAL a missing argument, an unknown kind or flag, an elem of 0, a capacity of 0,
 *   SPINNING on a runtime that parks or on a local channel; -EOVERFLOW an elem or capacity beyond
 *   the limits above; -ENOMEM; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: both ends are the caller's to close. **Thread**: that of `rt`; each sender of an
 * SPSC or MPSC channel may then be used by any one thread. **Cost**: one allocation; MPSC: and a
 * word written for each place.
 */
static inline NART_MUST_USE nart_res nart_chan_open(nart_rt *rt, const nart_chan_opts *opts,
                                                    nart_tx *tx, nart_rx *rx)
{
    return nart__chan_open(rt, opts, NART__RING_ABI, tx, rx);
}

/** Another sender of a local or an MPSC channel, into a closed or zeroed handle.
 *  @return 0; -EINVAL an SPSC channel; NART_ECLOSED `tx` is closed. **Thread**: that of `tx`; the new
 *  sender of an MPSC channel may then be used by any one thread. */
NART_API NART_MUST_USE nart_res nart_tx_clone(const nart_tx *tx, nart_tx *out);

/**
 * The receiver refuses new values, and drains. From now on each send answers NART_ECLOSED, and the
 * value stays the caller's; tasks and threads that wait to send are woken for it. What was sent before
 * is received as usual, then NART_ECLOSED. A send that runs on another thread meanwhile is either: if it
 * answers 0, its value will be received. So a receiver that shuts, receives until NART_ECLOSED and
 * closes loses nothing. Another task that waits in this end is woken. Idempotent; NULL and closed
 * handles are fine. **Thread**: the end's own. **Cost**: SPSC with SPINNING: membarrier(2), which
 * interrupts the process's other running threads for about a microsecond.
 */
NART_API void nart_rx_shut(nart_rx *rx);

/**
 * Closes an end. A task that waits on the other one is woken, and so is another task that waits in
 * this one: it finds the end closed. Idempotent; NULL and zeroed handles are fine.
 *
 * The receiver's close shuts, and then calls `drop_value` for each value that is left, before it
 * returns. The value of a send that runs on another thread meanwhile stays its caller's (NART_ECLOSED),
 * or is dropped as well (0). MPSC: the close waits for sends that have begun, which takes the time of a
 * copy. SPSC: such a send may drop what is left in the place of the close. `drop_value` may close any
 * handle but the end whose call runs it. **Thread**: the end's own. **Cost**: that of nart_rx_shut(), and of `drop_value`.
 */
NART_API void nart_tx_close(nart_tx *tx);
NART_API void nart_rx_close(nart_rx *rx);

/** Moves an end into a closed or zeroed handle; `*src` becomes closed. Meant for an end that nobody
 *  waits in: a task that does is woken, and finds `*src` closed. **Thread**: the end's own. */
NART_API void nart_tx_move(nart_tx *dst, nart_tx *src);
NART_API void nart_rx_move(nart_rx *dst, nart_rx *src);

/**
 * Gives an SPSC or MPSC receiver to another runtime; with `rt` NULL to none: then whichever thread it is
 * handed to may use it, or bind it to a runtime of its own. A receiver without a runtime tells the
 * senders of each value at once (a locked instruction), one with a runtime once per tick; without
 * one a SPINNING receiver cannot be awaited.
 * @return 0; -EBUSY a task waits in it; -EINVAL a local channel, or a SPINNING one and a runtime
 *   that parks; NART_ECLOSED; NART_EWRONGTHREAD, NART_EFORK of either runtime.
 * **Thread**: that of both runtimes: between threads it takes two calls.
 */
NART_API NART_MUST_USE nart_res nart_rx_bind(nart_rx *rx, nart_rt *rt);

/** Values in the channel; exact on the thread of a local channel, a moment's truth otherwise.
 *  0 when closed. */
NART_API size_t nart_tx_len(const nart_tx *tx);
NART_API size_t nart_rx_len(const nart_rx *rx);
/** Values that fit. 0 when closed. */
NART_API size_t nart_tx_capacity(const nart_tx *tx);
/** Has the other side closed, or, seen from a sender, shut? True for a closed handle. One's own
 *  nart_rx_shut() does not count. A receiver may still find values: what nart_rx_len() says afterwards is
 *  all of them. */
NART_API bool nart_tx_is_closed(const nart_tx *tx);
NART_API bool nart_rx_is_closed(const nart_rx *rx);

/* ---- the inlines ----------------------------------------------------------------------------- */

/* A function that a macro defines, used or not. */
#if defined __GNUC__
#define NART__CHAN_FN static inline __attribute__((unused)) NART_MUST_USE nart_res
#else
#define NART__CHAN_FN static inline nart_res
#endif

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

/* Wakes whoever has left a waker in this slot. Release: what was published before is there when the
 * other side finds that its waker was taken. Acquire: the waker's own memory is there to be woken. */
static inline void nart__waker_slot_wake(nart__waker_slot *slot)
{
    nart_waker waker;

    waker.w = NART__EXCHANGE(slot, (uintptr_t)0, NART__ACQ_REL);
    if (NART_UNLIKELY(waker.w != 0))
        nart_waker_wake(waker);
}

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

/**
 * Sends without waiting.
 * @return 0; -EAGAIN full (or others wait before you); NART_ECLOSED the receiver, or this end, has
 *   closed; NART_EFORK in a child of fork, where others waited. On an error the value stays the
 *   caller's.
 * **Thread**: the end's own. **Cost**: a copy; SPSC to a receiver that is not SPINNING, and MPSC: and
 * one locked instruction; MPSC while others wait: a lock that is held for a few instructions.
 */
static inline NART_MUST_USE nart_res nart_try_send(nart_tx *tx, const void *value)
{
    size_t elem = NART__RING_ELEM(tx->type);

    return NART_LIKELY(nart__push(tx, value, elem, 0)) ? 0 : nart__try_send_slow(tx, value, elem);
}

/** Receives without waiting. @return 0; -EAGAIN empty, or (MPSC) a sender is just putting the next
 *  value in; NART_ECLOSED empty, and the sending side or this end has closed. **Thread**: the end's
 *  own. **Cost**: a copy. */
static inline NART_MUST_USE nart_res nart_try_recv(nart_rx *rx, void *value)
{
    size_t elem = NART__RING_ELEM(rx->type);

    return NART_LIKELY(nart__pop(rx, value, elem, 0)) ? 0 : nart__try_recv_slow(rx, value, elem);
}

/**
 * Sends, waiting for a place.
 * @return 0; NART_ECLOSED; -EBUSY another task waits in this end; -ECANCELED, -ETIMEDOUT: not sent;
 *   NART_EFORK as nart_try_send(); NART_EDRIVER it would wait in a local channel under another driver
 *   than its runtime's. On an error the value stays the caller's.
 * **Thread**: the end's own.
 */
static inline NART_MUST_USE nart_res nart_send(nart_cx *cx, nart_tx *tx, const void *value)
{
    size_t elem = NART__RING_ELEM(tx->type);

    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__push(tx, value, elem, 1)))
        return 0;
    return nart__send_slow(cx, tx, value, elem);
}

/** Receives, waiting for a value. @return 0; NART_ECLOSED; -EBUSY, -ECANCELED, -ETIMEDOUT,
 *  NART_EDRIVER as nart_send(); NART_EWRONGTHREAD an SPSC or MPSC receiver that belongs to another
 *  runtime, or a SPINNING one without. No error takes a value out. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_recv(nart_cx *cx, nart_rx *rx, void *value)
{
    size_t elem = NART__RING_ELEM(rx->type);

    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__pop(rx, value, elem, 1)))
        return 0;
    return nart__recv_slow(cx, rx, value, elem);
}

/* ---- several values by one call ----------------------------------------------------------------
 * One answer moves NART_CHAN_MANY values or 64 KiB at most, at least one value: so no call holds its
 * loop for long. */

/**
 * Sends as many of the `n` contiguous values as fit, without waiting.
 * @return how many, at least 1; 0 when `n` is 0; -EINVAL `values` is NULL; the errors of
 *   nart_try_send(). **Ownership**: values that were not sent stay the caller's. **Thread**: the end's
 * own. **Cost**: the receiver is notified once.
 */
NART_API NART_MUST_USE nart_res nart_try_send_many(nart_tx *tx, const void *values, size_t n);

/** Receives up to `max` values without waiting. @return how many, at least 1; 0 when `max` is 0;
 *  -EINVAL `values` is NULL; the errors of nart_try_recv(). **Thread**: the end's own. **Cost**: the
 *  senders are notified once. */
NART_API NART_MUST_USE nart_res nart_try_recv_many(nart_rx *rx, void *values, size_t max);

/**
 * Sends all of `n` values, waiting for room. Other senders' values may come in between.
 * @param done how many of these values have been sent so far; 0 before the first call, kept in the
 *   frame. `n` answered: 0 again. An error leaves it, -ECANCELED and -ETIMEDOUT included: another call
 *   with the same values goes on behind them. Before other values set it to 0, else as many of them
 *   are skipped.
 * @return `n`; -EINVAL `*done` is larger than `n`, or a NULL; the errors of nart_send(). **Ownership**:
 *   values from `*done` on stay the caller's on an error. **Thread**: the end's own.
 * **Cost**: one answer of the poll's budget for each NART_CHAN_MANY values.
 */
NART_API NART_MUST_USE nart_res nart_send_many(nart_cx *cx, nart_tx *tx, const void *values,
                                               size_t n, size_t *done);

/** Receives up to `max` values; waits only while there is none. @return how many, at least 1; 0 when
 *  `max` is 0; -EINVAL `values` is NULL; the errors of nart_recv(). **Thread**: the end's own. */
NART_API NART_MUST_USE nart_res nart_recv_many(nart_cx *cx, nart_rx *rx, void *values, size_t max);

/* ---- for threads without a loop ------------------------------------------------------------------- */

/**
 * Sends from an ordinary thread, which sleeps while it waits for a place: `timeout_ns` at most
 * (NART_NEVER: without end; 0: not at all). For SPSC and MPSC. A sender that waits this way has its
 * place in the queue like a task. Not from inside a poll: the loop would stand still.
 * @return 0; -ETIMEDOUT; -EINVAL a local channel; -EBUSY a task waits in this end; NART_ECLOSED,
 *   NART_EFORK. On an error the value stays the caller's. **Thread**: the end's own. **Cost**: a
 * system call or two when it waits, and one on the side that wakes it.
 */
NART_API NART_MUST_USE nart_res nart_send_blocking(nart_tx *tx, const void *value,
                                                   int64_t timeout_ns);

/**
 * Receives in an ordinary thread, in the same way. For receivers that no loop needs to look at: bound
 * to no runtime (see nart_rx_bind()), or to one of this thread that does not run now.
 * @return 0; -ETIMEDOUT; -EINVAL a local channel or a SPINNING one; -EDEADLK inside a poll of the
 *   receiver's runtime; NART_EWRONGTHREAD, NART_EFORK of that runtime; -EBUSY a task waits in this end;
 *   NART_ECLOSED. No error takes a value out. **Thread**: the end's own.
 */
NART_API NART_MUST_USE nart_res nart_recv_blocking(nart_rx *rx, void *value, int64_t timeout_ns);

/**
 * Typed forms: `name_open(rt, kind, capacity, &tx, &rx)`, `name_send(cx, &tx, value)`,
 * `name_recv(cx, &rx, &value)`, `name_try_send(&tx, value)`, `name_try_recv(&rx, &value)`, with the
 * answers of the functions above; -EINVAL for an end of a channel whose elem is not sizeof(T).
 */
#define NART_CHAN_TYPED(name, T)                                                                   \
    NART__CHAN_FN name##_open(nart_rt *rt, uint32_t kind, size_t capacity, nart_tx *tx,            \
                              nart_rx *rx)                                                         \
    {                                                                                              \
        nart_chan_opts o = { sizeof(nart_chan_opts), kind, 0, sizeof(T), capacity, NULL };         \
        return nart_chan_open(rt, &o, tx, rx);                                                     \
    }                                                                                              \
    NART__CHAN_FN name##_try_send(nart_tx *tx, T value)                                            \
    {                                                                                              \
        if (NART_LIKELY(nart__push(tx, &value, sizeof(T), 0)))                                     \
            return 0;                                                                              \
        T kept = value; /* so that value itself needs no memory */                                 \
        return nart__try_send_slow(tx, &kept, sizeof(T));                                          \
    }                                                                                              \
    NART__CHAN_FN name##_try_recv(nart_rx *rx, T *value)                                           \
    {                                                                                              \
        if (NART_LIKELY(nart__pop(rx, value, sizeof(T), 0)))                                       \
            return 0;                                                                              \
        return nart__try_recv_slow(rx, value, sizeof(T));                                          \
    }                                                                                              \
    NART__CHAN_FN name##_send(nart_cx *cx, nart_tx *tx, T value)                                   \
    {                                                                                              \
        if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__push(tx, &value, sizeof(T), 1)))       \
            return 0;                                                                              \
        T kept = value;                                                                            \
        return nart__send_slow(cx, tx, &kept, sizeof(T));                                          \
    }                                                                                              \
    NART__CHAN_FN name##_recv(nart_cx *cx, nart_rx *rx, T *value)                                  \
    {                                                                                              \
        if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(nart__pop(rx, value, sizeof(T), 1)))         \
            return 0;                                                                              \
        return nart__recv_slow(cx, rx, value, sizeof(T));                                          \
    }                                                                                              \
    struct name##_chan_typed

#ifdef __cplusplus
}
#endif
#endif
