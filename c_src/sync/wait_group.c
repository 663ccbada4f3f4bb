/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait_group.c: wait groups. The queue is empty while the count is zero. */
#include "sync.h"

static void group_withdraw(nart__wait *w)
{
    nart_wait_group *g = nart__waiter_of(w)->at;

    if (w->state == NART__QUEUED)
        nart__q_remove(&g->queue, w);
}

static const struct nart__wait_ops group_ops = { "wait group", group_withdraw };

nart_res nart_wait_group_add(nart_wait_group *g, uint32_t n)
{
    if (n > UINT32_MAX - g->count)
        return -EOVERFLOW;
    g->count += n;
    return 0;
}

nart_res nart_wait_group_done(nart_wait_group *g)
{
    if (g->count == 0)
        return -EINVAL;
    if (--g->count == 0)
        nart__q_answer_all(&g->queue, NART__DONE);
    return 0;
}

nart_res nart_wait_group_await(nart_cx *cx, nart_wait_group *g, nart_waiter *w)
{
    nart__wait *h = &w->wait;

    nart_res r = nart__sync_enter(cx, w, g, 0);
    if (NART_UNLIKELY(r))
        return r;
    if (h->task && h->state != NART__QUEUED) {
        r = h->state == NART__CLOSED ? NART_ECLOSED : 0;
        nart__unwait(h);
        return r;
    }
    if (NART_UNLIKELY(g->closed))
        return NART_ECLOSED;
    if (g->count == 0)
        return 0;
    return nart__sync_park(cx, w, g, 0, &g->queue, &group_ops);
}

void nart_wait_group_close(nart_wait_group *g)
{
    if (!g)
        return;
    g->closed = 1;
    nart__q_answer_all(&g->queue, NART__CLOSED);
}
