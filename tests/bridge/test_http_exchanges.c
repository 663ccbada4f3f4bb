/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Answers of servers that misbehave, and requests that must not be sent: some 200 exchanges. The right answer is
 * what RFC 9110 and 9112 ask of a client; where they leave a choice, what curl and hyper do. */
#include "exchange.h"

#include <string.h>

/* ---- where an answer ends ---- */

static void any_bytes(const nart_tokio_op *op)
{
    size_t len = 0;
    const char *body = nart_tokio_op_message(op, &len);

    CHECK_EQ(len, 6);
    CHECK_EQ(memcmp(body, "\0\1\r\n\xff\0", 6), 0);
}

static const struct exchange lengths[] = {
    { "a length", 200, "hello", SCRIPT(HEAD, SAY(FIVE)) },
    { "a length, in pieces", 200, "hello",
      SCRIPT(HEAD, SAY("HT"), SAY("TP/1.1 200 OK\r"), SAY("\nContent-Le"), SAY("ngth: 5\r\n\r"),
             SAY("\nhe"), SAY("llo")) },
    { "a length of nothing", 200, "", SCRIPT(HEAD, SAY(OK "Content-Length: 0\r\n\r\n")) },
    { "to the end of the connection", 200, "all of it",
      SCRIPT(HEAD, SAY(OK "\r\nall of it"), CLOSE) },
    { "the same length twice", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")) },
    { "two lengths", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")) },
    { "two lengths in one header", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5, 6\r\n\r\nhello!")) },
    { "a length with a sign", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: +5\r\n\r\nhello")) },
    { "a negative length", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: -1\r\n\r\nhello")) },
    { "a length in hexadecimal", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 0x5\r\n\r\nhello")) },
    { "an empty length", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: \r\n\r\nhello")) },
    { "a length of more than 64 bits", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 18446744073709551621\r\n\r\nhello")) },
    { "a length above the limit", NART_EHTTP_BODY_LIMIT, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 9223372036854775807\r\n\r\nhello"), GONE) },
    { "more than the length, and a new connection", 200, "hello",
      SCRIPT(HEAD, SAY(FIVE "hello"), ACCEPT, HEAD, SAY(FIVE)), .again = 200 },
    { "a second answer that nobody asked for", 200, "hello",
      SCRIPT(HEAD, SAY(FIVE BYE), ACCEPT, HEAD, SAY(FIVE)), .again = 200 },
    { "a connection is used again", 200, "hello", SCRIPT(HEAD, SAY(FIVE), HEAD, SAY(FIVE)),
      .again = 200 },
    { "a connection that the server will close is not", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello"), ACCEPT, HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "a length with zeros in front", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Content-Length: 005\r\n\r\nhello")) },
    { "a length between spaces and tabs", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Content-Length: \t 5 \t\r\n\r\nhello")) },
    { "the same length twice in one header", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Content-Length: 5, 5\r\n\r\nhello")) },
    { "a length with a parameter", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5;a\r\n\r\nhello"), GONE) },
    { "a length with a point", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5.0\r\n\r\nhello"), GONE) },
    { "a length with a space in it", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 1 0\r\n\r\nhello"), GONE) },
    { "a length in digits of another script", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: \xef\xbc\x95\r\n\r\nhello"), GONE) },
    { "a name that looks like that of the length", 200, "hello!",
      SCRIPT(HEAD, SAY(OK "Content_Length: 5\r\n\r\nhello!"), CLOSE) },
    { "HTTP/1.0 that keeps the connection", 200, "hello",
      SCRIPT(HEAD,
             SAY("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
             HEAD, SAY(FIVE)),
      .again = 200 },
    { "close in a list", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Connection: keep-alive, Close\r\nContent-Length: 5\r\n\r\nhello"),
             ACCEPT, HEAD, SAY(FIVE)),
      .again = 200 },
    { "close in the second of two headers", 200, "hello",
      SCRIPT(
          HEAD,
          SAY(OK "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
          ACCEPT, HEAD, SAY(FIVE)),
      .again = 200 },
    { "an empty line behind an answer", 200, "hello",
      SCRIPT(HEAD, SAY(FIVE "\r\n"), ACCEPT, HEAD, SAY(FIVE)), .again = 200 },
    { "408 on a connection that is not in use", 200, "hello",
      SCRIPT(HEAD,
             SAY(FIVE "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: "
                      "0\r\n\r\n"),
             CLOSE, ACCEPT, HEAD, SAY(FIVE)),
      .again = 200 },
    { "any bytes", 200, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 6\r\n\r\n"), SAY_BYTES(6, "\0\1\r\n\xff\0")),
      .check = any_bytes },
};

TEST(lengths_of_responses)
{
    PLAY(lengths);
}

static const struct exchange chunks[] = {
    { "chunks", 200, "hello", SCRIPT(HEAD, SAY(CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")) },
    { "chunks, in pieces", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED), SAY("2"), SAY("\r\nh"), SAY("e\r"), SAY("\n3\r\nllo\r\n0"),
             SAY("\r\n\r"), SAY("\n")) },
    { "chunks with extensions", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n")) },
    { "chunks with sizes of many digits", 200, "hello world",
      SCRIPT(HEAD, SAY(CHUNKED "000B\r\nhello world\r\n000\r\n\r\n")) },
    { "trailers are read and dropped", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"), HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "trailers that are none", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\nno colon\r\n\r\n"), GONE) },
    { "endless trailers", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\n"), FLOOD("X-More: 0123456789abcdef\r\n")) },
    { "endless extensions", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5"), FLOOD(";more=0123456789abcdef")) },
    { "a size that is none", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\nfive\r\n"), GONE) },
    { "an empty size", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "a size with a sign", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "+5\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "a size of more than 64 bits", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "a chunk longer than its size", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "4\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "chunks above the limit", NART_EHTTP_BODY_LIMIT, NULL,
      SCRIPT(HEAD, SAY(CHUNKED), FLOOD("8\r\n12345678\r\n")) },
    { "chunks and a length: the chunks count", 200, "hello",
      SCRIPT(
          HEAD,
          SAY(OK
              "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) },
    { "chunked twice", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) },
    { "a coding that nobody asked for", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) },
    { "a coding that is not chunked", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"),
             CLOSE) },
    { "chunked is not the last coding", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
             CLOSE) },
    { "a coding in HTTP/1.0", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD,
             SAY("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
             CLOSE) },
    { "chunks and a length, and the connection is used again", 200, "hello",
      SCRIPT(
          HEAD,
          SAY(OK "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
          HEAD, SAY(FIVE)),
      .again = 200 },
    { "chunked in upper case", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) },
    { "a size in upper case", 200, "0123456789",
      SCRIPT(HEAD, SAY(CHUNKED "A\r\n0123456789\r\n0\r\n\r\n")) },
    { "a size with a space behind it", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED "5 \r\nhello\r\n0\r\n\r\n")) },
    { "sizes of more digits than 64 bits have", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED "00000000000000005\r\nhello\r\n00000000000000000000\r\n\r\n")) },
    { "trailers that would frame a message", 200, "hello",
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "a NUL in a trailer", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\n"), SAY_BYTES(9, "X: \0\r\n\r\n"), GONE) },
    { "a size with a space before it", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED " 5\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "a size with 0x", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "a negative size", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "-5\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "LF alone behind a size", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\nhello\r\n0\r\n\r\n"), GONE) },
    { "CR alone behind a size", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\rhello\r\n0\r\n\r\n"), GONE) },
    { "LF alone behind a chunk", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\n0\r\n\r\n"), GONE) },
    { "LF alone behind the last size", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\n\n"), GONE) },
    { "LF alone at the end", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\n\n"), CLOSE) },
    { "LF in an extension", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "CR in an extension", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n"), GONE) },
    { "another answer before the last chunk", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n" FIVE), GONE) },
    { "chunked twice in one header", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) },
    { "no coding", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: \r\n\r\nhello"), CLOSE) },
    { "nothing before chunked", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: , chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), CLOSE) },
    { "almost chunked", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), CLOSE) },
    { "chunked with a parameter", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: chunked;q=1\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
             CLOSE) },
    { "chunked in quotes", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: \"chunked\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
             CLOSE) },
    { "a control character before chunked", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD,
             SAY(OK "Transfer-Encoding: \x0b"
                    "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
             CLOSE) },
};

TEST(chunked_responses)
{
    PLAY(chunks);
}

/* ---- the end of a connection, at each stage ---- */

static const struct exchange ends[] = {
    { "closed at once", NART_EHTTP_CLOSED, NULL, SCRIPT(CLOSE) },
    { "reset before the head is read", NART_EHTTP_CLOSED, NULL, SCRIPT(BODY(1), RESET) },
    { "closed without an answer", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, CLOSE) },
    { "reset without an answer", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, RESET) },
    { "closed in the status line", NART_EHTTP_CLOSED, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 2"), CLOSE) },
    { "reset in the status line", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, SAY("HTTP/1.1 2"), RESET) },
    { "closed in the head", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, SAY(OK "X-Hea"), CLOSE) },
    { "reset in the head", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, SAY(OK "X-Hea"), RESET) },
    { "closed in a body with a length", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\n\r\nhell"), CLOSE) },
    { "reset in a body with a length", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\n\r\nhell"), RESET) },
    { "reset in a body without a length", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(OK "\r\nhell"), RESET) },
    { "closed in a chunk", NART_EHTTP_BODY, NULL, SCRIPT(HEAD, SAY(CHUNKED "5\r\nhell"), CLOSE) },
    { "reset in a chunk", NART_EHTTP_BODY, NULL, SCRIPT(HEAD, SAY(CHUNKED "5\r\nhell"), RESET) },
    { "closed in the size of a chunk", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n1"), CLOSE) },
    { "closed between chunks", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n"), CLOSE) },
    { "closed before the trailers", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\n"), CLOSE) },
    { "closed in the trailers", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(CHUNKED "5\r\nhello\r\n0\r\nX-Su"), CLOSE) },
    { "reset after the whole answer", 200, "hello", SCRIPT(HEAD, SAY(FIVE), RESET) },
    { "reset while the body is sent", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, BODY(100000), RESET),
      .method = "PUT", .body_len = BIG },
    { "no answer in time", NART_EHTTP_TIMEOUT, NULL, SCRIPT(HEAD, GONE),
      .timeout_ns = 20 * NART_MS },
    { "no end of the head in time", NART_EHTTP_TIMEOUT, NULL, SCRIPT(HEAD, SAY(OK "X-"), GONE),
      .timeout_ns = 20 * NART_MS },
};

TEST(connections_that_end)
{
    PLAY(ends);
}

/* ---- heads ---- */

#define FILL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct exchange heads[] = {
    { "HTTP/1.0", 200, "hello", SCRIPT(HEAD, SAY("HTTP/1.0 200 OK\r\n\r\nhello"), CLOSE) },
    { "HTTP/1.0 with a length, and a new connection", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"), ACCEPT, HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "no reason", 200, "", SCRIPT(HEAD, SAY("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")) },
    { "a status of no class", 799, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n")) },
    { "lines that end with LF alone", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello")) },
    { "bytes above 127 in a header", 200, "",
      SCRIPT(HEAD, SAY(OK "X-Name: \xc3\xa4\xff\r\nContent-Length: 0\r\n\r\n")) },
    { "a content coding is the caller's to decode", 200, "packed",
      SCRIPT(HEAD, SAY(OK "Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\npacked")) },
    { "not HTTP", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, SAY("220 mail ready\r\n"), GONE) },
    { "HTTP/0.9", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, SAY("<html>hello</html>"), CLOSE) },
    { "HTTP/2.0", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, SAY("HTTP/2.0 200 OK\r\n\r\n"), GONE) },
    { "a status of two digits", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 20 OK\r\n\r\n"), GONE) },
    { "a status of four digits", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 2000 OK\r\n\r\n"), GONE) },
    { "a status below 100", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 099 OK\r\n\r\n"), GONE) },
    { "a header without a colon", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "no colon\r\n\r\n"), GONE) },
    { "a header without a name", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK ": value\r\n\r\n"), GONE) },
    { "a space before the colon", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length : 5\r\n\r\nhello"), GONE) },
    { "a header that is folded", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "X-Long: a\r\n b\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a CR in a header", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "X-Name: a\rb\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a control character in a header", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "X-Name: a\x01\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "endless reason", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 200 "), FLOOD(FILL)) },
    { "endless name of a header", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, SAY(OK), FLOOD(FILL)) },
    { "endless header", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, SAY(OK "X-Long: "), FLOOD(FILL)) },
    { "endless headers", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK), FLOOD("X-More: " FILL "\r\n")) },
    { "endless empty lines", NART_EHTTP_PROTOCOL, NULL, SCRIPT(HEAD, FLOOD("\r\n")) },
    { "an empty line before the status", 200, "hello", SCRIPT(HEAD, SAY("\r\n" FIVE)) },
    { "the highest status", 999, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n")) },
    { "bytes above 127 in the reason", 200, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 200 \xc3\xa4\xe4\r\nContent-Length: 0\r\n\r\n")) },
    { "an upgrade that is offered", 200, "hello",
      SCRIPT(HEAD, SAY(OK "Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nhello"),
             HEAD, SAY(FIVE)),
      .again = 200 },
    { "an upgrade that is required", 426, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0\r\n"
                       "Connection: upgrade\r\nContent-Length: 0\r\n\r\n")) },
    { "two spaces before the status", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a tab before the status", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "no space behind the status", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a status with a letter", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a negative status", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a version in lower case", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "HTTP/1.2", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "HTTP/1.10", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "HTTP/11", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/11 200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "another protocol with the same lines", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("ICY 200 OK\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "an alert of TLS", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY_BYTES(7, "\x15\3\3\0\2\2\x28"), CLOSE) },
    { "a frame of HTTP/2", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY_BYTES(9, "\0\0\0\4\0\0\0\0\0"), CLOSE) },
    { "lines that end with CR alone", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 200 OK\rContent-Length: 0\r\r"), GONE) },
    { "a CR in the empty line", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 0\r\n\rX"), GONE) },
    { "a NUL in the reason", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY_BYTES(16, "HTTP/1.1 200 \0\r\n"), SAY("\r\n"), GONE) },
    { "a NUL in a header", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY_BYTES(27, OK "X-A: a\0\r\n\r\n"), GONE) },
    { "a NUL in a name", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY_BYTES(26, OK "X\0A: b\r\n\r\n"), GONE) },
    { "a space in a name", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "X A: b\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "bytes above 127 in a name", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "X\xc3\xa4: b\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "the first header is folded", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK " X-A: b\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a header that is folded by a tab", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "X-A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n"), GONE) },
    { "a length that is folded", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length:\r\n 5\r\n\r\nhello"), GONE) },
};

TEST(heads_of_responses)
{
    PLAY(heads);
}

/* ---- answers before the answer ---- */

#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static const struct exchange interim[] = {
    { "100 before the answer", 200, "hello", SCRIPT(HEAD, SAY(CONTINUE FIVE)) },
    { "100 in pieces", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 100 Con"), SAY("tinue\r\n\r"), SAY("\nHTTP"),
             SAY("/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) },
    { "103 and its headers are passed over", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" FIVE)) },
    { "several, and the connection is used again", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 What\r\n\r\n" CONTINUE FIVE),
             HEAD, SAY(CONTINUE FIVE)),
      .again = 200 },
    { "a length in 100 is not one", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" FIVE)) },
    { "100 and then the end", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, SAY(CONTINUE), CLOSE) },
    { "100 and then a reset", NART_EHTTP_CLOSED, NULL, SCRIPT(HEAD, SAY(CONTINUE), RESET) },
    { "100 without end", NART_EHTTP_TIMEOUT, NULL, SCRIPT(HEAD, FLOOD(CONTINUE)),
      .timeout_ns = 50 * NART_MS },
    { "another protocol that nobody asked for", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD,
             SAY("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                 "Upgrade: websocket\r\n\r\nhello"),
             GONE) },
    { "chunks in 100 are none", 200, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n" FIVE)) },
    { "100 of HTTP/1.0", 200, "hello", SCRIPT(HEAD, SAY("HTTP/1.0 100 Continue\r\n\r\n" FIVE)) },
    { "an interim head that does not end", NART_EHTTP_CLOSED, NULL,
      SCRIPT(HEAD, SAY("HTTP/1.1 199 What\r\nX-A"), CLOSE) },
    { "another protocol, and an answer", NART_EHTTP_PROTOCOL, NULL,
      SCRIPT(HEAD,
             SAY("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                 "Upgrade: h2c\r\n\r\n" FIVE),
             GONE) },
};

TEST(interim_responses)
{
    PLAY(interim);
}

/* ---- answers without a body, whatever their headers say ---- */

static const struct exchange bodiless[] = {
    { "HEAD with a length", 200, "",
      SCRIPT(HEAD, SAY(OK "Content-Length: 5\r\n\r\n"), HEAD, SAY(OK "Content-Length: 5\r\n\r\n")),
      .method = "HEAD", .again = 200 },
    { "HEAD with a length above the limit", 200, "",
      SCRIPT(HEAD, SAY(OK "Content-Length: 99999999999\r\n\r\n")), .method = "HEAD" },
    { "HEAD with chunks", 200, "", SCRIPT(HEAD, SAY(CHUNKED), HEAD, SAY(CHUNKED)), .method = "HEAD",
      .again = 200 },
    { "HEAD with neither", 200, "", SCRIPT(HEAD, SAY(OK "\r\n"), HEAD, SAY(OK "\r\n")),
      .method = "HEAD", .again = 200 },
    { "HEAD and a body all the same", 200, "",
      SCRIPT(HEAD, SAY(FIVE), ACCEPT, HEAD, SAY(OK "\r\n")), .method = "HEAD", .again = 200 },
    { "204", 204, "", SCRIPT(HEAD, SAY("HTTP/1.1 204 No Content\r\n\r\n"), HEAD, SAY(FIVE)),
      .again = 200 },
    { "204 with a length", 204, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), HEAD, SAY(FIVE)),
      .again = 200 },
    { "204 and a body all the same", 204, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"), ACCEPT, HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "204 with chunks", 204, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "205", 205, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")) },
    { "304 with a length", 304, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), HEAD, SAY(FIVE)),
      .headers = { NART_HTTP_HEADER("If-None-Match", "\"a\"") }, .again = 200 },
    { "304 with a length above the limit", 304, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 304 Not Modified\r\nContent-Length: 99999999999\r\n\r\n")) },
    { "304 and a body all the same", 304, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"), ACCEPT, HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "HEAD after 100", 200, "",
      SCRIPT(HEAD, SAY(CONTINUE OK "Content-Length: 5\r\n\r\n"), HEAD, SAY(OK "\r\n")),
      .method = "HEAD", .again = 200 },
    { "HEAD with chunks and a length", 200, "",
      SCRIPT(HEAD, SAY(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), HEAD,
             SAY(OK "\r\n")),
      .method = "HEAD", .again = 200 },
    { "HEAD with a length that is none", 200, "", SCRIPT(HEAD, SAY(OK "Content-Length: x\r\n\r\n")),
      .method = "HEAD" },
    { "204 with a length that is none", 204, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n")) },
    { "205 with a body", 205, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello"), HEAD,
             SAY(FIVE)),
      .again = 200 },
    { "304 with chunks", 304, "",
      SCRIPT(HEAD, SAY("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"), HEAD,
             SAY(FIVE)),
      .again = 200 },
};

TEST(responses_without_a_body)
{
    PLAY(bodiless);
}

/* ---- answers that come before the request has been sent ---- */

#define TOO_LARGE(more) "HTTP/1.1 413 Too Large\r\n" more "Content-Length: 5\r\n\r\nhello"

static const struct exchange early[] = {
    { "an answer to the head, the body is read", 413, "hello",
      SCRIPT(HEAD, SAY(TOO_LARGE("")), BODY(BIG)), .method = "PUT", .body_len = BIG },
    { "an answer to the head, the body is not read", 413, "hello",
      SCRIPT(HEAD, SAY(TOO_LARGE("")), NEXT, HEAD, SAY(TOO_LARGE(""))), .method = "PUT",
      .body_len = BIG, .again = 413 },
    { "an answer to the head, and the end", 413, "hello",
      SCRIPT(HEAD, SAY(TOO_LARGE("Connection: close\r\n")), CLOSE), .method = "PUT",
      .body_len = BIG },
    { "an answer within the body", 413, "hello",
      SCRIPT(HEAD, BODY(100000), SAY(TOO_LARGE("Connection: close\r\n")), CLOSE), .method = "PUT",
      .body_len = BIG },
    { "an answer to the head, and its end decides", 413, "hello",
      SCRIPT(HEAD, SAY("HTTP/1.1 413 Too Large\r\n\r\nhello"), CLOSE), .method = "PUT",
      .body_len = BIG },
    { "an answer that breaks off while the body is sent", NART_EHTTP_BODY, NULL,
      SCRIPT(HEAD, SAY(OK "Content-Length: 6\r\n\r\nhello"), CLOSE), .method = "PUT",
      .body_len = BIG },
    { "a body that is read to its end", 200, "hello",
      SCRIPT(HEAD, HAS("content-length: 16777216\r\n"), BODY(BIG), SAY(FIVE), HEAD, BODY(BIG),
             SAY(FIVE)),
      .method = "PUT", .body_len = BIG, .again = 200 },
};

TEST(early_responses)
{
    PLAY(early);
}

/* ---- requests that would be read as something else ---- */

static const struct exchange injected[] = {
    { "a line in a header", -EINVAL, NULL, .headers = { NART_HTTP_HEADER("X-A", "a\r\nX-B: b") } },
    { "LF in a header", -EINVAL, NULL, .headers = { NART_HTTP_HEADER("X-A", "a\nX-B: b") } },
    { "CR in a header", -EINVAL, NULL, .headers = { NART_HTTP_HEADER("X-A", "a\rX-B: b") } },
    { "a control character in a header", -EINVAL, NULL,
      .headers = { NART_HTTP_HEADER("X-A", "a\x7f") } },
    { "a line in a name", -EINVAL, NULL, .headers = { NART_HTTP_HEADER("X-A: a\r\nX-B", "b") } },
    { "a colon in a name", -EINVAL, NULL, .headers = { NART_HTTP_HEADER("X-A:", "b") } },
    { "a name of nothing", -EINVAL, NULL, .headers = { NART_HTTP_HEADER("", "b") } },
    { "a line in a method", -EINVAL, NULL, .method = "GET / HTTP/1.1\r\nX-A: a\r\n\r\nGET" },
    { "a method of nothing", -EINVAL, NULL, .method = "" },
    { "a line in a URL", NART_EHTTP_URL, NULL, .url = "http://%A/ HTTP/1.1\r\nX-A: a" },
    { "LF in a URL", NART_EHTTP_URL, NULL, .url = "http://%A/a\nb" },
    { "a tab in a URL", NART_EHTTP_URL, NULL, .url = "http://%A/a\tb" },
    { "DEL in a URL", NART_EHTTP_URL, NULL, .url = "http://%A/a\x7f" },
    { "a line in a host", NART_EHTTP_URL, NULL, .url = "http://%A\r\n.example/" },
    { "a line that is escaped stays escaped", 200, "hello",
      SCRIPT(HEAD, HAS("GET /a%0d%0aX-A:%20a HTTP/1.1\r\n"), SAY(FIVE)),
      .url = "http://%A/a%0d%0aX-A:%20a" },
    { "a space in a URL is escaped", 200, "hello",
      SCRIPT(HEAD, HAS("GET /a%20HTTP/1.1?b%20c HTTP/1.1\r\n"), SAY(FIVE)),
      .url = "http://%A/a HTTP/1.1?b c" },
    { "a fragment is not sent", 200, "hello", SCRIPT(HEAD, HAS("GET /a HTTP/1.1\r\n"), SAY(FIVE)),
      .url = "http://%A/a#secret" },
    { "a name and a password are not in the request line", 200, "hello",
      SCRIPT(HEAD, HAS("GET /a HTTP/1.1\r\n"), HAS("host: %A\r\n"),
             HAS("authorization: Basic bmFtZTpwYXNz\r\n"), SAY(FIVE)),
      .url = "http://name:pass@%A/a" },
};

TEST(requests_with_injected_text)
{
    PLAY(injected);
}

#define ROWS(rows) (sizeof(rows) / sizeof *(rows))
_Static_assert(ROWS(lengths) + ROWS(chunks) + ROWS(ends) + ROWS(heads) + ROWS(interim) +
                       ROWS(bodiless) + ROWS(early) + ROWS(injected) >=
                   200,
               "the comment at the top says how many");
