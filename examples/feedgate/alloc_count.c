/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alloc_count.c: counts the allocations of each thread, by replacing the C library's
 * allocator functions. Rust's allocations are counted, too. Under a sanitizer the allocator is the
 * sanitizer's, and nothing is counted. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

uint64_t thread_allocs(void);

#if defined __GLIBC__ && !defined SANITIZED

static _Thread_local uint64_t count;

/* NOLINTBEGIN(bugprone-reserved-identifier): the C library's own names */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
/* NOLINTEND(bugprone-reserved-identifier) */

void *malloc(size_t size)
{
    count++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    count++;
    return __libc_realloc(p, size);
}

void *memalign(size_t align, size_t size)
{
    count++;
    return __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count++;
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count++;
    *out = __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}

uint64_t thread_allocs(void)
{
    return count;
}

#else

uint64_t thread_allocs(void)
{
    return UINT64_MAX;
}

#endif
