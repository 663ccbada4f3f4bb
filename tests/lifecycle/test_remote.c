/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Spawning from other threads: what arrives, in which order, and where a frame ends that does not
 * arrive. */
#include "../core/core.h"
#include "threads.h"

#include <nart/remote.h>
#include <nart/shutdown.h>

#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static nart_remote remote;
static int runs, drops, reports;
static char report[256];

static void keep(void *arg, const char *line)
{
    (void)arg;
    reports++;
    snprintf(report, sizeof report, "%s", line);
}

/* The fixture `remote`: a runtime and its remote. */
FIXTURE_RT(.report = keep, .name = "remote");

static void remote_open(void)
{
    rt_open();
    remote = nart_rt_remote(rt);
}

static void remote_close(void)
{
    rt_close();
}

/* ---- a task that records its number ---- */

struct note {
    nart_co co;
    uint32_t number;
};

static uint32_t noted[64];

static nart_res note_run(nart_cx *cx, void *frame)
{
    struct note *f = frame;

    (void)cx;
    if (runs < 64)
        noted[runs] = f->number;
    runs++;
    return 0;
}

static void note_drop(void *frame)
{
    (void)frame;
    drops++;
}

static const nart_task_type note_type = NART_TASK_TYPE(struct note, note_run, note_drop);

static nart_res post(uint32_t number)
{
    const struct note init = { .number = number };
    return nart_remote_spawn(remote, &note_type, &init);
}

TEST_WITH(a_task_arrives_with_its_frame, remote)
{
    CHECK_RES(post(7), 0);
    CHECK_EQ(nart_rt_task_count(rt), 0);
    settle(rt);
    CHECK_EQ(runs, 1);
    CHECK_EQ(noted[0], 7);
    CHECK_EQ(drops, 1);
}

TEST_WITH(tasks_of_one_thread_begin_in_order, remote)
{
    for (uint32_t i = 0; i < 64; i++)
        CHECK_RES(post(i), 0);
    settle(rt);
    for (uint32_t i = 0; i < 64; i++)
        CHECK_EQ(noted[i], i);
}

/* More than one tick takes: the rest follows in later ticks. */
TEST_WITH(more_than_a_tick_takes, remote)
{
    for (uint32_t i = 0; i < 1000; i++)
        CHECK_RES(post(i), 0);
    CHECK_LE(nart_rt_poll(rt, 0), 256);
    settle(rt);
    CHECK_EQ(runs, 1000);
    CHECK_EQ(drops, 1000);
}

TEST_WITH(no_init_is_a_frame_of_zeros, remote)
{
    CHECK_RES(nart_remote_spawn(remote, &note_type, NULL), 0);
    settle(rt);
    CHECK_EQ(runs, 1);
    CHECK_EQ(noted[0], 0);
}

struct aligned {
    _Alignas(64) unsigned char bytes[64];
};

static nart_res aligned_run(nart_cx *cx, void *frame)
{
    const struct aligned *f = frame;

    (void)cx;
    CHECK_EQ((uintptr_t)frame % 64, 0);
    for (size_t i = 0; i < sizeof f->bytes; i++)
        CHECK_EQ(f->bytes[i], i);
    runs++;
    return 0;
}

static void aligned_drop(void *frame)
{
    CHECK_EQ((uintptr_t)frame % 64, 0);
    drops++;
}

static const nart_task_type aligned_type =
    NART_TASK_TYPE(struct aligned, aligned_run, aligned_drop);

TEST(a_frame_is_aligned_also_where_it_is_dropped)
{
    struct aligned init;

    for (size_t i = 0; i < sizeof init.bytes; i++)
        init.bytes[i] = (unsigned char)i;
    remote_open();
    CHECK_RES(nart_remote_spawn(remote, &aligned_type, &init), 0);
    settle(rt);
    CHECK_RES(nart_remote_spawn(remote, &aligned_type, &init), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(runs, 1);
    CHECK_EQ(drops, 2);
}

/* ---- frames that do not arrive ---- */

TEST(without_a_free_slot_it_is_dropped_and_reported)
{
    rt = NEW_RT(.report = keep, .name = "remote", .slots[0] = 1);
    remote = nart_rt_remote(rt);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_RES(post(i), 0);
    settle(rt);
    CHECK_EQ(runs, 1);
    CHECK_EQ(drops, 2);
    CHECK_EQ(reports, 1);
    CHECK(strstr(report, "task note, spawned by another thread, was dropped"));
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_WITH(so_many_are_under_way_at_most, remote)
{
    int more = 0;

    for (uint32_t i = 0; i < NART_REMOTE_SPAWNS; i++)
        CHECK_RES(post(i), 0);
    CHECK_RES(post(0), -EAGAIN);
    CHECK_RES(nart_rt_poll(rt, 0), 64); /* as many as one tick takes */
    while (post(0) == 0)
        more++;
    CHECK_LE(64, more);
    CHECK_LE(more, 256);
    settle(rt);
    CHECK_EQ(drops, NART_REMOTE_SPAWNS + more);
    CHECK_RES(post(0), 0);
}

TEST(what_is_under_way_at_the_end_is_dropped_and_counted)
{
    nart_rt_end end = NART_RT_END_INIT;

    remote_open();
    for (uint32_t i = 0; i < 3; i++)
        CHECK_RES(post(i), 0);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(runs, 0);
    CHECK_EQ(drops, 3);
    CHECK_EQ(end.undelivered, 3);
    CHECK_EQ(reports, 0);
}

TEST(a_runtime_that_was_freed)
{
    remote_open();
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(post(1), NART_ESTALE);
    CHECK_EQ(drops, 0);
    nart_remote before = remote;
    remote_open(); /* on the same hub */
    CHECK(remote.hub == before.hub);
    CHECK_RES(nart_remote_spawn(before, &note_type, NULL), NART_ESTALE);
    CHECK_RES(post(1), 0);
    settle(rt);
    CHECK_EQ(runs, 1);
    CHECK_RES(nart_rt_free(rt), 0);
}

static const nart_task_type no_poll = NART_TASK_TYPE(struct note, NULL, NULL);
struct huge {
    char bytes[4097];
};
static const nart_task_type huge_type = NART_TASK_TYPE(struct huge, note_run, NULL);

TEST_WITH(misuse_is_answered_at_once, remote)
{
    nart_task_type other = note_type;

    other.abi++;
    CHECK_RES(nart_remote_spawn(remote, NULL, NULL), -EINVAL);
    CHECK_RES(nart_remote_spawn(remote, &no_poll, NULL), -EINVAL);
    CHECK_RES(nart_remote_spawn(remote, &huge_type, NULL), NART_EFRAME);
    CHECK_RES(nart_remote_spawn(remote, &other, NULL), NART_EABI);
    CHECK_RES(nart_remote_spawn((nart_remote){ 0 }, &note_type, NULL), NART_ESTALE);
    CHECK(!nart_rt_remote(NULL).hub);
}

TEST(a_child_of_fork_cannot_spawn)
{
    int status;

    remote_open();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(post(1) == NART_EFORK && nart_rt_free(rt) == 0 ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- other threads ---- */

enum { THREADS = 4, EACH = 2000 };

/* Waits until `runs` reaches its final value; only tasks that others spawn wake it. */
struct waiter {
    nart_co co;
    nart_rx rx;
    uint64_t value;
    int left;
    nart_res r;
};

static nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--) {
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
        CHECK_RES(f->r, 0);
    }
    NART_END(0);
}

static void waiter_drop(void *frame)
{
    nart_rx_close(&((struct waiter *)frame)->rx);
}

static const nart_task_type waiter_type = NART_TASK_TYPE(struct waiter, waiter_run, waiter_drop);

/* Spawned from another thread: sends to a local channel of the loop. */
static nart_tx local;

struct sender {
    nart_co co;
    uint64_t value;
    nart_tx tx;
    nart_res r;
};

static nart_res sender_run(nart_cx *cx, void *frame)
{
    struct sender *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_tx_clone(&local, &f->tx), 0);
    NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
    CHECK_RES(f->r, 0);
    nart_tx_close(&f->tx);
    NART_END(0);
}

static const nart_task_type sender_type = NART_TASK_TYPE(struct sender, sender_run, NULL);

static void *spawn_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++) {
        const struct sender init = { .value = (uint64_t)i };
        nart_res r;
        while ((r = nart_remote_spawn(remote, &sender_type, &init)) == -EAGAIN)
            (void)sched_yield();
        CHECK_RES(r, 0);
    }
    return NULL;
}

TEST(four_threads_spawn_while_the_loop_runs_and_parks)
{
    pthread_t threads[THREADS];
    nart_res err;

    rt = NEW_RT(.slots = { [1] = THREADS * EACH + 1, [2] = THREADS * EACH + 1 }, .report = keep);
    remote = nart_rt_remote(rt);
    struct waiter *w = nart_rt_spawn_begin(rt, &waiter_type, &err);
    CHECK(w != NULL);
    w->left = THREADS * EACH;
    new_chan(rt, 4, &local, &w->rx);
    CHECK_RES(nart_rt_spawn_commit(rt, w, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(spawn_many, NULL);
    CHECK_RES(nart_rt_run(rt), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    nart_tx_close(&local);
    CHECK_EQ(reports, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Threads spawn while the runtime is freed: each frame ends once, on either side. */
static int accepted_by[THREADS];

static void *spawn_until_gone(void *arg)
{
    int *n = arg;
    nart_res r;

    while ((r = nart_remote_spawn(remote, &note_type, NULL)) == 0 || r == -EAGAIN)
        r ? (void)sched_yield() : (void)++*n;
    CHECK_RES(r, NART_ESTALE);
    return NULL;
}

TEST(the_runtime_is_freed_while_threads_spawn)
{
    pthread_t threads[THREADS];
    int accepted = 0;

    remote_open();
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(spawn_until_gone, &accepted_by[i]);
    while (runs < 2000)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_RES(nart_rt_free(rt), 0);
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        accepted += accepted_by[i];
    }
    CHECK_EQ(drops, accepted);
}

/* ---- a refused request drops its frame in order ---- */

static int within, released_within;

static void inner_drop(void *frame)
{
    (void)frame;
    released_within += within;
}

struct order_frame {
    nart_join held;
};

static void order_drop(void *frame)
{
    within++;
    nart_join_release(&((struct order_frame *)frame)->held);
    within--;
}

static nart_res ends_at_once(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

TEST(what_a_refused_order_releases_is_dropped_after_it)
{
    static const nart_task_type inner = NART_TASK_TYPE(int, ends_at_once, inner_drop);
    static const nart_task_type order =
        NART_TASK_TYPE(struct order_frame, ends_at_once, order_drop);
    struct order_frame o;
    nart_rt *own;

    memset(&o, 0, sizeof o);
    CHECK_RES(nart_rt_new(NULL, &own), 0);
    CHECK_RES(nart_rt_spawn(own, &inner, NULL, &o.held), 0);
    CHECK_RES(nart_rt_run(own), 0);
    CHECK_RES(nart_remote_spawn(nart_rt_remote(own), &order, &o), 0);
    CHECK_RES(nart_rt_shutdown(own), 0);
    CHECK_RES(nart_rt_run(own), 0);
    CHECK_EQ(released_within, 0);
    CHECK_RES(nart_rt_free(own), 0);
}
