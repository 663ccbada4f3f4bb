/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What one poll may do: the budget, cancellation, NART_STOP, shields, deadlines and races, each
 * transition of the table in c_src/wait/op.c, on a virtual clock. `ready()` is an operation that
 * completes at once. */
#include "core.h"
#include "virtual.h"

#include <nart/clock.h>
#include <nart/io.h>
#include <nart/sync.h>

FIXTURE_RT();

/* ---- answers per poll ---- */

struct counter {
    nart_co co, inner;
    nart_timer timer;
    nart_waiter waiter;
    nart_res r;
    int left, which;
    long answers, most; /* in this poll, and the maximum */
    uint32_t polls;
};

static nart_notify never;

/* Counts an operation that answers at once. */
static nart_res counted(nart_cx *cx, struct counter *f, nart_res r)
{
    if (r == NART_PENDING)
        return r;
    if (f->polls != cx->self->polls)
        f->answers = 0;
    f->polls = cx->self->polls;
    f->most = ++f->answers > f->most ? f->answers : f->most;
    return r;
}

static nart_res ready(nart_cx *cx, struct counter *f)
{
    return counted(cx, f, nart_sleep(cx, &f->timer, 0));
}

static nart_res run_counter(nart_poll_fn poll, int left, bool cancelled, long *most)
{
    nart_task_type type = NART_TASK_TYPE(struct counter, poll, NULL);
    nart_join join;

    rt = new_rt();
    struct counter *f = spawn(rt, &type, &join);
    f->left = left;
    settle(rt);
    if (cancelled)
        CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->left, 0);
    nart_res r = f->r;
    *most = f->most;
    nart_join_release(&join);
    nart_rt_free(rt);
    return r;
}

static nart_res plain_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--)
        NART_AWAIT(f->r, ready(cx, f));
    NART_END(f->r);
}

TEST(a_poll_completes_as_many_operations_as_its_budget)
{
    long most;

    CHECK_RES(run_counter(plain_run, 1000, false, &most), 0);
    CHECK_EQ(most, NART_BUDGET);
}

/* An operation that refuses without looking whether it has to wait, of the given number. */
static nart_res refuse(nart_cx *cx, int which)
{
    nart_backoff exhausted = NART_BACKOFF_INIT, invalid = NART_BACKOFF_INIT;
    nart_interval interval = { .period = 0 };
    nart_fd fd = { .reserved = { 0 } };

    exhausted.retries = 0;
    invalid.initial = -1;
    switch (which) {
    case 0:
        return nart_backoff_wait(cx, &exhausted);
    case 1:
        return nart_backoff_wait(cx, &invalid);
    case 2:
        return nart_interval_tick(cx, &interval);
    default:
        return nart_fd_ready(cx, &fd, 0);
    }
}

static nart_res refusals_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--)
        NART_AWAIT(f->r, counted(cx, f, refuse(cx, f->left % 4)));
    CHECK_RES(nart_task_cancel(rt, nart_cx_task(cx)), 0);
    for (f->which = 0; f->which < 4; f->which++) {
        NART_AWAIT(f->r, refuse(cx, f->which));
        CHECK_RES(f->r, -ECANCELED);
    }
    NART_END(f->r);
}

TEST(refusals_cost_budget_and_come_after_cancellation)
{
    long most;

    CHECK_RES(run_counter(refusals_run, 1000, false, &most), -ECANCELED);
    CHECK_EQ(most, NART_BUDGET);
}

/* Cleans up item by item after cancellation. */
static nart_res shields_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_notify_await(cx, &never, &f->waiter));
    CHECK_RES(f->r, -ECANCELED);
    for (; f->left > 0; f->left--) {
        NART_SHIELD(NART_SEC);
        NART_AWAIT(f->r, ready(cx, f));
        CHECK_RES(f->r, 0);
        NART_UNSHIELD();
    }
    NART_END(f->r);
}

TEST(shields_do_not_renew_the_budget)
{
    long most;

    CHECK_RES(run_counter(shields_run, 1000, true, &most), 0);
    CHECK_EQ(most, NART_BUDGET);
}

/* Refused operations between the shields cost no budget, but their number is bounded. */
static nart_res refused_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_notify_await(cx, &never, &f->waiter));
    for (; f->left > 0; f->left--) {
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 0));
        CHECK_RES(f->r, -ECANCELED);
        NART_SHIELD(NART_SEC);
        NART_AWAIT(f->r, ready(cx, f));
        CHECK_RES(f->r, 0);
        NART_UNSHIELD();
    }
    NART_END(f->r);
}

TEST(refused_operations_leave_the_budget_as_it_is)
{
    long most;

    CHECK_RES(run_counter(refused_run, 1000, true, &most), 0);
    CHECK_EQ(most, NART_BUDGET);
}

static nart_res stopped_run(nart_cx *cx, struct counter *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner);
    NART_AWAIT(r, nart_notify_await(cx, &never, &f->waiter));
    CHECK_RES(r, -ECANCELED);
    NART_END(r);
}

static nart_res stops_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--) {
        NART_AWAIT_ANY(f->which, f->r, stopped_run(cx, f), ready(cx, f));
        CHECK_EQ(f->which, 1);
        NART_STOP(f->r, stopped_run(cx, f));
        CHECK_RES(f->r, -ECANCELED);
        CHECK(!nart_cx_cancelled(cx));
    }
    NART_END(f->r);
}

TEST(stopping_a_loser_does_not_renew_the_budget)
{
    long most;

    CHECK_RES(run_counter(stops_run, 1000, false, &most), -ECANCELED);
    CHECK_EQ(most, NART_BUDGET + 1); /* one from the share of the second arm */
}

static nart_res self_cancel_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, ready(cx, f));
    CHECK_RES(nart_task_cancel(nart_cx_rt(cx), nart_cx_task(cx)), 0);
    NART_STOP(f->r, nart_sleep(cx, &f->timer, 0));
    CHECK_RES(f->r, -ECANCELED);
    CHECK(nart_cx_cancelled(cx)); /* the end of NART_STOP only ends its own stop */
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 0));
    CHECK_RES(f->r, -ECANCELED);
    f->left = 0;
    NART_END(0);
}

/* A stopped body that unwinds through more answers than one poll may refuse. */
static nart_res patient_run(nart_cx *cx, struct counter *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner);
    NART_AWAIT(r, nart_notify_await(cx, &never, &f->waiter));
    for (; f->left > 0; f->left--) {
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 0));
        CHECK_RES(r, -ECANCELED);
    }
    NART_END(r);
}

static nart_res stops_patiently_run(nart_cx *cx, void *frame)
{
    struct counter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, patient_run(cx, f), ready(cx, f));
    CHECK_EQ(f->which, 1);
    NART_STOP(f->r, patient_run(cx, f));
    CHECK_RES(f->r, -ECANCELED);
    NART_END(7);
}

TEST(a_stop_of_many_steps_drops_no_task)
{
    long most;

    run_counter(stops_patiently_run, 200000, false, &most);
}

TEST(cancelling_itself_lasts_beyond_a_stop)
{
    long most;

    CHECK_RES(run_counter(self_cancel_run, 1, false, &most), -ECANCELED);
}

/* ---- precedence of cancellation, values and deadlines ---- */

struct taker {
    nart_co co;
    nart_rx rx;
    uint64_t value;
    nart_res r;
    int64_t until;
};

static nart_res taker_run(nart_cx *cx, void *frame)
{
    struct taker *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(f->r, f->until, nart_recv(cx, &f->rx, &f->value));
    NART_END(f->r);
}

static void taker_drop(void *frame)
{
    nart_rx_close(&((struct taker *)frame)->rx);
}

static const nart_task_type taker_type = NART_TASK_TYPE(struct taker, taker_run, taker_drop);

static void check_first(bool cancelled, nart_res expected, size_t left)
{
    uint64_t v = 7;
    nart_join join;
    nart_tx tx;

    rt = new_rt();
    struct taker *f = spawn(rt, &taker_type, &join);
    new_chan(rt, 1, &tx, &f->rx);
    f->until = virtual_now + NART_MS;
    settle(rt);
    CHECK_RES(nart_try_send(&tx, &v), 0);
    virtual_now += 2 * NART_MS;
    if (cancelled)
        CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK_RES(f->r, expected);
    CHECK_EQ(nart_tx_len(&tx), left);
    nart_join_release(&join);
    nart_tx_close(&tx);
    nart_rt_free(rt);
}

TEST(cancellation_takes_precedence_over_a_value)
{
    check_first(true, -ECANCELED, 1);
}

TEST(a_value_takes_precedence_over_a_deadline)
{
    check_first(false, 0, 0);
}

/* ---- races among arms that are always ready ---- */

enum { ARMS = 4 };

struct racer {
    nart_co co, loop;
    nart_timer ready, timer;
    nart_res r;
    int which, stop; /* index of the arm that is the sleep; -1: none */
    bool fair;
    int64_t until;
    long rounds, polls, wins[ARMS];
    uint32_t poll;
};

/* The deadline passes in the tenth poll. */
static void count_poll(long *polls)
{
    if (++*polls == 10)
        virtual_now = at_ms(5);
}

static nart_res arm(nart_cx *cx, struct racer *f, int i)
{
    return i == f->stop ? nart_sleep_until(cx, &f->timer, f->until) : nart_sleep(cx, &f->ready, 0);
}

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    count_poll(&f->polls);
    NART_BEGIN(cx, &f->co);
    do {
        if (f->fair)
            NART_AWAIT_ANY_FAIR(f->which, f->r, arm(cx, f, 0), arm(cx, f, 1), arm(cx, f, 2),
                                arm(cx, f, 3));
        else
            NART_AWAIT_ANY(f->which, f->r, arm(cx, f, 0), arm(cx, f, 1), arm(cx, f, 2),
                           arm(cx, f, 3));
        CHECK_RES(f->r, 0);
        f->wins[f->which]++;
    } while (--f->rounds > 0 && f->which != f->stop);
    NART_END(f->r);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

/* Returns the number of the poll in which the deadline won. */
static long poll_that_won(int stop, bool fair)
{
    nart_join join;

    virtual_now = at_ms(0);
    rt = new_rt();
    struct racer *f = spawn(rt, &racer_type, &join);
    f->stop = stop;
    f->fair = fair;
    f->rounds = 1000000;
    f->until = at_ms(5);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->which, stop);
    long polls = f->polls;
    nart_join_release(&join);
    nart_rt_free(rt);
    return polls;
}

TEST(no_arm_hides_a_deadline)
{
    for (int stop = 0; stop < ARMS; stop++) {
        CHECK_EQ(poll_that_won(stop, false), 11);
        CHECK_EQ(poll_that_won(stop, true), 11);
    }
}

static void race_wins(long rounds, bool fair, long wins[ARMS])
{
    nart_join join;

    rt = new_rt();
    struct racer *f = spawn(rt, &racer_type, &join);
    f->stop = -1;
    f->fair = fair;
    f->rounds = rounds;
    run_all(rt);
    memcpy(wins, f->wins, sizeof f->wins);
    nart_join_release(&join);
    nart_rt_free(rt);
}

TEST(the_first_one_written_wins_in_a_task_that_is_not_busy)
{
    long wins[ARMS];

    race_wins(15, false, wins);
    CHECK_EQ(wins[0], 15);
}

/* Races within races, in one await and in bodies: each of four arms that are always ready. */
struct nested {
    nart_co co, inner[2];
    nart_timer ready;
    nart_res r;
    int outer, which[2], rounds;
    bool in_bodies;
    long wins[4];
};

static nart_res nested_arm(nart_cx *cx, struct nested *f)
{
    return nart_sleep(cx, &f->ready, 0);
}

static nart_res nested_body(nart_cx *cx, struct nested *f, int i)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner[i]);
    NART_AWAIT_ANY_FAIR(f->which[i], r, nested_arm(cx, f), nested_arm(cx, f));
    NART_END(r);
}

static nart_res fair_in_fair_run(nart_cx *cx, void *frame)
{
    struct nested *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->rounds = 0; f->rounds < 4000; f->rounds++) {
        if (f->in_bodies)
            NART_AWAIT_ANY_FAIR(f->outer, f->r, nested_body(cx, f, 0), nested_body(cx, f, 1));
        else
            NART_AWAIT(f->r, NART_ANY_FAIR(
                                 f->outer,
                                 NART_ANY_FAIR(f->which[0], nested_arm(cx, f), nested_arm(cx, f)),
                                 NART_ANY_FAIR(f->which[1], nested_arm(cx, f), nested_arm(cx, f))));
        f->wins[f->outer * 2 + f->which[f->outer]]++;
        NART_YIELD();
    }
    NART_END(f->r);
}

TEST(fair_races_within_each_other_choose_independently)
{
    static const nart_task_type type = NART_TASK_TYPE(struct nested, fair_in_fair_run, NULL);

    for (int in_bodies = 0; in_bodies < 2; in_bodies++) {
        nart_join join;

        rt = new_rt();
        struct nested *f = spawn(rt, &type, &join);
        f->in_bodies = in_bodies;
        run_all(rt);
        for (int i = 0; i < 4; i++)
            CHECK_LE(800, f->wins[i]);
        nart_join_release(&join);
        nart_rt_free(rt);
    }
}

/* A body that waits in every round, so no poll spends its budget: its races are decided each time
 * before the deadline is evaluated. */
static nart_res waits_each_round_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        f->rounds++;
        NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->ready, 0),
                       nart_sleep_until(cx, &f->timer, f->until));
        if (f->which == 1)
            break;
        NART_AWAIT(f->r, nart_sleep(cx, &f->ready, NART_MS));
    }
    NART_END(f->r);
}

TEST_WITH(a_deadline_wins_in_a_task_that_waits_each_round, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct racer, waits_each_round_run, NULL);
    nart_join join;

    struct racer *f = spawn(rt, &type, &join);
    f->until = at_ms(5);
    run_until(rt, at_ms(100));
    CHECK(nart_join_done(&join));
    CHECK_LE(f->rounds, 5 + 2 * 2 * 16 + 2); /* every 16th evaluates it first with chance 1/2 */
    nart_join_release(&join);
}

/* An arm that is ready, listed after one that is always ready, in a body whose rounds do more than
 * that, and wait. */
enum turn { NESTED_RACE, IN_TURN, BESIDE_ONE_THAT_WAITS };

struct in_turn {
    nart_co co;
    nart_timer first, stop, other, endless;
    nart_res r;
    int which, inner;
    enum turn turn;
    long rounds;
};

static nart_res in_turn_run(nart_cx *cx, void *frame)
{
    struct in_turn *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->rounds = 0; f->rounds < 10000; f->rounds++) {
        if (f->turn == NESTED_RACE)
            NART_AWAIT_ANY(f->which, f->r,
                           NART_ANY(f->inner, nart_sleep(cx, &f->first, 0),
                                    nart_sleep(cx, &f->other, NART_SEC)),
                           nart_sleep(cx, &f->stop, 0));
        else
            NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->first, 0),
                           nart_sleep(cx, &f->stop, 0));
        if (f->which == 1)
            break;
        if (f->turn != NESTED_RACE)
            NART_AWAIT_ANY(
                f->which, f->r,
                nart_sleep(cx, &f->other, f->turn == BESIDE_ONE_THAT_WAITS ? NART_MS : 0),
                nart_sleep(cx, &f->endless, NART_SEC));
        NART_YIELD();
    }
    NART_END(0);
}

TEST(no_arm_is_hidden_by_other_races_of_its_body)
{
    static const nart_task_type type = NART_TASK_TYPE(struct in_turn, in_turn_run, NULL);

    for (enum turn turn = NESTED_RACE; turn <= BESIDE_ONE_THAT_WAITS; turn++) {
        nart_join join;

        virtual_now = at_ms(0);
        rt = new_rt();
        struct in_turn *f = spawn(rt, &type, &join);
        f->turn = turn;
        run_until(rt, at_ms(2000));
        CHECK(nart_join_done(&join));
        CHECK_LE(f->rounds, 200); /* it is tried first in about one of 64 rounds */
        nart_join_release(&join);
        nart_rt_free(rt);
    }
}

TEST(in_a_busy_task_the_first_one_written_wins_most)
{
    long wins[ARMS];

    race_wins(100 * NART_BUDGET, false, wins);
    CHECK_LE(75 * NART_BUDGET, wins[0]);
    for (int i = 1; i < ARMS; i++)
        CHECK_LE(5 * NART_BUDGET, wins[i]);
}

TEST(a_fair_race_is_won_by_each_arm_equally_often)
{
    long wins[ARMS];

    race_wins(100 * NART_BUDGET, true, wins);
    for (int i = 0; i < ARMS; i++) {
        CHECK_LE(23 * NART_BUDGET, wins[i]);
        CHECK_LE(wins[i], 27 * NART_BUDGET);
    }
}

/* ---- an arm that spends the whole budget and never answers ---- */

static nart_res endless(nart_cx *cx, struct racer *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->loop);
    for (;;) {
        NART_AWAIT(r, nart_sleep(cx, &f->ready, 0));
        if (r < 0)
            break;
        f->wins[0] = f->poll == cx->self->polls ? f->wins[0] + 1 : 1;
        f->poll = cx->self->polls;
        f->wins[1] = f->wins[0] > f->wins[1] ? f->wins[0] : f->wins[1]; /* the maximum */
    }
    NART_END(r);
}

static nart_res hidden_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    count_poll(&f->polls);
    NART_BEGIN(cx, &f->co);
    if (f->stop)
        NART_AWAIT_ANY(f->which, f->r, endless(cx, f), nart_sleep_until(cx, &f->timer, f->until));
    else
        NART_AWAIT_ANY(f->which, f->r, nart_sleep_until(cx, &f->timer, f->until), endless(cx, f));
    NART_END(f->r);
}

TEST(an_arm_that_spends_the_budget_hides_no_other)
{
    static const nart_task_type type = NART_TASK_TYPE(struct racer, hidden_run, NULL);

    for (int stop = 0; stop < 2; stop++) {
        nart_join join;

        virtual_now = at_ms(0);
        rt = new_rt();
        struct racer *f = spawn(rt, &type, &join);
        f->stop = stop;
        f->until = at_ms(5);
        run_all(rt);
        CHECK(nart_join_done(&join));
        CHECK_EQ(f->polls, 11);
        CHECK_EQ(f->which, stop);
        CHECK_LE(f->wins[1], NART_BUDGET);
        nart_join_release(&join);
        nart_rt_free(rt);
    }
}

/* Bodies in all arms are busy: each makes progress in each poll, and the poll is bounded. */
struct crowd {
    nart_co co, loop[3];
    nart_timer ready[3];
    long n[3];
    nart_res r;
    int which, polls;
};

static nart_res crowd_loop(nart_cx *cx, struct crowd *f, int i)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->loop[i]);
    while (r == 0) {
        NART_AWAIT(r, nart_sleep(cx, &f->ready[i], 0));
        f->n[i]++;
    }
    NART_END(r);
}

static nart_res crowd_run(nart_cx *cx, void *frame)
{
    struct crowd *f = frame;

    f->polls++;
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, crowd_loop(cx, f, 0),
                   NART_ANY(f->which, crowd_loop(cx, f, 1), crowd_loop(cx, f, 2)));
    NART_END(f->r);
}

TEST_WITH(each_arm_has_a_share_of_its_own, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct crowd, crowd_run, NULL);
    nart_join join;

    struct crowd *f = spawn(rt, &type, &join);
    while (f->polls < 100)
        CHECK_LE(1, nart_rt_poll(rt, 0));
    for (int k = 0; k < 3; k++)
        CHECK_LE(f->polls, f->n[k]);
    CHECK_LE(f->n[0] + f->n[1] + f->n[2], 2 * NART_BUDGET * f->polls);
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK_RES(f->r, -ECANCELED);
    nart_join_release(&join);
}

/* ---- deadlines of operations that are always ready ---- */

struct scoped {
    nart_co co, loop;
    nart_timer ready, other;
    nart_res r;
    int which;
    bool relative, racing;
    long polls;
};

static nart_res scoped_loop(nart_cx *cx, struct scoped *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->loop);
    while (r == 0)
        if (f->racing)
            NART_AWAIT_ANY(f->which, r, nart_sleep(cx, &f->ready, 0),
                           nart_sleep_until(cx, &f->other, NART_NEVER));
        else
            NART_AWAIT(r, nart_sleep(cx, &f->ready, 0));
    CHECK_RES(r, -ECANCELED);
    NART_END(r);
}

static nart_res scoped_run(nart_cx *cx, void *frame)
{
    struct scoped *f = frame;

    count_poll(&f->polls);
    NART_BEGIN(cx, &f->co);
    if (f->relative)
        NART_AWAIT_FOR(f->r, 5 * NART_MS, scoped_loop(cx, f));
    else
        NART_AWAIT_UNTIL(f->r, at_ms(5), scoped_loop(cx, f));
    NART_END(f->r);
}

TEST(a_deadline_around_what_is_always_ready_is_met)
{
    static const nart_task_type type = NART_TASK_TYPE(struct scoped, scoped_run, NULL);

    for (int i = 0; i < 4; i++) {
        nart_join join;

        virtual_now = at_ms(0);
        rt = new_rt();
        struct scoped *f = spawn(rt, &type, &join);
        f->relative = i & 1;
        f->racing = i & 2;
        run_all(rt); /* no timer is set, and nothing else reads the clock */
        CHECK(nart_join_done(&join));
        CHECK_EQ(f->polls, 11);
        CHECK_RES(f->r, -ETIMEDOUT);
        nart_join_release(&join);
        nart_rt_free(rt);
    }
}

/* ---- relative times, late in a long poll ---- */

enum from { SLEEP, RESUME, AFTER, FOR, INTERVAL, RESET, DELAY, BACKOFF, FROM };

struct late {
    nart_co co;
    nart_timer timer;
    nart_interval interval;
    nart_backoff backoff;
    nart_waiter waiter;
    nart_res r;
    enum from from;
    int64_t called, ended;
};

static nart_res late_run(nart_cx *cx, void *frame)
{
    struct late *f = frame;

    NART_BEGIN(cx, &f->co);
    f->backoff = (nart_backoff)NART_BACKOFF_INIT;
    f->backoff.initial = 20 * NART_MS;
    CHECK_RES(nart_interval_init(cx, &f->interval, 20 * NART_MS), 0);
    (void)nart_now(cx);
    virtual_now += 50 * NART_MS; /* simulates work */
    f->called = virtual_now;
    if (f->from == INTERVAL)
        CHECK_RES(nart_interval_init(cx, &f->interval, 20 * NART_MS), 0);
    if (f->from == RESET)
        nart_interval_reset(cx, &f->interval);
    if (f->from == DELAY) {
        f->interval.missed = NART_MISSED_DELAY;
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->interval));
        virtual_now += 50 * NART_MS;
        f->called = virtual_now;
        nart_interval_reset_at(&f->interval, 0);
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->interval));
    }
    if (f->from == SLEEP)
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 20 * NART_MS));
    else if (f->from == RESUME)
        NART_AWAIT(f->r, nart_sleep_resume(cx, &f->timer, 20 * NART_MS));
    else if (f->from == AFTER)
        NART_AWAIT(f->r, NART_AFTER(&f->timer, 20 * NART_MS, 0));
    else if (f->from == FOR)
        NART_AWAIT_FOR(f->r, 20 * NART_MS, nart_notify_await(cx, &never, &f->waiter));
    else if (f->from == BACKOFF)
        NART_AWAIT(f->r, nart_backoff_wait(cx, &f->backoff));
    else
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->interval));
    f->ended = nart_now(cx);
    NART_END(f->r);
}

TEST(a_relative_time_counts_from_the_call)
{
    static const nart_task_type type = NART_TASK_TYPE(struct late, late_run, NULL);

    for (int from = 0; from < FROM; from++) {
        nart_join join;
        nart_res err;

        rt = new_rt();
        struct late *f = nart_rt_spawn_boxed_begin(rt, &type, &err);
        f->from = (enum from)from;
        CHECK_RES(nart_rt_spawn_commit(rt, f, &join), 0);
        run_all(rt);
        CHECK_EQ(f->ended - f->called, 20 * NART_MS);
        nart_join_release(&join);
        nart_rt_free(rt);
    }
}

/* ---- sleeps that lost a race ---- */

struct idler {
    nart_co co, nested;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    nart_res r;
    int which, got;
    enum idle { RESTART, GO_ON, UNTIL, NESTED } kind;
    int64_t until;
};

static nart_res nested_run(nart_cx *cx, struct idler *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->nested);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 10 * NART_MS));
    NART_END(r);
}

static nart_res idle_arm(nart_cx *cx, struct idler *f)
{
    switch (f->kind) {
    case RESTART:
        return nart_sleep(cx, &f->timer, 10 * NART_MS);
    case GO_ON:
        return nart_sleep_resume(cx, &f->timer, 10 * NART_MS);
    case UNTIL:
        return nart_sleep_until(cx, &f->timer, f->until);
    default:
        return nested_run(cx, f);
    }
}

static nart_res idler_run(nart_cx *cx, void *frame)
{
    struct idler *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        f->until = nart_event_time(cx) + 10 * NART_MS;
        NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value), idle_arm(cx, f));
        if (f->which == 1)
            break;
        f->got++;
    }
    NART_END(f->r);
}

static void idler_drop(void *frame)
{
    nart_rx_close(&((struct idler *)frame)->rx);
}

/* Receives a value every 3 ms until 60 ms: returns how many before it is idle. */
static int values_before_idle(enum idle kind)
{
    static const nart_task_type type = NART_TASK_TYPE(struct idler, idler_run, idler_drop);
    nart_join join;
    nart_tx tx;
    uint64_t v = 0;

    virtual_now = at_ms(0);
    rt = new_rt();
    struct idler *f = spawn(rt, &type, &join);
    f->kind = kind;
    new_chan(rt, 4, &tx, &f->rx);
    settle(rt);
    for (int ms = 3; ms <= 60; ms += 3) {
        run_until(rt, at_ms(ms));
        if (!nart_join_done(&join))
            CHECK_RES(nart_try_send(&tx, &v), 0);
        settle(rt);
    }
    run_all(rt);
    int got = f->got;
    CHECK_EQ(elapsed_ms(), 60 + (got == 20 ? 10 : 0));
    nart_join_release(&join);
    nart_tx_close(&tx);
    nart_rt_free(rt);
    return got;
}

TEST(a_sleep_that_lost_a_race_restarts)
{
    CHECK_EQ(values_before_idle(RESTART), 20);
    CHECK_EQ(values_before_idle(UNTIL), 20); /* counts from the new call */
}

TEST(a_sleep_that_is_resumed_continues)
{
    CHECK_EQ(values_before_idle(GO_ON), 3);
    CHECK_EQ(values_before_idle(NESTED), 3); /* a body keeps its position */
}

/* Awaited alone after it lost. */
static nart_res alone_run(nart_cx *cx, void *frame)
{
    struct idler *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value),
                   nart_sleep(cx, &f->timer, 10 * NART_MS));
    CHECK_EQ(f->which, 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 10 * NART_MS));
    CHECK_EQ(elapsed_ms(), 19);
    NART_END(f->r);
}

/* Its timer is used in another body, and a body restarts after it lost. */
static nart_res other_body_run(nart_cx *cx, void *frame)
{
    struct idler *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value),
                   nart_sleep(cx, &f->timer, 10 * NART_MS));
    CHECK_EQ(f->which, 0);
    NART_AWAIT(f->r, nested_run(cx, f));
    CHECK_EQ(elapsed_ms(), 19);
    NART_END(f->r);
}

static nart_res begun_anew_run(nart_cx *cx, void *frame)
{
    struct idler *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value), nested_run(cx, f));
    CHECK_EQ(f->which, 0);
    nart_co_init(&f->nested);
    NART_AWAIT(f->r, nested_run(cx, f));
    CHECK_EQ(elapsed_ms(), 19);
    NART_END(f->r);
}

static void check_idler(nart_poll_fn poll)
{
    nart_task_type type = NART_TASK_TYPE(struct idler, poll, idler_drop);
    nart_join join;
    nart_tx tx;
    uint64_t v = 0;

    virtual_now = at_ms(0);
    rt = new_rt();
    struct idler *f = spawn(rt, &type, &join);
    new_chan(rt, 4, &tx, &f->rx);
    run_until(rt, at_ms(9));
    CHECK_RES(nart_try_send(&tx, &v), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    nart_tx_close(&tx);
    nart_rt_free(rt);
}

TEST(a_sleep_that_lost_a_race_restarts_in_another_body)
{
    check_idler(other_body_run);
    check_idler(begun_anew_run);
}

/* Adjacent bodies, each of which has decided a different number of races. */

struct row {
    nart_co co;
    nart_timer timer, quick;
    struct {
        nart_co co;
        char pad[128 - sizeof(nart_co)];
    } body[8];
    nart_res r;
    int which, i, next;
    int64_t begun;
};

static nart_res row_race(nart_cx *cx, struct row *f, nart_co *co, int64_t ns, int64_t quick)
{
    NART_BEGIN(cx, co);
    NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timer, ns), nart_sleep(cx, &f->quick, quick));
    NART_END(f->which);
}

/* The sleep loses in one body and is awaited in the next, which has decided one race more each
 * time. */
static nart_res row_run(nart_cx *cx, void *frame)
{
    struct row *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 7 * 64; f->i++) {
        f->next = f->i % 7 + 1;
        NART_AWAIT(f->r, row_race(cx, f, &f->body[f->next].co, NART_SEC, 0));
        nart_timer_cancel(&f->timer);
        NART_AWAIT(f->r, row_race(cx, f, &f->body[f->next - 1].co, 10 * NART_MS, 6 * NART_MS));
        f->begun = nart_now(cx);
        NART_AWAIT(f->r, row_race(cx, f, &f->body[f->next].co, 10 * NART_MS, NART_SEC));
        CHECK_EQ((nart_now(cx) - f->begun) / NART_MS, 10);
        nart_timer_cancel(&f->quick);
    }
    NART_END(0);
}

TEST_WITH(a_sleep_that_lost_a_race_restarts_in_the_body_beside, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct row, row_run, NULL);
    nart_res r;

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_block_on(rt, &type, NULL, &r), 0);
    CHECK_RES(r, 0);
}

TEST(a_sleep_that_lost_a_race_restarts_outside_of_one)
{
    check_idler(alone_run);
}

/* ---- a loop of races that is an arm of another race ---- */

struct nest {
    nart_co co, inner, flood;
    nart_timer outer[2], first, stop, endless;
    nart_res r, inner_r, flood_r;
    int which, inner_which;
    bool stopped;
    long polls;
    uint32_t poll;
};

static nart_res nest_flood(nart_cx *cx, struct nest *f)
{
    NART_BEGIN(cx, &f->flood);
    for (;;)
        NART_AWAIT(f->flood_r, nart_sleep(cx, &f->endless, 0));
    NART_END(0);
}

static nart_res nest_inner(nart_cx *cx, struct nest *f)
{
    NART_BEGIN(cx, &f->inner);
    do
        NART_AWAIT_ANY(f->inner_which, f->inner_r, nart_sleep(cx, &f->first, 0),
                       nart_sleep(cx, &f->stop, 0), nest_flood(cx, f));
    while (f->inner_which != 1);
    f->stopped = true;
    NART_END(0);
}

static nart_res nest_run(nart_cx *cx, void *frame)
{
    struct nest *f = frame;

    if (f->poll != cx->self->polls)
        f->polls++;
    f->poll = cx->self->polls;
    CHECK_LE(f->polls, 64);
    NART_BEGIN(cx, &f->co);
    do
        NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->outer[0], 0),
                       nart_sleep(cx, &f->outer[1], 0), nest_inner(cx, f));
    while (f->which != 2);
    CHECK(f->stopped);
    NART_END(0);
}

/* The second inner arm is tried first only if the inner race rotates independently of the outer
 * one. */
TEST_WITH(a_race_within_a_race_takes_turns_of_its_own, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct nest, nest_run, NULL);
    nart_join join;

    spawn(rt, &type, &join);
    run_to_the_end(rt, &join);
}
