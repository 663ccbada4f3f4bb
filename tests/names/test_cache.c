/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a resolver keeps, how long, and by which clock. */
#include "lookup.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

/* ---- the hosts file ---- */

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
    CHECK_STR(op.lookup.text, "listed.test: AAAA: the hosts file has no such address of this name");
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

/* Lets the process open no descriptor; again as many as before. */
static void no_descriptors(bool none)
{
    static struct rlimit before;
    struct rlimit limit;

    if (none) {
        int fd = dup(0);
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = (struct rlimit){ (rlim_t)fd, before.rlim_max };
        close(fd);
    } else {
        limit = before;
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST_WITH(without_a_descriptor_to_read_the_hosts_file_no_server_is_asked, served)
{
    hosts_open("192.0.2.77 four.test\n");
    struct op op = op_of("late.test", AF_INET);
    op_start(rt, &op); /* so the resolver has a socket */
    no_descriptors(true);
    CHECK_STR(four("four.test"), "EMFILE");
    no_descriptors(false);
    CHECK_STR(four("four.test"), "192.0.2.77:80");
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 1);
    CHECK_EQ(dns_queries(&dns), 1);
    close(hosts);
}

/* ---- resolv.conf ---- */

static struct dns one, two;
static char conf[] = "/tmp/nart-resolv-XXXXXX";

/* It cannot name a port, so the servers need that of DNS: in a network of their own. */
static void network_open(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

    if (unshare(CLONE_NEWNET) != 0)
        SKIP("only root may have a network of his own");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
}

/* Names a server in `conf`, which is replaced, as system services do. */
static void conf_write(const char *text)
{
    char path[sizeof conf + 4];

    snprintf(path, sizeof path, "%s.new", conf);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK_LE(0, fd);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    CHECK_EQ(rename(path, conf), 0);
}

static void configured_open(void)
{
    static const struct dns_record others[] = {
        { "four.test", ns_t_a, "192.0.2.104", 0, 60 },
        { "late.test", ns_t_a, "192.0.2.110", 0, 60 },
        { "silent.test", ns_t_a, "192.0.2.111", 0, 60 },
        { "_x._tcp.test", ns_t_srv, "1 0 80 other.test", 0, 60 },
        { "1.2.0.192.in-addr.arpa", ns_t_ptr, "other.test", 0, 60 },
        { "near.one.test", ns_t_a, "192.0.2.112", 0, 60 },
        { "half.test", ns_t_a, "192.0.2.118", 0, 60 },
        { "half.test", ns_t_aaaa, "2001:db8::118", 0, 60 },
        { NULL, 0, NULL, 0, 0 },
    };
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;
    char path[sizeof conf];

    network_open();
    rt_open();
    dns_open_at(&one, records, "127.0.0.2", 53);
    dns_open_at(&two, others, "127.0.0.3", 53);
    int fd = mkostemp(conf, O_CLOEXEC);
    CHECK_LE(0, fd);
    close(fd);
    conf_write("search two.test\nnameserver 127.0.0.2\n");
    memcpy(path, conf, sizeof conf);
    o.resolv_conf = path;
    use(o);
    memset(path, 'x', sizeof path - 1); /* strings are copied */
    CHECK_RES(nart_rt_clock_pause(rt), 0);
}

static void configured_close(void)
{
    unlink(conf);
    rt_close();
    dns_finish(&one);
    dns_finish(&two);
}

#define TWO "search one.test\nnameserver 127.0.0.3\n"

TEST_WITH(a_change_of_resolv_conf_takes_effect_within_a_second, configured)
{
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_STR(four("near"), "192.0.2.12:80");
    conf_write(TWO);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("four.test"), "192.0.2.104:80"); /* not that of the cache */
    CHECK_STR(four("near"), "192.0.2.112:80");
    struct op op = op_of("none.test", AF_INET);
    CHECK_RES(now(&op), NART_ENONAME);
    CHECK(strstr(op.lookup.text, two.servers) && !strstr(op.lookup.text, one.servers));
    uint32_t asked = dns_queries(&two);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("four.test"), "192.0.2.104:80"); /* without a change it is kept */
    CHECK_EQ(dns_queries(&two), asked);
}

TEST_WITH(pending_questions_are_sent_to_the_servers_of_a_new_resolv_conf, configured)
{
    struct op ops[] = { op_of("late.test", AF_INET), op_of("silent.test", AF_INET),
                        op_of("late.test", AF_INET), op_of("_x._tcp.test", 0), op_of(NULL, 0) };
    enum { N = sizeof ops / sizeof *ops };

    ops[3].kind = SRV;
    ops[3].cap = 4;
    ops[4].kind = REVERSE;
    CHECK_RES(nart_addr_parse(&ops[4].addr, "192.0.2.1:80"), 0);
    for (size_t i = 0; i < 3; i++)
        op_start(rt, &ops[i]);
    settle(rt);
    conf_write(TWO);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC - 1), 0);
    op_start(rt, &ops[3]); /* their answers are not received before the change is seen */
    op_start(rt, &ops[4]);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    struct op op = op_of("four.test", AF_INET);
    op_start(rt, &op);
    CHECK_RES(answer_of(&op), 1);
    CHECK_STR(text_of(op.out), "192.0.2.104:80");
    for (size_t i = 0; i < 3; i++)
        CHECK_RES(answer_of(&ops[i]), 1);
    CHECK_STR(text_of(ops[0].out), "192.0.2.110:80");
    CHECK_STR(text_of(ops[1].out), "192.0.2.111:80");
    CHECK_STR(text_of(ops[2].out), "192.0.2.110:80");
    for (size_t i = 3; i < N; i++)
        CHECK_LE(1, answer_of(&ops[i]));
    uint32_t asked = dns_queries(&two);
    CHECK_STR(four("four.test"), "192.0.2.104:80");
    CHECK_STR(four("late.test"), "192.0.2.110:80"); /* it was asked before the change */
    CHECK_STR(four("late.test"), "192.0.2.110:80");
    CHECK_EQ(dns_queries(&two), asked + 1);
}

/* The answer of one family has come, that of the other one has not. */
TEST_WITH(a_question_of_which_half_is_answered_is_sent_again, configured)
{
    struct op half = op_of("half.test", AF_UNSPEC), op = op_of("four.test", AF_INET);

    op_start(rt, &half);
    while (dns_queries(&one) < 2)
        CHECK_LE(0, nart_rt_poll(rt, NART_MS));
    CHECK_STR(four("fleeting.test"), "192.0.2.5:80"); /* behind the answer */
    CHECK_RES(half.res, NART_PENDING);
    conf_write(TWO);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    op_start(rt, &op);
    CHECK_RES(answer_of(&op), 1);
    CHECK_RES(answer_of(&half), 2);
    CHECK(strstr(text_of(half.out), "118]:80") || strstr(text_of(half.out), ".118:80"));
}

TEST_WITH(while_resolv_conf_is_missing_or_empty_the_servers_stay, configured)
{
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    conf_write("");
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("id.test"), "192.0.2.6:80");
    CHECK_EQ(unlink(conf), 0);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("question.test"), "192.0.2.7:80");
    conf_write(TWO);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("four.test"), "192.0.2.104:80");
}

TEST_WITH(without_a_descriptor_to_read_resolv_conf_the_servers_stay, configured)
{
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    conf_write(TWO);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    no_descriptors(true);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
    no_descriptors(false);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_STR(four("four.test"), "192.0.2.104:80");
}

TEST_WITH(without_a_descriptor_to_read_resolv_conf_there_is_no_resolver, configured)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;

    o.resolv_conf = conf;
    for (int left = 0; left < 2; left++) { /* one: for the alarm */
        int fd = left ? dup(0) : -1;
        no_descriptors(true);
        if (left)
            close(fd);
        nart_res r = nart_resolver_new(rt, &o, &resolver);
        no_descriptors(false);
        CHECK_RES(r, -EMFILE);
    }
    use(o);
    CHECK_STR(four("four.test"), "192.0.2.4:80");
}

TEST_WITH(a_resolver_whose_servers_were_given_keeps_them, configured)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;
    struct op op;

    o.resolv_conf = conf;
    o.servers = one.servers;
    use(o);
    CHECK_STR(four("near"), "192.0.2.12:80");
    conf_write(TWO);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    op = op_of("near", AF_INET);
    CHECK_RES(now(&op), NART_ENONAME); /* near.one.test */
    CHECK(strstr(op.lookup.text, one.servers));
    CHECK_EQ(dns_queries(&two), 0);
}
