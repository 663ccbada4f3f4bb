/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* token.c: trees of cancellation tokens, from any thread.
 *
 * What it keeps true
 *  1. Below a cancelled token every token is cancelled, when the lock of the tree is free.
 *  2. Who waits for a token hears of its end: the flag and "somebody waits" are bits of one word, each
 *     set by a read-modify-write. Whoever comes second sees the other: a waiter does not wait, or the
 *     canceller tells the home, by a post. (The waiters themselves are the home thread's own.)
 *  3. A token is freed once nobody refers to it; its children do, so a tree is kept from below, and a
 *     token without handles and children is not in it.
 *
 * The algorithm
 *  1. Cancel takes the lock, walks down in order, without recursion, sets the flags, and skips what is
 *     below a token that was cancelled before. Those that must be told are put on a list, each with a
 *     reference, and told when the lock is left.
 *  2. The last reference takes its token out of the parent's list under the lock, frees it, and gives
 *     up the reference to the parent: in a loop, a chain of any length.
 *  3. The walk may meet a token on its way from 2: with no reference left. It is marked and not told.
 *
 * Bounds: cancel is linear in the tokens below, and so long the lock is held; the rest is constant. */
#include "token.h"

/* Relaxed: the caller has a reference, or the lock. */
void nart__token_ref(nart__token *t)
{
    (void)NART__FETCH_ADD(&t->refs, 1u, NART__RELAXED);
}

/* Another reference, if there is one left. Relaxed: the lock keeps the token where it is. */
static bool ref_unless_gone(nart__token *t)
{
    uint32_t refs = NART__LOAD(&t->refs, NART__RELAXED);

    while (refs > 0 && !NART__CAS(&t->refs, &refs, refs + 1, NART__RELAXED, NART__RELAXED))
        continue;
    return refs > 0;
}

static void link_child(nart__token *parent, nart__token *t)
{
    t->next = parent->first;
    t->prev = NULL;
    if (parent->first)
        parent->first->prev = t;
    parent->first = t;
}

static void unlink_child(nart__token *parent, nart__token *t)
{
    if (t->next)
        t->next->prev = t->prev;
    if (t->prev)
        t->prev->next = t->next;
    else
        parent->first = t->next;
}

void nart__token_begin(nart__token *t, nart__token *parent)
{
    NART__STORE(&t->refs, 1u, NART__RELAXED);
    NART__STORE(&t->state, 0u, NART__RELAXED);
    t->parent = parent;
    t->root = parent ? parent->root : t;
    if (!parent) {
        nart__lock_init(&t->lock);
        return;
    }
    nart__token_ref(parent);
    nart__lock_enter(&t->root->lock);
    link_child(parent, t);
    if (nart__token_cancelled(parent))
        NART__STORE(&t->state, (uint32_t)NART__TOKEN_CANCELLED,
                    NART__RELAXED); /* nobody else's yet */
    nart__lock_leave(&t->root->lock);
}

void nart__token_unref(nart__token *t)
{
    /* Release: what this thread did with the token. Acquire: what the others did, before it goes. */
    while (t && NART__FETCH_ADD(&t->refs, UINT32_MAX, NART__ACQ_REL) == 1) {
        nart__token *parent = t->parent;
        if (parent) {
            nart__lock_enter(&t->root->lock);
            unlink_child(parent, t);
            nart__lock_leave(&t->root->lock);
        } else {
            nart__lock_finish(&t->lock);
        }
        nart__token_free(t);
        t = parent;
    }
}

bool nart__token_arm(nart__token *t)
{
    /* Acquire: what the canceller wrote, if it was first. */
    return !(NART__FETCH_OR(&t->state, (uint32_t)NART__TOKEN_ARMED, NART__ACQUIRE) &
             NART__TOKEN_CANCELLED);
}

/* Relaxed: nobody waits, so nobody misses a canceller that still sees the bit, or no longer. */
void nart__token_disarm(nart__token *t)
{
    (void)NART__FETCH_AND(&t->state, ~(uint32_t)NART__TOKEN_ARMED, NART__RELAXED);
}

/* Under the lock: the token and all below it. Those that must be told. */
static nart__token *mark(nart__token *top)
{
    nart__token *armed = NULL;

    for (nart__token *t = top;;) {
        /* Release: what the canceller wrote is there for whoever sees the flag. */
        uint32_t old = NART__FETCH_OR(&t->state, (uint32_t)NART__TOKEN_CANCELLED, NART__RELEASE);
        bool first = !(old & NART__TOKEN_CANCELLED);
        if (first && old & NART__TOKEN_ARMED && ref_unless_gone(t)) {
            t->armed = armed;
            armed = t;
        }
        if (first && t->first) {
            t = t->first;
            continue;
        }
        while (t != top && !t->next)
            t = t->parent;
        if (t == top)
            return armed;
        t = t->next;
    }
}

/* The post has the reference from here on. Without a home nobody waits any more. */
static void tell(nart__token *t)
{
    if (!nart__post_send(t->owner.hub, t->owner.incarnation, t->owner.waker.w, &t->post))
        nart__token_unref(t);
}

void nart__token_cancel(nart__token *t)
{
    nart__lock_enter(&t->root->lock);
    nart__token *armed = mark(t);
    nart__lock_leave(&t->root->lock);
    for (nart__token *next; armed; armed = next) {
        next = armed->armed; /* before it is told: it may be gone then */
        tell(armed);
    }
}
