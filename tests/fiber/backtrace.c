/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program for a debugger: it stops in stop_here(), called by a fiber. */
#include <nart/fiber.h>

__attribute__((noinline)) static int stop_here(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

__attribute__((noinline)) static nart_res inner(nart_cx *cx, int n)
{
    nart_res r = nart_yield(cx);

    return stop_here(n) + r;
}

static nart_res visits(nart_cx *cx, void *arg)
{
    return nart_await(cx, inner(cx, *(int *)arg));
}

int main(void)
{
    nart_rt *rt;
    int n = 3;

    if (nart_rt_new(NULL, &rt) < 0 || nart_rt_fiber_spawn(rt, visits, &n, NULL, NULL) < 0 ||
        nart_rt_run(rt) < 0)
        return 1;
    return nart_rt_free(rt) < 0;
}
