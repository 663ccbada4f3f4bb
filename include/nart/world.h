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

#ifdef __cplusplus
extern "C" {
#endif

#define NART_WORLD_ABI 1u
#define NART_HANDLER_PARAMS 8 /**< resources that a handler has at most */

/* A use of resources that is going on, or the one that a handler makes. */
typedef struct nart__access {
    struct nart__access *up; /* the use around it */
    uint32_t count;
    uint32_t exclusive; /* bit i: value[i] is written */
    void *value[NART_HANDLER_PARAMS];
} nart__access;

/** Made by nart_world_new(). What is seen here is its head, and not to be touched. */
typedef struct nart_world {
    nart__access *open; /* the innermost use */
    uintptr_t here;     /* nart__here() of its thread */
} nart_world;

/* Tells the calling thread from others: an address inside its control block. Where the compiler does
 * not know one, or another compiler than the library's knows another, the library finds out. */
NART_API uintptr_t nart__thread(void);
#if defined __has_builtin && defined __x86_64__ && (defined __clang__ || __GNUC__ >= 11)
#if __has_builtin(__builtin_thread_pointer)
#define NART__HAS_THREAD_POINTER 1
#endif
#endif
static inline uintptr_t nart__here(void)
{
#ifdef NART__HAS_THREAD_POINTER
    return (uintptr_t)__builtin_thread_pointer();
#else
    return nart__thread();
#endif
}

/* A function that a macro defines, used or not. */
#if defined __GNUC__
#define NART__WORLD_FN static inline __attribute__((unused)) NART_MUST_USE nart_res
#else
#define NART__WORLD_FN static inline nart_res
#endif

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

NART_API nart_res nart__world_enter(nart_world *w, const nart_resource *key, uint32_t exclusive,
                                    nart__access *a);
NART_API void nart__world_leave(nart_world *w, const nart__access *a);

/**
 * Declares the resource `name` of type T, which may be incomplete: the constant `name_resource`, and
 * `name_add(w, const T *init, drop)`, `name_read(w, fn, arg)` with a `fn` that takes `const T *`,
 * `name_write(w, fn, arg)` with one that takes `T *`: the functions above. For a header.
 */
#define NART_RESOURCE(name, T)                                                                     \
    typedef T nart__value_##name;                                                                  \
    extern const nart_resource name##_resource;                                                    \
    NART__WORLD_FN name##_add(nart_world *w, const nart__value_##name *init,                       \
                              void (*drop)(void *value))                                           \
    {                                                                                              \
        return nart_world_add(w, &name##_resource, init, drop);                                    \
    }                                                                                              \
    NART__WORLD_FN name##_read(                                                                    \
        nart_world *w, nart_res (*fn)(const nart__value_##name *value, void *arg), void *arg)      \
    {                                                                                              \
        nart__access a;                                                                            \
        nart_res r = nart__world_enter(w, &name##_resource, 0, &a);                                \
        if (r == 0) {                                                                              \
            r = fn((const nart__value_##name *)a.value[0], arg);                                   \
            nart__world_leave(w, &a);                                                              \
        }                                                                                          \
        return r;                                                                                  \
    }                                                                                              \
    NART__WORLD_FN name##_write(nart_world *w,                                                     \
                                nart_res (*fn)(nart__value_##name * value, void *arg), void *arg)  \
    {                                                                                              \
        nart__access a;                                                                            \
        nart_res r = nart__world_enter(w, &name##_resource, 1, &a);                                \
        if (r == 0) {                                                                              \
            r = fn((nart__value_##name *)a.value[0], arg);                                         \
            nart__world_leave(w, &a);                                                              \
        }                                                                                          \
        return r;                                                                                  \
    }                                                                                              \
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

/* nart_handler_run() as a function: inside another use, or an error. */
NART_API NART_MUST_USE nart_res nart__handler_run(nart_handler *h, const void *event);

/**
 * Calls the handler's function with its resources and `event`, which is of the type that the
 * NART_HANDLER names. The function must not wait; what it answers is passed on.
 * @return what the function answers; NART_ECONFLICT a resource is used in a way that excludes this
 *   one, or the handler is running already: nothing was called; NART_ESTALE the world has been freed;
 *   -EINVAL a zeroed handler; NART_EWRONGTHREAD.
 * **Thread**: the world's. **Cost**: an indirect call and a few loads, whatever the number of
 * parameters; inside another use, a comparison with each resource that is used.
 */
static inline NART_MUST_USE nart_res nart_handler_run(nart_handler *h, const void *event)
{
    nart_world *w = h->world;

    if (NART_UNLIKELY(!w || w->here != nart__here() || w->open))
        return nart__handler_run(h, event);
    w->open = &h->access; /* its up is NULL */
    nart_res r = h->call(h->access.value, event);
    w->open = NULL;
    return r;
}

/**
 * `NART_HANDLER(fn, E, SHARED(a), EXCLUSIVE(b), ...)` makes a handler type of the function
 * `nart_res fn(const A *, B *, ..., E *event)`, with 0 to 8 resources: the constant `fn_handler`, and
 * `fn_run(h, E *event)`, nart_handler_run() with -EINVAL for a handler of another type. A function
 * that takes something else does not compile.
 */
#define NART_HANDLER(fn, ...) NART__HANDLER(fn, NART__H_FIRST(__VA_ARGS__, 0), __VA_ARGS__)

#define NART__HANDLER(fn, E, ...)                                                                  \
    NART__HANDLER_CHECK(fn, NART__H_EACH(NART__H_TYPE, __VA_ARGS__) E *);                          \
    static nart_res fn##_call(void *const *value, const void *event)                               \
    {                                                                                              \
        nart_res (*const nart_fn_)(NART__H_EACH(NART__H_TYPE, __VA_ARGS__) E *) = fn;              \
        (void)value;                                                                               \
        return nart_fn_(NART__H_EACH(NART__H_VALUE, __VA_ARGS__)(E *)(uintptr_t)event);            \
    }                                                                                              \
    static const nart_handler_type fn##_handler = {                                                \
        NART_WORLD_ABI, 0u NART__H_EACH(NART__H_BIT, __VA_ARGS__),       #fn,                      \
        fn##_call,      { NART__H_EACH(NART__H_KEY, __VA_ARGS__) NULL }, { NULL, NULL },           \
    };                                                                                             \
    NART__WORLD_FN fn##_run(nart_handler *h, E *event)                                             \
    {                                                                                              \
        return NART_LIKELY(h->type == &fn##_handler) ? nart_handler_run(h, event) : -EINVAL;       \
    }                                                                                              \
    struct fn##_is_a_handler

/* C does not insist on the types of a function pointer, so it is asked. */
#ifdef __cplusplus
#define NART__HANDLER_CHECK(fn, ...) struct fn##_is_checked
#else
#define NART__HANDLER_CHECK(fn, ...)                                                               \
    NART__ASSERT(_Generic(&fn, nart_res(*)(__VA_ARGS__) : 1, default : 0),                         \
                 "the function takes other types than its NART_HANDLER names")
#endif

#define NART__H_TYPE(i, p) NART__H_TYPE_##p,
#define NART__H_TYPE_SHARED(name) const nart__value_##name *
#define NART__H_TYPE_EXCLUSIVE(name) nart__value_##name *
#define NART__H_VALUE(i, p) (NART__H_TYPE_##p) value[i],
#define NART__H_BIT(i, p) | (NART__H_BIT_##p << (i))
#define NART__H_BIT_SHARED(name) 0u
#define NART__H_BIT_EXCLUSIVE(name) 1u
#define NART__H_KEY(i, p) NART__H_KEY_##p,
#define NART__H_KEY_SHARED(name) &name##_resource
#define NART__H_KEY_EXCLUSIVE(name) &name##_resource

/* M(index, parameter) for each that follows the event's type. */
#define NART__H_FIRST(e, ...) e
#define NART__H_EACH(M, ...)                                                                       \
    NART__H_PICK(__VA_ARGS__, NART__H_8, NART__H_7, NART__H_6, NART__H_5, NART__H_4, NART__H_3,    \
                 NART__H_2, NART__H_1, NART__H_0, 0)                                               \
    (M, __VA_ARGS__)
#define NART__H_PICK(e, a, b, c, d, f, g, h, i, n, ...) n
#define NART__H_0(M, e)
#define NART__H_1(M, e, a) M(0, a)
#define NART__H_2(M, e, a, b) NART__H_1(M, e, a) M(1, b)
#define NART__H_3(M, e, a, b, c) NART__H_2(M, e, a, b) M(2, c)
#define NART__H_4(M, e, a, b, c, d) NART__H_3(M, e, a, b, c) M(3, d)
#define NART__H_5(M, e, a, b, c, d, f) NART__H_4(M, e, a, b, c, d) M(4, f)
#define NART__H_6(M, e, a, b, c, d, f, g) NART__H_5(M, e, a, b, c, d, f) M(5, g)
#define NART__H_7(M, e, a, b, c, d, f, g, h) NART__H_6(M, e, a, b, c, d, f, g) M(6, h)
#define NART__H_8(M, e, a, b, c, d, f, g, h, i) NART__H_7(M, e, a, b, c, d, f, g, h) M(7, i)

#ifdef __cplusplus
}
#endif
#endif
