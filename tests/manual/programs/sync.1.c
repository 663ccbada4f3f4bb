/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct frame {
    nart_co co;
    nart_semaphore *permits;
    nart_waiter waiter;
    nart_timer timer;
};

static nart_res work(nart_cx *cx, struct frame *f)
{
    return nart_semaphore_permits(f->permits) == 0 ? nart_sleep(cx, &f->timer, NART_SEC) : -EIO;
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    NART_END(r);
}

int main(void)
{
    nart_semaphore permits;
    struct frame f = { .permits = &permits };

    nart_semaphore_init(&permits, 1);
    return example_run(example_rt(), run, sizeof f, &f) || nart_semaphore_permits(&permits) != 1;
}
