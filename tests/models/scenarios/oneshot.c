/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/oneshot.c: a oneshot between two threads. Thread 0 receives, thread 1 sends.
 *
 * The value is the index of a payload that the sender wrote earlier. Exactly one side frees the block, and it
 * must see the other side's last writes. A lost wake-up leaves the receiver waiting: a deadlock. */
#include "model.h"

#include <string.h>

/* loom does not see accesses in memcpy. So values are copied here, and oneshot.c is included. */
static void copy_words(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
}

#define memcpy copy_words
#include "sync/oneshot.c"
#undef memcpy

enum { RX, TX, VALUE = 7 };

typedef struct state {
    nart__oneshot block;
    uint64_t value; /* behind the block, where value_of() expects it */
    nart_oneshot_tx tx;
    nart_oneshot_rx rx;
    nart_rt rt; /* of the receiver */
    nart__task task;
    uint32_t wakers;               /* index of the next waker to register */
    uint32_t left[2];              /* waker i has been created */
    MODEL_VAR(uint32_t) memory[2]; /* private to each waker */
    MODEL_VAR(uint32_t) payload;
    MODEL_VAR(uint32_t) last_words[2];
    MODEL_VAR(uint32_t) frees;
    unsigned received, dropped, ended; /* by the receiver */
    unsigned sent, kept;               /* by the sender */
} state;

static state *s;

/* ---- functions that oneshot.c calls ---- */

nart_waker nart_cx_waker(nart_cx *cx)
{
    nart_waker w = { 64 * (s->wakers + 1) };

    (void)cx;
    if (!s->left[s->wakers])
        MODEL_SET(s->memory[s->wakers], 1u);
    s->left[s->wakers] = 1;
    return w;
}

int nart__sys_eventfd_write(int fd);

void nart_waker_wake(nart_waker w)
{
    MODEL_CHECK(MODEL_GET(s->memory[w.w / 64 - 1]) == 1);
    (void)nart__sys_eventfd_write((int)(w.w / 64 - 1));
}

void nart__ready_slow(nart__task *t)
{
    (void)t;
    MODEL_FAIL("nobody is made ready here");
}

int64_t nart__sys_now(void)
{
    MODEL_FAIL("no thread blocks here: see oneshot_blocking.c");
    return 0;
}

void nart__sys_futex_wait(const NART__ATOMIC(uint32_t) * word, uint32_t seen, int64_t until)
{
    (void)word;
    (void)seen;
    (void)until;
    MODEL_FAIL("no thread blocks here");
}

void nart__sys_futex_wake(const NART__ATOMIC(uint32_t) * word)
{
    (void)word;
    MODEL_FAIL("no thread blocks here");
}

nart_res nart__rt_check(const nart_rt *rt)
{
    (void)rt;
    return 0;
}

nart_res nart__halt(nart_cx *cx, nart__wait *w)
{
    (void)cx;
    (void)w;
    MODEL_FAIL("out of budget");
    return 0;
}

void nart__unlink(nart__wait *w)
{
    (void)w;
    MODEL_FAIL("a wait that is not the first");
}

/* No other thread may access it, now or later. */
static void freed(void *arg, void *p, size_t size, size_t align)
{
    (void)arg;
    (void)size;
    (void)align;
    MODEL_CHECK(p == &s->block);
    MODEL_CHECK(MODEL_GET(s->last_words[RX]) == 1 && MODEL_GET(s->last_words[TX]) == 2);
    MODEL_SET(s->frees, MODEL_GET(s->frees) + 1);
}

/* ---- steps of the threads ---- */

static void check_value(uint64_t value)
{
    MODEL_CHECK(value == VALUE);
    MODEL_CHECK(MODEL_GET(s->payload) == VALUE + 10);
}

static void value_dropped(void *value)
{
    check_value(*(uint64_t *)value);
    s->dropped++;
}

/* First touches by a thread cost loom more, so all memory in use is touched here. */
static void touch(void)
{
#ifndef MODEL_RELACY
    for (size_t i = 0; i < (offsetof(state, rt) + sizeof(nart_cx)) / 4; i++)
        (void)((const volatile uint32_t *)s)[i];
#endif
}

static void make(void)
{
    s = MODEL_NEW(state);
    touch();
    NART__STORE(&s->block.word, (uintptr_t)EMPTY, NART__RELAXED);
    s->block.size = sizeof s->value;
    s->block.drop_value = value_dropped;
    s->block.alloc.free = freed;
    MODEL_SET(s->frees, 0u);
    s->tx.shared = s->rx.shared = &s->block;
    MODEL_CHECK(value_of(&s->block) == &s->value);
}

/* Set before a side's last operation, after which it accesses nothing. */
static void say(unsigned side)
{
    MODEL_SET(s->last_words[side], side + 1);
}

static void send_value(void)
{
    uint64_t value = VALUE;

    MODEL_SET(s->payload, VALUE + 10u);
    say(TX);
    if (nart_oneshot_send(&s->tx, &value) == 0)
        s->sent++;
    else
        s->kept++;
}

static nart_res answered(nart_res r, uint64_t value)
{
    if (r == 0) {
        check_value(value);
        s->received++;
    } else {
        MODEL_CHECK(r == NART_ECLOSED);
        s->ended++;
    }
    return r;
}

static nart_res recv_poll(void)
{
    nart_cx *cx = &s->rt.cx;
    uint64_t value = 0;

    cx->self = &s->task;
    cx->self->polls++;
    cx->park = NART_NEVER;
    cx->go = NART_BUDGET;
    nart_res r = nart_oneshot_recv(cx, &s->rx, &value);
    return r == NART_PENDING ? r : answered(r, value);
}

static void recv_await(void)
{
    say(RX);
    while (recv_poll() == NART_PENDING)
        model_wait((int)s->wakers);
}

static void close_rx(void)
{
    nart__wait *w = &s->rx.wait;

    say(RX);
    if (w->task) /* withdraws first, like the sweep */
        nart__withdraw(w);
    nart_oneshot_rx_close(&s->rx);
}

/* Freed once; a value, if any, was received, dropped or kept. */
static void after(void)
{
    MODEL_CHECK(MODEL_GET(s->frees) == 1);
    MODEL_CHECK(s->sent == s->received + s->dropped);
    MODEL_CHECK(s->received + s->dropped + s->ended <= 1);
    MODEL_DELETE(s);
}

/* ---- the receiver awaits a value ---- */

static void value_comes(unsigned i)
{
    if (i == RX)
        recv_await();
    else
        send_value();
}

static void after_value(void)
{
    MODEL_CHECK(s->received == 1);
    after();
}

/* ---- the value is never sent ---- */

static void sender_closes(unsigned i)
{
    if (i == RX) {
        recv_await();
    } else {
        say(TX);
        nart_oneshot_tx_close(&s->tx);
    }
}

static void after_end(void)
{
    MODEL_CHECK(s->ended == 1);
    after();
}

/* ---- the receiver does not wait ---- */

static void value_is_tried(unsigned i)
{
    uint64_t value = 0;
    nart_res r;

    if (i == TX) {
        send_value();
        return;
    }
    say(RX);
    while ((r = nart_oneshot_try_recv(&s->rx, &value)) == -EAGAIN)
        nart__relax();
    (void)answered(r, value);
}

/* ---- the receiver closes, before and after waiting ---- */

static void receiver_closes(unsigned i)
{
    if (i == RX)
        close_rx();
    else
        send_value();
}

static void both_close(unsigned i)
{
    if (i == RX) {
        close_rx();
    } else {
        say(TX);
        nart_oneshot_tx_close(&s->tx);
    }
}

static void receiver_gives_up(unsigned i)
{
    if (i == TX) {
        send_value();
        return;
    }
    say(RX);
    if (recv_poll() == NART_PENDING)
        close_rx();
}

/* ---- the receiver moves to another task, with another waker ---- */

static void receiver_moves(unsigned i)
{
    if (i == TX) {
        send_value();
        return;
    }
    say(RX);
    if (recv_poll() != NART_PENDING)
        return;
    nart__withdraw(&s->rx.wait);
    s->wakers = 1;
    recv_await();
}

const model_scenario model_scenarios[] = {
    { "value_comes", 2, make, value_comes, after_value, MODEL_EVERY, MODEL_EVERY },
    { "sender_closes", 2, make, sender_closes, after_end, MODEL_EVERY, MODEL_EVERY },
    { "value_is_tried", 2, make, value_is_tried, after_value, 4, 4 },
    { "receiver_closes", 2, make, receiver_closes, after, MODEL_EVERY, MODEL_EVERY },
    { "both_close", 2, make, both_close, after, MODEL_EVERY, MODEL_EVERY },
    { "receiver_gives_up", 2, make, receiver_gives_up, after, MODEL_EVERY, MODEL_EVERY },
    { "receiver_moves", 2, make, receiver_moves, after_value, MODEL_EVERY, MODEL_EVERY },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
