/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_argument.c: wrong: an awaited expression with a side effect. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:wrong]
static nart_res job(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    int tries = 0;
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, ++tries * NART_MS));

    printf("tries = %d\n", tries);
    (void)arg;
    return r;
}
// --8<-- [end:wrong]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, job, NULL, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
