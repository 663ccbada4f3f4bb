/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_outside.c: wrong: a function that awaits is called by a body. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:wrong]
static nart_res pause_a_bit(nart_cx *cx)
{
    nart_timer timer = { 0 };

    return nart_await(cx, nart_sleep(cx, &timer, NART_MS));
}

struct job {
    nart_co co;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    struct job *f = frame;
    nart_res r;

    NART_BEGIN(cx, &f->co);
    r = pause_a_bit(cx); // a body has no stack that could wait
    printf("%s\n", nart_strerror(r));
    NART_END(r);
}
// --8<-- [end:wrong]

NART_TASK_TYPED(job, struct job, job_run, NULL);

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = job_block_on(rt, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
