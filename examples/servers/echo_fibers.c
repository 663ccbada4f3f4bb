/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* echo_fibers.c: echo.c as a fiber. */
#include "server.h"

static nart_res echo(nart_cx *cx, void *arg)
{
    nart_tcp *sock = arg;
    char buf[1024];
    nart_res n;

    while ((n = nart_await_for(cx, server_timeout, nart_tcp_recv(cx, sock, buf, sizeof buf))) > 0) {
        size_t done = 0;

        n = nart_await_for(cx, server_timeout, nart_tcp_send_all(cx, sock, buf, (size_t)n, &done));
        if (n < 0)
            break;
    }
    nart_tcp_close(sock);
    return n;
}

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .fiber = echo }, argc, argv);
}
