/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads without a loop that sleep in a channel: values, ends, time, misuse, signals, and wakers on
 * stacks that are gone at once. */
#include "chan_test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

static nart_res send(nart_tx *tx, uint64_t value, int64_t timeout_ns)
{
    return nart_send_blocking(tx, &value, timeout_ns);
}

struct sender {
    nart_tx tx;
    uint64_t from, count;
    int64_t patience; /* for one try */
    uint64_t timeouts;
    nart_res res;
    pthread_t thread;
};

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    for (uint64_t i = 0; i < s->count && s->res == 0; i++) {
        while ((s->res = send(&s->tx, s->from + i, s->patience)) == -ETIMEDOUT)
            s->timeouts++;
    }
    nart_tx_close(&s->tx);
    return NULL;
}

static void begin(struct sender *s)
{
    CHECK_EQ(pthread_create(&s->thread, NULL, sender_main, s), 0);
}

static void end(struct sender *s)
{
    CHECK_EQ(pthread_join(s->thread, NULL), 0);
}

/* ---- streams ---- */

struct reader {
    nart_co co;
    nart_rx *rx;
    uint64_t value, next;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *v = *(struct reader **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &v->co);
    for (;; v->next++) {
        NART_AWAIT(r, u64_recv(cx, v->rx, &v->value));
        if (r)
            break;
        CHECK_EQ(v->value, v->next);
    }
    NART_END(r);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader *, reader_run, NULL);

static void to_task(uint32_t kind, size_t capacity, uint64_t count, int64_t patience)
{
    struct chan c;
    chan_open(&c, kind, capacity);
    struct reader v = { .rx = &c.rx }, *frame = &v;
    struct sender s = { .count = count, .patience = patience };
    nart_res res = 0;

    nart_tx_move(&s.tx, &c.tx);
    begin(&s);
    CHECK_RES(nart_block_on(c.rt, &reader_type, &frame, &res), 0);
    CHECK_RES(res, NART_ECLOSED);
    end(&s);
    CHECK_RES(s.res, 0);
    CHECK_EQ(v.next, count);
    chan_finish(&c);
}

/* A thread sends to a task. */
TEST_EACH(thread_to_task, SPSC, MPSC)
{
    to_task(kind, 1, test_repeat(20000), NART_NEVER);
    to_task(kind, 64, test_repeat(500000), NART_NEVER);
    to_task(kind, 1, test_repeat(20000), 2000);
}

static void to_thread(uint32_t kind, size_t capacity, uint64_t count, int64_t patience, int senders)
{
    struct chan c;
    struct sender s[4];
    uint64_t next[4] = { 0 }, value = 0, got = 0;
    nart_res r;

    chan_open(&c, kind, capacity);
    CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
    for (int i = 0; i < senders; i++) {
        s[i] = (struct sender){ .from = (uint64_t)i << 32, .count = count, .patience = patience };
        if (i == senders - 1)
            nart_tx_move(&s[i].tx, &c.tx);
        else
            CHECK_RES(nart_tx_clone(&c.tx, &s[i].tx), 0);
    }
    for (int i = 0; i < senders; i++)
        begin(&s[i]);
    for (;;) {
        r = nart_recv_blocking(&c.rx, &value, patience);
        if (r == -ETIMEDOUT)
            continue;
        if (r)
            break;
        CHECK_LE(value >> 32, (uint64_t)senders - 1);
        CHECK_EQ((uint32_t)value, next[value >> 32]);
        next[value >> 32]++;
        got++;
    }
    CHECK_RES(r, NART_ECLOSED);
    CHECK_EQ(got, count * (uint64_t)senders);
    for (int i = 0; i < senders; i++) {
        end(&s[i]);
        CHECK_RES(s[i].res, 0);
    }
    chan_finish(&c);
}

/* Threads on both sides, that wait as long as it takes, and that give up again and again: the waker
 * of a wait that is over lies in memory that the next call uses. */
TEST_EACH(thread_to_thread, SPSC, MPSC)
{
    to_thread(kind, 1, test_repeat(20000), NART_NEVER, 1);
    to_thread(kind, 16, test_repeat(300000), NART_NEVER, 1);
    to_thread(kind, 1, test_repeat(20000), 1000, 1);
}

TEST(mpsc_threads_to_thread)
{
    to_thread(MPSC, 1, test_repeat(5000), NART_NEVER, 4);
    to_thread(MPSC, 4, test_repeat(50000), NART_NEVER, 4);
    to_thread(MPSC, 2, test_repeat(10000), 1000, 4);
}

/* ---- time ---- */

TEST_EACH(times_out, SPSC, MPSC)
{
    struct chan c;
    uint64_t value = 0;
    struct timespec before, after;

    chan_open(&c, kind, 1);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 0), -ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 3 * NART_MS), -ETIMEDOUT);
    CHECK_RES(send(&c.tx, 1, 0), 0);
    CHECK_RES(send(&c.tx, 2, 0), -ETIMEDOUT);
    CHECK_RES(send(&c.tx, 2, 3 * NART_MS), -ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &after); /* never early */
    CHECK_LE(6 * NART_MS,
             (after.tv_sec - before.tv_sec) * NART_SEC + after.tv_nsec - before.tv_nsec);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 0), 0);
    CHECK_EQ(value, 1);
    CHECK_RES(send(&c.tx, 3, NART_NEVER), 0); /* nobody is left in a queue */
    CHECK_NEXT(&c.rx, 3);
    chan_finish(&c);
}

/* ---- ends ---- */

struct closer {
    nart_tx *tx;
    nart_rx *rx;
    uint64_t *value;
    nart_res res;
};

static void *sleeping_send(void *arg)
{
    struct closer *c = arg;
    c->res = send(c->tx, 9, NART_NEVER);
    return NULL;
}

static void *sleeping_recv(void *arg)
{
    struct closer *c = arg;
    c->res = nart_recv_blocking(c->rx, c->value, NART_NEVER);
    return NULL;
}

TEST_EACH(told_of_the_end, SPSC, MPSC)
{
    for (uint64_t n = test_repeat(1000); n > 0; n--) {
        struct chan c;
        uint64_t value = 0;
        pthread_t t;
        chan_open(&c, kind, 1);
        CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
        struct closer r = { .rx = &c.rx, .value = &value }, s = { .tx = &c.tx };
        CHECK_EQ(pthread_create(&t, NULL, sleeping_recv, &r), 0);
        if (n % 2)
            sched_yield();
        nart_tx_close(&c.tx);
        CHECK_EQ(pthread_join(t, NULL), 0);
        CHECK_RES(r.res, NART_ECLOSED);
        nart_rx_close(&c.rx);
        CHECK_RES(u64_open(c.rt, kind, 1, &c.tx, &c.rx), 0);
        CHECK_RES(u64_try_send(&c.tx, 1), 0);
        CHECK_EQ(pthread_create(&t, NULL, sleeping_send, &s), 0);
        if (n % 2)
            sched_yield();
        if (n & 2)
            nart_rx_shut(&c.rx);
        else
            nart_rx_close(&c.rx);
        CHECK_EQ(pthread_join(t, NULL), 0);
        CHECK_RES(s.res, NART_ECLOSED);
        if (n & 2)
            CHECK_NEXT(&c.rx, 1);
        chan_finish(&c);
    }
}

/* ---- who may wait ---- */

struct asker {
    nart_co co;
    nart_rx *rx;
};

static nart_res asker_run(nart_cx *cx, void *frame)
{
    struct asker *a = frame;
    uint64_t value = 0;

    (void)cx;
    return nart_recv_blocking(a->rx, &value, NART_NEVER);
}

static const nart_task_type asker_type = NART_TASK_TYPE(struct asker, asker_run, NULL);

static void *recv_elsewhere(void *arg)
{
    uint64_t value = 0;
    CHECK_RES(nart_recv_blocking(arg, &value, NART_NEVER), NART_EWRONGTHREAD);
    return NULL;
}

TEST(a_local_channel_is_refused)
{
    struct chan c;
    uint64_t value = 0;

    chan_open(&c, LOCAL, 1);
    CHECK_RES(send(&c.tx, 1, 0), -EINVAL);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 0), -EINVAL);
    chan_finish(&c);
    CHECK_RES(send(&c.tx, 1, 0), NART_ECLOSED);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 0), NART_ECLOSED);
}

TEST_EACH(refusals, SPSC, MPSC)
{
    struct op op;
    nart_res res = 0;
    struct chan c;
    uint64_t value = 0;
    pthread_t t;
    chan_open(&c, kind, 1);
    struct asker a = { .rx = &c.rx };
    CHECK_RES(nart_block_on(c.rt, &asker_type, &a, &res), 0);
    CHECK_RES(res, -EDEADLK);
    CHECK_EQ(pthread_create(&t, NULL, recv_elsewhere, &c.rx), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 0), -EBUSY);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    settle(c.rt);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    send_start(c.rt, &op, &c.tx, 3);
    CHECK_RES(send(&c.tx, 4, NART_NEVER), -EBUSY);
    chan_finish(&c);

    nart_chan_opts o = { sizeof o, kind, NART_CHAN_SPINNING, 8, 1, NULL };
    c.rt = NEW_RT(.flags = NART_RT_SPINNING);
    CHECK_RES(nart_chan_open(c.rt, &o, &c.tx, &c.rx), 0);
    CHECK_RES(nart_recv_blocking(&c.rx, &value, 0), -EINVAL);
    CHECK_RES(send(&c.tx, 1, 0), 0);
    chan_finish(&c);
}

/* ---- signals ---- */

static int signals; /* lock-free: a handler may count */

static void count_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

/* A signal that ends the sleep ends no wait. */
TEST_EACH(signals_are_harmless, SPSC, MPSC)
{
    struct sigaction act = { .sa_handler = count_signal }, before;
    struct chan c;
    uint64_t value = 0;
    pthread_t t;

    CHECK_EQ(sigaction(SIGUSR1, &act, &before), 0);
    chan_open(&c, kind, 1);
    CHECK_RES(nart_rx_bind(&c.rx, NULL), 0);
    struct closer r = { .rx = &c.rx, .value = &value, .res = NART_PENDING };
    CHECK_EQ(pthread_create(&t, NULL, sleeping_recv, &r), 0);
    while (__atomic_load_n(&signals, __ATOMIC_RELAXED) < 20) {
        CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
        sched_yield();
    }
    CHECK_RES(u64_try_send(&c.tx, 5), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_RES(r.res, 0);
    CHECK_EQ(value, 5);
    chan_finish(&c);
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
}
