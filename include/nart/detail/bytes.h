/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/bytes.h: the memory layout of a channel of bytes, and the fast paths of claims, commits,
 * receives and releases.
 *
 * The private fields of the ends:
 *
 * | nart_bytes_tx | meaning                                                            |
 * |---------------|--------------------------------------------------------------------|
 * | seen          | bytes known to have been released                                  |
 * | at            | the position of the open claim                                     |
 * | size          | the bytes it occupies in the ring; 0: no claim is open             |
 * | len           | the maximum length of its message                                  |
 * | waker         | of the waiting task; called by other senders                         |
 *
 * | nart_bytes_rx | meaning                                                            |
 * |---------------|--------------------------------------------------------------------|
 * | pos           | the position of the next message                                   |
 * | held          | the message that has not been released; NULL: none                 |
 */
#ifndef NART_DETAIL_BYTES_H
#define NART_DETAIL_BYTES_H

#include "../bytes.h"
#include "ring.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the inlines below access. Its layout is frozen; NART__BYTES_ABI is checked at open, the offsets by
 * asserts in c_src/chan/. Positions count bytes since the channel was opened. */
#define NART__BYTES_ABI 1u

/* Messages begin and end at multiples of this number of bytes. */
#define NART__BYTES_UNIT 16u

/* Flags of `tail`, in the bits below a position's. */
#define NART__BYTES_QUEUED UINT64_C(1) /* senders wait; only the first of them may claim */
#define NART__BYTES_SHUT UINT64_C(2)   /* mpsc: the receiver has shut: claims are refused */
#define NART__BYTES_FLAGS (NART__BYTES_QUEUED | NART__BYTES_SHUT)

/* A word is empty, or marks a waiting receiver, or is an entry: its kind, the length of the message, and
 * the number of units that it occupies. */
#define NART__BYTES_NONE UINT64_C(0)
#define NART__BYTES_WAITING UINT64_C(1)
#define NART__BYTES_MESSAGE UINT64_C(2)
#define NART__BYTES_ABORTED UINT64_C(3)
#define NART__BYTES_ENTRY(kind, size, len)                                                         \
    ((uint64_t)(size) / NART__BYTES_UNIT << 34 | (uint64_t)(len) << 2 | (kind))
#define NART__BYTES_KIND(entry) ((entry)&3)
#define NART__BYTES_LEN(entry) ((entry) >> 2 & UINT32_MAX)
#define NART__BYTES_SIZE(entry) (((entry) >> 34) * NART__BYTES_UNIT)

typedef NART__ATOMIC(uint64_t) nart__bytes_word;

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): each side has a line of its own */
typedef struct nart__bytes_ring {
    /* written once, except room; mpsc: claims are made by compare-and-swap */
    nart__bytes_word *words; /* one for each unit */
    unsigned char *data;
    uint64_t mask; /* capacity - 1 */
    NART__ALIGNAS(8)
    NART__ATOMIC(uint64_t) room; /* the capacity; 0: the receiver has shut */
    uint32_t max_len;
    uint8_t mpsc, spinning;
    /* written by the senders */
    NART__ALIGNAS(NART__RING_LINE)
    NART__ATOMIC(uint64_t) tail; /* bytes claimed, and flags */
    /* written by the receiver */
    NART__ALIGNAS(NART__RING_LINE)
    NART__ATOMIC(uint64_t) taken; /* bytes released */
    nart__waker_slot tx_notify;   /* of the waiting sender; mpsc: of the first one */
    nart__waker_slot rx_notify;   /* of the receiver */
    uint32_t rx_dirty;            /* its loop will check tx_notify */
} nart__bytes_ring;

/* nart_bytes_open() with the layout version that the caller's inlines were compiled with. */
NART_API NART_MUST_USE nart_res nart__bytes_open(nart_rt *rt, const nart_bytes_opts *opts,
                                                 uint32_t abi, nart_bytes_tx *tx,
                                                 nart_bytes_rx *rx);

static inline nart_res nart_bytes_open(nart_rt *rt, const nart_bytes_opts *opts, nart_bytes_tx *tx,
                                       nart_bytes_rx *rx)
{
    return nart__bytes_open(rt, opts, NART__BYTES_ABI, tx, rx);
}

/* Slow paths; the inlines of those with cx have counted them in cx->go already. */
NART_API nart_res nart__bytes_claim_slow(nart_cx *cx, nart_bytes_tx *tx, size_t len,
                                         nart_bytes_buf *buf);
NART_API nart_res nart__bytes_try_claim_slow(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf);
NART_API nart_res nart__bytes_recv_slow(nart_cx *cx, nart_bytes_rx *rx, nart_bytes_msg *msg);
NART_API nart_res nart__bytes_try_recv_slow(nart_bytes_rx *rx, nart_bytes_msg *msg);
NART_API void nart__bytes_freed(nart__bytes_ring *r);
NART_API void nart__bytes_refused(nart_bytes_tx *tx);

static inline nart__bytes_word *nart__bytes_word_at(const nart__bytes_ring *r, uint64_t pos)
{
    return &r->words[(pos & r->mask) / NART__BYTES_UNIT];
}

static inline unsigned char *nart__bytes_data_at(const nart__bytes_ring *r, uint64_t pos)
{
    return r->data + (pos & r->mask);
}

/* The bytes that a message occupies in the ring. */
static inline uint32_t nart__bytes_place(size_t len)
{
    return ((uint32_t)len + (len == 0) + NART__BYTES_UNIT - 1) & ~(NART__BYTES_UNIT - 1);
}

/* 1: room is claimed. 0: take the slow path. Relaxed: only the value of tail decides, and tx->seen was
 * acquired. */
static inline int nart__bytes_reserve(nart_bytes_tx *tx, size_t len)
{
    nart__bytes_ring *r = tx->ring;

    if (NART_UNLIKELY(!r || tx->size || len > r->max_len))
        return 0;
    uint32_t size = nart__bytes_place(len);
    uint64_t tail = NART__LOAD(&r->tail, NART__RELAXED);
    if (NART_UNLIKELY(tail & NART__BYTES_FLAGS ||
                      tail + size - tx->seen > NART__LOAD(&r->room, NART__RELAXED)))
        return 0;
    tx->at = tail;
    if (r->mpsc) {
        if (NART_UNLIKELY(!NART__CAS(&r->tail, &tail, tx->at + size, NART__RELAXED, NART__RELAXED)))
            return 0;
        tx->size = size;
    } else {
        NART__STORE(&r->tail, tail + size, NART__RELAXED);
        tx->size = size;
        /* Either a receiver that shuts sees the claim, or its shut is seen here: see bytes_ring.c. */
        NART__BARRIER_LIGHT();
        if (NART_UNLIKELY(NART__LOAD(&r->room, NART__RELAXED) == 0)) {
            nart__bytes_refused(tx);
            return 0;
        }
    }
    tx->len = (uint32_t)len;
    return 1;
}

static inline int nart__bytes_claim_fast(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf)
{
    if (NART_UNLIKELY(!nart__bytes_reserve(tx, len)))
        return 0;
    buf->ptr = nart__bytes_data_at(tx->ring, tx->at);
    buf->len = len;
    return 1;
}

/* Turns the open claim into an entry. Release: a reader of the entry sees the message. */
static inline void nart__bytes_publish(nart_bytes_tx *tx, uint64_t kind, size_t len)
{
    nart__bytes_ring *r = tx->ring;
    nart__bytes_word *word = nart__bytes_word_at(r, tx->at);
    uint64_t entry = NART__BYTES_ENTRY(kind, tx->size, len);

    tx->size = 0;
    if (r->spinning)
        NART__STORE(word, entry, NART__RELEASE);
    else if (NART_UNLIKELY(NART__EXCHANGE(word, entry, NART__RELEASE) == NART__BYTES_WAITING))
        nart__waker_slot_wake(&r->rx_notify);
}

/* Ends the open claim. */
static inline nart_res nart__bytes_end(nart_bytes_tx *tx, nart_bytes_buf *buf, uint64_t kind)
{
    if (NART_UNLIKELY(!tx->ring))
        return NART_ECLOSED;
    if (NART_UNLIKELY(!tx->size || buf->ptr != nart__bytes_data_at(tx->ring, tx->at) ||
                      buf->len > tx->len))
        return -EINVAL;
    nart__bytes_publish(tx, kind, buf->len);
    buf->ptr = NULL;
    buf->len = 0;
    return 0;
}

/* Copies a whole message into the room of the open claim and commits it. */
static inline void nart__bytes_fill(nart_bytes_tx *tx, const void *data, size_t len)
{
    if (NART_LIKELY(len > 0))
        memcpy(nart__bytes_data_at(tx->ring, tx->at), data, len);
    nart__bytes_publish(tx, NART__BYTES_MESSAGE, len);
}

/* Takes the next message, if there is one, and returns the kind in the word. Acquire: the message is
 * visible, and its sender no longer writes. Relaxed: no other thread uses the word before its room is free. */
static inline uint64_t nart__bytes_take(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    nart__bytes_ring *r = rx->ring;

    if (NART_UNLIKELY(!r || rx->held))
        return NART__BYTES_NONE;
    uint64_t pos = rx->pos;
    nart__bytes_word *word = nart__bytes_word_at(r, pos);
    uint64_t entry = NART__LOAD(word, NART__ACQUIRE);
    if (NART_UNLIKELY(NART__BYTES_KIND(entry) != NART__BYTES_MESSAGE))
        return NART__BYTES_KIND(entry);
    NART__STORE(word, NART__BYTES_NONE, NART__RELAXED);
    rx->pos = pos + NART__BYTES_SIZE(entry);
    rx->held = msg->ptr = nart__bytes_data_at(r, pos);
    msg->len = NART__BYTES_LEN(entry);
    return NART__BYTES_MESSAGE;
}

/* Frees everything before rx->pos. Release: the reads of the messages and the clearing of words precede it. */
static inline void nart__bytes_free(nart_bytes_rx *rx)
{
    nart__bytes_ring *r = rx->ring;

    NART__STORE(&r->taken, rx->pos, NART__RELEASE);
    if (NART_UNLIKELY(!r->rx_dirty))
        nart__bytes_freed(r);
}

static inline nart_res nart_bytes_claim(nart_cx *cx, nart_bytes_tx *tx, size_t len,
                                        nart_bytes_buf *buf)
{
    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(!tx->wait.task) &&
        NART_LIKELY(nart__bytes_claim_fast(tx, len, buf)))
        return 0;
    return nart__bytes_claim_slow(cx, tx, len, buf);
}

static inline nart_res nart_bytes_try_claim(nart_bytes_tx *tx, size_t len, nart_bytes_buf *buf)
{
    return NART_LIKELY(nart__bytes_claim_fast(tx, len, buf))
               ? 0
               : nart__bytes_try_claim_slow(tx, len, buf);
}

static inline nart_res nart_bytes_commit(nart_bytes_tx *tx, nart_bytes_buf *buf)
{
    return nart__bytes_end(tx, buf, NART__BYTES_MESSAGE);
}

static inline nart_res nart_bytes_abort(nart_bytes_tx *tx, nart_bytes_buf *buf)
{
    return nart__bytes_end(tx, buf, NART__BYTES_ABORTED);
}

static inline nart_res nart_bytes_send(nart_cx *cx, nart_bytes_tx *tx, const void *data, size_t len)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_claim(cx, tx, len, &buf);
    if (NART_LIKELY(r == 0))
        nart__bytes_fill(tx, data, len);
    return r;
}

static inline nart_res nart_bytes_try_send(nart_bytes_tx *tx, const void *data, size_t len)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_try_claim(tx, len, &buf);
    if (NART_LIKELY(r == 0))
        nart__bytes_fill(tx, data, len);
    return r;
}

static inline nart_res nart_bytes_recv(nart_cx *cx, nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(!rx->wait.task) &&
        NART_LIKELY(nart__bytes_take(rx, msg) == NART__BYTES_MESSAGE))
        return 0;
    return nart__bytes_recv_slow(cx, rx, msg);
}

static inline nart_res nart_bytes_try_recv(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    return NART_LIKELY(nart__bytes_take(rx, msg) == NART__BYTES_MESSAGE)
               ? 0
               : nart__bytes_try_recv_slow(rx, msg);
}

static inline nart_res nart_bytes_release(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    if (NART_UNLIKELY(!rx->ring))
        return NART_ECLOSED;
    if (NART_UNLIKELY(!rx->held || msg->ptr != rx->held))
        return -EINVAL;
    rx->held = NULL;
    msg->ptr = NULL;
    msg->len = 0;
    nart__bytes_free(rx);
    return 0;
}

static inline nart_res nart_bytes_send_blocking(nart_bytes_tx *tx, const void *data, size_t len,
                                                int64_t timeout_ns)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_claim_blocking(tx, len, &buf, timeout_ns);
    if (NART_LIKELY(r == 0))
        nart__bytes_fill(tx, data, len);
    return r;
}

#ifdef __cplusplus
}
#endif
#endif
