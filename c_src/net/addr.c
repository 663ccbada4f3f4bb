/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* addr.c: addresses as text and as the kernel's structs, and sockets bound to an address.
 *
 * The grammar is strict, so that a typing error is not parsed as another address:
 *     "<IPv4>:<port>" | "[<IPv6>]:<port>" | "[<IPv6>%<scope>]:<port>" | "unix:" ["@"] <name>
 * with a port of one to five digits, and a scope that is a number or the name of an interface. In a Unix name a backslash and two hexadecimal digits after "x" are a byte;
 * control characters are written so, and an "@" at the beginning of a path. Names of hosts are not looked up: that would block.
 * The structs are copied in and out of the storage, never aliased. */
#include "net.h"

#include "../sys.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

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

static nart_res parse_v4(nart_addr *out, const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');

    if (!colon || !cut(host, sizeof host, text, colon) ||
        inet_pton(AF_INET, host, &in.sin_addr) != 1 || !parse_port(colon, &in.sin_port))
        return -EINVAL;
    memcpy(&out->storage, &in, sizeof in);
    out->len = sizeof in;
    return 0;
}

/* The scope from `s` up to `close`: its number, or -errno. */
static int64_t scope_of(const char *s, const char *close)
{
    char name[IF_NAMESIZE];

    if (s + strspn(s, "0123456789") == close) {
        int64_t n = number(s, &s, UINT32_MAX);
        return n < 0 ? -EINVAL : n;
    }
    return cut(name, sizeof name, s, close) ? nart__sys_interface(name) : -ENODEV;
}

static nart_res parse_v6(nart_addr *out, const char *text)
{
    struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
    char host[INET6_ADDRSTRLEN];
    const char *close = strchr(text, ']');

    if (!close)
        return -EINVAL;
    const char *scope = memchr(text, '%', (size_t)(close - text));
    if (!cut(host, sizeof host, text + 1, scope ? scope : close) ||
        inet_pton(AF_INET6, host, &in.sin6_addr) != 1 || !parse_port(close + 1, &in.sin6_port))
        return -EINVAL;
    int64_t n = scope ? scope_of(scope + 1, close) : 0;
    if (n < 0)
        return n;
    in.sin6_scope_id = (uint32_t)n;
    memcpy(&out->storage, &in, sizeof in);
    out->len = sizeof in;
    return 0;
}

/* ---- Unix addresses ---- */

#define UNIX_PATH offsetof(struct sockaddr_un, sun_path)
#define UNIX_NAME sizeof(((struct sockaddr_un *)0)->sun_path)

/* The name without the NUL of a path: that of an abstract one begins with a NUL, none is empty. */
static const char *unix_name(const nart_addr *a, size_t *n)
{
    const char *name = (const char *)&a->storage + UNIX_PATH;

    *n = a->len > UNIX_PATH ? a->len - UNIX_PATH : 0;
    if (*n > UNIX_NAME)
        *n = UNIX_NAME;
    if (*n > 0 && *name)
        *n = strnlen(name, *n);
    return name;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) & 15 : -1;
}

/* Parses one byte of a name. Returns the text after it; NULL: a backslash with something else. */
static const char *parse_byte(const char *s, char *out)
{
    int high, low;

    *out = *s;
    if (*s != '\\')
        return s + 1;
    if (s[1] == '\\')
        return s + 2;
    if (s[1] != 'x' || (high = hex_digit(s[2])) < 0 || (low = hex_digit(s[3])) < 0)
        return NULL;
    *out = (char)(unsigned char)(high << 4 | low);
    return s + 4;
}

static nart_res parse_unix(nart_addr *out, const char *s)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    bool abstract = *s == '@';
    size_t n = abstract, most = abstract ? UNIX_NAME : UNIX_NAME - 1; /* a path has a NUL */

    for (s += abstract; *s; n++) {
        char c;
        s = parse_byte(s, &c);
        if (!s || (!abstract && c == '\0'))
            return -EINVAL;
        if (n == most)
            return -ENAMETOOLONG;
        un.sun_path[n] = c;
    }
    if (n > 0 && !abstract)
        n++;
    memcpy(&out->storage, &un, sizeof un);
    out->len = (socklen_t)(UNIX_PATH + n);
    return 0;
}

/* Writes the text of a Unix address and its NUL. Returns its length. */
static int format_unix(const nart_addr *a, char *text)
{
    size_t n;
    const char *name = unix_name(a, &n);
    bool abstract = n > 0 && !*name;
    char *to = text + sprintf(text, abstract ? "unix:@" : "unix:");

    for (size_t i = abstract; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < ' ' || c == 127 || (c == '@' && i == 0))
            to += sprintf(to, "\\x%02x", c);
        else
            to += sprintf(to, c == '\\' ? "\\\\" : "%c", c);
    }
    return (int)(to - text);
}

/* ---- any address ---- */

nart_res nart_addr_parse(nart_addr *out, const char *text)
{
    if (!out)
        return -EINVAL;
    *out = (nart_addr){ .len = 0 };
    if (!text)
        return -EINVAL;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(out, text + 5);
    return *text == '[' ? parse_v6(out, text) : parse_v4(out, text);
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
    } else if (a->storage.ss_family == AF_UNIX) {
        n = format_unix(a, text);
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

/* What two equal addresses have in common, and no others: returns the number of bytes. */
static size_t key_of(const nart_addr *a, unsigned char *key)
{
    const unsigned char *from = (const unsigned char *)&a->storage;
    size_t at = sizeof a->storage.ss_family,
           n = a->len < sizeof a->storage ? a->len : sizeof a->storage;

    memcpy(key, from, at);
    if (a->storage.ss_family == AF_INET) {
        n = offsetof(struct sockaddr_in, sin_zero) - at; /* the port and the address */
    } else if (a->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, from, sizeof in);
        in.sin6_flowinfo = 0;
        memcpy(key + at, (const unsigned char *)&in + at, sizeof in - at);
        return sizeof in;
    } else if (a->storage.ss_family == AF_UNIX) {
        (void)unix_name(a, &n);
    } else {
        n = n > at ? n - at : 0;
    }
    memcpy(key + at, from + at, n);
    return at + n;
}

bool nart_addr_equal(const nart_addr *a, const nart_addr *b)
{
    unsigned char x[sizeof a->storage], y[sizeof b->storage];
    size_t n = key_of(a, x);

    return n == key_of(b, y) && memcmp(x, y, n) == 0;
}

uint64_t nart_addr_hash(const nart_addr *a, uint64_t seed)
{
    unsigned char key[sizeof a->storage];
    size_t n = key_of(a, key);
    uint64_t h = seed ^ n, word;

    for (size_t i = 0; i < n; i += sizeof word) {
        word = 0;
        memcpy(&word, key + i, n - i < sizeof word ? n - i : sizeof word);
        h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        h ^= h >> 32;
    }
    h *= UINT64_C(0xD6E8FEB86659FD93);
    return h ^ h >> 32;
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

nart_res nart__unix_check(const nart_addr *a, bool named)
{
    size_t n;

    if (!a || a->len < sizeof a->storage.ss_family || a->len > sizeof a->storage)
        return -EINVAL;
    if (a->storage.ss_family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (a->len > sizeof(struct sockaddr_un))
        return -EINVAL;
    const char *name = unix_name(a, &n);
    return (named && n == 0) || (n == UNIX_NAME && *name) ? -EINVAL : 0;
}

const char *nart__unix_path(const nart_addr *a)
{
    size_t n;
    const char *name = unix_name(a, &n);

    return n > 0 && *name ? name : NULL;
}

nart_res nart__socket_open(const nart_sys *sys, int family, int type)
{
    const int on = 1;

    int fd = sys->socket(family, type);
    if (fd >= 0 && type == SOCK_STREAM && family != AF_UNIX)
        (void)sys->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
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

nart_res nart__socket_take(const nart_sys *sys, int fd, int protocol)
{
    int is = 0, type = 0;
    socklen_t size = sizeof is;

    nart_res r = sys->getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &is, &size);
    if (r == 0)
        r = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (r)
        return r;
    return is == protocol && type != SOCK_RAW ? sys->set_nonblocking(fd) : -EPROTOTYPE;
}

nart_res nart__take_tcp(const nart_sys *sys, int fd)
{
    nart_res r = nart__socket_take(sys, fd, IPPROTO_TCP);
    return r ? r : SOCK_STREAM;
}

nart_res nart__unix_type(const nart_sys *sys, int fd)
{
    int family = 0, type = 0;
    socklen_t size = sizeof family;

    nart_res r = sys->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    if (r == 0)
        r = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return r ? r : family == AF_UNIX ? type : -EPROTOTYPE;
}

nart_res nart__take_unix(const nart_sys *sys, int fd)
{
    nart_res type = nart__unix_type(sys, fd);
    nart_res r = type < 0 ? type : type == SOCK_DGRAM ? -EPROTOTYPE : sys->set_nonblocking(fd);
    return r ? r : type;
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
