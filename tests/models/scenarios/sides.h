/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/sides.h: what the runtime does around a channel in its scenarios. Side 0 receives.
 *
 * Each side has a task, its polls, and a waker, which sets an eventfd and reads plain memory of its own:
 * a waker that is used before it was made is a race. A loop that looks is made of the scenario's calls
 * of what the channel has asked to be watched. */
#ifndef MODEL_SIDES_H
#define MODEL_SIDES_H

#include "model.h"

#include "core/runtime.h"

#include <string.h>

enum { MODEL_SIDES = 3 };

typedef struct model_sides {
    nart_cx cx[MODEL_SIDES]; /* the senders' */
    nart__task task[MODEL_SIDES];
    uint32_t left[MODEL_SIDES]; /* a waker has been made */
    uint32_t ready;             /* the receiver's task is to be polled */
    NART__ATOMIC(uint32_t) barrier;
    MODEL_VAR(uint32_t) memory[MODEL_SIDES]; /* a waker's own */
    nart_rt rt;                              /* the receiver's */
} model_sides;

/* Set by the scenario, in its state. */
static model_sides *run;

/* What a thread touches first costs loom more, so all but the rest of the runtime is touched here: a
 * state that ends with its sides. */
static void touch(const void *state)
{
#ifndef MODEL_RELACY
    size_t bytes = (size_t)((const char *)(&run->rt.cx + 1) - (const char *)state);
    for (size_t i = 0; i < bytes / sizeof(uint32_t); i++)
        (void)((const volatile uint32_t *)state)[i];
#else
    (void)state;
#endif
}

static nart_cx *cx_of(unsigned side)
{
    return side == 0 ? &run->rt.cx : &run->cx[side];
}

static nart_cx *poll_begin(unsigned side)
{
    nart_cx *cx = cx_of(side);

    cx->self = &run->task[side];
    cx->self->polls++;
    cx->scope = NULL;
    cx->park = NART_NEVER;
    cx->go = NART_BUDGET;
    cx->flags = 0;
    return cx;
}

/* loom does not see into memcpy, so values are copied by this, and the files that copy are part of the
 * scenario's. */
static inline void copy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
}

/* ---- what a channel calls ---- */

/* Both halves of a barrier are steps in one order, and a light one that is later than a heavy one sees
 * what was before that, and the other way round. Nothing else is known of two light ones; here it is
 * more, but no scenario has two. */
void nart__barrier_light(void)
{
    (void)NART__FETCH_ADD(&run->barrier, 0u, NART__ACQ_REL);
}

int nart__sys_barrier(void)
{
    (void)NART__FETCH_ADD(&run->barrier, 0u, NART__ACQ_REL);
    return 0;
}

void nart__sys_nap(void)
{
    nart__relax();
}

nart_waker nart_cx_waker(nart_cx *cx)
{
    unsigned side = cx == cx_of(1) ? 1 : cx == cx_of(2) ? 2 : 0;
    nart_waker w = { 2 * (side + 1) };

    if (!run->left[side])
        MODEL_SET(run->memory[side], 1u);
    run->left[side] = 1;
    return w;
}

int nart__sys_eventfd_write(int fd);

void nart_waker_wake(nart_waker w)
{
    unsigned side = (unsigned)w.w / 2 - 1;

    MODEL_CHECK(MODEL_GET(run->memory[side]) == 1);
    (void)nart__sys_eventfd_write((int)side);
}

unsigned nart__fork_epoch(void)
{
    return 0;
}

void nart__ready_slow(nart__task *t)
{
    MODEL_CHECK(t == &run->task[0]);
    run->ready = 1;
}

void nart__tick_hook_add(nart_rt *rt, nart__tick_hook *w)
{
    (void)rt;
    MODEL_CHECK(!w->next);
    w->next = w;
}

void nart__tick_hook_remove(nart__tick_hook *w)
{
    w->next = NULL;
}

nart_res nart__halt(nart_cx *cx, nart__wait *w)
{
    (void)cx;
    (void)w;
    MODEL_FAIL("out of budget");
    return 0;
}

void nart__unlink(nart__wait *w)
{
    (void)w;
    MODEL_FAIL("a wait that is not the first");
}

#endif
