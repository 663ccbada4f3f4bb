/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fiber.h: what fibers and branches share: a function on a stack of its own. */
#ifndef NART_FIBER_FIBER_H
#define NART_FIBER_FIBER_H

#include "stack.h"

#include <nart/fiber.h>

/* A function of another library, under a name that is not reserved; NULL: the program is not linked with it. */
#define NART__WEAK(name) __asm__(name) __attribute__((weak))

/* On a stack of `size` bytes, not run yet; NULL: no memory. In a poll of the loop. */
nart__fiber *nart__fiber_begin(nart_cx *cx, size_t size, nart_fiber_fn fn, void *arg);

/* Runs it until it parks or has ended. Afterwards the context has to be restored: body, scope, local values and
 * the fiber that runs. */
void nart__fiber_run(nart_cx *cx, nart__fiber *f);

/* It has ended: @return its answer. */
nart_res nart__fiber_end(nart_cx *cx, nart__fiber *f);

/* Gives its stack back: nothing refers to it. */
void nart__fiber_give(nart_rt *rt, nart__fiber *f);

/* The deadlines of scopes that are open around `s`, the innermost, have changed. */
void nart__scopes_changed(nart_scope *s);

/* The shield ends: the scopes that it hid apply again, outside of those that were opened since. */
void nart__fiber_unhide(nart_cx *cx, nart__fiber *f);

/* Aborts if a function has returned, and what it left in its frame waits or is open. The frames below `top` have
 * been left. */
void nart__fiber_check_frames(const nart_cx *cx, const nart__fiber *f, uintptr_t top);

/* A size for a stack, rounded up; 0: `asked` is not allowed. */
size_t nart__fiber_stack_size(size_t asked);

/* 0, or -ENOSYS with a line. */
nart_res nart__fiber_platform(void);

/* As nart_rt.stack_used. */
bool nart__fiber_stack_used(const nart__task *t, size_t *used, size_t *size);

#endif
