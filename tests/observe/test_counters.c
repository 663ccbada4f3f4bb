/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The counters of a runtime: each counts exactly the events that happened. */
#include "observe.h"
#include "threads.h"

FIXTURE_PAUSED(.name = "test");

static nart_res nap_run(nart_cx *cx, void *frame)
{
    return nart_sleep(cx, frame, 10 * NART_MS);
}

static const nart_task_type nap_type = NART_TASK_TYPE(nart_timer, nap_run, NULL);

struct relay {
    nart_co co;
    nart_rx rx;
    nart_tx tx;
    uint64_t value;
    nart_res r;
};

static nart_res relay_run(nart_cx *cx, void *frame)
{
    struct relay *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
        if (f->r)
            break;
        if (--f->value == 0)
            break;
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
    }
    nart_rx_close(&f->rx);
    nart_tx_close(&f->tx);
    NART_END(0);
}

static const nart_task_type relay_type = NART_TASK_TYPE(struct relay, relay_run, NULL);

TEST_WITH(local_wakes_are_counted_while_observed, rt)
{
    struct relay *a = spawn(rt, &relay_type, NULL), *b = spawn(rt, &relay_type, NULL);
    uint64_t n = 10;

    new_chan(rt, 1, &a->tx, &b->rx);
    new_chan(rt, 1, &b->tx, &a->rx);
    settle(rt);
    CHECK_EQ(stats_of(rt).wakes_local, 0);
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_try_send(&a->tx, &n), 0); /* wakes b, from outside any task */
    settle(rt);
    CHECK_EQ(stats_of(rt).wakes_local, 10); /* nine more values, and the close */
    CHECK_EQ(stats_of(rt).wakes_foreign, 0);
}

/* ---- from other threads ---- */

struct woken {
    nart_waker waker;
    int polls;
};

static nart_res woken_run(nart_cx *cx, void *frame)
{
    struct woken *f = frame;

    f->waker = nart_cx_waker(cx);
    return ++f->polls == 4 ? 0 : nart_op_park(cx);
}

static const nart_task_type woken_type = NART_TASK_TYPE(struct woken, woken_run, NULL);

static void *wake_it(void *waker)
{
    nart_waker_wake(*(nart_waker *)waker);
    return NULL;
}

TEST_WITH(foreign_wakes_and_redundant_ones_are_counted, rt)
{
    struct woken *f = spawn(rt, &woken_type, NULL);

    settle(rt);
    thread_run(wake_it, &f->waker);
    settle(rt);
    CHECK_EQ(stats_of(rt).wakes_foreign, 1);
    CHECK_EQ(stats_of(rt).wakes_coalesced, 0);
    nart_waker_wake(f->waker);
    nart_waker_wake(f->waker); /* absorbed in the inbox: the loop does not see it */
    settle(rt);
    CHECK_EQ(stats_of(rt).wakes_foreign, 2);
    CHECK_EQ(stats_of(rt).wakes_coalesced, 0);
    CHECK_EQ(f->polls, 3);
    nart_waker_wake(f->waker);
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), 0);
    CHECK_EQ(stats_of(rt).eventfd_writes, 0); /* the loop did not sleep */
}

TEST_WITH(a_wake_of_a_task_that_is_ready_coalesces, rt)
{
    nart_join join;
    struct woken *f = spawn(rt, &woken_type, &join);

    settle(rt);
    CHECK_RES(cancel(rt, &join), 0); /* makes it ready */
    nart_waker_wake(f->waker);
    settle(rt);
    CHECK_EQ(f->polls, 2);
    CHECK_EQ(stats_of(rt).wakes_foreign, 1);
    CHECK_EQ(stats_of(rt).wakes_coalesced, 1);
    nart_waker_wake(f->waker);
    nart_waker_wake(f->waker);
    settle(rt);
    nart_waker_wake(f->waker);
    settle(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

TEST(writes_of_the_eventfd)
{
    rt_open();
    struct woken *f = spawn(rt, &woken_type, NULL);

    CHECK_LE(0, nart_rt_backend_fd(rt)); /* a host waits: the loop counts as parked between polls */
    settle(rt);
    for (unsigned i = 1; i <= 3; i++) {
        nart_waker_wake(f->waker);
        CHECK_EQ(stats_of(rt).eventfd_writes, i);
        settle(rt);
    }
    CHECK_EQ(nart_rt_task_count(rt), 0);
    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0); /* notifies the host as well */
    CHECK_EQ(stats_of(rt).eventfd_writes, 4);
    rt_close();

    rt = new_rt(); /* on the same hub */
    CHECK_EQ(stats_of(rt).eventfd_writes, 0);
    rt_close();
}

/* ---- time and budget ---- */

static void nap(int64_t passes)
{
    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0);
    settle(rt);
    CHECK_RES(nart_rt_clock_advance(rt, passes), 0);
    settle(rt);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

TEST_WITH(timers_that_are_late, paused)
{
    nap(10 * NART_MS);
    nap(11 * NART_MS);
    CHECK_EQ(stats_of(rt).timers_late, 0);
    nap(11 * NART_MS + 1);
    CHECK_EQ(stats_of(rt).timers_late, 1);
    CHECK_EQ(stats_of(rt).timers_fired, 3);
}

struct reader {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    nart_res r;
    int i;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < NART_BUDGET + 1; f->i++) { /* two answers per round */
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    }
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
    NART_END(0);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

TEST_WITH(budgets_that_are_spent, rt)
{
    struct reader *f = spawn(rt, &reader_type, NULL);

    new_chan(rt, 1, &f->tx, &f->rx);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(stats_of(rt).budgets_spent, 2);
    CHECK_EQ(stats_of(rt).polls, 3);
}

/* ---- slots ---- */

struct big {
    nart_timer timer;
    char more[1000];
};

static const nart_task_type big_type = NART_TASK_TYPE(struct big, nap_run, NULL);

TEST_WITH(slots_in_use_and_the_most_that_were, paused)
{
    nart_slot_use use[NART_SLOT_CLASSES];
    nart_join held;

    for (int i = 0; i < 5; i++)
        CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, &held), 0);
    CHECK_RES(nart_rt_spawn(rt, &big_type, NULL, NULL), 0);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[0].bytes, 64);
    CHECK_EQ(use[0].limit, 0);
    CHECK_EQ(use[0].mapped, 4096);
    CHECK_EQ(use[0].used, 6);
    CHECK_EQ(use[0].peak, 6);
    CHECK_EQ(use[4].bytes, 1024);
    CHECK_EQ(use[4].used, 1);
    settle(rt);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    settle(rt);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[0].used, 1); /* held by its join */
    CHECK_EQ(use[0].peak, 6);
    CHECK_EQ(use[4].used, 0);
    CHECK_EQ(use[4].peak, 1);
    nart_join_release(&held);
    CHECK_RES(nart_rt_spawn(rt, &nap_type, NULL, NULL), 0);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[0].used, 1);
    CHECK_EQ(use[0].peak, 6);
}

TEST_WITH(a_caller_of_an_older_version_gets_what_it_knows, rt)
{
    struct {
        size_t size;
        uint64_t old[8], guard;
    } s = { .guard = 42 };

    s.size = (size_t)((char *)&s.guard - (char *)&s);
    nart_rt_stats_get(rt, (nart_rt_stats *)(void *)&s);
    CHECK_EQ(s.guard, 42);
}
