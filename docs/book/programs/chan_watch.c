/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_watch.c: a task follows the newest value. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
static nart_res follows(nart_cx *cx, void *arg)
{
    nart_watch_rx *rx = arg;
    int limit;
    nart_res r;

    while ((r = nart_await(cx, nart_watch_changed(cx, rx, &limit))) == 0)
        printf("limit %d\n", limit);
    nart_watch_rx_close(rx);
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res sets(nart_cx *cx, void *arg)
{
    nart_watch_tx *tx = arg;
    nart_res r = 0;

    for (int limit = 1; limit <= 3 && r >= 0; limit++)
        r = nart_watch_send(tx, &limit); // never waits; 1 and 2 are replaced before they are read
    if (r >= 0)
        r = nart_yield(cx);
    nart_watch_tx_close(tx);
    return r;
}
// --8<-- [end:program]

int main(void)
{
    nart_watch_tx tx = { 0 };
    nart_watch_rx rx = { 0 };
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:open]
    if (r == 0)
        r = nart_watch_open(rt, sizeof(int), &(int){ 0 }, &tx, &rx);
    // --8<-- [end:open]
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, follows, &rx, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, sets, &tx, NULL, &answer);
    if (r == 0)
        r = nart_rt_run(rt);
    nart_watch_tx_close(&tx);
    nart_watch_rx_close(&rx);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
