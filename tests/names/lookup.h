/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lookup.h: a lookup, at a name server that answers, lies, is silent or late. */
#ifndef NART_LOOKUP_TEST_H
#define NART_LOOKUP_TEST_H

#include "dns.h"

#include "op.h"

#include <nart/clock.h>
#include <nart/fiber.h>

enum { MANY = 1000, PLACES = 64 };

static const struct dns_record records[] = {
    { "host.test", ns_t_a, "192.0.2.1", 0, 60 },
    { "host.test", ns_t_a, "192.0.2.2", 0, 60 },
    { "host.test", ns_t_aaaa, "2001:db8::1", 0, 60 },
    { "four.test", ns_t_a, "192.0.2.4", 0, 60 },
    { "alias.test", ns_t_cname, "host.test", 0, 60 },
    { "fleeting.test", ns_t_a, "192.0.2.5", 0, 0 },
    { "fails.test", ns_t_a, NULL, DNS_SERVFAIL, 0 },
    { "refuses.test", ns_t_a, NULL, DNS_REFUSED, 0 },
    { "silent.test", ns_t_a, NULL, DNS_SILENCE, 0 },
    { "id.test", ns_t_a, "192.0.2.6", DNS_WRONG_ID, 60 },
    { "question.test", ns_t_a, "192.0.2.7", DNS_WRONG_QUESTION, 60 },
    { "mirror.test", ns_t_a, "192.0.2.17", DNS_MIRROR, 60 },
    { "garbage.test", ns_t_a, "192.0.2.8", DNS_GARBAGE, 60 },
    { "long.test", ns_t_a, "192.0.2.9", DNS_TRUNCATED, 60 },
    { "late.test", ns_t_a, "192.0.2.10", DNS_HELD, 60 },
    { "later.test", ns_t_a, "192.0.2.11", DNS_HELD, 60 },
    { "half.test", ns_t_a, "192.0.2.18", 0, 60 },
    { "half.test", ns_t_aaaa, "2001:db8::18", DNS_HELD, 60 },
    { "elsewhere.test", ns_t_a, "192.0.2.13", DNS_OTHER_PLACE, 60 },
    { "giant.test", ns_t_a, "192.0.2.14", DNS_GIANT, 60 },
    { "cut.test", ns_t_a, "192.0.2.15", DNS_CUT, 60 },
    { "_cut._tcp.test", ns_t_srv, "1 0 80 a.test", DNS_CUT, 60 },
    { "15.2.0.192.in-addr.arpa", ns_t_ptr, "cut.test", DNS_CUT, 60 },
    { "tcpcut.test", ns_t_a, "192.0.2.16", DNS_TCP_CUT, 60 },
    { "many.test", ns_t_a, "192.0.2.17", DNS_MANY, 60 },
    { "listed.test", ns_t_aaaa, "2001:db8::4", 0, 60 },
    { "near.two.test", ns_t_a, "192.0.2.12", 0, 60 },
    { "1.2.0.192.in-addr.arpa", ns_t_ptr, "host.test", 0, 60 },
    { "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", ns_t_ptr,
      "six.host.test", 0, 40 },
    { "_x._tcp.test", ns_t_srv, "20 0 81 c.test", 0, 60 },
    { "_x._tcp.test", ns_t_srv, "10 5 80 a.test", 0, 50 },
    { "_x._tcp.test", ns_t_srv, "10 0 82 b.test", 0, 60 },
    { "_even._tcp.test", ns_t_srv, "1 0 80 a.test", 0, 60 },
    { "_even._tcp.test", ns_t_srv, "1 0 81 b.test", 0, 60 },
    { "_twice._tcp.test", ns_t_srv, "1 1 80 a.test", 0, 60 },
    { "_twice._tcp.test", ns_t_srv, "1 2 81 b.test", 0, 60 },
    { "_part._tcp.test", ns_t_srv, "1 0 80 .", 0, 60 },
    { "_part._tcp.test", ns_t_srv, "1 0 81 a\\b.test", 0, 60 },
    { "_part._tcp.test", ns_t_srv, "2 0 82 a.test", 0, 60 },
    { "_bad._tcp.test", ns_t_srv, "1 0 81 a\\b.test", 0, 60 },
    { "_none._tcp.test", ns_t_srv, "0 0 0 .", 0, 60 },
    { NULL, 0, NULL, 0, 0 },
};

/* The fixture `served`: a runtime, a name server, and a resolver that asks it. */
FIXTURE_RT();
static struct dns dns;
static nart_resolver *resolver;

static inline nart_resolver_opts asks(void)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;

    o.servers = dns.servers;
    o.domains = "";
    o.timeout = 3600 * NART_SEC; /* a second try would be a question more */
    return o;
}

static inline void use(nart_resolver_opts o)
{
    CHECK_RES(nart_resolver_new(rt, &o, &resolver), 0);
}

/* For names whose questions are not answered. */
static inline void use_impatient(void)
{
    nart_resolver_opts o = asks();

    o.timeout = 20 * NART_MS;
    o.tries = 1;
    use(o);
}

static inline void served_open(void)
{
    rt_open();
    dns_open(&dns, records);
    use(asks());
}

static inline void served_close(void)
{
    rt_close();
    dns_finish(&dns);
}

enum { ADDRS, REVERSE, SRV };

struct op {
    OP_FIELDS;
    const char *name;
    size_t cap;
    nart_lookup_opts opts;
    nart_lookup lookup;
    nart_addr addr, out[PLACES];
    char text[NART_NAME_SIZE];
    int kind;
    uint16_t port;
    nart_srv srv[4];
};

static inline nart_res op_resolve(nart_cx *cx, struct op *op)
{
    switch (op->kind) {
    case ADDRS:
        return nart_resolve(cx, &op->lookup, op->name, op->port, op->out, op->cap, &op->opts);
    case REVERSE:
        return nart_resolve_reverse(cx, &op->lookup, &op->addr, op->text, op->cap, &op->opts);
    default:
        return nart_resolve_srv(cx, &op->lookup, op->name, op->srv, op->cap, &op->opts);
    }
}

OP_TASK(op_resolve);

static inline struct op op_of(const char *name, int family)
{
    return (struct op){
        .limit = NART_NEVER,
        .name = name,
        .port = 80,
        .cap = PLACES,
        .opts = { .size = sizeof(nart_lookup_opts), .resolver = resolver, .family = family }
    };
}

static inline nart_res answer_of(const struct op *op)
{
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    return op->res;
}

static inline nart_res now(struct op *op)
{
    op_start(rt, op);
    return answer_of(op);
}

/* The IPv4 addresses of a name as "192.0.2.1:80 ...", or the error. */
static inline const char *four(const char *name)
{
    static char text[PLACES * NART_ADDR_TEXT];
    struct op op = op_of(name, AF_INET);
    nart_res n = now(&op);

    if (n < 0)
        return nart_err_name(n);
    *text = '\0';
    for (nart_res i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                 text_of(&op.out[i]));
    CHECK_STR(op.lookup.text, "");
    return text;
}

#endif
