/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* turn.c: several tasks that send on one socket of datagrams.
 *
 * What it keeps true
 *  1. A send in turn that waits is in nart_udp.senders, from its first wait until its answer. The first one has the
 *     turn: it alone waits for readiness, by the plain operation, so the reactor has one writer as ever.
 *  2. Whoever leaves the queue as its first one wakes the next, whatever the reason: it was answered, cancelled,
 *     lost its race, its deadline passed. So the first one is ready to be polled, or waits for readiness.
 *  3. A handle that is closed, detached or moved has no queue: its senders are woken, and find it closed.
 *
 * A send with the turn, or where nobody waits, is the plain send: nothing is queued that does not wait.
 *
 * Bounds: any number of senders; a send O(1), closing O(senders).
 * Not handled: a task that its driver moves between threads and that has spawned none. No other task can send on its
 * handle meanwhile, so it sends without a turn. */
#include "../sync/sync.h"
#include "net.h"

#include <nart/msg.h>

static void turn_withdraw(nart__wait *w)
{
    nart__waitq *q = &((nart_udp *)nart__waiter_of(w)->at)->senders;
    bool first = q->first == w;

    nart__q_remove(q, w);
    if (first && q->first)
        nart__ready(q->first->task);
}

static const struct nart__wait_ops turn_ops = { "turn to send", turn_withdraw };

/* 0: the running task may send; or the answer. */
static nart_res turn_begin(nart_cx *cx, nart_udp *u, nart_waiter *w)
{
    nart__wait *h = &w->wait;

    if (!cx->self || nart__cx_moves_alone(cx))
        return 0;
    if (nart__wait_taken(cx, h) || (h->task && w->at != u && h->seen == h->task->polls))
        return -EBUSY;
    if (h->task && w->at != u) /* an earlier poll left it behind */
        nart__withdraw(h);
    if (!u->senders.first || u->senders.first == h)
        return 0;
    nart_res r = nart__enter(cx, h);
    return r ? r : nart__sync_park(cx, w, u, 0, &u->senders, &turn_ops);
}

/* The plain send has answered `r`, which is returned. */
static nart_res turn_end(nart_cx *cx, nart_udp *u, nart_waiter *w, nart_res r)
{
    nart__wait *h = &w->wait;

    if (r != NART_PENDING) {
        if (h->task)
            nart__withdraw(h);
        return r;
    }
    if (!h->task) {
        if (!nart__io_under(&u->io, cx) || nart__cx_moves_alone(cx))
            return r; /* closed, which the next poll finds; or it sends without a turn */
        nart__wait_begin(cx->self, h);
        h->ops = &turn_ops;
        w->at = u;
        nart__q_push(&u->senders, h);
    }
    nart__wait_request(cx, h);
    return r;
}

void nart__turns_end(nart_udp *u)
{
    while (u->senders.first)
        nart__interrupt(u->senders.first);
}

/* ---- UDP ---- */

nart_res nart_udp_send_in_turn(nart_cx *cx, nart_udp *u, nart_waiter *w, const void *buf,
                               size_t len, const nart_addr *to)
{
    nart_res r = turn_begin(cx, u, w);
    return r ? r : turn_end(cx, u, w, nart_udp_send(cx, u, buf, len, to));
}

nart_res nart_udp_send_many_in_turn(nart_cx *cx, nart_udp *u, nart_waiter *w,
                                    const nart_udp_msg *msgs, size_t n)
{
    nart_res r = turn_begin(cx, u, w);
    return r ? r : turn_end(cx, u, w, nart_udp_send_many(cx, u, msgs, n));
}

nart_res nart_udp_sendmsg_in_turn(nart_cx *cx, nart_udp *u, nart_waiter *w, const nart_msg *m)
{
    nart_res r = turn_begin(cx, u, w);
    return r ? r : turn_end(cx, u, w, nart_udp_sendmsg(cx, u, m));
}

/* ---- Unix datagrams ---- */

nart_res nart_unix_dgram_send_in_turn(nart_cx *cx, nart_unix_dgram *u, nart_waiter *w,
                                      const void *buf, size_t len, const nart_addr *to)
{
    nart_res r = turn_begin(cx, &u->sock, w);
    return r ? r : turn_end(cx, &u->sock, w, nart_unix_dgram_send(cx, u, buf, len, to));
}

nart_res nart_unix_dgram_send_many_in_turn(nart_cx *cx, nart_unix_dgram *u, nart_waiter *w,
                                           const nart_udp_msg *msgs, size_t n)
{
    nart_res r = turn_begin(cx, &u->sock, w);
    return r ? r : turn_end(cx, &u->sock, w, nart_unix_dgram_send_many(cx, u, msgs, n));
}

nart_res nart_unix_dgram_sendmsg_in_turn(nart_cx *cx, nart_unix_dgram *u, nart_waiter *w,
                                         const nart_msg *m)
{
    nart_res r = turn_begin(cx, &u->sock, w);
    return r ? r : turn_end(cx, &u->sock, w, nart_unix_dgram_sendmsg(cx, u, m));
}
