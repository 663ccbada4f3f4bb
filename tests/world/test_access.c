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

TEST(a_reader_bears_readers_only)
{
    struct nested x = { .world = new_numbers() };

    CHECK_RES(beta_read(x.world, use_beta_reading, &x), 7);
    CHECK_RES(x.read, 0);
    CHECK_EQ(x.n, 2);
    CHECK_RES(x.write, NART_ECONFLICT);
    CHECK_RES(nart_world_free(x.world), 0);
}

TEST(a_writer_excludes_everybody)
{
    struct nested x = { .world = new_numbers() };

    CHECK_RES(beta_write(x.world, use_beta_writing, &x), 8);
    CHECK_RES(x.read, NART_ECONFLICT);
    CHECK_RES(x.write, NART_ECONFLICT);
    CHECK_EQ(x.n, 0);
    CHECK_RES(nart_world_free(x.world), 0);
}

TEST(other_resources_do_not_matter)
{
    struct nested x = { .world = new_numbers() };

    CHECK_RES(alpha_write(x.world, use_beta_writing, &x), 8);
    CHECK_RES(x.read, 0);
    CHECK_RES(x.write, 0);
    CHECK_RES(alpha_read(x.world, use_beta_reading, &x), 7);
    CHECK_EQ(x.n, 3);
    CHECK_RES(nart_world_free(x.world), 0);
}

TEST(a_use_ends_with_its_function)
{
    struct nested x = { .world = new_numbers() };

    CHECK_RES(beta_write(x.world, use_beta_writing, &x), 8);
    use_beta(&x);
    CHECK_RES(x.read, 0);
    CHECK_RES(x.write, 0);
    CHECK_RES(beta_read(x.world, use_beta_reading, &x), 7);
    use_beta(&x);
    CHECK_RES(x.write, 0);
    CHECK_RES(nart_world_free(x.world), 0);
}

static nart_res read_gamma_then_beta(const struct number *value, void *arg)
{
    struct nested *x = arg;

    (void)value;
    return gamma_read(x->world, use_beta_reading, x);
}

TEST(every_level_counts)
{
    struct nested x = { .world = new_numbers() };

    CHECK_RES(beta_read(x.world, read_gamma_then_beta, &x), 7);
    CHECK_RES(x.read, 0);
    CHECK_RES(x.write, NART_ECONFLICT);
    CHECK_RES(nart_world_free(x.world), 0);
}

/* Nested uses that end do not end the enclosing one. */
static nart_res write_alpha_twice(struct number *value, void *arg)
{
    nart_world *w = arg;
    int64_t n = 0;

    (void)value;
    CHECK_RES(beta_read(w, get_number, &n), 0);
    CHECK_RES(alpha_read(w, get_number, &n), NART_ECONFLICT);
    CHECK_RES(alpha_read(w, get_number, &n), NART_ECONFLICT);
    CHECK_RES(beta_write(w, add_number, &n), 0);
    CHECK_RES(alpha_write(w, add_number, &n), NART_ECONFLICT);
    return 0;
}

TEST(what_ends_inside_leaves_the_outer_one)
{
    nart_world *w = new_numbers();

    CHECK_RES(alpha_write(w, write_alpha_twice, w), 0);
    CHECK_RES(nart_world_free(w), 0);
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

TEST(forms_without_types_keep_the_same_rule)
{
    nart_world *w = new_numbers();
    int64_t n = 0;

    CHECK_RES(nart_world_read(w, &alpha_resource, read_untyped, w), NART_ECONFLICT);
    CHECK_RES(nart_world_write(w, &alpha_resource, write_untyped, w), NART_ECONFLICT);
    CHECK_RES(alpha_read(w, get_number, &n), 0);
    CHECK_EQ(n, 9);
    CHECK_RES(nart_world_free(w), 0);
}

static nart_res end_the_world(const struct number *value, void *arg)
{
    CHECK_RES(nart_world_free(arg), -EBUSY);
    CHECK_RES(nart_world_bind(arg), -EBUSY);
    return value->n;
}

TEST(a_world_in_use_is_not_freed)
{
    nart_world *w = new_numbers();

    CHECK_RES(beta_read(w, end_the_world, w), 2);
    CHECK_RES(nart_world_free(w), 0);
}

static nart_res add_delta(struct number *value, void *arg)
{
    static const struct number four = { 4 };
    int64_t n = 0;

    CHECK_RES(delta_add(arg, &four, NULL), 0);
    CHECK_RES(delta_read(arg, get_number, &n), 0);
    return value->n + n;
}

TEST(resources_are_added_at_any_time)
{
    nart_world *w = new_numbers();

    CHECK_RES(alpha_write(w, add_delta, w), 5);
    CHECK_RES(nart_world_free(w), 0);
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
