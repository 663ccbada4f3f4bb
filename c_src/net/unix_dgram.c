/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unix_dgram.c: Unix datagrams.
 *
 * A socket is a nart_udp: all but opening, connecting and sending is the code of that.
 *
 * EAGAIN of a send has two causes. The sender's own buffer is full, or the queue of a connected receiver: then the
 * kernel reports the end of it. Or the queue of a receiver to which the socket is not connected is full: the socket
 * is writable, and nothing reports the end. So after EAGAIN of a send with an address the kernel is asked which it is.
 * Nor does a wait for the queue of the peer concern a send to another receiver: one with an address makes its system
 * call whatever the readiness is. */
#include "net.h"

/* Of a bound socket, in the reserved words: see nart__unix_bound(). */
enum { ID = 0 };

static nart_res open_under(nart__under under, const nart_addr *addr, const nart_unix_opts *opts,
                           nart_unix_dgram *out)
{
    nart_unix_opts o;

    if (!out)
        return -EINVAL;
    *out = (nart_unix_dgram){ .sock = { .fd = 0 } };
    nart_udp *u = &out->sock;
    nart_res r = under.refused;
    if (r == 0 && addr)
        r = nart__unix_check(addr, false);
    if (r == 0)
        r = nart__unix_opts(&o, opts, addr, NART_UNIX_REPLACE | NART_UNIX_UNLINK);
    if (r)
        return r;
    const nart_sys *sys = under.drv->sys;
    r = addr ? nart__unix_bound(sys, addr, SOCK_DGRAM, &o, &u->reserved[ID])
             : sys->socket(AF_UNIX, SOCK_DGRAM);
    if (r < 0)
        return r;
    u->fd = (int)r;
    r = nart__io_bind(&u->io, under.drv, under.host, u->fd);
    if (r) {
        if (addr && nart__unix_path(addr))
            (void)sys->unlink(nart__unix_path(addr));
        sys->close(u->fd);
        *u = (nart_udp){ .fd = 0 };
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

nart_res nart__unix_dgram_adopt(nart__under under, int fd, nart_udp *out)
{
    if (!out)
        return -EINVAL;
    *out = (nart_udp){ .fd = 0 };
    if (under.refused)
        return under.refused;
    nart_res type = nart__unix_type(under.drv->sys, fd);
    nart_res r = type < 0             ? type
                 : type != SOCK_DGRAM ? -EPROTOTYPE
                                      : under.drv->sys->set_nonblocking(fd);
    if (r == 0)
        r = nart__io_bind(&out->io, under.drv, under.host, fd);
    if (r == 0)
        out->fd = fd;
    return r;
}

nart_res nart_unix_dgram_adopt(nart_rt *rt, int fd, nart_unix_dgram *out)
{
    return nart__unix_dgram_adopt(nart__under_rt(rt), fd, out ? &out->sock : NULL);
}

nart_res nart_unix_dgram_adopt_here(nart_cx *cx, int fd, nart_unix_dgram *out)
{
    return nart__unix_dgram_adopt(nart__under_cx(cx), fd, out ? &out->sock : NULL);
}

nart_res nart_unix_dgram_detach(nart_unix_dgram *u, int *fd)
{
    return nart_udp_detach(&u->sock, fd);
}

nart_res nart_unix_dgram_connect(nart_unix_dgram *u, const nart_addr *addr)
{
    nart_res r = nart__unix_check(addr, true);
    if (r)
        return r;
    r = nart__io_fd(&u->sock.io);
    if (r < 0)
        return r;
    return u->sock.io.drv->sys->connect((int)r, (const struct sockaddr *)&addr->storage, addr->len);
}

/* ---- receiving ---- */

nart_res nart_unix_dgram_recvmsg(nart_cx *cx, nart_unix_dgram *u, nart_msg *m)
{
    return nart_udp_recvmsg(cx, &u->sock, m);
}

nart_res nart_unix_dgram_recv(nart_cx *cx, nart_unix_dgram *u, void *buf, size_t len,
                              nart_addr *from)
{
    return nart_udp_recv(cx, &u->sock, buf, len, from);
}

nart_res nart_unix_dgram_recv_many(nart_cx *cx, nart_unix_dgram *u, nart_udp_msg *msgs, size_t n)
{
    return nart_udp_recv_many(cx, &u->sock, msgs, n);
}

nart_res nart_unix_dgram_peek(nart_cx *cx, nart_unix_dgram *u, void *buf, size_t len,
                              nart_addr *from)
{
    return nart_udp_peek(cx, &u->sock, buf, len, from);
}

nart_res nart_unix_dgram_try_recv(nart_unix_dgram *u, void *buf, size_t len, nart_addr *from)
{
    return nart_udp_try_recv(&u->sock, buf, len, from);
}

nart_res nart_unix_dgram_try_recv_many(nart_unix_dgram *u, nart_udp_msg *msgs, size_t n)
{
    return nart_udp_try_recv_many(&u->sock, msgs, n);
}

nart_res nart_unix_dgram_ready(nart_cx *cx, nart_unix_dgram *u, uint32_t dirs)
{
    return nart_udp_ready(cx, &u->sock, dirs);
}

void nart_unix_dgram_clear(nart_unix_dgram *u, uint32_t dirs)
{
    nart_udp_clear(&u->sock, dirs);
}

/* ---- sending ---- */

nart_res nart_unix_dgram_sendmsg(nart_cx *cx, nart_unix_dgram *u, const nart_msg *m)
{
    nart_res r = m->addr ? nart__unix_check(m->addr, true) : 0;

    return r ? r : nart__msg_send(cx, &u->sock.io, NULL, m, m->addr, true);
}

nart_res nart_unix_dgram_send(nart_cx *cx, nart_unix_dgram *u, const void *buf, size_t len,
                              const nart_addr *to)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    const nart_msg m = { .pieces = &piece, .n = 1, .addr = (nart_addr *)(uintptr_t)to };

    return nart_unix_dgram_sendmsg(cx, u, &m);
}

struct batch {
    const nart_udp_msg *msgs;
    unsigned n;
};

static ssize_t send_batch(const nart_sys *sys, int fd, const void *what)
{
    const struct batch *b = what;
    return nart__udp_send_batch(sys, fd, b->msgs, b->n);
}

/* How many of these messages can be sent: of 0, the error about the first one. */
static nart_res batch_of(struct batch *b, const nart_udp_msg *msgs, size_t n)
{
    nart_res r = n == 0 ? -EINVAL : 0;

    *b = (struct batch){ msgs, 0 };
    while (r == 0 && b->n < n && b->n < NART_UDP_BATCH) {
        const nart_addr *to = &msgs[b->n].addr;
        r = to->len > 0 ? nart__unix_check(to, true) : 0;
        if (msgs[b->n].segment) /* of UDP only */
            r = -EINVAL;
        b->n += r == 0;
    }
    return b->n > 0 ? b->n : r;
}

/* The receiver of the first message; NULL: that to which the socket is connected. */
static const nart_addr *receiver(const nart_udp_msg *msgs)
{
    return msgs->addr.len > 0 ? &msgs->addr : NULL;
}

nart_res nart_unix_dgram_send_many(nart_cx *cx, nart_unix_dgram *u, const nart_udp_msg *msgs,
                                   size_t n)
{
    struct batch b;
    nart_res r = batch_of(&b, msgs, n);

    return r < 0 ? r : nart__send_to(cx, &u->sock.io, NULL, receiver(msgs), send_batch, &b);
}

nart_res nart_unix_dgram_try_send_many(nart_unix_dgram *u, const nart_udp_msg *msgs, size_t n)
{
    struct batch b;
    nart_res r = batch_of(&b, msgs, n);

    return r < 0 ? r : nart__try_send_to(&u->sock.io, receiver(msgs), send_batch, &b);
}

nart_res nart_unix_dgram_try_send(nart_unix_dgram *u, const void *buf, size_t len,
                                  const nart_addr *to)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    const nart_msg m = { .pieces = &piece, .n = 1 };
    nart_res r = to ? nart__unix_check(to, true) : 0;

    return r ? r : nart__msg_try_send(&u->sock.io, &m, to);
}

/* ---- the rest ---- */

nart_res nart_unix_dgram_local_addr(const nart_unix_dgram *u, nart_addr *out)
{
    return nart_udp_local_addr(&u->sock, out);
}

nart_res nart_unix_dgram_fd(const nart_unix_dgram *u)
{
    return nart_udp_fd(&u->sock);
}

void nart_unix_dgram_move(nart_unix_dgram *dst, nart_unix_dgram *src)
{
    nart_udp_move(&dst->sock, &src->sock);
}

nart_res nart_unix_dgram_close(nart_unix_dgram *u)
{
    if (!u)
        return 0;
    nart__unix_unlink(&u->sock.io, &u->sock.reserved[ID]);
    return nart_udp_close(&u->sock);
}
