/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* deadline.c: deadlines nest. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:program]
/* Works for `work`, but for at most `limit`. */
static nart_res step(nart_cx *cx, int64_t work, int64_t limit)
{
    nart_timer timer = { 0 };
    nart_res r = nart_await_for(cx, limit, nart_sleep(cx, &timer, work));

    printf("  step: %s\n", nart_err_name(r));
    return r;
}

static nart_res caller(nart_cx *cx, void *arg)
{
    nart_res r;

    puts("in time:");
    r = nart_await_for(cx, 20 * NART_SEC, step(cx, NART_MS, 10 * NART_SEC));
    printf("  caller: %s\n", nart_err_name(r));

    puts("the step's own deadline:");
    r = nart_await_for(cx, 20 * NART_SEC, step(cx, 30 * NART_SEC, NART_MS));
    printf("  caller: %s\n", nart_err_name(r));

    puts("the caller's deadline:");
    r = nart_await_for(cx, NART_MS, step(cx, 30 * NART_SEC, 10 * NART_SEC));
    printf("  caller: %s\n", nart_err_name(r));
    (void)arg;
    return 0;
}
// --8<-- [end:program]

int main(void)
{
    return run_fiber(caller, NULL);
}
