/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* post.c: a runtime's mailbox: work for its loop from other threads and signal handlers.
 *
 * Invariant: what was sent is run once, by the intended loop, or is refused when that runtime is freed; or
 * the sender gets it back.
 *
 * The algorithm
 *  1. The mailbox is a stack in the hub, `posts`: 0 empty, the newest post, or CLOSED.
 *  2. Send: enter the hub (hub.c), which fails if the runtime was freed. Compare-and-swap the post onto
 *     the stack, unless it is CLOSED; then wake the mailbox's record in the inbox, where the loop is
 *     notified, parked or not. Leave the hub.
 *  3. Take: exchange the whole stack out and reverse it. Posts are never removed one by one, so a push
 *     has no ABA problem.
 *  4. Close: exchange CLOSED into it. Remaining posts are given to the caller as if taken. It is opened
 *     again for the next incarnation of the hub, when every sender has left.
 *
 * Bounds: none of its own; each post is the sender's memory. */
#include "post.h"

#define CLOSED ((uintptr_t)1)

bool nart__post_push(nart__hub *hub, uintptr_t waker, nart__post *p)
{
    /* Relaxed: nothing is read through it here. */
    uintptr_t head = NART__LOAD(&hub->posts, NART__RELAXED);
    NART__STEP("post: push");
    do {
        if (head == CLOSED)
            return false;
        NART__STORE(&p->next, head, NART__RELAXED); /* published by the push */
        /* Release: the post and its contents. */
    } while (!NART__CAS(&hub->posts, &head, (uintptr_t)p, NART__RELEASE, NART__RELAXED));
    NART__STEP("post: wake");
    nart__wake(waker);
    return true;
}

bool nart__post_send(nart__hub *hub, uint64_t incarnation, uintptr_t waker, nart__post *p)
{
    if (!nart__hub_enter(hub, incarnation))
        return false;
    bool sent = nart__post_push(hub, waker, p);
    nart__hub_leave(hub);
    return sent;
}

bool nart__post_end(nart__hub *hub, uint64_t incarnation, uintptr_t waker)
{
    if (!nart__hub_ask_end(hub, incarnation))
        return false;
    NART__STEP("asked: wake");
    nart__wake(waker);
    return true;
}

nart__post *nart__post_next(nart__post *p)
{
    return (nart__post *)NART__LOAD(&p->next, NART__RELAXED); /* this thread's own by now */
}

static nart__post *turned_around(uintptr_t head)
{
    nart__post *oldest = NULL;

    while (head) {
        nart__post *p = (nart__post *)head;
        head = NART__LOAD(&p->next, NART__RELAXED);
        NART__STORE(&p->next, (uintptr_t)oldest, NART__RELAXED);
        oldest = p;
    }
    return oldest;
}

/* Relaxed: no thread has a handle of this incarnation yet, and none is inside. */
void nart__post_open(nart__hub *hub)
{
    NART__STORE(&hub->posts, (uintptr_t)0, NART__RELAXED);
}

/* Acquire, here and below: synchronizes with all pushes, because each continues the release sequence of the
 * one before. */
nart__post *nart__post_take(nart__hub *hub)
{
    return turned_around(NART__EXCHANGE(&hub->posts, (uintptr_t)0, NART__ACQUIRE));
}

nart__post *nart__post_close(nart__hub *hub)
{
    return turned_around(NART__EXCHANGE(&hub->posts, CLOSED, NART__ACQUIRE));
}
