/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_local.c: a producer and a consumer in one runtime. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
NART_CHAN_TYPED(numbers, int);

static nart_res producer(nart_cx *cx, void *arg)
{
    nart_tx *tx = arg;
    nart_res r = 0;

    for (int i = 1; i <= 5 && r == 0; i++)
        r = nart_await(cx, numbers_send(cx, tx, i)); // waits while two are in the channel
    nart_tx_close(tx);                               // the consumer then gets NART_ECLOSED
    return r;
}

static nart_res consumer(nart_cx *cx, void *arg)
{
    nart_rx *rx = arg;
    int value, sum = 0;
    nart_res r;

    while ((r = nart_await(cx, numbers_recv(cx, rx, &value))) == 0)
        sum += value;
    nart_rx_close(rx);
    printf("sum %d, then %s\n", sum, nart_err_name(r));
    return r == NART_ECLOSED ? 0 : r;
}
// --8<-- [end:program]

int main(void)
{
    nart_tx tx = { 0 };
    nart_rx rx = { 0 };
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:open]
    if (r == 0)
        r = numbers_open(rt, NART_CHAN_LOCAL, 2, &tx, &rx);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, producer, &tx, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, consumer, &rx, NULL, &answer);
    // --8<-- [end:open]
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
