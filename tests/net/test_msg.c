/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Control data, descriptors that are passed, Unix datagrams. */
#include "unix_test.h"

#include <netinet/in.h>
#include <sys/resource.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* Linux 6.5 */
#endif

enum { STREAM = 0, MESSAGES = NART_UNIX_SEQPACKET };

static nart_unix a, b; /* a pair */

static void pair_open(void)
{
    rt_open();
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
}

static void pair_close(void)
{
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    rt_close();
}

static int fds_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- descriptors over a connection ---- */

TEST_EACH(descriptors_come_with_their_bytes, BODY, FIBER)
{
    int pipes[2], got[4];
    char buf[16] = "";
    struct op op = {
        .call = do_recv_fds, .h = &b, .buf = buf, .len = sizeof buf, .fds = got, .flags = 4
    };

    pair_open();
    CHECK_EQ(pipe2(pipes, O_CLOEXEC), 0);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_send_fds, &a, .buf = "two", .len = 3, .fds = pipes, .n = 2), 3);
    CHECK_RES(op_finish(&op), 3);
    CHECK_EQ(op.n, 2);
    for (int i = 0; i < 2; i++) {
        CHECK(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
        close(pipes[i]);
    }
    CHECK_EQ(write(got[1], "x", 1), 1);
    CHECK_EQ(read(got[0], buf, 1), 1);
    close(got[0]);
    close(got[1]);
    CHECK_RES(SEND(&a, "none"), 4);
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), 4);
    CHECK_EQ(op.n, 0);
    pair_close();
}

/* The kernel ends a read where other descriptors begin: what follows is not waited for. */
TEST_WITH(a_read_that_ends_at_descriptors_loses_nothing, pair)
{
    int fd = 0, got[1];
    char buf[16];
    size_t all = 0;

    for (int i = 0; i < 3; i++) {
        CHECK_RES(SEND(&a, "plain"), 5);
        CHECK_RES(NOW(do_send_fds, &a, .buf = "fd", .len = 2, .fds = &fd, .n = 1), 2);
    }
    while (all < 21) {
        nart_res r = RECV(&b, buf); /* the descriptors are closed */
        CHECK_LE(1, r);
        all += (size_t)r;
    }
    CHECK_RES(SEND(&a, "plain"), 5);
    CHECK_RES(NOW(do_send_fds, &a, .buf = "fd", .len = 2, .fds = &fd, .n = 1), 2);
    CHECK_RES(SEND(&a, "plain"), 5);
    for (all = 0; all < 12;) {
        struct op op = {
            .call = do_recv_fds, .h = &b, .buf = buf, .len = sizeof buf, .fds = got, .flags = 1
        };
        op_start(&op, BODY);
        nart_res r = op_finish(&op);
        CHECK_LE(1, r);
        all += (size_t)r;
        if (op.n)
            close(got[0]);
    }
}

TEST_WITH(too_many_descriptors_are_closed, pair)
{
    int fds[NART_UNIX_FDS + 1], got[8];
    char buf[8];
    int before = fds_open();

    for (int i = 0; i <= NART_UNIX_FDS; i++)
        fds[i] = 0;
    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 1, .fds = fds, .n = NART_UNIX_FDS), 1);
    CHECK_RES(NOW(do_recv_fds, &b, .buf = buf, .len = sizeof buf, .fds = got, .flags = 8),
              -ENOBUFS);
    CHECK_EQ(fds_open(), before);
    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 1, .fds = fds, .n = 1), 1);
    CHECK_RES(NOW(do_recv_fds, &b, .buf = buf, .len = sizeof buf, .fds = NULL, .flags = 0),
              -ENOBUFS);
    CHECK_EQ(fds_open(), before);
    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 1, .fds = fds, .n = NART_UNIX_FDS + 1),
              -EINVAL);
    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 1, .fds = fds, .n = 0), -EINVAL);
    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 0, .fds = fds, .n = 1), -EINVAL);
    fds[0] = -1;
    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 1, .fds = fds, .n = 1), -EBADF);
    CHECK_RES(NOW(do_recv_fds, &b, .buf = buf, .len = 8, .fds = NULL, .flags = 1), -EINVAL);
}

/* The kernel installs as many as the process may have, and drops the others. */
TEST_WITH(descriptors_for_which_there_is_no_number_are_an_error, pair)
{
    int two[2] = { 0, 0 }, got[4], before = fds_open();
    char buf[8];
    struct rlimit limit, low;

    CHECK_RES(NOW(do_send_fds, &a, .buf = "x", .len = 1, .fds = two, .n = 2), 1);
    int next = dup(0);
    CHECK(next >= 0);
    close(next);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){ (rlim_t)next + 1, limit.rlim_max };
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    CHECK_RES(NOW(do_recv_fds, &b, .buf = buf, .len = sizeof buf, .fds = got, .flags = 4), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(fds_open(), before);
}

/* ---- messages ---- */

TEST_WITH(control_data_of_a_stream, pair)
{
    char x[4] = "", y[4] = "", text[] = "sixbyt";
    uint64_t control[16], came[16];
    struct iovec out[] = { { text, 3 }, { text + 3, 3 } }, in[] = { { x, 3 }, { y, 3 } };
    nart_msg m = { .pieces = out, .n = 2, .control = control, .control_cap = sizeof control };
    nart_msg r = { .pieces = in, .n = 2, .control = came, .control_cap = sizeof came };
    int two[2] = { 0, 1 }, before = fds_open();

    CHECK_RES(nart_msg_add(&m, SOL_SOCKET, SCM_RIGHTS, two, sizeof two), 0);
    CHECK_RES(NOW(do_sendmsg, &a, .msg = &m), 6);
    CHECK_RES(NOW(do_recvmsg, &b, .msg = &r), 6);
    CHECK_STR(x, "six");
    CHECK_STR(y, "byt");
    struct cmsghdr *c = nart_msg_next(&r, NULL);
    CHECK(c && c->cmsg_type == SCM_RIGHTS);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof two));
    memcpy(two, CMSG_DATA(c), sizeof two);
    CHECK(!nart_msg_next(&r, c));
    close(two[0]);
    close(two[1]);

    two[0] = 0, two[1] = 1;
    m.control_len = 0;
    CHECK_RES(nart_msg_add(&m, SOL_SOCKET, SCM_RIGHTS, two, sizeof two), 0);
    CHECK_RES(NOW(do_sendmsg, &a, .msg = &m), 6);
    r.control_cap = CMSG_SPACE(sizeof(int)) - 4; /* for one of the two */
    CHECK_RES(NOW(do_recvmsg, &b, .msg = &r), -ENOBUFS);
    CHECK(!nart_msg_next(&r, NULL));
    CHECK_EQ(fds_open(), before);
    CHECK_RES(NOW(do_sendmsg, &a, .msg = &m), 6);
    r.control_cap = 0; /* no interest in it */
    CHECK_RES(NOW(do_recvmsg, &b, .msg = &r), 6);
    CHECK(r.flags & MSG_CTRUNC);
    CHECK_EQ(fds_open(), before);
    out[0].iov_len = out[1].iov_len = 0;
    CHECK_RES(NOW(do_sendmsg, &a, .msg = &m), -EINVAL);
    in[0].iov_len = in[1].iov_len = 0;
    CHECK_RES(NOW(do_recvmsg, &b, .msg = &r), -EINVAL);
}

/* SO_PASSPIDFD: a descriptor of the sender's process comes with every message. */
TEST_EACH(a_process_that_nobody_asked_for_is_closed, STREAM, MESSAGES)
{
    nart_unix from, to;
    char buf[8];
    uint64_t control[16];
    int on = 1, fd = 0, fds[2], before;
    struct iovec in = { buf, 1 };
    nart_msg r = { .pieces = &in, .n = 1, .control = control, .control_cap = sizeof control };
    struct op op = { .call = do_recv_fds, .h = &to, .buf = buf, .len = 8, .fds = fds, .flags = 2 };

    rt_open();
    CHECK_RES(nart_unix_pair(rt, kind, &from, &to), 0);
    bool none = setsockopt((int)nart_unix_fd(&to), SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on) != 0;
    if (none)
        SKIP("the kernel has no SO_PASSPIDFD");
    before = fds_open();
    CHECK_RES(NOW(do_send_fds, &from, .buf = buf, .len = 2, .fds = &fd, .n = 1), 2);
    op_start(&op, BODY);
    CHECK_RES(op_finish(&op), 2);
    CHECK_EQ(op.n, 1);
    close(fds[0]);
    CHECK_EQ(fds_open(), before);

    CHECK_RES(NOW(do_send_fds, &from, .buf = buf, .len = 2, .fds = &fd, .n = 1), 2);
    op.flags = 0;
    op_start(&op, BODY);
    CHECK_RES(op_finish(&op), -ENOBUFS);
    CHECK_EQ(fds_open(), before);

    if (kind == MESSAGES) {
        CHECK_RES(SEND(&from, "longer"), 6);
        CHECK_RES(NOW(do_recvmsg, &to, .msg = &r), -EMSGSIZE);
        CHECK_EQ(fds_open(), before);
    }
    CHECK_RES(nart_unix_close(&from), 0);
    CHECK_RES(nart_unix_close(&to), 0);
    rt_close();
}

/* An answer 0 leaves none of the last message's descriptors to be closed a second time. */
TEST_WITH(the_end_has_no_control_data, pair)
{
    char buf[8];
    uint64_t control[16];
    int fd = 0;
    struct iovec in = { buf, sizeof buf };
    nart_msg r = { .pieces = &in, .n = 1, .control = control, .control_cap = sizeof control };

    CHECK_RES(NOW(do_send_fds, &a, .buf = buf, .len = 1, .fds = &fd, .n = 1), 1);
    CHECK_RES(NOW(do_recvmsg, &b, .msg = &r), 1);
    struct cmsghdr *c = nart_msg_next(&r, NULL);
    CHECK(c != NULL);
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    close(fd);
    CHECK_RES(nart_unix_shutdown(&b, NART_READ), 0);
    CHECK_RES(NOW(do_recvmsg, &b, .msg = &r), 0);
    CHECK(!nart_msg_next(&r, NULL));
}

TEST(control_data_that_does_not_fit)
{
    uint64_t control[4];
    nart_msg m = { .control = control, .control_cap = CMSG_SPACE(4) };
    int value = 1;

    CHECK_RES(nart_msg_add(NULL, 1, 2, &value, sizeof value), -EINVAL);
    CHECK_RES(nart_msg_add(&m, 1, 2, NULL, sizeof value), -EINVAL);
    CHECK_RES(nart_msg_add(&m, 1, 2, control, sizeof control), -ENOBUFS);
    CHECK_RES(nart_msg_add(&m, 1, 2, &value, SIZE_MAX), -ENOBUFS);
    CHECK_EQ(m.control_len, 0);
    CHECK_RES(nart_msg_add(&m, 1, 2, &value, sizeof value), 0);
    CHECK_EQ(m.control_len, CMSG_SPACE(4));
    CHECK_RES(nart_msg_add(&m, 1, 2, &value, sizeof value), -ENOBUFS);
    struct cmsghdr *c = nart_msg_next(&m, NULL);
    CHECK(c && c->cmsg_level == 1 && c->cmsg_type == 2);
    CHECK(!nart_msg_next(&m, c));
    m = (nart_msg){ .control = NULL };
    CHECK_RES(nart_msg_add(&m, 1, 2, &value, sizeof value), -ENOBUFS);
    CHECK(!nart_msg_next(&m, NULL));
}

/* ---- UDP ---- */

static nart_res do_udp_recvmsg(nart_cx *cx, struct op *op)
{
    return nart_udp_recvmsg(cx, op->h, op->msg);
}

static nart_res do_udp_sendmsg(nart_cx *cx, struct op *op)
{
    return nart_udp_sendmsg(cx, op->h, op->msg);
}

TEST_EACH(packet_information_of_a_datagram, BODY, FIBER)
{
    nart_udp u, v;
    nart_addr at, at_v, from;
    uint64_t control[16];
    char buf[8] = "", text[] = "hello";
    struct iovec in = { buf, sizeof buf }, out = { text, 5 };
    nart_msg r = {
        .pieces = &in, .n = 1, .addr = &from, .control = control, .control_cap = sizeof control
    };
    nart_msg m = {
        .pieces = &out, .n = 1, .addr = &at, .control = control, .control_cap = sizeof control
    };
    struct op op = { .call = do_udp_recvmsg, .h = &u, .msg = &r };
    int on = 1, ttl = 9, seen = 0;

    rt_open();
    udp_at(rt, &u, &at);
    udp_at(rt, &v, &at_v);
    int fd = (int)nart_udp_fd(&u);
    CHECK_EQ(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_msg_add(&m, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl), 0);
    CHECK_RES(NOW(do_udp_sendmsg, &v, .msg = &m), 5);
    CHECK_RES(op_finish(&op), 5);
    CHECK(nart_addr_equal(&from, &at_v));
    for (struct cmsghdr *c = nart_msg_next(&r, NULL); c; c = nart_msg_next(&r, c)) {
        struct in_pktinfo info;
        if (c->cmsg_type == IP_PKTINFO) {
            memcpy(&info, CMSG_DATA(c), sizeof info);
            CHECK_EQ(ntohl(info.ipi_addr.s_addr), INADDR_LOOPBACK);
            seen |= 1;
        } else if (c->cmsg_type == IP_TTL) {
            memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
            CHECK_EQ(ttl, 9);
            seen |= 2;
        }
    }
    CHECK_EQ(seen, 3);

    m.control_len = 0;
    CHECK_RES(NOW(do_udp_sendmsg, &v, .msg = &m), 5);
    r.control_cap = sizeof(struct cmsghdr);
    CHECK_RES(NOW(do_udp_recvmsg, &u, .msg = &r), -ENOBUFS);
    CHECK_RES(NOW(do_udp_sendmsg, &v, .msg = &m), 5);
    r.control_cap = 0;
    in.iov_len = 3;
    CHECK_RES(NOW(do_udp_recvmsg, &u, .msg = &r), -EMSGSIZE);
    r.n = m.n = 1025;
    CHECK_RES(NOW(do_udp_recvmsg, &u, .msg = &r), -EINVAL);
    CHECK_RES(NOW(do_udp_sendmsg, &v, .msg = &m), -EINVAL);
    m.n = 1;
    m.addr = NULL;
    CHECK_RES(NOW(do_udp_sendmsg, &v, .msg = &m), -EDESTADDRREQ);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_udp_close(&v), 0);
    CHECK_RES(NOW(do_udp_recvmsg, &u, .msg = &r), -EINVAL);
    r.n = 1;
    CHECK_RES(NOW(do_udp_recvmsg, &u, .msg = &r), -EBADF);
    rt_close();
}

/* Datagrams of others, from before the connect, are dropped. */
TEST_WITH(a_message_of_a_stranger_is_dropped, rt)
{
    nart_udp u, peer, other;
    nart_addr at, at_peer, at_other;
    char buf[8];
    struct iovec in = { buf, sizeof buf }, out = { "s", 1 };
    nart_msg r = { .pieces = &in, .n = 1 }, m = { .pieces = &out, .n = 1, .addr = &at };

    udp_at(rt, &u, &at);
    udp_at(rt, &peer, &at_peer);
    udp_at(rt, &other, &at_other);
    CHECK_RES(NOW(do_udp_sendmsg, &other, .msg = &m), 1);
    out = (struct iovec){ "too long for it", 15 };
    CHECK_RES(NOW(do_udp_sendmsg, &other, .msg = &m), 15);
    out = (struct iovec){ "p", 1 };
    CHECK_RES(NOW(do_udp_sendmsg, &peer, .msg = &m), 1);
    CHECK_RES(nart_udp_connect(&u, &at_peer), 0);
    CHECK_RES(NOW(do_udp_recvmsg, &u, .msg = &r), 1);
    CHECK_EQ(buf[0], 'p');
    CHECK_RES(nart_udp_close(&peer), 0);
    CHECK_RES(nart_udp_close(&other), 0);
    CHECK_RES(nart_udp_close(&u), 0);
}

/* ---- Unix datagrams ---- */

static void dgram_at(const char *text, nart_unix_dgram *d, nart_addr *at)
{
    *at = addr_of(text);
    CHECK_RES(nart_unix_dgram_open(rt, at, NULL, d), 0);
    CHECK_RES(nart_unix_dgram_local_addr(d, at), 0);
}

TEST_EACH(a_unix_datagram_arrives_whole_with_its_sender, BODY, FIBER)
{
    nart_unix_dgram d, e, moved;
    nart_addr at_d, at_e, from;
    char buf[8] = "";
    struct op op = { .call = do_dgram_recv, .h = &e, .buf = buf, .len = sizeof buf, .addr = &from };

    rt_open();
    dgram_at("unix:", &d, &at_d);
    dgram_at("unix:", &e, &at_e);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_dgram_send, &d, .buf = "hello", .len = 5, .addr = &at_e), 5);
    CHECK_RES(op_finish(&op), 5);
    CHECK(nart_addr_equal(&from, &at_d));
    CHECK_RES(NOW(do_dgram_send, &d, .buf = "", .len = 0, .addr = &at_e), 0);
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), 0);
    CHECK_RES(NOW(do_dgram_send, &d, .buf = "too long for it", .len = 15, .addr = &at_e), 15);
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), -EMSGSIZE);
    nart_unix_dgram_move(&moved, &d);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &d), 0);
    CHECK_RES(NOW(do_dgram_send, &d, .buf = "x", .len = 1), -ENOTCONN);
    CHECK_RES(nart_unix_dgram_connect(&d, &at_e), 0);
    CHECK_RES(NOW(do_dgram_send, &d, .buf = "x", .len = 1), 1);
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), 1);
    CHECK_EQ(nart_addr_format(&from, buf, sizeof buf), 5); /* "unix:": it has no name */
    op_start(&op, kind);
    CHECK_RES(nart_unix_dgram_close(&e), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    CHECK_RES(NOW(do_dgram_send, &d, .buf = "x", .len = 1), -ECONNREFUSED);
    CHECK_RES(NOW(do_dgram_send, &moved, .buf = "x", .len = 1, .addr = &at_e), -ECONNREFUSED);
    at_e = localhost();
    CHECK_RES(NOW(do_dgram_send, &moved, .buf = "x", .len = 1, .addr = &at_e), -EAFNOSUPPORT);
    CHECK_RES(nart_unix_dgram_connect(&moved, &at_e), -EAFNOSUPPORT);
    CHECK_RES(nart_unix_dgram_connect(&e, &at_d), -EBADF);
    CHECK_RES(nart_unix_dgram_fd(&e), -EBADF);
    CHECK_RES(nart_unix_dgram_close(&moved), 0);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    rt_close();
}

/* Readiness of a connected socket is about its peer's queue: not about that of another receiver. */
TEST_EACH(a_datagram_to_another_one_does_not_wait_for_the_peer, BODY, FIBER)
{
    nart_unix_dgram d, e, f;
    nart_addr at_d, at_e, at_f;
    struct op to_peer = { .call = do_dgram_send, .h = &d, .buf = "x", .len = 1, .limit = NART_MS };
    struct op other = { .call = do_dgram_send, .h = &d, .buf = "x", .len = 1, .addr = &at_f };

    rt_open();
    dgram_at("unix:", &d, &at_d);
    dgram_at("unix:", &e, &at_e);
    dgram_at("unix:", &f, &at_f);
    CHECK_RES(nart_unix_dgram_connect(&d, &at_e), 0);
    do
        op_start(&to_peer, kind);
    while (op_finish(&to_peer) == 1);
    CHECK_RES(to_peer.res, -ETIMEDOUT);
    do
        op_start(&other, kind);
    while (op_finish(&other) == 1);
    CHECK_RES(other.res, -EAGAIN); /* both are full */
    CHECK_RES(nart_unix_dgram_close(&f), 0);
    op_start(&other, kind);
    CHECK_RES(op_finish(&other), -ECONNREFUSED);
    other.addr = &at_e; /* the peer, by its name: waited for */
    op_start(&other, kind);
    CHECK_RES(other.res, NART_PENDING);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_RES(op_finish(&other), -EBADF);
    CHECK_RES(nart_unix_dgram_close(&e), 0);
    rt_close();
}

/* A full queue is waited for, if the kernel reports its end. */
TEST_EACH(a_full_queue_of_datagrams, BODY, FIBER)
{
    nart_unix_dgram d, e, f;
    nart_addr at_d, at_e;
    char buf[8];
    struct op op = { .call = do_dgram_send, .h = &d, .buf = "x", .len = 1 };

    rt_open();
    dgram_at("unix:", &d, &at_d);
    dgram_at("unix:", &e, &at_e);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &f), 0);
    CHECK_RES(nart_unix_dgram_connect(&d, &at_e), 0);
    do
        op_start(&op, kind);
    while (op.res == 1 && (nart_join_release(&op.join), true));
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_dgram_send, &f, .buf = "x", .len = 1, .addr = &at_e), -EAGAIN);
    while (op.res == NART_PENDING)
        CHECK_RES(NOW(do_dgram_recv, &e, .buf = buf, .len = sizeof buf), 1);
    CHECK_RES(op_finish(&op), 1);
    for (int i = 0; i < 2; i++)
        CHECK_RES(NOW(do_dgram_recv, &e, .buf = buf, .len = sizeof buf), 1);
    CHECK_RES(NOW(do_dgram_send, &f, .buf = "x", .len = 1, .addr = &at_e), 1);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_RES(nart_unix_dgram_close(&e), 0);
    CHECK_RES(nart_unix_dgram_close(&f), 0);
    rt_close();
}

TEST_WITH(a_datagram_passes_descriptors, rt)
{
    nart_unix_dgram d, e;
    nart_addr at_d, at_e;
    char buf[8] = "", text[] = "fd";
    uint64_t control[8];
    struct iovec in = { buf, sizeof buf }, out = { text, 2 };
    nart_msg m = {
        .pieces = &out, .n = 1, .addr = &at_e, .control = control, .control_cap = sizeof control
    };
    nart_msg r = { .pieces = &in, .n = 1, .control = control, .control_cap = sizeof control };
    int fd = 0, before;

    dgram_at("unix:", &d, &at_d);
    dgram_at("unix:", &e, &at_e);
    before = fds_open();
    CHECK_RES(nart_msg_add(&m, SOL_SOCKET, SCM_RIGHTS, &fd, sizeof fd), 0);
    CHECK_RES(NOW(do_dgram_sendmsg, &d, .msg = &m), 2);
    CHECK_RES(NOW(do_dgram_recvmsg, &e, .msg = &r), 2);
    struct cmsghdr *c = nart_msg_next(&r, NULL);
    CHECK(c != NULL);
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    in.iov_len = 1; /* too short: the descriptor is closed */
    CHECK_RES(NOW(do_dgram_sendmsg, &d, .msg = &m), -EBADF);
    fd = 0;
    m.control_len = 0;
    CHECK_RES(nart_msg_add(&m, SOL_SOCKET, SCM_RIGHTS, &fd, sizeof fd), 0);
    CHECK_RES(NOW(do_dgram_sendmsg, &d, .msg = &m), 2);
    CHECK_RES(NOW(do_dgram_recvmsg, &e, .msg = &r), -EMSGSIZE);
    CHECK_EQ(fds_open(), before);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_RES(nart_unix_dgram_close(&e), 0);
}
