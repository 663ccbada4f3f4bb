/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shutdown_signal.c: signals that ask a runtime to shut down. Each is a watch (signals.c) that wakes the
 * runtime's mailbox; the loop then looks at the signals that it owns. */
#include "remote.h"
#include "signals.h"

#include <nart/shutdown.h>

#include <signal.h>

typedef struct own {
    NART__ATOMIC(uintptr_t) rt; /* the owner; 0: none */
    nart__signal_watch *watch;  /* private to the owner from here on */
    nart__exit_hook exit_hook;
} own;

static own owners[NSIG];

static bool owned(const own *s, const nart_rt *rt)
{
    return NART__LOAD(&s->rt, NART__RELAXED) == (uintptr_t)rt;
}

static void look(nart_rt *rt)
{
    for (int signo = 1; signo < NSIG; signo++)
        if (owned(&owners[signo], rt) && nart__signal_take(owners[signo].watch) > 0)
            nart__rt_shutdown(rt);
}

static void give_back(own *s)
{
    NART__STORE(&s->rt, (uintptr_t)0, NART__RELEASE); /* the next owner begins after that */
}

static void rt_gone(nart__exit_hook *g)
{
    own *s = (own *)(void *)((char *)g - offsetof(own, exit_hook));

    (void)nart__signal_watch_close(s->watch);
    give_back(s);
}

static nart_res check(const nart_rt *rt, int signo)
{
    nart_res r = nart__rt_check(rt);

    return r ? r : signo < 1 || signo >= NSIG ? -EINVAL : 0;
}

nart_res nart_rt_shutdown_on(nart_rt *rt, int signo)
{
    uintptr_t nobody = 0;
    nart_res r = check(rt, signo);

    if (r)
        return r;
    own *s = &owners[signo];
    /* Acquire: what the former owner did before it gave the signal back. */
    if (!NART__CAS(&s->rt, &nobody, (uintptr_t)rt, NART__ACQUIRE, NART__RELAXED))
        return -EBUSY;
    nart_waker mailbox;
    mailbox.w = nart__hub_waker(rt->hub, nart__rt_mailbox(rt));
    r = nart__signal_watch_open(signo, mailbox, &s->watch);
    if (r) {
        give_back(s);
        return r;
    }
    s->exit_hook.rt_gone = rt_gone;
    nart__exit_hook_add(rt, &s->exit_hook);
    rt->mailed = look;
    return 0;
}

nart_res nart_rt_shutdown_off(nart_rt *rt, int signo)
{
    nart_res r = check(rt, signo);

    if (r)
        return r;
    own *s = &owners[signo];
    if (!owned(s, rt))
        return NART_ESTALE;
    nart__exit_hook_remove(&s->exit_hook);
    if (nart__signal_watch_close(s->watch) > 0) /* a delivery before the restore is not lost */
        nart__rt_shutdown(rt);
    give_back(s);
    return 0;
}
