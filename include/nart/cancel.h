/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/cancel.h
 * Cancellation tokens: one flag for many tasks and threads, and trees of them.
 *
 * Cancelling a token, from any thread, cancels all tokens below it and none above. It cannot be undone.
 * Tasks race a token against their work; threads without a loop test it periodically:
 *
 *     NART_AWAIT_ANY(which, r, fetch_page(cx, &f->page),
 *                    nart_token_await(cx, &f->token, &f->waiter));
 *     if (which == 1)
 *         NART_STOP(r, fetch_page(cx, &f->page)); // unwinds it
 *
 * A token belongs to one runtime, its owner: only tasks of that runtime can await it. For tasks of another
 * runtime make a child with nart_token_child_on(). nart_task_cancel() cancels a task whatever it awaits;
 * NART_SHIELD protects clean-up from that.
 */
#ifndef NART_CANCEL_H
#define NART_CANCEL_H

#include "rt.h"
#include "sync.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart__token;

/** A handle of a token. Zeroed = empty. Copy it with nart_token_clone() only; release each handle. */
typedef struct nart_token {
    /* private */
    struct nart__token *node;
} nart_token;

/** Makes a token without a parent, owned by `rt`. @return 0; -EINVAL, -ENOMEM, NART_EWRONGTHREAD,
 *  NART_EFORK. **Ownership**: `*out` is the caller's to release. **Thread**: that of `rt`.
 *  **Cost**: one allocation. */
NART_API NART_MUST_USE nart_res nart_token_new(nart_rt *rt, nart_token *out);

/** Makes a child of `t` with the same owner; if `t` is cancelled, so is the child.
 *  @return 0; -EINVAL `t` is empty; -ENOMEM; NART_EFORK. **Ownership**: `*out` is the caller's to
 *  release; `t` may be released first. **Thread**: any. **Cost**: one allocation, and the lock of the
 *  tree. */
NART_API NART_MUST_USE nart_res nart_token_child(const nart_token *t, nart_token *out);

/** Makes a child of `t` that is owned by `rt`. @return as nart_token_child(); NART_EWRONGTHREAD.
 *  **Thread**: that of `rt`. */
NART_API NART_MUST_USE nart_res nart_token_child_on(const nart_token *t, nart_rt *rt,
                                                    nart_token *out);

/** Copies a handle into `*out`, which is empty. A copy of an empty handle is empty. **Thread**: any. */
NART_API void nart_token_clone(const nart_token *t, nart_token *out);

/** Releases the handle and empties it; does not cancel. A token without handles and children is freed.
 *  A task that awaits the token through this handle is not woken: at its next poll it finds the handle
 *  empty. NULL and empty handles are fine. **Thread**: any; the owner's while a task awaits the token
 *  through this handle. */
NART_API void nart_token_release(nart_token *t);

/** Cancels the token and all below it, and wakes the tasks that await them. Idempotent; NULL and empty
 *  handles are fine. **Thread**: any, but not in signal handlers; the waiting tasks are polled by their
 *  own loops. **Cost**: linear in the tokens below, under the lock of the tree; constant stack. */
NART_API void nart_token_cancel(const nart_token *t);

/** Cancels and releases. Call it from a frame's drop to cancel work done for the task; to let that work
 *  continue, call nart_token_release() first. **Thread**: as nart_token_cancel(). */
NART_API void nart_token_cancel_release(nart_token *t);

/** Is the token cancelled? False for an empty handle. If true, what the canceller wrote before is visible.
 *  **Thread**: any. **Cost**: a load. */
static inline bool nart_token_is_cancelled(const nart_token *t);

/**
 * Waits until the token is cancelled.
 * @return 0 it is cancelled; -EINVAL an empty handle; -EBUSY another task, or another operation, waits in
 *   `w`; -ECANCELED the task itself was cancelled; -ETIMEDOUT; NART_EDRIVER it would wait, and the task is
 *   not polled by the loop of the token's owner.
 * **Thread**: the owner's.
 */
NART_API NART_MUST_USE nart_res nart_token_await(nart_cx *cx, const nart_token *t, nart_waiter *w);

#ifdef __cplusplus
}
#endif

#include "detail/cancel.h"

#endif
