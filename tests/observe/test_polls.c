/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Poll durations: percentiles, reports, the watchdog; starting and stopping observation at any
 * point. */
#include "observe.h"
#include "reports.h"
#include "threads.h"

#include <nart/fiber.h>
#include <nart/trace.h>

#include <sched.h>

FIXTURE_PAUSED(.name = "test", .report = keep_report);

static nart_res observe(nart_rt *of, int64_t slow_ns, nart_watchdog *dog)
{
    nart_observe_opts opts = NART_OBSERVE_OPTS_INIT;

    opts.slow_ns = slow_ns;
    opts.watchdog = dog;
    return nart_rt_observe(of, &opts);
}

TEST_WITH(polls_are_measured_to_the_nanosecond, paused)
{
    static const int64_t ns[] = { 15, 3, 12345, 2, 1 };

    work(rt, (int64_t[]){ NART_SEC }, 1); /* not observed */
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_rt_poll_percentile(rt, 50), 0);
    work(rt, ns, 5); /* and a last poll that takes 0 */
    CHECK_RES(nart_rt_poll_percentile(rt, 0), 0);
    CHECK_RES(nart_rt_poll_percentile(rt, 50), 2);
    CHECK_RES(nart_rt_poll_percentile(rt, 80), 15);
    CHECK_RES(nart_rt_poll_percentile(rt, 100), 12345);
    CHECK_RES(nart_rt_polls_within(rt, -1), 0);
    CHECK_RES(nart_rt_polls_within(rt, 0), 1);
    CHECK_RES(nart_rt_polls_within(rt, 3), 4);
    CHECK_RES(nart_rt_polls_within(rt, 12000), 5);
    CHECK_RES(nart_rt_polls_within(rt, INT64_MAX), 6);
    nart_rt_stats s = stats_of(rt);
    CHECK_EQ(s.longest_ns, 12345);
    CHECK_STR(s.longest_name, "work");
    CHECK_NE(s.longest.gen, 0);
    CHECK_RES(nart_rt_observe_stop(rt), 0);
    CHECK_RES(nart_rt_observe_stop(rt), 0);
    work(rt, (int64_t[]){ NART_SEC }, 1);
    CHECK_RES(nart_rt_poll_percentile(rt, 50), -EPERM);
    CHECK_RES(nart_rt_polls_within(rt, 50), -EPERM);
    CHECK_EQ(stats_of(rt).longest_ns, 12345); /* kept */
}

/* The drop is part of the last poll, which may be the first. */
static nart_res at_once(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    return 0;
}

static void slow_drop(void *frame)
{
    (void)frame;
    CHECK_RES(nart_rt_clock_advance(rt, 777), 0);
}

TEST_WITH(the_drop_of_a_frame_is_part_of_the_last_poll, paused)
{
    static const nart_task_type type = NART_TASK_TYPE(int, at_once, slow_drop);

    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &type, &(int){ 0 }, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(stats_of(rt).longest_ns, 777);
    CHECK_STR(stats_of(rt).longest_name, "int");
}

/* ---- reports ---- */

struct sleeper {
    nart_co co;
    nart_timer timer;
    nart_res r;
    unsigned line;
};

static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    struct sleeper *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_rt_clock_advance(nart_cx_rt(cx), NART_MS), 0); /* within the limit */
    NART_YIELD();
    CHECK_RES(nart_rt_clock_advance(nart_cx_rt(cx), NART_MS + 1), 0);
    f->line = __LINE__ + 1;
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
    CHECK_RES(nart_rt_clock_advance(nart_cx_rt(cx), 2 * NART_MS), 0);
    NART_END(0);
}

static const nart_task_type sleeper_type = NART_TASK_TYPE(struct sleeper, sleeper_run, NULL);

TEST_WITH(a_poll_that_takes_too_long_is_reported_with_its_line, paused)
{
    char expected[512];
    nart_join join;
    struct sleeper *f = spawn(rt, &sleeper_type, &join);
    unsigned slot = nart_join_task(&join).slot;

    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(observe(rt, NART_MS, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    snprintf(expected, sizeof expected,
             "test: a poll of task sleeper#%u took 1.000 ms (%s:%u)\n"
             "test: a poll of task sleeper#%u took 2.000 ms\n",
             slot, __FILE__, f->line, slot);
    CHECK_STR(reported, expected);
    nart_join_release(&join);
    CHECK_RES(observe(rt, 0, NULL), 0); /* no more reports; the statistics continue */
    work(rt, (int64_t[]){ NART_SEC }, 1);
    CHECK_STR(reported, expected);
    CHECK_RES(nart_rt_poll_percentile(rt, 100), NART_SEC);
}

/* ---- the watchdog ---- */

static nart_watchdog dog, other_dog;
static const char *stuck_name;
static int seen;

static nart_res stuck(nart_cx *cx, void *frame)
{
    const char *name;

    (void)cx, (void)frame;
    CHECK_LE(1, nart_watchdog_look(&dog, &name)); /* any thread may call it */
    CHECK_STR(name, stuck_name);
    while (!__atomic_load_n(&seen, __ATOMIC_ACQUIRE))
        sched_yield();
    return 0;
}

static const nart_task_type stuck_type = NART_TASK_TYPE(int, stuck, NULL);

static nart_res stuck_fiber(nart_cx *cx, void *arg)
{
    CHECK_RES(nart_yield(cx), 0);
    return stuck(cx, arg);
}

static void *monitor(void *unused)
{
    const char *name = NULL;
    nart_res before;

    (void)unused;
    while ((before = nart_watchdog_look(&dog, &name)) == 0)
        sched_yield();
    CHECK_STR(name, stuck_name);
    for (int i = 0; i < 100; i++) { /* a single poll that does not end */
        nart_res now = nart_watchdog_look(&dog, NULL);
        CHECK_LE(before, now);
        before = now;
    }
    __atomic_store_n(&seen, 1, __ATOMIC_RELEASE);
    return NULL;
}

static pthread_t watch(const char *name)
{
    stuck_name = name;
    CHECK_RES(nart_watchdog_look(&dog, NULL), 0);
    CHECK_RES(observe(rt, 0, &dog), 0);
    return thread_start(monitor, NULL);
}

static void watched(pthread_t thread)
{
    const char *name = "left over";

    thread_join(thread);
    CHECK_RES(nart_watchdog_look(&dog, &name), 0);
    CHECK(name == NULL);
}

TEST_WITH(another_thread_sees_a_poll_that_does_not_end, rt)
{
    pthread_t thread = watch("int");
    CHECK_RES(nart_block_on(rt, &stuck_type, &(int){ 0 }, NULL), 0);
    watched(thread);
}

TEST_WITH(another_thread_sees_a_fiber_that_blocks, rt)
{
    pthread_t thread = watch("stuck_fiber");
    CHECK_RES(nart_fiber_block_on(rt, stuck_fiber, NULL, NULL, NULL), 0);
    watched(thread);
}

/* Ten million polls in a long run, with concurrent watchdog looks: each result is one of them. */
static int works(void)
{
    return (int)test_repeat(10000);
}

static int over;

static void *look_on(void *unused)
{
    const char *name;

    (void)unused;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
        if (nart_watchdog_look(&dog, &name) > 0 && name)
            CHECK(strcmp(name, "work") == 0 || strcmp(name, "sleeper") == 0);
    return NULL;
}

TEST(looks_and_polls_at_the_same_time)
{
    static const int64_t ns[1000];
    paused_open();

    CHECK_RES(observe(rt, 0, &dog), 0);
    pthread_t thread = thread_start(look_on, NULL);
    CHECK_RES(nart_rt_spawn(rt, &sleeper_type, &(struct sleeper){ 0 }, NULL), 0);
    settle(rt);
    uint64_t before = stats_of(rt).polls;
    for (int i = 0; i < works(); i++)
        work(rt, ns, 1000);
    CHECK_EQ(stats_of(rt).polls - before, works() * 1001);
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    thread_join(thread);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_watchdog_look(&dog, NULL), 0);
}

/* ---- starting and stopping inside polls ---- */

struct switcher {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static nart_res switcher_run(nart_cx *cx, void *frame)
{
    struct switcher *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(observe(rt, 0, &dog), 0);
    CHECK_RES(nart_rt_clock_advance(rt, 9000), 0);  /* started unobserved: not measured */
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 1)); /* until another tick */
    CHECK_LE(1, nart_watchdog_look(&dog, NULL));
    CHECK_RES(observe(rt, 0, &other_dog), 0);
    CHECK_RES(nart_watchdog_look(&dog, NULL), 0);
    CHECK_RES(observe(rt, 0, &dog), 0);
    CHECK_RES(nart_rt_poll_percentile(rt, 100), 0);
    CHECK_RES(nart_rt_clock_advance(rt, 5), 0);
    NART_YIELD();
    CHECK_RES(nart_rt_poll_percentile(rt, 100), 5);
    CHECK_RES(nart_rt_observe_stop(rt), 0);
    CHECK_RES(nart_watchdog_look(&dog, NULL), 0);
    CHECK_RES(nart_rt_clock_advance(rt, 9000), 0);
    NART_YIELD();
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 1));
    CHECK_RES(nart_rt_observe_stop(rt), 0); /* off and on again */
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_rt_clock_advance(rt, 9000), 0);
    NART_END(0);
}

static const nart_task_type switcher_type = NART_TASK_TYPE(struct switcher, switcher_run, NULL);

TEST_WITH(switched_on_and_off_inside_polls, paused)
{
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_block_on(rt, &switcher_type, NULL, NULL), 0);
    CHECK_EQ(stats_of(rt).longest_ns, 5);
    CHECK_RES(nart_rt_poll_percentile(rt, 100), 0);
}

static const nart_task_type urgent_type =
    NART_TASK_TYPE_FLAGS(struct work, work_run, NULL, NART_TASK_URGENT);

/* Report callbacks that stop observing, or observe more closely. */
static nart_rt *told_of;
static int tellings;

static void switch_off(void *arg, const char *line)
{
    (void)arg, (void)line;
    tellings++;
    CHECK_RES(nart_rt_observe_stop(told_of), 0);
}

static void switch_over(void *arg, const char *line)
{
    (void)arg, (void)line;
    tellings++;
    CHECK_RES(nart_trace_start(told_of, 10), 0);
    CHECK_RES(nart_rt_observe_stop(told_of), 0);
    CHECK_RES(observe(told_of, 0, &dog), 0);
    CHECK_RES(nart_trace_stop(told_of, NULL), 0);
}

TEST(a_report_switches_it_off_or_over)
{
    static const int64_t ns[] = { 5, 20, 30, 40 };

    told_of = paused_rt(switch_off);
    CHECK_RES(observe(told_of, 10, &dog), 0);
    work(told_of, ns, 4);
    CHECK_EQ(tellings, 1);
    CHECK_EQ(stats_of(told_of).longest_ns, 20);
    CHECK_RES(nart_rt_free(told_of), 0);
    told_of = paused_rt(switch_over);
    CHECK_RES(observe(told_of, 10, NULL), 0);
    work(told_of, ns, 4);
    CHECK_EQ(tellings, 2);
    CHECK_EQ(stats_of(told_of).longest_ns, 40);
    CHECK_RES(nart_rt_free(told_of), 0);
}

TEST(urgent_tasks_and_those_that_end_with_the_runtime_are_measured)
{
    static const int64_t ns[] = { 40, 50, 60 };
    paused_open();
    struct work init = { .ns = ns, .n = 3 };

    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &urgent_type, &init, NULL), 0);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    CHECK_LE(40, stats_of(rt).longest_ns);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(stats_of(rt).longest_ns, 60);
    CHECK_EQ(stats_of(rt).wakes_local, 3);
    CHECK_RES(nart_rt_spawn(rt, &work_type, &init, NULL), 0);
    CHECK_RES(observe(rt, 10, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK(strstr(reported, "a poll of task work#0 took 0.000 ms") != NULL);
}

/* ---- misuse ---- */

TEST_WITH(without_memory_nothing_changes, paused)
{
    for (int nth = 1; nth <= 2; nth++) {
        test_alloc_fail(nth, false);
        CHECK_RES(nart_rt_observe(rt, NULL), -ENOMEM);
        CHECK_RES(nart_rt_poll_percentile(rt, 50), -EPERM);
        work(rt, (int64_t[]){ 1 }, 1);
    }
    test_alloc_fail(0, false);
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
}

static void *elsewhere(void *of)
{
    CHECK_RES(nart_rt_observe(of, NULL), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_observe_stop(of), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_poll_percentile(of, 1), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_polls_within(of, 1), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(misuse_is_answered, paused)
{
    nart_observe_opts opts = NART_OBSERVE_OPTS_INIT;

    CHECK_RES(nart_rt_observe(NULL, NULL), -EINVAL);
    CHECK_RES(nart_rt_observe_stop(NULL), -EINVAL);
    CHECK_RES(nart_rt_poll_percentile(NULL, 1), -EINVAL);
    CHECK_RES(nart_rt_polls_within(NULL, 1), -EINVAL);
    CHECK_RES(observe(rt, -1, NULL), -EINVAL);
    opts.size = 0;
    CHECK_RES(nart_rt_observe(rt, &opts), NART_EABI);
    opts.size = sizeof opts + 8;
    CHECK_RES(nart_rt_observe(rt, &opts), NART_EABI);
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_rt_poll_percentile(rt, -0.1), -EINVAL);
    CHECK_RES(nart_rt_poll_percentile(rt, 100.1), -EINVAL);
    CHECK_RES(nart_watchdog_look(NULL, NULL), -EINVAL);
    CHECK_RES(nart_rt_bind(rt), 0);
    thread_run(elsewhere, rt);
}

/* As nart/observe.h and nart/trace.h say. */
/* The runtime's observer, and the memory of each use: poll times; events and tracks. */
TEST_WITH(measuring_takes_one_allocation_and_a_trace_two_and_both_one_more, paused)
{
    long live = test_alloc_live();

    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_EQ(test_alloc_live(), live + 2);
    CHECK_RES(nart_trace_start(rt, 10), 0);
    CHECK_EQ(test_alloc_live(), live + 4);
    CHECK_RES(nart_rt_observe_stop(rt), 0);
    CHECK_EQ(test_alloc_live(), live + 3);
    CHECK_RES(nart_trace_stop(rt, NULL), 0);
    CHECK_EQ(test_alloc_live(), live);
}
