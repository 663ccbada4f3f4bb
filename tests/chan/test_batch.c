/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Batch sends and receives on all kinds of channels, and several channels in one race. */
#include "chan_test.h"
#include "threads.h"

#include <stdlib.h>

static const uint32_t kinds[] = { LOCAL, SPSC, MPSC };

static void numbers(uint64_t *v, size_t n, uint64_t from)
{
    for (size_t i = 0; i < n; i++)
        v[i] = from + i;
}

/* ---- without waiting ---- */

/* Sends what fits, across the end of the ring too; receives what is available, in order. */
TEST_EACH(try_sends_and_receives_what_fits, LOCAL, SPSC, MPSC)
{
    uint64_t in[8], out[8], next = 0, seen = 0;
    OPEN(chan, c, kind, 4);
    for (int round = 0; round < 9; round++) {
        numbers(in, 8, next);
        CHECK_RES(nart_try_send_many(&c.tx, in, 3), 3);
        next += 3;
        CHECK_RES(nart_try_send_many(&c.tx, in + 3, 5), 1);
        next += 1;
        CHECK_RES(nart_try_send_many(&c.tx, in, 1), -EAGAIN);
        CHECK_EQ(nart_rx_len(&c.rx), 4);
        CHECK_RES(nart_try_recv_many(&c.rx, out, 3), 3);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(out[i], seen++);
        CHECK_RES(nart_try_recv_many(&c.rx, out, 8), 1);
        CHECK_EQ(out[0], seen++);
        CHECK_RES(nart_try_recv_many(&c.rx, out, 8), -EAGAIN);
        CHECK_RES(u64_try_send(&c.tx, next++), 0); /* so that each round starts at another offset */
        CHECK_NEXT(&c.rx, seen++);
    }
}

TEST_EACH(try_reports_its_errors, LOCAL, SPSC, MPSC)
{
    struct chan c;
    uint64_t v[2] = { 1, 2 };
    chan_open(&c, kind, 4);
    CHECK_RES(nart_try_send_many(&c.tx, NULL, 0), 0);
    CHECK_RES(nart_try_recv_many(&c.rx, NULL, 0), 0);
    CHECK_RES(nart_try_send_many(&c.tx, NULL, 1), -EINVAL);
    CHECK_RES(nart_try_recv_many(&c.rx, NULL, 1), -EINVAL);
    CHECK_RES(nart_try_send_many(&c.tx, v, 2), 2);
    nart_tx_close(&c.tx);
    CHECK_RES(nart_try_send_many(&c.tx, v, 2), NART_ECLOSED);
    CHECK_RES(nart_try_recv_many(&c.rx, v, 2), 2); /* values are received in the order sent */
    CHECK_RES(nart_try_recv_many(&c.rx, v, 2), NART_ECLOSED);
    nart_rx_close(&c.rx);
    CHECK_RES(nart_try_recv_many(&c.rx, v, 2), NART_ECLOSED);
    chan_finish(&c);

    chan_open(&c, kind, 4);
    nart_rx_close(&c.rx);
    CHECK_RES(nart_try_send_many(&c.tx, v, 2), NART_ECLOSED);
    chan_finish(&c);
}

/* ---- waiting ---- */

enum { BLOCK = 50 };

struct flow {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    uint64_t values[BLOCK], count, next;
    size_t done;
    unsigned answers;
};

/* Blocks of 50 values. */
static nart_res produce(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (; f->next < f->count; f->next += BLOCK) {
        numbers(f->values, BLOCK, f->next);
        NART_AWAIT(r, nart_send_many(cx, &f->tx, f->values, BLOCK, &f->done));
        CHECK_RES(r, BLOCK);
        CHECK_EQ(f->done, 0);
    }
    nart_tx_close(&f->tx);
    NART_END(0);
}

/* Blocks of up to 7. */
static nart_res consume(nart_cx *cx, void *frame)
{
    struct flow *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_recv_many(cx, &f->rx, f->values, 7));
        if (r == NART_ECLOSED)
            break;
        CHECK(r >= 1 && r <= 7);
        f->answers++;
        for (nart_res i = 0; i < r; i++)
            CHECK_EQ(f->values[i], f->next + (uint64_t)i);
        f->next += (uint64_t)r;
    }
    nart_rx_close(&f->rx);
    NART_END((nart_res)f->next);
}

static const nart_task_type produce_type = NART_TASK_TYPE(struct flow, produce, NULL);
static const nart_task_type consume_type = NART_TASK_TYPE(struct flow, consume, NULL);

TEST_EACH(streams_of_blocks, LOCAL, SPSC, MPSC)
{
    for (size_t capacity = 1; capacity <= 64; capacity *= 4) {
        nart_res got = 0;
        OPEN(chan, c, kind, capacity);
        struct flow from = { .count = 10000 }, to = { .count = 0 };
        nart_tx_move(&from.tx, &c.tx);
        nart_rx_move(&to.rx, &c.rx);
        CHECK_RES(nart_rt_spawn(c.rt, &produce_type, &from, NULL), 0);
        CHECK_RES(nart_block_on(c.rt, &consume_type, &to, &got), 0);
        CHECK_EQ(got, 10000);
    }
}

static void *produce_main(void *arg)
{
    nart_rt *rt = new_rt();

    CHECK_RES(nart_block_on(rt, &produce_type, arg, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    return NULL;
}

TEST_EACH(streams_of_blocks_between_threads, SPSC, MPSC)
{
    for (size_t capacity = 1; capacity <= 1024; capacity *= 32) {
        nart_res got = 0;
        uint64_t count = test_under_valgrind() ? 1000 : 20000 * capacity / 32 + 2000;
        count -= count % BLOCK;
        OPEN(chan, c, kind, capacity);
        struct flow from = { .count = count }, to = { .count = 0 };
        nart_tx_move(&from.tx, &c.tx);
        nart_rx_move(&to.rx, &c.rx);
        pthread_t thread = thread_start(produce_main, &from);
        CHECK_RES(nart_block_on(c.rt, &consume_type, &to, &got), 0);
        thread_join(thread);
        CHECK_EQ(got, count);
    }
}

/* ---- a batch moves a bounded number of values, a poll completes a bounded number of batches
 * ---- */

enum { MANY = 200000 };

struct bulk {
    nart_co co;
    struct chan *c;
    uint64_t *values;
    size_t done;
    unsigned polls;
    nart_res res;
};

static nart_res bulk_run(nart_cx *cx, void *frame)
{
    struct bulk *b = *(struct bulk **)frame;
    nart_res r = 0;

    b->polls++;
    NART_BEGIN(cx, &b->co);
    NART_AWAIT(r, nart_send_many(cx, &b->c->tx, b->values, MANY, &b->done));
    b->res = r;
    NART_END(r);
}

static const nart_task_type bulk_type = NART_TASK_TYPE(struct bulk *, bulk_run, NULL);

TEST_EACH(bulk_leaves_the_loop_to_others, LOCAL, SPSC, MPSC)
{
    struct chan c;
    uint64_t got[2 * NART_CHAN_MANY], seen = 0;
    struct bulk b = { .c = &c, .values = malloc(MANY * sizeof(uint64_t)) }, *frame = &b;
    nart_res r;
    CHECK(b.values);
    numbers(b.values, MANY, 0);
    chan_open(&c, kind, MANY);
    CHECK_RES(nart_try_send_many(&c.tx, b.values, MANY), NART_CHAN_MANY);
    CHECK_RES(nart_try_recv_many(&c.rx, got, 2 * NART_CHAN_MANY), NART_CHAN_MANY);
    CHECK_RES(nart_rt_spawn(c.rt, &bulk_type, &frame, NULL), 0);
    settle(c.rt);
    CHECK_RES(b.res, MANY);
    CHECK_EQ(b.polls, MANY / (NART_CHAN_MANY * NART_BUDGET) + 1);
    while ((r = nart_try_recv_many(&c.rx, got, 2 * NART_CHAN_MANY)) > 0)
        for (nart_res i = 0; i < r; i++)
            CHECK_EQ(got[i], seen++);
    CHECK_EQ(seen, MANY);
    free(b.values);
    chan_finish(&c);
}

/* The limit counts bytes for large values; at least one value is always moved. */
TEST_EACH(bulk_of_large_values, LOCAL, SPSC, MPSC)
{
    nart_rt *rt = new_rt();
    nart_tx tx;
    nart_rx rx;
    for (size_t elem = NART_CHAN_MAX_ELEM; elem >= 4096; elem /= 4) {
        nart_chan_opts o = { sizeof o, kind, 0, elem, 32, NULL };
        unsigned char *values = calloc(32, elem);
        nart_res most = (nart_res)(NART_CHAN_MAX_ELEM / elem);
        CHECK(values);
        CHECK_RES(nart_chan_open(rt, &o, &tx, &rx), 0);
        CHECK_RES(nart_try_send_many(&tx, values, 32), most);
        CHECK_RES(nart_try_send_many(&tx, values, 32), most);
        CHECK_RES(nart_try_recv_many(&rx, values, 32), most);
        nart_tx_close(&tx);
        nart_rx_close(&rx);
        free(values);
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

struct sending {
    nart_co co;
    nart_tx *tx;
    uint64_t values[6];
    size_t n, done;
    nart_res res;
};

static struct sending *now_sending;

static nart_res sending_run(nart_cx *cx, void *frame)
{
    struct sending *s = now_sending;
    nart_res r = 0;

    (void)frame;
    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, nart_send_many(cx, s->tx, s->values, s->n, &s->done));
    s->res = r;
    NART_END(r);
}

static const nart_task_type sending_type = NART_TASK_TYPE(struct sending, sending_run, NULL);

/* A cancelled batch reports its progress; no value is lost or sent twice. */
TEST_EACH(a_cancelled_block_reports_its_progress, LOCAL, SPSC, MPSC)
{
    nart_join join = { 0 };
    struct sending s = { .n = 6, .res = NART_PENDING };
    OPEN(chan, c, kind, 4);
    s.tx = &c.tx;
    numbers(s.values, 6, 0);
    now_sending = &s;
    CHECK_RES(nart_rt_spawn(c.rt, &sending_type, &s, &join), 0);
    settle(c.rt);
    CHECK_RES(s.res, NART_PENDING);
    CHECK_EQ(s.done, 4);
    CHECK_RES(nart_task_cancel(c.rt, nart_join_task(&join)), 0);
    settle(c.rt);
    CHECK_RES(s.res, -ECANCELED);
    CHECK_EQ(s.done, 4);
    nart_join_release(&join);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_NEXT(&c.rx, i);
    s.res = NART_PENDING;
    CHECK_RES(nart_rt_spawn(c.rt, &sending_type, &s, NULL), 0); /* and continues after them */
    settle(c.rt);
    CHECK_RES(s.res, 6);
    CHECK_NEXT(&c.rx, 4);
    CHECK_NEXT(&c.rx, 5);
    for (s.done = 6; s.done < 8; s.done++) { /* after an error `done` is below `n` */
        CHECK_RES(nart_rt_spawn(c.rt, &sending_type, &s, NULL), 0);
        settle(c.rt);
        CHECK_RES(s.res, -EINVAL);
    }
    s.n = s.done = 0;
    CHECK_RES(nart_rt_spawn(c.rt, &sending_type, &s, NULL), 0);
    settle(c.rt);
    CHECK_RES(s.res, 0);
}

/* A batch causes one wake, whatever its length. */
TEST_EACH(block_is_one_wake, SPSC, MPSC)
{
    struct op op;
    uint64_t v[8] = { 0 };
    OPEN(chan, c, kind, 8);
    recv_start(c.rt, &op, &c.rx);
    uint64_t wakes = stats_of(c.rt).wakes_foreign;
    CHECK_RES(nart_try_send_many(&c.tx, v, 8), 8);
    settle(c.rt);
    CHECK_EQ(stats_of(c.rt).wakes_foreign, wakes + 1);
    CHECK_RES(op.res, 0);
}

/* Waiting senders are served before a batch, which does not take their slots. */
TEST(blocks_do_not_barge)
{
    struct op op;
    nart_tx other;
    uint64_t v[4] = { 10, 11, 12, 13 };
    OPEN(chan, c, MPSC, 2);
    CHECK_RES(nart_tx_clone(&c.tx, &other), 0);
    CHECK_RES(nart_try_send_many(&c.tx, v, 4), 2);
    send_start(c.rt, &op, &other, 5);
    CHECK_RES(nart_try_send_many(&c.tx, v, 4), -EAGAIN);
    CHECK_NEXT(&c.rx, 10);
    CHECK_NEXT(&c.rx, 11);
    CHECK_RES(nart_try_send_many(&c.tx, v, 4), 1);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    CHECK_NEXT(&c.rx, 10);
    CHECK_NEXT(&c.rx, 5);
    nart_tx_close(&other);
}

/* ---- several channels in one race ---- */

struct select {
    nart_co co;
    struct chan *c; /* of three kinds */
    uint64_t value, got, from[3];
    int which;
    nart_res res;
};

/* Receives from three channels and sends to a fourth, whichever is ready first. */
static nart_res select_run(nart_cx *cx, void *frame)
{
    struct select *s = *(struct select **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    while (s->got < 3000) {
        NART_AWAIT_ANY(s->which, r, u64_recv(cx, &s->c[0].rx, &s->value),
                       u64_recv(cx, &s->c[1].rx, &s->value), u64_recv(cx, &s->c[2].rx, &s->value),
                       u64_send(cx, &s->c[3].tx, s->got));
        CHECK_RES(r, 0);
        if (s->which == 3)
            continue;
        CHECK_EQ(s->value, (uint64_t)s->which << 32 | s->from[s->which]);
        s->from[s->which]++;
        s->got++;
    }
    NART_END(0);
}

static const nart_task_type select_type = NART_TASK_TYPE(struct select *, select_run, NULL);

/* Losing arms lose no value, whatever their kinds; each channel stays in order. */
TEST(kinds_race)
{
    struct chan c[4];
    struct select s = { .c = c }, *frame = &s;
    nart_join join = { 0 };
    uint64_t seed = 3, sent[3] = { 0 }, value = 0;

    chan_open(&c[0], LOCAL, 4);
    for (int i = 1; i < 4; i++) {
        c[i].rt = c[0].rt;
        CHECK_RES(u64_open(c[i].rt, kinds[i % 3 + (i == 3 ? 2 : 0)], 4, &c[i].tx, &c[i].rx), 0);
    }
    CHECK_RES(nart_rt_spawn(c[0].rt, &select_type, &frame, &join), 0);
    while (!nart_join_done(&join)) {
        uint32_t i = random_below(&seed, 3);
        if (random_below(&seed, 8) == 0)
            (void)!u64_try_recv(&c[3].rx, &value);
        if (u64_try_send(&c[i].tx, (uint64_t)i << 32 | sent[i]) == 0)
            sent[i]++;
        if (random_below(&seed, 4) == 0)
            settle(c[0].rt);
    }
    CHECK_EQ(s.from[0] + s.from[1] + s.from[2], 3000);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(nart_rx_len(&c[i].rx), sent[i] - s.from[i]);
        CHECK_LE(1, s.from[i]);
    }
    nart_join_release(&join);
    for (int i = 1; i < 4; i++) {
        nart_tx_close(&c[i].tx);
        nart_rx_close(&c[i].rx);
    }
    chan_finish(&c[0]);
}
