/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* copy.c: copying from one stream to another, and in both directions.
 *
 * The bytes that were read and not written yet are in the buffer of `from`, or in the pipe, never in both:
 *  1. Write what the buffer has.
 *  2. Else splice what the pipe has to `to`.
 *  3. Else read: into the pipe, if both streams are descriptors and a read has filled the buffer before; else
 *     into the buffer.
 *  4. End of `from`: flush `to`.
 * Splicing that the kernel refuses (EINVAL: a kind of file) ends for this copier. If it refuses the second half,
 * the bytes in the pipe are read back into the buffer, which is empty: until a splice to `to` has succeeded, the
 * pipe is given no more than the buffer holds.
 *
 * Both directions: each poll runs one direction after the other until both wait. The first of them alternates,
 * so that one which always has bytes and spends the budget does not stop the other. An answer withdraws the waits
 * of the other direction. */
#include "stream.h"

#define CHUNK 65536

/* Bits of nart_stream_copier.state. */
enum {
    BULK = 1,   /* a read has filled the buffer */
    PLAIN = 2,  /* no splicing */
    PROVEN = 4, /* both halves of a splice have succeeded */
};

static ssize_t splice_in(const nart_sys *sys, int fd, const struct iovec *to, size_t n)
{
    (void)n;
    return sys->splice(fd, *(const int32_t *)to->iov_base, to->iov_len);
}

static ssize_t splice_out(const nart_sys *sys, int fd, const struct iovec *from, size_t n)
{
    (void)n;
    return sys->splice(*(const int32_t *)from->iov_base, fd, from->iov_len);
}

/* May the next bytes be spliced? Makes the pipe. */
static bool may_splice(const nart_stream *from, const nart_stream *to, nart_stream_copier *c)
{
    if (!(c->state & BULK) || c->state & PLAIN)
        return false;
    const nart_io *io = nart__stream_io(from, NART_READ);
    if (!io || !nart__stream_io(to, NART_WRITE))
        return false;
    if (c->sys)
        return true;
    const nart_sys *sys = io->drv->sys;
    if (!sys->splice || sys->sigpipe_kills() || sys->pipe(c->pipe) < 0) {
        c->state |= PLAIN;
        return false;
    }
    c->sys = sys;
    return true;
}

/* What the pipe has cannot be spliced to `to`: into the buffer with it. */
static nart_res read_back(nart_stream *from, nart_stream_copier *c)
{
    nart_res r = from->pool && !from->in.mem ? nart__stream_pool_take(from) : 0;
    if (r)
        return r;
    ssize_t n = c->sys->read(c->pipe[0], from->in.mem, from->in.cap);

    c->state |= PLAIN;
    if (n != (ssize_t)c->piped) /* nobody else has the pipe */
        return n < 0 ? n : -EIO;
    from->in.end = (size_t)n;
    c->piped = 0;
    return 0;
}

static nart_res empty_pipe(nart_cx *cx, nart_stream *from, nart_stream *to, nart_stream_copier *c)
{
    const struct iovec pipe = { &c->pipe[0], c->piped };
    const nart_io *io = nart__stream_io(to, NART_WRITE);
    nart_tcp *conn = nart__stream_conn(to);
    nart_res r = io ? nart__io_transfer_of(cx, io, conn, NART_WRITE, splice_out, &pipe, 1) : -EBADF;

    if (!io && conn) /* it was closed, or has failed: this answers why */
        r = nart_tcp_send(cx, conn, "", 1);
    if (r == -EINVAL && !(c->state & PROVEN))
        return read_back(from, c);
    if (r > 0) {
        c->state |= PROVEN;
        c->piped -= (uint32_t)r;
        c->copied += (uint64_t)r;
    }
    return r;
}

/* Reads once; 0: the end. */
static nart_res read_once(nart_cx *cx, nart_stream *from, nart_stream *to, nart_stream_copier *c)
{
    nart_res r;

    if (may_splice(from, to, c)) {
        if (from->pool)
            nart__stream_pool_return(from); /* it is empty, and what is spliced does not need it */
        const struct iovec pipe = { &c->pipe[1], c->state & PROVEN ? CHUNK : from->in.cap };
        r = nart__io_transfer_of(cx, nart__stream_io(from, NART_READ), nart__stream_conn(from),
                                 NART_READ, splice_in, &pipe, 1);
        if (r > 0)
            c->piped = (uint32_t)r;
        if (r != -EINVAL)
            return r;
        c->state |= PLAIN;
    }
    r = nart__stream_more(cx, from);
    if (r == (nart_res)from->in.cap)
        c->state |= BULK;
    return r;
}

/* `*moved`: bytes have moved. */
static nart_res copy(nart_cx *cx, nart_stream *from, nart_stream *to, nart_stream_copier *c,
                     bool *moved)
{
    struct nart__stream_buf *b = &from->in;

    if (NART_UNLIKELY(!from->type || !to->type))
        return -EBADF;
    if (NART_UNLIKELY(b->cap == 0))
        return -EINVAL;
    for (;;) {
        nart_res r;
        size_t n = nart__buffered(b);
        if (nart__buffered(&to->out) > 0) {
            r = nart_stream_flush(cx, to);
        } else if (n > 0) {
            r = nart__stream_put(cx, to, &(struct iovec){ b->mem + b->start, n }, 1, n);
            if (r > 0) {
                (void)nart_stream_consume(from, (size_t)r);
                c->copied += (uint64_t)r;
            }
        } else if (c->piped > 0) {
            r = empty_pipe(cx, from, to, c);
        } else {
            r = read_once(cx, from, to, c);
            if (r == 0)
                return nart_stream_flush(cx, to);
        }
        if (r < 0)
            return r;
        *moved = true;
    }
}

nart_res nart_stream_copy(nart_cx *cx, nart_stream *from, nart_stream *to, nart_stream_copier *c)
{
    bool moved;

    return copy(cx, from, to, c, &moved);
}

void nart_stream_copier_finish(nart_stream_copier *c)
{
    if (!c)
        return;
    if (c->sys) {
        c->sys->close(c->pipe[0]);
        c->sys->close(c->pipe[1]);
    }
    *c = (nart_stream_copier){ .copied = c->copied };
}

/* ---- both directions ---- */

enum { THERE = 1, BACK = 2, COPIED = 4 }; /* of nart_stream_relay.ended; COPIED << direction */

/* One direction: copies, then ends `to`. */
static nart_res one_way(nart_cx *cx, nart_stream *from, nart_stream *to, nart_stream_relay *r,
                        uint32_t direction, bool *moved)
{
    if (r->ended & direction)
        return 0;
    if (!(r->ended & direction * COPIED)) {
        nart_res copied = copy(cx, from, to, direction == THERE ? &r->there : &r->back, moved);
        if (copied)
            return copied;
        r->ended |= direction * COPIED;
        *moved = true;
    }
    nart_res ended = nart_stream_shutdown(cx, to);
    if (ended && ended != -ENOTCONN)
        return ended;
    r->ended |= direction;
    return 0;
}

/* The idle time: waits until it is over, or answers. */
static nart_res idle(nart_cx *cx, nart_stream_relay *r, bool moved)
{
    if (r->idle <= 0)
        return NART_PENDING;
    if (moved || r->moved_at == 0)
        r->moved_at = nart_now(cx);
    int64_t until = nart_time_add(r->moved_at, r->idle);
    /* If the budget was spent, the streams have not been asked. */
    if (nart_now(cx) >= until && !(cx->flags & NART__CX_SPENT))
        return -ETIME;
    nart__cx_until(cx, until);
    return NART_PENDING;
}

static nart_res both_ways(nart_cx *cx, nart_stream *a, nart_stream *b, nart_stream_relay *r)
{
    nart_res answer[2];
    bool moved = false;

    r->turn ^= 1;
    for (uint32_t i = 0; i < 2; i++) {
        bool there = i == r->turn;
        answer[i] =
            there ? one_way(cx, a, b, r, THERE, &moved) : one_way(cx, b, a, r, BACK, &moved);
        if (answer[i] < 0 && answer[i] != NART_PENDING)
            return answer[i];
    }
    if (answer[0] == 0 && answer[1] == 0)
        return 0;
    return idle(cx, r, moved);
}

nart_res nart_stream_copy_both(nart_cx *cx, nart_stream *a, nart_stream *b, nart_stream_relay *r)
{
    nart_res answer = 0;

    NART_BEGIN(cx, &r->co);
    NART_AWAIT(answer, both_ways(cx, a, b, r));
    nart__withdraw_under(cx, &r->co);
    r->moved_at = 0;
    NART_END(answer);
}

void nart_stream_relay_finish(nart_stream_relay *r)
{
    if (!r)
        return;
    nart_stream_copier_finish(&r->there);
    nart_stream_copier_finish(&r->back);
}
