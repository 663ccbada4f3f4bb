/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Memory of fibers: what is lacking is an answer, what is used is little, and what is free is given back. */
#include "../core/core.h"
#include "reports.h"

#include <nart/fiber.h>
#include <nart/sync.h>

#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_RT(.report = keep_report);

/* ---- none left ---- */

static int called, dropped;

static nart_res runs(nart_cx *cx, void *arg)
{
    called++;
    return nart_yield(cx) + *(int *)arg;
}

static void drop(void *arg)
{
    CHECK_EQ(*(int *)arg, 7);
    dropped++;
}

TEST(each_allocation_may_fail)
{
    nart_fiber_opts opts = { .size = sizeof opts, .drop = drop };
    int arg = 7, failed = 0, unborn = 0;
    nart_res r = -ENOMEM, answer = 0;

    for (long nth = 1; failed < 100; nth++) {
        rt_open();
        called = dropped = 0;
        answer = 0;
        opts.value = nth % 2 ? sizeof arg : 0;
        test_alloc_fail(nth, false);
        r = nart_fiber_block_on(rt, runs, &arg, &opts, &answer);
        test_alloc_fail(0, false);
        if (r == 0 && answer == 7) {
            CHECK_EQ(called, 1);
            CHECK_EQ(dropped, 0);
            rt_close();
            break;
        }
        failed++;
        if (r == 0) { /* no stack */
            CHECK_RES(answer, -ENOMEM);
            CHECK_EQ(dropped, 1);
            unborn++;
        } else {
            CHECK_RES(r, -ENOMEM);
            CHECK_EQ(dropped, 0); /* the argument is the caller's */
        }
        CHECK_EQ(called, 0);
        r = nart_fiber_block_on(rt, runs, &arg, &opts, &answer); /* and then it works */
        CHECK_RES(r, 0);
        CHECK_RES(answer, 7);
        rt_close();
        CHECK_EQ(test_alloc_live(), 0);
    }
    CHECK_EQ(unborn, 2); /* the pool, and a region */
}

static nart_res spawns_in_want(nart_cx *cx, void *arg)
{
    nart_join join = { 0 };
    int n = 7;
    nart_res answer = 0;
    nart_fiber_opts opts = { .size = sizeof opts, .stack = 1 << 18, .drop = drop };

    (void)arg;
    test_alloc_fail(1, true);
    nart_res r = nart_fiber_spawn(cx, runs, &n, &opts, &join);
    if (r == 0)
        r = nart_await(cx, nart_join_await(cx, &join, &answer));
    test_alloc_fail(0, false);
    nart_join_release(&join);
    return r ? r : answer;
}

/* Spawns and joins one; the nth allocation fails. A size that no fiber has used needs all of them. */
static nart_res spawns_without_the_nth(nart_cx *cx, void *nth)
{
    nart_join join = { 0 };
    int n = 7;
    nart_res answer = 0;
    const nart_fiber_opts opts = {
        .size = sizeof opts, .stack = 1 << 18, .drop = drop, .value = sizeof n
    };

    test_alloc_fail(*(long *)nth, false);
    nart_res r = nart_fiber_spawn(cx, runs, &n, &opts, &join);
    if (r == 0)
        CHECK_RES(nart_await(cx, nart_join_await(cx, &join, &answer)), 0);
    test_alloc_fail(0, false);
    nart_join_release(&join);
    CHECK_EQ(dropped, r == 0 && answer != 7); /* else the value is the caller's, or the fiber's */
    return r ? r : answer;
}

TEST(each_allocation_of_a_spawn_and_join_may_fail)
{
    nart_res r = -ENOMEM;
    int failed = 0;

    for (long nth = 1; r != 7; nth++) {
        rt_open();
        called = dropped = 0;
        CHECK_RES(nart_fiber_block_on(rt, spawns_without_the_nth, &nth, NULL, &r), 0);
        CHECK_EQ(called, r == 7);
        if (r != 7) {
            CHECK_RES(r, -ENOMEM);
            failed++;
        }
        rt_close();
        CHECK_EQ(test_alloc_live(), 0);
    }
    CHECK_EQ(failed, 1); /* a region of stacks: the slots are there */
}

TEST_WITH(a_fiber_that_finds_no_memory_goes_on, rt)
{
    nart_res r = 0;

    CHECK_RES(nart_fiber_block_on(rt, spawns_in_want, NULL, NULL, &r), 0);
    CHECK_RES(r, -ENOMEM);
    CHECK_EQ(dropped, 1);
    CHECK_EQ(called, 0);
}

#ifdef TEST_SANITIZED
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* No mapping: address space is limited in a child process. */
static int without_mappings(void)
{
    nart_fiber_opts opts = { .size = sizeof opts, .stack = NART_FIBER_STACK_MAX, .drop = drop };
    int arg = 7;
    nart_res r = 0;

    rt_open();
    CHECK_RES(nart_fiber_block_on(rt, runs, &arg, NULL, &r), 0);
    CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){ (rlim_t)1 << 29, (rlim_t)1 << 29 }), 0);
    CHECK_RES(nart_fiber_block_on(rt, runs, &arg, &opts, &r), 0);
    CHECK_RES(r, -ENOMEM);
    CHECK_EQ(dropped, 1);
    CHECK_RES(nart_fiber_block_on(rt, runs, &arg, NULL, &r), 0); /* a small one is there */
    CHECK_RES(r, 7);
    rt_close();
    return 0;
}

TEST(a_stack_that_cannot_be_mapped_is_an_answer)
{
    int status = 0;

    if (SANITIZED || test_under_valgrind())
        SKIP("needs its address space");
    pid_t child = fork();
    CHECK_LE(0, child);
    if (child == 0)
        _exit(without_mappings());
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* ---- how much they use ---- */

static long resident(void)
{
    long all = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    CHECK(f);
    CHECK_EQ(fscanf(f, "%ld %ld", &all, &pages), 2);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static nart_notify gate;
static long open_fibers;

/* Uses about 1 KiB of its stack. */
static nart_res parks(nart_cx *cx, void *arg)
{
    nart_waiter w = { 0 };
    char buf[512];

    open_fibers++;
    memset(buf, 1, sizeof buf);
    __asm__ volatile("" ::"r"(buf) : "memory");
    (void)arg;
    nart_res r = nart_await(cx, nart_notify_await(cx, &gate, &w));
    open_fibers--;
    return r;
}

static bool has_guards(void)
{
    void *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    int r = madvise(p, 4096, 102); /* MADV_GUARD_INSTALL */
    CHECK_EQ(munmap(p, 16384), 0);
    return r == 0;
}

TEST(a_hundred_thousand_parked_fibers_take_a_page_each)
{
    long many = SANITIZED || test_under_valgrind() ? 500 : has_guards() ? 100000 : 20000;
    const nart_rt_opts opts = { .size = sizeof opts,
                                .alloc = &test_alloc,
                                SLOTS((uint32_t)many + 10) };

    rt = new_rt_of(&opts);
    long before = resident();
    for (long i = 0; i < many; i++)
        CHECK_RES(nart_rt_fiber_spawn(rt, parks, NULL, NULL, NULL), 0);
    settle(rt);
    CHECK_EQ(open_fibers, many);
    long used = resident() - before;
    if (many >= 20000) {
        (void)printf("%ld fibers: %.2f KiB each\n", many, (double)used / (double)many / 1024);
        CHECK_LE(used, many * 4505); /* 4.4 KiB */
    }
    nart_notify_all(&gate);
    settle(rt);
    CHECK_EQ(open_fibers, 0);
    CHECK_EQ(nart_rt_task_count(rt), 0);
    if (many >= 20000) /* all but 4 MiB of idle stacks, and the slots */
        CHECK_LE(resident() - before, many * 450 + (8 << 20));
    nart_notify_close(&gate);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- used again ---- */

static nart_res deep_then_ends(nart_cx *cx, void *arg)
{
    volatile char page[40000];

    for (size_t i = 0; i < sizeof page; i += 512)
        page[i] = 1;
    (void)cx;
    (void)arg;
    return page[512];
}

TEST_WITH(fibers_in_turn_use_one_stack, rt)
{
    int arg = 0;
    nart_res r = 0;

    CHECK_RES(nart_fiber_block_on(rt, deep_then_ends, NULL, NULL, &r), 0);
    long blocks = test_alloc_live(), before = resident();
    for (int i = 0; i < 10000; i++)
        CHECK_RES(nart_fiber_block_on(rt, i % 2 ? runs : deep_then_ends, &arg, NULL, &r), 0);
    CHECK_EQ(test_alloc_live(), blocks);
    if (!SANITIZED)
        CHECK_LE(resident() - before, 1 << 20);
}

/* A thousand at once that used 40 KB each, then none: 4 MiB stay. */
static nart_res deep_then_parks(nart_cx *cx, void *arg)
{
    (void)deep_then_ends(cx, arg);
    return parks(cx, arg);
}

TEST_WITH(what_many_fibers_used_is_given_back, rt)
{
    if (SANITIZED || test_under_valgrind())
        SKIP("counts memory of the sanitizer, too");
    long before = resident();
    for (int i = 0; i < 1000; i++)
        CHECK_RES(nart_rt_fiber_spawn(rt, deep_then_parks, NULL, NULL, NULL), 0);
    settle(rt);
    CHECK_LE(before + 1000 * 40000L, resident());
    nart_notify_all(&gate);
    settle(rt);
    CHECK_LE(resident(), before + (6 << 20));
    for (int i = 0; i < 1000; i++) /* those that gave back their pages work */
        CHECK_RES(nart_rt_fiber_spawn(rt, deep_then_parks, NULL, NULL, NULL), 0);
    settle(rt);
    nart_notify_all(&gate);
    settle(rt);
    CHECK_EQ(open_fibers, 0);
    nart_notify_close(&gate);
}

/* One stack of 64 MiB that was used: most of it is given back at the fiber's end. */
static nart_res huge(nart_cx *cx, void *arg)
{
    volatile char *all = __builtin_alloca(60 << 20);

    (void)cx;
    (void)arg;
    for (size_t i = 0; i < 60 << 20; i += 4096)
        all[i] = 1;
    return all[4096];
}

TEST_WITH(what_a_huge_stack_used_is_given_back, rt)
{
    const nart_fiber_opts opts = { .size = sizeof opts, .stack = 64 << 20 };
    nart_res r = 0;

    if (SANITIZED || test_under_valgrind())
        SKIP("counts memory of the sanitizer, too");
    long before = resident();
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_fiber_block_on(rt, huge, NULL, &opts, &r), 0);
        CHECK_RES(r, 1);
        CHECK_LE(resident(), before + (6 << 20));
    }
}
