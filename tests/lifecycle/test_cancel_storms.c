/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cancellation tokens under load: many threads, many polls, every order of release. */
#include "../core/core.h"
#include "threads.h"

#include <nart/cancel.h>

#include <sched.h>

static nart_rt *rt;
static nart_token root;

static void root_open(void)
{
    rt = new_rt();
    CHECK_RES(nart_token_new(rt, &root), 0);
}

static void root_close(void)
{
    nart_token_release(&root);
    CHECK_RES(nart_rt_free(rt), 0);
}

static int rounds(int usual)
{
    return test_under_valgrind() ? usual / 20 : usual;
}

/* ---- tasks ---- */

enum mode { WAITS, TURNS, LOOKS };

struct waiter {
    nart_co co, sub;
    nart_waiter waiter;
    nart_token token;
    nart_token kept[3]; /* released by drop, last to first; the last one is cancelled */
    nart_waker waker;
    unsigned polls;
    enum mode mode;
    int which;
    nart_res r;
};

/* Checks the flag in each poll, yielding in between. */
static nart_res look(nart_cx *cx, struct waiter *f)
{
    NART_BEGIN(cx, &f->sub);
    while (!nart_token_is_cancelled(&f->token))
        NART_YIELD();
    NART_END(0);
}

static nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    f->polls++;
    f->waker = nart_cx_waker(cx);
    NART_BEGIN(cx, &f->co);
    if (f->mode == WAITS)
        NART_AWAIT(f->r, nart_token_await(cx, &f->token, &f->waiter));
    while (f->mode == TURNS) {
        NART_AWAIT_FOR(f->r, 0, nart_token_await(cx, &f->token, &f->waiter));
        if (f->r != -ETIMEDOUT)
            break;
        NART_YIELD();
    }
    if (f->mode == LOOKS)
        NART_AWAIT_ANY(f->which, f->r, look(cx, f), nart_token_await(cx, &f->token, &f->waiter));
    NART_END(f->r);
}

static void waiter_drop(void *frame)
{
    struct waiter *f = frame;

    nart_token_cancel_release(&f->kept[2]);
    nart_token_release(&f->kept[1]);
    nart_token_release(&f->kept[0]);
    nart_token_release(&f->token);
}

static const nart_task_type waiter_type = NART_TASK_TYPE(struct waiter, waiter_run, waiter_drop);

static struct waiter *wait_for(const nart_token *t, enum mode mode, nart_join *join)
{
    struct waiter *f = spawn(rt, &waiter_type, join);
    nart_token_clone(t, &f->token);
    f->mode = mode;
    return f;
}

/* ---- one thread ---- */

TEST_WITH(polls_again_allocate_nothing, root)
{
    enum { N = 5 };
    struct waiter *f[N];
    nart_join joins[N];

    for (int i = 0; i < N; i++)
        f[i] = wait_for(&root, WAITS, &joins[i]);
    settle(rt);
    test_alloc_fail(1, true);
    for (int i = 0; i < 100; i++) {
        nart_waker_wake(f[i % N]->waker);
        settle(rt);
    }
    nart_token_cancel(&root);
    settle(rt);
    test_alloc_fail(0, false);
    for (int i = 0; i < N; i++) {
        CHECK_RES(f[i]->r, 0);
        CHECK_EQ(f[i]->polls, 22);
        nart_join_release(&joins[i]);
    }
}

/* Half of the waiters leave, in an order that starts in the middle; the others are woken. */
TEST_WITH(some_go_before, root)
{
    enum { N = 100 };
    struct waiter *f[N];
    nart_join joins[N];

    for (int i = 0; i < N; i++)
        f[i] = wait_for(&root, WAITS, &joins[i]);
    settle(rt);
    for (int i = 0; i < N / 2; i++)
        CHECK_RES(abort_task(rt, &joins[(N / 2 + 14 * i) % N]), 0);
    settle(rt);
    nart_token_cancel(&root);
    settle(rt);
    int told = 0;
    for (int i = 0; i < N; i++) {
        told += f[i]->r == 0;
        nart_join_release(&joins[i]);
    }
    CHECK_EQ(told, N / 2);
}

/* Cancelling a token without waiters posts nothing to its runtime. */
TEST(a_cancel_without_waiters_sends_nothing)
{
    nart_rt_end counts = NART_RT_END_INIT;
    nart_join join;

    root_open();
    struct waiter *f = wait_for(&root, TURNS, &join);
    CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_LE(1, f->polls);
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    nart_join_release(&join);
    nart_token_cancel(&root);
    nart_token_release(&root);
    CHECK_RES(nart_rt_free_counted(rt, &counts), 0);
    CHECK_EQ(counts.cancelled + counts.dropped + counts.held + counts.undelivered, 0);
}

/* While the runtime is freed, each frame releases a chain, deepest first, and cancels a token that
 * others wait for. */
TEST_WITH(frames_release_chains_while_the_runtime_is_freed, root)
{
    enum { N = 50 };

    nart_token before = { NULL };
    for (int i = 0; i < N; i++) {
        struct waiter *f = wait_for(i ? &before : &root, i % 3 ? WAITS : TURNS, NULL);
        nart_token_release(&before);
        nart_token_clone(&root, &f->kept[0]);
        for (int k = 1; k < 3; k++)
            CHECK_RES(nart_token_child(&f->kept[k - 1], &f->kept[k]), 0);
        CHECK_RES(nart_token_child(&f->kept[2], &before), 0);
        if (i % 5 == 0)
            CHECK_LE(0, nart_rt_poll(rt, 0));
    }
    nart_token_release(&before);
}

static nart_res twice_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_token_await(cx, &f->kept[0], &f->waiter),
                   nart_token_await(cx, &f->kept[1], &f->waiter));
    NART_END(f->r);
}

static const nart_task_type twice_type = NART_TASK_TYPE(struct waiter, twice_run, waiter_drop);

/* One waiter for two tokens in one poll: the second is refused. In sequence they are allowed. */
TEST_WITH(one_waiter_for_two_tokens, root)
{
    nart_join join;

    struct waiter *f = spawn(rt, &twice_type, &join);
    nart_token_clone(&root, &f->kept[0]);
    CHECK_RES(nart_token_child(&root, &f->kept[1]), 0);
    settle(rt);
    CHECK_EQ(f->which, 1);
    CHECK_RES(f->r, -EBUSY);
    nart_join_release(&join);
    CHECK(!nart_token_is_cancelled(&root));
}

/* ---- threads ---- */

enum { THREADS = 8, CHILDREN = 500 };

static pthread_t threads[THREADS];
static nart_token theirs[THREADS];
static int seen[THREADS];

static void start(void *(*run)(void *))
{
    for (int i = 0; i < THREADS; i++) {
        nart_token_clone(&root, &theirs[i]);
        seen[i] = 0;
        threads[i] = thread_start(run, &theirs[i]);
    }
}

/* Joins all threads; returns the total of what they saw. */
static int join_all(void)
{
    int all = 0;
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        all += seen[i];
    }
    return all;
}

static void *see(void *arg)
{
    nart_token *t = arg;

    while (!nart_token_is_cancelled(t))
        (void)sched_yield();
    seen[t - theirs]++;
    nart_token_release(t);
    return NULL;
}

TEST(eight_threads_see_it)
{
    for (int i = 0; i < rounds(100); i++) {
        root_open();
        start(see);
        nart_token_cancel(&root);
        CHECK_EQ(join_all(), THREADS);
        root_close();
    }
}

static void *see_children(void *arg)
{
    static nart_token all[THREADS][CHILDREN];
    nart_token *t = arg, *mine = all[t - theirs];

    for (int i = 0; i < CHILDREN; i++)
        CHECK_RES(nart_token_child(t, &mine[i]), 0);
    for (int i = 0; i < CHILDREN; i++) {
        while (!nart_token_is_cancelled(&mine[i]))
            (void)sched_yield();
        seen[t - theirs]++;
        nart_token_release(&mine[i]);
    }
    nart_token_release(t);
    return NULL;
}

TEST_WITH(children_of_eight_threads_see_it, root)
{
    start(see_children);
    nart_token_cancel(&root);
    CHECK_EQ(join_all(), THREADS * CHILDREN);
}

/* Each thread cancels the token of its own tasks and then their common parent, while tasks start
 * waiting, leave and return: every task is woken. */
static void *cancel_both(void *arg)
{
    nart_token *t = arg;

    nart_token_cancel(t);
    nart_token_cancel_release(t);
    if (t == &theirs[THREADS - 1])
        nart_token_cancel(&root);
    return NULL;
}

TEST(threads_cancel_while_waiters_register_and_leave)
{
    enum { TASKS = 96 };

    for (int i = 0; i < rounds(100); i++) {
        root_open();
        for (int j = 0; j < THREADS; j++)
            CHECK_RES(nart_token_child(&root, &theirs[j]), 0);
        for (int j = 0; j < TASKS; j++)
            (void)wait_for(&theirs[j % THREADS], (enum mode)(j / THREADS % 3), NULL);
        for (int j = 0; j < i % 4; j++)
            CHECK_LE(0, nart_rt_poll(rt, 0));
        for (int j = 0; j < THREADS; j++)
            threads[j] = thread_start(cancel_both, &theirs[j]);
        CHECK_RES(nart_rt_run(rt), 0);
        (void)join_all();
        root_close();
    }
}

/* The task sees the flag and is freed, with its token, while the canceller is still running. */
static nart_token late;

static void *cancel_late(void *arg)
{
    (void)arg;
    nart_token_cancel_release(&late);
    return NULL;
}

TEST(a_task_is_freed_before_the_canceller_finishes)
{
    for (int i = 0; i < rounds(200); i++) {
        root_open();
        nart_token_clone(&root, &late);
        for (int j = 0; j < 3; j++)
            (void)wait_for(&root, LOOKS, NULL);
        nart_token_release(&root);
        threads[0] = thread_start(cancel_late, NULL);
        CHECK_RES(nart_rt_run(rt), 0);
        CHECK_RES(nart_rt_free(rt), 0);
        thread_join(threads[0]);
    }
}
