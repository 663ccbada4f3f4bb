/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random programs, reproducible: tasks wait on every kind of object, alone, in races, within
 * deadlines and under shields. Their events come from outside, from each other and from drop
 * functions; or the tasks are cancelled or aborted, the objects closed, or the runtime freed. Each
 * task ends once; no value, slot or permit is lost. */
#include "../core/core.h"
#include "waits.h"

#include <nart/clock.h>

enum { ARMS = 3, RECENT = 16, STEPS = 300 };

static nart_rt *rt;
static uint64_t seed;
static int spawned, dropped;

/* Values sent to and received from the channels, and permits. */
static struct tally {
    long sent, received, full_sent, full_received;
} tally[CHANNELS];
static long released, acquired;

static uint32_t below(uint32_t n)
{
    return random_below(&seed, n);
}

/* Events that end everything at once are rare. */
static void serve(void)
{
    const struct a_wait *wait = &waits[below(WAITS)];
    bool for_good = wait->serve == serve_token || wait->serve == serve_shutdown;

    if ((for_good && below(20)) || !wait->serve(wait->i))
        return;
    if (wait->wait == wait_chan_recv)
        tally[wait->i].sent++;
    else if (wait->wait == wait_chan_send)
        tally[wait->i].full_received++;
    else if (wait->wait == wait_semaphore)
        released++;
}

/* ---- tasks ---- */

enum way { ALONE, WITHIN, RACE, SHIELDED, WAYS };

struct member {
    nart_co co;
    nart_waiter waiters[ARMS];
    const struct a_wait *waits[ARMS];
    uint32_t way, turns;
    int64_t limit;
    int which;
    nart_res r;
};

static nart_res wait_in(nart_cx *cx, struct member *f, int arm)
{
    const struct a_wait *wait = f->waits[arm];

    if (below(8) == 0)
        serve();
    nart_res r = wait->wait(cx, wait->i, &f->waiters[arm]);
    if (r == 0 && wait->wait == wait_chan_recv)
        tally[wait->i].received++;
    else if (r == 0 && wait->wait == wait_chan_send)
        tally[wait->i].full_sent++;
    else if (r == 0 && wait->wait == wait_semaphore)
        acquired++;
    return r;
}

static void choose(struct member *f)
{
    for (int i = 0; i < ARMS; i++)
        f->waits[i] = &waits[below(WAITS)];
    f->way = below(WAYS);
    f->limit = below(2) ? below(3) * NART_MS : -1;
}

static nart_res member_run(nart_cx *cx, void *frame)
{
    struct member *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->turns > 0; f->turns--) {
        choose(f);
        if (f->way == ALONE) {
            NART_AWAIT(f->r, wait_in(cx, f, 0));
        } else if (f->way == WITHIN) {
            NART_AWAIT_FOR(f->r, f->limit, wait_in(cx, f, 0));
        } else if (f->way == RACE) {
            NART_AWAIT_ANY(f->which, f->r, wait_in(cx, f, 0), wait_in(cx, f, 1), wait_in(cx, f, 2));
        } else {
            NART_SHIELD(f->limit);
            NART_AWAIT(f->r, wait_in(cx, f, 0));
            NART_UNSHIELD();
        }
        if (f->r == -ECANCELED)
            break;
    }
    NART_END(0);
}

static void count_drop(void *frame)
{
    (void)frame;
    dropped++;
    if (below(4) == 0)
        serve();
}

static const nart_task_type member_type = NART_TASK_TYPE(struct member, member_run, count_drop);

/* A hand-written poll function: two waits at a time, occasional spurious wakes, and no reaction to
 * cancellation. */
static nart_res deaf_poll(nart_cx *cx, void *frame)
{
    struct member *f = frame;

    if (f->turns-- == 0)
        return 0;
    if (f->turns % 3 == 0)
        choose(f);
    (void)wait_in(cx, f, 0);
    (void)wait_in(cx, f, 1);
    if (below(3) == 0)
        nart_wake_self(cx);
    return NART_PENDING;
}

static const nart_task_type deaf_type = NART_TASK_TYPE(struct member, deaf_poll, count_drop);

/* ---- programs ---- */

static nart_task recent[RECENT];

static void start(void)
{
    struct member init = { .turns = 1 + below(8) };
    nart_join join = { .hub = NULL };

    choose(&init);
    nart_res r = nart_rt_spawn(rt, below(6) ? &member_type : &deaf_type, &init, &join);
    if (r) {
        CHECK_RES(r, NART_ESHUTDOWN);
        return;
    }
    spawned++;
    recent[below(RECENT)] = nart_join_task(&join);
    nart_join_release(&join);
}

static void step(void)
{
    switch (below(8)) {
    case 0:
        start();
        break;
    case 1:
        if (below(2))
            (void)nart_task_cancel(rt, recent[below(RECENT)]);
        else
            (void)nart_task_abort(rt, recent[below(RECENT)]);
        break;
    case 2:
    case 3:
        CHECK_LE(0, nart_rt_poll(rt, 0));
        break;
    case 4:
        CHECK_RES(nart_rt_clock_advance(rt, below(2) * NART_MS), 0);
        break;
    default:
        serve();
    }
}

static void check_nothing_lost(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        const struct tally *t = &tally[i];
        CHECK_EQ(t->sent - t->received, nart_rx_len(&all.rx[i]));
        CHECK_EQ(1 + t->full_sent - t->full_received, nart_rx_len(&all.full_rx[i]));
    }
    CHECK_EQ(released - acquired, nart_semaphore_permits(&all.semaphore));
}

/* An emptied channel has its full capacity. */
static void check_no_place_lost(void)
{
    nart_bytes_msg msg;

    for (int i = 0; i < CHANNELS; i++) {
        while (nart_try_recv(&all.full_rx[i], &all.value) == 0)
            continue;
        CHECK_RES(nart_try_send(&all.full_tx[i], &all.value), 0);
    }
    for (int i = 0; i < BYTES; i++) {
        while (nart_bytes_try_recv(&all.full_brx[i], &msg) == 0)
            CHECK_RES(nart_bytes_release(&all.full_brx[i], &msg), 0);
        CHECK_RES(nart_bytes_try_send(&all.full_btx[i], all.text, sizeof all.text), 0);
    }
}

static void say_nothing(void *arg, const char *line)
{
    (void)arg, (void)line;
}

static void begin(void)
{
    rt = NEW_RT(.report = say_nothing);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    open_all(rt);
    spawned = dropped = 0;
    released = acquired = 0;
    memset(tally, 0, sizeof tally);
    memset(recent, 0, sizeof recent);
}

static void program(void)
{
    bool close_first = below(2);

    begin();
    for (int i = 0; i < STEPS; i++)
        step();
    if (close_first) {
        close_all();
        CHECK_LE(0, nart_rt_poll(rt, 0));
    }
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(dropped, spawned);
    if (!close_first) {
        check_nothing_lost();
        check_no_place_lost();
    }
    close_all();
    CHECK_EQ(test_alloc_live(), 0);
}

TEST(nothing_is_lost_and_all_end)
{
    const uint64_t programs = test_under_valgrind() ? 100 : 3000;

    for (uint64_t n = 1; n <= programs; n++) {
        seed = n * 7919;
        program();
    }
}
