/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WebSockets under load, and how they end at every point: cancelled, shut down, abandoned by C. */
#include "threads.h"
#include "ws_fixture.h"

#include <errno.h>

/* ---- floods ---- */

enum {
    FLOOD = 256 << 20, /* what a flood sends if nothing stops it */
    BOUND = 64 << 20,  /* more than the buffers of two sockets */
    TRIES = 1000       /* that fail one after the other, until a flood counts as stopped */
};

static const char flood_message[1000] = "flood";
static const unsigned char flood_frame[4 + sizeof flood_message] = { FIN | BINARY, 126, 1000 >> 8,
                                                                     1000 & 255,   'f', 'l',
                                                                     'o',          'o', 'd' };

/* Sends frames of the peer until the client reads no more. Returns the number of bytes. */
static size_t flood_frames(void)
{
    size_t sent = 0;

    for (int failed = 0; failed < TRIES && sent < FLOOD;) {
        size_t part = sent % sizeof flood_frame;
        ssize_t n =
            send(ws.fd, flood_frame + part, sizeof flood_frame - part, MSG_NOSIGNAL | MSG_DONTWAIT);
        CHECK(n > 0 || errno == EAGAIN);
        failed = n > 0 ? 0 : failed + 1;
        sent += n > 0 ? (size_t)n : 0;
        if (failed > 0)
            let_others_run();
    }
    CHECK_LE(sent, BOUND);
    return sent;
}

/* Sends the rest of the last frame. */
static void *finish_flood(void *arg)
{
    size_t *sent = arg, part = *sent % sizeof flood_frame;

    if (part > 0) {
        ws_send_all(ws.fd, flood_frame + part, sizeof flood_frame - part);
        *sent += sizeof flood_frame - part;
    }
    return NULL;
}

static void receive_flood(size_t sent)
{
    pthread_t peer = thread_start(finish_flood, &sent);
    size_t all = (sent + sizeof flood_frame - 1) / sizeof flood_frame;

    for (size_t i = 0; i < all; i++) {
        ws_receives(&ws, NART_WS_BINARY, flood_message, sizeof flood_message);
        if (i < 100)
            random_pause(20);
    }
    thread_join(peer);
}

/* Sends messages of C until the peer reads no more. Returns how many. */
static size_t flood_messages(void)
{
    size_t n = 0;

    for (int failed = 0; failed < TRIES && n < FLOOD / sizeof flood_message;) {
        nart_res r = ws_try(&ws, NART_WS_BINARY, 0, flood_message, sizeof flood_message, 0);
        CHECK(r == 0 || r == -ETIMEDOUT);
        failed = r == 0 ? 0 : failed + 1;
        n += r == 0;
        if (failed > 0)
            let_others_run();
    }
    CHECK_LE(n, BOUND / sizeof flood_message);
    return n;
}

static void read_flood(size_t n)
{
    for (size_t i = 0; i < n; i++)
        ws_expect(ws.fd, BINARY, flood_message, sizeof flood_message);
}

/* An open WebSocket with channels for some messages of a flood. */
static void open_for_floods(void)
{
    open_with(options(), 4096);
}

TEST(the_server_floods_and_c_does_not_read)
{
    open_for_floods();
    size_t sent = flood_frames();
    ws_say(&ws, NART_WS_TEXT, "the other direction works");
    ws_expect(ws.fd, TEXT, "the other direction works", 25);
    receive_flood(sent);
    peer_closes();
}

TEST(c_floods_and_the_server_does_not_read)
{
    open_for_floods();
    size_t n = flood_messages();
    ws_frame_text(ws.fd, FIN | TEXT, "the other direction works");
    ws_receives_text(&ws, NART_WS_TEXT, "the other direction works");
    read_flood(n);
    peer_closes();
}

TEST(both_flood_and_neither_reads)
{
    for (int first = 0; first < 2; first++) {
        open_for_floods();
        size_t n = flood_messages(), sent = flood_frames();
        if (first == 0)
            read_flood(n);
        receive_flood(sent);
        if (first == 1)
            read_flood(n);
        peer_closes();
    }
}

/* Its answers wait behind the messages. */
TEST(the_server_floods_with_pings_and_does_not_read)
{
    enum { PINGS = 5000 };
    char payload[1000] = "";
    size_t messages = 0, pongs = 0;
    int opcode = 0;

    open_for_floods();
    size_t n = flood_messages();
    for (int i = 0; i < PINGS; i++) {
        ws_frame(ws.fd, FIN | PING, payload, 125);
        ws_receives(&ws, NART_WS_PING, payload, 125);
    }
    nart_bytes_tx_close(&ws.tx);
    for (;;) {
        size_t len = ws_read(ws.fd, &opcode, payload, sizeof payload);
        if (opcode == CLOSE)
            break;
        if (opcode == BINARY)
            messages++;
        else
            CHECK_EQ(len, 125);
        pongs += opcode == PONG;
    }
    CHECK_EQ(messages, n);
    CHECK_LE(pongs, PINGS);
    ws_frame_close(ws.fd, 1000, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, 0, 1000);
    close_all();
}

/* ---- the end at every point ---- */

enum point {
    CONNECTING,      /* the response is missing */
    OPEN,            /* both are idle */
    C_FLOODS,        /* the server does not read */
    SERVER_FLOODS,   /* C does not read */
    C_HAS_CLOSED,    /* the server's close frame is missing */
    SERVER_CLOSED,   /* the server does not end the connection */
    SERVER_VIOLATED, /* nor after an error */
    POINTS
};

static void open_at(enum point point)
{
    char head[4096];

    open_server();
    ws_connect(&ws, options(), 4096);
    if (point == CONNECTING) {
        ws.fd = accept(listener, NULL, NULL);
        peer_read_head(ws.fd, head, sizeof head);
        return;
    }
    ws_serve(&ws, listener, "");
    CHECK_RES(wait_for_answer(&ws.connected, NULL), 0);
    switch (point) {
    case C_FLOODS:
        (void)flood_messages();
        break;
    case SERVER_FLOODS:
        (void)flood_frames();
        break;
    case C_HAS_CLOSED:
        nart_bytes_tx_close(&ws.tx);
        ws_expect_close(ws.fd, 1000, "");
        break;
    case SERVER_CLOSED:
        ws_frame_close(ws.fd, 1000, "");
        ws_is_closed(&ws);
        break;
    case SERVER_VIOLATED:
        ws_frame_text(ws.fd, FIN | CONTINUATION, "");
        ws_is_closed(&ws);
        break;
    default:
        break;
    }
    CHECK_RES(nart_tokio_op_try(&ws.op, NULL), NART_PENDING);
}

/* Both channels are closed, after what is left of a flood. */
static void drains(void)
{
    nart_bytes_msg msg;

    while (nart_bytes_recv_blocking(&ws.rx, &msg, NART_NEVER) == 0)
        CHECK_RES(nart_bytes_release(&ws.rx, &msg), 0);
    ws_is_closed(&ws);
}

TEST(cancelled_at_every_point)
{
    for (enum point point = CONNECTING; point < POINTS; point++) {
        open_at(point);
        nart_tokio_op_cancel(&ws.op);
        ws_ends(&ws, NART_EABORTED, 0);
        CHECK_RES(wait_for_answer(&ws.connected, NULL), point == CONNECTING ? NART_EABORTED : 0);
        drains();
        ws_expect_end(ws.fd);
        close_all();
    }
}

TEST(shut_down_at_every_point)
{
    for (enum point point = CONNECTING; point < POINTS; point++) {
        open_at(point);
        CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
        ws_ends(&ws, NART_ESHUTDOWN, 0);
        CHECK_RES(wait_for_answer(&ws.connected, NULL), point == CONNECTING ? NART_ESHUTDOWN : 0);
        drains();
        ws_expect_end(ws.fd);
        close_all();
    }
}

TEST(the_peer_vanishes_at_every_point)
{
    for (enum point point = CONNECTING; point < POINTS; point++) {
        nart_res is = point == CONNECTING        ? NART_EHTTP_CLOSED
                      : point == SERVER_CLOSED   ? 0
                      : point == SERVER_VIOLATED ? NART_EWS_PROTOCOL
                                                 : NART_EWS_CLOSED;

        open_at(point);
        setsockopt(ws.fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
        close(ws.fd);
        ws.fd = -1;
        drains();
        ws_ends(&ws, is, is == 0 ? 1000 : 0);
        CHECK_RES(wait_for_answer(&ws.connected, NULL), point == CONNECTING ? is : 0);
        close_all();
    }
}

static void close_one(int which)
{
    switch (which) {
    case 0:
        nart_tokio_op_close(&ws.op);
        break;
    case 1:
        nart_tokio_op_close(&ws.connected);
        break;
    case 2:
        nart_bytes_tx_close(&ws.tx);
        break;
    default:
        nart_bytes_rx_close(&ws.rx);
        break;
    }
}

/* The handles of C, in each of the 24 orders. */
TEST(closed_in_any_order_at_every_point)
{
    for (enum point point = CONNECTING; point < POINTS; point++) {
        bool floods = point == C_FLOODS || point == SERVER_FLOODS;
        for (int order = 0; order < 256; order++) {
            unsigned seen = 0;
            for (int i = 0; i < 4; i++)
                seen |= 1u << (order >> 2 * i & 3);
            if (seen != 15 || (floods && order % 5 != 0))
                continue;
            open_at(point);
            for (int i = 0; i < 4; i++)
                close_one(order >> 2 * i & 3);
            ws_expect_end(ws.fd);
            wait_until_all_work_has_ended();
            close_all();
        }
    }
}

/* ---- ends of channels that C closes early ---- */

TEST(a_closed_receiver_drops_what_arrives)
{
    open_all();
    nart_bytes_rx_close(&ws.rx);
    for (int i = 0; i < 1000; i++)
        ws_frame(ws.fd, FIN | BINARY, flood_message, sizeof flood_message);
    ws_frame_text(ws.fd, FIN | PING, "alive");
    ws_expect(ws.fd, PONG, "alive", 5);
    ws_say(&ws, NART_WS_TEXT, "still");
    ws_expect(ws.fd, TEXT, "still", 5);
    nart_bytes_tx_close(&ws.tx);
    ws_expect_close(ws.fd, 1000, "");
    ws_frame_close(ws.fd, 1000, "bye");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, 0, 1000);
    CHECK_STR(nart_tokio_op_message(&ws.op, NULL), "bye");
    close_all();
}

TEST(a_receiver_is_closed_while_the_server_waits_for_it)
{
    open_for_floods();
    size_t sent = flood_frames();
    nart_bytes_rx_close(&ws.rx);
    finish_flood(&sent);
    ws_frame_close(ws.fd, 1000, "");
    ws_expect_close(ws.fd, 1000, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, 0, 1000);
    close_all();
}

/* The server's messages before its close frame have to be received, or the time passes. */
TEST(c_closes_and_does_not_read)
{
    nart_ws_opts opts = options();
    size_t sent = 0;

    opts.close_timeout_ns = NART_MS;
    open_with(opts, 4096);
    sent = flood_frames();
    CHECK(sent > 0);
    nart_bytes_tx_close(&ws.tx);
    ws_ends(&ws, NART_EHTTP_TIMEOUT, 0);
    CHECK(strstr(nart_tokio_op_message(&ws.op, NULL), "close timeout") != NULL);
    close_all();
}

TEST(a_detached_websocket_continues)
{
    open_all();
    nart_tokio_op_detach(&ws.op);
    nart_tokio_op_detach(&ws.connected);
    ws_say(&ws, NART_WS_TEXT, "hello");
    ws_expect(ws.fd, TEXT, "hello", 5);
    nart_bytes_tx_close(&ws.tx);
    ws_expect_close(ws.fd, 1000, "");
    close(ws.fd);
    ws.fd = -1;
    wait_until_all_work_has_ended();
    close_all();
}

/* ---- many ---- */

enum { MANY = 300 };

static struct ws many[MANY];

static void open_many(void)
{
    open_server();
    for (int i = 0; i < MANY; i++) {
        ws_connect(&many[i], options(), 1024);
        if (i % 3 == 0)
            many[i].fd = accept(listener, NULL, NULL);
        else
            ws_serve(&many[i], listener, "");
        if (i % 3 == 1)
            ws_say(&many[i], NART_WS_TEXT, "hello");
    }
}

static void close_many(void)
{
    for (int i = 0; i < MANY; i++)
        ws_close(&many[i]);
    ws.fd = -1;
    close_all();
}

TEST(hundreds_at_a_shutdown)
{
    open_many();
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        ws_ends(&many[i], NART_ESHUTDOWN, 0);
        ws_is_closed(&many[i]);
        ws_expect_end(many[i].fd);
    }
    close_many();
}

TEST(hundreds_are_cancelled)
{
    open_many();
    for (int i = 0; i < MANY; i++)
        nart_tokio_op_cancel(&many[i].op);
    for (int i = 0; i < MANY; i++) {
        ws_ends(&many[i], NART_EABORTED, 0);
        ws_is_closed(&many[i]);
        ws_expect_end(many[i].fd);
    }
    close_many();
}

/* An open WebSocket is no request: others run beside any number of them. */
TEST(handshakes_count_as_requests)
{
    nart_http_client *client = NULL;
    nart_ws_opts opts = options();
    struct ws other;

    open_server();
    client = peer_client(&(nart_http_client_opts){ .max_requests = 1 });
    opts.client = client;
    ws_connect(&ws, opts, 1024);
    ws_serve(&ws, listener, "");
    ws_connect(&other, opts, 1024);
    ws_serve(&other, listener, "");
    ws_say(&other, NART_WS_TEXT, "hello");
    ws_expect(other.fd, TEXT, "hello", 5);
    ws_close(&other);
    nart_http_client_free(client); /* which the first one still uses */
    peer_closes();
}

/* ---- bad calls ---- */

static nart_bytes_tx incoming;
static nart_bytes_rx outgoing;

/* The ends remain the caller's: they still work. */
static void refused(const nart_ws_opts *opts, nart_res is)
{
    nart_bytes_msg msg;

    ws.connected.op = &ws; /* is overwritten */
    CHECK_RES(nart_ws_connect(bridge, opts, &ws.op), is);
    CHECK(ws.op.op == NULL && ws.connected.op == NULL);
    CHECK_RES(nart_bytes_send_blocking(&incoming, "a", 1, 0), 0);
    CHECK_RES(nart_bytes_recv_blocking(&ws.rx, &msg, 0), 0);
    CHECK_RES(nart_bytes_release(&ws.rx, &msg), 0);
    CHECK_RES(nart_bytes_send_blocking(&ws.tx, "b", 1, 0), 0);
    CHECK_RES(nart_bytes_try_recv(&outgoing, &msg), 0);
    CHECK_RES(nart_bytes_release(&outgoing, &msg), 0);
}

/* Channels, and options with them. */
static nart_ws_opts bad_call(size_t capacity)
{
    nart_ws_opts opts = options();

    snprintf(url, sizeof url, "ws://127.0.0.1:1/");
    ws_channels(&ws, capacity, &outgoing, &incoming);
    opts.outgoing = &outgoing;
    opts.incoming = &incoming;
    opts.connected = &ws.connected;
    return opts;
}

static void close_bad_call(void)
{
    ws.fd = -1;
    ws_close(&ws);
    nart_bytes_rx_close(&outgoing);
    nart_bytes_tx_close(&incoming);
}

TEST(bad_calls_return_the_ends)
{
    both_open();
    nart_ws_opts good = bad_call(256);
    nart_ws_opts opts = good;
    nart_http_header header = { .value_len = 1 };

    opts.url = NULL;
    refused(&opts, -EINVAL);
    opts = good;
    opts.outgoing = NULL;
    refused(&opts, -EINVAL);
    opts = good;
    opts.incoming = NULL;
    refused(&opts, -EINVAL);
    opts = good;
    opts.timeout_ns = -1;
    refused(&opts, -EINVAL);
    opts = good;
    opts.close_timeout_ns = -1;
    refused(&opts, -EINVAL);
    opts = good;
    opts.max_message = 249; /* and a head of 8 bytes */
    refused(&opts, -EINVAL);
    opts = good;
    opts.n_headers = 1;
    refused(&opts, -EINVAL);
    opts.headers = &header;
    refused(&opts, -EINVAL);
    CHECK_RES(nart_ws_connect(NULL, &good, &ws.op), -EINVAL);
    CHECK_RES(nart_ws_connect(bridge, NULL, &ws.op), -EINVAL);
    CHECK_RES(nart_ws_connect(bridge, &good, NULL), -EINVAL);
    opts = good;
    opts.size = 8;
    CHECK_RES(nart_ws_connect(bridge, &opts, &ws.op), NART_EABI);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    refused(&good, NART_ESHUTDOWN);
    nart_bytes_rx_close(&outgoing);
    CHECK_RES(nart_ws_connect(bridge, &good, &ws.op), NART_ECLOSED);
    close_bad_call();
}

TEST(a_channel_that_is_too_small_for_pings)
{
    both_open();
    nart_ws_opts opts = bad_call(64);
    refused(&opts, -EINVAL);
    close_bad_call();
}

TEST(a_forked_child_keeps_its_ends)
{
    both_open();
    nart_ws_opts opts = bad_call(256);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_RES(nart_ws_connect(bridge, &opts, &ws.op), NART_EFORK);
        CHECK(!nart_bytes_tx_is_closed(&ws.tx));
        end_leaking_child();
    }
    check_child(child);
    close_bad_call();
}
