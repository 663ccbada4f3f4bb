/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* server.c: a TCP server, which answers in capitals. */
// --8<-- [start:program]
#include <nart/nart.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

// --8<-- [start:client]
static int64_t timeout; /* of a client that sends or reads nothing */

/* One task for each connection: what it receives it sends back in capitals. */
static nart_res client(nart_cx *cx, void *arg)
{
    nart_tcp *sock = arg;
    char buf[4096];
    nart_res n;

    while ((n = nart_await_for(cx, timeout, nart_tcp_recv(cx, sock, buf, sizeof buf))) > 0) {
        size_t len = (size_t)n, done = 0;

        for (size_t i = 0; i < len; i++)
            buf[i] = (char)toupper((unsigned char)buf[i]);
        n = nart_await_for(cx, timeout, nart_tcp_send_all(cx, sock, buf, len, &done));
        if (n < 0)
            break;
    }
    if (n < 0)
        fprintf(stderr, "a client: %s\n", nart_strerror(n));
    nart_tcp_close(sock);
    return n;
}
// --8<-- [end:client]

static void close_socket(void *sock)
{
    nart_tcp_close(sock);
}

// --8<-- [start:serve]
/* Accepts connections until the program is asked to end. */
static nart_res serve(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_res r;

    opts.drop = close_socket; // for a client whose task could not begin
    do {
        nart_tcp sock = { 0 };
        int which;

        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = nart_fiber_spawn_value(cx, client, &sock, &opts, NULL);
        if (r < 0) { // too many descriptors, or no memory: others have to end first
            fprintf(stderr, "accept: %s\n", nart_strerror(r));
            nart_tcp_close(&sock);
            r = nart_await(cx, nart_sleep(cx, &pause, 100 * NART_MS));
        }
    } while (r == 0);
    nart_tcp_listener_close(listener);
    return r;
}
// --8<-- [end:serve]

// --8<-- [start:main]
static nart_res run(nart_rt *rt, const char *where)
{
    nart_tcp_listener listener = { 0 };
    nart_addr addr;
    nart_res answer = 0;
    nart_res r = nart_addr_parse(&addr, where);

    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGINT);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &listener);
    if (r < 0)
        return r;
    printf("listening at %s\n", where);
    fflush(stdout);
    r = nart_fiber_block_on(rt, serve, &listener, NULL, &answer);
    if (r == 0)
        r = answer;
    if (r == 0) // clients have 5 seconds to end by themselves, and 1 more when they are cancelled
        r = nart_rt_shutdown_within(rt, 5 * NART_SEC, NART_SEC, NULL);
    return r;
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "127.0.0.1:7000";
    nart_rt *rt = NULL;
    int ms = 30000;
    char more;

    if ((argc > 2 && sscanf(argv[2], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: server [ADDRESS:PORT [TIMEOUT in milliseconds]]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, where);
    if (r < 0)
        fprintf(stderr, "server at %s: %s\n", where, nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}
// --8<-- [end:main]
// --8<-- [end:program]
