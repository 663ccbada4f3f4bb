/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/half.h
 * The halves of a connection: one task receives, another one sends, each owns its half, and the connection closes with
 * the last of them. Two tasks may also share a nart_tcp in memory that outlives both: then none of this is needed.
 *
 * ```c
 * struct reader { nart_co co; nart_tcp_half in; size_t total; char buf[512]; };
 * struct writer { nart_co co; nart_tcp_half out; const char *text; size_t done; };
 *
 * static nart_res reader_run(nart_cx *cx, void *frame)
 * {
 *     struct reader *f = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &f->co);
 *     do {
 *         NART_AWAIT(n, nart_tcp_recv(cx, nart_tcp_half_tcp(&f->in), f->buf, sizeof f->buf));
 *         f->total += n > 0 ? (size_t)n : 0;
 *     } while (n > 0);
 *     NART_END(n < 0 ? n : (nart_res)f->total);
 * }
 *
 * static void reader_drop(void *frame)
 * {
 *     nart_tcp_half_close(&((struct reader *)frame)->in);
 * }
 *
 * static nart_res writer_run(nart_cx *cx, void *frame)
 * {
 *     struct writer *f = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &f->co);
 *     NART_AWAIT(n, nart_tcp_send_all(cx, nart_tcp_half_tcp(&f->out), f->text, strlen(f->text), &f->done));
 *     NART_END(n);
 * }
 *
 * static void writer_drop(void *frame)
 * {
 *     nart_tcp_half_close(&((struct writer *)frame)->out); // the peer reads the end of the stream
 * }
 * ```
 *
 * Rules, beside those of nart/io.h:
 *  1. A half is a handle. Zeroed = closed. While no operation of it waits, it may be moved by assignment: into the frame
 *     of the task that gets it. Both halves stay in one runtime; on tokio with one task and those that it spawns, as
 *     tasks of tokio that do not know each other run at the same time (rule 7 of nart/io.h).
 *  2. All operations are those of the connection, by nart_tcp_half_tcp(): call that in each await, and keep no pointer
 *     to the connection, which is freed with its last half. An error of the connection holds for both halves:
 *     nart_tcp_error().
 *  3. A half does not stop its task from using the other direction, which then may meet the task of the other half.
 *     Options and addresses are for either.
 *  4. nart_tcp_close(), nart_tcp_reset(), nart_tcp_detach() and nart_tcp_move() of the connection take it away from both
 *     halves, which find it closed. Close the halves as well: that frees their memory.
 */
#ifndef NART_HALF_H
#define NART_HALF_H

#include "net.h"
#include "unix.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart__split;

/** A half of a TCP connection. Zeroed = closed. */
typedef struct nart_tcp_half {
    /* private */
    struct nart__split *split;
    uint32_t dir; /* NART_READ, NART_WRITE */
    uint32_t reserved;
} nart_tcp_half;

/**
 * Splits a connection. `*s` is closed: a task that waits in it is woken and finds that.
 * @param reader, writer the halves, overwritten. @param alloc NULL: malloc() and free().
 * @return 0; -ENOMEM; -EINVAL no `s`, `reader` or `writer`, both are the same, or a function is missing in `*alloc`; -EBADF;
 *   -ENOTCONN a connect is under way; NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK. After an error both halves are closed,
 *   and `*s` is unchanged.
 * **Cost**: one allocation, which both halves share.
 */
NART_API NART_MUST_USE nart_res nart_tcp_split(nart_tcp *s, nart_tcp_half *reader,
                                               nart_tcp_half *writer, const nart_alloc *alloc);

/** The connection, for its operations. Of a closed half: a handle that is closed, so operations answer -EBADF; do not
 *  open it. **Thread**: any. */
NART_API nart_tcp *nart_tcp_half_tcp(const nart_tcp_half *h);

/** Closes a half. The writer's shuts down writing, as nart_tcp_shutdown() does: the peer reads the end of the stream
 *  after all that was sent. The reader's has no effect on the peer. The last half closes the connection, as
 *  nart_tcp_close(). A task that waits by this half is woken and finds it closed; the other half continues.
 *  @return 0, also for NULL and a closed half; NART_EWRONGTHREAD nothing was done. */
NART_API nart_res nart_tcp_half_close(nart_tcp_half *h);

/** Joins the halves of one connection, in either order, and closes them. A task that waits by one of them is woken and
 *  finds it closed. @param out overwritten: the connection, in the state it is in.
 *  @return 0; -EINVAL no `out`, or they are not the two halves of one connection: nothing was done; NART_EWRONGTHREAD. */
NART_API NART_MUST_USE nart_res nart_tcp_reunite(nart_tcp_half *a, nart_tcp_half *b, nart_tcp *out);

/** A half of a Unix connection. Zeroed = closed. */
typedef struct nart_unix_half {
    /* private */
    nart_tcp_half half; /* both share their code */
} nart_unix_half;

/** Splits a Unix connection, of bytes or of messages. @return as nart_tcp_split(). */
NART_API NART_MUST_USE nart_res nart_unix_split(nart_unix *u, nart_unix_half *reader,
                                                nart_unix_half *writer, const nart_alloc *alloc);

/** The connection, as nart_tcp_half_tcp(). **Thread**: any. */
NART_API nart_unix *nart_unix_half_unix(const nart_unix_half *h);

/** Closes a half, as nart_tcp_half_close(). @return as nart_tcp_half_close(). */
NART_API nart_res nart_unix_half_close(nart_unix_half *h);

/** Joins the halves, as nart_tcp_reunite(). @return as nart_tcp_reunite(). */
NART_API NART_MUST_USE nart_res nart_unix_reunite(nart_unix_half *a, nart_unix_half *b,
                                                  nart_unix *out);

#ifdef __cplusplus
}
#endif
#endif
