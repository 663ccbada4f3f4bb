/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WebSockets against a peer that sends whatever a case has written down. */
#include "threads.h"
#include "ws_fixture.h"

/* ---- the handshake ---- */

TEST(the_handshake)
{
    nart_http_header header = NART_HTTP_HEADER("X-Secret", "1");
    nart_ws_opts opts = options();
    char head[4096], text[4096];
    int64_t status = 0;

    open_server();
    strcat(url, "/chat?a=b");
    opts.url = url;
    opts.headers = &header;
    opts.n_headers = 1;
    opts.protocols = "one, other";
    ws_connect(&ws, opts, 1024);
    ws.fd = accept(listener, NULL, NULL);
    peer_read_head(ws.fd, head, sizeof head);
    CHECK(strncmp(head, "GET /chat?a=b HTTP/1.1\r\n", 24) == 0);
    CHECK(strstr(head, "\r\nupgrade: websocket\r\n") != NULL);
    CHECK(strstr(head, "\r\nconnection: Upgrade\r\n") != NULL);
    CHECK(strstr(head, "\r\nsec-websocket-version: 13\r\n") != NULL);
    CHECK(strstr(head, "\r\nsec-websocket-protocol: one, other\r\n") != NULL);
    CHECK(strstr(head, "\r\nx-secret: 1\r\n") != NULL);
    CHECK(strstr(head, "sec-websocket-extensions") == NULL);
    CHECK_RES(nart_tokio_op_try(&ws.connected, NULL), NART_PENDING);
    char accepted[29];
    ws_accept_key(head, accepted);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Sure\r\nUPGRADE: WebSocket\r\nConnection: keep-alive, upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: other\r\n\r\n",
             accepted);
    peer_say(ws.fd, text);
    CHECK_RES(wait_for_answer(&ws.connected, &status), 0);
    CHECK_EQ(status, 101);
    CHECK_EQ(nart_http_status(&ws.connected), 101);
    CHECK_STR(nart_http_header_find(&ws.connected, "sec-websocket-protocol", 0)->value, "other");
    CHECK_RES(nart_tokio_op_try(&ws.op, NULL), NART_PENDING);
    peer_closes();
}

/* Frames in the same packet as the head of the response. */
TEST(a_message_that_follows_the_handshake_at_once)
{
    open_server();
    ws_connect(&ws, options(), 1024);
    ws_serve(&ws, listener,
             "\r\n\x81\x02hi\x81\x02"); /* the empty line that it adds is a message */
    ws_receives_text(&ws, NART_WS_TEXT, "hi");
    ws_receives_text(&ws, NART_WS_TEXT, "\r\n");
    peer_closes();
}

struct refusal {
    const char *answer; /* "%s": the right key */
    nart_res is;
    int64_t status;
};

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define FIELDS "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Accept: %s\r\n"

static const struct refusal refusals[] = {
    { "HTTP/1.1 401 No\r\nX-Why: token\r\nContent-Length: 2\r\n\r\nno", NART_EWS_REFUSED, 401 },
    { "HTTP/1.1 200 OK\r\n" FIELDS KEY "Content-Length: 0\r\n\r\n", NART_EWS_REFUSED, 200 },
    { "HTTP/1.1 302 There\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", NART_EWS_REFUSED, 302 },
    { "HTTP/1.1 426 No\r\nSec-WebSocket-Version: 14\r\n\r\n", NART_EWS_REFUSED, 426 },
    { SWITCH FIELDS "\r\n", NART_EWS_PROTOCOL, 101 },
    { SWITCH FIELDS "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", NART_EWS_PROTOCOL,
      101 },
    { SWITCH FIELDS KEY "Sec-WebSocket-Accept: a\r\n\r\n", NART_EWS_PROTOCOL, 101 },
    { SWITCH "Upgrade: websocket\r\n" KEY "\r\n", NART_EWS_PROTOCOL, 101 },
    { SWITCH "Connection: Upgrade\r\n" KEY "\r\n", NART_EWS_PROTOCOL, 101 },
    { SWITCH "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY "\r\n", NART_EWS_PROTOCOL, 101 },
    { SWITCH FIELDS KEY "Sec-WebSocket-Protocol: one\r\n\r\n", NART_EWS_PROTOCOL, 101 },
    { SWITCH FIELDS KEY "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", NART_EWS_PROTOCOL,
      101 },
    { "HTTP/1.1 101 \r\nno header\r\n\r\n", NART_EHTTP_PROTOCOL, 0 },
    { "nonsense\r\n\r\n", NART_EHTTP_PROTOCOL, 0 },
    { "", NART_EHTTP_CLOSED, 0 },
};

TEST(responses_that_are_refused)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char head[4096], accepted[29], text[512];

        open_server();
        ws_connect(&ws, options(), 1024);
        ws.fd = accept(listener, NULL, NULL);
        peer_read_head(ws.fd, head, sizeof head);
        ws_accept_key(head, accepted);
        CHECK(snprintf(text, sizeof text, refusals[i].answer, accepted) < (int)sizeof text);
        peer_say(ws.fd, text);
        shutdown(ws.fd, SHUT_WR);
        ws_is_closed(&ws);
        ws_ends(&ws, refusals[i].is, 0);
        CHECK(*nart_tokio_op_message(&ws.op, NULL) != '\0');
        CHECK_EQ(nart_http_status(&ws.op), refusals[i].status);
        CHECK_RES(wait_for_answer(&ws.connected, NULL), refusals[i].is);
        CHECK_EQ(nart_http_status(&ws.connected), refusals[i].status);
        if (i == 0) {
            CHECK_STR(nart_http_header_find(&ws.op, "x-why", 0)->value, "token");
            CHECK_STR(nart_tokio_op_message(&ws.op, NULL),
                      "the server answered with status 401 Unauthorized");
        }
        close_all();
    }
}

TEST(requests_that_are_refused)
{
    static const struct {
        const char *url, *protocols, *name, *value;
        nart_res is;
    } rows[] = {
        { "http://127.0.0.1/", NULL, NULL, NULL, NART_EHTTP_URL },
        { "nonsense", NULL, NULL, NULL, NART_EHTTP_URL },
        { "ws://", NULL, NULL, NULL, NART_EHTTP_URL },
        { "ws://127.0.0.1:1/", NULL, NULL, NULL, NART_EHTTP_CONNECT },
        { "ws://127.0.0.1:1/", "a b", NULL, NULL, -EINVAL },
        { "ws://127.0.0.1:1/", NULL, "Sec-WebSocket-Key", "a", -EINVAL },
        { "ws://127.0.0.1:1/", NULL, "Sec-WebSocket-Protocol", "a", -EINVAL },
        { "ws://127.0.0.1:1/", NULL, "Connection", "close", -EINVAL },
        { "ws://127.0.0.1:1/", NULL, "Upgrade", "h2c", -EINVAL },
    };

    both_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nart_http_header header = NART_HTTP_HEADER(rows[i].name, rows[i].value);
        nart_ws_opts opts = options();

        opts.url = rows[i].url;
        opts.protocols = rows[i].protocols;
        opts.headers = &header;
        opts.n_headers = rows[i].name != NULL;
        ws_connect(&ws, opts, 1024);
        ws_is_closed(&ws);
        ws_ends(&ws, rows[i].is, 0);
        CHECK_RES(wait_for_answer(&ws.connected, NULL), rows[i].is);
        CHECK(*nart_tokio_op_message(&ws.op, NULL) != '\0');
        ws_close(&ws);
    }
}

TEST(a_silent_server_is_a_timeout)
{
    nart_ws_opts opts = options();

    open_server();
    opts.timeout_ns = NART_MS;
    ws_connect(&ws, opts, 1024);
    ws_is_closed(&ws);
    ws_ends(&ws, NART_EHTTP_TIMEOUT, 0);
    CHECK_RES(wait_for_answer(&ws.connected, NULL), NART_EHTTP_TIMEOUT);
    close_all();
}

/* ---- messages ---- */

TEST(messages_in_both_directions)
{
    open_all();
    ws_say(&ws, NART_WS_TEXT, "hello");
    ws_expect(ws.fd, TEXT, "hello", 5);
    ws_say(&ws, NART_WS_BINARY, "\xff\xfe");
    ws_expect(ws.fd, BINARY, "\xff\xfe", 2);
    ws_say(&ws, NART_WS_TEXT, "");
    ws_expect(ws.fd, TEXT, "", 0);
    ws_frame_text(ws.fd, FIN | TEXT, "hi");
    ws_frame_text(ws.fd, FIN | BINARY, "\xff");
    ws_frame_text(ws.fd, FIN | TEXT, "");
    ws_receives_text(&ws, NART_WS_TEXT, "hi");
    ws_receives_text(&ws, NART_WS_BINARY, "\xff");
    ws_receives_text(&ws, NART_WS_TEXT, "");
    peer_closes();
}

/* Messages that were sent before are sent as soon as the connection is open. */
TEST(messages_before_the_connection_is_open)
{
    open_server();
    ws_connect(&ws, options(), 1024);
    ws_say(&ws, NART_WS_TEXT, "one");
    ws_say(&ws, NART_WS_TEXT, "two");
    ws_serve(&ws, listener, "");
    ws_expect(ws.fd, TEXT, "one", 3);
    ws_expect(ws.fd, TEXT, "two", 3);
    peer_closes();
}

enum { LARGE = 1 << 20 };

static void *sizes_peer(void *arg)
{
    static const size_t sizes[] = { 125, 126, 65535, 65536, LARGE };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ws_expect(ws.fd, BINARY, arg, sizes[i]);
        ws_frame(ws.fd, FIN | BINARY, arg, sizes[i]);
    }
    return NULL;
}

TEST(messages_of_many_sizes)
{
    static const size_t sizes[] = { 125, 126, 65535, 65536, LARGE };
    char *text = letters(LARGE);

    open_with(options(), 2 * LARGE);
    pthread_t peer = thread_start(sizes_peer, text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_RES(ws_try(&ws, NART_WS_BINARY, 0, text, sizes[i], NART_NEVER), 0);
        ws_receives(&ws, NART_WS_BINARY, text, sizes[i]);
    }
    thread_join(peer);
    free(text);
    peer_closes();
}

static void *fragments_peer(void *arg)
{
    const char *text = arg;

    for (size_t n = 0; n < LARGE; n += 1024) {
        int fin = n + 1024 == LARGE ? FIN : 0;
        ws_frame(ws.fd, fin | (n == 0 ? TEXT : CONTINUATION), text + n, 1024);
        if (n == 4096)
            ws_frame_text(ws.fd, FIN | PING, "between");
    }
    return NULL;
}

TEST(fragments_are_assembled)
{
    char *text = letters(LARGE);

    open_with(options(), 2 * LARGE);
    pthread_t peer = thread_start(fragments_peer, text);
    ws_receives_text(&ws, NART_WS_PING, "between");
    ws_receives(&ws, NART_WS_TEXT, text, LARGE);
    thread_join(peer);
    ws_expect(ws.fd, PONG, "between", 7);
    ws_frame_text(ws.fd, TEXT, "\xc3"); /* a character in two fragments */
    ws_frame_text(ws.fd, FIN | CONTINUATION, "\xa4");
    ws_receives_text(&ws, NART_WS_TEXT, "\xc3\xa4");
    free(text);
    peer_closes();
}

TEST(pings_are_answered_and_received)
{
    open_all();
    ws_frame_text(ws.fd, FIN | PING, "one");
    ws_expect(ws.fd, PONG, "one", 3);
    ws_receives_text(&ws, NART_WS_PING, "one");
    ws_say(&ws, NART_WS_PING, "two");
    ws_expect(ws.fd, PING, "two", 3);
    ws_frame_text(ws.fd, FIN | PONG, "two");
    ws_receives_text(&ws, NART_WS_PONG, "two");
    ws_say(&ws, NART_WS_PONG, "unasked");
    ws_expect(ws.fd, PONG, "unasked", 7);
    peer_closes();
}

/* ---- the end ---- */

TEST(the_peer_closes)
{
    static const struct {
        const char *payload;
        size_t n;
        int64_t is;
        const char *reason;
    } rows[] = {
        { "\x03\xe8", 2, 1000, "" },          { "\x03\xe9going", 7, 1001, "going" },
        { "\x0f\xa0\xc3\xa4", 4, 4000, "ä" }, { "", 0, 1005, "" },
        { "\x03\xe7", 2, 1002, NULL }, /* 999 */
        { "\x03\xed", 2, 1002, NULL }, /* 1005 */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_all();
        ws_frame(ws.fd, FIN | TEXT, "last", 4);
        ws_frame(ws.fd, FIN | CLOSE, rows[i].payload, rows[i].n);
        if (rows[i].reason)
            ws_expect(ws.fd, CLOSE, rows[i].payload, rows[i].n);
        else
            ws_expect_close(ws.fd, 1002, "Protocol violation");
        CHECK_EQ(recv(ws.fd, &(char){ 0 }, 1, 0), 0); /* and nothing more */
        ws_receives_text(&ws, NART_WS_TEXT, "last");
        ws_is_closed(&ws);
        shutdown(ws.fd, SHUT_WR);
        ws_ends(&ws, 0, rows[i].is);
        if (rows[i].reason)
            CHECK_STR(nart_tokio_op_message(&ws.op, NULL), rows[i].reason);
        close_all();
    }
}

TEST(the_client_closes)
{
    static const struct {
        uint32_t code;
        const char *reason, *sent;
        size_t n;
    } rows[] = {
        { 1000, "", "\x03\xe8", 2 },
        { 4999, "why", "\x13\x87why", 5 },
        { 0, "", "", 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_all();
        ws_say(&ws, NART_WS_TEXT, "last");
        CHECK_RES(ws_try(&ws, NART_WS_CLOSE, rows[i].code, rows[i].reason, strlen(rows[i].reason),
                         NART_NEVER),
                  0);
        ws_expect(ws.fd, TEXT, "last", 4);
        ws_expect(ws.fd, CLOSE, rows[i].sent, rows[i].n);
        ws_frame_text(ws.fd, FIN | TEXT, "on its way");
        ws_receives_text(&ws, NART_WS_TEXT, "on its way");
        CHECK_RES(nart_tokio_op_try(&ws.op, NULL), NART_PENDING);
        ws_frame_close(ws.fd, 3000, "too");
        ws_is_closed(&ws);
        ws_expect_end(ws.fd);
        shutdown(ws.fd, SHUT_WR);
        ws_ends(&ws, 0, 3000);
        CHECK_STR(nart_tokio_op_message(&ws.op, NULL), "too");
        close_all();
    }
}

TEST(closing_the_sender_closes_the_connection)
{
    open_all();
    ws_say(&ws, NART_WS_TEXT, "last");
    nart_bytes_tx_close(&ws.tx);
    ws_expect(ws.fd, TEXT, "last", 4);
    ws_expect_close(ws.fd, 1000, "");
    ws_frame_close(ws.fd, 1000, "");
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, 0, 1000);
    close_all();
}

TEST(nothing_is_sent_after_a_close)
{
    open_all();
    CHECK_RES(ws_try(&ws, NART_WS_CLOSE, 1000, NULL, 0, NART_NEVER), 0);
    (void)ws_try(&ws, NART_WS_TEXT, 0, "no", 2, NART_NEVER); /* it may still be queued */
    ws_expect_close(ws.fd, 1000, "");
    ws_frame_close(ws.fd, 1000, "");
    CHECK_EQ(recv(ws.fd, &(char){ 0 }, 1, 0), 0);
    ws_is_closed(&ws);
    shutdown(ws.fd, SHUT_WR);
    ws_ends(&ws, 0, 1000);
    close_all();
}

TEST(the_peer_never_answers_a_close)
{
    nart_ws_opts opts = options();

    opts.close_timeout_ns = NART_MS;
    open_with(opts, 1024);
    nart_bytes_tx_close(&ws.tx);
    ws_ends(&ws, NART_EHTTP_TIMEOUT, 0);
    close_all();
}

TEST(the_peer_never_ends_the_connection)
{
    nart_ws_opts opts = options();

    opts.close_timeout_ns = NART_MS;
    open_with(opts, 1024);
    ws_frame_close(ws.fd, 1000, "");
    ws_ends(&ws, 0, 1000);
    ws_expect_close(ws.fd, 1000, "");
    CHECK_EQ(recv(ws.fd, &(char){ 0 }, 1, 0), 0);
    close_all();
}

/* Ends of the connection without a close frame: after these bytes, in order or by a reset. */
TEST(the_connection_is_lost)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = { { "", 0 }, { "\x81", 1 }, { "\x81\x05hel", 5 }, { "\x01\x01h", 3 } };

    for (int resets = 0; resets < 2; resets++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            open_all();
            CHECK_RES(wait_for_answer(&ws.connected, NULL), 0);
            ws_send_all(ws.fd, rows[i].bytes, rows[i].n);
            if (resets)
                setsockopt(ws.fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
                           sizeof(struct linger));
            close(ws.fd);
            ws.fd = -1;
            ws_is_closed(&ws);
            ws_ends(&ws, NART_EWS_CLOSED, 0);
            CHECK(*nart_tokio_op_message(&ws.op, NULL) != '\0');
            close_all();
        }
    }
}
