/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* proxy_fibers.c: proxy.c as fibers, one for each direction and one that waits for both. */
#include "server.h"

static nart_addr target;

struct direction {
    nart_tcp *from, *to;
    int64_t *active; /* when something was passed on last, in either direction */
};

static nart_res pass_on(nart_cx *cx, void *arg)
{
    const struct direction *d = arg;
    char buf[16384];
    nart_res n;

    for (;;) {
        size_t done = 0;

        n = nart_await_until(cx, *d->active + server_timeout,
                             nart_tcp_recv(cx, d->from, buf, sizeof buf));
        if (n == -ETIMEDOUT && nart_now(cx) < *d->active + server_timeout)
            continue;
        if (n <= 0)
            break;
        n = nart_await_for(cx, server_timeout, nart_tcp_send_all(cx, d->to, buf, (size_t)n, &done));
        if (n < 0)
            break;
        *d->active = nart_now(cx);
    }
    return n < 0 ? n : nart_tcp_shutdown(d->to, NART_WRITE);
}

/* Runs both directions, and answers when both have ended: what they use is on the caller's stack. */
static nart_res pass_on_both(nart_cx *cx, nart_tcp *client, nart_tcp *upstream)
{
    int64_t active = nart_now(cx);
    struct direction forth = { client, upstream, &active }, back = { upstream, client, &active };
    nart_nursery both = { 0 };
    nart_res joined, error = 0, r = nart_nursery_open(cx, &both, NART_NURSERY_CANCEL_ON_ERROR);

    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &both, pass_on, &forth, NULL);
    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &both, pass_on, &back, NULL);
    if (r < 0)
        nart_nursery_cancel(&both);
    joined = nart_await(cx, nart_nursery_join(cx, &both, &error));
    return r < 0 ? r : joined < 0 ? joined : error;
}

static nart_res proxy(nart_cx *cx, void *arg)
{
    nart_tcp *client = arg, upstream = { 0 };
    nart_res r = nart_await_for(cx, server_timeout, nart_tcp_connect(cx, &upstream, &target));

    if (r == 0)
        r = pass_on_both(cx, client, &upstream);
    if (r < 0) { /* neither side may take this for the end of the stream */
        nart_tcp_reset(&upstream);
        nart_tcp_reset(client);
    }
    nart_tcp_close(&upstream);
    nart_tcp_close(client);
    return r;
}

static nart_res proxy_open(nart_rt *rt, const char *upstream)
{
    (void)rt;
    return nart_addr_parse(&target, upstream);
}

int main(int argc, char **argv)
{
    return server_main(
        &(struct server){ .fiber = proxy, .argument = "UPSTREAM:PORT", .open = proxy_open }, argc,
        argv);
}
