/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A runtime is freed while its tasks wait on every kind of object: tasks that unwind and tasks that
 * ignore cancellation, in either order of slots. The objects are then used, closed, and awaited by
 * tasks of the next runtime. */
#include "../core/core.h"
#include "waits.h"

static nart_rt *rt;

/* Waits regardless of any error. */
static nart_res deaf_poll(nart_cx *cx, void *frame)
{
    const struct waiter *f = frame;

    waiting++;
    (void)f->wait->wait(cx, f->wait->i, waiter_of(f->wait));
    return NART_PENDING;
}

static const nart_task_type deaf_type = NART_TASK_TYPE(struct waiter, deaf_poll, NULL);

static uint32_t reports;

static void count_report(void *arg, const char *line)
{
    (void)arg;
    CHECK(strstr(line, "waiter"));
    reports++;
}

static nart_rt *quiet_rt(void)
{
    return NEW_RT(.report = count_report);
}

static void begin(const nart_task_type *type, bool backwards)
{
    rt = quiet_rt();
    open_all(rt);
    for (int i = 0; i < WAITS; i++) {
        const struct waiter init = { .wait = &waits[backwards ? WAITS - 1 - i : i] };
        CHECK_RES(nart_rt_spawn(rt, type, &init, NULL), 0);
    }
    settle(rt);
    CHECK_EQ(waiting, WAITS);
}

/* Others are waited for: two tasks, a remote one and the jobs of pools. Two hold a lock. They end with
 * -ECANCELED. */
static void freed(uint64_t cancelled, uint64_t dropped)
{
    nart_rt_end end = NART_RT_END_INIT;

    reports = 0;
    CHECK_RES(nart_rt_free_counted(rt, &end), 0);
    CHECK_EQ(end.cancelled, cancelled + 3 + POOLS + LOCKS);
    CHECK_EQ(end.dropped, dropped);
    CHECK_EQ(reports, dropped);
}

/* The abandoned waits left nothing behind: no slot is reserved, no value is lost. */
static void use(void)
{
    nart_bytes_msg msg;
    uint64_t value = 7;

    for (int i = 0; i < CHANNELS; i++) {
        CHECK_RES(nart_try_send(&all.tx[i], &value), 0);
        CHECK_RES(nart_try_send(&all.tx[i], &value), -EAGAIN);
        CHECK_RES(nart_try_recv(&all.rx[i], &value), 0);
        CHECK_RES(nart_try_recv(&all.rx[i], &value), -EAGAIN);
        CHECK_RES(nart_try_recv(&all.full_rx[i], &value), 0);
        CHECK_RES(nart_try_recv(&all.full_rx[i], &value), -EAGAIN);
        CHECK_RES(nart_try_send(&all.full_tx[i], &value), 0);
    }
    for (int i = 0; i < BYTES; i++) {
        CHECK_RES(nart_bytes_try_send(&all.btx[i], all.text, 1), 0);
        CHECK_RES(nart_bytes_try_recv(&all.brx[i], &msg), 0);
        CHECK_RES(nart_bytes_release(&all.brx[i], &msg), 0);
        CHECK_RES(nart_bytes_try_recv(&all.full_brx[i], &msg), 0);
        CHECK_RES(nart_bytes_release(&all.full_brx[i], &msg), 0);
        CHECK_RES(nart_bytes_try_recv(&all.full_brx[i], &msg), -EAGAIN);
        CHECK_RES(nart_bytes_try_send(&all.full_btx[i], all.text, sizeof all.text), 0);
    }
    CHECK_RES(nart_oneshot_send(&all.otx[0], &value), 0);
    CHECK_RES(nart_oneshot_try_recv(&all.orx[0], &value), 0);
    CHECK_RES(nart_oneshot_send(&all.otx[1], &value), 0);
    CHECK_RES(nart_oneshot_try_recv(&all.orx[1], &value), 0);
    CHECK_RES(nart_watch_send(&all.wtx, &value), 1);
    CHECK_RES(nart_watch_get(&all.wrx, &value), 0);
    CHECK_RES(nart_broadcast_send(&all.ctx, &value), 1);
    CHECK_RES(nart_broadcast_try_recv(&all.crx, &value, NULL), 0);
    nart_notify_all(&all.notify);
    CHECK_RES(nart_semaphore_release(&all.semaphore, 1), 0);
    CHECK_RES(nart_semaphore_try_acquire(&all.semaphore, 1), 0);
    for (int i = 0; i < LOCKS; i++)
        CHECK(!all.lock[i].holders.first && !all.lock[i].queue.first);
    CHECK_RES(nart_join_done(&all.join), 0);
    CHECK_RES(nart_task_set_cancel(&all.set), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
}

/* Reuses the objects and the waiters. */
static void wait_again(void)
{
    rt = quiet_rt();
    waiting = 0;
    for (int i = 0; i < WAITS; i++) {
        const struct waiter init = { .wait = &waits[i] };
        bool fits = waits[i].wait == wait_notify || waits[i].wait == wait_semaphore ||
                    waits[i].wait == wait_group || waits[i].wait == wait_shutdown ||
                    waits[i].wait == wait_watch || waits[i].wait == wait_broadcast;
        if (fits)
            CHECK_RES(nart_rt_spawn(rt, &waiter_type, &init, NULL), 0);
    }
    settle(rt);
    CHECK_EQ(waiting, 6);
    close_all();
    CHECK_RES(nart_rt_shutdown(rt), 0);
    settle(rt);
    CHECK_EQ(waiting, 0);
    CHECK_RES(nart_rt_free(rt), 0);
    close_all();
}

TEST(tasks_that_unwind)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        begin(&waiter_type, backwards);
        freed(WAITS, 0);
        CHECK_EQ(waiting, 0);
        use();
        wait_again();
    }
}

TEST(tasks_that_do_not_listen)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        begin(&deaf_type, backwards);
        freed(0, WAITS);
        use();
        wait_again();
    }
}

/* Closed at once, after cancelling the token. */
TEST(what_was_waited_in_is_closed_without_being_used)
{
    begin(&waiter_type, false);
    freed(WAITS, 0);
    close_all();
    close_all();
    begin(&deaf_type, true);
    freed(0, WAITS);
    close_all();
}
