/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* server.c: accepts connections, until the shutdown. */
#include "kvproxy.h"

#include <stdio.h>

static nart_res server_listen(nart_cx *cx, struct server *s)
{
    nart_addr addr;
    char text[NART_ADDR_TEXT] = "";

    nart_res r = nart_addr_parse(&addr, s->p->listen);
    if (r == 0)
        r = nart_tcp_listen_here(cx, &addr, NULL, &s->listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&s->listener, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, text, sizeof text);
    if (r < 0)
        return r;
    printf("listening at %s\n", text);
    fflush(stdout);
    return 0;
}

/* As many connections as are served may be open to be refused; others are not accepted yet. */
static nart_res accept_next(nart_cx *cx, struct server *s)
{
    while (s->p->open >= 2 * s->p->max_open) {
        nart_res r = nart_notify_await(cx, &s->p->closed, &s->closed);
        if (r < 0)
            return r;
    }
    return nart_tcp_accept(cx, &s->listener, &s->accepted, NULL);
}

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &s->co);
    r = server_listen(cx, s);
    if (r < 0)
        NART_RETURN(r);
    for (;;) {
        NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &s->shutdown), accept_next(cx, s));
        if (which == 0 || r == -ECANCELED)
            break;
        if (r == 0)
            r = conn_start(cx, s->p, &s->accepted);
        if (r == 0)
            continue;
        nart_tcp_close(&s->accepted);
        /* out of descriptors or slots: wait until others have ended */
        NART_AWAIT(r, nart_sleep(cx, &s->pause, 10 * NART_MS));
        if (r < 0)
            break;
    }
    nart_tcp_listener_close(&s->listener);
    if (r == -ECANCELED) {
        /* On tokio, where a task is not asked to shut down: so it asks those that it has spawned. */
        nart_rt_shutdown(nart_cx_rt(cx));
        NART_SHIELD(s->p->grace);
        for (r = 0; r == 0 && s->p->open > 0;)
            NART_AWAIT(r, nart_notify_await(cx, &s->p->closed, &s->closed));
        r = 0; /* the shutdown of the bridge cancels those that are left */
    }
    NART_END(r);
}

static void server_drop(void *frame)
{
    struct server *s = frame;

    nart_tcp_close(&s->accepted);
    nart_tcp_listener_close(&s->listener);
}

const nart_task_type server_type =
    NART_TASK_TYPE_FLAGS(struct server, server_run, server_drop, NART_TASK_SEND);
