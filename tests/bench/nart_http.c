/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "nart_http.h"

#include <errno.h>
#include <stdio.h>

/* From futures/src/http.rs: starts the server, returns its port. */
uint16_t bench_http_server(void);

void gets_serve(struct gets *g)
{
    snprintf(g->url, sizeof g->url, "http://127.0.0.1:%d/", bench_http_server());
}

/* ---- a task ---------------------------------------------------------------------------------- */

struct fetcher {
    nart_co co;
    struct gets *gets;
    nart_tokio_op op;
    int64_t status;
};

static void get_begin(struct fetcher *f)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;

    get.url = f->gets->url;
    bench_must(nart_http_request(f->gets->bridge, &get, &f->op), "request");
}

static void get_end(struct fetcher *f)
{
    size_t len = 0;

    BENCH_KEEP(nart_tokio_op_message(&f->op, &len));
    bench_must(f->status == 200 && len == 64 ? 0 : -EBADMSG, "response");
    nart_tokio_op_close(&f->op);
}

static nart_res fetcher_run(nart_cx *cx, void *frame)
{
    struct fetcher *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (f->gets->left > 0) {
        f->gets->left--;
        get_begin(f);
        NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status));
        bench_must(r, "await");
        get_end(f);
    }
    NART_END(0);
}

void gets_spawn(nart_cx *cx, struct gets *g, nart_join joins[GET_TASKS])
{
    static const nart_task_type type = NART_TASK_TYPE(struct fetcher, fetcher_run, NULL);

    for (int i = 0; i < GET_TASKS; i++)
        bench_must(nart_spawn(cx, &type, &(struct fetcher){ .gets = g }, &joins[i]), "spawn");
}

/* ---- the row --------------------------------------------------------------------------------- */

struct all {
    struct work w;
    struct gets *gets;
    nart_join joins[GET_TASKS];
};

static nart_res all_run(nart_cx *cx, void *frame)
{
    struct all *a = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &a->w.co);
    a->gets->left = a->w.n;
    gets_spawn(cx, a->gets, a->joins);
    for (a->w.i = 0; a->w.i < GET_TASKS; a->w.i++) {
        NART_AWAIT(r, nart_join_await(cx, &a->joins[a->w.i], NULL));
        bench_must(r, "join");
        nart_join_release(&a->joins[a->w.i]);
    }
    NART_END(0);
}

double http_get(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct all, all_run, NULL);
    nart_rt *rt = bench_runtime(NULL);
    struct gets gets = { .bridge = open_bridge(GET_TASKS) };

    gets_serve(&gets);
    double per_get = bench_as_task(rt, &type, &(struct all){ .gets = &gets }, n);
    close_bridge(gets.bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return per_get;
}
