/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* C tasks on tokio: the same type that a loop runs, polled by tokio's threads. */
#include "bridge.h"
#include "threads.h"

#include <nart/chan.h>
#include <nart/time.h>

#include <pthread.h>
#include <string.h>

static uint64_t dropped, begun, unwound;

static void count_drop(void *frame)
{
    (void)frame;
    count(&dropped);
}

/* ---- a body that yields ---- */

struct yields {
    nart_co co;
    int i, n;
    nart_res answer;
};

static nart_res yields_run(nart_cx *cx, void *frame)
{
    struct yields *y = frame;

    NART_BEGIN(cx, &y->co);
    for (y->i = 0; y->i < y->n; y->i++)
        NART_YIELD();
    NART_END(y->answer);
}

static const nart_task_type yields_type =
    NART_TASK_TYPE_FLAGS(struct yields, yields_run, count_drop, NART_TASK_SEND);

TEST_WITH(a_task_runs_and_returns_its_result, both)
{
    static const struct {
        nart_res said, heard;
        int64_t value;
    } cases[] = {
        { 5, 0, 5 }, { -EIO, -EIO, 0 }, { -ECANCELED, NART_EABORTED, 0 }, { -9000, -EINVAL, 0 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yields y = { .n = 100, .answer = cases[i].said };
        nart_tokio_op op = { 0 };
        int64_t value = 0;
        CHECK_RES(nart_tokio_spawn_task(bridge, &yields_type, &y, &op), 0);
        CHECK_RES(wait_for_answer(&op, &value), cases[i].heard);
        CHECK_EQ(value, cases[i].value);
        CHECK_EQ(read_word(&dropped), i + 1); /* before the answer */
        nart_tokio_op_close(&op);
    }
}

TEST_WITH(without_init_the_frame_is_zeroed, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 1;
    CHECK_RES(nart_tokio_spawn_task(bridge, &yields_type, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(types_that_cannot_run_there, both)
{
    nart_tokio_op op = { 0 };
    nart_task_type plain = yields_type, old = yields_type, odd = yields_type, none = yields_type;
    plain.flags = 0;
    old.abi = 77;
    odd.align = 3;
    none.poll = NULL;
    CHECK_RES(nart_tokio_spawn_task(bridge, &plain, NULL, &op), NART_EDRIVER);
    CHECK_RES(nart_tokio_spawn_task(bridge, &old, NULL, &op), NART_EABI);
    CHECK_RES(nart_tokio_spawn_task(bridge, &odd, NULL, &op), -EINVAL);
    CHECK_RES(nart_tokio_spawn_task(bridge, &none, NULL, &op), -EINVAL);
    CHECK_RES(nart_tokio_spawn_task(bridge, NULL, NULL, &op), -EINVAL);
    CHECK(op.op == NULL);
    CHECK_EQ(read_word(&dropped), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(nart_tokio_spawn_task(bridge, &yields_type, NULL, &op), NART_ESHUTDOWN);
    CHECK_EQ(read_word(&dropped), 0); /* what `init` refers to is still the caller's */
}

struct big {
    _Alignas(64) char bytes[20000];
};

static nart_res big_poll(nart_cx *cx, void *frame)
{
    struct big *b = frame;
    (void)cx;
    CHECK_EQ((uintptr_t)frame % 64, 0);
    CHECK_EQ(b->bytes[19999], 'z');
    return 1;
}

static const nart_task_type big_type =
    NART_TASK_TYPE_FLAGS(struct big, big_poll, count_drop, NART_TASK_SEND);

TEST_WITH(a_frame_of_any_size_and_alignment, both)
{
    static struct big b;
    nart_tokio_op op = { 0 };
    b.bytes[19999] = 'z';
    CHECK_RES(nart_tokio_spawn_task(bridge, &big_type, &b, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- time ---- */

struct sleeper {
    nart_co co;
    nart_timer timer;
    nart_tokio_op op;
    int64_t t0, value;
    int i;
};

static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    struct sleeper *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < 3; s->i++) {
        s->t0 = clock_now();
        NART_AWAIT(r, nart_sleep(cx, &s->timer, 2 * NART_MS));
        CHECK_RES(r, 0);
        CHECK_LE(2 * NART_MS, clock_now() - s->t0);
    }
    s->t0 = clock_now();
    NART_AWAIT_FOR(r, 2 * NART_MS, nart_sleep(cx, &s->timer, 3600 * NART_SEC));
    CHECK_RES(r, -ETIMEDOUT);
    CHECK_LE(2 * NART_MS, clock_now() - s->t0);
    NART_END(3);
}

static const nart_task_type sleeper_type =
    NART_TASK_TYPE_FLAGS(struct sleeper, sleeper_run, count_drop, NART_TASK_SEND);

TEST_WITH(sleeps_and_deadlines_are_never_early, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    CHECK_RES(nart_tokio_spawn_task(bridge, &sleeper_type, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 3);
    nart_tokio_op_close(&op);
}

/* An operation of the test's own, which parks until a time that has long passed. */
static nart_res hasty_poll(nart_cx *cx, void *frame)
{
    int *polls = frame;

    if (++*polls > 100)
        return *polls;
    nart_res r = nart_op_enter(cx);
    return r ? r : nart_op_park_until(cx, *polls < 50 ? INT64_MIN : 1);
}

static const nart_task_type hasty_type =
    NART_TASK_TYPE_FLAGS(int, hasty_poll, count_drop, NART_TASK_SEND);

TEST_WITH(a_deadline_in_the_past_causes_another_poll, both)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    CHECK_RES(run(&hasty_type, NULL), 101);
    CHECK_RES(nart_tokio_spawn_task(bridge, &hasty_type, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 101);
    nart_tokio_op_close(&op);
}

/* ---- operations awaited there ---- */

static nart_res awaits_run(nart_cx *cx, void *frame)
{
    struct sleeper *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < 2000; s->i++) {
        CHECK_RES(test_yield(bridge, random_number() & 1, &s->op), 0);
        NART_AWAIT(r, nart_tokio_op_await(cx, &s->op, &s->value));
        CHECK_RES(r, 0);
        nart_tokio_op_close(&s->op);
    }
    CHECK_RES(test_never(bridge, &s->op), 0);
    NART_AWAIT_FOR(r, NART_MS, nart_tokio_op_await(cx, &s->op, &s->value));
    CHECK_RES(r, -ETIMEDOUT);
    nart_tokio_op_close(&s->op);
    NART_END(s->i);
}

static const nart_task_type awaits_type =
    NART_TASK_TYPE_FLAGS(struct sleeper, awaits_run, count_drop, NART_TASK_SEND);

TEST(operations_are_awaited_as_on_a_loop)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op op = { 0 };
    int64_t value = 0;
    opts.workers = 2; /* it moves between them */
    both_open_with(&opts);
    CHECK_RES(nart_tokio_spawn_task(bridge, &awaits_type, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 2000);
    nart_tokio_op_close(&op);
}

/* ---- wakes ---- */

static uintptr_t left_behind;

struct leaves {
    int polls;
};

static nart_res leaves_poll(nart_cx *cx, void *frame)
{
    struct leaves *l = frame;

    if (++l->polls == 3)
        return 0;
    __atomic_store_n(&left_behind, nart_cx_waker(cx).w, __ATOMIC_SEQ_CST);
    count(&begun);
    nart_res r = nart_op_enter(cx);
    return r ? r : nart_op_park(cx);
}

static const nart_task_type leaves_type =
    NART_TASK_TYPE_FLAGS(struct leaves, leaves_poll, count_drop, NART_TASK_SEND);

static nart_waker word(void)
{
    nart_waker w = { __atomic_load_n(&left_behind, __ATOMIC_SEQ_CST) };
    return w;
}

TEST_WITH(its_waker_works_on_any_thread_and_after_its_end, both)
{
    nart_waker last = { 0 };
    for (int i = 0; i < 100; i++) {
        nart_tokio_op op = { 0 };
        set_word(&begun, 0);
        CHECK_RES(nart_tokio_spawn_task(bridge, &leaves_type, NULL, &op), 0);
        wait_for(&begun, 1);
        CHECK_RES(nart_tokio_op_try(&op, NULL), NART_PENDING);
        last = word();
        nart_waker_wake(last);
        wait_for(&begun, 2);
        nart_waker_wake(last);
        CHECK_RES(wait_for_answer(&op, NULL), 0);
        nart_waker_wake(last); /* after the task has ended */
        nart_tokio_op_close(&op);
    }
    both_close();
    nart_waker_wake(last); /* so is everything */
}

/* ---- cancelling ---- */

struct obeys {
    nart_co co;
    nart_timer timer;
};

static nart_res obeys_run(nart_cx *cx, void *frame)
{
    struct obeys *o = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &o->co);
    count(&begun);
    NART_AWAIT(r, nart_sleep(cx, &o->timer, 3600 * NART_SEC));
    if (r == -ECANCELED)
        count(&unwound);
    NART_END(r);
}

static const nart_task_type obeys_type =
    NART_TASK_TYPE_FLAGS(struct obeys, obeys_run, count_drop, NART_TASK_SEND);

TEST_WITH(a_cancelled_task_unwinds, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_spawn_task(bridge, &obeys_type, NULL, &op), 0);
    wait_for(&begun, 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    CHECK_EQ(read_word(&unwound), 1);
    CHECK_EQ(read_word(&dropped), 1);
    nart_tokio_op_close(&op);

    CHECK_RES(nart_tokio_spawn_task(bridge, &obeys_type, NULL, &op), 0);
    nart_tokio_op_close(&op); /* perhaps before its first poll */
    wait_for(&dropped, 2);
}

TEST_WITH(a_shutdown_lets_tasks_unwind, both)
{
    nart_tokio_op ops[20] = { 0 };
    for (int i = 0; i < 20; i++)
        CHECK_RES(nart_tokio_spawn_task(bridge, &obeys_type, NULL, &ops[i]), 0);
    wait_for(&begun, 10);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_EQ(read_word(&dropped), 20);
    CHECK_EQ(read_word(&unwound), read_word(&begun));
    for (int i = 0; i < 20; i++) {
        CHECK_RES(nart_tokio_op_try(&ops[i], NULL), NART_EABORTED);
        nart_tokio_op_close(&ops[i]);
    }
}

/* It needs a second poll to unwind. */
static nart_res unwinds_run(nart_cx *cx, void *frame)
{
    struct obeys *o = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &o->co);
    NART_AWAIT(r, nart_sleep(cx, &o->timer, 3600 * NART_SEC));
    CHECK_RES(r, -ECANCELED);
    NART_YIELD();
    count(&unwound);
    NART_END(-ECANCELED);
}

static const nart_task_type unwinds_type =
    NART_TASK_TYPE_FLAGS(struct obeys, unwinds_run, count_drop, NART_TASK_SEND);

static void *submit_until_refused(void *arg)
{
    uint64_t *accepted = arg;
    nart_tokio_op op = { 0 };
    nart_res r;

    while (read_word(&begun) == 0) {
    }
    while ((r = nart_tokio_spawn_task(bridge, &unwinds_type, NULL, &op)) == 0) {
        count(accepted);
        nart_tokio_op_detach(&op);
    }
    CHECK_RES(r, NART_ESHUTDOWN);
    return NULL;
}

TEST(a_shutdown_lets_tasks_unwind_that_were_submitted_meanwhile)
{
    for (uint64_t i = test_repeat(2000); i > 0; i--) {
        uint64_t accepted = 0;
        pthread_t threads[3];

        begun = unwound = dropped = 0;
        both_open();
        for (int t = 0; t < 3; t++)
            threads[t] = thread_start(submit_until_refused, &accepted);
        set_word(&begun, 1);
        let_others_run(); /* its end interrupts a thread anywhere in its submission */
        CHECK_RES(nart_tokio_shutdown(bridge, 3600 * NART_SEC, NULL), 0);
        for (int t = 0; t < 3; t++)
            thread_join(threads[t]);
        CHECK_EQ(unwound, accepted);
        CHECK_EQ(dropped, accepted);
        both_close();
    }
}

/* Does not listen to the first cancellation. */
static nart_res deaf_poll(nart_cx *cx, void *frame)
{
    int *polls = frame;

    count(&begun);
    if (nart_cx_cancelled(cx))
        count(&unwound);
    ++*polls;
    nart_res r = nart_op_enter(cx);
    (void)r;
    return NART_PENDING;
}

static const nart_task_type deaf_type =
    NART_TASK_TYPE_FLAGS(int, deaf_poll, count_drop, NART_TASK_SEND);

TEST_WITH(a_task_that_ignores_cancellation_is_dropped_at_the_deadline, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_spawn_task(bridge, &deaf_type, NULL, &op), 0);
    wait_for(&begun, 1);
    nart_res r = nart_tokio_shutdown(bridge, 20 * NART_MS, NULL);
    CHECK(r == 0 || r == -ETIMEDOUT); /* the latter if the worker gets no processor in that time */
    CHECK_RES(wait_for_answer(&op, NULL), NART_ESHUTDOWN);
    wait_until_all_work_has_ended();
    CHECK_EQ(read_word(&dropped), 1);
    CHECK_LE(1, read_word(&unwound)); /* it was cancelled */
    nart_tokio_op_close(&op);
}

TEST_WITH(freed_without_a_shutdown_tasks_end_too, both)
{
    nart_tokio_op op = { 0 };
    CHECK_RES(nart_tokio_spawn_task(bridge, &obeys_type, NULL, &op), 0);
    wait_for(&begun, 1);
    nart_tokio_free(bridge);
    bridge = NULL;
    nart_res r = wait_for_answer(&op, NULL);
    CHECK(r == NART_EABORTED || r == NART_ESHUTDOWN);
    CHECK_EQ(read_word(&dropped), 1);
    nart_tokio_op_close(&op);
}
