/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tasks that a C task on tokio spawns. What the tasks of a group do among themselves is the same as on a loop:
 * most cases run one type under both drivers. */
#include "bridge.h"
#include "threads.h"
#include "waits.h"

#include <nart/clock.h>
#include <nart/nursery.h>
#include <nart/remote.h>
#include <nart/shutdown.h>
#include <nart/sync.h>
#include <nart/time.h>

#include <string.h>
#include <unistd.h>

static uint64_t parked, dropped, gate;
static uintptr_t left_waker;

static void two_workers_open(void)
{
    open_with_workers(2);
}

static void two_workers_close(void)
{
    both_close();
}

/* Runs a task of this type on tokio to its end. Returns its result. */
static nart_res on_tokio(const nart_task_type *type, const void *init)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    CHECK_RES(nart_tokio_spawn_task(bridge, type, init, &op), 0);
    nart_res r = wait_for_answer(&op, &value);
    nart_tokio_op_close(&op);
    return r ? r : value;
}

/* The same under both drivers. */
static void on_both(const nart_task_type *type, const void *init, nart_res expected)
{
    CHECK_RES(run(type, init), expected);
    CHECK_RES(on_tokio(type, init), expected);
}

/* ---- everything that a task can wait in ---- */

struct table {
    nart_co co;
    nart_join child;
    int i;
    nart_res answer;
    bool cancels;
};

static nart_res table_run(nart_cx *cx, void *frame)
{
    struct table *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < WAITS; f->i++) {
        open_all(nart_cx_rt(cx));
        r = nart_spawn(cx, &waiter_type, &(struct waiter){ .wait = &waits[f->i] }, &f->child);
        CHECK_RES(r, 0);
        while (waiting == 0)
            NART_YIELD();
        if (f->cancels)
            CHECK_RES(nart_task_cancel(nart_cx_rt(cx), nart_join_task(&f->child)), 0);
        else if (waits[f->i].serve == serve_shutdown)
            break; /* it would end the test on the loop, too */
        else
            CHECK(waits[f->i].serve(waits[f->i].i));
        NART_AWAIT(r, nart_join_await(cx, &f->child, &f->answer));
        if (r != (f->cancels ? NART_EABORTED : 0) || f->answer != 0)
            test_fail(__FILE__, __LINE__, "%s: %s, %s", waits[f->i].name, nart_err_name(r),
                      nart_err_name(f->answer));
        nart_join_release(&f->child);
        close_all();
        NART_YIELD(); /* what it has cancelled ends */
    }
    if (nart_join_task(&f->child).gen) {
        CHECK_RES(nart_task_cancel(nart_cx_rt(cx), nart_join_task(&f->child)), 0);
        nart_join_release(&f->child);
        close_all();
    }
    NART_END(f->i);
}

static const nart_task_type table_type =
    NART_TASK_TYPE_FLAGS(struct table, table_run, NULL, NART_TASK_SEND);

TEST_WITH(every_wait_is_completed_within_a_group, two_workers)
{
    const struct table init = { .cancels = false };
    on_both(&table_type, &init, 21);
}

TEST_WITH(every_wait_is_cancelled_within_a_group, two_workers)
{
    const struct table init = { .cancels = true };
    on_both(&table_type, &init, WAITS);
}

/* ---- a shutdown of the group, which the first task awaits in races that others win ---- */

struct races {
    nart_co co;
    nart_join child;
    nart_waiter shutdown, bell;
    int i, which;
    nart_res answer;
};

static nart_notify bell;

static nart_res ringer_run(nart_cx *cx, void *frame)
{
    struct races *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 3; f->i++) {
        nart_notify_one(&bell);
        NART_YIELD();
    }
    NART_AWAIT(r, nart_shutdown_await(cx, &f->shutdown));
    NART_END(r == 0 ? 7 : r);
}

static const nart_task_type ringer_type = NART_TASK_TYPE(struct races, ringer_run, NULL);

static nart_res races_run(nart_cx *cx, void *frame)
{
    struct races *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    r = nart_spawn(cx, &ringer_type, NULL, &f->child);
    CHECK_RES(r, 0);
    for (f->i = 0; f->i < 3; f->i++) {
        NART_AWAIT_ANY(f->which, r, nart_shutdown_await(cx, &f->shutdown),
                       nart_notify_await(cx, &bell, &f->bell));
        CHECK_RES(r, 0);
        CHECK_EQ(f->which, 1);
    }
    CHECK_RES(nart_rt_shutdown(nart_cx_rt(cx)), 0);
    NART_AWAIT(r, nart_join_await(cx, &f->child, &f->answer));
    CHECK_RES(r, 0);
    nart_join_release(&f->child);
    NART_AWAIT(r, nart_shutdown_await(cx, &f->shutdown));
    NART_END(r == 0 ? f->answer : r);
}

static const nart_task_type races_type =
    NART_TASK_TYPE_FLAGS(struct races, races_run, NULL, NART_TASK_SEND);

TEST_WITH(the_first_task_races_the_shutdown_of_its_group, two_workers)
{
    CHECK_RES(on_tokio(&races_type, NULL), 7);
}

/* ---- two tasks that wait in one socket ---- */

struct reader {
    nart_tcp *sock;
    nart_res *answer;
    char byte;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;
    nart_res r = nart_tcp_recv(cx, f->sock, &f->byte, 1);

    if (r != NART_PENDING)
        *f->answer = r;
    return r;
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

struct two {
    nart_co co;
    nart_tcp sock;
    nart_join first, second;
    nart_res answers[2], ended;
    int fds[2];
};

/* The second task is refused, and the first one waits on. */
static nart_res two_run(nart_cx *cx, void *frame)
{
    struct two *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_tcp_adopt_here(cx, f->fds[0], &f->sock), 0);
    CHECK_RES(nart_spawn(cx, &reader_type,
                         &(struct reader){ .sock = &f->sock, .answer = &f->answers[0] }, &f->first),
              0);
    NART_YIELD();
    CHECK_RES(nart_spawn(cx, &reader_type,
                         &(struct reader){ .sock = &f->sock, .answer = &f->answers[1] },
                         &f->second),
              0);
    NART_AWAIT(r, nart_join_await(cx, &f->second, &f->ended));
    CHECK_RES(r, 0);
    CHECK_RES(f->answers[1], -EBUSY);
    CHECK_EQ(write(f->fds[1], "x", 1), 1);
    NART_AWAIT(r, nart_join_await(cx, &f->first, &f->ended));
    CHECK_RES(r, 0);
    CHECK_RES(f->answers[0], 1);
    nart_join_release(&f->first);
    nart_join_release(&f->second);
    nart_tcp_close(&f->sock);
    NART_END(7);
}

static const nart_task_type two_type =
    NART_TASK_TYPE_FLAGS(struct two, two_run, NULL, NART_TASK_SEND);

TEST_WITH(a_task_that_is_refused_takes_no_wake_of_another_one, two_workers)
{
    for (int i = 0; i < 2; i++) {
        struct two init = { 0 };
        tcp_pair(init.fds);
        CHECK_RES(i == 0 ? run(&two_type, &init) : on_tokio(&two_type, &init), 7);
        close(init.fds[1]);
    }
}

/* ---- joins, and what the first task does without waiting for its children ---- */

struct child {
    nart_co co;
    nart_timer timer;
    int64_t ns;
    nart_res answer;
};

static nart_res child_run(nart_cx *cx, void *frame)
{
    struct child *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_sleep(cx, &c->timer, c->ns));
    NART_END(r < 0 ? r : c->answer);
}

static void count_drop(void *frame)
{
    (void)frame;
    count(&dropped);
}

static const nart_task_type child_type = NART_TASK_TYPE(struct child, child_run, count_drop);

struct parent {
    nart_co co;
    nart_join children[40];
    int i;
    nart_res r, answer, sum;
};

static nart_res parent_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    for (p->i = 0; p->i < 40; p->i++) {
        const struct child init = { .ns = p->i % 3 * NART_MS, .answer = p->i };
        CHECK_RES(nart_spawn(cx, &child_type, &init, &p->children[p->i]), 0);
    }
    for (p->i = 39; p->i >= 0; p->i--) {
        NART_AWAIT(p->r, nart_join_await(cx, &p->children[p->i], &p->answer));
        CHECK_RES(p->r, 0);
        CHECK_EQ(p->answer, p->i);
        p->sum += p->answer;
        if (p->i % 2)
            nart_join_release(&p->children[p->i]);
    }
    NART_END(p->sum);
}

static void parent_drop(void *frame)
{
    struct parent *p = frame;
    for (int i = 0; i < 40; i++)
        nart_join_release(&p->children[i]);
}

static const nart_task_type parent_type =
    NART_TASK_TYPE_FLAGS(struct parent, parent_run, parent_drop, NART_TASK_SEND);

TEST_WITH(children_are_joined_in_any_order, two_workers)
{
    on_both(&parent_type, NULL, 780);
    CHECK_EQ(read_word(&dropped), 80);
}

/* In one poll: spawn, and a join that finds the child's end only later. */
struct hasty {
    nart_join child;
};

static nart_res hasty_poll(nart_cx *cx, void *frame)
{
    struct hasty *f = frame;
    nart_res answer = 0;

    if (!nart_join_task(&f->child).gen) {
        const struct child init = { .ns = NART_MS, .answer = 3 };
        CHECK_RES(nart_spawn_boxed(cx, &child_type, &init, &f->child), 0);
    }
    nart_res r = nart_join_await(cx, &f->child, &answer);
    if (r == NART_PENDING)
        return r;
    nart_join_release(&f->child);
    return r ? r : answer;
}

static const nart_task_type hasty_type =
    NART_TASK_TYPE_FLAGS(struct hasty, hasty_poll, NULL, NART_TASK_SEND);

TEST_WITH(a_task_without_a_body_spawns_and_joins, two_workers)
{
    for (int i = 0; i < 20; i++)
        on_both(&hasty_type, NULL, 3);
}

/* ---- deadlines ---- */

static nart_res late_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    CHECK_RES(
        nart_spawn(cx, &child_type, &(struct child){ .ns = 3600 * NART_SEC }, &p->children[0]), 0);
    NART_AWAIT_FOR(p->r, 2 * NART_MS, nart_join_await(cx, &p->children[0], &p->answer));
    CHECK_RES(p->r, -ETIMEDOUT);
    CHECK_RES(nart_task_cancel(nart_cx_rt(cx), nart_join_task(&p->children[0])), 0);
    NART_AWAIT(p->r, nart_join_await(cx, &p->children[0], &p->answer));
    NART_END(p->r);
}

static const nart_task_type late_type =
    NART_TASK_TYPE_FLAGS(struct parent, late_run, parent_drop, NART_TASK_SEND);

TEST_WITH(a_join_has_a_deadline_and_a_child_is_cancelled, two_workers)
{
    CHECK_RES(run(&late_type, NULL), NART_EABORTED);
    CHECK_RES(on_tokio(&late_type, NULL), NART_EABORTED);
}

/* ---- nurseries and task sets ---- */

struct crew {
    nart_co co;
    nart_nursery nursery;
    nart_task_set set;
    nart_task_set_node nodes[8];
    nart_timer timer;
    nart_res r, error;
    int i, sum;
    bool leaves;
};

struct adds {
    nart_co co;
    nart_timer timer;
    int *to;
    int n;
};

static nart_res adds_run(nart_cx *cx, void *frame)
{
    struct adds *a = frame;
    nart_res r;

    NART_BEGIN(cx, &a->co);
    NART_AWAIT(r, nart_sleep(cx, &a->timer, NART_MS));
    *a->to += r < 0 ? 100 : a->n;
    NART_END(r < 0 ? r : a->n);
}

static const nart_task_type adds_type = NART_TASK_TYPE(struct adds, adds_run, count_drop);

static nart_res crew_run(nart_cx *cx, void *frame)
{
    struct crew *c = frame;

    NART_BEGIN(cx, &c->co);
    nart_task_set_init(&c->set, c->nodes, 8);
    CHECK_RES(nart_nursery_open(cx, &c->nursery, 0), 0);
    for (c->i = 0; c->i < 8; c->i++) {
        const struct adds init = { .to = &c->sum, .n = c->i };
        CHECK_RES(nart_nursery_spawn(cx, &c->nursery, &adds_type, &init), 0);
        if (!c->leaves) /* tasks of the set would outlive this frame */
            CHECK_LE(0, nart_task_set_spawn(cx, &c->set, &adds_type, &init));
    }
    if (c->leaves)
        NART_RETURN(5); /* the end waits for the nursery, whose tasks use this frame */
    NART_AWAIT(c->r, nart_nursery_join(cx, &c->nursery, &c->error));
    CHECK_RES(c->r, 0);
    CHECK_RES(c->error, 0);
    for (;;) {
        NART_AWAIT(c->r, nart_task_set_next(cx, &c->set, NULL));
        if (c->r < 0)
            break;
    }
    CHECK_RES(c->r, -ECHILD);
    nart_task_set_close(&c->set);
    NART_END(c->sum);
}

static void crew_drop(void *frame)
{
    struct crew *c = frame;
    nart_task_set_close(&c->set);
}

static const nart_task_type crew_type =
    NART_TASK_TYPE_FLAGS(struct crew, crew_run, crew_drop, NART_TASK_SEND);

TEST_WITH(nurseries_and_sets_work_in_a_group, two_workers)
{
    on_both(&crew_type, NULL, 56);
    CHECK_EQ(read_word(&dropped), 32);
}

TEST_WITH(a_nursery_that_is_not_joined_holds_its_owner, two_workers)
{
    CHECK_RES(on_tokio(&crew_type, &(struct crew){ .leaves = true }), 5);
    CHECK_EQ(read_word(&dropped), 8); /* before the answer */
}

/* ---- wakes from other threads ---- */

struct outsider {
    int polls;
};

static nart_res outsider_poll(nart_cx *cx, void *frame)
{
    struct outsider *o = frame;

    if (++o->polls > 1 && read_word(&gate) == 1)
        return 7;
    __atomic_store_n(&left_waker, nart_cx_waker(cx).w, __ATOMIC_SEQ_CST);
    count(&parked);
    return nart_op_park(cx);
}

static const nart_task_type outsider_type =
    NART_TASK_TYPE(struct outsider, outsider_poll, count_drop);

struct spawner {
    nart_co co;
    const nart_task_type *type;
    nart_join child;
    nart_res r, answer;
    bool waits;
};

/* Spawns one child, with a zeroed frame. */
static nart_res spawner_run(nart_cx *cx, void *frame)
{
    struct spawner *s = frame;

    NART_BEGIN(cx, &s->co);
    CHECK_RES(nart_spawn(cx, s->type, NULL, s->waits ? &s->child : NULL), 0);
    if (!s->waits)
        NART_RETURN(1);
    NART_AWAIT(s->r, nart_join_await(cx, &s->child, &s->answer));
    nart_join_release(&s->child);
    NART_END(s->r < 0 ? s->r : s->answer);
}

static void spawner_drop(void *frame)
{
    struct spawner *s = frame;
    nart_join_release(&s->child);
    count(&dropped);
}

static const nart_task_type spawner_type =
    NART_TASK_TYPE_FLAGS(struct spawner, spawner_run, spawner_drop, NART_TASK_SEND);

TEST_WITH(another_thread_wakes_a_child, two_workers)
{
    const struct spawner init = { .type = &outsider_type, .waits = true };
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    for (int i = 0; i < 200; i++) {
        set_word(&parked, 0);
        set_word(&gate, 0);
        CHECK_RES(nart_tokio_spawn_task(bridge, &spawner_type, &init, &op), 0);
        wait_for(&parked, 1);
        random_pause(2000);
        set_word(&gate, 1);
        nart_waker_wake((nart_waker){ __atomic_load_n(&left_waker, __ATOMIC_SEQ_CST) });
        CHECK_RES(wait_for_answer(&op, &value), 0);
        CHECK_EQ(value, 7);
        nart_tokio_op_close(&op);
    }
}

/* ---- what reaches a runtime from other threads ---- */

static nart_token outer;
static nart_remote remote;

struct member {
    nart_co co;
    nart_token token;
    nart_waiter waiter;
};

static nart_res member_run(nart_cx *cx, void *frame)
{
    struct member *m = frame;
    nart_res r;

    NART_BEGIN(cx, &m->co);
    CHECK_RES(nart_token_child_on(&outer, nart_cx_rt(cx), &m->token), 0);
    remote = nart_rt_remote(nart_cx_rt(cx));
    count(&gate);
    NART_AWAIT(r, nart_token_await(cx, &m->token, &m->waiter));
    NART_END(r);
}

static void member_drop(void *frame)
{
    struct member *m = frame;
    nart_token_release(&m->token);
}

static const nart_task_type member_type =
    NART_TASK_TYPE_FLAGS(struct member, member_run, member_drop, NART_TASK_SEND);

TEST_WITH(remote_spawns_and_tokens_reach_a_group, two_workers)
{
    const struct child init = { .ns = 0 };
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_token_new(loop, &outer), 0);
    CHECK_RES(nart_tokio_spawn_task(bridge, &member_type, NULL, &op), 0);
    wait_for(&gate, 1);
    for (uint64_t i = 1; i <= 100; i++) {
        CHECK_RES(nart_remote_spawn(remote, &child_type, &init), 0);
        wait_for(&dropped, i);
    }
    nart_token_cancel(&outer);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    CHECK_RES(nart_remote_spawn(remote, &child_type, &init), NART_ESTALE);
    nart_tokio_op_close(&op);
    nart_token_release(&outer);
}

/* A loop's calls have no effect on it. */
static nart_res owner_poll(nart_cx *cx, void *frame)
{
    nart_rt *rt = nart_cx_rt(cx);

    (void)frame;
    CHECK(rt && rt == nart_cx_rt(cx));
    CHECK_RES(nart_rt_run(rt), -EDEADLK);
    CHECK_RES(nart_rt_poll(rt, 0), -EDEADLK);
    CHECK_RES(nart_rt_bind(rt), -EDEADLK);
    CHECK_RES(nart_rt_free(rt), -EDEADLK);
    CHECK_RES(nart_rt_reserve_io(rt, 1), NART_EDRIVER);
    CHECK_RES(nart_rt_clock_pause(rt), NART_EDRIVER);
    CHECK_EQ(nart_rt_backend_fd(rt), -1);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    return 0;
}

static const nart_task_type owner_type =
    NART_TASK_TYPE_FLAGS(struct outsider, owner_poll, NULL, NART_TASK_SEND);

TEST_WITH(the_runtime_of_a_group_is_not_run_by_others, two_workers)
{
    CHECK_RES(on_tokio(&owner_type, NULL), 0);
}

/* ---- children that outlive the first task ---- */

TEST_WITH(the_operation_ends_before_detached_children, two_workers)
{
    const struct spawner init = { .type = &outsider_type };

    CHECK_RES(on_tokio(&spawner_type, &init), 1);
    CHECK_EQ(read_word(&dropped), 1); /* its own frame */
    wait_for(&parked, 1);
    set_word(&gate, 1);
    nart_waker_wake((nart_waker){ __atomic_load_n(&left_waker, __ATOMIC_SEQ_CST) });
    wait_for(&dropped, 2);
}

static nart_res for_ever_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    count(&parked);
    return nart_op_park(cx);
}

static const nart_task_type endless_type =
    NART_TASK_TYPE(struct outsider, for_ever_poll, count_drop);

/* One that waits without the operations of the library. */
static nart_res deaf_poll(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    count(&parked);
    return NART_PENDING;
}

static const nart_task_type deaf_type = NART_TASK_TYPE(struct outsider, deaf_poll, count_drop);

TEST_WITH(a_shutdown_cancels_children, two_workers)
{
    const struct spawner alone = { .type = &endless_type },
                         both_wait = { .type = &endless_type, .waits = true };
    nart_tokio_op op = { 0 };

    CHECK_RES(on_tokio(&spawner_type, &alone), 1);
    CHECK_RES(nart_tokio_spawn_task(bridge, &spawner_type, &both_wait, &op), 0);
    wait_for(&parked, 2);
    CHECK_RES(nart_tokio_shutdown(bridge, 3600 * NART_SEC, NULL), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    CHECK_EQ(read_word(&dropped), 4);
    nart_tokio_op_close(&op);
}

TEST_WITH(the_deadline_of_a_shutdown_drops_children, two_workers)
{
    const struct spawner alone = { .type = &deaf_type },
                         both_wait = { .type = &deaf_type, .waits = true };
    nart_tokio_op op = { 0 };

    CHECK_RES(on_tokio(&spawner_type, &alone), 1);
    CHECK_RES(nart_tokio_spawn_task(bridge, &spawner_type, &both_wait, &op), 0);
    wait_for(&parked, 2);
    CHECK_RES(nart_tokio_shutdown(bridge, NART_SEC, NULL), 0);
    CHECK_EQ(read_word(&dropped), 4);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_cancel_of_the_operation_is_for_the_first_task, two_workers)
{
    const struct spawner init = { .type = &endless_type, .waits = true };
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_spawn_task(bridge, &spawner_type, &init, &op), 0);
    wait_for(&parked, 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    CHECK_EQ(read_word(&dropped), 1); /* its child was detached, and continues */
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_shutdown(bridge, 3600 * NART_SEC, NULL), 0);
    CHECK_EQ(read_word(&dropped), 2);
}

/* Its clean-up waits for a child that only the shutdown ends. */
static nart_res shielded_run(nart_cx *cx, void *frame)
{
    struct spawner *s = frame;

    NART_BEGIN(cx, &s->co);
    CHECK_RES(nart_spawn(cx, &endless_type, NULL, &s->child), 0);
    NART_SHIELD(3600 * NART_SEC);
    NART_AWAIT(s->r, nart_join_await(cx, &s->child, &s->answer));
    NART_UNSHIELD();
    CHECK_RES(s->r, NART_EABORTED);
    NART_END(4);
}

static const nart_task_type shielded_type =
    NART_TASK_TYPE_FLAGS(struct spawner, shielded_run, spawner_drop, NART_TASK_SEND);

TEST_WITH(a_shutdown_cancels_the_children_of_a_cancelled_task, two_workers)
{
    nart_tokio_op op = { 0 };
    int64_t value = 0;

    CHECK_RES(nart_tokio_spawn_task(bridge, &shielded_type, NULL, &op), 0);
    wait_for(&parked, 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(nart_tokio_shutdown(bridge, 3600 * NART_SEC, NULL), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 4);
    nart_tokio_op_close(&op);
}

/* It was cancelled before its first poll, which spawns. */
TEST_WITH(a_shutdown_cancels_children_that_are_spawned_after_it_has_begun, both)
{
    const struct spawner init = { .type = &endless_type };
    nart_tokio_op op = { 0 }, worker = { 0 }, end = { 0 };

    occupy_worker(&worker);
    CHECK_RES(nart_tokio_spawn_task(bridge, &spawner_type, &init, &op), 0);
    CHECK_RES(nart_tokio_shutdown_begin(bridge, NART_NEVER, &end), 0);
    let_worker_go();
    CHECK_RES(wait_for_answer(&end, NULL), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    CHECK_EQ(read_word(&dropped), 2);
    CHECK_EQ(read_word(&parked), 0); /* the child was cancelled before its first poll, too */
    nart_tokio_op_close(&op);
    nart_tokio_op_close(&worker);
    nart_tokio_op_close(&end);
}
