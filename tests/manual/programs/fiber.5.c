/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fibers as the jobs of a pool. */
#include "example.h"

static nart_res serve(nart_cx *cx, void *arg)
{
    int *conn = arg;

    *conn += nart_yield(cx) == 0;
    return 0;
}

static nart_res run(nart_cx *cx, void *conn)
{
    nart_task_set_node nodes[4];
    nart_pool pool;
    nart_res r = 0;

    nart_pool_init(&pool, nodes, 4, NART_POOL_CANCEL_ON_ERROR);
    /* STATEMENTS */
    if (r == 0)
        r = nart_await(cx, nart_pool_join(cx, &pool));
    nart_pool_close(&pool);
    return r;
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res answer = -1;
    int conn = 0;

    if (nart_fiber_block_on(rt, run, &conn, NULL, &answer) != 0)
        return 1;
    nart_rt_free(rt);
    return answer != 0 || conn != 1000;
}
