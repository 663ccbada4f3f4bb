/* refused with nothing: at most NART_FIBER_VALUE bytes */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A value is copied into the frame of the fiber. */
#include "many_bytes.h"

nart_res spawns(nart_cx *cx, nart_task_set *s, struct value *v);

nart_res spawns(nart_cx *cx, nart_task_set *s, struct value *v)
{
    return nart_task_set_fiber_spawn_value(cx, s, fiber, v, NULL);
}
