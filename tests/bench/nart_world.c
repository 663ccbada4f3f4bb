/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handlers of a world, run by a task through pointers unknown at compile time. */
#include "nart_rows.h"

#include <nart/world.h>

NART_RESOURCE(a, uint64_t);
NART_RESOURCE(b, uint64_t);
NART_RESOURCE(c, uint64_t);
NART_RESOURCE(d, uint64_t);
NART_RESOURCE_DEFINE(a);
NART_RESOURCE_DEFINE(b);
NART_RESOURCE_DEFINE(c);
NART_RESOURCE_DEFINE(d);

static nart_res add_1(uint64_t *sum, const uint64_t *event)
{
    *sum += *event;
    return 0;
}
NART_HANDLER(add_1, const uint64_t, EXCLUSIVE(a));

static nart_res add_4(uint64_t *sum, const uint64_t *x, const uint64_t *y, uint64_t *last,
                      const uint64_t *event)
{
    *sum += *event + *x;
    *last = *y;
    return 0;
}
NART_HANDLER(add_4, const uint64_t, EXCLUSIVE(a), SHARED(b), SHARED(c), EXCLUSIVE(d));

struct caller {
    struct work w;
    nart_handler *handler;
};

static nart_res caller_run(nart_cx *cx, void *frame)
{
    struct caller *f = frame;
    (void)cx;

    for (uint64_t i = 0; i < f->w.n; i++) {
        bench_must(nart_handler_run(f->handler, &i), "run");
        BENCH_KEEP(f);
    }
    return 0;
}

static double dispatch(nart_rt *rt, bench_how how, uint64_t n, const nart_handler_type *handler)
{
    static const nart_task_type type = NART_TASK_TYPE(struct caller, caller_run, NULL);
    nart_handler h = { 0 };
    nart_world *w;

    bench_must(nart_world_new(NULL, &w), "world");
    bench_must(a_add(w, NULL, NULL), "add");
    bench_must(b_add(w, NULL, NULL), "add");
    bench_must(c_add(w, NULL, NULL), "add");
    bench_must(d_add(w, NULL, NULL), "add");
    bench_must(nart_handler_init(&h, w, handler), "handler");
    double per_op = how(rt, &type, &(struct caller){ .handler = &h }, n);
    bench_must(nart_handler_finish(&h), "finish");
    bench_must(nart_world_free(w), "free");
    return per_op;
}

double world_1(nart_rt *rt, bench_how how, uint64_t n)
{
    return dispatch(rt, how, n, &add_1_handler);
}

double world_4(nart_rt *rt, bench_how how, uint64_t n)
{
    return dispatch(rt, how, n, &add_4_handler);
}
