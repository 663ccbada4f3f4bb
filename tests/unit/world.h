/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world.h: a driver for tests: a small simulated world with its own clock, sockets and
 * scheduler, in which nothing reaches the kernel.
 *
 * It uses the public header only: a driver must keep its ready list and its waiters. One world
 * at a time, with at most one task that has a deadline. */
#ifndef NART_TEST_WORLD_H
#define NART_TEST_WORLD_H

#include "test.h"

#include <nart/driver.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FIRST_FD = 1 << 20, SOCKS = 4, CALLS_MAX = 64 }; /* no real descriptor has such a number */

struct sock {
    bool open, registered;
    uint64_t id;
    uint32_t ready;
    nart__task *waiter[2];
    char in[64], out[256];
    size_t in_len, out_len, room; /* room: what the remote end still accepts */
    bool in_end;
    unsigned datagrams;             /* that have arrived */
    int connect, error;             /* results of connect() and SO_ERROR */
    int accept[CALLS_MAX], accepts; /* results of accept(), in order */
    int flood;                      /* this many failed connections before them */
    int errors_read, closes, recvs, sends;
    int nodelay, how; /* the value of TCP_NODELAY, and how it was shut down */
};

struct world {
    nart_cx cx;
    int64_t clock;
    nart__task *ready, **last;
    int64_t park_until;
    uint64_t serial;
    struct sock sock[SOCKS];
};

static struct world *w; /* fake system calls have no argument for it */

static struct sock *sock_of(int fd)
{
    CHECK_LE(FIRST_FD, fd);
    CHECK_LE(fd, FIRST_FD + SOCKS - 1);
    CHECK(w->sock[fd - FIRST_FD].open);
    return &w->sock[fd - FIRST_FD];
}

static struct sock *sock_by_id(uint64_t id)
{
    for (int i = 0; i < SOCKS; i++)
        if (w->sock[i].registered && w->sock[i].id == id)
            return &w->sock[i];
    return NULL;
}

static int64_t world_now(void *host)
{
    return ((struct world *)host)->clock;
}

static void world_park(void *host, nart__task *t, int64_t deadline)
{
    (void)t; /* at most one task has a deadline here */
    ((struct world *)host)->park_until = deadline;
}

static void world_ready(void *host, nart__task *t)
{
    struct world *world = host;
    t->state |= NART__T_READY;
    t->next = NULL;
    *world->last = t;
    world->last = &t->next;
}

static uintptr_t world_waker(void *host, nart__task *t)
{
    (void)host, (void)t;
    return 0;
}

static nart_res world_io_add(void *host, int fd, uint64_t *id)
{
    struct world *world = host;
    struct sock *s = sock_of(fd);
    CHECK(!s->registered);
    s->registered = true;
    s->id = *id = ++world->serial;
    s->ready = NART_READ | NART_WRITE;
    return 0;
}

static nart_res world_io_want(void *host, uint64_t id, uint32_t dirs, nart_cx *cx)
{
    struct sock *s = sock_by_id(id);
    (void)host;
    if (!s)
        return NART_ESTALE;
    nart__task **place = &s->waiter[dirs & NART_READ ? 0 : 1];
    if (*place && *place != cx->self)
        return -EBUSY;
    *place = NULL;
    if (s->ready & dirs)
        return s->ready;
    nart_res r = nart_op_park(cx);
    if (r == NART_PENDING)
        *place = cx->self;
    return r;
}

static void world_io_clear(void *host, uint64_t id, uint32_t dirs)
{
    struct sock *s = sock_by_id(id);
    (void)host;
    CHECK(s != NULL);
    s->ready &= ~dirs;
}

static nart_res world_io_del(void *host, uint64_t id, int *fd)
{
    struct sock *s = sock_by_id(id);
    (void)host;
    if (!s)
        return NART_ESTALE;
    s->registered = false;
    s->waiter[0] = s->waiter[1] = NULL;
    *fd = FIRST_FD + (int)(s - w->sock);
    return 0;
}

static nart_res world_io_fd(void *host, uint64_t id)
{
    struct sock *s = sock_by_id(id);
    (void)host;
    return s ? FIRST_FD + (s - w->sock) : NART_ESTALE;
}

static nart_res world_io_wake(void *host, uint64_t id)
{
    struct sock *s = sock_by_id(id);
    (void)host;
    if (!s)
        return NART_ESTALE;
    for (int d = 0; d < 2; d++)
        if (s->waiter[d]) {
            nart__task *t = s->waiter[d];
            s->waiter[d] = NULL;
            if (!(t->state & NART__T_READY))
                world_ready(w, t);
        }
    return 0;
}

/* An event: the direction may be ready. */
static void happens(struct sock *s, uint32_t bits)
{
    s->ready |= bits;
    for (unsigned d = 0; d < 2; d++)
        if (bits & (1u << d) && s->waiter[d] && !(s->waiter[d]->state & NART__T_READY))
            world_ready(w, s->waiter[d]);
}

/* ---- its system calls ---- */

static int fake_socket(int family, int type)
{
    CHECK_EQ(family, AF_INET);
    CHECK_EQ(type, SOCK_STREAM);
    for (int i = 0; i < SOCKS; i++)
        if (!w->sock[i].open) {
            w->sock[i].open = true;
            return FIRST_FD + i;
        }
    return -EMFILE;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct sock *s = sock_of(fd);
    if (level == IPPROTO_TCP && name == TCP_NODELAY) {
        CHECK_EQ(len, sizeof s->nodelay);
        memcpy(&s->nodelay, value, len);
    }
    return 0;
}

static int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct sock *s = sock_of(fd);
    CHECK(level == IPPROTO_TCP && name == TCP_NODELAY && *len == sizeof s->nodelay);
    memcpy(value, &s->nodelay, sizeof s->nodelay);
    return 0;
}

/* 127.0.0.1, with the descriptor as the port; the peer has the next port. */
static int fake_name(int fd, int further, struct sockaddr *addr, socklen_t *len)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    in.sin_port = htons((in_port_t)(sock_of(fd) - w->sock + 1 + further));
    CHECK_LE(sizeof in, *len);
    memcpy(addr, &in, sizeof in);
    *len = sizeof in;
    return 0;
}

static int fake_sockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    return fake_name(fd, 0, addr, len);
}

static int fake_peername(int fd, struct sockaddr *addr, socklen_t *len)
{
    return fake_name(fd, 1, addr, len);
}

static int fake_shutdown(int fd, int how)
{
    sock_of(fd)->how = how;
    return 0;
}

/* The socket's state as errno values. */
static int fake_poll(int fd, short events)
{
    struct sock *s = sock_of(fd);
    int now = s->in_len || s->in_end ? POLLIN : 0;
    if (s->room)
        now |= POLLOUT;
    if (s->in_end)
        now |= POLLRDHUP;
    return now & events;
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
    struct sock *s = sock_of(fd);
    size_t n = s->in_len < len ? s->in_len : len;
    (void)flags;
    s->recvs++;
    if (n == 0)
        return s->in_end ? 0 : -EAGAIN;
    memcpy(buf, s->in, n);
    memmove(s->in, s->in + n, s->in_len - n);
    s->in_len -= n;
    return (ssize_t)n;
}

static ssize_t fake_send(int fd, const void *buf, size_t len, int flags)
{
    struct sock *s = sock_of(fd);
    size_t n = s->room < len ? s->room : len;
    (void)flags;
    s->sends++;
    if (n == 0)
        return -EAGAIN;
    CHECK_LE(s->out_len + n, sizeof s->out);
    memcpy(s->out + s->out_len, buf, n);
    s->out_len += n;
    s->room -= n;
    return (ssize_t)n;
}

static int fake_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    struct sock *s = sock_of(fd);
    (void)addr, (void)len;
    if (s->flood > 0) {
        s->flood--;
        return -ECONNABORTED;
    }
    if (s->accepts == 0)
        return -EAGAIN;
    int answer = s->accept[0];
    memmove(s->accept, s->accept + 1, (size_t)--s->accepts * sizeof *s->accept);
    return answer == 0 ? fake_socket(AF_INET, SOCK_STREAM) : answer;
}

/* Datagrams are only counted. */
static int fake_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    struct sock *s = sock_of(fd);
    unsigned got = s->datagrams < n ? s->datagrams : n;
    (void)flags;
    s->recvs++;
    for (unsigned i = 0; i < got; i++)
        msgs[i].msg_len = 1;
    s->datagrams -= got;
    return got ? (int)got : -EAGAIN;
}

static int fake_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    struct sock *s = sock_of(fd);
    size_t sent = s->room < n ? s->room : n;
    (void)msgs, (void)flags;
    s->sends++;
    s->room -= sent;
    return sent ? (int)sent : -EAGAIN;
}

static int fake_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)addr, (void)len;
    return sock_of(fd)->connect;
}

static int fake_sock_error(int fd)
{
    struct sock *s = sock_of(fd);
    s->errors_read++;
    return s->error;
}

static void fake_close(int fd)
{
    struct sock *s = sock_of(fd);
    CHECK(!s->registered);
    s->open = false;
    s->closes++;
}

static const nart_sys fake_sys = {
    .socket = fake_socket,
    .accept = fake_accept,
    .connect = fake_connect,
    .recv = fake_recv,
    .send = fake_send,
    .recvmmsg = fake_recvmmsg,
    .sendmmsg = fake_sendmmsg,
    .shutdown = fake_shutdown,
    .sock_error = fake_sock_error,
    .setsockopt = fake_setsockopt,
    .getsockopt = fake_getsockopt,
    .sockname = fake_sockname,
    .peername = fake_peername,
    .poll = fake_poll,
    .close =
        fake_close, /* calls that open without a handle take a runtime: the loop implements them */
};

static const nart_driver world_driver = {
    .abi = NART_DRIVER_ABI,
    .kind = 100,
    .name = "world",
    .now = world_now,
    .park = world_park,
    .ready = world_ready,
    .waker = world_waker,
    .io_add = world_io_add,
    .io_want = world_io_want,
    .io_clear = world_io_clear,
    .io_del = world_io_del,
    .sys = &fake_sys,
    .io_fd = world_io_fd,
    .io_wake = world_io_wake,
};

static void end_world(void)
{
    for (int i = 0; i < SOCKS; i++)
        CHECK(!w->sock[i].open);
    free(w);
}

static void new_world(const nart_driver *driver)
{
    w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->clock = 1000 * NART_SEC;
    w->last = &w->ready;
    w->park_until = NART_NEVER;
    nart_driver_cx_init(&w->cx, driver, w);
    test_at_end(end_world);
}

/* Starts a task: it is ready. */
static void begin(nart__task *t, const nart_task_type *type, void *frame)
{
    nart_driver_task_init(t, type, frame, &w->cx);
    world_ready(w, t);
}

/* Polls ready tasks until there are none; returns the answer of the last poll. */
static nart_res world_settle(void)
{
    nart_res r = NART_PENDING;
    while (w->ready) {
        nart__task *t = w->ready;
        w->ready = t->next;
        if (!w->ready)
            w->last = &w->ready;
        r = nart_driver_poll(&w->cx, t);
    }
    return r;
}

static void pass(int64_t ns, nart__task *t)
{
    w->clock += ns;
    if (w->park_until <= w->clock && !(t->state & NART__T_READY))
        world_ready(w, t);
}

#endif
