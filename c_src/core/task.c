/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task.c: spawning, joining, cancelling and ending tasks of the loop.
 *
 * The life of a slot, all on the owner's thread:
 *  1. begin takes it from the slab and zeroes the frame; it stands on rt->begun until commit makes
 *     it live and ready, or abandon gives it back.
 *  2. Polls, until one answers. finish() marks it DONE, withdraws its waits, takes its timer out,
 *     wakes who joins it.
 *  3. The frame is dropped when nobody holds a join handle; the slot goes back to the slab once it
 *     is off the ready list, too.
 *  4. The generation changes then. Wakers that were handed out die with the record's generation;
 *     ids with the slot's. A slot whose 2^32 generations are used up is not given back.
 *
 * A join handle names its task by hub, life, slot and generation, so it can outlive the runtime. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

/* ---- slots ---- */

static int class_of(const nart__task *t)
{
    return t->state & NART__T_BOXED ? 0 : nart__slab_class(t->type->size);
}

static void slot_free(nart_rt *rt, nart__task *t)
{
    int c = class_of(t);

    if (t->state & NART__T_ESCAPED)
        nart__hub_retire(rt->hub, t->slot);
    if (t->state & NART__T_BOXED)
        nart__free(&rt->alloc, t->frame, t->type->size, t->type->align);
    t->state = 0;
    if (++t->gen != 0)
        nart__slab_give(&rt->slab, c, t);
}

/* The frame's storage ends. */
static void frame_end(nart_rt *rt, nart__task *t)
{
    if (!(t->state & NART__T_DROPPED)) {
        t->state |= NART__T_DROPPED;
        if (t->type->drop)
            t->type->drop(t->frame);
    }
    if (!(t->state & NART__T_READY))
        slot_free(rt, t);
}

nart__task *nart__rt_slot(const nart_rt *rt, uint32_t slot)
{
    nart__task *t = nart__slab_at(&rt->slab, slot);
    return t && t->state & NART__T_LIVE ? t : NULL;
}

nart__task *nart__rt_task(const nart_rt *rt, nart_task id)
{
    nart__task *t = nart__rt_slot(rt, id.slot);
    return t && t->gen == id.gen && !(t->state & NART__T_DONE) ? t : NULL;
}

/* ---- spawning ---- */

static nart_res type_check(const nart_rt *rt, const nart_task_type *type)
{
    if (!type || !type->poll || (type->align & (type->align - 1)) || type->align > 64)
        return -EINVAL;
    if (type->abi != NART_TASK_ABI)
        return NART_EABI;
    return rt->closing ? NART_ESHUTDOWN : 0;
}

static void *begin(nart_rt *rt, const nart_task_type *type, bool boxed, nart_res *err)
{
    nart_res ignored;
    uint32_t slot = NART__SLOT_USED;

    err = err ? err : &ignored;
    *err = type_check(rt, type);
    if (NART_UNLIKELY(*err))
        return NULL;
    int c = boxed ? 0 : nart__slab_class(type->size);
    if (NART_UNLIKELY(c < 0)) {
        *err = -E2BIG;
        return NULL;
    }
    nart__task *t = nart__slab_take(&rt->slab, c, &slot);
    if (NART_UNLIKELY(!t)) {
        *err = -ENOMEM;
        return NULL;
    }
    void *frame = t + 1;
    if (boxed) {
        frame = nart__alloc(&rt->alloc, type->size ? type->size : 1, type->align);
        if (!frame) {
            nart__slab_give(&rt->slab, c, t);
            *err = -ENOMEM;
            return NULL;
        }
    }
    memset(frame, 0, type->size);
    t->poll = type->poll;
    t->frame = frame;
    t->waits = NULL;
    t->state = NART__T_BEGUN | (boxed ? NART__T_BOXED : 0);
    t->polls = 0;
    t->leaf = NULL;
    t->wake_at = NART_NEVER;
    t->home = &rt->cx;
    t->type = type;
    t->timer.next = NULL;
    t->joiner = NULL;
    if (slot != NART__SLOT_USED) {
        t->slot = slot;
        t->gen = 1; /* zero names no task */
    }
    t->next = rt->begun;
    rt->begun = t;
    return frame;
}

/* Takes the task of a begun frame off the list; NULL for a frame that is none. */
static nart__task *unbegin(nart_rt *rt, const void *frame)
{
    nart__task **p = &rt->begun;
    while (*p && (*p)->frame != frame)
        p = &(*p)->next;
    nart__task *t = *p;
    if (t)
        *p = t->next;
    return t;
}

static void join_withdraw(nart__wait *w)
{
    nart_join *j = (nart_join *)(void *)w;
    j->task->joiner = NULL;
}

static const struct nart__wait_ops join_ops = { "join", join_withdraw };

static nart_res commit(nart_rt *rt, void *frame, nart_join *out)
{
    nart__task *t = unbegin(rt, frame);
    if (NART_UNLIKELY(!t))
        return -EINVAL;
    t->state = (t->state & NART__T_BOXED) | NART__T_LIVE | NART__T_READY |
               (out ? NART__T_HELD : 0) | (t->type->flags & NART_TASK_URGENT ? NART__T_URGENT : 0);
    if (out) {
        memset(out, 0, sizeof *out);
        out->wait.ops = &join_ops;
        out->hub = rt->hub;
        out->life = rt->life;
        out->task = t;
        out->gen = t->gen;
        rt->held++;
    }
    rt->live++;
    rt->stats.spawned++;
    nart__rt_enqueue(rt, t);
    if (NART_UNLIKELY(rt->idle))
        nart__rt_kick(rt);
    return 0;
}

void nart__task_abandon(nart_rt *rt, void *frame)
{
    nart__task *t = unbegin(rt, frame);
    if (t)
        slot_free(rt, t);
}

static nart_res spawn(nart_rt *rt, const nart_task_type *type, bool boxed, const void *init,
                      nart_join *out)
{
    nart_res err;
    void *frame = begin(rt, type, boxed, &err);
    if (!frame)
        return err;
    if (init)
        memcpy(frame, init, type->size);
    return commit(rt, frame, out);
}

void *nart_spawn_begin(nart_cx *cx, const nart_task_type *type, nart_res *err)
{
    nart_rt *rt = nart_cx_rt(cx);
    if (NART_LIKELY(rt))
        return begin(rt, type, false, err);
    if (err)
        *err = NART_EDRIVER;
    return NULL;
}

void *nart_spawn_boxed_begin(nart_cx *cx, const nart_task_type *type, nart_res *err)
{
    nart_rt *rt = nart_cx_rt(cx);
    if (rt)
        return begin(rt, type, true, err);
    if (err)
        *err = NART_EDRIVER;
    return NULL;
}

nart_res nart_spawn_commit(nart_cx *cx, void *frame, nart_join *out)
{
    nart_rt *rt = nart_cx_rt(cx);
    return rt ? commit(rt, frame, out) : NART_EDRIVER;
}

void nart_spawn_abandon(nart_cx *cx, void *frame)
{
    nart_rt *rt = nart_cx_rt(cx);
    if (rt)
        nart__task_abandon(rt, frame);
}

nart_res nart_spawn(nart_cx *cx, const nart_task_type *type, const void *init, nart_join *out)
{
    nart_rt *rt = nart_cx_rt(cx);
    return rt ? spawn(rt, type, false, init, out) : NART_EDRIVER;
}

nart_res nart_spawn_boxed(nart_cx *cx, const nart_task_type *type, const void *init, nart_join *out)
{
    nart_rt *rt = nart_cx_rt(cx);
    return rt ? spawn(rt, type, true, init, out) : NART_EDRIVER;
}

void *nart_rt_spawn_begin(nart_rt *rt, const nart_task_type *type, nart_res *err)
{
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        return begin(rt, type, false, err);
    if (err)
        *err = r;
    return NULL;
}

void *nart_rt_spawn_boxed_begin(nart_rt *rt, const nart_task_type *type, nart_res *err)
{
    nart_res r = nart__rt_check(rt);
    if (r == 0)
        return begin(rt, type, true, err);
    if (err)
        *err = r;
    return NULL;
}

nart_res nart_rt_spawn_commit(nart_rt *rt, void *frame, nart_join *out)
{
    nart_res r = nart__rt_check(rt);
    return r ? r : commit(rt, frame, out);
}

void nart_rt_spawn_abandon(nart_rt *rt, void *frame)
{
    if (nart__rt_check(rt) == 0)
        nart__task_abandon(rt, frame);
}

nart_res nart_rt_spawn(nart_rt *rt, const nart_task_type *type, const void *init, nart_join *out)
{
    nart_res r = nart__rt_check(rt);
    return r ? r : spawn(rt, type, false, init, out);
}

nart_res nart_rt_spawn_boxed(nart_rt *rt, const nart_task_type *type, const void *init,
                             nart_join *out)
{
    nart_res r = nart__rt_check(rt);
    return r ? r : spawn(rt, type, true, init, out);
}

/* ---- ending ---- */

void nart__task_finish(nart_rt *rt, nart__task *t, nart_res r)
{
    nart__poll_over(t);
    if (t->timer.next)
        nart__wheel_remove(&rt->wheel, &t->timer);
    if (r == NART_PENDING || (r == -ECANCELED && t->state & NART__T_CANCELLED))
        r = NART_EABORTED; /* what a joining task is told; -ECANCELED would be about itself */
    t->res = r;
    rt->live--;
    rt->stats.ended++;
    if (t->joiner)
        nart__ready(t->joiner->task);
    if (!(t->state & NART__T_HELD))
        frame_end(rt, t);
}

void nart__task_unlisted(nart_rt *rt, nart__task *t)
{
    if (t->state & NART__T_DROPPED)
        slot_free(rt, t);
}

static nart_res ask_to_end(nart_rt *rt, nart_task id, uint32_t bits)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    nart__task *t = nart__rt_task(rt, id);
    if (!t)
        return NART_ESTALE;
    t->state |= bits;
    if (t == rt->cx.self && !(t->state & NART__T_SHIELD)) { /* itself: from the next operation on */
        rt->cx.stop = NART__STOP_CANCEL;
        rt->cx.go = 0;
    }
    nart__ready(t);
    return 0;
}

nart_res nart_task_cancel(nart_rt *rt, nart_task t)
{
    return ask_to_end(rt, t, NART__T_CANCELLED);
}

nart_res nart_task_abort(nart_rt *rt, nart_task t)
{
    return ask_to_end(rt, t, NART__T_CANCELLED | NART__T_ABORTED);
}

nart_task nart_cx_task(const nart_cx *cx)
{
    return (nart_task){ cx->self->slot, cx->self->gen };
}

/* ---- joining ---- */

/* The handle's runtime while that lives. */
static nart_rt *join_rt(const nart_join *j)
{
    if (!j || !j->hub || nart__hub_life(j->hub) != j->life)
        return NULL;
    return j->hub->rt;
}

/* The handle's task: it cannot have been freed as long as the handle holds it. */
static nart__task *join_task(const nart_join *j)
{
    return join_rt(j) ? j->task : NULL;
}

nart_res nart_join_await(nart_cx *cx, nart_join *j, nart_res *result)
{
    bool begun;
    nart_res r = nart__enter(cx, &j->wait);
    if (NART_UNLIKELY(r))
        return r;
    nart__task *t = join_task(j);
    if (NART_UNLIKELY(!t))
        return NART_ESTALE;
    if (NART_UNLIKELY(t->home != cx))
        return NART_EDRIVER;
    if (NART_UNLIKELY(j->used))
        return NART_EUSED;
    if (NART_UNLIKELY(t == cx->self))
        return -EDEADLK;
    if (t->state & NART__T_DONE) {
        if (j->wait.task) {
            if (j->wait.task != cx->self)
                return -EBUSY;
            nart__withdraw(&j->wait);
        }
        j->used = 1;
        if (t->res == NART_EABORTED)
            return NART_EABORTED;
        if (result)
            *result = t->res;
        return 0;
    }
    r = nart__park_in(cx, &j->wait, &begun);
    if (begun)
        t->joiner = &j->wait;
    return r;
}

void *nart_join_frame(nart_join *j)
{
    nart__task *t = join_task(j);
    return t && t->state & NART__T_DONE ? t->frame : NULL;
}

bool nart_join_done(const nart_join *j)
{
    nart__task *t = join_task(j);
    return t && t->state & NART__T_DONE;
}

nart_task nart_join_task(const nart_join *j)
{
    nart__task *t = join_task(j);
    return t ? (nart_task){ t->slot, t->gen } : (nart_task){ 0, 0 };
}

void nart_join_release(nart_join *j)
{
    if (!j)
        return;
    nart_rt *rt = join_rt(j);
    if (rt) {
        nart__task *t = j->task;
        if (j->wait.task)
            nart__withdraw(&j->wait);
        t->state &= ~(uint32_t)NART__T_HELD;
        rt->held--;
        if (t->state & NART__T_DONE)
            frame_end(rt, t);
    }
    memset(j, 0, sizeof *j);
}

void nart_join_move(nart_join *dst, nart_join *src)
{
    *dst = *src;
    memset(src, 0, sizeof *src);
}
