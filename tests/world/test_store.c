/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a world stores: adding, finding and dropping resources; memory; threads. */
#include "world_test.h"

#include <string.h>

enum { MANY = 1000 };

static int64_t number_of_alpha(nart_world *w)
{
    int64_t n = -1;

    CHECK_RES(alpha_read(w, get_number, &n), 0);
    return n;
}

TEST(a_resource_is_a_copy_of_what_was_given)
{
    nart_world *w = new_world();
    struct number init = { 42 };

    CHECK_RES(alpha_add(w, &init, NULL), 0);
    init.n = 0;
    CHECK_EQ(number_of_alpha(w), 42);
    CHECK_RES(nart_world_free(w), 0);
}

TEST(without_a_value_it_is_zeroed)
{
    nart_world *w = new_world();

    CHECK_RES(alpha_add(w, NULL, NULL), 0);
    CHECK_EQ(number_of_alpha(w), 0);
    CHECK_RES(nart_world_free(w), 0);
}

TEST(what_is_written_is_read)
{
    nart_world *w = new_numbers();
    int64_t n = 10;

    CHECK_RES(alpha_write(w, add_number, &n), 0);
    CHECK_EQ(number_of_alpha(w), 11);
    CHECK_RES(nart_world_free(w), 0);
}

static int dropped[4], drops;

static void note_drop(void *value)
{
    dropped[drops++] = (int)((struct number *)value)->n;
}

TEST(drops_run_once_in_reverse_order)
{
    static const struct number init[] = { { 1 }, { 2 }, { 3 } };
    nart_world *w = new_world();

    CHECK_RES(alpha_add(w, &init[0], note_drop), 0);
    CHECK_RES(beta_add(w, &init[1], note_drop), 0);
    CHECK_RES(gamma_add(w, &init[2], note_drop), 0);
    CHECK_RES(nart_world_free(w), 0);
    CHECK_EQ(drops, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(dropped[i], 3 - i);
}

TEST(a_second_one_of_a_kind_is_refused)
{
    static const struct number first = { 1 }, second = { 2 };
    nart_world *w = new_world();

    CHECK_RES(alpha_add(w, &first, note_drop), 0);
    CHECK_RES(alpha_add(w, &second, note_drop), -EEXIST);
    CHECK_EQ(number_of_alpha(w), 1);
    CHECK_RES(nart_world_free(w), 0);
    CHECK_EQ(drops, 1);
    CHECK_EQ(dropped[0], 1);
}

TEST(what_was_not_added_is_not_found)
{
    nart_world *w = new_numbers();
    int64_t n = 0;

    CHECK_RES(nart_world_has(w, &alpha_resource), 0);
    CHECK_RES(nart_world_has(w, &delta_resource), -ENOENT);
    CHECK_RES(delta_read(w, get_number, &n), -ENOENT);
    CHECK_RES(delta_write(w, add_number, &n), -ENOENT);
    CHECK_RES(nart_world_free(w), 0);

    w = new_world(); /* an empty world */
    CHECK_RES(alpha_read(w, get_number, &n), -ENOENT);
    CHECK_RES(nart_world_free(w), 0);
}

/* ---- memory ---- */

static nart_res note_address(const void *value, void *arg)
{
    *(const void **)arg = value;
    return 0;
}

static const void *address_of(nart_world *w, const nart_resource *key)
{
    const void *p = NULL;

    CHECK_RES(nart_world_read(w, key, note_address, &p), 0);
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

TEST(values_do_not_move_when_others_are_added)
{
    nart_world *w = new_world();
    static const void *at[MANY];

    make_many(sizeof(int), _Alignof(int));
    for (int i = 0; i < MANY; i++) {
        CHECK_RES(nart_world_add(w, &many[i], &i, NULL), 0);
        at[i] = address_of(w, &many[i]);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(address_of(w, &many[i]) == at[i]);
        CHECK_EQ(*(const int *)at[i], i);
    }
    CHECK_RES(nart_world_free(w), 0);
}

static void check_alignment(const nart_alloc *alloc)
{
    nart_world *w;

    CHECK_RES(nart_world_new(alloc, &w), 0);
    make_many(1, 1);
    for (int i = 0; i < 12; i++) {
        many[i].align = (size_t)1 << i;
        CHECK_RES(nart_world_add(w, &many[i], NULL, NULL), 0);
        CHECK_EQ((uintptr_t)address_of(w, &many[i]) % many[i].align, 0);
    }
    CHECK_RES(nart_world_free(w), 0);
}

TEST(any_alignment_is_honoured)
{
    check_alignment(&test_alloc);
    check_alignment(NULL);
}

TEST(values_without_a_size_have_addresses_of_their_own)
{
    nart_world *w = new_world();

    make_many(0, 1);
    for (int i = 0; i < 8; i++)
        CHECK_RES(nart_world_add(w, &many[i], NULL, NULL), 0);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++)
            CHECK(address_of(w, &many[i]) != address_of(w, &many[j]));
    CHECK_RES(nart_world_free(w), 0);
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
    nart_world *w;
    int failures = 0;

    make_many(sizeof(int), _Alignof(int));
    for (;; failures++) {
        test_alloc_fail(failures + 1, false);
        nart_res r = build(&w);
        test_alloc_fail(0, false);
        if (r == 0)
            break;
        CHECK_RES(r, -ENOMEM);
        CHECK(failures > 0 || w == NULL);
        for (int i = 0, ended = 0; i < 20 && w; i++) { /* each is either complete or absent */
            r = nart_world_has(w, &many[i]);
            ended |= r != 0;
            CHECK_RES(r, ended ? -ENOENT : 0);
            if (ended)
                CHECK_RES(nart_world_add(w, &many[i], &i, NULL), 0);
            CHECK_EQ(*(const int *)address_of(w, &many[i]), i);
        }
        CHECK_RES(nart_world_free(w), 0);
        CHECK_EQ(test_alloc_live(), 0);
    }
    CHECK_RES(nart_world_free(w), 0);
    CHECK_EQ(failures, 1 + 20 + 3); /* the world, the resources, tables of 16, 32 and 64 */
}

TEST(keys_that_are_none_are_refused)
{
    static const nart_resource aligned_to_0 = { .abi = NART_WORLD_ABI, .size = 1 };
    static const nart_resource aligned_to_12 = { .abi = NART_WORLD_ABI, .size = 1, .align = 12 };
    static const nart_resource huge = { .abi = NART_WORLD_ABI, .size = SIZE_MAX, .align = 1 };
    static const nart_resource of_another_version = { .abi = NART_WORLD_ABI + 1,
                                                      .size = 1,
                                                      .align = 1 };
    nart_world *w = new_world();

    CHECK_RES(nart_world_add(w, NULL, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(w, &aligned_to_0, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(w, &aligned_to_12, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(w, &huge, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_add(w, &of_another_version, NULL, NULL), NART_EABI);
    CHECK_RES(nart_world_free(w), 0);
}

TEST(missing_arguments_are_refused)
{
    nart_world *w = new_numbers();
    int64_t n = 0;

    CHECK_RES(nart_world_new(NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_free(NULL), 0);
    CHECK_RES(nart_world_bind(NULL), -EINVAL);
    CHECK_RES(nart_world_has(NULL, &alpha_resource), -EINVAL);
    CHECK_RES(nart_world_add(NULL, &alpha_resource, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_read(w, &alpha_resource, NULL, NULL), -EINVAL);
    CHECK_RES(nart_world_write(w, &alpha_resource, NULL, NULL), -EINVAL);
    CHECK_RES(alpha_read(NULL, get_number, &n), -EINVAL);
    CHECK_RES(nart_world_free(w), 0);
}

/* ---- threads ---- */

static void *use_elsewhere(void *arg)
{
    nart_world *w = arg;
    int64_t n = 0;

    CHECK_RES(nart_world_has(w, &alpha_resource), NART_EWRONGTHREAD);
    CHECK_RES(delta_add(w, NULL, NULL), NART_EWRONGTHREAD);
    CHECK_RES(alpha_read(w, get_number, &n), NART_EWRONGTHREAD);
    CHECK_RES(alpha_write(w, add_number, &n), NART_EWRONGTHREAD);
    CHECK_RES(nart_world_free(w), NART_EWRONGTHREAD);
    return NULL;
}

TEST(a_world_belongs_to_one_thread)
{
    nart_world *w = new_numbers();

    on_another_thread(use_elsewhere, w);
    CHECK_EQ(number_of_alpha(w), 1);
    CHECK_RES(nart_world_free(w), 0);
}

static void *take_over(void *arg)
{
    nart_world *w = arg;

    CHECK_RES(nart_world_bind(w), 0);
    CHECK_EQ(number_of_alpha(w), 1);
    return NULL;
}

TEST(another_thread_can_take_it_over)
{
    nart_world *w = new_numbers();
    int64_t n = 0;

    on_another_thread(take_over, w);
    CHECK_RES(alpha_read(w, get_number, &n), NART_EWRONGTHREAD);
    CHECK_RES(nart_world_bind(w), 0);
    CHECK_EQ(number_of_alpha(w), 1);
    CHECK_RES(nart_world_free(w), 0);
}
