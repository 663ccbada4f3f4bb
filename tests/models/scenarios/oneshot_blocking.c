/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/oneshot_blocking.c: a thread that sleeps in a oneshot: a value, a sender that closes, timeouts that
 * race with both. Thread 0 receives, thread 1 sends, thread 2 advances the clock.
 *
 * oneshot.c is the library's unmodified file. The value is the index of a payload that the sender wrote earlier.
 * Exactly one side frees the block, and it must see the other side's last writes. */
#include "sleepers.h"

#include <string.h>

/* loom does not see accesses in memcpy. So values are copied here, and oneshot.c is included. */
static void copy_words(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
}

#define memcpy copy_words
#define nart_waker_of watched
#include "sync/oneshot.c"
#undef memcpy
#undef nart_waker_of

enum { RX, TX, TIME, VALUE = 7 };

typedef struct state {
    nart__oneshot block;
    uint64_t value; /* behind the block, where value_of() expects it */
    nart_oneshot_tx tx;
    nart_oneshot_rx rx;
    MODEL_VAR(uint32_t) payload;
    MODEL_VAR(uint32_t) last_words[2];
    MODEL_VAR(uint32_t) frees;
    unsigned received, ended; /* by the receiver */
    unsigned sent;            /* by the sender */
    model_sleepers os;
} state;

static state *s;

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

static void make(void)
{
    s = MODEL_NEW(state);
    touch(s, sizeof *s);
    sleepers_init(&s->os);
    NART__STORE(&s->block.word, (uintptr_t)EMPTY, NART__RELAXED);
    s->block.size = sizeof s->value;
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

static nart_res recv_waiting(int64_t timeout_ns)
{
    uint64_t value = 0;

    nart_res r = nart_oneshot_recv_blocking(&s->rx, &value, timeout_ns);
    forget();
    if (r == 0) {
        MODEL_CHECK(value == VALUE);
        MODEL_CHECK(MODEL_GET(s->payload) == VALUE + 10);
        s->received++;
    } else if (r == NART_ECLOSED) {
        s->ended++;
    } else {
        MODEL_CHECK(r == -ETIMEDOUT);
    }
    return r;
}

static void send_value(void)
{
    uint64_t value = VALUE;

    MODEL_SET(s->payload, VALUE + 10u);
    say(TX);
    if (nart_oneshot_send(&s->tx, &value) == 0)
        s->sent++;
}

static void after(void)
{
    MODEL_CHECK(MODEL_GET(s->frees) == 1);
    MODEL_CHECK(s->received + s->ended == 1 && s->sent == s->received);
    MODEL_DELETE(s);
}

/* ---- a value, or the sender closes ---- */

static void value_comes(unsigned i)
{
    if (i == TX) {
        send_value();
        return;
    }
    say(RX);
    MODEL_CHECK(recv_waiting(NART_NEVER) == 0);
}

static void sender_closes(unsigned i)
{
    say(i);
    if (i == TX)
        nart_oneshot_tx_close(&s->tx);
    else
        MODEL_CHECK(recv_waiting(NART_NEVER) == NART_ECLOSED);
}

/* ---- timeout: nothing was taken, and the thread waits again ---- */

static void receiver_is_late(unsigned i)
{
    if (i == TX) {
        send_value();
    } else if (i == TIME) {
        time_passes();
    } else {
        say(RX);
        if (recv_waiting(SOON) != 0)
            MODEL_CHECK(recv_waiting(NART_NEVER) == 0);
    }
}

/* ---- timeout, and the receiver closes ---- */

static void receiver_gives_up(unsigned i)
{
    if (i == TX) {
        send_value();
    } else if (i == TIME) {
        time_passes();
    } else {
        say(RX);
        if (recv_waiting(SOON) != 0)
            nart_oneshot_rx_close(&s->rx);
    }
}

/* Freed once; the value was received, dropped, or refused. */
static void after_closing(void)
{
    MODEL_CHECK(MODEL_GET(s->frees) == 1);
    MODEL_CHECK(s->received <= s->sent);
    MODEL_DELETE(s);
}

const model_scenario model_scenarios[] = {
    { "value_comes", 2, make, value_comes, after, 4, 4 },
    { "sender_closes", 2, make, sender_closes, after, 4, 4 },
    { "receiver_is_late", 3, make, receiver_is_late, after, 2, 2 },
    { "receiver_gives_up", 3, make, receiver_gives_up, after_closing, 2, 2 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
