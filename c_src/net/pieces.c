/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pieces.c: connected streams, of TCP or Unix, by sendmsg and recvmsg: in pieces, and with control data (msg.c).
 *
 * 1. A call without a byte makes no system call: a stream would drop its control data, and a message without a byte
 *    reads as the end.
 * 2. Sending all: the position is `*done` alone, a number of bytes. Each system call gets a copy of the next pieces,
 *    the first of them shortened, so the caller's are not changed. */
#include "net.h"

#define WINDOW 64 /* pieces per system call of sendv_all */

static bool empty(const struct iovec *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pieces[i].iov_len > 0)
            return false;
    return true;
}

/* ---- receiving ---- */

/* No byte can be received. 0: this direction was shut down, which is an answer like that of the kernel. */
static NART__COLD nart_res receive_nothing(nart_cx *cx, nart_tcp *s, nart_msg *m, bool some)
{
    char none;
    nart_res r = nart_tcp_recv(cx, s, &none, some);

    if (r == 0) {
        m->control_len = 0;
        m->flags = 0;
    }
    return r;
}

nart_res nart__tcp_recvmsg(nart_cx *cx, nart_tcp *s, nart_msg *m, bool boundaries, int flags)
{
    bool emptied = false, some = !empty(m->pieces, m->n), mark = s->reserved[NART__TCP_MARK] != 0;

    if (NART_UNLIKELY(!some || nart__tcp_check(s, NART_READ) != nart__tcp_rest(s)))
        return receive_nothing(cx, s, m, some);
    nart_res r = nart__msg_recv(cx, &s->io, s->fd, s, m, NULL, boundaries || mark, flags, &emptied);
    if (NART_UNLIKELY(mark && emptied))
        s->reserved[NART__TCP_MARK] = 0;
    return r;
}

nart_res nart_tcp_recvmsg(nart_cx *cx, nart_tcp *s, nart_msg *m)
{
    return nart__tcp_recvmsg(cx, s, m, false, 0);
}

nart_res nart_tcp_recvv(nart_cx *cx, nart_tcp *s, const struct iovec *pieces, size_t n)
{
    nart_msg m = nart__msg_of(pieces, n);

    return nart_tcp_recvmsg(cx, s, &m);
}

/* ---- sending ---- */

static NART__COLD nart_res send_nothing(nart_cx *cx, const nart_tcp *s)
{
    nart_res r = nart__io_enter(&s->io, NART_WRITE, cx);

    if (r)
        return r;
    return nart__tcp_check(s, NART_WRITE) ? nart__tcp_refused(cx, s, NART_WRITE) : -EINVAL;
}

nart_res nart_tcp_sendmsg(nart_cx *cx, nart_tcp *s, const nart_msg *m)
{
    if (NART_UNLIKELY(empty(m->pieces, m->n) || nart__tcp_check(s, NART_WRITE) != 0))
        return send_nothing(cx, s);
    return nart__msg_send(cx, &s->io, s, m, NULL, false);
}

nart_res nart_tcp_sendv(nart_cx *cx, nart_tcp *s, const struct iovec *pieces, size_t n)
{
    const nart_msg m = nart__msg_of(pieces, n);

    if (NART_UNLIKELY(empty(pieces, n)))
        return nart_tcp_send(cx, s, NULL, 0);
    return nart_tcp_sendmsg(cx, s, &m);
}

/* The pieces behind the first `done` bytes, as many as fit into `out`: their number. */
static size_t rest(const struct iovec *pieces, size_t n, size_t done, struct iovec out[WINDOW])
{
    size_t i = 0, k = 0;

    for (; i < n && pieces[i].iov_len <= done; i++)
        done -= pieces[i].iov_len;
    for (; i < n && k < WINDOW; i++, k++) {
        char *base = pieces[i].iov_base; /* NULL: of no bytes */
        out[k] = (struct iovec){ done > 0 ? base + done : base, pieces[i].iov_len - done };
        done = 0;
    }
    return k;
}

nart_res nart_tcp_sendv_all(nart_cx *cx, nart_tcp *s, const struct iovec *pieces, size_t n,
                            size_t *done)
{
    struct iovec window[WINDOW];
    size_t all = 0;

    for (size_t i = 0; i < n; i++)
        all += pieces[i].iov_len;
    if (NART_UNLIKELY(*done > 0 && *done >= all))
        return -EINVAL;
    do {
        nart_res r = nart_tcp_sendv(cx, s, window, rest(pieces, n, *done, window));
        if (r < 0)
            return r;
        *done += (size_t)r;
    } while (*done < all);
    *done = 0;
    return (nart_res)all;
}
