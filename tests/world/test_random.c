/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random handlers that run each other at random, checked against the rule in its simplest form: a
 * count of readers and a writer for each resource. The values are checked too: what a handler reads
 * does not change while it runs, and what it writes is written by no other. */
#include "world_test.h"

enum { RESOURCES = 10, HANDLERS = 60, ROUNDS = 20000, DEPTH = 6 };

static nart_resource key[RESOURCES];
static nart_handler_type type[HANDLERS];
static nart_handler handler[HANDLERS];
static int param[HANDLERS][NART_HANDLER_PARAMS]; /* indices of resources */

/* the model */
static int readers[RESOURCES];
static bool written[RESOURCES], running[HANDLERS];
static long ran, refused, deepest, depth;

static uint32_t draw(uint32_t below)
{
    static uint64_t seed = 42;
    return random_below(&seed, below);
}

static bool writes(int h, int i)
{
    return type[h].exclusive >> i & 1;
}

static bool may_run(int h)
{
    if (running[h])
        return false;
    for (int i = 0; type[h].param[i]; i++)
        if (written[param[h][i]] || (writes(h, i) && readers[param[h][i]]))
            return false;
    return true;
}

static void note(int h, bool begins)
{
    running[h] = begins;
    for (int i = 0; type[h].param[i]; i++)
        if (writes(h, i))
            written[param[h][i]] = begins;
        else
            readers[param[h][i]] += begins ? 1 : -1;
}

static void run_one(void)
{
    int h = (int)draw(HANDLERS);
    bool may = may_run(h);
    nart_res r = nart_handler_run(&handler[h], &h);

    CHECK_RES(r, may ? h : NART_ECONFLICT);
    ran += may;
    refused += !may;
}

static nart_res body(void *const *value, const void *event)
{
    int h = *(const int *)event;
    int64_t seen[NART_HANDLER_PARAMS] = { 0 };

    note(h, true);
    depth++;
    deepest = depth > deepest ? depth : deepest;
    for (int i = 0; type[h].param[i]; i++) {
        int64_t *n = value[i];
        if (writes(h, i))
            *n = ran * HANDLERS + h;
        seen[i] = *n;
    }
    for (uint32_t left = depth < DEPTH ? draw(4) : 0; left > 0; left--)
        run_one();
    for (int i = 0; type[h].param[i]; i++)
        CHECK_EQ(*(int64_t *)value[i], seen[i]);
    depth--;
    note(h, false);
    return h;
}

/* Up to eight different resources, most of them read. */
static void make_type(int h)
{
    bool taken[RESOURCES] = { false };
    int n = (int)draw(NART_HANDLER_PARAMS + 1);

    type[h] = (nart_handler_type){ .abi = NART_WORLD_ABI, .name = "random", .call = body };
    for (int i = 0; i < n; i++) {
        int r = (int)draw(RESOURCES);
        while (taken[r])
            r = (r + 1) % RESOURCES;
        taken[r] = true;
        param[h][i] = r;
        type[h].param[i] = &key[r];
        type[h].exclusive |= (uint32_t)(draw(6) == 0) << i;
    }
}

TEST_WITH(handlers_run_each_other_by_the_rule, world)
{
    for (int i = 0; i < RESOURCES; i++) {
        key[i] = (nart_resource){ .abi = NART_WORLD_ABI,
                                  .size = sizeof(int64_t),
                                  .align = _Alignof(int64_t) };
        CHECK_RES(nart_world_add(world, &key[i], NULL, NULL), 0);
    }
    for (int h = 0; h < HANDLERS; h++) {
        make_type(h);
        CHECK_RES(nart_handler_init(&handler[h], world, &type[h]), 0);
    }
    for (int i = 0; i < ROUNDS; i++)
        run_one();
    CHECK_EQ(deepest, DEPTH);
    CHECK_LE(ROUNDS, refused); /* each outcome occurs often */
    CHECK_LE(2 * ROUNDS, ran);
    for (int h = 0; h < HANDLERS; h++)
        CHECK_RES(nart_handler_finish(&handler[h]), 0);
}
