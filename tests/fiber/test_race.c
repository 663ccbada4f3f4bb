/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Races of fibers: which arm wins, what the losers leave behind, and what an arm may be. */
#include "fiber.h"

#include <nart/cancel.h>
#include <nart/sync.h>

FIXTURE_RT(.report = keep_report);

static bool idle(const nart__wait *w)
{
    return w->task == NULL;
}

static void put(nart_tx *tx, uint64_t v)
{
    CHECK_RES(nart_try_send(tx, &v), 0);
}

static uint64_t take(nart_rx *rx)
{
    uint64_t v = 0;
    CHECK_RES(nart_try_recv(rx, &v), 0);
    return v;
}

/* ---- every kind of arm ---- */

struct race {
    nart_tx ta, tb;
    nart_rx a, b;
    nart_join child;
    nart_notify notify;
    nart_waiter waiter;
    int64_t at;
    uint64_t va, vb;
    nart_res r, answer;
    int which, rounds, max, wins[5];
};

static nart_res naps(nart_cx *cx, void *ms)
{
    nart_res r = await_sleep(cx, *(int64_t *)ms * NART_MS);
    return r ? r : 42;
}

static nart_res races(nart_cx *cx, void *arg)
{
    struct race *f = arg;
    nart_timer timer = { 0 };

    for (f->rounds = 0; f->rounds < f->max; f->rounds++) {
        f->r = nart_await_any(
            cx, f->which, nart_recv(cx, &f->a, &f->va), nart_recv(cx, &f->b, &f->vb),
            nart_join_await(cx, &f->child, &f->answer), nart_sleep_until(cx, &timer, f->at),
            nart_notify_await(cx, &f->notify, &f->waiter));
        CHECK(idle(&f->a.wait) && idle(&f->b.wait) && idle(&f->child.wait));
        CHECK(idle(&f->waiter.wait));
        if (f->r < 0)
            return f->r;
        f->wins[f->which]++;
    }
    return f->r;
}

static struct race the_race;
static int64_t nap_ms;

static struct race *new_race(nart_join *join, int max, int64_t nap)
{
    struct race *f = &the_race;

    *f = (struct race){ .at = at_ms(50), .max = max };
    nap_ms = nap;
    START(naps, &nap_ms, &f->child);
    new_chan(rt, 4, &f->ta, &f->a);
    new_chan(rt, 4, &f->tb, &f->b);
    START(races, f, join);
    settle(rt);
    CHECK(!idle(&f->a.wait) && !idle(&f->b.wait) && !idle(&f->child.wait));
    return f;
}

static void race_close(nart_join *join)
{
    struct race *f = &the_race;

    nart_join_release(join);
    nart_tx_close(&f->ta);
    nart_tx_close(&f->tb);
    nart_rx_close(&f->a);
    nart_rx_close(&f->b);
    nart_join_release(&f->child);
    nart_notify_close(&f->notify);
}

static void check_winner(int arm)
{
    nart_join join;

    rt_open();
    virtual_restart();
    struct race *f = new_race(&join, 1, arm == 2 ? 30 : 90);
    if (arm == 0)
        put(&f->ta, 10);
    if (arm == 1)
        put(&f->tb, 10);
    if (arm == 4)
        nart_notify_one(&f->notify);
    run_until(rt, at_ms(60));
    CHECK(nart_join_done(&join));
    for (int i = 0; i < 5; i++)
        CHECK_EQ(f->wins[i], i == arm);
    CHECK_RES(f->answer, arm == 2 ? 42 : 0);
    run_all(rt);
    race_close(&join);
    rt_close();
}

TEST(each_arm_of_a_race_may_win)
{
    for (int arm = 0; arm < 5; arm++)
        check_winner(arm);
}

TEST_WITH(a_value_for_the_loser_stays_where_it_is, rt)
{
    nart_join join;
    struct race *f = new_race(&join, 1, 30);
    put(&f->tb, 21);
    put(&f->ta, 20);
    settle(rt);
    CHECK_EQ(f->wins[0], 1);
    CHECK_EQ(take(&f->b), 21);
    run_all(rt);
    race_close(&join);
}

TEST_WITH(a_cancelled_race_answers_so, rt)
{
    nart_join join;
    struct race *f = new_race(&join, 1, 30);
    put(&f->ta, 20);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(take(&f->a), 20);
    run_all(rt);
    race_close(&join);
}

/* A turn that was granted to the loser passes on: a full channel, whose slot goes to the next sender. */
struct sender {
    nart_tx tx;
    uint64_t value;
    nart_res r;
    int which;
    bool race;
};

static nart_res sends(nart_cx *cx, void *arg)
{
    struct sender *f = arg;
    nart_timer t = { 0 };

    f->r = f->race ? nart_await_any(cx, f->which, nart_sleep_until(cx, &t, at_ms(10)),
                                    nart_send(cx, &f->tx, &f->value))
                   : nart_await(cx, nart_send(cx, &f->tx, &f->value));
    nart_tx_close(&f->tx);
    return f->r;
}

TEST_WITH(a_turn_of_a_loser_passes_on, rt)
{
    nart_tx tx;
    nart_rx rx;
    struct sender f = { .race = true, .value = 2, .which = -1 }, g = { .value = 3, .r = -1 };

    new_chan(rt, 1, &tx, &rx);
    put(&tx, 1);
    CHECK_RES(nart_tx_clone(&tx, &f.tx), 0);
    CHECK_RES(nart_tx_clone(&tx, &g.tx), 0);
    START(sends, &f, NULL);
    settle(rt);
    START(sends, &g, NULL);
    settle(rt);
    CHECK_EQ(take(&rx), 1); /* the slot is granted to f */
    virtual_now = at_ms(10);
    settle(rt);
    CHECK_EQ(f.which, 0);
    CHECK_RES(g.r, 0);
    CHECK_EQ(take(&rx), 3);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
}

/* ---- deadlines around races, NART_AFTER, races in races ---- */

struct lines {
    nart_tx tx;
    nart_rx rx;
    uint64_t v;
};

static nart_res around(nart_cx *cx, void *arg)
{
    struct lines *l = arg;
    nart_timer a = { 0 }, b = { 0 }, c = { 0 };
    int which = -1, inner = -1;
    nart_res r;

    CHECK_RES(nart_await_for(
                  cx, 10 * NART_MS,
                  NART_ANY(which, nart_recv(cx, &l->rx, &l->v), nart_sleep(cx, &a, 20 * NART_MS))),
              -ETIMEDOUT);
    CHECK_EQ(which, 0);
    CHECK_EQ(elapsed_ms(), 10);
    CHECK_RES(nart_await_until(
                  cx, at_ms(40),
                  NART_ANY(which, nart_recv(cx, &l->rx, &l->v), nart_sleep(cx, &a, 20 * NART_MS))),
              0);
    CHECK_EQ(which, 1);
    CHECK_EQ(elapsed_ms(), 30);

    put(&l->tx, 5);
    CHECK_RES(nart_await(cx, NART_AFTER(&a, 20 * NART_MS, nart_recv(cx, &l->rx, &l->v))), 0);
    CHECK_EQ(elapsed_ms(), 50);
    CHECK_EQ(l->v, 5);
    CHECK_RES(nart_await_for(cx, 10 * NART_MS,
                             NART_AFTER(&a, 20 * NART_MS, nart_recv(cx, &l->rx, &l->v))),
              -ETIMEDOUT);
    CHECK_EQ(elapsed_ms(), 60);
    nart_timer_cancel(&a);
    CHECK_RES(nart_await(cx, NART_AFTER_UNTIL(&a, at_ms(70), nart_sleep(cx, &b, 10 * NART_MS))), 0);
    CHECK_EQ(elapsed_ms(), 80);

    r = nart_await_any(
        cx, which, NART_ANY(inner, nart_recv(cx, &l->rx, &l->v), nart_sleep(cx, &a, 30 * NART_MS)),
        NART_AFTER(&b, 5 * NART_MS, nart_sleep(cx, &c, 5 * NART_MS)));
    CHECK_RES(r, 0);
    CHECK_EQ(which, 1);
    CHECK_EQ(elapsed_ms(), 90);
    r = nart_await_any(
        cx, which, NART_ANY(inner, nart_recv(cx, &l->rx, &l->v), nart_sleep(cx, &a, 10 * NART_MS)),
        nart_sleep(cx, &b, 20 * NART_MS));
    CHECK_RES(r, 0);
    CHECK_EQ(which, 0);
    CHECK_EQ(inner, 1);
    CHECK(idle(&l->rx.wait));
    return elapsed_ms();
}

TEST_WITH(races_deadlines_and_delays_combine, rt)
{
    struct lines l;

    new_chan(rt, 1, &l.tx, &l.rx);
    CHECK_EQ(RUN(around, &l), 100);
    nart_tx_close(&l.tx);
    nart_rx_close(&l.rx);
}

static nart_res idle_timeout(nart_cx *cx, void *arg)
{
    struct lines *l = arg;
    nart_timer t = { 0 };
    int which, n = 0;

    while (nart_await_any(cx, which, nart_recv(cx, &l->rx, &l->v),
                          nart_sleep(cx, &t, 10 * NART_MS)) == 0 &&
           which == 0)
        n++;
    return n;
}

TEST_WITH(a_relative_sleep_that_lost_begins_again, rt)
{
    nart_join join;
    struct lines l;

    new_chan(rt, 1, &l.tx, &l.rx);
    START(idle_timeout, &l, &join);
    for (int i = 1; i < 6; i++) {
        run_until(rt, at_ms(8 * i));
        put(&l.tx, 1);
    }
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 50);
    CHECK_RES(fiber_verdict(rt, &join), 5);
    nart_join_release(&join);
    nart_tx_close(&l.tx);
    nart_rx_close(&l.rx);
}

/* ---- fairness ---- */

static nart_res ready_now(nart_cx *cx)
{
    nart_res r = nart_op_enter(cx);
    return r ? r : 1;
}

static nart_res fair(nart_cx *cx, void *arg)
{
    int *wins = arg, which;

    for (int i = 0; i < 3000; i++) {
        CHECK_LE(0, nart_await_any_fair(cx, which, ready_now(cx), ready_now(cx), ready_now(cx)));
        wins[which]++;
    }
    for (int i = 0; i < 3000; i++) {
        CHECK_LE(0, nart_await_any(cx, which, ready_now(cx), ready_now(cx), ready_now(cx)));
        wins[3 + which]++;
    }
    for (int i = 0; i < 3000; i++) {
        CHECK_LE(0,
                 nart_await_for(cx, NART_SEC, NART_ANY_FAIR(which, ready_now(cx), ready_now(cx))));
        wins[6 + which]++;
    }
    return 0;
}

TEST_WITH(arms_that_are_always_ready_win_by_turns, rt)
{
    int wins[8] = { 0 };

    CHECK_RES(RUN(fair, wins), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_LE(800,
                 wins[i]); /* random by the place and the poll, which this test repeats exactly */
        CHECK_LE(1, wins[3 + i]);
    }
    CHECK_LE(2000, wins[3]); /* the first one written wins usually */
    CHECK_LE(1200, wins[6]);
    CHECK_LE(1200, wins[7]);
}

/* ---- bodies as arms ---- */

struct arm {
    nart_co co;
    nart_timer t;
    int64_t ms;
    int steps;
    nart_res r;
};

static nart_res arm_run(nart_cx *cx, struct arm *a)
{
    NART_BEGIN(cx, &a->co);
    for (a->steps = 0; a->steps < 3; a->steps++) {
        NART_AWAIT(a->r, nart_sleep(cx, &a->t, a->ms * NART_MS));
        if (a->r < 0)
            NART_RETURN(a->r);
    }
    NART_END(a->steps);
}

static nart_res bodies_race(nart_cx *cx, void *arg)
{
    struct arm a = { .ms = 10 }, b = { .ms = 16 };
    int which = -1;

    (void)arg;
    CHECK_RES(nart_await_any(cx, which, arm_run(cx, &a), arm_run(cx, &b)), 3);
    CHECK_EQ(which, 0);
    CHECK_EQ(elapsed_ms(), 30);
    CHECK(nart_co_active(&b.co));
    CHECK_EQ(b.steps, 1);
    CHECK_RES(nart_await(cx, arm_run(cx, &b)), 3); /* its sleep goes on */
    CHECK_EQ(elapsed_ms(), 48);
    CHECK_RES(nart_await_any(cx, which, arm_run(cx, &a), arm_run(cx, &b)), 3);
    CHECK_EQ(elapsed_ms(), 78);
    CHECK_RES(nart_await_stop(cx, arm_run(cx, &b)), -ECANCELED);
    CHECK(!nart_co_active(&b.co));
    CHECK_EQ(elapsed_ms(), 78);
    return 0;
}

TEST_WITH(a_body_that_lost_continues_where_it_was, rt)
{
    CHECK_RES(RUN(bodies_race, NULL), 0);
}

/* ---- awaits within arms ---- */

static nart_res function_arm(nart_cx *cx, struct lines *l)
{
    return nart_await(cx, nart_recv(cx, &l->rx, &l->v));
}

static nart_res function_arm_for(nart_cx *cx, struct lines *l)
{
    return nart_await_for(cx, NART_MS, nart_recv(cx, &l->rx, &l->v));
}

static nart_res arms_await(nart_cx *cx, void *arg)
{
    struct lines *l = arg;
    nart_timer t = { 0 };
    int which = -1;

    put(&l->tx, 8); /* one that need not wait is fine */
    CHECK_RES(nart_await_any(cx, which, nart_sleep(cx, &t, NART_SEC), function_arm(cx, l)), 0);
    CHECK_EQ(which, 1);
    CHECK_EQ(l->v, 8);
    CHECK_EQ(reports, 0);
    CHECK_RES(nart_await_any(cx, which, nart_sleep(cx, &t, NART_SEC), function_arm(cx, l)),
              -EDEADLK);
    CHECK_EQ(which, 1);
    CHECK(idle(&l->rx.wait));
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "within an arm of a race"));
    CHECK(strstr(reported, "test_race.c:"));
    CHECK_RES(nart_await_any(cx, which, function_arm_for(cx, l), nart_sleep(cx, &t, NART_SEC)),
              -EDEADLK);
    CHECK_EQ(reports, 2);
    CHECK_RES(await_sleep(cx, 10 * NART_MS), 0); /* not a race any more */
    return elapsed_ms();
}

TEST_WITH(an_await_within_an_arm_is_refused_once_it_would_wait, rt)
{
    struct lines l;

    new_chan(rt, 1, &l.tx, &l.rx);
    CHECK_EQ(RUN(arms_await, &l), 10);
    nart_tx_close(&l.tx);
    nart_rx_close(&l.rx);
}

/* A function that races, called as a function: at any depth, also within a body's deadline. */
static nart_res race_in_function(nart_cx *cx, struct lines *l)
{
    nart_timer t = { 0 };
    int which = -1;

    nart_res r =
        nart_await_any(cx, which, nart_recv(cx, &l->rx, &l->v), nart_sleep(cx, &t, 30 * NART_MS));
    (void)r;
    return which;
}

static nart_res calls_race(nart_cx *cx, void *arg)
{
    CHECK_RES(nart_await_for(cx, NART_SEC, race_in_function(cx, arg)), 1);
    return nart_await(cx, race_in_function(cx, arg));
}

TEST_WITH(a_function_that_races_is_awaited, rt)
{
    struct lines l;

    new_chan(rt, 1, &l.tx, &l.rx);
    CHECK_RES(RUN(calls_race, &l), 1);
    CHECK_EQ(elapsed_ms(), 60);
    nart_tx_close(&l.tx);
    nart_rx_close(&l.rx);
}
