/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_ignore.c: wrong: a fiber that does not end when it is cancelled. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:wrong]
static nart_res ten_ticks(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    int ticks = 0;

    while (ticks < 10) {
        nart_res r = nart_await(cx, nart_sleep(cx, &timer, NART_SEC));
        if (r == 0)
            ticks++; // and after -ECANCELED? it must return
    }
    (void)arg;
    return 0;
}

static nart_res cancels(nart_cx *cx, void *arg)
{
    nart_join join = { 0 };
    nart_res answer, r = nart_fiber_spawn(cx, ten_ticks, NULL, NULL, &join);

    (void)arg;
    if (r == 0)
        r = nart_yield(cx); // it begins
    if (r == 0)
        r = nart_task_cancel(nart_cx_rt(cx), nart_join_task(&join));
    if (r == 0)
        r = nart_await(cx, nart_join_await(cx, &join, &answer));
    printf("join: %s\n", nart_err_name(r));
    nart_join_release(&join);
    return 0;
}
// --8<-- [end:wrong]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, cancels, NULL, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
