/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a world stores: adding, finding and dropping resources; memory; threads. */
#include "world_test.h"

#include <string.h>

enum { MANY = 1000 };

static int64_t number_of_alpha(void)
{
    int64_t n = -1;

    CHECK_RES(alpha_read(world, get_number, &n), 0);
    return n;
}

TEST_WITH(a_resource_is_a_copy_of_what_was_given, world)
{
    struct number init = { 42 };

    CHECK_RES(alpha_add(world, &init, NULL), 0);
    init.n = 0;
    CHECK_EQ(number_of_alpha(), 42);
}

TEST_WITH(without_a_value_it_is_zeroed, world)
{
    CHECK_RES(alpha_add(world, NULL, NULL), 0);
    CHECK_EQ(number_of_alpha(), 0);
}

TEST_WITH(what_is_written_is_read, numbers)
{
    int64_t n = 10;

    CHECK_RES(alpha_write(world, add_number, &n), 0);
    CHECK_EQ(number_of_alpha(), 11);
}

static int dropped[4], drops;

static void note_drop(void *value)
{
    dropped[drops++] = (int)((struct number *)value)->n;
}

TEST(drops_run_once_in_reverse_order)
{
    static const struct number init[] = { { 1 }, { 2 }, { 3 } };
    world = new_world();

    CHECK_RES(alpha_add(world, &init[0], note_drop), 0);
    CHECK_RES(beta_add(world, &init[1], note_drop), 0);
    CHECK_RES(gamma_add(world, &init[2], note_drop), 0);
    CHECK_RES(nart_world_free(world), 0);
    CHECK_EQ(drops, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(dropped[i], 3 - i);
}

TEST(a_second_one_of_a_kind_is_refused)
{
    static const struct number first = { 1 }, second = { 2 };
    world = new_world();

    CHECK_RES(alpha_add(world, &first, note_drop), 0);
    CHECK_RES(alpha_add(world, &second, note_drop), -EEXIST);
    CHECK_EQ(number_of_alpha(), 1);
    CHECK_RES(nart_world_free(world), 0);
    CHECK_EQ(drops, 1);
    CHECK_EQ(dropped[0], 1);
}

TEST(what_was_not_added_is_not_found)
{
    world = new_numbers();
    int64_t n = 0;

    CHECK_RES(nart_world_has(world, &alpha_resource), 0);
    CHECK_RES(nart_world_has(world, &delta_resource), -ENOENT);
    CHECK_RES(delta_read(world, get_number, &n), -ENOENT);
    CHECK_RES(delta_write(world, add_number, &n), -ENOENT);
    CHECK_RES(nart_world_free(world), 0);

    world = new_world(); /* an empty world */
    CHECK_RES(alpha_read(world, get_number, &n), -ENOENT);
    CHECK_RES(nart_world_free(world), 0);
}

/* ---- memory ---- */

static nart_res note_address(const void *value, void *arg)
{
    *(const void **)arg = value;
    return 0;
}

static const void *address_of(const nart_resource *key)
{
    const void *p = NULL;

    CHECK_RES(nart_world_read(world, key, note_address, &p), 0);
    return p;
}

static nart_resource many[MANY];

static void make_many(size_t size, size_t align)
{
    for (int i = 0; i < MANY; i++)
        many[i] = (nart_resource){
            .abi = NART_WORLD_ABI, .name = "one of many", .size = size, .align = align
        };
}

TEST_WITH(values_do_not_move_when_others_are_added, world)
{
    static const void *at[MANY];

    make_many(sizeof(int), _Alignof(int));
    for (int i = 0; i < MANY; i++) {
        CHECK_RES(nart_world_add(world, &many[i], &i, NULL), 0);
        at[i] = address_of(&many[i]);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(address_of(&many[i]) == at[i]);
        CHECK_EQ(*(const int *)at[i], i);
    }
}

static void check_alignment(const nart_alloc *alloc)
{
    CHECK_RES(nart_world_new(alloc, &world), 0);
    make_many(1, 1);
    for (int i = 0; i < 12; i++) {
        many[i].align = (size_t)1 << i;
        CHECK_RES(nart_world_add(world, &many[i], NULL, NULL), 0);
        CHECK_EQ((uintptr_t)address_of(&many[i]) % many[i].align, 0);
    }
    CHECK_RES(nart_world_free(world), 0);
}

TEST(any_alignment_is_honoured)
{
    check_alignment(&test_alloc);
    check_alignment(NULL);
}

TEST_WITH(values_without_a_size_have_addresses_of_their_own, world)
{
    make_many(0, 1);
    for (int i = 0; i < 8; i++)
        CHECK_RES(nart_world_add(world, &many[i], NULL, NULL), 0);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++)
            CHECK(address_of(&many[i]) != address_of(&many[j]));
}

/* Builds a world of 20 resources, with the nth allocation failing. Returns the first nonzero
 * result. */
static nart_res build(nart_world **w)
{
    nart_res r = nart_world_new(&test_alloc, w);

    for (int i = 0; i < 20 && r == 0; i++)
        r = nart_world_add(*w, &many[i], &i, NULL);
    return r;
}

TEST(want_of_memory_is_an_answer)
{
    int failures = 0;

    make_many(sizeof(int), _Alignof(int));
    for (;; failures++) {
        test_alloc_fail(failures + 1, false);
        nart_res r = build(&world);
        test_alloc_fail(0, false);
        if (r == 0)
            break;
        CHECK_RES(r, -ENOMEM);
        CHECK(failures > 0 || world == NULL);
        for (int i = 0, ended = 0; i < 20 && world; i++) { /* each is either complete or absent */
            r = nart_world_has(world, &many[i]);
            ended |= r != 0;
            CHECK_RES(r, ended ? -ENOENT : 0);
            if (ended)
                CHECK_RES(nart_world_add(world, &many[i], &i, NULL), 0);
            CHECK_EQ(*(const int *)address_of(&many[i]), i);
        }
        CHECK_RES(nart_world_free(world), 0);
        CHECK_EQ(test_alloc_live(), 0);
    }
    CHECK_RES(nart_world_free(world), 0);
    CHECK_EQ(failures, 1 + 20 + 3); /* the world, the resources, tables of 16, 32 and 64 */
}

TEST_WITH(keys_that_are_none_are_refused, world)
{
    static const nart_resource aligned_to_0 = { .abi = NART_WORLD_ABI, .size = 1 };
    static const nart_resource aligned_to_12 = { .abi = NART_WORLD_ABI, .size = 1, .align = 12 };
    static const nart_resource huge = { .abi = NART_WORLD_ABI, .size = SIZE_MAX, .align = 1 };
    static const nart_resource of_another_version = { .abi = NART_WORLD_ABI + 1,
                                                      .size = 1,
                                                      .align = 1 };

    CHECK_RES(nart_world_add(world, NULL, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(world, &aligned_to_0, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(world, &aligned_to_12, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(world, &huge, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(world, &of_another_version, NULL, NULL), NART_EABI);
}

TEST_WITH(missing_arguments_are_refused, numbers)
{
    int64_t n = 0;

    CHECK_RES(nart_world_new(NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_free(NULL), 0);
    CHECK_RES(nart_world_bind(NULL), -EINVAL);
    CHECK_RES(nart_world_has(NULL, &alpha_resource), -EINVAL);
    CHECK_RES(nart_world_add(NULL, &alpha_resource, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_read(world, &alpha_resource, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_write(world, &alpha_resource, NULL, NULL), -EINVAL);
    CHECK_RES(alpha_read(NULL, get_number, &n), -EINVAL);
}

/* ---- threads ---- */

static void *use_elsewhere(void *arg)
{
    world = arg;
    nart_world *own = NULL;
    int64_t n = 0;

    CHECK_RES(nart_world_new(NULL, &own), 0);
    CHECK_RES(nart_world_free(own), 0);
    CHECK_RES(nart_world_has(world, &alpha_resource), NART_EWRONGTHREAD);
    CHECK_RES(delta_add(world, NULL, NULL), NART_EWRONGTHREAD);
    CHECK_RES(alpha_read(world, get_number, &n), NART_EWRONGTHREAD);
    CHECK_RES(alpha_write(world, add_number, &n), NART_EWRONGTHREAD);
    CHECK_RES(nart_world_free(world), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(a_world_belongs_to_one_thread, numbers)
{
    thread_run(use_elsewhere, world);
    CHECK_EQ(number_of_alpha(), 1);
}

static void *take_over(void *arg)
{
    world = arg;

    CHECK_RES(nart_world_bind(world), 0);
    CHECK_EQ(number_of_alpha(), 1);
    return NULL;
}

TEST_WITH(a_thread_is_not_taken_for_one_that_has_ended, numbers)
{
    thread_run_both(take_over, use_elsewhere, world);
    CHECK_RES(nart_world_bind(world), 0);
}

TEST_WITH(another_thread_can_take_it_over, numbers)
{
    int64_t n = 0;

    thread_run(take_over, world);
    CHECK_RES(alpha_read(world, get_number, &n), NART_EWRONGTHREAD);
    CHECK_RES(nart_world_bind(world), 0);
    CHECK_EQ(number_of_alpha(), 1);
}
