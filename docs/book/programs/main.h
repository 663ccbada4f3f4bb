/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* main.h: what programs of the book do around the part that a chapter shows. start.md shows a whole program. */
#ifndef BOOK_MAIN_H
#define BOOK_MAIN_H

#include <nart/nart.h>

/* Runs a fiber on a runtime of its own. Answers the exit status. */
static inline int run_fiber(nart_fiber_fn fiber, void *arg)
{
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, fiber, arg, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}

/* ---- a server and a client of TCP ---- */

struct tcp_pair {
    nart_fiber_fn server;                          /* gets the listener, and closes it */
    nart_res (*talk)(nart_cx *cx, nart_tcp *sock); /* the client, connected */
    nart_tcp_listener listener;
};

static inline nart_res tcp_client(nart_cx *cx, const struct tcp_pair *p, const nart_addr *to)
{
    nart_tcp sock = { 0 };
    nart_res r = nart_await_for(cx, 5 * NART_SEC, nart_tcp_connect(cx, &sock, to));

    if (r == 0)
        r = p->talk(cx, &sock);
    nart_tcp_close(&sock);
    return r;
}

static inline nart_res tcp_both(nart_cx *cx, void *arg)
{
    struct tcp_pair *p = arg;
    nart_fiber_fn server = p->server;
    nart_join join = { 0 };
    nart_addr addr;
    nart_res r = nart_addr_parse(&addr, "127.0.0.1:0");

    if (r == 0)
        r = nart_tcp_listen_here(cx, &addr, NULL, &p->listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&p->listener, &addr);
    if (r == 0)
        r = nart_fiber_spawn(cx, server, &p->listener, NULL, &join);
    if (r == 0)
        r = tcp_client(cx, p, &addr);
    if (r == 0)
        r = nart_await(cx, nart_join_await(cx, &join, NULL));
    nart_join_release(&join);
    return r;
}

/* Runs both until they have ended. Answers the exit status. */
static inline int run_tcp(nart_fiber_fn server, nart_res (*talk)(nart_cx *cx, nart_tcp *sock))
{
    struct tcp_pair p = { .server = server, .talk = talk };

    return run_fiber(tcp_both, &p);
}

#endif
