/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct frame {
    nart_co co;
    nart_arm both[2];
    nart_tx tx[2];
    nart_rx left, right;
    int a, b;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_rx_close(&f->left);
    nart_rx_close(&f->right);
    NART_END(r == NART_ECLOSED && f->a == 3 && f->both[1].res == NART_ECLOSED ? 0 : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .co = { 0 } };
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;

    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof f.a;
    opts.capacity = 1;
    if (nart_chan_open(rt, &opts, &f.tx[0], &f.left) != 0 ||
        nart_chan_open(rt, &opts, &f.tx[1], &f.right) != 0 ||
        nart_try_send(&f.tx[0], &(int){ 3 }) != 0)
        return 1;
    nart_tx_close(&f.tx[0]);
    nart_tx_close(&f.tx[1]);
    return example_run(rt, run, sizeof f, &f);
}
