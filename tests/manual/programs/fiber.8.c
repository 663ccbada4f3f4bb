/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An operation and a function at once. */
#include "example.h"

struct conn {
    nart_timer timer;
    nart_res ended;
};

static nart_tx tx;
static nart_rx rx;

static nart_res say(nart_cx *cx, void *arg)
{
    return nart_await(cx, nart_send(cx, &tx, arg));
}

static nart_res talk(nart_cx *cx, void *arg)
{
    struct conn *conn = arg;

    conn->ended = nart_await(cx, nart_sleep(cx, &conn->timer, NART_SEC));
    return -EIO;
}

static nart_res run(nart_cx *cx, void *arg)
{
    struct conn conn = { .ended = 0 };
    int line = 0, seven = 7;
    nart_res r = nart_fiber_spawn(cx, say, &seven, NULL, NULL);

    (void)arg;
    if (r != 0)
        return r;
    /* STATEMENTS */
    return r == -EIO && both[0].res == 0 && line == 7 && both[1].res == -EIO ? 0 : -EINVAL;
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res answer = -1;
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;

    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof(int);
    opts.capacity = 1;
    if (nart_chan_open(rt, &opts, &tx, &rx) != 0 ||
        nart_fiber_block_on(rt, run, NULL, NULL, &answer) != 0)
        return 1;
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_rt_free(rt);
    return answer != 0;
}
