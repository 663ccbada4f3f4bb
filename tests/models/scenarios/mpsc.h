/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/mpsc.h: state and steps of the scenarios in mpsc.c.
 *
 * A value is the index of a payload that its sender wrote earlier: reading a value too early is a data race.
 * A lost wake-up, or a slot granted to no sender, leaves a side waiting: a deadlock. */
#ifndef MODEL_MPSC_H
#define MODEL_MPSC_H

#include "sides.h"

#define memcpy copy
#include "chan/mpsc.c"
#undef memcpy

#define KIND(does) nart__mpsc_##does
#include "values.h"

enum { RX, TX1, TX2, SIDES, EACH = 3, ELEM = sizeof(uint64_t) };

/* The layout of nart__mpsc_stride(). */
typedef struct slot {
    uint64_t value;
    nart__mpsc_turn turn;
} slot;

typedef struct side {
    MODEL_VAR(uint32_t) last_words;
    nart_tx tx;
    unsigned sent;
    bool last;
} side;

typedef struct state {
    nart__chan chan;
    slot slots[2];
    side sides[SIDES];
    nart_rx rx;
    unsigned senders; /* sending threads */
    unsigned received[SIDES], dropped[SIDES];
    MODEL_VAR(uint32_t) payload[SIDES * EACH];
    model_sides run;
} state;

static state *s;

int nart__spsc_notified(nart_tx *tx, uintptr_t found)
{
    (void)tx;
    (void)found;
    MODEL_FAIL("not an SPSC channel");
    return 0;
}

/* Must be its sender's next value, complete. */
static void check(uint64_t value)
{
    unsigned i = (unsigned)value / EACH;
    MODEL_CHECK(i >= TX1 && i <= s->senders && value % EACH == s->received[i] + s->dropped[i]);
    MODEL_CHECK(MODEL_GET(s->payload[value]) == value + 10);
}

static void drop(void *value)
{
    check(*(uint64_t *)value);
    s->dropped[*(uint64_t *)value / EACH]++;
}

/* ---- setup and teardown ---- */

static void make(unsigned senders, uint64_t capacity, uint32_t flags, bool loop)
{
    nart__chan *c;

    s = MODEL_NEW(state);
    run = &s->run;
    touch(s);
    c = &s->chan;
    c->ring.type = NART__RING_TYPE(NART_CHAN_MPSC, flags, ELEM);
    c->ring.mask = capacity - 1;
    c->ring.stride = (uint32_t)nart__mpsc_stride(ELEM);
    c->ring.buf = (unsigned char *)s->slots;
    NART__STORE(&c->ring.room, capacity, NART__RELAXED);
    NART__STORE(&c->refs, 2u, NART__RELAXED);
    c->drop_value = drop;
    nart__mpsc_init(c);
    nart__rx_binding_init(&c->binding, &c->ring.rx_dirty, flags != 0, nart__mpsc_look,
                          nart__mpsc_settle);
    c->binding.rt = loop ? &run->rt : NULL;
    run->rt.running = true;
    if (flags) {
        c->ring.rx_dirty = 1;
        c->binding.tick_hook.next = &c->binding.tick_hook;
    }
    s->rx.ring = &c->ring;
    s->rx.type = c->ring.type;
    s->rx.wait.ops = &nart__mpsc_rx_ops;
    s->senders = senders;
    for (unsigned i = TX1; i <= senders; i++) {
        nart_tx *tx = &s->sides[i].tx;
        tx->ring = &c->ring;
        tx->type = c->ring.type;
        tx->wait.ops = &nart__mpsc_tx_ops;
        if (i > TX1)
            nart__mpsc_tx_cloned(c);
    }
}

static void make_one_narrow(void)
{
    make(1, 1, 0, true);
}

static void make_one_wide(void)
{
    make(1, 2, 0, true);
}

static void make_plain(void)
{
    make(1, 1, 0, false);
}

static void make_spinning(void)
{
    make(1, 1, NART_CHAN_SPINNING, true);
}

static void make_narrow(void)
{
    make(2, 1, 0, true);
}

static void make_wide(void)
{
    make(2, 2, 0, true);
}

/* All values sent were received, or dropped by a close; no wait is queued, and no slot is granted. */
static void after(void)
{
    nart__chan *c = &s->chan;
    unsigned lasts = s->sides[RX].last;

    MODEL_CHECK(!c->senders_waiting.first && c->reserved == 0);
    MODEL_CHECK(!(NART__LOAD(&c->ring.sent, NART__RELAXED) & QUEUED));
    nart__mpsc_finish(c);
    for (unsigned i = TX1; i <= s->senders; i++) {
        lasts += s->sides[i].last;
        MODEL_CHECK(s->received[i] + s->dropped[i] == s->sides[i].sent);
    }
    MODEL_CHECK(nart__mpsc_len(&c->ring) == 0 && lasts == 1);
    MODEL_DELETE(s);
}

/* ---- steps of the threads ---- */

static void loop_looks(void)
{
    if (s->chan.binding.tick_hook.next)
        nart__mpsc_look(&s->chan.binding.tick_hook);
}

static nart_res recv_poll(uint64_t *value)
{
    nart_res r = nart_recv(poll_begin(RX), &s->rx, value);
    if (r != NART_PENDING && s->rx.wait.task)
        nart__withdraw(&s->rx.wait); /* like the sweep */
    loop_looks();
    return r;
}

static void recv_wait(void)
{
    if (run->rt.cx.flags & NART__CX_AGAIN)
        nart__relax();
    else
        model_wait(RX);
}

static nart_res recv_await(uint64_t *value)
{
    nart_res r;
    while ((r = recv_poll(value)) == NART_PENDING)
        recv_wait();
    return r;
}

static nart_res recv_spin(uint64_t *value)
{
    nart_res r;
    while ((r = recv_poll(value)) == NART_PENDING) {
        for (run->ready = 0; !run->ready; loop_looks())
            nart__relax();
    }
    return r;
}

static nart_res recv_try(uint64_t *value)
{
    nart_res r;
    while ((r = nart_try_recv(&s->rx, value)) == -EAGAIN)
        nart__relax();
    return r;
}

static nart_res recv_many(uint64_t *value)
{
    nart_res r;
    while ((r = nart__mpsc_try_recv_many(&s->rx, value, 1)) == -EAGAIN)
        nart__relax();
    return r == 1 ? 0 : r;
}

/* A sender's next value. */
static uint64_t prepare(unsigned i)
{
    uint64_t value = i * EACH + s->sides[i].sent;
    MODEL_SET(s->payload[value], (uint32_t)value + 10);
    return value;
}

static nart_res send_poll(unsigned i, uint64_t value)
{
    side *d = &s->sides[i];
    nart_res r = nart_send(poll_begin(i), &d->tx, &value);
    if (r != NART_PENDING && d->tx.wait.task)
        nart__withdraw(&d->tx.wait);
    if (r == 0)
        d->sent++;
    return r;
}

static nart_res send_await(unsigned i)
{
    uint64_t value = prepare(i);
    nart_res r;
    while ((r = send_poll(i, value)) == NART_PENDING)
        model_wait((int)i);
    return r;
}

static nart_res send_try(unsigned i)
{
    uint64_t value = prepare(i);
    nart_res r = nart_try_send(&s->sides[i].tx, &value);
    if (r == 0)
        s->sides[i].sent++;
    return r;
}

static void got(uint64_t value)
{
    check(value);
    s->received[value / EACH]++;
}

/* The last side frees the channel: no other thread may access it. */
static void release(unsigned i)
{
    if (!nart__chan_last(&s->chan))
        return;
    s->sides[i].last = true;
    for (unsigned k = RX; k <= s->senders; k++) {
        MODEL_CHECK(MODEL_GET(s->sides[k].last_words) == 1);
        MODEL_SET(s->sides[k].last_words, 0u);
    }
}

static void closed(unsigned i)
{
    if (i == RX) {
        nart__mpsc_shut(&s->chan, true);
        loop_looks();
        nart__mpsc_drop(&s->chan, s->rx.pos);
    }
    MODEL_SET(s->sides[i].last_words, 1u);
    if (i == RX || nart__mpsc_tx_closed(&s->chan))
        release(i);
}

static void send_all(unsigned i, unsigned count)
{
    while (s->sides[i].sent < count)
        MODEL_CHECK(send_await(i) == 0);
    closed(i);
}

static void recv_all(nart_res (*recv)(uint64_t *))
{
    uint64_t value = 0;
    nart_res r;
    while ((r = recv(&value)) == 0)
        got(value);
    MODEL_CHECK(r == NART_ECLOSED);
    /* A receiver that sees the senders closed also sees their earlier writes. */
    bool shut = NART__LOAD(&s->chan.ring.sent, NART__RELAXED) & SHUT;
    for (unsigned i = TX1; !shut && i <= s->senders; i++)
        MODEL_CHECK(MODEL_GET(s->sides[i].last_words) == 1);
    closed(RX);
}

#endif
