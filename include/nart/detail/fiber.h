/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/fiber.h: what an await of a fiber expands to, and the switch between stacks.
 *
 * An await is a loop around the expression. Each has a nart_co of its own, in the frame of the function that
 * awaits, linked to that of the await around it. So waits, scopes, races and dumps see a chain of bodies as
 * they do with co.h; the flag NART__CO_FIBER tells them apart where that matters. What the context of the poll
 * holds for the fiber (body, scope, local values) is saved when it parks and restored when it continues.
 */
#ifndef NART_DETAIL_FIBER_H
#define NART_DETAIL_FIBER_H

#include "../fiber.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A place where a stack was left. */
typedef struct nart__stack_point {
    void *sp, *fp;
    const void *pc;
} nart__stack_point;

/* The exceptions that are being handled, as the C++ runtime has them for each thread (Itanium C++ ABI). */
typedef struct nart__exceptions {
    void *caught;
    unsigned int uncaught;
} nart__exceptions;

/* A fiber that has begun, at the top of its stack. */
typedef struct nart__fiber {
    nart__stack_point here; /* first: nart__fiber_entry gets its address */
    nart__stack_point host; /* the poll that runs it */
    nart_co *co;            /* the await in which it is parked */
    nart_scope *scope; /* kept while it is parked, unless it was empty, as are the local values */
    nart_local *locals;
    struct nart__await_for
        *relative; /* deadlines that begin with the next park, the innermost first */
    uintptr_t low; /* the lowest usable address of the stack, and its size */
    size_t size;
    uint32_t hooked; /* a sanitizer has to be told of each switch */
    nart_res res;
    bool ended, running;
    nart_co root;      /* the body of the function itself */
    nart_co *shielded; /* the await that has opened the shield, or `root`; NULL: none */
    nart_scope *above; /* hidden by it */
    nart__exceptions exceptions;
    nart_cx *cx;
    nart_fiber_fn fn;
    void *arg;
    struct nart__stack *stack;
    void *host_hook, *hook, *host_fake, *fake; /* of sanitizers */
    const void *host_low;
    size_t host_size;
    nart_scope outside;  /* of a branch: the deadlines of its caller */
    nart_local bindings; /* and its local values */
} nart__fiber;

#define NART__CO_FIBER 0x80000000u /* of nart_co.at: an await of a fiber */

typedef struct nart__await {
    nart_co co; /* first */
    nart_cx *cx;
} nart__await;

/* A deadline that begins with the first park within it. */
typedef struct nart__await_for {
    nart_scope scope; /* first */
    nart_cx *cx;
    struct nart__await_for *outer;
    int64_t ns;
} nart__await_for;

/* ---- the switch ----
 * Leaves this stack and continues at `*to`. It is inline, because a call would leave the processor's prediction
 * of returns one entry off, for the fiber and for its host. All registers are declared as changed: the compiler
 * saves those in use. Nothing is written below the stack pointer of a stack that was left. */
#if defined __x86_64__ && defined __linux__ && !defined __ILP32__
#define NART__FIBERS 1
#ifdef __AVX512F__
#define NART__MORE_REGISTERS                                                                       \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define NART__MORE_REGISTERS
#endif
static NART__INLINE void nart__fiber_switch(nart__stack_point *from, const nart__stack_point *to)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, (%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rax, 16(%0)\n\t"
                     "movq (%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmpq *16(%1)\n"
                     "1:\n\t"
                     "endbr64"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc",
                       "memory" NART__MORE_REGISTERS);
}
#elif defined __aarch64__ && defined __linux__ && !defined __ILP32__
#define NART__FIBERS 1
static NART__INLINE void nart__fiber_switch(nart__stack_point *from, const nart__stack_point *to)
{
    register nart__stack_point *x0 __asm__("x0") = from;
    register const nart__stack_point *x1 __asm__("x1") = to;
    __asm__ volatile("adr x9, 1f\n\t"
                     "mov x10, sp\n\t"
                     "stp x10, x29, [x0]\n\t"
                     "str x9, [x0, #16]\n\t"
                     "ldp x10, x29, [x1]\n\t"
                     "ldr x9, [x1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n"
                     "1:\n\t"
                     "hint #36" /* bti j */
                     : "+r"(x0), "+r"(x1)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
                       "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                       "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                       "v29", "v30", "v31", "cc", "memory");
}
#else
#define NART__FIBERS 0
static inline void nart__fiber_switch(nart__stack_point *from, const nart__stack_point *to)
{
    (void)from;
    (void)to;
}
#endif

/* ---- parking ---- */

/* The cases other than the plain one. False: `*r` is the await's answer. */
NART_API bool nart__fiber_park_slow(nart__await *w, nart_res *r);
NART_API NART__COLD nart_res nart__fiber_yield_slow(nart_cx *cx, const nart__site *site,
                                                    uint32_t line);
NART_API NART__COLD void nart__fiber_stray(nart_cx *cx);
NART_API NART__NORETURN NART__COLD void nart__fiber_jumped(const nart_cx *cx);
NART_API void nart__fiber_await_left(nart_cx *cx, const nart_co *co);

/* May the code at this address, in body `co`, leave the stack, with nothing of the context to be kept? A poll
 * begins with an empty one. */
static NART__INLINE bool nart__fiber_is_plain(const nart_cx *cx, const nart_co *co, uintptr_t at)
{
    const nart__fiber *f = cx->fiber;

    return NART_LIKELY(
        f && at - f->low < f->size && co->at & NART__CO_FIBER && !(cx->flags & NART__CX_RACE) &&
        !((uintptr_t)cx->scope | (uintptr_t)cx->locals | (uintptr_t)f->shielded | f->hooked));
}

/* Leaves the fiber's stack, and returns in its next poll. */
static NART__INLINE void nart__fiber_leave(nart_cx *cx, nart_co *co)
{
    nart__fiber *f = cx->fiber;

    f->co = co;
    nart__fiber_switch(&f->here, &f->host);
}

/* The awaited expression is pending. */
static NART__INLINE bool nart__fiber_park(nart__await *w, nart_res *r)
{
    if (NART_UNLIKELY(!nart__fiber_is_plain(w->cx, w->co.up, (uintptr_t)w)))
        return nart__fiber_park_slow(w, r);
    nart__fiber_leave(w->cx, &w->co);
    w->cx->co = &w->co;
    return true;
}

/* Does this lie in a frame that the fiber has left? */
static NART__INLINE bool nart__fiber_has_left(const nart__fiber *f, const void *p)
{
    uintptr_t sp = 0;

#if defined __x86_64__
    __asm__("movq %%rsp, %0" : "=r"(sp));
#elif defined __aarch64__
    __asm__("mov %0, sp" : "=r"(sp));
#endif
    /* A signal handler may run on a stack of its own. */
    return f && (uintptr_t)p - f->low < sp - f->low && sp - f->low < f->size;
}

/* Everything here is inline without optimisation, too: a call would write over what was left on the stack.
 * Withdraws the operations that answered NART_PENDING in this poll to code that does not await them. */
static NART__INLINE void nart__fiber_no_strays(nart_cx *cx)
{
    const nart__task *t = cx->self;

    if (t && t->waits &&
        NART_UNLIKELY(t->waits->seen == t->polls || t->waits->more ||
                      nart__fiber_has_left(cx->fiber, t->waits)))
        nart__fiber_stray(cx);
}

static NART__INLINE void nart__await_open(nart__await *w, nart_cx *cx, const nart__site *site,
                                          uint32_t line)
{
    w->co.at = line | NART__CO_FIBER;
    w->co.up = cx->co;
    w->co.site = site;
    w->cx = cx;
}

static NART__INLINE nart_cx *nart__await_begin(nart__await *w, nart_cx *cx, const nart__site *site,
                                               uint32_t line)
{
    nart__fiber_no_strays(cx);
    if (NART_UNLIKELY(nart__fiber_has_left(cx->fiber, cx->co) || cx->co == &w->co))
        nart__fiber_jumped(cx); /* the await around this one is gone */
    nart__await_open(w, cx, site, line);
    w->co.decided = w->co.up ? w->co.up->decided : 0;
    cx->co = &w->co;
    return cx;
}

/* Also runs when an exception leaves the await. */
static NART__INLINE void nart__await_end(nart__await *w)
{
    nart_cx *cx = w->cx;
    nart_co *up = w->co.up;
    const nart__task *t = cx->self;

    if (NART_UNLIKELY(w->co.at & NART__CO_SHIELD))
        nart_unshield(cx);
    if (t && (t->leaf || (t->waits && (t->waits->co != up || t->waits->more))))
        nart__fiber_await_left(cx, &w->co);
    if (up)
        up->decided = w->co.decided;
    cx->co = up;
}

/* The variables have the names that the expressions of co.h use: NART_ANY(), NART_AFTER(). */
#define NART__FIBER_BEGIN(c)                                                                       \
    static const nart__site nart_site_ = { __func__, __FILE__ };                                   \
    nart__await nart_w_ __attribute__((cleanup(nart__await_end)));                                 \
    nart_cx *const nart_cx_ = nart__await_begin(&nart_w_, (c), &nart_site_, __LINE__);             \
    nart_co *const nart_co_ = &nart_w_.co;                                                         \
    nart_res nart_any_ = 0;                                                                        \
    nart__race nart_races_[NART__RACES], *nart_race_ = nart_races_;                                \
    (void)nart_cx_;                                                                                \
    (void)nart_co_;                                                                                \
    (void)nart_any_;                                                                               \
    (void)nart_race_;                                                                              \
    nart_res nart_r_

/* Parks before the expression, too, where errors have spent the budget. */
#define NART__FIBER_LOOP(...)                                                                      \
    if (NART_UNLIKELY(nart_cx_->go < 0) && nart__await_spent(nart_cx_))                            \
        (void)nart__fiber_park(&nart_w_, &nart_r_);                                                \
    do                                                                                             \
        nart_r_ = (__VA_ARGS__);                                                                   \
    while (nart_r_ < 0 && nart__await_failed(nart_cx_, nart_r_) &&                                 \
           nart__fiber_park(&nart_w_, &nart_r_))

/* The value of a statement expression may be ignored, that of this function not. */
static NART__INLINE NART_MUST_USE nart_res nart__fiber_answer(nart_res r)
{
    return r;
}

#define NART__FIBER_AWAIT(c, ...)                                                                  \
    nart__fiber_answer(__extension__({                                                             \
        NART__FIBER_BEGIN(c);                                                                      \
        NART__FIBER_LOOP(__VA_ARGS__);                                                             \
        nart_r_;                                                                                   \
    }))

/* ---- deadlines ---- */

/* Opens a scope whose deadline is `at`, or is set `ns` after the first park if that is not NART_NEVER. */
static inline void nart__await_for_begin(nart__await_for *s, nart_cx *cx, int64_t at, int64_t ns)
{
    nart__fiber *f = cx->fiber;

    nart_scope_enter(cx, &s->scope, at);
    s->cx = cx;
    s->ns = ns;
    s->outer = NULL;
    if (f && ns != NART_NEVER) {
        s->outer = f->relative;
        f->relative = s;
    }
}

/* A shield that was opened within the scope ends before it. */
static inline nart_res nart__await_for_answer(nart__await_for *s, nart_res r)
{
    if (NART_UNLIKELY(s->scope.co->at & NART__CO_SHIELD))
        nart_unshield(s->cx);
    return nart_scope_leave(s->cx, &s->scope, r);
}

/* Also runs when an exception leaves the await. */
static inline void nart__await_for_end(nart__await_for *s)
{
    nart__fiber *f = s->cx->fiber;

    (void)nart__await_for_answer(s, 0);
    if (f && f->relative == s)
        f->relative = s->outer;
}

#define NART__FIBER_AWAIT_WITHIN(c, at, ns, ...)                                                   \
    nart__fiber_answer(__extension__({                                                             \
        NART__FIBER_BEGIN(c);                                                                      \
        nart__await_for nart_s_ __attribute__((cleanup(nart__await_for_end)));                     \
        nart__await_for_begin(&nart_s_, nart_cx_, (at), (ns));                                     \
        NART__FIBER_LOOP(__VA_ARGS__);                                                             \
        nart__await_for_answer(&nart_s_, nart_r_);                                                 \
    }))

#define NART__FIBER_AWAIT_UNTIL(c, at, ...) NART__FIBER_AWAIT_WITHIN(c, at, NART_NEVER, __VA_ARGS__)
#define NART__FIBER_AWAIT_FOR(c, ns, ...) NART__FIBER_AWAIT_WITHIN(c, NART_NEVER, ns, __VA_ARGS__)

#define NART__FIBER_AWAIT_STOP(c, ...)                                                             \
    nart__fiber_answer(__extension__({                                                             \
        NART__FIBER_BEGIN(c);                                                                      \
        uint32_t nart_s_;                                                                          \
        NART__FIBER_LOOP((nart_s_ = nart__stop_in(nart_cx_), nart_any_ = (__VA_ARGS__),            \
                          nart__stop_out(nart_cx_, nart_s_), nart_any_));                          \
        nart_r_;                                                                                   \
    }))

/* ---- yielding ---- */

/* An await whose expression registers nothing. */
static NART__INLINE nart_res nart__fiber_yield(nart_cx *cx, const nart__site *site, uint32_t line)
{
    nart__await w;

    nart__fiber_no_strays(cx); /* before a call writes over what was left on the stack */
    if (NART_UNLIKELY(!nart__fiber_is_plain(cx, cx->co, (uintptr_t)&w)))
        return nart__fiber_yield_slow(cx, site, line);
    nart__await_open(&w, cx, site, line);
    nart_wake_self(cx);
    nart__fiber_leave(cx, &w.co);
    w.cx->co = w.co.up;
    return 0;
}

#define NART__FIBER_YIELD(c)                                                                       \
    __extension__({                                                                                \
        static const nart__site nart_site_ = { __func__, __FILE__ };                               \
        nart__fiber_yield((c), &nart_site_, __LINE__);                                             \
    })

/* ---- spawning ---- */

NART_API nart_res nart__fiber_poll(nart_cx *cx, void *frame);
NART_API void nart__fiber_drop(void *frame);

#define NART__FIBER_TYPE_OF(fn, flags, size)                                                       \
    {                                                                                              \
        NART_TASK_ABI, (flags), #fn, (uint32_t)(size), (uint32_t)NART__ALIGNOF(nart_fiber),        \
            nart__fiber_poll, nart__fiber_drop,                                                    \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define NART__FIBER_TYPE(fn)                                                                       \
    __extension__({                                                                                \
        static const nart_task_type nart_type_ = NART__FIBER_TYPE_OF(fn, 0, sizeof(nart_fiber));   \
        &nart_type_;                                                                               \
    })

#define NART__FIBER_FLAGS (NART_TASK_URGENT | NART_TASK_BACKGROUND)
#define NART__FIBER_TYPES_OF(fn, flags)                                                            \
    NART__FIBER_TYPE_OF(fn, flags, offsetof(nart_fiber, value)),                                   \
        NART__FIBER_TYPE_OF(fn, flags, sizeof(nart_fiber))

/* With and without room for a value, for each combination of the flags of a fiber. */
#define NART__FIBER_TYPES(fn)                                                                      \
    __extension__({                                                                                \
        static const nart_task_type nart_types_[] = {                                              \
            NART__FIBER_TYPES_OF(fn, 0), NART__FIBER_TYPES_OF(fn, NART_TASK_URGENT),               \
            NART__FIBER_TYPES_OF(fn, NART_TASK_BACKGROUND),                                        \
            NART__FIBER_TYPES_OF(fn, NART__FIBER_FLAGS)                                            \
        };                                                                                         \
        nart_types_;                                                                               \
    })

/* Neither a void pointer nor an array. C++ itself refuses the size of void, and has no such comparison: an array is found
 * by its size there. */
#ifdef __cplusplus
#define NART__FIBER_VARIABLE(value) (sizeof(value) == sizeof(void *))
#else
#define NART__FIBER_VARIABLE(value)                                                                \
    (!__builtin_types_compatible_p(__typeof__(*(value)), void) &&                                  \
     __builtin_types_compatible_p(__typeof__(value), __typeof__(&*(value))))
#endif

/* The size of `*value`; does not compile if a fiber cannot have a copy of it. */
#define NART__FIBER_BYTES(value)                                                                   \
    (NART__CHECKED(NART__FIBER_VARIABLE(value),                                                    \
                   "the value of a fiber is a variable: pass its address, that of an array, too"), \
     NART__CHECKED(__alignof__(*(value)) <= 16,                                                    \
                   "the value of a fiber is aligned to at most 16 bytes: pass a pointer"),         \
     NART__CHECKED(sizeof *(value) <= NART_FIBER_VALUE,                                            \
                   "the value of a fiber has at most NART_FIBER_VALUE bytes: pass a pointer"),     \
     sizeof *(value))

NART_API nart_res nart__fiber_spawn(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn,
                                    void *arg, const nart_fiber_opts *opts, nart_join *out);
NART_API nart_res nart__fiber_spawn_value(nart_cx *cx, const nart_task_type *types,
                                          nart_fiber_fn fn, void *value, size_t bytes,
                                          const nart_fiber_opts *opts, nart_join *out);
/* Which of NART__FIBER_TYPES(): two for each combination, in the order of their numbers 0, 2, 4 and 6. */
static inline const nart_task_type *nart__fiber_type(const nart_task_type *types, size_t value,
                                                     uint32_t flags)
{
    return &types[(value != 0) + (flags & NART__FIBER_FLAGS)];
}

enum { NART__FIBER_NURSERY, NART__FIBER_TASK_SET, NART__FIBER_POOL };

/* Into `group`, which is of this kind. `bytes`: 0, or the size of the value that is moved. */
NART_API NART_MUST_USE nart_res nart__fiber_spawn_into(nart_cx *cx, uint32_t kind, void *group,
                                                       const nart_task_type *types,
                                                       nart_fiber_fn fn, void *arg, size_t bytes,
                                                       const nart_fiber_opts *opts);

/* `group`, by type. */
static inline void *nart__of_nursery(nart_nursery *n)
{
    return n;
}

static inline void *nart__of_task_set(nart_task_set *s)
{
    return s;
}

static inline void *nart__of_pool(nart_pool *p)
{
    return p;
}

static inline nart_res nart__rt_fiber_spawn(nart_rt *rt, const nart_task_type *types,
                                            nart_fiber_fn fn, void *arg,
                                            const nart_fiber_opts *opts, nart_join *out)
{
    nart_fiber f;
    nart_res r = nart_fiber_init(&f, fn, arg, opts);

    return r ? r : nart_rt_spawn(rt, nart__fiber_type(types, f.bytes, f.flags), &f, out);
}

static inline nart_res nart__remote_fiber_spawn(nart_remote remote, const nart_task_type *types,
                                                nart_fiber_fn fn, void *arg,
                                                const nart_fiber_opts *opts)
{
    nart_fiber f;
    nart_res r = nart_fiber_init(&f, fn, arg, opts);

    return r ? r : nart_remote_spawn(remote, nart__fiber_type(types, f.bytes, f.flags), &f);
}

static inline nart_res nart__fiber_block_on(nart_rt *rt, const nart_task_type *types,
                                            nart_fiber_fn fn, void *arg,
                                            const nart_fiber_opts *opts, nart_res *result)
{
    nart_fiber f;
    nart_res r = nart_fiber_init(&f, fn, arg, opts);

    return r ? r : nart_block_on(rt, nart__fiber_type(types, f.bytes, f.flags), &f, result);
}

#ifdef __cplusplus
}
#endif
#endif
