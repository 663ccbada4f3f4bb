/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* child.h: child processes. */
#ifndef NART_SYSTEM_CHILD_H
#define NART_SYSTEM_CHILD_H

#include "../net/net.h"

#include <nart/process.h>
#include <nart/watch.h>

/* What a child gets as its descriptor `as`. */
typedef struct nart__child_fd {
    int fd, as;
} nart__child_fd;

/* A child process. It is reaped once, by nobody else. */
typedef struct nart__child {
    struct nart__child *next; /* an orphan */
    int pidfd;
    pid_t pid;
    pid_t parent; /* which process made it */
    uint32_t flags;
    nart_res over; /* 0: it runs; 1: it has ended; or -ECHILD */
    bool reaped;
    nart_process_status status;
    nart_watch watch;     /* of an orphan, by its runtime; */
    nart__exit_hook hook; /* whose end leaves it without one */
} nart__child;

/* Has it ended, or is there nothing to reap: so in a child of fork? `keep`: it is not reaped. */
bool nart__child_is_over(nart__child *c, bool keep);

/* Is it a child of this process, and not reaped? Not so in a child of fork. */
bool nart__child_is_here(int pidfd);

void nart__child_free(nart__child *c);

/* ---- orphans (orphan.c) ---- */

/* The handle is gone, the child runs: it is reaped by the loop of `rt`, which may be NULL; else later. */
void nart__child_leave(nart__child *c, nart_rt *rt);

/* Reaps those that have ended and that no runtime watches. */
void nart__child_reap_orphans(void);

/* ---- start.c ---- */

/* Starts a process with these descriptors and no others: its id, or the error of `*step`. Fds are all above every
 * `as`. */
nart_res nart__child_start(const nart_process_opts *o, const nart__child_fd *fds, size_t n,
                           const char **step);

#endif
