/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bodies: they resume where they parked, at any depth, and restart after they have ended. */
#include "after.h"
#include "core.h"
#include "virtual.h"

/* The events, in order. */
static char trace[256];

static void note(const char *what)
{
    CHECK(strlen(trace) + strlen(what) < sizeof trace);
    strcat(trace, what);
}

static nart_res run_one(const nart_task_type *type, const void *init)
{
    nart_rt *rt = new_rt();
    nart_join join;
    nart_res answer = 0;

    CHECK_RES(nart_rt_spawn(rt, type, init, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    CHECK_RES(nart_block_on(rt, type, init, &answer), 0); /* the same under nart_block_on() */
    nart_rt_free(rt);
    return answer;
}

/* ---- control flow around awaits ---- */

struct flow {
    nart_co co;
    int i, j, n;
    nart_res r;
};

static nart_res flow_run(nart_cx *cx, void *frame)
{
    struct flow *f = frame;

    NART_BEGIN(cx, &f->co);
    note("<");
    for (f->i = 0; f->i < 3; f->i++) {
        if (f->i == 1)
            continue;
        f->j = 0;
        while (f->j < 2) {
            f->n = f->i;
            NART_AWAIT(f->r, after(cx, &f->n));
            note(f->r == 5 ? "a" : "!");
            f->j++;
        }
        if (f->i == 2) {
            do {
                f->n = 1;
                NART_AWAIT_FOR(f->r, NART_SEC, after(cx, &f->n));
                note("b");
            } while (++f->j < 4);
        } else {
            f->n = 2;
            NART_AWAIT_UNTIL(f->r, NART_NEVER, after(cx, &f->n));
            note("c");
        }
        NART_YIELD();
        note("y");
    }
    note(">");
    NART_END(f->i);
}

static const nart_task_type flow_type = NART_TASK_TYPE(struct flow, flow_run, NULL);

TEST(a_body_resumes_where_it_parked)
{
    CHECK_EQ(run_one(&flow_type, NULL), 3);
    CHECK_STR(trace, "<aacyaabby><aacyaabby>");
}

static nart_res leave_run(nart_cx *cx, void *frame)
{
    struct flow *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        f->n = 1;
        NART_AWAIT(f->r, after(cx, &f->n));
        if (++f->i == 4)
            NART_RETURN(40 + f->i);
    }
    NART_END(0);
}

static const nart_task_type leave_type = NART_TASK_TYPE(struct flow, leave_run, NULL);

TEST(return_leaves_a_body_in_the_middle)
{
    CHECK_EQ(run_one(&leave_type, NULL), 44);
}

static nart_res own_switch_run(nart_cx *cx, void *frame)
{
    struct flow *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 3; f->i++) {
        switch (f->i) { /* allowed: no await inside */
        case 0:
            note("zero");
            break;
        case 1:
            note("one");
            continue;
        default:
            note("more");
            break;
        }
        f->n = 1;
        NART_AWAIT(f->r, after(cx, &f->n));
        note(".");
    }
    NART_END(0);
}

static const nart_task_type own_switch_type = NART_TASK_TYPE(struct flow, own_switch_run, NULL);

TEST(a_switch_of_its_own_without_an_await_is_fine)
{
    run_one(&own_switch_type, NULL);
    CHECK_STR(trace, "zero.onemore.zero.onemore.");
}

/* ---- bodies in bodies ---- */

struct deep {
    nart_co co[3];
    int n, round;
    nart_res r[3];
};

static nart_res deep_2(nart_cx *cx, struct deep *d)
{
    NART_BEGIN(cx, &d->co[2]);
    for (d->n = 2; d->n > 0;)
        NART_AWAIT(d->r[2], after(cx, &d->n));
    note("2");
    NART_END(d->r[2] + 1);
}

static nart_res deep_1(nart_cx *cx, struct deep *d)
{
    NART_BEGIN(cx, &d->co[1]);
    NART_AWAIT(d->r[1], deep_2(cx, d));
    note("1");
    NART_AWAIT(d->r[1], deep_2(cx, d)); /* the same body again: it has ended, so it restarts */
    NART_END(d->r[1] + 1);
}

static nart_res deep_0(nart_cx *cx, void *frame)
{
    struct deep *d = frame;

    NART_BEGIN(cx, &d->co[0]);
    for (d->round = 0; d->round < 2; d->round++) {
        NART_AWAIT(d->r[0], deep_1(cx, d));
        CHECK(!nart_co_active(&d->co[1]) && !nart_co_active(&d->co[2]));
        note("0");
    }
    NART_END(d->r[0] + 1);
}

static const nart_task_type deep_type = NART_TASK_TYPE(struct deep, deep_0, NULL);

TEST(bodies_resume_at_every_depth_and_restart)
{
    CHECK_EQ(run_one(&deep_type, NULL), 8);
    CHECK_STR(trace, "21202120"
                     "21202120");
}

struct again {
    nart_co co, sub;
    nart_timer timer;
    int begun, which;
    nart_res r;
};

static nart_res again_sub(nart_cx *cx, struct again *f)
{
    NART_BEGIN(cx, &f->sub);
    f->begun++;
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
    NART_END(f->r);
}

static nart_res again_run(nart_cx *cx, void *frame)
{
    struct again *f = frame;
    static int now; /* completes at once: the nested body loses */

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, again_sub(cx, f), after(cx, &now));
    CHECK(f->which == 1 && nart_co_active(&f->sub));
    nart_co_init(&f->sub);
    nart_timer_cancel(&f->timer);
    CHECK(!nart_co_active(&f->sub));
    NART_AWAIT(f->r, again_sub(cx, f));
    CHECK_EQ(f->begun, 2);
    NART_END(f->r);
}

static const nart_task_type again_type = NART_TASK_TYPE(struct again, again_run, NULL);

TEST(an_abandoned_body_can_restart)
{
    nart_rt *rt = new_rt();
    nart_join join;

    spawn(rt, &again_type, &join);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(elapsed_ms(), 1000);
    nart_join_release(&join);
    nart_rt_free(rt);
}

/* ---- yield ---- */

struct turn {
    nart_co co;
    char name[2];
    int i;
};

static nart_res turn_run(nart_cx *cx, void *frame)
{
    struct turn *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 3; f->i++) {
        note(f->name);
        NART_YIELD();
    }
    NART_END(0);
}

static const nart_task_type turn_type = NART_TASK_TYPE(struct turn, turn_run, NULL);

TEST(yield_lets_the_others_go_first)
{
    nart_rt *rt = new_rt();

    for (char c = 'a'; c < 'd'; c++)
        CHECK_RES(nart_rt_spawn(rt, &turn_type, &(struct turn){ .name = { c, 0 } }, NULL), 0);
    run_all(rt);
    CHECK_STR(trace, "abcabcabc");
    CHECK_EQ(nart_rt_task_count(rt), 0);
    nart_rt_free(rt);
}

/* ---- the time as seen by a poll ---- */

struct looker {
    int polls;
};

static nart_res looker_poll(nart_cx *cx, void *frame)
{
    struct looker *f = frame;
    unsigned long reads = virtual_reads;
    int64_t now = nart_now(cx);

    CHECK_EQ(now, virtual_now);
    virtual_now += NART_MS;
    CHECK_EQ(nart_now(cx), now); /* one reading per poll */
    CHECK_EQ(virtual_reads, reads + 1);
    if (++f->polls == 3)
        return 0;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static const nart_task_type looker_type = NART_TASK_TYPE(struct looker, looker_poll, NULL);

TEST(a_poll_reads_the_clock_once_at_first_need)
{
    run_one(&looker_type, NULL);
    CHECK_EQ(elapsed_ms(), 6);
}

/* ---- the result ---- */

TEST(pending_survives_an_int_and_no_error_is_pending)
{
    int narrow = (int)NART_PENDING;
    CHECK_RES((nart_res)narrow, NART_PENDING);
    CHECK(NART_PENDING < -8191);
    CHECK_STR(nart_err_name(NART_PENDING), "NART_PENDING");
}

struct echo {
    nart_res value;
};

static nart_res echo_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    return ((struct echo *)frame)->value;
}

static const nart_task_type echo_type = NART_TASK_TYPE(struct echo, echo_poll, NULL);

TEST(any_value_but_pending_is_an_answer)
{
    static const nart_res values[] = { 0,        1,          INT32_MAX,  INT64_MAX,     -1,
                                       -4095,    -ECANCELED, -ETIMEDOUT, NART_EABORTED, NART_EUSED,
                                       INT64_MIN };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CHECK_RES(run_one(&echo_type, &(struct echo){ values[i] }), values[i]);
}
