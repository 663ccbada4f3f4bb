/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Abandoned sleeps, and the cost of a million of them. */
#include "nart_rows.h"

#include <stdlib.h>

enum { MILLION = 1000000 };
#define HOUR (3600 * NART_SEC)

/* ---- a sleep started, polled once and abandoned
 * ----------------------------------------------- */

struct gives_up {
    struct work w;
    nart_timer timer;
    int64_t at;
};

/* Sleeps of one poll spend its budget: a yield after each 100 starts another poll. */
static nart_res until_run(nart_cx *cx, void *frame)
{
    struct gives_up *g = frame;

    NART_BEGIN(cx, &g->w.co);
    for (g->w.i = 0; g->w.i < g->w.n; g->w.i++) {
        if (nart_sleep_until(cx, &g->timer, g->at) != NART_PENDING)
            NART_RETURN(-EIO);
        nart_timer_cancel(&g->timer);
        if (g->w.i % 100 == 99)
            NART_YIELD();
    }
    NART_END(0);
}

double timer_cancel(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct gives_up, until_run, NULL);

    return how(rt, &type, &(struct gives_up){ .at = bench_now() + HOUR }, n);
}

static nart_res rel_run(nart_cx *cx, void *frame)
{
    struct gives_up *g = frame;

    NART_BEGIN(cx, &g->w.co);
    for (g->w.i = 0; g->w.i < g->w.n; g->w.i++) {
        if (nart_sleep(cx, &g->timer, HOUR) != NART_PENDING)
            NART_RETURN(-EIO);
        nart_timer_cancel(&g->timer);
        if (g->w.i % 100 == 99)
            NART_YIELD();
    }
    NART_END(0);
}

double timer_cancel_rel(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct gives_up, rel_run, NULL);

    return how(rt, &type, &(struct gives_up){ 0 }, n);
}

/* ---- tasks that sleep ------------------------------------------------------------------------ */

struct sleeper {
    nart_co co;
    nart_timer timer;
    int64_t at;
};

NART__ASSERT(sizeof(void *) != 8 || sizeof(struct sleeper) == 64,
             "task_bytes is about 64-byte frames");

static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    struct sleeper *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, nart_sleep_until(cx, &s->timer, s->at));
    NART_END(r);
}

static const nart_task_type sleeper_type = NART_TASK_TYPE(struct sleeper, sleeper_run, NULL);

static nart_rt *roomy_runtime(uint64_t tasks)
{
    nart_rt_opts o = NART_RT_OPTS_INIT;

    o.slots[0] = (uint32_t)tasks;
    return bench_runtime(&o);
}

static uint64_t random_below(uint64_t bound)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % bound;
}

/* Spawns `tasks` sleepers, due evenly from `first` on over `span` nanoseconds, and lets all
 * park. */
static void spawn_sleepers(nart_rt *rt, uint64_t tasks, int64_t first, int64_t span)
{
    for (uint64_t i = 0; i < tasks; i++) {
        struct sleeper s = { .at = first + (int64_t)random_below((uint64_t)span) };
        bench_must(nart_rt_spawn(rt, &sleeper_type, &s, NULL), "spawn");
    }
    while (bench_must(nart_rt_poll(rt, 0), "poll") > 0)
        continue;
}

double task_bytes(uint64_t tasks)
{
    nart_rt *rt = roomy_runtime(tasks);
    uint64_t before = bench_resident_bytes();

    spawn_sleepers(rt, tasks, bench_now() + HOUR, HOUR);
    uint64_t grown = bench_resident_bytes() - before;
    bench_must(nart_rt_free(rt), "free");
    return (double)grown / (double)tasks;
}

/* ---- the cost of an iteration of the loop
 * ----------------------------------------------------- */

static nart_res busy_run(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_wake_self(cx);
    return nart_cx_cancelled(cx) ? -ECANCELED : NART_PENDING;
}

static int64_t time_polls(nart_rt *rt, uint64_t n)
{
    int64_t start = bench_now();

    for (uint64_t i = 0; i < n; i++)
        bench_must(nart_rt_poll(rt, 0), "poll");
    return bench_now() - start;
}

/* Two runtimes in turn, one with a million pending timers: the ratio of their times. */
double loop_1m_timers(uint64_t polls)
{
    static const nart_task_type busy_type = NART_TASK_TYPE(uint64_t, busy_run, NULL);
    const uint64_t block = 1000;
    nart_rt *full = roomy_runtime(MILLION + 1), *empty = roomy_runtime(1);
    int64_t with = 0, without = 0;

    spawn_sleepers(full, MILLION, bench_now() + HOUR, HOUR);
    bench_must(nart_rt_spawn(full, &busy_type, NULL, NULL), "spawn");
    bench_must(nart_rt_spawn(empty, &busy_type, NULL, NULL), "spawn");
    for (uint64_t done = 0; done < polls; done += block) {
        with += time_polls(full, block);
        without += time_polls(empty, block);
    }
    bench_must(nart_rt_free(full), "free");
    bench_must(nart_rt_free(empty), "free");
    return (double)with / (double)without;
}

struct longest {
    int64_t cpu, wall;
};

static void measure_poll(nart_rt *rt, struct longest *l)
{
    int64_t wall = bench_now(), cpu = bench_thread_time();
    bench_must(nart_rt_poll(rt, 0), "poll");
    cpu = bench_thread_time() - cpu;
    wall = bench_now() - wall;
    l->cpu = cpu > l->cpu ? cpu : l->cpu;
    l->wall = wall > l->wall ? wall : l->wall;
}

/* A million timers due over 1 s to 1 h, and a loop that never parks: the longest iteration, in
 * processor time of the thread to exclude other load. It still includes time stolen by a
 * hypervisor: iterations of an idle loop, made in between, show how much. The wall-clock time is
 * a row of its own. */
double longest_iteration_us(uint64_t seconds)
{
    nart_rt *full = roomy_runtime(MILLION), *empty = roomy_runtime(1);
    struct longest with = { 0, 0 }, without = { 0, 0 };

    spawn_sleepers(full, MILLION, bench_now() + NART_SEC, HOUR - NART_SEC);
    int64_t end = bench_now() + (int64_t)seconds * NART_SEC;
    while (bench_now() < end) {
        measure_poll(full, &with);
        measure_poll(empty, &without);
    }
    bench_must(nart_rt_free(full), "free");
    bench_must(nart_rt_free(empty), "free");
    bench_print("longest_iteration_wall_us", "nart", (double)with.wall / 1000, "us");
    bench_print("longest_iteration_wall_us", "idle", (double)without.wall / 1000, "us");
    bench_print("longest_iteration_us", "idle", (double)without.cpu / 1000, "us");
    return (double)with.cpu / 1000;
}
