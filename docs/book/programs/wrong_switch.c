/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_switch.c: wrong: a body awaits in a switch. */
#include <nart/nart.h>

// --8<-- [start:wrong]
struct job {
    nart_co co;
    nart_timer timer;
    int kind;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    struct job *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    switch (f->kind) {
    case 1:
        NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS));
        break;
    default:
        break;
    }
    NART_END(r);
}
// --8<-- [end:wrong]

NART_TASK_TYPED(job, struct job, job_run, NULL);
