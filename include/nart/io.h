/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/io.h
 * What all handles on descriptors have in common, and readiness of any descriptor.
 *
 * Rules for every handle of this header and of nart/net.h:
 *  1. Zeroed = closed. Operations on a closed handle answer `-EBADF`; closing it again is fine.
 *  2. A handle belongs to the runtime under which it was opened: under another one its operations
 *     answer NART_EDRIVER. It may outlive that runtime, which closes the descriptor at its end: from
 *     then on its operations answer NART_ESTALE (under another runtime either of the two), whatever
 *     the descriptor's number means by then.
 *  3. One waiting task per handle and direction; a second one gets `-EBUSY`. A reader and a writer
 *     may be two tasks.
 *  4. Closing a handle in which another task waits, or another arm of a race, wakes it: its operation
 *     answers `-EBADF` (a connect NART_EABORTED). Do not open the handle again before that task
 *     has run: its operation, but for a connect, would then be one on what is open now.
 *  5. Errors about the waiting itself, which every operation can answer, are not repeated below:
 *     `-ECANCELED` and `-ETIMEDOUT` (nothing was taken or sent: the operation can be called again),
 *     `-EBUSY`, `-EBADF`, NART_EDRIVER, NART_ESTALE, `-EPERM`.
 *  6. What is done with a handle, moving included, is done on the thread of its runtime, or on any
 *     before that is bound. In a child of fork the handles of the parent can only be closed, which
 *     closes the child's copy of the descriptor.
 *  7. Nothing allocates. A descriptor that may be ready is tried without asking the kernel first.
 *
 * A handle is a plain struct in the caller's frame: not copied, moved with its move function (a
 * nart_fd, which has none, stays where it is). An answer of `-errno` that is not listed comes from
 * the system call.
 */
#ifndef NART_IO_H
#define NART_IO_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Directions and states of a descriptor, as bits. */
enum {
    NART_READ = 1,   /**< bytes or a connection can be taken, or the peer has ended */
    NART_WRITE = 2,  /**< bytes are accepted, or a connect has ended */
    NART_ERROR = 4,  /**< an error is pending (reported with both directions) */
    NART_HANGUP = 8, /**< hung up: both sides of a stream are closed, a pipe has no writer, a socket
                      *   is not connected (reported with both directions) */
    NART_RDHUP = 16, /**< the peer has sent its end */
    NART_PRI = 32    /**< urgent data has come: reads may stop at its mark */
};

/* Where a handle belongs: a driver, its host, and a name that never repeats there. */
typedef struct nart_io {
    const struct nart_driver *drv;
    void *host;
    uint64_t id;
} nart_io;

/** Readiness of a descriptor of any kind: pipes, terminals, devices, sockets of other libraries.
 *  What the kernel cannot watch (regular files) is always ready. Zeroed = closed. */
typedef struct nart_fd {
    nart_io io;
    uint64_t reserved[5];
} nart_fd;

enum {
    /** The descriptor stays the caller's: a duplicate is watched, and closed with the handle. The
     *  open file lives until both are closed. */
    NART_FD_BORROW = 1
};

/**
 * Watches a descriptor; it should be non-blocking, which is not changed here.
 * @param flags 0 or NART_FD_BORROW. @param out overwritten; closed when this fails.
 * @return 0; -EINVAL no `rt` or `out`, or other flags; -EBADF; -EEXIST it is watched already; -EMFILE the
 *   process has no descriptor left for the duplicate; NART_EFDS more than nart_rt_opts.max_io; -ENOSPC,
 *   -ENOMEM the kernel's limits; NART_EWRONGTHREAD, NART_EFORK.
 * **Ownership**: on success, without NART_FD_BORROW, the descriptor is the handle's: closed by
 *   nart_fd_close() or with the runtime. On failure it stays the caller's.
 * **Thread**: the runtime's own, or any before it is bound.
 */
NART_API NART_MUST_USE nart_res nart_fd_open(nart_rt *rt, int fd, uint32_t flags, nart_fd *out);

/**
 * Awaits that one of the directions `dirs` (NART_READ, NART_WRITE or both) may be ready. The answer
 * is a guess: try the system call; when that says EAGAIN, call nart_fd_clear() and await again.
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
 * A descriptor that has just been opened counts as ready, as nobody has tried it yet: the first
 * call answers at once. So does every call until nart_fd_clear(); not clearing is a loop that only
 * the budget of the poll interrupts.
 * @return those of `dirs` that may be ready, and of NART_ERROR, NART_HANGUP and NART_RDHUP what holds
 *   now: a pipe to which a new writer has come is not hung up any more; -EINVAL no direction, or
 *   others.
 * **Cost**: no system call; one when one of those three is seen or was answered by the last call.
 */
NART_API NART_MUST_USE nart_res nart_fd_ready(nart_cx *cx, nart_fd *h, uint32_t dirs);

/** Says that these directions were not ready. Only after EAGAIN: readiness that is cleared without
 *  having been used up is not reported again. Nothing on a closed handle, and for what is always
 *  ready. **Thread**: the runtime's own. */
NART_API void nart_fd_clear(nart_fd *h, uint32_t dirs);

/** Closes. @return 0, also for NULL, a closed handle, one whose runtime is gone, and in a child of fork;
 *  NART_EWRONGTHREAD: nothing was done. */
NART_API nart_res nart_fd_close(nart_fd *h);

NART__ASSERT(sizeof(void *) != 8 || sizeof(nart_fd) == 64, "a handle is one cache line");

#ifdef __cplusplus
}
#endif
#endif
