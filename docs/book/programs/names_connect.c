/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names_connect.c: connects to a name, and to several addresses. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:host]
/* Connects to the first address of a name that answers, within 5 seconds for all of it. */
static nart_res by_name(nart_cx *cx, nart_tcp *sock, const char *name, uint16_t port)
{
    nart_connect connect = { 0 };
    nart_res r = nart_await_for(cx, 5 * NART_SEC,
                                nart_tcp_connect_host(cx, &connect, sock, name, port, NULL));

    if (r < 0)
        fprintf(stderr, "%s: %s (%s)\n", name, nart_strerror(r), connect.text);
    return r;
}
// --8<-- [end:host]

// --8<-- [start:any]
/* The same with addresses of your own, and a report of each attempt. */
static nart_res by_address(nart_cx *cx, nart_tcp *sock, const nart_addr *addrs, size_t n)
{
    nart_connect connect = { 0 };
    nart_connect_attempt report[NART_CONNECT_MAX];
    nart_connect_opts opts = NART_CONNECT_OPTS_INIT;
    nart_res r;

    opts.report = report;
    opts.max_report = NART_CONNECT_MAX;
    opts.attempt_delay = 100 * NART_MS; /* without an answer, the next attempt begins */
    r = nart_await_for(cx, 5 * NART_SEC, nart_tcp_connect_any(cx, &connect, sock, addrs, n, &opts));
    for (uint32_t i = 0; i < connect.attempts; i++)
        printf("attempt %u: %s\n", i + 1, nart_err_name(report[i].res));
    return r;
}
// --8<-- [end:any]

static nart_res program(nart_cx *cx, void *arg)
{
    nart_tcp_listener listener = { 0 };
    nart_tcp sock = { 0 };
    nart_addr addrs[2]; /* nobody listens at the first one */
    char text[NART_ADDR_TEXT];
    uint16_t port;
    nart_res r = nart_addr_parse(&addrs[1], "127.0.0.1:0");

    (void)arg;
    if (r == 0)
        r = nart_tcp_listen_here(cx, &addrs[1], NULL, &listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&listener, &addrs[1]);
    if (r < 0)
        return r;
    port = nart_addr_port(&addrs[1]);
    r = by_name(cx, &sock, "localhost", port);
    printf("localhost: %s\n", nart_err_name(r));
    nart_tcp_close(&sock);
    snprintf(text, sizeof text, "127.0.0.2:%u", port);
    if (r == 0)
        r = nart_addr_parse(&addrs[0], text);
    if (r == 0)
        r = by_address(cx, &sock, addrs, 2);
    nart_tcp_close(&sock);
    nart_tcp_listener_close(&listener);
    return r;
}

int main(void)
{
    return run_fiber(program, NULL);
}
