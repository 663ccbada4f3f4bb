/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/atomic.h: atomic operations on plain integers, for the inline functions of
 * other headers.
 *
 * C11's _Atomic is no C++, so these stand on the compiler's __atomic builtins: the same text compiles
 * in both. A word that threads share is declared NART__ATOMIC(type) and touched by these macros only.
 * There is no sequentially consistent order and no fence: every decision across threads is one
 * read-modify-write on one word, which needs neither. The exception is a hot path that has no
 * read-modify-write and yet must see a rare event: see NART__BARRIER_LIGHT().
 *
 * The model tests replace this header by their own (NART__ATOMIC_HEADER) and run the same C files.
 */
#ifndef NART_DETAIL_ATOMIC_H
#define NART_DETAIL_ATOMIC_H

#include "compiler.h"

#ifdef NART__ATOMIC_HEADER
#include NART__ATOMIC_HEADER
#else

#if !defined __GNUC__
#error "nart needs the __atomic builtins of gcc or clang"
#elif __GCC_ATOMIC_LLONG_LOCK_FREE < 2
#error                                                                                             \
    "nart needs lock-free atomic operations on 64 bits: on 32-bit x86 -march=i586, on ARM -march=armv7-a"
#endif

#define NART__ATOMIC(T) T

#define NART__RELAXED __ATOMIC_RELAXED
#define NART__ACQUIRE __ATOMIC_ACQUIRE
#define NART__RELEASE __ATOMIC_RELEASE
#define NART__ACQ_REL __ATOMIC_ACQ_REL

#define NART__LOAD(p, order) __atomic_load_n(p, order)
#define NART__STORE(p, value, order) __atomic_store_n(p, value, order)
/* The old value. */
#define NART__EXCHANGE(p, value, order) __atomic_exchange_n(p, value, order)
/* Sets *p to `desired` if it is *expected; else *expected becomes what was there. Never fails for
 * no reason. */
#define NART__CAS(p, expected, desired, order, order_failed)                                       \
    __atomic_compare_exchange_n(p, expected, desired, 0, order, order_failed)

#endif

/* One half of a barrier between two threads. A thread that writes A, has a light barrier and reads B,
 * and one that writes B, has a heavy barrier (nart__sys_barrier(), a system call) and reads A: at
 * least one of them reads what the other has written. The light half is for the compiler only. */
#ifdef NART__MODEL
void nart__barrier_light(void);
#define NART__BARRIER_LIGHT() nart__barrier_light()
#else
#define NART__BARRIER_LIGHT() __asm__ volatile("" ::: "memory")
#endif

#endif
