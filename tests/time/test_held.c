/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which waits hold an automatically advancing clock: those that another thread may end by sending
 * or receiving, and no others. Tokens and shutdowns do not, although another thread may cancel or
 * request them. */
#include "../core/core.h"
#include "waits.h"

#include <nart/clock.h>
#include <nart/time.h>

#define DAY (86400 * NART_SEC)

struct nap {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, DAY));
    NART_END(f->r);
}

static const nart_task_type nap_type = NART_TASK_TYPE(struct nap, nap_run, NULL);

static nart_rt *rt;

static void begin(void)
{
    rt = new_rt();
    open_all(rt);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_rt_clock_auto(rt), 0);
}

static void end(void)
{
    close_all();
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Spawns a task that waits in this way, and one that sleeps for a day. */
static void one_wait(const struct a_wait *wait, nart_join *sleeper)
{
    const struct waiter init = { .wait = wait };

    CHECK_RES(nart_rt_spawn(rt, &waiter_type, &init, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, sleeper), 0);
    for (int i = 0; i < 20; i++)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_EQ(waiting, 1);
}

static void check_held(const struct a_wait *wait, const nart_join *sleeper)
{
    if (nart_join_done(sleeper) == wait->outside)
        test_fail(__FILE__, __LINE__, "%s: held should be %d", wait->name, wait->outside);
}

TEST(by_what_another_thread_may_send_or_take)
{
    for (int i = 0; i < WAITS; i++) {
        nart_join sleeper = { .hub = NULL };
        begin();
        one_wait(&waits[i], &sleeper);
        check_held(&waits[i], &sleeper);
        nart_join_release(&sleeper);
        end();
    }
}

/* Time advances once the wait has ended. */
TEST(no_longer_than_the_wait)
{
    for (int i = 0; i < WAITS; i++) {
        nart_join sleeper = { .hub = NULL };
        if (!waits[i].outside)
            continue;
        begin();
        one_wait(&waits[i], &sleeper);
        int64_t at = nart_rt_now(rt);
        close_all();
        while (!nart_join_done(&sleeper)) /* hangs here on failure */
            CHECK_LE(0, nart_rt_poll(rt, 0));
        CHECK_EQ(waiting, 0);
        CHECK_EQ(nart_rt_now(rt), at + DAY);
        nart_join_release(&sleeper);
        end();
    }
}

/* A wait's own deadline is held too: the event may occur before it. */
static nart_res limited_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(answered, DAY, f->wait->wait(cx, f->wait->i, waiter_of(f->wait)));
    NART_END(answered);
}

static const nart_task_type limited_type = NART_TASK_TYPE(struct waiter, limited_run, NULL);

TEST(with_a_deadline_as_well)
{
    for (int i = 0; i < WAITS; i++) {
        const struct waiter init = { .wait = &waits[i] };
        begin();
        answered = 1;
        CHECK_RES(nart_rt_spawn(rt, &limited_type, &init, NULL), 0);
        for (int k = 0; k < 20; k++)
            CHECK_LE(0, nart_rt_poll(rt, 0));
        CHECK_RES(answered, waits[i].outside ? 1 : -ETIMEDOUT);
        end();
    }
}
