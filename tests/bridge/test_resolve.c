/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Look-ups of names by C, and sleeping on tokio's clock. */
#include "bridge.h"
#include "resolver.h"

#include <nart/net.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Submits and waits. Returns the result, and the number of addresses. */
static nart_res resolve(const char *host, nart_tokio_op *op, int64_t *n)
{
    CHECK_RES(nart_tokio_resolve(bridge, host, op), 0);
    return wait_for_answer(op, n);
}

static void is_address(const nart_addr *addr, const char *text)
{
    char buf[NART_ADDR_TEXT];

    CHECK(nart_addr_format(addr, buf, sizeof buf) > 0);
    CHECK_STR(buf, text);
}

/* ---- names ---- */

TEST_WITH(a_name_has_one_address, both)
{
    nart_tokio_op op = { 0 };
    nart_addr addr;
    int64_t n = 0;

    CHECK_RES(nart_tokio_resolve(bridge, "served.test:8080", &op), 0);
    CHECK_RES(await_op(&op, &n), 0);
    CHECK_EQ(n, 1);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "127.0.0.1:8080");
    CHECK_RES(nart_tokio_addrs(&op, &addr, 1), 1);
    is_address(&addr, "127.0.0.1:8080");
    CHECK_EQ(read_word(&served), 1);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_addrs(&op, &addr, 1), 0);
}

TEST_WITH(addresses_are_in_the_resolvers_order, both)
{
    nart_tokio_op op = { 0 };
    nart_addr addr[3] = { 0 };
    int64_t n = 0;

    CHECK_RES(resolve("two.test:65535", &op, &n), 0);
    CHECK_EQ(n, 2);
    CHECK_RES(nart_tokio_addrs(&op, NULL, 0), 2);
    CHECK_RES(nart_tokio_addrs(&op, NULL, 1), -EINVAL);
    CHECK_RES(nart_tokio_addrs(&op, addr, 1), 2); /* the first one */
    is_address(&addr[0], "127.0.0.2:65535");
    CHECK_EQ(addr[1].len, 0);
    CHECK_RES(nart_tokio_addrs(&op, addr, 3), 2);
    is_address(&addr[0], "127.0.0.2:65535");
    is_address(&addr[1], "[::1]:65535");
    CHECK_EQ(addr[2].len, 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_name_that_does_not_exist, both)
{
    nart_tokio_op op = { 0 };
    nart_addr addr;

    set_word(&resolver_gate, 1);
    CHECK_RES(resolve("a.hangs.test:1", &op, NULL), NART_EDNS);
    CHECK(*nart_tokio_op_message(&op, NULL) != '\0');
    CHECK_RES(nart_tokio_addrs(&op, &addr, 1), 0);
    CHECK_STR(nart_err_name(NART_EDNS), "NART_EDNS");
    nart_tokio_op_close(&op);
}

/* ---- no name ---- */

TEST_WITH(an_address_needs_no_look_up, both)
{
    static const char *const texts[] = { "127.0.0.1:80", "[::1]:443", "[fe80::1%2]:0" };
    nart_tokio_op busy = { 0 }, op = { 0 };
    int64_t n = 0;
    nart_addr addr;

    occupy_worker(&busy);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK_RES(nart_tokio_resolve(bridge, texts[i], &op), 0);
        CHECK_RES(nart_tokio_op_try(&op, &n), 0);
        CHECK_EQ(n, 1);
        CHECK_RES(nart_tokio_addrs(&op, &addr, 1), 1);
        is_address(&addr, texts[i]);
        nart_tokio_op_close(&op);
    }
    release_worker(&busy);
}

TEST_WITH(what_is_neither_is_refused, both)
{
    static const char *const texts[] = {
        "",
        "a",
        ":80",
        "a:",
        "a:65536",
        "a:+1",
        "a:1 ",
        "a:b:1",
        "a b:1",
        "a/b:1",
        "::1:80",
        "[::1]",
        "127.0.0.256:1",
        "127.1:80",
        "127.1.:80",
        "1:80",
        "0x7f000001:1",
        "http://a:80",
        "a\xe4.b:1",
        "a:000080",
        ".:1",
    };
    char name[300];
    nart_tokio_op op = { 0 };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (nart_tokio_resolve(bridge, texts[i], &op) != -EINVAL)
            test_fail(__FILE__, __LINE__, "accepted: %s", texts[i]);
    memset(name, 'a', 254);
    strcpy(name + 254, ":1");
    CHECK_RES(nart_tokio_resolve(bridge, name, &op), -EINVAL);
    CHECK_RES(nart_tokio_resolve(bridge, NULL, &op), -EINVAL);
    CHECK_RES(nart_tokio_resolve(NULL, "a:1", &op), -EINVAL);
    CHECK_RES(nart_tokio_resolve(bridge, "a:1", NULL), -EINVAL);
    CHECK(op.op == NULL);
    CHECK_EQ(report().submitted, 0);
}

TEST_WITH(other_operations_have_no_addresses, both)
{
    nart_tokio_op op = { 0 };
    nart_addr addr;

    CHECK_RES(nart_tokio_addrs(NULL, &addr, 1), 0);
    CHECK_RES(nart_tokio_addrs(&op, &addr, 1), 0);
    CHECK_RES(test_bytes(bridge, 100, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    CHECK_RES(nart_tokio_addrs(&op, &addr, 1), 0);
    nart_tokio_op_close(&op);
}

/* ---- limits ---- */

TEST(a_bounded_number_of_look_ups)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[12] = { 0 }, more = { 0 };
    char name[32];

    opts.queue_cap = 12;
    both_open_with(&opts);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%d.hangs.test:1", i);
        CHECK_RES(nart_tokio_resolve(bridge, name, &ops[i]), 0);
    }
    CHECK_RES(nart_tokio_resolve(bridge, "served.test:1", &more), -EAGAIN);
    CHECK(more.op == NULL);
    CHECK_RES(nart_tokio_resolve(bridge, "127.0.0.1:1", &more), 0);
    nart_tokio_op_close(&more);
    wait_for(&hanging, 8);
    nart_tokio_op_cancel(&ops[11]); /* its place is free */
    CHECK_RES(wait_for_answer(&ops[11], NULL), NART_EABORTED);
    CHECK_RES(nart_tokio_resolve(bridge, "served.test:1", &more), 0);
    CHECK_RES(nart_tokio_op_try(&more, NULL), NART_PENDING);
    CHECK_EQ(read_word(&hanging), 8); /* at once */
    set_word(&resolver_gate, 1);
    for (int i = 0; i < 11; i++)
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_EDNS);
    CHECK_RES(wait_for_answer(&more, NULL), 0);
    for (int i = 0; i < 12; i++)
        nart_tokio_op_close(&ops[i]);
    nart_tokio_op_close(&more);
}

TEST_WITH(a_shutdown_ends_look_ups, both)
{
    nart_tokio_op op = { 0 };
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;

    CHECK_RES(nart_tokio_resolve(bridge, "0.hangs.test:1", &op), 0);
    wait_for(&hanging, 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 20 * NART_MS, &r), -ETIMEDOUT);
    CHECK_STR(r.leaked_name[0], "look-up 0.hangs.test");
    CHECK_RES(wait_for_answer(&op, NULL), NART_ESHUTDOWN);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_resolve(bridge, "a:1", &op), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_sleep(bridge, 1, &op), NART_ESHUTDOWN);
    set_word(&resolver_gate, 1);
}

TEST_WITH(no_thread_for_a_look_up, both)
{
    nart_tokio_op op = { 0 };

    allow_threads(0);
    CHECK_RES(resolve("served.test:1", &op, NULL), -EAGAIN);
    nart_tokio_op_close(&op);
    allow_threads(INT64_MAX);
    CHECK_RES(resolve("served.test:1", &op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- sleeping ---- */

TEST_WITH(a_sleep_ends_and_is_never_early, both)
{
    static const int64_t times[] = { 0, 1, 3 * NART_MS, 20 * NART_MS };
    nart_tokio_op op = { 0 };

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t begun = clock_now();
        CHECK_RES(nart_tokio_sleep(bridge, times[i], &op), 0);
        CHECK_RES(wait_for_answer(&op, NULL), 0);
        CHECK_LE(begun + times[i], clock_now());
        nart_tokio_op_close(&op);
    }
    CHECK_RES(nart_tokio_sleep(bridge, 3 * NART_MS, &op), 0);
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_sleep_is_cancelled, both)
{
    static const int64_t times[] = { NART_NEVER, NART_NEVER - 1, 3600 * NART_SEC };
    nart_tokio_op op = { 0 };

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        CHECK_RES(nart_tokio_sleep(bridge, times[i], &op), 0);
        CHECK_RES(nart_tokio_op_try(&op, NULL), NART_PENDING);
        nart_tokio_op_cancel(&op);
        CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
        nart_tokio_op_close(&op);
    }
    CHECK_RES(nart_tokio_sleep(bridge, -1, &op), -EINVAL);
    CHECK_RES(nart_tokio_sleep(NULL, 1, &op), -EINVAL);
    CHECK_RES(nart_tokio_sleep(bridge, 1, NULL), -EINVAL);
}
