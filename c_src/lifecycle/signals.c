/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* signals.c: signals that ask a runtime to shut down.
 *
 * The handler may run on any thread, and may still run after the signal has passed to another runtime.
 * So it does two things that are right at any time: it counts the signal, and wakes the mailbox of the
 * present owner. The waker of a freed runtime is stale and may be woken for ever (core/hub.c). The loop
 * compares the counts of the signals that it owns.
 *
 * The count decides which owner a late handler notifies. A runtime that takes over the signal stores its
 * waker and then reads the count by a read-modify-write. A handler that counts after that sees the waker;
 * one that counted before belongs to the former owner, as if the signal had been delivered then. */
#include "remote.h"

#include <nart/shutdown.h>

#include <signal.h>
#include <string.h>

typedef struct own {
    NART__ATOMIC(uintptr_t) rt;    /* the owner; 0: none */
    NART__ATOMIC(uintptr_t) waker; /* of the owner's mailbox */
    NART__ATOMIC(uint32_t) count;  /* deliveries */
    uint32_t seen; /* private to the owner from here on: deliveries it has acted on */
    nart__exit_hook exit_hook;
    struct sigaction before;
} own;

static own signals[NSIG];

static void handler(int signo)
{
    own *s = &signals[signo];
    nart_waker waker;

    NART__STEP("signal: count");
    /* Acquire: the waker of the runtime that counts this delivery, and its record. The wake publishes it. */
    (void)NART__FETCH_ADD(&s->count, 1u, NART__ACQUIRE);
    NART__STEP("signal: waker");
    waker.w = NART__LOAD(&s->waker, NART__RELAXED);
    NART__STEP("signal: wake");
    nart_waker_wake(waker);
}

static bool owned(const own *s, const nart_rt *rt)
{
    return NART__LOAD(&s->rt, NART__RELAXED) == (uintptr_t)rt;
}

static void look(nart_rt *rt)
{
    for (int signo = 1; signo < NSIG; signo++) {
        own *s = &signals[signo];
        if (owned(s, rt) && NART__LOAD(&s->count, NART__RELAXED) != s->seen)
            nart__rt_shutdown(rt);
    }
}

static void restore(own *s)
{
    (void)sigaction((int)(s - signals), &s->before, NULL); /* cannot fail: it succeeded before */
    NART__STORE(&s->waker, (uintptr_t)0, NART__RELAXED);
}

static void give_back(own *s)
{
    NART__STORE(&s->rt, (uintptr_t)0, NART__RELEASE); /* the next owner begins after that */
}

static void rt_gone(nart__exit_hook *g)
{
    own *s = (own *)(void *)((char *)g - offsetof(own, exit_hook));

    restore(s);
    give_back(s);
}

nart_res nart_rt_shutdown_on(nart_rt *rt, int signo)
{
    struct sigaction act;
    uintptr_t nobody = 0;
    nart_res r = nart__rt_check(rt);

    if (r)
        return r;
    if (signo < 1 || signo >= NSIG)
        return -EINVAL;
    own *s = &signals[signo];
    /* Acquire: what the former owner did before it gave the signal back. */
    if (!NART__CAS(&s->rt, &nobody, (uintptr_t)rt, NART__ACQUIRE, NART__RELAXED))
        return -EBUSY;
    NART__STORE(&s->waker, nart__hub_waker(rt->hub, nart__rt_mailbox(rt)), NART__RELAXED);
    s->seen =
        NART__FETCH_ADD(&s->count, 0u, NART__RELEASE); /* publishes the waker: see handler() */
    memset(&act, 0, sizeof act);
    act.sa_handler = handler;
    act.sa_flags = SA_RESTART | SA_ONSTACK; /* it may interrupt a thread with a small stack */
    (void)sigemptyset(&act.sa_mask);
    if (sigaction(signo, &act, &s->before)) {
        NART__STORE(&s->waker, (uintptr_t)0, NART__RELAXED);
        NART__STORE(&s->rt, (uintptr_t)0, NART__RELEASE);
        return -EINVAL;
    }
    s->exit_hook.rt_gone = rt_gone;
    nart__exit_hook_add(rt, &s->exit_hook);
    rt->mailed = look;
    return 0;
}

nart_res nart_rt_shutdown_off(nart_rt *rt, int signo)
{
    nart_res r = nart__rt_check(rt);

    if (r)
        return r;
    if (signo < 1 || signo >= NSIG)
        return -EINVAL;
    own *s = &signals[signo];
    if (!owned(s, rt))
        return NART_ESTALE;
    nart__exit_hook_remove(&s->exit_hook);
    restore(s);
    look(rt); /* a delivery before the restore is not lost */
    give_back(s);
    return 0;
}
