/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Races: which arm wins, what the losers leave behind, and that a turn not taken passes on. The
 * reference loses values that a waiter is woken for and does not take (its defect 7 v). */
#include "core.h"
#include "virtual.h"

static nart_rt *rt;
static nart_tx full_tx; /* keeps the channels open */
static nart_rx full_rx;

static void put(nart_tx *tx, uint64_t v)
{
    CHECK_RES(nart_try_send(tx, &v), 0);
}

static uint64_t take(nart_rx *rx)
{
    uint64_t v = 0;
    CHECK_RES(nart_try_recv(rx, &v), 0);
    return v;
}

static void arms_open(void)
{
    rt = new_rt();
}

static void arms_close(void)
{
    nart_tx_close(&full_tx);
    nart_rx_close(&full_rx);
    nart_rt_free(rt);
}

/* No task waits on this handle. */
static bool idle(const nart__wait *w)
{
    return w->task == NULL;
}

/* ---- every kind of arm ---- */

struct nap {
    nart_co co;
    nart_timer timer;
    int64_t at;
};

static nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *n = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
    NART_AWAIT(r, nart_sleep_until(cx, &n->timer, n->at));
    NART_END(r ? r : 42);
}

static const nart_task_type nap_type = NART_TASK_TYPE(struct nap, nap_run, NULL);

struct race {
    nart_co co;
    nart_tx ta, tb;
    nart_rx a, b;
    nart_join child;
    nart_timer timer;
    int64_t at;
    uint64_t va, vb;
    nart_res r, answer;
    int which, rounds, max;
    int wins[4];
};

static nart_res race_run(nart_cx *cx, void *frame)
{
    struct race *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->rounds = 0; f->rounds < f->max; f->rounds++) {
        NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->a, &f->va), nart_recv(cx, &f->b, &f->vb),
                       nart_join_await(cx, &f->child, &f->answer),
                       nart_sleep_until(cx, &f->timer, f->at));
        CHECK(idle(&f->a.wait) && idle(&f->b.wait) && idle(&f->child.wait));
        if (f->r < 0)
            break;
        f->wins[f->which]++;
    }
    NART_END(f->r);
}

static void race_drop(void *frame)
{
    struct race *f = frame;
    nart_tx_close(&f->ta);
    nart_tx_close(&f->tb);
    nart_rx_close(&f->a);
    nart_rx_close(&f->b);
    nart_join_release(&f->child);
}

static const nart_task_type race_type = NART_TASK_TYPE(struct race, race_run, race_drop);

/* A race of two channels, a task that ends at `nap` ms, and a sleep until 50 ms. */
static struct race *new_race(nart_join *join, int max, int64_t nap)
{
    struct race *f = spawn(rt, &race_type, join);
    struct nap *n = spawn(rt, &nap_type, &f->child);

    n->at = at_ms(nap);
    new_chan(rt, 4, &f->ta, &f->a);
    new_chan(rt, 4, &f->tb, &f->b);
    f->at = at_ms(50);
    f->max = max;
    settle(rt);
    CHECK(!idle(&f->a.wait) && !idle(&f->b.wait) && !idle(&f->child.wait));
    return f;
}

TEST_WITH(the_first_arm_wins, arms)
{
    nart_join join;
    struct race *f = new_race(&join, 1, 30);
    put(&f->ta, 10);
    run_all(rt);
    CHECK_EQ(f->wins[0], 1);
    CHECK_EQ(f->va, 10);
    nart_join_release(&join);
}

TEST_WITH(the_second_arm_wins, arms)
{
    nart_join join;
    struct race *f = new_race(&join, 1, 30);
    put(&f->tb, 11);
    run_all(rt);
    CHECK_EQ(f->wins[1], 1);
    CHECK_EQ(f->vb, 11);
    nart_join_release(&join);
}

TEST_WITH(a_join_wins, arms)
{
    nart_join join;
    struct race *f = new_race(&join, 1, 30);
    run_all(rt);
    CHECK_EQ(f->wins[2], 1);
    CHECK_RES(f->answer, 42);
    CHECK_EQ(elapsed_ms(), 30);
    nart_join_release(&join);
}

TEST_WITH(a_sleep_wins, arms)
{
    nart_join join;
    struct race *f = new_race(&join, 1, 90);
    run_until(rt, at_ms(60));
    CHECK_EQ(f->wins[3], 1);
    run_all(rt);
    nart_join_release(&join);
}

TEST_WITH(a_value_for_the_loser_stays_where_it_is, arms)
{
    nart_join join;
    struct race *f = new_race(&join, 2, 30);
    put(&f->tb, 21);
    put(&f->ta, 20); /* both turns are granted to this task before it runs */
    CHECK_EQ(settle(rt), 1);
    CHECK_EQ(f->wins[0], 1);
    CHECK_EQ(f->wins[1], 1);
    CHECK_EQ(f->va, 20);
    CHECK_EQ(f->vb, 21);
    run_all(rt);
    nart_join_release(&join);
}

TEST_WITH(an_arm_that_is_ready_wins_without_parking, arms)
{
    nart_join join;
    struct race *f = spawn(rt, &race_type, &join);
    new_chan(rt, 4, &f->ta, &f->a);
    new_chan(rt, 4, &f->tb, &f->b);
    f->at = at_ms(50);
    f->max = 1;
    put(&f->tb, 1);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    CHECK_EQ(f->wins[1], 1);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

TEST_WITH(the_handles_that_lost_can_be_moved, arms)
{
    nart_join join;
    nart_rx moved;
    struct race *f = new_race(&join, 1, 30);
    put(&f->ta, 1);
    settle(rt);
    nart_rx_move(&moved, &f->b);
    put(&f->tb, 2);
    CHECK_EQ(take(&moved), 2);
    nart_rx_close(&moved);
    nart_join_release(&join);
}

/* ---- turns: slots of a full channel, granted to the longest-waiting sender ---- */

struct sender {
    nart_co co;
    nart_tx tx;
    nart_timer timer;
    uint64_t value;
    nart_res r;
    int64_t limit;
    int which;
    bool race;
    int64_t race_at;
};

static nart_res sender_run(nart_cx *cx, void *frame)
{
    struct sender *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->race)
        NART_AWAIT_ANY(f->which, f->r, nart_sleep_until(cx, &f->timer, f->race_at),
                       nart_send(cx, &f->tx, &f->value));
    else
        NART_AWAIT_UNTIL(f->r, f->limit, nart_send(cx, &f->tx, &f->value));
    NART_END(f->r);
}

static void sender_drop(void *frame)
{
    nart_tx_close(&((struct sender *)frame)->tx);
}

static const nart_task_type sender_type = NART_TASK_TYPE(struct sender, sender_run, sender_drop);

static struct sender *new_sender(nart_join *join, uint64_t value)
{
    struct sender *f = spawn(rt, &sender_type, join);
    CHECK_RES(nart_tx_clone(&full_tx, &f->tx), 0);
    f->value = value;
    f->r = NART_PENDING;
    f->limit = NART_NEVER;
    f->race_at = at_ms(10);
    return f;
}

enum how { LOST, CANCELLED, ABORTED, TIMED_OUT, CLOSED };

/* Two senders wait for a slot; it is granted to the first, which does not take it. */
static void check_turn_passes(enum how how)
{
    nart_join first, second;
    arms_open();
    new_chan(rt, 1, &full_tx, &full_rx);
    put(&full_tx, 1);
    struct sender *f = new_sender(&first, 2);
    f->race = how == LOST;
    f->limit = how == TIMED_OUT ? at_ms(10) : NART_NEVER;
    settle(rt);
    struct sender *g = new_sender(&second, 3);
    settle(rt);

    CHECK_EQ(take(&full_rx), 1); /* the slot is granted to f */
    uint64_t v = 9;
    CHECK_RES(nart_try_send(&full_tx, &v), -EAGAIN);
    if (how == LOST || how == TIMED_OUT)
        virtual_now = at_ms(10);
    if (how == CANCELLED)
        CHECK_RES(cancel(rt, &first), 0);
    if (how == ABORTED)
        CHECK_RES(abort_task(rt, &first), 0);
    if (how == CLOSED)
        nart_tx_close(&f->tx);
    settle(rt);
    if (how == TIMED_OUT) {
        CHECK_RES(f->r, 0); /* a granted slot takes precedence over the deadline */
        CHECK_EQ(take(&full_rx), 2);
        settle(rt);
    }
    if (how == LOST)
        CHECK_EQ(f->which, 0);
    CHECK_RES(g->r, 0);
    CHECK_EQ(take(&full_rx), 3);
    nart_join_release(&first);
    nart_join_release(&second);
    arms_close();
}

TEST(a_turn_passes_on_when_its_arm_loses)
{
    check_turn_passes(LOST);
}

TEST(a_turn_passes_on_when_its_task_is_cancelled)
{
    check_turn_passes(CANCELLED);
}

TEST(a_turn_passes_on_when_its_task_is_aborted)
{
    check_turn_passes(ABORTED);
}

TEST(a_turn_beats_a_deadline_that_passes_before_the_poll)
{
    check_turn_passes(TIMED_OUT);
}

TEST(a_turn_passes_on_when_its_handle_is_closed)
{
    check_turn_passes(CLOSED);
}

TEST_WITH(a_waiter_that_times_out_leaves_the_queue, arms)
{
    nart_join first, second;
    new_chan(rt, 1, &full_tx, &full_rx);
    put(&full_tx, 1);
    struct sender *f = new_sender(&first, 2);
    f->limit = at_ms(10);
    settle(rt);
    struct sender *g = new_sender(&second, 3);
    run_until(rt, at_ms(20));
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(take(&full_rx), 1);
    settle(rt);
    CHECK_RES(g->r, 0);
    CHECK_EQ(take(&full_rx), 3);
    nart_join_release(&first);
    nart_join_release(&second);
}

/* Spends its budget before it evaluates its wait again. */
struct spender {
    nart_tx tx;
    nart_timer timer;
    nart_waker waker;
    uint64_t value;
    nart_res r;
};

static nart_res spender_poll(nart_cx *cx, void *frame)
{
    struct spender *f = frame;

    for (int i = 0; f->waker.w && i < NART_BUDGET; i++)
        if (nart_sleep_until(cx, &f->timer, 0))
            return -EIO;
    f->r = nart_send(cx, &f->tx, &f->value);
    f->waker = f->waker.w ? (nart_waker){ 0 } : nart_cx_waker(cx); /* spends every second poll */
    return f->r;
}

static void spender_drop(void *frame)
{
    nart_tx_close(&((struct spender *)frame)->tx);
}

static const nart_task_type spender_type =
    NART_TASK_TYPE(struct spender, spender_poll, spender_drop);

/* `granted`: it already has its turn when the budget is spent. */
static void check_put_off(bool granted)
{
    nart_join first, second;
    arms_open();
    new_chan(rt, 1, &full_tx, &full_rx);
    put(&full_tx, 1);
    struct spender *f = spawn(rt, &spender_type, &first);
    CHECK_RES(nart_tx_clone(&full_tx, &f->tx), 0);
    f->value = 2;
    settle(rt);
    struct sender *g = new_sender(&second, 3);
    settle(rt);
    CHECK_RES(f->r, NART_PENDING);
    if (granted)
        CHECK_EQ(take(&full_rx), 1);
    nart_waker_wake(f->waker); /* polled twice: deferred, then evaluated again */
    settle(rt);
    if (!granted)
        CHECK_EQ(take(&full_rx), 1);
    settle(rt);
    CHECK_EQ(take(&full_rx), 2); /* it is still first in the queue */
    settle(rt);
    CHECK_EQ(take(&full_rx), 3);
    CHECK_RES(g->r, 0);
    nart_join_release(&first);
    nart_join_release(&second);
    arms_close();
}

TEST(a_wait_deferred_for_want_of_budget_keeps_its_place)
{
    check_put_off(false);
}

TEST(a_turn_that_is_put_off_for_want_of_budget_is_kept)
{
    check_put_off(true);
}

/* ---- one handle, twice ---- */

struct shared {
    nart_co co;
    nart_rx *rx;
    uint64_t value;
    nart_res r;
};

static nart_res shared_run(nart_cx *cx, void *frame)
{
    struct shared *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_recv(cx, f->rx, &f->value));
    NART_END(f->r);
}

static const nart_task_type shared_type = NART_TASK_TYPE(struct shared, shared_run, NULL);

TEST_WITH(a_second_task_on_a_handle_is_busy, arms)
{
    nart_join first, second;
    new_chan(rt, 1, &full_tx, &full_rx);
    struct shared *f = spawn(rt, &shared_type, &first);
    f->rx = &full_rx;
    f->r = NART_PENDING;
    settle(rt);
    for (int polls = 0; polls < 4; polls++) { /* however often the first was polled in between */
        struct shared *g = spawn(rt, &shared_type, &second);
        g->rx = &full_rx;
        settle(rt);
        CHECK_RES(g->r, -EBUSY);
        nart_join_release(&second);
        CHECK_RES(f->r, NART_PENDING);
    }
    put(&full_tx, 5);
    settle(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->value, 5);
    nart_join_release(&first);
}

struct twice {
    nart_co co;
    struct {
        nart_co co;
        nart_res r;
    } one, two;
    nart_tx tx;
    uint64_t v1, v2;
    nart_res r;
    int which;
    bool bodies;
};

static nart_res twice_one(nart_cx *cx, struct twice *f)
{
    NART_BEGIN(cx, &f->one.co);
    NART_AWAIT(f->one.r, nart_send(cx, &f->tx, &f->v1));
    NART_END(f->one.r);
}

static nart_res twice_two(nart_cx *cx, struct twice *f)
{
    NART_BEGIN(cx, &f->two.co);
    NART_AWAIT(f->two.r, nart_send(cx, &f->tx, &f->v2));
    NART_END(f->two.r);
}

static nart_res twice_run(nart_cx *cx, void *frame)
{
    struct twice *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->bodies)
        NART_AWAIT_ANY(f->which, f->r, twice_one(cx, f), twice_two(cx, f));
    else
        NART_AWAIT_ANY(f->which, f->r, nart_send(cx, &f->tx, &f->v1),
                       nart_send(cx, &f->tx, &f->v2));
    NART_END(f->r);
}

static void twice_drop(void *frame)
{
    nart_tx_close(&((struct twice *)frame)->tx);
}

static const nart_task_type twice_type = NART_TASK_TYPE(struct twice, twice_run, twice_drop);

static struct twice *new_twice(nart_join *join, bool bodies)
{
    new_chan(rt, 1, &full_tx, &full_rx);
    put(&full_tx, 100);
    struct twice *f = spawn(rt, &twice_type, join);
    CHECK_RES(nart_tx_clone(&full_tx, &f->tx), 0);
    f->v1 = 101;
    f->v2 = 102;
    f->bodies = bodies;
    settle(rt);
    return f;
}

TEST_WITH(one_handle_in_two_arms_sends_once, arms)
{
    nart_join join;
    uint64_t v;
    struct twice *f = new_twice(&join, false);
    CHECK_EQ(take(&full_rx), 100);
    settle(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->which, 0);
    CHECK_EQ(take(&full_rx), 101);
    CHECK_RES(nart_try_recv(&full_rx, &v), -EAGAIN);
    nart_join_release(&join);
}

TEST_WITH(two_bodies_of_one_task_on_one_handle_are_busy, arms)
{
    nart_join join;
    struct twice *f = new_twice(&join, true);
    CHECK_RES(f->r, -EBUSY);
    CHECK_EQ(f->which, 1);
    nart_join_release(&join);
}

/* ---- a losing body keeps its position ---- */

struct pair {
    nart_co co;
    nart_rx rx;
    uint64_t one, two;
    bool unwound;
};

static nart_res pair_run(nart_cx *cx, struct pair *p)
{
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT(r, nart_recv(cx, &p->rx, &p->one));
    if (r == 0)
        NART_AWAIT(r, nart_recv(cx, &p->rx, &p->two));
    p->unwound = r < 0;
    NART_END(r);
}

struct chooser {
    nart_co co;
    struct pair pair;
    nart_tx tx;
    nart_rx moved;
    nart_timer timer;
    int64_t tick;
    int ticks, which;
    nart_res r, stopped;
    bool give_up;
};

static nart_res chooser_run(nart_cx *cx, void *frame)
{
    struct chooser *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->tick = at_ms(10);; f->tick += 10 * NART_MS) {
        NART_AWAIT_ANY(f->which, f->r, pair_run(cx, &f->pair),
                       nart_sleep_until(cx, &f->timer, f->tick));
        if (f->which == 0 || f->r < 0)
            break;
        f->ticks++;
        CHECK(idle(&f->pair.rx.wait));
        CHECK(nart_co_active(&f->pair.co));
        if (f->give_up) {
            NART_STOP(f->stopped, pair_run(cx, &f->pair));
            CHECK(!nart_co_active(&f->pair.co));
            nart_rx_move(&f->moved, &f->pair.rx);
            NART_RETURN(0);
        }
    }
    NART_END(f->r);
}

static void chooser_drop(void *frame)
{
    struct chooser *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->pair.rx);
    nart_rx_close(&f->moved);
}

static const nart_task_type chooser_type =
    NART_TASK_TYPE(struct chooser, chooser_run, chooser_drop);

TEST_WITH(a_body_that_loses_resumes_where_it_was, arms)
{
    nart_join join;
    struct chooser *f = spawn(rt, &chooser_type, &join);
    new_chan(rt, 2, &f->tx, &f->pair.rx);
    put(&f->tx, 1);
    run_until(rt, at_ms(30));
    CHECK_EQ(f->ticks, 3);
    CHECK_EQ(f->pair.one, 1);
    put(&f->tx, 2);
    settle(rt);
    CHECK_EQ(f->which, 0);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->pair.two, 2);
    nart_join_release(&join);
}

TEST_WITH(stop_makes_a_body_that_lost_unwind, arms)
{
    nart_join join;
    struct chooser *f = spawn(rt, &chooser_type, &join);
    new_chan(rt, 2, &f->tx, &f->pair.rx);
    f->give_up = true;
    put(&f->tx, 1);
    run_all(rt);
    CHECK_RES(f->stopped, -ECANCELED);
    CHECK(f->pair.unwound);
    put(&f->tx, 2); /* the handle that was moved away still works */
    CHECK_EQ(take(&f->moved), 2);
    nart_join_release(&join);
}

/* ---- races in races ---- */

struct inner {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    int64_t at;
    uint64_t value;
    int which, rounds;
    nart_res r;
};

static nart_res inner_run(nart_cx *cx, struct inner *f)
{
    NART_BEGIN(cx, &f->co);
    for (f->rounds = 0; f->rounds < 3; f->rounds++) {
        NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value),
                       nart_sleep_until(cx, &f->timer, f->at));
        if (f->r < 0)
            break;
        f->at += 10 * NART_MS;
    }
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    NART_END(f->r);
}

struct nest {
    nart_co co;
    struct inner inner;
    nart_tx tx;
    nart_rx rx;
    uint64_t value;
    int which;
    nart_res r;
    bool inner_first;
};

static nart_res nest_run(nart_cx *cx, void *frame)
{
    struct nest *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->inner_first)
        NART_AWAIT_ANY(f->which, f->r, inner_run(cx, &f->inner), nart_recv(cx, &f->rx, &f->value));
    else
        NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value), inner_run(cx, &f->inner));
    CHECK(idle(&f->rx.wait) && idle(&f->inner.rx.wait));
    NART_END(f->r);
}

static void inner_close(struct inner *f)
{
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static void nest_drop(void *frame)
{
    struct nest *f = frame;
    inner_close(&f->inner);
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type nest_type = NART_TASK_TYPE(struct nest, nest_run, nest_drop);

static void check_nested(bool inner_first)
{
    nart_join join;
    arms_open();
    struct nest *f = spawn(rt, &nest_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    new_chan(rt, 1, &f->inner.tx, &f->inner.rx);
    f->inner_first = inner_first;
    f->inner.at = at_ms(10);
    run_all(rt);
    CHECK_EQ(f->inner.rounds, 3);
    CHECK(!idle(&f->rx.wait) && !idle(&f->inner.rx.wait)); /* both arms still wait */
    put(&f->tx, 9);
    settle(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->value, 9);
    CHECK_EQ(f->which, inner_first ? 1 : 0);
    nart_join_release(&join);
    arms_close();
}

TEST(an_inner_race_leaves_the_outer_arm_behind_it_alone)
{
    check_nested(true);
}

TEST(an_inner_race_leaves_the_outer_arm_before_it_alone)
{
    check_nested(false);
}

/* ---- hand-written poll functions ---- */

struct hand {
    nart_tx ta, tb;
    nart_rx rb;
    nart_timer timer;
    uint64_t value;
    int state;
};

/* Waits for a slot in one channel and a value from another; then drops the first wait. */
static nart_res hand_poll(nart_cx *cx, void *frame)
{
    struct hand *f = frame;

    if (f->state == 0) {
        nart_res r = nart_send(cx, &f->ta, &f->value);
        if (r == NART_PENDING)
            r = nart_recv(cx, &f->rb, &f->value);
        if (r)
            return r;
        f->state = 1;
    }
    return nart_sleep_until(cx, &f->timer, at_ms(100));
}

static void hand_drop(void *frame)
{
    struct hand *f = frame;
    nart_tx_close(&f->ta);
    nart_tx_close(&f->tb);
    nart_rx_close(&f->rb);
}

static const nart_task_type hand_type = NART_TASK_TYPE(struct hand, hand_poll, hand_drop);

TEST_WITH(what_a_poll_does_not_ask_for_again_is_withdrawn_and_its_turn_passes_on, arms)
{
    nart_join join, second;
    new_chan(rt, 1, &full_tx, &full_rx);
    put(&full_tx, 1);
    struct hand *f = spawn(rt, &hand_type, &join);
    CHECK_RES(nart_tx_clone(&full_tx, &f->ta), 0);
    new_chan(rt, 1, &f->tb, &f->rb);
    settle(rt);
    struct sender *g = new_sender(&second, 3); /* queued after it */
    settle(rt);
    CHECK(!idle(&f->ta.wait) && !idle(&f->rb.wait));

    put(&f->tb, 7);
    settle(rt);
    CHECK_EQ(f->state, 1);
    CHECK(idle(&f->rb.wait));
    CHECK(!idle(&f->ta.wait));   /* this poll evaluated both */
    CHECK_EQ(take(&full_rx), 1); /* grants it a turn that it no longer wants */
    settle(rt);
    CHECK(idle(&f->ta.wait));
    CHECK_RES(g->r, 0);
    CHECK_EQ(take(&full_rx), 3);
    CHECK_EQ(elapsed_ms(), 0);
    run_all(rt);
    CHECK_EQ(elapsed_ms(), 100);
    nart_join_release(&join);
    nart_join_release(&second);
}

struct hand_two {
    struct inner x, y;
};

static nart_res hand_two_poll(nart_cx *cx, void *frame)
{
    struct hand_two *f = frame;
    nart_res a = inner_run(cx, &f->x);
    return a == NART_PENDING ? inner_run(cx, &f->y) : a;
}

static void hand_two_drop(void *frame)
{
    struct hand_two *f = frame;
    inner_close(&f->x);
    inner_close(&f->y);
}

static const nart_task_type hand_two_type =
    NART_TASK_TYPE(struct hand_two, hand_two_poll, hand_two_drop);

TEST_WITH(two_bodies_polled_by_hand_race_each_for_itself, arms)
{
    nart_join join;
    struct hand_two *f = spawn(rt, &hand_two_type, &join);
    new_chan(rt, 1, &f->x.tx, &f->x.rx);
    new_chan(rt, 1, &f->y.tx, &f->y.rx);
    f->x.at = at_ms(10);
    f->y.at = at_ms(15);
    run_all(rt);
    CHECK_EQ(f->x.rounds, 3);
    CHECK_EQ(f->y.rounds, 3);
    CHECK(!idle(&f->x.rx.wait) && !idle(&f->y.rx.wait));
    put(&f->y.tx, 4);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->y.value, 4);
    nart_join_release(&join);
}

/* ---- deadlines of losers ---- */

struct late {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    int which, polls;
    nart_res r;
};

static nart_res late_run(nart_cx *cx, struct late *f)
{
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r,
                   nart_sleep_until(cx, &f->timer, at_ms(20)), /* earlier than the winner */
                   nart_recv(cx, &f->rx, &f->value));
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    NART_END(f->r);
}

static nart_res late_poll(nart_cx *cx, void *frame)
{
    struct late *f = frame;
    f->polls++;
    return late_run(cx, f);
}

static void late_drop(void *frame)
{
    struct late *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type late_type = NART_TASK_TYPE(struct late, late_poll, late_drop);

TEST_WITH(the_deadline_of_a_loser_is_forgotten, arms)
{
    nart_join join;
    struct late *f = spawn(rt, &late_type, &join);
    new_chan(rt, 1, &f->tx, &f->rx);
    settle(rt);
    put(&f->tx, 1);
    settle(rt);
    CHECK_EQ(f->which, 1);
    CHECK_EQ(f->polls, 2);
    run_until(rt, at_ms(100));
    CHECK_EQ(f->polls, 2); /* no wake at 20 ms */
    put(&f->tx, 2);
    settle(rt);
    CHECK_RES(f->r, 0);
    nart_join_release(&join);
}

/* ---- races in scopes, and cancelled races ---- */

struct scoped {
    nart_co co;
    nart_tx ta, tb;
    nart_rx a, b;
    uint64_t value;
    int which;
    nart_res r;
};

static nart_res scoped_run(nart_cx *cx, void *frame)
{
    struct scoped *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(
        f->r, 20 * NART_MS,
        NART_ANY(f->which, nart_recv(cx, &f->a, &f->value), nart_recv(cx, &f->b, &f->value)));
    CHECK(idle(&f->a.wait) && idle(&f->b.wait));
    NART_END(f->r);
}

static void scoped_drop(void *frame)
{
    struct scoped *f = frame;
    nart_tx_close(&f->ta);
    nart_tx_close(&f->tb);
    nart_rx_close(&f->a);
    nart_rx_close(&f->b);
}

static const nart_task_type scoped_type = NART_TASK_TYPE(struct scoped, scoped_run, scoped_drop);

static struct scoped *new_scoped(nart_join *join)
{
    struct scoped *f = spawn(rt, &scoped_type, join);
    new_chan(rt, 1, &f->ta, &f->a);
    new_chan(rt, 1, &f->tb, &f->b);
    settle(rt);
    return f;
}

TEST_WITH(a_race_in_a_scope_times_out, arms)
{
    nart_join join;
    struct scoped *f = new_scoped(&join);
    run_all(rt);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(elapsed_ms(), 20);
    nart_join_release(&join);
}

TEST_WITH(a_race_in_a_scope_is_won, arms)
{
    nart_join join;
    struct scoped *f = new_scoped(&join);
    put(&f->tb, 6);
    settle(rt);
    CHECK_RES(f->r, 0);
    CHECK_EQ(f->which, 1);
    CHECK_EQ(f->value, 6);
    nart_join_release(&join);
}

TEST_WITH(a_cancelled_race_answers_by_its_first_arm_and_withdraws_all, arms)
{
    nart_join join;
    struct scoped *f = new_scoped(&join);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    CHECK_RES(f->r, -ECANCELED);
    CHECK_EQ(f->which, 0);
    nart_join_release(&join);
}

struct clean {
    nart_co co;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    uint64_t value;
    nart_res r;
    bool begun, cleaned;
};

/* Cleans up under a shield. */
static nart_res clean_run(nart_cx *cx, struct clean *c)
{
    NART_BEGIN(cx, &c->co);
    c->begun = true;
    NART_AWAIT(c->r, nart_recv(cx, &c->rx, &c->value));
    NART_SHIELD(NART_SEC);
    NART_AWAIT(c->r, nart_sleep(cx, &c->timer, 25 * NART_MS));
    NART_UNSHIELD();
    c->cleaned = c->r == 0;
    NART_AWAIT(c->r, nart_recv(cx, &c->rx, &c->value)); /* and is stopped again */
    NART_END(c->r);
}

struct group {
    nart_co co;
    struct clean a, b, c;
    int which;
    nart_res r, stopped;
};

static nart_res group_run(nart_cx *cx, void *frame)
{
    struct group *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, clean_run(cx, &f->a), clean_run(cx, &f->b));
    if (nart_co_active(&f->b.co))
        NART_STOP(f->stopped, clean_run(cx, &f->b));
    if (nart_co_active(&f->c.co))
        NART_STOP(f->stopped, clean_run(cx, &f->c));
    NART_END(f->r);
}

static void group_drop(void *frame)
{
    struct group *f = frame;
    nart_tx_close(&f->a.tx);
    nart_rx_close(&f->a.rx);
    nart_tx_close(&f->b.tx);
    nart_rx_close(&f->b.rx);
}

static const nart_task_type group_type = NART_TASK_TYPE(struct group, group_run, group_drop);

static struct group *new_group(nart_join *join)
{
    struct group *f = spawn(rt, &group_type, join);
    new_chan(rt, 1, &f->a.tx, &f->a.rx);
    new_chan(rt, 1, &f->b.tx, &f->b.rx);
    settle(rt);
    return f;
}

TEST_WITH(bodies_of_a_cancelled_race_clean_up_one_after_the_other, arms)
{
    nart_join join;
    struct group *f = new_group(&join);
    CHECK_RES(cancel(rt, &join), 0);
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->which, 0);
    CHECK_RES(f->r, -ECANCELED);
    CHECK(f->a.cleaned && f->b.cleaned);
    CHECK_RES(f->a.r, -ECANCELED); /* after the shield the stop is in effect again */
    CHECK_RES(f->stopped, -ECANCELED);
    CHECK(!f->c.begun);
    CHECK_EQ(elapsed_ms(), 50);
    nart_join_release(&join);
}

TEST_WITH(a_body_that_is_stopped_can_clean_up_under_a_shield, arms)
{
    nart_join join;
    struct group *f = new_group(&join); /* the task itself is not cancelled */
    put(&f->a.tx, 1);
    run_until(rt, at_ms(25));
    nart_tx_close(&f->a.tx); /* ends a, stops b */
    run_all(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->which, 0);
    CHECK(f->b.cleaned);
    CHECK_RES(f->b.r, -ECANCELED);
    CHECK_RES(f->stopped, -ECANCELED);
    CHECK_EQ(elapsed_ms(), 50);
    nart_join_release(&join);
}

/* ---- eight arms ---- */

struct eight {
    nart_co co;
    nart_tx tx[8];
    nart_rx rx[8];
    uint64_t value;
    int which;
    nart_res r;
};

#define ARM(i) nart_recv(cx, &f->rx[i], &f->value)

static nart_res eight_run(nart_cx *cx, void *frame)
{
    struct eight *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, ARM(0), ARM(1), ARM(2), ARM(3), ARM(4), ARM(5), ARM(6), ARM(7));
    for (int i = 0; i < 8; i++)
        CHECK(idle(&f->rx[i].wait));
    NART_END(f->r);
}

static void eight_drop(void *frame)
{
    struct eight *f = frame;
    for (int i = 0; i < 8; i++) {
        nart_tx_close(&f->tx[i]);
        nart_rx_close(&f->rx[i]);
    }
}

static const nart_task_type eight_type = NART_TASK_TYPE(struct eight, eight_run, eight_drop);

TEST_WITH(each_of_eight_arms_can_win, arms)
{
    for (unsigned i = 0; i < 8; i++) {
        nart_join join;
        struct eight *f = spawn(rt, &eight_type, &join);
        for (int k = 0; k < 8; k++)
            new_chan(rt, 1, &f->tx[k], &f->rx[k]);
        settle(rt);
        put(&f->tx[i], 50 + i);
        settle(rt);
        CHECK_EQ(f->which, i);
        CHECK_EQ(f->value, 50 + i);
        nart_join_release(&join);
    }
}
