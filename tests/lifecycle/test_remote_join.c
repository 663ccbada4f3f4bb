/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handles of tasks that were spawned on another runtime: what they answer, whoever ends first. */
#include "../core/core.h"
#include "op.h"
#include "reports.h"
#include "threads.h"

#include <nart/remote.h>
#include <nart/shutdown.h>
#include <nart/sync.h>

#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static nart_rt *own; /* of the tasks that await */
static nart_remote_join handle;
static int runs, drops;

/* The fixture `two`: the runtime of the task, and that of those that await it. */
FIXTURE_RT(.report = keep_report, .name = "remote");

static void two_open(void)
{
    rt_open();
    own = new_rt();
}

static void two_close(void)
{
    nart_remote_join_release(&handle);
    CHECK_RES(nart_rt_free(own), 0);
    rt_close();
}

/* ---- the task ---- */

static nart_notify go; /* on rt */

struct job {
    nart_co co;
    nart_waiter waiter;
    nart_res answer; /* 0: it waits, and answers why that ended */
    bool stays;      /* it answers 5 when it is cancelled */
    nart_res r;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    struct job *f = frame;

    NART_BEGIN(cx, &f->co);
    runs++;
    if (f->answer)
        NART_RETURN(f->answer);
    NART_AWAIT(f->r, nart_notify_await(cx, &go, &f->waiter));
    NART_END(f->r == 0 || f->stays ? 5 : f->r);
}

static void job_drop(void *frame)
{
    (void)frame;
    drops++;
}

static const nart_task_type job_type = NART_TASK_TYPE(struct job, job_run, job_drop);
static const nart_task_type behind_type =
    NART_TASK_TYPE_FLAGS(struct job, job_run, job_drop, NART_TASK_BACKGROUND);

static nart_res spawn_job(const struct job *init)
{
    return nart_remote_spawn_join(nart_rt_remote(rt), &job_type, init, &handle);
}

/* One that waits for `go`. */
static void start_job(void)
{
    CHECK_RES(spawn_job(NULL), 0);
    settle(rt);
    CHECK_EQ(runs, 1);
}

/* ---- tasks that await it ---- */

struct op {
    OP_FIELDS;
    nart_remote_join *from;
    nart_res answer;
};

static nart_res op_do(nart_cx *cx, struct op *op)
{
    return nart_remote_join_await(cx, op->from, &op->answer);
}

OP_TASK(op_do);

static void await_start(nart_rt *on, struct op *op, int64_t limit)
{
    *op = (struct op){ .limit = limit, .from = &handle, .answer = 1 };
    op_start(on, op);
}

/* What the handle answers now. */
static void answers(nart_res r, nart_res answer)
{
    nart_res a = 1;

    CHECK_RES(nart_remote_join_blocking(&handle, &a, 0), r);
    CHECK_EQ(a, r ? 1 : answer);
}

TEST_WITH(a_task_of_another_runtime_awaits_the_answer, two)
{
    struct op op;

    start_job();
    await_start(own, &op, NART_NEVER);
    CHECK_RES(op.res, NART_PENDING);
    nart_notify_one(&go);
    settle(rt);
    CHECK_EQ(drops, 1);
    settle(own);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.answer, 5);
    CHECK_EQ(op.polls, 2);
    answers(NART_EUSED, 0);
    await_start(own, &op, NART_NEVER);
    CHECK_RES(op.res, NART_EUSED);
    nart_remote_join_release(&handle);
    answers(NART_ESTALE, 0);
    await_start(own, &op, NART_NEVER);
    CHECK_RES(op.res, NART_ESTALE);
}

TEST_WITH(a_task_of_the_same_runtime_awaits_the_answer, two)
{
    struct op op;

    CHECK_RES(spawn_job(&(const struct job){ .answer = -EINVAL }), 0);
    await_start(rt, &op, NART_NEVER);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.answer, -EINVAL);
}

static nart_res blocked, block_answer;

static void *block(void *arg)
{
    (void)arg;
    blocked = nart_remote_join_blocking(&handle, &block_answer, NART_NEVER);
    return NULL;
}

static void *spawn_and_block(void *arg)
{
    CHECK_RES(spawn_job(&(const struct job){ .answer = 8 }), 0);
    return block(arg);
}

TEST_WITH(a_thread_blocks_for_the_answer, two)
{
    pthread_t thread = thread_start(spawn_and_block, NULL);

    while (runs == 0)
        CHECK_LE(0, nart_rt_poll(rt, NART_MS));
    thread_join(thread);
    CHECK_RES(blocked, 0);
    CHECK_EQ(block_answer, 8);
}

TEST_WITH(the_answer_may_be_there_before, two)
{
    CHECK_RES(spawn_job(&(const struct job){ .answer = 9 }), 0);
    answers(-ETIMEDOUT, 0);
    settle(rt);
    CHECK_EQ(drops, 1); /* before the answer is received */
    answers(0, 9);
    answers(NART_EUSED, 0);
}

TEST_WITH(the_answer_may_be_ignored, two)
{
    CHECK_RES(spawn_job(&(const struct job){ .answer = 9 }), 0);
    settle(rt);
    CHECK_RES(nart_remote_join_blocking(&handle, NULL, 0), 0);
}

TEST_WITH(a_task_in_the_background_is_awaited_likewise, two)
{
    CHECK_RES(nart_remote_spawn_join(nart_rt_remote(rt), &behind_type, NULL, &handle), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(runs, 1);
    CHECK_EQ(nart_rt_background_count(rt), 1);
    nart_notify_one(&go);
    settle(rt);
    CHECK_EQ(nart_rt_background_count(rt), 0);
    answers(0, 5);
}

/* ---- cancelling ---- */

TEST_WITH(a_task_is_cancelled, two)
{
    start_job();
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    answers(-ETIMEDOUT, 0);
    settle(rt);
    CHECK_EQ(drops, 1);
    answers(NART_EABORTED, 0);
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
}

TEST_WITH(a_task_is_cancelled_before_its_first_poll, two)
{
    CHECK_RES(spawn_job(NULL), 0);
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    settle(rt);
    CHECK_EQ(runs, 1);
    answers(NART_EABORTED, 0);
}

TEST_WITH(a_cancelled_task_may_answer, two)
{
    CHECK_RES(spawn_job(&(const struct job){ .stays = true }), 0);
    settle(rt);
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    settle(rt);
    answers(0, 5);
}

TEST_WITH(cancelling_a_task_that_has_ended_has_no_effect, two)
{
    CHECK_RES(spawn_job(&(const struct job){ .answer = 9 }), 0);
    settle(rt);
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    CHECK_RES(nart_rt_spawn(rt, &job_type, NULL, NULL), 0); /* in its slot */
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    answers(0, 9);
}

/* ---- the handle is released first ---- */

TEST_WITH(a_task_whose_handle_is_released_continues, two)
{
    start_job();
    nart_remote_join_release(&handle);
    nart_remote_join_release(&handle);
    nart_remote_join_release(NULL);
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    nart_notify_one(&go);
    settle(rt);
    CHECK_EQ(drops, 1);
}

TEST_WITH(a_handle_is_released_before_the_task_is_spawned, two)
{
    CHECK_RES(spawn_job(&(const struct job){ .answer = 9 }), 0);
    nart_remote_join_release(&handle);
    settle(rt);
    CHECK_EQ(runs, 1);
    CHECK_EQ(drops, 1);
}

TEST_WITH(a_handle_is_released_while_it_cancels, two)
{
    start_job();
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    nart_remote_join_release(&handle);
    settle(rt);
    CHECK_EQ(drops, 1);
}

/* ---- those that await it leave ---- */

TEST_WITH(who_awaits_it_is_cancelled_aborted_or_late, two)
{
    struct op op;

    start_job();
    await_start(own, &op, NART_NEVER);
    CHECK_RES(nart_task_cancel(own, op.id), 0);
    settle(own);
    CHECK_RES(op.res, -ECANCELED);
    await_start(own, &op, NART_NEVER);
    CHECK_RES(nart_task_abort(own, op.id), 0);
    settle(own);
    CHECK_RES(op.res, -ECANCELED);
    await_start(own, &op, 0);
    CHECK_RES(op.res, -ETIMEDOUT);
    nart_notify_one(&go);
    settle(rt);
    await_start(own, &op, NART_NEVER);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.answer, 5);
}

struct racer {
    nart_co co;
    nart_waiter waiter;
    unsigned which;
    nart_res r, answer;
};

static nart_notify other; /* of own */

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_remote_join_await(cx, &handle, &f->answer),
                   nart_notify_await(cx, &other, &f->waiter));
    CHECK_EQ(f->which, 1);
    NART_AWAIT(f->r, nart_remote_join_await(cx, &handle, &f->answer));
    CHECK_RES(f->r, 0);
    NART_END(f->answer);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

TEST_WITH(it_loses_a_race_and_is_awaited_again, two)
{
    nart_join racer;

    start_job();
    struct racer *f = spawn(own, &racer_type, &racer);
    settle(own);
    nart_notify_one(&other);
    settle(own);
    nart_notify_one(&go);
    settle(rt);
    settle(own);
    CHECK(nart_join_done(&racer));
    CHECK_EQ(f->answer, 5);
    nart_join_release(&racer);
}

TEST_WITH(a_second_task_is_busy, two)
{
    struct op first, second;

    start_job();
    await_start(own, &first, NART_NEVER);
    await_start(own, &second, NART_NEVER);
    CHECK_RES(second.res, -EBUSY);
    answers(-EBUSY, 0);
    nart_notify_one(&go);
    settle(rt);
    settle(own);
    CHECK_RES(first.res, 0);
}

TEST_WITH(a_handle_is_released_while_it_is_awaited, two)
{
    struct op op;

    start_job();
    await_start(own, &op, NART_NEVER);
    nart_remote_join_release(&handle);
    settle(own);
    CHECK_RES(op.res, NART_ESTALE);
}

TEST_WITH(a_handle_is_moved_while_it_is_awaited, two)
{
    nart_remote_join moved;
    struct op op;

    start_job();
    await_start(own, &op, NART_NEVER);
    nart_remote_join_move(&moved, &handle);
    settle(own);
    CHECK_RES(op.res, NART_ESTALE);
    CHECK_RES(nart_remote_join_cancel(&moved), 0);
    settle(rt);
    nart_remote_join_move(&handle, &moved);
    nart_remote_join_move(&handle, &handle);
    CHECK_RES(nart_remote_join_cancel(&moved), NART_ESTALE);
    answers(NART_EABORTED, 0);
}

TEST(the_runtime_of_the_awaiting_task_is_freed)
{
    struct op op;

    two_open();
    start_job();
    await_start(own, &op, NART_NEVER);
    CHECK_RES(nart_rt_free(own), 0);
    CHECK_RES(op.res, -ECANCELED);
    nart_notify_one(&go);
    settle(rt);
    answers(0, 5);
    own = NULL;
    two_close();
}

/* ---- the task's runtime ends first ---- */

TEST(a_runtime_that_is_freed_ends_the_task)
{
    struct op op;

    two_open();
    start_job();
    await_start(own, &op, NART_NEVER);
    CHECK_RES(nart_remote_join_cancel(&handle), 0); /* is under way */
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(drops, 1);
    settle(own);
    CHECK_RES(op.res, NART_EABORTED);
    CHECK_RES(nart_remote_join_cancel(&handle), 0); /* the second time */
    nart_remote_join_release(&handle);
    CHECK_RES(nart_rt_free(own), 0);
}

TEST(a_runtime_that_is_freed_before_it_spawns_the_task)
{
    nart_rt_end end = NART_RT_END_INIT;

    two_open();
    CHECK_RES(spawn_job(NULL), 0);
    CHECK_RES(nart_remote_join_cancel(&handle), 0);
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.undelivered, 2);
    CHECK_EQ(runs, 0);
    CHECK_EQ(drops, 1);
    answers(NART_ESTALE, 0);
    nart_remote_join_release(&handle);
    CHECK_RES(nart_rt_free(own), 0);
}

TEST(a_handle_outlives_the_runtime)
{
    two_open();
    start_job();
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_remote_join_cancel(&handle), NART_ESTALE);
    answers(NART_EABORTED, 0);
    rt_open(); /* on the same hub */
    CHECK_RES(nart_remote_join_cancel(&handle), NART_ESTALE);
    two_close();
}

TEST(a_blocked_thread_returns_when_the_runtime_is_freed)
{
    two_open();
    start_job();
    pthread_t thread = thread_start(block, NULL);
    CHECK_RES(nart_rt_free(rt), 0);
    thread_join(thread);
    CHECK_RES(blocked, NART_EABORTED);
    nart_remote_join_release(&handle);
    CHECK_RES(nart_rt_free(own), 0);
}

/* ---- refused spawns ---- */

TEST(without_a_free_slot_the_handle_answers_so)
{
    rt = NEW_RT(.report = keep_report, SLOTS(1));
    own = new_rt();
    CHECK_RES(nart_rt_spawn(rt, &job_type, NULL, NULL), 0);
    CHECK_RES(spawn_job(NULL), 0);
    settle(rt);
    CHECK_EQ(drops, 1);
    CHECK_EQ(reports, 0);
    answers(NART_ESLOTS, 0);
    two_close();
}

TEST_WITH(a_spawn_that_arrives_after_the_shutdown_began_answers_so, two)
{
    CHECK_RES(spawn_job(NULL), 0);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    settle(rt);
    CHECK_EQ(drops, 1);
    answers(NART_ESHUTDOWN, 0);
}

TEST_WITH(a_spawn_that_is_refused_leaves_the_handle_empty, two)
{
    static const nart_task_type no_poll = NART_TASK_TYPE(struct job, NULL, NULL);

    CHECK_RES(nart_remote_spawn_join(nart_rt_remote(rt), &job_type, NULL, NULL), -EINVAL);
    memset(&handle, 0xAA, sizeof handle);
    CHECK_RES(nart_remote_spawn_join(nart_rt_remote(rt), &no_poll, NULL, &handle), -EINVAL);
    answers(NART_ESTALE, 0);
    CHECK_RES(nart_remote_spawn_join((nart_remote){ 0 }, &job_type, NULL, &handle), NART_ESTALE);
    for (int i = 0; i < NART_REMOTE_SPAWNS; i++)
        CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &job_type, NULL), 0);
    CHECK_RES(spawn_job(NULL), -EAGAIN);
    answers(NART_ESTALE, 0);
    CHECK_RES(nart_remote_join_cancel(&handle), NART_ESTALE);
    CHECK_RES(nart_rt_shutdown(rt), 0);
    CHECK_RES(spawn_job(NULL), NART_ESHUTDOWN);
}

static nart_res in_child(void)
{
    nart_remote_join more;
    nart_res r = nart_remote_join_cancel(&handle);

    if (r == NART_EFORK)
        r = nart_remote_join_blocking(&handle, NULL, NART_NEVER);
    if (r == NART_EFORK)
        r = nart_remote_spawn_join(nart_rt_remote(rt), &job_type, NULL, &more);
    nart_remote_join_release(&handle);
    if (r == NART_EFORK && (nart_rt_free(rt) != 0 || nart_rt_free(own) != 0))
        return 0;
    return r;
}

TEST_WITH(a_child_of_fork_can_only_release, two)
{
    int status;

    start_job();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(in_child() == NART_EFORK ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    nart_notify_one(&go);
    settle(rt);
    answers(0, 5);
}

TEST_WITH(a_dump_names_the_wait, two)
{
    char text[1024];
    struct op op;
    FILE *out = tmpfile();

    start_job();
    await_start(own, &op, NART_NEVER);
    CHECK(out);
    nart_rt_dump(own, out);
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    fclose(out);
    CHECK(strstr(text, "  remote join\n"));
    nart_notify_one(&go);
    settle(rt);
    settle(own);
    CHECK_RES(op.res, 0);
}

/* ---- many threads ---- */

enum { THREADS = 4 };

static nart_remote remote;
static uint64_t spawned[THREADS];

/* Spawns until the runtime is freed: blocks for the answer, for a short time or until it comes, cancels, releases. */
static void *spawn_until_gone(void *arg)
{
    uint64_t *n = arg, seed = (uint64_t)(n - spawned);
    const struct job quick = { .answer = 3 };
    nart_remote_join j;
    nart_res r, answer;

    for (;;) {
        uint32_t how = random_below(&seed, 8);
        r = nart_remote_spawn_join(remote, &job_type, how < 4 ? &quick : NULL, &j);
        if (r == -EAGAIN) {
            sched_yield();
            continue;
        }
        if (r)
            break;
        ++*n;
        if (how % 2)
            CHECK_LE(nart_remote_join_blocking(&j, &answer, NART_US), 0);
        if (how >= 4) /* else it would wait for ever */
            (void)nart_remote_join_cancel(&j);
        if (how != 7) {
            r = nart_remote_join_blocking(&j, &answer, NART_NEVER);
            CHECK(r == 0 || r == NART_EABORTED || r == NART_EUSED || r == NART_ESTALE);
        }
        nart_remote_join_release(&j);
    }
    CHECK_RES(r, NART_ESTALE);
    return NULL;
}

TEST(threads_spawn_and_join_while_the_runtime_is_freed)
{
    pthread_t threads[THREADS];
    uint64_t all = 0;

    rt = NEW_RT(.report = keep_report);
    remote = nart_rt_remote(rt);
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(spawn_until_gone, &spawned[i]);
    for (uint64_t n = test_repeat(100000); (uint64_t)runs < n;)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_RES(nart_rt_free(rt), 0);
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        all += spawned[i];
    }
    CHECK_EQ(drops, all);
    CHECK_EQ(reports, 0);
}
