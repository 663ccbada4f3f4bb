/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/mpsc.c: a channel from two threads to a third: claims, waits on both sides, turns passed on
 * in the queue, closing. Thread 0 receives, the others send. */
#include "mpsc.h"

/* ---- streams and their end ---- */

static void stream_of_2(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(i, 2);
}

static void stream_of_1(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        send_all(i, 1);
}

static void spinning(unsigned i)
{
    if (i == RX)
        recv_all(recv_spin);
    else
        send_all(i, 2);
}

/* ---- no side waits: values sent before the last close are received before it ---- */

static void nobody_waits(unsigned i)
{
    if (i == RX) {
        recv_all(recv_try);
        return;
    }
    while (s->sides[i].sent < 2 / s->senders)
        if (send_try(i) != 0)
            nart__relax();
    closed(i);
}

/* ---- several values per call ---- */

static void blocks(unsigned i)
{
    uint64_t values[2] = { 0, 0 };
    nart_res r = 0;

    if (i == RX) {
        while (r != NART_ECLOSED) {
            r = nart__mpsc_try_recv_many(&s->rx, values, 2);
            for (nart_res k = 0; k < r; k++)
                got(values[k]);
            if (r == -EAGAIN)
                nart__relax();
        }
        closed(RX);
        return;
    }
    for (unsigned k = 0; k < 2; k++) {
        values[k] = i * EACH + k;
        MODEL_SET(s->payload[values[k]], (uint32_t)values[k] + 10);
    }
    for (unsigned *sent = &s->sides[i].sent; *sent < 2;) {
        r = nart__mpsc_try_send_many(&s->sides[i].tx, values + *sent, 2 - *sent);
        if (r > 0)
            *sent += (unsigned)r;
        else
            nart__relax();
    }
    closed(i);
}

/* ---- nothing is sent: the receiver sees only the end ---- */

static void only_the_end(unsigned i)
{
    if (i == RX)
        recv_all(recv_await);
    else
        closed(i);
}

/* ---- one sender waits for a slot, the other one only tries ---- */

static void one_only_tries(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
    } else if (i == TX1) {
        send_all(i, 1);
    } else {
        MODEL_CHECK(send_try(i) != NART_ECLOSED);
        closed(i);
    }
}

/* ---- senders are queued already: a granted slot belongs to its sender only ---- */

static void make_queued(unsigned senders, unsigned queued, bool loop)
{
    make(senders, 1, 0, loop);
    MODEL_CHECK(send_try(TX1) == 0);
    for (unsigned i = TX1; i <= queued; i++)
        MODEL_CHECK(send_poll(i, prepare(i)) == NART_PENDING);
}

static void make_only_one_queued(void)
{
    make_queued(1, 1, false);
}

static void make_only_one_queued_to_a_loop(void)
{
    make_queued(1, 1, true);
}

static void make_one_queued(void)
{
    make_queued(2, 1, false);
}

static void make_two_queued(void)
{
    make_queued(2, 2, false);
}

static void go_on(unsigned i)
{
    uint64_t value = i * EACH + s->sides[i].sent;
    nart_res r;

    while ((r = send_poll(i, value)) == NART_PENDING)
        model_wait((int)i);
    MODEL_CHECK(r == 0);
}

/* A later sender queues behind the earlier one. */
static nart_res recv_in_turn(uint64_t *value)
{
    nart_res r = recv_try(value);
    if (r == 0 && *value / EACH == TX2)
        MODEL_CHECK(s->received[TX1] == 2);
    return r;
}

static void granted(unsigned i)
{
    if (i == RX) {
        recv_all(recv_in_turn);
        return;
    }
    if (i == TX1)
        go_on(i);
    else if (send_try(i) == -EAGAIN)
        (void)send_try(i);
    closed(i);
}

static void queued_twice(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    go_on(i);
    send_all(i, 3);
}

static void granted_by_many(unsigned i)
{
    if (i == RX) {
        recv_all(recv_many);
        return;
    }
    go_on(i);
    closed(i);
}

static void queued_when_closed(unsigned i)
{
    uint64_t value = i * EACH + s->sides[i].sent;
    nart_res r = NART_ECLOSED;

    while (i == TX1 && (r = send_poll(i, value)) == NART_PENDING)
        model_wait((int)i);
    MODEL_CHECK(r == NART_ECLOSED);
    closed(i);
}

/* ---- the first sender leaves the queue, with a granted slot or without ---- */

static void passed_on(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    if (i == TX1)
        nart__withdraw(&s->sides[i].tx.wait);
    else
        go_on(i);
    closed(i);
}

/* ---- the receiver closes: waiting senders are woken, the others find out by their next call ---- */

static void receiver_closes(unsigned i)
{
    uint64_t value = 0;

    if (i == RX) {
        MODEL_CHECK(recv_await(&value) == 0);
        got(value);
    } else {
        while (send_await(i) == 0)
            MODEL_CHECK(s->sides[i].sent < EACH);
    }
    closed(i);
}

/* ---- the receiver shuts, or closes, while others send: sent values are received, or dropped ---- */

/* A refused value remains its sender's, which may write to it. */
static void send_until_refused(unsigned i, unsigned count)
{
    while (s->sides[i].sent < count) {
        nart_res r = send_try(i);
        if (r == NART_ECLOSED) {
            MODEL_SET(s->payload[i * EACH + s->sides[i].sent], 0u);
            break;
        }
        if (r != 0)
            nart__relax();
    }
    closed(i);
}

static void shut_and_drain(nart_res (*recv)(uint64_t *))
{
    nart__mpsc_shut(&s->chan, false);
    recv_all(recv);
    for (unsigned i = TX1; i <= s->senders; i++)
        MODEL_CHECK(s->dropped[i] == 0);
}

static void shut_meets_sends(unsigned i)
{
    if (i == RX)
        shut_and_drain(recv_try);
    else
        send_until_refused(i, 2 / s->senders);
}

static void shut_and_awaited(unsigned i)
{
    if (i == RX)
        shut_and_drain(recv_await);
    else
        send_until_refused(i, 1);
}

static void shut_and_spinning(unsigned i)
{
    if (i == RX)
        shut_and_drain(recv_spin);
    else
        send_until_refused(i, 2);
}

static void close_meets_sends(unsigned i)
{
    if (i == RX)
        closed(RX);
    else
        send_until_refused(i, 2 / s->senders);
}

/* The sender stays open: only the claims determine the end. */
static void shut_is_the_end(unsigned i)
{
    uint64_t value = 0;
    nart_res r;

    if (i != RX) {
        (void)send_try(i);
        return;
    }
    nart__mpsc_shut(&s->chan, false);
    while ((r = recv_try(&value)) == 0)
        got(value);
    MODEL_CHECK(r == NART_ECLOSED);
}

static void after_open(void)
{
    MODEL_CHECK(s->received[TX1] == s->sides[TX1].sent && s->dropped[TX1] == 0);
    MODEL_DELETE(s);
}

/* It may be queued, or its slot may have been granted. */
static void shut_on_one_that_waits(unsigned i)
{
    uint64_t value = i * EACH + s->sides[i].sent;
    nart_res r;

    if (i == RX) {
        uint64_t first = 0;
        MODEL_CHECK(nart_try_recv(&s->rx, &first) == 0);
        got(first);
        shut_and_drain(recv_try);
        return;
    }
    while ((r = send_poll(i, value)) == NART_PENDING)
        model_wait((int)i);
    MODEL_CHECK(r == 0 || r == NART_ECLOSED);
    closed(i);
}

/* ---- abandoned waits ---- */

static void receive_given_up(unsigned i)
{
    uint64_t value = 0;

    if (i != RX) {
        send_all(i, 2);
        return;
    }
    nart_res r = recv_poll(&value);
    if (r == 0)
        got(value);
    else if (r == NART_PENDING)
        nart__withdraw(&s->rx.wait);
    recv_all(recv_await);
}

/* The first sender abandons each wait once, with a slot granted or queued. */
static void send_given_up(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    if (i == TX1 && send_poll(i, prepare(i)) == NART_PENDING)
        nart__withdraw(&s->sides[i].tx.wait);
    if (i == TX1)
        closed(i);
    else
        send_all(i, 1);
}

/* The same; a single sender fills the channel first. */
static void full_and_given_up(unsigned i)
{
    if (i == TX1 && s->senders == 1) {
        MODEL_CHECK(send_await(i) == 0);
        if (send_poll(i, prepare(i)) == NART_PENDING)
            nart__withdraw(&s->sides[i].tx.wait);
        send_all(i, 2);
    } else if (i == RX) {
        recv_all(recv_await);
    } else {
        send_all(i, 1);
    }
}

/* ---- a slot is reserved first: then a send without waiting succeeds ---- */

static void send_reserved(unsigned i)
{
    MODEL_CHECK(send_try(i) == 0);
    closed(i);
}

static void reserved(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
    } else if (i == TX1) {
        while (nart__mpsc_try_reserve(&s->sides[i].tx) != 0)
            nart__relax();
        send_reserved(i);
    } else {
        send_all(i, 1);
    }
}

/* The channel is full at first. */
static void reserved_when_free(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
        return;
    }
    MODEL_CHECK(send_await(i) == 0);
    while (nart__mpsc_send(poll_begin(i), &s->sides[i].tx, NULL) == NART_PENDING)
        model_wait((int)i);
    send_reserved(i);
}

/* Returned, it passes to the other sender. */
static void unreserved(unsigned i)
{
    if (i == RX) {
        recv_all(recv_await);
    } else if (i == TX1) {
        if (nart__mpsc_try_reserve(&s->sides[i].tx) == 0)
            nart__mpsc_unreserve(&s->sides[i].tx);
        closed(i);
    } else {
        send_all(i, 1);
    }
}

/* ---- the receiver reads the length ---- */

static void length_at_the_end(unsigned i)
{
    if (i != RX) {
        send_all(i, 2 / s->senders);
        return;
    }
    while (!nart__mpsc_tx_gone(&s->chan.ring))
        nart__relax();
    MODEL_CHECK(nart__mpsc_len(&s->chan.ring) == 2);
    recv_all(recv_try);
}

/* Only one value was ever sent. */
static void length_from_aside(unsigned i)
{
    if (i == RX) {
        recv_all(recv_try);
    } else if (i == TX1) {
        send_all(i, 1);
    } else {
        MODEL_CHECK(nart__mpsc_len(&s->chan.ring) <= 1);
        closed(i);
    }
}

const model_scenario model_scenarios[] = {
    { "one_nobody_waits", 2, make_one_narrow, nobody_waits, after, 3, 3 },
    { "one_blocks", 2, make_one_narrow, blocks, after, 3, 2 },
    { "one_blocks_wide", 2, make_one_wide, blocks, after, 3, 2 },
    { "nobody_waits", 3, make_wide, nobody_waits, after, 2, 2 },
    { "length_at_the_end", 3, make_wide, length_at_the_end, after, 2, 2 },
    { "length_from_aside", 3, make_wide, length_from_aside, after, 2, 2 },
    { "only_the_end", 3, make_wide, only_the_end, after, 2, 3 },
    { "one_queued_when_closed", 2, make_only_one_queued, queued_when_closed, after, 3, 3 },
    { "one_queued_twice", 2, make_only_one_queued_to_a_loop, queued_twice, after, 0, 1 },
    { "one_granted_by_many", 2, make_only_one_queued, granted_by_many, after, 3, 3 },
    { "one_passed_on", 2, make_only_one_queued, passed_on, after, 3, 3 },
    { "one_shut_meets_sends", 2, make_one_wide, shut_meets_sends, after, 3, 3 },
    { "one_shut_is_the_end", 2, make_one_wide, shut_is_the_end, after_open, 3, 3 },
    { "one_shut_and_awaited", 2, make_one_wide, shut_and_awaited, after, 3, 3 },
    { "one_shut_and_spinning", 2, make_spinning, shut_and_spinning, after, 2, 3 },
    { "one_close_meets_sends", 2, make_one_wide, close_meets_sends, after, 3, 3 },
    { "one_shut_on_one_that_waits", 2, make_only_one_queued, shut_on_one_that_waits, after, 3, 3 },
    { "shut_meets_sends", 3, make_wide, shut_meets_sends, after, 1, 2 },
    { "close_meets_sends", 3, make_wide, close_meets_sends, after, 1, 2 },
    { "granted", 3, make_one_queued, granted, after, 1, 2 },
    { "passed_on", 3, make_two_queued, passed_on, after, 1, 2 },
    { "one_stream_wide", 2, make_one_wide, stream_of_2, after, 2, 3 },
    { "one_spinning", 2, make_spinning, spinning, after, 1, 2 },
    { "one_plain_receiver", 2, make_plain, stream_of_2, after, 1, 2 },
    { "one_stream_narrow", 2, make_one_narrow, stream_of_2, after, 1, 2 },
    { "one_receiver_closes", 2, make_one_narrow, receiver_closes, after, 2, 2 },
    { "one_receive_given_up", 2, make_one_wide, receive_given_up, after, 2, 2 },
    { "one_send_given_up", 2, make_one_narrow, full_and_given_up, after, 1, 2 },
    { "one_reserved_when_free", 2, make_one_narrow, reserved_when_free, after, 1, 2 },
    { "reserved", 3, make_narrow, reserved, after, 1, 1 },
    { "unreserved", 3, make_narrow, unreserved, after, 1, 2 },
    { "wide", 3, make_wide, stream_of_1, after, 1, 2 },
    { "one_only_tries", 3, make_narrow, one_only_tries, after, 1, 2 },
    { "receiver_closes", 3, make_narrow, receiver_closes, after, 1, 1 },
    { "send_given_up", 3, make_narrow, send_given_up, after, 1, 1 },
    { "narrow", 3, make_narrow, stream_of_1, after, 1, 1 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
