/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Byte channels between real threads: every message once, whole and in order, no waiter left
 * behind, closing and freeing at any moment on either side. A lost wake-up shows as a hang, which
 * the test's timeout ends. The memory orders are checked in tests/models. */
#include "bytes_test.h"
#include "no_membarrier.h"
#include "threads.h"

#include <sched.h>

static void gap(uint64_t *seed)
{
    thread_gap(seed, 64);
}

/* ---- messages of words: the producer, the message number, and that number in every other word
 * ---- */

enum { PRODUCERS = 4, WORDS_MAX = 12 };

static size_t words_of(uint64_t number)
{
    return (size_t)(2 + (number * 2654435761u >> 7) % (WORDS_MAX - 1));
}

static void words_write(uint64_t *words, uint64_t who, uint64_t number)
{
    size_t n = words_of(number);

    words[0] = who;
    for (size_t i = 1; i < n; i++)
        words[i] = number * (i | 1);
}

/* The receiver's record of each producer. */
struct seen {
    uint64_t next[PRODUCERS];
    uint64_t count;
};

static void words_check(struct seen *seen, const nart_bytes_msg *msg)
{
    const uint64_t *words = msg->ptr;
    uint64_t who = words[0];

    CHECK_LE(who, PRODUCERS - 1);
    uint64_t number = seen->next[who]++;
    size_t n = words_of(number);
    CHECK_EQ(msg->len, n * sizeof *words);
    for (size_t i = 1; i < n; i++)
        CHECK_EQ(words[i], number * (i | 1));
    seen->count++;
}

/* ---- a producer: a task that parks, or a plain thread that retries ---- */

struct producer {
    nart_bytes_tx tx;
    uint64_t who, count, seed, parks;
    nart_res res;
    bool plain, impatient;
};

struct producing {
    nart_co co;
    struct producer *p;
    nart_bytes_buf buf;
    uint64_t next, aborted;
    int64_t limit;
};

/* Sometimes aborts a claim and makes it again; an impatient producer cancels most waits at once. */
static nart_res produce(nart_cx *cx, void *frame)
{
    struct producing *f = frame;
    struct producer *p = f->p;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (f->next < p->count) {
        gap(&p->seed);
        f->limit = p->impatient && random_below(&p->seed, 4) ? 0 : NART_NEVER;
        NART_AWAIT_FOR(r, f->limit,
                       nart_bytes_claim(cx, &p->tx, words_of(f->next) * sizeof(uint64_t), &f->buf));
        if (r == -ETIMEDOUT)
            continue;
        if (r)
            break;
        words_write(f->buf.ptr, p->who, f->next);
        if (random_below(&p->seed, 16) == 0) {
            CHECK_RES(nart_bytes_abort(&p->tx, &f->buf), 0);
            continue;
        }
        CHECK_RES(nart_bytes_commit(&p->tx, &f->buf), 0);
        f->next++;
    }
    nart_bytes_tx_close(&p->tx);
    NART_END(r);
}

static const nart_task_type produce_type = NART_TASK_TYPE(struct producing, produce, NULL);

static nart_res produce_plain(struct producer *p)
{
    uint64_t words[WORDS_MAX];

    for (uint64_t n = 0; n < p->count; n++) {
        nart_res r;
        gap(&p->seed);
        words_write(words, p->who, n);
        while ((r = nart_bytes_try_send(&p->tx, words, words_of(n) * sizeof *words)) == -EAGAIN)
            sched_yield();
        if (r)
            return r;
    }
    return 0;
}

static void *producer_main(void *arg)
{
    struct producer *p = arg;

    if (p->plain) {
        p->res = produce_plain(p);
        nart_bytes_tx_close(&p->tx);
        return NULL;
    }
    nart_rt *rt = new_rt();
    CHECK_RES(nart_block_on(rt, &produce_type, &(struct producing){ .p = p }, &p->res), 0);
    p->parks = stats_of(rt).parks;
    CHECK_RES(nart_rt_free(rt), 0);
    return NULL;
}

/* ---- the receiver ---- */

struct consuming {
    nart_co co;
    nart_bytes_rx *rx;
    struct seen *seen;
    nart_bytes_msg msg;
    uint64_t seed;
};

static nart_res consume(nart_cx *cx, void *frame)
{
    struct consuming *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        gap(&f->seed);
        NART_AWAIT(r, nart_bytes_recv(cx, f->rx, &f->msg));
        if (r)
            break;
        words_check(f->seen, &f->msg);
        CHECK_RES(nart_bytes_release(f->rx, &f->msg), 0);
    }
    NART_END(r);
}

static const nart_task_type consume_type = NART_TASK_TYPE(struct consuming, consume, NULL);

enum { PLAIN = 1, BUSY = 2, IMPATIENT = 4 };

/* Sends `count` messages in total from `producers` producers; counts how often each side parked. */
static void stream(uint32_t kind, size_t capacity, unsigned producers, uint64_t count, unsigned how,
                   uint64_t *rx_parks, uint64_t *tx_parks)
{
    nart_rt *rt = NEW_RT(.flags = how & BUSY ? NART_RT_SPINNING : 0);
    nart_bytes_opts o = { sizeof o, kind, how & BUSY ? NART_BYTES_SPINNING : 0, capacity, 0 };
    struct producer p[PRODUCERS] = { 0 };
    pthread_t thread[PRODUCERS];
    struct seen seen = { 0 };
    nart_bytes_rx rx;
    nart_res r = 0;

    CHECK_RES(nart_bytes_open(rt, &o, &p[0].tx, &rx), 0);
    for (unsigned i = 0; i < producers; i++) {
        p[i].who = i;
        p[i].count = count / producers;
        p[i].seed = i + capacity;
        p[i].plain = how & PLAIN;
        p[i].impatient = how & IMPATIENT;
        if (i > 0)
            CHECK_RES(nart_bytes_tx_clone(&p[0].tx, &p[i].tx), 0);
    }
    for (unsigned i = 0; i < producers; i++)
        thread[i] = thread_start(producer_main, &p[i]);
    struct consuming f = { .rx = &rx, .seen = &seen, .seed = capacity };
    CHECK_RES(nart_block_on(rt, &consume_type, &f, &r), 0);
    CHECK_RES(r, NART_ECLOSED);
    for (unsigned i = 0; i < producers; i++) {
        thread_join(thread[i]);
        CHECK_RES(p[i].res, 0);
        CHECK_EQ(seen.next[i], p[i].count);
        *tx_parks += p[i].parks;
    }
    CHECK_EQ(seen.count, count / producers * producers);
    *rx_parks += stats_of(rt).parks;
    nart_bytes_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Ten million messages from one thread to another. */
TEST(spsc_between_two_loops)
{
    uint64_t rx = 0, tx = 0;
    stream(SPSC, 128, 1, test_repeat(200000), 0, &rx, &tx);
    stream(SPSC, 65536, 1, test_repeat(9800000), 0, &rx, &tx);
    CHECK_LE(1, rx); /* else nothing was tested; how often depends on the scheduler */
    CHECK_LE(1, tx);
}

/* Ten million messages from four producers. */
TEST(mpsc_of_four_loops)
{
    uint64_t rx = 0, tx = 0;
    stream(MPSC, 128, PRODUCERS, test_repeat(200000), 0, &rx, &tx);
    stream(MPSC, 1 << 20, PRODUCERS, test_repeat(9800000), 0, &rx, &tx);
    CHECK_LE(1, rx);
    CHECK_LE(1, tx);
}

/* Producers that keep cancelling their waits. */
TEST(impatient_producers)
{
    uint64_t rx = 0, tx = 0;
    stream(SPSC, 128, 1, test_repeat(100000), IMPATIENT, &rx, &tx);
    stream(MPSC, 128, PRODUCERS, test_repeat(200000), IMPATIENT, &rx, &tx);
    CHECK_LE(1, rx);
}

/* Producers without a loop, to a receiver that parks. */
TEST(plain_producers)
{
    uint64_t rx = 0, tx = 0;
    stream(SPSC, 256, 1, test_repeat(500000), PLAIN, &rx, &tx);
    stream(MPSC, 256, PRODUCERS, test_repeat(500000), PLAIN, &rx, &tx);
    CHECK_LE(1, rx);
}

/* A spinning receiver; the producers retry or park. */
TEST(spinning_receiver)
{
    uint64_t rx = 0, tx = 0;
    stream(SPSC, 4096, 1, test_repeat(200000), BUSY | PLAIN, &rx, &tx);
    stream(SPSC, 128, 1, test_repeat(20000), BUSY, &rx, &tx);
    stream(MPSC, 4096, PRODUCERS, test_repeat(100000), BUSY, &rx, &tx);
    CHECK_EQ(rx, 0);
    CHECK_LE(1, tx);
}

/* ---- a receiver without a loop, which wakes the senders at each release ---- */

TEST_EACH(plain_receiver, SPSC, MPSC)
{
    nart_rt *rt = new_rt();
    nart_bytes_opts o = { sizeof o, kind, 0, 256, 0 };
    struct producer p = { .count = test_repeat(200000), .seed = kind };
    struct seen seen = { 0 };
    uint64_t seed = 10;
    nart_bytes_rx rx;
    nart_bytes_msg msg;
    nart_res r;

    CHECK_RES(nart_bytes_open(rt, &o, &p.tx, &rx), 0);
    CHECK_RES(nart_bytes_rx_bind(&rx, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    pthread_t t = thread_start(producer_main, &p);
    while ((r = nart_bytes_try_recv(&rx, &msg)) != NART_ECLOSED) {
        if (r == -EAGAIN) {
            sched_yield();
            continue;
        }
        words_check(&seen, &msg);
        CHECK_RES(nart_bytes_release(&rx, &msg), 0);
        gap(&seed);
    }
    thread_join(t);
    CHECK_RES(p.res, 0);
    CHECK_EQ(seen.count, p.count);
    nart_bytes_rx_close(&rx);
}

/* ---- closing at any moment ---- */

enum { BATCH = 2000 };

/* Many short channels that two threads work through in sequence. */
struct batch {
    nart_bytes_tx tx[BATCH];
    nart_bytes_rx rx[BATCH];
    pthread_barrier_t barrier;
    int count;
    uint64_t sent, received;
};

static void *closer_main(void *arg)
{
    struct batch *b = arg;
    uint64_t seed = 11;

    for (int n = 0; n < b->count; n++) {
        (void)pthread_barrier_wait(&b->barrier);
        for (uint32_t i = random_below(&seed, 4); i > 0; i--)
            b->sent += nart_bytes_try_send(&b->tx[n], "message", 7) == 0;
        if (random_below(&seed, 4) == 0) {
            nart_bytes_buf buf;
            (void)!nart_bytes_try_claim(&b->tx[n], 5, &buf);
        }
        nart_bytes_tx_close(&b->tx[n]);
    }
    return NULL;
}

struct ending {
    nart_co co;
    nart_bytes_rx *rx;
    nart_bytes_msg msg;
    uint64_t count;
};

static nart_res receive_to_the_end(nart_cx *cx, void *frame)
{
    struct ending *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_bytes_recv(cx, f->rx, &f->msg));
        if (r)
            break;
        CHECK_EQ(memcmp(f->msg.ptr, "message", 7), 0);
        CHECK_RES(nart_bytes_release(f->rx, &f->msg), 0);
        f->count++;
    }
    CHECK_RES(r, NART_ECLOSED);
    NART_END((nart_res)f->count);
}

static const nart_task_type ending_type = NART_TASK_TYPE(struct ending, receive_to_the_end, NULL);

/* Every message sent before the close is received before NART_ECLOSED, whether the receiver parks,
 * waits or tries; or the receiver closes at the same time: then the block is freed once, by
 * whichever side is last. */
TEST_EACH(both_sides_close_at_any_moment, SPSC, MPSC)
{
    static struct batch b;
    nart_rt *rt = new_rt();
    uint64_t seed = kind, given_up = 0;

    memset(&b, 0, sizeof b);
    b.count = (int)test_repeat(BATCH);
    CHECK_EQ(pthread_barrier_init(&b.barrier, NULL, 2), 0);
    for (int n = 0; n < b.count; n++) {
        nart_bytes_opts o = { sizeof o, kind, 0, 128, 0 };
        CHECK_RES(nart_bytes_open(rt, &o, &b.tx[n], &b.rx[n]), 0);
    }
    pthread_t t = thread_start(closer_main, &b);
    for (int n = 0; n < b.count; n++) {
        nart_res got = 0;
        bool gives_up = random_below(&seed, 4) == 0;
        (void)pthread_barrier_wait(&b.barrier);
        if (gives_up) {
            given_up++;
            nart_bytes_rx_close(&b.rx[n]);
            continue;
        }
        CHECK_RES(nart_block_on(rt, &ending_type, &(struct ending){ .rx = &b.rx[n] }, &got), 0);
        b.received += (uint64_t)got;
        nart_bytes_rx_close(&b.rx[n]);
    }
    thread_join(t);
    CHECK_LE(b.received, b.sent);
    CHECK_LE(b.sent, b.received + 3 * given_up);
    CHECK_EQ(pthread_barrier_destroy(&b.barrier), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* The receiver closes while producers wait for space. */
TEST(receiver_closes_on_parked_producers)
{
    uint64_t seed = 5;
    for (uint64_t n = 0; n < test_repeat(400); n++) {
        nart_rt *rt = new_rt();
        nart_bytes_opts o = { sizeof o, MPSC, 0, 128, 0 };
        struct producer p[PRODUCERS] = { 0 };
        pthread_t thread[PRODUCERS];
        nart_bytes_rx rx;

        CHECK_RES(nart_bytes_open(rt, &o, &p[0].tx, &rx), 0);
        for (unsigned i = 1; i < PRODUCERS; i++)
            CHECK_RES(nart_bytes_tx_clone(&p[0].tx, &p[i].tx), 0);
        for (unsigned i = 0; i < PRODUCERS; i++) {
            p[i].who = i;
            p[i].count = UINT64_MAX;
            p[i].seed = n + i;
            thread[i] = thread_start(producer_main, &p[i]);
        }
        for (uint32_t left = random_below(&seed, 50); left > 0;) {
            nart_bytes_msg msg;
            if (nart_bytes_try_recv(&rx, &msg) == 0) {
                CHECK_RES(nart_bytes_release(&rx, &msg), 0);
                left--;
            } else {
                sched_yield();
            }
        }
        nart_bytes_rx_close(&rx);
        for (unsigned i = 0; i < PRODUCERS; i++) {
            thread_join(thread[i]);
            CHECK_RES(p[i].res, NART_ECLOSED);
        }
        CHECK_RES(nart_rt_free(rt), 0);
    }
}

/* ---- a receiver that shuts while the sender sends ---- */

enum { SHUTS = 500 };

struct shuts {
    nart_bytes_tx tx[SHUTS];
    nart_bytes_rx rx[SHUTS];
    pthread_barrier_t barrier;
    uint64_t sent;
};

static void *shut_sender_main(void *arg)
{
    struct shuts *s = arg;
    uint64_t seed = 41;

    (void)pthread_barrier_wait(&s->barrier);
    for (int i = 0; i < SHUTS; i++) {
        nart_res r = 0;
        gap(&seed);
        while (r != NART_ECLOSED) {
            r = nart_bytes_try_send(&s->tx[i], &s->sent, sizeof s->sent);
            if (r == -EAGAIN)
                sched_yield();
            else if (r)
                CHECK_RES(r, NART_ECLOSED);
            s->sent += r == 0;
        }
    }
    (void)pthread_barrier_wait(&s->barrier); /* keeps its ends open until everything is counted */
    for (int i = 0; i < SHUTS; i++)
        nart_bytes_tx_close(&s->tx[i]);
    return NULL;
}

/* Messages arrive in order, across channels as well: so none is missed when the receiver gets
 * NART_ECLOSED while the sender is open. */
static uint64_t receive_all(nart_bytes_rx *rx, uint64_t next, uint32_t tries)
{
    nart_bytes_msg msg;
    nart_res r = 0;

    while (r != NART_ECLOSED) {
        if (tries > 0 && --tries == 0)
            nart_bytes_rx_shut(rx);
        r = nart_bytes_try_recv(rx, &msg);
        if (r)
            continue;
        CHECK_EQ(*(const uint64_t *)msg.ptr, next++);
        CHECK_RES(nart_bytes_release(rx, &msg), 0);
    }
    return next;
}

static void shut_at_any_moment(uint32_t kind)
{
    for (uint64_t n = test_repeat(200); n > 0; n--) {
        static struct shuts s;
        bool spinning = n % 2;
        nart_rt *rt = NEW_RT(.flags = spinning ? NART_RT_SPINNING : 0);
        uint64_t seed = n, received = 0;

        memset(&s, 0, sizeof s);
        CHECK_EQ(pthread_barrier_init(&s.barrier, NULL, 2), 0);
        for (int i = 0; i < SHUTS; i++) {
            nart_bytes_opts o = { sizeof o, kind, spinning ? NART_BYTES_SPINNING : 0, 64, 0 };
            CHECK_RES(nart_bytes_open(rt, &o, &s.tx[i], &s.rx[i]), 0);
        }
        pthread_t t = thread_start(shut_sender_main, &s);
        (void)pthread_barrier_wait(&s.barrier);
        for (int i = 0; i < SHUTS; i++)
            received = receive_all(&s.rx[i], received, 1 + random_below(&seed, 20));
        (void)pthread_barrier_wait(&s.barrier);
        thread_join(t);
        CHECK_EQ(received, s.sent);
        for (int i = 0; i < SHUTS; i++)
            nart_bytes_rx_close(&s.rx[i]);
        CHECK_EQ(pthread_barrier_destroy(&s.barrier), 0);
        CHECK_RES(nart_rt_free(rt), 0);
    }
}

TEST_EACH(receiver_shuts_at_any_moment, SPSC, MPSC)
{
    shut_at_any_moment(kind);
}

/* Without membarrier the sender claims with a locked instruction, as in MPSC. The type is checked
 * too: without that instruction a claim is missed too rarely for a run to show it. */
TEST(receiver_shuts_at_any_moment_without_membarrier)
{
    const nart_bytes_opts o = { .size = sizeof o, .kind = NART_BYTES_SPSC, .capacity = 64 };
    nart_rt *rt = new_rt();
    nart_bytes_tx tx;
    nart_bytes_rx rx;

    forbid_membarrier();
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), 0);
    CHECK(tx.ring->mpsc);
    nart_bytes_tx_close(&tx);
    nart_bytes_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
    shut_at_any_moment(NART_BYTES_SPSC);
}
