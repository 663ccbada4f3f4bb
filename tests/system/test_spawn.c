/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Starting a child: what it gets, and every way in which it fails. Faults are injected by replacing functions of the
 * C library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "process_test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int clone_fails, pidfds_fail; /* an error; `pidfds_fail` after so many */
static int pidfds_before;
static long fails; /* this call in the child, with EPERM */
static bool signals_lost;

static int clone_or_fail(int (*fn)(void *), void *stack, int flags, void *arg)
{
    int (*real)(int (*)(void *), void *, int, void *, ...);

    *(void **)(void *)&real = dlsym(RTLD_NEXT, "__clone");
    if (!real)
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "clone");
    if (!clone_fails)
        return real(fn, stack, flags, arg);
    errno = clone_fails;
    return -1;
}

int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    return clone_or_fail(fn, stack, flags, arg);
}

int clone_of_glibc(int (*fn)(void *), void *stack, int flags, void *arg, ...) __asm__("__clone");

int clone_of_glibc(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    return clone_or_fail(fn, stack, flags, arg);
}

static int interrupts; /* so many */

int waitid(idtype_t by, id_t id, siginfo_t *info, int how)
{
    int (*real)(idtype_t, id_t, siginfo_t *, int);

    if (interrupts > 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    *(void **)(void *)&real = dlsym(RTLD_NEXT, "waitid");
    return real(by, id, info, how);
}

/* The child calls it, too, in the memory of this process: after the first call it takes no lock. */
__attribute__((no_sanitize("address", "thread"))) long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long a[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_pidfd_open && pidfds_fail && pidfds_before-- <= 0) {
        errno = pidfds_fail;
        return -1;
    }
    if (number == fails) {
        errno = EPERM;
        return -1;
    }
    if (number == SYS_pidfd_send_signal && signals_lost)
        return 0;
    if (!real)
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* What the child writes to its standard output, up to its end. */
static const char *written(nart_process_opts opts)
{
    static char text[4096];
    size_t len = 0, n;
    int fds[2];

    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    opts.out = (nart_stdio){ .kind = NART_STDIO_FD, .fd = fds[1] };
    nart_process p;
    CHECK_RES(nart_process_spawn(rt, &opts, &p), 0);
    close(fds[1]);
    while ((n = read_pipe(fds[0], text + len, sizeof text - len)) > 0)
        len += n;
    close(fds[0]);
    (void)ended(&p);
    CHECK_RES(nart_process_close(&p), 0);
    return text;
}

static nart_res refused(nart_process_opts opts, const char *step)
{
    nart_process p;

    nart_res r = nart_process_spawn(rt, &opts, &p);
    if (step)
        CHECK_STR(p.failed ? p.failed : "none", step);
    CHECK(!p.child);
    CHECK_EQ(p.pid, 0);
    CHECK(no_child());
    return r;
}

/* ---- what a child gets ---- */

TEST_WITH(environment_and_directory, rt)
{
    const char *const env[] = { "X=7", NULL };

    CHECK_STR(written(OPTS("echo $X; pwd", .env = env, .dir = "/usr")), "7\n/usr\n");
    CHECK_EQ(setenv("Y", "8", 1), 0);
    CHECK_STR(written(SH("echo $Y")), "8\n");
}

TEST_WITH(a_program_is_searched_or_exact, rt)
{
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_EXACT), "execute the program"), -ENOENT);
    CHECK_STR(written(OPTS("echo a", .file = "/bin/sh", .flags = NART_PROCESS_EXACT)), "a\n");
}

TEST_WITH(descriptors_that_change_places, rt)
{
    int a[2], b[2];
    char buf[8];

    CHECK_EQ(pipe2(a, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(b, O_CLOEXEC), 0);
    const nart_process_fd fds[] = { { a[1], b[1] }, { b[1], a[1] } };
    char script[64];
    (void)snprintf(script, sizeof script, "echo a >/dev/fd/%d; echo b >/dev/fd/%d", b[1], a[1]);
    CHECK_EQ(status_of(&OPTS(script, .fds = fds, .nfds = 2)).code, 0);
    CHECK_EQ(read_pipe(a[0], buf, sizeof buf), 2);
    CHECK_STR(buf, "a\n");
    CHECK_EQ(read_pipe(b[0], buf, sizeof buf), 2);
    CHECK_STR(buf, "b\n");
    /* Numbers that are free here, so that the spawn itself may use them meanwhile. */
    int f = dup(0), g = dup(0);
    close(f);
    close(g);
    const nart_process_fd to_free[] = { { a[1], g }, { b[1], f } };
    (void)snprintf(script, sizeof script, "echo a >/dev/fd/%d; echo b >/dev/fd/%d", g, f);
    CHECK_EQ(status_of(&OPTS(script, .fds = to_free, .nfds = 2)).code, 0);
    CHECK_EQ(read_pipe(a[0], buf, sizeof buf), 2);
    CHECK_STR(buf, "a\n");
    for (int i = 0; i < 2; i++)
        close(a[i]), close(b[i]);
}

TEST_WITH(other_descriptors_are_closed, rt)
{
    int kept = dup2(0, 20), high = dup2(0, 60);
    const nart_process_fd pass = { 20, 40 };

    CHECK_LE(0, kept);
    CHECK_LE(0, high);
    CHECK_STR(written(OPTS("for i in 3 20 40 60; do [ -e /proc/$$/fd/$i ] && echo $i; done; true",
                           .fds = &pass, .nfds = 1, .in = { .kind = NART_STDIO_NULL })),
              "40\n");
    close(20);
    close(60);
}

/* A pipe of this process must not become what the child inherits. */
TEST_WITH(a_stream_that_is_closed_here_is_closed_in_the_child, rt)
{
    nart_fd in;
    nart_process p;
    int saved = fcntl(2, F_DUPFD_CLOEXEC, 3);

    close(2);
    nart_res r = nart_process_spawn(
        rt, &OPTS("[ ! -e /proc/$$/fd/2 ]", .in = { .kind = NART_STDIO_PIPE, .pipe = &in }), &p);
    nart_process_status s = ended(&p);
    CHECK_RES(nart_process_close(&p), 0);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_EQ(dup2(saved, 2), 2); /* until now it was a number like others */
    close(saved);
    CHECK_RES(r, 0);
    CHECK_EQ(s.code, 0);
}

TEST_WITH(signals_are_at_their_defaults_and_not_blocked, rt)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_EQ(status_of(&SH("kill -s USR1 $$; exit 0")).signal, SIGUSR1);
    /* those that the C library keeps for itself, too */
    CHECK_EQ(status_of(&SH("grep -q '^SigIgn:[[:space:]]*0*$' /proc/self/status")).code, 0);
}

TEST_WITH(groups_and_sessions, rt)
{
    nart_process p;
    nart_fd out, in;
    char buf[8];

    for (uint32_t flag = NART_PROCESS_GROUP; flag <= NART_PROCESS_SESSION; flag *= 2) {
        CHECK_RES(nart_process_spawn(rt,
                                     &OPTS("sleep 1000 & echo x; read y", .flags = flag,
                                           .in = { .kind = NART_STDIO_PIPE, .pipe = &in },
                                           .out = { .kind = NART_STDIO_PIPE, .pipe = &out }),
                                     &p),
                  0);
        int fd = (int)out.io.drv->io_fd(out.io.host, out.io.id);
        CHECK_EQ(read_pipe(fd, buf, sizeof buf), 2);
        CHECK_EQ(getpgid(p.pid), p.pid);
        CHECK_EQ(getsid(p.pid) == p.pid, flag == NART_PROCESS_SESSION);
        CHECK_RES(nart_process_kill_group(&p, SIGKILL), 0);
        CHECK_EQ(read_pipe(fd, buf, sizeof buf), 0); /* both have ended */
        CHECK_EQ(ended(&p).signal, SIGKILL);
        CHECK_RES(nart_process_kill(&p, SIGKILL), -ESRCH);
        CHECK_RES(nart_process_kill_group(&p, SIGKILL), 0); /* it keeps its number */
        CHECK_RES(nart_process_kill_group(&p, -1), -EINVAL);
        CHECK_RES(nart_process_close(&p), 0);
        CHECK(no_child());
        CHECK_RES(nart_fd_close(&in), 0);
        CHECK_RES(nart_fd_close(&out), 0);
    }
    CHECK_RES(nart_process_spawn(rt, &SH("exit 0"), &p), 0);
    CHECK_RES(nart_process_kill_group(&p, SIGKILL), -EINVAL);
    (void)ended(&p);
    CHECK_RES(nart_process_close(&p), 0);
}

/* ---- who a child is, and what it may use ---- */

TEST_WITH(ids, rt)
{
    const gid_t some[] = { 2347, 2348 };
    nart_process_opts opts =
        OPTS("id -u; id -g; id -G", .flags = NART_PROCESS_UID | NART_PROCESS_GID, .uid = 2345,
             .gid = 2346, .dir = "/");

    if (geteuid() != 0)
        SKIP("only root may change its ids");
    CHECK_EQ(setgroups(2, some), 0);
    CHECK_STR(written(opts), "2345\n2346\n2346\n"); /* the groups of root are left */
    opts.flags |= NART_PROCESS_GROUPS;
    opts.groups = some;
    opts.ngroups = 2;
    CHECK_STR(written(opts), "2345\n2346\n2346 2347 2348\n");
    opts.flags = NART_PROCESS_GID; /* these stay */
    CHECK_STR(written(opts), "0\n2346\n2346 2347 2348\n");
    CHECK_EQ(getuid(), 0);
    CHECK_EQ(getgid(), 0);
}

/* The directory and the program are accessed with the rights of the user. */
TEST_WITH(a_user_without_rights_is_refused, rt)
{
    char name[] = "/tmp/nart-process-XXXXXX";
    nart_process_opts opts = OPTS("exit 0", .flags = NART_PROCESS_UID, .uid = 2345, .dir = name);

    if (geteuid() != 0)
        SKIP("only root may change its ids");
    CHECK(mkdtemp(name) != NULL); /* of mode 0700 */
    CHECK_RES(refused(opts, "change to the directory"), -EACCES);
    CHECK_EQ(rmdir(name), 0);
}

TEST_WITH(ids_that_this_process_may_not_give_are_refused, rt)
{
    const gid_t some[] = { 2347 };

    if (geteuid() == 0)
        CHECK_EQ(setresuid(2345, 2345, 2345), 0);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_UID, .uid = 0), "set the user"), -EPERM);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_GID, .gid = 1), "set the group"), -EPERM);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_GROUPS, .groups = some, .ngroups = 1),
                      "set the supplementary groups"),
              -EPERM);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_NICE, .nice = -5), "set the priority"),
              -EACCES);
    CHECK_EQ(status_of(&OPTS("exit 3", .flags = NART_PROCESS_UID, .uid = getuid())).code, 3);
}

TEST_WITH(umask_priority_and_limits, rt)
{
    const nart_process_limit limits[] = { { .resource = RLIMIT_NOFILE, .soft = 50, .hard = 60 },
                                          { .resource = RLIMIT_CORE, .soft = 0, .hard = 0 } },
                             bad = { .resource = -1 };
    mode_t before = umask(022);

    CHECK_STR(written(OPTS("umask; nice; ulimit -n; ulimit -Hn",
                           .flags = NART_PROCESS_UMASK | NART_PROCESS_NICE, .umask = 0137,
                           .nice = 7, .limits = limits, .nlimits = 2)),
              "0137\n7\n50\n60\n");
    CHECK_EQ(umask(before), 022);
    CHECK_RES(refused(OPTS("", .limits = &bad, .nlimits = 1), "set the limits"), -EINVAL);
}

static void spawn_and_die(void *arg)
{
    const int *fd = arg;
    nart_process p;

    rt_open();
    CHECK_RES(nart_process_spawn(rt,
                                 &OPTS("exec sleep 1000", .flags = NART_PROCESS_DIE_WITH_PARENT,
                                       .out = { .kind = NART_STDIO_FD, .fd = *fd }),
                                 &p),
              0);
    CHECK_EQ(write(*fd, "x", 1), 1);
}

TEST(a_child_dies_with_its_parent)
{
    int fds[2];
    char buf[8];

    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    in_fork(spawn_and_die, &fds[1]);
    close(fds[1]);
    CHECK_EQ(read_pipe(fds[0], buf, sizeof buf), 1);
    CHECK_EQ(read_pipe(fds[0], buf, sizeof buf), 0); /* nobody can write any more */
    close(fds[0]);
}

/* ---- failures ---- */

TEST_WITH(programs_that_cannot_be_executed, rt)
{
    const char *const program = "execute the program";
    char name[] = "/tmp/nart-process-XXXXXX";
    int fd = mkstemp(name);

    CHECK_EQ(write(fd, "\0garbage", 8), 8);
    CHECK_EQ(fchmod(fd, 0600), 0);
    CHECK_RES(refused(OPTS("", .file = name), program), -EACCES);
    CHECK_EQ(fchmod(fd, 0700), 0);
    CHECK_RES(refused(OPTS("", .file = name), program), -ETXTBSY);
    close(fd);
    CHECK_RES(refused(OPTS("", .file = name), program), -ENOEXEC);
    CHECK_EQ(unlink(name), 0);
    CHECK_RES(refused(OPTS("", .file = name), program), -ENOENT);
    CHECK_RES(refused(OPTS("", .file = "no-such-program"), program), -ENOENT);
    CHECK_RES(refused(OPTS("", .file = "/etc/passwd/x"), program), -ENOTDIR);
    CHECK_RES(refused(OPTS("", .dir = "/no/such"), "change to the directory"), -ENOENT);
    CHECK_RES(refused(OPTS("", .dir = "/etc/passwd"), "change to the directory"), -ENOTDIR);
}

static nart_process_opts with(const char *const *argv, size_t size)
{
    return (nart_process_opts){ .size = size, .argv = argv };
}

TEST_WITH(bad_input, rt)
{
    const nart_process_fd low = { 0, 2 }, high = { 0, NART_PROCESS_FD_MAX + 1 },
                          closed = { 999, 5 };
    const nart_process_limit limit = { .resource = RLIMIT_CORE };
    const char *const none[] = { NULL };
    nart_process p;

    CHECK_RES(refused(with(NULL, sizeof(nart_process_opts)), "none"), -EINVAL);
    CHECK_RES(refused(with(none, sizeof(nart_process_opts)), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .flags = 1u << 30), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_NICE, .nice = 20), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_NICE, .nice = -21), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_UID, .uid = (uid_t)-1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_GID, .gid = (gid_t)-1), "none"), -EINVAL);
    CHECK_RES(refused(with(SCRIPT(""), 8), "none"), NART_EABI);
    CHECK_RES(refused(OPTS("", .out = { .kind = NART_STDIO_PIPE }), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .in = { .kind = (nart_stdio_kind)9 }), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .fds = &low, .nfds = 1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .fds = &high, .nfds = 1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .nfds = 1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .nlimits = 1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .limits = &limit, .nlimits = NART_PROCESS_LIMITS + 1), "none"),
              -EINVAL);
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_GROUPS, .ngroups = 1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .fds = &low, .nfds = NART_PROCESS_FDS + 1), "none"), -EINVAL);
    CHECK_RES(refused(OPTS("", .fds = &closed, .nfds = 1), "pass the descriptors"), -EBADF);
    CHECK_RES(refused(OPTS("", .err = { .kind = NART_STDIO_FD, .fd = 999 }), NULL), -EBADF);
    CHECK_RES(nart_process_spawn(rt, NULL, &p), -EINVAL);
    CHECK_RES(nart_process_spawn(rt, &SH(""), NULL), -EINVAL);
    CHECK_RES(nart_process_spawn(NULL, &SH(""), &p), -EINVAL);
}

TEST_WITH(no_process_no_memory, rt)
{
    clone_fails = EAGAIN;
    CHECK_RES(refused(SH(""), "start a process"), -EAGAIN);
    clone_fails = ENOMEM;
    CHECK_RES(refused(SH(""), "start a process"), -ENOMEM);
}

TEST_WITH(the_system_has_no_pidfds, rt)
{
    pidfds_fail = ENOSYS;
    CHECK_RES(refused(SH(""), "watch processes: pidfds need Linux 5.4"), -ENOSYS);
}

TEST_WITH(a_child_that_cannot_be_watched_is_killed, rt)
{
    pidfds_fail = EMFILE;
    pidfds_before = 1; /* whether there are any */
    nart_process p;
    CHECK_RES(nart_process_spawn(rt, &SH("while :; do :; done"), &p), -EMFILE);
    CHECK_STR(p.failed, "watch the process");
    CHECK(!p.child);
    pidfds_fail = 0;
    one_has_ended();
    all_are_reaped();
}

TEST_WITH(a_wait_is_interrupted, rt)
{
    nart_process p;

    CHECK_RES(nart_process_spawn(rt, &SH("exit 4"), &p), 0);
    one_has_ended();
    interrupts = 5;
    CHECK_EQ(ended(&p).code, 4);
    CHECK_EQ(interrupts, 0);
    CHECK_RES(nart_process_close(&p), 0);
}

TEST_WITH(each_step_of_a_child_may_fail, rt)
{
    const nart_process_limit limit = { .resource = RLIMIT_CORE };
    const uint32_t ids = NART_PROCESS_UID | NART_PROCESS_GID | NART_PROCESS_GROUPS;
    const struct {
        long call;
        const char *step;
        nart_process_opts opts;
    } steps[] = {
        { SYS_setsid, "lead a session or a group", OPTS("", .flags = NART_PROCESS_SESSION) },
        { SYS_setpgid, "lead a session or a group", OPTS("", .flags = NART_PROCESS_GROUP) },
        { SYS_dup3, "pass the descriptors", SH("") },
        { SYS_close_range, "pass the descriptors", SH("") },
        { SYS_setpriority, "set the priority", OPTS("", .flags = NART_PROCESS_NICE) },
        { SYS_prlimit64, "set the limits", OPTS("", .limits = &limit, .nlimits = 1) },
        { SYS_setgroups, "set the supplementary groups", OPTS("", .flags = ids) },
        { SYS_setresgid, "set the group", OPTS("", .flags = NART_PROCESS_GID, .gid = getgid()) },
        { SYS_setresuid, "set the user", OPTS("", .flags = NART_PROCESS_UID, .uid = getuid()) },
        { SYS_prctl, "die with the parent", OPTS("", .flags = NART_PROCESS_DIE_WITH_PARENT) },
        { SYS_chdir, "change to the directory", OPTS("", .dir = "/") },
        { SYS_execve, "execute the program", SH("") },
    };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        fails = steps[i].call;
        CHECK_RES(refused(steps[i].opts, steps[i].step), -EPERM);
    }
    fails = SYS_getppid; /* as if the parent had died before */
    CHECK_RES(refused(OPTS("", .flags = NART_PROCESS_DIE_WITH_PARENT), "die with the parent"),
              -ESRCH);
    fails = 0;
    CHECK_EQ(status_of(&SH("exit 3")).code, 3);
}

/* As one in an uninterruptible system call: it does not die. */
TEST_WITH(a_child_that_does_not_die_holds_up_nothing, rt)
{
    nart_process p;
    nart_fd in;
    const nart_process_opts opts =
        OPTS("read x", .flags = NART_PROCESS_KILL, .in = { .kind = NART_STDIO_PIPE, .pipe = &in });

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_process_spawn(rt, &opts, &p), 0);
    struct op op = op_of(STOPS, &p);
    signals_lost = true;
    op.limit = 3 * NART_SEC; /* SIGKILL is sent after one */
    op_start(rt, &op);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    settle(rt);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_rt_clock_advance(rt, 2 * NART_SEC), 0);
    settle(rt);
    CHECK_RES(op.res, -ETIMEDOUT);
    CHECK_RES(nart_process_close(&p), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_fd_close(&in), 0); /* ends it */
    reaped_by_the_loop();
}

TEST_WITH(sigchld_is_ignored, rt)
{
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    CHECK_RES(refused(SH(""), "wait for children: SIGCHLD is ignored"), -ECHILD);
}

/* With one descriptor more in each turn: nothing is left of a spawn that fails. */
TEST_WITH(too_few_descriptors, rt)
{
    struct rlimit before, now;
    nart_fd in, out;
    nart_process p;
    nart_res r = -EMFILE;
    int refusals = 0;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    int free_fd = dup(0);
    close(free_fd);
    for (now.rlim_cur = (rlim_t)free_fd; r == -EMFILE; now.rlim_cur++) {
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
        r = nart_process_spawn(rt,
                               &OPTS("exit 3", .in = { .kind = NART_STDIO_PIPE, .pipe = &in },
                                     .out = { .kind = NART_STDIO_PIPE, .pipe = &out },
                                     .err = { .kind = NART_STDIO_NULL }),
                               &p);
        refusals += r == -EMFILE;
        if (r)
            CHECK(!in.io.drv && !out.io.drv);
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_RES(r, 0);
    CHECK_LE(5, refusals);
    CHECK_EQ(ended(&p).code, 3);
    CHECK_RES(nart_process_close(&p), 0);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fd_close(&out), 0);
    all_are_reaped(); /* also those that ran when a descriptor was missing */
}
