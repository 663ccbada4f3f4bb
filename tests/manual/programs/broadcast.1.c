/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The sender sends twice and closes; the newest value is seen. */
#include "example.h"

struct limits {
    int high;
};

struct frame {
    nart_co co;
    nart_watch_rx rx;
    struct limits limits;
};

static int applied;

static void apply(const struct limits *limits)
{
    applied = limits->high;
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_watch_rx_close(&f->rx);
    NART_END(r == NART_ECLOSED ? 0 : r);
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_watch_tx tx;
    struct frame f = { .limits.high = 1 };

    if (nart_watch_open(rt, sizeof f.limits, &f.limits, &tx, &f.rx) != 0)
        return 1;
    for (int i = 2; i < 4; i++)
        if (nart_watch_send(&tx, &(struct limits){ i }) != 1)
            return 1;
    nart_watch_tx_close(&tx);
    return example_run(rt, run, sizeof f, &f) || applied != 3;
}
