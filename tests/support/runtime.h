/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runtime.h: common operations on a runtime, and the random number generator. */
#ifndef NART_TEST_RUNTIME_H
#define NART_TEST_RUNTIME_H

#include "test.h"

#include <nart/clock.h>
#include <nart/rt.h>

static inline nart_rt *new_rt_of(const nart_rt_opts *opts)
{
    nart_rt *rt;
    CHECK_RES(nart_rt_new(opts, &rt), 0);
    return rt;
}

/* A runtime with these options whose memory is counted: NEW_RT(.max_io = 4, .report = keep). */
#define NEW_RT(...)                                                                                \
    new_rt_of(                                                                                     \
        &(const nart_rt_opts){ .size = sizeof(nart_rt_opts), .alloc = &test_alloc, __VA_ARGS__ })

/* One of these options: the number of slots in each class. */
#define SLOTS(n) .slots = { (n), (n), (n), (n), (n), (n), (n) }
_Static_assert(NART_SLOT_CLASSES == 7, "SLOTS() names each class");

static inline nart_rt *new_rt(void)
{
    return NEW_RT(.flags = 0);
}

/* The fixture `rt` of TEST_WITH(case, rt), once in a file: a runtime of this name, with these options. */
#define FIXTURE_RT(...)                                                                            \
    static nart_rt *rt;                                                                            \
    static inline void rt_open(void)                                                               \
    {                                                                                              \
        rt = NEW_RT(__VA_ARGS__);                                                                  \
    }                                                                                              \
    static inline void rt_close(void)                                                              \
    {                                                                                              \
        CHECK_RES(nart_rt_free(rt), 0);                                                            \
    }                                                                                              \
    static nart_rt *rt

/* The same, and the fixture `paused`: this runtime, with its clock paused. */
#define FIXTURE_PAUSED(...)                                                                        \
    FIXTURE_RT(__VA_ARGS__);                                                                       \
    static inline void paused_open(void)                                                           \
    {                                                                                              \
        rt_open();                                                                                 \
        CHECK_RES(nart_rt_clock_pause(rt), 0);                                                     \
    }                                                                                              \
    static inline void paused_close(void)                                                          \
    {                                                                                              \
        rt_close();                                                                                \
    }                                                                                              \
    static nart_rt *rt

/* Runs what is ready or due, without waiting. Returns the number of polls. */
static inline nart_res settle(nart_rt *rt)
{
    nart_res polls, all = 0;
    while ((polls = nart_rt_poll(rt, 0)) > 0)
        all += polls;
    CHECK_RES(polls, 0);
    return all;
}

static inline nart_rt_stats stats_of(const nart_rt *rt)
{
    nart_rt_stats s = { .size = sizeof s };
    nart_rt_stats_get(rt, &s);
    return s;
}

/* The next random number of the sequence that a seed defines (SplitMix64): failures are
 * reproducible. */
static inline uint64_t random_next(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static inline uint32_t random_below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(random_next(seed) % n);
}

#endif
