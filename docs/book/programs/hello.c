/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hello.c: a task that sleeps three times. */
// --8<-- [start:program]
#include <nart/nart.h>

#include <stdio.h>

static nart_res hello(nart_cx *cx, void *arg)
{
    const char *name = arg;
    nart_timer timer = { 0 };

    for (int i = 0; i < 3; i++) {
        printf("hello, %s\n", name);
        nart_res r = nart_await(cx, nart_sleep(cx, &timer, 100 * NART_MS));
        if (r < 0)
            return r;
    }
    return 0;
}

int main(void)
{
    char name[] = "world";
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, hello, name, NULL, &answer);
    if (r == 0)
        r = answer;
    if (r < 0)
        fprintf(stderr, "hello: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}
// --8<-- [end:program]
