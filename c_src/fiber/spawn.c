/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spawn.c: the options and the frames of fibers. */
#include "../core/pool.h"
#include "fiber.h"

#include <nart/nursery.h>
#include <stdio.h>
#include <string.h>

static nart_res wrong(const char *what)
{
    fprintf(stderr, "nart: nart_fiber_opts: %s\n", what);
    return -EINVAL;
}

static bool has_shadow_stack(void)
{
#if defined __x86_64__
    uint64_t ssp = 0;

    __asm__ volatile("rdsspq %0" : "+r"(ssp)); /* no operation where there is none */
    return ssp != 0;
#else
    return false;
#endif
}

nart_res nart__fiber_platform(void)
{
    if (!NART__FIBERS) {
        fputs("nart: there are no fibers on this processor\n", stderr);
        return -ENOSYS;
    }
    if (has_shadow_stack()) {
        fputs("nart: no fibers on a thread with a shadow stack: set "
              "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off\n",
              stderr);
        return -ENOSYS;
    }
    return 0;
}

size_t nart__fiber_stack_size(size_t asked)
{
    size_t size = NART_FIBER_STACK_MIN;

    if (asked == 0)
        return NART_FIBER_STACK;
    if (asked < NART_FIBER_STACK_MIN || asked > NART_FIBER_STACK_MAX)
        return 0;
    while (size < asked)
        size *= 2;
    return size;
}

/* The options, with the size of the stack; or what is wrong with a spawn. `value` counts if it is not 0. */
static inline nart_res options(nart_fiber_opts *o, nart_fiber_fn fn, const void *arg,
                               const nart_fiber_opts *given, size_t value)
{
    *o = (nart_fiber_opts){ .size = sizeof *o };
    if (given) {
        if (given->size < sizeof given->size || given->size > sizeof *o)
            return NART_EABI;
        memcpy(o, given, given->size);
        if (o->flags & ~(uint32_t)NART__FIBER_FLAGS)
            return wrong("an unknown flag");
    }
    if (o->value > NART_FIBER_VALUE || value > NART_FIBER_VALUE)
        return wrong("`value` is above NART_FIBER_VALUE: pass a pointer");
    if (value != 0)
        o->value = value;
    if (!fn)
        return wrong("no function");
    if (o->value != 0 && !arg)
        return wrong("`value` without an argument");
    nart_res r = nart__fiber_platform();
    if (r)
        return r;
    o->stack = given ? nart__fiber_stack_size(o->stack) : NART_FIBER_STACK;
    if (o->stack == 0)
        return wrong("`stack` is below NART_FIBER_STACK_MIN or above NART_FIBER_STACK_MAX");
    return 0;
}

static inline void fill(nart_fiber *f, nart_fiber_fn fn, void *arg, const nart_fiber_opts *o)
{
    f->on = NULL;
    f->fn = fn;
    f->arg = arg;
    f->drop = o->drop;
    f->stack = (uint32_t)o->stack;
    f->flags = o->flags;
    f->bytes = (uint32_t)o->value;
    f->reserved = 0;
    if (o->value)
        memcpy(f->value, arg, o->value);
}

nart_res nart_fiber_init(nart_fiber *f, nart_fiber_fn fn, void *arg, const nart_fiber_opts *opts)
{
    nart_fiber_opts o;
    nart_res r = options(&o, fn, arg, opts, 0);

    if (r == 0)
        fill(f, fn, arg, &o);
    return r;
}

/* Writes the frame in its slot: nart_spawn() would copy it. */
static inline nart_res spawn(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn, void *arg,
                             const nart_fiber_opts *opts, size_t value, nart_join *out)
{
    nart_fiber_opts o;
    uint32_t state;
    nart_res r = options(&o, fn, arg, opts, value);

    if (NART_UNLIKELY(r))
        return r;
    if (NART_UNLIKELY(cx->drv != &nart__loop))
        return NART_EDRIVER;
    if (o.value && cx->self && cx->self->waits)
        nart__leave_range(cx->self, arg, o.value);
    nart_rt *rt = nart__cx_rt(cx);
    nart__task *t = nart__task_take(rt, nart__fiber_type(types, o.value, o.flags), &state, &r);
    if (NART_UNLIKELY(!t))
        return r;
    fill(t->frame, fn, arg, &o);
    nart__task_start(rt, t, state, out);
    return 0;
}

static NART__NOINLINE nart_res spawn_with(nart_cx *cx, const nart_task_type *types,
                                          nart_fiber_fn fn, void *arg, const nart_fiber_opts *opts,
                                          size_t value, nart_join *out)
{
    return spawn(cx, types, fn, arg, opts, value, out);
}

nart_res nart__fiber_spawn(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn, void *arg,
                           const nart_fiber_opts *opts, nart_join *out)
{
    return opts ? spawn_with(cx, types, fn, arg, opts, 0, out)
                : spawn(cx, types, fn, arg, NULL, 0, out);
}

nart_res nart__fiber_spawn_value(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn,
                                 void *value, size_t bytes, const nart_fiber_opts *opts,
                                 nart_join *out)
{
    nart_res r = spawn_with(cx, types, fn, value, opts, bytes, out);

    if (r == 0)
        memset(value, 0, bytes);
    return r;
}

/* ---- into a nursery, a task set or a pool ---- */

static nart_res spawn_into(nart_cx *cx, uint32_t kind, void *group, const nart_task_type *type,
                           const nart_fiber *f)
{
    if (kind == NART__FIBER_NURSERY)
        return nart_nursery_spawn(cx, group, type, f);
    if (kind == NART__FIBER_TASK_SET)
        return nart_task_set_spawn(cx, group, type, f);
    return nart__pool_begin(cx, group, type, f);
}

/* A pool may have to wait first: until then the value stays as it is, and so do the handles in it. */
nart_res nart__fiber_spawn_into(nart_cx *cx, uint32_t kind, void *group,
                                const nart_task_type *types, nart_fiber_fn fn, void *arg,
                                size_t bytes, const nart_fiber_opts *opts)
{
    nart_fiber_opts o;
    nart_fiber f;
    nart_res r = options(&o, fn, arg, opts, bytes);

    if (r == 0 && cx->drv != &nart__loop)
        r = NART_EDRIVER;
    if (r == 0 && kind == NART__FIBER_POOL)
        r = nart__pool_await_room(cx, group);
    if (r)
        return r;
    if (o.value && cx->self && cx->self->waits)
        nart__leave_range(cx->self, arg, o.value);
    fill(&f, fn, arg, &o);
    r = spawn_into(cx, kind, group, nart__fiber_type(types, o.value, o.flags), &f);
    if (r >= 0 && bytes)
        memset(arg, 0, bytes);
    return r;
}
