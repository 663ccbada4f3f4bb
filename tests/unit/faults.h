/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* faults.h: every system call on the descriptor of a handle, and the errors with which its manual page says that it
 * can fail. A program that includes this has a sys.c of its own: each call is counted, and one of them fails. */
#ifndef NART_TEST_FAULTS_H
#define NART_TEST_FAULTS_H

#define nart__sys_real nart__sys_kernel
#define nart__sys_epoll_ctl kernel_epoll_ctl
#include "sys.c"
#undef nart__sys_real
#undef nart__sys_epoll_ctl

#include "runtime.h"

/* _(type, name, parameters, arguments, errors). Without errors: cannot fail. Errors of a wrong program (EBADF,
 * ENOTSOCK, EFAULT) are not injected, and EINTR is repeated below this table. */
#define SYSTEM_CALLS(_)                                                                            \
    _(int, socket, (int f, int t), (f, t), EACCES, EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM,  \
      EPROTONOSUPPORT)                                                                             \
    _(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), EACCES, EADDRINUSE,  \
      EADDRNOTAVAIL, ENOMEM, EROFS, ENOENT)                                                        \
    _(int, listen, (int fd, int n), (fd, n), EADDRINUSE, EOPNOTSUPP)                               \
    _(int, accept, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n), EMFILE, ENFILE,         \
      ENOBUFS, ENOMEM, EPERM, ECONNABORTED, ENETDOWN, EPROTO, EHOSTUNREACH, ENETUNREACH)           \
    _(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), EACCES, EPERM,    \
      EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ENETUNREACH, ETIMEDOUT)                             \
    _(ssize_t, recv, (int fd, void *b, size_t n, int f), (fd, b, n, f), ECONNREFUSED, ENOMEM,      \
      ECONNRESET, ETIMEDOUT, EHOSTUNREACH)                                                         \
    _(ssize_t, send, (int fd, const void *b, size_t n, int f), (fd, b, n, f), EACCES, ECONNRESET,  \
      EMSGSIZE, ENOBUFS, ENOMEM, EPIPE)                                                            \
    _(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int f), (fd, m, n, f), ECONNREFUSED,  \
      ENOMEM)                                                                                      \
    _(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int f), (fd, m, n, f), EACCES,        \
      EMSGSIZE, ENOBUFS, ENOMEM)                                                                   \
    _(int, shutdown, (int fd, int how), (fd, how), ENOTCONN)                                       \
    _(int, sock_error, (int fd), (fd), ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH)          \
    _(int, setsockopt, (int fd, int l, int o, const void *v, socklen_t n), (fd, l, o, v, n),       \
      EINVAL, ENOPROTOOPT, ENOMEM)                                                                 \
    _(int, getsockopt, (int fd, int l, int o, void *v, socklen_t *n), (fd, l, o, v, n), EINVAL,    \
      ENOPROTOOPT)                                                                                 \
    _(int, sockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n), ENOBUFS)              \
    _(int, peername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n), ENOBUFS, ENOTCONN)    \
    _(int, poll, (int fd, short e), (fd, e), ENOMEM)                                               \
    _(int, set_nonblocking, (int fd), (fd), EPERM)                                                 \
    _(int, dup, (int fd), (fd), EMFILE)                                                            \
    _(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), EIO, EISDIR, ECONNRESET)             \
    _(ssize_t, writev, (int fd, const struct iovec *p, int n), (fd, p, n), EDQUOT, EFBIG, EIO,     \
      ENOSPC, EPERM, EPIPE)                                                                        \
    _(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f), EACCES, ECONNRESET,   \
      EMSGSIZE, ENOBUFS, ENOMEM, EPIPE, ETOOMANYREFS)                                              \
    _(int, pipe, (int p[2]), (p), EMFILE, ENFILE)                                                  \
    _(ssize_t, splice, (int a, int b, size_t n), (a, b, n), EINVAL, ENOMEM, EPIPE, ECONNRESET,     \
      EAGAIN)                                                                                      \
    _(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f), ECONNREFUSED, ENOMEM,       \
      ECONNRESET)                                                                                  \
    _(int, socketpair, (int f, int t, int p[2]), (f, t, p), EAFNOSUPPORT, EMFILE, ENFILE,          \
      EOPNOTSUPP)                                                                                  \
    _(int, path_id, (const char *p, uint64_t id[2]), (p, id), EACCES, ELOOP, ENOENT, ENOTDIR)      \
    _(int, unlink, (const char *p), (p), EACCES, EBUSY, EIO, EPERM, EROFS, ENOENT)                 \
    _(int, set_mode, (int fd, const char *p, uint32_t m), (fd, p, m), EACCES, EIO, EPERM, EROFS)   \
    _(int, open, (const char *p, int f), (p, f), EACCES, EMFILE, ENFILE, ENOENT, ENXIO, EPERM)     \
    _(int, kind, (int fd), (fd), EACCES, ENOMEM)                                                   \
    _(int, access_mode, (int fd), (fd), EPERM)                                                     \
    _(int, window_size, (int fd, uint16_t s[2]), (fd, s), ENOTTY, EINVAL)                          \
    _(int, tty_get, (int fd, struct termios *m, uint32_t *d), (fd, m, d), ENOTTY, EIO)             \
    _(int, tty_set, (int fd, const struct termios *m), (fd, m), EIO, EINVAL, ENOTTY)               \
    _(ssize_t, send_file, (int t, int f, const int64_t *o, size_t n), (t, f, o, n), EINVAL, EIO,   \
      ENOMEM, ESPIPE, EPIPE, ECONNRESET)

static const char *failed_call; /* the name of the one that failed */
static int calls, failing;      /* the calls so far; which of them fails, 0: none */
static int with;          /* its error, below 0; 0: the error of this index among its errors */
static size_t with_index; /* beyond its last error: it does not fail */
static int error_given;   /* the one it failed with, or 0 */

/* Errors of these calls are not those of the operations that follow, as the manual says; or NULL. */
static const char *absorbed;
static bool error_absorbed; /* that is so for error_given */

static void (*look)(const char *name); /* called before each call, or NULL */

/* Counts a call. True: it fails with error_given. */
static bool fails(const char *name, const int *errors, size_t n)
{
    if (look)
        look(name);
    if (++calls != failing)
        return false;
    failed_call = name;
    error_given = with ? with : with_index < n ? -errors[with_index] : 0;
    error_absorbed = absorbed && strstr(absorbed, name);
    return error_given != 0;
}

#define FAULTY(type, name, params, args, ...)                                                      \
    static type faulty_##name params                                                               \
    {                                                                                              \
        static const int errors[] = { __VA_ARGS__ };                                               \
        return fails(#name, errors, sizeof errors / sizeof *errors) ? (type)error_given            \
                                                                    : nart__sys_kernel.name args;  \
    }
SYSTEM_CALLS(FAULTY)

#define COUNT(type, name, params, args, ...) +1
enum { NEVER_FAIL = 2 /* close, sigpipe_kills */ };
_Static_assert(sizeof(nart_sys) == (SYSTEM_CALLS(COUNT) + NEVER_FAIL) * sizeof(void (*)(void)),
               "each system call has its errors");

/* Removing is not checked by anybody: it does not fail for a descriptor that was added. */
int nart__sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);

int nart__sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    static const int errors[] = { ENOMEM, ENOSPC };

    if (op == EPOLL_CTL_ADD && fails("epoll_ctl", errors, sizeof errors / sizeof *errors))
        return error_given;
    return kernel_epoll_ctl(epfd, op, fd, ev);
}

#define SET(type, name, params, args, ...) .name = faulty_##name,
const nart_sys nart__sys_real = { SYSTEM_CALLS(SET).close = nart__sys_close,
                                  .sigpipe_kills = sys_sigpipe_kills };

/* The next system call fails with this. */
static inline void fail_with(int error)
{
    calls = 0;
    failing = 1;
    with = error;
}

static inline int fds_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

#endif
