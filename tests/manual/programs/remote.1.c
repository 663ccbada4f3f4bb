/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct job {
    int number;
};

static int done;

static nart_res job_run(nart_cx *cx, void *frame)
{
    const struct job *job = frame;

    (void)cx;
    done = job->number;
    return 0;
}

static const nart_task_type job_type = NART_TASK_TYPE(struct job, job_run, NULL);

int main(void)
{
    nart_rt *rt = example_rt();
    nart_remote remote;
    nart_res r = 0;
    struct job job = { 7 };

    /* STATEMENTS */
    if (r == 0)
        r = nart_rt_run(rt);
    nart_rt_free(rt);
    return r != 0 || done != 7;
}
