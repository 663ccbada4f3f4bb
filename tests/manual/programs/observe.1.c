/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

static nart_res twice(nart_cx *cx, void *frame)
{
    int *polls = frame;

    nart_wake_self(cx);
    return ++*polls < 2 ? NART_PENDING : 0;
}

static const nart_task_type twice_type = NART_TASK_TYPE(int, twice, NULL);

int main(void)
{
    nart_rt *rt = example_rt();

    if (nart_rt_spawn(rt, &twice_type, NULL, NULL) != 0)
        return 1;
    /* STATEMENTS */
    nart_rt_free(rt);
    return r != 0;
}
