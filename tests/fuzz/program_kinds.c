/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The operations of random programs, each kind with the model of what it must answer. */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sleeps ---- */

static bool sleep_begin(struct arm *a)
{
    a->ns = pick_time();
    a->at = virtual_now + a->ns;
    return true;
}

/* A relative one counts from the first call of all, an absolute one not at all. */
static int64_t relative_due(const struct arm *a)
{
    return a->from + a->ns;
}

static nart_res sleep_call(nart_cx *cx, struct arm *a)
{
    return nart_sleep(cx, &a->u.timer, a->ns);
}

static void sleep_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0, "%s", nart_err_name(r));
    EXPECT(relative_due(a) <= virtual_now, "%lld us early",
           (long long)(relative_due(a) - virtual_now) / 1000);
}

static bool sleep_ready(const struct arm *a)
{
    return a->called && relative_due(a) <= virtual_now;
}

static nart_res until_call(nart_cx *cx, struct arm *a)
{
    return nart_sleep_until(cx, &a->u.timer, a->at);
}

static void until_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 && a->at <= virtual_now, "%s", nart_err_name(r));
}

static bool until_ready(const struct arm *a)
{
    return a->at <= virtual_now;
}

/* The time of the first call of all races is kept in `at`. */
static bool resume_begin(struct arm *a)
{
    a->ns = pick_time();
    return true;
}

static nart_res resume_call(nart_cx *cx, struct arm *a)
{
    if (!a->turn)
        a->at = virtual_now + a->ns;
    a->turn = 1;
    return nart_sleep_resume(cx, &a->u.timer, a->ns);
}

static void resume_answered(struct arm *a, nart_res r)
{
    until_answered(a, r);
    a->turn = 0;
}

static bool resume_ready(const struct arm *a)
{
    return a->turn && a->at <= virtual_now;
}

/* ---- what never waits ---- */

static bool always_begin(struct arm *a)
{
    (void)a;
    return true;
}

static nart_res yes_call(nart_cx *cx, struct arm *a)
{
    return nart_sleep(cx, &a->u.timer, 0);
}

static void yes_answered(struct arm *a, nart_res r)
{
    (void)a;
    EXPECT(r == 0, "%s", nart_err_name(r));
}

/* ---- what operations work on ---- */

struct thing;

/* A sort of them: opened on demand, used by operations and by deeds, closed at the end or before. */
struct sort {
    void (*open)(struct thing *t);
    void (*deed)(struct thing *t, nart_cx *cx);
    void (*rest)(struct thing *t); /* at rest: NULL: nothing to look at */
    void (*close)(struct thing *t);
};

struct value {
    struct thing *chan;
    uint64_t number;
};

struct thing {
    const struct sort *sort;
    bool closed;
    struct handle *tx[2], *rx; /* NULL: closed */
    uint64_t sent, received, dropped;
    nart_semaphore semaphore;
    nart_notify notify;
    nart_wait_group group;
    nart_token token[3];
    uint32_t total, held; /* permits; notifications, and answers to them */
};

enum { THINGS = 24, EACH = 2 };
static struct thing things[THINGS];
static uint32_t thing_count;
static bool over; /* no more of them */

/* One of these, at times a new one; NULL: there is none, and no room. */
static struct thing *thing_of(const struct sort *sort)
{
    struct thing *found[THINGS];
    uint32_t n = 0;

    for (uint32_t i = 0; i < thing_count; i++)
        if (things[i].sort == sort && !things[i].closed)
            found[n++] = &things[i];
    if (n >= EACH || thing_count == THINGS || over)
        return n ? found[pick(n)] : NULL;
    struct thing *t = &things[thing_count++];
    *t = (struct thing){ .sort = sort };
    sort->open(t);
    return t;
}

/* ---- channels ---- */

/* With the receiver what is in the channel goes; else with the last end. */
enum { DROPPED_AT_CLOSE = 0 };

static void value_drop(void *p)
{
    struct value *v = p;
    struct thing *c = v->chan;

    EXPECT(v->number == c->received + c->dropped, "value %llu is dropped",
           (unsigned long long)v->number);
    c->dropped++;
}

static void chan_open(struct thing *c, uint32_t kind)
{
    nart_chan_opts o = { .size = sizeof o,
                         .kind = kind,
                         .elem = sizeof(struct value),
                         .capacity = (size_t)1 << pick(4),
                         .drop_value = value_drop };

    c->tx[0] = handle_new();
    c->rx = handle_new();
    nart_res r = nart_chan_open(rt, &o, &c->tx[0]->u.tx, &c->rx->u.rx);
    EXPECT(r == 0, "%s", nart_err_name(r));
    if (kind == NART_CHAN_SPSC)
        return;
    c->tx[1] = handle_new();
    r = nart_tx_clone(&c->tx[0]->u.tx, &c->tx[1]->u.tx);
    EXPECT(r == 0, "%s", nart_err_name(r));
}

static void local_open(struct thing *c)
{
    chan_open(c, NART_CHAN_LOCAL);
}

static void spsc_open(struct thing *c)
{
    chan_open(c, NART_CHAN_SPSC);
}

static void mpsc_open(struct thing *c)
{
    chan_open(c, NART_CHAN_MPSC);
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
    EXPECT(!DROPPED_AT_CLOSE || c->sent == c->received + c->dropped, "values are left");
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

/* An end moves under who waits in it: who does finds the old one closed. */
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

static void chan_deed(struct thing *c, nart_cx *cx)
{
    struct value v = { c, c->sent };
    uint32_t what = pick(16), i = what & 1;

    (void)cx;
    if (what < 6 && c->tx[i])
        c->sent += nart_try_send(&c->tx[i]->u.tx, &v) == 0;
    else if (what < 12 && c->rx && nart_try_recv(&c->rx->u.rx, &v) == 0)
        value_received(c, &v);
    else if (what == 12 && c->tx[0])
        tx_move(c, 0);
    else if (what == 13 && c->rx)
        rx_move(c);
    else if (what == 14 && pick(4) == 0)
        tx_close(c, (int)pick(2));
    else if (what == 15 && pick(4) == 0)
        rx_close(c);
}

static const struct sort local = { local_open, chan_deed, NULL, chan_close },
                         spsc = { spsc_open, chan_deed, NULL, chan_close },
                         mpsc = { mpsc_open, chan_deed, NULL, chan_close };

static bool tx_begin(struct arm *a, const struct sort *sort)
{
    a->thing = thing_of(sort);
    if (!a->thing)
        return false;
    struct handle *h = a->thing->tx[a->thing->tx[1] ? pick(2) : 0];
    if (h)
        handle_take(a, h);
    return h != NULL;
}

static bool rx_begin(struct arm *a, const struct sort *sort)
{
    a->thing = thing_of(sort);
    if (!a->thing || !a->thing->rx)
        return false;
    handle_take(a, a->thing->rx);
    return true;
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

    a->thing->sent += r == 0; /* before anybody else can be given the next one */
    return r;
}

static void send_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r == NART_ECLOSED && (a->handle->closed || !a->thing->rx)), "%s",
           nart_err_name(r));
}

/* Others may be in front of it; who is alone need not wait. */
static bool send_ready(const struct arm *a)
{
    const struct thing *c = a->thing;

    return a->handle->closed || !c->rx ||
           ((c->tx[0] ? c->tx[0]->users : 0) + (c->tx[1] ? c->tx[1]->users : 0) == 1 &&
            nart_tx_len(&a->handle->u.tx) < nart_tx_capacity(&a->handle->u.tx));
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
    return !c->tx[0] && !c->tx[1] && c->sent == c->received + c->dropped;
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

/* ---- semaphores ---- */

static void sem_open(struct thing *s)
{
    s->total = 1 + pick(3);
    nart_semaphore_init(&s->semaphore, s->total);
}

static void sem_rest(struct thing *s)
{
    EXPECT(s->semaphore.permits + s->semaphore.reserved + s->held == s->total, "permits are lost");
}

static void sem_release(struct thing *s)
{
    if (s->held == 0)
        return;
    s->held--;
    nart_res r = nart_semaphore_release(&s->semaphore, 1);
    EXPECT(r == 0, "%s", nart_err_name(r));
}

static void sem_deed(struct thing *s, nart_cx *cx)
{
    (void)cx;
    if (pick(8))
        sem_release(s);
    else if (nart_semaphore_try_acquire(&s->semaphore, 1) == 0)
        s->held++;
}

static void sem_close(struct thing *s)
{
    sem_rest(s);
    nart_semaphore_close(&s->semaphore);
    s->closed = true;
}

static const struct sort semaphore = { sem_open, sem_deed, sem_rest, sem_close };

static bool acquire_begin(struct arm *a)
{
    a->thing = thing_of(&semaphore);
    a->n = 1 + (a->thing && a->thing->total > 1 ? pick(2) : 0);
    return a->thing;
}

static nart_res acquire_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_semaphore_acquire(cx, &a->thing->semaphore, &a->u.waiter, a->n);

    a->thing->held += r == 0 ? a->n : 0;
    return r;
}

/* Given back in part at once, in part by a deed. */
static void acquire_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0, "%s", nart_err_name(r));
    for (uint32_t n = 0; n < a->n; n++)
        if (a->thing->held > 1 || a->body == NULL || pick(2) == 0)
            sem_release(a->thing);
}

/* ---- floods: what never waits ---- */

static bool own_begin(struct arm *a)
{
    a->thing = calloc(1, sizeof *a->thing);
    nart_semaphore_init(&a->thing->semaphore, 1);
    return true;
}

static nart_res own_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_semaphore_acquire(cx, &a->thing->semaphore, &a->u.waiter, 1);
    if (r == 0)
        nart_semaphore_release(&a->thing->semaphore, 1);
    return r;
}

static void own_end(struct arm *a)
{
    free(a->thing);
}

static bool pipe_begin(struct arm *a)
{
    a->thing = calloc(1, sizeof *a->thing);
    chan_open(a->thing, NART_CHAN_LOCAL + pick(3));
    return true;
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

/* ---- tokens ---- */

static void token_open(struct thing *t)
{
    nart_res r = nart_token_new(rt, &t->token[0]);
    EXPECT(r == 0, "%s", nart_err_name(r));
    for (int i = 1; i < 3; i++) {
        r = nart_token_child(&t->token[i - 1], &t->token[i]);
        EXPECT(r == 0, "%s", nart_err_name(r));
    }
}

static void token_deed(struct thing *t, nart_cx *cx)
{
    (void)cx;
    if (pick(2))
        nart_token_cancel(&t->token[pick(3)]);
}

static void token_close(struct thing *t)
{
    for (int i = 0; i < 3; i++)
        nart_token_release(&t->token[i]);
    t->closed = true;
}

static const struct sort token = { token_open, token_deed, NULL, token_close };

static bool token_begin(struct arm *a)
{
    a->thing = thing_of(&token);
    a->n = pick(3);
    return a->thing;
}

static nart_res token_call(nart_cx *cx, struct arm *a)
{
    return nart_token_await(cx, &a->thing->token[a->n], &a->u.waiter);
}

static bool token_ready(const struct arm *a)
{
    return nart_token_is_cancelled(&a->thing->token[a->n]);
}

static void token_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 && token_ready(a), "%s", nart_err_name(r));
}

/* ---- all of them ---- */

static const struct kind kinds[] = {
    { "sleep", 0, sleep_begin, sleep_call, sleep_answered, sleep_ready, NULL },
    { "sleep_until", 0, sleep_begin, until_call, until_answered, until_ready, NULL },
    { "sleep_resume", 0, resume_begin, resume_call, resume_answered, resume_ready, NULL },
    { "send", 1, send_begin, send_call, send_answered, send_ready, NULL },
    { "recv", 1, recv_begin, recv_call, recv_answered, recv_ready, NULL },
    { "acquire", 1, acquire_begin, acquire_call, acquire_answered, NULL, NULL },
    { "token", 1, token_begin, token_call, token_answered, token_ready, NULL },
};
static const struct kind floods[] = {
    { "sleep 0", 0, always_begin, yes_call, yes_answered, NULL, NULL },
    { "own semaphore", 0, own_begin, own_call, yes_answered, NULL, own_end },
    { "own channel", 0, pipe_begin, pipe_call, yes_answered, NULL, pipe_end },
};
static const struct sort *const sorts[] = { &local, &spsc, &mpsc, &semaphore, &token };

#define COUNT(a) (sizeof(a) / sizeof *(a))

const struct kind *pick_kind(void)
{
    return &kinds[pick(COUNT(kinds))];
}

const struct kind *pick_flood(void)
{
    return &floods[pick(COUNT(floods))];
}

void things_begin(void)
{
    thing_count = 0;
    over = false;
}

void things_deed(nart_cx *cx)
{
    struct thing *t = thing_of(sorts[pick(COUNT(sorts))]);
    if (t)
        t->sort->deed(t, cx);
}

void things_rest(void)
{
    for (uint32_t i = 0; i < thing_count; i++)
        if (things[i].sort->rest && !things[i].closed)
            things[i].sort->rest(&things[i]);
}

void things_end(bool runtime_gone)
{
    (void)runtime_gone;
    over = true;
    for (uint32_t i = 0; i < thing_count; i++)
        if (!things[i].closed)
            things[i].sort->close(&things[i]);
}
