/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every wait by C tasks on tokio, which its threads poll in turn: those of the ends of channels between
 * threads and of oneshots work there as on a loop; the others, which are plain memory of a loop's thread,
 * are refused. And tasks of a loop that stand between tokio and others. */
#include "bridge.h"
#include "waits.h"

#include <nart/clock.h>
#include <nart/time.h>

static uint64_t parked, values;

/* One wait on tokio. It answers what the wait does, or NART_EEXHAUSTED for -ECANCELED, of which tokio
 * would make NART_EABORTED. */
struct moved {
    nart_co co;
    const struct a_wait *wait;
    int64_t limit;
};

static nart_res counted(nart_cx *cx, const struct a_wait *wait)
{
    nart_res r = wait->wait(cx, wait->i, &all.waiters[0]);

    if (r == NART_PENDING)
        count(&parked);
    return r;
}

static nart_res moved_run(nart_cx *cx, void *frame)
{
    struct moved *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (f->limit)
        NART_AWAIT_FOR(r, f->limit, counted(cx, f->wait));
    else
        NART_AWAIT(r, counted(cx, f->wait));
    NART_END(r == -ECANCELED ? NART_EEXHAUSTED : r);
}

static const nart_task_type moved_type =
    NART_TASK_TYPE_FLAGS(struct moved, moved_run, NULL, NART_TASK_SEND);

/* The fixture `two_workers`: tasks move between them. */
static void two_workers_open(void)
{
    open_with_workers(2);
}

static void two_workers_close(void)
{
    both_close();
}

/* Opens all, with receivers of no runtime. */
static void open_unbound(void)
{
    open_all(loop);
    for (int i = 1; i < CHANNELS; i++)
        CHECK_RES(nart_rx_bind(&all.rx[i], NULL), 0);
    for (int i = 0; i < BYTES; i++)
        CHECK_RES(nart_bytes_rx_bind(&all.brx[i], NULL), 0);
}

static void start(const struct a_wait *wait, int64_t limit, nart_tokio_op *op)
{
    const struct moved init = { .wait = wait, .limit = limit };

    *op = (nart_tokio_op){ 0 };
    set_word(&parked, 0);
    CHECK_RES(nart_tokio_spawn_task(bridge, &moved_type, &init, op), 0);
}

static void check_answer(const struct a_wait *wait, nart_tokio_op *op, nart_res expected)
{
    nart_res r = wait_for_answer(op, NULL);

    if (r != expected)
        test_fail(__FILE__, __LINE__, "%s: %s, not %s", wait->name, nart_err_name(r),
                  nart_err_name(expected));
    nart_tokio_op_close(op);
}

static bool is_receive(const struct a_wait *wait)
{
    return wait->wait == wait_chan_recv || wait->wait == wait_bytes_recv;
}

TEST_WITH(objects_of_a_loop_are_refused, two_workers)
{
    nart_tokio_op op;

    for (int i = 0; i < WAITS; i++) {
        if ((waits[i].moves && !is_receive(&waits[i])) || waits[i].wait == wait_remote_join)
            continue; /* works there */
        if (waits[i].wait == wait_shutdown || waits[i].wait == wait_pool)
            continue; /* that of the task's own runtime, its own jobs: see test_group.c */
        open_all(loop);
        if (waits[i].wait == wait_lock) /* its keeper takes it */
            CHECK_LE(0, nart_rt_poll(loop, 0));
        start(&waits[i], 0, &op);
        check_answer(&waits[i], &op, waits[i].moves ? NART_EWRONGTHREAD : NART_EDRIVER);
        close_all();
    }
}

/* What would not have to wait is answered there as well. */
TEST_WITH(a_wait_that_is_over_needs_no_loop, two_workers)
{
    static const struct a_wait cancelled = { .name = "token", .wait = wait_token, .i = 1 };
    nart_tokio_op op;

    open_all(loop);
    nart_token_cancel(&all.token);
    start(&cancelled, 0, &op);
    check_answer(&cancelled, &op, 0);
    close_all();
}

TEST_WITH(channel_ends_wait_and_are_woken, two_workers)
{
    nart_tokio_op op;

    for (int i = 0; i < WAITS; i++) {
        if (!waits[i].moves)
            continue;
        open_unbound();
        start(&waits[i], 0, &op);
        wait_for(&parked, 1);
        CHECK(waits[i].serve(waits[i].i));
        check_answer(&waits[i], &op, 0);
        close_all();
    }
}

TEST_WITH(channel_ends_are_woken_by_a_close, two_workers)
{
    nart_tokio_op op;

    for (int i = 0; i < WAITS; i++) {
        if (!waits[i].moves || waits[i].wait == wait_signal)
            continue; /* a signal has one end */
        open_unbound();
        start(&waits[i], 0, &op);
        wait_for(&parked, 1);
        for (int k = 0; k < CHANNELS; k++) {
            nart_tx_close(&all.tx[k]);
            nart_rx_close(&all.full_rx[k]);
        }
        for (int k = 0; k < BYTES; k++) {
            nart_bytes_tx_close(&all.btx[k]);
            nart_bytes_rx_close(&all.full_brx[k]);
        }
        nart_oneshot_tx_close(&all.otx[0]);
        check_answer(&waits[i], &op, NART_ECLOSED);
        close_all();
    }
}

/* What such a wait was for is there for the next one. */
TEST_WITH(cancelled_waits_leave_nothing_behind, two_workers)
{
    nart_tokio_op op;

    for (int i = 0; i < WAITS; i++) {
        if (!waits[i].moves)
            continue;
        open_unbound();
        start(&waits[i], 0, &op);
        wait_for(&parked, 1);
        nart_tokio_op_cancel(&op);
        check_answer(&waits[i], &op, NART_EEXHAUSTED);
        start(&waits[i], NART_MS, &op);
        check_answer(&waits[i], &op, -ETIMEDOUT);
        CHECK(waits[i].serve(waits[i].i));
        start(&waits[i], 0, &op);
        check_answer(&waits[i], &op, 0);
        close_all();
    }
}

TEST_WITH(a_task_on_tokio_awaits_one_of_a_loop, two_workers)
{
    static const struct a_wait join = { .name = "remote join", .wait = wait_remote_join };
    nart_tokio_op op;

    open_all(loop);
    CHECK_LE(0, nart_rt_poll(loop, 0));
    start(&join, 0, &op);
    wait_for(&parked, 1);
    nart_tokio_op_cancel(&op);
    check_answer(&join, &op, NART_EEXHAUSTED);
    start(&join, NART_MS, &op);
    check_answer(&join, &op, -ETIMEDOUT);
    start(&join, 0, &op);
    wait_for(&parked, 1);
    CHECK(serve_job(POOLS));
    CHECK_LE(0, nart_rt_poll(loop, 0));
    check_answer(&join, &op, 0);
    start(&join, 0, &op);
    check_answer(&join, &op, NART_EUSED);
    close_all();
}

/* ---- streams through channels with few places ---- */

enum { VALUES = 20000 };

/* Takes from one channel and puts into the other. On tokio. */
struct relay {
    nart_co co;
    nart_rx *rx;
    nart_tx *tx;
    uint64_t value;
    nart_res r;
};

static nart_res relay_run(nart_cx *cx, void *frame)
{
    struct relay *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_recv(cx, f->rx, &f->value));
        if (f->r)
            break;
        NART_AWAIT(f->r, nart_send(cx, f->tx, &f->value));
        CHECK_RES(f->r, 0);
    }
    nart_tx_close(f->tx);
    nart_rx_close(f->rx);
    NART_END(f->r == NART_ECLOSED ? 0 : f->r);
}

static const nart_task_type relay_type =
    NART_TASK_TYPE_FLAGS(struct relay, relay_run, NULL, NART_TASK_SEND);

/* On the loop. */
struct source {
    nart_co co;
    nart_tx *tx;
    uint64_t i;
    nart_res r;
};

static nart_res source_run(nart_cx *cx, void *frame)
{
    struct source *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < VALUES; f->i++) {
        NART_AWAIT(f->r, nart_send(cx, f->tx, &f->i));
        CHECK_RES(f->r, 0);
    }
    nart_tx_close(f->tx);
    NART_END(0);
}

static const nart_task_type source_type = NART_TASK_TYPE(struct source, source_run, NULL);

struct sink {
    nart_co co;
    nart_rx *rx;
    uint64_t value, next;
    nart_res r;
};

static nart_res sink_run(nart_cx *cx, void *frame)
{
    struct sink *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_recv(cx, f->rx, &f->value));
        if (f->r)
            break;
        CHECK_EQ(f->value, f->next);
        f->next++;
        count(&values);
    }
    NART_END(f->r == NART_ECLOSED ? 0 : f->r);
}

static const nart_task_type sink_type = NART_TASK_TYPE(struct sink, sink_run, NULL);

static void stream(uint32_t kind)
{
    const nart_chan_opts o = { .size = sizeof o, .kind = kind, .elem = 8, .capacity = 4 };
    nart_tx to, from;
    nart_rx there, back;
    nart_tokio_op op = { 0 };

    set_word(&values, 0);
    CHECK_RES(nart_chan_open(loop, &o, &to, &there), 0);
    CHECK_RES(nart_chan_open(loop, &o, &from, &back), 0);
    CHECK_RES(nart_rx_bind(&there, NULL), 0);
    const struct relay relay = { .rx = &there, .tx = &from };
    const struct source source = { .tx = &to };
    const struct sink sink = { .rx = &back };
    CHECK_RES(nart_tokio_spawn_task(bridge, &relay_type, &relay, &op), 0);
    CHECK_RES(nart_rt_spawn(loop, &source_type, &source, NULL), 0);
    CHECK_RES(run(&sink_type, &sink), 0);
    CHECK_EQ(read_word(&values), VALUES);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    nart_rx_close(&back);
}

TEST_WITH(values_are_sent_to_tokio_and_back, two_workers)
{
    stream(NART_CHAN_SPSC);
    stream(NART_CHAN_MPSC);
}

/* ---- time ---- */

struct ticker {
    nart_co co;
    nart_interval interval;
    nart_backoff backoff;
    int64_t t0;
    nart_res r;
    int i;
};

static nart_res ticker_run(nart_cx *cx, void *frame)
{
    struct ticker *f = frame;

    NART_BEGIN(cx, &f->co);
    f->t0 = clock_now();
    CHECK_RES(nart_interval_init(cx, &f->interval, NART_MS), 0);
    for (f->i = 1; f->i <= 5; f->i++) {
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->interval));
        CHECK_RES(f->r, 0);
        CHECK_LE(f->i * NART_MS, clock_now() - f->t0);
    }
    f->t0 = clock_now();
    f->backoff = (nart_backoff){
        .initial = NART_MS, .max = 2 * NART_MS, .deadline = NART_NEVER, .retries = 2
    };
    NART_AWAIT(f->r, nart_backoff_wait(cx, &f->backoff));
    NART_AWAIT(f->r, nart_backoff_wait(cx, &f->backoff));
    CHECK_RES(f->r, 0);
    CHECK_LE(3 * NART_MS, clock_now() - f->t0);
    NART_AWAIT(f->r, nart_backoff_wait(cx, &f->backoff));
    NART_END(f->r);
}

static const nart_task_type ticker_type =
    NART_TASK_TYPE_FLAGS(struct ticker, ticker_run, NULL, NART_TASK_SEND);

TEST_WITH(intervals_and_backoffs_use_the_drivers_clock, two_workers)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_spawn_task(bridge, &ticker_type, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EEXHAUSTED);
    nart_tokio_op_close(&op);
}

/* ---- a channel of the loop, fed by a task that waits for tokio ---- */

struct feeder {
    nart_co co;
    nart_tx tx;
    nart_tokio_op op;
    uint64_t i;
    int64_t value;
    nart_res r;
};

static nart_res feeder_run(nart_cx *cx, void *frame)
{
    struct feeder *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 5; f->i++) {
        CHECK_RES(test_sleep(bridge, 1, &f->op), 0);
        NART_AWAIT(f->r, nart_tokio_op_await(cx, &f->op, &f->value));
        CHECK_RES(f->r, 0);
        nart_tokio_op_close(&f->op);
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->i));
        CHECK_RES(f->r, 0);
    }
    nart_tx_close(&f->tx);
    NART_END(0);
}

static const nart_task_type feeder_type = NART_TASK_TYPE(struct feeder, feeder_run, NULL);

TEST_WITH(a_local_channel_is_fed_by_tokio, two_workers)
{
    const nart_chan_opts o = {
        .size = sizeof o, .kind = NART_CHAN_LOCAL, .elem = 8, .capacity = 1
    };
    struct feeder feeder = { .i = 0 };
    nart_rx rx;

    set_word(&values, 0);
    CHECK_RES(nart_chan_open(loop, &o, &feeder.tx, &rx), 0);
    CHECK_RES(nart_rt_spawn(loop, &feeder_type, &feeder, NULL), 0);
    const struct sink sink = { .rx = &rx };
    CHECK_RES(run(&sink_type, &sink), 0);
    CHECK_EQ(read_word(&values), 5);
    nart_rx_close(&rx);
}

/* ---- the loop's clock, when it advances by itself ---- */

#define DAY (86400 * NART_SEC)

struct napper {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static nart_res napper_run(nart_cx *cx, void *frame)
{
    struct napper *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, DAY));
    NART_END(f->r);
}

static const nart_task_type napper_type = NART_TASK_TYPE(struct napper, napper_run, NULL);

/* Awaits what tokio does, of either kind: for the loop no time passes. */
struct patient {
    nart_co co;
    nart_tokio_op op;
    nart_tokio_local local;
    int64_t at, value;
    nart_res r;
};

static nart_res patient_run(nart_cx *cx, void *frame)
{
    struct patient *f = frame;

    NART_BEGIN(cx, &f->co);
    f->at = nart_now(cx);
    CHECK_RES(test_sleep(bridge, 2, &f->op), 0);
    NART_AWAIT(f->r, nart_tokio_op_await(cx, &f->op, &f->value));
    CHECK_RES(f->r, 0);
    nart_tokio_op_close(&f->op);
    CHECK_RES(test_local_sleep(bridge, 2, &f->local), 0);
    NART_AWAIT(f->r, nart_tokio_local_await(cx, &f->local, &f->value));
    CHECK_RES(f->r, 0);
    CHECK_RES(nart_tokio_local_close(&f->local), 0);
    CHECK_EQ(nart_now(cx), f->at);
    NART_END(0);
}

static const nart_task_type patient_type = NART_TASK_TYPE(struct patient, patient_run, NULL);

TEST_WITH(bridge_operations_hold_the_clock_of_the_loop, two_workers)
{
    CHECK_RES(nart_rt_clock_pause(loop), 0);
    CHECK_RES(nart_rt_clock_auto(loop), 0);
    int64_t at = nart_rt_now(loop);
    CHECK_RES(nart_rt_spawn(loop, &napper_type, NULL, NULL), 0);
    CHECK_RES(run(&patient_type, NULL), 0);
    CHECK_RES(nart_rt_run(loop), 0);
    CHECK_EQ(nart_rt_now(loop), at + DAY);
}
