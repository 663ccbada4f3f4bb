/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_local.c: wrong: a local variable of a body is used after an await. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:wrong]
struct count {
    nart_co co;
    nart_timer timer;
};

static nart_res count_run(nart_cx *cx, void *frame)
{
    struct count *f = frame;
    int sum = 0; // initialised again in every poll
    nart_res r;

    NART_BEGIN(cx, &f->co);
    sum = 40;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS));
    sum += 2;
    printf("sum = %d\n", sum);
    NART_END(r);
}
// --8<-- [end:wrong]

NART_TASK_TYPED(count, struct count, count_run, NULL);

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = count_block_on(rt, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
