/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_errors.c: what stays after an error, and what does not. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
/* A server with a mistake: it closes while it has not read what the client sent. */
static nart_res rude(nart_cx *cx, void *arg)
{
    nart_tcp sock = { 0 };
    char byte;
    nart_res r = nart_await(cx, nart_tcp_accept(cx, arg, &sock, NULL));

    if (r == 0)
        r = nart_await(cx, nart_tcp_peek(cx, &sock, &byte, 1)); /* it arrives, and stays */
    nart_tcp_close(&sock);                                      /* resets the connection */
    nart_tcp_listener_close(arg);
    return r < 0 ? r : 0;
}

static nart_res talk(nart_cx *cx, nart_tcp *sock)
{
    char byte = 0;
    nart_res n = nart_await_for(cx, 10 * NART_MS, nart_tcp_recv(cx, sock, &byte, 1));

    /* A deadline is no error of the connection. */
    printf("receive within 10 ms: %s, connection: %s\n", nart_err_name(n),
           nart_err_name(nart_tcp_error(sock)));

    n = nart_await(cx, nart_tcp_send(cx, sock, "?", 1));
    if (n < 0)
        return n;
    for (int i = 0; i < 2; i++) {
        n = nart_await(cx, nart_tcp_recv(cx, sock, &byte, 1));
        printf("receive: %s\n", nart_err_name(n));
    }
    n = nart_await(cx, nart_tcp_send(cx, sock, "?", 1));
    printf("send: %s, connection: %s\n", nart_err_name(n), nart_err_name(nart_tcp_error(sock)));

    nart_tcp_close(sock);
    n = nart_await(cx, nart_tcp_recv(cx, sock, &byte, 1));
    printf("receive after close: %s\n", nart_err_name(n));
    return 0;
}
// --8<-- [end:program]

static nart_res client(nart_cx *cx, void *arg)
{
    nart_tcp sock = { 0 };
    nart_res r = nart_await_for(cx, 5 * NART_SEC, nart_tcp_connect(cx, &sock, arg));

    if (r == 0)
        r = talk(cx, &sock);
    nart_tcp_close(&sock);
    return r;
}

int main(void)
{
    nart_tcp_listener listener = { 0 };
    nart_addr addr;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_addr_parse(&addr, "127.0.0.1:0");
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&listener, &addr);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, rude, &listener, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &addr, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
