/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_udp.c: datagrams: an answer, one that was cut, and a peer that is not there. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
/* Sends one datagram back to whoever sent it, and closes. */
static nart_res reflect(nart_cx *cx, void *arg)
{
    nart_udp *sock = arg;
    nart_addr from;
    char buf[1500];
    nart_res n = nart_await(cx, nart_udp_recv(cx, sock, buf, sizeof buf, &from));

    if (n >= 0)
        n = nart_await(cx, nart_udp_send(cx, sock, buf, (size_t)n, &from));
    nart_udp_close(sock);
    return n < 0 ? n : 0;
}

/* Datagrams may be lost: ask again, three times. The socket is connected, so `to` and `from` are not needed. An answer
 * that is late is taken for one to the next try: where tries differ, number them, and skip answers to others. */
static nart_res request(nart_cx *cx, nart_udp *sock, char *buf, size_t size)
{
    nart_res n = -ETIMEDOUT;

    for (int i = 0; i < 3 && n == -ETIMEDOUT; i++) {
        n = nart_await(cx, nart_udp_send(cx, sock, "hello", 5, NULL));
        if (n >= 0)
            n = nart_await_for(cx, NART_SEC, nart_udp_recv(cx, sock, buf, size, NULL));
    }
    return n;
}

static nart_res client(nart_cx *cx, void *arg)
{
    nart_udp sock = { 0 };
    nart_addr any;
    char buf[4] = "";
    nart_res n = nart_addr_parse(&any, "127.0.0.1:0"); /* peers elsewhere: "0.0.0.0:0", "[::]:0" */

    if (n == 0)
        n = nart_udp_open_here(cx, &any, NULL, &sock);
    if (n == 0)
        n = nart_udp_connect(&sock, arg); /* only datagrams of this peer, and its refusals */
    if (n == 0) {
        n = request(cx, &sock, buf, sizeof buf);
        printf("a buffer of 4 bytes: %s, %.4s\n", nart_err_name(n), buf);
        n = request(cx, &sock, buf, sizeof buf);
        printf("the peer has closed: %s\n", nart_err_name(n));
    }
    nart_udp_close(&sock);
    return n == -ECONNREFUSED ? 0 : n;
}
// --8<-- [end:program]

int main(void)
{
    nart_udp sock = { 0 };
    nart_addr addr;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_addr_parse(&addr, "127.0.0.1:0");
    if (r == 0)
        r = nart_udp_open(rt, &addr, NULL, &sock);
    if (r == 0)
        r = nart_udp_local_addr(&sock, &addr);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, reflect, &sock, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &addr, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
