/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handlers: their parameters, what excludes them from running, their lifetime. */
#include "world_test.h"

struct event {
    nart_world *world;
    nart_handler *inner; /* run from inside this one */
    nart_res answer;     /* result of the inner handler */
    int64_t n;
    int runs;
};

NART_RESOURCE(r0, int64_t);
NART_RESOURCE(r1, int64_t);
NART_RESOURCE(r2, int64_t);
NART_RESOURCE(r3, int64_t);
NART_RESOURCE(r4, int64_t);
NART_RESOURCE(r5, int64_t);
NART_RESOURCE(r6, int64_t);
NART_RESOURCE(r7, int64_t);
NART_RESOURCE_DEFINE(r0);
NART_RESOURCE_DEFINE(r1);
NART_RESOURCE_DEFINE(r2);
NART_RESOURCE_DEFINE(r3);
NART_RESOURCE_DEFINE(r4);
NART_RESOURCE_DEFINE(r5);
NART_RESOURCE_DEFINE(r6);
NART_RESOURCE_DEFINE(r7);

static nart_res add_r(const nart_resource *key, int64_t n)
{
    return nart_world_add(world, key, &n, NULL);
}

/* r0 = 1, r1 = 10, ... r7 = 10,000,000. */
static nart_world *new_digits(void)
{
    static const nart_resource *const keys[] = { &r0_resource, &r1_resource, &r2_resource,
                                                 &r3_resource, &r4_resource, &r5_resource,
                                                 &r6_resource, &r7_resource };
    world = new_world();
    int64_t n = 1;

    for (int i = 0; i < 8; i++, n *= 10)
        CHECK_RES(add_r(keys[i], n), 0);
    return world;
}

static nart_res h0(struct event *e)
{
    return e->n;
}
static nart_res h1(const int64_t *a, struct event *e)
{
    return e->n + *a;
}
static nart_res h2(const int64_t *a, int64_t *b, struct event *e)
{
    *b *= 2;
    return e->n + *a + *b;
}
static nart_res h3(int64_t *a, const int64_t *b, const int64_t *c, struct event *e)
{
    *a *= 2;
    return e->n + *a + *b + *c;
}
static nart_res h4(int64_t *a, const int64_t *b, const int64_t *c, int64_t *d, struct event *e)
{
    *a *= 2;
    *d *= 2;
    return e->n + *a + *b + *c + *d;
}
static nart_res h5(const int64_t *a, const int64_t *b, const int64_t *c, const int64_t *d,
                   const int64_t *f, struct event *e)
{
    return e->n + *a + *b + *c + *d + *f;
}
static nart_res h6(int64_t *a, int64_t *b, int64_t *c, int64_t *d, int64_t *f, int64_t *g,
                   struct event *e)
{
    return e->n + *a + *b + *c + *d + *f + *g;
}
static nart_res h7(const int64_t *a, const int64_t *b, const int64_t *c, const int64_t *d,
                   const int64_t *f, const int64_t *g, int64_t *h, struct event *e)
{
    *h *= 2;
    return e->n + *a + *b + *c + *d + *f + *g + *h;
}
static nart_res h8(const int64_t *a, int64_t *b, const int64_t *c, int64_t *d, const int64_t *f,
                   int64_t *g, const int64_t *h, int64_t *i, const struct event *e)
{
    *b *= 2;
    *d *= 2;
    *g *= 2;
    *i *= 2;
    return e->n + *a + *b + *c + *d + *f + *g + *h + *i;
}

NART_HANDLER(h0, struct event);
NART_HANDLER(h1, struct event, SHARED(r0));
NART_HANDLER(h2, struct event, SHARED(r0), EXCLUSIVE(r1));
NART_HANDLER(h3, struct event, EXCLUSIVE(r0), SHARED(r1), SHARED(r2));
NART_HANDLER(h4, struct event, EXCLUSIVE(r0), SHARED(r1), SHARED(r2), EXCLUSIVE(r3));
NART_HANDLER(h5, struct event, SHARED(r0), SHARED(r1), SHARED(r2), SHARED(r3), SHARED(r4));
NART_HANDLER(h6, struct event, EXCLUSIVE(r0), EXCLUSIVE(r1), EXCLUSIVE(r2), EXCLUSIVE(r3),
             EXCLUSIVE(r4), EXCLUSIVE(r5));
NART_HANDLER(h7, struct event, SHARED(r0), SHARED(r1), SHARED(r2), SHARED(r3), SHARED(r4),
             SHARED(r5), EXCLUSIVE(r6));
NART_HANDLER(h8, const struct event, SHARED(r0), EXCLUSIVE(r1), SHARED(r2), EXCLUSIVE(r3),
             SHARED(r4), EXCLUSIVE(r5), SHARED(r6), EXCLUSIVE(r7));

TEST(parameters_are_passed_in_order_and_writes_persist)
{
    static const struct {
        const nart_handler_type *type;
        int64_t first, second;
    } cases[] = {
        { &h0_handler, 500000000, 500000000 }, { &h1_handler, 500000001, 500000001 },
        { &h2_handler, 500000021, 500000041 }, { &h3_handler, 500000112, 500000114 },
        { &h4_handler, 500002112, 500004114 }, { &h5_handler, 500011111, 500011111 },
        { &h6_handler, 500111111, 500111111 }, { &h7_handler, 502111111, 504111111 },
        { &h8_handler, 521212121, 541414141 },
    };
    const struct event e = { .n = 500000000 };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world = new_digits();
        nart_handler h = { 0 };
        CHECK_RES(nart_handler_init(&h, world, cases[i].type), 0);
        CHECK_EQ(h.access.count, i);
        CHECK_EQ(nart_handler_run(&h, &e), cases[i].first);
        CHECK_EQ(nart_handler_run(&h, &e), cases[i].second);
        CHECK_RES(nart_handler_finish(&h), 0);
        CHECK_RES(nart_world_free(world), 0);
    }
}

/* ---- creation ---- */

static nart_res run_inner(struct event *e)
{
    e->runs++;
    if (e->inner) {
        nart_handler *h = e->inner;
        struct event inside = { .world = e->world, .n = 1 };
        e->answer = nart_handler_run(h, &inside);
        e->n += inside.runs;
    }
    return 0;
}

static nart_res reads_alpha(const struct number *a, struct event *e)
{
    (void)a;
    return run_inner(e);
}
static nart_res writes_alpha(struct number *a, struct event *e)
{
    a->n += e->n;
    return run_inner(e);
}
static nart_res reads_beta(const struct number *b, struct event *e)
{
    (void)b;
    return run_inner(e);
}
static nart_res writes_both(struct number *a, struct number *b, struct event *e)
{
    a->n += b->n;
    return run_inner(e);
}
static nart_res uses_delta(const struct number *a, const struct number *d, struct event *e)
{
    (void)a, (void)d;
    return run_inner(e);
}
static nart_res reads_alpha_twice(const struct number *a, const struct number *b, struct event *e)
{
    CHECK(a == b);
    return run_inner(e);
}
static nart_res mixes_alpha(const struct number *a, struct number *b, struct event *e)
{
    CHECK(a == b);
    return run_inner(e);
}
static nart_res writes_alpha_twice(struct number *a, struct number *b, struct event *e)
{
    CHECK(a == b);
    return run_inner(e);
}

NART_HANDLER(run_inner, struct event);
NART_HANDLER(reads_alpha, struct event, SHARED(alpha));
NART_HANDLER(writes_alpha, struct event, EXCLUSIVE(alpha));
NART_HANDLER(reads_beta, struct event, SHARED(beta));
NART_HANDLER(writes_both, struct event, EXCLUSIVE(alpha), EXCLUSIVE(beta));
NART_HANDLER(uses_delta, struct event, SHARED(alpha), SHARED(delta));
NART_HANDLER(reads_alpha_twice, struct event, SHARED(alpha), SHARED(alpha));
NART_HANDLER(mixes_alpha, struct event, SHARED(alpha), EXCLUSIVE(alpha));
NART_HANDLER(writes_alpha_twice, struct event, EXCLUSIVE(alpha), EXCLUSIVE(alpha));

static bool is_zeroed(const nart_handler *h)
{
    const unsigned char *p = (const unsigned char *)h;

    for (size_t i = 0; i < sizeof *h; i++)
        if (p[i])
            return false;
    return true;
}

TEST_WITH(what_the_world_lacks_is_said_when_a_handler_is_made, numbers)
{
    nart_handler h = { 0 };

    CHECK_RES(nart_handler_init(&h, world, &uses_delta_handler), -ENOENT);
    CHECK(is_zeroed(&h));
    CHECK_RES(delta_add(world, NULL, NULL), 0);
    CHECK_RES(nart_handler_init(&h, world, &uses_delta_handler), 0);
    CHECK_RES(nart_handler_finish(&h), 0);
}

TEST_WITH(a_handler_does_not_write_what_it_names_twice, numbers)
{
    nart_handler h = { 0 };
    struct event e = { 0 };

    CHECK_RES(nart_handler_init(&h, world, &mixes_alpha_handler), NART_ECONFLICT);
    CHECK(is_zeroed(&h));
    CHECK_RES(nart_handler_init(&h, world, &writes_alpha_twice_handler), NART_ECONFLICT);
    CHECK(is_zeroed(&h));
    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_twice_handler), 0);
    CHECK_RES(reads_alpha_twice_run(&h, &e), 0);
    CHECK_EQ(e.runs, 1);
    CHECK_RES(nart_handler_finish(&h), 0);
}

TEST_WITH(what_makes_no_handler_is_refused, numbers)
{
    nart_handler h = { 0 };
    nart_handler_type type = reads_alpha_handler;

    CHECK_RES(nart_handler_init(NULL, world, &type), -EINVAL);
    CHECK_RES(nart_handler_init(&h, NULL, &type), -EINVAL);
    CHECK_RES(nart_handler_init(&h, world, NULL), -EINVAL);
    type.abi++;
    CHECK_RES(nart_handler_init(&h, world, &type), NART_EABI);
    type.abi--;
    for (int i = 0; i <= NART_HANDLER_PARAMS; i++)
        type.param[i] = &alpha_resource; /* no terminator */
    CHECK_RES(nart_handler_init(&h, world, &type), -EINVAL);
    type.call = NULL;
    CHECK_RES(nart_handler_init(&h, world, &type), -EINVAL);
    CHECK(is_zeroed(&h));
}

TEST_WITH(a_handler_is_made_once, numbers)
{
    nart_handler h = { 0 };

    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_handler), 0);
    CHECK_RES(nart_handler_init(&h, world, &reads_beta_handler), -EALREADY);
    CHECK(h.type == &reads_alpha_handler);
    CHECK_RES(nart_handler_finish(&h), 0);
    CHECK(is_zeroed(&h));
    CHECK_RES(nart_handler_finish(&h), 0);
    CHECK_RES(nart_handler_finish(NULL), 0);
    CHECK_RES(nart_handler_init(&h, world, &reads_beta_handler), 0);
    CHECK_RES(nart_handler_finish(&h), 0);
}

TEST_WITH(the_typed_form_refuses_a_handler_of_another_type, numbers)
{
    nart_handler h = { 0 };
    struct event e = { 0 };

    CHECK_RES(reads_beta_run(&h, &e), -EINVAL);
    CHECK_RES(nart_handler_run(&h, &e), -EINVAL);
    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_handler), 0);
    CHECK_RES(reads_beta_run(&h, &e), -EINVAL);
    CHECK_EQ(e.runs, 0);
    CHECK_RES(reads_alpha_run(&h, &e), 0);
    CHECK_EQ(e.runs, 1);
    CHECK_RES(nart_handler_finish(&h), 0);
}

/* ---- nested handlers ---- */

static nart_res run_within(const nart_handler_type *outer, const nart_handler_type *inner)
{
    world = new_numbers();
    nart_handler a = { 0 }, b = { 0 };
    struct event e = { .world = world, .inner = &b };

    CHECK_RES(nart_handler_init(&a, world, outer), 0);
    CHECK_RES(nart_handler_init(&b, world, inner), 0);
    for (int i = 0; i < 3; i++) { /* each run leaves no trace */
        e.n = 0;
        CHECK_RES(nart_handler_run(&a, &e), 0);
        CHECK_EQ(e.n, e.answer == 0); /* a refused handler calls nothing */
    }
    struct event alone = { 0 };
    CHECK_RES(nart_handler_run(&b, &alone), 0);
    CHECK_EQ(alone.runs, 1);
    CHECK_RES(nart_handler_finish(&a), 0);
    CHECK_RES(nart_handler_finish(&b), 0);
    CHECK_RES(nart_world_free(world), 0);
    return e.answer;
}

TEST(a_conflicting_handler_inside_is_refused_and_not_called)
{
    CHECK_RES(run_within(&writes_alpha_handler, &reads_alpha_handler), NART_ECONFLICT);
    CHECK_RES(run_within(&writes_alpha_handler, &writes_alpha_handler), NART_ECONFLICT);
    CHECK_RES(run_within(&reads_alpha_handler, &writes_alpha_handler), NART_ECONFLICT);
    CHECK_RES(run_within(&writes_both_handler, &reads_beta_handler), NART_ECONFLICT);
    CHECK_RES(run_within(&reads_beta_handler, &writes_both_handler), NART_ECONFLICT);
}

TEST(others_run_inside)
{
    CHECK_RES(run_within(&reads_alpha_handler, &reads_alpha_handler), 0);
    CHECK_RES(run_within(&writes_alpha_handler, &reads_beta_handler), 0);
    CHECK_RES(run_within(&reads_beta_handler, &writes_alpha_handler), 0);
    CHECK_RES(run_within(&writes_both_handler, &run_inner_handler), 0);
    CHECK_RES(run_within(&run_inner_handler, &writes_both_handler), 0);
}

TEST_WITH(a_handler_does_not_run_inside_itself, numbers)
{
    static const nart_handler_type *const types[] = { &writes_alpha_handler, &reads_alpha_handler,
                                                      &run_inner_handler };

    for (int i = 0; i < 3; i++) {
        nart_handler h = { 0 };
        struct event e = { .world = world, .inner = &h };
        CHECK_RES(nart_handler_init(&h, world, types[i]), 0);
        CHECK_RES(nart_handler_run(&h, &e), 0);
        CHECK_RES(e.answer, NART_ECONFLICT);
        CHECK_EQ(e.runs, 1);
        CHECK_RES(nart_handler_finish(&h), 0);
    }
}

struct chain {
    nart_handler h[4];
    nart_res answer[4]; /* by handler: result of running the next one */
    int depth;
};

static void next_in_chain(struct chain *c)
{
    int at = c->depth;

    if (at == 3)
        return;
    c->depth++;
    c->answer[at] = nart_handler_run(&c->h[at + 1], c);
    if (at == 0) /* the inner handlers have returned, this one has not */
        CHECK_RES(nart_handler_run(&c->h[3], c), NART_ECONFLICT);
}

static nart_res chain_writes_alpha(struct number *a, struct chain *c)
{
    (void)a;
    next_in_chain(c);
    return 0;
}
static nart_res chain_writes_beta(struct number *b, struct chain *c)
{
    (void)b;
    next_in_chain(c);
    return 0;
}
static nart_res chain_reads_gamma(const struct number *g, struct chain *c)
{
    (void)g;
    next_in_chain(c);
    return 0;
}
static nart_res chain_reads_all(const struct number *a, const struct number *g, struct chain *c)
{
    (void)a, (void)g;
    c->depth = -1;
    return 0;
}
NART_HANDLER(chain_writes_alpha, struct chain, EXCLUSIVE(alpha));
NART_HANDLER(chain_writes_beta, struct chain, EXCLUSIVE(beta));
NART_HANDLER(chain_reads_gamma, struct chain, SHARED(gamma));
NART_HANDLER(chain_reads_all, struct chain, SHARED(alpha), SHARED(gamma));

TEST_WITH(the_innermost_is_compared_with_all_around_it, numbers)
{
    static const nart_handler_type *const types[] = { &chain_writes_alpha_handler,
                                                      &chain_writes_beta_handler,
                                                      &chain_reads_gamma_handler,
                                                      &chain_reads_all_handler };
    struct chain c = { .depth = 0 };

    for (int i = 0; i < 4; i++)
        CHECK_RES(nart_handler_init(&c.h[i], world, types[i]), 0);
    CHECK_RES(nart_handler_run(&c.h[0], &c), 0);
    CHECK_EQ(c.depth, 3);
    CHECK_RES(c.answer[0], 0);
    CHECK_RES(c.answer[1], 0);
    CHECK_RES(c.answer[2], NART_ECONFLICT);
    for (int i = 0; i < 4; i++)
        CHECK_RES(nart_handler_finish(&c.h[i]), 0);
}

static nart_res run_event(struct number *value, void *arg)
{
    struct event *e = arg;

    (void)value;
    return nart_handler_run(e->inner, e);
}

static nart_res run_reads_alpha(struct number *value, void *arg)
{
    struct event e = { 0 };

    (void)value;
    return reads_alpha_run(arg, &e);
}

TEST_WITH(handlers_and_single_uses_exclude_each_other, numbers)
{
    nart_handler h = { 0 };
    struct event e = { .inner = &h };

    CHECK_RES(nart_handler_init(&h, world, &h0_handler), 0);
    CHECK_RES(alpha_write(world, run_event, &e), 0);
    CHECK_RES(nart_handler_finish(&h), 0);
    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_handler), 0);
    CHECK_RES(alpha_write(world, run_event, &e), NART_ECONFLICT);
    CHECK_EQ(e.runs, 0);
    CHECK_RES(nart_handler_finish(&h), 0);
}

TEST_WITH(a_run_inside_leaves_nothing_for_the_next_one, numbers)
{
    nart_handler h = { 0 }, beta = { 0 };
    struct event e = { .inner = &beta };

    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_handler), 0);
    CHECK_RES(nart_handler_init(&beta, world, &reads_beta_handler), 0);
    CHECK_RES(beta_write(world, run_reads_alpha, &h), 0);
    CHECK_RES(nart_handler_run(&h, &e), 0);
    CHECK_RES(e.answer, 0); /* beta has no writer any more */
    CHECK_RES(nart_handler_finish(&h), 0);
    CHECK_RES(nart_handler_finish(&beta), 0);
}

/* ---- lifetime ---- */

static nart_res ends_itself(const struct number *a, nart_handler *h)
{
    (void)a;
    CHECK_RES(nart_handler_finish(h), -EBUSY);
    CHECK_RES(nart_world_free(h->world), -EBUSY);
    return 3;
}
NART_HANDLER(ends_itself, nart_handler, SHARED(alpha));

TEST_WITH(what_runs_is_neither_finished_nor_freed, numbers)
{
    nart_handler h = { 0 };

    CHECK_RES(nart_handler_init(&h, world, &ends_itself_handler), 0);
    CHECK_RES(ends_itself_run(&h, &h), 3);
    CHECK_RES(nart_handler_finish(&h), 0);
}

TEST(handlers_outlive_their_world)
{
    world = new_numbers();
    nart_handler h[2] = { { 0 }, { 0 } };
    struct event e = { 0 };

    CHECK_RES(nart_handler_init(&h[0], world, &reads_alpha_handler), 0);
    CHECK_RES(nart_handler_init(&h[1], world, &writes_both_handler), 0);
    CHECK_RES(nart_world_free(world), 0);
    CHECK_EQ(test_alloc_live(), 1); /* the header of the world */
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_handler_run(&h[i], &e), NART_ESTALE);
        CHECK_RES(nart_handler_finish(&h[i]), 0);
    }
    CHECK_EQ(e.runs, 0);
}

static nart_handler *made_of_ending;

static void run_while_dropped(void *value)
{
    struct event e = { 0 };
    nart_handler h = { 0 };

    (void)value;
    CHECK_RES(nart_handler_run(made_of_ending, &e), NART_ESTALE);
    CHECK_RES(nart_handler_init(&h, made_of_ending->world, &reads_alpha_handler), NART_ESTALE);
    CHECK_RES(nart_handler_finish(made_of_ending), 0);
    CHECK_EQ(e.runs, 0);
}

TEST(a_world_that_is_being_freed_has_no_handlers)
{
    nart_handler h = { 0 };

    numbers_open();
    made_of_ending = &h;
    CHECK_RES(delta_add(world, NULL, run_while_dropped), 0);
    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_handler), 0);
    numbers_close();
}

static void *run_elsewhere(void *arg)
{
    struct event e = { 0 };
    nart_handler *h = arg, other = { 0 };

    CHECK_RES(reads_alpha_run(h, &e), NART_EWRONGTHREAD);
    CHECK_RES(nart_handler_run(h, &e), NART_EWRONGTHREAD);
    CHECK_RES(nart_handler_finish(h), NART_EWRONGTHREAD);
    CHECK_RES(nart_handler_init(&other, h->world, &reads_alpha_handler), NART_EWRONGTHREAD);
    CHECK_EQ(e.runs, 0);
    return NULL;
}

static void *run_as_owner(void *arg)
{
    struct event e = { 0 };
    nart_handler *h = arg;

    CHECK_RES(nart_world_bind(h->world), 0);
    CHECK_RES(nart_handler_run(h, &e), 0);
    CHECK_EQ(e.runs, 1);
    return NULL;
}

TEST_WITH(a_handler_runs_on_the_thread_of_its_world, numbers)
{
    nart_handler h = { 0 };
    struct event e = { 0 };

    CHECK_RES(nart_handler_init(&h, world, &reads_alpha_handler), 0);
    thread_run(run_elsewhere, &h);
    thread_run(run_as_owner, &h);
    CHECK_RES(nart_handler_run(&h, &e), NART_EWRONGTHREAD);
    CHECK_RES(nart_world_bind(world), 0);
    CHECK_RES(nart_handler_run(&h, &e), 0);
    CHECK_RES(nart_handler_finish(&h), 0);
}
