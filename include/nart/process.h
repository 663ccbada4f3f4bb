/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/process.h
 * Child processes: starting, waiting, stopping, their three streams.
 *
 * The output of a program, at most 5 seconds and 2 KiB:
 *
 * ```c
 * struct lister { nart_co co; nart_process_output ls; char text[2048]; };
 *
 * static nart_res lister_run(nart_cx *cx, void *frame)
 * {
 *     struct lister *f = frame;
 *     const char *const argv[] = { "ls", "/", NULL };
 *     const nart_process_opts opts = { .size = sizeof opts, .argv = argv };
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &f->co);
 *     f->ls = (nart_process_output){ .out = f->text, .out_size = sizeof f->text };
 *     NART_AWAIT_FOR(r, 5 * NART_SEC, nart_process_run(cx, &opts, &f->ls));
 *     if (r == 0 && f->ls.status.code == 0)
 *         fwrite(f->text, 1, f->ls.out_len, stdout);
 *     NART_END(r);
 * }
 *
 * static void lister_drop(void *frame)
 * {
 *     nart_process_output_finish(&((struct lister *)frame)->ls);
 * }
 * ```
 *
 * Rules:
 *  1. Zeroed = closed. Operations on a closed handle answer -EBADF. Handles follow the rules of nart/io.h; a child
 *     can be signalled and closed also after its runtime was freed.
 *  2. A child is awaited through a pidfd: no SIGCHLD is needed, and no other process is ever signalled. The program
 *     must not reap children that it does not know (waitpid(-1)), and not ignore SIGCHLD while children run: the
 *     status is lost, and wait answers -ECHILD.
 *  3. Cancelling a wait, or losing a race with it, leaves the child running. Closing the handle of a running child
 *     leaves it running, too, as in tokio and libuv; with NART_PROCESS_KILL it kills it. Nothing waits for a child that
 *     does not die. It is reaped when it ends, by the loop of the runtime, which does not wait for it; a child whose
 *     runtime was freed, or is tokio's, when the next process is spawned or closed.
 *  4. A child starts with all signals at their defaults and none blocked. Descriptors that are not passed to it are
 *     closed (before Linux 5.9: those that are not closed on exec are inherited).
 *  5. A child that leads a group (NART_PROCESS_GROUP, NART_PROCESS_SESSION) is not reaped before its handle is closed:
 *     until then its id is not reused, and nart_process_kill_group() reaches those that it has left behind.
 *  6. Linux 5.4 or later; else -ENOSYS.
 */
#ifndef NART_PROCESS_H
#define NART_PROCESS_H

#include "co.h"
#include "io.h"

#include <signal.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What one of the three streams of a child is. */
typedef enum nart_stdio_kind {
    NART_STDIO_INHERIT, /**< that of this process */
    NART_STDIO_NULL,    /**< /dev/null */
    NART_STDIO_FD,      /**< `fd`, which stays the caller's */
    NART_STDIO_PIPE /**< a pipe: `pipe` receives this side, to use with nart_stream_init_fd(); the child's blocks.
                     *   Ignore SIGPIPE before you write to a child, which may end at any time. */
} nart_stdio_kind;

/** One of the three streams of a child. Zeroed = that of this process. */
typedef struct nart_stdio {
    nart_stdio_kind kind; /**< NART_STDIO_* */
    int fd;               /**< of NART_STDIO_FD */
    nart_fd *pipe;        /**< overwritten; closed when the spawn fails */
} nart_stdio;

/** A descriptor that a child gets beside the three. */
typedef struct nart_process_fd {
    int fd; /**< the caller's */
    int as; /**< its number in the child: 3 to NART_PROCESS_FD_MAX */
} nart_process_fd;

#define NART_PROCESS_FD_MAX 255 /**< the largest number of a descriptor in a child */
#define NART_PROCESS_FDS 16     /**< descriptors at most */

/** A limit of the resources of a child, see setrlimit(2). */
typedef struct nart_process_limit {
    int resource; /**< RLIMIT_NOFILE and so on */
    uint32_t reserved;
    uint64_t soft, hard; /**< UINT64_MAX: none */
} nart_process_limit;

#define NART_PROCESS_LIMITS 16 /**< limits at most */

enum {
    NART_PROCESS_EXACT = 1,   /**< `file` is a path; else one without a slash is searched in PATH */
    NART_PROCESS_GROUP = 2,   /**< the child leads a new process group */
    NART_PROCESS_SESSION = 4, /**< the child leads a new session, and a group in it */
    /** Closing the handle kills the child if it runs. With one of the two above it kills the whole group, also
     *  if the child has ended, but not after a wait has answered. */
    NART_PROCESS_KILL = 8,
    NART_PROCESS_UID = 16,    /**< run as user `uid`; root also leaves its supplementary groups */
    NART_PROCESS_GID = 32,    /**< run as group `gid` */
    NART_PROCESS_GROUPS = 64, /**< with these supplementary groups and no others */
    NART_PROCESS_UMASK = 128, /**< with `umask` */
    NART_PROCESS_NICE = 256,  /**< with the priority `nice`, -20 to 19 */
    /** The child gets SIGKILL when the thread that spawns it ends, as the kernel counts it (prctl(2),
     *  PR_SET_PDEATHSIG): spawn from one that lives as long as the process. A program that changes its privileges when
     *  it is executed is not killed. */
    NART_PROCESS_DIE_WITH_PARENT = 512
};

/** What to run, and how; begin with NART_PROCESS_OPTS_INIT, then set at least `argv`. Zero means the default. */
typedef struct nart_process_opts {
    size_t size;    /**< sizeof(nart_process_opts) */
    uint32_t flags; /**< NART_PROCESS_* */
    uint32_t nfds;  /**< elements of `fds`, at most NART_PROCESS_FDS */
    /** The program; NULL: argv[0]. A relative path begins in `dir`; PATH is that of this process. */
    const char *file;
    const char *const *argv;    /**< ends with NULL */
    const char *const *env;     /**< "NAME=value", ends with NULL; NULL: that of this process */
    const char *dir;            /**< working directory; NULL: that of this process */
    nart_stdio in, out, err;    /**< its standard streams */
    const nart_process_fd *fds; /**< `nfds` of them */
    uid_t uid;                  /**< with NART_PROCESS_UID */
    gid_t gid;                  /**< with NART_PROCESS_GID */
    mode_t umask;               /**< with NART_PROCESS_UMASK */
    int nice;                   /**< with NART_PROCESS_NICE */
    const gid_t *groups;        /**< with NART_PROCESS_GROUPS: `ngroups` of them */
    uint32_t ngroups, nlimits;  /**< elements of `groups` and of `limits` */
    const nart_process_limit *limits; /**< `nlimits` of them */
    const void *reserved[4];          /**< NULL */
} nart_process_opts;

#define NART_PROCESS_OPTS_INIT NART__SIZED(nart_process_opts)

/** How a child ended. */
typedef struct nart_process_status {
    int code;   /**< of its exit, 0 to 255 */
    int signal; /**< that ended it; 0: it has exited */
} nart_process_status;

struct nart__child;

/** A child process. Do not copy it; it cannot be moved. */
typedef struct nart_process {
    pid_t pid; /**< read only */
    uint32_t reserved;
    const char *failed; /**< after a spawn that failed: the step, in words, or NULL */
    /* private */
    nart_fd ended;
    struct nart__child *child;
    int64_t kill_at;
} nart_process;

/**
 * Starts a process. The child does, in this order: session or group, descriptors, umask, priority, limits, groups,
 * group, user, directory, and executes the program; so `dir` and `file` are accessed with the rights of `uid`.
 * @param out overwritten; closed when this fails, except for `out->failed`, which names the step.
 * @return 0; -EINVAL no `rt`, `out`, `argv` or `argv[0]`, unknown flags or kind of stream, a pipe without a handle
 *   of its own, `nfds`, `nlimits` or `as` out of range, a limit or an id that the system does not accept, so -1;
 *   NART_EABI, which leaves the pipes as they are; -EBADF a descriptor to pass is closed; -ENOENT, -EACCES, -ENOTDIR no such program or directory, or no permission; -ENOEXEC not a
 *   program for this machine; -E2BIG, -ELOOP, -ENAMETOOLONG, -ETXTBSY as execve(2); -EPERM also ids, a limit or a
 *   priority (-EACCES) that this process may not give; -EMFILE, -ENFILE no
 *   descriptor left; -EAGAIN the limit of processes; -ENOMEM; NART_EFDS, -ENOSPC as nart_fd_open(); -ECHILD this
 *   process ignores SIGCHLD; -ESRCH with NART_PROCESS_DIE_WITH_PARENT: it has died; -ENOSYS see rule 6;
 *   NART_EWRONGTHREAD, NART_EFORK.
 *   A child that was started before the error is killed.
 * **Ownership**: all that `opts` refers to stays the caller's. **Thread**: as nart_fd_open(). **Cost**: blocks the
 *   thread until the child has called exec. Two descriptors for each child, and those of the pipes.
 */
NART_API NART_MUST_USE nart_res nart_process_spawn(nart_rt *rt, const nart_process_opts *opts,
                                                   nart_process *out);

/** The same in a body, under the driver that polls it. @return as nart_process_spawn(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_process_spawn_here(nart_cx *cx, const nart_process_opts *opts,
                                                        nart_process *out);

/**
 * Waits until the child has ended, and reaps it, but see rule 5. Further calls answer the same at once.
 * @param status may be NULL.
 * @return 0; -ECHILD see rule 2; the errors of nart_fd_ready(): the child is left running.
 */
NART_API NART_MUST_USE nart_res nart_process_wait(nart_cx *cx, nart_process *p,
                                                  nart_process_status *status);

/**
 * Ends the child: SIGTERM, after `grace` nanoseconds SIGKILL, then waits as nart_process_wait(). To the group if the
 * child leads one. The time of grace begins with the first call. A child in an uninterruptible system call dies when
 * that ends: pass a deadline where it may not.
 * @return as nart_process_wait(). After -ECANCELED or -ETIMEDOUT the same call continues.
 */
NART_API NART_MUST_USE nart_res nart_process_stop(nart_cx *cx, nart_process *p, int64_t grace,
                                                  nart_process_status *status);

/** Sends a signal to the child. @return 0, also to one that has ended and was not awaited; -ESRCH a wait has answered
 *  its end; -EINVAL no such signal; -EPERM; -EBADF. **Thread**: the handle's. */
NART_API nart_res nart_process_kill(const nart_process *p, int signo);

/** Sends it to the group that the child leads, also after the child has ended and was awaited. @return 0, also if all
 *  of the group have ended; -ESRCH the child is not this process's, or somebody else has reaped it; -EINVAL no such
 *  signal, or it leads no group; -EPERM; -EBADF. **Thread**: the handle's. */
NART_API nart_res nart_process_kill_group(const nart_process *p, int signo);

/** Closes: see rule 3. A task that waits in it is woken: its operation answers -EBADF. @return as nart_fd_close();
 *  0 also for NULL and a closed handle. */
NART_API nart_res nart_process_close(nart_process *p);

/** A run to the end. Zero it, then set the first four fields. */
typedef struct nart_process_output {
    char *out; /**< receives what the child writes to its standard output; NULL: it is discarded */
    size_t out_size;         /**< bytes of space at `out` */
    char *err;               /**< the same of its standard error */
    size_t err_size;         /**< bytes of space at `err` */
    size_t out_len, err_len; /**< bytes that were written: above the size, the rest was discarded */
    nart_process_status status; /**< how the child has ended */
    /* private */
    nart_process process;
    nart_fd out_pipe, err_pipe;
} nart_process_output;

/**
 * Spawns a process with an empty standard input, and waits until it has ended and its output was read. What processes
 * that it has left behind write later is not awaited. `opts->in`, `out` and `err` are ignored, and
 * NART_PROCESS_GROUP is set.
 * @return 0; the errors of nart_process_spawn_here() and nart_process_wait(). After any other answer than 0, and so
 *   after -ETIMEDOUT and -ECANCELED, the child's group was killed.
 * **Ownership**: call nart_process_output_finish() in the drop, and after a lost race.
 */
NART_API NART_MUST_USE nart_res nart_process_run(nart_cx *cx, const nart_process_opts *opts,
                                                 nart_process_output *o);

/** Kills a child that still runs, and closes its pipes; what was read stays. A task that waits in the run is woken:
 *  it answers -EBADF. NULL and a zeroed run are fine. */
NART_API void nart_process_output_finish(nart_process_output *o);

#ifdef __cplusplus
}
#endif
#endif
