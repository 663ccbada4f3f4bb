/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Awaits of fibers: in every place where an expression may stand, at any depth, of everything that can be
 * awaited. */
#include "fiber.h"

#include <nart/bytes.h>
#include <nart/sync.h>

FIXTURE_RT(.report = keep_report);

/* ---- control flow around awaits: the same events as test_co.c's body ---- */

static nart_res flow(nart_cx *cx, void *arg)
{
    int i, n;

    (void)arg;
    note("<");
    for (i = 0; i < 3; i++) {
        if (i == 1)
            continue;
        int j = 0;
        while (j < 2) {
            n = i;
            note(nart_await(cx, after(cx, &n)) == 5 ? "a" : "!");
            j++;
        }
        if (i == 2) {
            do {
                n = 1;
                CHECK_RES(nart_await_for(cx, NART_SEC, after(cx, &n)), 5);
                note("b");
            } while (++j < 4);
        } else {
            n = 2;
            CHECK_RES(nart_await_until(cx, NART_NEVER, after(cx, &n)), 5);
            note("c");
        }
        CHECK_RES(nart_yield(cx), 0);
        note("y");
    }
    note(">");
    return i;
}

TEST_WITH(a_fiber_continues_where_it_parked, rt)
{
    CHECK_EQ(RUN(flow, NULL), 3);
    CHECK_STR(trace, "<aacyaabby>");
    nart_res r = 0;
    CHECK_RES(nart_fiber_block_on(rt, flow, NULL, NULL, &r), 0);
    CHECK_EQ(r, 3);
    CHECK_STR(trace, "<aacyaabby><aacyaabby>");
}

/* ---- places ---- */

static nart_res in_a_switch(nart_cx *cx, void *arg)
{
    int n = 1, m = 2;

    (void)arg;
    for (int i = 0; i < 4; i++) {
        switch (nart_await(cx, after(cx, &n)) + i) {
        case 5:
            m = 2;
            note(nart_await(cx, after(cx, &m)) == 5 ? "five" : "!");
            break;
        case 6:
            note("six");
            m = 1;
            if (nart_await(cx, after(cx, &m)) == 5)
                continue;
            return -1;
        default:
            m = 3;
            if (nart_await_for(cx, NART_SEC, after(cx, &m)) != 5)
                return -1;
            note(".");
        }
        n = 1;
    }
    return 0;
}

TEST_WITH(an_await_may_stand_in_a_switch, rt)
{
    CHECK_RES(RUN(in_a_switch, NULL), 0);
    CHECK_STR(trace, "fivesix..");
}

static nart_res sum(nart_cx *cx, void *arg)
{
    int a = 1, b = 2, c = 3;

    (void)arg;
    /* on one line */
    return nart_await(cx, after(cx, &a)) * 100 + nart_await(cx, after(cx, &b)) * 10 +
           nart_await_for(cx, NART_SEC, after(cx, &c));
}

TEST_WITH(several_awaits_may_stand_on_a_line, rt)
{
    CHECK_EQ(RUN(sum, NULL), 555);
}

static nart_cx *sorts;
static int compared;

static int slow_compare(const void *a, const void *b)
{
    int n = 1;

    compared++;
    CHECK_RES(nart_await(sorts, after(sorts, &n)), 5);
    return *(const int *)a - *(const int *)b;
}

static nart_res sort(nart_cx *cx, void *arg)
{
    int v[50];

    (void)arg;
    for (int i = 0; i < 50; i++)
        v[i] = i * 37 % 50;
    sorts = cx;
    qsort(v, 50, sizeof *v, slow_compare);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(v[i], i);
    return 0;
}

TEST_WITH(a_comparator_of_qsort_awaits, rt)
{
    CHECK_RES(RUN(sort, NULL), 0);
    CHECK_LE(50, compared);
}

/* Each level has an await of its own around the next one, and a local variable that has to survive. */
static nart_res deep(nart_cx *cx, int left)
{
    int n = 1;
    volatile int mine = left;
    nart_res r = left == 0 ? nart_await(cx, after(cx, &n)) : nart_await(cx, deep(cx, left - 1));

    CHECK_EQ(mine, left);
    n = 1;
    CHECK_RES(nart_await(cx, after(cx, &n)), 5);
    return r + 1;
}

static nart_res deep_main(nart_cx *cx, void *arg)
{
    (void)arg;
    return deep(cx, 100);
}

TEST_WITH(awaits_nest_a_hundred_deep, rt)
{
    CHECK_EQ(RUN(deep_main, NULL), 106);
}

/* Registers that a function must preserve, and those of floating point, in use across awaits. */
static nart_res numbers(nart_cx *cx, void *arg)
{
    double x[12], y = *(double *)arg;
    uint64_t v[12];
    int n;

    for (int i = 0; i < 12; i++) {
        x[i] = y + i;
        v[i] = (uint64_t)i * 3;
    }
    for (int round = 0; round < 10; round++) {
        n = 1;
        CHECK_RES(nart_await(cx, after(cx, &n)), 5);
        for (int i = 0; i < 12; i++) {
            x[i] += 1;
            v[i] += 1;
        }
    }
    for (int i = 0; i < 12; i++) {
        CHECK(x[i] == y + i + 10);
        CHECK_EQ(v[i], i * 3 + 10);
    }
    return 0;
}

TEST_WITH(variables_in_registers_survive, rt)
{
    nart_join join[8];
    double y[8];

    for (int i = 0; i < 8; i++) {
        y[i] = i * 1.5;
        START(numbers, &y[i], &join[i]);
    }
    run_all(rt);
    for (int i = 0; i < 8; i++) {
        CHECK_RES(fiber_verdict(rt, &join[i]), 0);
        nart_join_release(&join[i]);
    }
}

/* ---- what can be awaited ---- */

struct body {
    nart_co co, sub;
    int n;
    nart_res r, q;
};

static nart_res body_sub(nart_cx *cx, struct body *b)
{
    NART_BEGIN(cx, &b->sub);
    b->n = 2;
    NART_AWAIT(b->q, after(cx, &b->n));
    NART_YIELD();
    NART_AWAIT_FOR(b->q, NART_SEC, after(cx, &b->n));
    NART_END(b->q + 1);
}

static nart_res body_run(nart_cx *cx, struct body *b)
{
    NART_BEGIN(cx, &b->co);
    NART_AWAIT(b->r, body_sub(cx, b));
    NART_AWAIT_FOR(b->r, NART_SEC, body_sub(cx, b));
    NART_END(b->r + 1);
}

static nart_res by_hand(nart_cx *cx, int *state)
{
    static int n;
    nart_res r;

    if (*state == 0) {
        n = 2;
        *state = 1;
    }
    if (*state == 1) {
        r = after(cx, &n);
        if (r == NART_PENDING)
            return r;
        n = 1;
        *state = 2;
    }
    return after(cx, &n);
}

struct pipe {
    nart_tx tx;
    nart_rx rx;
};

static nart_res sends(nart_cx *cx, void *arg)
{
    struct pipe *p = arg;

    for (uint64_t v = 0; v < 1000; v++)
        CHECK_RES(nart_await(cx, nart_send(cx, &p->tx, &v)), 0);
    nart_tx_close(&p->tx);
    return 0;
}

static nart_res everything(nart_cx *cx, void *arg)
{
    struct body b = { .n = 0 };
    struct pipe p;
    nart_join child = { 0 };
    uint64_t v, all = 0;
    int state = 0;
    nart_res r, answer = -1;

    (void)arg;
    CHECK_EQ(nart_await(cx, body_run(cx, &b)), 7);
    CHECK(!nart_co_active(&b.co));
    CHECK_EQ(nart_await_for(cx, NART_SEC, body_run(cx, &b)), 7); /* it begins again */
    CHECK_EQ(nart_await(cx, by_hand(cx, &state)), 5);
    CHECK_RES(await_sleep(cx, NART_SEC), 0);

    new_chan(rt, 3, &p.tx, &p.rx);
    CHECK_RES(nart_fiber_spawn(cx, sends, &p, NULL, &child), 0);
    while ((r = nart_await(cx, nart_recv(cx, &p.rx, &v))) == 0)
        all += v;
    CHECK_RES(r, NART_ECLOSED);
    CHECK_EQ(all, 499500);
    CHECK_RES(nart_await(cx, nart_join_await(cx, &child, &answer)), 0);
    CHECK_RES(answer, 0);
    nart_join_release(&child);
    nart_rx_close(&p.rx);
    return 1;
}

TEST_WITH(a_fiber_awaits_operations_bodies_and_polls_by_hand, rt)
{
    CHECK_RES(RUN(everything, NULL), 1);
    CHECK_EQ(elapsed_ms(), 1000);
    CHECK_EQ(reports, 0);
}

struct boss {
    nart_co co;
    nart_join join;
    nart_res r, answer;
};

static nart_res boss_run(nart_cx *cx, void *frame)
{
    struct boss *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_fiber_spawn(cx, flow, NULL, NULL, &f->join), 0);
    NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
    nart_join_release(&f->join);
    NART_END(f->answer);
}

TEST_WITH(a_body_awaits_a_fiber, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct boss, boss_run, NULL);
    nart_res r = 0;

    CHECK_RES(nart_block_on(rt, &type, NULL, &r), 0);
    CHECK_EQ(r, 3);
}

/* ---- yields ---- */

static nart_res turns(nart_cx *cx, void *name)
{
    for (int i = 0; i < 3; i++) {
        note(name);
        CHECK_RES(nart_yield(cx), 0);
    }
    return 0;
}

TEST_WITH(yield_lets_the_others_run_first, rt)
{
    START(turns, "a", NULL);
    START(turns, "b", NULL);
    START(turns, "c", NULL);
    run_all(rt);
    CHECK_STR(trace, "abcabcabc");
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

/* ---- the budget ---- */

static long spins;
static bool stop_spinning;

static nart_res always_ready(nart_cx *cx, void *arg)
{
    struct pipe p;
    uint64_t v = 0;

    (void)arg;
    new_chan(rt, 1, &p.tx, &p.rx);
    while (!stop_spinning && nart_await(cx, nart_send(cx, &p.tx, &v)) == 0 &&
           nart_await(cx, nart_recv(cx, &p.rx, &v)) == 0)
        spins++;
    nart_tx_close(&p.tx);
    nart_rx_close(&p.rx);
    return 0;
}

static nart_res counts(nart_cx *cx, void *arg)
{
    int *polls = arg;

    for (long before = 0; !stop_spinning; before = spins) {
        CHECK_LE(spins, before + NART_BUDGET / 2); /* one poll of the other */
        ++*polls;
        CHECK_RES(nart_yield(cx), 0);
    }
    return 0;
}

TEST_WITH(a_fiber_that_is_always_ready_starves_no_other, rt)
{
    int polls = 0;

    START(always_ready, NULL, NULL);
    START(counts, &polls, NULL);
    while (polls < 1000)
        CHECK_LE(1, nart_rt_poll(rt, 0));
    CHECK_LE(999 * (NART_BUDGET / 2 - 1), spins); /* it used its budget */
    stop_spinning = true;
    run_all(rt);
}

/* ---- the answer ---- */

static nart_res echo(nart_cx *cx, void *value)
{
    (void)cx;
    return *(nart_res *)value;
}

TEST_WITH(any_value_but_pending_is_an_answer, rt)
{
    static nart_res values[] = { 0, 1, INT64_MAX, -1, -4095, -ETIMEDOUT, NART_EABORTED, INT64_MIN };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        nart_res r = 77;
        CHECK_RES(nart_fiber_block_on(rt, echo, &values[i], NULL, &r), 0);
        CHECK_RES(r, values[i]);
    }
    CHECK_EQ(reports, 0);
}

TEST_WITH(pending_is_no_answer, rt)
{
    static nart_res pending = NART_PENDING;

    CHECK_RES(RUN(echo, &pending), -EINVAL);
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "echo: a fiber has returned NART_PENDING"));
}

/* ---- an operation that is called without an await ---- */

static nart_res stray(nart_cx *cx, void *arg)
{
    struct pipe *p = arg;
    uint64_t v = 0;
    int n = 1;

    CHECK_RES(nart_recv(cx, &p->rx, &v), NART_PENDING);
    CHECK(p->rx.wait.task != NULL);
    CHECK_RES(nart_await(cx, after(cx, &n)), 5);
    CHECK(p->rx.wait.task == NULL); /* withdrawn */
    CHECK_RES(nart_recv(cx, &p->rx, &v), NART_PENDING);
    return 0;
}

TEST_WITH(what_waits_without_an_await_is_withdrawn, rt)
{
    struct pipe p;
    uint64_t v = 3;

    new_chan(rt, 1, &p.tx, &p.rx);
    CHECK_RES(RUN(stray, &p), 0);
    CHECK(p.rx.wait.task == NULL); /* at the fiber's end, too */
    CHECK_RES(nart_try_send(&p.tx, &v), 0);
    v = 0;
    CHECK_RES(nart_try_recv(&p.rx, &v), 0);
    CHECK_EQ(v, 3);
    nart_tx_close(&p.tx);
    nart_rx_close(&p.rx);
}

/* An await leaves the waits of the awaits around it alone. */
static nart_res body_with_await(nart_cx *cx, struct pipe *p)
{
    static nart_timer t;
    uint64_t v;
    int n = 0;
    nart_res r = nart_recv(cx, &p->rx, &v);

    CHECK_RES(nart_await(cx, after(cx, &n)), 5); /* answers at once */
    return r == NART_PENDING ? nart_sleep_resume(cx, &t, NART_SEC) : r;
}

static nart_res yields(nart_cx *cx)
{
    return nart_yield(cx);
}

static nart_res around(nart_cx *cx, void *arg)
{
    int which = -1;

    nart_res r = nart_await_any(cx, which, body_with_await(cx, arg), yields(cx));
    return r ? r : which;
}

TEST_WITH(an_await_that_answers_at_once_may_stand_in_an_arm, rt)
{
    struct pipe p;

    new_chan(rt, 1, &p.tx, &p.rx);
    CHECK_RES(RUN(around, &p), -EDEADLK); /* of the yield */
    CHECK_EQ(reports, 1);
    nart_tx_close(&p.tx);
    nart_rx_close(&p.rx);
}

/* ---- leaving an await by return, goto, break ---- */

static nart_res leaves(nart_cx *cx, void *arg)
{
    int n = 1;

    (void)arg;
    for (int i = 0;; i++) {
        n = 1;
        if (nart_await(cx, after(cx, &n)) == 5 && i == 3)
            goto out;
        while (nart_await_for(cx, NART_SEC, after(cx, &n)) == 5)
            break;
    }
out:
    n = 1;
    return nart_await_until(cx, at_ms(900), after(cx, &n));
}

TEST_WITH(awaits_may_be_left_by_goto_and_return, rt)
{
    CHECK_RES(RUN(leaves, NULL), 5);
}
