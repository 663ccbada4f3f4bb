/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names_errors.c: what a connect by name answers when it fails, and what its text says. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:program]
static void try_name(nart_cx *cx, const char *name, nart_resolver *resolver)
{
    nart_connect connect = { 0 };
    nart_connect_opts opts = NART_CONNECT_OPTS_INIT;
    nart_tcp sock = { 0 };
    nart_res r;

    opts.resolver = resolver;
    r = nart_await_for(cx, 5 * NART_SEC,
                       nart_tcp_connect_host(cx, &connect, &sock, name, 0, &opts));
    printf("%s\n    %s: %s\n    text: %s\n", name, nart_err_name(r), nart_strerror(r),
           connect.text);
    nart_tcp_close(&sock);
}

static nart_res program(nart_cx *cx, void *arg)
{
    nart_resolver *resolver = NULL;
    nart_resolver_opts opts = NART_RESOLVER_OPTS_INIT;
    nart_res r;

    (void)arg;
    opts.servers = "127.0.0.1:1"; /* a name server that does not exist */
    opts.tries = 1;
    r = nart_resolver_new(nart_cx_rt(cx), &opts, &resolver);
    if (r < 0)
        return r;
    try_name(cx, "127.0.0.1:1", resolver);
    try_name(cx, "www..example.org:80", resolver);
    try_name(cx, "www.example.org:no-such-service", resolver);
    try_name(cx, "www.example.org:80", resolver);
    return nart_resolver_free(resolver);
}
// --8<-- [end:program]

int main(void)
{
    return run_fiber(program, NULL);
}
