/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* io.c: handles and their driver, readiness of any descriptor.
 *
 * A handle is {driver, host, id}. The host of a loop is its hub, which outlives the runtime, and ids never
 * repeat under a host. Every operation on a handle first looks its id up there. So a handle that outlived
 * its runtime is never taken for one of a later runtime, and a descriptor number is used only while it is
 * known to belong to the handle. */
#include "net.h"

#include <poll.h>

nart_res nart__io_want_slow(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    if (!io->drv)
        return -EBADF;
    if (!nart__io_under(io, cx))
        return NART_EDRIVER;
    return io->drv->io_want(io->host, io->id, dirs, cx);
}

nart_res nart__io_halted(const nart_io *io, uint32_t dirs, nart_cx *cx, nart_res r)
{
    if (r == NART_PENDING)
        nart__io_stay(io, dirs, cx);
    else if (r != -EPERM)
        nart__io_unwait(io, dirs, cx);
    return r;
}

nart_res nart__io_bind_for(nart_io *io, uint32_t dirs, const nart_driver *drv, void *host, int fd)
{
    uint64_t id;
    nart_res r =
        drv == &nart__loop ? nart__loop_io_add(host, fd, dirs, &id) : drv->io_add(host, fd, &id);
    if (r == 0)
        *io = (nart_io){ drv, host, id };
    return r;
}

nart_res nart__io_bind(nart_io *io, const nart_driver *drv, void *host, int fd)
{
    return nart__io_bind_for(io, 0, drv, host, fd);
}

nart__under nart__under_rt(nart_rt *rt)
{
    nart_res r = nart__rt_check(rt);
    return r ? (nart__under){ .refused = r } : (nart__under){ 0, rt->cx.drv, rt->cx.host };
}

nart__under nart__under_cx(const nart_cx *cx)
{
    if (cx->drv == &nart__loop && nart__hub_is_forked(cx->host))
        return (nart__under){ .refused = NART_EFORK };
    return (nart__under){ cx->drv->sys ? 0 : NART_EDRIVER, cx->drv, cx->host };
}

nart_res nart__io_close(const nart_io *io, const void *connecting)
{
    int fd;

    if (!io->drv)
        return 0;
    nart_res r = connecting && io->drv == &nart__loop
                     ? nart__loop_io_leave(io->host, io->id, connecting, &fd)
                     : io->drv->io_del(io->host, io->id, &fd);
    if (r >= 0)
        io->drv->sys->close(fd);
    return r == NART_ESTALE ? 0 : r;
}

nart_res nart__io_detach(const nart_io *io, int *fd)
{
    if (!io->drv)
        return -EBADF;
    nart_res r = fd ? io->drv->io_del(io->host, io->id, fd) : -EINVAL;
    return r < 0 ? r : 0;
}

nart_res nart__io_wake(const nart_io *io)
{
    return io->drv ? io->drv->io_wake(io->host, io->id) : 0;
}

nart_res nart__io_fd(const nart_io *io)
{
    return io->drv ? io->drv->io_fd(io->host, io->id) : -EBADF;
}

nart_res nart__io_usable(const nart_io *io, const nart_cx *cx)
{
    nart_res r = !io->drv ? -EBADF : nart__io_under(io, cx) ? nart__io_fd(io) : NART_EDRIVER;
    return r < 0 ? r : 1;
}

nart_res nart__io_set_option(const nart_io *io, int level, int name, int value)
{
    nart_res fd = nart__io_fd(io);

    return fd < 0 ? fd : io->drv->sys->setsockopt((int)fd, level, name, &value, sizeof value);
}

nart_res nart__io_option(const nart_io *io, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    nart_res fd = nart__io_fd(io);
    nart_res r = fd < 0 ? fd : io->drv->sys->getsockopt((int)fd, level, name, &value, &size);

    return r < 0 ? r : value;
}

/* ---- moving bytes ---- */

ssize_t nart__call_read(const nart_sys *sys, int fd, const struct iovec *pieces, size_t n)
{
    (void)n;
    return sys->read(fd, pieces->iov_base, pieces->iov_len);
}

ssize_t nart__call_write(const nart_sys *sys, int fd, const struct iovec *pieces, size_t n)
{
    return sys->writev(fd, pieces, (int)n);
}

nart_res nart__io_transfer_of(nart_cx *cx, const nart_io *io, nart_tcp *conn, uint32_t dir,
                              nart__call_fn *call, const struct iovec *pieces, size_t n)
{
    nart_res r = nart__io_enter(io, dir, cx);
    if (NART_UNLIKELY(r))
        return r;
    for (;;) {
        r = nart__io_want(io, dir, cx);
        if (r <= 0)
            return r;
        nart_res fd = nart__io_fd(io);
        if (NART_UNLIKELY(fd < 0))
            return fd;
        ssize_t moved = call(io->drv->sys, (int)fd, pieces, n);
        if (moved != -EAGAIN)
            return moved < 0 && conn ? nart__tcp_failed(conn, moved) : moved;
        nart__io_clear(io, dir, cx);
    }
}

/* ---- readiness of any descriptor ---- */

static nart_res fd_open(nart__under under, int fd, uint32_t flags, nart_fd *out)
{
    bool borrow = flags & NART_FD_BORROW;

    if (!out)
        return -EINVAL;
    *out = (nart_fd){ 0 };
    if (under.refused)
        return under.refused;
    if (flags & ~(uint32_t)(NART_FD_BORROW | NART_FD_LEVEL))
        return -EINVAL;
    /* A duplicate: if the number itself were watched, and closed and reused before the handle is
     * closed, closing the handle would stop watching a descriptor of somebody else. */
    int own = borrow ? under.drv->sys->dup(fd) : fd;
    if (own < 0)
        return borrow ? own : -EBADF;
    nart_res r = nart__io_bind(&out->io, under.drv, under.host, own);
    if (r && borrow)
        under.drv->sys->close(own);
    out->flags = flags;
    return r;
}

nart_res nart_fd_open(nart_rt *rt, int fd, uint32_t flags, nart_fd *out)
{
    return fd_open(nart__under_rt(rt), fd, flags, out);
}

nart_res nart_fd_open_here(nart_cx *cx, int fd, uint32_t flags, nart_fd *out)
{
    return fd_open(nart__under_cx(cx), fd, flags, out);
}

/* The reactor's view of a descriptor's state may be outdated without an event: only the kernel knows. Clears
 * the bits that no longer hold. */
static NART__COLD nart_res that_hold(const nart_io *io, nart_res bits, nart_cx *cx)
{
    nart_res fd = nart__io_fd(io);
    int now = fd < 0 ? (int)fd : io->drv->sys->poll((int)fd, POLLRDHUP);
    uint32_t over = (uint32_t)bits & NART__IO_STATES;

    if (now < 0) /* the state is unknown: keep the bits */
        return bits;
    if (now & POLLERR)
        over &= ~(uint32_t)NART_ERROR;
    if (now & POLLHUP)
        over &= ~(uint32_t)NART_HANGUP;
    if (now & POLLRDHUP)
        over &= ~(uint32_t)NART_RDHUP;
    if (over)
        nart__io_clear(io, over, cx);
    return bits & ~(nart_res)over;
}

void nart__io_look(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    nart_res fd = nart__io_fd(io);
    short events = (short)((dirs & NART_READ ? POLLIN : 0) | (dirs & NART_WRITE ? POLLOUT : 0));
    int now = fd < 0 || !nart__io_under(io, cx) ? -1 : io->drv->sys->poll((int)fd, events);

    if (now < 0 || now & (POLLERR | POLLHUP | POLLNVAL)) /* both directions are ready */
        return;
    dirs &= (now & POLLIN ? 0u : NART_READ) | (now & POLLOUT ? 0u : NART_WRITE);
    if (dirs)
        nart__io_clear(io, dirs, cx);
}

nart_res nart__io_ready(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    const uint32_t both = NART_READ | NART_WRITE;

    nart_res r = dirs == 0 || dirs & ~both ? -EINVAL : nart__io_want(io, dirs, cx);
    if (r > 0 && NART_UNLIKELY(r & NART__IO_STATES))
        r = that_hold(io, r, cx);
    return r > 0 ? r & (nart_res)(dirs | NART__IO_STATES) : r;
}

void nart__io_not_ready(const nart_io *io, uint32_t dirs)
{
    if (io->drv)
        io->drv->io_clear(io->host, io->id, dirs & (NART_READ | NART_WRITE));
}

nart_res nart_fd_ready(nart_cx *cx, nart_fd *h, uint32_t dirs)
{
    nart_res r = nart__io_enter(&h->io, dirs & (NART_READ | NART_WRITE), cx);
    if (r == 0 && h->flags & NART_FD_LEVEL)
        nart__io_look(&h->io, dirs, cx);
    return r ? r : nart__io_ready(&h->io, dirs, cx);
}

void nart_fd_clear(nart_fd *h, uint32_t dirs)
{
    nart__io_not_ready(&h->io, dirs);
}

nart_res nart_fd_fd(const nart_fd *h)
{
    return nart__io_fd(&h->io);
}

nart_res nart_fd_detach(nart_fd *h)
{
    int fd;
    nart_res r = nart__io_detach(&h->io, &fd);

    if (r)
        return r;
    *h = (nart_fd){ 0 };
    return fd;
}

nart_res nart_fd_close(nart_fd *h)
{
    if (!h)
        return 0;
    nart_res r = nart__io_close(&h->io, NULL);
    if (r < 0)
        return r;
    *h = (nart_fd){ 0 };
    return 0;
}
