/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* notify.c: notifications.
 *
 * What it keeps true: a notification of one is granted to one waiter, or stored as the permit. A
 * waiter that leaves without taking it passes it on. The permit is set only while the queue is empty.
 *
 * nart_notify: `notified` are the waiters that nart_notify_one() notified and that were not polled since. */
#include "sync.h"

void nart_notify_one(nart_notify *n)
{
    if (!n->queue.first) {
        n->permit = 1;
        return;
    }
    nart__wait *w = nart__sync_pop(&n->queue, NART__GRANTED);
    nart__q_push(&n->notified, w);
    nart__ready(w->task);
}

void nart_notify_all(nart_notify *n)
{
    nart__q_answer_all(&n->queue, NART__DONE);
}

static void notify_withdraw(nart__wait *w)
{
    nart_notify *n = nart__waiter_of(w)->at;

    if (w->state == NART__QUEUED) {
        nart__q_remove(&n->queue, w);
    } else if (w->state == NART__GRANTED) {
        nart__q_remove(&n->notified, w);
        nart_notify_one(n);
    }
}

static const struct nart__wait_ops notify_ops = { "notify", notify_withdraw };

nart_res nart_notify_await(nart_cx *cx, nart_notify *n, nart_waiter *w)
{
    nart__wait *h = &w->wait;

    nart_res r = nart__sync_enter(cx, w, n, 0);
    if (NART_UNLIKELY(r))
        return r;
    if (h->task && h->state != NART__QUEUED) {
        if (h->state == NART__GRANTED)
            nart__q_remove(&n->notified, h);
        r = h->state == NART__CLOSED ? NART_ECLOSED : 0;
        nart__unwait(h);
        return r;
    }
    if (NART_UNLIKELY(n->closed))
        return NART_ECLOSED;
    if (n->permit) {
        n->permit = 0;
        return 0;
    }
    return nart__sync_park(cx, w, n, 0, &n->queue, &notify_ops);
}

void nart_notify_close(nart_notify *n)
{
    if (!n)
        return;
    n->closed = 1;
    nart__q_answer_all(&n->queue, NART__CLOSED);
    nart__q_answer_all(&n->notified, NART__DONE);
}
