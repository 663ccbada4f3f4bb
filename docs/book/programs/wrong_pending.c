/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_pending.c: wrong: an operation is called without an await. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:wrong]
static nart_res job(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = nart_sleep(cx, &timer, NART_SEC); // without nart_await()

    printf("%s\n", nart_err_name(r));
    (void)arg;
    return 0;
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
