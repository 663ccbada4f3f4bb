/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fails twice, then succeeds. */
#include "example.h"

struct frame {
    nart_co co;
    nart_backoff backoff;
    nart_res r;
    int tries;
};

static nart_res try_it(nart_cx *cx, struct frame *f)
{
    (void)cx;
    return ++f->tries < 3 ? -EAGAIN : 0;
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    NART_END(f->tries == 3 ? f->r : -EIO);
}

int main(void)
{
    struct frame f = { .backoff = NART_BACKOFF_INIT };
    return example_run(example_rt(), run, sizeof f, &f);
}
