/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/driver.h
 * The interface between tasks and the driver that polls them. For authors of drivers and of bindings;
 * programs that use nart do not need it.
 *
 * Every operation reaches clock, timers, readiness, system calls, spawn and wake through the driver of its
 * poll context. The C loop is a driver, tokio another, a test may be a third. A driver owns one nart_cx per
 * thread of execution, sets up tasks with nart_driver_task_init() in its own memory, and polls them with
 * nart_driver_poll(). Handles that were opened under a driver keep it, so closing and dropping need no `cx`.
 */
#ifndef NART_DRIVER_H
#define NART_DRIVER_H

#include "io.h"

#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NART_DRIVER_ABI 3u /**< version of the layout of a nart_driver */

/** Bits of nart_driver.kind. */
enum {
    NART_DRIVER_MOVES = 1, /**< the driver moves tasks between threads: operations that would
                            *   register one in the memory of a thread answer NART_EDRIVER, unless the
                            *   task has a group */
    NART_DRIVER_SPAWNS = 2 /**< its tasks may spawn: the driver serves groups, see below */
};

struct mmsghdr; /* not declared in strict C */
struct termios;

/** The system calls on the descriptors of handles: real ones in the loop, faults or a simulation elsewhere.
 *  Each answers >= 0 or -errno, never -EINTR. */
typedef struct nart_sys {
    int (*socket)(int family, int type); /**< non-blocking, closed on exec */
    int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);      /**< bind(2) */
    int (*listen)(int fd, int backlog);                                   /**< listen(2) */
    int (*accept)(int fd, struct sockaddr *addr, socklen_t *len);         /**< as socket() */
    int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);   /**< connect(2) */
    ssize_t (*recv)(int fd, void *buf, size_t len, int flags);            /**< recv(2) */
    ssize_t (*send)(int fd, const void *buf, size_t len, int flags);      /**< send(2) */
    int (*recvmmsg)(int fd, struct mmsghdr *msgs, unsigned n, int flags); /**< recvmmsg(2) */
    int (*sendmmsg)(int fd, struct mmsghdr *msgs, unsigned n, int flags); /**< sendmmsg(2) */
    int (*shutdown)(int fd, int how);                                     /**< shutdown(2) */
    int (*sock_error)(int fd); /**< SO_ERROR, which is cleared: 0 or -errno */
    int (*setsockopt)(int fd, int level, int name, const void *value,
                      socklen_t len); /**< setsockopt(2) */
    int (*getsockopt)(int fd, int level, int name, void *value,
                      socklen_t *len);                              /**< getsockopt(2) */
    int (*sockname)(int fd, struct sockaddr *addr, socklen_t *len); /**< getsockname(2) */
    int (*peername)(int fd, struct sockaddr *addr, socklen_t *len); /**< getpeername(2) */
    int (*poll)(int fd, short events); /**< the current events; does not wait */
    int (*set_nonblocking)(int fd);    /**< sets O_NONBLOCK */
    int (*dup)(int fd);    /**< another descriptor of the same open file, closed on exec */
    void (*close)(int fd); /**< close(2) */
    ssize_t (*read)(int fd, void *buf, size_t len);                  /**< read(2) */
    ssize_t (*writev)(int fd, const struct iovec *pieces, int n);    /**< writev(2) */
    ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags); /**< sendmsg(2) */
    int (*pipe)(int fds[2]);                                         /**< as socket() */
    ssize_t (*splice)(int from, int to, size_t len); /**< one of them is a pipe; does not wait */
    bool (*sigpipe_kills)(void); /**< would SIGPIPE on this thread end the process? */
    ssize_t (*recvmsg)(int fd, struct msghdr *msg,
                       int flags);                       /**< descriptors in it: closed on exec */
    int (*socketpair)(int family, int type, int fds[2]); /**< as socket() */
    int (*path_id)(const char *path, uint64_t id[2]); /**< which socket it names; -ENOTSOCK none */
    int (*unlink)(const char *path);                  /**< unlink(2) */
    int (*set_mode)(int fd, const char *path, uint32_t mode); /**< of the path; NULL: of fd */
    int (*open)(const char *path, int flags);                 /**< as socket() */
    int (*kind)(int fd);                                      /**< its S_IFMT bits */
    int (*access_mode)(int fd);                               /**< O_RDONLY, O_WRONLY or O_RDWR */
    int (*window_size)(int fd, uint16_t size[2]);             /**< rows and columns of a terminal */
    int (*tty_get)(int fd, struct termios *mode, uint32_t *device); /**< of a terminal */
    int (*tty_set)(int fd, const struct termios *mode); /**< at once; -EIO: in the background */
    /** sendfile(2) to a socket from `*offset` on; NULL: splice(2), from a pipe. Does not wait, no SIGPIPE */
    ssize_t (*send_file)(int to, int from, const int64_t *offset, size_t len);
} nart_sys;

/** The functions of a driver, which the operations of its tasks call. `host` is the driver's own pointer. */
typedef struct nart_driver {
    uint32_t abi;               /**< NART_DRIVER_ABI */
    uint32_t kind;              /**< NART_DRIVER_* */
    const char *name;           /**< for debugging */
    int64_t (*now)(void *host); /**< CLOCK_MONOTONIC, or a clock of the driver */
    /** The task has parked; `deadline` is its earliest one. NART_NEVER: leave its timer as it is. A timer
     *  that fires early causes a spurious poll. */
    void (*park)(void *host, struct nart__task *t, int64_t deadline);
    void (*ready)(void *host, struct nart__task *t);      /**< queues it; own thread */
    uintptr_t (*waker)(void *host, struct nart__task *t); /**< its waker word */
    nart_res (*io_add)(void *host, int fd, uint64_t *id); /**< takes ownership of fd */
    /** Is one of these directions ready? Answers the ready bits (> 0); or what the operation then answers:
     *  NART_PENDING (the task is woken when one is ready), -EBUSY, -ETIMEDOUT, -ECANCELED. */
    nart_res (*io_want)(void *host, uint64_t id, uint32_t dirs, nart_cx *cx);
    /** Clears these bits: directions after EAGAIN or a short transfer, states that have ended. */
    void (*io_clear)(void *host, uint64_t id, uint32_t bits);
    /** Returns the descriptor to the caller. 1: another task waited and was woken; 0: none did; NART_ESTALE;
     *  NART_EWRONGTHREAD: nothing was done. */
    nart_res (*io_del)(void *host, uint64_t id, int *fd);
    const nart_sys *sys; /**< NULL: no sockets, io_add answers NART_EDRIVER */
    nart_res (*io_fd)(void *host, uint64_t id); /**< its descriptor; errors as io_del */
    /** The handle is moved: wakes another task that waits in it, which then waits no longer. Answers as
     *  io_del. */
    nart_res (*io_wake)(void *host, uint64_t id);
    /** The operation that waits in these directions answers something else than io_want() did: its wait has
     *  ended. NULL: the driver keeps no waits. */
    void (*io_unwait)(void *host, uint64_t id, uint32_t dirs, nart_cx *cx);
    /** The budget of the poll is spent: the operation continues to wait. NULL as above. */
    void (*io_stay)(void *host, uint64_t id, uint32_t dirs, nart_cx *cx);
} nart_driver;

/** Sets up a poll context. Do not move `*cx` while tasks refer to it. */
NART_API void nart_driver_cx_init(nart_cx *cx, const nart_driver *drv, void *host);

/** Sets up a task in the driver's memory. Fill in `frame` before. */
NART_API void nart_driver_task_init(struct nart__task *t, const nart_task_type *type, void *frame,
                                    nart_cx *owner);

/** Polls a task once. @return its answer: all its waits have been withdrawn, and the driver must call the
 *  type's drop; or NART_PENDING: drv->park was called, and also drv->ready if the task requested another
 *  poll. */
NART_API nart_res nart_driver_poll(nart_cx *cx, struct nart__task *t);

/** Cancels a task of the driver, and makes it ready: drv->ready is called unless it is ready already. */
NART_API void nart_driver_task_cancel(struct nart__task *t);

/** Calls the type's drop, of a task of the driver that is not polled any more. */
NART_API void nart_driver_task_drop(struct nart__task *t);

/** Withdraws all waits of a task that is not polled any more. Call it before the type's drop, unless
 *  nart_driver_poll() has returned the task's answer. */
NART_API void nart_driver_task_end(struct nart__task *t);

/* ---- groups ----
 * A task that spawns, opens a nursery or calls nart_cx_rt() gets a group: the tasks that it and its children
 * spawn. nart_driver_poll() polls all of them in turn, so they may share plain memory. A driver with
 * NART_DRIVER_SPAWNS polls its task again when nart_driver_group_fd() becomes readable, and continues to do so
 * after the task's own answer until nart_driver_group_tasks() is 0; nart_driver_poll() then returns
 * NART_PENDING. It leaves the task's header alone: `ready` means only that it has to poll again. The driver's functions `park` and `ready` are called with its own task only, which is polled
 * whenever the driver polls. `cx` is the context that the driver has set up for its task, except where
 * another one is named. */

/** The number of tasks in the group that have not ended, without the driver's own and those in the background:
 *  nart_driver_group_end() ends them. */
NART_API uint32_t nart_driver_group_tasks(const nart_cx *cx);

/** A descriptor that becomes readable when a task of the group is woken; -1: the task has no group. Watch it
 *  edge-triggered and do not read it. It is valid until nart_driver_group_end(). */
NART_API int nart_driver_group_fd(const nart_cx *cx);

/** From here until the next nart_driver_poll() wakes make the descriptor readable. False: poll again at once. */
NART_API bool nart_driver_group_park(nart_cx *cx);

/** Cancels the tasks of the group, except the driver's own; the group accepts no new ones. No effect without a
 *  group: call it again after a poll that has made one. */
NART_API void nart_driver_group_cancel(nart_cx *cx);

/** Ends the group: each task that has not ended is polled once more, cancelled, and dropped; the driver's own
 *  last. No effect without a group. Call it before the frame of the driver's own task is freed; and again if an
 *  exception of a task has left it: it continues without that poll or drop. */
NART_API void nart_driver_group_end(nart_cx *cx);

/** The driver's own task in whose poll this context, which may be the group's, is used. */
NART_API struct nart__task *nart_driver_group_first(const nart_cx *cx);

/** Does this context poll a task that was spawned, not the driver's own? */
NART_API bool nart_driver_group_polls(const nart_cx *cx);

/** For the driver's function `waker`: the waker word of a task that was spawned; 0: it is the driver's own. */
NART_API uintptr_t nart_driver_group_waker(struct nart__task *t);

/** The real system calls, for drivers whose descriptors are the kernel's. */
NART_API const nart_sys *nart_driver_sys(void);

/**
 * The record of a descriptor, for drivers that learn elsewhere what is ready: the bits of NART_READ ..., and
 * the tasks that wait for them. Its functions do what the driver's functions of the same name promise. The
 * driver makes a waiting task ready again when a direction is ready.
 * **Thread**: the one that polls the tasks that use it.
 */
typedef struct nart_driver_io {
    /* private */
    uint64_t opaque[16];
} nart_driver_io;

/** A new record: both directions count as ready, and no task waits. */
NART_API void nart_driver_io_init(nart_driver_io *io);
/** The bits that are set. */
NART_API uint32_t nart_driver_io_ready(const nart_driver_io *io);
/** Sets bits. Wakes no task. */
NART_API void nart_driver_io_set(nart_driver_io *io, uint32_t bits);
/** Clears bits, as io_clear(). */
NART_API void nart_driver_io_clear(nart_driver_io *io, uint32_t bits);
/** Whether another operation waits in one of these directions: io_want() then answers -EBUSY, and must not
 *  replace the waker of that one. */
NART_API bool nart_driver_io_taken(const nart_driver_io *io, uint32_t dirs, const nart_cx *cx);
/** Waits for one of these directions. @return as io_want(): the bits; or NART_PENDING, -EBUSY, -ETIMEDOUT, -ECANCELED. */
NART_API nart_res nart_driver_io_want(nart_driver_io *io, uint32_t dirs, nart_cx *cx);
/** As io_unwait(). */
NART_API void nart_driver_io_unwait(nart_driver_io *io, uint32_t dirs, const nart_cx *cx);
/** As io_stay(). */
NART_API void nart_driver_io_stay(nart_driver_io *io, uint32_t dirs, const nart_cx *cx);
/** The descriptor is removed, or its handle moved: ends all waits, and makes the tasks ready that wait in it.
 *  @return whether there was one. */
NART_API bool nart_driver_io_part(nart_driver_io *io);

#ifdef __cplusplus
}
#endif
#endif
