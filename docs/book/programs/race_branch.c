/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* race_branch.c: a race with a function that awaits. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:program]
/* Written like a fiber; an arm of the race below. */
static nart_res lookup(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, 30 * NART_SEC));

    printf("lookup: %s\n", nart_err_name(r));
    (void)arg;
    return r;
}

static nart_res caller(nart_cx *cx, void *arg)
{
    nart_branch branch = { 0 };
    nart_timer timer = { 0 };
    int which;
    nart_res r = nart_await_any(cx, which, nart_branch_run(cx, &branch, lookup, NULL),
                                nart_sleep(cx, &timer, NART_MS));

    if (which == 1) { // the lookup has not ended: unwind it
        nart_res stopped = nart_await(cx, nart_branch_stop(cx, &branch));
        printf("stopped: %s\n", nart_err_name(stopped));
    }
    (void)arg;
    return r;
}
// --8<-- [end:program]

int main(void)
{
    return run_fiber(caller, NULL);
}
