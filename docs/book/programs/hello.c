/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hello.c: a task that sleeps three times. */
#include <nart/nart.h>

#include <stdio.h>

static nart_res hello(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = 0;

    for (int i = 0; i < 3 && r == 0; i++) {
        printf("hello, %s\n", (const char *)arg);
        r = nart_await(cx, nart_sleep(cx, &timer, 100 * NART_MS));
    }
    return r;
}

int main(void)
{
    char name[] = "world";
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, hello, name, NULL, &answer);
    nart_rt_free(rt);
    if (r == 0)
        r = answer;
    if (r < 0)
        fprintf(stderr, "hello: %s\n", nart_strerror(r));
    return r < 0;
}
