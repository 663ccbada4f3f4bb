/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sleeping on a virtual clock: exact times, order, abandoned sleeps. (test_clock.c uses the real
 * clock.) */
#include "core.h"
#include "virtual.h"

FIXTURE_RT();
static char trace[256];

static void note(const char *what)
{
    CHECK(strlen(trace) + strlen(what) < sizeof trace);
    strcat(trace, what);
}

struct nap {
    nart_co co;
    nart_timer timer;
    char name[8];
    int64_t at, ns;
    bool relative;
    nart_res r;
    int64_t woke;
};

static nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->relative)
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, f->ns));
    else
        NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, f->at));
    f->woke = nart_now(cx);
    note(f->name);
    NART_END(f->r);
}

static const nart_task_type nap_type = NART_TASK_TYPE(struct nap, nap_run, NULL);

static void nap(const char *name, int64_t at)
{
    struct nap n = { .at = at };

    strcpy(n.name, name);
    CHECK_RES(nart_rt_spawn(rt, &nap_type, &n, NULL), 0);
}

TEST_WITH(sleeps_end_in_the_order_of_their_deadlines, rt)
{
    nap("e", at_ms(0) + 5 * NART_SEC);
    nap("b", at_ms(0) + 1001);
    nap("d", at_ms(700));
    nap("a", at_ms(0) + 1000);
    nap("c", at_ms(1));
    nap("f", at_ms(0) + 3600 * NART_SEC);
    run_all(rt);
    CHECK_STR(trace, "abcdef");
}

TEST_WITH(equal_deadlines_end_in_the_order_in_which_they_were_set, rt)
{
    for (char c = 'a'; c <= 'z'; c++)
        nap((char[]){ c, 0 }, at_ms(77));
    run_all(rt);
    CHECK_STR(trace, "abcdefghijklmnopqrstuvwxyz");
}

static void check_nap(bool relative, int64_t t, int64_t expected)
{
    rt_open();
    nart_join join;
    struct nap *f = spawn(rt, &nap_type, &join);

    f->relative = relative;
    f->ns = f->at = t;
    run_all(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->woke, expected);
    nart_join_release(&join);
    rt_close();
}

TEST(a_sleep_ends_exactly_when_it_is_due)
{
    static const int64_t spans[] = { 1,       2,       999,     1000,     1001,
                                     1499999, 1500000, NART_MS, NART_SEC, 86400 * NART_SEC };
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        check_nap(true, spans[i], virtual_now + spans[i]);
        check_nap(false, virtual_now + spans[i], virtual_now + spans[i]);
    }
}

TEST_WITH(a_sleep_of_no_time_answers_in_its_first_poll, rt)
{
    static const int64_t spans[] = { 0, -1, INT64_MIN };

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct nap n = { .relative = true, .ns = spans[i] };
        CHECK_RES(nart_rt_spawn(rt, &nap_type, &n, NULL), 0);
        nap("", virtual_now + (spans[i] < -1 ? spans[i] : 0));
        CHECK_EQ(nart_rt_poll(rt, 0), 2);
        CHECK_EQ(nart_rt_task_count(rt), 0);
    }
}

TEST_WITH(a_sleep_without_end_sets_no_timer_and_can_be_cancelled, rt)
{
    nart_join a, b;
    struct nap *f = spawn(rt, &nap_type, &a), *g = spawn(rt, &nap_type, &b);

    f->at = NART_NEVER;
    g->relative = true;
    g->ns = INT64_MAX;
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 0);
    CHECK(nart_rt_next_deadline(rt) == NART_NEVER);
    CHECK_RES(cancel(rt, &a), 0);
    CHECK_RES(cancel(rt, &b), 0);
    run_all(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_RES(g->r, -ECANCELED);
    nart_join_release(&a);
    nart_join_release(&b);
}

/* ---- the states of a sleep object ---- */

struct life {
    nart_co co;
    nart_timer timer;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    int which;
    nart_res r;
    int64_t times[4];
};

static nart_res life_run(nart_cx *cx, void *frame)
{
    struct life *f = frame;

    NART_BEGIN(cx, &f->co);
    /* the first call fixes the time; the calls of later polls do not move it */
    NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, nart_now(cx) + 10 * NART_MS));
    f->times[0] = nart_now(cx);
    /* after completion it can be reused */
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 10 * NART_MS));
    f->times[1] = nart_now(cx);
    /* one that lost a race continues when resumed */
    NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value),
                   nart_sleep_resume(cx, &f->timer, 10 * NART_MS));
    CHECK_EQ(f->which, 0);
    NART_AWAIT(f->r, nart_sleep_resume(cx, &f->timer, NART_SEC));
    f->times[2] = nart_now(cx);
    /* unless it was cancelled */
    NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value),
                   nart_sleep_resume(cx, &f->timer, 10 * NART_MS));
    CHECK_EQ(f->which, 0);
    nart_timer_cancel(&f->timer);
    NART_AWAIT(f->r, nart_sleep_resume(cx, &f->timer, NART_SEC));
    f->times[3] = nart_now(cx);
    NART_END(f->r);
}

static void life_drop(void *frame)
{
    struct life *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type life_type = NART_TASK_TYPE(struct life, life_run, life_drop);

TEST_WITH(a_resumed_sleep_keeps_its_time_until_it_answers_or_is_cancelled, rt)
{
    nart_join join;
    struct life *f = spawn(rt, &life_type, &join);
    uint64_t v = 0;

    new_chan(rt, 1, &f->tx, &f->rx);
    run_until(rt, at_ms(5));
    run_until(rt, at_ms(25));
    CHECK_EQ(f->times[0], at_ms(10));
    CHECK_EQ(f->times[1], at_ms(20));
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    run_until(rt, at_ms(35));
    CHECK_EQ(f->times[2], at_ms(30));
    CHECK_RES(nart_try_send(&f->tx, &v), 0);
    run_all(rt);
    CHECK_EQ(f->times[3], at_ms(1035));
    nart_join_release(&join);
}

/* ---- many ---- */

struct one_of_many {
    nart_co co;
    nart_timer timer;
    int64_t at;
    bool cut; /* ended by a deadline of its own, half way */
    nart_res r;
};

static long early, ended;

static nart_res one_of_many_run(nart_cx *cx, void *frame)
{
    struct one_of_many *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->cut) {
        NART_AWAIT_UNTIL(f->r, f->at - NART_US, nart_sleep_until(cx, &f->timer, f->at));
        CHECK_RES(f->r, -ETIMEDOUT);
        CHECK_EQ(nart_now(cx), f->at - NART_US);
    }
    NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, f->at));
    early += nart_now(cx) != f->at;
    ended++;
    NART_END(0);
}

static const nart_task_type one_of_many_type =
    NART_TASK_TYPE(struct one_of_many, one_of_many_run, NULL);

TEST_WITH(thousands_of_sleeps_end_each_at_its_own_nanosecond, rt)
{
    uint64_t seed = 1;

    for (int i = 0; i < 4000; i++) {
        uint64_t r = random_next(&seed);
        struct one_of_many n = { .at = virtual_now + NART_MS + (int64_t)(r % (10 * NART_SEC)),
                                 .cut = r >> 60 & 1 };
        CHECK_RES(nart_rt_spawn(rt, &one_of_many_type, &n, NULL), 0);
    }
    run_all(rt);
    CHECK_EQ(ended, 4000);
    CHECK_EQ(early, 0);
}

TEST_WITH(next_deadline_is_no_later_than_the_first_sleep, rt)
{
    CHECK(nart_rt_next_deadline(rt) == NART_NEVER);
    nap("a", at_ms(40));
    CHECK_EQ(nart_rt_next_deadline(rt), 0); /* it is not yet polled */
    settle(rt);
    CHECK_LE(nart_rt_next_deadline(rt), at_ms(40));
    CHECK_LE(virtual_now + 1, nart_rt_next_deadline(rt));
    run_all(rt);
    CHECK(nart_rt_next_deadline(rt) == NART_NEVER);
}
