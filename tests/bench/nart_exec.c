/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Waking, awaiting, spawning and joining. */
#include "nart_rows.h"

enum { MANY = 1000 };

static nart_res yields_run(nart_cx *cx, void *frame)
{
    struct work *w = frame;

    NART_BEGIN(cx, &w->co);
    for (w->i = 0; w->i < w->n; w->i++)
        NART_YIELD();
    NART_END(0);
}

static const nart_task_type yields_type = NART_TASK_TYPE(struct work, yields_run, NULL);

double self_wake_1(nart_rt *rt, bench_how how, uint64_t n)
{
    return how(rt, &yields_type, &(struct work){ 0 }, n);
}

/* ---- n yields in total, shared by 1,000 tasks ----------------------------------------------- */

struct many {
    struct work w;
    nart_join *joins; /* MANY of them */
};

static nart_res join_many(nart_cx *cx, struct many *m)
{
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &m->w.co);
    for (m->w.i = 0; m->w.i < MANY; m->w.i++) {
        NART_AWAIT(r, nart_join_await(cx, &m->joins[m->w.i], &result));
        bench_must(r, "join");
        BENCH_KEEP(result);
        nart_join_release(&m->joins[m->w.i]);
    }
    NART_END(0);
}

/* A hand-written poll around one body: spawn if it has not started, then join. */
static nart_res self_wake_1000_run(nart_cx *cx, void *frame)
{
    struct many *m = frame;

    if (!nart_co_active(&m->w.co)) {
        struct work init = { .n = m->w.n / MANY };
        for (int i = 0; i < MANY; i++)
            bench_must(nart_spawn(cx, &yields_type, &init, &m->joins[i]), "spawn");
    }
    return join_many(cx, m);
}

double self_wake_1000(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct many, self_wake_1000_run, NULL);
    nart_join joins[MANY] = { 0 };

    return how(rt, &type, &(struct many){ .joins = joins }, n);
}

/* ---- an operation in a separate function, which parks once ---------------------------------- */

struct once {
    bool parked;
};

#if defined __GNUC__
static nart_res once_await(nart_cx *cx, struct once *o) __attribute__((noinline));
#endif

static nart_res once_await(nart_cx *cx, struct once *o)
{
    nart_res r = nart_op_enter(cx);

    if (r != 0)
        return r;
    o->parked = !o->parked;
    if (!o->parked)
        return 0;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

struct awaits {
    struct work w;
    struct once once;
};

static nart_res awaits_run(nart_cx *cx, void *frame)
{
    struct awaits *a = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &a->w.co);
    for (a->w.i = 0; a->w.i < a->w.n && r == 0; a->w.i++)
        NART_AWAIT(r, once_await(cx, &a->once));
    NART_END(r);
}

double await_ready(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct awaits, awaits_run, NULL);

    return how(rt, &type, &(struct awaits){ 0 }, n);
}

/* ---- spawning and joining ------------------------------------------------------------------- */

struct value {
    uint64_t value;
};

static nart_res value_run(nart_cx *cx, void *frame)
{
    struct value *v = frame;
    (void)cx;
    return (nart_res)v->value;
}

static const nart_task_type value_type = NART_TASK_TYPE(struct value, value_run, NULL);

struct spawns {
    struct work w;
    nart_join join;
};

static nart_res spawns_run(nart_cx *cx, void *frame)
{
    struct spawns *s = frame;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &s->w.co);
    for (s->w.i = 0; s->w.i < s->w.n; s->w.i++) {
        bench_must(nart_spawn(cx, &value_type, &(struct value){ s->w.i }, &s->join), "spawn");
        NART_AWAIT(r, nart_join_await(cx, &s->join, &result));
        bench_must(r, "join");
        BENCH_KEEP(result);
        nart_join_release(&s->join);
    }
    NART_END(0);
}

double spawn_join(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct spawns, spawns_run, NULL);

    return how(rt, &type, &(struct spawns){ 0 }, n);
}

struct rounds {
    struct work w;
    struct many many;
};

static nart_res rounds_run(nart_cx *cx, void *frame)
{
    struct rounds *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->w.co);
    for (s->w.i = 0; s->w.i < s->w.n / MANY; s->w.i++) {
        for (uint64_t i = 0; i < MANY; i++)
            bench_must(nart_spawn(cx, &value_type, &(struct value){ i }, &s->many.joins[i]),
                       "spawn");
        NART_AWAIT(r, join_many(cx, &s->many));
        bench_must(r, "join");
    }
    NART_END(0);
}

double spawn_join_1000(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct rounds, rounds_run, NULL);
    nart_join joins[MANY] = { 0 };

    return how(rt, &type, &(struct rounds){ .many = { .joins = joins } }, n);
}
