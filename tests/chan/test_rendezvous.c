/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Local channels of capacity 0: sender and receiver meet, one side leaves, no value is lost or sent twice. */
#include "chan_test.h"

/* Between two cases: nothing is in the channel, and nobody waits. */
static void check_idle(struct chan *c)
{
    CHECK_EQ(nart_rx_len(&c->rx), 0);
    CHECK_NO_NEXT(&c->rx, -EAGAIN);
    CHECK_RES(u64_try_send(&c->tx, 666), -EAGAIN);
}

/* A send and a receive that meet. */
static void meet(struct chan *c, uint64_t value)
{
    struct op s, r;
    recv_start(c->rt, &r, &c->rx);
    CHECK_RES(r.res, NART_PENDING);
    send_start(c->rt, &s, &c->tx, value);
    CHECK_RES(s.res, 0);
    CHECK_RES(r.res, 0);
    CHECK_EQ(r.value, value);
    check_idle(c);
}

/* What is done in a poll of its own: after the receiver has begun to wait, and before the sender that is granted
 * it is polled. */
struct deed {
    void (*fn)(void *arg);
    void *arg;
};

static nart_res deed_poll(nart_cx *cx, void *frame)
{
    const struct deed *d = frame;
    (void)cx;
    d->fn(d->arg);
    return 0;
}

static const nart_task_type deed_type = NART_TASK_TYPE(struct deed, deed_poll, NULL);

/* Receives, and does that then. */
static void recv_and(struct chan *c, struct op *r, void (*fn)(void *arg), void *arg)
{
    *r = (struct op){ .rx = &c->rx, .limit = NART_NEVER };
    op_spawn(c->rt, r);
    CHECK_RES(nart_rt_spawn(c->rt, &deed_type, &(struct deed){ fn, arg }, NULL), 0);
    settle(c->rt);
}

TEST(a_send_waits_for_the_receiver)
{
    struct op s, r;
    OPEN(chan, c, LOCAL, 0);
    CHECK_EQ(nart_tx_capacity(&c.tx), 0);
    send_start(c.rt, &s, &c.tx, 7);
    CHECK_RES(s.res, NART_PENDING);
    check_idle(&c);
    recv_start(c.rt, &r, &c.rx);
    CHECK_RES(s.res, 0);
    CHECK_RES(r.res, 0);
    CHECK_EQ(r.value, 7);
    CHECK_EQ(s.polls, 2);
    CHECK_EQ(r.polls, 2);
    check_idle(&c);
    meet(&c, 8);
}

/* Each receive admits one sender, the longest waiting. */
TEST(senders_meet_in_order)
{
    nart_tx tx[4];
    struct op s[4], r;
    OPEN(chan, c, LOCAL, 0);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_RES(nart_tx_clone(&c.tx, &tx[i]), 0);
        send_start(c.rt, &s[i], &tx[i], i);
    }
    for (unsigned n = 0; n < 4; n++) {
        recv_start(c.rt, &r, &c.rx);
        CHECK_RES(r.res, 0);
        CHECK_EQ(r.value, n);
        for (unsigned i = 0; i < 4; i++)
            CHECK_RES(s[i].res, i <= n ? 0 : NART_PENDING);
        nart_tx_close(&tx[n]);
    }
    check_idle(&c);
}

struct reader {
    nart_co co;
    nart_rx *rx;
    nart_rx *gate; /* received from between two values; NULL: receives again at once */
    uint64_t value, sum, ignored;
    nart_res r;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, u64_recv(cx, f->rx, &f->value));
        if (f->r < 0)
            break;
        f->sum += f->value;
        if (f->gate)
            NART_AWAIT(f->r, u64_recv(cx, f->gate, &f->ignored));
    }
    NART_END((nart_res)f->sum);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

static void check_sum(struct chan *c, nart_join *join, uint64_t sum)
{
    nart_tx_close(&c->tx);
    settle(c->rt);
    const struct reader *ended = nart_join_frame(join);
    CHECK(ended && ended->sum == sum);
    nart_join_release(join);
}

/* A receiver that takes a value and then works does not admit the next sender. */
TEST(a_busy_receiver_admits_nobody)
{
    nart_tx tx[3], gate_tx;
    nart_rx gate;
    struct op s[3];
    nart_join join;
    OPEN(chan, c, LOCAL, 0);
    CHECK_RES(u64_open(c.rt, LOCAL, 4, &gate_tx, &gate), 0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_RES(nart_tx_clone(&c.tx, &tx[i]), 0);
        send_start(c.rt, &s[i], &tx[i], i + 1);
    }
    struct reader f = { .rx = &c.rx, .gate = &gate };
    CHECK_RES(nart_rt_spawn(c.rt, &reader_type, &f, &join), 0);
    for (unsigned n = 0; n < 3; n++) {
        settle(c.rt);
        for (unsigned i = 0; i < 3; i++)
            CHECK_RES(s[i].res, i <= n ? 0 : NART_PENDING);
        CHECK_RES(u64_try_send(&gate_tx, 0), 0);
    }
    for (unsigned i = 0; i < 3; i++)
        nart_tx_close(&tx[i]);
    check_sum(&c, &join, 6);
    nart_rx_close(&gate);
    nart_tx_close(&gate_tx);
}

/* One that receives again in the same poll admits it. */
TEST(a_receiver_that_continues_admits_the_next)
{
    nart_tx tx[3];
    struct op s[3];
    nart_join join;
    OPEN(chan, c, LOCAL, 0);
    struct reader f = { .rx = &c.rx };
    CHECK_RES(nart_rt_spawn(c.rt, &reader_type, &f, &join), 0);
    settle(c.rt);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_RES(nart_tx_clone(&c.tx, &tx[i]), 0);
        s[i] = (struct op){ .tx = &tx[i], .value = i + 1, .limit = NART_NEVER };
        op_spawn(c.rt, &s[i]);
    }
    settle(c.rt);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_RES(s[i].res, 0);
        nart_tx_close(&tx[i]);
    }
    check_sum(&c, &join, 6);
}

/* ---- without waiting ---- */

TEST(a_try_to_send_needs_a_receiver_that_waits)
{
    struct op r;
    OPEN(chan, c, LOCAL, 0);
    check_idle(&c);
    recv_start(c.rt, &r, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    CHECK_RES(u64_try_send(&c.tx, 2), -EAGAIN); /* it has got one, though it was not polled yet */
    settle(c.rt);
    CHECK_RES(r.res, 0);
    CHECK_EQ(r.value, 1);
    check_idle(&c);
}

static void refused(void *tx)
{
    CHECK_RES(u64_try_send(tx, 666), -EAGAIN);
}

/* The receiver is granted to the sender that waits, not to a try. */
TEST(a_try_to_send_overtakes_nobody)
{
    nart_tx other;
    struct op s, r;
    OPEN(chan, c, LOCAL, 0);
    CHECK_RES(nart_tx_clone(&c.tx, &other), 0);
    send_start(c.rt, &s, &other, 5);
    recv_and(&c, &r, refused, &c.tx);
    CHECK_RES(s.res, 0);
    CHECK_EQ(r.value, 5);
    nart_tx_close(&other);
}

TEST(several_values_are_sent_one_by_one)
{
    const uint64_t values[3] = { 1, 2, 3 };
    uint64_t got[3] = { 0 };
    struct op r;
    OPEN(chan, c, LOCAL, 0);
    CHECK_RES(nart_try_send_many(&c.tx, values, 3), -EAGAIN);
    recv_start(c.rt, &r, &c.rx);
    CHECK_RES(nart_try_send_many(&c.tx, values, 3), 1);
    CHECK_RES(nart_try_send_many(&c.tx, values + 1, 2), -EAGAIN);
    CHECK_RES(nart_try_recv_many(&c.rx, got, 3), 1); /* in its stead: it keeps waiting */
    CHECK_EQ(got[0], 1);
    settle(c.rt);
    CHECK_RES(r.res, NART_PENDING);
    CHECK_RES(nart_try_send_many(&c.tx, values + 1, 2), 1);
    settle(c.rt);
    CHECK_EQ(r.value, 2);
}

/* ---- one side leaves ---- */

enum way { CANCELLED, ABORTED, END_CLOSED, WAYS };
static const nart_res left[WAYS] = { -ECANCELED, -ECANCELED, NART_ECLOSED };

struct leaver {
    struct chan *c;
    struct op *op;
    enum way way;
};

static void leave(void *leaver)
{
    const struct leaver *l = leaver;

    if (l->way == CANCELLED)
        CHECK_RES(nart_task_cancel(l->c->rt, l->op->id), 0);
    else if (l->way == ABORTED)
        CHECK_RES(nart_task_abort(l->c->rt, l->op->id), 0);
    else
        nart_tx_close(l->op->tx);
}

/* Two senders that wait with ends of their own: the values 1 and 2. */
static void two_start(struct chan *c, struct op s[2], nart_tx tx[2])
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_RES(nart_tx_clone(&c->tx, &tx[i]), 0);
        send_start(c->rt, &s[i], &tx[i], i + 1);
    }
}

/* A sender that waits, and one that was granted the receiver, leave: the next one meets it. */
TEST(a_sender_that_leaves_has_not_sent)
{
    for (enum way way = 0; way < WAYS; way++)
        for (int granted = 0; granted < 2; granted++) {
            nart_tx tx[2];
            struct op s[2], r;
            OPEN(chan, c, LOCAL, 0);
            two_start(&c, s, tx);
            struct leaver l = { &c, &s[0], way };
            if (granted) {
                recv_and(&c, &r, leave, &l);
            } else {
                leave(&l);
                recv_start(c.rt, &r, &c.rx);
            }
            CHECK_RES(s[0].res, left[way]);
            CHECK_RES(s[1].res, 0);
            CHECK_RES(r.res, 0);
            CHECK_EQ(r.value, 2);
            nart_tx_close(&tx[0]);
            nart_tx_close(&tx[1]);
            check_idle(&c);
        }
}

TEST(a_send_times_out)
{
    struct op s = { .value = 1, .limit = 0 };
    OPEN(chan, c, LOCAL, 0);
    s.tx = &c.tx;
    op_start(c.rt, &s);
    CHECK_RES(s.res, -ETIMEDOUT);
    check_idle(&c);
    meet(&c, 2);
}

/* Begins to receive, and leaves in the same poll, as the second arm is ready. */
struct glance {
    nart_co co;
    nart_rx *rx, *gate;
    uint64_t value, ignored;
    int which;
    nart_res r;
};

static nart_res glance_run(nart_cx *cx, void *frame)
{
    struct glance *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, u64_recv(cx, f->rx, &f->value),
                   u64_recv(cx, f->gate, &f->ignored));
    CHECK_EQ(f->which, 1);
    NART_END(f->r);
}

static const nart_task_type glance_type = NART_TASK_TYPE(struct glance, glance_run, NULL);

/* The receiver leaves before the sender that was granted it is polled: nothing was sent, and that sender is the
 * first to meet the next receive. */
TEST(a_receiver_that_leaves_first_takes_nothing)
{
    nart_tx tx[2], gate_tx;
    nart_rx gate;
    struct op s[2], r;
    OPEN(chan, c, LOCAL, 0);
    CHECK_RES(u64_open(c.rt, LOCAL, 1, &gate_tx, &gate), 0);
    two_start(&c, s, tx);
    CHECK_RES(u64_try_send(&gate_tx, 1), 0);
    struct glance f = { .rx = &c.rx, .gate = &gate };
    CHECK_RES(nart_rt_spawn(c.rt, &glance_type, &f, NULL), 0);
    settle(c.rt);
    CHECK_EQ(s[0].polls, 2); /* it had its turn */
    CHECK_RES(s[0].res, NART_PENDING);
    CHECK_RES(s[1].res, NART_PENDING);
    check_idle(&c);
    for (unsigned i = 0; i < 2; i++) {
        recv_start(c.rt, &r, &c.rx);
        CHECK_RES(r.res, 0);
        CHECK_EQ(r.value, i + 1);
    }
    nart_tx_close(&tx[0]);
    nart_tx_close(&tx[1]);
    check_idle(&c);
    nart_tx_close(&gate_tx);
    nart_rx_close(&gate);
}

static void move_away(void *chan)
{
    struct chan *c = chan;
    nart_rx moved = { .ring = NULL };

    nart_rx_move(&moved, &c->rx);
    nart_rx_move(&c->rx, &moved);
}

/* Likewise when the receiver's end is moved; here it waits again, in the same place. */
TEST(a_receiver_that_is_moved_meets_the_first_sender)
{
    nart_tx tx[2];
    struct op s[2], r;
    OPEN(chan, c, LOCAL, 0);
    two_start(&c, s, tx);
    recv_and(&c, &r, move_away, &c);
    CHECK_RES(r.res, 0);
    CHECK_EQ(r.value, 1);
    CHECK_RES(s[0].res, 0);
    CHECK_EQ(s[0].polls, 3);
    CHECK_RES(s[1].res, NART_PENDING);
    nart_tx_close(&tx[0]);
    nart_tx_close(&tx[1]);
    settle(c.rt);
    CHECK_RES(s[1].res, NART_ECLOSED);
    check_idle(&c);
}

/* A receiver that leaves after a value was handed to it leaves it to the next receive. */
TEST(a_value_that_was_handed_over_stays)
{
    for (enum way way = 0; way < END_CLOSED; way++) {
        struct op r, next;
        OPEN(chan, c, LOCAL, 0);
        recv_start(c.rt, &r, &c.rx);
        CHECK_RES(u64_try_send(&c.tx, 3), 0);
        CHECK_EQ(nart_rx_len(&c.rx), 1);
        leave(&(struct leaver){ &c, &r, way });
        settle(c.rt);
        CHECK_RES(r.res, left[way]);
        CHECK_RES(u64_try_send(&c.tx, 4), -EAGAIN);
        recv_start(c.rt, &next, &c.rx);
        CHECK_RES(next.res, 0);
        CHECK_EQ(next.polls, 1);
        CHECK_EQ(next.value, 3);
        check_idle(&c);
    }
}

/* A race of the two ends, each against a gate that wins. */
struct racer {
    nart_co co;
    nart_tx *tx; /* NULL: it receives */
    nart_rx *rx, *gate;
    uint64_t value, ignored;
    int which, *winner;
    nart_res r;
};

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, u64_recv(cx, f->gate, &f->ignored),
                   f->tx ? u64_send(cx, f->tx, f->value) : u64_recv(cx, f->rx, &f->value));
    *f->winner = f->which;
    NART_END(f->r);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

static void open_gate(void *tx)
{
    CHECK_RES(u64_try_send(tx, 1), 0);
}

TEST(a_race_that_is_lost_transfers_nothing)
{
    for (int sends = 0; sends < 2; sends++) {
        int winner = -1;
        nart_tx gate_tx;
        nart_rx gate;
        struct op r;
        OPEN(chan, c, LOCAL, 0);
        CHECK_RES(u64_open(c.rt, LOCAL, 1, &gate_tx, &gate), 0);
        struct racer f = {
            .tx = sends ? &c.tx : NULL, .rx = &c.rx, .gate = &gate, .value = 100, .winner = &winner
        };
        CHECK_RES(nart_rt_spawn(c.rt, &racer_type, &f, NULL), 0);
        settle(c.rt);
        if (sends) {
            recv_and(&c, &r, open_gate, &gate_tx); /* the sender has its turn */
            CHECK_RES(r.res, NART_PENDING);
            CHECK_RES(u64_try_send(&c.tx, 7), 0);
            settle(c.rt);
            CHECK_EQ(r.value, 7);
        } else {
            CHECK_RES(u64_try_send(&c.tx, 7), 0);
            open_gate(&gate_tx);
            settle(c.rt);
            CHECK_NEXT(&c.rx, 7);
        }
        CHECK_EQ(winner, 0);
        check_idle(&c);
        nart_tx_close(&gate_tx);
        nart_rx_close(&gate);
    }
}

/* ---- the end ---- */

static int dropped;

static void drop(void *value)
{
    (void)value;
    dropped++;
}

static void open_dropping(struct chan *c)
{
    const nart_chan_opts o = {
        .size = sizeof o, .kind = LOCAL, .elem = sizeof(uint64_t), .drop_value = drop
    };
    dropped = 0;
    c->rt = new_rt();
    CHECK_RES(nart_chan_open(c->rt, &o, &c->tx, &c->rx), 0);
}

/* The values of senders that wait stay theirs; one that was handed over is dropped. */
TEST(the_receiver_closes)
{
    for (int handed_over = 0; handed_over < 2; handed_over++) {
        struct chan c;
        struct op s, r;
        open_dropping(&c);
        if (handed_over) {
            recv_start(c.rt, &r, &c.rx);
            CHECK_RES(u64_try_send(&c.tx, 1), 0);
        } else {
            send_start(c.rt, &s, &c.tx, 1);
        }
        nart_rx_close(&c.rx);
        settle(c.rt);
        CHECK_RES(handed_over ? r.res : s.res, NART_ECLOSED);
        CHECK_EQ(dropped, handed_over);
        CHECK_RES(u64_try_send(&c.tx, 2), NART_ECLOSED);
        chan_finish(&c);
    }
}

TEST(the_receiver_shuts)
{
    struct op s, r;
    OPEN(chan, c, LOCAL, 0);
    recv_start(c.rt, &r, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    send_start(c.rt, &s, &c.tx, 2);
    nart_rx_shut(&c.rx);
    settle(c.rt);
    CHECK_RES(s.res, NART_ECLOSED);
    CHECK_EQ(r.value, 1);
    CHECK_NO_NEXT(&c.rx, NART_ECLOSED);
}

TEST(the_last_sender_closes)
{
    struct op r, next;
    OPEN(chan, c, LOCAL, 0);
    recv_start(c.rt, &r, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    nart_tx_close(&c.tx);
    settle(c.rt);
    CHECK_EQ(r.value, 1);
    recv_start(c.rt, &next, &c.rx);
    CHECK_RES(next.res, NART_ECLOSED);
}

TEST(a_freed_runtime_leaves_nothing)
{
    struct chan c;
    struct op s, r;
    open_dropping(&c);
    recv_start(c.rt, &r, &c.rx);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    s = (struct op){ .tx = &c.tx, .value = 2, .limit = NART_NEVER };
    op_spawn(c.rt, &s);
    CHECK_RES(nart_rt_free(c.rt), 0);
    CHECK_RES(r.res, -ECANCELED);
    CHECK_RES(s.res, -ECANCELED);
    CHECK_NEXT(&c.rx, 1);
    CHECK_NO_NEXT(&c.rx, -EAGAIN);
    nart_tx_close(&c.tx);
    nart_rx_close(&c.rx);
    CHECK_EQ(dropped, 0);
}

TEST_EACH(only_a_local_channel_has_a_capacity_of_0, SPSC, MPSC)
{
    nart_rt *rt = new_rt();
    nart_tx tx;
    nart_rx rx;
    CHECK_RES(u64_open(rt, kind, 0, &tx, &rx), -EINVAL);
    CHECK_RES(nart_rt_free(rt), 0);
}
