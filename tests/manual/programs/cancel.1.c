/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The token is cancelled: the fetch, which would take for ever, unwinds. */
#include "example.h"

struct page {
    nart_co co;
    nart_timer timer;
};

static bool unwound;

static nart_res fetch_page(nart_cx *cx, struct page *p)
{
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT(r, nart_sleep(cx, &p->timer, NART_NEVER));
    unwound = r == -ECANCELED;
    NART_END(r);
}

struct frame {
    nart_co co;
    struct page page;
    nart_token token;
    nart_waiter waiter;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_token_release(&f->token);
    NART_END(r == -ECANCELED ? 0 : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .co = { 0 } };

    if (nart_token_new(rt, &f.token) != 0)
        return 1;
    nart_token_cancel(&f.token);
    return example_run(rt, run, sizeof f, &f) || !unwound;
}
