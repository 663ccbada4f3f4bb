/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pool.c: many tasks, a few at a time: a task set whose answers are taken as soon as they are there.
 *
 * Invariants
 *  1. A call that spawns or joins has taken all answers that were there, so an error has had its effect before
 *     the next job begins.
 *  2. STOPPED: `error` is below 0, the jobs that ran were cancelled, and no job is spawned. */
#include "pool.h"

#include "../wait/wait.h"

#define STOPPED 0x100u

void nart_pool_init(nart_pool *p, nart_task_set_node *nodes, uint32_t max, uint32_t flags)
{
    *p = (nart_pool){ .flags = flags & NART_POOL_CANCEL_ON_ERROR };
    nart_task_set_init(&p->set, nodes, max);
}

static void stop(nart_pool *p)
{
    p->flags |= STOPPED;
    (void)nart_task_set_cancel(&p->set);
}

static nart_res failed(nart_pool *p, nart_res error)
{
    if (p->error == 0) {
        p->error = error;
        if (p->flags & NART_POOL_CANCEL_ON_ERROR)
            stop(p);
    }
    return error;
}

void nart_pool_cancel(nart_pool *p)
{
    if (p->error == 0)
        p->error = -ECANCELED;
    stop(p);
}

/* Takes an answer. @return below 0: none, NART_PENDING included. */
static nart_res take(nart_cx *cx, nart_pool *p)
{
    nart_res answer = 0, r = nart_task_set_next(cx, &p->set, &answer);

    if (r < 0)
        return r;
    p->taken++;
    if (answer < 0)
        (void)failed(p, answer);
    if (p->on_answer)
        p->on_answer(p->arg, nart_task_set_frame(&p->set, (uint32_t)r), answer);
    return r;
}

/* The next call of take() does not wait, or it has to wait for a free node. */
static bool has_to_take(const nart_pool *p)
{
    return p->set.ended || (p->set.len > 0 && p->set.len == p->set.count);
}

nart_res nart__pool_await_room(nart_cx *cx, nart_pool *p)
{
    nart_res r = has_to_take(p) ? 0 : nart__enter(cx, &p->set.wait);

    while (r >= 0 && has_to_take(p))
        r = take(cx, p);
    if (r < 0)
        return r;
    return p->flags & STOPPED ? p->error : 0;
}

nart_res nart__pool_begin(nart_cx *cx, nart_pool *p, const nart_task_type *type, const void *init)
{
    nart_res r = nart_task_set_spawn(cx, &p->set, type, init);

    return r < 0 ? failed(p, r) : 0;
}

nart_res nart_pool_spawn(nart_cx *cx, nart_pool *p, const nart_task_type *type, const void *init)
{
    nart_res r = nart__pool_await_room(cx, p);

    return r ? r : nart__pool_begin(cx, p, type, init);
}

nart_res nart_pool_join(nart_cx *cx, nart_pool *p)
{
    nart_res r;

    do
        r = take(cx, p);
    while (r >= 0);
    return r == -ECHILD ? p->error : r;
}

void nart_pool_close(nart_pool *p)
{
    if (p)
        nart_task_set_close(&p->set);
}
