/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cases that the harness must fail; CMakeLists.txt lists the expected output of each. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

TEST(unequal)
{
    int two = 2;
    CHECK_EQ(two, 3);
}

TEST(wrong_answer)
{
    nart_res r = NART_EABORTED;
    CHECK_RES(r, -ECANCELED);
}

TEST(block_left)
{
    CHECK(test_alloc.alloc(NULL, 8, 8) != NULL);
}

TEST(descriptor_left)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

static void *stays(void *arg)
{
    for (;;)
        pause();
    return arg;
}

TEST(thread_left)
{
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, stays, NULL), 0);
}

static void survives(void *arg)
{
    (void)arg;
}

TEST(no_death)
{
    CHECK_DIES(survives, NULL, "");
}

static void dies_silently(void *arg)
{
    (void)arg;
    abort();
}

TEST(another_death)
{
    CHECK_DIES(dies_silently, NULL, "last words");
}

TEST(skips)
{
    SKIP("for %s reason", "this");
}
