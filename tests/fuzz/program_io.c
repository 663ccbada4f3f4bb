/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations of random programs on real descriptors: readiness of socket pairs, and streams over
 * loopback TCP, both with small buffers. Bytes are numbered in each direction. */
#include "program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 2048 };

static unsigned char chunk[CHUNK];

static void fill(uint64_t from)
{
    for (size_t i = 0; i < CHUNK; i++)
        chunk[i] = (unsigned char)((from + i) % 251);
}

static void check(uint64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        EXPECT(chunk[i] == (from + i) % 251, "byte %llu", (unsigned long long)(from + i));
}

static void small_buffers(int fd)
{
    int size = 4096;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static bool has(int fd, short events)
{
    struct pollfd f = { fd, events, 0 };
    return poll(&f, 1, 0) == 1;
}

/* Arm a waits in end i of its pair. */
static bool end_begin(struct arm *a, const struct sort *sort)
{
    struct thing *p = thing_of(sort);
    a->n = pick(4) == 3; /* one of them has more work */
    return p && handle_take(a, p, p->tx[a->n]);
}

static void received(struct thing *p, uint32_t i, size_t n)
{
    check(p->u.pair.received[i], n);
    p->u.pair.received[i] += n;
    EXPECT(p->u.pair.received[i] <= p->u.pair.sent[1 - i], "more than was sent");
}

/* ---- readiness ---- */

static void fd_gone(struct thing *p, int i)
{
    struct handle *h = p->tx[i];

    p->tx[i] = NULL;
    if (!h)
        return;
    nart_res r = nart_fd_close(&h->u.fd);
    EXPECT(r == 0, "%s", nart_err_name(r));
    handle_retire(h);
}

static void fd_close(struct thing *p)
{
    fd_gone(p, 0);
    fd_gone(p, 1);
    p->closed = true;
}

static void fd_write(struct thing *p, uint32_t i)
{
    fill(p->u.pair.sent[i]);
    ssize_t n = send(p->u.pair.fd[i], chunk, CHUNK, MSG_NOSIGNAL);
    if (n > 0)
        p->u.pair.sent[i] += (uint64_t)n;
    else if (errno == EAGAIN)
        nart_fd_clear(&p->tx[i]->u.fd, NART_WRITE);
}

static void fd_read(struct thing *p, uint32_t i)
{
    ssize_t n = read(p->u.pair.fd[i], chunk, CHUNK);
    if (n > 0)
        received(p, i, (size_t)n);
    else if (n < 0 && errno == EAGAIN)
        nart_fd_clear(&p->tx[i]->u.fd, NART_READ);
}

static bool fd_open(struct thing *p)
{
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->u.pair.fd) == 0,
           "no pair");
    for (int i = 0; i < 2; i++) {
        small_buffers(p->u.pair.fd[i]);
        p->tx[i] = handle_new();
        nart_res r = nart_fd_open(rt, p->u.pair.fd[i], 0, &p->tx[i]->u.fd);
        EXPECT(r == 0, "%s", nart_err_name(r));
    }
    for (int n = 0; n < 8; n++) /* one end starts with nothing ready */
        fd_write(p, 0);
    fd_read(p, 0);
    return true;
}

static void fd_deed(struct thing *p, nart_cx *cx)
{
    uint32_t what = pick(16), i = pick(4) == 3;

    (void)cx;
    if (!p->tx[i])
        return;
    if (what == 0)
        fd_gone(p, (int)i);
    else if (what < 8)
        fd_read(p, i);
    else
        for (uint32_t n = 0; n < 8; n++) /* until it is full */
            fd_write(p, i);
}

static const struct sort fd = { fd_open, fd_deed, NULL, fd_close };

static bool ready_begin(struct arm *a)
{
    a->m = pick(2) ? NART_READ | NART_WRITE : 1 + pick(2);
    return end_begin(a, &fd);
}

static nart_res ready_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_fd_ready(cx, &a->handle->u.fd, a->m);

    if (r == NART_PENDING)
        a->task->waits += a->m == (NART_READ | NART_WRITE) ? 2 : 1;
    return r;
}

static void ready_answered(struct arm *a, nart_res r)
{
    struct thing *p = a->thing;

    if (r < 0) {
        EXPECT(r == -EBADF && a->handle->closed, "%s", nart_err_name(r));
        return;
    }
    EXPECT(r > 0, "no bits");
    if (a->handle->closed || freeing)
        return;
    if (r & NART_READ)
        fd_read(p, a->n);
    if (r & NART_WRITE)
        fd_write(p, a->n);
}

static bool ready_ready(const struct arm *a)
{
    return a->handle->closed ||
           (a->handle->users == 1 &&
            has(a->thing->u.pair.fd[a->n],
                (short)((a->m & NART_READ ? POLLIN : 0) | (a->m & NART_WRITE ? POLLOUT : 0))));
}

/* ---- streams ---- */

static void tcp_gone(struct thing *p, int i)
{
    struct handle *h = p->tx[i];

    p->tx[i] = NULL;
    if (!h)
        return;
    nart_res r = nart_tcp_close(&h->u.tcp);
    EXPECT(r == 0, "%s", nart_err_name(r));
    handle_retire(h);
}

/* Two connected sockets. */
static void tcp_pair(int pair[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    small_buffers(l);
    EXPECT(bind(l, (struct sockaddr *)&a, n) == 0 && listen(l, 1) == 0 &&
               getsockname(l, (struct sockaddr *)&a, &n) == 0,
           "no listener");
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    small_buffers(pair[0]);
    EXPECT(connect(pair[0], (struct sockaddr *)&a, sizeof a) == 0, "no connection");
    pair[1] = accept(l, NULL, NULL);
    close(l);
}

static bool tcp_open(struct thing *p)
{
    tcp_pair(p->u.pair.fd);
    for (int i = 0; i < 2; i++) {
        p->tx[i] = handle_new();
        nart_res r = nart_tcp_adopt(rt, p->u.pair.fd[i], &p->tx[i]->u.tcp);
        EXPECT(r == 0, "%s", nart_err_name(r));
    }
    return true;
}

static void tcp_close(struct thing *p)
{
    tcp_gone(p, 0);
    tcp_gone(p, 1);
    p->closed = true;
}

static void tcp_deed(struct thing *p, nart_cx *cx)
{
    uint32_t what = pick(16), i = pick(2);

    (void)cx;
    if (what == 0) {
        tcp_gone(p, (int)i);
    } else if (what < 4 && p->tx[i]) {
        struct handle *h = handle_new(), *old = p->tx[i];
        nart_tcp_move(&h->u.tcp, &old->u.tcp);
        p->tx[i] = h;
        handle_retire(old);
    } else if (what == 4 && p->tx[i]) {
        uint32_t dirs = pick(4) ? NART_WRITE : NART_READ | NART_WRITE;
        (void)nart_tcp_shutdown(&p->tx[i]->u.tcp, dirs);
        p->total |= 1u << i;
        p->held |= dirs & NART_READ ? 1u << i : 0; /* receives no more */
    }
}

static const struct sort tcp = { tcp_open, tcp_deed, NULL, tcp_close };

static bool stream_begin(struct arm *a)
{
    return end_begin(a, &tcp);
}

static nart_res tcp_send_call(nart_cx *cx, struct arm *a)
{
    struct thing *p = a->thing;

    fill(p->u.pair.sent[a->n]);
    nart_res r = nart_tcp_send(cx, &a->handle->u.tcp, chunk, CHUNK);
    p->u.pair.sent[a->n] += r > 0 ? (uint64_t)r : 0;
    return r;
}

static nart_res tcp_recv_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_tcp_recv(cx, &a->handle->u.tcp, chunk, CHUNK);

    if (r > 0)
        received(a->thing, a->n, (size_t)r);
    return r;
}

/* The other end has closed or stopped receiving, or this one has shut down. */
static bool tcp_broken(const struct arm *a, nart_res r)
{
    const struct thing *p = a->thing;
    return (r == -EPIPE || r == -ECONNRESET) &&
           (!p->tx[1 - a->n] || p->held & 1u << (1 - a->n) || p->total & 1u << a->n);
}

static void tcp_sent(struct arm *a, nart_res r)
{
    EXPECT(r > 0 || (r == -EBADF && a->handle->closed) || tcp_broken(a, r), "%s", nart_err_name(r));
}

static void tcp_received(struct arm *a, nart_res r)
{
    const struct thing *p = a->thing;

    EXPECT(
        r > 0 || (r == -EBADF && a->handle->closed) || tcp_broken(a, r) ||
            (r == 0 && (!p->tx[1 - a->n] || p->total & 1u << (1 - a->n) || p->held & 1u << a->n)),
        "%s", nart_err_name(r));
}

static bool tcp_recv_ready(const struct arm *a)
{
    return a->handle->closed || (a->handle->users == 1 && has(a->thing->u.pair.fd[a->n], POLLIN));
}

static bool tcp_send_ready(const struct arm *a)
{
    return a->handle->closed || (a->handle->users == 1 && has(a->thing->u.pair.fd[a->n], POLLOUT));
}

/* ---- messages of a stream: one at a time, in parts ---- */

enum { LONG = 12000 };
static unsigned char message[LONG];

static bool long_begin(struct arm *a)
{
    a->ns = 1 + pick(LONG); /* its length; the number of bytes sent is in `at` */
    return stream_begin(a);
}

/* The rest continues on the stream, wherever its handle moved. */
static void long_write(const struct arm *a, size_t done)
{
    for (size_t i = done; i < (size_t)a->ns; i++)
        message[i] = (unsigned char)((a->thing->u.pair.sent[a->n] + i - done) % 251);
}

static void long_sent(struct arm *a, size_t before, size_t done)
{
    a->thing->u.pair.sent[a->n] += done - before;
    a->moved = done > before;
}

static nart_res send_all_call(nart_cx *cx, struct arm *a)
{
    size_t done = (size_t)a->at, len = (size_t)a->ns;

    long_write(a, done);
    nart_res r = nart_tcp_send_all(cx, &a->handle->u.tcp, message, len, &done);
    EXPECT(r < 0 || done == 0, "%zu are sent", done);
    long_sent(a, (size_t)a->at, r == a->ns ? len : done);
    a->at = (int64_t)done;
    return r;
}

/* The writer keeps its progress. */
static nart_res write_call(nart_cx *cx, struct arm *a)
{
    nart_tcp_writer *w = &a->u.writer;

    if (nart_tcp_writer_left(w) == 0)
        EXPECT(nart_tcp_writer_set(w, message, (size_t)a->ns) == 0, "it is not empty");
    size_t left = nart_tcp_writer_left(w);
    long_write(a, (size_t)a->ns - left);
    nart_res r = nart_tcp_write(cx, &a->handle->u.tcp, w);
    long_sent(a, 0, left - nart_tcp_writer_left(w));
    return r;
}

static void long_answered(struct arm *a, nart_res r)
{
    EXPECT(r == a->ns || (r == -EBADF && a->handle->closed) || tcp_broken(a, r), "%s",
           nart_err_name(r));
}

/* ---- datagrams between two connected sockets. Some may be lost, none is duplicated. ---- */

enum { DATAGRAM = 512, BATCH = NART_UDP_BATCH + 8 };

static struct {
    uint64_t number;
    unsigned char rest[DATAGRAM - sizeof(uint64_t)];
} datagram[BATCH];
static nart_udp_msg batch[BATCH];

static size_t datagram_len(uint64_t number)
{
    return sizeof number + number * 7 % (DATAGRAM - sizeof number);
}

static void udp_gone(struct thing *p, int i)
{
    struct handle *h = p->tx[i];

    p->tx[i] = NULL;
    if (!h)
        return;
    nart_res r = nart_udp_close(&h->u.udp);
    EXPECT(r == 0, "%s", nart_err_name(r));
    handle_retire(h);
}

static void udp_close(struct thing *p)
{
    udp_gone(p, 0);
    udp_gone(p, 1);
    p->closed = true;
}

static bool udp_open(struct thing *p)
{
    nart_addr addr[2];
    nart_res r = 0;

    for (int i = 0; i < 2 && r == 0; i++) {
        p->tx[i] = handle_new();
        r = nart_addr_parse(&addr[i], "127.0.0.1:0");
        r = r ? r : nart_udp_open(rt, &addr[i], NULL, &p->tx[i]->u.udp);
        r = r ? r : nart_udp_local_addr(&p->tx[i]->u.udp, &addr[i]);
        p->u.pair.fd[i] = (int)nart_udp_fd(&p->tx[i]->u.udp);
    }
    for (int i = 0; i < 2 && r == 0; i++)
        r = nart_udp_connect(&p->tx[i]->u.udp, &addr[1 - i]);
    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static void udp_deed(struct thing *p, nart_cx *cx)
{
    uint32_t what = pick(16), i = pick(2);

    (void)cx;
    if (!p->tx[i])
        return;
    if (what == 0) {
        udp_gone(p, (int)i);
    } else if (what < 4) {
        struct handle *h = handle_new(), *old = p->tx[i];
        nart_udp_move(&h->u.udp, &old->u.udp);
        p->tx[i] = h;
        handle_retire(old);
    }
}

static const struct sort udp = { udp_open, udp_deed, NULL, udp_close };

/* Often less space than bytes; some datagrams by one call. */
static bool udp_begin(struct arm *a)
{
    a->m = pick(4) ? DATAGRAM : 16;
    a->turn = 1 + pick(BATCH);
    return end_begin(a, &udp);
}

static void udp_received(struct arm *a, uint64_t number, size_t len, bool cut)
{
    uint64_t *next = &a->thing->u.pair.received[a->n];
    size_t whole = datagram_len(number);

    EXPECT(number >= *next && number < a->thing->u.pair.sent[1 - a->n], "datagram %llu for %llu",
           (unsigned long long)number, (unsigned long long)*next);
    EXPECT(cut == (whole > a->m) && (cut || len == whole), "%zu bytes of %zu", len, whole);
    *next = number + 1;
}

static nart_res udp_recv_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_udp_recv(cx, &a->handle->u.udp, &datagram[0], a->m, NULL);

    if (r >= 0 && r != NART_PENDING)
        udp_received(a, datagram[0].number, (size_t)r, false);
    else if (r == -EMSGSIZE)
        udp_received(a, datagram[0].number, a->m, true);
    return r;
}

static nart_res udp_recv_many_call(nart_cx *cx, struct arm *a)
{
    for (uint32_t i = 0; i < a->turn; i++)
        batch[i] = (nart_udp_msg){ .buf = &datagram[i], .cap = a->m };
    nart_res r = nart_udp_recv_many(cx, &a->handle->u.udp, batch, a->turn);
    for (nart_res i = 0; i < r && r != NART_PENDING; i++)
        udp_received(a, datagram[i].number, batch[i].len, batch[i].flags & NART_UDP_TRUNCATED);
    return r;
}

static nart_res udp_send_call(nart_cx *cx, struct arm *a)
{
    uint64_t *sent = &a->thing->u.pair.sent[a->n];

    datagram[0].number = *sent;
    nart_res r = nart_udp_send(cx, &a->handle->u.udp, &datagram[0], datagram_len(*sent), NULL);
    *sent += r > 0 && r != NART_PENDING;
    return r;
}

static nart_res udp_send_many_call(nart_cx *cx, struct arm *a)
{
    uint64_t *sent = &a->thing->u.pair.sent[a->n];

    for (uint32_t i = 0; i < a->turn; i++) {
        datagram[i].number = *sent + i;
        batch[i] = (nart_udp_msg){ .buf = &datagram[i], .len = datagram_len(*sent + i) };
    }
    nart_res r = nart_udp_send_many(cx, &a->handle->u.udp, batch, a->turn);
    *sent += r > 0 && r != NART_PENDING ? (uint64_t)r : 0;
    return r;
}

static void udp_answered(struct arm *a, nart_res r)
{
    EXPECT(r > 0 || (r == -EBADF && a->handle->closed) || (r == -EMSGSIZE && a->m < DATAGRAM) ||
               (r == -ECONNREFUSED && !a->thing->tx[1 - a->n]),
           "%s", nart_err_name(r));
}

/* ---- the table of kinds ---- */

const struct kind io_kinds[] = {
    { "fd_ready", 0, ready_begin, ready_call, ready_answered, ready_ready, NULL },
    { "fd_ready", 0, ready_begin, ready_call, ready_answered, ready_ready, NULL },
    { "fd_ready", 0, ready_begin, ready_call, ready_answered, ready_ready, NULL },
    { "fd_ready", 0, ready_begin, ready_call, ready_answered, ready_ready, NULL },
    { "tcp_recv", 1, stream_begin, tcp_recv_call, tcp_received, tcp_recv_ready, NULL },
    { "tcp_send", 1, stream_begin, tcp_send_call, tcp_sent, tcp_send_ready, NULL },
    { "tcp_send_all", 1, long_begin, send_all_call, long_answered, tcp_send_ready, NULL },
    { "tcp_write", 1, long_begin, write_call, long_answered, tcp_send_ready, NULL },
    { "udp_recv", 1, udp_begin, udp_recv_call, udp_answered, tcp_recv_ready, NULL },
    { "udp_recv_many", 1, udp_begin, udp_recv_many_call, udp_answered, tcp_recv_ready, NULL },
    { "udp_send", 1, udp_begin, udp_send_call, udp_answered, tcp_send_ready, NULL },
    { "udp_send_many", 1, udp_begin, udp_send_many_call, udp_answered, tcp_send_ready, NULL },
};
_Static_assert(sizeof io_kinds / sizeof *io_kinds == IO_KINDS,
               "IO_KINDS in program.h is their number");
const struct sort *const io_sorts[IO_SORTS] = { &fd, &tcp, &udp };
