/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/stream.h
 * Buffered streams of bytes, with one interface over TCP, Unix sockets, pipes, pairs in memory and transports of
 * your own.
 *
 * ```c
 * struct conn { nart_co co; nart_tcp sock; nart_stream s; char *line; size_t len, done; char buf[1024]; };
 *
 * static nart_res conn_run(nart_cx *cx, void *frame)
 * {
 *     struct conn *c = frame;
 *     nart_res n = 0;
 *
 *     NART_BEGIN(cx, &c->co);
 *     n = nart_stream_init_tcp(&c->s, &c->sock, c->buf, sizeof c->buf);
 *     while (n >= 0) {
 *         NART_AWAIT(n, nart_stream_read_line(cx, &c->s, 0, &c->line));
 *         if (n < 0)
 *             break;
 *         c->line[n] = '\n';
 *         c->len = (size_t)n + 1;
 *         NART_AWAIT(n, nart_stream_write_all(cx, &c->s, c->line, c->len, &c->done));
 *     }
 *     nart_stream_close(&c->s);
 *     NART_END(n == NART_EEOF ? 0 : n);
 * }
 * ```
 *
 * A stream refers to a handle and to memory that the caller owns: it has no memory of its own. Rules:
 *  1. The handle and the buffers stay where they are until the stream is closed or not used any more. While no
 *     operation waits, a stream may be moved by assignment, and its handle used without it, which does not see
 *     the bytes in the buffers. To move the handle, begin with a new stream; first consume what
 *     nart_stream_peek() shows.
 *  2. One task may read and another may write at the same time. A second reader that has to wait gets -EBUSY.
 *  3. Nothing is lost by -ECANCELED, -ETIMEDOUT, a lost race or another error: bytes that were read are in the
 *     buffer, or counted by `*done`, and the same call with the same arguments continues.
 *  4. Where an operation has `done`: 0 before the first call, kept in the frame, 0 again after success. After an
 *     error it is the number of bytes that have been moved. To abandon the operation, set it to 0.
 *  5. Pointers into the buffer are valid until the next operation that reads from this stream.
 *  6. Every operation can answer the errors of its transport, which are not repeated below: those that the rules
 *     in nart/io.h list; -ECONNRESET, -EPIPE and -ENOTCONN as nart_tcp_recv() and nart_tcp_send(); and those of the
 *     system calls. -EBADF: the stream is zeroed, closed or not initialised. -ENOMEM: no memory
 *     for a buffer of the pool. -EIO: a transport of your own claims to have read more than it had space for. An
 *     end of the stream is not kept: the next call asks for it again, since a terminal may continue.
 *  7. A stream over a handle that a C task on tokio has opened works there, as the handle does. A pair is of a
 *     runtime: on tokio its operations answer NART_EDRIVER.
 *  8. A signal: writing to a pipe that has no reader raises SIGPIPE, which ends a program that does not ignore
 *     it. Sockets raise none.
 */
#ifndef NART_STREAM_H
#define NART_STREAM_H

#include "co.h"
#include "half.h"
#include "net.h"
#include "unix.h"

#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- transports ------------------------------------------------------------------------------ */

#define NART_STREAM_ABI 1u /**< version of the layout of a nart_stream_type */

/**
 * What a stream reads from and writes to; constant. Functions with `cx` are operations: they may answer
 * NART_PENDING, and are then called again, perhaps with other arguments, so they keep no pointer. Unlike other
 * operations they are not called when bytes in the buffers suffice.
 */
typedef struct nart_stream_type {
    uint32_t abi;     /**< NART_STREAM_ABI */
    uint32_t flags;   /**< 0 */
    const char *name; /**< for debugging */
    /** Reads 1 to `len` bytes; `len` > 0. Answers their number; 0: the end. */
    nart_res (*read)(nart_cx *cx, void *io, void *buf, size_t len);
    /** Writes 1 byte or more from the `n` pieces, which have one or more in total. Answers their number. */
    nart_res (*write)(nart_cx *cx, void *io, const struct iovec *pieces, size_t n);
    /** Sends what the transport itself has buffered. Answers 0. NULL: it buffers nothing. */
    nart_res (*flush)(nart_cx *cx, void *io);
    /** Ends the direction of writing. Answers 0. NULL: it cannot, -EOPNOTSUPP. */
    nart_res (*shutdown)(nart_cx *cx, void *io);
    /** Closes; `io` may be closed already. Answers 0 or an error, with nothing done. */
    nart_res (*close)(void *io);
    const void *reserved[2];
} nart_stream_type;

/**
 * Buffers for reading, of one size. A stream has one only while it holds bytes, or while its operation runs: the
 * buffer returns to the pool when a read would wait and nothing is in it. So idle connections need no memory.
 */
typedef struct nart_stream_pool {
    size_t size;   /**< of each buffer; read only */
    uint32_t used; /**< buffers that streams have; read only */
    /* private */
    uint32_t kept, keep;
    nart_alloc alloc;
    void *first;
} nart_stream_pool;

/**
 * Sets up a pool. It allocates when a stream needs a buffer.
 * @param size of each buffer, at least 16. @param keep how many unused ones it keeps; the others are freed.
 * @param alloc NULL: malloc() and free().
 * @return 0; -EINVAL no `p`, `size` below 16, or a function is missing in `*alloc`.
 * **Thread**: any; its streams: one runtime's.
 */
NART_API NART_MUST_USE nart_res nart_stream_pool_init(nart_stream_pool *p, size_t size,
                                                      uint32_t keep, const nart_alloc *alloc);

/** Frees the unused buffers and zeroes the pool. A zeroed pool, and NULL, are fine. @return 0; -EBUSY streams
 *  have buffers of it: nothing was done. */
NART_API nart_res nart_stream_pool_finish(nart_stream_pool *p);

/* Private: `start` to `end` of `mem` hold bytes. */
struct nart__stream_buf {
    char *mem;
    size_t cap, start, end;
};

/** A stream. Zeroed = closed. */
typedef struct nart_stream {
    /* private */
    const nart_stream_type *type;
    void *io;
    struct nart__stream_buf in, out;
    uint64_t delim; /* what read_until() searches for */
    size_t delim_len, searched;
    nart_stream_pool *pool; /* of `in`, whose `mem` is NULL while it has none */
} nart_stream;

/**
 * Begins a stream over a transport.
 * @param buf, cap memory for reading. NULL and 0: only nart_stream_read() and nart_stream_read_exact() can
 *   read, and each call is a call of the transport.
 * @return 0; -EINVAL no `s`, `type`, function or `io`, or `cap` without `buf`; NART_EABI.
 * **Ownership**: `io` and `buf` stay the caller's; nart_stream_close() closes `io`. **Thread**: any.
 */
NART_API NART_MUST_USE nart_res nart_stream_init(nart_stream *s, const nart_stream_type *type,
                                                 void *io, void *buf, size_t cap);

/** The same over a TCP socket, connected now or later. @return 0; -EINVAL as nart_stream_init().
 *  **Ownership**, **Thread**: as nart_stream_init(). */
NART_API NART_MUST_USE nart_res nart_stream_init_tcp(nart_stream *s, nart_tcp *io, void *buf,
                                                     size_t cap);

/** The same over a Unix connection of bytes. @return 0; -EPROTOTYPE one of messages; -EINVAL as nart_stream_init().
 *  **Ownership**, **Thread**: as nart_stream_init(). */
NART_API NART_MUST_USE nart_res nart_stream_init_unix(nart_stream *s, nart_unix *io, void *buf,
                                                      size_t cap);

/** The same over a half of a TCP connection: its other direction answers what the connection does.
 *  @return 0; -EINVAL as nart_stream_init(). **Ownership**, **Thread**: as nart_stream_init(). */
NART_API NART_MUST_USE nart_res nart_stream_init_tcp_half(nart_stream *s, nart_tcp_half *io,
                                                          void *buf, size_t cap);

/** The same over a half of a Unix connection of bytes. @return as nart_stream_init_unix().
 *  **Ownership**, **Thread**: as nart_stream_init(). */
NART_API NART_MUST_USE nart_res nart_stream_init_unix_half(nart_stream *s, nart_unix_half *io,
                                                           void *buf, size_t cap);

/**
 * The same over any other descriptor: a Unix socket, a pipe, a terminal, a file. Makes it non-blocking, for
 * every process that shares its open file, unless it is a file or directory. Those are always ready, and block the loop
 * for one read(2) or write(2) of at most the buffer's size at a time: as long as a copy takes if the kernel has the
 * pages, as long as the disk takes if not. Threads of a pool read files by nart/file.h.
 * @return 0; -EINVAL as nart_stream_init(); -EPROTOTYPE a socket that keeps the boundaries of messages; -EBADF;
 *   NART_ESTALE; NART_EWRONGTHREAD; NART_EFORK.
 * **Ownership**: as nart_stream_init(). **Cost**: two to four system calls.
 */
NART_API NART_MUST_USE nart_res nart_stream_init_fd(nart_stream *s, nart_fd *io, void *buf,
                                                    size_t cap);

/**
 * Opens a descriptor as a stream, whatever it is: for 0, 1 and 2, which may be a terminal, a pipe, a file or a socket.
 * Terminals, pipes and other devices are opened once more (nart_fd_reopen()), so that others who share them still block; of
 * the rest a duplicate is used, and a socket becomes non-blocking for all. The reader of a pipe sees the end when `fd` is closed,
 * too.
 * @param io a handle for it, overwritten; closed when this fails.
 * @return 0; -EINVAL no `rt`, or as nart_stream_init(); -EPROTOTYPE a socket that keeps the boundaries of messages; the
 *   errors of nart_fd_reopen() but for -ENXIO.
 * **Ownership**: `fd` stays the caller's; `io` as in nart_stream_init(). **Thread**: as nart_fd_open().
 */
NART_API NART_MUST_USE nart_res nart_stream_open_fd(nart_rt *rt, int fd, nart_stream *s,
                                                    nart_fd *io, void *buf, size_t cap);
/** @return as nart_stream_open_fd(); NART_EDRIVER. **Thread**: inside a poll. */
NART_API NART_MUST_USE nart_res nart_stream_open_fd_here(nart_cx *cx, int fd, nart_stream *s,
                                                         nart_fd *io, void *buf, size_t cap);

/**
 * Lets the stream read into buffers of a pool, instead of one of its own.
 * @return 0; -EINVAL `p` is not set up, or the stream is closed; -EBUSY the stream's buffer holds bytes.
 * **Ownership**: the pool stays the caller's; nart_stream_close() returns the buffer. Close the stream when its
 *   task ends, also in the drop of its frame. **Thread**: as nart_stream_read().
 */
NART_API NART_MUST_USE nart_res nart_stream_use_pool(nart_stream *s, nart_stream_pool *p);

/* Private: one direction of a pair; a ring of `cap` bytes. */
struct nart__stream_ring {
    char *mem;
    size_t cap, start, used;
    nart__wait reader, writer;
    bool ended, abandoned; /* nothing more will be written; nobody reads */
};

/* Private: reads from ring[side], writes to the other. */
struct nart__stream_end {
    struct nart_stream_pair *pair;
    uint32_t side, closed;
};

/** Two streams in memory, connected with each other: what one writes the other reads. For tests, and between
 *  two tasks of a runtime. */
typedef struct nart_stream_pair {
    /* private */
    struct nart__stream_ring ring[2];
    struct nart__stream_end end[2];
} nart_stream_pair;

/** Begins a pair. @param mem, size memory for bytes on their way: each direction gets a half. @return 0; -EINVAL
 *  no `p` or `mem`, or `size` below 2. **Ownership**: `p` and `mem` stay the caller's: keep them where they are
 *  until both streams are closed. **Thread**: any; the operations: one runtime's. */
NART_API NART_MUST_USE nart_res nart_stream_pair_init(nart_stream_pair *p, void *mem, size_t size);

/**
 * Begins a stream over one side of a pair. Its rules are those of a socket: closing it answers the task that
 * waits in it with -EBADF; the other side reads the rest and then the end, and its writes answer -EPIPE.
 * @param side 0 or 1.
 * @return 0; -EINVAL another `side`, or as nart_stream_init(). **Ownership**, **Thread**: as nart_stream_init().
 */
NART_API NART_MUST_USE nart_res nart_stream_init_pair(nart_stream *s, nart_stream_pair *p, int side,
                                                      void *buf, size_t cap);

/**
 * Gives the stream a buffer for writing: what fits is copied there and sent by nart_stream_flush(), by
 * nart_stream_shutdown(), or with the first write that does not fit, by the same system call. Reading does not flush:
 * flush before you wait for a reply.
 * @param buf, cap NULL and 0: no buffer.
 * @return 0; -EINVAL `cap` without `buf`, or the stream is closed; -EBUSY the present buffer is not empty.
 * **Ownership**: `buf` stays the caller's. **Thread**: as nart_stream_read().
 */
NART_API NART_MUST_USE nart_res nart_stream_buffer_writes(nart_stream *s, void *buf, size_t cap);

/** Closes the handle, and zeroes the stream. Bytes that were not flushed are lost: shut down first.
 *  @return 0, also for NULL and a closed stream; the errors of the transport (nart_tcp_close(),
 *  nart_fd_close()): nothing was done. */
NART_API nart_res nart_stream_close(nart_stream *s);

/* ---- reading --------------------------------------------------------------------------------- */

/**
 * Reads the pending bytes, at most `len`.
 * @return their number; 0 the stream has ended; -EINVAL `len` is 0.
 * **Cost**: no system call while the buffer has bytes. If it has none, one: into `buf` if that is not smaller
 *   than the stream's buffer, else into the stream's buffer.
 */
NART_API NART_MUST_USE nart_res nart_stream_read(nart_cx *cx, nart_stream *s, void *buf,
                                                 size_t len);

/**
 * Reads exactly `len` bytes.
 * @param done see rule 4.
 * @return `len`, also if it is 0; NART_EEOF the stream has ended before the first byte; NART_ETRUNCATED it has
 *   ended after `*done` bytes; -EINVAL `*done` is left from another call (not 0, and not below `len`).
 * **Cost**: as nart_stream_read(): a long block is received where it belongs, without a copy.
 */
NART_API NART_MUST_USE nart_res nart_stream_read_exact(nart_cx *cx, nart_stream *s, void *buf,
                                                       size_t len, size_t *done);

/**
 * Reads up to a delimiter of 1 to 8 bytes, in place.
 * @param limit the most bytes, with the delimiter; 0: as many as the buffer holds.
 * @param text receives where they begin, in the stream's buffer: see rule 5. They may be changed there.
 * @return the number of bytes, with the delimiter, which have been consumed; -EMSGSIZE the first `limit` bytes
 *   do not contain the delimiter; NART_EEOF the stream has ended, and the buffer is empty; NART_ETRUNCATED it has
 *   ended before a delimiter; -EINVAL no delimiter or more than 8 bytes of it, a `limit` below its length or
 *   above the buffer's size, or there is no buffer. An error consumes nothing: see nart_stream_peek().
 * **Cost**: no copy, but that of a beginning that lies at the buffer's end. Each byte is searched once.
 */
NART_API NART_MUST_USE nart_res nart_stream_read_until(nart_cx *cx, nart_stream *s,
                                                       const void *delim, size_t len, size_t limit,
                                                       char **text);

/**
 * Reads a line that ends with LF or CR LF, in place. The LF or CR LF is replaced by a NUL, so the line is a
 * string if it has no NUL of its own. The bytes that follow the last LF of a stream are a line, too; a protocol
 * in which those are an error uses nart_stream_read_until().
 * @param limit the most bytes, with LF or CR LF; 0: as many as the buffer holds. A last line without LF may
 *   have `limit` - 1.
 * @param line receives where it begins, in the stream's buffer: see rule 5.
 * @return the length without LF or CR LF, which may be 0; NART_EEOF the stream has ended; -EMSGSIZE the first
 *   `limit` bytes contain no LF, nothing was consumed: see nart_stream_skip_line(); -EINVAL `limit` is above the buffer's size, or there is
 *   no buffer. A CR that no LF follows belongs to the line.
 * **Cost**: as nart_stream_read_until().
 */
NART_API NART_MUST_USE nart_res nart_stream_read_line(nart_cx *cx, nart_stream *s, size_t limit,
                                                      char **line);

/**
 * Skips the bytes up to and with the next LF, in any number: a line for which nart_stream_read_line() has answered
 * -EMSGSIZE.
 *
 *     NART_AWAIT(n, nart_stream_read_line(cx, &c->s, 64, &c->line));
 *     if (n == -EMSGSIZE)
 *         NART_AWAIT(n, nart_stream_skip_line(cx, &c->s));
 *
 * @return 0; NART_EEOF the stream has ended, after a line without LF or none; -EINVAL there is no buffer. Before
 *   another answer it may have skipped a part of the line: the same call continues.
 */
NART_API NART_MUST_USE nart_res nart_stream_skip_line(nart_cx *cx, nart_stream *s);

/**
 * Waits until the buffer has at least `n` bytes, which nart_stream_peek() shows. To wait for more bytes than it
 * has, add 1.
 * @return the number of bytes in the buffer; NART_EEOF the stream has ended, and the buffer is empty;
 *   NART_ETRUNCATED it has ended, with fewer than `n` bytes in the buffer; -ENOBUFS `n` is above the buffer's
 *   size; -EINVAL `n` is 0.
 */
NART_API NART_MUST_USE nart_res nart_stream_fill(nart_cx *cx, nart_stream *s, size_t n);

/** The bytes in the buffer, without waiting. @param data receives where they begin, see rule 5; or NULL.
 *  @return their number. */
NART_API size_t nart_stream_peek(const nart_stream *s, char **data);

/** Consumes `n` bytes of the buffer. @return 0; -EINVAL it has fewer, nothing was consumed. */
NART_API nart_res nart_stream_consume(nart_stream *s, size_t n);

/* ---- writing --------------------------------------------------------------------------------- */

/**
 * Writes all of `buf`.
 * @param done see rule 4.
 * @return `len`; -EINVAL `*done` is left from another call (not 0, and not below `len`); -EIO the transport
 *   accepted no byte, or more than it was given.
 * **Cost**: one system call, or as many as the kernel's buffer requires; none if it fits into the buffer for
 *   writing.
 */
NART_API NART_MUST_USE nart_res nart_stream_write_all(nart_cx *cx, nart_stream *s, const void *buf,
                                                      size_t len, size_t *done);

/** Writes all of `n` pieces, up to 63 of them by one system call. @return the number of bytes; -EINVAL also
 *  if that is above SSIZE_MAX; else as nart_stream_write_all(), which is the same for one piece. */
NART_API NART_MUST_USE nart_res nart_stream_writev_all(nart_cx *cx, nart_stream *s,
                                                       const struct iovec *pieces, size_t n,
                                                       size_t *done);

/** Sends what is in the buffer for writing. @return 0; -EIO as nart_stream_write_all(). **Cost**: no system
 *  call if that is empty. */
NART_API NART_MUST_USE nart_res nart_stream_flush(nart_cx *cx, nart_stream *s);

/** Flushes and ends the direction of writing: the peer reads the end after all that was written. A descriptor
 *  that is no socket (nart_stream_init_fd()) is closed: a pipe has one direction. @return 0; -EOPNOTSUPP the transport
 *  cannot, as a file (nart_stream_init_file()), whose bytes are flushed: close it; -EIO as nart_stream_write_all(). */
NART_API NART_MUST_USE nart_res nart_stream_shutdown(nart_cx *cx, nart_stream *s);

/* ---- frames ---------------------------------------------------------------------------------- */

/** What stands before a frame: the number of its bytes, unsigned, in 1 to 8 bytes. */
typedef enum nart_prefix {
    NART_PREFIX_U8 = 1,       /**< 1 byte */
    NART_PREFIX_U16BE = 2,    /**< 2 bytes, big-endian: network byte order */
    NART_PREFIX_U32BE = 4,    /**< 4 bytes, big-endian */
    NART_PREFIX_U64BE = 8,    /**< 8 bytes, big-endian */
    NART_PREFIX_U16LE = 0x12, /**< 2 bytes, little-endian */
    NART_PREFIX_U32LE = 0x14, /**< 4 bytes, little-endian */
    NART_PREFIX_U64LE = 0x18  /**< 8 bytes, little-endian */
} nart_prefix;

/**
 * Reads a frame, in place. For frames larger than the buffer, read the prefix and the rest by
 * nart_stream_read_exact().
 * @param limit the most bytes of a frame, without the prefix; 0: as many as the buffer holds beside it.
 * @param frame receives where the bytes after the prefix begin, in the stream's buffer: see rule 5.
 * @return the number of bytes after the prefix, which may be 0; -EMSGSIZE the prefix is above `limit`; NART_EEOF
 *   the stream has ended before a prefix; NART_ETRUNCATED it has ended in a prefix or in a frame; -EINVAL unknown
 *   `prefix`, or `limit` and the prefix are more than the buffer's size. An error consumes nothing.
 */
NART_API NART_MUST_USE nart_res nart_stream_read_frame(nart_cx *cx, nart_stream *s,
                                                       nart_prefix prefix, size_t limit,
                                                       char **frame);

/** Writes a frame: the prefix and `len` bytes, by one system call. @param done see rule 4; it counts the prefix,
 *  too. @return `len`; -EMSGSIZE `len` is above what the prefix can hold; -EINVAL unknown `prefix`, or `*done`
 *  is left from another call; -EIO as nart_stream_write_all(). */
NART_API NART_MUST_USE nart_res nart_stream_write_frame(nart_cx *cx, nart_stream *s,
                                                        nart_prefix prefix, const void *buf,
                                                        size_t len, size_t *done);

/* ---- copying --------------------------------------------------------------------------------- */

/** The state of a copy from one stream to another. Zeroed = not begun. */
typedef struct nart_stream_copier {
    uint64_t copied; /**< bytes that `to` has accepted; read only */
    /* private */
    const struct nart_sys *sys;
    int32_t pipe[2];
    uint32_t piped, state;
} nart_stream_copier;

/**
 * Copies from `from` to `to` until `from` ends, then flushes `to`. It does not end `to`. The bytes pass through
 * the buffer of `from`; or, where both streams are descriptors, through a pipe in the kernel (splice(2)) from the
 * first read on that fills that buffer: a short exchange needs no pipe. The kernel raises SIGPIPE if a spliced
 * `to` has no reader, so a program that would be ended by SIGPIPE does not splice.
 * @return 0: `from` has ended, and `c->copied` bytes were copied since `*c` was zeroed; -EINVAL `from` has no
 *   buffer; -EIO as nart_stream_write_all(). After an error the same call continues; until it has, do not read
 *   from `from` in another way: earlier bytes may be in the pipe.
 * **Ownership**: release `*c` with nart_stream_copier_finish(). **Cost**: two system calls for each piece, as
 *   large as the buffer or as the pipe (64 KiB); three for the pipe.
 */
NART_API NART_MUST_USE nart_res nart_stream_copy(nart_cx *cx, nart_stream *from, nart_stream *to,
                                                 nart_stream_copier *c);

/** Closes the pipe, if there is one. Bytes in it, which a copy that ended with an error may have left, are lost.
 *  A zeroed copier, and NULL, are fine. */
NART_API void nart_stream_copier_finish(nart_stream_copier *c);

/** The state of a copy in both directions. Zero it, then set `idle`. */
typedef struct nart_stream_relay {
    int64_t idle; /**< nanoseconds in which no byte moves in any direction end it; 0: no limit */
    nart_stream_copier there, back; /**< from `a` to `b`, from `b` to `a` */
    /* private */
    nart_co co;
    int64_t moved_at;
    uint32_t ended, turn;
} nart_stream_relay;

/**
 * Copies in both directions, as nart_stream_copy() does, until both streams have ended. When one ends, the
 * other is flushed and its direction of writing is ended, and the other direction continues. -ENOTCONN of that
 * counts as success: the connection has gone already. A proxy:
 *
 *     struct proxy { nart_co co; nart_tcp in, out; nart_stream a, b; nart_addr to; nart_stream_relay relay;
 *                    char abuf[1024], bbuf[1024]; };
 *
 *     static nart_res proxy_run(nart_cx *cx, void *frame)
 *     {
 *         struct proxy *p = frame;
 *         nart_res r;
 *
 *         NART_BEGIN(cx, &p->co);
 *         NART_AWAIT_FOR(r, NART_SEC, nart_tcp_connect(cx, &p->out, &p->to));
 *         if (r == 0)
 *             r = nart_stream_init_tcp(&p->a, &p->in, p->abuf, sizeof p->abuf);
 *         if (r == 0)
 *             r = nart_stream_init_tcp(&p->b, &p->out, p->bbuf, sizeof p->bbuf);
 *         if (r == 0) {
 *             p->relay.idle = 60 * NART_SEC;
 *             NART_AWAIT(r, nart_stream_copy_both(cx, &p->a, &p->b, &p->relay));
 *         }
 *         nart_stream_relay_finish(&p->relay);
 *         if (r < 0) { // neither peer may take this for the end of the stream
 *             nart_tcp_reset(&p->in);
 *             nart_tcp_reset(&p->out);
 *         }
 *         nart_tcp_close(&p->in);
 *         nart_tcp_close(&p->out);
 *         NART_END(r);
 *     }
 *
 * @return 0: both have ended; -ETIME nothing was moved for `idle` nanoseconds; -EOPNOTSUPP as
 *   nart_stream_shutdown(); the first error of either direction. After an error the same call continues.
 * **Ownership**: release `*r` with nart_stream_relay_finish(). **Thread**: as nart_stream_copy().
 */
NART_API NART_MUST_USE nart_res nart_stream_copy_both(nart_cx *cx, nart_stream *a, nart_stream *b,
                                                      nart_stream_relay *r);

/** As nart_stream_copier_finish(), for both directions. */
NART_API void nart_stream_relay_finish(nart_stream_relay *r);

#ifdef __cplusplus
}
#endif
#endif
