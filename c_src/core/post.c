/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* post.c: a runtime's mailbox: work for its loop from other threads and signal handlers.
 *
 * What it keeps true: what was sent is run once, by a loop; or refused, and the sender has it back.
 *
 * The algorithm
 *  1. The mailbox is a stack in the hub, `posts`: 0 empty, the newest post, or CLOSED.
 *  2. Send: compare-and-swap the post onto it, unless it is CLOSED; then wake the mailbox's record in
 *     the inbox (hub.c), which is where the loop is told, parked or not.
 *  3. Take: exchange the whole stack out, turn it around. No post is taken twice, so a push never
 *     meets one that has come back in the meantime.
 *  4. End: `ended` is the newest life that was asked to shut down, plus one. It is only ever raised,
 *     so a request that is late, for a runtime that is gone, never hides one for the next.
 *  5. Close: exchange CLOSED into it. What was there is given to the caller like what was taken.
 *
 * A hub goes from one runtime to the next. A sender whose runtime went between its look at the hub's
 * life and its push reaches the next one, which finds another life in the post.
 *
 * Bounds: none of its own; each post is the sender's memory. */
#include "post.h"

#define CLOSED ((uintptr_t)1)

bool nart__post_send(nart__hub *hub, uint64_t life, uintptr_t waker, nart__post *p)
{
    if (nart__hub_life(hub) != life) /* a look, so that few reach another runtime */
        return false;
    p->life = life;
    /* Relaxed: nothing is read through it here. */
    uintptr_t head = NART__LOAD(&hub->posts, NART__RELAXED);
    do {
        if (head == CLOSED)
            return false;
        NART__STORE(&p->next, head, NART__RELAXED); /* goes with the push */
        /* Release: the post and what it carries. */
    } while (!NART__CAS(&hub->posts, &head, (uintptr_t)p, NART__RELEASE, NART__RELAXED));
    nart__wake(waker);
    return true;
}

void nart__post_end(nart__hub *hub, uint64_t life, uintptr_t waker)
{
    uint64_t ended = NART__LOAD(&hub->ended, NART__RELAXED);

    /* Relaxed: the wake publishes it to the loop, and it carries nothing else. */
    while (ended <= life && !NART__CAS(&hub->ended, &ended, life + 1, NART__RELAXED, NART__RELAXED))
        continue;
    nart__wake(waker);
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

/* Relaxed: no runtime of this hub has given its handle away yet. */
void nart__post_open(nart__hub *hub)
{
    NART__STORE(&hub->posts, (uintptr_t)0, NART__RELAXED);
}

/* Acquire, here and below: pairs with the pushes, all of them, as each continues the one before. */
nart__post *nart__post_take(nart__hub *hub)
{
    return turned_around(NART__EXCHANGE(&hub->posts, (uintptr_t)0, NART__ACQUIRE));
}

nart__post *nart__post_close(nart__hub *hub)
{
    return turned_around(NART__EXCHANGE(&hub->posts, CLOSED, NART__ACQUIRE));
}
