/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One task waits for the flag that the other sets. */
#include "example.h"

struct flag {
    bool set;
    nart_waker waker;
};

/* DECLARATIONS */

static struct flag flag;

static nart_res set(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    flag.set = true;
    nart_waker_wake(flag.waker);
    return 0;
}

static const nart_task_type set_type = NART_TASK_TYPE(int, set, NULL);

struct frame {
    nart_co co;
    struct flag *flag;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    r = nart_spawn(cx, &set_type, NULL, NULL);
    if (r == 0)
        NART_AWAIT(r, flag_await(cx, f->flag));
    NART_END(r);
}

int main(void)
{
    struct frame f = { .flag = &flag };
    return example_run(example_rt(), run, sizeof f, &f) || !flag.set;
}
