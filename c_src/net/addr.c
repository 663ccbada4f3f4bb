/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* addr.c: addresses as text and as the kernel's structs, and sockets bound to an address.
 *
 * The grammar is strict, so that a typing error is not parsed as another address:
 *     "<IPv4>:<port>" | "[<IPv6>]:<port>" | "[<IPv6>%<scope number>]:<port>"
 * with a port of one to five digits. Names and interfaces are not looked up: both would block.
 * The structs are copied in and out of the storage, never aliased. */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Parses digits only, at most `max`; sets *end to the end of the number. -1: no number, or too large. */
static int64_t number(const char *s, const char **end, int64_t max)
{
    int64_t n = 0;
    const char *p = s;

    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');
        if (n > max)
            return -1;
    }
    *end = p;
    return p == s ? -1 : n;
}

/* Parses ":<port>" up to the end of the text. */
static bool parse_port(const char *s, in_port_t *port)
{
    const char *end;

    if (*s != ':')
        return false;
    int64_t n = number(s + 1, &end, UINT16_MAX);
    if (n < 0 || *end || end - s > 6)
        return false;
    *port = htons((uint16_t)n);
    return true;
}

/* Copies [from, to) as a string. */
static bool cut(char *buf, size_t cap, const char *from, const char *to)
{
    size_t n = (size_t)(to - from);

    if (n >= cap)
        return false;
    memcpy(buf, from, n);
    buf[n] = '\0';
    return true;
}

static bool parse_v4(nart_addr *out, const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');

    if (!colon || !cut(host, sizeof host, text, colon) ||
        inet_pton(AF_INET, host, &in.sin_addr) != 1 || !parse_port(colon, &in.sin_port))
        return false;
    memcpy(&out->storage, &in, sizeof in);
    out->len = sizeof in;
    return true;
}

static bool parse_v6(nart_addr *out, const char *text)
{
    struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
    char host[INET6_ADDRSTRLEN];
    const char *close = strchr(text, ']');

    if (!close)
        return false;
    const char *scope = memchr(text, '%', (size_t)(close - text));
    if (scope) {
        const char *end;
        int64_t n = number(scope + 1, &end, UINT32_MAX);
        if (n < 0 || end != close)
            return false;
        in.sin6_scope_id = (uint32_t)n;
    }
    if (!cut(host, sizeof host, text + 1, scope ? scope : close) ||
        inet_pton(AF_INET6, host, &in.sin6_addr) != 1 || !parse_port(close + 1, &in.sin6_port))
        return false;
    memcpy(&out->storage, &in, sizeof in);
    out->len = sizeof in;
    return true;
}

nart_res nart_addr_parse(nart_addr *out, const char *text)
{
    if (!out)
        return -EINVAL;
    *out = (nart_addr){ .len = 0 };
    if (!text || !(*text == '[' ? parse_v6(out, text) : parse_v4(out, text)))
        return -EINVAL;
    return 0;
}

nart_res nart_addr_format(const nart_addr *a, char *buf, size_t cap)
{
    char host[INET6_ADDRSTRLEN], scope[16] = "", text[NART_ADDR_TEXT];
    int n;

    if (cap > 0)
        *buf = '\0';
    if (a->storage.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->storage, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        n = snprintf(text, sizeof text, "%s:%u", host, ntohs(in.sin_port));
    } else if (a->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &a->storage, sizeof in);
        inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof host);
        if (in.sin6_scope_id)
            snprintf(scope, sizeof scope, "%%%u", in.sin6_scope_id);
        n = snprintf(text, sizeof text, "[%s%s]:%u", host, scope, ntohs(in.sin6_port));
    } else {
        return -EAFNOSUPPORT;
    }
    if ((size_t)n >= cap)
        return -ENOSPC;
    memcpy(buf, text, (size_t)n + 1);
    return n;
}

uint16_t nart_addr_port(const nart_addr *a)
{
    struct sockaddr_in in; /* the port is at the same offset in an IPv6 address */

    if (a->storage.ss_family != AF_INET && a->storage.ss_family != AF_INET6)
        return 0;
    memcpy(&in, &a->storage, sizeof in);
    return ntohs(in.sin_port);
}

/* ---- for sockets ---- */

nart_res nart__addr_check(const nart_addr *a)
{
    if (!a || a->len < sizeof a->storage.ss_family || a->len > sizeof a->storage)
        return -EINVAL;
    switch (a->storage.ss_family) {
    case AF_INET:
        return a->len == sizeof(struct sockaddr_in) ? 0 : -EINVAL;
    case AF_INET6:
        return a->len == sizeof(struct sockaddr_in6) ? 0 : -EINVAL;
    default:
        return -EAFNOSUPPORT;
    }
}

nart_res nart__socket_bound(const nart_sys *sys, const nart_addr *a, int type,
                            const nart__sockopt *opts, size_t n)
{
    nart_res r = nart__addr_check(a);
    if (r)
        return r;
    int fd = sys->socket(a->storage.ss_family, type);
    if (fd < 0)
        return fd;
    for (size_t i = 0; i < n && r == 0; i++)
        if (opts[i].applies)
            r = sys->setsockopt(fd, opts[i].level, opts[i].name, &opts[i].value, sizeof(int));
    if (r == 0)
        r = sys->bind(fd, (const struct sockaddr *)&a->storage, a->len);
    if (r == 0)
        return fd;
    sys->close(fd);
    return r;
}

nart_res nart__fd_addr(const nart_sys *sys, nart_res fd, bool peer, nart_addr *out)
{
    *out = (nart_addr){ .len = sizeof out->storage };
    struct sockaddr *to = (struct sockaddr *)&out->storage;
    nart_res r = fd;
    if (fd >= 0)
        r = peer ? sys->peername((int)fd, to, &out->len) : sys->sockname((int)fd, to, &out->len);
    if (r)
        *out = (nart_addr){ .len = 0 };
    return r;
}

nart_res nart__io_addr(const nart_io *io, bool peer, nart_addr *out)
{
    return nart__fd_addr(io->drv ? io->drv->sys : nart_driver_sys(), nart__io_fd(io), peer, out);
}
