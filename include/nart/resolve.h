/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/resolve.h
 * Names of hosts: looking them up, and connecting to the first of their addresses that answers.
 *
 * ```c
 * struct client { nart_co co; nart_tcp sock; nart_connect connect; const char *name; uint16_t port; };
 *
 * static nart_res client_run(nart_cx *cx, void *frame)
 * {
 *     struct client *c = frame;
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &c->co);
 *     NART_AWAIT_FOR(r, 5 * NART_SEC,
 *                    nart_tcp_connect_host(cx, &c->connect, &c->sock, c->name, c->port, NULL));
 *     if (r < 0)
 *         fprintf(stderr, "%s (%s)\n", nart_strerror(r), c->connect.text);
 *     nart_tcp_close(&c->sock);
 *     NART_END(r);
 * }
 * ```
 *
 * Lookups are done by c-ares in the runtime's own loop: without threads, with the system's name servers, search
 * domains (/etc/resolv.conf) and /etc/hosts. What that has is not asked of servers, in neither family, unless the name
 * ends with a dot. A nart that was built without c-ares (CMake: NART_CARES) calls getaddrinfo() on a thread of the
 * default pool of nart/work.h instead, and has no cache. That does not say which servers were silent: NART_EDNS_TIMEOUT
 * is NART_EDNS then; and lookups also answer -EAGAIN no thread could be started, NART_ESHUTDOWN the pool is being shut
 * down.
 *
 * The cache keeps
 *  - answers of servers, of every kind, for their time to live, at most for a day;
 *  - that a name, or a record of the kind asked for, does not exist: for nart_resolver_opts.negative. Other errors are
 *    not kept;
 *  - what /etc/hosts has, until that file changes. Then all other answers are dropped, too: the name may be in it now.
 *
 * A change of resolv.conf takes effect: all answers are dropped, and pending questions are sent again, with all their
 * tries, to the servers that it names now; while it is missing, empty or not readable, the servers stay. A lookup looks
 * at both files if none has done so in the last second.
 *
 * If there are more answers than nart_resolver_opts.cache, the one is dropped whose last use is longest ago.
 *
 * **Time**: deadlines of operations, the delays of a connect and the cache follow the runtime's clock. The tries of a
 * query use real time, as name servers do: a silent server is given up after the same time while that clock is
 * stopped or advanced (nart/clock.h).
 *
 * Rules
 *  1. The state of an operation (nart_lookup, nart_connect) is the caller's, in the frame. Zeroed = idle. It needs
 *     no release: when its task stops waiting (an answer, cancellation, a deadline, a lost race, the end of the
 *     task), it is idle again and holds no socket. An operation that lost a race restarts when it is awaited
 *     again. Do not copy or move the state while a task waits in it.
 *  2. After an error `text` of the state says what was tried.
 *  3. What is passed to the first call of an operation stays unchanged until it has answered.
 *  4. A query that nobody waits for any more continues until the name server has answered or its time is over. Its
 *     answer goes to the cache. Equal questions share one query.
 *  5. A numeric address ("127.0.0.1", "::1", "fe80::1%eth0") is never looked up. Four numbers that are no address
 *     ("127.0.0.01") are refused.
 *  6. A name or address may name its port: "example.org:http", "127.0.0.1:80", "[::1]:https"; the parameter `port` is
 *     then 0. A port by name is that of the system's table of services (/etc/services), which the call reads: it
 *     blocks the loop as long as that file takes, as the first read of /etc/hosts does.
 *  7. Every operation can answer these errors, which are not repeated below: -ECANCELED and -ETIMEDOUT; -EBUSY
 *     another task, or another operation, waits in this state; -EPERM outside of a poll; and, if a name has to be
 *     looked up, NART_EDRIVER under tokio, which has a resolver of its own; -ENOMEM; -EMFILE, -ENFILE the runtime's
 *     resolver, or reading /etc/hosts, needs a descriptor; NART_EABORTED the resolver was freed meanwhile.
 *
 * | error                | the name                                                                       |
 * |----------------------|--------------------------------------------------------------------------------|
 * | NART_ENONAME         | does not exist, or has no record of the kind asked for; or its service does not |
 * | NART_EDNS            | cannot be looked up: the servers refuse, fail, answer nonsense, are unreachable |
 * | NART_EDNS_TIMEOUT    | no server has answered, in any of the tries                                    |
 * | -EINVAL              | is no name: empty, too long, an empty label, "127.0.0.01"; or its port is none, or 0 to connect to |
 * | -ENODEV              | is an address in the scope of an interface that does not exist                 |
 *
 * **Thread** of all functions: the runtime's own; of operations: inside a poll.
 */
#ifndef NART_RESOLVE_H
#define NART_RESOLVE_H

#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- resolvers ------------------------------------------------------------------------------ */

/** A resolver: name servers, and a cache. Every runtime has one of its own, made at the first lookup, with the
 *  default options. It belongs to its runtime and is freed with it. */
typedef struct nart_resolver nart_resolver;

/** Options of a resolver; begin with NART_RESOLVER_OPTS_INIT. Zero means the default, which is the system's
 *  configuration where it has one. (c-ares knows `options timeout:` and `attempts:` of resolv.conf since 1.23. Its
 *  defaults are 2 s and 3 tries since 1.20.) */
typedef struct nart_resolver_opts {
    size_t size;         /**< sizeof(nart_resolver_opts) */
    const char *servers; /**< "192.0.2.1,192.0.2.2:5353,[2001:db8::1]:53": name servers, in order */
    const char *resolv_conf; /**< this file instead of /etc/resolv.conf */
    const char *domains;     /**< search domains, separated by spaces; "" none */
    int64_t timeout;  /**< nanoseconds for the first try of a server, later ones take longer; 5 s */
    uint32_t tries;   /**< of each server; 4 */
    uint32_t ndots;   /**< a name with fewer dots is tried in the search domains first; 1 */
    uint32_t cache;   /**< answers that are kept, each for its time to live; 256 */
    uint32_t flags;   /**< NART_RESOLVER_* */
    int64_t negative; /**< nanoseconds that the absence of a name or record is kept; 5 s */
    uint64_t reserved[3];
} nart_resolver_opts;

#define NART_RESOLVER_OPTS_INIT NART__SIZED(nart_resolver_opts)

enum {
    NART_RESOLVER_NO_CACHE = 1, /**< keep no answers */
    NART_RESOLVER_NO_HOSTS = 2  /**< do not read /etc/hosts */
};

/**
 * Makes a resolver. `opts` may be NULL.
 * Without a resolv.conf that may be read it asks a server of this host, 127.0.0.1, as the C library does.
 * @return 0; -EINVAL no `rt` or `out`, or bad options: of `servers` each must be an address, without
 *   a scope, or an address and a port; -ENOMEM; -EMFILE, -ENFILE no descriptor left; NART_EDNS c-ares
 *   cannot be set up; NART_EDRIVER a runtime of tokio's; -ENOSYS nart was built without c-ares; NART_EABI; NART_EWRONGTHREAD;
 *   NART_EFORK.
 * **Ownership**: the runtime's: freed with it, or earlier by nart_resolver_free(). Strings are copied.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API NART_MUST_USE nart_res nart_resolver_new(nart_rt *rt, const nart_resolver_opts *opts,
                                                  nart_resolver **out);

/** Frees a resolver before the end of its runtime. Lookups that wait for it answer NART_EABORTED. NULL is fine.
 *  @return 0; NART_EWRONGTHREAD: nothing was done. */
NART_API nart_res nart_resolver_free(nart_resolver *r);

/* ---- lookups -------------------------------------------------------------------------------- */

/** Size of nart_lookup.text. */
#define NART_LOOKUP_TEXT 256

/** Size of a buffer that holds any name and its NUL. */
#define NART_NAME_SIZE 256

struct nart__lookup;

/* Private: one operation that waits for a query. */
typedef struct nart__asker {
    struct nart__asker *next, **prev;
    struct nart__lookup *lookup;
    nart__wait *wait;
    uint64_t reserved[12];
} nart__asker;

/** The state of a lookup: see rule 1. */
typedef struct nart_lookup {
    char text[NART_LOOKUP_TEXT]; /**< see rule 2; empty after success */
    /* private */
    nart__wait wait;
    const void *what, *out;
    uint16_t port;
    nart__asker asker;
} nart_lookup;

/** Options of a lookup; begin with NART_LOOKUP_OPTS_INIT. Zero means the default. */
typedef struct nart_lookup_opts {
    size_t size;             /**< sizeof(nart_lookup_opts) */
    nart_resolver *resolver; /**< the runtime's own */
    int32_t family;          /**< AF_INET or AF_INET6: only such addresses; both */
    uint32_t reserved0;
    uint64_t reserved[2];
} nart_lookup_opts;

#define NART_LOOKUP_OPTS_INIT NART__SIZED(nart_lookup_opts)

/**
 * Looks up the addresses of a host, in the order in which to try them (RFC 6724).
 * @param name see rules 5 and 6. @param port of the addresses, 0 if none. @param out,cap memory for the addresses. @param opts may be NULL.
 * @return the number of addresses in `out`, 1 to `cap`: further ones are left out; -EINVAL also: `cap` is 0, or
 *   bad options; -ENODEV; NART_ENONAME, NART_EDNS, NART_EDNS_TIMEOUT; NART_EABI.
 * **Cost**: no allocation and no system call for a numeric address. An answer from the cache needs no allocation, and one
 *   system call a second.
 */
NART_API NART_MUST_USE nart_res nart_resolve(nart_cx *cx, nart_lookup *op, const char *name,
                                             uint16_t port, nart_addr *out, size_t cap,
                                             const nart_lookup_opts *opts);

/**
 * Looks up the name of an address.
 * @param out,cap memory for the name; NART_NAME_SIZE is enough for any.
 * @return its length; -ENOSPC it does not fit; -EINVAL, -EAFNOSUPPORT `addr` is no address of IPv4 or IPv6;
 *   -EINVAL also bad options; NART_ENONAME, NART_EDNS, NART_EDNS_TIMEOUT; NART_EABI.
 */
NART_API NART_MUST_USE nart_res nart_resolve_reverse(nart_cx *cx, nart_lookup *op,
                                                     const nart_addr *addr, char *out, size_t cap,
                                                     const nart_lookup_opts *opts);

/** Where a service is: a record SRV (RFC 2782). */
typedef struct nart_srv {
    char host[NART_NAME_SIZE];       /**< its name, with a NUL */
    uint16_t port, priority, weight; /**< as in the record */
} nart_srv;

/**
 * Looks up a service, "_imaps._tcp.example.org". Search domains are not used. A place whose host is no name is
 * left out.
 * @param out,cap memory for the places, in the order in which to try them: by priority, and within one in a random
 *   order, in which a place of twice the weight is twice as often the first.
 * @return the number of places in `out`, 1 to `cap`; -EINVAL also: `cap` is 0, or bad options; NART_ENONAME also:
 *   the service is not available there (its host is "."); NART_EDNS, NART_EDNS_TIMEOUT; -ENOSYS nart was built
 *   without c-ares; NART_EABI.
 */
NART_API NART_MUST_USE nart_res nart_resolve_srv(nart_cx *cx, nart_lookup *op, const char *name,
                                                 nart_srv *out, size_t cap,
                                                 const nart_lookup_opts *opts);

/* ---- connecting ----------------------------------------------------------------------------- */

/** The most addresses that one connect tries: of a name at most half of them of each family. */
#define NART_CONNECT_MAX 16

/** Size of nart_connect.text. */
#define NART_CONNECT_TEXT 512

/* Private: one address, and the attempt to connect to it. */
typedef struct nart__attempt {
    nart_io io;
    int32_t fd;
    int32_t res; /* 0: not tried; NART_PENDING: under way; else how it failed */
    uint8_t host[16];
    uint32_t scope;
    uint16_t family, port;
    uint32_t number; /* of its start, from 1 */
} nart__attempt;

struct nart_connect_attempt;

/** The state of a connect to one of several addresses: see rule 1. All its sockets are closed when it is idle. */
typedef struct nart_connect {
    /** After an error: what was tried and how each attempt ended, "[::1]:80: ECONNREFUSED; 127.0.0.1:80:
     *  pending", after the name if there is one. What does not fit is replaced by "...". Empty after success. */
    char text[NART_CONNECT_TEXT];
    /** How many attempts have begun, also after success. nart_connect_opts.report has each of them. */
    uint32_t attempts;
    /* private */
    uint32_t max_report;
    struct nart_connect_attempt *report;
    nart__wait wait;
    const void *sock, *from;
    int64_t next_at, resolve_at, delay, resolution_delay;
    uint32_t n, open, named;
    nart_res last;
    uint16_t family, port;
    nart__asker asker[2];
    nart_res found[2];
    uint64_t reserved[3];
    nart__attempt at[NART_CONNECT_MAX];
} nart_connect;

/** One attempt of a connect. Times are those of the runtime's clock. */
typedef struct nart_connect_attempt {
    nart_addr addr; /**< to which */
    nart_res
        res; /**< 0: it has succeeded; NART_PENDING: it was still under way when the operation ended; or its
                     *   error */
    int64_t begin; /**< when it began */
    int64_t took;  /**< nanoseconds until its answer, or until the operation ended */
} nart_connect_attempt;

/** Options of a connect; begin with NART_CONNECT_OPTS_INIT. Zero means the default. */
typedef struct nart_connect_opts {
    size_t size;              /**< sizeof(nart_connect_opts) */
    int64_t attempt_delay;    /**< nanoseconds between two attempts; 250 ms */
    int64_t resolution_delay; /**< nanoseconds that IPv4 addresses wait for those of IPv6; 50 ms */
    nart_resolver *resolver;  /**< the runtime's own */
    nart_connect_attempt
        *report; /**< memory for a report of the attempts, in the order of their begin; none. It has
                                   *   to stay valid as long as the state */
    size_t
        max_report; /**< what fits there: further attempts are left out; NART_CONNECT_MAX is enough */
    uint64_t reserved[2];
} nart_connect_opts;

#define NART_CONNECT_OPTS_INIT NART__SIZED(nart_connect_opts)

/**
 * Connects to the first of `n` addresses that answers (Happy Eyeballs, RFC 8305). The first attempt begins at
 * once, each later one `attempt_delay` after the one before it, or as soon as an attempt has failed. The order is
 * that of `addrs`, except that the two families alternate. The first attempt that succeeds becomes `*s`; the
 * others are closed.
 * @param s closed or zeroed. @param addrs,n the addresses, the preferred one first. @param opts may be NULL.
 * @return 0; the error of the attempt that failed last (-ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT ...;
 *   -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC, NART_EFDS no descriptor or memory left), when all have failed; -EISCONN `*s` is open; -EINVAL,
 *   -EAFNOSUPPORT one of the addresses is none of IPv4 or IPv6, `n` is 0 or above NART_CONNECT_MAX, or bad
 *   options; NART_EABI; NART_EFORK; NART_EDRIVER the driver has no descriptors: tokio has.
 * **Cost**: four system calls for each attempt, no allocation.
 */
NART_API NART_MUST_USE nart_res nart_tcp_connect_any(nart_cx *cx, nart_connect *op, nart_tcp *s,
                                                     const nart_addr *addrs, size_t n,
                                                     const nart_connect_opts *opts);

/**
 * Connects to the first address of a host that answers, as nart_tcp_connect_any(). Its IPv6 and IPv4 addresses are
 * asked for together. Attempts begin with the first answer; if that has IPv4 addresses, `resolution_delay` after it.
 * @param name,port see rules 5 and 6.
 * @return as nart_tcp_connect_any(); NART_ENONAME, NART_EDNS, NART_EDNS_TIMEOUT the name has no address: if the two
 *   queries have failed in different ways, the one that another try may mend; -EINVAL it is no name; -ENODEV.
 * **Cost**: that of nart_tcp_connect_any() and of nart_resolve() twice.
 */
NART_API NART_MUST_USE nart_res nart_tcp_connect_host(nart_cx *cx, nart_connect *op, nart_tcp *s,
                                                      const char *name, uint16_t port,
                                                      const nart_connect_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
