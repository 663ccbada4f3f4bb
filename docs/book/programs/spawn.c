/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spawn.c: spawns two tasks and takes their answers. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
struct sum {
    int from, to; /* the input */
    int total;    /* the result, which the fiber stores here */
};

static nart_res add(nart_cx *cx, void *arg)
{
    struct sum *s = arg;

    for (int i = s->from; i <= s->to; i++) {
        nart_res r = nart_yield(cx); // others may run
        if (r < 0)
            return r;
        s->total += i;
    }
    return 0;
}

static nart_res both(nart_cx *cx, void *arg)
{
    struct sum *sums = arg;
    nart_join joins[2] = { 0 };
    nart_res answer, r = 0;

    for (int i = 0; i < 2 && r == 0; i++)
        r = nart_fiber_spawn(cx, add, &sums[i], NULL, &joins[i]);
    for (int i = 0; i < 2 && r == 0; i++) {
        r = nart_await(cx, nart_join_await(cx, &joins[i], &answer));
        if (r == 0)
            r = answer;
    }
    for (int i = 0; i < 2; i++)
        nart_join_release(&joins[i]);
    return r;
}

int main(void)
{
    struct sum sums[2] = { { .from = 1, .to = 10 }, { .from = 11, .to = 20 } };
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, both, sums, NULL, &answer);
    nart_rt_free(rt);
    printf("%d + %d\n", sums[0].total, sums[1].total);
    return r < 0 || answer < 0;
}
// --8<-- [end:program]
