/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/oneshot.h
 * One value from one sender to one receiver, usually the answer to a request.
 *
 * | opened by           | sender's thread | the value is in        | costs                       |
 * |---------------------|-----------------|------------------------|-----------------------------|
 * | nart_oneshot_open() | any             | a block of its own     | an allocation, and a locked |
 * |                     |                 |                        | instruction for each end    |
 * | nart_oneshot_link() | the receiver's  | memory of the caller's | some stores                 |
 *
 * The ends are zeroed = closed, and so they are after the value has been sent or received. They may be
 * uninitialised before they are opened. They are not copied, and are moved with the move functions; those
 * of nart_oneshot_open() also within a frame that is spawned, or a value that is sent: see
 * NART_TASK_TYPED in nart/rt.h. Closing is idempotent and takes NULL; each end
 * must be closed, or have sent or received, before its storage ends. Both may outlive the runtime.
 *
 * The task that asks; the one that answers calls `nart_oneshot_send(tx, &value)`:
 *
 *     r = nart_oneshot_link(&f->answer, sizeof f->answer, NULL, &f->tx, &f->rx);
 *     if (r == 0)
 *         r = ask(cx, &f->tx);
 *     if (r == 0)
 *         NART_AWAIT(r, nart_oneshot_recv(cx, &f->rx, &f->answer));
 *
 * Only a task waits in a receiver. A plain thread that asks has two ways: a runtime of its own, and
 * nart_block_on() with a task that asks and waits; or, in place of the oneshot, an SPSC channel of capacity
 * 1. The loop's thread opens that, binds the receiver to no runtime by nart_rx_bind(), and hands it to the
 * thread, which calls nart_recv_blocking().
 */
#ifndef NART_ONESHOT_H
#define NART_ONESHOT_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart__oneshot;
struct nart_oneshot_rx;

#define NART_ONESHOT_MAX_SIZE 65536u /**< bytes at most */

/** The sender. */
typedef struct nart_oneshot_tx {
    struct nart__oneshot *shared; /* any thread */
    struct nart_oneshot_rx *rx;   /* linked: the other end, while that is open */
} nart_oneshot_tx;

/** The receiver. */
typedef struct nart_oneshot_rx {
    nart__wait wait;
    struct nart__oneshot *shared;
    nart_oneshot_tx *tx; /* linked: the other end, while that is open */
    void *slot;          /* linked: where the value goes */
    size_t size;
    void (*drop_value)(void *value);
    uint64_t sent; /* linked: the value is in the slot */
} nart_oneshot_rx;

/**
 * Opens both ends for a value of `size` bytes, which may be 0. `drop_value` (may be NULL) is the
 * destructor of a value that was sent and is not received: called on the receiver's thread.
 * @return 0; -EINVAL an end is missing; -EOVERFLOW a size above NART_ONESHOT_MAX_SIZE; -ENOMEM;
 *   NART_EWRONGTHREAD, NART_EFORK. On an error both ends are closed.
 * **Ownership**: the block is from the allocator of `rt`, and freed on the thread of the end that
 * is the last. **Thread**: that of `rt`; each end may then be used by any one thread.
 */
NART_API NART_MUST_USE nart_res nart_oneshot_open(nart_rt *rt, size_t size,
                                                  void (*drop_value)(void *value),
                                                  nart_oneshot_tx *tx, nart_oneshot_rx *rx);

/** The same between tasks of one thread, without a block: the value goes to `slot`, which is the
 *  caller's and stays there until the receiver is closed. Not for tasks that a driver moves between
 *  threads. @return 0; -EINVAL an end is missing, or the slot of a size that is not 0.
 *  **Thread**: both ends belong to the caller's. */
NART_API NART_MUST_USE nart_res nart_oneshot_link(void *slot, size_t size,
                                                  void (*drop_value)(void *value),
                                                  nart_oneshot_tx *tx, nart_oneshot_rx *rx);

/** Sends the value and closes this end. Never waits. @return 0; NART_ECLOSED the receiver, or this
 *  end, has closed: the value stays the caller's. **Thread**: the sender's. */
NART_API NART_MUST_USE nart_res nart_oneshot_send(nart_oneshot_tx *tx, const void *value);

/** Waits for the value, copies it to `value` and closes this end. A copy to the slot of linked ends
 *  itself costs nothing.
 *  @return 0; NART_ECLOSED the sender has closed without a value, or this end has; -EBUSY another
 *  task waits in it; -ECANCELED, -ETIMEDOUT: nothing was taken; NART_EDRIVER linked ends, and a
 *  driver that moves the task between threads. **Thread**: the receiver's. */
NART_API NART_MUST_USE nart_res nart_oneshot_recv(nart_cx *cx, nart_oneshot_rx *rx, void *value);

/** The same without waiting. @return 0; -EAGAIN; NART_ECLOSED. */
NART_API NART_MUST_USE nart_res nart_oneshot_try_recv(nart_oneshot_rx *rx, void *value);

/** Has the receiver closed? True for a closed end. **Thread**: the sender's. */
NART_API bool nart_oneshot_tx_is_closed(const nart_oneshot_tx *tx);

/** Closes an end: a receiver that waits finds NART_ECLOSED, a sender at its send, and a task that
 *  waits in the end that is closed is woken. **Thread**: the end's own. */
NART_API void nart_oneshot_tx_close(nart_oneshot_tx *tx);
NART_API void nart_oneshot_rx_close(nart_oneshot_rx *rx);

/** Moves an end into a closed or zeroed one. A task that waits in `*src` is woken, and finds it
 *  closed. **Thread**: the end's own. */
NART_API void nart_oneshot_tx_move(nart_oneshot_tx *dst, nart_oneshot_tx *src);
NART_API void nart_oneshot_rx_move(nart_oneshot_rx *dst, nart_oneshot_rx *src);

#ifdef __cplusplus
}
#endif
#endif
