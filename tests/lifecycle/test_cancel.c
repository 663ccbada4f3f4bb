/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cancellation tokens: trees, handles, waiting tasks, other threads. */
#include "../core/core.h"
#include "../core/virtual.h"
#include "threads.h"

#include <nart/cancel.h>
#include <nart/remote.h>

#include <sys/wait.h>
#include <unistd.h>

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

static nart_token child_of(const nart_token *t)
{
    nart_token child;
    CHECK_RES(nart_token_child(t, &child), 0);
    return child;
}

/* ---- the tree ---- */

TEST_WITH(cancelled_once_and_for_all, root)
{
    CHECK(!nart_token_is_cancelled(&root));
    nart_token_cancel(&root);
    CHECK(nart_token_is_cancelled(&root));
    nart_token_cancel(&root);
    CHECK(nart_token_is_cancelled(&root));
}

TEST_WITH(clones_are_one_token, root)
{
    nart_token clone;

    nart_token_clone(&root, &clone);
    nart_token_release(&root);
    nart_token_cancel(&clone);
    CHECK(nart_token_is_cancelled(&clone));
    nart_token_clone(&clone, &root);
    nart_token_release(&clone);
    CHECK(nart_token_is_cancelled(&root));
}

TEST_WITH(downwards_and_never_up, root)
{
    nart_token child = child_of(&root), grandchild = child_of(&child), brother = child_of(&root);
    nart_token_cancel(&child);
    CHECK(nart_token_is_cancelled(&child));
    CHECK(nart_token_is_cancelled(&grandchild));
    CHECK(!nart_token_is_cancelled(&root));
    CHECK(!nart_token_is_cancelled(&brother));
    nart_token_cancel(&root);
    CHECK(nart_token_is_cancelled(&brother));
    nart_token_release(&child);
    nart_token_release(&grandchild);
    nart_token_release(&brother);
}

TEST_WITH(born_cancelled, root)
{
    nart_token_cancel(&root);
    nart_token child = child_of(&root);
    CHECK(nart_token_is_cancelled(&child));
    nart_token_release(&child);
}

/* A token whose handles are all released still connects its parent to its children. */
TEST_WITH(the_middle_may_be_released, root)
{
    nart_token middle = child_of(&root), leaf = child_of(&middle);
    nart_token_release(&middle);
    CHECK(!nart_token_is_cancelled(&leaf));
    nart_token_cancel(&root);
    CHECK(nart_token_is_cancelled(&leaf));
    nart_token_release(&leaf);
}

TEST(the_root_may_be_released_first)
{
    root_open();
    nart_token child = child_of(&root), leaf = child_of(&child);
    nart_token_release(&root);
    nart_token_release(&child);
    nart_token_cancel(&leaf);
    CHECK(nart_token_is_cancelled(&leaf));
    nart_token_release(&leaf);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Any shape, any order: exactly the descendants of cancelled tokens are cancelled. */
TEST_WITH(random_trees, root)
{
    enum { N = 60 };
    uint64_t seed = 12345;

    for (int round = 0; round < 200; round++) {
        nart_token t[N];
        int parent[N];
        bool told[N] = { false };

        CHECK_RES(nart_token_new(rt, &t[0]), 0);
        parent[0] = 0;
        for (int i = 1; i < N; i++) {
            parent[i] = (int)random_below(&seed, (uint32_t)i);
            t[i] = child_of(&t[parent[i]]);
            told[i] = told[parent[i]];
            if (random_below(&seed, 8) == 0) {
                int who = (int)random_below(&seed, (uint32_t)i + 1);
                nart_token_cancel(&t[who]);
                told[who] = true;
                for (int j = who + 1; j <= i; j++)
                    told[j] |= told[parent[j]];
            }
            for (int j = 0; j <= i; j++)
                CHECK_EQ(nart_token_is_cancelled(&t[j]), told[j]);
        }
        for (int i = 0; i < N; i++) {
            int j = i + (int)random_below(&seed, (uint32_t)(N - i));
            nart_token swap = t[i];
            t[i] = t[j];
            t[j] = swap;
            nart_token_release(&t[i]);
        }
    }
}

enum { CHAIN = 100000 };

static void *cancel_and_release(void *arg)
{
    nart_token *chain = arg;

    nart_token_cancel(&root);
    for (int i = 0; i < CHAIN; i++)
        CHECK(nart_token_is_cancelled(&chain[i]));
    for (int i = 0; i < CHAIN; i++) /* top down: the last release frees them all */
        nart_token_release(&chain[i]);
    return NULL;
}

/* Too deep for any recursion: the stack has less than three bytes per token. */
TEST_WITH(a_chain_of_100000, root)
{
    pthread_attr_t small;
    pthread_t thread;

    nart_token *chain = malloc(CHAIN * sizeof *chain);
    CHECK(chain != NULL);
    chain[0] = child_of(&root);
    for (int i = 1; i < CHAIN; i++)
        chain[i] = child_of(&chain[i - 1]);
    CHECK_EQ(pthread_attr_init(&small), 0);
    CHECK_EQ(pthread_attr_setstacksize(&small, 256 * 1024), 0);
    CHECK_EQ(pthread_create(&thread, &small, cancel_and_release, chain), 0);
    thread_join(thread);
    pthread_attr_destroy(&small);
    free(chain);
}

/* Released children leave nothing behind in a long-lived parent. */
TEST_WITH(children_freed_long_ago, root)
{
    long live = test_alloc_live();
    for (int i = 0; i < 100000; i++) {
        nart_token child = child_of(&root);
        nart_token_release(&child);
        CHECK_EQ(test_alloc_live(), live);
    }
}

TEST_WITH(a_guard_cancels_and_releases, root)
{
    nart_token guard;
    nart_token_clone(&root, &guard);
    nart_token_cancel_release(&guard);
    CHECK(!guard.node);
    CHECK(nart_token_is_cancelled(&root));
    nart_token_cancel_release(&guard);
    nart_token_cancel_release(NULL);
}

TEST_WITH(a_released_guard_cancels_nothing, root)
{
    nart_token guard;

    nart_token_clone(&root, &guard);
    nart_token_release(&guard);
    nart_token_cancel_release(&guard);
    CHECK(!nart_token_is_cancelled(&root));
}

TEST_WITH(a_guard_of_a_child_leaves_its_parent_alone, root)
{
    nart_token outer = child_of(&root), inner = child_of(&outer), below = child_of(&inner);
    nart_token_cancel_release(&inner);
    CHECK(nart_token_is_cancelled(&below));
    CHECK(!nart_token_is_cancelled(&outer));
    nart_token_release(&below);
    nart_token_cancel_release(&outer);
    CHECK(!nart_token_is_cancelled(&root));
}

TEST_WITH(empty_handles, root)
{
    nart_token none = { NULL }, out = { NULL };

    CHECK(!nart_token_is_cancelled(&none));
    nart_token_cancel(&none);
    nart_token_cancel(NULL);
    nart_token_release(&none);
    nart_token_release(NULL);
    nart_token_clone(&none, &out);
    CHECK(!out.node);
    CHECK_RES(nart_token_child(&none, &out), -EINVAL);
    CHECK_RES(nart_token_child_on(&none, rt, &out), -EINVAL);
    CHECK_RES(nart_token_child_on(&root, NULL, &out), -EINVAL);
    CHECK_RES(nart_token_new(NULL, &out), -EINVAL);
    CHECK(!out.node);
}

TEST_WITH(no_memory, root)
{
    nart_token out;

    test_alloc_fail(1, false);
    CHECK_RES(nart_token_child(&root, &out), -ENOMEM);
    CHECK(!out.node);
    test_alloc_fail(1, false);
    CHECK_RES(nart_token_new(rt, &out), -ENOMEM);
}

/* ---- waiting ---- */

struct waiter {
    nart_co co, sub;
    nart_waiter waiter;
    nart_token token;
    nart_timer timer;
    int64_t ns; /* its deadline; 0: none */
    bool races;
    int which, ends;
    nart_res r, under;
};

static nart_res waiter_sub(nart_cx *cx, struct waiter *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->under, nart_sleep(cx, &f->timer, 1000 * NART_SEC));
    NART_END(f->under);
}

static nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->races) {
        NART_AWAIT_ANY(f->which, f->r, waiter_sub(cx, f),
                       nart_token_await(cx, &f->token, &f->waiter));
        CHECK_EQ(f->which, 1);
        NART_STOP(f->r, waiter_sub(cx, f));
    } else if (f->ns) {
        NART_AWAIT_FOR(f->r, f->ns, nart_token_await(cx, &f->token, &f->waiter));
    } else {
        NART_AWAIT(f->r, nart_token_await(cx, &f->token, &f->waiter));
    }
    f->ends++;
    NART_END(f->r);
}

static void waiter_drop(void *frame)
{
    nart_token_release(&((struct waiter *)frame)->token);
}

static const nart_task_type waiter_type = NART_TASK_TYPE(struct waiter, waiter_run, waiter_drop);

static struct waiter *wait_for(const nart_token *t, nart_join *join)
{
    struct waiter *f = spawn(rt, &waiter_type, join);
    nart_token_clone(t, &f->token);
    return f;
}

TEST_WITH(all_waiters_are_woken, root)
{
    enum { N = 5 };
    nart_join joins[N];
    struct waiter *f[N];

    nart_token child = child_of(&root);
    for (int i = 0; i < N; i++)
        f[i] = wait_for(i % 2 ? &child : &root, &joins[i]);
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), N);
    nart_token_cancel(&root);
    settle(rt);
    for (int i = 0; i < N; i++) {
        CHECK_RES(f[i]->r, 0);
        CHECK_EQ(f[i]->ends, 1);
        nart_join_release(&joins[i]);
    }
    nart_token_release(&child);
}

TEST_WITH(one_that_is_cancelled_is_not_waited_for, root)
{
    nart_join join;

    nart_token_cancel(&root);
    struct waiter *f = wait_for(&root, &join);
    CHECK_EQ(settle(rt), 1);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}

/* Misuse: the handle is released while the task waits. The wait keeps its token and fails. */
TEST_WITH(the_handle_is_released_while_the_task_waits, root)
{
    nart_join join;

    nart_token child = child_of(&root);
    struct waiter *f = wait_for(&child, &join);
    nart_token_release(&child);
    settle(rt);
    nart_token_release(&f->token);
    CHECK_EQ(settle(rt), 0);
    nart_token_cancel(&root);
    settle(rt);
    CHECK_RES(f->r, -EINVAL);
    nart_join_release(&join);
}

TEST_WITH(a_waiter_that_leaves_is_not_woken, root)
{
    nart_join joins[3];
    struct waiter *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = wait_for(&root, &joins[i]);
    f[1]->ns = NART_SEC;
    settle(rt);
    CHECK_RES(cancel(rt, &joins[0]), 0);
    run_until(rt, at_ms(1000));
    CHECK_RES(f[0]->r, -ECANCELED);
    CHECK_RES(f[1]->r, -ETIMEDOUT);
    CHECK_EQ(f[2]->ends, 0);
    nart_token_cancel(&root);
    settle(rt);
    CHECK_RES(f[2]->r, 0);
    for (int i = 0; i < 3; i++)
        nart_join_release(&joins[i]);
}

TEST_WITH(a_race_is_lost_to_the_token, root)
{
    nart_join join;

    struct waiter *f = wait_for(&root, &join);
    f->races = true;
    settle(rt);
    nart_token_cancel(&root);
    settle(rt);
    CHECK_EQ(f->ends, 1);
    CHECK_RES(f->under, -ECANCELED);
    CHECK_EQ(elapsed_ms(), 0);
    nart_join_release(&join);
}

TEST_WITH(a_thousand_waiters_some_of_which_left, root)
{
    enum { N = 1000 };
    static nart_join joins[N];
    static struct waiter *f[N];

    for (int i = 0; i < N; i++)
        f[i] = wait_for(&root, &joins[i]);
    settle(rt);
    for (int i = 0; i < N; i += 2)
        CHECK_RES(cancel(rt, &joins[i]), 0);
    settle(rt);
    nart_token_cancel(&root);
    settle(rt);
    for (int i = 0; i < N; i++) {
        CHECK_RES(f[i]->r, i % 2 ? 0 : -ECANCELED);
        nart_join_release(&joins[i]);
    }
}

TEST(the_runtime_is_freed_with_waiters)
{
    nart_token left;

    root_open();
    nart_token_clone(&root, &left);
    (void)wait_for(&root, NULL);
    settle(rt);
    root_close();
    nart_token_cancel(&left); /* the owner runtime was freed */
    CHECK(nart_token_is_cancelled(&left));
    nart_token_release(&left);
}

/* Cancelled, and the owner runtime is freed before it is notified. */
TEST_WITH(the_runtime_is_freed_with_the_news_under_way, root)
{
    (void)wait_for(&root, NULL);
    settle(rt);
    nart_token_cancel(&root);
}

TEST(another_runtime_waits_for_a_child_of_its_own)
{
    nart_join join, there;

    root_open();
    nart_rt *home = rt, *other = new_rt();
    nart_token child;
    CHECK_RES(nart_token_child_on(&root, other, &child), 0);
    rt = other;
    struct waiter *f = wait_for(&root, &join), *g = wait_for(&child, &there);
    settle(other);
    CHECK_RES(f->r, NART_EDRIVER);
    CHECK_EQ(g->ends, 0);
    nart_token_cancel(&root);
    settle(other);
    CHECK_RES(g->r, 0);
    nart_join_release(&join);
    nart_join_release(&there);
    nart_token_release(&child);
    CHECK_RES(nart_rt_free(other), 0);
    rt = home;
    root_close();
}

/* ---- other threads ---- */

static void *cancel_it(void *arg)
{
    nart_token *t = arg;
    nart_token_cancel_release(t);
    return NULL;
}

TEST_WITH(a_parked_loop_hears_of_it, root)
{
    nart_join join;
    nart_token theirs;

    struct waiter *f = wait_for(&root, &join);
    nart_token_clone(&root, &theirs);
    pthread_t thread = thread_start(cancel_it, &theirs);
    CHECK_RES(nart_rt_run(rt), 0);
    thread_join(thread);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}

/* A task keeps registering while another thread cancels: it is always woken. */
enum { ROUNDS = 20000 };

static nart_token shared[ROUNDS];

static void *cancel_each(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++)
        nart_token_cancel_release(&shared[i]);
    return NULL;
}

struct follower {
    nart_co co;
    nart_waiter waiter;
    nart_token *tokens;
    int i;
    nart_res r;
};

static nart_res follower_run(nart_cx *cx, void *frame)
{
    struct follower *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < ROUNDS; f->i++) {
        NART_AWAIT(f->r, nart_token_await(cx, &f->tokens[f->i], &f->waiter));
        CHECK_RES(f->r, 0);
        nart_token_release(&f->tokens[f->i]);
    }
    NART_END(0);
}

static const nart_task_type follower_type = NART_TASK_TYPE(struct follower, follower_run, NULL);

TEST_WITH(registered_while_it_is_cancelled, root)
{
    static nart_token mine[ROUNDS];
    struct follower init = { .tokens = mine };

    for (int i = 0; i < ROUNDS; i++) {
        mine[i] = child_of(&root);
        nart_token_clone(&mine[i], &shared[i]);
    }
    pthread_t thread = thread_start(cancel_each, NULL);
    CHECK_RES(nart_block_on(rt, &follower_type, &init, NULL), 0);
    thread_join(thread);
}

/* Threads create children of a token while it is cancelled: all of them end up cancelled. */
enum { THREADS = 4, CHILDREN = 500 };

static nart_token made[THREADS][CHILDREN];
static nart_token above[THREADS];

static void *make_children(void *arg)
{
    size_t i = (size_t)((nart_token *)arg - above);

    for (int j = 0; j < CHILDREN; j++)
        made[i][j] = child_of(j % 2 ? &made[i][j - 1] : &above[i]);
    nart_token_release(&above[i]);
    return NULL;
}

TEST(children_are_made_while_it_is_cancelled)
{
    pthread_t threads[THREADS];

    root_open();
    for (int i = 0; i < THREADS; i++) {
        nart_token_clone(&root, &above[i]);
        threads[i] = thread_start(make_children, &above[i]);
    }
    nart_token_cancel(&root);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < CHILDREN; j++) {
            CHECK(nart_token_is_cancelled(&made[i][j]));
            nart_token_release(&made[i][j]);
        }
    root_close();
}

/* Two threads, 10,000,000 operations on one tree in a long run: each creates a child, queries it,
 * releases it, and sometimes cancels one. Nothing is leaked, and no other token is cancelled. */
static uint64_t cancelled_by[2];

static void *churn(void *arg)
{
    uint64_t *n = arg;
    int rounds = (int)test_repeat(1250000);

    for (int i = 0; i < rounds; i++) {
        nart_token child = child_of(&root), below = child_of(&child);
        if (i % 4 == 0) {
            nart_token_cancel(&child);
            *n += nart_token_is_cancelled(&below);
        } else {
            CHECK(!nart_token_is_cancelled(&below));
        }
        nart_token_release(&child);
        nart_token_release(&below);
    }
    CHECK_EQ(*n, (rounds + 3) / 4);
    return NULL;
}

TEST_WITH(two_threads_on_one_tree, root)
{
    pthread_t thread = thread_start(churn, &cancelled_by[1]);
    (void)churn(&cancelled_by[0]);
    thread_join(thread);
    CHECK(!nart_token_is_cancelled(&root));
}

TEST(in_a_child_of_fork)
{
    int status;
    nart_token out;

    root_open();
    nart_token child = child_of(&root);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        bool ok = nart_token_child(&root, &out) == NART_EFORK;
        nart_token_cancel(&root); /* only this process's copy */
        ok = ok && nart_token_is_cancelled(&root);
        nart_token_release(&child);
        _exit(ok && nart_rt_free(rt) == 0 ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(!nart_token_is_cancelled(&root));
    nart_token_release(&child);
    root_close();
}
