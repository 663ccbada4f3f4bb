/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Local channels: several senders, the order in which they are served, turns not taken, and ends
 * closed and moved while tasks wait on them. */
#include "chan_test.h"

enum { SENDERS = 5 };

/* A channel with one slot, which holds the value 0, and waiting senders of 1, 2, ... */
struct crowd {
    struct chan c;
    nart_tx tx[SENDERS];
    struct op op[SENDERS];
};

static void crowd_open(struct crowd *w)
{
    chan_open(&w->c, LOCAL, 1);
    CHECK_RES(u64_try_send(&w->c.tx, 0), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        CHECK_RES(nart_tx_clone(&w->c.tx, &w->tx[i]), 0);
        send_start(w->c.rt, &w->op[i], &w->tx[i], i + 1);
        CHECK_RES(w->op[i].res, NART_PENDING);
    }
}

static void crowd_finish(struct crowd *w)
{
    for (unsigned i = 0; i < SENDERS; i++)
        nart_tx_close(&w->tx[i]);
    chan_finish(&w->c);
}

/* ---- first come, first served ---- */

/* Each value received admits exactly one sender, the longest waiting; it is polled once for it. */
TEST(senders_are_served_in_order)
{
    struct crowd w;
    crowd_open(&w);
    for (unsigned n = 0; n < SENDERS; n++) {
        CHECK_NEXT(&w.c.rx, n);
        settle(w.c.rt);
        for (unsigned i = 0; i < SENDERS; i++) {
            CHECK_RES(w.op[i].res, i <= n ? 0 : NART_PENDING);
            CHECK_EQ(w.op[i].polls, i <= n ? 2 : 1);
        }
    }
    CHECK_NEXT(&w.c.rx, SENDERS);
    crowd_finish(&w);
}

/* Slots freed together are granted together. */
TEST(several_free_slots_serve_several_senders)
{
    nart_tx tx[4];
    struct op op[4];
    OPEN(chan, c, LOCAL, 4);
    for (uint64_t i = 0; i < 4; i++) {
        CHECK_RES(u64_try_send(&c.tx, i), 0);
        CHECK_RES(nart_tx_clone(&c.tx, &tx[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        send_start(c.rt, &op[i], &tx[i], 4 + i);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_NEXT(&c.rx, i);
    settle(c.rt);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_RES(op[i].res, i < 3 ? 0 : NART_PENDING);
        CHECK_EQ(op[i].polls, i < 3 ? 2 : 1);
    }
    for (uint64_t i = 3; i < 7; i++)
        CHECK_NEXT(&c.rx, i);
    settle(c.rt);
    CHECK_NEXT(&c.rx, 7);
    for (unsigned i = 0; i < 4; i++)
        nart_tx_close(&tx[i]);
}

/* A granted slot is reserved for its sender, whether or not that sender has been polled. */
TEST(nobody_overtakes_the_queue)
{
    struct crowd w;
    struct op late;
    nart_tx tx;
    crowd_open(&w);
    CHECK_NEXT(&w.c.rx, 0); /* granted to the first, which is not yet polled */
    CHECK_EQ(nart_rx_len(&w.c.rx), 0);
    CHECK_RES(u64_try_send(&w.c.tx, 666), -EAGAIN);
    CHECK_RES(nart_tx_clone(&w.c.tx, &tx), 0);
    send_start(w.c.rt, &late, &tx, SENDERS + 1);
    for (uint64_t i = 1; i <= SENDERS + 1; i++) {
        CHECK_NEXT(&w.c.rx, i);
        settle(w.c.rt);
    }
    CHECK_RES(late.res, 0);
    CHECK_RES(u64_try_send(&w.c.tx, 7), 0); /* all slots are free again */
    nart_tx_close(&tx);
    crowd_finish(&w);
}

/* Slots beyond the reserved ones are free for any sender. */
TEST(space_beyond_the_reserved_is_free)
{
    nart_tx tx;
    struct op op;
    OPEN(chan, c, LOCAL, 2);
    CHECK_RES(nart_tx_clone(&c.tx, &tx), 0);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    send_start(c.rt, &op, &tx, 4);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NEXT(&c.rx, 2);
    CHECK_RES(u64_try_send(&c.tx, 3), 0);
    CHECK_RES(u64_try_send(&c.tx, 5), -EAGAIN); /* the other slot is reserved */
    settle(c.rt);
    CHECK_RES(op.res, 0);
    CHECK_NEXT(&c.rx, 3);
    CHECK_NEXT(&c.rx, 4);
    nart_tx_close(&tx);
}

/* A turn belongs to the task that waited for it: a task that uses the same end by mistake is
 * refused and does not send in its stead. */
TEST(turns_are_not_stolen)
{
    struct op first;
    OPEN(chan, c, LOCAL, 1);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    send_start(c.rt, &first, &c.tx, 2);
    struct op thief = { .tx = &c.tx, .value = 666, .limit = NART_NEVER };
    op_spawn(c.rt, &thief); /* polled before the first one has its turn */
    CHECK_NEXT(&c.rx, 1);
    settle(c.rt);
    CHECK_RES(thief.res, -EBUSY);
    CHECK_RES(first.res, 0);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
}

/* ---- turns not taken ---- */

/* Ways in which a sender does not use its granted slot. */
static void be_cancelled(struct crowd *w)
{
    CHECK_RES(nart_task_cancel(w->c.rt, w->op[0].id), 0);
}

static void be_aborted(struct crowd *w)
{
    CHECK_RES(nart_task_abort(w->c.rt, w->op[0].id), 0);
}

static void be_closed(struct crowd *w)
{
    nart_tx_close(&w->tx[0]);
}

static void turn_passes_on(void (*fail)(struct crowd *), nart_res answer)
{
    struct crowd w;
    crowd_open(&w);
    CHECK_NEXT(&w.c.rx, 0);
    fail(&w);
    settle(w.c.rt);
    CHECK_RES(w.op[0].res, answer);
    CHECK_RES(w.op[1].res, 0);
    CHECK_RES(w.op[2].res, NART_PENDING);
    for (uint64_t i = 2; i <= SENDERS; i++) {
        CHECK_NEXT(&w.c.rx, i);
        settle(w.c.rt);
    }
    CHECK_NO_NEXT(&w.c.rx, -EAGAIN);
    CHECK_RES(u64_try_send(&w.c.tx, 9), 0); /* no slot stays reserved */
    crowd_finish(&w);
}

TEST(turn_passes_on_when_cancelled)
{
    turn_passes_on(be_cancelled, -ECANCELED);
}

TEST(turn_passes_on_when_aborted)
{
    turn_passes_on(be_aborted, -ECANCELED);
}

TEST(turn_passes_on_when_its_end_is_closed)
{
    turn_passes_on(be_closed, NART_ECLOSED);
}

struct race {
    nart_co co;
    nart_tx *tx;
    nart_rx *gate;
    uint64_t value;
    int which;
    nart_res *res;
    int *winner;
};

/* Races a send against a receive, which is tried first. */
static nart_res race_run(nart_cx *cx, void *frame)
{
    struct race *a = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &a->co);
    NART_AWAIT_ANY(a->which, r, u64_recv(cx, a->gate, &a->value), u64_send(cx, a->tx, 100));
    *a->res = r;
    *a->winner = a->which;
    NART_END(r);
}

static const nart_task_type race_type = NART_TASK_TYPE(struct race, race_run, NULL);

TEST(turn_passes_on_when_a_race_is_lost)
{
    nart_tx other, gate_tx;
    nart_rx gate;
    struct op op;
    nart_res res = NART_PENDING;
    int winner = -1;
    OPEN(chan, c, LOCAL, 1);
    CHECK_RES(nart_tx_clone(&c.tx, &other), 0);
    CHECK_RES(u64_open(c.rt, LOCAL, 1, &gate_tx, &gate), 0);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    struct race a = { .tx = &c.tx, .gate = &gate, .res = &res, .winner = &winner };
    CHECK_RES(nart_rt_spawn(c.rt, &race_type, &a, NULL), 0);
    settle(c.rt);
    send_start(c.rt, &op, &other, 2);

    CHECK_NEXT(&c.rx, 1); /* the racer's turn */
    CHECK_RES(u64_try_send(&gate_tx, 7), 0);
    settle(c.rt);
    CHECK_EQ(winner, 0);
    CHECK_RES(res, 0);
    CHECK_RES(op.res, 0);
    CHECK_NEXT(&c.rx, 2);
    CHECK_NO_NEXT(&c.rx, -EAGAIN); /* 100 was never sent */
    nart_tx_close(&other);
    nart_tx_close(&gate_tx);
    nart_rx_close(&gate);
}

/* Senders leave the queue from its front, middle and back; the others keep their order. */
TEST(senders_leave_the_queue_anywhere)
{
    for (unsigned gone = 0; gone < SENDERS; gone++) {
        struct crowd w;
        crowd_open(&w);
        CHECK_RES(nart_task_cancel(w.c.rt, w.op[gone].id), 0);
        settle(w.c.rt);
        for (unsigned i = 0; i <= SENDERS; i++) {
            if (i == gone + 1)
                continue;
            CHECK_NEXT(&w.c.rx, i);
            settle(w.c.rt);
        }
        CHECK_NO_NEXT(&w.c.rx, -EAGAIN);
        crowd_finish(&w);
    }
}

/* The receiver's close wakes every sender, with or without a turn. */
TEST(receiver_closes_on_many_senders)
{
    struct crowd w;
    crowd_open(&w);
    CHECK_NEXT(&w.c.rx, 0);
    nart_rx_close(&w.c.rx);
    settle(w.c.rt);
    for (unsigned i = 0; i < SENDERS; i++)
        CHECK_RES(w.op[i].res, NART_ECLOSED);
    crowd_finish(&w);
}

/* A receiver that was woken and finds its value taken keeps waiting. */
TEST(a_woken_receiver_finds_no_value)
{
    struct op op;
    OPEN(chan, c, LOCAL, 4);
    recv_start(c.rt, &op, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_NEXT(&c.rx, 1);
    settle(c.rt);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_EQ(op.polls, 2);
    CHECK_RES(u64_try_send(&c.tx, 2), 0);
    settle(c.rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 2);
}

/* ---- several senders ---- */

/* The channel closes only with its last sender; values are received in call order. */
TEST(clones_are_counted)
{
    nart_tx second, third;
    struct op op;
    OPEN(chan, c, LOCAL, 8);
    CHECK_RES(nart_tx_clone(&c.tx, &second), 0);
    CHECK_RES(nart_tx_clone(&second, &third), 0);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&third, 2), 0);
    CHECK_RES(u64_try_send(&second, 3), 0);
    CHECK_RES(u64_try_send(&c.tx, 4), 0);
    nart_tx_close(&c.tx);
    nart_tx_close(&c.tx);
    for (uint64_t i = 1; i <= 4; i++)
        CHECK_NEXT(&c.rx, i);
    recv_start(c.rt, &op, &c.rx);
    nart_tx_close(&third);
    settle(c.rt);
    CHECK(!nart_rx_is_closed(&c.rx));
    CHECK_RES(op.res, NART_PENDING);
    nart_tx_close(&second);
    CHECK(nart_rx_is_closed(&c.rx));
    settle(c.rt);
    CHECK_RES(op.res, NART_ECLOSED);
}

struct producer {
    nart_co co;
    nart_tx tx;
    uint64_t id, count, next;
};

static nart_res producer_run(nart_cx *cx, void *frame)
{
    struct producer *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    for (; p->next < p->count; p->next++) {
        NART_AWAIT(r, u64_send(cx, &p->tx, p->id << 32 | p->next));
        CHECK_RES(r, 0);
    }
    nart_tx_close(&p->tx);
    NART_END(0);
}

static const nart_task_type producer_type = NART_TASK_TYPE(struct producer, producer_run, NULL);

struct collector {
    nart_co co;
    nart_rx *rx;
    uint64_t value, seen[8], total;
};

/* Receives until the channel closes: each sender's values are in order. */
static nart_res collector_run(nart_cx *cx, void *frame)
{
    struct collector *k = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &k->co);
    for (;; k->total++) {
        NART_AWAIT(r, u64_recv(cx, k->rx, &k->value));
        if (r)
            break;
        CHECK_EQ(k->value & UINT32_MAX, k->seen[k->value >> 32]++);
    }
    CHECK_RES(r, NART_ECLOSED);
    NART_END((nart_res)k->total);
}

static const nart_task_type collector_type = NART_TASK_TYPE(struct collector, collector_run, NULL);

/* Four producers through channels of several capacities: every value once, in order per
 * producer. */
TEST(many_producers)
{
    static const struct {
        size_t capacity;
        uint64_t each;
    } cases[] = { { 64, 100 }, { 4, 1000 }, { 1, 1000 }, { 2, 10000 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nart_res got = 0;
        OPEN(chan, c, LOCAL, cases[i].capacity);
        for (uint64_t id = 0; id < 4; id++) {
            struct producer p = { .id = id, .count = cases[i].each };
            CHECK_RES(nart_tx_clone(&c.tx, &p.tx), 0);
            CHECK_RES(nart_rt_spawn(c.rt, &producer_type, &p, NULL), 0);
        }
        nart_tx_close(&c.tx);
        struct collector k = { .rx = &c.rx };
        CHECK_RES(nart_block_on(c.rt, &collector_type, &k, &got), 0);
        CHECK_EQ(got, 4 * cases[i].each);
    }
}

/* ---- random operations ---- */

enum { ENDS = 6 };

/* Sends that wait, are cancelled or time out, and values received one by one: each send that
 * returned 0 is received once, in the order of the turns; one that returned an error never is. */
static void chaos(uint64_t seed)
{
    nart_tx tx[ENDS];
    struct op op[ENDS];
    uint64_t next = 1, sent = 0, received = 0;
    uint64_t last[ENDS] = { 0 }; /* by end: the last value received */
    bool busy[ENDS] = { false };

    OPEN(chan, c, LOCAL, 1 + random_below(&seed, 3));
    for (int i = 0; i < ENDS; i++)
        CHECK_RES(nart_tx_clone(&c.tx, &tx[i]), 0);
    for (int step = 0; step < 2000; step++) {
        unsigned i = random_below(&seed, ENDS);
        uint64_t value = 0;
        switch (random_below(&seed, 4)) {
        case 0:
        case 1:
            if (!busy[i]) {
                op[i] = (struct op){ .tx = &tx[i], .value = next++ << 8 | i };
                op[i].limit = random_below(&seed, 8) ? NART_NEVER : 0;
                op_start(c.rt, &op[i]);
                busy[i] = true;
            }
            break;
        case 2:
            if (busy[i] && op[i].res == NART_PENDING)
                CHECK_RES(nart_task_cancel(c.rt, op[i].id), 0);
            break;
        default:
            if (u64_try_recv(&c.rx, &value) == 0) {
                CHECK(last[value & 0xff] < value);
                last[value & 0xff] = value;
                received++;
            }
            if (random_below(&seed, 2))
                continue; /* add more before any task is polled */
        }
        settle(c.rt);
        for (unsigned n = 0; n < ENDS; n++) {
            if (!busy[n] || op[n].res == NART_PENDING)
                continue;
            busy[n] = false;
            sent += op[n].res == 0;
            if (op[n].res)
                CHECK(op[n].res == -ECANCELED || op[n].res == -ETIMEDOUT);
        }
        CHECK(nart_rx_len(&c.rx) <= nart_tx_capacity(&c.tx));
        bool waiting = false;
        for (unsigned n = 0; n < ENDS; n++)
            waiting |= busy[n];
        CHECK(!waiting || nart_rx_len(&c.rx) == nart_tx_capacity(&c.tx)); /* no slot is lost */
    }
    settle(c.rt); /* the last step may have left a sender with its turn */
    for (uint64_t value = 0; u64_try_recv(&c.rx, &value) == 0; settle(c.rt))
        received++;
    for (unsigned n = 0; n < ENDS; n++)
        sent += busy[n];
    CHECK_EQ(sent, received);
    for (int i = 0; i < ENDS; i++)
        nart_tx_close(&tx[i]);
}

TEST(chaos)
{
    for (uint64_t seed = 1; seed <= 50; seed++)
        chaos(seed);
}
