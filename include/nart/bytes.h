/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/bytes.h
 * Bounded channels of messages of variable length, written in place and read in place.
 *
 * | kind            | senders                        | receiver | threads                             |
 * |-----------------|--------------------------------|----------|-------------------------------------|
 * | NART_BYTES_SPSC | one                            | one      | any, one at a time per end          |
 * | NART_BYTES_MPSC | many, by nart_bytes_tx_clone() | one      | any, one at a time per end or clone |
 *
 * A sender **claims** room, writes the message there, and **commits** or **aborts** the claim; the receiver
 * skips an aborted one. The receiver reads a message in place and **releases** it, which frees its room.
 * Messages are received in the order in which their room was claimed: a claim that is still open holds back
 * the messages behind it.
 *
 * A message occupies its length rounded up to a multiple of 16, at least 16 bytes. It is contiguous and
 * aligned to 16 bytes. The ring has room behind its end for the longest message, so one of
 * nart_bytes_max_len() bytes always fits into an empty channel; a longer one is refused at once. A message may
 * be empty.
 *
 * Messages committed before the senders closed are received before NART_ECLOSED, under any interleaving.
 * Waiting senders are served in order of arrival, whatever they want: none overtakes a waiting one. A
 * channel exists until both sides are closed, even if its runtime is freed before. Messages left when the
 * receiver closes are dropped without notice; to receive them first, call nart_bytes_rx_shut().
 *
 * Sending, and receiving in another task or thread:
 *
 *     NART_AWAIT(r, nart_bytes_claim(cx, &f->tx, sizeof(struct quote), &f->buf));
 *     if (r == 0) {
 *         f->buf.len = encode(f->buf.ptr);    // at most as long as claimed
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

enum {
    NART_BYTES_SPSC = 1, /**< one sender */
    NART_BYTES_MPSC = 2  /**< many senders */
};

enum {
    /** Opened on a runtime with NART_RT_SPINNING: the receiver's loop never parks and checks the channel in
     *  each tick, so a commit executes no locked instruction. A receiver that is used while its loop does
     *  not run wakes a waiting sender with each release. */
    NART_BYTES_SPINNING = 1
};

#define NART_BYTES_MAX_CAPACITY (UINT32_C(1) << 30) /**< maximum number of bytes */

/** Options of nart_bytes_open(); begin with NART_BYTES_OPTS_INIT. */
typedef struct nart_bytes_opts {
    size_t size;     /**< sizeof(nart_bytes_opts) */
    uint32_t kind;   /**< NART_BYTES_SPSC or NART_BYTES_MPSC */
    uint32_t flags;  /**< NART_BYTES_SPINNING */
    size_t capacity; /**< minimum bytes; rounded up to a power of two, at least 64 */
    size_t max_len;  /**< of a message; 0: the capacity */
} nart_bytes_opts;

#define NART_BYTES_OPTS_INIT NART__SIZED(nart_bytes_opts)

struct nart__bytes_ring;

/** The sending end. Zeroed = closed. Do not copy it; move it with nart_bytes_tx_move(). */
typedef struct nart_bytes_tx {
    /* private */
    nart__wait wait;
    struct nart__bytes_ring *ring;
    uint64_t seen, at;
    uint32_t size, len;
    uintptr_t waker;
    uint64_t reserved;
} nart_bytes_tx;

/** The receiving end. Zeroed = closed. Do not copy it; move it with nart_bytes_rx_move(). */
typedef struct nart_bytes_rx {
    /* private */
    nart__wait wait;
    struct nart__bytes_ring *ring;
    uint64_t pos;
    const void *held;
    uint64_t reserved[3];
} nart_bytes_rx;

/** Claimed room: write `len` bytes at `ptr`. */
typedef struct nart_bytes_buf {
    void *ptr;  /**< where to write */
    size_t len; /**< bytes of space */
} nart_bytes_buf;

/** A received message: `len` bytes at `ptr`, valid until its release. */
typedef struct nart_bytes_msg {
    const void *ptr; /**< the bytes */
    size_t len;      /**< their number */
} nart_bytes_msg;

/**
 * Opens a channel whose receiver belongs to `rt`. The ends may be uninitialised before. On an error both
 * are closed handles.
 * @return 0; -EINVAL a missing argument, an unknown kind or flag, a capacity of 0, a max_len beyond
 *   the capacity, SPINNING on a runtime that parks; -EOVERFLOW a capacity beyond the limit above;
 *   -ENOMEM; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: both ends are the caller's to close. **Thread**: that of `rt`; each sender may then
 * be used by any one thread. **Cost**: one allocation, of one and a half times the capacity plus the
 * longest message.
 */
static inline NART_MUST_USE nart_res nart_bytes_open(nart_rt *rt, const nart_bytes_opts *opts,
                                                     nart_bytes_tx *tx, nart_bytes_rx *rx);

/** Makes another sender of an MPSC channel, for any thread, in `*out`, a closed or zeroed handle.
 *  @return 0; -EINVAL not an MPSC channel; NART_ECLOSED `tx` is closed. **Thread**: that of `tx`. */
NART_API NART_MUST_USE nart_res nart_bytes_tx_clone(const nart_bytes_tx *tx, nart_bytes_tx *out);

/**
 * Refuses new messages; claimed ones can still be received. From now on each claim and each send answers
 * NART_ECLOSED; tasks and threads that wait for room are woken. Claims made before may be committed. Their
 * messages are received as usual, then NART_ECLOSED is answered. A claim that another thread makes at the
 * same time is either made before or refused. So a receiver that shuts, receives until NART_ECLOSED and
 * closes loses no message. Another task that waits in this end is woken. Idempotent; NULL and closed handles
 * are fine. **Thread**: the end's own. **Cost**: SPSC: membarrier(2), which interrupts the process's other
 * running threads for about a microsecond.
 */
NART_API void nart_bytes_rx_shut(nart_bytes_rx *rx);

/** Closes an end. An open claim is aborted; a message that is held must not be read any more. Tasks that wait
 *  on the other side are woken when the receiver or the last sender closes. Another task that waits in this
 *  end is woken, too, and finds it closed. Idempotent; NULL and zeroed handles are fine. **Thread**: the
 *  end's own. */
NART_API void nart_bytes_tx_close(nart_bytes_tx *tx);
NART_API void nart_bytes_rx_close(nart_bytes_rx *rx);

/** Moves an end, with its claim or message, to `*dst`, a closed or zeroed handle; `*src` becomes closed.
 *  Meant for an end in which no task waits: a waiting task is woken and finds `*src` closed. **Thread**: the
 *  end's own. */
NART_API void nart_bytes_tx_move(nart_bytes_tx *dst, nart_bytes_tx *src);
NART_API void nart_bytes_rx_move(nart_bytes_rx *dst, nart_bytes_rx *src);

/**
 * Binds the receiver to another runtime, or to none if `rt` is NULL. A receiver without a runtime may be
 * passed to any thread, which may use it or bind it to a runtime of its own. It notifies a waiting sender
 * with each release (a locked instruction); one with a runtime notifies it once per tick. A SPINNING
 * receiver without a runtime cannot be awaited.
 * @return 0; -EBUSY a task waits in it; -EINVAL a SPINNING one and a runtime that parks;
 *   NART_ECLOSED; NART_EWRONGTHREAD, NART_EFORK of either runtime.
 * **Thread**: that of both runtimes: to change threads, bind to NULL on the old one and to the new runtime
 * on the new one.
 */
NART_API NART_MUST_USE nart_res nart_bytes_rx_bind(nart_bytes_rx *rx, nart_rt *rt);

/* ---- state ----------------------------------------------------------------------------------- */

/** The length of the longest message that can be sent. 0 when closed. */
NART_API size_t nart_bytes_max_len(const nart_bytes_tx *tx);
/** Bytes occupied by messages and open claims, rounding included; a snapshot. 0 when closed. */
NART_API size_t nart_bytes_tx_len(const nart_bytes_tx *tx);
NART_API size_t nart_bytes_rx_len(const nart_bytes_rx *rx);
/** The number of bytes that fit. 0 when closed. */
NART_API size_t nart_bytes_tx_capacity(const nart_bytes_tx *tx);
NART_API size_t nart_bytes_rx_capacity(const nart_bytes_rx *rx);
/** Has the other side closed? For a sender: or has the receiver shut? True for a closed handle. The
 *  receiver's own nart_bytes_rx_shut() does not count. If true, a receiver may still have messages to
 *  receive: a later nart_bytes_rx_len() counts all of them. */
NART_API bool nart_bytes_tx_is_closed(const nart_bytes_tx *tx);
NART_API bool nart_bytes_rx_is_closed(const nart_bytes_rx *rx);

/* ---- sending --------------------------------------------------------------------------------- */

/**
 * Claims room for a message; waits for free room. An end has at most one open claim.
 * @return 0 and `*buf`: write there, then nart_bytes_commit() or nart_bytes_abort(), in this poll
 *   or a later one; -EMSGSIZE longer than nart_bytes_max_len(); NART_ECLOSED the receiver, or this
 *   end, has closed; -EBUSY a claim is open, or another task waits in this end; -ECANCELED,
 *   -ETIMEDOUT: nothing is claimed; NART_EFORK it would wait in an MPSC channel of the parent's.
 * **Ownership**: the room is the channel's; the caller may write it until commit, abort or close
 * of the end. **Thread**: the end's own. **Cost**: MPSC: one locked instruction.
 */
static inline NART_MUST_USE nart_res nart_bytes_claim(nart_cx *cx, nart_bytes_tx *tx, size_t len,
                                                      nart_bytes_buf *buf);

/** Claims room without waiting. @return as nart_bytes_claim(); -EAGAIN no room, or other senders are queued
 *  ahead. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_try_claim(nart_bytes_tx *tx, size_t len,
                                                          nart_bytes_buf *buf);

/**
 * Sends the message and ends the claim. `buf->len` may be less than was claimed: the message is that long
 * then.
 * @return 0 (also if the receiver has closed in the meantime: the message is never read); -EINVAL `buf` is
 *   not the open claim, or longer than it: nothing is done; NART_ECLOSED this end is closed.
 * **Ownership**: `*buf` is zeroed. **Thread**: the end's own. **Cost**: one locked instruction,
 * none if SPINNING.
 */
static inline nart_res nart_bytes_commit(nart_bytes_tx *tx, nart_bytes_buf *buf);

/** Ends the claim without a message. @return and otherwise as nart_bytes_commit(). */
static inline nart_res nart_bytes_abort(nart_bytes_tx *tx, nart_bytes_buf *buf);

/** Claims, copies and commits: sends `len` bytes at `data`. @return as nart_bytes_claim(): on an
 *  error nothing is sent. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_send(nart_cx *cx, nart_bytes_tx *tx,
                                                     const void *data, size_t len);

/** Sends without waiting. @return as nart_bytes_try_claim(). **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_try_send(nart_bytes_tx *tx, const void *data,
                                                         size_t len);

/* ---- receiving ------------------------------------------------------------------------------- */

/**
 * Receives a message; waits for one. An end holds at most one message.
 * @return 0 and `*msg`: read it, then nart_bytes_release(), in this poll or a later one;
 *   NART_ECLOSED every committed message has been received, and the senders or this end have closed; -EBUSY
 *   a message is held, or another task waits in this end; -ECANCELED, -ETIMEDOUT; NART_EWRONGTHREAD
 *   the receiver belongs to another runtime, or is a SPINNING one without a runtime. On an error no message
 *   is taken.
 * **Ownership**: the memory is the channel's; the caller may read it until release or close.
 * **Thread**: the end's own.
 */
static inline NART_MUST_USE nart_res nart_bytes_recv(nart_cx *cx, nart_bytes_rx *rx,
                                                     nart_bytes_msg *msg);

/** Receives without waiting. @return as nart_bytes_recv(); -EAGAIN no message is available, or none was found
 *  after skipping NART_BUDGET aborted claims.
 *  **Thread**: the end's own. **Cost**: no locked instruction. */
static inline NART_MUST_USE nart_res nart_bytes_try_recv(nart_bytes_rx *rx, nart_bytes_msg *msg);

/** Frees the room of a message. @return 0; -EINVAL `msg` is not the message that is held: nothing is
 *  done; NART_ECLOSED this end is closed. **Ownership**: `*msg` is zeroed. **Thread**: the end's
 *  own. **Cost**: no locked instruction under a running loop, which notifies waiting senders once per
 *  tick. */
static inline nart_res nart_bytes_release(nart_bytes_rx *rx, nart_bytes_msg *msg);

/* ---- for threads without a loop --------------------------------------------------------------- */

/**
 * Claims room in an ordinary thread and blocks it until there is room, for at most `timeout_ns` (NART_NEVER:
 * no timeout; 0: does not block). A blocked sender is queued like a task. Do not call it in a poll: it would
 * block the loop.
 * @return as nart_bytes_try_claim() but for -EAGAIN; -ETIMEDOUT; -EBUSY also when a task waits in this
 *   end; NART_EFORK it would wait in an MPSC channel of the parent's. **Ownership**, **Thread**: as
 * nart_bytes_claim(). **Cost**: one or two system calls if it blocks, and one on the side that wakes it.
 */
NART_API NART_MUST_USE nart_res nart_bytes_claim_blocking(nart_bytes_tx *tx, size_t len,
                                                          nart_bytes_buf *buf, int64_t timeout_ns);

/** Claims in the same way, copies and commits. @return as nart_bytes_claim_blocking(): on an error
 *  nothing is sent. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_bytes_send_blocking(nart_bytes_tx *tx, const void *data,
                                                              size_t len, int64_t timeout_ns);

/**
 * Receives in an ordinary thread and blocks it in the same way. The receiver must be bound to no runtime
 * (see nart_bytes_rx_bind()), or to one of this thread that is not running.
 * @return 0 and `*msg`, to be released; -ETIMEDOUT; -EINVAL a SPINNING channel; -EDEADLK inside a poll of
 *   the receiver's runtime; NART_EWRONGTHREAD, NART_EFORK of that runtime; -EBUSY a message is held, or a
 *   task waits in this end; NART_ECLOSED. On an error no message is taken. **Ownership**, **Thread**: as
 *   nart_bytes_recv().
 */
NART_API NART_MUST_USE nart_res nart_bytes_recv_blocking(nart_bytes_rx *rx, nart_bytes_msg *msg,
                                                         int64_t timeout_ns);

#ifdef __cplusplus
}
#endif

#include "detail/bytes.h"

#endif
