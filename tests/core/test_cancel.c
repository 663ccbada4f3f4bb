/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cancellation, aborts, shields, and bodies that ignore cancellation. */
#include "core.h"
#include "reports.h"
#include "virtual.h"

#include <nart/fiber.h>

FIXTURE_RT();
static int drops;

/* ---- a task that receives until it is cancelled ---- */

enum mode { UNWIND, DEAF, SHIELDED, YIELDING, VALUE, CANCEL_ITSELF, ABORT_ITSELF, HAND };

struct work {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    enum mode mode;
    nart_res r, inner;
    long answers;
    int polls;
    nart_task id;
};

static nart_res work_sub(nart_cx *cx, struct work *f)
{
    NART_BEGIN(cx, &f->sub);
    do {
        NART_AWAIT(f->inner, nart_recv(cx, &f->rx, &f->value));
        f->answers++;
    } while (f->mode == DEAF || f->inner == 0);
    NART_END(f->inner);
}

static nart_res work_run(nart_cx *cx, struct work *f)
{
    NART_BEGIN(cx, &f->co);
    if (f->mode == CANCEL_ITSELF)
        CHECK_RES(nart_task_cancel(rt, f->id), 0);
    if (f->mode == ABORT_ITSELF)
        CHECK_RES(nart_task_abort(rt, f->id), 0);
    while (f->mode == YIELDING)
        NART_YIELD();
    NART_AWAIT(f->r, work_sub(cx, f));
    if (f->mode == SHIELDED) {
        NART_SHIELD(NART_SEC);
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC / 2));
        NART_UNSHIELD();
    }
    if (f->mode == VALUE)
        NART_RETURN(7);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC)); /* sticky: fails as before */
    NART_END(f->r);
}

static nart_res work_poll(nart_cx *cx, void *frame)
{
    struct work *f = frame;

    f->polls++;
    if (f->mode == HAND)
        return NART_PENDING; /* ignores everything */
    return work_run(cx, f);
}

static void work_drop(void *frame)
{
    struct work *f = frame;

    drops++;
    CHECK(f->rx.wait.task == NULL); /* nothing refers to the frame any more */
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type work_type = NART_TASK_TYPE(struct work, work_poll, work_drop);

static struct work *new_work(nart_join *join, enum mode mode)
{
    struct work *f = spawn(rt, &work_type, join);

    new_chan(rt, 2, &f->tx, &f->rx);
    f->mode = mode;
    f->id = nart_join_task(join);
    f->r = NART_PENDING;
    return f;
}

/* What a join reports of an ended task: its answer, or why there is none. */
struct judge {
    nart_co co;
    nart_join *of;
    nart_res r, answer;
};

static nart_res judge_run(nart_cx *cx, void *frame)
{
    struct judge *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_join_await(cx, f->of, &f->answer));
    NART_END(f->r ? f->r : f->answer);
}

static const nart_task_type judge_type = NART_TASK_TYPE(struct judge, judge_run, NULL);

static nart_res verdict(nart_join *of)
{
    nart_res r = 0;
    CHECK_RES(nart_block_on(rt, &judge_type, &(struct judge){ .of = of }, &r), 0);
    return r;
}

/* ---- cancel ---- */

TEST_WITH(a_parked_task_unwinds, rt)
{
    nart_join join;
    struct work *f = new_work(&join, UNWIND);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    CHECK_EQ(f->polls, 1); /* cancel runs no task code */
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->answers, 1);
    CHECK_RES(f->inner, -ECANCELED);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_RES(verdict(&join), NART_EABORTED);
    CHECK_EQ(drops, 0);
    nart_join_release(&join);
    CHECK_EQ(drops, 1);
}

TEST_WITH(a_task_is_cancelled_before_its_first_poll, rt)
{
    nart_join join;
    struct work *f = new_work(&join, UNWIND);
    CHECK_RES(cancel(rt, &join), 0);
    CHECK_RES(cancel(rt, &join), 0); /* a second cancel has no effect */
    settle(rt);
    CHECK_EQ(f->polls, 1);
    CHECK_RES(f->inner, -ECANCELED);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

TEST_WITH(a_cancelled_operation_takes_nothing, rt)
{
    nart_join join;
    uint64_t v = 3;
    struct work *f = new_work(&join, UNWIND);
    settle(rt);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(f->inner, -ECANCELED);
    CHECK_RES(nart_try_recv(&f->rx, &v), 0);
    nart_join_release(&join);
}

TEST_WITH(a_cancelled_task_that_answers_a_value_has_answered_it, rt)
{
    nart_join join;
    new_work(&join, VALUE);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(verdict(&join), 7);
    nart_join_release(&join);
}

TEST_WITH(a_task_cancels_itself, rt)
{
    nart_join join;
    struct work *f = new_work(&join, CANCEL_ITSELF);
    settle(rt);
    CHECK_RES(f->inner, -ECANCELED);
    CHECK_RES(verdict(&join), NART_EABORTED);
    nart_join_release(&join);
}

TEST_WITH(what_has_ended_is_stale, rt)
{
    nart_join join;
    struct work *f = new_work(&join, UNWIND);
    nart_task id = f->id;
    CHECK_RES(nart_task_cancel(rt, id), 0);
    settle(rt);
    CHECK_RES(nart_task_cancel(rt, id), NART_ESTALE); /* ended, and held by its join */
    CHECK_RES(nart_task_abort(rt, id), NART_ESTALE);
    nart_join_release(&join);
    CHECK_RES(nart_task_cancel(rt, id), NART_ESTALE);
    f = new_work(&join, UNWIND); /* the slot is reused by another task */
    CHECK_EQ(f->id.slot, id.slot);
    CHECK_NE(f->id.gen, id.gen);
    CHECK_RES(nart_task_cancel(rt, id), NART_ESTALE);
    CHECK_RES(nart_task_cancel(rt, (nart_task){ 0, 0 }), NART_ESTALE);
    CHECK_RES(nart_task_cancel(rt, (nart_task){ UINT32_MAX, 1 }), NART_ESTALE);
    CHECK_RES(nart_task_cancel(NULL, id), -EINVAL);
    settle(rt);
    CHECK_RES(f->r, NART_PENDING);
    nart_join_release(&join);
}

/* ---- cancellation as seen by the task ---- */

struct asks {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res r;
    int polls, cancelled;
};

static nart_res asks_run(nart_cx *cx, struct asks *f)
{
    NART_BEGIN(cx, &f->co);
    do {
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
        if (f->r == 0)
            NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    } while (f->r == 0);
    NART_END(f->r);
}

static nart_res asks_poll(nart_cx *cx, void *frame)
{
    struct asks *f = frame;

    f->polls++;
    f->cancelled += nart_cx_cancelled(cx);
    return asks_run(cx, f);
}

static void asks_drop(void *frame)
{
    struct asks *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type asks_type = NART_TASK_TYPE(struct asks, asks_poll, asks_drop);

TEST_WITH(a_task_that_is_always_ready_is_cancelled_and_only_then_said_to_be, rt)
{
    nart_join join;
    struct asks *f = spawn(rt, &asks_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    CHECK_LE(2, nart_rt_poll(rt, 0)); /* consecutive polls that spend their budget */
    CHECK_EQ(f->cancelled, 0);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_EQ(f->cancelled, 1);
    CHECK_RES(f->r, -ECANCELED);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

/* ---- abort ---- */

/* In the reference, aborting a parked task has no effect until something else wakes it: its defect
 * 8. */
TEST_WITH(abort_ends_a_parked_task_by_itself, rt)
{
    nart_join join;
    struct work *f = new_work(&join, UNWIND);
    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    CHECK_EQ(f->polls, 1); /* never in the caller */
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    CHECK_EQ(nart_rt_task_count(rt), 0);
    CHECK_RES(verdict(&join), NART_EABORTED);
    nart_join_release(&join);
    CHECK_EQ(drops, 1);
}

static void check_dropped_after_one_poll(enum mode mode)
{
    nart_join join;
    rt = new_rt();
    struct work *f = new_work(&join, mode);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    int polls = f->polls;
    CHECK_RES(abort_task(rt, &join), 0);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    CHECK_EQ(f->polls, polls + 1);
    CHECK(nart_join_done(&join));
    CHECK_RES(verdict(&join), NART_EABORTED);
    nart_join_release(&join);
    CHECK_EQ(drops, 1);
    nart_rt_free(rt);
}

TEST(abort_drops_a_body_that_wants_to_shield_itself)
{
    check_dropped_after_one_poll(SHIELDED);
}

TEST(abort_drops_a_body_that_only_yields)
{
    check_dropped_after_one_poll(YIELDING);
}

TEST(abort_drops_a_hand_written_poll_that_ignores_it)
{
    check_dropped_after_one_poll(HAND);
}

TEST_WITH(abort_breaks_a_shield_that_holds, rt)
{
    nart_join join;
    struct work *f = new_work(&join, SHIELDED);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join)); /* still in its shield */
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(elapsed_ms(), 0);
    nart_join_release(&join);
}

TEST_WITH(abort_before_the_first_poll_drops_what_the_frame_holds, rt)
{
    nart_join join;
    new_work(&join, UNWIND);
    CHECK_RES(abort_task(rt, &join), 0);
    nart_join_release(&join);
    settle(rt);
    CHECK_EQ(drops, 1);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

TEST_WITH(an_aborted_task_may_still_answer, rt)
{
    nart_join join;
    new_work(&join, VALUE);
    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    settle(rt);
    CHECK_RES(verdict(&join), 7);
    nart_join_release(&join);
}

TEST_WITH(a_task_aborts_itself, rt)
{
    nart_join join;
    new_work(&join, ABORT_ITSELF);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(verdict(&join), NART_EABORTED);
    nart_join_release(&join);
}

/* ---- bodies that ignore cancellation ---- */

static nart_rt *new_reporting_rt(void)
{
    return NEW_RT(.report = keep_report);
}

TEST(a_body_that_ignores_cancellation_is_ended_and_reported_by_name_and_line)
{
    nart_join join;
    rt = new_reporting_rt();
    struct work *f = new_work(&join, DEAF);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_LE(1000, f->answers); /* it got -ECANCELED often enough */
    CHECK_RES(verdict(&join), NART_EABORTED);
    CHECK(strstr(reported, "task work "));
    CHECK(strstr(reported, "ignores cancellation"));
    CHECK(strstr(reported, "test_cancel.c:"));
    nart_join_release(&join);
    CHECK_EQ(drops, 1);
    nart_rt_free(rt);
}

TEST(a_cancelled_task_that_only_yields_blocks_no_other)
{
    nart_join join, other;
    rt = new_rt();
    struct work *f = new_work(&join, YIELDING);
    struct work *g = new_work(&other, UNWIND);
    CHECK_RES(cancel(rt, &join), 0);
    CHECK_RES(cancel(rt, &other), 0);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    CHECK_RES(g->r, -ECANCELED);
    CHECK_LE(2, f->polls);
    nart_join_release(&join);
    nart_join_release(&other);
    nart_rt_free(rt);
    CHECK_EQ(drops, 2);
}

/* ---- shields ---- */

struct shielded {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer, other;
    uint64_t value;
    int64_t span;
    nart_res before, under, nested, after;
    int64_t left_at;
    bool nest, hidden;
};

static nart_res shielded_sub(nart_cx *cx, struct shielded *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_SHIELD(NART_NEVER); /* nested: neither this nor its end has an effect */
    NART_AWAIT(f->nested, nart_sleep(cx, &f->other, NART_MS));
    NART_UNSHIELD();
    f->hidden = !nart_cx_cancelled(cx);
    NART_END(f->nested);
}

static nart_res shielded_run(nart_cx *cx, void *frame)
{
    struct shielded *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->before, nart_recv(cx, &f->rx, &f->value));
    NART_SHIELD(f->span);
    f->hidden = !nart_cx_cancelled(cx);
    if (f->nest)
        NART_AWAIT(f->nested, shielded_sub(cx, f));
    NART_AWAIT(f->under, nart_sleep_until(cx, &f->timer, at_ms(50)));
    NART_UNSHIELD();
    f->left_at = nart_now(cx);
    NART_AWAIT(f->after, nart_recv(cx, &f->rx, &f->value));
    NART_END(f->after);
}

static void shielded_drop(void *frame)
{
    struct shielded *f = frame;
    drops++;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type shielded_type =
    NART_TASK_TYPE(struct shielded, shielded_run, shielded_drop);

/* The same as functions of a fiber. */
static nart_res shielded_function(nart_cx *cx, struct shielded *f)
{
    nart_shield(cx, NART_NEVER);
    f->nested = nart_await(cx, nart_sleep(cx, &f->other, NART_MS));
    f->hidden = !nart_cx_cancelled(cx);
    return f->nested;
}

static nart_res shielded_fiber(nart_cx *cx, void *arg)
{
    struct shielded *f = arg;

    f->before = nart_await(cx, nart_recv(cx, &f->rx, &f->value));
    nart_shield(cx, f->span);
    f->hidden = !nart_cx_cancelled(cx);
    if (f->nest) {
        nart_res r = nart_await(cx, shielded_function(cx, f));
        CHECK_RES(r, f->nested);
    }
    f->under = nart_await(cx, nart_sleep_until(cx, &f->timer, at_ms(50)));
    nart_unshield(cx);
    f->left_at = nart_now(cx);
    f->after = nart_await(cx, nart_recv(cx, &f->rx, &f->value));
    return f->after;
}

/* Cancels before the shield, or under it after a value let it in. */
static void check_shield_of(int64_t span, bool value_first, bool nest, bool fiber)
{
    nart_join join;
    uint64_t v = 0;
    bool outlasts = span < 0 || span > 50;
    struct shielded *f, own = { .span = 0 };

    rt = new_rt();
    virtual_restart();
    if (fiber)
        CHECK_RES(nart_rt_fiber_spawn(rt, shielded_fiber, f = &own, NULL, &join), 0);
    else
        f = spawn(rt, &shielded_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    f->span = span < 0 ? NART_NEVER : span * NART_MS;
    f->nest = nest;
    settle(rt);
    if (value_first) {
        CHECK_RES(nart_try_send(&f->tx, &v), 0);
        settle(rt);
    }
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->before, value_first ? 0 : -ECANCELED);
    CHECK(f->hidden);
    CHECK_RES(f->nested, 0);
    CHECK_RES(f->under, outlasts ? 0 : -ECANCELED);
    CHECK_EQ(f->left_at, outlasts ? at_ms(50) : at_ms(span));
    CHECK_RES(f->after, -ECANCELED);
    nart_join_release(&join);
    if (fiber)
        shielded_drop(f);
    nart_rt_free(rt);
}

static void check_shield(int64_t span, bool value_first, bool nest)
{
    check_shield_of(span, value_first, nest, false);
    check_shield_of(span, value_first, nest, true);
}

TEST(a_shield_lets_a_cancelled_body_finish)
{
    check_shield(80, false, false);
}

TEST(a_shield_ends_at_its_bound)
{
    check_shield(20, false, false);
}

TEST(a_shield_hides_a_later_cancellation)
{
    check_shield(80, true, false);
}

TEST(a_shield_with_a_late_cancellation_ends_at_its_bound)
{
    check_shield(20, true, false);
}

TEST(a_shield_without_bound_lasts_as_long_as_its_body_wants)
{
    check_shield(-1, false, false);
}

TEST(a_shield_in_a_shield_changes_nothing)
{
    check_shield(20, false, true);
}

/* A body that loses a race while it holds the shield, and is not awaited again. */
struct left {
    nart_co co, arm;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer, other;
    uint64_t value;
    int which;
    nart_res r, second;
    int64_t second_ended;
    bool give_up;
};

static nart_res left_arm(nart_cx *cx, struct left *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->arm);
    NART_SHIELD(20 * NART_MS);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_SEC));
    NART_END(r);
}

static nart_res left_run(nart_cx *cx, void *frame)
{
    struct left *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, left_arm(cx, f), nart_recv(cx, &f->rx, &f->value));
    CHECK_EQ(f->which, 1);
    if (f->give_up)
        nart_co_init(&f->arm);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value)); /* the abandoned shield ends here */
    CHECK_RES(f->r, -ECANCELED);
    NART_SHIELD(100 * NART_MS);
    NART_AWAIT(f->second, nart_sleep(cx, &f->other, 50 * NART_MS));
    f->second_ended = nart_now(cx);
    NART_END(f->second);
}

static void left_drop(void *frame)
{
    struct left *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type left_type = NART_TASK_TYPE(struct left, left_run, left_drop);

/* `at_once`: the value is available when the race starts, so the shield is opened and lost in one
 * poll. */
static void check_left(bool give_up, bool at_once)
{
    nart_join join;
    uint64_t v = 0;
    rt = new_rt();
    struct left *f = spawn(rt, &left_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    f->give_up = give_up;
    if (!at_once)
        settle(rt);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->second, 0); /* another body can open a shield afterwards */
    CHECK_EQ(f->second_ended, at_ms(20 + 50));
    nart_join_release(&join);
    nart_rt_free(rt);
}

TEST(a_shield_that_lost_a_race_ends_at_its_bound_and_another_can_begin)
{
    check_left(false, false);
}

TEST(an_abandoned_shield_ends_at_its_bound_and_another_can_begin)
{
    check_left(true, false);
}

TEST(a_shield_opened_by_the_loser_of_the_same_poll_sees_its_end)
{
    check_left(false, true);
}

/* The same in a task already cancelled: nothing else would wake it. */
static nart_res doomed_run(nart_cx *cx, void *frame)
{
    struct left *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    CHECK_RES(f->r, -ECANCELED);
    NART_AWAIT_ANY(f->which, f->r, left_arm(cx, f), nart_recv(cx, &f->rx, &f->value));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->second, nart_recv(cx, &f->rx, &f->value));
    f->second_ended = nart_now(cx);
    NART_END(0);
}

static const nart_task_type doomed_type = NART_TASK_TYPE(struct left, doomed_run, left_drop);

TEST_WITH(a_cancelled_task_whose_shield_lost_is_cancelled_when_it_ends, rt)
{
    nart_join join;
    uint64_t v = 0;
    struct left *f = spawn(rt, &doomed_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    settle(rt);
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->which, 1);
    CHECK_RES(f->second, -ECANCELED);
    CHECK_EQ(f->second_ended, at_ms(20));
    nart_join_release(&join);
}

/* ---- cancellation that starts while a body is being stopped ---- */

struct stops {
    nart_co co, arm;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    int which;
    nart_res r, stopped, after;
    bool itself;
};

static nart_res stops_arm(nart_cx *cx, struct stops *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->arm);
    NART_AWAIT(r, nart_recv(cx, &f->rx, &f->value));
    if (f->itself) {
        CHECK_RES(nart_task_cancel(rt, nart_cx_task(cx)), 0);
        NART_RETURN(r);
    }
    NART_SHIELD(NART_SEC);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 20 * NART_MS));
    NART_END(r);
}

static nart_res stops_run(nart_cx *cx, void *frame)
{
    struct stops *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, stops_arm(cx, f), nart_sleep_until(cx, &f->timer, at_ms(10)));
    CHECK_EQ(f->which, 1);
    NART_STOP(f->stopped, stops_arm(cx, f));
    NART_AWAIT(f->after, nart_sleep_until(cx, &f->timer, 0)); /* would complete at once */
    NART_END(0);
}

static void stops_drop(void *frame)
{
    struct stops *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type stops_type = NART_TASK_TYPE(struct stops, stops_run, stops_drop);

static void check_stops(bool itself)
{
    nart_join join;
    rt = new_rt();
    struct stops *f = spawn(rt, &stops_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    f->itself = itself;
    run_until(rt, at_ms(15));
    if (!itself)
        CHECK_RES(cancel(rt, &join), 0); /* under the shield of the stopped body */
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->stopped, itself ? -ECANCELED : 0);
    CHECK_RES(f->after, -ECANCELED);
    CHECK_EQ(elapsed_ms(), itself ? 15 : 30);
    nart_join_release(&join);
    nart_rt_free(rt);
}

TEST(a_shield_that_ends_in_a_stopped_body_leaves_the_task_cancelled)
{
    check_stops(false);
}

TEST(a_stopped_body_that_cancels_its_task_has_cancelled_it)
{
    check_stops(true);
}

/* A task that aborts itself is polled once more, whatever its state was. */
struct suicide {
    nart_co co;
    nart_timer timer;
    int kind, i;
    bool asked, resumed;
    nart_res r;
};

static nart_res suicide_run(nart_cx *cx, void *frame)
{
    struct suicide *f = frame;

    f->resumed |= f->asked;
    NART_BEGIN(cx, &f->co);
    if (f->kind == 1) /* after a poll that has spent its budget */
        for (f->i = 0; f->i < NART_BUDGET + 10; f->i++)
            NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 0));
    if (f->kind == 2)
        NART_SHIELD(NART_SEC);
    f->asked = true;
    CHECK_RES(nart_task_abort(nart_cx_rt(cx), nart_cx_task(cx)), 0);
    NART_YIELD();
    NART_END(0);
}

TEST(a_task_that_aborts_itself_has_one_more_poll)
{
    static const nart_task_type type = NART_TASK_TYPE(struct suicide, suicide_run, NULL);

    for (int kind = 0; kind < 3; kind++) {
        nart_join join;

        rt = new_rt();
        struct suicide *f = spawn(rt, &type, &join);
        f->kind = kind;
        settle(rt);
        CHECK(nart_join_done(&join));
        CHECK(f->resumed);
        nart_join_release(&join);
        nart_rt_free(rt);
    }
}
