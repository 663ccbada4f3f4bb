/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Look-ups of names that hang: nothing else waits for them, and the end of a bridge reports them. */
#include "bridge.h"
#include "resolver.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ---- requests; there is no server at port 1 ---- */

static void begin(const char *name, int64_t timeout, nart_tokio_op *op)
{
    char url[64];
    nart_http_opts opts = NART_HTTP_OPTS_INIT;

    snprintf(url, sizeof url, "http://%s:1/", name);
    opts.url = url;
    opts.timeout_ns = timeout;
    CHECK_RES(nart_http_request(bridge, &opts, op), 0);
}

static nart_res end(nart_tokio_op *op)
{
    nart_res r = wait_for_answer(op, NULL);
    CHECK(*nart_tokio_op_message(op, NULL) != '\0');
    nart_tokio_op_close(op);
    return r;
}

static nart_res fetch(const char *name, int64_t timeout)
{
    nart_tokio_op op = { 0 };
    begin(name, timeout, &op);
    return end(&op);
}

/* Requests to so many names whose look-ups hang. */
enum { MAX = 8 }; /* at once */

static void hang(nart_tokio_op *ops, int n)
{
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.hangs.test", i);
        begin(name, NART_NEVER, &ops[i]);
    }
    wait_for(&hanging, n < MAX ? (uint64_t)n : MAX);
}

static void let_go(nart_tokio_op *ops, int n)
{
    set_word(&resolver_gate, 1);
    for (int i = 0; i < n; i++)
        CHECK_RES(end(&ops[i]), NART_EHTTP_DNS);
}

static nart_res seven(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    return 7;
}

TEST_WITH(blocking_functions_do_not_wait_for_names, both)
{
    enum { MANY = 32 };
    nart_tokio_op ops[MANY] = { 0 }, job = { 0 };
    int64_t value = 0;

    hang(ops, MANY);
    CHECK_RES(nart_tokio_blocking(bridge, "seven", seven, NULL, NULL, &job), 0);
    CHECK_RES(wait_for_answer(&job, &value), 0);
    CHECK_EQ(value, 7);
    nart_tokio_op_close(&job);
    CHECK_EQ(read_word(&hanging), MAX); /* the rest waits */
    let_go(ops, MANY);
    CHECK_EQ(read_word(&hanging), MANY);
}

TEST_WITH(a_look_up_that_hangs_occupies_one_thread, both)
{
    enum { MANY = 32 };
    nart_tokio_op ops[MANY] = { 0 }, first = { 0 };

    hang(&first, 1);
    for (int i = 0; i < MANY; i++)
        begin("0.hangs.test", 20 * NART_MS, &ops[i]);
    for (int i = 0; i < MANY; i++)
        CHECK_RES(end(&ops[i]), NART_EHTTP_TIMEOUT);
    CHECK_RES(fetch("served.test", NART_NEVER), NART_EHTTP_CONNECT);
    CHECK_EQ(read_word(&served), 1);
    CHECK_EQ(read_word(&hanging), 1);
    let_go(&first, 1);
}

TEST_WITH(a_queued_name_without_requests_is_not_looked_up, both)
{
    nart_tokio_op ops[MAX] = { 0 };

    hang(ops, MAX);
    CHECK_RES(fetch("served.test", 20 * NART_MS), NART_EHTTP_TIMEOUT);
    let_go(ops, MAX);
    CHECK_EQ(read_word(&served), 0);
    CHECK_RES(fetch("served.test", NART_NEVER), NART_EHTTP_CONNECT);
    CHECK_EQ(read_word(&served), 1);
}

TEST_WITH(addresses_need_no_look_up, both)
{
    nart_tokio_op ops[MAX] = { 0 };

    hang(ops, MAX);
    CHECK_RES(fetch("127.0.0.1", NART_NEVER), NART_EHTTP_CONNECT);
    CHECK_RES(fetch("[::1]", NART_NEVER), NART_EHTTP_CONNECT);
    let_go(ops, MAX);
}

/* ---- the end ---- */

TEST_WITH(a_shutdown_reports_running_look_ups, both)
{
    nart_tokio_op ops[MAX + 1] = { 0 };
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;

    hang(ops, MAX + 1);
    CHECK_RES(nart_tokio_shutdown(bridge, 20 * NART_MS, &r), -ETIMEDOUT);
    CHECK_LE(MAX, r.leaked_threads); /* tokio's may be late, too */
    CHECK_EQ(r.leaked_blocking, 0);
    for (int i = 0; i < MAX; i++) { /* in any order */
        int name = -1, n = 0;
        CHECK_EQ(sscanf(r.leaked_name[i], "look-up %d.hangs.test%n", &name, &n), 1);
        CHECK(name >= 0 && name <= MAX && r.leaked_name[i][n] == '\0');
    }
    for (int i = 0; i <= MAX; i++) {
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_ESHUTDOWN);
        nart_tokio_op_close(&ops[i]);
    }
    both_close(); /* the look-ups still run, and end late */
    set_word(&resolver_gate, 1);
}

TEST_WITH(a_shutdown_waits_for_running_look_ups, both)
{
    nart_tokio_op op = { 0 }, down = { 0 };

    hang(&op, 1);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, 30 * NART_SEC, &down), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_ESHUTDOWN);
    set_word(&resolver_gate, 1);
    CHECK_RES(wait_for_answer(&down, NULL), 0);
    CHECK_EQ(report().leaked_threads, 0);
    nart_tokio_op_close(&op);
    nart_tokio_op_close(&down);
}

TEST_WITH(the_bridge_is_freed_during_a_look_up, both)
{
    nart_tokio_op ops[MAX + 1] = { 0 };

    hang(ops, MAX + 1);
    nart_tokio_free(bridge);
    bridge = NULL;
    for (int i = 0; i <= MAX; i++) {
        CHECK_RES(wait_for_answer(&ops[i], NULL), NART_ESHUTDOWN);
        nart_tokio_op_close(&ops[i]);
    }
    set_word(&resolver_gate, 1);
    CHECK_EQ(read_word(&hanging), MAX);
}

/* ---- when the system has no threads ---- */

TEST(requests_fail_if_no_thread_can_be_started)
{
    both_open();
    allow_threads(0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(fetch("served.test", NART_NEVER), -EAGAIN);
    allow_threads(INT64_MAX);
    CHECK_EQ(read_word(&served), 0);
    CHECK_RES(fetch("served.test", NART_NEVER), NART_EHTTP_CONNECT);
    CHECK_EQ(read_word(&served), 1);
}
