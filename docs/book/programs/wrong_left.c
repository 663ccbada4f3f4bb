/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_left.c: wrong: a function returns while tasks use its variables. */
#include <nart/nart.h>

// --8<-- [start:wrong]
static nart_res child(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, NART_MS));

    *(int *)arg = 42;
    return r;
}

static nart_res parent(nart_cx *cx, void *arg)
{
    int result = 0; // the child writes here
    nart_nursery nursery = { 0 };
    nart_res r = nart_nursery_open(cx, &nursery, 0);

    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &nursery, child, &result, NULL);
    (void)arg;
    return r; // without nart_nursery_join(): the child still runs
}
// --8<-- [end:wrong]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, parent, NULL, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
