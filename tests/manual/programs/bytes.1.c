/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One task sends to itself, then receives. */
#include "example.h"

struct quote {
    int price;
};

struct frame {
    nart_co co;
    nart_bytes_tx tx;
    nart_bytes_rx rx;
    nart_bytes_buf buf;
    nart_bytes_msg msg;
};

static size_t encode(void *to)
{
    memcpy(to, "123", 3);
    return 3;
}

static int decoded;

static void decode(const void *from, size_t len)
{
    decoded = len == 3 && memcmp(from, "123", 3) == 0;
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_bytes_tx_close(&f->tx);
    nart_bytes_rx_close(&f->rx);
    NART_END(r);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .co = { 0 } };
    nart_bytes_opts opts = NART_BYTES_OPTS_INIT;

    opts.kind = NART_BYTES_SPSC;
    opts.capacity = 1024;
    if (nart_bytes_open(rt, &opts, &f.tx, &f.rx) != 0)
        return 1;
    return example_run(rt, run, sizeof f, &f) || !decoded;
}
