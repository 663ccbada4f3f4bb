/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stack.h: the stacks of a runtime's fibers. */
#ifndef NART_FIBER_STACK_H
#define NART_FIBER_STACK_H

#include "../core/runtime.h"

/* A stack: `low` is its lowest usable address, below which its guard is. */
typedef struct nart__stack {
    struct nart__stack *next; /* in a list of free ones */
    char *low;
    size_t size;
    const nart__task *task; /* that runs on it; NULL: it is free */
} nart__stack;

/* Stacks of one size, mapped together: each is a guard and the stack above it. */
typedef struct nart__region {
    struct nart__region *next;
    char *base;
    size_t bytes, stride, guard;
    uint32_t count, made;
    struct nart__region_entry *entry; /* in the table of overflow.c */
    nart__stack stacks[];
} nart__region;

/* A stack of `size` bytes, a power of two; NULL: no memory, or too many mappings. */
nart__stack *nart__stack_take(nart_rt *rt, size_t size);
/* Nothing refers to it any more. */
void nart__stack_give(nart_rt *rt, nart__stack *s);
/* How many bytes of it were ever used; by whole pages where it was swapped out. */
size_t nart__stack_used(const nart__stack *s);

/* ---- overflow.c ---- */

/* Overflows on the calling thread are reported from here on. */
void nart__overflow_watch(void);
/* False: no memory. */
bool nart__overflow_add(nart__region *r);
void nart__overflow_remove(nart__region *r);

#endif
