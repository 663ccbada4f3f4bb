/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two tasks add to a number in the frame of the one that spawned them. */
#include "example.h"

struct part {
    nart_timer timer;
    int *sum;
};

static nart_res part_run(nart_cx *cx, void *frame)
{
    struct part *p = frame;
    nart_res r = nart_sleep(cx, &p->timer, NART_MS);

    if (r == 0)
        *p->sum += 1;
    return r;
}

static const nart_task_type part_type = NART_TASK_TYPE(struct part, part_run, NULL);

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct pair *f = frame;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    NART_END(f->r == 0 && f->error == 0 && f->sum == 2 ? 0 : -EIO);
}

int main(void)
{
    return example_run(example_rt(), run, sizeof(struct pair), NULL);
}
