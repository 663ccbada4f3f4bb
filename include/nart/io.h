/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/io.h
 * The rules of all handles on descriptors, and readiness of any descriptor.
 *
 * Rules for every handle of this header and of nart/net.h, nart/unix.h and nart/pipe.h:
 *  1. Zeroed = closed. Operations on a closed handle answer `-EBADF`; closing it again is fine.
 *  2. A handle belongs to the runtime under which it was opened: under another one its operations
 *     answer NART_EDRIVER. It may outlive that runtime. Freeing the runtime closes the descriptor; from
 *     then on operations answer NART_ESTALE (under another runtime either of the two), also when the
 *     process has used the descriptor's number again. So does a copy of a handle that was closed.
 *  3. One task may wait per handle and direction; a second one gets `-EBUSY`. The reader and the writer
 *     may be two tasks. Several tasks send datagrams with nart_udp_send_in_turn().
 *  4. Closing a handle in which another task waits, or another arm of a race, wakes it: its operation
 *     answers `-EBADF` (a connect NART_EABORTED). Keep the handle's memory, and do not open it again, before
 *     that task has run: its operation looks at the handle once more, and, unless it is a connect, would apply to
 *     the new descriptor.
 *  5. Every operation can answer these errors, which are not repeated below: `-ECANCELED` and
 *     `-ETIMEDOUT` (nothing was received or sent: the operation can be called again), `-EBUSY`, `-EBADF`,
 *     NART_EDRIVER, NART_ESTALE, `-EPERM`.
 *  6. Use, move and close a handle on the thread of its runtime, or on any thread before the runtime is
 *     bound. In a forked child the parent's handles can only be closed, which closes the child's copy of
 *     the descriptor.
 *  7. A handle that was opened by a C task on tokio belongs to the bridge instead of a runtime: any C task
 *     of that bridge may use it, one at a time, and the bridge's end closes it. What cannot be watched, or
 *     is watched already, is found by the first operation that waits. To pass a connection between a
 *     loop and tokio, detach the descriptor on one side and adopt it on the other.
 *  8. Operations do not allocate, except that on tokio the first wait in a handle does. They try the system
 *     call before they ask the kernel for readiness.
 *
 * A handle is a plain struct in the caller's frame. Do not copy it; move it with its move function (a
 * nart_fd has none and cannot be moved). An error `-errno` that is not listed comes from the system
 * call.
 */
#ifndef NART_IO_H
#define NART_IO_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Directions and states of a descriptor, as bits. */
enum {
    NART_READ = 1,  /**< readable: bytes or a connection are pending, or the peer has shut down */
    NART_WRITE = 2, /**< writable, or a connect has ended */
    NART_ERROR = 4, /**< an error is pending (reported with both directions) */
    NART_HANGUP =
        8, /**< hung up: both sides of a stream are shut down, a pipe has no writer, a socket
                      *   is not connected (reported with both directions) */
    NART_RDHUP = 16, /**< the peer has shut down writing */
    NART_PRI = 32    /**< urgent data is pending: reads may stop at its mark */
};

/** The first field of a handle on a descriptor: the driver, its host, and an id that is never used again there. */
typedef struct nart_io {
    /* private */
    const struct nart_driver *drv;
    void *host;
    uint64_t id;
} nart_io;

/** A descriptor of any kind whose readiness is awaited: pipes, terminals, devices, sockets of other
 *  libraries. What epoll does not support (regular files) is always ready. Zeroed = closed. */
typedef struct nart_fd {
    /* private */
    nart_io io;
    uint32_t flags;
    uint32_t reserved[9];
} nart_fd;

enum {
    /** The descriptor stays the caller's: a duplicate is watched, and closed with the handle. The
     *  open file lives until both are closed. */
    NART_FD_BORROW = 1,
    /** nart_fd_ready() asks the kernel, so it answers what is so now: for a library that reads a part only, never
     *  reports EAGAIN, or still connects. nart_fd_clear() is not needed. */
    NART_FD_LEVEL = 2
};

/**
 * Opens a handle that watches a descriptor. The descriptor should be non-blocking; this does not change it.
 * @param flags NART_FD_* or 0. @param out overwritten; closed when this fails.
 * @return 0; -EINVAL no `rt` or `out`, or unknown flags; -EBADF; -EEXIST it is watched already; -EMFILE the
 *   process has no descriptor left for the duplicate; NART_EFDS more than nart_rt_opts.max_io; -ENOSPC,
 *   -ENOMEM the kernel's limits; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: on success, without NART_FD_BORROW, the descriptor is the handle's: closed by
 *   nart_fd_close() or with the runtime. On failure it stays the caller's.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API NART_MUST_USE nart_res nart_fd_open(nart_rt *rt, int fd, uint32_t flags, nart_fd *out);

/** The same in a body, under the driver that polls it: the loop, or tokio. @return as
 *  nart_fd_open(); NART_EDRIVER the driver has no descriptors. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_fd_open_here(nart_cx *cx, int fd, uint32_t flags,
                                                  nart_fd *out);

/**
 * Waits until one of the directions `dirs` (NART_READ, NART_WRITE or both) may be ready. The answer is a
 * hint: try the system call; if it fails with EAGAIN, call nart_fd_clear() and await again.
 *
 *     for (;;) {
 *         NART_AWAIT(r, nart_fd_ready(cx, &f->pipe, NART_READ));
 *         if (r < 0)
 *             break;
 *         n = read(f->fd, f->buf, sizeof f->buf);
 *         if (n >= 0 || errno != EAGAIN)
 *             break;
 *         nart_fd_clear(&f->pipe, NART_READ);
 *     }
 *
 * A new handle counts as ready, because the descriptor has not been tried yet: the first call answers at
 * once. So does every call until nart_fd_clear(): without it the loop above spins, and only the budget of
 * the poll interrupts it. With NART_FD_LEVEL neither is so: every call asks the kernel.
 * @return those of `dirs` that may be ready, with those of NART_ERROR, NART_HANGUP and NART_RDHUP that
 *   hold now (a pipe that got a new writer is not hung up any more); -EINVAL no direction, or unknown
 *   bits.
 * **Cost**: no system call; one if one of those three holds or was in the last answer, or with NART_FD_LEVEL.
 */
NART_API NART_MUST_USE nart_res nart_fd_ready(nart_cx *cx, nart_fd *h, uint32_t dirs);

/** Notes that these directions are not ready. Call it only after EAGAIN: readiness that is cleared
 *  earlier is not reported again. Has no effect on a closed handle and on what is always ready.
 *  **Thread**: the runtime's own. */
NART_API void nart_fd_clear(nart_fd *h, uint32_t dirs);

/** The descriptor that is watched: with NART_FD_BORROW the duplicate. It stays the handle's.
 *  @return the descriptor; -EBADF the handle is closed; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. */
NART_API NART_MUST_USE nart_res nart_fd_fd(const nart_fd *h);

/** Gives the descriptor back, and closes the handle as nart_fd_close() would: a task that waits in it is woken.
 *  @return the descriptor, which is the caller's again (with NART_FD_BORROW the duplicate); errors as nart_fd_fd(),
 *  but for NART_EFORK: in a forked child the child's copy is given back. */
NART_API NART_MUST_USE nart_res nart_fd_detach(nart_fd *h);

/** Closes. @return 0, also for NULL, for a closed handle, after the runtime was freed, and in a forked
 *  child; NART_EWRONGTHREAD: nothing was done. */
NART_API nart_res nart_fd_close(nart_fd *h);

NART__ASSERT(sizeof(void *) != 8 || sizeof(nart_fd) == 64, "a handle is one cache line");

#ifdef __cplusplus
}
#endif
#endif
