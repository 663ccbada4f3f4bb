/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Options without a function of their own are set on a handle's descriptor, and are honoured. */
#include "conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    CHECK_EQ(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* Sets the option and returns the effective value. */
static int set(int fd, int level, int name, int value)
{
    CHECK_EQ(setsockopt(fd, level, name, &value, sizeof value), 0);
    return get(fd, level, name);
}

TEST_WITH(options_of_a_stream, conn)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 5 };
    socklen_t len = sizeof linger;
    char buf[8];

    nart_res fd = nart_tcp_fd(&sock);

    CHECK_LE(0, fd);
    CHECK_EQ(set((int)fd, SOL_SOCKET, SO_KEEPALIVE, 1), 1);
    CHECK_EQ(set((int)fd, IPPROTO_IP, IP_TTL, 64), 64);
    CHECK_LE(32768, set((int)fd, SOL_SOCKET, SO_SNDBUF, 32768));
    CHECK_LE(32768, set((int)fd, SOL_SOCKET, SO_RCVBUF, 32768));
    CHECK_EQ(setsockopt((int)fd, SOL_SOCKET, SO_LINGER, &linger, len), 0);
    linger = (struct linger){ 0, 0 };
    CHECK_EQ(getsockopt((int)fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    CHECK_EQ(linger.l_linger, 5);
    CHECK_EQ(get((int)fd, SOL_SOCKET, SO_ERROR), 0);
    raw_send(peer, "still");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 5);
}

TEST_WITH(options_of_datagrams, rt)
{
    nart_addr at;
    nart_udp u;

    udp_at(rt, &u, &at);
    nart_res fd = nart_udp_fd(&u);
    CHECK_LE(0, fd);
    CHECK_EQ(set((int)fd, SOL_SOCKET, SO_BROADCAST, 1), 1);
    CHECK_EQ(set((int)fd, SOL_SOCKET, SO_BROADCAST, 0), 0);
    CHECK_EQ(set((int)fd, IPPROTO_IP, IP_TTL, 42), 42);
    CHECK_EQ(set((int)fd, IPPROTO_IP, IP_MULTICAST_TTL, 5), 5);
    CHECK_EQ(set((int)fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0), 0);
    CHECK_EQ(set((int)fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1), 1);
    CHECK_LE(65536, set((int)fd, SOL_SOCKET, SO_SNDBUF, 65536));
    CHECK_LE(65536, set((int)fd, SOL_SOCKET, SO_RCVBUF, 65536));
    CHECK_EQ(get((int)fd, SOL_SOCKET, SO_ERROR), 0);
    CHECK_RES(nart_udp_close(&u), 0);
}

/* One datagram each way between two connected sockets, and a peek that consumes nothing. */
struct pair {
    nart_co co;
    nart_udp *a, *b;
    char buf[8];
};

static nart_res pair_run(nart_cx *cx, void *frame)
{
    struct pair *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT(r, nart_udp_send(cx, p->a, "ping", 4, NULL));
    CHECK_RES(r, 4);
    wait_for((int)nart_udp_fd(p->b), POLLIN);
    CHECK_EQ(recv((int)nart_udp_fd(p->b), p->buf, sizeof p->buf, MSG_PEEK), 4);
    CHECK_EQ(memcmp(p->buf, "ping", 4), 0);
    memset(p->buf, 0, sizeof p->buf);
    NART_AWAIT(r, nart_udp_recv(cx, p->b, p->buf, sizeof p->buf, NULL));
    CHECK_RES(r, 4);
    CHECK_STR(p->buf, "ping");
    NART_AWAIT(r, nart_udp_send(cx, p->b, "pong!", 5, NULL));
    CHECK_RES(r, 5);
    NART_AWAIT(r, nart_udp_recv(cx, p->a, p->buf, sizeof p->buf, NULL));
    CHECK_RES(r, 5);
    CHECK_STR(p->buf, "pong!");
    NART_END(0);
}

TYPE(pair, pair_run);

TEST_WITH(connected_datagrams_and_a_look_ahead, rt)
{
    nart_addr at_a, at_b;
    nart_udp a, b;

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    CHECK_RES(nart_udp_connect(&a, &at_b), 0);
    CHECK_RES(nart_udp_connect(&b, &at_a), 0);
    CHECK_RES(run(rt, &pair_type, &(struct pair){ .a = &a, .b = &b }), 0);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

/* A datagram for a group that the receiver has joined on the loopback device. */
struct group {
    nart_co co;
    nart_udp *from, *to;
    nart_addr at;
    char buf[8];
};

static nart_res group_run(nart_cx *cx, void *frame)
{
    struct group *g = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &g->co);
    NART_AWAIT(r, nart_udp_send(cx, g->from, "all", 3, &g->at));
    CHECK_RES(r, 3);
    NART_AWAIT(r, nart_udp_recv(cx, g->to, g->buf, sizeof g->buf, NULL));
    CHECK_RES(r, 3);
    CHECK_STR(g->buf, "all");
    NART_END(0);
}

TYPE(group, group_run);

TEST_WITH(a_group_of_receivers, rt)
{
    struct ip_mreqn join = { .imr_address.s_addr = htonl(INADDR_LOOPBACK) };
    nart_addr at, any;
    nart_udp to, from;
    struct sockaddr_in *sin = (struct sockaddr_in *)&at.storage;

    udp_at(rt, &from, &at);
    CHECK_RES(nart_addr_parse(&any, "0.0.0.0:0"), 0);
    CHECK_RES(nart_udp_open(rt, &any, NULL, &to), 0);
    CHECK_RES(nart_udp_local_addr(&to, &any), 0);
    sin->sin_addr.s_addr = join.imr_multiaddr.s_addr = htonl(0xefff0001); /* 239.255.0.1 */
    sin->sin_port = htons(nart_addr_port(&any));
    if (setsockopt((int)nart_udp_fd(&to), IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) < 0 ||
        setsockopt((int)nart_udp_fd(&from), IPPROTO_IP, IP_MULTICAST_IF, &join, sizeof join) < 0)
        SKIP("the loopback device takes no groups: %s", nart_err_name(-errno));
    CHECK_RES(run(rt, &group_type, &(struct group){ .from = &from, .to = &to, .at = at }), 0);
    CHECK_RES(nart_udp_close(&from), 0);
    CHECK_RES(nart_udp_close(&to), 0);
}

/* Three clients, one after the other, are served by one listener. */
struct server {
    nart_co co;
    nart_tcp_listener *l;
    nart_tcp s;
    size_t done;
    int served;
    char buf[8];
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->served = 0; f->served < 3; f->served++) {
        NART_AWAIT(r, nart_tcp_accept(cx, f->l, &f->s, NULL));
        CHECK_RES(r, 0);
        NART_AWAIT(r, nart_tcp_recv(cx, &f->s, f->buf, sizeof f->buf));
        CHECK_RES(r, 4);
        NART_AWAIT(r, nart_tcp_send_all(cx, &f->s, f->buf, 4, &f->done));
        CHECK_RES(r, 4);
        CHECK_RES(nart_tcp_close(&f->s), 0);
    }
    NART_END(0);
}

TYPE(server, server_run);

TEST_WITH(one_client_after_the_other, rt)
{
    static const char *const said[] = { "AAAA", "BBBB", "CCCC" };
    nart_tcp_listener l;
    nart_addr at;
    nart_join join = { 0 };
    char buf[8];

    listen_at(rt, &l, &at);
    spawn(rt, &server_type, &(struct server){ .l = &l }, &join);
    for (int i = 0; i < 3; i++) {
        int fd = raw_connect(&at);
        raw_send(fd, said[i]);
        for (struct pollfd p = { .fd = fd, .events = POLLIN }; poll(&p, 1, 0) == 0;)
            CHECK_LE(0, nart_rt_poll(rt, NART_MS));
        CHECK_EQ(recv(fd, buf, sizeof buf, 0), 4);
        CHECK_EQ(memcmp(buf, said[i], 4), 0);
        close(fd);
    }
    finish(rt, &join);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}
