/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The page of examples/servers/http.c on libuv: the same code answers, a connection has the same buffers. */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct conn {
    uv_tcp_t tcp;
    uv_write_t request; /* of what the socket did not take at once */
    struct http http;
};

static void check(int answer, const char *what)
{
    if (answer < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(answer));
        exit(1);
    }
}

static void on_close(uv_handle_t *h)
{
    free(h->data);
}

static void end(struct conn *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_close);
}

static void give_buffer(uv_handle_t *h, size_t wanted, uv_buf_t *buf)
{
    struct http *http = &((struct conn *)h->data)->http;
    (void)wanted;
    *buf = uv_buf_init(http->in + http->have, (unsigned)(sizeof http->in - http->have));
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void respond(struct conn *c);

static void on_write(uv_write_t *request, int status)
{
    struct conn *c = request->data;

    if (status < 0 || c->http.last) {
        end(c);
        return;
    }
    c->http.len = 0;
    check(uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_bytes), "read_start");
    respond(c);
}

/* Answers what has been received, and stops reading while an answer waits for the peer. */
static void respond(struct conn *c)
{
    struct http *h = &c->http;

    for (http_answer(h); h->len > 0; http_answer(h)) {
        uv_buf_t buf = uv_buf_init(h->out, (unsigned)h->len);
        int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        if (n < 0 && n != UV_EAGAIN) {
            end(c);
            return;
        }
        if (n < (int)h->len) {
            size_t sent = n > 0 ? (size_t)n : 0;
            buf = uv_buf_init(h->out + sent, (unsigned)(h->len - sent));
            c->request.data = c;
            check(uv_read_stop((uv_stream_t *)&c->tcp), "read_stop");
            check(uv_write(&c->request, (uv_stream_t *)&c->tcp, &buf, 1, on_write), "write");
            return;
        }
        h->len = 0;
        if (h->last) {
            end(c);
            return;
        }
    }
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    (void)buf;

    if (n < 0) {
        end(c);
        return;
    }
    c->http.have += (size_t)n;
    respond(c);
}

static void on_connection(uv_stream_t *from, int status)
{
    struct conn *c = calloc(1, sizeof *c);

    check(status, "listen");
    check(c ? 0 : UV_ENOMEM, "calloc");
    check(uv_tcp_init(from->loop, &c->tcp), "tcp");
    c->tcp.data = c;
    check(uv_accept(from, (uv_stream_t *)&c->tcp), "accept");
    check(uv_tcp_nodelay(&c->tcp, 1), "nodelay");
    check(uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_bytes), "read_start");
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in at;
    int len = sizeof at;
    uv_tcp_t listener;

    check(uv_ip4_addr("127.0.0.1", 0, &at), "address");
    check(uv_tcp_init(loop, &listener), "tcp");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&at, 0), "bind");
    check(uv_listen((uv_stream_t *)&listener, 4096, on_connection), "listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &len), "getsockname");
    unsigned port = (unsigned)((const unsigned char *)&at.sin_port)[0] << 8 |
                    ((const unsigned char *)&at.sin_port)[1];
    printf("listening at 127.0.0.1:%u\n", port);
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
