/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* http_fibers.c: http.c with fibers. */
#include "http.h"
#include "server.h"

static nart_res conn_run(nart_cx *cx, void *arg)
{
    nart_tcp *sock = arg;
    struct http h = { .have = 0 };
    size_t done = 0;
    nart_res n;

    for (;;) {
        n = nart_await_for(cx, server_timeout,
                           nart_tcp_recv(cx, sock, h.in + h.have, sizeof h.in - h.have));
        if (n <= 0)
            break;
        h.have += (size_t)n;
        for (http_answer(&h); h.len > 0; http_answer(&h)) {
            n = nart_await_for(cx, server_timeout,
                               nart_tcp_send_all(cx, sock, h.out, h.len, &done));
            if (n < 0 || h.last)
                goto end;
            h.len = 0;
        }
    }
end:
    nart_tcp_close(sock);
    return n;
}

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .fiber = conn_run }, argc, argv);
}
