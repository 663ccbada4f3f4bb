/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The head of a response: status, URL and header fields; and header fields of a request with a length. */
#include "exchange.h"

#include <stdio.h>
#include <string.h>

/* The head of the operation consists of these fields, in this order. */
static void check_fields(const nart_tokio_op *op, const nart_http_header *fields, size_t n)
{
    size_t got = 77;
    const nart_http_header *h = nart_http_headers(op, &got);

    CHECK_EQ(got, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(h[i].name, fields[i].name);
        CHECK_EQ(h[i].name_len, strlen(fields[i].name));
        CHECK_EQ(h[i].value_len, strlen(fields[i].value));
        CHECK_STR(h[i].value, fields[i].value);
    }
    CHECK(h[n].name == NULL);
    CHECK(nart_http_headers(op, NULL) == h);
}

#define FIELDS(op, ...)                                                                            \
    do {                                                                                           \
        static const nart_http_header fields[] = { __VA_ARGS__ };                                  \
        check_fields(op, fields, sizeof fields / sizeof *fields);                                  \
    } while (0)

static void check_no_head(const nart_tokio_op *op)
{
    size_t n = 77, len = 77;

    CHECK_EQ(nart_http_status(op), 0);
    CHECK(nart_http_headers(op, &n)->name == NULL);
    CHECK_EQ(n, 0);
    CHECK_STR(nart_http_url(op, &len), "");
    CHECK_EQ(len, 0);
    CHECK(nart_http_header_find(op, "x-a", 0) == NULL);
}

/* ---- fields ---- */

static void several(const nart_tokio_op *op)
{
    CHECK_EQ(nart_http_status(op), 200);
    FIELDS(op, NART_HTTP_HEADER("x-b", "1"), NART_HTTP_HEADER("set-cookie", "a=1"),
           NART_HTTP_HEADER("set-cookie", "b=2"), NART_HTTP_HEADER("x-a", ""),
           NART_HTTP_HEADER("content-length", "5"));
    const nart_http_header *h = nart_http_headers(op, NULL);
    CHECK(nart_http_header_find(op, "X-B", 0) == &h[0]);
    CHECK(nart_http_header_find(op, "Set-Cookie", 0) == &h[1]);
    CHECK(nart_http_header_find(op, "SET-COOKIE", 1) == &h[2]);
    CHECK(nart_http_header_find(op, "set-cookie", 2) == NULL);
    CHECK(nart_http_header_find(op, "set-cookie", SIZE_MAX) == NULL);
    CHECK(nart_http_header_find(op, "cookie", 0) == NULL);
    CHECK(nart_http_header_find(op, "x-b:", 0) == NULL);
    CHECK(nart_http_header_find(op, "", 0) == NULL);
    CHECK(nart_http_header_find(op, NULL, 0) == NULL);
}

static void binary(const nart_tokio_op *op)
{
    const nart_http_header *h = nart_http_header_find(op, "x-name", 0);

    CHECK(h != NULL);
    CHECK_EQ(h->value_len, 5);
    CHECK_EQ(memcmp(h->value, "\xc3\xa4\t\xff\x80", 6), 0);
}

static void none(const nart_tokio_op *op)
{
    CHECK_EQ(nart_http_status(op), 204);
    check_fields(op, NULL, 0);
}

static const struct exchange fields_of[] = {
    { "several, one name twice", 200, "hello",
      SCRIPT(HEAD, SAY(OK "X-B: 1\r\nSet-Cookie: a=1\r\nX-A:\r\nset-cookie:  b=2 \r\n"
                          "Content-Length: 5\r\n\r\nhello")),
      .check = several },
    { "bytes above 127", 200, "",
      SCRIPT(HEAD, SAY(OK "X-Name: \xc3\xa4\t\xff\x80\r\nContent-Length: 0\r\n\r\n")),
      .check = binary },
    { "none", 204, "", SCRIPT(HEAD, SAY("HTTP/1.1 204 No Content\r\n\r\n")), .check = none },
    { "those of an interim response are not among them", 204, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                       "HTTP/1.1 204 No Content\r\n\r\n")),
      .check = none },
    { "trailers are not among them", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n")), .check = NULL },
};

TEST(fields_of_a_response)
{
    PLAY(fields_of);
}

enum { MANY = 1000 };

static void a_thousand(const nart_tokio_op *op)
{
    size_t n = 0;
    const nart_http_header *h = nart_http_headers(op, &n);

    CHECK_EQ(n, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char name[16], value[16];
        snprintf(name, sizeof name, "x-%u", i);
        snprintf(value, sizeof value, "%u", i);
        CHECK_STR(h[i].name, name);
        CHECK_STR(h[i].value, value);
    }
}

/* With n fields. */
static const char *large_head(unsigned n)
{
    static char head[1 << 15];
    size_t len = (size_t)snprintf(head, sizeof head, "HTTP/1.1 204 No Content\r\n");

    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(head + len, sizeof head - len, "x-%u: %u\r\n", i, i);
    CHECK(len + 3 < sizeof head);
    memcpy(head + len, "\r\n", 3);
    return head;
}

TEST(a_thousand_fields)
{
    struct exchange row = { "a thousand", 204, "", SCRIPT(HEAD, SAY(NULL)), .check = a_thousand };

    row.script[1].text = large_head(MANY);
    play_all(&row, 1);
}

TEST(more_than_a_thousand_fields)
{
    struct exchange row = { "too many", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, SAY(NULL), GONE),
                            .check = check_no_head };

    row.script[1].text = large_head(MANY + 1);
    play_all(&row, 1);
}

/* ---- redirects, and where the response is from ---- */

static void ends_with(const nart_tokio_op *op, const char *end)
{
    size_t len = 0;
    const char *url = nart_http_url(op, &len);

    CHECK_EQ(len, strlen(url));
    CHECK(len > strlen(end) && strncmp(url, "http://127.0.0.1:", 17) == 0);
    CHECK_STR(url + len - strlen(end), end);
}

static void at_the_start(const nart_tokio_op *op)
{
    ends_with(op, "/there?x=y");
}

static void redirected(const nart_tokio_op *op)
{
    ends_with(op, "/b");
    FIELDS(op, NART_HTTP_HEADER("content-length", "5"));
}

static void not_followed(const nart_tokio_op *op)
{
    ends_with(op, "/");
    CHECK_EQ(nart_http_status(op), 302);
    CHECK_STR(nart_http_header_find(op, "location", 0)->value, "/b");
}

static void refused(const nart_tokio_op *op)
{
    ends_with(op, "/");
    CHECK_EQ(nart_http_status(op), 302);
    CHECK_STR(nart_http_header_find(op, "location", 0)->value, "file:///etc/passwd");
}

#define FOUND(to) "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " to "\r\n\r\n"

static void last_of_many(const nart_tokio_op *op)
{
    ends_with(op, "/a");
    CHECK_EQ(nart_http_status(op), 302);
}

static const struct exchange urls[] = {
    { "of the request, without its password", 200, "hello", SCRIPT(HEAD, SAY(FIVE)),
      .url = "http://me:secret@%A/there?x=y", .check = at_the_start },
    { "of the last request", 200, "hello",
      SCRIPT(HEAD, SAY(FOUND("/a")), HEAD, SAY(FOUND("http://%B/b")), ACCEPT_B, HEAD, SAY(FIVE)),
      .check = redirected },
    { "a redirect that is the result", 302, "", SCRIPT(HEAD, SAY(FOUND("/b"))),
      .redirects = NART_HTTP_REDIRECTS_NONE, .check = not_followed },
    { "a redirect that is an error", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(FOUND("file:///etc/passwd"))), .check = refused },
    { "too many", NART_EHTTP_REDIRECT, NULL,
      SCRIPT(HEAD, SAY(FOUND("/a")), HEAD, SAY(FOUND("/a")), HEAD, SAY(FOUND("/a")), HEAD,
             SAY(FOUND("/a")), HEAD, SAY(FOUND("/a")), HEAD, SAY(FOUND("/a")), HEAD,
             SAY(FOUND("/a")), HEAD, SAY(FOUND("/a")), HEAD, SAY(FOUND("/a")), HEAD,
             SAY(FOUND("/a")), HEAD, SAY(FOUND("/a"))),
      .check = last_of_many },
};

TEST(the_url_of_a_response)
{
    PLAY(urls);
}

/* ---- errors ---- */

static void of_a_length(const nart_tokio_op *op)
{
    CHECK_EQ(nart_http_status(op), 200);
    FIELDS(op, NART_HTTP_HEADER("content-length", "5"));
}

static const struct exchange errors[] = {
    { "after a head", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\n\r\nhell"), CLOSE), .check = of_a_length },
    { "a body that is too large", NART_EHTTP_BODY_LIMIT, NULL, SCRIPT(HEAD, SAY(FIVE)),
      .max_body = 4, .check = of_a_length },
    { "before a head", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, SAY(OK "X-"), CLOSE),
      .check = check_no_head },
    { "not sent", NART_EHTTP_URL, NULL, .url = "nonsense", .check = check_no_head },
};

TEST(the_head_of_an_operation_that_failed)
{
    PLAY(errors);
}

TEST_WITH(operations_without_a_head, both)
{
    nart_tokio_op op = { 0 };

    check_no_head(NULL);
    check_no_head(&op);
    CHECK_RES(test_never(bridge, &op), 0);
    check_no_head(&op);
    nart_tokio_op_close(&op);
    check_no_head(&op);
    CHECK_RES(test_bytes(bridge, 3, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    check_no_head(&op);
    nart_tokio_op_close(&op);
}

/* ---- requests ---- */

static const struct exchange lengths[] = {
    { "name and value with a length", 200, "hello",
      SCRIPT(HEAD, HAS("\r\nx-a: 12345\r\n"), SAY(FIVE)),
      .headers = { { "X-ABC", "1234567", 3, 5, { 0, 0 } } } },
    { "bytes above 127", 200, "hello", SCRIPT(HEAD, HAS("\r\nx-a: \xff\xfe\r\n"), SAY(FIVE)),
      .headers = { { "X-A", "\xff\xfe", 0, 2, { 0, 0 } } } },
    { "a NUL in a value", -EINVAL, NULL, .headers = { { "X-A", "a\0b", 0, 3, { 0, 0 } } } },
    { "a NUL in a name", -EINVAL, NULL, .headers = { { "X\0A", "b", 3, 1, { 0, 0 } } } },
};

TEST(fields_with_a_length)
{
    PLAY(lengths);
}

TEST_WITH(a_length_without_a_text_is_refused, both)
{
    static const nart_http_header bad[] = { { NULL, "a", 1, 0, { 0, 0 } },
                                            { "x-a", NULL, 0, 1, { 0, 0 } } };
    nart_http_opts opts = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };

    opts.url = "http://127.0.0.1:1/";
    opts.n_headers = 1;
    for (int i = 0; i < 2; i++) {
        opts.headers = &bad[i];
        CHECK_RES(nart_http_request(bridge, &opts, &op), -EINVAL);
    }
}
