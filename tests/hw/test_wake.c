/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wakes on real processors: other threads post messages and wake tasks whose loop parks whenever
 * it can. Each message is posted, after a random delay, only once the previous one was seen. So
 * a later wake cannot hide a lost one: the test hangs, and ctest's timeout ends it. Nothing else
 * here depends on time.
 *
 * Delays of all magnitudes are equally frequent, so wakes meet the loop in every state: polling,
 * about to park, parked, waking up. The test hangs when the read-modify-write of hub.c's park()
 * is split into a load and a store. */
#include "runtime.h"
#include "test.h"
#include "threads.h"

#include <nart/nart.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POSTERS_MAX = 3 };

/* ---- the library's writes: its only 8-byte writes wake a parked loop ---- */

static atomic_ulong eventfd_writes;

ssize_t write(int fd, const void *buf, size_t n)
{
    if (n == sizeof(uint64_t))
        atomic_fetch_add_explicit(&eventfd_writes, 1, memory_order_relaxed);
    return syscall(SYS_write, fd, buf, n);
}

/* ---- the mailbox ---- */

struct mail {
    _Alignas(128) atomic_uint posted; /* by the thread */
    _Alignas(128) atomic_uint seen;   /* by the task */
    nart_waker waker;
    pthread_t thread;
    unsigned count; /* messages in total */
    uint64_t seed;
};

/* Spins for up to 1, 2, 4 .. 1024 iterations. */
static void random_gap(struct mail *m)
{
    uint32_t longest = UINT32_C(1) << random_below(&m->seed, 11);

    for (volatile uint32_t i = random_below(&m->seed, longest); i > 0; i--)
        continue;
}

static void *post_all(void *arg)
{
    struct mail *m = arg;

    for (unsigned k = 1; k <= m->count; k++) {
        random_gap(m);
        /* Relaxed: the wake publishes it. */
        atomic_store_explicit(&m->posted, k, memory_order_relaxed);
        nart_waker_wake(m->waker);
        for (unsigned tries = 0; atomic_load_explicit(&m->seen, memory_order_acquire) < k; tries++)
            if (tries % 64 == 63)
                sched_yield(); /* needed on a single processor */
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
    if (m->waker.w == 0) {
        m->waker = nart_cx_waker(cx);
        m->thread = thread_start(post_all, m);
    }
    k = atomic_load_explicit(&m->posted, memory_order_relaxed);
    atomic_store_explicit(&m->seen, k, memory_order_release);
    return k == m->count ? 0 : nart_op_park(cx);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_poll, NULL);

/* `threads` threads, each with a task of its own; two million messages in a long run. */
static void post_from(unsigned threads)
{
    static struct mail mails[POSTERS_MAX];
    nart_rt_stats stats = { .size = sizeof stats };
    unsigned messages = (unsigned)test_repeat(2000000);
    nart_rt *rt = new_rt();

    for (unsigned i = 0; i < threads; i++) {
        mails[i].seed = i;
        mails[i].count = messages / threads;
        CHECK_RES(nart_rt_spawn(rt, &reader_type, &(struct reader){ &mails[i] }, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    for (unsigned i = 0; i < threads; i++) {
        thread_join(mails[i].thread);
        CHECK_EQ(atomic_load(&mails[i].seen), mails[i].count);
    }

    nart_rt_stats_get(rt, &stats);
    unsigned long writes = atomic_load(&eventfd_writes);
    printf("%u messages, %" PRIu64 " parks, %lu eventfd writes\n", messages, stats.parks, writes);
    if (threads == 1)                         /* several may keep the loop from parking */
        CHECK_LE(messages / 10, stats.parks); /* else parking was not exercised */
    CHECK_LE(writes, stats.parks + stats.parks / 100);
    CHECK_RES(nart_rt_free(rt), 0);
    nart_lib_trim();
}

TEST(no_wake_of_a_parking_loop_is_lost)
{
    post_from(1);
}

TEST(no_wake_is_lost_among_those_of_others)
{
    post_from(3);
}
