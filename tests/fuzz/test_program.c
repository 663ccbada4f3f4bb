/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random programs (program.c) from seeds:
 *
 *     test_fuzz_program programs          as ctest does
 *     test_fuzz_program programs 17       the program of seed 17, in this process
 *     test_fuzz_program programs 17-99    those of seeds 17 to 98, as ctest does
 *     test_fuzz_program programs file     the program that the bytes of a file encode */
#include "runtime.h"

#include "program.h"
#include "seeds.h"

enum { BYTES = 6000 };

/* ThreadSanitizer takes much longer for each fiber, and the programs have one thread. */
#if defined __SANITIZE_THREAD__
enum { SEEDS = 10000 };
#else
enum { SEEDS = 50000 };
#endif

/* Bytes of all lengths; short inputs give other programs than prefixes of long ones. */
static void run_seed(uint64_t seed)
{
    static uint8_t bytes[BYTES];
    uint64_t x;
    size_t size = 0;

    do {
        x = random_next(&seed);
        bytes[size++] = (uint8_t)(x >> 24);
    } while (size < BYTES && (x >> 40) % 1600 != 0);
    program_run(bytes, size);
}

static void run_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    static uint8_t bytes[1 << 20];

    CHECK(in);
    size_t n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    program_run(bytes, n);
}

TEST(programs)
{
    const char *what = test_argument();

    if (seeds_named(run_seed, what))
        return;
    if (what)
        run_file(what);
    else
        seeds_run(run_seed, 0, test_repeat(SEEDS));
}
