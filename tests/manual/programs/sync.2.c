/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct frame {
    nart_co co;
    nart_mutex *mutex;
    nart_lock lock;
    nart_timer timer;
};

static nart_res write_record(nart_cx *cx, struct frame *f)
{
    nart_lock second = { 0 };

    if (nart_mutex_try_lock(cx, f->mutex, &second) != -EDEADLK)
        return -EIO;
    return nart_sleep(cx, &f->timer, NART_SEC);
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    if (r == 0 && nart_mutex_try_lock(cx, f->mutex, &f->lock) == 0)
        NART_RETURN(nart_lock_release(&f->lock));
    NART_END(-EIO);
}

int main(void)
{
    nart_mutex mutex = { 0 };
    struct frame f = { .mutex = &mutex };

    return example_run(example_rt(), run, sizeof f, &f);
}
