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
    struct nart__fiber
        *top; /* what fiber.c keeps there; NULL: nothing yet, or its page was given back */
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

#define NART__STACK_SIZES 17
#define NART__STACK_SMALLEST 14            /* as a power of two */
#define NART__STACK_IDLE ((size_t)4 << 20) /* bytes of a size that keep their pages */

typedef struct nart__stacks_of_size {
    nart__region
        *regions; /* the newest first; only that one may have stacks that were never used */
    nart__stack *warm, *cold; /* free ones: with their pages, and without */
    size_t idle;              /* bytes in `warm` */
} nart__stacks_of_size;

struct nart__stacks {
    nart__exit_hook exit_hook; /* first */
    nart__stacks_of_size sizes[NART__STACK_SIZES];
    nart_alloc alloc;
};

static inline nart__stacks_of_size *nart__stacks_of(struct nart__stacks *p, size_t size)
{
    return &p->sizes[__builtin_ctzll(size) - NART__STACK_SMALLEST];
}

/* The slow path of nart__stack_take(): no free stack has its pages. */
nart__stack *nart__stack_take_slow(nart_rt *rt, size_t size);
/* That of nart__stack_give(): too many have. */
void nart__stack_give_back(nart__stacks_of_size *of, nart__stack *s);

/* A stack of `size` bytes, a power of two; NULL: no memory, or too many mappings. */
static inline nart__stack *nart__stack_take(nart_rt *rt, size_t size)
{
    nart__stacks_of_size *of = rt->stacks ? nart__stacks_of(rt->stacks, size) : NULL;

    if (NART_UNLIKELY(!of || !of->warm))
        return nart__stack_take_slow(rt, size);
    nart__stack *s = of->warm;
    of->warm = s->next;
    of->idle -= size;
    return s;
}

/* Nothing refers to it any more. */
static inline void nart__stack_give(nart_rt *rt, nart__stack *s)
{
    nart__stacks_of_size *of = nart__stacks_of(rt->stacks, s->size);

    s->task = NULL;
    if (NART_UNLIKELY(of->idle + s->size > NART__STACK_IDLE)) {
        nart__stack_give_back(of, s);
        return;
    }
    of->idle += s->size;
    s->next = of->warm;
    of->warm = s;
}

/* How many bytes of it were ever used; by whole pages where it was swapped out. */
size_t nart__stack_used(const nart__stack *s);

/* ---- overflow.c ---- */

/* Overflows on the calling thread are reported from here on. */
void nart__overflow_watch(void);
/* False: no memory. */
bool nart__overflow_add(nart__region *r);
void nart__overflow_remove(nart__region *r);

#endif
