/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hello.c: the smallest program, in both forms: a task that is a body, and then one that is a fiber. */
#include <nart/nart.h>

#include <stdio.h>

struct hello {
    nart_co co;
    nart_timer timer;
    int i;
};

static nart_res hello_run(nart_cx *cx, void *frame)
{
    struct hello *h = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &h->co);
    for (h->i = 0; h->i < 3 && r == 0; h->i++) {
        puts("hello from a body");
        NART_AWAIT(r, nart_sleep(cx, &h->timer, 10 * NART_MS));
    }
    NART_END(r);
}
NART_TASK_TYPED(hello, struct hello, hello_run, NULL);

static nart_res hello_fiber(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = 0;

    for (int i = 0; i < 3 && r == 0; i++) {
        puts(arg);
        r = nart_await(cx, nart_sleep(cx, &timer, 10 * NART_MS));
    }
    return r;
}

int main(void)
{
    char text[] = "hello from a fiber";
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = hello_block_on(rt, &(struct hello){ .i = 0 }, &answer);
    if (r == 0 && answer == 0)
        r = nart_fiber_block_on(rt, hello_fiber, text, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
