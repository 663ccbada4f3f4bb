/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cancel.c: a task cancels another one, and awaits its end. */
#include "main.h"

#include <errno.h>
#include <stdio.h>

// --8<-- [start:program]
static nart_res worker(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r;

    (void)arg;
    do {
        r = nart_await(cx, nart_sleep(cx, &timer, 10 * NART_SEC));
    } while (r == 0);
    printf("worker: %s\n", nart_err_name(r));
    return r; // after releasing what it holds
}

static nart_res parent(nart_cx *cx, void *arg)
{
    nart_join join = { 0 };
    nart_res answer = 0;
    nart_res r = nart_fiber_spawn(cx, worker, NULL, NULL, &join);

    if (r == 0)
        r = nart_task_cancel(nart_cx_rt(cx), nart_join_task(&join));
    if (r == 0)
        r = nart_await(cx, nart_join_await(cx, &join, &answer));
    printf("join: %s\n", nart_err_name(r));
    nart_join_release(&join);
    (void)arg;
    return r == NART_EABORTED ? 0 : r;
}
// --8<-- [end:program]

int main(void)
{
    return run_fiber(parent, NULL);
}
