/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/msg.h
 * Messages in pieces and with control data, as sendmsg(2) and recvmsg(2) have them: over TCP and UDP here, over Unix
 * sockets in nart/unix.h. The rules of all handles are at the top of nart/io.h.
 *
 * What has a function of its own is simpler with it: datagrams and batches of them (nart/net.h), descriptors over
 * a Unix stream (nart_unix_send_fds()).
 *
 * ```c
 * struct hop { nart_co co; nart_udp sock; nart_msg m; struct iovec piece; nart_addr from; int ttl; char buf[512];
 *              uint64_t control[8]; };
 *
 * // Receives a datagram and the TTL with which it arrived: IP_RECVTTL is on.
 * static nart_res hop_run(nart_cx *cx, void *frame)
 * {
 *     struct hop *h = frame;
 *     struct cmsghdr *c = NULL;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &h->co);
 *     h->piece = (struct iovec){ h->buf, sizeof h->buf };
 *     h->m = (nart_msg){ .pieces = &h->piece, .n = 1, .addr = &h->from,
 *                        .control = h->control, .control_cap = sizeof h->control };
 *     NART_AWAIT(n, nart_udp_recvmsg(cx, &h->sock, &h->m));
 *     while (n >= 0 && (c = nart_msg_next(&h->m, c)) != NULL)
 *         if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
 *             memcpy(&h->ttl, CMSG_DATA(c), sizeof h->ttl);
 *     NART_END(n);
 * }
 * ```
 */
#ifndef NART_MSG_H
#define NART_MSG_H

#include "net.h"

#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A message to send, or space for one to receive. The caller's memory; zero what is not used. */
typedef struct nart_msg {
    struct iovec *pieces; /**< the bytes, in `n` pieces; at most 1,024 */
    size_t n;             /**< elements of `pieces` */
    nart_addr *
        addr; /**< sending: the receiver, NULL if the socket is connected; receiving: filled in with
                         *   the sender, or NULL. Not used by TCP and connected Unix sockets */
    void *
        control; /**< control data, aligned as a `struct cmsghdr` (as an array of uint64_t is); or NULL */
    size_t control_cap; /**< bytes of space at `control` */
    size_t
        control_len; /**< bytes of control data at `control`: see nart_msg_add(), nart_msg_next() */
    uint32_t flags;  /**< received: MSG_TRUNC, MSG_CTRUNC ... of recvmsg(2) */
} nart_msg;

/**
 * Appends a piece of control data. Set `control_len` to 0 before the first one.
 * @return 0; -EINVAL no `m`, or no `data` of this length; -ENOBUFS it does not fit into `control_cap`.
 * **Thread**: any.
 */
NART_API NART_MUST_USE nart_res nart_msg_add(nart_msg *m, int level, int type, const void *data,
                                             size_t len);

/** The piece of received control data that follows `last`; the first one if that is NULL.
 *  @return NULL: there is no other one. **Thread**: any. */
NART_API struct cmsghdr *nart_msg_next(const nart_msg *m, const struct cmsghdr *last);

/**
 * Receives one datagram with its control data. Which the kernel reports is set by options of the descriptor
 * (nart_udp_fd()): IP_PKTINFO or IPV6_RECVPKTINFO (the address it was sent to), IP_RECVTTL, IP_RECVTOS ...
 * @param m `pieces`, `n`, `addr`, `control` and `control_cap` are read; `control_len`, `flags` and `*addr` are
 *   written by an answer >= 0.
 * @return its length, which may be 0; -EMSGSIZE it was longer than the pieces; -ENOBUFS the control data was longer
 *   than `control_cap` (not if that is 0: then it is discarded); after both the datagram is lost; -EINVAL `n` is
 *   above 1,024; -ECONNREFUSED an earlier datagram was refused (connected sockets).
 * **Cost**: one system call; after nart_udp_connect() two, until the queue was empty once.
 */
NART_API NART_MUST_USE nart_res nart_udp_recvmsg(nart_cx *cx, nart_udp *u, nart_msg *m);

/**
 * Sends one datagram, the pieces one after the other, with control data: IP_PKTINFO or IPV6_PKTINFO (the address
 * to send from), IP_TTL, IP_TOS ...
 * @return its length; -EINVAL the kernel does not accept the control data, or `n` is above 1,024; -EMSGSIZE,
 *   -EDESTADDRREQ, -EAFNOSUPPORT, -ENETUNREACH, -ECONNREFUSED as nart_udp_send().
 */
NART_API NART_MUST_USE nart_res nart_udp_sendmsg(nart_cx *cx, nart_udp *u, const nart_msg *m);

/** Sends as nart_udp_sendmsg(), in turn as nart_udp_send_in_turn(). @return as both. */
NART_API NART_MUST_USE nart_res nart_udp_sendmsg_in_turn(nart_cx *cx, nart_udp *u, nart_waiter *w,
                                                         const nart_msg *m);

/* ---- TCP -------------------------------------------------------------------------------------- */

/**
 * Sends as nart_tcp_send(), from several pieces, the bytes of one after those of the other.
 * @param n pieces, at most 1,024. They and the bytes stay the caller's.
 * @return the number of bytes, which may end within a piece; 0 there is no byte; -EINVAL `n` is above 1,024; the errors
 *   of nart_tcp_send(). **Cost**: one system call.
 */
NART_API NART_MUST_USE nart_res nart_tcp_sendv(nart_cx *cx, nart_tcp *s, const struct iovec *pieces,
                                               size_t n);

/**
 * Sends all of the pieces.
 * @param n pieces, any number. @param done as of nart_tcp_send_all(): the bytes that were sent. The pieces are not changed.
 * @return the number of their bytes; -EINVAL `*done` is left from another message (not 0, and not below that number);
 *   the errors of nart_tcp_send(). **Cost**: one system call for each 64 pieces, and for what the kernel accepts at
 *   once.
 */
NART_API NART_MUST_USE nart_res nart_tcp_sendv_all(nart_cx *cx, nart_tcp *s,
                                                   const struct iovec *pieces, size_t n,
                                                   size_t *done);

/** Receives as nart_tcp_recv(), into several pieces: the next one begins when the last one is full. @param n pieces, at
 *  most 1,024. @return as nart_tcp_recv(); -EINVAL also: `n` is above 1,024. **Cost**: as nart_tcp_recv(). */
NART_API NART_MUST_USE nart_res nart_tcp_recvv(nart_cx *cx, nart_tcp *s, const struct iovec *pieces,
                                               size_t n);

/** Sends as nart_tcp_sendv(), with control data. @return as nart_tcp_sendv(), but -EINVAL if there is no byte, or the
 *  kernel does not accept the control data. */
NART_API NART_MUST_USE nart_res nart_tcp_sendmsg(nart_cx *cx, nart_tcp *s, const nart_msg *m);

/** Receives as nart_tcp_recvv(), with control data, which options of the descriptor ask for: TCP_INQ (the bytes that are
 *  pending behind these), SO_TIMESTAMPNS ... @return as nart_tcp_recvv(); -ENOBUFS the control data was longer than
 *  `control_cap` (not if that is 0: then it is discarded), and the bytes are lost. */
NART_API NART_MUST_USE nart_res nart_tcp_recvmsg(nart_cx *cx, nart_tcp *s, nart_msg *m);

#ifdef __cplusplus
}
#endif
#endif
