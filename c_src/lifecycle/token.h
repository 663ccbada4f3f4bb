/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* token.h: the tree of tokens. See token.c. It compiles as C++, too. */
#ifndef NART_LIFECYCLE_TOKEN_H
#define NART_LIFECYCLE_TOKEN_H

#include "../base/lock.h"
#include "../core/post.h"

#include <nart/remote.h>

enum { NART__TOKEN_CANCELLED = 1, NART__TOKEN_ARMED = 2 };

typedef struct nart__token {
    NART__ATOMIC(uint32_t) state; /* first: see nart_token_is_cancelled() */
    NART__ATOMIC(uint32_t) refs;  /* handles, waiters, children, a post under way */
    nart__post post;              /* to the owner: the token is cancelled */
    nart_remote owner;            /* the runtime whose tasks may wait for it */
    struct nart__token *root, *parent;

    /* under the lock of the root */
    struct nart__token *first, *next, *prev; /* children, brothers */
    struct nart__token *armed;               /* the next one to post */
    nart__lock lock;

    nart__waitq waits; /* private to the owner's thread */
    nart_alloc alloc;
} nart__token;

/* Completes a token, with one reference. The caller has set the owner and the allocator, and holds a
 * handle of `parent`, which may be NULL. */
void nart__token_begin(nart__token *t, nart__token *parent);

static inline bool nart__token_cancelled(nart__token *t)
{
    return NART__LOAD(&t->state, NART__ACQUIRE) & NART__TOKEN_CANCELLED;
}

/* On the owner's thread, when a task begins to wait. False: the token is cancelled. True: post.run is
 * called on that thread when it is. */
bool nart__token_arm(nart__token *t);

/* On the owner's thread, when the last waiter has left: a cancellation then posts nothing. */
void nart__token_disarm(nart__token *t);

void nart__token_cancel(nart__token *t);

void nart__token_ref(nart__token *t);
void nart__token_unref(nart__token *t);

/* Supplied by the user of token.c: frees the memory. */
void nart__token_free(nart__token *t);

#endif
