/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bridge's threads do not use the loop's CPU and policy, or handle its signals. */
#include "bridge.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static uint64_t meeting;

/* False if the thread has ended. */
static bool read_status(int tid, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
    return n > 0;
}

/* Calls look(tid, status) for every thread but this one and that of a sanitizer; how many there are. */
static int each_thread(void (*look)(int tid, const char *status))
{
    static char status[8192];
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        int tid = atoi(e->d_name);
        if (tid == 0 || tid == (int)syscall(SYS_gettid) || tid == test_sanitizer_thread())
            continue;
        if (read_status(tid, status, sizeof status)) {
            look(tid, status);
            n++;
        }
    }
    closedir(dir);
    return n;
}

/* Opens the bridge, with two workers and two blocking threads that run. */
static void open_threads(const nart_tokio_opts *given, nart_tokio_op ops[2])
{
    nart_tokio_opts opts = given ? *given : (nart_tokio_opts)NART_TOKIO_OPTS_INIT;

    opts.workers = 2;
    CHECK_RES(nart_tokio_new(&opts, &bridge), 0);
    test_at_end(both_close);
    for (int i = 0; i < 2; i++)
        CHECK_RES(nart_tokio_blocking(bridge, "hold", held_job, NULL, NULL, &ops[i]), 0);
    wait_for(&jobs_held, 2); /* a thread that runs a function has set its attributes */
    nart_tokio_op workers[2] = { 0 };
    for (int i = 0; i < 2; i++) /* they wait for each other, so each occupies a worker */
        CHECK_RES(test_block_worker(bridge, &meeting, &workers[i]), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(wait_for_answer(&workers[i], NULL), 0);
        nart_tokio_op_close(&workers[i]);
    }
}

static void let_go(nart_tokio_op ops[2])
{
    set_word(&job_gate, 1);
    for (int i = 0; i < 2; i++)
        nart_tokio_op_close(&ops[i]);
}

/* ---- all threads or none ---- */

static void ignore(int tid, const char *status)
{
    (void)tid;
    (void)status;
}

/* One more than the workers: the one that builds the runtime. */
TEST(without_all_its_threads_a_bridge_is_not_made)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    sigset_t mask;
    int threads = each_thread(ignore);
    for (opts.workers = 1; opts.workers <= 4; opts.workers++)
        for (unsigned allowed = 0; allowed <= opts.workers; allowed++) {
            allow_threads(allowed);
            CHECK_RES(nart_tokio_new(&opts, &bridge), -EAGAIN);
            CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
            CHECK_EQ(sigismember(&mask, SIGTERM), 0);
            while (each_thread(ignore) > threads) /* those that had started end by themselves */
                sched_yield();
        }
    allow_threads(INT64_MAX);
    opts.workers = 4;
    CHECK_RES(nart_tokio_new(&opts, &bridge), 0);
    test_at_end(both_close);
}

/* Five threads are tried, then started. In a child, because tokio leaks descriptors here. */
TEST(a_thread_that_is_refused_at_the_last_moment)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.workers = 4;
    for (int more = 0; more <= 5; more++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            allow_threads(5 + more);
            nart_res r = nart_tokio_new(&opts, &bridge);
            if (r != (more < 5 ? -EAGAIN : 0))
                _exit(1);
            end_leaking_child();
        }
        check_child(child);
    }
}

/* ---- signals ---- */

static bool is_fault(int s)
{
    return s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL || s == SIGTRAP;
}

static void check_signals(int tid, const char *status)
{
    const char *line = strstr(status, "SigBlk:");
    (void)tid;
    CHECK(line != NULL);
    unsigned long long blocked = strtoull(line + 7, NULL, 16);
    for (int s = 1; s < 32; s++)
        if (s != SIGKILL && s != SIGSTOP && !is_fault(s))
            CHECK(blocked >> (s - 1) & 1);
}

TEST(signals_are_blocked)
{
    nart_tokio_op ops[2] = { 0 };
    if (test_under_valgrind()) /* the case after this one asks a thread, and not the kernel */
        SKIP("what the kernel knows of a thread's signals is valgrind's own then");
    open_threads(NULL, ops);
    CHECK_EQ(each_thread(check_signals), 4);
    let_go(ops);
}

static nart_res mask_of_the_thread(void *arg, const nart_tokio_stop *stop)
{
    (void)stop;
    return pthread_sigmask(SIG_BLOCK, NULL, arg);
}

/* A handler that reports a crash, such as Rust's of an overflown stack, has to be called. */
TEST(faults_are_not_blocked)
{
    nart_tokio_op op;
    sigset_t mask;
    CHECK_RES(nart_tokio_new(NULL, &bridge), 0);
    test_at_end(both_close);
    CHECK_RES(nart_tokio_blocking(bridge, "mask", mask_of_the_thread, &mask, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    for (int s = 1; s < 32; s++)
        if (is_fault(s))
            CHECK_EQ(sigismember(&mask, s), 0);
    CHECK_EQ(sigismember(&mask, SIGTERM), 1);
}

/* A loop reads its signals from a descriptor: no thread of the bridge handles one. */
TEST(a_signal_for_the_process_waits_for_the_loop)
{
    nart_tokio_op ops[2] = { 0 };
    struct signalfd_siginfo info;
    sigset_t term;

    open_threads(NULL, ops); /* before the loop blocks it, so they have not inherited that */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &term, NULL), 0);
    int fd = signalfd(-1, &term, SFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
    CHECK_EQ(info.ssi_signo, SIGTERM);
    close(fd);
    let_go(ops);
}

static volatile sig_atomic_t interrupts;

static void on_alarm(int signal)
{
    (void)signal;
    interrupts++;
}

static nart_res yields(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    sched_yield();
    return 0;
}

/* Whatever the loop's thread waits for is interrupted every 100 us, also the start and the end of a bridge. */
TEST(a_storm_of_signals_interrupts_nothing)
{
    struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
    struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };

    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (interrupts < 1000) {
        nart_tokio_op ops[3] = { 0 };
        nart_tokio_local local = { 0 };
        both_open();
        CHECK_RES(test_sleep(bridge, 1, &ops[0]), 0);
        CHECK_RES(nart_tokio_blocking(bridge, "yields", yields, NULL, NULL, &ops[1]), 0);
        CHECK_RES(nart_tokio_resolve(bridge, "localhost:80", &ops[2]), 0);
        CHECK_RES(test_local_ping_pong(bridge, 100, &local), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_RES(await_op(&ops[i], NULL), 0);
            nart_tokio_op_close(&ops[i]);
        }
        CHECK_RES(await_local(&local, NULL), 0);
        CHECK_RES(nart_tokio_local_close(&local), 0);
        both_close();
    }
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
}

static bool sigpipe_blocked(void)
{
    sigset_t now;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    return sigismember(&now, SIGPIPE) == 1;
}

TEST(sigpipe_is_blocked_until_the_bridge_is_freed)
{
    CHECK(!sigpipe_blocked());
    nart_tokio *a, *b;
    CHECK_RES(nart_tokio_new(NULL, &a), 0);
    CHECK_RES(nart_tokio_new(NULL, &b), 0);
    CHECK(sigpipe_blocked());
    CHECK_EQ(pthread_kill(pthread_self(), SIGPIPE), 0);
    nart_tokio_free(a);
    CHECK(sigpipe_blocked());
    nart_tokio_free(b); /* eats the pending one, or this process ends */
    CHECK(!sigpipe_blocked());
}

TEST(sigpipe_is_unchanged_with_the_option)
{
    sigset_t set;
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio *a;

    opts.flags = NART_TOKIO_KEEP_SIGPIPE;
    CHECK_RES(nart_tokio_new(&opts, &a), 0);
    CHECK(!sigpipe_blocked());
    nart_tokio_free(a);

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_RES(nart_tokio_new(NULL, &a), 0);
    nart_tokio_free(a);
    CHECK(sigpipe_blocked()); /* it was before, so it stays */
}

/* The mask of this thread is not touched but for SIGPIPE, also by what starts threads. */
TEST(the_callers_mask_is_restored)
{
    sigset_t before, after;
    nart_tokio_op ops[2] = { 0 };
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;

    opts.flags = NART_TOKIO_KEEP_SIGPIPE;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    open_threads(&opts, ops);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    for (int s = 1; s < 32; s++)
        CHECK_EQ(sigismember(&before, s), sigismember(&after, s));
    let_go(ops);
}

/* ---- CPUs ---- */

static size_t loop_cpu;

static void check_elsewhere(int tid, const char *status)
{
    cpu_set_t set;
    (void)status;
    CHECK_EQ(sched_getaffinity(tid, sizeof set, &set), 0);
    CHECK(!CPU_ISSET(loop_cpu, &set));
}

static void check_here(int tid, const char *status)
{
    cpu_set_t set;
    (void)status;
    CHECK_EQ(sched_getaffinity(tid, sizeof set, &set), 0);
    CHECK_EQ(CPU_COUNT(&set), 1);
    CHECK(CPU_ISSET(loop_cpu, &set));
}

/* Pins this thread to the first of at least two CPUs. */
static void pin_or_skip(void)
{
    cpu_set_t set, one;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    if (CPU_COUNT(&set) < 2)
        SKIP("needs two CPUs, and this process may use %d", CPU_COUNT(&set));
    while (!CPU_ISSET(loop_cpu, &set))
        loop_cpu++;
    CPU_ZERO(&one);
    CPU_SET(loop_cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
}

TEST(the_cpu_of_a_pinned_loop_is_not_used)
{
    nart_tokio_op ops[2] = { 0 };
    pin_or_skip();
    open_threads(NULL, ops);
    CHECK_EQ(each_thread(check_elsewhere), 4);
    let_go(ops);
}

static bool ender_is_elsewhere;

static void look_for_ender(int tid, const char *status)
{
    cpu_set_t set;
    if (strncmp(status, "Name:\tnart-tokio-end\n", 21) != 0)
        return;
    if (sched_getaffinity(tid, sizeof set, &set) == 0 && !CPU_ISSET(loop_cpu, &set))
        ender_is_elsewhere = true;
}

/* The thread that waits for a shutdown, once it has begun. */
TEST(the_cpu_of_a_pinned_loop_is_not_used_during_shutdown)
{
    nart_tokio_op ops[2] = { 0 }, end = { 0 };
    pin_or_skip();
    open_threads(NULL, ops);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, 30 * NART_SEC, &end), 0);
    while (!ender_is_elsewhere) {
        each_thread(look_for_ender);
        let_others_run();
    }
    let_go(ops);
    CHECK_RES(wait_for_answer(&end, NULL), 0);
    nart_tokio_op_close(&end);
}

TEST(explicit_cpus_are_used)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[2] = { 0 };
    pin_or_skip();
    uint32_t cpu = (uint32_t)loop_cpu;
    opts.cpus = &cpu;
    opts.n_cpus = 1;
    open_threads(&opts, ops);
    CHECK_EQ(each_thread(check_here), 4);
    let_go(ops);
}

/* ---- policy and names ---- */

static void check_policy(int tid, const char *status)
{
    (void)status;
    CHECK_EQ(sched_getscheduler(tid), SCHED_OTHER);
}

TEST(threads_of_a_real_time_loop_are_not_real_time)
{
    nart_tokio_op ops[2] = { 0 };
    struct sched_param high = { .sched_priority = 1 };
    if (sched_setscheduler(0, SCHED_RR, &high) < 0)
        SKIP("this process may not use SCHED_RR");
    open_threads(NULL, ops);
    CHECK_EQ(each_thread(check_policy), 4);
    let_go(ops);
}

static void check_name(int tid, const char *status)
{
    (void)tid;
    CHECK(strncmp(status, "Name:\tcold\n", 11) == 0);
}

TEST(threads_have_the_bridges_name)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[2] = { 0 };
    opts.name = "cold";
    open_threads(&opts, ops);
    CHECK_EQ(each_thread(check_name), 4);
    let_go(ops);
}
