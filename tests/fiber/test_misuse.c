/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is not allowed: bad options, awaits in the wrong place, the wrong thread, a child of fork; and runtimes
 * within fibers of others. */
#include "fiber.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_RT(.report = keep_report);

static nart_res once(nart_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 1;
}

/* ---- options ---- */

static nart_res with_opts(nart_fiber_opts opts)
{
    nart_res answer = 0;
    nart_res r = nart_fiber_block_on(rt, once, NULL, &opts, &answer);

    CHECK_EQ(answer, r == 0);
    return r;
}

static nart_res with_stack(size_t bytes)
{
    return with_opts((nart_fiber_opts){ .size = sizeof(nart_fiber_opts), .stack = bytes });
}

TEST_WITH(bad_options_are_refused, rt)
{
    const size_t size = sizeof(nart_fiber_opts);
    nart_fiber f;

    CHECK_RES(with_opts((nart_fiber_opts)NART_FIBER_OPTS_INIT), 0);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = 0 }), NART_EABI);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = size + 8 }), NART_EABI);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = SIZE_MAX }), NART_EABI);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = size, .flags = NART_TASK_SEND }), -EINVAL);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = size, .flags = 1u << 31 }), -EINVAL);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = size, .flags = NART_TASK_URGENT }), 0);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = size, .flags = NART_TASK_BACKGROUND }), 0);
    CHECK_RES(with_opts((nart_fiber_opts){ .size = size, .value = SIZE_MAX }), -EINVAL);
    CHECK_RES(nart_fiber_init(&f, NULL, NULL, NULL), -EINVAL);
    CHECK_RES(with_stack(0), 0); /* the default */
    CHECK_RES(with_stack(1), -EINVAL);
    CHECK_RES(with_stack(NART_FIBER_STACK_MIN - 1), -EINVAL);
    CHECK_RES(with_stack(NART_FIBER_STACK_MIN), 0);
    CHECK_RES(with_stack(NART_FIBER_STACK_MIN + 1), 0);
    CHECK_RES(with_stack(NART_FIBER_STACK_MAX), 0);
    CHECK_RES(with_stack((size_t)NART_FIBER_STACK_MAX + 1), -EINVAL);
    CHECK_RES(with_stack(SIZE_MAX), -EINVAL);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

/* Uses nearly all of its stack. */
static nart_res uses(nart_cx *cx, void *arg)
{
    volatile char *deep = __builtin_alloca(*(size_t *)arg);

    for (size_t i = 0; i < *(size_t *)arg; i += 1024)
        deep[i] = 1;
    (void)nart_yield(cx);
    return deep[0];
}

TEST_WITH(a_stack_has_the_size_that_was_asked_for, rt)
{
    for (size_t size = 2 * NART_FIBER_STACK_MIN; size <= ((size_t)64 << 20); size *= 4) {
        nart_fiber_opts opts = { .size = sizeof opts, .stack = size - 100 }; /* rounded up */
        size_t use = size - 6000;
        nart_res r = 0;

        CHECK_RES(nart_fiber_block_on(rt, uses, &use, &opts, &r), 0);
        CHECK_RES(r, 1);
    }
}

/* ---- awaits in the wrong place ---- */

static nart_cx *kept;

static nart_res keeps(nart_cx *cx, void *arg)
{
    (void)arg;
    kept = cx;
    return 0;
}

TEST_WITH(an_await_outside_of_polls_is_refused, rt)
{
    nart_timer t = { 0 };
    int which = 0;

    CHECK_RES(RUN(keeps, NULL), 0);
    CHECK_RES(nart_await(kept, nart_sleep(kept, &t, NART_SEC)), -EPERM);
    CHECK_RES(nart_await_for(kept, NART_SEC, nart_sleep(kept, &t, NART_SEC)), -EPERM);
    CHECK_RES(nart_await_until(kept, 5, nart_sleep(kept, &t, NART_SEC)), -EPERM);
    CHECK_RES(nart_await_any(kept, which, nart_sleep(kept, &t, NART_SEC), nart_op_enter(kept)),
              -EPERM);
    (void)which;
    CHECK_RES(nart_yield(kept), -EPERM);
    nart_shield(kept, NART_SEC);
    nart_unshield(kept);
    CHECK_EQ(reports, 1); /* of the yield */
    CHECK_RES(RUN(keeps, NULL), 0);
}

/* The forms of an await, by a task that is no fiber. */
struct awaiter {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    nart_timer t;
    uint64_t v;
    int n;
    nart_res r;
};

static nart_res all_refused(nart_cx *cx, struct awaiter *f, nart_res expected)
{
    int which = -1, before = reports;

    CHECK_RES(nart_await(cx, nart_recv(cx, &f->rx, &f->v)), expected);
    CHECK(f->rx.wait.task == NULL);
    CHECK_RES(nart_await_for(cx, NART_SEC, nart_recv(cx, &f->rx, &f->v)), expected);
    CHECK_RES(nart_await_until(cx, NART_NEVER, nart_recv(cx, &f->rx, &f->v)), expected);
    CHECK_RES(
        nart_await_any(cx, which, nart_recv(cx, &f->rx, &f->v), nart_sleep(cx, &f->t, NART_SEC)),
        expected);
    CHECK(f->rx.wait.task == NULL);
    CHECK_EQ(which, 0);
    CHECK_RES(nart_yield(cx), expected);
    CHECK_EQ(reports, before + 5);
    f->n = 0;
    CHECK_RES(nart_await(cx, after(cx, &f->n)), 5); /* one that need not wait */
    CHECK_RES(nart_await_for(cx, NART_SEC, after(cx, &f->n)), 5);
    return 0;
}

static nart_res plain_poll(nart_cx *cx, void *frame)
{
    return all_refused(cx, frame, -EPERM);
}

static nart_res body(nart_cx *cx, void *frame)
{
    struct awaiter *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(all_refused(cx, f, -EPERM), 0);
    f->n = 1;
    NART_AWAIT(f->r, after(cx, &f->n)); /* still well */
    CHECK_RES(all_refused(cx, f, -EPERM), 0);
    NART_END(f->r);
}

static nart_res fiber_calls_body(nart_cx *cx, void *arg)
{
    struct awaiter *f = arg;

    CHECK_RES(nart_await(cx, body(cx, f)), 5);
    f->n = 1;
    return nart_await(cx, after(cx, &f->n));
}

TEST_WITH(an_await_outside_of_fibers_is_refused_once_it_would_wait, rt)
{
    static const nart_task_type plain = NART_TASK_TYPE(struct awaiter, plain_poll, NULL),
                                bodies = NART_TASK_TYPE(struct awaiter, body, NULL);
    struct awaiter f = { .v = 0 };
    nart_join join;
    nart_res r = -1;

    new_chan(rt, 1, &f.tx, &f.rx);
    CHECK_RES(nart_block_on(rt, &plain, &f, &r), 0);
    CHECK_RES(r, 0);
    CHECK(strstr(reported, "await at ") && strstr(reported, "test_misuse.c:"));
    CHECK(strstr(reported, "outside of a fiber"));
    reported[0] = '\0';
    struct awaiter *g = spawn(rt, &bodies, &join);
    *g = f;
    run_all(rt);
    CHECK(strstr(reported, "outside of a fiber"));
    CHECK_RES(fiber_verdict(rt, &join), 5);
    nart_join_release(&join);
    reported[0] = '\0';
    CHECK_RES(RUN(fiber_calls_body, &f), 5);
    CHECK(strstr(reported, "within a body of co.h"));
    nart_tx_close(&f.tx);
    nart_rx_close(&f.rx);
}

/* On another stack than its own: that of a signal handler. */
static nart_res in_handler;

static void on_usr1(int sig)
{
    (void)sig;
    in_handler = nart_yield(kept);
}

static nart_res raises(nart_cx *cx, void *arg)
{
    (void)arg;
    kept = cx;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_RES(in_handler, -EPERM);
    CHECK_RES(nart_yield(cx), 0);
    return 3;
}

TEST_WITH(an_await_in_a_handler_on_a_stack_of_its_own_is_refused, rt)
{
    static char memory[65536];
    stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory }, before;
    struct sigaction act = { .sa_handler = on_usr1, .sa_flags = SA_ONSTACK };

    CHECK_EQ(sigaltstack(&stack, &before), 0);
    CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
    CHECK_RES(RUN(raises, NULL), 3);
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "outside of a fiber"));
    before.ss_flags |= SS_DISABLE;
    CHECK_EQ(sigaltstack(&before, NULL), 0);
}

/* ---- a runtime within a fiber of another ---- */

struct inner {
    nart_rt *rt;
    nart_cx *outer;
    int n;
};

static nart_res inner_fiber(nart_cx *cx, void *arg)
{
    struct inner *in = arg;
    int n = 3;

    CHECK_RES(nart_await(cx, after(cx, &n)), 5);
    CHECK_RES(nart_yield(in->outer), -EPERM); /* not on its stack */
    n = 0;
    CHECK_RES(nart_await(in->outer, after(in->outer, &n)), 5);
    CHECK_RES(nart_yield(cx), 0);
    return ++in->n;
}

static nart_res outer_fiber(nart_cx *cx, void *arg)
{
    struct inner in = { .outer = cx };
    int n = 2;

    (void)arg;
    CHECK_RES(nart_await(cx, after(cx, &n)), 5);
    in.rt = new_rt();
    for (int i = 1; i < 4; i++) {
        nart_res r = 0;
        CHECK_RES(nart_fiber_block_on(in.rt, inner_fiber, &in, NULL, &r), 0);
        CHECK_EQ(r, i);
        n = 1;
        CHECK_RES(nart_await(cx, after(cx, &n)), 5);
    }
    CHECK_RES(nart_rt_fiber_spawn(in.rt, inner_fiber, &in, NULL, NULL), 0);
    CHECK_LE(1, nart_rt_poll(in.rt, 0)); /* it is parked while the outer one parks */
    CHECK_RES(nart_yield(cx), 0);
    CHECK_RES(nart_rt_free(in.rt), 0);
    CHECK_EQ(in.n, 4);
    return 0;
}

TEST_WITH(a_fiber_runs_another_runtime_with_fibers, rt)
{
    nart_join a, b;

    START(outer_fiber, NULL, &a);
    START(outer_fiber, NULL, &b);
    run_all(rt);
    CHECK_RES(fiber_verdict(rt, &a), 0);
    CHECK_RES(fiber_verdict(rt, &b), 0);
    nart_join_release(&a);
    nart_join_release(&b);
    CHECK_LE(1, reports);
}

/* ---- threads ---- */

static void *spawns_elsewhere(void *arg)
{
    (void)arg;
    CHECK_RES(nart_rt_fiber_spawn(rt, once, NULL, NULL, NULL), NART_EWRONGTHREAD);
    CHECK_RES(nart_fiber_block_on(rt, once, NULL, NULL, NULL), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(the_wrong_thread_cannot_spawn, rt)
{
    pthread_t thread;

    CHECK_RES(RUN(once, NULL), 1); /* binds it */
    CHECK_EQ(pthread_create(&thread, NULL, spawns_elsewhere, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(NULL, once, NULL, NULL, NULL), -EINVAL);
}

enum { EACH = 200, THREADS = 4 };

static nart_remote remote;
static int arrived;

static nart_res arrives(nart_cx *cx, void *arg)
{
    (void)nart_yield(cx);
    (void)arg;
    if (++arrived == EACH * THREADS)
        nart_rt_stop(nart_cx_rt(cx));
    return 0;
}

static void *spawns_remotely(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        nart_res r = nart_remote_fiber_spawn(remote, arrives, arg, NULL);
        CHECK_RES(r, 0);
    }
    return NULL;
}

static nart_res waits_for_all(nart_cx *cx, void *arg)
{
    nart_timer t = { 0 };
    (void)arg;
    return nart_await(cx, nart_sleep(cx, &t, NART_NEVER));
}

TEST_WITH(other_threads_spawn_fibers, rt)
{
    pthread_t thread[THREADS];
    nart_join join;

    START(waits_for_all, NULL, &join);
    remote = nart_rt_remote(rt);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, spawns_remotely, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(arrived, EACH * THREADS);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
    CHECK_RES(cancel(rt, &join), 0);
    run_to_the_end(rt, &join);
}

/* ---- fork ---- */

static nart_res forks(nart_cx *cx, void *arg)
{
    nart_timer t = { 0 };
    int status = 0;
    pid_t child = fork();

    (void)arg;
    CHECK_LE(0, child);
    if (child == 0) {
        /* The child is on its copy of the stack. The runtime is its parent's. */
        nart_res s = nart_rt_fiber_spawn(rt, once, NULL, NULL, NULL);
        nart_rt *mine = new_rt();
        nart_res answer = 0;
        nart_res own = nart_fiber_block_on(mine, once, NULL, NULL, &answer);
        _exit(s == NART_EFORK && own == 0 && answer == 1 ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    return nart_await(cx, nart_sleep(cx, &t, NART_MS));
}

TEST_WITH(a_fiber_forks, rt)
{
    CHECK_RES(RUN(forks, NULL), 0);
}

static nart_res waits(nart_cx *cx, void *arg)
{
    (void)arg;
    return await_sleep(cx, NART_SEC);
}

/* The child frees what it inherited, with fibers parked in it. */
TEST_WITH(a_child_of_fork_frees_a_runtime_with_fibers, rt)
{
    nart_join join;
    int status = 0;

    START(waits, NULL, &join);
    settle(rt);
    pid_t child = fork();
    CHECK_LE(0, child);
    if (child == 0)
        _exit(nart_rt_free(rt) == 0 ? 0 : 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    run_to_the_end(rt, &join);
}

static _Atomic bool forked;

static void *makes_runtimes(void *arg)
{
    (void)arg;
    while (!forked) {
        nart_rt *own = new_rt();
        nart_fiber_opts opts = { .size = sizeof opts, .stack = NART_FIBER_STACK_MIN };
        for (; opts.stack <= NART_FIBER_STACK_MAX / 16; opts.stack *= 2) /* a region each */
            CHECK_RES(nart_fiber_block_on(own, once, NULL, &opts, &(nart_res){ 0 }), 0);
        CHECK_RES(nart_rt_free(own), 0);
    }
    return NULL;
}

/* Whatever another thread does when the process forks: the child has a copy of its locks. */
TEST_WITH(a_child_frees_its_runtime_while_another_thread_made_one, rt)
{
    pthread_t other;
    int status = 0;

    (void)RUN(once, NULL);
    CHECK_EQ(pthread_create(&other, NULL, makes_runtimes, NULL), 0);
    for (uint64_t n = test_repeat(3000); n > 0; n--) {
        pid_t child = fork();
        CHECK_LE(0, child);
        if (child == 0) {
            (void)alarm(10);
            _exit(nart_rt_free(rt) == 0 ? 0 : 1);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    }
    forked = true;
    CHECK_EQ(pthread_join(other, NULL), 0);
}
