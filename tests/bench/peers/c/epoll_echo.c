/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 64 bytes over loopback and back, by hand: connected pairs of sockets, one epoll, two
 * handlers. A trip is the minimum on epoll: send, epoll_wait, recv, send, epoll_wait, recv.
 * Edge-triggered, and a buffer larger than the message, so that a short read saves a second read
 * and nothing is reported twice. */
#include "peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 64, BUFFER = 2048, EVENTS = 256 };

struct side {
    int fd;
    void (*on_bytes)(struct side *s, size_t n);
    size_t have;    /* bytes of the message received so far */
    uint64_t trips; /* client: still to make */
    char buf[BUFFER];
};

static size_t running; /* clients with trips to make */

static void check(bool ok, const char *what)
{
    if (!ok)
        bench_fail(what);
}

/* One message of 64 bytes always fits into the socket's buffer: at most one is in flight. */
static void send_message(struct side *s, size_t n)
{
    check(send(s->fd, s->buf, n, MSG_NOSIGNAL) == (ssize_t)n, "send");
}

static void serve(struct side *s, size_t n)
{
    send_message(s, n);
}

static void client(struct side *s, size_t n)
{
    s->have += n;
    if (s->have < MESSAGE)
        return;
    s->have = 0;
    if (--s->trips)
        send_message(s, MESSAGE);
    else
        running--;
}

static void readable(struct side *s)
{
    ssize_t n;
    do {
        n = recv(s->fd, s->buf, sizeof s->buf, 0);
        check(n > 0, "recv");
        s->on_bytes(s, (size_t)n);
    } while (n == sizeof s->buf);
}

/* The clients share n trips. */
static void trips(int ep, struct side *clients, size_t count, uint64_t n)
{
    struct epoll_event events[EVENTS];

    for (size_t i = 0; i < count && n / count > 0; i++) {
        clients[i].trips = n / count;
        running++;
        send_message(&clients[i], MESSAGE);
    }
    while (running > 0) {
        int got = epoll_wait(ep, events, EVENTS, -1);
        check(got > 0, "epoll_wait");
        for (int i = 0; i < got; i++)
            readable(events[i].data.ptr);
    }
}

static void watch(int ep, struct side *s)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = s };
    int on = 1;

    check(setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    check(epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &e) == 0, "epoll_ctl");
}

/* Both ends of a connection. Blocking while it is established; afterwards reads follow epoll's
 * report and sends fit the buffer, so neither blocks. */
static void connect_pair(struct side *a, struct side *b)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    check(listener >= 0 && bind(listener, (struct sockaddr *)&at, len) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&at, &len) == 0, "getsockname");
    a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(a->fd >= 0 && connect(a->fd, (struct sockaddr *)&at, len) == 0, "connect");
    b->fd = accept(listener, NULL, NULL);
    check(b->fd >= 0, "accept");
    close(listener);
}

static double echo(uint64_t n, size_t count)
{
    struct side *here = calloc(count, sizeof *here), *there = calloc(count, sizeof *there);
    int ep = epoll_create1(EPOLL_CLOEXEC);

    check(ep >= 0, "epoll_create1");
    check(here && there, "calloc");
    for (size_t i = 0; i < count; i++) {
        here[i].on_bytes = client;
        there[i].on_bytes = serve;
        connect_pair(&here[i], &there[i]);
        watch(ep, &here[i]);
        watch(ep, &there[i]);
        memset(here[i].buf, 0xAB, MESSAGE);
    }
    trips(ep, here, count, n / 10 + 1);
    int64_t start = bench_now();
    trips(ep, here, count, n);
    double per_trip = (double)(bench_now() - start) / (double)n;
    for (size_t i = 0; i < count; i++) {
        close(here[i].fd);
        close(there[i].fd);
    }
    close(ep);
    free(here);
    free(there);
    return per_trip;
}

double epoll_tcp_echo(uint64_t n)
{
    return echo(n, 1);
}

double epoll_tcp_echo_64(uint64_t n)
{
    return echo(n, 64);
}

double epoll_tcp_echo_1000(uint64_t n)
{
    return echo(n, 1000);
}
