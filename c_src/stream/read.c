/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* read.c: reading from a stream.
 *
 *  1. What the buffer has is answered first.
 *  2. An empty buffer is bypassed if the caller's memory is not smaller: the bytes are received where they
 *     belong.
 *  3. Otherwise one read fills what is free behind the bytes in the buffer. They are moved to the front only
 *     when nothing is free behind them.
 *  4. A search for a delimiter begins where the last one ended, so its cost is linear, however few bytes each
 *     read brings. `searched` holds for one delimiter and for the bytes at `start`: another delimiter, and
 *     whatever consumes bytes, resets it.
 *
 *  5. A buffer of a pool is taken for a read, and returned when the read brings nothing and it is empty. It stays
 *     while it holds bytes, and until then for what the last operation answered.
 *
 * Bounds: a line, and what read_until() answers, fits into the buffer. */
#include "stream.h"

/* Calls the transport. One that claims more than it was given space for is wrong, and so is the stream then. */
static nart_res get(nart_cx *cx, nart_stream *s, void *buf, size_t len)
{
    nart_res r = s->type->read(cx, s->io, buf, len);

    return NART_UNLIKELY(r > 0 && (size_t)r > len) ? -EIO : r;
}

nart_res nart__stream_more(nart_cx *cx, nart_stream *s)
{
    struct nart__stream_buf *b = &s->in;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (b->end == b->cap) {
        memmove(b->mem, b->mem + b->start, nart__buffered(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (s->pool && !b->mem) {
        nart_res taken = nart__stream_pool_take(s);
        if (taken)
            return taken;
    }
    nart_res r = get(cx, s, b->mem + b->end, b->cap - b->end);
    if (r > 0)
        b->end += (size_t)r;
    else if (s->pool && b->end == 0)
        nart__stream_pool_return(s);
    return r;
}

static void drop(nart_stream *s, size_t n)
{
    nart__buf_drop(&s->in, n);
    s->searched = 0;
}

/* Moves bytes from the buffer to `buf`. */
static size_t take(nart_stream *s, void *buf, size_t len)
{
    size_t n = nart__buffered(&s->in);

    if (n > len)
        n = len;
    if (n > 0)
        memcpy(buf, s->in.mem + s->in.start, n);
    drop(s, n);
    return n;
}

/* The buffer is empty: reads into the caller's memory. */
static nart_res read_past(nart_cx *cx, nart_stream *s, void *buf, size_t len)
{
    if (s->pool)
        nart__stream_pool_return(s);
    return get(cx, s, buf, len);
}

nart_res nart_stream_read(nart_cx *cx, nart_stream *s, void *buf, size_t len)
{
    nart_res r;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (NART_UNLIKELY(len == 0))
        return -EINVAL;
    if (nart__buffered(&s->in) > 0)
        r = nart_op_enter(cx);
    else if (len >= s->in.cap)
        return read_past(cx, s, buf, len);
    else
        r = nart__stream_more(cx, s);
    return r < 0 ? r : (nart_res)take(s, buf, len);
}

nart_res nart_stream_read_exact(nart_cx *cx, nart_stream *s, void *buf, size_t len, size_t *done)
{
    nart_res r = 0;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (NART_UNLIKELY(!nart__done_valid(*done, len)))
        return -EINVAL;
    if (len == 0)
        r = nart_op_enter(cx);
    while (r == 0 && *done < len) {
        r = nart_stream_read(cx, s, (char *)buf + *done, len - *done);
        if (r == 0)
            return *done > 0 ? NART_ETRUNCATED : NART_EEOF;
        if (r > 0) {
            *done += (size_t)r;
            r = 0;
        }
    }
    if (r < 0)
        return r;
    *done = 0;
    return (nart_res)len;
}

nart_res nart_stream_fill(nart_cx *cx, nart_stream *s, size_t n)
{
    const struct nart__stream_buf *b = &s->in;
    nart_res r = 0;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (NART_UNLIKELY(n == 0 || n > b->cap))
        return n == 0 ? -EINVAL : -ENOBUFS;
    if (nart__buffered(b) >= n)
        r = nart_op_enter(cx);
    while (r >= 0 && nart__buffered(b) < n) {
        r = nart__stream_more(cx, s);
        if (r == 0)
            return nart__buffered(b) > 0 ? NART_ETRUNCATED : NART_EEOF;
    }
    return r < 0 ? r : (nart_res)nart__buffered(b);
}

size_t nart_stream_peek(const nart_stream *s, char **data)
{
    if (data)
        *data = s->in.mem ? s->in.mem + s->in.start : NULL;
    return nart__buffered(&s->in);
}

nart_res nart_stream_consume(nart_stream *s, size_t n)
{
    if (n > nart__buffered(&s->in))
        return -EINVAL;
    drop(s, n);
    return 0;
}

/* ---- delimiters ---- */

/* The number of bytes up to the first delimiter, and with it; 0: it is not in the buffer's first `limit`. */
static size_t search(nart_stream *s, const void *delim, size_t len, size_t limit)
{
    const char *from = s->in.mem ? s->in.mem + s->in.start : "";
    size_t n = nart__buffered(&s->in);

    if (n > limit)
        n = limit;
    if (n < s->searched + len)
        return 0;
    const char *at = len == 1 ? memchr(from + s->searched, *(const char *)delim, n - s->searched)
                              : memmem(from + s->searched, n - s->searched, delim, len);
    if (at)
        return (size_t)(at - from) + len;
    s->searched = n - len + 1; /* a delimiter may begin in the last len - 1 bytes */
    return 0;
}

/* Waits for a delimiter: the number of bytes with it. 0: the stream has ended before. Consumes nothing. */
static nart_res find(nart_cx *cx, nart_stream *s, const void *delim, size_t len, size_t limit)
{
    bool waited = false;

    for (;;) {
        size_t found = search(s, delim, len, limit);
        bool none = found == 0 && nart__buffered(&s->in) >= limit;
        if (found > 0 || none) {
            nart_res r = waited ? 0 : nart_op_enter(cx);
            return r ? r : none ? -EMSGSIZE : (nart_res)found;
        }
        nart_res r = nart__stream_more(cx, s);
        if (r <= 0)
            return r;
        waited = true;
    }
}

/* Begins or continues a search. `*limit` becomes the limit that applies. */
static nart_res find_begin(nart_stream *s, const void *delim, size_t len, size_t *limit)
{
    uint64_t word = 0;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (*limit == 0)
        *limit = s->in.cap;
    if (NART_UNLIKELY(len == 0 || len > sizeof word || *limit < len || *limit > s->in.cap))
        return -EINVAL;
    memcpy(&word, delim, len);
    if (s->delim != word || s->delim_len != len) {
        s->delim = word;
        s->delim_len = len;
        s->searched = 0;
    }
    return 0;
}

nart_res nart_stream_read_until(nart_cx *cx, nart_stream *s, const void *delim, size_t len,
                                size_t limit, char **text)
{
    nart_res r = find_begin(s, delim, len, &limit);

    if (r == 0) {
        r = find(cx, s, delim, len, limit);
        if (r == 0)
            return nart__buffered(&s->in) > 0 ? NART_ETRUNCATED : NART_EEOF;
    }
    if (r < 0)
        return r;
    *text = s->in.mem + s->in.start;
    drop(s, (size_t)r);
    return r;
}

nart_res nart_stream_read_line(nart_cx *cx, nart_stream *s, size_t limit, char **line)
{
    nart_res r = find_begin(s, "\n", 1, &limit);

    if (r == 0)
        r = find(cx, s, "\n", 1, limit);
    if (r < 0)
        return r;
    size_t n = r > 0 ? (size_t)r : nart__buffered(&s->in);
    if (n == 0)
        return NART_EEOF;
    *line = s->in.mem + s->in.start;
    drop(s, n);
    /* Without LF, a byte behind the last one is free: the read that found the end required it. */
    size_t length = r > 0 ? n - 1 : n;
    if (r > 0 && length > 0 && (*line)[length - 1] == '\r')
        length--;
    (*line)[length] = '\0';
    return (nart_res)length;
}

nart_res nart_stream_skip_line(nart_cx *cx, nart_stream *s)
{
    for (;;) {
        size_t limit = 0;
        nart_res r = find_begin(s, "\n", 1, &limit);
        if (r == 0)
            r = find(cx, s, "\n", 1, limit);
        bool full = r == -EMSGSIZE && nart__buffered(&s->in) == limit;
        if (r < 0 && !full)
            return r;
        drop(s, r > 0 ? (size_t)r : nart__buffered(&s->in));
        if (!full)
            return r > 0 ? 0 : NART_EEOF;
    }
}
