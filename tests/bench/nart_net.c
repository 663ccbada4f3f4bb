/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 64 bytes to an echo task over loopback and back, both ends on one thread, by one connection or many. The buffers
 * are larger than the message, so that a short read saves the read that would answer EAGAIN. */
#include "nart_rows.h"

#include <nart/net.h>

#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 64, BUFFER = 2048 };

/* ---- the echo task --------------------------------------------------------------------------- */

struct server {
    nart_co co;
    nart_tcp sock;
    size_t len, done;
    char buf[BUFFER];
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &s->co);
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

/* ---- connecting the two ---------------------------------------------------------------------- */

struct setup {
    nart_co co;
    nart_tcp_listener *listener;
    nart_addr at;
    nart_tcp *client;
    nart_tcp accepted;
};

static nart_res setup_run(nart_cx *cx, void *frame)
{
    static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, NULL);
    struct setup *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, nart_tcp_connect(cx, s->client, &s->at));
    bench_must(r, "connect");
    NART_AWAIT(r, nart_tcp_accept(cx, s->listener, &s->accepted, NULL));
    bench_must(r, "accept");
    struct server *server = nart_spawn_begin(cx, &server_type, NULL);
    if (!server)
        bench_fail("spawn");
    nart_tcp_move(&server->sock, &s->accepted);
    nart_spawn_commit(cx, server, NULL);
    NART_END(0);
}

static void connect_pair(nart_rt *rt, nart_tcp *client)
{
    static const nart_task_type setup_type = NART_TASK_TYPE(struct setup, setup_run, NULL);
    nart_tcp_listener listener = { 0 };
    struct setup s = { .listener = &listener, .client = client };

    bench_must(nart_addr_parse(&s.at, "127.0.0.1:0"), "address");
    bench_must(nart_tcp_listen(rt, &s.at, NULL, &listener), "listen");
    bench_must(nart_tcp_listener_addr(&listener, &s.at), "address");
    bench_must(nart_block_on(rt, &setup_type, &s, NULL), "block_on");
    bench_must(nart_tcp_listener_close(&listener), "close");
}

/* ---- the measured client --------------------------------------------------------------------- */

struct client {
    struct work w;
    nart_tcp *sock;
    size_t done, have;
    char buf[BUFFER];
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->w.co);
    for (c->w.i = 0; c->w.i < c->w.n; c->w.i++) {
        NART_AWAIT(n, nart_tcp_send_all(cx, c->sock, c->buf, MESSAGE, &c->done));
        bench_must(n, "send");
        for (c->have = 0; c->have < MESSAGE; c->have += (size_t)n) {
            NART_AWAIT(n, nart_tcp_recv(cx, c->sock, c->buf, sizeof c->buf));
            if (bench_must(n, "recv") == 0)
                NART_RETURN(-ECONNRESET);
        }
    }
    NART_END(0);
}

static const nart_task_type client_type = NART_TASK_TYPE(struct client, client_run, NULL);

static void client_init(struct client *c, nart_tcp *sock)
{
    *c = (struct client){ .sock = sock };
    memset(c->buf, 0xAB, MESSAGE);
}

double tcp_echo(nart_rt *rt, bench_how how, uint64_t n)
{
    nart_tcp sock = { 0 };
    struct client init;

    connect_pair(rt, &sock);
    client_init(&init, &sock);
    double per_trip = how(rt, &client_type, &init, n);
    bench_must(nart_tcp_close(&sock), "close");
    bench_must(nart_rt_run(rt), "run"); /* the server reads the end, and ends */
    return per_trip;
}

/* ---- n trips in total, shared by many connections -------------------------------------------- */

struct crowd {
    struct work w;
    struct crowd_of {
        nart_tcp sock;
        nart_join join;
    } * of;
    uint64_t count;
};

static nart_res crowd_run(nart_cx *cx, void *frame)
{
    struct crowd *c = frame;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &c->w.co);
    for (c->w.i = 0; c->w.i < c->count; c->w.i++) {
        struct client *client = nart_spawn_begin(cx, &client_type, NULL);
        if (!client)
            bench_fail("spawn");
        client_init(client, &c->of[c->w.i].sock);
        client->w.n = c->w.n / c->count;
        bench_must(nart_spawn_commit(cx, client, &c->of[c->w.i].join), "spawn");
    }
    for (c->w.i = 0; c->w.i < c->count; c->w.i++) {
        NART_AWAIT(r, nart_join_await(cx, &c->of[c->w.i].join, &result));
        bench_must(r, "join");
        bench_must(result, "client");
        nart_join_release(&c->of[c->w.i].join);
    }
    NART_END(0);
}

static double crowd(nart_rt *rt, bench_how how, uint64_t n, size_t count)
{
    static const nart_task_type type = NART_TASK_TYPE(struct crowd, crowd_run, NULL);
    struct crowd init = { .of = calloc(count, sizeof *init.of), .count = count };

    if (!init.of)
        bench_fail("calloc");
    for (size_t i = 0; i < count; i++)
        connect_pair(rt, &init.of[i].sock);
    double per_trip = how(rt, &type, &init, n);
    for (size_t i = 0; i < count; i++)
        bench_must(nart_tcp_close(&init.of[i].sock), "close");
    bench_must(nart_rt_run(rt), "run");
    free(init.of);
    return per_trip;
}

double tcp_echo_64(nart_rt *rt, bench_how how, uint64_t n)
{
    return crowd(rt, how, n, 64);
}

double tcp_echo_1000(nart_rt *rt, bench_how how, uint64_t n)
{
    return crowd(rt, how, n, 1000);
}
