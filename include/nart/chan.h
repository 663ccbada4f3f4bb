/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/chan.h
 * Bounded channels of fixed-size values.
 *
 * | kind            | senders                  | receiver | threads                           |
 * |-----------------|--------------------------|----------|-----------------------------------|
 * | NART_CHAN_LOCAL | many, by nart_tx_clone() | one      | the runtime's own                 |
 * | NART_CHAN_SPSC  | one                      | one      | any; see nart_rx_bind()           |
 * | NART_CHAN_MPSC  | many, by nart_tx_clone() | one      | any; see nart_rx_bind()           |
 *
 * Each end, clones included, is used by one thread and one task at a time: tasks that send concurrently need
 * a clone each.
 *
 * Values are copied in and out, first in, first out. A value may contain handles or pointers. After a send
 * that answered 0, the receiver owns what they refer to: zero your copy and do not close its handles
 * (NART_TASK_TYPED in nart/rt.h lists the handles that may be moved this way). If a send fails, the value
 * stays the caller's. Values sent before the sender closed are received before NART_ECLOSED, under any
 * interleaving. Waiting senders are served in order of arrival, across threads, too: each is granted a
 * slot, and a slot that is not used (its sender lost a race or was cancelled) passes to the next sender. A
 * channel exists until both sides are closed, even if its runtime is freed before. When the receiver
 * closes, it passes the values left in the channel to `drop_value`; to receive them, call nart_rx_shut()
 * first.
 *
 * A local channel of capacity 0 has no slots: senders and receiver meet (a rendezvous). A send completes once the
 * receiver waits, and hands it the value in the same poll; until then it waits. A send that is cancelled, times
 * out or loses a race has not sent. If the receive is abandoned after a value was handed to it and before it
 * was polled, the value stays for the next receive. nart_try_send() answers 0 only while the receiver waits;
 * nart_try_recv() does not wait, so it finds a value only if an earlier receive was abandoned in that way. Between
 * threads, use a capacity of 1, and a nart_oneshot_tx in the value where the sender has to know of its arrival.
 *
 * A receiver is answered NART_ECLOSED after the last sender was closed. A sender in a task's frame stays
 * open until the frame is dropped, and the frame of a task that has ended is dropped when its join handle is
 * released. So close the ends in the body, before it ends: see nart_task_type.
 *
 * After an answer the end may at once be moved by its move function or in the frame of a task that is spawned,
 * or closed, and its memory freed. See rule 5 of nart/task.h.
 *
 * For hot paths, NART_CHAN_TYPED(name, T) defines inline functions that copy a T:
 *
 *     NART_CHAN_TYPED(quotes, struct quote);
 *
 *     for (;;) {
 *         NART_AWAIT(r, quotes_recv(cx, &f->rx, &f->quote));
 *         if (r < 0)
 *             break;               // NART_ECLOSED: all senders closed, all values received
 *         f->count++;
 *     }
 *     nart_rx_close(&f->rx);
 */
#ifndef NART_CHAN_H
#define NART_CHAN_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NART_CHAN_LOCAL = 1, /**< within one runtime */
    NART_CHAN_SPSC = 2,  /**< between threads, one sender */
    NART_CHAN_MPSC = 3   /**< between threads, many senders */
};

enum {
    /** SPSC and MPSC, opened on a runtime with NART_RT_SPINNING: the receiver's loop never parks and checks
     *  the channel in each tick. So senders make no wake-up calls, and SPSC sends execute no locked
     *  instruction. A receiver that is used while its loop does not run wakes a waiting sender with each
     *  value. */
    NART_CHAN_SPINNING = 1
};

#define NART_CHAN_MAX_ELEM 65536u                  /**< maximum bytes per value */
#define NART_CHAN_MAX_CAPACITY (UINT32_C(1) << 30) /**< maximum number of values */
#define NART_CHAN_MANY 256u                        /**< maximum values moved per answer */

/** Options of nart_chan_open(); begin with NART_CHAN_OPTS_INIT. */
typedef struct nart_chan_opts {
    size_t size;     /**< sizeof(nart_chan_opts) */
    uint32_t kind;   /**< NART_CHAN_LOCAL, _SPSC or _MPSC */
    uint32_t flags;  /**< NART_CHAN_SPINNING */
    size_t elem;     /**< bytes per value */
    size_t capacity; /**< minimum number of values; rounded up to a power of two. 0: a
                                      *   rendezvous, NART_CHAN_LOCAL only */
    void (*drop_value)(void *value); /**< destructor of values that are sent and never received, or
                                      *   NULL; see nart_rx_close(). **Thread**: the receiver's; SPSC:
                                      *   or the sender's, in a send concurrent with the close. */
} nart_chan_opts;

#define NART_CHAN_OPTS_INIT NART__SIZED(nart_chan_opts)

struct nart__ring;

/** The sending end. Zeroed = closed. Do not copy it; move it with nart_tx_move(). */
typedef struct nart_tx {
    /* private */
    nart__wait wait;
    struct nart__ring *ring;
    uint64_t type, pos, seen, waker;
} nart_tx;

/** The receiving end. Zeroed = closed. Do not copy it; move it with nart_rx_move(). */
typedef struct nart_rx {
    /* private */
    nart__wait wait;
    struct nart__ring *ring;
    uint64_t type, pos, seen, reserved;
} nart_rx;

/**
 * Opens a channel whose receiver belongs to `rt`. The ends may be uninitialised before. On an error both
 * are closed handles.
 * @return 0; -EINVAL a missing argument, an unknown kind or flag, an elem of 0, a capacity of 0 of an SPSC or
 *   MPSC channel, SPINNING on a runtime that parks or on a local channel; -EOVERFLOW an elem or capacity beyond
 *   the limits above; -ENOMEM; NART_EABI; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: both ends are the caller's to close. **Thread**: that of `rt`, or any before it is bound;
 * each sender of an SPSC or MPSC channel may then be used by any one thread. **Cost**: one allocation; MPSC
 * also writes one word per slot.
 */
static inline NART_MUST_USE nart_res nart_chan_open(nart_rt *rt, const nart_chan_opts *opts,
                                                    nart_tx *tx, nart_rx *rx);

/** Makes another sender of a local or MPSC channel in `*out`, a closed or zeroed handle.
 *  @return 0; -EINVAL an SPSC channel; NART_ECLOSED `tx` is closed. **Thread**: that of `tx`; the new
 *  sender of an MPSC channel may then be used by any one thread. */
NART_API NART_MUST_USE nart_res nart_tx_clone(const nart_tx *tx, nart_tx *out);

/**
 * Refuses new values; sent values can still be received. From now on each send answers NART_ECLOSED, and
 * its value stays the caller's; tasks and threads that wait to send are woken. Values sent before are
 * received as usual, then NART_ECLOSED is answered. A send that is running on another thread either answers
 * 0, and its value will be received, or NART_ECLOSED. So a receiver that shuts, receives until NART_ECLOSED
 * and closes loses no value. Another task that waits in this end is woken and finds NART_ECLOSED once all
 * values are received. Idempotent; NULL and closed
 * handles are fine. **Thread**: the end's own. **Cost**: SPSC with SPINNING: membarrier(2), which interrupts
 * the process's other running threads for about a microsecond.
 */
NART_API void nart_rx_shut(nart_rx *rx);

/**
 * Closes an end. A task that waits in the other end is woken. Another task that waits in this end is woken,
 * too, and finds it closed. Idempotent; NULL and zeroed handles are fine.
 *
 * nart_rx_close() shuts the channel (see nart_rx_shut()) and calls `drop_value` for each value left before
 * it returns. The value of a send that is running on another thread either stays its caller's
 * (NART_ECLOSED) or is dropped, too (0). MPSC: the close waits for sends that have begun, which takes the
 * time of a copy. SPSC: such a send may drop the remaining values instead of the close. `drop_value` may
 * close any handle except the end whose call runs it. **Thread**: the end's own. **Cost**: that of
 * nart_rx_shut(), and of `drop_value`.
 */
NART_API void nart_tx_close(nart_tx *tx);
NART_API void nart_rx_close(nart_rx *rx);

/** Moves an end to `*dst`, a closed or zeroed handle; `*src` becomes closed. Meant for an end in which no
 *  task waits: a waiting task is woken and finds `*src` closed. **Thread**: the end's own. */
NART_API void nart_tx_move(nart_tx *dst, nart_tx *src);
NART_API void nart_rx_move(nart_rx *dst, nart_rx *src);

/**
 * Binds an SPSC or MPSC receiver to another runtime, or to none if `rt` is NULL. A receiver without a
 * runtime may be passed to any thread, which may use it or bind it to a runtime of its own. It notifies
 * waiting senders with each value it takes (a locked instruction); one with a runtime notifies them once
 * per tick. A SPINNING receiver without a runtime cannot be awaited.
 * @return 0; -EBUSY a task waits in it; -EINVAL a local channel, or a SPINNING one and a runtime
 *   that parks; NART_ECLOSED; NART_EWRONGTHREAD, NART_EFORK of either runtime.
 * **Thread**: that of both runtimes: to change threads, bind to NULL on the old one and to the new runtime
 * on the new one.
 */
NART_API NART_MUST_USE nart_res nart_rx_bind(nart_rx *rx, nart_rt *rt);

/** The number of values in the channel: exact on the thread of a local channel, else a snapshot.
 *  0 when closed. */
NART_API size_t nart_tx_len(const nart_tx *tx);
NART_API size_t nart_rx_len(const nart_rx *rx);
/** The number of values that fit. 0 when closed, and for a capacity of 0. */
NART_API size_t nart_tx_capacity(const nart_tx *tx);
/** Has the other side closed? For a sender: or has the receiver shut? True for a closed handle. The
 *  receiver's own nart_rx_shut() does not count. If true, a receiver may still have values to receive: a
 *  later nart_rx_len() counts all of them. */
NART_API bool nart_tx_is_closed(const nart_tx *tx);
NART_API bool nart_rx_is_closed(const nart_rx *rx);

/* ---- one value per call ----------------------------------------------------------------------- */

/**
 * Sends without waiting.
 * @return 0; -EAGAIN full (capacity 0: the receiver does not wait), or other senders are queued ahead;
 *   NART_ECLOSED the receiver, or this end, has closed; NART_EFORK in a child of fork, if senders were queued.
 *   On an error the value stays the caller's.
 * **Thread**: the end's own. **Cost**: a copy. MPSC, and SPSC to a receiver that is not SPINNING: and one
 * locked instruction. MPSC while other senders are queued: a lock that is held for a few instructions.
 */
static inline NART_MUST_USE nart_res nart_try_send(nart_tx *tx, const void *value);

/** Receives without waiting. @return 0; -EAGAIN empty, or (MPSC) a sender is still writing the next value;
 *  NART_ECLOSED empty, and the sending side or this end has closed. **Thread**: the end's own. **Cost**: a
 *  copy. */
static inline NART_MUST_USE nart_res nart_try_recv(nart_rx *rx, void *value);

/**
 * Sends; waits for a free slot.
 * @return 0; NART_ECLOSED; -EBUSY another task waits in this end; -ECANCELED, -ETIMEDOUT: not sent;
 *   NART_EFORK as nart_try_send(); NART_EDRIVER it would wait in a local channel under another driver
 *   than its runtime's. On an error the value stays the caller's.
 * **Thread**: the end's own.
 */
static inline NART_MUST_USE nart_res nart_send(nart_cx *cx, nart_tx *tx, const void *value);

/** Receives; waits for a value. @return 0; NART_ECLOSED; -EBUSY, -ECANCELED, -ETIMEDOUT,
 *  NART_EDRIVER as nart_send(); NART_EWRONGTHREAD an SPSC or MPSC receiver that belongs to another
 *  runtime, or a SPINNING one without a runtime. On an error no value is taken. A local receiver that has a
 *  value gives it to the caller, also when another task waits in it. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_recv(nart_cx *cx, nart_rx *rx, void *value);

/* ---- a slot first, its value later --------------------------------------------------------------- */

/**
 * Waits for a free slot and reserves it for the next value that this end sends: nart_try_send() then answers 0
 * (or NART_ECLOSED), nart_send() does not wait. So a value can be made, or taken out of somewhere else, once there
 * is space for it. No other sender gets the slot; it is not a place in the order of values. An end has at most
 * one reservation, and keeps it across polls and a move.
 * @return 0, also if it has one already, and then of a local channel and MPSC even if the receiver has closed since;
 *   the errors of nart_send(), on which nothing is reserved; -EINVAL a channel of capacity 0; NART_EFORK an MPSC
 *   channel of the parent's. **Ownership**: return the slot by sending, nart_tx_unreserve() or nart_tx_close().
 * **Thread**: the end's own. **Cost**: MPSC: two passes of a lock; meanwhile all senders of the channel
 * take it.
 */
static inline NART_MUST_USE nart_res nart_tx_reserve(nart_cx *cx, nart_tx *tx);

/** Reserves a slot without waiting. @return as nart_tx_reserve(); -EAGAIN full, or other senders are queued ahead.
 *  **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_tx_try_reserve(nart_tx *tx);

/** Returns the reserved slot to the other senders. No effect without a reservation. **Thread**: the end's
 *  own. */
NART_API void nart_tx_unreserve(nart_tx *tx);

/* ---- several values per call -------------------------------------------------------------------
 * One answer moves at most NART_CHAN_MANY values or 64 KiB, but at least one value: so no call occupies its
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
 * Sends all of `n` values; waits for free slots. Other senders' values may be interleaved with them.
 * @param done the number of these values sent so far: 0 before the first call, kept in the frame, 0 again
 *   after the answer `n`. An error, -ECANCELED and -ETIMEDOUT included, leaves it below `n`: another call
 *   with the same values sends the rest. Set it to 0 before sending other values: a count left from earlier
 *   ones is refused only if it is not below the new `n`; otherwise that many values are skipped.
 * @return `n`; -EINVAL `*done` is left from other values (not 0, and not below `n`), or a NULL;
 *   the errors of nart_send(). **Ownership**: on an error the values from `*done` on stay the caller's.
 *   **Thread**: the end's own.
 * **Cost**: one answer of the poll's budget for each NART_CHAN_MANY values.
 */
NART_API NART_MUST_USE nart_res nart_send_many(nart_cx *cx, nart_tx *tx, const void *values,
                                               size_t n, size_t *done);

/** Receives up to `max` values; waits only while there is none. @return how many, at least 1; 0 when
 *  `max` is 0; -EINVAL `values` is NULL; the errors of nart_recv(). **Thread**: the end's own. */
NART_API NART_MUST_USE nart_res nart_recv_many(nart_cx *cx, nart_rx *rx, void *values, size_t max);

/* ---- for threads without a loop ------------------------------------------------------------------- */

/**
 * Sends from an ordinary thread and blocks it until a slot is free, for at most `timeout_ns` (NART_NEVER: no
 * timeout; 0: does not block). For SPSC and MPSC. A blocked sender is queued like a task. Do not call it in
 * a poll: it would block the loop.
 * @return 0; -ETIMEDOUT; -EINVAL a local channel; -EBUSY a task waits in this end; NART_ECLOSED,
 *   NART_EFORK. On an error the value stays the caller's. **Thread**: the end's own. **Cost**: one or two
 * system calls if it blocks, and one on the side that wakes it.
 */
NART_API NART_MUST_USE nart_res nart_send_blocking(nart_tx *tx, const void *value,
                                                   int64_t timeout_ns);

/**
 * Receives in an ordinary thread and blocks it in the same way. The receiver must be bound to no runtime
 * (see nart_rx_bind()), or to one of this thread that is not running.
 * @return 0; -ETIMEDOUT; -EINVAL a local channel or a SPINNING one; -EDEADLK inside a poll of the
 *   receiver's runtime; NART_EWRONGTHREAD, NART_EFORK of that runtime; -EBUSY a task waits in this end;
 *   NART_ECLOSED. On an error no value is taken. **Thread**: the end's own.
 */
NART_API NART_MUST_USE nart_res nart_recv_blocking(nart_rx *rx, void *value, int64_t timeout_ns);

/**
 * Defines typed forms: `name_open(rt, kind, capacity, &tx, &rx)`, `name_send(cx, &tx, value)`,
 * `name_recv(cx, &rx, &value)`, `name_try_send(&tx, value)`, `name_try_recv(&rx, &value)`, where `value` is a T;
 * `name_reserve(cx, &tx)` and `name_try_reserve(&tx)`, after which name_try_send() sends.
 * They answer as the functions above, and -EINVAL for an end of a channel whose elem is not sizeof(T). The
 * ends are ordinary ones: for `drop_value`, several values or blocking use the functions above.
 */
#define NART_CHAN_TYPED(name, T)                                                                   \
    NART__CHAN_OPEN(name##_open, T)                                                                \
    NART__CHAN_TRY_SEND(name##_try_send, T)                                                        \
    NART__CHAN_TRY_RECV(name##_try_recv, T)                                                        \
    NART__CHAN_SEND(name##_send, T)                                                                \
    NART__CHAN_RECV(name##_recv, T)                                                                \
    NART__CHAN_RESERVE(name##_reserve, T)                                                          \
    NART__CHAN_TRY_RESERVE(name##_try_reserve, T)                                                  \
    struct name##_chan_typed

#ifdef __cplusplus
}
#endif

#include "detail/chan.h"

#endif
