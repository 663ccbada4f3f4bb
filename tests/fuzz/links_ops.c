/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* links_ops.c: the operations of links.h, and what they may answer. */
#include "links.h"

#include "runtime.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 30000, SEGMENT = 64, HEAD = 4, GRO_MOST = 65535, PIECES = 8 };
#define LAST 0xffffffffu /* the number of the message that ends a direction of datagrams */

/* What an operation does. Not all kinds have all. */
enum {
    ONE,
    WHOLE,
    PARTS,
    WHOLE_PARTS,
    MESSAGE,
    WRITER,
    TRY,
    SOME_FILE,
    SOME_PIPE,
    FDS,
    MANY,
    PEEK,
    EMPTY
};

static const uint8_t sends[KINDS][16] = {
    [TCP] = { ONE, WHOLE, PARTS, WHOLE_PARTS, MESSAGE, WRITER, TRY, SOME_FILE, SOME_PIPE, EMPTY },
    [STREAM] = { ONE, WHOLE, PARTS, WHOLE_PARTS, MESSAGE, WRITER, TRY, SOME_FILE, SOME_PIPE, FDS },
    [PACKETS] = { ONE, PARTS, MESSAGE, TRY, FDS, ONE, PARTS, TRY, MESSAGE, FDS },
    [DATAGRAMS] = { ONE, MESSAGE, TRY, FDS, MANY, MANY, ONE, FDS, MANY, TRY },
    [UDP] = { ONE, MESSAGE, TRY, MANY, MANY, MANY, ONE, MANY, MANY, TRY },
    [PIPES] = { ONE, WHOLE, TRY, ONE, WHOLE, TRY, EMPTY, ONE, WHOLE, TRY },
};
static const uint8_t receives[KINDS][16] = {
    [TCP] = { ONE, PARTS, MESSAGE, TRY, PEEK, ONE, ONE, PARTS, TRY, ONE },
    [STREAM] = { ONE, PARTS, MESSAGE, TRY, PEEK, FDS, ONE, PARTS, TRY, ONE },
    [PACKETS] = { ONE, PARTS, MESSAGE, TRY, PEEK, FDS, ONE, PARTS, TRY, ONE },
    [DATAGRAMS] = { ONE, MESSAGE, TRY, PEEK, MANY, ONE, MESSAGE, TRY, MANY, MANY },
    [UDP] = { ONE, MESSAGE, TRY, PEEK, MANY, ONE, MESSAGE, TRY, MANY, MANY },
    [PIPES] = { ONE, TRY, ONE, TRY, ONE, TRY, ONE, TRY, ONE, TRY },
};

/* ---- operations ---- */

uint32_t op_pick(struct op *o, uint32_t n)
{
    return random_below(&o->random, n);
}

void op_init(struct op *o, struct link *l, uint32_t end, bool reads, uint64_t random)
{
    *o = (struct op){ .link = l, .end = end, .reads = reads, .random = random };
    o->left = op_pick(o, 3) ? op_pick(o, 60) : op_pick(o, 400);
    o->buf = malloc(5 * (GRO_MOST + 1));
    CHECK(o->buf);
}

static struct way *way_of(const struct op *o)
{
    return &o->link->ways[o->reads ? 1 - o->end : o->end];
}

bool op_more(const struct op *o)
{
    if (o->over)
        return false;
    return o->reads || o->left > 0 || (of_datagrams(o->link) && !o->last && !way_of(o)->done);
}

static size_t message_len(const struct link *l, uint32_t number)
{
    if (number == LAST)
        return HEAD;
    return l->kind == UDP ? SEGMENT : HEAD + number * 37 % (number % 16 ? 200 : 2000);
}

static size_t message_fill(const struct link *l, unsigned char *to, uint32_t number)
{
    size_t len = message_len(l, number);

    memcpy(to, &number, HEAD);
    for (size_t i = HEAD; i < len; i++)
        to[i] = (unsigned char)((number + i) % PRIME);
    return len;
}

/* Cuts `o->len` bytes into pieces, some of them empty. */
static void cut(struct op *o)
{
    size_t at = 0;

    o->n = 1 + op_pick(o, PIECES);
    for (size_t i = 0; i < o->n; i++) {
        size_t left = o->len - at;
        size_t part = i + 1 == o->n ? left : op_pick(o, (uint32_t)left + 1);
        o->pieces[i] = (struct iovec){ o->buf + at, part };
        at += part;
    }
    o->m = (nart_msg){ .pieces = o->pieces,
                       .n = o->n,
                       .control = o->control,
                       .control_cap = op_pick(o, 4) ? sizeof o->control : 0 };
}

/* A pipe with the next bytes; often it ends there, or they are not enough. */
static void feed(struct op *o)
{
    uint64_t at = way_of(o)->sent % PRIME;
    int fds[2];

    CHECK_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    o->len = 1 + op_pick(o, 60000);
    CHECK_EQ(write(fds[1], links_pattern + at, o->len), o->len);
    if (op_pick(o, 2)) {
        close(fds[1]);
        o->cap = o->len + op_pick(o, 2) * op_pick(o, 1000);
    } else {
        o->feeder = fds[1] + 1;
        o->cap = o->len;
    }
    CHECK_RES(nart_fd_open(o->link->rt, fds[0], 0, &o->pipe), 0);
}

static void begin_send(struct op *o)
{
    struct link *l = o->link;
    uint64_t at = way_of(o)->sent;
    uint32_t size = op_pick(o, 4) ? op_pick(o, 3000) : op_pick(o, MOST);
    bool last = of_datagrams(l) && o->left == 0;

    o->left -= o->left > 0;
    o->what = last ? ONE : sends[l->kind][op_pick(o, 10)];
    o->len = 1 + size;
    if (of_bytes(l))
        memcpy(o->buf, links_pattern + at % PRIME, o->len);
    else
        o->len = message_fill(l, o->buf, last ? LAST : (uint32_t)at);
    cut(o);
    if (o->what == WRITER)
        CHECK_RES(nart_tcp_writer_set(&o->writer, o->buf, o->len), 0);
    if (o->what == SOME_PIPE)
        feed(o);
    if (o->what == FDS) {
        o->m.control_cap = sizeof o->control;
        for (int i = 0; i < 3; i++)
            o->fds[i] = links_file;
        CHECK_RES(nart_msg_add(&o->m, SOL_SOCKET, SCM_RIGHTS, o->fds, sizeof o->fds), 0);
    }
    if (o->what == MANY) {
        o->n = 1 + op_pick(o, 5);
        size_t used = 0;
        uint32_t number = (uint32_t)at;
        for (size_t i = 0; i < o->n; i++) {
            uint32_t run = l->kind == UDP && op_pick(o, 2) ? 1 + op_pick(o, 20) : 1;
            o->msgs[i] = (nart_udp_msg){ .buf = o->buf + used, .segment = run > 1 ? SEGMENT : 0 };
            for (uint32_t k = 0; k < run; k++)
                o->msgs[i].len += message_fill(l, o->buf + used + o->msgs[i].len, number++);
            used += o->msgs[i].len;
        }
    }
}

static void begin_recv(struct op *o)
{
    struct link *l = o->link;

    o->what = l->gro[o->end] ? MANY : receives[l->kind][op_pick(o, 10)];
    o->len = of_bytes(l) ? 1 + (op_pick(o, 4) ? op_pick(o, 3000) : op_pick(o, MOST))
                         : (op_pick(o, 4) ? 4096 : HEAD + op_pick(o, 100));
    cut(o);
    o->n = o->what == MANY ? 1 + op_pick(o, 5) : o->n;
    for (size_t i = 0; i < o->n && o->what == MANY; i++)
        o->msgs[i] = (nart_udp_msg){ .buf = o->buf + i * (GRO_MOST + 1), .cap = GRO_MOST };
}

void op_begin(struct op *o)
{
    if (op_pick(o, 300) == 0)
        link_deed(o->link, op_pick(o, 2), 1 + op_pick(o, 11), &o->random);
    o->hand = o->link->ends[o->end];
    if (!o->hand)
        o->hand = o->link->last[o->end];
    o->done = 0;
    if (o->reads)
        begin_recv(o);
    else
        begin_send(o);
}

static nart_res send_try(nart_cx *cx, struct op *o)
{
    struct hand *h = o->hand;

    for (;;) {
        const struct link *l = o->link;
        nart_res r = l->kind == TCP         ? nart_tcp_ready(cx, &h->u.conn, NART_WRITE)
                     : is_conn(l)           ? nart_unix_ready(cx, &h->u, NART_WRITE)
                     : l->kind == DATAGRAMS ? nart_unix_dgram_ready(cx, &h->d, NART_WRITE)
                     : l->kind == UDP       ? nart_udp_ready(cx, &h->udp, NART_WRITE)
                                            : nart_fd_ready(cx, &h->out, NART_WRITE);
        if (r <= 0)
            return r;
        EXPECT(r & NART_WRITE, "ready for 0x%x", (unsigned)r);
        if (l->kind == PIPES) {
            r = write((int)nart_fd_fd(&h->out), o->buf, o->len);
            r = r < 0 ? -errno : r;
            if (r == -EAGAIN)
                nart_fd_clear(&h->out, NART_WRITE);
            if (r == -EINTR)
                r = -EAGAIN;
        } else
            r = l->kind == TCP         ? nart_tcp_try_send(&h->u.conn, o->buf, o->len)
                : is_conn(l)           ? nart_unix_try_send(&h->u, o->buf, o->len)
                : l->kind == DATAGRAMS ? nart_unix_dgram_try_send(&h->d, o->buf, o->len, NULL)
                                       : nart_udp_try_send(&h->udp, o->buf, o->len, NULL);
        if (r != -EAGAIN)
            return r;
    }
}

static nart_res recv_try(nart_cx *cx, struct op *o)
{
    struct hand *h = o->hand;

    for (;;) {
        const struct link *l = o->link;
        nart_res r = l->kind == TCP         ? nart_tcp_ready(cx, &h->u.conn, NART_READ)
                     : is_conn(l)           ? nart_unix_ready(cx, &h->u, NART_READ)
                     : l->kind == DATAGRAMS ? nart_unix_dgram_ready(cx, &h->d, NART_READ)
                     : l->kind == UDP       ? nart_udp_ready(cx, &h->udp, NART_READ)
                                            : nart_fd_ready(cx, &h->in, NART_READ);
        if (r <= 0)
            return r;
        EXPECT(r & NART_READ, "ready for 0x%x", (unsigned)r);
        if (l->kind == PIPES) {
            r = read((int)nart_fd_fd(&h->in), o->buf, o->len);
            r = r < 0 ? -errno : r;
            if (r == -EAGAIN)
                nart_fd_clear(&h->in, NART_READ);
        } else
            r = l->kind == TCP         ? nart_tcp_try_recv(&h->u.conn, o->buf, o->len)
                : is_conn(l)           ? nart_unix_try_recv(&h->u, o->buf, o->len)
                : l->kind == DATAGRAMS ? nart_unix_dgram_try_recv(&h->d, o->buf, o->len, NULL)
                                       : nart_udp_try_recv(&h->udp, o->buf, o->len, NULL);
        if (r != -EAGAIN)
            return r;
    }
}

static nart_res conn_send(nart_cx *cx, struct op *o)
{
    const bool tcp = o->link->kind == TCP;
    const int64_t at = (int64_t)(way_of(o)->sent % PRIME);
    nart_unix *u = &o->hand->u;
    nart_tcp *s = &u->conn;

    switch (o->what) {
    case ONE:
        return tcp ? nart_tcp_send(cx, s, o->buf, o->len) : nart_unix_send(cx, u, o->buf, o->len);
    case WHOLE:
        return tcp ? nart_tcp_send_all(cx, s, o->buf, o->len, &o->done)
                   : nart_unix_send_all(cx, u, o->buf, o->len, &o->done);
    case PARTS:
        return tcp ? nart_tcp_sendv(cx, s, o->pieces, o->n)
                   : nart_unix_sendv(cx, u, o->pieces, o->n);
    case WHOLE_PARTS:
        return tcp ? nart_tcp_sendv_all(cx, s, o->pieces, o->n, &o->done)
                   : nart_unix_sendv_all(cx, u, o->pieces, o->n, &o->done);
    case MESSAGE:
        return tcp ? nart_tcp_sendmsg(cx, s, &o->m) : nart_unix_sendmsg(cx, u, &o->m);
    case WRITER:
        return tcp ? nart_tcp_write(cx, s, &o->writer) : nart_unix_write(cx, u, &o->writer);
    case SOME_FILE:
        return tcp ? nart_tcp_send_file(cx, s, links_file, at, o->len, &o->done)
                   : nart_unix_send_file(cx, u, links_file, at, o->len, &o->done);
    case SOME_PIPE:
        return tcp ? nart_tcp_send_pipe(cx, s, &o->pipe, o->cap, &o->done)
                   : nart_unix_send_pipe(cx, u, &o->pipe, o->cap, &o->done);
    case FDS:
        return nart_unix_send_fds(cx, u, o->buf, o->len, o->fds, 3);
    case EMPTY:
        return nart_tcp_send(cx, s, NULL, 0);
    default:
        return send_try(cx, o);
    }
}

static nart_res conn_recv(nart_cx *cx, struct op *o)
{
    const bool tcp = o->link->kind == TCP;
    nart_unix *u = &o->hand->u;
    nart_tcp *s = &u->conn;

    switch (o->what) {
    case ONE:
        return tcp ? nart_tcp_recv(cx, s, o->buf, o->len) : nart_unix_recv(cx, u, o->buf, o->len);
    case PARTS:
        return tcp ? nart_tcp_recvv(cx, s, o->pieces, o->n)
                   : nart_unix_recvv(cx, u, o->pieces, o->n);
    case MESSAGE:
        return tcp ? nart_tcp_recvmsg(cx, s, &o->m) : nart_unix_recvmsg(cx, u, &o->m);
    case PEEK:
        return tcp ? nart_tcp_peek(cx, s, o->buf, o->len) : nart_unix_peek(cx, u, o->buf, o->len);
    case FDS:
        return nart_unix_recv_fds(cx, u, o->buf, o->len, o->fds, 3, &o->n);
    default:
        return recv_try(cx, o);
    }
}

static nart_res datagram_call(nart_cx *cx, struct op *o)
{
    const bool udp = o->link->kind == UDP;
    nart_unix_dgram *d = &o->hand->d;
    nart_udp *u = &o->hand->udp;

    switch (o->what * 2 + o->reads) {
    case ONE * 2:
        return udp ? nart_udp_send(cx, u, o->buf, o->len, NULL)
                   : nart_unix_dgram_send(cx, d, o->buf, o->len, NULL);
    case MESSAGE * 2:
    case FDS * 2:
        return udp ? nart_udp_sendmsg(cx, u, &o->m) : nart_unix_dgram_sendmsg(cx, d, &o->m);
    case MANY * 2:
        return udp ? nart_udp_send_many(cx, u, o->msgs, o->n)
                   : nart_unix_dgram_send_many(cx, d, o->msgs, o->n);
    case ONE * 2 + 1:
        return udp ? nart_udp_recv(cx, u, o->buf, o->len, NULL)
                   : nart_unix_dgram_recv(cx, d, o->buf, o->len, NULL);
    case MESSAGE * 2 + 1:
        return udp ? nart_udp_recvmsg(cx, u, &o->m) : nart_unix_dgram_recvmsg(cx, d, &o->m);
    case MANY * 2 + 1:
        return udp ? nart_udp_recv_many(cx, u, o->msgs, o->n)
                   : nart_unix_dgram_recv_many(cx, d, o->msgs, o->n);
    case PEEK * 2 + 1:
        return udp ? nart_udp_peek(cx, u, o->buf, o->len, NULL)
                   : nart_unix_dgram_peek(cx, d, o->buf, o->len, NULL);
    default:
        return o->reads ? recv_try(cx, o) : send_try(cx, o);
    }
}

nart_res op_call(nart_cx *cx, struct op *o)
{
    if (is_conn(o->link))
        return o->reads ? conn_recv(cx, o) : conn_send(cx, o);
    if (of_datagrams(o->link))
        return datagram_call(cx, o);
    if (o->what == TRY)
        return o->reads ? recv_try(cx, o) : send_try(cx, o);
    if (o->reads)
        return nart_fd_read(cx, &o->hand->in, o->buf, o->len);
    if (o->what == WHOLE)
        return nart_fd_write_all(cx, &o->hand->out, o->buf, o->len, &o->done);
    return nart_fd_write(cx, &o->hand->out, o->buf, o->what == EMPTY ? 0 : o->len);
}

/* ---- answers ---- */

static void close_fds(struct op *o, nart_res r)
{
    if (o->what == FDS)
        for (size_t i = 0; i < o->n && r > 0; i++)
            close(o->fds[i]);
    if (o->what != MESSAGE || r < 0)
        return;
    for (struct cmsghdr *c = nart_msg_next(&o->m, NULL); c; c = nart_msg_next(&o->m, c)) {
        int fds[3];
        EXPECT(c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fds), "type %d",
               c->cmsg_type);
        memcpy(fds, CMSG_DATA(c), sizeof fds);
        for (int i = 0; i < 3; i++)
            close(fds[i]);
    }
    o->m.control_len = 0;
}

/* One message was received, or its first `len` bytes. */
static void message_received(struct op *o, const unsigned char *buf, size_t len, bool whole)
{
    struct way *w = way_of(o);
    uint32_t number;

    EXPECT(len >= HEAD, "%zu bytes", len);
    memcpy(&number, buf, HEAD);
    size_t all = message_len(o->link, number);
    EXPECT(whole ? len == all : len < all, "%zu of %zu bytes", len, all);
    for (size_t i = HEAD; i < len; i++)
        EXPECT(buf[i] == (number + i) % PRIME, "message %u, byte %zu", number, i);
    if (number == LAST) {
        o->over = o->over || o->what != PEEK;
        return;
    }
    EXPECT(number == w->received || (o->link->kind == UDP && number > w->received),
           "kind %u: message %u for %" PRIu64, o->link->kind, number, w->received);
    w->received = o->what == PEEK ? w->received : number + UINT64_C(1);
}

static void received(struct op *o, nart_res r)
{
    struct way *w = way_of(o);

    if (o->what == MANY) {
        for (nart_res i = 0; i < r; i++) {
            const nart_udp_msg *m = &o->msgs[i];
            size_t part = m->segment ? m->segment : m->len;
            for (size_t at = 0; at < m->len; at += part)
                message_received(o, (unsigned char *)m->buf + at,
                                 m->len - at < part ? m->len - at : part, true);
        }
    } else if (of_bytes(o->link)) {
        for (nart_res i = 0; i < r; i++)
            EXPECT(o->buf[i] == (w->received + (uint64_t)i) % PRIME,
                   "kind %u, what %u: byte %" PRIu64, o->link->kind, o->what,
                   w->received + (uint64_t)i);
        w->received += o->what == PEEK ? 0 : (uint64_t)r;
    } else {
        message_received(o, o->buf, r == -EMSGSIZE ? o->len : (size_t)r, r != -EMSGSIZE);
    }
}

static void sent(struct op *o, nart_res r)
{
    struct way *w = way_of(o);
    size_t part = o->done;

    if (o->what == WRITER && r <= 0)
        part = o->len - nart_tcp_writer_left(&o->writer);
    if (o->what == WRITER)
        o->writer = (nart_tcp_writer){ .len = 0 };
    if (of_bytes(o->link)) {
        w->sent += r > 0 ? (uint64_t)r : part;
        return;
    }
    uint32_t number;
    memcpy(&number, o->buf, HEAD);
    if (o->what != MANY)
        EXPECT(r < 0 || (size_t)r == o->len, "%zd of %zu", (ssize_t)r, o->len);
    if (o->what == MANY)
        for (nart_res i = 0; i < r; i++)
            w->sent += o->msgs[i].segment ? o->msgs[i].len / SEGMENT : 1;
    else
        w->sent += r > 0 && number != LAST;
    o->last |= r > 0 && number == LAST && o->link->kind == DATAGRAMS;
}

/* Can this operation fail so? */
static bool may_fail(const struct op *o, nart_res r, bool late)
{
    const struct link *l = o->link;

    if (links_freeing)
        return true;
    if (r == -ECANCELED || r == -ETIMEDOUT)
        return late || o->cancelled;
    if (r == -EBADF)
        return o->hand->closed || (l->kind == PIPES && !o->reads && l->ways[o->end].ended);
    if (r == -EPIPE && !o->reads && l->ways[o->end].ended)
        return true;
    return l->broken && (r == -EPIPE || (r == -ECONNRESET && l->kind != PIPES) ||
                         (of_datagrams(l) && (r == -ECONNREFUSED || r == -ENOTCONN)));
}

static void keep_error(const struct op *o, nart_res r)
{
    struct link *l = o->link;
    nart_res *error = &l->error[o->end];

    if (!is_conn(l) || r == -EBADF || r == -ECANCELED || r == -ETIMEDOUT || links_freeing)
        return;
    if (*error && o->what != EMPTY)
        EXPECT(r == *error || (o->reads && r > 0) || (o->reads && r == -EMSGSIZE),
               "kind %u, what %u, %s, end %u, stopped %d %d, len %zu: %s after %s", l->kind,
               o->what, o->reads ? "reads" : "writes", o->end, l->stopped[0], l->stopped[1], o->len,
               nart_err_name(r), nart_err_name(*error));
    if (r == -ECONNRESET)
        *error = r;
}

void op_end(struct op *o, nart_res r, bool late, bool earlier)
{
    struct link *l = o->link;

    if (!earlier)
        keep_error(o, r);
    if (o->reads && (r > 0 || (r == -EMSGSIZE && !of_bytes(l)))) {
        received(o, r);
        close_fds(o, r);
    }
    if (!o->reads)
        sent(o, r);
    if (o->pipe.io.drv) {
        CHECK_RES(nart_fd_close(&o->pipe), 0);
        if (o->feeder)
            close(o->feeder - 1);
        o->feeder = 0;
    }
    if (r > 0 || r == -EMSGSIZE || (r == 0 && !o->reads))
        return;
    if (r == 0) {
        EXPECT(way_of(o)->ended || l->broken, "kind %u: the end", l->kind);
        o->over = true;
        return;
    }
    EXPECT(may_fail(o, r, late), "kind %u, what %u, %s, end %u: %s", l->kind, o->what,
           o->reads ? "reads" : "writes", o->end, nart_err_name(r));
    bool moved = r == -EBADF && o->hand->closed && l->ends[o->end];
    bool again = (late && !o->cancelled && (r == -ECANCELED || r == -ETIMEDOUT)) || moved ||
                 (l->kind == UDP && r == -ECONNREFUSED && l->ends[1 - o->end]);
    o->over = !again || links_freeing;
}

void op_over(struct op *o)
{
    struct link *l = o->link;
    struct hand *h = l->ends[o->end];
    struct way *w = way_of(o);

    free(o->buf);
    if (o->reads) {
        w->done = true;
        if (!w->ended && !(of_datagrams(l) && !o->cancelled))
            link_end_close(l, o->end);
        return;
    }
    bool ended = w->ended;
    w->ended = true;
    if (!h)
        return;
    if (o->cancelled && of_datagrams(l))
        link_end_close(l, o->end);
    else if (l->kind == PIPES)
        CHECK_RES(nart_fd_close(&h->out), 0);
    else if (is_conn(l)) {
        nart_res r = l->kind == TCP ? nart_tcp_shutdown(&h->u.conn, NART_WRITE)
                                    : nart_unix_shutdown(&h->u, NART_WRITE);
        EXPECT(r == 0 || (r == -ENOTCONN && (l->broken || ended)), "%s", nart_err_name(r));
    }
}
