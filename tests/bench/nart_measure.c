/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How a row of nart is measured: the clock is read around the work, never in it. */
#include "nart_rows.h"

#include <stdio.h>
#include <stdlib.h>

void bench_failed(nart_res r, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, nart_strerror(r));
    exit(1);
}

nart_rt *bench_runtime(const nart_rt_opts *opts)
{
    nart_rt *rt = NULL;

    bench_must(nart_rt_new(opts, &rt), "nart_rt_new");
    return rt;
}

/* The task of nart_block_on(): spawns and awaits the work, and reads the clock outside of it. */
struct outer {
    nart_co co;
    const nart_task_type *type;
    struct work *init;
    uint64_t n;
    nart_join join;
    double *per_op;
    int64_t start;
};

static nart_res outer_run(nart_cx *cx, void *frame)
{
    struct outer *o = frame;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &o->co);
    o->init->n = o->n / 10;
    bench_must(nart_spawn(cx, o->type, o->init, &o->join), "spawn");
    NART_AWAIT(r, nart_join_await(cx, &o->join, &result));
    bench_must(r, "join");
    bench_must(result, "warm-up");
    nart_join_release(&o->join);

    o->init->n = o->n;
    o->start = bench_now();
    bench_must(nart_spawn(cx, o->type, o->init, &o->join), "spawn");
    NART_AWAIT(r, nart_join_await(cx, &o->join, &result));
    *o->per_op = (double)(bench_now() - o->start) / (double)o->n;
    bench_must(r, "join");
    bench_must(result, "work");
    nart_join_release(&o->join);
    NART_END(0);
}

double bench_as_task(nart_rt *rt, const nart_task_type *type, void *init, uint64_t n)
{
    static const nart_task_type outer_type = NART_TASK_TYPE(struct outer, outer_run, NULL);
    double per_op = 0;
    struct outer o = { .type = type, .init = init, .n = n, .per_op = &per_op };

    bench_must(nart_block_on(rt, &outer_type, &o, NULL), "block_on");
    return per_op;
}

static void run_root(nart_rt *rt, const nart_task_type *type, struct work *init, uint64_t n)
{
    nart_res result = 0;

    init->n = n;
    bench_must(nart_block_on(rt, type, init, &result), "block_on");
    bench_must(result, "work");
}

double bench_as_root(nart_rt *rt, const nart_task_type *type, void *init, uint64_t n)
{
    run_root(rt, type, init, n / 10);
    int64_t start = bench_now();
    run_root(rt, type, init, n);
    return (double)(bench_now() - start) / (double)n;
}
