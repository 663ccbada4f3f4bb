/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys.c: the only system calls, with sys_files.c and sys_children.c. Each wrapper does one thing: it converts errno to
 * the answer, and retries after EINTR where that is correct. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sys_call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* From the kernel's headers, which a toolchain for musl may lack. */
enum {
    FUTEX_WAKE_PRIVATE = 1 | 128,
    FUTEX_WAIT_BITSET_PRIVATE = 9 | 128,
    MEMBARRIER_PRIVATE_EXPEDITED = 1 << 3,
    MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 1 << 4,
};
#define FUTEX_BITSET_MATCH_ANY UINT32_MAX

void *nart__sys_map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void nart__sys_unmap(void *p, size_t bytes)
{
    (void)munmap(p, bytes);
}

void *nart__sys_map_stacks(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
#ifdef MADV_NOHUGEPAGE
    (void)madvise(p, bytes, MADV_NOHUGEPAGE); /* one stack would get the memory of 30 */
#endif
    return p;
}

/* qemu-user answers 0 to advice that it does not know. A call whose buffer valgrind does not read itself. */
static bool is_unreadable(void *p)
{
    char byte;
    struct iovec to = { .iov_base = &byte, .iov_len = 1 }, from = { .iov_base = p, .iov_len = 1 };

    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0 && errno == EFAULT;
}

int nart__sys_guard(void *p, size_t bytes)
{
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif
    if (madvise(p, bytes, MADV_GUARD_INSTALL) == 0 && is_unreadable(p))
        return 0;
    ONCE(mprotect(p, bytes, PROT_NONE));
}

size_t nart__sys_untouched(const void *p, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), done = 0;
    unsigned char in_memory[64];

    while (done < bytes) {
        size_t part =
            bytes - done < page * sizeof in_memory ? bytes - done : page * sizeof in_memory;
        if (mincore((char *)(uintptr_t)p + done, part, in_memory) != 0)
            return done;
        for (size_t i = 0; i * page < part; i++)
            if (in_memory[i] & 1)
                return done + i * page;
        done += part;
    }
    return bytes;
}

/* Where the kernel refuses, the memory is unchanged: so do not rely on zeros. */
void nart__sys_discard(void *p, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1),
              to = ((uintptr_t)p + bytes) & ~(page - 1);

    if (from >= to)
        return;
    (void)munlock((void *)from, to - from); /* memory locked by mlockall() could not be discarded */
    (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

int64_t nart__sys_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NART_SEC + ts.tv_nsec;
}

/* A time in the format of the kernel's calls for 64-bit time. */
struct kernel_time {
    int64_t sec, nsec;
};

static struct kernel_time kernel_time(int64_t ns)
{
    return (struct kernel_time){ .sec = ns / NART_SEC, .nsec = ns % NART_SEC };
}

/* The results are ignored: the waiter reads the word. On 32-bit systems kernels before 5.1 have only the
 * older call. */
void nart__sys_futex_wait(const uint32_t *word, uint32_t seen, int64_t until)
{
    struct kernel_time ts = kernel_time(until);
#ifdef SYS_futex_time64
    struct {
        long sec, nsec;
    } old = { .sec = (long)ts.sec, .nsec = (long)ts.nsec };

    if (syscall(SYS_futex_time64, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
                until == INT64_MAX ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY) == 0 ||
        errno != ENOSYS)
        return;
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
                  until == INT64_MAX ? NULL : &old, NULL, FUTEX_BITSET_MATCH_ANY);
#else
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, until == INT64_MAX ? NULL : &ts,
                  NULL, FUTEX_BITSET_MATCH_ANY);
#endif
}

void nart__sys_futex_wake(const uint32_t *word)
{
    int kept = errno;
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = kept;
}

/* Idempotent, and cheap after the first call. */
int nart__sys_barrier_register(void)
{
    ONCE(syscall(SYS_membarrier, MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0));
}

int nart__sys_barrier(void)
{
    int err = nart__sys_barrier_register(); /* again: for a child of fork */
    if (err)
        return err;
    ONCE(syscall(SYS_membarrier, MEMBARRIER_PRIVATE_EXPEDITED, 0));
}

void nart__sys_nap(void)
{
    struct timespec ts = { .tv_nsec = 50000 };
    (void)nanosleep(&ts, NULL);
}

/* A descriptor of the library's own never takes the place of a closed standard stream: the program would read or write
 * it as that, and its children inherit it. */
static int own(int fd)
{
    if (NART_LIKELY(fd > STDERR_FILENO))
        return fd;
    if (fd < 0)
        return -errno;
    int other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int r = other < 0 ? -errno : other;
    nart__sys_close(fd);
    return r;
}

int nart__sys_eventfd(void)
{
    return own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

int nart__sys_timerfd(void)
{
    return own(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

int nart__sys_timerfd_set(int fd, int64_t at)
{
    const struct itimerspec to = { .it_value = { at / 1000000000, at % 1000000000 } };
    ONCE(timerfd_settime(fd, TFD_TIMER_ABSTIME, &to, NULL));
}

int nart__sys_eventfd_write(int fd)
{
    const uint64_t one = 1;
    uint64_t full;
    int saved = errno, err = 0;

    while (write(fd, &one, sizeof one) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN && read(fd, &full, sizeof full) > 0)
            continue; /* the counter was full, and only a new edge notifies a waiter */
        if (errno != EAGAIN) {
            err = -errno;
            break;
        }
    }
    errno = saved;
    return err;
}

int nart__sys_eventfd_drain(int fd)
{
    uint64_t n;
    while (read(fd, &n, sizeof n) < 0)
        if (errno != EINTR)
            return errno == EAGAIN ? 0 : -errno;
    return 0;
}

int nart__sys_thread_start(void *(*run)(void *), void *arg, size_t stack)
{
    /* A blocked fault ends the process without its handler, which reports a crash. */
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;

    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        (void)sigdelset(&all, faults[i]);
    int err = pthread_attr_init(&attr);
    if (err)
        return -err;
    err = pthread_attr_setstacksize(&attr, stack);
    if (err == 0) {
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        err = pthread_create(&thread, &attr, run, arg);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attr);
    return -err;
}

void nart__sys_thread_name(const char *name)
{
    (void)prctl(PR_SET_NAME, name);
}

int nart__sys_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until)
{
    const struct timespec ts = { .tv_sec = (time_t)(until / NART_SEC),
                                 .tv_nsec = (long)(until % NART_SEC) };

    if (until == INT64_MAX)
        return -pthread_cond_wait(cond, lock);
    return -pthread_cond_timedwait(cond, lock, &ts);
}

int nart__sys_epoll_create(void)
{
    return own(epoll_create1(EPOLL_CLOEXEC));
}

int nart__sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    ONCE(epoll_ctl(epfd, op, fd, ev));
}

#ifdef SYS_epoll_pwait2
static int wait2(int epfd, struct epoll_event *evs, int max, int64_t ns)
{
    struct kernel_time ts = kernel_time(ns);
    return (int)syscall(SYS_epoll_pwait2, epfd, evs, max, &ts, NULL, (size_t)0);
}
#else
static int wait2(int epfd, struct epoll_event *evs, int max, int64_t ns)
{
    (void)epfd, (void)evs, (void)max, (void)ns;
    errno = ENOSYS;
    return -1;
}
#endif

/* The kernel has no epoll_pwait2, or a filter forbids it: do not try it again. Relaxed: a thread that
 * does not see the flag yet tries once itself. */
static NART__ATOMIC(uint32_t) no_wait2;

/* For kernels before 5.11: whole milliseconds, rounded up so that the loop does not spin before a deadline. */
static int wait_ms(int epfd, struct epoll_event *evs, int max, int64_t ns)
{
    int64_t ms = ns / NART_MS + (ns % NART_MS != 0);
    return epoll_wait(epfd, evs, max, ms > INT_MAX ? INT_MAX : (int)ms);
}

int nart__sys_epoll_wait(int epfd, struct epoll_event *evs, int max, int64_t timeout_ns)
{
    int n;

    if (timeout_ns == NART_NEVER)
        n = epoll_wait(epfd, evs, max, -1);
    else if (timeout_ns <= 0)
        n = epoll_wait(epfd, evs, max, 0);
    else if (NART__LOAD(&no_wait2, NART__RELAXED))
        n = wait_ms(epfd, evs, max, timeout_ns);
    else if ((n = wait2(epfd, evs, max, timeout_ns)) < 0 && (errno == ENOSYS || errno == EPERM)) {
        NART__STORE(&no_wait2, 1u, NART__RELAXED);
        n = wait_ms(epfd, evs, max, timeout_ns);
    }
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    return n;
}

void nart__sys_close(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

/* ---- the network ---- */

int64_t nart__sys_interface(const char *name)
{
    struct ifreq r = { .ifr_ifindex = 0 };
    int fd =
        socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* if_nametoindex() hides why it has none */

    if (fd < 0)
        return -errno;
    (void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    int64_t n = ioctl(fd, SIOCGIFINDEX, &r) == 0 ? r.ifr_ifindex : -errno;
    close(fd);
    return n;
}

/* ---- the process ---- */

int nart__sys_cloexec(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0)
        return -errno;
    ONCE(fcntl(fd, F_SETFD, flags | FD_CLOEXEC));
}

int64_t nart__sys_pid(void)
{
    return getpid();
}

/* ---- the table for descriptors of handles ---- */

static int sys_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    ONCE(bind(fd, addr, len));
}

static int sys_listen(int fd, int backlog)
{
    ONCE(listen(fd, backlog));
}

static int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    ONCE(setsockopt(fd, level, name, value, len));
}

static int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    ONCE(getsockopt(fd, level, name, value, len));
}

static int sys_sockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    ONCE(getsockname(fd, addr, len));
}

static int sys_peername(int fd, struct sockaddr *addr, socklen_t *len)
{
    ONCE(getpeername(fd, addr, len));
}

static int sys_shutdown(int fd, int how)
{
    ONCE(shutdown(fd, how));
}

static int sys_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    ONCE(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

static int sys_dup(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

static int sys_poll(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };

    while (poll(&p, 1, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return p.revents;
}

static ssize_t sys_recv(int fd, void *buf, size_t len, int flags)
{
    RETRY(ssize_t, n, recv(fd, buf, len, flags));
}

/* A closed peer is reported as an error, not by a signal. */
static ssize_t sys_send(int fd, const void *buf, size_t len, int flags)
{
    RETRY(ssize_t, n, send(fd, buf, len, flags | MSG_NOSIGNAL));
}

static int sys_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    RETRY(int, s, accept4(fd, addr, len, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/* An interrupted connect continues: its outcome is reported as readiness, as after EINPROGRESS. */
static int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (connect(fd, addr, len) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

static int sys_sock_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return -errno;
    return -err;
}

static int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    RETRY(int, got, recvmmsg(fd, msgs, n, flags, NULL));
}

static int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    RETRY(int, sent, sendmmsg(fd, msgs, n, flags | MSG_NOSIGNAL));
}

static ssize_t sys_read(int fd, void *buf, size_t len)
{
    RETRY(ssize_t, n, read(fd, buf, len));
}

static ssize_t sys_writev(int fd, const struct iovec *pieces, int n)
{
    RETRY(ssize_t, written, writev(fd, pieces, n));
}

static ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    RETRY(ssize_t, n, sendmsg(fd, msg, flags | MSG_NOSIGNAL));
}

static int sys_pipe(int fds[2])
{
    ONCE(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
}

static ssize_t sys_splice(int from, int to, size_t len)
{
    RETRY(ssize_t, n, splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

static bool sys_sigpipe_kills(void)
{
    struct sigaction now;
    sigset_t blocked;

    if (sigaction(SIGPIPE, NULL, &now) != 0 || now.sa_handler != SIG_DFL)
        return false;
    return pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0 || !sigismember(&blocked, SIGPIPE);
}

static ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
    RETRY(ssize_t, n, recvmsg(fd, msg, flags | MSG_CMSG_CLOEXEC));
}

static int sys_socketpair(int family, int type, int fds[2])
{
    ONCE(socketpair(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
}

static int sys_path_id(const char *path, uint64_t id[2])
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -errno;
    id[0] = (uint64_t)st.st_dev;
    id[1] = (uint64_t)st.st_ino;
    return S_ISSOCK(st.st_mode) ? 0 : -ENOTSOCK;
}

static int sys_unlink(const char *path)
{
    ONCE(unlink(path));
}

static int sys_set_mode(int fd, const char *path, uint32_t mode)
{
    ONCE(path ? chmod(path, (mode_t)mode) : fchmod(fd, (mode_t)mode));
}

static int sys_open(const char *path, int flags)
{
    RETRY(int, fd, open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

static int sys_kind(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? -errno : (int)(st.st_mode & S_IFMT);
}

static int sys_access_mode(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : flags & O_ACCMODE;
}

static int sys_window_size(int fd, uint16_t size[2])
{
    struct winsize w;

    if (ioctl(fd, TIOCGWINSZ, &w) < 0)
        return -errno;
    size[0] = w.ws_row;
    size[1] = w.ws_col;
    return 0;
}

static int sys_tty_get(int fd, struct termios *mode, uint32_t *device)
{
    unsigned int number = 0;

    if (tcgetattr(fd, mode) != 0 || ioctl(fd, TIOCGDEV, &number) < 0)
        return -errno;
    *device = number;
    return 0;
}

/* In the background of its own terminal a process would be stopped, or, with its signals blocked, change the mode of the
 * program in the foreground. */
static int sys_tty_set(int fd, const struct termios *mode)
{
    pid_t session = -1, front = -1;

    if (ioctl(fd, TIOCGSID, &session) == 0 && session == getsid(0) &&
        ioctl(fd, TIOCGPGRP, &front) == 0 && front > 0 && front != getpgrp())
        return -EIO;
    RETRY(int, r, tcsetattr(fd, TCSANOW, mode));
    return r < 0 ? -errno : 0;
}

void nart__sys_signals_block(sigset_t *was)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, was);
}

void nart__sys_signals_restore(const sigset_t *was)
{
    pthread_sigmask(SIG_SETMASK, was, NULL);
}

static ssize_t file_to_socket(int to, int from, const int64_t *offset, size_t len)
{
    off_t at = offset ? (off_t)*offset : 0;
    RETRY(ssize_t, n,
          offset ? sendfile(to, from, &at, len)
                 : splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

/* These calls have no flag against SIGPIPE: it is blocked meanwhile, and one that they raised is taken. */
static ssize_t sys_send_file(int to, int from, const int64_t *offset, size_t len)
{
    const struct timespec none = { 0 };
    sigset_t pipe, before, pending;

    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &pipe, &before) != 0)
        return -EINVAL;
    bool blocked = sigismember(&before, SIGPIPE),
         theirs = blocked && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
    ssize_t n = file_to_socket(to, from, offset, len);
    if (n == -EPIPE && !theirs)
        (void)sigtimedwait(&pipe, NULL, &none);
    if (!blocked)
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

const nart_sys nart__sys_real = {
    .socket = sys_socket,
    .bind = sys_bind,
    .listen = sys_listen,
    .accept = sys_accept,
    .connect = sys_connect,
    .recv = sys_recv,
    .send = sys_send,
    .recvmmsg = sys_recvmmsg,
    .sendmmsg = sys_sendmmsg,
    .shutdown = sys_shutdown,
    .sock_error = sys_sock_error,
    .setsockopt = sys_setsockopt,
    .getsockopt = sys_getsockopt,
    .sockname = sys_sockname,
    .peername = sys_peername,
    .poll = sys_poll,
    .set_nonblocking = sys_set_nonblocking,
    .dup = sys_dup,
    .close = nart__sys_close,
    .read = sys_read,
    .writev = sys_writev,
    .sendmsg = sys_sendmsg,
    .pipe = sys_pipe,
    .splice = sys_splice,
    .sigpipe_kills = sys_sigpipe_kills,
    .recvmsg = sys_recvmsg,
    .socketpair = sys_socketpair,
    .path_id = sys_path_id,
    .unlink = sys_unlink,
    .set_mode = sys_set_mode,
    .open = sys_open,
    .kind = sys_kind,
    .access_mode = sys_access_mode,
    .window_size = sys_window_size,
    .tty_get = sys_tty_get,
    .tty_set = sys_tty_set,
    .send_file = sys_send_file,
};
