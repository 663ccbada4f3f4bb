/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/atomic.h: atomic operations on plain integers, for the inline functions of
 * other headers.
 *
 * C++ has no _Atomic, so these macros use the compiler's __atomic builtins, which compile in both languages.
 * Declare a shared word NART__ATOMIC(type) and access it by these macros only. There is no sequentially
 * consistent order and no fence: every decision across threads is one read-modify-write on one word. The
 * exception is a hot path without a read-modify-write that must see a rare event: see NART__BARRIER_LIGHT().
 *
 * The model tests replace this header with their own (NART__ATOMIC_HEADER) and run the same C files.
 */
#ifndef NART_DETAIL_ATOMIC_H
#define NART_DETAIL_ATOMIC_H

#include "compiler.h"

#ifdef NART__ATOMIC_HEADER
#include NART__ATOMIC_HEADER
#else

#if !defined __GNUC__
#error "nart needs the __atomic builtins of gcc or clang"
#elif defined __x86_64__ && defined __ILP32__
#error "nart does not support the x32 ABI: compile with -m64 or -m32"
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
/* Return the old value. */
#define NART__EXCHANGE(p, value, order) __atomic_exchange_n(p, value, order)
/* Sets *p to `desired` if it equals *expected; else stores the current value in *expected. Never fails
 * spuriously. */
#define NART__CAS(p, expected, desired, order, order_failed)                                       \
    __atomic_compare_exchange_n(p, expected, desired, 0, order, order_failed)

#endif

/* The light half of an asymmetric barrier between two threads. One thread writes A, executes the light half
 * and reads B; the other writes B, executes the heavy half (nart__sys_barrier(), a system call) and reads A:
 * at least one of them reads the other's write. The light half is a compiler barrier only. */
#ifdef NART__MODEL
void nart__barrier_light(void);
#define NART__BARRIER_LIGHT() nart__barrier_light()
#else
#define NART__BARRIER_LIGHT() __asm__ volatile("" ::: "memory")
#endif

#endif
