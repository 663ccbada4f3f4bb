/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The server of a WebSocket as a case plays it itself, byte by byte. */
#ifndef NART_TEST_WS_PEER_H
#define NART_TEST_WS_PEER_H

#include "peer.h"

#include <stdlib.h>

/* A WebSocket of the bridge, and the peer's socket. */
struct ws {
    nart_tokio_op op, connected;
    nart_bytes_tx tx; /* what is sent into it becomes frames */
    nart_bytes_rx rx; /* bound to no runtime: threads block in it */
    int fd;
};

enum { FIN = 0x80, CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* Listens, and writes the URL. */
static inline int ws_listen(char *url, size_t size)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(url, size, "ws://127.0.0.1:%d", listen_locally(fd, 512));
    return fd;
}

/* The channels of a WebSocket: its ends for the options are closed after nart_ws_connect(). */
static inline void ws_channels(struct ws *ws, size_t capacity, nart_bytes_rx *outgoing,
                               nart_bytes_tx *incoming)
{
    nart_bytes_opts o = NART_BYTES_OPTS_INIT;

    o.kind = NART_BYTES_SPSC;
    o.capacity = capacity;
    CHECK_RES(nart_bytes_open(loop, &o, &ws->tx, outgoing), 0);
    CHECK_RES(nart_bytes_open(loop, &o, incoming, &ws->rx), 0);
    CHECK_RES(nart_bytes_rx_bind(&ws->rx, NULL), 0);
}

/* Begins to connect. The options have the URL, and what a case needs. */
static inline void ws_connect(struct ws *ws, nart_ws_opts opts, size_t capacity)
{
    nart_bytes_rx outgoing = { 0 };
    nart_bytes_tx incoming = { 0 };

    *ws = (struct ws){ .fd = -1 };
    ws_channels(ws, capacity, &outgoing, &incoming);
    opts.size = sizeof opts;
    opts.outgoing = &outgoing;
    opts.incoming = &incoming;
    opts.connected = &ws->connected;
    CHECK_RES(nart_ws_connect(bridge, &opts, &ws->op), 0);
    CHECK(nart_bytes_rx_is_closed(&outgoing) && nart_bytes_tx_is_closed(&incoming));
}

/* The Sec-WebSocket-Accept for the key in a head of a request. */
void ws_accept_key(const char *head, char accept[29]);

static inline void ws_accept(struct ws *ws, int listener)
{
    ws->fd = accept(listener, NULL, NULL);
    CHECK(ws->fd >= 0);
}

/* Reads the head of the request, and answers 101 with these header fields. */
static inline void ws_answer(struct ws *ws, const char *fields)
{
    char head[4096], accepted[29], answer[4096];

    peer_read_head(ws->fd, head, sizeof head);
    ws_accept_key(head, accepted);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n",
             accepted, fields);
    peer_say(ws->fd, answer);
}

static inline void ws_serve(struct ws *ws, int listener, const char *fields)
{
    ws_accept(ws, listener);
    ws_answer(ws, fields);
}

/* Closes everything. */
static inline void ws_close(struct ws *ws)
{
    nart_tokio_op_close(&ws->op);
    nart_tokio_op_close(&ws->connected);
    nart_bytes_tx_close(&ws->tx);
    nart_bytes_rx_close(&ws->rx);
    if (ws->fd >= 0)
        close(ws->fd);
    ws->fd = -1;
}

/* ---- the peer's frames ---- */

static inline void ws_send_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        CHECK(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}

/* Writes the head of a frame. Returns its length. */
static inline size_t ws_head(unsigned char head[10], int first, uint64_t n)
{
    size_t bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;

    head[0] = (unsigned char)first;
    head[1] = (unsigned char)(bytes == 0 ? n : bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++)
        head[2 + i] = (unsigned char)(n >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

/* Sends a frame. `first`: FIN and opcode. */
static inline void ws_frame(int fd, int first, const void *payload, size_t n)
{
    unsigned char head[10];

    ws_send_all(fd, head, ws_head(head, first, n));
    ws_send_all(fd, payload, n);
}

static inline void ws_frame_text(int fd, int first, const char *text)
{
    ws_frame(fd, first, text, strlen(text));
}

/* Sends a close frame. */
static inline void ws_frame_close(int fd, int code, const char *reason)
{
    unsigned char payload[125] = { (unsigned char)(code >> 8), (unsigned char)code };

    memcpy(payload + 2, reason, strlen(reason));
    ws_frame(fd, FIN | CLOSE, payload, 2 + strlen(reason));
}

static inline void ws_read_all(int fd, void *to, size_t n)
{
    if (n > 0) /* otherwise it would wait for a byte */
        CHECK_EQ(recv(fd, to, n, MSG_WAITALL), n);
}

/* Reads a frame of the client, which is masked and whole, into `payload`. Returns its length. */
static inline size_t ws_read(int fd, int *opcode, void *payload, size_t size)
{
    unsigned char head[2], more[8], mask[4], *p = payload;

    ws_read_all(fd, head, 2);
    CHECK_EQ(head[0] & 0xf0, FIN);
    CHECK(head[1] & 0x80);
    size_t n = head[1] & 0x7f, bytes = n < 126 ? 0 : n == 126 ? 2 : 8;
    ws_read_all(fd, more, bytes);
    if (bytes > 0)
        n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | more[i];
    ws_read_all(fd, mask, 4);
    CHECK_LE(n, size);
    ws_read_all(fd, payload, n);
    for (size_t i = 0; i < n; i++)
        p[i] ^= mask[i % 4];
    *opcode = head[0] & 0xf;
    return n;
}

static inline void ws_expect(int fd, int opcode, const void *payload, size_t n)
{
    int got = 0;
    char *buf = malloc(n + 1);

    CHECK(buf != NULL);
    CHECK_EQ(ws_read(fd, &got, buf, n), n);
    CHECK_EQ(got, opcode);
    CHECK_EQ(memcmp(buf, payload, n), 0);
    free(buf);
}

static inline void ws_expect_close(int fd, int code, const char *reason)
{
    unsigned char payload[125] = { 0 };
    int opcode = 0;
    size_t n = ws_read(fd, &opcode, payload, sizeof payload);

    CHECK_EQ(opcode, CLOSE);
    CHECK_EQ(n, 2 + strlen(reason));
    CHECK_EQ(payload[0] << 8 | payload[1], code);
    CHECK_EQ(memcmp(payload + 2, reason, n - 2), 0);
}

/* The client ends the connection; what it sends before is dropped. */
static inline void ws_expect_end(int fd)
{
    char dropped[4096];

    while (recv(fd, dropped, sizeof dropped, 0) > 0) {
    }
}

/* ---- the client's messages ---- */

static inline nart_res ws_try(struct ws *ws, uint32_t kind, uint32_t code, const void *payload,
                              size_t n, int64_t timeout)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_claim_blocking(&ws->tx, sizeof(nart_ws_msg) + n, &buf, timeout);

    if (r != 0)
        return r;
    nart_ws_msg *msg = buf.ptr;
    msg->kind = kind;
    msg->code = code;
    if (n > 0)
        memcpy(msg + 1, payload, n);
    return nart_bytes_commit(&ws->tx, &buf);
}

static inline void ws_say(struct ws *ws, uint32_t kind, const char *text)
{
    CHECK_RES(ws_try(ws, kind, 0, text, strlen(text), NART_NEVER), 0);
}

static inline void ws_receives(struct ws *ws, uint32_t kind, const void *payload, size_t n)
{
    nart_bytes_msg msg;

    CHECK_RES(nart_bytes_recv_blocking(&ws->rx, &msg, NART_NEVER), 0);
    const nart_ws_msg *head = msg.ptr;
    CHECK_EQ(head->kind, kind);
    CHECK_EQ(head->code, 0);
    CHECK_EQ(msg.len, sizeof *head + n);
    CHECK_EQ(memcmp(head + 1, payload, n), 0);
    CHECK_RES(nart_bytes_release(&ws->rx, &msg), 0);
}

static inline void ws_receives_text(struct ws *ws, uint32_t kind, const char *text)
{
    ws_receives(ws, kind, text, strlen(text));
}

/* Both channels are closed. */
static inline void ws_is_closed(struct ws *ws)
{
    nart_bytes_msg msg;
    nart_res r = 0;

    CHECK_RES(nart_bytes_recv_blocking(&ws->rx, &msg, NART_NEVER), NART_ECLOSED);
    while (r == 0)
        r = ws_try(ws, NART_WS_PONG, 0, NULL, 0, NART_NEVER);
    CHECK_RES(r, NART_ECLOSED);
}

static inline void ws_ends(struct ws *ws, nart_res is, int64_t code)
{
    int64_t value = 0;

    CHECK_RES(wait_for_answer(&ws->op, &value), is);
    CHECK_EQ(value, code);
}

#endif
