/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* post.h: what other threads hand to a runtime's loop. See post.c. It compiles as C++, too. */
#ifndef NART_CORE_POST_H
#define NART_CORE_POST_H

#include "hub.h"

/* Embedded in what is handed over. It belongs to the runtime from a successful send until run(). */
typedef struct nart__post {
    NART__ATOMIC(uintptr_t) next;
    /* Called once, on the thread of the loop, outside of polls. `rt` is its runtime; NULL: that is freed. */
    void (*run)(void *rt, struct nart__post *p);
} nart__post;

/* Any thread: hands `p` to the loop that `waker` wakes. False: the runtime was freed, `p` is the
 * caller's again. Takes no lock, does not wait; safe in a signal handler. */
bool nart__post_send(nart__hub *hub, uint64_t incarnation, uintptr_t waker, nart__post *p);

/* As nart__post_send(), for a thread that has entered the hub. */
bool nart__post_push(nart__hub *hub, uintptr_t waker, nart__post *p);

/* Any thread, and signal handlers: nart__hub_ask_end(), and wakes the loop. */
bool nart__post_end(nart__hub *hub, uint64_t incarnation, uintptr_t waker);

/* ---- the owner's thread ---- */

/* Once per incarnation: accepts posts from here on. */
void nart__post_open(nart__hub *hub);

/* All posts received so far, oldest first, linked by nart__post_next(); or NULL. */
nart__post *nart__post_take(nart__hub *hub);

/* Takes them for the last time: from here on posts are refused. */
nart__post *nart__post_close(nart__hub *hub);

nart__post *nart__post_next(nart__post *p);

/* Would nart__post_take() return a post? Relaxed: true for every post whose sender has synchronized with this
 * thread; the others may be seen later. Between open and close. */
static inline bool nart__post_any(const nart__hub *hub)
{
    return NART__LOAD(&hub->posts, NART__RELAXED) != 0;
}

#endif
