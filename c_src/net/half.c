/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* half.c: the halves of a connection.
 *
 * What it keeps true
 *  1. The connection and the number of its open halves are in one block, which the last half frees. So an error of the
 *     connection, and what was shut down, is known to both.
 *  2. A half keeps no wait: its operations are those of the connection, and wait in the reactor's record. Closing a half
 *     wakes the waits of both directions: the one of the closed half finds that, the other one waits again.
 *  3. The connection of a closed half is a closed handle of the thread: nothing points into a block that was freed. */
#include "../base/alloc.h"
#include "net.h"

#include <nart/half.h>

/* The connection of a Unix socket is the first member of its handle. */
struct nart__split {
    nart_unix conn;
    uint32_t open; /* halves */
    nart_alloc alloc;
};

static nart_tcp *conn_of(const nart_tcp_half *h)
{
    static _Thread_local nart_unix closed;

    return h->split ? &h->split->conn.conn : &closed.conn;
}

static void release(struct nart__split *s)
{
    const nart_alloc alloc = s->alloc;
    nart__free(&alloc, s, sizeof *s, _Alignof(struct nart__split));
}

nart_res nart_tcp_split(nart_tcp *s, nart_tcp_half *reader, nart_tcp_half *writer,
                        const nart_alloc *alloc)
{
    const nart_alloc *a = alloc ? alloc : &nart__alloc_std;

    if (reader)
        *reader = (nart_tcp_half){ .dir = NART_READ };
    if (writer)
        *writer = (nart_tcp_half){ .dir = NART_WRITE };
    if (!s || !reader || !writer || reader == writer || !a->alloc || !a->free)
        return -EINVAL;
    nart_res fd = nart__io_fd(&s->io);
    if (fd < 0)
        return fd;
    nart_res no = nart__tcp_check(s, 0);
    if (no && no != nart__tcp_error(s)) /* one that has failed may be split */
        return no;
    struct nart__split *new = nart__alloc(a, sizeof *new, _Alignof(struct nart__split));
    if (!new)
        return -ENOMEM;
    *new = (struct nart__split){ .open = 2, .alloc = *a };
    nart_tcp_move(&new->conn.conn, s);
    reader->split = writer->split = new;
    return 0;
}

nart_tcp *nart_tcp_half_tcp(const nart_tcp_half *h)
{
    return conn_of(h);
}

nart_res nart_tcp_half_close(nart_tcp_half *h)
{
    if (!h || !h->split)
        return 0;
    struct nart__split *s = h->split;
    nart_tcp *conn = conn_of(h);
    nart_res r = s->open == 1 ? nart_tcp_close(conn) : nart__io_fd(&conn->io);
    if (r == NART_EWRONGTHREAD)
        return r;
    uint32_t dir = h->dir;
    *h = (nart_tcp_half){ .split = NULL };
    if (--s->open == 0) {
        release(s);
    } else if (r >= 0) {
        if (dir == NART_WRITE)
            (void)nart_tcp_shutdown(conn, NART_WRITE); /* not of a connection that has ended */
        (void)nart__io_wake(&conn->io);
    }
    return 0;
}

nart_res nart_tcp_reunite(nart_tcp_half *a, nart_tcp_half *b, nart_tcp *out)
{
    if (!a || !b || !out || !a->split || a->split != b->split || a->dir == b->dir)
        return -EINVAL;
    nart_tcp *conn = conn_of(a);
    if (nart__io_fd(&conn->io) == NART_EWRONGTHREAD)
        return NART_EWRONGTHREAD;
    nart_tcp_move(out, conn);
    release(a->split);
    *a = *b = (nart_tcp_half){ .split = NULL };
    return 0;
}

/* ---- Unix sockets ---- */

nart_res nart_unix_split(nart_unix *u, nart_unix_half *reader, nart_unix_half *writer,
                         const nart_alloc *alloc)
{
    return nart_tcp_split(u ? &u->conn : NULL, reader ? &reader->half : NULL,
                          writer ? &writer->half : NULL, alloc);
}

nart_unix *nart_unix_half_unix(const nart_unix_half *h)
{
    return (nart_unix *)(void *)conn_of(&h->half); /* its first member */
}

nart_res nart_unix_half_close(nart_unix_half *h)
{
    return nart_tcp_half_close(h ? &h->half : NULL);
}

nart_res nart_unix_reunite(nart_unix_half *a, nart_unix_half *b, nart_unix *out)
{
    return nart_tcp_reunite(a ? &a->half : NULL, b ? &b->half : NULL, out ? &out->conn : NULL);
}
