/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* NART_ANY_BIASED: the first arm that is ready wins, always; what is no arm still ends the race. */
#include "core.h"
#include "virtual.h"

FIXTURE_RT();

enum { ARMS = 3 };

struct racer {
    nart_co co, loop;
    nart_timer ready[ARMS];
    int64_t at[ARMS];
    nart_res r;
    int which;
    long rounds, polls, wins[ARMS];
};

static nart_res arm(nart_cx *cx, struct racer *f, int i)
{
    return nart_sleep_until(cx, &f->ready[i], f->at[i]);
}

/* Races until one answers an error, or for a number of rounds. */
static nart_res loop_run(nart_cx *cx, struct racer *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->loop);
    for (; f->rounds > 0; f->rounds--) {
        NART_AWAIT_ANY_BIASED(f->which, r, arm(cx, f, 0), arm(cx, f, 1), arm(cx, f, 2));
        if (r < 0)
            NART_RETURN(r);
        f->wins[f->which]++;
    }
    NART_END(0);
}

static nart_res racer_run(nart_cx *cx, struct racer *f)
{
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(f->r, at_ms(5), loop_run(cx, f));
    NART_END(f->r);
}

/* The deadline passes in the tenth poll. */
static nart_res racer_poll(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    if (++f->polls == 10)
        virtual_now = at_ms(5);
    return racer_run(cx, f);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_poll, NULL);

static struct racer *new_racer(nart_join *join, long rounds)
{
    struct racer *f = spawn(rt, &racer_type, join);
    f->rounds = rounds;
    return f;
}

TEST_WITH(the_first_ready_arm_wins_every_biased_race, rt)
{
    nart_join join;
    struct racer *f = new_racer(&join, 8 * NART_BUDGET); /* most of them in a busy task */
    settle(rt);
    CHECK_EQ(f->wins[0], 8 * NART_BUDGET);
    nart_join_release(&join);
    f = new_racer(&join, 8 * NART_BUDGET);
    f->at[0] = NART_NEVER;
    settle(rt);
    CHECK_EQ(f->wins[1], 8 * NART_BUDGET);
    nart_join_release(&join);
}

TEST_WITH(a_deadline_ends_a_loop_of_biased_races, rt)
{
    nart_join join;
    struct racer *f = new_racer(&join, 1000 * NART_BUDGET);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(f->polls, 11);
    CHECK_EQ(f->wins[1] + f->wins[2], 0);
    nart_join_release(&join);
}

struct canceller {
    nart_co co;
    nart_task victim;
    int i;
};

static nart_res canceller_run(nart_cx *cx, void *frame)
{
    struct canceller *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->i < 4; f->i++)
        NART_YIELD();
    NART_END(nart_task_cancel(nart_cx_rt(cx), f->victim));
}

static const nart_task_type canceller_type = NART_TASK_TYPE(struct canceller, canceller_run, NULL);

TEST_WITH(a_cancellation_ends_a_loop_of_biased_races, rt)
{
    nart_join join;
    struct racer *f = new_racer(&join, 1000 * NART_BUDGET);
    struct canceller *c = spawn(rt, &canceller_type, NULL);
    c->victim = nart_join_task(&join);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->r, -ECANCELED);
    CHECK_LE(f->polls, 6);
    nart_join_release(&join);
}
