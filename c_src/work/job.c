/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* job.c: handles of jobs, and the operations that wait for them.
 *
 * What it keeps true: a handle's job is idle, or its own. nart_work_run() is a wait whose withdrawal leaves the job,
 * nart_work_await() one whose withdrawal leaves nothing. */
#include "../core/runtime.h"
#include "work.h"

#include <string.h>

/* An idle job stays with the handle. */
static void run_withdraw(nart__wait *wait)
{
    nart_work *w = (nart_work *)(void *)wait; /* its first member */

    if (w->job && (nart__job_is_forked(w->job) || !nart__job_leave(w->job, true)))
        w->job = NULL;
}

static void await_withdraw(nart__wait *w)
{
    (void)w; /* the waker stays in the job */
}

static const struct nart__wait_ops run_ops = { "work", run_withdraw };
static const struct nart__wait_ops await_ops = { "work", await_withdraw };

/* ---- starting ---- */

nart_res nart__work_type_check(const nart_work_type *t)
{
    if (!t)
        return -EINVAL;
    if (t->abi != NART_WORK_ABI)
        return NART_EABI;
    bool ok = t->run && t->align > 0 && t->align <= 64 && (t->align & (t->align - 1)) == 0;
    return ok ? 0 : -EINVAL;
}

/* The handle has a job that was started: only the handle changes this while it holds the job. */
static bool has_job(const nart_work *w)
{
    return w->job && w->job->has_data;
}

/* Gives the handle an idle job that fits. */
static nart_res get_job(nart_work *w, nart_workers *pool, size_t bytes, size_t align)
{
    nart_job *j = w->job;

    if (j && nart__job_is_forked(j))
        return NART_EFORK;
    if (has_job(w) && !nart_work_done(w))
        return -EBUSY;
    if (j) {
        (void)nart__job_leave(j, false);
        if (j->pool == pool && j->align >= align && j->room >= bytes)
            return 0;
        nart__job_free(j);
    }
    w->job = nart__job_new(pool, bytes, align);
    return w->job ? 0 : -ENOMEM;
}

/* `*init` of a job: a null pointer stands for zeros. */
struct copied {
    const void *init;
    size_t size;
};

static void copy_init(void *data, const void *arg)
{
    const struct copied *c = arg;

    if (c->init)
        memcpy(data, c->init, c->size);
    else
        memset(data, 0, c->size);
}

/* How the data of a job is made. */
struct maker {
    const nart_work_type *type;
    size_t size;
    void (*fill)(void *data, const void *arg);
    const void *arg;
};

/* `waker`: of the task that waits for it from the beginning; `bounded`: see nart__job_submit(). */
static nart_res start(nart_work *w, nart_workers *pool, const struct maker *m, nart_waker waker,
                      bool bounded)
{
    nart_workers *p = nart__workers_of(pool);

    nart_res r = p ? get_job(w, p, m->size, m->type->align) : NART_EFORK;
    if (r)
        return r;
    nart_job *j = w->job;
    j->type = m->type;
    j->name = m->type->name;
    j->waker = waker;
    m->fill(j->data, m->arg);
    j->has_data = true;
    r = nart__job_submit(j, bounded);
    if (r) {
        if (m->fill == copy_init) /* the caller's again */
            j->has_data = false;
        (void)nart__job_leave(j, false);
    }
    return r;
}

nart_res nart_work_start(nart_work *w, nart_workers *pool, const nart_work_type *type,
                         const void *init)
{
    nart_res r = w ? nart__work_type_check(type) : -EINVAL;

    if (r)
        return r;
    if (w->wait.task)
        return -EBUSY;
    const struct copied c = { init, type->size };
    const struct maker m = { type, type->size, copy_init, &c };
    return start(w, pool, &m, (nart_waker){ 0 }, true);
}

nart_res nart__work_start(nart_work *w, nart_workers *pool, const nart_work_type *type, size_t size,
                          void (*fill)(void *data, const void *arg), const void *arg)
{
    const struct maker m = { type, size, fill, arg };

    return w->wait.task ? -EBUSY : start(w, pool, &m, (nart_waker){ 0 }, false);
}

/* ---- waiting ---- */

/* The handle was closed while a task waited in it. Is it the running one's operation that begins? That is requested in
 * the poll after its last one, or not at all: then another operation of that task begins. `r`: what it answers first. */
static NART__COLD nart_res closed_meanwhile(const nart_cx *cx, nart_work *w, nart_res r)
{
    const nart__task *t = cx->self;

    if (r == -EPERM)
        return r;
    bool its = w->closed_for == t && w->wait.seen + 1 == t->polls;
    if (its && r == NART_PENDING) { /* the budget is spent: requested again in the next poll */
        w->wait.seen = t->polls;
        return r;
    }
    if (its || r == 0)
        w->closed_for = NULL;
    return its && r == 0 ? NART_EABORTED : r;
}

/* The first lines of both operations. */
static nart_res enter(nart_cx *cx, nart_work *w)
{
    if (NART_UNLIKELY(!w))
        return -EINVAL;
    nart_res r = nart__enter(cx, &w->wait);
    if (NART_UNLIKELY(w->closed_for != NULL))
        r = closed_meanwhile(cx, w, r);
    if (NART_UNLIKELY(r))
        return r;
    return NART_UNLIKELY(nart__wait_taken(cx, &w->wait)) ? -EBUSY : 0;
}

/* Has the job of w ended? If not, the task waits for it. */
static nart_res wait_for(nart_cx *cx, nart_work *w, const struct nart__wait_ops *ops)
{
    bool begun;
    nart_res r = nart__job_look(w->job, nart_cx_waker(cx));

    if (r != NART_PENDING) {
        if (w->wait.task)
            nart__unwait(&w->wait);
        return r;
    }
    r = nart__park_in(cx, &w->wait, &begun);
    if (r != NART_PENDING)
        return r;
    w->wait.ops = ops;
    return nart__pending_outside(cx);
}

/* The task does not wait in w yet. */
static nart_res run_begin(nart_cx *cx, nart_work *w, nart_workers *pool, const struct maker *m)
{
    bool begun;
    nart_res r = nart__park_in(cx, &w->wait, &begun);

    if (r != NART_PENDING)
        return r;
    w->wait.ops = &run_ops;
    r = start(w, pool, m, nart_cx_waker(cx), false);
    if (r == 0)
        return nart__pending_outside(cx);
    nart__answers_after_all(cx);
    nart__unwait(&w->wait);
    return r;
}

/* The budget of the poll is spent. The first call takes what it is given nevertheless, as NART_PENDING says: a task that
 * is cancelled before its next poll would else leave a job that was never made. */
static NART__COLD nart_res run_spent(nart_cx *cx, nart_work *w, nart_workers *pool,
                                     const struct maker *m)
{
    nart_res r = run_begin(cx, w, pool, m);

    cx->go = 0;
    if (r == NART_PENDING || cx->refused >= NART__PATIENCE)
        return NART_PENDING;
    cx->refused++;
    return r;
}

static nart_res work_run(nart_cx *cx, nart_work *w, nart_workers *pool, const struct maker *m)
{
    nart_res r = enter(cx, w);

    if (r == NART_PENDING && w->wait.task != cx->self && !w->closed_for && !cx->stop)
        return run_spent(cx, w, pool, m);
    if (r)
        return r;
    return w->wait.task ? wait_for(cx, w, &run_ops) : run_begin(cx, w, pool, m);
}

nart_res nart_work_run(nart_cx *cx, nart_work *w, nart_workers *pool, const nart_work_type *type,
                       const void *init)
{
    nart_res bad = nart__work_type_check(type);

    if (bad) {
        nart_res r = enter(cx, w);
        return r ? r : bad;
    }
    const struct copied c = { init, type->size };
    const struct maker m = { type, type->size, copy_init, &c };
    return work_run(cx, w, pool, &m);
}

nart_res nart__work_run(nart_cx *cx, nart_work *w, nart_workers *pool, const nart_work_type *type,
                        size_t size, void (*fill)(void *data, const void *arg), const void *arg)
{
    const struct maker m = { type, size, fill, arg };

    return work_run(cx, w, pool, &m);
}

nart_res nart_work_await(nart_cx *cx, nart_work *w)
{
    nart_res r = enter(cx, w);

    if (r)
        return r;
    if (!has_job(w))
        return NART_ESTALE;
    return nart__job_is_forked(w->job) ? NART_EFORK : wait_for(cx, w, &await_ops);
}

bool nart_work_done(const nart_work *w)
{
    return has_job(w) && !nart__job_is_forked(w->job) && nart__job_has_ended(w->job);
}

void *nart_work_data(const nart_work *w)
{
    return nart_work_done(w) ? w->job->data : NULL;
}

/* ---- leaving ---- */

void nart_work_cancel(nart_work *w)
{
    if (has_job(w) && !nart__job_is_forked(w->job))
        nart__job_cancel(w->job);
}

/* The handle is without its job before the wait in it is withdrawn. */
static void empty(nart_work *w, bool cancel)
{
    nart_job *j = w->job;

    w->job = NULL;
    w->closed_for = nart__wait_expected(&w->wait) ? w->wait.task : NULL;
    nart__interrupt(&w->wait);
    if (j && !nart__job_is_forked(j) && nart__job_leave(j, cancel))
        nart__job_free(j);
}

void nart_work_detach(nart_work *w)
{
    empty(w, false);
}

void nart_work_close(nart_work *w)
{
    if (w)
        empty(w, true);
}
