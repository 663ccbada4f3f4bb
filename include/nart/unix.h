/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/unix.h
 * Unix domain sockets: connections of bytes (stream) or of messages (seqpacket), and datagrams. The rules of all
 * handles are at the top of nart/io.h; a connection receives, sends, shuts down and closes as a nart_tcp does.
 *
 * Addresses are those of nart_addr_parse(): "unix:/run/app.sock" is a path; "unix:@app" an abstract name, which is
 * no file and ends with its socket; "unix:" none: binding to it takes a free abstract name, as port 0 does.
 *
 * ```c
 * struct greet { nart_co co; nart_unix sock; nart_addr to; size_t done; char buf[256]; };
 *
 * static nart_res greet_run(nart_cx *cx, void *frame)
 * {
 *     struct greet *g = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &g->co);
 *     NART_AWAIT(n, nart_unix_connect(cx, &g->sock, &g->to, 0));
 *     if (n == 0)
 *         NART_AWAIT(n, nart_unix_send_all(cx, &g->sock, "hello\n", 6, &g->done));
 *     if (n > 0)
 *         NART_AWAIT(n, nart_unix_recv(cx, &g->sock, g->buf, sizeof g->buf));
 *     nart_unix_close(&g->sock);
 *     NART_END(n);
 * }
 * ```
 *
 * Functions that open a handle take a runtime, before or while it runs; those whose names end in `_here` take a
 * body's `cx` instead, and open it under the driver that polls the body: the loop, or tokio. They answer
 * NART_EDRIVER where that driver has no descriptors, and are for use inside a poll.
 */
#ifndef NART_UNIX_H
#define NART_UNIX_H

#include "msg.h"
#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Bits of nart_unix_opts.flags; of the other functions that have `flags`, only the first. */
enum {
    NART_UNIX_SEQPACKET = 1, /**< messages with boundaries, instead of bytes */
    /** Binding to a path of a socket that no process has open unlinks it first. Nothing but a socket is unlinked, and
     *  a server that uses the path does not notice the question. Two servers that start at the same time can
     *  unlink each other's path: give each a path of its own, or let them take a lock first (flock(2)). */
    NART_UNIX_REPLACE = 2,
    /** Closing unlinks the path, if it still names this socket. Not when the runtime is freed first, and not in a
     *  forked child. A relative path is one of the directory that is current then. */
    NART_UNIX_UNLINK = 4
};

/** Options of a bound socket; begin with NART_UNIX_OPTS_INIT. Zero means the default. */
typedef struct nart_unix_opts {
    size_t size;    /**< sizeof(nart_unix_opts) */
    uint32_t flags; /**< NART_UNIX_* */
    uint32_t
        mode; /**< permissions of the path, exactly; to connect or send one needs to write. Default: 0777
                     *   without the bits of umask(2) */
    uint32_t
        backlog; /**< connections that may wait to be accepted; default: the system's maximum */
    uint32_t reserved0;
    uint64_t reserved[2];
} nart_unix_opts;

#define NART_UNIX_OPTS_INIT NART__SIZED(nart_unix_opts)

/* ---- connections ----------------------------------------------------------------------------- */

/** A connection. Zeroed = closed. */
typedef struct nart_unix {
    /* private */
    nart_tcp conn; /* both share their code */
} nart_unix;

/**
 * Connects. Never waits: a Unix socket connects at once or not at all.
 * @param flags 0 or NART_UNIX_SEQPACKET: what the listener has.
 * @return 0; -ENOENT there is no such path; -ECONNREFUSED nobody listens there; -EAGAIN the listener's queue is
 *   full, and the kernel reports no end of that: sleep and call again; -EACCES no permission to write to the
 *   path; -EPROTOTYPE the socket there is of another kind; -EISCONN `*u` is open; -EINVAL unknown flags, or
 *   `addr` has no name; -EAFNOSUPPORT it is no Unix address; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC,
 *   NART_EFDS as nart_tcp_accept(); NART_EFORK. After an error `*u` is closed, but after -EISCONN.
 * **Cost**: three system calls.
 */
NART_API NART_MUST_USE nart_res nart_unix_connect(nart_cx *cx, nart_unix *u, const nart_addr *addr,
                                                  uint32_t flags);

/** Two connections with each other (socketpair(2)). @param flags 0 or NART_UNIX_SEQPACKET.
 *  @return 0; -EINVAL no `rt`, `a` or `b`, or unknown flags; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC, NART_EFDS,
 *  NART_EWRONGTHREAD, NART_EFORK as nart_fd_open(): both are closed. **Thread**: as nart_fd_open(). */
NART_API NART_MUST_USE nart_res nart_unix_pair(nart_rt *rt, uint32_t flags, nart_unix *a,
                                               nart_unix *b);
/** @return as nart_unix_pair(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_pair_here(nart_cx *cx, uint32_t flags, nart_unix *a,
                                                    nart_unix *b);

/**
 * Takes over a connected Unix socket, of bytes or of messages, and makes it non-blocking.
 * @return 0; -EBADF; -ENOTSOCK; -EPROTOTYPE another kind of socket; -ENOTCONN; the errors of nart_fd_open().
 * **Ownership**: the descriptor passes on success. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_unix_adopt(nart_rt *rt, int fd, nart_unix *out);
/** @return as nart_unix_adopt(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_adopt_here(nart_cx *cx, int fd, nart_unix *out);

/** Gives the descriptor back, non-blocking, and closes the handle. A task that waits in it is woken and finds it
 *  closed. @return 0; -EINVAL no `fd`; -EBADF; NART_ESTALE; NART_EWRONGTHREAD.
 *  **Ownership**: the descriptor is the caller's again. */
NART_API NART_MUST_USE nart_res nart_unix_detach(nart_unix *u, int *fd);

/**
 * Receives the pending bytes, at most `len`; of messages the next one. Descriptors that come with them are closed:
 * see nart_unix_recv_fds().
 * @return the number of bytes; 0 the peer has shut down writing or closed, or nart_unix_shutdown() has ended this
 *   direction; also a message of no bytes, which a peer can send by its own system call; -EMSGSIZE the message was
 *   longer than `len`: `buf` holds its beginning, the rest is lost; -EINVAL `len` is 0; -ECONNRESET the peer has closed and not read all that was sent to it: see nart_unix_error().
 * **Cost**: one system call if bytes are pending; none if the socket is known to be empty.
 */
NART_API NART_MUST_USE nart_res nart_unix_recv(nart_cx *cx, nart_unix *u, void *buf, size_t len);

/** Receives as nart_unix_recv(), but what is received stays: the next receive gets it, too. It does not wait for more
 *  bytes than it has returned before. @return as nart_unix_recv(): after -EMSGSIZE nothing is lost. */
NART_API NART_MUST_USE nart_res nart_unix_peek(nart_cx *cx, nart_unix *u, void *buf, size_t len);

/** Sends as many bytes as the kernel accepts at once, at least one; of messages the whole one.
 *  @return their number; 0 if `len` is 0, nothing is sent; -EPIPE, -ECONNRESET the peer has closed or shut down
 *  reading (no SIGPIPE is raised); -EMSGSIZE too long for a message. A send that waits is woken by both, with one
 *  exception: a peer that calls shutdown(2) by itself, not nart_unix_shutdown(), and leaves what is pending unread. The
 *  kernel reports that only when it closes: where such peers are possible, send with a deadline. */
NART_API NART_MUST_USE nart_res nart_unix_send(nart_cx *cx, nart_unix *u, const void *buf,
                                               size_t len);

/** Sends all of `buf`. @param done as in nart_tcp_send_all(). @return `len`; -EINVAL `*done` is left from another
 *  message; the errors of nart_unix_send(). */
NART_API NART_MUST_USE nart_res nart_unix_send_all(nart_cx *cx, nart_unix *u, const void *buf,
                                                   size_t len, size_t *done);

/** Sends the message of a writer, or the rest of it, as nart_tcp_write(). @return as nart_tcp_write(); the errors of
 *  nart_unix_send(). */
NART_API NART_MUST_USE nart_res nart_unix_write(nart_cx *cx, nart_unix *u, nart_tcp_writer *w);

/** Waits until a direction may be ready, as nart_tcp_ready(). @return as nart_fd_ready(). */
NART_API NART_MUST_USE nart_res nart_unix_ready(nart_cx *cx, nart_unix *u, uint32_t dirs);

/** Notes that these directions are not ready, as nart_fd_clear(). */
NART_API void nart_unix_clear(nart_unix *u, uint32_t dirs);

/** Receives without waiting, also outside of a poll. A task that waits for the same bytes continues to wait.
 *  @return the number of bytes; 0, -EMSGSIZE, -EINVAL, -ECONNRESET as nart_unix_recv(); -EAGAIN none is pending; -EBADF;
 *  NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_unix_try_recv(nart_unix *u, void *buf, size_t len);

/** Sends without waiting, also outside of a poll. @return the number of bytes; 0 if `len` is 0; -EAGAIN the kernel's
 *  buffer is full; -EPIPE, -ECONNRESET, -EMSGSIZE as nart_unix_send(); -EBADF; NART_ESTALE; NART_EWRONGTHREAD;
 *  NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_unix_try_send(nart_unix *u, const void *buf, size_t len);
/** Sends from several pieces, as nart_tcp_sendv(). @return as nart_unix_send(); -EINVAL more than 1,024 pieces. */
NART_API NART_MUST_USE nart_res nart_unix_sendv(nart_cx *cx, nart_unix *u,
                                                const struct iovec *pieces, size_t n);

/** Sends all of several pieces: to a socket of bytes. @param done as in nart_tcp_sendv_all(). @return as
 *  nart_tcp_sendv_all(); -EINVAL also: it is a socket of messages; the errors of nart_unix_send(). */
NART_API NART_MUST_USE nart_res nart_unix_sendv_all(nart_cx *cx, nart_unix *u,
                                                    const struct iovec *pieces, size_t n,
                                                    size_t *done);

/** Receives into several pieces, as nart_tcp_recvv(). @return as nart_unix_recv(); -EINVAL also: more than 1,024
 *  pieces. */
NART_API NART_MUST_USE nart_res nart_unix_recvv(nart_cx *cx, nart_unix *u,
                                                const struct iovec *pieces, size_t n);

/** Sends bytes of a file, to a socket of bytes. @return as nart_tcp_send_file(); -EINVAL also: it is a socket of
 *  messages. */
NART_API NART_MUST_USE nart_res nart_unix_send_file(nart_cx *cx, nart_unix *u, int fd,
                                                    int64_t offset, size_t len, size_t *done);

/** Sends bytes of a pipe, to a socket of bytes. @return as nart_tcp_send_pipe(); -EINVAL also: it is a socket of
 *  messages. */
NART_API NART_MUST_USE nart_res nart_unix_send_pipe(nart_cx *cx, nart_unix *u, nart_fd *from,
                                                    size_t len, size_t *done);

/** The most descriptors that one call passes: the kernel's limit. */
#define NART_UNIX_FDS 253

/**
 * Sends bytes as nart_unix_send() does, and descriptors with the first of them. The rest of the bytes, if the
 * kernel has not accepted all, is sent without them.
 * @param len at least 1. @param n 1 to NART_UNIX_FDS.
 * @return the number of bytes; -EINVAL `len` or `n` is out of range; -EBADF also: one of `fds` is not open;
 *   -ETOOMANYREFS too many descriptors are on their way already; the errors of nart_unix_send().
 * **Ownership**: `fds` stay the caller's; the receiver gets duplicates.
 */
NART_API NART_MUST_USE nart_res nart_unix_send_fds(nart_cx *cx, nart_unix *u, const void *buf,
                                                   size_t len, const int *fds, size_t n);

/**
 * Receives bytes as nart_unix_recv() does, up to those that come with other descriptors, and their descriptors. Bytes
 * that were sent before, without descriptors, may precede them in the same answer.
 * @param cap the most descriptors; 0: none is accepted. @param n receives their number, which may be 0.
 * @return the number of bytes, 0 at the end; -ENOBUFS more than `cap` descriptors came; -EMFILE the process has not
 *   enough descriptors left, or a security policy forbids it; -EINVAL no `n`, or no `fds`; the errors of
 *   nart_unix_recv(). After an error no descriptor was received: those that came are closed. After -ENOBUFS and
 *   -EMFILE the bytes are lost, too: close the connection.
 * **Ownership**: the received descriptors are the caller's; they are closed on exec.
 */
NART_API NART_MUST_USE nart_res nart_unix_recv_fds(nart_cx *cx, nart_unix *u, void *buf, size_t len,
                                                   int *fds, size_t cap, size_t *n);

/** Receives as nart_unix_recv(), with control data: see nart_msg. Received descriptors (SCM_RIGHTS, and SCM_PIDFD where
 *  SO_PASSPIDFD is on) are the caller's, and closed on exec. @return as nart_unix_recv(), `len` being that of the
 *  pieces; -ENOBUFS the control data was longer than `control_cap` (not if that is 0: then it is discarded): the bytes
 *  are lost, and the descriptors that came are closed. */
NART_API NART_MUST_USE nart_res nart_unix_recvmsg(nart_cx *cx, nart_unix *u, nart_msg *m);

/** Sends as nart_unix_send(), with control data. @return as nart_unix_send(), but -EINVAL if the pieces have no byte,
 *  or the kernel does not accept the control data; -EBADF, -ETOOMANYREFS as nart_unix_send_fds(); -EPERM credentials
 *  of another process. */
NART_API NART_MUST_USE nart_res nart_unix_sendmsg(nart_cx *cx, nart_unix *u, const nart_msg *m);

/** The process that has connected, or has begun to listen: as it was then. */
typedef struct nart_unix_cred {
    int32_t pid;       /**< 0: it has no number here (another pid namespace) */
    uint32_t uid, gid; /**< its effective user and group */
} nart_unix_cred;

/** Who is the peer? The number of a process may have been used again: to signal it use nart_unix_peer_pidfd().
 *  @return 0; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_unix_peer_cred(const nart_unix *u, nart_unix_cred *out);

/** A descriptor of the peer's process (pidfd_open(2)), closed on exec. @return the descriptor; -ENOPROTOOPT Linux
 *  before 6.5; -ESRCH, -EINVAL the process has ended (which of the two depends on the kernel); -ENODATA a pair's
 *  peer; -EMFILE, -ENFILE; the errors of nart_unix_peer_cred(). **Ownership**: the descriptor is the caller's. */
NART_API NART_MUST_USE nart_res nart_unix_peer_pidfd(const nart_unix *u);

/** The error with which the connection has ended. It stays until the handle is closed, as nart_tcp_error() says: what was
 *  queued is received before it. @return as nart_tcp_error(). */
NART_API nart_res nart_unix_error(nart_unix *u);

/** Shuts down one direction or both, as nart_tcp_shutdown(). NART_READ: pending bytes and messages are discarded, and the
 *  peer's sends answer -EPIPE, also one that waits for space, unless a message of no bytes is pending: then the messages
 *  behind that stay, and the kernel wakes such a send when this end closes. So closing later does not reset the connection.
 *  @return as nart_tcp_shutdown().
 *  **Cost**: one system call; NART_READ: two more, and for messages one each. */
NART_API nart_res nart_unix_shutdown(nart_unix *u, uint32_t dirs);

/** The local address: of a client usually "unix:", none. @return as nart_tcp_local_addr(). */
NART_API nart_res nart_unix_local_addr(const nart_unix *u, nart_addr *out);
/** The peer's address: of a client usually "unix:", none. @return as nart_tcp_local_addr(). */
NART_API nart_res nart_unix_peer_addr(const nart_unix *u, nart_addr *out);

/** The descriptor, for the options in nart/socket.h. @return as nart_tcp_fd(). */
NART_API nart_res nart_unix_fd(const nart_unix *u);

/** Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed. */
NART_API void nart_unix_move(nart_unix *dst, nart_unix *src);

/** Closes. The peer receives what was sent, and then the end. @return as nart_fd_close(). */
NART_API nart_res nart_unix_close(nart_unix *u);

/* ---- listening ------------------------------------------------------------------------------- */

/** A listening socket. Zeroed = closed. */
typedef struct nart_unix_listener {
    /* private */
    nart_tcp_listener listener; /* both share their code */
} nart_unix_listener;

/**
 * Listens at `addr`. `opts` may be NULL.
 * @return 0; -EADDRINUSE the path exists (see NART_UNIX_REPLACE), or the abstract name is in use; -ENOENT, -ENOTDIR,
 *   -EACCES, -EROFS about the path's directory; -EINVAL no `rt` or `out`, bad options, a `mode` without a path, or
 *   `addr` is no address; -EAFNOSUPPORT it is no Unix address; -EMFILE, -ENFILE, NART_EFDS, -ENOBUFS, -ENOMEM, -ENOSPC
 *   as nart_fd_open(); NART_EABI; NART_EWRONGTHREAD; NART_EFORK. After an error the path is as before; one that was
 *   to be replaced may be gone.
 * **Thread**: as nart_tcp_listen().
 */
NART_API NART_MUST_USE nart_res nart_unix_listen(nart_rt *rt, const nart_addr *addr,
                                                 const nart_unix_opts *opts,
                                                 nart_unix_listener *out);
/** @return as nart_unix_listen(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_listen_here(nart_cx *cx, const nart_addr *addr,
                                                      const nart_unix_opts *opts,
                                                      nart_unix_listener *out);

/** Accepts a connection, as nart_tcp_accept(). @param peer NULL, or receives the peer's address, usually "unix:", none.
 *  @return as nart_tcp_accept(). */
NART_API NART_MUST_USE nart_res nart_unix_accept(nart_cx *cx, nart_unix_listener *l, nart_unix *out,
                                                 nart_addr *peer);

/** Accepts the pending connections, as nart_tcp_accept_many(). @return as nart_tcp_accept_many(). */
NART_API NART_MUST_USE nart_res nart_unix_accept_many(nart_cx *cx, nart_unix_listener *l,
                                                      nart_unix *out, nart_addr *peers, size_t n);

/** Accepts as nart_unix_accept_many(), without waiting. @return as nart_tcp_try_accept_many(). */
NART_API NART_MUST_USE nart_res nart_unix_try_accept_many(nart_unix_listener *l, nart_unix *out,
                                                          nart_addr *peers, size_t n);

/** Waits until a connection may be pending. @return as nart_tcp_listener_ready(). */
NART_API NART_MUST_USE nart_res nart_unix_listener_ready(nart_cx *cx, nart_unix_listener *l);

/**
 * Takes over a Unix socket that listens, of bytes or of messages, and makes it non-blocking. Closing does not unlink
 * its path.
 * @return 0; -EBADF; -ENOTSOCK; -EPROTOTYPE another kind of socket; -EINVAL it does not listen; the errors of
 *   nart_fd_open(). **Ownership**: the descriptor passes on success. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_unix_listener_adopt(nart_rt *rt, int fd,
                                                         nart_unix_listener *out);
/** @return as nart_unix_listener_adopt(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_listener_adopt_here(nart_cx *cx, int fd,
                                                              nart_unix_listener *out);

/** Gives the descriptor back, non-blocking, and closes the handle, as nart_tcp_listener_detach(). The path stays, also
 *  with NART_UNIX_UNLINK. @return as nart_tcp_listener_detach().
 *  **Ownership**: the descriptor is the caller's again. */
NART_API NART_MUST_USE nart_res nart_unix_listener_detach(nart_unix_listener *l, int *fd);

/** The local address. @return as nart_tcp_listener_addr(). */
NART_API nart_res nart_unix_listener_addr(const nart_unix_listener *l, nart_addr *out);

/** The descriptor, for the options in nart/socket.h. @return as nart_tcp_fd(). */
NART_API nart_res nart_unix_listener_fd(const nart_unix_listener *l);

/** Closes; connections that were not accepted are reset. @return as nart_fd_close(). */
NART_API nart_res nart_unix_listener_close(nart_unix_listener *l);

/** Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed. */
NART_API void nart_unix_listener_move(nart_unix_listener *dst, nart_unix_listener *src);

/* ---- datagrams ------------------------------------------------------------------------------- */

/** A socket of datagrams, which are reliable and in order. Zeroed = closed. */
typedef struct nart_unix_dgram {
    /* private */
    nart_udp sock; /* both share their code */
} nart_unix_dgram;

/** Opens a socket, bound to `addr`; NULL: it has no name, and nobody can answer. `opts` may be NULL.
 *  @return as nart_unix_listen(). **Thread**: the same. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_open(nart_rt *rt, const nart_addr *addr,
                                                     const nart_unix_opts *opts,
                                                     nart_unix_dgram *out);
/** @return as nart_unix_dgram_open(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_open_here(nart_cx *cx, const nart_addr *addr,
                                                          const nart_unix_opts *opts,
                                                          nart_unix_dgram *out);

/**
 * Takes over a Unix socket of datagrams and makes it non-blocking. It may be connected, and have no name. Closing does
 * not unlink its path.
 * @return 0; -EBADF; -ENOTSOCK; -EPROTOTYPE another kind of socket; the errors of nart_fd_open().
 * **Ownership**: the descriptor passes on success. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_unix_dgram_adopt(nart_rt *rt, int fd, nart_unix_dgram *out);
/** @return as nart_unix_dgram_adopt(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_adopt_here(nart_cx *cx, int fd,
                                                           nart_unix_dgram *out);

/** Gives the descriptor back, non-blocking, and closes the handle. A task that waits in it is woken and finds it
 *  closed. The path stays, also with NART_UNIX_UNLINK. @return as nart_udp_detach().
 *  **Ownership**: the descriptor is the caller's again. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_detach(nart_unix_dgram *u, int *fd);

/** Fixes the peer: sends go there, and only its datagrams are received, but for those that are queued. Does not wait.
 *  @return 0; -ENOENT, -ECONNREFUSED, -EACCES, -EPROTOTYPE, -EAFNOSUPPORT as nart_unix_connect(); -EINVAL `addr` has no
 *  name; -EPERM the peer is connected to another socket; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. After a
 *  send that answered -ECONNREFUSED it is connected no more. */
NART_API nart_res nart_unix_dgram_connect(nart_unix_dgram *u, const nart_addr *addr);

/** Receives one datagram. @param from NULL, or receives the sender's address: "unix:" if it has none.
 *  @return its length, which may be 0; -EMSGSIZE it was longer than `len`: `buf` holds its beginning, the rest is
 *  lost. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_recv(nart_cx *cx, nart_unix_dgram *u, void *buf,
                                                     size_t len, nart_addr *from);

/** Sends one datagram. Waits while the receiver's queue is full, if the socket is connected to it. @param to NULL when
 *  the socket is connected.
 *  @return `len`; -EAGAIN the queue of `to` is full, and the kernel reports no end of that, as the socket is not
 *  connected to it: sleep and call again; -EMSGSIZE too long; -ENOTCONN no `to` and not connected; -ENOENT,
 *  -ECONNREFUSED, -EACCES, -EPROTOTYPE, -EINVAL, -EAFNOSUPPORT as nart_unix_connect(), about `to`; -EPERM as
 *  nart_unix_dgram_connect(); -ECONNREFUSED, -ECONNRESET also: the peer has closed; -EPIPE the receiver has shut down
 *  reading by shutdown(2): of that a send which waits learns when the receiver reads or closes. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_send(nart_cx *cx, nart_unix_dgram *u,
                                                     const void *buf, size_t len,
                                                     const nart_addr *to);

/** Receives the pending datagrams, at most `n` and NART_UDP_BATCH, as nart_udp_recv_many(): nart_udp_msg.stamp stays 0.
 *  @return the number of datagrams, at least 1; -EINVAL `n` is 0. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_recv_many(nart_cx *cx, nart_unix_dgram *u,
                                                          nart_udp_msg *msgs, size_t n);

/** Sends the first of `n` datagrams, as nart_udp_send_many().
 *  @return the number of datagrams, at least 1; -EINVAL `n` is 0, or the first one has a `segment`; the errors of
 *  nart_unix_dgram_send(), about the first datagram. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_send_many(nart_cx *cx, nart_unix_dgram *u,
                                                          const nart_udp_msg *msgs, size_t n);

/** Receives as nart_unix_dgram_recv(), but the datagram stays: the next receive gets it, too.
 *  @return as nart_unix_dgram_recv(): after -EMSGSIZE nothing is lost. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_peek(nart_cx *cx, nart_unix_dgram *u, void *buf,
                                                     size_t len, nart_addr *from);

/** Waits until a direction may be ready. NART_WRITE: there is space for what the socket sends, and in the queue of the
 *  peer to which it is connected; the queues of others are not asked. @return as nart_fd_ready(). */
NART_API NART_MUST_USE nart_res nart_unix_dgram_ready(nart_cx *cx, nart_unix_dgram *u,
                                                      uint32_t dirs);

/** Notes that these directions are not ready, as nart_fd_clear(). */
NART_API void nart_unix_dgram_clear(nart_unix_dgram *u, uint32_t dirs);

/** Receives one datagram without waiting, also outside of a poll. @param from as in nart_unix_dgram_recv().
 *  @return its length, which may be 0; -EAGAIN none is pending; -EMSGSIZE as nart_unix_dgram_recv(); -EBADF;
 *  NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_try_recv(nart_unix_dgram *u, void *buf, size_t len,
                                                         nart_addr *from);

/** Sends one datagram without waiting, also outside of a poll. @param to as in nart_unix_dgram_send().
 *  @return `len`; -EAGAIN there is no space in the kernel's buffer, or in the receiver's queue; the errors of
 *  nart_unix_dgram_send() about the datagram: -EMSGSIZE, -ENOTCONN, -ENOENT, -ECONNREFUSED, -EACCES, -EPROTOTYPE,
 *  -EINVAL, -EAFNOSUPPORT, -EPERM, -ECONNRESET, -EPIPE; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_try_send(nart_unix_dgram *u, const void *buf,
                                                         size_t len, const nart_addr *to);

/** Receives as nart_unix_dgram_recv_many(), without waiting. @return as nart_udp_try_recv_many(), without -ECONNREFUSED. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_try_recv_many(nart_unix_dgram *u,
                                                              nart_udp_msg *msgs, size_t n);

/** Sends as nart_unix_dgram_send_many(), without waiting. @return the number of datagrams, at least 1; -EAGAIN and the
 *  other errors of nart_unix_dgram_try_send(), about the first one; -EINVAL also: `n` is 0, or it has a `segment`. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_try_send_many(nart_unix_dgram *u,
                                                              const nart_udp_msg *msgs, size_t n);

/** Receives as nart_unix_dgram_recv(), with control data. @return as nart_unix_dgram_recv(); -ENOBUFS as
 *  nart_unix_recvmsg(). After an error no descriptor was received. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_recvmsg(nart_cx *cx, nart_unix_dgram *u,
                                                        nart_msg *m);

/** Sends as nart_unix_dgram_send(), with control data: descriptors by `nart_msg_add(m, SOL_SOCKET, SCM_RIGHTS, fds,
 *  sizeof fds)`. @return as nart_unix_dgram_send(); -EINVAL, -EBADF, -ETOOMANYREFS, -EPERM as nart_unix_sendmsg(). */
NART_API NART_MUST_USE nart_res nart_unix_dgram_sendmsg(nart_cx *cx, nart_unix_dgram *u,
                                                        const nart_msg *m);

/** Sends as nart_unix_dgram_send(), nart_unix_dgram_send_many(), nart_unix_dgram_sendmsg(), in turn as
 *  nart_udp_send_in_turn(): a send whose receiver's queue is full holds up those behind it, also to others.
 *  @return as the function of that name, and nart_udp_send_in_turn(). */
NART_API NART_MUST_USE nart_res nart_unix_dgram_send_in_turn(nart_cx *cx, nart_unix_dgram *u,
                                                             nart_waiter *w, const void *buf,
                                                             size_t len, const nart_addr *to);
/** @return as nart_unix_dgram_send_many(), and nart_udp_send_in_turn(). */
NART_API NART_MUST_USE nart_res nart_unix_dgram_send_many_in_turn(nart_cx *cx, nart_unix_dgram *u,
                                                                  nart_waiter *w,
                                                                  const nart_udp_msg *msgs,
                                                                  size_t n);
/** @return as nart_unix_dgram_sendmsg(), and nart_udp_send_in_turn(). */
NART_API NART_MUST_USE nart_res nart_unix_dgram_sendmsg_in_turn(nart_cx *cx, nart_unix_dgram *u,
                                                                nart_waiter *w, const nart_msg *m);

/** The local address. @return as nart_tcp_local_addr(). */
NART_API nart_res nart_unix_dgram_local_addr(const nart_unix_dgram *u, nart_addr *out);

/** The descriptor, for the options in nart/socket.h. @return as nart_tcp_fd(). */
NART_API nart_res nart_unix_dgram_fd(const nart_unix_dgram *u);

/** Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed. */
NART_API void nart_unix_dgram_move(nart_unix_dgram *dst, nart_unix_dgram *src);

/** Closes. @return as nart_fd_close(). */
NART_API nart_res nart_unix_dgram_close(nart_unix_dgram *u);

#ifdef __cplusplus
}
#endif
#endif
