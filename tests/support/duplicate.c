/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* For ThreadSanitizer (.ci/run rust-tsan): the linker passes the program's calls of fcntl() here.
 *
 * tokio polls one descriptor of epoll and registers sockets with a duplicate of it. The sanitizer orders what
 * precedes epoll_ctl() before what follows epoll_wait(), also if one of them uses a duplicate that dup3() made.
 * It does not know those of fcntl(), and would report each registration as a race with its first event. */
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

int __real_fcntl(int fd, int op, ...);
int __wrap_fcntl(int fd, int op, ...);

int __wrap_fcntl(int fd, int op, ...)
{
    va_list args;
    va_start(args, op);
    void *arg = va_arg(args, void *);
    va_end(args);

    int r = __real_fcntl(fd, op, arg);
    if (op == F_DUPFD_CLOEXEC && r >= 0)
        return dup3(fd, r, O_CLOEXEC); /* the same duplicate, which replaces itself */
    return r;
}
