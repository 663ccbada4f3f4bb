/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ownership of waits: bodies live in separate memory, unmapped as soon as the manual allows it. Any
 * remaining reference to one faults. */
#include "reader.h"
#include "waits.h"

#include <nart/bytes.h>
#include <nart/nursery.h>
#include <nart/oneshot.h>
#include <nart/shutdown.h>
#include <nart/sync.h>

#include <sys/mman.h>

enum { PAGE = 4096 };
enum { LOCAL = NART_CHAN_LOCAL, SPSC = NART_CHAN_SPSC, MPSC = NART_CHAN_MPSC };

static void *map(void)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void unmap(void *p)
{
    CHECK_EQ(munmap(p, PAGE), 0);
}

static nart_rt *rt;
static nart_tx tx;
static nart_rx rx;
static nart_notify note, never;
static char said[256];

static void report(void *arg, const char *line)
{
    (void)arg;
    snprintf(said, sizeof said, "%s", line);
}

static void begin(uint32_t kind)
{
    nart_chan_opts c = { .size = sizeof c, .kind = kind, .elem = sizeof(uint64_t), .capacity = 4 };

    note = never = (nart_notify){ 0 };
    rt = NEW_RT(.report = report);
    CHECK_RES(nart_chan_open(rt, &c, &tx, &rx), 0);
}

static void end(void)
{
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_notify_close(&note);
    nart_notify_close(&never);
    nart_rt_free(rt);
}

static void dump(void)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    CHECK(out);
    nart_rt_dump(rt, out);
    fclose(out);
    free(text);
}

/* ---- a body that has ended ---- */

struct child {
    nart_co co;
    nart_timer timer;
    nart_waiter waiter;
    uint64_t value;
    nart_res r;
};

static nart_res recv_run(nart_cx *cx, struct child *c)
{
    NART_BEGIN(cx, &c->co);
    NART_AWAIT(c->r, nart_recv(cx, &rx, &c->value));
    NART_END(c->r);
}

struct parent {
    nart_co co;
    struct child *child;
    nart_waiter waiter;
    nart_timer timer;
    int which;
    nart_res r;
};

static nart_res recv_then_race_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    p->child = map();
    NART_AWAIT(p->r, recv_run(cx, p->child));
    CHECK_EQ(p->child->value, 7);
    unmap(p->child);
    nart_notify_one(&note);
    NART_AWAIT_ANY(p->which, p->r, nart_notify_await(cx, &note, &p->waiter),
                   nart_sleep(cx, &p->timer, NART_SEC));
    CHECK_EQ(p->which, 0);
    NART_AWAIT(p->r, nart_notify_await(cx, &never, &p->waiter));
    NART_END(p->r);
}

TEST_EACH(a_body_that_received_is_named_by_no_race, LOCAL, SPSC, MPSC)
{
    static const nart_task_type type = NART_TASK_TYPE(struct parent, recv_then_race_run, NULL);
    uint64_t v = 7;

    begin(kind);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    dump();
    CHECK_RES(nart_try_send(&tx, &v), 0);
    settle(rt);
    dump();
    end();
}

/* ---- a handle that is moved into a spawned task right after it has answered ---- */

struct giver {
    nart_co co;
    struct reader *reader;
    uint64_t value;
    nart_res r;
};

static nart_res giver_run(nart_cx *cx, void *frame)
{
    struct giver *g = frame;

    NART_BEGIN(cx, &g->co);
    g->reader = map();
    nart_rx_move(&g->reader->rx, &rx);
    NART_AWAIT(g->r, nart_recv(cx, &g->reader->rx, &g->value));
    CHECK_EQ(g->value, 7);
    CHECK_RES(reader_spawn(cx, g->reader, NULL), 0);
    unmap(g->reader);
    NART_END(0);
}

TEST_EACH(a_receiver_that_has_answered_is_given_away, LOCAL, SPSC, MPSC)
{
    static const nart_task_type type = NART_TASK_TYPE(struct giver, giver_run, NULL);
    uint64_t v = 7;

    begin(kind);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    CHECK_RES(nart_try_send(&tx, &v), 0);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    v = 8;
    CHECK_RES(nart_try_send(&tx, &v), 0);
    settle(rt);
    CHECK_EQ(reader_got, 8);
    end();
}

/* ---- a body that left a wait behind when it ended: a hand-written caller of operations ---- */

static nart_waiter outside; /* outlives the body */

static nart_res both(nart_cx *cx, struct child *c)
{
    nart_res r = nart_notify_await(cx, &never, &outside);

    CHECK_RES(r, NART_PENDING);
    return nart_notify_await(cx, &note, &c->waiter);
}

static nart_res both_run(nart_cx *cx, struct child *c)
{
    NART_BEGIN(cx, &c->co);
    NART_AWAIT(c->r, both(cx, c));
    NART_END(c->r);
}

static nart_res left_behind_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    p->child = map();
    NART_AWAIT(p->r, both_run(cx, p->child));
    unmap(p->child);
    /* the waits of the child's body now belong to this one and its races */
    NART_AWAIT_ANY(p->which, p->r, nart_sleep(cx, &p->timer, 0),
                   nart_sleep(cx, &p->timer, NART_SEC));
    CHECK_EQ(p->which, 0);
    CHECK(outside.wait.task == NULL);
    NART_AWAIT(p->r, nart_notify_await(cx, &never, &p->waiter));
    NART_END(p->r);
}

TEST(what_a_body_leaves_behind_belongs_to_its_caller)
{
    static const nart_task_type type = NART_TASK_TYPE(struct parent, left_behind_run, NULL);

    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    dump();
    nart_notify_one(&note);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    dump();
    end();
}

/* The same, with the task parking right after it. */
static nart_res parks_behind_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    p->child = map();
    NART_AWAIT(p->r, both_run(cx, p->child));
    unmap(p->child);
    NART_AWAIT(p->r, nart_sleep(cx, &p->timer, NART_SEC));
    NART_END(p->r);
}

TEST(a_dump_names_only_bodies_that_are_there)
{
    static const nart_task_type type = NART_TASK_TYPE(struct parent, parks_behind_run, NULL);

    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    nart_notify_one(&note);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    dump();
    CHECK_RES(nart_rt_quiesce(rt, NART_US, NULL), -ETIMEDOUT);
    end();
}

/* ---- losers whose frames are unmapped ---- */

static nart_res sleep_run(nart_cx *cx, struct child *c)
{
    NART_BEGIN(cx, &c->co);
    NART_AWAIT(c->r, nart_sleep(cx, &c->timer, 100 * NART_SEC));
    NART_END(c->r);
}

static nart_res wait_run(nart_cx *cx, struct child *c)
{
    NART_BEGIN(cx, &c->co);
    NART_AWAIT(c->r, nart_notify_await(cx, &never, &c->waiter));
    NART_END(c->r);
}

static nart_res (*loser_run)(nart_cx *, struct child *);

static nart_res loser_goes_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    p->child = map();
    NART_AWAIT_ANY(p->which, p->r, loser_run(cx, p->child),
                   nart_notify_await(cx, &note, &p->waiter));
    CHECK_EQ(p->which, 1);
    unmap(p->child);
    NART_AWAIT(p->r, nart_notify_await(cx, &never, &p->waiter));
    NART_END(p->r);
}

static void a_loser_goes(nart_res (*run)(nart_cx *, struct child *), bool at_once)
{
    static const nart_task_type type = NART_TASK_TYPE(struct parent, loser_goes_run, NULL);

    loser_run = run;
    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    if (!at_once)
        CHECK_EQ(nart_rt_poll(rt, 0), 1);
    nart_notify_one(&note);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    dump();
    CHECK_RES(nart_rt_quiesce(rt, NART_US, NULL), -ETIMEDOUT);
    CHECK(strstr(said, "parent has not ended (")); /* with file and line */
    CHECK(strstr(said, "test_owner.c:"));
    end();
}

TEST(a_loser_that_slept_is_named_by_no_report)
{
    a_loser_goes(sleep_run, true);
    a_loser_goes(sleep_run, false);
}

TEST(a_loser_that_waited_is_named_by_no_report)
{
    a_loser_goes(wait_run, true);
    a_loser_goes(wait_run, false);
}

/* ---- a body between the one with a nursery and the one that decides ---- */

struct kid {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static nart_res kid_run(nart_cx *cx, void *frame)
{
    struct kid *k = frame;

    NART_BEGIN(cx, &k->co);
    NART_SHIELD(NART_SEC);
    NART_AWAIT(k->r, nart_sleep(cx, &k->timer, NART_MS));
    NART_END(0);
}

NART_TASK_TYPED(kid, struct kid, kid_run, NULL);

struct keeper {
    nart_co co;
    nart_nursery nursery;
    nart_res r, error;
};

static nart_res keeper_run(nart_cx *cx, struct keeper *k)
{
    NART_BEGIN(cx, &k->co);
    CHECK_RES(nart_nursery_open(cx, &k->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &k->nursery, &kid_type, NULL), 0);
    NART_AWAIT(k->r, nart_nursery_join(cx, &k->nursery, &k->error));
    NART_END(k->r);
}

struct middle {
    nart_co co;
    struct keeper *keeper;
    nart_res r;
};

static nart_res middle_run(nart_cx *cx, struct middle *m)
{
    NART_BEGIN(cx, &m->co);
    NART_AWAIT(m->r, keeper_run(cx, m->keeper));
    NART_END(m->r);
}

struct racing {
    nart_co co;
    struct keeper keeper;
    struct middle *middle;
    struct child other;
    nart_timer timer;
    nart_res r;
    int which;
};

static nart_res racing_run(nart_cx *cx, void *frame)
{
    struct racing *f = frame;

    NART_BEGIN(cx, &f->co);
    f->middle = map();
    f->middle->keeper = &f->keeper;
    NART_AWAIT_ANY(f->which, f->r, middle_run(cx, f->middle), nart_sleep(cx, &f->timer, NART_US));
    CHECK_EQ(f->which, 1);
    unmap(f->middle); /* it has no nursery of its own */
    dump();
    loser_run = sleep_run;
    NART_AWAIT_ANY(f->which, f->r, loser_run(cx, &f->other), nart_sleep(cx, &f->timer, 0));
    NART_STOP(f->r, keeper_run(cx, &f->keeper));
    CHECK_RES(f->r, -ECANCELED);
    NART_END(0);
}

TEST(a_body_above_a_nursery_may_be_freed)
{
    static const nart_task_type type = NART_TASK_TYPE(struct racing, racing_run, NULL);

    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    end();
}

/* ---- an arm of a race closes or moves the handle that another arm waits on ---- */

static const struct a_wait *wait_named(const char *name)
{
    for (int i = 0; i < WAITS; i++)
        if (strcmp(waits[i].name, name) == 0)
            return &waits[i];
    test_fail(__FILE__, __LINE__, "waits.h has no %s", name);
}

static void close_rx(int i)
{
    nart_rx_close(&all.rx[i]);
}

static void move_rx(int i)
{
    nart_rx moved;
    nart_rx_move(&moved, &all.rx[i]);
    nart_rx_close(&moved);
}

static void close_tx(int i)
{
    nart_tx_close(&all.full_tx[i]);
}

static void move_tx(int i)
{
    nart_tx moved;
    nart_tx_move(&moved, &all.full_tx[i]);
    nart_tx_close(&moved);
}

static void close_brx(int i)
{
    nart_bytes_rx_close(&all.brx[i]);
}

static void move_brx(int i)
{
    nart_bytes_rx moved;
    nart_bytes_rx_move(&moved, &all.brx[i]);
    nart_bytes_rx_close(&moved);
}

static void close_btx(int i)
{
    nart_bytes_tx_close(&all.full_btx[i]);
}

static void move_btx(int i)
{
    nart_bytes_tx moved;
    nart_bytes_tx_move(&moved, &all.full_btx[i]);
    nart_bytes_tx_close(&moved);
}

static void close_orx(int i)
{
    nart_oneshot_rx_close(&all.orx[i]);
}

static void move_orx(int i)
{
    nart_oneshot_rx moved = { .size = 0 };
    nart_oneshot_rx_move(&moved, &all.orx[i]);
    nart_oneshot_rx_close(&moved);
}

static void close_wrx(int i)
{
    (void)i;
    nart_watch_rx_close(&all.wrx);
}

static void move_wrx(int i)
{
    nart_watch_rx moved = { 0 };
    (void)i;
    nart_watch_rx_move(&moved, &all.wrx);
    nart_watch_rx_close(&moved);
}

static void close_crx(int i)
{
    (void)i;
    nart_broadcast_rx_close(&all.crx);
}

static void move_crx(int i)
{
    nart_broadcast_rx moved = { 0 };
    (void)i;
    nart_broadcast_rx_move(&moved, &all.crx);
    nart_broadcast_rx_close(&moved);
}

/* Nothing reads the object after its close: its memory may be reused. */
static void close_notify(int i)
{
    (void)i;
    nart_notify_close(&all.notify);
    memset(&all.notify, 0xaa, sizeof all.notify);
}

static void close_semaphore(int i)
{
    (void)i;
    nart_semaphore_close(&all.semaphore);
    memset(&all.semaphore, 0xaa, sizeof all.semaphore);
}

static void close_group(int i)
{
    (void)i;
    nart_wait_group_close(&all.group);
    memset(&all.group, 0xaa, sizeof all.group);
}

static void close_lock(int i)
{
    nart_rwlock_close(&all.lock[i]);
    memset(&all.lock[i], 0xaa, sizeof all.lock[i]);
}

static void release_token(int i)
{
    nart_token_release(i ? &all.child : &all.token);
}

static void release_join(int i)
{
    (void)i;
    nart_join_release(&all.join);
}

static void close_set(int i)
{
    (void)i;
    nart_task_set_close(&all.set);
}

static void detach_set(int i)
{
    (void)i;
    nart_task_set_detach(&all.set);
}

static void close_signal(int i)
{
    (void)i;
    nart_signal_close(&all.signal);
}

static void move_signal(int i)
{
    nart_signal moved = { .watch = NULL };
    (void)i;
    nart_signal_move(&moved, &all.signal);
    nart_signal_close(&moved);
}

static void release_remote_join(int i)
{
    (void)i;
    nart_remote_join_release(&all.remote_join);
}

static void move_remote_join(int i)
{
    nart_remote_join moved = { .task = NULL };
    (void)i;
    nart_remote_join_move(&moved, &all.remote_join);
    nart_remote_join_release(&moved);
}

static void close_pool(int i)
{
    nart_pool_close(&all.pool[i]);
}

/* Nothing reads a pair after both ends are closed. */
static void close_pair(int i)
{
    CHECK_RES(nart_stream_close(&all.end[i]), 0);
    CHECK_RES(nart_stream_close(&all.peer[i]), 0);
    memset(&all.pair[i], 0xaa, sizeof all.pair[i]);
}

static const struct an_end {
    const char *wait; /* its name in waits.h */
    void (*end)(int i);
    nart_res answer;
} ends[] = {
    { "local recv", close_rx, NART_ECLOSED },
    { "local recv", move_rx, NART_ECLOSED },
    { "spsc recv", close_rx, NART_ECLOSED },
    { "spsc recv", move_rx, NART_ECLOSED },
    { "mpsc recv", close_rx, NART_ECLOSED },
    { "mpsc recv", move_rx, NART_ECLOSED },
    { "local send", close_tx, NART_ECLOSED },
    { "local send", move_tx, NART_ECLOSED },
    { "spsc send", close_tx, NART_ECLOSED },
    { "spsc send", move_tx, NART_ECLOSED },
    { "mpsc send", close_tx, NART_ECLOSED },
    { "mpsc send", move_tx, NART_ECLOSED },
    { "spsc bytes recv", close_brx, NART_ECLOSED },
    { "spsc bytes recv", move_brx, NART_ECLOSED },
    { "mpsc bytes recv", close_brx, NART_ECLOSED },
    { "mpsc bytes recv", move_brx, NART_ECLOSED },
    { "spsc bytes send", close_btx, NART_ECLOSED },
    { "spsc bytes send", move_btx, NART_ECLOSED },
    { "mpsc bytes send", close_btx, NART_ECLOSED },
    { "mpsc bytes send", move_btx, NART_ECLOSED },
    { "oneshot", close_orx, NART_ECLOSED },
    { "oneshot", move_orx, NART_ECLOSED },
    { "linked oneshot", close_orx, NART_ECLOSED },
    { "linked oneshot", move_orx, NART_ECLOSED },
    { "watch", close_wrx, NART_ECLOSED },
    { "watch", move_wrx, NART_ECLOSED },
    { "broadcast", close_crx, NART_ECLOSED },
    { "broadcast", move_crx, NART_ECLOSED },
    { "notify", close_notify, NART_ECLOSED },
    { "semaphore", close_semaphore, NART_ECLOSED },
    { "wait group", close_group, NART_ECLOSED },
    { "lock", close_lock, NART_ECLOSED },
    { "read lock", close_lock, NART_ECLOSED },
    { "token", release_token, -EINVAL },
    { "child token", release_token, -EINVAL },
    { "join", release_join, NART_ESTALE },
    { "task set", close_set, NART_ECLOSED },
    { "task set", detach_set, NART_ECLOSED },
    { "signal", close_signal, -EBADF },
    { "signal", move_signal, -EBADF },
    { "remote join", release_remote_join, NART_ESTALE },
    { "remote join", move_remote_join, NART_ESTALE },
    { "pool", close_pool, NART_ECLOSED },
    { "end of a pool", close_pool, NART_ECLOSED },
    { "stream read", close_pair, -EBADF },
    { "stream write", close_pair, -EBADF },
};

struct ending {
    nart_co co, arm;
    nart_waker *waker;
    const struct an_end *e;
    const struct a_wait *wait;
    bool last;    /* the arm that closes is the second one */
    bool in_body; /* it is a nested body */
    int asked, which;
    nart_res r;
};

/* In its second evaluation the other arm is waiting, whether or not it was evaluated in this
 * poll. */
static nart_res end_now(nart_cx *cx, struct ending *f)
{
    if (f->asked++ == 1)
        f->e->end(f->wait->i);
    return nart_op_park(cx);
}

static nart_res end_in_body(nart_cx *cx, struct ending *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->arm);
    NART_AWAIT(r, end_now(cx, f));
    NART_END(r);
}

static nart_res ending_arm(nart_cx *cx, struct ending *f)
{
    return f->in_body ? end_in_body(cx, f) : end_now(cx, f);
}

static nart_res ending_run(nart_cx *cx, void *frame)
{
    struct ending *f = frame;

    NART_BEGIN(cx, &f->co);
    *f->waker = nart_cx_waker(cx);
    if (f->last)
        NART_AWAIT_ANY(f->which, f->r, f->wait->wait(cx, f->wait->i, waiter_of(f->wait)),
                       ending_arm(cx, f));
    else
        NART_AWAIT_ANY(f->which, f->r, ending_arm(cx, f),
                       f->wait->wait(cx, f->wait->i, waiter_of(f->wait)));
    CHECK_EQ(f->which, !f->last);
    CHECK_RES(f->r, f->e->answer);
    NART_END(0);
}

static void end_a_wait(const struct an_end *e, bool last, bool in_body)
{
    static const nart_task_type type = NART_TASK_TYPE(struct ending, ending_run, NULL);
    nart_waker waker;
    nart_join j;

    begin(NART_CHAN_LOCAL);
    open_all(rt);
    struct ending f = {
        .waker = &waker, .e = e, .wait = wait_named(e->wait), .last = last, .in_body = in_body
    };
    CHECK_RES(nart_rt_spawn(rt, &type, &f, &j), 0);
    settle(rt);
    CHECK(!nart_join_done(&j));
    nart_waker_wake(waker);
    settle(rt);
    if (last && e->end == release_token) { /* releasing a token's handle wakes no task */
        CHECK(!nart_join_done(&j));
        nart_waker_wake(waker);
        settle(rt);
    }
    CHECK(nart_join_done(&j));
    nart_join_release(&j);
    all.notify = (nart_notify){ 0 };
    nart_semaphore_init(&all.semaphore, 0);
    all.group = (nart_wait_group){ 0 };
    memset(all.lock, 0, sizeof all.lock);
    close_all();
    end();
}

TEST(a_handle_that_an_earlier_arm_closes_or_moves_is_closed_for_the_other)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int in_body = 0; in_body < 2; in_body++)
            end_a_wait(&ends[i], false, in_body);
}

TEST(a_handle_that_a_later_arm_closes_or_moves_is_closed_for_the_other)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int in_body = 0; in_body < 2; in_body++)
            end_a_wait(&ends[i], true, in_body);
}

/* ---- a nursery belongs to the body that opened it, not to the one that awaits it ---- */

struct visit {
    nart_co co, helper;
    nart_nursery nursery;
    nart_timer timer;
    nart_res r, error;
    int which;
};

/* Awaits the nursery of its caller, with a deadline. */
static nart_res visit_helper(nart_cx *cx, struct visit *f)
{
    NART_BEGIN(cx, &f->helper);
    NART_AWAIT_ANY(f->which, f->r, nart_nursery_join(cx, &f->nursery, &f->error),
                   nart_sleep(cx, &f->timer, NART_US));
    CHECK_EQ(f->which, 1);
    NART_END(0);
}

static nart_res visit_join(nart_cx *cx, struct visit *f)
{
    NART_BEGIN(cx, &f->helper);
    NART_AWAIT(f->r, nart_nursery_join(cx, &f->nursery, &f->error));
    NART_END(f->r);
}

static nart_res visit_run(nart_cx *cx, void *frame)
{
    struct visit *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &kid_type, NULL), 0);
    NART_AWAIT(f->r, visit_helper(cx, f));
    CHECK_EQ(nart_nursery_len(&f->nursery), 1);
    NART_AWAIT_ANY(f->which, f->r, visit_join(cx, f), nart_sleep(cx, &f->timer, NART_US));
    CHECK_EQ(f->which, 1);
    nart_co_init(&f->helper);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &kid_type, NULL), 0); /* it was not cancelled */
    NART_AWAIT(f->r, nart_nursery_join(cx, &f->nursery, &f->error));
    CHECK_RES(f->error, 0);
    NART_END(f->r);
}

TEST(a_nursery_outlives_a_body_that_waited_for_it)
{
    static const nart_task_type type = NART_TASK_TYPE(struct visit, visit_run, NULL);
    nart_res r;

    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_block_on(rt, &type, NULL, &r), 0);
    CHECK_RES(r, 0);
    end();
}

/* ---- a body that joins, or that opened the nursery, and is called no more ---- */

struct joiner {
    nart_co co;
    nart_nursery *nursery;
    nart_res r, error;
};

static nart_res joiner_run(nart_cx *cx, struct joiner *j)
{
    NART_BEGIN(cx, &j->co);
    NART_AWAIT(j->r, nart_nursery_join(cx, j->nursery, &j->error));
    NART_END(j->r);
}

struct rival {
    nart_co co;
    nart_timer timers[2];
    nart_res r;
    int which;
};

static nart_res rival_run(nart_cx *cx, struct rival *f)
{
    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, nart_sleep(cx, &f->timers[0], NART_SEC),
                   nart_sleep(cx, &f->timers[1], 0));
    NART_END(f->r);
}

struct by_hand {
    nart_nursery nursery;
    struct joiner *joiner;
    struct rival rival;
    int step;
};

/* A poll that calls a joining body once, and frees it after the next poll. */
static nart_res by_hand_poll(nart_cx *cx, void *frame)
{
    struct by_hand *f = frame;

    switch (f->step++) {
    case 0:
        CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
        CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &kid_type, NULL), 0);
        f->joiner = map();
        f->joiner->nursery = &f->nursery;
        CHECK_RES(joiner_run(cx, f->joiner), NART_PENDING);
        break;
    case 1:
        break;
    case 2:
        unmap(f->joiner);
        dump();
        CHECK_RES(rival_run(cx, &f->rival), 0);
        return nart_nursery_join(cx, &f->nursery, NULL);
    default:
        return nart_nursery_join(cx, &f->nursery, NULL);
    }
    nart_wake_self(cx);
    return NART_PENDING;
}

static void block_on(const nart_task_type *type)
{
    nart_res r;

    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_block_on(rt, type, NULL, &r), 0);
    CHECK_RES(r, 0);
    end();
}

TEST(a_body_that_joins_may_be_abandoned_and_freed)
{
    static const nart_task_type type = NART_TASK_TYPE(struct by_hand, by_hand_poll, NULL);
    block_on(&type);
}

struct opener {
    nart_co co, above;
    nart_nursery nursery;
    nart_timer timer;
    nart_res r;
    bool called;
};

/* Opens a nursery, and leaves it open. */
static nart_res opener_run(nart_cx *cx, struct opener *f)
{
    NART_BEGIN(cx, &f->co);
    if (!f->called) {
        CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
        CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &kid_type, NULL), 0);
    }
    f->called = true;
    NART_END(0);
}

static nart_res above_opener_run(nart_cx *cx, struct opener *f)
{
    NART_BEGIN(cx, &f->above);
    NART_AWAIT(f->r, opener_run(cx, f));
    NART_END(f->r);
}

static nart_res opener_poll(nart_cx *cx, void *frame)
{
    struct opener *f = frame;

    if (!f->called) {
        CHECK_RES(opener_run(cx, f), 0);
        CHECK_RES(above_opener_run(cx, f), 0); /* which leaves nothing open */
    }
    return nart_nursery_join(cx, &f->nursery, NULL);
}

TEST(a_body_that_left_a_nursery_to_its_poll_runs_again)
{
    static const nart_task_type type = NART_TASK_TYPE(struct opener, opener_poll, NULL);
    block_on(&type);
}

struct shared {
    nart_co co, opener;
    nart_nursery nursery;
    struct joiner joiner;
    nart_timer timers[2];
    nart_res r, error;
    int which;
};

static nart_res patient_run(nart_cx *cx, void *frame)
{
    struct kid *k = frame;

    NART_BEGIN(cx, &k->co);
    NART_AWAIT(k->r, nart_sleep(cx, &k->timer, NART_NEVER));
    NART_END(k->r);
}

static const nart_task_type patient_type = NART_TASK_TYPE(struct kid, patient_run, NULL);

static nart_res shared_opener_run(nart_cx *cx, struct shared *f)
{
    NART_BEGIN(cx, &f->opener);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &patient_type, NULL), 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timers[0], NART_NEVER));
    NART_AWAIT(f->r, nart_nursery_join(cx, &f->nursery, &f->error));
    NART_END(f->r);
}

static nart_res shared_run(nart_cx *cx, void *frame)
{
    struct shared *f = frame;

    NART_BEGIN(cx, &f->co);
    f->joiner.nursery = &f->nursery;
    NART_AWAIT_ANY(f->which, f->r, shared_opener_run(cx, f), joiner_run(cx, &f->joiner),
                   nart_sleep(cx, &f->timers[1], NART_US));
    CHECK_EQ(f->which, 2);
    CHECK_RES(nart_nursery_spawn(cx, &f->nursery, &kid_type, NULL), NART_ECLOSED);
    NART_STOP(f->r, shared_opener_run(cx, f));
    CHECK_RES(f->error, NART_EABORTED);
    NART_END(0);
}

TEST(an_opener_that_loses_cancels_whatever_body_joins)
{
    static const nart_task_type type = NART_TASK_TYPE(struct shared, shared_run, NULL);
    block_on(&type);
}

struct empty {
    nart_co co;
    nart_nursery nursery;
    nart_timer timer;
    nart_res r;
};

/* Opens a nursery that stays empty, and does not join it. */
static nart_res empty_run(nart_cx *cx, struct empty *f)
{
    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
    NART_END(f->r);
}

struct stopping {
    nart_co co;
    struct empty *loser;
    nart_timer timer;
    nart_res r;
    int which;
};

static nart_res stopping_run(nart_cx *cx, void *frame)
{
    struct stopping *f = frame;

    NART_BEGIN(cx, &f->co);
    f->loser = map();
    NART_AWAIT_ANY(f->which, f->r, empty_run(cx, f->loser), nart_sleep(cx, &f->timer, NART_US));
    CHECK_EQ(f->which, 1);
    NART_STOP(f->r, empty_run(cx, f->loser));
    CHECK_RES(f->r, -ECANCELED);
    unmap(f->loser);
    dump();
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_US));
    NART_END(f->r);
}

TEST(an_empty_nursery_of_a_loser_closes_with_its_body)
{
    static const nart_task_type type = NART_TASK_TYPE(struct stopping, stopping_run, NULL);
    nart_res r;

    begin(NART_CHAN_LOCAL);
    CHECK_RES(nart_block_on(rt, &type, NULL, &r), 0);
    CHECK_RES(r, 0);
    end();
}
