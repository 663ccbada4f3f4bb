/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct quote {
    int price;
};

/* DECLARATIONS */

struct frame {
    nart_co co;
    nart_rx rx;
    struct quote quote;
    int count;
};

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    NART_END(r == NART_ECLOSED && f->count == 2 && f->quote.price == 7 ? 0 : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .co = { 0 } };
    nart_tx tx;

    if (quotes_open(rt, NART_CHAN_LOCAL, 4, &tx, &f.rx) != 0 ||
        quotes_try_send(&tx, (struct quote){ 5 }) != 0 ||
        quotes_try_send(&tx, (struct quote){ 7 }) != 0)
        return 1;
    nart_tx_close(&tx);
    return example_run(rt, run, sizeof f, &f);
}
