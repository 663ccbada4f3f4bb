/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unix_dgram.c: Unix datagrams.
 *
 * EAGAIN of a send has two causes. The sender's own buffer is full, or the queue of a connected receiver: then the
 * kernel reports the end of it. Or the queue of a receiver to which the socket is not connected is full: the socket
 * is writable, and nothing reports the end. So after EAGAIN of a send with an address the kernel is asked which it is.
 * Nor does a wait for the queue of the peer concern a send to another receiver: one with an address makes its system
 * call whatever the readiness is. */
#include "net.h"

static nart_res open_under(nart__under under, const nart_addr *addr, const nart_unix_opts *opts,
                           nart_unix_dgram *out)
{
    nart_unix_opts o;

    if (!out)
        return -EINVAL;
    *out = (nart_unix_dgram){ .fd = 0 };
    nart_res r = under.refused;
    if (r == 0 && addr)
        r = nart__unix_check(addr, false);
    if (r == 0)
        r = nart__unix_opts(&o, opts, addr, NART_UNIX_REPLACE | NART_UNIX_UNLINK);
    if (r)
        return r;
    const nart_sys *sys = under.drv->sys;
    r = addr ? nart__unix_bound(sys, addr, SOCK_DGRAM, &o, out->reserved)
             : sys->socket(AF_UNIX, SOCK_DGRAM);
    if (r < 0)
        return r;
    out->fd = (int)r;
    r = nart__io_bind(&out->io, under.drv, under.host, out->fd);
    if (r) {
        if (addr && nart__unix_path(addr))
            (void)sys->unlink(nart__unix_path(addr));
        sys->close(out->fd);
        *out = (nart_unix_dgram){ .fd = 0 };
    }
    return r;
}

nart_res nart_unix_dgram_open(nart_rt *rt, const nart_addr *addr, const nart_unix_opts *opts,
                              nart_unix_dgram *out)
{
    return open_under(nart__under_rt(rt), addr, opts, out);
}

nart_res nart_unix_dgram_open_here(nart_cx *cx, const nart_addr *addr, const nart_unix_opts *opts,
                                   nart_unix_dgram *out)
{
    return open_under(nart__under_cx(cx), addr, opts, out);
}

nart_res nart_unix_dgram_connect(nart_unix_dgram *u, const nart_addr *addr)
{
    nart_res r = nart__unix_check(addr, true);
    if (r)
        return r;
    r = nart__io_fd(&u->io);
    if (r < 0)
        return r;
    return u->io.drv->sys->connect((int)r, (const struct sockaddr *)&addr->storage, addr->len);
}

nart_res nart_unix_dgram_recvmsg(nart_cx *cx, nart_unix_dgram *u, nart_msg *m)
{
    bool emptied;
    return nart__msg_recv(cx, &u->io, u->fd, m, m->addr, true, &emptied);
}

nart_res nart_unix_dgram_recv(nart_cx *cx, nart_unix_dgram *u, void *buf, size_t len,
                              nart_addr *from)
{
    struct iovec piece = { buf, len };
    nart_msg m = { .pieces = &piece, .n = 1, .addr = from };

    return nart_unix_dgram_recvmsg(cx, u, &m);
}

nart_res nart_unix_dgram_sendmsg(nart_cx *cx, nart_unix_dgram *u, const nart_msg *m)
{
    nart_res r = m->addr ? nart__unix_check(m->addr, true) : 0;

    return r ? r : nart__msg_send(cx, &u->io, u->fd, m, m->addr, true);
}

nart_res nart_unix_dgram_send(nart_cx *cx, nart_unix_dgram *u, const void *buf, size_t len,
                              const nart_addr *to)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    const nart_msg m = { .pieces = &piece, .n = 1, .addr = (nart_addr *)(uintptr_t)to };

    return nart_unix_dgram_sendmsg(cx, u, &m);
}

nart_res nart_unix_dgram_local_addr(const nart_unix_dgram *u, nart_addr *out)
{
    return nart__io_addr(&u->io, false, out);
}

nart_res nart_unix_dgram_fd(const nart_unix_dgram *u)
{
    return nart__io_fd(&u->io);
}

void nart_unix_dgram_move(nart_unix_dgram *dst, nart_unix_dgram *src)
{
    if (dst == src)
        return;
    (void)nart__io_wake(&src->io);
    *dst = *src;
    *src = (nart_unix_dgram){ .fd = 0 };
}

nart_res nart_unix_dgram_close(nart_unix_dgram *u)
{
    if (!u)
        return 0;
    nart__unix_unlink(&u->io, u->reserved);
    nart_res r = nart__io_close(&u->io, NULL);
    if (r < 0)
        return r;
    *u = (nart_unix_dgram){ .fd = 0 };
    return 0;
}
