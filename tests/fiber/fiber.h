/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fiber.h: shared by the tests of fibers. */
#ifndef NART_TEST_FIBER_H
#define NART_TEST_FIBER_H

#include "../core/core.h"
#include "../core/virtual.h"
#include "after.h"
#include "reports.h"

#include <nart/fiber.h>

/* Spawns the fiber fn(arg) on `rt`; `join` may be NULL. */
#define START(fn, arg, join) CHECK_RES(nart_rt_fiber_spawn(rt, fn, arg, NULL, join), 0)

/* Runs fn(arg) to its end and returns its answer. */
#define RUN(fn, arg) fiber_answer(rt, NART_FIBER_TYPE(fn), fn, arg)

/* A join awaited in a fiber of its own. */
static nart_res fiber_awaits_join(nart_cx *cx, void *join)
{
    nart_res answer = 0, r = nart_await(cx, nart_join_await(cx, join, &answer));
    return r ? r : answer;
}

static inline nart_res fiber_verdict(nart_rt *rt, nart_join *join)
{
    nart_res r = 0;
    CHECK_RES(nart_fiber_block_on(rt, fiber_awaits_join, join, NULL, &r), 0);
    return r;
}

static inline nart_res fiber_answer(nart_rt *rt, const nart_task_type *type, nart_fiber_fn fn,
                                    void *arg)
{
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_fiber f;
    nart_join join;

    opts.stack = 1u << 20; /* for a hundred frames without optimisation */
    CHECK_RES(nart_fiber_init(&f, fn, arg, &opts), 0);
    CHECK_RES(nart_rt_spawn(rt, type, &f, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    nart_res r = fiber_verdict(rt, &join);
    nart_join_release(&join);
    return r;
}

/* The events of a case, in order. */
static char trace[256];

static inline void note(const char *what)
{
    CHECK(strlen(trace) + strlen(what) < sizeof trace);
    strcat(trace, what);
}

static inline nart_res await_sleep(nart_cx *cx, int64_t ns)
{
    nart_timer t = { 0 };
    return nart_await(cx, nart_sleep(cx, &t, ns));
}

#endif
