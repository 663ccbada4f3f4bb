/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* race_deadline.c: a race under a deadline: the first quote of two feeds, for at most 10 ms. */
#include "main.h"

#include <errno.h>
#include <stdio.h>

// --8<-- [start:program]
/* Prints the first quote of two feeds, if one comes within 10 ms. */
static nart_res first_quote(nart_cx *cx, nart_rx feeds[2])
{
    int quote = 0, which = 0; // NART_ANY wants `which` initialised
    nart_res r = nart_await_for(
        cx, 10 * NART_MS,
        NART_ANY(which, nart_recv(cx, &feeds[0], &quote), nart_recv(cx, &feeds[1], &quote)));

    if (r == 0)
        printf("feed %d: %d\n", which, quote);
    else
        printf("no feed: %s\n", nart_err_name(r));
    return r;
}
// --8<-- [end:program]

static nart_res run(nart_cx *cx, void *arg)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_tx tx[2] = { 0 };
    nart_rx rx[2] = { 0 };
    nart_res r = 0;

    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof(int);
    opts.capacity = 4;
    for (int i = 0; i < 2 && r == 0; i++)
        r = nart_chan_open(nart_cx_rt(cx), &opts, &tx[i], &rx[i]);
    if (r == 0)
        r = nart_try_send(&tx[1], &(int){ 42 });
    if (r == 0)
        r = first_quote(cx, rx);
    if (r == 0)
        r = first_quote(cx, rx) == -ETIMEDOUT ? 0 : -EPROTO;
    for (int i = 0; i < 2; i++) {
        nart_tx_close(&tx[i]);
        nart_rx_close(&rx[i]);
    }
    (void)arg;
    return r;
}

int main(void)
{
    return run_fiber(run, NULL);
}
