/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Task sets: the order of the answers, cancelling the rest, closing in every state. */
#include "core.h"
#include "virtual.h"

#include <nart/task_set.h>

enum { NODES = 8, MANY = 10000 };

FIXTURE_RT();
static int dropped;

/* ---- the tasks in a set ---- */

/* Sleeps for `ms` milliseconds; when cancelled, cleans up for some more. */
struct child {
    nart_co co;
    nart_timer timer;
    int64_t ms, cleanup_ms;
    nart_res answer, r;
};

static nart_res child_run(nart_cx *cx, void *frame)
{
    struct child *c = frame;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(c->r, nart_sleep(cx, &c->timer, c->ms * NART_MS));
    if (c->r == -ECANCELED && c->cleanup_ms) {
        NART_SHIELD(NART_SEC);
        NART_AWAIT(c->r, nart_sleep(cx, &c->timer, c->cleanup_ms * NART_MS));
        NART_UNSHIELD();
        NART_RETURN(c->r ? c->r : 77);
    }
    NART_END(c->r ? c->r : c->answer);
}

static void child_drop(void *frame)
{
    (void)frame;
    dropped++;
}

static const nart_task_type child_type = NART_TASK_TYPE(struct child, child_run, child_drop);

/* ---- an owner: awaits the tasks of its set and records the answers ---- */

struct owner {
    nart_co co;
    nart_task_set set;
    nart_task_set_node nodes[NODES];
    nart_res r, result, first;
    int64_t limit;
    bool wait_all;
    int count, stop; /* stops after `stop` answers, if not 0 */
    nart_res who[NODES + 1], what[NODES + 1];
    int64_t at[NODES + 1];
};

static nart_res owner_run(nart_cx *cx, void *frame)
{
    struct owner *o = frame;

    NART_BEGIN(cx, &o->co);
    if (o->wait_all)
        NART_AWAIT_FOR(o->first, o->limit, nart_task_set_wait_all(cx, &o->set));
    for (;;) {
        NART_AWAIT(o->r, nart_task_set_next(cx, &o->set, &o->result));
        if (o->r < 0)
            break;
        o->who[o->count] = o->r;
        o->what[o->count] = o->result;
        o->at[o->count++] = elapsed_ms();
        if (o->count == o->stop)
            break;
    }
    NART_END(o->r);
}

static void owner_drop(void *frame)
{
    struct owner *o = frame;
    nart_task_set_close(&o->set);
}

static const nart_task_type owner_type = NART_TASK_TYPE(struct owner, owner_run, owner_drop);

static struct owner *new_owner(nart_join *join)
{
    struct owner *o = spawn(rt, &owner_type, join);
    nart_task_set_init(&o->set, o->nodes, NODES);
    o->limit = NART_NEVER;
    return o;
}

/* Adds a task to the set from outside a poll. */
static nart_res add(nart_task_set *s, int64_t ms, nart_res answer, int64_t cleanup_ms)
{
    nart_join j = { .hub = NULL };
    struct child c = { .ms = ms, .answer = answer, .cleanup_ms = cleanup_ms };

    CHECK_RES(nart_rt_spawn(rt, &child_type, &c, &j), 0);
    nart_res r = nart_task_set_add(s, &j);
    CHECK_EQ(nart_join_task(&j).gen != 0, r < 0);
    if (r < 0)
        nart_join_release(&j);
    return r;
}

static void check_answer(const struct owner *o, int i, nart_res who, nart_res what, int64_t at)
{
    CHECK_RES(o->who[i], who);
    CHECK_RES(o->what[i], what);
    CHECK_EQ(o->at[i], at);
}

TEST_WITH(they_are_answered_as_they_end, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    CHECK_RES(add(&o->set, 30, 100, 0), 0);
    CHECK_RES(add(&o->set, 10, 101, 0), 1);
    CHECK_RES(add(&o->set, 20, -5, 0), 2);
    CHECK_RES(add(&o->set, 10, 103, 0), 3);
    CHECK_EQ(nart_task_set_len(&o->set), 4);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(o->count, 4);
    check_answer(o, 0, 1, 101, 10);
    check_answer(o, 1, 3, 103, 10);
    check_answer(o, 2, 2, -5, 20);
    check_answer(o, 3, 0, 100, 30);
    CHECK_RES(o->r, -ECHILD);
    CHECK_EQ(nart_task_set_len(&o->set), 0);
    CHECK_EQ(dropped, 4);
    nart_join_release(&join);
}

TEST_WITH(an_empty_set_reports_it, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    o->wait_all = true;
    run_all(rt);
    CHECK_RES(o->first, 0);
    CHECK_RES(o->r, -ECHILD);
    nart_join_release(&join);
}

TEST_WITH(all_are_waited_for_in_one_poll, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    o->wait_all = true;
    for (int i = 0; i < NODES; i++)
        CHECK_RES(add(&o->set, 10 * (NODES - i), i, 0), i);
    CHECK_RES(add(&o->set, 1, 0, 0), -ENOSPC);
    settle(rt);
    uint32_t polls = join.task->polls;
    run_until(rt, at_ms(10 * NODES - 1));
    CHECK_EQ(join.task->polls, polls);
    run_all(rt);
    CHECK_EQ(join.task->polls, polls + 1);
    CHECK_RES(o->first, 0);
    CHECK_EQ(o->count, NODES);
    for (int i = 0; i < NODES; i++)
        check_answer(o, i, NODES - 1 - i, NODES - 1 - i, 10 * NODES);
    nart_join_release(&join);
}

/* The rest is cancelled and awaited: one task holds a shield, and the set waits for it. */
TEST_WITH(the_rest_is_cancelled, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    CHECK_RES(add(&o->set, 10, 1, 0), 0);
    CHECK_RES(add(&o->set, 1000, 2, 0), 1);
    CHECK_RES(add(&o->set, 1000, 3, 50), 2);
    run_until(rt, at_ms(20));
    CHECK_EQ(o->count, 1);
    CHECK_RES(nart_task_set_cancel(&o->set), 0);
    run_all(rt);
    CHECK_EQ(o->count, 3);
    check_answer(o, 1, 1, NART_EABORTED, 20);
    check_answer(o, 2, 2, 77, 70);
    nart_join_release(&join);
}

/* Shields do not delay an abort. */
TEST_WITH(the_rest_is_aborted, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    CHECK_RES(add(&o->set, 1000, 2, 0), 0);
    CHECK_RES(add(&o->set, 1000, 3, 50), 1);
    settle(rt);
    CHECK_RES(nart_task_set_abort(&o->set), 0);
    run_all(rt);
    CHECK_EQ(o->count, 2);
    check_answer(o, 0, 0, NART_EABORTED, 0);
    CHECK_RES(o->what[1], NART_EABORTED);
    CHECK_EQ(elapsed_ms(), 0);
    nart_join_release(&join);
}

/* ---- closing ---- */

TEST_WITH(closing_cancels_and_detaches, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    nart_task_set set = { .nodes = NULL };
    nart_task_set_node nodes[3];
    memset(nodes, 0xa5, sizeof nodes); /* previous contents are irrelevant */
    nart_task_set_init(&set, nodes, 3);
    CHECK_RES(add(&set, 0, 1, 0), 0);
    CHECK_RES(add(&set, 1000, 2, 0), 1);
    CHECK_RES(add(&set, 1000, 3, 50), 2);
    settle(rt);
    nart_task_set_close(&set);
    CHECK_EQ(dropped, 1); /* the one that had ended */
    memset(nodes, 0xa5, sizeof nodes);
    CHECK_RES(add(&set, 1, 1, 0), NART_ECLOSED);
    run_all(rt);
    CHECK_EQ(dropped, 4);
    CHECK_EQ(elapsed_ms(), 50); /* it has cleaned up, detached */
    nart_task_set_close(&set);
    nart_task_set_close(NULL);
    nart_task_set_detach(NULL);
    CHECK_RES(o->r, -ECHILD);
    nart_join_release(&join);
}

/* Including the frame of the last task whose answer was taken. */
TEST_WITH(closing_drops_all_frames, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    o->stop = 1;
    CHECK_RES(add(&o->set, 0, 1, 0), 0);
    CHECK_RES(add(&o->set, 0, 2, 0), 1);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(nart_task_set_len(&o->set), 1);
    CHECK_EQ(dropped, 0);
    nart_join_release(&join);
    CHECK_EQ(dropped, 2);
}

TEST_WITH(detached_tasks_run_on, rt)
{
    nart_task_set set;
    nart_task_set_node nodes[2];
    nart_task_set_init(&set, nodes, 2);
    CHECK_RES(add(&set, 40, 1, 0), 0);
    CHECK_RES(add(&set, 30, 2, 0), 1);
    settle(rt);
    nart_task_set_detach(&set);
    memset(nodes, 0xa5, sizeof nodes);
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 40);
    CHECK_EQ(dropped, 2);
}

TEST(a_waiting_task_is_woken_by_the_close)
{
    for (int all = 0; all < 2; all++) {
        nart_join join;
        rt_open();
        struct owner *o = new_owner(&join);
        o->wait_all = all;
        CHECK_RES(add(&o->set, 1000, 1, 0), 0);
        settle(rt);
        nart_task_set_close(&o->set);
        settle(rt);
        CHECK(nart_join_done(&join));
        CHECK_RES(o->r, NART_ECLOSED);
        CHECK_RES(o->first, all ? NART_ECLOSED : 0);
        nart_join_release(&join);
        rt_close();
    }
}

/* A set ends with its owner, whichever ends first. */
TEST(the_owner_takes_its_set_along)
{
    for (int way = 0; way < 3; way++) { /* cancelled, aborted, with the runtime */
        nart_join join;
        rt_open();
        dropped = 0;
        struct owner *o = new_owner(&join);
        CHECK_RES(add(&o->set, 10, 1, 0), 0);
        CHECK_RES(add(&o->set, 1000, 1, 0), 1);
        CHECK_RES(add(&o->set, 1000, 1, 0), 2);
        settle(rt);
        if (way == 0)
            CHECK_RES(cancel(rt, &join), 0);
        if (way == 1)
            CHECK_RES(abort_task(rt, &join), 0);
        if (way < 2) {
            settle(rt);
            CHECK_RES(o->r, -ECANCELED);
            CHECK_EQ(dropped, 0);
            nart_join_release(&join); /* drops the frame and thereby the set */
            settle(rt);
            CHECK_EQ(dropped, 3);
        }
        rt_close();
        CHECK_EQ(dropped, 3);
        nart_join_release(&join);
    }
}

/* The set outlives its runtime: all its tasks have ended and their frames are freed. */
TEST(a_set_may_outlive_its_runtime)
{
    nart_task_set set;
    nart_task_set_node nodes[4];
    rt_open();
    nart_task_set_init(&set, nodes, 4);
    CHECK_RES(add(&set, 0, 1, 0), 0);
    CHECK_RES(add(&set, 1000, 2, 0), 1);
    settle(rt);
    CHECK_RES(add(&set, 1000, 3, 0), 2);
    rt_close();
    CHECK_EQ(dropped, 3);
    CHECK_EQ(nart_task_set_len(&set), 3);
    CHECK(!nart_task_set_frame(&set, 0));
    CHECK_EQ(nart_task_set_task(&set, 1).gen, 0);
    CHECK_RES(nart_task_set_cancel(&set), 0);
    nart_task_set_close(&set);
}

/* ---- inside a poll: a pool of workers, each replaced by the next ---- */

struct pool {
    nart_co co;
    nart_task_set set;
    nart_task_set_node nodes[4];
    nart_res r, result, sum;
    int started, ended;
    struct child *last;
};

static nart_res pool_start(nart_cx *cx, struct pool *p)
{
    struct child c = { .ms = 1 + p->started % 7, .answer = p->started };
    nart_res r = nart_task_set_spawn(cx, &p->set, &child_type, &c);
    if (r >= 0)
        p->started++;
    return r;
}

static nart_res pool_run(nart_cx *cx, void *frame)
{
    struct pool *p = frame;

    NART_BEGIN(cx, &p->co);
    nart_task_set_init(&p->set, p->nodes, 4);
    while ((p->r = pool_start(cx, p)) >= 0)
        continue;
    CHECK_RES(p->r, -ENOSPC);
    for (;;) {
        NART_AWAIT(p->r, nart_task_set_next(cx, &p->set, &p->result));
        if (p->r < 0)
            break;
        p->last = nart_task_set_frame(&p->set, (uint32_t)p->r);
        CHECK_RES(p->last->answer, p->result); /* it stays until another is added */
        p->sum += p->result;
        p->ended++;
        if (p->started < 1000) {
            nart_res r = pool_start(cx, p);
            CHECK_RES(r, p->r); /* in the same node */
            CHECK(!nart_task_set_frame(&p->set, (uint32_t)r));
        }
    }
    nart_task_set_close(&p->set);
    NART_END(p->r);
}

static const nart_task_type pool_type = NART_TASK_TYPE(struct pool, pool_run, NULL);

TEST_WITH(a_pool_replaces_those_that_end, rt)
{
    nart_join join;
    struct pool *p = spawn(rt, &pool_type, &join);
    run_all(rt);
    CHECK_EQ(p->started, 1000);
    CHECK_EQ(p->ended, 1000);
    CHECK_EQ(p->sum, 999 * 1000 / 2);
    CHECK_EQ(dropped, 1000);
    nart_join_release(&join);
}

/* ---- many ---- */

struct crowd {
    nart_co co;
    nart_task_set *set;
    nart_res r, result;
    int64_t last;
    int count, polls;
    bool *seen;
};

static nart_res crowd_run(nart_cx *cx, void *frame)
{
    struct crowd *c = frame;

    c->polls++;
    NART_BEGIN(cx, &c->co);
    for (;;) {
        NART_AWAIT(c->r, nart_task_set_next(cx, c->set, &c->result));
        if (c->r < 0)
            break;
        CHECK(!c->seen[c->r]);
        c->seen[c->r] = true;
        CHECK_LE(c->last, c->result); /* the result is its duration: in order of ending */
        c->last = c->result;
        c->count++;
    }
    NART_END(c->r);
}

static const nart_task_type crowd_type = NART_TASK_TYPE(struct crowd, crowd_run, NULL);

TEST(ten_thousand)
{
    nart_join join, j = { .hub = NULL };
    nart_task_set set;
    nart_task_set_node *nodes = calloc(MANY, sizeof *nodes);

    dropped = 0;
    rt = NEW_RT(.slots = { MANY + 1, MANY + 1 });
    nart_task_set_init(&set, nodes, MANY);
    struct crowd *c = spawn(rt, &crowd_type, &join);
    c->set = &set;
    c->seen = calloc(MANY, sizeof *c->seen);
    long live = test_alloc_live();
    for (int i = 0; i < MANY; i++) {
        int64_t ms = 1 + (int64_t)i * 7919 % 97;
        struct child child = { .ms = ms, .answer = ms };
        CHECK_RES(nart_rt_spawn(rt, &child_type, &child, &j), 0);
        CHECK_RES(nart_task_set_add(&set, &j), i);
    }
    CHECK_EQ(test_alloc_live(), live);
    run_all(rt);
    CHECK_EQ(c->count, MANY);
    CHECK_EQ(dropped, MANY);
    CHECK_LE(c->polls, 2 * 97 + MANY / NART_BUDGET + 97); /* fewer than one per task */
    free(c->seen);
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(rt), 0);
    nart_task_set_close(&set);
    free(nodes);
}

TEST(ten_thousand_are_cancelled)
{
    nart_task_set set;
    nart_task_set_node *nodes = calloc(MANY, sizeof *nodes);

    dropped = 0;
    rt = NEW_RT(.slots[1] = MANY);
    nart_task_set_init(&set, nodes, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_RES(add(&set, 1000, 0, 0), i);
    settle(rt);
    nart_task_set_close(&set);
    free(nodes);
    settle(rt);
    CHECK_EQ(dropped, MANY);
    CHECK_EQ(nart_rt_task_count(rt), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- waiting, alongside other waits ---- */

struct racing {
    nart_co co;
    nart_task_set set;
    nart_task_set_node nodes[2];
    nart_timer timer;
    nart_res r, result;
    int which, lost;
};

static nart_res racing_run(nart_cx *cx, void *frame)
{
    struct racing *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->lost = 0;; f->lost++) {
        NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timer, 3 * NART_MS),
                       nart_task_set_next(cx, &f->set, &f->result));
        CHECK(!f->set.wait.task);
        if (f->which == 1)
            break;
    }
    NART_AWAIT_FOR(f->r, 2 * NART_MS, nart_task_set_next(cx, &f->set, NULL));
    NART_END(f->r);
}

static void racing_drop(void *frame)
{
    struct racing *f = frame;
    nart_task_set_close(&f->set);
}

static const nart_task_type racing_type = NART_TASK_TYPE(struct racing, racing_run, racing_drop);

TEST_WITH(a_lost_race_loses_no_answer, rt)
{
    nart_join join;
    struct racing *f = spawn(rt, &racing_type, &join);
    nart_task_set_init(&f->set, f->nodes, 2);
    CHECK_RES(add(&f->set, 12, 5, 0), 0); /* beside a sleep that wins at the same time */
    CHECK_RES(add(&f->set, 1000, 6, 0), 1);
    run_until(rt, at_ms(20));
    CHECK_EQ(f->lost, 4);
    CHECK_RES(f->result, 5);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->r, -ETIMEDOUT);
    nart_join_release(&join);
}

TEST_WITH(polls_for_no_reason_change_nothing, rt)
{
    nart_join join;
    struct owner *o = new_owner(&join);
    CHECK_RES(add(&o->set, 30, 1, 0), 0);
    CHECK_RES(add(&o->set, 20, 2, 0), 1);
    settle(rt);
    for (int i = 0; i < 1000; i++) {
        nart_driver_task_cancel(join.task); /* revoked below: it only serves as a wake */
        join.task->state &= ~(uint32_t)NART__T_CANCELLED;
        settle(rt);
    }
    CHECK_LE(1000, join.task->polls);
    run_all(rt);
    CHECK_EQ(o->count, 2);
    check_answer(o, 0, 1, 2, 20);
    check_answer(o, 1, 0, 1, 30);
    nart_join_release(&join);
}

/* ---- misuse ---- */

struct intruder {
    nart_co co;
    nart_task_set *set;
    nart_join *j;
    nart_res r;
};

static nart_res intruder_run(nart_cx *cx, void *frame)
{
    struct intruder *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->set)
        NART_AWAIT(f->r, nart_task_set_next(cx, f->set, NULL));
    else
        NART_AWAIT(f->r, nart_join_await(cx, f->j, NULL));
    NART_END(f->r);
}

static const nart_task_type intruder_type = NART_TASK_TYPE(struct intruder, intruder_run, NULL);

static nart_res intrude(nart_rt *where, nart_task_set *set, nart_join *j)
{
    nart_join join;
    struct intruder *f = spawn(where, &intruder_type, &join);
    f->set = set;
    f->j = j;
    f->r = NART_PENDING;
    settle(where);
    nart_res r = f->r;
    nart_join_release(&join);
    return r;
}

TEST_WITH(misuse_is_an_error, rt)
{
    nart_join join, done, copy, used = { .hub = NULL };
    nart_rt *second = new_rt();
    struct owner *o = new_owner(&join);
    CHECK_RES(nart_task_set_add(&o->set, &used), NART_ESTALE);
    CHECK_RES(add(&o->set, 30, 1, 0), 0);
    settle(rt);
    CHECK_RES(intrude(rt, &o->set, NULL), -EBUSY);
    CHECK_RES(intrude(second, &o->set, NULL), -EBUSY);
    copy = o->nodes[0].join;
    CHECK_RES(intrude(rt, NULL, &copy), -EBUSY); /* the set is the waiter */
    CHECK_RES(nart_task_set_add(&o->set, &copy), -EBUSY);

    nart_task_set set;
    nart_task_set_node node;
    nart_task_set_init(&set, &node, 1);
    CHECK_RES(add(&set, 30, 1, 0), 0);
    CHECK_RES(intrude(second, &set, NULL), NART_EDRIVER);
    (void)spawn(second, &child_type, &done);
    settle(second);
    CHECK_RES(nart_task_set_add(&o->set, &done), NART_EDRIVER);
    CHECK_RES(intrude(second, NULL, &done), 0);
    nart_task_set_close(&set);
    nart_task_set_init(&set, &node, 1);
    CHECK_RES(nart_task_set_add(&set, &done), NART_EUSED);
    nart_join_release(&done);
    nart_task_set_init(&set, NULL, 0);
    CHECK_RES(add(&set, 30, 1, 0), NART_ECLOSED);
    CHECK_RES(intrude(rt, &set, NULL), NART_ECLOSED);
    run_all(rt);
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(second), 0);
}

static nart_join own;

static nart_res adds_itself(nart_cx *cx, void *frame)
{
    nart_task_set *set = *(nart_task_set **)frame;
    (void)cx;
    return nart_task_set_add(set, &own);
}

static const nart_task_type adds_itself_type = NART_TASK_TYPE(nart_task_set *, adds_itself, NULL);

TEST_WITH(a_task_does_not_wait_for_itself, rt)
{
    nart_task_set set, *p = &set;
    nart_task_set_node node;
    nart_res r = 0;
    nart_task_set_init(&set, &node, 1);
    CHECK_RES(nart_rt_spawn(rt, &adds_itself_type, &p, &own), 0);
    settle(rt);
    CHECK_RES(nart_block_on(rt, &intruder_type, &(struct intruder){ .j = &own }, &r), 0);
    CHECK_RES(r, 0);
    CHECK_RES(own.task->res, -EDEADLK);
    nart_join_release(&own);
}

/* A task that ended before it is added is answered at once. */
TEST_WITH(a_task_that_has_ended_can_be_put_in, rt)
{
    nart_join join, j;
    struct owner *o = new_owner(&join);
    (void)spawn(rt, &child_type, &j);
    CHECK_RES(nart_rt_poll(rt, 0), 2); /* the owner finds the set empty and ends too */
    CHECK_RES(o->r, -ECHILD);
    nart_join_release(&join);
    o = new_owner(&join);
    CHECK_RES(nart_task_set_add(&o->set, &j), 0);
    settle(rt);
    CHECK_EQ(o->count, 1);
    check_answer(o, 0, 0, 0, 0);
    nart_join_release(&join);
}

/* ---- one set in two arms of a race ---- */

struct two_arms {
    nart_co co;
    nart_task_set set;
    nart_task_set_node nodes[2];
    struct child child;
    nart_res r;
    int which;
};

static nart_res two_arms_run(nart_cx *cx, void *frame)
{
    struct two_arms *f = frame;

    NART_BEGIN(cx, &f->co);
    nart_task_set_init(&f->set, f->nodes, 2);
    for (int i = 0; i < 2; i++) {
        f->child = (struct child){ .ms = i ? 500 : 10 };
        CHECK_EQ(nart_task_set_spawn(cx, &f->set, &child_type, &f->child), i);
    }
    NART_AWAIT_ANY(f->which, f->r, nart_task_set_next(cx, &f->set, NULL),
                   nart_task_set_wait_all(cx, &f->set));
    CHECK_EQ(f->which, 0);
    CHECK_EQ(elapsed_ms(), 10);
    nart_task_set_close(&f->set);
    NART_END(f->r);
}

TEST_WITH(waiting_for_all_in_another_arm_hides_no_end, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct two_arms, two_arms_run, NULL);
    nart_join join;

    CHECK_RES(nart_rt_spawn(rt, &type, NULL, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}
