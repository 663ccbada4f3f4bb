/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cold_http.c: the loop serves its clients; tokio makes the HTTP requests. The hot path never waits for the cold one.
 *
 * What to look at
 *  - fetch(): nart_http_request() passes the request to tokio's threads, and the await is an ordinary one: deadlines,
 *    races and cancellation work. The Rust side looks up names, and does TLS, redirects and keep-alive.
 *  - fetch(): a response of the HTTP server is no error, whatever its status is. `status` receives it.
 *  - nart_tokio_op_close(): if the task was cancelled, this cancels the request. So a shutdown waits for no request.
 * Usage: cold_http [URL [ADDRESS:PORT [TIMEOUT [REQUEST_TIMEOUT]]]]. The line `fetch` is answered with the status and
 * length of URL, any other line at once. The timeouts are in milliseconds: a client that sends or reads nothing for so
 * long, 60000 by default, is closed; a request that takes longer than the other, 30000, has failed. It serves until
 * SIGTERM. */
#include <nart/nart.h>
#include <nart/tokio.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int64_t timeout, request_timeout;

struct server {
    nart_tcp_listener listener;
    nart_tokio *tokio;
    const char *url;
};

/* The cold path: writes the line for the client to `text`. */
static nart_res fetch(nart_cx *cx, const struct server *server, char *text, size_t cap)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    int64_t status = 0;
    size_t len = 0;
    nart_res r;

    get.url = server->url;
    get.timeout_ns = request_timeout;
    r = nart_http_request(server->tokio, &get, &op);
    if (r == 0)
        r = nart_await(cx, nart_tokio_op_await(cx, &op, &status));
    nart_tokio_op_message(&op, &len); /* the body, or the cause of the error */
    if (r == 0)
        snprintf(text, cap, "status %d, %zu bytes\n", (int)status, len);
    else
        snprintf(text, cap, "failed: %s\n", nart_err_name(r));
    nart_tokio_op_close(&op);
    return r == -ECANCELED ? r : 0;
}

struct conn {
    nart_tcp sock;
    const struct server *server;
};

static nart_res serve(nart_cx *cx, void *arg)
{
    struct conn *c = arg;
    char buf[256], text[256], *line;
    nart_stream s = { 0 };
    nart_res n = nart_stream_init_tcp(&s, &c->sock, buf, sizeof buf);

    while (n >= 0) {
        size_t done = 0;

        n = nart_await_for(cx, timeout, nart_stream_read_line(cx, &s, 0, &line));
        if (n < 0)
            break;
        if (strcmp(line, "fetch") == 0)
            n = fetch(cx, c->server, text, sizeof text);
        else
            snprintf(text, sizeof text, "you said %.200s\n", line);
        if (n >= 0)
            n = nart_await_for(cx, timeout,
                               nart_stream_write_all(cx, &s, text, strlen(text), &done));
    }
    nart_tcp_close(&c->sock);
    return n;
}

static void close_conn(void *conn)
{
    nart_tcp_close(&((struct conn *)conn)->sock);
}

static nart_res accept_all(nart_cx *cx, void *arg)
{
    struct server *server = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    struct conn conn = { .server = server };
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = 0;

    opts.drop = close_conn;
    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, &server->listener, &conn.sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        conn.server = server; /* a spawn zeroes the value */
        if (r == 0)
            r = nart_fiber_spawn_value(cx, serve, &conn, &opts, NULL);
        if (r == 0)
            continue;
        nart_tcp_close(&conn.sock); /* no descriptor or no memory: until another one has ended */
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
    }
    nart_tcp_listener_close(&server->listener);
    return r;
}

static nart_res run(nart_rt *rt, struct server *server, const char *address)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &server->listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&server->listener, &addr);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, accept_all, server, NULL, &answer);
    if (r == 0)
        r = nart_rt_shutdown_within(rt, 0, NART_SEC, NULL);
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    struct server server = { .url = argc > 1 ? argv[1] : "https://example.com/" };
    nart_rt *rt = NULL;
    int ms[] = { 60000, 30000 }, good = 1;
    char more;

    for (int i = 3; i < argc && i < 5; i++)
        good = good && sscanf(argv[i], "%9d%c", &ms[i - 3], &more) == 1 && ms[i - 3] > 0;
    if (!good) {
        fputs(
            "usage: cold_http [URL [ADDRESS:PORT [TIMEOUT [REQUEST_TIMEOUT]]]], in milliseconds\n",
            stderr);
        return 2;
    }
    timeout = ms[0] * NART_MS;
    request_timeout = ms[1] * NART_MS;
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_tokio_new(NULL, &server.tokio);
    if (r == 0)
        r = run(rt, &server, argc > 2 ? argv[2] : "127.0.0.1:4000");
    if (r < 0)
        fprintf(stderr, "cold_http: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    nart_tokio_free(server.tokio);
    return r < 0;
}
