/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads without a loop that sleep in a channel of bytes: messages, ends, turns, time, misuse, and wakers
 * on stacks that are gone at once. A lost wake-up shows as a hang, which the test's time limit ends. */
#include "bytes_test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { SENDERS = 4, LEN = 24 };

/* ---- streams ---- */

struct message {
    uint64_t who, number, again;
};

_Static_assert(sizeof(struct message) == LEN, "the length of all messages here");

struct sender {
    nart_bytes_tx tx;
    uint64_t who, count;
    int64_t patience; /* for one try */
    nart_res res;
    pthread_t thread;
};

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    for (uint64_t i = 0; i < s->count && s->res == 0; i++) {
        struct message m = { s->who, i, i };
        do
            s->res = nart_bytes_send_blocking(&s->tx, &m, sizeof m, s->patience);
        while (s->res == -ETIMEDOUT);
    }
    nart_bytes_tx_close(&s->tx);
    return NULL;
}

static void begin(struct sender *s)
{
    CHECK_EQ(pthread_create(&s->thread, NULL, sender_main, s), 0);
}

static void end(struct sender *s)
{
    CHECK_EQ(pthread_join(s->thread, NULL), 0);
    CHECK_RES(s->res, 0);
}

/* Its sender's next, whole. */
static void check_next(const nart_bytes_msg *msg, uint64_t next[SENDERS])
{
    struct message m;

    CHECK_EQ(msg->len, sizeof m);
    memcpy(&m, msg->ptr, sizeof m);
    CHECK_LE(m.who, SENDERS - 1);
    CHECK_EQ(m.number, next[m.who]);
    CHECK_EQ(m.again, m.number);
    next[m.who]++;
}

static void start_senders(struct bytes *b, struct sender *s, unsigned senders, uint64_t count,
                          int64_t patience)
{
    for (unsigned i = 0; i < senders; i++) {
        s[i] = (struct sender){ .who = i, .count = count, .patience = patience };
        if (i == senders - 1)
            nart_bytes_tx_move(&s[i].tx, &b->tx);
        else
            CHECK_RES(nart_bytes_tx_clone(&b->tx, &s[i].tx), 0);
    }
    for (unsigned i = 0; i < senders; i++)
        begin(&s[i]);
}

struct reader {
    nart_co co;
    nart_bytes_rx *rx;
    nart_bytes_msg msg;
    uint64_t next[SENDERS];
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *v = *(struct reader **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &v->co);
    for (;;) {
        NART_AWAIT(r, nart_bytes_recv(cx, v->rx, &v->msg));
        if (r)
            break;
        check_next(&v->msg, v->next);
        CHECK_RES(nart_bytes_release(v->rx, &v->msg), 0);
    }
    NART_END(r);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader *, reader_run, NULL);

static void to_task(uint32_t kind, unsigned senders, size_t capacity, uint64_t count,
                    int64_t patience)
{
    struct bytes b;
    struct sender s[SENDERS];
    nart_res res = 0;

    bytes_open(&b, kind, capacity);
    struct reader v = { .rx = &b.rx }, *frame = &v;
    start_senders(&b, s, senders, count, patience);
    CHECK_RES(nart_block_on(b.rt, &reader_type, &frame, &res), 0);
    CHECK_RES(res, NART_ECLOSED);
    for (unsigned i = 0; i < senders; i++) {
        end(&s[i]);
        CHECK_EQ(v.next[i], count);
    }
    bytes_finish(&b);
}

static void to_thread(uint32_t kind, unsigned senders, size_t capacity, uint64_t count,
                      int64_t patience)
{
    struct bytes b;
    struct sender s[SENDERS];
    uint64_t next[SENDERS] = { 0 };
    nart_bytes_msg msg;
    nart_res r;

    bytes_open(&b, kind, capacity);
    CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), 0);
    start_senders(&b, s, senders, count, patience);
    while ((r = nart_bytes_recv_blocking(&b.rx, &msg, patience)) == 0 || r == -ETIMEDOUT) {
        if (r)
            continue;
        check_next(&msg, next);
        CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
    }
    CHECK_RES(r, NART_ECLOSED);
    for (unsigned i = 0; i < senders; i++) {
        end(&s[i]);
        CHECK_EQ(next[i], count);
    }
    bytes_finish(&b);
}

/* Room for two messages, and for many; senders that wait as long as it takes, and that give up again
 * and again: the waker of a wait that is over lies in memory that the next call uses. */
TEST_EACH(thread_to_task, SPSC, MPSC)
{
    to_task(kind, 1, 64, test_repeat(20000), NART_NEVER);
    to_task(kind, 1, 4096, test_repeat(300000), NART_NEVER);
    to_task(kind, 1, 64, test_repeat(20000), 2000);
}

TEST(threads_to_task)
{
    to_task(MPSC, SENDERS, 64, test_repeat(5000), NART_NEVER);
    to_task(MPSC, SENDERS, 64, test_repeat(5000), 2000);
}

TEST_EACH(thread_to_thread, SPSC, MPSC)
{
    to_thread(kind, 1, 64, test_repeat(20000), NART_NEVER);
    to_thread(kind, 1, 1024, test_repeat(200000), NART_NEVER);
    to_thread(kind, 1, 64, test_repeat(20000), 1000);
}

TEST(threads_to_thread)
{
    to_thread(MPSC, SENDERS, 64, test_repeat(5000), NART_NEVER);
    to_thread(MPSC, SENDERS, 256, test_repeat(20000), NART_NEVER);
    to_thread(MPSC, SENDERS, 64, test_repeat(5000), 1000);
}

/* ---- time ---- */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NART_SEC + t.tv_nsec;
}

static nart_res send(nart_bytes_tx *tx, size_t len, int64_t timeout_ns)
{
    static const unsigned char message[64];
    return nart_bytes_send_blocking(tx, message, len, timeout_ns);
}

TEST_EACH(times_out, SPSC, MPSC)
{
    struct bytes b;
    nart_bytes_msg msg;

    bytes_open(&b, kind, 64);
    CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, 0), -ETIMEDOUT);
    int64_t before = now();
    CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, 3 * NART_MS), -ETIMEDOUT);
    CHECK_RES(put(&b.tx, 60, 7), 0);
    CHECK_RES(send(&b.tx, 1, 0), -ETIMEDOUT);
    CHECK_RES(send(&b.tx, 1, 3 * NART_MS), -ETIMEDOUT);
    CHECK_LE(6 * NART_MS, now() - before); /* never early */
    get(&b.rx, 60, 7);
    CHECK_RES(put(&b.tx, 60, 8), 0); /* nobody is left in a queue */
    CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, 0), 0);
    message_check(&msg, 60, 8);
    bytes_finish(&b);
}

/* ---- turns ---- */

static void *send_one(void *arg)
{
    CHECK_RES(send(arg, 60, NART_NEVER), 0);
    return NULL;
}

/* A thread that waits behind a task is served behind it, and when the task gives up, the thread is
 * first. */
TEST(behind_a_task)
{
    for (uint64_t n = test_repeat(400); n > 0; n--) {
        struct bytes b;
        struct op op;
        nart_bytes_tx other = { 0 };
        nart_bytes_msg msg;
        pthread_t t;

        bytes_open(&b, MPSC, 64);
        CHECK_RES(nart_bytes_tx_clone(&b.tx, &other), 0);
        CHECK_RES(put(&b.tx, 60, 1), 0);
        send_start(b.rt, &op, &b.tx, 60, 2);
        CHECK_EQ(pthread_create(&t, NULL, send_one, &other), 0);
        if (n % 4 < 2)
            sched_yield();
        if (n % 2) {
            CHECK_RES(nart_task_abort(b.rt, op.id), 0);
            settle(b.rt);
            get(&b.rx, 60, 1);
        } else {
            get(&b.rx, 60, 1);
            settle(b.rt);
            CHECK_RES(op.res, 0);
            get(&b.rx, 60, 2);
        }
        CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, NART_NEVER), 0);
        CHECK_EQ(pthread_join(t, NULL), 0);
        nart_bytes_tx_close(&other);
        bytes_finish(&b);
    }
}

/* ---- ends ---- */

struct sleeping {
    nart_bytes_tx *tx;
    nart_bytes_rx *rx;
    nart_res res;
};

static void *sleeping_send(void *arg)
{
    struct sleeping *p = arg;
    p->res = send(p->tx, 60, NART_NEVER);
    return NULL;
}

static void *sleeping_recv(void *arg)
{
    struct sleeping *p = arg;
    nart_bytes_msg msg;
    p->res = nart_bytes_recv_blocking(p->rx, &msg, NART_NEVER);
    return NULL;
}

TEST(told_of_the_end)
{
    for (uint64_t n = test_repeat(1000); n > 0; n--) {
        uint32_t kind = n % 2 ? SPSC : MPSC;
        struct bytes b;
        pthread_t t;

        bytes_open(&b, kind, 64);
        CHECK_RES(nart_bytes_rx_bind(&b.rx, NULL), 0);
        struct sleeping r = { .rx = &b.rx }, s = { .tx = &b.tx };
        CHECK_EQ(pthread_create(&t, NULL, sleeping_recv, &r), 0);
        if (n % 4 < 2)
            sched_yield();
        nart_bytes_tx_close(&b.tx);
        CHECK_EQ(pthread_join(t, NULL), 0);
        CHECK_RES(r.res, NART_ECLOSED);
        bytes_finish(&b);

        bytes_open(&b, kind, 64);
        CHECK_RES(put(&b.tx, 60, 1), 0);
        CHECK_EQ(pthread_create(&t, NULL, sleeping_send, &s), 0);
        if (n % 4 < 2)
            sched_yield();
        nart_bytes_rx_close(&b.rx);
        CHECK_EQ(pthread_join(t, NULL), 0);
        CHECK_RES(s.res, NART_ECLOSED);
        bytes_finish(&b);
    }
}

/* ---- who may wait ---- */

static nart_res asker_run(nart_cx *cx, void *frame)
{
    nart_bytes_msg msg;

    (void)cx;
    return nart_bytes_recv_blocking(*(nart_bytes_rx **)frame, &msg, NART_NEVER);
}

static const nart_task_type asker_type = NART_TASK_TYPE(nart_bytes_rx *, asker_run, NULL);

static void *recv_elsewhere(void *arg)
{
    nart_bytes_msg msg;
    CHECK_RES(nart_bytes_recv_blocking(arg, &msg, NART_NEVER), NART_EWRONGTHREAD);
    return NULL;
}

TEST_EACH(refusals_of_receivers, SPSC, MPSC)
{
    struct bytes b;
    struct op op;
    nart_bytes_msg msg, none;
    nart_res res = 0;
    pthread_t t;

    bytes_open(&b, kind, 64);
    nart_bytes_rx *rx = &b.rx;
    CHECK_RES(nart_block_on(b.rt, &asker_type, &rx, &res), 0);
    CHECK_RES(res, -EDEADLK);
    CHECK_EQ(pthread_create(&t, NULL, recv_elsewhere, rx), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    recv_start(b.rt, &op, rx);
    CHECK_RES(nart_bytes_recv_blocking(rx, &msg, 0), -EBUSY);
    CHECK_RES(nart_task_abort(b.rt, op.id), 0);
    settle(b.rt);
    CHECK_RES(put(&b.tx, 8, 1), 0);
    CHECK_RES(nart_bytes_recv_blocking(rx, &msg, 0), 0);
    CHECK_RES(nart_bytes_recv_blocking(rx, &none, NART_NEVER), -EBUSY);
    message_check(&msg, 8, 1);
    bytes_finish(&b);
    CHECK_RES(nart_bytes_recv_blocking(rx, &msg, NART_NEVER), NART_ECLOSED);

    bytes_open_spinning(&b, kind, 64);
    CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, 0), -EINVAL);
    bytes_finish(&b);
}

TEST_EACH(refusals_of_senders, SPSC, MPSC)
{
    struct bytes b;
    struct op op;
    nart_bytes_buf buf, none;

    bytes_open(&b, kind, 64);
    CHECK_RES(send(&b.tx, 64, NART_NEVER), 0);
    CHECK_RES(nart_bytes_claim_blocking(&b.tx, 65, &buf, NART_NEVER), -EMSGSIZE);
    send_start(b.rt, &op, &b.tx, 8, 1);
    CHECK_RES(send(&b.tx, 8, NART_NEVER), -EBUSY);
    CHECK_RES(nart_task_abort(b.rt, op.id), 0);
    settle(b.rt);
    nart_bytes_msg msg;
    CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
    CHECK_RES(nart_bytes_claim_blocking(&b.tx, 8, &buf, 0), 0);
    CHECK_RES(nart_bytes_claim_blocking(&b.tx, 8, &none, NART_NEVER), -EBUSY);
    CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
    bytes_finish(&b);
    CHECK_RES(send(&b.tx, 8, NART_NEVER), NART_ECLOSED);
}
