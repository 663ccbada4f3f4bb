/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/sides.h: the runtime around a channel in the channel's scenarios. Side 0 receives.
 *
 * Each side has a task, its polls, and a waker, which sets an eventfd and reads plain memory of its own:
 * using a waker before its creation is a race. The scenario stands in for the loop: it calls the tick hooks
 * that the channel has registered. */
#ifndef MODEL_SIDES_H
#define MODEL_SIDES_H

#include "model.h"

#include "core/runtime.h"

#include <string.h>

enum { MODEL_SIDES = 3 };

typedef struct model_sides {
    nart_cx cx[MODEL_SIDES]; /* of the senders */
    nart__task task[MODEL_SIDES];
    uint32_t left[MODEL_SIDES]; /* a waker has been created */
    uint32_t ready;             /* the receiver's task must be polled */
    NART__ATOMIC(uint32_t) barrier;
    MODEL_VAR(uint32_t) memory[MODEL_SIDES]; /* private to each waker */
    nart_rt rt;                              /* of the receiver */
} model_sides;

/* Set by the scenario; points into its state. */
static model_sides *run;

/* First touches by a thread cost loom more, so all memory in use is touched here. The sides must be the last
 * member of the state. */
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

/* loom does not see accesses in memcpy. So values are copied by this function, and the scenario includes the
 * files that copy. */
static inline void copy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
}

/* ---- functions that a channel calls ---- */

/* Both halves of a barrier are steps in one total order: a light half after a heavy half sees what preceded
 * the heavy half, and vice versa. The real barrier orders nothing between two light halves; this model does,
 * but no scenario has two. */
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
