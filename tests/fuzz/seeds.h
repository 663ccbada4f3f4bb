/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* seeds.h: random programs from seeds. Each batch of seeds runs in a process of its own, so that the seed of a crash is
 * reported. */
#ifndef NART_TEST_SEEDS_H
#define NART_TEST_SEEDS_H

#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEDS_BATCH = 500, SEEDS_HANG = 120 };

/* The seeds of a batch; `*at` is the current one. */
static inline void seeds_run_batch(void (*run)(uint64_t seed), volatile uint64_t *at, uint64_t from,
                                   uint64_t to)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK_LE(0, child);
    if (child == 0) {
        for (*at = from; *at < to; ++*at) {
            alarm(SEEDS_HANG);
            run(*at);
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

static inline void seeds_run(void (*run)(uint64_t seed), uint64_t from, uint64_t to)
{
    volatile uint64_t *at =
        mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(at != MAP_FAILED);
    for (; from < to; from += SEEDS_BATCH)
        seeds_run_batch(run, at, from, from + SEEDS_BATCH < to ? from + SEEDS_BATCH : to);
}

/* The seeds that the argument of the case names, "17" or "17-99"; false: it names none. One runs in this process. */
static inline bool seeds_named(void (*run)(uint64_t seed), const char *what)
{
    uint64_t from, to;
    int n = what ? sscanf(what, "%" SCNu64 "-%" SCNu64, &from, &to) : 0;

    if (n == 2)
        seeds_run(run, from, to);
    else if (n == 1)
        run(from);
    return n > 0;
}

#endif
