/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wakes on real processors: a foreign thread posts a message, wakes a task whose loop parks whenever it
 * can, and posts the next one only after this one was seen, at a random moment. A wake-up that is lost
 * is a hang, which ends the test by ctest's time limit; nothing else here depends on time.
 *
 * The loop spins for a few microseconds before it parks, so wakes meet it in every state: busy,
 * about to park, parked, waking up. */
#include "test.h"

#include <nart/nart.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All of them in the builds that are delivered; a part in slow ones (debug, sanitizers, valgrind). */
#if defined NDEBUG && !defined __SANITIZE_THREAD__ && !defined __SANITIZE_ADDRESS__
#define MESSAGES 2000000u
#else
#define MESSAGES 50000u
#endif

/* ---- what the library writes: its only writes of eight bytes are wakes of a parked loop ---- */

static atomic_ulong eventfd_writes;

ssize_t write(int fd, const void *buf, size_t n)
{
    if (n == sizeof(uint64_t))
        atomic_fetch_add_explicit(&eventfd_writes, 1, memory_order_relaxed);
    return syscall(SYS_write, fd, buf, n);
}

/* ---- the mail ---- */

struct mail {
    _Alignas(128) atomic_uint posted; /* by the thread */
    _Alignas(128) atomic_uint seen;   /* by the task */
    nart_waker waker;
    atomic_bool ready; /* waker has been left */
    uint32_t seed;
};

/* Some 0 to 1023 turns of nothing. */
static void random_gap(struct mail *m)
{
    m->seed = m->seed * 1664525u + 1013904223u;
    for (volatile uint32_t i = m->seed >> 22; i > 0; i--)
        continue;
}

static void *post_all(void *arg)
{
    struct mail *m = arg;

    while (!atomic_load_explicit(&m->ready, memory_order_acquire))
        sched_yield();
    for (unsigned k = 1; k <= MESSAGES; k++) {
        random_gap(m);
        /* Relaxed: what makes it visible is the wake. */
        atomic_store_explicit(&m->posted, k, memory_order_relaxed);
        nart_waker_wake(m->waker);
        for (unsigned tries = 0; atomic_load_explicit(&m->seen, memory_order_acquire) < k; tries++)
            if (tries % 64 == 63)
                sched_yield(); /* on one processor the loop needs it */
    }
    return NULL;
}

struct reader {
    struct mail *mail;
};

static nart_res reader_poll(nart_cx *cx, void *frame)
{
    struct mail *m = ((struct reader *)frame)->mail;
    unsigned k;

    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    if (!atomic_load_explicit(&m->ready, memory_order_relaxed)) {
        m->waker = nart_cx_waker(cx);
        atomic_store_explicit(&m->ready, true, memory_order_release);
    }
    k = atomic_load_explicit(&m->posted, memory_order_relaxed);
    atomic_store_explicit(&m->seen, k, memory_order_release);
    return k == MESSAGES ? 0 : nart_op_park(cx);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_poll, NULL);

TEST(no_wake_of_a_parking_loop_is_lost)
{
    static struct mail mail = { .seed = 1 };
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    nart_rt_stats stats = { .size = sizeof stats };
    nart_res answer = -1;
    pthread_t thread;
    nart_rt *rt;

    opts.alloc = &test_alloc;
    opts.spin_ns = 5 * NART_US;
    CHECK_RES(nart_rt_new(&opts, &rt), 0);
    CHECK_EQ(pthread_create(&thread, NULL, post_all, &mail), 0);
    CHECK_RES(nart_block_on(rt, &reader_type, &(struct reader){ &mail }, &answer), 0);
    CHECK_RES(answer, 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&mail.seen), MESSAGES);

    nart_rt_stats_get(rt, &stats);
    unsigned long writes = atomic_load(&eventfd_writes);
    printf("%u messages, %" PRIu64 " parks, %lu eventfd writes\n", MESSAGES, stats.parks, writes);
    CHECK_LE(MESSAGES / 10, stats.parks); /* else the test has not met what it is about */
    CHECK_LE(writes, stats.parks + stats.parks / 100);
    CHECK_RES(nart_rt_free(rt), 0);
    nart_lib_trim();
}
