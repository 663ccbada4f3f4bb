/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several datagrams in one message, empty datagrams, and peers that a socket is disconnected from. */
#include "unix_test.h"
#include <linux/net_tstamp.h>

#include <nart/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>

static nart_res do_udp_recv(nart_cx *cx, struct op *op)
{
    return nart_udp_recv(cx, op->h, op->buf, op->len, op->addr);
}

static nart_res do_udp_peek(nart_cx *cx, struct op *op)
{
    return nart_udp_peek(cx, op->h, op->buf, op->len, op->addr);
}

static nart_res do_udp_send(nart_cx *cx, struct op *op)
{
    return nart_udp_send(cx, op->h, op->buf, op->len, op->addr);
}

static nart_res do_udp_recvmsg(nart_cx *cx, struct op *op)
{
    return nart_udp_recvmsg(cx, op->h, op->msg);
}

static nart_res do_udp_sendmsg(nart_cx *cx, struct op *op)
{
    return nart_udp_sendmsg(cx, op->h, op->msg);
}

/* op->buf has op->len messages. */
static nart_res do_recv_many(nart_cx *cx, struct op *op)
{
    return nart_udp_recv_many(cx, op->h, op->buf, op->len);
}

static nart_res do_send_many(nart_cx *cx, struct op *op)
{
    return nart_udp_send_many(cx, op->h, op->buf, op->len);
}

static uint32_t form;
static nart_udp u, v;
static nart_addr at_u, at_v;

/* Two sockets; `v` has these flags. */
static void pair_open(uint32_t kind, uint32_t flags)
{
    nart_udp_opts o = NART_UDP_OPTS_INIT;

    rt_open();
    form = kind;
    udp_at(rt, &u, &at_u);
    o.flags = flags;
    at_v = localhost();
    nart_res r = nart_udp_open(rt, &at_v, &o, &v);
    if (r == -ENOPROTOOPT)
        SKIP("the kernel has no UDP_GRO");
    CHECK_RES(r, 0);
    CHECK_RES(nart_udp_local_addr(&v, &at_v), 0);
}

static void pair_close(void)
{
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_udp_close(&v), 0);
    rt_close();
}

static nart_res messages_now(nart_res (*call)(nart_cx *cx, struct op *op), nart_udp *h,
                             nart_udp_msg *msgs, size_t n)
{
    struct op op = { .call = call, .h = h, .buf = msgs, .len = n };

    op_start(&op, form);
    return op_finish(&op);
}

/* Receives `n` datagrams, which may come in several calls. */
static void receive_all(nart_udp *h, nart_udp_msg *msgs, size_t n)
{
    for (size_t done = 0; done < n;) {
        nart_res r = messages_now(do_recv_many, h, msgs + done, n - done);
        CHECK_LE(1, r);
        done += (size_t)r;
    }
}

#define SEND_TO(handle, text, to)                                                                  \
    NOW(do_udp_send, handle, .buf = (void *)(text), .len = strlen(text), .addr = (to))
#define RECV_FROM(handle, array) NOW(do_udp_recv, handle, .buf = (array), .len = sizeof(array))

/* ---- several datagrams in one message ---- */

TEST_EACH(a_message_is_sent_as_several_datagrams, BODY, FIBER)
{
    char text[] = "aaaabbbbccdddd", got[4][8];
    nart_udp_msg out[] = { { .buf = text, .len = 10, .segment = 4 },
                           { .buf = text + 10, .len = 4 } };
    nart_udp_msg in[4];

    pair_open(kind, 0);
    for (int i = 0; i < 4; i++)
        in[i] = (nart_udp_msg){ .buf = got[i], .cap = sizeof got[i], .segment = 99 };
    out[0].addr = out[1].addr = at_v;
    CHECK_RES(messages_now(do_send_many, &u, out, 2), 2);
    receive_all(&v, in, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(in[i].len, i == 2 ? 2 : 4);
        CHECK_EQ(got[i][0], "abcd"[i]);
        CHECK_EQ(in[i].segment, 0);
        CHECK_EQ(in[i].flags, 0);
    }
    pair_close();
}

TEST_EACH(datagrams_are_joined_and_sent_back, BODY, FIBER)
{
    char text[] = "aaaabbbbcc", got[65535], back[3][8];
    nart_udp_msg out = { .buf = text, .len = 10, .segment = 4 };
    nart_udp_msg in = { .buf = got, .cap = sizeof got }, single[3];
    struct op op = { .call = do_recv_many, .h = &v, .buf = &in, .len = 1 };

    pair_open(kind, NART_UDP_GRO | NART_UDP_TIMESTAMPS);
    out.addr = at_v;
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    CHECK_RES(op_finish(&op), 1);
    CHECK_EQ(in.len, 10);
    CHECK_EQ(in.segment, 4);
    CHECK_EQ(memcmp(got, text, 10), 0);
    CHECK(nart_addr_equal(&in.addr, &at_u));
    CHECK_RES(messages_now(do_send_many, &v, &in, 1), 1); /* the answer goes out as it came */
    for (int i = 0; i < 3; i++)
        single[i] = (nart_udp_msg){ .buf = back[i], .cap = sizeof back[i] };
    receive_all(&u, single, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(single[i].len, i == 2 ? 2 : 4);
        CHECK_EQ(back[i][0], "abc"[i]);
    }
    out.segment = 0; /* one datagram is one */
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    CHECK_RES(messages_now(do_recv_many, &v, &in, 1), 1);
    CHECK_EQ(in.len, 10);
    CHECK_EQ(in.segment, 0);
    out.segment = 4;
    in.cap = 7;
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    CHECK_RES(messages_now(do_recv_many, &v, &in, 1), 1);
    CHECK_EQ(in.len, 7);
    CHECK_EQ(in.flags, NART_UDP_TRUNCATED);
    pair_close();
}

/* The kernel writes their number before the length of joined ones. */
TEST_EACH(lost_datagrams_are_counted_beside_joined_ones, BODY, FIBER)
{
    char text[1000] = "aaaabbbbcc", got[65535];
    nart_udp_msg out = { .buf = text, .len = 10, .segment = 4 };
    nart_udp_msg in = { .buf = got, .cap = sizeof got };
    const int on = 1;

    pair_open(kind, NART_UDP_GRO | NART_UDP_TIMESTAMPS);
    int fd = (int)nart_udp_fd(&v);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on), 0);
    CHECK_RES(nart_sock_set_rcvbuf(fd, 4096), 0);
    for (int i = 0; i < 100; i++) /* more than there is space for */
        CHECK_RES(nart_udp_try_send(&u, text, sizeof text, &at_v), sizeof text);
    while (recv(fd, got, sizeof got, MSG_DONTWAIT) >= 0)
        continue;
    out.addr = at_v;
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    CHECK_RES(messages_now(do_recv_many, &v, &in, 1), 1);
    CHECK_EQ(in.len, 10);
    CHECK_EQ(in.segment, 4);
    CHECK_LE(1, in.stamp);
    pair_close();
}

/* The kernel writes time stamps of other options before the length of joined datagrams. */
TEST_EACH(joined_datagrams_without_a_length_are_truncated, BODY, FIBER)
{
    char text[] = "aaaabbbbcc", got[64];
    nart_udp_msg out = { .buf = text, .len = 10, .segment = 4 };
    nart_udp_msg in = { .buf = got, .cap = sizeof got };
    const int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE, on = 1;

    pair_open(kind, NART_UDP_GRO | NART_UDP_TIMESTAMPS);
    int fd = (int)nart_udp_fd(&v);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps), 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
    out.addr = at_v;
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    CHECK_RES(messages_now(do_recv_many, &v, &in, 1), 1);
    CHECK_EQ(in.segment, 0);
    CHECK_EQ(in.flags, NART_UDP_TRUNCATED);
    out.segment = 0;
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    CHECK_RES(messages_now(do_recv_many, &v, &in, 1), 1);
    CHECK_EQ(in.len, 10);
    pair_close();
}

/* Receiving that could not say where a datagram ends is refused; control data says it. */
TEST_EACH(joined_datagrams_need_their_length, BODY, FIBER)
{
    char text[] = "aaaabbbbcc", got[64];
    uint64_t control[8];
    nart_udp_msg out = { .buf = text, .len = 10, .segment = 4 };
    struct iovec in = { got, sizeof got };
    nart_msg m = { .pieces = &in, .n = 1, .control = control, .control_cap = sizeof control };
    struct op op = { .call = do_udp_recvmsg, .h = &v, .msg = &m };
    int fd, length = 0;

    pair_open(kind, NART_UDP_GRO);
    CHECK_RES(RECV_FROM(&v, got), -EINVAL);
    CHECK_RES(NOW(do_udp_peek, &v, .buf = got, .len = sizeof got), -EINVAL);
    CHECK_RES(nart_udp_try_recv(&v, got, sizeof got, NULL), -EINVAL);
    out.addr = at_v;
    CHECK_RES(messages_now(do_send_many, &u, &out, 1), 1);
    op_start(&op, form);
    CHECK_RES(op_finish(&op), 10);
    struct cmsghdr *c = nart_msg_next(&m, NULL);
    CHECK(c && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO);
    memcpy(&length, CMSG_DATA(c), sizeof length);
    CHECK_EQ(length, 4);
    CHECK_RES(nart_udp_detach(&v, &fd), 0);
    CHECK_RES(nart_udp_adopt(rt, fd, &v), 0); /* it is found out there */
    CHECK_RES(RECV_FROM(&v, got), -EINVAL);
    pair_close();
}

TEST_EACH(segments_that_are_refused, BODY, FIBER)
{
    static char bytes[66000];
    char got[8];
    nart_udp_msg out[] = { { .buf = "x", .len = 1 }, { .buf = bytes, .len = 4, .segment = 65536 } };

    pair_open(kind, 0);
    out[0].addr = out[1].addr = at_v;
    CHECK_RES(messages_now(do_send_many, &u, out + 1, 1), -EINVAL);
    CHECK_RES(messages_now(do_send_many, &u, out, 2), 1); /* those before it are sent */
    CHECK_RES(RECV_FROM(&v, got), 1);
    out[1].segment = 1;
    out[1].len = 1000; /* more datagrams than the kernel splits */
    CHECK_RES(messages_now(do_send_many, &u, out + 1, 1), -EINVAL);
    out[1].segment = 1000;
    out[1].len = sizeof bytes;
    CHECK_RES(messages_now(do_send_many, &u, out + 1, 1), -EMSGSIZE);
    CHECK_RES(nart_udp_try_recv(&v, got, sizeof got, NULL), -EAGAIN);
    pair_close();
}

static nart_res do_dgram_send_many(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_send_many(cx, op->h, op->buf, op->len);
}

TEST_WITH(unix_datagrams_have_no_segments, rt)
{
    nart_unix_dgram d;
    nart_addr at = addr_of("unix:");
    nart_udp_msg out[] = { { .buf = "x", .len = 1 }, { .buf = "xy", .len = 2, .segment = 1 } };

    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &d), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&d, &at), 0);
    out[0].addr = out[1].addr = at;
    CHECK_RES(NOW(do_dgram_send_many, &d, .buf = out + 1, .len = 1), -EINVAL);
    CHECK_RES(NOW(do_dgram_send_many, &d, .buf = out, .len = 2), 1);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
}

/* ---- empty datagrams ---- */

TEST_EACH(an_empty_datagram_is_a_datagram, BODY, FIBER)
{
    char got[3][8];
    nart_udp_msg out[3], in[3];
    nart_msg none = { .n = 0 };
    nart_addr from;
    struct op op = { .call = do_udp_recv, .h = &v, .buf = got[0], .len = 8, .addr = &from };

    pair_open(kind, 0);
    for (int i = 0; i < 3; i++) {
        out[i] = (nart_udp_msg){ .buf = "x", .len = i == 1, .addr = at_v };
        in[i] = (nart_udp_msg){ .buf = got[i], .cap = 8, .len = 99 };
    }
    CHECK_RES(messages_now(do_send_many, &u, out, 3), 3);
    receive_all(&v, in, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(in[i].len, i == 1);
        CHECK_EQ(in[i].flags, 0);
        CHECK(nart_addr_equal(&in[i].addr, &at_u));
    }
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(SEND_TO(&u, "", &at_v), 0);
    CHECK_RES(op_finish(&op), 0);
    CHECK(nart_addr_equal(&from, &at_u));

    CHECK_RES(nart_udp_connect(&u, &at_v), 0);
    CHECK_RES(NOW(do_udp_sendmsg, &u, .msg = &none), 0);
    CHECK_RES(NOW(do_udp_peek, &v, .buf = NULL, .len = 0), 0);
    CHECK_RES(NOW(do_udp_recvmsg, &v, .msg = &none), 0);
    CHECK(!(none.flags & MSG_TRUNC));
    CHECK_RES(nart_udp_try_send(&u, NULL, 0, NULL), 0);
    CHECK_RES(nart_udp_try_recv(&v, NULL, 0, NULL), 0);
    CHECK_RES(nart_udp_try_recv(&v, NULL, 0, NULL), -EAGAIN);
    CHECK_RES(SEND_TO(&u, "x", NULL), 1);
    CHECK_RES(NOW(do_udp_recv, &v, .buf = NULL, .len = 0), -EMSGSIZE); /* it was not empty */
    pair_close();
}

/* ---- disconnecting ---- */

static void disconnect_from(uint32_t kind, const char *host)
{
    nart_udp other;
    nart_addr at, before, now, from;
    char buf[8];
    struct op op = { .call = do_udp_recv, .h = &other, .buf = buf, .len = 8, .addr = &from };

    pair_open(kind, 0);
    at = addr_of(host);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_udp_close(&v), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &u), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &v), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &other), 0);
    CHECK_RES(nart_udp_local_addr(&u, &at_u), 0);
    CHECK_RES(nart_udp_local_addr(&v, &at_v), 0);
    CHECK_RES(nart_udp_local_addr(&other, &before), 0);
    CHECK_RES(nart_udp_disconnect(&other), -ENOTCONN);
    CHECK_RES(nart_udp_connect(&other, &at_u), 0);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(SEND_TO(&v, "lost", &before), 4); /* the kernel drops it */
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_udp_disconnect(&other), 0);
    CHECK_RES(nart_udp_local_addr(&other, &now), 0);
    CHECK(nart_addr_equal(&now, &before));
    CHECK_RES(SEND_TO(&v, "six", &before), 3); /* the task that waits gets it */
    CHECK_RES(op_finish(&op), 3);
    CHECK(nart_addr_equal(&from, &at_v));
    CHECK_RES(SEND_TO(&other, "x", NULL), -EDESTADDRREQ);
    CHECK_RES(SEND_TO(&other, "x", &at_v), 1);
    CHECK_RES(RECV_FROM(&v, buf), 1);
    CHECK_RES(nart_udp_disconnect(&other), -ENOTCONN);
    /* Nor is there a comparison with a peer any more. */
    CHECK_RES(nart_udp_connect(&other, &at_u), 0);
    CHECK_RES(nart_udp_disconnect(&other), 0);
    CHECK_RES(SEND_TO(&v, "six", &before), 3);
    CHECK_RES(RECV_FROM(&other, buf), 3);
    CHECK_RES(nart_udp_close(&other), 0);
    CHECK_RES(nart_udp_disconnect(&other), -EBADF);
    pair_close();
}

TEST_EACH(a_disconnected_socket_keeps_its_address, BODY, FIBER)
{
    disconnect_from(kind, "127.0.0.1:0");
}

TEST_EACH(a_disconnected_ipv6_socket_keeps_its_address, BODY, FIBER)
{
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (probe < 0)
        SKIP("no IPv6 here");
    close(probe);
    disconnect_from(kind, "[::1]:0");
}

/* Bound to any address: a connect chooses one of them, which is forgotten with the peer. */
TEST_EACH(disconnecting_forgets_what_connecting_chose, BODY, FIBER)
{
    nart_udp any;
    nart_addr at = addr_of("0.0.0.0:0"), before, now;
    char device[16] = "", buf[8];

    pair_open(kind, 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &any), 0);
    CHECK_RES(nart_udp_local_addr(&any, &before), 0);
    CHECK_RES(nart_sock_set_device(nart_udp_fd(&any), "lo"), 0);
    CHECK_RES(nart_udp_connect(&any, &at_u), 0);
    CHECK_RES(nart_udp_disconnect(&any), 0);
    CHECK_RES(nart_udp_local_addr(&any, &now), 0);
    CHECK(nart_addr_equal(&now, &before));
    CHECK_RES(nart_sock_device(nart_udp_fd(&any), device, sizeof device), 2);
    CHECK_STR(device, "lo");

    /* A refusal that nobody has read yet. */
    CHECK_RES(nart_addr_parse(&at, "127.0.0.2:9"), 0);
    CHECK_RES(nart_udp_connect(&any, &at), 0);
    CHECK_RES(SEND_TO(&any, "x", NULL), 1);
    wait_for((int)nart_udp_fd(&any), POLLERR);
    CHECK_RES(nart_udp_disconnect(&any), 0);
    CHECK_RES(nart_udp_try_recv(&any, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_RES(nart_udp_close(&any), 0);
    pair_close();
}
