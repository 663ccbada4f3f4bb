/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A fiber in a nursery. */
#include "example.h"

static nart_res serve(nart_cx *cx, void *arg)
{
    int *conn = arg;

    *conn += nart_yield(cx) == 0;
    return 0;
}

static nart_res run(nart_cx *cx, void *arg)
{
    nart_nursery n = { 0 };
    int *conn = arg;
    nart_res r, error = 0;

    /* STATEMENTS */
    if (r == 0)
        r = nart_await(cx, nart_nursery_join(cx, &n, &error));
    return r ? r : error;
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res answer = -1;
    int conn = 3;

    if (nart_fiber_block_on(rt, run, &conn, NULL, &answer) != 0)
        return 1;
    nart_rt_free(rt);
    return answer != 0 || conn != 4;
}
