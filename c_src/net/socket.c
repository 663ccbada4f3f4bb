/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* socket.c: sockets that are made step by step, until they become handles.
 *
 * A nart_socket owns a descriptor of the kernel's; no driver knows of it. The call that makes a handle of it leaves it
 * open until nothing can fail any more, and then zeroes it. Only a connect takes the descriptor before, because
 * a failed one is of no further use: see tcp.c. */
#include "net.h"

#include <nart/socket.h>

#include <netinet/in.h>

nart_res nart_socket_open(nart_socket *s, int family, int type)
{
    if (s->fd)
        return -EISCONN;
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM && !(type == SOCK_SEQPACKET && family == AF_UNIX))
        return -EINVAL;
    nart_res fd = nart__socket_open(nart_driver_sys(), family, type);
    if (fd < 0)
        return fd;
    s->fd = (int32_t)fd + 1;
    return 0;
}

nart_res nart_socket_adopt(nart_socket *s, int fd)
{
    if (s->fd)
        return -EISCONN;
    nart_res r = nart_sock_type(fd);
    if (r >= 0)
        r = nart_driver_sys()->set_nonblocking(fd);
    if (r == 0)
        s->fd = fd + 1;
    return r;
}

nart_res nart_socket_fd(const nart_socket *s)
{
    return s->fd ? s->fd - 1 : -EBADF;
}

nart_res nart_socket_bind(nart_socket *s, const nart_addr *addr)
{
    if (!addr)
        return -EINVAL;
    nart_res r =
        addr->storage.ss_family == AF_UNIX ? nart__unix_check(addr, false) : nart__addr_check(addr);
    if (r)
        return r;
    r = nart_socket_fd(s);
    return r < 0 ? r
                 : nart_driver_sys()->bind((int)r, (const struct sockaddr *)&addr->storage,
                                           addr->len);
}

nart_res nart_socket_detach(nart_socket *s)
{
    nart_res fd = nart_socket_fd(s);
    *s = (nart_socket){ .fd = 0 };
    return fd;
}

nart_res nart_socket_close(nart_socket *s)
{
    nart_res fd = s ? nart_socket_detach(s) : -EBADF;
    if (fd >= 0)
        nart_driver_sys()->close((int)fd);
    return 0;
}

/* ---- handles of them ---- */

/* The type of the socket, or an error. */
static nart_res listen_with(nart__under under, nart_socket *s, uint32_t backlog,
                            nart__take_fn *check, nart_tcp_listener *out)
{
    if (!out || !s)
        return -EINVAL;
    *out = (nart_tcp_listener){ .fd = 0 };
    if (under.refused)
        return under.refused;
    nart_res fd = nart_socket_fd(s);
    nart_res type = fd < 0 ? fd : check(under.drv->sys, (int)fd);
    nart_res r = type < 0 ? type : nart__listener_begin(under, (int)fd, backlog, out);
    if (r)
        return r;
    *s = (nart_socket){ .fd = 0 };
    return type;
}

static nart_res tcp_listen(nart__under under, nart_socket *s, uint32_t backlog,
                           nart_tcp_listener *out)
{
    nart_res type = listen_with(under, s, backlog, nart__take_tcp, out);
    return type < 0 ? type : 0;
}

static nart_res unix_listen(nart__under under, nart_socket *s, uint32_t backlog,
                            nart_unix_listener *out)
{
    nart_res type = out ? listen_with(under, s, backlog, nart__take_unix, &out->listener) : -EINVAL;
    if (type < 0)
        return type;
    out->listener.reserved[NART__UNIX_KIND] = nart__unix_kind(type);
    return 0;
}

nart_res nart_tcp_listen_socket(nart_rt *rt, nart_socket *s, uint32_t backlog,
                                nart_tcp_listener *out)
{
    return tcp_listen(nart__under_rt(rt), s, backlog, out);
}

nart_res nart_tcp_listen_socket_here(nart_cx *cx, nart_socket *s, uint32_t backlog,
                                     nart_tcp_listener *out)
{
    return tcp_listen(nart__under_cx(cx), s, backlog, out);
}

nart_res nart_unix_listen_socket(nart_rt *rt, nart_socket *s, uint32_t backlog,
                                 nart_unix_listener *out)
{
    return unix_listen(nart__under_rt(rt), s, backlog, out);
}

nart_res nart_unix_listen_socket_here(nart_cx *cx, nart_socket *s, uint32_t backlog,
                                      nart_unix_listener *out)
{
    return unix_listen(nart__under_cx(cx), s, backlog, out);
}

typedef nart_res adopt_fn(nart__under under, int fd, nart_udp *out);

static nart_res dgram_with(nart__under under, nart_socket *s, adopt_fn *adopt, nart_udp *out)
{
    nart_res r = s ? adopt(under, s->fd - 1, out) : -EINVAL;
    if (r == 0)
        *s = (nart_socket){ .fd = 0 };
    return r;
}

nart_res nart_udp_from_socket(nart_rt *rt, nart_socket *s, nart_udp *out)
{
    return dgram_with(nart__under_rt(rt), s, nart__udp_adopt, out);
}

nart_res nart_udp_from_socket_here(nart_cx *cx, nart_socket *s, nart_udp *out)
{
    return dgram_with(nart__under_cx(cx), s, nart__udp_adopt, out);
}

nart_res nart_unix_dgram_from_socket(nart_rt *rt, nart_socket *s, nart_unix_dgram *out)
{
    return dgram_with(nart__under_rt(rt), s, nart__unix_dgram_adopt, out ? &out->sock : NULL);
}

nart_res nart_unix_dgram_from_socket_here(nart_cx *cx, nart_socket *s, nart_unix_dgram *out)
{
    return dgram_with(nart__under_cx(cx), s, nart__unix_dgram_adopt, out ? &out->sock : NULL);
}
