/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_errors.c: what stays after an error, and what does not. */
#include "main.h"

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

int main(void)
{
    return run_tcp(rude, talk);
}
