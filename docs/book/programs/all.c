/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* all.c: waits for two functions at the same time. */
#include "main.h"

#include <errno.h>
#include <stdio.h>

// --8<-- [start:program]
static nart_res ask(nart_cx *cx, void *arg)
{
    int *price = arg;
    nart_timer timer = { 0 };
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, NART_MS));

    if (r == 0 && *price == 0)
        r = -ENOENT;
    if (r == 0)
        *price += 100;
    return r;
}

static nart_res both(nart_cx *cx, void *arg)
{
    nart_branch branches[2] = { 0 };
    nart_arm arms[2] = { 0 };
    int prices[2] = { 7, 0 };
    nart_res r = nart_await_all(cx, arms, nart_branch_run(cx, &branches[0], ask, &prices[0]),
                                nart_branch_run(cx, &branches[1], ask, &prices[1]));

    printf("all: %s\n", nart_err_name(r));
    for (int i = 0; i < 2; i++)
        printf("%d: %s, %d\n", i, nart_err_name(arms[i].res), prices[i]);
    (void)arg;
    return 0;
}
// --8<-- [end:program]

int main(void)
{
    return run_fiber(both, NULL);
}
