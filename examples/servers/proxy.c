/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* proxy.c: connects each client with another server. An end of one direction is passed on, and the other goes on;
 * an error, or nothing in both directions for too long, resets both. */
#include "server.h"

static nart_addr target;

struct direction {
    nart_co co;
    nart_tcp *from, *to;
    int64_t *active; /* when something was passed on last, in either direction */
    size_t len, done;
    char buf[16384];
};

static nart_res pass_on(nart_cx *cx, struct direction *d)
{
    nart_res n;

    NART_BEGIN(cx, &d->co);
    for (;;) {
        NART_AWAIT_UNTIL(n, *d->active + server_timeout,
                         nart_tcp_recv(cx, d->from, d->buf, sizeof d->buf));
        if (n == -ETIMEDOUT && nart_now(cx) < *d->active + server_timeout)
            continue;
        if (n <= 0)
            break;
        d->len = (size_t)n;
        NART_AWAIT_FOR(n, server_timeout, nart_tcp_send_all(cx, d->to, d->buf, d->len, &d->done));
        if (n < 0)
            break;
        *d->active = nart_now(cx);
    }
    NART_END(n < 0 ? n : nart_tcp_shutdown(d->to, NART_WRITE));
}

struct proxy {
    nart_tcp client, upstream;
    nart_co co;
    int64_t active;
    int first;
    struct direction directions[2];
};

static nart_res proxy_run(nart_cx *cx, void *frame)
{
    struct proxy *p = frame;
    nart_res r;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT_FOR(r, server_timeout, nart_tcp_connect(cx, &p->upstream, &target));
    if (r == 0) {
        p->active = nart_now(cx);
        for (int i = 0; i < 2; i++)
            p->directions[i].active = &p->active;
        p->directions[0].from = p->directions[1].to = &p->client;
        p->directions[0].to = p->directions[1].from = &p->upstream;
        NART_AWAIT_ANY(p->first, r, pass_on(cx, &p->directions[0]), pass_on(cx, &p->directions[1]));
    }
    if (r == 0)
        NART_AWAIT(r, pass_on(cx, &p->directions[!p->first]));
    if (r < 0) { /* neither side may take this for the end of the stream */
        nart_tcp_reset(&p->upstream);
        nart_tcp_reset(&p->client);
    }
    nart_tcp_close(&p->upstream);
    nart_tcp_close(&p->client);
    NART_END(r);
}

static void proxy_drop(void *frame)
{
    struct proxy *p = frame;

    nart_tcp_close(&p->upstream);
    nart_tcp_close(&p->client);
}

static const nart_task_type proxy_type = NART_TASK_TYPE(struct proxy, proxy_run, proxy_drop);

static nart_res proxy_open(nart_rt *rt, const char *upstream)
{
    (void)rt;
    return nart_addr_parse(&target, upstream);
}

int main(int argc, char **argv)
{
    return server_main(
        &(struct server){ .type = &proxy_type, .argument = "UPSTREAM:PORT", .open = proxy_open },
        argc, argv);
}
