/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* echo.c: an echo server that closes connections that send nothing for five seconds.
 *
 *   echo 127.0.0.1:7000        serves until Ctrl-C
 *   echo unix:/run/echo.sock   serves a Unix socket, or "unix:@echo", an abstract name
 *   echo client [address]      serves a client of its own, and ends
 *   echo                       the same at 127.0.0.1 */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

/* ---- a socket of either kind: the address decides ---- */

struct sock {
    bool is_unix;
    union {
        nart_tcp tcp;
        nart_unix un;
    };
};

struct endpoint {
    bool is_unix;
    union {
        nart_tcp_listener tcp;
        nart_unix_listener un;
    };
};

/* Listens, and stores the address where it does. A path is unlinked on closing, and if a dead server has left it. */
static nart_res sock_listen(nart_rt *rt, struct endpoint *l, const nart_addr *at, nart_addr *bound)
{
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;

    opts.flags = NART_UNIX_REPLACE | NART_UNIX_UNLINK;
    l->is_unix = at->storage.ss_family == AF_UNIX;
    nart_res r = l->is_unix ? nart_unix_listen(rt, at, &opts, &l->un)
                            : nart_tcp_listen(rt, at, NULL, &l->tcp);
    if (r < 0)
        return r;
    return l->is_unix ? nart_unix_listener_addr(&l->un, bound)
                      : nart_tcp_listener_addr(&l->tcp, bound);
}

static nart_res sock_accept(nart_cx *cx, struct endpoint *l, struct sock *s)
{
    s->is_unix = l->is_unix;
    return l->is_unix ? nart_unix_accept(cx, &l->un, &s->un, NULL)
                      : nart_tcp_accept(cx, &l->tcp, &s->tcp, NULL);
}

static nart_res sock_connect(nart_cx *cx, struct sock *s, const nart_addr *to)
{
    s->is_unix = to->storage.ss_family == AF_UNIX;
    return s->is_unix ? nart_unix_connect(cx, &s->un, to, 0) : nart_tcp_connect(cx, &s->tcp, to);
}

static nart_res sock_recv(nart_cx *cx, struct sock *s, void *buf, size_t len)
{
    return s->is_unix ? nart_unix_recv(cx, &s->un, buf, len) : nart_tcp_recv(cx, &s->tcp, buf, len);
}

static nart_res sock_send_all(nart_cx *cx, struct sock *s, const void *buf, size_t len,
                              size_t *done)
{
    return s->is_unix ? nart_unix_send_all(cx, &s->un, buf, len, done)
                      : nart_tcp_send_all(cx, &s->tcp, buf, len, done);
}

static void sock_move(struct sock *dst, struct sock *src)
{
    dst->is_unix = src->is_unix;
    if (src->is_unix)
        nart_unix_move(&dst->un, &src->un);
    else
        nart_tcp_move(&dst->tcp, &src->tcp);
}

static void sock_close(struct sock *s)
{
    if (s->is_unix)
        nart_unix_close(&s->un);
    else
        nart_tcp_close(&s->tcp);
}

static void listener_close(struct endpoint *l)
{
    if (l->is_unix)
        nart_unix_listener_close(&l->un);
    else
        nart_tcp_listener_close(&l->tcp);
}

/* ---- a connection ---- */

struct conn {
    nart_co co;
    struct sock sock;
    size_t len, done;
    char buf[1024];
};

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->co);
    for (;;) {
        NART_AWAIT_FOR(n, 5 * NART_SEC, sock_recv(cx, &c->sock, c->buf, sizeof c->buf));
        if (n <= 0)
            break;
        c->len = (size_t)n;
        NART_AWAIT_FOR(n, 5 * NART_SEC, sock_send_all(cx, &c->sock, c->buf, c->len, &c->done));
        if (n < 0)
            break;
    }
    NART_END(n);
}

static void conn_drop(void *frame)
{
    struct conn *c = frame;
    sock_close(&c->sock);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

/* ---- the server ---- */

struct server {
    nart_co co;
    struct endpoint listener;
    struct sock accepted;
    nart_timer pause;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    struct conn *c;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (;;) {
        NART_AWAIT(r, sock_accept(cx, &s->listener, &s->accepted));
        if (r == -ECANCELED)
            break;
        if (r == 0 && (c = nart_spawn_begin(cx, &conn_type, &r)) != NULL) {
            sock_move(&c->sock, &s->accepted);
            nart_spawn_commit(cx, c, NULL);
            continue;
        }
        sock_close(&s->accepted);
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
    sock_close(&s->accepted);
    listener_close(&s->listener);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, server_drop);

/* ---- a client, for the run without arguments ---- */

struct client {
    nart_co co;
    nart_addr to;
    struct sock sock;
    size_t done;
    int i;
    char buf[16];
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, sock_connect(cx, &c->sock, &c->to));
    for (c->i = 0; c->i < 3 && r >= 0; c->i++) {
        NART_AWAIT(r, sock_send_all(cx, &c->sock, "hello", 5, &c->done));
        if (r >= 0)
            NART_AWAIT(r, sock_recv(cx, &c->sock, c->buf, sizeof c->buf));
        if (r >= 0)
            printf("%.*s\n", (int)r, c->buf);
    }
    NART_END(r == 5 && memcmp(c->buf, "hello", 5) == 0 ? 0 : -EPROTO);
}

static void client_drop(void *frame)
{
    struct client *c = frame;
    sock_close(&c->sock);
}

static const nart_task_type client_type = NART_TASK_TYPE(struct client, client_run, client_drop);

int main(int argc, char **argv)
{
    struct server server = { .pause = { 0 } };
    struct client client = { .i = 0 };
    nart_rt *rt = NULL;
    nart_addr addr;
    nart_res answer = 0;
    bool own = argc < 2 || strcmp(argv[1], "client") == 0; /* a client of its own */
    const char *text = argc > 1 && !own ? argv[1] : argc > 2 ? argv[2] : "127.0.0.1:0";

    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_addr_parse(&addr, text);
    if (r == 0)
        r = sock_listen(rt, &server.listener, &addr, &client.to);
    if (r == 0)
        r = nart_rt_spawn(rt, &server_type, &server, NULL); /* the listener passes to the task */
    if (r == 0 && !own)
        r = nart_rt_run(rt);
    else if (r == 0)
        r = nart_block_on(rt, &client_type, &client, &answer);
    if (r < 0 || answer < 0)
        fprintf(stderr, "echo: %s\n", nart_strerror(r < 0 ? r : answer));
    nart_rt_free(rt); /* ends the server and its connections */
    return r < 0 || answer < 0;
}
