/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A forked child frees what it inherited while the parent's tasks wait on it: the runtime before
 * the handles, or after them. The parent's tasks are unaffected. */
#include "../core/core.h"
#include "waits.h"

#include <nart/io.h>
#include <nart/nursery.h>
#include <nart/remote.h>
#include <nart/sync.h>
#include <nart/watch.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static nart_rt *rt;

static void begin(void)
{
    rt = new_rt();
    open_all(rt);
    for (int i = 0; i < WAITS; i++) {
        const struct waiter init = { .wait = &waits[i] };
        CHECK_RES(nart_rt_spawn(rt, &waiter_type, &init, NULL), 0);
    }
    settle(rt);
    CHECK_EQ(waiting, WAITS);
}

/* Checks that the parent's tasks are unaffected, and closes everything while they wait. */
static void end(void)
{
    CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_EQ(waiting, WAITS);
    close_all();
    CHECK_RES(nart_rt_shutdown(rt), 0);
    settle(rt);
    CHECK_EQ(waiting, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

static void in_a_child(void (*fn)(void))
{
    int status = -1;

    begin();
    pid_t child = fork();
    if (child == 0) {
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    end();
}

static void runtime_first(void)
{
    CHECK_RES(nart_rt_free(rt), 0);
    close_all();
    close_all();
}

TEST(the_runtime_is_freed_before_its_tasks_handles)
{
    in_a_child(runtime_first);
}

static void handles_first(void)
{
    close_all();
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(the_handles_of_tasks_are_freed_before_their_runtime)
{
    in_a_child(handles_first);
}

/* Handles are also used and moved before they are closed. */
static void used_and_moved(void)
{
    nart_tx tx = { 0 };
    nart_rx rx = { 0 };
    uint64_t value = 7;

    CHECK_RES(nart_rt_free(rt), 0);
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_RES(nart_try_send(&all.tx[i], &value), 0);
        nart_rx_move(&rx, &all.rx[i]);
        CHECK_RES(nart_try_recv(&rx, &value), 0);
        nart_rx_close(&rx);
        nart_tx_move(&tx, &all.full_tx[i]);
        nart_tx_close(&tx);
    }
    CHECK_RES(nart_oneshot_send(&all.otx[0], &value), 0);
    CHECK_RES(nart_oneshot_send(&all.otx[1], &value), 0);
    CHECK_RES(nart_watch_send(&all.wtx, &value), 1);
    CHECK_RES(nart_broadcast_send(&all.ctx, &value), 1);
    nart_notify_all(&all.notify);
    CHECK_RES(nart_semaphore_release(&all.semaphore, 2), 0);
    CHECK_RES(nart_wait_group_done(&all.group), 0);
    nart_token_cancel(&all.token);
    CHECK(nart_token_is_cancelled(&all.token));
    close_all();
}

TEST(what_tasks_waited_in_is_used_without_its_runtime)
{
    in_a_child(used_and_moved);
}

/* ---- memory ---- */

/* Waits for a value, with a nursery of children; all handles are in its frame. */
struct owner {
    nart_co co;
    nart_nursery nursery;
    nart_notify never;
    nart_waiter waiter;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    int which;
    nart_res r;
};

static int drops;

static void count_drop(void *frame)
{
    (void)frame;
    drops++;
}

static const nart_task_type child_type = NART_TASK_TYPE(nart_waiter, for_ever, count_drop);

static nart_res owner_run(nart_cx *cx, void *frame)
{
    struct owner *f = frame;

    NART_BEGIN(cx, &f->co);
    new_chan(rt, 1, &f->tx, &f->rx);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &child_type, NULL), 0);
    CHECK_RES(nart_nursery_spawn_boxed(cx, &f->nursery, &child_type, NULL), 0);
    NART_AWAIT_ANY(f->which, f->r, nart_notify_await(cx, &f->never, &f->waiter),
                   nart_recv(cx, &f->rx, &f->value));
    NART_END(f->r);
}

static void owner_drop(void *frame)
{
    struct owner *f = frame;

    drops++;
    nart_rx_close(&f->rx);
    nart_tx_close(&f->tx);
}

static nart_res ends_run(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    return 0;
}

/* Boxed tasks: running, ended, and begun but not committed; the allocator counts their frames. */
TEST(a_child_frees_the_memory_of_its_parent_s_tasks)
{
    static const nart_task_type owner_type = NART_TASK_TYPE(struct owner, owner_run, owner_drop),
                                ends_type = NART_TASK_TYPE(struct owner, ends_run, count_drop);
    int status = -1;
    nart_res err = 0;
    nart_join join;

    rt = new_rt();
    CHECK_RES(nart_rt_spawn_boxed(rt, &owner_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &owner_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn_boxed(rt, &ends_type, NULL, &join), 0);
    while (nart_rt_poll(rt, 0) > 0)
        continue;
    CHECK(nart_join_done(&join));
    CHECK_RES(nart_rt_spawn_boxed(rt, &ends_type, NULL, NULL), 0); /* not yet polled */
    void *begun = nart_rt_spawn_boxed_begin(rt, &ends_type, &err);
    CHECK_RES(err, 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RES(nart_rt_free(rt), 0);
        nart_join_release(&join);
        CHECK_EQ(drops, 0);
        CHECK_EQ(test_alloc_live(), 2); /* channels of the two owners, which were not dropped */
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    nart_rt_spawn_abandon(rt, begun);
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(drops, 2 + 4 + 2); /* owners, their children, those that end */
}

/* ---- locks ---- */

static nart_mutex mutex;

struct locker {
    nart_co co;
    nart_lock lock;
    nart_timer timer;
};

static nart_res locker_run(nart_cx *cx, void *frame)
{
    struct locker *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_mutex_try_lock(cx, &mutex, &f->lock), 0);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_SEC));
    CHECK_RES(nart_lock_release(&f->lock), 0);
    NART_END(r);
}

static void never(void *arg, const char *line)
{
    (void)arg, (void)line;
    CHECK(false);
}

/* The tasks of the parent continue: none has ended with its lock. */
TEST(a_child_reports_nothing_of_its_parent_s_tasks)
{
    static const nart_task_type type = NART_TASK_TYPE(struct locker, locker_run, NULL);
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    int status = -1;

    opts.report = never;
    CHECK_RES(nart_rt_new(&opts, &rt), 0);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_RES(nart_rt_poll(rt, 0), 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RES(nart_rt_free(rt), 0);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- descriptors ---- */

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Closes the descriptors of a runtime that it frees, and of one freed before the fork. The parent
 * keeps its own. */
TEST(a_child_is_left_without_descriptors_of_its_parent_s_runtimes)
{
    int before = descriptors(), status = -1;
    nart_rt *gone = new_rt();

    rt = new_rt();
    CHECK_RES(nart_rt_free(gone), 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RES(nart_rt_free(rt), 0);
        CHECK_EQ(descriptors(), before);
        rt = new_rt(); /* it can create its own runtimes */
        CHECK_RES(nart_rt_poll(rt, 0), 0);
        CHECK_RES(nart_rt_free(rt), 0);
        (void)nart_lib_trim();
        CHECK_EQ(descriptors(), before);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- a task that forks ---- */

static pid_t parent;
static bool over;
static unsigned strangers; /* polls of others in a child */

static nart_res other_run(nart_cx *cx, void *frame)
{
    (void)frame;
    strangers += getpid() != parent;
    if (over)
        return 0;
    nart_wake_self(cx);
    return NART_PENDING;
}

struct forker {
    nart_co co;
    bool ends;
    pid_t child;
};

static nart_res forker_run(nart_cx *cx, void *frame)
{
    struct forker *f = frame;
    int status = -1;

    NART_BEGIN(cx, &f->co);
    f->child = fork();
    if (f->child == 0)
        CHECK_RES(nart_rt_free(rt), -EDEADLK);
    if (f->child == 0 && f->ends)
        NART_RETURN(0);
    NART_YIELD();
    CHECK(f->child > 0);
    CHECK_EQ(waitpid(f->child, &status, 0), f->child);
    CHECK_EQ(status, 0);
    over = true;
    NART_END(0);
}

static nart_res run_all(const nart_task_type *type, const struct forker *init)
{
    CHECK_RES(nart_rt_spawn(rt, type, init, NULL), 0);
    return nart_rt_run(rt);
}

static nart_res run_one(const nart_task_type *type, const struct forker *init)
{
    return nart_block_on(rt, type, init, NULL);
}

static nart_res run_ticks(const nart_task_type *type, const struct forker *init)
{
    nart_res r = 0;

    CHECK_RES(nart_rt_spawn(rt, type, init, NULL), 0);
    while (r >= 0 && !over)
        r = nart_rt_poll(rt, 0);
    return r < 0 ? r : 0;
}

/* The parent's loop does not continue in the child, whether the task waits there or ends. */
TEST(a_child_runs_no_task_of_its_parent_s)
{
    static const nart_task_type other_type = NART_TASK_TYPE(nart_co, other_run, NULL),
                                forker_type = NART_TASK_TYPE(struct forker, forker_run, NULL);
    static nart_res (*const runs[])(const nart_task_type *,
                                    const struct forker *) = { run_all, run_one, run_ticks };

    parent = getpid();
    for (unsigned i = 0; i < 6; i++) {
        over = false;
        rt = new_rt();
        CHECK_RES(nart_rt_spawn(rt, &other_type, NULL, NULL), 0);
        nart_res r = runs[i / 2](&forker_type, &(struct forker){ .ends = i % 2 });
        if (getpid() != parent) {
            CHECK_RES(r, NART_EFORK);
            CHECK_EQ(strangers, 0);
            CHECK_RES(nart_rt_poll(rt, 0), NART_EFORK);
            CHECK_RES(nart_rt_free(rt), 0);
            _exit(0);
        }
        CHECK_RES(r, 0);
        CHECK_RES(nart_rt_run(rt), 0);
        CHECK_RES(nart_rt_free(rt), 0);
    }
}

/* ---- callbacks that fork ---- */

enum { WATCHES = 3 };

static nart_watch watches[WATCHES];
static int pipes[WATCHES + 1][2];
static unsigned called, taken;

static void pipes_open(void)
{
    for (int i = 0; i <= WATCHES; i++)
        CHECK_EQ(pipe2(pipes[i], O_NONBLOCK | O_CLOEXEC), 0);
}

static void pipes_close(void)
{
    for (int i = 0; i <= WATCHES; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

/* The parent continues when the child is over, which has had all the time to take events. */
static void fork_and_wait(void)
{
    int status = -1;

    pid_t child = fork();
    if (child == 0)
        return;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* The first one that is called forks. */
static void forks_once(nart_watch *w, uint32_t events, void *arg)
{
    (void)events, (void)arg;
    CHECK_EQ(getpid(), parent);
    CHECK_RES(nart_watch_stop(w), 0);
    if (called++ > 0)
        return;
    CHECK_EQ(write(pipes[WATCHES][1], "x", 1), 1);
    fork_and_wait();
}

/* Waits for an edge that occurs before the fork. */
struct reader {
    nart_co co;
    nart_fd fd;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_fd_open_here(cx, pipes[WATCHES][0], NART_FD_BORROW, &f->fd), 0);
    nart_fd_clear(&f->fd, NART_READ);
    NART_AWAIT_FOR(r, 10 * NART_SEC, nart_fd_ready(cx, &f->fd, NART_READ));
    CHECK_RES(r, NART_READ);
    CHECK_EQ(getpid(), parent);
    taken++;
    NART_END(nart_fd_close(&f->fd));
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

static void watches_start(bool alarms)
{
    const int64_t at = alarms ? nart_rt_now(rt) + NART_MS : NART_NEVER;

    for (int i = 0; i < WATCHES; i++) {
        CHECK_EQ(write(pipes[i][1], "x", 1), 1);
        CHECK_RES(nart_watch_start(rt, &watches[i], alarms ? -1 : pipes[i][0], forks_once, NULL),
                  0);
        CHECK_RES(nart_watch_set(&watches[i], alarms ? 0 : NART_READ, at), 0);
    }
}

/* In the child no other watch is called, and no event of the parent's is taken: of a loop that parks, and of one
 * that spins, which rings alarms before it looks at descriptors. */
TEST(a_callback_that_forks_takes_nothing_from_its_parent)
{
    parent = getpid();
    for (unsigned i = 0; i < 4; i++) {
        nart_rt_opts opts = NART_RT_OPTS_INIT;
        opts.spin_ns = i / 2 * NART_SEC;
        called = taken = 0;
        pipes_open();
        CHECK_RES(nart_rt_new(&opts, &rt), 0);
        CHECK_RES(nart_rt_spawn(rt, &reader_type, NULL, NULL), 0);
        CHECK(nart_rt_poll(rt, 0) > 0);
        watches_start(i % 2);
        nart_res r = nart_rt_run(rt);
        if (getpid() != parent) {
            CHECK_RES(r, NART_EFORK);
            CHECK_EQ(called, 1);
            CHECK_RES(nart_rt_free(rt), 0);
            _exit(0);
        }
        CHECK_RES(r, 0);
        CHECK_EQ(taken, 1);
        CHECK_EQ(called, WATCHES);
        CHECK_RES(nart_rt_free(rt), 0);
        pipes_close();
    }
}

/* A spawn of another thread that the runtime refuses is dropped between two polls. */
static void forks_in_drop(void *frame)
{
    (void)frame;
    CHECK_EQ(getpid(), parent);
    if (called++ == 0)
        fork_and_wait();
}

TEST(a_drop_of_a_spawn_that_forks_takes_no_other_spawn)
{
    static const nart_task_type type = NART_TASK_TYPE(nart_co, ends_run, forks_in_drop);

    parent = getpid();
    called = 0;
    rt = new_rt();
    CHECK_RES(nart_rt_spawn(rt, &child_type, NULL, NULL), 0);
    CHECK(nart_rt_poll(rt, 0) > 0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &type, NULL), 0);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    nart_res r = nart_rt_poll(rt, 0);
    if (getpid() != parent) {
        CHECK_RES(r, NART_EFORK);
        CHECK_EQ(called, 1);
        CHECK_RES(nart_rt_free(rt), 0);
        CHECK_EQ(called, 1);
        _exit(0);
    }
    CHECK_EQ(called, 3);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- what a task opens in the child ---- */

struct opener {
    nart_co co;
    nart_fd fd;
};

static nart_res opener_run(nart_cx *cx, void *frame)
{
    struct opener *f = frame;

    NART_BEGIN(cx, &f->co);
    fork_and_wait();
    CHECK_RES(nart_fd_open_here(cx, pipes[0][0], 0, &f->fd), getpid() == parent ? 0 : NART_EFORK);
    NART_END(0);
}

/* Nothing is registered in the parent's queue: the parent can register the same descriptor. */
TEST(a_task_opens_no_handle_in_its_child)
{
    static const nart_task_type type = NART_TASK_TYPE(struct opener, opener_run, NULL);

    parent = getpid();
    pipes_open();
    rt = new_rt();
    nart_res r = nart_block_on(rt, &type, NULL, NULL);
    if (getpid() != parent) {
        CHECK_RES(r, NART_EFORK);
        CHECK_RES(nart_rt_free(rt), 0);
        _exit(0);
    }
    CHECK_RES(r, 0);
    CHECK_RES(nart_rt_free(rt), 0); /* closes pipes[0][0] */
    pipes[0][0] = -1;
    pipes_close();
}
