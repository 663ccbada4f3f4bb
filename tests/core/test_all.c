/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* NART_ALL and NART_ALL_OK: every answer is kept, arms that have answered are not evaluated again, and what
 * ends the await ends its arms. */
#include "core.h"
#include "virtual.h"

#include <nart/nursery.h>
#include <nart/sync.h>
#include <stdio.h>

FIXTURE_RT();

static void put(nart_tx *tx, uint64_t v)
{
    CHECK_RES(nart_try_send(tx, &v), 0);
}

static bool idle(const nart__wait *w)
{
    return w->task == NULL;
}

/* ---- a body: two values, and clean-up when it is cancelled ---- */

struct pair {
    nart_co co;
    nart_rx *rx;
    nart_timer timer;
    uint64_t one, two;
    nart_res r;
    bool cleaned;
};

static nart_res pair_run(nart_cx *cx, struct pair *p)
{
    NART_BEGIN(cx, &p->co);
    NART_AWAIT(p->r, nart_recv(cx, p->rx, &p->one));
    if (p->r == 0)
        NART_AWAIT(p->r, nart_recv(cx, p->rx, &p->two));
    if (p->r == -ECANCELED) {
        NART_SHIELD(NART_SEC);
        NART_AWAIT(p->r, nart_sleep(cx, &p->timer, 5 * NART_MS));
        NART_UNSHIELD();
        p->cleaned = p->r == 0;
        p->r = -ECANCELED;
    }
    NART_END(p->r ? p->r : 2);
}

/* ---- a task that awaits three ---- */

enum form {
    PLAIN,
    IN_TIME,
    OK,
    OK_IN_TIME,
    AGAIN,
    IN_RACE,
    RACE_IN,
    ALL_IN,
    SAME_HANDLE,
    STOPPED,
    OK_AGAIN
};

struct trio {
    nart_co co;
    nart_arm all[3], two[2];
    nart_tx tx[3];
    nart_rx rx[3];
    uint64_t v[3];
    nart_timer timer, tick;
    struct pair pair;
    enum form form;
    nart_res r, stopped;
    int which, inner, calls[3], rounds, polls;
    bool ended;
};

static nart_res arm(nart_cx *cx, struct trio *f, int i)
{
    f->calls[i]++;
    return nart_recv(cx, &f->rx[i], &f->v[i]);
}

static nart_res trio_run(nart_cx *cx, struct trio *f)
{
    NART_BEGIN(cx, &f->co);
    f->pair.rx = &f->rx[2];
    if (f->form == PLAIN) {
        NART_AWAIT_ALL(f->r, f->all, arm(cx, f, 0), arm(cx, f, 1), arm(cx, f, 2));
    } else if (f->form == IN_TIME) {
        NART_AWAIT_FOR(f->r, 20 * NART_MS,
                       NART_ALL(f->all, arm(cx, f, 0), arm(cx, f, 1), pair_run(cx, &f->pair)));
    } else if (f->form == OK) {
        NART_AWAIT_ALL_OK(f->r, f->all, arm(cx, f, 0), arm(cx, f, 1), pair_run(cx, &f->pair));
    } else if (f->form == OK_IN_TIME) {
        NART_AWAIT_FOR(f->r, 20 * NART_MS,
                       NART_ALL_OK(f->all, arm(cx, f, 0), arm(cx, f, 1), pair_run(cx, &f->pair)));
    } else if (f->form == AGAIN) {
        for (; f->rounds < 3; f->rounds++) {
            NART_AWAIT_ALL(f->r, f->all, arm(cx, f, 0), arm(cx, f, 1),
                           nart_sleep(cx, &f->timer, 10 * NART_MS));
            CHECK_RES(f->r, 0);
        }
    } else if (f->form == IN_RACE || f->form == STOPPED) {
        for (f->which = 1; f->which == 1; f->rounds++) {
            NART_AWAIT_ANY(f->which, f->r,
                           NART_ALL(f->all, arm(cx, f, 0), arm(cx, f, 1), pair_run(cx, &f->pair)),
                           nart_sleep(cx, &f->tick, 10 * NART_MS));
            if (f->which == 0 || f->form == IN_RACE)
                continue;
            CHECK(idle(&f->rx[0].wait) && idle(&f->rx[1].wait) && idle(&f->rx[2].wait));
            NART_STOP(f->stopped,
                      NART_ALL(f->all, arm(cx, f, 0), arm(cx, f, 1), pair_run(cx, &f->pair)));
            break;
        }
    } else if (f->form == RACE_IN) {
        NART_AWAIT_ALL(f->r, f->all, arm(cx, f, 0),
                       NART_ANY(f->which, arm(cx, f, 1), nart_sleep(cx, &f->tick, NART_SEC)),
                       nart_sleep(cx, &f->timer, 100 * NART_MS));
    } else if (f->form == ALL_IN) {
        NART_AWAIT_ALL(f->r, f->two,
                       NART_ALL_OK(f->all, arm(cx, f, 0), arm(cx, f, 1),
                                   NART_ANY(f->which, nart_sleep(cx, &f->tick, 10 * NART_MS),
                                            nart_sleep(cx, &f->timer, 10 * NART_SEC))),
                       arm(cx, f, 2));
    } else if (f->form == SAME_HANDLE) {
        NART_AWAIT_ALL(f->r, f->two, arm(cx, f, 0), arm(cx, f, 0));
    } else if (f->form == OK_AGAIN) {
        for (f->r = -1; f->r < 0 && f->rounds < 3; f->rounds++)
            NART_AWAIT_ALL_OK(f->r, f->all, arm(cx, f, 0), arm(cx, f, 1),
                              nart_sleep(cx, &f->timer, 10 * NART_MS));
    }
    f->ended = true;
    NART_END(f->r);
}

static nart_res trio_poll(nart_cx *cx, void *frame)
{
    struct trio *f = frame;
    f->polls++;
    return trio_run(cx, f);
}

static void trio_drop(void *frame)
{
    struct trio *f = frame;
    for (int i = 0; i < 3; i++) {
        nart_tx_close(&f->tx[i]);
        nart_rx_close(&f->rx[i]);
    }
}

static const nart_task_type trio_type = NART_TASK_TYPE(struct trio, trio_poll, trio_drop);

static struct trio *new_trio(nart_join *join, enum form form)
{
    struct trio *f = spawn(rt, &trio_type, join);
    for (int i = 0; i < 3; i++)
        new_chan(rt, 4, &f->tx[i], &f->rx[i]);
    f->form = form;
    settle(rt);
    return f;
}

static void check_answers(const struct trio *f, nart_res a, nart_res b, nart_res c)
{
    CHECK(f->ended);
    CHECK_RES(f->all[0].res, a);
    CHECK_RES(f->all[1].res, b);
    CHECK_RES(f->all[2].res, c);
}

/* ---- answers ---- */

TEST_WITH(each_answer_is_kept_in_whatever_order_they_come, rt)
{
    static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                     { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (int k = 0; k < 6; k++) {
        nart_join join;
        struct trio *f = new_trio(&join, PLAIN);
        for (int i = 0; i < 3; i++) {
            CHECK(!f->ended);
            CHECK(!idle(&f->rx[orders[k][i]].wait));
            put(&f->tx[orders[k][i]], 10 + (uint64_t)orders[k][i]);
            settle(rt);
        }
        check_answers(f, 0, 0, 0);
        CHECK_RES(f->r, 0);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(f->v[i], 10 + i);
            CHECK_EQ(f->calls[orders[k][i]], i + 2); /* and not once it had answered */
        }
        CHECK_EQ(f->polls, 4);
        nart_join_release(&join);
    }
}

TEST_WITH(arms_that_are_ready_need_one_poll, rt)
{
    nart_join join;
    struct trio *f = spawn(rt, &trio_type, &join);
    for (int i = 0; i < 3; i++) {
        new_chan(rt, 1, &f->tx[i], &f->rx[i]);
        put(&f->tx[i], 1);
    }
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    check_answers(f, 0, 0, 0);
    nart_join_release(&join);
}

TEST_WITH(the_answer_is_the_first_error_in_the_order_written, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, PLAIN);
    nart_tx_close(&f->tx[2]);
    settle(rt);
    CHECK(!f->ended); /* an error does not end it */
    nart_rx_close(&f->rx[1]);
    settle(rt);
    put(&f->tx[0], 3);
    settle(rt);
    check_answers(f, 0, NART_ECLOSED, NART_ECLOSED);
    CHECK_RES(f->r, NART_ECLOSED);
    CHECK_EQ(f->v[0], 3);
    nart_join_release(&join);
}

TEST_WITH(a_handle_that_moves_away_ends_its_arm, rt)
{
    nart_join join;
    nart_rx moved;
    struct trio *f = new_trio(&join, PLAIN);
    nart_rx_move(&moved, &f->rx[1]);
    put(&f->tx[0], 1);
    put(&f->tx[1], 2);
    put(&f->tx[2], 3);
    settle(rt);
    check_answers(f, 0, NART_ECLOSED, 0);
    CHECK_RES(nart_try_recv(&moved, &f->v[1]), 0);
    CHECK_EQ(f->v[1], 2);
    nart_rx_close(&moved);
    nart_join_release(&join);
}

TEST_WITH(a_handle_in_two_arms_is_busy, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, SAME_HANDLE);
    CHECK(!f->ended);
    CHECK_RES(f->two[0].res, NART_PENDING);
    CHECK_RES(f->two[1].res, -EBUSY);
    put(&f->tx[0], 1);
    settle(rt);
    CHECK_RES(f->two[0].res, 0);
    CHECK_RES(f->r, -EBUSY);
    nart_join_release(&join);
}

TEST_WITH(of_two_errors_the_first_written_is_the_answer, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, SAME_HANDLE);
    nart_tx_close(&f->tx[0]);
    settle(rt);
    CHECK_RES(f->two[0].res, NART_ECLOSED);
    CHECK_RES(f->two[1].res, -EBUSY);
    CHECK_RES(f->r, NART_ECLOSED);
    nart_join_release(&join);
}

TEST_WITH(an_array_can_be_awaited_again, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, AGAIN);
    for (int k = 0; k < 3; k++) {
        put(&f->tx[0], 1);
        put(&f->tx[1], 1);
    }
    run_all(rt);
    CHECK_EQ(f->rounds, 3);
    CHECK_EQ(elapsed_ms(), 30); /* each time its sleep starts again */
    nart_join_release(&join);
}

/* ---- the first error ends it ---- */

TEST_WITH(the_first_error_withdraws_the_others, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, OK);
    put(&f->tx[2], 1); /* the first value of the pair */
    put(&f->tx[0], 7);
    settle(rt);
    nart_tx_close(&f->tx[1]);
    put(&f->tx[2], 2); /* granted, but the pair is not called again */
    settle(rt);
    check_answers(f, 0, NART_ECLOSED, NART_PENDING);
    CHECK_RES(f->r, NART_ECLOSED);
    CHECK(nart_co_active(&f->pair.co));
    CHECK(idle(&f->rx[2].wait));
    CHECK_RES(nart_try_recv(&f->rx[2], &f->v[2]), 0);
    CHECK_EQ(f->v[2], 2);
    nart_join_release(&join);
}

TEST_WITH(all_ok_answers_when_all_are, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, OK);
    for (int i = 0; i < 3; i++)
        put(&f->tx[i], 1);
    settle(rt);
    CHECK(!f->ended);
    put(&f->tx[2], 2);
    settle(rt);
    check_answers(f, 0, 0, 2);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}

TEST_WITH(after_an_error_it_begins_again_with_all_arms, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, OK_AGAIN);
    virtual_now = at_ms(8);
    put(&f->tx[0], 1);
    settle(rt);
    nart_tx_close(&f->tx[1]);
    nart_tx_close(&f->tx[0]);
    settle(rt); /* ends the first, and by the first arm the two others */
    CHECK_EQ(f->rounds, 3);
    check_answers(f, NART_ECLOSED, NART_PENDING, NART_PENDING);
    CHECK_EQ(f->calls[0], 4);
    CHECK_EQ(elapsed_ms(), 8);
    nart_join_release(&join);
}

struct sleeps {
    nart_co co;
    nart_arm all[2];
    nart_timer timer;
    nart_rx rx[2];
    uint64_t v;
    nart_res r;
    int i;
};

static nart_res sleeps_run(nart_cx *cx, void *frame)
{
    struct sleeps *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->i < 2; f->i++)
        NART_AWAIT_ALL_OK(f->r, f->all, nart_recv(cx, &f->rx[f->i], &f->v),
                          nart_sleep(cx, &f->timer, 10 * NART_MS));
    NART_END(f->r);
}

static const nart_task_type sleeps_type = NART_TASK_TYPE(struct sleeps, sleeps_run, NULL);

TEST_WITH(a_sleep_that_was_withdrawn_starts_again, rt)
{
    nart_join join;
    nart_tx tx[2];
    struct sleeps *f = spawn(rt, &sleeps_type, &join);
    new_chan(rt, 1, &tx[0], &f->rx[0]);
    new_chan(rt, 1, &tx[1], &f->rx[1]);
    settle(rt);
    virtual_now = at_ms(8);
    nart_tx_close(&tx[0]);
    settle(rt);
    CHECK_EQ(f->i, 1);
    put(&tx[1], 1);
    run_all(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(elapsed_ms(), 18);
    nart_tx_close(&tx[1]);
    nart_rx_close(&f->rx[0]);
    nart_rx_close(&f->rx[1]);
    nart_join_release(&join);
}

/* ---- cancellation and deadlines ---- */

TEST_WITH(cancelled_bodies_clean_up_side_by_side_with_the_rest, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, IN_TIME);
    put(&f->tx[1], 5);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK(!f->ended); /* the pair cleans up */
    CHECK_RES(f->all[0].res, -ECANCELED);
    run_until(rt, at_ms(5));
    check_answers(f, -ECANCELED, 0, -ECANCELED);
    CHECK_RES(f->r, -ECANCELED);
    CHECK(f->pair.cleaned);
    CHECK_EQ(f->v[1], 5);
    nart_join_release(&join);
}

TEST_WITH(a_deadline_ends_the_pending_arms, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, IN_TIME);
    put(&f->tx[0], 5);
    run_all(rt);
    check_answers(f, 0, -ECANCELED, -ECANCELED);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK(f->pair.cleaned);
    CHECK_EQ(elapsed_ms(), 25);
    nart_join_release(&join);
}

TEST_WITH(a_deadline_ends_all_ok_at_once, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, OK_IN_TIME);
    put(&f->tx[0], 5);
    run_until(rt, at_ms(20));
    check_answers(f, 0, -ECANCELED, NART_PENDING);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK(nart_co_active(&f->pair.co));
    nart_join_release(&join);
}

TEST_WITH(a_cancelled_all_ok_ends_at_once, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, OK);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    check_answers(f, -ECANCELED, NART_PENDING, NART_PENDING);
    CHECK_RES(f->r, -ECANCELED);
    nart_join_release(&join);
}

TEST_WITH(an_aborted_task_leaves_no_wait, rt)
{
    nart_join join;
    nart_tx tx[3];
    uint64_t v = 1;
    struct trio *f = new_trio(&join, ALL_IN);
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_tx_clone(&f->tx[i], &tx[i]), 0);
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    nart_join_release(&join);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_try_send(&tx[i], &v), NART_ECLOSED);
        nart_tx_close(&tx[i]);
    }
}

struct shields {
    nart_co co, inner;
    nart_arm all[2];
    nart_timer timer, other;
    nart_res r;
};

static nart_res shields_inner(nart_cx *cx, struct shields *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner);
    NART_SHIELD(NART_SEC);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 10 * NART_MS));
    NART_UNSHIELD();
    NART_END(r);
}

static nart_res shields_run(nart_cx *cx, void *frame)
{
    struct shields *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL(f->r, f->all, nart_sleep(cx, &f->other, NART_NEVER), shields_inner(cx, f));
    NART_END(f->r);
}

static const nart_task_type shields_type = NART_TASK_TYPE(struct shields, shields_run, NULL);

TEST_WITH(the_end_of_a_shield_in_an_arm_reaches_the_arms_before_it, rt)
{
    nart_join join;
    struct shields *f = spawn(rt, &shields_type, &join);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    run_until(rt, at_ms(10));
    CHECK(nart_join_done(&join));
    CHECK_RES(f->all[0].res, -ECANCELED);
    CHECK_RES(f->all[1].res, 0);
    nart_join_release(&join);
}

/* ---- races ---- */

TEST_WITH(one_that_loses_a_race_continues_with_its_answers, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, IN_RACE);
    put(&f->tx[0], 1);
    put(&f->tx[2], 2);
    run_until(rt, at_ms(35));
    CHECK_EQ(f->rounds, 3);
    CHECK(!f->ended);
    put(&f->tx[0], 9); /* not taken: the arm has answered */
    put(&f->tx[1], 3);
    put(&f->tx[2], 4);
    settle(rt);
    check_answers(f, 0, 0, 2);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->which, 0);
    CHECK_EQ(f->v[0], 1);
    CHECK_EQ(f->pair.two, 4);
    nart_join_release(&join);
}

TEST_WITH(stop_unwinds_one_that_lost, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, STOPPED);
    put(&f->tx[0], 1);
    run_all(rt);
    check_answers(f, 0, -ECANCELED, -ECANCELED);
    CHECK_RES(f->stopped, -ECANCELED);
    CHECK(f->pair.cleaned);
    CHECK_EQ(elapsed_ms(), 15);
    nart_join_release(&join);
}

TEST_WITH(a_race_in_an_arm_leaves_the_others_alone, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, RACE_IN);
    run_until(rt, at_ms(60));
    put(&f->tx[1], 1);
    settle(rt);
    CHECK_RES(f->all[1].res, 0);
    CHECK(!idle(&f->rx[0].wait));
    CHECK_EQ(f->calls[0], 2); /* at its place in the queue still */
    put(&f->tx[0], 1);
    run_all(rt);
    check_answers(f, 0, 0, 0);
    CHECK_EQ(elapsed_ms(), 100); /* the sleep did not start again */
    nart_join_release(&join);
}

TEST_WITH(one_in_an_arm_of_another_leaves_the_others_alone, rt)
{
    nart_join join;
    struct trio *f = new_trio(&join, ALL_IN);
    run_until(rt, at_ms(20));
    CHECK_RES(f->all[2].res, 0);
    CHECK_EQ(f->which, 0);
    nart_tx_close(&f->tx[1]);
    settle(rt);
    CHECK_RES(f->two[0].res, NART_ECLOSED);
    CHECK(idle(&f->rx[0].wait) && !idle(&f->rx[2].wait));
    put(&f->tx[2], 1);
    settle(rt);
    check_answers(f, NART_PENDING, NART_ECLOSED, 0);
    CHECK_RES(f->two[1].res, 0);
    CHECK_RES(f->r, NART_ECLOSED);
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 20); /* no deadline is left */
    nart_join_release(&join);
}

/* ---- turns ---- */

struct takes {
    nart_co co;
    nart_arm all[2];
    nart_semaphore *sem;
    nart_waiter waiter;
    nart_rx *rx;
    uint64_t v;
    nart_res r;
};

static nart_res takes_run(nart_cx *cx, void *frame)
{
    struct takes *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL_OK(f->r, f->all, nart_recv(cx, f->rx, &f->v),
                      nart_semaphore_acquire(cx, f->sem, &f->waiter, 1));
    NART_END(f->r);
}

static const nart_task_type takes_type = NART_TASK_TYPE(struct takes, takes_run, NULL);

TEST_WITH(a_turn_of_an_arm_that_is_withdrawn_passes_on, rt)
{
    nart_semaphore sem;
    nart_join join[2];
    nart_tx tx[2];
    nart_rx rx[2];
    struct takes *f[2];

    nart_semaphore_init(&sem, 0);
    for (int i = 0; i < 2; i++) {
        new_chan(rt, 1, &tx[i], &rx[i]);
        f[i] = spawn(rt, &takes_type, &join[i]);
        f[i]->sem = &sem;
        f[i]->rx = &rx[i];
        settle(rt);
    }
    nart_semaphore_release(&sem, 1); /* for the first */
    nart_tx_close(&tx[0]);
    put(&tx[1], 1);
    settle(rt);
    CHECK_RES(f[0]->r, NART_ECLOSED);
    CHECK_RES(f[0]->all[1].res, NART_PENDING);
    CHECK_RES(f[1]->r, 0);
    for (int i = 0; i < 2; i++) {
        nart_join_release(&join[i]);
        nart_tx_close(&tx[i]);
        nart_rx_close(&rx[i]);
    }
    nart_semaphore_close(&sem);
}

/* ---- the budget ---- */

struct flood {
    nart_co co, busy;
    nart_arm all[2];
    nart_timer timer;
    nart_rx *rx;
    uint64_t v;
    int answers, at;
    nart_res r, ignored;
};

static nart_res busy_run(nart_cx *cx, struct flood *f)
{
    NART_BEGIN(cx, &f->busy);
    for (; f->answers < 10 * NART_BUDGET && f->ignored == 0; f->answers++)
        NART_AWAIT(f->ignored, nart_sleep(cx, &f->timer, 0));
    NART_END(f->ignored);
}

static nart_res flood_recv(nart_cx *cx, struct flood *f)
{
    nart_res r = nart_recv(cx, f->rx, &f->v);
    if (r != NART_PENDING)
        f->at = f->answers;
    return r;
}

static nart_res flood_run(nart_cx *cx, void *frame)
{
    struct flood *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL(f->r, f->all, busy_run(cx, f), flood_recv(cx, f));
    NART_END(f->r);
}

static const nart_task_type flood_type = NART_TASK_TYPE(struct flood, flood_run, NULL);

TEST_WITH(an_arm_that_spends_the_budget_starves_none, rt)
{
    nart_join join;
    nart_tx tx;
    nart_rx rx;
    struct flood *f = spawn(rt, &flood_type, &join);
    new_chan(rt, 1, &tx, &rx);
    put(&tx, 4);
    f->rx = &rx;
    settle(rt);
    CHECK_EQ(f->at, NART_BUDGET); /* in the poll that the other one spent */
    CHECK_EQ(f->answers, 10 * NART_BUDGET);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
}

struct floods {
    nart_co co;
    struct flood a, b;
    nart_arm all[2];
    nart_res r;
    int polls;
};

static nart_res floods_run(nart_cx *cx, struct floods *f)
{
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(f->r, at_ms(5), NART_ALL(f->all, busy_run(cx, &f->a), busy_run(cx, &f->b)));
    NART_END(f->r);
}

/* The deadline passes in the third poll. */
static nart_res floods_poll(nart_cx *cx, void *frame)
{
    struct floods *f = frame;

    if (++f->polls == 3)
        virtual_now = at_ms(5);
    return floods_run(cx, f);
}

static const nart_task_type floods_type = NART_TASK_TYPE(struct floods, floods_poll, NULL);

TEST_WITH(a_deadline_ends_all_arms_that_are_always_ready_in_one_poll, rt)
{
    nart_join join;
    struct floods *f = spawn(rt, &floods_type, &join);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_RES(f->all[0].res, -ECANCELED);
    CHECK_RES(f->all[1].res, -ECANCELED);
    CHECK_EQ(f->polls, 4);
    nart_join_release(&join);
}

/* ---- memory of the arms ---- */

struct lends {
    nart_co co;
    struct {
        nart_arm all[2];
    } * mem;
    nart_nursery nursery;
    nart_waker waker;
    nart_rx *rx;
    uint64_t v;
    nart_res r, error;
    int which;
};

static nart_res never_poll(nart_cx *cx, void *frame)
{
    nart_res r = nart_op_enter(cx);

    (void)frame;
    return r ? r : nart_op_park(cx);
}

static const nart_task_type never_type = NART_TASK_TYPE(int, never_poll, NULL);

/* Opens a nursery in an arm, and leaves a wait behind. */
static nart_res opens(nart_cx *cx, struct lends *f)
{
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &never_type, NULL), 0);
    CHECK_RES(nart_recv(cx, f->rx, &f->v), NART_PENDING);
    return 0;
}

static nart_res lends_run(nart_cx *cx, void *frame)
{
    struct lends *f = frame;

    NART_BEGIN(cx, &f->co);
    f->mem = calloc(1, sizeof *f->mem);
    CHECK(f->mem);
    NART_AWAIT_ALL(f->r, f->mem->all, opens(cx, f), 0);
    CHECK_RES(f->r, 0);
    memset(f->mem, 0x55, sizeof *f->mem);
    free(f->mem); /* as an array on a stack would be */
    NART_YIELD();
    f->mem = calloc(1, sizeof *f->mem);
    CHECK(f->mem);
    NART_AWAIT_ALL_OK(f->r, f->mem->all, nart_recv(cx, f->rx, &f->v),
                      nart_nursery_join(cx, &f->nursery, &f->error));
    memset(f->mem, 0x55, sizeof *f->mem);
    free(f->mem);
    NART_AWAIT_FOR(f->r, NART_MS, nart_nursery_join(cx, &f->nursery, &f->error));
    CHECK_RES(f->r, -ETIMEDOUT); /* the nursery was left alone */
    NART_END(f->r);
}

static const nart_task_type lends_type = NART_TASK_TYPE(struct lends, lends_run, NULL);

TEST_WITH(nothing_refers_to_an_array_whose_await_has_answered, rt)
{
    nart_join join;
    nart_tx tx;
    nart_rx rx;
    struct lends *f = spawn(rt, &lends_type, &join);
    new_chan(rt, 1, &tx, &rx);
    f->rx = &rx;
    settle(rt);
    nart_tx_close(&tx);
    run_to_the_end(rt, &join);
    nart_rx_close(&rx);
}

/* ---- a body that loses with its arm ---- */

struct nests {
    nart_co co, inner;
    nart_arm all[2];
    nart_nursery nursery;
    nart_rx *rx;
    uint64_t v;
    nart_res r, inner_r, error, stopped;
    bool left;
};

static nart_res nests_inner(nart_cx *cx, struct nests *f)
{
    NART_BEGIN(cx, &f->inner);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &never_type, NULL), 0);
    NART_AWAIT(f->inner_r, nart_nursery_join(cx, &f->nursery, &f->error));
    NART_END(f->inner_r);
}

static nart_res nests_run(nart_cx *cx, void *frame)
{
    struct nests *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL_OK(f->r, f->all, nests_inner(cx, f), nart_recv(cx, f->rx, &f->v));
    f->left = nart_nursery_len(&f->nursery) == 1;
    memset(f->all, 0x55, sizeof f->all);
    NART_STOP(f->stopped, nests_inner(cx, f));
    NART_END(f->r);
}

static const nart_task_type nests_type = NART_TASK_TYPE(struct nests, nests_run, NULL);

TEST_WITH(the_nursery_of_a_withdrawn_arm_is_cancelled, rt)
{
    nart_join join;
    nart_tx tx;
    nart_rx rx;
    struct nests *f = spawn(rt, &nests_type, &join);
    new_chan(rt, 1, &tx, &rx);
    f->rx = &rx;
    settle(rt);
    nart_tx_close(&tx);
    settle(rt);
    CHECK(f->left);
    CHECK_RES(f->r, NART_ECLOSED);
    CHECK_RES(f->error, NART_EABORTED);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    nart_rx_close(&rx);
}

/* ---- what is shown, and what is refused ---- */

TEST_WITH(a_dump_shows_the_bodies_of_arms, rt)
{
    nart_join join;
    char *text = NULL;
    size_t size;
    struct trio *f = new_trio(&join, IN_TIME);
    put(&f->tx[0], 1);
    put(&f->tx[1], 1);
    settle(rt);
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    nart_rt_dump(rt, out);
    fclose(out);
    CHECK(strstr(text, "parked: trio_run > pair_run  test_all.c:"));
    CHECK(strstr(text, "  recv  deadline"));
    free(text);
    nart_join_release(&join);
}

struct eight {
    nart_co co;
    nart_arm all[8];
    nart_timer timer[8];
    nart_res r;
};

#define NAP(i) nart_sleep(cx, &f->timer[i], (8 - (i)) * NART_MS) == 0 ? (i) + 1 : NART_PENDING

static nart_res eight_run(nart_cx *cx, void *frame)
{
    struct eight *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL(f->r, f->all, NAP(0), NAP(1), NAP(2), NAP(3), NAP(4), NAP(5), NAP(6), NAP(7));
    for (int i = 0; i < 8; i++)
        CHECK_RES(f->all[i].res, i + 1);
    NART_END(f->r);
}

static const nart_task_type eight_type = NART_TASK_TYPE(struct eight, eight_run, NULL);

TEST_WITH(eight_arms, rt)
{
    nart_join join;
    spawn(rt, &eight_type, &join);
    run_to_the_end(rt, &join);
    CHECK_EQ(elapsed_ms(), 8);
}

struct deep {
    nart_co co;
    nart_arm a[2], b[2], c[2], d[2], e[2];
    nart_res r;
};

static nart_res deep_run(nart_cx *cx, void *frame)
{
    struct deep *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL(f->r, f->a,
                   NART_ALL(f->b, NART_ALL(f->c, NART_ALL(f->d, NART_ALL(f->e, 1, 2), 3), 4), 5),
                   6);
    NART_END(f->r);
}

static const nart_task_type deep_type = NART_TASK_TYPE(struct deep, deep_run, NULL);

static void run_deep(void *arg)
{
    (void)arg;
    CHECK_RES(nart_block_on(new_rt(), &deep_type, NULL, NULL), 0);
}

TEST_WITH(five_within_each_other_are_refused, rt)
{
    CHECK_DIES(run_deep, NULL, "task deep: more than 4 races within each other in one await");
}
