/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pipe.c: pipes, FIFOs, terminals (tty.c has their size and mode); reading and writing of any descriptor that is no socket.
 *
 * 1. A short read or write clears nothing: a terminal returns one line of several, and a pipe may be in packet mode.
 *    So the next call asks the kernel.
 * 2. A FIFO that was opened to read counts as not ready: the kernel reports no hang-up before the first writer, but a
 *    read would answer 0, the end.
 * 3. The open file of a terminal or pipe is opened once more by its name in /proc, never changed. */
#include "net.h"

#include <nart/pipe.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- opening ---- */

/* Makes `fd` a handle, or closes it. */
static nart_res bind_or_close(nart__under under, int fd, nart_fd *out)
{
    nart_res r = nart__io_bind(&out->io, under.drv, under.host, fd);
    if (r)
        under.drv->sys->close(fd);
    return r;
}

static nart_res pipe_under(nart__under under, nart_fd *in, nart_fd *out)
{
    int fds[2];

    if (!in || !out)
        return -EINVAL;
    *in = *out = (nart_fd){ 0 };
    nart_res r = under.refused ? under.refused : under.drv->sys->pipe(fds);
    if (r)
        return r;
    r = bind_or_close(under, fds[0], in);
    if (r) {
        under.drv->sys->close(fds[1]);
        return r;
    }
    r = bind_or_close(under, fds[1], out);
    if (r)
        (void)nart_fd_close(in);
    return r;
}

nart_res nart_pipe_open(nart_rt *rt, nart_fd *in, nart_fd *out)
{
    return pipe_under(nart__under_rt(rt), in, out);
}

nart_res nart_pipe_open_here(nart_cx *cx, nart_fd *in, nart_fd *out)
{
    return pipe_under(nart__under_cx(cx), in, out);
}

static nart_res fifo_under(nart__under under, const char *path, uint32_t dirs, nart_fd *out)
{
    static const int flags[] = { 0, O_RDONLY, O_WRONLY, O_RDWR };

    if (!out)
        return -EINVAL;
    *out = (nart_fd){ 0 };
    if (under.refused)
        return under.refused;
    if (!path || dirs == 0 || dirs > (NART_READ | NART_WRITE))
        return -EINVAL;
    const nart_sys *sys = under.drv->sys;
    uint64_t id[2];
    int fd = sys->open(path, flags[dirs]);
    if (fd == -EISDIR || (fd == -ENXIO && sys->path_id(path, id) == 0)) /* a directory, a socket */
        return -EPROTOTYPE;
    if (fd < 0)
        return fd;
    int kind = sys->kind(fd);
    if (kind != S_IFIFO) {
        sys->close(fd);
        return kind < 0 ? kind : -EPROTOTYPE;
    }
    nart_res r = bind_or_close(under, fd, out);
    if (r == 0 && dirs == NART_READ)
        nart_fd_clear(out, NART_READ);
    return r;
}

nart_res nart_fifo_open(nart_rt *rt, const char *path, uint32_t dirs, nart_fd *out)
{
    return fifo_under(nart__under_rt(rt), path, dirs, out);
}

nart_res nart_fifo_open_here(nart_cx *cx, const char *path, uint32_t dirs, nart_fd *out)
{
    return fifo_under(nart__under_cx(cx), path, dirs, out);
}

static nart_res reopen_under(nart__under under, int fd, nart_fd *out)
{
    char name[32];

    if (!out)
        return -EINVAL;
    *out = (nart_fd){ 0 };
    if (under.refused)
        return under.refused;
    const nart_sys *sys = under.drv->sys;
    int kind = sys->kind(fd), mode = kind < 0 ? kind : sys->access_mode(fd);
    if (mode < 0)
        return mode;
    bool whole = kind == S_IFREG || kind == S_IFDIR || kind == S_IFBLK; /* with a position */
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int own = whole ? sys->dup(fd) : sys->open(name, mode);
    return own < 0 ? own : bind_or_close(under, own, out);
}

nart_res nart_fd_reopen(nart_rt *rt, int fd, nart_fd *out)
{
    return reopen_under(nart__under_rt(rt), fd, out);
}

nart_res nart_fd_reopen_here(nart_cx *cx, int fd, nart_fd *out)
{
    return reopen_under(nart__under_cx(cx), fd, out);
}

/* ---- reading and writing ---- */

nart_res nart_fd_read(nart_cx *cx, nart_fd *h, void *buf, size_t len)
{
    if (len == 0)
        return h->io.drv ? -EINVAL : -EBADF;
    return nart__io_transfer(cx, &h->io, NART_READ, nart__call_read, &(struct iovec){ buf, len },
                             1);
}

nart_res nart_fd_write(nart_cx *cx, nart_fd *h, const void *buf, size_t len)
{
    const struct iovec piece = { (void *)(uintptr_t)buf, len };

    if (len == 0) {
        nart_res r = nart__io_enter(&h->io, NART_WRITE, cx);
        return r ? r : h->io.drv ? 0 : -EBADF;
    }
    return nart__io_transfer(cx, &h->io, NART_WRITE, nart__call_write, &piece, 1);
}

nart_res nart_fd_write_all(nart_cx *cx, nart_fd *h, const void *buf, size_t len, size_t *done)
{
    if (*done > 0 && *done >= len)
        return -EINVAL;
    do {
        const char *rest = *done > 0 ? (const char *)buf + *done : buf; /* which may be NULL */
        nart_res r = nart_fd_write(cx, h, rest, len - *done);
        if (r < 0)
            return r;
        *done += (size_t)r;
    } while (*done < len);
    *done = 0;
    return (nart_res)len;
}
