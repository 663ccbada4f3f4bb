/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync.h: the wait of notifications, semaphores and wait groups; it lies in a nart_waiter.
 *
 * What it keeps true
 *  1. A waiter is in a list of its object exactly while its state is QUEUED or GRANTED. Only then
 *     does its withdrawal touch the object.
 *  2. CLOSED and DONE are answers stored in the waiter: a task polled with one of them does not read
 *     the object, which may have been freed.
 *
 * nart_waiter: `at` is the object, `want` the permits. */
#ifndef NART_SYNC_SYNC_H
#define NART_SYNC_SYNC_H

#include "../wait/wait.h"

#include <nart/sync.h>

static inline nart_waiter *nart__waiter_of(nart__wait *w)
{
    return (nart_waiter *)(void *)w; /* the wait is the first member */
}

/* Begins an operation. A wait of this task that an earlier poll left behind, for another object or
 * another count, is withdrawn. */
static inline nart_res nart__sync_enter(nart_cx *cx, nart_waiter *w, const void *at, uint64_t want)
{
    nart__wait *h = &w->wait;

    nart_res r = nart__enter(cx, h);
    if (NART_UNLIKELY(r) || !h->task)
        return r;
    if (h->task == cx->self && w->at == at && w->want == want)
        return 0;
    if (h->task != cx->self || h->seen == h->task->polls)
        return -EBUSY;
    nart__withdraw(h);
    return 0;
}

/* May a task of this context join the queue? All tasks in it belong to one context. */
static inline nart_res nart__sync_check(const nart_cx *cx, const nart__waitq *q)
{
    if (NART_UNLIKELY(nart__cx_moves_alone(cx)))
        return NART_EDRIVER;
    return NART_UNLIKELY(q->first && !nart__cx_owns(cx, q->first->task->owner)) ? NART_EDRIVER : 0;
}

/* Parks in the queue: at its end, or where the wait stands already. */
static inline nart_res nart__sync_park(nart_cx *cx, nart_waiter *w, void *at, uint64_t want,
                                       nart__waitq *q, const struct nart__wait_ops *ops)
{
    bool begun;

    nart_res r = nart__sync_check(cx, q);
    if (NART_UNLIKELY(r))
        return r;
    r = nart__park_in(cx, &w->wait, &begun);
    if (begun) {
        w->wait.ops = ops;
        w->at = at;
        w->want = want;
        nart__q_push(q, &w->wait);
    }
    return r;
}

/* Removes the first wait and gives it this state. */
static inline nart__wait *nart__sync_pop(nart__waitq *q, uint32_t state)
{
    nart__wait *w = q->first;
    nart__q_remove(q, w);
    w->state = state;
    return w;
}

#endif
