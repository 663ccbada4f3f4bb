/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Running until no task is left: posted work counts, and the timeout is in system time, even if the
 * runtime's clock is paused. */
#include "../core/core.h"
#include "threads.h"

#include <nart/clock.h>
#include <nart/io.h>
#include <nart/shutdown.h>
#include <nart/time.h>

#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

struct nap {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static int runs;

static nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 3600 * NART_SEC));
    runs++;
    NART_END(f->r);
}

static const nart_task_type nap_type = NART_TASK_TYPE(struct nap, nap_run, NULL);

static nart_res count_run(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    runs++;
    return 0;
}

static const nart_task_type count_type = NART_TASK_TYPE(int, count_run, NULL);

static void ignore(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

FIXTURE_PAUSED(.polls_per_tick = 1000, .report = ignore);

/* No task exists yet; a posted spawn becomes one, and has the full timeout. */
TEST_WITH(a_task_that_was_sent_is_waited_for, paused)
{
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &nap_type, NULL), 0);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
    CHECK_EQ(runs, 1);
}

/* There are more posts than one tick takes; each tick ends all tasks that it has taken. */
TEST(all_that_was_sent_is_run)
{
    enum { SENT = 1000 };
    nart_rt_end end = NART_RT_END_INIT;
    paused_open();

    for (int i = 0; i < SENT; i++)
        CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &count_type, NULL), 0);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
    CHECK_EQ(runs, SENT);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.undelivered, 0);
}

/* Threads that spawn faster than tasks end are throttled by -EAGAIN: whatever was accepted runs. */
static _Atomic bool sent;

static void *spawn_fast(void *arg)
{
    const nart_remote *remote = arg;
    nart_res r;

    for (int i = 0; i < 20000; i++) {
        while ((r = nart_remote_spawn(*remote, &count_type, NULL)) == -EAGAIN)
            (void)sched_yield();
        CHECK_RES(r, 0);
    }
    sent = true;
    return NULL;
}

TEST(a_fast_spawner_is_slowed_down)
{
    rt = NEW_RT(SLOTS(200), .report = ignore);

    nart_remote remote = nart_rt_remote(rt);
    pthread_t thread = thread_start(spawn_fast, &remote);
    while (!sent)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    thread_join(thread);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
    CHECK_EQ(runs, 20000);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_WITH(a_run_takes_what_was_sent_before, paused)
{
    enum { SENT = 1000 };

    for (int i = 0; i < SENT; i++)
        CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &count_type, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(runs, SENT);
    CHECK_RES(nart_rt_run(rt), 0);
}

static int64_t system_now(void)
{
    struct timespec ts;

    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
    return ts.tv_sec * NART_SEC + ts.tv_nsec;
}

/* The deadline passes, and not early, although the runtime's clock is paused. */
TEST_WITH(the_deadline_passes_while_the_clock_stands, paused)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0);
    int64_t before = system_now();
    CHECK_RES(nart_rt_quiesce(rt, NART_MS, NULL), -ETIMEDOUT);
    CHECK_LE(before + NART_MS, system_now());
    CHECK_RES(nart_rt_shutdown_within(rt, NART_MS, NART_MS, &left), 0);
    CHECK_EQ(left.cancelled, 1);
}

/* ---- concurrent activity ---- */

struct reader {
    nart_co co;
    nart_fd pipe;
    int fd;
    nart_res r;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_fd_open(nart_cx_rt(cx), f->fd, 0, &f->pipe), 0);
    nart_fd_clear(&f->pipe, NART_READ);
    NART_AWAIT(f->r, nart_fd_ready(cx, &f->pipe, NART_READ));
    nart_fd_close(&f->pipe);
    runs++;
    NART_END(0);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

static void *write_one(void *fd)
{
    CHECK_EQ(write(*(int *)fd, "x", 1), 1);
    return NULL;
}

TEST_WITH(descriptors_are_looked_at, paused)
{
    int end[2];

    CHECK_EQ(pipe2(end, O_NONBLOCK | O_CLOEXEC), 0);
    const struct reader init = { .fd = end[0] };
    CHECK_RES(nart_rt_spawn(rt, &reader_type, &init, NULL), 0);
    CHECK_RES(nart_rt_quiesce(rt, 0, NULL), -ETIMEDOUT);
    pthread_t thread = thread_start(write_one, &end[1]);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
    CHECK_EQ(runs, 1);
    thread_join(thread);
    close(end[1]);
}

/* Ticks until the shutdown. */
struct ticker {
    nart_co co;
    nart_interval interval;
    nart_waiter waiter;
    nart_res r;
    int which;
};

static nart_res ticker_run(nart_cx *cx, void *frame)
{
    struct ticker *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_interval_init(cx, &f->interval, NART_SEC), 0);
    do {
        NART_AWAIT_ANY(f->which, f->r, nart_shutdown_await(cx, &f->waiter),
                       nart_interval_tick(cx, &f->interval));
        CHECK_RES(f->r, 0);
        runs += f->which;
    } while (f->which == 1);
    NART_END(0);
}

static const nart_task_type ticker_type = NART_TASK_TYPE(struct ticker, ticker_run, NULL);

static nart_res asker_run(nart_cx *cx, void *frame)
{
    struct nap *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 10 * NART_SEC + 1));
    CHECK_RES(nart_rt_shutdown(nart_cx_rt(cx)), 0);
    NART_END(f->r);
}

static const nart_task_type asker_type = NART_TASK_TYPE(struct nap, asker_run, NULL);

TEST_WITH(tasks_of_intervals_tick_until_the_shutdown, paused)
{
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_rt_spawn(rt, &ticker_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &asker_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
    CHECK_EQ(runs, 30);
}

/* The report callback for remaining tasks may cancel them, and spawn. */
static nart_rt *told_of;

static void be_told(void *arg, const char *line)
{
    nart_task *id = arg;

    (void)line;
    CHECK_RES(nart_rt_free(told_of), -EDEADLK);
    CHECK_RES(nart_rt_poll(told_of, 0), -EDEADLK);
    CHECK_RES(nart_rt_quiesce(told_of, 0, NULL), -EDEADLK);
    CHECK_RES(nart_rt_spawn(told_of, &count_type, NULL, NULL), 0);
    CHECK_RES(nart_task_cancel(told_of, *id), 0);
    runs--;
}

TEST(a_report_does_not_free_the_runtime)
{
    nart_join join = { .hub = NULL };
    nart_task id;

    told_of = NEW_RT(.report = be_told, .report_arg = &id);
    CHECK_RES(nart_rt_spawn(told_of, &nap_type, NULL, &join), 0);
    id = nart_join_task(&join);
    nart_join_release(&join);
    CHECK_RES(nart_rt_quiesce(told_of, 0, NULL), -ETIMEDOUT);
    CHECK_EQ(runs, -1);
    CHECK_RES(nart_rt_quiesce(told_of, NART_NEVER, NULL), 0);
    CHECK_EQ(runs, 1); /* one per report, and the cancelled nap */
    CHECK_RES(nart_rt_free(told_of), 0);
}

/* ---- arguments ---- */

/* A negative timeout means none, and NART_NEVER means no limit. */
TEST_WITH(times_at_the_ends_of_the_range, paused)
{
    nart_rt_left left = NART_RT_LEFT_INIT;

    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_quiesce(rt, -1, NULL), -ETIMEDOUT);
    CHECK_RES(nart_rt_quiesce(rt, INT64_MIN, NULL), -ETIMEDOUT);
    CHECK_RES(nart_rt_shutdown_within(rt, INT64_MIN, NART_NEVER, &left), 0);
    CHECK_EQ(left.cancelled, 1);
}

/* Callers of an older and a newer version: only the common fields are filled in. */
TEST_WITH(counts_of_other_versions, paused)
{
    struct {
        nart_rt_left left;
        uint32_t more[3];
    } newer = { .left.size = sizeof newer, .more = { 7, 7, 7 } };
    union {
        nart_rt_left left;
        unsigned char bytes[sizeof(nart_rt_left)];
    } older;

    memset(&older, 0x55, sizeof older);
    older.left.size = offsetof(nart_rt_left, held) + 1;
    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_quiesce(rt, 0, &newer.left), -ETIMEDOUT);
    CHECK_EQ(newer.left.size, sizeof newer);
    CHECK_EQ(newer.left.tasks, 1);
    CHECK_EQ(newer.more[0], 7);
    CHECK_RES(nart_rt_quiesce(rt, 0, &older.left), -ETIMEDOUT);
    CHECK_EQ(older.left.size, offsetof(nart_rt_left, held) + 1);
    CHECK_EQ(older.left.tasks, 1);
    CHECK_EQ(older.bytes[offsetof(nart_rt_left, held) + 1], 0x55);
    CHECK_EQ(older.left.cancelled, 0x55555555);
}
