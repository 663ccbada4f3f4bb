/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stage0.c: the server as it was, on libuv.
 *
 * Arguments: milliseconds after which a client that sends nothing is closed, and between two beats. */
#include "board.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static uint64_t idle_ms = 60000, beat_ms = 1000;
static uv_tcp_t listener;
static uv_signal_t term;

/* ---- the beat ---- */

static uv_timer_t beat;
static unsigned beats;

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
    board_beat(++beats);
}

/* ---- a client ---- */

struct conn {
    struct member member; /* first: see deliver() */
    uv_tcp_t tcp;
    uv_timer_t idle;
    uv_shutdown_t shutdown;
    int users; /* handles that are not closed */
};

struct out {
    uv_write_t req; /* first: see on_written() */
    char text[LINE];
};

static void conn_release(struct conn *c)
{
    if (--c->users == 0)
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
}

static void on_written(uv_write_t *req, int status)
{
    if (status < 0)
        conn_close(req->handle->data);
    free((struct out *)req);
}

void deliver(struct member *m, const char *line)
{
    struct conn *c = (struct conn *)m;
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    struct out *o = malloc(sizeof *o);

    if (o && uv_stream_get_write_queue_size(stream) < (size_t)QUEUE * LINE) {
        int n = snprintf(o->text, sizeof o->text, "%s", line);
        uv_buf_t buf = uv_buf_init(o->text, (unsigned)n);
        if (uv_write(&o->req, stream, &buf, 1, on_written) == 0)
            return;
    }
    free(o);
    conn_close(c);
}

static void on_flushed(uv_shutdown_t *req, int status)
{
    (void)status;
    conn_close(req->handle->data);
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
    if (n == UV_EOF && uv_shutdown(&c->shutdown, stream, on_flushed) == 0)
        return;
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
    c->users = 2;
    board_join(&c->member);
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0 || uv_tcp_nodelay(&c->tcp, 1) < 0 ||
        uv_timer_start(&c->idle, on_idle, idle_ms, idle_ms) < 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
        conn_close(c);
}

/* ---- the server ---- */

static void on_term(uv_signal_t *signal, int signo)
{
    (void)signo;
    uv_close((uv_handle_t *)signal, NULL);
    uv_close((uv_handle_t *)&listener, NULL);
    uv_close((uv_handle_t *)&beat, NULL);
    while (board_first())
        conn_close((struct conn *)board_first());
}

static int start(void)
{
    struct sockaddr_in at = { 0 };
    int len = sizeof at, r;

    uv_signal_init(uv_default_loop(), &term);
    uv_timer_init(uv_default_loop(), &beat);
    uv_tcp_init(uv_default_loop(), &listener);
    uv_ip4_addr("127.0.0.1", 0, &at);
    r = uv_tcp_bind(&listener, (struct sockaddr *)&at, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&listener, 128, on_connection);
    if (r == 0)
        r = uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &len);
    if (r == 0)
        r = uv_timer_start(&beat, on_beat, beat_ms, beat_ms);
    if (r == 0)
        r = uv_signal_start(&term, on_term, SIGTERM);
    if (r == 0)
        printf("listening at 127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return r;
}

int main(int argc, char **argv)
{
    if (!board_times(argc, argv, &idle_ms, &beat_ms))
        return 2;
    int r = start();
    if (r == 0)
        r = uv_run(uv_default_loop(), UV_RUN_DEFAULT); /* until SIGTERM, and until all is closed */
    if (r == 0)
        r = uv_loop_close(uv_default_loop());
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    return r < 0;
}
