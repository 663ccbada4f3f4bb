/* refused with nothing: the value of a fiber is a variable */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Its first element would be copied. */
#include <nart/fiber.h>

nart_res fiber(nart_cx *cx, void *arg);
nart_res spawns(nart_cx *cx, nart_pool *p);

nart_res spawns(nart_cx *cx, nart_pool *p)
{
    char name[16] = "name";
#ifdef MENDED
    return nart_pool_fiber_spawn_value(cx, p, fiber, &name, NULL);
#else
    return nart_pool_fiber_spawn_value(cx, p, fiber, name, NULL);
#endif
}
