/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A host with its own loop: it sleeps in poll(2) on the backend descriptor, until the next deadline
 * at the latest, and calls nart_rt_poll() when either is due. A wake that does not reach the host
 * shows as a hang. */
#include "core.h"
#include "threads.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

FIXTURE_RT();

static int64_t clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NART_SEC + ts.tv_nsec;
}

/* As long as the runtime allows, for poll(2). */
static int host_timeout(void)
{
    int64_t at = nart_rt_next_deadline(rt), ns = at - clock_now();

    if (at == NART_NEVER)
        return -1;
    return ns > 0 ? (int)((ns + NART_MS - 1) / NART_MS) : 0;
}

static void host_sleep(void)
{
    struct pollfd fd = { .fd = nart_rt_backend_fd(rt), .events = POLLIN };

    CHECK_LE(0, poll(&fd, 1, host_timeout()));
}

static void host_run(void)
{
    while (nart_rt_task_count(rt) > 0) {
        host_sleep();
        CHECK_LE(0, nart_rt_poll(rt, 0));
    }
}

/* The same by edges. */
static void edge_host_run(void)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int host = epoll_create1(EPOLL_CLOEXEC);
    bool edge = true;

    CHECK_EQ(epoll_ctl(host, EPOLL_CTL_ADD, nart_rt_backend_fd(rt), &event), 0);
    for (;;) {
        CHECK_LE(0, nart_rt_poll_edge(rt, &edge));
        if (nart_rt_task_count(rt) == 0)
            break;
        int n = epoll_wait(host, &event, 1, edge ? 0 : host_timeout());
        CHECK_LE(0, n);
        edge |= n > 0;
    }
    close(host);
}

static bool readable(void)
{
    struct pollfd fd = { .fd = nart_rt_backend_fd(rt), .events = POLLIN };
    int n = poll(&fd, 1, 0);
    CHECK_LE(0, n);
    return n > 0;
}

/* Polls until the runtime is idle and the host may sleep. */
static void host_settle(void)
{
    CHECK_LE(0, nart_rt_backend_fd(rt));
    settle(rt);
    CHECK(!readable());
    CHECK_NE(nart_rt_next_deadline(rt), 0);
}

/* ---- tasks ---- */

static uint64_t shared;
static uintptr_t handed;

struct watcher {
    uint64_t until;
    int polls;
};

static nart_res watcher_poll(nart_cx *cx, void *frame)
{
    struct watcher *f = frame;
    f->polls++;
    __atomic_store_n(&handed, nart_cx_waker(cx).w, __ATOMIC_SEQ_CST);
    if (nart_cx_cancelled(cx) || __atomic_load_n(&shared, __ATOMIC_SEQ_CST) >= f->until)
        return 0;
    return nart_op_park(cx);
}

static const nart_task_type watcher_type = NART_TASK_TYPE(struct watcher, watcher_poll, NULL);

struct napper {
    nart_co co;
    nart_timer timer;
    int64_t ns, at;
    int i;
    nart_res r;
};

static nart_res napper_run(nart_cx *cx, void *frame)
{
    struct napper *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 5; f->i++) {
        f->at = nart_now(cx) + f->ns;
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, f->ns));
        CHECK_RES(f->r, 0);
        CHECK_LE(f->at, nart_now(cx));
    }
    NART_END(0);
}

static const nart_task_type napper_type = NART_TASK_TYPE(struct napper, napper_run, NULL);

static nart_res once(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static const nart_task_type once_type = NART_TASK_TYPE(uint64_t, once, NULL);

/* ---- the host is notified ---- */

TEST_WITH(a_host_runs_sleeping_tasks_to_their_end, rt)
{
    for (int i = 1; i <= 20; i++) {
        struct napper n = { .ns = i * 100 * NART_US };
        CHECK_RES(nart_rt_spawn(rt, &napper_type, &n, NULL), 0);
    }
    host_run();
}

TEST_WITH(a_host_of_edges_runs_sleeping_tasks_to_their_end, rt)
{
    for (int i = 1; i <= 20; i++) {
        struct napper n = { .ns = i * 100 * NART_US };
        CHECK_RES(nart_rt_spawn(rt, &napper_type, &n, NULL), 0);
    }
    edge_host_run();
}

TEST_WITH(a_spawn_from_outside_makes_the_descriptor_readable, rt)
{
    host_settle();
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_rt_spawn(rt, &once_type, NULL, NULL), 0);
        CHECK_RES(nart_rt_spawn(rt, &once_type, NULL, NULL), 0);
        CHECK(readable());
        CHECK_EQ(nart_rt_next_deadline(rt), 0);
        CHECK_EQ(nart_rt_poll(rt, 0), 2);
        host_settle(); /* the descriptor is no longer readable */
    }
}

TEST_WITH(a_host_that_polls_soon_is_not_notified, rt)
{
    struct watcher w = { .until = 3 };
    nart_rt_stats stats = { .size = sizeof stats };

    CHECK_RES(nart_rt_spawn(rt, &watcher_type, &w, NULL), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        host_settle();
        nart_rt_stats_get(rt, &stats);
        uint64_t writes = stats.eventfd_writes;
        CHECK_RES(nart_rt_poll_soon(rt), 0);
        CHECK_EQ(nart_rt_next_deadline(rt), 0);
        shared = i;
        nart_waker_wake((nart_waker){ handed });
        CHECK_RES(nart_rt_spawn(rt, &once_type, NULL, NULL), 0);
        CHECK(!readable());
        CHECK_EQ(nart_rt_poll(rt, 0), 2);
        nart_rt_stats_get(rt, &stats);
        CHECK_EQ(stats.eventfd_writes, writes);
    }
    CHECK_EQ(nart_rt_task_count(rt), 0);
    host_settle(); /* the announcement ends with the poll */
    CHECK_RES(nart_rt_spawn(rt, &once_type, NULL, NULL), 0);
    CHECK(readable());
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    CHECK_RES(nart_rt_poll_soon(NULL), -EINVAL);
}

TEST_WITH(descriptors_are_checked_only_after_an_edge, rt)
{
    nart_rt_stats stats = { .size = sizeof stats };
    bool edge = false;

    host_settle();
    nart_rt_stats_get(rt, &stats);
    uint64_t events = stats.io_events;
    CHECK_RES(nart_rt_spawn(rt, &once_type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_poll_edge(rt, &edge), 1);
    CHECK_EQ(nart_rt_poll_edge(rt, &edge), 0);
    CHECK(readable());
    edge = true;
    CHECK_EQ(nart_rt_poll_edge(rt, &edge), 0);
    CHECK(!edge && !readable());
    nart_rt_stats_get(rt, &stats);
    CHECK_EQ(stats.io_events, events + 1);
    CHECK_RES(nart_rt_poll_edge(rt, NULL), -EINVAL);
    CHECK_RES(nart_rt_poll_edge(NULL, &edge), -EINVAL);
}

TEST_WITH(a_cancel_from_outside_makes_the_descriptor_readable, rt)
{
    nart_join join;
    struct watcher *f = spawn(rt, &watcher_type, &join);

    f->until = 1;
    host_settle();
    CHECK_RES(cancel(rt, &join), 0);
    CHECK(readable());
    host_settle();
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

struct taker {
    nart_co co;
    nart_rx rx;
    uint64_t value, sum;
    nart_res r;
};

static nart_res taker_run(nart_cx *cx, void *frame)
{
    struct taker *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
        if (f->r < 0)
            break;
        f->sum += f->value;
    }
    NART_END(0);
}

static void taker_drop(void *frame)
{
    nart_rx_close(&((struct taker *)frame)->rx);
}

static const nart_task_type taker_type = NART_TASK_TYPE(struct taker, taker_run, taker_drop);

TEST_WITH(a_value_sent_from_outside_makes_the_descriptor_readable, rt)
{
    nart_join join;
    nart_tx tx;
    struct taker *f = spawn(rt, &taker_type, &join);

    new_chan(rt, 4, &tx, &f->rx);
    host_settle();
    for (uint64_t i = 1; i <= 3; i++) {
        CHECK_RES(nart_try_send(&tx, &i), 0);
        CHECK(readable());
        host_settle();
    }
    CHECK_EQ(f->sum, 6);
    nart_tx_close(&tx);
    CHECK(readable());
    host_settle();
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

TEST_WITH(a_foreign_wake_makes_the_descriptor_readable, rt)
{
    nart_join join;
    struct watcher *f = spawn(rt, &watcher_type, &join);

    f->until = 1;
    host_settle();
    for (int i = 0; i < 3; i++) {
        nart_waker_wake((nart_waker){ handed });
        nart_waker_wake((nart_waker){ handed });
        CHECK(readable());
        CHECK_EQ(nart_rt_poll(rt, 0), 1);
        host_settle();
    }
    nart_join_release(&join);
}

static void *wake_many(void *n)
{
    for (uint64_t i = 0; i < *(uint64_t *)n; i++) {
        __atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST);
        nart_waker_wake((nart_waker){ __atomic_load_n(&handed, __ATOMIC_SEQ_CST) });
        if (i % 16 == 0)
            sched_yield();
    }
    return NULL;
}

/* Wakes at any moment, also between the host's calls. */
static void run_with_foreign_wakes(void (*host)(void))
{
    uint64_t n = 30000;
    struct watcher f = { .until = n };

    CHECK_RES(nart_rt_spawn(rt, &watcher_type, &f, NULL), 0);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    pthread_t thread = thread_start(wake_many, &n);
    host();
    thread_join(thread);
}

TEST_WITH(no_foreign_wake_leaves_the_host_asleep, rt)
{
    run_with_foreign_wakes(host_run);
}

TEST_WITH(no_foreign_wake_leaves_a_host_of_edges_asleep, rt)
{
    run_with_foreign_wakes(edge_host_run);
}

static void *wake_after(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&handed, __ATOMIC_SEQ_CST))
        sched_yield();
    uint64_t one = 1;
    return wake_many(&one);
}

/* The host requests the descriptor when tasks already exist, and sleeps before the first tick. */
TEST_WITH(a_host_that_polls_late_is_notified, rt)
{
    struct watcher f = { .until = 1 };

    CHECK_RES(nart_rt_spawn(rt, &watcher_type, &f, NULL), 0);
    CHECK_LE(1, nart_rt_poll(rt, 0)); /* the descriptor was not yet requested */
    pthread_t thread = thread_start(wake_after, NULL);
    host_run();
    thread_join(thread);
}

/* ---- work left by a tick shows in the deadline ---- */

TEST_WITH(a_host_is_notified_of_work_left_over_by_a_tick, rt)
{
    host_settle();
    for (int i = 0; i < 1000; i++)
        CHECK_RES(nart_rt_spawn(rt, &once_type, NULL, NULL), 0);
    for (uint32_t left; (left = nart_rt_task_count(rt)) > 0;) {
        CHECK(readable() || nart_rt_next_deadline(rt) == 0);
        CHECK_LE(1, nart_rt_poll(rt, 0));
        CHECK_LE(nart_rt_task_count(rt) + 1, left);
    }
    host_settle();
}

TEST_WITH(every_way_of_running_can_follow_another, rt)
{
    struct napper n = { .ns = NART_MS };

    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_rt_spawn(rt, &napper_type, &n, NULL), 0);
        host_run();
        CHECK_RES(nart_rt_spawn(rt, &napper_type, &n, NULL), 0);
        CHECK_RES(nart_rt_run(rt), 0);
        CHECK_RES(nart_block_on(rt, &napper_type, &n, NULL), 0);
        host_settle();
    }
}

/* ---- waiting inside nart_rt_poll() ---- */

TEST_WITH(poll_waits_for_its_timeout_and_not_less, rt)
{
    static const int64_t spans[] = { 1, NART_US, 100 * NART_US, NART_MS, 5 * NART_MS };

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        int64_t before = clock_now();
        CHECK_RES(nart_rt_poll(rt, spans[i]), 0);
        CHECK_LE(before + spans[i], clock_now());
    }
    CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_RES(nart_rt_poll(rt, -1), 0);
    CHECK_RES(nart_rt_poll(rt, INT64_MIN), 0);
}

/* Would spin for an hour if it ignored the timeout. */
TEST(poll_returns_in_time_from_a_runtime_that_spins)
{
    for (int busy = 0; busy < 2; busy++) {
        rt = NEW_RT(.spin_ns = 3600 * NART_SEC, .flags = busy ? NART_RT_SPINNING : 0);
        int64_t before = clock_now();
        CHECK_RES(nart_rt_poll(rt, NART_MS), 0);
        CHECK_LE(before + NART_MS, clock_now());
        nart_rt_free(rt);
    }
}
