/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lookups and connects by name whose system calls, and allocations, fail: each ends with an answer, nothing is left,
 * and the next one is unaffected. */
#include "../names/dns.h"
#include "net/net.h"
#include "op.h"
#include "sys.h"

#include <nart/fiber.h>

#include <ares.h>

/* ---- faults ---- */

enum { SOCKET, CONNECT, RECVMSG, SENDMSG, SETSOCKOPT, SOCK_ERROR, CALLS };

/* One of the errors of a call: from its `first` call on, `times` times. */
static struct fault {
    int call, error;
    unsigned first, times;
} fault;
static unsigned calls[CALLS];

static bool fails(int call)
{
    unsigned n = ++calls[call];
    return fault.error && call == fault.call && n >= fault.first && n - fault.first < fault.times;
}

/* The linker gives the loop this table, and the real one another name. */
nart_sys __wrap_nart__sys_real;
extern const nart_sys __real_nart__sys_real;

#define CALL(what, type, name, params, args)                                                       \
    static type faulty_##name params                                                               \
    {                                                                                              \
        return fails(what) ? (type)-fault.error : __real_nart__sys_real.name args;                 \
    }

static int sockets; /* that are open */

static int faulty_socket(int family, int type)
{
    int fd = fails(SOCKET) ? -fault.error : __real_nart__sys_real.socket(family, type);

    sockets += fd >= 0;
    return fd;
}

static void count_close(int fd)
{
    sockets--;
    __real_nart__sys_real.close(fd);
}

CALL(CONNECT, int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(RECVMSG, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
CALL(SENDMSG, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
CALL(SETSOCKOPT, int, setsockopt, (int fd, int l, int o, const void *v, socklen_t n),
     (fd, l, o, v, n))
CALL(SOCK_ERROR, int, sock_error, (int fd), (fd))

/* ---- the fixture: a runtime with these calls, a name server, a resolver ---- */

static const struct dns_record records[] = {
    { "both.test", ns_t_aaaa, "::1", 0, 60 },
    { "both.test", ns_t_a, "127.0.0.1", 0, 60 },
    { "next.test", ns_t_aaaa, "::1", 0, 60 },
    { "next.test", ns_t_a, "127.0.0.1", 0, 60 },
    { "long.test", ns_t_aaaa, "::1", DNS_TRUNCATED, 60 },
    { "long.test", ns_t_a, "127.0.0.1", DNS_TRUNCATED, 60 },
    { "1.0.0.127.in-addr.arpa", ns_t_ptr, "both.test", 0, 60 },
    { "_x._tcp.test", ns_t_srv, "1 0 80 both.test", 0, 60 },
    { "late.test", ns_t_a, "127.0.0.1", DNS_HELD, 60 },
    { NULL, 0, NULL, 0, 0 },
};

static nart_rt *rt;
static struct dns dns;
static nart_resolver *resolver;
static struct place place;

/* `tries` of 5 ms each; 0: as it is. */
static nart_res resolver_open(uint32_t tries)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;

    o.servers = dns.servers;
    o.domains = "";
    o.timeout = tries ? 5 * NART_MS : 0;
    o.tries = tries;
    return nart_resolver_new(rt, &o, &resolver);
}

static void faulty_open(void)
{
    fault.error = 0;
    __wrap_nart__sys_real = __real_nart__sys_real;
    __wrap_nart__sys_real.socket = faulty_socket;
    __wrap_nart__sys_real.close = count_close;
    __wrap_nart__sys_real.connect = faulty_connect;
    __wrap_nart__sys_real.recvmsg = faulty_recvmsg;
    __wrap_nart__sys_real.sendmsg = faulty_sendmsg;
    __wrap_nart__sys_real.setsockopt = faulty_setsockopt;
    __wrap_nart__sys_real.sock_error = faulty_sock_error;
    rt = new_rt();
    dns_open(&dns, records);
    place_open(&place, "127.0.0.1:0", ANSWERS);
}

static void faulty_close(void)
{
    CHECK_RES(nart_rt_free(rt), 0);
    dns_finish(&dns);
    place_finish(&place);
}

/* ---- operations ---- */

enum { ADDRS, REVERSE, SRV, HOST, KINDS };

struct op {
    OP_FIELDS;
    const char *name;
    nart_lookup lookup;
    nart_connect connect;
    nart_tcp s;
    int kind, unused;
};

static nart_res op_ask(nart_cx *cx, struct op *op)
{
    static nart_addr addrs[4], home;
    static nart_srv srv[4];
    static char name[NART_NAME_SIZE];
    nart_lookup_opts o = NART_LOOKUP_OPTS_INIT;
    nart_connect_opts c = NART_CONNECT_OPTS_INIT;

    o.resolver = c.resolver = resolver;
    switch (op->kind) {
    case ADDRS:
        return nart_resolve(cx, &op->lookup, op->name, 0, addrs, 4, &o);
    case REVERSE:
        CHECK_RES(nart_addr_parse(&home, "127.0.0.1:0"), 0);
        return nart_resolve_reverse(cx, &op->lookup, &home, name, sizeof name, &o);
    case SRV:
        return nart_resolve_srv(cx, &op->lookup, "_x._tcp.test", srv, 4, &o);
    default:
        return nart_tcp_connect_host(cx, &op->connect, &op->s, op->name, nart_addr_port(&place.at),
                                     &c);
    }
}

OP_TASK(op_ask);

static nart_res answer_of(int kind, const char *name)
{
    struct op op = { .limit = NART_NEVER, .kind = kind, .name = name };

    op_start(rt, &op);
    while (op.res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    for (int fd; (fd = accept(place.fd, NULL, NULL)) >= 0;)
        close(fd); /* its queue is short */
    return op.res;
}

/* ---- every error of every call ---- */

struct errors {
    int call, errors[16];
};

static const struct errors table[] = {
    { SOCKET,
      { EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTONOSUPPORT } },
    { CONNECT,
      { EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EALREADY, ECONNREFUSED,
        EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENOBUFS, EPERM, ETIMEDOUT } },
    { SENDMSG,
      { EACCES, EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EMSGSIZE, ENETDOWN, ENETUNREACH,
        ENOBUFS, ENOMEM, EPERM, EPIPE } },
    { RECVMSG, { EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ENOMEM, ETIMEDOUT } },
    { SETSOCKOPT, { EINVAL, ENOMEM, ENOPROTOOPT } },
    { SOCK_ERROR, { ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT } },
};

/* One lookup or connect with this fault. */
static void with_fault(int kind, const char *name)
{
    CHECK_RES(resolver_open(2), 0);
    memset(calls, 0, sizeof calls);
    nart_res r = answer_of(kind, name);
    if (r < 0 && r != NART_EDNS && r != NART_EDNS_TIMEOUT && r != -fault.error &&
        (kind != HOST || r != -ECONNREFUSED))
        test_fail(__FILE__, __LINE__, "%s of call %d, %u times from %u on: %s",
                  nart_err_name(-fault.error), fault.call, fault.times, fault.first,
                  nart_err_name(r));
    fault.error = 0;
    CHECK_RES(nart_resolver_free(resolver), 0);
    CHECK_RES(resolver_open(0), 0);
    CHECK_LE(0, answer_of(kind, name));
    CHECK_RES(nart_resolver_free(resolver), 0);
    CHECK_EQ(sockets, 0);
}

static void each_fault(int kind, const char *name)
{
    static const unsigned times[] = { 1, 2, UINT32_MAX };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (const int *e = table[i].errors; *e; e++)
            for (unsigned n = 0; n < 6; n++) {
                fault = (struct fault){ table[i].call, *e, n % 2 + 1, times[n / 2] };
                with_fault(kind, name);
            }
}

TEST_WITH(every_error_of_a_system_call_ends_a_lookup, faulty)
{
    each_fault(ADDRS, "both.test");
}

TEST_WITH(every_error_of_a_system_call_ends_a_lookup_by_tcp, faulty)
{
    each_fault(ADDRS, "long.test");
}

TEST_WITH(every_error_of_a_system_call_ends_a_connect_by_name, faulty)
{
    each_fault(HOST, "both.test");
}

TEST_WITH(c_ares_makes_every_system_call_through_the_driver, faulty)
{
    CHECK_RES(resolver_open(0), 0);
    memset(calls, 0, sizeof calls);
    CHECK_LE(1, answer_of(ADDRS, "long.test"));
    CHECK_LE(3, calls[SOCKET]); /* UDP, TCP, and those that sort */
    CHECK_LE(3, calls[CONNECT]);
    CHECK_LE(2, calls[SENDMSG]);
    CHECK_LE(2, calls[RECVMSG]);
}

/* ---- a socket that the kernel gives its server's port ---- */

static int connect_from_there(int fd, const struct sockaddr *a, socklen_t n)
{
    CHECK_EQ(bind(fd, a, n), 0);
    return __real_nart__sys_real.connect(fd, a, n);
}

TEST_WITH(a_dead_server_is_not_replaced_by_the_socket_that_asks_it, faulty)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;
    struct place dead;
    char text[NART_ADDR_TEXT];

    place_open(&dead, "127.0.0.1:0", REFUSES); /* of its port TCP, not UDP */
    CHECK_LE(0, nart_addr_format(&dead.at, text, sizeof text));
    o.servers = text;
    o.domains = "";
    o.timeout = NART_NEVER;
    CHECK_RES(nart_resolver_new(rt, &o, &resolver), 0);
    __wrap_nart__sys_real.connect = connect_from_there;
    CHECK_RES(answer_of(ADDRS, "both.test"), NART_EDNS);
    place_finish(&dead);
}

/* ---- every allocation ---- */

static unsigned allocs, failing; /* of c-ares; which fails, 0: none */

static void *some(size_t n)
{
    return ++allocs == failing ? NULL : malloc(n);
}

static void *more(void *p, size_t n)
{
    return ++allocs == failing ? NULL : realloc(p, n);
}

/* A resolver and a lookup, whose n-th allocation fails for the first n from 1 on: returns how many there are. */
static unsigned allocations_of(int kind, bool in_c_ares)
{
    unsigned n = 0;
    bool failed = true;

    while (failed) {
        n++;
        allocs = 0;
        failing = in_c_ares ? n : 0;
        if (!in_c_ares)
            test_alloc_fail(n, false);
        nart_res r = resolver_open(2);
        if (r == 0)
            r = answer_of(kind, "both.test");
        failed = in_c_ares ? allocs >= n : r < 0;
        failing = 0;
        test_alloc_fail(0, false);
        if (r < 0 && r != -ENOMEM && r != NART_EDNS && r != NART_EDNS_TIMEOUT &&
            r != NART_ENONAME && (kind != HOST || r != -ECONNREFUSED))
            test_fail(__FILE__, __LINE__, "allocation %u: %s", n, nart_err_name(r));
        CHECK_RES(nart_resolver_free(resolver), 0);
        resolver = NULL;
    }
    return n;
}

TEST_WITH(without_memory_of_the_runtime_it_fails, faulty)
{
    for (int kind = ADDRS; kind < KINDS; kind++)
        CHECK_LE(3, allocations_of(kind, false));
}

TEST_WITH(without_memory_of_c_ares_it_fails, faulty)
{
    CHECK_EQ(ares_library_init_mem(ARES_LIB_INIT_ALL, some, free, more), ARES_SUCCESS);
    for (int kind = ADDRS; kind < KINDS; kind++)
        CHECK_LE(10, allocations_of(kind, true));
    ares_library_cleanup();
}

/* A comment of so many bytes. (c-ares 1.18 reads before its buffer if a line is a NUL.) */
static void conf_write(const char *path, unsigned n)
{
    FILE *file = fopen(path, "we");

    CHECK(file);
    while (n-- > 0)
        CHECK_EQ(fputc('#', file), '#');
    CHECK_EQ(fclose(file), 0);
}

/* A change of resolv.conf while a question is pending, seen by another one; the n-th allocation of c-ares fails then.
 * False: there is none. A question without memory waits for its next try: so the first ones come soon, and the last
 * one never. */
static bool change_without(unsigned n, const char *path)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;
    struct op late = { .limit = NART_NEVER, .kind = ADDRS, .name = "late.test" };

    conf_write(path, n);
    o.servers = dns.servers;
    o.resolv_conf = path;
    o.timeout = 5 * NART_MS;
    o.tries = 20;
    CHECK_RES(nart_resolver_new(rt, &o, &resolver), 0);
    op_start(rt, &late);
    conf_write(path, n + 1);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    allocs = 0;
    failing = n;
    nart_res r = answer_of(ADDRS, "both.test");
    bool failed = allocs >= n;
    CHECK(r == 2 || r == -ENOMEM || (r == 1 && failed)); /* 1: of one family */
    failing = 0;
    dns_release(&dns);
    while (late.res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    /* c-ares reports that there is none if it has no memory for the question of one family */
    if (late.res != 1 && late.res != -ENOMEM && late.res != NART_ENONAME)
        test_fail(__FILE__, __LINE__, "allocation %u: %s: %s", n, nart_err_name(late.res),
                  late.lookup.text);
    CHECK_EQ(answer_of(ADDRS, "next.test"), 2); /* it is unaffected */
    CHECK_RES(nart_resolver_free(resolver), 0);
    resolver = NULL;
    return failed;
}

TEST_WITH(a_change_of_resolv_conf_without_memory_loses_no_question, faulty)
{
    char path[] = "/tmp/nart-resolv-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    unsigned n = 1;

    CHECK_LE(0, fd);
    close(fd);
    CHECK_EQ(ares_library_init_mem(ARES_LIB_INIT_ALL, some, free, more), ARES_SUCCESS);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    while (change_without(n, path))
        n++;
    CHECK_LE(10, n);
    unlink(path);
    ares_library_cleanup();
}
