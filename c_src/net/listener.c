/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* listener.c: listening sockets.
 *
 * accept() has errors of three kinds:
 *  1. about the connection to be accepted, which no longer exists: the next one is tried, on the budget of
 *     the poll, so a flood of them does not occupy the loop;
 *  2. about descriptors and memory: answered, since only the task knows whether to wait or to free
 *     something. The direction stays ready and the connection stays in the kernel's queue;
 *  3. about the listener: answered.
 * A connection that was accepted and cannot be registered (the reactor's table is full) is kept in the
 * handle and registered by the next call: it is not lost. That call does not wait, whatever the readiness is: a try
 * may have taken the connection before its event. A task that waits is woken for it. The reactor knows of it, and
 * closes it with the listener when the runtime is freed. */
#include "net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static nart_res bind_handle(nart__under under, int fd, nart_tcp_listener *out)
{
    nart_res r = nart__io_bind(&out->io, under.drv, under.host, fd);
    if (r == 0)
        out->fd = fd;
    return r;
}

nart_res nart__listener_begin(nart__under under, int fd, uint32_t backlog, nart_tcp_listener *out)
{
    int max = backlog == 0 || backlog > INT32_MAX ? INT32_MAX : (int)backlog;
    nart_res r = under.drv->sys->listen(fd, max);
    return r ? r : bind_handle(under, fd, out);
}

static nart_res listen_under(nart__under under, const nart_addr *addr,
                             const nart_tcp_listen_opts *opts, nart_tcp_listener *out)
{
    const uint32_t known = NART_LISTEN_REUSE_PORT | NART_LISTEN_V6ONLY | NART_LISTEN_EXCLUSIVE;
    nart_tcp_listen_opts o = NART_TCP_LISTEN_OPTS_INIT;

    if (!out)
        return -EINVAL;
    *out = (nart_tcp_listener){ .fd = 0 };
    if (under.refused)
        return under.refused;
    nart_res r = nart__sized_in(&o, sizeof o, opts, offsetof(nart_tcp_listen_opts, reserved));
    if (r)
        return r;
    if (o.flags & ~known)
        return -EINVAL;

    const nart_sys *sys = under.drv->sys;
    bool v6 = addr && addr->storage.ss_family == AF_INET6;
    const nart__sockopt set[] = {
        { true, SOL_SOCKET, SO_REUSEADDR, !(o.flags & NART_LISTEN_EXCLUSIVE) },
        { true, SOL_SOCKET, SO_REUSEPORT, !!(o.flags & NART_LISTEN_REUSE_PORT) },
        { true, IPPROTO_TCP, TCP_NODELAY, 1 }, /* connections inherit it */
        { v6, IPPROTO_IPV6, IPV6_V6ONLY, !!(o.flags & NART_LISTEN_V6ONLY) },
    };
    r = nart__socket_bound(sys, addr, SOCK_STREAM, set, sizeof set / sizeof *set);
    if (r < 0)
        return r;
    int fd = (int)r;
    r = nart__listener_begin(under, fd, o.backlog, out);
    if (r)
        sys->close(fd);
    return r;
}

nart_res nart_tcp_listen(nart_rt *rt, const nart_addr *addr, const nart_tcp_listen_opts *opts,
                         nart_tcp_listener *out)
{
    return listen_under(nart__under_rt(rt), addr, opts, out);
}

nart_res nart_tcp_listen_here(nart_cx *cx, const nart_addr *addr, const nart_tcp_listen_opts *opts,
                              nart_tcp_listener *out)
{
    return listen_under(nart__under_cx(cx), addr, opts, out);
}

nart_res nart__listener_adopt(nart__under under, int fd, nart__take_fn *check,
                              nart_tcp_listener *out)
{
    int listens = 0;
    socklen_t size = sizeof listens;

    if (!out)
        return -EINVAL;
    *out = (nart_tcp_listener){ .fd = 0 };
    if (under.refused)
        return under.refused;
    nart_res r = under.drv->sys->getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    nart_res type = r ? r : check(under.drv->sys, fd);
    r = type < 0 ? type : listens ? bind_handle(under, fd, out) : -EINVAL;
    return r ? r : type;
}

static nart_res adopt_under(nart__under under, int fd, nart_tcp_listener *out)
{
    nart_res type = nart__listener_adopt(under, fd, nart__take_tcp, out);
    return type < 0 ? type : 0;
}

nart_res nart_tcp_listener_adopt(nart_rt *rt, int fd, nart_tcp_listener *out)
{
    return adopt_under(nart__under_rt(rt), fd, out);
}

nart_res nart_tcp_listener_adopt_here(nart_cx *cx, int fd, nart_tcp_listener *out)
{
    return adopt_under(nart__under_cx(cx), fd, out);
}

nart_res nart_tcp_listener_detach(nart_tcp_listener *l, int *fd)
{
    nart_res r = l->spare && nart__io_fd(&l->io) >= 0 ? -EAGAIN : nart__io_detach(&l->io, fd);
    if (r == 0)
        *l = (nart_tcp_listener){ .fd = 0 };
    return r;
}

/* The connection has failed, or was never usable; the listener still works. */
static bool next_one(int err)
{
    switch (-err) {
    case ECONNABORTED:
    case EPERM: /* rejected by a firewall rule */
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* The descriptor of the connection that is kept, plus one; 0: none. */
static void keep(nart_tcp_listener *l, int fd_plus_one)
{
    if (l->spare == fd_plus_one)
        return;
    l->spare = fd_plus_one;
    if (l->io.drv == &nart__loop)
        nart__loop_io_keep(l->io.host, l->io.id, fd_plus_one);
    if (fd_plus_one)
        (void)nart__io_wake(&l->io);
}

/* What nart__io_want() answers: there may be a connection. */
static nart_res want(nart_cx *cx, const nart_tcp_listener *l)
{
    if (NART_LIKELY(!l->spare))
        return nart__io_want(&l->io, NART_READ, cx);
    nart_res r = nart__io_usable(&l->io, cx);
    if (r > 0)
        nart__io_unwait(&l->io, NART_READ, cx);
    return r > 0 ? NART_READ : r;
}

/* A connection's descriptor, or -errno. Without waiting; not the one that is kept. */
static int accept_one(const nart_tcp_listener *l, nart_addr *peer)
{
    if (peer)
        peer->len = sizeof peer->storage;
    return l->io.drv->sys->accept(l->fd, peer ? (struct sockaddr *)&peer->storage : NULL,
                                  peer ? &peer->len : NULL);
}

/* A connection's descriptor, or the error to answer. */
static nart_res take(nart_cx *cx, nart_tcp_listener *l, nart_addr *peer)
{
    for (;;) {
        nart_res r = want(cx, l);
        if (r <= 0)
            return r;
        if (l->spare)
            return l->spare - 1;
        int fd = accept_one(l, peer);
        if (fd >= 0)
            return fd;
        if (fd == -EAGAIN) {
            nart__io_clear(&l->io, NART_READ, cx);
            continue;
        }
        r = next_one(fd) ? nart__io_enter(&l->io, NART_READ, cx) : fd;
        if (r)
            return r;
    }
}

/* Makes an accepted connection a handle, or keeps it. */
static nart_res own(nart_tcp_listener *l, int fd, nart_tcp *out)
{
    nart_res r = nart__tcp_bind(out, l->io.drv, l->io.host, fd);
    keep(l, r ? fd + 1 : 0);
    return r;
}

/* The same of the first one, which may be that which was kept. */
static nart_res own_first(nart_tcp_listener *l, int fd, bool spare, nart_tcp *out, nart_addr *peer)
{
    nart_res r = own(l, fd, out);
    if (r == 0 && spare && peer)
        (void)nart_tcp_peer_addr(out, peer);
    return r;
}

/* Waits for a connection. The operation has been entered. */
static nart_res accept_first(nart_cx *cx, nart_tcp_listener *l, nart_tcp *out, nart_addr *peer)
{
    bool spare = l->spare != 0;
    nart_res r = take(cx, l, peer);
    return r < 0 ? r : own_first(l, (int)r, spare, out, peer);
}

nart_res nart_tcp_accept(nart_cx *cx, nart_tcp_listener *l, nart_tcp *out, nart_addr *peer)
{
    nart_res r = nart__io_enter(&l->io, NART_READ, cx);
    if (r)
        return r;
    return out->io.drv ? -EISCONN : accept_first(cx, l, out, peer);
}

/* Accepts connections behind the first one, without waiting. None: there is none, or an error, which the next call finds
 * again. Answers how many there are with the first one. */
static nart_res accept_rest(nart_tcp_listener *l, nart_tcp *out, nart_addr *peers, size_t n)
{
    size_t i = 1;
    int fd = 0;

    for (; i < n; i++) {
        fd = accept_one(l, peers ? &peers[i] : NULL);
        if (fd < 0 || own(l, fd, &out[i]) < 0)
            break;
    }
    if (fd == -EAGAIN)
        nart__io_not_ready(&l->io, NART_READ);
    return (nart_res)i;
}

/* Can so many connections be accepted into these handles? */
static nart_res check_out(const nart_tcp *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (out[i].io.drv)
            return -EISCONN;
    return n == 0 ? -EINVAL : 0;
}

nart_res nart_tcp_accept_many(nart_cx *cx, nart_tcp_listener *l, nart_tcp *out, nart_addr *peers,
                              size_t n)
{
    nart_res r = nart__io_enter(&l->io, NART_READ, cx);
    if (n > NART_ACCEPT_BATCH)
        n = NART_ACCEPT_BATCH;
    if (r == 0)
        r = check_out(out, n);
    if (r == 0)
        r = accept_first(cx, l, out, peers);
    return r < 0 ? r : accept_rest(l, out, peers, n);
}

nart_res nart_tcp_try_accept_many(nart_tcp_listener *l, nart_tcp *out, nart_addr *peers, size_t n)
{
    nart_res r = nart__io_fd(&l->io);
    if (n > NART_ACCEPT_BATCH)
        n = NART_ACCEPT_BATCH;
    if (r >= 0)
        r = check_out(out, n);
    if (r < 0)
        return r;
    bool spare = l->spare != 0;
    int fd = spare ? l->spare - 1 : accept_one(l, peers);
    for (size_t lost = 1; lost < NART_ACCEPT_BATCH && next_one(fd); lost++)
        fd = accept_one(l, peers);
    if (fd == -EAGAIN)
        nart__io_not_ready(&l->io, NART_READ);
    if (next_one(fd)) /* it does not wait, so it does not try for ever either */
        fd = -EAGAIN;
    r = fd < 0 ? fd : own_first(l, fd, spare, out, peers);
    return r < 0 ? r : accept_rest(l, out, peers, n);
}

nart_res nart_tcp_listener_ready(nart_cx *cx, nart_tcp_listener *l)
{
    nart_res r = nart__io_enter(&l->io, NART_READ, cx);
    if (r)
        return r;
    return l->spare ? want(cx, l) : nart__io_ready(&l->io, NART_READ, cx);
}

nart_res nart_tcp_listener_addr(const nart_tcp_listener *l, nart_addr *out)
{
    return nart__io_addr(&l->io, false, out);
}

nart_res nart_tcp_listener_fd(const nart_tcp_listener *l)
{
    return nart__io_fd(&l->io);
}

void nart_tcp_listener_move(nart_tcp_listener *dst, nart_tcp_listener *src)
{
    if (dst == src)
        return;
    (void)nart__io_wake(&src->io);
    *dst = *src;
    *src = (nart_tcp_listener){ .fd = 0 };
}

nart_res nart_tcp_listener_close(nart_tcp_listener *l)
{
    if (!l)
        return 0;
    bool gone = nart__io_fd(&l->io) == NART_ESTALE; /* then the kept connection is closed already */
    nart_res r = nart__io_close(&l->io, NULL);
    if (r < 0)
        return r;
    if (l->spare && !gone)
        l->io.drv->sys->close(l->spare - 1);
    *l = (nart_tcp_listener){ .fd = 0 };
    return 0;
}
