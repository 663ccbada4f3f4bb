/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Task-local values: which code sees which value, and when. */
#include "by_hand.h"
#include "core.h"
#include "virtual.h"

#include <nart/local.h>

FIXTURE_RT();
static const nart_local_key user = { "user" }, level = { "level" };

/* Returns -1 if there is none. */
static int seen(const nart_cx *cx, const nart_local_key *key)
{
    const int *value = nart_local_get(cx, key);
    return value ? *value : -1;
}

static void check(const nart_cx *cx, int user_seen, int level_seen)
{
    CHECK_EQ(seen(cx, &user), user_seen);
    CHECK_EQ(seen(cx, &level), level_seen);
}

/* ---- three bodies: the first binds `user`, the first and the second `level` ---- */

struct task {
    nart_co first, second, third;
    nart_timer timer;
    nart_rx *rx;
    int number, one, two, polls;
    int64_t limit;
    uint64_t value;
    nart_res r;
    nart_waker waker;
};

static nart_res third(nart_cx *cx, struct task *t)
{
    check(cx, t->number, 2);
    NART_BEGIN(cx, &t->third);
    NART_AWAIT(t->r, nart_sleep(cx, &t->timer, NART_MS));
    check(cx, t->number, 2);
    NART_AWAIT_FOR(t->r, t->limit, nart_sleep(cx, &t->timer, NART_SEC));
    check(cx, t->number, 2);
    t->number += 100; /* it is in the frame */
    NART_END(t->r);
}

static nart_res second(nart_cx *cx, struct task *t)
{
    check(cx, t->number, 1);
    NART_BEGIN(cx, &t->second);
    t->two = 2;
    NART_AWAIT_LOCAL(t->r, &level, &t->two, third(cx, t));
    check(cx, t->number, 1);
    NART_AWAIT(t->r, nart_sleep(cx, &t->timer, NART_MS));
    check(cx, t->number, 1);
    NART_END(t->r);
}

static nart_res first(nart_cx *cx, struct task *t)
{
    check(cx, t->number, -1);
    NART_BEGIN(cx, &t->first);
    t->one = 1;
    NART_AWAIT_LOCAL(t->r, &level, &t->one, second(cx, t));
    check(cx, t->number, -1);
    NART_YIELD();
    check(cx, t->number, -1);
    NART_END(t->r);
}

/* A hand-written poll function that binds for the whole task. */
static nart_res task_poll(nart_cx *cx, void *frame)
{
    struct task *t = frame;
    nart_local l;

    t->polls++;
    t->waker = nart_cx_waker(cx);
    check(cx, -1, -1);
    nart_local_enter(cx, &l, &user, &t->number);
    nart_res r = first(cx, t);
    nart_local_leave(cx, &l);
    check(cx, -1, -1);
    return r;
}

static const nart_task_type task_type = NART_TASK_TYPE(struct task, task_poll, NULL);

static struct task *start(nart_join *join, int number)
{
    struct task *t = spawn(rt, &task_type, join);
    t->number = number;
    t->limit = 10 * NART_MS;
    return t;
}

TEST_WITH(bodies_below_see_the_innermost, rt)
{
    nart_join join;
    struct task *t = start(&join, 5);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(t->number, 105);
    nart_join_release(&join);
}

TEST_WITH(tasks_see_their_own, rt)
{
    nart_join join[10];
    for (int i = 0; i < 10; i++)
        start(&join[i], i)->limit = (i % 3 + 1) * NART_MS;
    run_all(rt);
    for (int i = 0; i < 10; i++) {
        CHECK(nart_join_done(&join[i]));
        nart_join_release(&join[i]);
    }
}

TEST_WITH(polls_for_no_reason_change_nothing, rt)
{
    nart_join join;
    struct task *t = start(&join, 5);
    settle(rt);
    for (int i = 0; i < 1000; i++) {
        if (i == 500)
            run_until(rt, at_ms(5));
        nart_waker_wake(t->waker);
        settle(rt);
    }
    CHECK_LE(1000, t->polls);
    run_all(rt);
    CHECK_EQ(t->number, 105);
    nart_join_release(&join);
}

TEST_WITH(a_cancelled_task_unwinds_under_its_own, rt)
{
    nart_join join;
    struct task *t = start(&join, 5);
    run_until(rt, at_ms(5));
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(t->number, 105);
    nart_join_release(&join);
}

/* ---- each arm of a race sees its own bindings ---- */

struct racer {
    nart_co co, arm[2];
    nart_timer timer[2];
    int number[2], which;
    nart_res r[3];
};

static nart_res arm(nart_cx *cx, struct racer *f, int i)
{
    check(cx, i, -1);
    NART_BEGIN(cx, &f->arm[i]);
    NART_AWAIT_LOCAL(f->r[i], &level, &f->number[i],
                     nart_sleep(cx, &f->timer[i], (i + 1) * NART_MS));
    check(cx, i, -1);
    NART_END(i);
}

static nart_res bound_arm(nart_cx *cx, struct racer *f, int i)
{
    nart_local l;

    nart_local_enter(cx, &l, &user, &f->number[i]);
    nart_res r = arm(cx, f, i);
    nart_local_leave(cx, &l);
    return r;
}

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    check(cx, -1, -1);
    NART_BEGIN(cx, &f->co);
    f->number[1] = 1;
    NART_AWAIT_ANY(f->which, f->r[2], bound_arm(cx, f, 0), bound_arm(cx, f, 1));
    check(cx, -1, -1);
    CHECK_EQ(f->which, 0);
    NART_AWAIT(f->r[2], bound_arm(cx, f, 1)); /* the loser continues with its binding */
    check(cx, -1, -1);
    NART_END(f->r[2]);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

TEST_WITH(arms_of_a_race_see_their_own, rt)
{
    nart_join join;
    (void)spawn(rt, &racer_type, &join);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(elapsed_ms(), 2);
    nart_join_release(&join);
}

/* ---- code that sees no binding ---- */

struct parent {
    nart_co co;
    nart_join child;
    int number;
    nart_res r;
};

static nart_res child_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    check(cx, -1, -1);
    return 0;
}

static const nart_task_type child_type = NART_TASK_TYPE(int, child_poll, NULL);

static nart_res spawn_and_await(nart_cx *cx, struct parent *p)
{
    check(cx, 7, -1);
    if (!p->child.hub)
        CHECK_RES(nart_spawn(cx, &child_type, NULL, &p->child), 0);
    return nart_join_await(cx, &p->child, NULL);
}

static nart_res parent_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    p->number = 7;
    NART_AWAIT_LOCAL(p->r, &user, &p->number, spawn_and_await(cx, p));
    nart_join_release(&p->child);
    NART_END(p->r);
}

static const nart_task_type parent_type = NART_TASK_TYPE(struct parent, parent_run, NULL);

TEST_WITH(a_spawned_task_inherits_nothing, rt)
{
    nart_res r = -1;
    CHECK_RES(nart_block_on(rt, &parent_type, NULL, &r), 0);
    CHECK_RES(r, 0);
}

/* Leaves a binding open: a mistake that affects no other task. */
static nart_res careless_poll(nart_cx *cx, void *frame)
{
    static nart_local l;
    int *polls = frame;

    check(cx, -1, -1);
    nart_local_enter(cx, &l, &user, polls);
    nart_wake_self(cx);
    return ++*polls < 3 ? nart_op_park(cx) : 0;
}

static const nart_task_type careless_type = NART_TASK_TYPE(int, careless_poll, NULL);

TEST_WITH(a_binding_ends_with_the_poll, rt)
{
    CHECK_RES(nart_rt_spawn(rt, &careless_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &child_type, NULL, NULL), 0);
    CHECK_EQ(settle(rt), 4);
}

/* ---- another driver ---- */

TEST(another_driver_does_the_same)
{
    struct task f = { .number = 3, .limit = 2 * NART_MS };
    struct by_hand host;
    nart__task t;

    by_hand_open(&host, 0);
    nart_driver_task_init(&t, &task_type, &f, &host.cx);
    while (nart_driver_poll(&host.cx, &t) == NART_PENDING)
        host.now += NART_MS;
    CHECK_EQ(f.number, 103);
    check(&host.cx, -1, -1);
}
