/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stage4.c: nart alone.
 *
 * Arguments: milliseconds after which a client that sends nothing is closed, and between two beats. */
#include "board.h"

#include <nart/nart.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t idle_ms = 60000, beat_ms = 1000;
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
    nart_tcp sock;
    nart_tx tx; /* lines to send */
    nart_task sender, receiver;
    int users; /* the tasks */
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

static void conn_close(struct conn *c)
{
    board_leave(&c->member);
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

static void sender_start(nart_cx *cx, struct conn *c)
{
    struct sender s = { .conn = c };

    if (queue_open(runtime, NART_CHAN_LOCAL, QUEUE, &c->tx, &s.rx) < 0 ||
        sender_spawn(cx, &s, NULL) < 0)
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

static void receiver_start(nart_cx *cx, struct conn *c)
{
    struct receiver v = { .conn = c };

    if (nart_tx_clone(&c->tx, &v.tx) < 0 || receiver_spawn(cx, &v, NULL) < 0)
        receiver_drop(&v);
}

/* ---- the server ---- */

struct server {
    nart_co co;
    nart_waiter shutdown;
    nart_tcp_listener listener;
    nart_tcp accepted;
    struct conn *conn;
    nart_timer pause;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &s->co);
    for (;;) {
        NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &s->shutdown),
                       nart_tcp_accept(cx, &s->listener, &s->accepted, NULL));
        if (r == -ECANCELED || (r == 0 && which == 0))
            break;
        if (r == 0 && (s->conn = calloc(1, sizeof *s->conn)) != NULL) {
            nart_tcp_move(&s->conn->sock, &s->accepted);
            s->conn->users = 2;
            board_join(&s->conn->member);
            sender_start(cx, s->conn);
            receiver_start(cx, s->conn);
            continue;
        }
        nart_tcp_close(&s->accepted);
        NART_AWAIT(r, nart_sleep(cx, &s->pause, 10 * NART_MS));
    }
    nart_tcp_listener_close(&s->listener);
    while (board_first())
        conn_close((struct conn *)board_first());
    NART_END(r);
}

NART_TASK_TYPED(server, struct server, server_run, NULL);

static int start(void)
{
    struct server server = { .co = { 0 } };
    nart_addr at;
    int r = (int)nart_addr_parse(&at, "127.0.0.1:0");

    if (r == 0)
        r = (int)nart_tcp_listen(runtime, &at, NULL, &server.listener);
    if (r == 0)
        r = (int)nart_tcp_listener_addr(&server.listener, &at);
    if (r == 0)
        r = (int)nart_rt_shutdown_on(runtime, SIGTERM);
    if (r == 0)
        r = (int)server_rt_spawn(runtime, &server, NULL);
    if (r == 0)
        printf("listening at 127.0.0.1:%d\n", nart_addr_port(&at));
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
    nart_rt_free(runtime);
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    return r < 0;
}
