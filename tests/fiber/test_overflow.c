/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Overflows of stacks: the fiber's name, then the signal. Every other fault reaches whom it reached before. */
#include "../core/core.h"

#include <nart/fiber.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static nart_rt *rt;

/* ---- a child process that ends by a signal ---- */

static char said[4096];

static int run_child(void (*fn)(void))
{
    int out[2], status = 0;
    size_t n = 0;
    ssize_t got;

    CHECK_EQ(pipe(out), 0);
    pid_t child = fork();
    CHECK_LE(0, child);
    if (child == 0) {
        CHECK_EQ(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }), 0);
        CHECK_EQ(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
        (void)alarm(30);
        fn();
        _exit(98);
    }
    close(out[1]);
    while ((got = read(out[0], said + n, sizeof said - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    close(out[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

/* ---- faults ---- */

static int zero;
static int *volatile bad = (int *)8;

/* The frame is smaller than the guard, and there is no end. */
__attribute__((noinline)) static int descends(int n)
{
    volatile char frame[512];

    frame[0] = (char)n;
    return frame[zero] + (n < 0 ? 0 : descends(n + 1)) + frame[zero];
}

static nart_res falls(nart_cx *cx, void *arg)
{
    (void)arg;
    (void)nart_yield(cx);
    return descends(0);
}

static nart_res faults(nart_cx *cx, void *arg)
{
    (void)arg;
    (void)nart_yield(cx);
    *(volatile int *)bad = 1;
    return 0;
}

static nart_res writes_low(nart_cx *cx, void *arg)
{
    (void)arg;
    (void)nart_yield(cx);
    ((volatile char *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))[5] = 1;
    return 0;
}

static nart_res ends(nart_cx *cx, void *arg)
{
    (void)arg;
    return nart_yield(cx);
}

#define BLOCK_ON(fn) ((void)nart_fiber_block_on(rt, fn, NULL, NULL, &(nart_res){ 0 }))

static void falls_on_main(void)
{
    rt = new_rt();
    BLOCK_ON(ends);
    BLOCK_ON(falls);
}

static void *falls_there(void *arg)
{
    (void)arg;
    falls_on_main();
    return NULL;
}

static void falls_on_thread(void)
{
    pthread_t thread;

    rt = new_rt(); /* another one, whose fibers were the first */
    BLOCK_ON(ends);
    if (pthread_create(&thread, NULL, falls_there, NULL) == 0)
        (void)pthread_join(thread, NULL);
}

static void *binds_and_falls(void *arg)
{
    (void)arg;
    CHECK_RES(nart_rt_bind(rt), 0);
    BLOCK_ON(falls);
    return NULL;
}

static void falls_on_another_thread(void)
{
    pthread_t thread;

    rt = new_rt();
    BLOCK_ON(ends);
    if (pthread_create(&thread, NULL, binds_and_falls, NULL) == 0)
        (void)pthread_join(thread, NULL);
}

static void falls_when_big(void)
{
    const nart_fiber_opts opts = { .size = sizeof opts, .stack = 1 << 20 };

    rt = new_rt();
    (void)nart_fiber_block_on(rt, falls, NULL, &opts, &(nart_res){ 0 });
}

/* The second of its region, above the stack of another one. */
static void falls_as_second(void)
{
    rt = new_rt();
    CHECK_RES(nart_rt_fiber_spawn(rt, ends, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(rt, falls, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
}

/* A sanitizer ends the process in its own way, after words of its own. */
static void check_faults(void (*fn)(void))
{
    int end = run_child(fn);

#ifdef TEST_SANITIZED
    CHECK(end == SIGSEGV || (end < 0 && end != -98));
#else
    CHECK_EQ(end, SIGSEGV);
#endif
}

static void check_overflow(void (*fn)(void), const char *bytes)
{
    char expected[128];

    check_faults(fn);
    (void)snprintf(expected, sizeof expected,
                   "nart: fiber falls: stack overflow: it has %s bytes: raise "
                   "nart_fiber_opts.stack\n",
                   bytes);
    CHECK(strstr(said, expected));
}

TEST(an_overflow_is_reported_by_name_and_then_a_fault)
{
    check_overflow(falls_on_main, "65536");
}

TEST(an_overflow_on_a_thread_is_reported)
{
    check_overflow(falls_on_thread, "65536");
}

TEST(an_overflow_on_the_thread_to_which_a_runtime_moved_is_reported)
{
    check_overflow(falls_on_another_thread, "65536");
}

TEST(an_overflow_of_a_large_stack_is_reported)
{
    check_overflow(falls_when_big, "1048576");
}

TEST(an_overflow_above_another_stack_is_reported)
{
    check_overflow(falls_as_second, "65536");
}

/* ---- other handlers ---- */

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void with_info(int sig, siginfo_t *info, void *context)
{
    (void)context;
    say(info->si_addr == (void *)8 ? "mine at 8" : "mine");
    CHECK_EQ(sig, SIGSEGV);
    (void)raise(SIGUSR2);
}

static void without_info(int sig)
{
    say("plain");
    CHECK_EQ(sig, SIGSEGV);
    (void)raise(SIGUSR2);
}

static void install_info(void)
{
    struct sigaction act = { .sa_sigaction = with_info, .sa_flags = SA_SIGINFO };
    CHECK_EQ(sigaction(SIGSEGV, &act, NULL), 0);
}

static void install_plain(void)
{
    struct sigaction act = { .sa_handler = without_info };
    CHECK_EQ(sigaction(SIGSEGV, &act, NULL), 0);
}

static void info_overflow(void)
{
    install_info();
    falls_on_main();
}

static void plain_overflow(void)
{
    install_plain();
    falls_on_main();
}

static void info_fault(void)
{
    install_info();
    rt = new_rt();
    BLOCK_ON(faults);
}

static void plain_fault(void)
{
    install_plain();
    rt = new_rt();
    BLOCK_ON(faults);
}

TEST(an_overflow_also_reaches_the_handler_before)
{
    CHECK_EQ(run_child(info_overflow), SIGUSR2);
    CHECK(strstr(said, "fiber falls: stack overflow") && strstr(said, "mine"));
    CHECK_EQ(run_child(plain_overflow), SIGUSR2);
    CHECK(strstr(said, "fiber falls: stack overflow") && strstr(said, "plain"));
}

TEST(another_fault_reaches_the_handler_before)
{
    CHECK_EQ(run_child(info_fault), SIGUSR2);
    CHECK(strstr(said, "mine at 8") && !strstr(said, "nart: "));
    CHECK_EQ(run_child(plain_fault), SIGUSR2);
    CHECK(strstr(said, "plain") && !strstr(said, "nart: "));
}

static void default_fault(void)
{
    rt = new_rt();
    BLOCK_ON(faults);
}

static void default_fault_elsewhere(void)
{
    rt = new_rt();
    BLOCK_ON(writes_low);
}

static void fault_after_fibers(void)
{
    rt = new_rt();
    BLOCK_ON(ends);
    (void)nart_rt_free(rt);
    *(volatile int *)bad = 1;
}

static void ignored_fault(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    default_fault();
}

static void sent_signal(void)
{
    rt = new_rt();
    BLOCK_ON(ends);
    (void)raise(SIGSEGV);
}

static void sent_and_ignored(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    rt = new_rt();
    BLOCK_ON(ends);
    (void)raise(SIGSEGV);
}

TEST(another_fault_ends_the_process_as_before)
{
    void (*const all[])(void) = { default_fault, default_fault_elsewhere, fault_after_fibers,
                                  ignored_fault, sent_signal };

    if (test_under_valgrind())
        SKIP("valgrind does not repeat the access when a handler has returned");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        check_faults(all[i]);
        CHECK(!strstr(said, "nart: "));
    }
    CHECK_EQ(run_child(sent_and_ignored), -98);
}
/* ---- alternate stacks ---- */

static void *has_alternate(void *arg)
{
    stack_t now;

    (void)arg;
    nart_rt *mine = new_rt();
    (void)nart_fiber_block_on(mine, ends, NULL, NULL, &(nart_res){ 0 });
    CHECK_RES(nart_rt_free(mine), 0);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK(!(now.ss_flags & SS_DISABLE));
    return NULL;
}

/* 200 threads, one after another: their alternate stacks are unmapped with them. */
TEST(the_alternate_stack_of_a_thread_ends_with_it)
{
    pthread_t thread;

    for (int i = 0; i < 200; i++) {
        CHECK_EQ(pthread_create(&thread, NULL, has_alternate, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

static void *keeps_its_own(void *arg)
{
    static char memory[65536];
    stack_t mine = { .ss_sp = memory, .ss_size = sizeof memory }, now;

    (void)arg;
    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    nart_rt *r = new_rt();
    (void)nart_fiber_block_on(r, ends, NULL, NULL, &(nart_res){ 0 });
    CHECK_RES(nart_rt_free(r), 0);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK(now.ss_sp == memory);
    mine.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    return NULL;
}

TEST(an_alternate_stack_of_the_user_is_kept)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, keeps_its_own, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- threads ---- */

/* Runtimes of several threads, each with fibers. */
static nart_res yields(nart_cx *cx, void *arg)
{
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_yield(cx), 0);
    return *(int *)arg;
}

static void *runs_many(void *arg)
{
    nart_rt *mine = new_rt();
    int v = 7;

    (void)arg;
    for (int i = 0; i < 50; i++) {
        nart_res r = 0;
        CHECK_RES(nart_fiber_block_on(mine, yields, &v, NULL, &r), 0);
        CHECK_EQ(r, 7);
    }
    CHECK_RES(nart_rt_free(mine), 0);
    return NULL;
}

TEST(each_thread_has_fibers_in_its_own_runtime)
{
    pthread_t thread[4];

    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, runs_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
}
