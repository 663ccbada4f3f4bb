/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/world.h
 * A world: one value of each of many types, shared by tasks and handlers under a rule that is checked
 * at run time: a value is used by any number of readers, or by one writer.
 *
 * A **resource** is such a value. It is used inside a function that gets a pointer to it, and the use
 * ends when the function returns; so nothing is held across an await, whatever a task does. A use
 * that is not compatible with those that are going on (further up on the stack: in a handler that
 * called this one, in a task that drives another runtime) answers NART_ECONFLICT, and nothing is
 * called. A **handler** is a function of up to eight resources and an event. Its resources are looked
 * up once, when the handler is made.
 *
 *     // book.h
 *     NART_RESOURCE(book, struct book);
 *
 *     // book.c
 *     NART_RESOURCE_DEFINE(book);
 *
 *     static nart_res on_quote(const struct limits *limits, struct book *book,
 *                              const struct quote *quote)
 *     {
 *         if (quote->price <= limits->high)
 *             book->last = quote->price;
 *         return 0;
 *     }
 *     NART_HANDLER(on_quote, const struct quote, SHARED(limits), EXCLUSIVE(book));
 *
 *     r = nart_handler_init(&h, world, &on_quote_handler); // once
 *     if (r == 0)
 *         r = on_quote_run(&h, &quote);                    // often
 *
 * A world needs no runtime. It belongs to one thread; a call from another answers
 * NART_EWRONGTHREAD. A function that uses a resource is left by returning only, not by longjmp() and
 * not by a C++ exception.
 */
#ifndef NART_WORLD_H
#define NART_WORLD_H

#include "base.h"
#include "detail/access.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART_WORLD_ABI 1u
#define NART_HANDLER_PARAMS 8 /**< resources that a handler has at most */

/** Made by nart_world_new(). */
typedef struct nart_world nart_world;

/* ---- the world ------------------------------------------------------------------------------ */

/** Makes an empty world. `alloc` may be NULL: malloc() and free().
 *  @return 0 and `*out`; -EINVAL; -ENOMEM. **Thread**: any; the world is that thread's. */
NART_API NART_MUST_USE nart_res nart_world_new(const nart_alloc *alloc, nart_world **out);

/**
 * Drops the resources, the one added last first, and frees the world. NULL is fine. Handlers may
 * outlive it: they answer NART_ESTALE, and the last nart_handler_finish() gives the last memory back.
 * @return 0; -EBUSY a resource is being used, or dropped: nothing was done; NART_EWRONGTHREAD.
 */
NART_API nart_res nart_world_free(nart_world *w);

/** The calling thread takes the world over; the one before has stopped using it.
 *  @return 0; -EBUSY a resource is being used; -EINVAL. **Thread**: the new owner. */
NART_API nart_res nart_world_bind(nart_world *w);

/* ---- resources ------------------------------------------------------------------------------ */

/** Names a resource and its type, by its address; constant, outlives the worlds that have it. Made
 *  by NART_RESOURCE_DEFINE. */
typedef struct nart_resource {
    uint32_t abi; /**< NART_WORLD_ABI */
    uint32_t reserved0;
    const char *name;
    size_t size, align; /**< of the value, in bytes; a size of 0 is fine */
    const void *reserved[2];
} nart_resource;

/**
 * Adds a resource: a copy of `*init`, or zeros when that is NULL.
 * @param drop its destructor, or NULL; must not use the world.
 * @return 0; -EEXIST the world has it already; -EINVAL no world, or a nart_resource that is none;
 *   -ENOMEM; NART_EABI; NART_ESTALE the world is being freed; NART_EWRONGTHREAD. On an error what
 *   `*init` refers to stays the caller's.
 * **Cost**: one allocation, sometimes two. The value does not move as long as the world lives.
 */
NART_API NART_MUST_USE nart_res nart_world_add(nart_world *w, const nart_resource *key,
                                               const void *init, void (*drop)(void *value));

/** @return 0 the world has it; -ENOENT; -EINVAL; NART_ESTALE; NART_EWRONGTHREAD. */
NART_API NART_MUST_USE nart_res nart_world_has(const nart_world *w, const nart_resource *key);

/**
 * Calls `fn(value, arg)`; the resource is read within.
 * @return what `fn` answers; -ENOENT; NART_ECONFLICT somebody is writing it; -EINVAL; NART_ESTALE;
 *   NART_EWRONGTHREAD. **Cost**: a lookup by address.
 */
NART_API nart_res nart_world_read(nart_world *w, const nart_resource *key,
                                  nart_res (*fn)(const void *value, void *arg), void *arg);

/** The same, and the resource is written within. NART_ECONFLICT: somebody is reading or writing
 *  it. */
NART_API nart_res nart_world_write(nart_world *w, const nart_resource *key,
                                   nart_res (*fn)(void *value, void *arg), void *arg);

/**
 * Declares the resource `name` of type T, which may be incomplete: the constant `name_resource`, and
 * `name_add(w, const T *init, drop)`, `name_read(w, fn, arg)` with a `fn` that takes `const T *`,
 * `name_write(w, fn, arg)` with one that takes `T *`: the functions above. For a header.
 */
#define NART_RESOURCE(name, T)                                                                     \
    typedef T nart__value_##name;                                                                  \
    extern const nart_resource name##_resource;                                                    \
    NART__RESOURCE_ADD(name##_add, name##_resource, nart__value_##name)                            \
    NART__RESOURCE_READ(name##_read, name##_resource, nart__value_##name)                          \
    NART__RESOURCE_WRITE(name##_write, name##_resource, nart__value_##name)                        \
    struct name##_is_a_resource

/** Defines the constant `name_resource`. For one source file, where the type is complete. */
#define NART_RESOURCE_DEFINE(name)                                                                 \
    const nart_resource name##_resource = {                                                        \
        NART_WORLD_ABI, 0, #name, sizeof(nart__value_##name), NART__ALIGNOF(nart__value_##name),   \
        { NULL, NULL }                                                                             \
    }

/* ---- handlers ------------------------------------------------------------------------------- */

/** A kind of handler; constant, outlives its handlers. Made by NART_HANDLER. */
typedef struct nart_handler_type {
    uint32_t abi;       /**< NART_WORLD_ABI */
    uint32_t exclusive; /**< bit i: the parameter i is written */
    const char *name;
    nart_res (*call)(void *const *value, const void *event);
    const nart_resource *param[NART_HANDLER_PARAMS + 1]; /**< ends with NULL */
    const void *reserved[2];
} nart_handler_type;

/** A function and the resources of a world that it is called with. Zeroed = none. Not copied and not
 *  moved. */
typedef struct nart_handler {
    /* private */
    nart_world *world;
    nart_res (*call)(void *const *value, const void *event);
    const nart_handler_type *type;
    nart__access access;
    uint64_t reserved[3];
} nart_handler;

/**
 * Makes a handler in zeroed memory: looks its resources up.
 * @return 0; -ENOENT the world lacks one of them; NART_ECONFLICT it names one twice and writes it;
 *   -EALREADY `*h` is a handler; -EINVAL; NART_EABI; NART_ESTALE the world is being freed;
 *   NART_EWRONGTHREAD. On an error `*h` stays zeroed.
 * **Ownership**: `*h` is the caller's to finish. **Thread**: the world's.
 */
NART_API NART_MUST_USE nart_res nart_handler_init(nart_handler *h, nart_world *w,
                                                  const nart_handler_type *type);

/** Gives a handler up, before or after its world. NULL and zeroed ones are fine.
 *  @return 0; -EBUSY it is running, NART_EWRONGTHREAD: nothing was done. **Thread**: the world's. */
NART_API nart_res nart_handler_finish(nart_handler *h);

/**
 * Calls the handler's function with its resources and `event`, which is of the type that the
 * NART_HANDLER names. The function must not wait; what it answers is passed on.
 * @return what the function answers; NART_ECONFLICT a resource is used in a way that excludes this
 *   one, or the handler is running already: nothing was called; NART_ESTALE the world has been freed;
 *   -EINVAL a zeroed handler; NART_EWRONGTHREAD.
 * **Thread**: the world's. **Cost**: an indirect call and a few loads, whatever the number of
 * parameters; inside another use, a comparison with each resource that is used.
 */
static inline NART_MUST_USE nart_res nart_handler_run(nart_handler *h, const void *event);

/**
 * `NART_HANDLER(fn, E, SHARED(a), EXCLUSIVE(b), ...)` makes a handler type of the function
 * `nart_res fn(const A *, B *, ..., E *event)`, with 0 to 8 resources: the constant `fn_handler`, and
 * `fn_run(h, E *event)`, nart_handler_run() with -EINVAL for a handler of another type. A function
 * that takes something else does not compile.
 */
#define NART_HANDLER(fn, ...) NART__HANDLER(fn, NART__H_FIRST(__VA_ARGS__, 0), __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#include "detail/world.h"

#endif
