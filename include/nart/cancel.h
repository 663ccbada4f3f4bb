/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/cancel.h
 * Cancellation tokens: one flag for many tasks and threads, and trees of them.
 *
 * A token is cancelled once, from any thread, and with it every token below it; never the ones above.
 * Tasks race it against what they do, and threads without a loop look at it now and then:
 *
 *     NART_AWAIT_ANY(which, r, fetch_page(cx, &f->page),
 *                    nart_token_await(cx, &f->token, &f->waiter));
 *     if (which == 1)
 *         NART_STOP(r, fetch_page(cx, &f->page)); // unwinds it
 *
 * Tasks of one runtime wait for a token: its home. For tasks of another make a child there, with
 * nart_token_child_on(). To end a task whatever it awaits see nart_task_cancel(), to keep clean-up
 * out of reach of that NART_SHIELD.
 */
#ifndef NART_CANCEL_H
#define NART_CANCEL_H

#include "atomic.h"
#include "rt.h"
#include "sync.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart__token;

/** A handle of a token. Zeroed = empty. Not copied but by nart_token_clone(); each is released. */
typedef struct nart_token {
    struct nart__token *node;
} nart_token;

/** A token of its own, whose home is `rt`. @return 0; -EINVAL, -ENOMEM, NART_EWRONGTHREAD,
 *  NART_EFORK. **Ownership**: `*out` is the caller's to release. **Thread**: that of `rt`.
 *  **Cost**: one allocation. */
NART_API NART_MUST_USE nart_res nart_token_new(nart_rt *rt, nart_token *out);

/** A token below `t`, with the same home; cancelled from the beginning if `t` is.
 *  @return 0; -EINVAL `t` is empty; -ENOMEM; NART_EFORK. **Ownership**: `*out` is the caller's to
 *  release; `t` may be released before. **Thread**: any. **Cost**: one allocation and a lock that the
 *  tree shares. */
NART_API NART_MUST_USE nart_res nart_token_child(const nart_token *t, nart_token *out);

/** The same with `rt` as its home. @return also NART_EWRONGTHREAD. **Thread**: that of `rt`. */
NART_API NART_MUST_USE nart_res nart_token_child_on(const nart_token *t, nart_rt *rt,
                                                    nart_token *out);

/** Another handle of the same token, into an empty one; of an empty one an empty one.
 *  **Thread**: any. */
NART_API void nart_token_clone(const nart_token *t, nart_token *out);

/** Gives the handle up and empties it; cancels nothing. With its last handle a token that has no
 *  child leaves its tree. NULL and empty handles are fine. **Thread**: any. */
NART_API void nart_token_release(nart_token *t);

/** Cancels the token and all below it, and wakes who awaits them. Idempotent; NULL and empty handles
 *  are fine. **Thread**: any, signal handlers excepted; the waiting tasks are polled by their own
 *  loops. **Cost**: linear in the tokens below, under the lock of the tree; in constant stack. */
NART_API void nart_token_cancel(const nart_token *t);

/** Cancels and releases. Call it from a frame's drop to cancel work that is done for the task; to let
 *  that work continue, call nart_token_release() before. **Thread**: as
 *  nart_token_cancel(). */
NART_API void nart_token_cancel_release(nart_token *t);

/** Is it cancelled? False for an empty handle. What the canceller wrote before is visible then.
 *  **Thread**: any. **Cost**: a load. */
static inline bool nart_token_is_cancelled(const nart_token *t)
{
    /* the state is the first member, and cancelled its lowest bit */
    const NART__ATOMIC(uint32_t) *state = (const NART__ATOMIC(uint32_t) *)(const void *)t->node;
    return state && NART__LOAD(state, NART__ACQUIRE) & 1;
}

/**
 * Waits until the token is cancelled.
 * @return 0, once it is; -EINVAL an empty handle; -EBUSY another task, or another operation, waits in
 *   `w`; -ECANCELED (the task itself), -ETIMEDOUT; NART_EDRIVER it would wait, and the task is not
 *   polled by the loop of the token's home.
 * **Thread**: the home's.
 */
NART_API NART_MUST_USE nart_res nart_token_await(nart_cx *cx, const nart_token *t, nart_waiter *w);

#ifdef __cplusplus
}
#endif
#endif
