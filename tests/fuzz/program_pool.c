/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pools of random programs: tasks spawn jobs into them and join them, alone and in races; deeds cancel and close
 * them. Each answer is taken once, and is that of its job; at most NODES jobs run. */
#include "program.h"

enum { NODES = 3 };

/* In memory that stays until the program ends. */
struct pool {
    nart_pool pool;
    nart_task_set_node nodes[NODES];
    struct task *kid[NODES]; /* those whose answers were not taken */
    bool cancels, cancelled;
};

static void ask_all(struct pool *p)
{
    for (int i = 0; i < NODES; i++) {
        struct task *kid = p->kid[i];
        if (kid && !task_ended(kid) && !kid->dropped)
            kid->asked = true;
    }
}

/* A frame that is NULL was that of any job that is dropped. */
static struct task **kid_of(struct pool *p, void *frame)
{
    for (int i = 0; i < NODES; i++)
        if (p->kid[i] && (frame ? p->kid[i] == task_of(frame) : p->kid[i]->dropped))
            return &p->kid[i];
    return NULL;
}

static void on_answer(void *arg, void *frame, nart_res answer)
{
    struct pool *p = arg;
    struct task **kid = kid_of(p, frame);

    EXPECT(kid, "no such job");
    if (frame)
        EXPECT(answer == (join_aborted(*kid) ? NART_EABORTED : (*kid)->r), "answer %lld",
               (long long)answer);
    else
        EXPECT(answer == NART_EABORTED, "answer %lld", (long long)answer);
    *kid = NULL;
    EXPECT(answer >= 0 || p->pool.error < 0, "an error is lost");
}

static bool pool_open(struct thing *s)
{
    struct pool *p = s->u.pool = page_new(sizeof *p);

    p->cancels = pick(2);
    nart_pool_init(&p->pool, p->nodes, NODES, p->cancels ? NART_POOL_CANCEL_ON_ERROR : 0);
    nart_pool_on_answer(&p->pool, on_answer, p);
    return true;
}

static void pool_close(struct thing *s)
{
    ask_all(s->u.pool);
    nart_pool_close(&s->u.pool->pool);
    s->closed = true;
}

static void pool_deed(struct thing *s, nart_cx *cx)
{
    uint32_t what = pick(16);

    (void)cx;
    if (what == 0) {
        s->u.pool->cancelled = true;
        ask_all(s->u.pool);
        nart_pool_cancel(&s->u.pool->pool);
    } else if (what == 1) {
        pool_close(s);
    }
}

const struct sort pool_sort = { pool_open, pool_deed, NULL, pool_close };

static bool pool_begin(struct arm *a)
{
    return thing_take(a, thing_of(&pool_sort));
}

static void pool_end(struct arm *a)
{
    a->thing->users--;
}

static bool is_stopped(const struct pool *p)
{
    return p->cancelled || (p->cancels && p->pool.error < 0);
}

/* After a call, in which an error may have cancelled the jobs. -ECANCELED may be that error: no refusal. */
static nart_res called(struct pool *p, nart_res r)
{
    if (r == -ECANCELED && p->pool.error == r)
        r = -ENOSPC;
    if (is_stopped(p))
        ask_all(p);
    return r;
}

static nart_res spawn_call(nart_cx *cx, struct arm *a)
{
    struct pool *p = a->thing->u.pool;
    struct task *kid = NULL;
    uint64_t before = p->pool.taken;
    nart_res r = task_spawn_pool(cx, &p->pool, &kid);
    uint32_t taken = (uint32_t)(p->pool.taken - before);

    a->task->answers += taken - (taken > 0 && r != NART_PENDING);

    for (int i = 0; kid && i < NODES; i++) {
        if (p->kid[i])
            continue;
        p->kid[i] = kid;
        kid = NULL;
    }
    EXPECT(!kid, "more jobs than nodes");
    return called(p, r);
}

static nart_res join_call(nart_cx *cx, struct arm *a)
{
    struct pool *p = a->thing->u.pool;
    uint64_t before = p->pool.taken;
    nart_res r = nart_pool_join(cx, &p->pool);

    a->task->answers += (uint32_t)(p->pool.taken - before);

    for (int i = 0; r == 0 && i < NODES; i++)
        EXPECT(!p->kid[i], "a job is left");
    return called(p, r);
}

static void pool_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || r == a->thing->u.pool->pool.error || (r == NART_ECLOSED && a->thing->closed) ||
               (r == -EBUSY && a->thing->users > 1) || r == -ENOSPC || r == NART_ESHUTDOWN,
           "%s", nart_err_name(r));
}

static uint32_t pending(const struct pool *p)
{
    uint32_t n = 0;

    for (int i = 0; i < NODES; i++)
        n += p->kid[i] && !task_over(p->kid[i]);
    return n;
}

static bool spawn_ready(const struct arm *a)
{
    return a->thing->closed || (a->thing->users == 1 && pending(a->thing->u.pool) < NODES);
}

static bool join_ready(const struct arm *a)
{
    return a->thing->closed || (a->thing->users == 1 && pending(a->thing->u.pool) == 0);
}

const struct kind pool_kinds[POOL_KINDS] = {
    { "pool spawn", 1, pool_begin, spawn_call, pool_answered, spawn_ready, pool_end },
    { "pool join", 1, pool_begin, join_call, pool_answered, join_ready, pool_end },
};
