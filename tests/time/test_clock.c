/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The clock of a runtime: paused, moved and advancing automatically. No case here waits: one that
 * did would hang. */
#include "../core/core.h"
#include "threads.h"

#include <nart/clock.h>
#include <nart/io.h>
#include <nart/time.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DAY (24 * 3600 * NART_SEC)

FIXTURE_PAUSED();

static nart_rt *paused_rt(uint32_t flags)
{
    nart_rt *made = NEW_RT(.flags = flags);

    CHECK_RES(nart_rt_clock_pause(made), 0);
    return made;
}

/* The fixture `automatic`: a runtime whose clock advances to the next deadline by itself. */
static void automatic_open(void)
{
    paused_open();
    CHECK_RES(nart_rt_clock_auto(rt), 0);
}

static void automatic_close(void)
{
    rt_close();
}

static char order[64];

struct nap {
    nart_co co;
    nart_timer timer;
    char name[2];
    int64_t ns, woke;
    nart_res r;
};

static nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, f->ns));
    f->woke = nart_now(cx);
    strcat(order, f->name);
    NART_END(f->r);
}

static const nart_task_type nap_type = NART_TASK_TYPE(struct nap, nap_run, NULL);

static struct nap *nap(const char *name, int64_t ns, nart_join *join)
{
    struct nap *f = spawn(rt, &nap_type, join);
    strcpy(f->name, name);
    f->ns = ns;
    return f;
}

TEST_WITH(a_clock_that_is_paused_stands_still, paused)
{
    int64_t at = nart_rt_now(rt);
    nart_join join;

    nap("a", 1, &join);
    settle(rt);
    CHECK_RES(nart_rt_poll(rt, NART_MS), 0); /* real time passes, the loop's does not */
    CHECK_EQ(nart_rt_now(rt), at);
    CHECK(!nart_join_done(&join));
    CHECK_EQ(nart_rt_next_deadline(rt), NART_NEVER);
    nart_join_release(&join);
}

TEST_WITH(advancing_ends_sleeps_at_their_nanosecond, paused)
{
    int64_t at = nart_rt_now(rt);
    nart_join join;
    struct nap *f = nap("a", DAY, &join);

    settle(rt);
    CHECK_RES(nart_rt_clock_advance(rt, DAY - 1), 0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    CHECK_EQ(nart_rt_next_deadline(rt), 0);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_EQ(f->woke, at + DAY);
    CHECK_EQ(nart_rt_now(rt), at + DAY);
    nart_join_release(&join);
}

TEST_WITH(what_one_advance_makes_due_is_woken_in_order, paused)
{
    static const int64_t at[] = { 5 * NART_SEC, 3, DAY, 1, 4 * NART_MS, 2, 3 };
    static const char *const names[] = { "e", "c", "f", "a", "d", "b", "C" };

    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        struct nap init = { .ns = at[i] };
        strcpy(init.name, names[i]);
        CHECK_RES(nart_rt_spawn(rt, &nap_type, &init, NULL), 0);
    }
    settle(rt);
    CHECK_RES(nart_rt_clock_advance(rt, DAY), 0);
    settle(rt);
    CHECK_STR(order, "abcCdef");
}

/* More timers than one tick fires: a paused clock does not delay the rest. */
TEST_WITH(many_timers_due_at_once_all_fire, paused)
{
    enum { MANY = 3000 };

    for (int i = 0; i < MANY; i++) {
        struct nap init = { .ns = 1 + i * NART_MS };
        CHECK_RES(nart_rt_spawn(rt, &nap_type, &init, NULL), 0);
    }
    settle(rt);
    CHECK_RES(nart_rt_clock_advance(rt, DAY), 0);
    CHECK_RES(nart_rt_run(rt), 0);
}

struct scopes {
    nart_co co, inner;
    nart_timer timer;
    nart_join join;
    nart_res r;
    int64_t begun, inside, ended;
};

static nart_res inner_run(nart_cx *cx, struct scopes *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->inner);
    NART_AWAIT_FOR(r, 20 * NART_SEC, nart_sleep(cx, &f->timer, DAY));
    CHECK_RES(r, -ETIMEDOUT);
    f->inside = nart_now(cx) - f->begun;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, DAY));
    NART_END(r);
}

static nart_res scopes_run(nart_cx *cx, void *frame)
{
    struct scopes *f = frame;

    NART_BEGIN(cx, &f->co);
    f->begun = nart_now(cx);
    NART_AWAIT_FOR(f->r, 3600 * NART_SEC, inner_run(cx, f));
    f->ended = nart_now(cx) - f->begun;
    NART_END(f->r);
}

static const nart_task_type scopes_type = NART_TASK_TYPE(struct scopes, scopes_run, NULL);

TEST_WITH(nested_timeouts_expire_each_at_its_time, automatic)
{
    nart_join join;
    struct scopes *f = spawn(rt, &scopes_type, &join);

    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(f->r, -ETIMEDOUT);
    CHECK_EQ(f->inside, 20 * NART_SEC);
    CHECK_EQ(f->ended, 3600 * NART_SEC);
    nart_join_release(&join);
}

struct clockwork {
    nart_co co;
    nart_interval every;
    nart_res r;
    int64_t begun;
    int n;
};

static nart_res clockwork_run(nart_cx *cx, void *frame)
{
    struct clockwork *f = frame;

    NART_BEGIN(cx, &f->co);
    f->begun = nart_now(cx);
    f->r = nart_interval_init(cx, &f->every, NART_SEC);
    for (f->n = 1; f->n <= 24 * 3600; f->n++) {
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->every));
        CHECK_EQ(nart_now(cx), f->begun + f->n * NART_SEC);
    }
    NART_END(0);
}

static const nart_task_type clockwork_type = NART_TASK_TYPE(struct clockwork, clockwork_run, NULL);

TEST_WITH(a_day_of_sleeping_passes_in_no_time, automatic)
{
    int64_t at = nart_rt_now(rt);

    CHECK_RES(nart_block_on(rt, &clockwork_type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_now(rt), at + DAY);
    CHECK_EQ(stats_of(rt).parks, 0);
}

TEST(a_loop_that_never_parks_advances_as_well)
{
    rt = paused_rt(NART_RT_SPINNING);

    CHECK_RES(nart_rt_poll(rt, NART_MS), 0); /* expires by the real clock */
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_block_on(rt, &scopes_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* The clock does not advance to a deadline whose wait has ended. */
struct in_time {
    nart_co co;
    nart_timer timer;
    nart_rx rx;
    nart_res r;
    uint64_t value;
};

static nart_res in_time_run(nart_cx *cx, void *frame)
{
    struct in_time *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->r, 3600 * NART_SEC, nart_recv(cx, &f->rx, &f->value));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    CHECK_RES(f->r, NART_ECLOSED);
    nart_rx_close(&f->rx);
    NART_END(0);
}

static const nart_task_type in_time_type = NART_TASK_TYPE(struct in_time, in_time_run, NULL);

static void one_value_then_silence(nart_join *join, nart_tx *tx)
{
    nart_rx rx;
    uint64_t one = 1;
    struct in_time *f = spawn(rt, &in_time_type, join);

    new_chan(rt, 1, tx, &rx);
    nart_rx_move(&f->rx, &rx);
    CHECK_RES(nart_rt_poll(rt, 0), 1);
    CHECK_RES(nart_try_send(tx, &one), 0);
}

TEST_WITH(a_deadline_that_was_met_does_not_move_the_clock, automatic)
{
    int64_t at = nart_rt_now(rt);
    nart_tx tx;
    nart_join join;

    one_value_then_silence(&join, &tx);
    settle(rt);
    CHECK_EQ(nart_rt_now(rt), at);
    nart_tx_close(&tx);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(nart_rt_now(rt), at);
    nart_join_release(&join);
}

/* ---- what holds an automatically advancing clock ---- */

/* A sleep of one day is pending, and this much polling does not end it. */
static void check_held(void)
{
    int64_t at = nart_rt_now(rt);

    settle(rt);
    for (int i = 0; i < 10; i++)
        CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_EQ(nart_rt_now(rt), at);
    CHECK_EQ(nart_rt_next_deadline(rt), NART_NEVER);
}

static void check_free(int64_t ns)
{
    int64_t at = nart_rt_now(rt);

    while (nart_rt_now(rt) == at) /* hangs here on failure */
        CHECK_LE(0, nart_rt_poll(rt, 0));
    CHECK_EQ(nart_rt_now(rt), at + ns);
}

/* Sleeps for ever, by an operation of the given number. */
struct asleep {
    nart_co co;
    nart_timer timer;
    nart_interval interval;
    int how;
    nart_res r;
};

static nart_res asleep_run(nart_cx *cx, void *frame)
{
    struct asleep *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_interval_init(cx, &f->interval, NART_NEVER), 0);
    if (f->how == 0)
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_NEVER));
    else if (f->how == 1)
        NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, NART_NEVER));
    else
        NART_AWAIT(f->r, nart_interval_tick(cx, &f->interval));
    NART_END(f->r);
}

TEST_WITH(a_sleep_that_never_ends_does_not_hold_the_clock, automatic)
{
    static const nart_task_type type = NART_TASK_TYPE(struct asleep, asleep_run, NULL);
    nart_join joins[3];
    char *text = NULL;
    size_t len;

    for (int i = 0; i < 3; i++)
        ((struct asleep *)spawn(rt, &type, &joins[i]))->how = i;
    nap("a", DAY, &(nart_join){ 0 });
    check_free(DAY);
    FILE *out = open_memstream(&text, &len);
    nart_rt_dump(rt, out);
    fclose(out);
    CHECK(strstr(text, "sleep") && !strstr(text, "a waker"));
    free(text);
    for (int i = 0; i < 3; i++)
        nart_join_release(&joins[i]);
}

struct socket_user {
    nart_co co;
    nart_fd io;
    nart_timer timer;
    nart_res r;
    int fd;
};

static nart_res socket_user_run(nart_cx *cx, void *frame)
{
    struct socket_user *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_fd_open(nart_cx_rt(cx), f->fd, 0, &f->io), 0);
    NART_AWAIT(f->r, nart_fd_ready(cx, &f->io, NART_READ));
    nart_fd_clear(&f->io, NART_READ);
    NART_AWAIT(f->r, nart_fd_ready(cx, &f->io, NART_READ));
    nart_fd_close(&f->io);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, DAY));
    NART_END(f->r);
}

static const nart_task_type socket_user_type =
    NART_TASK_TYPE(struct socket_user, socket_user_run, NULL);

TEST_WITH(a_descriptor_holds_the_clock, automatic)
{
    int end[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, end), 0);
    struct socket_user init = { .fd = end[0] };
    CHECK_RES(nart_rt_spawn(rt, &socket_user_type, &init, NULL), 0);
    nap("a", 2 * DAY, &(nart_join){ 0 });
    check_held();
    CHECK_EQ(write(end[1], "x", 1), 1);
    check_free(DAY);
    close(end[1]);
}

/* Hands out a waker in one of the possible ways. */
struct outside {
    nart_co co;
    nart_timer timer;
    nart_waker waker;
    nart_res r;
    bool raw, told;
};

static nart_res told(nart_cx *cx, struct outside *f)
{
    nart_res r = nart_op_enter(cx);

    if (r || f->told)
        return r;
    f->waker = nart_cx_waker(cx);
    return nart_op_park(cx);
}

static nart_res outside_run(nart_cx *cx, void *frame)
{
    struct outside *f = frame;
    int which;

    if (f->raw && !f->told && !nart_co_active(&f->co)) {
        f->waker = nart_cx_waker(cx);
        return NART_PENDING;
    }
    NART_BEGIN(cx, &f->co);
    if (!f->raw) {
        NART_AWAIT(f->r, told(cx, f));
        f->told = false;
        NART_AWAIT_FOR(f->r, 3 * NART_SEC, told(cx, f));
        CHECK_RES(f->r, 0);
    }
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, DAY));
    f->told = false;
    NART_AWAIT_FOR(f->r, -1, told(cx, f)); /* has ended: only the sleep counts */
    if (f->raw)
        NART_RETURN(f->r);
    CHECK_RES(f->r, -ETIMEDOUT);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, DAY));
    NART_AWAIT_ANY(which, f->r, told(cx, f), nart_sleep(cx, &f->timer, 0));
    CHECK_EQ(which, 1);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, DAY));
    NART_END(f->r);
}

static const nart_task_type outside_type = NART_TASK_TYPE(struct outside, outside_run, NULL);

static void tell(struct outside *f)
{
    f->told = true;
    nart_waker_wake(f->waker);
}

TEST_WITH(a_waker_that_is_out_holds_the_clock, automatic)
{
    nart_join join;
    struct outside *f = spawn(rt, &outside_type, &join);

    nap("a", 1000 * DAY, &(nart_join){ 0 });
    check_held();
    nart_waker_wake(f->waker); /* spurious: it parks as before */
    check_held();
    tell(f);
    check_held(); /* under a deadline */
    tell(f);
    check_free(DAY);
    check_free(DAY);
    check_free(DAY);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

TEST_WITH(a_poll_that_waits_for_nothing_known_holds_the_clock, automatic)
{
    nart_join join;
    struct outside *f = spawn(rt, &outside_type, &join);

    f->raw = true;
    nap("a", 1000 * DAY, &(nart_join){ 0 });
    check_held();
    tell(f);
    check_free(DAY);
    nart_join_release(&join);
}

static void channel_holds(uint32_t rt_flags, uint32_t kind, uint32_t flags)
{
    nart_chan_opts opts = {
        .size = sizeof opts, .kind = kind, .elem = sizeof(uint64_t), .capacity = 4, .flags = flags
    };
    nart_tx tx;
    nart_rx rx;
    nart_join join, other;
    uint64_t one = 1;

    rt = paused_rt(rt_flags);
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_chan_open(rt, &opts, &tx, &rx), 0);
    struct in_time *f = spawn(rt, &in_time_type, &join);
    nart_rx_move(&f->rx, &rx);
    struct nap *n = nap("a", DAY, &other);
    settle(rt);
    int64_t at = nart_rt_now(rt);
    for (int i = 0; i < 10; i++)
        CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_RES(nart_try_send(&tx, &one), 0);
    settle(rt);
    for (int i = 0; i < 10; i++)
        CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_EQ(nart_rt_now(rt), at);
    nart_tx_close(&tx);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(n->woke, at + DAY);
    nart_join_release(&join);
    nart_join_release(&other);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(a_channel_from_another_thread_holds_the_clock)
{
    channel_holds(0, NART_CHAN_SPSC, 0);
    channel_holds(0, NART_CHAN_MPSC, 0);
}

TEST(a_spinning_receiver_holds_the_clock)
{
    channel_holds(NART_RT_SPINNING, NART_CHAN_SPSC, NART_CHAN_SPINNING);
    channel_holds(NART_RT_SPINNING, NART_CHAN_MPSC, NART_CHAN_SPINNING);
}

/* ---- inside a poll, resuming, misuse ---- */

static nart_res jumper_run(nart_cx *cx, void *frame)
{
    int64_t at = nart_now(cx);

    (void)frame;
    CHECK_RES(nart_rt_clock_advance(nart_cx_rt(cx), 7), 0);
    CHECK_EQ(nart_now(cx), at + 7);
    return 0;
}

static const nart_task_type jumper_type = NART_TASK_TYPE(int, jumper_run, NULL);

TEST_WITH(a_task_can_move_the_clock, paused)
{
    CHECK_RES(nart_block_on(rt, &jumper_type, &(int){ 0 }, NULL), 0);
}

TEST_WITH(time_continues_from_where_it_was_moved_to, paused)
{
    nart_rt *other = new_rt();
    int64_t at = nart_rt_now(rt);

    CHECK_RES(nart_rt_clock_advance(rt, DAY), 0);
    CHECK_RES(nart_rt_clock_resume(rt), 0);
    CHECK_LE(at + DAY, nart_rt_now(rt));
    CHECK_LE(nart_rt_now(other), at + DAY); /* it has its own clock */
    struct nap init = { .ns = NART_US };
    CHECK_RES(nart_block_on(rt, &nap_type, &init, NULL), 0);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_LE(at + DAY + NART_US, nart_rt_now(rt));
    CHECK_RES(nart_rt_free(other), 0);
}

/* A host compares the deadline with the system clock. */
TEST_WITH(the_next_deadline_is_in_the_system_s_time, paused)
{
    nart_rt *other = new_rt();

    nap("a", 1000 * NART_SEC, &(nart_join){ 0 });
    settle(rt);
    CHECK_RES(nart_rt_clock_advance(rt, 900 * NART_SEC), 0);
    CHECK_RES(nart_rt_clock_resume(rt), 0);
    settle(rt);
    int64_t now = nart_rt_now(other), left = nart_rt_next_deadline(rt) - now;
    CHECK_LE(left, 100 * NART_SEC);
    CHECK_RES(nart_rt_free(other), 0);
}

TEST_WITH(time_has_an_end, paused)
{
    CHECK_RES(nart_rt_clock_advance(rt, NART_NEVER), 0);
    int64_t last = nart_rt_now(rt);
    CHECK_RES(nart_rt_clock_advance(rt, NART_NEVER), 0);
    CHECK_EQ(nart_rt_now(rt), last);
    nap("a", NART_NEVER, &(nart_join){ 0 });
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    check_held();
    CHECK_RES(nart_rt_clock_resume(rt), 0);
    CHECK_LE(last, nart_rt_now(rt));
    settle(rt);
}

static void *elsewhere(void *arg)
{
    (void)arg;
    CHECK_RES(nart_rt_clock_pause(rt), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_clock_advance(rt, 1), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_clock_auto(rt), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_clock_resume(rt), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(misuse_is_answered, rt)
{
    CHECK_RES(nart_rt_clock_pause(NULL), -EINVAL);
    CHECK_RES(nart_rt_clock_advance(NULL, 1), -EINVAL);
    CHECK_RES(nart_rt_clock_auto(NULL), -EINVAL);
    CHECK_RES(nart_rt_clock_resume(NULL), -EINVAL);
    CHECK_RES(nart_rt_clock_advance(rt, 1), -EPERM);
    CHECK_RES(nart_rt_clock_auto(rt), -EPERM);
    CHECK_RES(nart_rt_clock_resume(rt), -EPERM);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_rt_clock_advance(rt, -1), -EINVAL);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    CHECK_RES(nart_rt_bind(rt), 0);
    thread_run(elsewhere, rt);
}
