/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tasks of test_dump.c. Line numbers of this file are in golden/dump.txt. */
#ifndef NART_TEST_DUMP_TASKS_H
#define NART_TEST_DUMP_TASKS_H

#include "core.h"

/* ---- three nested bodies in a scope ---- */

struct reader {
    nart_co co;
    nart_rx *rx;
    uint64_t value;
    nart_res r;
};

static nart_res read_value(nart_cx *cx, struct reader *f)
{
    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_recv(cx, f->rx, &f->value));
    NART_END(f->r);
}

struct conn {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx;
    struct reader reader;
    nart_res r;
};

static nart_res read_frame(nart_cx *cx, struct conn *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->r, read_value(cx, &f->reader));
    NART_END(f->r);
}

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *f = frame;
    f->reader.rx = &f->rx;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->r, 4200 * NART_MS, read_frame(cx, f));
    NART_END(f->r);
}

static void conn_drop(void *frame)
{
    struct conn *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

/* ---- a hand-written poll function ---- */

struct by_hand {
    nart_waker waker;
};

static nart_res by_hand_poll(nart_cx *cx, void *frame)
{
    ((struct by_hand *)frame)->waker = nart_cx_waker(cx);
    return nart_op_park(cx);
}

static const nart_task_type by_hand_type = NART_TASK_TYPE(struct by_hand, by_hand_poll, NULL);

/* ---- a join, a race, a sleep, a yield ---- */

struct boss {
    nart_co co;
    nart_join join;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    nart_res r, answer;
    int which;
};

static nart_res joins_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
    NART_END(f->r);
}

static nart_res a_join(nart_cx *cx, struct boss *f)
{
    return nart_join_await(cx, &f->join, &f->answer);
}

static nart_res a_recv(nart_cx *cx, struct boss *f)
{
    return nart_recv(cx, &f->rx, &f->value);
}

static nart_res a_sleep(nart_cx *cx, struct boss *f)
{
    return nart_sleep(cx, &f->timer, 90 * NART_SEC);
}

static nart_res races_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    /* on one line: compilers differ in what the line of a macro call is that has several */
    NART_AWAIT_ANY(f->which, f->r, a_join(cx, f), a_recv(cx, f), a_sleep(cx, f));
    NART_END(f->r);
}

static nart_res sleeps_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 7 * NART_SEC));
    NART_END(f->r);
}

static nart_res shields_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_SHIELD(NART_SEC);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 7 * NART_SEC));
    NART_END(f->r);
}

static nart_res yields_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;)
        NART_YIELD();
    NART_END(0);
}

/* Completes in a poll in which an arm has parked. */
static nart_res decides_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, a_sleep(cx, f), a_recv(cx, f));
    NART_END(f->r);
}

static nart_res ends_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return -EIO;
}

static void boss_drop(void *frame)
{
    struct boss *f = frame;
    nart_join_release(&f->join);
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

#define BOSS_TYPE(shown, poll)                                                                     \
    {                                                                                              \
        NART_TASK_ABI, 0, shown, sizeof(struct boss), _Alignof(struct boss), poll, boss_drop,      \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

static const nart_task_type joins_type = BOSS_TYPE("joins", joins_run),
                            races_type = BOSS_TYPE("races", races_run),
                            sleeps_type = BOSS_TYPE("sleeps", sleeps_run),
                            shields_type = BOSS_TYPE("shields", shields_run),
                            decides_type = BOSS_TYPE("decides", decides_run),
                            yields_type = BOSS_TYPE("yields", yields_run),
                            ends_type = BOSS_TYPE("ends", ends_poll);

#endif
