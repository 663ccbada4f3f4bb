/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task.c: spawning, joining, cancelling and ending tasks of the loop.
 *
 * The life of a slot, all on the owner's thread:
 *  1. begin takes it from the slab and zeroes the frame; it is in rt->begun until commit makes it
 *     live and ready, or abandon frees it.
 *  2. Polls, until one answers. finish() marks it DONE, withdraws its waits, removes its timer,
 *     wakes its joiner.
 *  3. The frame is dropped when no join handle holds it; the slot returns to the slab once it
 *     is off the ready list, too. A drop function that releases handles does not run the drops of
 *     their tasks inside itself: they are queued and run when it has returned. So a chain of tasks
 *     that hold each other ends on a constant stack. Their slots are freed after the last of these
 *     drops: so none of the drops finds another task's memory reused.
 *  4. The generation changes then. Wakers that were handed out become stale with the record's generation,
 *     ids with the slot's. A slot whose 2^32 generations are used up is not reused.
 *
 * A join handle contains hub, incarnation, slot and generation of its task, so it can outlive the runtime.
 *
 * Code outside of the common case is in separate functions that are called last: so the common case of
 * spawn, await, finish and release saves no registers for it. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

/* ---- slots ----
 * A free slot keeps what the next task needs unchanged: no waits, no joiner, no timer, wake_at at
 * NART_NEVER, the frame behind the header. So spawning writes little. */

#define CLASS_SHIFT 29 /* the slot's class, in the top bits of its state */

_Static_assert(NART__T_BOXED < 1 << CLASS_SHIFT && NART_SLOT_CLASSES <= 8, "a state has both");

/* The flags of a type that are state bits of its tasks. */
#define FLAG_SHIFT 8
_Static_assert(NART_TASK_URGENT << FLAG_SHIFT == NART__T_URGENT, "state bit of a flag");
_Static_assert(NART_TASK_BACKGROUND << FLAG_SHIFT == NART__T_BACKGROUND, "state bit of a flag");

static int class_of(const nart__task *t)
{
    return (int)(t->state >> CLASS_SHIFT);
}

static void slot_init(nart_rt *rt, nart__task *t, uint32_t slot)
{
    t->frame = t + 1;
    t->wake_at = NART_NEVER;
    t->owner = &rt->cx;
    t->slot = slot;
    t->gen = 1; /* zero names no task */
}

static void box_free(nart_rt *rt, nart__task *t)
{
    nart__free(&rt->alloc, t->frame, nart__box_size(t->type), t->type->align);
    t->frame = t + 1;
}

static NART__COLD void slot_free_slow(nart_rt *rt, nart__task *t)
{
    if (t->state & NART__T_ESCAPED)
        nart__hub_retire(rt->hub, t->slot);
    if (t->state & NART__T_BOXED)
        box_free(rt, t);
}

static inline void slot_give(nart_rt *rt, nart__task *t)
{
    int c = class_of(t);

    t->state = t->polls = 0;
    t->leaf = NULL;
    if (NART_LIKELY(++t->gen != 0))
        nart__slab_give(&rt->slab, c, t);
}

void nart__task_free(nart_rt *rt, nart__task *t)
{
    if (NART_UNLIKELY(t->state & (NART__T_ESCAPED | NART__T_BOXED)))
        slot_free_slow(rt, t);
    slot_give(rt, t);
}

static nart__keeper *keeper_of(const nart__task *t)
{
    return (nart__keeper *)(void *)t->joiner;
}

void nart__task_forget(nart_rt *rt, nart__task *t)
{
    if (t->state & NART__T_KEPT && t->joiner)
        keeper_of(t)->ops->forget(rt, keeper_of(t));
    if (t->state & NART__T_BOXED)
        box_free(rt, t);
}

/* Queues its drop behind those that are queued already. */
static void drop_push(nart_rt *rt, nart__task *t)
{
    t->state |= NART__T_DROPPED | NART__T_DROPPING;
    t->right = NULL;
    if (rt->drops)
        rt->last_drop->right = t;
    else
        rt->drops = t;
    rt->last_drop = t;
}

/* Runs the queued drops, and those that they queue. */
static void drop_queued(nart_rt *rt)
{
    nart__task *dropped = NULL, *t;

    rt->dropping = true;
    while ((t = rt->drops)) {
        t->type->drop(t->frame);
        rt->drops = t->right; /* after drop, which may queue behind it */
        t->right = dropped;
        dropped = t;
    }
    rt->dropping = false;
    for (nart__task *next; dropped; dropped = next) {
        next = dropped->right;
        dropped->state &= ~(uint32_t)NART__T_DROPPING;
        if (!(dropped->state & (NART__T_READY | NART__T_HELD)))
            nart__task_free(rt, dropped);
    }
}

void nart__tasks_drop(nart_rt *rt, nart__task *first)
{
    for (nart__task *next; first; first = next) {
        next = first->next;
        if (first->type->drop)
            drop_push(rt, first);
        else
            first->state |= NART__T_DROPPED;
    }
    if (rt->drops)
        drop_queued(rt);
}

void nart__frame_drop(nart_rt *rt, const nart_task_type *type, void *frame)
{
    if (!type->drop)
        return;
    bool outermost = rt && !rt->dropping;
    if (outermost)
        rt->dropping = true;
    type->drop(frame);
    if (outermost)
        drop_queued(rt); /* the tasks it has released */
}

static NART__NOINLINE void frame_drop(nart_rt *rt, nart__task *t)
{
    bool is_first = !(t->state & NART__T_DROPPED);

    t->state |= NART__T_DROPPED;
    if (t->type->drop && is_first) {
        drop_push(rt, t);
        if (!rt->dropping)
            drop_queued(rt);
        return;
    }
    if (!(t->state & (NART__T_READY | NART__T_DROPPING)))
        nart__task_free(rt, t);
}

/* Ends the frame's storage. In the common case that frees the slot, and nothing else is done. */
static inline void frame_end(nart_rt *rt, nart__task *t)
{
    const uint32_t odd = NART__T_READY | NART__T_DROPPED | NART__T_ESCAPED | NART__T_BOXED;

    if (t->type->drop || t->state & odd)
        frame_drop(rt, t);
    else
        slot_give(rt, t);
}

nart__task *nart__rt_slot(const nart_rt *rt, uint32_t slot)
{
    nart__task *t = nart__slab_at(&rt->slab, slot);
    return t && t->state & NART__T_LIVE ? t : NULL;
}

nart__task *nart__rt_next(const nart_rt *rt, uint32_t *slot)
{
    nart__task *t;

    while ((t = nart__slab_next(&rt->slab, slot)) && !(t->state & NART__T_LIVE))
        continue;
    return t;
}

nart__task *nart__rt_task(const nart_rt *rt, nart_task id)
{
    nart__task *t = nart__rt_slot(rt, id.slot);
    return t && t->gen == id.gen && !(t->state & NART__T_DONE) ? t : NULL;
}

/* ---- spawning ---- */

nart_res nart__task_type_check(const nart_task_type *type)
{
    if (!type || !type->poll || !type->name || (type->align & (type->align - 1)) ||
        type->align - 1 > 63) /* 0, too: an allocator may rely on a power of two */
        return -EINVAL;
    if (type->abi != NART_TASK_ABI)
        return NART_EABI;
    return 0;
}

/* Takes a slot that was never used, of the next chunk if need be; or NULL and *err. Wakers need a record for
 * each slot before it is used, because making a waker cannot fail. */
static NART__NOINLINE nart__task *slot_new(nart_rt *rt, int c, nart_res *err)
{
    const nart__class *k = &rt->slab.classes[c];
    uint32_t slot = 0;
    nart__task *t = nart__slab_take_new(&rt->slab, c, &slot);

    if (!t) {
        if (!k->now->next)
            *err = nart__slab_reserve(&rt->slab, c, k->made + 1);
        if (*err == 0)
            *err = nart__hub_reserve(rt->hub, rt->slab.total);
        if (*err)
            return NULL;
        nart__slab_advance(&rt->slab, c);
        t = nart__slab_take_new(&rt->slab, c, &slot);
    }
    slot_init(rt, t, slot);
    return t;
}

nart_res nart_rt_reserve(nart_rt *rt, size_t frame_size, uint32_t tasks)
{
    nart_res r = nart__rt_check(rt);
    int c = nart__slab_class(frame_size);

    if (r == 0 && c < 0)
        r = NART_EFRAME;
    if (r == 0)
        r = nart__slab_reserve(&rt->slab, c, tasks);
    return r ? r : nart__hub_reserve(rt->hub, rt->slab.total);
}

/* Takes a slot for a task of this type and fills it in, except its frame and its state, which the caller
 * stores; or NULL and *err. */
static NART__INLINE nart__task *slot_take(nart_rt *rt, const nart_task_type *type, bool boxed,
                                          uint32_t *state, nart_res *err)
{
    *err = nart__task_type_check(type);
    if (NART_UNLIKELY(rt->refusing) && *err == 0)
        *err = NART_ESHUTDOWN;
    if (NART_UNLIKELY(*err))
        return NULL;
    int c = boxed || NART_LIKELY(type->size <= NART__CLASS_MIN) ? 0 : nart__slab_class(type->size);
    if (NART_UNLIKELY(c < 0)) {
        *err = NART_EFRAME;
        return NULL;
    }
    nart__task *t = nart__slab_take(&rt->slab, c);
    if (NART_UNLIKELY(!t) && !(t = slot_new(rt, c, err)))
        return NULL;
    if (NART_UNLIKELY(boxed)) {
        void *frame = nart__alloc(&rt->alloc, nart__box_size(type), type->align);
        if (!frame) {
            nart__slab_give(&rt->slab, c, t);
            *err = -ENOMEM;
            return NULL;
        }
        t->frame = frame;
    }
    t->poll = type->poll;
    t->type = type;
    *state = (uint32_t)c << CLASS_SHIFT | (boxed ? NART__T_BOXED : 0) |
             (type->flags & (NART_TASK_URGENT | NART_TASK_BACKGROUND)) << FLAG_SHIFT;
    return t;
}

/* A slot has at least the payload of the smallest class: most frames are cleared by a few stores. */
static inline void frame_clear(nart__task *t, uint32_t size, bool boxed)
{
    if (NART_LIKELY(size <= NART__CLASS_MIN && !boxed))
        memset(t->frame, 0, NART__CLASS_MIN);
    else
        memset(t->frame, 0, size);
}

/* ---- begun tasks ----
 * A digital search tree over a hash of the frame's address: each level uses one bit of the hash to choose
 * between `next` and `right`. The hash differs for any two addresses, so no path is longer than its 64
 * bits, and an address that is not that of a begun frame is only compared, never dereferenced. */

/* The link in the tree at which the frame's task is; NULL in it: there is none. */
static nart__task **begun_at(nart_rt *rt, const void *frame)
{
    nart__task **at = &rt->begun;
    uint64_t bits = (uint64_t)(uintptr_t)frame * UINT64_C(0x9E3779B97F4A7C15);

    for (; *at && (*at)->frame != frame; bits <<= 1)
        at = bits >> 63 ? &(*at)->right : &(*at)->next;
    return at;
}

/* Removes the node at a link: a leaf from below takes its place, if there is one. */
static nart__task *begun_take(nart__task **at)
{
    nart__task *t = *at, **from = at;

    while ((*from)->next || (*from)->right)
        from = (*from)->next ? &(*from)->next : &(*from)->right;
    nart__task *leaf = *from;
    *from = NULL; /* first: it may be t's own link */
    if (leaf != t) {
        leaf->next = t->next;
        leaf->right = t->right;
        *at = leaf;
    }
    return t;
}

static void *begin(nart_rt *rt, const nart_task_type *type, bool boxed, nart_res *err)
{
    nart_res ignored;
    uint32_t state;
    nart__task *t = slot_take(rt, type, boxed, &state, err ? err : &ignored);

    if (!t)
        return NULL;
    frame_clear(t, type->size, boxed);
    t->state = state | NART__T_BEGUN;
    t->next = t->right = NULL;
    *begun_at(rt, t->frame) = t;
    return t->frame;
}

/* Removes the task of a begun frame from the tree; NULL if the frame is none. */
static nart__task *unbegin(nart_rt *rt, const void *frame)
{
    nart__task **at = begun_at(rt, frame);
    return *at ? begun_take(at) : NULL;
}

static void join_withdraw(nart__wait *w)
{
    nart_join *j = (nart_join *)(void *)w;
    if (j->task->joiner == w)
        j->task->joiner = NULL;
}

static const struct nart__wait_ops join_ops = { "join", join_withdraw };

/* Counts and queues a task that is in the background, urgent or observed. */
static NART__COLD void start_slow(nart_rt *rt, nart__task *t)
{
    rt->background += (t->state & NART__T_BACKGROUND) != 0;
    nart__rt_enqueue(rt, t, NART__BY_SPAWN);
}

/* The task is live: it may be held, and will be polled. */
static inline void start(nart_rt *rt, nart__task *t, uint32_t state, nart_join *out)
{
    state |= NART__T_LIVE | NART__T_READY;
    if (out) {
        state |= NART__T_HELD;
        out->wait.task = NULL; /* the rest of an idle wait is written when it is used */
        out->wait.ops = &join_ops;
        out->hub = rt->hub;
        out->task = t;
        out->incarnation = rt->incarnation;
        out->gen = t->gen;
        out->used = 0;
    }
    t->state = state;
    rt->live++;
    t->seq = rt->stats.spawned++;
    if (NART_UNLIKELY(state & (NART__T_URGENT | NART__T_BACKGROUND) || rt->has_listener))
        start_slow(rt, t);
    else
        nart__run_queue_push(&rt->ready, t);
}

static nart_res commit(nart_rt *rt, void *frame, nart_join *out)
{
    nart__task *t = unbegin(rt, frame);
    if (NART_UNLIKELY(!t))
        return -EINVAL;
    uint32_t state = t->state & ~(uint32_t)NART__T_BEGUN;
    if (NART_UNLIKELY(rt->closing)) /* begun before: ends as all the others do */
        state |= NART__T_CANCELLED | NART__T_ABORTED;
    start(rt, t, state, out);
    return 0;
}

void nart__task_abandon(nart_rt *rt, void *frame)
{
    nart__task *t = unbegin(rt, frame);
    if (t)
        nart__task_free(rt, t);
}

nart__task *nart__task_take(nart_rt *rt, const nart_task_type *type, uint32_t *state, nart_res *err)
{
    return slot_take(rt, type, false, state, err);
}

void nart__task_start(nart_rt *rt, nart__task *t, uint32_t state, nart_join *out)
{
    start(rt, t, state, out);
}

static inline nart_res spawn(nart_rt *rt, const nart_task_type *type, bool boxed, const void *init,
                             nart_join *out)
{
    nart_res err;
    uint32_t state;
    nart__task *t = slot_take(rt, type, boxed, &state, &err);

    if (NART_UNLIKELY(!t))
        return err;
    if (init && NART_UNLIKELY(rt->cx.self && rt->cx.self->waits))
        nart__leave_range(rt->cx.self, init, type->size);
    if (init)
        memcpy(t->frame, init, type->size);
    else
        frame_clear(t, type->size, boxed);
    start(rt, t, state, out);
    return 0;
}

/* The first spawn of a task of another driver: makes its group. */
static NART__COLD void *begin_first(nart_cx *cx, const nart_task_type *type, bool boxed,
                                    nart_res *err)
{
    nart_rt *rt;
    nart_res r = nart__group_make(cx, &rt);
    if (r == 0)
        return begin(rt, type, boxed, err);
    if (err)
        *err = r;
    return NULL;
}

static NART__COLD nart_res spawn_first(nart_cx *cx, const nart_task_type *type, bool boxed,
                                       const void *init, nart_join *out)
{
    nart_rt *rt;
    nart_res r = nart__group_make(cx, &rt);
    return r ? r : spawn(rt, type, boxed, init, out);
}

void *nart_spawn_begin(nart_cx *cx, const nart_task_type *type, nart_res *err)
{
    nart_rt *rt = nart__cx_rt(cx);
    return NART_LIKELY(rt) ? begin(rt, type, false, err) : begin_first(cx, type, false, err);
}

void *nart_spawn_boxed_begin(nart_cx *cx, const nart_task_type *type, nart_res *err)
{
    nart_rt *rt = nart__cx_rt(cx);
    return NART_LIKELY(rt) ? begin(rt, type, true, err) : begin_first(cx, type, true, err);
}

nart_res nart_spawn_commit(nart_cx *cx, void *frame, nart_join *out)
{
    nart_rt *rt = nart__cx_rt(cx);
    return rt ? commit(rt, frame, out) : NART_EDRIVER;
}

void nart_spawn_abandon(nart_cx *cx, void *frame)
{
    nart_rt *rt = nart__cx_rt(cx);
    if (rt)
        nart__task_abandon(rt, frame);
}

nart_res nart_spawn(nart_cx *cx, const nart_task_type *type, const void *init, nart_join *out)
{
    nart_rt *rt = nart__cx_rt(cx);
    return NART_LIKELY(rt) ? spawn(rt, type, false, init, out)
                           : spawn_first(cx, type, false, init, out);
}

nart_res nart_spawn_boxed(nart_cx *cx, const nart_task_type *type, const void *init, nart_join *out)
{
    nart_rt *rt = nart__cx_rt(cx);
    return NART_LIKELY(rt) ? spawn(rt, type, true, init, out)
                           : spawn_first(cx, type, true, init, out);
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

static NART__COLD void finish_kept(nart_rt *rt, nart__task *t)
{
    nart__keeper *k = keeper_of(t);
    nart_res r = t->res;

    t->joiner = NULL;
    frame_end(rt, t); /* first: its drop may use the frame of a nursery's owner */
    k->ops->ended(rt, k, r);
}

/* Ends a task that belongs to a set, is in the background, or whose answer is not needed, except by copies of
 * the handle. */
static NART__NOINLINE void finish_join_slow(nart_rt *rt, nart__task *t)
{
    if (NART_UNLIKELY(t->state & (NART__T_KEPT | NART__T_BACKGROUND))) {
        rt->background -= (t->state & NART__T_BACKGROUND) != 0;
        if (t->state & NART__T_KEPT) {
            finish_kept(rt, t);
            return;
        }
    }
    if (t->state & NART__T_IN_SET)
        nart__task_set_ended(t);
    else if (NART_UNLIKELY(t->joiner != NULL))
        nart__rt_ready(rt, t->joiner->task);
    if (!(t->state & NART__T_HELD))
        frame_end(rt, t);
}

/* Ends a task that waits, or whose timer runs. */
static NART__NOINLINE void finish_slow(nart_rt *rt, nart__task *t, nart_res r)
{
    if (t->waits && nart__nursery_holds(t, r)) {
        t->state &= ~(uint32_t)NART__T_DONE;
        return;
    }
    nart__withdraw_all(t);
    if (t->timer.next)
        nart__wheel_remove(&rt->wheel, &t->timer);
    t->wake_at = NART_NEVER;
    nart__task_finish(rt, t, r);
}

void nart__task_finish(nart_rt *rt, nart__task *t, nart_res r)
{
    t->state |= NART__T_DONE; /* first: withdrawing a wait may try to wake the task */
    /* The answer for a joining task; -ECANCELED would refer to the joining task itself. Decided when the task
     * answers: not again when its nurseries have ended. */
    if (r == -ECANCELED && (t->state & (NART__T_CANCELLED | NART__T_ENDING)) == NART__T_CANCELLED)
        r = NART_EABORTED;
    if (NART_UNLIKELY(t->waits || t->timer.next)) {
        finish_slow(rt, t, r);
        return;
    }
    t->res = r;
    rt->live--;
    if ((t->state & (NART__T_HELD | NART__T_IN_SET | NART__T_BACKGROUND)) != NART__T_HELD)
        finish_join_slow(rt, t);
    else if (t->joiner)
        nart__rt_ready(rt, t->joiner->task);
}

void nart__task_unlisted(nart_rt *rt, nart__task *t)
{
    if ((t->state & (NART__T_DROPPED | NART__T_DROPPING)) == NART__T_DROPPED)
        nart__task_free(rt, t);
}

static void ask(nart_rt *rt, nart__task *t, uint32_t bits)
{
    t->state |= bits;
    if (t == rt->cx.self && !nart__shield_holds(&rt->cx, t)) /* itself: from now on */
        nart__stop_add(&rt->cx, NART__STOP_CANCEL);
    nart__rt_ready(rt, t);
}

void nart__task_cancel(nart_rt *rt, nart__task *t)
{
    ask(rt, t, NART__T_CANCELLED);
}

/* The task of an id: 0, or why it cannot be changed. */
static nart_res find(nart_rt *rt, nart_task id, nart__task **t)
{
    nart_res r = nart__rt_check(rt);
    if (r)
        return r;
    *t = nart__rt_task(rt, id);
    return *t ? 0 : NART_ESTALE;
}

static nart_res ask_to_end(nart_rt *rt, nart_task id, uint32_t bits)
{
    nart__task *t;
    nart_res r = find(rt, id, &t);

    if (r == 0)
        ask(rt, t, bits);
    return r;
}

nart_res nart_task_cancel(nart_rt *rt, nart_task t)
{
    return ask_to_end(rt, t, NART__T_CANCELLED);
}

nart_res nart_task_abort(nart_rt *rt, nart_task t)
{
    return ask_to_end(rt, t, NART__T_CANCELLED | NART__T_ABORTED);
}

nart_res nart_task_set_background(nart_rt *rt, nart_task id, bool background)
{
    nart__task *t;
    nart_res r = find(rt, id, &t);

    if (r)
        return r;
    bool was = t->state & NART__T_BACKGROUND;
    if (was != background) {
        t->state ^= NART__T_BACKGROUND;
        rt->background += background ? 1 : UINT32_MAX;
    }
    return 0;
}

static nart_task id_of(const nart__task *t)
{
    return t ? (nart_task){ t->slot, t->gen } : (nart_task){ 0, 0 };
}

nart_task nart_cx_task(const nart_cx *cx)
{
    return id_of(cx->self);
}

/* ---- joining ---- */

static inline nart_res answer_of(const nart__task *t, nart_res *result)
{
    if (NART_UNLIKELY(t->res == NART_EABORTED))
        return NART_EABORTED;
    if (result)
        *result = t->res;
    return 0;
}

/* The task has ended: answers, once. */
static inline nart_res join_answer(nart_join *j, const nart__task *t, nart_res *result)
{
    j->used = 1;
    return answer_of(t, result);
}

static NART__COLD nart_res join_take_slow(nart_join *j, nart__task *t, nart_res *result)
{
    t->joiner = NULL;
    nart__unwait(&j->wait);
    return join_answer(j, t, result);
}

static inline nart_res join_take(nart_join *j, nart__task *t, nart_res *result)
{
    nart__task *waiter = j->wait.task;

    if (waiter) {
        if (NART_UNLIKELY(waiter->waits != &j->wait)) /* it has other waits, too */
            return join_take_slow(j, t, result);
        t->joiner = NULL;
        nart__unwait(&j->wait);
    }
    return join_answer(j, t, result);
}

/* The error with which this task cannot await the handle, or 0. */
static nart_res join_check(const nart_cx *cx, const nart_join *j)
{
    const nart__task *t = nart__join_task(j);

    if (NART_UNLIKELY(!t))
        return NART_ESTALE;
    if (NART_UNLIKELY(j->used))
        return NART_EUSED;
    if (NART_UNLIKELY(!nart__cx_owns(cx, t->owner)))
        return NART_EDRIVER;
    return NART_UNLIKELY(j->wait.task || t->state & NART__T_IN_SET) ? -EBUSY : 0;
}

/* The slow path: within a scope, or not the first call. */
static NART__NOINLINE nart_res join_park(nart_cx *cx, nart_join *j)
{
    bool begun;
    nart_res r = nart__park_in(cx, &j->wait, &begun);

    if (begun)
        j->task->joiner = &j->wait;
    return r;
}

static inline nart_res join_await(nart_cx *cx, nart_join *j, nart_res *result)
{
    /* An existing wait was checked when it began; since then a copy of the handle may have been released. */
    if (j->wait.task != cx->self || j->task->gen != j->gen) {
        nart_res r = join_check(cx, j);
        if (NART_UNLIKELY(r))
            return r;
    }
    nart__task *t = j->task;
    if (t->state & NART__T_DONE)
        return join_take(j, t, result);
    if (NART_UNLIKELY(t == cx->self))
        return -EDEADLK;
    if (NART_UNLIKELY(j->wait.task || cx->scope))
        return join_park(cx, j);
    nart__wait_begin(cx->self, &j->wait);
    t->joiner = &j->wait;
    return nart__wait_on(cx, &j->wait);
}

static NART__COLD nart_res join_halt(nart_cx *cx, nart_join *j, nart_res *result)
{
    nart_res r = nart__halt(cx, &j->wait);
    return r ? r : join_await(cx, j, result);
}

nart_res nart_join_await(nart_cx *cx, nart_join *j, nart_res *result)
{
    return NART_LIKELY(--cx->go >= 0) ? join_await(cx, j, result) : join_halt(cx, j, result);
}

void *nart_join_frame(nart_join *j)
{
    nart__task *t = j ? nart__join_task(j) : NULL;
    return t && (t->state & (NART__T_DONE | NART__T_DROPPED)) == NART__T_DONE ? t->frame : NULL;
}

bool nart_join_done(const nart_join *j)
{
    nart__task *t = nart__join_task(j);
    return t && t->state & NART__T_DONE;
}

nart_res nart_join_result(const nart_join *j, nart_res *result)
{
    nart__task *t = nart__join_task(j);

    if (!result)
        return -EINVAL;
    if (!t)
        return NART_ESTALE;
    return t->state & NART__T_DONE ? answer_of(t, result) : -EAGAIN;
}

nart_task nart_join_task(const nart_join *j)
{
    return id_of(nart__join_task(j));
}

/* A task awaits the handle: wakes it, so that it finds the handle empty. */
static NART__COLD void release_awaited(nart_join *j)
{
    nart__task *waiter = j->wait.task;
    nart__withdraw(&j->wait);
    nart__ready(waiter);
    nart_join_release(j);
}

void nart_join_release(nart_join *j)
{
    if (!j)
        return;
    nart__task *t = nart__join_task(j);
    if (NART_UNLIKELY(t && j->wait.task)) {
        release_awaited(j);
        return;
    }
    j->hub = NULL; /* first: a drop function may access it */
    if (!t)
        return;
    t->state &= ~(uint32_t)NART__T_HELD;
    if (t->state & NART__T_DONE)
        frame_end(nart__rt_of(t), t);
}

void nart_join_move(nart_join *dst, nart_join *src)
{
    if (src->wait.task)
        nart__wait_misused(src->wait.task, &src->wait);
    *dst = *src;
    memset(src, 0, sizeof *src);
}
