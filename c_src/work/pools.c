/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pools.c: the life of a pool: options, forks, shutting down, freeing. What its threads do: workers.c.
 *
 * Fork: a child has none of the threads, and any of the locks may be held there. So a pool and a job know the fork epoch
 * in which they were made, and calls compare it before they take a lock. The default pool is made again in the child. */
#include "../base/alloc.h"
#include "../base/sized.h"
#include "../sys.h"
#include "work.h"

#include <stdio.h>
#include <string.h>

enum {
    THREADS_MAX = 4096,
    THREADS_DEFAULT = 8,
    QUEUE_MAX = 1 << 20,
    QUEUE_DEFAULT = 256,
    STACK_MIN = 64 << 10,
    STACK_DEFAULT = 2 << 20
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned fork_epoch; /* changed in the child only, while it has one thread */
static nart_workers the_default;
__thread nart_workers *nart__workers_here;

/* ---- pools ---- */

/* 0; -EINVAL an option out of its range. */
static nart_res pool_init(nart_workers *p, const nart_workers_opts *o)
{
    pthread_condattr_t attr;

    memset(p, 0, sizeof *p);
    p->threads_max = o->threads ? o->threads : THREADS_DEFAULT;
    p->queue_max = o->queue ? o->queue : QUEUE_DEFAULT;
    p->idle_ns = o->idle_ns ? o->idle_ns : NART_SEC;
    p->stack = o->stack ? o->stack : STACK_DEFAULT;
    if (p->threads_max > THREADS_MAX || p->queue_max > QUEUE_MAX || p->idle_ns < 0 ||
        p->stack < STACK_MIN)
        return -EINVAL;
    p->alloc = o->alloc ? *o->alloc : nart__alloc_std;
    p->on_start = o->on_start;
    p->on_end = o->on_end;
    p->arg = o->arg;
    p->fork_epoch = fork_epoch;
    p->refs = 1;
    (void)snprintf(p->name, sizeof p->name, "%s", o->name ? o->name : "nart-work");
    nart__lock_init(&p->lock);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    return 0;
}

static void default_init(void)
{
    const nart_workers_opts none = NART_WORKERS_OPTS_INIT;
    (void)pool_init(&the_default, &none);
}

static void in_child(void)
{
    fork_epoch++;
    nart__workers_here = NULL; /* also if a job has forked */
    default_init();
}

static void begin(void)
{
    default_init();
    (void)pthread_atfork(NULL, NULL, in_child);
}

nart_workers *nart__workers_of(nart_workers *pool)
{
    (void)pthread_once(&once, begin);
    if (!pool)
        return &the_default;
    return pool->fork_epoch == fork_epoch ? pool : NULL;
}

nart_res nart_workers_new(const nart_workers_opts *opts, nart_workers **out)
{
    nart_workers_opts o = NART_WORKERS_OPTS_INIT;

    if (!out)
        return -EINVAL;
    *out = NULL;
    nart_res r = nart__sized_in(&o, sizeof o, opts, offsetof(nart_workers_opts, on_start));
    if (r)
        return r;
    (void)pthread_once(&once, begin);
    const nart_alloc *a = o.alloc ? o.alloc : &nart__alloc_std;
    nart_workers *p = nart__alloc(a, sizeof *p, NART__ALIGNOF(nart_workers));
    if (!p)
        return -ENOMEM;
    r = pool_init(p, &o);
    if (r) {
        nart__free(a, p, sizeof *p, NART__ALIGNOF(nart_workers));
        return r;
    }
    *out = p;
    return 0;
}

static void pool_destroy(nart_workers *p)
{
    nart_alloc a = p->alloc;

    if (p->on_end)
        p->on_end(p->arg);
    (void)pthread_cond_destroy(&p->ended);
    nart__lock_finish(&p->lock);
    nart__free(&a, p, sizeof *p, NART__ALIGNOF(nart_workers));
}

void nart__workers_unref(nart_workers *p)
{
    bool last = --p->refs == 0;

    nart__lock_leave(&p->lock);
    if (last)
        pool_destroy(p);
}

bool nart__job_is_forked(const nart_job *j)
{
    return j->fork_epoch != fork_epoch;
}

/* ---- the end ---- */

/* Joins the thread that has ended last, which has joined those before. Within the lock, which is left meanwhile. */
static void join_last(nart_workers *p)
{
    pthread_t last = p->last;

    p->has_last = false;
    p->joins = true;
    nart__lock_leave(&p->lock);
    (void)pthread_join(last, NULL);
    nart__lock_enter(&p->lock);
    p->joins = false;
    (void)pthread_cond_broadcast(&p->ended);
}

nart_res nart_workers_shutdown(nart_workers *pool, int64_t timeout_ns)
{
    nart_workers *p = nart__workers_of(pool);

    if (!p)
        return NART_EFORK;
    if (p == nart__workers_here && timeout_ns > 0)
        return -EDEADLK;
    int64_t until = timeout_ns == NART_NEVER
                        ? NART_NEVER
                        : nart_time_add(nart__sys_now(), timeout_ns > 0 ? timeout_ns : 0);
    int err = 0;
    nart__lock_enter(&p->lock);
    p->closers++;
    nart__workers_close(p);
    while ((p->threads > 0 || p->joins) && err == 0)
        err = nart__sys_cond_wait(&p->ended, &p->lock, until);
    nart_res r = p->threads == 0 && !p->joins ? 0 : -ETIMEDOUT;
    if (p->has_last && !p->joins)
        join_last(p);
    p->closers--;
    if (p == &the_default && p->closers == 0)
        p->closing = false;
    nart__lock_leave(&p->lock);
    return r;
}

void nart_workers_free(nart_workers *pool)
{
    if (!pool || !nart__workers_of(pool))
        return;
    nart__lock_enter(&pool->lock);
    nart__workers_close(pool);
    pool->unowned = true;
    if (pool->has_last)
        (void)pthread_detach(pool->last);
    pool->has_last = false;
    nart__workers_unref(pool);
}
