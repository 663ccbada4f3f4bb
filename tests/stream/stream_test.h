/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stream_test.h: a stream of the runtime whose other end is a plain blocking descriptor of the test, and one
 * operation on a stream in a task of its own. */
#ifndef NART_STREAM_TEST_H
#define NART_STREAM_TEST_H

#include "../net/net_test.h"
#include "op.h"

#include <nart/stream.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { TCP, UNIX, FD }; /* FD: any descriptor, here a Unix socket */

/* A stream, and the peer's end of it. */
struct link {
    nart_rt *rt;
    nart_stream s;
    nart_tcp tcp;
    nart_unix un;
    nart_fd fd;
    int peer; /* -1: closed */
    char buf[16], out[16];
};

/* `cap`: of the stream's buffer. */
static inline void link_begin(struct link *l, size_t cap)
{
    nart_res r = l->fd.io.drv        ? nart_stream_init_fd(&l->s, &l->fd, l->buf, cap)
                 : l->un.conn.io.drv ? nart_stream_init_unix(&l->s, &l->un, l->buf, cap)
                                     : nart_stream_init_tcp(&l->s, &l->tcp, l->buf, cap);
    CHECK_RES(r, 0);
}

static inline void link_open_in(struct link *l, nart_rt *rt, uint32_t kind, size_t cap)
{
    int fds[2];

    *l = (struct link){ .rt = rt };
    if (kind == TCP) {
        l->peer = tcp_pair(rt, &l->tcp); /* each send of the peer arrives at once */
        CHECK_EQ(setsockopt(l->peer, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
    } else {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        CHECK_RES(kind == FD ? nart_fd_open(rt, fds[0], 0, &l->fd)
                             : nart_unix_adopt(rt, fds[0], &l->un),
                  0);
        l->peer = fds[1];
    }
    link_begin(l, cap);
}

static inline void link_open(struct link *l, uint32_t kind, size_t cap)
{
    link_open_in(l, new_rt(), kind, cap);
}

/* The peer sends, and what it sent has arrived. */
static inline void link_send(struct link *l, const char *text)
{
    raw_send(l->peer, text);
    if (l->tcp.io.drv)
        wait_for((int)nart_tcp_fd(&l->tcp), POLLIN);
}

/* The peer ends its direction. */
static inline void link_end(struct link *l)
{
    CHECK_EQ(shutdown(l->peer, SHUT_WR), 0);
    if (l->tcp.io.drv)
        wait_for((int)nart_tcp_fd(&l->tcp), POLLRDHUP);
}

static inline void link_drop(struct link *l)
{
    CHECK_RES(nart_stream_close(&l->s), 0);
    CHECK_RES(nart_stream_close(&l->s), 0);
    if (l->peer >= 0)
        close(l->peer);
}

static inline void link_finish(struct link *l)
{
    link_drop(l);
    CHECK_RES(nart_rt_free(l->rt), 0);
}

/* The peer receives exactly this text. */
static inline void link_expect(struct link *l, const char *text)
{
    char got[256] = "";
    size_t len = strlen(text);

    CHECK(len < sizeof got);
    CHECK_EQ(recv(l->peer, got, len, MSG_WAITALL), len);
    CHECK_STR(got, text);
}

/* One operation. Its results are here. */
struct op {
    OP_FIELDS;
    nart_stream *s;
    nart_res (*call)(nart_cx *cx, struct op *op);
    const void *from; /* what is written; a delimiter */
    size_t len, max, done;
    char *text; /* read in place */
    char into[256];
};

static inline nart_res op_do(nart_cx *cx, struct op *op)
{
    return op->call(cx, op);
}

OP_TASK(op_do);

static inline nart_res do_read(nart_cx *cx, struct op *op)
{
    return nart_stream_read(cx, op->s, op->into, op->len);
}

static inline nart_res do_exact(nart_cx *cx, struct op *op)
{
    return nart_stream_read_exact(cx, op->s, op->into, op->len, &op->done);
}

static inline nart_res do_until(nart_cx *cx, struct op *op)
{
    return nart_stream_read_until(cx, op->s, op->from, op->len, op->max, &op->text);
}

static inline nart_res do_line(nart_cx *cx, struct op *op)
{
    return nart_stream_read_line(cx, op->s, op->max, &op->text);
}

static inline nart_res do_skip(nart_cx *cx, struct op *op)
{
    return nart_stream_skip_line(cx, op->s);
}

static inline nart_res do_fill(nart_cx *cx, struct op *op)
{
    return nart_stream_fill(cx, op->s, op->len);
}

static inline nart_res do_write(nart_cx *cx, struct op *op)
{
    return nart_stream_write_all(cx, op->s, op->from, op->len, &op->done);
}

static inline nart_res do_flush(nart_cx *cx, struct op *op)
{
    return nart_stream_flush(cx, op->s);
}

static inline nart_res do_shutdown(nart_cx *cx, struct op *op)
{
    return nart_stream_shutdown(cx, op->s);
}

/* Runs one operation to its end, which comes without another event: OP_NOW(l, do_line, .max = 8) */
static inline nart_res op_now(nart_rt *rt, struct op *op)
{
    op_start(rt, op);
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    return op->res;
}

#define OP(l, fn, ...) ((struct op){ .limit = NART_NEVER, .s = &(l)->s, .call = (fn), __VA_ARGS__ })
#define OP_NOW(l, fn, ...)                                                                         \
    op_now((l)->rt, &(struct op){ .limit = NART_NEVER, .s = &(l)->s, .call = (fn), __VA_ARGS__ })

/* The next line, or the error's name. Valid until the next call. */
static inline const char *line_now(struct link *l, size_t max)
{
    struct op op = OP(l, do_line, .max = max);
    nart_res r = op_now(l->rt, &op);

    return r < 0 ? nart_err_name(r) : op.text;
}

static inline const char *until_now(struct link *l, const char *delim, size_t max)
{
    static char text[64];
    struct op op = OP(l, do_until, .from = delim, .len = strlen(delim), .max = max);
    nart_res r = op_now(l->rt, &op);

    if (r < 0)
        return nart_err_name(r);
    memcpy(text, op.text, (size_t)r);
    text[r] = '\0';
    return text;
}

#endif
