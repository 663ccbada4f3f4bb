/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/blocking.c: threads that sleep in a channel, SPSC or MPSC: values, closing, queue order, and
 * timeouts that race with a wake. Thread 0 receives; the others send or advance the clock.
 *
 * blocking.c and both channel kinds are the library's unmodified files.
 *
 * A value is the index of a payload that its sender wrote earlier: reading a value too early is a data race. */
#include "sleepers.h"

#include <sched.h>
#include <string.h>

/* loom does not see accesses in memcpy. So values are copied here, and the C files are included. */
static void copy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
}

#define memcpy copy
#define receiver_has_cause spsc_receiver_has_cause
#define rx_withdraw spsc_rx_withdraw
#define tx_withdraw spsc_tx_withdraw
#include "chan/spsc.c"
#undef receiver_has_cause
#undef rx_withdraw
#undef SHUT
#undef tx_withdraw
#include "chan/mpsc.c"
#undef memcpy

#define nart_waker_of watched
#define sched_yield nart__relax
#include "chan/blocking.c"
#undef nart_waker_of
#undef sched_yield

enum { RX, TX1, TX2, SIDES, EACH = 3 };

typedef struct side {
    nart_tx tx;
    unsigned sent;
} side;

/* The layout of nart__mpsc_stride(). */
typedef struct place {
    uint64_t value;
    nart__mpsc_turn turn;
} place;

typedef struct state {
    nart__chan chan;
    uint64_t value;  /* SPSC: the only slot */
    place places[2]; /* MPSC */
    side sides[SIDES];
    nart_rx rx;
    unsigned senders; /* sending threads */
    unsigned received[SIDES];
    MODEL_VAR(uint32_t) payload[SIDES * EACH];
    model_sleepers os;
} state;

static state *s;

/* ---- other functions that the channels call ---- */

static bool mpsc(void)
{
    return nart__ring_kind(&s->chan.ring) == NART_CHAN_MPSC;
}

/* Like touch() in sleepers.h, for the library's own tables. */
static void touch_ops(const thread_ops *volatile ops)
{
#ifndef MODEL_RELACY
    const thread_ops *unknown = ops; /* keeps the compiler from folding the read */
    MODEL_CHECK(unknown->send_waiting && unknown->try_recv && unknown->park);
#else
    (void)ops;
#endif
}

nart_res nart__try_send_slow(nart_tx *tx, const void *value, size_t elem)
{
    (void)elem;
    return mpsc() ? nart__mpsc_try_send(tx, value) : nart__spsc_try_send(tx, value);
}

nart_res nart__try_recv_slow(nart_rx *rx, void *value, size_t elem)
{
    (void)elem;
    return mpsc() ? nart__mpsc_try_recv(rx, value) : nart__spsc_try_recv(rx, value);
}

void nart__ring_taken(nart__ring *r)
{
    nart__rx_binding_owe(&nart__chan_of(r)->binding);
}

void nart__local_sent(nart__ring *r)
{
    (void)r;
    no_task();
}

void nart__local_taken(nart__ring *r)
{
    (void)r;
    no_task();
}

/* ---- setup and teardown ---- */

static uint64_t prepare(unsigned i)
{
    uint64_t value = i * EACH + s->sides[i].sent;

    MODEL_SET(s->payload[value], (uint32_t)value + 10);
    return value;
}

static void send_at_once(unsigned i)
{
    uint64_t value = prepare(i);

    MODEL_CHECK(nart_try_send(&s->sides[i].tx, &value) == 0);
    s->sides[i].sent++;
}

static void make(unsigned kind, unsigned senders, uint64_t capacity)
{
    nart__ring *r;

    s = MODEL_NEW(state);
    touch(s, sizeof *s);
    touch_ops(&spsc_ops);
    touch_ops(&mpsc_ops);
    sleepers_init(&s->os);
    r = &s->chan.ring;
    r->type = NART__RING_TYPE(kind, 0, sizeof(uint64_t));
    r->mask = capacity - 1;
    r->buf = (unsigned char *)&s->value;
    NART__STORE(&r->room, capacity, NART__RELAXED);
    if (kind == NART_CHAN_MPSC) {
        r->buf = (unsigned char *)s->places;
        r->stride = (uint32_t)nart__mpsc_stride(sizeof(uint64_t));
        nart__mpsc_init(&s->chan);
    }
    nart__rx_binding_init(&s->chan.binding, &r->rx_dirty, false, NULL,
                          kind == NART_CHAN_MPSC ? nart__mpsc_settle : nart__spsc_settle);
    s->rx.ring = r;
    s->rx.type = r->type;
    s->senders = senders;
    for (unsigned i = TX1; i <= senders; i++) {
        s->sides[i].tx.ring = r;
        s->sides[i].tx.type = r->type;
        if (i > TX1)
            nart__mpsc_tx_cloned(&s->chan);
    }
}

static void spsc_empty(void)
{
    make(NART_CHAN_SPSC, 1, 1);
}

static void spsc_full(void)
{
    spsc_empty();
    send_at_once(TX1);
}

static void mpsc_empty(void)
{
    make(NART_CHAN_MPSC, 1, 1);
}

static void mpsc_full(void)
{
    mpsc_empty();
    send_at_once(TX1);
}

static void two_empty(void)
{
    make(NART_CHAN_MPSC, 2, 2);
}

static void two_full(void)
{
    make(NART_CHAN_MPSC, 2, 1);
    send_at_once(TX1);
}

/* No wait is queued, and no slot is granted. */
static void after_closing(void)
{
    MODEL_CHECK(!s->chan.senders_waiting.first && s->chan.reserved == 0);
    if (mpsc())
        MODEL_CHECK(!(NART__LOAD(&s->chan.ring.sent, NART__RELAXED) & QUEUED));
    MODEL_DELETE(s);
}

/* Also, all values sent were received. */
static void after(void)
{
    for (unsigned i = TX1; i <= s->senders; i++)
        MODEL_CHECK(s->received[i] == s->sides[i].sent);
    after_closing();
}

/* ---- steps of the threads ---- */

static nart_res send_waiting(unsigned i, int64_t timeout_ns)
{
    uint64_t value = prepare(i);

    nart_res r = nart_send_blocking(&s->sides[i].tx, &value, timeout_ns);
    forget();
    if (r == 0)
        s->sides[i].sent++;
    return r;
}

/* Must be its sender's next value, complete. */
static void check(uint64_t value)
{
    unsigned i = (unsigned)value / EACH;

    MODEL_CHECK(i >= TX1 && i <= s->senders && value % EACH == s->received[i]);
    MODEL_CHECK(MODEL_GET(s->payload[value]) == value + 10);
    s->received[i]++;
}

static nart_res recv_waiting(int64_t timeout_ns)
{
    uint64_t value = 0;

    nart_res r = nart_recv_blocking(&s->rx, &value, timeout_ns);
    forget();
    if (r == 0)
        check(value);
    return r;
}

/* Never sleeps. */
static void recv_looking(unsigned count)
{
    uint64_t value = 0;

    for (; count > 0; count--) {
        while (nart_try_recv(&s->rx, &value) != 0)
            nart__relax();
        check(value);
    }
}

static void look_to_the_end(void)
{
    uint64_t value = 0;
    nart_res r;

    while ((r = nart_try_recv(&s->rx, &value)) != NART_ECLOSED) {
        if (r == 0)
            check(value);
        else
            nart__relax();
    }
}

static void close_sender(void)
{
    if (mpsc())
        (void)nart__mpsc_tx_closed(&s->chan);
    else
        (void)nart__spsc_tx_closed(&s->chan);
}

static void recv_to_the_end(void)
{
    nart_res r;

    while ((r = recv_waiting(NART_NEVER)) == 0)
        continue;
    MODEL_CHECK(r == NART_ECLOSED);
}

/* ---- a sender sleeps until a slot is free ---- */

static void sender_waits(unsigned i)
{
    if (i == RX)
        recv_looking(2);
    else
        MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
}

/* ---- a receiver sleeps until a value arrives or the channel closes ---- */

static void receiver_waits(unsigned i)
{
    if (i == RX) {
        recv_to_the_end();
        return;
    }
    send_at_once(i);
    close_sender();
}

static void only_the_end(unsigned i)
{
    if (i == RX)
        recv_to_the_end();
    else
        close_sender();
}

/* ---- both sleep ---- */

static void both_wait(unsigned i)
{
    if (i == RX) {
        recv_to_the_end();
        return;
    }
    MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
    close_sender();
}

/* ---- the receiver closes without receiving ---- */

static void receiver_closes(unsigned i)
{
    if (i != RX)
        MODEL_CHECK(send_waiting(i, NART_NEVER) == NART_ECLOSED);
    else if (mpsc())
        nart__mpsc_shut(&s->chan, true);
    else
        nart__spsc_shut(&s->chan, true);
}

/* ---- only the timeout ends a sleep ---- */

static void only_the_time(unsigned i)
{
    if (i == RX) {
        for (; !NART__LOAD(&os->over, NART__RELAXED); nart__relax())
            time_passes();
        return;
    }
    MODEL_CHECK(send_waiting(i, SOON) == -ETIMEDOUT);
    NART__STORE(&os->over, 1u, NART__RELAXED);
}

/* ---- timeout: the value was sent, or the caller keeps it and can resend it ---- */

static void send_twice(unsigned i)
{
    nart_res r = send_waiting(i, SOON);

    MODEL_CHECK(r == 0 || r == -ETIMEDOUT);
    if (r)
        MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
}

static void sender_is_late(unsigned i)
{
    if (i == RX)
        recv_looking(2);
    else if (i == TX1)
        send_twice(i);
    else
        time_passes();
}

static void receiver_is_late(unsigned i)
{
    if (i == RX) {
        nart_res r = recv_waiting(SOON);
        MODEL_CHECK(r == 0 || r == -ETIMEDOUT);
        recv_to_the_end();
    } else if (i == TX1) {
        send_at_once(i);
        close_sender();
    } else {
        time_passes();
    }
}

/* ---- queue order: a sender that times out, queued or with a slot granted, passes its turn on ---- */

static void turns(unsigned i)
{
    if (i == RX)
        recv_looking(3);
    else
        MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
}

static void turn_is_late(unsigned i)
{
    nart_res r = 0;

    if (i == RX) {
        look_to_the_end();
        return;
    }
    if (i == TX1)
        r = send_waiting(i, SOON);
    else
        time_passes();
    MODEL_CHECK(r == 0 || r == -ETIMEDOUT);
    if (i == TX2)
        MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
    close_sender();
}

const model_scenario model_scenarios[] = {
    { "spsc_sender_waits", 2, spsc_full, sender_waits, after, 3, 3 },
    { "spsc_receiver_waits", 2, spsc_empty, receiver_waits, after, 3, 3 },
    { "spsc_only_the_end", 2, spsc_empty, only_the_end, after, 3, 3 },
    { "spsc_both_wait", 2, spsc_full, both_wait, after, 2, 2 },
    { "spsc_receiver_closes", 2, spsc_full, receiver_closes, after_closing, 3, 3 },
    { "spsc_only_the_time", 2, spsc_full, only_the_time, after_closing, 3, 3 },
    { "spsc_sender_is_late", 3, spsc_full, sender_is_late, after, 2, 2 },
    { "spsc_receiver_is_late", 3, spsc_empty, receiver_is_late, after, 2, 2 },
    { "mpsc_sender_waits", 2, mpsc_full, sender_waits, after, 3, 2 },
    { "mpsc_receiver_waits", 2, mpsc_empty, receiver_waits, after, 3, 3 },
    { "mpsc_only_the_end", 2, mpsc_empty, only_the_end, after, 3, 3 },
    { "mpsc_both_wait", 2, mpsc_full, both_wait, after, 2, 2 },
    { "mpsc_receiver_closes", 2, mpsc_full, receiver_closes, after_closing, 3, 3 },
    { "mpsc_only_the_time", 2, mpsc_full, only_the_time, after_closing, 3, 3 },
    { "mpsc_sender_is_late", 3, mpsc_full, sender_is_late, after, 2, 2 },
    { "mpsc_receiver_is_late", 3, mpsc_empty, receiver_is_late, after, 2, 2 },
    { "mpsc_two_senders", 3, two_empty, receiver_waits, after, 1, 1 },
    { "mpsc_turns", 3, two_full, turns, after, 1, 1 },
    { "mpsc_turn_is_late", 3, two_full, turn_is_late, after, 1, 1 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
