/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Options of sockets: the kernel has what was set, and does it. */
#include "net_test.h"

#include <nart/socket.h>

#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

FIXTURE_RT();

static int raw_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    return fd;
}

/* A datagram socket on a free port of this address; `at` is then that of the port. */
static int raw_udp(const char *text, nart_addr *at)
{
    CHECK_RES(nart_addr_parse(at, text), 0);
    int fd = raw_socket(at->storage.ss_family, SOCK_DGRAM);
    CHECK_EQ(bind(fd, sockaddr_of(at), at->len), 0);
    CHECK_RES(nart_sock_local_addr(fd, at), 0);
    return fd;
}

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    CHECK_EQ(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* ---- what was set is what the kernel has, and what is read ---- */

enum { V4 = 1, V6 = 2, TCP = 4, UDP = 8, ANY = V4 | V6 | TCP | UDP };

static const struct flag {
    nart_res (*set)(nart_res fd, bool on);
    nart_res (*get)(nart_res fd);
    int level, name, kinds;
} flags[] = {
    { nart_sock_set_reuse_addr, nart_sock_reuse_addr, SOL_SOCKET, SO_REUSEADDR, ANY },
    { nart_sock_set_reuse_port, nart_sock_reuse_port, SOL_SOCKET, SO_REUSEPORT, ANY },
    { nart_sock_set_broadcast, nart_sock_broadcast, SOL_SOCKET, SO_BROADCAST, V4 | V6 | UDP },
    { nart_sock_set_v6only, nart_sock_v6only, IPPROTO_IPV6, IPV6_V6ONLY, V6 | TCP | UDP },
    { nart_sock_set_nodelay, nart_sock_nodelay, IPPROTO_TCP, TCP_NODELAY, V4 | V6 | TCP },
    { nart_sock_set_quickack, nart_sock_quickack, IPPROTO_TCP, TCP_QUICKACK, V4 | V6 | TCP },
    { nart_sock_set_fastopen_connect, nart_sock_fastopen_connect, IPPROTO_TCP, TCP_FASTOPEN_CONNECT,
      V4 | V6 | TCP },
    { nart_sock_set_multicast_loop, nart_sock_multicast_loop, IPPROTO_IP, IP_MULTICAST_LOOP,
      V4 | V6 | UDP },
    { nart_sock_set_multicast_loop, nart_sock_multicast_loop, IPPROTO_IPV6, IPV6_MULTICAST_LOOP,
      V6 | UDP },
    { nart_sock_set_multicast_all, nart_sock_multicast_all, IPPROTO_IP, IP_MULTICAST_ALL,
      V4 | V6 | UDP },
    { nart_sock_set_multicast_all, nart_sock_multicast_all, IPPROTO_IPV6,
      29 /* IPV6_MULTICAST_ALL */, V6 | UDP },
};

static const struct number {
    nart_res (*set)(nart_res fd, int value);
    nart_res (*get)(nart_res fd);
    int level, name, kinds;
    int values[3], times, least, most; /* the kernel has `times` the value */
} numbers[] = {
    { nart_sock_set_ttl, nart_sock_ttl, IPPROTO_IP, IP_TTL, ANY, { 1, 42, 255 }, 1, 1, 255 },
    { nart_sock_set_ttl,
      nart_sock_ttl,
      IPPROTO_IPV6,
      IPV6_UNICAST_HOPS,
      V6 | TCP | UDP,
      { 1, 42, 255 },
      1,
      1,
      255 },
    { nart_sock_set_dscp, nart_sock_dscp, IPPROTO_IP, IP_TOS, ANY, { 46, 63, 0 }, 4, 0, 63 },
    { nart_sock_set_dscp,
      nart_sock_dscp,
      IPPROTO_IPV6,
      IPV6_TCLASS,
      V6 | TCP | UDP,
      { 46, 63, 0 },
      4,
      0,
      63 },
    { nart_sock_set_multicast_ttl,
      nart_sock_multicast_ttl,
      IPPROTO_IP,
      IP_MULTICAST_TTL,
      V4 | V6 | UDP,
      { 0, 5, 255 },
      1,
      0,
      255 },
    { nart_sock_set_multicast_ttl,
      nart_sock_multicast_ttl,
      IPPROTO_IPV6,
      IPV6_MULTICAST_HOPS,
      V6 | UDP,
      { 0, 5, 255 },
      1,
      0,
      255 },
    { nart_sock_set_priority,
      nart_sock_priority,
      SOL_SOCKET,
      SO_PRIORITY,
      ANY,
      { 0, 3, 6 },
      1,
      0,
      INT32_MAX },
    { nart_sock_set_fastopen,
      nart_sock_fastopen,
      IPPROTO_TCP,
      TCP_FASTOPEN,
      V4 | V6 | TCP,
      { 0, 5, 16 },
      1,
      0,
      INT32_MAX },
    { nart_sock_set_rcvbuf,
      nart_sock_rcvbuf,
      SOL_SOCKET,
      SO_RCVBUF,
      ANY,
      { 8192, 16384, 65536 },
      2,
      1,
      INT32_MAX },
    { nart_sock_set_sndbuf,
      nart_sock_sndbuf,
      SOL_SOCKET,
      SO_SNDBUF,
      ANY,
      { 8192, 16384, 65536 },
      2,
      1,
      INT32_MAX },
};

#define EACH(x, table)                                                                             \
    (x) = (table);                                                                                 \
    (x) < (table) + sizeof(table) / sizeof *(table);                                               \
    (x)++

/* Every option on a socket of this family and type. */
static void options_of(int family, int type)
{
    int kind = (family == AF_INET ? V4 : V6) | (type == SOCK_STREAM ? TCP : UDP);
    int fd = raw_socket(family, type);

    CHECK_RES(nart_sock_family(fd), family);
    CHECK_RES(nart_sock_type(fd), type);
    CHECK_RES(nart_sock_protocol(fd), type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
    CHECK_RES(nart_sock_listening(fd), 0);
    CHECK_RES(nart_sock_take_error(fd), 0);
    for (const struct flag *EACH(f, flags))
        for (int on = 1; on >= 0 && (f->kinds & kind) == kind; on--) {
            CHECK_RES(f->set(fd, on), 0);
            CHECK_EQ(get(fd, f->level, f->name), on);
            CHECK_RES(f->get(fd), on);
        }
    for (const struct number *EACH(n, numbers)) {
        if ((n->kinds & kind) != kind)
            continue;
        for (int i = 0; i < 3; i++) {
            CHECK_RES(n->set(fd, n->values[i]), 0);
            CHECK_EQ(get(fd, n->level, n->name), n->values[i] * n->times);
            CHECK_RES(n->get(fd), n->times == 2 ? n->values[i] * 2 : n->values[i]);
        }
        CHECK_RES(n->set(fd, n->least - 1), -EINVAL);
        if (n->most < INT32_MAX)
            CHECK_RES(n->set(fd, n->most + 1), -EINVAL);
        CHECK_RES(n->get(fd), n->values[2] * (n->times == 2 ? 2 : 1)); /* as it was */
    }
    close(fd);
}

TEST(options_of_an_ipv4_stream)
{
    options_of(AF_INET, SOCK_STREAM);
}

TEST(options_of_an_ipv6_stream)
{
    options_of(AF_INET6, SOCK_STREAM);
}

TEST(options_of_an_ipv4_datagram_socket)
{
    options_of(AF_INET, SOCK_DGRAM);
}

TEST(options_of_an_ipv6_datagram_socket)
{
    options_of(AF_INET6, SOCK_DGRAM);
}

TEST(linger_is_in_whole_seconds)
{
    struct linger raw;
    socklen_t len = sizeof raw;
    int fd = raw_socket(AF_INET, SOCK_STREAM);
    int64_t ns = 7;

    CHECK_RES(nart_sock_linger(fd, &ns), 0);
    CHECK_EQ(ns, 0);
    CHECK_RES(nart_sock_set_linger(fd, true, 4 * NART_SEC + 1), 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_LINGER, &raw, &len), 0);
    CHECK(raw.l_onoff);
    CHECK_EQ(raw.l_linger, 5);
    CHECK_RES(nart_sock_linger(fd, &ns), 1);
    CHECK_EQ(ns, 5 * NART_SEC);
    CHECK_RES(nart_sock_set_linger(fd, true, -1), -EINVAL);
    CHECK_RES(nart_sock_set_linger(fd, true, NART_NEVER), -EINVAL);
    CHECK_RES(nart_sock_linger(fd, NULL), 1);
    CHECK_RES(nart_sock_set_linger(fd, false, 0), 0);
    CHECK_RES(nart_sock_linger(fd, &ns), 0);
    CHECK_EQ(ns, 0);
    close(fd);
}

TEST(keepalive_has_three_parameters)
{
    nart_keepalive k = NART_KEEPALIVE_INIT, was = NART_KEEPALIVE_INIT;
    int fd = raw_socket(AF_INET, SOCK_STREAM);

    CHECK_RES(nart_sock_keepalive(fd, &was), 0);
    CHECK_EQ(was.idle, get(fd, IPPROTO_TCP, TCP_KEEPIDLE) * NART_SEC);
    CHECK_RES(nart_sock_set_keepalive(fd, &k), 0); /* as the system has it */
    CHECK_EQ(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_RES(nart_sock_keepalive(fd, &k), 1);
    CHECK_EQ(k.idle, was.idle);
    k.idle = 30 * NART_SEC;
    k.interval = 2 * NART_SEC - 1;
    k.probes = 3;
    CHECK_RES(nart_sock_set_keepalive(fd, &k), 0);
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 2);
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    CHECK_RES(nart_sock_keepalive(fd, &k), 1);
    CHECK_EQ(k.idle, 30 * NART_SEC);
    CHECK_EQ(k.interval, 2 * NART_SEC);
    CHECK_EQ(k.probes, 3);
    k = (nart_keepalive){ .size = sizeof k, .probes = 4 };
    CHECK_RES(nart_sock_set_keepalive(fd, &k), 0); /* what is 0 stays */
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    CHECK_RES(nart_sock_set_keepalive(fd, NULL), 0);
    CHECK_EQ(get(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_RES(nart_sock_keepalive(fd, NULL), 0);

    for (int i = 0; i < 6; i++) { /* each is refused, and the socket is not probed */
        k = (nart_keepalive){ .size = sizeof k };
        *(i % 2 ? &k.idle : &k.interval) = i < 2 ? -1 : i < 4 ? 32768 * NART_SEC : NART_NEVER;
        CHECK_RES(nart_sock_set_keepalive(fd, &k), -EINVAL);
    }
    k = (nart_keepalive){ .size = sizeof k, .probes = 128 };
    CHECK_RES(nart_sock_set_keepalive(fd, &k), -EINVAL);
    k.probes = UINT32_MAX;
    CHECK_RES(nart_sock_set_keepalive(fd, &k), -EINVAL);
    for (int i = 0; i < 2; i++) {
        k.size = i ? sizeof k + 1 : 0;
        CHECK_RES(nart_sock_set_keepalive(fd, &k), NART_EABI);
        CHECK_RES(nart_sock_keepalive(fd, &k), NART_EABI);
    }
    CHECK_EQ(get(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(fd);
}

TEST(the_user_timeout_is_in_whole_milliseconds)
{
    int fd = raw_socket(AF_INET, SOCK_STREAM);

    CHECK_RES(nart_sock_user_timeout(fd), 0);
    CHECK_RES(nart_sock_set_user_timeout(fd, 1500 * NART_MS + 1), 0);
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1501);
    CHECK_RES(nart_sock_user_timeout(fd), 1501 * NART_MS);
    CHECK_RES(nart_sock_set_user_timeout(fd, -1), -EINVAL);
    CHECK_RES(nart_sock_set_user_timeout(fd, NART_NEVER), -EINVAL);
    CHECK_RES(nart_sock_set_user_timeout(fd, 0), 0);
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    close(fd);
}

/* What this process may do is seen by the system's call on another socket. */
TEST(a_mark_and_a_device_need_permission)
{
    uint32_t mark = 0xfedcba98;
    char name[IF_NAMESIZE] = "?";
    int fd = raw_socket(AF_INET, SOCK_STREAM), other = raw_socket(AF_INET, SOCK_STREAM);

    int may = setsockopt(other, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0 ? 0 : -errno;
    CHECK_RES(nart_sock_set_mark(fd, mark), may);
    CHECK_RES(nart_sock_mark(fd), may == 0 ? mark : 0);
    may = setsockopt(other, SOL_SOCKET, SO_PRIORITY, &(int){ 7 }, sizeof(int)) == 0 ? 0 : -errno;
    CHECK_RES(nart_sock_set_priority(fd, 7), may);

    CHECK_RES(nart_sock_device(fd, name, sizeof name), 0);
    CHECK_STR(name, "");
    CHECK_RES(nart_sock_set_device(fd, "no such device at all"), -EINVAL);
    CHECK_RES(nart_sock_set_device(fd, "nonesuch"), -ENODEV);
    CHECK_RES(nart_sock_set_device(fd, "lo"), 0);
    CHECK_RES(nart_sock_device(fd, name, 3), 2);
    CHECK_STR(name, "lo");
    CHECK_RES(nart_sock_device(fd, name, 2), -ENOSPC);
    CHECK_STR(name, "");
    CHECK_RES(nart_sock_device(fd, NULL, 0), -ENOSPC);
    CHECK_EQ(setsockopt(other, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), 0);
    may = setsockopt(other, SOL_SOCKET, SO_BINDTODEVICE, "", 0) == 0 ? 0 : -errno;
    CHECK_RES(nart_sock_set_device(fd, NULL), may);
    CHECK_RES(nart_sock_device(fd, name, sizeof name), may == 0 ? 0 : 2);
    close(fd);
    close(other);
}

/* ---- what is no such socket ---- */

/* Call `i` of all; NART_PENDING: there are no more. */
static nart_res call(nart_res fd, size_t i)
{
    const size_t nflags = 2 * sizeof flags / sizeof *flags,
                 nnumbers = 2 * sizeof numbers / sizeof *numbers;
    nart_keepalive k = NART_KEEPALIVE_INIT;
    nart_addr group, at = localhost();
    char name[IF_NAMESIZE];
    int64_t ns;

    CHECK_RES(nart_addr_parse(&group, "239.255.0.1:0"), 0);
    if (i < nflags)
        return i % 2 ? flags[i / 2].get(fd) : flags[i / 2].set(fd, true);
    i -= nflags;
    if (i < nnumbers)
        return i % 2 ? numbers[i / 2].get(fd) : numbers[i / 2].set(fd, numbers[i / 2].values[1]);
    switch (i - nnumbers) {
    case 0:
        return nart_sock_family(fd);
    case 1:
        return nart_sock_type(fd);
    case 2:
        return nart_sock_protocol(fd);
    case 3:
        return nart_sock_listening(fd);
    case 4:
        return nart_sock_take_error(fd);
    case 5:
        return nart_sock_local_addr(fd, &at);
    case 6:
        return nart_sock_peer_addr(fd, &at);
    case 7:
        return nart_sock_set_linger(fd, true, 0);
    case 8:
        return nart_sock_linger(fd, &ns);
    case 9:
        return nart_sock_set_device(fd, "lo");
    case 10:
        return nart_sock_device(fd, name, sizeof name);
    case 11:
        return nart_sock_set_mark(fd, 1);
    case 12:
        return nart_sock_mark(fd);
    case 13:
        return nart_sock_join(fd, &group, 0);
    case 14:
        return nart_sock_leave(fd, &group, 0);
    case 15:
        return nart_sock_join_source(fd, &group, &at, 0);
    case 16:
        return nart_sock_leave_source(fd, &group, &at, 0);
    case 17:
        return nart_sock_set_multicast_if(fd, 1);
    case 18:
        return nart_sock_set_keepalive(fd, &k);
    case 19:
        return nart_sock_set_keepalive(fd, NULL);
    case 20:
        return nart_sock_keepalive(fd, &k);
    case 21:
        return nart_sock_set_user_timeout(fd, NART_SEC);
    case 22:
        return nart_sock_user_timeout(fd);
    default:
        return NART_PENDING;
    }
}

static void every_call_answers(nart_res fd, nart_res answer)
{
    size_t i = 0;

    for (nart_res r; (r = call(fd, i)) != NART_PENDING; i++)
        CHECK_RES(r, answer);
    CHECK_EQ(i, 2 * (sizeof flags / sizeof *flags + sizeof numbers / sizeof *numbers) + 23);
}

TEST_WITH(every_option_answers_the_error_of_its_descriptor, rt)
{
    nart_tcp none = { .state = 0 };
    int ends[2];

    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    every_call_answers(nart_tcp_fd(&none), -EBADF);
    every_call_answers(NART_ESTALE, NART_ESTALE);
    every_call_answers(NART_EWRONGTHREAD, NART_EWRONGTHREAD);
    every_call_answers(-1, -EBADF); /* socket() has failed */
    every_call_answers(100000, -EBADF);
    every_call_answers(INT64_C(1) << 32, -EBADF);
    every_call_answers(ends[0], -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
}

TEST(a_socket_without_the_option_refuses_it)
{
    nart_addr group, at = localhost();
    int udp = raw_socket(AF_INET, SOCK_DGRAM), local = raw_socket(AF_UNIX, SOCK_STREAM),
        tcp = raw_socket(AF_INET, SOCK_STREAM), one, two;

    CHECK_RES(nart_sock_set_nodelay(udp, true), -ENOPROTOOPT);
    CHECK_RES(nart_sock_set_v6only(udp, true), -ENOPROTOOPT);
    CHECK_RES(nart_sock_set_nodelay(local, true), -EOPNOTSUPP);
    CHECK_RES(nart_sock_set_ttl(local, 1), -EAFNOSUPPORT);
    CHECK_RES(nart_sock_ttl(local), -EAFNOSUPPORT);
    CHECK_RES(nart_sock_set_dscp(local, 1), -EAFNOSUPPORT);
    CHECK_RES(nart_sock_set_multicast_if(local, 1), -EAFNOSUPPORT);
    CHECK_RES(nart_sock_peer_addr(tcp, &at), -ENOTCONN);
    CHECK_EQ(at.len, 0);

    at = localhost();
    CHECK_RES(nart_sock_join(udp, &at, 0), -EINVAL); /* no group */
    CHECK_RES(nart_sock_join(udp, NULL, 0), -EINVAL);
    CHECK_RES(nart_sock_join_source(udp, &at, NULL, 0), -EINVAL);
    CHECK_RES(nart_addr_parse(&group, "[ff02::1234]:0"), 0);
    CHECK_RES(nart_sock_join_source(udp, &group, &at, 0), -EINVAL); /* of another family */
    group.storage.ss_family = AF_UNIX;
    CHECK_RES(nart_sock_join(udp, &group, 0), -EAFNOSUPPORT);
    CHECK_RES(nart_addr_parse(&group, "239.255.0.1:0"), 0);
    CHECK_RES(nart_sock_join(udp, &group, 1 << 20), -ENODEV);
    CHECK_RES(nart_sock_leave(udp, &group, if_nametoindex("lo")), -EADDRNOTAVAIL);
    CHECK_RES(nart_sock_set_multicast_if(udp, 1 << 20), -EADDRNOTAVAIL);
    int six = raw_socket(AF_INET6, SOCK_DGRAM);
    CHECK_RES(nart_sock_set_multicast_if(six, 1 << 20), -ENODEV);
    CHECK_EQ(bind(six, sockaddr_of(&(nart_addr){ .storage.ss_family = AF_INET6 }),
                  sizeof(struct sockaddr_in6)),
             0);
    CHECK_RES(nart_sock_set_v6only(six, true), -EINVAL);
    close(six);
    raw_pair(&one, &two); /* too late for a connected one */
    CHECK_RES(nart_sock_set_fastopen_connect(one, true), -EINVAL);
    CHECK_RES(nart_sock_set_fastopen(one, 1), -EINVAL);
    close(one);
    close(two);
    close(udp);
    close(local);
    close(tcp);
}

/* ---- what they do ---- */

TEST_WITH(closing_with_a_linger_of_zero_resets, rt)
{
    nart_tcp s;
    char buf[8];
    int far = tcp_pair(rt, &s);

    CHECK_RES(nart_sock_set_linger(nart_tcp_fd(&s), true, 0), 0);
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_EQ(recv(far, buf, sizeof buf, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
    close(far);
}

/* The TTL and the class with which a datagram arrives. */
static void arrives_with(int from, const nart_addr *to, int at, int ttl, int tos)
{
    union {
        struct cmsghdr align;
        char bytes[128];
    } room;
    char buf[8];
    struct iovec iov = { buf, sizeof buf };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room
    };
    int seen_ttl = -1, seen_tos = 0;

    CHECK_EQ(sendto(from, "x", 1, 0, sockaddr_of(to), to->len), 1);
    CHECK_EQ(recvmsg(at, &m, 0), 1);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == IP_TTL || c->cmsg_type == IPV6_HOPLIMIT)
            memcpy(&seen_ttl, CMSG_DATA(c), sizeof seen_ttl);
        else if (c->cmsg_type == IP_TOS)
            seen_tos = *(unsigned char *)CMSG_DATA(c);
        else if (c->cmsg_type == IPV6_TCLASS)
            memcpy(&seen_tos, CMSG_DATA(c), sizeof seen_tos);
    }
    CHECK_EQ(seen_ttl, ttl);
    CHECK_EQ(seen_tos, tos);
}

/* A socket of IPv6 sends to IPv4, too, with the same. */
TEST(packets_carry_their_ttl_and_class)
{
    const int on = 1;
    nart_addr at4, at6, mapped;
    int to4 = raw_udp("127.0.0.1:0", &at4), to6 = raw_udp("[::1]:0", &at6),
        from = raw_socket(AF_INET6, SOCK_DGRAM);
    char text[NART_ADDR_TEXT];

    CHECK_EQ(setsockopt(to4, IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(to4, IPPROTO_IP, IP_RECVTOS, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(to6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(to6, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on), 0);
    CHECK_RES(nart_sock_set_v6only(from, false), 0);
    CHECK_RES(nart_sock_set_ttl(from, 33), 0);
    CHECK_RES(nart_sock_set_dscp(from, 46), 0);
    snprintf(text, sizeof text, "[::ffff:127.0.0.1]:%u", nart_addr_port(&at4));
    CHECK_RES(nart_addr_parse(&mapped, text), 0);
    arrives_with(from, &mapped, to4, 33, 46 << 2);
    arrives_with(from, &at6, to6, 33, 46 << 2);
    close(to4);
    close(to6);
    close(from);
}

TEST(two_sockets_share_a_port_that_is_reused)
{
    nart_addr at = localhost();
    int a = raw_socket(AF_INET, SOCK_STREAM), b = raw_socket(AF_INET, SOCK_STREAM),
        c = raw_socket(AF_INET, SOCK_STREAM);

    CHECK_RES(nart_sock_set_reuse_port(a, true), 0);
    CHECK_RES(nart_sock_set_reuse_port(b, true), 0);
    CHECK_EQ(bind(a, sockaddr_of(&at), at.len), 0);
    CHECK_RES(nart_sock_local_addr(a, &at), 0);
    CHECK_EQ(listen(a, 1), 0);
    CHECK_EQ(bind(b, sockaddr_of(&at), at.len), 0);
    CHECK_EQ(listen(b, 1), 0);
    CHECK_RES(nart_sock_listening(b), 1);
    CHECK_EQ(bind(c, sockaddr_of(&at), at.len), -1);
    CHECK_EQ(errno, EADDRINUSE);
    close(a);
    close(b);
    close(c);
}

TEST(a_broadcast_is_sent_where_it_is_allowed)
{
    nart_addr to;
    int fd = raw_socket(AF_INET, SOCK_DGRAM);

    CHECK_RES(nart_addr_parse(&to, "127.255.255.255:9"), 0);
    CHECK_EQ(sendto(fd, "x", 1, 0, sockaddr_of(&to), to.len), -1);
    CHECK_EQ(errno, EACCES);
    CHECK_RES(nart_sock_set_broadcast(fd, true), 0);
    CHECK_EQ(sendto(fd, "x", 1, 0, sockaddr_of(&to), to.len), 1);
    close(fd);
}

TEST(a_pending_error_is_taken_once)
{
    nart_addr at;
    char buf[8];
    int gone = raw_udp("127.0.0.1:0", &at), fd = raw_socket(AF_INET, SOCK_DGRAM);

    CHECK_EQ(connect(fd, sockaddr_of(&at), at.len), 0);
    close(gone);
    CHECK_EQ(send(fd, "x", 1, 0), 1);
    wait_for(fd, POLLIN);
    CHECK_RES(nart_sock_take_error(fd), -ECONNREFUSED);
    CHECK_RES(nart_sock_take_error(fd), 0);
    CHECK_EQ(recv(fd, buf, sizeof buf, MSG_DONTWAIT), -1);
    CHECK_EQ(errno, EAGAIN);
    close(fd);
}

/* ---- groups, over the loopback device ---- */

/* Two sockets bound to one port, one that sends from 127.0.0.1, and one from 127.0.0.2. */
static struct {
    int to, other, from, from2;
    nart_addr group, direct, at, at2;
    uint32_t lo;
} many;

static void many_open(void)
{
    nart_addr any;
    char text[NART_ADDR_TEXT];

    many.lo = if_nametoindex("lo");
    many.from = raw_udp("127.0.0.1:0", &many.at);
    many.from2 = raw_udp("127.0.0.2:0", &many.at2);
    CHECK_RES(nart_sock_set_multicast_if(many.from, many.lo), 0);
    CHECK_RES(nart_sock_set_multicast_if(many.from2, many.lo), 0);
    many.to = raw_socket(AF_INET, SOCK_DGRAM);
    many.other = raw_socket(AF_INET, SOCK_DGRAM);
    CHECK_RES(nart_sock_set_reuse_addr(many.to, true), 0);
    CHECK_RES(nart_sock_set_reuse_addr(many.other, true), 0);
    CHECK_RES(nart_addr_parse(&any, "0.0.0.0:0"), 0);
    CHECK_EQ(bind(many.to, sockaddr_of(&any), any.len), 0);
    CHECK_RES(nart_sock_local_addr(many.to, &any), 0);
    CHECK_EQ(bind(many.other, sockaddr_of(&any), any.len), 0);
    snprintf(text, sizeof text, "239.255.%u.1:%u", nart_addr_port(&any) & 255,
             nart_addr_port(&any));
    CHECK_RES(nart_addr_parse(&many.group, text), 0);
}

static void many_close(void)
{
    close(many.to);
    close(many.other);
    close(many.from);
    close(many.from2);
}

static void send_group(int from, const char *text)
{
    CHECK_EQ(sendto(from, text, strlen(text), 0, sockaddr_of(&many.group), many.group.len),
             strlen(text));
}

/* Over loopback a datagram has arrived when it was sent. NULL: none has. */
static void has(int fd, const char *text)
{
    char buf[8] = "";
    ssize_t n = recv(fd, buf, sizeof buf - 1, MSG_DONTWAIT);

    CHECK_STR(n < 0 ? "" : buf, text ? text : "");
    if (!text)
        CHECK_EQ(errno, EAGAIN);
}

TEST_WITH(a_group_is_joined_and_left, many)
{
    CHECK_RES(nart_sock_set_multicast_all(many.other, false), 0);
    send_group(many.from, "a");
    has(many.to, NULL);
    CHECK_RES(nart_sock_join(many.to, &many.group, many.lo), 0);
    CHECK_RES(nart_sock_join(many.to, &many.group, many.lo), -EADDRINUSE);
    send_group(many.from, "b");
    has(many.to, "b");
    has(many.other, NULL); /* it has not joined */
    CHECK_RES(nart_sock_set_multicast_all(many.other, true), 0);
    send_group(many.from, "c");
    has(many.other, "c"); /* of the groups of others */
    has(many.to, "c");
    CHECK_RES(nart_sock_leave(many.to, &many.group, many.lo), 0);
    CHECK_RES(nart_sock_leave(many.to, &many.group, many.lo), -EADDRNOTAVAIL);
    send_group(many.from, "d");
    has(many.to, NULL);
}

TEST_WITH(a_group_is_joined_for_one_source, many)
{
    CHECK_RES(nart_sock_join_source(many.to, &many.group, &many.at, many.lo), 0);
    CHECK_RES(nart_sock_join_source(many.to, &many.group, &many.at, many.lo), -EADDRNOTAVAIL);
    send_group(many.from2, "a");
    send_group(many.from, "b");
    has(many.to, "b");
    CHECK_RES(nart_sock_join_source(many.to, &many.group, &many.at2, many.lo), 0);
    send_group(many.from2, "c");
    has(many.to, "c");
    CHECK_RES(nart_sock_leave_source(many.to, &many.group, &many.at2, many.lo), 0);
    CHECK_RES(nart_sock_leave_source(many.to, &many.group, &many.at2, many.lo), -EADDRNOTAVAIL);
    send_group(many.from2, "d");
    send_group(many.from, "e");
    has(many.to, "e");
    CHECK_RES(nart_sock_leave_source(many.to, &many.group, &many.at, many.lo), 0);
    CHECK_RES(nart_sock_join(many.to, &many.group, many.lo), 0);
    send_group(many.from2, "f");
    has(many.to, "f");
    CHECK_RES(nart_sock_join_source(many.to, &many.group, &many.at, many.lo), 0);
    send_group(many.from2, "g");
    send_group(many.from, "h");
    has(many.to, "h");
}

TEST_WITH(a_socket_joins_a_limited_number_of_groups, many)
{
    char text[NART_ADDR_TEXT];
    nart_res r = 0;

    for (int i = 1; r == 0 && i < 65536; i++) {
        snprintf(text, sizeof text, "239.254.%d.%d:0", i >> 8, i & 255);
        CHECK_RES(nart_addr_parse(&many.group, text), 0);
        r = nart_sock_join(many.to, &many.group, many.lo);
    }
    CHECK_RES(r, -ENOBUFS);
}

/* Whether the kernel has the group on the loopback device. */
static bool joined6(const char *file, const char *hex)
{
    char line[256];
    bool found = false;
    FILE *f = fopen(file, "r");

    CHECK(f != NULL);
    while (fgets(line, sizeof line, f))
        found |= strstr(line, "lo") && strstr(line, hex);
    fclose(f);
    return found;
}

/* The loopback device does not route groups of IPv6, but takes them. */
TEST(a_group_of_ipv6_is_joined_and_left)
{
    nart_addr group, source;
    char text[NART_ADDR_TEXT], hex[33];
    int fd = raw_socket(AF_INET6, SOCK_DGRAM);
    unsigned id = (unsigned)getpid() & 0xffff;
    uint32_t lo = if_nametoindex("lo");

    snprintf(text, sizeof text, "[ff02::5:%x%%%" PRIu32 "]:0", id, lo);
    snprintf(hex, sizeof hex, "ff02000000000000000000000005%04x", id);
    CHECK_RES(nart_addr_parse(&group, text), 0);
    CHECK_RES(nart_addr_parse(&source, "[::1]:0"), 0);
    CHECK(!joined6("/proc/net/igmp6", hex));
    CHECK_RES(nart_sock_join(fd, &group, 0), 0); /* where its scope is */
    CHECK(joined6("/proc/net/igmp6", hex));
    CHECK_RES(nart_sock_join(fd, &group, lo), -EADDRINUSE);
    CHECK_RES(nart_sock_leave(fd, &group, 0), 0);
    CHECK(!joined6("/proc/net/igmp6", hex));
    CHECK_RES(nart_sock_leave(fd, &group, 0), -EADDRNOTAVAIL);
    CHECK_RES(nart_sock_join_source(fd, &group, &source, lo), 0);
    CHECK(joined6("/proc/net/mcfilter6", hex));
    CHECK_RES(nart_sock_leave_source(fd, &group, &source, lo), 0);
    CHECK(!joined6("/proc/net/mcfilter6", hex));
    CHECK_RES(nart_sock_set_multicast_if(fd, lo), 0);
    CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF), lo);
    close(fd);
}
