/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* transport.c: what streams read from and write to: TCP sockets, Unix sockets, any other sockets, and descriptors
 * that are no sockets. */
#include "stream.h"

#include <nart/pipe.h>

#include <sys/stat.h>

nart_res nart_stream_init(nart_stream *s, const nart_stream_type *type, void *io, void *buf,
                          size_t cap)
{
    if (!s)
        return -EINVAL;
    *s = (nart_stream){ 0 };
    if (!type || !io || (cap > 0 && !buf))
        return -EINVAL;
    if (type->abi != NART_STREAM_ABI)
        return NART_EABI;
    if (!type->read || !type->write || !type->close)
        return -EINVAL;
    s->type = type;
    s->io = io;
    s->in = (struct nart__stream_buf){ buf, cap, 0, 0 };
    return 0;
}

nart_res nart_stream_close(nart_stream *s)
{
    if (!s || !s->type)
        return 0;
    nart_res r = s->type->close(s->io);
    if (r < 0)
        return r;
    if (s->pool)
        nart__stream_pool_return(s);
    *s = (nart_stream){ 0 };
    return 0;
}

static ssize_t call_recv(const nart_sys *sys, int fd, const struct iovec *pieces, size_t n)
{
    (void)n;
    return sys->recv(fd, pieces->iov_base, pieces->iov_len, 0);
}

static ssize_t call_send(const nart_sys *sys, int fd, const struct iovec *pieces, size_t n)
{
    const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = n };

    return n == 1 ? sys->send(fd, pieces->iov_base, pieces->iov_len, 0) : sys->sendmsg(fd, &msg, 0);
}

/* ---- TCP ---- */

static nart_res tcp_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    return nart_tcp_recv(cx, io, buf, len);
}

static nart_res tcp_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    nart_tcp *s = io;

    if (n == 1)
        return nart_tcp_send(cx, s, pieces->iov_base, pieces->iov_len);
    if (NART_UNLIKELY(nart__tcp_check(s, NART_WRITE) != 0))
        return nart_tcp_send(cx, s, pieces->iov_base, 1); /* which answers why not */
    return nart__io_transfer_of(cx, &s->io, s, NART_WRITE, call_send, pieces, n);
}

static nart_res tcp_shutdown(nart_cx *cx, void *io)
{
    (void)cx; /* the flush has entered the operation */
    return nart_tcp_shutdown(io, NART_WRITE);
}

static nart_res tcp_close(void *io)
{
    return nart_tcp_close(io);
}

static const nart_stream_type tcp_type = { NART_STREAM_ABI, 0,         "tcp",
                                           tcp_read,        tcp_write, NULL,
                                           tcp_shutdown,    tcp_close, { NULL, NULL } };

nart_res nart_stream_init_tcp(nart_stream *s, nart_tcp *io, void *buf, size_t cap)
{
    return nart_stream_init(s, &tcp_type, io, buf, cap);
}

/* ---- Unix sockets ---- */

static nart_res unix_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    return nart_unix_recv(cx, io, buf, len);
}

/* A nart_unix begins with the nart_tcp whose code it shares. */
static const nart_stream_type unix_type = { NART_STREAM_ABI, 0,         "unix",
                                            unix_read,       tcp_write, NULL,
                                            tcp_shutdown,    tcp_close, { NULL, NULL } };

/* Closes the stream if the connection is one of messages. */
static nart_res bytes_only(nart_stream *s, const nart_unix *u)
{
    if (!nart__unix_boundaries(u))
        return 0;
    *s = (nart_stream){ 0 };
    return -EPROTOTYPE;
}

nart_res nart_stream_init_unix(nart_stream *s, nart_unix *io, void *buf, size_t cap)
{
    nart_res r = nart_stream_init(s, &unix_type, io, buf, cap);
    return r ? r : bytes_only(s, io);
}

/* ---- halves of either ---- */

static nart_res tcp_half_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    return tcp_read(cx, nart_tcp_half_tcp(io), buf, len);
}

static nart_res unix_half_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    return unix_read(cx, nart_unix_half_unix(io), buf, len);
}

static nart_res half_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    return tcp_write(cx, nart_tcp_half_tcp(io), pieces, n);
}

static nart_res half_shutdown(nart_cx *cx, void *io)
{
    return tcp_shutdown(cx, nart_tcp_half_tcp(io));
}

static nart_res half_close(void *io)
{
    return nart_tcp_half_close(io);
}

/* A nart_unix_half begins with the nart_tcp_half whose code it shares. */
static const nart_stream_type tcp_half_type = { NART_STREAM_ABI, 0,          "half of tcp",
                                                tcp_half_read,   half_write, NULL,
                                                half_shutdown,   half_close, { NULL, NULL } };
static const nart_stream_type unix_half_type = { NART_STREAM_ABI, 0,          "half of unix",
                                                 unix_half_read,  half_write, NULL,
                                                 half_shutdown,   half_close, { NULL, NULL } };

nart_res nart_stream_init_tcp_half(nart_stream *s, nart_tcp_half *io, void *buf, size_t cap)
{
    return nart_stream_init(s, &tcp_half_type, io, buf, cap);
}

nart_res nart_stream_init_unix_half(nart_stream *s, nart_unix_half *io, void *buf, size_t cap)
{
    nart_res r = nart_stream_init(s, &unix_half_type, io, buf, cap);
    return r ? r : bytes_only(s, nart_unix_half_unix(io));
}

/* ---- other descriptors ---- */

static nart_res fd_close(void *io)
{
    return nart_fd_close(io);
}

static nart_res sock_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    return nart__io_transfer(cx, io, NART_READ, call_recv, &(struct iovec){ buf, len }, 1);
}

static nart_res sock_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    return nart__io_transfer(cx, io, NART_WRITE, call_send, pieces, n);
}

static nart_res sock_shutdown(nart_cx *cx, void *io)
{
    nart_res fd = nart__io_fd(io);
    (void)cx;

    return fd < 0 ? fd : ((nart_fd *)io)->io.drv->sys->shutdown((int)fd, SHUT_WR);
}

static nart_res file_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    return nart__io_transfer(cx, io, NART_READ, nart__call_read, &(struct iovec){ buf, len }, 1);
}

static nart_res file_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    return nart__io_transfer(cx, io, NART_WRITE, nart__call_write, pieces, n);
}

static nart_res file_shutdown(nart_cx *cx, void *io)
{
    (void)cx;
    return nart_fd_close(io);
}

static const nart_stream_type sock_type = { NART_STREAM_ABI, 0,          "socket",
                                            sock_read,       sock_write, NULL,
                                            sock_shutdown,   fd_close,   { NULL, NULL } };
static const nart_stream_type file_type = { NART_STREAM_ABI, 0,          "file",
                                            file_read,       file_write, NULL,
                                            file_shutdown,   fd_close,   { NULL, NULL } };

/* O_NONBLOCK has no effect on what is in a file system, and would stay set for others who share it. */
static nart_res make_nonblocking(const nart_sys *sys, int fd, bool socket)
{
    int kind = socket ? S_IFSOCK : sys->kind(fd);

    if (kind < 0)
        return kind;
    return kind == S_IFREG || kind == S_IFDIR || kind == S_IFBLK ? 0 : sys->set_nonblocking(fd);
}

nart_res nart_stream_init_fd(nart_stream *s, nart_fd *io, void *buf, size_t cap)
{
    nart_res r = nart_stream_init(s, &file_type, io, buf, cap);
    if (r)
        return r;
    nart_res kind = nart__io_option(&io->io, SOL_SOCKET, SO_TYPE);
    nart_res fd = nart__io_fd(&io->io);
    if (kind >= 0 && kind != SOCK_STREAM)
        r = -EPROTOTYPE;
    else
        r = fd < 0 ? fd : make_nonblocking(io->io.drv->sys, (int)fd, kind >= 0);
    if (r)
        *s = (nart_stream){ 0 };
    else if (kind == SOCK_STREAM)
        s->type = &sock_type;
    return r;
}

/* The stream over a handle that was opened with the answer `r`. */
static nart_res begin(nart_res r, nart_stream *s, nart_fd *io, void *buf, size_t cap)
{
    if (r == 0) {
        r = nart_stream_init_fd(s, io, buf, cap);
        if (r)
            (void)nart_fd_close(io);
    } else if (s) {
        *s = (nart_stream){ 0 };
    }
    return r;
}

nart_res nart_stream_open_fd(nart_rt *rt, int fd, nart_stream *s, nart_fd *io, void *buf,
                             size_t cap)
{
    nart_res r = nart_fd_reopen(rt, fd, io);
    if (r == -ENXIO) /* it has no name in a file system: a socket */
        r = nart_fd_open(rt, fd, NART_FD_BORROW, io);
    return begin(r, s, io, buf, cap);
}

nart_res nart_stream_open_fd_here(nart_cx *cx, int fd, nart_stream *s, nart_fd *io, void *buf,
                                  size_t cap)
{
    nart_res r = nart_fd_reopen_here(cx, fd, io);
    if (r == -ENXIO)
        r = nart_fd_open_here(cx, fd, NART_FD_BORROW, io);
    return begin(r, s, io, buf, cap);
}

nart_tcp *nart__stream_conn(const nart_stream *s)
{
    if (s->type == &tcp_half_type || s->type == &unix_half_type)
        return nart_tcp_half_tcp(s->io);
    return s->type == &tcp_type || s->type == &unix_type ? s->io : NULL;
}

const nart_io *nart__stream_io(const nart_stream *s, uint32_t dir)
{
    const nart_tcp *conn = nart__stream_conn(s);

    if (conn)
        return nart__tcp_check(conn, dir) == 0 ? &conn->io : NULL;
    return s->type == &sock_type || s->type == &file_type ? &((const nart_fd *)s->io)->io : NULL;
}
