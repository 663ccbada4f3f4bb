/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pair.c: two streams in memory. Each direction is a ring of bytes, with a wait for its reader and one for its
 * writer. There is no queue and no turn: a wake makes the waiting task ready, which then finds what has changed,
 * so a withdrawn wait leaves nothing behind. All in plain memory, on the thread of one runtime. */
#include "stream.h"

#include "../wait/wait.h"

static void nothing(nart__wait *w)
{
    (void)w;
}

static const struct nart__wait_ops ring_ops = { "stream pair", nothing };

static void wake(const nart__wait *w)
{
    if (w->task)
        nart__ready(w->task);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The bytes from `at` on that do not wrap, at most `n`. */
static struct iovec span(const struct nart__stream_ring *r, size_t at, size_t n)
{
    at = at >= r->cap ? at - r->cap : at;
    return (struct iovec){ r->mem + at, smaller(n, r->cap - at) };
}

static size_t ring_get(struct nart__stream_ring *r, char *to, size_t len)
{
    size_t n = 0;

    while (n < len && r->used > 0) {
        struct iovec v = span(r, r->start, smaller(r->used, len - n));
        memcpy(to + n, v.iov_base, v.iov_len);
        n += v.iov_len;
        r->used -= v.iov_len;
        r->start = (r->start + v.iov_len) % r->cap;
    }
    return n;
}

static size_t ring_put(struct nart__stream_ring *r, const char *from, size_t len)
{
    size_t n = 0;

    while (n < len && r->used < r->cap) {
        struct iovec v = span(r, r->start + r->used, smaller(r->cap - r->used, len - n));
        memcpy(v.iov_base, from + n, v.iov_len);
        n += v.iov_len;
        r->used += v.iov_len;
    }
    return n;
}

/* Begins an operation that waits in w; its partner waits in `other`. */
static nart_res begin(nart_cx *cx, const struct nart__stream_end *e, nart__wait *w,
                      const nart__wait *other)
{
    nart_res r = nart__enter(cx, w);

    if (r)
        return r;
    if (e->closed)
        return -EBADF;
    if (nart__cx_moves_alone(cx) || (other->task && !nart__cx_owns(cx, other->task->owner)))
        return NART_EDRIVER;
    return nart__wait_taken(cx, w) ? -EBUSY : 0;
}

/* An operation answers, or parks where `waits`. */
static nart_res end(nart_cx *cx, nart__wait *w, bool waits, nart_res answer)
{
    bool begun;

    if (!waits) {
        if (w->task)
            nart__unwait(w);
        return answer;
    }
    nart_res r = nart__park_in(cx, w, &begun);
    if (begun)
        w->ops = &ring_ops;
    return r;
}

static nart_res pair_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    struct nart__stream_end *e = io;
    struct nart__stream_ring *r = &e->pair->ring[e->side];

    nart_res began = begin(cx, e, &r->reader, &r->writer);
    if (began)
        return began;
    size_t n = ring_get(r, buf, len);
    if (n > 0)
        wake(&r->writer);
    return end(cx, &r->reader, n == 0 && !r->ended, (nart_res)n);
}

static nart_res pair_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    struct nart__stream_end *e = io;
    struct nart__stream_ring *r = &e->pair->ring[!e->side];
    size_t put = 0;

    nart_res began = begin(cx, e, &r->writer, &r->reader);
    if (began)
        return began;
    if (r->ended || r->abandoned)
        return end(cx, &r->writer, false, -EPIPE);
    for (size_t i = 0; i < n; i++)
        put += ring_put(r, pieces[i].iov_base, pieces[i].iov_len);
    if (put > 0)
        wake(&r->reader);
    return end(cx, &r->writer, put == 0, (nart_res)put);
}

static nart_res pair_shutdown(nart_cx *cx, void *io)
{
    struct nart__stream_end *e = io;
    struct nart__stream_ring *r = &e->pair->ring[!e->side];

    nart_res began = begin(cx, e, &r->writer, &r->reader);
    if (began)
        return began;
    r->ended = true;
    wake(&r->reader);
    return end(cx, &r->writer, false, 0);
}

static nart_res pair_close(void *io)
{
    struct nart__stream_end *e = io;
    struct nart__stream_ring *in = &e->pair->ring[e->side], *out = &e->pair->ring[!e->side];

    e->closed = true;
    in->abandoned = out->ended = true;
    nart__interrupt(&in->reader);
    nart__interrupt(&out->writer);
    wake(&in->writer);
    wake(&out->reader);
    return 0;
}

static const nart_stream_type pair_type = { NART_STREAM_ABI, 0,          "pair",
                                            pair_read,       pair_write, NULL,
                                            pair_shutdown,   pair_close, { NULL, NULL } };

nart_res nart_stream_pair_init(nart_stream_pair *p, void *mem, size_t size)
{
    size_t half = size / 2;

    if (!p || !mem || half == 0)
        return -EINVAL;
    *p = (nart_stream_pair){ .ring = { { .mem = mem, .cap = half },
                                       { .mem = (char *)mem + half, .cap = half } },
                             .end = { { .pair = p, .side = 0 }, { .pair = p, .side = 1 } } };
    return 0;
}

nart_res nart_stream_init_pair(nart_stream *s, nart_stream_pair *p, int side, void *buf, size_t cap)
{
    bool known = p && (side == 0 || side == 1);

    return nart_stream_init(s, &pair_type, known ? &p->end[side] : NULL, buf, cap);
}
