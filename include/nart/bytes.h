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

#include "task.h"

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

struct nart__bytes_ring;

/** The sending end. Zeroed = closed. Not copied; moved with nart_bytes_tx_move(). */
typedef struct nart_bytes_tx {
    /* private */
    nart__wait wait;
    struct nart__bytes_ring *ring;
    uint64_t seen, at;
    uint32_t size, len;
    uintptr_t waker;
    uint64_t reserved;
} nart_bytes_tx;

/** The receiving end. Zeroed = closed. Not copied; moved with nart_bytes_rx_move(). */
typedef struct nart_bytes_rx {
    /* private */
    nart__wait wait;
    struct nart__bytes_ring *ring;
    uint64_t pos;
    const void *held;
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
                                                     nart_bytes_tx *tx, nart_bytes_rx *rx);

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
                                                      nart_bytes_buf *buf);

/** Claims room without waiting. @return as nart_bytes_claim(), and -EAGAIN: no room, or others wait
 *  before you. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_try_claim(nart_bytes_tx *tx, size_t len,
                                                          nart_bytes_buf *buf);

/**
 * The message is complete: the receiver gets it, and the claim is over. `buf->len` may be less than
 * was claimed: the message then ends there.
 * @return 0 (also when the receiver has closed since: nobody reads it); -EINVAL `buf` is not the
 *   open claim, or longer than it: nothing is done; NART_ECLOSED this end is closed.
 * **Ownership**: `*buf` is zeroed. **Thread**: the end's own. **Cost**: one locked instruction,
 * none if SPINNING.
 */
static inline nart_res nart_bytes_commit(nart_bytes_tx *tx, nart_bytes_buf *buf);

/** The claim is over without a message. @return and otherwise as nart_bytes_commit(). */
static inline nart_res nart_bytes_abort(nart_bytes_tx *tx, nart_bytes_buf *buf);

/** Claims, copies and commits: sends `len` bytes at `data`. @return as nart_bytes_claim(): on an
 *  error nothing is sent. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_send(nart_cx *cx, nart_bytes_tx *tx,
                                                     const void *data, size_t len);

/** The same without waiting. @return as nart_bytes_try_claim(). **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_try_send(nart_bytes_tx *tx, const void *data,
                                                         size_t len);

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
                                                     nart_bytes_msg *msg);

/** Receives without waiting. @return as nart_bytes_recv(), and -EAGAIN: there is none yet, or none among the
 *  next NART_BUDGET aborted claims, which are passed over.
 *  **Thread**: the end's own. **Cost**: no locked instruction. */
static inline NART_MUST_USE nart_res nart_bytes_try_recv(nart_bytes_rx *rx, nart_bytes_msg *msg);

/** Frees the room of a message. @return 0; -EINVAL `msg` is not the message that is held: nothing is
 *  done; NART_ECLOSED this end is closed. **Ownership**: `*msg` is zeroed. **Thread**: the end's
 *  own. **Cost**: no locked instruction under a running loop, which tells waiting senders once per
 *  tick. */
static inline nart_res nart_bytes_release(nart_bytes_rx *rx, nart_bytes_msg *msg);

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
                                                              size_t len, int64_t timeout_ns);

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

#include "detail/bytes.h"

#endif
