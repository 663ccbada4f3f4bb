/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sanitizer.h: what AddressSanitizer and ThreadSanitizer have to be told of stacks, if the program is linked with
 * one of them. */
#ifndef NART_FIBER_SANITIZER_H
#define NART_FIBER_SANITIZER_H

#include <nart/fiber.h>
#include <unistd.h>

void __sanitizer_start_switch_fiber(void **fake, const void *low, size_t size)
    __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *fake, const void **low, size_t *size)
    __attribute__((weak));
void *__tsan_get_current_fiber(void) __attribute__((weak));
void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void *hook) __attribute__((weak));
void __tsan_switch_to_fiber(void *hook, unsigned flags) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *p, size_t size) __attribute__((weak));

static inline bool nart__is_hooked(void)
{
    return __sanitizer_start_switch_fiber || __tsan_create_fiber;
}

static inline void nart__hook_begin(nart__fiber *f)
{
    f->hook = __tsan_create_fiber ? __tsan_create_fiber(0) : NULL;
}

static inline void nart__hook_end(nart__fiber *f)
{
    if (f->hook)
        __tsan_destroy_fiber(f->hook);
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region((void *)f->low, f->size);
}

/* Before and after the switch to the fiber, on the host's stack. */
static inline void nart__hook_enter(nart__fiber *f)
{
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&f->host_fake, (void *)f->low, f->size);
    if (f->hook) {
        f->host_hook = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(f->hook, 0);
    }
}

static inline void nart__hook_back(nart__fiber *f)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(f->host_fake, NULL, NULL);
}

/* After and before the switch to the host, on the fiber's stack. */
static inline void nart__hook_arrive(nart__fiber *f, void *fake)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(fake, &f->host_low, &f->host_size);
}

static inline void nart__hook_leave(nart__fiber *f, void **fake)
{
    if (f->hook)
        (void)usleep(
            0); /* a signal that ThreadSanitizer holds back for this fiber is handled now */
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(fake, f->host_low, f->host_size);
    if (f->hook)
        __tsan_switch_to_fiber(f->host_hook, 0);
}

#endif
