/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Oneshots of both kinds on one thread. Several threads: test_oneshot_threads.c and
 * tests/models. */
#include "../core/core.h"
#include "../core/virtual.h"
#include "by_hand.h"
#include "op.h"

#include <nart/clock.h>
#include <nart/oneshot.h>

enum kind { SHARED, LINKED, KINDS };

static nart_rt *rt;
static nart_oneshot_tx tx;
static nart_oneshot_rx rx;
static uint64_t slot, dropped;

static void drop(void *value)
{
    dropped += *(uint64_t *)value;
}

static void begin(enum kind kind)
{
    rt = new_rt();
    dropped = 0;
    if (kind == SHARED)
        CHECK_RES(nart_oneshot_open(rt, sizeof slot, drop, &tx, &rx), 0);
    else
        CHECK_RES(nart_oneshot_link(&slot, sizeof slot, drop, &tx, &rx), 0);
}

static void end(void)
{
    nart_oneshot_tx_close(&tx);
    nart_oneshot_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(test_alloc_live(), 0);
}

static nart_res put(uint64_t value)
{
    return nart_oneshot_send(&tx, &value);
}

/* A receive in its own task. */
struct op {
    OP_FIELDS;
    nart_oneshot_rx *rx;
    uint64_t value;
};

static nart_res op_do(nart_cx *cx, struct op *op)
{
    nart_res r = nart_oneshot_recv(cx, op->rx, &op->value);

    if (r != NART_PENDING)
        CHECK(op->rx->wait.task != cx->self); /* the wait has ended */
    return r;
}

OP_TASK(op_do);

static void recv_start(struct op *op, nart_oneshot_rx *from, int64_t limit)
{
    *op = (struct op){ .rx = from, .limit = limit };
    op_start(rt, op);
}

TEST(a_value_is_awaited)
{
    for (enum kind k = 0; k < KINDS; k++) {
        struct op op;
        begin(k);
        recv_start(&op, &rx, NART_NEVER);
        CHECK_RES(op.res, NART_PENDING);
        CHECK(!nart_oneshot_tx_is_closed(&tx));
        CHECK_RES(put(5), 0);
        CHECK(nart_oneshot_tx_is_closed(&tx));
        CHECK_RES(put(6), NART_ECLOSED);
        settle(rt);
        CHECK_RES(op.res, 0);
        CHECK_EQ(op.value, 5);
        CHECK_EQ(op.polls, 2);
        recv_start(&op, &rx, NART_NEVER); /* there was only one value */
        CHECK_RES(op.res, NART_ECLOSED);
        end();
        CHECK_EQ(dropped, 0);
    }
}

TEST(a_value_may_be_there_before)
{
    for (enum kind k = 0; k < KINDS; k++) {
        uint64_t value = 0;
        struct op op;
        begin(k);
        CHECK_RES(nart_oneshot_try_recv(&rx, &value), -EAGAIN);
        CHECK_RES(put(5), 0);
        recv_start(&op, &rx, NART_NEVER);
        CHECK_EQ(op.polls, 1);
        CHECK_EQ(op.value, 5);
        end();
        begin(k);
        CHECK_RES(put(7), 0);
        CHECK_RES(nart_oneshot_try_recv(&rx, &value), 0);
        CHECK_EQ(value, 7);
        CHECK_RES(nart_oneshot_try_recv(&rx, &value), NART_ECLOSED);
        end();
        CHECK_EQ(dropped, 0);
    }
}

TEST(a_sender_may_close_without)
{
    for (enum kind k = 0; k < KINDS; k++) {
        struct op op;
        uint64_t value;
        begin(k);
        recv_start(&op, &rx, NART_NEVER);
        nart_oneshot_tx_close(&tx);
        settle(rt);
        CHECK_RES(op.res, NART_ECLOSED);
        end();
        begin(k);
        nart_oneshot_tx_close(&tx);
        nart_oneshot_tx_close(&tx);
        nart_oneshot_tx_close(NULL);
        CHECK_RES(nart_oneshot_try_recv(&rx, &value), NART_ECLOSED);
        end();
    }
}

TEST(a_receiver_may_close_before)
{
    for (enum kind k = 0; k < KINDS; k++) {
        struct op op;
        begin(k);
        nart_oneshot_rx_close(&rx);
        nart_oneshot_rx_close(&rx);
        nart_oneshot_rx_close(NULL);
        CHECK(nart_oneshot_tx_is_closed(&tx));
        CHECK_RES(put(5), NART_ECLOSED); /* the caller keeps the value: not dropped */
        end();
        CHECK_EQ(dropped, 0);
        begin(k);
        recv_start(&op, &rx, NART_NEVER);
        nart_oneshot_rx_close(&rx);
        settle(rt);
        CHECK_RES(op.res, NART_ECLOSED);
        nart_oneshot_tx_close(&tx); /* and nothing is left */
        end();
    }
}

TEST(a_value_that_is_not_received_is_dropped)
{
    for (enum kind k = 0; k < KINDS; k++) {
        begin(k);
        CHECK_RES(put(5), 0);
        nart_oneshot_rx_close(&rx);
        CHECK_EQ(dropped, 5);
        nart_oneshot_rx_close(&rx);
        CHECK_EQ(dropped, 5);
        end();
    }
}

/* An abandoned wait takes no value: the next receive gets it. */
TEST(a_wait_may_be_abandoned)
{
    for (enum kind k = 0; k < KINDS; k++) {
        for (int way = 0; way < 3; way++) {
            struct op op, next;
            begin(k);
            recv_start(&op, &rx, way == 0 ? 5 * NART_MS : NART_NEVER);
            if (way == 0)
                run_until(rt, at_ms(0) + (virtual_now - at_ms(0)) + 6 * NART_MS);
            if (way > 0)
                CHECK_RES(put(3), 0);
            if (way == 1)
                CHECK_RES(nart_task_cancel(rt, op.id), 0);
            if (way == 2)
                CHECK_RES(nart_task_abort(rt, op.id), 0);
            settle(rt);
            CHECK_RES(op.res, way == 0 ? -ETIMEDOUT : -ECANCELED);
            CHECK(!rx.wait.task);
            if (way == 0)
                CHECK_RES(put(3), 0);
            recv_start(&next, &rx, NART_NEVER);
            CHECK_RES(next.res, 0);
            CHECK_EQ(next.value, 3);
            end();
        }
    }
}

/* A clock in auto-advance mode waits for values that another thread may send, and for nothing
 * else. */
TEST(an_end_of_another_thread_holds_the_clock)
{
    for (enum kind k = 0; k < KINDS; k++) {
        struct op op;
        begin(k);
        CHECK_RES(nart_rt_clock_pause(rt), 0);
        CHECK_RES(nart_rt_clock_auto(rt), 0);
        recv_start(&op, &rx, NART_SEC);
        for (int i = 0; i < 10; i++)
            settle(rt);
        CHECK_RES(op.res, k == SHARED ? NART_PENDING : -ETIMEDOUT);
        if (k == SHARED) {
            CHECK_RES(put(5), 0);
            settle(rt);
            CHECK_RES(op.res, 0);
        }
        end();
    }
}

TEST(ends_move)
{
    for (enum kind k = 0; k < KINDS; k++) {
        nart_oneshot_tx t = { .shared = NULL };
        nart_oneshot_rx r;
        struct op op, second;
        memset(&r, 0, sizeof r);
        begin(k);
        recv_start(&op, &rx, NART_NEVER);
        nart_oneshot_tx_move(&t, &tx);
        nart_oneshot_tx_move(&t, &t);
        nart_oneshot_rx_move(&r, &rx);
        nart_oneshot_rx_move(&r, &r);
        settle(rt);
        CHECK_RES(op.res, NART_ECLOSED); /* it waited on the old handle */
        CHECK_RES(put(4), NART_ECLOSED);
        recv_start(&second, &r, NART_NEVER);
        nart_oneshot_tx_move(&tx, &t);
        CHECK_RES(put(5), 0);
        settle(rt);
        CHECK_EQ(second.value, 5);
        end();
    }
}

TEST(misuse_is_an_error)
{
    struct op a, b;
    uint64_t value;
    nart_oneshot_tx t;
    nart_oneshot_rx r;
    for (enum kind k = 0; k < KINDS; k++) {
        begin(k);
        recv_start(&a, &rx, NART_NEVER);
        recv_start(&b, &rx, NART_NEVER);
        CHECK_RES(b.res, -EBUSY);
        CHECK_RES(put(1), 0);
        CHECK_RES(nart_oneshot_try_recv(&rx, &value), 0); /* while the other task waits */
        CHECK(!rx.wait.task);
        settle(rt);
        CHECK_RES(a.res, NART_ECLOSED);
        end();
    }
    begin(SHARED);
    CHECK_RES(nart_oneshot_open(NULL, 8, NULL, &t, &r), -EINVAL);
    CHECK_RES(nart_oneshot_open(rt, 8, NULL, NULL, &r), -EINVAL);
    CHECK_RES(nart_oneshot_open(rt, 8, NULL, &t, NULL), -EINVAL);
    CHECK_RES(nart_oneshot_open(rt, NART_ONESHOT_MAX_SIZE + 1, NULL, &t, &r), -EOVERFLOW);
    CHECK_RES(nart_oneshot_link(NULL, 8, NULL, &t, &r), -EINVAL);
    CHECK_RES(nart_oneshot_link(&slot, 8, NULL, NULL, &r), -EINVAL);
    test_alloc_fail(1, false);
    CHECK_RES(nart_oneshot_open(rt, 8, NULL, &t, &r), -ENOMEM);
    CHECK_RES(nart_oneshot_send(&t, &slot), NART_ECLOSED);
    CHECK_RES(nart_oneshot_try_recv(&r, &slot), NART_ECLOSED);
    end();
}

/* A signal without a value, and values of any size. */
TEST(values_have_any_size)
{
    static unsigned char big[NART_ONESHOT_MAX_SIZE], back[sizeof big], place[sizeof big];
    const size_t sizes[] = { 0, 1, 3, 16, 100, sizeof big };

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (unsigned char)(i * 7);
    rt = new_rt();
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i / 2];
        if (i % 2)
            CHECK_RES(nart_oneshot_open(rt, size, NULL, &tx, &rx), 0);
        else
            CHECK_RES(nart_oneshot_link(size ? place : NULL, size, NULL, &tx, &rx), 0);
        memset(back, 0, sizeof back);
        CHECK_RES(nart_oneshot_send(&tx, size ? big : NULL), 0);
        CHECK_RES(nart_oneshot_try_recv(&rx, size ? back : NULL), 0);
        CHECK(memcmp(back, big, size) == 0);
        CHECK(size == sizeof back || back[size] == 0);
    }
    end();
}

/* Both ends are closed in every order, before and after the runtime, with and without a value. */
TEST(ends_go_in_any_order)
{
    for (unsigned program = 0; program < KINDS * 2 * 2 * 3 * 2; program++) {
        unsigned rest = program / KINDS;
        bool tx_first = rest % 2, sends = rest / 2 % 2, waits = rest / 12 % 2;
        unsigned freed_after = rest / 4 % 3;
        struct op op;
        begin(program % KINDS);
        if (waits)
            recv_start(&op, &rx, NART_NEVER);
        for (unsigned i = 0; i < 3; i++) {
            if (i == freed_after)
                CHECK_RES(nart_rt_free(rt), 0);
            if (i == 2)
                break;
            if ((i == 0) != tx_first)
                nart_oneshot_rx_close(&rx);
            else if (sends)
                CHECK_RES(put(1), tx_first ? 0 : NART_ECLOSED);
            else
                nart_oneshot_tx_close(&tx);
        }
        CHECK_EQ(dropped, sends && tx_first);
        CHECK_EQ(test_alloc_live(), 0);
    }
}

TEST(polls_for_no_reason_change_nothing)
{
    for (enum kind k = 0; k < KINDS; k++) {
        struct op op;
        begin(k);
        recv_start(&op, &rx, NART_NEVER);
        for (int i = 0; i < 1000; i++) {
            nart_waker_wake(op.waker);
            settle(rt);
        }
        CHECK_LE(1000, op.polls);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(put(9), 0);
        settle(rt);
        CHECK_EQ(op.value, 9);
        end();
    }
}

/* ---- a driver that moves its tasks: a block belongs to no thread, a link does ---- */

TEST(another_driver_may_receive)
{
    for (enum kind k = 0; k < KINDS; k++) {
        struct by_hand host;
        struct op op = { .rx = &rx, .limit = NART_NEVER, .res = NART_PENDING };
        struct op_frame f = { .op = &op };
        nart__task t;

        begin(k);
        by_hand_open(&host, NART_DRIVER_MOVES);
        nart_driver_task_init(&t, &op_type, &f, &host.cx);
        nart_res r = nart_driver_poll(&host.cx, &t);
        CHECK_RES(r, k == SHARED ? NART_PENDING : NART_EDRIVER);
        CHECK_RES(put(8), 0);
        CHECK_EQ(host.woken, k == SHARED);
        if (k == SHARED) {
            CHECK_RES(nart_driver_poll(&host.cx, &t), 0);
            CHECK_EQ(op.value, 8);
        }
        end();
    }
}

/* ---- many requests, each with its answer, in a race against a deadline ---- */

struct server {
    nart_co co;
    nart_timer timer;
    nart_oneshot_tx answer;
    nart_res r;
    uint64_t number;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT(s->r, nart_sleep(cx, &s->timer, (int64_t)(s->number % 20) * NART_MS));
    s->r = nart_oneshot_send(&s->answer, &s->number);
    NART_END(s->r);
}

static void server_drop(void *frame)
{
    struct server *s = frame;
    nart_oneshot_tx_close(&s->answer);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, server_drop);

struct client {
    nart_co co;
    nart_oneshot_rx rx;
    nart_timer timer;
    uint64_t number, value, place;
    enum kind kind;
    nart_res r;
    int which, answers, late;
};

static void ask(nart_cx *cx, struct client *c)
{
    nart_res err;
    struct server *s = nart_spawn_begin(cx, &server_type, &err);

    CHECK_RES(err, 0);
    s->number = c->number;
    if (c->kind == SHARED)
        CHECK_RES(nart_oneshot_open(nart_cx_rt(cx), sizeof c->value, NULL, &s->answer, &c->rx), 0);
    else
        CHECK_RES(nart_oneshot_link(&c->place, sizeof c->value, NULL, &s->answer, &c->rx), 0);
    CHECK_RES(nart_spawn_commit(cx, s, NULL), 0);
}

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;

    NART_BEGIN(cx, &c->co);
    for (c->number = 0; c->number < 100; c->number++) {
        ask(cx, c);
        NART_AWAIT_ANY(c->which, c->r, nart_oneshot_recv(cx, &c->rx, &c->value),
                       nart_sleep(cx, &c->timer, 10 * NART_MS + NART_US));
        if (c->which == 0) {
            CHECK_RES(c->r, 0);
            CHECK_EQ(c->value, c->number);
            c->answers++;
        } else {
            c->late++;
        }
        nart_timer_cancel(&c->timer);
        nart_oneshot_rx_close(&c->rx);
    }
    NART_END(0);
}

static const nart_task_type client_type = NART_TASK_TYPE(struct client, client_run, NULL);

TEST(answers_in_a_race_with_time)
{
    for (enum kind k = 0; k < KINDS; k++) {
        nart_join join;
        rt = new_rt();
        struct client *c = spawn(rt, &client_type, &join);
        c->kind = k;
        run_all(rt);
        CHECK_EQ(c->answers, 55);
        CHECK_EQ(c->late, 45);
        nart_join_release(&join);
        end();
    }
}
