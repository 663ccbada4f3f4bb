/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/bytes.h
 * Bounded channels of messages of variable length, written in place and read in place.
 *
 * | kind            | senders                        | receiver | threads                             |
 * |-----------------|--------------------------------|----------|-------------------------------------|
 * | NART_BYTES_SPSC | one                            | one      | one per end                         |
 * | NART_BYTES_MPSC | many, by nart_bytes_tx_clone() | one      | one per end, each clone on its own  |
 *
 * A sender **claims** room, writes, and **commits**, or **aborts**: then the receiver passes over it.
 * The receiver gets a message where it lies and **releases** it, which makes its room free. Messages
 * arrive first in, first out, in the order in which their room was claimed: one that is claimed
 * and not yet committed holds those behind it back, for as long as the claim is open.
 *
 * A message takes its length, rounded up to 16, at least 16, and lies in one piece, aligned to 16
 * bytes. So one of nart_bytes_max_len() fits whenever the channel is empty, wherever the last one
 * ended, and a longer one is refused at once. A message may be empty.
 *
 * What was committed before the senders closed arrives before NART_ECLOSED, under any interleaving.
 * Waiting senders are served in the order they came, however much each of them wants: while one
 * waits, no other overtakes it. A channel lives until both its sides are closed, also after its
 * runtime. Messages that are left when the receiver closes are dropped without notice; to receive them
 * first, call nart_bytes_rx_shut().
 *
 * Sending, and receiving elsewhere:
 *
 *     NART_AWAIT(r, nart_bytes_claim(cx, &f->tx, sizeof(struct quote), &f->buf));
 *     if (r == 0) {
 *         f->buf.len = encode(f->buf.ptr);    // as long as was claimed, or shorter
 *         r = nart_bytes_commit(&f->tx, &f->buf);
 *     }
 *
 *     NART_AWAIT(r, nart_bytes_recv(cx, &f->rx, &f->msg));
 *     if (r == 0) {
 *         decode(f->msg.ptr, f->msg.len);
 *         r = nart_bytes_release(&f->rx, &f->msg);
 *     }
 */
#ifndef NART_BYTES_H
#define NART_BYTES_H

#include "chan.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NART_BYTES_SPSC = 1, NART_BYTES_MPSC = 2 };

enum {
    /** Opened on a runtime with NART_RT_SPINNING: the receiver's loop never parks and looks at the
     *  channel at each tick, so a commit carries no locked instruction. A receiver that is used while
     *  its loop does not run wakes a waiting sender with each release. */
    NART_BYTES_SPINNING = 1
};

#define NART_BYTES_MAX_CAPACITY (UINT32_C(1) << 30) /**< bytes at most */

/** Options of nart_bytes_open(); begin with NART_BYTES_OPTS_INIT. */
typedef struct nart_bytes_opts {
    size_t size;     /**< sizeof(nart_bytes_opts) */
    uint32_t kind;   /**< NART_BYTES_SPSC or NART_BYTES_MPSC */
    uint32_t flags;  /**< NART_BYTES_SPINNING */
    size_t capacity; /**< bytes at least; rounded up to a power of two, 64 or more */
    size_t max_len;  /**< of a message; 0: as much as the capacity */
} nart_bytes_opts;

#define NART_BYTES_OPTS_INIT NART__SIZED(nart_bytes_opts)

/* What the inlines below touch. Frozen; checked by NART__BYTES_ABI at open and by offset asserts in
 * c_src/chan/. Positions count bytes from the beginning of time. */
#define NART__BYTES_ABI 1u

/* Messages begin and end at multiples of this. */
#define NART__BYTES_UNIT 16u

/* In `tail`, below a position's bits. */
#define NART__BYTES_QUEUED UINT64_C(1) /* senders wait, and the first of them alone may claim */
#define NART__BYTES_SHUT UINT64_C(2)   /* mpsc: the receiver refuses: nobody may claim */
#define NART__BYTES_FLAGS (NART__BYTES_QUEUED | NART__BYTES_SHUT)

/* A word holds nothing, the mark of a receiver that waits, or an entry: its kind, the length of the
 * message, and the size of its place in units. */
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

typedef struct nart__bytes_ring {
    /* written once, but for room; mpsc: claims are made by compare-and-swap */
    nart__bytes_word *words; /* one for each unit */
    unsigned char *data;
    uint64_t mask;               /* capacity - 1 */
    NART__ATOMIC(uint64_t) room; /* the capacity; 0: the receiver has shut */
    uint32_t max_len;
    uint8_t mpsc, spinning;
    unsigned char pad0[NART__RING_LINE - 38];
    /* the senders' line */
    NART__ATOMIC(uint64_t) tail; /* claimed so far, and flags */
    unsigned char pad1[NART__RING_LINE - 8];
    /* the receiver's line */
    NART__ATOMIC(uint64_t) taken; /* released so far */
    nart__waker_slot tx_notify;   /* of the sender that waits, of several the first */
    nart__waker_slot rx_notify;   /* of the receiver */
    uint32_t rx_dirty;            /* its loop is going to look at tx_notify */
    unsigned char pad2[NART__RING_LINE - 28];
} nart__bytes_ring;

/** The sending end. Zeroed = closed. Not copied; moved with nart_bytes_tx_move(). */
typedef struct nart_bytes_tx {
    nart__wait wait;
    nart__bytes_ring *ring;
    uint64_t seen;   /* what is known to be free: bytes released so far */
    uint64_t at;     /* where the open claim begins */
    uint32_t size;   /* what it takes of the ring; 0: none is open */
    uint32_t len;    /* how long its message may be */
    uintptr_t waker; /* of the task that waits, for other senders */
    uint64_t reserved;
} nart_bytes_tx;

/** The receiving end. Zeroed = closed. Not copied; moved with nart_bytes_rx_move(). */
typedef struct nart_bytes_rx {
    nart__wait wait;
    nart__bytes_ring *ring;
    uint64_t pos;     /* where the next message begins */
    const void *held; /* the message that has not been released; NULL: none */
    uint64_t reserved[3];
} nart_bytes_rx;

/** Claimed room: `len` bytes to be written at `ptr`. */
typedef struct nart_bytes_buf {
    void *ptr;
    size_t len;
} nart_bytes_buf;

/** A message that has been received: `len` bytes at `ptr`, until its release. */
typedef struct nart_bytes_msg {
    const void *ptr;
    size_t len;
} nart_bytes_msg;

/* nart_bytes_open() with the number of the ring that the caller's inlines know. */
NART_API NART_MUST_USE nart_res nart__bytes_open(nart_rt *rt, const nart_bytes_opts *opts,
                                                 uint32_t abi, nart_bytes_tx *tx,
                                                 nart_bytes_rx *rx);

/**
 * Opens a channel whose receiver belongs to `rt`. The ends may be uninitialised before. On an error both
 * are closed handles.
 * @return 0; -EINVAL a missing argument, an unknown kind or flag, a capacity of 0, a max_len beyond
 *   the capacity, SPINNING on a runtime that parks; -EOVERFLOW a capacity beyond the limit above;
 *   -ENOMEM; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: both ends are the caller's to close. **Thread**: that of `rt`; each sender may then
 * be used by any one thread. **Cost**: one allocation, of one and a half times the capacity, and the
 * longest message.
 */
static inline NART_MUST_USE nart_res nart_bytes_open(nart_rt *rt, const nart_bytes_opts *opts,
                                                     nart_bytes_tx *tx, nart_bytes_rx *rx)
{
    return nart__bytes_open(rt, opts, NART__BYTES_ABI, tx, rx);
}

/** Another sender of an MPSC channel, into a closed or zeroed handle, for any thread.
 *  @return 0; -EINVAL not an MPSC channel; NART_ECLOSED `tx` is closed. **Thread**: that of `tx`. */
NART_API NART_MUST_USE nart_res nart_bytes_tx_clone(const nart_bytes_tx *tx, nart_bytes_tx *out);

/**
 * The receiver refuses new messages, and drains. From now on each claim and each send answers
 * NART_ECLOSED; tasks and threads that wait for room are woken for it. What was claimed before may be
 * committed, and is received as usual, then NART_ECLOSED. A claim that another thread makes meanwhile is
 * either. So a receiver that shuts, receives until NART_ECLOSED and closes loses nothing. Another task
 * that waits in this end is woken. Idempotent; NULL and closed handles are fine. **Thread**: the end's
 * own. **Cost**: SPSC: membarrier(2), which interrupts the process's other running threads for about
 * a microsecond.
 */
NART_API void nart_bytes_rx_shut(nart_bytes_rx *rx);

/** Closes an end. A claim that is open is aborted, a message that is held is not to be read any
 *  more. Tasks that wait on the other side are woken when the last sender closes, or the receiver,
 *  and so is another task that waits in this end: it finds it closed. Idempotent; NULL and zeroed
 *  handles are fine. **Thread**: the end's own. */
NART_API void nart_bytes_tx_close(nart_bytes_tx *tx);
NART_API void nart_bytes_rx_close(nart_bytes_rx *rx);

/** Moves an end into a closed or zeroed handle, with its claim or message; `*src` becomes closed.
 *  Meant for an end that nobody waits in: a task that does is woken, and finds `*src` closed.
 *  **Thread**: the end's own. */
NART_API void nart_bytes_tx_move(nart_bytes_tx *dst, nart_bytes_tx *src);
NART_API void nart_bytes_rx_move(nart_bytes_rx *dst, nart_bytes_rx *src);

/**
 * Gives the receiver to another runtime; with `rt` NULL to none: then whichever thread it is handed
 * to may use it, or bind it to a runtime of its own. A receiver without a runtime tells a waiting
 * sender of each release at once (a locked instruction), one with a runtime once per tick; without
 * one a SPINNING receiver cannot be awaited.
 * @return 0; -EBUSY a task waits in it; -EINVAL a SPINNING one and a runtime that parks;
 *   NART_ECLOSED; NART_EWRONGTHREAD, NART_EFORK of either runtime.
 * **Thread**: that of both runtimes: between threads it takes two calls.
 */
NART_API NART_MUST_USE nart_res nart_bytes_rx_bind(nart_bytes_rx *rx, nart_rt *rt);

/* ---- looking --------------------------------------------------------------------------------- */

/** The longest message that can be sent. 0 when closed. */
NART_API size_t nart_bytes_max_len(const nart_bytes_tx *tx);
/** Bytes taken by messages and open claims, rounding included; a moment's truth. 0 when closed. */
NART_API size_t nart_bytes_tx_len(const nart_bytes_tx *tx);
NART_API size_t nart_bytes_rx_len(const nart_bytes_rx *rx);
/** Bytes that fit. 0 when closed. */
NART_API size_t nart_bytes_tx_capacity(const nart_bytes_tx *tx);
NART_API size_t nart_bytes_rx_capacity(const nart_bytes_rx *rx);
/** Has the other side closed, or, seen from a sender, shut? True for a closed handle. One's own
 *  nart_bytes_rx_shut() does not count. A receiver may still find messages: what nart_bytes_rx_len() says
 *  afterwards is all of them. */
NART_API bool nart_bytes_tx_is_closed(const nart_bytes_tx *tx);
NART_API bool nart_bytes_rx_is_closed(const nart_bytes_rx *rx);

/* ---- the inlines ----------------------------------------------------------------------------- */

/* Cold halves; those with cx have been counted in cx->go. */
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

/* What a message takes of the ring. */
static inline uint32_t nart__bytes_place(size_t len)
{
    return ((uint32_t)len + (len == 0) + NART__BYTES_UNIT - 1) & ~(NART__BYTES_UNIT - 1);
}

/* 1: a place is claimed. 0: look at the slow side. Relaxed: tail decides by its value alone, and
 * tx->seen was acquired. */
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
        /* A receiver that shuts has seen the claim, or is seen here: see c_src/chan/bytes_ring.c. */
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

/* The open claim becomes an entry. Release: what was written is there for who finds the entry. */
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

/* The open claim is over. */
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

/* Puts a whole message into the room of the open claim. */
static inline void nart__bytes_fill(nart_bytes_tx *tx, const void *data, size_t len)
{
    if (NART_LIKELY(len > 0))
        memcpy(nart__bytes_data_at(tx->ring, tx->at), data, len);
    nart__bytes_publish(tx, NART__BYTES_MESSAGE, len);
}

/* Takes the next message, if it is there: what the word holds. Acquire: who has published does not
 * write any more. Relaxed: the word is nobody else's before its room is free. */
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

/* All up to rx->pos is free. Release: the reading is done, and the word is 0, before. */
static inline void nart__bytes_free(nart_bytes_rx *rx)
{
    nart__bytes_ring *r = rx->ring;

    NART__STORE(&r->taken, rx->pos, NART__RELEASE);
    if (NART_UNLIKELY(!r->rx_dirty))
        nart__bytes_freed(r);
}

/* ---- sending --------------------------------------------------------------------------------- */

/**
 * Claims room for a message, waiting for it. One claim at a time for each end.
 * @return 0 and `*buf`: write there, then nart_bytes_commit() or nart_bytes_abort(), in this poll
 *   or a later one; -EMSGSIZE longer than nart_bytes_max_len(); NART_ECLOSED the receiver, or this
 *   end, has closed; -EBUSY a claim is open, or another task waits in this end; -ECANCELED,
 *   -ETIMEDOUT: nothing is claimed; NART_EFORK it would wait in an MPSC channel of the parent's.
 * **Ownership**: the room is the channel's, and the caller's to write until commit, abort or close
 * of the end. **Thread**: the end's own. **Cost**: MPSC: one locked instruction.
 */
static inline NART_MUST_USE nart_res nart_bytes_claim(nart_cx *cx, nart_bytes_tx *tx, size_t len,
                                                      nart_bytes_buf *buf)
{
    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(!tx->wait.task) &&
        NART_LIKELY(nart__bytes_claim_fast(tx, len, buf)))
        return 0;
    return nart__bytes_claim_slow(cx, tx, len, buf);
}

/** Claims room without waiting. @return as nart_bytes_claim(), and -EAGAIN: no room, or others wait
 *  before you. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_try_claim(nart_bytes_tx *tx, size_t len,
                                                          nart_bytes_buf *buf)
{
    return NART_LIKELY(nart__bytes_claim_fast(tx, len, buf))
               ? 0
               : nart__bytes_try_claim_slow(tx, len, buf);
}

/**
 * The message is complete: the receiver gets it, and the claim is over. `buf->len` may be less than
 * was claimed: the message then ends there.
 * @return 0 (also when the receiver has closed since: nobody reads it); -EINVAL `buf` is not the
 *   open claim, or longer than it: nothing is done; NART_ECLOSED this end is closed.
 * **Ownership**: `*buf` is zeroed. **Thread**: the end's own. **Cost**: one locked instruction,
 * none if SPINNING.
 */
static inline nart_res nart_bytes_commit(nart_bytes_tx *tx, nart_bytes_buf *buf)
{
    return nart__bytes_end(tx, buf, NART__BYTES_MESSAGE);
}

/** The claim is over without a message. @return and otherwise as nart_bytes_commit(). */
static inline nart_res nart_bytes_abort(nart_bytes_tx *tx, nart_bytes_buf *buf)
{
    return nart__bytes_end(tx, buf, NART__BYTES_ABORTED);
}

/** Claims, copies and commits: sends `len` bytes at `data`. @return as nart_bytes_claim(): on an
 *  error nothing is sent. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_send(nart_cx *cx, nart_bytes_tx *tx,
                                                     const void *data, size_t len)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_claim(cx, tx, len, &buf);
    if (NART_LIKELY(r == 0))
        nart__bytes_fill(tx, data, len);
    return r;
}

/** The same without waiting. @return as nart_bytes_try_claim(). **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_try_send(nart_bytes_tx *tx, const void *data,
                                                         size_t len)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_try_claim(tx, len, &buf);
    if (NART_LIKELY(r == 0))
        nart__bytes_fill(tx, data, len);
    return r;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/**
 * Receives a message, waiting for it. One message at a time.
 * @return 0 and `*msg`: read it, then nart_bytes_release(), in this poll or a later one;
 *   NART_ECLOSED every committed message has been received, and the senders or this end have closed; -EBUSY
 *   a message is held, or another task waits in this end; -ECANCELED, -ETIMEDOUT; NART_EWRONGTHREAD
 *   the receiver belongs to another runtime, or is a SPINNING one without. No error takes a
 *   message out.
 * **Ownership**: the memory is the channel's, and the caller's to read until release or close.
 * **Thread**: the end's own.
 */
static inline NART_MUST_USE nart_res nart_bytes_recv(nart_cx *cx, nart_bytes_rx *rx,
                                                     nart_bytes_msg *msg)
{
    if (NART_LIKELY(--cx->go >= 0) && NART_LIKELY(!rx->wait.task) &&
        NART_LIKELY(nart__bytes_take(rx, msg) == NART__BYTES_MESSAGE))
        return 0;
    return nart__bytes_recv_slow(cx, rx, msg);
}

/** Receives without waiting. @return as nart_bytes_recv(), and -EAGAIN: there is none yet, or none among the
 *  next NART_BUDGET aborted claims, which are passed over.
 *  **Thread**: the end's own. **Cost**: no locked instruction. */
static inline NART_MUST_USE nart_res nart_bytes_try_recv(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    return NART_LIKELY(nart__bytes_take(rx, msg) == NART__BYTES_MESSAGE)
               ? 0
               : nart__bytes_try_recv_slow(rx, msg);
}

/** Frees the room of a message. @return 0; -EINVAL `msg` is not the message that is held: nothing is
 *  done; NART_ECLOSED this end is closed. **Ownership**: `*msg` is zeroed. **Thread**: the end's
 *  own. **Cost**: no locked instruction under a running loop, which tells waiting senders once per
 *  tick. */
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

/* ---- for threads without a loop --------------------------------------------------------------- */

/**
 * Claims room in an ordinary thread, which sleeps while it waits for it: `timeout_ns` at most (NART_NEVER:
 * without end; 0: not at all). A sender that waits this way has its place in the queue like a task. Not
 * from inside a poll: the loop would stand still.
 * @return as nart_bytes_try_claim() but for -EAGAIN; -ETIMEDOUT; -EBUSY also when a task waits in this
 *   end; NART_EFORK it would wait in an MPSC channel of the parent's. **Ownership**, **Thread**: as
 * nart_bytes_claim(). **Cost**: a system call or two when it waits, and one on the side that wakes it.
 */
NART_API NART_MUST_USE nart_res nart_bytes_claim_blocking(nart_bytes_tx *tx, size_t len,
                                                          nart_bytes_buf *buf, int64_t timeout_ns);

/** Claims in the same way, copies and commits. @return as nart_bytes_claim_blocking(): on an error
 *  nothing is sent. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_send_blocking(nart_bytes_tx *tx, const void *data,
                                                              size_t len, int64_t timeout_ns)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_claim_blocking(tx, len, &buf, timeout_ns);
    if (NART_LIKELY(r == 0))
        nart__bytes_fill(tx, data, len);
    return r;
}

/**
 * Receives in an ordinary thread, in the same way. For receivers that no loop needs to look at: bound
 * to no runtime (see nart_bytes_rx_bind()), or to one of this thread that does not run now.
 * @return 0 and `*msg`, to be released; -ETIMEDOUT; -EINVAL a SPINNING channel; -EDEADLK inside a poll of
 *   the receiver's runtime; NART_EWRONGTHREAD, NART_EFORK of that runtime; -EBUSY a message is held, or a
 *   task waits in this end; NART_ECLOSED. No error takes a message out. **Ownership**, **Thread**: as
 *   nart_bytes_recv().
 */
NART_API NART_MUST_USE nart_res nart_bytes_recv_blocking(nart_bytes_rx *rx, nart_bytes_msg *msg,
                                                         int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
