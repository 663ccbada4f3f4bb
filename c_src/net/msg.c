/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* msg.c: messages with control data.
 *
 * 1. Control data is the kernel's format in the caller's memory; nothing of it is kept between two calls.
 * 2. A short read of a stream clears the direction, as in tcp.c, but only if it came without control data: the
 *    kernel does not join bytes that were sent with different descriptors or credentials, so more may be pending.
 *    Where the caller has no space for control data, MSG_CTRUNC reports that there was some.
 * 3. Descriptors that the caller does not get are closed: it cannot find them where the answer is an error. */
#include "net.h"

#include <poll.h>
#include <string.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04 /* Linux 6.5 */
#endif

#define PIECES_MAX 1024 /* UIO_MAXIOV */

static struct msghdr control_of(const nart_msg *m)
{
    return (struct msghdr){ .msg_control = m->control, .msg_controllen = m->control_len };
}

struct cmsghdr *nart_msg_next(const nart_msg *m, const struct cmsghdr *last)
{
    struct msghdr h = control_of(m);

    return last ? CMSG_NXTHDR(&h, (struct cmsghdr *)(uintptr_t)last) : CMSG_FIRSTHDR(&h);
}

nart_res nart_msg_add(nart_msg *m, int level, int type, const void *data, size_t len)
{
    if (!m || (len > 0 && !data) || m->control_len > m->control_cap ||
        (m->control_cap && !m->control))
        return -EINVAL;
    size_t room = m->control_cap - m->control_len;
    if (len > room || CMSG_SPACE(len) > room)
        return -ENOBUFS;
    unsigned char *at = (unsigned char *)m->control + m->control_len;
    struct cmsghdr c = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };
    memset(at, 0, CMSG_SPACE(len));
    memcpy(at, &c, sizeof c);
    if (len > 0)
        memcpy(at + CMSG_LEN(0), data, len);
    m->control_len += CMSG_SPACE(len);
    return 0;
}

static size_t total(const nart_msg *m)
{
    size_t sum = 0;

    for (size_t i = 0; i < m->n; i++)
        sum += m->pieces[i].iov_len;
    return sum;
}

void nart__msg_close_fds(const nart_sys *sys, nart_msg *m, bool passed)
{
    int fd;

    for (struct cmsghdr *c = nart_msg_next(m, NULL); c; c = nart_msg_next(m, c)) {
        if (c->cmsg_level != SOL_SOCKET ||
            (c->cmsg_type != SCM_PIDFD && (c->cmsg_type != SCM_RIGHTS || !passed)))
            continue;
        for (size_t i = CMSG_LEN(0); i + sizeof fd <= c->cmsg_len; i += sizeof fd) {
            memcpy(&fd, (const unsigned char *)c + i, sizeof fd);
            if (fd >= 0) /* else the error for which there is no descriptor of the process */
                sys->close(fd);
        }
    }
    m->control_len = 0;
}

static nart_res take(const nart_sys *sys, int fd, nart_msg *m, nart_addr *from, bool boundaries,
                     int flags)
{
    struct msghdr h = { .msg_name = from ? &from->storage : NULL,
                        .msg_namelen = from ? sizeof from->storage : 0,
                        .msg_iov = m->pieces,
                        .msg_iovlen = m->n,
                        .msg_control = m->control_cap > 0 ? m->control : NULL,
                        .msg_controllen = m->control_cap };
    ssize_t n = sys->recvmsg(fd, &h, flags);

    if (n < 0)
        return n;
    m->flags = (uint32_t)h.msg_flags;
    m->control_len = h.msg_controllen;
    if (from && h.msg_namelen == 0) { /* the sender is a Unix socket without a name */
        from->storage.ss_family = AF_UNIX;
        h.msg_namelen = sizeof from->storage.ss_family;
    }
    if (from)
        from->len = h.msg_namelen;
    bool cut = m->flags & MSG_CTRUNC && m->control_cap > 0;
    if (NART_LIKELY(!cut && !(boundaries && m->flags & MSG_TRUNC)))
        return n;
    nart__msg_close_fds(sys, m, true);
    return cut ? -ENOBUFS : -EMSGSIZE;
}

/* What was queued before an error of the connection is received before it. Of messages the kernel reports it first. */
static NART__COLD nart_res take_failed(const nart_sys *sys, int fd, nart_tcp *conn, nart_msg *m,
                                       bool boundaries, int flags, nart_res n)
{
    nart_res before = nart__tcp_error(conn);

    (void)nart__tcp_failed(conn, n);
    nart_res error = nart__tcp_error(conn);
    if (error != before && boundaries)
        n = take(sys, fd, m, NULL, boundaries, flags);
    return error && n <= 0 && n != -EMSGSIZE && n != -ENOBUFS ? error : n;
}

nart_res nart__msg_take(const nart_sys *sys, int fd, nart_tcp *conn, nart_msg *m, nart_addr *from,
                        bool boundaries, int flags)
{
    nart_res n = take(sys, fd, m, from, boundaries, flags);

    if (NART_LIKELY(n > 0) || !conn || (n == -EAGAIN && !nart__tcp_error(conn)))
        return n;
    return take_failed(sys, fd, conn, m, boundaries, flags, n);
}

/* What nart__io_want() answers, also of a connection that has failed. */
static inline nart_res want_recv(nart_cx *cx, const nart_io *io, const nart_tcp *conn)
{
    nart_res error = conn ? nart__tcp_rest(conn) : 0;

    if (NART_LIKELY(!error))
        return nart__io_want(io, NART_READ, cx);
    nart_res r = nart__tcp_refused(cx, conn, NART_READ);
    return r == error ? NART_HANGUP : r;
}

nart_res nart__msg_recv(nart_cx *cx, const nart_io *io, int fd, nart_tcp *conn, nart_msg *m,
                        nart_addr *from, bool boundaries, int flags, bool *emptied)
{
    nart_res r = nart__io_enter(io, NART_READ, cx);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(m->n > PIECES_MAX))
        return -EINVAL;
    for (;;) {
        r = want_recv(cx, io, conn);
        if (r <= 0)
            return r;
        nart_res n = nart__msg_take(io->drv->sys, fd, conn, m, from, boundaries, flags);
        if (n == -EAGAIN) {
            *emptied = true;
            nart__io_clear(io, NART_READ, cx);
            continue;
        }
        bool all = n >= 0 && m->control_len == 0 && !(m->flags & MSG_CTRUNC) && flags == 0;
        if (!boundaries && all && !nart__read_on(r) && (size_t)n < total(m))
            nart__io_clear(io, NART_READ, cx);
        return n;
    }
}

/* A send to `to` answered EAGAIN: will the kernel not report when it can be repeated? The socket is writable although
 * the queue of `to` is full; or it is connected to another one, and readiness is about that one's queue. */
static NART__COLD bool ends_unseen(const nart_sys *sys, int fd, const nart_addr *to)
{
    nart_addr peer;
    int now = sys->poll(fd, POLLOUT);

    if (now > 0 && now & POLLOUT)
        return true;
    return nart__fd_addr(sys, fd, true, &peer) == 0 && !nart_addr_equal(&peer, to);
}

/* The kernel only reads the address and the control data, but takes them through pointers to plain memory. */
static struct msghdr header_of(const nart_msg *m, const nart_addr *to)
{
    return (struct msghdr){ .msg_name = to ? (void *)(uintptr_t)&to->storage : NULL,
                            .msg_namelen = to ? to->len : 0,
                            .msg_iov = m->pieces,
                            .msg_iovlen = m->n,
                            .msg_control = m->control_len > 0 ? m->control : NULL,
                            .msg_controllen = m->control_len };
}

nart_res nart__try_send_to(const nart_io *io, const nart_addr *to, nart__send_fn *send,
                           const void *what)
{
    nart_res fd = nart__io_fd(io);

    if (fd < 0)
        return fd;
    ssize_t n = send(io->drv->sys, (int)fd, what);
    if (n == -EAGAIN && !(to && ends_unseen(io->drv->sys, (int)fd, to)))
        nart__io_not_ready(io, NART_WRITE);
    return n;
}

nart_res nart__send_to(nart_cx *cx, const nart_io *io, nart_tcp *conn, const nart_addr *to,
                       nart__send_fn *send, const void *what)
{
    nart_res r = nart__io_enter(io, NART_WRITE, cx);
    if (NART_UNLIKELY(r))
        return r;
    for (;;) {
        /* Readiness is not about the queue of `to`: the kernel is asked first. */
        r = to ? nart__io_usable(io, cx) : nart__io_want(io, NART_WRITE, cx);
        if (r <= 0)
            return r;
        nart_res fd = nart__io_fd(io);
        if (NART_UNLIKELY(fd < 0))
            return fd;
        ssize_t n = send(io->drv->sys, (int)fd, what);
        if (n != -EAGAIN || (to && ends_unseen(io->drv->sys, (int)fd, to))) {
            if (to)
                nart__io_unwait(io, NART_WRITE, cx);
            return n < 0 && conn ? nart__tcp_failed(conn, n) : n;
        }
        nart__io_clear(io, NART_WRITE, cx);
        r = to ? nart__io_want(io, NART_WRITE, cx) : 1;
        if (r <= 0)
            return r;
    }
}

static ssize_t send_one(const nart_sys *sys, int fd, const void *what)
{
    return sys->sendmsg(fd, what, 0);
}

nart_res nart__msg_try_send(const nart_io *io, const nart_msg *m, const nart_addr *to)
{
    const struct msghdr h = header_of(m, to);

    return nart__try_send_to(io, to, send_one, &h);
}

nart_res nart__msg_send(nart_cx *cx, const nart_io *io, nart_tcp *conn, const nart_msg *m,
                        const nart_addr *to, bool ask)
{
    const struct msghdr h = header_of(m, to);

    if (NART_UNLIKELY(m->n > PIECES_MAX))
        return -EINVAL;
    nart_res n = nart__send_to(cx, io, conn, ask ? to : NULL, send_one, &h);
    if (n >= 0 && (size_t)n < total(m)) /* of a stream: the kernel's buffer is full */
        nart__io_clear(io, NART_WRITE, cx);
    return n;
}
