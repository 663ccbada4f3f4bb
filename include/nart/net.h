/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/net.h
 * TCP and UDP. The rules of all handles are at the top of nart/io.h.
 *
 * ```c
 * struct echo { nart_co co; nart_tcp sock; size_t len, done; char buf[1024]; };
 *
 * static nart_res echo_run(nart_cx *cx, void *frame)
 * {
 *     struct echo *e = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &e->co);
 *     for (;;) {
 *         NART_AWAIT(n, nart_tcp_recv(cx, &e->sock, e->buf, sizeof e->buf));
 *         if (n <= 0)
 *             break;
 *         e->len = (size_t)n;
 *         NART_AWAIT(n, nart_tcp_send_all(cx, &e->sock, e->buf, e->len, &e->done));
 *         if (n < 0)
 *             break;
 *     }
 *     nart_tcp_close(&e->sock);
 *     NART_END(n);
 * }
 * ```
 *
 * Functions that open a handle take a runtime, before or while it runs. Those whose names end in `_here` take a
 * body's `cx` instead, and open it under the driver that polls the body: the loop, or tokio.
 * An error `-errno` that is not listed comes from the system call.
 */
#ifndef NART_NET_H
#define NART_NET_H

#include "io.h"
#include "sync.h"

#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- addresses ------------------------------------------------------------------------------ */

/** An address and a port: a `struct sockaddr` of `len` bytes. Zeroed = none. May be copied. */
typedef struct nart_addr {
    struct sockaddr_storage storage; /**< the `struct sockaddr` */
    socklen_t len;                   /**< its bytes; 0: none */
} nart_addr;

/** Size of a buffer that holds the text of any address and its NUL; 64 is enough for IPv4 and IPv6. */
#define NART_ADDR_TEXT 440

/**
 * Parses "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80" or "[fe80::1%eth0]:80" (a scope, by the number or the name of
 * the interface). The port is required; names of hosts are not resolved. And "unix:/path" or "unix:path", "unix:@abstract name", "unix:" (no name): in these `\\` is
 * a backslash, and `\x00` to `\xff` any byte. A name that begins with @ is written "unix:./@" or "unix:\x40".
 * @return 0; -ENODEV no interface has this name; -ENAMETOOLONG a path or abstract name of more than 107 bytes; -EINVAL
 *   no address, or a path with a NUL. After an error `*out` is zeroed. **Thread**: any.
 * **Cost**: no system call; with the name of an interface three, which do not block.
 */
NART_API NART_MUST_USE nart_res nart_addr_parse(nart_addr *out, const char *text);

/** Writes the text that nart_addr_parse() parses, a scope as a number: names of interfaces change. @return its length; -ENOSPC it does not fit in `cap`
 *  bytes (then `buf` holds an empty string); -EAFNOSUPPORT none of IPv4, IPv6 and Unix. **Thread**: any. */
NART_API nart_res nart_addr_format(const nart_addr *a, char *buf, size_t cap);

/** Do both name the same address, port and scope, or the same path or abstract name? An IPv4 address and the IPv6
 *  address that stands for it are different. **Thread**: any. */
NART_API bool nart_addr_equal(const nart_addr *a, const nart_addr *b);

/** A hash of what nart_addr_equal() compares. @param seed another one gives another hash: a random number, where peers
 *  choose their addresses. **Thread**: any. */
NART_API uint64_t nart_addr_hash(const nart_addr *a, uint64_t seed);

/** The port, or 0 where there is none. **Thread**: any. */
NART_API uint16_t nart_addr_port(const nart_addr *a);

/* ---- TCP: listening ------------------------------------------------------------------------- */

/** A listening socket. Zeroed = closed. */
typedef struct nart_tcp_listener {
    /* private */
    nart_io io;
    int32_t fd;
    int32_t spare; /* accepted and not yet registered: the descriptor, plus one */
    uint64_t reserved[4];
} nart_tcp_listener;

enum {
    NART_LISTEN_REUSE_PORT = 1, /**< several listeners share the port; the kernel balances */
    NART_LISTEN_V6ONLY = 2,     /**< an IPv6 listener takes no IPv4 connections */
    NART_LISTEN_EXCLUSIVE = 4   /**< no SO_REUSEADDR: -EADDRINUSE during TIME_WAIT */
};

/** Options of nart_tcp_listen(); begin with NART_TCP_LISTEN_OPTS_INIT. Zero means the default. */
typedef struct nart_tcp_listen_opts {
    size_t size;    /**< sizeof(nart_tcp_listen_opts) */
    uint32_t flags; /**< NART_LISTEN_* */
    uint32_t
        backlog; /**< connections that may wait to be accepted; default: the system's maximum */
    uint64_t reserved[2];
} nart_tcp_listen_opts;

#define NART_TCP_LISTEN_OPTS_INIT NART__SIZED(nart_tcp_listen_opts)

/**
 * Listens at `addr`; port 0 takes a free one, see nart_tcp_listener_addr(). `opts` may be NULL.
 * @return 0; -EINVAL no `rt` or `out`, bad options, or `addr` is no address; -EAFNOSUPPORT it is not of
 *   IPv4 or IPv6; -EADDRINUSE; -EADDRNOTAVAIL; -EACCES; -EMFILE, -ENFILE, NART_EFDS, -ENOBUFS, -ENOMEM,
 *   -ENOSPC as nart_fd_open(); NART_EABI; NART_EWRONGTHREAD; NART_EFORK.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API NART_MUST_USE nart_res nart_tcp_listen(nart_rt *rt, const nart_addr *addr,
                                                const nart_tcp_listen_opts *opts,
                                                nart_tcp_listener *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_tcp_listen(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_tcp_listen_here(nart_cx *cx, const nart_addr *addr,
                                                     const nart_tcp_listen_opts *opts,
                                                     nart_tcp_listener *out);

/** Waits until a connection may be pending. @return NART_READ, with the states of nart_fd_ready(). */
NART_API NART_MUST_USE nart_res nart_tcp_listener_ready(nart_cx *cx, nart_tcp_listener *l);

/** The local address. @return 0; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_tcp_listener_addr(const nart_tcp_listener *l, nart_addr *out);

/**
 * Takes over a TCP socket that listens, and makes it non-blocking.
 * @return 0; -EBADF; -ENOTSOCK; -EPROTOTYPE not TCP; -EINVAL it does not listen; the errors of nart_fd_open().
 * **Ownership**: the descriptor passes on success. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_tcp_listener_adopt(nart_rt *rt, int fd,
                                                        nart_tcp_listener *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_tcp_listener_adopt(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_tcp_listener_adopt_here(nart_cx *cx, int fd,
                                                             nart_tcp_listener *out);

/** Gives the descriptor back, non-blocking, and closes the handle. A task that waits in it is woken and finds it
 *  closed.
 *  @return 0; -EINVAL no `fd`; -EBADF; -EAGAIN a connection that was accepted waits for the next nart_tcp_accept(),
 *  because the last one failed: accept it first; NART_ESTALE; NART_EWRONGTHREAD.
 *  **Ownership**: the descriptor is the caller's again. */
NART_API NART_MUST_USE nart_res nart_tcp_listener_detach(nart_tcp_listener *l, int *fd);

/** The descriptor, for the options in nart/socket.h. **Ownership**: the handle's. @return as nart_tcp_fd(). */
NART_API nart_res nart_tcp_listener_fd(const nart_tcp_listener *l);

/** Closes; connections that were not accepted are reset. @return as nart_fd_close(). */
NART_API nart_res nart_tcp_listener_close(nart_tcp_listener *l);

/** Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed. */
NART_API void nart_tcp_listener_move(nart_tcp_listener *dst, nart_tcp_listener *src);

/* ---- TCP: streams --------------------------------------------------------------------------- */

/** A connected TCP socket. Zeroed = closed. */
typedef struct nart_tcp {
    /* private */
    nart_io io;
    int32_t fd;
    uint32_t state;
    uint64_t reserved[4];
} nart_tcp;

/**
 * Accepts a connection. Connections that failed while they were queued are skipped.
 * @param out closed or zeroed. @param peer the peer's address, or NULL. Zeroed if the connection had been accepted by a
 *   call that failed, and was reset since.
 * @return 0; -EISCONN `*out` is open; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC, NART_EFDS no
 *   descriptor or memory left in the process, the system or the runtime (nart_rt_opts.max_io). Then the
 *   connection stays in the queue. Free something or sleep before the next call: at once it would fail
 *   again.
 */
NART_API NART_MUST_USE nart_res nart_tcp_accept(nart_cx *cx, nart_tcp_listener *l, nart_tcp *out,
                                                nart_addr *peer);

/** The most connections that one call of nart_tcp_accept_many() accepts. */
#define NART_ACCEPT_BATCH 64

/**
 * Accepts the pending connections, at most `n` and NART_ACCEPT_BATCH. Waits for the first one only.
 * @param out `n` handles, closed or zeroed; the first ones are opened. @param peers receives as many addresses, or NULL.
 * @return the number of connections, at least 1; -EINVAL `n` is 0; -EISCONN one of the handles is open; the errors of
 *   nart_tcp_accept() about the first connection. An error about a later one ends the batch, and the next call answers
 *   it if it persists: no connection is lost.
 * **Cost**: one system call for each connection; if it answers less than `n`, another one, after which the next call
 *   knows that none is pending; one to register each. One answer of the poll's budget.
 */
NART_API NART_MUST_USE nart_res nart_tcp_accept_many(nart_cx *cx, nart_tcp_listener *l,
                                                     nart_tcp *out, nart_addr *peers, size_t n);

/** Accepts as nart_tcp_accept_many(), without waiting, also outside of a poll. `n` may be 1.
 *  @return the number of connections, at least 1; -EAGAIN none is pending; -EINVAL, -EISCONN, -EMFILE, -ENFILE, -ENOBUFS,
 *  -ENOMEM, -ENOSPC, NART_EFDS as nart_tcp_accept_many(); -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_tcp_try_accept_many(nart_tcp_listener *l, nart_tcp *out,
                                                         nart_addr *peers, size_t n);

/**
 * Connects. The first call starts the connect to `addr`; later calls continue it.
 * If `addr` is of this host, nobody listens there, and its port is one that the kernel assigns
 * (net.ipv4.ip_local_port_range), a connect can be assigned that port, and is then connected to itself, as TCP allows:
 * about one in 28,000. nart_tcp_local_addr() answers `addr` then. So let servers listen on ports outside that range.
 * @param s closed or zeroed.
 * @return 0; -ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT ...; -EISCONN it is open; -EINVAL, -EAFNOSUPPORT
 *   `addr` is no address of IPv4 or IPv6, -EINVAL also: its port is 0; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC, NART_EFDS as
 *   nart_tcp_accept(); NART_EFORK; NART_EABORTED the handle was closed or moved while this connect was pending: by another
 *   task, by another arm of the race, or by this body before it called the connect again. That ends this call
 *   only; the handle may have been opened again.
 *   After every error but NART_EABORTED, -EISCONN, -EBUSY, NART_EDRIVER and -EPERM the socket is
 *   closed, -ECANCELED and -ETIMEDOUT included. A connect that lost a race stays as it is: close it,
 *   or await it again.
 * **Cost**: four system calls. Small packets are not held back (TCP_NODELAY is set here and on
 *   listeners; see nart_tcp_set_nodelay()).
 */
NART_API NART_MUST_USE nart_res nart_tcp_connect(nart_cx *cx, nart_tcp *s, const nart_addr *addr);

/**
 * Takes over a connected TCP socket and makes it non-blocking.
 * @return 0; -EBADF; -ENOTSOCK; -EPROTOTYPE not TCP; the errors of nart_fd_open().
 * **Ownership**: the descriptor passes on success. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_tcp_adopt(nart_rt *rt, int fd, nart_tcp *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_tcp_adopt(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_tcp_adopt_here(nart_cx *cx, int fd, nart_tcp *out);

/**
 * Gives the descriptor back, non-blocking, and closes the handle.
 * @param fd the descriptor. @param residue, cap, n for reactors that receive ahead of nart_tcp_recv(): such
 *   bytes, the next ones of the stream, are copied to `residue`. With epoll, the only reactor so far, `*n` is
 *   0 and they may be NULL and 0.
 * @return 0; -EINVAL no `fd`; -EBADF; -ENOTCONN a connect is under way; NART_ESTALE;
 *   NART_EWRONGTHREAD; -ENOBUFS more than `cap` bytes: `*n` is their number, the handle stays open.
 * **Ownership**: the descriptor is the caller's again.
 */
NART_API NART_MUST_USE nart_res nart_tcp_detach(nart_tcp *s, int *fd, void *residue, size_t cap,
                                                size_t *n);

/** Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed. A
 *  connect that another task or another arm of a race awaits is ended instead: `*dst` is closed, too. */
NART_API void nart_tcp_move(nart_tcp *dst, nart_tcp *src);

/** Closes. If received bytes have not been read, the kernel resets the connection, and the peer may lose
 *  the last bytes that were sent to it. To be sure of those, shut down writing and read to the end first.
 *  @return as nart_fd_close(). */
NART_API nart_res nart_tcp_close(nart_tcp *s);

/** Closes and resets the connection: the peer reads -ECONNRESET and not the end of the stream, so it does not take
 *  what it has received for all of it. If writing was shut down before, it may have read that end already. Bytes that
 *  were not delivered are lost. Once the runtime is freed, and in a
 *  child of fork, it only closes. A stream over the socket is closed afterwards: nart_stream_close().
 *  @return as nart_tcp_close(); the errors of setsockopt(2): it is closed, but not reset. */
NART_API nart_res nart_tcp_reset(nart_tcp *s);

/**
 * Receives the pending bytes, at most `len`.
 * @return the number of bytes; 0 the peer has shut down writing, or nart_tcp_shutdown() has ended this
 *   direction; -EINVAL `len` is 0 (0 means the end of the stream); -ECONNRESET; -ENOTCONN a connect is
 *   under way. An error of the connection stays until the handle is closed: see nart_tcp_error().
 * **Cost**: one system call if bytes are pending; none if the socket is known to be empty.
 */
NART_API NART_MUST_USE nart_res nart_tcp_recv(nart_cx *cx, nart_tcp *s, void *buf, size_t len);

/** Receives as nart_tcp_recv(), but the bytes stay: the next receive gets them, too. It does not wait for more bytes
 *  than it has returned before. @return as nart_tcp_recv(). **Cost**: one system call. */
NART_API NART_MUST_USE nart_res nart_tcp_peek(nart_cx *cx, nart_tcp *s, void *buf, size_t len);

/**
 * Sends as much as the kernel accepts at once, at least one byte.
 * @return the number of bytes; 0 if `len` is 0, whatever the socket's state; -EPIPE, -ECONNRESET the peer
 *   has closed (no SIGPIPE is raised); -EPIPE also: nart_tcp_shutdown() has ended this direction; -ENOTCONN.
 */
NART_API NART_MUST_USE nart_res nart_tcp_send(nart_cx *cx, nart_tcp *s, const void *buf,
                                              size_t len);

/**
 * Sends all of `buf`.
 * @param done the bytes accepted so far: 0 before the first call, kept in the frame, 0 again after
 *   success. An error, -ECANCELED and -ETIMEDOUT included, leaves it below `len`: another call with the
 *   same `buf` and `len` sends the rest. A call with another message would skip its first `*done` bytes. If you go
 *   on sending after errors, use a nart_tcp_writer.
 * @return `len`; -EINVAL `*done` is left from another message (not 0, and not below `len`);
 *   the errors of nart_tcp_send().
 */
NART_API NART_MUST_USE nart_res nart_tcp_send_all(nart_cx *cx, nart_tcp *s, const void *buf,
                                                  size_t len, size_t *done);

/**
 * A message being sent, and how much of it has been sent. Zeroed = no message. It accepts the next message
 * only after the last one was sent completely, so that an error in between cannot cut one short:
 *
 *     r = nart_tcp_writer_set(&f->out, f->buf, f->len);
 *     if (r == 0)
 *         NART_AWAIT_FOR(r, NART_SEC, nart_tcp_write(cx, &f->sock, &f->out));
 */
typedef struct nart_tcp_writer {
    /* private */
    const void *buf;
    size_t len, done;
    uint64_t id; /* the connection that has sent a part of it */
    const void *host;
} nart_tcp_writer;

/**
 * Sets the message for nart_tcp_write(). To abandon the rest of a message, zero the writer; if a part of it
 * has been sent, close the connection, too.
 * @return 0; -EINVAL `len` is 0 or `buf` is NULL; -EBUSY the last message has not been sent completely.
 * **Ownership**: `buf` stays the caller's, unchanged until it has been sent. **Thread**: any.
 */
NART_API NART_MUST_USE nart_res nart_tcp_writer_set(nart_tcp_writer *w, const void *buf,
                                                    size_t len);

/** Bytes of the message that have not been sent; 0: no message. **Thread**: any. */
static inline size_t nart_tcp_writer_left(const nart_tcp_writer *w)
{
    return w->len - w->done;
}

/**
 * Sends the message of `w`, or the rest of it. After an error, -ECANCELED and -ETIMEDOUT included, `w`
 * holds the rest: another call sends that.
 * @return the length of the message, and `*w` is zeroed; 0 there is no message; -EINVAL a part of it was
 *   sent on another connection; the errors of nart_tcp_send().
 * **Cost**: as nart_tcp_send().
 */
NART_API NART_MUST_USE nart_res nart_tcp_write(nart_cx *cx, nart_tcp *s, nart_tcp_writer *w);

/**
 * Sends `len` bytes of a file, from `offset` on, without copying them through the program (sendfile(2)). The file's
 * position is neither used nor moved.
 * @param fd a regular file, open for reading. @param len may be more than the file has: SIZE_MAX sends all of it.
 * @param done the bytes that were sent, as in nart_tcp_send_all(): 0 before the first call, 0 again after success. An
 *   error leaves it; another call with the same arguments sends the rest.
 * @return the number of bytes: less than `len` only if the file ended before, or was shortened meanwhile; 0 if `offset`
 *   is at its end or behind it; -EINVAL `offset` is negative, `*done` is left from another one (not 0, and not below
 *   `len`), or the kernel does not send this kind of file so; -EOVERFLOW `offset` is beyond what files of its file system can have;
 *   -ESPIPE it is a pipe: nart_tcp_send_pipe(); -EBADF also:
 *   `fd` is not open for reading; -EIO; the errors of nart_tcp_send().
 * **Ownership**: the descriptor stays the caller's. Leave the bytes unchanged until the peer has received them.
 * **Cost**: three system calls for each MiB, or what the kernel accepts at once: two of them are against SIGPIPE. What
 *   is not in memory is read from the disk, and the whole loop waits for that.
 */
NART_API NART_MUST_USE nart_res nart_tcp_send_file(nart_cx *cx, nart_tcp *s, int fd, int64_t offset,
                                                   size_t len, size_t *done);

/**
 * Sends the next `len` bytes of a pipe or FIFO, as they arrive, without copying them through the program (splice(2)).
 * @param from a handle of its reading end. @param len, done as of nart_tcp_send_file(). Bytes that were not sent are
 *   still in the pipe. While it waits for bytes of `from`, closing `s` does not wake it.
 * @return the number of bytes: less than `len` only if the pipe ended; -EINVAL `from` is no pipe, or `*done` is left
 *   from another one; -EBADF also: `from` is closed; the errors of nart_tcp_send(). -EBUSY also: another task reads
 *   `from`. **Cost**: three system calls for what the pipe has, or what the kernel accepts at once.
 */
NART_API NART_MUST_USE nart_res nart_tcp_send_pipe(nart_cx *cx, nart_tcp *s, nart_fd *from,
                                                   size_t len, size_t *done);

/**
 * Waits until one of the directions `dirs` (NART_READ, NART_WRITE or both) may be ready: for the functions below, and
 * for code that makes its own system calls on nart_tcp_fd(), which calls nart_tcp_clear() after EAGAIN.
 * @return as nart_fd_ready(); -ENOTCONN a connect is under way. **Cost**: as nart_fd_ready().
 */
NART_API NART_MUST_USE nart_res nart_tcp_ready(nart_cx *cx, nart_tcp *s, uint32_t dirs);

/** Notes that these directions are not ready, as nart_fd_clear(). */
NART_API void nart_tcp_clear(nart_tcp *s, uint32_t dirs);

/** Receives without waiting, also outside of a poll. A task that waits for the same bytes continues to wait.
 *  @return the number of bytes; 0 as nart_tcp_recv(); -EAGAIN none is pending; -EINVAL `len` is 0; -EBADF; -ENOTCONN;
 *  -ECONNRESET; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_tcp_try_recv(nart_tcp *s, void *buf, size_t len);

/** Sends without waiting, also outside of a poll. @return the number of bytes; 0 if `len` is 0; -EAGAIN the kernel's
 *  buffer is full; -EPIPE; -EBADF; -ENOTCONN; -ECONNRESET; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_tcp_try_send(nart_tcp *s, const void *buf, size_t len);

/** Sends one urgent byte (MSG_OOB), which the peer receives separately. Only one can be pending there: the next one
 *  turns it into an ordinary byte. @return 1; the errors of nart_tcp_send(). */
NART_API NART_MUST_USE nart_res nart_tcp_send_urgent(nart_cx *cx, nart_tcp *s, uint8_t byte);

/** Receives the urgent byte without waiting, also outside of a poll. An urgent byte alone wakes no wait. A receive of
 *  the bytes before it stops there; the next one goes past it, and an urgent byte that was not received until then is
 *  lost. @return 1; -EAGAIN it is announced and has not arrived; -EINVAL there is none, or it was received;
 *  0 the peer has shut down writing; -EBADF; -ENOTCONN; -ECONNRESET; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_tcp_try_recv_urgent(nart_tcp *s, uint8_t *byte);

/** Shuts down one direction or both. NART_WRITE: the peer reads the end of the stream after all that was
 *  sent; sending one byte or more answers -EPIPE from now on, also a send that waits; sending none still answers 0. NART_READ:
 *  receiving answers 0 from now on, also a receive that waits; pending bytes and later ones are lost, and the peer is not
 *  notified. Both answer the connection's error if it has failed.
 *  Does not close.
 *  @return 0; -EINVAL no direction, or unknown bits; -EBADF; -ENOTCONN not connected yet, or no longer;
 *  NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_tcp_shutdown(nart_tcp *s, uint32_t dirs);

/**
 * The error with which the connection has ended. The kernel reports it once. The handle keeps it: from the first
 * operation on that gets it, in either direction, every send and receive answers it until the handle is closed, tries
 * and peeks included; a receive first the bytes that had arrived. nart_tcp_ready() answers the directions and
 * NART_ERROR. A task that waits in the other direction is woken. So 0 of a receive always means that the peer has shut
 * down writing. Errors that stay: -ECONNRESET, -ECONNABORTED, -ECONNREFUSED, -ETIMEDOUT, -EHOSTDOWN, -EHOSTUNREACH,
 * -ENETDOWN, -ENETRESET, -ENETUNREACH.
 *
 * An operation answers -ETIMEDOUT also when a deadline of the task has passed (TCP_USER_TIMEOUT and keepalive are the
 * kernel's): this function tells the two apart, as a deadline is no error of the connection.
 * @return 0 there is none; the error, also one that no operation has got yet, -ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT
 *   ...; -EBADF; -ENOTCONN a connect is under way; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK.
 * **Cost**: one system call while there is none.
 */
NART_API nart_res nart_tcp_error(nart_tcp *s);

/** TCP_NODELAY: on (the default) sends small packets at once, off holds them back until earlier ones have
 *  been acknowledged. @return 0; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_tcp_set_nodelay(nart_tcp *s, bool on);
/** @return 1, 0, or the errors of nart_tcp_set_nodelay(). */
NART_API nart_res nart_tcp_nodelay(const nart_tcp *s);

/** The local address. @return 0; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_tcp_local_addr(const nart_tcp *s, nart_addr *out);
/** The peer's address. @return as nart_tcp_local_addr(); -ENOTCONN not connected yet, or no
 *  longer. */
NART_API nart_res nart_tcp_peer_addr(const nart_tcp *s, nart_addr *out);

/** The descriptor, for the options in nart/socket.h. **Ownership**: the handle's.
 *  @return the descriptor; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_tcp_fd(const nart_tcp *s);

/* ---- UDP ------------------------------------------------------------------------------------ */

/** A UDP socket. Zeroed = closed. */
typedef struct nart_udp {
    /* private */
    nart_io io;
    int32_t fd;
    uint32_t flags;
    nart__waitq senders; /* in turn: the first one may wait for the socket */
    uint64_t reserved[2];
} nart_udp;

enum {
    NART_UDP_REUSE_ADDR = 1, /**< SO_REUSEADDR */
    NART_UDP_REUSE_PORT = 2, /**< SO_REUSEPORT: the kernel spreads datagrams over the sockets */
    NART_UDP_TIMESTAMPS =
        4,               /**< the kernel records when each datagram arrived: nart_udp_msg.stamp */
    NART_UDP_V6ONLY = 8, /**< an IPv6 socket takes no IPv4 datagrams */
    /** UDP_GRO: the kernel joins datagrams of one sender that have the same length, and one message of
     *  nart_udp_recv_many() holds several: nart_udp_msg.segment. Give it buffers of 65,535 bytes. */
    NART_UDP_GRO = 16
};

/** Options of nart_udp_open(); begin with NART_UDP_OPTS_INIT. Zero means the default. */
typedef struct nart_udp_opts {
    size_t size;    /**< sizeof(nart_udp_opts) */
    uint32_t flags; /**< NART_UDP_* */
    int32_t rcvbuf; /**< bytes; the system caps it silently (net.core.rmem_max) */
    int32_t sndbuf; /**< bytes; likewise */
    uint32_t reserved0;
    uint64_t reserved[2];
} nart_udp_opts;

#define NART_UDP_OPTS_INIT NART__SIZED(nart_udp_opts)

/** The most datagrams that one call of nart_udp_recv_many() or nart_udp_send_many() handles. */
#define NART_UDP_BATCH 64

enum {
    /** The datagram was longer than `cap`; the rest is lost. With NART_UDP_GRO also: it is not known where joined
     *  datagrams end, because of control data that the program has asked for by setsockopt(2). */
    NART_UDP_TRUNCATED = 1
};

/** One datagram of a batch. The caller's memory. */
typedef struct nart_udp_msg {
    void *buf;      /**< its bytes */
    size_t cap;     /**< receiving: bytes in `buf` */
    size_t len;     /**< bytes of the datagram in `buf` */
    int64_t stamp;  /**< received with NART_UDP_TIMESTAMPS: nanoseconds on CLOCK_REALTIME; else 0 */
    uint32_t flags; /**< received: NART_UDP_TRUNCATED */
    /** 0: one datagram. Else `buf` holds several of so many bytes each, the last of which may be shorter. Received:
     *  with NART_UDP_GRO only. Sent: the kernel or the device splits them (UDP_SEGMENT) */
    uint32_t segment;
    nart_addr
        addr; /**< received: the sender; sent: the receiver, zeroed if the socket is connected */
} nart_udp_msg;

/** Binds a socket to `addr`; port 0 takes a free one. `opts` may be NULL.
 *  @return as nart_tcp_listen(); -ENOPROTOOPT the kernel has no UDP_GRO (Linux before 5.0). **Thread**: the same. */
NART_API NART_MUST_USE nart_res nart_udp_open(nart_rt *rt, const nart_addr *addr,
                                              const nart_udp_opts *opts, nart_udp *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_udp_open(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_udp_open_here(nart_cx *cx, const nart_addr *addr,
                                                   const nart_udp_opts *opts, nart_udp *out);

/**
 * Takes over a UDP socket and makes it non-blocking. It may be connected, and unbound: the first datagram that it
 * sends binds it.
 * @return 0; -EBADF; -ENOTSOCK; -EPROTOTYPE not UDP; the errors of nart_fd_open().
 * **Ownership**: the descriptor passes on success. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_udp_adopt(nart_rt *rt, int fd, nart_udp *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_udp_adopt(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_udp_adopt_here(nart_cx *cx, int fd, nart_udp *out);

/** Gives the descriptor back, non-blocking, and closes the handle. A task that waits in it is woken and finds it
 *  closed. @return 0; -EINVAL no `fd`; -EBADF; NART_ESTALE; NART_EWRONGTHREAD.
 *  **Ownership**: the descriptor is the caller's again. */
NART_API NART_MUST_USE nart_res nart_udp_detach(nart_udp *u, int *fd);

/** Fixes the peer: only its datagrams are received, and its refusals are reported (-ECONNREFUSED, once
 *  each). Queued datagrams of others are dropped as they are received; until the queue was empty once,
 *  datagrams are received one by one. Does not wait.
 *  @return 0; -EINVAL, -EAFNOSUPPORT no address of IPv4 or IPv6, or not of this socket's family;
 *  -EBADF; -ENETUNREACH; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_udp_connect(nart_udp *u, const nart_addr *addr);

/** Undoes nart_udp_connect(): datagrams of all senders are received. The local address is that of before, and the
 *  device of nart_sock_set_device() is kept. Datagrams that are queued stay; a refusal that was not reported is forgotten.
 *  Where the kernel chose the port, it is bound again: for a moment it refuses datagrams, and is free for others.
 *  @return 0; -ENOTCONN it is not connected; -EADDRINUSE another socket has taken the port: it has no address now, close
 *  it; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API nart_res nart_udp_disconnect(nart_udp *u);

/**
 * Receives one datagram. @param from its sender, or NULL.
 * @return its length, which may be 0; -EMSGSIZE it was longer than `len`: `buf` holds its beginning, the
 *   rest is lost; -ECONNREFUSED an earlier datagram was refused (connected sockets); -EINVAL the socket has
 *   NART_UDP_GRO, and could not say where each datagram ends: nart_udp_recv_many().
 */
NART_API NART_MUST_USE nart_res nart_udp_recv(nart_cx *cx, nart_udp *u, void *buf, size_t len,
                                              nart_addr *from);

/** Sends one datagram. @param to NULL, or zeroed, when the socket is connected.
 *  @return `len`; -EMSGSIZE too long; -EDESTADDRREQ no `to` and not connected; -EINVAL, -EAFNOSUPPORT
 *  `to` is no address of this socket's family; -ENETUNREACH; -ECONNREFUSED an earlier one was
 *  refused (connected sockets). */
NART_API NART_MUST_USE nart_res nart_udp_send(nart_cx *cx, nart_udp *u, const void *buf, size_t len,
                                              const nart_addr *to);

/**
 * Receives the pending datagrams, at most `n` and NART_UDP_BATCH. Set `buf` and `cap` of each message; the
 * other fields are filled in.
 * @return the number of messages, at least 1; -EINVAL `n` is 0; -ECONNREFUSED an earlier datagram was
 *   refused (connected sockets).
 * **Cost**: one system call; if it answers less than `n`, the next call knows that the socket is empty.
 */
NART_API NART_MUST_USE nart_res nart_udp_recv_many(nart_cx *cx, nart_udp *u, nart_udp_msg *msgs,
                                                   size_t n);

/**
 * Sends the first of `n` messages: as many as the kernel accepts at once, at most NART_UDP_BATCH. Set
 * `buf`, `len`, `segment` and `addr` of each message.
 * @return the number of messages, at least 1; -EINVAL `n` is 0; the errors of nart_udp_send(), about the first one. About
 *   one with a `segment`: -EINVAL it is longer than a datagram on this route, or `len` more than 64 of them (128
 *   from Linux 6.9 on); -EMSGSIZE `len` is above 65,507; -EIO the device of the route does not support it;
 *   -ENOPROTOOPT the kernel has no UDP_SEGMENT (Linux before 4.18): send its datagrams as messages of their own.
 * **Cost**: one system call; one more for the first message with a `segment`.
 */
NART_API NART_MUST_USE nart_res nart_udp_send_many(nart_cx *cx, nart_udp *u,
                                                   const nart_udp_msg *msgs, size_t n);

/**
 * Sends as nart_udp_send(), where several tasks send on one socket, or several arms of a race: who has to wait is queued,
 * first come, first served, and none gets -EBUSY. All of them send in turn: a task that waits in nart_udp_send() itself is
 * not in the queue. A sender that is cancelled, loses its race or whose deadline passes leaves the queue, and has sent
 * nothing. Close or move the socket before its memory is freed: its senders find it closed.
 * @param w the caller's wait, in its frame: one for each send that may wait at the same time.
 * @return as nart_udp_send(); -EBUSY another operation waits in `w`, or a task waits to send out of turn, or in
 *   nart_udp_ready(); NART_EDRIVER also: tasks of another runtime are queued. **Cost**: as nart_udp_send(); no
 *   allocation.
 */
NART_API NART_MUST_USE nart_res nart_udp_send_in_turn(nart_cx *cx, nart_udp *u, nart_waiter *w,
                                                      const void *buf, size_t len,
                                                      const nart_addr *to);

/** Sends as nart_udp_send_many(), in turn as nart_udp_send_in_turn(). @return as both. */
NART_API NART_MUST_USE nart_res nart_udp_send_many_in_turn(nart_cx *cx, nart_udp *u, nart_waiter *w,
                                                           const nart_udp_msg *msgs, size_t n);

/** Receives as nart_udp_recv(), but the datagram stays: the next receive gets it, too. @return as nart_udp_recv():
 *  after -EMSGSIZE nothing is lost. */
NART_API NART_MUST_USE nart_res nart_udp_peek(nart_cx *cx, nart_udp *u, void *buf, size_t len,
                                              nart_addr *from);

/** Waits until a direction may be ready, as nart_tcp_ready(). @return as nart_fd_ready(). */
NART_API NART_MUST_USE nart_res nart_udp_ready(nart_cx *cx, nart_udp *u, uint32_t dirs);

/** Notes that these directions are not ready, as nart_fd_clear(). */
NART_API void nart_udp_clear(nart_udp *u, uint32_t dirs);

/** Receives one datagram without waiting, also outside of a poll. @param from its sender, or NULL.
 *  @return its length, which may be 0; -EAGAIN none is pending; -EMSGSIZE, -ECONNREFUSED, -EINVAL as nart_udp_recv(); -EBADF;
 *  NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_udp_try_recv(nart_udp *u, void *buf, size_t len,
                                                  nart_addr *from);

/** Sends one datagram without waiting, also outside of a poll. @return `len`; -EAGAIN the kernel's buffer is full; the
 *  errors of nart_udp_send() about the datagram: -EMSGSIZE, -EDESTADDRREQ, -EINVAL, -EAFNOSUPPORT, -ENETUNREACH,
 *  -ECONNREFUSED; -EBADF; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_udp_try_send(nart_udp *u, const void *buf, size_t len,
                                                  const nart_addr *to);

/** Receives as nart_udp_recv_many(), without waiting, also outside of a poll. @return the number of messages, at least 1;
 *  -EAGAIN none is pending; -EINVAL `n` is 0; -ECONNREFUSED as nart_udp_recv(); -EBADF; NART_ESTALE; NART_EWRONGTHREAD;
 *  NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_udp_try_recv_many(nart_udp *u, nart_udp_msg *msgs, size_t n);

/** Sends as nart_udp_send_many(), without waiting, also outside of a poll. @return the number of messages, at least 1;
 *  -EAGAIN the kernel's buffer is full; -EIO, -ENOPROTOOPT and the others of nart_udp_send_many() about the first message:
 *  -EINVAL, -EMSGSIZE, -EDESTADDRREQ, -EAFNOSUPPORT, -ENETUNREACH, -ECONNREFUSED; -EBADF; NART_ESTALE; NART_EWRONGTHREAD;
 *  NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_udp_try_send_many(nart_udp *u, const nart_udp_msg *msgs,
                                                       size_t n);

/** The local address. @return as nart_tcp_local_addr(). */
NART_API nart_res nart_udp_local_addr(const nart_udp *u, nart_addr *out);

/** The descriptor, for the options in nart/socket.h. @return as nart_tcp_fd(). */
NART_API nart_res nart_udp_fd(const nart_udp *u);

/** Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed. */
NART_API void nart_udp_move(nart_udp *dst, nart_udp *src);

/** Closes. @return as nart_fd_close(). */
NART_API nart_res nart_udp_close(nart_udp *u);

NART__ASSERT(sizeof(void *) != 8 || (sizeof(nart_tcp_listener) == 64 && sizeof(nart_tcp) == 64 &&
                                     sizeof(nart_udp) == 64),
             "a handle is one cache line");

#ifdef __cplusplus
}
#endif
#endif
