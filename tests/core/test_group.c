/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The group of a task of another driver: what it promises a driver (driver.h). What its tasks do among
 * themselves is tested on tokio, by bridge/test_group.c. */
#include "by_hand.h"

#include <nart/nursery.h>
#include <nart/rt.h>
#include <nart/shutdown.h>
#include <nart/time.h>

#include <poll.h>
#include <string.h>

enum { CHILDREN = 3 };

static struct by_hand host;
static nart__task first;
static int polled[CHILDREN], dropped[CHILDREN], drops;
static nart_waker wakers[CHILDREN];

/* Leaves the task's header to the group. */
static void only_count(void *h, nart__task *t)
{
    (void)t;
    ((struct by_hand *)h)->readied++;
}

static uintptr_t waker(void *h, nart__task *t)
{
    uintptr_t word = nart_driver_group_waker(t);
    return word ? word : by_hand_waker(h, t);
}

static void open_host(uint32_t kind)
{
    by_hand_open(&host, NART_DRIVER_MOVES | kind);
    host.driver.ready = only_count;
    host.driver.waker = waker;
}

/* ---- children ---- */

struct child {
    int i;
    int64_t until; /* 0: it waits for its waker */
};

static nart_res child_poll(nart_cx *cx, void *frame)
{
    const struct child *c = frame;
    nart_res r = nart_op_enter(cx);

    polled[c->i]++;
    CHECK(nart_driver_group_polls(cx));
    CHECK(nart_driver_group_first(cx) == &first);
    if (r || (c->until && nart_now(cx) >= c->until))
        return r;
    if (c->until)
        return nart_op_park_until(cx, c->until);
    if (polled[c->i] == 2)
        return c->i;
    wakers[c->i] = nart_cx_waker(cx);
    return nart_op_park(cx);
}

static void child_drop(void *frame)
{
    dropped[((struct child *)frame)->i] = ++drops;
}

static const nart_task_type child_type = NART_TASK_TYPE(struct child, child_poll, child_drop);

/* ---- the driver's own task ---- */

struct parent {
    nart_join joins[CHILDREN];
    int64_t until;
    int polls, n;
    bool leaves;
    const nart_task_type *second; /* of the second child; NULL: the same */
};

static nart_res parent_poll(nart_cx *cx, void *frame)
{
    struct parent *p = frame;
    nart_res sum = 0;

    if (p->polls++ == 0)
        for (int i = 0; i < p->n; i++) {
            const struct child init = { i, p->until };
            const nart_task_type *type = i == 1 && p->second ? p->second : &child_type;
            CHECK_RES(nart_spawn(cx, type, &init, p->leaves ? NULL : &p->joins[i]), 0);
        }
    CHECK(!nart_driver_group_polls(cx));
    if (p->leaves)
        return 9;
    for (int i = 0; i < p->n; i++) {
        nart_res answer = 0, r = NART_EUSED;
        if (!nart_join_done(&p->joins[i]) || p->joins[i].used == 0)
            r = nart_join_await(cx, &p->joins[i], &answer);
        if (r == NART_PENDING || r == -ECANCELED)
            return r;
        sum += 1;
    }
    return sum;
}

static void parent_drop(void *frame)
{
    struct parent *p = frame;
    for (int i = 0; i < p->n; i++)
        nart_join_release(&p->joins[i]);
    drops++;
}

static const nart_task_type parent_type = NART_TASK_TYPE(struct parent, parent_poll, parent_drop);

static void begin(struct parent *p)
{
    nart_driver_task_init(&first, &parent_type, p, &host.cx);
}

static void end(void)
{
    nart_driver_group_end(&host.cx);
    nart_driver_task_end(&first);
    nart_driver_task_drop(&first);
}

static nart_res poll_once(void)
{
    return nart_driver_poll(&host.cx, &first);
}

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

/* ---- cases ---- */

TEST(children_are_polled_in_the_polls_of_the_first_task)
{
    struct parent p = { .n = CHILDREN };

    open_host(NART_DRIVER_SPAWNS);
    begin(&p);
    CHECK_EQ(nart_driver_group_fd(&host.cx), -1);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_EQ(polled[0], 0); /* never inside the spawn */
    CHECK_EQ(host.readied, 1);
    CHECK_EQ(nart_driver_group_tasks(&host.cx), CHILDREN);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_EQ(host.readied, 1); /* all of them wait */
    CHECK_EQ(host.deadline, NART_NEVER);
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQ(polled[i], 1);
        CHECK(nart_driver_group_park(&host.cx));
        CHECK(i > 0 || !readable(nart_driver_group_fd(&host.cx))); /* nobody reads it */
        nart_waker_wake(wakers[i]);
        CHECK(readable(nart_driver_group_fd(&host.cx)));
        CHECK_RES(poll_once(), i == CHILDREN - 1 ? CHILDREN : NART_PENDING);
        CHECK_EQ(polled[i], 2);
    }
    CHECK_EQ(nart_driver_group_tasks(&host.cx), 0);
    end();
    CHECK_EQ(drops, CHILDREN + 1);
}

TEST(a_wake_before_the_park_is_not_lost)
{
    struct parent p = { .n = 1 };

    open_host(NART_DRIVER_SPAWNS);
    begin(&p);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_RES(poll_once(), NART_PENDING);
    nart_waker_wake(wakers[0]);
    CHECK(!nart_driver_group_park(&host.cx));
    end();
}

TEST(the_earliest_deadline_of_the_group_is_the_drivers)
{
    struct parent p = { .n = 1, .until = NART_SEC };

    open_host(NART_DRIVER_SPAWNS);
    p.until += host.now = 3600 * NART_SEC; /* not the system's time */
    begin(&p);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_LE(host.deadline, p.until);
    CHECK_LE(host.now, host.deadline);
    host.now = p.until;
    CHECK_RES(poll_once(), 1);
    end();
}

TEST(the_first_task_may_answer_before_the_others)
{
    struct parent p = { .n = 2, .leaves = true };

    open_host(NART_DRIVER_SPAWNS);
    begin(&p);
    CHECK_RES(poll_once(), 9);
    CHECK_EQ(nart_driver_group_tasks(&host.cx), 2);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_EQ(p.polls, 1);
    nart_driver_group_cancel(&host.cx);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_EQ(nart_driver_group_tasks(&host.cx), 0);
    CHECK_EQ(drops, 2);
    end();
    CHECK_EQ(drops, 3);
}

/* The driver does not wait for it: the end of the group cancels it. */
TEST(a_child_in_the_background_ends_with_the_group)
{
    static const nart_task_type behind_type =
        NART_TASK_TYPE_FLAGS(struct child, child_poll, child_drop, NART_TASK_BACKGROUND);
    struct parent p = { .n = 2, .leaves = true, .second = &behind_type };

    open_host(NART_DRIVER_SPAWNS);
    begin(&p);
    CHECK_RES(poll_once(), 9);
    CHECK_EQ(nart_driver_group_tasks(&host.cx), 1);
    CHECK_RES(poll_once(), NART_PENDING);
    nart_waker_wake(wakers[0]);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_EQ(nart_driver_group_tasks(&host.cx), 0);
    CHECK_EQ(drops, 1);
    CHECK_EQ(polled[1], 1);
    end();
    CHECK_EQ(polled[1], 2);
    CHECK_EQ(dropped[1], 2);
    CHECK_EQ(drops, 3);
}

TEST(the_end_of_a_group_drops_the_last_child_first)
{
    struct parent p = { .n = CHILDREN };

    open_host(NART_DRIVER_SPAWNS);
    begin(&p);
    CHECK_RES(poll_once(), NART_PENDING);
    CHECK_RES(poll_once(), NART_PENDING);
    end();
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(dropped[i], CHILDREN - i);
    CHECK_EQ(drops, CHILDREN + 1);
    nart_waker_wake(wakers[0]); /* has no effect any more */
}

/* ---- a driver without groups ---- */

static nart_res refused_poll(nart_cx *cx, void *frame)
{
    nart_nursery n = { .len = 0 };
    nart_waiter w = { .want = 0 };
    nart_res r = 0;

    (void)frame;
    CHECK(nart_cx_rt(cx) == NULL);
    CHECK(nart_spawn_begin(cx, &child_type, &r) == NULL);
    CHECK_RES(r, NART_EDRIVER);
    CHECK(nart_spawn_boxed_begin(cx, &child_type, NULL) == NULL);
    CHECK_RES(nart_spawn(cx, &child_type, NULL, NULL), NART_EDRIVER);
    CHECK_RES(nart_spawn_boxed(cx, &child_type, NULL, NULL), NART_EDRIVER);
    CHECK_RES(nart_spawn_commit(cx, &n, NULL), NART_EDRIVER);
    CHECK_RES(nart_nursery_open(cx, &n, 0), NART_EDRIVER);
    CHECK_RES(nart_shutdown_await(cx, &w), NART_EDRIVER);
    return 0;
}

static const nart_task_type refused_type = NART_TASK_TYPE(int, refused_poll, NULL);

TEST(a_driver_without_groups_refuses_to_spawn)
{
    open_host(0);
    nart_driver_task_init(&first, &refused_type, NULL, &host.cx);
    CHECK_RES(poll_once(), 0);
    CHECK_EQ(nart_driver_group_tasks(&host.cx), 0);
    CHECK(nart_driver_group_park(&host.cx));
    nart_driver_group_cancel(&host.cx);
    nart_driver_group_end(&host.cx);
}
