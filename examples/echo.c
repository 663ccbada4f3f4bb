/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* echo.c: an echo server that closes connections that send nothing for five seconds.
 *
 *   echo 127.0.0.1:7000      serves until Ctrl-C
 *   echo                     serves a client of its own, and ends */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

/* ---- a connection ---- */

struct conn {
    nart_co co;
    nart_tcp sock;
    size_t len, done;
    char buf[1024];
};

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->co);
    for (;;) {
        NART_AWAIT_FOR(n, 5 * NART_SEC, nart_tcp_recv(cx, &c->sock, c->buf, sizeof c->buf));
        if (n <= 0)
            break;
        c->len = (size_t)n;
        NART_AWAIT_FOR(n, 5 * NART_SEC, nart_tcp_send_all(cx, &c->sock, c->buf, c->len, &c->done));
        if (n < 0)
            break;
    }
    NART_END(n);
}

static void conn_drop(void *frame)
{
    struct conn *c = frame;
    nart_tcp_close(&c->sock);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

/* ---- the server ---- */

struct server {
    nart_co co;
    nart_tcp_listener listener;
    nart_tcp accepted;
    nart_timer pause;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    struct conn *c;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (;;) {
        NART_AWAIT(r, nart_tcp_accept(cx, &s->listener, &s->accepted, NULL));
        if (r == -ECANCELED)
            break;
        if (r == 0 && (c = nart_spawn_begin(cx, &conn_type, &r)) != NULL) {
            nart_tcp_move(&c->sock, &s->accepted);
            nart_spawn_commit(cx, c, NULL);
            continue;
        }
        nart_tcp_close(&s->accepted);
        if (r == NART_ESHUTDOWN)
            break;
        /* out of descriptors or slots: refuse, and wait until others have ended */
        NART_AWAIT(r, nart_sleep(cx, &s->pause, 10 * NART_MS));
        if (r < 0)
            break;
    }
    NART_END(r);
}

static void server_drop(void *frame)
{
    struct server *s = frame;
    nart_tcp_close(&s->accepted);
    nart_tcp_listener_close(&s->listener);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, server_drop);

/* ---- a client, for the run without arguments ---- */

struct client {
    nart_co co;
    nart_addr to;
    nart_tcp sock;
    size_t done;
    int i;
    char buf[16];
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_tcp_connect(cx, &c->sock, &c->to));
    for (c->i = 0; c->i < 3 && r >= 0; c->i++) {
        NART_AWAIT(r, nart_tcp_send_all(cx, &c->sock, "hello", 5, &c->done));
        if (r >= 0)
            NART_AWAIT(r, nart_tcp_recv(cx, &c->sock, c->buf, sizeof c->buf));
        if (r >= 0)
            printf("%.*s\n", (int)r, c->buf);
    }
    NART_END(r == 5 && memcmp(c->buf, "hello", 5) == 0 ? 0 : -EPROTO);
}

static void client_drop(void *frame)
{
    struct client *c = frame;
    nart_tcp_close(&c->sock);
}

static const nart_task_type client_type = NART_TASK_TYPE(struct client, client_run, client_drop);

int main(int argc, char **argv)
{
    struct server server = { .pause = { 0 } };
    struct client client = { .i = 0 };
    nart_rt *rt = NULL;
    nart_addr addr;
    nart_res answer = 0;

    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_addr_parse(&addr, argc > 1 ? argv[1] : "127.0.0.1:0");
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &server.listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&server.listener, &client.to);
    if (r == 0)
        r = nart_rt_spawn(rt, &server_type, &server, NULL); /* the listener passes to the task */
    if (r == 0 && argc > 1)
        r = nart_rt_run(rt);
    else if (r == 0)
        r = nart_block_on(rt, &client_type, &client, &answer);
    if (r < 0 || answer < 0)
        fprintf(stderr, "echo: %s\n", nart_strerror(r < 0 ? r : answer));
    nart_rt_free(rt); /* ends the server and its connections */
    return r < 0 || answer < 0;
}
