/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SPSC and MPSC channels between two real threads: every value once and in order, no waiter left
 * behind, closing and freeing at any moment on either side. A lost wake-up shows as a hang, which
 * the test's timeout ends. The memory orders are checked in tests/models. */
#include "chan_test.h"
#include "no_membarrier.h"
#include "threads.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>

static void gap(uint64_t *seed)
{
    thread_gap(seed, 8);
}

/* ---- one side of a stream: numbers from 0 on, then the close ---- */

struct side {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    uint64_t count, next, value, seed;
};

static nart_res send_all(nart_cx *cx, void *frame)
{
    struct side *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (; s->next < s->count; s->next++) {
        gap(&s->seed);
        NART_AWAIT(r, u64_send(cx, &s->tx, s->next));
        if (r)
            break;
    }
    nart_tx_close(&s->tx);
    NART_END(r);
}

/* Receives until the channel closes or `count` values have arrived. Returns their number. */
static nart_res recv_all(nart_cx *cx, void *frame)
{
    struct side *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (; s->next < s->count; s->next++) {
        gap(&s->seed);
        NART_AWAIT(r, u64_recv(cx, &s->rx, &s->value));
        if (r == NART_ECLOSED || r == -ECANCELED)
            break;
        CHECK_RES(r, 0);
        CHECK_EQ(s->value, s->next);
    }
    nart_rx_close(&s->rx);
    NART_END((nart_res)s->next);
}

static void side_drop(void *frame)
{
    struct side *s = frame;
    nart_tx_close(&s->tx);
    nart_rx_close(&s->rx);
}

static const nart_task_type send_type = NART_TASK_TYPE(struct side, send_all, side_drop);
static const nart_task_type recv_type = NART_TASK_TYPE(struct side, recv_all, side_drop);

/* A sender on its own thread: a task that parks, or a plain thread that retries. */
struct sender {
    nart_tx tx;
    uint64_t count, seed, parks;
    nart_res res;
    bool plain;
};

static nart_res send_plain(struct sender *s)
{
    for (uint64_t i = 0; i < s->count; i++) {
        nart_res r;
        gap(&s->seed);
        while ((r = u64_try_send(&s->tx, i)) == -EAGAIN)
            sched_yield();
        if (r)
            return r;
    }
    return 0;
}

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    if (s->plain) {
        s->res = send_plain(s);
        nart_tx_close(&s->tx);
        return NULL;
    }
    nart_rt *rt = new_rt();
    struct side side = { .count = s->count, .seed = s->seed };
    nart_tx_move(&side.tx, &s->tx);
    CHECK_RES(nart_block_on(rt, &send_type, &side, &s->res), 0);
    s->parks = stats_of(rt).parks;
    CHECK_RES(nart_rt_free(rt), 0);
    return NULL;
}

enum { PLAIN = 1, BUSY = 2 };

/* Adds how often each side parked to *rx_parks and *tx_parks. */
static void stream(uint32_t kind, size_t capacity, uint64_t count, unsigned how, uint64_t *rx_parks,
                   uint64_t *tx_parks)
{
    nart_rt *rt = NEW_RT(.flags = how & BUSY ? NART_RT_SPINNING : 0);
    nart_chan_opts o = { sizeof o, kind, how & BUSY ? NART_CHAN_SPINNING : 0, 8, capacity, NULL };
    struct sender s = { .count = count, .seed = capacity, .plain = how & PLAIN };
    struct side side = { .count = UINT64_MAX, .seed = capacity + 1 };
    nart_res got = 0;

    CHECK_RES(nart_chan_open(rt, &o, &s.tx, &side.rx), 0);
    pthread_t t = thread_start(sender_main, &s);
    CHECK_RES(nart_block_on(rt, &recv_type, &side, &got), 0);
    thread_join(t);
    CHECK_RES(s.res, 0);
    CHECK_EQ(got, count);
    *rx_parks += stats_of(rt).parks;
    *tx_parks += s.parks;
    CHECK_RES(nart_rt_free(rt), 0);
}

/* A million values between two loops that park, through narrow and wide channels. */
TEST_EACH(two_loops_that_park, SPSC, MPSC)
{
    uint64_t rx = 0, tx = 0;
    stream(kind, 1, test_repeat(50000), 0, &rx, &tx);
    stream(kind, 2, test_repeat(150000), 0, &rx, &tx);
    stream(kind, 64, test_repeat(800000), 0, &rx, &tx);
    CHECK_LE(1, rx); /* else nothing was tested; how often depends on the scheduler */
    CHECK_LE(1, tx);
}

/* From a sender without a loop to a receiver that parks. */
static void plain_sender(uint32_t kind)
{
    uint64_t rx = 0, tx = 0;
    stream(kind, 1, test_repeat(50000), PLAIN, &rx, &tx);
    stream(kind, 64, test_repeat(1000000), PLAIN, &rx, &tx);
    CHECK_LE(1, rx);
}

TEST(spsc_plain_sender)
{
    uint64_t rx = 0, tx = 0;
    plain_sender(SPSC);
    stream(SPSC, 4096, test_repeat(9000000), PLAIN, &rx, &tx); /* ten million including these */
}

TEST(mpsc_plain_sender)
{
    plain_sender(MPSC);
}

/* A spinning receiver; the sender retries or parks. */
TEST_EACH(spinning_receiver, SPSC, MPSC)
{
    uint64_t rx = 0, tx = 0;
    stream(kind, 64, test_repeat(200000), PLAIN | BUSY, &rx, &tx);
    stream(kind, 2, test_repeat(20000), BUSY, &rx, &tx);
    stream(kind, 64, test_repeat(200000), BUSY, &rx, &tx);
    CHECK_EQ(rx, 0);
    CHECK_LE(1, tx);
}

/* A receiver without a loop, from a sender that parks: each freed slot wakes it at once. */
TEST_EACH(plain_receiver, SPSC, MPSC)
{
    nart_rt *rt = new_rt();
    struct sender s = { .count = 200000, .seed = 9 };
    uint64_t seed = 10, next = 0, value = 0;
    nart_rx rx;
    nart_res r;

    CHECK_RES(u64_open(rt, kind, 8, &s.tx, &rx), 0);
    CHECK_RES(nart_rx_bind(&rx, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    pthread_t t = thread_start(sender_main, &s);
    while ((r = u64_try_recv(&rx, &value)) != NART_ECLOSED) {
        if (r == -EAGAIN) {
            sched_yield();
            continue;
        }
        CHECK_EQ(value, next);
        next++;
        gap(&seed);
    }
    thread_join(t);
    CHECK_RES(s.res, 0);
    CHECK_EQ(next, s.count);
    CHECK_LE(1, s.parks);
    nart_rx_close(&rx);
}

/* ---- a receiver that moves between threads ---- */

enum { ROUNDS = 500, PER_ROUND = 200 };

struct relay {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    nart_rx rx;
    int round;
};

/* Receives PER_ROUND values in every second round on its own runtime, then hands over. */
static void relay_take(struct relay *y, int odd)
{
    nart_rt *rt = new_rt();

    for (int round = odd; round < ROUNDS; round += 2) {
        uint64_t first = (uint64_t)round * PER_ROUND;
        struct side side = { .count = first + PER_ROUND, .next = first, .seed = first };
        struct op op;
        CHECK_EQ(pthread_mutex_lock(&y->lock), 0);
        while (y->round != round)
            CHECK_EQ(pthread_cond_wait(&y->moved, &y->lock), 0);
        CHECK_RES(nart_rx_bind(&y->rx, rt), 0);
        for (; side.next < side.count; side.next++) {
            recv_start(rt, &op, &y->rx);
            while (op.res == NART_PENDING)
                CHECK(nart_rt_poll(rt, NART_NEVER) >= 0);
            CHECK_RES(op.res, 0);
            CHECK_EQ(op.value, side.next);
        }
        CHECK_RES(nart_rx_bind(&y->rx, NULL), 0);
        y->round++;
        CHECK_EQ(pthread_cond_signal(&y->moved), 0);
        CHECK_EQ(pthread_mutex_unlock(&y->lock), 0);
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

static void *relay_main(void *arg)
{
    relay_take(arg, 1);
    return NULL;
}

TEST_EACH(receiver_handed_over, SPSC, MPSC)
{
    struct relay y = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };
    struct sender s = { .count = (uint64_t)ROUNDS * PER_ROUND, .seed = 3 };
    nart_rt *rt = new_rt();

    CHECK_RES(u64_open(rt, kind, 16, &s.tx, &y.rx), 0);
    CHECK_RES(nart_rx_bind(&y.rx, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    pthread_t from = thread_start(sender_main, &s), other = thread_start(relay_main, &y);
    relay_take(&y, 0);
    thread_join(other);
    thread_join(from);
    CHECK_RES(s.res, 0);
    CHECK_NO_NEXT(&y.rx, NART_ECLOSED);
    nart_rx_close(&y.rx);
}

/* ---- closing at any moment ---- */

static long dropped;

static void token_drop(void *value)
{
    CHECK_EQ(*(uint64_t *)value >> 32, 0xabcd);
    __atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
}

enum { BATCH = 500 };

/* Many short channels that two threads work through in sequence. */
struct batch {
    nart_tx tx[BATCH];
    nart_rx rx[BATCH];
    pthread_barrier_t barrier;
    int count;
    long sent, received;
};

static void *closer_main(void *arg)
{
    struct batch *b = arg;
    uint64_t seed = 11;

    for (int n = 0; n < b->count; n++) {
        pthread_barrier_wait(&b->barrier);
        for (int i = 0; i < BATCH; i++) {
            gap(&seed); /* the receiver catches up and waits at this one */
            uint64_t count = random_below(&seed, 7);
            for (uint64_t v = 0; v < count; v++) {
                nart_res r;
                while ((r = u64_try_send(&b->tx[i], UINT64_C(0xabcd) << 32 | v)) == -EAGAIN)
                    sched_yield();
                if (r) {
                    CHECK_RES(r, NART_ECLOSED);
                    break;
                }
                b->sent++;
            }
            nart_tx_close(&b->tx[i]);
        }
        pthread_barrier_wait(&b->barrier);
    }
    return NULL;
}

/* Many channels: values sent before the close are received before NART_ECLOSED; values never
 * received are dropped once; each block is freed once. */
TEST_EACH(closing_races, SPSC, MPSC)
{
    static struct batch b;
    nart_rt *rt = new_rt();
    uint64_t seed = 12;
    long early = 0;

    b.count = (int)test_repeat(2000);
    CHECK_EQ(pthread_barrier_init(&b.barrier, NULL, 2), 0);
    pthread_t t = thread_start(closer_main, &b);
    for (int n = 0; n < b.count; n++) {
        nart_chan_opts o = { sizeof o, kind, 0, 8, 1 + random_below(&seed, 4), token_drop };
        for (int i = 0; i < BATCH; i++)
            CHECK_RES(nart_chan_open(rt, &o, &b.tx[i], &b.rx[i]), 0);
        long sent_before = b.sent, got = 0;
        bool all = true;
        pthread_barrier_wait(&b.barrier);
        for (int i = 0; i < BATCH; i++) {
            long most = random_below(&seed, 4) ? LONG_MAX : (long)random_below(&seed, 4);
            uint64_t next = 0, value = 0;
            nart_res r = 0;
            for (int idle = 0; (long)next < most; idle++) {
                r = u64_try_recv(&b.rx[i], &value);
                if (r == NART_ECLOSED)
                    break;
                if (r == 0)
                    CHECK_EQ(value, UINT64_C(0xabcd) << 32 | next++);
                else if (idle % 256 == 255)
                    sched_yield();
            }
            got += (long)next;
            if (r != NART_ECLOSED) {
                all = false;
                early++;
            }
            nart_rx_close(&b.rx[i]);
        }
        pthread_barrier_wait(&b.barrier);
        b.received += got;
        CHECK_EQ(b.sent, b.received + dropped);
        CHECK(!all || b.sent - sent_before == got);
    }
    thread_join(t);
    CHECK_LE(1, early);
    pthread_barrier_destroy(&b.barrier);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Many channels: the receiver shuts and drains, or closes, while the sender sends. A value whose
 * send returned 0 is received, or dropped before the sender closes. */
static bool drained[BATCH];

static void shut_drop(void *value)
{
    CHECK(!__atomic_load_n(&drained[*(uint64_t *)value >> 32], __ATOMIC_RELAXED));
    __atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
}

static void *shut_sender_main(void *arg)
{
    struct batch *b = arg;
    uint64_t seed = 31;

    for (int n = 0; n < b->count; n++) {
        pthread_barrier_wait(&b->barrier);
        for (int i = 0; i < BATCH; i++) {
            nart_res r = 0;
            gap(&seed);
            for (uint64_t v = 1; r != NART_ECLOSED; v += r == 0) {
                r = u64_try_send(&b->tx[i], (uint64_t)i << 32 | v);
                if (r == -EAGAIN)
                    sched_yield();
                else if (r)
                    CHECK_RES(r, NART_ECLOSED);
                b->sent += r == 0;
            }
        }
        pthread_barrier_wait(&b->barrier); /* the receiver counts */
        pthread_barrier_wait(&b->barrier);
        for (int i = 0; i < BATCH; i++)
            nart_tx_close(&b->tx[i]);
        pthread_barrier_wait(&b->barrier);
    }
    return NULL;
}

static uint64_t take_some(nart_rx *rx, uint64_t i, uint64_t seed)
{
    uint64_t next = 0, value;
    uint64_t most = seed % 5;

    for (int tries = 0; next < most && tries < 1000; tries++)
        if (u64_try_recv(rx, &value) == 0)
            CHECK_EQ(value, i << 32 | next++);
    __atomic_store_n(&drained[i], seed % 2, __ATOMIC_RELAXED);
    if (seed % 2) {
        nart_res r;
        nart_rx_shut(rx);
        while ((r = u64_try_recv(rx, &value)) != NART_ECLOSED)
            if (r == 0)
                CHECK_EQ(value, i << 32 | next++);
    }
    return next;
}

static void shut_races(uint32_t kind, uint32_t flags)
{
    static struct batch b;
    nart_rt *rt = NEW_RT(.flags = flags ? NART_RT_SPINNING : 0);
    uint64_t seed = 32;

    dropped = b.sent = b.received = 0;
    b.count = (int)test_repeat(flags ? 100 : 1000);
    CHECK_EQ(pthread_barrier_init(&b.barrier, NULL, 2), 0);
    pthread_t t = thread_start(shut_sender_main, &b);
    for (int n = 0; n < b.count; n++) {
        nart_chan_opts o = { sizeof o, kind, flags, 8, 1 + random_below(&seed, 4), shut_drop };
        for (int i = 0; i < BATCH; i++) {
            CHECK_RES(nart_chan_open(rt, &o, &b.tx[i], &b.rx[i]), 0);
            CHECK_RES(u64_try_send(&b.tx[i], (uint64_t)i << 32), 0); /* so that some are dropped */
            b.sent++;
        }
        pthread_barrier_wait(&b.barrier);
        for (int i = 0; i < BATCH; i++) {
            b.received += (long)take_some(&b.rx[i], (uint64_t)i, random_next(&seed));
            nart_rx_close(&b.rx[i]);
        }
        pthread_barrier_wait(&b.barrier);
        CHECK_EQ(b.sent, b.received + dropped);
        pthread_barrier_wait(&b.barrier);
        pthread_barrier_wait(&b.barrier);
    }
    thread_join(t);
    CHECK_EQ(b.sent, b.received + dropped);
    CHECK_LE(1, dropped);
    pthread_barrier_destroy(&b.barrier);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_EACH(shut_races, SPSC, MPSC)
{
    shut_races(kind, 0);
    shut_races(kind, NART_CHAN_SPINNING);
}

/* Without membarrier the sender exchanges a word per value, as for a receiver that parks. The type
 * is checked too: without the exchange a value is missed too rarely for a run to show it. */
TEST(spsc_shut_races_without_membarrier)
{
    const nart_chan_opts o = { sizeof o, SPSC, NART_CHAN_SPINNING, 8, 4, NULL };
    nart_rt *rt = NEW_RT(.flags = NART_RT_SPINNING);
    nart_tx tx;
    nart_rx rx;

    forbid_membarrier();
    CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
    CHECK_EQ(tx.type, NART__RING_TYPE(SPSC, 0, 8));
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
    shut_races(SPSC, 0);
    shut_races(SPSC, NART_CHAN_SPINNING);
}

/* Short streams between two tasks that park; the receiver or its runtime ends early, with the
 * sender at any point. The sender is always woken. */
TEST_EACH(receiver_ends_at_any_moment, SPSC, MPSC)
{
    uint64_t seed = 21;
    nart_res got;

    for (uint64_t n = test_repeat(2000); n > 0; n--) {
        nart_rt *rt = new_rt();
        struct sender s = { .count = UINT64_MAX, .seed = seed };
        struct side side = { .count = random_below(&seed, 200), .seed = seed };
        bool by_runtime = random_below(&seed, 2);
        CHECK_RES(u64_open(rt, kind, 1 + random_below(&seed, 8), &s.tx, &side.rx), 0);
        pthread_t t = thread_start(sender_main, &s);
        if (by_runtime) {
            side.count = UINT64_MAX;
            CHECK_RES(nart_rt_spawn(rt, &recv_type, &side, NULL), 0);
            for (uint32_t ticks = random_below(&seed, 50); ticks > 0; ticks--)
                CHECK(nart_rt_poll(rt, NART_MS) >= 0);
        } else {
            CHECK_RES(nart_block_on(rt, &recv_type, &side, &got), 0);
        }
        CHECK_RES(nart_rt_free(rt), 0);
        thread_join(t);
        CHECK_RES(s.res, NART_ECLOSED);
    }
}
