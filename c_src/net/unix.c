/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unix.c: connected Unix sockets, and those that listen.
 *
 * A connection is a nart_tcp that is never in the state CONNECTING, a listener a nart_tcp_listener: all but opening
 * and receiving is the code of those.
 *
 *  1. A connect has an answer at once. EAGAIN means that the listener's queue is full, and no readiness reports the
 *     end of that: so it is answered.
 *  2. Receiving is by recvmsg (msg.c, pieces.c), as only that reports the end of a message, and what a short read means.
 *  3. A path is bound with the permissions that were asked for, or less: the socket's own are set before, since bind
 *     takes them less the umask, and the path's afterwards.
 *  4. Nothing but a socket is unlinked, and on closing only the one that was bound: its device and inode are in the
 *     handle.
 *
 * Not handled: the race of two servers that replace the same path. */
#include "net.h"

#include <string.h>

/* Of a bound socket, in the reserved words: see nart__unix_bound(). */
enum { ID = 0 };

static int type_of(uint32_t flags)
{
    return flags & NART_UNIX_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
}

bool nart__unix_boundaries(const nart_unix *u)
{
    return u->conn.reserved[NART__UNIX_KIND] & NART_UNIX_SEQPACKET;
}

static nart_res bind_handle(nart_unix *u, const nart_driver *drv, void *host, int fd, uint64_t kind)
{
    nart_res r = nart__tcp_bind(&u->conn, drv, host, fd);
    if (r == 0)
        u->conn.reserved[NART__UNIX_KIND] = kind;
    return r;
}

/* ---- bound sockets ---- */

nart_res nart__unix_opts(nart_unix_opts *o, const nart_unix_opts *opts, const nart_addr *a,
                         uint32_t known)
{
    *o = (nart_unix_opts)NART_UNIX_OPTS_INIT;
    nart_res r = nart__sized_in(o, sizeof *o, opts, offsetof(nart_unix_opts, reserved));
    if (r)
        return r;
    if (o->flags & ~known || o->mode & ~UINT32_C(07777))
        return -EINVAL;
    return o->mode && !(a && nart__unix_path(a)) ? -EINVAL : 0;
}

/* Does the path name a socket that no process has open? A socket of datagrams asks, as its connect is seen by nobody: a
 * server would accept a connection that ends at once. If the path is of another kind, the answer is EPROTOTYPE. */
static bool is_stale(const nart_sys *sys, const nart_addr *a)
{
    uint64_t id[2];

    if (sys->path_id(nart__unix_path(a), id) != 0)
        return false;
    int fd = sys->socket(AF_UNIX, SOCK_DGRAM);
    if (fd < 0)
        return false;
    int r = sys->connect(fd, (const struct sockaddr *)&a->storage, a->len);
    sys->close(fd);
    return r == -ECONNREFUSED;
}

static nart_res bind_path(const nart_sys *sys, int fd, const nart_addr *a, const nart_unix_opts *o,
                          uint64_t id[2])
{
    const struct sockaddr *at = (const struct sockaddr *)&a->storage;
    const char *path = nart__unix_path(a);

    nart_res r = o->mode ? sys->set_mode(fd, NULL, o->mode) : 0;
    if (r == 0)
        r = sys->bind(fd, at, a->len);
    if (r == -EADDRINUSE && path && o->flags & NART_UNIX_REPLACE && is_stale(sys, a)) {
        r = sys->unlink(path);
        if (r == 0 || r == -ENOENT)
            r = sys->bind(fd, at, a->len);
    }
    if (r || !path)
        return r;
    if (o->mode)
        r = sys->set_mode(fd, path, o->mode);
    if (r == 0 && o->flags & NART_UNIX_UNLINK)
        r = sys->path_id(path, id);
    if (r)
        (void)sys->unlink(path);
    return r;
}

nart_res nart__unix_bound(const nart_sys *sys, const nart_addr *a, int type,
                          const nart_unix_opts *o, uint64_t id[2])
{
    nart_res r = nart__unix_check(a, false);
    if (r)
        return r;
    int fd = sys->socket(AF_UNIX, type);
    if (fd < 0)
        return fd;
    r = bind_path(sys, fd, a, o, id);
    if (r == 0)
        return fd;
    sys->close(fd);
    return r;
}

void nart__unix_unlink(const nart_io *io, const uint64_t id[2])
{
    uint64_t now[2];
    nart_addr a;

    if ((id[0] == 0 && id[1] == 0) || nart__io_addr(io, false, &a) != 0)
        return; /* an error: the runtime was freed, another thread, or a forked child */
    const char *path = nart__unix_path(&a);
    if (path && io->drv->sys->path_id(path, now) == 0 && now[0] == id[0] && now[1] == id[1])
        (void)io->drv->sys->unlink(path);
}

/* ---- listening ---- */

static nart_res listen_under(nart__under under, const nart_addr *addr, const nart_unix_opts *opts,
                             nart_unix_listener *out)
{
    nart_unix_opts o;

    if (!out)
        return -EINVAL;
    *out = (nart_unix_listener){ .listener = { .fd = 0 } };
    nart_tcp_listener *l = &out->listener;
    nart_res r = under.refused;
    if (r == 0)
        r = nart__unix_check(addr, false);
    if (r == 0)
        r = nart__unix_opts(&o, opts, addr,
                            NART_UNIX_SEQPACKET | NART_UNIX_REPLACE | NART_UNIX_UNLINK);
    if (r)
        return r;
    const nart_sys *sys = under.drv->sys;
    uint64_t id[2] = { 0, 0 };
    r = nart__unix_bound(sys, addr, type_of(o.flags), &o, id);
    if (r < 0)
        return r;
    int fd = (int)r;
    r = nart__listener_begin(under, fd, o.backlog, l);
    if (r) {
        if (nart__unix_path(addr))
            (void)sys->unlink(nart__unix_path(addr));
        sys->close(fd);
        return r;
    }
    l->reserved[ID] = id[0];
    l->reserved[ID + 1] = id[1];
    l->reserved[NART__UNIX_KIND] = o.flags;
    return 0;
}

static nart_res listener_adopt_under(nart__under under, int fd, nart_unix_listener *out)
{
    nart_res type =
        out ? nart__listener_adopt(under, fd, nart__take_unix, &out->listener) : -EINVAL;
    if (type < 0)
        return type;
    out->listener.reserved[NART__UNIX_KIND] = nart__unix_kind(type);
    return 0;
}

nart_res nart_unix_listener_adopt(nart_rt *rt, int fd, nart_unix_listener *out)
{
    return listener_adopt_under(nart__under_rt(rt), fd, out);
}

nart_res nart_unix_listener_adopt_here(nart_cx *cx, int fd, nart_unix_listener *out)
{
    return listener_adopt_under(nart__under_cx(cx), fd, out);
}

nart_res nart_unix_listener_detach(nart_unix_listener *l, int *fd)
{
    return nart_tcp_listener_detach(&l->listener, fd);
}

nart_res nart_unix_listener_ready(nart_cx *cx, nart_unix_listener *l)
{
    return nart_tcp_listener_ready(cx, &l->listener);
}

nart_res nart_unix_listener_fd(const nart_unix_listener *l)
{
    return nart_tcp_listener_fd(&l->listener);
}

nart_res nart_unix_listen(nart_rt *rt, const nart_addr *addr, const nart_unix_opts *opts,
                          nart_unix_listener *out)
{
    return listen_under(nart__under_rt(rt), addr, opts, out);
}

nart_res nart_unix_listen_here(nart_cx *cx, const nart_addr *addr, const nart_unix_opts *opts,
                               nart_unix_listener *out)
{
    return listen_under(nart__under_cx(cx), addr, opts, out);
}

nart_res nart_unix_accept(nart_cx *cx, nart_unix_listener *l, nart_unix *out, nart_addr *peer)
{
    nart_res r = nart_tcp_accept(cx, &l->listener, &out->conn, peer);
    if (r == 0)
        out->conn.reserved[NART__UNIX_KIND] = l->listener.reserved[NART__UNIX_KIND];
    return r;
}

_Static_assert(sizeof(nart_unix) == sizeof(nart_tcp), "an array of the one is one of the other");

/* So many connections were accepted, or an error. */
static nart_res accepted(const nart_unix_listener *l, nart_unix *out, nart_res n)
{
    for (nart_res i = 0; i < n; i++)
        out[i].conn.reserved[NART__UNIX_KIND] = l->listener.reserved[NART__UNIX_KIND];
    return n;
}

nart_res nart_unix_accept_many(nart_cx *cx, nart_unix_listener *l, nart_unix *out, nart_addr *peers,
                               size_t n)
{
    return accepted(l, out,
                    nart_tcp_accept_many(cx, &l->listener, (nart_tcp *)(void *)out, peers, n));
}

nart_res nart_unix_try_accept_many(nart_unix_listener *l, nart_unix *out, nart_addr *peers,
                                   size_t n)
{
    return accepted(l, out,
                    nart_tcp_try_accept_many(&l->listener, (nart_tcp *)(void *)out, peers, n));
}

nart_res nart_unix_listener_addr(const nart_unix_listener *l, nart_addr *out)
{
    return nart_tcp_listener_addr(&l->listener, out);
}

nart_res nart_unix_listener_close(nart_unix_listener *l)
{
    if (!l)
        return 0;
    nart__unix_unlink(&l->listener.io, &l->listener.reserved[ID]);
    return nart_tcp_listener_close(&l->listener);
}

void nart_unix_listener_move(nart_unix_listener *dst, nart_unix_listener *src)
{
    nart_tcp_listener_move(&dst->listener, &src->listener);
}

/* ---- opening connections ---- */

/* Can this connect begin? */
static nart_res connect_enter(nart_cx *cx, nart_unix *u, const nart_addr *addr)
{
    nart_res r = nart__io_enter(&u->conn.io, NART_WRITE, cx);
    if (r)
        return r;
    if (u->conn.io.drv)
        return -EISCONN;
    r = nart__unix_check(addr, true);
    return r ? r : cx->drv->sys ? 0 : NART_EDRIVER;
}

static nart_res connect_with(nart_cx *cx, nart_unix *u, int fd, const nart_addr *addr,
                             uint64_t kind)
{
    nart_res r = cx->drv->sys->connect(fd, (const struct sockaddr *)&addr->storage, addr->len);
    return r ? r : bind_handle(u, cx->drv, cx->host, fd, kind);
}

nart_res nart_unix_connect(nart_cx *cx, nart_unix *u, const nart_addr *addr, uint32_t flags)
{
    nart_res r = connect_enter(cx, u, addr);
    if (r == 0 && flags & ~(uint32_t)NART_UNIX_SEQPACKET)
        r = -EINVAL;
    if (r)
        return r;
    int fd = cx->drv->sys->socket(AF_UNIX, type_of(flags));
    if (fd < 0)
        return fd;
    r = connect_with(cx, u, fd, addr, flags);
    if (r)
        cx->drv->sys->close(fd);
    return r;
}

nart_res nart_unix_connect_socket(nart_cx *cx, nart_unix *u, nart_socket *from,
                                  const nart_addr *addr)
{
    nart_res r = connect_enter(cx, u, addr);
    nart_res fd = r ? r : from ? nart_socket_fd(from) : -EBADF;
    nart_res type = fd < 0 ? fd : nart__take_unix(cx->drv->sys, (int)fd);
    if (type < 0)
        return type;
    r = connect_with(cx, u, (int)fd, addr, nart__unix_kind(type));
    if (r == 0)
        *from = (nart_socket){ .fd = 0 };
    return r;
}

static nart_res pair_under(nart__under under, uint32_t flags, nart_unix *a, nart_unix *b)
{
    int fds[2];

    if (!a || !b)
        return -EINVAL;
    *a = *b = (nart_unix){ .conn = { .fd = 0 } };
    if (under.refused)
        return under.refused;
    if (flags & ~(uint32_t)NART_UNIX_SEQPACKET)
        return -EINVAL;
    nart_res r = under.drv->sys->socketpair(AF_UNIX, type_of(flags), fds);
    if (r)
        return r;
    r = bind_handle(a, under.drv, under.host, fds[0], flags);
    if (r)
        under.drv->sys->close(fds[0]);
    else
        r = bind_handle(b, under.drv, under.host, fds[1], flags);
    if (r) {
        under.drv->sys->close(fds[1]);
        (void)nart_unix_close(a);
    }
    return r;
}

nart_res nart_unix_pair(nart_rt *rt, uint32_t flags, nart_unix *a, nart_unix *b)
{
    return pair_under(nart__under_rt(rt), flags, a, b);
}

nart_res nart_unix_pair_here(nart_cx *cx, uint32_t flags, nart_unix *a, nart_unix *b)
{
    return pair_under(nart__under_cx(cx), flags, a, b);
}

static nart_res adopt_under(nart__under under, int fd, nart_unix *out)
{
    nart_addr peer;

    if (!out)
        return -EINVAL;
    *out = (nart_unix){ .conn = { .fd = 0 } };
    if (under.refused)
        return under.refused;
    nart_res type = nart__take_unix(under.drv->sys, fd);
    nart_res r = type < 0 ? type : nart__fd_addr(under.drv->sys, fd, true, &peer);
    return r ? r : bind_handle(out, under.drv, under.host, fd, nart__unix_kind(type));
}

nart_res nart_unix_adopt(nart_rt *rt, int fd, nart_unix *out)
{
    return adopt_under(nart__under_rt(rt), fd, out);
}

nart_res nart_unix_adopt_here(nart_cx *cx, int fd, nart_unix *out)
{
    return adopt_under(nart__under_cx(cx), fd, out);
}

nart_res nart_unix_detach(nart_unix *u, int *fd)
{
    return nart_tcp_detach(&u->conn, fd, NULL, 0, NULL);
}

/* ---- receiving ---- */

/* `flags`: 0 or MSG_PEEK. */
static nart_res receive(nart_cx *cx, nart_unix *u, nart_msg *m, int flags)
{
    return nart__tcp_recvmsg(cx, &u->conn, m, nart__unix_boundaries(u), flags);
}

nart_res nart_unix_recvmsg(nart_cx *cx, nart_unix *u, nart_msg *m)
{
    return receive(cx, u, m, 0);
}

nart_res nart_unix_recvv(nart_cx *cx, nart_unix *u, const struct iovec *pieces, size_t n)
{
    nart_msg m = nart__msg_of(pieces, n);

    return receive(cx, u, &m, 0);
}

nart_res nart_unix_recv(nart_cx *cx, nart_unix *u, void *buf, size_t len)
{
    return receive(cx, u, &(nart_msg){ .pieces = &(struct iovec){ buf, len }, .n = 1 }, 0);
}

nart_res nart_unix_peek(nart_cx *cx, nart_unix *u, void *buf, size_t len)
{
    return receive(cx, u, &(nart_msg){ .pieces = &(struct iovec){ buf, len }, .n = 1 }, MSG_PEEK);
}

/* Space for as many descriptors as the kernel passes at once: so it cuts none off for lack of it. And for the
 * control data that options of the descriptor add. */
typedef struct fds_room {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(NART_UNIX_FDS * sizeof(int)) + 256];
} fds_room;

nart_res nart_unix_recv_fds(nart_cx *cx, nart_unix *u, void *buf, size_t len, int *fds, size_t cap,
                            size_t *n)
{
    struct iovec piece = { buf, len };
    fds_room room;
    nart_msg m = {
        .pieces = &piece, .n = 1, .control = room.bytes, .control_cap = sizeof room.bytes
    };

    if (!n || (!fds && cap > 0))
        return -EINVAL;
    *n = 0;
    nart_res r = nart_unix_recvmsg(cx, u, &m);
    if (r < 0)
        return r == -ENOBUFS ? -EMFILE : r;
    for (struct cmsghdr *c = nart_msg_next(&m, NULL); c; c = nart_msg_next(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (came > cap) {
            nart__msg_close_fds(u->conn.io.drv->sys, &m, true);
            return -ENOBUFS;
        }
        if (fds)
            memcpy(fds, CMSG_DATA(c), came * sizeof(int));
        *n = came; /* the kernel has one piece for all of a message */
    }
    nart__msg_close_fds(u->conn.io.drv->sys, &m, false);
    return r;
}

/* ---- sending ---- */

nart_res nart_unix_send(nart_cx *cx, nart_unix *u, const void *buf, size_t len)
{
    return nart_tcp_send(cx, &u->conn, buf, len);
}

nart_res nart_unix_send_all(nart_cx *cx, nart_unix *u, const void *buf, size_t len, size_t *done)
{
    return nart_tcp_send_all(cx, &u->conn, buf, len, done);
}

nart_res nart_unix_write(nart_cx *cx, nart_unix *u, nart_tcp_writer *w)
{
    return nart_tcp_write(cx, &u->conn, w);
}

nart_res nart_unix_sendv(nart_cx *cx, nart_unix *u, const struct iovec *pieces, size_t n)
{
    return nart_tcp_sendv(cx, &u->conn, pieces, n);
}

nart_res nart_unix_sendv_all(nart_cx *cx, nart_unix *u, const struct iovec *pieces, size_t n,
                             size_t *done)
{
    return nart__unix_boundaries(u) ? -EINVAL : nart_tcp_sendv_all(cx, &u->conn, pieces, n, done);
}

nart_res nart_unix_send_file(nart_cx *cx, nart_unix *u, int fd, int64_t offset, size_t len,
                             size_t *done)
{
    return nart__unix_boundaries(u) ? -EINVAL
                                    : nart_tcp_send_file(cx, &u->conn, fd, offset, len, done);
}

nart_res nart_unix_send_pipe(nart_cx *cx, nart_unix *u, nart_fd *from, size_t len, size_t *done)
{
    return nart__unix_boundaries(u) ? -EINVAL : nart_tcp_send_pipe(cx, &u->conn, from, len, done);
}

nart_res nart_unix_sendmsg(nart_cx *cx, nart_unix *u, const nart_msg *m)
{
    return nart_tcp_sendmsg(cx, &u->conn, m);
}

nart_res nart_unix_send_fds(nart_cx *cx, nart_unix *u, const void *buf, size_t len, const int *fds,
                            size_t n)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    fds_room room;
    nart_msg m = {
        .pieces = &piece, .n = 1, .control = room.bytes, .control_cap = sizeof room.bytes
    };

    if (n == 0 || n > NART_UNIX_FDS ||
        nart_msg_add(&m, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof *fds) != 0)
        return -EINVAL;
    return nart_unix_sendmsg(cx, u, &m);
}

/* ---- operations that do not wait ---- */

nart_res nart_unix_peer_cred(const nart_unix *u, nart_unix_cred *out)
{
    struct ucred c = { .pid = 0 };
    socklen_t size = sizeof c;

    *out = (nart_unix_cred){ .pid = 0 };
    nart_res fd = nart__io_fd(&u->conn.io);
    if (fd < 0)
        return fd;
    nart_res r = u->conn.io.drv->sys->getsockopt((int)fd, SOL_SOCKET, SO_PEERCRED, &c, &size);
    if (r == 0)
        *out = (nart_unix_cred){ c.pid, c.uid, c.gid };
    return r;
}

nart_res nart_unix_peer_pidfd(const nart_unix *u)
{
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
    return nart__io_option(&u->conn.io, SOL_SOCKET, SO_PEERPIDFD);
}

nart_res nart_unix_error(nart_unix *u)
{
    return nart_tcp_error(&u->conn);
}

/* Discards what is pending after a shutdown of reading: no more can be sent. While it is queued it occupies the peer's
 * buffer, and a send that waits there would not learn of the shutdown. All pieces are the same memory. */
static void discard(const nart_sys *sys, int fd)
{
    char lost[4096];
    struct iovec pieces[64];
    struct msghdr h = { .msg_iov = pieces, .msg_iovlen = sizeof pieces / sizeof *pieces };

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        pieces[i] = (struct iovec){ lost, sizeof lost };
    while (sys->recvmsg(fd, &h, 0) > 0)
        continue;
}

nart_res nart_unix_shutdown(nart_unix *u, uint32_t dirs)
{
    nart_res r = nart_tcp_shutdown(&u->conn, dirs);
    if (r == 0 && dirs & NART_READ)
        discard(u->conn.io.drv->sys, u->conn.fd);
    return r;
}

nart_res nart_unix_local_addr(const nart_unix *u, nart_addr *out)
{
    return nart__io_addr(&u->conn.io, false, out);
}

nart_res nart_unix_peer_addr(const nart_unix *u, nart_addr *out)
{
    return nart__io_addr(&u->conn.io, true, out);
}

nart_res nart_unix_fd(const nart_unix *u)
{
    return nart__io_fd(&u->conn.io);
}

void nart_unix_move(nart_unix *dst, nart_unix *src)
{
    nart_tcp_move(&dst->conn, &src->conn);
}

nart_res nart_unix_close(nart_unix *u)
{
    return u ? nart_tcp_close(&u->conn) : 0;
}
