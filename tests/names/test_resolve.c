/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lookups: what they answer and refuse. */
#include "lookup.h"

#include "by_hand.h"

#include <net/if.h>
#include <sys/resource.h>
#include <sys/wait.h>

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
        "[::1",         "[::1]80",      "[::1]:",       "[host.test]:80",  "[1.2.3.4]",
        "host.test:",   "::1:x",        "unix:/x",      "host.test:65536", "host.test:8x",
        "host.test:-1", "host.test:+5", "host.test: 5", "127.0.0.1:\t5"
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
    struct op op = op_of("late.test", AF_INET);

    op_start(rt, &op);
    CHECK_RES(run(rt, &stranger_type, &(struct stranger){ &op }), -EBUSY);
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
}

/* "0177.0.0.1" is 177.0.0.1 for c-ares, and 127.0.0.1 for getaddrinfo(). */
TEST_WITH(four_numbers_are_an_address_or_refused, served)
{
    const char *const bad[] = { "0177.0.0.1", "127.0.0.01", "08.9.1.1", "256.0.0.1", "1.2.3.0400" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct op op = op_of(bad[i], AF_UNSPEC);
        CHECK_RES(now(&op), -EINVAL);
        CHECK_STR(op.lookup.text, "this is no name of a host");
    }
    struct op op = op_of("1.2.3.4.5", AF_INET);
    CHECK_RES(now(&op), NART_ENONAME);
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
    o.negative = -1;
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
    o.negative = 0;
    test_alloc_fail(1, false);
    CHECK_RES(nart_resolver_new(rt, &o, &r), -ENOMEM);
    CHECK(!r);
    test_alloc_fail(0, false);
}

TEST_WITH(bad_servers_are_refused, served)
{
    static const char *const bad[] = { "",
                                       "not an address",
                                       "192.0.2",
                                       "192.0.2.1:",
                                       "192.0.2.1:99999",
                                       "192.0.2.1:53:53",
                                       "192.0.2.1:-1",
                                       "192.0.2.1,",
                                       ",192.0.2.1",
                                       "192.0.2.1,192.0.2.2:65536",
                                       "192.0.2.1 192.0.2.2",
                                       "[192.0.2.1]:53",
                                       "[2001:db8::1",
                                       "[2001:db8::1]:x",
                                       "fe80::1%1",
                                       "unix:/server" };
    static const char *const good[] = { "192.0.2.1", "192.0.2.1:65535", "2001:db8::1",
                                        "[2001:db8::1]:5353", "192.0.2.1,[::1]:53,::2" };
    static char many[1 << 17];
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;
    nart_resolver *r;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.servers = bad[i];
        if (nart_resolver_new(rt, &o, &r) != -EINVAL)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        o.servers = good[i];
        CHECK_RES(nart_resolver_new(rt, &o, &r), 0);
    }
    memset(many, '1', sizeof many - 1);
    o.servers = many;
    CHECK_RES(nart_resolver_new(rt, &o, &r), -EINVAL);
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
    struct op op = op_of("late.test", AF_INET);

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
    CHECK_RES(r, -EMFILE); /* to read the hosts file */
    CHECK_STR(four("four.test"), "192.0.2.4:80");
}
