/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rx_binding.c: binds a receiver to a runtime, unbinds it, and handles the runtime's end: from then on no task
 * waits in a local or spinning channel, and the values left can still be received. */
#include "rx_binding.h"

bool nart__rx_binding_may_spin(const nart_rt *rt)
{
    return rt->opts.flags & NART_RT_SPINNING; /* else it may park, and no sender would wake it */
}

static void rt_gone(nart__exit_hook *g)
{
    nart__rx_binding *h =
        (nart__rx_binding *)(void *)((char *)g - offsetof(nart__rx_binding, exit_hook));
    bool forked = nart__rt_check(h->rt) == NART_EFORK; /* the parent's tasks are not woken */

    h->rt = NULL;
    h->tick_hook.next = NULL; /* the list is freed with the runtime */
    *h->watched = 0;
    if (h->settle && !forked)
        h->settle(h);
}

void nart__rx_binding_enter(nart__rx_binding *h, nart_rt *rt)
{
    h->rt = rt;
    h->exit_hook.rt_gone = rt_gone;
    nart__exit_hook_add(rt, &h->exit_hook);
    if (h->spinning) {
        *h->watched = rt->running;
        nart__tick_hook_add(rt, &h->tick_hook);
    }
}

void nart__rx_binding_leave(nart__rx_binding *h)
{
    if (!h->rt)
        return;
    nart__exit_hook_remove(&h->exit_hook);
    if (h->tick_hook.next)
        nart__tick_hook_remove(&h->tick_hook);
    *h->watched = 0;
    h->rt = NULL;
}

nart_res nart__rx_binding_bind(nart__rx_binding *h, nart__wait *w, nart_rt *rt)
{
    if (rt && h->spinning && !nart__rx_binding_may_spin(rt))
        return -EINVAL;
    nart_res r = h->rt ? nart__rt_check(h->rt) : 0;
    if (r == 0 && rt)
        r = nart__rt_check(rt);
    if (r)
        return r;
    if (nart__wait_in_use(w))
        return -EBUSY;
    nart__interrupt(w);
    nart__rx_binding_leave(h);
    h->settle(h); /* notifies senders of what was taken so far */
    if (rt)
        nart__rx_binding_enter(h, rt);
    return 0;
}
