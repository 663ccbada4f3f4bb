/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* write.c: writing to a stream.
 *
 * What is to be written is one sequence: the bytes in the buffer, then those of the pieces behind `*done`.
 *  1. If the rest of the pieces fits behind the bytes in the buffer, copy it there: the answer.
 *  2. Otherwise call the transport with the buffer's bytes and as many pieces as an array of PIECES holds, count
 *     what it accepted, first in the buffer and then in `*done`, and continue with 1. */
#include "stream.h"

#define PIECES 64

nart_res nart__stream_put(nart_cx *cx, nart_stream *s, const struct iovec *pieces, size_t n,
                          size_t total)
{
    nart_res r = s->type->write(cx, s->io, pieces, n);

    return NART_UNLIKELY(r == 0 || (r > 0 && (size_t)r > total)) ? -EIO : r;
}

/* The bytes of all pieces; false: more than a nart_res can count. */
static bool add_up(const struct iovec *pieces, size_t n, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].iov_len > (size_t)PTRDIFF_MAX - *total)
            return false;
        *total += pieces[i].iov_len;
    }
    return true;
}

/* Skips `*skip` bytes of a piece. */
static struct iovec rest_of(const struct iovec *piece, size_t *skip)
{
    size_t n = *skip < piece->iov_len ? *skip : piece->iov_len;

    *skip -= n;
    return (struct iovec){ n < piece->iov_len ? (char *)piece->iov_base + n : piece->iov_base,
                           piece->iov_len - n };
}

static void copy_rest(struct nart__stream_buf *b, const struct iovec *pieces, size_t n, size_t skip)
{
    for (size_t i = 0; i < n; i++) {
        struct iovec v = rest_of(&pieces[i], &skip);
        if (v.iov_len > 0)
            memcpy(b->mem + b->end, v.iov_base, v.iov_len);
        b->end += v.iov_len;
    }
}

/* Rule 2, once. */
static nart_res put_rest(nart_cx *cx, nart_stream *s, const struct iovec *pieces, size_t n,
                         size_t *done)
{
    struct nart__stream_buf *b = &s->out;
    struct iovec v[PIECES];
    size_t m = 0, total = nart__buffered(b), skip = *done;

    if (total > 0)
        v[m++] = (struct iovec){ b->mem + b->start, total };
    for (size_t i = 0; i < n && m < PIECES; i++) {
        v[m] = rest_of(&pieces[i], &skip);
        total += v[m].iov_len;
        m += v[m].iov_len > 0;
    }
    nart_res r = nart__stream_put(cx, s, v, m, total);
    if (r < 0)
        return r;
    size_t first = nart__buffered(b);
    if (first > (size_t)r)
        first = (size_t)r;
    nart__buf_drop(b, first);
    *done += (size_t)r - first;
    return 0;
}

nart_res nart_stream_writev_all(nart_cx *cx, nart_stream *s, const struct iovec *pieces, size_t n,
                                size_t *done)
{
    struct nart__stream_buf *b = &s->out;
    size_t total;
    nart_res r = 0;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (NART_UNLIKELY(!add_up(pieces, n, &total) || !nart__done_valid(*done, total)))
        return -EINVAL;
    if (total - *done <= b->cap - b->end)
        r = nart_op_enter(cx);
    while (r == 0 && *done < total) {
        if (total - *done <= b->cap - b->end) {
            copy_rest(b, pieces, n, *done);
            break;
        }
        r = put_rest(cx, s, pieces, n, done);
    }
    if (r < 0)
        return r;
    *done = 0;
    return (nart_res)total;
}

nart_res nart_stream_write_all(nart_cx *cx, nart_stream *s, const void *buf, size_t len,
                               size_t *done)
{
    const struct iovec piece = { (void *)(uintptr_t)buf, len };

    return nart_stream_writev_all(cx, s, &piece, 1, done);
}

nart_res nart_stream_flush(nart_cx *cx, nart_stream *s)
{
    size_t done = 0;
    nart_res r = 0;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (nart__buffered(&s->out) == 0 && !s->type->flush)
        return nart_op_enter(cx);
    while (r == 0 && nart__buffered(&s->out) > 0)
        r = put_rest(cx, s, NULL, 0, &done);
    return r == 0 && s->type->flush ? s->type->flush(cx, s->io) : r;
}

nart_res nart_stream_shutdown(nart_cx *cx, nart_stream *s)
{
    nart_res r = nart_stream_flush(cx, s);

    if (r < 0)
        return r;
    return s->type->shutdown ? s->type->shutdown(cx, s->io) : -EOPNOTSUPP;
}

nart_res nart_stream_buffer_writes(nart_stream *s, void *buf, size_t cap)
{
    if (!s->type || (cap > 0 && !buf))
        return -EINVAL;
    if (nart__buffered(&s->out) > 0)
        return -EBUSY;
    s->out = (struct nart__stream_buf){ buf, cap, 0, 0 };
    return 0;
}
