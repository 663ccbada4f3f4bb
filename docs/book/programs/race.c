/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* race.c: a race of a receive and a sleep: an idle timeout. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:program]
/* Receives values until the channel ends, or none has come for 10 ms. */
static nart_res consumer(nart_cx *cx, void *arg)
{
    nart_rx *rx = arg;
    nart_timer idle = { 0 };
    int value = 0, which;
    nart_res r;

    for (;;) {
        r = nart_await_any(cx, which, nart_recv(cx, rx, &value),
                           nart_sleep(cx, &idle, 10 * NART_MS));
        if (r < 0 || which == 1)
            break;
        printf("value %d\n", value);
    }
    puts(r == 0 ? "idle" : nart_err_name(r));
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
    opts.capacity = 4;
    nart_res r = nart_chan_open(nart_cx_rt(cx), &opts, &tx, &rx);
    for (int i = 1; i <= 3 && r == 0; i++)
        r = nart_try_send(&tx, &i);
    if (r == 0)
        r = consumer(cx, &rx);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    (void)arg;
    return r;
}

int main(void)
{
    return run_fiber(run, NULL);
}
