/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Name servers that are dead, lie, or answer late. */
#include "lookup.h"

TEST_WITH(lies_are_ignored, served)
{
    CHECK_STR(four("id.test"), "192.0.2.6:80");
    CHECK_STR(four("question.test"), "192.0.2.7:80");
    CHECK_STR(four("mirror.test"), "192.0.2.17:80");
    CHECK_STR(four("garbage.test"), "192.0.2.8:80");
    CHECK_STR(four("elsewhere.test"), "192.0.2.13:80");
    CHECK_STR(four("giant.test"), "192.0.2.14:80");
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

/* The kernel reports a refusal once. It must end all questions to the server, because none of these has a timeout. */
TEST_WITH(one_refusal_ends_every_question_to_a_dead_server, served)
{
    static struct op many[MANY];
    char servers[64];
    static char names[MANY][16];
    nart_resolver_opts o = asks();
    OPEN(place, dead, "127.0.0.1:0", REFUSES);

    snprintf(servers, sizeof servers, "%s", text_of(&dead.at));
    o.servers = servers;
    o.timeout = NART_NEVER;
    o.tries = 1;
    use(o);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%d.test", i);
        many[i] = op_of(names[i], AF_UNSPEC);
        op_start(rt, &many[i]);
    }
    for (int i = 0; i < MANY; i++)
        CHECK_RES(answer_of(&many[i]), NART_EDNS);
}

/* One lookup for each of the lengths to which the answer is cut, of which there are a few more. */
static void cut(int kind, const char *name, int lengths)
{
    nart_resolver_opts o = asks();
    struct op op = op_of(name, AF_INET);
    int answered = 0;

    o.timeout = 5 * NART_MS;
    o.tries = 1;
    o.flags = NART_RESOLVER_NO_CACHE;
    use(o);
    op = op_of(name, AF_INET);
    op.kind = kind;
    op.cap = kind == SRV ? 4 : PLACES;
    CHECK_RES(nart_addr_parse(&op.addr, "192.0.2.15:80"), 0);
    for (int i = 0; i < lengths; i++) {
        nart_res r = now(&op);
        if (r > 0)
            answered++;
        else if (r != NART_EDNS && r != NART_EDNS_TIMEOUT && r != NART_ENONAME)
            test_fail(__FILE__, __LINE__, "length %d: %s", i, nart_err_name(r));
    }
    CHECK_LE(answered, 1); /* the whole answer */
}

TEST_WITH(an_answer_that_is_cut_off_is_none, served)
{
    cut(ADDRS, "cut.test", 50);
    cut(REVERSE, NULL, 80);
    cut(SRV, "_cut._tcp.test", 70);
}

TEST_WITH(an_answer_by_tcp_that_is_cut_off_is_none, served)
{
    cut(ADDRS, "tcpcut.test", 55);
}

TEST_WITH(thousands_of_addresses_are_taken_as_far_as_they_fit, served)
{
    struct op op = op_of("many.test", AF_INET);

    CHECK_RES(now(&op), PLACES);
    CHECK_STR(text_of(&op.out[PLACES - 1]), "192.0.2.17:80");
}

TEST_WITH(an_answer_after_the_end_of_its_resolver_harms_nobody, served)
{
    struct op op = op_of("late.test", AF_INET);

    op_start(rt, &op);
    CHECK_RES(nart_resolver_free(resolver), 0);
    CHECK_RES(answer_of(&op), NART_EABORTED);
    use(asks());
    dns_release(&dns);
    CHECK_STR(four("four.test"), "192.0.2.4:80"); /* after the late one */
}
