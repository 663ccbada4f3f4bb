/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* proxy.c: connects each client with another server, until both have ended or nothing was sent for a while.
 *
 * What to look at
 *  - nart_stream_copy_both() copies in both directions. When one side ends its direction (half close), the other side
 *    reads that end, and can still send. While one side does not read, nothing is received from the other. -ETIME: no
 *    byte was moved in either direction for `timeout` nanoseconds. Once a read has filled the buffer, bytes pass through
 *    a pipe in the kernel (splice), because main() ignores SIGPIPE.
 *  - proxy(): after an error both sides are reset. After an ordinary close a peer would read an end of the stream that
 *    the other peer has not sent, and take half a file for a whole one.
 * Usage: proxy ADDRESS:PORT UPSTREAM:PORT [TIMEOUT [CONNECT_TIMEOUT]], in milliseconds: without a byte in either
 * direction, 60000 by default, and until it is connected with the other server, 5000. It serves until SIGTERM. */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>

static nart_addr upstream;
static int64_t timeout, connect_timeout;

static nart_res proxy(nart_cx *cx, void *arg)
{
    nart_tcp *client = arg, server = { 0 };
    char from_client[4096], from_server[4096];
    nart_stream a = { 0 }, b = { 0 };
    nart_stream_relay relay = { .idle = timeout };
    nart_res r = nart_await_for(cx, connect_timeout, nart_tcp_connect(cx, &server, &upstream));

    if (r == 0)
        r = nart_stream_init_tcp(&a, client, from_client, sizeof from_client);
    if (r == 0)
        r = nart_stream_init_tcp(&b, &server, from_server, sizeof from_server);
    if (r == 0)
        r = nart_await(cx, nart_stream_copy_both(cx, &a, &b, &relay));
    printf("%llu bytes there, %llu bytes back: %s\n", (unsigned long long)relay.there.copied,
           (unsigned long long)relay.back.copied, nart_err_name(r));
    fflush(stdout);
    nart_stream_relay_finish(&relay);
    if (r < 0) {
        nart_tcp_reset(&server);
        nart_tcp_reset(client);
    }
    nart_tcp_close(&server);
    nart_tcp_close(client);
    return r;
}

static void close_sock(void *sock)
{
    nart_tcp_close(sock);
}

static nart_res accept_all(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_tcp sock = { 0 };
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = 0;

    opts.drop = close_sock;
    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = nart_fiber_spawn_value(cx, proxy, &sock, &opts, NULL);
        if (r == 0)
            continue;
        nart_tcp_close(&sock); /* no descriptor or no memory: until another one has ended */
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
    }
    nart_tcp_listener_close(listener);
    return r;
}

static nart_res run(nart_rt *rt, nart_tcp_listener *listener, const char *address)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, listener);
    if (r == 0)
        r = nart_tcp_listener_addr(listener, &addr);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, accept_all, listener, NULL, &answer);
    if (r == 0)
        r = nart_rt_shutdown_within(rt, 0, NART_SEC, NULL); /* cancels what is left, at once */
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    nart_tcp_listener listener = { 0 };
    nart_rt *rt = NULL;
    int ms[] = { 60000, 5000 }, good = argc > 2;
    char more;

    for (int i = 3; i < argc && i < 5; i++)
        good = good && sscanf(argv[i], "%9d%c", &ms[i - 3], &more) == 1 && ms[i - 3] >= 0;
    if (!good) {
        fputs("usage: proxy ADDRESS:PORT UPSTREAM:PORT [TIMEOUT [CONNECT_TIMEOUT]], in "
              "milliseconds\n",
              stderr);
        return 2;
    }
    nart_res r = nart_addr_parse(&upstream, argv[2]);
    timeout = ms[0] * NART_MS;
    connect_timeout = ms[1] * NART_MS;
    signal(SIGPIPE, SIG_IGN);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, &listener, argv[1]);
    if (r < 0)
        fprintf(stderr, "proxy: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}
