/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys_children.c: the system calls on child processes, but for their start (system/start.c). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sys_call.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BY_PIDFD = 3 }; /* P_PIDFD, which older headers lack */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

int nart__sys_child_pidfd(pid_t pid)
{
    RETRY(int, fd, (int)syscall(SYS_pidfd_open, pid, 0u)); /* closed on exec */
}

int nart__sys_child_reap(int pidfd, pid_t pid, bool keep, siginfo_t *info)
{
    idtype_t by = pidfd < 0 ? P_PID : (idtype_t)BY_PIDFD;
    id_t id = (id_t)(pidfd < 0 ? pid : pidfd);

    memset(info, 0, sizeof *info);
    while (waitid(by, id, info, WEXITED | WNOHANG | (keep ? WNOWAIT : 0)) != 0)
        if (errno != EINTR)
            return -errno;
    return info->si_pid != 0;
}

int nart__sys_child_kill(int pidfd, int signo)
{
    ONCE((int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0u));
}

int nart__sys_kill(pid_t pid, int signo)
{
    ONCE(kill(pid, signo));
}

bool nart__sys_children_ignored(void)
{
    struct sigaction now;

    return sigaction(SIGCHLD, NULL, &now) == 0 &&
           (now.sa_handler == SIG_IGN || now.sa_flags & SA_NOCLDWAIT);
}

int nart__sys_child_pipe(int fds[2])
{
    ONCE(pipe2(fds, O_CLOEXEC));
}

int nart__sys_child_dup(int fd, int least)
{
    int r = fcntl(fd, F_DUPFD_CLOEXEC, least);

    if (r >= 0)
        return r;
    return errno == EINVAL ? -EMFILE : -errno; /* `least` is above the limit */
}
