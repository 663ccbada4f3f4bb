/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sockopt.c: options of sockets, by descriptor.
 *
 * Every function is one or a few calls of set() and get(), which refuse a descriptor that is none. They use the
 * kernel's system calls: a descriptor has no driver. Values that the kernel would cut or interpret otherwise
 * (a name that is too long, a TTL of -1) are refused here. */
#include "net.h"

#include <nart/socket.h>

#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#ifndef IPV6_MULTICAST_ALL /* Linux 4.20; not in all libraries' headers */
#define IPV6_MULTICAST_ALL 29
#endif

/* The descriptor, or the error. */
static nart_res known(nart_res fd)
{
    return fd == -1 || fd > INT_MAX ? -EBADF : fd;
}

static nart_res set(nart_res fd, int level, int name, const void *value, size_t len)
{
    nart_res r = known(fd);
    return r < 0 ? r : nart_driver_sys()->setsockopt((int)r, level, name, value, (socklen_t)len);
}

static nart_res get(nart_res fd, int level, int name, void *value, socklen_t *len)
{
    nart_res r = known(fd);
    return r < 0 ? r : nart_driver_sys()->getsockopt((int)r, level, name, value, len);
}

static nart_res set_int(nart_res fd, int level, int name, int value)
{
    return set(fd, level, name, &value, sizeof value);
}

/* The kernel's numbers are not negative, but a mark may use all 32 bits. */
static nart_res get_int(nart_res fd, int level, int name)
{
    uint32_t value = 0;
    socklen_t len = sizeof value;
    nart_res r = get(fd, level, name, &value, &len);

    return r < 0 ? r : (nart_res)value;
}

/* In units of `unit`, rounded up; -EINVAL: negative, or no int. */
static nart_res units_of(int64_t ns, int64_t unit)
{
    int64_t n = ns / unit + (ns % unit > 0);
    return ns < 0 || n > INT_MAX ? -EINVAL : n;
}

/* ---- any socket ---- */

nart_res nart_sock_family(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_DOMAIN);
}

nart_res nart_sock_type(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_TYPE);
}

nart_res nart_sock_protocol(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_PROTOCOL);
}

nart_res nart_sock_listening(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_ACCEPTCONN);
}

nart_res nart_sock_take_error(nart_res fd)
{
    nart_res r = known(fd);
    return r < 0 ? r : nart_driver_sys()->sock_error((int)r);
}

nart_res nart_sock_local_addr(nart_res fd, nart_addr *out)
{
    return nart__fd_addr(nart_driver_sys(), known(fd), false, out);
}

nart_res nart_sock_peer_addr(nart_res fd, nart_addr *out)
{
    return nart__fd_addr(nart_driver_sys(), known(fd), true, out);
}

nart_res nart_sock_set_reuse_addr(nart_res fd, bool on)
{
    return set_int(fd, SOL_SOCKET, SO_REUSEADDR, on);
}

nart_res nart_sock_reuse_addr(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_REUSEADDR);
}

nart_res nart_sock_set_reuse_port(nart_res fd, bool on)
{
    return set_int(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

nart_res nart_sock_reuse_port(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_REUSEPORT);
}

nart_res nart_sock_set_v6only(nart_res fd, bool on)
{
    return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
}

nart_res nart_sock_v6only(nart_res fd)
{
    return get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
}

nart_res nart_sock_set_rcvbuf(nart_res fd, int bytes)
{
    return bytes < 1 ? -EINVAL : set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

nart_res nart_sock_rcvbuf(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_RCVBUF);
}

nart_res nart_sock_set_sndbuf(nart_res fd, int bytes)
{
    return bytes < 1 ? -EINVAL : set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

nart_res nart_sock_sndbuf(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_SNDBUF);
}

nart_res nart_sock_set_linger(nart_res fd, bool on, int64_t ns)
{
    nart_res seconds = units_of(ns, NART_SEC);
    if (seconds < 0)
        return seconds;
    struct linger value = { .l_onoff = on, .l_linger = (int)seconds };
    return set(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

nart_res nart_sock_linger(nart_res fd, int64_t *ns)
{
    struct linger value = { 0, 0 };
    socklen_t len = sizeof value;
    nart_res r = get(fd, SOL_SOCKET, SO_LINGER, &value, &len);

    if (ns)
        *ns = r == 0 && value.l_onoff ? value.l_linger * NART_SEC : 0;
    return r < 0 ? r : value.l_onoff != 0;
}

nart_res nart_sock_set_device(nart_res fd, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    return len >= IF_NAMESIZE ? -EINVAL
                              : set(fd, SOL_SOCKET, SO_BINDTODEVICE, name ? name : "", len);
}

nart_res nart_sock_device(nart_res fd, char *buf, size_t cap)
{
    char name[IF_NAMESIZE] = "";
    socklen_t len = sizeof name;
    nart_res r = get(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len);
    size_t n = r < 0 ? 0 : strnlen(name, sizeof name - 1);

    if (r == 0 && n >= cap)
        r = -ENOSPC;
    if (cap > 0)
        memcpy(buf, r < 0 ? "" : name, r < 0 ? 1 : n + 1);
    return r < 0 ? r : (nart_res)n;
}

nart_res nart_sock_set_priority(nart_res fd, int priority)
{
    return priority < 0 ? -EINVAL : set_int(fd, SOL_SOCKET, SO_PRIORITY, priority);
}

nart_res nart_sock_priority(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_PRIORITY);
}

nart_res nart_sock_set_mark(nart_res fd, uint32_t mark)
{
    return set(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
}

nart_res nart_sock_mark(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_MARK);
}

/* ---- IPv4 and IPv6 ---- */

/* AF_INET or AF_INET6, or an error. */
static nart_res ip_family(nart_res fd)
{
    nart_res family = nart_sock_family(fd);
    return family < 0 || family == AF_INET || family == AF_INET6 ? family : -EAFNOSUPPORT;
}

/* An option that has a name in each of the two. */
static nart_res set_ip(nart_res fd, int v4, int v6, int value)
{
    nart_res r = ip_family(fd);

    if (r == AF_INET6)
        r = set_int(fd, IPPROTO_IPV6, v6, value);
    return r < 0 ? r : set_int(fd, IPPROTO_IP, v4, value);
}

static nart_res get_ip(nart_res fd, int v4, int v6)
{
    nart_res r = ip_family(fd);

    if (r < 0)
        return r;
    return r == AF_INET ? get_int(fd, IPPROTO_IP, v4) : get_int(fd, IPPROTO_IPV6, v6);
}

nart_res nart_sock_set_ttl(nart_res fd, int ttl)
{
    return ttl < 1 || ttl > 255 ? -EINVAL : set_ip(fd, IP_TTL, IPV6_UNICAST_HOPS, ttl);
}

nart_res nart_sock_ttl(nart_res fd)
{
    return get_ip(fd, IP_TTL, IPV6_UNICAST_HOPS);
}

nart_res nart_sock_set_dscp(nart_res fd, int dscp)
{
    return dscp < 0 || dscp > 63 ? -EINVAL : set_ip(fd, IP_TOS, IPV6_TCLASS, dscp << 2);
}

nart_res nart_sock_dscp(nart_res fd)
{
    nart_res r = get_ip(fd, IP_TOS, IPV6_TCLASS);
    return r < 0 ? r : r >> 2;
}

/* ---- datagrams ---- */

nart_res nart_sock_set_broadcast(nart_res fd, bool on)
{
    return set_int(fd, SOL_SOCKET, SO_BROADCAST, on);
}

nart_res nart_sock_broadcast(nart_res fd)
{
    return get_int(fd, SOL_SOCKET, SO_BROADCAST);
}

/* 0, or the error. Fills in the level of the group's options, and the interface of its scope. */
static nart_res group_of(const nart_addr *group, int *level, uint32_t *ifindex)
{
    nart_res r = nart__addr_check(group);
    if (r)
        return r;
    *level = group->storage.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (*level == IPPROTO_IPV6 && *ifindex == 0) {
        struct sockaddr_in6 in;
        memcpy(&in, &group->storage, sizeof in);
        *ifindex = in.sin6_scope_id;
    }
    return 0;
}

static nart_res any_source(nart_res fd, int name, const nart_addr *group, uint32_t ifindex)
{
    int level;
    nart_res r = group_of(group, &level, &ifindex);
    if (r)
        return r;
    struct group_req q = { .gr_interface = ifindex, .gr_group = group->storage };
    return set(fd, level, name, &q, sizeof q);
}

static nart_res one_source(nart_res fd, int name, const nart_addr *group, const nart_addr *source,
                           uint32_t ifindex)
{
    int level;
    nart_res r = group_of(group, &level, &ifindex);
    if (r == 0)
        r = nart__addr_check(source);
    if (r)
        return r;
    if (source->storage.ss_family != group->storage.ss_family)
        return -EINVAL;
    struct group_source_req q = { .gsr_interface = ifindex,
                                  .gsr_group = group->storage,
                                  .gsr_source = source->storage };
    return set(fd, level, name, &q, sizeof q);
}

nart_res nart_sock_join(nart_res fd, const nart_addr *group, uint32_t ifindex)
{
    return any_source(fd, MCAST_JOIN_GROUP, group, ifindex);
}

nart_res nart_sock_leave(nart_res fd, const nart_addr *group, uint32_t ifindex)
{
    return any_source(fd, MCAST_LEAVE_GROUP, group, ifindex);
}

nart_res nart_sock_join_source(nart_res fd, const nart_addr *group, const nart_addr *source,
                               uint32_t ifindex)
{
    return one_source(fd, MCAST_JOIN_SOURCE_GROUP, group, source, ifindex);
}

nart_res nart_sock_leave_source(nart_res fd, const nart_addr *group, const nart_addr *source,
                                uint32_t ifindex)
{
    return one_source(fd, MCAST_LEAVE_SOURCE_GROUP, group, source, ifindex);
}

nart_res nart_sock_set_multicast_if(nart_res fd, uint32_t ifindex)
{
    struct ip_mreqn v4 = { .imr_ifindex = (int)ifindex };
    nart_res r = ip_family(fd);

    if (r == AF_INET6)
        r = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex);
    return r < 0 ? r : set(fd, IPPROTO_IP, IP_MULTICAST_IF, &v4, sizeof v4);
}

nart_res nart_sock_set_multicast_loop(nart_res fd, bool on)
{
    return set_ip(fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

nart_res nart_sock_multicast_loop(nart_res fd)
{
    return get_ip(fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP);
}

nart_res nart_sock_set_multicast_ttl(nart_res fd, int ttl)
{
    return ttl < 0 || ttl > 255 ? -EINVAL : set_ip(fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl);
}

nart_res nart_sock_multicast_ttl(nart_res fd)
{
    return get_ip(fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS);
}

nart_res nart_sock_set_multicast_all(nart_res fd, bool on)
{
    return set_ip(fd, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, on);
}

nart_res nart_sock_multicast_all(nart_res fd)
{
    return get_ip(fd, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL);
}

/* ---- TCP ---- */

static nart_res set_seconds(nart_res fd, int name, int64_t ns)
{
    nart_res n = units_of(ns, NART_SEC);
    return n <= 0 ? n : set_int(fd, IPPROTO_TCP, name, (int)n);
}

nart_res nart_sock_set_keepalive(nart_res fd, const nart_keepalive *when)
{
    nart_keepalive k = NART_KEEPALIVE_INIT;
    nart_res r;

    if (!when)
        return set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    r = nart__sized_in(&k, sizeof k, when, offsetof(nart_keepalive, reserved));
    if (r)
        return r;
    if (k.probes > INT_MAX)
        return -EINVAL;
    r = set_seconds(fd, TCP_KEEPIDLE, k.idle);
    if (r == 0)
        r = set_seconds(fd, TCP_KEEPINTVL, k.interval);
    if (r == 0 && k.probes)
        r = set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)k.probes);
    return r < 0 ? r : set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

nart_res nart_sock_keepalive(nart_res fd, nart_keepalive *when)
{
    if (when) {
        if (when->size < offsetof(nart_keepalive, reserved) || when->size > sizeof *when)
            return NART_EABI;
        nart_res idle = get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE);
        nart_res interval = get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL);
        nart_res probes = get_int(fd, IPPROTO_TCP, TCP_KEEPCNT);
        if (idle < 0 || interval < 0 || probes < 0)
            return idle < 0 ? idle : interval < 0 ? interval : probes;
        when->idle = idle * NART_SEC;
        when->interval = interval * NART_SEC;
        when->probes = (uint32_t)probes;
    }
    return get_int(fd, SOL_SOCKET, SO_KEEPALIVE);
}

nart_res nart_sock_set_user_timeout(nart_res fd, int64_t ns)
{
    nart_res n = units_of(ns, NART_MS);
    return n < 0 ? n : set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)n);
}

nart_res nart_sock_user_timeout(nart_res fd)
{
    nart_res r = get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);
    return r < 0 ? r : r * NART_MS;
}

nart_res nart_sock_set_nodelay(nart_res fd, bool on)
{
    return set_int(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

nart_res nart_sock_nodelay(nart_res fd)
{
    return get_int(fd, IPPROTO_TCP, TCP_NODELAY);
}

nart_res nart_sock_set_quickack(nart_res fd, bool on)
{
    return set_int(fd, IPPROTO_TCP, TCP_QUICKACK, on);
}

nart_res nart_sock_quickack(nart_res fd)
{
    return get_int(fd, IPPROTO_TCP, TCP_QUICKACK);
}

nart_res nart_sock_set_fastopen(nart_res fd, int queue)
{
    return queue < 0 ? -EINVAL : set_int(fd, IPPROTO_TCP, TCP_FASTOPEN, queue);
}

nart_res nart_sock_fastopen(nart_res fd)
{
    return get_int(fd, IPPROTO_TCP, TCP_FASTOPEN);
}

nart_res nart_sock_set_fastopen_connect(nart_res fd, bool on)
{
    return set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, on);
}

nart_res nart_sock_fastopen_connect(nart_res fd)
{
    return get_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT);
}
