/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/pipe.h
 * Pipes, FIFOs and terminals: handles of type nart_fd (nart/io.h has their rules), read and written here, or as
 * buffered streams by nart_stream_init_fd(); a terminal's mode and the size of its window.
 *
 * ```c
 * struct cat { nart_co co; nart_fd in, out; size_t len, done; char buf[512]; };
 *
 * // Copies standard input to standard output. The shell's own descriptors stay as they are.
 * static nart_res cat_run(nart_cx *cx, void *frame)
 * {
 *     struct cat *c = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &c->co);
 *     n = nart_fd_reopen_here(cx, 0, &c->in);
 *     if (n == 0)
 *         n = nart_fd_reopen_here(cx, 1, &c->out);
 *     while (n >= 0) {
 *         NART_AWAIT(n, nart_fd_read(cx, &c->in, c->buf, sizeof c->buf));
 *         if (n <= 0)
 *             break;
 *         c->len = (size_t)n;
 *         NART_AWAIT(n, nart_fd_write_all(cx, &c->out, c->buf, c->len, &c->done));
 *     }
 *     nart_fd_close(&c->in);
 *     nart_fd_close(&c->out);
 *     NART_END(n);
 * }
 * ```
 *
 * A signal: writing to a pipe or FIFO that has no reader raises SIGPIPE, which ends a program that does not ignore it.
 *
 * Functions that open a handle take a runtime, before or while it runs; those whose names end in `_here` take a
 * body's `cx` instead, and open it under the driver that polls the body: the loop, or tokio. They answer
 * NART_EDRIVER where that driver has no descriptors, and are for use inside a poll.
 */
#ifndef NART_PIPE_H
#define NART_PIPE_H

#include "io.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- opening --------------------------------------------------------------------------------- */

/** Makes a pipe, and a handle for each end, non-blocking.
 *  @return 0; -EINVAL no `rt`, `in` or `out`; -EMFILE, -ENFILE, NART_EFDS, -ENOMEM, -ENOSPC, NART_EWRONGTHREAD,
 *  NART_EFORK as nart_fd_open(): both handles are closed. **Thread**: as nart_fd_open(). */
NART_API NART_MUST_USE nart_res nart_pipe_open(nart_rt *rt, nart_fd *in, nart_fd *out);
/** @return as nart_pipe_open(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_pipe_open_here(nart_cx *cx, nart_fd *in, nart_fd *out);

/**
 * Opens a FIFO (mkfifo(3)) without blocking.
 * @param dirs NART_READ: the first read waits for a writer that writes or closes; when the last writer has closed, a
 *   read answers 0, the end, until it is opened again. NART_WRITE: needs a reader. Both: needs nobody, and reads have
 *   no end, since the handle itself is a writer.
 * @return 0; -ENXIO to write, and nobody has opened it to read: sleep and call again, the kernel reports no beginning
 *   of that; -ENOENT, -ENOTDIR, -EACCES about the path; -EPROTOTYPE it is no FIFO; -EINVAL no `rt`, `path` or `out`, or
 *   no direction; -EMFILE, -ENFILE, NART_EFDS, -ENOMEM, -ENOSPC, NART_EWRONGTHREAD, NART_EFORK as nart_fd_open().
 * **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_fifo_open(nart_rt *rt, const char *path, uint32_t dirs,
                                               nart_fd *out);
/** @return as nart_fifo_open(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_fifo_open_here(nart_cx *cx, const char *path, uint32_t dirs,
                                                    nart_fd *out);

/**
 * Opens the terminal, pipe or FIFO of a descriptor once more, non-blocking: for 0, 1 and 2, whose open files are shared
 * with the shell and other programs. O_NONBLOCK set on those would be set for all of them, also after this program has
 * ended; here nothing of them changes, so there is nothing to restore, not even after a crash. Of a file or directory
 * a duplicate is watched, with the same position. Of a device of which each open has a state of its own, as the master
 * of a pseudo-terminal and /dev/net/tun, it opens another one: use nart_fd_open() for that.
 * @return 0; -EBADF; -ENXIO it is a socket (nart_unix_adopt(), nart_tcp_adopt()), has no file, as an eventfd, or is
 *   the end to write of a FIFO that nobody has opened to read;
 *   -EACCES this user may not open it: a terminal, pipe or FIFO that another user has made, after su(1) or sudo(8);
 *   nart_fd_open() with NART_FD_BORROW uses it as it is, and makes it non-blocking for all; -ENOENT /proc is not mounted; -EINVAL no `rt` or `out`; -EMFILE,
 *   -ENFILE, NART_EFDS, -ENOMEM, -ENOSPC, NART_EWRONGTHREAD, NART_EFORK as nart_fd_open().
 * **Ownership**: `fd` stays the caller's. **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_fd_reopen(nart_rt *rt, int fd, nart_fd *out);
/** @return as nart_fd_reopen(); NART_EDRIVER. */
NART_API NART_MUST_USE nart_res nart_fd_reopen_here(nart_cx *cx, int fd, nart_fd *out);

/* ---- reading and writing --------------------------------------------------------------------- */

/**
 * Reads the pending bytes, at most `len`, of any handle whose descriptor is non-blocking; from a terminal a line,
 * unless its mode is changed (tcsetattr(3)).
 * @return their number; 0 the end: a pipe has no writer any more, on a terminal Control-D was typed; -EINVAL `len` is
 *   0; -EIO the terminal has gone, or this program is in the background and ignores or blocks SIGTTIN, which otherwise
 *   stops it.
 * **Cost**: one system call; two before a wait.
 */
NART_API NART_MUST_USE nart_res nart_fd_read(nart_cx *cx, nart_fd *h, void *buf, size_t len);

/** Writes as many bytes as the kernel accepts at once, at least one.
 *  @return their number; 0 if `len` is 0; -EPIPE nobody reads (see above for SIGPIPE); -EIO the terminal has gone. */
NART_API NART_MUST_USE nart_res nart_fd_write(nart_cx *cx, nart_fd *h, const void *buf, size_t len);

/** Writes all of `buf`. @param done as in nart_tcp_send_all(). @return `len`; -EINVAL `*done` is left from another call
 *  (not 0, and not below `len`); the errors of nart_fd_write(). */
NART_API NART_MUST_USE nart_res nart_fd_write_all(nart_cx *cx, nart_fd *h, const void *buf,
                                                  size_t len, size_t *done);

/* ---- terminals ------------------------------------------------------------------------------- */

/** The size of a terminal's window, in characters. SIGWINCH reports that it has changed:
 *
 * ```c
 * struct screen { nart_co co; nart_fd tty; nart_signal winch; uint32_t rows, columns; };
 *
 * // Draws, and again whenever the window has another size.
 * static nart_res screen_run(nart_cx *cx, void *frame)
 * {
 *     struct screen *s = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &s->co);
 *     n = nart_signal_open(SIGWINCH, &s->winch);
 *     while (n >= 0) {
 *         n = nart_tty_size(&s->tty, &s->rows, &s->columns);
 *         if (n < 0)
 *             break;
 *         draw(s->rows, s->columns);
 *         NART_AWAIT(n, nart_signal_recv(cx, &s->winch));
 *     }
 *     nart_signal_close(&s->winch);
 *     nart_fd_close(&s->tty);
 *     NART_END(n);
 * }
 * ```
 *
 * @return 0; -ENOTTY no terminal; -EINVAL no `rows` or `columns`; -EBADF; NART_ESTALE; NART_EWRONGTHREAD;
 *  NART_EFORK. */
NART_API nart_res nart_tty_size(const nart_fd *h, uint32_t *rows, uint32_t *columns);

/** What a terminal does with keys and with output. */
typedef enum nart_tty_mode {
    NART_TTY_COOKED, /**< as it was before the first nart_tty_set_mode() */
    /** Reads answer keys at once, without echo; Control-C and its like are bytes. In output LF still begins a line. */
    NART_TTY_RAW,
    NART_TTY_BYTES /**< nothing is changed in either direction */
} nart_tty_mode;

/** The most terminals whose mode is changed at the same time. */
#define NART_TTY_MOST 8

/**
 * Sets the mode of a terminal. It holds for every program that uses the terminal, until it is NART_TTY_COOKED again:
 * set that before the handle is closed. exit() does it for what is left; for other ways out see nart_tty_reset(). Until
 * then a duplicate of the descriptor is open. A program that was stopped sets the mode again after SIGCONT.
 * @return 0; -ENOTTY no terminal; -EINVAL an unknown mode; -EIO it is hung up, or this program is in its background;
 *   -ENOSPC NART_TTY_MOST others have another mode already; -ENOMEM; -EMFILE; -EBADF; NART_ESTALE; NART_EWRONGTHREAD;
 *   NART_EFORK, also in a child of a process that has changed a mode.
 * **Cost**: four to six system calls. Pending output is not awaited, pending input stays.
 */
NART_API NART_MUST_USE nart_res nart_tty_set_mode(const nart_fd *h, nart_tty_mode mode);

/** Restores all terminals as exit() does, for handlers of signals that end or stop the program, and before abort(3). In
 *  a forked child it does nothing.
 *  @return 0; -EIO one is hung up, or this program is in its background. **Thread**: any; async-signal-safe. */
NART_API nart_res nart_tty_reset(void);

#ifdef __cplusplus
}
#endif
#endif
