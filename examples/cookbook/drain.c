/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* drain.c: a server that ends gracefully on SIGTERM: it stops accepting, closes idle connections, finishes the requests
 * that have begun, and cancels those that take too long.
 *
 * What to look at
 *  - accept_all() and serve() race the shutdown only where nothing has to be finished: against the next connection, and
 *    against the first byte of the next request. Closing the listener resets connections that were not accepted.
 *  - run(): nart_rt_shutdown_within() sets the time limit. Tasks that are left after it are cancelled: request()
 *    answers -ECANCELED, and serve() closes its connection as after any error.
 *  - finish(): closing a socket that has unread bytes resets the connection, and the client may lose the last answer.
 *    So it ends its own direction first, and reads the rest.
 * Usage: drain [ADDRESS:PORT [MILLISECONDS that requests have to end]]. A request is "PUT LENGTH", a newline and LENGTH
 * bytes; the answer is "stored LENGTH". */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>

enum { MOST = 1 << 20 }; /* bytes of a request */

static unsigned finished, cut_off; /* requests that ended after the signal: answered, or not */

/* Reads one request and answers it. */
static nart_res request(nart_cx *cx, nart_stream *s)
{
    char *line, more, text[64], bytes[4096];
    long length, left;
    size_t done = 0;
    nart_res r = nart_await(cx, nart_stream_read_line(cx, s, 0, &line));

    if (r < 0)
        return r;
    if (sscanf(line, "PUT %9ld%c", &length, &more) != 1 || length < 0 || length > MOST)
        return -EPROTO;
    for (left = length; left > 0; left -= (long)r) {
        size_t some = (size_t)left < sizeof bytes ? (size_t)left : sizeof bytes;

        r = nart_await(cx, nart_stream_read(cx, s, bytes, some));
        if (r <= 0)
            return r < 0 ? r : NART_ETRUNCATED;
    }
    r = snprintf(text, sizeof text, "stored %ld\n", length);
    return nart_await(cx, nart_stream_write_all(cx, s, text, (size_t)r, &done));
}

static nart_res finish(nart_cx *cx, nart_stream *s)
{
    char rest[4096];
    nart_res r = nart_await(cx, nart_stream_shutdown(cx, s));

    while (r >= 0 && (r = nart_await(cx, nart_stream_read(cx, s, rest, sizeof rest))) > 0)
        ;
    return r;
}

static nart_res serve(nart_cx *cx, void *sock)
{
    char buf[4096];
    nart_stream s = { 0 };
    nart_waiter shutdown = { 0 };
    int which = 1;
    nart_res r = nart_stream_init_tcp(&s, sock, buf, sizeof buf);

    while (r >= 0) {
        r = nart_await_any_biased(cx, which, nart_shutdown_await(cx, &shutdown),
                                  nart_stream_fill(cx, &s, 1));
        if (r < 0 || which == 0)
            break;
        r = request(cx, &s);
        if (nart_rt_is_shutdown(nart_cx_rt(cx)))
            ++*(r >= 0 ? &finished : &cut_off);
    }
    if (r >= 0)
        r = nart_await_for(cx, NART_SEC, finish(cx, &s));
    nart_tcp_close(sock);
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
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    nart_tcp sock = { 0 };
    int which = 1;
    nart_res r = 0;

    opts.drop = close_sock;
    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = nart_fiber_spawn_value(cx, serve, &sock, &opts, NULL);
        if (r == 0)
            continue;
        nart_tcp_close(&sock); /* no descriptor or no memory: until another one has ended */
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
    }
    nart_tcp_listener_close(listener);
    puts("draining");
    fflush(stdout);
    return r;
}

static nart_res run(nart_rt *rt, const char *address, int64_t grace)
{
    nart_tcp_listener listener = { 0 };
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&listener, &addr);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, accept_all, &listener, NULL, NULL);
    if (r == 0)
        r = nart_rt_shutdown_within(rt, grace, NART_SEC, NULL);
    printf("%u requests finished, %u cut off\n", finished, cut_off);
    return r;
}

int main(int argc, char **argv)
{
    nart_rt *rt = NULL;
    int grace = 10000;
    char more;

    if ((argc > 2 && sscanf(argv[2], "%9d%c", &grace, &more) != 1) || grace < 0) {
        fputs("usage: drain [ADDRESS:PORT [MILLISECONDS that requests have to end]]\n", stderr);
        return 2;
    }
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, argc > 1 ? argv[1] : "127.0.0.1:4000", grace * NART_MS);
    if (r < 0)
        fprintf(stderr, "drain: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0 || cut_off > 0;
}
