/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"
#include <nart/time.h>

struct sweeper {
    nart_co co;
    nart_timer timer;
    nart_res r;
};

static nart_res sweeper_run(nart_cx *cx, void *frame)
{
    struct sweeper *f = frame;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 3600 * NART_SEC));
        if (f->r < 0)
            break;
    }
    NART_END(f->r);
}

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res r = 0;

    /* STATEMENTS */
    if (nart_rt_task_count(rt) != 1)
        r = 1;
    nart_rt_free(rt);
    return r != 0;
}
