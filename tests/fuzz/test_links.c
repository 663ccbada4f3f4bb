/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random operations on the two ends of connections, of every kind, against a model: the bytes and messages of each
 * direction are numbered. Meanwhile ends are closed, reset, moved, shut down, detached and adopted, and tasks are
 * cancelled, also by a runtime that is freed; signals interrupt system calls.
 *
 *     test_fuzz_links links          as ctest does
 *     test_fuzz_links links 17       the links of seed 17
 *     test_fuzz_links links 17-99    those of seeds 17 to 98 */
#include "runtime.h"

#include "links.h"
#include "seeds.h"

#include <nart/fiber.h>
#include <nart/observe.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { SEEDS = 5000, LINKS = 3 };

enum form { BODIES, FIBERS, ARMS, BRANCHES, FORMS };
enum mode { PLAIN, DEADLINE, RACE, LATE_RACE, ALL, MODES };

static nart_rt *rt;

/* ---- one task: the writer or the reader of an end ---- */

struct side {
    nart_co co;
    nart_timer timer;
    nart_arm arms[2];
    struct op op;
    uint32_t mode, which;
    int64_t ns;
    bool ended, waits;
    nart_res joined;
};

static void side_next(struct side *s)
{
    op_begin(&s->op);
    s->mode = op_pick(&s->op, 2) ? PLAIN : op_pick(&s->op, MODES);
    s->ns = op_pick(&s->op, 4) * 40 * NART_US;
    s->waits = op_pick(&s->op, 8) == 0;
}

/* Was it lost because the sleep has won? Then the operation has consumed nothing. */
static void side_answer(struct side *s, nart_res r)
{
    bool slept = (s->mode == RACE && s->which == 1) || (s->mode == LATE_RACE && s->which == 0);

    if (s->mode == ALL)
        r = s->arms[0].res;
    if (slept && (r == 0 || r == -ECANCELED))
        r = -ECANCELED;
    op_end(&s->op, r, slept || s->mode == DEADLINE, s->mode == ALL);
}

static nart_res body(nart_cx *cx, struct side *s)
{
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    while (op_more(&s->op)) {
        side_next(s);
        if (s->mode == PLAIN)
            NART_AWAIT(r, op_call(cx, &s->op));
        else if (s->mode == DEADLINE)
            NART_AWAIT_FOR(r, s->ns, op_call(cx, &s->op));
        else if (s->mode == RACE)
            NART_AWAIT_ANY(s->which, r, op_call(cx, &s->op), nart_sleep(cx, &s->timer, s->ns));
        else if (s->mode == LATE_RACE)
            NART_AWAIT_ANY(s->which, r, nart_sleep(cx, &s->timer, s->ns), op_call(cx, &s->op));
        else
            NART_AWAIT_ALL(r, s->arms, op_call(cx, &s->op), nart_sleep(cx, &s->timer, s->ns));
        side_answer(s, r);
        if (s->waits && !s->op.over && !links_freeing)
            NART_YIELD();
    }
    op_over(&s->op);
    s->ended = true;
    NART_END(0);
}

static nart_res fiber(nart_cx *cx, void *arg)
{
    struct side *s = arg;

    while (op_more(&s->op)) {
        nart_res r;
        side_next(s);
        memset(s->arms, 0, sizeof s->arms);
        if (s->mode == PLAIN)
            r = nart_await(cx, op_call(cx, &s->op));
        else if (s->mode == DEADLINE)
            r = nart_await_for(cx, s->ns, op_call(cx, &s->op));
        else if (s->mode == RACE)
            r = nart_await_any(cx, s->which, op_call(cx, &s->op), nart_sleep(cx, &s->timer, s->ns));
        else if (s->mode == LATE_RACE)
            r = nart_await_any(cx, s->which, nart_sleep(cx, &s->timer, s->ns), op_call(cx, &s->op));
        else
            r = nart_await_all(cx, s->arms, op_call(cx, &s->op), nart_sleep(cx, &s->timer, s->ns));
        side_answer(s, r);
        if (s->waits && !s->op.over && !links_freeing && nart_yield(cx) < 0)
            s->waits = false;
    }
    op_over(&s->op);
    s->ended = true;
    return 0;
}

/* ---- tasks ---- */

struct task {
    nart_co co;
    nart_arm arms[2];
    nart_branch branches[2];
    struct side *sides[2];
};

static nart_res one_run(nart_cx *cx, void *frame)
{
    return body(cx, ((struct task *)frame)->sides[0]);
}

static nart_res two_run(nart_cx *cx, void *frame)
{
    struct task *t = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &t->co);
    NART_AWAIT_ALL(r, t->arms, body(cx, t->sides[0]), body(cx, t->sides[1]));
    NART_END(r);
}

static nart_res branches_run(nart_cx *cx, void *arg)
{
    struct side **sides = *(void **)arg;
    nart_arm arms[2] = { { .res = 0 } };
    nart_branch a = { 0 }, b = { 0 };

    return nart_await_all(cx, arms, nart_branch_run(cx, &a, fiber, sides[0]),
                          nart_branch_run(cx, &b, fiber, sides[1]));
}

static const nart_task_type one_type = NART_TASK_TYPE(struct task, one_run, NULL),
                            two_type = NART_TASK_TYPE(struct task, two_run, NULL);

static struct world {
    struct link links[LINKS];
    struct side sides[LINKS][2][2];
    struct side *pairs[LINKS][2][2];
    nart_join joins[LINKS][2][2];
    uint32_t n;
} w;

/* The writer and the reader of an end: two tasks, or two arms of one. */
static void spawn(uint32_t i, uint32_t end, uint32_t form)
{
    struct side **two = w.pairs[i][end];
    nart_join *joins = w.joins[i][end];

    two[0] = &w.sides[i][end][0];
    two[1] = &w.sides[i][end][1];
    if (form == ARMS) {
        struct task t = { .sides = { two[0], two[1] } };
        CHECK_RES(nart_rt_spawn(rt, &two_type, &t, &joins[0]), 0);
    } else if (form == BRANCHES) {
        nart_fiber_opts o = NART_FIBER_OPTS_INIT;
        void *arg = two;
        o.value = sizeof arg;
        CHECK_RES(nart_rt_fiber_spawn(rt, branches_run, &arg, &o, &joins[0]), 0);
    } else
        for (int k = 0; k < 2; k++) {
            struct task t = { .sides = { two[k] } };
            if (form == FIBERS)
                CHECK_RES(nart_rt_fiber_spawn(rt, fiber, two[k], NULL, &joins[k]), 0);
            else
                CHECK_RES(nart_rt_spawn(rt, &one_type, &t, &joins[k]), 0);
        }
}

/* ---- a seed ---- */

static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
    (void)sig;
    alarmed = 1;
}

static void fail_as_hanging(uint64_t seed)
{
    for (uint32_t i = 0; i < w.n; i++)
        link_print(&w.links[i]);
    nart_rt_dump(rt, stdout);
    fflush(stdout);
    test_fail(__FILE__, __LINE__, "seed %" PRIu64 " hangs", seed);
}

static void on_storm(int sig)
{
    (void)sig;
}

static void storm(bool on)
{
    const struct sigaction sa = { .sa_handler = on_storm };
    const int us = on ? 150 : 0;
    const struct itimerval t = { { 0, us }, { 0, us } };

    CHECK_EQ(sigaction(SIGVTALRM, &sa, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_VIRTUAL, &t, NULL), 0);
}

/* Something that the tasks do not expect. */
static void deed(uint64_t *random)
{
    uint32_t i = random_below(random, w.n), end = random_below(random, 2);
    uint32_t what = random_below(random, 12);

    if (what == 0) {
        nart_join *j = &w.joins[i][end][random_below(random, 2)];
        if (nart_task_cancel(rt, nart_join_task(j)) == 0) {
            w.links[i].broken = true;
            w.sides[i][end][0].op.cancelled = w.sides[i][end][1].op.cancelled = true;
        }
    } else {
        link_deed(&w.links[i], end, what, random);
    }
}

static void run_seed(uint64_t seed)
{
    uint64_t random = seed;
    uint32_t deeds = random_below(&random, 3) ? random_below(&random, 6) : 0;
    uint32_t frees = random_below(&random, 8) == 0 ? random_below(&random, 40) : UINT32_MAX;
    uint32_t gap = 1 + random_below(&random, 30), ticks = 0;

    CHECK_RES(nart_rt_free(new_rt()), 0); /* its hub stays for the next one */
    int base = dup(0);
    links_freeing = false;
    alarm(SEEDS_HANG);
    close(base);
    memset(&w, 0, sizeof w);
    rt = new_rt();
    storm(random_below(&random, 4) == 0);
    w.n = 1 + random_below(&random, LINKS);
    for (uint32_t i = 0; i < w.n; i++) {
        link_open(rt, &w.links[i], random_below(&random, KINDS), &random);
        for (uint32_t end = 0; end < 2; end++) {
            for (uint32_t k = 0; k < 2; k++)
                op_init(&w.sides[i][end][k].op, &w.links[i], end, k == 1, random_next(&random));
            spawn(i, end, random_below(&random, FORMS));
        }
    }
    while (nart_rt_task_count(rt) > 0 && ticks++ != frees) {
        nart_res polls = nart_rt_poll(rt, 20 * NART_MS);
        CHECK_LE(0, polls);
        if (alarmed)
            fail_as_hanging(seed);
        for (uint32_t i = 0; i < w.n && polls == 0; i++)
            (void)link_rescue(&w.links[i]);
        if (deeds > 0 && ticks % gap == 0) {
            deed(&random);
            deeds--;
        }
    }
    storm(false);
    if (nart_rt_task_count(rt) == 0)
        for (uint32_t i = 0; i < w.n; i++)
            link_check(&w.links[i]);
    for (uint32_t i = 0; i < w.n; i++)
        for (int k = 0; k < 4; k++)
            nart_join_release(&w.joins[i][k / 2][k % 2]);
    bool late = random_below(&random, 2);
    links_freeing = true;
    if (late)
        CHECK_RES(nart_rt_free(rt), 0);
    for (uint32_t i = 0; i < w.n; i++)
        link_close(&w.links[i]);
    if (!late)
        CHECK_RES(nart_rt_free(rt), 0);
    for (uint32_t i = 0; i < w.n; i++)
        link_free(&w.links[i]);
    int now = dup(0);
    close(now);
    if (now != base)
        test_fail(__FILE__, __LINE__, "seed %" PRIu64 ": descriptor %d is open", seed, base);
}

TEST(links)
{
    CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    links_begin();
    if (!seeds_named(run_seed, test_argument()))
        seeds_run(run_seed, 0, test_repeat(SEEDS));
    links_end();
}
