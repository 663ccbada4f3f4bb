/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The report of the attempts of a connect. */
#include "connect.h"

enum { SPACE = 3 };

static nart_connect_attempt report[SPACE + 1];
static nart_connect_opts opts;

/* An operation that reports, whose clock has just begun. */
static struct op reporting(const char *kinds)
{
    struct op op = to(kinds);

    opts = (nart_connect_opts)NART_CONNECT_OPTS_INIT;
    opts.report = report;
    opts.max_report = SPACE;
    op.opts = &opts;
    memset(report, 0xAB, sizeof report);
    return op;
}

/* Attempt i: to places[place], begun so long after the first. */
static void check(int i, int place, nart_res res, int64_t begin, int64_t took)
{
    CHECK_STR(text_of(&report[i].addr), text_of(&places[place].at));
    CHECK_RES(report[i].res, res);
    CHECK_EQ(report[i].begin - report[0].begin, begin);
    CHECK_EQ(report[i].took, took);
}

TEST_WITH(each_attempt_is_reported, stopped)
{
    struct op op = reporting("rsa");
    int64_t at = nart_rt_now(rt);

    op_start(rt, &op);
    while (op.connect.attempts < 2)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    advance(250 * NART_MS);
    CHECK_RES(answer_of(&op), 0);
    CHECK_EQ(op.connect.attempts, 3);
    CHECK_EQ(report[0].begin, at);
    check(0, 0, -ECONNREFUSED, 0, 0);
    check(1, 1, NART_PENDING, 0, 250 * NART_MS);
    check(2, 2, 0, 250 * NART_MS, 0);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(the_order_is_that_of_the_starts, stopped)
{
    struct op op = reporting("SSs");

    op.limit = 600 * NART_MS;
    op_start(rt, &op);
    advance(250 * NART_MS);
    advance(250 * NART_MS);
    advance(100 * NART_MS);
    CHECK_RES(op.res, -ETIMEDOUT);
    check(0, 0, NART_PENDING, 0, 600 * NART_MS);
    check(1, 2, NART_PENDING, 250 * NART_MS, 350 * NART_MS); /* the other family */
    check(2, 1, NART_PENDING, 500 * NART_MS, 100 * NART_MS);
}

TEST_WITH(what_does_not_fit_is_counted_and_left_out, stopped)
{
    struct op op = reporting("rrrr");
    nart_connect_attempt untouched = report[SPACE];

    op_start(rt, &op);
    CHECK_RES(answer_of(&op), -ECONNREFUSED);
    CHECK_EQ(op.connect.attempts, 4);
    check(2, 2, -ECONNREFUSED, 0, 0);
    CHECK_RES(report[SPACE].res, untouched.res);
    CHECK_EQ(report[SPACE].begin, untouched.begin);
    CHECK_EQ(report[SPACE].took, untouched.took);
    CHECK_EQ(report[SPACE].addr.len, untouched.addr.len);
    opts.report = NULL; /* none */
    opts.max_report = 0;
    op_start(rt, &op);
    CHECK_RES(answer_of(&op), -ECONNREFUSED);
    CHECK_EQ(op.connect.attempts, 4);
    op.n = 0;
    op_start(rt, &op);
    CHECK_RES(op.res, -EINVAL);
    CHECK_EQ(op.connect.attempts, 0);
}

TEST_WITH(whatever_ends_it_the_report_is_whole, stopped)
{
    struct op op = reporting("ss");

    for (int i = 0; i < 2; i++) {
        op_start(rt, &op);
        advance(250 * NART_MS);
        advance(7);
        CHECK_RES(i == 0 ? nart_task_cancel(rt, op.id) : nart_task_abort(rt, op.id), 0);
        settle(rt);
        check(0, 0, NART_PENDING, 0, 250 * NART_MS + 7);
        check(1, 1, NART_PENDING, 250 * NART_MS, 7);
    }
    op_start(rt, &op);
    advance(250 * NART_MS);
    memset(&report[0].took, 0xAB, sizeof report[0].took);
    CHECK_RES(nart_rt_clock_advance(rt, 8), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    check(0, 0, NART_PENDING, 0, 250 * NART_MS + 8);
    check(1, 1, NART_PENDING, 250 * NART_MS, 8);
    rt = new_rt(); /* for the fixture */
}

static nart_res in_a_fiber(nart_cx *cx, void *arg)
{
    return nart_await(cx, op_connect(cx, arg));
}

TEST_WITH(a_fiber_reports_likewise, stopped)
{
    struct op op = reporting("ra");
    nart_res answer = 0;

    nart_res r = nart_fiber_block_on(rt, in_a_fiber, &op, NULL, &answer);
    if (r == -ENOSYS)
        SKIP("no fibers on this processor");
    CHECK_RES(r, 0);
    CHECK_RES(answer, 0);
    check(0, 0, -ECONNREFUSED, 0, 0);
    check(1, 1, 0, 0, 0);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}
