/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Nurseries: tasks that use their owner's frame, and every way in which the owner may end first. */
#include "core.h"
#include "virtual.h"

#include <nart/nart.h>

enum { CHILDREN = 3 };

FIXTURE_RT();
static int alive;          /* children whose frames are not yet dropped */
static int owners_dropped; /* and the number of children alive then */
static int alive_at_drop;
static nart_notify go;

/* Memory in the owner's frame that the children write to. */
struct board {
    int polls, drops;
};

struct child {
    nart_co co;
    nart_waiter waiter;
    nart_timer timer;
    struct board *board; /* in the owner's frame */
    nart_res answer;
    int64_t nap, unwind; /* duration of its work, and of its cleanup */
    nart_res r;
};

static nart_res child_run(nart_cx *cx, void *frame)
{
    struct child *f = frame;

    f->board->polls++;
    NART_BEGIN(cx, &f->co);
    if (f->nap)
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, f->nap));
    else
        NART_AWAIT(f->r, nart_notify_await(cx, &go, &f->waiter));
    if (f->r == -ECANCELED && f->unwind) {
        NART_SHIELD(NART_SEC);
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, f->unwind));
        NART_UNSHIELD();
        f->r = -ECANCELED;
    }
    NART_END(f->r ? f->r : f->answer);
}

static void child_drop(void *frame)
{
    ((struct child *)frame)->board->drops++;
    alive--;
}

NART_TASK_TYPED(child, struct child, child_run, child_drop);

/* ---- the owner ---- */

enum how { JOIN, JOIN_FOR, LEAVE, WAIT, NESTED, RACE, STOP };

struct owner {
    nart_co co, inner;
    nart_nursery nursery;
    struct board board;
    nart_waiter waiter;
    nart_timer timer;
    struct child init;
    enum how how;
    uint32_t flags;
    int64_t nap[CHILDREN], unwind;
    nart_res answer[CHILDREN];
    nart_res r, error;
    int i, which;
    int64_t joined;
    char pad[]; /* varies the size of the frame */
};

static void spawn_children(nart_cx *cx, struct owner *f)
{
    CHECK_RES(nart_nursery_open(cx, &f->nursery, f->flags), 0);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), -EBUSY);
    for (int i = 0; i < CHILDREN; i++) {
        f->init = (struct child){
            .board = &f->board, .nap = f->nap[i], .unwind = f->unwind, .answer = f->answer[i]
        };
        nart_res r = NART_MOVE(child, &f->init,
                               (i & 1 ? nart_nursery_spawn_boxed : nart_nursery_spawn)(
                                   cx, &f->nursery, &child_type, &f->init));
        CHECK_RES(r, 0);
        alive++;
    }
    CHECK_EQ(nart_nursery_len(&f->nursery), CHILDREN);
}

static nart_res inner_run(nart_cx *cx, struct owner *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner);
    spawn_children(cx, f);
    if (f->how == NESTED)
        NART_RETURN(0); /* without a join */
    NART_AWAIT(r, nart_nursery_join(cx, &f->nursery, &f->error));
    NART_END(r);
}

static nart_res owner_run(nart_cx *cx, void *frame)
{
    struct owner *f = frame;

    NART_BEGIN(cx, &f->co);
    switch (f->how) {
    case JOIN:
    case JOIN_FOR:
    case LEAVE:
    case WAIT:
        spawn_children(cx, f);
        break;
    default:
        break;
    }
    if (f->how == JOIN)
        NART_AWAIT(f->r, nart_nursery_join(cx, &f->nursery, &f->error));
    else if (f->how == JOIN_FOR)
        NART_AWAIT_FOR(f->r, 5 * NART_MS, nart_nursery_join(cx, &f->nursery, &f->error));
    else if (f->how == WAIT)
        NART_AWAIT(f->r, nart_notify_await(cx, &go, &f->waiter));
    else if (f->how == NESTED)
        NART_AWAIT(f->r, inner_run(cx, f));
    else if (f->how == RACE || f->how == STOP) {
        NART_AWAIT_ANY(f->which, f->r, inner_run(cx, f), nart_sleep(cx, &f->timer, 5 * NART_MS));
        CHECK_EQ(f->which, 1);
        if (f->how == STOP) {
            NART_STOP(f->r, inner_run(cx, f));
            CHECK_RES(f->r, -ECANCELED);
            CHECK_EQ(alive, 0);
        } else {
            NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 5 * NART_MS));
            CHECK_EQ(alive, 0); /* although they were not joined */
        }
    }
    f->joined = elapsed_ms();
    if (f->how != LEAVE && f->how != WAIT && f->how != RACE) {
        CHECK_EQ(alive, 0);
        CHECK_EQ(f->board.drops, CHILDREN);
    }
    NART_END(f->r ? f->r : 7);
}

static void owner_drop(void *frame)
{
    struct owner *f = frame;
    CHECK_EQ(f->board.drops, CHILDREN);
    owners_dropped++;
    alive_at_drop += alive;
}

static const nart_task_type owner_type = NART_TASK_TYPE(struct owner, owner_run, owner_drop);
static const nart_task_type large_owner = { NART_TASK_ABI, 0,          "large owner", 3000, 8,
                                            owner_run,     owner_drop, { NULL, NULL } };

static struct owner *begin(enum how how, nart_join *join)
{
    alive = owners_dropped = alive_at_drop = 0;
    go = (nart_notify){ 0 };
    virtual_now = at_ms(0);
    rt = new_rt();
    struct owner *f = spawn(rt, &owner_type, join);
    f->how = how;
    return f;
}

static void end(nart_join *join)
{
    nart_join_release(join);
    nart_rt_free(rt);
    CHECK_EQ(alive, 0);
    CHECK_EQ(alive_at_drop, 0);
    CHECK_EQ(owners_dropped, 1);
}

TEST(a_join_waits_for_all)
{
    nart_join join;
    struct owner *f = begin(JOIN, &join);

    for (int i = 0; i < CHILDREN; i++)
        f->nap[i] = (i + 1) * 10 * NART_MS;
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(f->r, 0);
    CHECK_RES(f->error, 0);
    CHECK_EQ(f->joined, 10 * CHILDREN);
    end(&join);
}

TEST(the_first_error_is_answered)
{
    nart_join join;
    struct owner *f = begin(JOIN, &join);

    for (int i = 0; i < CHILDREN; i++) {
        f->nap[i] = (CHILDREN - i) * 10 * NART_MS;
        f->answer[i] = -100 - i;
    }
    run_all(rt);
    CHECK_RES(f->error, -100 - (CHILDREN - 1)); /* the last one ends first */
    CHECK_EQ(f->joined, 10 * CHILDREN);
    end(&join);
}

TEST(an_error_cancels_the_others_if_asked)
{
    nart_join join;
    struct owner *f = begin(JOIN, &join);

    f->flags = NART_NURSERY_CANCEL_ON_ERROR;
    f->nap[0] = 10 * NART_MS;
    f->answer[0] = -EDOM;
    f->nap[1] = f->nap[2] = NART_SEC;
    run_all(rt);
    CHECK_RES(f->r, 0);
    CHECK_RES(f->error, -EDOM);
    CHECK_EQ(f->joined, 10);
    end(&join);
}

TEST(a_deadline_cancels_and_waits)
{
    nart_join join;
    struct owner *f = begin(JOIN_FOR, &join);

    f->unwind = 20 * NART_MS;
    run_all(rt);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(f->joined, 25);
    end(&join);
}

TEST(cancelling_the_owner_cancels_and_waits)
{
    nart_join join;
    struct owner *f = begin(JOIN, &join);

    f->unwind = 20 * NART_MS;
    run_until(rt, at_ms(3));
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(f->joined, 23);
    end(&join);
}

/* The owner does not join: its end is delayed until the children have ended. */
static void check_end_waits(enum how how, nart_res (*ask)(nart_rt *, const nart_join *), nart_res r)
{
    nart_join join;
    nart_res answer = 0;
    struct owner *f = begin(how, &join);

    f->unwind = 20 * NART_MS;
    run_until(rt, at_ms(3));
    if (ask)
        CHECK_RES(ask(rt, &join), 0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    CHECK_EQ(alive, CHILDREN);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(elapsed_ms(), ask ? 23 : 20);
    (void)answer;
    CHECK_RES(join.task->res, r);
    end(&join);
}

TEST(an_owner_that_returns_ends_after_them)
{
    check_end_waits(LEAVE, NULL, 7);
}

TEST(an_owner_that_is_cancelled_ends_after_them)
{
    check_end_waits(WAIT, cancel, NART_EABORTED);
}

TEST(an_owner_that_is_aborted_ends_after_them)
{
    check_end_waits(WAIT, abort_task, NART_EABORTED);
}

static nart_res ask_nothing(nart_rt *r, const nart_join *j)
{
    (void)r, (void)j;
    return 0;
}

/* The owner's result is fixed when it answers: a cancellation before that counts, one while its end
 * is delayed does not. */
TEST(an_owner_that_has_answered_keeps_its_answer)
{
    nart_res (*const ask[])(nart_rt *, const nart_join *) = { ask_nothing, cancel, abort_task };
    const nart_res answers[] = { 7, -ECANCELED, -EIO, NART_EABORTED };

    for (int a = 0; a < 4; a++) {
        for (int before = 0; before < 3; before++) {
            for (int after = 0; after < 3; after++) {
                bool aborted = before && answers[a] == -ECANCELED;
                nart_join join;
                struct owner *f = begin(LEAVE, &join);

                f->unwind = 20 * NART_MS;
                f->r = answers[a] == 7 ? 0 : answers[a];
                CHECK_RES(ask[before](rt, &join), 0);
                settle(rt);
                CHECK_RES(ask[after](rt, &join), 0);
                settle(rt);
                CHECK(!nart_join_done(&join));
                run_all(rt);
                CHECK_RES(join.task->res, aborted ? NART_EABORTED : answers[a]);
                end(&join);
            }
        }
    }
}

/* ---- the runtime is freed, for every spawn order and slot size ---- */

static void check_free(const nart_task_type *type, enum how how, bool before)
{
    nart_join join;

    alive = owners_dropped = alive_at_drop = 0;
    go = (nart_notify){ 0 };
    rt = new_rt();
    struct owner *f = spawn(rt, type, &join);
    f->how = how;
    f->unwind = 20 * NART_MS; /* freeing does not wait that long */
    settle(rt);
    CHECK_EQ(alive, CHILDREN);
    if (before)
        nart_join_release(&join);
    nart_rt_free(rt);
    nart_join_release(&join);
    CHECK_EQ(alive, 0);
    CHECK_EQ(alive_at_drop, 0);
    CHECK_EQ(owners_dropped, 1);
}

TEST(freeing_the_runtime_ends_the_owner_last)
{
    static const enum how hows[] = { JOIN, LEAVE, WAIT };

    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++)
        for (int before = 0; before < 2; before++) {
            check_free(&owner_type, hows[i], before);
            check_free(&large_owner, hows[i], before);
        }
}

TEST(a_shutdown_ends_the_owner_last)
{
    nart_join join;
    struct owner *f = begin(WAIT, &join);

    f->unwind = 0;
    settle(rt);
    CHECK_RES(nart_rt_shutdown_within(rt, 0, NART_NEVER, NULL), -EBUSY);
    CHECK(nart_join_done(&join));
    end(&join);
}

/* ---- bodies ---- */

TEST(a_loser_is_cancelled)
{
    nart_join join;
    struct owner *f = begin(RACE, &join);

    run_all(rt);
    CHECK_EQ(f->joined, 10);
    CHECK_EQ(elapsed_ms(), 10);
    CHECK(nart_join_done(&join));
    end(&join);
}

TEST(a_loser_that_is_stopped_joins)
{
    nart_join join;
    struct owner *f = begin(STOP, &join);

    f->unwind = 20 * NART_MS;
    run_all(rt);
    CHECK_EQ(f->joined, 25);
    CHECK(nart_join_done(&join));
    end(&join);
}

static void leave_nested(void *arg)
{
    nart_join join;

    (void)arg;
    begin(NESTED, &join);
    run_all(rt);
}

TEST(a_nested_body_that_does_not_join_is_named)
{
    CHECK_DIES(leave_nested, NULL, "inner_run");
}

/* ---- answers ---- */

struct asker {
    nart_nursery closed, open;
    struct child init;
};

static nart_res asker_run(nart_cx *cx, void *frame)
{
    struct asker *f = frame;

    CHECK_RES(nart_nursery_join(cx, &f->closed, NULL), NART_ECLOSED);
    CHECK_RES(nart_nursery_spawn(cx, &f->closed, &child_type, NULL), NART_ECLOSED);
    nart_nursery_cancel(&f->closed);
    CHECK_RES(nart_nursery_open(cx, &f->open, 2), -EINVAL);
    CHECK_RES(nart_nursery_open(cx, &f->open, 0), 0);
    test_alloc_fail(1, false);
    CHECK_RES(nart_nursery_spawn(cx, &f->open, &child_type, &f->init), -ENOMEM);
    CHECK_EQ(nart_nursery_len(&f->open), 0);
    CHECK_RES(nart_nursery_join(cx, &f->open, NULL), 0);
    CHECK_RES(nart_nursery_open(cx, &f->open, 0), 0);
    nart_nursery_cancel(&f->open);
    CHECK_RES(nart_nursery_spawn(cx, &f->open, &child_type, &f->init), NART_ECLOSED);
    return 0; /* open, and empty */
}

TEST_WITH(answers_of_the_calls, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct asker, asker_run, NULL);

    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    run_all(rt);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

/* A child spawns its siblings; another task may not join. */
struct family {
    nart_co co;
    nart_nursery *nursery;
    int left;
    nart_res r;
};

static nart_res sibling_run(nart_cx *cx, void *frame)
{
    static const nart_task_type type = NART_TASK_TYPE(struct family, sibling_run, NULL);
    struct family *f = frame;

    CHECK_RES(nart_nursery_join(cx, f->nursery, NULL), -EBUSY);
    if (f->left == 0)
        return 0;
    struct family next = { .nursery = f->nursery, .left = f->left - 1 };
    return nart_nursery_spawn(cx, f->nursery, &type, &next);
}

struct root {
    nart_co co;
    nart_nursery nursery;
    nart_res r, error;
};

static nart_res root_run(nart_cx *cx, void *frame)
{
    static const nart_task_type type = NART_TASK_TYPE(struct family, sibling_run, NULL);
    struct root *f = frame;
    struct family first = { .nursery = &f->nursery, .left = 1000 };

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &type, &first), 0);
    NART_AWAIT(f->r, nart_nursery_join(cx, &f->nursery, &f->error));
    CHECK_RES(f->error, 0);
    NART_END(f->r);
}

TEST_WITH(a_child_spawns_its_siblings, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct root, root_run, NULL);

    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    run_all(rt);
    CHECK_EQ(stats_of(rt).spawned, 1002);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

/* An expired deadline makes a join cancel and keep waiting: that is no answer and costs no
 * budget. */
struct impatient {
    nart_nursery nursery;
    struct board board;
};

static nart_res impatient_run(nart_cx *cx, void *frame)
{
    struct impatient *f = frame;
    nart_res r = NART_PENDING;
    nart_scope scope;

    if (f->board.polls == 0) {
        CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
        struct child init = { .board = &f->board };
        CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &child_type, &init), 0);
        alive++;
    }
    nart_scope_enter(cx, &scope, at_ms(0));
    for (int i = 0; i < 2 * NART_BUDGET && r == NART_PENDING; i++)
        r = nart_nursery_join(cx, &f->nursery, NULL);
    r = nart_scope_leave(cx, &scope, r);
    CHECK_RES(r, f->board.polls == 0 ? NART_PENDING : -ETIMEDOUT);
    return r;
}

TEST(a_join_that_cancels_and_waits_is_no_answer)
{
    static const nart_task_type type = NART_TASK_TYPE(struct impatient, impatient_run, NULL);

    alive = 0;
    virtual_now = at_ms(0);
    rt = new_rt();
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    run_all(rt);
    CHECK_EQ(stats_of(rt).budgets_spent, 0);
    CHECK_EQ(stats_of(rt).polls, 3); /* one of the child, two of the owner */
    CHECK_EQ(alive, 0);
    nart_rt_free(rt);
}
