/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* home.c: a receiver comes to a runtime, leaves it, and hears of its end: from then on nobody waits in a
 * local channel or a spinning one, and what is left can still be taken. */
#include "home.h"

bool nart__home_may_spin(const nart_rt *rt)
{
    return rt->opts.flags & NART_RT_BUSY; /* else it may park, and nobody would wake it */
}

static void rt_gone(nart__guest *g)
{
    nart__home *h = (nart__home *)(void *)((char *)g - offsetof(nart__home, guest));
    bool forked = nart__rt_check(h->rt) == NART_EFORK; /* the parent's tasks are not woken */

    h->rt = NULL;
    h->watch.next = NULL; /* the list goes with the runtime */
    *h->watched = 0;
    if (h->settle && !forked)
        h->settle(h);
}

void nart__home_enter(nart__home *h, nart_rt *rt)
{
    h->rt = rt;
    h->guest.rt_gone = rt_gone;
    nart__guest_add(rt, &h->guest);
    if (h->spinning) {
        *h->watched = rt->running;
        nart__watch_add(rt, &h->watch);
    }
}

void nart__home_leave(nart__home *h)
{
    if (!h->rt)
        return;
    nart__guest_remove(&h->guest);
    if (h->watch.next)
        nart__watch_remove(&h->watch);
    *h->watched = 0;
    h->rt = NULL;
}

nart_res nart__home_bind(nart__home *h, nart__wait *w, nart_rt *rt)
{
    if (rt && h->spinning && !nart__home_may_spin(rt))
        return -EINVAL;
    nart_res r = h->rt ? nart__rt_check(h->rt) : 0;
    if (r == 0 && rt)
        r = nart__rt_check(rt);
    if (r)
        return r;
    if (nart__wait_in_use(w))
        return -EBUSY;
    nart__interrupt(w);
    nart__home_leave(h);
    h->settle(h); /* what this side still owes */
    if (rt)
        nart__home_enter(h, rt);
    return 0;
}
