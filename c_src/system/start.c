/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* start.c: a child from its birth until it executes its program.
 *
 * posix_spawn() cannot set ids, the umask, limits, or the signal of the parent's death, and does not say which step has
 * failed. So there is one path of our own, of the same kind: clone() with CLONE_VM and CLONE_VFORK. The child uses the
 * memory of this process, so the cost does not depend on the size of that; it has a stack, a table of descriptors and
 * signal handlers of its own; and this thread is suspended until the child has executed its program or ended.
 *
 * What it keeps true
 *  - The child makes system calls only, directly: functions of the C library take locks that another thread may hold, or
 *    change what this process believes of itself (setuid() of all threads).
 *  - No signal handler runs in the child: all signals are blocked before it is made, and unblocked when none has a
 *    handler any more.
 *  - Memory that the child needs is made before. A step that fails is left in that memory, with its error: no pipe is
 *    needed, which another thread's child could hold open.
 *
 * Not handled: emulators that make vfork() a fork() (qemu, valgrind) lose a failed step: there the child ends with
 * status 127, as with posix_spawn(). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "child.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* clone() by another name, if the C library has one: ThreadSanitizer takes clone() for a fork(), and reports what this
 * thread does from then on as races. */
int nart__clone(int (*fn)(void *), void *stack, int flags, void *arg, ...) __asm__("__clone")
    __attribute__((weak));

/* Sanitizers follow the thread that is suspended meanwhile. */
#define IN_CHILD static __attribute__((no_sanitize("address", "thread", "undefined")))

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
/* Ids of 32 bits, where the older calls have 16. */
#ifdef SYS_setresuid32
#define SET_UID SYS_setresuid32
#define SET_GID SYS_setresgid32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_UID SYS_setresuid
#define SET_GID SYS_setresgid
#define SET_GROUPS SYS_setgroups
#endif

enum {
    STACK = 32 << 10,
    SIGNALS = 64,
    SIGSET_BYTES = SIGNALS / 8 /* of the kernel's sigset_t */
};

/* What both sides use. */
struct birth {
    const nart_process_opts *o;
    const nart__child_fd *fds;
    size_t n;
    char *const *argv, *const *env;
    pid_t parent;
    const char *step; /* that is under way */
    int err;          /* of the step that has failed */
    char names[];     /* paths to execute, in order; the last is empty */
};

/* ---- the child ---- */

IN_CHILD bool descriptors(const struct birth *b)
{
    bool passed[NART_PROCESS_FD_MAX + 1];
    int last = 2;

    for (int i = 0; i <= NART_PROCESS_FD_MAX; i++)
        passed[i] = false;
    for (size_t i = 0; i < b->n; i++) {
        if (syscall(SYS_dup3, b->fds[i].fd, b->fds[i].as, 0) < 0)
            return false;
        passed[b->fds[i].as] = true;
        last = b->fds[i].as > last ? b->fds[i].as : last;
    }
    for (int fd = 3; fd < last; fd++)
        if (!passed[fd])
            (void)syscall(SYS_close, fd); /* maybe it is not open */
    /* Before Linux 5.9 the rest is inherited, unless it is closed on exec. */
    return syscall(SYS_close_range, last + 1, ~0u, 0) == 0 || errno == ENOSYS;
}

IN_CHILD bool limits(const nart_process_opts *o)
{
    for (uint32_t i = 0; i < o->nlimits; i++) {
        const uint64_t limit[] = { o->limits[i].soft, o->limits[i].hard };
        if (syscall(SYS_prlimit64, 0, o->limits[i].resource, limit, NULL) != 0)
            return false;
    }
    return true;
}

IN_CHILD bool groups(const nart_process_opts *o)
{
    if (o->flags & NART_PROCESS_GROUPS)
        return syscall(SET_GROUPS, (size_t)o->ngroups, o->groups) == 0;
    if (o->flags & NART_PROCESS_UID && syscall(SYS_geteuid) == 0) /* those of root */
        return syscall(SET_GROUPS, (size_t)0, NULL) == 0;
    return true;
}

/* After the ids, whose change resets it. Has the parent died before? */
IN_CHILD bool dies_with_parent(const struct birth *b)
{
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, (long)SIGKILL, 0l, 0l, 0l) != 0)
        return false;
    if (syscall(SYS_getppid) == b->parent)
        return true;
    errno = ESRCH;
    return false;
}

/* Exec makes handlers the default, but not ignored signals; and no handler may run before. */
IN_CHILD void default_signals(void)
{
    const long action[8] = { 0 }; /* the kernel's struct sigaction: SIG_DFL is 0 */

    for (int s = 1; s <= SIGNALS; s++) /* SIGKILL and SIGSTOP fail */
        (void)syscall(SYS_rt_sigaction, s, action, NULL, (size_t)SIGSET_BYTES);
}

/* As execvp(), but it names no shell for what is not a program. */
IN_CHILD void execute(const struct birth *b)
{
    const char *name = b->names;
    bool denied = false;

    errno = ENOENT;
    while (*name) {
        (void)syscall(SYS_execve, name, b->argv, b->env);
        denied = denied || errno == EACCES;
        if (errno != EACCES && errno != ENOENT && errno != ENOTDIR && errno != ESTALE &&
            errno != ENODEV && errno != ETIMEDOUT)
            return;
        while (*name)
            name++;
        name++;
    }
    if (denied)
        errno = EACCES;
}

/* Only returns if a step has failed. */
IN_CHILD void go(struct birth *b)
{
    const nart_process_opts *o = b->o;
    const uint64_t no_signal = 0;
    uint32_t f = o->flags;

    default_signals();
    b->step = "lead a session or a group";
    if (f & NART_PROCESS_SESSION ? syscall(SYS_setsid) < 0
                                 : f & NART_PROCESS_GROUP && syscall(SYS_setpgid, 0, 0) != 0)
        return;
    b->step = "pass the descriptors";
    if (!descriptors(b))
        return;
    if (f & NART_PROCESS_UMASK)
        (void)syscall(SYS_umask, o->umask);
    b->step = "set the priority";
    if (f & NART_PROCESS_NICE && syscall(SYS_setpriority, PRIO_PROCESS, 0, o->nice) != 0)
        return;
    b->step = "set the limits";
    if (!limits(o))
        return;
    b->step = "set the supplementary groups";
    if (!groups(o))
        return;
    b->step = "set the group";
    if (f & NART_PROCESS_GID && syscall(SET_GID, o->gid, o->gid, o->gid) != 0)
        return;
    b->step = "set the user";
    if (f & NART_PROCESS_UID && syscall(SET_UID, o->uid, o->uid, o->uid) != 0)
        return;
    b->step = "die with the parent";
    if (f & NART_PROCESS_DIE_WITH_PARENT && !dies_with_parent(b))
        return;
    b->step = "change to the directory";
    if (o->dir && syscall(SYS_chdir, o->dir) != 0)
        return;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signal, NULL, (size_t)SIGSET_BYTES);
    b->step = "execute the program";
    execute(b);
}

IN_CHILD int child(void *arg)
{
    struct birth *b = arg;

    go(b);
    b->err = errno;
    (void)syscall(SYS_exit_group, 127);
    return 127; /* not reached */
}

/* ---- the parent ---- */

/* The directories to search: NULL none, `file` is a path. */
static const char *path_for(const nart_process_opts *o, const char *file)
{
    if (o->flags & NART_PROCESS_EXACT || !*file || strchr(file, '/'))
        return NULL;
    const char *path = getenv("PATH");
    return path ? path : "/bin:/usr/bin";
}

/* The bytes of all names. An entry of the path adds a slash, the file and a NUL. */
static size_t names_size(const char *path, const char *file)
{
    size_t size = strlen(file) + 2, dirs = 1;

    if (!path)
        return size;
    for (const char *p = path; *p; p++)
        dirs += *p == ':';
    return strlen(path) + dirs * size + 1;
}

/* Zeroed memory follows the last. An empty entry is the working directory. */
static void write_names(char *to, const char *path, const char *file)
{
    size_t len = strlen(file) + 1;

    while (path) {
        size_t dir = strcspn(path, ":");
        memcpy(to, path, dir);
        to += dir;
        if (dir > 0)
            *to++ = '/';
        memcpy(to, file, len);
        to += len;
        path = path[dir] ? path + dir + 1 : NULL;
        if (!path)
            return;
    }
    memcpy(to, file, len);
}

nart_res nart__child_start(const nart_process_opts *o, const nart__child_fd *fds, size_t n,
                           const char **step)
{
    const char *file = o->file ? o->file : o->argv[0];
    const char *path = path_for(o, file);
    uint64_t all = UINT64_MAX, before;

    *step = "start a process";
    size_t room = (sizeof(struct birth) + names_size(path, file) + 15) & ~(size_t)15;
    struct birth *b = nart__sys_map(room + STACK);
    if (!b)
        return -ENOMEM;
    b->o = o;
    b->fds = fds;
    b->n = n;
    b->argv = (char *const *)(uintptr_t)o->argv; /* only read */
    b->env = o->env ? (char *const *)(uintptr_t)o->env : environ;
    b->parent = (pid_t)nart__sys_pid();
    write_names(b->names, path, file);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, (size_t)SIGSET_BYTES);
    pid_t pid = (nart__clone ? nart__clone : clone)(child, (char *)b + room + STACK,
                                                    CLONE_VM | CLONE_VFORK | SIGCHLD, b);
    nart_res r = pid < 0 ? -errno : pid;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, (size_t)SIGSET_BYTES);
    if (r > 0 && b->err) { /* it has ended */
        *step = b->step;
        r = -b->err;
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    nart__sys_unmap(b, room + STACK);
    return r;
}
