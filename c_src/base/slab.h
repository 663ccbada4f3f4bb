/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* slab.h: slots of fixed size classes for task headers and their frames. See slab.c. */
#ifndef NART_BASE_SLAB_H
#define NART_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

/* Under the address sanitizer the payload of a free slot cannot be accessed: use after a task's end is
 * reported, like a use of freed memory. */
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define NART__ASAN 1
#endif
#elif defined __SANITIZE_ADDRESS__
#define NART__ASAN 1
#endif
#ifdef NART__ASAN
#include <sanitizer/asan_interface.h>
#define NART__POISON(p, bytes) ASAN_POISON_MEMORY_REGION(p, bytes)
#define NART__UNPOISON(p, bytes) ASAN_UNPOISON_MEMORY_REGION(p, bytes)
#else
#define NART__POISON(p, bytes) ((void)(p), (void)(bytes))
#define NART__UNPOISON(p, bytes) ((void)(p), (void)(bytes))
#endif

#define NART__CLASSES 7
#define NART__CLASS_MIN 64 /* payload of class 0; each class doubles it */

/* Contiguous slots of one class. It never moves. */
typedef struct nart__chunk {
    unsigned char *mem;
    struct nart__chunk *next; /* of its class */
    const struct nart__class *of;
    size_t bytes;   /* of its mapping; 0: it is in the slab's first mapping */
    uint32_t first; /* number of its first slot */
    uint32_t count;
    uint32_t used; /* slots ever taken; for the class's current chunk see `fresh` */
} nart__chunk;

/* One class. Slots never touched cost address space only. */
typedef struct nart__class {
    unsigned char *mem; /* of the current chunk, as `count` and `first` */
    void *free;         /* linked through the first word of each free slot */
    uint32_t fresh;     /* slots from here on, and those of later chunks, were never used */
    uint32_t count;
    uint32_t first;
    uint32_t stride; /* header + payload */
    nart__chunk *chunks, *now, *last;
    uint32_t made;  /* slots of all chunks */
    uint32_t limit; /* of `made` */
} nart__class;

typedef struct nart__slab {
    nart__class classes[NART__CLASSES];
    nart__chunk *
        *blocks;     /* the chunk of each block of slot numbers; NULL: no slot has the number */
    uint32_t total;  /* numbers assigned: whole blocks */
    uint32_t room;   /* capacity of `blocks` */
    uint32_t header; /* bytes before each payload */
    size_t bytes;
    unsigned char *mem;
    nart__chunk first[NART__CLASSES];
} nart__slab;

#define NART__SLOTS_MAX ((uint32_t)INT32_MAX) /* numbers, and the limit of a class without one */

/* Maps `count[i]` slots per class, growable to `limit[i]`. 0, -ENOMEM or -EINVAL (more than NART__SLOTS_MAX
 * slots). */
int nart__slab_init(nart__slab *s, uint32_t header, const uint32_t count[NART__CLASSES],
                    const uint32_t limit[NART__CLASSES]);
void nart__slab_finish(nart__slab *s);

/* Assigns a number that no slot has. 0 or -ENOMEM. */
int nart__slab_number(nart__slab *s, uint32_t *number);

/* Grows class c to at least this many slots: maps the missing ones, and doubles the class if memory and its
 * limit permit. 0, NART_ESLOTS (beyond the limit, or no numbers left) or -ENOMEM. */
int nart__slab_reserve(nart__slab *s, int c, uint32_t slots);

/* Makes the next chunk of class c the current one. It must exist, and the current one must be used up. */
void nart__slab_advance(nart__slab *s, int c);

/* The class for payloads of `size` bytes, or -1. */
static inline int nart__slab_class(size_t size)
{
    if (size <= NART__CLASS_MIN)
        return 0;
    if (size > (size_t)NART__CLASS_MIN << (NART__CLASSES - 1))
        return -1;
    return 32 - __builtin_clz((uint32_t)(size - 1) / NART__CLASS_MIN);
}

/* Takes a freed slot of class c, unchanged since it was freed, except its first word; NULL: there is none. */
static inline void *nart__slab_take(nart__slab *s, int c)
{
    nart__class *k = &s->classes[c];
    void *p = k->free;

    if (p) {
        k->free = *(void **)p;
        NART__UNPOISON(p, k->stride);
    }
    return p;
}

/* Takes a slot of class c that was never used: it is zero, and `*number` is set. NULL when all slots of the
 * current chunk were used. */
static inline void *nart__slab_take_new(nart__slab *s, int c, uint32_t *number)
{
    nart__class *k = &s->classes[c];

    if (k->fresh == k->count)
        return NULL;
    *number = k->first + k->fresh;
    return k->mem + (size_t)k->fresh++ * k->stride;
}

static inline void nart__slab_give(nart__slab *s, int c, void *p)
{
    nart__class *k = &s->classes[c];

    *(void **)p = k->free;
    k->free = p;
    NART__POISON((unsigned char *)p + s->header, k->stride - s->header);
}

/* The number of slots of a chunk that were ever taken: they are its first ones. */
static inline uint32_t nart__chunk_used(const nart__chunk *chunk)
{
    return chunk == chunk->of->now ? chunk->of->fresh : chunk->used;
}

/* The slot of that number if it was ever taken, else NULL. It may be free now. */
void *nart__slab_at(const nart__slab *s, uint32_t slot);

/* The first slot from number `*slot` on that was ever taken, or NULL; sets `*slot` to the number after it.
 * Slots that were never taken cost nothing. */
void *nart__slab_next(const nart__slab *s, uint32_t *slot);

#endif
