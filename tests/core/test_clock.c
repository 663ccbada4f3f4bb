/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sleeping on the real clock, with every way in which a loop can wait: never early, never lost.
 * (Exact times are in test_sleep.c, on a virtual clock.) */
#include "core.h"
#include "threads.h"

#include <time.h>

static int64_t clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NART_SEC + ts.tv_nsec;
}

struct napper {
    nart_co co;
    nart_timer timer;
    int64_t ns, at;
    nart_res r;
    bool scope;
};

static nart_res napper_run(nart_cx *cx, void *frame)
{
    struct napper *f = frame;

    NART_BEGIN(cx, &f->co);
    f->at = clock_now() + f->ns;
    if (f->scope) {
        NART_AWAIT_FOR(f->r, f->ns, nart_sleep(cx, &f->timer, 3600 * NART_SEC));
        CHECK_RES(f->r, -ETIMEDOUT);
    } else {
        NART_AWAIT(f->r, nart_sleep_until(cx, &f->timer, f->at));
        CHECK_RES(f->r, 0);
    }
    CHECK_LE(f->at, clock_now());
    NART_END(0);
}

static const nart_task_type napper_type = NART_TASK_TYPE(struct napper, napper_run, NULL);

static void check_sleeps(nart_rt *rt)
{
    static const int64_t spans[] = { 1, NART_US, 999 * NART_US, 1500 * NART_US, 3 * NART_MS };

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        for (int scope = 0; scope < 2; scope++) {
            struct napper n = { .ns = spans[i], .scope = scope };
            CHECK_RES(nart_block_on(rt, &napper_type, &n, NULL), 0);
        }
    for (int i = 0; i < 200; i++) {
        struct napper n = { .ns = i * 50 * NART_US, .scope = i & 1 };
        CHECK_RES(nart_rt_spawn(rt, &napper_type, &n, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    nart_rt_free(rt);
}

TEST(a_loop_that_parks)
{
    check_sleeps(new_rt());
}

TEST(a_loop_that_spins_and_parks)
{
    check_sleeps(NEW_RT(.spin_ns = 200 * NART_US));
}

/* The reference loses a sleep that is checked in the millisecond before it expires, in a busy loop
 * almost always: its defect 2. */
TEST(a_loop_that_never_parks)
{
    check_sleeps(NEW_RT(.flags = NART_RT_SPINNING));
}

static int quit;
static uintptr_t handed;

static void *disturb(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&quit, __ATOMIC_RELAXED))
        nart_waker_wake((nart_waker){ __atomic_load_n(&handed, __ATOMIC_ACQUIRE) });
    return NULL;
}

static nart_res disturbed_poll(nart_cx *cx, void *frame)
{
    __atomic_store_n(&handed, nart_cx_waker(cx).w, __ATOMIC_RELEASE);
    return napper_run(cx, frame);
}

static const nart_task_type disturbed_type = NART_TASK_TYPE(struct napper, disturbed_poll, NULL);

TEST(a_sleep_that_is_woken_all_the_time_for_no_reason)
{
    nart_rt *rt = new_rt();

    pthread_t thread = thread_start(disturb, NULL);
    for (int i = 1; i <= 20; i++) {
        struct napper n = { .ns = i * 100 * NART_US, .scope = i & 1 };
        CHECK_RES(nart_block_on(rt, &disturbed_type, &n, NULL), 0);
    }
    __atomic_store_n(&quit, 1, __ATOMIC_RELAXED);
    thread_join(thread);
    nart_rt_free(rt);
}

TEST(a_loop_that_a_host_polls_without_a_pause)
{
    nart_rt *rt = new_rt();
    for (int i = 0; i < 100; i++) {
        struct napper n = { .ns = (100 - i) * 30 * NART_US, .scope = i & 1 };
        CHECK_RES(nart_rt_spawn(rt, &napper_type, &n, NULL), 0);
    }
    while (nart_rt_task_count(rt) > 0)
        CHECK_LE(0, nart_rt_poll(rt, 0));
    nart_rt_free(rt);
}

static nart_res stops_and_naps(nart_cx *cx, void *frame)
{
    nart_rt_stop(nart_cx_rt(cx));
    return napper_run(cx, frame);
}

TEST(a_stop_that_has_no_effect_does_not_keep_the_loop_from_parking)
{
    static const nart_task_type type = NART_TASK_TYPE(struct napper, stops_and_naps, NULL);
    nart_rt *rt = NEW_RT(.spin_ns = 1);
    struct napper n = { .ns = NART_MS };

    CHECK_RES(nart_block_on(rt, &type, &n, NULL), 0);
    CHECK_LE(1, stats_of(rt).parks);
    nart_rt_free(rt);
}
