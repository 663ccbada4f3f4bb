/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* calls.h: counts the system calls and the allocations of the library, by interposing the C library's functions.
 * Included first, by one file of a program. */
#ifndef NART_TEST_CALLS_H
#define NART_TEST_CALLS_H

#define accept4 declared_accept4 /* with a type of the C library's own for the address */
#include <sys/socket.h>
#undef accept4
int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);

#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct counts {
    long recvs, sends, sendmsgs, accepts, reads, writes, splices, pipes, options;
    long waits, adds, mods, dels; /* of epoll; the changes by kind */
    long allocations;
} made;
static bool counting;

#ifndef TEST_SANITIZED
#define COUNT(n) (made.n += counting)

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    COUNT(recvs);
    return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    COUNT(recvs);
    return syscall(SYS_recvmsg, fd, msg, flags);
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *limit)
{
    COUNT(recvs);
    return (int)syscall(SYS_recvmmsg, fd, msgs, n, flags, limit);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    COUNT(sends);
    return syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    COUNT(sends);
    return (int)syscall(SYS_sendmmsg, fd, msgs, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    COUNT(sendmsgs);
    return syscall(SYS_sendmsg, fd, msg, flags);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    COUNT(accepts);
    return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

int epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout)
{
    COUNT(waits);
    return (int)syscall(SYS_epoll_pwait, epfd, evs, max, timeout, NULL, (size_t)8);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    made.adds += counting && op == EPOLL_CTL_ADD;
    made.mods += counting && op == EPOLL_CTL_MOD;
    made.dels += counting && op == EPOLL_CTL_DEL;
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

ssize_t read(int fd, void *buf, size_t len)
{
    COUNT(reads);
    return syscall(SYS_read, fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    COUNT(writes);
    return syscall(SYS_write, fd, buf, len);
}

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    COUNT(writes);
    return syscall(SYS_writev, fd, pieces, n);
}

ssize_t splice(int from, off64_t *at, int to, off64_t *where, size_t len, unsigned flags)
{
    COUNT(splices);
    return syscall(SYS_splice, from, at, to, where, len, flags);
}

int pipe2(int fds[2], int flags)
{
    COUNT(pipes);
    return (int)syscall(SYS_pipe2, fds, flags);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    COUNT(options);
    return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    COUNT(allocations);
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

#ifdef __GLIBC__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
    COUNT(allocations);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    COUNT(allocations);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    COUNT(allocations);
    return __libc_realloc(p, size);
}
#endif
#endif

static inline void only_where_counted(void)
{
#ifdef TEST_SANITIZED
    SKIP("sanitizers replace the same functions");
#endif
}

static inline void count_from_here(void)
{
    made = (struct counts){ 0 };
    counting = true;
}

/* These calls since then, and no others. */
#define CHECK_MADE(...)                                                                            \
    do {                                                                                           \
        counting = false;                                                                          \
        CHECK_EQ(memcmp(&made, &(struct counts){ __VA_ARGS__ }, sizeof made), 0);                  \
    } while (0)

#endif
