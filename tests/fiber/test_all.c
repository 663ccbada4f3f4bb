/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several operations and branches of a fiber at once, until all have answered. */
#include "fiber.h"

FIXTURE_RT(.report = keep_report);

struct all {
    nart_arm arms[3];
    nart_timer timer, other;
    nart_branch b, c;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res r;
};

static nart_res naps(nart_cx *cx, void *ms)
{
    nart_res r = await_sleep(cx, *(int64_t *)ms * NART_MS);
    return r ? r : (nart_res) * (int64_t *)ms;
}

static nart_res fails(nart_cx *cx, void *ms)
{
    nart_res r = await_sleep(cx, *(int64_t *)ms * NART_MS);
    return r ? r : -EIO;
}

static void open_all(struct all *f)
{
    memset(f, 0, sizeof *f);
    new_chan(rt, 1, &f->tx, &f->rx);
}

static void close_all(struct all *f)
{
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static nart_res waits_for_all(nart_cx *cx, void *arg)
{
    struct all *f = arg;
    int64_t one = 10, other = 20;

    return nart_await_all(cx, f->arms, nart_branch_run(cx, &f->b, naps, &one),
                          nart_recv(cx, &f->rx, &f->value),
                          nart_branch_run(cx, &f->c, fails, &other));
}

TEST_WITH(all_arms_answer_whatever_the_others_do, rt)
{
    struct all f;
    nart_join join;

    open_all(&f);
    START(waits_for_all, &f, &join);
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 20);
    CHECK(!nart_join_done(&join));
    f.value = 3;
    CHECK_RES(nart_try_send(&f.tx, &f.value), 0);
    run_all(rt);
    CHECK_RES(fiber_verdict(rt, &join), -EIO);
    CHECK_RES(f.arms[0].res, 10);
    CHECK_RES(f.arms[1].res, 0);
    CHECK_RES(f.arms[2].res, -EIO);
    nart_join_release(&join);
    close_all(&f);
}

static nart_res until_the_first_error(nart_cx *cx, void *arg)
{
    struct all *f = arg;
    int64_t one = 30, other = 20;

    f->r = nart_await_all_ok(cx, f->arms, nart_branch_run(cx, &f->b, naps, &one),
                             nart_recv(cx, &f->rx, &f->value),
                             nart_branch_run(cx, &f->c, fails, &other));
    CHECK(f->rx.wait.task == NULL);
    return nart_await(cx, nart_branch_stop(cx, &f->b));
}

TEST_WITH(the_first_error_withdraws_the_others, rt)
{
    struct all f;

    open_all(&f);
    CHECK_RES(RUN(until_the_first_error, &f), -ECANCELED);
    CHECK_EQ(elapsed_ms(), 20);
    CHECK_RES(f.r, -EIO);
    CHECK(f.b.on == NULL);
    close_all(&f);
}

static nart_res under_a_deadline(nart_cx *cx, void *arg)
{
    struct all *f = arg;
    int64_t one = 5, other = 30;

    f->r = nart_await_for(cx, 10 * NART_MS,
                          NART_ALL(f->arms, nart_branch_run(cx, &f->b, naps, &one),
                                   nart_recv(cx, &f->rx, &f->value),
                                   nart_branch_run(cx, &f->c, naps, &other)));
    return 0;
}

TEST_WITH(a_deadline_ends_the_arms_that_are_pending, rt)
{
    struct all f;

    open_all(&f);
    CHECK_RES(RUN(under_a_deadline, &f), 0);
    CHECK_EQ(elapsed_ms(), 10);
    CHECK_RES(f.r, -ETIMEDOUT);
    CHECK_RES(f.arms[0].res, 5);
    CHECK_RES(f.arms[1].res, -ECANCELED);
    CHECK_RES(f.arms[2].res, -ECANCELED);
    CHECK(f.b.on == NULL && f.c.on == NULL);
    close_all(&f);
}

static nart_res awaits_in_an_arm(nart_cx *cx, void *arg)
{
    struct all *f = arg;
    return nart_await_all(cx, f->arms, await_sleep(cx, NART_MS), nart_sleep(cx, &f->timer, NART_MS),
                          nart_sleep(cx, &f->other, NART_MS));
}

TEST_WITH(an_await_within_one_of_all_is_refused, rt)
{
    struct all f;

    open_all(&f);
    CHECK_RES(RUN(awaits_in_an_arm, &f), -EDEADLK);
    CHECK(strstr(reported, "within an arm"));
    close_all(&f);
}
