/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* block.c: jobs in memory of their owners.
 *
 * What it keeps true: a block is a job that no handle frees, and that holds no reference to its pool. */
#include "work.h"

#include <string.h>

_Static_assert(sizeof(nart_job) <= sizeof(nart_job_block), "a block holds a job");

static nart_job *job_of(nart_job_block *b)
{
    return (nart_job *)(void *)b;
}

nart_res nart_job_start(nart_job_block *b, nart_workers *pool, const nart_work_type *type,
                        const char *name, void *data, void (*ended)(void *data, nart_res res),
                        const void *owner)
{
    nart_res r = b && ended ? nart__work_type_check(type) : -EINVAL;
    nart_workers *p = nart__workers_of(pool);

    if (r || !p)
        return r ? r : NART_EFORK;
    nart_job *j = job_of(b);
    memset(j, 0, sizeof *j);
    j->pool = p;
    j->fork_epoch = p->fork_epoch;
    j->type = type;
    j->name = name ? name : type->name;
    j->data = data;
    j->end = ended;
    j->owner = owner;
    return nart__job_submit(j, true);
}

void nart_job_cancel(nart_job_block *b)
{
    nart_job *j = job_of(b);

    if (!nart__job_is_forked(j))
        nart__job_cancel(j);
}

void nart_jobs_end(nart_workers *pool, const void *owner)
{
    nart_workers *p = nart__workers_of(pool);

    if (!p)
        return;
    nart__lock_enter(&p->lock);
    nart__workers_end(p, NART_ESHUTDOWN, owner);
    nart__lock_leave(&p->lock);
}

void nart_jobs_each(nart_workers *pool, const void *owner,
                    void (*see)(void *arg, const char *name, bool runs), void *arg)
{
    nart_workers *p = nart__workers_of(pool);

    if (!p)
        return;
    nart__lock_enter(&p->lock);
    for (const nart_job *j = p->run.first; j; j = j->next)
        if (j->owner == owner)
            see(arg, j->name, true);
    for (const nart_job *j = p->queue.first; j; j = j->next)
        if (j->owner == owner)
            see(arg, j->name, false);
    nart__lock_leave(&p->lock);
}
