/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A runtime is freed with its tasks in every possible state. The ledger at the end of each case
 * shows that nothing is leaked, the counts that each destructor ran once. In the reference,
 * sleeping tasks, tasks linked by a channel, parents, and handles that outlive the runtime panic,
 * leak or read freed memory: its defect 10. */
#include "core.h"
#include "reports.h"
#include "threads.h"

#include <stdio.h>
#include <unistd.h>

static nart_rt *rt;
static int drops;

static void begin(void)
{
    rt = NEW_RT(.report = keep_report, .name = "freed");
}

static void turn(void)
{
    CHECK_LE(0, nart_rt_poll(rt, 0));
}

/* ---- one task, every kind of wait ---- */

enum mode { SLEEP, RECV, SEND, JOIN, RACE, NESTED, SCOPE, SHIELD, DEAF, YIELD, BY_HAND, ENDED };

struct task {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    nart_join join, other;
    nart_waker waker;
    uint64_t value;
    enum mode mode;
    int which;
    nart_res r, answer, under;
    bool dropped;
};

static nart_res task_sub(nart_cx *cx, struct task *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    NART_END(f->r);
}

static nart_res task_run(nart_cx *cx, struct task *f)
{
    NART_BEGIN(cx, &f->co);
    f->waker = nart_cx_waker(cx);
    if (f->mode == SLEEP)
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 9 * NART_SEC));
    if (f->mode == RECV || f->mode == SHIELD)
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    while (f->mode == SEND && f->r >= 0)
        NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
    if (f->mode == JOIN)
        NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
    if (f->mode == RACE)
        NART_AWAIT_ANY(f->which, f->r, nart_join_await(cx, &f->join, &f->answer), task_sub(cx, f),
                       nart_sleep(cx, &f->timer, 9 * NART_SEC));
    if (f->mode == NESTED)
        NART_AWAIT(f->r, task_sub(cx, f));
    if (f->mode == SCOPE)
        NART_AWAIT_FOR(f->r, NART_SEC, task_sub(cx, f));
    if (f->mode == SHIELD) {
        NART_SHIELD(NART_SEC);
        NART_AWAIT(f->under, nart_sleep(cx, &f->timer, 9 * NART_SEC));
    }
    while (f->mode == DEAF)
        NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    while (f->mode == YIELD)
        NART_YIELD();
    NART_END(f->r);
}

static nart_res task_poll(nart_cx *cx, void *frame)
{
    struct task *f = frame;
    CHECK(!f->dropped);
    return f->mode == BY_HAND ? nart_op_park(cx) : task_run(cx, f);
}

static void task_drop(void *frame)
{
    struct task *f = frame;

    drops++;
    CHECK(!f->dropped);
    f->dropped = true;
    CHECK(!f->tx.wait.task && !f->rx.wait.task && !f->join.wait.task);
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
    nart_join_release(&f->join);
    nart_join_release(&f->other);
    nart_waker_wake(f->waker); /* its own waker, about to become stale */
}

static const nart_task_type task_type = NART_TASK_TYPE(struct task, task_poll, task_drop);

static struct task *new_task(nart_join *join, enum mode mode, bool boxed)
{
    struct task *f = boxed ? nart_rt_spawn_boxed_begin(rt, &task_type, NULL)
                           : nart_rt_spawn_begin(rt, &task_type, NULL);
    new_chan(rt, 1, &f->tx, &f->rx);
    f->mode = mode;
    CHECK_RES(nart_rt_spawn_commit(rt, f, join), 0);
    return f;
}

static void check_free(enum mode mode, int expected_reports)
{
    static const char *const phases[] = { "never polled", "parked", "cancelled" };

    for (int i = 0; i < 12; i++) {
        bool held = i & 1, boxed = i & 2;
        int phase = i / 4, tasks = 1;
        nart_join join;
        begin();
        drops = reports = 0;
        struct task *f = new_task(held ? &join : NULL, mode, boxed);
        if (mode == JOIN || mode == RACE) {
            new_task(&f->join, SLEEP, boxed);
            tasks++;
        }
        if (phase >= 1)
            turn();
        if (phase == 2 && held && mode == SHIELD) {
            CHECK_RES(cancel(rt, &join), 0);
            turn();
        }
        CHECK_RES(nart_rt_free(rt), 0);
        if (drops != tasks)
            test_fail(__FILE__, __LINE__, "%d tasks dropped of %d: mode %d, %s", drops, tasks,
                      (int)mode, phases[phase]);
        CHECK_EQ(reports, expected_reports);
        if (held) { /* the join outlives its runtime */
            CHECK(!nart_join_done(&join));
            CHECK(nart_join_frame(&join) == NULL);
            CHECK_EQ(nart_join_task(&join).gen, 0);
            nart_join_release(&join);
        }
    }
}

TEST(while_a_task_sleeps)
{
    check_free(SLEEP, 0);
}

TEST(while_a_task_receives)
{
    check_free(RECV, 0);
}

TEST(while_a_task_sends)
{
    check_free(SEND, 0);
}

TEST(while_a_task_joins)
{
    check_free(JOIN, 0);
}

TEST(in_the_middle_of_a_race)
{
    check_free(RACE, 0);
}

TEST(while_a_nested_body_waits)
{
    check_free(NESTED, 0);
    check_free(SCOPE, 0);
}

TEST(while_a_shield_holds)
{
    check_free(SHIELD, 0); /* the shield is refused: the sleep under it fails too */
}

TEST(a_task_that_ignores_it_is_dropped_and_reported)
{
    check_free(DEAF, 1);
    CHECK(strstr(reported, "freed: task task"));
    CHECK(strstr(reported, "test_free.c:"));
}

TEST(a_task_that_yields_for_ever_is_dropped_and_reported)
{
    check_free(YIELD, 1);
    CHECK(strstr(reported, "task task "));
}

TEST(a_poll_by_hand_that_waits_on_is_dropped_and_reported)
{
    check_free(BY_HAND, 1);
}

TEST(a_task_that_has_ended)
{
    check_free(ENDED, 0);
}

/* Without report() the library prints the line that report() would have received. */
static void check_printed(const char *name, const char *expected)
{
    char line[256] = "";
    int kept = dup(2);
    FILE *file = tmpfile();

    CHECK(kept >= 0 && file);
    rt = NEW_RT(.name = name);
    new_task(NULL, YIELD, false);
    fflush(stderr);
    CHECK_EQ(dup2(fileno(file), 2), 2);
    nart_rt_free(rt);
    fflush(stderr);
    CHECK_EQ(dup2(kept, 2), 2);
    close(kept);
    rewind(file);
    CHECK(fgets(line, sizeof line, file));
    CHECK_EQ(strncmp(line, expected, strlen(expected)), 0);
    CHECK(!fgets(line, sizeof line, file));
    fclose(file);
}

TEST(a_printed_report_begins_with_the_runtimes_name_once)
{
    check_printed(NULL, "nart: task task was dropped");
    check_printed("mine", "mine: task task was dropped");
}

TEST(shields_are_refused)
{
    nart_join join;
    begin();
    struct task *f = new_task(&join, SHIELD, true);
    turn();
    CHECK_RES(cancel(rt, &join), 0);
    turn();
    CHECK_RES(f->under, 0); /* parked under its shield */
    CHECK_EQ(nart_rt_task_count(rt), 1);
    nart_rt_free(rt);
    CHECK_EQ(drops, 1);
    nart_join_release(&join);
}

/* ---- tasks that hold each other's joins ---- */

static void check_ring(bool boxed, bool ended)
{
    nart_join a;
    begin();
    drops = 0;
    struct task *f = new_task(&a, ended ? ENDED : RECV, boxed);
    struct task *g = new_task(&f->join, ended ? ENDED : RECV, boxed);
    nart_join_move(&g->join, &a); /* f holds g, and g holds f */
    settle(rt);
    nart_rt_free(rt);
    CHECK_EQ(drops, 2);
}

TEST(two_tasks_hold_each_other)
{
    for (int i = 0; i < 4; i++)
        check_ring(i & 1, i & 2);
}

static void check_own(bool boxed, bool ended)
{
    nart_join a;
    begin();
    drops = 0;
    struct task *f = new_task(&a, ended ? ENDED : RECV, boxed);
    nart_join_move(&f->join, &a);
    settle(rt);
    nart_rt_free(rt);
    CHECK_EQ(drops, 1);
}

TEST(a_task_holds_itself)
{
    for (int i = 0; i < 4; i++)
        check_own(i & 1, i & 2);
}

TEST(a_chain_of_tasks_that_each_hold_the_next)
{
    enum { LONG = 200 };
    nart_join first, *at = &first;
    begin();
    for (int i = 0; i < LONG; i++)
        at = &new_task(at, i % 3 ? ENDED : RECV, i & 1)->join;
    settle(rt);
    nart_rt_free(rt);
    CHECK_EQ(drops, LONG);
    nart_join_release(&first);
}

TEST(parents_and_children_in_any_order_of_slots)
{
    nart_join early[3];
    begin();
    for (int i = 0; i < 3; i++) /* the children have lower slots */
        new_task(&early[i], SLEEP, false);
    for (int i = 0; i < 3; i++)
        nart_join_move(&new_task(NULL, JOIN, false)->join, &early[i]);
    for (int i = 0; i < 3; i++) /* and here higher ones */
        new_task(&new_task(NULL, JOIN, false)->join, SLEEP, false);
    settle(rt);
    nart_rt_free(rt);
    CHECK_EQ(drops, 12);
}

/* ---- the order in which tasks end ---- */

enum { AGES = 300 };

struct aged {
    int age;
    bool ended;
};

static int end_of[AGES], drop_of[AGES], ends;

static nart_res aged_poll(nart_cx *cx, void *frame)
{
    struct aged *f = frame;
    nart_res r = f->ended ? 0 : nart_op_enter(cx);

    if (r == 0 && !f->ended)
        return nart_op_park(cx);
    end_of[ends++] = f->age;
    return r;
}

static void aged_drop(void *frame)
{
    drop_of[drops++] = ((struct aged *)frame)->age;
}

/* Spawns a task whose frame size, urgency and slot or box depend on its age. */
static void new_aged(int age, bool has_ended, nart_join *join)
{
    static nart_task_type types[16];
    nart_task_type *type = &types[age % 16];

    *type = (nart_task_type){ .abi = NART_TASK_ABI,
                              .flags = age % 2 ? NART_TASK_URGENT : 0,
                              .name = "aged",
                              .size = 64u << (age * 5 % 16 / 2 % 7),
                              .align = 8,
                              .poll = aged_poll,
                              .drop = aged_drop };
    struct aged *f =
        age % 5 ? nart_rt_spawn_begin(rt, type, NULL) : nart_rt_spawn_boxed_begin(rt, type, NULL);
    *f = (struct aged){ .age = age, .ended = has_ended };
    CHECK_RES(nart_rt_spawn_commit(rt, f, join), 0);
}

/* Held or not, parked, made ready in some order, or ended: 16 cases. */
static void check_order(bool held, bool some_ready, bool have_ended, bool other_slots)
{
    nart_join joins[AGES], old[AGES];

    begin();
    ends = drops = 0;
    for (int i = 0; i < AGES && other_slots; i++) /* so that later tasks get lower slots */
        new_aged(i, true, &old[i]);
    settle(rt);
    for (int i = 0; i < AGES && other_slots; i++)
        nart_join_release(&old[i]);
    ends = drops = 0;
    for (int i = 0; i < AGES; i++)
        new_aged(i, have_ended, held ? &joins[i] : NULL);
    if (!some_ready || have_ended)
        settle(rt);
    for (int i = 0; i < AGES && some_ready && held; i += 3)
        (void)cancel(rt, &joins[i * 7 % AGES]);
    nart_rt_free(rt);
    CHECK_EQ(ends, AGES);
    CHECK_EQ(drops, AGES);
    for (int i = 0; i < AGES; i++) {
        if (!have_ended)
            CHECK_EQ(end_of[i], AGES - 1 - i);
        if (held || !have_ended)
            CHECK_EQ(drop_of[i], AGES - 1 - i);
    }
}

TEST(the_last_spawned_task_ends_first)
{
    for (int i = 0; i < 16; i++)
        check_order(i & 1, i & 2, i & 4, i & 8);
}

/* A task's memory is used by tasks that it spawned, until they are dropped. */
struct lender {
    nart_co co;
    nart_timer timer;
    nart_res r;
    int *lent;
    uint32_t child_size;
    bool is_child;
};

static int lenders;

static nart_res lender_run(nart_cx *cx, void *frame);

static void lender_drop(void *frame)
{
    struct lender *f = frame;

    lenders++;
    CHECK_EQ(*f->lent, 7);
    if (!f->is_child) {
        *f->lent = 0;
        free(f->lent);
    }
}

static nart_task_type lender_type(uint32_t size)
{
    return (nart_task_type){ .abi = NART_TASK_ABI,
                             .name = "lender",
                             .size = size,
                             .align = 16,
                             .poll = lender_run,
                             .drop = lender_drop };
}

static nart_task_type child_types[2];

static nart_res lender_run(nart_cx *cx, void *frame)
{
    struct lender *f = frame;

    NART_BEGIN(cx, &f->co);
    for (int i = 0; i < 2 && !f->is_child; i++) {
        struct lender *child = nart_spawn_begin(cx, &child_types[i], &f->r);
        CHECK(child);
        child->lent = f->lent;
        child->is_child = true;
        CHECK_RES(nart_spawn_commit(cx, child, NULL), 0);
    }
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
    CHECK_EQ(*f->lent, 7);
    NART_END(f->r);
}

TEST(children_end_before_their_parent_is_freed)
{
    nart_task_type parent = lender_type(1000);

    child_types[0] = lender_type(400);
    child_types[1] = lender_type(4000);
    begin();
    struct lender *f = nart_rt_spawn_begin(rt, &parent, NULL);
    CHECK(f);
    f->lent = malloc(sizeof *f->lent);
    CHECK(f->lent);
    *f->lent = 7;
    CHECK_RES(nart_rt_spawn_commit(rt, f, NULL), 0);
    settle(rt);
    nart_rt_free(rt);
    CHECK_EQ(lenders, 3);
}

/* ---- a chain of drops ---- */

enum { LINKS = 30000 };

static nart_res link_run(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static nart_res freed_by_drop;

/* Each task holds the one spawned before it. */
static void link_drop(void *frame)
{
    nart_join *before = frame;

    drops++;
    freed_by_drop = nart_rt_free(rt);
    nart_join_release(before);
    nart_join_release(before);
}

static const nart_task_type link_type = NART_TASK_TYPE(nart_join, link_run, link_drop);

/* Runs on a stack too small for one C frame per task. */
static void *drop_chain(void *by_free)
{
    nart_join last = { .hub = NULL };

    begin();
    for (int i = 0; i < LINKS; i++) {
        nart_join before = last;
        memset(&last, 0, sizeof last);
        nart_join *frame = i % 3 ? nart_rt_spawn_begin(rt, &link_type, NULL)
                                 : nart_rt_spawn_boxed_begin(rt, &link_type, NULL);
        CHECK(frame);
        nart_join_move(frame, &before);
        CHECK_RES(nart_rt_spawn_commit(rt, frame, &last), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(drops, 0);
    if (!by_free) {
        nart_join_release(&last);
        CHECK_EQ(drops, LINKS);
        CHECK_RES(freed_by_drop, -EDEADLK);
    }
    nart_rt_free(rt);
    CHECK_EQ(drops, LINKS);
    nart_join_release(&last);
    drops = 0;
    return NULL;
}

TEST(a_chain_of_drops_ends_on_a_small_stack)
{
    pthread_attr_t attr;
    pthread_t thread;
    int by_free = 1;

    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attr, 256 << 10), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&thread, &attr, drop_chain, i ? &by_free : NULL), 0);
        thread_join(thread);
    }
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
}

/* The frame of the task whose drop runs stays until the tasks that it released are dropped too. */
struct nested {
    nart_join join;
    struct nested *parent;
    int value;
};

static nart_res nested_run(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static int inside_drop;

static void nested_drop(void *frame)
{
    struct nested *f = frame;

    CHECK_EQ(inside_drop++, 0); /* never nested */
    if (f->parent)
        CHECK_EQ(f->parent->value, f->value - 1);
    nart_join_release(&f->join);
    CHECK_EQ(drops, f->value); /* not yet dropped */
    drops++;
    inside_drop--;
}

static const nart_task_type nested_type = NART_TASK_TYPE(struct nested, nested_run, nested_drop);

TEST(a_drop_ends_before_the_drops_of_what_it_releases)
{
    nart_join top;
    begin();
    struct nested *f = spawn(rt, &nested_type, &top);
    for (int i = 1; i < 5; i++) {
        struct nested *child = spawn(rt, &nested_type, &f->join);
        child->parent = f;
        child->value = i;
        f = child;
    }
    settle(rt);
    nart_join_release(&top);
    CHECK_EQ(drops, 5);
    nart_rt_free(rt);
}

TEST(tasks_linked_by_a_channel)
{
    for (int order = 0; order < 2; order++) {
        begin();
        drops = 0;
        struct task *f = new_task(NULL, order ? RECV : SEND, false);
        struct task *g = new_task(NULL, order ? SEND : RECV, false);
        nart_tx_close(order ? &g->tx : &f->tx);
        nart_tx_move(order ? &g->tx : &f->tx, order ? &f->tx : &g->tx);
        settle(rt);
        nart_rt_free(rt);
        CHECK_EQ(drops, 2);
    }
}

/* ---- drop functions that use the runtime ---- */

struct busy {
    nart_co co;
    nart_timer timer;
    nart_res r, spawned;
    void *begun; /* a frame that drop commits */
    nart_join own, others;
    bool boxed_child;
};

static nart_res seen_spawn, seen_free, seen_cancel;

static nart_res busy_run(nart_cx *cx, void *frame)
{
    struct busy *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
    NART_END(f->r);
}

static void busy_drop(void *frame)
{
    struct busy *f = frame;

    drops++;
    seen_spawn = nart_rt_spawn(rt, &task_type, NULL, NULL);
    seen_free = nart_rt_free(rt);
    CHECK_RES(nart_rt_run(rt), -EDEADLK);
    seen_cancel = nart_task_cancel(rt, nart_join_task(&f->others));
    nart_join_release(&f->own);
    nart_join_release(&f->others);
    if (f->begun)
        CHECK_RES(nart_rt_spawn_commit(rt, f->begun, NULL), 0);
}

static const nart_task_type busy_type = NART_TASK_TYPE(struct busy, busy_run, busy_drop);

static void check_busy(bool held, bool polled, bool ended, bool boxed)
{
    nart_join join, other;
    begin();
    drops = 0;
    struct busy *f = spawn(rt, &busy_type, held ? &join : NULL);
    struct task *g = new_task(&other, ended ? ENDED : RECV, boxed);
    nart_join_move(&f->others, &other);
    (void)g;
    f->begun = boxed ? nart_rt_spawn_boxed_begin(rt, &task_type, NULL)
                     : nart_rt_spawn_begin(rt, &task_type, NULL);
    CHECK(f->begun);
    if (polled)
        turn();
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(seen_spawn, NART_ESHUTDOWN);
    CHECK_RES(seen_free, -EDEADLK);
    CHECK_EQ(drops, 3); /* including the one committed by drop */
    if (held)
        nart_join_release(&join);
}

TEST(drop_spawns_cancels_releases_and_commits)
{
    for (int i = 0; i < 16; i++)
        check_busy(i & 1, i & 2, i & 4, i & 8);
}

TEST(drop_releases_tasks_that_are_still_running)
{
    begin();
    struct busy *f = spawn(rt, &busy_type, NULL);
    new_task(&f->others, RECV, true);
    new_task(&f->own, ENDED, true);
    settle(rt);
    nart_rt_free(rt);
    CHECK_EQ(drops, 3);
}

/* ---- begun and not committed ---- */

TEST(what_was_begun_and_not_committed_is_given_back_without_a_drop)
{
    begin();
    CHECK(nart_rt_spawn_begin(rt, &task_type, NULL));
    CHECK(nart_rt_spawn_boxed_begin(rt, &task_type, NULL));
    nart_rt_free(rt);
    CHECK_EQ(drops, 0);
}

/* ---- runtimes that ran nothing, and what outlives them ---- */

TEST(a_runtime_that_never_ran)
{
    begin();
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_rt_free(NULL), 0);
    begin();
    CHECK_RES(nart_rt_bind(rt), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(wakers_and_handles_outlive_it_and_its_hub_is_used_again)
{
    nart_waker wakers[20];
    nart_join joins[20];
    for (int i = 0; i < 20; i++) {
        begin();
        struct task *f = new_task(&joins[i], RECV, i & 1);
        settle(rt);
        wakers[i] = f->waker;
        for (int k = 0; k <= i; k++) { /* all but the last belong to freed runtimes */
            nart_waker_wake(wakers[k]);
            CHECK_EQ(nart_join_task(&joins[k]).gen != 0, k == i);
            if (k < i)
                nart_join_release(&joins[k]);
        }
        settle(rt);
        nart_rt_free(rt);
        CHECK_EQ(drops, i + 1);
    }
    for (int i = 0; i < 20; i++) {
        nart_waker_wake(wakers[i]);
        nart_join_release(&joins[i]);
    }
}

/* ---- calls from the inside ---- */

struct inside {
    nart_res r;
};

static nart_res inside_poll(nart_cx *cx, void *frame)
{
    struct inside *f = frame;
    f->r = nart_rt_free(nart_cx_rt(cx));
    return 0;
}

static const nart_task_type inside_type = NART_TASK_TYPE(struct inside, inside_poll, NULL);

TEST(not_from_within_a_poll)
{
    nart_join join;
    begin();
    struct inside *f = spawn(rt, &inside_type, &join);
    settle(rt);
    CHECK_RES(f->r, -EDEADLK);
    nart_join_release(&join);
    nart_rt_free(rt);
}

/* Unwinding bodies may still use the runtime, but it accepts no new work. */
struct unwinds {
    nart_co co;
    nart_timer timer;
    nart_res r, spawned, begun;
    int64_t now;
};

static struct unwinds last;

static nart_res unwinds_run(nart_cx *cx, void *frame)
{
    struct unwinds *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_SEC));
    f->now = nart_now(cx);
    f->spawned = nart_spawn(cx, &task_type, NULL, NULL);
    CHECK(!nart_spawn_begin(cx, &task_type, &f->begun));
    NART_END(f->r);
}

static void unwinds_drop(void *frame)
{
    last = *(struct unwinds *)frame;
}

static const nart_task_type unwinds_type =
    NART_TASK_TYPE(struct unwinds, unwinds_run, unwinds_drop);

TEST(bodies_unwind_and_spawn_nothing)
{
    begin();
    CHECK_RES(nart_rt_spawn(rt, &unwinds_type, NULL, NULL), 0);
    settle(rt);
    nart_rt_free(rt);
    CHECK_RES(last.r, -ECANCELED);
    CHECK_LE(1, last.now);
    CHECK_RES(last.spawned, NART_ESHUTDOWN);
    CHECK_RES(last.begun, NART_ESHUTDOWN);
}

/* ---- running the loop in a drop ---- */

static nart_rt *dropping_rt;
static nart_res ran[3];

static nart_res at_once_run(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static const nart_task_type nothing_type = NART_TASK_TYPE(int, at_once_run, NULL);

static void runs_the_loop(void *frame)
{
    (void)frame;
    ran[0] = nart_rt_run(dropping_rt);
    ran[1] = nart_rt_poll(dropping_rt, 0);
    ran[2] = nart_block_on(dropping_rt, &nothing_type, NULL, NULL);
}

TEST(the_loop_does_not_run_in_a_drop)
{
    static const nart_task_type type = NART_TASK_TYPE(int, at_once_run, runs_the_loop);
    nart_join join;

    dropping_rt = new_rt();
    CHECK_RES(nart_rt_spawn(dropping_rt, &type, NULL, &join), 0);
    CHECK_RES(nart_rt_run(dropping_rt), 0);
    nart_join_release(&join); /* outside a run */
    for (int i = 0; i < 3; i++)
        CHECK_RES(ran[i], -EDEADLK);
    CHECK_RES(nart_rt_free(dropping_rt), 0);
}
