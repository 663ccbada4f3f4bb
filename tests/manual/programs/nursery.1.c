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

static const nart_task_type pair_type = NART_TASK_TYPE(struct pair, pair_run, NULL);

/* Its answer, or -EIO if the sum is not `sum`. */
static nart_res pair_in(nart_rt *rt, int sum)
{
    nart_join join = { 0 };
    nart_res r = nart_rt_spawn(rt, &pair_type, NULL, &join);

    if (r == 0)
        r = nart_rt_run(rt);
    const struct pair *f = nart_join_frame(&join);
    if (r == 0)
        r = f && f->sum == sum ? f->r : -EIO;
    nart_join_release(&join);
    nart_rt_free(rt);
    return r;
}

int main(void)
{
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    nart_rt *one_part = NULL;

    for (int i = 0; i < NART_SLOT_CLASSES; i++)
        opts.slots[i] = 1;
    return pair_in(example_rt(), 2) != 0 || nart_rt_new(&opts, &one_part) != 0 ||
           pair_in(one_part, 0) != NART_ESLOTS;
}
