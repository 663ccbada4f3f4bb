/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rx_binding.h: the runtime that a receiver belongs to, and what it does for the channel.
 *
 * A receiver that takes something must notify waiting senders of the freed room; the code calls this a debt.
 * Under a running loop the debt is settled once per tick: the channel is "watched" from the first take until
 * then. Otherwise it is settled at once. A spinning receiver stays in the loop's list of tick hooks, and
 * counts as watched while the loop runs; the last check, when the loop is left, settles its debt.
 *
 * All of it belongs to the receiver's thread, except what `settle` accesses. It compiles as C++, too: see
 * tests/models. */
#ifndef NART_CHAN_RX_BINDING_H
#define NART_CHAN_RX_BINDING_H

#include "../core/runtime.h"

typedef struct nart__rx_binding {
    nart_rt *rt;               /* NULL: none, or it has been freed */
    nart__wait *waits;         /* the receiver's wait; NULL: it does not wait */
    nart__exit_hook exit_hook; /* in rt's list while rt is set */
    nart__tick_hook tick_hook; /* in rt's list while there is a debt, or always if it spins */
    uint32_t *watched;         /* rt's loop will check the channel. In the ring, for the inlines */
    bool spinning;
    uint64_t paid; /* of a spinning one: the number taken when it last settled */
    void (*settle)(struct nart__rx_binding *h); /* notifies waiting senders; NULL: not needed */
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

/* Is this a context of its runtime? */
static inline bool nart__rx_bound_to(const nart__rx_binding *h, const nart_cx *cx)
{
    const void *owner = h->rt; /* a runtime's first member is its context */
    return nart__cx_owns(cx, (const nart_cx *)owner);
}

/* Something has been taken, and *watched is 0. */
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

/* The tick's check of a receiver that does not spin. */
static inline void nart__rx_binding_pay(nart__rx_binding *h)
{
    nart__tick_hook_remove(&h->tick_hook);
    *h->watched = 0;
    h->settle(h);
}

/* The tick's check of a spinning receiver, with what it has taken so far. It settles a debt if senders are
 * seen to wait (a later check sees those that this one misses), or when the loop is being left. A sender that
 * begins to wait afterwards sees what was taken before. */
static inline void nart__rx_binding_look(nart__rx_binding *h, uint64_t taken, bool senders_wait)
{
    *h->watched = h->rt->running;
    if (taken == h->paid || (h->rt->running && !senders_wait))
        return;
    h->paid = taken;
    h->settle(h);
}

/* 0, or the error with which this thread cannot block in the receiver, whose wait is `w`. */
static inline nart_res nart__rx_binding_may_sleep(const nart__rx_binding *h, const nart__wait *w)
{
    if (h->spinning)
        return -EINVAL;
    nart_res r = h->rt ? nart__rt_check(h->rt) : 0;
    if (r)
        return r;
    if (h->rt && h->rt->cx.self)
        return -EDEADLK; /* the loop that would have to check is in a poll */
    return w->task ? -EBUSY : 0;
}

/* rx_binding.c */
bool nart__rx_binding_may_spin(const nart_rt *rt);
void nart__rx_binding_enter(nart__rx_binding *h, nart_rt *rt);
void nart__rx_binding_leave(nart__rx_binding *h);
/* Moves a receiver that may wait in `w` to another runtime, or to none. As nart_rx_bind(). */
nart_res nart__rx_binding_bind(nart__rx_binding *h, nart__wait *w, nart_rt *rt);

#endif
