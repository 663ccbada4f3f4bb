/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* group.h: a nursery, a task set or a pool, into which a test spawns fibers. */
#ifndef NART_TEST_FIBER_GROUP_H
#define NART_TEST_FIBER_GROUP_H

#include "fiber.h"

enum { NURSERY, TASK_SET, POOL };
enum { NODES = 2 };

struct value {
    char name[8];
    int64_t ms;
    int *count;
    nart_res answer;
};

static int drops;

static inline void drop(void *arg)
{
    const struct value *v = arg;

    CHECK(v->count != NULL);
    drops++;
}

static inline nart_res counts(nart_cx *cx, void *arg)
{
    struct value *v = arg;

    note(v->name);
    nart_res r = await_sleep(cx, v->ms * NART_MS);
    ++*v->count;
    return r ? r : v->answer;
}

/* ---- one of the three ---- */

struct group {
    uint32_t kind;
    nart_nursery nursery;
    nart_task_set set;
    nart_pool pool;
    nart_task_set_node nodes[2 * NODES];
};

static inline void group_open(nart_cx *cx, struct group *g, uint32_t nodes)
{
    switch (g->kind) {
    case NURSERY:
        CHECK_RES(nart_nursery_open(cx, &g->nursery, NART_NURSERY_CANCEL_ON_ERROR), 0);
        break;
    case TASK_SET:
        nart_task_set_init(&g->set, g->nodes, nodes);
        break;
    default:
        nart_pool_init(&g->pool, g->nodes, nodes, NART_POOL_CANCEL_ON_ERROR);
    }
}

static inline nart_res group_spawn(nart_cx *cx, struct group *g, struct value *v,
                                   const nart_fiber_opts *opts)
{
    return g->kind == NURSERY    ? nart_nursery_fiber_spawn(cx, &g->nursery, counts, v, opts)
           : g->kind == TASK_SET ? nart_task_set_fiber_spawn(cx, &g->set, counts, v, opts)
                                 : nart_pool_fiber_spawn(cx, &g->pool, counts, v, opts);
}

static inline nart_res group_spawn_value(nart_cx *cx, struct group *g, struct value *v,
                                         const nart_fiber_opts *opts)
{
    return g->kind == NURSERY    ? nart_nursery_fiber_spawn_value(cx, &g->nursery, counts, v, opts)
           : g->kind == TASK_SET ? nart_task_set_fiber_spawn_value(cx, &g->set, counts, v, opts)
                                 : nart_pool_fiber_spawn_value(cx, &g->pool, counts, v, opts);
}

static inline nart_res group_join(nart_cx *cx, struct group *g)
{
    return g->kind == NURSERY    ? nart_nursery_join(cx, &g->nursery, NULL)
           : g->kind == TASK_SET ? nart_task_set_wait_all(cx, &g->set)
                                 : nart_pool_join(cx, &g->pool);
}

static inline void group_close(struct group *g)
{
    nart_task_set_close(&g->set);
    nart_pool_close(&g->pool);
}

#endif
