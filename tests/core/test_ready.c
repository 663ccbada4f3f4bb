/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which tasks are polled, in which order, and how many in one tick. */
#include "core.h"
#include "virtual.h"

#include <nart/sync.h>

enum { MANY = 100, PER_TICK = 64, URGENT_PER_TICK = 16 };

FIXTURE_RT();
static int order[4096], polled;

static nart_res tick(void)
{
    nart_res polls = nart_rt_poll(rt, 0);
    CHECK_LE(0, polls);
    return polls;
}

/* Records its poll and wakes itself. */
struct spinner {
    int id;
    long polls;
};

static nart_res spinner_poll(nart_cx *cx, void *frame)
{
    struct spinner *f = frame;

    if (polled < (int)(sizeof order / sizeof *order))
        order[polled++] = f->id;
    f->polls++;
    if (nart_cx_cancelled(cx))
        return -ECANCELED;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static const nart_task_type spinner_type = NART_TASK_TYPE(struct spinner, spinner_poll, NULL);
static const nart_task_type urgent_type =
    NART_TASK_TYPE_FLAGS(struct spinner, spinner_poll, NULL, NART_TASK_URGENT);

static struct spinner *new_spinner(const nart_task_type *type, int id)
{
    struct spinner *f = nart_rt_spawn_begin(rt, type, NULL);

    f->id = id;
    CHECK_RES(nart_rt_spawn_commit(rt, f, NULL), 0);
    return f;
}

/* ---- order ---- */

TEST_WITH(tasks_are_polled_first_in_first_out, rt)
{
    for (int i = 0; i < 10; i++)
        new_spinner(&spinner_type, i);
    while (polled < 40)
        tick();
    for (int i = 0; i < 40; i++)
        CHECK_EQ(order[i], i % 10);
}

/* In the reference, a task beyond the 64th never runs while 64 others wake themselves: its defect
 * 4. */
TEST_WITH(a_hundred_tasks_that_wake_themselves_all_run, rt)
{
    struct spinner *f[MANY];
    for (int i = 0; i < MANY; i++)
        f[i] = new_spinner(&spinner_type, i);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(tick(), PER_TICK);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(f[i]->polls, PER_TICK); /* each as often as the others */
}

TEST_WITH(tasks_left_over_by_a_tick_keep_their_order, rt)
{
    for (int i = 0; i < MANY; i++)
        new_spinner(&spinner_type, i);
    for (int i = 0; i < 20; i++)
        tick();
    for (int i = 0; i < polled; i++)
        CHECK_EQ(order[i], i % MANY);
}

/* ---- bounds ---- */

static void check_polls_per_tick(uint32_t asked, nart_res expected)
{
    rt = NEW_RT(.polls_per_tick = asked);
    for (int i = 0; i < 300; i++)
        new_spinner(&spinner_type, i);
    CHECK_EQ(tick(), expected);
    nart_rt_free(rt);
}

TEST(the_polls_of_a_tick_can_be_raised)
{
    check_polls_per_tick(0, PER_TICK);
    check_polls_per_tick(PER_TICK, PER_TICK);
    check_polls_per_tick(200, 200);
}

TEST_WITH(urgent_tasks_go_first, rt)
{
    for (int i = 0; i < 4; i++)
        new_spinner(&spinner_type, i);
    new_spinner(&urgent_type, 100);
    new_spinner(&urgent_type, 101);
    tick();
    for (int i = 0; i < URGENT_PER_TICK; i++)
        CHECK_EQ(order[i], 100 + i % 2);
    for (int i = 0; i < PER_TICK - URGENT_PER_TICK; i++)
        CHECK_EQ(order[URGENT_PER_TICK + i], i % 4);
}

TEST_WITH(urgent_tasks_leave_room_for_the_others, rt)
{
    struct spinner *plain;
    for (int i = 0; i < 40; i++)
        new_spinner(&urgent_type, i);
    plain = new_spinner(&spinner_type, -1);
    for (int i = 1; i <= 10; i++) {
        CHECK_EQ(tick(), PER_TICK);
        CHECK_EQ(plain->polls, i * (PER_TICK - URGENT_PER_TICK));
    }
}

/* Makes 16 urgent tasks ready in the middle of a tick. */
static nart_res alarm_poll(nart_cx *cx, void *frame)
{
    struct spinner urgent = { .id = 1 };
    (void)frame;
    for (int i = 0; i < URGENT_PER_TICK; i++)
        CHECK_RES(nart_spawn(cx, &urgent_type, &urgent, NULL), 0);
    return 0;
}

static const nart_task_type alarm_type = NART_TASK_TYPE(struct spinner, alarm_poll, NULL);

TEST_WITH(urgent_tasks_made_ready_late_do_not_lengthen_a_tick, rt)
{
    for (int i = 0; i < PER_TICK - 4; i++)
        new_spinner(&spinner_type, 0);
    CHECK_RES(nart_rt_spawn(rt, &alarm_type, NULL, NULL), 0);
    for (int i = 0; i < 10; i++)
        new_spinner(&spinner_type, 0);
    CHECK_EQ(tick(), PER_TICK);
    for (int i = PER_TICK - 4; i < PER_TICK - 1; i++)
        CHECK_EQ(order[i], 1); /* at once, within the limit of the tick */
}

/* ---- timers and wakes in a tick ---- */

struct sleeper {
    nart_co co;
    nart_timer timer;
    nart_waker waker;
    bool waiting, woken;
};

static nart_res waits_for_waker(nart_cx *cx, struct sleeper *f)
{
    nart_res r = nart_op_enter(cx);
    if (r || f->woken)
        return r;
    f->woken = f->waiting;
    f->waiting = true;
    f->waker = nart_cx_waker(cx);
    return f->woken ? 0 : nart_op_park(cx);
}

static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    struct sleeper *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep_until(cx, &f->timer, at_ms(10)));
    NART_AWAIT(r, waits_for_waker(cx, f));
    NART_END(r);
}

static const nart_task_type sleeper_type =
    NART_TASK_TYPE_FLAGS(struct sleeper, sleeper_run, NULL, NART_TASK_URGENT);

TEST_WITH(timers_and_foreign_wakes_are_looked_at_between_the_polls_of_a_crowd, rt)
{
    nart_join join;
    struct sleeper *f = spawn(rt, &sleeper_type, &join);
    for (int i = 0; i < 1000; i++)
        new_spinner(&spinner_type, i);
    tick();
    virtual_now = at_ms(10);
    tick();
    CHECK(f->waiting && !f->woken);
    nart_waker_wake(f->waker);
    tick();
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

/* ---- budget ---- */

struct greedy {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    nart_res r;
    long answers, polls, most;
};

/* Answers of two kinds of operation, through two bodies, share one budget. */
static nart_res greedy_sub(nart_cx *cx, struct greedy *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    f->answers++;
    NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, 0));
    f->answers++;
    NART_END(f->r);
}

static nart_res greedy_run(nart_cx *cx, struct greedy *f)
{
    NART_BEGIN(cx, &f->co);
    do {
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
        f->answers++;
        NART_AWAIT(f->r, greedy_sub(cx, f));
    } while (f->r == 0);
    NART_END(f->r);
}

static nart_res greedy_poll(nart_cx *cx, void *frame)
{
    struct greedy *f = frame;
    long before = f->answers;
    nart_res r = greedy_run(cx, f);

    f->polls++;
    if (f->answers - before > f->most)
        f->most = f->answers - before;
    return r;
}

static void greedy_drop(void *frame)
{
    struct greedy *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type greedy_type = NART_TASK_TYPE(struct greedy, greedy_poll, greedy_drop);

TEST_WITH(a_poll_gives_at_most_so_many_answers_and_the_others_have_their_turn, rt)
{
    nart_join join;
    struct greedy *f = spawn(rt, &greedy_type, &join);
    struct spinner *other = new_spinner(&spinner_type, 0);
    new_chan(rt, 1, &f->tx, &f->rx);
    for (int i = 0; i < 10; i++)
        tick();
    CHECK_EQ(f->most, NART_BUDGET);
    CHECK_EQ(f->answers, f->polls * NART_BUDGET); /* nothing is lost at the limit */
    CHECK_LE(f->polls, other->polls);
    nart_join_release(&join);
}

enum { WAITS = 10000 };

static nart_notify notes[WAITS];

/* A hand-written poll function that waits for all of them at once. */
struct waits {
    nart_waiter *waiters;
    int polls;
};

static nart_res waits_poll(nart_cx *cx, void *frame)
{
    struct waits *f = frame;

    f->polls++;
    for (int i = 0; i < WAITS; i++) {
        nart_res r = nart_notify_await(cx, &notes[i], &f->waiters[i]);
        if (r != NART_PENDING)
            return r == 0 ? i : r;
    }
    return NART_PENDING;
}

static const nart_task_type waits_type = NART_TASK_TYPE(struct waits, waits_poll, NULL);

/* Starting a wait costs no budget: a poll may start any number of them. */
TEST_WITH(any_number_of_waits_in_one_poll, rt)
{
    static nart_waiter waiters[WAITS];
    nart_join join;
    struct waits *f = spawn(rt, &waits_type, &join);
    f->waiters = waiters;
    CHECK_RES(tick(), 1);
    CHECK_RES(tick(), 0); /* it waits and requests no further poll */
    nart_notify_one(&notes[WAITS - 1]);
    CHECK_RES(tick(), 1);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->polls, 2);
    nart_join_release(&join);
    for (int i = 0; i < WAITS; i++)
        nart_notify_close(&notes[i]);
}

/* ---- coinciding wakes ---- */

struct counter {
    nart_waker waker;
    nart_rx rx;
    nart_tx tx;
    uint64_t value;
    int polls, end_at;
    bool wake_itself;
};

static nart_res counter_poll(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    f->waker = nart_cx_waker(cx);
    if (nart_cx_cancelled(cx) || ++f->polls == f->end_at)
        return 0;
    if (f->wake_itself) { /* in every possible way, within its poll */
        f->wake_itself = false;
        nart_wake_self(cx);
        nart_wake_self(cx);
        nart_waker_wake(f->waker);
        nart_waker_wake(f->waker);
    }
    while (f->rx.ring && nart_recv(cx, &f->rx, &f->value) == 0)
        continue;
    return nart_op_park(cx);
}

static void counter_drop(void *frame)
{
    struct counter *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type counter_type =
    NART_TASK_TYPE(struct counter, counter_poll, counter_drop);

/* In the reference, two wakes queue a task twice, and freed memory is read: its defect 3. */
TEST_WITH(wakes_from_two_sources_before_a_poll_are_one_poll, rt)
{
    nart_join join;
    struct counter *f = spawn(rt, &counter_type, &join);
    new_chan(rt, 4, &f->tx, &f->rx);
    settle(rt);
    CHECK_EQ(f->polls, 1);
    for (int i = 2; i < 10; i++) {
        nart_waker_wake(f->waker);
        CHECK_RES(nart_try_send(&f->tx, &f->value), 0);
        nart_waker_wake(f->waker);
        CHECK_RES(nart_try_send(&f->tx, &f->value), 0);
        settle(rt);
        CHECK_EQ(f->polls, i);
    }
    nart_join_release(&join);
}

TEST_WITH(wakes_from_within_a_poll_are_not_lost_and_settle, rt)
{
    nart_join join;
    struct counter *f = spawn(rt, &counter_type, &join);
    f->wake_itself = true;
    settle(rt);
    CHECK_LE(2, f->polls);
    CHECK_LE(f->polls, 3); /* one poll for the wakes of the loop, one for the waker's */
    nart_join_release(&join);
}

/* In the reference, a task that is woken and ends in one poll is never freed: its defect 5. */
TEST(a_task_that_is_woken_in_its_last_poll_gives_its_slot_back)
{
    rt = NEW_RT(SLOTS(1));
    for (int i = 0; i < 100; i++) {
        struct counter c = { .end_at = 2, .wake_itself = true };
        CHECK_RES(nart_rt_spawn(rt, &counter_type, &c, NULL), 0);
        settle(rt);
        CHECK_EQ(nart_rt_task_count(rt), 0);
    }
    nart_rt_free(rt);
}

/* ---- stop ---- */

static nart_res stopper_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_rt_stop(nart_cx_rt(cx));
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static const nart_task_type stopper_type = NART_TASK_TYPE(struct spinner, stopper_poll, NULL);

static nart_res at_once(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 9;
}

static const nart_task_type at_once_type = NART_TASK_TYPE(struct spinner, at_once, NULL);

TEST_WITH(stop_ends_a_run_and_the_tasks_stay, rt)
{
    nart_res answer = 0;
    CHECK_RES(nart_rt_spawn(rt, &stopper_type, NULL, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    CHECK_RES(nart_block_on(rt, &at_once_type, NULL, &answer), 0); /* not ended by the stop */
    CHECK_RES(answer, 9);
}
