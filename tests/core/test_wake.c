/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wakes from other threads, signal handlers and other runtimes. A lost wake shows as a hang. */
#include "core.h"
#include "threads.h"

#include <sched.h>
#include <signal.h>

#if defined __SANITIZE_THREAD__
#define THREAD_SANITIZER 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

/* Shared between threads: a write before a wake is visible to the poll it causes. */
static uint64_t shared;
static uintptr_t handed; /* a waker's word, or 0 */

static void hand_over(nart_waker w)
{
    __atomic_store_n(&handed, w.w, __ATOMIC_RELEASE);
}

static nart_waker take_over(void)
{
    nart_waker w;
    while (!(w.w = __atomic_exchange_n(&handed, 0, __ATOMIC_ACQ_REL)))
        sched_yield();
    return w;
}

/* ---- a task that waits until `shared` reaches `until`, in steps ---- */

struct watcher {
    uint64_t until, seen;
    nart_waker waker;
    int polls;
    bool plain; /* reads `shared` as plain memory, ordered only by the wake */
};

static nart_res watcher_poll(nart_cx *cx, void *frame)
{
    struct watcher *f = frame;

    f->polls++;
    f->waker = nart_cx_waker(cx);
    f->seen = f->plain ? shared : __atomic_load_n(&shared, __ATOMIC_RELAXED);
    if (f->seen >= f->until || nart_cx_cancelled(cx))
        return 0;
    hand_over(f->waker);
    return nart_op_park(cx);
}

static const nart_task_type watcher_type = NART_TASK_TYPE(struct watcher, watcher_poll, NULL);

enum { ROUNDS = 2000 };

static void *wake_in_turn(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        nart_waker w = take_over();
        shared++; /* plain: ordered by the hand-over and the wake */
        nart_waker_wake(w);
    }
    return NULL;
}

static void check_rounds(uint32_t flags, int64_t spin_ns)
{
    struct watcher f = { .until = ROUNDS, .plain = true };
    nart_rt *rt = NEW_RT(.flags = flags, .spin_ns = spin_ns);

    pthread_t thread = thread_start(wake_in_turn, NULL);
    CHECK_RES(nart_block_on(rt, &watcher_type, &f, NULL), 0);
    thread_join(thread);
    CHECK_EQ(shared, ROUNDS);
    CHECK_EQ(stats_of(rt).wakes_foreign, ROUNDS);
    CHECK(!(flags & NART_RT_SPINNING) || stats_of(rt).parks == 0);
    nart_rt_free(rt);
}

/* In the reference, using a task's waker on another thread loses the task: its defect 1. */
TEST(a_foreign_wake_reaches_a_task_whose_runtime_parks)
{
    check_rounds(0, 0);
}

TEST(a_foreign_wake_reaches_a_task_whose_runtime_spins_and_then_parks)
{
    check_rounds(0, 20 * NART_US);
}

TEST(a_foreign_wake_reaches_a_task_whose_runtime_is_busy)
{
    check_rounds(NART_RT_SPINNING, 0);
}

/* ---- many wakers of one task: wakes coalesce and none is lost ---- */

enum { THREADS = 4, EACH = 20000 };

static void *hammer(void *waker)
{
    for (int i = 0; i < EACH; i++) {
        __atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED);
        nart_waker_wake(*(nart_waker *)waker);
    }
    return NULL;
}

TEST(wakes_of_many_threads_coalesce_and_none_is_lost)
{
    nart_rt *rt = new_rt();
    nart_join join;
    struct watcher *f = spawn(rt, &watcher_type, &join);
    pthread_t threads[THREADS];

    f->until = (uint64_t)THREADS * EACH;
    settle(rt);
    nart_waker waker = f->waker;
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(hammer, &waker);
    CHECK_RES(nart_rt_run(rt), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    CHECK(nart_join_done(&join));
    CHECK_LE(f->polls, THREADS * EACH + 1);
    nart_join_release(&join);
    nart_rt_free(rt);
}

/* A task with a foreign waker and a channel of its loop at once: defect 3 of the reference. */
struct two_sources {
    nart_tx tx;
    nart_rx rx;
    nart_waker waker;
    uint64_t value, got, until;
};

static nart_res two_sources_poll(nart_cx *cx, void *frame)
{
    struct two_sources *f = frame;
    nart_res r;

    f->waker = nart_cx_waker(cx);
    while ((r = nart_recv(cx, &f->rx, &f->value)) == 0)
        f->got++;
    if (r != NART_PENDING)
        return r == NART_ECLOSED && __atomic_load_n(&shared, __ATOMIC_RELAXED) < f->until
                   ? nart_op_park(cx) /* the channel has closed, the thread still runs */
                   : 0;
    return r;
}

static void two_sources_drop(void *frame)
{
    struct two_sources *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type two_sources_type =
    NART_TASK_TYPE(struct two_sources, two_sources_poll, two_sources_drop);

struct feeder {
    nart_co co;
    nart_tx tx;
    uint64_t i;
    nart_res r;
};

static nart_res feeder_run(nart_cx *cx, void *frame)
{
    struct feeder *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < EACH; f->i++) {
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->i));
        CHECK_RES(f->r, 0);
        NART_YIELD();
    }
    NART_END(0);
}

static void feeder_drop(void *frame)
{
    nart_tx_close(&((struct feeder *)frame)->tx);
}

static const nart_task_type feeder_type = NART_TASK_TYPE(struct feeder, feeder_run, feeder_drop);

TEST(a_task_with_a_foreign_and_a_local_source_is_queued_once)
{
    nart_rt *rt = new_rt();
    nart_join join;
    struct two_sources *f = spawn(rt, &two_sources_type, &join);
    struct feeder *g = spawn(rt, &feeder_type, NULL);

    new_chan(rt, 4, &g->tx, &f->rx);
    f->until = EACH;
    CHECK_LE(1, nart_rt_poll(rt, 0));
    nart_waker waker = f->waker;
    pthread_t thread = thread_start(hammer, &waker);
    CHECK_RES(nart_rt_run(rt), 0);
    thread_join(thread);
    CHECK_EQ(f->got, EACH);
    nart_join_release(&join);
    nart_rt_free(rt);
}

/* ---- wakes while no loop runs ---- */

static void *wake_once(void *waker)
{
    __atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED);
    nart_waker_wake(*(nart_waker *)waker);
    return NULL;
}

TEST(a_wake_between_two_runs_is_kept)
{
    nart_rt *rt = new_rt();
    nart_join join;
    struct watcher *f = spawn(rt, &watcher_type, &join);

    f->until = 10;
    settle(rt);
    for (int i = 1; i <= 10; i++) {
        nart_waker waker = f->waker;
        thread_run(wake_once, &waker);
        CHECK_EQ(f->polls, i);
        CHECK_EQ(nart_rt_next_deadline(rt), 0);
        CHECK_EQ(nart_rt_poll(rt, NART_NEVER), 1);
    }
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    nart_rt_free(rt);
}

/* ---- runtimes and threads ---- */

static void *run_it(void *rt)
{
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    return NULL;
}

TEST(a_runtime_is_made_on_one_thread_and_run_and_freed_on_another)
{
    nart_rt *rt = new_rt();
    struct watcher f = { .until = 100 };

    CHECK_RES(nart_rt_spawn(rt, &watcher_type, &f, NULL), 0); /* before it is bound */
    pthread_t thread = thread_start(run_it, rt);
    for (int i = 0; i < 100; i++) {
        nart_waker w = take_over();
        __atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED);
        nart_waker_wake(w);
    }
    thread_join(thread);
}

static void *bind_and_run(void *rt)
{
    CHECK_RES(nart_rt_run(rt), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_bind(rt), 0);
    return run_it(rt);
}

TEST(a_runtime_changes_its_thread_between_runs)
{
    nart_rt *rt = new_rt();

    CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_RES(nart_rt_spawn(rt, &watcher_type, NULL, NULL), 0);
    thread_run(bind_and_run, rt);
}

TEST(two_runtimes_live_on_one_thread)
{
    nart_rt *a = new_rt(), *b = new_rt();
    nart_join ja, jb;
    struct watcher *f = spawn(a, &watcher_type, &ja), *g = spawn(b, &watcher_type, &jb);

    f->until = g->until = 1000;
    for (; shared < 1000; shared++) {
        settle(a);
        settle(b);
        nart_waker_wake(shared & 1 ? f->waker : g->waker);
        nart_waker_wake(f->waker);
    }
    nart_waker_wake(g->waker);
    settle(a);
    settle(b);
    CHECK(nart_join_done(&ja) && nart_join_done(&jb));
    nart_join_release(&ja);
    nart_join_release(&jb);
    nart_rt_free(a);
    nart_rt_free(b);
}

struct host {
    nart_rt *inner;
    nart_res polls;
};

static nart_res host_poll(nart_cx *cx, void *frame)
{
    struct host *f = frame;
    (void)cx;
    f->polls = nart_rt_poll(f->inner, 0);
    return f->polls > 0 ? 0 : f->polls;
}

static const nart_task_type host_type = NART_TASK_TYPE(struct host, host_poll, NULL);

TEST(a_runtime_is_polled_inside_a_task_of_another)
{
    nart_rt *outer = new_rt(), *inner = new_rt();
    nart_res answer = -1;

    CHECK_RES(nart_rt_spawn(inner, &watcher_type, NULL, NULL), 0); /* until 0: ends at once */
    CHECK_RES(nart_block_on(outer, &host_type, &(struct host){ .inner = inner }, &answer), 0);
    CHECK_RES(answer, 0);
    CHECK_EQ(nart_rt_task_count(inner), 0);
    nart_rt_free(inner);
    nart_rt_free(outer);
}

/* Two runtimes on two threads pass a ball by wakers alone. */
static uintptr_t ball_waker[2];
static uint64_t ball;

struct player {
    unsigned side;
};

static nart_res player_poll(nart_cx *cx, void *frame)
{
    unsigned side = ((struct player *)frame)->side;

    __atomic_store_n(&ball_waker[side], nart_cx_waker(cx).w, __ATOMIC_SEQ_CST);
    uint64_t at = __atomic_load_n(&ball, __ATOMIC_SEQ_CST);
    if (at % 2 == side && at < ROUNDS)
        at = __atomic_add_fetch(&ball, 1, __ATOMIC_SEQ_CST);
    nart_waker_wake((nart_waker){ __atomic_load_n(&ball_waker[!side], __ATOMIC_SEQ_CST) });
    return at >= ROUNDS ? 0 : nart_op_park(cx);
}

static const nart_task_type player_type = NART_TASK_TYPE(struct player, player_poll, NULL);

static void *second_player(void *rt)
{
    CHECK_RES(nart_block_on(rt, &player_type, &(struct player){ .side = 1 }, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    return NULL;
}

TEST(tasks_of_two_runtimes_on_two_threads_wake_each_other)
{
    nart_rt *rt = new_rt();
    pthread_t thread = thread_start(second_player, new_rt());

    CHECK_RES(nart_block_on(rt, &player_type, &(struct player){ .side = 0 }, NULL), 0);
    thread_join(thread);
    nart_rt_free(rt);
}

/* ---- signal handlers ---- */

static nart_waker for_handler;

static void handler(int sig)
{
    (void)sig;
    __atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED);
    nart_waker_wake(for_handler);
}

static void *send_signals(void *target)
{
    for (uint64_t i = 0; i < 200; i++) {
        (void)take_over(); /* it is parked or about to park */
        pthread_kill(*(pthread_t *)target, SIGUSR1);
    }
    return NULL;
}

TEST(a_signal_handler_wakes_a_loop_that_parks)
{
#ifdef THREAD_SANITIZER
    SKIP("the thread sanitizer defers handlers and lets the thread sleep meanwhile");
#endif
    nart_rt *rt = new_rt();
    nart_join join;
    struct watcher *f = spawn(rt, &watcher_type, &join);
    struct sigaction action = { .sa_handler = handler };
    pthread_t self = pthread_self();

    f->until = 200;
    CHECK_LE(1, nart_rt_poll(rt, 0));
    for_handler = f->waker;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    pthread_t thread = thread_start(send_signals, &self);
    CHECK_RES(nart_rt_run(rt), 0);
    thread_join(thread);
    nart_join_release(&join);
    nart_rt_free(rt);
}

/* Raises a signal within its own poll. */
static nart_res raises_poll(nart_cx *cx, void *frame)
{
    struct watcher *f = frame;

    if (++f->polls == 100)
        return 0;
    for_handler = nart_cx_waker(cx);
    raise(SIGUSR1);
    return nart_op_park(cx);
}

static const nart_task_type raises_type = NART_TASK_TYPE(struct watcher, raises_poll, NULL);

TEST(a_signal_handler_wakes_the_task_whose_poll_it_interrupts)
{
    nart_rt *rt = new_rt();
    struct sigaction action = { .sa_handler = handler };

    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_RES(nart_block_on(rt, &raises_type, NULL, NULL), 0);
    CHECK_EQ(shared, 99);
    nart_rt_free(rt);
}

/* ---- stale wakers, recycled slots ---- */

TEST(a_stale_waker_costs_at_most_one_poll_of_the_next_task)
{
    nart_rt *rt = NEW_RT(SLOTS(1));
    nart_waker old[100];
    int spurious = 0;

    for (int i = 0; i < 100; i++) {
        nart_join join;
        struct watcher *f = spawn(rt, &watcher_type, &join);
        f->until = 1;
        settle(rt);
        old[i] = f->waker;
        for (int k = 0; k < i; k++) {
            int before = f->polls;
            nart_waker_wake(old[k]);
            nart_waker_wake(old[k]);
            settle(rt);
            CHECK_LE(f->polls, before + 1);
            spurious += f->polls - before;
        }
        CHECK_RES(cancel(rt, &join), 0);
        settle(rt);
        nart_join_release(&join);
    }
    CHECK_LE(spurious, 100 * 100 / 2 / 31); /* the generation bits distinguish most */
    nart_rt_free(rt);
}

/* A thread keeps waking an old waker of the slot while tasks are spawned and end in it. */
static int stop_waking;

static void *keep_waking(void *waker)
{
    while (!__atomic_load_n(&stop_waking, __ATOMIC_RELAXED))
        nart_waker_wake(*(nart_waker *)waker);
    return NULL;
}

TEST(tasks_reuse_a_slot_while_its_old_wakers_fire)
{
    nart_rt *rt = NEW_RT(SLOTS(1));
    nart_waker first = { 0 };
    pthread_t thread;

    for (int i = 0; i < 3000; i++) {
        struct watcher f = { .until = 0 };
        nart_join join;
        CHECK_RES(nart_rt_spawn(rt, &watcher_type, &f, &join), 0); /* the slot was returned */
        CHECK_LE(1, nart_rt_poll(rt, 0));
        CHECK(nart_join_done(&join));
        if (i == 0) {
            first = ((struct watcher *)nart_join_frame(&join))->waker;
            thread = thread_start(keep_waking, &first);
        }
        nart_join_release(&join);
    }
    __atomic_store_n(&stop_waking, 1, __ATOMIC_RELAXED);
    thread_join(thread);
    nart_rt_free(rt);
}

TEST(runtimes_reuse_a_hub_while_their_old_wakers_fire)
{
    nart_waker first = { 0 };
    pthread_t thread;

    for (int i = 0; i < 200; i++) {
        nart_rt *rt = NEW_RT(SLOTS(1));
        nart_join join;
        struct watcher *f = spawn(rt, &watcher_type, &join);
        f->until = 1;
        CHECK_LE(1, nart_rt_poll(rt, 0));
        if (i == 0) {
            first = f->waker;
            thread = thread_start(keep_waking, &first);
        }
        CHECK_LE(0, nart_rt_poll(rt, 0));
        nart_rt_free(rt);
        nart_join_release(&join);
    }
    __atomic_store_n(&stop_waking, 1, __ATOMIC_RELAXED);
    thread_join(thread);
}

/* ---- other wakeables ---- */

struct bell {
    nart_wakeable wakeable;
    int rung;
};

static void ring(nart_wakeable *self)
{
    ((struct bell *)(void *)self)->rung++;
}

TEST(any_waker_may_be_used_and_zero_wakes_no_task)
{
    struct bell bell = { .wakeable.wake = ring };
    nart_waker w = nart_waker_of(&bell.wakeable), copy = w;

    nart_waker_wake(w);
    nart_waker_wake(copy);
    CHECK_EQ(bell.rung, 2);
    nart_waker_wake((nart_waker){ 0 });
}
