/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* semaphore.c: semaphores.
 *
 * What it keeps true
 *  1. The first waiter wants more permits than are available. As soon as there are enough, they are
 *     reserved for it, and then for the next waiter.
 *  2. permits + reserved <= NART_SEMAPHORE_MAX.
 * A request gets all of its permits at once. Until enough are available for the first waiter, no
 * waiter behind it gets any.
 *
 * nart_semaphore: `permits` are available, `reserved` are those of the waiters in `granted`. */
#include "sync.h"

static void grant(nart_semaphore *s)
{
    while (s->queue.first && nart__waiter_of(s->queue.first)->want <= s->permits) {
        nart__wait *w = nart__sync_pop(&s->queue, NART__GRANTED);
        s->permits -= nart__waiter_of(w)->want;
        s->reserved += nart__waiter_of(w)->want;
        nart__q_push(&s->granted, w);
        nart__ready(w->task);
    }
}

/* Ends the reservation of a granted waiter. */
static void ungrant(nart_semaphore *s, nart__wait *w)
{
    nart__q_remove(&s->granted, w);
    s->reserved -= nart__waiter_of(w)->want;
}

static void acquire_withdraw(nart__wait *w)
{
    nart_semaphore *s = nart__waiter_of(w)->at;

    if (w->state == NART__QUEUED) {
        nart__q_remove(&s->queue, w);
        grant(s);
    } else if (w->state == NART__GRANTED) {
        ungrant(s, w);
        s->permits += nart__waiter_of(w)->want;
        grant(s);
    }
}

static const struct nart__wait_ops acquire_ops = { "acquire", acquire_withdraw };

nart_res nart_semaphore_try_acquire(nart_semaphore *s, uint32_t n)
{
    if (NART_UNLIKELY(s->closed))
        return NART_ECLOSED;
    if (s->queue.first || n > s->permits)
        return -EAGAIN;
    s->permits -= n;
    return 0;
}

nart_res nart_semaphore_acquire(nart_cx *cx, nart_semaphore *s, nart_waiter *w, uint32_t n)
{
    nart__wait *h = &w->wait;

    nart_res r = nart__sync_enter(cx, w, s, n);
    if (NART_UNLIKELY(r))
        return r;
    if (!h->task) {
        r = nart_semaphore_try_acquire(s, n);
        if (r != -EAGAIN)
            return r;
    } else if (h->state != NART__QUEUED) {
        if (h->state == NART__GRANTED)
            ungrant(s, h);
        r = h->state == NART__CLOSED ? NART_ECLOSED : 0;
        nart__unwait(h);
        return r;
    }
    return nart__sync_park(cx, w, s, n, &s->queue, &acquire_ops);
}

nart_res nart_semaphore_release(nart_semaphore *s, uint32_t n)
{
    if (n > NART_SEMAPHORE_MAX - s->permits - s->reserved)
        return -EOVERFLOW;
    s->permits += n;
    grant(s);
    return 0;
}

void nart_semaphore_close(nart_semaphore *s)
{
    if (!s)
        return;
    s->closed = 1;
    s->permits += s->reserved;
    s->reserved = 0;
    nart__q_answer_all(&s->granted, NART__CLOSED);
    nart__q_answer_all(&s->queue, NART__CLOSED);
}
