/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockets_frames.c: messages with a length before them, over a stream with buffers in both directions. */
#include "main.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// --8<-- [start:program]
#define MAX_MESSAGE 64 /* bytes of a message, without its prefix */

/* A stream with its memory. It stays where it is while the stream is used. */
struct conn {
    nart_stream s;
    char in[256], out[256];
};

static nart_res conn_init(struct conn *c, nart_tcp *sock)
{
    nart_res r = nart_stream_init_tcp(&c->s, sock, c->in, sizeof c->in);

    return r == 0 ? nart_stream_buffer_writes(&c->s, c->out, sizeof c->out) : r;
}

/* Answers each message in capitals. */
static nart_res shout(nart_cx *cx, struct conn *c)
{
    char *msg;
    size_t done = 0;
    nart_res n;

    for (;;) {
        n = nart_await(cx, nart_stream_read_frame(cx, &c->s, NART_PREFIX_U16BE, MAX_MESSAGE, &msg));
        if (n < 0)
            return n == NART_EEOF ? 0 : n; /* NART_ETRUNCATED: in the middle of a message */
        for (nart_res i = 0; i < n; i++)
            msg[i] = (char)toupper((unsigned char)msg[i]); /* in place: it is the buffer */
        n = nart_await(
            cx, nart_stream_write_frame(cx, &c->s, NART_PREFIX_U16BE, msg, (size_t)n, &done));
        if (n >= 0)
            n = nart_await(cx, nart_stream_flush(cx, &c->s));
        if (n < 0)
            return n;
    }
}

/* Sends three messages by one system call, and then receives three. */
static nart_res ask(nart_cx *cx, struct conn *c)
{
    static const char *const texts[] = { "first", "second", "third" };
    char *msg;
    size_t done = 0;
    nart_res n = 0;

    for (int i = 0; i < 3 && n >= 0; i++)
        n = nart_await(cx, nart_stream_write_frame(cx, &c->s, NART_PREFIX_U16BE, texts[i],
                                                   strlen(texts[i]), &done));
    if (n >= 0)
        n = nart_await(cx, nart_stream_flush(cx, &c->s)); /* else both sides wait */
    for (int i = 0; i < 3 && n >= 0; i++) {
        n = nart_await(cx, nart_stream_read_frame(cx, &c->s, NART_PREFIX_U16BE, MAX_MESSAGE, &msg));
        if (n >= 0)
            printf("%.*s\n", (int)n, msg);
    }
    return n < 0 ? n : 0;
}
// --8<-- [end:program]

/* What a client does that is not one of ours: a prefix that announces too much. */
static nart_res announce(nart_cx *cx, struct conn *c)
{
    size_t done = 0;
    nart_res n = nart_await(cx, nart_stream_write_all(cx, &c->s, "\xff\xff", 2, &done));

    return n < 0 ? n : nart_await(cx, nart_stream_shutdown(cx, &c->s));
}

static nart_res server(nart_cx *cx, void *arg)
{
    struct conn c = { .in = "" };
    nart_tcp sock = { 0 };
    nart_res r = nart_await(cx, nart_tcp_accept(cx, arg, &sock, NULL));

    if (r == 0)
        r = conn_init(&c, &sock);
    if (r == 0)
        r = shout(cx, &c);
    printf("the server ends: %s\n", nart_err_name(r));
    nart_tcp_close(&sock);
    nart_tcp_listener_close(arg);
    return 0;
}

static nart_res talk(nart_cx *cx, nart_tcp *sock)
{
    struct conn c = { .in = "" };
    nart_res r = conn_init(&c, sock);

    if (r == 0)
        r = nart_await_for(cx, 5 * NART_SEC, ask(cx, &c));
    return r == 0 ? announce(cx, &c) : r;
}

int main(void)
{
    return run_tcp(server, talk);
}
