/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocking functions one after the other: each is submitted from a loop that spins, and awaited. */
#include "nart_bridge.h"

struct lone {
    struct work w;
    nart_tokio *bridge;
    nart_tokio_op op;
    int64_t value;
};

static nart_res lone_run(nart_cx *cx, void *frame)
{
    struct lone *l = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &l->w.co);
    for (l->w.i = 0; l->w.i < l->w.n; l->w.i++) {
        bench_must(begin_blocking(l->bridge, l->w.i, &l->op), "begin");
        NART_AWAIT(r, nart_tokio_op_await(cx, &l->op, &l->value));
        bench_must(r, "await");
        BENCH_KEEP(l->value);
        nart_tokio_op_close(&l->op);
    }
    NART_END(0);
}

double blocking_lone(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct lone, lone_run, NULL);
    nart_rt_opts spins = { .size = sizeof spins, .flags = NART_RT_SPINNING };

    bench_pin_to(0); /* so the bridge's threads run on other processors */
    nart_rt *rt = bench_runtime(&spins);
    nart_tokio *bridge = open_bridge(1);
    double per_job = bench_as_task(rt, &type, &(struct lone){ .bridge = bridge }, n);

    close_bridge(bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return per_job;
}
