/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Notifications: which task gets them, in which order, and what happens to those not taken. */
#include "sync_test.h"

FIXTURE_RT();
static nart_notify n;

static bool nobody_waits(void)
{
    return !n.queue.first && !n.queue.last && !n.notified.first && !n.notified.last;
}

TEST_WITH(a_notification_is_kept_for_a_later_waiter, rt)
{
    struct op a, b;
    nart_notify_one(&n);
    nart_notify_one(&n);
    nart_notify_one(&n);
    notify_start(rt, &a, &n);
    CHECK_RES(a.res, 0);
    CHECK_EQ(a.polls, 1);
    notify_start(rt, &b, &n);
    CHECK_RES(b.res, NART_PENDING);
    nart_notify_one(&n);
    settle(rt);
    CHECK_RES(b.res, 0);
    CHECK(nobody_waits() && !n.permit);
}

TEST_WITH(the_longest_waiter_is_first, rt)
{
    struct op op[5];
    for (int i = 0; i < 5; i++)
        notify_start(rt, &op[i], &n);
    for (int i = 0; i < 5; i++) {
        nart_notify_one(&n);
        settle(rt);
        for (int k = 0; k < 5; k++) {
            CHECK_RES(op[k].res, k <= i ? 0 : NART_PENDING);
            CHECK_EQ(op[k].polls, k <= i ? 2 : 1);
        }
    }
}

/* Two consecutive notifications wake two tasks, whether or not those were polled in between. */
TEST(each_notification_wakes_another_task)
{
    struct op op[3];
    rt_open();
    for (int i = 0; i < 3; i++)
        notify_start(rt, &op[i], &n);
    nart_notify_one(&n);
    nart_notify_one(&n);
    settle(rt);
    CHECK_RES(op[0].res, 0);
    CHECK_RES(op[1].res, 0);
    CHECK_RES(op[2].res, NART_PENDING);
    rt_close();
}

TEST(all_are_those_that_wait)
{
    struct op op[3], late;
    rt_open();
    for (int i = 0; i < 3; i++)
        notify_start(rt, &op[i], &n);
    nart_notify_all(&n);
    notify_start(rt, &late, &n);
    for (int i = 0; i < 3; i++)
        CHECK_RES(op[i].res, 0);
    CHECK_RES(late.res, NART_PENDING);
    nart_notify_all(&n);
    nart_notify_all(&n); /* no waiter: not stored */
    settle(rt);
    CHECK_RES(late.res, 0);
    notify_start(rt, &late, &n);
    CHECK_RES(late.res, NART_PENDING);
    rt_close();
}

TEST(one_that_is_not_taken_passes_on)
{
    for (enum way way = 0; way < TIMED_OUT; way++) {
        nart_notify instead = { .permit = 0 };
        struct op gone, next, last;
        rt_open();
        leaver_start(rt, &gone, NOTIFY, &n, 0, way, &instead);
        notify_start(rt, &next, &n);
        notify_start(rt, &last, &n);
        nart_notify_one(&n);
        leave(rt, &gone, way);
        settle(rt);
        check_left(&gone, way);
        CHECK_RES(next.res, 0);
        CHECK_RES(last.res, NART_PENDING);
        rt_close();
        CHECK(nobody_waits());
    }
}

TEST(a_notification_without_a_waiter_is_kept)
{
    for (enum way way = 0; way < TIMED_OUT; way++) {
        nart_notify instead = { .permit = 0 };
        struct op gone, next;
        rt_open();
        leaver_start(rt, &gone, NOTIFY, &n, 0, way, &instead);
        nart_notify_one(&n);
        leave(rt, &gone, way);
        settle(rt);
        notify_start(rt, &next, &n);
        CHECK_RES(next.res, 0);
        rt_close();
        CHECK(nobody_waits() && !n.permit);
    }
}

TEST_WITH(a_delivered_notification_beats_the_deadline, rt)
{
    nart_notify instead = { .permit = 0 };
    struct op op;
    leaver_start(rt, &op, NOTIFY, &n, 0, TIMED_OUT, &instead);
    nart_notify_one(&n);
    leave(rt, &op, TIMED_OUT);
    settle(rt);
    CHECK_RES(op.res, 0);
}

/* A chain of notified tasks that are cancelled: it ends with the first that is not. */
TEST_WITH(one_passes_through_many, rt)
{
    struct op op[100];
    for (int i = 0; i < 100; i++)
        notify_start(rt, &op[i], &n);
    nart_notify_one(&n);
    for (int i = 0; i < 99; i++)
        leave(rt, &op[i], CANCELLED);
    settle(rt);
    for (int i = 0; i < 99; i++)
        CHECK_RES(op[i].res, -ECANCELED);
    CHECK_RES(op[99].res, 0);
}

TEST(what_was_for_all_does_not_pass_on)
{
    struct op gone, later;
    rt_open();
    notify_start(rt, &gone, &n);
    nart_notify_all(&n);
    leave(rt, &gone, CANCELLED);
    settle(rt);
    CHECK_RES(gone.res, -ECANCELED);
    notify_start(rt, &later, &n);
    CHECK_RES(later.res, NART_PENDING);
    rt_close();
}

TEST(a_waiter_that_leaves_the_queue_is_not_notified)
{
    for (enum way way = 0; way < WAYS; way++) {
        nart_notify instead = { .permit = 0 };
        struct op op[3];
        rt_open();
        notify_start(rt, &op[0], &n);
        leaver_start(rt, &op[1], NOTIFY, &n, 0, way, &instead);
        notify_start(rt, &op[2], &n);
        leave(rt, &op[1], way);
        settle(rt);
        check_left(&op[1], way);
        nart_notify_one(&n);
        nart_notify_one(&n);
        settle(rt);
        CHECK_RES(op[0].res, 0);
        CHECK_RES(op[2].res, 0);
        CHECK(nobody_waits() && !n.permit);
        rt_close();
    }
}

/* Each waiter holds its result: the memory of the object may be reused at once. */
TEST_WITH(closing_answers_all, rt)
{
    struct op told, waits[2], late;
    notify_start(rt, &told, &n);
    notify_start(rt, &waits[0], &n);
    notify_start(rt, &waits[1], &n);
    nart_notify_one(&n);
    nart_notify_close(&n);
    nart_notify_close(&n);
    CHECK(nobody_waits());
    nart_notify copy = n;
    memset(&n, 0xa5, sizeof n);
    leave(rt, &waits[1], CANCELLED);
    settle(rt);
    CHECK_RES(told.res, 0);
    CHECK_RES(waits[0].res, NART_ECLOSED);
    CHECK_RES(waits[1].res, -ECANCELED);
    notify_start(rt, &late, &copy);
    CHECK_RES(late.res, NART_ECLOSED);
    nart_notify_close(NULL);
}

/* ---- one task, several waits ---- */

struct racer {
    nart_co co;
    nart_notify n[3];
    nart_waiter w[3];
    nart_res r;
    int which, won[3], rounds;
};

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->rounds = 0; f->rounds < 6; f->rounds++) {
        NART_AWAIT_ANY(f->which, f->r, nart_notify_await(cx, &f->n[0], &f->w[0]),
                       nart_notify_await(cx, &f->n[1], &f->w[1]),
                       nart_notify_await(cx, &f->n[2], &f->w[2]));
        CHECK_RES(f->r, 0);
        for (int i = 0; i < 3; i++)
            CHECK(!f->w[i].wait.task && !f->n[i].queue.first);
        f->won[f->which]++;
    }
    NART_END(0);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

TEST_WITH(a_race_loses_none, rt)
{
    nart_join join;
    struct racer *f = spawn(rt, &racer_type, &join);
    settle(rt);
    for (int i = 0; i < 3; i++)
        nart_notify_one(&f->n[i]); /* the losers complete in later rounds */
    settle(rt);
    CHECK_EQ(f->rounds, 3);
    for (int i = 3; i-- > 0;) {
        nart_notify_one(&f->n[i]);
        settle(rt);
    }
    CHECK(nart_join_done(&join));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(f->won[i], 2);
    nart_join_release(&join);
}

/* A lost race gives up the position in the queue; a notification not taken passes on. */
struct wanderer {
    nart_co co;
    nart_notify *n;
    nart_waiter w;
    nart_timer timer;
    nart_res r;
    int which;
};

static nart_res wanderer_run(nart_cx *cx, void *frame)
{
    struct wanderer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timer, NART_MS),
                   nart_notify_await(cx, f->n, &f->w));
    CHECK_EQ(f->which, 0);
    NART_AWAIT(f->r, nart_notify_await(cx, f->n, &f->w));
    NART_END(f->r);
}

static const nart_task_type wanderer_type = NART_TASK_TYPE(struct wanderer, wanderer_run, NULL);

TEST_WITH(a_lost_race_loses_the_place_in_the_queue, rt)
{
    nart_join join;
    struct op other;
    struct wanderer *f = spawn(rt, &wanderer_type, &join);
    f->n = &n;
    settle(rt);
    notify_start(rt, &other, &n);
    run_until(rt, at_ms(2));
    nart_notify_one(&n);
    settle(rt);
    CHECK_RES(other.res, 0);
    CHECK(!nart_join_done(&join));
    nart_notify_one(&n);
    settle(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

/* ---- misuse ---- */

TEST(a_second_task_on_a_waiter_is_refused)
{
    nart_waiter shared = { .at = NULL };
    struct op a = { .waiter = &shared }, b = { .waiter = &shared };
    rt_open();
    op_start(rt, &a, NOTIFY, &n);
    op_start(rt, &b, NOTIFY, &n);
    CHECK_RES(b.res, -EBUSY);
    CHECK_RES(a.res, NART_PENDING);
    nart_notify_one(&n);
    op_spawn(rt, &b); /* a was notified and still occupies the waiter */
    settle(rt);
    CHECK_RES(a.res, 0);
    CHECK_RES(b.res, NART_PENDING); /* polled after a, when the waiter was free */
    rt_close();
    CHECK(!shared.wait.task);
}

struct twice {
    nart_co co;
    nart_notify a, b;
    nart_waiter w;
    nart_res r;
    int which;
};

static nart_res twice_run(nart_cx *cx, void *frame)
{
    struct twice *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_notify_await(cx, &f->a, &f->w),
                   nart_notify_await(cx, &f->b, &f->w));
    NART_END(f->r);
}

static const nart_task_type twice_type = NART_TASK_TYPE(struct twice, twice_run, NULL);

TEST_WITH(two_objects_on_a_waiter_are_refused, rt)
{
    nart_join join;
    struct twice *f = spawn(rt, &twice_type, &join);
    settle(rt);
    CHECK_RES(f->r, -EBUSY);
    CHECK_EQ(f->which, 1);
    CHECK(!f->a.queue.first && !f->b.queue.first);
    nart_join_release(&join);
}

/* A hand-written poll function that waits for something else in the same waiter in each poll. */
struct fickle {
    nart_notify *a, *b;
    nart_waiter w;
    int polls;
    nart_waker waker;
};

static nart_res fickle_poll(nart_cx *cx, void *frame)
{
    struct fickle *f = frame;

    f->waker = nart_cx_waker(cx);
    return nart_notify_await(cx, f->polls++ == 0 ? f->a : f->b, &f->w);
}

static const nart_task_type fickle_type = NART_TASK_TYPE(struct fickle, fickle_poll, NULL);

TEST(a_waiter_may_wait_for_something_else)
{
    for (int told = 0; told < 2; told++) {
        nart_notify second = { .permit = 0 };
        nart_join join;
        rt_open();
        struct fickle *f = spawn(rt, &fickle_type, &join);
        f->a = &n;
        f->b = &second;
        settle(rt);
        if (told)
            nart_notify_one(&n); /* not taken either, so it is stored */
        nart_waker_wake(f->waker);
        settle(rt);
        CHECK(nobody_waits());
        CHECK_EQ(n.permit, told);
        CHECK(!nart_join_done(&join));
        nart_notify_one(&second);
        settle(rt);
        CHECK(nart_join_done(&join));
        nart_join_release(&join);
        rt_close();
    }
}

TEST_WITH(a_runtime_does_not_wait_behind_another, rt)
{
    struct op a, b;
    nart_rt *second = new_rt();
    notify_start(rt, &a, &n);
    notify_start(second, &b, &n);
    CHECK_RES(b.res, NART_EDRIVER);
    nart_notify_one(&n);
    settle(rt);
    CHECK_RES(a.res, 0);
    notify_start(second, &b, &n); /* the first object has no waiter now */
    CHECK_RES(b.res, NART_PENDING);
    CHECK_RES(nart_rt_free(second), 0);
}

/* ---- closing and freeing ---- */

/* The object and the waiters outlive the runtime and work with another. */
TEST(nothing_is_left_of_a_runtime_that_is_freed)
{
    nart_waiter waiter[4] = { { .at = NULL } };
    struct op op[4];
    rt_open();
    for (int i = 0; i < 4; i++) {
        op[i] = (struct op){ .waiter = &waiter[i] };
        op_start(rt, &op[i], NOTIFY, &n);
    }
    nart_notify_one(&n);
    rt_close();
    CHECK(nobody_waits());
    CHECK_EQ(n.permit, 1); /* no task took it */
    rt = new_rt();
    for (int i = 0; i < 2; i++) {
        op[i] = (struct op){ .waiter = &waiter[i] };
        op_start(rt, &op[i], NOTIFY, &n);
    }
    CHECK_RES(op[0].res, 0);
    CHECK_RES(op[1].res, NART_PENDING);
    rt_close();
}

TEST(polls_for_no_reason_change_nothing)
{
    struct op op[2];
    rt_open();
    notify_start(rt, &op[0], &n);
    notify_start(rt, &op[1], &n);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(op[i % 2].waker);
        settle(rt);
    }
    CHECK_LE(500, op[0].polls);
    CHECK_RES(op[0].res, NART_PENDING);
    nart_notify_one(&n);
    for (int i = 0; i < 2; i++)
        nart_waker_wake(op[i].waker);
    settle(rt);
    CHECK_RES(op[0].res, 0);
    CHECK_RES(op[1].res, NART_PENDING);
    rt_close();
}

/* Completing without a wait costs budget, so a task that is notified continuously does not
 * monopolize the loop. */
struct hog {
    nart_co co;
    nart_notify n;
    nart_waiter w;
    nart_res r;
    int i;
};

static nart_res hog_run(nart_cx *cx, void *frame)
{
    struct hog *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 1000; f->i++) {
        nart_notify_one(&f->n);
        NART_AWAIT(f->r, nart_notify_await(cx, &f->n, &f->w));
        CHECK_RES(f->r, 0);
    }
    NART_END(0);
}

static const nart_task_type hog_type = NART_TASK_TYPE(struct hog, hog_run, NULL);

TEST_WITH(a_poll_has_a_budget, rt)
{
    nart_join join;
    (void)spawn(rt, &hog_type, &join);
    CHECK_LE(1000 / NART_BUDGET, settle(rt));
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}
