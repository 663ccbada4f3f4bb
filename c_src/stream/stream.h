/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stream.h: shared parts of the operations on streams.
 *
 *  1. A buffer holds bytes from `start` to `end`; both are 0 when it is empty, and `mem` is not used then.
 *  2. An operation calls nart_op_enter() only where bytes in a buffer suffice for the answer; where they do not,
 *     the transport's operation does. So an answer costs one unit of the budget for each call of the transport,
 *     or one.
 *  3. All progress is in the stream or in `*done`, so each operation may be left at any call of the transport
 *     and called again. */
#ifndef NART_STREAM_STREAM_H
#define NART_STREAM_STREAM_H

#include "../net/net.h"

#include <nart/stream.h>

#include <string.h>

static inline size_t nart__buffered(const struct nart__stream_buf *b)
{
    return b->end - b->start;
}

static inline void nart__buf_drop(struct nart__stream_buf *b, size_t n)
{
    b->start += n;
    if (b->start == b->end)
        b->start = b->end = 0;
}

/* Is `*done` the progress of a call for `len` bytes? */
static inline bool nart__done_valid(size_t done, size_t len)
{
    return done == 0 || done < len;
}

/* The buffer of a stream that has none, from its pool: 0 or -ENOMEM. And back, without the bytes in it. */
nart_res nart__stream_pool_take(nart_stream *s);
void nart__stream_pool_return(nart_stream *s);

/* Calls the transport once to read into the buffer, which is not full. 0: the end of the stream. */
nart_res nart__stream_more(nart_cx *cx, nart_stream *s);

/* Calls the transport once to write, and checks its answer. `total`: the bytes of the pieces, above 0. */
nart_res nart__stream_put(nart_cx *cx, nart_stream *s, const struct iovec *pieces, size_t n,
                          size_t total);

/* The connection of a stream over TCP or a Unix socket, or NULL. */
nart_tcp *nart__stream_conn(const nart_stream *s);

/* The handle of a stream whose bytes in this direction are those of its descriptor; NULL: there is none. */
const nart_io *nart__stream_io(const nart_stream *s, uint32_t dir);

#endif
