/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct frame {
    nart_co co;
    nart_timer timer;
    nart_tx tx;
    nart_rx rx;
    int value;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
    NART_END(r == 0 && f->value == 3 ? 0 : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .co = { 0 } };
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;

    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof f.value;
    opts.capacity = 1;
    if (nart_chan_open(rt, &opts, &f.tx, &f.rx) != 0 || nart_try_send(&f.tx, &(int){ 3 }) != 0)
        return 1;
    return example_run(rt, run, sizeof f, &f);
}
