/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTP clients without TLS: their options, and their lifetime. */
#include "exchange.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS(...)                                                                               \
    &(const nart_http_client_opts)                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* ---- headers and redirects ---- */

#define FOUND(to) "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " to "\r\n\r\n"

static const struct exchange defaults[] = {
    { "no options", 200, "hello",
      SCRIPT(HEAD, LACKS("user-agent"), LACKS("accept-encoding"), SAY(FIVE), HEAD, SAY(FIVE)),
      .client = OPTIONS(.size = 0), .again = 200 },
    { "a user agent", 200, "hello", SCRIPT(HEAD, HAS("\r\nuser-agent: nart/1\r\n"), SAY(FIVE)),
      .client = OPTIONS(.user_agent = "nart/1") },
    { "a user agent of the request", 200, "hello",
      SCRIPT(HEAD, HAS("\r\nuser-agent: mine\r\n"), LACKS("nart/1"), SAY(FIVE)),
      .headers = { NART_HTTP_HEADER("User-Agent", "mine") },
      .client = OPTIONS(.user_agent = "nart/1") },
    { "redirects are followed", 200, "hello",
      SCRIPT(HEAD, SAY(FOUND("http://%B/")), ACCEPT_B, HEAD, SAY(FIVE)),
      .client = OPTIONS(.size = 0) },
    { "none is followed", 302, "", SCRIPT(HEAD, SAY(FOUND("/b"))),
      .client = OPTIONS(.redirects = NART_HTTP_REDIRECTS_NONE) },
    { "those to one origin are followed", 302, "",
      SCRIPT(HEAD, SAY(FOUND("/b")), HEAD, SAY(FOUND("http://%B/"))),
      .client = OPTIONS(.redirects = NART_HTTP_REDIRECTS_SAME_ORIGIN) },
    { "the request decides", 200, "hello", SCRIPT(HEAD, SAY(FOUND("/b")), HEAD, SAY(FIVE)),
      .client = OPTIONS(.redirects = NART_HTTP_REDIRECTS_NONE),
      .redirects = NART_HTTP_REDIRECTS_ALL },
};

TEST(defaults_of_requests)
{
    PLAY(defaults);
}

/* ---- content codings ---- */

#define GZIP(n) OK "Content-Encoding: gzip\r\nContent-Length: " n "\r\n\r\n"
#define BROTLI(n) OK "Content-Encoding: br\r\nContent-Length: " n "\r\n\r\n"

/* "hello" */
#define GZIPPED                                                                                    \
    SAY_BYTES(25, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6"   \
                  "\x10\x36\x05\x00\x00\x00")
#define BROTLIED SAY_BYTES(9, "\x0b\x02\x80hello\x03")

/* 100,000 bytes, and 64 MiB */
#define GZIP_BOMB                                                                                  \
    SAY_BYTES(133, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xc0\x31\x01\x00\x00\x00\xc2\xa0"  \
                   "\x46\xeb\x1f\xcf\x1a\x1e\x50\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  \
                   "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  \
                   "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  \
                   "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  \
                   "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  \
                   "\x00\x00\x00\x00\x00\x00\x00\x00\xc0\xab\x01\x86\x63\xc8\xcf\xa0\x86\x01\x00")
#define BROTLI_BOMB                                                                                \
    SAY_BYTES(106, "\xcb\xff\xff\x3f\xf8\x25\x5c\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4b"  \
                   "\x00\xc4\x61\x11\x80\xee\xfd\x1f\xff\xff\xff\xe0\x97\x00\x88\xc3\x02\x00\xdd"  \
                   "\xfb\x3f\xfe\xff\xff\xc1\x2f\x01\x10\x87\x05\x00\xba\xf7\x7f\xfc\xff\xff\x83"  \
                   "\x5f\x02\x20\x0e\x0b\x00\x74\xef\xff\xf8\xff\xff\x07\xbf\x04\x40\x1c\x16\x00"  \
                   "\xe8\xde\xff\xf1\xff\xff\x0f\x7e\x09\x80\x38\x2c\x00\xd0\xbd\xff\xe3\xff\xff"  \
                   "\x1f\xfc\x12\x00\x71\x58\x00\xa0\x7b\xff\x37")

static const nart_http_client_opts gzip = { .decode = NART_HTTP_DECODE_GZIP };
static const nart_http_client_opts brotli = { .decode = NART_HTTP_DECODE_BROTLI };
static const nart_http_client_opts codings = { .decode = NART_HTTP_DECODE_GZIP |
                                                         NART_HTTP_DECODE_BROTLI };

static void decoded(const nart_tokio_op *op)
{
    CHECK(nart_http_header_find(op, "content-encoding", 0) == NULL);
    CHECK(nart_http_header_find(op, "content-length", 0) == NULL);
}

static void not_decoded(const nart_tokio_op *op)
{
    CHECK(nart_http_header_find(op, "content-encoding", 0) != NULL);
}

static const struct exchange decoding[] = {
    { "gzip", 200, "hello",
      SCRIPT(HEAD, HAS("\r\naccept-encoding: gzip\r\n"), SAY(GZIP("25")), GZIPPED), .client = &gzip,
      .check = decoded },
    { "brotli", 200, "hello",
      SCRIPT(HEAD, HAS("\r\naccept-encoding: br\r\n"), SAY(BROTLI("9")), BROTLIED),
      .client = &brotli, .check = decoded },
    { "both are offered", 200, "hello",
      SCRIPT(HEAD, HAS("accept-encoding: gzip,br\r\n"), SAY(BROTLI("9")), BROTLIED),
      .client = &codings, .check = decoded },
    { "to the end of the connection", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Content-Encoding: gzip\r\n\r\n"), GZIPPED, CLOSE), .client = &gzip,
      .check = decoded },
    { "a body without a coding", 200, "hello", SCRIPT(HEAD, SAY(FIVE)), .client = &codings },
    { "a coding that was not offered", 200, NULL, SCRIPT(HEAD, SAY(BROTLI("9")), BROTLIED),
      .client = &gzip, .check = not_decoded },
    { "HEAD", 200, "", SCRIPT(HEAD, SAY(GZIP("25")), HEAD, SAY(GZIP("25"))), .method = "HEAD",
      .client = &gzip, .again = 200 },
    { "304", 304, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n")),
      .client = &gzip },
    { "not gzip", NART_EHTTP_BODY, NULL, SCRIPT(HEAD, SAY(GZIP("5") "hello")), .client = &gzip },
    { "not brotli", NART_EHTTP_BODY, NULL, SCRIPT(HEAD, SAY(BROTLI("5") "hello")),
      .client = &brotli },
    { "half of it", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(GZIP("12")),
             SAY_BYTES(12, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48")),
      .client = &gzip },
    { "as many bytes as are allowed", 200, "hello", SCRIPT(HEAD, SAY(GZIP("25")), GZIPPED),
      .client = &gzip, .max_body = 5 },
    { "one more", NART_EHTTP_BODY_LIMIT, NULL, SCRIPT(HEAD, SAY(GZIP("25")), GZIPPED),
      .client = &gzip, .max_body = 4 },
    { "a bomb of gzip", NART_EHTTP_BODY_LIMIT, NULL, SCRIPT(HEAD, SAY(GZIP("133")), GZIP_BOMB),
      .client = &gzip, .max_body = 99999 },
    { "the bomb of gzip has this size", 200, NULL, SCRIPT(HEAD, SAY(GZIP("133")), GZIP_BOMB),
      .client = &gzip, .max_body = 100000 },
    { "a bomb of brotli", NART_EHTTP_BODY_LIMIT, NULL,
      SCRIPT(HEAD, SAY(BROTLI("106")), BROTLI_BOMB), .client = &brotli },
};

TEST(content_codings)
{
    PLAY(decoding);
}

/* ---- names and proxies ---- */

static const nart_http_host hosts[] = {
    { "served.test", "127.0.0.1", { 0, 0 } },
    { "twice.test", "127.0.0.2", { 0, 0 } }, /* nobody listens there */
    { "twice.test", "127.0.0.1", { 0, 0 } },
};
static const nart_http_client_opts with_hosts = { .hosts = hosts, .n_hosts = 3 };

static const struct exchange names[] = {
    { "a host with an address", 200, "hello",
      SCRIPT(HEAD, HAS("\r\nhost: served.test:%P\r\n"), SAY(FIVE)), .url = "http://served.test:%P/",
      .client = &with_hosts },
    { "in upper case", 200, "hello", SCRIPT(HEAD, SAY(FIVE)), .url = "http://SERVED.test:%P/",
      .client = &with_hosts },
    { "a host with two addresses", 200, "hello", SCRIPT(HEAD, SAY(FIVE)),
      .url = "http://twice.test:%P/", .client = &with_hosts },
    { "another host is looked up", NART_EHTTP_DNS, NULL, .url = "http://other.invalid:%P/",
      .client = &with_hosts },
    { "other clients look it up", NART_EHTTP_DNS, NULL, .url = "http://served.invalid:%P/",
      .client = OPTIONS(.size = 0) },
};

TEST(addresses_of_hosts)
{
    PLAY(names);
}

static const struct exchange proxies[] = {
    { "http", 200, "hello",
      SCRIPT(HEAD, HAS("GET http://name.invalid/a HTTP/1.1\r\n"), HAS("\r\nhost: name.invalid\r\n"),
             LACKS("proxy-authorization"), SAY(FIVE)),
      .url = "http://name.invalid/a", .client = OPTIONS(.proxy = "http://%A") },
    { "http with a password", 200, "hello",
      SCRIPT(HEAD, HAS("\r\nproxy-authorization: Basic bWU6c2VjcmV0\r\n"), SAY(FIVE)),
      .url = "http://name.invalid/a", .client = OPTIONS(.proxy = "http://me:secret@%A") },
    { "https by CONNECT, which the proxy refuses", NART_EHTTP_CONNECT, NULL,
      SCRIPT(HEAD, HAS("CONNECT name.invalid:443 HTTP/1.1\r\n"),
             HAS("\r\nproxy-authorization: Basic bWU6c2VjcmV0\r\n"),
             SAY("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), CLOSE),
      .url = "https://name.invalid/", .client = OPTIONS(.proxy = "http://me:secret@%A") },
    { "socks5, which looks up the name", 200, "hello",
      SCRIPT(BODY(3), SAY_BYTES(2, "\5\0"), BODY(5), BODY(12 + 2),
             SAY_BYTES(10, "\5\0\0\1\0\0\0\0\0\0"), HEAD, HAS("GET /a HTTP/1.1"), SAY(FIVE)),
      .url = "http://name.invalid/a", .client = OPTIONS(.proxy = "socks5h://%A") },
    { "socks5 with an address", 200, "hello",
      SCRIPT(BODY(3), SAY_BYTES(2, "\5\0"), BODY(10), SAY_BYTES(10, "\5\0\0\1\0\0\0\0\0\0"), HEAD,
             HAS("\r\nhost: served.test\r\n"), SAY(FIVE)),
      .url = "http://served.test/",
      .client = OPTIONS(.proxy = "socks5://%A", .hosts = hosts, .n_hosts = 1) },
    { "socks5, which refuses", NART_EHTTP_CONNECT, NULL,
      SCRIPT(BODY(3), SAY_BYTES(2, "\5\0"), BODY(5), BODY(12 + 2),
             SAY_BYTES(10, "\5\2\0\1\0\0\0\0\0\0"), CLOSE),
      .url = "http://name.invalid/a", .client = OPTIONS(.proxy = "socks5h://%A") },
    { "no proxy listens", NART_EHTTP_CONNECT, NULL, .url = "http://%A/",
      .client = OPTIONS(.proxy = "http://127.0.0.1:1") },
};

TEST(requests_by_a_proxy)
{
    PLAY(proxies);
}

/* ---- limits ---- */

#define TIMEOUT_MS 20

static void says_connect(const nart_tokio_op *op)
{
    CHECK_STR(nart_tokio_op_message(op, NULL), "the connect timeout of the client passed");
}

static void says_read(const nart_tokio_op *op)
{
    CHECK_STR(nart_tokio_op_message(op, NULL), "the read timeout of the client passed");
}

static const nart_http_client_opts reads = { .read_timeout_ns = TIMEOUT_MS * NART_MS };

static const struct exchange limits[] = {
    { "a connection that is not made", NART_EHTTP_CONNECT_TIMEOUT, NULL, SCRIPT(GONE),
      .url = "http://name.invalid/", .timeout_ns = NART_NEVER,
      .client = OPTIONS(.connect_timeout_ns = TIMEOUT_MS * NART_MS, .proxy = "socks5h://%A"),
      .check = says_connect },
    { "no head", NART_EHTTP_READ_TIMEOUT, NULL, SCRIPT(HEAD, GONE), .timeout_ns = NART_NEVER,
      .client = &reads, .check = says_read },
    { "no end of the body", NART_EHTTP_READ_TIMEOUT, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\n\r\nhell"), GONE), .timeout_ns = NART_NEVER,
      .client = &reads, .check = says_read },
    { "the request's own timeout", NART_EHTTP_TIMEOUT, NULL, SCRIPT(HEAD, GONE),
      .timeout_ns = TIMEOUT_MS * NART_MS,
      .client = OPTIONS(.read_timeout_ns = NART_NEVER, .connect_timeout_ns = NART_NEVER - 1) },
    { "nothing takes too long", 200, "hello", SCRIPT(HEAD, SAY(FIVE)),
      .client = OPTIONS(.read_timeout_ns = NART_NEVER - 1, .connect_timeout_ns = 3600 * NART_SEC,
                        .idle_ns = NART_NEVER) },
};

TEST(timeouts_of_a_client)
{
    PLAY(limits);
}

/* ---- bad calls ---- */

struct bad {
    const char *says; /* of the text */
    nart_http_client_opts opts;
};

static const nart_http_host bad_hosts[][1] = {
    { { NULL, "127.0.0.1", { 0, 0 } } },
    { { "a", NULL, { 0, 0 } } },
    { { "a:80", "127.0.0.1", { 0, 0 } } },
    { { "a", "b", { 0, 0 } } },
};

static const struct bad bad[] = {
    { "connect_timeout_ns", { .connect_timeout_ns = -1 } },
    { "read_timeout_ns", { .read_timeout_ns = -1 } },
    { "idle_ns", { .idle_ns = INT64_MIN } },
    { "redirects", { .redirects = NART_HTTP_REDIRECTS_NONE + 1 } },
    { "decode", { .decode = 4 } },
    { "http2", { .http2 = NART_HTTP2_ONLY + 1 } },
    { "flags", { .flags = 2 } },
    { "user_agent", { .user_agent = "a\nb" } },
    { "proxy", { .proxy = "" } },
    { "proxy", { .proxy = "name:80" } },
    { "proxy", { .proxy = "https://name:80" } },
    { "unix_path", { .unix_path = "" } },
    { "unix_path",
      { .unix_path = "/0123456789012345678901234567890123456789012345678901234567890123456789"
                     "0123456789012345678901234567890123" } },
    { "proxy and unix_path", { .unix_path = "/a", .proxy = "http://a:80" } },
    { "hosts", { .n_hosts = 1 } },
    { "hosts", { .hosts = bad_hosts[0], .n_hosts = 1 } },
    { "hosts", { .hosts = bad_hosts[1], .n_hosts = 1 } },
    { "a:80", { .hosts = bad_hosts[2], .n_hosts = 1 } },
    { "not an IP address", { .hosts = bad_hosts[3], .n_hosts = 1 } },
    { "ca", { .ca_len = 1 } },
    { "cert", { .cert_len = 1 } },
    { "key", { .key_len = 1 } },
    { "ca contains no certificate", { .ca = "" } },
    { "ca contains no certificate", { .ca = "hello", .flags = NART_HTTP_PLATFORM_CA } },
    { "ca is not valid PEM",
      { .ca = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n" } },
    { "not valid", { .ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" } },
    { "set both", { .cert = "" } },
    { "set both", { .key = "" } },
    { "cert contains no certificate", { .cert = "", .key = "" } },
};

TEST_WITH(options_that_are_refused, both)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        nart_http_client_opts opts = bad[i].opts;
        nart_http_client *client = (nart_http_client *)&opts;
        char why[300], cut[8];

        memset(why, 'x', sizeof why);
        opts.size = sizeof opts;
        opts.error = why;
        opts.error_len = sizeof why;
        CHECK_RES(nart_http_client_new(bridge, &opts, &client), -EINVAL);
        CHECK(client == NULL);
        if (!strstr(why, bad[i].says))
            test_fail(__FILE__, __LINE__, "row %zu: no \"%s\" in \"%s\"", i, bad[i].says, why);
        memset(cut, 'x', sizeof cut);
        opts.error = cut;
        opts.error_len = 5;
        CHECK_RES(nart_http_client_new(bridge, &opts, &client), -EINVAL);
        CHECK(memcmp(cut, why, 4) == 0 && cut[4] == '\0' && cut[5] == 'x');
        opts.error_len = 0;
        CHECK_RES(nart_http_client_new(bridge, &opts, &client), -EINVAL);
        opts.error = NULL;
        opts.error_len = 77;
        CHECK_RES(nart_http_client_new(bridge, &opts, &client), -EINVAL);
    }
}

TEST_WITH(bad_arguments, both)
{
    nart_http_client_opts opts = NART_HTTP_CLIENT_OPTS_INIT;
    nart_http_client *client = NULL;

    CHECK_RES(nart_http_client_new(NULL, &opts, &client), -EINVAL);
    CHECK_RES(nart_http_client_new(bridge, &opts, NULL), -EINVAL);
    opts.size = offsetof(nart_http_client_opts, reserved) - 1;
    CHECK_RES(nart_http_client_new(bridge, &opts, &client), NART_EABI);
    opts.size = sizeof opts + 1;
    CHECK_RES(nart_http_client_new(bridge, &opts, &client), NART_EABI);
    opts.size = offsetof(nart_http_client_opts, reserved);
    CHECK_RES(nart_http_client_new(bridge, &opts, &client), 0);
    nart_http_client_free(client);
    CHECK_RES(nart_http_client_new(bridge, NULL, &client), 0);
    nart_http_client_free(client);
}
