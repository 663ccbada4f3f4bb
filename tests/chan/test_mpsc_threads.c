/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* MPSC channels between real threads: every value once, in order per sender, no waiter left behind,
 * whichever side cancels, closes or is freed. A lost wake-up or slot shows as a hang, which the
 * test's timeout ends. The memory orders are checked in tests/models. */
#include "chan_test.h"
#include "threads.h"

#include <sched.h>

enum { SENDERS = 8 };

/* Encodes the sender and the value's index within that sender. */
static uint64_t value_of(unsigned sender, uint64_t n)
{
    return (uint64_t)sender << 48 | n;
}

enum how {
    PATIENT,   /* a task that waits */
    IMPATIENT, /* a task that sometimes cancels a wait and starts another */
    PLAIN      /* no runtime: retries */
};

struct sender {
    nart_co co;
    nart_tx tx;
    unsigned number;
    enum how how;
    uint64_t count, next, seed;
    nart_timer timer;
    nart_res res;
    int which;
    pthread_t thread;
};

static nart_res send_run(nart_cx *cx, void *frame)
{
    struct sender *s = *(struct sender **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    while (s->next < s->count) {
        if (s->how == IMPATIENT && random_below(&s->seed, 4) == 0) {
            NART_AWAIT_ANY(s->which, r, u64_send(cx, &s->tx, value_of(s->number, s->next)),
                           nart_sleep(cx, &s->timer, random_below(&s->seed, 2) ? 1 : 2000));
            s->timer = (nart_timer){ 0 };
            if (s->which == 1)
                continue;
        } else {
            NART_AWAIT(r, u64_send(cx, &s->tx, value_of(s->number, s->next)));
        }
        if (r)
            break;
        s->next++;
    }
    nart_tx_close(&s->tx);
    NART_END(r);
}

static const nart_task_type send_type = NART_TASK_TYPE(struct sender *, send_run, NULL);

static nart_res send_plain(struct sender *s)
{
    nart_res r = 0;

    for (; s->next < s->count && r == 0; s->next++)
        while ((r = u64_try_send(&s->tx, value_of(s->number, s->next))) == -EAGAIN)
            sched_yield();
    if (r)
        s->next--;
    nart_tx_close(&s->tx);
    return r;
}

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    if (s->how == PLAIN) {
        s->res = send_plain(s);
        return NULL;
    }
    nart_rt *rt = new_rt();
    CHECK_RES(nart_block_on(rt, &send_type, &s, &s->res), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    return NULL;
}

struct receiver {
    nart_co co;
    nart_rx *rx;
    uint64_t value, most, got, next[SENDERS];
};

/* Receives until the channel closes or `most` values have arrived. */
static nart_res recv_run(nart_cx *cx, void *frame)
{
    struct receiver *v = *(struct receiver **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &v->co);
    while (v->got < v->most) {
        NART_AWAIT(r, u64_recv(cx, v->rx, &v->value));
        if (r)
            break;
        unsigned from = (unsigned)(v->value >> 48);
        CHECK_LE(from, SENDERS - 1);
        CHECK_EQ(v->value, value_of(from, v->next[from]));
        v->next[from]++;
        v->got++;
    }
    nart_rx_close(v->rx);
    NART_END(r);
}

static const nart_task_type recv_type = NART_TASK_TYPE(struct receiver *, recv_run, NULL);

/* Starts the senders of one channel, of mixed behaviour. */
static void senders_begin(struct sender *s, unsigned count, uint64_t each, nart_tx *tx, int how)
{
    for (unsigned i = 0; i < count; i++) {
        s[i] = (struct sender){ .number = i, .count = each, .seed = i + 1 };
        s[i].how = how < 0 ? (enum how)(i % 3) : (enum how)how;
        CHECK_RES(nart_tx_clone(tx, &s[i].tx), 0);
    }
    nart_tx_close(tx);
    for (unsigned i = 0; i < count; i++)
        s[i].thread = thread_start(sender_main, &s[i]);
}

static void stream(unsigned senders, size_t capacity, uint64_t each, int how, uint32_t flags)
{
    nart_rt *rt = NEW_RT(.flags = flags ? NART_RT_SPINNING : 0);
    nart_chan_opts o = { sizeof o, MPSC, flags, 8, capacity, NULL };
    struct sender s[SENDERS];
    nart_tx tx;
    nart_rx rx;
    struct receiver v = { .rx = &rx, .most = UINT64_MAX }, *frame = &v;
    nart_res res = 0;

    CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
    senders_begin(s, senders, each, &tx, how);
    CHECK_RES(nart_block_on(rt, &recv_type, &frame, &res), 0);
    CHECK_RES(res, NART_ECLOSED);
    for (unsigned i = 0; i < senders; i++) {
        thread_join(s[i].thread);
        CHECK_RES(s[i].res, 0);
        CHECK_EQ(v.next[i], each);
    }
    CHECK_EQ(v.got, each * senders);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Ten million values between two threads. */
TEST(two_threads)
{
    stream(1, 1024, test_repeat(9800000), PATIENT, 0);
    stream(1, 1, test_repeat(100000), PATIENT, 0);
    stream(1, 2, test_repeat(100000), PLAIN, 0);
}

/* Eight senders that contend for slots. */
TEST(senders_that_wait)
{
    stream(SENDERS, 1, test_repeat(2000), PATIENT, 0);
    stream(SENDERS, 4, test_repeat(20000), PATIENT, 0);
    stream(SENDERS, 64, test_repeat(200000), PATIENT, 0);
}

/* Some wait, some cancel and restart, some only try: no value or slot is lost. */
TEST(senders_that_time_out)
{
    stream(SENDERS, 1, test_repeat(2000), IMPATIENT, 0);
    stream(SENDERS, 2, test_repeat(5000), -1, 0);
    stream(SENDERS, 16, test_repeat(50000), -1, 0);
}

TEST(spinning_receiver)
{
    stream(SENDERS, 4, test_repeat(2000), -1, NART_CHAN_SPINNING);
    stream(2, 64, test_repeat(100000), PATIENT, NART_CHAN_SPINNING);
}

/* ---- closing at any moment ---- */

static long dropped;

static void count_drop(void *value)
{
    (void)value;
    __atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
}

/* The receiver closes with senders at any point: every sender gets an error, and every value sent
 * is received or dropped once. */
TEST(receiver_closes_at_any_moment)
{
    uint64_t seed = 31;

    for (uint64_t n = test_repeat(1000) + 10; n > 0; n--) {
        nart_rt *rt = new_rt();
        nart_chan_opts o = { sizeof o, MPSC, 0, 8, 1 + random_below(&seed, 8), count_drop };
        unsigned count = 1 + random_below(&seed, 4);
        struct sender s[SENDERS];
        nart_tx tx;
        nart_rx rx;
        struct receiver v = { .rx = &rx, .most = random_below(&seed, 100) }, *frame = &v;
        uint64_t sent = 0;
        dropped = 0;
        CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
        senders_begin(s, count, UINT64_MAX, &tx, -1);
        CHECK_RES(nart_block_on(rt, &recv_type, &frame, NULL), 0);
        CHECK_RES(nart_rt_free(rt), 0);
        for (unsigned i = 0; i < count; i++) {
            thread_join(s[i].thread);
            CHECK_RES(s[i].res, NART_ECLOSED);
            sent += s[i].next;
        }
        CHECK_EQ(sent, v.got + (uint64_t)dropped);
    }
}

/* Clones are made and closed on all threads during the stream; the channel closes once, after all
 * of them. */
struct cloner {
    nart_tx tx;
    unsigned number;
    uint64_t count;
    pthread_t thread;
};

static void *cloner_main(void *arg)
{
    struct cloner *c = arg;

    for (uint64_t i = 0; i < c->count; i++) {
        nart_tx next = { 0 };
        nart_res r;
        CHECK_RES(nart_tx_clone(&c->tx, &next), 0);
        while ((r = u64_try_send(&c->tx, value_of(c->number, i))) == -EAGAIN)
            sched_yield();
        CHECK_RES(r, 0);
        nart_tx_close(&c->tx);
        c->tx = next;
    }
    nart_tx_close(&c->tx);
    return NULL;
}

TEST(clones_are_made_and_closed)
{
    nart_rt *rt = new_rt();
    struct cloner c[3];
    nart_tx tx;
    nart_rx rx;
    struct receiver v = { .rx = &rx, .most = UINT64_MAX }, *frame = &v;
    nart_res res = 0;

    CHECK_RES(u64_open(rt, MPSC, 16, &tx, &rx), 0);
    for (unsigned i = 0; i < 3; i++) {
        c[i] = (struct cloner){ .number = i, .count = test_repeat(100000) };
        CHECK_RES(nart_tx_clone(&tx, &c[i].tx), 0);
    }
    nart_tx_close(&tx);
    for (unsigned i = 0; i < 3; i++)
        c[i].thread = thread_start(cloner_main, &c[i]);
    CHECK_RES(nart_block_on(rt, &recv_type, &frame, &res), 0);
    CHECK_RES(res, NART_ECLOSED);
    for (unsigned i = 0; i < 3; i++) {
        thread_join(c[i].thread);
        CHECK_EQ(v.next[i], test_repeat(100000));
    }
    CHECK_RES(nart_rt_free(rt), 0);
}
