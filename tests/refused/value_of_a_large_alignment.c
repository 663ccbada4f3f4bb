/* refused with nothing: aligned to at most 16 bytes */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The frame of a task is not aligned to more: the copy of the value would not be either. */
#include <nart/fiber.h>

#ifdef MENDED
#define ALIGNED 16
#else
#define ALIGNED 32
#endif

struct value {
    _Alignas(ALIGNED) char bytes[32];
};

nart_res fiber(nart_cx *cx, void *arg);
nart_res spawns(nart_cx *cx, struct value *v);

nart_res spawns(nart_cx *cx, struct value *v)
{
    return nart_fiber_spawn_value(cx, fiber, v, NULL, NULL);
}
