/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stage2.c: each client has a task that sends. libuv receives.
 *
 * Arguments: milliseconds after which a client that sends nothing is closed, and between two beats. */
#include "board.h"
#include "nart_uv_guest.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static uint64_t idle_ms = 60000, beat_ms = 1000;
static uv_tcp_t listener;
static nart_uv_guest guest;
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
    uv_timer_t idle;
    nart_tcp sock; /* of a duplicate of the descriptor, to send */
    nart_tx tx;    /* lines to send */
    nart_task sender;
    int users; /* handles that are not closed, and the sender */
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
    uv_close((uv_handle_t *)&c->idle, on_closed);
    nart_tx_close(&c->tx);
    nart_task_cancel(runtime, c->sender);
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

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct member *m = handle->data;

    (void)suggested;
    *buf = uv_buf_init(m->in + m->len, (unsigned)(sizeof m->in - m->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    char reply[LINE];

    (void)buf;
    if (n == UV_EOF) {
        nart_tx_close(&c->tx); /* the sender sends what is queued, and closes the client */
        return;
    }
    if (n < 0) {
        conn_close(c);
        return;
    }
    uv_timer_again(&c->idle);
    c->member.len += (size_t)n;
    while (!uv_is_closing((uv_handle_t *)stream) && board_line(&c->member, reply))
        deliver(&c->member, reply);
    if (board_is_stuck(&c->member))
        conn_close(c);
}

static void on_idle(uv_timer_t *timer)
{
    conn_close(timer->data);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct conn *c = status == 0 ? calloc(1, sizeof *c) : NULL;

    if (!c)
        return;
    uv_tcp_init(uv_default_loop(), &c->tcp);
    uv_timer_init(uv_default_loop(), &c->idle);
    c->tcp.data = c->idle.data = c;
    c->users = 3;
    board_join(&c->member);
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0 || uv_tcp_nodelay(&c->tcp, 1) < 0 ||
        uv_timer_start(&c->idle, on_idle, idle_ms, idle_ms) < 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
        conn_close(c);
    sender_start(c);
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
        r = nart_uv_guest_start(&guest, uv_default_loop(), runtime);
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
        r = uv_run(uv_default_loop(), UV_RUN_DEFAULT); /* until SIGTERM, and until all is closed */
    if (r == 0)
        r = uv_loop_close(uv_default_loop());
    nart_rt_free(runtime);
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    return r < 0;
}
