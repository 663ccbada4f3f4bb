/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stack.c: the stacks of a runtime's fibers.
 *
 * 1. A stack has one of 17 sizes, powers of two from 16 KiB to 1 GiB. Stacks of one size are mapped by regions
 *    of 4 MiB (or one stack), each stack above a guard of its own.
 * 2. A free stack is used again, the last one first: its pages are in the cache. At most NART__STACK_IDLE bytes
 *    per size keep their pages; what is freed beyond that gives them back, and is used after the others.
 * 3. When the runtime is freed, regions are unmapped whose stacks are all free. The others have stacks of
 *    abandoned fibers, or those that a child of fork has copied: others may refer to them.
 *
 * A guard by MADV_GUARD_INSTALL is a mark in the page table. The older kind, by mprotect(), splits the mapping:
 * two mappings per stack, of which a process has 65,530 by default. */
#include "fiber.h"

#define REGION ((size_t)4 << 20)
#define GUARD ((size_t)16 << 10)

#if defined __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_DISABLE_ERROR_REPORTING (void)0
#define VALGRIND_ENABLE_ERROR_REPORTING (void)0
#endif

/* Of LeakSanitizer, if the program is linked with it: what a parked fiber refers to is no leak. */
void nart__lsan_add(const void *p, size_t size) NART__WEAK("__lsan_register_root_region");
void nart__lsan_remove(const void *p, size_t size) NART__WEAK("__lsan_unregister_root_region");

typedef struct nart__stacks pool;

static size_t region_bytes(uint32_t count)
{
    return sizeof(nart__region) + count * sizeof(nart__stack);
}

/* ---- regions ---- */

static nart__region *region_new(const nart_alloc *a, size_t size)
{
    size_t stride = size + GUARD;
    uint32_t count = stride < REGION ? (uint32_t)(REGION / stride) : 1;
    nart__region *r = nart__alloc(a, region_bytes(count), _Alignof(nart__region));

    if (!r)
        return NULL;
    *r =
        (nart__region){ .bytes = stride * count, .stride = stride, .guard = GUARD, .count = count };
    r->base = nart__sys_map_stacks(r->bytes);
    if (r->base && nart__overflow_add(r))
        return r;
    if (r->base)
        nart__sys_unmap(r->base, r->bytes);
    nart__free(a, r, region_bytes(count), _Alignof(nart__region));
    return NULL;
}

static bool is_free(const nart__region *r)
{
    uint32_t n = 0;

    while (n < r->made && !r->stacks[n].task)
        n++;
    return n == r->made;
}

static void region_free(const nart_alloc *a, nart__region *r)
{
    nart__overflow_remove(r);
    if (is_free(r)) {
        for (uint32_t i = 0; i < r->made && nart__lsan_remove; i++)
            nart__lsan_remove(r->stacks[i].low, r->stacks[i].size);
        nart__sys_unmap(r->base, r->bytes);
    }
    nart__free(a, r, region_bytes(r->count), _Alignof(nart__region));
}

/* A stack that was never used. */
static nart__stack *stack_make(nart__region *r)
{
    nart__stack *s = &r->stacks[r->made];

    *s = (nart__stack){ .low = r->base + r->made * r->stride + r->guard,
                        .size = r->stride - r->guard };
    if (nart__sys_guard(s->low - r->guard, r->guard) != 0)
        return NULL;
    r->made++;
    if (nart__lsan_add)
        nart__lsan_add(s->low, s->size);
    (void)VALGRIND_STACK_REGISTER(s->low, s->low + s->size - 1);
    return s;
}

static nart__stack *stack_new(pool *p, nart__stacks_of_size *of, size_t size)
{
    if (!of->regions || of->regions->made == of->regions->count) {
        nart__region *r = region_new(&p->alloc, size);
        if (!r)
            return NULL;
        r->next = of->regions;
        of->regions = r;
    }
    return stack_make(of->regions);
}

/* ---- the pool ---- */

static void rt_gone(nart__exit_hook *g)
{
    pool *p = (pool *)(void *)g;
    nart_alloc a = p->alloc;

    for (int i = 0; i < NART__STACK_SIZES; i++)
        for (nart__region *r = p->sizes[i].regions, *next; r; r = next) {
            next = r->next;
            region_free(&a, r);
        }
    nart__free(&a, p, sizeof *p, _Alignof(pool));
}

static pool *pool_of(nart_rt *rt)
{
    if (rt->stacks)
        return rt->stacks;
    pool *p = nart__alloc(&rt->alloc, sizeof *p, _Alignof(pool));
    if (!p)
        return NULL;
    *p = (pool){ .alloc = rt->alloc, .exit_hook.rt_gone = rt_gone };
    nart__exit_hook_add(rt, &p->exit_hook);
    rt->stacks = p;
    nart__overflow_watch(); /* on this thread, until it is bound to another one */
    rt->moved = nart__overflow_watch;
    rt->stack_used = nart__fiber_stack_used;
    return p;
}

nart__stack *nart__stack_take_slow(nart_rt *rt, size_t size)
{
    pool *p = pool_of(rt);
    if (!p)
        return NULL;
    nart__stacks_of_size *of = nart__stacks_of(p, size);
    nart__stack *s = of->cold;
    if (!s)
        return stack_new(p, of, size);
    of->cold = s->next;
    return s;
}

/* Of a stack that is larger than all that may be kept, the top stays: its next fiber begins there. */
void nart__stack_give_back(nart__stacks_of_size *of, nart__stack *s)
{
    size_t keep = of->warm ? 0 : NART__STACK_IDLE;
    nart__stack **list = keep ? &of->warm : &of->cold;

    if (keep)
        of->idle += s->size;
    else
        s->top = NULL;
    if (keep < s->size)
        nart__sys_discard(s->low, s->size - keep);
    s->next = *list;
    *list = s;
}

size_t nart__stack_used(const nart__stack *s)
{ /* a page that was never used is zeroed, and so is what is below the lowest frame */
    size_t unused = nart__sys_untouched(s->low, s->size);
    const char *p = s->low + unused, *end = s->low + s->size;

    VALGRIND_DISABLE_ERROR_REPORTING; /* of what is below the frames */
    while (p < end && *(const uint64_t *)(const void *)p == 0)
        p += sizeof(uint64_t);
    VALGRIND_ENABLE_ERROR_REPORTING;
    return (size_t)(end - p);
}
