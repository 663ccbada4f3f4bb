/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/socket.h
 * Options of sockets, and sockets that are made step by step.
 *
 * The functions nart_sock_*() take a descriptor, so they serve every handle, and descriptors that are no handle's.
 * What nart_tcp_fd() and its like answer can be passed on without a look at it:
 *
 *     r = nart_sock_set_ttl(nart_tcp_fd(&f->sock), 64);
 *
 * Rules for them:
 *  1. A negative `fd` is an error of the function that answered it, and is returned unchanged. Only -1, which is how
 *     system calls fail, becomes -EBADF.
 *  2. Setting answers 0. Reading answers the value, which is not negative, or 1 and 0 for on and off.
 *  3. Every one can answer these errors, which are not repeated below: -EBADF; -ENOTSOCK; -ENOPROTOOPT, -EOPNOTSUPP
 *     a socket of this kind does not have the option. An error `-errno` that is not listed comes from the
 *     system call.
 *  4. Times are nanoseconds. What the kernel counts in seconds or milliseconds is rounded up.
 *  5. An option with two names, for IPv4 and for IPv6, is set for both on an IPv6 socket, because it carries IPv4
 *     too, unless nart_sock_set_v6only() is on; the value of IPv6 is read.
 *  6. They do not wait, do not allocate, and make one system call, or two to four where an option is several of the
 *     kernel's.
 *
 * **Thread**: any, while nobody closes the descriptor.
 */
#ifndef NART_SOCKET_H
#define NART_SOCKET_H

#include "unix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- any socket ----------------------------------------------------------------------------- */

/** Its family, AF_INET ... */
NART_API nart_res nart_sock_family(nart_res fd);
/** Its type, SOCK_STREAM ... */
NART_API nart_res nart_sock_type(nart_res fd);
/** Its protocol, IPPROTO_TCP ...; 0: the only one of its type. */
NART_API nart_res nart_sock_protocol(nart_res fd);
/** Whether it listens. */
NART_API nart_res nart_sock_listening(nart_res fd);

/** The pending error, which is cleared: the next operation does not report it. Of a nart_tcp or nart_unix it would be
 *  lost, and receiving would answer 0: nart_tcp_error() and nart_unix_error() keep it.
 *  @return 0 there is none; the error, -ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT ... */
NART_API nart_res nart_sock_take_error(nart_res fd);

/** The local address. */
NART_API nart_res nart_sock_local_addr(nart_res fd, nart_addr *out);
/** The peer's address. @return 0; -ENOTCONN. */
NART_API nart_res nart_sock_peer_addr(nart_res fd, nart_addr *out);

/** SO_REUSEADDR: bind to a port that only old connections use; datagram sockets share the port. Before bind. */
NART_API nart_res nart_sock_set_reuse_addr(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_reuse_addr(nart_res fd);

/** SO_REUSEPORT: several sockets of one user share the port, and the kernel spreads connections or datagrams over
 *  them. Each of them sets it. Before bind. */
NART_API nart_res nart_sock_set_reuse_port(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_reuse_port(nart_res fd);

/** IPV6_V6ONLY: an IPv6 socket that carries no IPv4. Before bind. @return 0; -EINVAL it is bound. */
NART_API nart_res nart_sock_set_v6only(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_v6only(nart_res fd);

/**
 * The size of the receive buffer, in bytes. The kernel caps it silently (net.core.rmem_max), and then doubles it to
 * have space for its own records: nart_sock_rcvbuf() answers the doubled number. The window that TCP offers grows no
 * further than the buffer of the time of the handshake allows: set it before connect and listen.
 * @return 0; -EINVAL `bytes` is below 1.
 */
NART_API nart_res nart_sock_set_rcvbuf(nart_res fd, int bytes);
/** @return the bytes that the kernel uses. */
NART_API nart_res nart_sock_rcvbuf(nart_res fd);
/** The size of the send buffer; likewise (net.core.wmem_max). @return as nart_sock_set_rcvbuf(). */
NART_API nart_res nart_sock_set_sndbuf(nart_res fd, int bytes);
/** @return the bytes that the kernel uses. */
NART_API nart_res nart_sock_sndbuf(nart_res fd);

/**
 * SO_LINGER: what closing does with bytes that have not been sent. Off (the default): the kernel sends them while
 * the program goes on. On with 0: they are discarded, and the peer gets a reset. On with more: close() waits until
 * they are sent and acknowledged, at most `ns` in whole seconds. It waits although the socket is non-blocking, and the
 * whole loop with it: detach such a socket and close it on another thread.
 * @return 0; -EINVAL `ns` is negative or above what the kernel counts.
 */
NART_API nart_res nart_sock_set_linger(nart_res fd, bool on, int64_t ns);
/** @param ns the time, if it is on; or NULL. @return 1 or 0. */
NART_API nart_res nart_sock_linger(nart_res fd, int64_t *ns);

/** SO_BINDTODEVICE: packets of the network device with this name only; NULL or "": of all.
 *  @return 0; -EINVAL the name is too long; -ENODEV; -EPERM. */
NART_API nart_res nart_sock_set_device(nart_res fd, const char *name);
/** The name of the device; an empty string: it is not bound to one. @return the length; -ENOSPC it does not fit in
 *  `cap` bytes: 16 are enough. */
NART_API nart_res nart_sock_device(nart_res fd, char *buf, size_t cap);

/** SO_PRIORITY: the queue of the network device; above 6 with CAP_NET_ADMIN. nart_sock_set_dscp() changes it, too.
 *  @return 0; -EINVAL negative; -EPERM. */
NART_API nart_res nart_sock_set_priority(nart_res fd, int priority);
/** @return the priority. */
NART_API nart_res nart_sock_priority(nart_res fd);

/** SO_MARK: the mark of its packets, for rules of routing and firewall. @return 0; -EPERM it needs CAP_NET_ADMIN. */
NART_API nart_res nart_sock_set_mark(nart_res fd, uint32_t mark);
/** @return the mark. */
NART_API nart_res nart_sock_mark(nart_res fd);

/* ---- IPv4 and IPv6 --------------------------------------------------------------------------- */

/** The TTL, or hop limit, of unicast packets. @return 0; -EINVAL not 1 to 255; -EAFNOSUPPORT neither IPv4 nor
 *  IPv6. */
NART_API nart_res nart_sock_set_ttl(nart_res fd, int ttl);
/** @return the number; -EAFNOSUPPORT. */
NART_API nart_res nart_sock_ttl(nart_res fd);

/** The class of service of its packets (DSCP): 46 for what must not be late, 0 for the rest. The bits of ECN become
 *  0. @return 0; -EINVAL not 0 to 63; -EAFNOSUPPORT neither IPv4 nor IPv6. */
NART_API nart_res nart_sock_set_dscp(nart_res fd, int dscp);
/** @return the class; -EAFNOSUPPORT. */
NART_API nart_res nart_sock_dscp(nart_res fd);

/* ---- datagrams ------------------------------------------------------------------------------- */

/** SO_BROADCAST: sending to a broadcast address is allowed; else it is refused (EACCES). */
NART_API nart_res nart_sock_set_broadcast(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_broadcast(nart_res fd);

/**
 * Joins a multicast group. The port of `group` is ignored.
 * @param ifindex the interface, as if_nametoindex() answers it; 0: that of a scope in `group`, or else the one to
 *   which the routing table sends the group.
 * @return 0; -EINVAL, -EAFNOSUPPORT `group` is no address of a group of IPv4 or IPv6; -ENODEV no such interface,
 *   or none for this group; -EADDRINUSE joined already; -ENOBUFS too many groups; -ENOMEM.
 */
NART_API nart_res nart_sock_join(nart_res fd, const nart_addr *group, uint32_t ifindex);
/** Leaves it. @return as nart_sock_join(); -EADDRNOTAVAIL it was not joined. */
NART_API nart_res nart_sock_leave(nart_res fd, const nart_addr *group, uint32_t ifindex);

/** Joins a group for what one source sends, an address of the same family; call it again for further sources. A
 *  group that was joined without a source is limited to this one.
 *  @return as nart_sock_join(); -EADDRNOTAVAIL this source was joined already. */
NART_API nart_res nart_sock_join_source(nart_res fd, const nart_addr *group,
                                        const nart_addr *source, uint32_t ifindex);
/** Leaves it for this source. @return as nart_sock_join(); -EADDRNOTAVAIL it was not joined. */
NART_API nart_res nart_sock_leave_source(nart_res fd, const nart_addr *group,
                                         const nart_addr *source, uint32_t ifindex);

/** The interface that sends to groups; 0: the routing table's. It cannot be read back for IPv4.
 *  @return 0; -ENODEV, -EADDRNOTAVAIL no such interface; -EAFNOSUPPORT neither IPv4 nor IPv6. */
NART_API nart_res nart_sock_set_multicast_if(nart_res fd, uint32_t ifindex);

/** Whether sockets on this host receive what it sends to groups (the default). @return 0; -EAFNOSUPPORT neither
 *  IPv4 nor IPv6. */
NART_API nart_res nart_sock_set_multicast_loop(nart_res fd, bool on);
/** @return 1 or 0; -EAFNOSUPPORT. */
NART_API nart_res nart_sock_multicast_loop(nart_res fd);

/** The TTL, or hop limit, of what it sends to groups; 1 (the default): this network only; 0: this host only.
 *  @return 0; -EINVAL not 0 to 255; -EAFNOSUPPORT neither IPv4 nor IPv6. */
NART_API nart_res nart_sock_set_multicast_ttl(nart_res fd, int ttl);
/** @return the number; -EAFNOSUPPORT. */
NART_API nart_res nart_sock_multicast_ttl(nart_res fd);

/** Off: only groups that this socket has joined. On (the default): those that any socket of this host has joined, if
 *  it is bound to their port and no address. @return 0; -EAFNOSUPPORT neither IPv4 nor IPv6. */
NART_API nart_res nart_sock_set_multicast_all(nart_res fd, bool on);
/** @return 1 or 0; -EAFNOSUPPORT. */
NART_API nart_res nart_sock_multicast_all(nart_res fd);

/* ---- TCP ------------------------------------------------------------------------------------- */

/** When a silent connection is probed. Begin with NART_KEEPALIVE_INIT; what is 0 stays as it is: the system's
 *  values are 2 hours, 75 seconds and 9 probes, unless they have been changed. */
typedef struct nart_keepalive {
    size_t size;      /**< sizeof(nart_keepalive) */
    int64_t idle;     /**< silence before the first probe, in whole seconds */
    int64_t interval; /**< between probes without an answer, in whole seconds */
    uint32_t probes;  /**< so many without an answer end the connection: -ETIMEDOUT */
    uint32_t reserved0;
    uint64_t reserved[2];
} nart_keepalive;

#define NART_KEEPALIVE_INIT NART__SIZED(nart_keepalive)

/** Probes the peer of a silent connection. @param when NULL: does not. @return 0; -EINVAL a value is negative, or
 *  above the kernel's limits of 32767 seconds and 127 probes; NART_EABI. */
NART_API nart_res nart_sock_set_keepalive(nart_res fd, const nart_keepalive *when);
/** @param when the values, also if it is off; or NULL. @return 1 or 0; NART_EABI. */
NART_API nart_res nart_sock_keepalive(nart_res fd, nart_keepalive *when);

/** TCP_USER_TIMEOUT: the connection ends with -ETIMEDOUT if sent bytes are not acknowledged for `ns`, in whole
 *  milliseconds; 0: the system's limit, some 15 minutes. @return 0; -EINVAL negative, or above the kernel's limit. */
NART_API nart_res nart_sock_set_user_timeout(nart_res fd, int64_t ns);
/** @return nanoseconds; 0: the system's. */
NART_API nart_res nart_sock_user_timeout(nart_res fd);

/** TCP_NODELAY, as nart_tcp_set_nodelay(), also before connect and listen: accepted connections inherit it. */
NART_API nart_res nart_sock_set_nodelay(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_nodelay(nart_res fd);

/** TCP_QUICKACK: on: what arrives is acknowledged at once; off: later, with data if there is some. The kernel
 *  changes it by itself: set it again after each receive. */
NART_API nart_res nart_sock_set_quickack(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_quickack(nart_res fd);

/** TCP_FASTOPEN, of a listener: so many connections may be queued whose data arrived with the first packet, if the
 *  system permits it (net.ipv4.tcp_fastopen). @return 0; -EINVAL negative, or it is connected. */
NART_API nart_res nart_sock_set_fastopen(nart_res fd, int queue);
/** @return the number. */
NART_API nart_res nart_sock_fastopen(nart_res fd);

/** TCP_FASTOPEN_CONNECT, before connect: a connect to a host that was connected before answers at once, and what is
 *  sent first travels with the first packet: it may arrive twice, and errors of the connect are answered by it.
 *  @return 0; -EINVAL it is connected. */
NART_API nart_res nart_sock_set_fastopen_connect(nart_res fd, bool on);
/** @return 1 or 0. */
NART_API nart_res nart_sock_fastopen_connect(nart_res fd);

/* ---- sockets that are made step by step ------------------------------------------------------ */

/** A socket that is no handle yet: it belongs to no runtime, and nothing waits in it. Zeroed = closed. It may be
 *  moved by assignment, if the old one is zeroed. */
typedef struct nart_socket {
    /* private */
    int32_t fd; /* plus one */
    uint32_t reserved0;
    uint64_t reserved[3];
} nart_socket;

/**
 * Opens a socket, non-blocking and closed on exec. Small packets of TCP are not held back, see
 * nart_sock_set_nodelay(); all else is as the system has it.
 * @param s closed or zeroed. @param family AF_INET, AF_INET6 or AF_UNIX. @param type SOCK_STREAM or SOCK_DGRAM; of
 *   AF_UNIX also SOCK_SEQPACKET.
 * @return 0; -EISCONN it is open; -EINVAL another type; -EAFNOSUPPORT; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM.
 * **Thread**: any, as all functions of a nart_socket without `rt` or `cx`.
 */
NART_API NART_MUST_USE nart_res nart_socket_open(nart_socket *s, int family, int type);

/** Takes over a socket and makes it non-blocking. @return 0; -EISCONN `*s` is open; -EBADF; -ENOTSOCK.
 *  **Ownership**: the descriptor passes on success. */
NART_API NART_MUST_USE nart_res nart_socket_adopt(nart_socket *s, int fd);

/** The descriptor, for the options above. @return the descriptor; -EBADF. **Ownership**: the socket's. */
NART_API nart_res nart_socket_fd(const nart_socket *s);

/** Binds to an address; port 0, or "unix:", takes a free one, see nart_sock_local_addr(). The path of a Unix address
 *  stays when the socket is closed; nart_unix_listen() has options for it.
 *  @return 0; -EINVAL, -EAFNOSUPPORT `addr` is no address, or not of its family; -EINVAL also: it is bound; -EBADF;
 *  -EADDRINUSE; -EADDRNOTAVAIL; -EACCES; -ENOENT, -ENOTDIR, -EROFS about a path's directory. */
NART_API NART_MUST_USE nart_res nart_socket_bind(nart_socket *s, const nart_addr *addr);

/** Gives the descriptor back, non-blocking; `*s` is closed. @return the descriptor; -EBADF.
 *  **Ownership**: the descriptor is the caller's. */
NART_API NART_MUST_USE nart_res nart_socket_detach(nart_socket *s);

/** Closes. @return 0, also for NULL and for a closed socket. */
NART_API nart_res nart_socket_close(nart_socket *s);

/**
 * Listens with a socket of TCP. @param backlog as nart_tcp_listen_opts.backlog.
 * @return 0; -EINVAL no `rt`, `s` or `out`, or the socket is connected; -EBADF `*s` is closed; -EPROTOTYPE not TCP;
 *   -EADDRINUSE; NART_EFDS, -ENOSPC, -ENOMEM as nart_fd_open(); NART_EWRONGTHREAD; NART_EFORK.
 * **Ownership**: on success the descriptor is the listener's and `*s` is closed; after an error all of it is as it
 *   was, but it may listen already.
 * **Thread**: as nart_tcp_listen().
 */
NART_API NART_MUST_USE nart_res nart_tcp_listen_socket(nart_rt *rt, nart_socket *s,
                                                       uint32_t backlog, nart_tcp_listener *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_tcp_listen_socket(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_tcp_listen_socket_here(nart_cx *cx, nart_socket *s,
                                                            uint32_t backlog,
                                                            nart_tcp_listener *out);

/**
 * Connects with a socket of TCP, as nart_tcp_connect():
 *
 *     r = nart_socket_open(&f->raw, AF_INET, SOCK_STREAM);
 *     if (r == 0)
 *         r = nart_sock_set_rcvbuf(nart_socket_fd(&f->raw), 1 << 20);
 *     if (r == 0)
 *         r = nart_socket_bind(&f->raw, &f->from);
 *     if (r == 0)
 *         NART_AWAIT(r, nart_tcp_connect_socket(cx, &f->sock, &f->raw, &f->to));
 *     if (r < 0)
 *         nart_socket_close(&f->raw);
 *
 * @return as nart_tcp_connect(); -EPROTOTYPE not TCP; -EEXIST it is watched already; -EBADF also: `*from` is closed, and no connect is under way.
 * **Ownership**: the first call moves the descriptor into `*s`, and closes `*from`. After an error of the connect both
 *   are closed. After the errors of which nart_tcp_connect() says that the socket is not closed by them, both are as
 *   they were.
 */
NART_API NART_MUST_USE nart_res nart_tcp_connect_socket(nart_cx *cx, nart_tcp *s, nart_socket *from,
                                                        const nart_addr *addr);

/** Makes a handle of a socket of UDP. @return as nart_udp_adopt(); -EINVAL also: no `s`; -EBADF `*s` is closed.
 *  **Ownership**: on success the descriptor is the handle's and `*s` is closed; after an error both are as they
 *  were. **Thread**: as nart_udp_open(). */
NART_API NART_MUST_USE nart_res nart_udp_from_socket(nart_rt *rt, nart_socket *s, nart_udp *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_udp_from_socket(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_udp_from_socket_here(nart_cx *cx, nart_socket *s,
                                                          nart_udp *out);

/**
 * Listens with a Unix socket that was bound, of bytes or of messages. @param backlog as nart_unix_opts.backlog.
 * @return as nart_tcp_listen_socket(), but -EPROTOTYPE no such socket; -EINVAL also: it is not bound.
 * **Ownership**, **Thread**: as nart_tcp_listen_socket().
 */
NART_API NART_MUST_USE nart_res nart_unix_listen_socket(nart_rt *rt, nart_socket *s,
                                                        uint32_t backlog, nart_unix_listener *out);
/** @return as nart_unix_listen_socket(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_listen_socket_here(nart_cx *cx, nart_socket *s,
                                                             uint32_t backlog,
                                                             nart_unix_listener *out);

/** Connects with a Unix socket, of bytes or of messages, as nart_unix_connect().
 *  @return as nart_unix_connect(), but -EINVAL only about `addr`; -EPROTOTYPE also: `*from` is another kind of socket;
 *  -EBADF `*from` is closed; -EEXIST it is watched already.
 *  **Ownership**: on success the descriptor is the connection's and `*from` is closed; after an error both are as they
 *  were, so after -EAGAIN the call can be repeated. After -EEXIST, NART_EFDS, -ENOSPC and -ENOMEM the socket may be
 *  connected: pass its descriptor to nart_unix_adopt(), or close it. */
NART_API NART_MUST_USE nart_res nart_unix_connect_socket(nart_cx *cx, nart_unix *u,
                                                         nart_socket *from, const nart_addr *addr);

/** Makes a handle of a Unix socket of datagrams. @return as nart_unix_dgram_adopt(); -EINVAL also: no `s`; -EBADF `*s`
 *  is closed. **Ownership**, **Thread**: as nart_udp_from_socket(). */
NART_API NART_MUST_USE nart_res nart_unix_dgram_from_socket(nart_rt *rt, nart_socket *s,
                                                            nart_unix_dgram *out);
/** @return as nart_unix_dgram_from_socket(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_unix_dgram_from_socket_here(nart_cx *cx, nart_socket *s,
                                                                 nart_unix_dgram *out);

/* ---- sockets from a service manager ---------------------------------------------------------- */

/** Size of the name of a passed descriptor, with its NUL. */
#define NART_LISTEN_FD_NAME 256

/** A descriptor that was passed to this process. */
typedef struct nart_listen_fd {
    int32_t fd;                     /**< the descriptor */
    char name[NART_LISTEN_FD_NAME]; /**< "unknown": they have none */
} nart_listen_fd;

/**
 * The descriptors that systemd, or another service manager with its protocol, has opened for this process (socket
 * activation). They are closed on exec from now on, and the variables LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and
 * LISTEN_FDNAMES are removed: children and a second call find none. Adopt each by its name or by what
 * nart_sock_type(), nart_sock_family() and nart_sock_listening() answer: nart_tcp_listener_adopt(), nart_udp_adopt(),
 * nart_unix_listener_adopt(), nart_unix_dgram_adopt(), nart_fd_open().
 * @param out the descriptors, in the order of the unit's files. @param cap slots in `out`.
 * @return their number; 0 there are none for this process; -EINVAL the variables contradict each other or the
 *   protocol; -EBADF one is not open; -ENOBUFS more than `cap`: nothing was done.
 * **Ownership**: the descriptors are the caller's. **Thread**: one, before others read the environment.
 */
NART_API NART_MUST_USE nart_res nart_listen_fds(nart_listen_fd *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
