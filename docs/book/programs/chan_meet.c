/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_meet.c: a rendezvous: the sender waits until the receiver takes the value. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
NART_CHAN_TYPED(numbers, int);

static nart_res gives(nart_cx *cx, void *arg)
{
    nart_tx *tx = arg;
    nart_res r = nart_await(cx, numbers_send(cx, tx, 42)); // no slots: until it is received

    puts("received");
    nart_tx_close(tx);
    return r;
}

static nart_res takes(nart_cx *cx, void *arg)
{
    nart_rx *rx = arg;
    int value = 0;
    nart_res r = nart_yield(cx);

    if (r == 0) {
        puts("ready");
        r = nart_await(cx, numbers_recv(cx, rx, &value));
    }
    nart_rx_close(rx);
    return r;
}
// --8<-- [end:program]

int main(void)
{
    nart_tx tx = { 0 };
    nart_rx rx = { 0 };
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:open]
    if (r == 0)
        r = numbers_open(rt, NART_CHAN_LOCAL, 0, &tx, &rx);
    // --8<-- [end:open]
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, gives, &tx, NULL, NULL);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, takes, &rx, NULL, NULL);
    if (r == 0)
        r = nart_rt_run(rt);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_rt_free(rt);
    return r < 0;
}
