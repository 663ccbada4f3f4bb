/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WebSockets against a server that others wrote: ws_server.py. */
#include "proxy.h"
#include "ws_fixture.h"

#include <signal.h>
#include <sys/wait.h>

static pid_t server;
static int server_input = -1, port;
static FILE *server_output;

static void end_server(void)
{
    close(server_input); /* it ends then */
    CHECK_EQ(waitpid(server, NULL, 0), server);
    fclose(server_output); /* not before: it may still say something */
}

static void start_server(const char *cert, const char *key)
{
    const char *argv[] = { NART_TEST_WS_PYTHON, NART_TEST_WS_SERVER, cert, key, NULL };

    server = start_program(argv, &server_input, &server_output);
    if (fscanf(server_output, "%d", &port) != 1 || fgetc(server_output) != '\n')
        test_fail(__FILE__, __LINE__, "the server does not start: %s", NART_TEST_WS_SERVER);
    test_at_end(end_server);
}

static void open_path(nart_ws_opts opts, const char *path, size_t capacity)
{
    char at[64];

    snprintf(at, sizeof at, "ws://127.0.0.1:%d%s", port, path);
    if (!opts.url || opts.url == url)
        opts.url = at;
    ws_connect(&ws, opts, capacity);
}

static void open_both(const char *path, size_t capacity)
{
    start_server(NULL, NULL);
    both_open();
    open_path(options(), path, capacity);
}

/* What the server says of the end of the connection. */
static void server_saw(const char *line)
{
    char got[200];

    CHECK(fgets(got, sizeof got, server_output) != NULL);
    got[strcspn(got, "\n")] = '\0';
    CHECK_STR(got, line);
}

/* C closes, and so does the server. */
static void close_both(void)
{
    CHECK_RES(ws_try(&ws, NART_WS_CLOSE, 4000, "done", 4, NART_NEVER), 0);
    ws_is_closed(&ws);
    ws_ends(&ws, 0, 4000);
    CHECK_STR(nart_tokio_op_message(&ws.op, NULL), "done");
    ws_close(&ws);
    server_saw("4000 done");
}

static void echoes(const char *text, size_t n)
{
    CHECK_RES(ws_try(&ws, NART_WS_BINARY, 0, text, n, NART_NEVER), 0);
    ws_receives(&ws, NART_WS_BINARY, text, n);
    CHECK_RES(ws_try(&ws, NART_WS_TEXT, 0, text, n, NART_NEVER), 0);
    ws_receives(&ws, NART_WS_TEXT, text, n);
}

TEST(messages_of_all_sizes_are_echoed)
{
    static const char *const paths[] = { "/echo", "/fragments" };
    static const size_t sizes[] = { 0, 1, 125, 126, 999, 65535, 65536, 1 << 20 };
    char *text = letters(1 << 20);

    start_server(NULL, NULL);
    both_open();
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        open_path(options(), paths[i], 2 << 20);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            echoes(text, sizes[k]);
        close_both();
    }
    free(text);
}

TEST(pings_in_both_directions)
{
    open_both("/ping", 1024);
    ws_receives_text(&ws, NART_WS_PING, "are you there");
    ws_receives_text(&ws, NART_WS_TEXT, "pong");
    ws_say(&ws, NART_WS_PING, "and you");
    ws_receives_text(&ws, NART_WS_PONG, "and you");
    close_both();
}

TEST(the_server_closes)
{
    open_both("/close/3000/enough", 1024);
    ws_say(&ws, NART_WS_TEXT, "hello");
    ws_is_closed(&ws);
    ws_ends(&ws, 0, 3000);
    CHECK_STR(nart_tokio_op_message(&ws.op, NULL), "enough");
    ws_close(&ws);
    server_saw("3000 enough");
}

TEST(the_server_refuses_a_message_that_is_too_large)
{
    enum { SIZE = 3 << 20 };
    char *text = letters(SIZE);

    open_both("/echo", SIZE + 1024);
    CHECK_RES(ws_try(&ws, NART_WS_BINARY, 0, text, SIZE, NART_NEVER), 0);
    ws_is_closed(&ws);
    ws_ends(&ws, 0, 1009);
    ws_close(&ws);
    free(text);
}

TEST(a_subprotocol_is_selected)
{
    nart_ws_opts opts = options();

    start_server(NULL, NULL);
    both_open();
    opts.protocols = "one, two";
    open_path(opts, "/name", 1024);
    ws_receives_text(&ws, NART_WS_TEXT, "two");
    CHECK_RES(wait_for_answer(&ws.connected, NULL), 0);
    CHECK_STR(nart_http_header_find(&ws.connected, "Sec-WebSocket-Protocol", 0)->value, "two");
    CHECK(nart_http_header_find(&ws.connected, "Sec-WebSocket-Extensions", 0) == NULL);
    close_both();
    opts.protocols = NULL;
    open_path(opts, "/name", 1024);
    ws_receives_text(&ws, NART_WS_TEXT, "None");
    close_both();
}

TEST(a_header_decides)
{
    nart_http_header secret = NART_HTTP_HEADER("X-Secret", "1");
    nart_ws_opts opts = options();

    start_server(NULL, NULL);
    both_open();
    open_path(opts, "/secret", 1024);
    ws_is_closed(&ws);
    ws_ends(&ws, NART_EWS_REFUSED, 0);
    CHECK_EQ(nart_http_status(&ws.op), 401);
    CHECK_STR(nart_http_header_find(&ws.op, "www-authenticate", 0)->value, "Test");
    ws_close(&ws);
    opts.headers = &secret;
    opts.n_headers = 1;
    open_path(opts, "/secret", 1024);
    CHECK_RES(wait_for_answer(&ws.connected, NULL), 0);
    close_both();
}

TEST(the_server_is_killed)
{
    nart_bytes_msg msg;
    nart_res r = 0;

    open_both("/flood", 4096);
    for (int i = 0; r == 0; i++) {
        r = nart_bytes_recv_blocking(&ws.rx, &msg, NART_NEVER);
        if (r == 0)
            CHECK_RES(nart_bytes_release(&ws.rx, &msg), 0);
        if (i == 100)
            CHECK_EQ(kill(server, SIGKILL), 0);
    }
    CHECK_RES(r, NART_ECLOSED);
    ws_ends(&ws, NART_EWS_CLOSED, 0);
    ws_close(&ws);
}

/* ---- TLS ---- */

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK_EQ(fclose(f), 0);
}

static void rejects(nart_http_client *client, const char *at)
{
    nart_ws_opts opts = options();

    opts.client = client;
    opts.url = at;
    open_path(opts, "", 1024);
    ws_is_closed(&ws);
    ws_ends(&ws, NART_EHTTP_TLS, 0);
    CHECK(*nart_tokio_op_message(&ws.op, NULL) != '\0');
    ws_close(&ws);
}

/* A server with TLS, whose certificate is for "client". */
static struct test_tls tls;
static const nart_http_host host = { .name = "client", .address = "127.0.0.1" };

static void start_tls_server(void)
{
    char dir[] = "/tmp/nart-test-XXXXXX", cert[64], key[64];

    if (test_under_valgrind())
        SKIP("valgrind takes what the ciphers' vector instructions write for uninitialised");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(cert, sizeof cert, "%s/cert", dir);
    snprintf(key, sizeof key, "%s/key", dir);
    both_open();
    CHECK_RES(test_tls_open(bridge, 0, &tls), 0);
    write_file(cert, tls.cert);
    write_file(key, tls.key);
    start_server(cert, key);
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

/* Opens a WebSocket of the client, exchanges a message and closes it. */
static void talks(nart_http_client *client, const char *at)
{
    nart_ws_opts opts = options();

    opts.client = client;
    opts.url = at;
    open_path(opts, "", 4096);
    echoes("hello", 5);
    close_both();
}

/* By a client of HTTP/2, too: a WebSocket is opened by HTTP/1.1. */
TEST(the_client_has_the_configuration_of_tls)
{
    char at[64];

    start_tls_server();
    for (uint32_t http2 = NART_HTTP2_OFF; http2 <= NART_HTTP2_ONLY; http2++) {
        nart_http_client *client = peer_client(&(nart_http_client_opts){
            .ca = tls.cert, .hosts = &host, .n_hosts = 1, .http2 = http2 });
        snprintf(at, sizeof at, "wss://client:%d/echo", port);
        talks(client, at);
        snprintf(at, sizeof at, "wss://127.0.0.1:%d/echo", port);
        rejects(client, at); /* not the certificate's name */
        nart_http_client_free(client);
    }
    nart_http_client *other =
        peer_client(&(nart_http_client_opts){ .ca = tls.ca, .hosts = &host, .n_hosts = 1 });
    snprintf(at, sizeof at, "wss://client:%d/echo", port);
    rejects(other, at);
    nart_http_client_free(other);
}

/* In a tunnel the certificate is checked as without one, for the name in the URL. */
TEST(by_an_http_proxy_with_tls)
{
    struct proxy proxy;
    char at[64], start[64];

    start_tls_server();
    proxy_open(&proxy, (uint16_t)port);
    snprintf(at, sizeof at, "wss://client:%d/echo", port);
    for (uint32_t http2 = NART_HTTP2_OFF; http2 <= NART_HTTP2_ONLY; http2++) {
        nart_http_client *client = peer_client(
            &(nart_http_client_opts){ .ca = tls.cert, .proxy = proxy.url, .http2 = http2 });
        talks(client, at);
        snprintf(start, sizeof start, "CONNECT client:%d HTTP/1.1\r\n", port);
        CHECK_EQ(memcmp(proxy.head, start, strlen(start)), 0);
        CHECK(strstr(proxy.head, "pgrade") == NULL); /* that is for the server only */
        rejects(client, "wss://bank.test/echo");
        nart_http_client_free(client);
    }
    nart_http_client *other =
        peer_client(&(nart_http_client_opts){ .ca = tls.ca, .proxy = proxy.url });
    rejects(other, at);
    nart_http_client_free(other);
    proxy_close(&proxy);
}

/* ---- tasks ---- */

enum { MESSAGES = 5000, LONGEST = 300 };

struct talk {
    nart_co co;
    nart_bytes_buf buf;
    nart_bytes_msg msg;
    int i;
};

static size_t length(int i)
{
    return (size_t)i * 7919 % LONGEST;
}

static nart_res talk_run(nart_cx *cx, void *frame)
{
    struct talk *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < MESSAGES; f->i++) {
        NART_AWAIT(r, nart_bytes_claim(cx, &ws.tx, sizeof(nart_ws_msg) + length(f->i), &f->buf));
        CHECK_RES(r, 0);
        nart_ws_msg *msg = f->buf.ptr;
        msg->kind = NART_WS_BINARY;
        memset(msg + 1, f->i, length(f->i));
        CHECK_RES(nart_bytes_commit(&ws.tx, &f->buf), 0);
    }
    NART_END(0);
}

static nart_res listen_run(nart_cx *cx, void *frame)
{
    struct talk *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < MESSAGES; f->i++) {
        NART_AWAIT(r, nart_bytes_recv(cx, &ws.rx, &f->msg));
        CHECK_RES(r, 0);
        const nart_ws_msg *msg = f->msg.ptr;
        const unsigned char *payload = (const unsigned char *)(msg + 1);
        CHECK_EQ(msg->kind, NART_WS_BINARY);
        CHECK_EQ(f->msg.len, sizeof *msg + length(f->i));
        for (size_t i = 0; i < length(f->i); i++)
            CHECK_EQ(payload[i], f->i & 255);
        CHECK_RES(nart_bytes_release(&ws.rx, &f->msg), 0);
    }
    NART_END(0);
}

static const nart_task_type talk_type = NART_TASK_TYPE(struct talk, talk_run, NULL);
static const nart_task_type listen_type = NART_TASK_TYPE(struct talk, listen_run, NULL);

/* Through channels that hold a few messages only. */
TEST(tasks_send_and_receive_at_the_same_time)
{
    static struct talk talk, listener_frame;

    open_both("/echo", 1024);
    CHECK_RES(nart_bytes_rx_bind(&ws.rx, loop), 0);
    CHECK_RES(nart_rt_spawn(loop, &talk_type, &talk, NULL), 0);
    CHECK_RES(run(&listen_type, &listener_frame), 0);
    CHECK_RES(nart_bytes_rx_bind(&ws.rx, NULL), 0);
    close_both();
}
