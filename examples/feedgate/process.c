/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process.c: child processes. They are started before the loop runs and waited for after it. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawn(pid_t *pid, char *const argv[], int in, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;

    int err = posix_spawn_file_actions_init(&files);
    if (err)
        return err;
    err = posix_spawnattr_init(&attr);
    if (err) {
        posix_spawn_file_actions_destroy(&files);
        return err;
    }
    err = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (!err)
        err = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    if (!err)
        err = posix_spawn(pid, argv[0], &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return err;
}

int process_start(struct process *p, char *const argv[])
{
    int in[2], out[2];

    *p = (struct process)PROCESS_NONE;
    if (pipe2(in, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(out, O_CLOEXEC) < 0) {
        int err = errno;
        close(in[0]);
        close(in[1]);
        return -err;
    }
    int err = spawn(&p->pid, argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (err) {
        close(in[1]);
        close(out[0]);
        p->pid = -1;
        return -err;
    }
    p->in = in[1];
    p->out = out[0];
    return 0;
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

void process_close_input(struct process *p)
{
    if (p->in >= 0)
        close(p->in);
    p->in = -1;
}

int process_end(struct process *p)
{
    int status = 0;
    pid_t got;

    process_close_input(p);
    if (p->out >= 0)
        close(p->out);
    p->out = -1;
    if (p->pid < 0)
        return -1;
    do
        got = waitpid(p->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    p->pid = -1;
    return got > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
