/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connecting by name. The clock is stopped: only the name server and the test decide what happens when. */
#include "dns.h"

#include "op.h"

#include <nart/clock.h>

enum { SIX, FOUR, FOUR_TOO, HOSTS };

static const struct dns_record records[] = {
    { "both.test", ns_t_aaaa, "::1", 0, 60 },
    { "both.test", ns_t_a, "127.0.0.1", 0, 60 },
    { "four.test", ns_t_a, "127.0.0.1", 0, 60 },
    { "six.test", ns_t_aaaa, "::1", 0, 60 },
    { "latesix.test", ns_t_aaaa, "::1", DNS_HELD, 60 },
    { "latesix.test", ns_t_a, "127.0.0.1", 0, 60 },
    { "latefour.test", ns_t_aaaa, "::1", 0, 60 },
    { "latefour.test", ns_t_a, "127.0.0.1", DNS_HELD, 60 },
    { "neversix.test", ns_t_aaaa, NULL, DNS_SERVFAIL, 0 },
    { "neversix.test", ns_t_a, "127.0.0.1", 0, 60 },
    { "fails.test", ns_t_aaaa, NULL, DNS_SERVFAIL, 0 },
    { "halffails.test", ns_t_aaaa, NULL, DNS_SERVFAIL, 0 },
    { "halffails.test", ns_t_txt, "x", 0, 0 },
    { "fails.test", ns_t_a, NULL, DNS_SERVFAIL, 0 },
    { "marker.test", ns_t_a, "192.0.2.1", 0, 60 },
    { NULL, 0, NULL, 0, 0 },
};

/* The fixture `served`: a paused runtime, a name server, a resolver. Then places[] of one port. */
FIXTURE_PAUSED();
static struct dns dns;
static nart_resolver *resolver;
static struct place places[HOSTS];
static uint16_t port;

static const char *const hosts[HOSTS] = { "[::1]:", "127.0.0.1:", "127.0.0.2:" };

static void served_open(void)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;

    paused_open();
    dns_open(&dns, records);
    o.servers = dns.servers;
    o.domains = "";
    CHECK_RES(nart_resolver_new(rt, &o, &resolver), 0);
}

static void served_close(void)
{
    paused_close();
    dns_finish(&dns);
}

/* Opens the places for IPv6 and IPv4, of one port. */
static void places_open(int six, int four)
{
    char text[NART_ADDR_TEXT];

    for (;;) {
        place_open(&places[FOUR], "127.0.0.1:0", four);
        port = nart_addr_port(&places[FOUR].at);
        snprintf(text, sizeof text, "%s%u", hosts[SIX], port);
        if (place_try(&places[SIX], text, six))
            return;
        place_finish(&places[FOUR]); /* the port is in use there */
    }
}

static void places_close(void)
{
    place_finish(&places[SIX]);
    place_finish(&places[FOUR]);
}

struct op {
    OP_FIELDS;
    const char *name;
    nart_connect_opts opts;
    nart_connect connect;
    nart_tcp s;
    bool named; /* its name has the port */
};

static nart_res op_connect(nart_cx *cx, struct op *op)
{
    return nart_tcp_connect_host(cx, &op->connect, &op->s, op->name, op->named ? 0 : port,
                                 &op->opts);
}

OP_TASK(op_connect);

static struct op op_of(const char *name)
{
    return (struct op){ .limit = NART_NEVER,
                        .name = name,
                        .opts = { .size = sizeof(nart_connect_opts), .resolver = resolver } };
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

static bool is_connected_to(const nart_tcp *s, int place)
{
    nart_addr peer;

    CHECK_RES(nart_tcp_peer_addr(s, &peer), 0);
    return strcmp(text_of(&peer), text_of(&places[place].at)) == 0;
}

/* Waits until the server's answers to all earlier questions about this name and family have been received. */
struct marker {
    nart_lookup lookup;
    const char *name;
    int family;
};

static nart_res marker_run(nart_cx *cx, void *frame)
{
    struct marker *f = frame;
    nart_lookup_opts o = NART_LOOKUP_OPTS_INIT;
    nart_addr out[4];

    o.resolver = resolver;
    o.family = f->family;
    return nart_resolve(cx, &f->lookup, f->name, 0, out, 4, &o);
}

TYPE(marker, marker_run);

static void received(const char *name, int family)
{
    CHECK_LE(1, run(rt, &marker_type, &(struct marker){ .name = name, .family = family }));
    settle(rt);
}

static void advance(int64_t ns)
{
    CHECK_RES(nart_rt_clock_advance(rt, ns), 0);
    settle(rt);
}

/* ---- connecting ---- */

TEST_WITH(a_name_is_connected_to, served)
{
    struct op op = op_of("both.test");

    places_open(ANSWERS, ANSWERS);
    CHECK_RES(now(&op), 0);
    CHECK_STR(op.connect.text, "");
    CHECK_RES(nart_tcp_close(&op.s), 0);
    op.name = "four.test";
    CHECK_RES(now(&op), 0); /* the other question has no answer */
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    op.name = "six.test";
    CHECK_RES(now(&op), 0);
    CHECK(is_connected_to(&op.s, SIX));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    op.name = "neversix.test";
    CHECK_RES(now(&op), 0); /* the clock stands still */
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
}

TEST_WITH(a_warm_cache_needs_no_question_and_prefers_ipv6, served)
{
    struct op op = op_of("both.test");

    places_open(ANSWERS, ANSWERS);
    received("both.test", AF_INET6);
    received("both.test", AF_INET);
    uint32_t asked = dns_queries(&dns);
    for (int i = 0; i < 10; i++) {
        CHECK_RES(now(&op), 0);
        CHECK(is_connected_to(&op.s, SIX));
        CHECK_RES(nart_tcp_close(&op.s), 0);
    }
    CHECK_EQ(dns_queries(&dns), asked);
    places_close();
}

TEST_WITH(the_other_family_is_tried_when_one_refuses, served)
{
    struct op op = op_of("both.test");

    places_open(REFUSES, ANSWERS);
    CHECK_RES(now(&op), 0);
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
    places_open(ANSWERS, REFUSES);
    CHECK_RES(now(&op), 0);
    CHECK(is_connected_to(&op.s, SIX));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
}

TEST_WITH(ipv4_waits_for_ipv6_for_the_resolution_delay, served)
{
    struct op op = op_of("latesix.test");
    int before = descriptors();

    places_open(ANSWERS, ANSWERS);
    int opened = descriptors() - before;
    op_start(rt, &op);
    received("latesix.test", AF_INET);
    int waits = descriptors();
    advance(50 * NART_MS - 1);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_EQ(descriptors(), waits);
    advance(1);
    CHECK_RES(answer_of(&op), 0);
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_LE(before + opened + 1, descriptors());
    CHECK_RES(nart_tcp_close(&op.s), 0);
    dns_release(&dns);
    places_close();
}

TEST_WITH(ipv6_that_comes_within_the_delay_is_first, served)
{
    struct op op = op_of("latesix.test");

    places_open(ANSWERS, ANSWERS);
    op_start(rt, &op);
    received("latesix.test", AF_INET);
    advance(50 * NART_MS - 1);
    CHECK_RES(op.res, NART_PENDING);
    dns_release(&dns);
    CHECK_RES(answer_of(&op), 0);
    CHECK(is_connected_to(&op.s, SIX));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
}

TEST_WITH(addresses_that_come_later_are_tried_too, served)
{
    struct op op = op_of("latesix.test");

    places_open(ANSWERS, SILENT);
    op.opts.resolution_delay = 1;
    op_start(rt, &op);
    received("latesix.test", AF_INET);
    advance(1); /* IPv4 is under way */
    dns_release(&dns);
    received("latesix.test", AF_INET6);
    CHECK_RES(op.res, NART_PENDING);
    advance(250 * NART_MS);
    CHECK_RES(answer_of(&op), 0);
    CHECK(is_connected_to(&op.s, SIX));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
}

TEST_WITH(ipv6_does_not_wait_for_ipv4, served)
{
    struct op op = op_of("latefour.test");

    places_open(ANSWERS, ANSWERS);
    CHECK_RES(now(&op), 0);
    CHECK(is_connected_to(&op.s, SIX));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    dns_release(&dns);
    places_close();
    places_open(REFUSES, ANSWERS); /* it has failed before IPv4 is known */
    op.name = "latefour.test";
    op_start(rt, &op);
    CHECK_RES(answer_of(&op), 0);
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
}

TEST_WITH(a_numeric_address_needs_no_server, served)
{
    struct op op = op_of("127.0.0.1");

    places_open(ANSWERS, ANSWERS);
    CHECK_RES(now(&op), 0);
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    op.name = "::1";
    CHECK_RES(now(&op), 0);
    CHECK(is_connected_to(&op.s, SIX));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    CHECK_EQ(dns_queries(&dns), 0);
    places_close();
}

TEST_WITH(the_name_may_have_the_port, served)
{
    struct op op = op_of(NULL);
    char name[64];

    places_open(REFUSES, ANSWERS);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s:%u", i ? "127.0.0.1" : "both.test", port);
        op.name = name;
        op.named = true;
        CHECK_RES(now(&op), 0);
        CHECK(is_connected_to(&op.s, FOUR));
        CHECK_RES(nart_tcp_close(&op.s), 0);
        op.named = false;
        CHECK_RES(now(&op), -EINVAL);
        CHECK_STR(op.connect.text, "the port is given twice");
    }
    op.named = true;
    op.name = "none.test:80";
    CHECK_RES(now(&op), NART_ENONAME);
    CHECK(strstr(op.connect.text, "none.test: A") == op.connect.text);
    for (int i = 0; i < 3; i++) {
        static const char *const signs[] = { "both.test:+80", "127.0.0.1:+80", "both.test:-80" };
        op.name = signs[i];
        CHECK_RES(now(&op), -EINVAL);
        CHECK_STR(op.connect.text, "this is neither a port nor a service");
    }
    for (int i = 0; i < 3; i++) {
        static const char *const zeros[] = { "both.test:0", "127.0.0.1:0", "both.test" };
        op.name = zeros[i];
        CHECK_RES(now(&op), -EINVAL);
        CHECK(strncmp(op.connect.text, "port 0: ", 8) == 0);
    }
    op.name = "::1%nowhere";
    CHECK_RES(now(&op), -ENODEV);
    CHECK_STR(op.connect.text, "no interface has this name");
    places_close();
}

/* ---- failures ---- */

TEST_WITH(the_text_names_what_was_tried, served)
{
    struct op op = op_of("both.test");
    char expected[NART_CONNECT_TEXT];

    places_open(REFUSES, REFUSES);
    received("both.test", AF_INET6);
    received("both.test", AF_INET);
    CHECK_RES(now(&op), -ECONNREFUSED);
    snprintf(expected, sizeof expected, "both.test: %s: ECONNREFUSED; %s: ECONNREFUSED",
             text_of(&places[SIX].at), text_of(&places[FOUR].at));
    CHECK_STR(op.connect.text, expected);
    op = op_of("none.test");
    CHECK_RES(now(&op), NART_ENONAME);
    CHECK(strstr(op.connect.text, "none.test: ") == op.connect.text);
    CHECK(strstr(op.connect.text, "AAAA: ") && strstr(op.connect.text, "; A: "));
    op = op_of("fails.test");
    CHECK_RES(now(&op), NART_EDNS);
    op = op_of("halffails.test");
    CHECK_RES(now(&op), NART_EDNS); /* the one that another try may mend */
    op = op_of("a..b");
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "this is no name of a host");
    op = op_of("both.test");
    op.opts.resolution_delay = -1;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "resolution_delay is negative");
    places_close();
}

TEST_WITH(leaving_while_the_name_is_asked_for, served)
{
    struct op op = op_of("latesix.test");

    places_open(ANSWERS, ANSWERS);
    op.limit = NART_MS;
    op_start(rt, &op);
    received("latesix.test", AF_INET);
    advance(NART_MS);
    CHECK_RES(op.res, -ETIMEDOUT);
    CHECK(strstr(op.connect.text, "latesix.test: AAAA: pending; 127.0.0.1:"));
    op.limit = NART_NEVER;
    op_start(rt, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    op_start(rt, &op);
    CHECK_RES(nart_task_abort(rt, op.id), 0);
    settle(rt);
    op_start(rt, &op);
    CHECK_RES(nart_resolver_free(resolver), 0);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(answer_of(&op), 0); /* IPv4 was known */
    CHECK(is_connected_to(&op.s, FOUR));
    CHECK_RES(nart_tcp_close(&op.s), 0);
    places_close();
}

TEST_WITH(without_memory_it_fails, served)
{
    struct op op = op_of("both.test");

    places_open(ANSWERS, ANSWERS);
    for (long n = 1; n <= 2; n++) {
        test_alloc_fail(n, false);
        op_start(rt, &op);
        test_alloc_fail(0, false);
        if (op.res == NART_PENDING) { /* it was the memory of a socket of c-ares */
            CHECK_RES(nart_task_cancel(rt, op.id), 0);
            settle(rt);
        } else {
            CHECK_RES(op.res, -ENOMEM);
        }
    }
    places_close();
}
