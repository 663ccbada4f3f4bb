/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection over loopback, accepted and reset by the same task: by address, or by a name that is in the cache. */
#include "nart_rows.h"

#include <nart/resolve.h>

struct client {
    struct work w;
    const char *name; /* NULL: by address */
    nart_addr at;
    nart_tcp_listener *listener;
    nart_tcp sock, accepted;
    nart_connect connect;
};

static nart_res connect_one(nart_cx *cx, struct client *c)
{
    if (!c->name)
        return nart_tcp_connect(cx, &c->sock, &c->at);
    return nart_tcp_connect_host(cx, &c->connect, &c->sock, c->name, nart_addr_port(&c->at), NULL);
}

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->w.co);
    for (c->w.i = 0; c->w.i < c->w.n; c->w.i++) {
        NART_AWAIT(r, connect_one(cx, c));
        bench_must(r, "connect");
        NART_AWAIT(r, nart_tcp_accept(cx, c->listener, &c->accepted, NULL));
        bench_must(r, "accept");
        bench_must(nart_tcp_reset(&c->sock), "reset"); /* no port stays in use */
        bench_must(nart_tcp_close(&c->accepted), "close");
    }
    NART_END(0);
}

struct lookup {
    nart_co co;
    nart_lookup lookup;
    nart_addr *at;
};

static nart_res lookup_run(nart_cx *cx, void *frame)
{
    struct lookup *l = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &l->co);
    NART_AWAIT(r, nart_resolve(cx, &l->lookup, "localhost", 0, l->at, 1, NULL));
    NART_END(r);
}

static double measure(nart_rt *rt, bench_how how, uint64_t n, const char *name)
{
    static const nart_task_type type = NART_TASK_TYPE(struct client, client_run, NULL);
    static const nart_task_type lookup_type = NART_TASK_TYPE(struct lookup, lookup_run, NULL);
    nart_tcp_listener listener = { 0 };
    nart_addr at;
    struct lookup lookup = { .at = &at };
    struct client init = { .name = name, .listener = &listener };
    nart_res r = 0;

    bench_must(nart_block_on(rt, &lookup_type, &lookup, &r), "block_on");
    bench_must(r, "localhost");
    bench_must(nart_tcp_listen(rt, &at, NULL, &listener), "listen");
    bench_must(nart_tcp_listener_addr(&listener, &init.at), "address");
    double each = how(rt, &type, &init, n);
    bench_must(nart_tcp_listener_close(&listener), "close");
    return each;
}

double connect_addr(nart_rt *rt, bench_how how, uint64_t n)
{
    return measure(rt, how, n, NULL);
}

double connect_name(nart_rt *rt, bench_how how, uint64_t n)
{
    return measure(rt, how, n, "localhost");
}
