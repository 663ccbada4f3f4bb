/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

static nart_tcp sock;
static nart_rx rx;

static nart_res run(nart_cx *cx, void *arg)
{
    char buf[8];
    nart_res n;
    int which, line = 0;

    (void)arg;
    /* STATEMENTS */
    return which == 0 && line == 0 && n == 3 && buf[2] == 'c' ? 0 : -EIO;
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res answer = -1;
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_tx tx;
    int one, other;

    example_tcp(&one, &other);
    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof(int);
    opts.capacity = 1;
    if (nart_chan_open(rt, &opts, &tx, &rx) != 0 || nart_tcp_adopt(rt, one, &sock) != 0 ||
        send(other, "abc", 3, 0) != 3 || nart_fiber_block_on(rt, run, NULL, NULL, &answer) != 0)
        return 1;
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_tcp_close(&sock);
    nart_rt_free(rt);
    return answer != 0;
}
