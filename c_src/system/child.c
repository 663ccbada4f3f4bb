/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* child.c: the system calls on child processes. The start is posix_spawn(): it shares the memory of this process
 * until exec, so its cost does not depend on the size of that, and reports the errors of the child. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { BY_PIDFD = 3 }; /* P_PIDFD, which older headers lack */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static nart_res answer(long r)
{
    return r < 0 ? -errno : r;
}

static int close_others(posix_spawn_file_actions_t *fa, const nart__child_fd *fds, size_t n)
{
    bool passed[NART_PROCESS_FD_MAX + 1] = { false };
    int err = 0, last = 2;

    for (size_t i = 0; i < n; i++) {
        passed[fds[i].as] = true;
        last = fds[i].as > last ? fds[i].as : last;
    }
    for (int fd = 3; fd < last && !err; fd++) /* of a closed one it is no error */
        if (!passed[fd])
            err = posix_spawn_file_actions_addclose(fa, fd);
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
    if (!err)
        err = posix_spawn_file_actions_addclosefrom_np(fa, last + 1);
#endif
    return err;
}

static int fill(posix_spawn_file_actions_t *fa, posix_spawnattr_t *attr, const nart_process_opts *o,
                const nart__child_fd *fds, size_t n)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t all, none;
    int err = o->dir ? posix_spawn_file_actions_addchdir_np(fa, o->dir) : 0;

    for (size_t i = 0; i < n && !err; i++)
        err = posix_spawn_file_actions_adddup2(fa, fds[i].fd, fds[i].as);
    if (!err)
        err = close_others(fa, fds, n);
    if (o->flags & NART_PROCESS_SESSION)
        flags |= POSIX_SPAWN_SETSID;
    else if (o->flags & NART_PROCESS_GROUP)
        flags |= POSIX_SPAWN_SETPGROUP; /* 0, the default: its own */
    /* sigfillset() omits the signals of the C library, which it then ignores in the child. */
    memset(&all, 0xff, sizeof all);
    (void)sigemptyset(&none);
    (void)posix_spawnattr_setsigdefault(attr, &all);
    (void)posix_spawnattr_setsigmask(attr, &none);
    return err ? err : posix_spawnattr_setflags(attr, flags);
}

nart_res nart__child_start(const nart_process_opts *o, const nart__child_fd *fds, size_t n)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    pid_t pid = 0;
    const char *file = o->file ? o->file : o->argv[0];
    char *const *argv = (char *const *)(uintptr_t)o->argv; /* only read */
    char *const *env = o->env ? (char *const *)(uintptr_t)o->env : environ;

    int err = posix_spawn_file_actions_init(&fa);
    if (err)
        return -err;
    (void)posix_spawnattr_init(&attr); /* never fails */
    err = fill(&fa, &attr, o, fds, n);
    if (!err)
        err = o->flags & NART_PROCESS_EXACT ? posix_spawn(&pid, file, &fa, &attr, argv, env)
                                            : posix_spawnp(&pid, file, &fa, &attr, argv, env);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&fa);
    return err ? -err : pid;
}

nart_res nart__child_pidfd(pid_t pid)
{
    return answer(syscall(SYS_pidfd_open, pid, 0u)); /* closed on exec */
}

nart_res nart__child_reap(int pidfd, nart_process_status *status)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    while (waitid((idtype_t)BY_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) != 0)
        if (errno != EINTR)
            return -errno;
    if (info.si_pid == 0)
        return 0;
    bool exited = info.si_code == CLD_EXITED;
    *status = (nart_process_status){ exited ? info.si_status : 0, exited ? 0 : info.si_status };
    return 1;
}

bool nart__child_is_here(int pidfd)
{
    siginfo_t info;
    int r;

    do
        r = waitid((idtype_t)BY_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
    while (r != 0 && errno == EINTR);
    return r == 0;
}

nart_res nart__child_kill(int pidfd, int signo)
{
    return answer(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0u));
}

nart_res nart__child_kill_group(pid_t pid, int signo)
{
    return answer(kill(-pid, signo));
}

void nart__child_end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

bool nart__children_ignored(void)
{
    struct sigaction now;

    return sigaction(SIGCHLD, NULL, &now) == 0 &&
           (now.sa_handler == SIG_IGN || now.sa_flags & SA_NOCLDWAIT);
}

nart_res nart__child_null(void)
{
    return answer(open("/dev/null", O_RDWR | O_CLOEXEC));
}

nart_res nart__child_pipe(int fds[2])
{
    return answer(pipe2(fds, O_CLOEXEC));
}

nart_res nart__child_dup(int fd, int least)
{
    nart_res r = answer(fcntl(fd, F_DUPFD_CLOEXEC, least));
    return r == -EINVAL ? -EMFILE : r; /* `least` is above the limit */
}

nart_res nart__child_nonblocking(int fd)
{
    return answer(fcntl(fd, F_SETFL, O_NONBLOCK));
}

nart_res nart__child_read(int fd, void *buf, size_t len)
{
    ssize_t n;

    do
        n = read(fd, buf, len);
    while (n < 0 && errno == EINTR);
    return answer(n);
}

const char *nart__child_step(const nart_process_opts *o, nart_res err)
{
    if (err == -EAGAIN || err == -ENOMEM)
        return "start a process";
    return o->dir && access(o->dir, X_OK) != 0 ? "change to the directory" : "execute the program";
}
