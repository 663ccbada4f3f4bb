/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A fiber that another thread could have spawned, and joined. */
#include "example.h"

static nart_remote remote;
static nart_remote_join join;

static nart_res serve(nart_cx *cx, void *arg)
{
    int *conn = arg;

    *conn += nart_yield(cx) == 0;
    return *conn;
}

static nart_res run(nart_cx *cx, void *conn)
{
    nart_res r, answer = 0;

    /* STATEMENTS */
    if (r == 0)
        r = nart_await(cx, nart_remote_join_await(cx, &join, &answer));
    nart_remote_join_release(&join);
    return r ? r : answer;
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res answer = -1;
    int conn = 3;

    remote = nart_rt_remote(rt);
    if (nart_fiber_block_on(rt, run, &conn, NULL, &answer) != 0)
        return 1;
    nart_rt_free(rt);
    return answer != 4;
}
