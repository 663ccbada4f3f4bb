/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "nart_bridge.h"

#include <stdlib.h>

/* From futures/src/lib.rs. */
nart_res bench_future(const nart_tokio *bridge, int64_t value, nart_tokio_op *op);

nart_res begin_future(nart_tokio *bridge, uint64_t i, nart_tokio_op *op)
{
    return bench_future(bridge, (int64_t)i, op);
}

struct answer {
    uint64_t value;
};

static nart_res answer_run(nart_cx *cx, void *frame)
{
    struct answer *a = frame;
    (void)cx;
    return (nart_res)a->value;
}

nart_res begin_task(nart_tokio *bridge, uint64_t i, nart_tokio_op *op)
{
    static const nart_task_type type =
        NART_TASK_TYPE_FLAGS(struct answer, answer_run, NULL, NART_TASK_SEND);

    return nart_tokio_spawn_task(bridge, &type, &(struct answer){ i }, op);
}

static nart_res nothing(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    return 0;
}

nart_res begin_blocking(nart_tokio *bridge, uint64_t i, nart_tokio_op *op)
{
    (void)i;
    return nart_tokio_blocking(bridge, "nothing", nothing, NULL, NULL, op);
}

nart_tokio *open_bridge(uint64_t n)
{
    nart_tokio_opts o = NART_TOKIO_OPTS_INIT;
    nart_tokio *bridge = NULL;

    o.workers = 1;
    o.max_blocking = 4;
    o.queue_cap = (uint32_t)n;
    o.keep_ops = (uint32_t)n;
    bench_must(nart_tokio_new(&o, &bridge), "nart_tokio_new");
    return bridge;
}

void close_bridge(nart_tokio *bridge)
{
    bench_must(nart_tokio_shutdown(bridge, 10 * NART_SEC, NULL), "shutdown");
    nart_tokio_free(bridge);
}

struct batch {
    struct work w;
    nart_tokio *bridge;
    batch_begin begin;
    nart_tokio_op *ops;
    int64_t value;
};

static nart_res batch_run(nart_cx *cx, void *frame)
{
    struct batch *b = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &b->w.co);
    for (uint64_t i = 0; i < b->w.n; i++)
        bench_must(b->begin(b->bridge, i, &b->ops[i]), "begin");
    for (b->w.i = 0; b->w.i < b->w.n; b->w.i++) {
        NART_AWAIT(r, nart_tokio_op_await(cx, &b->ops[b->w.i], &b->value));
        bench_must(r, "await");
        BENCH_KEEP(b->value);
        nart_tokio_op_close(&b->ops[b->w.i]);
    }
    NART_END(0);
}

double run_batch(nart_rt *rt, bench_how how, nart_tokio *bridge, batch_begin begin, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct batch, batch_run, NULL);
    struct batch init = { .bridge = bridge, .begin = begin, .ops = calloc(n, sizeof *init.ops) };

    if (!init.ops)
        bench_fail("memory");
    double per_op = how(rt, &type, &init, n);
    free(init.ops);
    return per_op;
}
