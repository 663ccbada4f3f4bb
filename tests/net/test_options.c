/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Options of handles are set on their descriptors, and are honoured. */
#include "conn.h"

#include <nart/socket.h>

#include <net/if.h>
#include <netinet/in.h>

TEST_WITH(options_of_a_stream, conn)
{
    nart_keepalive k = NART_KEEPALIVE_INIT;
    char buf[8];
    int64_t ns;

    nart_res fd = nart_tcp_fd(&sock);
    k.idle = 60 * NART_SEC;
    CHECK_RES(nart_sock_set_keepalive(fd, &k), 0);
    CHECK_RES(nart_sock_keepalive(fd, &k), 1);
    CHECK_EQ(k.idle, 60 * NART_SEC);
    CHECK_RES(nart_sock_set_ttl(fd, 64), 0);
    CHECK_RES(nart_sock_ttl(fd), 64);
    CHECK_RES(nart_sock_set_sndbuf(fd, 32768), 0);
    CHECK_RES(nart_sock_sndbuf(fd), 65536);
    CHECK_RES(nart_sock_set_rcvbuf(fd, 32768), 0);
    CHECK_RES(nart_sock_rcvbuf(fd), 65536);
    CHECK_RES(nart_sock_set_linger(fd, true, 5 * NART_SEC), 0);
    CHECK_RES(nart_sock_linger(fd, &ns), 1);
    CHECK_EQ(ns, 5 * NART_SEC);
    CHECK_RES(nart_sock_set_linger(fd, false, 0), 0);
    CHECK_RES(nart_sock_take_error(fd), 0);
    raw_send(peer, "still");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 5);
}

TEST_WITH(options_of_datagrams, rt)
{
    nart_addr at;
    nart_udp u;

    udp_at(rt, &u, &at);
    nart_res fd = nart_udp_fd(&u);
    CHECK_RES(nart_sock_set_broadcast(fd, true), 0);
    CHECK_RES(nart_sock_broadcast(fd), 1);
    CHECK_RES(nart_sock_set_broadcast(fd, false), 0);
    CHECK_RES(nart_sock_broadcast(fd), 0);
    CHECK_RES(nart_sock_set_ttl(fd, 42), 0);
    CHECK_RES(nart_sock_ttl(fd), 42);
    CHECK_RES(nart_sock_set_multicast_ttl(fd, 5), 0);
    CHECK_RES(nart_sock_multicast_ttl(fd), 5);
    CHECK_RES(nart_sock_set_multicast_loop(fd, false), 0);
    CHECK_RES(nart_sock_multicast_loop(fd), 0);
    CHECK_RES(nart_sock_set_multicast_loop(fd, true), 0);
    CHECK_RES(nart_sock_multicast_loop(fd), 1);
    CHECK_RES(nart_sock_set_sndbuf(fd, 65536), 0);
    CHECK_RES(nart_sock_sndbuf(fd), 131072);
    CHECK_RES(nart_sock_set_rcvbuf(fd, 65536), 0);
    CHECK_RES(nart_sock_rcvbuf(fd), 131072);
    CHECK_RES(nart_sock_take_error(fd), 0);
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
    uint32_t lo = if_nametoindex("lo");
    nart_addr at, any;
    nart_udp to, from;
    struct sockaddr_in *sin = (struct sockaddr_in *)&at.storage;

    udp_at(rt, &from, &at);
    CHECK_RES(nart_addr_parse(&any, "0.0.0.0:0"), 0);
    CHECK_RES(nart_udp_open(rt, &any, NULL, &to), 0);
    CHECK_RES(nart_udp_local_addr(&to, &any), 0);
    sin->sin_addr.s_addr = htonl(0xefff0001); /* 239.255.0.1 */
    sin->sin_port = htons(nart_addr_port(&any));
    CHECK_RES(nart_sock_join(nart_udp_fd(&to), &at, lo), 0);
    CHECK_RES(nart_sock_set_multicast_if(nart_udp_fd(&from), lo), 0);
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
