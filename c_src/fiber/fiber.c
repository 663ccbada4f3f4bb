/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fiber.c: tasks with a stack of their own.
 *
 * 1. A fiber's poll function switches to the fiber's stack, and returns when the fiber parks or ends. The task
 *    is like any other: the loop knows nothing of fibers.
 * 2. The stack is taken at the first poll. Its top holds the nart__fiber, below that the function's frames. It
 *    is given back when the function has returned.
 * 3. While a fiber runs, cx->co is the innermost of its awaits, or the body `root`, and cx->scope its innermost
 *    scope. It restores them itself when it continues.
 * 4. A fiber that is dropped while it is parked is abandoned: its stack is never used again, because handles on
 *    it may still be known to others.
 *
 * nart__fiber_entry is the first frame of a stack. Its unwind information says that the frame above it is that
 * of the poll on the other stack: a debugger shows both. Its personality function stops exceptions.
 *
 * Bounds: what is on the stack of a signal handler, or of a runtime that runs inside a fiber, cannot be left:
 * an await checks that it is on the fiber's own stack. */
#include "fiber.h"

#include <nart/nursery.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the first frame ---- */

#if NART__FIBERS
void nart__fiber_entry(void);
NART__NORETURN void nart__fiber_main(nart__fiber *f) __attribute__((used)); /* by the assembly */
int nart__fiber_personality(int version, int actions, uint64_t class, void *exception,
                            void *context) __attribute__((used));

/* DWARF expressions, in which a slot `at` bytes above the stack pointer holds the fiber: field N of it is
 * *(*(sp + at) + N). The frame above: its stack pointer is host.sp, its frame pointer host.fp, it continues at
 * host.pc. */
NART__ASSERT(offsetof(nart__fiber, host) == 24, "the expressions below");
#define FIELD_OF(sp_op, at, n) sp_op ", " at ", 0x06, 0x23, " n ", 0x06"
#define CFA_IS(sp_op, at, n) ".cfi_escape 0x0f, 6, " FIELD_OF(sp_op, at, n) "\n"
#define REGISTER_IS(reg, sp_op, at, n) ".cfi_escape 0x16, " reg ", 6, " FIELD_OF(sp_op, at, n) "\n"

/* Jumps with a return address, as if it had called. A call that never returns would leave the processor's
 * prediction of returns one entry off, for the host. Unwinders look the address up less one: at the nop. */
#if defined __x86_64__
#define UNWIND(at)                                                                                 \
    CFA_IS("0x77", at, "24")                                                                       \
    REGISTER_IS("6", "0x77", at, "32") REGISTER_IS("16", "0x77", at, "40")
#define RETURN_ADDRESS "endbr64\n leaq 1f(%rip), %rax\n movq %rsi, %rdi\n pushq %rax\n"
#define ENTER_MAIN                                                                                 \
    RETURN_ADDRESS UNWIND("0x08") "jmp nart__fiber_main\n" UNWIND("0x00") "nop\n 1: ud2\n"
#else
#define UNWIND(at)                                                                                 \
    CFA_IS("0x8f", at, "24")                                                                       \
    REGISTER_IS("29", "0x8f", at, "32") REGISTER_IS("30", "0x8f", at, "40")
#define ENTER_MAIN "hint #36\n adr x30, 1f\n mov x0, x1\n b nart__fiber_main\n nop\n 1: brk #0\n"
#endif

__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl nart__fiber_entry\n"
        ".hidden nart__fiber_entry\n"
        ".type nart__fiber_entry, %function\n"
        "nart__fiber_entry:\n"
        ".cfi_startproc\n"
        ".cfi_personality 0x1b, nart__fiber_personality\n"
        ".cfi_signal_frame\n" /* else an unwinder expects the frame above at a higher address */
        UNWIND("0x00") ENTER_MAIN ".cfi_endproc\n"
                                  ".size nart__fiber_entry, . - nart__fiber_entry\n"
                                  ".popsection\n");

/* An unwinder asks whether the exception stops here. */
int nart__fiber_personality(int version, int actions, uint64_t class, void *exception,
                            void *context)
{
    (void)version;
    (void)actions;
    (void)class;
    (void)exception;
    (void)context;
    fputs("nart: an exception, or the end of the thread, has left the function of a fiber: catch "
          "it there\n",
          stderr);
    abort();
}
#endif

/* Of the C++ runtime, if the program has one. A fiber may park in a catch block or a destructor. */
nart__exceptions *__cxa_get_globals(void) __attribute__((weak));

static NART__NOINLINE void exchange_exceptions(nart__fiber *f)
{
    nart__exceptions *now = __cxa_get_globals(), mine = f->exceptions;

    f->exceptions = *now;
    *now = mine;
}

/* ---- sanitizers ---- */

void __sanitizer_start_switch_fiber(void **fake, const void *low, size_t size)
    __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *fake, const void **low, size_t *size)
    __attribute__((weak));
void *__tsan_get_current_fiber(void) __attribute__((weak));
void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void *hook) __attribute__((weak));
void __tsan_switch_to_fiber(void *hook, unsigned flags) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *p, size_t size) __attribute__((weak));

static bool is_hooked(void)
{
    return __sanitizer_start_switch_fiber || __tsan_create_fiber;
}

static void hook_begin(nart__fiber *f)
{
    f->hook = __tsan_create_fiber ? __tsan_create_fiber(0) : NULL;
}

static void hook_end(nart__fiber *f)
{
    if (f->hook)
        __tsan_destroy_fiber(f->hook);
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region((void *)f->low, f->size);
}

/* Before and after the switch to the fiber, on the host's stack. */
static inline void hook_enter(nart__fiber *f)
{
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&f->host_fake, (void *)f->low, f->size);
    if (f->hook) {
        f->host_hook = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(f->hook, 0);
    }
}

static inline void hook_back(nart__fiber *f)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(f->host_fake, NULL, NULL);
}

/* After and before the switch to the host, on the fiber's stack. */
static inline void hook_arrive(nart__fiber *f, void *fake)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(fake, &f->host_low, &f->host_size);
}

static inline void hook_leave(nart__fiber *f, void **fake)
{
    if (f->hook)
        (void)usleep(
            0); /* a signal that ThreadSanitizer holds back for this fiber is handled now */
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(fake, f->host_low, f->host_size);
    if (f->hook)
        __tsan_switch_to_fiber(f->host_hook, 0);
}

/* ---- scopes ---- */

void nart__scopes_changed(nart_scope *s)
{
    if (!s)
        return;
    nart__scopes_changed(s->up);
    s->outer = s->up ? nart__scope_earliest(s->up) : INT64_MAX;
}

/* The first park within deadlines of nart_await_for(): they begin. */
static NART__COLD void start_relative(nart_cx *cx, nart__fiber *f)
{
    int64_t now = nart__now_read(cx);

    for (nart__await_for *s = f->relative; s; s = s->outer)
        s->scope.deadline = nart_time_add(now, s->ns);
    f->relative = NULL;
    nart__scopes_changed(f->above); /* some may be hidden by a shield */
    nart__scopes_changed(cx->scope);
    if (cx->scope)
        nart__cx_until(cx, nart__scope_earliest(cx->scope));
}

/* The shield ends: the scopes that it hid apply again, outside of those that were opened since. */
static void unhide(nart_cx *cx, nart__fiber *f)
{
    nart_scope *s = cx->scope, *above = f->above;
    nart_co *owner = f->shielded;

    f->above = NULL;
    f->shielded = NULL;
    if (s) {
        while (s->up)
            s = s->up;
        s->up = above;
        nart__scopes_changed(cx->scope);
        above = cx->scope;
    }
    nart__shield_end(cx, owner, &above);
}

void nart_shield(nart_cx *cx, int64_t ns)
{
    nart__fiber *f = cx->fiber;

    if (!f || !(cx->co->at & NART__CO_FIBER))
        return;
    (void)nart_now(cx); /* has the previous one expired? */
    if (f->shielded && !nart__shield_holds(cx, cx->self))
        unhide(cx, f);
    if (f->shielded)
        return;
    nart__shield_begin(cx, cx->co, &f->above, ns);
    if (cx->co->at & NART__CO_SHIELD)
        f->shielded = cx->co;
}

void nart_unshield(nart_cx *cx)
{
    if (cx->fiber && cx->fiber->shielded)
        unhide(cx, cx->fiber);
}

/* A fiber with open scopes or a shield continues. */
static void resume_scopes(nart_cx *cx, nart__fiber *f)
{
    nart_scope *ignored;

    if (f->shielded)
        f->shielded->at &= ~NART__CO_STOPPED; /* by an earlier run; this one may be no stop */
    if (f->shielded && !nart__shield_holds(cx, cx->self))
        unhide(cx, f);
    else if (f->shielded) {
        (void)nart__shield_in(cx, f->shielded, &ignored, 0); /* a NART_STOP is deferred, too */
        cx->scope = f->scope;
    }
    if (cx->scope && cx->flags & NART__CX_BUSY)
        nart__scope_look(cx, cx->scope);
}

/* ---- awaits ---- */

static NART__COLD nart_res refuse(const nart__await *w, nart_res r, const char *why)
{
    nart_cx *cx = w->cx;
    nart_rt *rt = nart__cx_rt(cx);

    nart__withdraw_under(cx, (nart_co *)(uintptr_t)&w->co);
    if (rt)
        nart__rt_report(rt, "%s: task %s: await at %s:%u %s", rt->name,
                        cx->self ? cx->self->type->name : "(none)", w->co.site->file,
                        w->co.at & NART__CO_LINE, why);
    return r;
}

static NART__NORETURN NART__COLD void frame_left(const nart_cx *cx)
{
    fprintf(
        stderr,
        "nart: task %s: a function has returned while a handle in its frame waits, a lock is held "
        "or a nursery is open\n",
        cx->self->type->name);
    abort();
}

void nart__fiber_jumped(const nart_cx *cx)
{
    fprintf(stderr, "nart: task %s: longjmp() has left an await: set the jump within it\n",
            cx->self ? cx->self->type->name : "(none)");
    abort();
}

/* Has the frame that holds `w` been left? Not noticed if another one is there by now. */
static bool is_left(const nart_cx *cx, const nart__wait *w)
{
    uintptr_t low = cx->fiber->low;

    return (uintptr_t)w - low < (uintptr_t)__builtin_frame_address(0) - low;
}

/* The task waits while an await begins. An operation has answered NART_PENDING to code that does not await it:
 * its wait ends. */
void nart__fiber_stray(nart_cx *cx)
{
    if (!cx->fiber)
        return;
    for (nart__wait *w = cx->self->waits, *more; w; w = more) {
        if (is_left(cx, w))
            frame_left(cx);
        more = nart__wait_of(cx->self, w)->more;
        bool here =
            w->co == cx->co && w->seen == cx->self->polls; /* not of an arm beside a branch */
        if (here && !nart__is_nursery(w) && !nart__is_held(w) && !(cx->flags & NART__CX_RACE))
            nart__withdraw(w);
    }
}

/* An await ends while its task waits. In the common case in one operation, which answered this await. */
void nart__fiber_await_left(nart_cx *cx, const nart_co *co)
{
    nart__task *t = cx->self;

    for (const nart__wait *at = cx->fiber ? t->waits : NULL; at; at = at->more)
        if (is_left(cx, at))
            frame_left(cx);
    nart__wait *w = nart__wait_of(t, t->waits);
    if (t->leaf || w->co != co || w->more || nart__is_nursery(w))
        nart__co_ended(cx, co);
    else
        w->co = co->up;
}

/* Leaves the fiber's stack, and returns in its next poll with the context as it is. */
static void leave(nart_cx *cx, nart__fiber *f)
{
    if (f->relative)
        start_relative(cx, f);
    f->scope = cx->scope;
    f->locals = cx->locals;
    if (f->hooked)
        hook_leave(f, &f->fake);
    nart__fiber_leave(cx, cx->co);
    if (f->hooked)
        hook_arrive(f, f->fake);
    cx->co = f->co;
    cx->scope = f->scope;
    cx->locals = f->locals;
    if (f->scope || f->shielded)
        resume_scopes(cx, f);
}

bool nart__fiber_park_slow(nart__await *w, nart_res *r)
{
    nart_cx *cx = w->cx;
    nart__fiber *f = cx->fiber;

    /* Not the address of `w`: a sanitizer may have moved that off the stack. */
    if (!f || (uintptr_t)__builtin_frame_address(0) - f->low >= f->size)
        *r = refuse(w, -EPERM, "outside of a fiber");
    else if (cx->flags & NART__CX_RACE)
        *r = refuse(w, -EDEADLK, "within an arm of a race: use nart_branch_run()");
    else if (!(w->co.up->at & NART__CO_FIBER))
        *r = refuse(w, -EPERM, "within a body of co.h: use NART_AWAIT");
    else {
        leave(cx, f);
        return true;
    }
    return false;
}

nart_res nart__fiber_yield_slow(nart_cx *cx, const nart__site *site, uint32_t line)
{
    nart__await w;
    nart_res r = 0;

    nart__await_begin(&w, cx, site, line);
    nart_wake_self(cx);
    (void)nart__fiber_park_slow(&w, &r);
    nart__await_end(&w);
    return r;
}

/* ---- running ---- */

#define ENDED (1u << 31) /* of nart_fiber.flags: the function has returned */

static void *argument(nart_fiber *frame)
{
    return frame->bytes ? frame->value : frame->arg;
}

/* Of the nart__fiber at the top of a stack. */
#define ROOM ((sizeof(nart__fiber) + 63) & ~(size_t)63)

#if NART__FIBERS
/* Continues there, and never here. */
NART__NORETURN static inline void jump(const nart__stack_point *to)
{
#if defined __x86_64__
    __asm__ volatile("movq (%0), %%rsp\n\t"
                     "movq 8(%0), %%rbp\n\t"
                     "jmpq *16(%0)"
                     :
                     : "S"(to)
                     : "memory");
#else
    register const nart__stack_point *x1 __asm__("x1") = to;
    __asm__ volatile("ldp x10, x29, [x1]\n\t"
                     "ldr x9, [x1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9"
                     :
                     : "r"(x1)
                     : "x9", "x10", "memory");
#endif
    __builtin_unreachable();
}

void nart__fiber_main(nart__fiber *f)
{
    nart_cx *cx = f->cx;

    if (NART_UNLIKELY(f->hooked))
        hook_arrive(f, NULL);
    cx->co = &f->root;
    cx->scope = f->scope;
    cx->locals = f->locals;
    f->res = f->fn(cx, f->arg);
    f->ended = true;
    if (NART_UNLIKELY(f->hooked))
        hook_leave(f, NULL);
    jump(&f->host);
}

/* Field by field: clearing all of it, most of which is for sanitizers and branches, costs more than the rest of a
 * spawn. */
nart__fiber *nart__fiber_begin(nart_cx *cx, size_t size, nart_fiber_fn fn, void *arg)
{
    nart__stack *s = nart__stack_take(nart__cx_rt(cx), size);

    if (NART_UNLIKELY(!s))
        return NULL;
    s->task = cx->self;
    nart__fiber *f = (nart__fiber *)(void *)(s->low + s->size - ROOM);
    void **sp = (void **)(void *)f - 2;
    sp[0] = f;
    sp[1] = NULL;
    f->here.sp = sp;
    f->here.fp = NULL;
    f->here.pc = (const void *)(uintptr_t)nart__fiber_entry;
    f->scope = NULL;
    f->locals = NULL;
    f->relative = NULL;
    f->low = (uintptr_t)s->low;
    f->size = s->size;
    f->hooked = is_hooked();
    f->ended = false;
    f->running = false;
    f->root.at = NART__CO_RUNNING | NART__CO_FIBER;
    f->root.decided = 0;
    f->root.up = NULL;
    f->root.site = NULL;
    f->shielded = NULL;
    f->above = NULL;
    f->exceptions = (nart__exceptions){ .caught = NULL };
    f->cx = cx;
    f->fn = fn;
    f->arg = arg;
    f->stack = s;
    if (NART_UNLIKELY(f->hooked))
        hook_begin(f);
    return f;
}
#else
nart__fiber *nart__fiber_begin(nart_cx *cx, size_t size, nart_fiber_fn fn, void *arg)
{
    (void)cx;
    (void)size;
    (void)fn;
    (void)arg;
    return NULL;
}
#endif

static NART__COLD void switch_hooked(nart__fiber *f)
{
    hook_enter(f);
    nart__fiber_switch(&f->host, &f->here);
    hook_back(f);
}

void nart__fiber_run(nart_cx *cx, nart__fiber *f)
{
    cx->fiber = f;
    if (NART_UNLIKELY(__cxa_get_globals))
        exchange_exceptions(f);
    if (NART_UNLIKELY(f->hooked))
        switch_hooked(f);
    else
        nart__fiber_switch(&f->host, &f->here);
    if (NART_UNLIKELY(__cxa_get_globals))
        exchange_exceptions(f);
}

void nart__fiber_give(nart_rt *rt, nart__fiber *f)
{
    if (NART_UNLIKELY(f->hooked))
        hook_end(f);
    nart__stack_give(rt, f->stack);
}

/* No task waits in a frame that has been left. By its address alone: what a sanitizer has to be told of the
 * switch may have overwritten it. */
static void check_frames(const nart_cx *cx, const nart__fiber *f)
{
    for (const nart__wait *w = cx->self->waits; w; w = w->more)
        if ((uintptr_t)w - f->low < f->size)
            frame_left(cx);
}

nart_res nart__fiber_end(nart_cx *cx, nart__fiber *f)
{
    nart__task *t = cx->self;

    if (NART_UNLIKELY(f->shielded))
        unhide(cx, f);
    check_frames(cx, f);
    if (NART_UNLIKELY(t->waits || t->leaf))
        nart__co_ended(cx, &f->root);
    if (NART_LIKELY(f->res != NART_PENDING))
        return f->res;
    nart_rt *rt = nart__cx_rt(cx);
    nart__rt_report(rt, "%s: task %s: a fiber has returned NART_PENDING, which is no answer",
                    rt->name, t->type->name);
    return -EINVAL;
}

/* The function has returned. */
static nart_res end(nart_cx *cx, nart_fiber *frame)
{
    nart__task *t = cx->self;
    nart_res r = nart__fiber_end(cx, frame->on);

    for (nart__wait *w = t->waits, *more; nart__wait_of(t, w); w = more) {
        more = w->more;
        if (!nart__is_nursery(w)) /* the end waits for those */
            nart__withdraw(w);
    }
    frame->flags |= ENDED;
    nart__fiber_give(nart__cx_rt(cx), frame->on);
    frame->on = NULL;
    /* There is nothing else to drop. While it is queued, or its nurseries run, its slot must stay. */
    if (NART_LIKELY(!t->waits && !(t->state & NART__T_READY)))
        t->state |= NART__T_DROPPED;
    return r;
}

nart_res nart__fiber_poll(nart_cx *cx, void *p)
{
    nart_fiber *frame = p;

    if (NART_UNLIKELY(!frame->on)) {
        if (!NART__FIBERS)
            return -ENOSYS;
        if (cx->drv != &nart__loop)
            return NART_EDRIVER;
        frame->on = nart__fiber_begin(cx, frame->stack, frame->fn, argument(frame));
        if (!frame->on)
            return -ENOMEM;
    }
    nart__fiber_run(cx, frame->on);
    nart_res r = NART_UNLIKELY(frame->on->ended) ? end(cx, frame) : NART_PENDING;
    cx->fiber = NULL;
    cx->co = NULL;
    return r;
}

void nart__fiber_drop(void *p)
{
    nart_fiber *frame = p;
    nart__fiber *f = frame->on;

    if (!f) {
        if (frame->drop && !(frame->flags & ENDED))
            frame->drop(argument(frame));
        return;
    }
    nart_rt *rt = nart__cx_rt(f->cx);
    nart__rt_report(rt,
                    "%s: task %s: the fiber was abandoned in %s (%s:%u): its stack of %zu bytes "
                    "stays",
                    rt->name, f->stack->task->type->name, f->co->site->func, f->co->site->file,
                    f->co->at & NART__CO_LINE, f->size);
}

bool nart__fiber_stack_used(const nart__task *t, size_t *used, size_t *size)
{
    const nart_fiber *frame = t->frame;

    if (t->type->poll != nart__fiber_poll || !frame->on)
        return false;
    *used = nart__stack_used(frame->on->stack);
    *size = frame->on->size;
    return true;
}

/* ---- spawning ---- */

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

/* The options, with the size of the stack; or what is wrong with a spawn. */
static inline nart_res options(nart_fiber_opts *o, nart_fiber_fn fn, const void *arg,
                               const nart_fiber_opts *given)
{
    *o = (nart_fiber_opts){ .size = sizeof *o };
    if (given) {
        if (given->size < sizeof given->size || given->size > sizeof *o)
            return NART_EABI;
        memcpy(o, given, given->size);
        if (o->value > NART_FIBER_VALUE)
            return wrong("`value` is above NART_FIBER_VALUE: pass a pointer");
        if (o->flags & ~(uint32_t)NART_TASK_URGENT)
            return wrong("an unknown flag");
    }
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
    nart_res r = options(&o, fn, arg, opts);

    if (r == 0)
        fill(f, fn, arg, &o);
    return r;
}

/* Writes the frame in its slot: nart_spawn() would copy it. */
static inline nart_res spawn(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn, void *arg,
                             const nart_fiber_opts *opts, nart_join *out)
{
    nart_fiber_opts o;
    uint32_t state;
    nart_res r = options(&o, fn, arg, opts);

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
                                          nart_join *out)
{
    return spawn(cx, types, fn, arg, opts, out);
}

nart_res nart__fiber_spawn(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn, void *arg,
                           const nart_fiber_opts *opts, nart_join *out)
{
    return opts ? spawn_with(cx, types, fn, arg, opts, out) : spawn(cx, types, fn, arg, NULL, out);
}

nart_res nart__fiber_spawn_value(nart_cx *cx, const nart_task_type *types, nart_fiber_fn fn,
                                 void *value, size_t bytes, const nart_fiber_opts *opts,
                                 nart_join *out)
{
    nart_fiber_opts o;
    nart_res r = options(&o, fn, value, opts);

    if (r)
        return r;
    o.value = bytes;
    r = nart__fiber_spawn(cx, types, fn, value, &o, out);
    if (r == 0)
        memset(value, 0, bytes);
    return r;
}
