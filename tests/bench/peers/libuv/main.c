/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows that libuv supports: TCP and UDP echo, a timer started and stopped, and reads of a file. */
#include "bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MESSAGE = 64 };

static void check(int answer, const char *what)
{
    if (answer < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(answer));
        exit(1);
    }
}

/* ---- 64 bytes to an echo handler over loopback and back ------------------------------------- */

struct side {
    uv_tcp_t tcp;
    char in[2048];
    char out[MESSAGE];
    size_t have;    /* bytes of the message received so far */
    uint64_t trips; /* client: still to make */
};

static struct side *clients, *servers;
static size_t count, accepted, running; /* running: clients with trips to make */
static uv_tcp_t listener;

static void give_buffer(uv_handle_t *h, size_t wanted, uv_buf_t *buf)
{
    struct side *s = h->data;
    (void)wanted;
    *buf = uv_buf_init(s->in, sizeof s->in);
}

/* The message always fits into the socket's buffer, so no write request is needed. */
static void send_message(struct side *s, char *bytes, size_t n)
{
    uv_buf_t buf = uv_buf_init(bytes, (unsigned)n);
    check(uv_try_write((uv_stream_t *)&s->tcp, &buf, 1) == (int)n ? 0 : UV_EAGAIN, "write");
}

static void on_request(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    check((int)n, "read");
    send_message(stream->data, buf->base, (size_t)n);
}

static void on_answer(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct side *s = stream->data;
    (void)buf;
    check((int)n, "read");
    s->have += (size_t)n;
    if (s->have < MESSAGE)
        return;
    s->have = 0;
    if (--s->trips)
        send_message(s, s->out, MESSAGE);
    else if (--running == 0)
        uv_stop(stream->loop);
}

static void start_side(struct side *s, uv_read_cb on_bytes)
{
    s->tcp.data = s;
    check(uv_tcp_nodelay(&s->tcp, 1), "nodelay");
    check(uv_read_start((uv_stream_t *)&s->tcp, give_buffer, on_bytes), "read_start");
}

/* Everything is connected at the last of both callbacks. */
static void one_more(uv_loop_t *loop)
{
    if (++running == 2 * count)
        uv_stop(loop);
}

static void on_accept(uv_stream_t *from, int status)
{
    struct side *server = &servers[accepted++];

    check(status, "listen");
    check(uv_tcp_init(from->loop, &server->tcp), "tcp");
    check(uv_accept(from, (uv_stream_t *)&server->tcp), "accept");
    start_side(server, on_request);
    one_more(from->loop);
}

static void on_connect(uv_connect_t *request, int status)
{
    check(status, "connect");
    start_side((struct side *)request->handle, on_answer);
    one_more(request->handle->loop);
}

/* The clients share n trips. */
static void trips(uv_loop_t *loop, uint64_t n)
{
    running = 0;
    for (size_t i = 0; i < count && n / count > 0; i++) {
        clients[i].trips = n / count;
        running++;
        send_message(&clients[i], clients[i].out, MESSAGE);
    }
    if (running > 0)
        uv_run(loop, UV_RUN_DEFAULT);
}

static double echo(uint64_t n, size_t connections)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_storage at;
    int len = sizeof at;
    uv_connect_t *requests = calloc(connections, sizeof *requests);

    count = connections;
    clients = calloc(count, sizeof *clients);
    servers = calloc(count, sizeof *servers);
    check(requests && clients && servers ? 0 : UV_ENOMEM, "calloc");
    check(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&at), "address");
    check(uv_tcp_init(loop, &listener), "tcp");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&at, 0), "bind");
    check(uv_listen((uv_stream_t *)&listener, 1024, on_accept), "listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &len), "getsockname");
    for (size_t i = 0; i < count; i++) {
        check(uv_tcp_init(loop, &clients[i].tcp), "tcp");
        check(
            uv_tcp_connect(&requests[i], &clients[i].tcp, (const struct sockaddr *)&at, on_connect),
            "connect");
        memset(clients[i].out, 0xAB, MESSAGE);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    trips(loop, n / 10 + 1);
    int64_t start = bench_now();
    trips(loop, n);
    return (double)(bench_now() - start) / (double)n;
}

static double tcp_echo(uint64_t n)
{
    return echo(n, 1);
}

static double tcp_echo_64(uint64_t n)
{
    return echo(n, 64);
}

static double tcp_echo_1000(uint64_t n)
{
    return echo(n, 1000);
}

/* ---- datagrams to an echo handler and back, 64 at a time --------------------------------------- */

enum { BATCH = 64 };

static struct {
    uv_udp_t server, client;
    char in[65536], out[MESSAGE];
    uint64_t left; /* datagrams that the client has still to receive */
} udp;

static void give_udp_buffer(uv_handle_t *h, size_t wanted, uv_buf_t *buf)
{
    (void)h, (void)wanted;
    *buf = uv_buf_init(udp.in, sizeof udp.in);
}

static void send_datagram(uv_udp_t *from, char *bytes, size_t n, const struct sockaddr *to)
{
    uv_buf_t buf = uv_buf_init(bytes, (unsigned)n);
    check(uv_udp_try_send(from, &buf, 1, to), "send");
}

static void send_batch(void)
{
    for (int i = 0; i < BATCH; i++)
        send_datagram(&udp.client, udp.out, MESSAGE, NULL);
}

static void on_datagram(uv_udp_t *h, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    (void)flags;
    check((int)n, "recv");
    if (!from) /* no more is pending */
        return;
    if (h == &udp.server)
        send_datagram(h, buf->base, (size_t)n, from);
    else if (--udp.left == 0)
        uv_stop(h->loop);
    else if (udp.left % BATCH == 0)
        send_batch();
}

static void datagrams(uv_loop_t *loop, uint64_t n)
{
    udp.left = (n + BATCH - 1) / BATCH * BATCH;
    send_batch();
    uv_run(loop, UV_RUN_DEFAULT);
}

static double udp_echo(uint64_t n)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_storage at;
    int len = sizeof at;

    check(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&at), "address");
    check(uv_udp_init(loop, &udp.server), "udp");
    check(uv_udp_init(loop, &udp.client), "udp");
    check(uv_udp_bind(&udp.server, (const struct sockaddr *)&at, 0), "bind");
    check(uv_udp_getsockname(&udp.server, (struct sockaddr *)&at, &len), "getsockname");
    check(uv_udp_connect(&udp.client, (const struct sockaddr *)&at), "connect");
    check(uv_udp_recv_start(&udp.server, give_udp_buffer, on_datagram), "recv_start");
    check(uv_udp_recv_start(&udp.client, give_udp_buffer, on_datagram), "recv_start");
    memset(udp.out, 0xAB, MESSAGE);
    datagrams(loop, n / 10 + 1);
    int64_t start = bench_now();
    datagrams(loop, n);
    return (double)(bench_now() - start) / (double)n;
}

/* ---- a timer started and stopped ------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* `from_call`: as libuv's manual says where a callback may have run for long. */
static double start_and_stop(uint64_t n, bool from_call)
{
    uv_timer_t timer;

    check(uv_timer_init(uv_default_loop(), &timer), "timer");
    int64_t start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        if (from_call)
            uv_update_time(uv_default_loop());
        check(uv_timer_start(&timer, on_timer, 3600000, 0), "start");
        check(uv_timer_stop(&timer), "stop");
    }
    return (double)(bench_now() - start) / (double)n;
}

static double timer_cancel_rel(uint64_t n)
{
    bench_print("timer_cancel_rel", "libuv_from_call", start_and_stop(n, true), "ns");
    return start_and_stop(n, false);
}

/* ---- reads of a file -------------------------------------------------------------------------- */

enum { READERS = 64 };

static struct reader {
    uv_fs_t request;
    int file;
    int64_t at;
    uint64_t reads; /* still to make */
    char bytes[BENCH_PIECE];
} readers[READERS];

static void on_read(uv_fs_t *request);

static void start_read(struct reader *r)
{
    uv_buf_t buf = uv_buf_init(r->bytes, sizeof r->bytes);
    r->request.data = r;
    check(uv_fs_read(uv_default_loop(), &r->request, r->file, &buf, 1, r->at, on_read), "fs_read");
}

static void on_read(uv_fs_t *request)
{
    struct reader *r = request->data;
    check(request->result == BENCH_PIECE ? 0 : UV_EIO, "read");
    uv_fs_req_cleanup(request);
    r->at = (r->at + BENCH_PIECE) % BENCH_FILE;
    if (--r->reads)
        start_read(r);
}

static void read_all(int at_once, uint64_t n)
{
    for (int i = 0; i < at_once; i++) {
        readers[i].reads = n / (uint64_t)at_once + 1;
        start_read(&readers[i]);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static double file_reads(int at_once, uint64_t n)
{
    for (int i = 0; i < at_once; i++)
        readers[i].file = bench_open_file();
    read_all(at_once, n / 10);
    int64_t start = bench_now();
    read_all(at_once, n);
    return (double)(bench_now() - start) / (double)n;
}

static double file_read_1(uint64_t n)
{
    return file_reads(1, n);
}

static double file_read_64(uint64_t n)
{
    return file_reads(READERS, n);
}

static const struct bench_row rows[] = {
    { "tcp_echo", "ns", "libuv", tcp_echo, NULL },
    { "udp_echo", "ns", "libuv", udp_echo, NULL },
    { "udp_batch", "ns", "libuv", udp_echo, NULL },
    { "tcp_echo_64", "ns", "libuv", tcp_echo_64, NULL },
    { "tcp_echo_1000", "ns", "libuv", tcp_echo_1000, NULL },
    { "timer_cancel_rel", "ns", "libuv", timer_cancel_rel, NULL },
    { "file_read_1", "ns", "libuv", file_read_1, NULL },
    { "file_read_1_cpu", "ns", "libuv", file_read_1, NULL },
    { "file_read_64", "ns", "libuv", file_read_64, NULL },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}
