/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world_test.h: shared by the tests of worlds. */
#ifndef NART_TEST_WORLDS_H
#define NART_TEST_WORLDS_H

#include "runtime.h"
#include "test.h"
#include "threads.h"

#include <nart/nart.h>

struct number {
    int64_t n;
};

NART_RESOURCE(alpha, struct number);
NART_RESOURCE(beta, struct number);
NART_RESOURCE(gamma, struct number);
NART_RESOURCE(delta, struct number);

NART_RESOURCE_DEFINE(alpha);
NART_RESOURCE_DEFINE(beta);
NART_RESOURCE_DEFINE(gamma);
NART_RESOURCE_DEFINE(delta);

/* Creates a world with counted memory. */
static inline nart_world *new_world(void)
{
    nart_world *w;

    CHECK_RES(nart_world_new(&test_alloc, &w), 0);
    return w;
}

/* Creates a world with the numbers alpha = 1, beta = 2, gamma = 3. */
static inline nart_world *new_numbers(void)
{
    static const struct number init[] = { { 1 }, { 2 }, { 3 } };
    nart_world *w = new_world();

    CHECK_RES(alpha_add(w, &init[0], NULL), 0);
    CHECK_RES(beta_add(w, &init[1], NULL), 0);
    CHECK_RES(gamma_add(w, &init[2], NULL), 0);
    return w;
}

static inline nart_res get_number(const struct number *value, void *arg)
{
    *(int64_t *)arg = value->n;
    return 0;
}

static inline nart_res add_number(struct number *value, void *arg)
{
    value->n += *(const int64_t *)arg;
    return 0;
}

/* The fixtures: `world` is an empty world, `world`, `numbers` one with the numbers of new_numbers(). */
static nart_world *world;

static inline void world_open(void)
{
    world = new_world();
}

static inline void world_close(void)
{
    CHECK_RES(nart_world_free(world), 0);
}

static inline void numbers_open(void)
{
    world = new_numbers();
}

static inline void numbers_close(void)
{
    world_close();
}

#endif
