/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* resume.c: an operation whose deadline passed in the middle is continued. */
#include "main.h"

#include <errno.h>
#include <stdio.h>

// --8<-- [start:program]
static nart_res send_five(nart_cx *cx, nart_tx *tx, nart_rx *rx)
{
    const int values[5] = { 1, 2, 3, 4, 5 };
    size_t done = 0; // how many were sent
    int got[2];
    nart_res r;

    r = nart_await_for(cx, NART_MS, nart_send_many(cx, tx, values, 5, &done));
    printf("%s: %zu sent\n", nart_err_name(r), done); // the channel has two slots
    while (r == -ETIMEDOUT) {
        r = nart_await(cx, nart_recv_many(cx, rx, got, 2));
        if (r > 0) // the same call with the same `done` sends the rest
            r = nart_await_for(cx, NART_MS, nart_send_many(cx, tx, values, 5, &done));
    }
    printf("%s: all sent\n", r == 5 ? "5" : nart_err_name(r));
    return r;
}
// --8<-- [end:program]

static nart_res run(nart_cx *cx, void *arg)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_tx tx;
    nart_rx rx;

    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof(int);
    opts.capacity = 2;
    nart_res r = nart_chan_open(nart_cx_rt(cx), &opts, &tx, &rx);
    if (r == 0)
        r = send_five(cx, &tx, &rx);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    (void)arg;
    return r;
}

int main(void)
{
    return run_fiber(run, NULL);
}
