/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_return.c: wrong: a body is left by return. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:wrong]
struct job {
    nart_co co;
    nart_timer timer;
    int times;
};

static nart_res nap(nart_cx *cx, struct job *f)
{
    nart_res r;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS));
    if (r == 0)
        return 0; // NART_RETURN(0) is right
    NART_END(r);
}

/* Naps twice. */
static nart_res job(nart_cx *cx, void *arg)
{
    struct job f = { .times = 0 };
    nart_res r = nart_await(cx, nap(cx, &f));

    (void)arg;
    return r < 0 ? r : nart_await(cx, nap(cx, &f));
}
// --8<-- [end:wrong]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, job, NULL, NULL, NULL);
    nart_rt_free(rt);
    return r < 0;
}
