/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The harness itself, where it should pass; tests/harness has the cases that must fail. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

TEST(blocks_are_counted_and_filled)
{
    unsigned char *p = test_alloc.alloc(NULL, 3, 64);
    CHECK(p != NULL);
    CHECK_EQ((uintptr_t)p % 64, 0);
    CHECK_EQ(p[0], 0xAA);
    CHECK_EQ(test_alloc_live(), 1);
    test_alloc.free(NULL, p, 3, 64);
    CHECK_EQ(test_alloc_live(), 0);
}

TEST(the_nth_allocation_fails)
{
    test_alloc_fail(2, false);
    void *p = test_alloc.alloc(NULL, 8, 8);
    CHECK(p != NULL);
    CHECK(test_alloc.alloc(NULL, 8, 8) == NULL);
    test_alloc.free(NULL, p, 8, 8);
    p = test_alloc.alloc(NULL, 8, 8);
    CHECK(p != NULL);
    test_alloc.free(NULL, p, 8, 8);
}

TEST(every_allocation_fails)
{
    test_alloc_fail(1, true);
    for (int i = 0; i < 3; i++)
        CHECK(test_alloc.alloc(NULL, 8, 8) == NULL);
    test_alloc_fail(0, false);
    void *p = test_alloc.alloc(NULL, 8, 8);
    CHECK(p != NULL);
    test_alloc.free(NULL, p, 8, 8);
}

static void aborts(void *arg)
{
    fputs(arg, stderr);
    abort();
}

TEST(a_death_is_seen)
{
    CHECK_DIES(aborts, "as it should", "it should");
}
