/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A task that repeats a failing operation for ever lets the others run, whichever operation it is: an error costs an
 * answer of the budget where it is awaited. */
#include "reports.h"
#include "runtime.h"

#include <nart/fiber.h>
#include <nart/nart.h>
#include <nart/pipe.h>
#include <nart/process.h>

#include <string.h>

enum { ARGUMENTS = 8, SIZE = 4096, MOST = 4 * NART_BUDGET };

static _Alignas(64) char zeros[ARGUMENTS][SIZE]; /* the arguments of an operation */

static void *zero(int i)
{
    return zeros[i];
}

#define OPERATION(name, ...)                                                                       \
    static nart_res call_##name(nart_cx *cx)                                                       \
    {                                                                                              \
        return name(__VA_ARGS__);                                                                  \
    }
#include "operations.h"
#undef OPERATION
#define OPERATION(name, ...) { #name, call_##name },

static const struct {
    const char *name;
    nart_res (*call)(nart_cx *cx);
} operations[] = {
#include "operations.h"
};

FIXTURE_RT(.report = keep_report); /* of the locks that the loops take and do not release */

enum { BODY, FIBER };

static nart_res (*op)(nart_cx *cx);
static int answers; /* that the first task got before the other one has run */
static bool other_ran;

/* Answers before it enters, as an operation of the user's own may. */
static nart_res fails_at_once(nart_cx *cx)
{
    (void)cx;
    return -EINVAL;
}

struct looper {
    nart_co co;
};

static nart_res looper_run(nart_cx *cx, void *frame)
{
    struct looper *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (!other_ran && answers <= MOST) {
        NART_AWAIT(r, op(cx));
        answers++;
    }
    NART_END(r);
}

static const nart_task_type looper_type = NART_TASK_TYPE(struct looper, looper_run, NULL);

static nart_res fiber_run(nart_cx *cx, void *arg)
{
    nart_res r = 0;
    (void)arg;

    while (!other_ran && answers <= MOST) {
        r = nart_await(cx, op(cx));
        answers++;
    }
    return r;
}

static nart_res other_run(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    other_ran = true;
    return 0;
}

static const nart_task_type other_type = NART_TASK_TYPE(char, other_run, NULL);

static void spawn_looper(uint32_t form, nart_join *join)
{
    if (form == FIBER)
        CHECK_RES(nart_rt_fiber_spawn(rt, fiber_run, NULL, NULL, join), 0);
    else
        CHECK_RES(nart_rt_spawn(rt, &looper_type, NULL, join), 0);
}

static void lets_another_run(const char *name, nart_res (*call)(nart_cx *cx), uint32_t form)
{
    nart_join join = { 0 };

    op = call;
    answers = 0;
    other_ran = false;
    memset(zeros, 0, sizeof zeros);
    spawn_looper(form, &join);
    CHECK_RES(nart_rt_spawn(rt, &other_type, NULL, NULL), 0);
    settle(rt);
    if (!other_ran || answers > MOST)
        test_fail(__FILE__, __LINE__, "%s: %d answers, and no other task has run", name, answers);
    if (!nart_join_done(&join))
        CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    while (!nart_join_done(&join))
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    nart_join_release(&join);
    if (strncmp(name, "nart_file_", 10) == 0 || strncmp(name, "nart_path_", 10) == 0 ||
        strncmp(name, "nart_dir_", 9) == 0)
        nart_file_op_close(zero(0)); /* a thread may still run its function */
}

static void each_operation(uint32_t form)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        lets_another_run(operations[i].name, operations[i].call, form);
    lets_another_run("fails_at_once", fails_at_once, form);
}

TEST_WITH(a_loop_over_a_failing_operation_lets_others_run, rt)
{
    each_operation(BODY);
}

TEST_WITH(a_loop_of_a_fiber_over_a_failing_operation_lets_others_run, rt)
{
    each_operation(FIBER);
}

/* ---- more ways to loop ---- */

static nart_res fails_by_turns(nart_cx *cx)
{
    return answers % 2 ? fails_at_once(cx) : nart_op_enter(cx);
}

/* A body that gets an error and passes it on. */
static nart_co inner;
static nart_timer timer;

static nart_res body_fails(nart_cx *cx)
{
    nart_res r = 0;

    NART_BEGIN(cx, &inner);
    NART_AWAIT_FOR(r, NART_SEC, fails_at_once(cx));
    NART_END(r);
}

static nart_res race_fails(nart_cx *cx)
{
    nart_res r = 0;
    int which;

    NART_BEGIN(cx, &inner);
    NART_AWAIT_ANY(which, r, nart_sleep(cx, &timer, NART_SEC), fails_at_once(cx));
    CHECK_EQ(which, 1);
    NART_END(r);
}

static nart_res stop_fails(nart_cx *cx)
{
    nart_res r = 0;

    NART_BEGIN(cx, &inner);
    NART_STOP(r, fails_at_once(cx));
    NART_END(r);
}

TEST_WITH(errors_within_bodies_races_and_stops_are_counted, rt)
{
    static nart_res (*const fails[])(nart_cx *) = { fails_by_turns, body_fails, race_fails,
                                                    stop_fails };

    for (size_t i = 0; i < sizeof fails / sizeof *fails; i++) {
        nart_co_init(&inner);
        lets_another_run("a body", fails[i], BODY);
        nart_co_init(&inner);
        lets_another_run("a body in a fiber", fails[i], FIBER);
    }
}

/* An error whose operation was charged is not charged twice. */
static nart_res enters_and_fails(nart_cx *cx)
{
    nart_res r = nart_op_enter(cx);
    return r ? r : -EINVAL;
}

TEST_WITH(an_error_costs_one_answer, rt)
{
    lets_another_run("an error that was charged", enters_and_fails, BODY);
    CHECK_LE(NART_BUDGET, answers);
    lets_another_run("an error that was charged", enters_and_fails, FIBER);
    CHECK_LE(NART_BUDGET, answers);
}

/* A cancelled task that does not end, and whose operations fail before they look, has the patience of all others. */
static nart_res deaf_run(nart_cx *cx, void *frame)
{
    struct looper *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;)
        NART_AWAIT(r, fails_at_once(cx));
    NART_END(r);
}

static const nart_task_type deaf_type = NART_TASK_TYPE(struct looper, deaf_run, NULL);

TEST_WITH(a_cancelled_task_that_loops_over_errors_is_dropped, rt)
{
    nart_join join = { 0 };

    CHECK_RES(nart_rt_spawn(rt, &deaf_type, NULL, &join), 0);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK(nart_join_done(&join));
    CHECK_EQ(reports, 1);
    nart_join_release(&join);
}
