/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The waits on children, left in every way, in bodies and in fibers: what becomes of the child then. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "process_test.h"

#include <nart/sync.h>

#include <fcntl.h>

enum form { BODY, FIBER };
enum way { CANCELLED, ABORTED, RACE_LOST, TIMED_OUT, FREED, WAYS };

/* A child that ignores SIGTERM, in a group of its own. It holds the other end of `lives`. */
static struct {
    nart_process p;
    nart_process_output run;
    nart_process_status status;
    int lives;
} child;

static int does;
static int64_t limit;
static nart_notify instead, *other; /* the race is lost to `other`, if there is one */
static nart_res res;
static nart_task task;
static int which; /* arm has answered */

static const nart_process_opts *opts_of(int fd)
{
    static const char *const argv[] = { "sh", "-c",
                                        "trap '' TERM; echo x >&9; while :; do sleep 1000; done",
                                        NULL };
    static nart_process_fd pass = { .as = 9 };
    static const nart_process_opts opts = { .size = sizeof opts,
                                            .flags = NART_PROCESS_GROUP | NART_PROCESS_KILL,
                                            .nfds = 1,
                                            .argv = argv,
                                            .fds = &pass };

    pass.fd = fd;
    return &opts;
}

static const nart_process_opts *opts;

static nart_res operation(nart_cx *cx)
{
    if (does == WAITS)
        return nart_process_wait(cx, &child.p, &child.status);
    if (does == STOPS)
        return nart_process_stop(cx, &child.p, NART_SEC, &child.status);
    return nart_process_run(cx, opts, &child.run);
}

struct frame {
    nart_co co;
    nart_waiter waiter;
};

static nart_res body(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (other)
        NART_AWAIT_ANY(which, r, nart_notify_await(cx, other, &f->waiter), operation(cx));
    else
        NART_AWAIT_FOR(r, limit, operation(cx));
    res = r;
    NART_END(r);
}

static nart_res fiber(nart_cx *cx, void *arg)
{
    nart_waiter waiter = { 0 };
    (void)arg;

    res = other ? nart_await_any(cx, which, nart_notify_await(cx, other, &waiter), operation(cx))
                : nart_await_for(cx, limit, operation(cx));
    return 0;
}

static void start(enum form form, enum way way)
{
    static const nart_task_type type = NART_TASK_TYPE(struct frame, body, NULL);
    nart_join join = { 0 };

    limit = way == TIMED_OUT ? NART_MS : NART_NEVER;
    other = way == RACE_LOST ? &instead : NULL;
    res = NART_PENDING;
    if (form == BODY)
        CHECK_RES(nart_rt_spawn(rt, &type, NULL, &join), 0);
    else
        CHECK_RES(nart_rt_fiber_spawn(rt, fiber, NULL, NULL, &join), 0);
    task = nart_join_task(&join);
    nart_join_release(&join);
    settle(rt);
    CHECK_RES(res, NART_PENDING);
}

static void renew_rt(void)
{
    CHECK_RES(nart_rt_free(rt), 0);
    rt = new_rt();
    CHECK_RES(nart_rt_clock_pause(rt), 0);
}

static void leave(enum way way)
{
    if (way == CANCELLED)
        CHECK_RES(nart_task_cancel(rt, task), 0);
    else if (way == ABORTED)
        CHECK_RES(nart_task_abort(rt, task), 0);
    else if (way == RACE_LOST)
        nart_notify_one(&instead);
    else if (way == TIMED_OUT)
        CHECK_RES(nart_rt_clock_advance(rt, NART_MS), 0);
    else
        renew_rt();
    settle(rt);
    CHECK_EQ(which, 0);
    CHECK_RES(res, way == TIMED_OUT ? -ETIMEDOUT : way == RACE_LOST ? 0 : -ECANCELED);
}

static void begin(enum form form, enum way way)
{
    char buf[8];
    int fds[2];

    memset(&child, 0, sizeof child);
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    child.lives = fds[0];
    opts = opts_of(fds[1]);
    if (does != RUNS) {
        CHECK_RES(nart_process_spawn(rt, opts, &child.p), 0);
        CHECK_EQ(read_pipe(child.lives, buf, sizeof buf), 2); /* it ignores SIGTERM by now */
    }
    start(form, way);
    if (does == RUNS)
        CHECK_EQ(read_pipe(child.lives, buf, sizeof buf), 2);
    close(fds[1]);
}

static bool is_alive(void)
{
    struct pollfd p = { .fd = child.lives, .events = POLLIN };
    return poll(&p, 1, 0) == 0;
}

static void is_killed(void)
{
    char buf[8];

    CHECK_EQ(read_pipe(child.lives, buf, sizeof buf), 0); /* blocks until the group has ended */
    close(child.lives);
    all_are_reaped();
}

TEST_EACH(a_wait_or_a_stop_that_is_left_leaves_the_child_to_the_next, BODY, FIBER)
{
    rt = new_rt();
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    for (does = WAITS; does <= STOPS; does++)
        for (enum way way = 0; way < WAYS; way++) {
            begin(kind, way);
            leave(way);
            CHECK(is_alive());
            if (way != FREED) { /* else only signals reach it */
                start(kind, CANCELLED);
                CHECK(is_alive());
                if (does == STOPS)
                    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
                else
                    CHECK_RES(nart_process_kill(&child.p, SIGKILL), 0);
                CHECK_RES(nart_rt_run(rt), 0);
                CHECK_RES(res, 0);
                CHECK_EQ(child.status.signal, SIGKILL);
            }
            CHECK_RES(nart_process_kill_group(&child.p, SIGKILL), 0);
            CHECK_RES(nart_process_close(&child.p), 0);
            is_killed();
        }
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_EACH(a_run_that_is_left_and_finished_kills_the_group, BODY, FIBER)
{
    rt = new_rt();
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    does = RUNS;
    for (enum way way = 0; way < WAYS; way++) {
        begin(kind, way);
        leave(way);
        nart_process_output_finish(&child.run);
        is_killed();
    }
    CHECK_RES(nart_rt_free(rt), 0);
}
