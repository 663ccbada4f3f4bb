/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tcp.c: connected TCP sockets.
 *
 * States of a handle: CLOSED (zeroed) -> CONNECTING -> OPEN (-> FAILED) -> CLOSED. After a shutdown of reading the
 * kernel still delivers arriving data; a handle does not (NART__TCP_SHUT). The kernel reports an error of the connection
 * once, to whichever call is the first, and to later ones the end of the stream: so a handle in FAILED keeps it. Bytes
 * that arrived before it are still received. A connect is one operation over many polls, and its state is in the handle:
 *
 *  1. CLOSED: make the socket, start the connect, register the socket afterwards (a socket that is
 *     registered before it connects reports a hang-up at once).
 *  2. CONNECTING: wait for the write direction, read SO_ERROR once: OPEN, or closed with the error.
 *  3. Any other answer closes the socket, too, except an answer to a task that does not own the connect,
 *     even if that is -ECANCELED: another task awaits this connect.
 *     A connect that is no longer awaited stays as it is.
 *  4. Another task, or another arm of a race, closes the handle while its connect is awaited: the handle
 *     is CLOSED, and can be used for another connect at once. The wait is left behind in the reactor's
 *     record (nart__reactor_leave()), so the connect of its body, and no other, answers NART_EABORTED.
 *  5. Under a driver other than the loop the handle becomes ABANDONED, and the next connect on it
 *     answers NART_EABORTED. */
#include "net.h"

#include <nart/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

/* From FAILED on it has been connected. */
enum { CLOSED, CONNECTING, ABANDONED, FAILED, OPEN };

/* The error with which sending and receiving are not possible. */
static NART__COLD nart_res not_open(const nart_tcp *s)
{
    if (s->state == FAILED)
        return nart__tcp_error(s);
    return s->state == CONNECTING ? -ENOTCONN : -EBADF;
}

/* Does this errno mean that the connection has ended? Not EPIPE, which is about sending only. */
static bool ends_connection(nart_res r)
{
    switch (-r) {
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

nart_res nart__tcp_failed(nart_tcp *s, nart_res r)
{
    if (s->state >= OPEN && ends_connection(r)) {
        s->state = FAILED;
        s->reserved[NART__TCP_ERROR] = (uint64_t)-r;
        (void)nart__io_wake(&s->io); /* a task that waits in the other direction */
    }
    return r;
}

nart_res nart__tcp_refused(nart_cx *cx, const nart_tcp *s, uint32_t dir)
{
    nart_res no = nart__tcp_check(s, dir);

    if (s->state < FAILED)
        return no;
    if (!nart__io_under(&s->io, cx))
        return NART_EDRIVER;
    nart_res fd = nart__io_fd(&s->io);
    if (fd < 0)
        return fd;
    nart__io_unwait(&s->io, dir, cx);
    return no == -EPIPE && dir == NART_READ ? 0 : no;
}

nart_res nart__tcp_check(const nart_tcp *s, uint32_t dir)
{
    if (s->state < OPEN)
        return not_open(s);
    bool ended = (s->reserved[NART__TCP_SHUT] & dir) != 0;
    return ended ? -EPIPE : 0;
}

static void set_closed(nart_tcp *s, bool woken)
{
    bool abandoned = woken && s->state == CONNECTING && s->io.drv != &nart__loop;
    *s = (nart_tcp){ .state = abandoned ? ABANDONED : CLOSED };
}

/* ---- connecting ---- */

static nart_res connect_go_on(nart_cx *cx, nart_tcp *s)
{
    nart_res r = nart__io_want(&s->io, NART_WRITE, cx);
    if (r <= 0)
        return r;
    r = s->io.drv->sys->sock_error(s->fd);
    if (r == 0)
        s->state = OPEN;
    return r;
}

/* The descriptor of a socket of TCP that was made step by step. */
static nart_res take_socket(const nart_sys *sys, nart_socket *from)
{
    nart_res fd = nart_socket_fd(from);
    nart_res r = fd < 0 ? fd : nart__socket_take(sys, (int)fd, IPPROTO_TCP);
    return r < 0 ? r : nart_socket_detach(from);
}

nart_res nart__tcp_connect_start(nart_cx *cx, nart_tcp *s, nart_socket *from, const nart_addr *addr)
{
    const nart_sys *sys = cx->drv->sys;

    nart_res r = nart__addr_check(addr);
    if (r == 0 && nart_addr_port(addr) == 0) /* the kernel would try, and be refused */
        r = -EINVAL;
    if (r)
        return r;
    if (!sys)
        return NART_EDRIVER;
    r = from ? take_socket(sys, from)
             : nart__socket_open(sys, addr->storage.ss_family, SOCK_STREAM);
    if (r < 0)
        return r;
    int fd = (int)r;
    int begun = sys->connect(fd, (const struct sockaddr *)&addr->storage, addr->len);
    r = begun == -EINPROGRESS ? 0 : begun;
    if (r == 0)
        r = nart__io_bind_for(&s->io, begun ? NART_WRITE : 0, cx->drv, cx->host, fd);
    if (r) {
        sys->close(fd);
        return r;
    }
    s->fd = fd;
    s->state = begun ? CONNECTING : OPEN;
    if (begun == 0)
        return 0;
    nart__io_clear(&s->io, NART_READ | NART_WRITE,
                   cx); /* the kernel has just reported EINPROGRESS */
    return 1;
}

static nart_res connect_begin(nart_cx *cx, nart_tcp *s, nart_socket *from, const nart_addr *addr)
{
    nart_res r = nart__tcp_connect_start(cx, s, from, addr);
    return r > 0 ? connect_go_on(cx, s) : r;
}

void nart__tcp_take(nart_tcp *s, const nart_io *io, int fd)
{
    *s = (nart_tcp){ .io = *io, .fd = fd, .state = OPEN };
}

/* The wait of the connect that this body awaited here, if the handle was closed since; or NULL. */
static inline nart__wait *left_wait(nart_cx *cx, const nart_tcp *s)
{
    bool any = cx->drv == &nart__loop && nart__reactor_of(cx)->left > 0;
    return NART_UNLIKELY(any) ? nart__reactor_left(cx, s) : NULL;
}

/* Was the connect that this body awaited here ended by other code? The handle's present state does not
 * matter. */
static bool was_ended(nart_cx *cx, nart_tcp *s)
{
    nart__wait *left = left_wait(cx, s);

    if (left)
        nart__withdraw(left);
    if (left || cx->drv == &nart__loop)
        return left != NULL;
    bool ended = s->state == ABANDONED;
    if (ended)
        s->state = CLOSED;
    return ended;
}

/* Is it connecting, and is the connect awaited? */
static bool awaited(const nart_tcp *s)
{
    return s->state == CONNECTING && s->io.drv == &nart__loop &&
           nart__loop_io_awaited(s->io.host, s->io.id);
}

/* `from`: the socket with which to begin, or NULL. */
static nart_res connect_with(nart_cx *cx, nart_tcp *s, nart_socket *from, const nart_addr *addr)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);
    if (r == NART_PENDING || r == -EPERM) {
        nart__wait *left = r == NART_PENDING ? left_wait(cx, s) : NULL;
        if (left)
            nart__wait_stay(cx, left);
        return r;
    }
    if (was_ended(cx, s))
        return r ? r : NART_EABORTED;
    if (s->state >= FAILED)
        return -EISCONN;
    if (r == 0)
        r = s->state == CONNECTING ? connect_go_on(cx, s) : connect_begin(cx, s, from, addr);
    bool not_its_own =
        r == -EBUSY || r == NART_EDRIVER || (r < 0 && r != NART_PENDING && awaited(s));
    if (r < 0 && r != NART_PENDING && !not_its_own) {
        (void)nart_tcp_close(s);
        (void)nart_socket_close(from);
    }
    return r;
}

nart_res nart_tcp_connect(nart_cx *cx, nart_tcp *s, const nart_addr *addr)
{
    return connect_with(cx, s, NULL, addr);
}

nart_res nart_tcp_connect_socket(nart_cx *cx, nart_tcp *s, nart_socket *from, const nart_addr *addr)
{
    nart_socket none = { 0 };
    return connect_with(cx, s, from ? from : &none, addr);
}

/* ---- sending and receiving ---- */

/* No more data arrives: there is no connection, it has failed, or this direction was shut down. */
static NART__COLD nart_res recv_rest(nart_cx *cx, nart_tcp *s, void *buf, size_t len, int flags)
{
    nart_res error = nart__tcp_rest(s), r = nart__tcp_refused(cx, s, NART_READ);

    if (error == 0 || r != error)
        return r;
    ssize_t n = s->io.drv->sys->recv(s->fd, buf, len, flags);
    return n > 0 ? n : error;
}

/* `flags`: 0 or MSG_PEEK, after which a short answer says nothing of the queue. */
static inline nart_res receive(nart_cx *cx, nart_tcp *s, void *buf, size_t len, int flags)
{
    nart_res r = nart__io_enter(&s->io, NART_READ, cx);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(len == 0))
        return s->state < OPEN ? not_open(s) : -EINVAL;
    if (NART_UNLIKELY(nart__tcp_check(s, NART_READ) != 0))
        return recv_rest(cx, s, buf, len, flags);
    for (;;) {
        r = nart__io_want(&s->io, NART_READ, cx);
        if (r <= 0)
            return r;
        ssize_t n = s->io.drv->sys->recv(s->fd, buf, len, flags);
        if (n == -EAGAIN) {
            s->reserved[NART__TCP_MARK] = 0;
            nart__io_clear(&s->io, NART_READ, cx);
            continue;
        }
        if (NART_UNLIKELY(n < 0))
            return nart__tcp_failed(s, n);
        if (flags == 0 && (size_t)n < len && !nart__read_on(r) && !s->reserved[NART__TCP_MARK])
            nart__io_clear(&s->io, NART_READ, cx);
        return n;
    }
}

nart_res nart_tcp_recv(nart_cx *cx, nart_tcp *s, void *buf, size_t len)
{
    return receive(cx, s, buf, len, 0);
}

nart_res nart_tcp_peek(nart_cx *cx, nart_tcp *s, void *buf, size_t len)
{
    return receive(cx, s, buf, len, MSG_PEEK);
}

/* Makes one system call that accepts data, or parks. */
static inline nart_res send_some(nart_cx *cx, nart_tcp *s, const void *buf, size_t len, int flags)
{
    if (NART_UNLIKELY(s->state < OPEN))
        return nart__tcp_refused(cx, s, NART_WRITE);
    if (NART_UNLIKELY(len == 0))
        return 0;
    if (NART_UNLIKELY(s->reserved[NART__TCP_SHUT] & NART_WRITE))
        return nart__tcp_refused(cx, s, NART_WRITE);
    for (;;) {
        nart_res r = nart__io_want(&s->io, NART_WRITE, cx);
        if (r <= 0)
            return r;
        ssize_t n = s->io.drv->sys->send(s->fd, buf, len, flags);
        if (n == -EAGAIN) {
            nart__io_clear(&s->io, NART_WRITE, cx);
            continue;
        }
        if (NART_UNLIKELY(n < 0))
            return nart__tcp_failed(s, n);
        if ((size_t)n < len) /* the kernel's buffer is full */
            nart__io_clear(&s->io, NART_WRITE, cx);
        return n;
    }
}

nart_res nart_tcp_send(nart_cx *cx, nart_tcp *s, const void *buf, size_t len)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);
    return NART_UNLIKELY(r) ? r : send_some(cx, s, buf, len, 0);
}

nart_res nart_tcp_send_urgent(nart_cx *cx, nart_tcp *s, uint8_t byte)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);
    return NART_UNLIKELY(r) ? r : send_some(cx, s, &byte, 1, MSG_OOB);
}

/* 0: everything was sent. The loop ends: a partial send clears the direction, so the next round parks. */
static nart_res send_rest(nart_cx *cx, nart_tcp *s, const void *buf, size_t len, size_t *done)
{
    do {
        nart_res r = send_some(cx, s, (const char *)buf + *done, len - *done, 0);
        if (r < 0)
            return r;
        *done += (size_t)r;
    } while (*done < len);
    return 0;
}

nart_res nart_tcp_send_all(nart_cx *cx, nart_tcp *s, const void *buf, size_t len, size_t *done)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(*done > 0 && *done >= len))
        return -EINVAL;
    r = send_rest(cx, s, buf, len, done);
    if (r < 0)
        return r;
    *done = 0;
    return (nart_res)len;
}

nart_res nart_tcp_writer_set(nart_tcp_writer *w, const void *buf, size_t len)
{
    if (!buf || len == 0)
        return -EINVAL;
    if (w->done < w->len)
        return -EBUSY;
    *w = (nart_tcp_writer){ .buf = buf, .len = len };
    return 0;
}

nart_res nart_tcp_write(nart_cx *cx, nart_tcp *s, nart_tcp_writer *w)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(s->state < OPEN))
        return nart__tcp_refused(cx, s, NART_WRITE);
    if (NART_UNLIKELY(w->done > 0 && (w->id != s->io.id || w->host != s->io.host)))
        return -EINVAL;
    if (w->len == 0) /* there is no message */
        return 0;
    w->id = s->io.id;
    w->host = s->io.host;
    r = send_rest(cx, s, w->buf, w->len, &w->done);
    if (r < 0)
        return r;
    r = (nart_res)w->len;
    *w = (nart_tcp_writer){ .len = 0 };
    return r;
}

/* ---- opening, moving, closing ---- */

nart_res nart__tcp_bind(nart_tcp *s, const nart_driver *drv, void *host, int fd)
{
    nart_res r = nart__io_bind(&s->io, drv, host, fd);
    if (r == 0) {
        s->fd = fd;
        s->state = OPEN;
    }
    return r;
}

/* TCP only: elsewhere a read can also be short at the end of a message or record, with more data pending. */
static nart_res adopt_under(nart__under under, int fd, nart_tcp *out)
{
    if (!out)
        return -EINVAL;
    *out = (nart_tcp){ .state = CLOSED };
    nart_res r = under.refused;
    if (r == 0)
        r = nart__socket_take(under.drv->sys, fd, IPPROTO_TCP);
    if (r == 0)
        r = nart__tcp_bind(out, under.drv, under.host, fd);
    if (r == 0)
        out->reserved[NART__TCP_MARK] = 1; /* what was done with it before is not known */
    return r;
}

nart_res nart_tcp_adopt(nart_rt *rt, int fd, nart_tcp *out)
{
    return adopt_under(nart__under_rt(rt), fd, out);
}

nart_res nart_tcp_adopt_here(nart_cx *cx, int fd, nart_tcp *out)
{
    return adopt_under(nart__under_cx(cx), fd, out);
}

nart_res nart_tcp_detach(nart_tcp *s, int *fd, void *residue, size_t cap, size_t *n)
{
    (void)residue, (void)cap; /* epoll receives nothing ahead */
    if (n)
        *n = 0;
    if (s->state < FAILED)
        return not_open(s);
    nart_res r = nart__io_detach(&s->io, fd);
    if (r == 0)
        *s = (nart_tcp){ .state = CLOSED };
    return r;
}

void nart_tcp_move(nart_tcp *dst, nart_tcp *src)
{
    if (dst == src)
        return;
    if (awaited(src))
        (void)nart_tcp_close(src);
    nart_res woken = nart__io_wake(&src->io);
    *dst = *src;
    set_closed(src, woken > 0);
}

nart_res nart_tcp_close(nart_tcp *s)
{
    if (!s)
        return 0;
    nart_res r = nart__io_close(&s->io, s->state == CONNECTING ? s : NULL);
    if (r < 0)
        return r;
    set_closed(s, r > 0);
    return 0;
}

nart_res nart_tcp_reset(nart_tcp *s)
{
    const struct linger none = { .l_onoff = 1 };
    nart_res fd = s ? nart__io_fd(&s->io) : -EBADF, set = 0;

    if (fd >= 0)
        set = s->io.drv->sys->setsockopt((int)fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    nart_res r = nart_tcp_close(s);
    return r < 0 ? r : set;
}

/* ---- operations that do not wait ---- */

nart_res nart_tcp_shutdown(nart_tcp *s, uint32_t dirs)
{
    static const int how[] = { -1, SHUT_RD, SHUT_WR, SHUT_RDWR };

    if (dirs == 0 || dirs > (NART_READ | NART_WRITE))
        return -EINVAL;
    nart_res fd = nart__io_fd(&s->io);
    if (fd < 0)
        return fd;
    if (s->state < FAILED) /* it would end the connect and leave a socket in no valid state */
        return not_open(s);
    nart_res r = s->io.drv->sys->shutdown((int)fd, how[dirs]);
    if (r)
        return r;
    s->reserved[NART__TCP_SHUT] |= dirs;
    (void)nart__io_wake(&s->io);
    return 0;
}

nart_res nart_tcp_error(nart_tcp *s)
{
    nart_res fd = nart__io_fd(&s->io);

    if (fd < 0 || s->state < OPEN)
        return fd < 0 ? fd : not_open(s);
    return nart__tcp_failed(s, s->io.drv->sys->sock_error((int)fd));
}

nart_res nart_tcp_set_nodelay(nart_tcp *s, bool on)
{
    return nart__io_set_option(&s->io, IPPROTO_TCP, TCP_NODELAY, on);
}

nart_res nart_tcp_nodelay(const nart_tcp *s)
{
    nart_res r = nart__io_option(&s->io, IPPROTO_TCP, TCP_NODELAY);
    return r < 0 ? r : r != 0;
}

nart_res nart_tcp_local_addr(const nart_tcp *s, nart_addr *out)
{
    return nart__io_addr(&s->io, false, out);
}

nart_res nart_tcp_peer_addr(const nart_tcp *s, nart_addr *out)
{
    return nart__io_addr(&s->io, true, out);
}

nart_res nart_tcp_fd(const nart_tcp *s)
{
    return nart__io_fd(&s->io);
}
