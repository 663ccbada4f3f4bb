/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* As nart_net.c, but both ends are C tasks on tokio, whose driver watches their sockets. */
#include "nart_bridge.h"

#include <nart/net.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 64, BUFFER = 2048 };

/* ---- the echo task --------------------------------------------------------------------------- */

struct server {
    nart_co co;
    int fd;
    nart_tcp sock;
    size_t len, done;
    char buf[BUFFER];
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &s->co);
    bench_must(nart_tcp_adopt_here(cx, s->fd, &s->sock), "adopt");
    bench_must(nart_tcp_set_nodelay(&s->sock, true), "nodelay");
    for (;;) {
        NART_AWAIT(n, nart_tcp_recv(cx, &s->sock, s->buf, sizeof s->buf));
        if (n <= 0)
            break;
        s->len = (size_t)n;
        NART_AWAIT(n, nart_tcp_send_all(cx, &s->sock, s->buf, s->len, &s->done));
        if (n < 0)
            break;
    }
    nart_tcp_close(&s->sock);
    NART_END(n);
}

/* ---- the measured client --------------------------------------------------------------------- */

struct client {
    nart_co co;
    int fd;
    uint64_t n, i;
    double *per_trip;
    int64_t start;
    nart_tcp sock;
    size_t done, have;
    char buf[BUFFER];
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->co);
    bench_must(nart_tcp_adopt_here(cx, c->fd, &c->sock), "adopt");
    bench_must(nart_tcp_set_nodelay(&c->sock, true), "nodelay");
    memset(c->buf, 0xAB, MESSAGE);
    for (c->i = 0; c->i < c->n / 10 + c->n; c->i++) {
        if (c->i == c->n / 10) /* warm */
            c->start = bench_now();
        NART_AWAIT(n, nart_tcp_send_all(cx, &c->sock, c->buf, MESSAGE, &c->done));
        bench_must(n, "send");
        for (c->have = 0; c->have < MESSAGE; c->have += (size_t)n) {
            NART_AWAIT(n, nart_tcp_recv(cx, &c->sock, c->buf, sizeof c->buf));
            if (bench_must(n, "recv") == 0)
                NART_RETURN(-ECONNRESET);
        }
    }
    *c->per_trip = (double)(bench_now() - c->start) / (double)c->n;
    nart_tcp_close(&c->sock);
    NART_END(0);
}

/* ---- the row --------------------------------------------------------------------------------- */

static void connect_pair(int *client, int *server)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&at, &len) ||
        connect(*client, (struct sockaddr *)&at, sizeof at) ||
        (*server = accept(listener, NULL, NULL)) < 0)
        bench_fail("connect");
    close(listener);
}

/* The task of the loop, which only waits. */
struct both {
    nart_co co;
    nart_tokio *bridge;
    uint64_t n;
    double *per_trip;
    nart_tokio_op server, client;
};

static void both_begin(struct both *b)
{
    static const nart_task_type server_type =
        NART_TASK_TYPE_FLAGS(struct server, server_run, NULL, NART_TASK_SEND);
    static const nart_task_type client_type =
        NART_TASK_TYPE_FLAGS(struct client, client_run, NULL, NART_TASK_SEND);
    struct server server = { 0 };
    struct client client = { .n = b->n, .per_trip = b->per_trip };

    connect_pair(&client.fd, &server.fd);
    bench_must(nart_tokio_spawn_task(b->bridge, &server_type, &server, &b->server), "spawn");
    bench_must(nart_tokio_spawn_task(b->bridge, &client_type, &client, &b->client), "spawn");
}

static nart_res both_run(nart_cx *cx, void *frame)
{
    struct both *b = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &b->co);
    both_begin(b);
    NART_AWAIT(r, nart_tokio_op_await(cx, &b->client, NULL));
    bench_must(r, "client");
    NART_AWAIT(r, nart_tokio_op_await(cx, &b->server, NULL));
    bench_must(r, "server");
    nart_tokio_op_close(&b->client);
    nart_tokio_op_close(&b->server);
    NART_END(0);
}

double tokio_tcp_echo(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct both, both_run, NULL);
    nart_rt *rt = bench_runtime(NULL);
    nart_tokio *bridge = open_bridge(2);
    double per_trip = 0;
    struct both both = { .bridge = bridge, .n = n, .per_trip = &per_trip };

    bench_must(nart_block_on(rt, &type, &both, NULL), "block_on");
    close_bridge(bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return per_trip;
}
