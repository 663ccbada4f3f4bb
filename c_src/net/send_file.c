/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* send_file.c: bytes of a file or a pipe to a connected socket, without copying them through the program.
 *
 * 1. A short answer of the kernel does not clear the direction: the file may have ended there. The next call says
 *    which it was: 0, or EAGAIN.
 * 2. EAGAIN of a splice may be about either end. Both are asked, and those that are not ready are cleared. If both
 *    are by now, the splice is repeated.
 * 3. While it waits for one end, it does not wait for the other.
 * 4. One call moves at most PART, and each is charged: a fast peer does not keep the loop. */
#include "net.h"

#define PART ((size_t)1 << 20)

/* A pipe; or, where that is NULL, a file and the offset of the next byte. */
struct source {
    const nart_io *pipe;
    int fd;
    int64_t offset;
};

/* > 0: both ends may be ready. Any other answer but NART_PENDING ends the waits in both. */
static nart_res want(nart_cx *cx, const nart_tcp *s, const nart_io *pipe)
{
    nart_res r = nart__tcp_check(s, NART_WRITE) ? nart__tcp_refused(cx, s, NART_WRITE) : 0;

    if (r == 0 && pipe)
        r = nart__io_want(pipe, NART_READ, cx);
    if (r >= 0)
        r = nart__io_want(&s->io, NART_WRITE, cx);
    if (r < 0 && r != NART_PENDING) {
        nart__io_unwait(&s->io, NART_WRITE, cx);
        if (pipe)
            nart__io_unwait(pipe, NART_READ, cx);
    }
    return r;
}

static nart_res enter(nart_cx *cx, const nart_tcp *s, const nart_io *pipe)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);

    return NART_UNLIKELY(r) && pipe ? nart__io_halted(pipe, NART_READ, cx, r) : r;
}

/* Makes one system call that moves bytes, or parks. 0: the source has ended. */
static nart_res move(nart_cx *cx, nart_tcp *s, const struct source *from, size_t len)
{
    for (;;) {
        nart_res r = enter(cx, s, from->pipe);
        if (r == 0)
            r = want(cx, s, from->pipe);
        if (r < 0)
            return r;
        nart_res fd = from->pipe ? nart__io_fd(from->pipe) : from->fd;
        if (fd < 0)
            return from->pipe ? fd : -EBADF;
        r = s->io.drv->sys->send_file(s->fd, (int)fd, from->pipe ? NULL : &from->offset, len);
        if (r != -EAGAIN)
            return r < 0 ? nart__tcp_failed(s, r) : r;
        if (from->pipe) {
            nart__io_look(from->pipe, NART_READ, cx);
            nart__io_look(&s->io, NART_WRITE, cx);
        } else {
            nart__io_clear(&s->io, NART_WRITE, cx);
        }
    }
}

static nart_res move_all(nart_cx *cx, nart_tcp *s, struct source *from, size_t len, size_t *done)
{
    const int64_t start = from->offset;
    nart_res r;

    if (start < 0 || (*done > 0 && *done >= len))
        return -EINVAL;
    do {
        size_t left = len - *done;
        from->offset = start + (int64_t)*done;
        r = move(cx, s, from, left < PART ? left : PART);
        if (r < 0)
            return r;
        *done += (size_t)r;
    } while (r > 0 && *done < len);
    r = (nart_res)*done;
    *done = 0;
    return r;
}

nart_res nart_tcp_send_file(nart_cx *cx, nart_tcp *s, int fd, int64_t offset, size_t len,
                            size_t *done)
{
    struct source from = { .fd = fd, .offset = offset };

    return move_all(cx, s, &from, len, done);
}

nart_res nart_tcp_send_pipe(nart_cx *cx, nart_tcp *s, nart_fd *from, size_t len, size_t *done)
{
    struct source pipe = { .pipe = &from->io };

    return move_all(cx, s, &pipe, len, done);
}
