/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rust futures on the loop: in tokio's context, within its budget, never leaked. */
#include "bridge.h"
#include "threads.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct waiter {
    nart_tokio_local local;
    int64_t value;
};

static void spawn(struct waiter *w)
{
    struct local_waiter frame = { &w->local, &w->value };
    CHECK_RES(nart_rt_spawn(loop, &local_waiter_type, &frame, NULL), 0);
}

/* One poll, which leaves it pending and registered with tokio. */
static void poll_once(struct waiter *w)
{
    spawn(w);
    CHECK(nart_rt_poll(loop, 0) >= 0);
}

TEST_WITH(a_timer_of_tokio_on_the_loop, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_local_sleep(bridge, 5, &w.local), 0);
    CHECK_RES(await_local(&w.local, &w.value), 0);
    CHECK_EQ(w.value, 5);
    CHECK_RES(await_local(&w.local, &w.value), 0); /* the answer stays */
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
}

TEST_WITH(an_empty_one_is_stale, both)
{
    struct waiter w = { 0 };
    CHECK_RES(await_local(&w.local, &w.value), NART_ESTALE);
    CHECK_RES(nart_tokio_local_close(NULL), 0);
    CHECK_STR(nart_tokio_local_message(NULL, NULL), "");
}

/* A registered Sleep needs the context when it is dropped, outside of any poll. */
TEST_WITH(it_is_dropped_in_context, both)
{
    static struct waiter w; /* the task has it until the end */
    uint64_t before = test_drops();
    CHECK_RES(test_local_sleep(bridge, 3600000, &w.local), 0);
    poll_once(&w);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
    CHECK_EQ(test_drops(), before + 1);
}

TEST_WITH(it_outlives_its_runtime, both)
{
    static struct waiter w; /* the task has it until the end */
    uint64_t before = test_drops();
    CHECK_RES(test_local_sleep(bridge, 3600000, &w.local), 0);
    poll_once(&w);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    nart_tokio_free(bridge);
    bridge = NULL;
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
    CHECK_EQ(test_drops(), before + 1);
}

/* A timer, a socket and the handle of a task, all of which tokio has registered: the socket is closed, the task
 * continues. */
static void drop_objects(bool bridge_first)
{
    static struct waiter w;
    static uint64_t go_on, state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t port = listen_locally(listener, 1);
    char byte;

    w = (struct waiter){ 0 };
    set_word(&go_on, 0);
    set_word(&state, 0);
    CHECK_RES(test_local_objects(bridge, port, &go_on, &state, &w.local), 0);
    poll_once(&w);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    while (read_word(&state) == 0)
        CHECK(nart_rt_poll(loop, NART_MS) >= 0);
    if (bridge_first) {
        CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
        nart_tokio_free(bridge);
        bridge = NULL;
    }
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
    CHECK_EQ(recv(fd, &byte, 1, 0), 0);
    set_word(&go_on, 1);
    if (!bridge_first)
        wait_for(&state, 2);
    close(fd);
    close(listener);
}

TEST_WITH(objects_of_tokio_are_dropped_outside_a_poll, both)
{
    drop_objects(false);
}

TEST_WITH(objects_of_tokio_are_dropped_after_their_runtime, both)
{
    drop_objects(true);
}

/* Otherwise a future that uses the timer of a runtime that is shut down panics. */
TEST_WITH(awaiting_one_after_a_shutdown_ends_it, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_local_sleep(bridge, 3600000, &w.local), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(await_local(&w.local, &w.value), NART_ESHUTDOWN);
    CHECK_RES(await_local(&w.local, &w.value), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
    CHECK_RES(test_local_pending(bridge, &w.local), 0);
    CHECK_RES(await_local(&w.local, &w.value), NART_ESHUTDOWN);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
}

static nart_res end_bridge_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    return 0;
}

static const nart_task_type end_bridge_type = NART_TASK_TYPE(int, end_bridge_poll, NULL);

TEST_WITH(a_shutdown_wakes_the_task_that_awaits_one, both)
{
    static struct waiter w[3];
    uint64_t before = test_drops();

    for (int i = 0; i < 3; i++) {
        nart_res r = i == 0 ? test_local_sleep(bridge, 3600000, &w[i].local)
                            : test_local_pending(bridge, &w[i].local);
        CHECK_RES(r, 0);
        spawn(&w[i]);
    }
    CHECK(nart_rt_poll(loop, 0) >= 0);
    CHECK_RES(nart_rt_spawn(loop, &end_bridge_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK_EQ(test_drops(), before + 3);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(await_local(&w[i].local, &w[i].value), NART_ESHUTDOWN);
        CHECK_RES(nart_tokio_local_close(&w[i].local), 0);
    }
}

TEST_WITH(two_bridges_on_one_thread, both)
{
    nart_tokio *other;
    CHECK_RES(nart_tokio_new(NULL, &other), 0);
    for (int i = 0; i < 20; i++) {
        struct waiter a = { 0 }, b = { 0 };
        CHECK_RES(test_local_sleep(bridge, 1, &a.local), 0);
        CHECK_RES(test_local_sleep(other, 1, &b.local), 0);
        CHECK_RES(await_local(&b.local, &b.value), 0);
        CHECK_RES(await_local(&a.local, &a.value), 0);
        CHECK_RES(nart_tokio_local_close(i & 1 ? &a.local : &b.local), 0);
        CHECK_RES(nart_tokio_local_close(i & 1 ? &b.local : &a.local), 0);
    }
    CHECK_RES(nart_tokio_shutdown(other, 30 * NART_SEC, NULL), 0);
    nart_tokio_free(other);
}

/* Each bridge is made before the one before it ends, and is used after that. */
TEST_WITH(bridges_that_overlap_on_one_thread, both)
{
    for (int i = 0; i < 20; i++) {
        struct waiter old = { 0 }, young = { 0 };
        nart_tokio *next;
        CHECK_RES(test_local_sleep(bridge, 1, &old.local), 0);
        CHECK_RES(nart_tokio_new(NULL, &next), 0);
        CHECK_RES(test_local_sleep(next, 1, &young.local), 0);
        spawn(&old);
        spawn(&young);
        CHECK_RES(nart_rt_run(loop), 0);
        CHECK_EQ(old.value + young.value, 2);
        nart_tokio_free(bridge);
        bridge = next;
        CHECK_RES(nart_tokio_local_close(&young.local), 0);
        CHECK_RES(test_local_sleep(bridge, 1, &young.local), 0);
        CHECK_RES(await_local(&young.local, NULL), 0);
        CHECK_RES(nart_tokio_local_close(i & 1 ? &old.local : &young.local), 0);
        CHECK_RES(nart_tokio_local_close(i & 1 ? &young.local : &old.local), 0);
    }
}

/* ---- the budget ---- */

static uint64_t go = 1;

static nart_res neighbour_poll(nart_cx *cx, void *frame)
{
    int *turns = frame;

    if (++*turns == 100) {
        set_word(&go, 0);
        return 0;
    }
    nart_wake_self(cx);
    return NART_PENDING;
}

static const nart_task_type neighbour_type = NART_TASK_TYPE(int, neighbour_poll, NULL);

/* Without a budget the first poll of the hog would not return, and the neighbour never run. */
TEST_WITH(a_stream_that_is_always_ready_yields_to_the_loop, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_local_hog(bridge, &go, &w.local), 0);
    CHECK_RES(nart_rt_spawn(loop, &neighbour_type, NULL, NULL), 0);
    CHECK_RES(await_local(&w.local, &w.value), 0);
    CHECK(w.value > 0);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
}

TEST_WITH(wakes_from_a_worker_and_back, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_local_ping_pong(bridge, 10000, &w.local), 0);
    CHECK_RES(await_local(&w.local, &w.value), 0);
    CHECK_EQ(w.value, 10000);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
}

static uint64_t turns;

TEST_WITH(a_wake_inside_a_drop_runs_nothing, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_local_wakes_in_drop(bridge, &turns, &w.local), 0);
    CHECK_RES(await_local(&w.local, &w.value), 0);
    CHECK_EQ(read_word(&turns), 101);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
}

/* Polled by a task that wakes itself a thousand times: the future is, too, and answers in its time. */
struct nervous {
    nart_tokio_local *local;
    int polls;
};

static nart_res nervous_poll(nart_cx *cx, void *frame)
{
    struct nervous *n = frame;
    int64_t value = 0;

    if (n->polls++ < 1000)
        nart_wake_self(cx);
    nart_res r = nart_tokio_local_await(cx, n->local, &value);
    return r == 0 ? value : r;
}

static const nart_task_type nervous_type = NART_TASK_TYPE(struct nervous, nervous_poll, NULL);

TEST_WITH(spurious_polls_change_nothing, both)
{
    nart_tokio_local local = { 0 };
    CHECK_RES(test_local_sleep(bridge, 200, &local), 0);
    struct nervous n = { .local = &local };
    CHECK_EQ(run(&nervous_type, &n), 200);
    CHECK_RES(nart_tokio_local_close(&local), 0);
}

/* A future has one waker: each poll wakes the task that polled before. */
TEST_WITH(two_tasks_that_await_one_local_future_both_finish, both)
{
    for (int i = 0; i < 50; i++) {
        struct waiter w = { 0 }, w2 = { 0 };
        CHECK_RES(test_local_sleep(bridge, 1, &w.local), 0);
        w2.local = w.local; /* the same one, as a shared frame would have it */
        spawn(&w);
        spawn(&w2);
        CHECK_RES(nart_rt_run(loop), 0);
        CHECK_EQ(w.value, 1);
        CHECK_EQ(w2.value, 1);
        CHECK_RES(nart_tokio_local_close(&w.local), 0);
    }
}

/* ---- the loop as a guest in another runtime ---- */

static void guest(void *arg)
{
    struct waiter *w = arg;
    CHECK_RES(await_local(&w->local, &w->value), 0);
}

/* The budget of the other runtime's poll, which runs the loop to its end, is less than either needs. */
TEST(a_stream_that_is_always_ready_inside_a_tokio_runtime)
{
    for (int multi = 0; multi < 2; multi++) {
        both_open();
        struct waiter finite = { 0 }, endless = { 0 };
        CHECK_RES(test_local_ready(bridge, 10000, &finite.local), 0);
        test_inside_runtime(multi, guest, &finite);
        CHECK_EQ(finite.value, 10000);
        CHECK_RES(nart_tokio_local_close(&finite.local), 0);

        set_word(&go, 1);
        CHECK_RES(test_local_hog(bridge, &go, &endless.local), 0);
        CHECK_RES(nart_rt_spawn(loop, &neighbour_type, NULL, NULL), 0);
        test_inside_runtime(multi, guest, &endless);
        CHECK_LE(200, endless.value);
        CHECK_RES(nart_tokio_local_close(&endless.local), 0);
        both_close();
    }
}

TEST(a_loop_inside_a_tokio_runtime)
{
    for (int multi = 0; multi < 2; multi++) {
        both_open();
        struct waiter w = { 0 };
        CHECK_RES(test_local_sleep(bridge, 2, &w.local), 0);
        test_inside_runtime(multi, guest, &w);
        CHECK_EQ(w.value, 2);
        CHECK_RES(nart_tokio_local_close(&w.local), 0);
        both_close();
    }
}

/* ---- tokio's queues ---- */

static uint64_t frames_dropped;

struct leaver {
    nart_tokio_local *local;
    void *queue;
};

static nart_res leaver_poll(nart_cx *cx, void *frame)
{
    struct leaver *l = frame;
    return nart_tokio_local_await(cx, l->local, NULL);
}

/* Takes the locks of the queue in which the task was waiting. */
static void leaver_drop(void *frame)
{
    struct leaver *l = frame;
    test_queue_pass(l->queue);
    count(&frames_dropped);
}

static const nart_task_type leaver_type = NART_TASK_TYPE(struct leaver, leaver_poll, leaver_drop);

/* The queue drops the waker of the first task, which has ended, under its lock when the next one polls: that
 * must run nothing of the task. The slot has a new task then. */
TEST_WITH(an_old_waker_is_dropped_under_the_lock_of_a_queue, both)
{
    void *queue = test_queue_new();

    for (int permit = 0; permit < 2; permit++) {
        struct waiter w = { 0 };
        nart_join first;
        CHECK_RES(test_local_queue(bridge, queue, permit, &w.local), 0);
        CHECK_RES(nart_rt_spawn(loop, &leaver_type, &(struct leaver){ &w.local, queue }, &first),
                  0);
        CHECK(nart_rt_poll(loop, 0) >= 0);
        CHECK_RES(nart_task_abort(loop, nart_join_task(&first)), 0);
        nart_join_release(&first);
        CHECK(nart_rt_poll(loop, 0) >= 0);
        CHECK_EQ(read_word(&frames_dropped), permit + 1);

        poll_once(&w);
        test_queue_pass(queue);
        CHECK_EQ(w.value, 0);
        test_queue_release(queue, permit);
        CHECK_RES(nart_rt_run(loop), 0);
        CHECK_EQ(w.value, 1);
        CHECK_EQ(read_word(&frames_dropped), permit + 1);
        CHECK_RES(nart_tokio_local_close(&w.local), 0);
    }
    test_queue_free(queue);
}

/* ---- threads ---- */

static void *elsewhere(void *arg)
{
    struct waiter *w = arg;
    struct local_waiter frame = { &w->local, &w->value };
    nart_rt *mine;
    nart_res r = 0;

    CHECK_RES(nart_rt_new(NULL, &mine), 0);
    CHECK_RES(nart_block_on(mine, &local_waiter_type, &frame, &r), 0);
    CHECK_RES(r, NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_free(mine), 0);
    CHECK_RES(nart_tokio_local_close(&w->local), NART_EWRONGTHREAD);
    CHECK(w->local.local != NULL);
    return NULL;
}

TEST_WITH(another_thread_is_refused, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_local_sleep(bridge, 1, &w.local), 0);
    thread_run(elsewhere, &w);
    CHECK_RES(await_local(&w.local, &w.value), 0);
    CHECK_RES(nart_tokio_local_close(&w.local), 0);
}

static void *begin_one(void *arg)
{
    struct waiter *w = arg;
    CHECK_RES(test_local_sleep(bridge, 1, &w->local), 0);
    return NULL;
}

static void *close_one(void *arg)
{
    struct waiter *w = arg;
    CHECK_RES(nart_tokio_local_close(&w->local), NART_EWRONGTHREAD);
    return NULL;
}

/* glibc gives the second thread the stack of the first one, and with it the same pthread_t. In a child,
 * because nobody can close such a future. */
TEST(a_thread_like_one_that_has_ended_is_refused)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct waiter w = { 0 };
        both_open();
        thread_run(begin_one, &w);
        thread_run(close_one, &w);
        _exit(0);
    }
    check_child(child);
}

/* ---- after main() ---- */

static struct waiter at_exit;

static void close_at_exit(void)
{
    if (nart_tokio_local_close(&at_exit.local) || nart_tokio_shutdown(bridge, NART_SEC, NULL))
        _exit(1);
    nart_tokio_free(bridge);
    end_leaking_child();
}

/* tokio's thread-local context does not exist any more in a handler of atexit(). */
TEST(a_bridge_is_closed_after_main)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_EQ(atexit(close_at_exit), 0);
        both_open();
        CHECK_RES(test_local_panic(bridge, 4, &at_exit.local), 0); /* in its drop */
        CHECK_RES(nart_rt_spawn(loop, &local_waiter_type,
                                &(struct local_waiter){ .local = &at_exit.local }, NULL),
                  0);
        if (nart_rt_poll(loop, 0) < 0)
            _exit(3);
        exit(2);
    }
    check_child(child);
}

/* ---- SIGPIPE ---- */

static void *reset_one(void *arg)
{
    int listener = *(int *)arg;
    int fd = accept(listener, NULL, NULL);
    struct linger now = { 1, 0 };
    char byte;

    CHECK(fd >= 0);
    CHECK_EQ(recv(fd, &byte, 1, 0), 1);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd); /* a reset */
    return NULL;
}

/* In a child: writes to the peer that resets, on the loop or on a worker. Answers how the child ended. */
static int write_to_a_reset_peer(uint32_t flags, bool on_worker)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
    uint16_t port = listen_locally(listener, 1);

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
        struct waiter w = { 0 };
        nart_tokio_op op = { 0 };

        signal(SIGPIPE, SIG_DFL);
        opts.flags = flags;
        both_open_with(&opts);
        pthread_t peer = thread_start(reset_one, &listener);
        nart_res r;
        if (on_worker) {
            CHECK_RES(test_writev(bridge, port, &op), 0);
            r = await_op(&op, NULL);
        } else {
            CHECK_RES(test_local_writev(bridge, port, &w.local), 0);
            r = await_local(&w.local, &w.value);
        }
        thread_join(peer);
        _exit(r == -EPIPE ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    close(listener);
    return status;
}

TEST(a_reset_peer_is_an_error_not_a_signal)
{
    for (int on_worker = 0; on_worker < 2; on_worker++) {
        int status = write_to_a_reset_peer(0, on_worker);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* With the option SIGPIPE is raised, which would end the process of the other case. */
TEST(sigpipe_is_raised_with_the_option)
{
    int status = write_to_a_reset_peer(NART_TOKIO_KEEP_SIGPIPE, false);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}
