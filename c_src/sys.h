/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys.h: every system call that nart makes. The seam for faults and models: a test links another
 * sys.c, or hands another nart_sys table to its driver. All answer >= 0 or -errno. */
#ifndef NART_SYS_H
#define NART_SYS_H

#include <nart/detail/atomic.h>
#include <nart/driver.h>

#include <stddef.h>
#include <stdint.h>

struct epoll_event;

/* Zeroed memory straight from the system, which costs nothing until it is touched; or NULL. */
void *nart__sys_map(size_t bytes);
void nart__sys_unmap(void *p, size_t bytes);
/* Gives back the memory of the whole pages in a part of it: they are zeros, or as they were. */
void nart__sys_discard(void *p, size_t bytes);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t nart__sys_now(void);

/* A non-blocking eventfd, closed on exec. */
int nart__sys_eventfd(void);
/* Adds one, and never blocks: a full counter begins anew. Async-signal-safe, keeps errno. */
int nart__sys_eventfd_write(int fd);
/* Sets the counter to zero. */
int nart__sys_eventfd_drain(int fd);

/* Waits while *word is `seen`, until a time of the clock above (INT64_MAX: for ever). Ends early for no
 * reason, too. */
void nart__sys_futex_wait(const NART__ATOMIC(uint32_t) * word, uint32_t seen, int64_t until);
/* Ends the waits at an address, which is not looked at: it may be gone. */
void nart__sys_futex_wake(const NART__ATOMIC(uint32_t) * word);

/* The heavy half of NART__BARRIER_LIGHT(): a barrier in all threads of the process. Fails on systems
 * without membarrier(2), and then always. */
int nart__sys_barrier(void);
/* Prepares for that, without a barrier. Fails as that does. */
int nart__sys_barrier_register(void);
/* Leaves the processor to others for some time. */
void nart__sys_nap(void);

int nart__sys_epoll_create(void);
int nart__sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
/* Waits up to timeout_ns (INT64_MAX: for ever), rounded up where the kernel counts milliseconds.
 * A signal counts as no event. */
int nart__sys_epoll_wait(int epfd, struct epoll_event *evs, int max, int64_t timeout_ns);

/* Never asked twice: after EINTR the descriptor is gone on Linux. */
void nart__sys_close(int fd);

/* The table for descriptors of handles, made of the real calls. */
extern const nart_sys nart__sys_real;

#endif
