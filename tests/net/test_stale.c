/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handles of freed runtimes, while other threads create and free runtimes that reuse their hubs. */
#include "runtime.h"
#include "threads.h"

#include <nart/nart.h>

#include <unistd.h>

enum { RUNTIMES = 4, ROUNDS = 20 };

static uint32_t stop;

static void *make_and_free(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        CHECK_RES(nart_rt_free(NEW_RT(.max_io = 4)), 0);
    return NULL;
}

/* ThreadSanitizer checks that the other thread's runtimes are not accessed. */
TEST(closing_meets_no_other_runtime)
{
    nart_fd fds[RUNTIMES];
    nart_rt *rts[RUNTIMES];
    int ends[2];

    CHECK_EQ(pipe(ends), 0);
    pthread_t thread = thread_start(make_and_free, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < RUNTIMES; i++) {
            rts[i] = NEW_RT(.max_io = 4);
            CHECK_RES(nart_fd_open(rts[i], ends[0], NART_FD_BORROW, &fds[i]), 0);
        }
        for (int i = 0; i < RUNTIMES; i++)
            CHECK_RES(nart_rt_free(rts[i]), 0);
        for (int i = 0; i < RUNTIMES; i++) {
            nart_fd_clear(&fds[i], NART_READ);
            CHECK_RES(nart_fd_close(&fds[i]), 0);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    thread_join(thread);
    close(ends[0]);
    close(ends[1]);
}
