/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/compiler.h: differences between compilers, and between C and C++. */
#ifndef NART_DETAIL_COMPILER_H
#define NART_DETAIL_COMPILER_H

#if defined NART_SHARED && defined __GNUC__
#define NART_API __attribute__((visibility("default")))
#else
#define NART_API
#endif

#if defined __GNUC__
#define NART_MUST_USE __attribute__((warn_unused_result))
#define NART_LIKELY(x) __builtin_expect(!!(x), 1)
#define NART_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NART__COLD __attribute__((noinline, cold))
#define NART__NOINLINE __attribute__((noinline))
#define NART__INLINE inline __attribute__((always_inline))
#define NART__UNUSED __attribute__((unused))
#else
#define NART_MUST_USE
#define NART_LIKELY(x) (x)
#define NART_UNLIKELY(x) (x)
#define NART__COLD
#define NART__NOINLINE
#define NART__INLINE inline
#define NART__UNUSED
#endif

/* A function defined by a macro; it may be unused. */
#define NART__MACRO_FN NART__UNUSED NART_MUST_USE static inline nart_res

#ifdef __cplusplus
#define NART__NORETURN [[noreturn]]
#define NART__ASSERT(cond, text) static_assert(cond, text)
#define NART__ALIGNOF(T) alignof(T)
#define NART__ALIGNAS(n) alignas(n)
extern "C++" { /* even if a program includes this inside extern "C" */
template <typename T> constexpr T nart__sized()
{
    T o = {};
    o.size = sizeof o;
    return o;
}
}
#else
#define NART__NORETURN _Noreturn
#define NART__ASSERT(cond, text) _Static_assert(cond, text)
#define NART__ALIGNOF(T) _Alignof(T)
#define NART__ALIGNAS(n) _Alignas(n)
#endif

/* Initialiser of a structure that begins with its size. */
#ifdef __cplusplus
#define NART__SIZED(T) nart__sized<T>()
#else
#define NART__SIZED(T)                                                                             \
    {                                                                                              \
        .size = sizeof(T)                                                                          \
    }
#endif

#endif
