/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * base/atomic.h: what the library's own files need beyond nart/detail/atomic.h.
 *
 * Rules for every file that includes this
 *  1. Each decision across threads is one read-modify-write on one word.
 *  2. Each memory order has its reason beside it, and a mutant in tests/models that fails without it.
 *  3. Every loop that waits for another thread calls nart__relax(), so that a model can schedule.
 */
#ifndef NART_BASE_ATOMIC_H
#define NART_BASE_ATOMIC_H

#include <nart/detail/atomic.h>

/* One cache line, and the low address bits that it leaves free. */
#define NART__LINE 64

#ifndef NART__ATOMIC_HEADER

/* Returns the old value. Unsigned addition wraps. */
#define NART__FETCH_ADD(p, n, order) __atomic_fetch_add(p, n, order)
#define NART__FETCH_AND(p, bits, order) __atomic_fetch_and(p, bits, order)
#define NART__FETCH_OR(p, bits, order) __atomic_fetch_or(p, bits, order)

#endif

/* A point between two steps of a call at which tests/late stops the thread. Otherwise expands to nothing. */
#ifndef NART__STEP
#define NART__STEP(name) ((void)0)
#endif

/* One iteration of a loop that waits for another thread. */
#ifdef NART__MODEL
void nart__relax(void);
#else
static inline void nart__relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__ || defined __arm__
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}
#endif

#endif
