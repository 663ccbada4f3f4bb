/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_capitals.c: wrong: a fiber awaits by the macro of a body. */
#include <nart/nart.h>

// --8<-- [start:wrong]
static nart_res nap(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = 0;

    (void)arg;
    NART_AWAIT(r, nart_sleep(cx, &timer, NART_MS));
    return r;
}
// --8<-- [end:wrong]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, nap, NULL, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
