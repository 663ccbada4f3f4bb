/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* slab.h: slots of fixed size classes for task headers and their frames. See slab.c. */
#ifndef NART_BASE_SLAB_H
#define NART_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define NART__CLASSES 7
#define NART__CLASS_MIN 64 /* payload of class 0; each class doubles it */

/* One class. Slots never touched cost address space only. */
typedef struct nart__class {
    unsigned char *mem;
    void *free;     /* linked through the first word of each free slot */
    uint32_t fresh; /* slots from here on were never used */
    uint32_t count;
    uint32_t first;  /* number of its first slot among all classes */
    uint32_t stride; /* header + payload */
} nart__class;

typedef struct nart__slab {
    nart__class classes[NART__CLASSES];
    uint32_t header; /* bytes before each payload */
    uint32_t total;
    size_t bytes;
    unsigned char *mem;
} nart__slab;

/* Maps `count[i]` slots per class. 0, -ENOMEM or -EINVAL (more than 2^31 slots). */
int nart__slab_init(nart__slab *s, uint32_t header, const uint32_t count[NART__CLASSES]);
void nart__slab_finish(nart__slab *s);

/* The class that holds payloads of `size` bytes, or -1. */
static inline int nart__slab_class(uint32_t size)
{
    if (size <= NART__CLASS_MIN)
        return 0;
    int c = 32 - __builtin_clz((size - 1) / NART__CLASS_MIN);
    return c < NART__CLASSES ? c : -1;
}

#define NART__SLOT_USED UINT32_MAX

/* A slot of class c, or NULL when all are taken. One that was never used is zero, and `*number` is
 * set; one that was given back is as it was then, but for the first word. */
static inline void *nart__slab_take(nart__slab *s, int c, uint32_t *number)
{
    nart__class *k = &s->classes[c];
    void *p = k->free;

    if (p) {
        k->free = *(void **)p;
        return p;
    }
    if (k->fresh == k->count)
        return NULL;
    *number = k->first + k->fresh;
    return k->mem + (size_t)k->fresh++ * k->stride;
}

static inline void nart__slab_give(nart__slab *s, int c, void *p)
{
    *(void **)p = s->classes[c].free;
    s->classes[c].free = p;
}

/* The slot of that number if it was ever taken, else NULL. Free slots are answered as well. */
void *nart__slab_at(const nart__slab *s, uint32_t slot);

#endif
