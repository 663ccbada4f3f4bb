/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fibers spawned into nurseries, task sets and pools, by functions and by bodies; and a spawn into a pool that has to
 * wait first. */
#include "group.h"

FIXTURE_RT(.report = keep_report);

enum { FIBER, BODY };

/* ---- an owner, which spawns three ---- */

static struct owner {
    struct group g;
    int form, count;
    struct value arg, moved, late;
    const nart_fiber_opts *opts; /* of the last one */
    int64_t limit;               /* for that */
    bool race;                   /* it loses one first */
    nart_timer timer;
    nart_res spawned[3], lost, joined;
    int which;
    nart_join join;
} o;

static nart_res owner_fiber(nart_cx *cx, void *arg)
{
    (void)arg;
    group_open(cx, &o.g, NODES);
    o.spawned[0] = nart_await(cx, group_spawn(cx, &o.g, &o.arg, NULL));
    o.spawned[1] = nart_await(cx, group_spawn_value(cx, &o.g, &o.moved, NULL));
    if (o.race) {
        o.lost = nart_await_any(cx, o.which, group_spawn_value(cx, &o.g, &o.late, o.opts),
                                nart_sleep(cx, &o.timer, NART_MS));
        CHECK(o.late.count != NULL);
    }
    o.spawned[2] = nart_await_until(cx, o.limit, group_spawn_value(cx, &o.g, &o.late, o.opts));
    o.joined = nart_await(cx, group_join(cx, &o.g));
    group_close(&o.g);
    return 0;
}

struct owner_body {
    nart_co co;
};

static nart_res owner_body(nart_cx *cx, void *frame)
{
    struct owner_body *f = frame;

    NART_BEGIN(cx, &f->co);
    group_open(cx, &o.g, NODES);
    NART_AWAIT(o.spawned[0], group_spawn(cx, &o.g, &o.arg, NULL));
    NART_AWAIT(o.spawned[1], group_spawn_value(cx, &o.g, &o.moved, NULL));
    if (o.race) {
        NART_AWAIT_ANY(o.which, o.lost, group_spawn_value(cx, &o.g, &o.late, o.opts),
                       nart_sleep(cx, &o.timer, NART_MS));
        CHECK(o.late.count != NULL);
    }
    NART_AWAIT_UNTIL(o.spawned[2], o.limit, group_spawn_value(cx, &o.g, &o.late, o.opts));
    NART_AWAIT(o.joined, group_join(cx, &o.g));
    group_close(&o.g);
    NART_END(0);
}

static void owner_drop(void *frame)
{
    (void)frame;
    group_close(&o.g);
}

static const nart_task_type owner_type = NART_TASK_TYPE(struct owner_body, owner_body, owner_drop);

/* The children sleep 10 ms. The owner has spawned what it can without waiting. */
static void owner_start(uint32_t kind, int form)
{
    static const nart_fiber_opts with_drop = { .size = sizeof with_drop, .drop = drop };
    const struct value v = { .ms = 10, .count = &o.count };

    virtual_restart();
    drops = 0;
    trace[0] = '\0';
    o = (struct owner){ .g.kind = kind, .arg = v, .moved = v, .late = v, .opts = &with_drop };
    o.limit = NART_NEVER;
    if (form == FIBER)
        START(owner_fiber, NULL, &o.join);
    else
        CHECK_RES(nart_rt_spawn(rt, &owner_type, NULL, &o.join), 0);
}

/* The last value is the caller's, and was never another's. */
static void check_late_is_kept(nart_res r)
{
    CHECK(nart_join_done(&o.join));
    CHECK_RES(o.spawned[2], r);
    CHECK(o.late.count == &o.count);
    CHECK_EQ(o.late.ms, 10);
    CHECK_EQ(drops, 0);
    nart_join_release(&o.join);
    run_all(rt);
    CHECK_EQ(o.count, 2);
}

static void check_is_zeroed(const struct value *v)
{
    static const struct value none;

    CHECK_EQ(memcmp(v, &none, sizeof none), 0);
}

#define EACH_FORM (int form = FIBER; form <= BODY; form++)

TEST_EACH(a_value_is_zeroed_when_it_has_moved, NURSERY, TASK_SET, POOL)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(kind, form);
            run_all(rt);
            CHECK(nart_join_done(&o.join));
            nart_join_release(&o.join);
            CHECK_RES(o.spawned[0], 0);
            CHECK_RES(o.spawned[1], kind == TASK_SET);
            CHECK_RES(o.spawned[2], kind == TASK_SET ? -ENOSPC : 0);
            CHECK_EQ(o.count, kind == TASK_SET ? 2 : 3);
            CHECK(o.arg.count == &o.count); /* the pointer was passed */
            check_is_zeroed(&o.moved);
            CHECK_EQ(o.late.count == NULL, kind != TASK_SET);
            if (kind != TASK_SET)
                check_is_zeroed(&o.late);
            CHECK_RES(o.joined, 0);
            CHECK_EQ(elapsed_ms(), kind == POOL ? 20 : 10);
            CHECK_EQ(drops, 0); /* all have been called */
            rt_close();
        }
}

/* ---- a spawn into a pool that has to wait ---- */

TEST(a_cancelled_spawn_into_a_pool_keeps_the_value)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(POOL, form);
            settle(rt);
            CHECK(o.late.count == &o.count);
            CHECK_RES(cancel(rt, &o.join), 0);
            settle(rt);
            check_late_is_kept(-ECANCELED);
            rt_close();
        }
}

TEST(a_spawn_into_a_pool_that_times_out_keeps_the_value)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(POOL, form);
            o.limit = at_ms(5);
            run_all(rt);
            check_late_is_kept(-ETIMEDOUT);
            rt_close();
        }
}

TEST(a_spawn_into_a_pool_that_loses_a_race_can_be_awaited_again)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(POOL, form);
            o.race = true;
            run_all(rt);
            CHECK(nart_join_done(&o.join));
            nart_join_release(&o.join);
            CHECK_RES(o.lost, 0);
            CHECK_EQ(o.which, 1);
            CHECK_RES(o.spawned[2], 0);
            check_is_zeroed(&o.late);
            CHECK_EQ(o.count, 3);
            CHECK_EQ(elapsed_ms(), 20);
            rt_close();
        }
}

TEST(a_pool_that_is_closed_keeps_no_value)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(POOL, form);
            settle(rt);
            nart_pool_close(&o.g.pool);
            settle(rt);
            check_late_is_kept(NART_ECLOSED);
            rt_close();
        }
}

TEST(a_pool_that_is_cancelled_keeps_no_value)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(POOL, form);
            settle(rt);
            nart_pool_cancel(&o.g.pool);
            settle(rt);
            check_late_is_kept(-ECANCELED);
            rt_close();
        }
}

TEST(the_error_of_a_job_ends_the_spawning)
{
    for
        EACH_FORM
        {
            rt_open();
            owner_start(POOL, form);
            o.moved.answer = -EIO;
            run_all(rt);
            CHECK_RES(o.joined, -EIO);
            check_late_is_kept(-EIO);
            rt_close();
        }
}

TEST(a_value_is_kept_when_the_runtime_is_freed)
{
    rt_open();
    owner_start(POOL, BODY);
    settle(rt);
    nart_join_release(&o.join);
    rt_close();
    CHECK(o.late.count == &o.count);
    CHECK_EQ(drops, 0);
}

static nart_res spawns_beside(nart_cx *cx, void *arg)
{
    return nart_await(cx, group_spawn_value(cx, &o.g, arg, NULL));
}

TEST_WITH(another_task_spawns_into_a_pool_in_which_one_waits, rt)
{
    int count = 0;
    struct value v = { .count = &count };
    nart_join join;

    owner_start(POOL, FIBER);
    settle(rt);
    START(spawns_beside, &v, &join);
    settle(rt);
    CHECK_RES(fiber_verdict(rt, &join), -EBUSY);
    CHECK(v.count == &count);
    nart_join_release(&join);
    run_all(rt);
    CHECK_EQ(o.count, 3);
    nart_join_release(&o.join);
}
