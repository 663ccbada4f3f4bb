/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_server.c: a TCP server that answers lines, and a client that asks it. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:serve]
/* One connection: sends each line back. */
static nart_res serve(nart_cx *cx, void *arg)
{
    nart_stream s = { 0 };
    char buf[1024], *line = NULL;
    size_t done = 0;
    nart_res n = nart_stream_init_tcp(&s, arg, buf, sizeof buf);

    while (n >= 0) {
        n = nart_await_for(cx, 30 * NART_SEC, nart_stream_read_line(cx, &s, 0, &line));
        if (n < 0)
            break;
        line[n] = '\n'; /* it was replaced by a NUL */
        n = nart_await_for(cx, 30 * NART_SEC,
                           nart_stream_write_all(cx, &s, line, (size_t)n + 1, &done));
    }
    nart_stream_close(&s); /* the socket, too */
    return n == NART_EEOF ? 0 : n;
}
// --8<-- [end:serve]

// --8<-- [start:accept]
static void drop_sock(void *sock)
{
    nart_tcp_close(sock);
}

/* Accepts connections until the runtime is asked to shut down. */
static nart_res accept_all(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_waiter stop = { 0 };
    nart_timer pause = { 0 };
    nart_tcp sock = { 0 };
    nart_res r;
    int which;

    opts.drop = drop_sock;
    for (;;) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &stop),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = nart_fiber_spawn_value(cx, serve, &sock, &opts, NULL);
        if (r == 0)
            continue;
        /* No descriptor or no memory is left: refuse this client, and let others end. */
        nart_tcp_close(&sock);
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
        if (r < 0)
            break;
    }
    nart_tcp_listener_close(listener);
    return r; /* 0 after a request to shut down */
}
// --8<-- [end:accept]

// --8<-- [start:client]
/* Sends one line, and prints the answer. */
static nart_res ask(nart_cx *cx, nart_tcp *sock)
{
    static const char text[] = "how are you?\n";
    nart_stream s = { 0 };
    char buf[128], *line = NULL;
    size_t done = 0;
    nart_res n = nart_stream_init_tcp(&s, sock, buf, sizeof buf);

    if (n >= 0)
        n = nart_await(cx, nart_stream_write_all(cx, &s, text, sizeof text - 1, &done));
    if (n >= 0)
        n = nart_await(cx, nart_stream_read_line(cx, &s, 0, &line));
    if (n >= 0)
        printf("answer: %s\n", line);
    return n < 0 ? n : 0;
}

static nart_res client(nart_cx *cx, void *arg)
{
    nart_tcp sock = { 0 };
    nart_keepalive probes = NART_KEEPALIVE_INIT;
    nart_res r = nart_await_for(cx, 5 * NART_SEC, nart_tcp_connect(cx, &sock, arg));

    probes.idle = 60 * NART_SEC;
    if (r == 0)
        r = nart_sock_set_keepalive(nart_tcp_fd(&sock), &probes);
    if (r == 0)
        r = nart_await_for(cx, 5 * NART_SEC, ask(cx, &sock));
    nart_tcp_close(&sock);
    return r;
}
// --8<-- [end:client]

// --8<-- [start:main]
int main(void)
{
    nart_tcp_listener listener = { 0 };
    nart_addr addr;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_addr_parse(&addr, "127.0.0.1:0"); /* port 0: any free one */
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&listener, &addr); /* with the port that was chosen */
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, accept_all, &listener, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &addr, NULL, &answer);
    if (r == 0)
        r = nart_rt_shutdown_within(rt, NART_SEC, NART_SEC, NULL);
    nart_rt_free(rt);
    if (r < 0 || answer < 0)
        fprintf(stderr, "sockets_server: %s\n", nart_strerror(r < 0 ? r : answer));
    return r < 0 || answer < 0;
}
// --8<-- [end:main]
