/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process.h: child processes with pipes to their standard input and output. */
#ifndef FEEDGATE_PROCESS_H
#define FEEDGATE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    int in, out; /* its standard input and output, seen from here */
};

/* Starts argv[0]; it gets a process group of its own (so Ctrl-C at the terminal is not told to it) and
 * ends with this process. False: errno. */
bool process_start(struct process *p, char *const argv[]);

/* Reads its output up to a newline or the end, without the newline. False when there is nothing. */
bool process_line(struct process *p, char *line, size_t size);

void process_signal(const struct process *p, int sig);

/* Closes the pipes and waits. Its exit status, or -1 when it was ended by a signal. */
int process_end(struct process *p);

#endif
