/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* net_test.h: shared by the socket tests. The remote end is usually a plain blocking socket held
 * by the test, so that a case controls what has arrived before the loop runs. */
#ifndef NART_NET_TEST_H
#define NART_NET_TEST_H

#include "runtime.h"
#include "test.h"

#include <nart/co.h>
#include <nart/net.h>
#include <nart/rt.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TYPE(T, poll) static const nart_task_type T##_type = NART_TASK_TYPE(struct T, poll, NULL)

static inline nart_addr localhost(void)
{
    nart_addr a;
    CHECK_RES(nart_addr_parse(&a, "127.0.0.1:0"), 0);
    return a;
}

static inline const struct sockaddr *sockaddr_of(const nart_addr *a)
{
    return (const struct sockaddr *)&a->storage;
}

/* Listens on a free port and stores its address in *at. */
static inline void listen_at(nart_rt *rt, nart_tcp_listener *l, nart_addr *at)
{
    *at = localhost();
    CHECK_RES(nart_tcp_listen(rt, at, NULL, l), 0);
    CHECK_RES(nart_tcp_listener_addr(l, at), 0);
}

/* Opens a datagram socket on a free port and stores its address in *at. */
static inline void udp_at(nart_rt *rt, nart_udp *u, nart_addr *at)
{
    *at = localhost();
    CHECK_RES(nart_udp_open(rt, at, NULL, u), 0);
    CHECK_RES(nart_udp_local_addr(u, at), 0);
}

/* A plain listening socket. */
static inline int raw_listen(nart_addr *at, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = localhost();
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, sockaddr_of(at), at->len), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&at->storage, &at->len), 0);
    return fd;
}

static inline int raw_connect(const nart_addr *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, sockaddr_of(at), at->len), 0);
    return fd;
}

/* Both ends of a TCP connection, plain and blocking. */
static inline void raw_pair(int *a, int *b)
{
    nart_addr at;
    int l = raw_listen(&at, 1);

    *b = raw_connect(&at);
    *a = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    CHECK(*a >= 0);
    close(l);
}

/* A TCP connection: *s is the runtime's end; returns the other end, plain and blocking. */
static inline int tcp_pair(nart_rt *rt, nart_tcp *s)
{
    int mine, peer;

    raw_pair(&mine, &peer);
    CHECK_RES(nart_tcp_adopt(rt, mine, s), 0);
    return peer;
}

/* Blocks until the kernel reports the event. ctest ends a hang. */
static inline void wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    while (poll(&p, 1, -1) != 1)
        CHECK_EQ(errno, EINTR);
}

static inline void raw_send(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the peer's close into a reset. */
static inline void raw_reset(int fd)
{
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

/* Runs one task and returns its answer. */
static inline nart_res run(nart_rt *rt, const nart_task_type *type, const void *init)
{
    nart_res r = 0;
    CHECK_RES(nart_block_on(rt, type, init, &r), 0);
    return r;
}

static inline void spawn(nart_rt *rt, const nart_task_type *type, const void *init, nart_join *join)
{
    CHECK_RES(nart_rt_spawn(rt, type, init, join), 0);
}

/* Runs until the task has ended, then releases it. */
static inline void finish(nart_rt *rt, nart_join *join)
{
    while (!nart_join_done(join))
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    nart_join_release(join);
}

/* ---- small tasks ---------------------------------------------------------------------------- */

/* Awaits a task. */
struct awaiter {
    nart_join *join;
    nart_res *answer;
};

static inline nart_res awaiter_run(nart_cx *cx, void *frame)
{
    struct awaiter *f = frame;
    return nart_join_await(cx, f->join, f->answer);
}

TYPE(awaiter, awaiter_run);

/* What awaiting an ended task answers; its own answer in *answer. */
static inline nart_res await_now(nart_rt *rt, nart_join *join, nart_res *answer)
{
    return run(rt, &awaiter_type, &(struct awaiter){ join, answer });
}

/* One receive. */
struct receiver {
    nart_tcp *s;
    char *buf;
    size_t len;
    nart_res *answer; /* NART_PENDING until there is one */
};

static inline nart_res receiver_run(nart_cx *cx, void *frame)
{
    struct receiver *f = frame;
    nart_res r = nart_tcp_recv(cx, f->s, f->buf, f->len);
    *f->answer = r;
    return r;
}

TYPE(receiver, receiver_run);

/* Receives in a task and runs it to its end. */
static inline nart_res recv_now(nart_rt *rt, nart_tcp *s, char *buf, size_t len)
{
    nart_res answer;
    return run(rt, &receiver_type, &(struct receiver){ s, buf, len, &answer });
}

/* One send_all. */
struct sender {
    nart_tcp *s;
    const char *buf;
    size_t len, done;
    nart_res *answer;
};

static inline nart_res sender_run(nart_cx *cx, void *frame)
{
    struct sender *f = frame;
    nart_res r = nart_tcp_send_all(cx, f->s, f->buf, f->len, &f->done);
    *f->answer = r;
    return r;
}

TYPE(sender, sender_run);

static inline nart_res send_now(nart_rt *rt, nart_tcp *s, const char *text)
{
    nart_res answer;
    return run(rt, &sender_type, &(struct sender){ s, text, strlen(text), 0, &answer });
}

#endif
