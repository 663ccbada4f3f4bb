/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* net.h: shared parts of the operations on descriptors. Every operation has the same structure:
 *
 *  1. nart__io_enter(): if the task is cancelled or out of budget, answer before anything is changed.
 *  2. nart__io_want(): if the descriptor is not ready or not usable, answer.
 *  3. The system call, through the handle's driver. EAGAIN: clear the direction and continue with 2.
 *     A short transfer clears it as well, so the next call parks without a system call.
 *
 * All state between two calls is in the handle, so a spurious poll changes nothing, and a cancelled task
 * has consumed no byte. Waits belong to the reactor. An answer ends the wait of the task that gets it; a
 * wait that a poll did not request again is withdrawn at the end of that poll. */
#ifndef NART_NET_NET_H
#define NART_NET_NET_H

#include "../core/runtime.h"

#include <nart/socket.h>
#include <nart/unix.h>

/* Polled by the handle's own loop: then the driver is a constant, and cx is a member of the runtime. */
static inline bool nart__io_here(const nart_io *io, const nart_cx *cx)
{
    return NART_LIKELY(io->host == cx->host && cx->drv == &nart__loop);
}

/* Does the handle belong to the driver that polls? */
static inline bool nart__io_under(const nart_io *io, const nart_cx *cx)
{
    return io->drv == cx->drv && io->host == cx->host;
}

/* The reactor of the loop that polls. */
static inline nart__reactor *nart__reactor_of(nart_cx *cx)
{
    return &((nart_rt *)(void *)cx)->reactor;
}

/* Slow path of nart__io_want(): another driver, or a handle that is closed or belongs elsewhere. */
NART__COLD nart_res nart__io_want_slow(const nart_io *io, uint32_t dirs, nart_cx *cx);

/* See nart_driver.io_want. */
static inline nart_res nart__io_want(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    if (nart__io_here(io, cx))
        return nart__reactor_want(nart__reactor_of(cx), io->id, dirs, cx);
    return nart__io_want_slow(io, dirs, cx);
}

/* See nart_driver.io_clear. Only after an answer of nart__io_want(). */
static inline void nart__io_clear(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    if (nart__io_here(io, cx))
        nart__reactor_clear(nart__reactor_of(cx), io->id, dirs);
    else
        io->drv->io_clear(io->host, io->id, dirs);
}

/* Ends the running operation's wait in these directions: its answer is not one of nart__io_want(). */
static inline void nart__io_unwait(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    if (nart__io_here(io, cx))
        nart__reactor_unwait(nart__reactor_of(cx), io->id, dirs, cx);
    else if (nart__io_under(io, cx) && io->drv->io_unwait)
        io->drv->io_unwait(io->host, io->id, dirs, cx);
}

/* The budget is spent: the running operation continues to wait in these directions. */
static inline void nart__io_stay(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    if (nart__io_here(io, cx))
        nart__reactor_stay(nart__reactor_of(cx), io->id, dirs, cx);
    else if (nart__io_under(io, cx) && io->drv->io_stay)
        io->drv->io_stay(io->host, io->id, dirs, cx);
}

/* Slow path of nart__io_enter(): the answer of nart__enter(). */
NART__COLD nart_res nart__io_halted(const nart_io *io, uint32_t dirs, nart_cx *cx, nart_res r);

/* First line of an operation that waits in these directions. */
static inline nart_res nart__io_enter(const nart_io *io, uint32_t dirs, nart_cx *cx)
{
    nart_res r = nart__enter(cx, NULL);
    return NART_LIKELY(r == 0) ? 0 : nart__io_halted(io, dirs, cx, r);
}

/* What nart_fd_ready() answers after nart__io_enter(). */
nart_res nart__io_ready(const nart_io *io, uint32_t dirs, nart_cx *cx);

/* Clears those of these directions that are not ready now. Sound, as the next event of them is an edge from here
 * on. */
NART__COLD void nart__io_look(const nart_io *io, uint32_t dirs, nart_cx *cx);

/* Outside of a poll, or of an operation: a system call answered EAGAIN. */
void nart__io_not_ready(const nart_io *io, uint32_t dirs);

/* Can a short read mean anything other than "no more pending data"? */
static inline bool nart__read_on(nart_res bits)
{
    return bits & (NART_RDHUP | NART_HANGUP | NART_PRI);
}

/* Registers a descriptor with a driver. On failure it stays the caller's. */
nart_res nart__io_bind(nart_io *io, const nart_driver *drv, void *host, int fd);
/* The same; `dirs`: see nart__reactor_add(). */
nart_res nart__io_bind_for(nart_io *io, uint32_t dirs, const nart_driver *drv, void *host, int fd);

/* What a handle is opened under: a runtime, or the driver that polls. */
typedef struct nart__under {
    nart_res refused; /* 0, or the reason why it cannot be opened there */
    const nart_driver *drv;
    void *host;
} nart__under;

nart__under nart__under_rt(nart_rt *rt);
nart__under nart__under_cx(const nart_cx *cx);

/* Removes the descriptor from its driver and closes it. >= 0: done, 1: another task was woken; or
 * NART_EWRONGTHREAD. A handle that is closed or whose runtime was freed is fine. `connecting`: the address
 * of a connecting handle, whose waiting task is left behind (see reactor.h); else NULL. */
nart_res nart__io_close(const nart_io *io, const void *connecting);

/* Removes the descriptor from its driver and gives it back: 0; -EINVAL no `fd`; -EBADF; the errors of
 * nart_driver.io_del. A task that waits in the handle is woken. */
nart_res nart__io_detach(const nart_io *io, int *fd);

/* Wakes another task that waits in a handle that is moved: 1. */
nart_res nart__io_wake(const nart_io *io);

/* The descriptor, if it still belongs to the handle; -EBADF, NART_ESTALE, NART_EWRONGTHREAD. */
nart_res nart__io_fd(const nart_io *io);

/* One system call that moves bytes: of any descriptor, in one piece; in several. */
typedef ssize_t nart__call_fn(const nart_sys *sys, int fd, const struct iovec *pieces, size_t n);
nart__call_fn nart__call_read, nart__call_write;

/* Makes one system call that moves bytes, or parks. `conn`: the connection that fails with an error of it. */
nart_res nart__io_transfer_of(nart_cx *cx, const nart_io *io, nart_tcp *conn, uint32_t dir,
                              nart__call_fn *call, const struct iovec *pieces, size_t n);

/* The same on what is no connection of nart's. */
static inline nart_res nart__io_transfer(nart_cx *cx, const nart_io *io, uint32_t dir,
                                         nart__call_fn *call, const struct iovec *pieces, size_t n)
{
    return nart__io_transfer_of(cx, io, NULL, dir, call, pieces, n);
}

/* Can the running task use this handle? 1, or the error that nart__io_want() answers. */
nart_res nart__io_usable(const nart_io *io, const nart_cx *cx);

/* Sets an option of type int: 0, -errno, or the errors of nart__io_fd(). */
nart_res nart__io_set_option(const nart_io *io, int level, int name, int value);

/* The value of an option of type int; -errno, or the errors of nart__io_fd(). */
nart_res nart__io_option(const nart_io *io, int level, int name);

/* One socket option of type int. */
typedef struct nart__sockopt {
    bool applies; /* false: the system's default is kept */
    int level, name, value;
} nart__sockopt;

/* 0, or the error of an invalid socket address: -EINVAL, -EAFNOSUPPORT. */
nart_res nart__addr_check(const nart_addr *a);

/* The same for a Unix address; `named`: it must have a name. */
nart_res nart__unix_check(const nart_addr *a, bool named);

/* The path of a checked Unix address, as a string; NULL: it has none. */
const char *nart__unix_path(const nart_addr *a);

/* A new socket: small packets of TCP are not held back; or -errno. */
nart_res nart__socket_open(const nart_sys *sys, int family, int type);

/* A socket with these options, bound to `a`; or -errno, and no socket remains open. */
nart_res nart__socket_bound(const nart_sys *sys, const nart_addr *a, int type,
                            const nart__sockopt *opts, size_t n);

/* 0: a socket of TCP or UDP, which is now non-blocking; -EPROTOTYPE: another one, or raw packets of this protocol. */
nart_res nart__socket_take(const nart_sys *sys, int fd, int protocol);

/* The type of a Unix socket; -EPROTOTYPE: another one. */
nart_res nart__unix_type(const nart_sys *sys, int fd);

/* The type of a socket that can listen, which is now non-blocking; -EPROTOTYPE: another one. */
typedef nart_res nart__take_fn(const nart_sys *sys, int fd);
nart__take_fn nart__take_tcp, nart__take_unix;

/* The local address of a socket, or the peer's. A negative `fd` is the answer. */
nart_res nart__fd_addr(const nart_sys *sys, nart_res fd, bool peer, nart_addr *out);

/* The local address of a handle, or the peer's. */
nart_res nart__io_addr(const nart_io *io, bool peer, nart_addr *out);

/* These pieces, without control data. */
static inline nart_msg nart__msg_of(const struct iovec *pieces, size_t n)
{
    return (nart_msg){ .pieces = (struct iovec *)(uintptr_t)pieces, .n = n };
}

/* One sendmsg or recvmsg, or parks. `boundaries`: what is received is one message, and a longer one an error; not:
 * a stream, of which a short read says that no more is pending. `from`: NULL, or the sender. `*emptied` is set if the
 * queue was empty. `conn`: the connection that fails with an error of it; NULL: none. */
nart_res nart__msg_recv(nart_cx *cx, const nart_io *io, int fd, nart_tcp *conn, nart_msg *m,
                        nart_addr *from, bool boundaries, int flags, bool *emptied);
/* One recvmsg, as above. EAGAIN is answered. */
nart_res nart__msg_take(const nart_sys *sys, int fd, nart_tcp *conn, nart_msg *m, nart_addr *from,
                        bool boundaries, int flags);
/* `ask`: EAGAIN of a send to `to` is answered, if the kernel does not report its end. */
nart_res nart__msg_send(nart_cx *cx, const nart_io *io, nart_tcp *conn, const nart_msg *m,
                        const nart_addr *to, bool ask);
/* The same by another system call. `to`: NULL, or the receiver whose queue is asked. */
typedef ssize_t nart__send_fn(const nart_sys *sys, int fd, const void *what);
nart_res nart__send_to(nart_cx *cx, const nart_io *io, nart_tcp *conn, const nart_addr *to,
                       nart__send_fn *send, const void *what);
/* The same without waiting: EAGAIN is answered. */
nart_res nart__try_send_to(const nart_io *io, const nart_addr *to, nart__send_fn *send,
                           const void *what);
nart_res nart__msg_try_send(const nart_io *io, const nart_msg *m, const nart_addr *to);

/* The same for a connected stream, of TCP or Unix; see nart_unix_recvmsg(). */
nart_res nart__tcp_recvmsg(nart_cx *cx, nart_tcp *s, nart_msg *m, bool boundaries, int flags);

/* Closes the descriptors in received control data, those that were `passed` or only those of the sender's process
 * (SO_PASSPIDFD), and empties it. */
NART__COLD void nart__msg_close_fds(const nart_sys *sys, nart_msg *m, bool passed);

/* Options of a bound Unix socket, from the caller's. 0, NART_EABI, -EINVAL. */
nart_res nart__unix_opts(nart_unix_opts *o, const nart_unix_opts *opts, const nart_addr *a,
                         uint32_t known);

/* nart_tcp.reserved and nart_tcp_listener.reserved [NART__UNIX_KIND] of a Unix socket: NART_UNIX_SEQPACKET or 0. */
enum { NART__UNIX_KIND = 3 };

/* NART_UNIX_SEQPACKET or 0, of SOCK_SEQPACKET or another type. */
static inline uint64_t nart__unix_kind(nart_res type)
{
    return type == SOCK_SEQPACKET ? NART_UNIX_SEQPACKET : 0;
}

/* Is it a connection of messages? */
bool nart__unix_boundaries(const nart_unix *u);

/* A Unix socket that is bound to `a`; or -errno, and no socket and no path remains. `id`: what the path names, if
 * closing unlinks it, else zeros. */
nart_res nart__unix_bound(const nart_sys *sys, const nart_addr *a, int type,
                          const nart_unix_opts *o, uint64_t id[2]);

/* Unlinks the path of a handle that is to be closed, if it names the socket `id`. */
void nart__unix_unlink(const nart_io *io, const uint64_t id[2]);

/* Makes a connected stream a handle under a driver. On failure the descriptor stays the caller's. */
nart_res nart__tcp_bind(nart_tcp *s, const nart_driver *drv, void *host, int fd);

/* Starts a connect in `*s`, which is overwritten: 0 it is connected; 1 the connect is under way, and ends when the
 * write direction is ready; or an error, and no socket is left, but `*from` if it was not taken. `from`: the socket
 * with which to begin; NULL: a new one. */
nart_res nart__tcp_connect_start(nart_cx *cx, nart_tcp *s, struct nart_socket *from,
                                 const nart_addr *addr);

/* nart_tcp.reserved[NART__TCP_MARK]: an urgent byte was received. A receive may still stop at its mark, which the kernel
 * does not report any more: so only EAGAIN says that no data is pending, and resets it. */
enum { NART__TCP_MARK = 0 };

/* nart_tcp.reserved[NART__TCP_SHUT]: the directions that were shut down. A full Unix socket would not become ready to
 * say so. */
enum { NART__TCP_SHUT = 1 };

/* nart_tcp.reserved[NART__TCP_ERROR]: the errno with which the connection has failed. */
enum { NART__TCP_ERROR = 2 };

/* The error with which the connection has failed, or 0. */
static inline nart_res nart__tcp_error(const nart_tcp *s)
{
    return -(nart_res)s->reserved[NART__TCP_ERROR];
}

/* The same if bytes that had arrived before it are still received. */
static inline nart_res nart__tcp_rest(const nart_tcp *s)
{
    return s->reserved[NART__TCP_SHUT] & NART_READ ? 0 : nart__tcp_error(s);
}

/* A system call on an open connection has answered `r`: an error that ends the connection stays in the handle, and
 * wakes the task that waits in it. Returns `r`. */
NART__COLD nart_res nart__tcp_failed(nart_tcp *s, nart_res r);

/* What an operation answers that nart__tcp_check() refuses; 0 where receiving answers 0. Its wait ends. */
NART__COLD nart_res nart__tcp_refused(nart_cx *cx, const nart_tcp *s, uint32_t dir);

/* Makes `*s` the owner of a connected socket that is registered as `*io`. */
void nart__tcp_take(nart_tcp *s, const nart_io *io, int fd);

/* Makes a listening socket, or one of datagrams, a handle. On failure the descriptor stays the caller's. */
nart_res nart__listener_begin(nart__under under, int fd, uint32_t backlog, nart_tcp_listener *out);
/* The same of one that listens already; answers its type. */
nart_res nart__listener_adopt(nart__under under, int fd, nart__take_fn *check,
                              nart_tcp_listener *out);
nart_res nart__udp_adopt(nart__under under, int fd, nart_udp *out);
/* The handle was closed, or is to be moved: those that send in turn are woken, and wait no longer. */
void nart__turns_end(nart_udp *u);
/* Calls sendmmsg once for up to NART_UDP_BATCH datagrams: their number, or -errno. */
int nart__udp_send_batch(const nart_sys *sys, int fd, const nart_udp_msg *msgs, unsigned n);
nart_res nart__unix_dgram_adopt(nart__under under, int fd, nart_udp *out);

/* 0: bytes in this direction are those of the descriptor; else the error with which the operations answer: -EPIPE if it
 * was shut down, where receiving answers 0. */
nart_res nart__tcp_check(const nart_tcp *s, uint32_t dir);

#endif
