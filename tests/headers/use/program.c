/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Initialisers of options, typed channels and bodies in typical positions, in C and in C++. */
#ifdef __cplusplus
extern "C" { /* some users wrap every C header so */
#endif
#include <nart/nart.h>
#ifdef __cplusplus
}
#endif

NART_CHAN_TYPED(numbers, uint64_t);

static const nart_local_key key = { "key" };

struct body {
    nart_co co;
    nart_timer timer;
    nart_waiter waiter;
    nart_interval interval;
    nart_backoff backoff;
    nart_tx tx;
    nart_rx rx;
    nart_bytes_tx btx;
    nart_bytes_rx brx;
    nart_bytes_msg msg;
    nart_res r;
    uint64_t value;
    int which;
};

static nart_res body_run(nart_cx *cx, void *frame)
{
    struct body *f = (struct body *)frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_MS));
    NART_AWAIT(f->r, numbers_send(cx, &f->tx, 1));
    NART_AWAIT_FOR(f->r, NART_MS, numbers_recv(cx, &f->rx, &f->value));
    NART_AWAIT_UNTIL(f->r, nart_now(cx), nart_bytes_send(cx, &f->btx, "abc", 3));
    NART_AWAIT(f->r, nart_bytes_recv(cx, &f->brx, &f->msg));
    NART_AWAIT_ANY(f->which, f->r, nart_shutdown_await(cx, &f->waiter),
                   nart_interval_tick(cx, &f->interval));
    NART_AWAIT_LOCAL(f->r, &key, &f->value, nart_backoff_wait(cx, &f->backoff));
    NART_SHIELD(NART_MS);
    NART_YIELD();
    NART_UNSHIELD();
    NART_END(f->r);
}

extern const nart_task_type body_type;
const nart_task_type body_type = NART_TASK_TYPE(struct body, body_run, NULL);

extern nart_res options(nart_rt **rt);
nart_res options(nart_rt **rt)
{
    static const nart_rt_opts opts = NART_RT_OPTS_INIT;
    nart_rt_end end = NART_RT_END_INIT;
    nart_rt_left left = NART_RT_LEFT_INIT;
    nart_observe_opts observe = NART_OBSERVE_OPTS_INIT;
    nart_chan_opts chan = NART_CHAN_OPTS_INIT;
    nart_bytes_opts bytes = NART_BYTES_OPTS_INIT;
    nart_tcp_listen_opts listen = NART_TCP_LISTEN_OPTS_INIT;
    nart_udp_opts udp = NART_UDP_OPTS_INIT;
    nart_backoff backoff = NART_BACKOFF_INIT;

    if (end.size + left.size + observe.size + chan.size + bytes.size + listen.size + udp.size == 0)
        return backoff.initial;
    return nart_rt_new(&opts, rt);
}
