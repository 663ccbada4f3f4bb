/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many readers or one writer: which uses of resources exclude each other, and when they end. */
#include "world_test.h"

struct nested {
    nart_world *world;
    nart_res read, write; /* results of the inner uses of beta */
    int64_t n;
};

static void use_beta(struct nested *x)
{
    int64_t one = 1;

    x->read = beta_read(x->world, get_number, &x->n);
    x->write = beta_write(x->world, add_number, &one);
}

static nart_res use_beta_reading(const struct number *value, void *arg)
{
    (void)value;
    use_beta(arg);
    return 7;
}

static nart_res use_beta_writing(struct number *value, void *arg)
{
    (void)value;
    use_beta(arg);
    return 8;
}

TEST_WITH(a_reader_bears_readers_only, numbers)
{
    struct nested x = { .world = world };

    CHECK_RES(beta_read(x.world, use_beta_reading, &x), 7);
    CHECK_RES(x.read, 0);
    CHECK_EQ(x.n, 2);
    CHECK_RES(x.write, NART_ECONFLICT);
}

TEST_WITH(a_writer_excludes_everybody, numbers)
{
    struct nested x = { .world = world };

    CHECK_RES(beta_write(x.world, use_beta_writing, &x), 8);
    CHECK_RES(x.read, NART_ECONFLICT);
    CHECK_RES(x.write, NART_ECONFLICT);
    CHECK_EQ(x.n, 0);
}

TEST_WITH(other_resources_do_not_matter, numbers)
{
    struct nested x = { .world = world };

    CHECK_RES(alpha_write(x.world, use_beta_writing, &x), 8);
    CHECK_RES(x.read, 0);
    CHECK_RES(x.write, 0);
    CHECK_RES(alpha_read(x.world, use_beta_reading, &x), 7);
    CHECK_EQ(x.n, 3);
}

TEST_WITH(a_use_ends_with_its_function, numbers)
{
    struct nested x = { .world = world };

    CHECK_RES(beta_write(x.world, use_beta_writing, &x), 8);
    use_beta(&x);
    CHECK_RES(x.read, 0);
    CHECK_RES(x.write, 0);
    CHECK_RES(beta_read(x.world, use_beta_reading, &x), 7);
    use_beta(&x);
    CHECK_RES(x.write, 0);
}

static nart_res read_gamma_then_beta(const struct number *value, void *arg)
{
    struct nested *x = arg;

    (void)value;
    return gamma_read(x->world, use_beta_reading, x);
}

TEST_WITH(every_level_counts, numbers)
{
    struct nested x = { .world = world };

    CHECK_RES(beta_read(x.world, read_gamma_then_beta, &x), 7);
    CHECK_RES(x.read, 0);
    CHECK_RES(x.write, NART_ECONFLICT);
}

/* Nested uses that end do not end the enclosing one. */
static nart_res write_alpha_twice(struct number *value, void *arg)
{
    world = arg;
    int64_t n = 0;

    (void)value;
    CHECK_RES(beta_read(world, get_number, &n), 0);
    CHECK_RES(alpha_read(world, get_number, &n), NART_ECONFLICT);
    CHECK_RES(alpha_read(world, get_number, &n), NART_ECONFLICT);
    CHECK_RES(beta_write(world, add_number, &n), 0);
    CHECK_RES(alpha_write(world, add_number, &n), NART_ECONFLICT);
    return 0;
}

TEST_WITH(what_ends_inside_leaves_the_outer_one, numbers)
{
    CHECK_RES(alpha_write(world, write_alpha_twice, world), 0);
}

/* The same through the untyped functions. */
static nart_res read_untyped(const void *value, void *arg)
{
    int64_t n = 5;

    CHECK_EQ(((const struct number *)value)->n, 1);
    return alpha_write(arg, add_number, &n);
}

static nart_res write_untyped(void *value, void *arg)
{
    int64_t n = 5;

    ((struct number *)value)->n = 9;
    return alpha_read(arg, get_number, &n);
}

TEST_WITH(forms_without_types_keep_the_same_rule, numbers)
{
    int64_t n = 0;

    CHECK_RES(nart_world_read(world, &alpha_resource, read_untyped, world), NART_ECONFLICT);
    CHECK_RES(nart_world_write(world, &alpha_resource, write_untyped, world), NART_ECONFLICT);
    CHECK_RES(alpha_read(world, get_number, &n), 0);
    CHECK_EQ(n, 9);
}

static nart_res end_the_world(const struct number *value, void *arg)
{
    CHECK_RES(nart_world_free(arg), -EBUSY);
    CHECK_RES(nart_world_bind(arg), -EBUSY);
    return value->n;
}

TEST_WITH(a_world_in_use_is_not_freed, numbers)
{
    CHECK_RES(beta_read(world, end_the_world, world), 2);
}

static nart_res add_delta(struct number *value, void *arg)
{
    static const struct number four = { 4 };
    int64_t n = 0;

    CHECK_RES(delta_add(arg, &four, NULL), 0);
    CHECK_RES(delta_read(arg, get_number, &n), 0);
    return value->n + n;
}

TEST_WITH(resources_are_added_at_any_time, numbers)
{
    CHECK_RES(alpha_write(world, add_delta, world), 5);
}

static nart_world *ending;

static void use_while_dropped(void *value)
{
    int64_t n = 0;

    (void)value;
    CHECK_RES(alpha_read(ending, get_number, &n), NART_ESTALE);
    CHECK_RES(alpha_write(ending, add_number, &n), NART_ESTALE);
    CHECK_RES(delta_add(ending, NULL, NULL), NART_ESTALE);
    CHECK_RES(nart_world_has(ending, &alpha_resource), NART_ESTALE);
    CHECK_RES(nart_world_free(ending), -EBUSY);
}

TEST(a_drop_does_not_get_at_the_world)
{
    ending = new_world();
    CHECK_RES(alpha_add(ending, NULL, NULL), 0);
    CHECK_RES(beta_add(ending, NULL, use_while_dropped), 0);
    CHECK_RES(nart_world_free(ending), 0);
}

struct two_worlds {
    nart_world *a, *b;
};

static nart_res use_the_other(struct number *value, void *arg)
{
    struct two_worlds *both = arg;
    int64_t n = 100;

    CHECK_RES(alpha_write(both->b, add_number, &n), 0);
    CHECK_RES(alpha_write(both->a, add_number, &n), NART_ECONFLICT);
    return value->n;
}

TEST(worlds_are_separate)
{
    struct two_worlds both = { new_numbers(), new_numbers() };
    int64_t n = 0;

    CHECK_RES(alpha_write(both.a, use_the_other, &both), 1);
    CHECK_RES(alpha_read(both.b, get_number, &n), 0);
    CHECK_EQ(n, 101);
    CHECK_RES(nart_world_free(both.a), 0);
    CHECK_RES(nart_world_free(both.b), 0);
}
