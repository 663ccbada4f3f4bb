/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* signal_recv.c: signals as events. A handle is a watch (signals.c) whose waker is that of the task that waits.
 *
 * The waker of a wait that has ended stays in the watch: it costs one spurious poll for each delivery. */
#include "../sync/sync.h"
#include "signals.h"

#include <nart/signal.h>

nart_res nart_signal_open(int signo, nart_signal *out)
{
    if (!out)
        return -EINVAL;
    *out = (nart_signal){ .watch = NULL };
    return nart__signal_watch_open(signo, (nart_waker){ 0 }, &out->watch);
}

static void recv_withdraw(nart__wait *w)
{
    (void)w; /* the waker stays */
}

static const struct nart__wait_ops recv_ops = { "signal", recv_withdraw };

nart_res nart_signal_recv(nart_cx *cx, nart_signal *s)
{
    nart__wait *w = &s->wait;
    bool begun;

    nart_res r = nart__enter(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    if (!s->watch)
        return -EBADF;
    if (w->task && w->task != cx->self)
        return -EBUSY;
    uint32_t n = nart__signal_take(s->watch);
    if (n == 0) {
        r = nart__park_in(cx, w, &begun);
        if (r != NART_PENDING)
            return r;
        w->ops = &recv_ops;
        n = nart__signal_take_or_wait(s->watch, nart_cx_waker(cx));
        if (n == 0)
            return nart__pending_outside(cx);
        nart__answers_after_all(cx);
    }
    if (w->task)
        nart__unwait(w);
    return (nart_res)n;
}

void nart_signal_move(nart_signal *dst, nart_signal *src)
{
    if (dst == src)
        return;
    nart__interrupt(&src->wait);
    *dst = *src;
    *src = (nart_signal){ .watch = NULL };
}

void nart_signal_close(nart_signal *s)
{
    if (!s)
        return;
    nart__interrupt(&s->wait);
    nart__signal_watch *w = s->watch;
    *s = (nart_signal){ .watch = NULL };
    if (w)
        (void)nart__signal_watch_close(w);
}
