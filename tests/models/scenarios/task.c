/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/task.c: the unmodified loop, and tasks that other threads wake while the tasks end, are
 * joined, aborted or freed, and while their slots and their hub are reused. loom only. */
#include "model.h"

#include "core/hub.h"

#include <nart/rt.h>

#include <errno.h>

enum { EFD = 0, ANSWER = 7 };

typedef struct state {
    nart_rt *rt;
    NART__ATOMIC(uint32_t) news[3];
    NART__ATOMIC(uintptr_t) handed; /* a waker created while the other threads run */
    nart_waker waker;               /* a waker created before they start */
    nart_join join;
    nart_task task;
    unsigned drops, blocks;
} state;

static state *s;

/* ---- a task that ends after it has seen its news ---- */

typedef struct listener {
    unsigned from, to; /* indices of news */
    nart_waker waker;
    unsigned polls;
} listener;

static bool seen(unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++)
        if (NART__LOAD(&s->news[i], NART__RELAXED) == 0)
            return false;
    return true;
}

static nart_res listener_poll(nart_cx *cx, void *frame)
{
    listener *l = frame;

    l->polls++;
    if (seen(l->from, l->to))
        return ANSWER;
    if (nart_cx_cancelled(cx))
        return -ECANCELED;
    l->waker = nart_cx_waker(cx);
    return nart_op_park(cx);
}

static void listener_drop(void *frame)
{
    (void)frame;
    s->drops++;
}

static const nart_task_type listener_type = NART_TASK_TYPE(listener, listener_poll, listener_drop);

/* Spawns a listener and polls it once: it waits, and its waker has been handed out. */
static nart_waker listen(unsigned from, unsigned to, nart_join *join)
{
    const listener init = { .from = from, .to = to };
    nart_res err;

    listener *l = nart_rt_spawn_begin(s->rt, &listener_type, &err);
    MODEL_CHECK(l != NULL);
    *l = init;
    MODEL_CHECK(nart_rt_spawn_commit(s->rt, l, join) == 0);
    MODEL_CHECK(nart_rt_poll(s->rt, 0) >= 1);
    MODEL_CHECK(l->polls >= 1 && l->waker.w != 0);
    return l->waker;
}

/* ---- a task that joins s->join ---- */

static nart_res joiner_poll(nart_cx *cx, void *frame)
{
    nart_res *result = frame;
    nart_res r = nart_join_await(cx, &s->join, result);

    return r == 0 ? *result : r;
}

static const nart_task_type joiner_type = NART_TASK_TYPE(nart_res, joiner_poll, NULL);

/* ---- a runtime in the execution's memory ---- */

static void *block_alloc(void *arg, size_t size, size_t align)
{
    (void)arg;
    (void)align;
    s->blocks++;
    return model_memory(size);
}

static void block_free(void *arg, void *p, size_t size, size_t align)
{
    (void)arg;
    (void)p;
    (void)size;
    (void)align;
    s->blocks--;
}

static const nart_alloc memory = { block_alloc, block_free, NULL };

static void open_rt(void)
{
    nart_rt_opts opts = NART_RT_OPTS_INIT;

    for (unsigned i = 0; i < NART_SLOT_CLASSES; i++)
        opts.slots[i] = i == 0 ? 2 : 1;
    opts.max_io = 1;
    opts.alloc = &memory;
    MODEL_CHECK(nart_rt_new(&opts, &s->rt) == 0);
}

static void make(void)
{
    s = MODEL_NEW(state);
    for (unsigned i = 0; i < 3; i++)
        MODEL_CHECK(!seen(i, i));
    open_rt();
}

static void make_one(void)
{
    make();
    s->waker = listen(1, 1, &s->join);
}

static void make_two_news(void)
{
    make();
    s->waker = listen(1, 2, NULL);
}

static void unmake(void)
{
    nart_join_release(&s->join);
    MODEL_CHECK(nart_rt_free(s->rt) == 0);
    MODEL_CHECK(s->blocks == 0);
    MODEL_CHECK(nart_lib_trim() >= 1);
    nart__hub_fork_child(); /* hubs belong to this execution: the next one starts with an empty pool */
    MODEL_DELETE(s);
}

static void one_drop(void)
{
    unmake();
    MODEL_CHECK(s->drops == 1);
}

static void two_drops(void)
{
    unmake();
    MODEL_CHECK(s->drops == 2);
}

/* ---- other threads ---- */

static void tell(unsigned news, nart_waker waker)
{
    NART__STORE(&s->news[news], 1u, NART__RELAXED);
    nart_waker_wake(waker);
}

static void hand_over(nart_waker waker)
{
    NART__STORE(&s->handed, waker.w, NART__RELEASE);
}

static nart_waker take_over(void)
{
    nart_waker waker;
    while ((waker.w = NART__LOAD(&s->handed, NART__ACQUIRE)) == 0)
        nart__relax();
    return waker;
}

/* ---- scenarios ---- */

/* Two threads wake one task; the loop parks in between or not. */
static void wake(unsigned i)
{
    if (i == 0)
        MODEL_CHECK(nart_rt_run(s->rt) == 0);
    else
        tell(i, s->waker);
}

/* A task joins one that another thread ends. */
static void join(unsigned i)
{
    nart_res result;

    if (i == 0) {
        MODEL_CHECK(nart_block_on(s->rt, &joiner_type, NULL, &result) == 0);
        MODEL_CHECK(result == ANSWER);
    } else {
        tell(1, s->waker);
    }
}

/* It is aborted while it is woken: it ends once, with either result. */
static void abort_it(unsigned i)
{
    nart_res result;

    if (i == 0) {
        MODEL_CHECK(nart_task_abort(s->rt, nart_join_task(&s->join)) == 0);
        MODEL_CHECK(nart_block_on(s->rt, &joiner_type, NULL, &result) == 0);
        MODEL_CHECK(result == ANSWER || result == NART_EABORTED);
    } else {
        tell(1, s->waker);
    }
}

/* It ends and its slot is reused while its waker fires; another waker wakes the new task. */
static void reuse(unsigned i)
{
    if (i == 0) {
        nart_task first = nart_join_task(&s->join);
        MODEL_CHECK(nart_task_cancel(s->rt, first) == 0);
        nart_join_release(&s->join);
        MODEL_CHECK(nart_rt_poll(s->rt, 0) >= 1);
        MODEL_CHECK(nart_rt_task_count(s->rt) == 0);
        nart_waker waker = listen(2, 2, &s->join);
        MODEL_CHECK(nart_join_task(&s->join).slot == first.slot);
        hand_over(waker);
        MODEL_CHECK(nart_rt_run(s->rt) == 0);
        const listener *l = nart_join_frame(&s->join);
        MODEL_CHECK(l && l->polls <= 3);
    } else if (i == 1) {
        nart_waker_wake(s->waker);
    } else {
        tell(2, take_over());
    }
}

/* Its runtime is freed while its waker fires. The next runtime has the same hub or, while the wake is in
 * progress, another hub that has served a runtime before. */
static void make_two_hubs(void)
{
    make_one();
    nart_rt *first = s->rt;
    open_rt();
    (void)listen(1, 1, NULL);
    MODEL_CHECK(nart_rt_free(s->rt) == 0);
    s->rt = first;
    s->drops = 0;
}

static void free_it(unsigned i)
{
    if (i == 0) {
        MODEL_CHECK(nart_rt_free(s->rt) == 0);
        MODEL_CHECK(!nart_join_done(&s->join));
        open_rt();
        hand_over(listen(2, 2, NULL));
        MODEL_CHECK(nart_rt_run(s->rt) == 0);
    } else if (i == 1) {
        nart_waker_wake(s->waker);
    } else {
        tell(2, take_over());
    }
}

/* A host with its own loop waits on the backend descriptor, and gets it after the last poll: until the next
 * poll no wake is reported to the host. */
static void make_hosted(void)
{
    make();
    s->waker = listen(1, 2, NULL);
    (void)nart_rt_backend_fd(s->rt);
}

static void host(unsigned i)
{
    if (i == 0) {
        nart_res polled = 1;
        while (nart_rt_task_count(s->rt) > 0) {
            if (nart_rt_next_deadline(s->rt) != 0)
                model_wait(EFD);
            else if (polled == 0)
                nart__relax(); /* a wake is in progress */
            polled = nart_rt_poll(s->rt, 0);
            MODEL_CHECK(polled >= 0);
        }
    } else {
        tell(i, s->waker);
    }
}

const model_scenario model_scenarios[] = {
    { "join", 2, make_one, join, one_drop, MODEL_EVERY, 0 },
    { "abort", 2, make_one, abort_it, one_drop, MODEL_EVERY, 0 },
    { "wake", 3, make_two_news, wake, one_drop, 2, 0 },
    { "host", 3, make_hosted, host, one_drop, 2, 0 },
    { "reuse", 3, make_one, reuse, two_drops, 2, 0 },
    { "free", 3, make_two_hubs, free_it, two_drops, 2, 0 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};
