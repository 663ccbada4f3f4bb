/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* frame.c: frames with the number of their bytes before them. A frame is consumed with its prefix, when all of
 * it is in the buffer; so the state of an operation that waits is that of the buffer. */
#include "stream.h"

#define LITTLE 0x10u

/* The number of bytes of the prefix; 0: there is no such prefix. */
static size_t size_of(nart_prefix prefix)
{
    switch (prefix) {
    case NART_PREFIX_U8:
    case NART_PREFIX_U16BE:
    case NART_PREFIX_U32BE:
    case NART_PREFIX_U64BE:
    case NART_PREFIX_U16LE:
    case NART_PREFIX_U32LE:
    case NART_PREFIX_U64LE:
        return (unsigned)prefix & 0xfu;
    default:
        return 0;
    }
}

/* The position of the byte with the i-th lowest bits. */
static size_t place(nart_prefix prefix, size_t size, size_t i)
{
    return (unsigned)prefix & LITTLE ? i : size - 1 - i;
}

static uint64_t decode(const char *from, nart_prefix prefix, size_t size)
{
    uint64_t n = 0;

    for (size_t i = 0; i < size; i++)
        n |= (uint64_t)(unsigned char)from[place(prefix, size, i)] << 8 * i;
    return n;
}

static void encode(unsigned char *to, nart_prefix prefix, size_t size, uint64_t n)
{
    for (size_t i = 0; i < size; i++)
        to[place(prefix, size, i)] = (unsigned char)(n >> 8 * i);
}

nart_res nart_stream_read_frame(nart_cx *cx, nart_stream *s, nart_prefix prefix, size_t limit,
                                char **frame)
{
    size_t size = size_of(prefix);
    char *at;

    if (NART_UNLIKELY(!s->type))
        return -EBADF;
    if (NART_UNLIKELY(size == 0 || s->in.cap < size || limit > s->in.cap - size))
        return -EINVAL;
    if (limit == 0)
        limit = s->in.cap - size;
    nart_res r = nart_stream_fill(cx, s, size);
    if (r < 0)
        return r;
    (void)nart_stream_peek(s, &at);
    uint64_t len = decode(at, prefix, size);
    if (len > limit)
        return -EMSGSIZE;
    if ((uint64_t)r < size + len) {
        r = nart_stream_fill(cx, s, size + (size_t)len);
        if (r < 0)
            return r;
        (void)nart_stream_peek(s, &at);
    }
    *frame = at + size;
    (void)nart_stream_consume(s, size + (size_t)len);
    return (nart_res)len;
}

nart_res nart_stream_write_frame(nart_cx *cx, nart_stream *s, nart_prefix prefix, const void *buf,
                                 size_t len, size_t *done)
{
    size_t size = size_of(prefix);
    unsigned char head[8];

    if (NART_UNLIKELY(size == 0))
        return -EINVAL;
    if (size < 8 && (uint64_t)len >> 8 * size != 0)
        return -EMSGSIZE;
    encode(head, prefix, size, len);
    const struct iovec pieces[] = { { head, size }, { (void *)(uintptr_t)buf, len } };
    nart_res r = nart_stream_writev_all(cx, s, pieces, 2, done);
    return r < 0 ? r : (nart_res)len;
}
