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

#include "task.h"

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

struct nart__ring;

/** The sending end. Zeroed = closed. Not copied; moved with nart_tx_move(). */
typedef struct nart_tx {
    /* private */
    nart__wait wait;
    struct nart__ring *ring;
    uint64_t type, pos, seen, waker;
} nart_tx;

/** The receiving end. Zeroed = closed. Not copied; moved with nart_rx_move(). */
typedef struct nart_rx {
    /* private */
    nart__wait wait;
    struct nart__ring *ring;
    uint64_t type, pos, seen, reserved;
} nart_rx;

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
                                                    nart_tx *tx, nart_rx *rx);

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

/* ---- one value by one call -------------------------------------------------------------------- */

/**
 * Sends without waiting.
 * @return 0; -EAGAIN full (or others wait before you); NART_ECLOSED the receiver, or this end, has
 *   closed; NART_EFORK in a child of fork, where others waited. On an error the value stays the
 *   caller's.
 * **Thread**: the end's own. **Cost**: a copy; SPSC to a receiver that is not SPINNING, and MPSC: and
 * one locked instruction; MPSC while others wait: a lock that is held for a few instructions.
 */
static inline NART_MUST_USE nart_res nart_try_send(nart_tx *tx, const void *value);

/** Receives without waiting. @return 0; -EAGAIN empty, or (MPSC) a sender is just putting the next
 *  value in; NART_ECLOSED empty, and the sending side or this end has closed. **Thread**: the end's
 *  own. **Cost**: a copy. */
static inline NART_MUST_USE nart_res nart_try_recv(nart_rx *rx, void *value);

/**
 * Sends, waiting for a place.
 * @return 0; NART_ECLOSED; -EBUSY another task waits in this end; -ECANCELED, -ETIMEDOUT: not sent;
 *   NART_EFORK as nart_try_send(); NART_EDRIVER it would wait in a local channel under another driver
 *   than its runtime's. On an error the value stays the caller's.
 * **Thread**: the end's own.
 */
static inline NART_MUST_USE nart_res nart_send(nart_cx *cx, nart_tx *tx, const void *value);

/** Receives, waiting for a value. @return 0; NART_ECLOSED; -EBUSY, -ECANCELED, -ETIMEDOUT,
 *  NART_EDRIVER as nart_send(); NART_EWRONGTHREAD an SPSC or MPSC receiver that belongs to another
 *  runtime, or a SPINNING one without. No error takes a value out. A local receiver that has a value
 *  gives it to the caller, also when another task waits in it. **Thread**: the end's own. */
static inline NART_MUST_USE nart_res nart_recv(nart_cx *cx, nart_rx *rx, void *value);

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
 *   frame. `n` answered: 0 again. An error leaves it below `n`, -ECANCELED and -ETIMEDOUT included:
 *   another call with the same values sends the rest. Before other values set it to 0: a rest of earlier
 *   ones is refused only when it is not below the new `n`, else as many values are skipped.
 * @return `n`; -EINVAL `*done` is left from other values (not 0, and not below `n`), or a NULL;
 *   the errors of nart_send(). **Ownership**: values from `*done` on stay the caller's on an error.
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
    NART__CHAN_OPEN(name##_open, T)                                                                \
    NART__CHAN_TRY_SEND(name##_try_send, T)                                                        \
    NART__CHAN_TRY_RECV(name##_try_recv, T)                                                        \
    NART__CHAN_SEND(name##_send, T)                                                                \
    NART__CHAN_RECV(name##_recv, T)                                                                \
    struct name##_chan_typed

#ifdef __cplusplus
}
#endif

#include "detail/chan.h"

#endif
