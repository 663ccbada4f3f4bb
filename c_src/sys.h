/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys.h: every system call of nart, but for those of a child before it executes its program. Tests inject faults and
 * models here: they link another sys.c, or pass another nart_sys table to their driver. All functions answer >= 0 or
 * -errno. */
#ifndef NART_SYS_H
#define NART_SYS_H

#include <nart/detail/atomic.h>
#include <nart/driver.h>

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct epoll_event;
struct stat;
struct statfs;
struct timespec;

/* Maps zeroed memory, which uses no physical memory until it is accessed; or NULL. */
void *nart__sys_map(size_t bytes);
void nart__sys_unmap(void *p, size_t bytes);
/* Discards the whole pages in a range: afterwards they are zeros, or unchanged. */
void nart__sys_discard(void *p, size_t bytes);

/* The same for stacks: pages are mapped one by one. */
void *nart__sys_map_stacks(size_t bytes);
/* Makes every access to these whole pages a SIGSEGV. */
int nart__sys_guard(void *p, size_t bytes);
/* The number of bytes from `p` on whose pages are not in memory. */
size_t nart__sys_untouched(const void *p, size_t bytes);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t nart__sys_now(void);

/* A non-blocking eventfd, closed on exec. */
int nart__sys_eventfd(void);
/* Adds one, and never blocks: a full counter is reset first. Async-signal-safe, keeps errno. */
int nart__sys_eventfd_write(int fd);
/* Sets the counter to zero. */
int nart__sys_eventfd_drain(int fd);

/* A descriptor that becomes readable at a time of CLOCK_MONOTONIC; closed on exec. */
int nart__sys_timerfd(void);
int nart__sys_timerfd_set(int fd, int64_t at);

/* Waits while *word is `seen`, until a time of the clock above (INT64_MAX: no timeout). May return
 * spuriously. */
void nart__sys_futex_wait(const NART__ATOMIC(uint32_t) * word, uint32_t seen, int64_t until);
/* Wakes the waits at an address, which is not accessed: the memory may be freed. */
void nart__sys_futex_wake(const NART__ATOMIC(uint32_t) * word);

/* The heavy half of NART__BARRIER_LIGHT(): a barrier in all threads of the process. On systems without
 * membarrier(2) it always fails. */
int nart__sys_barrier(void);
/* Registers the process for it, without a barrier. Fails in the same cases. */
int nart__sys_barrier_register(void);
/* Yields the processor to other threads for some time. */
void nart__sys_nap(void);

/* Starts a thread that blocks all signals but faults. It is joinable. */
int nart__sys_thread_start(void *(*run)(void *), void *arg, size_t stack);
/* Names the calling thread; 15 bytes count. */
void nart__sys_thread_name(const char *name);
/* Waits on a condition whose clock is CLOCK_MONOTONIC, as nart__sys_futex_wait(). 0 or -ETIMEDOUT. */
int nart__sys_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);

int nart__sys_epoll_create(void);
int nart__sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
/* Waits up to timeout_ns (INT64_MAX: no timeout), rounded up where the kernel counts milliseconds.
 * A signal counts as no event. */
int nart__sys_epoll_wait(int epfd, struct epoll_event *evs, int max, int64_t timeout_ns);

/* Never retried: on Linux the descriptor is closed even after EINTR. */
void nart__sys_close(int fd);

/* Files; these block, and are called by threads of a pool. `offset` -1: at the file's position, which moves. */
int nart__sys_file_open(const char *path, int flags, mode_t mode); /* closed on exec */
int nart__sys_file_close(int fd);
ssize_t nart__sys_file_read(int fd, void *buf, size_t len, int64_t offset);
ssize_t nart__sys_file_write(int fd, const void *buf, size_t len, int64_t offset);
int nart__sys_file_sync(int fd, bool data_only);
int nart__sys_file_truncate(int fd, int64_t size);
int nart__sys_file_stat(int fd, const char *path, bool link,
                        struct stat *out); /* of `path`, or else of `fd` */
int nart__sys_file_rename(const char *from, const char *to);
int nart__sys_file_remove(const char *path, bool directory);
int nart__sys_file_mkdir(const char *path, mode_t mode);
/* Entries of a directory, from a position on, as the kernel writes them: the number of bytes. */
ssize_t nart__sys_file_entries(int fd, int64_t at, void *buf, size_t len);

int nart__sys_file_link(const char *from, const char *to);
int nart__sys_file_symlink(const char *text, const char *path);
ssize_t nart__sys_file_readlink(const char *path, char *buf, size_t len); /* without a NUL */
int nart__sys_file_real(const char *path, char *buf); /* of PATH_MAX bytes; with a NUL */
int nart__sys_file_temp(char *name);                  /* a descriptor, closed on exec */
int nart__sys_file_temp_directory(char *name);
/* Of `path`, or else of `fd`. */
int nart__sys_file_chmod(int fd, const char *path, mode_t mode);
int nart__sys_file_chown(int fd, const char *path, bool link, uid_t uid, gid_t gid);
int nart__sys_file_utimes(int fd, const char *path, bool link, const struct timespec times[2]);
int nart__sys_file_access(const char *path, int mode);
int nart__sys_file_statfs(const char *path, struct statfs *out);

/* A pidfd of a child that nobody else reaps. */
int nart__sys_child_pidfd(pid_t pid);
/* Reaps a child that has ended, by its id if `pidfd` is negative: 1; 0: it runs. `keep`: it stays to be reaped. */
int nart__sys_child_reap(int pidfd, pid_t pid, bool keep, siginfo_t *info);
int nart__sys_child_kill(int pidfd, int signo);
/* Signals a process, or by a negative number a group. */
int nart__sys_kill(pid_t pid, int signo);
/* Does the system reap children by itself? */
bool nart__sys_children_ignored(void);
/* A pipe whose ends are closed on exec and block. */
int nart__sys_child_pipe(int fds[2]);
/* Another descriptor of the same file, numbered `least` or above, closed on exec. */
int nart__sys_child_dup(int fd, int least);

/* The number of an interface. */
int64_t nart__sys_interface(const char *name);

/* Makes a descriptor close on exec. */
int nart__sys_cloexec(int fd);
/* Blocks all signals of this thread, and restores what it blocked before. Async-signal-safe. */
void nart__sys_signals_block(sigset_t *was);
void nart__sys_signals_restore(const sigset_t *was);

/* The number of this process. */
int64_t nart__sys_pid(void);

/* The table of system calls for descriptors of handles, filled with the real calls. */
extern const nart_sys nart__sys_real;

#endif
