/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fibers of C++ programs: exceptions are thrown and caught within a fiber, across awaits, and leave no await
 * behind that they left. */
extern "C" {
#include "test.h"
}

#include "after.h"

#include <nart/fiber.h>
#include <nart/nart.h>

#include <cstring>
#include <exception>
#include <pthread.h>
#include <stdexcept>
#include <string>

namespace
{

nart_rt *rt;

void rt_open()
{
    nart_rt_opts opts = {};

    opts.size = sizeof opts;
    opts.alloc = &test_alloc;
    CHECK_RES(nart_rt_new(&opts, &rt), 0);
}

void rt_close()
{
    CHECK_RES(nart_rt_free(rt), 0);
}

nart_res wait(nart_cx *cx)
{
    int n = 2;
    return nart_await(cx, after(cx, &n));
}

/* Counts what is alive, and awaits when it is destroyed. */
struct guard {
    nart_cx *cx;
    int *alive;
    guard(nart_cx *c, int *a) : cx(c), alive(a)
    {
        ++*alive;
    }
    guard(const guard &) = delete;
    guard &operator=(const guard &) = delete;
    ~guard()
    {
        CHECK_RES(wait(cx), 5);
        --*alive;
    }
};

nart_res throws(nart_cx *cx, int depth, int *alive)
{
    guard g(cx, alive);

    CHECK_RES(wait(cx), 5);
    if (depth == 0)
        throw std::runtime_error("bottom");
    return nart_await_for(cx, NART_SEC, throws(cx, depth - 1, alive));
}

nart_res thrower(nart_cx *cx, void *arg)
{
    int alive = 0;

    for (int round = 0; round < 3; round++) {
        std::string what;
        try {
            CHECK_RES(nart_await(cx, throws(cx, 5, &alive)), 0); /* throws */
        } catch (const std::exception &e) {
            what = e.what();
        }
        CHECK(what == "bottom");
        CHECK_EQ(alive, 0);
        CHECK_RES(wait(cx), 5); /* the awaits that were left are closed */
    }
    return *static_cast<int *>(arg);
}

/* Awaits within a catch block, while other fibers are within theirs. */
nart_res catcher(nart_cx *cx, void *arg)
{
    int id = *static_cast<int *>(arg);

    for (int round = 0; round < 5; round++) {
        try {
            try {
                throw id;
            } catch (int got) {
                CHECK_EQ(got, id);
                for (int i = 0; i <= id; i++)
                    CHECK_RES(nart_yield(cx), 0);
                CHECK_EQ(std::uncaught_exceptions(), 0);
                throw; /* its own */
            }
        } catch (int again) {
            CHECK_EQ(again, id);
            CHECK_RES(nart_yield(cx), 0);
            std::exception_ptr p = std::current_exception();
            CHECK(p != nullptr);
            try {
                std::rethrow_exception(p);
            } catch (int third) {
                CHECK_EQ(third, id);
            }
        }
        CHECK(std::current_exception() == nullptr);
    }
    return id;
}

/* Awaits in a destructor that an exception runs: uncaught_exceptions() is each fiber's own. */
struct unwinds {
    nart_cx *cx;
    explicit unwinds(nart_cx *c) : cx(c)
    {
    }
    unwinds(const unwinds &) = delete;
    unwinds &operator=(const unwinds &) = delete;
    ~unwinds()
    {
        CHECK_EQ(std::uncaught_exceptions(), 1);
        CHECK_RES(nart_yield(cx), 0);
        CHECK_EQ(std::uncaught_exceptions(), 1);
    }
};

nart_res unwinder(nart_cx *cx, void *)
{
    for (int i = 0; i < 5; i++) {
        try {
            unwinds u(cx);
            throw i;
        } catch (int) {
        }
        CHECK_EQ(std::uncaught_exceptions(), 0);
        CHECK_RES(nart_yield(cx), 0);
    }
    return 0;
}

nart_res looks(nart_cx *cx, void *)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(std::uncaught_exceptions(), 0);
        CHECK(std::current_exception() == nullptr);
        CHECK_RES(nart_yield(cx), 0);
    }
    return 0;
}

nart_res leaves(nart_cx *cx, void *)
{
    CHECK_RES(wait(cx), 5);
    throw std::runtime_error("out");
}

nart_res exits(nart_cx *cx, void *)
{
    CHECK_RES(wait(cx), 5);
    pthread_exit(nullptr);
}

void run_leaves(void *)
{
    rt_open();
    (void)!nart_fiber_block_on(rt, leaves, nullptr, nullptr, nullptr);
}

void run_exits(void *)
{
    rt_open();
    (void)!nart_fiber_block_on(rt, exits, nullptr, nullptr, nullptr);
}

/* Caught by nothing within the fiber, but by its host: the search does not get that far. */
void run_caught_outside(void *)
{
    rt_open();
    try {
        (void)!nart_fiber_block_on(rt, leaves, nullptr, nullptr, nullptr);
    } catch (...) {
    }
}

/* All forms, as C++. */
nart_res forms(nart_cx *cx, void *)
{
    int n = 1, m = 1, which = -1;
    nart_timer t = {};
    auto lambda = [&](int v) { return nart_await(cx, after(cx, &n)) + v; };

    CHECK_RES(lambda(1), 6);
    n = 1;
    CHECK_RES(nart_await_for(cx, NART_SEC, after(cx, &n)), 5);
    n = 1;
    CHECK_RES(nart_await_until(cx, NART_NEVER, after(cx, &n)), 5);
    n = 3;
    CHECK_RES(nart_await_any(cx, which, after(cx, &n), after(cx, &m)), 5);
    CHECK_EQ(which, 1);
    n = m = 1;
    CHECK_RES(nart_await_any_fair(cx, which, after(cx, &n), after(cx, &m)), 5);
    CHECK_RES(nart_await_for(cx, NART_SEC, NART_AFTER(&t, NART_MS, after(cx, &n))), 5);
    nart_shield(cx, NART_SEC);
    nart_unshield(cx);
    return nart_yield(cx);
}

template <typename T> nart_res in_template(nart_cx *cx, void *arg)
{
    int n = 1;
    nart_res r = nart_await(cx, after(cx, &n));
    return r == 5 ? static_cast<nart_res>(*static_cast<T *>(arg)) : -1;
}

struct value {
    int a, b;
};

nart_res takes_value(nart_cx *, void *arg)
{
    value *v = static_cast<value *>(arg);
    return v->a + v->b;
}

nart_res spawns(nart_cx *cx, void *)
{
    value v = { 1, 2 };
    nart_join join = {};
    nart_res answer = 0;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;

    CHECK_RES(nart_fiber_spawn_value(cx, takes_value, &v, &opts, &join), 0);
    CHECK_RES(nart_await(cx, nart_join_await(cx, &join, &answer)), 0);
    nart_join_release(&join);
    return answer;
}

} // namespace

TEST(exceptions_cross_awaits_and_close_them)
{
    int seven = 7;
    nart_join join[4] = {};

    rt_open();
    for (nart_join &j : join)
        CHECK_RES(nart_rt_fiber_spawn(rt, thrower, &seven, nullptr, &j), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    for (nart_join &j : join) {
        CHECK(nart_join_done(&j));
        nart_join_release(&j);
    }
    rt_close();
}

TEST(fibers_await_in_catch_blocks_and_destructors)
{
    int id[4] = { 0, 1, 2, 3 };

    rt_open();
    for (int &i : id) {
        CHECK_RES(nart_rt_fiber_spawn(rt, catcher, &i, nullptr, nullptr), 0);
        CHECK_RES(nart_rt_fiber_spawn(rt, unwinder, nullptr, nullptr, nullptr), 0);
        CHECK_RES(nart_rt_fiber_spawn(rt, looks, nullptr, nullptr, nullptr), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(std::uncaught_exceptions(), 0);
    rt_close();
}

/* The host is within a catch block. */
TEST(a_runtime_in_a_catch_block_runs_fibers)
{
    int id = 2;

    rt_open();
    try {
        throw std::runtime_error("host");
    } catch (const std::exception &e) {
        nart_res r = 0;
        CHECK_RES(nart_fiber_block_on(rt, catcher, &id, nullptr, &r), 0);
        CHECK_RES(r, 2);
        CHECK_RES(nart_fiber_block_on(rt, looks, nullptr, nullptr, &r), 0);
        CHECK(std::strcmp(e.what(), "host") == 0);
        CHECK(std::current_exception() != nullptr);
    }
    rt_close();
}

TEST(an_exception_that_leaves_a_fiber_aborts_the_process)
{
    CHECK_DIES(run_leaves, nullptr, "has left the function of a fiber");
    CHECK_DIES(run_caught_outside, nullptr, "has left the function of a fiber");
}

TEST(the_end_of_the_thread_in_a_fiber_aborts_the_process)
{
    if (test_sanitizer_thread() != 0)
        SKIP("ThreadSanitizer lets a thread end on its own stack only");
    CHECK_DIES(run_exits, nullptr, "has left the function of a fiber");
}

TEST(all_awaits_are_expressions_of_cxx)
{
    nart_res r = -1;
    long v = 9;

    rt_open();
    CHECK_RES(nart_fiber_block_on(rt, forms, nullptr, nullptr, &r), 0);
    CHECK_RES(r, 0);
    CHECK_RES(nart_fiber_block_on(rt, in_template<long>, &v, nullptr, &r), 0);
    CHECK_RES(r, 9);
    CHECK_RES(nart_fiber_block_on(rt, spawns, nullptr, nullptr, &r), 0);
    CHECK_RES(r, 3);
    rt_close();
}
