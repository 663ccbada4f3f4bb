/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lookups, against a name server that answers, lies, is silent or late. */
#include "dns.h"

#include "by_hand.h"
#include "op.h"

#include <nart/clock.h>
#include <nart/fiber.h>

#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

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
    { "garbage.test", ns_t_a, "192.0.2.8", DNS_GARBAGE, 60 },
    { "long.test", ns_t_a, "192.0.2.9", DNS_TRUNCATED, 60 },
    { "late.test", ns_t_a, "192.0.2.10", DNS_HELD, 60 },
    { "later.test", ns_t_a, "192.0.2.11", DNS_HELD, 60 },
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

static nart_resolver_opts asks(void)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;

    o.servers = dns.servers;
    o.domains = "";
    return o;
}

static void use(nart_resolver_opts o)
{
    CHECK_RES(nart_resolver_new(rt, &o, &resolver), 0);
}

/* For names whose questions are not answered. */
static void use_impatient(void)
{
    nart_resolver_opts o = asks();

    o.timeout = 20 * NART_MS;
    o.tries = 1;
    use(o);
}

static void served_open(void)
{
    rt_open();
    dns_open(&dns, records);
    use(asks());
}

static void served_close(void)
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

static nart_res op_resolve(nart_cx *cx, struct op *op)
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

static struct op op_of(const char *name, int family)
{
    return (struct op){
        .limit = NART_NEVER,
        .name = name,
        .port = 80,
        .cap = PLACES,
        .opts = { .size = sizeof(nart_lookup_opts), .resolver = resolver, .family = family }
    };
}

static nart_res answer_of(const struct op *op)
{
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    return op->res;
}

static nart_res now(struct op *op)
{
    op_start(rt, op);
    return answer_of(op);
}

/* The IPv4 addresses of a name as "192.0.2.1:80 ...", or the error. */
static const char *four(const char *name)
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

/* ---- answers ---- */

TEST_WITH(a_name_has_addresses_of_both_families, served)
{
    struct op op = op_of("host.test", AF_UNSPEC);
    bool seen[3] = { false };

    CHECK_RES(now(&op), 3);
    for (int i = 0; i < 3; i++) {
        const char *text = text_of(&op.out[i]);
        seen[0] |= !strcmp(text, "192.0.2.1:80");
        seen[1] |= !strcmp(text, "192.0.2.2:80");
        seen[2] |= !strcmp(text, "[2001:db8::1]:80");
    }
    CHECK(seen[0] && seen[1] && seen[2]);
    op = op_of("host.test", AF_INET6);
    CHECK_RES(now(&op), 1);
    CHECK_STR(text_of(op.out), "[2001:db8::1]:80");
    op = op_of("HOST.test.", AF_INET);
    op.cap = 1;
    CHECK_RES(now(&op), 1); /* as many as fit */
    CHECK_STR(four("alias.test"), four("host.test"));
}

TEST_WITH(a_numeric_address_is_not_looked_up, served)
{
    struct op op = op_of("192.0.2.77", AF_UNSPEC);

    CHECK_RES(now(&op), 1);
    CHECK_STR(text_of(op.out), "192.0.2.77:80");
    op = op_of("fe80::1%2", AF_INET6);
    CHECK_RES(now(&op), 1);
    CHECK_STR(text_of(op.out), "[fe80::1%2]:80");
    op = op_of("::1", AF_INET);
    CHECK_RES(now(&op), NART_ENONAME);
    CHECK_STR(op.lookup.text, "::1 is an address of the other family");
    CHECK_EQ(dns_queries(&dns), 0);
}

/* The first address of a name without a port, or the error. */
static const char *first_of(const char *name, struct op *op)
{
    *op = op_of(name, AF_UNSPEC);
    op->port = 0;
    nart_res n = now(op);
    return n < 0 ? nart_err_name(n) : text_of(op->out);
}

TEST_WITH(a_name_may_have_a_port_or_a_service, served)
{
    struct op op;

    CHECK_STR(first_of("four.test:81", &op), "192.0.2.4:81");
    CHECK_STR(first_of("four.test:http", &op), "192.0.2.4:80"); /* another port, the same answer */
    CHECK_STR(first_of("alias.test:0", &op), first_of("host.test", &op));
    CHECK_EQ(dns_queries(&dns), 6);
    CHECK_STR(first_of("none.test:smtp", &op), "NART_ENONAME");
    CHECK_STR(first_of("192.0.2.1:https", &op), "192.0.2.1:443");
    CHECK_STR(first_of("[2001:db8::1]:65535", &op), "[2001:db8::1]:65535");
    CHECK_STR(first_of("[::1]", &op), "[::1]:0");
    CHECK_STR(first_of("unix:80", &op), "NART_ENONAME"); /* a name like others */
    char six[NART_ADDR_TEXT];
    snprintf(six, sizeof six, "[fe80::1%%%u]:25", if_nametoindex("lo"));
    CHECK_STR(first_of("[fe80::1%lo]:smtp", &op), six);
}

TEST_WITH(what_is_no_port_is_refused, served)
{
    static const char *const bad[] = {
        "[::1",  "[::1]80", "[::1]:",          "[host.test]:80", "[1.2.3.4]",   "host.test:",
        "::1:x", "unix:/x", "host.test:65536", "host.test:8x",   "host.test:-1"
    };
    struct op op;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *is = first_of(bad[i], &op);
        if (strcmp(is, "EINVAL") != 0 && strcmp(is, "NART_ENONAME") != 0)
            test_fail(__FILE__, __LINE__, "%s: %s", bad[i], is);
        CHECK_EQ(dns_queries(&dns), 0);
    }
    CHECK_STR(first_of("host.test:65536", &op), "EINVAL");
    CHECK_STR(op.lookup.text, "this is neither a port nor a service");
    CHECK_STR(first_of("host.test:no-such-service", &op), "NART_ENONAME");
    CHECK_STR(op.lookup.text, "this is neither a port nor a service");
    CHECK_STR(first_of("fe80::1%nowhere", &op), "ENODEV");
    CHECK_STR(op.lookup.text, "no interface has this name");
    op = op_of("host.test:80", AF_UNSPEC); /* with a port */
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.lookup.text, "the port is given twice");
    CHECK_EQ(dns_queries(&dns), 0);
}

TEST_WITH(a_name_that_does_not_exist_is_told_from_a_failure, served)
{
    struct op op = op_of("none.test", AF_INET);
    char expected[NART_LOOKUP_TEXT];

    CHECK_RES(now(&op), NART_ENONAME);
    snprintf(expected, sizeof expected, "none.test: A: Domain name not found; servers %s",
             dns.servers);
    CHECK_STR(op.lookup.text, expected);
    op = op_of("four.test", AF_INET6); /* it exists */
    CHECK_RES(now(&op), NART_ENONAME);
    CHECK_STR(four("fails.test"), "NART_EDNS");
    CHECK_STR(four("refuses.test"), "NART_EDNS");
    use_impatient();
    op = op_of("silent.test", AF_INET);
    CHECK_RES(now(&op), NART_EDNS_TIMEOUT);
    CHECK(strstr(op.lookup.text, "silent.test: A: ") && strstr(op.lookup.text, dns.servers));
}

TEST_WITH(lies_are_ignored, served)
{
    CHECK_STR(four("id.test"), "192.0.2.6:80");
    CHECK_STR(four("question.test"), "192.0.2.7:80");
    CHECK_STR(four("garbage.test"), "192.0.2.8:80");
}

TEST_WITH(a_truncated_answer_is_repeated_by_tcp, served)
{
    CHECK_STR(four("long.test"), "192.0.2.9:80");
    CHECK_EQ(__atomic_load_n(&dns.tcp_queries, __ATOMIC_ACQUIRE), 1);
}

TEST_WITH(the_largest_limits_are_no_limits, served)
{
    nart_resolver_opts o = asks();
    char servers[128];

    snprintf(servers, sizeof servers, "%s,%s", dns.servers, dns.servers);
    o.servers = servers;
    o.timeout = NART_MS;
    o.tries = INT32_MAX;
    use(o);
    struct op op = op_of("silent.test", AF_INET);
    op.limit = 50 * NART_MS;
    CHECK_RES(now(&op), -ETIMEDOUT); /* it still tries */
    o.timeout = NART_NEVER;
    use(o);
    op = op_of("silent.test", AF_INET);
    op.limit = 50 * NART_MS;
    CHECK_RES(now(&op), -ETIMEDOUT);
}

TEST_WITH(a_dead_server_is_replaced_by_the_next_one, served)
{
    char servers[64];
    nart_resolver_opts o = asks();
    OPEN(place, dead, "127.0.0.1:0", REFUSES); /* no server has its port */

    snprintf(servers, sizeof servers, "%s", text_of(&dead.at));
    o.servers = servers;
    use(o);
    CHECK_STR(four("host.test"), "NART_EDNS");
    snprintf(servers, sizeof servers, "%s,%s", text_of(&dead.at), dns.servers);
    o.servers = servers;
    use(o);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
}

TEST_WITH(search_domains_complete_a_name, served)
{
    nart_resolver_opts o = asks();

    CHECK_STR(four("near"), "NART_ENONAME");
    o.domains = "one.test two.test";
    use(o);
    CHECK_STR(four("near"), "192.0.2.12:80");
    CHECK_STR(four("near."), "NART_ENONAME"); /* absolute */
}

TEST_WITH(another_resolv_conf_may_be_given, served)
{
    char path[] = "/tmp/nart-resolv-XXXXXX";
    static const char text[] = "search two.test\nnameserver 192.0.2.200\n";
    nart_resolver_opts o = asks();
    int fd = mkostemp(path, O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    o.resolv_conf = path;
    o.domains = NULL;
    use(o);
    unlink(path);
    CHECK_STR(four("near"), "192.0.2.12:80");
}

TEST_WITH(the_resolver_of_the_runtime_reads_the_hosts_file, served)
{
    resolver = NULL;
    struct op op = op_of("localhost", AF_INET);

    CHECK_RES(now(&op), 1);
    CHECK_STR(text_of(op.out), "127.0.0.1:80");
    op = op_of("localhost", AF_UNSPEC); /* the same resolver */
    CHECK_LE(1, now(&op));
}

/* A hosts file in a namespace of its own. */
static int hosts;

static void hosts_write(const char *text)
{
    CHECK_EQ(ftruncate(hosts, 0), 0);
    CHECK_EQ(pwrite(hosts, text, strlen(text), 0), strlen(text));
}

static void hosts_open(const char *text)
{
    char path[] = "/tmp/nart-hosts-XXXXXX";

    hosts = mkostemp(path, O_CLOEXEC);
    CHECK_LE(0, hosts);
    hosts_write(text);
    bool mounted = unshare(CLONE_NEWNS) == 0 &&
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount(path, "/etc/hosts", NULL, MS_BIND, NULL) == 0;
    unlink(path);
    if (!mounted)
        SKIP("only root may mount another /etc/hosts");
}

TEST_WITH(a_name_of_the_hosts_file_is_not_asked_of_servers, served)
{
    hosts_open("192.0.2.77 listed.test\n");
    struct op op = op_of("listed.test", AF_UNSPEC);
    CHECK_RES(now(&op), 1);
    CHECK_STR(text_of(op.out), "192.0.2.77:80");
    op = op_of("listed.test", AF_INET6);
    CHECK_RES(now(&op), NART_ENONAME);
    op.kind = REVERSE;
    CHECK_RES(nart_addr_parse(&op.addr, "192.0.2.77:80"), 0);
    CHECK_RES(now(&op), 11);
    CHECK_STR(op.text, "listed.test");
    CHECK_EQ(dns_queries(&dns), 0);
    close(hosts);
}

TEST_WITH(what_the_hosts_file_has_is_kept_until_it_changes, served)
{
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    hosts_open("192.0.2.77 listed.test\n");
    CHECK_STR(four("listed.test"), "192.0.2.77:80");
    struct op six = op_of("listed.test", AF_INET6);
    CHECK_RES(now(&six), NART_ENONAME);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    hosts_write("192.0.2.78 listed.test\n2001:db8::78 listed.test\n192.0.2.79 four.test\n");
    CHECK_STR(four("listed.test"), "192.0.2.77:80"); /* within the same second */
    CHECK_RES(now(&six), NART_ENONAME);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC - 1), 0);
    CHECK_STR(four("listed.test"), "192.0.2.77:80");
    struct op op = op_of("later.test", AF_INET);
    op_start(rt, &op);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    CHECK_STR(four("listed.test"), "192.0.2.78:80");
    CHECK_RES(now(&six), 1);
    CHECK_STR(four("four.test"), "192.0.2.79:80"); /* the answer of a server is dropped */
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
    CHECK_EQ(dns_queries(&dns), 2);
    op_start(rt, &op); /* it was asked before the change */
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
    CHECK_EQ(dns_queries(&dns), 3);
    close(hosts);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("listed.test"), "192.0.2.78:80");
    nart_resolver_opts o = asks();
    o.flags = NART_RESOLVER_NO_HOSTS;
    use(o);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
}

TEST_WITH(an_address_has_a_name, served)
{
    struct op op = op_of(NULL, AF_UNSPEC);

    op.kind = REVERSE;
    CHECK_RES(nart_addr_parse(&op.addr, "192.0.2.1:80"), 0);
    CHECK_RES(now(&op), 9);
    CHECK_STR(op.text, "host.test");
    op.cap = 9;
    CHECK_RES(now(&op), -ENOSPC);
    op.cap = 64;
    CHECK_RES(nart_addr_parse(&op.addr, "[2001:db8::1]:80"), 0);
    CHECK_RES(now(&op), 13);
    CHECK_STR(op.text, "six.host.test");
    CHECK_RES(nart_addr_parse(&op.addr, "192.0.2.99:80"), 0);
    CHECK_RES(now(&op), NART_ENONAME);
    CHECK(strstr(op.lookup.text, "192.0.2.99: PTR: "));
    op.addr.storage.ss_family = AF_UNIX;
    CHECK_RES(now(&op), -EAFNOSUPPORT);
    op.addr.len = 0;
    CHECK_RES(now(&op), -EINVAL);
}

TEST_WITH(the_places_of_a_service_are_in_order, served)
{
    struct op op = op_of("_x._tcp.test", AF_UNSPEC);
    int first[2] = { 0 };

    op.kind = SRV;
    op.cap = 4;
    for (int i = 0; i < 50; i++) {
        CHECK_RES(now(&op), 3);
        CHECK_STR(op.srv[2].host, "c.test");
        CHECK_EQ(op.srv[2].port, 81);
        CHECK_EQ(op.srv[2].priority, 20);
        first[0] += !strcmp(op.srv[0].host, "a.test") && !strcmp(op.srv[1].host, "b.test");
        first[1] += !strcmp(op.srv[0].host, "b.test") && !strcmp(op.srv[1].host, "a.test");
    }
    CHECK_EQ(first[0] + first[1], 50);
    op.cap = 1;
    CHECK_RES(now(&op), 1);
    CHECK_EQ(op.srv[0].priority, 10);
    op.name = "_none._tcp.test";
    CHECK_RES(now(&op), NART_ENONAME);
    op.name = "_part._tcp.test"; /* hosts that are no names are left out */
    op.cap = 4;
    CHECK_RES(now(&op), 1);
    CHECK_STR(op.srv[0].host, "a.test");
    CHECK_EQ(op.srv[0].port, 82);
    op.name = "_bad._tcp.test";
    CHECK_RES(now(&op), NART_EDNS);
    op.name = "_fails._tcp.test";
    CHECK_RES(now(&op), NART_ENONAME);
}

/* How often of 600 times the first place of a service is a.test. */
static int times_first(const char *service)
{
    struct op op = op_of(service, AF_UNSPEC);
    int n = 0;

    op.kind = SRV;
    op.cap = 4;
    for (int i = 0; i < 600; i++) {
        CHECK_RES(now(&op), 2);
        n += !strcmp(op.srv[0].host, "a.test");
    }
    return n;
}

TEST_WITH(a_place_of_twice_the_weight_is_twice_as_often_the_first, served)
{
    int even = times_first("_even._tcp.test"), less = times_first("_twice._tcp.test");

    CHECK(even > 230 && even < 370); /* 300, give or take 5.7 standard deviations */
    CHECK(less > 134 && less < 266); /* 200 */
}

/* ---- the cache ---- */

TEST_WITH(an_answer_is_kept_for_its_time, served)
{
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_EQ(dns_queries(&dns), 1);
    CHECK_RES(nart_rt_clock_advance(rt, 60 * NART_SEC - 1), 0);
    CHECK_STR(four("FOUR.test"), "192.0.2.4:80");
    CHECK_EQ(dns_queries(&dns), 1);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_EQ(dns_queries(&dns), 2);
}

/* Asks twice just before `keep` has passed and once after: two questions are sent. */
static void is_kept_for(struct op op, int64_t keep)
{
    uint32_t asked = dns_queries(&dns);
    nart_res r = now(&op);
    char text[NART_LOOKUP_TEXT];

    snprintf(text, sizeof text, "%s", op.lookup.text);
    CHECK_RES(nart_rt_clock_advance(rt, keep - 1), 0);
    CHECK_RES(now(&op), r);
    CHECK_STR(op.lookup.text, text);
    CHECK_EQ(dns_queries(&dns), asked + 1);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    CHECK_RES(now(&op), r);
    CHECK_EQ(dns_queries(&dns), asked + 2);
}

TEST_WITH(names_of_addresses_and_places_are_kept_for_their_time, served)
{
    struct op op = op_of("_x._tcp.test", AF_UNSPEC);

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    op.kind = SRV;
    op.cap = 4;
    is_kept_for(op, 50 * NART_SEC); /* that of the record with the least */
    op = op_of(NULL, AF_UNSPEC);
    op.kind = REVERSE;
    CHECK_RES(nart_addr_parse(&op.addr, "192.0.2.1:80"), 0);
    is_kept_for(op, 60 * NART_SEC);
    CHECK_RES(nart_addr_parse(&op.addr, "[2001:db8::1]:80"), 0);
    is_kept_for(op, 40 * NART_SEC);
}

TEST_WITH(what_does_not_exist_is_kept_for_a_while, served)
{
    nart_resolver_opts o = asks();
    struct op op = op_of("none.test", AF_INET);

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    is_kept_for(op, 5 * NART_SEC);
    is_kept_for(op_of("four.test", AF_INET6), 5 * NART_SEC); /* the name exists */
    op.kind = SRV;
    op.cap = 4;
    is_kept_for(op, 5 * NART_SEC);
    op.name = "_none._tcp.test";
    is_kept_for(op, 5 * NART_SEC);
    op.kind = REVERSE;
    CHECK_RES(nart_addr_parse(&op.addr, "192.0.2.99:80"), 0);
    is_kept_for(op, 5 * NART_SEC);
    o.negative = NART_SEC;
    use(o);
    is_kept_for(op_of("none.test", AF_INET), NART_SEC);
}

TEST_WITH(what_has_no_time_to_live_and_failures_are_not_kept, served)
{
    nart_resolver_opts o = asks();

    o.tries = 1;
    use(o);
    for (uint32_t i = 1; i <= 3; i++) {
        CHECK_STR(four("fleeting.test"), "192.0.2.5:80");
        CHECK_STR(four("refuses.test"), "NART_EDNS");
        CHECK_EQ(dns_queries(&dns), 2 * i);
    }
    o.flags = NART_RESOLVER_NO_CACHE;
    use(o);
    for (uint32_t i = 1; i <= 3; i++) {
        CHECK_STR(four("four.test"), "192.0.2.4:80");
        CHECK_STR(four("none.test"), "NART_ENONAME");
        CHECK_EQ(dns_queries(&dns), 6 + 2 * i);
    }
}

TEST_WITH(the_cache_is_bounded, served)
{
    nart_resolver_opts o = asks();

    o.cache = 2;
    use(o);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_STR(four("id.test"), "192.0.2.6:80");
    long blocks = test_alloc_live();
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_EQ(dns_queries(&dns), 2);
    CHECK_STR(four("question.test"),
              "192.0.2.7:80"); /* instead of the one that was not used again */
    CHECK_EQ(test_alloc_live(), blocks);
    CHECK_EQ(dns_queries(&dns), 3);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_STR(four("question.test"), "192.0.2.7:80");
    CHECK_EQ(dns_queries(&dns), 3);
    CHECK_STR(four("id.test"), "192.0.2.6:80");
    CHECK_EQ(dns_queries(&dns), 4);
}

TEST_WITH(an_answer_from_the_cache_needs_no_wait_and_no_memory, served)
{
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    struct op op = op_of("four.test", AF_INET);
    test_alloc_fail(1, true);
    op_start(rt, &op);
    test_alloc_fail(0, false);
    CHECK_RES(op.res, 1);
    CHECK_EQ(op.polls, 1);
}

/* ---- clocks ---- */

TEST_WITH(the_tries_of_a_query_use_real_time, served)
{
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    struct op op = op_of("late.test", AF_INET);
    op_start(rt, &op);
    CHECK_RES(nart_rt_clock_advance(rt, 3600 * NART_SEC), 0);
    settle(rt);
    CHECK_RES(op.res, NART_PENDING); /* no try is over */
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
    use_impatient();
    op = op_of("silent.test", AF_INET);
    CHECK_RES(now(&op), NART_EDNS_TIMEOUT); /* though the clock stands still */
    op = op_of("silent.test", AF_INET);
    op.limit = 1;
    op_start(rt, &op);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    settle(rt);
    CHECK_RES(op.res, -ETIMEDOUT); /* its deadline does not */
}

struct sleeper {
    nart_timer timer;
};

static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    return nart_sleep(cx, &((struct sleeper *)frame)->timer, 3600 * NART_SEC);
}

TYPE(sleeper, sleeper_run);

/* A clock that advances by itself does so only while no descriptor is watched. */
TEST_WITH(after_a_query_nothing_is_watched, served)
{
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    int64_t at = nart_rt_now(rt);
    CHECK_RES(run(rt, &sleeper_type, &(struct sleeper){ .timer = { 0 } }), 0);
    CHECK_EQ(nart_rt_now(rt) - at, 3600 * NART_SEC);
}

TEST(without_memory_for_events_a_query_still_ends)
{
    rt = NEW_RT(.max_io = 1);
    dns_open(&dns, records);
    use_impatient();
    struct op op = op_of("silent.test", AF_INET);
    CHECK_RES(now(&op), NART_EDNS_TIMEOUT); /* its socket is watched, its alarm is not */
    served_close();
}

/* ---- many ---- */

TEST_WITH(equal_questions_share_a_query, served)
{
    static struct op ops[100];

    for (int i = 0; i < 100; i++) {
        ops[i] = op_of("late.test", AF_INET);
        op_start(rt, &ops[i]);
    }
    dns_release(&dns);
    for (int i = 0; i < 100; i++) {
        CHECK_RES(answer_of(&ops[i]), 1);
        CHECK_STR(text_of(ops[i].out), "192.0.2.10:80");
    }
    CHECK_EQ(dns_queries(&dns), 1);
}

TEST_WITH(thousands_are_looked_up_at_once, served)
{
    static struct op ops[MANY];
    static char names[MANY][32];

    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%d.test", i);
        ops[i] = op_of(i % 2 ? "host.test" : names[i], i % 3 ? AF_INET : AF_INET6);
        op_spawn(rt, &ops[i]);
    }
    for (int i = 0; i < MANY; i++)
        CHECK_RES(answer_of(&ops[i]), i % 2 == 0 ? NART_ENONAME : i % 3 ? 2 : 1);
}

/* ---- ways to leave ---- */

/* A lookup that waits, and has been sent. */
static struct op waiting(const char *name)
{
    return op_of(name, AF_INET);
}

TEST_WITH(a_lookup_is_cancelled_and_its_answer_still_kept, served)
{
    struct op op = waiting("late.test");

    op_start(rt, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    struct op other = waiting("late.test"); /* finds the query under way */
    op_start(rt, &other);
    dns_release(&dns);
    CHECK_RES(answer_of(&other), 1);
    CHECK_EQ(dns_queries(&dns), 1);
}

TEST_WITH(an_answer_that_comes_too_late_is_kept_for_the_next, served)
{
    struct op op = waiting("late.test"), marker = waiting("later.test");

    op.limit = 1;
    CHECK_RES(now(&op), -ETIMEDOUT);
    CHECK_STR(op.lookup.text, "late.test: A: pending");
    op_start(rt, &marker);
    dns_release(&dns);
    CHECK_RES(answer_of(&marker), 1);
    op_start(rt, &op);
    CHECK_RES(op.res, 1); /* at once */
}

struct racer {
    nart_co co;
    nart_timer timer;
    struct op *op;
    int which;
};

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_sleep(cx, &f->timer, 1), op_resolve(cx, f->op));
    CHECK_EQ(f->which, 0);
    dns_release(&dns);
    NART_AWAIT_ANY(f->which, r, op_resolve(cx, f->op), nart_sleep(cx, &f->timer, NART_NEVER));
    NART_END(r);
}

TYPE(racer, racer_run);

TEST_WITH(a_lost_race_can_be_awaited_again, served)
{
    struct op op = waiting("late.test");

    CHECK_RES(run(rt, &racer_type, &(struct racer){ .op = &op }), 1);
    CHECK_EQ(dns_queries(&dns), 1);
}

TEST(an_aborted_lookup_and_a_freed_runtime_leave_nothing)
{
    served_open();
    struct op op = waiting("late.test"), other = waiting("late.test"),
              third = waiting("later.test");

    op_start(rt, &op);
    op_start(rt, &other);
    op_start(rt, &third);
    CHECK_RES(nart_task_abort(rt, op.id), 0);
    settle(rt);
    served_close();
}

TEST_WITH(lookups_of_a_freed_resolver_answer, served)
{
    struct op op = waiting("late.test"), other = waiting("late.test");
    nart_resolver *freed = resolver;

    op_start(rt, &op);
    op_start(rt, &other);
    CHECK_RES(nart_resolver_free(freed), 0);
    CHECK_RES(answer_of(&op), NART_EABORTED);
    CHECK_RES(answer_of(&other), NART_EABORTED);
    CHECK_RES(nart_resolver_free(NULL), 0);
}

TEST_WITH(polls_for_no_reason_change_nothing, served)
{
    struct op op = waiting("late.test");

    op_start(rt, &op);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(op.waker);
        settle(rt);
    }
    CHECK_RES(op.res, NART_PENDING);
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
    CHECK_EQ(dns_queries(&dns), 1);
}

/* ---- refusals ---- */

struct stranger {
    struct op *op;
};

static nart_res stranger_run(nart_cx *cx, void *frame)
{
    struct stranger *f = frame;
    return op_resolve(cx, f->op);
}

TYPE(stranger, stranger_run);

TEST_WITH(a_lookup_in_use_is_refused, served)
{
    struct op op = waiting("late.test");

    op_start(rt, &op);
    CHECK_RES(run(rt, &stranger_type, &(struct stranger){ &op }), -EBUSY);
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
}

TEST_WITH(what_is_no_name_is_refused, served)
{
    static char label[70], whole[300];
    const char *const bad[] = { NULL, "", ".", "a..b", ".a", label, whole };

    memset(label, 'a', 64);
    for (int i = 0; i < 299; i++)
        whole[i] = i % 2 ? '.' : 'a';
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct op op = op_of(bad[i], AF_INET);
        CHECK_RES(now(&op), -EINVAL);
        CHECK_STR(op.lookup.text, "this is no name of a host");
        op.kind = SRV;
        op.cap = 4;
        CHECK_RES(now(&op), -EINVAL);
        CHECK_STR(op.lookup.text, "this is no name of a service");
    }
    struct op op = op_of("host.test", AF_UNIX);
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.lookup.text, "family is neither AF_INET nor AF_INET6");
    op = op_of("host.test", AF_INET);
    op.cap = 0;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.lookup.text, "no memory for addresses");
    op.kind = SRV;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.lookup.text, "no memory for places");
    op.opts.size++;
    for (op.kind = ADDRS; op.kind <= SRV; op.kind++)
        CHECK_RES(now(&op), NART_EABI);
    CHECK_EQ(dns_queries(&dns), 0);
}

TEST_WITH(bad_options_of_a_resolver_are_refused, served)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;
    nart_resolver *r;

    CHECK_RES(nart_resolver_new(NULL, NULL, &r), -EINVAL);
    CHECK_RES(nart_resolver_new(rt, NULL, NULL), -EINVAL);
    o.size++;
    CHECK_RES(nart_resolver_new(rt, &o, &r), NART_EABI);
    o.size--;
    o.flags = 4;
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
    o.flags = 0;
    o.timeout = -1;
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
    o.timeout = 0;
    o.ndots = 16;
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
    o.ndots = 0;
    o.servers = "not an address";
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
    o.servers = NULL;
    o.negative = -1;
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
    o.negative = 0;
    test_alloc_fail(1, false);
    CHECK_RES(nart_resolver_new(rt, &o, &r), -ENOMEM);
    CHECK(!r);
    test_alloc_fail(0, false);
}

TEST_WITH(without_memory_a_lookup_fails, served)
{
    /* the question, and what c-ares' socket needs: then the query ends by its timeout */
    use_impatient();
    for (long n = 1; n <= 3; n++) {
        struct op op = op_of("four.test", AF_INET);
        test_alloc_fail(n, false);
        nart_res r = now(&op);
        test_alloc_fail(0, false);
        CHECK(r == -ENOMEM || r == NART_EDNS_TIMEOUT || r == 1);
    }
    use(asks());
    CHECK_STR(four("four.test"), "192.0.2.4:80");
}

TEST_WITH(a_resolver_of_another_runtime_is_refused, served)
{
    nart_rt *mine = rt;
    struct op op = op_of("host.test", AF_INET);

    rt = new_rt();
    CHECK_RES(now(&op), NART_EDRIVER);
    CHECK_RES(nart_rt_free(rt), 0);
    rt = mine;
}

static nart_res by_hand_run(nart_cx *cx, void *frame)
{
    return op_resolve(cx, ((struct stranger *)frame)->op);
}

TEST_WITH(another_driver_resolves_numbers_only, served)
{
    static const nart_task_type type = NART_TASK_TYPE(struct stranger, by_hand_run, NULL);
    struct op op = op_of("host.test", AF_INET);
    struct by_hand h;
    nart__task t = { .frame = &(struct stranger){ &op } };

    by_hand_open(&h, 0);
    nart_driver_task_init(&t, &type, &(struct stranger){ &op }, &h.cx);
    CHECK_RES(nart_driver_poll(&h.cx, &t), NART_EDRIVER);
    op.name = "192.0.2.1";
    nart_driver_task_init(&t, &type, &(struct stranger){ &op }, &h.cx);
    CHECK_RES(nart_driver_poll(&h.cx, &t), 1);
    CHECK_RES(op_resolve(&h.cx, &op), -EPERM);
}

static void *elsewhere(void *arg)
{
    nart_resolver *r = arg, *out;

    CHECK_RES(nart_resolver_new(rt, NULL, &out), NART_EWRONGTHREAD);
    CHECK_RES(nart_resolver_free(r), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(another_thread_is_refused, served)
{
    pthread_t t;

    CHECK_STR(four("four.test"), "192.0.2.4:80"); /* binds the runtime */
    CHECK_EQ(pthread_create(&t, NULL, elsewhere, resolver), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST_WITH(a_child_of_fork_only_frees, served)
{
    struct op op = waiting("late.test");

    op_start(rt, &op);
    pid_t child = fork();
    if (child == 0) {
        nart_resolver *r;
        CHECK_RES(nart_resolver_new(rt, NULL, &r), NART_EFORK);
        CHECK_RES(nart_rt_free(rt), 0);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1); /* the parent is unaffected */
}

TEST_WITH(without_descriptors_a_lookup_fails, served)
{
    struct rlimit before;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3, before.rlim_max }), 0);
    struct op op = op_of("four.test", AF_INET);
    nart_res r = now(&op);
    nart_resolver *none;
    CHECK_RES(nart_resolver_new(rt, NULL, &none), -EMFILE);
    CHECK(!none);
    op.opts.resolver = NULL; /* that of the runtime */
    CHECK_RES(now(&op), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_RES(r, NART_EDNS);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
}

/* ---- fibers ---- */

static nart_res in_a_fiber(nart_cx *cx, void *arg)
{
    struct op *op = arg;

    nart_res r = nart_await_for(cx, 1, op_resolve(cx, op));
    CHECK_RES(r, -ETIMEDOUT);
    dns_release(&dns);
    return nart_await(cx, op_resolve(cx, op));
}

TEST_WITH(a_fiber_looks_up_likewise, served)
{
    struct op op = waiting("late.test");
    nart_res answer = 0;

    nart_res r = nart_fiber_block_on(rt, in_a_fiber, &op, NULL, &answer);
    if (r == -ENOSYS)
        SKIP("no fibers on this processor");
    CHECK_RES(r, 0);
    CHECK_RES(answer, 1);
    CHECK_EQ(dns_queries(&dns), 1);
}
