/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* child.h: the system calls on child processes. All answer >= 0 or -errno. */
#ifndef NART_SYSTEM_CHILD_H
#define NART_SYSTEM_CHILD_H

#include <nart/process.h>

/* What a child gets as its descriptor `as`. */
typedef struct nart__child_fd {
    int fd, as;
} nart__child_fd;

/* Starts a process with these descriptors and no others: its id. Fds are all above every `as`. */
nart_res nart__child_start(const nart_process_opts *o, const nart__child_fd *fds, size_t n);

/* A pidfd of a child that nobody else reaps. */
nart_res nart__child_pidfd(pid_t pid);

/* Reaps it if it has ended: 1, else 0. */
nart_res nart__child_reap(int pidfd, nart_process_status *status);

/* Is it a child of this process, and not reaped? Not so in a child of fork. */
bool nart__child_is_here(int pidfd);

nart_res nart__child_kill(int pidfd, int signo);
nart_res nart__child_kill_group(pid_t pid, int signo);

/* Kills a child that has no pidfd, and reaps it. */
void nart__child_end(pid_t pid);

/* Does the system reap children by itself? */
bool nart__children_ignored(void);

/* /dev/null; a pipe whose ends are closed on exec and block. */
nart_res nart__child_null(void);
nart_res nart__child_pipe(int fds[2]);

/* Another descriptor of the same file, numbered `least` or above, closed on exec. */
nart_res nart__child_dup(int fd, int least);

nart_res nart__child_nonblocking(int fd);
nart_res nart__child_read(int fd, void *buf, size_t len);

/* Why a start has failed with this error: the directory, or the program. */
const char *nart__child_step(const nart_process_opts *o, nart_res err);

#endif
