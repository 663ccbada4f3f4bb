/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/bytes.c: a channel of bytes from one or two threads to another: claims, waits on both sides
 * and in the queue of senders, closing from all sides. Thread 0 receives, the others send.
 *
 * A message holds the index of a payload that its sender wrote earlier: reading a message too early, or
 * overwriting it before its release, is a data race. A lost wake-up leaves its side waiting: a deadlock. */
#include "chan/bytes_queue.c"
#include "chan/bytes_ring.c"
#include "sides.h"

enum { RX, TX, TX2, SIDES, PAYLOADS = 4 };

typedef struct state {
    nart__bytes chan;
    nart__bytes_word words[4];
    uint64_t data[8]; /* a message uses the first half of a unit */
    nart_bytes_tx tx[SIDES];
    nart_bytes_rx rx;
    MODEL_VAR(uint32_t) payload[PAYLOADS];
    MODEL_VAR(uint32_t) last_words[SIDES];
    MODEL_VAR(uint32_t) room_used[2]; /* a unit of the ring, for engines that do not track data */
    unsigned received, got[PAYLOADS], sent[SIDES], lasts[SIDES];
    model_sides run;
} state;

static state *s;

/* ---- setup and teardown ---- */

/* Memory that several threads only read must be touched, too. */
static void touch_ops(const struct nart__wait_ops *volatile ops)
{
#ifndef MODEL_RELACY
    const struct nart__wait_ops *unknown = ops; /* keeps the compiler from folding the read */
    (void)*(void (*const volatile *)(nart__wait *))(const void *)&unknown->withdraw;
#else
    (void)ops;
#endif
}

/* `units`: the capacity. */
static void make(unsigned senders, uint64_t units, bool spinning, bool loop)
{
    s = MODEL_NEW(state);
    run = &s->run;
    touch(s);
    touch_ops(&nart__bytes_tx_ops);
    nart__bytes_ring *r = &s->chan.ring;
    r->words = s->words;
    r->data = (unsigned char *)s->data;
    r->mask = units * NART__BYTES_UNIT - 1;
    NART__STORE(&r->room, units * NART__BYTES_UNIT, NART__RELAXED);
    r->max_len = sizeof(uint64_t);
    r->mpsc = senders > 1;
    r->spinning = spinning;
    NART__STORE(&s->chan.senders, (uint32_t)senders, NART__RELAXED);
    NART__STORE(&s->chan.refs, 2u, NART__RELAXED);
    nart__lock_init(&s->chan.lock);
    nart__rx_binding_init(&s->chan.binding, &r->rx_dirty, spinning, nart__bytes_look,
                          nart__bytes_settle);
    s->chan.binding.rt = loop ? &run->rt : NULL;
    run->rt.running = true;
    if (spinning) {
        r->rx_dirty = 1;
        s->chan.binding.tick_hook.next = &s->chan.binding.tick_hook;
    }
    for (unsigned i = TX; i < TX + senders; i++) {
        s->tx[i].ring = r;
        s->tx[i].wait.ops = &nart__bytes_tx_ops;
    }
    s->rx.ring = r;
    s->rx.wait.ops = &nart__bytes_rx_ops;
}

static void make_1(void)
{
    make(1, 1, false, true);
}

static void make_2(void)
{
    make(1, 2, false, true);
}

static void make_plain(void)
{
    make(1, 1, false, false);
}

static void make_spinning(void)
{
    make(1, 1, true, true);
}

static void make_many_1(void)
{
    make(2, 1, false, true);
}

static void make_many_2(void)
{
    make(2, 2, false, true);
}

static void unmake(void)
{
    MODEL_DELETE(s);
}

/* ---- steps of the threads ---- */

static void loop_looks(void)
{
    if (s->chan.binding.tick_hook.next)
        nart__bytes_look(&s->chan.binding.tick_hook);
}

static nart_res recv_poll(nart_bytes_msg *msg)
{
    nart_res r = nart_bytes_recv(poll_begin(RX), &s->rx, msg);
    loop_looks();
    return r;
}

static nart_res recv_await(nart_bytes_msg *msg)
{
    nart_res r;
    while ((r = recv_poll(msg)) == NART_PENDING)
        model_wait(RX);
    return r;
}

static nart_res recv_spin(nart_bytes_msg *msg)
{
    nart_res r;
    while ((r = recv_poll(msg)) == NART_PENDING) {
        for (run->ready = 0; !run->ready; loop_looks())
            nart__relax();
    }
    return r;
}

static nart_res recv_try(nart_bytes_msg *msg)
{
    nart_res r;
    while ((r = nart_bytes_try_recv(&s->rx, msg)) == -EAGAIN)
        nart__relax();
    return r;
}

static nart_res claim_poll(unsigned side, nart_bytes_buf *buf)
{
    return nart_bytes_claim(poll_begin(side), &s->tx[side], sizeof(uint64_t), buf);
}

static nart_res claim_await(unsigned side, nart_bytes_buf *buf)
{
    nart_res r;
    while ((r = claim_poll(side, buf)) == NART_PENDING)
        model_wait((int)side);
    return r;
}

/* This thread owns the unit now. */
static void touch_room(const void *ptr)
{
    size_t at = (size_t)((const char *)ptr - (const char *)s->data);
    size_t unit = at / NART__BYTES_UNIT;
    MODEL_CHECK(at % NART__BYTES_UNIT == 0);
    MODEL_SET(s->room_used[unit], (uint32_t)unit + 1);
}

static void write_and_commit(unsigned side, nart_bytes_buf *buf, uint64_t value)
{
    touch_room(buf->ptr);
    *(uint64_t *)buf->ptr = value;
    MODEL_SET(s->payload[value], (uint32_t)value + 10);
    MODEL_CHECK(nart_bytes_commit(&s->tx[side], buf) == 0);
}

static nart_res send_await(unsigned side, uint64_t value)
{
    nart_bytes_buf buf = { NULL, 0 };
    nart_res r = claim_await(side, &buf);
    if (r == 0)
        write_and_commit(side, &buf, value);
    return r;
}

/* The message must be complete and new. */
static void take_in(nart_bytes_msg *msg)
{
    uint64_t value = *(const uint64_t *)msg->ptr;

    MODEL_CHECK(msg->len == sizeof(uint64_t));
    MODEL_CHECK(value < PAYLOADS && s->got[value] == 0);
    MODEL_CHECK(MODEL_GET(s->payload[value]) == value + 10);
    if (!s->chan.ring.mpsc)
        MODEL_CHECK(value == s->received);
    s->got[value]++;
    s->received++;
    touch_room(msg->ptr);
    MODEL_CHECK(nart_bytes_release(&s->rx, msg) == 0);
}

static void closed(unsigned side)
{
    MODEL_SET(s->last_words[side], side + 1);
    if (side == RX)
        nart__bytes_rx_closed(&s->chan.ring);
    else if (!nart__bytes_tx_closed(&s->tx[side]))
        return;
    if (nart__bytes_last(&s->chan)) { /* frees the channel: no other thread may access it */
        s->lasts[side]++;
        for (unsigned i = 0; i <= NART__LOAD(&s->chan.senders, NART__RELAXED) + 1; i++)
            MODEL_CHECK(MODEL_GET(s->last_words[i]) == i + 1);
        for (unsigned i = 0; i < SIDES; i++)
            MODEL_SET(s->last_words[i], 0u);
    }
}

static void send_all(unsigned side, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        MODEL_CHECK(send_await(side, i) == 0);
    closed(side);
}

static void recv_all(nart_res (*recv)(nart_bytes_msg *))
{
    nart_bytes_msg msg;
    nart_res r;
    while ((r = recv(&msg)) == 0)
        take_in(&msg);
    MODEL_CHECK(r == NART_ECLOSED);
    closed(RX);
}

/* That many messages were received, and exactly one side freed the channel. */
static void after(unsigned count)
{
    MODEL_CHECK(s->received == count);
    MODEL_CHECK(s->lasts[RX] + s->lasts[TX] + s->lasts[TX2] == 1);
    MODEL_CHECK(!s->chan.waiting.first);
    unmake();
}

static void after_1(void)
{
    after(1);
}

static void after_2(void)
{
    after(2);
}

static void after_3(void)
{
    after(3);
}

static void after_any(void)
{
    after(s->received);
}

/* ---- a stream and its end; both sides wait for each other ---- */

static void stream_of_2(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(TX, 0, 2);
}

static void stream_of_3(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(TX, 0, 3);
}

static void spinning(unsigned i)
{
    if (i == RX)
        recv_all(recv_spin);
    else
        send_all(TX, 0, 2);
}

/* ---- the receiver closes: a waiting sender is woken, another finds out by its next call ---- */

static void receiver_closes(unsigned i)
{
    nart_bytes_msg msg;
    uint64_t next = 0;

    if (i == RX) {
        MODEL_CHECK(recv_await(&msg) == 0);
        take_in(&msg);
        closed(RX);
    } else {
        while (send_await(TX, next) == 0)
            next++;
        MODEL_CHECK(next >= 1 && next <= 2);
        closed(TX);
    }
}

/* ---- neither side waits: messages committed before the close are received before it ---- */

static void nobody_waits(unsigned i)
{
    nart_bytes_buf buf = { NULL, 0 };

    if (i == RX) {
        recv_all(recv_try);
        return;
    }
    for (uint64_t n = 0; n < 2; n++) {
        while (nart_bytes_try_claim(&s->tx[TX], sizeof(uint64_t), &buf) != 0)
            nart__relax();
        write_and_commit(TX, &buf, n);
    }
    closed(TX);
}

/* ---- once the sender is known to have closed, the length is what was sent ---- */

static void length_at_the_end(unsigned i)
{
    if (i == TX) {
        send_all(TX, 0, 2);
        return;
    }
    while (!nart__bytes_tx_gone(&s->chan.ring))
        nart__relax();
    MODEL_CHECK(nart__bytes_len(&s->chan.ring) == 2 * (size_t)NART__BYTES_UNIT);
    recv_all(recv_try);
}

/* Either of two senders may ask at any time; the length never exceeds what was committed. */
static void length_at_any_time(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
    } else if (i == TX) {
        send_all(TX, 0, 1);
    } else {
        MODEL_CHECK(nart__bytes_len(&s->chan.ring) <= NART__BYTES_UNIT);
        closed(TX2);
    }
}

/* ---- an abandoned wait, and the next one ---- */

static void receive_given_up(unsigned i)
{
    nart_bytes_msg msg;

    if (i == TX) {
        send_all(TX, 0, 2);
        return;
    }
    nart_res r = recv_poll(&msg);
    if (r == 0)
        take_in(&msg);
    else if (r == NART_PENDING)
        nart__withdraw(&s->rx.wait);
    recv_all(recv_await);
}

static void send_given_up(unsigned i)
{
    nart_bytes_buf buf = { NULL, 0 };

    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    MODEL_CHECK(send_await(TX, 0) == 0);
    nart_res r = claim_poll(TX, &buf);
    if (r == NART_PENDING) {
        nart__withdraw(&s->tx[TX].wait);
        r = claim_await(TX, &buf);
    }
    MODEL_CHECK(r == 0);
    write_and_commit(TX, &buf, 1);
    closed(TX);
}

/* ---- aborted claims, one of them aborted by the close ---- */

static void aborts(unsigned i)
{
    nart_bytes_buf buf = { NULL, 0 };

    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    MODEL_CHECK(claim_await(TX, &buf) == 0);
    touch_room(buf.ptr);
    *(uint64_t *)buf.ptr = 7;
    MODEL_CHECK(nart_bytes_abort(&s->tx[TX], &buf) == 0);
    MODEL_CHECK(send_await(TX, 0) == 0);
    MODEL_CHECK(claim_await(TX, &buf) == 0);
    closed(TX);
}

/* The freed space is granted to another sender. */
static void aborts_for_another(unsigned i)
{
    nart_bytes_buf buf = { NULL, 0 };

    if (i == RX) {
        recv_all(recv_await);
    } else if (i == TX2) {
        send_all(TX2, 0, 1);
    } else {
        MODEL_CHECK(claim_await(TX, &buf) == 0);
        touch_room(buf.ptr);
        *(uint64_t *)buf.ptr = 7;
        closed(TX);
    }
}

/* ---- two senders ---- */

static void from_two(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(i, i - 1, 1);
}

static void from_two_of_3(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(i, i == TX ? 0 : 2, i == TX ? 2 : 1);
}

/* No side waits. */
static void from_two_trying(unsigned i)
{
    nart_bytes_buf buf = { NULL, 0 };

    if (i == RX) {
        recv_all(recv_try);
        return;
    }
    while (nart_bytes_try_claim(&s->tx[i], sizeof(uint64_t), &buf) != 0)
        nart__relax();
    write_and_commit(i, &buf, i - 1);
    closed(i);
}

/* A small claim that fits does not overtake a waiting large one. One thread. */
static void make_for_large_ones(void)
{
    make(2, 4, false, true);
    s->chan.ring.max_len = 4 * NART__BYTES_UNIT;
}

static void overtaking(unsigned i)
{
    nart_bytes_tx *small = &s->tx[TX], *large = &s->tx[TX2];
    nart_bytes_buf buf = { NULL, 0 }, none = { NULL, 0 };

    (void)i;
    MODEL_CHECK(nart_bytes_try_claim(small, 1, &buf) == 0);
    MODEL_CHECK(nart_bytes_commit(small, &buf) == 0);
    MODEL_CHECK(nart_bytes_claim(poll_begin(TX2), large, large->ring->max_len, &none) ==
                NART_PENDING);
    MODEL_CHECK(nart_bytes_try_claim(small, 1, &none) == -EAGAIN);
    nart__withdraw(&large->wait);
    MODEL_CHECK(nart_bytes_try_claim(small, 1, &buf) == 0);
}

/* One sender abandons its wait and closes: its turn passes on. The ring was full. */
static void make_full(void)
{
    nart_bytes_buf buf = { NULL, 0 };

    make_many_1();
    nart_res r = nart_bytes_try_claim(&s->tx[TX], sizeof(uint64_t), &buf);
    MODEL_CHECK(r == 0);
    if (r == 0)
        write_and_commit(TX, &buf, 0);
}

static void turn_passes_on(unsigned i)
{
    nart_bytes_buf buf = { NULL, 0 };

    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    if (i == TX2) {
        send_all(TX2, 1, 1);
        return;
    }
    nart_res r = claim_poll(TX, &buf);
    if (r == NART_PENDING)
        nart__withdraw(&s->tx[TX].wait);
    closed(TX); /* with or without the claim */
}

/* Both senders may be waiting when the receiver closes. */
static void receiver_closes_on_two(unsigned i)
{
    if (i != RX)
        MODEL_CHECK(send_await(i, i) == NART_ECLOSED);
    closed(i);
}

/* ---- the receiver shuts while others claim: claimed messages are received, unless aborted ---- */

static void claim_until_refused(unsigned side, uint64_t value, unsigned count)
{
    nart_bytes_buf buf = { NULL, 0 };
    nart_res r;

    while (s->sent[side] < count) {
        r = nart_bytes_try_claim(&s->tx[side], sizeof(uint64_t), &buf);
        if (r == NART_ECLOSED)
            break;
        if (r == 0) {
            write_and_commit(side, &buf, value++);
            s->sent[side]++;
        } else {
            nart__relax();
        }
    }
    MODEL_CHECK(s->tx[side].size == 0);
}

static void shut_and_drain(nart_res (*recv)(nart_bytes_msg *))
{
    nart__bytes_shut(&s->chan.ring);
    recv_all(recv);
}

static void shut_meets_claims(unsigned i)
{
    if (i == RX) {
        shut_and_drain(recv_try);
        return;
    }
    claim_until_refused(i, i - 1, s->chan.ring.mpsc ? 1 : 2);
    closed(i);
}

static void shut_and_awaited(unsigned i)
{
    if (i == RX) {
        shut_and_drain(recv_await);
        return;
    }
    claim_until_refused(i, i - 1, 1);
    closed(i);
}

/* The senders stay open: only the claims determine the end. */
static void shut_is_the_end(unsigned i)
{
    nart_bytes_msg msg;

    if (i != RX) {
        claim_until_refused(i, i - 1, 1);
        return;
    }
    nart__bytes_shut(&s->chan.ring);
    nart_res r;
    while ((r = recv_await(&msg)) == 0)
        take_in(&msg);
    MODEL_CHECK(r == NART_ECLOSED);
}

/* One sender waits for space when the receiver shuts. */
static void shut_on_one_that_waits(unsigned i)
{
    if (i != RX) {
        nart_res r = send_await(i, i);
        MODEL_CHECK(r == 0 || r == NART_ECLOSED);
        s->sent[i] = r == 0;
        closed(i);
        return;
    }
    nart_bytes_msg msg;
    MODEL_CHECK(nart_bytes_try_recv(&s->rx, &msg) == 0);
    take_in(&msg);
    loop_looks();
    s->sent[RX] = 1; /* of the messages sent before */
    shut_and_drain(recv_await);
}

/* One sender is first in the queue, and its claim fits. */
static void make_first_in_the_queue(void)
{
    nart_bytes_buf buf = { NULL, 0 };
    nart_bytes_msg msg = { NULL, 0 };

    make_full();
    MODEL_CHECK(claim_poll(TX, &buf) == NART_PENDING);
    MODEL_CHECK(nart_bytes_try_recv(&s->rx, &msg) == 0);
    take_in(&msg);
    loop_looks();
    s->sent[RX] = 1;
}

static void shut_on_the_first(unsigned i)
{
    if (i == RX) {
        nart_bytes_msg msg;
        nart__bytes_shut(&s->chan.ring);
        while (recv_try(&msg) == 0)
            take_in(&msg);
        return;
    }
    nart_res r = send_await(TX, 1);
    MODEL_CHECK(r == 0 || r == NART_ECLOSED);
    s->sent[TX] = r == 0;
}

static void after_shut_open(void)
{
    MODEL_CHECK(s->received == s->sent[RX] + s->sent[TX] + s->sent[TX2]);
    unmake();
}

static void after_shut(void)
{
    MODEL_CHECK(s->received == s->sent[RX] + s->sent[TX] + s->sent[TX2]);
    after(s->received);
}

static void make_spinning_2(void)
{
    make(1, 2, true, true);
}

const model_scenario model_scenarios[] = {
    { "nobody_waits", 2, make_1, nobody_waits, after_2, 3, 2 },
    { "length_at_the_end", 2, make_2, length_at_the_end, after_2, 4, 4 },
    { "receiver_closes", 2, make_1, receiver_closes, after_1, 2, 2 },
    { "shut_meets_claims", 2, make_2, shut_meets_claims, after_shut, 3, 3 },
    { "shut_and_awaited", 2, make_2, shut_and_awaited, after_shut, 2, 3 },
    { "shut_is_the_end", 2, make_2, shut_is_the_end, after_shut_open, 2, 3 },
    { "shut_meets_claims_spinning", 2, make_spinning_2, shut_meets_claims, after_shut, 3, 3 },
    { "shut_on_the_first", 2, make_first_in_the_queue, shut_on_the_first, after_shut_open, 3, 3 },
    { "shut_meets_two", 3, make_many_2, shut_meets_claims, after_shut, 1, 2 },
    { "shut_is_the_end_of_two", 3, make_many_2, shut_is_the_end, after_shut_open, 1, 2 },
    { "shut_on_two_that_wait", 3, make_full, shut_on_one_that_waits, after_shut, 1, 1 },
    { "stream_narrow", 2, make_1, stream_of_2, after_2, 1, 2 },
    { "stream_narrow_of_3", 2, make_1, stream_of_3, after_3, 1, 2 },
    { "stream_wide", 2, make_2, stream_of_3, after_3, 1, 1 },
    { "plain_receiver", 2, make_plain, stream_of_2, after_2, 1, 2 },
    { "receive_given_up", 2, make_2, receive_given_up, after_2, 1, 2 },
    { "send_given_up", 2, make_1, send_given_up, after_2, 1, 2 },
    { "aborts", 2, make_1, aborts, after_1, 1, 2 },
    { "aborts_for_another", 3, make_many_1, aborts_for_another, after_1, 0, 1 },
    { "spinning", 2, make_spinning, spinning, after_2, 1, 2 },
    { "from_two_wide", 3, make_many_2, from_two, after_2, 1, 2 },
    { "from_two_narrow", 3, make_many_1, from_two, after_2, 1, 2 },
    { "from_two_narrow_of_3", 3, make_many_1, from_two_of_3, after_3, 0, 1 },
    { "from_two_trying", 3, make_many_1, from_two_trying, after_2, 1, 1 },
    { "length_at_any_time", 3, make_many_2, length_at_any_time, after_1, 1, 2 },
    { "overtaking", 1, make_for_large_ones, overtaking, unmake, 1, 1 },
    { "turn_passes_on", 3, make_full, turn_passes_on, after_2, 0, 1 },
    { "receiver_closes_on_two", 3, make_full, receiver_closes_on_two, after_any, 1, 1 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
