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
 * A zeroed end is closed; so is an end after it has sent or received. An end need not be initialised before
 * it is opened. Do not copy ends; move them with the move functions. Ends of nart_oneshot_open() may also be
 * moved inside a frame that is spawned or a value that is sent: see NART_TASK_TYPED in nart/rt.h. Closing is
 * idempotent and accepts NULL. Each end must have sent, received or been closed before its storage ends.
 * Both may outlive the runtime.
 *
 * A task that asks. The task that answers calls `nart_oneshot_send(tx, &value)`:
 *
 *     r = nart_oneshot_link(&f->answer, sizeof f->answer, NULL, &f->tx, &f->rx);
 *     if (r == 0)
 *         r = ask(cx, &f->tx);
 *     if (r == 0)
 *         NART_AWAIT(r, nart_oneshot_recv(cx, &f->rx, &f->answer));
 *
 * A thread without a loop waits with nart_oneshot_recv_blocking(). To run a task on a loop and wait for its answer,
 * it needs no oneshot: see nart_remote_spawn_join() in nart/remote.h.
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
    /* private */
    struct nart__oneshot *shared;
    struct nart_oneshot_rx *rx;
} nart_oneshot_tx;

/** The receiver. */
typedef struct nart_oneshot_rx {
    /* private */
    nart__wait wait;
    struct nart__oneshot *shared;
    nart_oneshot_tx *tx;
    void *slot;
    size_t size;
    void (*drop_value)(void *value);
    uint64_t sent;
} nart_oneshot_rx;

/**
 * Opens both ends for a value of `size` bytes, which may be 0. `drop_value` (may be NULL) destroys a value
 * that was sent and is not received; it runs on the receiver's thread.
 * @return 0; -EINVAL an end is missing; -EOVERFLOW a size above NART_ONESHOT_MAX_SIZE; -ENOMEM;
 *   NART_EWRONGTHREAD, NART_EFORK. On an error both ends are closed.
 * **Ownership**: the block is from the allocator of `rt` and freed on the thread of the last end.
 * **Thread**: that of `rt`; each end may then be used by any one thread.
 */
NART_API NART_MUST_USE nart_res nart_oneshot_open(nart_rt *rt, size_t size,
                                                  void (*drop_value)(void *value),
                                                  nart_oneshot_tx *tx, nart_oneshot_rx *rx);

/** Opens both ends for tasks of one thread, without an allocation: the value is written to `slot`, which
 *  the caller keeps alive until the receiver is closed. Not for tasks that a driver moves between threads.
 *  @return 0; -EINVAL an end is missing, or there is no slot and `size` is not 0.
 *  **Thread**: both ends belong to the caller's. */
NART_API NART_MUST_USE nart_res nart_oneshot_link(void *slot, size_t size,
                                                  void (*drop_value)(void *value),
                                                  nart_oneshot_tx *tx, nart_oneshot_rx *rx);

/** Sends the value and closes this end. Never waits. @return 0; NART_ECLOSED the receiver, or this
 *  end, has closed: the value stays the caller's. **Thread**: the sender's. */
NART_API NART_MUST_USE nart_res nart_oneshot_send(nart_oneshot_tx *tx, const void *value);

/** Waits for the value, copies it to `value` and closes this end. If `value` is the slot of linked ends,
 *  nothing is copied.
 *  @return 0; NART_ECLOSED the sender has closed without a value, or this end has; -EBUSY another
 *  task waits in it; -ECANCELED, -ETIMEDOUT: nothing was taken; NART_EDRIVER linked ends, as for
 *  nart/sync.h. **Thread**: the receiver's. */
NART_API NART_MUST_USE nart_res nart_oneshot_recv(nart_cx *cx, nart_oneshot_rx *rx, void *value);

/** Receives without waiting. @return 0; -EAGAIN; NART_ECLOSED. */
NART_API NART_MUST_USE nart_res nart_oneshot_try_recv(nart_oneshot_rx *rx, void *value);

/**
 * Receives in an ordinary thread and blocks it until the sender has sent or closed, for at most `timeout_ns`
 * (NART_NEVER: no timeout; 0: does not block). Do not call it in a poll: it would block the loop; nor where the
 * value is sent by the same thread.
 * @return 0; -ETIMEDOUT: nothing was taken; NART_ECLOSED as nart_oneshot_recv(); -EBUSY a task waits in it; -EINVAL
 *   linked ends whose value was not sent. **Thread**: the receiver's. **Cost**: one or two system calls if it
 *   blocks, and one on the sender's side.
 */
NART_API NART_MUST_USE nart_res nart_oneshot_recv_blocking(nart_oneshot_rx *rx, void *value,
                                                           int64_t timeout_ns);

/** Has the receiver closed? True for a closed end. **Thread**: the sender's. */
NART_API bool nart_oneshot_tx_is_closed(const nart_oneshot_tx *tx);

/** Closes an end. The other end then answers NART_ECLOSED: a receiver that waits at once, a sender when it
 *  sends. A task that waits in the closed end itself is woken. **Thread**: the end's own. */
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
