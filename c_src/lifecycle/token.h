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
    nart__post post;              /* to the home: it is cancelled */
    nart_remote owner;            /* whose tasks wait for it */
    struct nart__token *root, *parent;

    /* under the lock of the root */
    struct nart__token *first, *next, *prev; /* children, brothers */
    struct nart__token *armed;               /* the next one that is to be told */
    nart__lock lock;

    nart__waitq waits; /* the thread of the home's own */
    nart_alloc alloc;
} nart__token;

/* Fills in a token with one reference; `parent`, of which the caller has a handle, may be NULL. The
 * home and the rest have been set. */
void nart__token_begin(nart__token *t, nart__token *parent);

static inline bool nart__token_cancelled(nart__token *t)
{
    return NART__LOAD(&t->state, NART__ACQUIRE) & NART__TOKEN_CANCELLED;
}

/* On the home's thread, when a task has begun to wait: false if the token is cancelled. Else its
 * post.run is called on that thread when it is. */
bool nart__token_arm(nart__token *t);

/* On the home's thread, when the last task that waited has left: so nothing is posted for nobody. */
void nart__token_disarm(nart__token *t);

void nart__token_cancel(nart__token *t);

void nart__token_ref(nart__token *t);
void nart__token_unref(nart__token *t);

/* Of token.c's user: gives the memory back. */
void nart__token_free(nart__token *t);

#endif
