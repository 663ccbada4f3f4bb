/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pool.c: twenty jobs, four at a time. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
struct counts {
    int running, peak;
};

struct job {
    int number;
    struct counts *counts;
};

static nart_res job(nart_cx *cx, void *arg)
{
    const struct job *j = arg;
    nart_timer timer = { 0 };

    if (++j->counts->running > j->counts->peak)
        j->counts->peak = j->counts->running;
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, NART_MS)); // the work
    j->counts->running--;
    return r;
}

static nart_res run(nart_cx *cx, void *arg)
{
    nart_task_set_node nodes[4]; // four at a time
    nart_pool pool;
    nart_res r = 0;

    nart_pool_init(&pool, nodes, 4, NART_POOL_CANCEL_ON_ERROR);
    for (int i = 0; i < 20 && r == 0; i++) {
        struct job next = { i, arg }; // moves into the fiber

        r = nart_await(cx, nart_pool_fiber_spawn_value(cx, &pool, job, &next, NULL));
    }
    if (r == 0)
        r = nart_await(cx, nart_pool_join(cx, &pool));
    nart_pool_close(&pool); // cancels what still runs, after an error
    return r < 0 ? r : (nart_res)pool.taken;
}

int main(void)
{
    struct counts counts = { 0, 0 }; // outlives all jobs
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, run, &counts, NULL, &answer);
    nart_rt_free(rt);
    printf("%d jobs, at most %d at a time\n", (int)answer, counts.peak);
    return r < 0 || answer < 0;
}
// --8<-- [end:program]
