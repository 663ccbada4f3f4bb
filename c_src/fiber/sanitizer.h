/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sanitizer.h: what AddressSanitizer and ThreadSanitizer have to be told of stacks, if the program is linked with
 * one of them. */
#ifndef NART_FIBER_SANITIZER_H
#define NART_FIBER_SANITIZER_H

#include "fiber.h"

#include <unistd.h>

void nart__asan_start_switch(void **fake, const void *low, size_t size)
    NART__WEAK("__sanitizer_start_switch_fiber");
void nart__asan_finish_switch(void *fake, const void **low, size_t *size)
    NART__WEAK("__sanitizer_finish_switch_fiber");
void *nart__tsan_current(void) NART__WEAK("__tsan_get_current_fiber");
void *nart__tsan_create(unsigned flags) NART__WEAK("__tsan_create_fiber");
void nart__tsan_destroy(void *hook) NART__WEAK("__tsan_destroy_fiber");
void nart__tsan_switch(void *hook, unsigned flags) NART__WEAK("__tsan_switch_to_fiber");
void nart__asan_unpoison(const volatile void *p, size_t size)
    NART__WEAK("__asan_unpoison_memory_region");

static inline bool nart__is_hooked(void)
{
    return nart__asan_start_switch || nart__tsan_create;
}

/* Signals that arrive between these two are handled after the second. Never inlined: with
 * detect_stack_use_after_return a function that has a local whose address is taken writes to its frame when it returns,
 * and nart__hook_leave() has ended that frame. */
NART__NOINLINE void nart__signals_hold(void);
NART__NOINLINE void nart__signals_release(void);

static inline void nart__hook_begin(nart__fiber *f)
{
    f->hook = nart__tsan_create ? nart__tsan_create(0) : NULL;
}

static inline void nart__hook_end(nart__fiber *f)
{
    if (f->hook) {
        nart__signals_hold(); /* it interrupts the fiber while that is destroyed */
        nart__tsan_destroy(f->hook);
        nart__signals_release();
    }
    if (nart__asan_unpoison)
        nart__asan_unpoison((void *)f->low, f->size);
}

/* Before and after the switch to the fiber, on the host's stack. ThreadSanitizer counts the functions that are called on
 * each stack: one that changes the stack for it must not be a call of its own, whatever the optimization level. */
static NART__INLINE void nart__hook_enter(nart__fiber *f)
{
    if (nart__asan_start_switch)
        nart__asan_start_switch(&f->host_fake, (void *)f->low, f->size);
    if (f->hook) {
        f->host_hook = nart__tsan_current();
        nart__tsan_switch(f->hook, 0);
    }
}

static inline void nart__hook_back(nart__fiber *f)
{
    if (nart__asan_finish_switch)
        nart__asan_finish_switch(f->host_fake, NULL, NULL);
    if (f->hook)
        nart__signals_release();
}

/* After and before the switch to the host, on the fiber's stack. */
static inline void nart__hook_arrive(nart__fiber *f, void *fake)
{
    if (nart__asan_finish_switch)
        nart__asan_finish_switch(fake, &f->host_low, &f->host_size);
}

/* ThreadSanitizer holds a signal back for the fiber that it interrupts, until that calls a function that it
 * intercepts: this one. None may arrive between that and the switch, because the fiber may never run again. */
__attribute__((no_sanitize("address"))) static inline void nart__hook_leave(nart__fiber *f,
                                                                            void **fake)
{
    if (f->hook) {
        nart__signals_hold();
        (void)usleep(0);
    }
    if (nart__asan_start_switch)
        nart__asan_start_switch(fake, f->host_low, f->host_size);
}

static NART__INLINE void nart__hook_left(const nart__fiber *f)
{
    if (f->hook)
        nart__tsan_switch(f->host_hook, 0);
}

#endif
