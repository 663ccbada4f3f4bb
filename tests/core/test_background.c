/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tasks in the background: which runs wait for them, how they end, and that they are counted right. */
#include "core.h"
#include "reports.h"
#include "threads.h"

#include <nart/nursery.h>
#include <nart/remote.h>
#include <nart/shutdown.h>
#include <nart/sync.h>
#include <nart/task_set.h>
#include <nart/time.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_PAUSED(.report = keep_report);

/* The fixture `clocked`: the clock advances when no task is ready. */
static void clocked_open(void)
{
    paused_open();
    CHECK_RES(nart_rt_clock_auto(rt), 0);
}

static void clocked_close(void)
{
    paused_close();
}

/* ---- tasks ---- */

static int ticked, unwound, worked, dropped;

struct task {
    nart_co co;
    nart_timer timer;
    nart_join join;
    nart_nursery nursery;
    const nart_task_type *child;
    nart_res r, answer;
};

/* Ticks each 10 ms until it is cancelled; then it needs one more of them. */
static nart_res ticks_run(nart_cx *cx, void *frame)
{
    struct task *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 10 * NART_MS));
        if (f->r < 0)
            break;
        ticked++;
    }
    NART_SHIELD(NART_SEC);
    NART_AWAIT(f->answer, nart_sleep(cx, &f->timer, 10 * NART_MS));
    unwound += f->answer == 0;
    NART_END(f->r);
}

static void count_drop(void *frame)
{
    (void)frame;
    dropped++;
}

static const nart_task_type ticks_type =
    NART_TASK_TYPE_FLAGS(struct task, ticks_run, count_drop, NART_TASK_BACKGROUND);
static const nart_task_type ticks_urgent_type = NART_TASK_TYPE_FLAGS(
    struct task, ticks_run, count_drop, NART_TASK_BACKGROUND | NART_TASK_URGENT);

static nart_res works_run(nart_cx *cx, void *frame)
{
    struct task *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 95 * NART_MS));
    worked++;
    NART_END(7);
}

static const nart_task_type works_type = NART_TASK_TYPE(struct task, works_run, NULL);
static const nart_task_type works_behind_type =
    NART_TASK_TYPE_FLAGS(struct task, works_run, NULL, NART_TASK_BACKGROUND);

static void start(const nart_task_type *type)
{
    CHECK_RES(nart_rt_spawn(rt, type, NULL, NULL), 0);
}

static void counts(uint32_t tasks, uint32_t background)
{
    CHECK_EQ(nart_rt_task_count(rt), tasks);
    CHECK_EQ(nart_rt_background_count(rt), background);
}

/* ---- runs ---- */

TEST_WITH(a_run_ends_when_only_they_are_left, clocked)
{
    start(&ticks_type);
    start(&works_type);
    counts(2, 1);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(worked, 1);
    CHECK_EQ(ticked, 9); /* polled as others are */
    counts(1, 1);
}

TEST_WITH(they_continue_in_the_next_run, clocked)
{
    start(&ticks_type);
    for (int i = 1; i <= 3; i++) {
        start(&works_type);
        CHECK_RES(nart_rt_run(rt), 0);
        CHECK_RES(nart_rt_run(rt), 0); /* of no other task */
        CHECK_EQ(worked, i);
        CHECK_LE(9 * i, ticked);
    }
    CHECK_EQ(dropped, 0);
}

TEST_WITH(a_run_for_one_task_waits_for_that, clocked)
{
    nart_res answer = 0;

    start(&ticks_type);
    CHECK_RES(nart_block_on(rt, &works_behind_type, NULL, &answer), 0);
    CHECK_EQ(answer, 7);
    CHECK_EQ(ticked, 9);
    counts(1, 1);
}

TEST_WITH(tasks_of_other_threads_are_begun_before_the_run_ends, clocked)
{
    start(&ticks_type);
    for (int i = 0; i < 200; i++)
        CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &works_type, NULL), 0);
    CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &ticks_type, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(worked, 200);
    counts(2, 2);
}

TEST_WITH(a_request_to_shut_down_is_seen_before_the_run_ends, clocked)
{
    start(&ticks_type);
    CHECK_RES(nart_remote_shutdown(nart_rt_remote(rt)), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(nart_rt_is_shutdown(rt));
}

/* Its waker goes through the inbox, as those of other threads do. */
static nart_res wakes_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    ticked++;
    nart_waker_wake(nart_cx_waker(cx));
    return nart_op_park(cx);
}

static const nart_task_type wakes_type =
    NART_TASK_TYPE_FLAGS(int, wakes_poll, NULL, NART_TASK_BACKGROUND);

TEST_WITH(a_run_ends_although_they_are_always_woken, clocked)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    start(&wakes_type);
    for (int i = 0; i < 10; i++)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_LE(9, ticked);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, &left), 0);
}

/* ---- moving tasks ---- */

/* In the background while it waits, twice; it ends in the foreground. */
static nart_res idles_run(nart_cx *cx, void *frame)
{
    struct task *f = frame;
    nart_task self = nart_cx_task(cx);

    NART_BEGIN(cx, &f->co);
    for (ticked = 0; ticked < 2; ticked++) {
        CHECK_RES(nart_task_set_background(nart_cx_rt(cx), self, true), 0);
        CHECK_RES(nart_task_set_background(nart_cx_rt(cx), self, true), 0);
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 10 * NART_MS));
        CHECK_RES(nart_task_set_background(nart_cx_rt(cx), self, false), 0);
        CHECK_RES(nart_task_set_background(nart_cx_rt(cx), self, false), 0);
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 10 * NART_MS));
    }
    NART_END(0);
}

static const nart_task_type idles_type = NART_TASK_TYPE(struct task, idles_run, NULL);

TEST_WITH(a_task_moves_itself, clocked)
{
    start(&idles_type);
    counts(1, 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(ticked, 0);
    counts(1, 1);
    start(&works_type);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(ticked, 2);
    counts(0, 0);
}

TEST_WITH(a_task_is_moved, clocked)
{
    nart_join join;

    CHECK_RES(nart_rt_spawn(rt, &works_type, NULL, &join), 0);
    CHECK_RES(nart_task_set_background(rt, nart_join_task(&join), true), 0);
    counts(1, 1);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(!nart_join_done(&join));
    CHECK_RES(nart_task_set_background(rt, nart_join_task(&join), false), 0);
    counts(1, 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(nart_join_done(&join));
    CHECK_RES(nart_task_set_background(rt, nart_join_task(&join), true), NART_ESTALE);
    nart_join_release(&join);
    counts(0, 0);
}

/* ---- other tasks and they ---- */

static nart_res joins_run(nart_cx *cx, void *frame)
{
    struct task *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_spawn(cx, f->child, NULL, &f->join), 0);
    NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
    CHECK_RES(f->r, 0);
    worked += (int)f->answer;
    nart_join_release(&f->join);
    NART_END(0);
}

static const nart_task_type joins_type = NART_TASK_TYPE(struct task, joins_run, NULL);
static const nart_task_type joins_behind_type =
    NART_TASK_TYPE_FLAGS(struct task, joins_run, NULL, NART_TASK_BACKGROUND);

TEST_WITH(a_task_that_awaits_one_is_waited_for, clocked)
{
    const struct task init = { .child = &works_behind_type };

    CHECK_RES(nart_rt_spawn(rt, &joins_type, &init, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(worked, 8);
    counts(0, 0);
}

TEST_WITH(the_child_of_one_is_an_ordinary_task, clocked)
{
    const struct task init = { .child = &works_type };

    CHECK_RES(nart_rt_spawn(rt, &joins_behind_type, &init, NULL), 0);
    CHECK_LE(0, nart_rt_poll(rt, 0));
    counts(2, 1);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_LE(1, worked);
    settle(rt);
    CHECK_EQ(worked, 8); /* its parent has seen the answer */
    counts(0, 0);
}

static nart_res nurses_run(nart_cx *cx, void *frame)
{
    struct task *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, f->child, NULL), 0);
    NART_END(5); /* once the child has ended */
}

static const nart_task_type nurses_type =
    NART_TASK_TYPE_FLAGS(struct task, nurses_run, count_drop, NART_TASK_BACKGROUND);

TEST_WITH(one_that_ends_waits_for_its_nursery, paused)
{
    const struct task behind = { .child = &ticks_type }, ordinary = { .child = &works_type };

    CHECK_RES(nart_rt_spawn(rt, &nurses_type, &behind, NULL), 0);
    settle(rt);
    counts(2, 2); /* the child unwinds */
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    start(&works_type);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(unwound, 1);
    CHECK_EQ(dropped, 2);
    counts(0, 0);
    CHECK_RES(nart_rt_spawn(rt, &nurses_type, &ordinary, NULL), 0);
    settle(rt);
    counts(0, 0);
}

/* ---- how they end ---- */

/* Its frame does not fit into the smallest slots. */
struct large {
    struct task task;
    char bytes[3000];
};

static const nart_task_type large_type =
    NART_TASK_TYPE_FLAGS(struct large, ticks_run, count_drop, NART_TASK_BACKGROUND);

TEST_WITH(each_is_counted_until_it_ends, paused)
{
    nart_join joins[4], kept;
    nart_task_set set;
    nart_task_set_node nodes[2];

    nart_task_set_init(&set, nodes, 2);
    start(&ticks_type);
    CHECK_RES(nart_rt_spawn(rt, &ticks_urgent_type, NULL, &joins[0]), 0);
    CHECK_RES(nart_rt_spawn_boxed(rt, &ticks_type, NULL, &joins[1]), 0);
    CHECK_RES(nart_rt_spawn(rt, &large_type, NULL, &joins[2]), 0);
    CHECK_RES(nart_rt_spawn_boxed(rt, &large_type, NULL, &joins[3]), 0);
    for (int i = 0; i < 2; i++)
        CHECK_LE(0, nart_task_set_add(&set, &joins[i]));
    void *frame = nart_rt_spawn_begin(rt, &ticks_type, NULL);
    counts(5, 5);
    CHECK_RES(nart_rt_spawn_commit(rt, frame, &kept), 0);
    nart_rt_spawn_abandon(rt, nart_rt_spawn_begin(rt, &ticks_type, NULL));
    counts(6, 6);
    settle(rt);
    CHECK_RES(nart_task_abort(rt, nart_join_task(&kept)), 0);
    CHECK_RES(nart_task_abort(rt, nart_join_task(&joins[2])), 0);
    settle(rt);
    counts(4, 4);
    CHECK_RES(nart_task_set_cancel(&set), 0);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&joins[3])), 0);
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    start(&works_type);
    CHECK_RES(nart_rt_run(rt), 0);
    counts(1, 1);
    nart_task_set_close(&set);
    nart_join_release(&kept);
    for (int i = 2; i < 4; i++)
        nart_join_release(&joins[i]);
    CHECK_EQ(dropped, 5);
    CHECK_EQ(unwound, 3);
}

TEST_WITH(a_run_until_nothing_is_left_neither_waits_nor_reports, paused)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    start(&large_type);
    settle(rt);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, &left), 0);
    CHECK_EQ(left.tasks, 0);
    start(&works_type);
    CHECK_RES(nart_rt_quiesce(rt, 0, &left), -ETIMEDOUT);
    CHECK_EQ(left.tasks, 1);
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "task task has not ended"));
}

TEST_WITH(a_shutdown_cancels_them_last_and_waits, clocked)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    start(&ticks_type);
    start(&works_type);
    CHECK_RES(nart_rt_shutdown_within(rt, NART_NEVER, NART_NEVER, &left), 0);
    CHECK_EQ(worked, 1);
    CHECK_EQ(ticked, 9);
    CHECK_EQ(unwound, 1);
    CHECK_EQ(left.tasks, 0);
    CHECK_EQ(left.cancelled, 1);
    CHECK_EQ(reports, 0);
    counts(0, 0);
}

TEST_WITH(a_shutdown_reports_one_that_does_not_end, paused)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    start(&ticks_type);
    settle(rt);
    CHECK_RES(nart_rt_shutdown_within(rt, NART_NEVER, 0, &left), -ETIMEDOUT);
    CHECK_EQ(left.tasks, 1);
    CHECK_EQ(left.cancelled, 0);
    CHECK_EQ(reports, 1);
}

TEST(they_end_with_the_runtime)
{
    nart_rt_end end = NART_RT_END_INIT;

    paused_open();
    start(&works_behind_type);
    start(&works_type);
    start(&ticks_type);
    settle(rt);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.cancelled, 3);
    CHECK_EQ(end.dropped, 0); /* a shield has no effect */
    CHECK_EQ(unwound, 0);
    CHECK_EQ(dropped, 1);
}

/* ---- what is shown ---- */

TEST_WITH(a_dump_shows_them, paused)
{
    char text[2048];
    FILE *out = tmpfile();

    start(&ticks_type);
    start(&works_type);
    settle(rt);
    CHECK(out);
    nart_rt_dump(rt, out);
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    fclose(out);
    CHECK(strstr(text, "nart: 2 tasks, 1 in the background\n"));
    CHECK(strstr(text, " parked, background: ticks_run "));
    CHECK(strstr(text, " parked: works_run "));
}

/* ---- misuse ---- */

static void *from_another_thread(void *arg)
{
    CHECK_RES(nart_task_set_background(rt, *(nart_task *)arg, true), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(misuse_is_answered, paused)
{
    nart_join join;
    int status;

    CHECK_RES(nart_rt_spawn(rt, &works_type, NULL, &join), 0);
    nart_task task = nart_join_task(&join);
    CHECK_RES(nart_task_set_background(NULL, task, true), -EINVAL);
    CHECK_RES(nart_task_set_background(rt, (nart_task){ 0, 0 }, true), NART_ESTALE);
    CHECK_RES(nart_task_set_background(rt, (nart_task){ 4000000, 1 }, true), NART_ESTALE);
    settle(rt);
    thread_run(from_another_thread, &task);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(nart_task_set_background(rt, task, true) == NART_EFORK && nart_rt_free(rt) == 0 ? 0
                                                                                              : 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    counts(1, 0);
    nart_join_release(&join);
}
