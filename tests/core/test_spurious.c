/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every operation that can park is woken spuriously 1,000 times, through a kept waker, from its own
 * thread and from another one. The answers, and on the virtual clock the times, equal those of an
 * undisturbed run. */
#include "core.h"
#include "threads.h"
#include "virtual.h"

#include <poll.h>
#include <semaphore.h>

enum { TIMES = 1000 };

enum op {
    SLEEP,
    SLEEP_UNTIL,
    RECV,
    SEND,
    JOIN,
    YIELD_THEN_SLEEP,
    SCOPE,
    SCOPE_VALUE,
    NESTED_SCOPES,
    RACE,
    RACE_LOST_BY_A_BODY,
    STOPPED,
    SHIELD,
    OWN,
    CANCELLED,
    OPS
};

/* The compared results of a run. */
struct outcome {
    nart_res r, inner;
    uint64_t value;
    int which, steps;
    int64_t ended_at; /* ms */
};

struct victim {
    nart_co co, sub;
    nart_tx tx, out;
    nart_rx rx, in;
    nart_join join;
    nart_timer timer, other;
    uint64_t value;
    nart_res answer;
    enum op op;
    bool done_once;
    struct outcome o;
    nart_waker waker;
    long polls;
};

/* An operation made with the public kit: completes when a flag is set. */
static bool flag;

static nart_res own(nart_cx *cx, struct victim *f)
{
    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    f->waker = nart_cx_waker(cx);
    return flag ? 11 : nart_op_park_until(cx, at_ms(500));
}

static nart_res sub(nart_cx *cx, struct victim *f)
{
    NART_BEGIN(cx, &f->sub);
    f->o.steps++;
    NART_AWAIT_FOR(f->o.inner, 20 * NART_MS, nart_recv(cx, &f->rx, &f->value));
    f->o.steps++;
    NART_AWAIT(f->o.inner, nart_sleep(cx, &f->other, 50 * NART_MS));
    f->o.steps++;
    NART_END(f->o.inner);
}

static nart_res victim_body(nart_cx *cx, struct victim *f)
{
    struct outcome *o = &f->o;

    NART_BEGIN(cx, &f->co);
    if (f->op == SLEEP)
        NART_AWAIT(o->r, nart_sleep(cx, &f->timer, 30 * NART_MS));
    if (f->op == SLEEP_UNTIL)
        NART_AWAIT(o->r, nart_sleep_until(cx, &f->timer, at_ms(30)));
    if (f->op == RECV || f->op == CANCELLED)
        NART_AWAIT(o->r, nart_recv(cx, &f->rx, &f->value));
    if (f->op == SEND)
        NART_AWAIT(o->r, nart_send(cx, &f->out, &f->value));
    if (f->op == JOIN)
        NART_AWAIT(o->r, nart_join_await(cx, &f->join, &f->answer));
    if (f->op == YIELD_THEN_SLEEP) {
        o->steps++;
        NART_YIELD();
        o->steps++;
        NART_AWAIT(o->r, nart_sleep(cx, &f->timer, 30 * NART_MS));
    }
    if (f->op == SCOPE)
        NART_AWAIT_FOR(o->r, 25 * NART_MS, nart_sleep(cx, &f->timer, NART_SEC));
    if (f->op == SCOPE_VALUE)
        NART_AWAIT_UNTIL(o->r, at_ms(90), nart_recv(cx, &f->rx, &f->value));
    if (f->op == NESTED_SCOPES)
        NART_AWAIT_FOR(o->r, 45 * NART_MS, sub(cx, f));
    if (f->op == RACE)
        NART_AWAIT_ANY(o->which, o->r, nart_sleep(cx, &f->timer, 60 * NART_MS),
                       nart_join_await(cx, &f->join, &f->answer), nart_recv(cx, &f->rx, &f->value));
    if (f->op == RACE_LOST_BY_A_BODY || f->op == STOPPED) {
        NART_AWAIT_ANY(o->which, o->r, sub(cx, f), nart_sleep(cx, &f->timer, 10 * NART_MS));
        if (f->op == STOPPED)
            NART_STOP(o->r, sub(cx, f));
        else
            NART_AWAIT(o->r, sub(cx, f));
    }
    if (f->op == SHIELD) {
        NART_AWAIT(o->inner, nart_recv(cx, &f->in, &f->value));
        NART_SHIELD(35 * NART_MS);
        NART_AWAIT(o->r, nart_sleep(cx, &f->timer, NART_SEC));
        NART_UNSHIELD();
    }
    if (f->op == OWN)
        NART_AWAIT(o->r, own(cx, f));
    o->ended_at = (nart_now(cx) - at_ms(0)) / NART_MS;
    o->value = f->value;
    NART_END(0);
}

static sem_t polled;

static nart_res victim_poll(nart_cx *cx, void *frame)
{
    struct victim *f = frame;
    f->waker = nart_cx_waker(cx);
    f->polls++;
    sem_post(&polled);
    return victim_body(cx, f);
}

static void victim_drop(void *frame)
{
    struct victim *f = frame;
    nart_tx_close(&f->tx);
    nart_tx_close(&f->out);
    nart_rx_close(&f->rx);
    nart_rx_close(&f->in);
    nart_join_release(&f->join);
}

static const nart_task_type victim_type = NART_TASK_TYPE(struct victim, victim_poll, victim_drop);

struct helper {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static nart_res helper_run(nart_cx *cx, void *frame)
{
    struct helper *f = frame;
    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 40 * NART_MS));
    NART_END(99);
}

static const nart_task_type helper_type = NART_TASK_TYPE(struct helper, helper_run, NULL);

/* ---- sources of spurious wakes ---- */

static nart_waker target; /* waker of the running victim */
static long wakes;
static int quit;

static void wake_target(void)
{
    nart_waker w = { __atomic_load_n(&target.w, __ATOMIC_RELAXED) };
    nart_waker_wake(w);
    wakes++;
}

/* One wake per poll, so that neither thread spins while the other has no processor. */
static void *disturb(void *unused)
{
    for (;;) {
        CHECK_EQ(sem_wait(&polled), 0);
        if (__atomic_load_n(&quit, __ATOMIC_RELAXED))
            return unused;
        wake_target();
    }
}

enum who { NOBODY, ITSELF, FOREIGN };

/* At every stop of the clock the victim gets a number of spurious polls; from another thread, where
 * each costs a sleep, most of them at the first stop. */
static void trouble(nart_rt *rt, enum who who, const struct victim *f)
{
    struct pollfd wake = { .fd = nart_rt_backend_fd(rt), .events = POLLIN };
    long until = f->polls + (who == ITSELF || f->polls < TIMES ? TIMES : 10);

    settle(rt);
    __atomic_store_n(&target.w, f->waker.w, __ATOMIC_RELAXED);
    if (who == FOREIGN)
        sem_post(&polled); /* earlier posts may have been spent on the previous target */
    while (who != NOBODY && f->polls < until && !f->o.ended_at) {
        if (who == ITSELF)
            wake_target();
        else if (nart_rt_next_deadline(rt) > virtual_now)
            CHECK_EQ(poll(&wake, 1, -1), 1);
        settle(rt);
    }
}

/* The external events for the victim, by time. */
static void events(struct victim *f, nart_rt *rt, const nart_join *join)
{
    uint64_t v = 0;
    int64_t ms = elapsed_ms();

    if (ms == 15 && f->op == CANCELLED)
        CHECK_RES(cancel(rt, join), 0);
    if (ms == 15 && f->op == SHIELD) {
        CHECK_RES(nart_try_send(&f->out, &v), 0);
        CHECK_RES(cancel(rt, join), 0);
    }
    if (ms == 70 && (f->op == RECV || f->op == SCOPE_VALUE)) {
        v = 5;
        CHECK_RES(nart_try_send(&f->tx, &v), 0);
    }
    if (ms == 70 && f->op == SEND)
        CHECK_RES(nart_try_recv(&f->in, &v), 0);
    if (ms == 70 && f->op == OWN) {
        flag = true;
        nart_waker_wake(f->waker);
    }
}

static struct outcome run(enum op op, enum who who)
{
    nart_join join;
    uint64_t v = 1;
    struct outcome o;

    virtual_now = at_ms(0);
    flag = false;
    nart_rt *rt = new_rt();
    struct victim *f = spawn(rt, &victim_type, &join);
    f->op = op;
    new_chan(rt, 1, &f->tx, &f->rx);
    new_chan(rt, 1, &f->out, &f->in);
    if (op == SEND)
        CHECK_RES(nart_try_send(&f->out, &v), 0); /* full */
    CHECK_RES(nart_rt_spawn(rt, &helper_type, NULL, &f->join), 0);
    for (int64_t ms = 0; ms <= 200 && !f->o.ended_at; ms += 5) {
        run_until(rt, at_ms(ms));
        trouble(rt, who, f);
        if (!f->o.ended_at)
            events(f, rt, &join);
    }
    settle(rt);
    CHECK(nart_join_done(&join));
    if (who != NOBODY)
        CHECK_LE(TIMES, f->polls);
    o = f->o;
    nart_join_release(&join);
    nart_rt_free(rt);
    return o;
}

static void check(enum who who)
{
    for (enum op op = 0; op < OPS; op++) {
        struct outcome calm = run(op, NOBODY), o = run(op, who);
        if (o.r != calm.r || o.inner != calm.inner || o.value != calm.value ||
            o.which != calm.which || o.steps != calm.steps || o.ended_at != calm.ended_at)
            test_fail(__FILE__, __LINE__,
                      "operation %d: r %d %d, inner %d %d, value %d %d, which %d %d, steps %d %d, "
                      "at %d %d",
                      (int)op, (int)calm.r, (int)o.r, (int)calm.inner, (int)o.inner,
                      (int)calm.value, (int)o.value, calm.which, o.which, calm.steps, o.steps,
                      (int)calm.ended_at, (int)o.ended_at);
    }
}

TEST(undisturbed_the_outcomes_are_these)
{
    static const struct outcome expected[OPS] = {
        [SLEEP] = { .ended_at = 30 },
        [SLEEP_UNTIL] = { .ended_at = 30 },
        [RECV] = { .value = 5, .ended_at = 70 },
        [SEND] = { .ended_at = 70 },
        [JOIN] = { .ended_at = 40 },
        [YIELD_THEN_SLEEP] = { .steps = 2, .ended_at = 30 },
        [SCOPE] = { .r = -ETIMEDOUT, .ended_at = 25 },
        [SCOPE_VALUE] = { .value = 5, .ended_at = 70 },
        [NESTED_SCOPES] = { .r = -ETIMEDOUT, .inner = -ECANCELED, .steps = 3, .ended_at = 45 },
        [RACE] = { .which = 1, .ended_at = 40 },
        [RACE_LOST_BY_A_BODY] = { .which = 1, .steps = 3, .ended_at = 70 },
        [STOPPED] = { .r = -ECANCELED,
                      .inner = -ECANCELED,
                      .which = 1,
                      .steps = 3,
                      .ended_at = 10 },
        [SHIELD] = { .r = -ECANCELED, .inner = -ECANCELED, .ended_at = 50 },
        [OWN] = { .r = 11, .ended_at = 70 },
        [CANCELLED] = { .r = -ECANCELED, .ended_at = 15 },
    };
    for (enum op op = 0; op < OPS; op++) {
        struct outcome o = run(op, NOBODY);
        if (memcmp(&o, &expected[op], offsetof(struct outcome, which)) != 0 ||
            o.which != expected[op].which || o.steps != expected[op].steps ||
            o.ended_at != expected[op].ended_at)
            test_fail(__FILE__, __LINE__,
                      "operation %d: r %d, inner %d, value %d, which %d, steps %d, at %d", (int)op,
                      (int)o.r, (int)o.inner, (int)o.value, o.which, o.steps, (int)o.ended_at);
    }
}

TEST(woken_a_thousand_times_by_its_own_thread)
{
    check(ITSELF);
    CHECK_LE(OPS * TIMES, wakes);
}

TEST(woken_a_thousand_times_by_another_thread)
{
    CHECK_EQ(sem_init(&polled, 0, 0), 0);
    pthread_t thread = thread_start(disturb, NULL);
    check(FOREIGN);
    __atomic_store_n(&quit, 1, __ATOMIC_RELAXED);
    sem_post(&polled);
    thread_join(thread);
    CHECK_LE(OPS * TIMES, wakes);
}
