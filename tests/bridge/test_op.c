/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations: each ends in exactly one way, in every interleaving. */
#include "bridge.h"
#include "threads.h"

#include <stdio.h>

struct waiter {
    nart_co co;
    nart_tokio_op op;
    int64_t value;
    nart_res answer;
    int i;
};

static void waiter_drop(void *frame)
{
    nart_tokio_op_close(&((struct waiter *)frame)->op);
}

/* Awaits the operation in its frame. */
static nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *w = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &w->co);
    NART_AWAIT(r, nart_tokio_op_await(cx, &w->op, &w->value));
    NART_END(r);
}

static const nart_task_type waiter_type = NART_TASK_TYPE(struct waiter, waiter_run, waiter_drop);

TEST_WITH(a_value_arrives, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_value(bridge, 42, &w.op), 0);
    CHECK_RES(await_op(&w.op, &w.value), 0);
    CHECK_EQ(w.value, 42);
    int64_t again = 0;
    CHECK_RES(nart_tokio_op_try(&w.op, &again), 0);
    CHECK_EQ(again, 42);
    CHECK_RES(await_op(&w.op, &w.value), 0); /* the answer stays until close */
    CHECK_EQ(nart_tokio_op_status(&w.op), NART_TOKIO_STATUS_OK);
    CHECK_STR(nart_tokio_op_message(&w.op, NULL), "");
    nart_tokio_op_close(&w.op);
    nart_tokio_op_close(&w.op);
    CHECK_EQ(report().ok, 1);
}

TEST_WITH(a_value_may_be_any_number, both)
{
    static const int64_t values[] = { INT64_MIN, INT64_MAX, -1, -ECANCELED, NART_PENDING, 0 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct waiter w = { 0 };
        CHECK_RES(test_value(bridge, values[i], &w.op), 0);
        CHECK_RES(await_op(&w.op, &w.value), 0);
        CHECK_EQ(w.value, values[i]);
        nart_tokio_op_close(&w.op);
    }
}

TEST_WITH(an_error_has_a_text, both)
{
    struct waiter w = { .value = 5 };
    size_t len = 0;
    CHECK_RES(test_error(bridge, -EPROTO, &w.op), 0);
    CHECK_RES(await_op(&w.op, &w.value), -EPROTO);
    CHECK_EQ(w.value, 5); /* untouched */
    CHECK_STR(nart_tokio_op_message(&w.op, &len), "told so");
    CHECK_EQ(len, 7);
    CHECK_EQ(nart_tokio_op_status(&w.op), NART_TOKIO_STATUS_ERROR);
    nart_tokio_op_close(&w.op);

    CHECK_RES(test_io_error(bridge, &w.op), 0);
    CHECK_RES(await_op(&w.op, &w.value), -ENOENT);
    nart_tokio_op_close(&w.op);
}

TEST_WITH(an_invalid_error_code_becomes_einval, both)
{
    static const nart_res codes[] = { 0, 1, NART_PENDING, -8192, INT64_MIN };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct waiter w = { 0 };
        CHECK_RES(test_error(bridge, codes[i], &w.op), 0);
        CHECK_RES(await_op(&w.op, &w.value), -EINVAL);
        nart_tokio_op_close(&w.op);
    }
}

/* -ECANCELED would mean that the awaiting task was cancelled. */
TEST_WITH(a_future_that_answers_ecanceled_was_aborted, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_error(bridge, -ECANCELED, &w.op), 0);
    CHECK_RES(await_op(&w.op, &w.value), NART_EABORTED);
    nart_tokio_op_close(&w.op);
}

TEST_WITH(bytes_are_borrowed_until_close, both)
{
    struct waiter w = { 0 };
    size_t len = 0;
    CHECK_RES(test_bytes(bridge, 100000, &w.op), 0);
    CHECK_RES(await_op(&w.op, &w.value), 0);
    const char *bytes = nart_tokio_op_message(&w.op, &len);
    CHECK_EQ(len, 100000);
    CHECK(bytes[0] == 'x' && bytes[99999] == 'x' && bytes[100000] == '\0');
    nart_tokio_op_close(&w.op);
}

TEST_WITH(an_empty_operation_is_stale, both)
{
    struct waiter w = { 0 };
    nart_waker none = { 0 };
    CHECK_RES(await_op(&w.op, &w.value), NART_ESTALE);
    CHECK_RES(nart_tokio_op_try(&w.op, NULL), NART_ESTALE);
    CHECK_RES(nart_tokio_op_poll(&w.op, none, NULL), NART_ESTALE);
    CHECK_RES(nart_tokio_op_try(NULL, NULL), NART_ESTALE);
    CHECK_STR(nart_tokio_op_message(&w.op, NULL), "");
    CHECK_EQ(nart_tokio_op_status(NULL), NART_TOKIO_STATUS_RUNNING);
    nart_tokio_op_cancel(&w.op);
    nart_tokio_op_cancel(NULL);
    nart_tokio_op_detach(&w.op);
    nart_tokio_op_detach(NULL);
    nart_tokio_op_close(&w.op);
    nart_tokio_op_close(NULL);
}

TEST_WITH(submitting_without_a_bridge_is_einval, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(test_value(NULL, 1, &op), -EINVAL);
    CHECK_RES(test_value(bridge, 1, NULL), -EINVAL);
    CHECK_EQ(report().submitted, 0);
}

/* ---- cancelling ---- */

TEST_WITH(a_cancelled_future_is_dropped, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_never(bridge, &w.op), 0);
    CHECK_RES(nart_tokio_op_try(&w.op, NULL), NART_PENDING);
    nart_tokio_op_cancel(&w.op);
    nart_tokio_op_cancel(&w.op);
    CHECK_RES(await_op(&w.op, &w.value), NART_EABORTED);
    CHECK_EQ(nart_tokio_op_status(&w.op), NART_TOKIO_STATUS_CANCELLED);
    nart_tokio_op_cancel(&w.op); /* late */
    CHECK_RES(nart_tokio_op_try(&w.op, NULL), NART_EABORTED);
    nart_tokio_op_close(&w.op);
    CHECK_EQ(report().cancelled, 1);
}

TEST_WITH(a_future_cancelled_while_it_waits_is_dropped, both)
{
    struct waiter w = { 0 }, sleeper = { 0 };
    CHECK_RES(test_never(bridge, &w.op), 0);
    CHECK_RES(test_sleep(bridge, 1, &sleeper.op), 0); /* behind it on the same worker */
    CHECK_RES(await_op(&sleeper.op, &sleeper.value), 0);
    uint64_t before = test_drops();
    nart_tokio_op_cancel(&w.op);
    CHECK_RES(await_op(&w.op, &w.value), NART_EABORTED);
    CHECK_EQ(test_drops(), before + 1); /* before the answer was published */
    nart_tokio_op_close(&w.op);
    nart_tokio_op_close(&sleeper.op);
}

TEST_WITH(a_future_cancelled_before_it_starts_is_never_polled, both)
{
    struct waiter w = { 0 };
    nart_tokio_op worker = { 0 };
    occupy_worker(&worker);
    uint64_t before = test_drops();
    CHECK_RES(test_yield(bridge, 3, &w.op), 0);
    nart_tokio_op_cancel(&w.op);
    release_worker(&worker);
    CHECK_RES(await_op(&w.op, &w.value), NART_EABORTED);
    CHECK_EQ(test_drops(), before); /* its locals were never made */
    nart_tokio_op_close(&w.op);
}

TEST_WITH(closing_a_pending_operation_cancels_it, both)
{
    struct waiter w = { 0 }, sleeper = { 0 };
    CHECK_RES(test_never(bridge, &w.op), 0);
    CHECK_RES(test_sleep(bridge, 1, &sleeper.op), 0);
    CHECK_RES(await_op(&sleeper.op, &sleeper.value), 0);
    uint64_t before = test_drops();
    nart_tokio_op_close(&w.op);
    while (test_drops() == before)
        let_others_run();
    nart_tokio_op_close(&sleeper.op);
    both_close();
}

TEST_WITH(a_detached_operation_continues, both)
{
    nart_tokio_op op = { 0 };
    uint64_t before = test_drops();
    CHECK_RES(test_yield(bridge, 10, &op), 0);
    nart_tokio_op_detach(&op);
    CHECK(op.op == NULL);
    while (test_drops() == before)
        let_others_run();
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_EQ(report().ok, 1);
}

/* ---- the task that waits ---- */

static uint64_t let_go; /* 2: what test_block_worker() began may end */

static nart_res impatient_run(nart_cx *cx, void *frame)
{
    struct waiter *w = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &w->co);
    NART_AWAIT_FOR(r, NART_MS, nart_tokio_op_await(cx, &w->op, &w->value));
    CHECK_RES(r, -ETIMEDOUT);
    CHECK_EQ(nart_tokio_op_status(&w->op), NART_TOKIO_STATUS_RUNNING);
    set_word(&let_go, 2);
    NART_AWAIT(r, nart_tokio_op_await(cx, &w->op, &w->value));
    NART_END(r);
}

static const nart_task_type impatient_type =
    NART_TASK_TYPE(struct waiter, impatient_run, waiter_drop);

TEST_WITH(a_deadline_does_not_cancel_the_operation, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_block_worker(bridge, &let_go, &w.op), 0);
    wait_for(&let_go, 1);
    CHECK_RES(run(&impatient_type, &w), 0);
}

struct canceller {
    nart_co co;
    nart_join waiter;
    nart_res answer;
};

static nart_res canceller_run(nart_cx *cx, void *frame)
{
    struct canceller *c = frame;
    struct waiter w = { 0 };
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    CHECK_RES(test_never(bridge, &w.op), 0);
    CHECK_RES(nart_spawn(cx, &waiter_type, &w, &c->waiter), 0);
    NART_YIELD();
    CHECK_RES(nart_task_cancel(nart_cx_rt(cx), nart_join_task(&c->waiter)), 0);
    NART_AWAIT(r, nart_join_await(cx, &c->waiter, &c->answer));
    nart_join_release(&c->waiter); /* drops the frame, which closes the operation */
    NART_END(r == 0 ? c->answer : r);
}

static const nart_task_type canceller_type = NART_TASK_TYPE(struct canceller, canceller_run, NULL);

TEST_WITH(a_cancelled_task_stops_waiting, both)
{
    nart_res r = run(&canceller_type, NULL);
    CHECK(r == -ECANCELED || r == NART_EABORTED);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_EQ(report().cancelled, 1);
}

/* A task that never asks for another turn while its operation is not there, but gets 1,000. */
struct nervous {
    struct waiter w;
    int polls;
};

static nart_res nervous_poll(nart_cx *cx, void *frame)
{
    struct nervous *n = frame;

    if (n->polls++ < 1000)
        nart_wake_self(cx);
    nart_res r = nart_tokio_op_await(cx, &n->w.op, &n->w.value);
    if (r == NART_PENDING)
        return r;
    nart_tokio_op_close(&n->w.op);
    return r == 0 ? n->w.value : r;
}

static const nart_task_type nervous_type = NART_TASK_TYPE(struct nervous, nervous_poll, NULL);

TEST_WITH(spurious_polls_change_nothing, both)
{
    struct nervous n = { 0 };
    CHECK_RES(test_sleep(bridge, 30, &n.w.op), 0);
    CHECK_EQ(run(&nervous_type, &n), 30);
}

/* A result that is available is returned at once; the budget lets other tasks run. */
static int neighbour_turns;

static nart_res neighbour_poll(nart_cx *cx, void *frame)
{
    nart_tokio_op **stop = frame;

    if (nart_tokio_op_status(*stop) != NART_TOKIO_STATUS_RUNNING && neighbour_turns > 0)
        return 0;
    neighbour_turns++;
    nart_wake_self(cx);
    return NART_PENDING;
}

static const nart_task_type neighbour_type = NART_TASK_TYPE(nart_tokio_op *, neighbour_poll, NULL);

static nart_res greedy_run(nart_cx *cx, void *frame)
{
    struct waiter *w = frame;
    nart_res r = 0;
    nart_tokio_op *op = &w->op;

    NART_BEGIN(cx, &w->co);
    NART_AWAIT(r, nart_tokio_op_await(cx, &w->op, &w->value));
    CHECK_RES(nart_spawn(cx, &neighbour_type, &op, NULL), 0);
    for (w->i = 0; w->i < 100000 && neighbour_turns == 0; w->i++)
        NART_AWAIT(r, nart_tokio_op_await(cx, &w->op, &w->value));
    NART_END(r == 0 ? w->i : r);
}

static const nart_task_type greedy_type = NART_TASK_TYPE(struct waiter, greedy_run, waiter_drop);

TEST_WITH(a_ready_operation_spends_the_budget, both)
{
    struct waiter w = { 0 };
    CHECK_RES(test_value(bridge, 1, &w.op), 0);
    CHECK_LE(run(&greedy_type, &w), 2 * NART_BUDGET);
    CHECK_RES(nart_rt_run(loop), 0);
}

/* An operation keeps one waker: each poll wakes the task that polled before. */
TEST_WITH(two_tasks_that_await_one_operation_both_finish, both)
{
    for (int i = 0; i < 50; i++) {
        nart_tokio_op op = { 0 };
        int64_t values[2] = { 0 };
        CHECK_RES(test_sleep(bridge, 1, &op), 0);
        for (int k = 0; k < 2; k++) {
            struct op_waiter frame = { &op, &values[k] };
            CHECK_RES(nart_rt_spawn(loop, &op_waiter_type, &frame, NULL), 0);
        }
        CHECK_RES(nart_rt_run(loop), 0);
        CHECK_EQ(values[0], 1);
        CHECK_EQ(values[1], 1);
        nart_tokio_op_close(&op);
    }
}

/* An operation is begun and awaited by one task, and then by another. */
TEST_WITH(an_operation_moves_between_tasks, both)
{
    struct waiter w = { 0 };
    struct op_waiter frame = { &w.op, &w.value };
    nart_join first;
    CHECK_RES(test_block_worker(bridge, &let_go, &w.op), 0);
    wait_for(&let_go, 1);
    CHECK_RES(nart_rt_spawn(loop, &op_waiter_type, &frame, &first), 0);
    CHECK(nart_rt_poll(loop, 0) >= 0);
    CHECK_RES(nart_task_abort(loop, nart_join_task(&first)), 0);
    CHECK(nart_rt_poll(loop, 0) >= 0);
    nart_join_release(&first);

    set_word(&let_go, 2);
    struct waiter second = { .op = w.op };
    CHECK_RES(run(&waiter_type, &second), 0);
}

/* A future is dropped by its worker, and wakes a task of the loop under a mutex of its own, which the
 * task then takes: a wake runs nothing, so there is no deadlock. */
struct locker {
    nart_co co;
    nart_tokio_op op;
    int i, woken;
};

static nart_res locker_poll(nart_cx *cx, void *frame)
{
    struct locker *l = frame;
    nart_res r = 0;

    CHECK(test_lock_in_drop());
    l->woken++;
    NART_BEGIN(cx, &l->co);
    for (l->i = 0; l->i < 1000; l->i++) {
        CHECK_RES(test_wakes_in_drop(bridge, nart_cx_waker(cx), &l->op), 0);
        random_pause(20000); /* it has been polled, mostly: then there is something to be dropped */
        nart_tokio_op_cancel(&l->op);
        NART_AWAIT(r, nart_tokio_op_await(cx, &l->op, NULL));
        CHECK_RES(r, NART_EABORTED);
        nart_tokio_op_close(&l->op);
    }
    NART_END(l->woken);
}

static const nart_task_type locker_type = NART_TASK_TYPE(struct locker, locker_poll, NULL);

TEST_WITH(a_wake_inside_a_drop_on_a_worker_runs_nothing, both)
{
    CHECK_LE(1, run(&locker_type, NULL));
}

/* ---- races ---- */

struct racer {
    nart_co co;
    nart_tokio_op op;
    int64_t value;
    int i, times;
};

/* Cancel, close, detach and await at the very moment of the end. */
static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *r = frame;
    nart_res answer = 0;

    NART_BEGIN(cx, &r->co);
    for (r->i = 0; r->i < 20000; r->i++) {
        CHECK_RES(test_yield(bridge, random_number() & 3, &r->op), 0);
        random_pause(2000);
        switch (r->i & 3) {
        case 0:
            nart_tokio_op_cancel(&r->op);
            break;
        case 1:
            nart_tokio_op_close(&r->op);
            break;
        case 2:
            nart_tokio_op_detach(&r->op);
            break;
        }
        if (!r->op.op)
            continue;
        NART_AWAIT(answer, nart_tokio_op_await(cx, &r->op, &r->value));
        CHECK(answer == 0 || (answer == NART_EABORTED && (r->i & 3) == 0));
        nart_tokio_op_close(&r->op);
    }
    NART_END(0);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

TEST(every_race_has_one_outcome)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.workers = 2;
    opts.keep_ops = 4; /* most blocks are not recycled */
    both_open_with(&opts);
    CHECK_RES(run(&racer_type, NULL), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    nart_tokio_report r = report();
    CHECK_EQ(r.submitted, 20000);
    CHECK_EQ(r.ok + r.cancelled + r.shutdown, 20000); /* the last let go may run until then */
}

static nart_res chaser_run(nart_cx *cx, void *frame)
{
    struct racer *r = frame;
    nart_res answer = 0;

    NART_BEGIN(cx, &r->co);
    for (r->i = 0; r->i < r->times; r->i++) {
        CHECK_RES(test_value(bridge, r->i, &r->op), 0);
        random_pause(4000);
        NART_AWAIT(answer, nart_tokio_op_await(cx, &r->op, &r->value));
        CHECK_RES(answer, 0);
        CHECK_EQ(r->value, r->i);
        nart_tokio_op_close(&r->op);
    }
    NART_END(0);
}

static const nart_task_type chaser_type = NART_TASK_TYPE(struct racer, chaser_run, NULL);

TEST_WITH(no_wake_is_lost_at_the_moment_of_completion, both)
{
    int times = (int)test_repeat(1000000);
    CHECK_RES(run(&chaser_type, &(struct racer){ .times = times }), 0);
    CHECK_EQ(report().ok, times);
}

/* ---- on_done ---- */

struct told {
    int calls;
    nart_res answer;
    int64_t value;
    char text[32];
};

static void on_done(nart_tokio_op *op, void *arg)
{
    struct told *t = arg;

    t->calls++;
    t->answer = nart_tokio_op_try(op, &t->value);
    snprintf(t->text, sizeof t->text, "%s", nart_tokio_op_message(op, NULL));
}

TEST_WITH(on_done_calls_its_function, both)
{
    struct told good = { 0 }, bad = { 0 }, gone = { 0 }, ready = { 0 };
    nart_tokio_op op = { 0 };
    CHECK_RES(test_sleep(bridge, 5, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &good), 0);
    CHECK(op.op == NULL);
    CHECK_RES(test_error(bridge, -EPROTO, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &bad), 0);
    CHECK_RES(test_error(bridge, -ECANCELED, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &gone), 0);
    CHECK_RES(test_value(bridge, 7, &op), 0);
    (void)wait_for_answer(&op, NULL);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &ready), 0);
    CHECK_EQ(good.calls + bad.calls + gone.calls + ready.calls, 0); /* not in there */
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK_EQ(good.calls, 1);
    CHECK_RES(good.answer, 0);
    CHECK_EQ(good.value, 5);
    CHECK_EQ(bad.calls, 1);
    CHECK_RES(bad.answer, -EPROTO);
    CHECK_STR(bad.text, "told so");
    CHECK_EQ(gone.calls, 1);
    CHECK_RES(gone.answer, NART_EABORTED);
    CHECK_EQ(ready.calls, 1);
    CHECK_EQ(ready.value, 7);
}

TEST_WITH(on_done_calls_its_function_when_the_runtime_is_freed_first, both)
{
    struct told parked = { 0 }, fresh = { 0 };
    nart_tokio_op op = { 0 };
    CHECK_RES(test_never(bridge, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &parked), 0);
    CHECK_LE(1, nart_rt_poll(loop, 0));
    CHECK_RES(test_never(bridge, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &fresh), 0);
    CHECK_RES(nart_rt_free(loop), 0);
    loop = NULL;
    CHECK_EQ(parked.calls, 1);
    CHECK_EQ(fresh.calls, 1);
    CHECK_RES(parked.answer, NART_PENDING);
    CHECK_RES(fresh.answer, NART_PENDING);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_EQ(report().cancelled, 2);
}

static void *on_done_elsewhere(void *arg)
{
    struct told t = { 0 };

    CHECK_RES(nart_tokio_op_on_done(loop, arg, on_done, &t), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(on_done_that_fails_leaves_the_operation_unchanged, both)
{
    struct told t = { 0 };
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_op_on_done(loop, &op, on_done, &t), NART_ESTALE);
    CHECK_RES(nart_tokio_op_on_done(loop, NULL, on_done, &t), -EINVAL);
    CHECK_RES(test_value(bridge, 3, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, NULL, &t), -EINVAL);
    CHECK_RES(nart_tokio_op_on_done(NULL, &op, on_done, &t), -EINVAL);
    CHECK_RES(nart_rt_bind(loop), 0);
    thread_run(on_done_elsewhere, &op);
    int64_t value = 0;
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 3);
    CHECK_EQ(t.calls, 0);
    nart_tokio_op_close(&op);
}

/* Begins the next one, again and again; frees the bridge at the end. */
struct chain {
    int left;
    nart_res answer;
};

static void next_done(nart_tokio_op *op, void *arg)
{
    struct chain *c = arg;
    nart_tokio_op next = { 0 };

    c->answer = nart_tokio_op_try(op, NULL);
    CHECK_RES(c->answer, 0);
    if (--c->left == 0) {
        nart_tokio_free(bridge);
        bridge = NULL;
        return;
    }
    CHECK_RES(test_yield(bridge, random_number() & 3, &next), 0);
    random_pause(2000);
    CHECK_RES(nart_tokio_op_on_done(loop, &next, next_done, c), 0);
}

TEST_WITH(done_functions_start_operations_and_free_the_bridge, both)
{
    struct chain c = { .left = (int)test_repeat(200000) };
    nart_tokio_op op = { 0 };
    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(nart_tokio_op_on_done(loop, &op, next_done, &c), 0);
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK_EQ(c.left, 0);
}
