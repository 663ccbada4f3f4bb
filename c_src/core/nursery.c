/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nursery.c: tasks whose owner's frame outlives them.
 *
 * Invariants
 *  1. An open nursery is a wait of its owner that no sweep and no race ends. So whatever ends the owner
 *     finds it.
 *  2. An owner that has answered, or is to be dropped, while a child is left does not end: from then on it
 *     is polled by ending_poll() instead of its own function, which answers once the last child has ended.
 *     Then its join, drop and slot follow as always.
 *  3. The end of the last child makes the owner ready.
 *  4. `wait.co` is the body that joins, if the last poll has called it, else the opener; `opener` and the
 *     bodies above it are followed only while it is below the body that called it (not DETACHED).
 *
 * Children are in a list of wards, through which they are cancelled; the runtime keeps wards for the next
 * child. Only the nursery holds a child: the child's frame is dropped before the nursery learns of its end.
 *
 * nart_nursery: `wait` of the task that opened it; `children` that have not ended, the newest first, `len`
 * of them; `error`: the first answer below 0; `answer`: the owner's, while its end waits for them; `flags`:
 * NART_NURSERY_* and the three below; `opener`: the body that opened it, NULL: the owner's poll itself, or
 * that body has ended. */
#include "runtime.h"

#include <nart/nursery.h>
#include <stdio.h>
#include <stdlib.h>

#define NART__NURSERY_CANCELLED 0x100u
#define NART__NURSERY_CUT 0x200u      /* by the owner's cancellation, or a deadline */
#define NART__NURSERY_DETACHED 0x400u /* the opener has lost a race, or one above it has ended */

typedef struct nart__ward ward;

struct nart__ward {
    nart__keeper keeper; /* of the child */
    nart_nursery *nursery;
    ward *next, *prev; /* only `next` while it is kept for reuse */
    nart__task *task;
};

static void open_withdraw(nart__wait *w)
{
    (void)w; /* the task's list is all that it is in */
}

const struct nart__wait_ops nart__nursery_ops = { "nursery", open_withdraw };

static nart_nursery *nursery_of(nart__wait *w)
{
    return (nart_nursery *)(void *)w; /* the first member */
}

/* ---- wards ---- */

static ward *ward_take(nart_rt *rt)
{
    ward *d = rt->wards;

    if (!d)
        return nart__alloc(&rt->alloc, sizeof *d, _Alignof(ward));
    rt->wards = d->next;
    return d;
}

static void ward_give(nart_rt *rt, ward *d)
{
    d->next = rt->wards;
    rt->wards = d;
}

static void child_forget(nart_rt *rt, nart__keeper *k)
{
    ward_give(rt, (ward *)(void *)k);
}

void nart__nursery_finish(nart_rt *rt)
{
    while (rt->wards) {
        ward *d = ward_take(rt);
        nart__free(&rt->alloc, d, sizeof *d, _Alignof(ward));
    }
}

/* ---- opening, spawning ---- */

nart_res nart_nursery_open(nart_cx *cx, nart_nursery *n, uint32_t flags)
{
    nart_rt *rt;

    if (!cx->self)
        return -EPERM;
    nart_res r = nart__cx_rt_made(cx, &rt);
    if (r)
        return r;
    if (flags & ~(uint32_t)NART_NURSERY_CANCEL_ON_ERROR)
        return -EINVAL;
    if (n->wait.task)
        return -EBUSY;
    *n = (nart_nursery){ .flags = flags, .opener = nart__co_body(cx->co) };
    nart__wait_begin(cx->self, &n->wait);
    n->wait.ops = &nart__nursery_ops;
    n->wait.co = cx->co;
    n->wait.seen = cx->self->polls - 1; /* only its join is a request: see dump.c */
    return 0;
}

static void child_ended(nart_rt *rt, nart__keeper *k, nart_res r);

static const struct nart__keeper_ops child_ops = { child_ended, child_forget };

/* Hands the child to the nursery, its only holder. */
static void adopt(nart_nursery *n, ward *d, nart__task *t)
{
    *d = (ward){ .keeper.ops = &child_ops, .nursery = n, .next = n->children, .task = t };
    if (d->next)
        d->next->prev = d;
    n->children = d;
    n->len++;
    nart__task_keep(t, &d->keeper);
}

static nart_res spawn(nart_cx *cx, nart_nursery *n, const nart_task_type *type, const void *init,
                      bool boxed)
{
    nart_rt *rt = nart__cx_rt(cx);
    nart_join j;

    if (!n->wait.task || n->flags & NART__NURSERY_CANCELLED)
        return NART_ECLOSED;
    if (!rt || !nart__cx_owns(cx, n->wait.task->owner))
        return NART_EDRIVER;
    ward *d = ward_take(rt);
    if (!d)
        return -ENOMEM;
    nart_res r = boxed ? nart_spawn_boxed(cx, type, init, &j) : nart_spawn(cx, type, init, &j);
    if (r)
        ward_give(rt, d);
    else
        adopt(n, d, j.task);
    return r;
}

nart_res nart_nursery_spawn(nart_cx *cx, nart_nursery *n, const nart_task_type *type,
                            const void *init)
{
    return spawn(cx, n, type, init, false);
}

nart_res nart_nursery_spawn_boxed(nart_cx *cx, nart_nursery *n, const nart_task_type *type,
                                  const void *init)
{
    return spawn(cx, n, type, init, true);
}

/* ---- ending ---- */

void nart_nursery_cancel(nart_nursery *n)
{
    if (!n->wait.task || n->flags & NART__NURSERY_CANCELLED)
        return;
    n->flags |= NART__NURSERY_CANCELLED;
    for (ward *d = n->children; d; d = d->next)
        nart__task_cancel(nart__rt_of(d->task), d->task);
}

static void child_ended(nart_rt *rt, nart__keeper *k, nart_res r)
{
    ward *d = (ward *)(void *)k;
    nart_nursery *n = d->nursery;

    if (d->prev)
        d->prev->next = d->next;
    else
        n->children = d->next;
    if (d->next)
        d->next->prev = d->prev;
    ward_give(rt, d);
    n->len--;
    if (r < 0 && n->error == 0) {
        n->error = r;
        if (n->flags & NART_NURSERY_CANCEL_ON_ERROR)
            nart_nursery_cancel(n);
    }
    if (n->len == 0)
        nart__ready(n->wait.task);
}

/* Its children end, and the caller is polled again after the last one. That is no answer: the budget that
 * was taken for it is returned, see nart__park(). */
static nart_res cut(nart_cx *cx, nart_nursery *n)
{
    if (!cx->stop)
        cx->go++;
    n->flags |= NART__NURSERY_CUT;
    nart_nursery_cancel(n);
    cx->self->leaf = cx->co;
    return NART_PENDING;
}

nart_res nart_nursery_join(nart_cx *cx, nart_nursery *n, nart_res *error)
{
    nart_res r = nart__enter(cx, NULL);

    if (r == NART_PENDING || r == -EPERM)
        return r;
    if (!n->wait.task)
        return NART_ECLOSED;
    if (n->wait.task != cx->self)
        return -EBUSY;
    nart__wait_request(cx, &n->wait);
    if (n->len > 0) {
        if (r == 0)
            r = nart__park(cx);
        return r == NART_PENDING ? r : cut(cx, n);
    }
    if (r == 0 && n->flags & NART__NURSERY_CUT)
        r = nart__look(cx);
    nart__unwait(&n->wait);
    if (error)
        *error = n->error;
    return r;
}

/* ---- the owner ends ---- */

/* Polls an owner that has answered, until its last child has ended. */
static nart_res ending_poll(nart_cx *cx, void *frame)
{
    nart_res answer = 0;

    (void)frame;
    for (nart__wait *w = cx->self->waits; w; w = w->more) {
        if (nursery_of(w)->len > 0)
            return NART_PENDING;
        answer = nursery_of(w)->answer;
    }
    return answer;
}

bool nart__nursery_holds(nart__task *t, nart_res r)
{
    bool holds = false;

    for (nart__wait *w = t->waits, *more; nart__wait_of(t, w); w = more) {
        more = w->more;
        if (!nart__is_nursery(w)) {
            nart__withdraw(w);
            continue;
        }
        nursery_of(w)->answer = r;
        nart_nursery_cancel(nursery_of(w));
        holds |= nursery_of(w)->len > 0;
    }
    if (holds) {
        t->poll = ending_poll;
        t->state |= NART__T_ENDING;
    }
    return holds;
}

/* ---- its body ends, or loses ---- */

/* Is body co above the opener, as far as that may be followed? */
static bool opened_below(const nart_nursery *n, const nart_co *co)
{
    const nart_co *c = n->flags & NART__NURSERY_DETACHED ? NULL : n->opener;

    while (c && c != co)
        c = c->up;
    return c && c != n->opener;
}

void nart__nursery_left(nart__wait *w, const nart_co *co)
{
    nart_nursery *n = nursery_of(w);

    if (opened_below(n, co))
        n->flags |= NART__NURSERY_DETACHED;
    if (n->opener != co)
        return;
    n->opener = NULL;
    if (n->len == 0) {
        nart__unwait(w);
    } else if (co->up) {
        fprintf(stderr,
                "nart: %s (%s): ended while %u tasks of its nursery run: await "
                "nart_nursery_join() first\n",
                co->site ? co->site->func : "a fiber", co->site ? co->site->file : "nart/fiber.h",
                (unsigned)n->len);
        abort();
    }
}

/* The bodies between the opener and the one that decides the race may be freed. The nursery stays open, even
 * without tasks: its join has their error. */
void nart__nursery_lost(nart__wait *w, const nart_co *co)
{
    nart_nursery *n = nursery_of(w);

    if (!opened_below(n, co))
        return;
    n->flags |= NART__NURSERY_DETACHED;
    nart_nursery_cancel(n);
}

/* The body that joined it may be freed after this poll, which has not called it. */
void nart__nursery_not_joined(nart__wait *w)
{
    const nart_nursery *n = nursery_of(w);

    w->co = n->flags & NART__NURSERY_DETACHED ? NULL : n->opener;
}
