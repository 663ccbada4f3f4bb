/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alloc.c: the default allocator. */
#include "alloc.h"

#include <stdlib.h>

static void *std_alloc(void *arg, size_t size, size_t align)
{
    (void)arg;
    if (align <= _Alignof(max_align_t))
        return malloc(size);
    return aligned_alloc(align, (size + align - 1) & ~(align - 1));
}

static void std_free(void *arg, void *p, size_t size, size_t align)
{
    (void)arg;
    (void)size;
    (void)align;
    free(p);
}

const nart_alloc nart__alloc_std = { std_alloc, std_free, NULL };
