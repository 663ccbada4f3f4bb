/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads without a loop that block on a channel of values or bytes: streams, turns, closing,
 * timeouts, misuse, signals, and wakers on stack frames that are left at once. A lost wake-up shows
 * as a hang, which the test's timeout ends. */
#include "op.h"
#include "runtime.h"
#include "threads.h"

#include <nart/bytes.h>
#include <nart/chan.h>
#include <nart/co.h>

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* ---- a channel of one of four kinds, and its messages ---- */

enum { BYTES = 0x100, SENDERS = 4 };

enum {
    SPSC = NART_CHAN_SPSC,
    MPSC = NART_CHAN_MPSC,
    SPSC_BYTES = BYTES | NART_BYTES_SPSC,
    MPSC_BYTES = BYTES | NART_BYTES_MPSC
};

struct message {
    uint64_t who, number, again;
};

struct tx {
    bool bytes;
    nart_tx v;
    nart_bytes_tx b;
};

struct rx {
    bool bytes;
    nart_rx v;
    nart_bytes_rx b;
};

struct channel {
    nart_rt *rt;
    struct tx tx;
    struct rx rx;
};

/* Opens a channel with space for `room` messages; a channel of bytes has space for at least two. */
static void open_flags(struct channel *c, uint32_t kind, size_t room, bool spinning)
{
    *c = (struct channel){ .tx.bytes = kind & BYTES, .rx.bytes = kind & BYTES };
    c->rt = NEW_RT(.flags = spinning ? NART_RT_SPINNING : 0);
    if (kind & BYTES) {
        nart_bytes_opts o = { .size = sizeof o,
                              .kind = kind & ~(uint32_t)BYTES,
                              .flags = spinning ? NART_BYTES_SPINNING : 0,
                              .capacity = room < 2 ? 64 : room * 32 };
        CHECK_RES(nart_bytes_open(c->rt, &o, &c->tx.b, &c->rx.b), 0);
    } else {
        nart_chan_opts o = { .size = sizeof o,
                             .kind = kind,
                             .flags = spinning ? NART_CHAN_SPINNING : 0,
                             .elem = sizeof(struct message),
                             .capacity = room };
        CHECK_RES(nart_chan_open(c->rt, &o, &c->tx.v, &c->rx.v), 0);
    }
}

static void open_channel(struct channel *c, uint32_t kind, size_t room)
{
    open_flags(c, kind, room, false);
}

static void tx_close(struct tx *tx)
{
    nart_tx_close(&tx->v);
    nart_bytes_tx_close(&tx->b);
}

static void rx_close(struct rx *rx)
{
    nart_rx_close(&rx->v);
    nart_bytes_rx_close(&rx->b);
}

static void rx_shut(struct rx *rx)
{
    if (rx->bytes)
        nart_bytes_rx_shut(&rx->b);
    else
        nart_rx_shut(&rx->v);
}

static void close_channel(struct channel *c)
{
    tx_close(&c->tx);
    rx_close(&c->rx);
    CHECK_RES(nart_rt_free(c->rt), 0);
}

static void tx_move(struct tx *to, struct tx *from)
{
    to->bytes = from->bytes;
    nart_tx_move(&to->v, &from->v);
    nart_bytes_tx_move(&to->b, &from->b);
}

static void tx_clone(struct tx *from, struct tx *to)
{
    *to = (struct tx){ .bytes = from->bytes };
    CHECK_RES(from->bytes ? nart_bytes_tx_clone(&from->b, &to->b) : nart_tx_clone(&from->v, &to->v),
              0);
}

/* Binds the receiver to this thread. */
static void rx_bind(struct rx *rx)
{
    CHECK_RES(rx->bytes ? nart_bytes_rx_bind(&rx->b, NULL) : nart_rx_bind(&rx->v, NULL), 0);
}

static nart_res send(struct tx *tx, uint64_t who, uint64_t number, int64_t timeout_ns)
{
    struct message m = { who, number, number };
    return tx->bytes ? nart_bytes_send_blocking(&tx->b, &m, sizeof m, timeout_ns)
                     : nart_send_blocking(&tx->v, &m, timeout_ns);
}

/* Copies the message and releases it. */
static nart_res took(struct rx *rx, nart_res r, nart_bytes_msg *msg, struct message *m)
{
    if (r == 0 && rx->bytes) {
        CHECK_EQ(msg->len, sizeof *m);
        CHECK(msg->ptr);
        memcpy(m, msg->ptr, sizeof *m);
        CHECK_RES(nart_bytes_release(&rx->b, msg), 0);
    }
    return r;
}

static nart_res recv(struct rx *rx, struct message *m, int64_t timeout_ns)
{
    nart_bytes_msg msg = { .len = 0 };
    *m = (struct message){ .who = 0 };
    return took(rx,
                rx->bytes ? nart_bytes_recv_blocking(&rx->b, &msg, timeout_ns)
                          : nart_recv_blocking(&rx->v, m, timeout_ns),
                &msg, m);
}

static nart_res try_recv(struct rx *rx, struct message *m)
{
    nart_bytes_msg msg = { .len = 0 };
    *m = (struct message){ .who = 0 };
    return took(rx, rx->bytes ? nart_bytes_try_recv(&rx->b, &msg) : nart_try_recv(&rx->v, m), &msg,
                m);
}

static void check_next(struct rx *rx, uint64_t number)
{
    struct message m;
    CHECK_RES(try_recv(rx, &m), 0);
    CHECK_EQ(m.number, number);
    CHECK_EQ(m.again, number);
}

/* Sends 1, 2... until the channel is full. Returns the number sent. */
static uint64_t fill(struct channel *c)
{
    uint64_t n = 0;
    nart_res r;
    while ((r = send(&c->tx, 0, n + 1, 0)) == 0)
        n++;
    CHECK_RES(r, -ETIMEDOUT);
    CHECK_EQ(n, c->tx.bytes ? 2 : 1);
    return n;
}

/* ---- a task that sends or receives once ---- */

struct op {
    OP_FIELDS;
    struct tx *tx;
    struct rx *rx;
    struct message m;
    nart_bytes_msg msg;
};

static nart_res op_do(nart_cx *cx, struct op *op)
{
    if (op->tx)
        return op->tx->bytes ? nart_bytes_send(cx, &op->tx->b, &op->m, sizeof op->m)
                             : nart_send(cx, &op->tx->v, &op->m);
    return took(op->rx,
                op->rx->bytes ? nart_bytes_recv(cx, &op->rx->b, &op->msg)
                              : nart_recv(cx, &op->rx->v, &op->m),
                &op->msg, &op->m);
}

OP_TASK(op_do);

/* ---- streams ---- */

struct sender {
    struct tx tx;
    uint64_t who, count;
    int64_t patience; /* timeout of one attempt */
    nart_res res;
    pthread_t thread;
};

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    for (uint64_t i = 0; i < s->count && s->res == 0; i++) {
        do
            s->res = send(&s->tx, s->who, i, s->patience);
        while (s->res == -ETIMEDOUT);
    }
    tx_close(&s->tx);
    return NULL;
}

static void start_senders(struct channel *c, struct sender *s, unsigned senders, uint64_t count,
                          int64_t patience)
{
    for (unsigned i = 0; i < senders; i++) {
        s[i] = (struct sender){ .who = i, .count = count, .patience = patience };
        if (i == senders - 1)
            tx_move(&s[i].tx, &c->tx);
        else
            tx_clone(&c->tx, &s[i].tx);
    }
    for (unsigned i = 0; i < senders; i++)
        s[i].thread = thread_start(sender_main, &s[i]);
}

static void end_senders(struct sender *s, unsigned senders, const uint64_t next[SENDERS])
{
    for (unsigned i = 0; i < senders; i++) {
        thread_join(s[i].thread);
        CHECK_RES(s[i].res, 0);
        CHECK_EQ(next[i], s[i].count);
    }
}

/* Checks that the message is the next of its sender, and intact. */
static void check_from(const struct message *m, uint64_t next[SENDERS])
{
    CHECK_LE(m->who, SENDERS - 1);
    CHECK_EQ(m->number, next[m->who]);
    CHECK_EQ(m->again, m->number);
    next[m->who]++;
}

struct reader {
    nart_co co;
    struct op op;
    uint64_t next[SENDERS];
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *v = *(struct reader **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &v->co);
    for (;;) {
        NART_AWAIT(r, op_do(cx, &v->op));
        if (r)
            break;
        check_from(&v->op.m, v->next);
    }
    NART_END(r);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader *, reader_run, NULL);

static void to_task(uint32_t kind, unsigned senders, size_t room, uint64_t count, int64_t patience)
{
    struct channel c;
    struct sender s[SENDERS];
    nart_res res = 0;

    open_channel(&c, kind, room);
    struct reader v = { .op.rx = &c.rx }, *frame = &v;
    start_senders(&c, s, senders, count, patience);
    CHECK_RES(nart_block_on(c.rt, &reader_type, &frame, &res), 0);
    CHECK_RES(res, NART_ECLOSED);
    end_senders(s, senders, v.next);
    close_channel(&c);
}

static void to_thread(uint32_t kind, unsigned senders, size_t room, uint64_t count,
                      int64_t patience)
{
    struct channel c;
    struct sender s[SENDERS];
    struct message m;
    uint64_t next[SENDERS] = { 0 };
    nart_res r;

    open_channel(&c, kind, room);
    rx_bind(&c.rx);
    start_senders(&c, s, senders, count, patience);
    while ((r = recv(&c.rx, &m, patience)) == 0 || r == -ETIMEDOUT)
        if (r == 0)
            check_from(&m, next);
    CHECK_RES(r, NART_ECLOSED);
    end_senders(s, senders, next);
    close_channel(&c);
}

/* Senders that wait without a timeout, and senders that time out repeatedly: the waker of a
 * finished wait lies in memory that the next call reuses. */
TEST_EACH(a_thread_sends_to_a_task, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    to_task(kind, 1, 1, test_repeat(20000), NART_NEVER);
    to_task(kind, 1, 64, test_repeat(500000), NART_NEVER);
    to_task(kind, 1, 1, test_repeat(20000), 2000);
}

TEST_EACH(threads_send_to_a_task, MPSC, MPSC_BYTES)
{
    to_task(kind, SENDERS, 1, test_repeat(5000), NART_NEVER);
    to_task(kind, SENDERS, 2, test_repeat(5000), 2000);
}

TEST_EACH(a_thread_sends_to_a_thread, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    to_thread(kind, 1, 1, test_repeat(20000), NART_NEVER);
    to_thread(kind, 1, 16, test_repeat(300000), NART_NEVER);
    to_thread(kind, 1, 1, test_repeat(20000), 1000);
}

TEST_EACH(threads_send_to_a_thread, MPSC, MPSC_BYTES)
{
    to_thread(kind, SENDERS, 1, test_repeat(5000), NART_NEVER);
    to_thread(kind, SENDERS, 4, test_repeat(50000), NART_NEVER);
    to_thread(kind, SENDERS, 2, test_repeat(10000), 1000);
}

/* ---- timeouts ---- */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NART_SEC + t.tv_nsec;
}

TEST_EACH(a_wait_times_out_and_not_early, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    struct channel c;
    struct message m;

    open_channel(&c, kind, 1);
    CHECK_RES(recv(&c.rx, &m, 0), -ETIMEDOUT);
    int64_t before = now();
    CHECK_RES(recv(&c.rx, &m, 3 * NART_MS), -ETIMEDOUT);
    uint64_t n = fill(&c);
    CHECK_RES(send(&c.tx, 0, 9, 3 * NART_MS), -ETIMEDOUT);
    CHECK_LE(6 * NART_MS, now() - before);
    for (uint64_t i = 1; i <= n; i++) {
        CHECK_RES(recv(&c.rx, &m, 0), 0);
        CHECK_EQ(m.number, i);
    }
    CHECK_RES(send(&c.tx, 0, 10, NART_NEVER), 0); /* no waiter is left in the queue */
    check_next(&c.rx, 10);
    close_channel(&c);
}

/* ---- turns ---- */

static void *send_one(void *arg)
{
    CHECK_RES(send(arg, 0, 20, NART_NEVER), 0);
    return NULL;
}

/* A thread queued behind a task is served after it; when the task is aborted, the thread is
 * first. */
TEST_EACH(a_thread_waits_behind_a_task, MPSC, MPSC_BYTES)
{
    for (uint64_t n = test_repeat(400); n > 0; n--) {
        struct channel c;
        struct tx other;
        struct message m;

        open_channel(&c, kind, 1);
        tx_clone(&c.tx, &other);
        uint64_t sent = fill(&c);
        struct op op = { .tx = &c.tx, .m = { 0, sent + 1, sent + 1 }, .limit = NART_NEVER };
        op_start(c.rt, &op);
        CHECK_RES(op.res, NART_PENDING);
        pthread_t t = thread_start(send_one, &other);
        if (n % 4 < 2)
            sched_yield();
        if (n % 2) {
            CHECK_RES(nart_task_abort(c.rt, op.id), 0);
            settle(c.rt);
        }
        for (uint64_t i = 1; i <= sent; i++)
            check_next(&c.rx, i);
        if (n % 2 == 0) {
            settle(c.rt);
            CHECK_RES(op.res, 0);
            check_next(&c.rx, sent + 1);
        }
        CHECK_RES(recv(&c.rx, &m, NART_NEVER), 0);
        CHECK_EQ(m.number, 20);
        thread_join(t);
        tx_close(&other);
        close_channel(&c);
    }
}

/* ---- closing ---- */

struct sleeper {
    struct tx *tx;
    struct rx *rx;
    struct message m;
    nart_res res;
};

static void *sleeper_main(void *arg)
{
    struct sleeper *s = arg;
    s->res = s->tx ? send(s->tx, 0, 9, NART_NEVER) : recv(s->rx, &s->m, NART_NEVER);
    return NULL;
}

TEST_EACH(a_close_wakes_a_receiver, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    for (uint64_t n = test_repeat(1000); n > 0; n--) {
        struct channel c;

        open_channel(&c, kind, 1);
        rx_bind(&c.rx);
        struct sleeper s = { .rx = &c.rx };
        pthread_t t = thread_start(sleeper_main, &s);
        if (n % 2)
            sched_yield();
        tx_close(&c.tx);
        thread_join(t);
        CHECK_RES(s.res, NART_ECLOSED);
        close_channel(&c);
    }
}

TEST_EACH(a_close_or_a_shut_wakes_a_sender, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    for (uint64_t n = test_repeat(1000); n > 0; n--) {
        struct channel c;

        open_channel(&c, kind, 1);
        uint64_t sent = fill(&c);
        struct sleeper s = { .tx = &c.tx };
        pthread_t t = thread_start(sleeper_main, &s);
        if (n % 2)
            sched_yield();
        if (n & 2)
            rx_shut(&c.rx);
        else
            rx_close(&c.rx);
        thread_join(t);
        CHECK_RES(s.res, NART_ECLOSED);
        if (n & 2)
            for (uint64_t i = 1; i <= sent; i++)
                check_next(&c.rx, i);
        close_channel(&c);
    }
}

/* ---- permission to wait ---- */

static nart_res asker_run(nart_cx *cx, void *frame)
{
    struct message m;

    (void)cx;
    return recv(*(struct rx **)frame, &m, NART_NEVER);
}

static const nart_task_type asker_type = NART_TASK_TYPE(struct rx *, asker_run, NULL);

static void *recv_elsewhere(void *arg)
{
    struct message m;
    CHECK_RES(recv(arg, &m, NART_NEVER), NART_EWRONGTHREAD);
    return NULL;
}

TEST_EACH(a_receive_is_refused, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    struct channel c;
    struct message m;
    nart_res res = 0;

    open_channel(&c, kind, 1);
    struct rx *rx = &c.rx;
    CHECK_RES(nart_block_on(c.rt, &asker_type, &rx, &res), 0);
    CHECK_RES(res, -EDEADLK);
    thread_run(recv_elsewhere, rx);
    struct op op = { .rx = rx, .limit = NART_NEVER };
    op_start(c.rt, &op);
    CHECK_RES(recv(rx, &m, 0), -EBUSY);
    CHECK_RES(send(&c.tx, 0, 1, 0), 0);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    op_start(c.rt, &op);
    CHECK_RES(nart_task_abort(c.rt, op.id), 0);
    settle(c.rt);
    CHECK_RES(send(&c.tx, 0, 2, 0), 0);
    CHECK_RES(recv(rx, &m, 0), 0);
    CHECK_EQ(m.number, 2);
    close_channel(&c);
    CHECK_RES(recv(rx, &m, NART_NEVER), NART_ECLOSED);

    open_flags(&c, kind, 1, true);
    CHECK_RES(recv(rx, &m, 0), -EINVAL);
    CHECK_RES(send(&c.tx, 0, 1, 0), 0);
    close_channel(&c);
}

TEST_EACH(a_send_is_refused, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    struct channel c;

    open_channel(&c, kind, 1);
    fill(&c);
    struct op op = { .tx = &c.tx, .limit = NART_NEVER };
    op_start(c.rt, &op);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(send(&c.tx, 0, 4, NART_NEVER), -EBUSY);
    close_channel(&c);
    CHECK_RES(send(&c.tx, 0, 1, NART_NEVER), NART_ECLOSED);
}

TEST(a_local_channel_does_not_block)
{
    struct channel c;
    struct message m;

    open_channel(&c, NART_CHAN_LOCAL, 1);
    CHECK_RES(send(&c.tx, 0, 1, 0), -EINVAL);
    CHECK_RES(recv(&c.rx, &m, 0), -EINVAL);
    close_channel(&c);
    CHECK_RES(send(&c.tx, 0, 1, 0), NART_ECLOSED);
    CHECK_RES(recv(&c.rx, &m, 0), NART_ECLOSED);
}

/* ---- signals ---- */

static int signals; /* lock-free, so a handler may increment it */

static void count_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

TEST_EACH(a_signal_does_not_end_a_wait, SPSC, MPSC, SPSC_BYTES, MPSC_BYTES)
{
    struct sigaction act = { .sa_handler = count_signal }, before;
    struct channel c;

    CHECK_EQ(sigaction(SIGUSR1, &act, &before), 0);
    open_channel(&c, kind, 1);
    rx_bind(&c.rx);
    struct sleeper s = { .rx = &c.rx, .res = NART_PENDING };
    pthread_t t = thread_start(sleeper_main, &s);
    while (__atomic_load_n(&signals, __ATOMIC_RELAXED) < 20) {
        CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
        sched_yield();
    }
    CHECK_RES(send(&c.tx, 0, 5, 0), 0);
    thread_join(t);
    CHECK_RES(s.res, 0);
    CHECK_EQ(s.m.number, 5);
    close_channel(&c);
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
}
