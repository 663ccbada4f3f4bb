/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A bridge, a WebSocket of it, and the peer's listening socket, for the cases of one file. */
#ifndef NART_TEST_WS_FIXTURE_H
#define NART_TEST_WS_FIXTURE_H

#include "ws_peer.h"

static int listener;
static char url[64];
static struct ws ws;

static inline nart_ws_opts options(void)
{
    nart_ws_opts opts = NART_WS_OPTS_INIT;

    opts.url = url;
    opts.timeout_ns = NART_NEVER;
    opts.close_timeout_ns = NART_NEVER;
    return opts;
}

static inline void open_server(void)
{
    both_open();
    listener = ws_listen(url, sizeof url);
}

/* An open WebSocket. */
static inline void open_with(nart_ws_opts opts, size_t capacity)
{
    open_server();
    ws_connect(&ws, opts, capacity);
    ws_serve(&ws, listener, "");
}

static inline void open_all(void)
{
    open_with(options(), 1024);
}

static inline void close_all(void)
{
    ws_close(&ws);
    close(listener);
    both_close(); /* before the next case of a table */
}

/* The close handshake, which the peer begins. */
static inline void peer_closes(void)
{
    ws_frame_close(ws.fd, 1000, "bye");
    ws_expect_close(ws.fd, 1000, "bye");
    close(ws.fd);
    ws.fd = -1;
    ws_is_closed(&ws);
    ws_ends(&ws, 0, 1000);
    CHECK_STR(nart_tokio_op_message(&ws.op, NULL), "bye");
    close_all();
}

static inline char *letters(size_t n)
{
    char *text = malloc(n);

    CHECK(text != NULL);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i % 26);
    return text;
}

#endif
