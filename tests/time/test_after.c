/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An operation after a sleep, and the time of an event, on a virtual clock. */
#include "../core/core.h"
#include "../core/virtual.h"

struct late {
    nart_co co;
    nart_timer timer, other;
    nart_rx rx;
    int64_t until_ms, limit_ms, at[4];
    uint64_t value;
    nart_res r, again;
    unsigned calls;
    int which;
};

static nart_res recv_counted(nart_cx *cx, struct late *f)
{
    f->calls++;
    return nart_recv(cx, &f->rx, &f->value);
}

static nart_res late_run(nart_cx *cx, void *frame)
{
    struct late *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->limit_ms)
        NART_AWAIT_FOR(f->r, f->limit_ms * NART_MS,
                       NART_AFTER(&f->timer, 10 * NART_MS, recv_counted(cx, f)));
    else if (f->until_ms)
        NART_AWAIT(f->r, NART_AFTER_UNTIL(&f->timer, at_ms(f->until_ms), recv_counted(cx, f)));
    else
        NART_AWAIT(f->r, NART_AFTER(&f->timer, 10 * NART_MS, recv_counted(cx, f)));
    f->at[0] = elapsed_ms();
    CHECK_EQ(f->timer.busy, 0); /* reusable */
    nart_rx_close(&f->rx);
    NART_END(f->r);
}

static const nart_task_type late_type = NART_TASK_TYPE(struct late, late_run, NULL);

struct bed {
    nart_rt *rt;
    nart_tx tx;
    nart_join join;
    struct late *f;
};

static struct bed make(void)
{
    struct bed b = { .rt = new_rt() };
    nart_rx rx;

    new_chan(b.rt, 4, &b.tx, &rx);
    b.f = spawn(b.rt, &late_type, &b.join);
    nart_rx_move(&b.f->rx, &rx);
    return b;
}

static void end(struct bed *b)
{
    CHECK(nart_join_done(&b->join));
    nart_join_release(&b->join);
    nart_tx_close(&b->tx);
    CHECK_RES(nart_rt_free(b->rt), 0);
}

TEST(the_operation_is_not_called_before_the_sleep_is_over)
{
    struct bed b = make();
    uint64_t value = 7;

    CHECK_RES(nart_try_send(&b.tx, &value), 0);
    run_until(b.rt, at_ms(9));
    CHECK_EQ(b.f->calls, 0);
    run_until(b.rt, at_ms(10));
    CHECK_RES(b.f->r, 0);
    CHECK_EQ(b.f->value, 7);
    CHECK_EQ(b.f->calls, 1);
    CHECK_EQ(b.f->at[0], 10);
    end(&b);
}

TEST(after_the_sleep_the_operation_waits_for_as_long_as_it_takes)
{
    struct bed b = make();
    uint64_t value = 7;

    run_until(b.rt, at_ms(500)); /* later polls start no second sleep */
    CHECK_EQ(b.f->calls, 1);
    CHECK_EQ(nart_rt_next_deadline(b.rt), NART_NEVER);
    CHECK_RES(nart_try_send(&b.tx, &value), 0);
    settle(b.rt);
    CHECK_EQ(b.f->at[0], 500);
    CHECK_EQ(b.f->calls, 2);
    end(&b);
}

TEST(the_sleep_can_end_at_an_absolute_time)
{
    struct bed b = make();
    uint64_t value = 7;

    b.f->until_ms = 30;
    CHECK_RES(nart_try_send(&b.tx, &value), 0);
    run_until(b.rt, at_ms(29));
    CHECK_EQ(b.f->calls, 0);
    run_all(b.rt);
    CHECK_EQ(b.f->at[0], 30);
    CHECK_RES(b.f->r, 0);
    end(&b);
}

TEST(a_time_that_has_passed_is_no_sleep)
{
    struct bed b = make();
    uint64_t value = 7;

    virtual_now = at_ms(40);
    b.f->until_ms = 30;
    CHECK_RES(nart_try_send(&b.tx, &value), 0);
    CHECK_RES(nart_rt_poll(b.rt, 0), 1);
    CHECK_RES(b.f->r, 0);
    end(&b);
}

TEST(a_deadline_covers_the_sleep_and_the_operation)
{
    struct bed short_one = make();
    short_one.f->limit_ms = 5;
    run_all(short_one.rt);
    CHECK_RES(short_one.f->r, -ETIMEDOUT);
    CHECK_EQ(short_one.f->at[0], 5);
    CHECK_EQ(short_one.f->calls, 0);
    end(&short_one);

    virtual_now = at_ms(0);
    struct bed b = make();
    b.f->limit_ms = 25;
    run_all(b.rt);
    CHECK_RES(b.f->r, -ETIMEDOUT);
    CHECK_EQ(b.f->at[0], 25);
    end(&b);
}

TEST(cancelled_in_the_sleep_or_in_the_operation)
{
    for (int ms = 5; ms <= 15; ms += 10) {
        virtual_now = at_ms(0);
        struct bed b = make();
        run_until(b.rt, at_ms(ms));
        CHECK_RES(cancel(b.rt, &b.join), 0);
        settle(b.rt);
        CHECK_RES(b.f->r, -ECANCELED);
        CHECK_EQ(b.f->at[0], ms);
        CHECK_EQ(b.f->calls, ms < 10 ? 0 : 2); /* an operation that started gets the error */
        end(&b);
    }
}

/* ---- in a race ---- */

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct late *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, NART_AFTER(&f->timer, 10 * NART_MS, recv_counted(cx, f)),
                   nart_sleep(cx, &f->other, 4 * NART_MS));
    CHECK_EQ(f->which, 1);
    NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->other, 4 * NART_MS),
                   NART_AFTER(&f->timer, 10 * NART_MS, recv_counted(cx, f)));
    CHECK_EQ(f->which, 0);
    CHECK_EQ(f->calls, 0);
    NART_AWAIT(f->r, NART_AFTER(&f->timer, 10 * NART_MS, recv_counted(cx, f))); /* continues */
    f->at[0] = elapsed_ms();
    NART_AWAIT_ANY(f->which, f->r,
                   NART_AFTER(&f->timer, 2 * NART_MS, nart_sleep(cx, &f->other, NART_MS)),
                   recv_counted(cx, f));
    CHECK_EQ(f->which, 0);
    f->at[1] = elapsed_ms();
    nart_rx_close(&f->rx);
    NART_END(f->r);
}

static const nart_task_type racer_type = NART_TASK_TYPE(struct late, racer_run, NULL);

TEST(a_sleep_that_loses_a_race_resumes_where_it_was)
{
    nart_rt *rt = new_rt();
    nart_tx tx;
    nart_rx rx;
    nart_join join;
    uint64_t value = 7;

    new_chan(rt, 4, &tx, &rx);
    struct late *f = spawn(rt, &racer_type, &join);
    nart_rx_move(&f->rx, &rx);
    CHECK_RES(nart_try_send(&tx, &value), 0);
    run_all(rt);
    CHECK_EQ(f->at[0], 10);
    CHECK_EQ(f->at[1], 13);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    nart_tx_close(&tx);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- the time of an event ---- */

struct witness {
    nart_co co;
    nart_timer timer;
    int64_t seen[4];
    unsigned long reads;
    nart_res r;
};

static nart_res witness_run(nart_cx *cx, void *frame)
{
    struct witness *f = frame;

    NART_BEGIN(cx, &f->co);
    f->reads = virtual_reads;
    virtual_now += 3 * NART_MS; /* the work of this poll */
    f->seen[0] = nart_event_time(cx);
    CHECK_EQ(virtual_reads, f->reads); /* a plain load, no clock read */
    f->seen[1] = nart_now(cx);
    f->seen[2] = nart_event_time(cx);
    NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, at_ms(20)));
    virtual_now += 3 * NART_MS;
    f->seen[3] = nart_event_time(cx);
    NART_END(0);
}

static const nart_task_type witness_type = NART_TASK_TYPE(struct witness, witness_run, NULL);

TEST(the_time_of_an_event_is_when_the_loop_saw_it)
{
    nart_rt *rt = new_rt();
    nart_join join;
    struct witness *f = spawn(rt, &witness_type, &join);

    virtual_now = at_ms(2);
    run_all(rt);
    CHECK_EQ(f->seen[0], at_ms(2)); /* not the time of the runtime's creation */
    CHECK_EQ(f->seen[1], at_ms(5));
    CHECK_EQ(f->seen[2], at_ms(5));
    CHECK_EQ(f->seen[3], at_ms(20));
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(rt), 0);
}
