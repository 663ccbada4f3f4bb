/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many lookups, and the ways to leave one. */
#include "lookup.h"

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

/* Lookups that are left in every way at every step, beside others that stay. */
TEST_WITH(hundreds_leave_at_different_steps, served)
{
    enum { STEPS = 8, WAYS = 4 };
    static struct op ops[400];
    static char names[400][32];
    const int n = sizeof ops / sizeof *ops;

    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "leave%d.test", i);
        ops[i] = op_of(i % 3 ? names[i] : "late.test", AF_INET);
        if (i % WAYS == 1)
            ops[i].limit = i % STEPS;
        op_spawn(rt, &ops[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < n; i++) {
            if (i / WAYS % STEPS == step && i % WAYS == 2)
                (void)nart_task_cancel(rt, ops[i].id);
            if (i / WAYS % STEPS == step && i % WAYS == 3)
                (void)nart_task_abort(rt, ops[i].id);
        }
        CHECK_LE(0, nart_rt_poll(rt, 0));
    }
    dns_release(&dns);
    for (int i = 0; i < n; i += WAYS)
        CHECK_RES(answer_of(&ops[i]), i % 3 ? NART_ENONAME : 1);
    for (int i = 1; i < n; i++) {
        nart_res r = i % WAYS == 3 ? ops[i].res : answer_of(&ops[i]);
        nart_res left = i % WAYS == 1 ? -ETIMEDOUT : i % WAYS == 2 ? -ECANCELED : NART_PENDING;
        if (r != left && r != (i % 3 ? NART_ENONAME : 1) && (i % WAYS != 3 || r != -ECANCELED))
            test_fail(__FILE__, __LINE__, "lookup %d: %s", i, nart_err_name(r));
    }
}

/* ---- ways to leave ---- */

TEST_WITH(a_lookup_is_cancelled_and_its_answer_still_kept, served)
{
    struct op op = op_of("late.test", AF_INET);

    op_start(rt, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    struct op other = op_of("late.test", AF_INET); /* finds the query under way */
    op_start(rt, &other);
    dns_release(&dns);
    CHECK_RES(answer_of(&other), 1);
    CHECK_EQ(dns_queries(&dns), 1);
}

TEST_WITH(an_answer_that_comes_too_late_is_kept_for_the_next, served)
{
    struct op op = op_of("late.test", AF_INET), marker = op_of("later.test", AF_INET);

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
    struct op op = op_of("late.test", AF_INET);

    CHECK_RES(run(rt, &racer_type, &(struct racer){ .op = &op }), 1);
    CHECK_EQ(dns_queries(&dns), 1);
}

TEST(an_aborted_lookup_and_a_freed_runtime_leave_nothing)
{
    served_open();
    struct op op = op_of("late.test", AF_INET), other = op_of("late.test", AF_INET),
              third = op_of("later.test", AF_INET);

    op_start(rt, &op);
    op_start(rt, &other);
    op_start(rt, &third);
    CHECK_RES(nart_task_abort(rt, op.id), 0);
    settle(rt);
    served_close();
}

TEST_WITH(lookups_of_a_freed_resolver_answer, served)
{
    struct op op = op_of("late.test", AF_INET), other = op_of("late.test", AF_INET);
    nart_resolver *freed = resolver;

    op_start(rt, &op);
    op_start(rt, &other);
    CHECK_RES(nart_resolver_free(freed), 0);
    CHECK_RES(answer_of(&op), NART_EABORTED);
    CHECK_RES(answer_of(&other), NART_EABORTED);
    CHECK_RES(nart_resolver_free(NULL), 0);
}

/* Of which the answer of one family has come. */
TEST_WITH(a_lookup_of_a_freed_resolver_answers_no_half, served)
{
    struct op op = op_of("half.test", AF_UNSPEC);

    op_start(rt, &op);
    while (dns_queries(&dns) < 2)
        CHECK_LE(0, nart_rt_poll(rt, NART_MS));
    CHECK_STR(four("fleeting.test"), "192.0.2.5:80"); /* behind the answer */
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_resolver_free(resolver), 0);
    CHECK_RES(answer_of(&op), NART_EABORTED);
}

TEST_WITH(polls_for_no_reason_change_nothing, served)
{
    struct op op = op_of("late.test", AF_INET);

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
    struct op op = op_of("late.test", AF_INET);
    nart_res answer = 0;

    nart_res r = nart_fiber_block_on(rt, in_a_fiber, &op, NULL, &answer);
    if (r == -ENOSYS)
        SKIP("no fibers on this processor");
    CHECK_RES(r, 0);
    CHECK_RES(answer, 1);
    CHECK_EQ(dns_queries(&dns), 1);
}
