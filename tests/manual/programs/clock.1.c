/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A sleep of an hour. */
#include "example.h"

static nart_res nap(nart_cx *cx, void *frame)
{
    return nart_sleep(cx, frame, 3600 * NART_SEC);
}

static const nart_task_type nap_type = NART_TASK_TYPE(nart_timer, nap, NULL);

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_rt_spawn(rt, &nap_type, NULL, NULL);
    if (r != 0)
        return 1;
    /* STATEMENTS */
    nart_rt_free(rt);
    return r != 0;
}
