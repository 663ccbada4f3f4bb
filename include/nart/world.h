/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/world.h
 * A world: a container with at most one value of each type, shared by tasks and handlers. Access is checked
 * at run time: a value has any number of readers, or one writer.
 *
 * A **resource** is such a value. It is accessed inside a function that receives a pointer to it, and the
 * access ends when the function returns. So no access lasts across an await of a body; one of a fiber lasts
 * while the function awaits, and others conflict with it. An access that conflicts with
 * one further up the stack (of a handler that called this one, or of a task that drives another runtime)
 * answers NART_ECONFLICT, and the function is not called. A **handler** is a function that takes up to
 * eight resources and an event. Its resources are looked up once, when the handler is initialised.
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
 * A world needs no runtime. It belongs to one thread; calls from others answer NART_EWRONGTHREAD. Leave a
 * function that accesses a resource by returning only, not by longjmp() or a C++ exception.
 */
#ifndef NART_WORLD_H
#define NART_WORLD_H

#include "base.h"
#include "detail/access.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART_WORLD_ABI 1u     /**< version of the layout of what a world is made of */
#define NART_HANDLER_PARAMS 8 /**< maximum number of resources of a handler */

/** An opaque world, made by nart_world_new(). */
typedef struct nart_world nart_world;

/* ---- the world ------------------------------------------------------------------------------ */

/** Makes an empty world. `alloc` may be NULL: malloc() and free().
 *  @return 0 and `*out`; -EINVAL; -ENOMEM. **Thread**: any; the world belongs to that thread. */
NART_API NART_MUST_USE nart_res nart_world_new(const nart_alloc *alloc, nart_world **out);

/**
 * Drops the resources in reverse order of addition and frees the world. NULL is fine. Handlers may outlive
 * the world: they answer NART_ESTALE, and the last nart_handler_finish() frees the last memory.
 * @return 0; -EBUSY a resource is being accessed or dropped: nothing was done; NART_EWRONGTHREAD.
 */
NART_API nart_res nart_world_free(nart_world *w);

/** Makes the calling thread the owner of the world. The previous owner must have stopped using it.
 *  @return 0; -EBUSY a resource is being accessed; -EINVAL. **Thread**: the new owner. */
NART_API nart_res nart_world_bind(nart_world *w);

/* ---- resources ------------------------------------------------------------------------------ */

/** Identifies a resource, by its address, and describes its type. Constant; must outlive the worlds that
 *  contain the resource. Made by NART_RESOURCE_DEFINE. */
typedef struct nart_resource {
    uint32_t abi; /**< NART_WORLD_ABI */
    uint32_t reserved0;
    const char *name;   /**< that of the C type */
    size_t size, align; /**< of the value, in bytes; a size of 0 is fine */
    const void *reserved[2];
} nart_resource;

/**
 * Adds a resource: a copy of `*init`, or zeros if `init` is NULL.
 * @param drop its destructor, or NULL; must not use the world.
 * @return 0; -EEXIST the world contains it already; -EINVAL no world, or an invalid nart_resource;
 *   -ENOMEM; NART_EABI; NART_ESTALE the world is being freed; NART_EWRONGTHREAD. On an error, what
 *   `*init` refers to stays the caller's.
 * **Cost**: one allocation, sometimes two. The value does not move while the world exists.
 */
NART_API NART_MUST_USE nart_res nart_world_add(nart_world *w, const nart_resource *key,
                                               const void *init, void (*drop)(void *value));

/** Does the world contain the resource? @return 0 it does; -ENOENT; -EINVAL; NART_ESTALE;
 *  NART_EWRONGTHREAD. */
NART_API NART_MUST_USE nart_res nart_world_has(const nart_world *w, const nart_resource *key);

/**
 * Calls `fn(value, arg)`, which may read the resource.
 * @return the answer of `fn`; -ENOENT; NART_ECONFLICT the resource is being written; -EINVAL; NART_ESTALE;
 *   NART_EWRONGTHREAD. **Cost**: a lookup by address.
 */
NART_API nart_res nart_world_read(nart_world *w, const nart_resource *key,
                                  nart_res (*fn)(const void *value, void *arg), void *arg);

/** Calls `fn(value, arg)`, which may write the resource. @return as nart_world_read(); NART_ECONFLICT the
 *  resource is being read or written. */
NART_API nart_res nart_world_write(nart_world *w, const nart_resource *key,
                                   nart_res (*fn)(void *value, void *arg), void *arg);

/**
 * Declares the resource `name` of type T, which may be incomplete: the constant `name_resource` and the
 * functions `name_add(w, const T *init, drop)`, `name_read(w, fn, arg)` with a `fn` that takes `const T *`,
 * and `name_write(w, fn, arg)` with one that takes `T *`. They call the functions above. Use it in a header.
 */
#define NART_RESOURCE(name, T)                                                                     \
    typedef T nart__value_##name;                                                                  \
    extern const nart_resource name##_resource;                                                    \
    NART__RESOURCE_ADD(name##_add, name##_resource, nart__value_##name)                            \
    NART__RESOURCE_READ(name##_read, name##_resource, nart__value_##name)                          \
    NART__RESOURCE_WRITE(name##_write, name##_resource, nart__value_##name)                        \
    struct name##_is_a_resource

/** Defines the constant `name_resource`. Use it in one source file, in which the type is complete. */
#define NART_RESOURCE_DEFINE(name)                                                                 \
    const nart_resource name##_resource = {                                                        \
        NART_WORLD_ABI, 0, #name, sizeof(nart__value_##name), NART__ALIGNOF(nart__value_##name),   \
        { NULL, NULL }                                                                             \
    }

/* ---- handlers ------------------------------------------------------------------------------- */

/** Describes a kind of handler. Constant; must outlive its handlers. Made by NART_HANDLER. */
typedef struct nart_handler_type {
    uint32_t abi;                                            /**< NART_WORLD_ABI */
    uint32_t exclusive;                                      /**< bit i: parameter i is written */
    const char *name;                                        /**< that of the function */
    nart_res (*call)(void *const *value, const void *event); /**< calls it */
    const nart_resource *param[NART_HANDLER_PARAMS + 1];     /**< ends with NULL */
    const void *reserved[2];
} nart_handler_type;

/** A function and the resources of a world with which it is called. Zeroed = none. Do not copy or move
 *  it. */
typedef struct nart_handler {
    /* private */
    nart_world *world;
    nart_res (*call)(void *const *value, const void *event);
    const nart_handler_type *type;
    nart__access access;
    uint64_t reserved[3];
} nart_handler;

/**
 * Initialises a handler in zeroed memory and looks its resources up.
 * @return 0; -ENOENT the world does not contain one of them; NART_ECONFLICT a resource is named twice and
 *   written; -EALREADY `*h` is a handler; -EINVAL; NART_EABI; NART_ESTALE the world is being freed;
 *   NART_EWRONGTHREAD. On an error `*h` stays zeroed.
 * **Ownership**: `*h` is the caller's to finish. **Thread**: the world's.
 */
NART_API NART_MUST_USE nart_res nart_handler_init(nart_handler *h, nart_world *w,
                                                  const nart_handler_type *type);

/** Releases a handler, before or after its world is freed. NULL and zeroed ones are fine.
 *  @return 0; -EBUSY it is running, NART_EWRONGTHREAD: nothing was done. **Thread**: the world's. */
NART_API nart_res nart_handler_finish(nart_handler *h);

/**
 * Calls the handler's function with its resources and `event`, which must have the type named by
 * NART_HANDLER. The function must not wait.
 * @return the answer of the function; NART_ECONFLICT a resource is accessed in a conflicting way, or the
 *   handler is running already: the function was not called; NART_ESTALE the world has been freed;
 *   -EINVAL a zeroed handler; NART_EWRONGTHREAD.
 * **Thread**: the world's. **Cost**: an indirect call and a few loads, whatever the number of
 * parameters; inside another access, also a comparison with each resource that is accessed.
 */
static inline NART_MUST_USE nart_res nart_handler_run(nart_handler *h, const void *event);

/**
 * `NART_HANDLER(fn, E, SHARED(a), EXCLUSIVE(b), ...)` defines a handler type for the function
 * `nart_res fn(const A *, B *, ..., E *event)` with 0 to 8 resources: the constant `fn_handler`, and
 * `fn_run(h, E *event)`, which calls nart_handler_run() and answers -EINVAL for a handler of another type. A
 * function with other parameter types does not compile.
 */
#define NART_HANDLER(fn, ...) NART__HANDLER(fn, NART__H_FIRST(__VA_ARGS__, 0), __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#include "detail/world.h"

#endif
