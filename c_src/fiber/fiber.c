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
#include "../wait/short_name.h"
#include "sanitizer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
nart__exceptions *nart__cxa_globals(void) NART__WEAK("__cxa_get_globals");

static NART__NOINLINE void exchange_exceptions(nart__fiber *f)
{
    nart__exceptions *now = nart__cxa_globals(), mine = f->exceptions;

    f->exceptions = *now;
    *now = mine;
}

/* ---- running ---- */

#define ENDED (1u << 31) /* of nart_fiber.flags: the function has returned */

static void *argument(nart_fiber *frame)
{
    return frame->bytes ? frame->value : frame->arg;
}

/* Of the nart__fiber at the top of a stack. */
#define ROOM ((sizeof(nart__fiber) + 63) & ~(size_t)63)

/* The stack pointer with which nart__fiber_entry begins: the fiber, and an end of the stack for what follows
 * frame pointers. Nothing overwrites these two words. */
#define FIRST_SP(f) ((void **)(void *)(f)-2)

#if NART__FIBERS
/* Continues there, and never here. */
NART__NORETURN static NART__INLINE void jump(const nart__stack_point *to)
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
        nart__hook_arrive(f, NULL);
    cx->co = &f->root;
    cx->scope = f->scope;
    cx->locals = f->locals;
    f->res = f->fn(cx, f->arg);
    f->ended = true;
    if (NART_UNLIKELY(f->hooked)) {
        nart__hook_leave(f, NULL);
        nart__hook_left(f);
    }
    jump(&f->host);
}

/* The first fiber on a stack, or on its new pages: what each has in common. */
static NART__NOINLINE nart__fiber *prepare(nart__stack *s)
{
    nart__fiber *f = (nart__fiber *)(void *)(s->low + s->size - ROOM);

    f->low = (uintptr_t)s->low;
    f->size = s->size;
    f->stack = s;
    f->hooked = nart__is_hooked();
    FIRST_SP(f)[0] = f;
    FIRST_SP(f)[1] = NULL;
    s->top = f;
    return f;
}

/* Field by field: clearing all of it, most of which is for sanitizers and branches, costs more than the rest of a
 * spawn. */
static NART__INLINE nart__fiber *begin(nart_cx *cx, size_t size, nart_fiber_fn fn, void *arg)
{
    nart__stack *s = nart__stack_take(nart__cx_rt(cx), size);

    if (NART_UNLIKELY(!s))
        return NULL;
    s->task = cx->self;
    nart__fiber *f = NART_LIKELY(s->top) ? s->top : prepare(s);
    f->here.sp = FIRST_SP(f);
    f->here.fp = NULL;
    f->here.pc = (const void *)(uintptr_t)nart__fiber_entry;
    f->scope = NULL;
    f->locals = NULL;
    f->relative = NULL;
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
    if (NART_UNLIKELY(f->hooked))
        nart__hook_begin(f);
    return f;
}
#else
static nart__fiber *begin(nart_cx *cx, size_t size, nart_fiber_fn fn, void *arg)
{
    (void)cx;
    (void)size;
    (void)fn;
    (void)arg;
    return NULL;
}
#endif

nart__fiber *nart__fiber_begin(nart_cx *cx, size_t size, nart_fiber_fn fn, void *arg)
{
    return begin(cx, size, fn, arg);
}

static __thread sigset_t held;

void nart__signals_hold(void)
{
    nart__sys_signals_block(&held);
}

void nart__signals_release(void)
{
    nart__sys_signals_restore(&held);
}

static NART__COLD void switch_hooked(nart__fiber *f)
{
    nart__hook_enter(f);
    nart__fiber_switch(&f->host, &f->here);
    nart__hook_back(f);
}

static NART__INLINE void run(nart_cx *cx, nart__fiber *f)
{
    cx->fiber = f;
    if (NART_UNLIKELY(nart__cxa_globals))
        exchange_exceptions(f);
    if (NART_UNLIKELY(f->hooked))
        switch_hooked(f);
    else
        nart__fiber_switch(&f->host, &f->here);
    if (NART_UNLIKELY(nart__cxa_globals))
        exchange_exceptions(f);
}

void nart__fiber_run(nart_cx *cx, nart__fiber *f)
{
    run(cx, f);
}

static inline void give(nart_rt *rt, nart__fiber *f)
{
    if (NART_UNLIKELY(f->hooked))
        nart__hook_end(f);
    nart__stack_give(rt, f->stack);
}

void nart__fiber_give(nart_rt *rt, nart__fiber *f)
{
    give(rt, f);
}

static NART__COLD nart_res pending_is_no_answer(nart_cx *cx)
{
    nart_rt *rt = nart__cx_rt(cx);

    nart__rt_report(rt, "%s: task %s: a fiber has returned NART_PENDING, which is no answer",
                    rt->name, nart__short_name(cx->self->type->name));
    return -EINVAL;
}

/* Its task waits: for what it has left behind, or in other bodies. */
static NART__NOINLINE void withdraw(nart_cx *cx, nart__fiber *f)
{
    nart__fiber_check_frames(cx, f, f->low + f->size);
    nart__co_ended(cx, &f->root);
}

static NART__INLINE nart_res answer(nart_cx *cx, nart__fiber *f)
{
    if (NART_UNLIKELY(f->shielded))
        nart__fiber_unhide(cx, f);
    if (NART_UNLIKELY(cx->self->waits || cx->self->leaf))
        withdraw(cx, f);
    return NART_LIKELY(f->res != NART_PENDING) ? f->res : pending_is_no_answer(cx);
}

nart_res nart__fiber_end(nart_cx *cx, nart__fiber *f)
{
    return answer(cx, f);
}

/* The function has returned. */
static NART__INLINE nart_res end(nart_cx *cx, nart_fiber *frame, nart__fiber *f)
{
    nart__task *t = cx->self;
    nart_res r = answer(cx, f);

    frame->flags |= ENDED;
    frame->on = NULL;
    give(nart__cx_rt(cx), f);
    /* There is nothing else to drop. While it is queued, or its nurseries run, its slot must stay. */
    if (NART_LIKELY(!t->waits && !(t->state & NART__T_READY)))
        t->state |= NART__T_DROPPED;
    return r;
}

nart_res nart__fiber_poll(nart_cx *cx, void *p)
{
    nart_fiber *frame = p;

    if (!frame->on) {
        if (!NART__FIBERS)
            return -ENOSYS;
        if (NART_UNLIKELY(cx->drv != &nart__loop))
            return NART_EDRIVER;
        frame->on = begin(cx, frame->stack, frame->fn, argument(frame));
        if (NART_UNLIKELY(!frame->on))
            return -ENOMEM;
    }
    run(cx, frame->on);
    nart_res r = frame->on->ended ? end(cx, frame, frame->on) : NART_PENDING;
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
                    rt->name, nart__short_name(f->stack->task->type->name), f->co->site->func,
                    f->co->site->file, f->co->at & NART__CO_LINE, f->size);
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
