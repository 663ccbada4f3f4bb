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
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
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
    nart_res r = nart__addr_check(addr);
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

static nart_res listen_with(nart__under under, nart_socket *s, uint32_t backlog,
                            nart_tcp_listener *out)
{
    if (!out || !s)
        return -EINVAL;
    *out = (nart_tcp_listener){ .fd = 0 };
    if (under.refused)
        return under.refused;
    nart_res fd = nart_socket_fd(s);
    nart_res r = fd < 0 ? fd : nart__socket_take(under.drv->sys, (int)fd, IPPROTO_TCP);
    if (r == 0)
        r = nart__listener_begin(under, (int)fd, backlog, out);
    if (r == 0)
        *s = (nart_socket){ .fd = 0 };
    return r;
}

nart_res nart_tcp_listen_socket(nart_rt *rt, nart_socket *s, uint32_t backlog,
                                nart_tcp_listener *out)
{
    return listen_with(nart__under_rt(rt), s, backlog, out);
}

nart_res nart_tcp_listen_socket_here(nart_cx *cx, nart_socket *s, uint32_t backlog,
                                     nart_tcp_listener *out)
{
    return listen_with(nart__under_cx(cx), s, backlog, out);
}

static nart_res udp_with(nart__under under, nart_socket *s, nart_udp *out)
{
    nart_res r = s ? nart__udp_adopt(under, s->fd - 1, out) : -EINVAL;
    if (r == 0)
        *s = (nart_socket){ .fd = 0 };
    return r;
}

nart_res nart_udp_from_socket(nart_rt *rt, nart_socket *s, nart_udp *out)
{
    return udp_with(nart__under_rt(rt), s, out);
}

nart_res nart_udp_from_socket_here(nart_cx *cx, nart_socket *s, nart_udp *out)
{
    return udp_with(nart__under_cx(cx), s, out);
}
