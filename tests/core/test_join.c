/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Join handles: answers, frames, drop exactly once on every path, and misuse. */
#include "core.h"
#include "virtual.h"

FIXTURE_RT();
static int drops;

struct child {
    nart_co co;
    nart_timer timer;
    int64_t ns;
    nart_res answer;
    char *result; /* owned by the frame */
    nart_res r;
};

static nart_res child_run(nart_cx *cx, void *frame)
{
    struct child *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, f->ns));
    if (f->r == 0)
        f->result = strcpy(test_alloc.alloc(NULL, 8, 8), "result");
    NART_END(f->r ? f->r : f->answer);
}

static void child_drop(void *frame)
{
    struct child *f = frame;
    drops++;
    test_alloc.free(NULL, f->result, 8, 8);
}

static const nart_task_type child_type = NART_TASK_TYPE(struct child, child_run, child_drop);

static struct child *new_child(nart_join *join, int64_t ms, nart_res answer)
{
    struct child *f = spawn(rt, &child_type, join);

    f->ns = ms * NART_MS;
    f->answer = answer;
    return f;
}

/* A task that awaits a handle owned by another. */
struct waiter {
    nart_co co;
    nart_join *of;
    int64_t limit;
    nart_res r, answer;
};

static nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_UNTIL(f->r, f->limit, nart_join_await(cx, f->of, &f->answer));
    NART_END(f->r);
}

static const nart_task_type waiter_type = NART_TASK_TYPE(struct waiter, waiter_run, NULL);

static struct waiter *new_waiter(nart_join *join, nart_join *of)
{
    struct waiter *f = spawn(rt, &waiter_type, join);

    f->of = of;
    f->limit = NART_NEVER;
    f->r = NART_PENDING;
    f->answer = -1;
    return f;
}

/* ---- answers ---- */

TEST_WITH(a_join_answers_when_the_task_has_ended, rt)
{
    nart_join child, join;
    new_child(&child, 10, 77);
    struct waiter *w = new_waiter(&join, &child);
    run_until(rt, at_ms(9));
    CHECK(!nart_join_done(&child));
    CHECK_RES(w->r, NART_PENDING);
    run_until(rt, at_ms(10));
    CHECK(nart_join_done(&child));
    CHECK_RES(w->r, 0);
    CHECK_RES(w->answer, 77);
    nart_join_release(&child);
    nart_join_release(&join);
}

TEST_WITH(a_task_that_has_ended_is_joined_without_waiting, rt)
{
    nart_join child, join;
    new_child(&child, 0, -EIO); /* an error is an answer too */
    run_all(rt);
    struct waiter *w = new_waiter(&join, &child);
    CHECK_EQ(settle(rt), 1);
    CHECK_RES(w->r, 0);
    CHECK_RES(w->answer, -EIO);
    nart_join_release(&child);
    nart_join_release(&join);
}

TEST_WITH(the_answer_may_be_ignored, rt)
{
    nart_join child;
    new_child(&child, 0, 3);
    CHECK_RES(nart_block_on(rt, &waiter_type, &(struct waiter){ .of = &child, .limit = NART_NEVER },
                            NULL),
              0);
    nart_join_release(&child);
}

TEST_WITH(the_answer_of_a_task_that_has_ended_is_read_outside_of_polls, rt)
{
    nart_join child, cancelled, join;
    nart_res answer = -1;

    new_child(&child, 10, 5);
    new_child(&cancelled, 50, 6);
    CHECK_RES(nart_join_result(&child, &answer), -EAGAIN);
    CHECK_RES(cancel(rt, &cancelled), 0);
    run_all(rt);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_join_result(&child, &answer), 0);
        CHECK_RES(answer, 5);
    }
    CHECK_RES(nart_join_result(&cancelled, &answer), NART_EABORTED);
    CHECK_RES(answer, 5);
    CHECK_RES(nart_join_result(&child, NULL), -EINVAL);
    struct waiter *w = new_waiter(&join, &child); /* it can still be awaited */
    settle(rt);
    CHECK_RES(w->r, 0);
    CHECK_RES(nart_join_result(&child, &answer), 0);
    nart_join_release(&child);
    CHECK_RES(nart_join_result(&child, &answer), NART_ESTALE);
    nart_join_release(&cancelled);
    nart_join_release(&join);
}

/* In the reference, polling a join handle twice reads the moved value again: its defect 11. */
TEST_WITH(an_answer_is_taken_once, rt)
{
    nart_join child, join;
    struct child *c = new_child(&child, 0, 5);
    run_all(rt);
    for (int i = 0; i < 3; i++) {
        struct waiter *w = new_waiter(&join, &child);
        settle(rt);
        CHECK_RES(w->r, i == 0 ? 0 : NART_EUSED);
        CHECK_RES(w->answer, i == 0 ? 5 : -1);
        nart_join_release(&join);
    }
    CHECK(nart_join_frame(&child) == c); /* the frame stays until release */
    CHECK_STR(c->result, "result");
    nart_join_release(&child);
    CHECK_EQ(drops, 1);
}

TEST_WITH(several_are_joined_in_any_order, rt)
{
    nart_join child[3], join[3];
    struct waiter *w[3];
    for (int i = 0; i < 3; i++)
        new_child(&child[i], 10 * i, i + 1);
    for (int i = 3; i-- > 0;)
        w[i] = new_waiter(&join[i], &child[i]);
    run_all(rt);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(w[i]->answer, i + 1);
        nart_join_release(&child[i]);
        nart_join_release(&join[i]);
    }
    CHECK_EQ(drops, 3);
}

/* ---- frames and drop ---- */

TEST(the_frame_is_readable_from_the_end_to_the_release)
{
    nart_join child;
    rt = new_rt();
    struct child *c = new_child(&child, 10, 5);
    settle(rt);
    CHECK(nart_join_frame(&child) == NULL);
    run_all(rt);
    CHECK(nart_join_frame(&child) == c);
    CHECK_STR(c->result, "result");
    CHECK_EQ(drops, 0);
    nart_join_release(&child);
    CHECK_EQ(drops, 1);
    CHECK(nart_join_frame(&child) == NULL);
    CHECK(!nart_join_done(&child));
    nart_rt_free(rt);
    CHECK_EQ(drops, 1);
}

TEST_WITH(a_result_is_moved_out_of_the_frame, rt)
{
    nart_join child;
    struct child *c = new_child(&child, 0, 5);
    run_all(rt);
    char *result = c->result;
    c->result = NULL; /* hides it from drop */
    nart_join_release(&child);
    CHECK_STR(result, "result");
    test_alloc.free(NULL, result, 8, 8);
}

TEST_WITH(a_detached_task_is_dropped_when_it_ends, rt)
{
    new_child(NULL, 10, 5);
    run_until(rt, at_ms(9));
    CHECK_EQ(drops, 0);
    run_until(rt, at_ms(10));
    CHECK_EQ(drops, 1);
}

TEST_WITH(a_handle_released_early_detaches_the_task, rt)
{
    nart_join child;
    new_child(&child, 10, 5);
    settle(rt);
    nart_join_release(&child);
    CHECK_EQ(drops, 0);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    run_all(rt);
    CHECK_EQ(drops, 1);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

TEST_WITH(a_handle_released_before_the_first_poll_detaches_the_task, rt)
{
    nart_join child;
    new_child(&child, 10, 5);
    nart_join_release(&child);
    run_all(rt);
    CHECK_EQ(drops, 1);
}

/* Ends in the poll in which it is woken once more. */
static nart_res woken_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    CHECK_RES(nart_task_cancel(rt, nart_cx_task(cx)), 0);
    return 5;
}

static const nart_task_type woken_type = NART_TASK_TYPE(struct child, woken_poll, child_drop);

static nart_res releaser_poll(nart_cx *cx, void *frame)
{
    (void)cx;
    nart_join_release(*(nart_join **)frame);
    return 0;
}

static const nart_task_type releaser_type = NART_TASK_TYPE(nart_join *, releaser_poll, NULL);

/* In the reference such a task is freed while it is queued, or never: its defects 3 and 5. */
TEST_WITH(a_task_that_is_queued_when_it_ends_is_freed_when_both_are_over, rt)
{
    enum { DETACHED, RELEASED_LATER, RELEASED_WHILE_QUEUED };
    for (int order = DETACHED; order <= RELEASED_WHILE_QUEUED; order++) {
        nart_join child, *which = &child;
        struct child *c = spawn(rt, &woken_type, order == DETACHED ? NULL : &child);
        if (order == RELEASED_WHILE_QUEUED)
            CHECK_RES(nart_rt_spawn(rt, &releaser_type, &which, NULL), 0);
        settle(rt);
        CHECK_EQ(nart_rt_task_count(rt), 0);
        CHECK_EQ(drops, order != RELEASED_LATER);
        if (order == RELEASED_LATER)
            nart_join_release(&child);
        CHECK_EQ(drops, 1);
        CHECK(c == spawn(rt, &woken_type, NULL)); /* the slot was returned */
        settle(rt);
        drops = 0;
    }
}

/* ---- waiting, and for how long ---- */

TEST_WITH(a_join_that_timed_out_can_be_awaited_again, rt)
{
    nart_join child, join;
    new_child(&child, 50, 5);
    struct waiter *w = new_waiter(&join, &child);
    w->limit = at_ms(10);
    run_until(rt, at_ms(20));
    CHECK_RES(w->r, -ETIMEDOUT);
    CHECK(child.wait.task == NULL);
    nart_join_release(&join);
    w = new_waiter(&join, &child);
    run_all(rt);
    CHECK_RES(w->r, 0);
    CHECK_RES(w->answer, 5);
    nart_join_release(&join);
    nart_join_release(&child);
}

/* Moves the handle in the poll that reports the timeout. */
struct mover {
    nart_co co;
    nart_join join, moved;
    nart_res r, again, answer;
};

static nart_res mover_run(nart_cx *cx, void *frame)
{
    struct mover *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->r, 10 * NART_MS, nart_join_await(cx, &f->join, &f->answer));
    nart_join_move(&f->moved, &f->join);
    NART_AWAIT(f->again, nart_join_await(cx, &f->moved, &f->answer));
    nart_join_release(&f->moved);
    NART_END(0);
}

static const nart_task_type mover_type = NART_TASK_TYPE(struct mover, mover_run, NULL);

TEST_WITH(a_join_that_timed_out_can_be_moved_at_once, rt)
{
    nart_join join;
    struct mover *f = spawn(rt, &mover_type, &join);
    new_child(&f->join, 50, 5);
    run_all(rt);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_RES(f->again, 0);
    CHECK_RES(f->answer, 5);
    CHECK_EQ(drops, 1);
    nart_join_release(&join);
}

TEST_WITH(a_cancelled_joiner_leaves_the_handle_as_it_was, rt)
{
    nart_join child, join;
    new_child(&child, 50, 5);
    struct waiter *w = new_waiter(&join, &child);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(w->r, -ECANCELED); /* refers to the joining task, not the joined one */
    CHECK_EQ(nart_rt_task_count(rt), 1);
    nart_join_release(&join);
    w = new_waiter(&join, &child);
    run_all(rt);
    CHECK_RES(w->answer, 5);
    nart_join_release(&join);
    nart_join_release(&child);
}

TEST_WITH(a_joined_task_that_is_cancelled_answers_aborted, rt)
{
    nart_join child, join;
    new_child(&child, 50, 5);
    struct waiter *w = new_waiter(&join, &child);
    settle(rt);
    CHECK_RES(cancel(rt, &child), 0);
    settle(rt);
    CHECK_RES(w->r, NART_EABORTED);
    nart_join_release(&join);
    nart_join_release(&child);
}

TEST_WITH(a_second_joiner_is_busy, rt)
{
    nart_join child, first, second;
    new_child(&child, 50, 5);
    struct waiter *a = new_waiter(&first, &child), *b = new_waiter(&second, &child);
    settle(rt);
    CHECK_RES(a->r, NART_PENDING);
    CHECK_RES(b->r, -EBUSY);
    run_all(rt);
    CHECK_RES(a->answer, 5);
    nart_join_release(&first);
    nart_join_release(&second);
    nart_join_release(&child);
}

TEST_WITH(a_task_cannot_join_itself, rt)
{
    nart_join join;
    struct waiter *w = new_waiter(&join, &join);
    settle(rt);
    CHECK_RES(w->r, -EDEADLK);
    nart_join_release(&join);
}

TEST(a_task_of_another_runtime_cannot_be_joined)
{
    nart_join child, join;
    nart_rt *other = new_rt();
    rt = new_rt();
    new_child(&child, 50, 5);
    nart_rt *first = rt;
    rt = other;
    struct waiter *w = new_waiter(&join, &child);
    settle(other);
    CHECK_RES(w->r, NART_EDRIVER);
    nart_join_release(&join);
    nart_rt_free(other);
    nart_join_release(&child);
    nart_rt_free(first);
    CHECK_EQ(drops, 1);
}

/* ---- empty, released, moved, copied ---- */

TEST_WITH(an_empty_handle_is_stale, rt)
{
    nart_join empty, join;
    memset(&empty, 0, sizeof empty);
    struct waiter *w = new_waiter(&join, &empty);
    settle(rt);
    CHECK_RES(w->r, NART_ESTALE);
    CHECK(!nart_join_done(&empty));
    CHECK(nart_join_frame(&empty) == NULL);
    CHECK(nart_join_frame(NULL) == NULL);
    CHECK_EQ(nart_join_task(&empty).gen, 0);
    nart_join_release(&empty);
    nart_join_release(NULL);
    nart_join_release(&join);
    nart_join_release(&join);
}

TEST_WITH(a_handle_released_under_its_waiter_wakes_it_as_stale, rt)
{
    nart_join child, join;
    new_child(&child, 50, 5);
    struct waiter *w = new_waiter(&join, &child);
    settle(rt);
    nart_join_release(&child);
    settle(rt);
    CHECK_RES(w->r, NART_ESTALE);
    nart_join_release(&join);
    run_all(rt);
    CHECK_EQ(drops, 1);
}

TEST_WITH(a_handle_is_moved, rt)
{
    nart_join child, moved, join;
    new_child(&child, 50, 5);
    nart_task id = nart_join_task(&child);
    nart_join_move(&moved, &child);
    CHECK_EQ(nart_join_task(&child).gen, 0);
    CHECK_EQ(nart_join_task(&moved).gen, id.gen);
    CHECK_EQ(nart_join_task(&moved).slot, id.slot);
    nart_join_release(&child);
    struct waiter *w = new_waiter(&join, &moved);
    run_all(rt);
    CHECK_RES(w->answer, 5);
    nart_join_release(&moved);
    CHECK_EQ(drops, 1);
    nart_join_release(&join);
}

/* Copies are not allowed; one that outlives the release is stale and never refers to the slot's
 * next task. */
TEST_WITH(a_copy_of_a_released_handle_is_stale, rt)
{
    nart_join child, copy, next, join;
    new_child(&child, 0, 5);
    copy = child;
    run_all(rt);
    nart_join_release(&child);
    CHECK_EQ(drops, 1);
    struct child *c = new_child(&next, 50, 6);
    CHECK(!nart_join_done(&copy));
    CHECK_EQ(nart_join_task(&copy).gen, 0);
    struct waiter *w = new_waiter(&join, &copy);
    settle(rt);
    CHECK_RES(w->r, NART_ESTALE);
    nart_join_release(&copy); /* neither detaches nor drops the new one */
    run_all(rt);
    CHECK_EQ(drops, 1);
    CHECK(nart_join_frame(&next) == c);
    nart_join_release(&next);
    CHECK_EQ(drops, 2);
    nart_join_release(&join);
}

TEST_WITH(a_waiting_copy_of_a_released_handle_is_woken_as_stale, rt)
{
    nart_join child, copy, join;
    new_child(&child, 50, 5);
    copy = child;
    struct waiter *w = new_waiter(&join, &copy);
    settle(rt);
    nart_join_release(&child);
    run_all(rt);
    CHECK_EQ(drops, 1);
    CHECK_RES(w->r, NART_ESTALE);
    nart_join_release(&copy);
    nart_join_release(&join);
}

TEST_WITH(block_on_answers_what_the_task_does, rt)
{
    nart_res answer = -1;
    for (int i = 0; i < 3; i++) {
        struct child c = { .answer = i };
        CHECK_RES(nart_block_on(rt, &child_type, &c, &answer), 0);
        CHECK_RES(answer, i);
        CHECK_EQ(drops, i + 1);
    }
}
