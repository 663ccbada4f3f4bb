/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* threads.h: threads that run one function, and pauses at random that let one of them get ahead. */
#ifndef NART_TEST_THREADS_H
#define NART_TEST_THREADS_H

#include "runtime.h"

#include <pthread.h>
#include <sched.h>

static inline pthread_t thread_start(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, arg), 0);
    return thread;
}

static inline void thread_join(pthread_t thread)
{
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Runs body(arg) on another thread to its end. */
static inline void thread_run(void *(*body)(void *), void *arg)
{
    thread_join(thread_start(body, arg));
}

/* Runs first(arg) and then second(arg) on two threads that have the same pthread_t, because they have the same
 * stack, one after the other. */
static inline void thread_run_both(void *(*first)(void *), void *(*second)(void *), void *arg)
{
    static _Alignas(4096) char stack[1 << 20];
    pthread_t threads[2];
    pthread_attr_t attr;

    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setstack(&attr, stack, sizeof stack), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&threads[i], &attr, i == 0 ? first : second, arg), 0);
        thread_join(threads[i]);
    }
    CHECK(pthread_equal(threads[0], threads[1]));
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
}

/* Pauses for up to 1023 steps, once in `times` calls on average, and yields in one of 64 pauses. */
static inline void thread_gap(uint64_t *seed, uint32_t times)
{
    if (random_below(seed, times))
        return;
    for (uint32_t n = random_below(seed, 1024); n > 0; n--)
        __asm__ volatile("" ::: "memory");
    if (random_below(seed, 64) == 0)
        sched_yield();
}

#endif
