/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* buffer_pool.c: buffers for reading, shared by streams. Unused ones are a list through their first word. */
#include "stream.h"

#include "../base/alloc.h"

#include <stdlib.h>

nart_res nart_stream_pool_init(nart_stream_pool *p, size_t size, uint32_t keep,
                               const nart_alloc *alloc)
{
    if (!p || size < 16 || (alloc && (!alloc->alloc || !alloc->free)))
        return -EINVAL;
    *p =
        (nart_stream_pool){ .size = size, .keep = keep, .alloc = alloc ? *alloc : nart__alloc_std };
    return 0;
}

static void pool_free(const nart_stream_pool *p, void *mem)
{
    nart__free(&p->alloc, mem, p->size, _Alignof(void *));
}

nart_res nart_stream_pool_finish(nart_stream_pool *p)
{
    if (!p)
        return 0;
    if (p->used > 0)
        return -EBUSY;
    while (p->first) {
        void *mem = p->first;
        memcpy(&p->first, mem, sizeof p->first);
        pool_free(p, mem);
    }
    *p = (nart_stream_pool){ 0 };
    return 0;
}

nart_res nart__stream_pool_take(nart_stream *s)
{
    nart_stream_pool *p = s->pool;
    void *mem = p->first;

    if (mem) {
        memcpy(&p->first, mem, sizeof p->first);
        p->kept--;
    } else {
        mem = nart__alloc(&p->alloc, p->size, _Alignof(void *));
        if (!mem)
            return -ENOMEM;
    }
    p->used++;
    s->in.mem = mem;
    return 0;
}

void nart__stream_pool_return(nart_stream *s)
{
    nart_stream_pool *p = s->pool;

    if (!s->in.mem)
        return;
    p->used--;
    if (p->kept < p->keep) {
        memcpy(s->in.mem, &p->first, sizeof p->first);
        p->first = s->in.mem;
        p->kept++;
    } else {
        pool_free(p, s->in.mem);
    }
    s->in.mem = NULL;
}

nart_res nart_stream_use_pool(nart_stream *s, nart_stream_pool *p)
{
    if (!s->type || !p || p->size == 0)
        return -EINVAL;
    if (nart__buffered(&s->in) > 0)
        return -EBUSY;
    if (s->pool)
        nart__stream_pool_return(s);
    s->pool = p;
    s->in = (struct nart__stream_buf){ NULL, p->size, 0, 0 };
    return 0;
}
