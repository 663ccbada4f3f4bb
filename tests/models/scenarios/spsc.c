/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/spsc.c: a channel between two threads: values, waits on both sides, closing from both
 * sides. Thread 0 receives, thread 1 sends.
 *
 * A value is the index of a payload that the sender wrote earlier: reading a value too early is a data race.
 * A lost wake-up leaves its side waiting: a deadlock. */
#include "sides.h"

#define memcpy copy
#include "chan/spsc.c"
#undef memcpy

#define KIND(does) nart__spsc_##does
#include "values.h"

enum { RX, TX, PAYLOADS = 4 };

NART_CHAN_TYPED(u64, uint64_t);

typedef struct state {
    nart__chan chan;
    uint64_t values[2]; /* the capacity of the largest channel here */
    nart_tx tx;
    nart_rx rx;
    MODEL_VAR(uint32_t) payload[PAYLOADS];
    MODEL_VAR(uint32_t) last_words[2];
    MODEL_VAR(uint32_t) dropped[PAYLOADS];
    unsigned received, sent, lasts[2];
    uint64_t numbers[3]; /* of the sender */
    model_sides run;
} state;

static state *s;

/* ---- setup and teardown ---- */

/* Either side may drop a value: complete, and only once. */
static void drop(void *p)
{
    uint64_t value = *(uint64_t *)p;
    MODEL_CHECK(MODEL_GET(s->payload[value]) == value + 10);
    MODEL_CHECK(MODEL_GET(s->dropped[value]) == 0);
    MODEL_SET(s->dropped[value], 1u);
}

static void make(uint64_t capacity, uint32_t flags, bool loop)
{
    s = MODEL_NEW(state);
    run = &s->run;
    touch(s);
    s->chan.ring.type = NART__RING_TYPE(NART_CHAN_SPSC, flags, sizeof(uint64_t));
    s->chan.ring.mask = capacity - 1;
    s->chan.ring.stride = sizeof(uint64_t);
    s->chan.drop_value = drop;
    for (unsigned v = 0; v < PAYLOADS; v++)
        MODEL_SET(s->dropped[v], 0u);
    NART__STORE(&s->chan.ring.room, capacity, NART__RELAXED);
    s->chan.ring.buf = (unsigned char *)s->values;
    NART__STORE(&s->chan.refs, 2u, NART__RELAXED);
    nart__rx_binding_init(&s->chan.binding, &s->chan.ring.rx_dirty, flags != 0, nart__spsc_look,
                          nart__spsc_settle);
    s->chan.binding.rt = loop ? &run->rt : NULL;
    run->rt.running = true;
    if (flags) {
        s->chan.ring.rx_dirty = 1;
        s->chan.binding.tick_hook.next = &s->chan.binding.tick_hook;
    }
    s->tx.ring = s->rx.ring = &s->chan.ring;
    s->tx.type = s->rx.type = s->chan.ring.type;
    s->tx.wait.ops = &nart__spsc_tx_ops;
    s->rx.wait.ops = &nart__spsc_rx_ops;
}

static void make_1(void)
{
    make(1, 0, true);
}

static void make_2(void)
{
    make(2, 0, true);
}

static void make_plain(void)
{
    make(1, 0, false);
}

static void make_spinning(void)
{
    make(1, NART_CHAN_SPINNING, true);
}

static void unmake(void)
{
    MODEL_DELETE(s);
}

/* ---- steps of the threads ---- */

static void loop_looks(void)
{
    if (s->chan.binding.tick_hook.next)
        nart__spsc_look(&s->chan.binding.tick_hook);
}

static nart_res recv_poll(uint64_t *value)
{
    nart_res r = u64_recv(poll_begin(RX), &s->rx, value);
    if (r != NART_PENDING && s->rx.wait.task)
        nart__withdraw(&s->rx.wait); /* like the sweep */
    loop_looks();
    return r;
}

static nart_res recv_try(uint64_t *value)
{
    nart_res r;
    while ((r = u64_try_recv(&s->rx, value)) == -EAGAIN)
        nart__relax();
    return r;
}

static nart_res recv_await(uint64_t *value)
{
    nart_res r;
    while ((r = recv_poll(value)) == NART_PENDING)
        model_wait(RX);
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

static nart_res send_poll(uint64_t value)
{
    nart_res r = u64_send(poll_begin(TX), &s->tx, value);
    if (r != NART_PENDING && s->tx.wait.task)
        nart__withdraw(&s->tx.wait);
    return r;
}

static nart_res send_await(uint64_t value)
{
    nart_res r;
    MODEL_SET(s->payload[value], (uint32_t)value + 10);
    while ((r = send_poll(value)) == NART_PENDING)
        model_wait(TX);
    return r;
}

/* The value must be the next one, complete. */
static void check(uint64_t value)
{
    MODEL_CHECK(value == s->received);
    MODEL_CHECK(MODEL_GET(s->payload[value]) == value + 10);
    s->received++;
}

static void closed(unsigned side)
{
    if (side == RX) { /* like nart_rx_close() */
        bool drained = nart__rx_drained(&s->rx);
        nart__spsc_shut(&s->chan, true);
        if (!drained)
            nart__spsc_drop(&s->chan, s->rx.pos);
    } else {
        (void)nart__spsc_tx_closed(&s->chan);
    }
    MODEL_SET(s->last_words[side], side + 1);
    if (nart__chan_last(&s->chan)) { /* frees the channel: no other thread may access it */
        s->lasts[side]++;
        MODEL_CHECK(MODEL_GET(s->last_words[0]) == 1 && MODEL_GET(s->last_words[1]) == 2);
        MODEL_SET(s->last_words[1 - side], 0u);
    }
}

static void send_all(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        MODEL_CHECK(send_await(i) == 0);
    closed(TX);
}

static void recv_all(nart_res (*recv)(uint64_t *))
{
    uint64_t value = 0;
    nart_res r;
    while ((r = recv(&value)) == 0)
        check(value);
    MODEL_CHECK(r == NART_ECLOSED);
    closed(RX);
}

/* Every value was received, and exactly one side freed the channel. */
static void after_2(void)
{
    MODEL_CHECK(s->received == 2);
    MODEL_CHECK(s->lasts[RX] + s->lasts[TX] == 1);
    unmake();
}

static void after_3(void)
{
    MODEL_CHECK(s->received == 3);
    MODEL_CHECK(s->lasts[RX] + s->lasts[TX] == 1);
    unmake();
}

/* ---- a stream and its end; both sides wait for each other ---- */

static void stream_of_2(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(2);
}

static void stream_of_3(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(3);
}

static void spinning(unsigned i)
{
    if (i == RX)
        recv_all(recv_spin);
    else
        send_all(2);
}

/* ---- a receiver spins outside of its loop, or its loop has ended: a waiting sender is woken ---- */

static void make_spinning_left(void)
{
    make(1, NART_CHAN_SPINNING, true);
    s->chan.ring.rx_dirty = 0;
    run->rt.running = false;
}

static void spinning_outside(unsigned i)
{
    if (i == RX)
        recv_all(recv_try);
    else
        send_all(2);
}

/* The first value is available; after taking it the receiver stops polling. */
static void make_spinning_full(void)
{
    make(1, NART_CHAN_SPINNING, true);
    MODEL_SET(s->payload[0], 10u);
    MODEL_CHECK(u64_try_send(&s->tx, 0) == 0);
}

static void spinning_left(unsigned i)
{
    uint64_t value = 0;

    if (i == TX) {
        MODEL_CHECK(send_await(1) == 0);
        return;
    }
    MODEL_CHECK(u64_try_recv(&s->rx, &value) == 0);
    check(value);
    run->rt.running = false;
    loop_looks();
}

/* ---- the receiver closes: a waiting sender is woken, another finds out by its next call ---- */

static void receiver_closes(unsigned i)
{
    uint64_t value = 0, next = 0;

    if (i == RX) {
        MODEL_CHECK(recv_await(&value) == 0);
        check(value);
        closed(RX);
    } else {
        while (send_await(next) == 0)
            next++;
        MODEL_CHECK(next >= 1 && next <= 2);
        closed(TX);
    }
}

static void after_closing(void)
{
    MODEL_CHECK(s->received == 1);
    MODEL_CHECK(s->lasts[RX] + s->lasts[TX] == 1);
    unmake();
}

/* ---- neither side waits: values sent before the close are received before it ---- */

static void nobody_waits(unsigned i)
{
    if (i == RX) {
        recv_all(recv_try);
        return;
    }
    for (uint64_t n = 0; n < 2; n++) {
        MODEL_SET(s->payload[n], (uint32_t)n + 10);
        while (u64_try_send(&s->tx, n) != 0)
            nart__relax();
    }
    closed(TX);
}

/* ---- once the sender is known to have closed, the length is what was sent ---- */

static void length_at_the_end(unsigned i)
{
    if (i == TX) {
        send_all(2);
        return;
    }
    while (!nart__spsc_tx_gone(&s->chan.ring))
        nart__relax();
    MODEL_CHECK(nart__spsc_len(&s->chan.ring) == 2);
    recv_all(recv_try);
}

/* ---- an abandoned wait, and the next one ---- */

static void receive_given_up(unsigned i)
{
    uint64_t value = 0;

    if (i == TX) {
        send_all(2);
        return;
    }
    nart_res r = recv_poll(&value);
    if (r == 0)
        check(value);
    else if (r == NART_PENDING)
        nart__withdraw(&s->rx.wait);
    recv_all(recv_await);
}

static void send_given_up(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    MODEL_CHECK(send_await(0) == 0);
    MODEL_SET(s->payload[1], 11u);
    nart_res r = send_poll(1);
    if (r == NART_PENDING) {
        nart__withdraw(&s->tx.wait);
        while ((r = send_poll(1)) == NART_PENDING)
            model_wait(TX);
    }
    MODEL_CHECK(r == 0);
    closed(TX);
}

/* ---- several values per call ---- */

static void send_batches(void)
{
    for (uint64_t v = 0; v < 3; v++) {
        MODEL_SET(s->payload[v], (uint32_t)v + 10);
        s->numbers[v] = v;
    }
    for (uint64_t sent = 0; sent < 3;) {
        nart_res r = nart__spsc_try_send_many(&s->tx, s->numbers + sent, 3 - sent);
        if (r > 0)
            sent += (uint64_t)r;
        else
            nart__relax();
    }
    closed(TX);
}

static void recv_batches(void)
{
    uint64_t values[2] = { 0, 0 };
    nart_res r;

    while ((r = nart__spsc_try_recv_many(&s->rx, values, 2)) != NART_ECLOSED) {
        for (nart_res i = 0; i < r; i++)
            check(values[i]);
        loop_looks();
        if (r == -EAGAIN)
            nart__relax();
    }
    closed(RX);
}

static void batches(unsigned i)
{
    if (i == RX)
        recv_batches();
    else
        send_batches();
}

static void batches_awaited(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_batches();
}

/* ---- the receiver shuts, or closes, while the other side sends: values are received, or dropped ---- */

/* A refused value remains its sender's, which may write to it. */
static void send_until_refused(bool many)
{
    nart_res r = 0;

    for (uint64_t v = 0; v < 2; v++) {
        MODEL_SET(s->payload[v], (uint32_t)v + 10);
        s->numbers[v] = v;
    }
    while (s->sent < 2 && r >= 0) {
        if (many)
            r = nart__spsc_try_send_many(&s->tx, s->numbers + s->sent, 2 - s->sent);
        else
            r = u64_try_send(&s->tx, s->sent);
        if (r >= 0)
            s->sent += many ? (unsigned)r : 1;
    }
    MODEL_CHECK(r >= 0 || r == NART_ECLOSED);
    for (unsigned v = s->sent; v < 2; v++)
        MODEL_SET(s->payload[v], 0u);
    closed(TX);
}

static void shut_and_drain(nart_res (*recv)(uint64_t *))
{
    nart__spsc_shut(&s->chan, false);
    recv_all(recv);
}

static void shut_meets_sends(unsigned i)
{
    if (i == RX)
        shut_and_drain(recv_try);
    else
        send_until_refused(false);
}

static nart_res recv_many(uint64_t *value)
{
    nart_res r;
    while ((r = nart__spsc_try_recv_many(&s->rx, value, 1)) == -EAGAIN)
        nart__relax();
    return r == 1 ? 0 : r;
}

static void shut_meets_batches(unsigned i)
{
    if (i == RX)
        shut_and_drain(recv_many);
    else
        send_until_refused(true);
}

static void close_meets_sends(unsigned i)
{
    if (i == RX)
        closed(RX);
    else
        send_until_refused(false);
}

static void close_meets_batches(unsigned i)
{
    if (i == RX)
        closed(RX);
    else
        send_until_refused(true);
}

/* It shuts, polls once, and closes. */
static void shut_then_close(unsigned i)
{
    uint64_t value = 0;

    if (i != RX) {
        send_until_refused(false);
        return;
    }
    nart__spsc_shut(&s->chan, false);
    if (recv_try(&value) == 0)
        check(value);
    closed(RX);
}

/* Meanwhile a sender waits for a slot. */
static void shut_on_one_that_waits(unsigned i)
{
    if (i == RX) {
        shut_and_drain(recv_await);
        return;
    }
    while (s->sent < 2 && send_await(s->sent) == 0)
        s->sent++;
    closed(TX);
}

static unsigned dropped(void)
{
    unsigned n = 0;
    for (unsigned v = 0; v < PAYLOADS; v++)
        n += MODEL_GET(s->dropped[v]);
    return n;
}

/* A receiver that has drained the channel loses no value. */
static void after_shut(void)
{
    MODEL_CHECK(s->received == s->sent && dropped() == 0);
    MODEL_CHECK(nart__spsc_len(&s->chan.ring) == 0);
    MODEL_CHECK(s->lasts[RX] + s->lasts[TX] == 1);
    unmake();
}

static void after_close(void)
{
    MODEL_CHECK(s->received + dropped() == s->sent);
    MODEL_CHECK(nart__spsc_len(&s->chan.ring) == 0);
    MODEL_CHECK(s->lasts[RX] + s->lasts[TX] == 1);
    unmake();
}

static void make_spinning_2(void)
{
    make(2, NART_CHAN_SPINNING, true);
}

const model_scenario model_scenarios[] = {
    { "nobody_waits", 2, make_1, nobody_waits, after_2, 4, 3 },
    { "length_at_the_end", 2, make_2, length_at_the_end, after_2, 4, 4 },
    { "batches", 2, make_2, batches, after_3, 2, 3 },
    { "batches_awaited", 2, make_2, batches_awaited, after_3, 1, 2 },
    { "shut_meets_sends", 2, make_2, shut_meets_sends, after_shut, 3, 3 },
    { "shut_meets_batches", 2, make_2, shut_meets_batches, after_shut, 3, 3 },
    { "close_meets_sends", 2, make_2, close_meets_sends, after_close, 3, 3 },
    { "close_meets_batches", 2, make_2, close_meets_batches, after_close, 3, 3 },
    { "shut_then_close", 2, make_2, shut_then_close, after_close, 2, 3 },
    { "spinning_shut_meets_sends", 2, make_spinning_2, shut_meets_sends, after_shut, 3, 3 },
    { "spinning_shut_meets_batches", 2, make_spinning_2, shut_meets_batches, after_shut, 3, 3 },
    { "spinning_close_meets_sends", 2, make_spinning_2, close_meets_sends, after_close, 3, 3 },
    { "spinning_close_meets_batches", 2, make_spinning_2, close_meets_batches, after_close, 3, 3 },
    { "shut_on_one_that_waits", 2, make_1, shut_on_one_that_waits, after_shut, 2, 2 },
    { "stream_narrow_of_3", 2, make_1, stream_of_3, after_3, 1, 2 },
    { "receiver_closes", 2, make_1, receiver_closes, after_closing, 2, 3 },
    { "spinning", 2, make_spinning, spinning, after_2, 2, 2 },
    { "spinning_outside", 2, make_spinning_left, spinning_outside, after_2, 2, 2 },
    { "spinning_left", 2, make_spinning_full, spinning_left, unmake, 3, 3 },
    { "stream_wide", 2, make_2, stream_of_3, after_3, 1, 2 },
    { "stream_narrow", 2, make_1, stream_of_2, after_2, 2, 3 },
    { "plain_receiver", 2, make_plain, stream_of_2, after_2, 2, 2 },
    { "receive_given_up", 2, make_2, receive_given_up, after_2, 2, 3 },
    { "send_given_up", 2, make_1, send_given_up, after_2, 2, 2 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
