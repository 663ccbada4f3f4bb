/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process.c: child processes. Plain POSIX: they are started before the loop runs and read after it. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(char *const argv[], int in, int out)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execv(argv[0], argv);
    _exit(127);
}

bool process_start(struct process *p, char *const argv[])
{
    int in[2], out[2];

    *p = (struct process){ .pid = -1, .in = -1, .out = -1 };
    if (pipe2(in, O_CLOEXEC) < 0)
        return false;
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    p->pid = fork();
    if (p->pid == 0)
        become(argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = out[0];
    return p->pid > 0;
}

bool process_line(struct process *p, char *line, size_t size)
{
    size_t n = 0;
    char c;

    while (n + 1 < size) {
        ssize_t got = read(p->out, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || c == '\n')
            break;
        line[n++] = c;
    }
    line[n] = '\0';
    return n > 0;
}

void process_signal(const struct process *p, int sig)
{
    if (p->pid > 0)
        kill(p->pid, sig);
}

int process_end(struct process *p)
{
    int status = 0;

    if (p->in >= 0)
        close(p->in);
    if (p->out >= 0)
        close(p->out);
    if (p->pid <= 0)
        return -1;
    while (waitpid(p->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    *p = (struct process){ .pid = -1, .in = -1, .out = -1 };
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
