/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* count_calls PROGRAM ARGUMENT...: runs it, and prints the number of its system calls, which the kernel reports. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int status;
    long stops = 0;
    pid_t child = argc > 1 ? fork() : -1;

    if (child == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is for the number */
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            (void)execv(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    for (int signal = 0;;) { /* two stops per call, at its begin and its end */
        if (ptrace(PTRACE_SYSCALL, child, NULL, (void *)(long)signal) != 0 ||
            waitpid(child, &status, 0) != child)
            return 1;
        if (!WIFSTOPPED(status))
            break;
        signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        stops += signal == 0;
    }
    (void)printf("%ld\n", stops / 2);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
