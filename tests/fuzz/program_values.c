/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations of random programs that pass values: channels of the three kinds, byte channels,
 * oneshots, watches and broadcasts. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- channels ---- */

struct value {
    struct thing *chan;
    uint64_t number;
};

static void value_drop(void *p)
{
    struct value *v = p;
    struct thing *c = v->chan;

    EXPECT(v->number == c->received + c->dropped, "value %llu is dropped",
           (unsigned long long)v->number);
    c->dropped++;
}

static size_t pick_capacity(void)
{
    return pick(8) ? (size_t)1 << pick(4) : 4 * NART_CHAN_MANY;
}

static bool chan_open(struct thing *c, uint32_t kind, size_t capacity)
{
    nart_chan_opts o = { .size = sizeof o,
                         .kind = kind,
                         .elem = sizeof(struct value),
                         .capacity = capacity,
                         .drop_value = value_drop };

    c->tx[0] = handle_new();
    c->rx = handle_new();
    nart_res r = nart_chan_open(rt, &o, &c->tx[0]->u.tx, &c->rx->u.rx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    if (kind == NART_CHAN_SPSC)
        return true;
    c->tx[1] = handle_new();
    r = nart_tx_clone(&c->tx[0]->u.tx, &c->tx[1]->u.tx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static bool local_open(struct thing *c)
{
    return chan_open(c, NART_CHAN_LOCAL, pick(3) ? pick_capacity() : 0);
}

static bool spsc_open(struct thing *c)
{
    return chan_open(c, NART_CHAN_SPSC, pick_capacity());
}

static bool mpsc_open(struct thing *c)
{
    return chan_open(c, NART_CHAN_MPSC, pick_capacity());
}

static void tx_close(struct thing *c, int i)
{
    struct handle *h = c->tx[i];

    c->tx[i] = NULL;
    if (!h)
        return;
    nart_tx_close(&h->u.tx);
    handle_retire(h);
}

static void rx_close(struct thing *c)
{
    struct handle *h = c->rx;

    c->rx = NULL;
    if (!h)
        return;
    nart_rx_close(&h->u.rx);
    EXPECT(c->sent == c->received + c->dropped, "values are left");
    handle_retire(h);
}

static void chan_close(struct thing *c)
{
    rx_close(c);
    tx_close(c, 0);
    tx_close(c, 1);
    EXPECT(c->sent == c->received + c->dropped, "sent %llu, received %llu, dropped %llu",
           (unsigned long long)c->sent, (unsigned long long)c->received,
           (unsigned long long)c->dropped);
    c->closed = true;
}

static void value_received(struct thing *c, const struct value *v)
{
    EXPECT(v->chan == c && v->number == c->received, "value %llu came for %llu",
           (unsigned long long)v->number, (unsigned long long)c->received);
    c->received++;
}

/* An end moves while a task waits in it: the waiter finds the old one closed. */
static void tx_move(struct thing *c, int i)
{
    struct handle *h = handle_new(), *old = c->tx[i];

    nart_tx_move(&h->u.tx, &old->u.tx);
    c->tx[i] = h;
    handle_retire(old);
}

static void rx_move(struct thing *c)
{
    struct handle *h = handle_new(), *old = c->rx;

    nart_rx_move(&h->u.rx, &old->u.rx);
    c->rx = h;
    handle_retire(old);
}

/* From now on no new value can be sent. */
static void chan_shut(struct thing *c)
{
    nart_rx_shut(&c->rx->u.rx);
    c->shut = true;
}

static void chan_try_send(struct thing *c, struct handle *tx, const struct value *v)
{
    nart_res r = nart_try_send(&tx->u.tx, v);

    EXPECT(r == (c->shut || !c->rx ? NART_ECLOSED : r ? -EAGAIN : 0), "%s", nart_err_name(r));
    c->sent += r == 0;
}

/* More values than one answer transfers: written and read during a call only. */
enum { MANY = 4 * NART_CHAN_MANY };
static struct value many[MANY];

/* Those from `done` on are the channel's next values. */
static void many_write(struct thing *c, size_t done, size_t n)
{
    for (size_t i = done; i < n; i++)
        many[i] = (struct value){ c, c->sent + i - done };
}

static void many_received(struct thing *c, nart_res n)
{
    for (nart_res i = 0; i < n; i++)
        value_received(c, &many[i]);
}

static void chan_fill(struct thing *c, struct handle *tx)
{
    many_write(c, 0, MANY);
    nart_res r = nart_try_send_many(&tx->u.tx, many, MANY);
    EXPECT(r <= (nart_res)NART_CHAN_MANY, "%lld values", (long long)r);
    c->sent += r > 0 ? (uint64_t)r : 0;
}

static void chan_drain(struct thing *c)
{
    nart_res r = nart_try_recv_many(&c->rx->u.rx, many, MANY);

    EXPECT(r <= (nart_res)NART_CHAN_MANY, "%lld values", (long long)r);
    many_received(c, r);
}

static void chan_deed(struct thing *c, nart_cx *cx)
{
    struct value v = { c, c->sent };
    uint32_t what = pick(18), i = what & 1;

    (void)cx;
    if (what < 4 && c->tx[i])
        chan_try_send(c, c->tx[i], &v);
    else if (what < 6 && c->tx[i])
        chan_fill(c, c->tx[i]);
    else if (what < 10 && c->rx && nart_try_recv(&c->rx->u.rx, &v) == 0)
        value_received(c, &v);
    else if (what < 12 && c->rx)
        chan_drain(c);
    else if (what == 12 && c->tx[0])
        tx_move(c, 0);
    else if (what == 13 && c->rx)
        rx_move(c);
    else if (what == 16 && c->rx && pick(4) == 0)
        chan_shut(c);
    else if (what == 14 && pick(4) == 0)
        tx_close(c, (int)pick(2));
    else if (what == 15 && pick(4) == 0)
        rx_close(c);
}

static const struct sort local = { local_open, chan_deed, NULL, chan_close },
                         spsc = { spsc_open, chan_deed, NULL, chan_close },
                         mpsc = { mpsc_open, chan_deed, NULL, chan_close };

/* Any of the senders, or the receiver. */
static bool tx_begin(struct arm *a, const struct sort *sort)
{
    struct thing *t = thing_of(sort);
    return t && handle_take(a, t, t->tx[pick(2)]);
}

static bool rx_begin(struct arm *a, const struct sort *sort)
{
    struct thing *t = thing_of(sort);
    return t && handle_take(a, t, t->rx);
}

static const struct sort *any_chan(void)
{
    const struct sort *const all[] = { &local, &local, &spsc, &mpsc };
    return all[pick(4)];
}

static bool send_begin(struct arm *a)
{
    return tx_begin(a, any_chan());
}

static nart_res send_call(nart_cx *cx, struct arm *a)
{
    struct value v = { a->thing, a->thing->sent };
    nart_res r = nart_send(cx, &a->handle->u.tx, &v);

    a->thing->sent += r == 0; /* before the next one can be assigned to another arm */
    return r;
}

/* Must a send answer NART_ECLOSED? */
static bool send_refused(const struct arm *a)
{
    return a->handle->closed || !a->thing->rx || a->thing->shut;
}

static void send_answered(struct arm *a, nart_res r)
{
    EXPECT(r == (send_refused(a) ? NART_ECLOSED : 0), "%s", nart_err_name(r));
}

/* Is there a free slot? A rendezvous has one while the receiver waits. */
static bool chan_has_slot(const struct thing *c, const nart_tx *tx)
{
    size_t capacity = nart_tx_capacity(tx);
    return capacity > 0 ? nart_tx_len(tx) < capacity : c->rx->u.rx.ring->rx_waits;
}

/* Others may be queued ahead; a single sender need not wait. */
static bool send_ready(const struct arm *a)
{
    const struct thing *c = a->thing;

    return send_refused(a) ||
           ((c->tx[0] ? c->tx[0]->users : 0) + (c->tx[1] ? c->tx[1]->users : 0) == 1 &&
            chan_has_slot(c, &a->handle->u.tx));
}

/* A slot first, which is used or returned at once: for other senders it would be no free one. */
static nart_res reserve_call(nart_cx *cx, struct arm *a)
{
    struct value v = { a->thing, a->thing->sent };
    nart_tx *tx = &a->handle->u.tx;
    nart_res r = nart_tx_reserve(cx, tx);

    if (r == 0 && pick(4)) {
        nart_res sent = nart_try_send(tx, &v);
        EXPECT(sent == (send_refused(a) ? NART_ECLOSED : 0), "%s", nart_err_name(sent));
        a->thing->sent += sent == 0;
    }
    if (r == 0)
        nart_tx_unreserve(tx);
    return r;
}

static bool is_rendezvous(const struct arm *a)
{
    return !a->handle->closed && nart_tx_capacity(&a->handle->u.tx) == 0;
}

static void reserve_answered(struct arm *a, nart_res r)
{
    EXPECT(r == (a->handle->closed  ? NART_ECLOSED
                 : is_rendezvous(a) ? -EINVAL
                 : send_refused(a)  ? NART_ECLOSED
                                    : 0),
           "%s", nart_err_name(r));
}

static bool reserve_ready(const struct arm *a)
{
    return is_rendezvous(a) || send_ready(a);
}

static bool recv_begin(struct arm *a)
{
    return rx_begin(a, any_chan());
}

static nart_res recv_call(nart_cx *cx, struct arm *a)
{
    struct value v;
    nart_res r = nart_recv(cx, &a->handle->u.rx, &v);

    if (r == 0)
        value_received(a->thing, &v);
    return r;
}

static bool chan_over(const struct thing *c)
{
    return ((!c->tx[0] && !c->tx[1]) || c->shut) && c->sent == c->received + c->dropped;
}

static void recv_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r == NART_ECLOSED && (a->handle->closed || chan_over(a->thing))), "%s",
           nart_err_name(r));
}

static bool recv_ready(const struct arm *a)
{
    return a->handle->closed ||
           (a->handle->users == 1 && (a->thing->sent > a->thing->received || chan_over(a->thing)));
}

/* ---- several values by one call ---- */

static bool send_many_begin(struct arm *a)
{
    a->m = 0; /* number sent */
    a->n = pick(4) ? pick(24) : pick(MANY);
    return send_begin(a);
}

static int64_t budget_left(const nart_cx *cx)
{
    return cx->stop ? cx->kept : cx->go;
}

/* One unit of the poll's budget for each NART_CHAN_MANY values. */
static nart_res send_many_call(nart_cx *cx, struct arm *a)
{
    size_t done = a->m, before = done;
    int64_t budget = budget_left(cx);

    many_write(a->thing, done, a->n);
    nart_res r = nart_send_many(cx, &a->handle->u.tx, many, a->n, &done);
    size_t sent = (r >= 0 && r != NART_PENDING ? a->n : done) - before;
    a->thing->sent += sent;
    a->m = (uint32_t)done;
    a->moved = sent > 0;
    budget -= budget_left(cx);
    EXPECT((int64_t)sent <= budget * (int64_t)NART_CHAN_MANY, "%zu values by %lld answers", sent,
           (long long)budget);
    if (budget > 0) /* the caller counts the last one */
        a->task->answers += (uint32_t)budget - (r != NART_PENDING);
    return r;
}

static void send_many_answered(struct arm *a, nart_res r)
{
    EXPECT(r == (nart_res)a->n || (r == NART_ECLOSED && send_refused(a)), "%s", nart_err_name(r));
    EXPECT(r < 0 || a->m == 0, "%u are sent", a->m);
}

static bool recv_many_begin(struct arm *a)
{
    a->n = pick(4) ? 1 + pick(24) : 1 + pick(MANY);
    return recv_begin(a);
}

static nart_res recv_many_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_recv_many(cx, &a->handle->u.rx, many, a->n);

    if (r != NART_PENDING)
        many_received(a->thing, r);
    return r;
}

static void recv_many_answered(struct arm *a, nart_res r)
{
    EXPECT(r <= (nart_res)NART_CHAN_MANY && r <= (nart_res)a->n, "%lld values", (long long)r);
    if (r <= 0)
        recv_answered(a, r ? r : -EINVAL);
}

/* ---- a private channel, alternately full and empty ---- */

static bool pipe_begin(struct arm *a)
{
    a->thing = calloc(1, sizeof *a->thing);
    return chan_open(a->thing, NART_CHAN_LOCAL + pick(3), pick_capacity());
}

static nart_res pipe_call(nart_cx *cx, struct arm *a)
{
    struct value v = { a->thing, a->thing->sent };
    nart_res r;

    if (a->turn) {
        r = nart_recv(cx, &a->thing->rx->u.rx, &v);
        if (r == 0)
            value_received(a->thing, &v);
    } else {
        r = nart_send(cx, &a->thing->tx[0]->u.tx, &v);
        a->thing->sent += r == 0;
    }
    a->turn ^= r == 0;
    return r;
}

static void pipe_end(struct arm *a)
{
    chan_close(a->thing);
    free(a->thing);
}

static void pipe_answered(struct arm *a, nart_res r)
{
    (void)a;
    EXPECT(r == 0, "%s", nart_err_name(r));
}

const struct kind own_channel = { "own channel", 0,    pipe_begin, pipe_call,
                                  pipe_answered, NULL, pipe_end };

/* ---- byte channels ---- */

/* Claims in order, until they have been received or skipped. */
struct claim {
    struct claim *next;
    enum { OPEN, COMMITTED, ABORTED } state;
    uint64_t number;
    size_t len;
    uint32_t size; /* of the ring */
};

struct claims {
    struct claim *first, **last;
    uint64_t numbers;
};

/* Aborted claims that one call skips: those of its first look, and of one more before it waits. */
enum { PASSED = 2 * NART_BUDGET + 2 };

static struct claim *claimed(struct thing *c, size_t len)
{
    struct claim *n = calloc(1, sizeof *n);

    *n = (struct claim){ .number = c->u.claims->numbers++,
                         .len = len,
                         .size = nart__bytes_place(len) };
    *c->u.claims->last = n;
    c->u.claims->last = &n->next;
    return n;
}

static void claim_gone(struct claims *all)
{
    struct claim *n = all->first;

    all->first = n->next;
    if (!all->first)
        all->last = &all->first;
    free(n);
}

static bool bytes_open(struct thing *c)
{
    nart_bytes_opts o = { .size = sizeof o,
                          .kind = pick(2) ? NART_BYTES_SPSC : NART_BYTES_MPSC,
                          .capacity = pick(4) ? 128 : 16384,
                          .max_len = 60 };

    c->tx[0] = handle_new();
    c->rx = handle_new();
    c->u.claims = calloc(1, sizeof *c->u.claims);
    c->u.claims->last = &c->u.claims->first;
    nart_res r = nart_bytes_open(rt, &o, &c->tx[0]->u.btx, &c->rx->u.brx);
    if (r == 0 && o.kind == NART_BYTES_MPSC)
        r = nart_bytes_tx_clone(&c->tx[0]->u.btx, &(c->tx[1] = handle_new())->u.btx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static void claim_end(struct handle *tx, bool commit)
{
    if (!tx->claim)
        return;
    if (commit) {
        memset(tx->buf.ptr, (int)tx->claim->number, tx->buf.len);
        tx->claim->len = tx->buf.len;
    }
    tx->claim->state = commit ? COMMITTED : ABORTED;
    tx->claim = NULL;
    nart_res r =
        commit ? nart_bytes_commit(&tx->u.btx, &tx->buf) : nart_bytes_abort(&tx->u.btx, &tx->buf);
    EXPECT(r == 0, "%s", nart_err_name(r));
}

static void btx_close(struct thing *c, int i)
{
    struct handle *h = c->tx[i];

    c->tx[i] = NULL;
    if (!h)
        return;
    if (h->claim)
        h->claim->state = ABORTED;
    h->claim = NULL;
    nart_bytes_tx_close(&h->u.btx);
    handle_retire(h);
}

static void brx_close(struct thing *c)
{
    struct handle *h = c->rx;

    c->rx = NULL;
    if (!h)
        return;
    nart_bytes_rx_close(&h->u.brx);
    handle_retire(h);
}

static void bytes_close(struct thing *c)
{
    brx_close(c);
    btx_close(c, 0);
    btx_close(c, 1);
    while (c->u.claims->first)
        claim_gone(c->u.claims);
    free(c->u.claims);
    c->u.claims = NULL;
    c->closed = true;
}

static void btx_move(struct thing *c, int i)
{
    struct handle *h = handle_new(), *old = c->tx[i];

    nart_bytes_tx_move(&h->u.btx, &old->u.btx);
    h->buf = old->buf;
    h->claim = old->claim;
    old->claim = NULL;
    c->tx[i] = h;
    handle_retire(old);
}

static void brx_move(struct thing *c)
{
    struct handle *h = handle_new(), *old = c->rx;

    nart_bytes_rx_move(&h->u.brx, &old->u.brx);
    h->msg = old->msg;
    old->msg.ptr = NULL;
    c->rx = h;
    handle_retire(old);
}

/* No message from many claims. */
static void abort_many(struct thing *c, struct handle *tx)
{
    for (int i = pick(2) ? 300 : 0;
         i < 1000 && !tx->claim && nart_bytes_try_claim(&tx->u.btx, 8, &tx->buf) == 0; i++) {
        tx->claim = claimed(c, 8);
        claim_end(tx, false);
    }
}

/* From now on no new claim can be made. */
static void bytes_shut(struct thing *c)
{
    nart_bytes_rx_shut(&c->rx->u.brx);
    c->shut = true;
}

static void bytes_deed(struct thing *c, nart_cx *cx)
{
    uint32_t what = pick(18), i = what & 1;

    (void)cx;
    if (what < 6 && c->tx[i])
        claim_end(c->tx[i], what < 4);
    else if (what < 10 && c->rx && c->rx->msg.ptr)
        (void)nart_bytes_release(&c->rx->u.brx, &c->rx->msg);
    else if (what == 10 && c->tx[0])
        btx_move(c, 0);
    else if (what == 11 && c->rx)
        brx_move(c);
    else if (what < 14 && c->tx[0])
        abort_many(c, c->tx[0]);
    else if (what == 14 && pick(4) == 0)
        btx_close(c, (int)pick(2));
    else if (what == 15 && pick(4) == 0)
        brx_close(c);
    else if (what == 16 && c->rx && pick(4) == 0)
        bytes_shut(c);
}

static const struct sort bytes = { bytes_open, bytes_deed, NULL, bytes_close };

static bool claim_begin(struct arm *a)
{
    a->n = pick(61);
    return tx_begin(a, &bytes);
}

/* An open claim does not end with the operation: it belongs to the end. */
static nart_res claim_call(nart_cx *cx, struct arm *a)
{
    nart_bytes_buf buf;
    nart_res r = nart_bytes_claim(cx, &a->handle->u.btx, a->n, &buf);

    if (r == 0) {
        a->handle->buf = buf;
        a->handle->claim = claimed(a->thing, a->n);
    }
    return r;
}

static void claim_answered(struct arm *a, nart_res r)
{
    if (r == NART_ECLOSED) {
        EXPECT(send_refused(a), "closed");
        return;
    }
    EXPECT((r == 0 && !send_refused(a)) || (r == -EBUSY && a->handle->claim), "%s",
           nart_err_name(r));
    EXPECT(a->handle->buf.len == a->n || r, "%zu bytes", a->handle->buf.len);
    if (r == 0 && pick(4))
        claim_end(a->handle, pick(4));
}

static bool claim_ready(const struct arm *a)
{
    return a->handle->claim || send_refused(a);
}

static bool message_begin(struct arm *a)
{
    return rx_begin(a, &bytes);
}

/* The part of the ring that a call has skipped. */
static void pass_over_aborted(struct claims *all, uint64_t size)
{
    uint32_t n = 0;

    for (; size > 0; n++) {
        const struct claim *c = all->first;
        EXPECT(c && c->state == ABORTED && c->size <= size, "passed over what is no aborted claim");
        size -= c->size;
        claim_gone(all);
    }
    EXPECT(n <= PASSED, "%u aborted claims by one call", n);
}

static nart_res message_call(nart_cx *cx, struct arm *a)
{
    nart_bytes_rx *rx = &a->handle->u.brx;
    nart_bytes_msg msg;
    uint64_t before = rx->pos;
    nart_res r = nart_bytes_recv(cx, rx, &msg);
    uint64_t passed = rx->pos - before - (r == 0 ? nart__bytes_place(msg.len) : 0);

    a->moved = passed > 0;
    if (passed > 0)
        pass_over_aborted(a->thing->u.claims, passed);
    if (r)
        return r;
    const struct claim *c = a->thing->u.claims->first;
    EXPECT(c && c->state == COMMITTED && c->len == msg.len, "a message of %zu bytes", msg.len);
    for (size_t i = 0; i < msg.len; i++)
        EXPECT(((const unsigned char *)msg.ptr)[i] == (unsigned char)c->number, "byte %zu", i);
    claim_gone(a->thing->u.claims);
    a->handle->msg = msg;
    return 0;
}

static bool bytes_over(const struct thing *c)
{
    const struct claim *n = c->u.claims ? c->u.claims->first : NULL;

    while (n && n->state == ABORTED)
        n = n->next;
    return ((!c->tx[0] && !c->tx[1]) || c->shut) && !n;
}

static void message_answered(struct arm *a, nart_res r)
{
    if (r == NART_ECLOSED)
        EXPECT(a->handle->closed || bytes_over(a->thing), "closed");
    else
        EXPECT(r == 0 || (r == -EBUSY && a->handle->msg.ptr), "%s", nart_err_name(r));
    if (r == 0 && pick(4))
        (void)nart_bytes_release(&a->handle->u.brx, &a->handle->msg);
}

static bool message_ready(const struct arm *a)
{
    const struct claim *n;

    if (a->handle->closed)
        return true;
    for (n = a->thing->u.claims->first; n && n->state == ABORTED;)
        n = n->next;
    return a->handle->users == 1 &&
           (a->handle->msg.ptr || bytes_over(a->thing) || (n && n->state == COMMITTED));
}

/* ---- oneshots ---- */

static void oneshot_dropped(void *p)
{
    struct value *v = p;
    v->chan->dropped++;
}

static bool oneshot_open(struct thing *o)
{
    o->tx[0] = handle_new();
    o->rx = handle_new();
    o->u.slot = pick(2) ? page_new(sizeof(struct value)) : NULL; /* of linked ends */
    nart_res r = o->u.slot ? nart_oneshot_link(o->u.slot, sizeof(struct value), oneshot_dropped,
                                               &o->tx[0]->u.otx, &o->rx->u.orx)
                           : nart_oneshot_open(rt, sizeof(struct value), oneshot_dropped,
                                               &o->tx[0]->u.otx, &o->rx->u.orx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static void oneshot_tx_gone(struct thing *o)
{
    struct handle *h = o->tx[0];

    o->tx[0] = NULL;
    if (!h)
        return;
    nart_oneshot_tx_close(&h->u.otx);
    handle_retire(h);
}

static void oneshot_rx_gone(struct thing *o)
{
    struct handle *h = o->rx;

    o->rx = NULL;
    if (!h)
        return;
    nart_oneshot_rx_close(&h->u.orx);
    EXPECT(o->sent == o->received + o->dropped, "the value is lost");
    if (o->u.slot)
        page_free(o->u.slot, sizeof(struct value));
    handle_retire(h);
}

static void oneshot_close(struct thing *o)
{
    oneshot_rx_gone(o);
    oneshot_tx_gone(o);
    o->closed = true;
}

static void oneshot_send(struct thing *o)
{
    struct value v = { o, 0 };
    nart_res r = nart_oneshot_send(&o->tx[0]->u.otx, &v);

    EXPECT(r == (o->rx ? 0 : NART_ECLOSED), "%s", nart_err_name(r));
    o->sent += r == 0;
    oneshot_tx_gone(o);
}

static void oneshot_move(struct thing *o)
{
    struct handle *tx = handle_new(), *rx = handle_new();

    nart_oneshot_tx_move(&tx->u.otx, &o->tx[0]->u.otx);
    handle_retire(o->tx[0]);
    o->tx[0] = tx;
    nart_oneshot_rx_move(&rx->u.orx, &o->rx->u.orx);
    handle_retire(o->rx);
    o->rx = rx;
}

static void oneshot_deed(struct thing *o, nart_cx *cx)
{
    uint32_t what = pick(8);

    (void)cx;
    if (what == 0 && o->tx[0] && o->rx)
        oneshot_move(o);
    else if (what == 1)
        oneshot_tx_gone(o);
    else if (what == 2)
        oneshot_rx_gone(o);
    else if (what < 6 && o->tx[0])
        oneshot_send(o);
    else if (!o->tx[0])
        oneshot_close(o);
}

static const struct sort oneshot = { oneshot_open, oneshot_deed, NULL, oneshot_close };

static bool oneshot_begin(struct arm *a)
{
    return rx_begin(a, &oneshot);
}

static nart_res oneshot_call(nart_cx *cx, struct arm *a)
{
    struct value v;
    nart_res r = nart_oneshot_recv(cx, &a->handle->u.orx, &v);

    if (r == 0) {
        EXPECT(v.chan == a->thing && a->thing->sent == 1 && a->thing->received == 0, "a value");
        a->thing->received++;
    }
    return r;
}

static bool oneshot_ready(const struct arm *a)
{
    return a->handle->closed || (a->handle->users == 1 && !a->thing->tx[0]);
}

static void oneshot_answered(struct arm *a, nart_res r)
{
    const struct thing *o = a->thing;

    EXPECT(r == 0 || (r == NART_ECLOSED && (a->handle->closed || o->received || !o->tx[0])), "%s",
           nart_err_name(r));
}

/* ---- watches and broadcasts: each receiver records what it has seen ---- */

static bool watch_open(struct thing *w)
{
    uint64_t first = 0;

    w->rx = handle_new();
    w->more = handle_new();
    nart_res r = nart_watch_open(rt, sizeof first, &first, &w->u.watch, &w->rx->u.wrx);
    if (r == 0)
        r = nart_watch_subscribe(&w->u.watch, &w->more->u.wrx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static void watch_gone(struct handle **h)
{
    if (!*h)
        return;
    nart_watch_rx_close(&(*h)->u.wrx);
    handle_retire(*h);
    *h = NULL;
}

static void watch_close(struct thing *w)
{
    nart_watch_tx_close(&w->u.watch);
    watch_gone(&w->rx);
    watch_gone(&w->more);
    w->closed = true;
}

static void watch_deed(struct thing *w, nart_cx *cx)
{
    uint32_t what = pick(16);

    (void)cx;
    if (what == 0) {
        nart_watch_tx_close(&w->u.watch);
        w->dropped = 1;
    } else if (what == 1) {
        watch_gone(&w->more);
    } else if (what == 2 && w->rx) {
        struct handle *h = handle_new(), *old = w->rx;
        nart_watch_rx_move(&h->u.wrx, &old->u.wrx);
        h->seen = old->seen;
        w->rx = h;
        handle_retire(old);
    } else if (!w->dropped) {
        w->sent++;
        nart_res r = nart_watch_send(&w->u.watch, &w->sent);
        EXPECT(r >= 0, "%s", nart_err_name(r));
    }
}

static const struct sort watch = { watch_open, watch_deed, NULL, watch_close };

static bool watch_begin(struct arm *a)
{
    struct thing *w = thing_of(&watch);
    return w && handle_take(a, w, pick(2) ? w->rx : w->more);
}

static nart_res watch_call(nart_cx *cx, struct arm *a)
{
    uint64_t v = 0;
    nart_res r = nart_watch_changed(cx, &a->handle->u.wrx, &v);

    if (r == 0) {
        EXPECT(v == a->thing->sent && v > a->handle->seen, "value %llu", (unsigned long long)v);
        a->handle->seen = v;
    }
    return r;
}

static bool watch_ready(const struct arm *a)
{
    return a->handle->closed ||
           (a->handle->users == 1 && (a->thing->dropped || a->handle->seen < a->thing->sent));
}

static void watch_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 ||
               (r == NART_ECLOSED && (a->handle->closed || a->thing->closed || a->thing->dropped)),
           "%s", nart_err_name(r));
}

static bool broadcast_open(struct thing *b)
{
    b->rx = handle_new();
    b->more = handle_new();
    nart_res r = nart_broadcast_open(rt, sizeof(uint64_t), 4, &b->u.broadcast, &b->rx->u.crx);
    if (r == 0)
        r = nart_broadcast_subscribe(&b->u.broadcast, &b->more->u.crx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static void broadcast_gone(struct handle **h)
{
    if (!*h)
        return;
    nart_broadcast_rx_close(&(*h)->u.crx);
    handle_retire(*h);
    *h = NULL;
}

static void broadcast_close(struct thing *b)
{
    nart_broadcast_tx_close(&b->u.broadcast);
    broadcast_gone(&b->rx);
    broadcast_gone(&b->more);
    b->closed = true;
}

static void broadcast_deed(struct thing *b, nart_cx *cx)
{
    uint32_t what = pick(16);

    (void)cx;
    if (what == 0) {
        nart_broadcast_tx_close(&b->u.broadcast);
        b->dropped = 1;
    } else if (what == 1) {
        broadcast_gone(&b->more);
    } else if (what == 2 && b->rx) {
        struct handle *h = handle_new(), *old = b->rx;
        nart_broadcast_rx_move(&h->u.crx, &old->u.crx);
        h->seen = old->seen;
        b->rx = h;
        handle_retire(old);
    } else if (!b->dropped) {
        nart_res r = nart_broadcast_send(&b->u.broadcast, &b->sent);
        EXPECT(r >= 0, "%s", nart_err_name(r));
        b->sent++;
    }
}

static const struct sort broadcast = { broadcast_open, broadcast_deed, NULL, broadcast_close };

static bool broadcast_begin(struct arm *a)
{
    struct thing *b = thing_of(&broadcast);
    return b && handle_take(a, b, pick(2) ? b->rx : b->more);
}

static nart_res broadcast_call(nart_cx *cx, struct arm *a)
{
    uint64_t v = 0, lost = 0;
    nart_res r = nart_broadcast_recv(cx, &a->handle->u.crx, &v, &lost);

    if (r == 0) {
        EXPECT(v == a->handle->seen, "value %llu", (unsigned long long)v);
        a->handle->seen++;
    } else if (r == NART_ELAGGED) {
        EXPECT(lost > 0 && a->handle->seen + lost + 4 == a->thing->sent, "%llu are lost",
               (unsigned long long)lost);
        a->handle->seen += lost;
    }
    return r;
}

static void broadcast_answered(struct arm *a, nart_res r)
{
    if (r != NART_ELAGGED)
        watch_answered(a, r);
}

/* ---- the table of kinds ---- */

const struct kind value_kinds[] = {
    { "send", 1, send_begin, send_call, send_answered, send_ready, NULL },
    { "recv", 1, recv_begin, recv_call, recv_answered, recv_ready, NULL },
    { "send", 1, send_begin, send_call, send_answered, send_ready, NULL },
    { "recv", 1, recv_begin, recv_call, recv_answered, recv_ready, NULL },
    { "send_many", 1, send_many_begin, send_many_call, send_many_answered, send_ready, NULL },
    { "recv_many", 1, recv_many_begin, recv_many_call, recv_many_answered, recv_ready, NULL },
    { "reserve", 1, send_begin, reserve_call, reserve_answered, reserve_ready, NULL },
    { "claim", 1, claim_begin, claim_call, claim_answered, claim_ready, NULL },
    { "message", 1, message_begin, message_call, message_answered, message_ready, NULL },
    { "oneshot", 1, oneshot_begin, oneshot_call, oneshot_answered, oneshot_ready, NULL },
    { "watch", 1, watch_begin, watch_call, watch_answered, watch_ready, NULL },
    { "broadcast", 1, broadcast_begin, broadcast_call, broadcast_answered, watch_ready, NULL },
};
_Static_assert(sizeof value_kinds / sizeof *value_kinds == VALUE_KINDS,
               "VALUE_KINDS in program.h is their number");
const struct sort *const value_sorts[VALUE_SORTS] = { &local, &local,   &spsc,  &mpsc,
                                                      &bytes, &oneshot, &watch, &broadcast };
