/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alloc.h: allocates through the caller's table, or by malloc() and free(). */
#ifndef NART_BASE_ALLOC_H
#define NART_BASE_ALLOC_H

#include <nart/base.h>

/* The default table. */
extern const nart_alloc nart__alloc_std;

static inline void *nart__alloc(const nart_alloc *a, size_t size, size_t align)
{
    return a->alloc(a->arg, size, align);
}

static inline void nart__free(const nart_alloc *a, void *p, size_t size, size_t align)
{
    if (p)
        a->free(a->arg, p, size, align);
}

#endif
