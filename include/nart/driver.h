/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/driver.h
 * The seam between tasks and the world that polls them. For authors of drivers and of bindings;
 * programs that use nart do not need it.
 *
 * Every operation reaches clock, timers, readiness, system calls, spawn and wake through `cx->drv`.
 * The C loop is one driver, tokio another, a test a third. A driver owns one nart_cx per thread of
 * execution, makes tasks with nart_driver_task_init() in memory of its own, and polls them with
 * nart_driver_poll(). Handles that were bound under a driver keep it, so close and drop need no cx.
 */
#ifndef NART_DRIVER_H
#define NART_DRIVER_H

#include "io.h"

#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NART_DRIVER_ABI 1u

/** nart_driver.kind */
enum {
    NART_DRIVER_MOVES = 1 /**< a task is polled by one thread and later by another: operations that
                           *   would leave it in another thread's memory answer NART_EDRIVER */
};

struct mmsghdr; /* strict C does not show it */

/** Every system call on the descriptors of handles: real ones in the loop, faults or a simulation
 *  elsewhere. Each answers >= 0 or -errno, never -EINTR. */
typedef struct nart_sys {
    int (*socket)(int family, int type); /* non-blocking, closed on exec */
    int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
    int (*listen)(int fd, int backlog);
    int (*accept)(int fd, struct sockaddr *addr, socklen_t *len); /* as socket() */
    int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
    ssize_t (*recv)(int fd, void *buf, size_t len, int flags);
    ssize_t (*send)(int fd, const void *buf, size_t len, int flags);
    int (*recvmmsg)(int fd, struct mmsghdr *msgs, unsigned n, int flags);
    int (*sendmmsg)(int fd, struct mmsghdr *msgs, unsigned n, int flags);
    int (*shutdown)(int fd, int how);
    int (*sock_error)(int fd); /* SO_ERROR: 0 or -errno, read once */
    int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t len);
    int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *len);
    int (*sockname)(int fd, struct sockaddr *addr, socklen_t *len);
    int (*peername)(int fd, struct sockaddr *addr, socklen_t *len);
    int (*poll)(int fd, short events); /* the events that hold now; does not wait */
    int (*set_nonblocking)(int fd);
    int (*dup)(int fd); /* another descriptor of the same open file, closed on exec */
    void (*close)(int fd);
} nart_sys;

/** What a driver does for the operations of the tasks that it polls. `host` is its own. */
typedef struct nart_driver {
    uint32_t abi;  /**< NART_DRIVER_ABI */
    uint32_t kind; /**< NART_DRIVER_* */
    const char *name;
    int64_t (*now)(void *host); /**< CLOCK_MONOTONIC, or the world's */
    /** The task parked with this earliest deadline; NART_NEVER: leave its timer as it is. An alarm
     *  that comes too early is a spurious poll. */
    void (*park)(void *host, struct nart__task *t, int64_t deadline);
    void (*ready)(void *host, struct nart__task *t);      /**< queue it; own thread */
    uintptr_t (*waker)(void *host, struct nart__task *t); /**< its waker word */
    nart_res (*io_add)(void *host, int fd, uint64_t *id); /**< takes the descriptor over */
    /** Is one of these directions ready? The ready bits (> 0); or what the operation answers:
     *  NART_PENDING and the task is woken when one is, -EBUSY, -ETIMEDOUT, -ECANCELED. */
    nart_res (*io_want)(void *host, uint64_t id, uint32_t dirs, nart_cx *cx);
    /** These bits hold no more: directions after EAGAIN or a short transfer, states that have ended. */
    void (*io_clear)(void *host, uint64_t id, uint32_t bits);
    /** Gives the descriptor back. 1: another task waited and has been woken; 0; NART_ESTALE;
     *  NART_EWRONGTHREAD: nothing was done. */
    nart_res (*io_del)(void *host, uint64_t id, int *fd);
    const nart_sys *sys; /**< NULL: no sockets in this world, io_add answers NART_EDRIVER */
    nart_res (*io_fd)(void *host, uint64_t id); /**< its descriptor; errors as io_del */
    /** The handle moves: another task that waits is woken and waits no more. Answers as io_del. */
    nart_res (*io_wake)(void *host, uint64_t id);
} nart_driver;

/** Sets up a poll context. `*cx` must stay where it is as long as tasks refer to it. */
NART_API void nart_driver_cx_init(nart_cx *cx, const nart_driver *drv, void *host);

/** Sets up a task in the driver's memory; `frame` has been filled in. */
NART_API void nart_driver_task_init(struct nart__task *t, const nart_task_type *type, void *frame,
                                    nart_cx *owner);

/** Polls a task once. @return its answer, or NART_PENDING: then drv->park has been called, and
 *  drv->ready if it asked for another poll. At an answer every wait has been withdrawn; drop is the
 *  driver's to call. */
NART_API nart_res nart_driver_poll(nart_cx *cx, struct nart__task *t);

/** Asks a task of the driver's to end; the driver polls it soon. */
NART_API void nart_driver_task_cancel(struct nart__task *t);

#ifdef __cplusplus
}
#endif
#endif
