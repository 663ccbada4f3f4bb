/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random programs (program.c) from seeds. Each batch of seeds runs in a process of its own, so
 * that the seed of a crash is reported:
 *
 *     test_fuzz_program programs          as ctest does
 *     test_fuzz_program programs 17       the program of seed 17, in this process
 *     test_fuzz_program programs 17-99    those of seeds 17 to 98, as ctest does
 *     test_fuzz_program programs file     the program that the bytes of a file encode */
#include "runtime.h"

#include "program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 500, BYTES = 6000, HANGS = 120 };

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

/* The seeds of a batch; `*at` is the current one. */
static void run_batch(volatile uint64_t *at, uint64_t from, uint64_t to)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK_LE(0, child);
    if (child == 0) {
        for (*at = from; *at < to; ++*at) {
            alarm(HANGS);
            run_seed(*at);
        }
        fflush(NULL);
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (status != 0)
        test_fail(__FILE__, __LINE__, "seed %" PRIu64 " (%s)", *at,
                  WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "see above");
}

static void run_range(uint64_t from, uint64_t to)
{
    volatile uint64_t *at =
        mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(at != MAP_FAILED);
    for (; from < to; from += BATCH)
        run_batch(at, from, from + BATCH < to ? from + BATCH : to);
}

TEST(programs)
{
    const char *what = test_argument();
    uint64_t from, to;
    int n = what ? sscanf(what, "%" SCNu64 "-%" SCNu64, &from, &to) : 0;

    if (n == 2)
        run_range(from, to);
    else if (n == 1)
        run_seed(from);
    else if (what)
        run_file(what);
    else
        run_range(0, test_repeat(SEEDS));
}
