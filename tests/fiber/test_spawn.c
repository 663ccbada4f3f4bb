/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Spawns into nurseries, task sets and pools: what they refuse, their options, and handles that move. */
#include "by_hand.h"
#include "group.h"

#include <nart/unix.h>

FIXTURE_RT(.report = keep_report);

static uint32_t kind_of; /* of the group of a case */

/* Runs fn() with a group that is not open. */
static void run_group(nart_fiber_fn fn, uint32_t kind)
{
    struct group g = { .kind = kind };

    rt_open();
    CHECK_RES(RUN(fn, &g), 0);
    rt_close();
}

/* ---- errors ---- */

static void refused(nart_cx *cx, struct group *g, const nart_fiber_opts *opts, nart_res r)
{
    int count = 0;
    struct value v = { .name = "x", .ms = 1, .count = &count, .answer = 2 };

    CHECK_RES(nart_await(cx, group_spawn(cx, g, &v, opts)), r);
    CHECK_RES(nart_await(cx, group_spawn_value(cx, g, &v, opts)), r);
    CHECK_STR(v.name, "x");
    CHECK_EQ(v.ms, 1);
    CHECK(v.count == &count);
    CHECK_EQ(v.answer, 2);
    CHECK_EQ(drops, 0);
}

static nart_res without_function(nart_cx *cx, struct group *g)
{
    return g->kind == NURSERY ? nart_nursery_fiber_spawn(cx, &g->nursery, NULL, NULL, NULL)
           : g->kind == TASK_SET
               ? nart_task_set_fiber_spawn(cx, &g->set, NULL, NULL, NULL)
               : nart_await(cx, nart_pool_fiber_spawn(cx, &g->pool, NULL, NULL, NULL));
}

static nart_res is_refused(nart_cx *cx, void *arg)
{
    struct group *g = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;

    opts.drop = drop;
    refused(cx, g, &opts, NART_ECLOSED);
    group_open(cx, g, 0);
    opts.flags = NART_TASK_SEND;
    refused(cx, g, &opts, -EINVAL);
    opts.flags = 0;
    opts.stack = 1;
    refused(cx, g, &opts, -EINVAL);
    opts.stack = 0;
    opts.size = 0;
    refused(cx, g, &opts, NART_EABI);
    opts.size = sizeof opts;
    opts.value = NART_FIBER_VALUE + 1;
    refused(cx, g, &opts, -EINVAL);
    opts.value = 0;
    CHECK_RES(without_function(cx, g), -EINVAL);
    CHECK_RES(nart_await(cx, group_spawn_value(cx, g, NULL, &opts)), -EINVAL);
    CHECK_EQ(g->pool.error, 0); /* no job has failed */
    if (g->kind == NURSERY)
        nart_nursery_cancel(&g->nursery);
    refused(cx, g, &opts, g->kind == NURSERY ? NART_ECLOSED : -ENOSPC);
    CHECK_LE(-ENOSPC, nart_await(cx, group_join(cx, g)));
    group_close(g);
    refused(cx, g, &opts, g->kind == POOL ? -ENOSPC : NART_ECLOSED); /* its first error */
    return 0;
}

TEST_EACH(a_spawn_that_is_refused_keeps_the_value, NURSERY, TASK_SET, POOL)
{
    run_group(is_refused, kind);
}

static nart_res spawns_in_want(nart_cx *cx, void *nth)
{
    static struct group g;
    nart_fiber_opts opts = { .size = sizeof opts, .stack = 1 << 18, .drop = drop };
    int count = 0;
    struct value v = { .count = &count };

    g = (struct group){ .kind = kind_of };
    group_open(cx, &g, 1);
    test_alloc_fail(*(long *)nth, false);
    nart_res r = nart_await(cx, group_spawn_value(cx, &g, &v, &opts));
    nart_res joined = nart_await(cx, group_join(cx, &g)); /* the stack is allocated now */
    test_alloc_fail(0, false);
    group_close(&g);
    CHECK_EQ(v.count == NULL, r == 0);
    CHECK_EQ(drops, r == 0 && count == 0);
    if (g.kind == POOL)
        CHECK_RES(joined, r == 0 && count == 1 ? 0 : -ENOMEM);
    return r ? r : count;
}

TEST_EACH(each_allocation_of_a_spawn_may_fail, NURSERY, TASK_SET, POOL)
{
    int refusals = 0, unborn = 0;
    nart_join join;
    nart_res r = 0;

    for (long nth = 1; nth < 100 && r != 1; nth++) {
        rt_open();
        drops = 0;
        kind_of = kind;
        START(spawns_in_want, &nth, &join);
        run_all(rt);
        r = fiber_verdict(rt, &join);
        nart_join_release(&join);
        refusals += r == -ENOMEM;
        unborn += r == 0;
        rt_close();
        CHECK_EQ(test_alloc_live(), 0);
    }
    CHECK_RES(r, 1);
    CHECK_EQ(refusals, kind == NURSERY); /* slots are mapped in advance */
    CHECK_LE(1, unborn);
}

static nart_res spawns_two(nart_cx *cx, void *arg)
{
    static struct group g;
    const nart_fiber_opts opts = { .size = sizeof opts, .drop = drop };
    int count = 0;
    struct value v[2] = { { .ms = 10, .count = &count }, { .ms = 10, .count = &count } };

    (void)arg;
    g = (struct group){ .kind = kind_of };
    group_open(cx, &g, 2);
    CHECK_RES(nart_await(cx, group_spawn_value(cx, &g, &v[0], &opts)), 0);
    CHECK(v[0].count == NULL);
    CHECK_RES(nart_await(cx, group_spawn_value(cx, &g, &v[1], &opts)), NART_ESLOTS);
    CHECK(v[1].count == &count);
    CHECK_RES(nart_await(cx, group_join(cx, &g)), g.kind == POOL ? NART_ESLOTS : 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(drops, 0);
    group_close(&g);
    return 7;
}

TEST_EACH(a_value_is_kept_when_there_is_no_slot, NURSERY, TASK_SET, POOL)
{
    nart_join join;
    nart_res r = 0;

    rt = NEW_RT(SLOTS(1)); /* of one size for the owner, of another for what it spawns */
    kind_of = kind;
    START(spawns_two, NULL, &join);
    run_all(rt);
    CHECK_RES(nart_join_result(&join, &r), 0);
    CHECK_RES(r, 7);
    nart_join_release(&join);
    rt_close();
}

static nart_res spawns_there(nart_cx *cx, void *frame)
{
    static struct group g;
    int count = 0;
    struct value v = { .count = &count };

    (void)frame;
    g = (struct group){ .kind = kind_of };
    if (g.kind != NURSERY)
        group_open(cx, &g, NODES);
    CHECK_RES(group_spawn(cx, &g, &v, NULL), NART_EDRIVER);
    CHECK_RES(group_spawn_value(cx, &g, &v, NULL), NART_EDRIVER);
    CHECK(v.count == &count);
    CHECK_EQ(g.pool.error, 0);
    return 7;
}

TEST_EACH(a_poll_of_another_driver_spawns_no_fiber, NURSERY, TASK_SET, POOL)
{
    static const nart_task_type spawns = NART_TASK_TYPE(int, spawns_there, NULL);
    struct by_hand host;
    nart__task t;

    kind_of = kind;
    by_hand_open(&host, 0);
    nart_driver_task_init(&t, &spawns, NULL, &host.cx);
    CHECK_RES(nart_driver_poll(&host.cx, &t), 7);
}

static nart_cx *kept;

static nart_res keeps(nart_cx *cx, void *arg)
{
    (void)arg;
    kept = cx;
    return 0;
}

TEST_WITH(a_pool_is_not_awaited_outside_of_polls, rt)
{
    int count = 0;
    struct value v = { .count = &count };
    struct group g = { .kind = POOL };

    CHECK_RES(RUN(keeps, NULL), 0);
    group_open(NULL, &g, NODES);
    CHECK_RES(nart_await(kept, group_spawn_value(kept, &g, &v, NULL)), -EPERM);
    CHECK(v.count == &count);
    group_close(&g);
}

/* ---- options ---- */

static nart_res spawns_with(nart_cx *cx, void *arg)
{
    struct group *g = arg;
    const nart_fiber_opts urgent = { .size = sizeof urgent, .flags = NART_TASK_URGENT };
    int count = 0;
    struct value v[4] = { { .name = "a" }, { .name = "b" }, { .name = "u" }, { .name = "v" } };

    for (int i = 0; i < 4; i++)
        v[i].count = &count;
    group_open(cx, g, 4);
    for (int i = 0; i < 4; i += 2) {
        const nart_fiber_opts *opts = i ? &urgent : NULL;
        CHECK_LE(0, nart_await(cx, group_spawn(cx, g, &v[i], opts)));
        CHECK_LE(0, nart_await(cx, group_spawn_value(cx, g, &v[i + 1], opts)));
    }
    nart_res r = nart_await(cx, group_join(cx, g));
    CHECK_EQ(count, 4);
    group_close(g);
    return r;
}

TEST_EACH(an_urgent_fiber_of_a_group_is_polled_first, NURSERY, TASK_SET, POOL)
{
    run_group(spawns_with, kind);
    CHECK_STR(trace, "uvab");
}

static nart_res spawns_background(nart_cx *cx, void *arg)
{
    struct group *g = arg;
    const nart_fiber_opts opts = { .size = sizeof opts,
                                   .value = sizeof(struct value),
                                   .flags = NART_TASK_BACKGROUND };
    int count = 0;
    struct value v = { .name = "a", .count = &count };

    group_open(cx, g, 2);
    CHECK_LE(0, nart_await(cx, group_spawn(cx, g, &v, &opts)));
    CHECK(v.count == &count); /* copied, not moved */
    CHECK_LE(0, nart_await(cx, group_spawn_value(cx, g, &v, &opts)));
    CHECK_EQ(nart_rt_background_count(nart_cx_rt(cx)), 2);
    nart_res r = nart_await(cx, group_join(cx, g));
    CHECK_EQ(count, 2);
    group_close(g);
    return r;
}

TEST_EACH(a_fiber_of_a_group_is_in_the_background, NURSERY, TASK_SET, POOL)
{
    run_group(spawns_background, kind);
}

/* ---- sockets, by each macro within an await of a body ---- */

static void close_sock(void *sock)
{
    (void)nart_unix_close(sock);
}

static const nart_fiber_opts closes = { .size = sizeof closes, .drop = close_sock };

/* Ends with the other end of its socket. */
static nart_res reads(nart_cx *cx, void *sock)
{
    char c;
    nart_res r = nart_await(cx, nart_unix_recv(cx, sock, &c, 1));

    CHECK_RES(nart_unix_close(sock), 0);
    return r;
}

struct sockets {
    nart_co co;
    nart_nursery nursery;
    nart_task_set set;
    nart_pool pool;
    nart_task_set_node nodes[2][2];
    nart_unix socks[6], peers[6];
    nart_res r;
};

static nart_res sockets_run(nart_cx *cx, void *frame)
{
    struct sockets *f = frame;

    NART_BEGIN(cx, &f->co);
    for (int i = 0; i < 6; i++)
        CHECK_RES(nart_unix_pair_here(cx, 0, &f->socks[i], &f->peers[i]), 0);
    CHECK_RES(nart_nursery_open(cx, &f->nursery, 0), 0);
    nart_task_set_init(&f->set, f->nodes[0], 2);
    nart_pool_init(&f->pool, f->nodes[1], 2, 0);
    NART_AWAIT(f->r, nart_nursery_fiber_spawn(cx, &f->nursery, reads, &f->socks[0], &closes));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_nursery_fiber_spawn_value(cx, &f->nursery, reads, &f->socks[1], &closes));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_task_set_fiber_spawn(cx, &f->set, reads, &f->socks[2], &closes));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_task_set_fiber_spawn_value(cx, &f->set, reads, &f->socks[3], &closes));
    CHECK_RES(f->r, 1);
    NART_AWAIT(f->r, nart_pool_fiber_spawn(cx, &f->pool, reads, &f->socks[4], &closes));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_pool_fiber_spawn_value(cx, &f->pool, reads, &f->socks[5], &closes));
    CHECK_RES(f->r, 0);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(nart_unix_fd(&f->socks[i]) >= 0, i % 2 == 0); /* moved: closed here */
    for (int i = 1; i < 6; i += 2)
        CHECK_RES(nart_unix_close(&f->socks[i]), 0); /* closes no connection */
    for (int i = 0; i < 6; i++) {
        char c;
        CHECK_RES(nart_unix_try_recv(&f->peers[i], &c, 1), -EAGAIN);
        CHECK_RES(nart_unix_shutdown(&f->peers[i], NART_WRITE), 0);
    }
    NART_AWAIT(f->r, nart_nursery_join(cx, &f->nursery, NULL));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_task_set_wait_all(cx, &f->set));
    CHECK_RES(f->r, 0);
    NART_AWAIT(f->r, nart_pool_join(cx, &f->pool));
    CHECK_RES(f->r, 0);
    for (int i = 0; i < 6; i++) {
        char c;
        CHECK_RES(nart_unix_try_recv(&f->peers[i], &c, 1), 0);
        CHECK_RES(nart_unix_close(&f->peers[i]), 0);
    }
    nart_task_set_close(&f->set);
    nart_pool_close(&f->pool);
    NART_END(7);
}

static const nart_task_type sockets_type = NART_TASK_TYPE(struct sockets, sockets_run, NULL);

TEST_WITH(a_socket_that_was_moved_is_closed_by_its_fiber_only, rt)
{
    nart_res r = 0;

    CHECK_RES(nart_block_on(rt, &sockets_type, NULL, &r), 0);
    CHECK_RES(r, 7);
}

/* ---- a handle in which the task waits ---- */

/* Ends with the channel. */
static nart_res receives(nart_cx *cx, void *rx)
{
    uint64_t value = 0;
    nart_res r = nart_await(cx, nart_recv(cx, rx, &value));

    CHECK_RES(r, NART_ECLOSED);
    nart_rx_close(rx);
    return 0;
}

/* The channel is awaited while the pool has no room: nothing moves. */
static nart_res awaits_both(nart_cx *cx, void *arg)
{
    nart_task_set_node node;
    nart_pool pool;
    nart_tx tx;
    nart_rx rx;
    uint64_t value = 5;
    nart_timer timer = { 0 };
    int count = 0, which = 0;
    struct value v = { .ms = 10, .count = &count };

    (void)arg;
    new_chan(rt, 1, &tx, &rx);
    nart_pool_init(&pool, &node, 1, 0);
    CHECK_RES(nart_await(cx, nart_pool_fiber_spawn_value(cx, &pool, counts, &v, NULL)), 0);
    nart_res r = nart_await_any_biased(cx, which, nart_recv(cx, &rx, &value),
                                       nart_pool_fiber_spawn_value(cx, &pool, receives, &rx, NULL),
                                       nart_sleep(cx, &timer, NART_MS));
    CHECK_RES(r, 0);
    CHECK_EQ(which, 2);
    CHECK_RES(nart_try_send(&tx, &value), 0);
    CHECK_RES(nart_await(cx, nart_recv(cx, &rx, &value)), 0);
    CHECK_RES(nart_await(cx, nart_pool_fiber_spawn_value(cx, &pool, receives, &rx, NULL)), 0);
    nart_tx_close(&tx);
    CHECK_RES(nart_await(cx, nart_pool_join(cx, &pool)), 0);
    nart_pool_close(&pool);
    nart_rx_close(&rx);
    return 0;
}

TEST_WITH(a_spawn_that_waits_does_not_touch_the_value, rt)
{
    CHECK_RES(RUN(awaits_both, NULL), 0);
}

static nart_res moves_what_it_awaits(nart_cx *cx, void *arg)
{
    struct group *g = arg;
    uint64_t value = 0;
    nart_tx tx;
    nart_rx rx;
    int which;

    new_chan(rt, 1, &tx, &rx);
    group_open(cx, g, 1);
    nart_res r = nart_await_any_biased(
        cx, which, nart_recv(cx, &rx, &value),
        g->kind == NURSERY    ? nart_nursery_fiber_spawn_value(cx, &g->nursery, receives, &rx, NULL)
        : g->kind == TASK_SET ? nart_task_set_fiber_spawn_value(cx, &g->set, receives, &rx, NULL)
                              : nart_pool_fiber_spawn_value(cx, &g->pool, receives, &rx, NULL));
    return r + which;
}

static void run_mover(void *kind)
{
    struct group g = { .kind = *(uint32_t *)kind };

    rt_open();
    CHECK_RES(RUN(moves_what_it_awaits, &g), 0);
}

TEST_EACH(a_handle_in_which_the_task_waits_is_not_moved, NURSERY, TASK_SET, POOL)
{
    CHECK_DIES(run_mover, &kind, "copied or moved while task moves_what_it_awaits waited in it");
}

/* A poll that awaits in no body has left the receiver: the copy waits in nothing. */
static nart_res leaves(nart_cx *cx, void *frame)
{
    static nart_tx tx;
    static nart_rx rx;
    uint64_t value = 0;
    struct group *g = *(struct group **)frame;

    if (g->pool.flags == 0) {
        group_open(cx, g, 1);
        new_chan(rt, 1, &tx, &rx);
        nart_wake_self(cx);
        return nart_recv(cx, &rx, &value);
    }
    if (rx.ring)
        CHECK_RES(nart_pool_fiber_spawn_value(cx, &g->pool, receives, &rx, NULL), 0);
    nart_tx_close(&tx);
    return nart_pool_join(cx, &g->pool);
}

TEST_WITH(a_wait_that_was_left_is_withdrawn_before_the_value_moves, rt)
{
    static const nart_task_type type = NART_TASK_TYPE(struct group *, leaves, NULL);
    struct group g = { .kind = POOL }, *frame = &g;
    nart_res r = 1;

    CHECK_RES(nart_block_on(rt, &type, &frame, &r), 0);
    CHECK_RES(r, 0);
    nart_pool_close(&g.pool);
}
