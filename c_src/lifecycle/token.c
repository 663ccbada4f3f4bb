/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* token.c: trees of cancellation tokens, from any thread.
 *
 * What it keeps true
 *  1. Whenever the tree's lock is free, every token below a cancelled token is cancelled.
 *  2. No waiter misses a cancellation. CANCELLED and ARMED ("a task waits") are bits of one word, each
 *     set by a read-modify-write. The later of the two sees the earlier: the waiter does not park, or
 *     the canceller posts to the owner. (The list of waiters is private to the owner's thread.)
 *  3. A token is freed when its last reference is released. Handles, waiters, children and posts hold
 *     references, so a token lives as long as its children.
 *
 * The algorithm
 *  1. Cancel takes the lock, walks down in preorder without recursion, sets the flags, and skips the
 *     subtree of a token that was cancelled before. It collects the armed tokens in a list, each with a
 *     reference, and posts to their owners after it has released the lock.
 *  2. Releasing the last reference unlinks the token from its parent under the lock, frees it, and then
 *     releases the reference to the parent. This is a loop, so a chain may have any length.
 *  3. The walk may meet a token that step 2 has not unlinked yet. Its reference count is zero: it is
 *     marked and not posted.
 *
 * Bounds: cancel is linear in the tokens below and holds the lock for that time; the rest is constant. */
#include "token.h"

/* Relaxed: the caller has a reference, or the lock. */
void nart__token_ref(nart__token *t)
{
    (void)NART__FETCH_ADD(&t->refs, 1u, NART__RELAXED);
}

/* Another reference, unless the last one was released. Relaxed: the lock keeps the token in the tree. */
static bool ref_unless_freed(nart__token *t)
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
        NART__STORE(&t->state, (uint32_t)NART__TOKEN_CANCELLED, NART__RELAXED); /* not shared yet */
    nart__lock_leave(&t->root->lock);
}

void nart__token_unref(nart__token *t)
{
    /* Release: what this thread did with the token. Acquire: what the others did, before it is freed. */
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

/* Relaxed: no task waits, so it does not matter whether a canceller still sees the bit. */
void nart__token_disarm(nart__token *t)
{
    (void)NART__FETCH_AND(&t->state, ~(uint32_t)NART__TOKEN_ARMED, NART__RELAXED);
}

/* Under the lock: cancels the token and all below it. Answers the list of those that are armed. */
static nart__token *mark(nart__token *top)
{
    nart__token *armed = NULL;

    for (nart__token *t = top;;) {
        /* Release: a thread that sees the flag sees what the canceller wrote before. */
        uint32_t old = NART__FETCH_OR(&t->state, (uint32_t)NART__TOKEN_CANCELLED, NART__RELEASE);
        bool first = !(old & NART__TOKEN_CANCELLED);
        if (first && old & NART__TOKEN_ARMED && ref_unless_freed(t)) {
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

/* The post takes over the reference. If the owner's runtime is gone, no task waits any more. */
static void notify_owner(nart__token *t)
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
        next = armed->armed; /* before the post, which may free it */
        notify_owner(armed);
    }
}
