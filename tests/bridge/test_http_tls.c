/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP clients with TLS: which servers they trust, how they identify themselves, HTTP/2, and proxies. */
#include "bridge.h"
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct test_tls tls;

static void open_tls(uint32_t what)
{
    if (test_under_valgrind())
        SKIP("valgrind takes what the ciphers' vector instructions write for uninitialised");
    both_open();
    CHECK_RES(test_tls_open(bridge, what, &tls), 0);
}

#define CLIENT(...) peer_client(&(const nart_http_client_opts){ __VA_ARGS__ })

static nart_res begin(nart_http_client *client, const char *scheme, const char *path,
                      nart_tokio_op *op)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    char url[128];

    snprintf(url, sizeof url, "%s://localhost:%d%s", scheme, tls.port, path);
    get.url = url;
    get.client = client;
    return nart_http_request(bridge, &get, op);
}

/* The status or the error. `check` may look at the operation. */
static nart_res fetch_path(nart_http_client *client, const char *scheme, const char *path,
                           void (*check)(const nart_tokio_op *op))
{
    nart_tokio_op op = { 0 };
    int64_t status = 0;

    CHECK_RES(begin(client, scheme, path, &op), 0);
    nart_res r = wait_for_answer(&op, &status);
    if (r == 0)
        CHECK_STR(nart_tokio_op_message(&op, NULL), "secret");
    else
        CHECK(*nart_tokio_op_message(&op, NULL) != '\0');
    if (check)
        check(&op);
    nart_tokio_op_close(&op);
    return r == 0 ? status : r;
}

static nart_res fetch(nart_http_client *client)
{
    return fetch_path(client, "https", "/", NULL);
}

static void no_platform(void)
{
    CHECK_EQ(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
    CHECK_EQ(setenv("SSL_CERT_DIR", "/nonexistent", 1), 0);
}

/* ---- servers ---- */

TEST(a_server_of_the_own_ca_is_trusted)
{
    open_tls(0);
    nart_http_client *client = CLIENT(.ca = tls.ca);
    CHECK_EQ(fetch(client), 200);
    nart_http_client_free(client);
    client = CLIENT(.ca = tls.ca, .ca_len = strlen(tls.ca));
    CHECK_EQ(fetch(client), 200);
    nart_http_client_free(client);
}

TEST(a_server_of_another_ca_is_not)
{
    open_tls(0);
    nart_http_client *client = CLIENT(.ca = tls.cert);
    CHECK_RES(fetch(client), NART_EHTTP_TLS);
    nart_http_client_free(client);
}

TEST(one_of_several_certificates_is_enough)
{
    static char both[3 * sizeof tls.ca];

    open_tls(0);
    snprintf(both, sizeof both, "%s# a comment\n%s", tls.cert, tls.ca);
    nart_http_client *client = CLIENT(.ca = both);
    CHECK_EQ(fetch(client), 200);
    nart_http_client_free(client);
}

/* The platform's are read from this file. */
TEST(the_own_ca_replaces_those_of_the_platform_or_is_added)
{
    char file[] = "/tmp/nart-test-ca-XXXXXX";

    open_tls(0);
    int fd = mkstemp(file);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, tls.ca, strlen(tls.ca)), strlen(tls.ca));
    close(fd);
    CHECK_EQ(setenv("SSL_CERT_FILE", file, 1), 0);
    nart_http_client *platform = CLIENT(.size = 0), *other = CLIENT(.ca = tls.cert),
                     *added = CLIENT(.ca = tls.cert, .flags = NART_HTTP_PLATFORM_CA);
    CHECK_EQ(fetch(platform), 200);
    CHECK_RES(fetch(other), NART_EHTTP_TLS);
    CHECK_EQ(fetch(added), 200);
    nart_http_client_free(platform);
    nart_http_client_free(other);
    nart_http_client_free(added);
    unlink(file);
}

TEST(the_own_ca_needs_none_of_the_platform)
{
    open_tls(0);
    no_platform();
    nart_http_client *only = CLIENT(.ca = tls.ca),
                     *added = CLIENT(.ca = tls.ca, .flags = NART_HTTP_PLATFORM_CA),
                     *none = CLIENT(.size = 0);
    CHECK_EQ(fetch(only), 200);
    CHECK_EQ(fetch(added), 200);
    CHECK_RES(fetch(none), NART_EHTTP_TLS);
    nart_http_client_free(only);
    nart_http_client_free(added);
    nart_http_client_free(none);
}

/* ---- the certificate of a client ---- */

TEST(a_server_that_requires_a_certificate)
{
    open_tls(TEST_TLS_ASKS);
    nart_http_client *known = CLIENT(.ca = tls.ca, .cert = tls.cert, .key = tls.key),
                     *measured =
                         CLIENT(.ca = tls.ca, .cert = tls.cert, .cert_len = strlen(tls.cert),
                                .key = tls.key, .key_len = strlen(tls.key)),
                     *unknown = CLIENT(.ca = tls.ca);
    CHECK_EQ(fetch(known), 200);
    CHECK_EQ(fetch(measured), 200);
    CHECK_RES(fetch(unknown), NART_EHTTP_TLS);
    nart_http_client_free(known);
    nart_http_client_free(measured);
    nart_http_client_free(unknown);
}

TEST(a_key_of_another_certificate_is_refused)
{
    nart_http_client_opts opts = NART_HTTP_CLIENT_OPTS_INIT;
    nart_http_client *client = NULL;
    char why[200];

    open_tls(0);
    opts.cert = tls.ca;
    opts.key = tls.key;
    opts.error = why;
    opts.error_len = sizeof why;
    CHECK_RES(nart_http_client_new(bridge, &opts, &client), -EINVAL);
    CHECK(strstr(why, "key is not the private key of cert") != NULL);
    opts.key = tls.cert; /* not a key */
    CHECK_RES(nart_http_client_new(bridge, &opts, &client), -EINVAL);
    CHECK(strstr(why, "key contains no private key") != NULL);
}

/* ---- HTTP/2 ---- */

static void is_http2(const nart_tokio_op *op)
{
    const nart_http_header *h = nart_http_header_find(op, "X-Protocol", 0);

    CHECK(h != NULL);
    CHECK_STR(h->value, "h2");
}

static void is_http1(const nart_tokio_op *op)
{
    CHECK(nart_http_header_find(op, "x-protocol", 0) == NULL);
}

TEST(the_server_selects_http2)
{
    open_tls(TEST_TLS_HTTP2);
    nart_http_client *off = CLIENT(.ca = tls.ca),
                     *alpn = CLIENT(.ca = tls.ca, .http2 = NART_HTTP2_ALPN),
                     *only = CLIENT(.ca = tls.ca, .http2 = NART_HTTP2_ONLY);
    CHECK_EQ(fetch_path(off, "https", "/", is_http1), 200);
    for (int i = 0; i < 3; i++) { /* on one connection */
        CHECK_EQ(fetch_path(alpn, "https", "/", is_http2), 200);
        CHECK_EQ(fetch_path(only, "https", "/", is_http2), 200);
    }
    nart_http_client_free(off);
    nart_http_client_free(alpn);
    nart_http_client_free(only);
}

TEST(the_server_does_not_support_http2)
{
    open_tls(0);
    nart_http_client *alpn = CLIENT(.ca = tls.ca, .http2 = NART_HTTP2_ALPN);
    CHECK_EQ(fetch_path(alpn, "https", "/", is_http1), 200);
    nart_http_client_free(alpn);
}

TEST(http2_without_tls)
{
    open_tls(TEST_TLS_PLAIN);
    nart_http_client *only = CLIENT(.http2 = NART_HTTP2_ONLY);
    CHECK_EQ(fetch_path(only, "http", "/", is_http2), 200);
    nart_http_client_free(only);
}

TEST(a_stream_that_is_reset_or_cut_off)
{
    open_tls(TEST_TLS_HTTP2);
    nart_http_client *alpn = CLIENT(.ca = tls.ca, .http2 = NART_HTTP2_ALPN);
    CHECK_RES(fetch_path(alpn, "https", "/refuse", NULL), NART_EHTTP_CLOSED);
    CHECK_RES(fetch_path(alpn, "https", "/break", is_http2), NART_EHTTP_BODY);
    CHECK_EQ(fetch_path(alpn, "https", "/", is_http2), 200);
    nart_http_client_free(alpn);
}

/* ---- a handshake that does not end ---- */

TEST(connecting_includes_the_handshake)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    open_tls(0);
    tls.port = listen_locally(listener, 4); /* nobody accepts */
    nart_http_client *client = CLIENT(.ca = tls.ca, .connect_timeout_ns = 20 * NART_MS);
    CHECK_RES(fetch(client), NART_EHTTP_CONNECT_TIMEOUT);
    nart_http_client_free(client);
    close(listener);
}

/* ---- a proxy ---- */

TEST(https_by_a_proxy)
{
    struct proxy proxy;
    char start[64];

    open_tls(0);
    proxy_open(&proxy, tls.port);
    nart_http_client *client = CLIENT(.ca = tls.ca, .proxy = proxy.url);
    CHECK_EQ(fetch(client), 200);
    snprintf(start, sizeof start, "CONNECT localhost:%d HTTP/1.1\r\n", tls.port);
    CHECK_EQ(memcmp(proxy.head, start, strlen(start)), 0);
    nart_http_client_free(client);
    proxy_close(&proxy);
}

/* The tunnel ends at another server than the one that the URL names. */
TEST(a_proxy_is_not_trusted)
{
    struct proxy proxy;

    open_tls(0);
    proxy_open(&proxy, tls.port);
    nart_http_client *stranger = CLIENT(.ca = tls.cert, .proxy = proxy.url);
    CHECK_RES(fetch(stranger), NART_EHTTP_TLS);
    nart_http_client *client = CLIENT(.ca = tls.ca, .proxy = proxy.url);
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    get.url = "https://bank.test/";
    get.client = client;
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_TLS);
    nart_tokio_op_close(&op);
    CHECK_EQ(memcmp(proxy.head, "CONNECT bank.test:443 HTTP/1.1\r\n", 32), 0);
    nart_http_client_free(client);
    nart_http_client_free(stranger);
    proxy_close(&proxy);
}
