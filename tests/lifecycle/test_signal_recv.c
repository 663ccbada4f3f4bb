/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Signals as events: real ones, raised by this process. raise() returns after the handler has run. */
#include "op.h"
#include "threads.h"

#include <nart/fiber.h>
#include <nart/shutdown.h>
#include <nart/signal.h>

#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_RT();

struct op {
    OP_FIELDS;
    nart_signal *signal;
    bool beside; /* lost a race against an operation that answers in the second poll */
    int asked;
};

static nart_res second_poll(nart_cx *cx, struct op *op)
{
    if (op->asked++ > 0)
        return 77;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static nart_res do_recv(nart_cx *cx, struct op *op)
{
    if (op->beside) {
        nart_res r = second_poll(cx, op);
        if (r != NART_PENDING)
            return r;
    }
    return nart_signal_recv(cx, op->signal);
}

OP_TASK(do_recv);

static struct op receive(nart_signal *s)
{
    return (struct op){ .limit = NART_NEVER, .signal = s };
}

static void raise_times(int signo, int n)
{
    while (n-- > 0)
        CHECK_EQ(raise(signo), 0);
}

static void *raise_usr1(void *arg)
{
    (void)arg;
    raise_times(SIGUSR1, 1);
    return NULL;
}

/* ---- receiving ---- */

TEST_WITH(a_delivery_wakes_a_parked_loop, rt)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    op_start(rt, &op);
    CHECK_RES(op.res, NART_PENDING);
    pthread_t thread = thread_start(raise_usr1, NULL);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, 1);
    thread_join(thread);
    nart_signal_close(&s);
}

static nart_res fiber_recv(nart_cx *cx, void *arg)
{
    return nart_await(cx, nart_signal_recv(cx, arg));
}

TEST_WITH(a_fiber_receives, rt)
{
    nart_signal s;
    nart_res r = 0;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    pthread_t thread = thread_start(raise_usr1, NULL);
    CHECK_RES(nart_fiber_block_on(rt, fiber_recv, &s, NULL, &r), 0);
    CHECK_RES(r, 1);
    thread_join(thread);
    nart_signal_close(&s);
}

TEST_WITH(an_answer_counts_all_deliveries_before_it, rt)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    raise_times(SIGUSR1, 3);
    op_start(rt, &op);
    CHECK_RES(op.res, 3);
    op_start(rt, &op);
    CHECK_RES(op.res, NART_PENDING);
    raise_times(SIGUSR1, 2);
    settle(rt);
    CHECK_RES(op.res, 2);
    nart_signal_close(&s);
}

TEST_WITH(deliveries_before_it_was_opened_do_not_count, rt)
{
    nart_signal early, late;

    CHECK_RES(nart_signal_open(SIGUSR1, &early), 0);
    raise_times(SIGUSR1, 1);
    CHECK_RES(nart_signal_open(SIGUSR1, &late), 0);
    struct op a = receive(&early), b = receive(&late);
    op_start(rt, &a);
    op_start(rt, &b);
    CHECK_RES(a.res, 1);
    CHECK_RES(b.res, NART_PENDING);
    raise_times(SIGUSR1, 1);
    settle(rt);
    CHECK_RES(b.res, 1);
    nart_signal_close(&early);
    nart_signal_close(&late);
}

TEST_WITH(each_handle_receives_its_own_signal, rt)
{
    enum { HANDLES = 300 }; /* more than a page of watches */
    static nart_signal s[HANDLES + 1];
    static struct op op[HANDLES + 1];

    for (int i = 0; i <= HANDLES; i++) {
        CHECK_RES(nart_signal_open(i < HANDLES ? SIGUSR1 : SIGUSR2, &s[i]), 0);
        op[i] = receive(&s[i]);
        op_start(rt, &op[i]);
    }
    raise_times(SIGUSR1, 1);
    settle(rt);
    for (int i = 0; i < HANDLES; i++)
        CHECK_RES(op[i].res, 1);
    CHECK_RES(op[HANDLES].res, NART_PENDING);
    raise_times(SIGUSR2, 1);
    settle(rt);
    CHECK_RES(op[HANDLES].res, 1);
    for (int i = 0; i <= HANDLES; i++)
        nart_signal_close(&s[i]);
}

TEST_WITH(a_signal_that_also_shuts_down, rt)
{
    nart_signal s;

    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    op_start(rt, &op);
    raise_times(SIGUSR1, 1);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, 1);
    CHECK(nart_rt_is_shutdown(rt));
    nart_signal_close(&s);
}

/* ---- answers that take nothing ---- */

static void then_receives(struct op *op, int n)
{
    raise_times(SIGUSR1, n);
    *op = receive(op->signal);
    op_start(rt, op);
    CHECK_RES(op->res, n);
}

TEST_WITH(a_cancelled_task_takes_nothing, rt)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    op_start(rt, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    raise_times(SIGUSR1, 1);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    op = receive(&s);
    op_start(rt, &op);
    CHECK_RES(op.res, 1);
    then_receives(&op, 2);
    nart_signal_close(&s);
}

TEST_WITH(a_deadline_that_passed_takes_nothing, rt)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    struct op op = receive(&s);
    op.limit = NART_SEC;
    op_start(rt, &op);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    settle(rt);
    CHECK_RES(op.res, -ETIMEDOUT);
    then_receives(&op, 1);
    nart_signal_close(&s);
}

TEST_WITH(a_lost_race_takes_nothing, rt)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    op.beside = true;
    op_start(rt, &op);
    CHECK_RES(op.res, 77);
    then_receives(&op, 1);
    nart_signal_close(&s);
}

TEST_WITH(a_second_task_is_refused, rt)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op first = receive(&s), second = receive(&s);
    op_start(rt, &first);
    op_start(rt, &second);
    CHECK_RES(second.res, -EBUSY);
    raise_times(SIGUSR1, 1);
    settle(rt);
    CHECK_RES(first.res, 1);
    nart_signal_close(&s);
}

TEST_WITH(a_handle_that_is_closed_or_moved_while_a_task_waits, rt)
{
    nart_signal s, moved = { .watch = NULL };

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    op_start(rt, &op);
    nart_signal_move(&moved, &s);
    settle(rt);
    CHECK_RES(op.res, -EBADF);
    nart_signal_move(&moved, &moved);
    raise_times(SIGUSR1, 1);
    op = receive(&moved);
    op_start(rt, &op);
    CHECK_RES(op.res, 1);
    op_start(rt, &op);
    nart_signal_close(&moved);
    settle(rt);
    CHECK_RES(op.res, -EBADF);
    nart_signal_close(&moved);
    nart_signal_close(NULL);
}

/* The waker of the freed runtime stays in the handle, which another runtime then uses. */
TEST(a_handle_outlives_its_runtime)
{
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    rt_open();
    struct op op = receive(&s);
    op_start(rt, &op);
    rt_close();
    raise_times(SIGUSR1, 2);
    rt_open();
    op = receive(&s);
    op_start(rt, &op);
    CHECK_RES(op.res, 2);
    rt_close();
    nart_signal_close(&s);
}

/* ---- the disposition ---- */

static volatile sig_atomic_t before;

static void old_handler(int signo)
{
    before = signo;
}

static bool is_restored(void)
{
    struct sigaction act;

    CHECK_EQ(sigaction(SIGUSR1, NULL, &act), 0);
    return act.sa_handler == old_handler;
}

TEST_WITH(the_last_user_restores_the_former_disposition, rt)
{
    nart_signal one, two;

    CHECK(signal(SIGUSR1, old_handler) != SIG_ERR);
    for (int order = 0; order < 2; order++) {
        CHECK_RES(nart_signal_open(SIGUSR1, &one), 0);
        CHECK_RES(nart_signal_open(SIGUSR1, &two), 0);
        CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
        nart_signal_close(&one);
        CHECK(!is_restored());
        if (order)
            CHECK_RES(nart_rt_shutdown_off(rt, SIGUSR1), 0);
        else
            nart_signal_close(&two);
        CHECK(!is_restored());
        if (order)
            nart_signal_close(&two);
        else
            CHECK_RES(nart_rt_shutdown_off(rt, SIGUSR1), 0);
        CHECK(is_restored());
    }
    CHECK(!nart_rt_is_shutdown(rt));
    raise_times(SIGUSR1, 1);
    CHECK_EQ(before, SIGUSR1);
}

TEST(the_handler_restarts_calls_runs_on_a_stack_for_signals_and_keeps_errno)
{
    struct sigaction act;
    nart_signal s;

    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &act), 0);
    CHECK_EQ(act.sa_flags & (SA_RESTART | SA_ONSTACK), SA_RESTART | SA_ONSTACK);
    rt_open();
    struct op op = receive(&s);
    op_start(rt, &op);
    errno = 12345;
    (void)raise(SIGUSR1);
    CHECK_EQ(errno, 12345);
    rt_close();
    nart_signal_close(&s);
}

/* ---- bad input ---- */

TEST(signals_that_cannot_be_received)
{
    const int bad[] = {
        0, -3, NSIG, 100000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32
    };
    nart_signal s;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        s.watch = (struct nart__signal_watch *)&s;
        CHECK_RES(nart_signal_open(bad[i], &s), -EINVAL);
        CHECK(!s.watch);
        nart_signal_close(&s);
    }
    CHECK_RES(nart_signal_open(SIGUSR1, NULL), -EINVAL);
}

TEST_WITH(a_closed_handle, rt)
{
    nart_signal s = { .watch = NULL };
    struct op op = receive(&s);

    op_start(rt, &op);
    CHECK_RES(op.res, -EBADF);
}

/* Runs fn in a forked child, which has to return. */
static void in_child(void (*fn)(nart_signal *s), nart_signal *s)
{
    int status;
    pid_t child = fork();

    CHECK_LE(0, child);
    if (child == 0) {
        fn(s);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* No address space is left for another page of handles. */
TEST(without_memory_it_stays_closed)
{
    const struct rlimit none = { 0, 0 };
    nart_signal s[300];
    nart_res r = 0;
    int n = 0;

    CHECK_RES(nart_signal_open(SIGUSR1, &s[n++]), 0);
    pid_t child = fork();
    if (child == 0) {
        int status = setrlimit(RLIMIT_AS, &none);
        while (n < 300 && (r = nart_signal_open(SIGUSR1, &s[n])) == 0)
            n++;
        _exit(status || r != -ENOMEM || s[n].watch);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    nart_signal_close(&s[0]);
}

/* ---- fork ---- */

static void child_of_handle(nart_signal *s)
{
    nart_signal own;

    rt_open();
    CHECK_RES(nart_signal_open(SIGUSR1, &own), 0);
    struct op op = receive(&own);
    op_start(rt, &op);
    raise_times(SIGUSR1, 1);
    settle(rt);
    CHECK_RES(op.res, 1);
    rt_close();
    nart_signal_close(&own);
    CHECK(!is_restored());
    nart_signal_close(s);
    CHECK(is_restored());
}

TEST_WITH(a_child_of_fork_counts_and_restores_its_own, rt)
{
    nart_signal s;

    CHECK(signal(SIGUSR1, old_handler) != SIG_ERR);
    CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
    struct op op = receive(&s);
    nart_rt *parents = rt;
    op_start(rt, &op);
    in_child(child_of_handle, &s);
    rt = parents;
    settle(rt);
    CHECK_RES(op.res, NART_PENDING);
    CHECK(!is_restored());
    raise_times(SIGUSR1, 1);
    settle(rt);
    CHECK_RES(op.res, 1);
    nart_signal_close(&s);
    CHECK(is_restored());
}

/* ---- threads ---- */

enum { RAISERS = 2, LISTENERS = 2 };

static nart_signal held; /* so that the storm never meets the default action */
static atomic_int raisers;

static void *raiser(void *arg)
{
    raise_times(SIGUSR1, (int)(intptr_t)arg);
    atomic_fetch_sub(&raisers, 1);
    return NULL;
}

/* Runs a loop of its own until its handle has counted as many deliveries as will be. */
static void *listener(void *arg)
{
    struct op *op = arg;
    nart_rt *own = new_rt();

    for (intptr_t left = op->asked; left > 0; left -= (intptr_t)op->res) {
        op_spawn(own, op);
        CHECK_RES(nart_rt_run(own), 0);
        CHECK_LE(1, op->res);
    }
    CHECK_RES(nart_rt_free(own), 0);
    return NULL;
}

static void *opens_and_closes(void *arg)
{
    nart_signal s, t = { .watch = NULL };

    (void)arg;
    while (atomic_load(&raisers) > 0) {
        CHECK_RES(nart_signal_open(SIGUSR1, &s), 0);
        nart_signal_move(&t, &s);
        nart_signal_close(&t);
    }
    return NULL;
}

TEST(storms_lose_no_delivery)
{
    const int each = (int)test_repeat(20000);
    nart_signal s[LISTENERS];
    struct op op[LISTENERS];
    pthread_t threads[RAISERS + LISTENERS + 1];
    int n = 0;

    CHECK_RES(nart_signal_open(SIGUSR1, &held), 0);
    atomic_store(&raisers, RAISERS);
    for (int i = 0; i < LISTENERS; i++) {
        CHECK_RES(nart_signal_open(SIGUSR1, &s[i]), 0);
        op[i] = receive(&s[i]);
        op[i].asked = each * RAISERS;
        threads[n++] = thread_start(listener, &op[i]);
    }
    threads[n++] = thread_start(opens_and_closes, NULL);
    for (int i = 0; i < RAISERS; i++)
        threads[n++] = thread_start(raiser, (void *)(intptr_t)each);
    while (n > 0)
        thread_join(threads[--n]);
    for (int i = 0; i < LISTENERS; i++)
        nart_signal_close(&s[i]);
    nart_signal_close(&held);
}
