/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Signals that shut a runtime down: real ones, sent to this process and to its threads. */
#include "../core/core.h"
#include "threads.h"

#include <nart/shutdown.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_RT();

struct server {
    nart_co co;
    nart_waiter waiter;
    nart_res r;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_shutdown_await(cx, &f->waiter));
    NART_END(f->r);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, NULL);

static volatile sig_atomic_t before;

static void old_handler(int signo)
{
    before = signo;
}

TEST_WITH(a_signal_ends_a_parked_loop, rt)
{
    CHECK_RES(nart_rt_shutdown_on(rt, SIGTERM), 0);
    CHECK_RES(nart_rt_spawn(rt, &server_type, NULL, NULL), 0);
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(nart_rt_is_shutdown(rt));
}

static void *send_signal(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGUSR1), 0); /* runs the handler on this thread */
    return NULL;
}

TEST_WITH(on_whichever_thread_it_is_delivered, rt)
{
    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    CHECK_RES(nart_rt_spawn(rt, &server_type, NULL, NULL), 0);
    pthread_t thread = thread_start(send_signal, NULL);
    CHECK_RES(nart_rt_run(rt), 0);
    thread_join(thread);
}

/* The program's own handler requests the shutdown through the remote handle: on another thread
 * while the loop is parked, and inside a poll. */
static nart_remote asked;

static void ask(int signo)
{
    (void)signo;
    (void)nart_remote_shutdown(asked);
}

static nart_res raiser_run(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    CHECK_EQ(raise(SIGUSR1), 0);
    return 0;
}

static const nart_task_type raiser_type = NART_TASK_TYPE(int, raiser_run, NULL);

TEST(a_handler_of_the_program_s_own_asks)
{
    const struct sigaction act = { .sa_handler = ask };
    pthread_t thread;

    CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
    for (int inside = 0; inside < 2; inside++) {
        rt_open();
        asked = nart_rt_remote(rt);
        CHECK_RES(nart_rt_spawn(rt, &server_type, NULL, NULL), 0);
        if (inside)
            CHECK_RES(nart_rt_spawn(rt, &raiser_type, NULL, NULL), 0);
        else
            thread = thread_start(send_signal, NULL);
        CHECK_RES(nart_rt_run(rt), 0);
        CHECK(nart_rt_is_shutdown(rt));
        if (!inside)
            thread_join(thread);
        rt_close();
        CHECK_EQ(raise(SIGUSR1), 0); /* the handle is stale */
    }
}

static void had_before(void)
{
    struct sigaction act;

    CHECK_EQ(sigaction(SIGUSR1, NULL, &act), 0);
    CHECK(act.sa_handler == old_handler);
    before = 0;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(before, SIGUSR1);
}

TEST(what_was_there_before_is_restored)
{
    rt_open();

    CHECK(signal(SIGUSR1, old_handler) != SIG_ERR);
    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(before, 0);
    CHECK_RES(nart_rt_shutdown_off(rt, SIGUSR1), 0);
    had_before();
    CHECK_RES(nart_rt_shutdown_off(rt, SIGUSR1), NART_ESTALE);
    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    rt_close();
    had_before();
}

/* The signal arrived while the runtime owned it, so it counts although no tick has seen it. */
TEST_WITH(a_signal_right_before_it_is_given_back, rt)
{
    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR2), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_RES(nart_rt_shutdown_off(rt, SIGUSR1), 0);
    CHECK(nart_rt_is_shutdown(rt));
}

/* SIGTERM kills by default: after the runtime is freed it does so again. */
TEST(after_the_runtime_a_signal_kills_again)
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        rt_open();
        CHECK_RES(nart_rt_shutdown_on(rt, SIGTERM), 0);
        rt_close();
        (void)raise(SIGTERM);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
}

TEST(a_signal_has_one_runtime)
{
    nart_rt *first = new_rt(), *second = new_rt();

    CHECK_RES(nart_rt_shutdown_on(first, SIGUSR1), 0);
    CHECK_RES(nart_rt_shutdown_on(first, SIGUSR1), -EBUSY);
    CHECK_RES(nart_rt_shutdown_on(second, SIGUSR1), -EBUSY);
    CHECK_RES(nart_rt_shutdown_off(second, SIGUSR1), NART_ESTALE);
    CHECK_RES(nart_rt_shutdown_on(second, SIGUSR2), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    settle(first);
    settle(second);
    CHECK(!nart_rt_is_shutdown(first));
    CHECK(nart_rt_is_shutdown(second));
    CHECK_RES(nart_rt_free(first), 0);
    CHECK_RES(nart_rt_shutdown_on(second, SIGUSR1), 0);
    CHECK_RES(nart_rt_free(second), 0);
}

/* A signal that arrived before the runtime took it over does not count. */
TEST(an_old_signal_does_not_count)
{
    nart_rt *first = new_rt();

    CHECK_RES(nart_rt_shutdown_on(first, SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_RES(nart_rt_free(first), 0);
    nart_rt *second = new_rt();
    CHECK_RES(nart_rt_shutdown_on(second, SIGUSR1), 0);
    CHECK_RES(nart_remote_spawn(nart_rt_remote(second), &server_type, NULL), 0);
    settle(second);
    CHECK(!nart_rt_is_shutdown(second));
    CHECK_RES(nart_rt_free(second), 0);
}

TEST_WITH(signals_that_cannot_be_received, rt)
{
    CHECK_RES(nart_rt_shutdown_on(rt, 0), -EINVAL);
    CHECK_RES(nart_rt_shutdown_on(rt, -3), -EINVAL);
    CHECK_RES(nart_rt_shutdown_on(rt, 100000), -EINVAL);
    CHECK_RES(nart_rt_shutdown_on(rt, SIGKILL), -EINVAL);
    CHECK_RES(nart_rt_shutdown_on(rt, SIGKILL), -EINVAL); /* the failure left no owner */
    CHECK_RES(nart_rt_shutdown_off(rt, 0), -EINVAL);
    CHECK_RES(nart_rt_shutdown_on(NULL, SIGTERM), -EINVAL);
}

/* On a thread with a small stack the handler runs on the alternate signal stack. */
TEST_WITH(a_handler_runs_on_the_stack_that_a_thread_has_for_signals, rt)
{
    static char other[1 << 16];
    const stack_t stack = { .ss_sp = other, .ss_size = sizeof other };
    const stack_t none = { .ss_flags = SS_DISABLE };
    size_t used = 0;

    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(sigaltstack(&none, NULL), 0);
    for (size_t i = 0; i < sizeof other; i++)
        used += other[i] != 0;
    CHECK_LE(1, used);
    settle(rt);
    CHECK(nart_rt_is_shutdown(rt));
}

/* Signals between any two instructions of a busy loop: none is lost, nothing breaks. */
static void *storm(void *arg)
{
    pthread_t *loop = arg;

    for (int i = 0; i < 2000; i++)
        CHECK_EQ(pthread_kill(*loop, SIGUSR1), 0);
    return NULL;
}

static nart_res yields_run(nart_cx *cx, void *frame)
{
    int *left = frame;

    if (--*left <= 0)
        return 0;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static const nart_task_type yields_type = NART_TASK_TYPE(int, yields_run, NULL);

TEST_WITH(a_storm_of_signals_on_a_working_loop, rt)
{
    pthread_t thread, self = pthread_self();
    const int turns = 200000;

    CHECK_RES(nart_rt_shutdown_on(rt, SIGUSR1), 0);
    for (int i = 0; i < 4; i++)
        CHECK_RES(nart_rt_spawn(rt, &yields_type, &turns, NULL), 0);
    thread = thread_start(storm, &self);
    CHECK_RES(nart_rt_run(rt), 0);
    thread_join(thread);
    settle(rt);
    CHECK(nart_rt_is_shutdown(rt));
}

/* exec resets a handled signal to its default, even one that was ignored before. */
TEST(exec_sets_the_signal_to_its_default)
{
    int status;

    CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
    pid_t child = fork();
    CHECK_LE(0, child);
    if (child == 0) {
        rt_open();
        CHECK_RES(nart_rt_shutdown_on(rt, SIGTERM), 0);
        execl("/bin/sh", "sh", "-c", "kill -s TERM $$", (char *)NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
