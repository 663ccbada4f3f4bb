/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The same waits under a driver that is not the loop: it has only a ready list and a clock. */
#include "sync_test.h"

struct small {
    nart_cx cx;
    nart__task *ready, **last;
};

static int64_t small_now(void *host)
{
    (void)host;
    return virtual_now;
}

static void small_park(void *host, nart__task *t, int64_t deadline)
{
    (void)host, (void)t, (void)deadline;
}

static void small_ready(void *host, nart__task *t)
{
    struct small *s = host;
    t->state |= NART__T_READY;
    t->next = NULL;
    *s->last = t;
    s->last = &t->next;
}

static uintptr_t small_waker(void *host, nart__task *t)
{
    (void)host, (void)t;
    return 0;
}

static const nart_driver small_driver = { .abi = NART_DRIVER_ABI,
                                          .name = "small",
                                          .now = small_now,
                                          .park = small_park,
                                          .ready = small_ready,
                                          .waker = small_waker };

static const nart_driver moving_driver = { .abi = NART_DRIVER_ABI,
                                           .kind = NART_DRIVER_MOVES,
                                           .name = "moving",
                                           .now = small_now,
                                           .park = small_park,
                                           .ready = small_ready,
                                           .waker = small_waker };

static struct small world;

static void begin(const nart_driver *driver)
{
    world.ready = NULL;
    world.last = &world.ready;
    nart_driver_cx_init(&world.cx, driver, &world);
}

static void run(void)
{
    while (world.ready) {
        nart__task *t = world.ready;
        world.ready = t->next;
        if (!world.ready)
            world.last = &world.ready;
        (void)nart_driver_poll(&world.cx, t);
    }
}

struct task {
    nart__task t;
    struct op_frame frame;
    struct op op;
};

static void start(struct task *t, enum kind kind, void *at, uint32_t n)
{
    memset(t, 0, sizeof *t);
    t->op = (struct op){ .kind = kind, .at = at, .n = n, .res = NART_PENDING };
    t->frame.op = &t->op;
    nart_driver_task_init(&t->t, &op_type, &t->frame, &world.cx);
    small_ready(&world, &t->t);
    run();
}

TEST(notifications_arrive)
{
    nart_notify n = { .permit = 0 };
    struct task t[3];

    begin(&small_driver);
    for (int i = 0; i < 3; i++)
        start(&t[i], NOTIFY, &n, 0);
    nart_notify_one(&n);
    nart_driver_task_cancel(&t[0].t);
    run();
    CHECK_RES(t[0].op.res, -ECANCELED);
    CHECK_RES(t[1].op.res, 0); /* the notification was passed on */
    CHECK_RES(t[2].op.res, NART_PENDING);
    nart_notify_close(&n);
    run();
    CHECK_RES(t[2].op.res, NART_ECLOSED);
}

TEST(permits_arrive)
{
    nart_semaphore s;
    struct task t[2];

    begin(&small_driver);
    nart_semaphore_init(&s, 1);
    start(&t[0], SEMAPHORE, &s, 2);
    start(&t[1], SEMAPHORE, &s, 1);
    CHECK_RES(t[1].op.res, NART_PENDING);
    nart_driver_task_cancel(&t[0].t);
    run();
    CHECK_RES(t[0].op.res, -ECANCELED);
    CHECK_RES(t[1].op.res, 0);
}

TEST(the_loop_does_not_wait_behind_another_driver)
{
    nart_rt *rt = new_rt();
    nart_wait_group g = { .count = 1 };
    struct task t;
    struct op op = { .n = 0 };

    begin(&small_driver);
    start(&t, WAIT_GROUP, &g, 0);
    op_start(rt, &op, WAIT_GROUP, &g);
    CHECK_RES(op.res, NART_EDRIVER);
    CHECK_RES(nart_wait_group_done(&g), 0);
    run();
    CHECK_RES(t.op.res, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* The state left in such a task does not belong to one thread. */
TEST(a_driver_that_moves_tasks_is_refused)
{
    nart_notify n = { .permit = 1 };
    nart_semaphore s = { .permits = 0 };
    nart_wait_group g = { .count = 1 };
    struct task t;

    begin(&moving_driver);
    start(&t, NOTIFY, &n, 0);
    CHECK_RES(t.op.res, 0); /* completed without waiting */
    start(&t, NOTIFY, &n, 0);
    CHECK_RES(t.op.res, NART_EDRIVER);
    start(&t, SEMAPHORE, &s, 1);
    CHECK_RES(t.op.res, NART_EDRIVER);
    start(&t, WAIT_GROUP, &g, 0);
    CHECK_RES(t.op.res, NART_EDRIVER);
    CHECK(!n.queue.first && !s.queue.first && !g.queue.first);
}

TEST(a_wait_outside_of_a_poll_is_refused)
{
    nart_rt *rt = new_rt();
    nart_notify n = { .permit = 1 };
    nart_waiter w = { .at = NULL };

    begin(&small_driver);
    CHECK_RES(nart_notify_await(&world.cx, &n, &w), -EPERM);
    CHECK_EQ(n.permit, 1);
    CHECK_RES(nart_rt_free(rt), 0);
}
