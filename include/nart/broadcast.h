/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/broadcast.h
 * One sender, many receivers. The receivers of a **watch** see the newest value; those of a **broadcast** see
 * every value, unless it was overwritten in the ring before they read it.
 *
 * All of it is plain memory of one runtime's thread. Values are copied in and out and have no destructor.
 * Sending never waits; several tasks may send with one handle. The memory is freed when the sender and all
 * receivers are closed, which may be after the runtime. A zeroed handle is closed; a handle need not be
 * initialised before it is opened. Do not copy handles; move them with the move functions. Closing is
 * idempotent and accepts NULL. Operations that wait also answer -ECANCELED; -ETIMEDOUT; -EBUSY another task
 * waits in this handle; NART_EDRIVER tasks of another runtime wait for the sender, or as for nart/sync.h;
 * -EPERM outside of a poll.
 *
 * A task that follows the newest value, until the sender closes:
 *
 *     for (;;) {
 *         NART_AWAIT(r, nart_watch_changed(cx, &f->rx, &f->limits));
 *         if (r < 0)
 *             break;
 *         apply(&f->limits);
 *     }
 *
 * **Thread** of all functions: the runtime's own. **Cost**: sending is a copy and O(tasks that wait).
 */
#ifndef NART_BROADCAST_H
#define NART_BROADCAST_H

#include "detail/bcast.h"
#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART_BROADCAST_MAX_ELEM 65536u                  /**< bytes per value at most */
#define NART_BROADCAST_MAX_CAPACITY (UINT32_C(1) << 30) /**< values at most */

/* ---- watch ---- */

/** The sender. */
typedef struct nart_watch_tx {
    /* private */
    struct nart__bcast *bcast;
} nart_watch_tx;

/** A receiver. */
typedef struct nart_watch_rx {
    /* private */
    nart__bcast_rx in;
} nart_watch_rx;

/**
 * Opens a watch of values of `size` bytes. Its first value is `initial`, which counts as seen by the
 * receiver.
 * @return 0; -EINVAL something is missing, or a size of 0; -EOVERFLOW a size above
 *   NART_BROADCAST_MAX_ELEM; -ENOMEM; NART_EWRONGTHREAD, NART_EFORK. On an error both are closed.
 * **Cost**: one allocation.
 */
NART_API NART_MUST_USE nart_res nart_watch_open(nart_rt *rt, size_t size, const void *initial,
                                                nart_watch_tx *tx, nart_watch_rx *rx);

/** Replaces the value. @return >= 0: the number of receivers; NART_ECLOSED this handle. */
NART_API nart_res nart_watch_send(nart_watch_tx *tx, const void *value);

/** Opens another receiver, for which the present value counts as seen. @return 0; NART_ECLOSED this handle. */
NART_API NART_MUST_USE nart_res nart_watch_subscribe(const nart_watch_tx *tx, nart_watch_rx *out);

/** Opens another receiver, which has seen the same as this one. @return 0; NART_ECLOSED this handle. */
NART_API NART_MUST_USE nart_res nart_watch_clone(const nart_watch_rx *rx, nart_watch_rx *out);

/** Copies the present value and marks it as seen, also after the sender has closed. @return 0; NART_ECLOSED
 *  this handle. */
NART_API nart_res nart_watch_get(nart_watch_rx *rx, void *value);

/** Is there a value that this receiver has not seen? */
NART_API bool nart_watch_has_changed(const nart_watch_rx *rx);

/** Waits for a value that this receiver has not seen, and copies the newest.
 *  @return 0; NART_ECLOSED there is no unseen value and the sender has closed, or this handle is closed. */
NART_API NART_MUST_USE nart_res nart_watch_changed(nart_cx *cx, nart_watch_rx *rx, void *value);

/** A task that waits in the receiver that is closed is woken and finds NART_ECLOSED. */
NART_API void nart_watch_tx_close(nart_watch_tx *tx);
NART_API void nart_watch_rx_close(nart_watch_rx *rx);

/** Moves a handle into a closed or zeroed one. A task that waits in `*src` is woken, and finds it
 *  closed. */
NART_API void nart_watch_tx_move(nart_watch_tx *dst, nart_watch_tx *src);
NART_API void nart_watch_rx_move(nart_watch_rx *dst, nart_watch_rx *src);

/* ---- broadcast ---- */

/** The sender. */
typedef struct nart_broadcast_tx {
    /* private */
    struct nart__bcast *bcast;
} nart_broadcast_tx;

/** A receiver. */
typedef struct nart_broadcast_rx {
    /* private */
    nart__bcast_rx in;
} nart_broadcast_rx;

/**
 * Opens a broadcast that keeps the newest `capacity` values (rounded up to a power of two) of
 * `elem` bytes. If its first receiver is not needed, close it: nart_broadcast_subscribe() opens others.
 * @return 0; -EINVAL something is missing or 0; -EOVERFLOW beyond the limits above; -ENOMEM;
 *   NART_EWRONGTHREAD, NART_EFORK. On an error both are closed.
 * **Cost**: one allocation.
 */
NART_API NART_MUST_USE nart_res nart_broadcast_open(nart_rt *rt, size_t elem, size_t capacity,
                                                    nart_broadcast_tx *tx, nart_broadcast_rx *rx);

/** Sends to all present receivers; overwrites the oldest value. @return >= 0: the number of receivers;
 *  NART_ECLOSED this handle. */
NART_API nart_res nart_broadcast_send(nart_broadcast_tx *tx, const void *value);

/** Opens another receiver, for values sent from now on. @return 0; NART_ECLOSED this handle. */
NART_API NART_MUST_USE nart_res nart_broadcast_subscribe(const nart_broadcast_tx *tx,
                                                         nart_broadcast_rx *out);

/** Opens another receiver, for the values that this one has not received. @return 0; NART_ECLOSED this
 *  handle. */
NART_API NART_MUST_USE nart_res nart_broadcast_clone(const nart_broadcast_rx *rx,
                                                     nart_broadcast_rx *out);

/** The number of values that the receiver has not received, lost ones included. */
NART_API uint64_t nart_broadcast_len(const nart_broadcast_rx *rx);

/**
 * Waits for the next value and receives it.
 * @return 0; NART_ELAGGED the receiver lagged: `*lost` (may be NULL) values were overwritten before it read
 *   them, and the next call receives the oldest that is left; NART_ECLOSED all values were received and the
 *   sender has closed, or this handle is closed; see above.
 */
NART_API NART_MUST_USE nart_res nart_broadcast_recv(nart_cx *cx, nart_broadcast_rx *rx, void *value,
                                                    uint64_t *lost);

/** Receives without waiting. @return as nart_broadcast_recv(), or -EAGAIN. */
NART_API NART_MUST_USE nart_res nart_broadcast_try_recv(nart_broadcast_rx *rx, void *value,
                                                        uint64_t *lost);

/** A task that waits in the receiver that is closed is woken and finds NART_ECLOSED. */
NART_API void nart_broadcast_tx_close(nart_broadcast_tx *tx);
NART_API void nart_broadcast_rx_close(nart_broadcast_rx *rx);

/** Moves a handle into a closed or zeroed one. A task that waits in `*src` is woken, and finds it
 *  closed. */
NART_API void nart_broadcast_tx_move(nart_broadcast_tx *dst, nart_broadcast_tx *src);
NART_API void nart_broadcast_rx_move(nart_broadcast_rx *dst, nart_broadcast_rx *src);

#ifdef __cplusplus
}
#endif
#endif
