/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Child processes do not start with the signal mask of the bridge's threads. */
#include "bridge.h"
#include "threads.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The blocked ones of the first 64 signals. */
static uint64_t of_this_thread(void)
{
    sigset_t set;
    uint64_t mask = 0;

    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    for (int i = 1; i <= 64; i++)
        if (sigismember(&set, i) == 1)
            mask |= UINT64_C(1) << (i - 1);
    return mask;
}

static uint64_t of_a_fork(void)
{
    int ends[2];
    uint64_t mask = 0;

    CHECK_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mask = of_this_thread();
        _exit(write(ends[1], &mask, sizeof mask) == sizeof mask ? 0 : 1);
    }
    CHECK_EQ(read(ends[0], &mask, sizeof mask), sizeof mask);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    close(ends[0]);
    close(ends[1]);
    return mask;
}

/* Without a shell, which may clear its mask. */
static uint64_t of_a_command(void)
{
    char *const argv[] = { "cat", "/proc/self/status", NULL }, *const env[] = { NULL };
    static char status[8192];
    posix_spawn_file_actions_t actions;
    int ends[2];
    size_t len = 0;
    pid_t child;

    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
    CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    nart_tokio_child_signals(true);
    CHECK_EQ(posix_spawn(&child, "/bin/cat", &actions, NULL, argv, env), 0);
    nart_tokio_child_signals(false);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], status + len, sizeof status - 1 - len)) > 0;)
        len += (size_t)n;
    status[len] = '\0';
    close(ends[0]);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    const char *line = strstr(status, "SigBlk:");
    CHECK(line != NULL);
    return strtoull(line + 7, NULL, 16);
}

struct masks {
    uint64_t fork, command, own_before, own_after;
};

static nart_res look(void *arg, const nart_tokio_stop *stop)
{
    struct masks *m = arg;

    (void)stop;
    m->own_before = of_this_thread();
    m->fork = of_a_fork();
    m->command = of_a_command();
    m->own_after = of_this_thread();
    return 0;
}

static uint64_t bit(int signal)
{
    return UINT64_C(1) << (signal - 1);
}

/* SIGUSR1 is blocked by the program, SIGPIPE by the bridge. */
static void block_usr1(void)
{
    sigset_t usr1;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &usr1, NULL), 0);
}

TEST(a_child_of_a_blocking_function_has_the_programs_mask)
{
    struct masks m = { 0 };
    nart_tokio_op op = { 0 };

    block_usr1();
    both_open();
    for (int i = 0; i < 2; i++) { /* the second time on a thread that ran the first */
        CHECK_RES(nart_tokio_blocking(bridge, "look", look, &m, NULL, &op), 0);
        CHECK_RES(wait_for_answer(&op, NULL), 0);
        nart_tokio_op_close(&op);
        CHECK_EQ(m.fork, bit(SIGUSR1));
        CHECK_EQ(m.command, bit(SIGUSR1));
        CHECK(m.own_before & bit(SIGTERM) && m.own_before & bit(SIGPIPE));
        CHECK_EQ(m.own_after, m.own_before);
    }
    both_close();
}

TEST(a_child_of_the_loops_thread_has_the_programs_mask)
{
    struct masks m = { 0 };
    nart_tokio *second;

    block_usr1();
    both_open();
    CHECK_RES(nart_tokio_new(NULL, &second), 0); /* finds SIGPIPE blocked */
    CHECK_RES(look(&m, NULL), 0);
    CHECK_EQ(m.fork, bit(SIGUSR1));
    CHECK_EQ(m.command, bit(SIGUSR1));
    CHECK_EQ(m.own_before, bit(SIGUSR1) | bit(SIGPIPE));
    CHECK_EQ(m.own_after, m.own_before);
    nart_tokio_free(second);
    both_close();
    CHECK_RES(look(&m, NULL), 0);
    CHECK_EQ(m.own_before, bit(SIGUSR1));
    CHECK_EQ(m.fork, bit(SIGUSR1));
}

/* A SIGPIPE that was kept pending does not end the program when its child is started. */
TEST(a_pending_sigpipe_is_discarded)
{
    both_open();
    CHECK_EQ(pthread_kill(pthread_self(), SIGPIPE), 0);
    CHECK_EQ(of_a_command(), 0);
    both_close();
}

static nart_res leave_open(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    nart_tokio_child_signals(true);
    nart_tokio_child_signals(true);
    CHECK_EQ(of_this_thread(), 0);
    return 0;
}

TEST_WITH(a_function_that_returns_with_the_mask_of_children, both)
{
    struct masks m = { 0 };
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_blocking(bridge, "open", leave_open, NULL, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_blocking(bridge, "look", look, &m, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    CHECK(m.own_before & bit(SIGTERM));
}

/* In the child the block of SIGPIPE has ended; a bridge that it makes blocks it again. */
TEST(a_child_can_make_a_bridge_of_its_own)
{
    both_open();
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        nart_tokio *own;
        CHECK_EQ(of_this_thread(), 0);
        CHECK_RES(nart_tokio_new(NULL, &own), 0);
        CHECK_EQ(of_this_thread(), bit(SIGPIPE));
        nart_tokio_free(bridge); /* the parent's */
        CHECK_EQ(of_this_thread(), bit(SIGPIPE));
        CHECK_RES(nart_tokio_shutdown(own, 30 * NART_SEC, NULL), 0);
        nart_tokio_free(own);
        CHECK_EQ(of_this_thread(), 0);
        end_leaking_child();
    }
    check_child(child);
    CHECK_EQ(of_this_thread(), bit(SIGPIPE));
    both_close();
}
