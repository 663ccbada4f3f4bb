/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* try.c: calls on connections that do not wait, and readiness for them and for datagrams.
 *
 * A try makes one system call. It needs no poll: EAGAIN clears the direction through the handle's driver, so that
 * nart_tcp_ready() waits for the next edge. A wait of another task is not touched: if the try takes what it waits
 * for, its own system call finds that. */
#include "net.h"

/* The descriptor, if the stream is open in this direction; -EPIPE where receiving answers 0. */
static nart_res usable(const nart_tcp *s, uint32_t dir)
{
    nart_res fd = nart__io_fd(&s->io);
    nart_res r = fd < 0 ? fd : nart__tcp_check(s, dir);

    return r ? r : fd;
}

static nart_res tried(nart_tcp *s, uint32_t dir, nart_res r)
{
    if (r == -EAGAIN)
        nart__io_not_ready(&s->io, dir);
    return r < 0 ? nart__tcp_failed(s, r) : r;
}

/* The descriptor, to receive from; -EPIPE: the answer is 0. */
static nart_res to_receive(const nart_tcp *s, size_t len)
{
    nart_res fd = nart__io_fd(&s->io);
    nart_res no = fd < 0 ? fd : nart__tcp_check(s, NART_READ);

    if (no == nart__tcp_rest(s)) /* also 0 */
        no = len == 0 ? -EINVAL : fd;
    return no == -EPIPE && len == 0 ? -EINVAL : no;
}

static nart_res try_recv(nart_tcp *s, void *buf, size_t len, int flags)
{
    nart_res fd = to_receive(s, len), error = nart__tcp_error(s);

    if (fd < 0)
        return fd == -EPIPE ? 0 : fd;
    nart_res r = s->io.drv->sys->recv((int)fd, buf, len, flags);
    return error && r <= 0 ? error : r;
}

nart_res nart_tcp_try_recv(nart_tcp *s, void *buf, size_t len)
{
    return tried(s, NART_READ, try_recv(s, buf, len, 0));
}

/* By recvmsg, which reports that a message was cut. */
nart_res nart_unix_try_recv(nart_unix *u, void *buf, size_t len)
{
    struct iovec piece = { buf, len };
    nart_msg m = { .pieces = &piece, .n = 1 };
    nart_res fd = to_receive(&u->conn, len);

    if (fd < 0)
        return fd == -EPIPE ? 0 : fd;
    return tried(&u->conn, NART_READ,
                 nart__msg_take(u->conn.io.drv->sys, (int)fd, &u->conn, &m, NULL,
                                nart__unix_boundaries(u), 0));
}

nart_res nart_tcp_try_recv_urgent(nart_tcp *s, uint8_t *byte)
{
    nart_res r = try_recv(s, byte, 1, MSG_OOB); /* its EAGAIN says nothing of other bytes */
    if (r == 1)
        s->reserved[NART__TCP_MARK] = 1;
    return r < 0 ? nart__tcp_failed(s, r) : r;
}

nart_res nart_tcp_try_send(nart_tcp *s, const void *buf, size_t len)
{
    nart_res fd = usable(s, NART_WRITE);

    if (fd < 0 || len == 0)
        return fd < 0 ? fd : 0;
    return tried(s, NART_WRITE, s->io.drv->sys->send((int)fd, buf, len, 0));
}

nart_res nart_unix_try_send(nart_unix *u, const void *buf, size_t len)
{
    return nart_tcp_try_send(&u->conn, buf, len);
}

nart_res nart_tcp_ready(nart_cx *cx, nart_tcp *s, uint32_t dirs)
{
    const uint32_t both = NART_READ | NART_WRITE;
    uint32_t ended = 0; /* an operation in this direction answers at once */
    nart_res error = nart__tcp_error(s), r = nart__io_enter(&s->io, dirs & both, cx);
    if (r)
        return r;
    for (uint32_t dir = NART_READ; dir <= NART_WRITE; dir <<= 1) {
        r = nart__tcp_check(s, dir);
        if (r && r != -EPIPE && r != error)
            return r;
        ended |= r ? dirs & dir : 0;
    }
    if (!ended || !nart__io_under(&s->io, cx) || dirs & ~both)
        return nart__io_ready(&s->io, dirs, cx);
    nart__io_unwait(&s->io, dirs, cx);
    return (nart_res)(ended | (error ? NART_ERROR : 0u));
}

nart_res nart_unix_ready(nart_cx *cx, nart_unix *u, uint32_t dirs)
{
    return nart_tcp_ready(cx, &u->conn, dirs);
}

void nart_tcp_clear(nart_tcp *s, uint32_t dirs)
{
    nart__io_not_ready(&s->io, dirs);
}

void nart_unix_clear(nart_unix *u, uint32_t dirs)
{
    nart_tcp_clear(&u->conn, dirs);
}

nart_res nart_udp_ready(nart_cx *cx, nart_udp *u, uint32_t dirs)
{
    nart_res r = nart__io_enter(&u->io, dirs & (NART_READ | NART_WRITE), cx);
    return r ? r : nart__io_ready(&u->io, dirs, cx);
}

void nart_udp_clear(nart_udp *u, uint32_t dirs)
{
    nart__io_not_ready(&u->io, dirs);
}
