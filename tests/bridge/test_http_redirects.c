/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Redirects: which are followed, by which request, and what does not go along to another origin. */
#include "exchange.h"

#define TO(status, location)                                                                       \
    "HTTP/1.1 " status "\r\nLocation: " location "\r\nConnection: close\r\n"                       \
    "Content-Length: 0\r\n\r\n"

/* ---- where to ---- */

static const struct exchange places[] = {
    { "an absolute Location", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "http://%A/b?c")), ACCEPT, HEAD,
             HAS("GET /b?c HTTP/1.1\r\n"), SAY(FIVE)) },
    { "an absolute path", 200, "hello",
      SCRIPT(HEAD, SAY(TO("301 Moved", "/b")), ACCEPT, HEAD, HAS("GET /b HTTP/1.1\r\n"), SAY(FIVE)),
      .url = "http://%A/a/a" },
    { "a relative path", 200, "hello",
      SCRIPT(HEAD, SAY(TO("307 Temporary", "../b")), ACCEPT, HEAD, HAS("GET /b HTTP/1.1\r\n"),
             SAY(FIVE)),
      .url = "http://%A/a/a" },
    { "a Location without a scheme", 200, "hello",
      SCRIPT(HEAD, SAY(TO("308 Permanent", "//%B/b")), ACCEPT_B, HEAD, HAS("GET /b HTTP/1.1\r\n"),
             HAS("host: %B\r\n"), SAY(FIVE)) },
    { "a fragment is not sent", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "/b#c")), ACCEPT, HEAD, HAS("GET /b HTTP/1.1\r\n"),
             SAY(FIVE)) },
    { "a line in the Location stays escaped", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "/b%0d%0aX-A:%20a")), ACCEPT, HEAD,
             HAS("GET /b%0d%0aX-A:%20a HTTP/1.1\r\n"), SAY(FIVE)) },
    { "a space in the Location is escaped", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "/b c")), ACCEPT, HEAD, HAS("GET /b%20c HTTP/1.1\r\n"),
             SAY(FIVE)) },
    { "without a Location it is an answer", 302, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nhello")) },
    { "300 is an answer", 300, "", SCRIPT(HEAD, SAY(TO("300 Choices", "/b"))) },
    { "304 is an answer", 304, "", SCRIPT(HEAD, SAY(TO("304 Not Modified", "/b"))) },
    { "305 is an answer", 305, "", SCRIPT(HEAD, SAY(TO("305 Use Proxy", "http://%B/"))) },
    { "a Location in 200 is nothing", 200, "", SCRIPT(HEAD, SAY(TO("200 OK", "/b"))) },
    { "to a file", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "file:///etc/passwd"))) },
    { "to another protocol", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "ftp://%B/"))) },
    { "to what is no URL", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "http://[::1/"))) },
    { "to a port that is none", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "http://127.0.0.1:70000/"))) },
    { "a tab in the Location", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "/b\tc"))) },
    { "a Location that is not UTF-8", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "/\xff"))) },
    { "two Locations", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "/b\r\nLocation: http://%B/"))) },
    { "to itself, without end", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "/")), ACCEPT, HEAD, SAY(TO("302 Found", "/")), ACCEPT, HEAD,
             SAY(TO("302 Found", "/")), ACCEPT, HEAD, SAY(TO("302 Found", "/")), ACCEPT, HEAD,
             SAY(TO("302 Found", "/")), ACCEPT, HEAD, SAY(TO("302 Found", "/")), ACCEPT, HEAD,
             SAY(TO("302 Found", "/")), ACCEPT, HEAD, SAY(TO("302 Found", "/")), ACCEPT, HEAD,
             SAY(TO("302 Found", "/")), ACCEPT, HEAD, SAY(TO("302 Found", "/")), ACCEPT, HEAD,
             SAY(TO("302 Found", "/"))) },
    { "to where nobody answers", NART_EHTTP_CLOSED, NULL,
      SCRIPT(HEAD, SAY(TO("302 Found", "/b")), ACCEPT, HEAD, CLOSE) },
    { "its body has no end", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 302 Found\r\nLocation: http://%B/\r\n\r\n"), NEXT_B, HEAD,
             SAY(FIVE)) },
};

TEST(locations)
{
    PLAY(places);
}

/* ---- by which request ---- */

#define FORM                                                                                       \
    .headers = { NART_HTTP_HEADER("Content-Type", "text/plain"), NART_HTTP_HEADER("X-A", "a") },   \
    .body = "a body"

/* The same request again, or a GET without what belongs to the body. */
#define AGAIN(method)                                                                              \
    ACCEPT, HEAD, HAS(method " /b HTTP/1.1\r\n"), HAS("content-type: text/plain\r\n"),             \
        HAS("x-a: a\r\n"), HAS("content-length: 6\r\n"), BODY(6), SAY(FIVE)
#define BY_GET                                                                                     \
    ACCEPT, HEAD, HAS("GET /b HTTP/1.1\r\n"), LACKS("content-type"), LACKS("content-length"),      \
        LACKS("transfer-encoding"), HAS("x-a: a\r\n"), SAY(FIVE)

static const struct exchange methods[] = {
    { "301 of POST", 200, "hello", SCRIPT(HEAD, BODY(6), SAY(TO("301 Moved", "/b")), BY_GET),
      .method = "POST", FORM },
    { "302 of POST", 200, "hello", SCRIPT(HEAD, BODY(6), SAY(TO("302 Found", "/b")), BY_GET),
      .method = "POST", FORM },
    { "303 of POST", 200, "hello", SCRIPT(HEAD, BODY(6), SAY(TO("303 See Other", "/b")), BY_GET),
      .method = "POST", FORM },
    { "303 of PUT", 200, "hello", SCRIPT(HEAD, BODY(6), SAY(TO("303 See Other", "/b")), BY_GET),
      .method = "PUT", FORM },
    { "301 of PUT", 200, "hello", SCRIPT(HEAD, BODY(6), SAY(TO("301 Moved", "/b")), AGAIN("PUT")),
      .method = "PUT", FORM },
    { "302 of PATCH", 200, "hello",
      SCRIPT(HEAD, BODY(6), SAY(TO("302 Found", "/b")), AGAIN("PATCH")), .method = "PATCH", FORM },
    { "307 of POST", 200, "hello",
      SCRIPT(HEAD, BODY(6), SAY(TO("307 Temporary", "/b")), AGAIN("POST")), .method = "POST",
      FORM },
    { "308 of POST", 200, "hello",
      SCRIPT(HEAD, BODY(6), SAY(TO("308 Permanent", "/b")), AGAIN("POST")), .method = "POST",
      FORM },
    { "303 of HEAD", 200, "",
      SCRIPT(HEAD, SAY(TO("303 See Other", "/b")), ACCEPT, HEAD, HAS("HEAD /b HTTP/1.1\r\n"),
             SAY(OK "Content-Length: 5\r\n\r\n")),
      .method = "HEAD" },
    { "a length of nothing is dropped with the body", 200, "hello",
      SCRIPT(HEAD, HAS("content-length: 0\r\n"), SAY(TO("303 See Other", "/b")), ACCEPT, HEAD,
             HAS("GET /b HTTP/1.1\r\n"), LACKS("content-length"), SAY(FIVE)),
      .method = "POST", .headers = { NART_HTTP_HEADER("Content-Length", "0") } },
    { "a redirect before the body is sent", 200, "hello",
      SCRIPT(HEAD,
             SAY("HTTP/1.1 307 Temporary\r\nLocation: http://%B/\r\nContent-Length: 0\r\n\r\n"),
             NEXT_B, HEAD, BODY(BIG), SAY(FIVE)),
      .method = "PUT", .body_len = BIG },
};

TEST(methods)
{
    PLAY(methods);
}

/* ---- headers that are sent to another origin ---- */

#define SECRETS                                                                                    \
    .headers = { NART_HTTP_HEADER("Authorization", "secret1"),                                     \
                 NART_HTTP_HEADER("Cookie", "secret2"),                                            \
                 NART_HTTP_HEADER("Proxy-Authorization", "secret3"),                               \
                 NART_HTTP_HEADER("Host", "secret4.test"),                                         \
                 NART_HTTP_HEADER("X-Api-Key", "secret5"),                                         \
                 NART_HTTP_HEADER("User-Agent", "a") }
#define ALL                                                                                        \
    HAS("authorization: secret1\r\n"), HAS("cookie: secret2\r\n"),                                 \
        HAS("proxy-authorization: secret3\r\n"), HAS("host: secret4.test\r\n"),                    \
        HAS("x-api-key: secret5\r\n"), HAS("user-agent: a\r\n")

static const struct exchange secrets[] = {
    { "the same origin gets all", 200, "hello",
      SCRIPT(HEAD, ALL, SAY(TO("302 Found", "/b")), ACCEPT, HEAD, ALL, LACKS("referer"), SAY(FIVE)),
      SECRETS },
    { "another port gets no secrets and its own Host", 200, "hello",
      SCRIPT(HEAD, ALL, SAY(TO("302 Found", "http://%B/b")), ACCEPT_B, HEAD, LACKS("secret"),
             HAS("host: %B\r\n"), HAS("user-agent: a\r\n"), LACKS("referer"), SAY(FIVE)),
      SECRETS },
    { "nor by 307", 200, "hello",
      SCRIPT(HEAD, ALL, SAY(TO("307 Temporary", "//%B/b")), ACCEPT_B, HEAD, LACKS("secret"),
             HAS("host: %B\r\n"), SAY(FIVE)),
      SECRETS, .method = "POST" },
    { "back at the first origin they are gone", 200, "hello",
      SCRIPT(HEAD, ALL, SAY(TO("302 Found", "http://%B/b")), ACCEPT_B, HEAD, LACKS("secret"),
             SAY(TO("302 Found", "http://%A/c")), ACCEPT, HEAD, LACKS("secret"),
             HAS("host: %A\r\n"), SAY(FIVE)),
      SECRETS },
    { "a name and a password in the URL stay with its origin", 200, "hello",
      SCRIPT(HEAD, HAS("authorization: Basic bmFtZTpwYXNz\r\n"), SAY(TO("302 Found", "/b")), ACCEPT,
             HEAD, HAS("authorization: Basic bmFtZTpwYXNz\r\n"),
             SAY(TO("302 Found", "http://%B/c")), ACCEPT_B, HEAD, LACKS("authorization"),
             SAY(FIVE)),
      .url = "http://name:pass@%A/" },
    { "a name and a password in the Location are left out", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "http://name:pass@%B/b")), ACCEPT_B, HEAD,
             HAS("GET /b HTTP/1.1\r\n"), HAS("host: %B\r\n"), LACKS("authorization"), SAY(FIVE)) },
    { "a query with a secret is no Referer", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "http://%B/b")), ACCEPT_B, HEAD, LACKS("secret"), SAY(FIVE)),
      .url = "http://%A/?secret" },
};

TEST(secrets_are_not_sent_to_another_origin)
{
    PLAY(secrets);
}

/* ---- which are followed ---- */

static const struct exchange policies[] = {
    { "none: a redirect to the same origin", 302, "", SCRIPT(HEAD, SAY(TO("302 Found", "/b"))),
      .redirects = NART_HTTP_REDIRECTS_NONE },
    { "none: one that would not be allowed", 302, "",
      SCRIPT(HEAD, SAY(TO("302 Found", "file:///a"))), .redirects = NART_HTTP_REDIRECTS_NONE },
    { "the same origin: there", 200, "hello",
      SCRIPT(HEAD, SAY(TO("302 Found", "/b")), ACCEPT, HEAD, HAS("GET /b HTTP/1.1\r\n"), SAY(FIVE)),
      .redirects = NART_HTTP_REDIRECTS_SAME_ORIGIN },
    { "the same origin: to another port", 307, "", SCRIPT(HEAD, SAY(TO("307 Temporary", "//%B/b"))),
      .redirects = NART_HTTP_REDIRECTS_SAME_ORIGIN },
    { "the same origin: to another one at the second step", 302, "",
      SCRIPT(HEAD, SAY(TO("301 Moved", "/b")), ACCEPT, HEAD, SAY(TO("302 Found", "http://%B/"))),
      .redirects = NART_HTTP_REDIRECTS_SAME_ORIGIN },
};

TEST(policies)
{
    PLAY(policies);
}

TEST_WITH(a_policy_that_is_none_is_refused, both)
{
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };

    opts.url = "http://127.0.0.1:1/";
    opts.redirects = 4;
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EINVAL);
}
