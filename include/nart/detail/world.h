/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/world.h: the head of a world, and the expansions of the macros and inlines of world.h. */
#ifndef NART_DETAIL_WORLD_H
#define NART_DETAIL_WORLD_H

#include "../world.h"
#include "thread.h"

#ifdef __cplusplus
extern "C" {
#endif

NART__ASSERT(sizeof((nart__access *)NULL)->value == NART_HANDLER_PARAMS * sizeof(void *),
             "nart__access.value");

/* The head of a world. The rest is in c_src/world/world.c. */
struct nart_world {
    nart__access *open; /* the innermost access */
    uintptr_t thread;   /* nart__thread_id of its thread, never 0 */
};

NART_API nart_res nart__world_enter(nart_world *w, const nart_resource *key, uint32_t exclusive,
                                    nart__access *a);
NART_API void nart__world_leave(nart_world *w, const nart__access *a);

/* The functions of NART_RESOURCE(). V is the type of the value. */
#define NART__RESOURCE_ADD(name, key, V)                                                           \
    NART__MACRO_FN name(nart_world *w, const V *init, void (*drop)(void *value))                   \
    {                                                                                              \
        return nart_world_add(w, &key, init, drop);                                                \
    }
#define NART__RESOURCE_READ(name, key, V)                                                          \
    NART__MACRO_FN name(nart_world *w, nart_res (*fn)(const V *value, void *arg), void *arg)       \
    {                                                                                              \
        nart__access a;                                                                            \
        nart_res r = nart__world_enter(w, &key, 0, &a);                                            \
        if (r == 0) {                                                                              \
            r = fn((const V *)a.value[0], arg);                                                    \
            nart__world_leave(w, &a);                                                              \
        }                                                                                          \
        return r;                                                                                  \
    }
#define NART__RESOURCE_WRITE(name, key, V)                                                         \
    NART__MACRO_FN name(nart_world *w, nart_res (*fn)(V * value, void *arg), void *arg)            \
    {                                                                                              \
        nart__access a;                                                                            \
        nart_res r = nart__world_enter(w, &key, 1, &a);                                            \
        if (r == 0) {                                                                              \
            r = fn((V *)a.value[0], arg);                                                          \
            nart__world_leave(w, &a);                                                              \
        }                                                                                          \
        return r;                                                                                  \
    }

/* The out-of-line path of nart_handler_run(): inside another access, or an error. */
NART_API NART_MUST_USE nart_res nart__handler_run(nart_handler *h, const void *event);

static inline nart_res nart_handler_run(nart_handler *h, const void *event)
{
    nart_world *w = h->world;

    if (NART_UNLIKELY(!w || w->thread != nart__thread_id || w->open))
        return nart__handler_run(h, event);
    w->open = &h->access; /* its `up` is NULL */
    nart_res r = h->call(h->access.value, event);
    if (NART_UNLIKELY(w->open != &h->access)) /* it has awaited, in a fiber */
        nart__world_leave(w, &h->access);
    else
        w->open = NULL;
    return r;
}

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
    NART__MACRO_FN fn##_run(nart_handler *h, E *event)                                             \
    {                                                                                              \
        return NART_LIKELY(h->type == &fn##_handler) ? nart_handler_run(h, event) : -EINVAL;       \
    }                                                                                              \
    struct fn##_is_a_handler

/* C permits conversions between function pointer types, so check the type explicitly. */
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

/* M(index, parameter) for each parameter after the event's type. */
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
