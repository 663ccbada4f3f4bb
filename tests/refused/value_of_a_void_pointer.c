/* refused with nothing: the value of a fiber is a variable */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Its size would be 1. */
#include <nart/fiber.h>

nart_res fiber(nart_cx *cx, void *arg);
nart_res spawns(nart_cx *cx, void *arg);

nart_res spawns(nart_cx *cx, void *arg)
{
#ifdef MENDED
    int *value = arg;
#else
    void *value = arg;
#endif
    return nart_fiber_spawn_value(cx, fiber, value, NULL, NULL);
}
