/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/bytes_blocking.c: threads that sleep in a channel of bytes with one or several senders: messages,
 * aborted claims, closing, queue order, and timeouts that race with a wake. Thread 0 receives; the others send
 * or advance the clock.
 *
 * A message holds the index of a payload that its sender wrote earlier: reading a message too early, or
 * overwriting it before its release, is a data race. */
#include "sleepers.h"

#include "chan/bytes_queue.c"
#include "chan/bytes_ring.c"
#define nart_waker_of watched
#include "chan/bytes_blocking.c"
#undef nart_waker_of

enum { RX, TX1, TX2, SIDES, EACH = 3 };

typedef struct side {
    nart_bytes_tx tx;
    unsigned sent;
} side;

typedef struct state {
    nart__bytes chan;
    nart__bytes_word words[4];
    uint64_t data[8]; /* a message uses the first half of a unit */
    side sides[SIDES];
    nart_bytes_rx rx;
    unsigned senders; /* sending threads */
    unsigned received[SIDES];
    MODEL_VAR(uint32_t) payload[SIDES * EACH];
    MODEL_VAR(uint32_t) room_used[2]; /* a unit of the ring, for engines that do not track data */
    model_sleepers os;
} state;

static state *s;

/* ---- steps of the threads ---- */

/* This thread owns the unit now. */
static void touch_room(const void *ptr)
{
    size_t unit = (size_t)((const char *)ptr - (const char *)s->data) / NART__BYTES_UNIT;

    MODEL_SET(s->room_used[unit], (uint32_t)unit + 1);
}

static void commit(unsigned i, nart_bytes_buf *buf)
{
    uint64_t value = i * EACH + s->sides[i].sent;

    if (!buf->ptr) {
        MODEL_FAIL("a claim without room");
        return;
    }
    touch_room(buf->ptr);
    *(uint64_t *)buf->ptr = value;
    MODEL_SET(s->payload[value], (uint32_t)value + 10);
    MODEL_CHECK(nart_bytes_commit(&s->sides[i].tx, buf) == 0);
    s->sides[i].sent++;
}

static nart_res claim_sleeping(unsigned i, int64_t timeout_ns, nart_bytes_buf *buf)
{
    nart_res r = nart_bytes_claim_blocking(&s->sides[i].tx, sizeof(uint64_t), buf, timeout_ns);
    forget();
    return r;
}

static nart_res send_waiting(unsigned i, int64_t timeout_ns)
{
    nart_bytes_buf buf = { 0 };

    nart_res r = claim_sleeping(i, timeout_ns, &buf);
    if (r == 0)
        commit(i, &buf);
    return r;
}

static void send_at_once(unsigned i)
{
    nart_bytes_buf buf = { 0 };

    MODEL_CHECK(nart_bytes_try_claim(&s->sides[i].tx, sizeof(uint64_t), &buf) == 0);
    commit(i, &buf);
}

/* Must be its sender's next message, complete. */
static void check(nart_bytes_msg *msg)
{
    uint64_t value = *(const uint64_t *)msg->ptr;
    unsigned i = (unsigned)value / EACH;

    touch_room(msg->ptr);
    MODEL_CHECK(i >= TX1 && i <= s->senders && value % EACH == s->received[i]);
    MODEL_CHECK(MODEL_GET(s->payload[value]) == value + 10);
    s->received[i]++;
    MODEL_CHECK(nart_bytes_release(&s->rx, msg) == 0);
}

static nart_res recv_waiting(int64_t timeout_ns)
{
    nart_bytes_msg msg = { 0 };

    nart_res r = nart_bytes_recv_blocking(&s->rx, &msg, timeout_ns);
    forget();
    if (r == 0)
        check(&msg);
    return r;
}

static void recv_to_the_end(void)
{
    nart_res r;

    while ((r = recv_waiting(NART_NEVER)) == 0)
        continue;
    MODEL_CHECK(r == NART_ECLOSED);
}

/* Never sleeps. */
static void recv_looking(unsigned count)
{
    nart_bytes_msg msg = { 0 };

    for (; count > 0; count--) {
        while (nart_bytes_try_recv(&s->rx, &msg) != 0)
            nart__relax();
        check(&msg);
    }
}

static void look_to_the_end(void)
{
    nart_bytes_msg msg = { 0 };
    nart_res r;

    while ((r = nart_bytes_try_recv(&s->rx, &msg)) != NART_ECLOSED) {
        if (r == 0)
            check(&msg);
        else
            nart__relax();
    }
}

static void close_sender(unsigned i)
{
    (void)nart__bytes_tx_closed(&s->sides[i].tx);
}

/* ---- setup and teardown ---- */

/* `units`: the capacity. */
static void make(unsigned senders, uint64_t units)
{
    nart__bytes_ring *r;

    s = MODEL_NEW(state);
    touch(s, sizeof *s);
    sleepers_init(&s->os);
    r = &s->chan.ring;
    r->words = s->words;
    r->data = (unsigned char *)s->data;
    r->mask = units * NART__BYTES_UNIT - 1;
    NART__STORE(&r->room, units * NART__BYTES_UNIT, NART__RELAXED);
    r->max_len = sizeof(uint64_t);
    r->mpsc = senders > 1;
    NART__STORE(&s->chan.senders, (uint32_t)senders, NART__RELAXED);
    nart__lock_init(&s->chan.lock);
    nart__rx_binding_init(&s->chan.binding, &r->rx_dirty, false, NULL, nart__bytes_settle);
    s->rx.ring = r;
    s->senders = senders;
    for (unsigned i = TX1; i <= senders; i++)
        s->sides[i].tx.ring = r;
}

static void one_empty(void)
{
    make(1, 1);
}

static void one_full(void)
{
    one_empty();
    send_at_once(TX1);
}

static void two_empty(void)
{
    make(2, 2);
}

static void two_full(void)
{
    make(2, 1);
    send_at_once(TX1);
}

/* No wait is queued. */
static void after_closing(void)
{
    MODEL_CHECK(!s->chan.waiting.first);
    MODEL_CHECK(!(NART__LOAD(&s->chan.ring.tail, NART__RELAXED) & NART__BYTES_QUEUED));
    MODEL_CHECK(NART__LOAD(&s->chan.ring.tx_notify, NART__RELAXED) == 0);
    MODEL_CHECK(NART__LOAD(&s->chan.ring.rx_notify, NART__RELAXED) == 0);
    MODEL_DELETE(s);
}

/* Also, all messages sent were received. */
static void after(void)
{
    for (unsigned i = TX1; i <= s->senders; i++)
        MODEL_CHECK(s->received[i] == s->sides[i].sent);
    after_closing();
}

/* ---- a sender sleeps until space is free ---- */

static void sender_waits(unsigned i)
{
    if (i == RX)
        recv_looking(2);
    else
        MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
}

/* ---- a receiver sleeps until a message arrives or the channel closes ---- */

static void receiver_waits(unsigned i)
{
    if (i == RX) {
        recv_to_the_end();
        return;
    }
    send_at_once(i);
    close_sender(i);
}

static void only_the_end(unsigned i)
{
    if (i == RX)
        recv_to_the_end();
    else
        close_sender(i);
}

/* An aborted claim delivers no message and frees its space. */
static void abort_first(unsigned i)
{
    nart_bytes_buf buf = { 0 };

    if (i == RX) {
        recv_to_the_end();
        return;
    }
    MODEL_CHECK(claim_sleeping(i, NART_NEVER, &buf) == 0);
    MODEL_CHECK(nart_bytes_abort(&s->sides[i].tx, &buf) == 0);
    MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
    close_sender(i);
}

/* ---- both sleep ---- */

static void both_wait(unsigned i)
{
    if (i == RX) {
        recv_to_the_end();
        return;
    }
    MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
    close_sender(i);
}

/* ---- the receiver closes without receiving ---- */

static void receiver_closes(unsigned i)
{
    if (i == RX)
        nart__bytes_rx_closed(&s->chan.ring);
    else
        MODEL_CHECK(send_waiting(i, NART_NEVER) == NART_ECLOSED);
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

/* ---- timeout: the message was sent, or nothing is claimed and it can be resent ---- */

static void sender_is_late(unsigned i)
{
    nart_res r;

    if (i == RX) {
        recv_looking(2);
    } else if (i == TX1) {
        r = send_waiting(i, SOON);
        MODEL_CHECK(r == 0 || r == -ETIMEDOUT);
        if (r)
            MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
    } else {
        time_passes();
    }
}

static void receiver_is_late(unsigned i)
{
    if (i == RX) {
        nart_res r = recv_waiting(SOON);
        MODEL_CHECK(r == 0 || r == -ETIMEDOUT);
        recv_to_the_end();
    } else if (i == TX1) {
        send_at_once(i);
        close_sender(i);
    } else {
        time_passes();
    }
}

/* ---- queue order: a sender that times out, first or later in the queue, passes its turn on ---- */

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
    close_sender(i);
}

/* Queued second, it times out and then waits again. */
static void turn_is_tried_again(unsigned i)
{
    if (i == RX) {
        time_passes();
        look_to_the_end();
        return;
    }
    if (i == TX2 || send_waiting(i, SOON) != 0)
        MODEL_CHECK(send_waiting(i, NART_NEVER) == 0);
    close_sender(i);
}

static void turns_and_the_end(unsigned i)
{
    if (i == RX)
        nart__bytes_rx_closed(&s->chan.ring);
    else
        MODEL_CHECK(send_waiting(i, NART_NEVER) == NART_ECLOSED);
}

const model_scenario model_scenarios[] = {
    { "only_the_end", 2, one_empty, only_the_end, after, 3, 3 },
    { "sender_waits", 2, one_full, sender_waits, after, 2, 2 },
    { "receiver_waits", 2, one_empty, receiver_waits, after, 3, 3 },
    { "receiver_closes", 2, one_full, receiver_closes, after_closing, 3, 3 },
    { "only_the_time", 2, one_full, only_the_time, after_closing, 3, 3 },
    { "both_wait", 2, one_full, both_wait, after, 2, 2 },
    { "abort_first", 2, one_empty, abort_first, after, 2, 2 },
    { "sender_is_late", 3, one_full, sender_is_late, after, 2, 2 },
    { "receiver_is_late", 3, one_empty, receiver_is_late, after, 2, 2 },
    { "two_senders", 3, two_empty, receiver_waits, after, 1, 1 },
    { "turns_and_the_end", 3, two_full, turns_and_the_end, after_closing, 1, 1 },
    { "turns", 3, two_full, turns, after, 1, 1 },
    { "turn_is_late", 3, two_full, turn_is_late, after, 1, 1 },
    { "turn_is_tried_again", 3, two_full, turn_is_tried_again, after, 1, 2 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
