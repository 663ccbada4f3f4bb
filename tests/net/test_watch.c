/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Watches: callbacks for descriptors and alarms, level-triggered, outside of tasks. */
#include "net_test.h"
#include "threads.h"

#include <nart/shutdown.h>
#include <nart/sync.h>
#include <nart/watch.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

FIXTURE_RT();

/* What a callback does, and what it saw. */
struct log {
    nart_watch w;
    int calls, fd;
    uint32_t events; /* of the last call */
    bool reads;      /* a byte per call */
    nart_watch *stops;
};

static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    struct log *l = arg;
    char c;

    CHECK(w == &l->w);
    l->calls++;
    l->events = events;
    if (l->reads)
        CHECK_EQ(read(l->fd, &c, 1), 1);
    if (l->stops)
        CHECK_RES(nart_watch_stop(l->stops), 0);
}

static void start(struct log *l, int fd, uint32_t dirs, int64_t at)
{
    l->fd = fd;
    CHECK_RES(nart_watch_start(rt, &l->w, fd, on_event, l), 0);
    CHECK_RES(nart_watch_set(&l->w, dirs, at), 0);
}

static void new_pipe(int ends[2])
{
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static void one_tick(void)
{
    CHECK_RES(nart_rt_poll(rt, 0), 0);
}

/* ---- descriptors ---- */

TEST_WITH(what_a_callback_leaves_is_reported_again, rt)
{
    struct log l = { .reads = true };
    int ends[2];

    new_pipe(ends);
    start(&l, ends[0], NART_READ, NART_NEVER);
    one_tick();
    CHECK_EQ(l.calls, 0);
    CHECK_EQ(write(ends[1], "abc", 3), 3);
    for (int i = 1; i <= 3; i++) { /* it never sees EAGAIN */
        one_tick();
        CHECK_EQ(l.calls, i);
        CHECK_EQ(l.events, NART_READ);
    }
    one_tick();
    CHECK_EQ(l.calls, 3);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_NE(fcntl(ends[0], F_GETFD), -1); /* the caller's */
    close_both(ends);
}

TEST_WITH(directions_are_switched_on_and_off, rt)
{
    struct log l = { .reads = false };
    int ends[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    start(&l, ends[0], NART_WRITE, NART_NEVER);
    one_tick();
    CHECK_EQ(l.events, NART_WRITE);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    one_tick();
    CHECK_EQ(l.events, NART_WRITE); /* it is readable, too */
    CHECK_RES(nart_watch_set(&l.w, NART_READ | NART_WRITE, NART_NEVER), 0);
    one_tick();
    CHECK_EQ(l.events, NART_READ | NART_WRITE);
    CHECK_RES(nart_watch_set(&l.w, 0, NART_NEVER), 0);
    one_tick();
    CHECK_EQ(l.calls, 3);
    CHECK_RES(nart_watch_set(&l.w, NART_READ, NART_NEVER), 0);
    one_tick();
    CHECK_EQ(l.events, NART_READ);
    CHECK_EQ(l.calls, 4);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    one_tick();
    CHECK_EQ(l.calls, 4);
    close_both(ends);
}

TEST_WITH(a_hang_up_counts_as_ready, rt)
{
    struct log l = { .reads = false };
    int ends[2];

    new_pipe(ends);
    start(&l, ends[0], NART_READ, NART_NEVER);
    close(ends[1]);
    one_tick();
    CHECK_EQ(l.events, NART_READ | NART_HANGUP);
    CHECK_RES(nart_watch_set(&l.w, 0, NART_NEVER), 0); /* not even a hang-up is reported then */
    one_tick();
    CHECK_EQ(l.calls, 1);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    close(ends[0]);

    new_pipe(ends);
    start(&l, ends[1], NART_WRITE, NART_NEVER);
    close(ends[0]);
    one_tick();
    CHECK_EQ(l.events, NART_WRITE | NART_ERROR);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    close(ends[1]);
}

/* Two events of one batch: whichever callback comes first stops the other watch, or switches it off. */
TEST_WITH(an_event_that_was_received_is_dropped_by_a_stop, rt)
{
    struct log a = { .reads = false }, b = { .reads = false };
    int one[2], two[2];

    new_pipe(one);
    new_pipe(two);
    start(&a, one[1], NART_WRITE, NART_NEVER);
    start(&b, two[1], NART_WRITE, NART_NEVER);
    one_tick();
    CHECK_EQ(a.calls + b.calls, 2);
    a.stops = &b.w;
    b.stops = &a.w;
    one_tick();
    CHECK_EQ(a.calls + b.calls, 3);
    CHECK_RES(nart_watch_stop(&a.w), 0);
    CHECK_RES(nart_watch_stop(&b.w), 0);
    close_both(one);
    close_both(two);
}

static struct log *both[2];

static void switch_the_other(nart_watch *w, uint32_t events, void *arg)
{
    struct log *other = both[w == &both[0]->w];

    CHECK_EQ(events, NART_WRITE);
    (void)arg;
    both[0]->calls++;
    if (other->reads) /* started again: on the same descriptor, which is as ready as before */
        CHECK_RES(nart_watch_start(rt, &other->w, other->fd, switch_the_other, NULL), 0);
    CHECK_RES(nart_watch_set(&other->w, other->events, NART_NEVER), 0);
}

TEST_WITH(an_event_that_was_received_is_dropped_by_a_set, rt)
{
    struct log a = { .reads = false }, b = { .reads = false };
    int one[2], two[2];

    new_pipe(one);
    new_pipe(two);
    both[0] = &a;
    both[1] = &b;
    for (int how = 0; how < 3; how++) {
        a.calls = 0;
        a.reads = b.reads = how == 1;
        a.events = b.events = how == 2 ? NART_READ : 0; /* another direction */
        a.fd = one[1];
        b.fd = two[1];
        for (int i = 0; i < 2; i++) {
            CHECK_RES(nart_watch_start(rt, &both[i]->w, both[i]->fd, switch_the_other, NULL), 0);
            CHECK_RES(nart_watch_set(&both[i]->w, NART_WRITE, NART_NEVER), 0);
        }
        one_tick();
        CHECK_EQ(a.calls, 1);
    }
    CHECK_RES(nart_watch_stop(&a.w), 0);
    CHECK_RES(nart_watch_stop(&b.w), 0);
    close_both(one);
    close_both(two);
}

static void free_itself(nart_watch *w, uint32_t events, void *arg)
{
    (void)events;
    ++*(int *)arg;
    CHECK_RES(nart_watch_stop(w), 0);
    memset(w, 0x5a, sizeof *w);
    free(w);
}

TEST_WITH(a_callback_frees_its_watch, rt)
{
    int ends[2], calls = 0;

    new_pipe(ends);
    for (int alarm = 0; alarm < 2; alarm++) {
        nart_watch *w = calloc(1, sizeof *w);
        CHECK(w != NULL);
        CHECK_RES(nart_watch_start(rt, w, ends[1], free_itself, &calls), 0);
        CHECK_RES(nart_watch_set(w, alarm ? 0 : NART_WRITE, alarm ? 0 : NART_NEVER), 0);
        one_tick();
        one_tick();
        CHECK_EQ(calls, alarm + 1);
    }
    close_both(ends);
}

/* ---- whose number it is ---- */

/* Replaces the pipe behind both numbers. */
static void replace(int ends[2])
{
    int before[2] = { ends[0], ends[1] };

    close_both(ends);
    new_pipe(ends);
    CHECK_EQ(ends[0], before[0]);
    CHECK_EQ(ends[1], before[1]);
}

TEST_WITH(a_socket_is_replaced_under_its_number, rt)
{
    struct log l = { .reads = true };
    int ends[2];

    new_pipe(ends);
    start(&l, ends[0], NART_READ, NART_NEVER);
    for (int i = 0; i < 3; i++) {
        replace(ends);
        if (i == 0) { /* by another start */
            start(&l, ends[0], NART_READ, NART_NEVER);
        } else { /* directions that change are enough */
            CHECK_RES(nart_watch_set(&l.w, i == 1 ? NART_READ | NART_WRITE : NART_READ, NART_NEVER),
                      0);
        }
        one_tick();
        CHECK_EQ(l.calls, i);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        one_tick();
        CHECK_EQ(l.calls, i + 1);
        CHECK_EQ(l.events, NART_READ);
    }
    CHECK_RES(nart_watch_stop(&l.w), 0);
    close_both(ends);
}

struct ready {
    nart_fd *h;
};

static nart_res ready_run(nart_cx *cx, void *frame)
{
    return nart_fd_ready(cx, ((struct ready *)frame)->h, NART_READ);
}

TYPE(ready, ready_run);

/* The library closes its socket without a word, and a handle gets the number. */
TEST_WITH(a_handle_that_gets_the_number_keeps_its_events, rt)
{
    struct log l = { .reads = false };
    nart_fd h;
    int ends[2];

    for (int how = 0; how < 4; how++) {
        new_pipe(ends);
        start(&l, ends[0], NART_READ, NART_NEVER);
        replace(ends);
        CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
        nart_fd_clear(&h, NART_READ);
        if (how == 0)
            CHECK_RES(nart_watch_stop(&l.w), 0);
        else if (how == 1)
            CHECK_RES(nart_watch_set(&l.w, 0, NART_NEVER), 0);
        else
            CHECK_RES(nart_watch_set(&l.w, how == 2 ? NART_WRITE : NART_READ, NART_NEVER), -EEXIST);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_RES(run(rt, &ready_type, &(struct ready){ &h }), NART_READ);
        CHECK_EQ(l.calls, 0);
        CHECK_RES(nart_fd_close(&h), 0);
        close(ends[1]);
        CHECK_RES(nart_watch_stop(&l.w), 0);
    }
}

/* The kernel does not watch it: so nothing tells that the watch is gone but its number. */
TEST_WITH(a_regular_file_that_gets_the_number_is_no_second_registration, rt)
{
    struct log l = { .reads = false };
    nart_fd h;
    int ends[2];

    new_pipe(ends);
    start(&l, ends[0], NART_READ, NART_NEVER);
    close(ends[0]);
    CHECK_EQ(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ends[0]);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

TEST_WITH(a_watch_that_gets_the_number_keeps_its_events, rt)
{
    struct log a = { .reads = false }, b = { .reads = false };
    int ends[2];

    new_pipe(ends);
    start(&a, ends[1], NART_WRITE, NART_NEVER);
    replace(ends);
    start(&b, ends[1], NART_WRITE, NART_NEVER);
    CHECK_RES(nart_watch_stop(&a.w), 0);
    one_tick();
    CHECK_EQ(a.calls, 0);
    CHECK_EQ(b.calls, 1);
    CHECK_RES(nart_watch_stop(&b.w), 0);
    one_tick();
    CHECK_EQ(b.calls, 1);
    close_both(ends);
}

TEST_WITH(a_descriptor_is_watched_once, rt)
{
    struct log a = { .reads = false }, b = { .reads = false };
    nart_fd h;
    int ends[2];

    new_pipe(ends);
    start(&a, ends[1], NART_WRITE, NART_NEVER);
    start(&b, ends[1], 0, NART_NEVER);
    CHECK_RES(nart_watch_set(&b.w, NART_WRITE, NART_NEVER), -EEXIST);
    CHECK_RES(nart_fd_open(rt, ends[1], 0, &h), -EEXIST);
    CHECK_RES(nart_fd_open(rt, ends[1], NART_FD_BORROW, &h), 0); /* a duplicate */
    CHECK_RES(nart_fd_close(&h), 0);
    one_tick();
    CHECK_EQ(a.calls, 1);
    CHECK_EQ(b.calls, 0);
    CHECK_RES(nart_watch_stop(&a.w), 0);
    CHECK_RES(nart_watch_set(&b.w, NART_WRITE, NART_NEVER), 0);
    one_tick();
    CHECK_EQ(b.calls, 1);
    CHECK_RES(nart_watch_stop(&b.w), 0);
    close_both(ends);
}

/* ---- alarms ---- */

TEST_WITH(an_alarm_rings_once_at_its_time, rt)
{
    struct log l = { .reads = false };

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    int64_t now = nart_rt_now(rt);
    start(&l, -1, 0, now + NART_SEC);
    CHECK_RES(nart_watch_set(&l.w, NART_READ, NART_NEVER), -EBADF); /* there is no descriptor */
    one_tick();
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC - 1), 0);
    one_tick();
    CHECK_EQ(l.calls, 0);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    one_tick();
    CHECK_EQ(l.calls, 1);
    CHECK_EQ(l.events, NART_ALARM);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    one_tick();
    CHECK_EQ(l.calls, 1);
    CHECK_RES(nart_watch_set(&l.w, 0, now), 0); /* long ago: at once */
    one_tick();
    CHECK_EQ(l.calls, 2);
    CHECK_RES(nart_watch_set(&l.w, 0, now + 3 * NART_SEC), 0);
    CHECK_RES(nart_watch_set(&l.w, 0, now + 5 * NART_SEC), 0);
    CHECK_RES(nart_rt_clock_advance(rt, 2 * NART_SEC), 0);
    one_tick();
    CHECK_EQ(l.calls, 2);
    CHECK_RES(nart_watch_set(&l.w, 0, NART_NEVER), 0);
    CHECK_RES(nart_rt_clock_advance(rt, 2 * NART_SEC), 0);
    one_tick();
    CHECK_EQ(l.calls, 2);
    CHECK_RES(nart_watch_set(&l.w, 0, 0), 0);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    one_tick();
    CHECK_EQ(l.calls, 2);
}

static void ring_again(nart_watch *w, uint32_t events, void *arg)
{
    (void)events;
    ++*(int *)arg;
    CHECK_RES(nart_watch_set(w, 0, 0), 0);
}

TEST_WITH(an_alarm_that_a_callback_sets_rings_in_the_next_tick, rt)
{
    nart_watch two[2] = { { 0 }, { 0 } };
    int rung = 0;

    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_watch_start(rt, &two[i], -1, ring_again, &rung), 0);
        CHECK_RES(nart_watch_set(&two[i], 0, 0), 0);
    }
    for (int i = 1; i <= 3; i++) {
        one_tick();
        CHECK_EQ(rung, 2 * i);
    }
    for (int i = 0; i < 2; i++)
        CHECK_RES(nart_watch_stop(&two[i]), 0);
}

static nart_watch *due[3];

static void stop_the_others(nart_watch *w, uint32_t events, void *arg)
{
    (void)events;
    ++*(int *)arg;
    for (int i = 0; i < 3; i++)
        if (due[i] != w)
            CHECK_RES(nart_watch_stop(due[i]), 0);
}

TEST_WITH(an_alarm_that_is_due_is_dropped_by_a_stop, rt)
{
    nart_watch w[3] = { { 0 }, { 0 }, { 0 } };
    int rung = 0;

    for (int i = 0; i < 3; i++) {
        due[i] = &w[i];
        CHECK_RES(nart_watch_start(rt, &w[i], -1, stop_the_others, &rung), 0);
        CHECK_RES(nart_watch_set(&w[i], 0, 0), 0);
    }
    one_tick();
    one_tick();
    CHECK_EQ(rung, 1);
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_watch_stop(&w[i]), 0);
}

/* A run waits for the alarm of a watch, and so does a clock that advances by itself. */
struct waiting {
    nart_notify *n;
    nart_waiter waiter;
};

static nart_res waiting_run(nart_cx *cx, void *frame)
{
    struct waiting *f = frame;
    return nart_notify_await(cx, f->n, &f->waiter);
}

TYPE(waiting, waiting_run);

static void notify(nart_watch *w, uint32_t events, void *arg)
{
    (void)w;
    (void)events;
    nart_notify_one(arg);
}

TEST_WITH(a_run_waits_for_an_alarm, rt)
{
    nart_notify n = { 0 };
    nart_watch w = { 0 };

    CHECK_RES(nart_watch_start(rt, &w, -1, notify, &n), 0);
    for (int by_itself = 0; by_itself < 2; by_itself++) {
        if (by_itself) {
            CHECK_RES(nart_rt_clock_pause(rt), 0);
            CHECK_RES(nart_rt_clock_auto(rt), 0);
        }
        int64_t at = nart_rt_now(rt) + (by_itself ? 1000 * NART_SEC : NART_MS);
        CHECK_RES(nart_watch_set(&w, 0, at), 0);
        CHECK_RES(run(rt, &waiting_type, &(struct waiting){ .n = &n }), 0);
        if (by_itself)
            CHECK_EQ(nart_rt_now(rt), at);
        else
            CHECK_LE(at, nart_rt_now(rt));
    }
    CHECK_RES(nart_watch_stop(&w), 0);
}

/* ---- tasks and the runtime ---- */

struct busy {
    int *polls;
};

static nart_res busy_run(nart_cx *cx, void *frame)
{
    ++*((struct busy *)frame)->polls;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static const nart_task_type busy_type =
    NART_TASK_TYPE_FLAGS(struct busy, busy_run, NULL, NART_TASK_BACKGROUND);

static void always_due(nart_watch *w, uint32_t events, void *arg)
{
    (void)events;
    ++*(int *)arg;
    CHECK_RES(nart_watch_set(w, 0, 0), 0);
}

TEST(tasks_and_watches_starve_each_other_not)
{
    struct log l = { .reads = false };
    nart_watch w = { 0 };
    int ends[2], polls = 0, alarms = 0;

    rt_open();
    new_pipe(ends);
    start(&l, ends[1], NART_WRITE, NART_NEVER);
    CHECK_RES(nart_watch_start(rt, &w, -1, always_due, &alarms), 0);
    CHECK_RES(nart_watch_set(&w, 0, 0), 0);
    for (int i = 0; i < 200; i++) /* more than are polled per tick */
        spawn(rt, &busy_type, &(struct busy){ &polls }, NULL);
    for (int i = 1; i <= 100; i++) {
        CHECK_RES(nart_rt_poll(rt, 0), 64);
        CHECK_EQ(l.calls, i);
        CHECK_LE(i, alarms);
        CHECK_LE(alarms, 128 * i);
    }
    CHECK_EQ(polls, 6400);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_RES(nart_watch_stop(&w), 0);
    close_both(ends);
    rt_close();
}

TEST_WITH(watches_keep_no_run_and_no_shutdown_waiting, rt)
{
    struct log l = { .reads = false };
    nart_notify n = { 0 };
    nart_watch w = { 0 };
    nart_join join;
    int ends[2];

    new_pipe(ends);
    start(&l, ends[1], NART_WRITE, nart_rt_now(rt) + 1000 * NART_SEC);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(l.calls, 0); /* there was nothing to run for */
    spawn(rt, &waiting_type, &(struct waiting){ .n = &n }, &join);
    settle(rt);
    CHECK_RES(nart_watch_start(rt, &w, -1, notify, &n), 0);
    CHECK_RES(nart_watch_set(&w, 0, 0), 0);
    CHECK_RES(nart_rt_shutdown_within(rt, NART_NEVER, 0, NULL), -EBUSY); /* the join */
    CHECK(l.calls > 1); /* it works meanwhile, and so does the other, for which the task waits */
    nart_join_release(&join);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_RES(nart_watch_stop(&w), 0);
    close_both(ends);
}

struct nothing {
    int *ran;
};

static nart_res nothing_run(nart_cx *cx, void *frame)
{
    (void)cx;
    ++*((struct nothing *)frame)->ran;
    return 0;
}

TYPE(nothing, nothing_run);

static void call_everything(nart_watch *w, uint32_t events, void *arg)
{
    struct nothing init = { arg };

    (void)events;
    CHECK_RES(nart_rt_run(rt), -EDEADLK);
    CHECK_RES(nart_rt_poll(rt, 0), -EDEADLK);
    CHECK_RES(nart_rt_free(rt), -EDEADLK);
    CHECK_RES(nart_rt_spawn(rt, &nothing_type, &init, NULL), 0);
    nart_rt_stop(rt);
    CHECK_RES(nart_watch_set(w, 0, NART_NEVER), 0);
}

TEST(a_callback_spawns_and_stops_but_does_not_run_or_free)
{
    nart_notify n = { 0 };
    nart_watch w = { 0 };
    int ends[2], ran = 0;

    for (int alarm = 0; alarm < 2; alarm++) {
        rt_open();
        new_pipe(ends);
        spawn(rt, &waiting_type, &(struct waiting){ .n = &n }, NULL);
        CHECK_RES(nart_watch_start(rt, &w, ends[1], call_everything, &ran), 0);
        CHECK_RES(nart_watch_set(&w, alarm ? 0 : NART_WRITE, alarm ? 0 : NART_NEVER), 0);
        CHECK_RES(nart_rt_run(rt), 0); /* the task still waits */
        CHECK_EQ(ran, alarm + 1);
        rt_close();
        CHECK(w.rt == NULL); /* stopped */
        CHECK_RES(nart_watch_stop(&w), 0);
        CHECK_RES(nart_watch_set(&w, NART_READ, NART_NEVER), -EBADF);
        close_both(ends);
    }
}

/* The alarm rings in a tick in which no task is ready: the tick that would wait. */
struct slow {
    nart_watch *w;
    nart_notify *n;
    nart_waiter waiter;
};

static nart_res slow_run(nart_cx *cx, void *frame)
{
    struct slow *s = frame;

    if (!s->waiter.wait.task)
        CHECK_RES(nart_watch_set(s->w, 0, 0), 0);
    return nart_notify_await(cx, s->n, &s->waiter);
}

TYPE(slow, slow_run);

static void stop_run(nart_watch *w, uint32_t events, void *arg)
{
    (void)w;
    (void)events;
    (void)arg;
    nart_rt_stop(rt);
}

TEST_WITH(an_alarm_stops_a_run_that_would_wait, rt)
{
    nart_notify n = { 0 };
    nart_watch w = { 0 };

    CHECK_RES(nart_watch_start(rt, &w, -1, stop_run, NULL), 0);
    spawn(rt, &slow_type, &(struct slow){ .w = &w, .n = &n }, NULL);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_watch_stop(&w), 0);
    nart_notify_one(&n);
    CHECK_RES(nart_rt_run(rt), 0);
}

/* A host that learns of readable descriptors by edges: an event that stays has none. */
TEST_WITH(a_host_polls_again_while_a_watch_is_ready, rt)
{
    struct log l = { .reads = true };
    int ends[2];
    bool readable = true;

    CHECK_LE(0, nart_rt_backend_fd(rt));
    new_pipe(ends);
    start(&l, ends[0], NART_READ, NART_NEVER);
    CHECK_RES(nart_rt_poll_edge(rt, &readable), 0);
    CHECK(!readable);
    CHECK_EQ(write(ends[1], "ab", 2), 2);
    wait_for(nart_rt_backend_fd(rt), POLLIN);
    readable = true;
    for (int i = 1; i <= 2; i++) {
        CHECK_RES(nart_rt_poll_edge(rt, &readable), 0);
        CHECK_EQ(l.calls, i);
        CHECK(readable);
    }
    CHECK_RES(nart_rt_poll_edge(rt, &readable), 0);
    CHECK(!readable);
    CHECK_EQ(nart_rt_next_deadline(rt), NART_NEVER);
    int64_t at = nart_rt_now(rt) + 1000 * NART_SEC;
    CHECK_RES(nart_watch_set(&l.w, NART_READ, at), 0);
    CHECK_LE(nart_rt_next_deadline(rt), at);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    close_both(ends);
}

TEST_WITH(a_dump_lists_the_watches, rt)
{
    struct log l = { .reads = false }, alarm = { .reads = false };
    char text[512] = "", line[64];
    int ends[2];

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    new_pipe(ends);
    start(&l, ends[0], NART_READ, NART_NEVER);
    start(&alarm, -1, 0, nart_rt_now(rt) + 2 * NART_SEC);
    FILE *out = fmemopen(text, sizeof text, "w");
    nart_rt_dump(rt, out);
    (void)fclose(out);
    (void)snprintf(line, sizeof line, "watch of %d: readable\n", ends[0]);
    CHECK(strstr(text, line) != NULL);
    CHECK(strstr(text, "watch: no direction  alarm in 2.0 s\n") != NULL);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_RES(nart_watch_stop(&alarm.w), 0);
    close_both(ends);
}

/* ---- errors ---- */

TEST(what_cannot_be_watched_is_refused)
{
    struct log l = { .reads = false }, second = { .reads = false };
    int ends[2], file = open(TEST_SOURCE_DIR "/test_watch.c", O_RDONLY | O_CLOEXEC);

    rt = NEW_RT(.max_io = 1);
    new_pipe(ends);
    CHECK_RES(nart_watch_start(NULL, &l.w, 0, on_event, NULL), -EINVAL);
    CHECK_RES(nart_watch_start(rt, NULL, 0, on_event, NULL), -EINVAL);
    CHECK_RES(nart_watch_start(rt, &l.w, 0, NULL, NULL), -EINVAL);
    CHECK_RES(nart_watch_start(rt, &l.w, -2, on_event, NULL), -EINVAL);
    CHECK_RES(nart_watch_set(NULL, 0, NART_NEVER), -EINVAL);
    CHECK_RES(nart_watch_set(&l.w, 0, NART_NEVER), -EBADF);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_RES(nart_watch_stop(NULL), 0);

    start(&l, file, 0, NART_NEVER);
    CHECK_RES(nart_watch_set(&l.w, NART_PRI, NART_NEVER), -EINVAL);
    CHECK_RES(nart_watch_set(&l.w, NART_READ, NART_NEVER), -EPERM);
    close(file);
    CHECK_RES(nart_watch_set(&l.w, NART_READ, NART_NEVER), -EBADF);
    start(&second, 1 << 20, 0, NART_NEVER);
    CHECK_RES(nart_watch_set(&second.w, NART_READ, NART_NEVER), NART_EFDS);
    start(&l, ends[1], NART_WRITE, NART_NEVER);
    start(&second, ends[0], 0, NART_NEVER);
    CHECK_RES(nart_watch_set(&second.w, NART_READ, 0), NART_EFDS); /* max_io */
    one_tick();
    CHECK_EQ(l.calls, 1);
    CHECK_EQ(second.calls, 0); /* its alarm is unchanged, too */

    close(ends[1]); /* under the watch: another set finds out */
    CHECK_RES(nart_watch_set(&l.w, NART_READ, NART_NEVER), -EBADF);
    CHECK_RES(nart_watch_set(&second.w, NART_READ, NART_NEVER), 0); /* the record is free */
    CHECK_RES(nart_watch_stop(&second.w), 0);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    close(ends[0]);
    rt_close();
}

static void *from_elsewhere(void *arg)
{
    struct log *l = arg;

    CHECK_RES(nart_watch_start(rt, &l->w, 0, on_event, NULL), NART_EWRONGTHREAD);
    CHECK_RES(nart_watch_set(&l->w, NART_READ, NART_NEVER), NART_EWRONGTHREAD);
    CHECK_RES(nart_watch_stop(&l->w), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(another_thread_is_refused, rt)
{
    struct log l = { .reads = false };
    int ends[2];

    new_pipe(ends);
    start(&l, ends[1], NART_WRITE, NART_NEVER);
    one_tick();
    thread_run(from_elsewhere, &l);
    one_tick();
    CHECK_EQ(l.calls, 2); /* nothing was done */
    CHECK_RES(nart_watch_stop(&l.w), 0);
    close_both(ends);
}

TEST_WITH(a_child_of_fork_only_stops, rt)
{
    struct log l = { .reads = false }, other = { .reads = false };
    int ends[2], status;

    new_pipe(ends);
    start(&l, ends[1], NART_WRITE, NART_NEVER);
    start(&other, ends[0], NART_READ, NART_NEVER);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_RES(nart_watch_start(rt, &l.w, ends[1], on_event, NULL), NART_EFORK);
        CHECK_RES(nart_watch_set(&l.w, 0, NART_NEVER), NART_EFORK);
        CHECK_RES(nart_watch_stop(&l.w), 0);
        CHECK_RES(nart_rt_free(rt), 0); /* stops the other */
        CHECK(other.w.rt == NULL);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    one_tick();
    CHECK_EQ(l.calls, 1); /* the parent's are still registered */
    CHECK_EQ(other.calls, 1);
    CHECK_RES(nart_watch_stop(&l.w), 0);
    CHECK_RES(nart_watch_stop(&other.w), 0);
    close_both(ends);
}
