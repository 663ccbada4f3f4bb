/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* udp.c: datagrams, one or many per system call.
 *
 * 1. One path per direction: recvmmsg and sendmmsg; a single datagram is a batch of one. The kernel's
 *    headers for a batch are on the stack; no memory of the caller's is referred to after a return.
 * 2. Receiving fewer than requested means that the queue is empty: the direction is cleared. An error in
 *    the middle of a batch stays in the socket and causes an edge of its own.
 * 3. Sending fewer means nothing (the next datagram may be refused for its own reasons): only EAGAIN clears.
 * 4. The kernel filters by the peer what arrives after connect(), not what was queued before. So the first
 *    datagrams are received one by one and compared with the peer, until the queue was empty. Each dropped
 *    one counts as an answer, so a full queue of them does not occupy the loop.
 * 5. Several datagrams in one message (UDP_SEGMENT, UDP_GRO) are control data with their length. A kernel that does
 *    not know it would send them as one: so the first such send asks whether the option exists.
 * 6. An error of a connected socket (a refusal by the peer) is read by the call that answers it, once; the
 *    socket stays usable. */
#include "net.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>

#ifndef UDP_GRO /* an older C library */
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

/* nart_udp.flags: the queue may contain datagrams from before nart_udp_connect(); the kernel has UDP_SEGMENT. */
#define STRANGERS (UINT32_C(1) << 31)
#define SEGMENTS (UINT32_C(1) << 30)

/* Those with which control data is received. */
#define NOTES (NART_UDP_TIMESTAMPS | NART_UDP_GRO)

static nart_res open_under(nart__under under, const nart_addr *addr, const nart_udp_opts *opts,
                           nart_udp *out)
{
    const uint32_t known = NART_UDP_REUSE_ADDR | NART_UDP_REUSE_PORT | NART_UDP_TIMESTAMPS |
                           NART_UDP_V6ONLY | NART_UDP_GRO;
    nart_udp_opts o = NART_UDP_OPTS_INIT;

    if (!out)
        return -EINVAL;
    *out = (nart_udp){ .fd = 0 };
    if (under.refused)
        return under.refused;
    nart_res r = nart__sized_in(&o, sizeof o, opts, offsetof(nart_udp_opts, reserved));
    if (r)
        return r;
    if (o.flags & ~known || o.rcvbuf < 0 || o.sndbuf < 0)
        return -EINVAL;

    const nart_sys *sys = under.drv->sys;
    bool v6 = addr && addr->storage.ss_family == AF_INET6;
    const nart__sockopt set[] = {
        { v6, IPPROTO_IPV6, IPV6_V6ONLY, !!(o.flags & NART_UDP_V6ONLY) },
        { o.flags & NART_UDP_REUSE_ADDR, SOL_SOCKET, SO_REUSEADDR, 1 },
        { o.flags & NART_UDP_REUSE_PORT, SOL_SOCKET, SO_REUSEPORT, 1 },
        { o.flags & NART_UDP_TIMESTAMPS, SOL_SOCKET, SO_TIMESTAMPNS, 1 },
        { o.flags & NART_UDP_GRO, IPPROTO_UDP, UDP_GRO, 1 },
        { o.rcvbuf, SOL_SOCKET, SO_RCVBUF, o.rcvbuf },
        { o.sndbuf, SOL_SOCKET, SO_SNDBUF, o.sndbuf },
    };
    r = nart__socket_bound(sys, addr, SOCK_DGRAM, set, sizeof set / sizeof *set);
    if (r < 0)
        return r;
    int fd = (int)r;
    r = nart__io_bind(&out->io, under.drv, under.host, fd);
    if (r) {
        sys->close(fd);
        return r;
    }
    out->fd = fd;
    out->flags = o.flags;
    return 0;
}

nart_res nart_udp_open(nart_rt *rt, const nart_addr *addr, const nart_udp_opts *opts, nart_udp *out)
{
    return open_under(nart__under_rt(rt), addr, opts, out);
}

nart_res nart_udp_open_here(nart_cx *cx, const nart_addr *addr, const nart_udp_opts *opts,
                            nart_udp *out)
{
    return open_under(nart__under_cx(cx), addr, opts, out);
}

nart_res nart__udp_adopt(nart__under under, int fd, nart_udp *out)
{
    nart_addr peer;
    int stamps = 0, joined = 0;
    socklen_t size = sizeof stamps;

    if (!out)
        return -EINVAL;
    *out = (nart_udp){ .fd = 0 };
    if (under.refused)
        return under.refused;
    const nart_sys *sys = under.drv->sys;
    nart_res r = nart__socket_take(sys, fd, IPPROTO_UDP);
    if (r == 0)
        r = sys->getsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &stamps, &size);
    if (r == 0) {
        (void)sys->getsockopt(fd, IPPROTO_UDP, UDP_GRO, &joined, &size);
        r = nart__io_bind(&out->io, under.drv, under.host, fd);
    }
    if (r)
        return r;
    out->fd = fd;
    out->flags = (stamps ? NART_UDP_TIMESTAMPS : 0) | (joined ? NART_UDP_GRO : 0);
    if (nart__fd_addr(sys, fd, true, &peer) == 0)
        out->flags |= STRANGERS;
    return 0;
}

nart_res nart_udp_adopt(nart_rt *rt, int fd, nart_udp *out)
{
    return nart__udp_adopt(nart__under_rt(rt), fd, out);
}

nart_res nart_udp_adopt_here(nart_cx *cx, int fd, nart_udp *out)
{
    return nart__udp_adopt(nart__under_cx(cx), fd, out);
}

nart_res nart_udp_detach(nart_udp *u, int *fd)
{
    nart_res r = nart__io_detach(&u->io, fd);
    if (r)
        return r;
    nart__turns_end(u);
    *u = (nart_udp){ .fd = 0 };
    return 0;
}

/* Its port, in the order of the network. */
static in_port_t *port_of(nart_addr *a)
{
    return a->storage.ss_family == AF_INET6
               ? &((struct sockaddr_in6 *)(void *)&a->storage)->sin6_port
               : &((struct sockaddr_in *)(void *)&a->storage)->sin_port;
}

nart_res nart_udp_connect(nart_udp *u, const nart_addr *addr)
{
    nart_res r = nart__addr_check(addr);
    if (r)
        return r;
    r = nart__io_fd(&u->io);
    if (r < 0)
        return r;
    r = u->io.drv->sys->connect((int)r, (const struct sockaddr *)&addr->storage, addr->len);
    if (r == 0)
        u->flags |= STRANGERS;
    return r;
}

/* Binds the socket to its port again, if dissolving its connection has unbound it, as the kernel had chosen it. */
static nart_res rebind(const nart_sys *sys, int fd, in_port_t port)
{
    nart_addr now;
    nart_res r = nart__fd_addr(sys, fd, false, &now);

    if (r || *port_of(&now))
        return r;
    *port_of(&now) = port;
    return sys->bind(fd, (const struct sockaddr *)&now.storage, now.len);
}

nart_res nart_udp_disconnect(nart_udp *u)
{
    const struct sockaddr none = { .sa_family = AF_UNSPEC };
    nart_addr local;
    char device[IFNAMSIZ] = "";
    socklen_t size = sizeof device;
    nart_res fd = nart__io_fd(&u->io);
    if (fd < 0)
        return fd;
    const nart_sys *sys = u->io.drv->sys;
    nart_res r = nart__fd_addr(sys, fd, true, &local);
    if (r == 0)
        r = nart__fd_addr(sys, fd, false, &local);
    if (r == 0)
        r = sys->getsockopt((int)fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size);
    if (r == 0)
        r = sys->connect((int)fd, &none, sizeof none);
    if (r)
        return r;
    u->flags &= ~STRANGERS;
    (void)sys->sock_error((int)fd);
    if (*device) /* of a socket that is not connected */
        r = sys->setsockopt((int)fd, SOL_SOCKET, SO_BINDTODEVICE, device, size);
    return r ? r : rebind(sys, (int)fd, *port_of(&local));
}

/* ---- receiving ---- */

/* Space for the control data of one datagram; and for the number of lost ones (SO_RXQ_OVFL), which the kernel writes
 * before the length of joined ones. */
typedef struct notes {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(struct timespec)) +
                                        CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(int))];
} notes;

/* Reads the kernel's time stamp and the length of joined datagrams; 0: it has none. */
static void read_notes(struct msghdr *h, nart_udp_msg *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        struct timespec ts;
        int length;
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            m->stamp = (int64_t)ts.tv_sec * NART_SEC + ts.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&length, CMSG_DATA(c), sizeof length);
            m->segment = (uint32_t)length;
        }
    }
}

/* Is the end of a datagram lost, or where each of them ends? Options that the program has set itself may need all the
 * space of the notes. */
static bool is_truncated(const nart_udp *u, const struct msghdr *h, const nart_udp_msg *m)
{
    return h->msg_flags & MSG_TRUNC ||
           (u->flags & NART_UDP_GRO && h->msg_flags & MSG_CTRUNC && m->segment == 0);
}

/* Calls recvmmsg once; room may be NULL. Returns the number of datagrams, or -errno. */
static int recv_batch(const nart_udp *u, nart_udp_msg *msgs, unsigned n, notes *room, int flags)
{
    struct mmsghdr heads[NART_UDP_BATCH];
    struct iovec iov[NART_UDP_BATCH];

    for (unsigned i = 0; i < n; i++) {
        iov[i] = (struct iovec){ msgs[i].buf, msgs[i].cap };
        heads[i].msg_hdr = (struct msghdr){ .msg_name = &msgs[i].addr.storage,
                                            .msg_namelen = sizeof msgs[i].addr.storage,
                                            .msg_iov = &iov[i],
                                            .msg_iovlen = 1,
                                            .msg_control = room ? room[i].bytes : NULL,
                                            .msg_controllen = room ? sizeof room[i].bytes : 0 };
    }
    int got = u->io.drv->sys->recvmmsg(u->fd, heads, n, flags);
    for (int i = 0; i < got; i++) {
        struct msghdr *h = &heads[i].msg_hdr;
        msgs[i].len = heads[i].msg_len;
        msgs[i].addr.len = h->msg_namelen;
        if (h->msg_namelen == 0) { /* the sender is a Unix socket without a name */
            msgs[i].addr.storage.ss_family = AF_UNIX;
            msgs[i].addr.len = sizeof msgs[i].addr.storage.ss_family;
        }
        msgs[i].stamp = 0;
        msgs[i].segment = 0;
        if (room)
            read_notes(h, &msgs[i]);
        msgs[i].flags = is_truncated(u, h, &msgs[i]) ? NART_UDP_TRUNCATED : 0;
    }
    return got;
}

static int recv_notes(const nart_udp *u, nart_udp_msg *msgs, unsigned n)
{
    notes room[NART_UDP_BATCH];
    return recv_batch(u, msgs, n, room, 0);
}

/* With what the socket's options ask for. */
static inline int recv_some(const nart_udp *u, nart_udp_msg *msgs, unsigned n)
{
    return u->flags & NOTES ? recv_notes(u, msgs, n) : recv_batch(u, msgs, n, NULL, 0);
}

static inline unsigned batch_of(size_t n)
{
    return n < NART_UDP_BATCH ? (unsigned)n : NART_UDP_BATCH;
}

/* Is this the address to which the socket is connected? Ask the kernel: connecting to 0.0.0.0 means this
 * host. */
static bool is_peer(const nart_udp *u, const nart_addr *a)
{
    nart_addr peer = { .len = sizeof peer.storage };

    if (u->io.drv->sys->peername(u->fd, (struct sockaddr *)&peer.storage, &peer.len) < 0)
        return true; /* no longer connected: every sender is accepted */
    return nart_addr_equal(a, &peer);
}

/* nart_udp_recv_many() after nart_udp_connect(), until the queue was empty. */
static NART__COLD nart_res recv_from_peer(nart_cx *cx, nart_udp *u, nart_udp_msg *msg)
{
    for (;;) {
        nart_res r = nart__io_want(&u->io, NART_READ, cx);
        if (r <= 0)
            return r;
        int got = recv_some(u, msg, 1);
        if (got == -EAGAIN) {
            u->flags &= ~STRANGERS;
            nart__io_clear(&u->io, NART_READ, cx);
            continue;
        }
        if (got != 1 || is_peer(u, &msg->addr))
            return got;
        r = nart__io_enter(&u->io, NART_READ, cx);
        if (r)
            return r;
    }
}

nart_res nart_udp_recv_many(nart_cx *cx, nart_udp *u, nart_udp_msg *msgs, size_t n)
{
    unsigned batch = batch_of(n);
    nart_res r = nart__io_enter(&u->io, NART_READ, cx);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(n == 0))
        return -EINVAL;
    if (NART_UNLIKELY(u->flags & STRANGERS))
        return recv_from_peer(cx, u, msgs);
    for (;;) {
        r = nart__io_want(&u->io, NART_READ, cx);
        if (r <= 0)
            return r;
        int got = recv_some(u, msgs, batch);
        if (got == -EAGAIN || (got >= 0 && (unsigned)got < batch))
            nart__io_clear(&u->io, NART_READ, cx);
        if (got != -EAGAIN)
            return got;
    }
}

/* The answer for one datagram, if there was one. */
static nart_res one_datagram(nart_res got, const nart_udp_msg *m, nart_addr *from)
{
    if (got != 1)
        return got;
    if (from)
        *from = m->addr;
    return m->flags & NART_UDP_TRUNCATED ? -EMSGSIZE : (nart_res)m->len;
}

/* A batch of one: the rest is not read. */
static inline void message_in(nart_udp_msg *m, void *buf, size_t len)
{
    m->buf = buf;
    m->cap = len;
    m->len = 0;
    m->flags = 0;
}

nart_res nart_udp_recv(nart_cx *cx, nart_udp *u, void *buf, size_t len, nart_addr *from)
{
    nart_udp_msg m;
    if (NART_UNLIKELY(u->flags & NART_UDP_GRO))
        return -EINVAL;
    message_in(&m, buf, len);
    return one_datagram(nart_udp_recv_many(cx, u, &m, 1), &m, from);
}

/* One datagram, or -errno. Datagrams of strangers are dropped, at most those that were queued before the socket was
 * connected. */
static int peek_one(nart_udp *u, nart_udp_msg *m)
{
    for (;;) {
        nart_udp_msg dropped;
        int got = recv_batch(u, m, 1, NULL, MSG_PEEK);
        if (got == -EAGAIN)
            u->flags &= ~STRANGERS;
        if (got != 1 || !(u->flags & STRANGERS) || is_peer(u, &m->addr))
            return got;
        message_in(&dropped, NULL, 0);
        (void)recv_batch(u, &dropped, 1, NULL, 0);
    }
}

nart_res nart_udp_peek(nart_cx *cx, nart_udp *u, void *buf, size_t len, nart_addr *from)
{
    nart_udp_msg m;
    nart_res r = nart__io_enter(&u->io, NART_READ, cx);
    if (r)
        return r;
    if (u->flags & NART_UDP_GRO)
        return -EINVAL;
    message_in(&m, buf, len);
    for (;;) {
        r = nart__io_want(&u->io, NART_READ, cx);
        if (r <= 0)
            return r;
        int got = peek_one(u, &m);
        if (got != -EAGAIN)
            return one_datagram(got, &m, from);
        nart__io_clear(&u->io, NART_READ, cx);
    }
}

nart_res nart_udp_try_recv_many(nart_udp *u, nart_udp_msg *msgs, size_t n)
{
    nart_res fd = nart__io_fd(&u->io);
    if (fd < 0 || n == 0)
        return fd < 0 ? fd : -EINVAL;
    for (;;) {
        bool check = u->flags & STRANGERS;
        unsigned batch = check ? 1 : batch_of(n);
        int got = recv_some(u, msgs, batch);
        if (got == -EAGAIN)
            u->flags &= ~STRANGERS;
        if (got == -EAGAIN || (got >= 0 && (unsigned)got < batch))
            nart__io_not_ready(&u->io, NART_READ);
        if (got != 1 || !check || is_peer(u, &msgs->addr))
            return got;
    }
}

nart_res nart_udp_try_recv(nart_udp *u, void *buf, size_t len, nart_addr *from)
{
    nart_udp_msg m;
    if (u->flags & NART_UDP_GRO)
        return -EINVAL;
    message_in(&m, buf, len);
    return one_datagram(nart_udp_try_recv_many(u, &m, 1), &m, from);
}

nart_res nart_udp_recvmsg(nart_cx *cx, nart_udp *u, nart_msg *m)
{
    nart_addr sender, *from = m->addr ? m->addr : u->flags & STRANGERS ? &sender : NULL;

    for (;;) {
        bool emptied = false, check = u->flags & STRANGERS;
        nart_res r = nart__msg_recv(cx, &u->io, u->fd, NULL, m, from, true, 0, &emptied);
        if (emptied)
            u->flags &= ~STRANGERS;
        bool received = r >= 0 || r == -EMSGSIZE || r == -ENOBUFS;
        if (!received || !check || emptied || is_peer(u, from))
            return r;
    }
}

/* ---- sending ---- */

/* Space for the length of one message's datagrams. */
typedef struct segment_room {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(uint16_t))];
} segment_room;

static void add_segment(struct msghdr *h, uint32_t segment, segment_room *room)
{
    const uint16_t length = (uint16_t)segment;
    nart_msg m = { .control = room->bytes, .control_cap = sizeof room->bytes };

    if (nart_msg_add(&m, IPPROTO_UDP, UDP_SEGMENT, &length, sizeof length) == 0) { /* it fits */
        h->msg_control = m.control;
        h->msg_controllen = m.control_len;
    }
}

int nart__udp_send_batch(const nart_sys *sys, int fd, const nart_udp_msg *msgs, unsigned n)
{
    struct mmsghdr heads[NART_UDP_BATCH];
    struct iovec iov[NART_UDP_BATCH];
    segment_room rooms[NART_UDP_BATCH];

    for (unsigned i = 0; i < n; i++) {
        const nart_addr *to = &msgs[i].addr;
        struct msghdr *h = &heads[i].msg_hdr;
        iov[i] = (struct iovec){ msgs[i].buf, msgs[i].len };
        /* The kernel only reads the address, but takes it through a pointer to plain memory. */
        *h = (struct msghdr){ .msg_name = to->len ? (void *)(uintptr_t)&to->storage : NULL,
                              .msg_namelen = to->len,
                              .msg_iov = &iov[i],
                              .msg_iovlen = 1 };
        if (NART_UNLIKELY(msgs[i].segment))
            add_segment(h, msgs[i].segment, &rooms[i]);
    }
    return sys->sendmmsg(fd, heads, n, 0);
}

/* 0: messages of several datagrams can be sent, this long. */
static NART__COLD nart_res check_segment(nart_udp *u, uint32_t segment)
{
    if (segment > UINT16_MAX)
        return -EINVAL;
    nart_res r = u->flags & SEGMENTS ? 0 : nart__io_option(&u->io, IPPROTO_UDP, UDP_SEGMENT);
    if (r < 0)
        return r;
    u->flags |= SEGMENTS;
    return 0;
}

/* How many of these messages can be sent: of 0, *r is the error about the first of them. */
static unsigned sendable(nart_udp *u, const nart_udp_msg *msgs, unsigned n, nart_res *r)
{
    unsigned i = 0;

    for (; i < n; i++) {
        *r = NART_UNLIKELY(msgs[i].segment) ? check_segment(u, msgs[i].segment) : 0;
        if (NART_UNLIKELY(*r))
            break;
    }
    return i;
}

nart_res nart_udp_send_many(nart_cx *cx, nart_udp *u, const nart_udp_msg *msgs, size_t n)
{
    unsigned batch = batch_of(n);
    nart_res r = nart__io_enter(&u->io, NART_WRITE, cx);
    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(n == 0))
        return -EINVAL;
    for (;;) {
        r = nart__io_want(&u->io, NART_WRITE, cx);
        if (r <= 0)
            return r;
        unsigned fit = sendable(u, msgs, batch, &r);
        if (NART_UNLIKELY(fit == 0))
            return r;
        int sent = nart__udp_send_batch(u->io.drv->sys, u->fd, msgs, fit);
        if (sent != -EAGAIN)
            return sent;
        nart__io_clear(&u->io, NART_WRITE, cx);
    }
}

static inline void message_out(nart_udp_msg *m, const void *buf, size_t len, const nart_addr *to)
{
    m->buf = (void *)(uintptr_t)buf;
    m->len = len;
    m->segment = 0;
    if (to)
        m->addr = *to;
    else
        m->addr.len = 0;
}

nart_res nart_udp_send(nart_cx *cx, nart_udp *u, const void *buf, size_t len, const nart_addr *to)
{
    nart_udp_msg m;
    message_out(&m, buf, len, to);
    nart_res r = nart_udp_send_many(cx, u, &m, 1);
    return r == 1 ? (nart_res)len : r;
}

nart_res nart_udp_sendmsg(nart_cx *cx, nart_udp *u, const nart_msg *m)
{
    const nart_addr *to = m->addr && m->addr->len > 0 ? m->addr : NULL;

    return nart__msg_send(cx, &u->io, NULL, m, to, false);
}

nart_res nart_udp_try_send_many(nart_udp *u, const nart_udp_msg *msgs, size_t n)
{
    nart_res r = nart__io_fd(&u->io);
    if (r < 0)
        return r;
    if (n == 0)
        return -EINVAL;
    unsigned fit = sendable(u, msgs, batch_of(n), &r);
    if (fit > 0)
        r = nart__udp_send_batch(u->io.drv->sys, u->fd, msgs, fit);
    if (r == -EAGAIN)
        nart__io_not_ready(&u->io, NART_WRITE);
    return r;
}

nart_res nart_udp_try_send(nart_udp *u, const void *buf, size_t len, const nart_addr *to)
{
    nart_udp_msg m;
    message_out(&m, buf, len, to);
    nart_res r = nart_udp_try_send_many(u, &m, 1);
    return r == 1 ? (nart_res)len : r;
}

/* ---- the rest ---- */

nart_res nart_udp_local_addr(const nart_udp *u, nart_addr *out)
{
    return nart__io_addr(&u->io, false, out);
}

nart_res nart_udp_fd(const nart_udp *u)
{
    return nart__io_fd(&u->io);
}

void nart_udp_move(nart_udp *dst, nart_udp *src)
{
    if (dst == src)
        return;
    (void)nart__io_wake(&src->io);
    nart__turns_end(src);
    *dst = *src;
    *src = (nart_udp){ .fd = 0 };
}

nart_res nart_udp_close(nart_udp *u)
{
    if (!u)
        return 0;
    nart_res r = nart__io_close(&u->io, NULL);
    if (r < 0)
        return r;
    nart__turns_end(u);
    *u = (nart_udp){ .fd = 0 };
    return 0;
}
