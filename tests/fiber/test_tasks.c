/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fibers as tasks: spawning, values, joins, task sets, nurseries, task-local values, the urgent lane, dumps and
 * observation. */
#include "by_hand.h"
#include "fiber.h"

#include <nart/nursery.h>
#include <nart/observe.h>
#include <nart/sync.h>
#include <nart/task_set.h>
#include <nart/trace.h>

#include <stdio.h>

#include <setjmp.h>

FIXTURE_RT(.report = keep_report);

/* What these cases do wrong, AddressSanitizer reports first: frames that were left are not to be read. */
static void skip_under_asan(void)
{
#if defined __SANITIZE_ADDRESS__
    SKIP("AddressSanitizer reports it first");
#elif defined __has_feature
#if __has_feature(address_sanitizer)
    SKIP("AddressSanitizer reports it first");
#endif
#endif
}

/* ---- values ---- */

struct job {
    int64_t ms;
    char name[16];
    int *sum;
};

static nart_res job(nart_cx *cx, void *arg)
{
    struct job *j = arg;

    CHECK_EQ((uintptr_t)j % 16, 0);
    CHECK_RES(await_sleep(cx, j->ms * NART_MS), 0);
    *j->sum += (int)j->ms;
    note(j->name);
    return j->ms;
}

static nart_res spawns_values(nart_cx *cx, void *arg)
{
    nart_join joins[3];
    int sum = 0;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct job j = { .ms = 30 - 10 * i, .name = { (char)('a' + i) }, .sum = &sum };
        CHECK_RES(nart_fiber_spawn_value(cx, job, &j, NULL, &joins[i]), 0);
        CHECK_EQ(j.ms, 0); /* moved */
        CHECK(j.sum == NULL);
    }
    for (int i = 0; i < 3; i++) {
        nart_res answer = 0;
        CHECK_RES(nart_await(cx, nart_join_await(cx, &joins[i], &answer)), 0);
        CHECK_EQ(answer, 30 - 10 * i);
        nart_join_release(&joins[i]);
    }
    return sum;
}

TEST_WITH(a_fiber_is_spawned_with_a_copy_of_a_value, rt)
{
    CHECK_EQ(RUN(spawns_values, NULL), 60);
    CHECK_STR(trace, "cba");
}

static int value_drops;

static void drop_value(void *arg)
{
    value_drops += *(int *)arg;
}

static nart_res is_208(nart_cx *cx, void *arg)
{
    const unsigned char *b = arg;

    (void)cx;
    for (int i = 0; i < 208; i++)
        CHECK_EQ(b[i], i);
    return 208;
}

TEST_WITH(a_value_has_up_to_208_bytes, rt)
{
    unsigned char b[209];
    nart_join join;
    nart_fiber_opts opts = { .size = sizeof opts, .value = NART_FIBER_VALUE };

    for (int i = 0; i < 209; i++)
        b[i] = (unsigned char)i;
    CHECK_RES(nart_rt_fiber_spawn(rt, is_208, b, &opts, &join), 0);
    memset(b, 0, sizeof b);
    run_all(rt);
    CHECK_RES(fiber_verdict(rt, &join), 208);
    nart_join_release(&join);
    opts.value = 209;
    CHECK_RES(nart_rt_fiber_spawn(rt, is_208, b, &opts, &join), -EINVAL);
    opts.value = 8;
    CHECK_RES(nart_rt_fiber_spawn(rt, is_208, NULL, &opts, &join), -EINVAL);
}

TEST(the_copy_of_a_value_is_dropped_with_the_runtime)
{
    int v = 5;
    nart_fiber_opts opts = { .size = sizeof opts, .value = sizeof v, .drop = drop_value };

    rt_open();
    CHECK_RES(nart_remote_fiber_spawn(nart_rt_remote(rt), is_208, &v, &opts), 0);
    v = 100;
    rt_close();
    CHECK_EQ(value_drops, 5);
}

/* ---- other ways to spawn ---- */

static nart_res adds(nart_cx *cx, void *arg)
{
    (void)nart_yield(cx);
    return ++*(int *)arg;
}

static nart_res uses_all_ways(nart_cx *cx, void *arg)
{
    int n = 0;
    nart_fiber f;
    nart_task_set set;
    nart_task_set_node nodes[4];
    nart_res answer = 0, all = 0;
    nart_join join;

    (void)arg;
    nart_task_set_init(&set, nodes, 4);
    CHECK_RES(nart_fiber_init(&f, adds, &n, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_LE(0, nart_task_set_spawn(cx, &set, NART_FIBER_TYPE(adds), &f));
    CHECK_RES(nart_fiber_spawn(cx, adds, &n, NULL, &join), 0);
    CHECK_LE(0, nart_task_set_add(&set, &join));
    while (nart_await(cx, nart_task_set_next(cx, &set, &answer)) >= 0)
        all += answer;
    CHECK_EQ(all, 1 + 2 + 3 + 4);
    nart_task_set_close(&set);

    CHECK_RES(nart_spawn(cx, NART_FIBER_TYPE(adds), &f, &join), 0);
    CHECK_RES(nart_await(cx, nart_join_await(cx, &join, &answer)), 0);
    CHECK_EQ(answer, 5);
    nart_join_release(&join);
    CHECK_RES(nart_spawn_boxed(cx, NART_FIBER_TYPE(adds), &f, &join), 0);
    CHECK_RES(nart_await(cx, nart_join_await(cx, &join, &answer)), 0);
    nart_join_release(&join);
    return n;
}

TEST_WITH(a_fiber_is_spawned_by_every_function_that_takes_a_frame, rt)
{
    CHECK_EQ(RUN(uses_all_ways, NULL), 6);
}

/* A set that is closed cancels its fibers. */
static nart_res closes_set(nart_cx *cx, void *arg)
{
    nart_fiber f;
    nart_task_set set;
    nart_task_set_node nodes[2];

    (void)arg;
    nart_task_set_init(&set, nodes, 2);
    CHECK_RES(nart_fiber_init(&f, spawns_values, NULL, NULL), 0);
    CHECK_LE(0, nart_task_set_spawn(cx, &set, NART_FIBER_TYPE(spawns_values), &f));
    CHECK_RES(nart_await_for(cx, 5 * NART_MS, nart_task_set_next(cx, &set, NULL)), -ETIMEDOUT);
    CHECK_RES(nart_await_for(cx, 90 * NART_MS, nart_task_set_wait_all(cx, &set)), 0);
    nart_task_set_close(&set);
    return 0;
}

TEST_WITH(a_task_set_of_fibers_is_waited_for, rt)
{
    CHECK_RES(RUN(closes_set, NULL), 0);
    CHECK_EQ(elapsed_ms(), 30);
}

/* ---- the urgent lane ---- */

static nart_res names(nart_cx *cx, void *arg)
{
    (void)cx;
    note(arg);
    return 0;
}

TEST_WITH(an_urgent_fiber_is_polled_first, rt)
{
    const nart_fiber_opts urgent = { .size = sizeof urgent, .flags = NART_TASK_URGENT };
    char v[2] = "v";
    const nart_fiber_opts value = { .size = sizeof value, .flags = NART_TASK_URGENT, .value = 2 };

    START(names, "a", NULL);
    START(names, "b", NULL);
    CHECK_RES(nart_rt_fiber_spawn(rt, names, "u", &urgent, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(rt, names, v, &value, NULL), 0);
    settle(rt);
    CHECK_STR(trace, "uvab");
}

/* ---- the background ---- */

static nart_res sweeps(nart_cx *cx, void *arg)
{
    nart_res r = await_sleep(cx, NART_SEC);

    note(arg);
    return r;
}

TEST_WITH(a_run_does_not_wait_for_a_fiber_in_the_background, rt)
{
    const nart_fiber_opts flags = { .size = sizeof flags, .flags = NART_TASK_BACKGROUND };
    char v[2] = "v";
    const nart_fiber_opts both = { .size = sizeof both,
                                   .flags = NART_TASK_BACKGROUND | NART_TASK_URGENT,
                                   .value = sizeof v };

    START(names, "a", NULL);
    CHECK_RES(nart_rt_fiber_spawn(rt, sweeps, "b", &flags, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(rt, sweeps, v, &both, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_STR(trace, "a");
    CHECK_EQ(nart_rt_background_count(rt), 2);
    run_all(rt);
    CHECK_STR(trace, "avb");
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

/* ---- nurseries ---- */

static bool stubborn;

static nart_res child(nart_cx *cx, void *arg)
{
    if (stubborn)
        nart_shield(cx, NART_SEC);
    nart_res r = await_sleep(cx, 10 * NART_MS);

    ++*(int *)arg; /* of the owner's stack */
    return r;
}

static nart_res spawn_child(nart_cx *cx, nart_nursery *n, int *count)
{
    nart_fiber f;

    CHECK_RES(nart_fiber_init(&f, child, count, NULL), 0);
    return nart_nursery_spawn(cx, n, NART_FIBER_TYPE(child), &f);
}

static nart_res owner(nart_cx *cx, void *arg)
{
    nart_nursery n = { .len = 0 };
    int count = 0;
    nart_res error = 1;

    (void)arg;
    CHECK_RES(nart_nursery_open(cx, &n, 0), 0);
    for (int i = 0; i < 5; i++)
        CHECK_RES(spawn_child(cx, &n, &count), 0);
    (void)await_sleep(cx, 5 * NART_MS); /* other awaits leave it alone */
    CHECK_EQ(nart_nursery_len(&n), 5);
    nart_res r = nart_await(cx, nart_nursery_join(cx, &n, &error));
    CHECK_EQ(count, 5);
    return r ? r : error;
}

TEST_WITH(a_nursery_in_a_fiber_is_joined, rt)
{
    CHECK_RES(RUN(owner, NULL), 0);
    CHECK_EQ(elapsed_ms(), 10);
}

TEST_WITH(a_fiber_that_is_cancelled_takes_its_nursery_along, rt)
{
    nart_join join;

    START(owner, NULL, &join);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_EQ(elapsed_ms(), 0);
    CHECK_RES(fiber_verdict(rt, &join), NART_EABORTED);
    nart_join_release(&join);
}

/* The function returns while children run, of a nursery that is not on its stack. */
struct elsewhere {
    nart_nursery n;
    int count;
};

static nart_res leaves_nursery(nart_cx *cx, void *arg)
{
    struct elsewhere *e = arg;

    CHECK_RES(nart_nursery_open(cx, &e->n, 0), 0);
    CHECK_RES(spawn_child(cx, &e->n, &e->count), 0);
    return 9;
}

static nart_res does_work(nart_cx *cx, void *arg)
{
    volatile char page[4096];

    (void)arg;
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (char)i;
    (void)nart_yield(cx);
    return page[7];
}

TEST_WITH(a_fiber_that_returns_waits_for_its_nursery, rt)
{
    nart_join join;
    const nart_fiber_opts opts = { .size = sizeof opts, .value = sizeof(struct elsewhere) };
    struct elsewhere e = { .count = 0 };

    stubborn = true; /* its end cancels its children */
    CHECK_RES(nart_rt_fiber_spawn(rt, leaves_nursery, &e, &opts, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    START(does_work, NULL, NULL);
    settle(rt);
    CHECK_EQ(elapsed_ms(), 0);
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 10);
    CHECK(nart_join_done(&join));
    CHECK_RES(fiber_verdict(rt, &join), 9);
    nart_join_release(&join);
}

TEST_WITH(an_aborted_fiber_waits_for_its_nursery, rt)
{
    nart_join join;
    const nart_fiber_opts opts = { .size = sizeof opts, .value = sizeof(struct elsewhere) };
    struct elsewhere e = { .count = 0 };

    stubborn = true; /* its end cancels its children */
    CHECK_RES(nart_rt_fiber_spawn(rt, leaves_nursery, &e, &opts, &join), 0);
    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 10);
    CHECK_RES(fiber_verdict(rt, &join), 9);
    nart_join_release(&join);
}

/* A fiber that is aborted while it joins: its stack stays until the children have ended, and beyond. */
TEST_WITH(a_fiber_that_is_aborted_while_it_joins_is_kept_for_its_children, rt)
{
    nart_join join;

    stubborn = true;
    START(owner, NULL, &join);
    run_until(rt, at_ms(6)); /* it joins */
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    run_to_the_end(rt, &join);
    CHECK_EQ(elapsed_ms(), 10);
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "abandoned in owner"));
}

/* AddressSanitizer would move its variables off the stack. */
#define ON_ITS_STACK __attribute__((noinline, no_sanitize("address")))

/* A function that an await calls, and one that is simply called: neither may leave a nursery open. */
ON_ITS_STACK static nart_res opens_and_returns(nart_cx *cx, int *count)
{
    nart_nursery n = { .len = 0 };

    CHECK_RES(nart_nursery_open(cx, &n, 0), 0);
    CHECK_RES(spawn_child(cx, &n, count), 0);
    return 0;
}

static nart_res awaits_leaver(nart_cx *cx, void *arg)
{
    int count = 0;

    (void)arg;
    return nart_await(cx, opens_and_returns(cx, &count));
}

static nart_res is_leaver(nart_cx *cx, void *arg)
{
    (void)arg;
    static int count;
    return opens_and_returns(cx, &count);
}

static nart_res calls_leaver(nart_cx *cx, void *arg)
{
    int count = 0;

    (void)arg;
    CHECK_RES(opens_and_returns(cx, &count), 0);
    return nart_yield(cx);
}

static void run_leaver(void *kind)
{
    rt_open();
    if (*(char *)kind == 'a')
        START(awaits_leaver, NULL, NULL);
    else if (*(char *)kind == 'c')
        START(calls_leaver, NULL, NULL);
    else
        START(is_leaver, NULL, NULL);
    run_all(rt);
}

TEST(a_function_that_leaves_a_nursery_open_aborts_the_process)
{
    skip_under_asan();
    CHECK_DIES(run_leaver, &(char){ 'a' }, "awaits_leaver");
}

/* Also one whose handle waits. */
ON_ITS_STACK static nart_res receives_and_returns(nart_cx *cx, nart_tx *tx)
{
    nart_rx rx;
    uint64_t v;

    new_chan(rt, 1, tx, &rx);
    return nart_recv(cx, &rx, &v);
}

static nart_res calls_receiver(nart_cx *cx, void *arg)
{
    nart_tx tx;

    (void)arg;
    CHECK_RES(receives_and_returns(cx, &tx), NART_PENDING);
    return nart_yield(cx);
}

static void run_receiver(void *arg)
{
    (void)arg;
    rt_open();
    START(calls_receiver, NULL, NULL);
    run_all(rt);
}

TEST(a_function_that_leaves_a_waiting_handle_aborts_the_process)
{
    skip_under_asan();
    CHECK_DIES(run_receiver, NULL, "task calls_receiver: a function has returned");
}

TEST(a_called_function_that_leaves_a_nursery_open_aborts_the_process)
{
    skip_under_asan();
    CHECK_DIES(run_leaver, &(char){ 'c' }, "task calls_leaver: a function has returned");
    CHECK_DIES(run_leaver, &(char){ 'i' }, "task is_leaver: a function has returned");
}

/* ---- jumps ---- */

static jmp_buf jump;

static nart_res jumps(nart_cx *cx, void *arg)
{
    nart_res r = await_sleep(cx, NART_MS);

    if (arg)
        longjmp(jump, 1);
    return r;
}

/* Its await lies deeper than any later one. */
static NART__NOINLINE nart_res awaits_jumps(nart_cx *cx, void *arg)
{
    char deep[4096];

    __asm__ volatile("" : : "r"(deep) : "memory"); /* it is not optimised away */
    return nart_await_for(cx, NART_SEC, jumps(cx, arg));
}

/* Awaits that have ended are jumped over: fine. */
static nart_res jumps_within(nart_cx *cx, void *arg)
{
    (void)arg;
    if (setjmp(jump) == 0)
        (void)jumps(cx, &jump);
    CHECK_RES(await_sleep(cx, NART_MS), 0);
    return 0;
}

TEST_WITH(a_jump_may_cross_functions_but_no_open_await, rt)
{
    CHECK_RES(RUN(jumps_within, NULL), 0);
    CHECK_EQ(elapsed_ms(), 2);
}

static nart_res jumps_out(nart_cx *cx, void *arg)
{
    (void)arg;
    if (setjmp(jump) == 0)
        (void)awaits_jumps(cx, &jump);
    return await_sleep(cx, NART_MS);
}

static void run_jumper(void *arg)
{
    (void)arg;
    rt_open();
    START(jumps_out, NULL, NULL);
    run_all(rt);
}

TEST(a_jump_out_of_an_await_aborts_the_process)
{
    skip_under_asan();
    CHECK_DIES(run_jumper, NULL, "task jumps_out: longjmp() has left an await");
}

/* ---- locks ---- */

static nart_rwlock shared;

static nart_res holds(nart_cx *cx, void *name)
{
    nart_lock l = { 0 };
    int none = 0;

    CHECK_RES(nart_await(cx, nart_rwlock_write(cx, &shared, &l)), 0);
    note("(");
    note(name);
    CHECK_RES(nart_await(cx, after(cx, &none)), 5); /* in the same poll */
    CHECK_RES(await_sleep(cx, NART_MS), 0);
    note(name);
    note(")");
    return nart_lock_release(&l);
}

TEST_WITH(a_fiber_keeps_its_lock_over_other_awaits, rt)
{
    START(holds, "a", NULL);
    START(holds, "b", NULL);
    START(holds, "c", NULL);
    run_all(rt);
    CHECK_STR(trace, "(aa)(bb)(cc)");
    nart_rwlock_close(&shared);
}

static nart_res forgets(nart_cx *cx, void *arg)
{
    nart_lock l = { 0 };

    (void)arg;
    return nart_await(cx, nart_rwlock_write(cx, &shared, &l));
}

static void run_forgets(void *arg)
{
    (void)arg;
    rt_open();
    START(forgets, NULL, NULL);
    run_all(rt);
}

TEST(a_lock_in_a_frame_that_is_left_aborts_the_process)
{
    CHECK_DIES(run_forgets, NULL, "task forgets: a function has returned");
}

/* As the frame of a function that has returned is by the next one. */
static nart_res overwrites(nart_cx *cx, void *arg)
{
    static nart_lock l;

    (void)arg;
    CHECK_RES(nart_await(cx, nart_rwlock_write(cx, &shared, &l)), 0);
    l.waiter.wait.task = NULL;
    return nart_yield(cx);
}

static void run_overwrites(void *arg)
{
    (void)arg;
    rt_open();
    START(overwrites, NULL, NULL);
    run_all(rt);
}

TEST(a_lock_whose_frame_is_overwritten_aborts_the_process)
{
    CHECK_DIES(run_overwrites, NULL,
               "task overwrites waited in it (overwritten since, or the function whose frame");
}

/* ---- task-local values ---- */

static const nart_local_key user = { "user" }, level = { "level" };

static int seen(const nart_cx *cx, const nart_local_key *key)
{
    const int *value = nart_local_get(cx, key);
    return value ? *value : -1;
}

static nart_res sees(nart_cx *cx, int at_level)
{
    nart_local l;
    int mine = at_level;
    const int *me = nart_local_get(cx, &user);

    nart_local_enter(cx, &l, &level, &mine);
    if (at_level < 3)
        CHECK_RES(nart_await_for(cx, NART_SEC, sees(cx, at_level + 1)), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_yield(cx), 0);
        CHECK_EQ(seen(cx, &level), at_level);
        CHECK_RES(await_sleep(cx, NART_MS), 0);
        CHECK_EQ(seen(cx, &level), at_level);
        CHECK(nart_local_get(cx, &user) == me);
    }
    nart_local_leave(cx, &l);
    CHECK_EQ(seen(cx, &level), at_level == 0 ? -1 : at_level - 1);
    return 0;
}

static nart_res binds(nart_cx *cx, void *arg)
{
    nart_local l;

    CHECK_EQ(seen(cx, &user), -1);
    nart_local_enter(cx, &l, &user, arg);
    nart_res r = sees(cx, 0);
    CHECK_EQ(seen(cx, &user), *(int *)arg);
    return r; /* left open: ends with the fiber */
}

static nart_res sees_none(nart_cx *cx, void *frame)
{
    (void)frame;
    CHECK_EQ(seen(cx, &user), -1);
    CHECK_EQ(seen(cx, &level), -1);
    return 0;
}

TEST_WITH(values_bound_in_a_fiber_survive_its_waits_and_are_its_own, rt)
{
    static const nart_task_type none = NART_TASK_TYPE(int, sees_none, NULL);
    nart_join join[10];
    int number[10];

    for (int i = 0; i < 10; i++) {
        number[i] = i;
        START(binds, &number[i], &join[i]);
        CHECK_RES(nart_rt_spawn(rt, &none, NULL, NULL), 0);
    }
    run_all(rt);
    for (int i = 0; i < 10; i++) {
        CHECK_RES(fiber_verdict(rt, &join[i]), 0);
        nart_join_release(&join[i]);
    }
}

/* ---- dumps ---- */

static char text[8192];

static const char *dump(void)
{
    FILE *f = tmpfile();

    CHECK(f);
    nart_rt_dump(rt, f);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

struct lines {
    nart_tx tx;
    nart_rx rx;
    uint64_t v;
    int outer, inner, race;
};

struct reading {
    nart_co co;
    nart_res r;
    int line;
};

static nart_res reading_run(nart_cx *cx, struct reading *b, struct lines *l)
{
    NART_BEGIN(cx, &b->co);
    b->line = __LINE__ + 1;
    NART_AWAIT(b->r, nart_recv(cx, &l->rx, &l->v));
    NART_END(b->r);
}

static struct reading the_reading;

static nart_res reads(nart_cx *cx, struct lines *l)
{
    l->inner = __LINE__ + 1;
    return nart_await(cx, reading_run(cx, &the_reading, l));
}

static nart_res shown(nart_cx *cx, void *arg)
{
    struct lines *l = arg;

    l->outer = __LINE__ + 1;
    return nart_await_for(cx, 5 * NART_SEC, reads(cx, l));
}

static nart_res races(nart_cx *cx, void *arg)
{
    struct lines *l = arg;
    nart_timer t = { 0 };
    nart_res r;
    int which;

    l->race = __LINE__ + 1;
    r = nart_await_any(cx, which, nart_recv(cx, &l->rx, &l->v), nart_sleep(cx, &t, NART_SEC));
    (void)r;
    return which;
}

static nart_res sleeps(nart_cx *cx, void *arg)
{
    nart_timer t = { 0 };

    *(int *)arg = __LINE__ + 1;
    return nart_await(cx, nart_sleep(cx, &t, 7 * NART_SEC));
}

static nart_res yields(nart_cx *cx, void *arg)
{
    *(int *)arg = __LINE__ + 1;
    return nart_yield(cx);
}

TEST_WITH(a_dump_shows_function_and_line_of_each_await, rt)
{
    struct lines a = { .v = 0 }, b = { .v = 0 };
    char expected[256];
    int sleep_line, yield_line;
    nart_join join[4];

    new_chan(rt, 1, &a.tx, &a.rx);
    new_chan(rt, 1, &b.tx, &b.rx);
    START(shown, &a, &join[0]);
    START(races, &b, &join[1]);
    START(sleeps, &sleep_line, &join[2]);
    START(yields, &yield_line, &join[3]);
    CHECK(strstr(dump(), "not polled yet"));
    CHECK_LE(1, nart_rt_poll(rt, 0));
    dump();
    (void)snprintf(expected, sizeof expected,
                   "parked: shown > reads > reading_run  test_tasks.c:%d > test_tasks.c:%d > "
                   "test_tasks.c:%d  recv",
                   a.outer, a.inner, the_reading.line);
    CHECK(strstr(text, expected));
    CHECK(strstr(text, "deadline in 5.0 s"));
    (void)snprintf(expected, sizeof expected, "parked: races  test_tasks.c:%d  recv", b.race);
    CHECK(strstr(text, expected));
    (void)snprintf(expected, sizeof expected, "parked: sleeps  test_tasks.c:%d  sleep", sleep_line);
    CHECK(strstr(text, expected));
    CHECK(strstr(text, " of 64 KiB"));
    for (int i = 0; i < 4; i++) {
        (void)cancel(rt, &join[i]);
        settle(rt);
        nart_join_release(&join[i]);
    }
    nart_tx_close(&a.tx);
    nart_rx_close(&a.rx);
    nart_tx_close(&b.tx);
    nart_rx_close(&b.rx);
}

/* ---- traces ---- */

TEST_WITH(a_trace_names_fibers, rt)
{
    FILE *f = tmpfile();

    CHECK(f);
    CHECK_RES(nart_trace_start(rt, 1024), 0);
    CHECK_RES(RUN(spawns_values, NULL), 60);
    CHECK_RES(nart_trace_stop(rt, f), 0);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    CHECK(strstr(text, "job"));
}

/* ---- other drivers ---- */

static nart_res not_called(nart_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    CHECK(false);
    return 0;
}

static nart_res spawns_there(nart_cx *cx, void *frame)
{
    (void)frame;
    return nart_fiber_spawn(cx, not_called, NULL, NULL, NULL);
}

TEST(another_driver_has_no_fibers)
{
    static const nart_task_type spawns = NART_TASK_TYPE(int, spawns_there, NULL);
    struct by_hand host;
    nart__task t;
    nart_fiber f;
    int drops = 0;

    by_hand_open(&host, 0);
    CHECK_RES(nart_fiber_init(&f, not_called, &drops, NULL), 0);
    nart_driver_task_init(&t, NART_FIBER_TYPE(not_called), &f, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &t), NART_EDRIVER);
    nart_driver_task_init(&t, &spawns, NULL, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &t), NART_EDRIVER);
}
