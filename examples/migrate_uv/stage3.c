/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stage3.c: a second task of each client receives, and nart's loop runs that of libuv, which accepts.
 *
 * Arguments: milliseconds after which a client that sends nothing is closed, and between two beats. */
#include "board.h"
#include "nart_uv.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static uint64_t idle_ms = 60000, beat_ms = 1000;
static uv_tcp_t listener;
static nart_uv uv;
static nart_rt *runtime;

/* ---- the beat ---- */

struct beat {
    nart_co co;
    nart_interval interval;
    nart_waiter shutdown;
    unsigned number;
};

static nart_res beat_run(nart_cx *cx, void *frame)
{
    struct beat *b = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &b->co);
    r = nart_interval_init(cx, &b->interval, (int64_t)beat_ms * NART_MS);
    while (r >= 0) {
        NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &b->shutdown),
                       nart_interval_tick(cx, &b->interval));
        if (r < 0 || which == 0)
            break;
        board_beat(++b->number);
    }
    NART_END(r);
}

NART_TASK_TYPED(beat, struct beat, beat_run, NULL);

/* ---- a client ---- */

struct conn {
    struct member member; /* first: see deliver() */
    uv_tcp_t tcp;
    nart_tcp sock; /* of a duplicate of the descriptor */
    nart_tx tx;    /* lines to send */
    nart_task sender, receiver;
    int users; /* the handle, if it is not closed, and the tasks */
};

struct line {
    char text[LINE];
};

NART_CHAN_TYPED(queue, struct line);

static void conn_release(struct conn *c)
{
    if (--c->users > 0)
        return;
    nart_tcp_close(&c->sock);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    conn_release(handle->data);
}

static void conn_close(struct conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    board_leave(&c->member);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    nart_uv_look(&uv);
    nart_tx_close(&c->tx);
    nart_task_cancel(runtime, c->sender);
    nart_task_cancel(runtime, c->receiver);
}

void deliver(struct member *m, const char *line)
{
    struct conn *c = (struct conn *)m;
    struct line l;

    snprintf(l.text, sizeof l.text, "%s", line);
    if (queue_try_send(&c->tx, l) < 0)
        conn_close(c);
}

struct sender {
    nart_co co;
    struct conn *conn;
    nart_rx rx;
    size_t done;
    struct line line;
};

static nart_res sender_run(nart_cx *cx, void *frame)
{
    struct sender *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    s->conn->sender = nart_cx_task(cx);
    while (r >= 0) {
        NART_AWAIT(r, queue_recv(cx, &s->rx, &s->line));
        if (r == 0)
            NART_AWAIT(r, nart_tcp_send_all(cx, &s->conn->sock, s->line.text, strlen(s->line.text),
                                            &s->done));
    }
    NART_END(r); /* NART_ECLOSED: all is sent */
}

static void sender_drop(void *frame)
{
    struct sender *s = frame;

    nart_rx_close(&s->rx);
    conn_close(s->conn);
    conn_release(s->conn);
}

NART_TASK_TYPED(sender, struct sender, sender_run, sender_drop);

static void sender_start(struct conn *c)
{
    struct sender s = { .conn = c };
    int fd = -1;

    uv_fileno((uv_handle_t *)&c->tcp, &fd);
    fd = dup(fd);
    if (nart_tcp_adopt(runtime, fd, &c->sock) < 0)
        close(fd);
    else if (queue_open(runtime, NART_CHAN_LOCAL, QUEUE, &c->tx, &s.rx) == 0 &&
             sender_rt_spawn(runtime, &s, NULL) == 0)
        return;
    sender_drop(&s);
}

struct receiver {
    nart_co co;
    struct conn *conn;
    nart_tx tx;
    struct line reply;
};

static nart_res receiver_run(nart_cx *cx, void *frame)
{
    struct receiver *v = frame;
    struct member *m = &v->conn->member;
    nart_res r = 0;

    NART_BEGIN(cx, &v->co);
    v->conn->receiver = nart_cx_task(cx);
    while (r >= 0 && !board_is_stuck(m)) {
        NART_AWAIT_FOR(r, (int64_t)idle_ms * NART_MS,
                       nart_tcp_recv(cx, &v->conn->sock, m->in + m->len, sizeof m->in - m->len));
        if (r == 0)
            NART_RETURN(0);
        if (r > 0)
            m->len += (size_t)r;
        while (r >= 0 && board_line(m, v->reply.text))
            NART_AWAIT(r, queue_send(cx, &v->tx, v->reply));
    }
    conn_close(v->conn);
    NART_END(r);
}

static void receiver_drop(void *frame)
{
    struct receiver *v = frame;

    nart_tx_close(&v->tx);
    nart_tx_close(&v->conn->tx); /* the sender sends what is queued, and closes the client */
    conn_release(v->conn);
}

NART_TASK_TYPED(receiver, struct receiver, receiver_run, receiver_drop);

static void receiver_start(struct conn *c)
{
    struct receiver v = { .conn = c };

    if (nart_tx_clone(&c->tx, &v.tx) < 0 || receiver_rt_spawn(runtime, &v, NULL) < 0)
        receiver_drop(&v);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct conn *c = status == 0 ? calloc(1, sizeof *c) : NULL;

    if (!c)
        return;
    uv_tcp_init(uv_default_loop(), &c->tcp);
    c->tcp.data = c;
    c->users = 3;
    board_join(&c->member);
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0 || uv_tcp_nodelay(&c->tcp, 1) < 0)
        conn_close(c);
    sender_start(c);
    receiver_start(c);
}

/* ---- the server ---- */

struct server {
    nart_co co;
    nart_waiter shutdown;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, nart_shutdown_await(cx, &s->shutdown));
    uv_close((uv_handle_t *)&listener, NULL);
    while (board_first())
        conn_close((struct conn *)board_first());
    NART_AWAIT(r, nart_uv_await(cx, &uv)); /* until all is closed */
    NART_END(r);
}

NART_TASK_TYPED(server, struct server, server_run, NULL);

static int start(void)
{
    struct server server = { .co = { 0 } };
    struct sockaddr_in at = { 0 };
    int len = sizeof at, r;

    uv_tcp_init(uv_default_loop(), &listener);
    uv_ip4_addr("127.0.0.1", 0, &at);
    r = uv_tcp_bind(&listener, (struct sockaddr *)&at, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&listener, 128, on_connection);
    if (r == 0)
        r = uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &len);
    if (r == 0)
        r = (int)nart_uv_start(runtime, &uv, uv_default_loop());
    if (r == 0)
        r = (int)nart_rt_shutdown_on(runtime, SIGTERM);
    if (r == 0)
        r = (int)server_rt_spawn(runtime, &server, NULL);
    if (r == 0)
        printf("listening at 127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return r;
}

int main(int argc, char **argv)
{
    if (!board_times(argc, argv, &idle_ms, &beat_ms))
        return 2;
    if (nart_rt_new(NULL, &runtime) < 0 || beat_rt_spawn(runtime, NULL, NULL) < 0)
        return 1;
    int r = start();
    if (r == 0)
        r = (int)nart_rt_run(runtime); /* until SIGTERM, and until all is closed */
    nart_uv_stop(&uv);
    r = r ? r : uv_loop_close(uv_default_loop());
    nart_rt_free(runtime);
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    return r < 0;
}
