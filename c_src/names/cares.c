/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cares.c: name servers, through c-ares: questions, answers, and what it is opened with. Its sockets and its time are
 * in cares_io.c.
 *
 * The hosts file is asked first, by a channel that knows nothing else and answers at once. So what it has is not
 * asked of servers, in neither family, and is kept without a time to live. */
#include "resolver.h"

#ifdef NART_CARES

#include "../sys.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

/* An answer is kept for a day at most. */
#define TTL_MAX 86400

/* ---- answers ---- */

static nart_res error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
        return NART_ENONAME;
    case ARES_ETIMEOUT:
        return NART_EDNS_TIMEOUT;
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_EBADNAME:
    case ARES_EBADSTR:
        return -EINVAL;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return NART_EABORTED;
    default:
        return NART_EDNS;
    }
}

/* What has been asked of the hosts file only, and is not there. */
static bool is_elsewhere(nart__lookup *l, int status)
{
    bool elsewhere = l->local && status != ARES_SUCCESS && status != ARES_ENOMEM;

    if (elsewhere)
        l->local = false;
    return elsewhere;
}

/* How long to keep what has this time to live in seconds. */
static int64_t time_of(const nart__lookup *l, int ttl)
{
    return (l->local || ttl > TTL_MAX ? TTL_MAX : ttl) * NART_SEC;
}

static void failed(nart__lookup *l, int status)
{
    if (status == ARES_EDESTRUCTION && l->in->replacing) {
        l->older = l->in->again;
        l->in->again = l;
        return;
    }
    if (l->sent && status == ARES_EBADNAME)
        status = ARES_EBADRESP; /* the answer has the bad name */
    nart_res res = error_of(status);
    bool listed = l->local && res == NART_ENONAME;
    const char *how =
        listed ? "the hosts file has no such address of this name" : ares_strerror(status);
    const char *servers = l->local ? "" : l->in->servers;
    size_t size = strlen(how) + strlen(servers) + sizeof "; servers ";
    char *text = nart__lookup_data(l, size);

    if (text)
        (void)snprintf(text, size, "%s%s%s", how, *servers ? "; servers " : "", servers);
    nart__lookup_done(l, res, res != NART_ENONAME ? 0 : l->local ? time_of(l, 0) : l->in->negative);
}

/* The address whose name is asked for. Returns its family. */
static int address_of(const nart__lookup *l, struct in6_addr *out)
{
    int family = strchr(l->name, ':') ? AF_INET6 : AF_INET;

    (void)inet_pton(family, l->name, out);
    return family;
}

static int size_of(int family)
{
    return family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

/* The family of the question's addresses. */
static int family_of(const nart__lookup *l)
{
    return l->question == NART__ASK_A      ? AF_INET
           : l->question == NART__ASK_AAAA ? AF_INET6
                                           : AF_UNSPEC;
}

static bool is_asked(const nart__lookup *l, int family)
{
    int asked = family_of(l);
    return asked == AF_UNSPEC ? family == AF_INET || family == AF_INET6 : family == asked;
}

static void on_addrs(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    nart__lookup *l = arg;
    nart_addr *out = NULL;
    nart_res n = 0;
    int ttl = INT32_MAX;

    (void)timeouts;
    if (is_elsewhere(l, status))
        return;
    if (status == ARES_SUCCESS && l->in->ending) { /* the other family has no answer yet */
        ares_freeaddrinfo(found);
        status = ARES_EDESTRUCTION;
    }
    if (status != ARES_SUCCESS) {
        failed(l, status);
        return;
    }
    for (struct ares_addrinfo_node *a = found->nodes; a; a = a->ai_next)
        n++;
    for (const struct ares_addrinfo_cname *c = found->cnames; c; c = c->next)
        ttl = c->ttl < ttl ? c->ttl : ttl;
    if (n > 0)
        out = nart__lookup_data(l, (size_t)n * sizeof *out);
    n = 0;
    for (struct ares_addrinfo_node *a = found->nodes; a && out; a = a->ai_next) {
        nart_addr addr = { .len = (socklen_t)a->ai_addrlen };
        if (!is_asked(l, a->ai_family))
            continue;
        memcpy(&addr.storage, a->ai_addr, a->ai_addrlen);
        ttl = a->ai_ttl < ttl ? a->ai_ttl : ttl;
        out[n++] = addr;
    }
    bool none = !found->nodes || (out && n == 0);
    ares_freeaddrinfo(found);
    if (none && out)
        nart__free(&l->rt->alloc, out, l->answer.size, _Alignof(max_align_t));
    if (none)
        failed(l, ARES_ENODATA);
    else
        nart__lookup_done(l, out ? n : -ENOMEM, out ? time_of(l, ttl) : 0);
}

/* Reads a number of `n` bytes. */
static uint32_t number(const unsigned char *p, int n)
{
    uint32_t value = 0;

    while (n-- > 0)
        value = value << 8 | *p++;
    return value;
}

/* The end of the name at `at`; `len`: there is none. */
static size_t after_name(const unsigned char *reply, size_t len, size_t at)
{
    while (at < len && reply[at] && reply[at] < 0xc0)
        at += reply[at] + 1U;
    at += at < len && reply[at] ? 2 : 1; /* a pointer ends it */
    return at < len ? at : len;
}

/* The least time to live of the answers in a reply, in seconds. c-ares has parsed it; what is cut off has none. */
static int ttl_of(const unsigned char *reply, size_t len)
{
    int ttl = INT32_MAX;
    size_t at = after_name(reply, len, NS_HFIXEDSZ) + NS_QFIXEDSZ;

    for (uint32_t n = len < NS_HFIXEDSZ ? 0 : number(reply + 6, 2); n > 0; n--) {
        at = after_name(reply, len, at);
        if (len - at < NS_RRFIXEDSZ)
            return 0;
        int32_t is = (int32_t)number(reply + at + 4, 4); /* below 0: none, RFC 2181 */
        ttl = is < ttl ? is : ttl;
        at += NS_RRFIXEDSZ + number(reply + at + 8, 2);
        at = at < len ? at : len;
    }
    return ttl;
}

static void got_name(nart__lookup *l, int status, const struct hostent *host, int ttl)
{
    if (status == ARES_SUCCESS && !host->h_name)
        status = ARES_ENODATA;
    if (status != ARES_SUCCESS) {
        failed(l, status);
        return;
    }
    size_t size = strlen(host->h_name) + 1;
    char *name = nart__lookup_data(l, size);
    if (name)
        memcpy(name, host->h_name, size);
    nart__lookup_done(l, name ? 1 : -ENOMEM, name ? time_of(l, ttl) : 0);
}

/* From the hosts file. */
static void on_host(void *arg, int status, int timeouts, struct hostent *host)
{
    (void)timeouts;
    if (!is_elsewhere(arg, status))
        got_name(arg, status, host, 0);
}

static void on_ptr(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
    nart__lookup *l = arg;
    struct hostent *host = NULL;
    struct in6_addr addr;
    int family = address_of(l, &addr);

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_ptr_reply(reply, len, &addr, size_of(family), family, &host);
    got_name(l, status, host, status == ARES_SUCCESS ? ttl_of(reply, (size_t)len) : 0);
    if (host)
        ares_free_hostent(host);
}

static int by_priority(const void *a, const void *b)
{
    const nart_srv *x = a, *y = b;

    return (x->priority > y->priority) - (x->priority < y->priority);
}

/* RFC 2782: the service is not available there. */
static bool is_root(const char *host)
{
    return !*host || strcmp(host, ".") == 0;
}

/* c-ares takes any bytes for the host of a service, and writes some of them as escapes. */
static bool is_host(const char *host)
{
    return nart__name_check(host) == 0 && !strchr(host, '\\');
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
    nart__lookup *l = arg;
    struct ares_srv_reply *found = NULL;
    size_t n = 0;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(reply, len, &found);
    for (struct ares_srv_reply *s = found; s; s = s->next)
        n += is_host(s->host);
    if (status == ARES_SUCCESS && n == 0)
        status = !found || is_root(found->host) ? ARES_ENODATA : ARES_EBADRESP;
    if (status != ARES_SUCCESS) {
        ares_free_data(found);
        failed(l, status);
        return;
    }
    int ttl = ttl_of(reply, (size_t)len);
    nart_srv *out = nart__lookup_data(l, n * sizeof *out), *to = out;
    for (struct ares_srv_reply *s = found; s && out; s = s->next) {
        if (!is_host(s->host))
            continue;
        *to = (nart_srv){ .port = s->port, .priority = s->priority, .weight = s->weight };
        memcpy(to++->host, s->host, strlen(s->host) + 1);
    }
    ares_free_data(found);
    if (out)
        qsort(out, n, sizeof *out, by_priority);
    nart__lookup_done(l, out ? (nart_res)n : -ENOMEM, out ? time_of(l, ttl) : 0);
}

/* 0: c-ares can open the file; NART_EDNS: it cannot; -EMFILE and the like: it cannot now. It would not say so, but
 * continue without what is in it. */
static nart_res open_check(const char *path)
{
    int fd = nart__sys_file_open(path, O_RDONLY | O_NONBLOCK, 0);

    if (fd >= 0)
        nart__sys_close(fd);
    return fd >= 0 ? 0 : fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? fd : NART_EDNS;
}

/* ---- questions ---- */

/* Asks for the name of an address: "1.2.0.192.in-addr.arpa". */
static void send_ptr(nart_resolver *r, nart__lookup *l)
{
    struct in6_addr addr;
    bool v6 = address_of(l, &addr) == AF_INET6;
    char name[NART_NAME_SIZE], *to = name;

    for (int i = size_of(v6 ? AF_INET6 : AF_INET) - 1; i >= 0; i--) {
        unsigned byte = ((const unsigned char *)&addr)[i];
        to += v6 ? sprintf(to, "%x.%x.", byte & 15, byte >> 4) : sprintf(to, "%u.", byte);
    }
    (void)sprintf(to, v6 ? "ip6.arpa" : "in-addr.arpa");
    ares_query(r->channel, name, ns_c_in, ns_t_ptr, on_ptr, l);
}

static void send_addrs(void *channel, nart__lookup *l, int family)
{
    struct ares_addrinfo_hints hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };

    ares_getaddrinfo(channel, l->name, NULL, &hints, on_addrs, l);
}

/* Does the hosts file answer the question? */
static bool is_in_files(nart_resolver *r, nart__lookup *l)
{
    struct in6_addr addr;

    if (!r->files || l->question == NART__ASK_SRV)
        return false;
    nart_res res = open_check(NART__HOSTS);
    if (res && res != NART_EDNS) {
        nart__lookup_done(l, res, 0);
        return true;
    }
    l->local = true;
    if (l->question == NART__ASK_PTR) {
        int family = address_of(l, &addr);
        ares_gethostbyaddr(r->files, &addr, size_of(family), family, on_host, l);
    } else {
        send_addrs(r->files, l, AF_UNSPEC);
    }
    return l->answer.res != NART_PENDING;
}

void nart__cares_send(nart_resolver *r, nart__lookup *l)
{
    if (is_in_files(r, l))
        return;
    if (l->question == NART__ASK_PTR)
        send_ptr(r, l);
    else if (l->question == NART__ASK_SRV)
        ares_query(r->channel, l->name, ns_c_in, ns_t_srv, on_srv, l);
    else /* c-ares leaks "localhost" to servers if it is asked for one family */
        send_addrs(r->channel, l, strcmp(l->name, "localhost") == 0 ? AF_UNSPEC : family_of(l));
    l->sent = true;
    nart__cares_alarm(r);
}

/* ---- opening and closing ---- */

/* c-ares multiplies the tries by the number of servers, in an int. No query lives that long. */
#define TRIES_MAX 10000

static void library_init(void)
{
    (void)ares_library_init(ARES_LIB_INIT_ALL);
}

/* "192.0.2.1, [2001:db8::1]:5353": for texts. */
static void note_servers(nart_resolver *r)
{
    struct ares_addr_port_node *all = NULL;

    r->servers[0] = '\0';
    if (ares_get_servers_ports(r->channel, &all) != ARES_SUCCESS)
        return;
    for (struct ares_addr_port_node *a = all; a; a = a->next) {
        char host[INET6_ADDRSTRLEN] = "?";
        int port = a->udp_port ? a->udp_port : 53;
        (void)inet_ntop(a->family, &a->addr, host, sizeof host);
        nart__text_add(r->servers, sizeof r->servers,
                       a->family == AF_INET6 ? "%s[%s]:%d" : "%s%s:%d", a == all ? "" : ", ", host,
                       port);
    }
    ares_free_data(all);
}

/* Splits a copy of the domains into c-ares' array, which is followed by the copy. NULL: no memory. */
static char **split(const char *domains, int *n)
{
    size_t len = strlen(domains) + 1, most = len / 2 + 1;
    char **all = malloc(most * sizeof *all + len), *save = NULL;

    *n = 0;
    if (!all)
        return NULL;
    char *copy = memcpy(all + most, domains, len);
    for (char *d = strtok_r(copy, " \t,", &save); d; d = strtok_r(NULL, " \t,", &save))
        all[(*n)++] = d;
    return all;
}

/* A channel that looks only here: "b" servers, "f" the hosts file. */
static int open_channel(nart_resolver *r, void **out, struct ares_options *opts, int mask,
                        const char *lookups)
{
    char where[2] = { *lookups };
    ares_channel channel = NULL;

    opts->lookups = where;
    int status = ares_init_options(&channel, opts, mask | ARES_OPT_LOOKUPS);
    *out = status == ARES_SUCCESS ? channel : NULL;
    if (*out)
        nart__cares_sockets(r, channel);
    return status;
}

/* After an error nothing has changed. */
static int open_channels(nart_resolver *r, struct ares_options *opts, int mask)
{
    void *channel = NULL, *files = NULL;
    int status = open_channel(r, &channel, opts, mask, "b");

    if (status == ARES_SUCCESS && !r->no_hosts)
        status = open_channel(r, &files, opts, mask, "f");
    if (status == ARES_SUCCESS && r->opts.servers)
        status = ares_set_servers_ports_csv(channel, r->opts.servers);
    if (status != ARES_SUCCESS) {
        ares_destroy(channel);
        ares_destroy(files);
        return status;
    }
    r->channel = channel;
    r->files = files;
    note_servers(r);
    return ARES_SUCCESS;
}

/* Can resolv.conf be read? At first the default servers are better than none. */
static nart_res conf_check(const nart_resolver *r, bool again)
{
    nart_res res = open_check(nart__conf_path(r));
    return res == NART_EDNS && !again ? 0 : res;
}

/* Reads the configuration, at first or again. After an error nothing has changed. */
static nart_res read_configuration(nart_resolver *r, bool again)
{
    const nart_resolver_opts *o = &r->opts;
    struct ares_options opts = { .flags = 0 };
    int mask = ARES_OPT_SOCK_STATE_CB;
    char *path = (char *)(uintptr_t)o->resolv_conf;

    nart_res res = conf_check(r, again);
    if (res)
        return res;
    opts.sock_state_cb = nart__cares_state;
    opts.sock_state_cb_data = r;
    if (o->timeout) {
        int64_t ms = (o->timeout - 1) / NART_MS + 1;
        opts.timeout = ms < INT32_MAX ? (int)ms : INT32_MAX;
        mask |= ARES_OPT_TIMEOUTMS;
    }
    if (o->tries) {
        opts.tries = o->tries < TRIES_MAX ? (int)o->tries : TRIES_MAX;
        mask |= ARES_OPT_TRIES;
    }
    if (o->ndots) {
        opts.ndots = (int)o->ndots;
        mask |= ARES_OPT_NDOTS;
    }
    if (path) {
        opts.resolvconf_path = path;
        mask |= ARES_OPT_RESOLVCONF;
    }
    if (o->domains) {
        opts.domains = split(o->domains, &opts.ndomains);
        if (!opts.domains)
            return -ENOMEM;
        mask |= ARES_OPT_DOMAINS;
    }
    int status = open_channels(r, &opts, mask);
    free(opts.domains);
    return error_of(status);
}

nart_res nart__cares_open(nart_resolver *r)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, library_init);
    nart_res res = nart__cares_alarm_open(r);
    if (res)
        return res;
    res = read_configuration(r, false);
    if (res)
        nart__cares_alarm_close(r);
    return res;
}

static void end_channel(nart_resolver *r, void *channel)
{
    r->ending = true;
    ares_destroy(channel);
    r->ending = false;
}

nart_res nart__cares_reopen(nart_resolver *r)
{
    void *channel = r->channel, *files = r->files;
    nart_res res = read_configuration(r, true);
    nart__lookup *l;

    if (res)
        return res;
    r->replacing = true; /* failed() gets what is pending */
    end_channel(r, channel);
    r->replacing = false;
    ares_destroy(files);
    while ((l = r->again) != NULL) {
        r->again = l->older;
        l->sent = false;
        nart__cares_send(r, l);
    }
    nart__cares_alarm(r);
    return 0;
}

void nart__cares_close(nart_resolver *r)
{
    nart__cares_alarm_close(r);
    end_channel(r, r->channel);
    ares_destroy(r->files);
}

#endif
