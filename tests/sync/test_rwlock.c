/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mutexes and read-write locks. */
#include "reports.h"
#include "sync_test.h"

#include <nart/nursery.h>
#include <stdlib.h>

FIXTURE_RT();
static nart_rwlock rw;
static nart_mutex m;

static bool is_free(void)
{
    return !rw.queue.first && !rw.queue.last && !rw.holders.first && !rw.holders.last;
}

/* A runtime that keeps its reports. */
static nart_rt *reporting_rt(void)
{
    reports = 0;
    reported[0] = '\0';
    return NEW_RT(.report = keep_report);
}

TEST_WITH(a_writer_is_alone, rt)
{
    struct op op[3];
    lock_start(rt, &op[0], WRITE_LOCK, &rw);
    lock_start(rt, &op[1], WRITE_LOCK, &rw);
    lock_start(rt, &op[2], READ_LOCK, &rw);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            CHECK_RES(op[k].res, k <= i ? 0 : NART_PENDING);
        unlock(rt, &op[i]);
        CHECK_EQ(op[i].polls, i == 0 ? 2 : 3);
    }
    CHECK(is_free());
}

TEST_WITH(readers_share, rt)
{
    struct op op[3], writer;
    for (int i = 0; i < 3; i++) {
        lock_start(rt, &op[i], READ_LOCK, &rw);
        CHECK_RES(op[i].res, 0);
    }
    lock_start(rt, &writer, WRITE_LOCK, &rw);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(writer.res, NART_PENDING);
        unlock(rt, &op[i]);
    }
    CHECK_RES(writer.res, 0);
    unlock(rt, &writer);
    CHECK(is_free());
}

/* Neither a new reader nor a try passes a writer that waits; the readers behind it are served together. */
TEST_WITH(nobody_passes_a_waiting_writer, rt)
{
    struct op reader[4], writer;
    lock_start(rt, &reader[0], READ_LOCK, &rw);
    lock_start(rt, &writer, WRITE_LOCK, &rw);
    for (int i = 1; i < 4; i++) {
        lock_start(rt, &reader[i], READ_LOCK, &rw);
        CHECK_RES(reader[i].res, NART_PENDING);
    }
    unlock(rt, &reader[0]);
    CHECK_RES(writer.res, 0);
    for (int i = 1; i < 4; i++)
        CHECK_RES(reader[i].res, NART_PENDING);
    unlock(rt, &writer);
    for (int i = 1; i < 4; i++) {
        CHECK_RES(reader[i].res, 0);
        unlock(rt, &reader[i]);
    }
    CHECK(is_free());
}

/* ---- waits that end without the lock ---- */

TEST(a_granted_lock_that_is_not_taken_passes_on)
{
    for (enum kind kind = READ_LOCK; kind <= WRITE_LOCK; kind++)
        for (enum way way = 0; way < TIMED_OUT; way++) {
            nart_notify instead = { .permit = 0 };
            struct op holder, gone, next;
            rt_open();
            lock_start(rt, &holder, WRITE_LOCK, &rw);
            leaver_start(rt, &gone, kind, &rw, 0, way, &instead);
            lock_start(rt, &next, WRITE_LOCK, &rw);
            CHECK_RES(nart_lock_release(holder.lock), 0); /* granted, and not polled yet */
            leave(rt, &gone, way);
            settle(rt);
            check_left(&gone, way);
            CHECK_RES(next.res, 0);
            unlock(rt, &next);
            CHECK(is_free());
            rt_close();
        }
}

/* The readers behind a writer that leaves the queue join those that hold the lock. */
TEST(a_writer_that_leaves_the_queue_lets_readers_pass)
{
    for (enum way way = 0; way < WAYS; way++) {
        nart_notify instead = { .permit = 0 };
        struct op holder, gone, next[2], last;
        rt_open();
        lock_start(rt, &holder, READ_LOCK, &rw);
        leaver_start(rt, &gone, WRITE_LOCK, &rw, 0, way, &instead);
        lock_start(rt, &next[0], READ_LOCK, &rw);
        lock_start(rt, &next[1], READ_LOCK, &rw);
        lock_start(rt, &last, WRITE_LOCK, &rw);
        leave(rt, &gone, way);
        settle(rt);
        check_left(&gone, way);
        CHECK_RES(next[0].res, 0);
        CHECK_RES(next[1].res, 0);
        CHECK_RES(last.res, NART_PENDING);
        rt_close();
        CHECK(is_free());
    }
}

TEST_WITH(a_granted_lock_beats_the_deadline, rt)
{
    struct op holder, op;
    lock_start(rt, &holder, WRITE_LOCK, &rw);
    leaver_start(rt, &op, WRITE_LOCK, &rw, 0, TIMED_OUT, NULL);
    CHECK_RES(nart_lock_release(holder.lock), 0);
    leave(rt, &op, TIMED_OUT);
    settle(rt);
    CHECK_RES(op.res, 0);
    unlock(rt, &op);
    nart_notify_one(&holder.done);
    settle(rt);
    CHECK_RES(holder.released, -EPERM);
}

TEST_WITH(closing_answers_all, rt)
{
    struct op holder, granted, waits[2], late;
    lock_start(rt, &holder, READ_LOCK, &rw);
    lock_start(rt, &granted, WRITE_LOCK, &rw);
    lock_start(rt, &waits[0], READ_LOCK, &rw);
    lock_start(rt, &waits[1], WRITE_LOCK, &rw);
    CHECK_RES(nart_lock_release(holder.lock), 0);
    nart_rwlock_close(&rw);
    nart_rwlock_close(&rw);
    CHECK(is_free());
    nart_rwlock copy = rw;
    memset(&rw, 0xa5, sizeof rw); /* its memory may be reused */
    leave(rt, &waits[1], ABORTED);
    settle(rt);
    CHECK_RES(granted.res, NART_ECLOSED);
    CHECK_RES(waits[0].res, NART_ECLOSED);
    CHECK_RES(waits[1].res, -ECANCELED);
    lock_start(rt, &late, READ_LOCK, &copy);
    CHECK_RES(late.res, NART_ECLOSED);
    nart_notify_one(&holder.done);
    settle(rt);
    CHECK_RES(holder.released, -EPERM);
    nart_rwlock_close(NULL);
    nart_mutex_close(NULL);
}

/* Its memory may be reused. */
TEST_WITH(a_holder_keeps_a_closed_lock, rt)
{
    struct op holder;
    lock_start(rt, &holder, WRITE_LOCK, &rw);
    nart_rwlock_close(&rw);
    memset(&rw, 0xa5, sizeof rw);
    settle(rt);
    CHECK_RES(holder.res, 0);
    CHECK_RES(nart_lock_downgrade(holder.lock), 0);
    unlock(rt, &holder);
}

/* ---- a task that holds a lock ---- */

enum deed {
    AGAIN,
    BY_ANOTHER,
    TRIES,
    READS,
    RELEASES_TWICE,
    DOWNGRADES_TWICE,
    CANCELS_ITSELF,
    REUSES
};

struct doer {
    nart_co co;
    enum deed deed;
    nart_lock lock, other, third;
    nart_mutex second;
    nart_timer timer;
    nart_res r;
};

static nart_res doer_run(nart_cx *cx, void *frame)
{
    struct doer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_mutex_lock(cx, &m, &f->lock));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_MS)); /* another poll */
    if (f->deed == AGAIN) {
        NART_AWAIT(f->r, nart_mutex_lock(cx, &m, &f->lock));
        CHECK_RES(f->r, -EDEADLK);
        NART_AWAIT(f->r, nart_mutex_lock(cx, &f->second, &f->lock));
        CHECK_RES(f->r, -EBUSY);
    } else if (f->deed == BY_ANOTHER) {
        NART_AWAIT(f->r, nart_mutex_lock(cx, &m, &f->other));
        CHECK_RES(f->r, -EDEADLK);
        NART_AWAIT(f->r, nart_mutex_lock(cx, &f->second, &f->other)); /* a task may hold several */
        CHECK_RES(f->r, 0);
        CHECK_RES(nart_lock_release(&f->other), 0);
    } else if (f->deed == TRIES) {
        CHECK_RES(nart_mutex_try_lock(cx, &m, &f->lock), -EDEADLK);
        CHECK_RES(nart_mutex_try_lock(cx, &m, &f->other), -EDEADLK);
        CHECK_RES(nart_mutex_try_lock(cx, &f->second, &f->lock), -EBUSY);
        CHECK_RES(nart_mutex_try_lock(cx, &f->second, &f->other), 0);
        CHECK_RES(nart_lock_release(&f->other), 0);
    } else if (f->deed == READS) {
        CHECK_RES(nart_lock_downgrade(&f->lock), 0);
        NART_AWAIT(f->r, nart_rwlock_read(cx, &m.lock, &f->other));
        CHECK_RES(f->r, -EDEADLK); /* a writer may be queued: the two would wait for each other */
        CHECK_RES(nart_rwlock_try_write(cx, &m.lock, &f->other), -EDEADLK);
    } else if (f->deed == RELEASES_TWICE) {
        CHECK_RES(nart_lock_release(&f->lock), 0);
        CHECK_RES(nart_lock_release(&f->lock), -EPERM);
        CHECK_RES(nart_lock_downgrade(&f->lock), -EPERM);
        CHECK_RES(nart_mutex_try_lock(cx, &m, &f->lock), 0);
    } else if (f->deed == DOWNGRADES_TWICE) {
        CHECK_RES(nart_lock_downgrade(&f->lock), 0);
        CHECK_RES(nart_lock_downgrade(&f->lock), -EINVAL);
    } else if (f->deed ==
               CANCELS_ITSELF) { /* the lock stays, and can be released and taken by a try */
        CHECK_RES(nart_task_cancel(rt, nart_cx_task(cx)), 0);
        NART_AWAIT(f->r, nart_mutex_lock(cx, &m, &f->lock));
        CHECK_RES(f->r, -ECANCELED);
        CHECK_RES(nart_lock_release(&f->lock), 0);
        CHECK_RES(nart_mutex_try_lock(cx, &m, &f->lock), 0);
    }
    if (f->deed == REUSES) {
        CHECK_RES(nart_mutex_try_lock(cx, &f->second, &f->other), 0);
        nart_mutex_close(&f->second);
        f->second = (nart_mutex){ .lock.closed = 0 };
        CHECK_RES(nart_mutex_try_lock(cx, &f->second, &f->third), 0);
        CHECK_RES(nart_lock_release(&f->other), 0);
        CHECK_RES(nart_lock_release(&f->third), 0);
    }
    CHECK(m.lock.holders.first == &f->lock.waiter.wait);
    CHECK_RES(nart_lock_release(&f->lock), 0);
    CHECK(!m.lock.holders.first);
    NART_END(0);
}

static const nart_task_type doer_type = NART_TASK_TYPE(struct doer, doer_run, NULL);

static void do_it(enum deed deed)
{
    struct doer f = { .deed = deed };
    nart_join join;

    rt = reporting_rt();
    CHECK_RES(nart_rt_spawn(rt, &doer_type, &f, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    CHECK_EQ(reports, 0);
    rt_close();
}

TEST(a_held_lock_is_not_locked_again)
{
    do_it(AGAIN);
    do_it(BY_ANOTHER);
    do_it(TRIES);
    do_it(READS);
}

/* A lock where a closed one was, which the task still holds, is another one. */
TEST(a_closed_lock_is_not_held_by_its_address)
{
    do_it(REUSES);
}

TEST(a_lock_is_released_once)
{
    do_it(RELEASES_TWICE);
}

TEST(a_reader_is_not_downgraded)
{
    do_it(DOWNGRADES_TWICE);
}

TEST(a_cancelled_task_keeps_its_lock)
{
    do_it(CANCELS_ITSELF);
}

/* The writer stays in, as a reader; the writer behind the readers does not pass. */
TEST_WITH(a_downgrade_lets_readers_in, rt)
{
    struct op writer, reader[2], last, late;
    lock_start(rt, &writer, WRITE_LOCK, &rw);
    lock_start(rt, &reader[0], READ_LOCK, &rw);
    lock_start(rt, &reader[1], READ_LOCK, &rw);
    lock_start(rt, &last, WRITE_LOCK, &rw);
    CHECK_RES(nart_lock_downgrade(writer.lock), 0);
    settle(rt);
    CHECK_RES(reader[0].res, 0);
    CHECK_RES(reader[1].res, 0);
    lock_start(rt, &late, READ_LOCK, &rw);
    CHECK_RES(late.res, NART_PENDING);
    unlock(rt, &reader[0]);
    unlock(rt, &reader[1]);
    CHECK_RES(last.res, NART_PENDING);
    unlock(rt, &writer);
    CHECK_RES(last.res, 0);
    unlock(rt, &last);
    unlock(rt, &late);
    CHECK(is_free());
}

/* ---- wrong releases ---- */

static nart_lock *lock_of_another;

static nart_res thief_poll(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    CHECK_RES(nart_lock_downgrade(lock_of_another), -EPERM);
    CHECK_RES(nart_lock_release(lock_of_another), -EPERM);
    return 0;
}

struct thief {
    nart_co co;
};

static const nart_task_type thief_type = NART_TASK_TYPE(struct thief, thief_poll, NULL);

TEST(another_task_cannot_release)
{
    struct op holder, waits;
    nart_join join;

    rt = reporting_rt();
    lock_start(rt, &holder, WRITE_LOCK, &rw);
    lock_start(rt, &waits, READ_LOCK, &rw);
    CHECK_RES(nart_lock_release(waits.lock), -EPERM); /* it waits */
    lock_of_another = holder.lock;
    CHECK_RES(nart_rt_spawn(rt, &thief_type, NULL, &join), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(waits.res, NART_PENDING);
    CHECK_EQ(reports, 2);
    CHECK(strstr(reported, "thief tried to release a lock of another task\n"));
    nart_join_release(&join);
    unlock(rt, &holder);
    CHECK_RES(waits.res, 0);
    unlock(rt, &waits);
    rt_close();
    CHECK_EQ(reports, 2);
}

TEST_WITH(misuse_is_an_error, rt)
{
    nart_lock shared = { .waiter.at = NULL }, mine = shared;
    struct op holder, a = { .lock = &shared }, b = a;
    nart_cx outside = { .drv = NULL };
    lock_start(rt, &holder, WRITE_LOCK, &rw);
    op_start(rt, &a, WRITE_LOCK, &rw);
    op_start(rt, &b, WRITE_LOCK, &rw);
    CHECK_RES(b.res, -EBUSY); /* another task waits in it */
    nart_rt *second = new_rt();
    struct op c = { .n = 0 };
    op_start(second, &c, READ_LOCK, &rw);
    CHECK_RES(c.res, NART_EDRIVER);
    CHECK_RES(nart_rt_free(second), 0);
    unlock(rt, &holder);
    CHECK_RES(a.res, 0);
    op_start(rt, &b, WRITE_LOCK, &rw);
    CHECK_RES(b.res, -EBUSY); /* another task holds it */
    CHECK_RES(nart_rwlock_try_read(&outside, &rw, &mine), -EPERM);
    CHECK_RES(nart_rwlock_read(&outside, &rw, &mine), -EPERM);
    CHECK_RES(nart_rwlock_read(&outside, &rw, &shared), -EPERM);
    unlock(rt, &a);
    CHECK(is_free());
}

/* A task of another runtime does not wait for one that holds the lock, also without a queue. */
TEST_WITH(a_lock_is_of_one_runtime, rt)
{
    struct op holder, other = { .n = 0 };
    nart_rt *second = new_rt();
    lock_start(rt, &holder, READ_LOCK, &rw);
    op_start(second, &other, WRITE_LOCK, &rw);
    CHECK_RES(other.res, NART_EDRIVER);
    CHECK_RES(nart_rt_free(second), 0);
    unlock(rt, &holder);
}

/* ---- tasks that end while they hold a lock ---- */

struct forgetful {
    nart_co co;
    bool returns;
    nart_waiter waiter;
    nart_notify never;
    nart_lock lock;
    nart_res r, *dropped;
};

static nart_res forgetful_run(nart_cx *cx, void *frame)
{
    struct forgetful *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_rwlock_write(cx, &rw, &f->lock));
    if (!f->returns)
        NART_AWAIT(f->r, nart_notify_await(cx, &f->never, &f->waiter));
    NART_END(f->r);
}

static void forgetful_drop(void *frame)
{
    struct forgetful *f = frame;
    *f->dropped = nart_lock_release(&f->lock);
}

static const nart_task_type forgetful_type =
    NART_TASK_TYPE(struct forgetful, forgetful_run, forgetful_drop);

static nart_task forget(bool returns, nart_join *join, nart_res *dropped)
{
    struct forgetful f = { .returns = returns, .dropped = dropped };

    CHECK_RES(nart_rt_spawn(rt, &forgetful_type, &f, join), 0);
    settle(rt);
    return nart_join_task(join);
}

/* The next task has it although the frame is still there, held by the join handle. */
TEST(a_return_releases_and_is_reported)
{
    nart_res dropped = 0;
    struct op next;
    nart_join join;

    rt = reporting_rt();
    (void)forget(true, &join, &dropped);
    CHECK(nart_join_done(&join));
    CHECK_EQ(reports, 1);
    CHECK(strstr(reported, "forgetful has ended and not released a lock\n"));
    lock_start(rt, &next, WRITE_LOCK, &rw);
    CHECK_RES(next.res, 0);
    nart_join_release(&join);
    CHECK_RES(dropped, -EPERM); /* the drop finds it released */
    unlock(rt, &next);
    rt_close();
    CHECK_EQ(reports, 1);
}

TEST(an_abort_releases)
{
    nart_res dropped = 0;
    struct op next;
    nart_join join;

    rt = reporting_rt();
    nart_task id = forget(false, &join, &dropped);
    lock_start(rt, &next, WRITE_LOCK, &rw);
    CHECK_RES(next.res, NART_PENDING);
    CHECK_RES(nart_task_abort(rt, id), 0);
    settle(rt);
    CHECK_RES(next.res, 0);
    nart_join_release(&join);
    CHECK_RES(dropped, -EPERM);
    unlock(rt, &next);
    CHECK(is_free());
    CHECK_EQ(reports, 0);
    rt_close();
}

/* A body that answers -ECANCELED and has not released has forgotten it. */
TEST(a_cancelled_body_that_forgets_is_reported)
{
    nart_res dropped = 0;
    nart_join join;

    rt = reporting_rt();
    nart_task id = forget(false, &join, &dropped);
    CHECK_RES(nart_task_cancel(rt, id), 0);
    settle(rt);
    CHECK(is_free());
    CHECK_EQ(reports, 1);
    nart_join_release(&join);
    rt_close();
}

TEST(a_freed_runtime_leaves_the_lock_free)
{
    nart_res dropped = 0;
    struct op op[2];
    nart_join join;

    rt = reporting_rt();
    (void)forget(false, &join, &dropped);
    lock_start(rt, &op[0], READ_LOCK, &rw);
    lock_start(rt, &op[1], WRITE_LOCK, &rw);
    rt_close();
    CHECK_EQ(reports, 0);
    CHECK(is_free());
    CHECK_RES(dropped, -EPERM);
    nart_join_release(&join);
    rt_open();
    lock_start(rt, &op[0], WRITE_LOCK, &rw);
    CHECK_RES(op[0].res, 0);
    unlock(rt, &op[0]);
    rt_close();
}

/* The owner of a nursery has answered and is kept for its child, which then gets the lock. */
struct owner {
    nart_nursery nursery;
    nart_lock lock;
};

static struct op child_op;

static nart_res owner_poll(nart_cx *cx, void *frame)
{
    struct owner *f = frame;
    struct op_frame child = { .op = &child_op };

    CHECK_RES(nart_rwlock_try_write(cx, &rw, &f->lock), 0);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &op_type, &child), 0);
    return 0;
}

static const nart_task_type owner_type = NART_TASK_TYPE(struct owner, owner_poll, NULL);

TEST(an_owner_that_waits_for_its_nursery_has_released)
{
    struct op next;

    rt = reporting_rt();
    child_op = (struct op){ .kind = NOTIFY, .at = &(nart_notify){ .permit = 0 } };
    CHECK_RES(nart_rt_spawn(rt, &owner_type, NULL, NULL), 0);
    settle(rt);
    CHECK_EQ(reports, 1);
    lock_start(rt, &next, WRITE_LOCK, &rw);
    CHECK_RES(next.res, 0);
    unlock(rt, &next);
    rt_close();
}

/* ---- bodies and races ---- */

struct racer {
    nart_co co, inner;
    nart_lock lock;
    nart_notify never, stop;
    nart_waiter waiter, other;
    int which;
    nart_res r, s;
};

static nart_res holder_body(nart_cx *cx, struct racer *f)
{
    NART_BEGIN(cx, &f->inner);
    NART_AWAIT(f->r, nart_rwlock_write(cx, &rw, &f->lock));
    NART_AWAIT(f->r, nart_notify_await(cx, &f->never, &f->waiter));
    CHECK_RES(f->r, -ECANCELED);
    CHECK_RES(nart_lock_release(&f->lock), 0);
    NART_END(f->r);
}

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->s, nart_notify_await(cx, &f->stop, &f->other), holder_body(cx, f));
    CHECK_EQ(f->which, 0);
    CHECK(rw.holders.first == &f->lock.waiter.wait); /* the loser still holds it */
    NART_YIELD();
    CHECK(rw.holders.first == &f->lock.waiter.wait);
    NART_STOP(f->s, holder_body(cx, f));
    CHECK(rw.holders.first && rw.holders.first != &f->lock.waiter.wait);
    NART_END(0);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct racer, racer_run, NULL);

TEST_WITH(a_body_that_loses_a_race_keeps_its_lock_until_it_is_stopped, rt)
{
    nart_join join;
    struct op first, next;
    lock_start(rt, &first, READ_LOCK, &rw);
    CHECK_RES(nart_rt_spawn(rt, &racer_type, NULL, &join), 0);
    settle(rt);
    unlock(rt, &first); /* granted to a body that waits in the race */
    CHECK(rw.holders.first);
    lock_start(rt, &next, WRITE_LOCK, &rw);
    struct racer *f =
        (struct racer *)(void *)((char *)rw.holders.first - offsetof(struct racer, lock));
    nart_notify_one(&f->stop);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(next.res, 0);
    unlock(rt, &next);
    nart_join_release(&join);
}

/* A dump names the lock beside what the task waits for, or does. */
TEST_WITH(a_dump_shows_who_holds_it, rt)
{
    struct op holder, waits;
    struct doer f = { .deed = RELEASES_TWICE };
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    CHECK(out);
    lock_start(rt, &holder, READ_LOCK, &rw);
    lock_start(rt, &waits, WRITE_LOCK, &rw);
    CHECK_RES(nart_rt_spawn(rt, &doer_type, &f, NULL), 0);
    settle(rt);
    nart_rt_dump(rt, out);
    fclose(out);
    CHECK(strstr(text, "parked: holds a lock\n"));
    CHECK(strstr(text, "notify\n"));
    CHECK(strstr(text, "  lock\n"));
    CHECK(strstr(text, "sleep  deadline"));
    free(text);
    unlock(rt, &holder);
    unlock(rt, &waits);
    run_all(rt);
}

/* ---- a program ---- */

/* Locks again right after its release: the others still get their turns. */
struct greedy {
    nart_co co;
    nart_lock lock;
    char *order, name;
    int i;
    nart_res r;
};

static nart_res greedy_run(nart_cx *cx, void *frame)
{
    struct greedy *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 3; f->i++) {
        NART_AWAIT(f->r, nart_mutex_lock(cx, &m, &f->lock));
        CHECK_RES(f->r, 0);
        strncat(f->order, &f->name, 1);
        NART_YIELD();
        CHECK_EQ(f->order[strlen(f->order) - 1], f->name); /* it was alone */
        CHECK_RES(nart_lock_release(&f->lock), 0);
    }
    NART_END(0);
}

static const nart_task_type greedy_type = NART_TASK_TYPE(struct greedy, greedy_run, NULL);

TEST_WITH(a_mutex_goes_round, rt)
{
    char order[16] = "";

    for (char name = 'a'; name <= 'c'; name++) {
        struct greedy f = { .order = order, .name = name };
        CHECK_RES(nart_rt_spawn(rt, &greedy_type, &f, NULL), 0);
    }
    run_all(rt);
    CHECK_STR(order, "abcabcabc");
}
