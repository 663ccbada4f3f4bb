/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Semaphores and wait groups. */
#include "sync_test.h"

FIXTURE_RT();
static nart_semaphore s;

static bool nobody_waits(void)
{
    return !s.queue.first && !s.granted.first && s.reserved == 0;
}

TEST_WITH(permits_are_taken_and_released, rt)
{
    struct op a, b;
    nart_semaphore_init(&s, 3);
    acquire_start(rt, &a, &s, 2);
    CHECK_RES(a.res, 0);
    CHECK_EQ(nart_semaphore_permits(&s), 1);
    CHECK_RES(nart_semaphore_try_acquire(&s, 2), -EAGAIN);
    CHECK_RES(nart_semaphore_try_acquire(&s, 1), 0);
    acquire_start(rt, &b, &s, 1);
    CHECK_RES(b.res, NART_PENDING);
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    settle(rt);
    CHECK_RES(b.res, 0);
    CHECK_EQ(b.polls, 2);
    CHECK_EQ(nart_semaphore_permits(&s), 0);
}

TEST_WITH(a_large_request_is_not_overtaken, rt)
{
    struct op large, small[2];
    nart_semaphore_init(&s, 2);
    acquire_start(rt, &large, &s, 4);
    acquire_start(rt, &small[0], &s, 1);
    acquire_start(rt, &small[1], &s, 2);
    CHECK_RES(large.res, NART_PENDING);
    CHECK_RES(small[0].res, NART_PENDING);
    CHECK_RES(nart_semaphore_try_acquire(&s, 1), -EAGAIN); /* not even by a try */
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    settle(rt);
    CHECK_RES(large.res, NART_PENDING);
    CHECK_RES(nart_semaphore_release(&s, 2), 0);
    settle(rt);
    CHECK_RES(large.res, 0);
    CHECK_RES(small[0].res, 0); /* 5 were available */
    CHECK_RES(small[1].res, NART_PENDING);
    CHECK_RES(nart_semaphore_release(&s, 4), 0);
    settle(rt);
    CHECK_RES(small[1].res, 0);
    CHECK_EQ(nart_semaphore_permits(&s), 2);
}

/* One release serves as many waiters as its permits allow, in order. */
TEST(a_release_serves_several)
{
    struct op op[5];
    rt_open();
    for (uint32_t i = 0; i < 5; i++)
        acquire_start(rt, &op[i], &s, i + 1);
    CHECK_RES(nart_semaphore_release(&s, 7), 0);
    settle(rt);
    for (int i = 0; i < 5; i++)
        CHECK_RES(op[i].res, i < 3 ? 0 : NART_PENDING);
    CHECK_EQ(nart_semaphore_permits(&s), 1);
    rt_close();
}

TEST(a_granted_task_that_ends_returns_its_permits)
{
    for (enum way way = 0; way < TIMED_OUT; way++) {
        nart_notify instead = { .permit = 0 };
        struct op gone, next[3];
        rt_open();
        nart_semaphore_init(&s, 0);
        leaver_start(rt, &gone, SEMAPHORE, &s, 3, way, &instead);
        for (int i = 0; i < 3; i++)
            acquire_start(rt, &next[i], &s, 1);
        CHECK_RES(nart_semaphore_release(&s, 3), 0);
        CHECK_EQ(s.reserved, 3);
        leave(rt, &gone, way);
        settle(rt);
        check_left(&gone, way);
        for (int i = 0; i < 3; i++)
            CHECK_RES(next[i].res, 0);
        CHECK(nobody_waits());
        CHECK_EQ(nart_semaphore_permits(&s), 0);
        rt_close();
    }
}

/* When a large request leaves the front, those behind it are served at once with the permits
 * already available. */
TEST(a_waiter_that_leaves_the_front_frees_the_queue)
{
    for (enum way way = 0; way < WAYS; way++) {
        nart_notify instead = { .permit = 0 };
        struct op gone, next[3];
        rt_open();
        nart_semaphore_init(&s, 2);
        leaver_start(rt, &gone, SEMAPHORE, &s, 10, way, &instead);
        for (int i = 0; i < 3; i++) {
            acquire_start(rt, &next[i], &s, 1);
            CHECK_RES(next[i].res, NART_PENDING);
        }
        leave(rt, &gone, way);
        settle(rt);
        check_left(&gone, way);
        CHECK_RES(next[0].res, 0);
        CHECK_RES(next[1].res, 0);
        CHECK_RES(next[2].res, NART_PENDING);
        rt_close();
        CHECK(nobody_waits());
    }
}

/* Permits of a granted and then cancelled waiter pass to the next, through any number of them. */
TEST_WITH(permits_pass_through_many, rt)
{
    struct op op[100];
    for (int i = 0; i < 100; i++)
        acquire_start(rt, &op[i], &s, 2);
    CHECK_RES(nart_semaphore_release(&s, 2), 0);
    for (int i = 0; i < 99; i++)
        leave(rt, &op[i], i % 2 ? CANCELLED : ABORTED);
    settle(rt);
    CHECK_RES(op[99].res, 0);
    CHECK(nobody_waits());
    CHECK_EQ(nart_semaphore_permits(&s), 0);
}

TEST_WITH(there_are_only_so_many_permits, rt)
{
    struct op op;
    nart_semaphore_init(&s, NART_SEMAPHORE_MAX);
    CHECK_RES(nart_semaphore_release(&s, 1), -EOVERFLOW);
    CHECK_RES(nart_semaphore_release(&s, UINT32_MAX), -EOVERFLOW);
    CHECK_RES(nart_semaphore_release(&s, 0), 0);
    CHECK_EQ(nart_semaphore_permits(&s), NART_SEMAPHORE_MAX);
    CHECK_RES(nart_semaphore_try_acquire(&s, UINT32_MAX), 0);
    acquire_start(rt, &op, &s, UINT32_MAX);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_semaphore_release(&s, UINT32_MAX - 1), 0);
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    CHECK_RES(nart_semaphore_release(&s, 1), -EOVERFLOW); /* granted permits may return */
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_EQ(nart_semaphore_permits(&s), NART_SEMAPHORE_MAX);
}

/* A request for zero permits queues like any other and takes no permit. */
TEST_WITH(no_permits_are_a_request_as_well, rt)
{
    struct op large, none;
    acquire_start(rt, &none, &s, 0);
    CHECK_RES(none.res, 0);
    acquire_start(rt, &large, &s, 1);
    acquire_start(rt, &none, &s, 0);
    CHECK_RES(none.res, NART_PENDING);
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    settle(rt);
    CHECK_RES(large.res, 0);
    CHECK_RES(none.res, 0);
}

TEST_WITH(closing_answers_all, rt)
{
    struct op granted, waits[2], late;
    acquire_start(rt, &granted, &s, 1);
    acquire_start(rt, &waits[0], &s, 2);
    acquire_start(rt, &waits[1], &s, 1);
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    nart_semaphore_close(&s);
    nart_semaphore_close(&s);
    CHECK(nobody_waits());
    CHECK_EQ(nart_semaphore_permits(&s), 1);
    nart_semaphore copy = s;
    memset(&s, 0xa5, sizeof s); /* its memory may be reused */
    leave(rt, &waits[1], ABORTED);
    settle(rt);
    CHECK_RES(granted.res, NART_ECLOSED);
    CHECK_RES(waits[0].res, NART_ECLOSED);
    CHECK_RES(waits[1].res, -ECANCELED);
    acquire_start(rt, &late, &copy, 1);
    CHECK_RES(late.res, NART_ECLOSED);
    CHECK_RES(nart_semaphore_try_acquire(&copy, 1), NART_ECLOSED);
    CHECK_RES(nart_semaphore_release(&copy, 1), 0); /* permits still held can be released */
    nart_semaphore_close(NULL);
}

TEST_WITH(misuse_is_an_error, rt)
{
    nart_waiter shared = { .at = NULL };
    struct op a = { .waiter = &shared, .n = 1 }, b = a;
    op_start(rt, &a, SEMAPHORE, &s);
    op_start(rt, &b, SEMAPHORE, &s);
    CHECK_RES(b.res, -EBUSY);
    nart_rt *second = new_rt();
    struct op c = { .n = 1 };
    op_start(second, &c, SEMAPHORE, &s);
    CHECK_RES(c.res, NART_EDRIVER);
    CHECK_RES(nart_rt_free(second), 0);
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    settle(rt);
    CHECK_RES(a.res, 0);
}

TEST(polls_for_no_reason_change_nothing)
{
    struct op op[2];
    rt_open();
    nart_semaphore_init(&s, 1);
    acquire_start(rt, &op[0], &s, 2);
    acquire_start(rt, &op[1], &s, 1);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(op[i % 2].waker);
        settle(rt);
    }
    CHECK_LE(500, op[0].polls);
    CHECK_EQ(nart_semaphore_permits(&s), 1);
    CHECK_RES(nart_semaphore_release(&s, 1), 0);
    settle(rt);
    CHECK_RES(op[0].res, 0);
    CHECK_RES(op[1].res, NART_PENDING);
    rt_close();
    CHECK(nobody_waits());
}

TEST(nothing_is_left_of_a_runtime_that_is_freed)
{
    nart_waiter waiter[3] = { { .at = NULL } };
    struct op op[3];
    rt_open();
    nart_semaphore_init(&s, 0);
    for (int i = 0; i < 3; i++) {
        op[i] = (struct op){ .waiter = &waiter[i], .n = 2 };
        op_start(rt, &op[i], SEMAPHORE, &s);
    }
    CHECK_RES(nart_semaphore_release(&s, 3), 0);
    rt_close();
    CHECK(nobody_waits());
    CHECK_EQ(nart_semaphore_permits(&s), 3);
}

/* ---- a binary semaphore is a mutex: one holder at a time, and each task gets its turn ---- */

struct worker {
    nart_co co;
    nart_semaphore *s;
    nart_waiter w;
    nart_timer timer;
    int *inside, *turns;
    int i;
    nart_res r;
};

static nart_res worker_run(nart_cx *cx, void *frame)
{
    struct worker *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 10; f->i++) {
        NART_AWAIT(f->r, nart_semaphore_acquire(cx, f->s, &f->w, 1));
        CHECK_RES(f->r, 0);
        CHECK_EQ(++*f->inside, 1);
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_MS));
        (*f->inside)--;
        (*f->turns)++;
        CHECK_RES(nart_semaphore_release(f->s, 1), 0);
    }
    NART_END(0);
}

static const nart_task_type worker_type = NART_TASK_TYPE(struct worker, worker_run, NULL);

TEST_WITH(one_permit_is_a_mutex, rt)
{
    int inside = 0, turns = 0;
    nart_semaphore_init(&s, 1);
    for (int i = 0; i < 8; i++) {
        struct worker f = { .s = &s, .inside = &inside, .turns = &turns };
        CHECK_RES(nart_rt_spawn(rt, &worker_type, &f, NULL), 0);
    }
    run_all(rt);
    CHECK_EQ(turns, 80);
    CHECK_EQ(elapsed_ms(), 80);
}

/* ---- wait groups ---- */

TEST_WITH(a_group_is_waited_for, rt)
{
    nart_wait_group g = { .count = 0 };
    struct op a, b, c;
    a = b = c = (struct op){ .n = 0 };
    op_start(rt, &a, WAIT_GROUP, &g);
    CHECK_RES(a.res, 0); /* the count is 0 */
    CHECK_RES(nart_wait_group_add(&g, 2), 0);
    op_start(rt, &a, WAIT_GROUP, &g);
    op_start(rt, &b, WAIT_GROUP, &g);
    CHECK_RES(nart_wait_group_done(&g), 0);
    settle(rt);
    CHECK_RES(a.res, NART_PENDING);
    CHECK_RES(nart_wait_group_done(&g), 0);
    CHECK_RES(nart_wait_group_add(&g, 1), 0); /* earlier waiters do not wait for this one */
    op_start(rt, &c, WAIT_GROUP, &g);
    CHECK_RES(a.res, 0);
    CHECK_RES(b.res, 0);
    CHECK_RES(c.res, NART_PENDING);
    CHECK_RES(nart_wait_group_done(&g), 0);
    settle(rt);
    CHECK_RES(c.res, 0);
}

TEST(a_group_counts)
{
    nart_wait_group g = { .count = 0 };
    CHECK_RES(nart_wait_group_done(&g), -EINVAL);
    CHECK_RES(nart_wait_group_add(&g, UINT32_MAX), 0);
    CHECK_RES(nart_wait_group_add(&g, 1), -EOVERFLOW);
    CHECK_RES(nart_wait_group_add(&g, 0), 0);
    CHECK_EQ(g.count, UINT32_MAX);
}

TEST_WITH(a_group_that_is_closed_answers_all, rt)
{
    nart_wait_group g = { .count = 1 };
    struct op a = { .n = 0 }, b = a, c = a;
    op_start(rt, &a, WAIT_GROUP, &g);
    op_start(rt, &b, WAIT_GROUP, &g);
    nart_wait_group_close(&g);
    nart_wait_group_close(NULL);
    nart_wait_group copy = g;
    memset(&g, 0xa5, sizeof g);
    leave(rt, &b, CANCELLED);
    settle(rt);
    CHECK_RES(a.res, NART_ECLOSED);
    CHECK_RES(b.res, -ECANCELED);
    op_start(rt, &c, WAIT_GROUP, &copy);
    CHECK_RES(c.res, NART_ECLOSED);
}

TEST(a_waiter_that_leaves_a_group_gets_no_answer)
{
    for (enum way way = 0; way < WAYS; way++) {
        nart_notify instead = { .permit = 0 };
        nart_wait_group g = { .count = 1 };
        struct op gone, stays = { .n = 0 };
        rt_open();
        nart_semaphore_init(&s, 0);
        leaver_start(rt, &gone, WAIT_GROUP, &g, 0, way, &instead);
        op_start(rt, &stays, WAIT_GROUP, &g);
        leave(rt, &gone, way);
        settle(rt);
        check_left(&gone, way);
        CHECK_RES(nart_wait_group_done(&g), 0);
        settle(rt);
        CHECK_RES(stays.res, 0);
        CHECK(!g.queue.first);
        rt_close();
    }
}
