/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* driver.c: tasks that a driver other than the loop polls. */
#include "wait.h"

void nart_driver_cx_init(nart_cx *cx, const nart_driver *drv, void *host)
{
    *cx = (nart_cx){ .drv = drv, .host = host, .park = NART_NEVER };
}

void nart_driver_task_init(nart__task *t, const nart_task_type *type, void *frame, nart_cx *owner)
{
    *t = (nart__task){ .poll = type->poll,
                       .frame = frame,
                       .wake_at = NART_NEVER,
                       .owner = owner,
                       .type = type,
                       .state = NART__T_LIVE };
}

nart_res nart_driver_poll(nart_cx *cx, nart__task *t)
{
    if (cx->group)
        return nart__group_poll(cx->group);
    int64_t now = cx->drv->now(cx->host);
    if (now > cx->now)
        cx->now = now;
    nart_res r = nart__poll(cx, t, true);
    if (cx->group)
        return nart__group_begin(cx, r);
    if (r == NART_PENDING && t->state & NART__T_DEAF)
        r = -ECANCELED;
    if (r != NART_PENDING) {
        nart_driver_task_end(t);
        t->res = r;
        cx->park = NART_NEVER;
    } else {
        int64_t until = cx->park;
        cx->park = NART_NEVER;
        cx->drv->park(cx->host, t, until);
        if (cx->flags & NART__CX_AGAIN)
            nart__ready(t);
    }
    nart__poll_over(cx);
    return r;
}

void nart_driver_task_end(nart__task *t)
{
    t->state |= NART__T_DONE; /* first: a wait that is withdrawn may try to wake it */
    nart__withdraw_all(t);
}

void nart_driver_task_cancel(nart__task *t)
{
    t->state |= NART__T_CANCELLED;
    nart__ready(t);
}
