/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* look.c: a pool at one moment. Nothing is printed within the lock. */
#include "work.h"

#include <string.h>

enum { DUMPED = 64 };

nart_res nart_workers_stats_get(nart_workers *pool, nart_workers_stats *out)
{
    nart_workers_stats s = NART_WORKERS_STATS_INIT;

    if (!out)
        return -EINVAL;
    if (out->size < sizeof out->size)
        return NART_EABI;
    nart_workers *p = nart__workers_of(pool);
    if (!p)
        return NART_EFORK;
    nart__lock_enter(&p->lock);
    s.threads = p->threads;
    s.idle = p->idle;
    s.running = p->running;
    s.queued = p->queued;
    s.started = p->started;
    nart__lock_leave(&p->lock);
    size_t size = out->size;
    memcpy(out, &s, size < sizeof s ? size : sizeof s);
    out->size = size;
    return 0;
}

/* The names of the first jobs. */
static int names_of(const struct nart__job_list *l, const char **names)
{
    int n = 0;

    for (const nart_job *j = l->first; j && n < DUMPED; j = j->next)
        names[n++] = j->name;
    return n;
}

void nart_workers_dump(nart_workers *pool, FILE *out)
{
    const char *running[DUMPED], *queued[DUMPED];
    nart_workers *p = nart__workers_of(pool);

    if (!p)
        return;
    nart__lock_enter(&p->lock);
    uint32_t threads = p->threads, n_running = p->running, n_queued = p->queued;
    int r = names_of(&p->run, running), q = names_of(&p->queue, queued);
    nart__lock_leave(&p->lock);
    fprintf(out, "%s: %u threads, %u jobs run, %u are queued\n", p->name, threads, n_running,
            n_queued);
    for (int i = 0; i < r; i++)
        fprintf(out, "%s: runs\n", running[i]);
    for (int i = 0; i < q; i++)
        fprintf(out, "%s: queued\n", queued[i]);
}
