/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sets whose tasks use them in their drop functions. */
#include "core.h"

#include <nart/task_set.h>

static nart_rt *rt;
static nart_task_set set;
static struct {
    nart_task_set_node nodes[1];
    nart_task_set_node behind; /* detects a write past the nodes */
} mine;

static void (*on_drop)(void);
static int dropped;

static nart_res child_run(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static void child_drop(void *frame)
{
    void (*use)(void) = on_drop;

    (void)frame;
    dropped++;
    on_drop = NULL;
    if (use)
        use();
}

static const nart_task_type child_type = NART_TASK_TYPE(int, child_run, child_drop);

static nart_res add_one(void)
{
    nart_join join;

    CHECK_RES(nart_rt_spawn(rt, &child_type, NULL, &join), 0);
    nart_res r = nart_task_set_add(&set, &join);
    nart_join_release(&join);
    return r;
}

static nart_res next_run(nart_cx *cx, void *frame)
{
    (void)frame;
    return nart_task_set_next(cx, &set, NULL);
}

static const nart_task_type next_type = NART_TASK_TYPE(int, next_run, NULL);

/* A set whose only node is that of the last answered task, whose drop calls `use`. */
static void answered_last(void (*use)(void))
{
    nart_res r;

    rt = new_rt();
    nart_task_set_init(&set, mine.nodes, 1);
    CHECK_RES(add_one(), 0);
    CHECK_RES(nart_block_on(rt, &next_type, NULL, &r), 0);
    CHECK_RES(r, 0);
    on_drop = use;
}

static void finish(void)
{
    CHECK(!mine.behind.set && !mine.behind.join.hub);
    nart_task_set_close(&set);
    CHECK_RES(nart_rt_free(rt), 0);
}

static nart_res added;

static void add_in_drop(void)
{
    added = add_one();
}

TEST(a_drop_finds_the_last_node_in_use)
{
    nart_join join;

    answered_last(add_in_drop);
    CHECK_RES(nart_rt_spawn(rt, &child_type, NULL, &join), 0);
    CHECK_RES(nart_task_set_add(&set, &join), 0);
    CHECK_RES(added, -ENOSPC);
    CHECK_EQ(nart_task_set_len(&set), 1);
    finish();
}

static void close_in_drop(void)
{
    nart_task_set_close(&set);
}

TEST(a_drop_closes_the_set)
{
    nart_join join;

    answered_last(close_in_drop);
    CHECK_RES(nart_rt_spawn(rt, &child_type, NULL, &join), 0);
    CHECK_RES(nart_task_set_add(&set, &join), 0);
    CHECK_EQ(nart_task_set_len(&set), 0);
    CHECK_RES(add_one(), NART_ECLOSED);
    finish();
}
