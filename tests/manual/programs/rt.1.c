/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A host that waits by poll() until a sleep ends. */
#include "example.h"

#include <poll.h>

static nart_rt *rt;

static void wait_readable(int fd, int64_t at)
{
    int64_t ns = at - nart_rt_now(rt);

    (void)poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1,
               ns <= 0 ? 0 : (int)(ns / NART_MS + 1));
}

static nart_res nap(nart_cx *cx, void *frame)
{
    return nart_sleep(cx, frame, 3 * NART_MS);
}

static const nart_task_type nap_type = NART_TASK_TYPE(nart_timer, nap, NULL);

int main(void)
{
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_rt_spawn(rt, &nap_type, NULL, NULL);
    while (r >= 0 && nart_rt_task_count(rt) > 0) {
        /* STATEMENTS */
    }
    nart_rt_free(rt);
    return r < 0;
}
