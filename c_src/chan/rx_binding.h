/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rx_binding.h: the runtime that a receiver belongs to, and what it does for the channel.
 *
 * A receiver that takes something out owes the senders that wait a look at the room. Under a loop that
 * runs the debt is settled once per tick: the channel is watched from the first take on until then.
 * Else it is settled at once. A spinning receiver is in the loop's list always, and counts as watched
 * while the loop runs; the last look, when the loop is left, settles its debt.
 *
 * All of it is the receiver's thread's own, but for what `settle` touches. It compiles as C++, too: see
 * tests/models. */
#ifndef NART_CHAN_RX_BINDING_H
#define NART_CHAN_RX_BINDING_H

#include "../core/runtime.h"

typedef struct nart__rx_binding {
    nart_rt *rt;               /* NULL: none, or it has gone */
    nart__wait *waits;         /* where the receiver waits */
    nart__exit_hook exit_hook; /* in rt's list while rt is set */
    nart__tick_hook tick_hook; /* in rt's list while there is a debt, or always if it spins */
    uint32_t *watched; /* rt's loop is going to look. In the ring, where the inlines see it */
    bool spinning;
    uint64_t paid; /* of one that spins: what was taken when it settled last */
    void (*settle)(
        struct nart__rx_binding *h); /* tells the senders that wait; NULL: nobody ever does */
} nart__rx_binding;

/* `look` is called once per tick while it is watched. */
static inline void nart__rx_binding_init(nart__rx_binding *h, uint32_t *watched, bool spinning,
                                         void (*look)(nart__tick_hook *w),
                                         void (*settle)(nart__rx_binding *h))
{
    h->watched = watched;
    h->spinning = spinning;
    h->tick_hook.look = look;
    h->settle = settle;
}

static inline nart__rx_binding *nart__rx_binding_hooked(nart__tick_hook *w)
{
    return (nart__rx_binding *)(void *)((char *)w - offsetof(nart__rx_binding, tick_hook));
}

/* Is this the context of its loop? */
static inline bool nart__rx_bound_to(const nart__rx_binding *h, const nart_cx *cx)
{
    return (const void *)h->rt == (const void *)cx; /* a runtime's first member is its context */
}

/* Something has been taken out, and *watched is 0. */
static inline void nart__rx_binding_owe(nart__rx_binding *h)
{
    if (!h->rt || !h->rt->running) {
        h->settle(h);
        return;
    }
    *h->watched = 1;
    if (!h->tick_hook.next)
        nart__tick_hook_add(h->rt, &h->tick_hook);
}

/* The look of one that does not spin. */
static inline void nart__rx_binding_pay(nart__rx_binding *h)
{
    nart__tick_hook_remove(&h->tick_hook);
    *h->watched = 0;
    h->settle(h);
}

/* The look of one that spins, with what it has taken so far. If it owes anything it settles: when it is
 * seen that senders wait, which a later look sees if this one does not, or when the loop is being left. A
 * sender that begins to wait afterwards sees what was taken before. */
static inline void nart__rx_binding_look(nart__rx_binding *h, uint64_t taken, bool senders_wait)
{
    *h->watched = h->rt->running;
    if (taken == h->paid || (h->rt->running && !senders_wait))
        return;
    h->paid = taken;
    h->settle(h);
}

/* 0, or why this thread cannot sleep in the receiver, whose wait is `w`. */
static inline nart_res nart__rx_binding_may_sleep(const nart__rx_binding *h, const nart__wait *w)
{
    if (h->spinning)
        return -EINVAL;
    nart_res r = h->rt ? nart__rt_check(h->rt) : 0;
    if (r)
        return r;
    if (h->rt && h->rt->cx.self)
        return -EDEADLK; /* the loop that would have to look is in a poll */
    return w->task ? -EBUSY : 0;
}

/* rx_binding.c */
bool nart__rx_binding_may_spin(const nart_rt *rt);
void nart__rx_binding_enter(nart__rx_binding *h, nart_rt *rt);
void nart__rx_binding_leave(nart__rx_binding *h);
/* Moves a receiver that may wait in `w` to another runtime, or to none. As nart_rx_bind(). */
nart_res nart__rx_binding_bind(nart__rx_binding *h, nart__wait *w, nart_rt *rt);

#endif
