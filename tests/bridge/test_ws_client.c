/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a client of HTTP requests does for WebSockets, too; and how a bridge lists them. */
#include "ws_fixture.h"

#include <sys/un.h>

static nart_http_client *client;

/* Connects to this URL by a client. */
static void connect_by(nart_http_client_opts given, const char *at)
{
    nart_ws_opts opts = options();

    client = peer_client(&given);
    opts.client = client;
    opts.url = at;
    ws_connect(&ws, opts, 1024);
}

static int port(void)
{
    return atoi(strrchr(url, ':') + 1);
}

static void talks(void)
{
    ws_say(&ws, NART_WS_TEXT, "hello");
    ws_expect(ws.fd, TEXT, "hello", 5);
    nart_http_client_free(client);
    peer_closes();
}

TEST(by_a_unix_socket)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char dir[] = "/tmp/nart-test-XXXXXX";

    both_open();
    CHECK(mkdtemp(dir) != NULL);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", dir);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(listener, 4), 0);
    connect_by((nart_http_client_opts){ .unix_path = at.sun_path }, "ws://name.invalid/a");
    ws_serve(&ws, listener, "");
    unlink(at.sun_path);
    rmdir(dir);
    talks();
}

/* An http proxy gets a request for the URL, which it has to pass on with the upgrade. */
TEST(by_an_http_proxy)
{
    char proxy[64];

    open_server();
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port());
    connect_by((nart_http_client_opts){ .proxy = proxy }, "ws://name.invalid/a");
    ws_accept(&ws, listener);
    peer_expect(ws.fd, "GET http://name.invalid/a HTTP/1.1\r\n");
    ws_answer(&ws, "");
    talks();
}

/* The text says that it was the proxy, and not the server. */
TEST(an_http_proxy_makes_no_tunnel)
{
    static const struct {
        const char *answer, *text;
    } cases[] = {
        { "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
          "the proxy requires another name and password" },
        { "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
          "the proxy did not connect to the server" },
        { "HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy did not connect to the server" },
        { "220 mail ready\r\n\r\n", "the proxy did not connect to the server" },
        { "HTTP/1.1 20", "the proxy closed the connection without an answer" },
        { NULL, "the proxy cannot be connected to" },
    };
    char proxy[64], start[] = "CONNECT name.invalid:443 HTTP/1.1\r\n", head[4096];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_server();
        snprintf(proxy, sizeof proxy, "http://me:secret@127.0.0.1:%d",
                 cases[i].answer ? port() : 1);
        connect_by((nart_http_client_opts){ .proxy = proxy }, "wss://name.invalid/a");
        if (cases[i].answer) {
            ws_accept(&ws, listener);
            peer_read_head(ws.fd, head, sizeof head);
            CHECK_EQ(memcmp(head, start, strlen(start)), 0);
            CHECK(strcasestr(head, "\r\nproxy-authorization: Basic bWU6c2VjcmV0\r\n") != NULL);
            peer_say(ws.fd, cases[i].answer);
            close(ws.fd);
            ws.fd = -1;
        }
        ws_is_closed(&ws);
        ws_ends(&ws, NART_EHTTP_CONNECT, 0);
        CHECK_RES(wait_for_answer(&ws.connected, NULL), NART_EHTTP_CONNECT);
        const char *said = nart_tokio_op_message(&ws.op, NULL);
        if (!strstr(said, cases[i].text) || strstr(said, "secret"))
            test_fail(__FILE__, __LINE__, "not \"%s\": %s", cases[i].text, said);
        nart_http_client_free(client);
        close_all();
    }
}

/* Until the tunnel is there, the connect timeout applies. */
TEST(an_http_proxy_that_does_not_answer)
{
    char proxy[64];

    open_server();
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port());
    connect_by((nart_http_client_opts){ .proxy = proxy, .connect_timeout_ns = 20 * NART_MS },
               "wss://name.invalid/a");
    ws_ends(&ws, NART_EHTTP_CONNECT_TIMEOUT, 0);
    ws_is_closed(&ws);
    nart_http_client_free(client);
    close_all();
}

TEST(by_a_socks_proxy)
{
    char proxy[64], skipped[32];

    open_server();
    snprintf(proxy, sizeof proxy, "socks5h://127.0.0.1:%d", port());
    connect_by((nart_http_client_opts){ .proxy = proxy }, "ws://name.invalid/a");
    ws_accept(&ws, listener);
    ws_read_all(ws.fd, skipped, 3);
    ws_send_all(ws.fd, "\5\0", 2);
    ws_read_all(ws.fd, skipped, 5 + 12 + 2);
    ws_send_all(ws.fd, "\5\0\0\1\0\0\0\0\0\0", 10);
    peer_expect(ws.fd, "GET /a HTTP/1.1\r\n");
    ws_answer(&ws, "");
    talks();
}

TEST(with_a_user_agent_and_an_address)
{
    nart_http_host host = { .name = "served.test", .address = "127.0.0.1" };
    char head[4096], at[64];

    open_server();
    snprintf(at, sizeof at, "ws://me:secret@served.test:%d/", port());
    connect_by((nart_http_client_opts){ .user_agent = "test/1", .hosts = &host, .n_hosts = 1 }, at);
    ws_accept(&ws, listener);
    peer_read_head(ws.fd, head, sizeof head);
    CHECK(strstr(head, "\r\nuser-agent: test/1\r\n") != NULL);
    CHECK(strstr(head, "\r\nhost: served.test:") != NULL);
    CHECK(strstr(head, "\r\nauthorization: Basic bWU6c2VjcmV0\r\n") != NULL);
    peer_say(ws.fd, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    ws_ends(&ws, NART_EWS_REFUSED, 0);
    snprintf(at, sizeof at, "http://served.test:%d/", port());
    CHECK_STR(nart_http_url(&ws.op, NULL), at);
    nart_http_client_free(client);
    close_all();
}

/* Of the handshake only: an open WebSocket may be silent. */
TEST(a_read_timeout)
{
    open_server();
    connect_by((nart_http_client_opts){ .read_timeout_ns = NART_MS }, url);
    ws_ends(&ws, NART_EHTTP_READ_TIMEOUT, 0);
    CHECK_RES(wait_for_answer(&ws.connected, NULL), NART_EHTTP_READ_TIMEOUT);
    nart_http_client_free(client);
    close_all();
}

TEST(a_websocket_is_listed)
{
    nart_tokio_stats stats = NART_TOKIO_STATS_INIT;
    char *text = NULL;
    size_t n = 0;

    open_all();
    CHECK_RES(wait_for_answer(&ws.connected, NULL), 0);
    CHECK_RES(nart_tokio_stats_get(bridge, &stats), 0);
    CHECK_EQ(stats.requests, 1);
    FILE *out = open_memstream(&text, &n);
    CHECK(out != NULL);
    nart_tokio_dump(bridge, out);
    fclose(out);
    CHECK(strstr(text, "HTTP request WebSocket") != NULL);
    free(text);
    peer_closes();
}
