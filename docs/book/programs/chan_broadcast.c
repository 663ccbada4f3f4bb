/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_broadcast.c: every receiver gets every value, or learns how many it has missed. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
static nart_res reads_all(nart_cx *cx, void *arg)
{
    nart_broadcast_rx *rx = arg;
    uint64_t lost;
    int value;
    nart_res r;

    for (;;) {
        r = nart_await(cx, nart_broadcast_recv(cx, rx, &value, &lost));
        if (r == NART_ELAGGED)
            printf("missed %d\n", (int)lost); // the next receive gets the oldest that is left
        else if (r == 0)
            printf("value %d\n", value);
        else
            break;
    }
    nart_broadcast_rx_close(rx);
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res sends(nart_broadcast_tx *tx)
{
    nart_res r = 0;

    for (int i = 1; i <= 6 && r >= 0; i++)
        r = nart_broadcast_send(tx, &i); // never waits; the newest four stay
    nart_broadcast_tx_close(tx);
    return r;
}
// --8<-- [end:program]

int main(void)
{
    nart_broadcast_tx tx = { 0 };
    nart_broadcast_rx rx = { 0 };
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:open]
    if (r == 0)
        r = nart_broadcast_open(rt, sizeof(int), 4, &tx, &rx);
    // --8<-- [end:open]
    if (r == 0)
        r = sends(&tx);
    if (r >= 0)
        r = nart_fiber_block_on(rt, reads_all, &rx, NULL, &answer);
    nart_broadcast_tx_close(&tx);
    nart_broadcast_rx_close(&rx);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
