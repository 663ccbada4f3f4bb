/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cancellation tokens: checking one, and waking many waiting tasks. */
#include "nart_rows.h"

#include <nart/cancel.h>

#include <errno.h>

struct looker {
    struct work w;
    const nart_token *token;
};

static nart_res look_run(nart_cx *cx, void *frame)
{
    struct looker *f = frame;
    uint64_t seen = 0;
    (void)cx;

    for (uint64_t i = 0; i < f->w.n; i++) {
        seen += nart_token_is_cancelled(f->token);
        BENCH_KEEP(seen);
    }
    return seen == 0 ? 0 : -EBADMSG;
}

double cancel_check(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct looker, look_run, NULL);
    nart_token token = { 0 };

    bench_must(nart_token_new(rt, &token), "token");
    double per_op = how(rt, &type, &(struct looker){ .token = &token }, n);
    nart_token_release(&token);
    return per_op;
}

/* ---- tasks that wait for one token ------------------------------------------------------------ */

struct crowd {
    struct work w;
    uint64_t size, began, ended;
    nart_token token;
    int64_t spent;
    double *per_task;
};

struct waiting {
    nart_co co;
    struct crowd *crowd;
    nart_waiter waiter;
};

static nart_res waiting_run(nart_cx *cx, void *frame)
{
    struct waiting *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    f->crowd->began++;
    NART_AWAIT(r, nart_token_await(cx, &f->crowd->token, &f->waiter));
    bench_must(r, "await");
    f->crowd->ended++;
    NART_END(0);
}

static void gather(nart_cx *cx, struct crowd *c)
{
    static const nart_task_type type = NART_TASK_TYPE(struct waiting, waiting_run, NULL);

    c->began = c->ended = 0;
    bench_must(nart_token_new(nart_cx_rt(cx), &c->token), "token");
    for (uint64_t i = 0; i < c->size; i++)
        bench_must(nart_spawn(cx, &type, &(struct waiting){ .crowd = c }, NULL), "spawn");
}

static nart_res crowd_run(nart_cx *cx, void *frame)
{
    struct crowd *c = frame;

    NART_BEGIN(cx, &c->w.co);
    for (c->w.i = 0; c->w.i < c->w.n / c->size; c->w.i++) {
        gather(cx, c);
        while (c->began < c->size)
            NART_YIELD();
        c->spent -= bench_now();
        nart_token_cancel(&c->token);
        while (c->ended < c->size)
            NART_YIELD();
        c->spent += bench_now();
        nart_token_release(&c->token);
    }
    *c->per_task = (double)c->spent / (double)(c->w.i * c->size);
    NART_END(0);
}

static double cancel(nart_rt *rt, bench_how how, uint64_t n, uint64_t size)
{
    static const nart_task_type type = NART_TASK_TYPE(struct crowd, crowd_run, NULL);
    double per_task = 0;

    (void)how(rt, &type, &(struct crowd){ .size = size, .per_task = &per_task }, n);
    return per_task;
}

double cancel_100(nart_rt *rt, bench_how how, uint64_t n)
{
    return cancel(rt, how, n, 100);
}

double cancel_1000(nart_rt *rt, bench_how how, uint64_t n)
{
    return cancel(rt, how, n, 1000);
}
