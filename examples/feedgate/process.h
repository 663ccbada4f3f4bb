/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process.h: child processes with pipes to their standard input and output. Closing their
 * input ends them; so does the end of this process. */
#ifndef FEEDGATE_PROCESS_H
#define FEEDGATE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    int in, out; /* its standard input and output, seen from here */
};

#define PROCESS_NONE                                                                               \
    {                                                                                              \
        .pid = -1, .in = -1, .out = -1                                                             \
    }

/* Starts argv[0], in a process group of its own: Ctrl-C at the terminal is not for it. 0 or -errno. */
int process_start(struct process *p, char *const argv[]);

/* Reads its output up to a newline or the end, without the newline. False at the end. */
bool process_line(struct process *p, char *line, size_t size);

void process_close_input(struct process *p);

/* Waits for it. Its exit status, or -1: a signal has ended it, or it was never started. */
int process_end(struct process *p);

#endif
