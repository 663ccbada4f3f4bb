/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait.c: the waits of a task.
 *
 * Lifetimes. A wait points to the body that waits (`co`), and a body to its caller (`up`). Every body in
 * such a chain is alive: a body that ends moves the waits whose chain contains it to its caller, and a
 * race that is decided withdraws those of the losers (co.c). A wait is withdrawn before its handle can be
 * freed: by closing the handle, by moving it or spawning it away, by the end of a poll that did not
 * request it again, and by the end of the task. The same holds for the task's `leaf`. */
#include "wait.h"
#include "short_name.h"

#include <stdio.h>
#include <stdlib.h>

void nart__sweep(nart__task *t)
{
    for (nart__wait *w = t->waits, *more; nart__wait_of(t, w); w = more) {
        more = w->more;
        if (w->seen == t->polls)
            continue;
        if (nart__is_nursery(w))
            nart__nursery_not_joined(w);
        else if (!nart__is_held(w))
            nart__withdraw(w);
    }
}

void nart__leave_range(nart__task *t, const void *from, size_t size)
{
    for (nart__wait *w = t->waits, *more; nart__wait_of(t, w); w = more) {
        more = w->more;
        if ((uintptr_t)w - (uintptr_t)from >= size)
            continue;
        if (w->seen == t->polls || nart__is_nursery(w) || nart__is_held(w))
            nart__wait_misused(t, w);
        nart__withdraw(w);
    }
}

void nart__withdraw_all(nart__task *t)
{
    for (nart__wait *w; (w = nart__wait_of(t, t->waits));)
        nart__withdraw(w);
}

void nart__wait_misused(const nart__task *t, const nart__wait *w)
{
    fprintf(stderr, "nart: a handle was copied or moved while task %s waited in it (%s)\n",
            nart__short_name(t->type->name),
            w->task == t ? w->ops->name
                         : "overwritten since, or the function whose frame it was in has returned "
                           "(rule 8 of nart/fiber.h), or a lock in it was not released");
    abort();
}

/* Removes a wait that is not the first of the list. */
void nart__unlink(nart__wait *w)
{
    nart__wait **p = &w->task->waits;
    while (*p && *p != w)
        p = &(*p)->more;
    if (!*p)
        nart__wait_misused(w->task, w); /* not in it */
    *p = w->more;
}
