/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/jobs.h: a pool of threads with its jobs, and what must be true of them in the end. */
#ifndef MODEL_JOBS_H
#define MODEL_JOBS_H

#include "started.h"

#include <nart/work.h>

#include <stdio.h>

/* The threads of a model are coroutines of one thread, so their local variable is a function's. It has no prototype
 * where work.h and pools.c declare it. */
static nart_workers **pool_here(void);

#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#define __thread
#define nart__workers_here (*pool_here())
#include "work/block.c"
#include "work/pools.c"
#include "work/workers.c"
#undef __thread

enum { JOBS = 3 };

typedef struct data {
    unsigned k;
    uint32_t in, out;
} data;

typedef struct state {
    model_system os;
    unsigned left; /* users that still use the pool */
    unsigned ends; /* calls of on_end */
    nart_workers *pool, *here[MODEL_THREADS];
    NART__ATOMIC(uint32_t) shut; /* a shutdown has returned */
    nart_job *jobs[JOBS];
    unsigned filled[JOBS], ran[JOBS], dropped[JOBS];
    bool met; /* job 1 has run */
    nart_job_block block;
    data in_block;
    nart_res res;     /* of the job in it */
    nart_waker waker; /* called when it has ended, or data is dropped */
} state;

static state *s;

static nart_workers **pool_here(void)
{
    return &s->here[model_self()];
}

/* ---- jobs ---- */

/* A data race if the data of the submitter has not arrived. */
static nart_res answer(data *d)
{
    MODEL_CHECK(d->in == d->k + 10);
    MODEL_CHECK(!NART__LOAD(&s->shut, NART__RELAXED));
    s->ran[d->k]++;
    d->out = d->in + 1;
    return (nart_res)d->k;
}

static nart_res plain_run(void *arg, const nart_job *job)
{
    (void)job;
    return answer(arg);
}

/* Returns when it is cancelled. */
static nart_res patient_run(void *arg, const nart_job *job)
{
    while (!nart_work_cancelled(job))
        nart__relax();
    return answer(arg);
}

/* Job 0 returns when job 1 has run. */
static nart_res meeting_run(void *arg, const nart_job *job)
{
    data *d = arg;

    (void)job;
    enter();
    if (d->k == 1) {
        s->met = true;
        rouse(&s->met);
    }
    while (!s->met)
        sleep_on(&s->met, NART_NEVER);
    quit();
    return answer(arg);
}

/* Ends its thread. */
static nart_res exiting_run(void *arg, const nart_job *job)
{
    (void)job;
    (void)answer(arg);
    _longjmp(*thread_exit(NULL), 1);
}

static void drop(void *arg)
{
    data *d = arg;

    s->dropped[d->k]++;
    nart_waker_wake(s->waker);
}

static const nart_work_type plain = NART_WORK_TYPE(data, plain_run, drop);
static const nart_work_type patient = NART_WORK_TYPE(data, patient_run, drop);
static const nart_work_type meeting = NART_WORK_TYPE(data, meeting_run, drop);
static const nart_work_type exiting = NART_WORK_TYPE(data, exiting_run, drop);

nart_res nart__work_type_check(const nart_work_type *t)
{
    return t->run ? 0 : -EINVAL;
}

/* As start() of job.c. */
static nart_res submit(unsigned k, const nart_work_type *type)
{
    nart_job *j = s->jobs[k];

    j->type = type;
    j->name = "job";
    data *d = j->data;
    d->k = k;
    d->in = k + 10;
    d->out = 0;
    j->has_data = true;
    s->filled[k]++;
    return nart__job_submit(j, true);
}

/* Its answer, or why it has none. */
static nart_res await(unsigned k)
{
    nart_res r;

    while ((r = nart__job_look(s->jobs[k], own_waker())) == NART_PENDING)
        await_own_waker();
    return r;
}

/* It has ended with `r`: it has run, or it was ended by `why` before. */
static void check(unsigned k, nart_res r, nart_res why)
{
    const data *d = s->jobs[k]->data;

    MODEL_CHECK(nart__job_has_ended(s->jobs[k]));
    bool has_run = r == (nart_res)k;
    MODEL_CHECK(has_run || (why && r == why));
    MODEL_CHECK(s->ran[k] == (has_run ? 1 : 0));
    MODEL_CHECK(d->out == (has_run ? k + 11 : 0));
    MODEL_CHECK(s->dropped[k] == 0);
}

/* As nart_work_close() and nart_work_detach(). An idle job is left twice, as after a wait that was withdrawn. */
static void let_go(unsigned k, bool cancel)
{
    nart_job *j = s->jobs[k];

    if (nart__job_leave(j, cancel) && nart__job_leave(j, cancel))
        nart__job_free(j);
}

static void await_and_close(unsigned k)
{
    check(k, await(k), 0);
    let_go(k, true);
}

/* ---- setup and teardown ---- */

/* The pool is as it was in the beginning, and nobody is within its lock. */
static void on_end(void *arg)
{
    nart_workers *p = s->pool;

    (void)arg;
    nart__lock_enter(&p->lock);
    nart__lock_leave(&p->lock);
    MODEL_CHECK(p->threads == 0 && p->idle == 0 && p->running == 0 && p->queued == 0);
    MODEL_CHECK(!p->idler && !p->run.first && !p->queue.first && !p->starting && !p->has_last);
    s->ends++;
}

/* `all`: threads of the model; `threads`: of the pool, at most. */
static void make(unsigned users, unsigned all, uint32_t threads, unsigned jobs)
{
    nart_workers_opts opts = NART_WORKERS_OPTS_INIT;

    s = MODEL_NEW(state);
    touch(s, sizeof *s);
    touch(&plain, sizeof plain);
    touch(&patient, sizeof patient);
    touch(&meeting, sizeof meeting);
    touch(&exiting, sizeof exiting);
    touch(&nart__alloc_std, sizeof nart__alloc_std);
    system_init(&s->os, users, all);
    s->left = users;
    NART__STORE(&s->shut, 0u, NART__RELAXED);
    opts.threads = threads;
    opts.idle_ns = SOON;
    opts.on_end = on_end;
    MODEL_CHECK(nart_workers_new(&opts, &s->pool) == 0);
    touch(s->pool, sizeof *s->pool);
    for (unsigned k = 0; k < jobs; k++) {
        s->jobs[k] = nart__job_new(s->pool, sizeof(data), NART__ALIGNOF(data));
        NART__STORE(&s->jobs[k]->cancelled, 0u, NART__RELAXED);
        touch(s->jobs[k], s->jobs[k]->bytes);
    }
}

/* Nothing of a pool is left, and nobody has written to what was freed. */
static void after(void)
{
    for (unsigned k = 0; k < JOBS; k++)
        MODEL_CHECK(s->ran[k] <= 1 && s->dropped[k] == s->filled[k]);
    MODEL_CHECK(s->ends == 1);
    system_check();
    MODEL_DELETE(s);
}

/* No thread is left but those that have detached themselves before. */
static void shut_down(void)
{
    MODEL_CHECK(nart_workers_shutdown(s->pool, NART_NEVER) == 0);
    NART__STORE(&s->shut, 1u, NART__RELAXED);
    enter();
    for (unsigned i = 0; i < os->started; i++)
        MODEL_CHECK(os->fates[i] == DETACHED || (os->ended[i] && os->fates[i] == JOINED));
    quit();
}

static void free_pool(void)
{
    nart_workers_free(s->pool);
    over();
}

/* The last user frees the pool. */
static void end_user(void)
{
    enter();
    bool last = --s->left == 0;
    quit();
    if (last)
        free_pool();
    else
        over();
}

#endif
