/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* child.c: the system calls on child processes, but for their start (start.c). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "child.h"

#include <errno.h>
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

static nart_res answer(long r)
{
    return r < 0 ? -errno : r;
}

nart_res nart__child_pidfd(pid_t pid)
{
    return answer(syscall(SYS_pidfd_open, pid, 0u)); /* closed on exec */
}

nart_res nart__child_reap(int pidfd, pid_t pid, bool keep, nart_process_status *status)
{
    idtype_t by = pidfd < 0 ? P_PID : (idtype_t)BY_PIDFD;
    id_t id = (id_t)(pidfd < 0 ? pid : pidfd);
    siginfo_t info;

    memset(&info, 0, sizeof info);
    while (waitid(by, id, &info, WEXITED | WNOHANG | (keep ? WNOWAIT : 0)) != 0)
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
    nart_process_status status;
    return nart__child_reap(pidfd, 0, true, &status) >= 0;
}

nart_res nart__child_kill(int pidfd, int signo)
{
    return answer(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0u));
}

nart_res nart__child_kill_group(pid_t pid, int signo)
{
    return answer(kill(-pid, signo));
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
